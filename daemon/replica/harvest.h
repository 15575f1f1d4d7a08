/* What the files of a harvest share: chunk.c reads what is captured, author.c writes rows as made here, held.c keeps
 * what waits for a person, harvest.c leads. */
#ifndef REPLICA_HARVEST_H
#define REPLICA_HARVEST_H

#include "replica/apply.h"

/* ---- chunk.c ------------------------------------------------------------------------ */

struct op {
    int64_t mask;        /* -1 insert, 0 delete, > 0 update */
    bool unseen;         /* no program's trigger wrote it: audit.c found it */
    uint64_t at_ms;
    uint32_t next;       /* index + 1 of the key's next operation, 0 = last */
};

struct item {            /* one key of the chunk */
    struct table *table;
    uint32_t key_at, key_n;   /* in chunk->keys */
    uint32_t first, last;     /* operations, index + 1 */
    sqlite3_int64 gone;       /* rowid of its newest row in perche_gone_, 0 = none */
    uint32_t next;            /* hash chain */
    uint32_t rank;            /* parents before children */
    uint64_t later;           /* columns that stand further on in the capture log: chunk_look_on() */
};

/* The delete trigger writes the capture row and the old values together, so both
 * stand in the same order: one pass over each finds all, however many there are. */
struct gone {
    struct table *table;
    sqlite3_stmt *scan, *get; /* rowid and key in order; scope columns by rowid */
    sqlite3_stmt *whole;      /* all columns by rowid; made when a row is held */
    sqlite3_int64 newest;     /* consumed up to here */
    bool ended;
};
#define GONE_MAX PERCHE_BOUND(256, 1)          /* tables with deletes in one chunk; the chunk ends before one more */

struct chunk {
    struct op *ops;
    struct item *items;
    uint8_t *keys;
    uint32_t *buckets;
    struct gone *gones;
    uint32_t gones_count;
    uint32_t ops_count, items_count, buckets_count, rows_max;
    size_t keys_n, keys_cap;
    sqlite3_int64 newest;     /* capture row up to which it goes */
    bool more;                /* capture rows that it did not read, */
    bool again;               /* or that it made: audit_covered() */
    const struct table *away; /* of which deletions were met, and it is not there */
    bool away_many;           /* they are too many to be meant */
    bool looked_on;           /* the items have what is captured of them further on */
};

/* Reads up to rows_max capture rows, none beyond r->judged. */
enum perche_rc chunk_read(struct replica *r, struct chunk *c);
/* What is captured of its rows beyond it, into the items; once for a chunk, whatever their order. */
enum perche_rc chunk_look_on(struct replica *r, struct chunk *c);
void chunk_free(struct chunk *c);

enum gone_columns { GONE_KEY, GONE_SCOPE, GONE_WHOLE };
/* Old values of a deleted row, from perche_gone_: GONE_SCOPE or GONE_WHOLE. @found: they are there, instead of what was kept before. */
enum perche_rc chunk_keep_gone(struct replica *r, struct chunk *c, const struct item *it, struct meta *m,
                               enum gone_columns which, bool *found);

/* ---- author.c ----------------------------------------------------------------------- */

struct author {           /* what a row's cells of this harvest have in common */
    struct replica *r;
    struct perche_batch *batch;
    struct merge_peer peer;
    uint64_t block;
    uint64_t *prev;       /* of each row, the block that it named before, */
    uint32_t *parts;      /* and the part of the batch that it is in */
    uint32_t prev_count;
    uint32_t own;         /* name index of this node in the batch */
    bool unseen;          /* the row at hand was written past the triggers */
};

/* Of at most @rows rows. */
enum perche_rc author_begin(struct author *a, struct replica *r, uint32_t rows);
/* Writes the history block of what was made, unless @rc says that it failed. Frees. */
enum perche_rc author_end(struct author *a, enum perche_rc rc);
/* The cell is of this node, stamped so, at the row's position. */
void author_cell(const struct author *a, struct meta *m, uint32_t num, uint64_t stamp);
/* Cells of a tombstone: those of its scope alone, as they were. */
void author_bury(struct meta *m);
/* Finishes a row that was changed here: position, scope, digest, metadata, history. A new row of a hub stays as it stands in its table,
 * and is listed, as long as a program's trigger keeps what unlawfully named it. */
enum perche_rc author_finish(struct author *a, struct meta *m, const struct perche_value *values, uint64_t mask, bool gen);

/* Own cells of @mask, and the generation's if @gen, have other stamps than they were written with: the history knows them by these
 * as well. Stores the row. */
enum perche_rc author_restamped(struct author *a, struct meta *m, const struct perche_value *values, uint64_t mask, bool gen);

/* ---- harvest.c ----------------------------------------------------------------------- */

/* Columns among the @changed that no message carries: one above the bound, or what makes the row exceed it. */
uint64_t row_oversized(const struct table *t, const struct perche_value *values, uint64_t changed);
/* Lists them for `perche refused`; what @goes from its table goes along, a blob in hexadecimal, so that it is not lost. */
enum perche_rc row_list_oversized(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t big, bool goes);

/* ---- held.c --------------------------------------------------------------------------- */

/* The value that a cell had when it was last written, from the history; its bytes are the caller's to free. */
struct former {
    uint8_t *bytes;
    struct perche_value value;
    bool found;
};
enum perche_rc former_value(struct replica *r, const struct meta *m, uint32_t num, struct former *f);

/* A deletion that waits in @set: the row lives on. What was written before it, @mask, is an edit like any other.
 * @held: false when its values are not to be had, and it goes through. */
enum perche_rc held_hold(struct author *a, struct chunk *c, const struct item *it, struct meta *m, int64_t set,
                         uint64_t mask, uint64_t at_ms, bool *held);

#endif
