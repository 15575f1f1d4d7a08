/* Pipes that have asked something. One that has proven nothing may ask little and
 * is the first to go when there are too many. */
#include "sync/hub.h"

#include <assert.h>
#include <stdlib.h>

#include "sync/actions.h"

static struct pipe **bucket(struct sync_hub *h, uint64_t id)
{
    return &h->pipes[(id ^ id >> 10) % HUB_BUCKETS];
}

struct pipe *hub_pipe_find(const struct sync_hub *h, uint64_t id)
{
    struct pipe *p = h->pipes[(id ^ id >> 10) % HUB_BUCKETS];

    while (p != NULL && p->id != id)
        p = p->next;
    return p;
}

static struct pipe *oldest_sessionless(const struct sync_hub *h, bool stranger)
{
    struct pipe *oldest = NULL;

    for (uint32_t i = 0; i < HUB_BUCKETS; i++) {
        for (struct pipe *p = h->pipes[i]; p != NULL; p = p->next) {
            if (p->peer != NULL || (stranger && p->proven))
                continue;
            if (oldest == NULL || p->number < oldest->number)
                oldest = p;
        }
    }
    return oldest;
}

struct pipe *hub_pipe_get(struct sync_hub *h, uint64_t id)
{
    struct pipe *p = hub_pipe_find(h, id);

    if (p != NULL)
        return p;
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->id = id;
    p->number = ++h->pipe_numbers;
    p->next = *bucket(h, id);
    *bucket(h, id) = p;
    h->pipes_count++;
    h->strangers++;
    h->sessionless++;
    return p;
}

void hub_pipe_gone(struct sync_hub *h, struct pipe *p)
{
    struct pipe **at = bucket(h, p->id);

    if (p->peer != NULL)
        hub_session_end(h, p->peer, PERCHE_NO_SESSION);
    assert(p->peer == NULL);
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    h->pipes_count--;
    h->strangers -= !p->proven;
    h->sessionless--;
    free(p);
}

void hub_pipe_close(struct sync_hub *h, struct pipe *p, const char *reason)
{
    uint64_t id = p->id;
    struct sync_action *a;

    hub_pipe_gone(h, p); /* answers what is parked, before the pipe closes */
    a = actions_add(h->out, SYNC_DISCONNECT);
    if (a == NULL)
        return;
    a->pipe = id;
    a->reason = reason;
}

bool hub_pipe_may_ask(struct sync_hub *h, struct pipe *p)
{
    if (p->asked < HUB_UNPROVEN_REQUESTS) {
        p->asked++;
        return true;
    }
    actions_log(h->out, "hub.flood", "pipe=%llu asked=%u", (unsigned long long)p->id, p->asked);
    hub_pipe_close(h, p, "flood");
    return false;
}

void hub_pipes_thin(struct sync_hub *h)
{
    while (h->strangers > HUB_STRANGERS_MAX)
        hub_pipe_close(h, oldest_sessionless(h, true), "crowd");
    while (h->sessionless > HUB_SESSIONLESS_MAX)
        hub_pipe_close(h, oldest_sessionless(h, false), "crowd");
}

void hub_pipes_free(struct sync_hub *h)
{
    for (uint32_t i = 0; i < HUB_BUCKETS; i++) {
        while (h->pipes[i] != NULL) {
            struct pipe *p = h->pipes[i];

            h->pipes[i] = p->next;
            free(p);
        }
    }
}

void hub_pipes_check(const struct sync_hub *h)
{
    assert(h->strangers <= HUB_STRANGERS_MAX && h->sessionless <= HUB_SESSIONLESS_MAX);
    assert(h->strangers <= h->sessionless && h->sessionless <= h->pipes_count);
}
