/* Who may work now. A bounded number of sites at once, the others come back at
 * their turn, oldest first; a quarter of the places is kept for those with little
 * to say, and one that has worked for long lets the others in. */
#include "sync/hub.h"

#define SLICE_MS    10000u /* of work, while others wait */
#define KEPT_MS     60000u /* a place is kept for the next batch, which may be on a slow line already */
#define TURN_MS     250u /* what a place takes, as a guess */
#define TURN_MS_MAX 30000u
#define MISSED_MS   5000u /* after its turn a site that did not come is no longer waited for */

static uint32_t large_max(const struct sync_hub *h)
{
    uint32_t kept = h->sessions_max / 4;

    if (kept == 0 && h->sessions_max > 1)
        kept = 1;
    return h->sessions_max - kept;
}

static void begin(struct sync_hub *h, struct peer *peer, bool large)
{
    peer->working = true;
    peer->large = large;
    peer->turn_began_ms = h->mono_ms;
    peer->turn_until_ms = UINT64_MAX;
    h->working++;
    h->working_large += large;
}

void hub_turn_end(struct sync_hub *h, struct peer *peer)
{
    if (!peer->working)
        return;
    peer->working = false;
    h->working--;
    h->working_large -= peer->large;
}

static void stop_waiting(struct sync_hub *h, struct peer *peer)
{
    if (!peer->waiting)
        return;
    peer->waiting = false;
    h->waiting--;
}

void hub_admission_forget(struct sync_hub *h, struct peer *peer)
{
    hub_turn_end(h, peer);
    stop_waiting(h, peer);
}

/* Those who have waited longer and count for this one. */
static uint32_t ahead_of(struct sync_hub *h, const struct peer *peer, bool large)
{
    uint32_t ahead = 0;

    if (h->waiting == 0)
        return 0;
    for (struct peer *other = h->all; other != NULL; other = other->all) {
        if (!other->waiting || other == peer)
            continue;
        if (h->mono_ms > other->waits_until_ms + MISSED_MS)
            stop_waiting(h, other);
        else if ((!peer->waiting || other->waits_since < peer->waits_since) &&
                 (large || !other->large))
            ahead++;
    }
    return ahead;
}

bool hub_admit(struct sync_hub *h, struct peer *peer, bool large, uint64_t *retry_ms)
{
    uint32_t ahead, free;
    uint64_t wait;

    if (peer->working) {
        if (h->waiting == 0 || h->mono_ms - peer->turn_began_ms < SLICE_MS) {
            peer->turn_until_ms = UINT64_MAX;
            return true;
        }
        hub_turn_end(h, peer);
    }
    ahead = ahead_of(h, peer, large);
    free = h->sessions_max - h->working;
    if (large) {
        uint32_t places = large_max(h);
        uint32_t free_large = places > h->working_large ? places - h->working_large : 0;

        free = free < free_large ? free : free_large;
    }
    if (free > ahead) {
        stop_waiting(h, peer);
        begin(h, peer, large);
        return true;
    }
    if (!peer->waiting) {
        peer->waiting = true;
        peer->waits_since = ++h->queue_numbers;
        h->waiting++;
    }
    peer->large = large;
    wait = TURN_MS * (1 + (uint64_t)(ahead - free) / h->sessions_max);
    *retry_ms = wait < TURN_MS_MAX ? wait : TURN_MS_MAX;
    peer->waits_until_ms = h->mono_ms + *retry_ms;
    return false;
}

void hub_rest(struct sync_hub *h, struct peer *peer, bool more)
{
    if (!peer->working)
        return;
    peer->more = more;
    if (peer->busy > 0)
        return;
    if (!more) {
        hub_turn_end(h, peer);
        return;
    }
    peer->turn_until_ms = h->mono_ms + KEPT_MS;
    hub_at(h, peer->turn_until_ms);
}
