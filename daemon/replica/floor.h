/* The floor: tombstones at or below it may be dropped, and sites that were silent for too long no longer hold it down
 * (DESIGN 4.9; MODEL A 21 has what breaks without each rule).
 *
 * The hub's floor is the position that every active site had acknowledged by a later request, as it was
 * replica_config.keep_deleted_ms ago: an older copy of the hub's replica that is put back within that time still has
 * every tombstone that anybody may have dropped. A site that comes with a position below it *returns*: what it holds may
 * have been deleted without a trace at the hub, until a comparison has said equal. */
#ifndef REPLICA_FLOOR_H
#define REPLICA_FLOOR_H

#include "replica/apply.h"

/* What comes after a harvest that left nothing captured: at a hub retires, moves the floor up; at both ends drops a chunk of
 * the tombstones that it has passed. o->more: another chunk waits; o->retired. Does nothing most of the time. */
enum perche_rc floor_step(struct replica *r, struct outcome *o);

/* ---- a hub ---- */

/* A site has proven itself with @p and stands at @peer by now: it is active again. It *returns* if that is below the floor,
 * until peer_note() has heard of a comparison that said equal. @same: it is in the epoch that it was in, and where it was.
 * *told: the floor that it hears: above its own position only if it returns. */
enum perche_rc floor_came(struct replica *r, uint32_t site, const struct perche_prove *p, const struct peer *peer, bool same, uint64_t *told);
/* Is this tombstone as good as gone? Then a new row of its key begins anew. */
bool floor_passed(const struct replica *r, const struct meta *m);
/* The pusher returns, and this row, which the hub has not got, comes whole: is it one that was deleted here meanwhile? */
bool floor_deleted(struct replica *r, const struct apply *a, const struct meta *m, const struct merge_in *in);
/* Its tombstone is made anew, one generation up, for those who may still hold it; of @in what is new remains. */
enum perche_rc floor_bury(struct replica *r, struct apply *a, struct meta *m, struct merge_in *in);
/* NOT_FOUND (no failure is remembered): it is not active. */
enum perche_rc floor_retire(struct replica *r, uint32_t site);

/* ---- a site ---- */

/* The hub has announced this floor; @proving: with the answer to `prove`, when positions are settled. */
void floor_told(struct replica *r, uint64_t floor, bool proving);

#endif
