/* Applying what came: batch in, rows of the file out, through the pure merge. */
#ifndef REPLICA_APPLY_H
#define REPLICA_APPLY_H

#include "replica/merge.h"

struct peer {                /* perche_peer, at a hub */
    bool known;
    uint64_t epoch, prev_epoch, eplsn, have, stamp, full, scan, done, session;
    struct perche_pos asof;
    uint32_t returns;      /* 1: it came back from below the floor, 2: and in a new epoch. Read only here: floor_came() sets it */
    uint64_t returns_stamp; /* highest stamp that we had of it then */
};
enum perche_rc peer_load(struct replica *r, uint32_t site, struct peer *p);
enum perche_rc peer_store(struct replica *r, uint32_t site, const struct peer *p);

struct apply {
    struct replica *r;
    struct merge_peer peer;
    struct perche_batch *batch;
    uint32_t *names;         /* batch name index -> interned number */
    uint64_t block;          /* of the history that this batch becomes */
    uint64_t *prev;          /* for each row in order: its block before */
    uint32_t rows;           /* rows of the batch */
    uint32_t pusher;         /* at a hub: interned site */
    uint32_t returns;        /* at a hub: the pusher came back from below the floor, as in struct peer */
    uint64_t stamp_known;    /* at a hub: highest stamp that it had of the pusher before it came back */
    uint64_t epoch;          /* at a hub, of what had been set aside: the pusher's, when it came; 0 = it has just come */
    bool recovering;         /* a hub that was put back takes cells of any origin from any site (DESIGN 4.8) */
    int64_t retried;         /* its n in perche_parked, of what was set aside and is tried again; 0 = it has just come */
    const char *reason;      /* likewise, why it is */
    bool stays;              /* and goes on waiting */
    bool refused;            /* something of the batch was not taken: history wants a batch without it */
    uint64_t stamp;          /* highest seen */
    uint64_t applied;        /* rows changed */
};

/* Interns the batch's names and makes room. */
enum perche_rc apply_begin(struct apply *a, struct replica *r, struct perche_batch *batch);
/* Does it take the place of a row that lives here, as apply_rows() writes it? Else what is here is dropped first. At a site. */
bool image_replaces(const struct meta *m, const struct perche_row *row);
/* Applies every row of the batch; one that cannot be applied is parked with its reason (P8). */
enum perche_rc apply_rows(struct apply *a);
/* Writes the history block of what was taken: @body when nothing was refused, else the rest encoded anew. Then cells that
 * had waited for a row of the batch are applied. */
enum perche_rc apply_history(struct apply *a, struct perche_bytes body);
void apply_end(struct apply *a);

/* The batch without what was refused: refused values are not history. */
enum perche_rc encode_taken(struct apply *a, struct perche_buf *out);
/* That block. */
enum perche_rc apply_block(struct apply *a, struct perche_bytes body);

/* ---- parked.c ---- */

/* Sets a row aside, with what its author had seen. One that is tried again stays as it stands, unless @reason is another. */
enum perche_rc park(struct apply *a, const struct perche_part *part, const struct perche_row *row, const char *reason);
/* Tries what is set aside of this row again. */
enum perche_rc parked_retry(struct replica *r, const char *table, struct perche_bytes key);
/* Tries some of what is set aside, where something has changed since, or it is time. When nothing is captured, and no table is to be
 * compared: what is not recorded yet of a row would be overwritten, and nobody had seen it. */
enum perche_rc parked_step(struct replica *r);
bool parked_left(struct replica *r); /* has it more to try now? */
bool parked_any(struct replica *r);

/* Forgets what is set aside of a row; with @via only the cells that came over this link and wait for the row itself. */
enum perche_rc parked_drop(struct replica *r, const char *table, struct perche_bytes key, uint32_t via);

/* Is anything of the row set aside: @row_itself, or cells that wait for what the row lacks here? */
bool parked_has(struct replica *r, const char *table, struct perche_bytes key, bool row_itself);

/* Drops a row here without deleting it: data, metadata, digest, what is set aside of it. */
enum perche_rc row_drop(struct replica *r, struct meta *m);
/* Keeps these values (by num) in the metadata beside those kept before: all of @mask, or only what the scope is made from. */
enum perche_rc keep_values(struct replica *r, struct meta *m, const struct perche_value *values, uint64_t mask, bool whole);
/* Written columns of a row that lives, which are not in its table, among the @values and kept: as the history has them. Borrowed until meta_clear(). */
enum perche_rc row_lost(struct replica *r, struct meta *m, uint64_t want, struct perche_value *values);
/* Columns that the table lacks, among the @values of a row that lives: as the history has them. Borrowed until meta_clear(). */
enum perche_rc row_absent(struct replica *r, struct meta *m, struct perche_value *values);
/* Values of a row, alive (data; if it was taken out unseen, the history), dead or held (kept), by num; all NULL where there is none. Owned texts are copied into @text. */
enum perche_rc row_values(struct replica *r, struct meta *m, struct perche_value *values);
/* Recomputes m->digest, from @values where @have covers every written column, else from the file. */
enum perche_rc row_digest(struct replica *r, struct meta *m, const struct perche_value *values, uint64_t have);

/* rights.c, at the hub: is this row lawful from @site? Fills @reason (NULL = yes) for the whole row, else the mask of columns refused and their reason. */
enum perche_rc rights_judge(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in,
                            const char **reason, uint64_t *cols, const char **cols_reason);
/* The same while a hub that was put back is made whole: what others wrote is taken from any site that shows it, what
 * the hub alone may write only if the hub has written it. (Stated limit: nothing but the origin says so.) */
enum perche_rc rights_recover(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in,
                              const char **reason, uint64_t *cols, const char **cols_reason);
enum perche_rc refuse(struct replica *r, uint32_t site, struct meta *m, const char *columns, const char *reason);
/* Has the row left the site, which may not know it yet? */
bool rights_left(struct replica *r, uint32_t site, uint32_t tab, const uint8_t *key, uint32_t key_n);
bool rights_holds(struct replica *r, uint32_t site, const struct meta *m); /* is it in the row's scope, or has it a mark? */
/* A relative of the row has left the site, which could write it and cannot have known that when it wrote: until `done` passes the mark, its
 * edits and new children are taken (DESIGN 4.6). */
bool rights_relative_left(struct replica *r, uint32_t site, struct meta *m, const struct perche_value *values);
/* May this node write the row, which has these values and is harvested? A site tells from what it has; the hub judges what arrives. */
bool rights_here(struct replica *r, struct meta *m, const struct perche_value *values);
/* Does the child row bring its site into the set of the row that it names? */
bool rights_brings(const struct meta *m, const struct rule_part *part, const struct perche_value *values);

/* named.c, at the hub. @m names a row that is not here. */
enum perche_rc named_note(struct replica *r, const struct meta *m, const struct table *t, const uint8_t *key, uint32_t key_n);
/* May a row stand here that names this one, which is not here? What is done with it may be REFUSED by a program's trigger; r->obstacle
 * says by whose. */
bool named_before(struct replica *r, const struct table *t, struct perche_bytes key);
/* A new row of the hub, which @pusher (0: the hub itself) inserted and which is not saved yet: what others had written that
 * makes its site a member of it is judged now. Sets m->scope anew when something of that was refused; then values that
 * were read from the file are to be read again. */
enum perche_rc named_arrived(struct replica *r, uint32_t pusher, struct meta *m, const struct perche_value *values);
/* It is saved: so are the rows that had named it as their parent, and those that stay get its scope. */
enum perche_rc named_parent_arrived(struct replica *r, const struct meta *m);

#endif
