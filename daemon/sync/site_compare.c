/* Comparing: are the rows of the site's scopes the same at both ends? The root
 * first, then what differs, level by level, then the repair. */
#include "sync/site.h"

#include "sync/actions.h"
#include "sync/message.h"

#define LATER_MS_MIN        250u
#define LATER_MS_MAX_WAITED 2000u /* while somebody waits for the answer */
#define LATER_SNAPSHOT      3u    /* in a row: then the next pull is to bring the hub's root along */
#define DIFFERS_MAX         3u    /* repairs at once; then one each interval */

bool site_compare_is_due(const struct sync_site *s)
{
    return s->changes != s->compared && s->mono_ms >= s->compare_at_ms && !s->harvest_due &&
           !s->harvesting;
}

void site_compare(struct sync_site *s)
{
    s->digest_changes = s->changes;
    s->digest_level = 0;
    s->talk = TALK_DIGEST_BUILD;
    (void)site_work(s, WORK_DIGEST_BUILD); /* level 0 */
}

/* Something is under way: fetch it, then compare again, ever less often. */
static void compare_later(struct sync_site *s)
{
    uint64_t longest = s->waiters.count > 0 ? LATER_MS_MAX_WAITED : s->interval_ms;
    uint64_t wait = 0;

    if (s->later > 0)
        wait = (uint64_t)LATER_MS_MIN << (s->later < 16 ? s->later - 1 : 15);
    s->later++;
    s->compare_at_ms = s->mono_ms + (wait < longest ? wait : longest);
    s->talk = TALK_NONE;
}

void site_digest_built(struct sync_site *s, struct outcome *o)
{
    if (o->rc == PERCHE_OK && o->comparable && o->message.op != PERCHE_OP_DIGEST)
        o->rc = perche_err_set(&o->err, PERCHE_INTERNAL, "no digest was built");
    if (o->rc != PERCHE_OK) {
        site_work_failed(s, o);
        return;
    }
    if (!o->comparable) {
        if (o->state.pending > 0 || s->st.pending > 0)
            s->push_due = true;
        else
            s->pull_due = true;
        compare_later(s);
        return;
    }
    o->message.u.digest.session = s->session;
    s->digest_level = o->message.u.digest.level; /* it may have left the parts out */
    if (s->digest_level == 0)
        s->digest_began_ms = s->mono_ms;
    s->talk = TALK_DIGEST;
    site_send(s, CHANNEL_TALK, &o->message, s->digest_level == 0 ? 0 : PERCHE_BATCH_BYTES_MAX / 16,
              s->digest_level == 0 ? 0 : PERCHE_BATCH_BYTES_MAX / 16);
}

void site_digest_answered(struct sync_site *s, struct perche_message *m)
{
    uint8_t answer = m->u.digest_reply.answer;
    struct work *w;

    if (answer == PERCHE_EQUAL || s->digest_level == PERCHE_LEVEL_ROWS) /* the small ones come in each session */
        site_in_time(s, PERCHE_OP_DIGEST);
    if (answer != PERCHE_LATER)
        waiters_pulled(&s->waiters,
                       s->digest_began_ms); /* the hub had nothing above our position */
    if (answer == PERCHE_LATER || (answer == PERCHE_EQUAL && s->digest_level > 0)) {
        if (answer == PERCHE_LATER)
            s->pull_due = true;
        compare_later(s); /* equal now: let the root say so */
        return;
    }
    if (answer == PERCHE_DIFFERS && s->digest_level < PERCHE_LEVEL_ROWS) {
        s->digest_level++;
        s->talk = TALK_DIGEST_BUILD;
        w = site_work(s, WORK_DIGEST_BUILD);
    } else if (answer == PERCHE_EQUAL || answer == PERCHE_DIFFERS) {
        s->talk = TALK_DIGEST_TAKE;
        w = site_work(s, WORK_DIGEST_TAKE);
    } else {
        site_bad_reply(s, "a comparison with no known answer");
        return;
    }
    if (w != NULL) {
        w->level = s->digest_level;
        sync_message_move(&w->message, m);
    }
}

bool site_compare_in_pull(const struct sync_site *s)
{
    return s->later >= LATER_SNAPSHOT;
}

void site_equal(struct sync_site *s, uint64_t changes)
{
    uint64_t tag;

    s->compared = changes;
    s->later = 0;
    s->differs = 0;
    site_progress(s);
    while (waiters_take_equal(&s->waiters, s->compared, &tag)) {
        struct sync_action *a = actions_add(s->out, SYNC_SYNCED);

        if (a == NULL)
            return;
        a->tag = tag;
        if (s->st.kept_here > 0) /* all that can travel is equal */
            a->reason = "kept_here";
    }
}

void site_differs(struct sync_site *s)
{
    if (s->differs == 0)
        actions_log(s->out, "sync.differs", "in a snapshot: what differs is looked for when the hub is less busy");
    if (s->differs == 0)
        s->differs = 1;
    site_become(s, s->state, "differs");
}

void site_digest_taken(struct sync_site *s, struct outcome *o)
{
    if (o->rc != PERCHE_OK) {
        site_work_failed(s, o);
        return;
    }
    s->talk = TALK_NONE;
    site_take_rows(s, &o->message);
    if (s->digest_level == 0) { /* equal */
        site_equal(s, s->digest_changes);
        return;
    }
    actions_log(s->out, "sync.differs", "rows=%llu times=%u", (unsigned long long)o->rows,
                s->differs + 1);
    s->differs++;
    s->push_due = true;
    s->pull_due = true;
    s->changes++;
    s->compare_at_ms = s->differs < DIFFERS_MAX ? s->mono_ms : s->mono_ms + s->interval_ms;
    site_become(s, s->state, "differs");
}
