/* Watches: a question that is answered when there is news for its site, or after a
 * while with none, so that both ends know that the line is alive. */
#include "sync/hub.h"

#include <stdio.h>

#include "sync/actions.h"

void hub_watch_answer(struct sync_hub *h, struct peer *peer, bool news)
{
    struct perche_message m = {.op = PERCHE_OP_WATCH, .reply = true};

    m.u.watch_reply.news = news;
    m.u.watch_reply.lsn = h->lsn;
    m.u.watch_reply.have = peer->have;
    peer->watched = false;
    if (peer->wake) {
        peer->wake = false;
        h->wakes--;
    }
    hub_reply(h, peer->pipe->id, peer->watch_request, &m);
}

void hub_watch(struct sync_hub *h, struct peer *peer, uint64_t request,
               const struct perche_watch *watch)
{
    struct job *job;
    struct work *w;

    if (peer->watched)
        hub_watch_answer(h, peer, false); /* one of each session: the newer counts */
    /* Parked before the question is asked: what is committed after the reader's
     * snapshot wakes it, what was committed before is in the snapshot. */
    peer->watched = true;
    peer->watch_request = request;
    peer->watch_until_ms = h->mono_ms + h->watch_ms;
    hub_at(h, peer->watch_until_ms);
    if (peer->busy == 0)
        hub_turn_end(h, peer); /* it waits, so it has nothing to say */
    w = hub_work(h, WORK_NEWS, &job);
    if (w == NULL)
        return;
    job->peer = peer;
    job->session = peer->session;
    job->request = request;
    job->pipe = peer->pipe->id;
    job->op = PERCHE_OP_WATCH;
    peer->busy++;
    (void)snprintf(w->site, sizeof w->site, "%s", peer->site);
    w->full = watch->full;
    w->scan = watch->scan;
    w->done = watch->done;
}

void hub_watch_news(struct sync_hub *h, struct job *job, const struct outcome *o)
{
    struct peer *peer = job->peer;

    if (job->session != peer->session || !peer->watched || peer->watch_request != job->request)
        return; /* answered already */
    if (o->rc != PERCHE_OK) {
        hub_work_failed(h, o);
        peer->watched = false;
        if (peer->wake) {
            peer->wake = false;
            h->wakes--;
        }
        hub_no(h, job->pipe, job->request, PERCHE_OP_WATCH, hub_refusal(o->rc));
    } else if (o->news) {
        hub_watch_answer(h, peer, true);
    }
}

static void mark(struct sync_hub *h, struct peer *peer)
{
    if (peer == NULL || !peer->watched || peer->wake)
        return; /* one that is not parked asks for news when it parks */
    peer->wake = true;
    h->wakes++;
}

void hub_wake(struct sync_hub *h, const struct outcome *o)
{
    /* The whole list is taken down first: a watch that is answered may be parked
     * again before the others have had their turn. */
    if (o->woken_all) {
        for (struct peer *peer = h->all; peer != NULL; peer = peer->all)
            mark(h, peer);
        return;
    }
    for (uint32_t i = 0; i < o->woken_count; i++)
        mark(h, hub_peer_find(h, o->woken[i]));
}

void hub_wake_some(struct sync_hub *h)
{
    uint32_t n = 0;

    if (h->wakes == 0)
        return;
    for (struct peer *peer = h->all; peer != NULL && n < HUB_WAKES_MAX; peer = peer->all) {
        if (!peer->wake)
            continue;
        hub_watch_answer(h, peer, true);
        n++;
    }
    if (h->wakes > 0)
        hub_at(h, h->mono_ms);
}
