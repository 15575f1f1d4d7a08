/* The merge of one row: a pure function over its metadata and what came.
 *
 * No SQL, no allocation, no time. It decides, cell by cell, which value stays, and
 * names the values that were lost without their author's knowledge. What it cannot
 * know (text of ids, stored values, history) it asks through struct merge_ask, and
 * only when the answer matters. MODEL.md says rule by rule what breaks without it. */
#ifndef REPLICA_MERGE_H
#define REPLICA_MERGE_H

#include "replica/internal.h"

struct merge_cell {
    uint16_t num;
    bool fixed, based;
    uint32_t origin, base_origin;  /* interned */
    uint64_t stamp, base_stamp;
    const struct perche_value *value;
};

struct merge_in {
    uint32_t gen;
    bool has_gen, gen_fixed, whole;
    uint64_t gen_stamp;
    uint32_t gen_origin;
    uint32_t cells_count;
    struct merge_cell cells[PERCHE_COLUMNS_MAX];
};

/* Who sent it and how far its author had heard us. */
struct merge_peer {
    bool at_hub;             /* we are the hub, the peer is a site */
    uint32_t via;            /* its link number here */
    uint64_t full, scan;     /* at a hub: how far the site had pulled, or the row's own pair */
    uint64_t eplsn;          /* at a hub: our lsn when the site's present epoch began */
    uint64_t acked;          /* at a site: what the hub is known to have of us */
};

struct merge_ask {
    void *ctx;
    int (*order)(void *ctx, uint32_t origin_a, uint32_t origin_b);        /* by id text, memcmp manner */
    bool (*knows)(void *ctx, const struct merge_cell *cell); /* has this very value been in this row before? */
    /* Incoming value against the stored one of this column: 0 = the same. */
    int (*compare)(void *ctx, uint16_t num, const struct perche_value *incoming);
};

enum merge_loss { LOSS_CELLS = 1,   /* stored cell against incoming cell */
                  LOSS_STORED,      /* stored cell against the incoming generation */
                  LOSS_INCOMING };  /* incoming cell against the stored generation */

struct merge_lost {
    enum merge_loss what;
    uint16_t num;
    uint32_t cell;           /* index into in->cells (CELLS, INCOMING) */
    struct clock_cell stored;/* as it was: the cell, or the generation (INCOMING) */
};

struct merge_out {
    uint64_t write;          /* columns (bit num - 1) that take the incoming value */
    bool gen_taken;          /* the generation's event is the incoming one now */
    bool raised;             /* the generation went up: the data row starts anew, or goes */
    bool replaced;           /* a clean site took the hub's whole row: columns not in it are unwritten */
    bool changed;            /* anything at all */
    uint32_t lost_count;
    struct merge_lost lost[2 * PERCHE_COLUMNS_MAX]; /* one at most for each column of the row and for each cell that came */
};

/* Is this cell known to the hub (at a hub: always)? */
bool merge_clean(const struct merge_peer *p, const struct clock_cell *c);
bool merge_dirty(const struct merge_peer *p, const struct meta *m);

/* Merges @in into @m (gen, cells, kept_mask; not lsn, scope, digest: new cells have lsn 0 and via of the
 * peer until merge_number() gives them their position). @m->gen may be 0: no such row yet. */
void merge_row(const struct merge_peer *p, const struct merge_ask *ask, struct meta *m,
               const struct merge_in *in, struct merge_out *out);
/* Gives every new cell the position @lsn; with @touched also every cell that the peer does not have yet. */
void merge_number(const struct merge_peer *p, struct meta *m, uint64_t lsn, bool touched);

#endif
