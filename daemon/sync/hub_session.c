/* What a proven site asks: one request, one work, one reply. Pushes of a site are
 * applied one after the other, whatever the order they arrive in. */
#include "sync/hub.h"

#include <assert.h>
#include <stdio.h>

#include "sync/actions.h"
#include "sync/message.h"

#define EARLY_MS   5000u /* the batch in front was sent before: it is here soon or never */
#define LARGE_ROWS 5000u /* more than one batch of rows to say or to hear */
#define CROWD_MS   1000u

static struct work *session_work(struct sync_hub *h, enum work_kind kind, struct peer *peer,
                                 uint8_t op, uint64_t request, struct job **job)
{
    struct work *w = hub_work(h, kind, job);

    if (w == NULL)
        return NULL;
    (*job)->peer = peer;
    (*job)->session = peer->session;
    (*job)->request = request;
    (*job)->pipe = peer->pipe->id;
    (*job)->op = op;
    peer->busy++;
    (void)snprintf((*job)->site, sizeof(*job)->site, "%s", peer->site);
    (void)snprintf(w->site, sizeof w->site, "%s", peer->site);
    w->session = peer->session;
    return w;
}

/* ---- push -------------------------------------------------------------------- */

static void apply_push(struct sync_hub *h, struct peer *peer, uint64_t request,
                       struct perche_message *m)
{
    struct job *job;
    struct work *w = session_work(h, WORK_PUSH_APPLY, peer, PERCHE_OP_PUSH, request, &job);

    if (w == NULL) {
        sync_message_drop(m);
        return;
    }
    peer->pushing = true;
    w->first_push = !peer->pushed;
    job->pending = m->u.push.pending;
    sync_message_move(&w->message, m);
}

static void apply_early(struct sync_hub *h, struct peer *peer)
{
    struct perche_message m = {0};

    sync_message_move(&m, &peer->early.message);
    apply_push(h, peer, peer->early.request, &m);
}

static void push(struct sync_hub *h, struct peer *peer, const struct sync_event *ev)
{
    struct perche_message *m = ev->message;

    if (!peer->pushing && m->u.push.from <= peer->have) {
        apply_push(h, peer, ev->request, m); /* the replica judges `from` */
    } else if (peer->early.message.op == 0) {
        sync_message_move(&peer->early.message, m);
        peer->early.request = ev->request;
        peer->early.until_ms = h->mono_ms + EARLY_MS;
        hub_at(h, peer->early.until_ms);
    } else {
        hub_no_more(h, peer->pipe->id, ev->request, PERCHE_OP_PUSH, PERCHE_NO_POSITION, peer->have,
                    0);
    }
}

void hub_early_expire(struct sync_hub *h, struct peer *peer)
{
    if (peer->early.message.op == 0 || peer->pushing)
        return;
    if (h->mono_ms >= peer->early.until_ms && peer->busy < HUB_BUSY_MAX)
        apply_early(h, peer); /* nothing came in front of it: the replica says what it has */
    else
        hub_at(h, peer->early.until_ms > h->mono_ms ? peer->early.until_ms : h->mono_ms + EARLY_MS);
}

static bool pushed(struct sync_hub *h, struct job *job, struct outcome *o)
{
    struct peer *peer = job->peer;
    const struct perche_message *m = &o->message;

    peer->pushing = false;
    if (o->rc == PERCHE_OK && m->op == PERCHE_OP_PUSH && m->reply) {
        if (!m->refused) {
            peer->pushed = true;
            peer->have = m->u.push_reply.have;
            peer->pending = job->pending > o->rows ? job->pending - o->rows : 0;
            peer->dirty_soft = true;
        } else if (m->u.no.why == PERCHE_NO_POSITION) {
            peer->have = m->u.no.have;
        }
    }
    (void)h;
    return peer->early.message.op != 0 || peer->pending > 0;
}

/* ---- digest ---------------------------------------------------------------------- */

static void digest(struct sync_hub *h, struct peer *peer, const struct sync_event *ev)
{
    struct perche_message copy = {0};
    struct job *job;
    struct work *w;

    /* The row level is asked twice: to answer, and to repair. */
    if (ev->message->u.digest.level >= PERCHE_LEVEL_ROWS && sync_message_copy(&copy, ev->message) != PERCHE_OK) {
        hub_no(h, peer->pipe->id, ev->request, PERCHE_OP_DIGEST, PERCHE_NO_INTERNAL);
        return;
    }
    w = session_work(h, WORK_DIGEST_ANSWER, peer, PERCHE_OP_DIGEST, ev->request, &job);
    if (w == NULL) {
        sync_message_drop(&copy);
        return;
    }
    sync_message_move(&job->message, &copy);
    sync_message_move(&w->message, ev->message);
}

/* Returns true when the answer waits for the repair. */
static bool digest_answered(struct sync_hub *h, struct job *job, struct outcome *o)
{
    const struct perche_digest_reply *reply = &o->message.u.digest_reply;
    struct perche_message question = {0};
    struct work *w;

    if (o->rc != PERCHE_OK || o->message.op != PERCHE_OP_DIGEST || !o->message.reply ||
        o->message.refused)
        return false;
    if (reply->lsn > h->lsn)
        h->lsn = reply->lsn;
    if (reply->answer == PERCHE_EQUAL && job->message.op == 0) {
        job->peer->proven_ms = reply->clock_ms;
        job->peer->pending = 0;
        job->peer->dirty_soft = true;
    }
    if (reply->answer != PERCHE_DIFFERS || job->message.op == 0)
        return false;
    sync_message_move(&question, &job->message);
    w = hub_work_again(h, WORK_REPAIR, job);
    if (w == NULL) {
        sync_message_drop(&question);
        return true; /* refused there */
    }
    (void)snprintf(w->site, sizeof w->site, "%s", job->site);
    w->session = job->session;
    sync_message_move(&w->message, &question);
    sync_message_move(&job->message, &o->message); /* given once the repair is on disk */
    return true;
}

/* ---- all of them -------------------------------------------------------------------- */

static uint64_t session_of(const struct perche_message *m)
{
    switch (m->op) {
    case PERCHE_OP_PUSH: return m->u.push.session;
    case PERCHE_OP_PULL: return m->u.pull.session;
    case PERCHE_OP_ROWS: return m->u.rows.session;
    case PERCHE_OP_DIGEST: return m->u.digest.session;
    case PERCHE_OP_WATCH: return m->u.watch.session;
    case PERCHE_OP_LEAVE: return m->u.leave.session;
    default: return 0;
    }
}

static bool is_large(const struct sync_hub *h, const struct perche_message *m)
{
    if (m->op == PERCHE_OP_PUSH)
        return m->u.push.pending > LARGE_ROWS;
    if (m->op == PERCHE_OP_PULL)
        return h->lsn > m->u.pull.scan && h->lsn - m->u.pull.scan > LARGE_ROWS;
    return false;
}

/* Does the site say that it has pulled what does not exist yet? It has its positions from here, and a hub that was put
 * back has sent it back to one that it knows before there was a session. Taken for true, it would have seen every value. */
static bool is_beyond(const struct sync_hub *h, const struct perche_message *m)
{
    switch (m->op) {
    case PERCHE_OP_PUSH: return m->u.push.full > h->lsn || m->u.push.scan > h->lsn;
    case PERCHE_OP_PULL: return m->u.pull.full > h->lsn || m->u.pull.scan > h->lsn;
    case PERCHE_OP_DIGEST: return m->u.digest.scan > h->lsn;
    case PERCHE_OP_WATCH: return m->u.watch.full > h->lsn || m->u.watch.scan > h->lsn;
    default: return false;
    }
}

static uint32_t pull_bytes(uint32_t asked)
{
    if (asked < PERCHE_BATCH_BYTES_MIN)
        return PERCHE_BATCH_BYTES_MIN;
    return asked < PERCHE_BATCH_BYTES_MAX ? asked : PERCHE_BATCH_BYTES_MAX;
}

void hub_request(struct sync_hub *h, struct pipe *pipe, const struct sync_event *ev)
{
    struct perche_message *m = ev->message;
    struct peer *peer = hub_session_find(h, pipe, session_of(m));
    struct work *w;
    struct job *job;
    uint64_t retry_ms;

    if (peer == NULL) {
        if (hub_pipe_may_ask(h, pipe))
            hub_no(h, pipe->id, ev->request, m->op, PERCHE_NO_SESSION);
        return;
    }
    if (is_beyond(h, m)) {
        hub_bad(h, ev, PERCHE_NO_BAD);
        return;
    }
    peer->last_contact_ms = h->now_ms;
    if (peer->busy >= HUB_BUSY_MAX) {
        hub_no_more(h, pipe->id, ev->request, m->op, PERCHE_NO_LATER, 0, CROWD_MS);
        return;
    }
    if (m->op == PERCHE_OP_WATCH) {
        const struct perche_watch watch = m->u.watch;

        hub_peer_says(h, peer, watch.full, watch.scan, watch.done);
        hub_watch(h, peer, ev->request, &watch);
        return;
    }
    if (!hub_admit(h, peer, is_large(h, m), &retry_ms)) {
        hub_no_more(h, pipe->id, ev->request, m->op, PERCHE_NO_LATER, 0, retry_ms);
        return;
    }
    switch (m->op) {
    case PERCHE_OP_PUSH: push(h, peer, ev); break;
    case PERCHE_OP_PULL:
        hub_peer_says(h, peer, m->u.pull.full, m->u.pull.scan, m->u.pull.done);
        if (m->u.pull.proven_ms > peer->proven_ms && m->u.pull.proven_ms >= peer->session_ms && m->u.pull.proven_ms <= h->now_ms) {
            peer->proven_ms = m->u.pull.proven_ms; /* held against a root that this session was given: an older proof ends no return */
            peer->dirty_soft = true;
        }
        w = session_work(h, WORK_PULL_ANSWER, peer, m->op, ev->request, &job);
        if (w != NULL) {
            w->bytes_max = pull_bytes(m->u.pull.bytes_max);
            sync_message_move(&w->message, m);
        }
        break;
    case PERCHE_OP_ROWS:
        w = session_work(h, WORK_ROWS_ANSWER, peer, m->op, ev->request, &job);
        if (w != NULL)
            sync_message_move(&w->message, m);
        break;
    case PERCHE_OP_DIGEST:
        hub_peer_says(h, peer, m->u.digest.scan, m->u.digest.scan, m->u.digest.done);
        digest(h, peer, ev);
        break;
    case PERCHE_OP_LEAVE:
        w = session_work(h, WORK_LEAVE, peer, m->op, ev->request, &job);
        if (w != NULL)
            sync_message_move(&w->message, m);
        break;
    default: assert(false); /* session_of() knows no other */
    }
    hub_rest(h, peer, peer->early.message.op != 0); /* when nothing could be begun */
}

void hub_answered(struct sync_hub *h, struct job *job, struct outcome *o)
{
    struct peer *peer = job->peer;
    bool ours = job->session == peer->session;
    bool more = false;
    bool left = job->kind == WORK_LEAVE && o->rc == PERCHE_OK && !o->message.refused;
    bool damaged = o->rc == PERCHE_OK && o->message.refused && o->message.u.no.why == PERCHE_NO_BAD;
    struct pipe *pipe;

    if (!ours && !left) { /* a newer session has begun, or none is left */
        hub_no(h, job->pipe, job->request, job->op, PERCHE_NO_SESSION);
        return;
    }
    if (left) { /* on disk: whatever session it may have by now */
        if (ours)
            peer->busy--;
        hub_reply(h, job->pipe, job->request, &o->message);
        hub_peer_out(h, job->site, PERCHE_NO_LEFT);
        return;
    }
    if (job->kind == WORK_PUSH_APPLY)
        more = pushed(h, job, o);
    if (job->kind == WORK_DIGEST_ANSWER && digest_answered(h, job, o))
        return;
    if (job->kind == WORK_REPAIR && o->rc == PERCHE_OK)
        sync_message_move(&o->message, &job->message);
    if (o->rc == PERCHE_OK && (o->message.op != job->op || !o->message.reply))
        o->rc = PERCHE_INTERNAL;
    if (o->rc == PERCHE_OK && job->op == PERCHE_OP_PULL && !o->message.refused) {
        more = o->message.u.pull_reply.more;
        if (o->message.u.pull_reply.asof.lsn > h->lsn)
            h->lsn = o->message.u.pull_reply.asof.lsn;
    }
    if (o->rc == PERCHE_OK && job->op == PERCHE_OP_DIGEST && !o->message.refused)
        more = o->message.u.digest_reply.answer == PERCHE_DIFFERS;
    peer->busy--;
    if (o->rc == PERCHE_OK) {
        hub_reply(h, job->pipe, job->request, &o->message);
    } else {
        hub_work_failed(h, o);
        hub_no_more(h, job->pipe, job->request, job->op, hub_refusal(o->rc), peer->have, 0);
    }
    if (damaged) { /* what was inside did not decode: not of this protocol, or not of this peer */
        h->bad++;
        actions_log(h->out, "hub.bad_message", "site=%s op=%u count=%llu", peer->site, job->op,
                    (unsigned long long)h->bad);
        pipe = hub_pipe_find(h, job->pipe);
        if (pipe != NULL)
            hub_pipe_close(h, pipe, "bad_message");
        return;
    }
    if (job->kind == WORK_PUSH_APPLY && peer->early.message.op != 0)
        apply_early(h, peer);
    hub_rest(h, peer, more);
}
