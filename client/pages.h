/* All records of a table, a page at a time, in the order of their key.
 *
 * A page begins behind the last key of the one before. A record that nobody touches meanwhile
 * comes exactly once, whatever others write, and a page costs the same wherever it is. */
#ifndef CLIENT_PAGES_H
#define CLIENT_PAGES_H

#include "client.h"

struct json_t;

struct pages {
    struct client *c;
    const char *table, *where; /* borrowed; where: SQL, NULL = all */
    char *after;               /* the rest is its own: start with {0} */
    uint64_t offset;           /* behind `after`, where a key cannot be told */
    bool ended;
};

/* The next page, the answer of `list`, which the caller owns; NULL after the last one and when it fails. Returns an exit
 * status; when it is not CLIENT_DONE all has been said. */
int pages_next(struct pages *p, struct json_t **page);
void pages_end(struct pages *p);

/* All rows of a table that is known to be small, as an array of objects, the caller's; [] when it fails. The exit status. */
int pages_load(struct client *c, const char *table, struct json_t **out);

#endif
