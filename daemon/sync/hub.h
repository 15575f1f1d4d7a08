/* The inside of a hub's conversation, shared by the files hub*.c alone.
 *
 * Happy path: a pipe says hello and gets a challenge; it proves who it is, and the
 * session is bound to the pipe; each request in the session becomes one work, and
 * its outcome the reply. A watch is parked until an outcome names its site.
 * Failures: nothing is kept here that a restart would miss. A pipe that is gone
 * takes its session along; the site proves itself again and hears what the hub has. */
#ifndef SYNC_HUB_H
#define SYNC_HUB_H

#include "rule_switch.h"
#include "sync/sync.h"

#define HUB_STRANGERS_MAX     1024u /* pipes that have never proven anything: the oldest go */
#define HUB_SESSIONLESS_MAX   4096u /* pipes without a session, strangers or not: likewise */
#define HUB_UNPROVEN_REQUESTS 16u   /* of one such pipe, then it is closed */
#define HUB_PROVING_MAX       256u  /* works for peers without proof at once, all pipes together */
#define HUB_BUSY_MAX          4u    /* works of one session: two pushes, a question, a watch */
#define HUB_WAKES_MAX         PERCHE_BOUND(256u, 1u)  /* watches answered in one step: an action is 6 KiB */
#define HUB_NOTES_MAX         PERCHE_BOUND(64u, 1u) /* notes of what sites said in one step, the others in the next */
#define HUB_BUCKETS           1024u /* some thousands of sites at most */

struct peer;

struct pipe {
    struct pipe *next;
    uint64_t id;
    uint64_t number; /* pipes in the order they came */
    bool challenged;
    uint8_t challenge[32];
    uint64_t challenge_number; /* challenges in the order they were given */
    uint32_t asked;    /* requests without a proof since the last proof */
    bool proving;      /* a work for it without a session is under way */
    bool proven;       /* it has had a session: its messages may be large */
    int64_t offset_ms; /* our clock minus its clock, as hello said */
    struct peer *peer; /* whose session is bound to it, or NULL */
    struct peer *was;  /* whose session on it was ended by one on another pipe */
    char address[64];
};

struct early { /* a push that arrived before the one in front of it was applied */
    struct perche_message message; /* owned; op 0 = none */
    uint64_t request;
    uint64_t until_ms;
};

struct peer {
    struct peer *next; /* in its bucket */
    struct peer *all;  /* of all peers */
    char site[PERCHE_ID_BYTES_MAX];
    uint64_t session;  /* 0 = none */
    uint64_t session_ms; /* wall clock when it began */
    uint64_t answered;   /* number of the newest challenge that it answered rightly */
    struct pipe *pipe; /* that the session is bound to */
    uint64_t have;     /* pushed up to here, as far as is known */
    uint32_t busy;     /* works of this session under way */
    bool pushing;      /* one of them is a push */
    bool pushed;       /* one of this session was taken */
    struct early early;

    bool watched; /* a watch is parked */
    uint64_t watch_request, watch_until_ms;
    bool wake; /* in the list that is being woken */

    /* admission */
    bool working, large; /* has a turn; with much to say */
    bool more;           /* said that there is more to come */
    uint64_t turn_began_ms;
    uint64_t turn_until_ms; /* kept until then for a site with more; UINT64_MAX: it is at work */
    bool waiting;
    uint64_t waits_since, waits_until_ms; /* number in the queue; when it was told to come back */

    /* what it said, and what of it is on disk */
    uint64_t full, scan, done, pending, proven_ms;
    uint64_t said_in; /* the session in which it said full, scan and done */
    int64_t offset_ms;
    uint64_t last_contact_ms;
    bool dirty, noting;
    bool dirty_soft; /* only proven_ms or pending: goes along, or at the end of the session */
    uint64_t note_at_ms;
};

struct job {
    struct job *next;
    uint64_t tag;
    enum work_kind kind;
    uint64_t request, pipe; /* request 0 = nobody waits for the answer */
    uint8_t op;
    struct peer *peer; /* or NULL: without a session */
    uint64_t session;
    char site[PERCHE_ID_BYTES_MAX];
    uint8_t out;  /* PERCHE_NO_REVOKED, _LEFT, or _SESSION after a migration: a proof that is being judged comes too late, or too early */
    bool proving; /* counted in hub->proving */
    uint8_t challenge[32];
    uint64_t challenge_number;
    uint64_t pending;              /* push: what the site said */
    struct perche_message message; /* owned: question or answer that waits for another work */
};

struct sync_hub {
    char hub[PERCHE_ID_BYTES_MAX];
    uint64_t epoch, watch_ms;
    uint32_t sessions_max;
    struct sync_ops ops;

    uint64_t now_ms, mono_ms; /* of the step under way */
    struct sync_actions *out;

    struct pipe *pipes[HUB_BUCKETS];
    struct peer *peers[HUB_BUCKETS];
    struct peer *all;
    uint32_t peers_count;
    struct job *jobs[HUB_BUCKETS];
    uint64_t tags, pipe_numbers, queue_numbers, challenge_numbers;
    uint32_t pipes_count, strangers, sessionless, proving;
    uint32_t working, working_large, waiting;
    uint32_t wakes; /* peers marked `wake` */
    uint32_t notes; /* of this step */

    bool started, known;
    uint64_t lsn;
    bool harvest_due, harvesting;
    uint64_t harvest_at_ms, state_at_ms;
    uint64_t look_at_ms;     /* a harvest then, whatever is written; UINT64_MAX = none */
    uint32_t failures; /* of harvest or state in a row */
    uint64_t found, restored; /* by the harvests since the last that left nothing to do: told with it */

    uint64_t bad; /* messages that did not decode */
    uint64_t next_ms, timer_ms;
};

/* ---- hub.c --------------------------------------------------------------- */

/* A work, already an action, and the job that waits for it. NULL: no memory, and
 * the request is answered. The caller fills in the rest. */
struct work *hub_work(struct sync_hub *h, enum work_kind kind, struct job **job);
/* One more work for the same job; its tag changes. */
struct work *hub_work_again(struct sync_hub *h, enum work_kind kind, struct job *job);
/* Takes @m. */
void hub_reply(struct sync_hub *h, uint64_t pipe, uint64_t request, struct perche_message *m);
void hub_no(struct sync_hub *h, uint64_t pipe, uint64_t request, uint8_t op,
            enum perche_refusal why);
void hub_no_more(struct sync_hub *h, uint64_t pipe, uint64_t request, uint8_t op,
                 enum perche_refusal why, uint64_t have, uint64_t retry_ms);
/* A message that cannot be right: told, counted and logged, and the pipe closes. */
void hub_bad(struct sync_hub *h, const struct sync_event *ev, enum perche_refusal why);
void hub_at(struct sync_hub *h, uint64_t ms); /* there is something to do then */
enum perche_refusal hub_refusal(enum perche_rc rc);
/* Into the log, unless it is the site's doing: that is told to the site alone. */
void hub_work_failed(struct sync_hub *h, const struct outcome *o);

/* ---- hub_pipes.c ----------------------------------------------------------- */

struct pipe *hub_pipe_find(const struct sync_hub *h, uint64_t id);
struct pipe *hub_pipe_get(struct sync_hub *h, uint64_t id); /* makes it; NULL: no memory */
void hub_pipe_gone(struct sync_hub *h, struct pipe *p);     /* forgets it and its session */
void hub_pipe_close(struct sync_hub *h, struct pipe *p, const char *reason);
/* Counts a request of somebody without proof; false: the pipe has been closed. */
bool hub_pipe_may_ask(struct sync_hub *h, struct pipe *p);
void hub_pipes_thin(struct sync_hub *h); /* to the bound */
void hub_pipes_free(struct sync_hub *h);
void hub_pipes_check(const struct sync_hub *h);

/* ---- hub_peers.c: sessions, and what sites said ------------------------------ */

struct peer *hub_peer_find(const struct sync_hub *h, const char *site);
struct peer *hub_peer_get(struct sync_hub *h, const char *site); /* makes it; NULL: no memory */
/* The session is the pipe's now; one that the site or the pipe had ends. */
void hub_session_begin(struct sync_hub *h, struct peer *peer, struct pipe *pipe, uint64_t session,
                       uint64_t have);
/* Answers what is parked with @why. */
void hub_session_end(struct sync_hub *h, struct peer *peer, enum perche_refusal why);
/* The site is a member no longer, for @why: its session and line end, and a proof that is under way. */
void hub_peer_out(struct sync_hub *h, const char *site, enum perche_refusal why);
/* The peer whose latest session this is, over the pipe it is bound to; or NULL. */
struct peer *hub_session_find(const struct sync_hub *h, const struct pipe *pipe, uint64_t session);
/* The site says how far it has pulled. Goes to disk lazily. */
void hub_peer_says(struct sync_hub *h, struct peer *peer, uint64_t full, uint64_t scan,
                   uint64_t done);
void hub_peer_note(struct sync_hub *h,
                   struct peer *peer); /* if it is time and there is something */
void hub_peer_noted(struct sync_hub *h, struct peer *peer, const struct outcome *o);
void hub_peers_free(struct sync_hub *h);
void hub_peers_check(const struct sync_hub *h);

/* ---- hub_admission.c ----------------------------------------------------------- */

/* May it work now? Else *retry_ms is when to come back. @large: it has much to say. */
bool hub_admit(struct sync_hub *h, struct peer *peer, bool large, uint64_t *retry_ms);
/* A work of it has ended; @more: it will be back for more. */
void hub_rest(struct sync_hub *h, struct peer *peer, bool more);
void hub_turn_end(struct sync_hub *h, struct peer *peer);
void hub_admission_forget(struct sync_hub *h, struct peer *peer);

/* ---- hub_watches.c -------------------------------------------------------------- */

void hub_watch(struct sync_hub *h, struct peer *peer, uint64_t request,
               const struct perche_watch *watch);
void hub_watch_news(struct sync_hub *h, struct job *job, const struct outcome *o);
void hub_watch_answer(struct sync_hub *h, struct peer *peer, bool news);
void hub_wake(struct sync_hub *h, const struct outcome *o);
void hub_wake_some(struct sync_hub *h); /* of those that are marked */

/* ---- hub_proof.c: hello, prove, enrol -------------------------------------------- */

void hub_hello(struct sync_hub *h, struct pipe *pipe, const struct sync_event *ev);
void hub_prove(struct sync_hub *h, struct pipe *pipe, const struct sync_event *ev);
void hub_prove_keyed(struct sync_hub *h, struct job *job, struct outcome *o);
void hub_prove_judged(struct sync_hub *h, struct job *job, struct outcome *o);
void hub_enrol(struct sync_hub *h, struct pipe *pipe, const struct sync_event *ev);
void hub_enrolled(struct sync_hub *h, struct job *job, struct outcome *o);

/* ---- hub_session.c: what a proven site asks ----------------------------------------- */

void hub_request(struct sync_hub *h, struct pipe *pipe, const struct sync_event *ev);
void hub_answered(struct sync_hub *h, struct job *job, struct outcome *o);
void hub_early_expire(struct sync_hub *h, struct peer *peer);

#endif
