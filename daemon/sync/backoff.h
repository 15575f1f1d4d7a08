/* How long to wait before the next try: full jitter, so that sites that lost
 * their hub at the same moment do not come back at the same moment. */
#ifndef SYNC_BACKOFF_H
#define SYNC_BACKOFF_H

#include "sync/sync.h"

#define BACKOFF_MS_MIN         1000u
#define BACKOFF_MS_MAX         300000u
#define BACKOFF_REFUSED_MS_MAX 15000u /* the hub's machine is up, its program is starting */

struct backoff {
    uint32_t tries; /* without success since the last reset */
};

void backoff_reset(struct backoff *b);
/* The wait after one more failure: at random from 1 s to a bound that doubles, 5 min at most. */
uint64_t backoff_next_ms(struct backoff *b, const struct sync_ops *ops);
/* After a refused connection: up to 15 s, however often. */
uint64_t backoff_refused_ms(const struct sync_ops *ops);
/* For an answer that waiting does not change (revoked, unknown): half of the longest to the
 * longest. */
uint64_t backoff_slow_ms(const struct sync_ops *ops);

#endif
