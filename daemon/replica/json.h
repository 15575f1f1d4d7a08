/* A small writer of JSON documents. Keeps the first failure (memory, size) and
 * ignores what follows, so its user checks once, at the end. Text that is no
 * UTF-8 gets U+FFFD where it is not, and a blob is written in hexadecimal, so
 * that the document is valid whatever stands in the file. */
#ifndef REPLICA_JSON_H
#define REPLICA_JSON_H

#include "perche/wire.h"

#define JSON_BYTES_MAX (32u << 20) /* one answer; lists stop before */

struct json {
    char *p;
    size_t n, cap;
    bool comma;  /* the next value needs one in front */
    bool failed;   /* what follows is ignored: out of memory ... */
    bool too_long; /* ... or beyond JSON_BYTES_MAX */
};

void out_open(struct json *j, char bracket);  /* '{' or '[' */
void out_close(struct json *j, char bracket); /* '}' or ']' */
void out_key(struct json *j, const char *name);
void out_null(struct json *j);
void out_bool(struct json *j, bool v);
void out_int(struct json *j, int64_t v);
void out_text(struct json *j, const char *text); /* NULL: null */
void out_text_n(struct json *j, const void *text, size_t n);
void out_hex(struct json *j, const void *p, size_t n);
void out_value(struct json *j, const struct perche_value *v);
void out_time(struct json *j, uint64_t ms);     /* ISO 8601 with Z; 0: null */
void out_raw(struct json *j, const char *json); /* a value that is JSON already, but for its UTF-8 */
/* A member. A value of more than @most bytes in the document is null, and a member NAME_bytes says how many it has in the file. */
void out_bounded(struct json *j, const char *name, const struct perche_value *v, size_t most);
size_t out_size(const struct perche_value *v); /* bytes in the document; of a number at most */
/* Room is running out: a list should end here and say that there is more. */
bool out_full(const struct json *j);
void out_free(struct json *j);

#endif
