/* refused.c: what the hub did not take of a site's writes, with its values, for people (`perche refused`). */
#ifndef REPLICA_REFUSED_H
#define REPLICA_REFUSED_H

#include "replica/internal.h"

/* At a site: lists what a refusal of the hub speaks of. @have: what the hub had of us when it spoke. */
enum perche_rc refused_note(struct replica *r, struct table *t, const struct perche_notice *n, uint64_t have);
/* The hub's row, which was asked for after a refusal: own values that stand in it were taken, though another of their column was not. */
enum perche_rc refused_taken(struct replica *r, struct table *t, const struct perche_batch *b, const struct perche_part *part,
                             const struct perche_row *row);
/* Lists own values of columns that are the hub's, which a value of the hub's is about to replace before they were sent: @m
 * with its block as it was. */
enum perche_rc refused_lost(struct replica *r, struct meta *m, uint64_t mask);

/* At a site: lists a deletion that waits for a person (brake.c) and will not be asked about any more, as the row leaves the site. */
enum perche_rc refused_held(struct replica *r, struct meta *m);

/* A row whose key is too long, or NULL, stays here and nowhere else. Lists it, once, by table, beginning of the key and size; takes
 * it off the list when it is not @here any more. Rows whose key is the same but for its NULL count as one. */
enum perche_rc key_list(struct replica *r, const struct table *t, const struct perche_value *keys, bool here);
/* Takes those with NULL off the list: the whole table is about to be compared, and lists what is there. */
enum perche_rc key_list_anew(struct replica *r, const struct table *t);

#endif
