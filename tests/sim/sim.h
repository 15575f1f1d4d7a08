/* The simulation: a hub and up to twelve sites in one process, on a virtual clock.
 *
 * What runs is the real daemon/sync, the real daemon/replica on real SQLite files,
 * and the real wire between them. Around it everything is drawn from one number, the
 * seed: programs that write with plain SQL, lines that delay, lose, repeat and cut,
 * processes that die between any two steps, clocks that are off. The same seed gives
 * the same story, byte for byte.
 *
 *   main.c    arguments, workers, the report
 *   plan.c    what will happen: a list of steps drawn from the seed
 *   world.c   nodes, events in order of virtual time, crashes
 *   line.c    what becomes of messages
 *   program.c the connection of a node's programs
 *   actors.c  programs that write, and what they had seen when they did
 *   oracle.c  what must be true at the end, told from the writes alone
 *   disk.c    disks and clocks
 *   lock.c    no waiting for the lock
 *   memory.c  SQLite's memory
 *   story.c   the trace and the counts */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <sqlite3.h>

#include "replica/replica.h"
#include "sync/sync.h"

#include "disk.h"
#include "random.h"

#define HUB 0
#define SITES_MAX 12
#define FEW_SITES 5 /* most stories: what few do to each other is found sooner */
#define NODES_MAX (SITES_MAX + 1)
#define TWINS_MAX 2
#define MACHINES_MAX (NODES_MAX + TWINS_MAX) /* behind the nodes: copies of a site's machine that run beside it */
#define EPOCH_MS UINT64_C(1800000000000) /* when every story begins: 2027-01-15 */
#define FILE_NAME "replica.db"
#define ASKED_MAX 160 /* statements that a node's programs keep */
#define STEPS_MAX 512
#define WRITES_MAX 2048
#define ROWS_MAX 1024
#define CONVERGE_MS_MAX (3600u * 1000u) /* healed, everything must be equal within an hour of virtual time */

/* ---- counts -------------------------------------------------------------- */

/* name, text, must it happen in 500 seeds of the ordinary mix? */
#define COUNT_MAP(X)                                                 \
    X(INSERT, "rows inserted", 1)                                    \
    X(UPDATE, "columns updated", 1)                                  \
    X(UPDATE_MANY, "updates of several columns", 1)                  \
    X(DELETE, "rows deleted", 1)                                     \
    X(REINSERT, "keys inserted again", 1)                            \
    X(REPLACE, "REPLACE", 1)                                         \
    X(UPSERT, "UPSERT", 1)                                           \
    X(SET_NULL, "columns set to NULL", 1)                            \
    X(SAME, "writes of the value that was there", 1)                 \
    X(EQUAL, "equal values written twice", 1)                        \
    X(TRANSACTION, "transactions of several rows", 1)                \
    X(BULK, "loads of hundreds of rows", 1)                          \
    X(CROWD, "rows inserted or edited by the dozen", 1)              \
    X(SWEEP, "rows deleted by the dozen", 1)                         \
    X(RELEASE, "held deletions released", 1)                         \
    X(UNDO, "held deletions undone", 1)                              \
    X(DECIDE_MISSED, "held deletions that were over before", 0)      \
    X(ROLLBACK, "transactions rolled back", 1)                       \
    X(SLOW, "transactions that kept the lock", 1)                    \
    X(COMPOSITE, "writes under a composite key", 1)                  \
    X(REFERENCE, "writes of reference data", 1)                      \
    X(SHARE, "learners shared with another site", 1)                 \
    X(MOVE, "rows moved between sites", 1)                           \
    X(MOVE_FAMILY, "of these, with all that hangs on them", 1)       \
    X(READER, "readers given or taken", 1)                           \
    X(UNLAWFUL, "unlawful writes", 1)                                \
    X(CHECKPOINT, "checkpoints by a program", 1)                     \
    X(RESOLVE, "conflicts resolved", 1)                              \
    X(RESOLVE_MISSED, "conflicts resolved elsewhere before", 0)      \
    X(CUT, "lines cut", 1)                                           \
    X(CUT_SILENT, "of these, without a word", 1)                     \
    X(LOST_REQUEST, "requests lost", 1)                              \
    X(LOST_REPLY, "replies lost", 1)                                 \
    X(TWICE_REQUEST, "requests delivered twice", 1)                  \
    X(TWICE_REPLY, "replies delivered twice", 1)                     \
    X(OLD_REQUEST, "old requests repeated", 1)                       \
    X(OLD_REPLY, "old replies repeated", 1)                          \
    X(OVERTAKEN, "messages overtaken by a later one", 1)             \
    X(BROKEN, "messages cut short", 1)                               \
    X(DIAL_REFUSED, "dials refused", 1)                              \
    X(DIAL_TIMEOUT, "dials without an answer", 1)                    \
    X(KILL, "processes killed at rest", 1)                           \
    X(KILL_ACTION, "killed between two actions", 1)                  \
    X(KILL_OUTCOME, "killed between a work and its outcome", 1)      \
    X(KILL_WRITE, "killed in the middle of a write", 1)              \
    X(POWER, "power cuts", 1)                                        \
    X(POWER_UNSYNCED, "of these, with unsynced writes", 1)           \
    X(CRASH_HUB, "crashes of the hub", 1)                            \
    X(CRASH_SITE, "crashes of a site", 1)                            \
    X(STOP, "stopped in order", 1)                                   \
    X(COPY, "disks copied", 1)                                       \
    X(BACK_SITE, "sites put back to an older copy", 1)               \
    X(BACK_HUB, "hubs put back to an older copy", 1)                 \
    X(BACK_LOST, "writes that were nowhere else", 1)                 \
    X(OPERATOR, "recoveries begun by the operator", 0)               \
    X(FORGOTTEN_HUB, "tombstones forgotten by the hub", 1)           \
    X(FORGOTTEN_SITE, "tombstones forgotten by a site", 1)           \
    X(RETIRED, "sites retired", 1)                                   \
    X(RETURNED, "sites that came back from below the floor", 1)      \
    X(RESTORED_SAID, "verdicts: restored", 1)                        \
    X(GO_BACK_SAID, "verdicts: go back", 1)                          \
    X(CLOCK, "clocks set", 1)                                        \
    X(WILD, "servers that came up in 2000 or 2038", 1)               \
    X(TRUE_AGAIN, "of these, put right while they ran", 1)           \
    X(BUSY, "works that found the lock taken", 1)                    \
    X(GROUP, "works grouped in one commit", 1)                       \
    X(PUSH, "batches pushed", 1)                                     \
    X(PUSH_PIPELINED, "of these, before the one in front was acknowledged", 1) \
    X(PULL, "pulls answered", 1)                                     \
    X(PULL_CUT, "of these, with more to come", 1)                    \
    X(WANT, "rows asked for that came without themselves", 0)        \
    X(REFUSED, "refusals heard by a site", 1)                        \
    X(LEFT, "rows that left a site", 1)                              \
    X(NO_SESSION, "refused: session", 1)                             \
    X(NO_POSITION, "refused: position", 0)                           \
    X(NO_CLOCK, "refused: clock", 0)                                 \
    X(NO_OTHER, "refused: anything else", 0)                         \
    X(WATCH_NEWS, "watches that brought news", 1)                    \
    X(EQUAL_SAID, "comparisons: equal", 1)                           \
    X(LATER_SAID, "comparisons: later", 1)                           \
    X(DIFFERS_SAID, "comparisons: differs", 0)                       \
    X(PROOF, "proofs checked against the base tables", 1)            \
    X(PROOF_PULL, "proofs within a pull", 1)                         \
    X(CONFLICT_REVIEW, "conflicts: review", 1)                       \
    X(CONFLICT_LWW, "conflicts: lww", 1)                             \
    X(CONFLICT_DELETED, "conflicts: edit against delete", 1)         \
    X(CONFLICT_MOOT, "conflicts: moot", 0)                           \
    X(NEEDLESS, "needless questions", 0)                             \
    X(CHAINED, "signed entries of outcomes checked", 1)              \
    X(HISTORY_ONLY, "values kept in the history alone", 0)           \
    X(TWIN, "sites whose disk started as a second machine, too", 1)  \
    X(TWIN_TWICE, "of these, a second copy", 1)                      \
    X(TWIN_WRITE, "steps of such a second machine", 1)               \
    X(TWIN_SAID, "verdicts: two machines", 1)                        \
    X(TWIN_OFF, "second machines switched off", 1)                   \
    X(TWIN_UNSEEN, "of these, before anybody had noticed", 1)        \
    X(TWIN_STAYS, "of these, it was the first one", 1)               \
    X(TWIN_END, "stories at whose end both still ran", 1)            \
    X(RECOVER, "held sites that were let go on", 1)                  \
    X(SCHEMA, "tables that the hub took in, and handed out", 1)      \
    X(CLUB, "writes to such a table", 1)                             \
    X(FULL, "disks without room for a while", 1)                     \
    X(FULL_WORK, "works that found no room", 1)                      \
    X(FULL_PROGRAM, "programs that found no room", 1)                \
    X(BYPASS_DROP, "writes with the triggers dropped", 1)            \
    X(BYPASS_OFF, "writes with the triggers switched off", 1)        \
    X(REBUILD, "tables rebuilt by a program", 1)                     \
    X(DROP, "tables dropped by a program", 1)                        \
    X(COLUMN, "columns dropped by a program", 1)                     \
    X(COLUMN_BACK, "columns added again", 1)                         \
    X(VERIFY, "perche verify", 1)                                    \
    X(FOUND, "rows found that had been changed unseen", 1)           \
    X(MADE_AGAIN, "rows put back that went with their table", 1)     \
    X(SCRATCH, "stories told from the first start on", 1)            \
    X(MANY_SITES, "stories of six to twelve sites", 1)

enum count {
#define X(name, text, must) COUNT_##name,
    COUNT_MAP(X)
#undef X
        COUNTS
};

/* ---- steps ---------------------------------------------------------------- */

enum step_kind {
    STEP_WRITE,   /* a program at `node` does something; a: which program, b, c, d: what it picks */
    STEP_RESOLVE, /* a conflict is resolved at `node` */
    STEP_CUT,     /* the line of site `node`, for b ms; a: silent */
    STEP_QUALITY, /* the line of site `node` is as good as `a` says */
    STEP_CRASH,   /* `node`, back after b ms; a: enum crash_when, c: how many of these, d: power */
    STEP_STOP,    /* `node` ends in order, back after b ms */
    STEP_CLOCK,   /* of `node`, by b ms (signed) */
    STEP_SYNC,    /* perche sync at site `node` */
    STEP_COPY,    /* `node`'s disk is copied */
    STEP_BACK,    /* the copy of `node` is put back, and it starts after b ms */
    STEP_FULL,    /* `node`'s disk has room for a bytes more, for b ms */
    STEP_BYPASS,  /* a program writes `node` past the triggers: a, b, c, d as STEP_WRITE */
    STEP_VERIFY,  /* perche verify at `node` */
    STEP_SCHEMA,  /* the hub makes a table of its own, and says perche replicate */
    STEP_TWIN,    /* the disk of site `node` is copied, and the copy starts as a second machine after b ms */
    STEP_TWIN_OFF, /* one of the machines of site `node` is switched off, a: the first; the operator hears of it after b ms */
};

enum crash_when { CRASH_NOW, CRASH_ACTION, CRASH_OUTCOME, CRASH_WRITE };

struct step {
    enum step_kind kind;
    uint8_t node;
    uint64_t at_ms;
    uint64_t a, b, c, d;
};

/* What a story may have besides, each drawn from a stream of its own: name of the option, word for the story, of a thousand stories */
#define EXTRA_MAP(X)                                                       \
    X(FULL, full, "full disks", 60)                                        \
    X(BYPASS, bypass, "writes past the triggers", 60)                      \
    X(TWINS, twins, "second machines", 60)                                 \
    X(MOVES, moves, "moves", 60)                                           \
    X(SCHEMA, schema, "another table", 60)

enum extra {
#define X(NAME, name, word, permille) EXTRA_##NAME,
    EXTRA_MAP(X)
#undef X
        EXTRAS
};

struct mix {
    uint8_t sites;
    bool faults;    /* lines and processes fail */
    bool unlawful;  /* sites write what they may not */
    bool moves;     /* rows change hands, readers come and go */
    bool clocks;    /* clocks are off */
    bool scratch;   /* begins with the first start, not with everybody joined */
    bool backups;   /* disks are copied and put back */
    uint64_t keep_deleted_ms, silent_ms; /* the hub forgets tombstones after so long, retires sites; 0 = never */
    bool extra[EXTRAS];
    uint8_t narrow; /* rows of a batch, about, so that cuts fall everywhere; 0 = as many as fit */
    uint8_t wild;   /* a site whose calendar is off by years, 0 = none */
};

struct plan {
    uint64_t seed;
    struct mix mix;
    struct step steps[STEPS_MAX];
    uint32_t count;
    uint64_t end_ms;
    int64_t skew_ms[NODES_MAX];
    uint32_t luck; /* 0; another makes lines and delays another's: tried while a failing story is made shorter */
};

struct options {
    bool verbose, lie;
    bool strict;    /* a needless question fails the story, so that it can be made shorter */
    int sites;      /* 0 drawn */
    int backups;    /* -1 drawn */
    bool extra[EXTRAS]; /* else drawn */
    bool narrow;    /* else drawn */
};

void plan_draw(struct plan *p, uint64_t seed, const struct options *o);
void plan_say(const struct step *s, char *out, size_t n); /* as a line of the story: when, who, what */

/* ---- what was written ------------------------------------------------------ */

enum { COL_INSERT = -1, COL_DELETE = -2 };

struct write {
    uint8_t node;
    uint16_t row;       /* in world->rows */
    int8_t col;         /* of the table's spec, or COL_ */
    bool null, unlawful, dead;  /* dead: rolled back, or never done */
    bool lost;                  /* a copy that was put back did not have it, and nobody else had */
    bool former;                /* a copy that was put back did not have it: its author's next writes know no more of it than of another's */
    bool again;         /* a resolution: another write's value */
    bool bypass;        /* past the triggers: somebody has to compare the table */
    uint64_t found_ms;  /* ... and has, 0 = not yet */
    uint64_t undone_ms; /* ... or the row was put back without it (dead), 0 = no */
    uint32_t value_of;  /* whose token it carries: its own number, or `again`'s */
    uint64_t at_ms;
    uint64_t seen[WRITES_MAX / 64];  /* its author's file showed it, or its author had seen it */
    uint64_t knew[WRITES_MAX / 64];  /* ... at any time before */
};

struct row_note { /* every key that a program ever inserted */
    uint8_t table;
    char key[3][40];
    char json[136];       /* as perche_conflict has it */
    char links[2][PERCHE_ID_BYTES_MAX]; /* values of the table's LINK columns when first inserted, or last deleted */
    bool tainted;         /* an unlawful write, a change of hands: what becomes of it is not judged */
    bool resolved;        /* by a person: which question was needless is not judged */
    bool equal;           /* a value was written twice: who had seen which is not judged */
};

/* ---- the world ---------------------------------------------------------------- */

struct lane { /* works of a node that wait, in order */
    struct work *items;
    uint32_t count, cap;
    bool busy;
    struct work *done; /* carried out, the outcomes on their way */
    struct outcome *outcomes;
    uint32_t done_count;
};

struct asked { /* a statement of a program, kept */
    struct sqlite3_stmt *s;
    uint32_t bytes; /* of its text */
    uint32_t used;  /* in which order: the last use */
    bool lent;
};

struct node {
    struct world *world;
    uint8_t index;
    char name[8];            /* "hub", "A".."L" */
    char id[PERCHE_ID_BYTES_MAX], hub_id[PERCHE_ID_BYTES_MAX];
    uint8_t key[32];         /* public and private at once: the signature is no more than a hash here */
    struct disk *disk;
    struct disk_copy *copy;  /* NULL = none was made */
    uint32_t copy_writes;    /* ... has what was written here up to this one */
    uint64_t copy_ms;        /* ... and was made then */
    uint32_t fulls;          /* how often its disk was full */
    int64_t skew_ms;
    bool up, joined;
    uint8_t twin_of;         /* a second machine: of this site, 0 = none */
    uint32_t twin_from;      /* ... its author knows of the writes of that site up to this one */
    bool twins;              /* a site: there was a second machine, and nobody has said yet which goes on */
    bool noticed;            /* ... and the hub has held both */
    uint32_t life;           /* of the process: events of an earlier one are void */
    struct replica *writer, *reader;
    struct sync_site *site;
    struct sync_hub *hub;
    struct lane writes, reads;
    uint64_t timer_ms;
    uint64_t epoch;
    struct chance chance;    /* the process's own randomness */

    /* its end */
    enum crash_when crash;   /* armed, when crash_in > 0 */
    uint32_t crash_in;
    bool crash_power;
    uint64_t crash_down_ms;

    /* programs */
    sqlite3 *db;
    struct sqlite3_stmt *dumps[2][24]; /* of the oracle, without and with scopes */
    struct asked asked[ASKED_MAX];
    uint32_t asked_count, asked_now;
    bool slow;               /* one holds the lock */
    uint32_t slow_first;     /* its first write's number */
    bool slow_rollback;
    uint32_t slow_life;
    bool unseen;             /* something was written past the triggers, and nobody has compared since */
    bool unseen_off;         /* ... the triggers stand as ever: only `perche verify` looks there */
    bool club;               /* has the table T_CLUB */
    uint8_t refilling;       /* likewise: a column of it was added again and is empty yet */
    uint8_t dropped;         /* this table is gone, 1 more than its number in specs[]; 0 = none */

    /* what it has shown */
    uint64_t acked;          /* a site: told by the hub */
    enum sync_state state;
    uint64_t live_ms;        /* virtual: live since, 0 = not */
    uint64_t said_equal_ms;  /* virtual: last comparison that said equal */
    bool synced, synced_ok;
    const char *synced_missing;
};

struct line {
    uint64_t pipe;           /* at the site, 0 = none */
    uint32_t dial;           /* number of the dial under way, 0 = none */
    uint32_t dials;
    bool cut;
    uint32_t cuts;
    uint32_t quality;        /* 0 good .. 3 bad */
    uint32_t delay_ms;
    uint64_t up_ms, down_ms; /* when the last message arrives: TCP keeps the order */
    struct perche_buf old_requests[8], old_replies[8];
    uint8_t old_reply_channels[8];
    uint32_t old_requests_n, old_replies_n;
};

struct pipe {
    uint8_t site;
    bool site_open, hub_open, proven;
};

struct request { /* as the hub numbers them */
    uint64_t pipe, tag;
    uint8_t channel;
    bool copy;
};

struct dump;
struct event;

struct world {
    const struct options *options;
    const struct plan *plan;
    uint64_t now_ms, seq;
    struct event **heap;
    uint32_t heap_count, heap_cap;
    struct node nodes[MACHINES_MAX];
    uint32_t nodes_count;
    struct line lines[MACHINES_MAX];
    struct pipe *pipes;
    uint64_t pipes_count, pipes_cap;
    struct request *requests;
    uint64_t requests_count, requests_cap;
    struct chance line_chance, work_chance;
    bool healed, ended, put_back, columns_lost;
    bool tidy;               /* everything is freed by world_free() */
    uint64_t moved_ms;       /* virtual: when rows last changed anywhere */
    uint64_t events;

    struct write *writes;
    uint32_t writes_count;
    struct row_note *rows;
    uint32_t rows_count;
    struct { uint64_t key; struct dump *dump; } built[NODES_MAX][4]; /* site's rows when it asked for a comparison */
    uint32_t built_n[NODES_MAX];
    struct { uint64_t key; struct dump *dump; } given[NODES_MAX][4]; /* hub's rows for the site when a pull brought its root */
    uint32_t given_n[NODES_MAX];

    char failure[400];       /* "" = none; the first one */
    char failure_kind[48];
    uint64_t counts[COUNTS];
    bool verbose;
};

/* world.c */
struct world *world_new(void);
void world_free(struct world *w);
/* What every story begins with: a hub and @sites sites that have joined, hold some rows, and are live. */
bool world_prepare(struct world *w, uint8_t sites);
/* Plays the plan from there to the end, checks included. false: w->failure says why. */
bool world_play(struct world *w, const struct plan *p, const struct options *o);
void world_fail(struct world *w, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
uint64_t world_wall(const struct world *w, const struct node *n);
void node_event(struct world *w, struct node *n, struct sync_event *ev);
void node_changed(struct world *w, struct node *n);      /* a program has committed */
void node_command(struct world *w, struct node *n, const char *name, char *args); /* takes args; on the writer's lane */
void node_crash(struct world *w, struct node *n, bool power, uint64_t down_ms);

/* events */
enum event_kind {
    EV_STEP, EV_TIMER, EV_WRITES, EV_WRITES_DONE, EV_READ, EV_READ_DONE, EV_LOOK, EV_CHANGED, EV_START,
    EV_REQUEST, EV_REPLY, EV_DIALLED, EV_DOWN, EV_PIPE_GONE, EV_HEAL, EV_COMMIT, EV_ROOM, EV_OPERATOR,
};
struct event {
    uint64_t at_ms, seq;
    enum event_kind kind;
    uint8_t node;
    uint32_t life;
    uint64_t a, b, c;
    const char *reason;
    struct perche_buf bytes;
    struct work *work;       /* owned */
    struct outcome *outcome; /* owned */
};
struct event *world_at(struct world *w, uint64_t in_ms, enum event_kind kind, const struct node *n); /* fill in the rest */

/* program.c */
sqlite3 *node_db(struct world *w, struct node *n);       /* the programs' connection */
/* A statement of theirs, until program_done(). NULL: SQLite does not take it, and says why. */
sqlite3_stmt *program_ask(struct world *w, struct node *n, const char *sql);
void program_done(struct world *w, struct node *n, sqlite3_stmt *s); /* NULL is fine */
void programs_end(struct node *n);
void programs_drop(struct node *n); /* they are killed: nobody closes anything */

/* line.c */
void line_send(struct world *w, struct node *site, uint32_t channel, uint64_t tag, const struct perche_message *m);
void line_reply(struct world *w, uint64_t request, const struct perche_message *m);
void line_request_arrives(struct world *w, struct event *e);
void line_reply_arrives(struct world *w, struct event *e);
void line_connect(struct world *w, struct node *site);
void line_dialled(struct world *w, struct event *e);
void line_down(struct world *w, struct event *e);
void line_pipe_gone(struct world *w, struct event *e);
void line_disconnect(struct world *w, struct node *site);
void line_close_pipe(struct world *w, uint64_t pipe);
void line_cut(struct world *w, struct node *site, bool silent, uint64_t for_ms);
void line_heal(struct world *w, struct node *site);
void line_quality(struct world *w, struct node *site, uint32_t quality);
void line_node_died(struct world *w, struct node *n);
void line_free(struct line *l);

/* actors.c */
void actor_write(struct world *w, struct node *n, const struct step *s);
void actor_commit_slow(struct world *w, struct node *n);
void actor_resolve(struct world *w, struct node *n, const struct step *s); /* a conflict, or what is held */
/* Just before and after "resolve", "release" or "undo" runs on the writer's lane. */
void actor_resolving(struct world *w, struct node *n, const struct work *work);
void actor_resolved(struct world *w, struct node *n, const struct work *work, const struct outcome *o);
/* Is something held here? Then a person decides it all. */
/* Writes with the triggers dropped or switched off, rebuilds a table, drops one. */
void actor_bypass(struct world *w, struct node *n, const struct step *s);
void actor_put_back(struct world *w, struct node *n); /* perhaps to before it was found */
void actor_verify(struct world *w, struct node *n);
void actor_found(struct world *w, struct node *n, const struct outcome *o); /* by whatever work: what was written past the triggers */
/* A harvest has ended, and left nothing that is to be compared. */
void actor_harvested(struct world *w, struct node *n, const struct outcome *o);
int row_gen(struct world *w, struct node *n, const struct row_note *r); /* as its metadata here has it, 0 = none */
bool actor_column_back(struct world *w, struct node *n); /* adds a dropped column again, once the daemon has seen it; false: none is missing */
bool table_gone(struct world *w, struct node *n, int table); /* a program has dropped it here, and nobody made it again yet */
bool actor_decide_all(struct world *w, struct node *n);
bool held_json(const void *key, int n, char out[48]); /* the key as perche_conflict has it; false: not one UUID */
void actors_fill(struct world *w); /* the first rows */
void actors_ask_ahead(struct world *w, struct node *n); /* the statements that its programs use in most stories */
uint32_t writes_add(struct world *w, uint8_t node, uint32_t row, int col); /* number, from 1 */
int row_find(const struct world *w, int table, const char *json); /* -1 */

enum value_kind { TOKEN = 1, NUMBER, LINK, PLAIN };
struct column_spec {
    const char *name;
    enum value_kind kind;
    bool notnull, review;
};
struct table_spec {
    const char *name;
    const char *keys[3];
    struct column_spec columns[10];
    const char *scope; /* SQL: is the row t of site ?1 by the rules alone? NULL = a relative is missing, nobody can tell */
    bool reference, append;
    uint8_t weight;
};
extern const struct table_spec specs[];
extern const int specs_count;
enum { /* in specs[] */
    T_LEARNER, T_CONTACT, T_ENROLMENT, T_STATUS, T_COHORT, T_HALF_DAY, T_ATTENDANCE, T_PROJECT, T_DECISION, T_OBSERVATION,
    T_UNIT, T_LEASE, T_CODE, T_ORGANISATION, T_READER, T_SITE, T_NETWORK, T_TRAINING, T_CLUB /* of the hub's own, handed out by a migration */, TABLES
};
#define TOKEN_NUMBER 1000000 /* NUMBER columns: write n is this plus n; TOKEN columns: "wn" */

/* oracle.c */
struct dump *dump_take(struct world *w, struct node *n, const char *site); /* site NULL: of itself, everything */
void dump_free(struct dump *d);
bool dump_same(const struct dump *hub, const struct dump *site, char *why, size_t n); /* hub's has scopes */
uint64_t dump_hash(const struct dump *d);
void oracle_built(struct world *w, struct node *n, const struct perche_message *digest);
void oracle_equal(struct world *w, struct node *n, const struct perche_message *digest);
void oracle_given(struct world *w, struct node *hub, const char *site, const struct perche_pull_reply *reply);
void oracle_taken(struct world *w, struct node *n, const struct perche_pull_reply *reply);
void oracle_end(struct world *w);
void oracle_ask_ahead(struct world *w); /* compiles its statements in the beginning of all stories */
/* What all files together hold, before and after one of them was put back: what is in none any more is lost. */
struct held;
struct held *held_take(struct world *w, struct node *n, const struct held *before); /* NULL: now, before @n is put back */
void held_lost(struct world *w, struct node *n, struct held *before, struct held *after); /* @n was put back; frees both */

/* memory.c */
void memory_begin(void); /* before SQLite is called */
extern const bool memory_watched; /* by a sanitizer */

/* story.c */
void story(struct world *w, const struct node *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define STORY(w, n, ...) do { if ((w)->verbose) story((w), (n), __VA_ARGS__); } while (0)
void story_message(struct world *w, const struct node *n, const char *word, const struct perche_message *m, size_t bytes);
extern const char *const count_names[COUNTS];
extern const bool count_musts[COUNTS];

#endif
