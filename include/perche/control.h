/* The control client: asks the perched of this machine over its Unix socket.
 * docs/control.md has the protocol: lines of JSON, one request, any number of
 * events, then one answer.
 *
 * Not thread-safe: one call at a time for each connection. Needs jansson. No
 * signal is raised when the daemon has gone away. */
#ifndef PERCHE_CONTROL_H
#define PERCHE_CONTROL_H

#include "perche/rc.h"

struct json_t; /* jansson's: #include <jansson.h> to look inside */

#define PERCHE_CONTROL_SOCKET "/run/perche/perched.sock"
/* Longest line of either side, its newline included. A request carries at most one value by
 * hand; the replica's largest document has 32 MiB. */
#define PERCHE_CONTROL_REQUEST_MAX (1u << 20)
#define PERCHE_CONTROL_ANSWER_MAX  (33u << 20)

struct perche_control;

/* Connects to the socket at @path. NET: nobody answers there, @err says what to do; AUTH:
 * this user may not. On success the caller ends *out with perche_control_free(). */
enum perche_rc perche_control_connect(const char *path, struct perche_control **out,
                                      struct perche_err *err);
void perche_control_free(struct perche_control *c); /* NULL is fine; an open request ends too */

/* Sends one request; @args is an object, borrowed, NULL = {}. One request at a time: ask again
 * after the answer. TOO_LARGE: beyond PERCHE_CONTROL_REQUEST_MAX, nothing was sent. */
enum perche_rc perche_control_ask(struct perche_control *c, const char *command,
                                  const struct json_t *args, struct perche_err *err);

enum perche_control_kind {
    PERCHE_CONTROL_EVENT = 1, /* more will come */
    PERCHE_CONTROL_DONE,      /* the request is answered: value is the result */
    PERCHE_CONTROL_REFUSED,   /* the request is answered: no says why */
};
struct perche_control_answer {
    enum perche_control_kind kind;
    struct json_t *value; /* event or result, owned; NULL when refused */
    struct perche_err no; /* refused: the daemon's code and sentence */
};

/* Waits for the next line. @timeout_ms below 0 = for ever. TIMEOUT: none came in time, ask may
 * still be answered; NET: the daemon hung up; CORRUPT: what came is no answer; TOO_LARGE: a
 * line beyond PERCHE_CONTROL_ANSWER_MAX. After an error other than TIMEOUT the connection is
 * of no further use. @out is filled on success alone. */
enum perche_rc perche_control_next(struct perche_control *c, int timeout_ms,
                                   struct perche_control_answer *out, struct perche_err *err);
void perche_control_answer_clear(struct perche_control_answer *a);

/* The descriptor, to poll beside others; do not read from it. */
int perche_control_fd(const struct perche_control *c);

#endif
