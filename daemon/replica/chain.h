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
/* Is @a the later one of two entries of an author? */
bool chain_later(const struct chain_held *a, const struct chain_held *b);
/* The entry that vouches for this cell, the last of them: a shift may have given a stamp twice. @cell: its place in it. */
const struct chain_held *chain_find(const struct chain_row *row, const char *column, const char *origin, uint32_t gen, uint64_t stamp,
                                    uint32_t *cell);
/* Is there one, and is it about this value? (Whose salt was taken out can no longer tell.) */
bool chain_vouches(const struct chain_row *row, const char *column, const char *origin, uint32_t gen, uint64_t stamp,
                   const struct perche_value *value);
/* Writes {"entries", "records"} of the answer: what is not as it was signed. *good: nothing. */
enum perche_rc chain_check(struct replica *r, struct json *j, bool *good);

#endif
