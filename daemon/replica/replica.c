/* Opening and closing a replica.
 *
 * Happy path of the writer: look at the file through a read-only connection; open
 * it; in one transaction make what it lacks (our tables, the school's, identity,
 * triggers, a hub's first rows); switch to WAL.
 * Failures: what is not ours to touch (not SQLite, damaged, of a newer program,
 * of the other role, another program's database) is refused before anything is
 * written. A first start that is cut leaves a file without any table.
 *
 * The file is opened through SQLite alone: closing any other descriptor of it
 * would drop the locks that this process holds. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <xxhash.h>

#include "replica/ask.h"
#include "replica/core.sql.h"
#include "replica/statements.h"
#include "replica/position.h"
#include "replica/tx.h"

#define BUSY_STEP_NS 200000                       /* SQLite's own steps of 1 to 100 ms would add to every commit seen */
#define CACHE_HUB_KB 4096   /* as fast as 8 and 64 MB for inserts; the memory is the same for every size of load */
#define CACHE_SITE_KB 1024   /* an old server: the pages are in the system's cache anyway */
#define CACHE_READER_KB 1024
#define WAL_BYTES_KEPT (64u << 20)                /* a WAL that a long reader let grow is cut back */
#define QUICK_CHECK_BYTES_MAX (64u << 20)         /* larger files: the tables that everything hangs on; all of it by `perche verify` */

/* ours, beside core_sql: what is said at capture_unscanned() and in audit.c, and who we are for any program */
static const char *const own_sql =
    /* tables to be compared, and how far that has come; gone_ms: since when the table is missing */
    "CREATE TABLE perche_rescan (tab INTEGER PRIMARY KEY, step INTEGER NOT NULL DEFAULT 0, gone_ms INTEGER NOT NULL DEFAULT 0,"
    " live INTEGER NOT NULL DEFAULT 0, missing INTEGER NOT NULL DEFAULT 0, emptied INTEGER NOT NULL DEFAULT 0, k1 ANY, k2 ANY, k3 ANY, k4 ANY, at BLOB) STRICT;"
    /* how each registered table was made when it was last seen */
    "CREATE TABLE perche_made (tab INTEGER PRIMARY KEY, sql TEXT NOT NULL) STRICT;"
    /* what the comparisons found; told: a `verify` has reported it */
    "CREATE TABLE perche_bypassed (tab INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, changed INTEGER NOT NULL, added INTEGER NOT NULL,"
    " removed INTEGER NOT NULL, restored INTEGER NOT NULL, lost INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE VIEW perche_self (site_id, site_code, role, hub_site_id, joined) AS"
    " SELECT n.site, (SELECT s.code FROM site s WHERE s.id = n.site), n.role, nullif(n.hub, ''), n.hub <> '' FROM perche_node n;";

/* Waits a step without holding anything: the lock has no queue and no event. */
static int on_busy(void *ctx, int steps)
{
    const struct timespec step = {.tv_nsec = BUSY_STEP_NS};
    const struct replica *r = ctx; /* NULL: a look at the file */

    if (steps >= (r != NULL ? r->busy_steps_max : BUSY_STEPS_MAX))
        return 0;
    (void)nanosleep(&step, NULL); /* cut short is fine */
    return 1;
}

/* ---- looking at what is there ------------------------------------------- */

/* One number; @value untouched when there is no row. */
static int one_number(sqlite3 *db, const char *query, int64_t *value)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, query, -1, &s, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s);
        if (rc == SQLITE_ROW) {
            *value = sqlite3_column_int64(s, 0);
            rc = SQLITE_OK;
        } else if (rc == SQLITE_DONE) {
            rc = SQLITE_OK;
        }
    }
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return rc;
}

static bool sound_once(sqlite3 *db, const char *query, int *rc)
{
    sqlite3_stmt *s = NULL;
    bool ok = false;

    *rc = sqlite3_prepare_v2(db, query, -1, &s, NULL);
    if (*rc == SQLITE_OK) {
        *rc = sqlite3_step(s);
        if (*rc == SQLITE_ROW) {
            const char *text = (const char *)sqlite3_column_text(s, 0);

            ok = text != NULL && strcmp(text, "ok") == 0;
            *rc = SQLITE_OK;
        } else if (*rc == SQLITE_DONE) {
            *rc = SQLITE_OK;
            ok = true;
        }
    }
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return ok;
}

/* Runs a quick_check; false with SQLITE_OK in *rc: it found something, twice, as a want of memory looks the same to it. */
static bool sound(sqlite3 *db, const char *query, int *rc)
{
    return sound_once(db, query, rc) || (*rc == SQLITE_OK && sound_once(db, query, rc));
}

/* Quick_check of a file with an index whose collation or function only its program has: such an index cannot be read, nor
 * its table be checked; all others can. */
static bool sound_otherwise(sqlite3 *db, int *rc)
{
    sqlite3_stmt *s = NULL;
    bool ok = true;
    int step = SQLITE_DONE;

    *rc = sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &s, NULL);
    while (*rc == SQLITE_OK && ok && (step = sqlite3_step(s)) == SQLITE_ROW) {
        char *query = sqlite3_mprintf("PRAGMA quick_check(%Q)", (const char *)sqlite3_column_text(s, 0));

        if (query == NULL) {
            *rc = SQLITE_NOMEM;
            break;
        }
        ok = sound(db, query, rc) || (*rc & 0xff) == SQLITE_ERROR;
        if ((*rc & 0xff) == SQLITE_ERROR)
            *rc = SQLITE_OK;
        sqlite3_free(query);
    }
    if (*rc == SQLITE_OK && ok && step != SQLITE_DONE)
        *rc = step;
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return ok && *rc == SQLITE_OK;
}

/* The migrations and views of the replica, by number. NULL: @i is behind the last one. */
static const struct schema_file *schema_at(const struct replica_config *c, size_t i)
{
    if (c->schema != NULL)
        return i < c->schema_count ? &c->schema[i] : NULL;
    return i < schema_files_count ? &schema_files[i] : NULL;
}

static int highest_migration(const struct replica_config *c)
{
    const struct schema_file *f;
    int highest = -1;

    for (size_t i = 0; (f = schema_at(c, i)) != NULL; i++)
        if (f->number < SCHEMA_VIEWS_FROM && f->number > highest)
            highest = f->number;
    return highest;
}

static enum perche_rc damaged(const char *path, const char *why, struct perche_err *err)
{
    return perche_err_set(err, PERCHE_CORRUPT, "%s is damaged (%s). Nothing was changed. Move it away, put a backup back under its name and"
                          " start again; without a backup start without it, and join anew", path, why);
}

/* A file with tables and none of ours is somebody else's: the school's tables do not belong in it. */
static enum perche_rc foreign(sqlite3 *db, const char *path, struct perche_err *err)
{
    static const char names[] = "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY type <> 'table', rowid";
    sqlite3_stmt *s = NULL;
    enum perche_rc result = PERCHE_OK;
    int rc = sqlite3_prepare_v2(db, names, -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        result = perche_err_set(err, PERCHE_REFUSED, "%s is the database of another program (it has \"%.60s\") and no replica of Perche's. Nothing was changed. Move it away,"
                                " or name another [node] data; its tables can be written into the replica.db that Perche makes then", path,
                                sqlite3_column_text(s, 0) != NULL ? (const char *)sqlite3_column_text(s, 0) : "");
    else if (rc != SQLITE_DONE)
        result = perche_err_set(err, rc == SQLITE_NOMEM ? PERCHE_NOMEM : PERCHE_DISK, "%s: %s", path, sqlite3_errmsg(db));
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return result;
}

static enum perche_rc seen_hub(sqlite3 *db, const struct replica_config *c, bool hub, struct replica_seen *seen, struct perche_err *err)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT hub FROM perche_node WHERE id = 1", -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(s, 0);

        seen->role = hub ? REPLICA_HUB : REPLICA_SITE;
        (void)snprintf(seen->hub, sizeof seen->hub, "%s", text != NULL ? text : ""); /* an id fits */
    } else {
        (void)perche_err_set(err, (rc & 0xff) == SQLITE_NOMEM ? PERCHE_NOMEM : PERCHE_DISK, "%s: %s", c->path, sqlite3_errmsg(db));
    }
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return rc == SQLITE_ROW ? PERCHE_OK : err != NULL ? err->rc : PERCHE_DISK;
}

/* @deep: the pages too. */
static enum perche_rc look(sqlite3 *db, const struct replica_config *c, bool deep, struct replica_seen *seen, struct perche_err *err)
{
    static const char *const vital[] = {"perche_node", "perche_name", "perche_tab", "perche_migration", "perche_peer", "perche_mark"};
    int64_t format = 0, has_format = 0, tables = 0, ours = 0, pages = 0, page_bytes = 0, migration = -1, hub = -1;
    bool made;
    int rc;

    rc = one_number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('perche_row', 'perche_capture', 'perche_mark')", &tables);
    if (rc == SQLITE_OK)
        rc = one_number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'perche_node'", &ours);
    if (rc == SQLITE_OK && ours != 0)
        rc = one_number(db, "SELECT count(*) FROM pragma_table_info('perche_node') WHERE name = 'format'", &has_format);
    if (rc == SQLITE_OK && has_format != 0)
        rc = one_number(db, "SELECT format FROM perche_node WHERE id = 1", &format);
    if (rc != SQLITE_OK)
        goto fail;
    made = ours != 0;
    if (format > REPLICA_FORMAT)
        return perche_err_set(err, PERCHE_NEWER, "%s has format %lld, this program knows %d: it was made by a newer program. Nothing was changed."
                              " Install that version again", c->path, (long long)format, REPLICA_FORMAT);
    if (!made && tables != 0)
        return damaged(c->path, "other tables say that it is a replica, but perche_node is missing", err);

    /* A row may fail a CHECK of its table: a program can switch these off, and what is merged of two edits that hold may not. The file is
     * sound all the same. */
    rc = deep ? sqlite3_exec(db, "PRAGMA ignore_check_constraints = ON", NULL, NULL, NULL) : SQLITE_OK;
    if (rc == SQLITE_OK && deep)
        rc = one_number(db, "PRAGMA page_count", &pages);
    if (rc == SQLITE_OK)
        rc = one_number(db, "PRAGMA page_size", &page_bytes);
    if (rc != SQLITE_OK)
        goto fail;
    if (deep && pages * page_bytes <= QUICK_CHECK_BYTES_MAX) {
        if (!sound(db, "PRAGMA quick_check(1)", &rc) && !((rc & 0xff) == SQLITE_ERROR && sound_otherwise(db, &rc))) {
            if (rc != SQLITE_OK)
                goto fail;
            return damaged(c->path, "quick_check found a mistake", err);
        }
    } else if (deep && made) {
        for (size_t i = 0; i < sizeof vital / sizeof *vital; i++) {
            char query[64];

            (void)snprintf(query, sizeof query, "PRAGMA quick_check(%s)", vital[i]); /* constants: they fit */
            if (!sound(db, query, &rc)) {
                if (rc != SQLITE_OK)
                    goto fail;
                return damaged(c->path, vital[i], err);
            }
        }
    }
    if (!made)
        return foreign(db, c->path, err);

    rc = one_number(db, "SELECT max(number) FROM perche_migration WHERE number < 90", &migration);
    if (rc == SQLITE_OK)
        rc = one_number(db, "SELECT role = 'hub' FROM perche_node WHERE id = 1", &hub);
    if (rc != SQLITE_OK)
        goto fail;
    if (migration > highest_migration(c))
        return perche_err_set(err, PERCHE_NEWER, "%s has schema %lld, this program knows %d: it was made by a newer program. Nothing was changed."
                              " Install that version again", c->path, (long long)migration, highest_migration(c));
    if (hub == -1)
        return damaged(c->path, "perche_node has no row", err);
    if ((hub != 0) != (c->role == REPLICA_HUB))
        return perche_err_set(err, PERCHE_REFUSED, "%s is the replica of a %s, but the configuration says role = %s. A replica does not change"
                              " its role: put the role right, or choose another data folder", c->path, hub ? "hub" : "site", hub ? "site" : "hub");
    return seen_hub(db, c, hub != 0, seen, err);

fail:
    switch (rc & 0xff) {
    case SQLITE_NOTADB:
        return perche_err_set(err, PERCHE_CORRUPT, "%s is not an SQLite database. Nothing was changed. Move it away and put a backup back under"
                              " its name, or start without it", c->path);
    case SQLITE_READONLY: /* a crash left a journal to roll back, which a reading connection may not do */
        seen->unknown = true;
        return PERCHE_OK;
    case SQLITE_CORRUPT: return damaged(c->path, sqlite3_errmsg(db), err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return perche_err_set(err, PERCHE_BUSY, "%s: another program holds its lock", c->path);
    case SQLITE_NOMEM: return perche_err_set(err, PERCHE_NOMEM, "%s: out of memory", c->path);
    case SQLITE_ERROR: return damaged(c->path, sqlite3_errmsg(db), err);
    default:
        if ((rc & 0xff) == SQLITE_FULL || sqlite3_system_errno(db) == ENOSPC)
            return perche_err_set(err, PERCHE_FULL, "%s: the disk is full. Nothing was changed. Make room and start again", c->path);
        return perche_err_set(err, PERCHE_DISK, "%s: %s", c->path, sqlite3_errmsg(db));
    }
}

/* The file as it stands, where nothing but it has a part in what it says: opened in the ordinary way a database in WAL mode
 * gets -wal and -shm, and a reader that ends does not take them away. NULL: no memory. */
static char *immutable(const char *path)
{
    sqlite3_str *uri = sqlite3_str_new(NULL);

    sqlite3_str_appendall(uri, "file:");
    for (const char *p = path; *p != '\0'; p++)
        if (strchr("%?#", *p) != NULL)
            sqlite3_str_appendf(uri, "%%%02X", (unsigned char)*p);
        else
            sqlite3_str_appendchar(uri, 1, *p);
    sqlite3_str_appendall(uri, "?immutable=1");
    return sqlite3_str_finish(uri);
}

static enum perche_rc exists(sqlite3_vfs *vfs, const char *path, const char *ending, int *there, struct perche_err *err)
{
    char beside[4096 + 16];

    *there = 0;
    (void)snprintf(beside, sizeof beside, "%s%s", path, ending); /* fits: the caller has measured the path */
    if (vfs->xAccess(vfs, beside, SQLITE_ACCESS_EXISTS, there) == SQLITE_OK)
        return PERCHE_OK;
    return *ending == '\0' ? PERCHE_OK : perche_err_set(err, PERCHE_DISK, "%s: %s", beside, strerror(errno)); /* the file's own shows when it is opened */
}

/* Is there a file, and one that we may go on with? */
enum perche_rc replica_look(const struct replica_config *c, struct replica_seen *out, struct perche_err *err)
{
    struct replica_seen seen = {0};
    sqlite3_vfs *vfs = sqlite3_vfs_find(c->vfs);
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, there = 0, wal = 0, journal = 0, rc;
    sqlite3 *db = NULL;
    char full[4096], *uri = NULL;
    enum perche_rc result;

    if (vfs == NULL)
        return perche_err_set(err, PERCHE_INTERNAL, "SQLite has no VFS %s", c->vfs != NULL ? c->vfs : "");
    if (vfs->mxPathname >= (int)sizeof full || (vfs->xFullPathname(vfs, c->path, sizeof full, full) & 0xff) != SQLITE_OK) /* or SQLITE_OK_SYMLINK */
        return perche_err_set(err, PERCHE_DISK, "%s: the path is too long or leads nowhere", c->path);
    result = exists(vfs, full, "", &there, err);
    if (result == PERCHE_OK && there)
        result = exists(vfs, full, "-wal", &wal, err);
    if (result == PERCHE_OK && there)
        result = exists(vfs, full, "-journal", &journal, err);
    if (result != PERCHE_OK)
        return result;
    if (!there) {
        *out = seen;
        return PERCHE_OK; /* what is in the way shows when it is made */
    }
    if (!wal && !journal) {
        uri = immutable(full);
        if (uri == NULL)
            return perche_err_set(err, PERCHE_NOMEM, "%s: out of memory", c->path);
        flags |= SQLITE_OPEN_URI;
    }
    rc = sqlite3_open_v2(uri != NULL ? uri : c->path, &db, flags, c->vfs);
    if (rc != SQLITE_OK) {
        result = perche_err_set(err, rc == SQLITE_NOMEM ? PERCHE_NOMEM : PERCHE_DISK, "%s: %s", c->path,
                                db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
    } else {
        (void)sqlite3_busy_handler(db, on_busy, NULL); /* cannot fail on an open connection */
        result = look(db, c, false, &seen, err);
    }
    (void)sqlite3_close(db); /* no statement is left */
    sqlite3_free(uri);
    if (result == PERCHE_OK)
        *out = seen;
    return result;
}

/* ---- connection ---------------------------------------------------------- */

static void free_config(struct replica_config *c)
{
    free((char *)c->path);
    free((char *)c->name);
    free((char *)c->vfs);
}

static enum perche_rc connect(struct replica *r, const struct replica_config *c, bool reader)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, rc;

    r->config = *c;
    r->config.path = strdup(c->path);
    r->config.name = strdup(c->name != NULL ? c->name : "");
    r->config.vfs = c->vfs != NULL ? strdup(c->vfs) : NULL;
    r->role = c->role;
    r->hub = c->role == REPLICA_HUB;
    r->reader = reader;
    r->now_ms = c->now_ms;
    r->schema_version = -1;
    r->busy_steps_max = BUSY_STEPS_MAX;
    random_seed(r, c->random);
    if (r->config.path == NULL || r->config.name == NULL || (c->vfs != NULL && r->config.vfs == NULL))
        return fail(r, PERCHE_NOMEM, "no memory for a connection");
    rc = sqlite3_open_v2(c->path, &r->db, reader ? flags : flags | SQLITE_OPEN_CREATE, c->vfs);
    if (rc != SQLITE_OK)
        return fail_sqlite(r, rc, c->path);
    (void)sqlite3_extended_result_codes(r->db, 1); /* these two cannot fail on an open connection */
    (void)sqlite3_busy_handler(r->db, on_busy, r);
    return exec(r, "PRAGMA temp_store = MEMORY"); /* before anything is read: afterwards it makes SQLite read the schema again */
}

/* What holds for one connection only. Checks of code lists are not SQLite's, nor are references: they may lead out of
 * the site's scopes. */
static enum perche_rc set_pragmas(struct replica *r)
{
    char text[512];

    (void)snprintf(text, sizeof text, /* numbers: they fit */
                   "PRAGMA synchronous = %s; PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; PRAGMA recursive_triggers = OFF;"
                   " PRAGMA trusted_schema = ON; PRAGMA cache_size = -%d;"
                   " PRAGMA journal_size_limit = %u; PRAGMA query_only = %s",
                   WITHOUT(D2_DURABLE) ? "NORMAL" : "FULL", r->reader ? CACHE_READER_KB : r->hub ? CACHE_HUB_KB : CACHE_SITE_KB, WAL_BYTES_KEPT,
                   r->reader ? "ON" : "OFF");
    return exec(r, text);
}

/* ---- schema -------------------------------------------------------------- */

/* Is there a row in perche_migration of this number and, if it is given, of this text? */
static bool noted(struct replica *r, int64_t number, const char *text)
{
    sqlite3_stmt *s = prepare(r, "SELECT 1 FROM perche_migration WHERE number = ?1 AND (?2 IS NULL OR sql = ?2)");
    int rc;

    if (s == NULL)
        return false;
    (void)sqlite3_bind_int64(s, 1, number); /* a failed bind finds nothing, and the note then fails */
    if (text != NULL)
        (void)sqlite3_bind_text(s, 2, text, -1, SQLITE_STATIC);
    rc = sqlite3_step(s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "perche_migration");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return rc == SQLITE_ROW;
}

static enum perche_rc note(struct replica *r, int64_t number, const char *name, const char *text, const struct perche_bytes *signature)
{
    sqlite3_stmt *s = prepare(r, "INSERT INTO perche_migration (number, name, sql, signature, applied_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
                                 " ON CONFLICT DO UPDATE SET name = excluded.name, sql = excluded.sql, signature = excluded.signature,"
                                 " applied_ms = excluded.applied_ms");
    int rc;

    if (s == NULL)
        return r->fail;
    (void)sqlite3_bind_int64(s, 1, number); /* a failed bind shows in the step: NOT NULL */
    (void)sqlite3_bind_text(s, 2, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 3, text, -1, SQLITE_STATIC);
    if (signature != NULL)
        (void)sqlite3_bind_blob(s, 4, signature->p, (int)signature->n, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 5, (int64_t)r->now_ms);
    rc = sqlite3_step(s);
    if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "perche_migration");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return r->fail;
}

/* Views are no migrations: of them the hash of the text is noted, to make them anew when a release has others. */
static enum perche_rc make_views(struct replica *r, bool again)
{
    const struct schema_file *f;

    for (size_t i = 0; r->fail == PERCHE_OK && (f = schema_at(&r->config, i)) != NULL; i++) {
        char hash[20];

        if (f->number < SCHEMA_VIEWS_FROM)
            continue;
        (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)XXH3_64bits(f->sql, strlen(f->sql))); /* 16 digits fit */
        if (!again && noted(r, f->number, hash))
            continue;
        again = true; /* later ones may use it */
        if (r->fail == PERCHE_OK && exec(r, f->sql) == PERCHE_OK)
            (void)note(r, f->number, f->name, hash, NULL);
    }
    return r->fail;
}

/* Migrations of this program that the file lacks. */
static enum perche_rc make_schema(struct replica *r)
{
    const struct schema_file *f;
    bool ran = false;

    for (size_t i = 0; r->fail == PERCHE_OK && (f = schema_at(&r->config, i)) != NULL; i++) {
        if (f->number >= SCHEMA_VIEWS_FROM || noted(r, f->number, NULL) || r->fail != PERCHE_OK)
            continue;
        ran = true;
        if (exec(r, f->sql) == PERCHE_OK)
            (void)note(r, f->number, f->name, "", NULL);
    }
    return r->fail == PERCHE_OK ? make_views(r, ran) : r->fail;
}

static enum perche_rc look_and_install(struct replica *r)
{
    struct perche_err err = {0};

    if (registry_load(r, &err) != PERCHE_OK || capture_install(r, &err) != PERCHE_OK)
        return fail(r, err.rc, "%s", err.text);
    return PERCHE_OK;
}

/* A migration runs within the transaction of its work, whose end is not its own to say: a COMMIT in it would put
 * half of that work on disk. */
static int no_transactions(void *ctx, int action, const char *a, const char *b, const char *database, const char *inner)
{
    (void)ctx;
    (void)a;
    (void)b;
    (void)database;
    (void)inner;
    return action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT || action == SQLITE_ATTACH || action == SQLITE_DETACH
               ? SQLITE_DENY
               : SQLITE_OK;
}

/* Behind the ; that ends the first statement of @text, not one in a text or a comment. NULL: r->fail. */
static const char *statement_end(struct replica *r, const char *text)
{
    const char *end = text;

    while ((end = strchr(end, ';')) != NULL) {
        char *head = sqlite3_mprintf("%.*s", (int)(++end - text), text);
        bool whole = head != NULL && sqlite3_complete(head) == 1;

        if (head == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for a migration");
        sqlite3_free(head);
        if (whole || r->fail != PERCHE_OK)
            return r->fail == PERCHE_OK ? end : NULL;
    }
    return text + strlen(text);
}

/* Does the statement at @text, which SQLite refused, add a column that is there? */
static bool column_is_there(sqlite3 *db, const char *text)
{
    static const char alter[] = "ALTER TABLE ";

    text += strspn(text, " \t\r\n");
    return strncasecmp(text, alter, sizeof alter - 1) == 0 && strncmp(sqlite3_errmsg(db), "duplicate column name", 21) == 0;
}

int run_each(struct replica *r, sqlite3 *db, const char *text)
{
    while (*text != '\0') {
        const char *begin = text; /* a statement that is refused does not tell where it ends */
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(db, text, -1, &s, &text);

        if (rc != SQLITE_OK) {
            if (!column_is_there(db, begin))
                return rc;
            text = statement_end(r, begin);
            if (text == NULL)
                return SQLITE_NOMEM;
            continue;
        }
        if (s == NULL)
            continue; /* white space */
        while ((rc = sqlite3_step(s)) == SQLITE_ROW)
            ;
        (void)sqlite3_finalize(s); /* its error was seen by the step */
        if (rc != SQLITE_DONE)
            return rc;
    }
    return SQLITE_OK;
}

enum perche_rc run_additive(struct replica *r, const char *text)
{
    int rc;

    (void)sqlite3_set_authorizer(r->db, no_transactions, NULL); /* cannot fail: the connection is ours */
    rc = run_each(r, r->db, text);
    if (rc != SQLITE_OK)
        (void)fail_sqlite(r, rc, "a migration");
    (void)sqlite3_set_authorizer(r->db, NULL, NULL);
    return r->fail;
}

enum perche_rc migration_run(struct replica *r, int64_t number, const char *name, const char *sql_text, const struct perche_bytes *signature)
{
    assert(r->in_tx && !r->reader);
    if (noted(r, number, sql_text) || r->fail != PERCHE_OK)
        return r->fail;
    if (run_additive(r, sql_text) != PERCHE_OK || note(r, number, name, sql_text, signature) != PERCHE_OK || make_views(r, true) != PERCHE_OK)
        return r->fail;
    registry_changed(r); /* it may hold rows of perche_table alone */
    r->parked.schema = -1;
    if (look_and_install(r) != PERCHE_OK)
        return r->fail;
    return r->holding ? held_link_all(r) : PERCHE_OK;
}

/* ---- first start --------------------------------------------------------- */

static enum perche_rc insert_node(struct replica *r)
{
    sqlite3_stmt *s = prepare(r, "INSERT INTO perche_node (id, site, role, name, hub, epoch, good_ms, format) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    char site[37];
    int rc;

    if (s == NULL)
        return r->fail;
    random_uuid(r, r->now_ms, site);
    (void)sqlite3_bind_text(s, 1, site, -1, SQLITE_STATIC); /* a failed bind shows in the step: NOT NULL */
    (void)sqlite3_bind_text(s, 2, r->config.role == REPLICA_HUB ? "hub" : "site", -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 3, r->config.name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 4, r->config.role == REPLICA_HUB ? site : "", -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 5, (int64_t)(random_u64(r) >> 1 | 1));
    (void)sqlite3_bind_int64(s, 6, 0);
    (void)sqlite3_bind_int64(s, 7, REPLICA_FORMAT);
    rc = sqlite3_step(s);
    if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "perche_node");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return r->fail;
}

/* A hub's first rows, as any program would write them: captured, stamped by the first harvest. */
static enum perche_rc insert_hub_rows(struct replica *r)
{
    char network[37];
    char *text;

    random_uuid(r, r->now_ms, network);
    text = sqlite3_mprintf("INSERT INTO network (id, name) VALUES (%Q, %Q);"
                           "INSERT INTO site (id, network_id, code, name, kind, status) VALUES (%Q, %Q, 'HUB', %Q, 'HUB', 'OPEN');",
                           network, r->config.name, r->node.site, network, r->config.name);
    if (text == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the first rows");
    (void)exec(r, text);
    sqlite3_free(text);
    for (size_t i = 0; r->config.seeds && r->fail == PERCHE_OK && i < schema_seeds_count; i++)
        (void)exec(r, schema_seeds[i].sql);
    return r->fail;
}

static enum perche_rc make(struct replica *r)
{
    int64_t ours = 0;
    bool first;

    if (one_number(r->db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'perche_node'", &ours) != SQLITE_OK)
        return fail_sqlite(r, sqlite3_errcode(r->db), r->config.path);
    first = ours == 0;
    if (first) {
        if (exec(r, core_sql) != PERCHE_OK || exec(r, own_sql) != PERCHE_OK || insert_node(r) != PERCHE_OK)
            return r->fail;
    } else if (upgrade_tables(r) != PERCHE_OK) {
        return r->fail;
    }
    if (names_open(r) != PERCHE_OK || capture_read(r) != PERCHE_OK || make_schema(r) != PERCHE_OK || node_load(r) != PERCHE_OK)
        return r->fail;
    if (WITHOUT(D10_LSN_OF_MAX))
        r->node.lsn = (uint64_t)ask_number(r, "SELECT coalesce(max(lsn), 0) FROM perche_row", 0, NULL);
    if (exec(r, "UPDATE perche_flag SET applying = 0 WHERE applying <> 0") != PERCHE_OK || look_and_install(r) != PERCHE_OK)
        return r->fail;
    if (strcmp(r->node.name, r->config.name) != 0 && r->config.name[0] != '\0') {
        (void)snprintf(r->node.name, sizeof r->node.name, "%s", r->config.name); /* cut short is fine */
        if (node_store(r) != PERCHE_OK)
            return r->fail;
    }
    if (r->hub && life_begin(r) != PERCHE_OK)
        return r->fail;
    if (first && r->hub && insert_hub_rows(r) != PERCHE_OK)
        return r->fail;
    if (r->hub && hub_key_renewed(r) == PERCHE_OK)
        (void)chain_own_key(r);
    return r->fail;
}

/* One transaction of the opening. */
static enum perche_rc write_once(struct replica *r, enum perche_rc (*what)(struct replica *r))
{
    if (exec(r, "BEGIN IMMEDIATE") != PERCHE_OK)
        return r->fail;
    r->in_tx = true;
    r->tx->write = true;
    if (what(r) == PERCHE_OK)
        (void)exec(r, "COMMIT");
    if (r->fail != PERCHE_OK)
        (void)sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL); /* SQLite may have done it already */
    r->in_tx = false;
    return r->fail;
}

static enum perche_rc open_writer(struct replica *r)
{
    sqlite3_stmt *s;
    bool wal;
    int rc;

    if (set_pragmas(r) != PERCHE_OK || tx_open(r) != PERCHE_OK || write_once(r, make) != PERCHE_OK)
        return r->fail;
    /* after the first commit: a file that was refused keeps its mode, too */
    s = prepare(r, "PRAGMA journal_mode = wal");
    if (s == NULL)
        return r->fail;
    rc = sqlite3_step(s);
    wal = rc == SQLITE_ROW && sqlite3_stricmp((const char *)sqlite3_column_text(s, 0), "wal") == 0;
    if (rc != SQLITE_ROW)
        (void)fail_sqlite(r, rc, r->config.path);
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    if (r->fail != PERCHE_OK)
        return r->fail;
    if (!wal)
        return fail(r, PERCHE_DISK, "%s cannot be put into WAL mode: is it on a network drive, or open in another program?", r->config.path);
    wal_open(r);
    if (statements_prepare(r) != PERCHE_OK || (upgrade_due(r) && write_once(r, upgrade_rows) != PERCHE_OK))
        return r->fail;
    held_look(r);
    if (r->holding && write_once(r, held_link_all) != PERCHE_OK)
        return r->fail;
    r->kept_here = ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_refused WHERE reason IN ('key', 'too_large', 'trigger'))", 0, NULL) != 0;
    if (r->fail != PERCHE_OK)
        return r->fail;
    return tx_pragma(r, TX_DATA_VERSION, &r->tx->data_version);
}

static enum perche_rc open_reader(struct replica *r)
{
    struct perche_err err = {0};

    if (set_pragmas(r) != PERCHE_OK || tx_open(r) != PERCHE_OK || names_open(r) != PERCHE_OK || node_load(r) != PERCHE_OK)
        return r->fail;
    if (registry_load(r, &err) != PERCHE_OK)
        return r->fail;
    return statements_prepare(r);
}

/* Is the file one that we may go on with? Until that is known the close leaves what is in -wal there. */
static enum perche_rc may_go_on(struct replica *r)
{
    struct replica_seen seen = {0};
    struct perche_err err = {0};

    (void)sqlite3_db_config(r->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* cannot fail on an open connection */
    if (look(r->db, &r->config, true, &seen, &err) != PERCHE_OK)
        return fail(r, err.rc, "%s", err.text);
    (void)sqlite3_db_config(r->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return PERCHE_OK;
}

static enum perche_rc open_any(const struct replica_config *config, bool reader, struct replica **out, struct perche_err *err)
{
    struct replica *r = calloc(1, sizeof *r);

    if (r == NULL)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for a connection");
    if (connect(r, config, reader) != PERCHE_OK || (!reader && may_go_on(r) != PERCHE_OK) || (reader ? open_reader(r) : open_writer(r)) != PERCHE_OK) {
        enum perche_rc rc = perche_err_set(err, r->fail, "%s", r->fail_err.text);

        replica_free(r);
        return rc;
    }
    *out = r;
    return PERCHE_OK;
}

enum perche_rc replica_open(const struct replica_config *config, struct replica **out, struct perche_err *err)
{
    return open_any(config, false, out, err);
}

enum perche_rc replica_open_reader(const struct replica_config *config, struct replica **out, struct perche_err *err)
{
    return open_any(config, true, out, err);
}

void replica_free(struct replica *r)
{
    if (r == NULL)
        return;
    if (r->in_tx && r->tx != NULL)
        tx_rollback(r);
    history_free(r);
    scopes_free(r);
    digests_free(r);
    capture_free(r);
    registry_free(r);
    statements_free(r);
    names_free(r);
    tx_free(r);
    if (r->db != NULL && !files_stand(r)) /* the last close would write the old -wal into replica.db, and delete the new one */
        (void)sqlite3_db_config(r->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* cannot fail on an open connection */
    if (sqlite3_close(r->db) != SQLITE_OK)    /* its last checkpoint may fail, the WAL then stays */
        (void)sqlite3_close_v2(r->db);        /* a statement was left: it goes with its owner. Never finalized from a list
                                                 here, as virtual tables (a program's FTS5) have theirs on it, too */
    free_config(&r->config);
    free(r);
}

/* ---- small questions ----------------------------------------------------- */

const char *replica_site_id(const struct replica *r)
{
    return r->node.site;
}

const char *replica_hub_id(const struct replica *r)
{
    return r->node.hub;
}

const char *replica_name(const struct replica *r)
{
    return r->node.name;
}

uint32_t replica_backlog(struct replica *r)
{
    int64_t rows = ask_number(r, "SELECT count(*) FROM perche_capture", 0, NULL);

    fail_clear(r); /* a file that cannot be read is told of by the work that comes next */
    return (uint32_t)(rows / PERCHE_HARVEST_CHUNK_ROWS);
}

bool replica_put_back(const struct replica *r)
{
    return r->put_back;
}

bool replica_others_wrote(struct replica *r)
{
    int64_t version = r->tx->data_version;
    bool wrote;

    if (tx_pragma(r, TX_DATA_VERSION, &version) != PERCHE_OK)
        return true; /* harvest will find what it is */
    wrote = version != r->tx->data_version;
    r->tx->data_version = version;
    return wrote;
}
