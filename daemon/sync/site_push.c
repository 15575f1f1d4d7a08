/* Pushing: batches from the acknowledged position on, two under way in a bulk load. */
#include "sync/site.h"

#include <assert.h>

#include "sync/actions.h"
#include "sync/message.h"

#define STANDING_MAX 8u     /* batches in a row of nothing but rows that the hub asked for */
#define YIELD_MS     60000u /* a load of hours does not keep the hub's news waiting */
#define PROBE_ROWS   100u

static void acknowledge(struct sync_site *s, struct window_batch *b)
{
    struct work *w = site_work(s, WORK_PUSH_ACKED);

    b->acking = true;
    b->wanted = b->reply.u.push_reply.wants_count > 0;
    if (w == NULL)
        return;
    w->from = b->from;
    w->to = b->to;
    w->asof_lsn = b->from < s->taken_perhaps ? 0 : b->asof_lsn; /* what it acknowledges is perhaps a batch made before this one */
    sync_message_move(&w->message, &b->reply);
}

/* The channel for one more batch, SYNC_CHANNELS when there is none. The second is
 * taken only while the first holds the batch in front. */
static uint32_t free_channel(const struct sync_site *s)
{
    if (s->channels[CHANNEL_TALK].op == 0)
        return CHANNEL_TALK;
    if (s->channels[CHANNEL_SECOND].op == 0)
        return CHANNEL_SECOND;
    return SYNC_CHANNELS;
}

static void build(struct sync_site *s, uint64_t from)
{
    struct work *w = site_work(s, WORK_PUSH_BUILD);

    s->building = true;
    s->build_from = from;
    s->push_due = false;
    if (w == NULL)
        return;
    w->from = from;
    w->bytes_max = s->probe ? PERCHE_BATCH_BYTES_MIN : batch_size_bytes(&s->up, s->max_rate);
    w->rows_max = s->probe ? PROBE_ROWS : batch_size_rows(&s->up, s->max_rate);
}

static void build_more(struct sync_site *s)
{
    const struct window *w = &s->window;

    if (s->building || s->mono_ms < s->hold_until_ms || s->mono_ms < s->pace_until_ms)
        return;
    if (s->pull_due && !s->push_first && s->mono_ms - s->push_began_ms >= YIELD_MS) {
        s->push_due = true; /* those under way come in; then the pull, then the rest */
        return;
    }
    if (free_channel(s) == SYNC_CHANNELS)
        return;
    if (w->count == 0) {
        if (s->push_due)
            build(s, s->st.acked);
    } else if (w->count < WINDOW_BATCHES) {
        const struct window_batch *last = &w->batch[w->count - 1];

        if (last->more && last->pipelined)
            build(s, last->to);
    }
}

void site_push(struct sync_site *s)
{
    struct window_batch *first = &s->window.batch[0];

    if (s->talk == TALK_NONE)
        s->push_began_ms = s->mono_ms;
    s->talk = TALK_PUSH;
    if (s->window.count > 0 && first->answered && !first->acking) {
        if (first->reply.refused) {
            site_refused(s, PERCHE_OP_PUSH, &first->reply.u.no);
            return;
        }
        acknowledge(s, first);
    }
    build_more(s);
    if (s->window.count == 0 && !s->building) {
        s->talk = TALK_NONE;
        s->pushed_last = true;
        if (!s->push_due && !s->st.must)
            s->push_first = false; /* to the end */
    }
}

void site_push_built(struct sync_site *s, struct outcome *o)
{
    struct perche_message *m = &o->message;
    struct perche_push *push = &m->u.push;
    struct window_batch *b;
    uint64_t bytes;

    s->building = false;
    if (o->rc == PERCHE_OK && m->op != 0 &&
        (m->op != PERCHE_OP_PUSH || push->from != s->build_from || push->to < push->from))
        o->rc = perche_err_set(&o->err, PERCHE_INTERNAL,
                               "the batch that was built is not the one asked for");
    if (o->rc != PERCHE_OK) {
        site_work_failed(s, o);
        return;
    }
    if (m->op != 0) {
        push->session = s->session;
        bytes = push->batch.n + 256; /* and the envelope */
        b = window_push(&s->window);
        b->channel = free_channel(s);
        assert(b->channel !=
               SYNC_CHANNELS); /* looked at before building, and nobody else takes them */
        assert(b->channel == CHANNEL_TALK ||
               (s->window.count == 2 && !s->window.batch[0].answered));
        b->from = push->from;
        b->to = push->to;
        b->asof_lsn = push->asof.lsn;
        b->bytes = bytes;
        b->rows = o->rows;
        b->more = o->more;
        b->pipelined = o->pipelined && !s->probe;
        if (b->more && s->state == SYNC_LIVE)
            site_become(s, SYNC_SYNCING, "");
        s->view.bytes_out += bytes;
        site_pace(s, bytes);
        site_send(s, b->channel, m, window_bytes(&s->window), 0);
    } else if (s->window.count > 0) {
        s->window.batch[s->window.count - 1].more = false; /* nothing more after all */
    }
}

void site_push_answered(struct sync_site *s, uint32_t channel, struct perche_message *m,
                        uint64_t line_ms)
{
    struct window_batch *b = window_on(&s->window, channel);

    assert(b != NULL);
    b->answered = true;
    b->line_ms = line_ms;
    sync_message_move(&b->reply, m);
}

void site_push_acked(struct sync_site *s, struct outcome *o)
{
    struct window_batch b = s->window.batch[0];

    assert(s->window.count > 0 && b.acking);
    if (o->rc != PERCHE_OK) {
        site_work_failed(s, o);
        return;
    }
    s->view.rows_out += b.rows;
    if (s->window.count == 1) /* with another one on the line the time says little */
        batch_size_measured(&s->up, b.bytes, b.line_ms, s->view.rtt_ms, b.more);
    else
        batch_size_measured(&s->up, b.bytes, b.line_ms / 2, s->view.rtt_ms / 2, b.more);
    window_pop(&s->window);
    s->probe = false;
    site_progress(s);
    if (b.rows > 0) {
        site_in_time(s, PERCHE_OP_PUSH);
        site_changed(s);
    }
    if (b.rows > 0 || b.from != b.to) /* an empty one only asks whether there is anything */
        s->standing = b.from == b.to ? s->standing + 1 : 0;
    if (b.wanted || (s->window.count == 0 && !s->building && (s->st.pending > 0 || b.more)))
        s->push_due = true; /* while batches are under way the next one follows them */
    if (s->standing > STANDING_MAX) {
        s->standing = 0;
        actions_log(s->out, "sync.circle", "the hub asks again and again for rows that were sent");
        site_hold(s, backoff_next_ms(&s->trouble, &s->ops), false, "wants");
    }
}
