/* What a "no" of the hub means for the site: each reason has one consequence. */
#include "sync/site.h"

#include "sync/actions.h"

#define TURN_MS_MIN    100u
#define TURN_MS_MAX    600000u /* a hub that names a later time is asked all the same */
#define WATCH_AGAIN_MS 1000u

enum consequence {
    DROP = 0, /* not meant for us, or our own mistake: begin anew with a new line */
    SHAKE,    /* shake hands again on this line */
    TURN,     /* come back at the time named */
    WAIT,     /* the hub has a trouble of its own: wait and ask again */
    SMALLER,  /* ask for less */
    GIVE_UP,  /* a person has to do something */
};

static const uint8_t consequences[] = {
    [PERCHE_NO_UNKNOWN] = GIVE_UP,
    [PERCHE_NO_REVOKED] = GIVE_UP,
    [PERCHE_NO_LEFT] = GIVE_UP,
    [PERCHE_NO_SIGNATURE] = GIVE_UP,
    [PERCHE_NO_VERSION] = GIVE_UP,
    [PERCHE_NO_SESSION] = SHAKE,
    [PERCHE_NO_POSITION] = SHAKE, /* prove says what the hub has */
    [PERCHE_NO_CLOCK] = SHAKE,    /* hello measures the offset anew */
    [PERCHE_NO_BAD] = DROP,
    [PERCHE_NO_TOO_LARGE] = SMALLER,
    [PERCHE_NO_LATER] = TURN,
    [PERCHE_NO_RECOVERY] = TURN,
    [PERCHE_NO_DISK] = WAIT,
    [PERCHE_NO_SCHEMA] = WAIT,
    [PERCHE_NO_INTERNAL] = WAIT,
    [PERCHE_NO_INVITATION_USED] =
        DROP, /* an answer to `enrol`, which the conversation never sends */
    [PERCHE_NO_INVITATION_EXPIRED] = DROP,
    [PERCHE_NO_INVITATION_UNKNOWN] = DROP,
};

static enum consequence consequence(uint8_t why)
{
    return why < sizeof consequences ? (enum consequence)consequences[why] : DROP;
}

static uint64_t turn_ms(const struct perche_no *no)
{
    if (no->retry_ms < TURN_MS_MIN)
        return TURN_MS_MIN;
    return no->retry_ms < TURN_MS_MAX ? no->retry_ms : TURN_MS_MAX;
}

/* What was refused is still to be done. */
static void due_again(struct sync_site *s, uint8_t op)
{
    if (op == PERCHE_OP_PUSH)
        s->push_due = true;
    else if (op == PERCHE_OP_PULL)
        s->pull_due = true; /* rows, digest: s->rows and s->changes say so */
}

void site_refused(struct sync_site *s, uint8_t op, const struct perche_no *no)
{
    const char *why = perche_refusal_name((enum perche_refusal)no->why);
    uint64_t ms = turn_ms(no);

    if (no->why != PERCHE_NO_LATER)
        actions_log(s->out, "sync.refused", "op=%u why=%s", op, why);
    /* *no may live in what the lines below clear: it is not read any more. */
    switch (consequence(no->why)) {
    case GIVE_UP: site_give_up(s, SYNC_REFUSED, why); return;
    case SHAKE: site_shake_again(s, why); return;
    case TURN:
        site_cut_talk(s);
        due_again(s, op);
        if (op == PERCHE_OP_PUSH)
            s->probe = true;
        site_hold(s, ms, true, why);
        return;
    case SMALLER:
        if (op == PERCHE_OP_PUSH && s->up.bytes > PERCHE_BATCH_BYTES_MIN) {
            batch_size_cut(&s->up);
            site_cut_talk(s);
            due_again(s, op);
            return;
        }
        break;
    case WAIT: break;
    case DROP: site_drop_line(s, why); return;
    }
    site_cut_talk(s);
    due_again(s, op);
    site_hold(s, backoff_next_ms(&s->trouble, &s->ops), false, why);
}

void site_watch_refused(struct sync_site *s, uint64_t session, const struct perche_no *no)
{
    const char *why = perche_refusal_name((enum perche_refusal)no->why);

    if (session != s->session || !s->proven)
        return; /* the watch of a session that has ended */
    s->watch_at_ms = s->mono_ms + WATCH_AGAIN_MS;
    switch (consequence(no->why)) {
    case GIVE_UP:
        actions_log(s->out, "sync.refused", "op=%u why=%s", PERCHE_OP_WATCH, why);
        site_give_up(s, SYNC_REFUSED, why);
        break;
    case SHAKE:
        if (s->talk == TALK_NONE) /* else the request under way will hear the same */
            site_shake_again(s, why);
        break;
    case TURN: s->watch_at_ms = s->mono_ms + turn_ms(no); break;
    case WAIT:
    case SMALLER: s->watch_at_ms = s->mono_ms + s->interval_ms; break;
    case DROP: site_drop_line(s, why); break;
    }
}
