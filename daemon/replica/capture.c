/* Capture: what any program writes into a replicated table is noted by triggers,
 * in the program's own transaction, in pure SQL (P1).
 *
 * For each table: after INSERT, UPDATE and DELETE a row in perche_capture (table,
 * mask, time, key; mask -1 inserted, 0 deleted, else the bitmap of changed
 * columns, bit num - 1), for a DELETE the old row in perche_gone_TABLE too; and
 * before an UPDATE of the key a refusal, as of a key that is too long to travel. The outer statement's conflict policy
 * overrides the ones in a trigger (INSERT OR IGNORE would turn into REPLACE), so
 * bodies hold plain INSERTs into tables without any constraint.
 *
 * The mask is a sum of (comparison) * 2^(num - 1): in SQLite | and << have one
 * precedence, and a bitmap written with them names other columns.
 *
 * A table whose triggers were gone (it was rebuilt) or of another form may have
 * been changed meanwhile: its number goes into perche_rescan until audit.c has
 * compared it. So may one with a program's trigger that is newer than ours: SQLite
 * fires the newest first, and SELECT RAISE(IGNORE) in it keeps the row and ends the
 * others. Ours are made anew then. A table that is not there any more is listed as well, and how each
 * was made is kept, to make it again. */
#include "replica/statements.h"
#include "replica/tx.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct capture {
    uint32_t *unscanned;
    uint32_t count, cap;
    int64_t installed; /* schema version at which every trigger was found to stand; -1 or 0 = look */
};

#define KEY_TEXT_HEAD  3u  /* of an encoded key that is one long text: its type and its length */
#define KEY_UUID_SAVES 19u /* 36 letters, or 1 + 16 bytes */

enum { TRIGGER_KEY, TRIGGER_INSERT, TRIGGER_UPDATE, TRIGGER_DELETE, TRIGGER_COUNT };

static const char *const ends[TRIGGER_COUNT] = {"key", "insert", "update", "delete"};

bool capture_ours(const char *trigger, const char *table)
{
    size_t n = strlen(table);

    if (strncmp(trigger, "perche_", 7) != 0 || strncasecmp(trigger + 7, table, n) != 0 || trigger[7 + n] != '_')
        return false;
    for (int i = 0; i < TRIGGER_COUNT; i++)
        if (strcmp(trigger + 8 + n, ends[i]) == 0)
            return true;
    return false;
}

/* ---- texts --------------------------------------------------------------- */

static void append_head(sqlite3_str *s, const struct table *t, int which)
{
    sqlite3_str_appendf(s, "CREATE TRIGGER \"perche_%w_%s\" ", t->name, ends[which]);
}

#define GATE " WHEN (SELECT applying FROM perche_flag) IS NOT 1"

/* Are the bytes of the column, not only its value under its collation and across types, another? */
static void append_differs(sqlite3_str *s, const struct column *c)
{
    sqlite3_str_appendf(s, "OLD.\"%w\" IS NOT NEW.\"%w\"%s", c->name, c->name, c->binary ? "" : " COLLATE BINARY");
    if (c->strict_any)
        sqlite3_str_appendf(s, " OR typeof(OLD.\"%w\") <> typeof(NEW.\"%w\")", c->name, c->name);
}

/* tab, mask, at, k1.. in the order of the INSERT */
static void append_insert(sqlite3_str *s, const struct table *t)
{
    sqlite3_str_appendall(s, "INSERT INTO perche_capture (tab, mask, at");
    for (uint32_t i = 1; i <= t->keys_count; i++)
        sqlite3_str_appendf(s, ", k%u", i);
    sqlite3_str_appendall(s, ") ");
}

static void append_keys(sqlite3_str *s, const struct table *t, const char *row)
{
    for (uint32_t i = 0; i < t->keys_count; i++)
        sqlite3_str_appendf(s, ", %s.\"%w\"", row, t->keys[i].name);
}

static void append_key_trigger(sqlite3_str *s, const struct table *t)
{
    sqlite3_str_appendall(s, "BEFORE UPDATE OF ");
    for (uint32_t i = 0; i < t->keys_count; i++)
        sqlite3_str_appendf(s, "%s\"%w\"", i == 0 ? "" : ", ", t->keys[i].name);
    sqlite3_str_appendf(s, " ON \"%w\" WHEN ", t->name);
    for (uint32_t i = 0; i < t->keys_count; i++) {
        sqlite3_str_appendall(s, i == 0 ? "" : " OR ");
        append_differs(s, &t->keys[i]);
    }
    sqlite3_str_appendall(s, " BEGIN SELECT RAISE(ABORT, 'perche: a key does not change: delete the row and insert it again'); END");
}

/* A key that no message can carry: the program hears of it, as its row would stay here for ever. Of several columns what
 * is surely too long: a UUID takes 19 bytes less than its text, and a number's text is never so much longer than it. */
static void append_key_check(sqlite3_str *s, const struct table *t)
{
    uint32_t n = t->keys_count, bytes_max = n == 1 ? PERCHE_KEY_BYTES_MAX - KEY_TEXT_HEAD : PERCHE_KEY_BYTES_MAX + n * KEY_UUID_SAVES;

    sqlite3_str_appendall(s, "SELECT RAISE(ABORT, 'perche: a key is 1,021 bytes long at most') WHERE ");
    for (uint32_t i = 0; i < n; i++)
        sqlite3_str_appendf(s, "%slength(CAST(NEW.\"%w\" AS BLOB))", i == 0 ? "" : " + ", t->keys[i].name);
    sqlite3_str_appendf(s, " > %u; ", bytes_max);
}

static void append_insert_trigger(sqlite3_str *s, const struct table *t)
{
    sqlite3_str_appendf(s, "AFTER INSERT ON \"%w\"" GATE " BEGIN ", t->name);
    append_key_check(s, t);
    append_insert(s, t);
    sqlite3_str_appendf(s, "VALUES (%u, -1, julianday('now')", t->num);
    append_keys(s, t, "NEW");
    sqlite3_str_appendall(s, "); END");
}

/* The comparisons stand in WHEN, which ends at the first that differs, and again in the mask: 15 % less than a mask made
 * once and tested (measured). */
static void append_update_trigger(sqlite3_str *s, const struct table *t)
{
    uint32_t n = 0;

    sqlite3_str_appendf(s, "AFTER UPDATE ON \"%w\"" GATE " AND (", t->name);
    for (uint32_t i = 0; i < t->columns_count; i++) {
        if (t->columns[i].absent)
            continue;
        sqlite3_str_appendall(s, n++ == 0 ? "" : " OR ");
        append_differs(s, &t->columns[i]);
    }
    sqlite3_str_appendall(s, n == 0 ? "0) BEGIN " : ") BEGIN ");
    append_insert(s, t);
    sqlite3_str_appendf(s, "VALUES (%u, ", t->num);
    n = 0;
    for (uint32_t i = 0; i < t->columns_count; i++) {
        if (t->columns[i].absent)
            continue;
        sqlite3_str_appendall(s, n++ == 0 ? "(" : " + (");
        append_differs(s, &t->columns[i]);
        sqlite3_str_appendf(s, ") * %llu", 1ull << i);
    }
    sqlite3_str_appendall(s, n == 0 ? "0, julianday('now')" : ", julianday('now')");
    append_keys(s, t, "NEW");
    sqlite3_str_appendall(s, "); END");
}

/* @columns: the file's, each ", \"name\"", all of them, so that a deletion can be undone whole. */
static void append_delete_trigger(sqlite3_str *s, const struct table *t, const char *names, const char *old)
{
    sqlite3_str_appendf(s, "AFTER DELETE ON \"%w\"" GATE " BEGIN ", t->name);
    append_insert(s, t);
    sqlite3_str_appendf(s, "VALUES (%u, 0, julianday('now')", t->num);
    append_keys(s, t, "OLD");
    sqlite3_str_appendf(s, "); INSERT INTO \"perche_gone_%w\" (%s) VALUES (%s); END", t->name, names, old);
}

/* ---- unscanned ----------------------------------------------------------- */

void capture_free(struct replica *r)
{
    if (r->capture != NULL)
        free(r->capture->unscanned);
    free(r->capture);
    r->capture = NULL;
}

static enum perche_rc add_unscanned(struct replica *r, uint32_t tab)
{
    struct capture *c = r->capture;

    for (uint32_t i = 0; i < c->count; i++)
        if (c->unscanned[i] == tab)
            return PERCHE_OK;
    if (c->count == c->cap) {
        uint32_t cap = c->cap == 0 ? 16 : c->cap * 2;
        uint32_t *p = realloc(c->unscanned, cap * sizeof *p);

        if (p == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for the list of tables");
        c->unscanned = p;
        c->cap = cap;
    }
    c->unscanned[c->count++] = tab;
    return PERCHE_OK;
}

enum perche_rc capture_read(struct replica *r)
{
    sqlite3_stmt *s;
    int rc;

    if (r->capture == NULL && (r->capture = calloc(1, sizeof *r->capture)) == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the list of tables");
    r->capture->count = 0;
    s = prepare(r, "SELECT tab FROM perche_rescan ORDER BY tab");
    if (s == NULL)
        return r->fail;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW && r->fail == PERCHE_OK)
        (void)add_unscanned(r, (uint32_t)sqlite3_column_int64(s, 0));
    if (rc != SQLITE_DONE && r->fail == PERCHE_OK)
        (void)fail_sqlite(r, rc, "perche_rescan");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return r->fail;
}

void capture_stale(struct replica *r)
{
    if (r->capture != NULL)
        r->capture->installed = -1;
}

const uint32_t *capture_unscanned(struct replica *r, uint32_t *count)
{
    *count = r->capture != NULL ? r->capture->count : 0;
    return r->capture != NULL ? r->capture->unscanned : NULL;
}

/* Runs a statement made by sqlite3_mprintf or sqlite3_str_finish, and frees its text. */
static enum perche_rc run(struct replica *r, char *text)
{
    enum perche_rc rc = text != NULL ? exec(r, text) : fail(r, PERCHE_NOMEM, "no memory for a statement");

    sqlite3_free(text);
    return rc;
}

enum perche_rc capture_scanned(struct replica *r, uint32_t tab)
{
    struct capture *c = r->capture;

    if (run(r, sqlite3_mprintf("DELETE FROM perche_rescan WHERE tab = %u", tab)) != PERCHE_OK)
        return r->fail;
    for (uint32_t i = 0; i < c->count; i++)
        if (c->unscanned[i] == tab) {
            c->unscanned[i] = c->unscanned[--c->count];
            break;
        }
    return PERCHE_OK;
}

/* Does @query find a row? */
static bool finds(struct replica *r, char *query)
{
    sqlite3_stmt *s = query != NULL ? prepare(r, query) : NULL;
    int rc = SQLITE_DONE;

    if (query == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
    sqlite3_free(query);
    if (s != NULL && (rc = sqlite3_step(s)) != SQLITE_ROW && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "capture");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return rc == SQLITE_ROW;
}

enum perche_rc capture_unscan(struct replica *r, const struct table *t)
{
    if (run(r, sqlite3_mprintf("INSERT INTO perche_rescan (tab) VALUES (%u) ON CONFLICT DO UPDATE SET step = 0, live = 0, missing = 0,"
                               " k1 = NULL, k2 = NULL, k3 = NULL, k4 = NULL, at = NULL", t->num)) != PERCHE_OK)
        return r->fail;
    return add_unscanned(r, t->num);
}

bool capture_waits(const struct replica *r, const struct table *t)
{
    for (uint32_t i = 0; r->capture != NULL && i < r->capture->count; i++)
        if (r->capture->unscanned[i] == t->num)
            return true;
    return false;
}

/* Has it, or had it, rows? A table that has nothing has nothing to be compared. */
static enum perche_rc note_unscanned(struct replica *r, const struct table *t)
{
    if (finds(r, sqlite3_mprintf("SELECT 1 FROM \"%w\" LIMIT 1", t->name)) ||
        (r->fail == PERCHE_OK && finds(r, sqlite3_mprintf("SELECT 1 FROM perche_row WHERE tab = %u LIMIT 1", t->num))))
        return capture_unscan(r, t);
    return r->fail;
}

/* It was here, and is not any more. */
static enum perche_rc note_gone(struct replica *r, const struct table *t)
{
    if (!capture_waits(r, t) && finds(r, sqlite3_mprintf("SELECT 1 FROM perche_made WHERE tab = %u", t->num)))
        return capture_unscan(r, t);
    return r->fail;
}

/* ---- install ------------------------------------------------------------- */

/* What stands in the file on a table: how it, an index or a trigger of it was made. */
struct object {
    char *table, *sql; /* owned */
    bool trigger, ours;
};

/* What one installation reads once for all tables, which for each of them would be the whole of sqlite_schema. */
struct looks {
    sqlite3_stmt *columns, *keep;
    struct object *objects; /* triggers, oldest first; then tables, then indexes by name */
    uint32_t count, cap;
};

static enum perche_rc add_object(struct replica *r, struct looks *l, sqlite3_stmt *s)
{
    const char *table = (const char *)sqlite3_column_text(s, 0), *sql = (const char *)sqlite3_column_text(s, 1),
               *name = (const char *)sqlite3_column_text(s, 3);
    struct object *o;

    if (l->count == l->cap) {
        uint32_t cap = l->cap == 0 ? 256 : l->cap * 2;
        struct object *more = realloc(l->objects, cap * sizeof *more);

        if (more == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for the list of triggers");
        l->objects = more;
        l->cap = cap;
    }
    o = &l->objects[l->count];
    o->table = table != NULL ? strdup(table) : NULL;
    o->sql = sql != NULL ? strdup(sql) : NULL;
    o->trigger = sqlite3_column_int(s, 2) != 0;
    o->ours = name != NULL && table != NULL && capture_ours(name, table);
    l->count++; /* also when half made: looks_end() frees it */
    return o->table != NULL && o->sql != NULL && name != NULL ? PERCHE_OK : fail(r, PERCHE_NOMEM, "no memory for the list of triggers");
}

static enum perche_rc looks_begin(struct replica *r, struct looks *l)
{
    sqlite3_stmt *s = prepare(r, "SELECT tbl_name, sql, type = 'trigger', name FROM sqlite_schema WHERE type IN ('table', 'index', 'trigger')"
                                 " AND sql IS NOT NULL ORDER BY type DESC, iif(type = 'trigger', rowid, name)");
    int rc = SQLITE_DONE;

    l->columns = prepare(r, "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0 AND lower(name) NOT IN ('rowid', 'oid', '_rowid_') ORDER BY cid");
    l->keep = prepare(r, "INSERT INTO perche_made (tab, sql) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET sql = excluded.sql WHERE sql IS NOT excluded.sql");
    while (r->fail == PERCHE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW)
        (void)add_object(r, l, s);
    if (r->fail == PERCHE_OK && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "sqlite_schema");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return r->fail;
}

static void looks_end(struct looks *l)
{
    (void)sqlite3_finalize(l->columns); /* their errors were seen by the steps */
    (void)sqlite3_finalize(l->keep);
    for (uint32_t i = 0; i < l->count; i++) {
        free(l->objects[i].table);
        free(l->objects[i].sql);
    }
    free(l->objects);
}

/* Keeps how the table and its indexes are made, to make it again when somebody has dropped it. */
static enum perche_rc keep_made(struct replica *r, const struct looks *looks, const struct table *t)
{
    sqlite3_str *made = sqlite3_str_new(r->db);
    char *text;

    for (uint32_t i = 0; i < looks->count; i++) {
        const struct object *o = &looks->objects[i];

        if (!o->trigger && strcasecmp(o->table, t->name) == 0)
            sqlite3_str_appendf(made, "%s%s", sqlite3_str_length(made) > 0 ? ";\n" : "", o->sql);
    }
    text = sqlite3_str_finish(made);
    if (text == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for how a table is made");
    (void)sqlite3_bind_int64(looks->keep, 1, t->num); /* a failed bind shows in the step: NOT NULL */
    (void)sqlite3_bind_text(looks->keep, 2, text, -1, SQLITE_STATIC);
    (void)sql_run(r, looks->keep, "perche_made");
    sqlite3_free(text);
    return r->fail;
}

/* Is @column (NULL: the table itself) in the file? */
static bool in_file(struct replica *r, const char *table, const char *column)
{
    return sqlite3_table_column_metadata(r->db, "main", table, column, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* The table's columns in the file, those that are not generated, as lists for the delete trigger; makes or widens perche_gone_TABLE,
 * whose own rowid is asked for (chunk.c). */
static enum perche_rc gone_table(struct replica *r, const struct looks *looks, const struct table *t, char **names, char **old, bool *changed)
{
    sqlite3_str *a = sqlite3_str_new(r->db), *b = sqlite3_str_new(r->db), *missing = sqlite3_str_new(r->db);
    char *gone = sqlite3_mprintf("perche_gone_%s", t->name), *change;
    bool there = gone != NULL && in_file(r, gone, NULL);
    int rc = SQLITE_NOMEM;

    (void)sqlite3_bind_text(looks->columns, 1, t->name, -1, SQLITE_STATIC); /* a failed bind finds nothing */
    for (bool first = true; gone != NULL && (rc = sqlite3_step(looks->columns)) == SQLITE_ROW; first = false) {
        const char *name = (const char *)sqlite3_column_text(looks->columns, 0);

        sqlite3_str_appendf(a, "%s\"%w\"", first ? "" : ", ", name);
        sqlite3_str_appendf(b, "%sOLD.\"%w\"", first ? "" : ", ", name);
        if (there && !in_file(r, gone, name))
            sqlite3_str_appendf(missing, "ALTER TABLE \"%w\" ADD COLUMN \"%w\";", gone, name);
    }
    if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, t->name);
    (void)sqlite3_reset(looks->columns); /* repeats the step's error */
    *names = sqlite3_str_finish(a);
    *old = sqlite3_str_finish(b);
    if (!there && gone != NULL && *names != NULL)
        sqlite3_str_appendf(missing, "CREATE TABLE \"%w\" (%s)", gone, *names);
    change = sqlite3_str_finish(missing);
    if (r->fail == PERCHE_OK && (gone == NULL || *names == NULL || *old == NULL || (change == NULL && !there)))
        (void)fail(r, PERCHE_NOMEM, "no memory for a trigger");
    if (r->fail == PERCHE_OK && change != NULL) {
        *changed = true;
        (void)exec(r, change);
    }
    sqlite3_free(change);
    sqlite3_free(gone);
    return r->fail;
}

static enum perche_rc make_texts(struct replica *r, const struct looks *looks, const struct table *t, char *texts[TRIGGER_COUNT], bool *changed)
{
    char *names = NULL, *old = NULL;

    if (gone_table(r, looks, t, &names, &old, changed) == PERCHE_OK) {
        for (int i = 0; i < TRIGGER_COUNT; i++) {
            sqlite3_str *s = sqlite3_str_new(r->db);

            append_head(s, t, i);
            switch (i) {
            case TRIGGER_KEY: append_key_trigger(s, t); break;
            case TRIGGER_INSERT: append_insert_trigger(s, t); break;
            case TRIGGER_UPDATE: append_update_trigger(s, t); break;
            default: append_delete_trigger(s, t, names, old); break;
            }
            texts[i] = sqlite3_str_finish(s);
            if (texts[i] == NULL)
                (void)fail(r, PERCHE_NOMEM, "no memory for a trigger");
        }
    }
    sqlite3_free(names);
    sqlite3_free(old);
    return r->fail;
}

/* Decisions (perche_conflict) are replicated without capture: what a program did to one would stay here, and nobody be asked any more. (Of the
 * chain, which is signed, a check tells.) */
static enum perche_rc guard_texts(struct replica *r, const struct table *t, char *texts[TRIGGER_COUNT])
{
    static const char *const verbs[TRIGGER_COUNT] = {[TRIGGER_INSERT] = "INSERT", [TRIGGER_UPDATE] = "UPDATE", [TRIGGER_DELETE] = "DELETE"};

    for (int i = TRIGGER_INSERT; i < TRIGGER_COUNT && r->fail == PERCHE_OK; i++) {
        sqlite3_str *s = sqlite3_str_new(r->db);

        append_head(s, t, i);
        sqlite3_str_appendf(s, "BEFORE %s ON \"%w\"" GATE
                            " BEGIN SELECT RAISE(ABORT, 'perche: a conflict is settled with perche conflicts resolve ID, and stays on record'); END",
                            verbs[i], t->name);
        texts[i] = sqlite3_str_finish(s);
        if (texts[i] == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for a trigger");
    }
    return r->fail;
}

/* The @n-th column of a table in @db, from 0; NULL: there are no more. */
static const char *nth_column(sqlite3 *db, const char *table, int n, sqlite3_stmt **s)
{
    if (*s == NULL && (sqlite3_prepare_v2(db, "SELECT name FROM pragma_table_info(?1) WHERE cid = ?2", -1, s, NULL) != SQLITE_OK ||
                       sqlite3_bind_text(*s, 1, table, -1, SQLITE_STATIC) != SQLITE_OK))
        return NULL;
    (void)sqlite3_reset(*s); /* repeats the step's error */
    (void)sqlite3_bind_int(*s, 2, n); /* a failed bind finds nothing */
    return sqlite3_step(*s) == SQLITE_ROW ? (const char *)sqlite3_column_text(*s, 0) : NULL;
}

static int place_of(sqlite3 *db, const char *table, const char *column, sqlite3_stmt **s)
{
    const char *name;

    for (int n = 0; (name = nth_column(db, table, n, s)) != NULL; n++)
        if (strcasecmp(name, column) == 0)
            return n;
    return -1;
}

/* Has the column a value in no more than half of the rows that were there? Else it was not made anew: it had another name meanwhile. */
static bool mostly_empty(struct replica *r, const struct table *t, const struct column *c)
{
    return finds(r, sqlite3_mprintf("SELECT 1 FROM (SELECT total(\"%w\" IS NOT (%s\n)) AS filled FROM \"%w\")"
                                    " WHERE 2 * filled <= (SELECT count(*) FROM perche_row WHERE tab = %u AND gen %% 2 = 1)",
                                    c->name, c->default_sql != NULL ? c->default_sql : "NULL", t->name, t->num));
}

/* DROP COLUMN and ADD COLUMN of the same name: it was away when we looked last, or it stands behind columns that it was before, and its
 * values are gone. The last one stays where it was; it was made anew if the text of the table is another and no row has a value. */
static uint64_t made_anew(struct replica *r, const struct table *t, sqlite3 *was, bool other_text)
{
    sqlite3_stmt *then = NULL, *now = NULL;
    uint64_t mask = 0;

    for (uint32_t i = 0; i < t->columns_count && r->fail == PERCHE_OK; i++) {
        const char *name = t->columns[i].name;
        int before = t->columns[i].absent ? -1 : place_of(was, t->name, name, &then), after = place_of(r->db, t->name, name, &now);
        bool passed = before < 0 && after >= 0 && !t->columns[i].absent && mostly_empty(r, t, &t->columns[i]);

        for (uint32_t k = 0; before >= 0 && k < t->columns_count && !passed; k++)
            passed = !t->columns[k].absent && place_of(was, t->name, t->columns[k].name, &then) > before &&
                     place_of(r->db, t->name, t->columns[k].name, &now) < after;
        if (before >= 0 && !passed && other_text && nth_column(was, t->name, before + 1, &then) == NULL)
            passed = !finds(r, sqlite3_mprintf("SELECT 1 FROM \"%w\" WHERE \"%w\" IS NOT (%s\n) LIMIT 1", t->name, name,
                                               t->columns[i].default_sql != NULL ? t->columns[i].default_sql : "NULL"));
        mask |= (uint64_t)passed << i;
    }
    (void)sqlite3_finalize(then); /* what they could not read is no reason to change anything */
    (void)sqlite3_finalize(now);
    return mask;
}

/* Before it is noted how the table is made now. */
static enum perche_rc note_emptied(struct replica *r, const struct table *t)
{
    sqlite3_stmt *s = prepare(r, "SELECT m.sql, instr(m.sql, d.sql) = 0 FROM perche_made m, sqlite_schema d WHERE m.tab = ?1 AND d.type = 'table'"
                                 " AND d.name = ?2 COLLATE NOCASE");
    sqlite3 *was = NULL;
    uint64_t mask = 0;
    int rc;

    if (s == NULL)
        return r->fail;
    (void)sqlite3_bind_int64(s, 1, t->num); /* a failed bind finds nothing */
    (void)sqlite3_bind_text(s, 2, t->name, -1, SQLITE_STATIC);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW && sqlite3_column_text(s, 0) != NULL && sqlite3_open(":memory:", &was) == SQLITE_OK) {
        (void)sqlite3_exec(was, (const char *)sqlite3_column_text(s, 0), NULL, NULL, NULL); /* the table comes first */
        mask = made_anew(r, t, was, sqlite3_column_int(s, 1) != 0);
    } else if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        (void)fail_sqlite(r, rc, t->name);
    }
    (void)sqlite3_close(was); /* no statement of it is left */
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    if (r->fail != PERCHE_OK || mask == 0)
        return r->fail;
    return run(r, sqlite3_mprintf("UPDATE perche_rescan SET emptied = emptied | %lld WHERE tab = %u", (sqlite3_int64)mask, t->num));
}

/* Which of the triggers stand on the table, in exactly this form, and no program's behind them? A bit each. */
static unsigned standing(const struct looks *looks, const struct table *t, char *const texts[TRIGGER_COUNT])
{
    unsigned found = 0;

    for (uint32_t k = 0; k < looks->count && looks->objects[k].trigger; k++) {
        const struct object *o = &looks->objects[k];

        if (strcasecmp(o->table, t->name) != 0)
            continue;
        if (!o->ours)
            found = 0;
        for (int i = 0; i < TRIGGER_COUNT; i++)
            if (texts[i] != NULL && strcmp(o->sql, texts[i]) == 0)
                found |= 1u << i;
    }
    return found;
}

static enum perche_rc install(struct replica *r, const struct looks *looks, const struct table *t, bool *changed)
{
    char *texts[TRIGGER_COUNT] = {0};
    unsigned found = 0;
    bool renewed = false;

    if ((t->is_system ? guard_texts(r, t, texts) : make_texts(r, looks, t, texts, changed)) == PERCHE_OK)
        found = standing(looks, t, texts);
    for (int i = 0; r->fail == PERCHE_OK && i < TRIGGER_COUNT; i++) {
        if (found >> i & 1 || texts[i] == NULL)
            continue;
        /* of this name it may stand on a renamed table */
        if (run(r, sqlite3_mprintf("DROP TRIGGER IF EXISTS \"perche_%w_%s\"", t->name, ends[i])) == PERCHE_OK)
            (void)exec(r, texts[i]);
        renewed = *changed = true;
    }
    for (int i = 0; i < TRIGGER_COUNT; i++)
        sqlite3_free(texts[i]);
    if (renewed && r->fail == PERCHE_OK && !t->is_system && note_unscanned(r, t) == PERCHE_OK)
        (void)note_emptied(r, t);
    return r->fail;
}

/* The file's schema version moved, and no program moved it: the rows at which its triggers ended our transaction are the same, also when
 * that is what ends this one. */
static enum perche_rc load_again(struct replica *r, struct perche_err *err)
{
    int64_t version = r->thrown_version;
    uint32_t thrown = r->thrown_count;
    enum perche_rc rc = registry_load(r, err);

    r->thrown_version = version;
    r->thrown_count = thrown;
    return rc;
}

enum perche_rc capture_install(struct replica *r, struct perche_err *err)
{
    struct looks looks = {0};
    const struct table *t;
    bool changed = false;

    if (r->schema_version != -1 && r->capture->installed == r->schema_version)
        return PERCHE_OK;
    (void)looks_begin(r, &looks);
    for (uint32_t i = 0; r->fail == PERCHE_OK && (t = registry_at(r, i)) != NULL; i++) {
        if (t->is_system && (!t->is_conflict || !t->present))
            continue;
        if (t->is_system)
            (void)install(r, &looks, t, &changed);
        else if (!t->present)
            (void)note_gone(r, t);
        else if (install(r, &looks, t, &changed) == PERCHE_OK)
            (void)keep_made(r, &looks, t);
    }
    looks_end(&looks);
    if (r->fail != PERCHE_OK)
        goto fail;
    if (changed && load_again(r, err) != PERCHE_OK)
        return r->fail;
    r->capture->installed = r->schema_version;
    return PERCHE_OK;

fail:
    return fail_tell(r, err);
}
