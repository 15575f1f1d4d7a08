/* The inside of a site's conversation, shared by the files site*.c alone.
 *
 * Happy path: dial; hello, prove; push until nothing is unpushed; pull until the
 * hub has no more; compare; be live, with a watch parked at the hub. Two things
 * run beside that: the harvest of local changes, on the line or off it, and the
 * watch on a channel of its own.
 * Failures: whatever is lost, late or refused leaves nothing to undo, since every
 * position that counts is on disk at both ends. The line is dropped, or the hands
 * are shaken again on it, and the talk begins anew at what the hub says it has. */
#ifndef SYNC_SITE_H
#define SYNC_SITE_H

#include "rule_switch.h"
#include "sync/backoff.h"
#include "sync/batch_size.h"
#include "sync/sync.h"
#include "sync/waiters.h"
#include "sync/window.h"

/* Works under way: harvest, state, push build, acknowledgement and one of the talk, and
 * as many of a talk that was cut. */
#define SITE_JOBS_MAX 16

enum { CHANNEL_TALK = 0, CHANNEL_SECOND = 1, CHANNEL_WATCH = 2 };

/* What the site and its hub are at; one thing at a time. Pushing alone has two
 * requests under way, see window.h. */
enum talk {
    TALK_NONE, /* free: site_go_on() decides what comes next */
    TALK_HELLO,
    TALK_PROVE_BUILD,
    TALK_PROVE,
    TALK_PROVED,
    TALK_PUSH,
    TALK_PULL_BUILD,
    TALK_PULL,
    TALK_PULL_APPLY,
    TALK_ROWS,
    TALK_ROWS_APPLY,
    TALK_DIGEST_BUILD,
    TALK_DIGEST,
    TALK_DIGEST_TAKE,
    TALK_LEAVE_BUILD,
    TALK_LEAVE,
};

struct channel {
    uint8_t op; /* 0 = free */
    bool stale; /* its answer no longer matters; until it comes the channel is taken */
    uint64_t tag;
    uint64_t session;              /* that the request was sent in */
    uint64_t sent_ms, deadline_ms; /* monotonic */
};

struct site_job {
    uint64_t tag; /* 0 = free */
    enum work_kind kind;
    uint32_t talk_number; /* of the talk that asked: an earlier one's answer is not acted upon */
};

struct sync_site {
    char site[PERCHE_ID_BYTES_MAX], hub[PERCHE_ID_BYTES_MAX];
    uint64_t interval_ms, max_rate;
    struct sync_ops ops;

    /* of the step under way */
    uint64_t now_ms, mono_ms;
    struct sync_actions *out;

    /* what people see */
    enum sync_state state;
    const char *reason;         /* static, "" = none */
    enum sync_state told_state; /* when SYNC_STATE was last given */
    const char *told_reason;
    uint64_t told_proven_ms;
    struct sync_site_view view; /* counters and the like; the rest is filled when asked for */

    /* the replica */
    struct state st;     /* its numbers, from the latest outcome that wrote */
    bool started, known; /* known: st has been read */
    struct site_job jobs[SITE_JOBS_MAX];
    uint64_t tags; /* last tag given, to works and to requests */
    bool harvest_due, harvesting;
    uint64_t harvest_number, harvest_at_ms;
    uint64_t found, restored; /* by the harvests since the last that left nothing to do: told with it */
    struct backoff harvest_backoff;
    uint64_t state_at_ms; /* WORK_STATE failed: again at */

    /* the line */
    bool line_up, dialling;
    uint64_t try_at_ms, dial_deadline_ms;
    struct backoff line_backoff; /* until a session is proven */
    struct backoff trouble;      /* until something gets done in it */
    struct channel channels[SYNC_CHANNELS];
    /* Factor of the line time that an answer to this op is allowed: doubles with each time-out, until one has come. Not until
     * anything has come: what fits easily comes in each session, and says nothing of one row that takes an hour. */
    uint32_t patience[PERCHE_OP_LEAVE + 1];

    /* the talk */
    enum talk talk;
    uint32_t talk_number; /* goes up whenever a talk is cut: line gone, hands shaken again */
    bool proven;
    uint64_t session;
    uint8_t challenge[32];
    uint8_t verdict;
    uint64_t hub_lsn;       /* as prove said */
    uint64_t mark_needed;   /* position whose mark the next prove is to show, 0 = none */
    uint32_t shakes;        /* hands shaken again since something got done */
    uint64_t hold_until_ms; /* hub busy, or something failed: only the watch goes out */
    bool hold_is_turn;      /* the hub named the time */
    uint64_t pace_until_ms; /* max_rate */

    bool push_due, pull_due;
    bool push_first; /* after a restore: push to the end before pulling */
    uint64_t push_began_ms;
    bool pushed_last; /* a pull that waits goes before the next push */
    bool probe;       /* the hub had no turn for a push: ask again with little */
    bool building;    /* WORK_PUSH_BUILD is under way */
    uint64_t build_from;
    uint32_t standing; /* batches in a row that did not move the cursor */
    struct window window;
    uint64_t taken_perhaps; /* the hub may have taken batches of this session up to there that this site has forgotten */

    uint64_t pull_full, pull_scan, pull_began_ms;
    uint64_t pull_changes;      /* `changes` when it was asked */
    uint64_t wants_seen;        /* wants that were outstanding after the last pull */
    struct perche_message rows; /* asks for rows that came without themselves; kept until applied */

    uint64_t changes;  /* goes up with everything that a comparison has not seen */
    uint64_t compared; /* a comparison begun at this count said equal */
    uint64_t compare_at_ms, changed_at_ms;
    uint64_t digest_changes, digest_began_ms;
    uint32_t digest_level;
    uint32_t later, differs; /* in a row */

    bool leave_asked; /* by a person, who waits until leave_until_ms */
    uint64_t leave_tag, leave_until_ms;

    uint64_t watch_at_ms, news_scan;
    uint32_t idle_news; /* news in a row that brought nothing */

    struct batch_size up, down;
    struct waiters waiters;
    uint64_t timer_ms; /* that was last asked for */
};

/* ---- site.c ------------------------------------------------------------ */

void site_become(struct sync_site *s, enum sync_state next, const char *reason);
/* A work for the replica, already an action: the caller fills in the rest. NULL: no memory. */
struct work *site_work(struct sync_site *s, enum work_kind kind);
/* Sends and takes @m. @up, @down: bytes that go each way, for the time-out. */
void site_send(struct sync_site *s, uint32_t channel, struct perche_message *m, uint64_t up,
               uint64_t down);
bool site_jobs_talking(const struct sync_site *s);
/* Something got done: failures are counted anew. */
void site_progress(struct sync_site *s);
/* What was asked with @op came in time. */
void site_in_time(struct sync_site *s, uint8_t op);
/* There is something that no comparison has seen. */
void site_changed(struct sync_site *s);
/* Nothing goes out for a while, the line stays. */
void site_hold(struct sync_site *s, uint64_t ms, bool turn, const char *reason);
/* Ends the talk, and what it had under way comes back to nobody. */
void site_cut_talk(struct sync_site *s);
/* The talk begins again with hello, on the same line. */
void site_shake_again(struct sync_site *s, const char *reason);
/* Gives the line up; the next try comes after a wait. */
void site_drop_line(struct sync_site *s, const char *reason);
/* The same, as REFUSED or HELD: a person has to do something. */
void site_give_up(struct sync_site *s, enum sync_state state, const char *reason);
/* A reply that cannot be right. */
void site_bad_reply(struct sync_site *s, const char *what);
/* A work failed that the talk needs. */
void site_work_failed(struct sync_site *s, const struct outcome *o);
void site_pace(struct sync_site *s, uint64_t bytes);
void site_take_rows(struct sync_site *s, struct perche_message *m);

/* ---- site_proof.c: hello and prove -------------------------------------- */

void site_hello(struct sync_site *s);
void site_hello_answered(struct sync_site *s, const struct sync_event *ev, uint64_t line_ms);
void site_prove_built(struct sync_site *s, struct outcome *o);
void site_prove_answered(struct sync_site *s, struct perche_message *m);
void site_proved(struct sync_site *s, struct outcome *o);

/* ---- site_push.c --------------------------------------------------------- */

void site_push(struct sync_site *s); /* as far as it goes now */
void site_push_built(struct sync_site *s, struct outcome *o);
void site_push_answered(struct sync_site *s, uint32_t channel, struct perche_message *m,
                        uint64_t line_ms);
void site_push_acked(struct sync_site *s, struct outcome *o);

/* ---- site_pull.c: pull, and rows that came without themselves ------------ */

void site_pull(struct sync_site *s);
void site_pull_built(struct sync_site *s, struct outcome *o);
bool site_pull_is_late(const struct sync_site *s, const struct perche_message *m);
void site_pull_answered(struct sync_site *s, struct perche_message *m, uint64_t bytes,
                        uint64_t line_ms);
void site_pull_applied(struct sync_site *s, struct outcome *o);
void site_rows(struct sync_site *s);
void site_rows_answered(struct sync_site *s, struct perche_message *m, uint64_t bytes);
void site_rows_applied(struct sync_site *s, struct outcome *o);

/* ---- site_compare.c: digests --------------------------------------------- */

bool site_compare_is_due(const struct sync_site *s);
void site_compare(struct sync_site *s);
void site_digest_built(struct sync_site *s, struct outcome *o);
void site_digest_answered(struct sync_site *s, struct perche_message *m);
void site_digest_taken(struct sync_site *s, struct outcome *o);
/* Is the hub so busy that the comparison has to go with a pull? */
bool site_compare_in_pull(const struct sync_site *s);
/* What was at this count of changes is the hub's as well. */
void site_equal(struct sync_site *s, uint64_t changes);
/* A pull has brought the hub's root, and it is not ours. */
void site_differs(struct sync_site *s);

/* ---- site_leave.c: taking leave of the hub ---------------------------------- */

void site_leave_asked(struct sync_site *s, const struct sync_event *ev);
void site_leave(struct sync_site *s);
void site_leave_built(struct sync_site *s, struct outcome *o);
void site_leave_answered(struct sync_site *s);
/* It is over, if anybody waits for it: @why NULL = the hub knows. @text may be NULL. */
void site_leave_end(struct sync_site *s, const char *why, const char *text);

/* ---- site_refusal.c: every "no" ------------------------------------------- */

/* The hub has said no to @op of the talk. */
void site_refused(struct sync_site *s, uint8_t op, const struct perche_no *no);
void site_watch_refused(struct sync_site *s, uint64_t session, const struct perche_no *no);

#endif
