/* What the files of the replica share. One noun a file; who provides what is said
 * at each group. Everything here runs on the thread that holds the struct replica. */
#ifndef REPLICA_INTERNAL_H
#define REPLICA_INTERNAL_H

#include <sqlite3.h>

#include "perche/wire.h"
#include "rule_switch.h"
#include "replica/replica.h"
#include "schema/schema.h"

/* A link: how a value came. 0 = written here; 1 = from the hub (at a site);
 * at a hub the interned name number of the site (always > VIA_HUB). */
#define VIA_LOCAL 0u
#define VIA_HUB 1u

struct merge_in;

enum policy { POLICY_LWW = 1, POLICY_REVIEW, POLICY_APPEND, POLICY_HUB };

/* ---- registry.c: tables as the registry and the file describe them ------ */

struct column {
    char *name;
    uint16_t num;          /* 1..63, its number in clocks and masks; 0 = key column */
    uint8_t policy;        /* enum policy */
    uint8_t affinity;      /* 'I','R','T','B' (BLOB or none), 'N' (numeric), 'A' (ANY of a STRICT table) */
    bool strict;           /* the table is STRICT */
    bool absent;           /* registered, but not in the file (any more): its value reads NULL and is not written */
    bool strict_any;       /* declared ANY or no affinity: typeof() counts in capture */
    bool binary;           /* collation is BINARY */
    bool notnull;
    bool has_default;
    char *default_sql;     /* DEFAULT as an expression that stands anywhere, before a line break; NULL = none */
    uint16_t taken_with;   /* num of the column that it goes along with, 0 = none */
    uint64_t hash;         /* XXH3-64 of the name: what digests use */
    bool scope_cell;       /* the row's scope (or a parent's membership) is made from it: tombstones keep it */
};

enum rule_kind { RULE_ALL = 1, RULE_HUB, RULE_OWN, RULE_PARENT, RULE_MEMBERS, RULE_CONFLICT /* a system table: the row it is about */ };

struct rule_part {         /* own/members own: column; parent: column of this table that names a row of `table`; member child: see below */
    uint16_t num;          /* own, parent: column here (0 = the key column number key_index) */
    int key_index;         /* when the column is a key column: its index, else -1 */
    char *table;           /* parent: the parent's table; member child: the child's table */
    char *child_site;      /* member child: its site column */
    char *child_via;       /* member child: its column that names our row */
    char *cond_column;     /* member child: condition column, NULL = none */
    bool cond_not;         /* NOT IN */
    char **cond_values;
    uint32_t cond_values_count;
};

struct table {
    uint32_t num;          /* interned (perche_tab) */
    char *name;
    bool is_conflict;      /* perche_conflict */
    bool is_chain;         /* perche_chain */
    bool is_system;        /* either: no program's to write, never captured, in the scope of the row that it names */
    bool chained;          /* perche_table.chained: what is written in it is signed (chain.c) */
    bool present;          /* the file has it */
    bool other_key;        /* the file has one of its name, with another key than the registered one: not present */
    struct column keys[PERCHE_KEY_COLUMNS_MAX];
    uint32_t keys_count;
    struct column *columns; /* [i] has num i+1 */
    uint32_t columns_count;
    uint16_t *by_name;     /* nums in order of name (digest) */
    enum rule_kind rule;
    struct rule_part *parts;
    uint32_t parts_count;
    bool mover_holder;     /* any holder may move rows, else the hub alone */
    uint8_t policy;
    char *area;
    char *label;
    bool member_child;     /* some table's `members` rule looks at this one */
    bool foreign_triggers; /* a program's own trigger stands on it */
    bool trigger_writes;   /* one writes it, also what was applied: it is not captured then */
    char *triggers;        /* these by name, "trigger a, b"; NULL = none */
    bool replaces;         /* ON CONFLICT REPLACE stands in it: another row would be taken away, unseen */
    bool kept_out;         /* a row of it was set aside for a constraint, an index or a trigger since the registry was read */
    bool suspect;          /* it has what may need its program's functions: an index, a collation, a column of its own, a DEFAULT that is none here */
    char *obstacle;        /* why this process cannot write a row of it: a program's index or trigger; NULL = it can */
    uint64_t required;          /* mask of the columns that an INSERT must name: NOT NULL without DEFAULT */
    uint64_t absent;            /* mask of columns[].absent */
    /* prepared at first use (data.c) */
    sqlite3_stmt *select_row;   /* all columns in num order WHERE key = ?1.. */
    sqlite3_stmt *delete_row, *exists_row;
    struct { uint64_t mask; sqlite3_stmt *stmt; } upsert[8], update[8]; /* by mask of columns, least recently made goes */
    uint32_t upsert_next, update_next;
    /* unique.c: values declared unique in perche_unique; read at first use */
    bool uniques_read;
    uint32_t uniques_count;
    struct { uint16_t nums[4]; uint32_t n; } uniques[4];
};

enum perche_rc registry_load(struct replica *r, struct perche_err *err); /* (re)reads everything when schema_version moved; frees the old */
void registry_free(struct replica *r);
struct table *registry_table(struct replica *r, const char *name); /* NULL = unknown */
struct table *registry_table_num(struct replica *r, uint32_t num);
struct table *registry_at(struct replica *r, uint32_t i);         /* every registered table, those of the system too; NULL past the last */
struct column *table_column(struct table *t, const char *name);   /* non-key; NULL = unknown */
/* Checks that a table may be replicated; REFUSED with the reason and what to do. */
enum perche_rc registry_check_table(struct replica *r, const char *name, struct perche_err *err);
uint8_t registry_affinity(const char *type, bool strict); /* as in struct column */

void registry_changed(struct replica *r);      /* perche_table or perche_column were written: the next registry_load reads them */
/* All registered tables, perche_conflict and perche_chain among them, in order of name: for (i = 0; (t = registry_at(r, i)) != NULL; i++). */
struct table *registry_at(struct replica *r, uint32_t i);
uint32_t registry_other_keys(const struct replica *r); /* how many tables a program has made anew with another key */
uint32_t registry_obstacles(const struct replica *r); /* how many tables a program's index or trigger keeps from being written */
/* What a person should know: code is "trigger", "obstacle", "unique", "missing", "rule", "column", "capture"; table may be "". For status and doctor. */
typedef void (*registry_warning_cb)(void *ctx, const char *code, const char *table, const char *text);
void registry_warnings(struct replica *r, registry_warning_cb cb, void *ctx);
/* Is @name a table of this program's schema_files (and not one of `perche replicate`)? */
bool registry_is_school(const char *name);

uint32_t table_rank(struct replica *r, const struct table *t);     /* scope.c: parents come before their children, conflicts last */

/* ---- capture.c: triggers ------------------------------------------------ */

/* Installs or renews the triggers (and perche_gone_ tables) of every registered table whose definition changed. In a transaction.
 * tx_begin(write) calls registry_load and this when the schema moved; call both after a migration in the same transaction. */
enum perche_rc capture_install(struct replica *r, struct perche_err *err);
/* Tables (numbers) whose triggers had been missing, of another form or older than a program's while rows or metadata were there, or that are gone
 * themselves: audit.c scans them for changes that were not captured. Kept in the file until capture_scanned(), which belongs into the scan's transaction. */
const uint32_t *capture_unscanned(struct replica *r, uint32_t *count);
enum perche_rc capture_unscan(struct replica *r, const struct table *t); /* puts it on that list, from the beginning */
bool capture_waits(const struct replica *r, const struct table *t);      /* is it on that list? */
bool capture_ours(const char *trigger, const char *table);               /* by its name */
enum perche_rc capture_scanned(struct replica *r, uint32_t tab);
enum perche_rc capture_read(struct replica *r);           /* reads that list anew: at open, after a rollback */
void capture_free(struct replica *r);

/* ---- names.c: interned texts (site ids and scopes) and tables ------------ */

uint32_t name_number(struct replica *r, const char *text);        /* interns; 0 = error (out of memory, disk): r->fail is set */
const char *name_text(struct replica *r, uint32_t num);           /* stays valid until the replica is freed */
uint64_t name_hash(struct replica *r, uint32_t num);              /* XXH3-64 of the text */
uint32_t tab_number(struct replica *r, const char *table);        /* interns */
const char *tab_name(struct replica *r, uint32_t num);            /* NULL = unknown; valid like name_text's */
/* A reader interns into memory only, from NAME_PASSING on, until its next tx_begin. Of a transaction or savepoint that is rolled
 * back the names go, too. */
#define NAME_PASSING 0x80000000u
enum perche_rc names_open(struct replica *r);
void names_free(struct replica *r);
void names_begin(struct replica *r);                              /* tx_begin: forgets passing names */
uint64_t names_mark(const struct replica *r);                     /* savepoint() ... */
void names_cut(struct replica *r, uint64_t mark);                 /* ... and back to it */

/* ---- replica.c: connection, transaction, node --------------------------- */

struct node {                    /* the row of perche_node, written back by tx_commit when dirty */
    char site[PERCHE_ID_BYTES_MAX];
    uint32_t site_num;           /* interned */
    char hub[PERCHE_ID_BYTES_MAX]; /* "" = not joined; at a hub its own id */
    char name[PERCHE_NAME_BYTES_MAX];
    uint64_t epoch, prev_epoch, lsn, mark, stamp;
    uint64_t joined_ms;
    uint64_t good_ms;            /* last plausible wall clock */
    uint64_t wild_ms;            /* two's complement: added to an implausible clock; 0 = none was met yet */
    uint64_t life;               /* a hub's: drawn whenever its replica is opened (position.c) */
    /* a site's cursors */
    uint64_t acked, full, scan, done;
    uint64_t had;                /* what the hub had of us when a pull was last complete: rows inserted up to there were in its answer */
    uint64_t heard;              /* newest history block when a pull was last complete and nothing of ours was under way: what was refused up to there was told */
    uint64_t acked_asof;         /* our newest when the batch was built that was acknowledged last: the hub may ask for its mark */
    uint64_t epoch_acked;        /* least `acked` at which an epoch was made; INT64_MAX = none was */
    uint64_t must;               /* 1: a restore was found: pushes to the end before it pulls, `done` is 0 until then */
    uint64_t relays;             /* 1: cells of others are to be pushed to a hub that was put back; ends with `must` */
    uint64_t unshifted;          /* cells at or below are of an earlier epoch or were acknowledged once: their stamps stay */
    uint64_t shifted;            /* cells at or below were put right by a handshake: only what the hub's present cuts is moved again */
    uint64_t cut_block;          /* first history block of the chunks of a harvest that is not through; 0 = it is */
    struct perche_pos asof;      /* the hub's, of the pull position */
    uint64_t hub_stamp;          /* highest stamp that the hub has of us, told in prove */
    uint64_t floor;              /* tombstones at or below this position of the hub are dropped (floor.c); at a site: as announced */
    uint64_t floor_done;         /* a site's: 1: it has dropped those that it could */
    uint64_t returns;          /* a site's: 1: it came back from below the floor, and no comparison has said equal since */
    uint64_t proven_ms;
    uint64_t schema;             /* highest distributed migration applied */
    int64_t offset_ms;
};

/* Sites with news. scope_woken() fills it; savepoint_rollback() and tx_rollback() cut it back. */
struct woken {
    uint32_t *sites;             /* interned, each once */
    uint32_t count, cap;
    bool all;
};

#define THROWN_MAX PERCHE_BOUND(64u, 2u)
#define THROWN_TABLE_MAX PERCHE_BOUND(8u, 1u) /* after so many rows of a table none of it is tried until the schema changes */

/* A pass of floor.c. */
struct floor_pass {
    uint64_t next_ms; /* when the next one begins */
    bool looks;       /* a hub's: where the sites stand, up to this one; all of those had @least */
    uint32_t site;
    uint64_t least;
    uint64_t after;   /* tombstones up to there were looked at, 0 = none */
};

/* A pass of parked.c. */
struct parked_pass {
    int64_t schema;      /* schema_version at which everything was tried, or is */
    int64_t after, last; /* perche_parked.n: tried up to there, of those up to `last`; last 0 = none is under way */
    int64_t trying;      /* the row at hand; 0 = none */
    bool all;            /* else only what was kept out */
    bool applied, kept;  /* something was; something still is kept out */
    uint32_t tried;
    bool written;        /* a table was, of which rows are kept out */
    uint64_t wait_ms, rest_ms, next_ms; /* the last wait; no pass for what was written before; and by the timer, 0 = nothing is kept out */
};

/* What savepoint_rollback() goes back to. */
struct saved {
    struct node node;
    struct floor_pass floor_pass;
    struct parked_pass parked;
    bool node_dirty, applying, woken_all;
    uint64_t names;
    uint32_t woken;
};

#define CHORES_MAX 8u
#define TOUCHED 128u /* a power of two */

struct replica {
    sqlite3 *db;
    struct replica_config config;
    bool hub, reader;
    enum replica_role role;
    struct node node;
    bool node_dirty;
    bool in_tx;
    uint64_t tx_lsn;             /* lsn at the start of the transaction */
    uint64_t now_ms;             /* of the work under way */
    enum perche_rc fail;         /* sticky first failure inside a work; err in fail_err */
    struct perche_err fail_err;
    struct statements *sql;      /* all prepared statements of the module (statements.h) */
    struct registry *registry;
    struct names *names;
    struct digests *digests;
    struct history *history;
    struct scopes *scopes;       /* scope.c's memory of interned scopes */
    struct woken *woken;         /* sites that have news after this transaction */
    uint64_t random_state[4];    /* xoshiro256**, seeded from each work's random bytes */
    int64_t schema_version;
    int64_t indexed_version;     /* schema_version that indexes_make() has seen */
    struct parked_pass parked;
    bool kept_here;              /* may a row be listed that cannot travel? Then it is asked for */
    int64_t judged;              /* brake.c: capture rows up to here were judged, and the last of them is still there; 0 = none */
    struct floor_pass floor_pass;
    bool readers;                /* a hub's: rows of site_reader were written, and scope_readers() has not seen to it */
    bool orphans;                /* at a hub, of the batch under way: rows wait here for a parent, scope_orphans() */
    enum { NAMED_UNKNOWN, NAMED_NONE, NAMED_SOME } named; /* a hub's: is anything in perche_named? */
    bool holding;                /* something is held, or was at the start of the transaction */
    uint32_t harvest_rows;       /* a chunk of so many was too large for one block: halved until it fits; 0 = no limit but the work's */
    uint64_t chore_lsn, chore_day, chore_ms; /* a hub: what it had done by itself when (work.c) */
    bool chore_goes_on;      /* there is more to do at once, though nothing was written */
    uint64_t chore_done[CHORES_MAX];         /* of each part: up to which position */
    uint64_t touched[TOUCHED];               /* by table number: position of the last row that was written; two may share one */
    bool triggers_off;           /* SQLITE_DBCONFIG_ENABLE_TRIGGER is 0: applying_begin(), capturing() */
    bool applying;               /* between applying_begin() and applying_end() */
    const char *obstacle;        /* after a write that was REFUSED: what a program has put in its way; NULL: a constraint of the table */
    char in_the_way[256];        /* text of it, where it was looked for */
    struct { uint32_t tab; uint64_t key; } thrown[THROWN_MAX]; /* rows (hash of the key) at which a program's trigger ended our transaction */
    uint32_t thrown_count;
    struct outcome *outcome;     /* of the work under way: note_add() */
    bool put_back;               /* an older file was written into this one: tx_begin() fails from now on */
    const struct followed *followed; /* rows whose relatives are being followed (follow.c) */
    bool deciding;               /* a person's value is being written: what is asked about its row is closed with the answer */
    int64_t thrown_version;      /* schema_version that this was at */
    bool suspect;                /* next_stamp(): now_ms is implausible, stamps go on from the last: mark the rows META_SUSPECT */
    int busy_steps_max;          /* how long to wait for a lock */
    int wal_pages, wal_restart_pages; /* in the WAL at the last commit; from how many on it begins anew */
    struct tx *tx;               /* tx.c's and node.c's own */
    struct capture *capture;
};

/* Remembers the first failure of a work and returns it: `return fail(r, PERCHE_CORRUPT, "...")`. */
enum perche_rc fail(struct replica *r, enum perche_rc rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Copies the failure to *err, which may be NULL or r->fail_err itself; returns it. */
enum perche_rc fail_tell(const struct replica *r, struct perche_err *err);
/* A table did not take a row, and the transaction stands: true, and the failure is cleared. r->obstacle says more. */
bool refused_here(struct replica *r);
void fail_clear(struct replica *r);                       /* the failure was dealt with (parked, refused): go on */
enum perche_rc fail_sqlite(struct replica *r, int sqlite_rc, const char *what); /* maps FULL, BUSY, CORRUPT, IOERR, CONSTRAINT ... */

/* BEGIN IMMEDIATE with 200 us busy steps, or BEGIN. Clears r->fail; reads the registry again when the schema moved (struct table
 * pointers of earlier transactions are then gone), and a writer renews its triggers; a reader reads its node row again. */
bool files_stand(struct replica *r); /* config.files */
enum perche_rc tx_begin(struct replica *r, bool write);
enum perche_rc tx_commit(struct replica *r);              /* stores node, mark, digests; then COMMIT; any failure rolls back */
void tx_rollback(struct replica *r);                      /* nothing when there is none; memory follows disk: reloads node, drops caches that ran ahead */
enum perche_rc savepoint(struct replica *r);              /* one level: a work's own; clears r->fail, stores dirty digests */
enum perche_rc savepoint_release(struct replica *r);
void savepoint_rollback(struct replica *r);               /* also restores node, digests, woken as at savepoint() */
/* Applying: what follows is not captured (flag up, or triggers off when all are ours). */
enum perche_rc applying_begin(struct replica *r);
enum perche_rc applying_end(struct replica *r);
/* What follows writes as programs do and is captured: commands. */
enum perche_rc capturing(struct replica *r);

/* At most once a site and transaction; @site is interned. */
enum perche_rc woken_add(struct replica *r, uint32_t site);
void woken_clear(struct replica *r);

/* ---- node.c -- */
enum perche_rc node_load(struct replica *r);
enum perche_rc node_store(struct replica *r);             /* tx_commit does it when node_dirty */
/* Drops most marks below @below: of each power of two of distance one stays. tx_commit does it now and then with what every peer has. */
enum perche_rc marks_thin(struct replica *r, uint64_t below);
uint64_t next_lsn(struct replica *r);                     /* ++node.lsn */
void random_seed(struct replica *r, const uint8_t bytes[32]); /* stirs a work's random bytes in */
uint64_t random_u64(struct replica *r);
void random_uuid(struct replica *r, uint64_t ms, char out[37]); /* UUIDv7 */
/* Is this wall clock before the program's release or more than a year ahead of the last stamp? */
bool clock_implausible(const struct replica *r, uint64_t ms);
/* Advances the hybrid clock for a local event at wall time @at_ms (kept between last stamp + 1 and now). */
uint64_t next_stamp(struct replica *r, uint64_t at_ms);
void stamp_seen(struct replica *r, uint64_t stamp);       /* a received stamp moves the clock up */
/* A local write of this cell. What it replaces may bear a stamp of a clock ahead, which moved nobody's (DESIGN 4.2: `fixed`; a
 * question has the stamp of one of its sides): who writes it next had read it and is above it, and no more shifted than it. */
struct clock_cell;
void stamp_above(const struct clock_cell *old, struct clock_cell *new);
sqlite3_stmt *prepare(struct replica *r, const char *text); /* persistent, the caller's to finalize; NULL: r->fail set */
enum perche_rc exec(struct replica *r, const char *text);
/* bind/step helpers */
void bind_value(sqlite3_stmt *s, int i, const struct perche_value *v); /* static binding: v lives until reset */
void column_value(sqlite3_stmt *s, int i, struct perche_value *out);   /* borrowed until the next step or reset; -0.0 reads 0.0 */
/* The same, and no memory for it is the work's failure: never an empty value in the place of a long one. */
void column_read(struct replica *r, sqlite3_stmt *s, int i, struct perche_value *out);
/* @name in SQL quotes ("" doubled), appended to @s. */
void append_name(sqlite3_str *s, const char *name);

/* ---- replica.c: migrations -- */
#define MIGRATION_DISTRIBUTED_FROM 1000 /* numbers that hubs give out; below: this program's schema_files */
/* Runs @sql (several statements; rows that it writes are captured like any program's), notes it, makes the views anew, reads the
 * registry, installs the triggers.
 * In a write transaction. A number that is noted already with this text does nothing. @signature may be NULL. */
enum perche_rc migration_run(struct replica *r, int64_t number, const char *name, const char *sql,
                             const struct perche_bytes *signature);

/* Each statement of @text; a column that is there already is left as it is. SQLite's code. */
int run_each(struct replica *r, sqlite3 *db, const char *text);
/* The same, in our file, in a write transaction. */
enum perche_rc run_additive(struct replica *r, const char *text);

/* ---- upgrade.c: files of an earlier format -------------------------------- */

enum perche_rc upgrade_tables(struct replica *r); /* before anything of ours is read */
bool upgrade_due(struct replica *r);              /* is the format an earlier one? */
enum perche_rc upgrade_rows(struct replica *r);   /* with the statements, in a write transaction; then it is the present one */

/* ---- meta.c: row metadata ----------------------------------------------- */

struct clock_cell {
    uint64_t stamp, lsn;
    uint32_t origin, via;        /* interned names; via as above */
    bool written;
    bool fixed;                  /* may not be shifted */
    bool based;                  /* base_* say what it replaced */
    uint32_t base_origin;
    uint64_t base_stamp;
};

enum { META_ERASED = 1, META_SUSPECT = 2,
       META_HELD = 4,          /* a program deleted it and a person is asked: alive but for its table, see brake.c */
       META_FRESH = 8,           /* a site's: never had from the hub: its pull pair is (0, 0) */
       META_AGREED = 16,         /* a hub's: the site that sent its generation named this very scope: no echo to it */
       META_PAIR = 32,           /* own pair stored */
       META_READ = 64 };         /* `members` stored: meta_save() sets it */

struct meta {
    struct table *table;
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n;
    bool stored;                 /* it is in perche_row */
    uint32_t scope;              /* interned name, 0 = none yet */
    uint32_t members;            /* a hub's: its sites without those that only read along (site_reader), interned like a scope; 0 = all of `scope` */
    uint64_t lsn, entered, first; /* first 0 = NULL */
    uint32_t gen, flags;
    uint64_t block;
    uint64_t full, scan;         /* with META_PAIR */
    uint8_t digest[16];
    uint32_t count;              /* 1 + columns */
    struct clock_cell cells[1 + PERCHE_COLUMNS_MAX]; /* [0] the generation */
    /* a tombstone's kept cells (scope cells); of a held row its image, all columns */
    struct perche_value kept[PERCHE_COLUMNS_MAX + 1]; /* by num; meaningful where kept_mask has the bit */
    uint64_t kept_mask;          /* bit num-1 */
    uint8_t *kept_bytes;         /* owned storage behind kept, may be NULL */
    /* as loaded, for the digest */
    uint32_t was_scope, was_gen;
    uint8_t was_digest[16];
};

/* Loads into *m (reused by callers: meta_clear frees what it owns). Absent: stored = false, gen 0, everything empty. */
enum perche_rc meta_load(struct replica *r, struct table *t, struct perche_bytes key, struct meta *m);
enum perche_rc meta_unpack(struct replica *r, struct table *t, sqlite3_stmt *row, int first_column, struct meta *m); /* columns scope, lsn, entered, first, gen, flags, block, clock */
enum perche_rc meta_save(struct replica *r, struct meta *m);   /* writes, moves the digest sums, sets was_* */
/* Was a row of one of these tables written since part @chore was asked for the last time, or has a day begun? */
bool chore_due(struct replica *r, uint32_t chore, const char *const *tables, size_t count);
enum perche_rc meta_drop(struct replica *r, struct meta *m);   /* removes the row's metadata, subtracts its digest */
void meta_clear(struct meta *m);
static inline bool meta_alive(const struct meta *m) { return m->gen % 2 == 1; }

/* ---- data.c: the data rows ---------------------------------------------- */

/* Values of all columns by num ([0] unused) of a live row; borrowed until the next data_* call on this table. NOT_FOUND when absent (no failure is remembered). */
enum perche_rc data_load(struct replica *r, struct table *t, struct perche_bytes key, struct perche_value *values);
enum perche_rc data_upsert(struct replica *r, struct table *t, struct perche_bytes key, uint64_t mask, const struct perche_value *values);
enum perche_rc data_update(struct replica *r, struct table *t, struct perche_bytes key, uint64_t mask, const struct perche_value *values);
/* The row has these values and no others of the registered columns: the rest as an INSERT leaves them. What only this file has of
 * it, columns and rows that hang on it, stays. */
enum perche_rc data_replace(struct replica *r, struct table *t, struct perche_bytes key, uint64_t mask, const struct perche_value *values);
enum perche_rc data_delete(struct replica *r, struct table *t, struct perche_bytes key);
enum perche_rc data_exists(struct replica *r, struct table *t, struct perche_bytes key); /* OK or NOT_FOUND */
/* Would the table take this value (STRICT types, NOT NULL)? */
bool data_accepts(const struct column *c, const struct perche_value *v);
bool data_key_fits(const struct table *t, struct perche_bytes key);

/* ---- digest.c ------------------------------------------------------------ */

/* XXH3-128 over key, generation, erased flag and each written cell in name order (DESIGN 4.7). */
void digest_row(struct replica *r, const struct meta *m, const struct perche_value *values, uint8_t out[16]);
/* Moves the sums: takes the old digest of a live row out of (old scope), puts the new one in. */
enum perche_rc digest_change(struct replica *r, struct table *t, const uint8_t *key, uint32_t key_n,
                             uint32_t old_scope, bool old_alive, const uint8_t old_digest[16],
                             uint32_t new_scope, bool new_alive, const uint8_t new_digest[16]);
enum perche_rc digests_store(struct replica *r);       /* tx_commit: writes the dirty blobs */
void digests_forget(struct replica *r);                /* after a rollback */
void digests_free(struct replica *r);
uint32_t digest_bucket(const uint8_t *key, uint32_t key_n);
/* Works DIGEST_BUILD, DIGEST_ANSWER, DIGEST_TAKE, REPAIR. */
enum perche_rc digest_build(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc digest_answer(struct replica *r, const struct work *w, struct outcome *o);
/* The same within a pull, for a hub that is never quiet. A hub: the root of its snapshot, if it can answer for what the site
 * has once it has applied this answer, the last one. A site, when that is done: is it ours? */
enum perche_rc snapshot_give(struct replica *r, uint32_t site, const struct perche_pull *ask, struct perche_pull_reply *reply);
enum perche_rc snapshot_take(struct replica *r, const struct perche_pull_reply *reply, struct outcome *o);
enum perche_rc digest_take(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc digest_repair(struct replica *r, const struct work *w, struct outcome *o);
/* pull.c: would a pull of @site with this `full` send the row, of its scopes? (Not what came over its own link.) */
bool pull_would_send(struct replica *r, uint32_t site, const struct meta *m, uint64_t full);
/* At a hub: *lsn, up to where @site has everything, moves on to where the first thing for it comes (at most to node.lsn). A
 * bounded look. */
enum perche_rc pull_nothing_for(struct replica *r, uint32_t site, uint64_t *lsn);

/* ---- history.c ------------------------------------------------------------ */

/* Appends a block: @body is an encoded batch whose rows are, in order of parts and rows, those whose previous
 * blocks stand in @prev (0 = none). @block gets its number; callers put it into each row's meta->block. */
uint64_t history_next_block(struct replica *r);        /* number that the next history_append will use */
enum perche_rc history_append(struct replica *r, struct perche_bytes body, const uint64_t *prev, uint32_t prev_count, uint32_t via);
/* Has this value (column num; 0 = generation, @value NULL) been in the row before? Walks the row's chain. Stamp and origin alone do
 * not tell: who was put back gives a stamp a second time, to another value. */
bool history_knows(struct replica *r, const struct meta *m, uint16_t num, uint64_t stamp, uint32_t origin, const struct perche_value *value);
typedef bool (*history_cb)(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row, uint64_t block, uint64_t at_ms, uint32_t via);
enum perche_rc history_walk(struct replica *r, const struct meta *m, history_cb cb, void *ctx); /* newest block first; cb returns false to stop */
/* Every row of every block that was written after @at_ms, newest block first. The callback asks the history for nothing. */
enum perche_rc history_since(struct replica *r, uint64_t at_ms, history_cb cb, void *ctx);
/* Values of written cells as the history has them, in copies of their own. */
struct recall {
    const struct meta *m;
    struct replica *r;
    uint64_t want, found;        /* masks */
    uint32_t entries_left;       /* of the row's chain, to be looked at: a row that is edited often has a long one */
    uint64_t guessed;            /* found, or the newest value of that origin: a stamp may have been shifted since. A digest tells */
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint8_t *bytes[PERCHE_COLUMNS_MAX + 1];
};
/* Finds the cells of mask @want by their stamp and origin; recall_free() ends it, also after a failure. */
enum perche_rc recall_read(struct replica *r, const struct meta *m, uint64_t want, struct recall *f);
/* The same, in the newest @entries of the row's chain only. */
enum perche_rc recall_newest(struct replica *r, const struct meta *m, uint64_t want, uint32_t entries, struct recall *f);
void recall_free(struct recall *f);
/* Hashes all blocks anew: after a change of the past that is meant (a site that joins gets another id). */
enum perche_rc history_seal(struct replica *r);
/* Does every block follow from the one before? Calls for the first that does not; *blocks: how many stand before it, or in all. */
typedef void (*history_broken_cb)(void *ctx, uint64_t block, const char *why);
enum perche_rc history_check(struct replica *r, uint64_t *blocks, history_broken_cb cb, void *ctx);
void history_free(struct replica *r);

/* ---- audit.c -------------------------------------------------------------- */

#define MASS_ROWS 20u /* more rows than these that go at once may not have been meant to */

/* A chunk of comparing the tables of capture_unscanned(), when nothing captured waits: what differs becomes captured
 * changes. @o: more, found, restored. */
enum perche_rc audit(struct replica *r, struct outcome *o);
/* Adds to @mask the columns of a living row that are not as they were when they were last stamped. @off: columns that are
 * not at their default. */
enum perche_rc audit_changed(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t off, uint64_t *mask);
/* Those of @mask, beside the @captured ones, that a program has dropped and made anew come back and leave @mask: nobody wrote that. */
enum perche_rc audit_refill(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t captured, uint64_t *mask, bool *refilled);
/* Columns of a table that waits which a program has dropped and made anew: an empty one is as it was stamped. */
enum perche_rc audit_emptied(struct replica *r, const struct table *t, uint64_t *emptied);
/* Columns beside the @known ones whose values are not those that the history has under the very stamp that they bear, though the
 * row's digest may cover them by now: they were changed unseen, and the row was written again since. They become a captured
 * change of their own, as what people sign is named apart from it. Looks at the newest @entries of the row, and says nothing
 * of a table that a program's trigger writes, which may be what has changed the row. */
enum perche_rc audit_covered(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t known, uint32_t entries, bool *found);
/* The same of a row that the hub has otherwise. */
enum perche_rc audit_differs(struct replica *r, struct table *t, struct perche_bytes key);
/* Rows that a batch is about to change, or to take from this site as absent: compares them with what is recorded and harvests what was written past the triggers
 * first, since applying would take what it finds for what was there. A row that was taken out is put back: what one deleted unseen and what
 * a whole table lost cannot be told apart here. When nothing captured waits. As all of this: the work's outcome has found and restored. */
enum perche_rc audit_batch(struct replica *r, const struct perche_batch *b);
/* The same of a row that is about to leave this site. *found: something was written in it past the triggers, and now waits to be sent. */
enum perche_rc audit_leaving(struct replica *r, struct table *t, struct perche_bytes key, bool *found);
/* A row that lives in its metadata and that a batch did not find: puts it back as the history has it, if that is proven by
 * its digest, and lists the table. */
enum perche_rc audit_missing(struct replica *r, struct table *t, struct perche_bytes key);
/* Are rows, or values, of the table missing that will be put back? */
bool audit_away(struct replica *r, const struct table *t);
bool audit_waits(struct replica *r); /* does a table that is there wait? */

/* ---- conflict.c ------------------------------------------------------------ */

struct conflict_side { uint64_t stamp; uint32_t origin; struct perche_value value; bool deleted; };
/* Writes (or finds) the conflict row of this cell, numbered by a fresh lsn before the row's. Sides in any order.
 * @kind: "review" (open), "lww" (closed), "deleted" (edit of a deleted row, open). @scope: the row's.
 * @pusher: via of its metadata (always VIA_LOCAL: made here). */
enum perche_rc conflict_raise(struct replica *r, const struct meta *row, uint16_t num, const char *kind,
                              const struct conflict_side *a, const struct conflict_side *b);
/* The row that a conflict with these values (by num) speaks of, for meta_clear(); false: it is not here, or r->fail. */
bool conflict_subject(struct replica *r, struct table *conflicts, const struct perche_value *values, struct meta *m);
/* Scope of the row that a conflict with these values (by num) speaks of; 0 = that row is not here. */
uint32_t conflict_scope(struct replica *r, struct table *conflicts, const struct perche_value *values);
/* Has the row that it speaks of left this site, which may not know it? (hub) */
bool conflict_left(struct replica *r, struct table *conflicts, const struct perche_value *values, uint32_t site);
/* Two rows that cannot both be right: a question about @row, open, in its scope, which names the other's site and time, not its
 * key nor its value. @kind: "unique" (the same value twice; @what: columns joined by ',') or "rule" (@what: its name, that of no
 * column). *@id: the question's, also when it was there. */
enum perche_rc conflict_raise_pair(struct replica *r, const struct meta *row, const char *kind, const char *what,
                                   const struct conflict_side *own, struct perche_bytes other_key,
                                   const struct conflict_side *other, uint8_t id[16]);
/* New scope of a row: its conflicts and its entries of the chain go along. */
enum perche_rc conflict_rescope(struct replica *r, const struct meta *row);
/* Closes an open question that nobody has to answer any more, because of a write of this stamp. At a hub. */
enum perche_rc conflict_moot(struct replica *r, const uint8_t id[16], const char *reason, uint64_t stamp);
/* What was closed as moot is a question again; anything else stays as it is. */
enum perche_rc conflict_open_again(struct replica *r, const uint8_t id[16], uint64_t stamp);
/* A row of perche_conflict is new here: the log hears of it when it is open. @there: columns that have a value. */
enum perche_rc conflict_came(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t there);
/* Command "resolve": the value as an ordinary write and the reason, with one stamp. */
enum perche_rc conflict_resolve(struct replica *r, const struct work *w, struct outcome *o);

/* ---- clash.c, at a hub ------------------------------------------------------ */

/* Asks about the pairs of rows that the view perche_clash finds (rule, tab, cols, key, other, says, other_says; keys as in
 * perche_conflict; cols: what the rule looks at), and closes the questions about those that it finds no longer. */
enum perche_rc clash_sweep(struct replica *r);

/* ---- chain.c ---------------------------------------------------------------- */

/* Signs what this node wrote in a row: the generation's event if @gen, the columns of @mask. @lsn: position of the entry, before the
 * row's, so that no cut can part them. Nothing where the table is not chained, or nobody signs. */
enum perche_rc chain_author(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t mask, bool gen,
                            bool unseen, uint64_t lsn);
bool chain_signs(const struct replica *r, const struct table *t);
/* Own entries above @bound, which nobody has, are made anew: stamps were shifted, or this node has another id. */
enum perche_rc chain_renew(struct replica *r, uint64_t bound);
/* A pushed entry: reason why it is not taken, NULL = it is. @site 0: of whatever origin (a hub that was put back). */
enum perche_rc chain_judge(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in, const char **reason);
/* At a hub: the public key of a site, signed, becomes reference data. */
enum perche_rc chain_key(struct replica *r, const char *site, const uint8_t public_key[32]);
enum perche_rc chain_own_key(struct replica *r);          /* the hub's own, when it is opened: as a program would write it */

/* ---- hub_key.c ------------------------------------------------------------- */

enum perche_rc hub_key_renewed(struct replica *r); /* before chain_own_key(): signs anew what an earlier key of the hub had signed */

/* ---- scope.c --------------------------------------------------------------- */

/* Scope of the row as its rule, its values and its relatives give it here and now (interned name); 0 with r->fail clear = cannot be told. @pusher: interned site or 0.
 * *members: as in struct meta. */
uint32_t scope_derive(struct replica *r, const struct meta *m, const struct perche_value *values, uint32_t pusher, uint32_t *members);
/* What the row's own columns give it, with the readers of that: without what other rows bring. Of a `members` rule. */
uint32_t scope_own(struct replica *r, const struct meta *m, const struct perche_value *values);
bool scope_holds(struct replica *r, uint32_t scope, uint32_t site);   /* * or contains */
/* May this site write rows of @t whose members (without readers) are @m's? A reader needs may_write. */
bool scope_may_write(struct replica *r, struct table *t, const struct meta *m, const struct perche_value *values, uint32_t site);
/* The value of a column of the row, of its key or not; false: it is NULL, or there is no such column. @keys, @scratch: what it may point to. */
bool scope_named_value(const struct meta *m, const struct perche_value *values, const char *name, struct perche_value *out, struct perche_value *keys,
                       char *scratch);
/* The value of a rule's column: of the row, or of its key; false: it is NULL. @keys, @scratch: room for the key's values and their bytes. */
bool scope_part_value(const struct meta *m, const struct perche_value *values, const struct rule_part *part,
                      struct perche_value *out, struct perche_value *keys, char *scratch);
/* Key of the relative that part @i of the rule names; false when a column of it is NULL or another type. */
bool scope_parent_key(struct replica *r, const struct meta *m, const struct perche_value *values, uint32_t i, struct table **parent, uint8_t *key, uint32_t *key_n);
/* Every site of a scope but `*`: calls back with interned sites. */
uint32_t scope_sites(struct replica *r, uint32_t scope, const uint32_t **sites);
uint32_t scope_all(struct replica *r);                                 /* number of "*" */
int64_t scopes_full(struct replica *r);                                /* that hold as many sites as there may be in one */
void scopes_forget(struct replica *r);                                 /* after a rollback */
void scopes_free(struct replica *r);
enum perche_rc scope_woken(struct replica *r, uint32_t scope, uint32_t but); /* sites of the scope have news */

/* ---- indexes.c -------------------------------------------------------------- */

/* Those that are not there, once for each schema; in a transaction that writes. */
enum perche_rc indexes_make(struct replica *r);

/* ---- follow.c --------------------------------------------------------------- */

/* After a row changed: re-derives it and whoever depends on it (hub). @m is saved already. */
enum perche_rc scope_follow(struct replica *r, struct meta *m, const struct perche_value *values, uint32_t pusher);
/* At the end of a chunk or a batch: the rows that are read by others than before, once for all that changed in site_reader (hub). */
enum perche_rc scope_readers(struct replica *r);
/* The row goes: a mark for each of its sites but @but. */
enum perche_rc scope_gone(struct replica *r, const struct meta *m, uint32_t but);
/* Marks that rows have left @site end, at or below @done; those that had ended when the hub was at @full or beyond are made anew. */
enum perche_rc left_done(struct replica *r, uint32_t site, uint64_t done);
enum perche_rc left_again(struct replica *r, uint32_t site, uint64_t full);
/* A tombstone is written, or dropped: by its kept cells it is found when its parent moves. Of the hub; nothing for other rows. */
enum perche_rc scope_dead_put(struct replica *r, struct meta *m);
enum perche_rc scope_dead_end(struct replica *r, struct meta *m);
/* The tombstones of a table in order of their keys: the first beyond @key (none yet: key_n 0) into @key; false: no more. */
bool scope_dead_next(struct replica *r, const struct table *t, uint8_t *key, uint32_t *key_n);
/* The keys of the living rows of @t whose column is @key, those that are held left out; NULL: r->fail. scope_naming_key() reads one,
 * false: no key of a replicated row. */
sqlite3_stmt *scope_naming(struct replica *r, const struct table *t, const char *column, const struct perche_value *key);
bool scope_naming_key(struct replica *r, const struct table *t, sqlite3_stmt *q, uint8_t *key, uint32_t *key_n);
/* A live row below @m that @site inserted: its table and key, NULL: none, or r->fail. */
struct table *scope_child_of(struct replica *r, const struct meta *m, uint32_t site, uint8_t *key, uint32_t *key_n);
bool scope_orphans(struct replica *r);                                 /* may a live row be the hub's alone for want of its parent? */
bool scope_has_children(struct replica *r, const struct meta *m);      /* does a live row take its scope from this one? (hub) */

/* ---- unique.c, at a hub ----------------------------------------------------- */

/* A row of @written columns was saved: does another live row have the value that is declared unique? Then both stay,
 * and each gets its question. A question that it was asked, and that of the row beside it, is closed (moot) when the values
 * are the same no more: one of them was changed, or deleted. */
enum perche_rc unique_check(struct replica *r, struct meta *m, uint64_t written);
enum perche_rc unique_read(struct replica *r, struct table *t);       /* t->uniques, unless they are read */

/* ---- brake.c: mass deletions that wait for a person --------------------------- */

enum { HELD_RELEASE = 1, HELD_UNDO = 2 };         /* perche_held_set.wish */

/* Before a chunk is read: judges what is captured, once, up to r->judged. What is captured later is judged by itself. */
enum perche_rc brake_judge(struct replica *r);
enum perche_rc brake_judged(struct replica *r);   /* all of that was harvested */
/* For the log: @rows deletions of the set, as note_add() */
enum perche_rc brake_tell(struct replica *r, enum note_kind kind, uint32_t tab, int64_t set, int64_t rows);
/* The set that this row's deletion waits in: the row's own, else the one that is being filled for its table; 0 = it goes through. */
int64_t brake_set(struct replica *r, const struct meta *m);
/* Is the row in a set? Also one that is not stored (an image is on its way). 0 = no. */
int64_t held_in(struct replica *r, const struct table *t, struct perche_bytes key);
enum perche_rc held_put(struct replica *r, struct meta *m, int64_t set); /* entry and flag; the image is the caller's, who saves */
enum perche_rc held_end(struct replica *r, struct meta *m);              /* likewise: entry and flag go, kept values stay */
/* The held rows of a table in order of their keys, which no statement about it finds: the first beyond @key (none yet: key_n 0)
 * into @key; false: no more. */
bool held_next(struct replica *r, const struct table *t, uint8_t *key, uint32_t *key_n);
/* The same of those that name the row @parent_key of @parent where scopes are made of that, or did: the caller looks. */
bool held_child_next(struct replica *r, const struct table *parent, struct perche_bytes parent_key, const struct table *t,
                     uint8_t *key, uint32_t *key_n);
enum perche_rc held_link(struct replica *r, struct meta *m); /* meta_save: by these rows the held one is found from now on */
enum perche_rc held_link_all(struct replica *r);             /* a start, a migration: the rules may be others */
bool held_wishes(struct replica *r);              /* decisions that are not carried out to the end */
void held_look(struct replica *r);                /* tx_begin: is anything held? */
/* harvest.c: carries decisions out, @rows_max rows of one set; rows that their table does not take back stay, in a set of their own. */
enum perche_rc held_carry_out(struct replica *r, uint32_t rows_max, uint64_t *rows, uint64_t *refused, bool *more);

/* ---- merge.c, harvest.c, push.c, pull.c, apply.c, prove.c: works ------------- */

enum perche_rc harvest(struct replica *r, uint32_t rows_max, uint64_t *rows, bool *more);
enum perche_rc push_build(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc push_acked(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc push_apply(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc pull_build(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc pull_answer(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc pull_apply(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc rows_answer(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc rows_apply(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc prove_build(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc proved(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc prove_judge(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc news(struct replica *r, const struct work *w, struct outcome *o);
/* member.c: membership at the hub and `joined` at the site */
enum perche_rc site_key(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc enrol(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc leave(struct replica *r, const struct work *w, struct outcome *o);       /* member.c */
enum perche_rc leave_build(struct replica *r, const struct work *w, struct outcome *o); /* join.c */
enum perche_rc peer_note(struct replica *r, const struct work *w, struct outcome *o);
/* replicate.c: distributed migrations */
enum perche_rc migrations_since(struct replica *r, uint64_t number, struct outcome *o, struct perche_migration **out, uint32_t *count); /* in the outcome's message */
enum perche_rc migrations_apply(struct replica *r, const struct perche_migration *m, uint32_t n);
/* query.c, command.c */
enum perche_rc query(struct replica *r, const struct work *w, struct outcome *o);
enum perche_rc command(struct replica *r, const struct work *w, struct outcome *o);
/* A local write by the daemon itself (resolve, first start rows): like a captured change of one row, at once. */
enum perche_rc write_local(struct replica *r, struct table *t, struct perche_bytes key, uint64_t mask,
                           const struct perche_value *values, uint64_t stamp /* 0 = next */);
void state_fill(struct replica *r, struct state *s);
/* Something of the work under way that the log is to tell once it is on disk (struct note). */
enum perche_rc note_add(struct replica *r, enum note_kind kind, const char *table, const char *why, const char *of, uint64_t count);

#endif
