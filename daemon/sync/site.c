/* The conversation of a site: what an event changes, and what comes next. */
#include "sync/site.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/actions.h"
#include "sync/message.h"

#define REPLY_MS       30000u  /* for an answer, beside the line time */
#define WATCH_REPLY_MS 120000u /* the hub answers after 45 s at the latest */
#define DIAL_MS        60000u  /* for the runner to say up or down */
#define PATIENCE_MAX   64u
#define LINE_MS_MAX    1800000u /* beyond that a line is dead: 16 MiB at 10 kB/s take it */
#define SHAKES_MAX     3u       /* in a row without anything done; then after a wait */
#define SETTLE_MS      1000u    /* live: edits come in groups, one comparison serves them all */
#define WATCH_IDLE_MS  1000u /* a watch that ends faster, with nothing, is not repeated at once */
#define SYNC_WAIT_MS   60000u

/* ---- states ------------------------------------------------------------- */

static const char *const state_names[SYNC_STATE_COUNT] = {
    [SYNC_UNJOINED] = "unjoined", [SYNC_OFFLINE] = "offline", [SYNC_CONNECTING] = "connecting",
    [SYNC_SYNCING] = "syncing",   [SYNC_LIVE] = "live",       [SYNC_REFUSED] = "refused",
    [SYNC_HELD] = "held",
};

const char *sync_state_name(enum sync_state state)
{
    return (unsigned)state < SYNC_STATE_COUNT ? state_names[state] : "unknown";
}

#define TO(state) (1u << (state))

static const unsigned allowed[SYNC_STATE_COUNT] = {
    [SYNC_UNJOINED] = 0, /* joining makes a new conversation */
    [SYNC_OFFLINE] = TO(SYNC_CONNECTING),
    [SYNC_CONNECTING] = TO(SYNC_SYNCING) | TO(SYNC_OFFLINE) | TO(SYNC_REFUSED) | TO(SYNC_HELD),
    [SYNC_SYNCING] = TO(SYNC_LIVE) | TO(SYNC_CONNECTING) | TO(SYNC_OFFLINE) | TO(SYNC_REFUSED),
    [SYNC_LIVE] = TO(SYNC_SYNCING) | TO(SYNC_CONNECTING) | TO(SYNC_OFFLINE) | TO(SYNC_REFUSED),
    [SYNC_REFUSED] = TO(SYNC_CONNECTING),
    [SYNC_HELD] = TO(SYNC_CONNECTING),
};

void site_become(struct sync_site *s, enum sync_state next, const char *reason)
{
    if (next != s->state) {
        assert(allowed[s->state] & TO(next));
        s->state = next; /* the only writer */
    }
    s->reason = reason;
}

/* ---- works ---------------------------------------------------------------- */

struct work *site_work(struct sync_site *s, enum work_kind kind)
{
    struct site_job *job = NULL;
    struct sync_action *a;

    for (uint32_t i = 0; i < SITE_JOBS_MAX && job == NULL; i++) {
        if (s->jobs[i].tag == 0)
            job = &s->jobs[i];
    }
    assert(job != NULL); /* no talk begins while works of an earlier one are under way */
    *job = (struct site_job){.tag = ++s->tags, .kind = kind, .talk_number = s->talk_number};
    a = actions_add(s->out, SYNC_WORK);
    if (a == NULL)
        return NULL;
    a->tag = job->tag;
    a->work.kind = kind;
    a->work.tag = job->tag;
    a->work.now_ms = s->now_ms;
    s->ops.random(s->ops.ctx, a->work.random, sizeof a->work.random);
    return &a->work;
}

static bool of_the_talk(enum work_kind kind)
{
    return kind != WORK_HARVEST && kind != WORK_STATE;
}

bool site_jobs_talking(const struct sync_site *s)
{
    for (uint32_t i = 0; i < SITE_JOBS_MAX; i++) {
        if (s->jobs[i].tag != 0 && of_the_talk(s->jobs[i].kind))
            return true;
    }
    return false;
}

static const char *failure_reason(enum perche_rc rc)
{
    return rc == PERCHE_FULL ? "disk" : perche_rc_name(rc);
}

static void log_failure(struct sync_site *s, const struct outcome *o)
{
    actions_log(s->out, "replica.failed", "work=%s rc=%s err=\"%.100s\"", work_name(o->kind),
                perche_rc_name(o->rc), o->err.text);
}

void site_work_failed(struct sync_site *s, const struct outcome *o)
{
    log_failure(s, o);
    if (o->rc == PERCHE_STALE) {
        site_shake_again(s, failure_reason(o->rc));
        return;
    }
    if ((o->rc == PERCHE_CORRUPT || o->rc == PERCHE_TOO_LARGE) && s->line_up && (o->kind == WORK_PULL_APPLY || o->kind == WORK_ROWS_APPLY)) {
        site_bad_reply(s, "a batch that does not decode");
        return;
    }
    /* The hub may have what was sent. A batch that begins there anew is no news to it, and its answer would count what
     * was written since as acknowledged: only a handshake says what it has. */
    if (s->window.count > 0)
        site_shake_again(s, failure_reason(o->rc));
    else
        site_cut_talk(s);
    site_hold(s, backoff_next_ms(&s->trouble, &s->ops), false, failure_reason(o->rc));
}

/* ---- the line --------------------------------------------------------------- */

void site_send(struct sync_site *s, uint32_t channel, struct perche_message *m, uint64_t up,
               uint64_t down)
{
    struct channel *c = &s->channels[channel];
    struct sync_action *a;
    uint64_t allowance = batch_size_allowance_ms(&s->up, up) + batch_size_allowance_ms(&s->down, down);
    uint32_t patience = s->patience[m->op];

    if (patience > 1) /* it held more than was thought */
        allowance = patience * (allowance > REPLY_MS ? allowance : REPLY_MS);
    assert(s->line_up && c->op == 0);
    *c = (struct channel){
        .op = m->op, .tag = ++s->tags, .session = s->session, .sent_ms = s->mono_ms};
    c->deadline_ms = s->mono_ms + (channel == CHANNEL_WATCH ? WATCH_REPLY_MS : REPLY_MS);
    c->deadline_ms += allowance < LINE_MS_MAX ? allowance : LINE_MS_MAX;
    a = actions_add(s->out, SYNC_SEND);
    if (a == NULL) {
        sync_message_drop(m);
        return;
    }
    a->channel = channel;
    a->tag = c->tag;
    sync_message_move(&a->message, m);
}

void site_pace(struct sync_site *s, uint64_t bytes)
{
    if (s->max_rate == 0)
        return;
    if (s->pace_until_ms < s->mono_ms)
        s->pace_until_ms = s->mono_ms;
    s->pace_until_ms += bytes * 1000 / s->max_rate;
}

void site_hold(struct sync_site *s, uint64_t ms, bool turn, const char *reason)
{
    s->hold_until_ms = s->mono_ms + ms;
    s->hold_is_turn = turn;
    site_become(s, s->state, reason);
}

void site_progress(struct sync_site *s)
{
    backoff_reset(&s->trouble);
    s->shakes = 0;
    site_become(s, s->state, s->differs > 0 ? "differs" : "");
}

void site_in_time(struct sync_site *s, uint8_t op)
{
    s->patience[op] = 1;
}

/* Whose answer may be as large as one row is, or all migrations are. */
static bool is_sized(uint8_t op)
{
    return op != PERCHE_OP_HELLO && op != PERCHE_OP_WATCH && op != PERCHE_OP_LEAVE;
}

void site_changed(struct sync_site *s)
{
    if (s->changes == s->compared)
        s->changed_at_ms = s->mono_ms;
    s->changes++;
    if (s->state == SYNC_LIVE && s->waiters.count == 0 && s->later == 0 && s->differs == 0) {
        s->compare_at_ms = s->mono_ms + SETTLE_MS;
        if (s->compare_at_ms > s->changed_at_ms + s->interval_ms)
            s->compare_at_ms = s->changed_at_ms + s->interval_ms; /* not put off for ever */
    }
}

void site_cut_talk(struct sync_site *s)
{
    if (s->window.count > 0 || s->building)
        s->push_due = true;
    if (s->talk == TALK_PULL_BUILD || s->talk == TALK_PULL || s->talk == TALK_PULL_APPLY)
        s->pull_due = true;
    for (uint32_t i = CHANNEL_TALK; i <= CHANNEL_SECOND; i++)
        s->channels[i].stale = s->channels[i].op != 0;
    for (uint32_t i = 0; i < s->window.count; i++)
        if (!(s->window.batch[i].answered && s->window.batch[i].reply.refused) && s->window.batch[i].to > s->taken_perhaps)
            s->taken_perhaps = s->window.batch[i].to;
    window_clear(&s->window);
    s->building = false;
    s->talk = TALK_NONE;
    s->talk_number++;
}

void site_shake_again(struct sync_site *s, const char *reason)
{
    site_cut_talk(s);
    s->proven = false;
    s->session = 0;
    site_become(s, SYNC_CONNECTING, reason);
    if (++s->shakes > SHAKES_MAX)
        site_hold(s, backoff_next_ms(&s->trouble, &s->ops), false, reason);
}

/* The line is no more: what was under way on it comes back to nobody. */
static void forget_line(struct sync_site *s)
{
    if (window_bytes(&s->window) > 0)
        batch_size_cut(&s->up);
    if (s->talk == TALK_PULL)
        batch_size_cut(&s->down);
    site_cut_talk(s);
    memset(s->channels, 0, sizeof s->channels);
    s->line_up = false;
    s->dialling = false;
    s->proven = false;
    s->session = 0;
    s->hold_until_ms = 0;
    s->hold_is_turn = false;
    s->watch_at_ms = 0;
}

static void disconnect(struct sync_site *s, const char *reason)
{
    struct sync_action *a = actions_add(s->out, SYNC_DISCONNECT);

    if (a != NULL)
        a->reason = reason;
    forget_line(s);
}

static void go_offline(struct sync_site *s, const char *reason, uint64_t wait_ms)
{
    site_become(s, SYNC_OFFLINE, reason);
    s->try_at_ms = s->mono_ms + wait_ms;
    actions_log(s->out, "uplink.lost", "why=%s retry_ms=%llu", reason, (unsigned long long)wait_ms);
}

void site_drop_line(struct sync_site *s, const char *reason)
{
    disconnect(s, reason);
    go_offline(s, reason, backoff_next_ms(&s->trouble, &s->ops));
}

void site_bad_reply(struct sync_site *s, const char *what)
{
    actions_log(s->out, "sync.bad_reply", "%s", what);
    site_drop_line(s, "bad_message");
}

static void synced(struct sync_site *s, uint64_t tag, const char *missing)
{
    struct sync_action *a = actions_add(s->out, SYNC_SYNCED);

    if (a == NULL)
        return;
    a->tag = tag;
    a->reason = missing;
}

void site_give_up(struct sync_site *s, enum sync_state state, const char *reason)
{
    uint64_t tag;
    uint64_t wait_ms = backoff_slow_ms(&s->ops);

    disconnect(s, reason);
    site_become(s, state, reason);
    s->try_at_ms = s->mono_ms + wait_ms;
    actions_log(s->out, state == SYNC_HELD ? "sync.held" : "sync.given_up", "why=%s retry_ms=%llu",
                reason, (unsigned long long)wait_ms);
    while (waiters_take_any(&s->waiters, &tag))
        synced(s, tag, "offline");
    site_leave_end(s, strcmp(reason, perche_refusal_name(PERCHE_NO_LEFT)) == 0 ? NULL : reason, NULL);
}

/* Reason codes that a line may be lost for; event reasons are the runner's. */
static const char *line_reason(const char *reason)
{
    static const char *const known[] = {"refused", "certificate", "timeout", "name",
                                        "route",   "port",        "clock"};

    for (size_t i = 0; reason != NULL && i < sizeof known / sizeof *known; i++) {
        if (strcmp(reason, known[i]) == 0)
            return known[i];
    }
    return "lost";
}

static void line_down(struct sync_site *s, const char *why)
{
    const char *reason = line_reason(why);
    bool no_answer = s->dialling;

    if (!s->line_up && !s->dialling)
        return; /* given up already */
    forget_line(s);
    go_offline(s, reason,
               strcmp(reason, "refused") == 0 ? backoff_refused_ms(&s->ops)
                                              : backoff_next_ms(&s->line_backoff, &s->ops));
    if (no_answer)
        site_leave_end(s, "offline", reason);
}

static void line_up(struct sync_site *s)
{
    if (s->state == SYNC_UNJOINED) {
        disconnect(s, "unjoined");
        return;
    }
    forget_line(s); /* one pipe at a time */
    s->line_up = true;
    site_become(s, SYNC_CONNECTING, "");
    actions_log(s->out, "uplink.up", "hub=%s", s->hub);
}

static void dial(struct sync_site *s)
{
    s->dialling = true;
    s->dial_deadline_ms = s->mono_ms + DIAL_MS;
    site_become(s, SYNC_CONNECTING, "");
    (void)actions_add(s->out, SYNC_CONNECT);
}

/* ---- answers ------------------------------------------------------------------ */

static void watch_answered(struct sync_site *s, const struct channel *c,
                           const struct perche_message *m)
{
    if (m->refused) {
        site_watch_refused(s, c->session, &m->u.no);
        return;
    }
    if (c->session != s->session || !s->proven)
        return; /* of a session that has ended */
    if (m->u.watch_reply.news) {
        s->idle_news = s->news_scan == s->st.scan ? s->idle_news + 1 : 0;
        s->news_scan = s->st.scan;
        s->pull_due = true;
        if (s->idle_news > 0) { /* the pull after the last news moved nothing */
            uint64_t wait = (uint64_t)WATCH_IDLE_MS << (s->idle_news < 10 ? s->idle_news - 1 : 9);

            s->watch_at_ms = s->mono_ms + (wait < s->interval_ms ? wait : s->interval_ms);
        }
    } else if (s->mono_ms < c->sent_ms + WATCH_IDLE_MS) {
        s->watch_at_ms = s->mono_ms + WATCH_IDLE_MS;
    }
}

/* A reply of an earlier batch or question, or of another machine's. */
static bool is_late(struct sync_site *s, uint32_t channel, const struct perche_message *m)
{
    struct window_batch *b;

    if (m->refused)
        return false;
    if (m->op == PERCHE_OP_PULL)
        return site_pull_is_late(s, m);
    if (m->op == PERCHE_OP_PUSH) {
        b = window_on(&s->window, channel);
        return b != NULL && m->u.push_reply.have < b->to;
    }
    return false;
}

static void reply(struct sync_site *s, const struct sync_event *ev)
{
    struct perche_message *m = ev->message;
    struct channel *c, was;
    uint64_t line_ms;

    if (!s->line_up || ev->channel >= SYNC_CHANNELS)
        return;
    c = &s->channels[ev->channel];
    if (c->op == 0 || ev->tag != c->tag) {
        actions_log(s->out, "sync.late_reply", "channel=%u op=%u", ev->channel, m->op);
        return;
    }
    s->view.last_contact_ms = s->now_ms;
    s->view.bytes_in += ev->bytes;
    /* A message that the hub could not read is refused without its op. */
    if (!m->reply || (m->op != c->op && !(m->refused && m->u.no.why == PERCHE_NO_BAD))) {
        site_bad_reply(s, "an answer to something else");
        return;
    }
    if (!c->stale && is_late(s, ev->channel, m)) {
        actions_log(s->out, "sync.late_reply", "channel=%u op=%u", ev->channel, m->op);
        return; /* the true one may still come */
    }
    was = *c;
    memset(c, 0, sizeof *c);
    if (was.stale)
        return;
    line_ms = ev->line_ms != 0 ? ev->line_ms : s->mono_ms - was.sent_ms;
    if (ev->channel == CHANNEL_WATCH) {
        watch_answered(s, &was, m);
        return;
    }
    if (was.op == PERCHE_OP_PUSH) { /* refused or not: in the order of the batches */
        site_push_answered(s, ev->channel, m, line_ms);
        return;
    }
    if (m->refused) {
        site_refused(s, was.op, &m->u.no);
        return;
    }
    switch (was.op) {
    case PERCHE_OP_HELLO: site_hello_answered(s, ev, line_ms); break;
    case PERCHE_OP_PROVE: site_in_time(s, was.op); site_prove_answered(s, m); break;
    case PERCHE_OP_PULL: site_in_time(s, was.op); site_pull_answered(s, m, ev->bytes, line_ms); break;
    case PERCHE_OP_ROWS: site_in_time(s, was.op); site_rows_answered(s, m, ev->bytes); break;
    case PERCHE_OP_DIGEST: site_digest_answered(s, m); break;
    case PERCHE_OP_LEAVE: site_leave_answered(s); break;
    default: assert(false); /* nothing else is sent on this channel */
    }
}

/* A comparison takes several harvests; other works find something by the way. */
static void say_bypassed(struct sync_site *s, const struct outcome *o)
{
    s->found += o->found;
    s->restored += o->restored;
    if ((o->kind == WORK_HARVEST && o->more) || s->found + s->restored == 0)
        return;
    actions_log(s->out, "replica.bypassed", "found=%llu restored=%llu",
                (unsigned long long)s->found, (unsigned long long)s->restored);
    s->found = s->restored = 0;
}

static void harvested(struct sync_site *s, struct outcome *o)
{
    s->harvesting = false;
    if (o->rc != PERCHE_OK) {
        log_failure(s, o);
        s->harvest_due = true;
        s->harvest_at_ms = s->mono_ms + backoff_next_ms(&s->harvest_backoff, &s->ops);
        site_become(s, s->state, failure_reason(o->rc));
        return;
    }
    if (s->harvest_backoff.tries > 0)
        site_become(s, s->state, "");
    backoff_reset(&s->harvest_backoff);
    s->harvest_at_ms = 0;
    if (o->rows > 0)
        site_changed(s);
    if (s->st.pending > 0)
        s->push_due = true;
    if (o->more) {
        s->harvest_due = true;
    } else {
        waiters_harvested(&s->waiters, s->harvest_number, s->st.lsn, &s->changes);
        waiters_state(&s->waiters, &s->st);
    }
}

static void state_read(struct sync_site *s, struct outcome *o)
{
    if (o->rc != PERCHE_OK) {
        log_failure(s, o);
        s->state_at_ms = s->mono_ms + backoff_next_ms(&s->trouble, &s->ops);
        site_become(s, s->state, failure_reason(o->rc));
        return;
    }
    backoff_reset(&s->trouble);
    s->known = true;
    s->try_at_ms = s->mono_ms;
    s->harvest_due = true; /* what was written while the daemon was down */
    site_become(s, s->state, "");
}

/* The work of a talk that was cut: what it did is done all the same. */
static void stale_outcome(struct sync_site *s, struct outcome *o)
{
    if (o->rc != PERCHE_OK)
        return;
    if (o->kind == WORK_ROWS_APPLY)
        sync_message_drop(&s->rows);
    if (o->kind == WORK_PULL_APPLY || o->kind == WORK_ROWS_APPLY) {
        s->view.rows_in += o->rows;
        site_changed(s);
    }
    site_take_rows(s, &o->message);
}

static void outcome(struct sync_site *s, struct outcome *o)
{
    struct site_job job = {0};

    for (uint32_t i = 0; i < SITE_JOBS_MAX; i++) {
        if (s->jobs[i].tag != 0 && s->jobs[i].tag == o->tag) {
            job = s->jobs[i];
            s->jobs[i].tag = 0;
        }
    }
    if (job.tag == 0)
        return;
    o->kind = job.kind;
    if (o->rc == PERCHE_OK)
        say_bypassed(s, o);
    if (o->rc == PERCHE_OK && (work_writes(job.kind) || job.kind == WORK_STATE)) {
        s->st = o->state; /* writes come back in order; a reader's view may be older */
        waiters_state(&s->waiters, &s->st);
    }
    if (of_the_talk(job.kind) && job.talk_number != s->talk_number) {
        stale_outcome(s, o);
        return;
    }
    switch (job.kind) {
    case WORK_STATE: state_read(s, o); break;
    case WORK_HARVEST: harvested(s, o); break;
    case WORK_PROVE_BUILD: site_prove_built(s, o); break;
    case WORK_PROVED: site_proved(s, o); break;
    case WORK_PUSH_BUILD: site_push_built(s, o); break;
    case WORK_PUSH_ACKED: site_push_acked(s, o); break;
    case WORK_PULL_BUILD: site_pull_built(s, o); break;
    case WORK_PULL_APPLY: site_pull_applied(s, o); break;
    case WORK_ROWS_APPLY: site_rows_applied(s, o); break;
    case WORK_DIGEST_BUILD: site_digest_built(s, o); break;
    case WORK_DIGEST_TAKE: site_digest_taken(s, o); break;
    case WORK_LEAVE_BUILD: site_leave_built(s, o); break;
    default: assert(false); /* a site asks for nothing else */
    }
}

static void sync_now(struct sync_site *s, const struct sync_event *ev)
{
    struct waiter waiter = {
        .tag = ev->tag, .asked_ms = s->mono_ms, .harvest = s->harvest_number + 1};

    waiter.deadline_ms = s->mono_ms + (ev->timeout_ms != 0 ? ev->timeout_ms : SYNC_WAIT_MS);
    s->harvest_due = true;
    s->harvest_at_ms = 0;
    s->changes++;
    s->compare_at_ms = s->mono_ms;
    s->later = 0;
    if (!s->hold_is_turn)
        s->hold_until_ms = 0;
    s->try_at_ms = s->mono_ms;
    if (ev->wait && (s->state == SYNC_UNJOINED || !waiters_add(&s->waiters, &waiter)))
        synced(s, ev->tag, s->state == SYNC_UNJOINED ? "offline" : "busy");
}

/* ---- what comes next ------------------------------------------------------------ */

static void expire(struct sync_site *s)
{
    const char *missing;
    uint64_t tag;

    for (uint32_t i = 0; i < SYNC_CHANNELS; i++) {
        const struct channel *c = &s->channels[i];

        if (c->op == 0 || s->mono_ms < c->deadline_ms)
            continue;
        actions_log(s->out, "uplink.timeout", "op=%u waited_ms=%llu", c->op,
                    (unsigned long long)(s->mono_ms - c->sent_ms));
        if (is_sized(c->op) && s->patience[c->op] < PATIENCE_MAX)
            s->patience[c->op] *= 2;
        site_drop_line(s, "timeout");
        break;
    }
    if (s->dialling && s->mono_ms >= s->dial_deadline_ms) {
        disconnect(s, "timeout");
        go_offline(s, "timeout", backoff_next_ms(&s->line_backoff, &s->ops));
    }
    while (waiters_take_late(&s->waiters, s->mono_ms, s->proven, &tag, &missing))
        synced(s, tag, missing);
    if (s->leave_asked && s->mono_ms >= s->leave_until_ms)
        site_leave_end(s, s->proven ? "timeout" : "offline", s->reason);
}

static void local_go_on(struct sync_site *s)
{
    struct work *w;

    if (!s->started)
        return;
    if (!s->known) {
        if (s->mono_ms >= s->state_at_ms) {
            s->state_at_ms = UINT64_MAX;
            (void)site_work(s, WORK_STATE);
        }
        return;
    }
    if (!s->harvest_due || s->harvesting || s->mono_ms < s->harvest_at_ms)
        return;
    s->harvest_due = false;
    s->harvesting = true;
    s->harvest_number++;
    w = site_work(s, WORK_HARVEST);
    if (w != NULL)
        w->rows_max = PERCHE_HARVEST_CHUNK_ROWS;
}

static void line_go_on(struct sync_site *s)
{
    if (s->state != SYNC_UNJOINED && s->known && !s->line_up && !s->dialling &&
        s->mono_ms >= s->try_at_ms)
        dial(s);
}

static void talk_go_on(struct sync_site *s)
{
    if (s->talk == TALK_PUSH)
        site_push(s);
    if (s->talk != TALK_NONE || !s->line_up || s->mono_ms < s->hold_until_ms)
        return;
    s->hold_is_turn = false;
    if (s->channels[CHANNEL_TALK].op != 0 || site_jobs_talking(s))
        return; /* of a talk that was cut */
    if (!s->proven) {
        site_hello(s);
        return;
    }
    if (s->leave_asked) {
        site_leave(s);
        return;
    }
    if (s->mono_ms < s->pace_until_ms)
        return;
    if (s->rows.op != 0)
        site_rows(s);
    else if (s->push_due && !(s->pull_due && s->pushed_last))
        site_push(s);
    else if (s->pull_due)
        site_pull(s);
    if (s->talk != TALK_NONE)
        return;
    if (site_compare_is_due(s)) {
        site_compare(s);
    } else if (s->state == SYNC_SYNCING) {
        site_become(s, SYNC_LIVE, s->differs > 0 ? "differs" : s->reason);
        actions_log(s->out, "sync.live", "acked=%llu scan=%llu", (unsigned long long)s->st.acked,
                    (unsigned long long)s->st.scan);
    }
}

static void watch_go_on(struct sync_site *s)
{
    struct perche_message m = {.op = PERCHE_OP_WATCH};

    if (s->state != SYNC_LIVE || s->channels[CHANNEL_WATCH].op != 0 || s->pull_due ||
        s->mono_ms < s->watch_at_ms)
        return;
    if (s->talk == TALK_PULL_BUILD || s->talk == TALK_PULL || s->talk == TALK_PULL_APPLY)
        return; /* parked at the position that this reaches */
    m.u.watch.session = s->session;
    m.u.watch.full = s->st.full;
    m.u.watch.scan = s->st.scan;
    m.u.watch.done = s->st.done;
    site_send(s, CHANNEL_WATCH, &m, 0, 0);
}

static void tell(struct sync_site *s)
{
    if (s->state == s->told_state && strcmp(s->reason, s->told_reason) == 0 &&
        s->st.proven_ms == s->told_proven_ms)
        return;
    s->told_state = s->state;
    s->told_reason = s->reason;
    s->told_proven_ms = s->st.proven_ms;
    (void)actions_add(s->out, SYNC_STATE);
}

static void earliest(const struct sync_site *s, uint64_t *next, uint64_t at)
{
    if (at > s->mono_ms && at < *next)
        *next = at; /* what is due already waits for something else than time */
}

static void set_timer(struct sync_site *s)
{
    uint64_t next = UINT64_MAX;
    struct sync_action *a;

    earliest(s, &next, waiters_next_ms(&s->waiters));
    if (s->leave_asked)
        earliest(s, &next, s->leave_until_ms);
    if (!s->known)
        earliest(s, &next, s->state_at_ms);
    if (s->harvest_due && !s->harvesting)
        earliest(s, &next, s->harvest_at_ms);
    if (s->dialling)
        earliest(s, &next, s->dial_deadline_ms);
    else if (s->known && !s->line_up && s->state != SYNC_UNJOINED)
        earliest(s, &next, s->try_at_ms);
    for (uint32_t i = 0; i < SYNC_CHANNELS; i++) {
        if (s->channels[i].op != 0)
            earliest(s, &next, s->channels[i].deadline_ms);
    }
    if (s->line_up) {
        earliest(s, &next, s->hold_until_ms);
        earliest(s, &next, s->pace_until_ms);
        if (s->changes != s->compared)
            earliest(s, &next, s->compare_at_ms);
        if (s->state == SYNC_LIVE && s->channels[CHANNEL_WATCH].op == 0)
            earliest(s, &next, s->watch_at_ms);
    }
    if (next == s->timer_ms || next == UINT64_MAX)
        return;
    a = actions_add(s->out, SYNC_TIMER);
    if (a == NULL)
        return;
    s->timer_ms = next;
    a->at_ms = next;
}

static void check(const struct sync_site *s)
{
    const struct channel *talk = &s->channels[CHANNEL_TALK];
    const struct channel *second = &s->channels[CHANNEL_SECOND];
    const struct channel *watch = &s->channels[CHANNEL_WATCH];

    window_check(&s->window);
    /* Without a line nothing is under way; without a proven session nothing but hello and prove begins. */
    if (!s->line_up)
        assert(talk->op == 0 && second->op == 0 && watch->op == 0 && !s->proven &&
               s->talk == TALK_NONE);
    assert(!(s->line_up && s->dialling));
    assert(s->proven || s->talk <= TALK_PROVED);
    assert(s->proven == (s->state == SYNC_SYNCING || s->state == SYNC_LIVE));
    assert(s->state != SYNC_CONNECTING || s->line_up || s->dialling);
    /* The second channel carries pushes alone, and only behind the one in front. */
    assert(second->op == 0 || second->op == PERCHE_OP_PUSH);
    assert(watch->op == 0 || watch->op == PERCHE_OP_WATCH);
    assert(talk->op != PERCHE_OP_WATCH);
    if (s->window.count == 1 && !s->window.batch[0].answered &&
        s->window.batch[0].channel == CHANNEL_SECOND)
        assert(talk->op == 0); /* the one in front is acknowledged, the next is being built */
    for (uint32_t i = 0; i < s->window.count; i++) {
        const struct window_batch *b = &s->window.batch[i];

        assert(b->answered ||
               (s->channels[b->channel].op == PERCHE_OP_PUSH && !s->channels[b->channel].stale));
    }
    /* Batches are under way in TALK_PUSH alone, and each waiting request belongs to the talk. */
    assert(s->talk == TALK_PUSH || (s->window.count == 0 && !s->building));
    if (talk->op != 0 && !talk->stale) {
        assert(talk->op != PERCHE_OP_HELLO || s->talk == TALK_HELLO);
        assert(talk->op != PERCHE_OP_PROVE || s->talk == TALK_PROVE);
        assert(talk->op != PERCHE_OP_PUSH || s->talk == TALK_PUSH);
        assert(talk->op != PERCHE_OP_PULL || s->talk == TALK_PULL);
        assert(talk->op != PERCHE_OP_ROWS || s->talk == TALK_ROWS);
        assert(talk->op != PERCHE_OP_DIGEST || s->talk == TALK_DIGEST);
        assert(talk->op != PERCHE_OP_LEAVE || s->talk == TALK_LEAVE);
    }
    assert(s->compared <= s->changes);
}

void sync_site_step(struct sync_site *s, const struct sync_event *ev, struct sync_actions *out)
{
    s->now_ms = ev->now_ms;
    s->mono_ms = ev->mono_ms;
    s->out = out;
    switch (ev->kind) {
    case SYNC_EV_START: s->started = true; break;
    case SYNC_EV_TIME: s->timer_ms = UINT64_MAX; break;
    case SYNC_EV_LINE_UP: line_up(s); break;
    case SYNC_EV_LINE_DOWN: line_down(s, ev->reason); break;
    case SYNC_EV_REPLY: reply(s, ev); break;
    case SYNC_EV_BAD:
        if (s->line_up)
            site_bad_reply(s, "an answer that does not decode");
        break;
    case SYNC_EV_OUTCOME: outcome(s, ev->outcome); break;
    case SYNC_EV_CHANGED: s->harvest_due = true; break;
    case SYNC_EV_SYNC_NOW: sync_now(s, ev); break;
    case SYNC_EV_LEAVE: site_leave_asked(s, ev); break;
    case SYNC_EV_REQUEST:
    case SYNC_EV_PIPE_GONE:
    case SYNC_EV_WOKEN:
    case SYNC_EV_REVOKED:
    case SYNC_EV_SCHEMA: break; /* a hub's */
    }
    expire(s);
    local_go_on(s);
    line_go_on(s);
    talk_go_on(s);
    watch_go_on(s);
    tell(s);
    set_timer(s);
    check(s);
    s->out = NULL;
}

/* ---- making and looking ------------------------------------------------------------ */

struct sync_site *sync_site_new(const struct sync_site_config *config)
{
    struct sync_site *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    (void)snprintf(s->site, sizeof s->site, "%s", config->site);
    (void)snprintf(s->hub, sizeof s->hub, "%s", config->hub != NULL ? config->hub : "");
    s->interval_ms = config->interval_ms != 0 ? config->interval_ms : 30000;
    s->max_rate = config->max_rate;
    s->ops = config->ops;
    s->state = config->hub != NULL ? SYNC_OFFLINE : SYNC_UNJOINED;
    s->reason = "";
    s->told_state = SYNC_STATE_COUNT; /* the first step tells */
    s->told_reason = "";
    for (uint8_t op = 0; op < sizeof s->patience / sizeof s->patience[0]; op++)
        s->patience[op] = 1;
    s->timer_ms = UINT64_MAX;
    s->news_scan = UINT64_MAX;
    batch_size_init(&s->up);
    batch_size_init(&s->down);
    return s;
}

void sync_site_free(struct sync_site *s)
{
    if (s == NULL)
        return;
    window_clear(&s->window);
    sync_message_drop(&s->rows);
    free(s);
}

void sync_site_view(const struct sync_site *s, struct sync_site_view *out)
{
    *out = s->view;
    out->state = s->state;
    out->reason = s->reason;
    out->proven_ms = s->st.proven_ms;
    out->acked = s->st.acked;
    out->lsn = s->st.lsn;
    out->full = s->st.full;
    out->scan = s->st.scan;
    out->pending = s->st.pending;
    out->next_try_ms = 0;
    if (s->known && !s->line_up && !s->dialling && s->state != SYNC_UNJOINED)
        out->next_try_ms = s->now_ms + (s->try_at_ms > s->mono_ms ? s->try_at_ms - s->mono_ms : 0);
}
