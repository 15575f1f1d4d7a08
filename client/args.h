/* Options and words of one command. Options stand anywhere, as "--name VALUE" or
 * "--name=VALUE"; "--" ends them. --json, --socket and --help work in every command. */
#ifndef CLIENT_ARGS_H
#define CLIENT_ARGS_H

#include "client.h"

#define ARGS_WORDS_MAX 128 /* words of one command: a table and all of its columns, the people of a class */

enum args_kind {
    ARGS_FLAG,     /* bool * */
    ARGS_TEXT,     /* const char ** */
    ARGS_NUMBER,   /* uint64_t *, from 1 */
    ARGS_DURATION, /* uint64_t *, milliseconds */
};

struct args_option {
    const char *name; /* without the dashes */
    enum args_kind kind;
    void *to; /* left alone when the option is not given */
};

struct args {
    const char *words[ARGS_WORDS_MAX];
    int count;
};

#define ARGS_GO_ON (-1)
/* Takes argv[1..] apart. @options ends with a NULL name. ARGS_GO_ON, or the exit status when
 * the run is over: help was asked for, or a mistake was found and explained. */
int args_take(struct client *c, const struct command *cmd, int argc, char **argv,
              const struct args_option *options, int words_min, int words_max, struct args *out);

/* The global options alone, as client_main() needs them: takes one from argv[*i] on. ARGS_GO_ON
 * with *i moved when it was one, or not moved; else the exit status. */
int args_global(struct client *c, int argc, char **argv, int *i);

/* Says what is wrong and how the command is used (@cmd may be NULL). Returns CLIENT_USAGE. */
int args_wrong(struct client *c, const struct command *cmd, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
