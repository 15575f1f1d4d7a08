/* Leaving: the hub has to know that this site is a member no longer, and nothing may be
 * left behind here that it lacks.
 *
 * Happy path: in a proven session, when nothing else is under way, the replica says that
 * nothing waits; the hub is told; its answer comes after its commit. Only then does
 * whoever runs this forget the hub.
 * Failures: a lost answer shows at the next `prove`, which the hub refuses with "left":
 * for somebody who asks to leave, that is the answer. */
#include "sync/site.h"

#include <stdio.h>
#include <string.h>

#include "sync/actions.h"

#define LEAVE_MS 20000u

void site_leave_end(struct sync_site *s, const char *why, const char *text)
{
    struct sync_action *a;

    if (!s->leave_asked)
        return;
    s->leave_asked = false;
    a = actions_add(s->out, SYNC_LEFT);
    if (a == NULL)
        return;
    a->tag = s->leave_tag;
    a->reason = why;
    (void)snprintf(a->text, sizeof a->text, "%s", text != NULL ? text : ""); /* cut short is fine */
}

void site_leave_asked(struct sync_site *s, const struct sync_event *ev)
{
    site_leave_end(s, "busy", NULL); /* an earlier one */
    s->leave_asked = true;
    s->leave_tag = ev->tag;
    s->leave_until_ms = s->mono_ms + (ev->timeout_ms != 0 ? ev->timeout_ms : LEAVE_MS);
    if (s->state == SYNC_UNJOINED) { /* there is nobody to tell */
        site_leave_end(s, NULL, NULL);
        return;
    }
    if (!s->hold_is_turn)
        s->hold_until_ms = 0;
    s->try_at_ms = s->mono_ms;
}

void site_leave(struct sync_site *s)
{
    s->talk = TALK_LEAVE_BUILD;
    (void)site_work(s, WORK_LEAVE_BUILD);
}

void site_leave_built(struct sync_site *s, struct outcome *o)
{
    if (o->rc == PERCHE_OK && o->message.op != PERCHE_OP_LEAVE)
        o->rc = perche_err_set(&o->err, PERCHE_INTERNAL, "no leave was built");
    s->talk = TALK_NONE;
    if (o->rc != PERCHE_OK || !s->leave_asked) { /* or who asked has been answered meanwhile */
        site_leave_end(s, o->rc == PERCHE_STATE ? "waiting" : perche_rc_name(o->rc), o->err.text);
        return;
    }
    o->message.u.leave.session = s->session;
    s->talk = TALK_LEAVE;
    site_send(s, CHANNEL_TALK, &o->message, 0, 0);
}

void site_leave_answered(struct sync_site *s)
{
    site_give_up(s, SYNC_REFUSED, perche_refusal_name(PERCHE_NO_LEFT)); /* as the hub would say from now on */
}
