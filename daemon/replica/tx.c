/* Transactions of one connection, and the memory that goes with them.
 *
 * Happy path: tx_begin; for each work applying_begin .. applying_end (after a failure
 * all once more, each between savepoint and savepoint_release); tx_commit stores
 * digests, the node's row and a mark in the same commit as the rows. Memory (node, interned names, digests, woken sites)
 * follows disk: what a rollback takes from the file goes from memory, too.
 *
 * SQLite ends a transaction by itself on some errors (disk full, I/O, out of
 * memory). What came next would then run with a commit of its own for each
 * statement; so each work, savepoint() and tx_commit() look at sqlite3_get_autocommit()
 * and repeat the reason instead of going on. */
#include "replica/tx.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[TX_SQL_COUNT] = {
    [TX_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [TX_BEGIN_READ] = "BEGIN",
    [TX_COMMIT] = "COMMIT",
    [TX_ROLLBACK] = "ROLLBACK",
    [TX_SAVEPOINT] = "SAVEPOINT work",
    [TX_RELEASE] = "RELEASE work",
    [TX_BACK] = "ROLLBACK TO work",
    [TX_ROW] = "SAVEPOINT one_row",
    [TX_ROW_RELEASE] = "RELEASE one_row",
    [TX_ROW_BACK] = "ROLLBACK TO one_row",
    [TX_TRIAL] = "SAVEPOINT trial",
    [TX_TRIAL_RELEASE] = "RELEASE trial",
    [TX_TRIAL_BACK] = "ROLLBACK TO trial",
    [TX_SCHEMA_VERSION] = "PRAGMA schema_version",
    [TX_DATA_VERSION] = "PRAGMA data_version",
};

enum perche_rc tx_open(struct replica *r)
{
    r->tx = calloc(1, sizeof *r->tx);
    r->woken = calloc(1, sizeof *r->woken);
    if (r->tx == NULL || r->woken == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the connection");
    for (int i = 0; i < TX_SQL_COUNT; i++) {
        r->tx->sql[i] = prepare(r, texts[i]);
        if (r->tx->sql[i] == NULL)
            return r->fail;
    }
    return PERCHE_OK;
}

void tx_free(struct replica *r)
{
    if (r->tx != NULL) {
        for (int i = 0; i < TX_SQL_COUNT; i++)
            (void)sqlite3_finalize(r->tx->sql[i]); /* its error was seen by the step */
        (void)sqlite3_finalize(r->tx->node_load);
        (void)sqlite3_finalize(r->tx->node_stands);
        (void)sqlite3_finalize(r->tx->node_store);
        (void)sqlite3_finalize(r->tx->mark_put);
    }
    free(r->tx);
    r->tx = NULL;
    if (r->woken != NULL)
        free(r->woken->sites);
    free(r->woken);
    r->woken = NULL;
}

/* ---- failures ------------------------------------------------------------ */

enum perche_rc fail(struct replica *r, enum perche_rc rc, const char *fmt, ...)
{
    char text[sizeof r->fail_err.text];
    va_list args;

    if (r->tx != NULL)
        r->tx->settled = false;
    if (r->fail != PERCHE_OK)
        return r->fail;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args); /* cut short is fine */
    va_end(args);
    r->fail = rc;
    (void)perche_err_set(&r->fail_err, rc, "%s", text);
    return rc;
}

void fail_clear(struct replica *r)
{
    r->fail = PERCHE_OK;
    r->fail_err.rc = PERCHE_OK;
    r->fail_err.text[0] = '\0';
}

bool refused_here(struct replica *r)
{
    if (r->fail != PERCHE_REFUSED || tx_lost(r))
        return false;
    fail_clear(r);
    return true;
}

enum perche_rc fail_tell(const struct replica *r, struct perche_err *err)
{
    if (err != NULL && err != &r->fail_err)
        *err = r->fail_err;
    return r->fail;
}

static enum perche_rc code_of(int sqlite_rc)
{
    switch (sqlite_rc) {
    case SQLITE_IOERR_NOMEM: return PERCHE_NOMEM;
    case SQLITE_IOERR_CORRUPTFS: return PERCHE_CORRUPT;
    default: break;
    }
    switch (sqlite_rc & 0xff) {
    case SQLITE_NOMEM: return PERCHE_NOMEM;
    case SQLITE_FULL: return PERCHE_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return PERCHE_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return PERCHE_CORRUPT;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_NOLFS: return PERCHE_DISK;
    case SQLITE_TOOBIG: return PERCHE_TOO_LARGE;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH: return PERCHE_REFUSED;
    default: return PERCHE_INTERNAL;
    }
}

enum perche_rc fail_sqlite(struct replica *r, int sqlite_rc, const char *what)
{
    enum perche_rc code = code_of(sqlite_rc);
    const char *why = r->db != NULL ? sqlite3_errmsg(r->db) : sqlite3_errstr(sqlite_rc);

    if (code == PERCHE_DISK && r->db != NULL && sqlite3_system_errno(r->db) == ENOSPC) {
        code = PERCHE_FULL; /* -shm grows outside SQLite's own check */
        why = "the disk is full";
    }
    (void)fail(r, code, "%s: %s", what, why);
    if (tx_lost(r) && r->tx->lost.rc == PERCHE_OK)
        (void)perche_err_set(&r->tx->lost, code, "%s: %s", what, why);
    return r->fail;
}

/* ---- steps --------------------------------------------------------------- */

bool tx_lost(const struct replica *r)
{
    return r->in_tx && sqlite3_get_autocommit(r->db) != 0;
}

enum perche_rc tx_stands(struct replica *r)
{
    const struct perche_err *why;

    if (!tx_lost(r))
        return PERCHE_OK;
    why = &r->tx->lost;
    return fail(r, why->rc != PERCHE_OK ? why->rc : PERCHE_DISK, "%s", why->rc != PERCHE_OK ? why->text : "SQLite ended the transaction");
}

static enum perche_rc run(struct replica *r, enum tx_sql id)
{
    sqlite3_stmt *s = r->tx->sql[id];
    int rc = sqlite3_step(s);
    enum perche_rc result = PERCHE_OK;

    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        result = fail_sqlite(r, rc, texts[id]);
    (void)sqlite3_reset(s); /* repeats the step's error */
    return result;
}

enum perche_rc tx_pragma(struct replica *r, enum tx_sql id, int64_t *out)
{
    sqlite3_stmt *s = r->tx->sql[id];
    int rc = sqlite3_step(s);
    enum perche_rc result = PERCHE_OK;

    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(s, 0);
    else
        result = fail_sqlite(r, rc, texts[id]);
    (void)sqlite3_reset(s); /* repeats the step's error */
    return result;
}

/* A reading statement left open (data_load's) keeps its snapshot beyond the end of the transaction. Statements of virtual
 * tables are among these; the reset of the one that uses them has closed them. */
static void reset_busy(struct replica *r)
{
    for (sqlite3_stmt *s = sqlite3_next_stmt(r->db, NULL); s != NULL; s = sqlite3_next_stmt(r->db, s))
        if (sqlite3_stmt_busy(s))
            (void)sqlite3_reset(s); /* nobody waits for what it says */
}

/* ---- applying ------------------------------------------------------------ */

static enum perche_rc triggers(struct replica *r, bool on)
{
    int rc = sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, (int)on, NULL);

    if (rc != SQLITE_OK)
        return fail_sqlite(r, rc, "triggers");
    r->triggers_off = !on;
    return PERCHE_OK;
}

/* Turning triggers off or on makes SQLite parse every prepared statement again, which costs more than many a batch.
 * So they stay off from the first batch on, until a work comes that writes as programs do: capturing(). */
enum perche_rc applying_begin(struct replica *r)
{
    enum perche_rc rc = PERCHE_OK;

    assert(!r->applying);
    if (WITHOUT(D12_APPLIED_CAPTURED)) {
        r->applying = true;
        return PERCHE_OK;
    }
    if (registry_foreign_triggers(r)) {
        if (r->triggers_off)
            rc = triggers(r, true);
        if (rc == PERCHE_OK)
            rc = exec(r, "UPDATE perche_flag SET applying = 1");
    } else if (!r->triggers_off) {
        rc = triggers(r, false);
    }
    if (rc == PERCHE_OK)
        r->applying = true;
    return rc;
}

enum perche_rc applying_end(struct replica *r)
{
    assert(r->applying);
    r->applying = false;
    return r->triggers_off ? PERCHE_OK : exec(r, "UPDATE perche_flag SET applying = 0");
}

enum perche_rc capturing(struct replica *r)
{
    assert(!r->applying);
    return r->triggers_off ? triggers(r, true) : PERCHE_OK;
}

/* After a rollback, which has put the flag's row back by itself. */
static void applying_back(struct replica *r, bool applying)
{
    r->applying = applying;
}

/* ---- woken --------------------------------------------------------------- */

enum perche_rc woken_add(struct replica *r, uint32_t site)
{
    struct woken *w = r->woken;

    for (uint32_t i = 0; i < w->count; i++)
        if (w->sites[i] == site)
            return PERCHE_OK;
    if (w->count == w->cap) {
        uint32_t cap = w->cap == 0 ? 16 : w->cap * 2;
        uint32_t *sites = realloc(w->sites, cap * sizeof *sites);

        if (sites == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for the sites to wake");
        w->sites = sites;
        w->cap = cap;
    }
    w->sites[w->count++] = site;
    return PERCHE_OK;
}

void woken_clear(struct replica *r)
{
    r->woken->count = 0;
    r->woken->all = false;
}

/* ---- transaction --------------------------------------------------------- */

static void save(struct replica *r, struct saved *s)
{
    s->node = r->node;
    s->node_dirty = r->node_dirty;
    s->floor_pass = r->floor_pass;
    s->parked = r->parked;
    s->applying = r->applying;
    s->names = names_mark(r);
    s->woken = r->woken->count;
    s->woken_all = r->woken->all;
}

static void restore(struct replica *r, const struct saved *s)
{
    applying_back(r, s->applying);
    r->node = s->node;
    r->node_dirty = s->node_dirty;
    r->floor_pass = s->floor_pass;
    r->parked = s->parked;
    names_cut(r, s->names);
    r->woken->count = s->woken;
    r->woken->all = s->woken_all;
    r->judged = 0; /* what it held is held no more */
    if (r->tx->reloaded) {
        r->schema_version = -1; /* another program may reach the number that we had */
        r->tx->reloaded = false;
    }
    if (!WITHOUT(D13_ROLLBACK_SUMS))
        digests_forget(r);
}

static enum perche_rc look_at_schema(struct replica *r)
{
    int64_t before = r->schema_version;
    struct perche_err err = {0};

    if (registry_load(r, &err) != PERCHE_OK)
        return fail(r, err.rc, "%s", err.text);
    if (r->schema_version == before || !r->tx->write)
        return PERCHE_OK;
    if (capture_install(r, &err) != PERCHE_OK)
        return fail(r, err.rc, "%s", err.text);
    return PERCHE_OK;
}

bool files_stand(struct replica *r)
{
    const struct replica_files *files = &r->config.files;

    return files->stand == NULL || files->stand(files->ctx);
}

/* Another program may be on another -wal or -shm: what is read here may be no snapshot of anything, and what is written may
 * overwrite what that one has committed. */
static enum perche_rc files_check(struct replica *r)
{
    return files_stand(r) ? PERCHE_OK : fail(r, PERCHE_STATE, "the replica's files were replaced");
}

static enum perche_rc look_at_node(struct replica *r)
{
    uint64_t lsn = r->node.lsn, epoch = r->node.epoch;

    if (!r->tx->write && r->reader) {
        if (node_load(r) == PERCHE_OK)
            r->put_back |= r->node.epoch == epoch && r->node.lsn < lsn;
    } else if (r->sql != NULL) { /* NULL while the file is made */
        r->put_back |= !node_stands(r);
    }
    return r->put_back ? fail(r, PERCHE_STATE, "an older replica.db was put back under the running daemon") : r->fail;
}

enum perche_rc tx_begin(struct replica *r, bool write)
{
    struct tx *t = r->tx;

    assert(!r->in_tx && !(write && r->reader));
    fail_clear(r);
    t->lost.rc = PERCHE_OK;
    t->settled = t->saved_stands = false;
    t->reloaded = false;
    t->write = write;
    if (!sqlite3_get_autocommit(r->db) && run(r, TX_ROLLBACK) != PERCHE_OK) /* there was no memory for the last one: an authorizer makes it anew */
        return r->fail;
    if (run(r, write ? TX_BEGIN_WRITE : TX_BEGIN_READ) != PERCHE_OK)
        return r->fail;
    r->in_tx = true;
    names_begin(r);
    woken_clear(r);
    r->tx_lsn = r->node.lsn;
    save(r, &t->begun);
    if (write)
        (void)files_check(r); /* now that nobody else writes */
    if (r->fail == PERCHE_OK)
        (void)look_at_node(r);
    if (r->fail == PERCHE_OK)
        (void)look_at_schema(r);
    if (r->fail == PERCHE_OK)
        held_look(r);
    if (r->fail != PERCHE_OK)
        tx_rollback(r);
    return r->fail;
}

/* The mark says which of two histories an lsn belongs to (DESIGN 4.8). */
static enum perche_rc store_mark(struct replica *r)
{
    sqlite3_stmt *s = r->tx->mark_put;
    enum perche_rc result = PERCHE_OK;
    int rc;

    if (s == NULL)
        s = r->tx->mark_put = prepare(r, "INSERT INTO perche_mark (lsn, mark) VALUES (?1, ?2)");
    if (s == NULL)
        return r->fail;
    r->node.mark = random_u64(r);
    r->node_dirty = true;
    (void)sqlite3_bind_int64(s, 1, (int64_t)r->node.lsn); /* a failed bind shows in the step */
    (void)sqlite3_bind_int64(s, 2, (int64_t)r->node.mark);
    rc = sqlite3_step(s);
    if (rc != SQLITE_DONE)
        result = fail_sqlite(r, rc, "perche_mark");
    (void)sqlite3_reset(s); /* repeats the step's error */
    if (result == PERCHE_OK && ++r->tx->marks >= MARKS_THIN_EVERY) {
        r->tx->marks = 0;
        result = marks_thin_known(r);
    }
    return result;
}

enum perche_rc tx_commit(struct replica *r)
{
    struct tx *t = r->tx;

    assert(r->in_tx);
    if (r->fail != PERCHE_OK && !t->settled) { /* a work failed, and nobody took it back */
        tx_rollback(r);
        return r->fail;
    }
    fail_clear(r);
    if (r->applying)
        (void)applying_end(r);
    (void)tx_stands(r);
    if (t->write) {
        if (r->fail == PERCHE_OK)
            (void)digests_store(r);
        if (r->fail == PERCHE_OK && r->node.lsn != r->tx_lsn && !WITHOUT(D6_NO_MARK))
            (void)store_mark(r);
        if (r->fail == PERCHE_OK && r->node_dirty)
            (void)node_store(r);
    }
    reset_busy(r);
    if (r->fail == PERCHE_OK)
        (void)files_check(r);
    if (r->fail == PERCHE_OK)
        (void)run(r, TX_COMMIT);
    if (r->fail != PERCHE_OK) {
        tx_rollback(r);
        return r->fail;
    }
    r->in_tx = false;
    if (t->write)
        wal_committed(r);
    return PERCHE_OK;
}

void tx_rollback(struct replica *r)
{
    struct perche_err err = r->fail_err;
    enum perche_rc rc = r->fail;

    if (!r->in_tx)
        return;
    reset_busy(r);
    if (!tx_lost(r))
        (void)run(r, TX_ROLLBACK); /* what it was rolled back for says more */
    r->in_tx = false;
    if (!r->tx->write) { /* memory holds what was read, which stays true */
        r->fail = rc;
        r->fail_err = err;
        return;
    }
    restore(r, &r->tx->begun);
    memset(r->chore_done, 0, sizeof r->chore_done);
    woken_clear(r);
    fail_clear(r);
    if (node_load(r) != PERCHE_OK) /* after a COMMIT that failed only the disk knows */
        r->node = r->tx->begun.node;
    r->node_dirty = false;
    fail_clear(r);
    (void)capture_read(r); /* of a file that cannot be read the next begin tells */
    r->fail = rc;
    r->fail_err = err;
}

/* ---- savepoint ----------------------------------------------------------- */

enum perche_rc savepoint(struct replica *r)
{
    struct tx *t = r->tx;

    assert(r->in_tx);
    fail_clear(r);
    t->settled = false;
    if (tx_stands(r) != PERCHE_OK)
        return r->fail;
    if (!t->write)
        return PERCHE_OK;
    /* what earlier works left in memory is on this side of the savepoint, so that a rollback may forget it */
    if (digests_store(r) != PERCHE_OK || (r->schema_version == -1 && look_at_schema(r) != PERCHE_OK))
        return r->fail;
    if (run(r, TX_SAVEPOINT) != PERCHE_OK)
        return r->fail;
    save(r, &t->saved);
    t->saved_stands = true;
    return PERCHE_OK;
}

enum perche_rc savepoint_release(struct replica *r)
{
    if (!r->tx->write)
        return PERCHE_OK;
    if (tx_lost(r))
        return fail(r, PERCHE_DISK, "SQLite ended the transaction");
    if (run(r, TX_RELEASE) != PERCHE_OK)
        return r->fail;
    r->tx->saved_stands = false;
    return PERCHE_OK;
}

void savepoint_rollback(struct replica *r)
{
    struct perche_err err = r->fail_err;
    enum perche_rc rc = r->fail;

    r->tx->settled = true;
    if (!r->tx->saved_stands) /* savepoint() itself has failed: there is nothing to go back from */
        return;
    r->tx->saved_stands = false;
    reset_busy(r);
    if (!tx_lost(r)) {
        (void)run(r, TX_BACK); /* a failure here loses the transaction, which tx_commit finds */
        (void)run(r, TX_RELEASE);
    }
    restore(r, &r->tx->saved);
    if (!tx_lost(r)) {
        fail_clear(r);
        (void)capture_read(r);
    }
    r->fail = rc;
    r->fail_err = err;
    r->tx->settled = true; /* again: fail() has cleared it if a step above said something */
}

enum perche_rc row_savepoint(struct replica *r)
{
    return run(r, TX_ROW);
}

enum perche_rc row_release(struct replica *r)
{
    return run(r, TX_ROW_RELEASE);
}

void row_back(struct replica *r)
{
    if (tx_lost(r))
        return;
    (void)run(r, TX_ROW_BACK); /* r->fail is what it goes back for */
    (void)run(r, TX_ROW_RELEASE);
}

enum perche_rc trial(struct replica *r)
{
    struct tx *t = r->tx;
    const struct outcome *o = r->outcome;

    if (tx_stands(r) != PERCHE_OK || digests_store(r) != PERCHE_OK || run(r, TX_TRIAL) != PERCHE_OK)
        return r->fail;
    save(r, &t->tried);
    t->tried_notes.count = o != NULL ? o->notes_count : 0;
    t->tried_notes.left = o != NULL ? o->notes_left : 0;
    if (t->tried_notes.count > 0)
        memcpy(t->tried_notes.all, o->notes, t->tried_notes.count * sizeof o->notes[0]);
    return PERCHE_OK;
}

enum perche_rc trial_release(struct replica *r)
{
    return run(r, TX_TRIAL_RELEASE);
}

enum perche_rc trial_rollback(struct replica *r)
{
    struct tx *t = r->tx;
    struct outcome *o = r->outcome;
    bool reloaded = t->reloaded;
    int64_t judged = r->judged;

    if (run(r, TX_TRIAL_BACK) != PERCHE_OK || run(r, TX_TRIAL_RELEASE) != PERCHE_OK)
        return r->fail;
    t->reloaded = false; /* the registry was read before it, and what brake.c has judged too */
    restore(r, &t->tried);
    t->reloaded = reloaded;
    r->judged = judged;
    scopes_forget(r);
    r->named = NAMED_UNKNOWN;
    if (o != NULL) {
        o->notes_count = t->tried_notes.count;
        o->notes_left = t->tried_notes.left;
        if (o->notes_count > 0)
            memcpy(o->notes, t->tried_notes.all, o->notes_count * sizeof o->notes[0]);
    }
    return PERCHE_OK;
}
