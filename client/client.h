/* perche, the command line client: what its files share.
 *
 * A run gets all that it touches from outside (streams, width, clock), so that a
 * test can look at every byte of it. Data goes to out, words go to err. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum client_exit {
    CLIENT_DONE = 0,
    CLIENT_NO = 1, /* the answer is no */
    CLIENT_USAGE = 2,
    CLIENT_UNREACHABLE = 3, /* the daemon cannot be reached */
};

struct client {
    FILE *in, *out, *err;
    int width;          /* columns of the terminal */
    bool tty;           /* out is a terminal */
    bool json;          /* --json */
    bool stream;        /* of documents, one on each line: watch */
    const char *socket; /* --socket, $PERCHE_SOCKET or the default */
    uint64_t now_ms;    /* wall clock; 0 = the system's */
};

struct command {
    const char *name;
    const char *summary;                                 /* for the list of commands */
    const char *usage;                                   /* behind "perche " */
    const char *help;                                    /* what it does, options, examples */
    int (*run)(struct client *c, int argc, char **argv); /* argv[0] is the command */
};

/* The one table, in the order of `perche help`; ends with NULL. */
extern const struct command *const commands[];
const struct command *command_find(const char *name); /* NULL = there is none */

/* Runs the command line; argv[0] is the program. Returns an enum client_exit. */
int client_main(struct client *c, int argc, char **argv);

uint64_t client_now(const struct client *c);

extern const struct command command_status, command_sync, command_sites, command_watch,
    command_list, command_show, command_history, command_conflicts, command_refused, command_held,
    command_invite, command_join, command_revoke, command_retire, command_recover, command_leave, command_verify, command_replicate,
    command_report, command_add, command_set, command_void, command_delete, command_plan, command_mark, command_import, command_export, command_duplicates,
    command_help, command_version;

#endif
