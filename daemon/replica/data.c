/* The data rows of the school's tables, by key. The hot path: statements are
 * prepared once for each table and mask of columns, nothing is allocated for a row.
 *
 * Never INSERT OR REPLACE: it deletes the row that it replaces. So would a table's
 * own ON CONFLICT REPLACE: there our statements say OR ABORT, which overrides it, and
 * the row is refused as by any constraint. Nowhere else: the statements of a
 * program's triggers inherit it, and their OR IGNORE would be overridden, too.
 *
 * An upsert that lacks a NOT NULL column would fail on a row that is there, as
 * SQLite checks NOT NULL before the key; it is tried as an update first. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "replica/tx.h"

#define CACHED(a) (sizeof(a) / sizeof *(a))

static bool bind_key(struct replica *r, const struct table *t, sqlite3_stmt *s, struct perche_bytes key, char *scratch)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    uint32_t n;

    if (key.n == 16 && t->keys_count == 1) {
        uint8_t id[16];

        memcpy(id, key.p, 16);
        perche_uuid_format(id, scratch);
        (void)sqlite3_bind_text(s, 1, scratch, 36, SQLITE_STATIC); /* cannot fail: no copy, index exists */
        return true;
    }
    if (perche_key_decode(key, values, &n, scratch) != PERCHE_OK || n != t->keys_count) {
        (void)fail(r, PERCHE_CORRUPT, "%s: a key is damaged or of another form", t->name);
        return false;
    }
    for (uint32_t i = 0; i < n; i++)
        bind_value(s, (int)i + 1, &values[i]);
    return true;
}

static void append_where(sqlite3_str *s, const struct table *t)
{
    for (uint32_t i = 0; i < t->keys_count; i++) {
        sqlite3_str_appendall(s, i == 0 ? " WHERE " : " AND ");
        append_name(s, t->keys[i].name);
        sqlite3_str_appendf(s, " = ?%u", i + 1);
    }
}

/* Prepares what @s holds and frees it. */
static sqlite3_stmt *finish(struct replica *r, sqlite3_str *s)
{
    char *text = sqlite3_str_finish(s);
    sqlite3_stmt *stmt = NULL;

    if (text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
    else
        stmt = prepare(r, text);
    sqlite3_free(text);
    return stmt;
}

static bool has(uint64_t mask, uint32_t num)
{
    return mask >> (num - 1) & 1;
}

static sqlite3_stmt *select_row(struct replica *r, struct table *t)
{
    sqlite3_str *s;

    if (t->select_row != NULL) {
        (void)sqlite3_reset(t->select_row); /* still open if it found a row the last time */
        return t->select_row;
    }
    s = sqlite3_str_new(r->db);
    sqlite3_str_appendall(s, "SELECT ");
    for (uint32_t num = 1; num <= t->columns_count; num++) {
        if (num > 1)
            sqlite3_str_appendall(s, ", ");
        if (has(t->absent, num))
            sqlite3_str_appendall(s, "NULL");
        else
            append_name(s, t->columns[num - 1].name);
    }
    sqlite3_str_appendall(s, t->columns_count == 0 ? "1 FROM " : " FROM ");
    append_name(s, t->name);
    append_where(s, t);
    return t->select_row = finish(r, s);
}

enum perche_rc data_load(struct replica *r, struct table *t, struct perche_bytes key, struct perche_value *values)
{
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    sqlite3_stmt *s;
    int rc;

    if (!t->present) /* as a relative of what is written now; it will be made again */
        return PERCHE_NOT_FOUND;
    s = select_row(r, t);
    if (s == NULL || !bind_key(r, t, s, key, scratch))
        return r->fail;
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        for (uint32_t num = 1; num <= t->columns_count; num++)
            column_read(r, s, (int)num - 1, &values[num]);
        return PERCHE_OK; /* left open: the values are the statement's */
    }
    if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, t->name);
    (void)sqlite3_reset(s); /* repeats the step's error */
    return rc == SQLITE_DONE ? PERCHE_NOT_FOUND : r->fail;
}

/* ---- what a program has put in the way ------------------------------------ */

static enum perche_rc obstructed(struct replica *r, const struct table *t, const char *obstacle)
{
    r->obstacle = obstacle;
    return fail(r, PERCHE_REFUSED, "%s takes no row: %s", t->name, obstacle);
}

static const char *triggers_of(const struct table *t)
{
    return t->triggers != NULL ? t->triggers : "constraint"; /* UNIQUE ON CONFLICT ROLLBACK, or IGNORE */
}

/* Did one end our transaction over this row, or over too many of its table? It is not tried again. */
static bool thrown(const struct replica *r, const struct table *t, struct perche_bytes key)
{
    uint64_t hash = XXH3_64bits(key.p, key.n);
    uint32_t of_table = 0;

    for (uint32_t i = 0; i < r->thrown_count; i++) {
        if (r->thrown[i].tab != t->num)
            continue;
        if (r->thrown[i].key == hash || ++of_table == THROWN_TABLE_MAX)
            return true;
    }
    return of_table > 0 && r->thrown_count == THROWN_MAX;
}

/* May the row be written? */
static enum perche_rc look_at_obstacles(struct replica *r, const struct table *t, struct perche_bytes key)
{
    r->obstacle = NULL;
    if (t->obstacle != NULL)
        return obstructed(r, t, t->obstacle);
    return r->thrown_count > 0 && thrown(r, t, key) ? obstructed(r, t, triggers_of(t)) : PERCHE_OK;
}

/* RAISE(ROLLBACK), or ON CONFLICT ROLLBACK of the table's own: the work is done once more, without this row. */
static void note_thrown(struct replica *r, const struct table *t, struct perche_bytes key)
{
    if (r->thrown_count == THROWN_MAX)
        return;
    r->thrown[r->thrown_count].tab = t->num;
    r->thrown[r->thrown_count++].key = XXH3_64bits(key.p, key.n);
}

/* A write that changed nothing of a row that it was to change: RAISE(IGNORE), or ON CONFLICT IGNORE. */
static enum perche_rc ignored(struct replica *r, struct table *t, struct perche_bytes key, enum perche_rc if_there)
{
    enum perche_rc rc = data_exists(r, t, key);

    if (rc != PERCHE_OK && rc != PERCHE_NOT_FOUND)
        return rc;
    return rc == if_there ? obstructed(r, t, triggers_of(t)) : PERCHE_OK;
}

/* Has a program's index or trigger met a value that it cannot work with ('$.a' of a text that is no JSON)? */
static bool of_the_row(const struct replica *r, int rc)
{
    return !tx_lost(r) && ((rc & 0xff) == SQLITE_ERROR || (rc & 0xff) == SQLITE_TOOBIG || rc == SQLITE_CORRUPT_VTAB);
}

/* Whose error it may be: indexes that reckon, and triggers. NULL: a column's own expression. */
static const char *in_the_way(struct replica *r, const struct table *t)
{
    sqlite3_stmt *s = prepare(r, "SELECT 'index ' || group_concat(name, ', ') FROM pragma_index_list(?1) l WHERE origin = 'c' AND name NOT GLOB 'perche_*'"
                                 " AND (partial OR EXISTS (SELECT 1 FROM pragma_index_xinfo(l.name) WHERE cid = -2))");
    const char *found = NULL;

    if (s == NULL)
        return t->triggers;
    (void)sqlite3_bind_text(s, 1, t->name, -1, SQLITE_STATIC); /* a failed bind finds nothing */
    if (sqlite3_step(s) == SQLITE_ROW)
        found = (const char *)sqlite3_column_text(s, 0);
    if (found != NULL)
        (void)snprintf(r->in_the_way, sizeof r->in_the_way, "%s%s%s", found, t->triggers != NULL ? ", " : "",
                       t->triggers != NULL ? t->triggers : ""); /* cut short, it still says which */
    (void)sqlite3_finalize(s); /* without it the triggers are named */
    return found != NULL ? r->in_the_way : t->triggers;
}

/* ---- writing ---------------------------------------------------------------- */

/* Steps a write and resets it. A statement that fails leaves nothing; with triggers SQLite sees to that only where the error is one
 * that it foresaw, and RAISE(FAIL) asks it not to. */
static enum perche_rc run(struct replica *r, struct table *t, sqlite3_stmt *s, struct perche_bytes key, int *changes)
{
    bool of_row = false;
    int rc;

    if (tx_stands(r) != PERCHE_OK || (t->foreign_triggers && row_savepoint(r) != PERCHE_OK))
        return r->fail;
    rc = sqlite3_step(s);
    if (rc == SQLITE_DONE) {
        *changes = sqlite3_changes(r->db);
        r->parked.written |= t->kept_out;
    } else if ((of_row = of_the_row(r, rc))) {
        (void)fail(r, PERCHE_REFUSED, "%s: %s", t->name, sqlite3_errmsg(r->db));
    } else {
        (void)fail_sqlite(r, rc, t->name);
        if ((rc & 0xff) == SQLITE_CONSTRAINT && tx_lost(r))
            note_thrown(r, t, key);
    }
    (void)sqlite3_reset(s); /* repeats the step's error */
    if (t->foreign_triggers && rc == SQLITE_DONE)
        return row_release(r);
    if (t->foreign_triggers)
        row_back(r);
    if (of_row)
        r->obstacle = in_the_way(r, t);
    return rc == SQLITE_DONE ? PERCHE_OK : r->fail;
}

static void bind_columns(const struct table *t, sqlite3_stmt *s, uint64_t mask, const struct perche_value *values)
{
    int i = (int)t->keys_count + 1;

    for (; mask != 0; mask &= mask - 1)
        bind_value(s, i++, &values[__builtin_ctzll(mask) + 1]);
}

static const char *or_abort(const struct table *t)
{
    return t->replaces ? "OR ABORT " : "";
}

static sqlite3_stmt *make_upsert(struct replica *r, const struct table *t, uint64_t mask)
{
    sqlite3_str *s = sqlite3_str_new(r->db);
    uint32_t count = t->keys_count + (uint32_t)__builtin_popcountll(mask);
    const char *comma = " DO UPDATE SET ";

    sqlite3_str_appendf(s, "INSERT %sINTO ", or_abort(t));
    append_name(s, t->name);
    for (uint32_t i = 0; i < t->keys_count; i++) {
        sqlite3_str_appendall(s, i == 0 ? " (" : ", ");
        append_name(s, t->keys[i].name);
    }
    for (uint32_t num = 1; num <= t->columns_count; num++) {
        if (!has(mask, num))
            continue;
        sqlite3_str_appendall(s, ", ");
        append_name(s, t->columns[num - 1].name);
    }
    for (uint32_t i = 1; i <= count; i++)
        sqlite3_str_appendf(s, "%s?%u", i == 1 ? ") VALUES (" : ", ", i);
    for (uint32_t i = 0; i < t->keys_count; i++) {
        sqlite3_str_appendall(s, i == 0 ? ") ON CONFLICT (" : ", ");
        append_name(s, t->keys[i].name);
    }
    sqlite3_str_appendall(s, mask == 0 ? ") DO NOTHING" : ")");
    for (uint32_t num = 1; num <= t->columns_count; num++) {
        if (!has(mask, num))
            continue;
        sqlite3_str_appendall(s, comma);
        append_name(s, t->columns[num - 1].name);
        sqlite3_str_appendall(s, " = excluded.");
        append_name(s, t->columns[num - 1].name);
        comma = ", ";
    }
    return finish(r, s);
}

/* @whole: the other columns get what an INSERT would give them. */
static sqlite3_stmt *make_update(struct replica *r, const struct table *t, uint64_t mask, bool whole)
{
    sqlite3_str *s = sqlite3_str_new(r->db);
    uint32_t i = t->keys_count + 1;
    const char *comma = " SET ";

    sqlite3_str_appendf(s, "UPDATE %s", or_abort(t));
    append_name(s, t->name);
    for (uint32_t num = 1; num <= t->columns_count; num++) {
        const struct column *c = &t->columns[num - 1];

        if (!has(mask, num) && (!whole || c->absent))
            continue;
        sqlite3_str_appendall(s, comma);
        append_name(s, c->name);
        if (has(mask, num))
            sqlite3_str_appendf(s, " = ?%u", i++);
        else
            sqlite3_str_appendf(s, " = (%s\n)", c->default_sql != NULL ? c->default_sql : "NULL");
        comma = ", ";
    }
    append_where(s, t);
    return finish(r, s);
}

static sqlite3_stmt *upsert(struct replica *r, struct table *t, uint64_t mask)
{
    uint32_t next = t->upsert_next;

    for (uint32_t i = 0; i < CACHED(t->upsert); i++)
        if (t->upsert[i].stmt != NULL && t->upsert[i].mask == mask)
            return t->upsert[i].stmt;
    t->upsert_next = (next + 1) % CACHED(t->upsert);
    (void)sqlite3_finalize(t->upsert[next].stmt); /* its error was seen by the step */
    t->upsert[next].mask = mask;
    return t->upsert[next].stmt = make_upsert(r, t, mask);
}

static sqlite3_stmt *update(struct replica *r, struct table *t, uint64_t mask)
{
    uint32_t next = t->update_next;

    for (uint32_t i = 0; i < CACHED(t->update); i++)
        if (t->update[i].stmt != NULL && t->update[i].mask == mask)
            return t->update[i].stmt;
    t->update_next = (next + 1) % CACHED(t->update);
    (void)sqlite3_finalize(t->update[next].stmt); /* its error was seen by the step */
    t->update[next].mask = mask;
    return t->update[next].stmt = make_update(r, t, mask, false);
}

static uint64_t present(const struct table *t, uint64_t mask)
{
    assert(t->columns_count == PERCHE_COLUMNS_MAX || mask >> t->columns_count == 0);
    return mask & ~t->absent;
}

/* The values are read no more once the select that they may come from is closed: it stays open until here. */
static void close_select(struct table *t)
{
    if (t->select_row != NULL)
        (void)sqlite3_reset(t->select_row); /* its error was seen by the step */
}

enum perche_rc data_exists(struct replica *r, struct table *t, struct perche_bytes key)
{
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    int rc;

    if (!t->present)
        return PERCHE_NOT_FOUND;
    if (t->exists_row == NULL) {
        sqlite3_str *s = sqlite3_str_new(r->db);

        sqlite3_str_appendall(s, "SELECT 1 FROM ");
        append_name(s, t->name);
        append_where(s, t);
        t->exists_row = finish(r, s);
    }
    if (t->exists_row == NULL || !bind_key(r, t, t->exists_row, key, scratch))
        return r->fail;
    rc = sqlite3_step(t->exists_row);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, t->name);
    (void)sqlite3_reset(t->exists_row); /* repeats the step's error */
    return rc == SQLITE_ROW ? PERCHE_OK : rc == SQLITE_DONE ? PERCHE_NOT_FOUND : r->fail;
}

enum perche_rc data_update(struct replica *r, struct table *t, struct perche_bytes key, uint64_t mask,
                           const struct perche_value *values)
{
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    enum perche_rc rc;
    sqlite3_stmt *s;
    int changes = 0;

    mask = present(t, mask);
    if (mask == 0)
        return data_exists(r, t, key);
    if (look_at_obstacles(r, t, key) != PERCHE_OK)
        return r->fail;
    s = update(r, t, mask);
    if (s == NULL || !bind_key(r, t, s, key, scratch))
        return r->fail;
    bind_columns(t, s, mask, values);
    rc = run(r, t, s, key, &changes);
    close_select(t);
    if (rc == PERCHE_OK && changes == 0)
        rc = ignored(r, t, key, PERCHE_OK);
    return rc == PERCHE_OK && changes == 0 ? PERCHE_NOT_FOUND : rc;
}

enum perche_rc data_upsert(struct replica *r, struct table *t, struct perche_bytes key, uint64_t mask,
                           const struct perche_value *values)
{
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    enum perche_rc rc;
    sqlite3_stmt *s;
    int changes = 0;

    if (look_at_obstacles(r, t, key) != PERCHE_OK)
        return r->fail;
    mask = present(t, mask);
    if ((mask & t->required) != t->required) {
        rc = data_update(r, t, key, mask, values);
        if (rc != PERCHE_NOT_FOUND)
            return rc;
    }
    s = upsert(r, t, mask);
    if (s == NULL || !bind_key(r, t, s, key, scratch))
        return r->fail;
    bind_columns(t, s, mask, values);
    rc = run(r, t, s, key, &changes);
    close_select(t);
    if (rc == PERCHE_OK && changes == 0) { /* no column: it may have been there */
        rc = ignored(r, t, key, PERCHE_NOT_FOUND);
        if (rc == PERCHE_OK && mask != 0)
            rc = ignored(r, t, key, PERCHE_OK);
    }
    return rc;
}

enum perche_rc data_replace(struct replica *r, struct table *t, struct perche_bytes key, uint64_t mask,
                            const struct perche_value *values)
{
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    enum perche_rc rc = PERCHE_OK;
    sqlite3_stmt *s;
    int changes = 0;

    if (look_at_obstacles(r, t, key) != PERCHE_OK)
        return r->fail;
    mask = present(t, mask);
    if (t->columns_count == (uint32_t)__builtin_popcountll(t->absent)) /* nothing but its key */
        return data_upsert(r, t, key, mask, values);
    s = make_update(r, t, mask, true);
    if (s == NULL || !bind_key(r, t, s, key, scratch))
        rc = r->fail;
    if (rc == PERCHE_OK) {
        bind_columns(t, s, mask, values);
        rc = run(r, t, s, key, &changes);
    }
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    close_select(t);
    if (rc == PERCHE_OK && changes == 0)
        rc = ignored(r, t, key, PERCHE_OK);
    return rc == PERCHE_OK && changes == 0 ? data_upsert(r, t, key, mask, values) : rc;
}

enum perche_rc data_delete(struct replica *r, struct table *t, struct perche_bytes key)
{
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    int changes = 0;

    if (look_at_obstacles(r, t, key) != PERCHE_OK)
        return r->fail;
    if (t->delete_row == NULL) {
        sqlite3_str *s = sqlite3_str_new(r->db);

        sqlite3_str_appendall(s, "DELETE FROM ");
        append_name(s, t->name);
        append_where(s, t);
        t->delete_row = finish(r, s);
    }
    if (t->delete_row == NULL || !bind_key(r, t, t->delete_row, key, scratch))
        return r->fail;
    close_select(t);
    if (run(r, t, t->delete_row, key, &changes) != PERCHE_OK || (changes == 0 && ignored(r, t, key, PERCHE_OK) != PERCHE_OK))
        return r->fail;
    return changes == 0 ? PERCHE_NOT_FOUND : PERCHE_OK;
}

/* Would numeric affinity make a number of this text? */
static bool is_number(const struct perche_value *v)
{
    const uint8_t *p = v->p, *end = v->p + v->n;
    uint32_t digits = 0;

    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
        p++;
    if (p < end && (*p == '+' || *p == '-'))
        p++;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        digits++;
    if (p < end && *p == '.')
        for (p++; p < end && *p >= '0' && *p <= '9'; p++)
            digits++;
    if (digits == 0)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (p == end || *p < '0' || *p > '9')
            return false;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
    }
    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
        p++;
    return p == end;
}

/* Would it be stored as it is? A value that SQLite would convert ('12' into an INTEGER column) comes from another
 * declaration of the column: it would read back as another value than the one that digests are made of. */
bool data_accepts(const struct column *c, const struct perche_value *v)
{
    if (c->absent)
        return false;
    if (v->type == PERCHE_NULL)
        return !c->notnull;
    if (v->type == PERCHE_REAL && isnan(v->r))
        return false; /* SQLite stores NULL */
    switch (c->affinity) {
    case 'T': return v->type == PERCHE_TEXT || (v->type == PERCHE_BLOB && !c->strict);
    case 'B': return !c->strict || v->type == PERCHE_BLOB;
    case 'R':
        if (c->strict || v->type == PERCHE_INTEGER || v->type == PERCHE_REAL)
            return v->type == PERCHE_REAL;
        return v->type == PERCHE_BLOB || !is_number(v);
    case 'I':
    case 'N':
        if (c->strict)
            return v->type == PERCHE_INTEGER;
        if (v->type == PERCHE_REAL) /* a whole number within 64 bits becomes an integer */
            return v->r != floor(v->r) || fabs(v->r) >= 9223372036854775808.0;
        return v->type != PERCHE_TEXT || !is_number(v);
    default: return true; /* ANY */
    }
}

/* Is this a key of the table's form, and would it be stored as it is? Another program's, or a liar's, may be anything. */
bool data_key_fits(const struct table *t, struct perche_bytes key)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint32_t n;

    if (perche_key_decode(key, values, &n, scratch) != PERCHE_OK || n != t->keys_count)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!data_accepts(&t->keys[i], &values[i]))
            return false;
    return true;
}
