/* What chain.c, which writes entries, and chain_check.c, which reads them, share. */
#ifndef REPLICA_CHAIN_H
#define REPLICA_CHAIN_H

#include "replica/json.h"
#include "replica/merge.h"

#define CHAIN_SALT 16u

struct table *chain_table(struct replica *r); /* NULL: r->fail */

/* An entry as it lies here. */
struct chain_held {
    uint8_t id[16];
    struct perche_chain_entry entry;
    struct perche_arena *arena; /* NULL: it is none */
    uint8_t *bytes, *salts;     /* owned; as signed, and beside it */
    uint32_t bytes_n, salts_n;
    uint8_t signature[64];      /* zeros when it is none */
    uint64_t stamp;             /* newest in it */
};
struct chain_row {
    struct chain_held *held;
    uint32_t count, cap;
};
/* The entries of a row. End with chain_row_free(), also after a failure. */
enum perche_rc chain_load(struct replica *r, const struct table *t, struct perche_bytes key, struct chain_row *row);
void chain_row_free(struct chain_row *row);
/* The entry that vouches for this cell; @cell: its place in it, may be NULL. */
const struct chain_held *chain_find(const struct chain_row *row, const char *column, const char *origin, uint32_t gen, uint64_t stamp,
                                    uint32_t *cell);
/* Writes {"entries", "records"} of the answer: what is not as it was signed. *good: nothing. */
enum perche_rc chain_check(struct replica *r, struct json *j, bool *good);

#endif
