/* Before a session: hello, prove and enrol. Everything here comes from somebody
 * unknown, so it is small, counted, and costs one look-up before it is believed. */
#include "sync/hub.h"

#include <stdio.h>
#include <string.h>

#include "sync/actions.h"
#include "sync/message.h"

#define LATER_MS 1000u

static bool site_is_plausible(const char *site)
{
    return site != NULL && site[0] != '\0' && strlen(site) < PERCHE_ID_BYTES_MAX;
}

void hub_hello(struct sync_hub *h, struct pipe *pipe, const struct sync_event *ev)
{
    const struct perche_hello *hello = &ev->message->u.hello;
    struct perche_message m = {.op = PERCHE_OP_HELLO, .reply = true};
    struct perche_hello_reply *reply = &m.u.hello_reply;

    if (!hub_pipe_may_ask(h, pipe))
        return;
    if (!site_is_plausible(hello->site)) {
        hub_no(h, pipe->id, ev->request, PERCHE_OP_HELLO, PERCHE_NO_UNKNOWN);
        return;
    }
    if (hello->lowest > hello->highest || hello->lowest > PERCHE_PROTOCOL_HIGHEST ||
        hello->highest < PERCHE_PROTOCOL_LOWEST) {
        hub_no(h, pipe->id, ev->request, PERCHE_OP_HELLO, PERCHE_NO_VERSION);
        return;
    }
    h->ops.random(h->ops.ctx, pipe->challenge, sizeof pipe->challenge);
    pipe->challenged = true;
    pipe->challenge_number = ++h->challenge_numbers;
    pipe->offset_ms = (int64_t)(h->now_ms - hello->clock_ms);
    (void)snprintf(pipe->address, sizeof pipe->address, "%s", ev->address != NULL ? ev->address : "");
    memcpy(reply->challenge, pipe->challenge, sizeof reply->challenge);
    reply->clock_ms = h->now_ms;
    reply->hub = h->hub;
    reply->epoch = h->epoch;
    reply->version =
        hello->highest < PERCHE_PROTOCOL_HIGHEST ? hello->highest : PERCHE_PROTOCOL_HIGHEST;
    hub_reply(h, pipe->id, ev->request, &m);
}

/* A work for somebody without proof: bounded, one for each pipe. */
static struct work *work_unproven(struct sync_hub *h, enum work_kind kind, struct pipe *pipe,
                                  const struct sync_event *ev, struct job **job)
{
    struct work *w;

    if (pipe->proving || h->proving >= HUB_PROVING_MAX) {
        hub_no_more(h, pipe->id, ev->request, ev->message->op, PERCHE_NO_LATER, 0, LATER_MS);
        return NULL;
    }
    w = hub_work(h, kind, job);
    if (w == NULL)
        return NULL;
    (*job)->request = ev->request;
    (*job)->pipe = pipe->id;
    (*job)->op = ev->message->op;
    (*job)->proving = true;
    pipe->proving = true;
    h->proving++;
    return w;
}

void hub_prove(struct sync_hub *h, struct pipe *pipe, const struct sync_event *ev)
{
    const char *site = ev->message->u.prove.site;
    struct work *w;
    struct job *job;

    if (!hub_pipe_may_ask(h, pipe))
        return;
    if (!pipe->challenged || !site_is_plausible(site)) {
        hub_no(h, pipe->id, ev->request, PERCHE_OP_PROVE,
               pipe->challenged ? PERCHE_NO_UNKNOWN : PERCHE_NO_SESSION);
        return;
    }
    w = work_unproven(h, WORK_SITE_KEY, pipe, ev, &job);
    if (w == NULL)
        return;
    pipe->challenged = false; /* a challenge is good for one answer */
    memcpy(job->challenge, pipe->challenge, sizeof job->challenge);
    job->challenge_number = pipe->challenge_number;
    (void)snprintf(job->site, sizeof job->site, "%s", site);
    (void)snprintf(w->site, sizeof w->site, "%s", site);
    sync_message_move(&job->message, ev->message);
}

static bool signature_is_right(const struct sync_hub *h, const struct job *job,
                               const struct member *member)
{
    struct perche_buf buf = {0};
    const struct perche_prove *prove = &job->message.u.prove;
    bool right = perche_prove_signed(prove, job->challenge, h->hub, &buf) == PERCHE_OK &&
                 h->ops.verify(h->ops.ctx, member->public_key, buf.p, buf.n, prove->signature);

    perche_buf_free(&buf);
    return right;
}

static void refuse(struct sync_hub *h, const struct job *job, enum perche_refusal why)
{
    actions_log(h->out, "hub.refused", "pipe=%llu op=%u why=%s", (unsigned long long)job->pipe,
                job->op, perche_refusal_name(why));
    hub_no(h, job->pipe, job->request, job->op, why);
}

/* A slow line may bring a proof after its process has ended, and after the next one has proven itself on a line of its own. A
 * machine that still speaks there hears "session", says hello, and answers a newer challenge. */
static bool is_late(const struct job *job, const struct peer *peer)
{
    return peer != NULL && job->challenge_number < peer->answered;
}

void hub_prove_keyed(struct sync_hub *h, struct job *job, struct outcome *o)
{
    const struct pipe *pipe = hub_pipe_find(h, job->pipe);
    struct peer *peer = hub_peer_find(h, job->site);
    struct work *w;

    if (pipe == NULL)
        return; /* nobody is left to end a session for */
    if (o->rc != PERCHE_OK) {
        refuse(h, job, o->rc == PERCHE_NOT_FOUND ? PERCHE_NO_UNKNOWN : hub_refusal(o->rc));
        return;
    }
    if (!o->member.known) {
        refuse(h, job, PERCHE_NO_UNKNOWN);
        return;
    }
    if (o->member.revoked || o->member.left || job->out != 0) {
        refuse(h, job, job->out != 0 ? (enum perche_refusal)job->out : o->member.revoked ? PERCHE_NO_REVOKED : PERCHE_NO_LEFT);
        return;
    }
    if (!signature_is_right(h, job, &o->member)) {
        refuse(h, job, PERCHE_NO_SIGNATURE);
        return;
    }
    if (is_late(job, peer)) {
        refuse(h, job, PERCHE_NO_SESSION);
        return;
    }
    if (peer != NULL)
        peer->answered = job->challenge_number;
    w = hub_work_again(h, WORK_PROVE_JUDGE, job);
    if (w == NULL)
        return;
    do {
        h->ops.random(h->ops.ctx, (uint8_t *)&job->session, sizeof job->session);
        job->session &= INT64_MAX; /* fits a column of SQLite */
    } while (job->session == 0);
    (void)snprintf(w->site, sizeof w->site, "%s", job->site);
    w->session = job->session;
    /* A site drops a line before it dials again: one that speaks on after another has proven itself is a second machine. */
    w->two_machines = pipe->was != NULL && strcmp(pipe->was->site, job->site) == 0;
    w->args = strdup(pipe->address);
    h->out->nomem |= w->args == NULL;
    sync_message_move(&w->message, &job->message);
}

void hub_prove_judged(struct sync_hub *h, struct job *job, struct outcome *o)
{
    struct pipe *pipe = hub_pipe_find(h, job->pipe);
    struct perche_prove_reply *reply = &o->message.u.prove_reply;
    struct peer *peer;

    if (o->rc != PERCHE_OK || o->message.op != PERCHE_OP_PROVE || !o->message.reply) {
        refuse(h, job, o->rc != PERCHE_OK ? hub_refusal(o->rc) : PERCHE_NO_INTERNAL);
        return;
    }
    if (job->out != 0) { /* while it was being judged */
        refuse(h, job, (enum perche_refusal)job->out);
        return;
    }
    if (o->message.refused) {
        hub_reply(h, job->pipe, job->request, &o->message);
        return;
    }
    if (reply->asof.lsn > h->lsn)
        h->lsn = reply->asof.lsn;
    if (reply->verdict == PERCHE_RESTORED) { /* it says hello again, in a new epoch: no session until then */
        reply->session = 0;
        actions_log(h->out, "hub.restored", "site=%s", job->site);
        hub_reply(h, job->pipe, job->request, &o->message);
        return;
    }
    peer = reply->verdict == PERCHE_TWO_MACHINES ? NULL : hub_peer_get(h, job->site);
    if (peer == NULL && reply->verdict != PERCHE_TWO_MACHINES) {
        refuse(h, job, PERCHE_NO_INTERNAL);
        return;
    }
    if (peer == NULL) { /* both machines stop */
        peer = hub_peer_find(h, job->site);
        if (peer != NULL)
            hub_session_end(h, peer, PERCHE_NO_SESSION);
        reply->session = 0;
        actions_log(h->out, "hub.two_machines", "site=%s address=%s", job->site, pipe != NULL ? pipe->address : "");
    } else if (pipe == NULL || is_late(job, peer)) { /* what is stored is the new session, which nobody holds */
        hub_session_end(h, peer, PERCHE_NO_SESSION);
        refuse(h, job, PERCHE_NO_SESSION);
        return;
    } else {
        peer->answered = job->challenge_number;
        reply->session = job->session;
        hub_session_begin(h, peer, pipe, job->session, reply->have);
    }
    hub_reply(h, job->pipe, job->request, &o->message);
}

void hub_enrol(struct sync_hub *h, struct pipe *pipe, const struct sync_event *ev)
{
    struct work *w;
    struct job *job;

    if (!hub_pipe_may_ask(h, pipe))
        return;
    w = work_unproven(h, WORK_ENROL, pipe, ev, &job);
    if (w != NULL)
        sync_message_move(&w->message, ev->message);
}

void hub_enrolled(struct sync_hub *h, struct job *job, struct outcome *o)
{
    if (o->rc != PERCHE_OK || o->message.op != PERCHE_OP_ENROL || !o->message.reply) {
        refuse(h, job, o->rc != PERCHE_OK ? hub_refusal(o->rc) : PERCHE_NO_INTERNAL);
        return;
    }
    hub_reply(h, job->pipe, job->request, &o->message);
}
