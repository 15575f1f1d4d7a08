/* The conversation of a hub: where events go, and the works that wait. */
#include "sync/hub.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/actions.h"
#include "sync/message.h"

#define AGAIN_MS     1000u
#define AGAIN_MS_MAX 30000u

/* ---- works and replies --------------------------------------------------- */

void hub_at(struct sync_hub *h, uint64_t ms)
{
    if (ms < h->next_ms)
        h->next_ms = ms;
}

static struct work *add_work(struct sync_hub *h, enum work_kind kind, struct job *job)
{
    struct sync_action *a = actions_add(h->out, SYNC_WORK);

    if (a == NULL)
        return NULL;
    job->tag = ++h->tags;
    job->kind = kind;
    job->next = h->jobs[job->tag % HUB_BUCKETS];
    h->jobs[job->tag % HUB_BUCKETS] = job;
    a->tag = job->tag;
    a->work.kind = kind;
    a->work.tag = job->tag;
    a->work.now_ms = h->now_ms;
    h->ops.random(h->ops.ctx, a->work.random, sizeof a->work.random);
    return &a->work;
}

struct work *hub_work(struct sync_hub *h, enum work_kind kind, struct job **job)
{
    struct work *w;

    *job = calloc(1, sizeof **job);
    if (*job == NULL) {
        h->out->nomem = true; /* the requester hears nothing: the process is about to end */
        return NULL;
    }
    w = add_work(h, kind, *job);
    if (w == NULL)
        free(*job);
    return w;
}

struct work *hub_work_again(struct sync_hub *h, enum work_kind kind, struct job *job)
{
    return add_work(h, kind, job);
}

void hub_reply(struct sync_hub *h, uint64_t pipe, uint64_t request, struct perche_message *m)
{
    struct sync_action *a;

    if (request == 0 || hub_pipe_find(h, pipe) == NULL) {
        sync_message_drop(m); /* nobody is left to hear it */
        return;
    }
    a = actions_add(h->out, SYNC_SEND);
    if (a == NULL) {
        sync_message_drop(m);
        return;
    }
    a->pipe = pipe;
    a->request = request;
    sync_message_move(&a->message, m);
}

static const char *const no_texts[] = {
    [PERCHE_NO_NONE] = "",
    [PERCHE_NO_UNKNOWN] = "The hub does not know this site, or not its key.",
    [PERCHE_NO_REVOKED] = "The hub's operator has revoked this site.",
    [PERCHE_NO_SIGNATURE] = "The challenge was not answered rightly.",
    [PERCHE_NO_VERSION] = "There is no protocol version that both ends speak.",
    [PERCHE_NO_SESSION] = "The session is not proven, or a newer one has ended it.",
    [PERCHE_NO_POSITION] = "The batch does not begin where the hub's copy of the site ends.",
    [PERCHE_NO_CLOCK] = "A stamp is too far ahead of the hub's clock.",
    [PERCHE_NO_BAD] = "The message could not be read.",
    [PERCHE_NO_TOO_LARGE] = "The message is larger than allowed.",
    [PERCHE_NO_LATER] = "The hub is busy; come back at the time given.",
    [PERCHE_NO_DISK] = "The hub could not write to its disk; nothing was taken.",
    [PERCHE_NO_SCHEMA] = "The hub cannot take this with its present tables.",
    [PERCHE_NO_INVITATION_USED] = "The invitation has been used.",
    [PERCHE_NO_INVITATION_EXPIRED] = "The invitation has expired.",
    [PERCHE_NO_INVITATION_UNKNOWN] = "The hub does not know this invitation.",
    [PERCHE_NO_INTERNAL] = "The hub made a mistake; its log says more.",
    [PERCHE_NO_LEFT] = "This site has left the hub; a new invitation lets it come back.",
    [PERCHE_NO_RECOVERY] = "The hub may have been put back from an older copy; it waits for more sites to say so.",
};

void hub_no_more(struct sync_hub *h, uint64_t pipe, uint64_t request, uint8_t op,
                 enum perche_refusal why, uint64_t have, uint64_t retry_ms)
{
    struct perche_message m;

    sync_message_no(&m, op, why, no_texts[why]);
    m.u.no.have = have;
    m.u.no.retry_ms = retry_ms;
    hub_reply(h, pipe, request, &m);
}

void hub_no(struct sync_hub *h, uint64_t pipe, uint64_t request, uint8_t op,
            enum perche_refusal why)
{
    hub_no_more(h, pipe, request, op, why, 0, 0);
}

enum perche_refusal hub_refusal(enum perche_rc rc)
{
    switch (rc) {
    case PERCHE_DISK:
    case PERCHE_FULL:
    case PERCHE_CORRUPT: return PERCHE_NO_DISK; /* our own file's: what a site says that does not decode is an answer of the work */
    case PERCHE_BUSY: /* another program holds the lock */
    case PERCHE_NOMEM: return PERCHE_NO_LATER;
    case PERCHE_TOO_LARGE: return PERCHE_NO_TOO_LARGE;
    case PERCHE_STALE: return PERCHE_NO_POSITION;
    case PERCHE_AUTH: return PERCHE_NO_SESSION;
    case PERCHE_NEWER: return PERCHE_NO_SCHEMA;
    default: return PERCHE_NO_INTERNAL;
    }
}

static struct job *take_job(struct sync_hub *h, uint64_t tag)
{
    struct job **at = &h->jobs[tag % HUB_BUCKETS];
    struct job *job;

    while (*at != NULL && (*at)->tag != tag)
        at = &(*at)->next;
    job = *at;
    if (job != NULL) {
        *at = job->next;
        job->tag = 0;
    }
    return job;
}

static void end_job(struct sync_hub *h, struct job *job)
{
    if (job->proving) {
        struct pipe *pipe = hub_pipe_find(h, job->pipe);

        h->proving--;
        if (pipe != NULL)
            pipe->proving = false;
    }
    sync_message_drop(&job->message);
    free(job);
}

/* ---- own changes ------------------------------------------------------------- */

static void go_on(struct sync_hub *h)
{
    struct job *job;
    struct work *w;

    if (!h->started)
        return;
    if (!h->known) {
        if (h->mono_ms >= h->state_at_ms) {
            h->state_at_ms = UINT64_MAX;
            (void)hub_work(h, WORK_STATE, &job);
        }
        return;
    }
    if (h->mono_ms >= h->look_at_ms)
        h->harvest_due = true;
    if (!h->harvest_due || h->harvesting || h->mono_ms < h->harvest_at_ms)
        return;
    h->harvest_due = false;
    h->look_at_ms = UINT64_MAX;
    h->harvesting = true;
    w = hub_work(h, WORK_HARVEST, &job);
    if (w != NULL)
        w->rows_max = PERCHE_HARVEST_CHUNK_ROWS;
}

void hub_work_failed(struct sync_hub *h, const struct outcome *o)
{
    enum perche_refusal why = hub_refusal(o->rc);

    if (why == PERCHE_NO_DISK || why == PERCHE_NO_LATER || why == PERCHE_NO_INTERNAL)
        actions_log(h->out, "replica.failed", "work=%s rc=%s err=\"%.100s\"", work_name(o->kind),
                    perche_rc_name(o->rc), o->err.text);
}

static uint64_t failed(struct sync_hub *h, const struct outcome *o)
{
    uint64_t wait = (uint64_t)AGAIN_MS << (h->failures < 5 ? h->failures : 5);

    h->failures++;
    wait = h->mono_ms + (wait < AGAIN_MS_MAX ? wait : AGAIN_MS_MAX);
    hub_work_failed(h, o);
    hub_at(h, wait);
    return wait;
}

/* A comparison takes several harvests; other works find something by the way. */
static void say_bypassed(struct sync_hub *h, const struct outcome *o)
{
    h->found += o->found;
    h->restored += o->restored;
    if ((o->kind == WORK_HARVEST && o->more) || h->found + h->restored == 0)
        return;
    actions_log(h->out, "replica.bypassed", "found=%llu restored=%llu",
                (unsigned long long)h->found, (unsigned long long)h->restored);
    h->found = h->restored = 0;
}

static void own_outcome(struct sync_hub *h, enum work_kind kind, const struct outcome *o)
{
    if (kind == WORK_HARVEST)
        h->harvesting = false;
    if (o->rc != PERCHE_OK) {
        if (kind == WORK_STATE) {
            h->state_at_ms = failed(h, o);
        } else {
            h->harvest_due = true;
            h->harvest_at_ms = failed(h, o);
        }
        return;
    }
    h->failures = 0;
    h->harvest_at_ms = 0;
    if (o->look_in_ms > 0) {
        h->look_at_ms = h->mono_ms + o->look_in_ms;
        hub_at(h, h->look_at_ms);
    }
    if (o->retired > 0)
        actions_log(h->out, "hub.retired", "sites=%llu", (unsigned long long)o->retired);
    if (kind == WORK_STATE) {
        h->known = true;
        h->harvest_due = true; /* what was written while the daemon was down */
    } else if (o->more) {
        h->harvest_due = true;
    }
}

/* ---- events -------------------------------------------------------------------- */

static void outcome(struct sync_hub *h, struct outcome *o)
{
    struct job *job = take_job(h, o->tag);

    if (o->rc == PERCHE_OK) {
        hub_wake(h, o);
        if (o->state.lsn > h->lsn)
            h->lsn = o->state.lsn;
    }
    if (job == NULL)
        return;
    o->kind = job->kind;
    if (o->rc == PERCHE_OK)
        say_bypassed(h, o);
    switch (job->kind) {
    case WORK_STATE:
    case WORK_HARVEST: own_outcome(h, job->kind, o); break;
    case WORK_SITE_KEY: hub_prove_keyed(h, job, o); break;
    case WORK_PROVE_JUDGE: hub_prove_judged(h, job, o); break;
    case WORK_ENROL: hub_enrolled(h, job, o); break;
    case WORK_PEER_NOTE: hub_peer_noted(h, job->peer, o); break;
    case WORK_NEWS:
        if (job->session == job->peer->session) {
            job->peer->busy--;
            hub_rest(h, job->peer, job->peer->more);
        }
        hub_watch_news(h, job, o);
        break;
    case WORK_PUSH_APPLY:
    case WORK_PULL_ANSWER:
    case WORK_ROWS_ANSWER:
    case WORK_DIGEST_ANSWER:
    case WORK_LEAVE:
    case WORK_REPAIR: hub_answered(h, job, o); break;
    default: assert(false); /* a hub asks for nothing else */
    }
    if (job->tag == 0) /* it does not wait for another work */
        end_job(h, job);
}

void hub_bad(struct sync_hub *h, const struct sync_event *ev, enum perche_refusal why)
{
    struct pipe *pipe = hub_pipe_get(h, ev->pipe);

    h->bad++;
    actions_log(h->out, "hub.bad_message", "pipe=%llu bytes=%llu count=%llu",
                (unsigned long long)ev->pipe, (unsigned long long)ev->bytes,
                (unsigned long long)h->bad);
    if (pipe == NULL) {
        h->out->nomem = true;
        return;
    }
    hub_no(h, ev->pipe, ev->request,
           ev->message != NULL && ev->message->op != 0 ? ev->message->op : PERCHE_OP_HELLO, why);
    hub_pipe_close(h, pipe, perche_refusal_name(why));
}

static void request(struct sync_hub *h, const struct sync_event *ev)
{
    struct pipe *pipe = hub_pipe_get(h, ev->pipe);

    if (pipe == NULL) {
        h->out->nomem = true;
        return;
    }
    if (ev->message->reply) {
        hub_bad(h, ev, PERCHE_NO_BAD);
        return;
    }
    if (!pipe->proven && ev->bytes > PERCHE_MESSAGE_BYTES_UNPROVEN) {
        hub_bad(h, ev, PERCHE_NO_TOO_LARGE);
        return;
    }
    switch (ev->message->op) {
    case PERCHE_OP_HELLO: hub_hello(h, pipe, ev); break;
    case PERCHE_OP_PROVE: hub_prove(h, pipe, ev); break;
    case PERCHE_OP_ENROL: hub_enrol(h, pipe, ev); break;
    case PERCHE_OP_PUSH:
    case PERCHE_OP_PULL:
    case PERCHE_OP_ROWS:
    case PERCHE_OP_DIGEST:
    case PERCHE_OP_LEAVE:
    case PERCHE_OP_WATCH: hub_request(h, pipe, ev); break;
    default: hub_bad(h, ev, PERCHE_NO_BAD);
    }
}

static void pipe_gone(struct sync_hub *h, uint64_t id)
{
    struct pipe *pipe = hub_pipe_find(h, id);

    if (pipe == NULL)
        return;
    if (pipe->peer != NULL) {
        struct peer *peer = pipe->peer;

        actions_log(h->out, "hub.gone", "site=%s", peer->site);
        peer->watched = false; /* no answers to a pipe that is gone */
        if (peer->wake) {
            peer->wake = false;
            h->wakes--;
        }
        sync_message_drop(&peer->early.message);
    }
    hub_pipe_gone(h, pipe);
}

void hub_peer_out(struct sync_hub *h, const char *site, enum perche_refusal why)
{
    struct peer *peer = hub_peer_find(h, site);

    for (uint32_t i = 0; i < HUB_BUCKETS; i++) {
        for (struct job *job = h->jobs[i]; job != NULL; job = job->next) {
            if (strcmp(job->site, site) == 0)
                job->out = (uint8_t)why;
        }
    }
    if (peer != NULL && peer->pipe != NULL) {
        struct pipe *pipe = peer->pipe;

        hub_session_end(h, peer, why);
        hub_pipe_close(h, pipe, perche_refusal_name(why));
    }
    actions_log(h->out, why == PERCHE_NO_LEFT ? "hub.left" : "hub.revoked", "site=%.*s", PERCHE_ID_BYTES_MAX, site);
}

/* Migrations travel in the answer to `prove`: whoever holds a session is asked to prove again, on the same line; and so is who is
 * being judged, perhaps by what was there before. */
static void schema_moved(struct sync_hub *h)
{
    for (uint32_t i = 0; i < HUB_BUCKETS; i++)
        for (struct job *job = h->jobs[i]; job != NULL; job = job->next)
            if (job->kind == WORK_PROVE_JUDGE && job->out == 0)
                job->out = PERCHE_NO_SESSION;
    for (struct peer *peer = h->all; peer != NULL; peer = peer->all)
        if (peer->pipe != NULL)
            hub_session_end(h, peer, PERCHE_NO_SESSION);
    actions_log(h->out, "hub.schema", "every site is asked to shake hands again");
}

static void time_is_up(struct sync_hub *h)
{
    h->next_ms = UINT64_MAX;
    h->timer_ms = UINT64_MAX;
    if (h->state_at_ms > h->mono_ms && h->state_at_ms != UINT64_MAX)
        hub_at(h, h->state_at_ms);
    if (h->harvest_at_ms > h->mono_ms)
        hub_at(h, h->harvest_at_ms);
    if (h->look_at_ms != UINT64_MAX && h->look_at_ms > h->mono_ms)
        hub_at(h, h->look_at_ms);
    for (struct peer *peer = h->all; peer != NULL; peer = peer->all) {
        if (peer->watched && h->mono_ms >= peer->watch_until_ms)
            hub_watch_answer(h, peer, false);
        else if (peer->watched)
            hub_at(h, peer->watch_until_ms);
        hub_early_expire(h, peer);
        hub_peer_note(h, peer);
        if (!peer->working || peer->busy > 0 || peer->turn_until_ms == UINT64_MAX)
            continue;
        if (h->mono_ms >= peer->turn_until_ms)
            hub_turn_end(h, peer); /* it said there was more, and did not come */
        else
            hub_at(h, peer->turn_until_ms);
    }
}

static void set_timer(struct sync_hub *h)
{
    struct sync_action *a;

    if (h->next_ms == h->timer_ms)
        return;
    a = actions_add(h->out, SYNC_TIMER);
    if (a == NULL)
        return;
    h->timer_ms = h->next_ms;
    a->at_ms = h->next_ms;
}

static void check(const struct sync_hub *h)
{
    hub_pipes_check(h);
    hub_peers_check(h);
    assert(h->proving <= HUB_PROVING_MAX);
}

void sync_hub_step(struct sync_hub *h, const struct sync_event *ev, struct sync_actions *out)
{
    h->now_ms = ev->now_ms;
    h->mono_ms = ev->mono_ms;
    h->out = out;
    h->notes = 0;
    switch (ev->kind) {
    case SYNC_EV_START: h->started = true; break;
    case SYNC_EV_TIME: time_is_up(h); break;
    case SYNC_EV_BAD: hub_bad(h, ev, PERCHE_NO_BAD); break;
    case SYNC_EV_OUTCOME: outcome(h, ev->outcome); break;
    case SYNC_EV_CHANGED: h->harvest_due = true; break;
    case SYNC_EV_REQUEST: request(h, ev); break;
    case SYNC_EV_PIPE_GONE: pipe_gone(h, ev->pipe); break;
    case SYNC_EV_WOKEN: hub_wake(h, ev->outcome); break;
    case SYNC_EV_REVOKED: hub_peer_out(h, ev->site, PERCHE_NO_REVOKED); break;
    case SYNC_EV_SCHEMA: schema_moved(h); break;
    case SYNC_EV_LINE_UP:
    case SYNC_EV_LINE_DOWN:
    case SYNC_EV_REPLY:
    case SYNC_EV_SYNC_NOW:
    case SYNC_EV_LEAVE: break; /* a site's */
    }
    hub_pipes_thin(h);
    hub_wake_some(h);
    go_on(h);
    set_timer(h);
    check(h);
    h->out = NULL;
}

/* ---- making ------------------------------------------------------------------------ */

struct sync_hub *sync_hub_new(const struct sync_hub_config *config)
{
    struct sync_hub *h = calloc(1, sizeof *h);

    if (h == NULL)
        return NULL;
    (void)snprintf(h->hub, sizeof h->hub, "%s", config->hub);
    h->epoch = config->epoch;
    h->watch_ms = config->watch_ms != 0 ? config->watch_ms : 45000;
    h->sessions_max = config->sessions_max != 0 ? config->sessions_max : 64;
    h->ops = config->ops;
    h->next_ms = UINT64_MAX;
    h->timer_ms = h->look_at_ms = UINT64_MAX;
    return h;
}

void sync_hub_free(struct sync_hub *h)
{
    if (h == NULL)
        return;
    for (uint32_t i = 0; i < HUB_BUCKETS; i++) {
        while (h->jobs[i] != NULL) {
            struct job *job = h->jobs[i];

            h->jobs[i] = job->next;
            sync_message_drop(&job->message);
            free(job);
        }
    }
    hub_peers_free(h);
    hub_pipes_free(h);
    free(h);
}
