/* One question to the daemon and what every command does with the answer. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include "client.h"

#include "perche/rc.h"

struct json_t;
struct perche_control;

/* How long the client waits at most: a little longer than the daemon does itself. */
#define ASK_MS      70000
#define ASK_LONG_MS 1860000 /* verify reads every record */

/* Asks, waits, and gives the result, which the caller owns. Takes @args (NULL = {}). On
 * failure says why on err, and as a document on out with --json, and returns the exit status;
 * CLIENT_DONE otherwise. */
int ask(struct client *c, const char *command, struct json_t *args, int timeout_ms,
        struct json_t **result);
/* The same in two steps, for those that read events. */
int ask_open(struct client *c, const char *command, struct json_t *args,
             struct perche_control **out);
/* Says what went wrong: @refused by the daemon, or on the way to it. The exit status. */
int ask_failed(struct client *c, bool refused, const struct perche_err *err);

void ask_print(struct client *c, const struct json_t *doc); /* one document on out; of a stream one line */

/* Arguments: a text is left out when NULL. */
void ask_set_text(struct json_t *args, const char *name, const char *text);
void ask_set_number(struct json_t *args, const char *name, uint64_t n);
void ask_set_flag(struct json_t *args, const char *name); /* true */

/* What is in a document; what is not there, or of another type, is "", 0, false, NULL. */
const char *get_text(const struct json_t *doc, const char *name);
uint64_t get_number(const struct json_t *doc, const char *name);
bool get_time(const struct json_t *doc, const char *name, uint64_t *ms); /* false = never */
struct json_t *get_array(const struct json_t *doc, const char *name);    /* NULL = none */
/* A value as people read it, on one line: text cleaned, NULL as "", numbers in full. malloc. */
char *get_shown(const struct json_t *value);
/* A value that is no text, with all the digits that make it; of 0.1 these are "0.1". malloc. */
char *get_exact(const struct json_t *value);
/* The same of a member; where the daemon left it out for its size (NAME_bytes), that. */
char *get_member_shown(const struct json_t *doc, const char *name);

#endif
