/* The audit: what changed past capture (triggers dropped, a table rebuilt, a row
 * that INSERT OR REPLACE took away unseen, a file edited elsewhere) is found by
 * comparing each row with its metadata, and becomes captured changes like any
 * other: stamped by the next harvest, pushed, judged, undone like them.
 *
 * Happy path: a table is put on the list of capture.c (its triggers had gone, or
 * somebody said `perche verify`). Each call of audit() does a chunk, after a
 * harvest that left nothing captured: first the rows of the table, in order of
 * their key (changed, added); then the metadata of living rows, to count those that
 * are missing; then these once more, to take them.
 * Failures: a table that is not there at all is made again as it was when it was
 * last seen. What is missing with it, or is the whole table, or more than a share of
 * it, was not deleted by anybody: it is put back, as the history has it, proven by
 * its digest. A site asks the hub for a row of which the history does not know all.
 * Nothing of a table on the list counts as equal meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "replica/apply.h"
#include "replica/command.h"
#include "replica/pack.h"
#include "replica/refused.h"
#include "replica/statements.h"

/* A chunk holds SQLite's lock: about 25 ms. A row that is compared counts 1, one that differs is looked up in the history. */
#define CHUNK_COST_MAX PERCHE_BOUND(1500u, 30u)
#define COST_DIFFERS   25u
#define COST_STEP      10u /* its statements are prepared */
#define COST_MEMBERS   3u  /* its sites are derived: a statement of its own */

#define MASS_PERCENT 20u /* more missing rows than MASS_ROWS, and than this share of the table: no deletion */

/* A program that rebuilds a table outside of a transaction gets so long between its DROP and its RENAME. */
#define GRACE_MS 3000u

enum step { STEP_ROWS, STEP_COUNT, STEP_TAKE, STEP_END };

/* perche_rescan, of one table */
struct stand {
    enum step step;
    uint64_t gone_ms, live, missing, emptied;
};

struct chunk {
    struct replica *r;
    struct table *t;
    struct stand stand;
    sqlite3_stmt *gone; /* keeps the values of a row that is taken as deleted; made at first use */
    uint32_t cost;
    uint64_t changed, added, removed, restored, lost;
};

/* ---- one row -------------------------------------------------------------- */

static uint64_t written_mask(const struct meta *m)
{
    uint64_t mask = 0;

    for (uint32_t num = 1; num < m->count; num++)
        mask |= (uint64_t)m->cells[num].written << (num - 1);
    return mask;
}

/* A damaged history knows less; it stops nothing. */
static enum perche_rc recall_all(struct replica *r, const struct meta *m, struct recall *f)
{
    enum perche_rc rc = recall_read(r, m, UINT64_MAX, f);

    if (rc != PERCHE_CORRUPT)
        return rc;
    fail_clear(r);
    return PERCHE_OK;
}

enum perche_rc audit_changed(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t off, uint64_t *mask)
{
    struct perche_value before[PERCHE_COLUMNS_MAX + 1];
    uint64_t written = written_mask(m), changed = off & ~written, perhaps = 0;
    uint8_t digest[16];
    struct recall f;
    enum perche_rc rc = recall_all(r, m, &f);

    memcpy(before, values, m->count * sizeof *before);
    for (uint32_t num = 1; num < m->count; num++) {
        if (!(f.guessed >> (num - 1) & 1))
            continue;
        before[num] = f.values[num];
        if (perche_value_compare(&values[num], &f.values[num]) != 0)
            *(f.found >> (num - 1) & 1 ? &changed : &perhaps) |= UINT64_C(1) << (num - 1);
    }
    if (rc == PERCHE_OK && f.found != f.want) { /* what is not found counts as a whole when nothing else explains the digest */
        digest_row(r, m, before, digest);
        changed |= memcmp(digest, m->digest, 16) == 0 ? perhaps : written & ~f.found;
    }
    recall_free(&f);
    *mask |= changed & ~m->table->absent;
    return rc != PERCHE_OK ? rc : r->fail;
}

/* @mask as in perche_capture: -1 added, 0 removed, else the columns changed. The time is negative: no program noted it. */
static enum perche_rc capture_put(struct replica *r, const struct table *t, const struct perche_value *keys, int64_t mask)
{
    sqlite3_stmt *s = sql(r, SQL_CAPTURE_PUT);

    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_int64(s, 2, mask);
    sqlite3_bind_int64(s, 3, -(sqlite3_int64)r->now_ms);
    for (uint32_t i = 0; i < t->keys_count; i++)
        bind_value(s, (int)i + 4, &keys[i]);
    return sql_run(r, s, "note a change");
}

static enum perche_rc load_stand(struct replica *r, const struct table *t, struct stand *out);

/* Columns that were made anew, with nothing in them: nobody wrote that. They come back as the history has them. */
static enum perche_rc refill(struct chunk *c, const struct meta *m, uint64_t emptied, uint64_t *mask)
{
    struct replica *r = c->r;
    bool begun = !r->applying;
    struct recall f;
    enum perche_rc rc = recall_read(r, m, emptied, &f);

    if (rc == PERCHE_CORRUPT) { /* as in recall_all() */
        fail_clear(r);
        rc = PERCHE_OK;
    }
    emptied &= f.guessed;
    if (rc == PERCHE_OK && begun)
        rc = applying_begin(r);
    if (rc == PERCHE_OK && emptied != 0)
        rc = data_update(r, m->table, (struct perche_bytes){m->key, m->key_n}, emptied, f.values);
    if (rc == PERCHE_OK) {
        *mask &= ~emptied;
        c->restored += emptied != 0;
    } else if (refused_here(r)) { /* a constraint or a trigger is in its way: proof finds it later */
        rc = PERCHE_OK;
    }
    if (begun && r->applying && r->fail == PERCHE_OK) {
        enum perche_rc ended = applying_end(r);

        rc = rc != PERCHE_OK ? rc : ended;
    }
    recall_free(&f);
    return rc;
}

/* Its relatives may have got other sites, or readers, while no statement found it, or them. */
static enum perche_rc follow_relatives(struct replica *r, struct meta *m, const struct perche_value *values)
{
    uint32_t members = 0, scope = r->hub && (m->table->rule == RULE_PARENT || m->table->rule == RULE_MEMBERS || m->table->area != NULL)
                                      ? scope_derive(r, m, values, 0, &members) : 0;

    return scope != 0 && (scope != m->scope || members != m->members) ? scope_follow(r, m, values, 0) : r->fail;
}

/* @s: a row of rows_select(). */
static enum perche_rc check_row(struct chunk *c, sqlite3_stmt *s)
{
    struct replica *r = c->r;
    struct table *t = c->t;
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX], values[PERCHE_COLUMNS_MAX + 1];
    uint8_t key[PERCHE_KEY_BYTES_MAX], digest[16];
    uint64_t off, mask = 0;
    uint32_t key_n;
    struct meta m;
    enum perche_rc rc;

    for (uint32_t i = 0; i < t->keys_count; i++)
        column_read(r, s, (int)i, &keys[i]);
    for (uint32_t num = 1; num <= t->columns_count; num++)
        column_read(r, s, (int)(t->keys_count + num - 1), &values[num]);
    off = (uint64_t)sqlite3_column_int64(s, (int)(t->keys_count + t->columns_count));
    if (perche_key_encode(keys, t->keys_count, key, &key_n) != PERCHE_OK)
        return key_list(r, t, keys, true);
    rc = meta_load(r, t, (struct perche_bytes){key, key_n}, &m);
    if (rc != PERCHE_OK)
        return rc;
    if (m.flags & META_HELD) {
        /* its deletion waits for a person */
    } else if (!m.stored || !meta_alive(&m)) {
        c->added++;
        rc = capture_put(r, t, keys, -1);
    } else if ((rc = row_absent(r, &m, values)) == PERCHE_OK) {
        digest_row(r, &m, values, digest);
        if (r->fail == PERCHE_OK && (memcmp(digest, m.digest, 16) != 0 || (off & ~written_mask(&m)) != 0)) {
            c->cost += COST_DIFFERS;
            rc = audit_changed(r, &m, values, off, &mask);
            if (rc == PERCHE_OK && mask == 0 && (off & ~written_mask(&m)) == 0) { /* as it was stamped: the digest was made while a column was away */
                memcpy(m.digest, digest, sizeof m.digest);
                rc = meta_save(r, &m);
            }
        }
        if (rc == PERCHE_OK && (mask & ~off & c->stand.emptied) != 0)
            rc = refill(c, &m, mask & ~off & c->stand.emptied, &mask);
        if (rc == PERCHE_OK && mask != 0) {
            c->changed++;
            rc = capture_put(r, t, keys, (int64_t)mask);
        } else if (rc == PERCHE_OK && r->hub && t->rule == RULE_MEMBERS) {
            c->cost += COST_MEMBERS;
            rc = follow_relatives(r, &m, values);
        }
    }
    meta_clear(&m);
    return rc != PERCHE_OK ? rc : r->fail;
}

/* Can it be compared with the value in every row? Not the time of the insert. */
static bool constant(const char *text)
{
    return text == NULL || (strchr(text, '(') == NULL && strncasecmp(text, "CURRENT_", 8) != 0);
}

/* Keys, columns by number, and the mask of columns that are not at their default; in order of the key. @where: of the key's
 * values, "" or " >" or " =". */
static sqlite3_stmt *rows_select(struct replica *r, const struct table *t, const char *where)
{
    sqlite3_str *s = sqlite3_str_new(r->db);
    sqlite3_stmt *stmt = NULL;
    char *text;

    sqlite3_str_appendall(s, "SELECT ");
    for (uint32_t i = 0; i < t->keys_count; i++)
        sqlite3_str_appendf(s, "\"%w\", ", t->keys[i].name);
    for (uint32_t i = 0; i < t->columns_count; i++) {
        if (t->columns[i].absent)
            sqlite3_str_appendall(s, "NULL, ");
        else
            sqlite3_str_appendf(s, "\"%w\", ", t->columns[i].name);
    }
    sqlite3_str_appendall(s, "0");
    for (uint32_t i = 0; i < t->columns_count; i++)
        if (!t->columns[i].absent && constant(t->columns[i].default_sql))
            sqlite3_str_appendf(s, " + (\"%w\" IS NOT (%s\n)) * %lld", t->columns[i].name,
                                t->columns[i].default_sql != NULL ? t->columns[i].default_sql : "NULL", 1ll << i);
    sqlite3_str_appendf(s, " FROM \"%w\"", t->name);
    for (uint32_t i = 0; *where != '\0' && i < t->keys_count; i++)
        sqlite3_str_appendf(s, "%s\"%w\"", i == 0 ? " WHERE (" : ", ", t->keys[i].name);
    for (uint32_t i = 0; *where != '\0' && i < t->keys_count; i++)
        sqlite3_str_appendf(s, "%s%s?%u", i == 0 ? ")" : "", i == 0 ? where : ", ", i + 1);
    sqlite3_str_appendall(s, *where != '\0' ? ") ORDER BY " : " ORDER BY ");
    for (uint32_t i = 0; i < t->keys_count; i++)
        sqlite3_str_appendf(s, "%s\"%w\"", i == 0 ? "" : ", ", t->keys[i].name);
    text = sqlite3_str_finish(s);
    if (text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory to compare %s", t->name);
    else
        stmt = ask(r, text);
    sqlite3_free(text);
    return stmt;
}

/* ---- a row that is missing -------------------------------------------------- */

/* A deletion leaves the old values beside it; the history has those of this one. */
static enum perche_rc keep_gone(struct chunk *c, const struct perche_value *keys, const struct recall *f)
{
    const struct table *t = c->t;
    int n = 0;

    if (c->gone == NULL) {
        sqlite3_str *s = sqlite3_str_new(c->r->db), *marks = sqlite3_str_new(c->r->db);
        char *text, *values;

        sqlite3_str_appendf(s, "INSERT INTO \"perche_gone_%w\" (", t->name);
        for (uint32_t i = 0; i < t->keys_count + t->columns_count; i++) {
            const struct column *column = i < t->keys_count ? &t->keys[i] : &t->columns[i - t->keys_count];

            if (column->absent)
                continue;
            sqlite3_str_appendf(s, "%s\"%w\"", i == 0 ? "" : ", ", column->name);
            sqlite3_str_appendall(marks, i == 0 ? ") VALUES (?" : ", ?");
        }
        values = sqlite3_str_finish(marks);
        sqlite3_str_appendf(s, "%s)", values != NULL ? values : "");
        text = sqlite3_str_finish(s);
        if (text == NULL || values == NULL)
            (void)fail(c->r, PERCHE_NOMEM, "no memory for a statement");
        else
            c->gone = ask(c->r, text);
        sqlite3_free(text);
        sqlite3_free(values);
    }
    if (c->gone == NULL)
        return c->r->fail;
    for (uint32_t i = 0; i < t->keys_count; i++)
        bind_value(c->gone, ++n, &keys[i]);
    for (uint32_t num = 1; num <= t->columns_count; num++)
        if (!t->columns[num - 1].absent)
            bind_value(c->gone, ++n, &f->values[num]);
    n = sqlite3_step(c->gone);
    (void)sqlite3_reset(c->gone); /* repeats the step's error */
    return n == SQLITE_DONE ? PERCHE_OK : fail_sqlite(c->r, n, "keep a row that is gone");
}

/* A row that cannot be put back: a site forgets it, if the hub has all of it, and asks for it. */
static enum perche_rc ask_hub(struct chunk *c, struct meta *m)
{
    struct replica *r = c->r;
    enum perche_rc rc;
    sqlite3_stmt *s;

    c->lost++;
    if (r->hub || m->first > r->node.acked)
        return PERCHE_OK;
    rc = row_drop(r, m);
    if (refused_here(r)) /* nothing is written to this table now: proof finds it later */
        return PERCHE_OK;
    if (rc != PERCHE_OK)
        return rc;
    s = sql(r, SQL_WANTED_PUT);
    sqlite3_bind_int64(s, 1, c->t->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, 0);
    sqlite3_bind_int(s, 4, 2);
    return sql_run(r, s, "remember a row to ask for");
}

/* Puts the row back as it was, if the history has all of it; the digest says whether it has. */
static enum perche_rc put_back(struct chunk *c, struct meta *m, const struct recall *f)
{
    struct replica *r = c->r;
    bool begun = !r->applying;
    uint8_t digest[16];
    enum perche_rc rc;

    digest_row(r, m, f->values, digest);
    if (r->fail != PERCHE_OK || memcmp(digest, m->digest, 16) != 0 || (c->t->required & ~f->want) != 0)
        return r->fail != PERCHE_OK ? r->fail : ask_hub(c, m);
    rc = begun ? applying_begin(r) : PERCHE_OK;
    if (rc == PERCHE_OK)
        rc = data_upsert(r, c->t, (struct perche_bytes){m->key, m->key_n}, f->want, f->values);
    if (rc == PERCHE_OK) {
        c->restored++;
        rc = follow_relatives(r, m, f->values);
    } else if (refused_here(r)) { /* a constraint that the table has now */
        rc = ask_hub(c, m);
    }
    if (begun && r->applying && r->fail == PERCHE_OK) {
        enum perche_rc ended = applying_end(r);

        rc = rc != PERCHE_OK ? rc : ended;
    }
    return rc;
}

static bool is_mass(const struct stand *s)
{
    return s->gone_ms != 0 || s->missing == s->live || (s->missing > MASS_ROWS && s->missing * 100 > s->live * MASS_PERCENT);
}

/* A row that lives in its metadata and is not in the table. */
static enum perche_rc take_missing(struct chunk *c, struct meta *m, bool back)
{
    struct replica *r = c->r;
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    struct recall f;
    uint32_t n;
    enum perche_rc rc = recall_all(r, m, &f);

    c->cost += COST_DIFFERS;
    if (rc == PERCHE_OK && back)
        rc = put_back(c, m, &f);
    if (rc == PERCHE_OK && !back && perche_key_decode((struct perche_bytes){m->key, m->key_n}, keys, &n, scratch) == PERCHE_OK) {
        c->removed++;
        rc = keep_gone(c, keys, &f);
        if (rc == PERCHE_OK)
            rc = capture_put(r, c->t, keys, 0);
    }
    recall_free(&f);
    return rc;
}

/* ---- chunks ------------------------------------------------------------------ */

static enum perche_rc save_stand(const struct chunk *c, const char *cursor, sqlite3_stmt *from, int columns)
{
    char *text = sqlite3_mprintf("UPDATE perche_rescan SET step = %d, live = %llu, missing = %llu%s WHERE tab = %u", (int)c->stand.step,
                                 (unsigned long long)c->stand.live, (unsigned long long)c->stand.missing, cursor, c->t->num);
    sqlite3_stmt *s = text != NULL ? ask(c->r, text) : NULL;

    if (text == NULL)
        (void)fail(c->r, PERCHE_NOMEM, "no memory for a statement");
    sqlite3_free(text);
    for (int i = 0; s != NULL && i < columns; i++)
        sqlite3_bind_value(s, i + 1, sqlite3_column_value(from, i));
    return ask_run(c->r, s, "note how far a comparison has come");
}

static enum perche_rc next_step(struct chunk *c)
{
    c->stand.step++;
    return save_stand(c, ", k1 = NULL, k2 = NULL, k3 = NULL, k4 = NULL, at = NULL", NULL, 0);
}

/* Is there no place in the order of the keys to go on from? A comparison with NULL finds nothing. */
static bool keyless(const struct chunk *c, sqlite3_stmt *s)
{
    for (uint32_t i = 0; i < c->t->keys_count; i++)
        if (sqlite3_column_type(s, (int)i) == SQLITE_NULL)
            return true;
    return false;
}

static enum perche_rc check_rows(struct chunk *c)
{
    static const char *const cursors[PERCHE_KEY_COLUMNS_MAX] = {", k1 = ?1", ", k1 = ?1, k2 = ?2", ", k1 = ?1, k2 = ?2, k3 = ?3",
                                                                ", k1 = ?1, k2 = ?2, k3 = ?3, k4 = ?4"};
    struct replica *r = c->r;
    sqlite3_stmt *from = ask(r, "SELECT k1, k2, k3, k4 FROM perche_rescan WHERE tab = ?1"), *s = NULL;
    bool more = true, pass = false;
    enum perche_rc rc = PERCHE_OK;

    if (from != NULL)
        sqlite3_bind_int64(from, 1, c->t->num);
    if (ask_row(r, from, "read how far a comparison has come")) {
        if (sqlite3_column_type(from, 0) == SQLITE_NULL)
            rc = key_list_anew(r, c->t);
        s = rows_select(r, c->t, sqlite3_column_type(from, 0) == SQLITE_NULL ? "" : " > (");
    }
    for (uint32_t i = 0; s != NULL && i < c->t->keys_count && sqlite3_bind_parameter_count(s) > 0; i++)
        sqlite3_bind_value(s, (int)i + 1, sqlite3_column_value(from, (int)i));
    sqlite3_finalize(from);
    while (rc == PERCHE_OK && (c->cost < CHUNK_COST_MAX || pass) && (more = ask_row(r, s, "compare a table"))) {
        c->cost++;
        pass = keyless(c, s);
        rc = check_row(c, s);
    }
    if (rc == PERCHE_OK)
        rc = r->fail;
    if (rc == PERCHE_OK)
        rc = more ? save_stand(c, cursors[c->t->keys_count - 1], s, (int)c->t->keys_count) : next_step(c);
    sqlite3_finalize(s);
    return rc;
}

/* The living rows of the metadata: counts those that are missing, or takes them. */
static enum perche_rc check_metadata(struct chunk *c)
{
    struct replica *r = c->r;
    bool take = c->stand.step == STEP_TAKE, back = take && is_mass(&c->stand), more = true;
    sqlite3_stmt *s = ask(r, "SELECT key, " META_COLUMNS " FROM perche_row WHERE tab = ?1"
                             " AND key > coalesce((SELECT at FROM perche_rescan WHERE tab = ?1), x'') ORDER BY key");
    enum perche_rc rc = r->fail;

    if (rc == PERCHE_OK && back)
        rc = applying_begin(r);
    if (s != NULL)
        sqlite3_bind_int64(s, 1, c->t->num);
    while (rc == PERCHE_OK && c->cost < CHUNK_COST_MAX && (more = ask_row(r, s, "compare the metadata"))) {
        struct perche_value values[PERCHE_COLUMNS_MAX + 1];
        struct meta m;

        c->cost++;
        if (sqlite3_column_bytes(s, 0) > PERCHE_KEY_BYTES_MAX)
            continue;
        rc = meta_unpack(r, c->t, s, 1, &m);
        if (rc != PERCHE_OK)
            break;
        m.key_n = (uint32_t)sqlite3_column_bytes(s, 0);
        memcpy(m.key, sqlite3_column_blob(s, 0), m.key_n);
        if (meta_alive(&m) && !(m.flags & META_HELD)) {
            c->stand.live += !take;
            rc = data_load(r, c->t, (struct perche_bytes){m.key, m.key_n}, values);
            if (rc == PERCHE_NOT_FOUND) {
                c->stand.missing += !take;
                rc = take ? take_missing(c, &m, back) : PERCHE_OK;
            }
        }
        meta_clear(&m);
    }
    if (rc == PERCHE_OK)
        rc = r->fail;
    if (rc == PERCHE_OK)
        rc = more ? save_stand(c, ", at = ?1", s, 1) : next_step(c);
    sqlite3_finalize(s);
    if (back && r->applying) {
        enum perche_rc ended = applying_end(r);

        rc = rc != PERCHE_OK ? rc : ended;
    }
    return rc;
}

static uint64_t found_by(const struct chunk *c)
{
    return c->changed + c->added + c->removed;
}

static enum perche_rc note_found(const struct chunk *c)
{
    struct outcome *o = c->r->outcome;
    char *text;
    enum perche_rc rc;

    if (found_by(c) + c->restored + c->lost == 0)
        return PERCHE_OK;
    o->found += found_by(c);
    o->restored += c->restored;
    text = sqlite3_mprintf("INSERT INTO perche_bypassed (tab, at_ms, changed, added, removed, restored, lost) VALUES (%u, %llu, %llu, %llu, %llu, %llu, %llu)"
                           " ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms, told = 0, changed = excluded.changed + iif(told, 0, changed),"
                           " added = excluded.added + iif(told, 0, added), removed = excluded.removed + iif(told, 0, removed),"
                           " restored = excluded.restored + iif(told, 0, restored), lost = excluded.lost + iif(told, 0, lost)",
                           c->t->num, (unsigned long long)c->r->now_ms, (unsigned long long)c->changed, (unsigned long long)c->added,
                           (unsigned long long)c->removed, (unsigned long long)c->restored, (unsigned long long)c->lost);
    rc = text == NULL ? fail(c->r, PERCHE_NOMEM, "no memory for a statement") : exec(c->r, text);
    sqlite3_free(text);
    return rc;
}

static enum perche_rc load_stand(struct replica *r, const struct table *t, struct stand *out)
{
    sqlite3_stmt *s = ask(r, "SELECT step, gone_ms, live, missing, emptied FROM perche_rescan WHERE tab = ?1");

    if (s != NULL)
        sqlite3_bind_int64(s, 1, t->num);
    if (ask_row(r, s, "read how far a comparison has come"))
        *out = (struct stand){(enum step)sqlite3_column_int(s, 0), (uint64_t)sqlite3_column_int64(s, 1),
                              (uint64_t)sqlite3_column_int64(s, 2), (uint64_t)sqlite3_column_int64(s, 3),
                              (uint64_t)sqlite3_column_int64(s, 4)};
    sqlite3_finalize(s);
    return r->fail;
}

bool audit_away(struct replica *r, const struct table *t)
{
    struct stand stand = {0};

    return !t->present || (capture_waits(r, t) && load_stand(r, t, &stand) == PERCHE_OK && (stand.gone_ms != 0 || stand.emptied != 0));
}

/* All rows of @t are there again: who is a member of another row by them is looked at once more (add_children() of scope.c). */
static enum perche_rc unscan_parents(struct replica *r, const struct table *t)
{
    const struct table *parent;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; r->hub && t->member_child && rc == PERCHE_OK && (parent = registry_at(r, i)) != NULL; i++)
        for (uint32_t k = 0; parent->rule == RULE_MEMBERS && k < parent->parts_count; k++)
            if (parent->parts[k].child_site != NULL && strcmp(parent->parts[k].table, t->name) == 0)
                rc = capture_unscan(r, parent);
    return rc;
}

/* One step of a table, or what is left of it within *cost. */
static enum perche_rc audit_table(struct replica *r, struct table *t, uint32_t *cost)
{
    struct chunk c = {.r = r, .t = t, .cost = *cost + COST_STEP};
    enum perche_rc rc = load_stand(r, t, &c.stand);

    if (rc == PERCHE_OK && c.stand.step == STEP_ROWS)
        rc = check_rows(&c);
    else if (rc == PERCHE_OK)
        rc = check_metadata(&c);
    if (rc == PERCHE_OK && (c.stand.step == STEP_END || (c.stand.step == STEP_TAKE && c.stand.missing == 0)))
        rc = capture_scanned(r, t->num);
    if (rc == PERCHE_OK && !capture_waits(r, t) && (c.stand.gone_ms != 0 || c.stand.emptied != 0))
        rc = unscan_parents(r, t);
    sqlite3_finalize(c.gone);
    *cost = c.cost;
    return rc == PERCHE_OK ? note_found(&c) : rc;
}

/* ---- a table that is gone -------------------------------------------------------- */

/* Makes it again, as it was made. Its triggers come with it, and its rows with its comparison. */
static enum perche_rc make_again(struct replica *r, struct table *t, bool *made)
{
    struct stand stand = {0};
    sqlite3_stmt *s = NULL;
    char *text;
    int rc = SQLITE_ERROR;

    if (load_stand(r, t, &stand) != PERCHE_OK)
        return r->fail;
    if (stand.gone_ms != 0 && r->now_ms - stand.gone_ms < GRACE_MS)
        return PERCHE_OK;
    if (stand.gone_ms != 0 && (s = ask(r, "SELECT sql FROM perche_made WHERE tab = ?1")) != NULL)
        sqlite3_bind_int64(s, 1, t->num);
    if (ask_row(r, s, "read how a table was made"))
        rc = sqlite3_exec(r->db, ask_text(s, 0), NULL, NULL, NULL); /* one that fails (a view has its name) leaves all as it is */
    sqlite3_finalize(s);
    if (r->fail == PERCHE_OK && rc != SQLITE_OK && (rc & 0xff) != SQLITE_ERROR)
        (void)fail_sqlite(r, rc, t->name);
    text = sqlite3_mprintf("UPDATE perche_rescan SET gone_ms = %llu WHERE tab = %u", (unsigned long long)r->now_ms, t->num);
    if (r->fail == PERCHE_OK)
        (void)(text != NULL ? exec(r, text) : fail(r, PERCHE_NOMEM, "no memory for a statement"));
    sqlite3_free(text);
    *made = rc == SQLITE_OK;
    if (r->fail != PERCHE_OK || !*made)
        return r->fail;
    registry_changed(r);
    if (registry_load(r, &r->fail_err) != PERCHE_OK)
        return r->fail;
    return capture_install(r, &r->fail_err);
}

/* ---- from outside ------------------------------------------------------------------ */

bool audit_waits(struct replica *r)
{
    uint32_t count;
    const uint32_t *tabs = capture_unscanned(r, &count);

    for (uint32_t i = 0; i < count; i++) {
        const struct table *t = registry_table_num(r, tabs[i]);

        if (t != NULL && t->present)
            return true;
    }
    return false;
}

/* The next table of the list that is there; one that is gone is made again. NULL: none, or *made and the tables are others. */
static struct table *next_table(struct replica *r, bool *made)
{
    uint32_t count;
    const uint32_t *tabs = capture_unscanned(r, &count);

    for (uint32_t i = 0; i < count && r->fail == PERCHE_OK && !*made;) {
        struct table *t = registry_table_num(r, tabs[i]);

        if (t != NULL && t->present)
            return t;
        if (t == NULL) { /* not registered any more: its place in the list is another's now */
            (void)capture_scanned(r, tabs[i]);
            tabs = capture_unscanned(r, &count);
        } else {
            (void)make_again(r, t, made);
            i++;
        }
    }
    return NULL;
}

enum perche_rc audit(struct replica *r, struct outcome *o)
{
    uint32_t cost = 0;
    uint64_t before = o->found;
    bool made = false;
    struct table *t;
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && cost < CHUNK_COST_MAX && o->found == before && (t = next_table(r, &made)) != NULL) {
        o->more = true; /* what was found is to be harvested, and what waited for the comparison to be done */
        rc = audit_table(r, t, &cost);
    }
    o->more |= made;
    return rc != PERCHE_OK ? rc : r->fail;
}

/* Begins a verify: every table is to be compared. {"told": true} ends it: what was found has been reported. */
enum perche_rc command_audit(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    char name[PERCHE_NAME_BYTES_MAX];
    struct table *t;
    enum perche_rc rc = args_text(r, a, "table", name, sizeof name);

    (void)w;
    (void)j;
    if (rc != PERCHE_OK)
        return rc;
    if (args_true(r, a, "told"))
        return exec(r, "UPDATE perche_bypassed SET told = 1");
    rc = exec(r, "DELETE FROM perche_bypassed WHERE told");
    for (uint32_t i = 0; rc == PERCHE_OK && (t = registry_at(r, i)) != NULL; i++)
        if (t->present && !t->is_system && (*name == '\0' || strcmp(name, t->name) == 0))
            rc = capture_unscan(r, t);
    return rc;
}

/* One row of a batch. */
static enum perche_rc check_one(struct chunk *c, sqlite3_stmt *s, struct perche_bytes key)
{
    struct replica *r = c->r;
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    struct meta m;
    uint32_t n;
    enum perche_rc rc;

    if (perche_key_decode(key, keys, &n, scratch) != PERCHE_OK || n != c->t->keys_count)
        return PERCHE_OK; /* the batch's own fault, and told there */
    for (uint32_t i = 0; i < n; i++)
        bind_value(s, (int)i + 1, &keys[i]);
    if (ask_row(r, s, "compare a row")) {
        rc = check_row(c, s);
    } else if (r->fail == PERCHE_OK) {
        rc = meta_load(r, c->t, key, &m);
        if (rc == PERCHE_OK && m.stored && meta_alive(&m) && !(m.flags & META_HELD))
            rc = take_missing(c, &m, true);
        meta_clear(&m);
    } else {
        rc = r->fail;
    }
    (void)sqlite3_reset(s); /* its error was seen by the step */
    return rc;
}

enum perche_rc audit_missing(struct replica *r, struct table *t, struct perche_bytes key)
{
    struct chunk c = {.r = r, .t = t};
    struct recall f;
    struct meta m;
    uint8_t digest[16];
    enum perche_rc rc = meta_load(r, t, key, &m); /* as it was, before what came */

    if (rc != PERCHE_OK)
        return rc;
    rc = recall_all(r, &m, &f);
    if (rc == PERCHE_OK) {
        digest_row(r, &m, f.values, digest);
        if (memcmp(digest, m.digest, 16) == 0) /* else the comparison of the table says what becomes of it */
            rc = put_back(&c, &m, &f);
    }
    recall_free(&f);
    meta_clear(&m);
    if (rc == PERCHE_OK)
        rc = note_found(&c);
    return rc == PERCHE_OK ? capture_unscan(r, t) : rc; /* where one is missing, others may be */
}

/* What a program's trigger writes is its business until somebody verifies. */
static bool looked_at(const struct chunk *c)
{
    return c->t != NULL && c->t->present && !c->t->is_system && (!c->t->trigger_writes || capture_waits(c->r, c->t));
}

static enum perche_rc one_row(struct replica *r, struct table *t, struct perche_bytes key, bool *found)
{
    struct chunk c = {.r = r, .t = t};
    sqlite3_stmt *s;
    enum perche_rc rc;

    if (!looked_at(&c) || !data_key_fits(t, key))
        return PERCHE_OK;
    s = rows_select(r, t, " = (");
    rc = load_stand(r, t, &c.stand);
    if (rc == PERCHE_OK)
        rc = check_one(&c, s, key);
    sqlite3_finalize(s);
    *found |= found_by(&c) > 0;
    return rc == PERCHE_OK ? note_found(&c) : rc;
}

enum perche_rc audit_leaving(struct replica *r, struct table *t, struct perche_bytes key, bool *found)
{
    enum perche_rc rc;

    *found = false;
    rc = one_row(r, t, key, found);
    return rc == PERCHE_OK && *found ? harvest_all(r) : rc;
}

enum perche_rc audit_batch(struct replica *r, const struct perche_batch *b)
{
    bool found = false;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t p = 0; rc == PERCHE_OK && p < b->parts_count; p++) {
        struct chunk c = {.r = r, .t = registry_table(r, b->parts[p].table)};
        sqlite3_stmt *s;

        if (!looked_at(&c))
            continue;
        s = rows_select(r, c.t, " = (");
        rc = load_stand(r, c.t, &c.stand);
        for (uint32_t i = 0; rc == PERCHE_OK && i < b->parts[p].rows_count; i++)
            if (data_key_fits(c.t, b->parts[p].rows[i].key)) /* else it is set aside */
                rc = check_one(&c, s, b->parts[p].rows[i].key);
        sqlite3_finalize(s);
        found |= found_by(&c) > 0;
        if (rc == PERCHE_OK)
            rc = note_found(&c);
    }
    for (uint32_t i = 0; rc == PERCHE_OK && i < b->notices_count; i++) { /* and rows that it makes this site drop */
        struct table *t = registry_table(r, b->notices[i].table);

        if (b->notices[i].kind == PERCHE_ABSENT && t != NULL)
            rc = one_row(r, t, b->notices[i].key, &found);
    }
    return rc == PERCHE_OK && found ? harvest_all(r) : rc;
}

enum perche_rc audit_covered(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t known, uint32_t entries, bool *found)
{
    struct chunk c = {.r = r, .t = m->table};
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint64_t mask = 0;
    uint32_t n;
    struct recall f;
    enum perche_rc rc;

    if (m->table->trigger_writes || perche_key_decode((struct perche_bytes){m->key, m->key_n}, keys, &n, scratch) != PERCHE_OK)
        return PERCHE_OK;
    rc = recall_newest(r, m, ~known & ~m->table->absent, entries, &f);
    if (rc == PERCHE_CORRUPT) { /* as in recall_all() */
        fail_clear(r);
        rc = PERCHE_OK;
    }
    for (uint32_t num = 1; rc == PERCHE_OK && num < m->count; num++)
        if (f.found >> (num - 1) & 1 && perche_value_compare(&values[num], &f.values[num]) != 0)
            mask |= UINT64_C(1) << (num - 1);
    recall_free(&f);
    if (rc != PERCHE_OK || mask == 0)
        return rc;
    *found = true;
    c.changed = 1;
    rc = capture_put(r, m->table, keys, (int64_t)mask);
    return rc == PERCHE_OK ? note_found(&c) : rc;
}

enum perche_rc audit_differs(struct replica *r, struct table *t, struct perche_bytes key)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool found;
    struct meta m;
    enum perche_rc rc;

    if (!data_key_fits(t, key))
        return PERCHE_OK;
    rc = meta_load(r, t, key, &m);
    if (rc == PERCHE_OK && m.stored && meta_alive(&m) && !(m.flags & META_HELD)) {
        rc = data_load(r, t, key, values);
        if (rc == PERCHE_OK)
            rc = audit_covered(r, &m, values, 0, UINT32_MAX, &found);
        else if (rc == PERCHE_NOT_FOUND) /* the comparison of the table finds it */
            rc = PERCHE_OK;
    }
    meta_clear(&m);
    return rc;
}

enum perche_rc audit_refill(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t captured, uint64_t *mask, bool *refilled)
{
    struct chunk c = {.r = r, .t = m->table};
    uint64_t emptied = *mask & ~captured;
    enum perche_rc rc = emptied == 0 ? PERCHE_OK : load_stand(r, m->table, &c.stand);

    for (uint32_t num = 1; num < m->count; num++)
        if (values[num].type != PERCHE_NULL)
            emptied &= ~(UINT64_C(1) << (num - 1));
    emptied &= c.stand.emptied;
    if (rc == PERCHE_OK && emptied != 0)
        rc = refill(&c, m, emptied, mask);
    *refilled = c.restored != 0;
    return rc == PERCHE_OK ? note_found(&c) : rc;
}

enum perche_rc audit_emptied(struct replica *r, const struct table *t, uint64_t *emptied)
{
    struct stand stand = {0};
    enum perche_rc rc = capture_waits(r, t) ? load_stand(r, t, &stand) : PERCHE_OK;

    *emptied = stand.emptied;
    return rc;
}
