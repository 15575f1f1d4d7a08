/* The port between the conversation and the replica: what the conversation asks
 * (struct work) and what comes back (struct outcome). Plain data, no behaviour.
 *
 * daemon/sync makes works and reads outcomes; daemon/replica carries them out
 * (replica_perform); daemon/net runs them on its writer thread or its readers,
 * tests/sim runs them in place. Every change to the replica is one work that is
 * wholly on disk (synchronous=FULL commit) before its outcome exists (P2).
 *
 * Ownership: a work owns the message or texts in it and an outcome owns what is in
 * it; work_free() and outcome_free() end them. Pointers inside wire structs that
 * a work borrows live as long as work.message. */
#ifndef SYNC_WORK_H
#define SYNC_WORK_H

#include "perche/wire.h"

enum work_kind {
    WORK_NONE = 0,

    /* ---- any node ---- */
    WORK_HARVEST,        /* write: captured changes become stamped, numbered state. in: now_ms, rows_max. out: harvest */
    WORK_STATE,          /* read: the node's own numbers. out: state */

    /* ---- a site ---- */
    WORK_PROVE_BUILD,    /* read: fills prove (no signature). out: prove */
    WORK_PROVED,         /* write: takes the verdict: acknowledged position, clock shift, migrations. in: reply = message.u.prove_reply, offset_ms. out: state */
    WORK_PUSH_BUILD,     /* read: in: from, bytes_max, rows_max. out: push (message ready to encode, session not set) */
    WORK_PUSH_ACKED,     /* write: in: from, to, asof_lsn, message.u.push_reply. out: state */
    WORK_PULL_BUILD,     /* read: what to ask: position, done, images wanted. out: message pull (session, bytes_max not set) */
    WORK_PULL_APPLY,     /* write: harvests, then merges; compares, where the answer has the hub's root. in: message.u.pull_reply. out: applied; comparable, equal */
    WORK_ROWS_APPLY,     /* write: in: message.u.rows_reply. out: applied */
    WORK_DIGEST_BUILD,   /* read: in: level, message.u.digest_reply of the level above (level > 0). out: message digest (session not set; of a level at least the one asked for) or comparable = false */
    WORK_DIGEST_TAKE,    /* write: in: message.u.digest_reply. Equal: stores proven equal at clock_ms; rows differ: repairs what the site must repair. out: state */

    WORK_LEAVE_BUILD,    /* read: does nothing wait here that the hub lacks? Else rc STATE, err says what. out: message leave (session not set) */

    /* ---- a hub ---- */
    WORK_SITE_KEY,       /* read: in: site. out: member (public key, revoked, ...) */
    WORK_PROVE_JUDGE,    /* write: verdict over message.u.prove, signature already checked; stores the session. in: message, session. out: message prove_reply */
    WORK_PUSH_APPLY,     /* write, grouped: in: site, first_push, message.u.push. out: message push_reply or no; woken */
    WORK_PULL_ANSWER,    /* read: in: site, message.u.pull, bytes_max. out: message pull_reply */
    WORK_ROWS_ANSWER,    /* read: in: site, message.u.rows. out: message rows_reply */
    WORK_DIGEST_ANSWER,  /* read: in: site, message.u.digest, now_ms. out: message digest_reply; repairs: rows that differ become new positions by WORK_REPAIR */
    WORK_REPAIR,         /* write: in: site, message.u.digest (of rows): rows that differ go whole to the site. out: woken */
    WORK_PEER_NOTE,      /* write: in: site, full, scan, done, session, now_ms, pending, proven_ms, proven_now, offset_ms. out: nothing */
    WORK_ENROL,          /* write: in: message.u.enrol, now_ms. out: message enrol_reply or no */
    WORK_LEAVE,          /* write: in: site, session, message.u.leave. The site is a member no longer, until it is invited anew. out: message leave_reply or no */
    WORK_NEWS,           /* read: in: site, full, scan. Is there anything for this site above scan? out: news */

    /* ---- people, through daemon/control ---- */
    WORK_QUERY,          /* read: in: name, args (JSON object text). out: json */
    WORK_COMMAND,        /* write: in: name, args (JSON object text), now_ms. out: json, woken (resolve, invite, revoke, replicate, ...) */
};

/* Does it need the writer? Readers run side by side. */
bool work_writes(enum work_kind kind);
const char *work_name(enum work_kind kind);

struct work {
    enum work_kind kind;
    uint64_t now_ms;        /* the node's clock when the work was made: the only clock the replica knows */
    char site[PERCHE_ID_BYTES_MAX]; /* the peer it is about, "" = none */
    uint64_t session;
    uint64_t from, to;
    uint64_t asof_lsn;      /* push acked: of that batch; prove build: a mark that the hub asked for, 0 = none */
    bool two_machines;      /* prove judge: the line before this one was of another machine */
    uint64_t full, scan, done;
    uint64_t pending;
    uint64_t proven_ms;
    bool proven_now;                 /* WORK_PEER_NOTE: in the present session */
    bool first_push;        /* WORK_PUSH_APPLY: none of the session was taken before it */
    int64_t offset_ms;      /* hub's clock minus ours */
    uint32_t bytes_max, rows_max;
    uint32_t level;
    uint8_t random[32];     /* fresh random bytes for whatever the work must draw */
    struct perche_message message; /* op 0 = none; owned */
    const char *name;       /* static: query or command */
    char *args;             /* owned, malloc; prove judge: the address that it came from */
    uint64_t tag;           /* the conversation's own mark, comes back in the outcome */
    void *owner;            /* the runner's own mark */
};

struct state {
    uint64_t epoch, lsn, acked, stamp;
    uint64_t full, scan, done;
    uint64_t pending;        /* rows with something unpushed */
    uint64_t conflicts_open, parked;
    uint64_t held, held_ms;  /* deletions that wait for a person, and since when; of a reader alone */
    uint64_t tables_gone;    /* replicated tables that somebody has dropped */
    uint64_t obstacles;      /* tables that nothing is written to, for what a program has put on them or made of them */
    uint64_t refused;        /* of a reader at a site alone: what the hub did not take, ever */
    uint64_t kept_here;      /* rows that are too large to travel, or whose key is, or is NULL: at this node alone */
    uint64_t captured;       /* likewise: written, and not harvested yet; 2,000 stands for more */
    uint64_t proven_ms;      /* by the hub's clock */
    int64_t offset_ms;       /* of the hub's clock to this one, as the last handshake found it */
    uint64_t schema;
    bool must;               /* a restore was found: everything is pushed before anything is pulled */
};

struct member {
    bool known, revoked, left;
    uint8_t public_key[32];
    char name[PERCHE_NAME_BYTES_MAX];
    uint64_t session;       /* stored: the latest one, 0 = none */
};

/* What a work did that somebody may have to look at: for the log, so without a value or a key of a row. Those of one work
 * that are alike are one, with their count. */
enum note_kind {
    NOTE_CONFLICT = 1, /* questions that are new here: why = kind, of = the first one's id */
    NOTE_REFUSED,      /* writes not taken: why = reason; at a hub of = the site that wrote */
    NOTE_HELD,         /* deletions that wait for a person: of = the number of `perche held` */
    NOTE_RELEASED,
    NOTE_UNDONE,
    NOTE_CHORE,        /* what a hub does by itself has failed: why; tried again when something is written */
};

#define NOTES_MAX 16u /* of a work; what is beyond is counted */

#define NOTE_WHY_MAX 160u

struct note {
    enum note_kind kind;
    uint64_t count;
    char table[PERCHE_NAME_BYTES_MAX], why[NOTE_WHY_MAX], of[PERCHE_ID_BYTES_MAX];
};

/* Outcome of every work. rc != PERCHE_OK: nothing of it was kept, err says why. */
struct outcome {
    enum work_kind kind;
    uint64_t tag;
    void *owner;
    enum perche_rc rc;
    struct perche_err err;
    struct state state;      /* after the work; filled by every work of a site and by WORK_STATE, WORK_HARVEST */
    struct member member;
    uint64_t rows;           /* rows harvested, applied or in the batch */
    uint64_t found;          /* harvest: rows that had been changed past capture, taken over now */
    uint64_t restored;       /* harvest: rows that were gone with their table and are put back */
    uint64_t forgotten;      /* harvest: tombstones dropped */
    uint64_t retired;        /* harvest at a hub: sites that were silent for too long and hold the floor no more */
    bool more;               /* harvest: captured rows, tables to be compared or tombstones to be dropped are left; push: rows are left beyond `to`; pull apply: the answer said more; proved: it had as many migrations as it may */
    uint64_t look_in_ms;     /* harvest at a hub: there is something to do by itself, but not before so many; 0 = no */
    bool pipelined;          /* push build: a further batch may begin at `to` before this one is acknowledged */
    bool comparable;         /* digest build; pull apply: the hub gave its root, and here it can be held against it */
    bool equal;              /* pull apply: comparable, and the roots are one */
    bool news;
    uint64_t full_rounds;    /* pull apply: wants outstanding that keep done back */
    uint64_t asof_lsn;       /* proved: shake hands again and show the mark at this position; 0 = no need */
    struct perche_message message; /* what to send; op 0 = none; owned */
    char (*woken)[PERCHE_ID_BYTES_MAX]; /* owned: sites for which there is news now */
    uint32_t woken_count;
    bool woken_all;
    char *json;              /* owned, malloc */
    struct note *notes;      /* owned; NULL = nothing to tell */
    uint32_t notes_count;
    uint64_t notes_left;     /* beyond NOTES_MAX */
};

void work_free(struct work *w);
void outcome_free(struct outcome *o);

#endif
