/* Pulling: what the hub has above the site's position, and the rows that came
 * without themselves. */
#include "sync/site.h"

#include "sync/actions.h"
#include "sync/message.h"

void site_take_rows(struct sync_site *s, struct perche_message *m)
{
    if (m->op == PERCHE_OP_ROWS)
        sync_message_move(&s->rows, m);
}

void site_pull(struct sync_site *s)
{
    s->talk = TALK_PULL_BUILD;
    s->pull_due = false;
    s->pushed_last = false;
    (void)site_work(s, WORK_PULL_BUILD);
}

void site_pull_built(struct sync_site *s, struct outcome *o)
{
    struct perche_pull *pull = &o->message.u.pull;

    if (o->rc == PERCHE_OK && o->message.op != PERCHE_OP_PULL)
        o->rc = perche_err_set(&o->err, PERCHE_INTERNAL, "no pull was built");
    if (o->rc != PERCHE_OK) {
        site_work_failed(s, o);
        return;
    }
    pull->session = s->session;
    pull->bytes_max = batch_size_bytes(&s->down, s->max_rate);
    pull->compare = site_compare_in_pull(s);
    s->pull_changes = s->changes;
    s->pull_full = pull->full;
    s->pull_scan = pull->scan;
    s->pull_began_ms = s->mono_ms;
    s->talk = TALK_PULL;
    site_send(s, CHANNEL_TALK, &o->message, 0, pull->bytes_max);
}

bool site_pull_is_late(const struct sync_site *s, const struct perche_message *m)
{
    return !WITHOUT(B18_PULL_FROM) && (m->u.pull_reply.from_full != s->pull_full || m->u.pull_reply.from_scan != s->pull_scan);
}

void site_pull_answered(struct sync_site *s, struct perche_message *m, uint64_t bytes,
                        uint64_t line_ms)
{
    const struct perche_pull_reply *reply = &m->u.pull_reply;
    struct work *w;

    if (reply->scan < s->pull_scan || (reply->more && reply->scan == s->pull_scan)) {
        site_bad_reply(s, "a pull that does not move"); /* else it would be asked for ever */
        return;
    }
    batch_size_measured(&s->down, bytes, line_ms, s->view.rtt_ms, reply->more);
    site_pace(s, bytes);
    if (reply->more && s->state == SYNC_LIVE)
        site_become(s, SYNC_SYNCING, "");
    s->talk = TALK_PULL_APPLY;
    w = site_work(s, WORK_PULL_APPLY);
    if (w != NULL)
        sync_message_move(&w->message, m);
}

/* What applying has left to do. */
static void after_apply(struct sync_site *s, struct outcome *o)
{
    s->talk = TALK_NONE;
    s->view.rows_in += o->rows;
    if (o->rows > 0)
        site_changed(s);
    if (s->st.pending > 0)
        s->push_due = true; /* applying harvests first */
    site_take_rows(s, &o->message);
}

void site_pull_applied(struct sync_site *s, struct outcome *o)
{
    bool covered;

    if (o->rc != PERCHE_OK) {
        s->pull_due = true;
        site_work_failed(s, o);
        return;
    }
    covered = s->changes == s->pull_changes; /* what it brought itself was in the comparison */
    site_progress(s);
    after_apply(s, o);
    if (o->more) {
        s->pull_due = true;
        return;
    }
    waiters_pulled(&s->waiters, s->pull_began_ms);
    if (o->comparable && o->equal)
        site_equal(s, covered ? s->changes : s->pull_changes);
    else if (o->comparable)
        site_differs(s);
    /* Images that are wanted come with the next pull; the same ones twice wait for something else. */
    if (o->full_rounds > 0 && o->full_rounds != s->wants_seen)
        s->pull_due = true;
    s->wants_seen = o->full_rounds;
}

void site_rows(struct sync_site *s)
{
    struct perche_message m = {0};
    enum perche_rc rc;

    s->rows.u.rows.session = s->session;
    rc = sync_message_copy(&m, &s->rows); /* a lost answer must not lose the question */
    if (rc != PERCHE_OK) {
        struct outcome o = {.kind = WORK_ROWS_APPLY, .rc = rc};

        (void)perche_err_set(&o.err, rc, "the question for rows cannot be written");
        site_work_failed(s, &o);
        return;
    }
    s->talk = TALK_ROWS;
    site_send(s, CHANNEL_TALK, &m, 0, batch_size_bytes(&s->down, s->max_rate));
}

void site_rows_answered(struct sync_site *s, struct perche_message *m, uint64_t bytes)
{
    struct work *w;

    site_pace(s, bytes);
    s->talk = TALK_ROWS_APPLY;
    w = site_work(s, WORK_ROWS_APPLY);
    if (w != NULL)
        sync_message_move(&w->message, m);
}

void site_rows_applied(struct sync_site *s, struct outcome *o)
{
    if (o->rc != PERCHE_OK) {
        site_work_failed(s, o);
        return;
    }
    sync_message_drop(&s->rows);
    after_apply(s, o);
    if (s->rows.op != 0 && o->rows == 0) {
        actions_log(s->out, "sync.circle", "rows are asked for again though nothing came");
        site_hold(s, backoff_next_ms(&s->trouble, &s->ops), false, "wants");
    } else {
        site_progress(s);
    }
}
