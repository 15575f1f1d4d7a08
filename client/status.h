#ifndef CLIENT_STATUS_H
#define CLIENT_STATUS_H

#include "client.h"

struct json_t;

/* What `status` and `watch` say of a status document. */
void status_print(struct client *c, const struct json_t *status, FILE *out);
/* The same facts, one line. */
void status_line(struct client *c, const struct json_t *status, FILE *out);
/* "la-loupe (site)": malloc. */
char *status_node(const struct json_t *status);
/* A reason code as words: "line_lost" is "line lost". malloc. */
char *status_reason(const char *code);
/* Why the site has no line, or one that serves nothing, and what to do: the start of a sentence, malloc. */
char *status_no_line(const char *state, const char *reason);

#endif
