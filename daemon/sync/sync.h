/* The conversation of a site and of a hub: an event goes in, actions come out.
 *
 * No socket, no clock, no file, no thread: whoever runs it (daemon/net, tests/sim)
 * passes time and randomness in, carries the actions out in order and reports what
 * became of them as further events. That is why every situation can be tested
 * without a network, from a seed. One call at a time for each object. */
#ifndef SYNC_SYNC_H
#define SYNC_SYNC_H

#include "sync/work.h"

/* ---- shared ------------------------------------------------------------ */

struct sync_ops { /* pure helpers that are passed in; ctx is the caller's */
    void *ctx;
    void (*random)(void *ctx, uint8_t *out, size_t n);
    void (*sign)(void *ctx, const uint8_t *p, size_t n, uint8_t signature[64]);         /* Ed25519, own key */
    bool (*verify)(void *ctx, const uint8_t public_key[32], const uint8_t *p, size_t n, const uint8_t signature[64]);
};

enum sync_action_kind {
    SYNC_SEND = 1,   /* site: request on `channel`, its number in `tag`; hub: reply to `request`. Takes message */
    SYNC_WORK,       /* run `work` (takes it), report SYNC_EV_OUTCOME with the same tag */
    SYNC_TIMER,      /* one timer for each object: report SYNC_EV_TIME at or after at_ms (monotonic); replaces the one before */
    SYNC_CONNECT,    /* site: dial once, now; report LINE_UP or LINE_DOWN */
    SYNC_DISCONNECT, /* site: drop the line, a dial under way too: no LINE_DOWN follows, what is under way on the channels is dropped; hub: close pipe `pipe` (after the replies in front of it), no PIPE_GONE needed. reason says why */
    SYNC_LOG,        /* reason is one event for the log: "sync.refused", text beside it */
    SYNC_STATE,      /* the state shown to people changed: read it with sync_site_view() */
    SYNC_SYNCED,     /* site: an asked-for `sync --wait` (id `tag`) has ended: reason NULL = done and equal, else which is missing */
    SYNC_LEFT,       /* site: an asked-for leave (id `tag`) has ended: reason NULL = the hub knows, and lets this site in no more; else why not, text beside it */
};

struct sync_action {
    enum sync_action_kind kind;
    uint32_t channel;        /* site: 0 = work, 1 = second batch of a bulk load, 2 = watch: one request under way on each */
    uint64_t request, pipe;  /* hub */
    uint64_t at_ms;
    uint64_t tag;
    struct perche_message message; /* owned */
    struct work work;              /* owned */
    const char *reason;      /* static */
    char text[160];
};

struct sync_actions {
    struct sync_action *items; /* grows; owned */
    uint32_t count, cap;
    bool nomem;                /* memory ran out and an action is missing: end the process in order, a restart resumes from disk */
};
void sync_actions_clear(struct sync_actions *a); /* frees what actions still own, keeps the array */
void sync_actions_free(struct sync_actions *a);

#define SYNC_CHANNELS 3

/* ---- site -------------------------------------------------------------- */

enum sync_state { SYNC_UNJOINED, SYNC_OFFLINE, SYNC_CONNECTING, SYNC_SYNCING, SYNC_LIVE, SYNC_REFUSED, SYNC_HELD, SYNC_STATE_COUNT };
const char *sync_state_name(enum sync_state s); /* "unjoined" ... as in JSON */

enum sync_event_kind {
    SYNC_EV_START = 1,   /* once, first */
    SYNC_EV_TIME,        /* the timer is due */
    SYNC_EV_LINE_UP,     /* site: the dial succeeded (a new pipe) */
    SYNC_EV_LINE_DOWN,   /* site: the dial failed or the pipe is gone; reason: "refused" for ECONNREFUSED, "certificate", "timeout", "lost" */
    SYNC_EV_REPLY,       /* site: message answers the request on channel; bytes = its size; rtt_ms */
    SYNC_EV_BAD,         /* site: a reply that does not decode; hub: a request that does not decode, on pipe/request */
    SYNC_EV_OUTCOME,     /* outcome of a work */
    SYNC_EV_CHANGED,     /* the WAL grew by another's frames, or it is time to look (net) */
    SYNC_EV_SYNC_NOW,    /* perche sync: tag; wait: report SYNC_SYNCED */
    SYNC_EV_LEAVE,       /* site: perche leave: tag; timeout_ms: report SYNC_LEFT */
    SYNC_EV_REQUEST,     /* hub: message came on pipe, to be answered under request */
    SYNC_EV_PIPE_GONE,   /* hub */
    SYNC_EV_WOKEN,       /* hub: a command changed rows: outcome->woken */
    SYNC_EV_REVOKED,     /* hub: site is revoked: end its session and pipe */
    SYNC_EV_SCHEMA,      /* hub: a migration is to be handed out: every site shakes hands again */
};

struct sync_event {
    enum sync_event_kind kind;
    uint64_t now_ms;         /* wall clock of the node */
    uint64_t mono_ms;        /* monotonic: intervals and time-outs */
    uint32_t channel;
    uint64_t request, pipe;
    uint64_t tag;            /* SYNC_NOW, LEAVE; REPLY at a site: the tag of the SEND that it answers, any other is not taken */
    bool wait;
    uint64_t bytes;          /* size of the message */
    uint64_t line_ms;        /* site: time from send to reply */
    uint64_t timeout_ms;     /* SYNC_NOW, LEAVE */
    struct perche_message *message; /* borrowed, but the step may take what is in it: ... */
    struct outcome *outcome;        /* ... it is all zero then, and freeing it is fine. The same for outcome->message */
    const char *site;
    const char *address;     /* hub, REQUEST: where the pipe comes from, NULL = not asked for; of a hello it is told */
    const char *reason;
};

struct sync_site_config {
    const char *site;        /* own id */
    const char *hub;         /* id of the hub, NULL = unjoined */
    uint64_t interval_ms;    /* [sync] interval */
    uint64_t max_rate;       /* bytes/s, 0 = none */
    struct sync_ops ops;
};

struct sync_site;
struct sync_site *sync_site_new(const struct sync_site_config *config);
void sync_site_free(struct sync_site *s);
/* Appends actions to @out. */
void sync_site_step(struct sync_site *s, const struct sync_event *ev, struct sync_actions *out);

/* What status shows. */
struct sync_site_view {
    enum sync_state state;
    const char *reason;      /* reason code, "" = none */
    uint64_t last_contact_ms, proven_ms;
    int64_t offset_ms;
    uint64_t rtt_ms;
    uint64_t acked, lsn, full, scan, pending;
    uint64_t next_try_ms;
    uint64_t bytes_out, bytes_in, rows_out, rows_in;
};
void sync_site_view(const struct sync_site *s, struct sync_site_view *out);

/* ---- hub --------------------------------------------------------------- */

struct sync_hub_config {
    const char *hub;         /* own id */
    uint64_t epoch;
    uint64_t watch_ms;       /* 45 s */
    uint32_t sessions_max;   /* working sessions at once */
    struct sync_ops ops;
};

struct sync_hub;
struct sync_hub *sync_hub_new(const struct sync_hub_config *config);
void sync_hub_free(struct sync_hub *h);
void sync_hub_step(struct sync_hub *h, const struct sync_event *ev, struct sync_actions *out);

/* A line of `perche sites`, live part. */
struct sync_peer_view {
    char site[PERCHE_ID_BYTES_MAX];
    enum sync_state state;   /* offline, syncing, live */
    uint64_t last_contact_ms, proven_ms, scan, pending;
    int64_t offset_ms;
};
/* Copies up to @max, returns how many there are. */
uint32_t sync_hub_peers(const struct sync_hub *h, struct sync_peer_view *out, uint32_t max);

#endif
