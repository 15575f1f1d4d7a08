/* The inside of a node, shared by the files node*.c alone. */
#ifndef NET_NODE_OWN_H
#define NET_NODE_OWN_H

#include <limits.h>

#include <jansson.h>

#include "net/downlink.h"
#include "net/identity.h"
#include "net/inbox.h"
#include "net/job.h"
#include "net/node.h"
#include "net/readers.h"
#include "net/tls.h"
#include "net/uplink.h"
#include "net/upstream.h"
#include "net/wal_files.h"
#include "net/wal_readers.h"
#include "net/wal_watch.h"
#include "net/writer.h"
#include "sync/backoff.h"
#include "sync/sync.h"

/* `sync --wait` that are open at once, each a person at a terminal. */
#define NODE_WAITERS_MAX 64u
/* Sites that work with the hub at once; the others get a turn. Their batches make one
 * group of the writer: 5,000 rows are 250 batches of 20. */
#define NODE_SESSIONS_MAX 256u
#define NODE_WATCH_MS     45000u

struct waiter {     /* an asked-for sync */
    uint64_t tag;   /* 0 = free */
    uint64_t limit; /* node_mono_ms() at which it gives up, 0 = the conversation's own */
    void *ctx;
    node_answer_cb on_answer;
};

struct join;

struct node {
    uv_loop_t *loop;
    void *ctx;
    node_event_cb on_event;

    /* the configuration, owned */
    enum replica_role role;
    char *name, *data, *listen, *advertise, *upstream_url;
    uint64_t interval_ms, max_rate;
    char db[PATH_MAX];

    struct identity *identity;
    struct tls_identity tls;        /* hub */
    struct upstream upstream;       /* site, once it has joined */
    bool joined;                    /* site: in conversation with upstream.hub; hub: always */
    char site[PERCHE_ID_BYTES_MAX]; /* own id */
    char hub[PERCHE_ID_BYTES_MAX];  /* site: its hub, as the replica had it at the start */

    struct replica_config replica_config; /* for the readers; its texts are the node's */
    struct replica *replica;              /* the writer thread's from its start to its end */
    struct wal_files files;               /* replica.db, -wal and -shm as they were opened */
    struct writer *writer;
    struct readers *readers;
    struct wal_watch *watch;
    struct wal_readers wal_readers;
    struct uplink *uplink;
    struct downlink *downlink;

    struct sync_site *sync_site;
    struct sync_hub *sync_hub;
    uintptr_t conversation; /* counts conversations: an outcome of an earlier one is dropped */
    struct sync_actions actions;
    bool stepping;
    uint64_t tags[UPLINK_CHANNELS]; /* of the request last sent on each channel */

    struct inbox inbox; /* what is to be done after the present step */
    struct inbox_item dial_failed;
    uv_timer_t timer;

    struct waiter waiters[NODE_WAITERS_MAX];
    uint64_t waiter_tags;
    struct join *join; /* under way, or NULL */
    struct {
        uv_timer_t timer; /* until the next try */
        struct backoff waits;
        bool under_way; /* the replica is being told that this site has joined, or will be when it can be written */
    } resume;
    struct {
        struct inbox_item item; /* the conversation's answer is acted upon after its step */
        void *ctx;
        node_answer_cb on_answer; /* NULL: nobody waits */
        char why[32], text[160];  /* why "": the hub knows */
    } leave;
    bool leaving; /* from the question to the replica's end of it */

    int lock; /* descriptor of the data folder's lock, -1 = none */
    uint64_t bad_messages, works;
    const char *no_line; /* why the last try for a line failed (static): told of the next one, until the hub has let it in */
    struct {
        enum perche_rc rc; /* why a work wrote nothing, the latest one */
        uint64_t kinds;    /* a bit for each kind that failed and has not written since; 0 = no trouble */
        uint64_t at_ms;
    } trouble;
    uint64_t sites_count, sites_counted_ms; /* hub: for status; 0 = not counted yet */
    bool ended;                             /* acknowledges nothing more, waits to be closed */
    bool closing;
    unsigned closing_parts;
    void *closed_ctx;
    node_closed_cb on_closed;
};

/* ---- node.c ---------------------------------------------------------------- */

uint64_t node_wall_ms(void);
uint64_t node_mono_ms(void);
/* Fills the clocks, lets the conversation take the step, carries its actions out. */
void node_step(struct node *n, struct sync_event *ev);
/* Hands a job to the writer or to the readers; whatever happens, on_done follows, later. */
void node_run(struct node *n, struct job *job);
/* A new conversation in the place of the present one, if any. */
enum perche_rc node_converse(struct node *n, struct perche_err *err);
/* The URL that the site dials: the main configuration's, else the one of join. */
const char *node_upstream_url(const struct node *n);
/* Nothing more can be acknowledged: drops the lines and tells main. */
void node_end(struct node *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Opens the line to n->upstream; ends an earlier one. */
enum perche_rc node_uplink(struct node *n, struct perche_err *err);

/* ---- node_calls.c ----------------------------------------------------------- */

/* "2026-01-31T08:00:00.000Z", JSON null for 0. */
json_t *node_json_time(uint64_t ms);
void node_site_view(struct node *n, struct sync_site_view *out); /* what is told of a site's line */
void node_waiter_done(struct node *n, uint64_t tag, const char *missing);
void node_waiters_again(struct node *n); /* a new conversation has to answer them */
void node_waiters_fail(struct node *n);  /* the node is closing */
/* Answers with @rc later, on the loop, never inside the present call. */
void node_answer_later(struct node *n, void *ctx, node_answer_cb on_answer, enum perche_rc rc,
                       const char *text);

/* What an answer needs to find the one who asked: the ctx of a job. */
struct call {
    struct node *n;
    void *ctx;
    node_answer_cb on_answer;
};
/* Runs WORK_QUERY, WORK_COMMAND or WORK_STATE for the asker; @on_done finds a struct call in
 * job->ctx and ends with call_end(). Out of memory is answered here. */
void node_ask(struct node *n, enum work_kind kind, const char *name, const char *args_json,
              void *ctx, node_answer_cb on_answer, void (*on_done)(struct job *job));
void node_verify(struct node *n, const char *args_json, void *ctx, node_answer_cb on_answer);
/* Answers and frees job and call. @json NULL: the outcome's own, or its error. */
void call_end(struct job *job, const char *json);
/* Answers with @json, which it takes; NULL: out of memory. */
void call_end_with(struct job *job, json_t *json);
void call_fail(struct job *job, enum perche_rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A command changed rows: the sites hear of it. */
void node_woken(struct node *n, struct outcome *outcome);
/* A hub: signs what a crash left between a migration and its signature; sites get nothing past it. */
void node_sign_rest(struct node *n);

/* ---- node_join.c ------------------------------------------------------------ */

/* A site that was stopped between enrol and `joined`: makes the replica take its id. */
void node_join_resume(struct node *n);
void node_join_fail(struct node *n); /* the node is closing */
/* The replica takes itself for a member, and upstream.conf is gone: leave was cut short, or it is ended so. */
void node_leave_resume(struct node *n);
void node_leave_init(struct node *n);
/* Is this why a site is not let in one that a new invitation mends? */
bool node_may_join_anew(const char *reason);
/* The conversation's answer: @why NULL = the hub knows. */
void node_leave_told(struct node *n, const char *why, const char *text);
void node_leave_fail(struct node *n); /* the node is closing */

/* ---- node_revoked.c, at a hub --------------------------------------------------- */

/* What keys/revoked has is revoked in the database too, and the other way round. Before the threads have the replica. */
enum perche_rc node_revoked_start(struct node *n, struct perche_err *err);
/* @revoked: [[site, public key, ms]], into the file. A failure is logged: the revocation stands in the database. */
void node_revoked_keep(struct node *n, const json_t *revoked);

#endif
