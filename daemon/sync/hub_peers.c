/* Sites that have proven who they are since the start: their session, and what
 * they said about themselves. A site stays in the list when its line is gone. */
#include "sync/hub.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/actions.h"
#include "sync/message.h"

#define NOTE_MS       1000u  /* at most one durable note of a site in this time */
#define NOTE_AGAIN_MS 30000u /* after one that failed */

static uint32_t hash(const char *site)
{
    uint32_t n = 2166136261u; /* FNV-1a */

    for (; *site != '\0'; site++)
        n = (n ^ (uint8_t)*site) * 16777619u;
    return n % HUB_BUCKETS;
}

struct peer *hub_peer_find(const struct sync_hub *h, const char *site)
{
    struct peer *peer = h->peers[hash(site)];

    while (peer != NULL && strcmp(peer->site, site) != 0)
        peer = peer->next;
    return peer;
}

struct peer *hub_peer_get(struct sync_hub *h, const char *site)
{
    struct peer *peer = hub_peer_find(h, site);

    if (peer != NULL)
        return peer;
    peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    (void)snprintf(peer->site, sizeof peer->site, "%s", site);
    peer->next = h->peers[hash(site)];
    h->peers[hash(site)] = peer;
    peer->all = h->all;
    h->all = peer;
    h->peers_count++;
    return peer;
}

void hub_session_begin(struct sync_hub *h, struct peer *peer, struct pipe *pipe, uint64_t session,
                       uint64_t have)
{
    if (peer->pipe != NULL && peer->pipe != pipe)
        peer->pipe->was = peer;
    hub_session_end(h, peer, PERCHE_NO_SESSION); /* the newer ends the older */
    if (pipe->peer != NULL)
        hub_session_end(h, pipe->peer, PERCHE_NO_SESSION);
    peer->session = session;
    peer->session_ms = h->now_ms;
    peer->pushed = false;
    peer->pipe = pipe;
    /* A restored site may say less than it did: what it said in an older session does not
     * count for this one. */
    peer->said_in = session;
    peer->full = peer->scan = peer->done = 0;
    peer->dirty = false;
    peer->have = have;
    peer->offset_ms = pipe->offset_ms;
    peer->last_contact_ms = h->now_ms;
    peer->dirty_soft = true;
    pipe->peer = peer;
    pipe->asked = 0;
    h->strangers -= !pipe->proven;
    h->sessionless--;
    pipe->proven = true;
    actions_log(h->out, "hub.proven", "site=%s have=%llu", peer->site, (unsigned long long)have);
}

void hub_session_end(struct sync_hub *h, struct peer *peer, enum perche_refusal why)
{
    struct pipe *pipe = peer->pipe;

    if (pipe == NULL)
        return;
    if (peer->dirty || peer->dirty_soft) {
        peer->dirty = true;
        peer->note_at_ms = h->mono_ms;
        hub_peer_note(h, peer);
    }
    if (peer->watched) {
        hub_no(h, pipe->id, peer->watch_request, PERCHE_OP_WATCH, why);
        peer->watched = false;
    }
    if (peer->wake) {
        peer->wake = false;
        h->wakes--;
    }
    if (peer->early.message.op != 0) {
        hub_no(h, pipe->id, peer->early.request, PERCHE_OP_PUSH, why);
        sync_message_drop(&peer->early.message);
    }
    hub_admission_forget(h, peer);
    peer->session = 0;
    peer->pipe = NULL;
    peer->busy = 0; /* works under way belong to nobody now */
    peer->pushing = false;
    pipe->peer = NULL;
    h->sessionless++;
}

struct peer *hub_session_find(const struct sync_hub *h, const struct pipe *pipe, uint64_t session)
{
    struct peer *peer = pipe->peer;

    (void)h;
    return peer != NULL && session != 0 && (peer->session == session || WITHOUT(A6_SESSION)) ? peer : NULL;
}

void hub_peer_says(struct sync_hub *h, struct peer *peer, uint64_t full, uint64_t scan,
                   uint64_t done)
{
    if (peer->full == full && peer->scan == scan && peer->done == done)
        return;
    peer->full = full;
    peer->scan = scan;
    peer->done = done;
    peer->dirty = true;
    hub_peer_note(h, peer);
}

void hub_peer_note(struct sync_hub *h, struct peer *peer)
{
    struct job *job;
    struct work *w;

    if (!peer->dirty || peer->noting)
        return;
    if (h->mono_ms < peer->note_at_ms) {
        hub_at(h, peer->note_at_ms);
        return;
    }
    if (h->notes >= HUB_NOTES_MAX) {
        hub_at(h, h->mono_ms); /* in the next step */
        return;
    }
    w = hub_work(h, WORK_PEER_NOTE, &job);
    if (w == NULL)
        return;
    job->peer = peer;
    h->notes++;
    peer->dirty = false;
    peer->dirty_soft = false;
    peer->noting = true;
    peer->note_at_ms = h->mono_ms + NOTE_MS;
    (void)snprintf(w->site, sizeof w->site, "%s", peer->site);
    w->session = peer->said_in;
    w->full = peer->full;
    w->scan = peer->scan;
    w->done = peer->done;
    w->pending = peer->pending;
    w->proven_ms = peer->proven_ms;
    w->proven_now = peer->proven_ms >= peer->session_ms;
    w->offset_ms = peer->offset_ms;
}

void hub_peer_noted(struct sync_hub *h, struct peer *peer, const struct outcome *o)
{
    peer->noting = false;
    if (o->rc != PERCHE_OK) {
        hub_work_failed(h, o);
        peer->dirty = true;
        peer->note_at_ms = h->mono_ms + NOTE_AGAIN_MS;
    }
    hub_peer_note(h, peer);
}

void hub_peers_free(struct sync_hub *h)
{
    while (h->all != NULL) {
        struct peer *peer = h->all;

        h->all = peer->all;
        sync_message_drop(&peer->early.message);
        free(peer);
    }
}

void hub_peers_check(const struct sync_hub *h)
{
    uint32_t working = 0, large = 0, waiting = 0, wakes = 0;

    for (const struct peer *peer = h->all; peer != NULL; peer = peer->all) {
        /* A session is bound to one pipe, and a pipe to one session. */
        assert((peer->session != 0) == (peer->pipe != NULL));
        assert(peer->pipe == NULL || peer->pipe->peer == peer);
        /* Only a session has anything parked, held or under way. */
        assert(peer->session != 0 ||
               (!peer->watched && peer->early.message.op == 0 && !peer->pushing &&
                peer->busy == 0 && !peer->working && !peer->waiting));
        assert(peer->busy <= HUB_BUSY_MAX);
        assert(!peer->pushing || peer->busy > 0);
        assert(!peer->wake || peer->watched);
        assert(!(peer->working && peer->waiting));
        /* A place is held by work under way or for a stated time, never for ever. */
        assert(!peer->working || peer->busy > 0 || peer->turn_until_ms != UINT64_MAX);
        working += peer->working;
        large += peer->working && peer->large;
        waiting += peer->waiting;
        wakes += peer->wake;
    }
    assert(working == h->working && large == h->working_large && waiting == h->waiting &&
           wakes == h->wakes);
    assert(h->working <= h->sessions_max);
}

uint32_t sync_hub_peers(const struct sync_hub *h, struct sync_peer_view *out, uint32_t max)
{
    uint32_t n = 0;

    for (const struct peer *peer = h->all; peer != NULL; peer = peer->all, n++) {
        struct sync_peer_view *v;

        if (n >= max)
            continue;
        v = &out[n];
        memset(v, 0, sizeof *v);
        memcpy(v->site, peer->site, sizeof v->site);
        if (peer->session == 0)
            v->state = SYNC_OFFLINE;
        else
            v->state = peer->working || peer->waiting ? SYNC_SYNCING : SYNC_LIVE;
        v->last_contact_ms = peer->last_contact_ms;
        v->proven_ms = peer->proven_ms;
        v->scan = peer->scan;
        v->pending = peer->pending;
        v->offset_ms = peer->offset_ms;
    }
    return n;
}
