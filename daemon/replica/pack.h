/* Rows of the file into a batch, and batches into messages. */
#ifndef REPLICA_PACK_H
#define REPLICA_PACK_H

#include "replica/apply.h"

struct pack {
    struct replica *r;
    struct perche_batch *batch;
    struct { const struct table *table; uint32_t part; } last; /* most rows follow one of their table */
    struct { uint32_t num, name; } memo[64]; /* interned number -> name index of the batch */
};

enum perche_rc pack_begin(struct pack *p, struct replica *r);
void pack_clear(struct pack *p);
void pack_end(struct pack *p);
size_t pack_size(const struct pack *p);
bool pack_fits(const struct pack *p);               /* into a message, with room for what its cells and the envelope take */
bool pack_full(const struct pack *p, size_t bytes); /* of so many bytes, or of as much as a batch may have of anything else */
/* row_values(), and whether they are those that @m stamps: a program's change of the row may wait to be harvested. A row that somebody
 * has taken out past the triggers has those of the history; @there: false when that does not know them, and it cannot be sent. */
enum perche_rc row_settled(struct replica *r, struct meta *m, struct perche_value *values, bool *settled, bool *there);
/* The values of a row that lives and is not in its table, from the history: taken out past the triggers, and nobody has compared the
 * table yet, or the table is gone. Until then they are what was stamped; what the table has of it would say that they are all
 * NULL. @there: the history has them. */
enum perche_rc row_recalled(struct replica *r, struct meta *m, struct perche_value *values, bool *there);
/* Adds the row with the written cells of @mask; with PERCHE_ROW_GEN its generation's event. @bases: local cells carry
 * the identity of what they replaced, and PERCHE_CELL_FIXED. */
enum perche_rc pack_row(struct pack *p, const struct meta *m, const struct perche_value *values, uint64_t mask,
                        uint32_t flags, uint64_t full, uint64_t scan, bool bases);
/* Encodes the batch; the bytes belong to the message's arena. */
enum perche_rc pack_message(struct pack *p, struct perche_message *message, struct perche_bytes *out);

/* push.c, pull.c: shared by the works */
enum perche_rc ack_advance(struct replica *r, uint64_t to, uint64_t asof);
uint64_t push_pending(struct replica *r, uint64_t from);
/* pull.c: marks heard, when nothing waits to be pushed. @more: some are left that may be carried out: the next harvest does it */
enum perche_rc carry_out(struct replica *r, bool *more);
bool leaving(struct replica *r);                    /* are there marks heard and not carried out? */
enum perche_rc peer_done(struct replica *r, uint32_t site, struct peer *p, uint64_t done);
enum perche_rc harvest_all(struct replica *r);      /* harvest.c: every captured change */
enum perche_rc copy_taken(struct apply *a, const struct perche_part *part, const struct perche_row *row, struct perche_batch *to);
uint64_t batch_stamp(const struct perche_batch *b); /* highest of its cells and generations, those of conflict rows and fixed ones apart */
struct perche_want *outcome_wants(struct outcome *o, const struct perche_want *wants, uint32_t n); /* copies into the message's arena */
bool pull_would_send(struct replica *r, uint32_t site, const struct meta *m, uint64_t full);

#endif
