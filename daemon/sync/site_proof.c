/* hello and prove: who is there, how far off the clock is, what the hub has. */
#include "sync/site.h"

#include <string.h>

#include "sync/actions.h"
#include "sync/message.h"

#define CLOCK_MS_MAX (UINT64_C(1) << 47) /* a stamp has 48 bits of milliseconds; until the year 6429 */

void site_hello(struct sync_site *s)
{
    struct perche_message m = {.op = PERCHE_OP_HELLO};

    m.u.hello.site = s->site;
    m.u.hello.lowest = PERCHE_PROTOCOL_LOWEST;
    m.u.hello.highest = PERCHE_PROTOCOL_HIGHEST;
    m.u.hello.clock_ms = s->now_ms;
    s->talk = TALK_HELLO;
    site_send(s, CHANNEL_TALK, &m, 0, 0);
}

void site_hello_answered(struct sync_site *s, const struct sync_event *ev, uint64_t line_ms)
{
    const struct perche_hello_reply *reply = &ev->message->u.hello_reply;
    struct work *w;

    if (reply->hub == NULL || strcmp(reply->hub, s->hub) != 0) {
        site_give_up(s, SYNC_REFUSED, "identity");
        return;
    }
    if (reply->version < PERCHE_PROTOCOL_LOWEST || reply->version > PERCHE_PROTOCOL_HIGHEST) {
        site_give_up(s, SYNC_REFUSED, perche_refusal_name(PERCHE_NO_VERSION));
        return;
    }
    if (reply->clock_ms >= CLOCK_MS_MAX) {
        site_bad_reply(s, "a time that no clock says");
        return;
    }
    memcpy(s->challenge, reply->challenge, sizeof s->challenge);
    /* The hub looked at its clock half a round trip ago. */
    s->view.offset_ms = (int64_t)(reply->clock_ms + line_ms / 2 - s->now_ms);
    s->view.rtt_ms = line_ms;
    s->talk = TALK_PROVE_BUILD;
    w = site_work(s, WORK_PROVE_BUILD);
    if (w != NULL)
        w->asof_lsn = s->mark_needed;
}

void site_prove_built(struct sync_site *s, struct outcome *o)
{
    struct perche_buf buf = {0};
    struct perche_message m = {0};
    struct perche_prove *prove = &m.u.prove;

    if (o->rc == PERCHE_OK && o->message.op != PERCHE_OP_PROVE)
        o->rc = perche_err_set(&o->err, PERCHE_INTERNAL, "no prove was built");
    if (o->rc != PERCHE_OK) {
        site_work_failed(s, o);
        return;
    }
    sync_message_move(&m, &o->message);
    prove->site = s->site;
    o->rc = perche_prove_signed(prove, s->challenge, s->hub, &buf);
    if (o->rc != PERCHE_OK) {
        perche_buf_free(&buf);
        sync_message_drop(&m);
        (void)perche_err_set(&o->err, o->rc, "%s", perche_rc_text(o->rc));
        site_work_failed(s, o);
        return;
    }
    s->ops.sign(s->ops.ctx, buf.p, buf.n, prove->signature);
    perche_buf_free(&buf);
    s->talk = TALK_PROVE;
    site_send(s, CHANNEL_TALK, &m, 0, 0);
}

void site_prove_answered(struct sync_site *s, struct perche_message *m)
{
    struct work *w;

    if (m->u.prove_reply.clock_ms >= CLOCK_MS_MAX) {
        site_bad_reply(s, "a time that no clock says");
        return;
    }
    s->session = m->u.prove_reply.session;
    s->taken_perhaps = 0; /* of an earlier session the hub takes nothing any more */
    s->verdict = m->u.prove_reply.verdict;
    s->hub_lsn = m->u.prove_reply.asof.lsn;
    s->talk = TALK_PROVED;
    w = site_work(s, WORK_PROVED);
    if (w != NULL) {
        w->offset_ms = s->view.offset_ms;
        w->session = s->session;
        sync_message_move(&w->message, m);
    }
}

static const char *verdict_reason(uint8_t verdict)
{
    switch (verdict) {
    case PERCHE_RESTORED: return "restored";
    case PERCHE_GO_BACK: return "hub_restored";
    case PERCHE_TWO_MACHINES: return "two_machines";
    default: return NULL;
    }
}

/* Failures that pass by themselves, whatever the verdict. */
static bool passes(enum perche_rc rc)
{
    return rc == PERCHE_NOMEM || rc == PERCHE_DISK || rc == PERCHE_FULL || rc == PERCHE_BUSY;
}

void site_proved(struct sync_site *s, struct outcome *o)
{
    const char *held = verdict_reason(s->verdict);

    if (o->rc != PERCHE_OK) {
        if (held != NULL && !passes(o->rc))
            site_give_up(s, SYNC_HELD, held);
        else
            site_work_failed(s, o);
        return;
    }
    backoff_reset(&s->line_backoff);
    s->mark_needed = o->asof_lsn;
    if (s->verdict == PERCHE_RESTORED) { /* the new epoch is stored now: announce it; or show the mark */
        if (o->asof_lsn == 0)
            actions_log(s->out, "sync.restored", "epoch=%llu", (unsigned long long)s->st.epoch);
        site_shake_again(s, o->asof_lsn == 0 ? held : "");
        return;
    }
    if (o->more) { /* the next handshake brings the rest: before it, values of those tables would be set aside */
        site_shake_again(s, "");
        return;
    }
    s->push_first = s->st.must;
    site_take_rows(s, &o->message); /* wanted since before a restart */
    s->talk = TALK_NONE;
    s->proven = true;
    s->pushed_last = WITHOUT(A22_PUSH_FIRST);
    s->push_due = true; /* a read says whether there is anything */
    s->pull_due = s->hub_lsn > s->st.scan || s->st.full != s->st.scan;
    s->wants_seen = 0;
    s->later = 0;
    s->differs = 0;
    s->changes++; /* a new session always ends in a comparison */
    s->compare_at_ms = 0;
    site_become(s, SYNC_SYNCING, "");
    actions_log(s->out, "sync.proven", "acked=%llu scan=%llu offset_ms=%lld rtt_ms=%llu",
                (unsigned long long)s->st.acked, (unsigned long long)s->st.scan,
                (long long)s->view.offset_ms, (unsigned long long)s->view.rtt_ms);
}
