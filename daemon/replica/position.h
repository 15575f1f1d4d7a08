/* Positions of nodes that are not what they were: put back from an older copy, or copied
 * (DESIGN 4.8; MODEL A 8 to 15, C 6 to 12 have what breaks without each rule). */
#ifndef REPLICA_POSITION_H
#define REPLICA_POSITION_H

#include "replica/apply.h"

/* ---- a site ------------------------------------------------------------------------- */

/* The pull position moved, what came with it is numbered up to node.lsn, and the hub had @have of this site: remembered, as a
 * position that a restored hub may know, and for the floor. */
enum perche_rc pulled_note(struct replica *r, uint64_t life, uint64_t have);
/* Newest first; returns how many. */
uint32_t pulled_list(struct replica *r, struct perche_pull_entry out[PERCHE_LIST_MAX]);
/* This site was put back: a new epoch, after @current, which the hub names. Stored before it is announced. */
enum perche_rc epoch_begin(struct replica *r, uint64_t current);
/* The hub has the site's changes up to @have, less than it had acknowledged: what lies above goes again. */
enum perche_rc ack_back(struct replica *r, uint64_t have);
/* The hub was put back and knows this site's pull position of (@full, @scan) as its newest: from there on, and all that came
 * since goes to it again, whoever wrote it. CORRUPT: this site never was there. */
enum perche_rc pull_back(struct replica *r, uint64_t have, uint64_t full, uint64_t scan);
/* Everything is pushed: pulls may begin. */
enum perche_rc must_end(struct replica *r);
/* Is this one of our own positions? */
struct perche_pos mark_at(struct replica *r, uint64_t lsn); /* of the switched build alone: the first mark from @lsn on */
bool mark_known(struct replica *r, struct perche_pos pos);

/* ---- a hub -------------------------------------------------------------------------- */

/* SQL: of perche_peer, sites that this replica knows as members with a history, and that are not retired. */
#define ACTIVE_PEER "epoch <> 0 AND retired_ms = 0 AND NOT EXISTS (SELECT 1 FROM perche_member m JOIN perche_name n ON n.text = m.site" \
                    " WHERE n.num = perche_peer.site AND (m.revoked_ms IS NOT NULL OR m.left_ms IS NOT NULL))"

/* A replica is opened: positions from here on are of a life of their own. Inside the opening transaction. */
enum perche_rc life_begin(struct replica *r);
/* The verdict over what a site shows; *peer becomes what is to be stored with PROVEN and GO_BACK. @back: with GO_BACK where to.
 * *lost: the hub has less of the site than it had acknowledged, or does not know where the site has pulled to. */
enum perche_verdict position_judge(struct replica *r, uint32_t site, const struct perche_prove *p, struct peer *peer,
                                   struct perche_pull_entry *back, bool *lost);
/* Two machines speak as this site; @address: the second one's, "" = not known. */
enum perche_rc peer_hold(struct replica *r, uint32_t site, const char *address);
/* It proved itself at this address; *held: it may not go on. */
enum perche_rc peer_proved(struct replica *r, uint32_t site, const char *address);
bool peer_held(struct replica *r, uint32_t site);
/* @site says that this hub has lost what it had: believed when half of the active sites have said so (a site that lies is
 * then one of few), or when an operator does. *begun: it is; every site that has not proven itself since the hub was opened
 * is to show what it has. */
enum perche_rc recovery_claim(struct replica *r, uint32_t site, bool *begun);
enum perche_rc recovery_begin(struct replica *r);
bool recovering(struct replica *r);                       /* does any site still have to? */
enum perche_rc recovery_shown(struct replica *r, uint32_t site); /* it has pushed to its end */
enum perche_rc recovery_took(struct replica *r, uint32_t site, const struct meta *m); /* a row with cells that it had not written */
#endif
