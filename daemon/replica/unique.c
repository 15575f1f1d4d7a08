/* Values that are declared unique to Perche, not to SQLite: two clerks may give the same
 * admission number. Both rows keep it, and each gets a question (DESIGN 4.3, 4.4). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/ask.h"
#include "replica/statements.h"

enum perche_rc unique_read(struct replica *r, struct table *t)
{
    sqlite3_stmt *s;

    if (t->uniques_read)
        return PERCHE_OK;
    s = prepare(r, "SELECT cols FROM perche_unique WHERE tab = ?1");
    if (s == NULL)
        return r->fail;
    t->uniques_read = true;
    t->uniques_count = 0;
    sqlite3_bind_text(s, 1, t->name, -1, SQLITE_STATIC);
    while (t->uniques_count < 4 && sql_row(r, s)) {
        char cols[4 * PERCHE_NAME_BYTES_MAX], *save = NULL;
        uint32_t n = 0;
        bool known = true;

        (void)snprintf(cols, sizeof cols, "%s", (const char *)sqlite3_column_text(s, 0));
        for (char *c = strtok_r(cols, ", ", &save); c != NULL && n < 4; c = strtok_r(NULL, ", ", &save)) {
            const struct column *column = table_column(t, c);

            known = known && column != NULL;
            if (column != NULL)
                t->uniques[t->uniques_count].nums[n++] = column->num;
        }
        t->uniques[t->uniques_count].n = n;
        t->uniques_count += known && n > 0;
    }
    sqlite3_finalize(s);
    return r->fail;
}

static const struct clock_cell *newest_of(const struct meta *m, const uint16_t *nums, uint32_t n)
{
    const struct clock_cell *newest = &m->cells[nums[0]];

    for (uint32_t i = 1; i < n; i++)
        if (m->cells[nums[i]].stamp > newest->stamp)
            newest = &m->cells[nums[i]];
    return newest;
}

/* The side of a row: its newest cell of these columns, and the first one's value. */
static struct conflict_side side_of(const struct meta *m, const uint16_t *nums, uint32_t n, const struct perche_value *value)
{
    const struct clock_cell *newest = newest_of(m, nums, n);

    return (struct conflict_side){.stamp = newest->stamp, .origin = newest->origin, .value = *value};
}

static enum perche_rc raise_both(struct replica *r, struct meta *m, struct meta *other, const char *columns,
                                 const uint16_t *nums, uint32_t n, const struct perche_value *value)
{
    struct perche_value nothing = {.type = PERCHE_NULL};
    struct conflict_side own = side_of(m, nums, n, value), theirs = side_of(other, nums, n, &nothing);
    uint8_t id[16];
    enum perche_rc rc = conflict_raise_pair(r, m, "unique", columns, &own, (struct perche_bytes){other->key, other->key_n}, &theirs, id);

    if (rc != PERCHE_OK)
        return rc;
    theirs.value = *value;
    own.value = nothing;
    return conflict_raise_pair(r, other, "unique", columns, &theirs, (struct perche_bytes){m->key, m->key_n}, &own, id);
}

/* "cohort_id,day,half": what a question is about. */
static void names_of(const struct table *t, const uint16_t *nums, uint32_t n, char columns[4 * PERCHE_NAME_BYTES_MAX])
{
    size_t at = 0;

    for (uint32_t i = 0; i < n; i++)
        at += (size_t)snprintf(columns + at, 4 * PERCHE_NAME_BYTES_MAX - at, "%s%s", i ? "," : "", t->columns[nums[i] - 1].name);
}

/* Other live rows with the same values. *@any: there is one; with @raise each is asked about. */
static enum perche_rc look_for_others(struct replica *r, struct meta *m, const uint16_t *nums, uint32_t n, bool raise, bool *any)
{
    char text[2048], columns[4 * PERCHE_NAME_BYTES_MAX];
    struct perche_value values[PERCHE_COLUMNS_MAX + 1], keys[PERCHE_KEY_COLUMNS_MAX], value;
    struct table *t = m->table;
    size_t used;
    uint8_t *copy = NULL;
    sqlite3_stmt *s;
    enum perche_rc rc = row_values(r, m, values);

    *any = false;
    if (rc != PERCHE_OK)
        return rc;
    used = (size_t)snprintf(text, sizeof text, "SELECT ");
    for (uint32_t i = 0; i < t->keys_count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\"", i ? ", " : "", t->keys[i].name);
    used += (size_t)snprintf(text + used, sizeof text - used, " FROM \"%s\" WHERE ", t->name);
    for (uint32_t i = 0; i < n; i++) {
        if (values[nums[i]].type == PERCHE_NULL || (values[nums[i]].type == PERCHE_TEXT && values[nums[i]].n == 0))
            return PERCHE_OK; /* what is not known is not the same; forms leave it empty */
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\" = ?%u", i ? " AND " : "", t->columns[nums[i] - 1].name, i + 1);
    }
    names_of(t, nums, n, columns);
    (void)snprintf(text + used, sizeof text - used, " LIMIT 9"); /* itself and a few: each later one finds these again */
    s = prepare(r, text);
    if (s == NULL)
        return r->fail;
    for (uint32_t i = 0; i < n; i++)
        bind_value(s, (int)i + 1, &values[nums[i]]);
    value = values[nums[0]];
    if (value.type == PERCHE_TEXT || value.type == PERCHE_BLOB) { /* the row that it comes from is read again below */
        copy = malloc(value.n + 1);
        if (copy == NULL) {
            sqlite3_finalize(s);
            return fail(r, PERCHE_NOMEM, "no memory for a value used twice");
        }
        memcpy(copy, value.p, value.n);
    }
    while (rc == PERCHE_OK && (raise || !*any) && sql_row(r, s)) {
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;
        struct meta *other;

        for (uint32_t i = 0; i < t->keys_count; i++)
            column_read(r, s, (int)i, &keys[i]);
        if (perche_key_encode(keys, t->keys_count, key, &key_n) != PERCHE_OK || (key_n == m->key_n && memcmp(key, m->key, key_n) == 0))
            continue;
        other = malloc(sizeof *other);
        if (other == NULL) {
            rc = fail(r, PERCHE_NOMEM, "no memory for a value used twice");
            break;
        }
        rc = meta_load(r, t, (struct perche_bytes){key, key_n}, other);
        if (copy != NULL)
            value.p = copy;
        if (rc == PERCHE_OK && other->stored && meta_alive(other)) {
            *any = true;
            if (raise)
                rc = raise_both(r, m, other, columns, nums, n, &value);
        }
        meta_clear(other);
        free(other);
    }
    sqlite3_finalize(s);
    free(copy);
    return rc;
}

/* ---- questions that are none any more ----------------------------------------------- */

/* Open questions about a value used twice in @tab and @col: of the row, or of others with a value that the row is asked
 * about. The side of the row that a question is about has the value, the other one none. */
#define OPEN_OF "SELECT id, coalesce(a_value, b_value) FROM perche_conflict" \
                " WHERE tab = ?1 AND key = ?2 AND col = ?3 AND kind = 'unique' AND state = 'open'"
#define OPEN_BESIDE "SELECT DISTINCT q.key FROM (SELECT DISTINCT coalesce(a_value, b_value) AS value FROM perche_conflict" \
                    " WHERE tab = ?1 AND key = ?2 AND col = ?3 AND kind = 'unique' AND state = 'open' AND (?4 IS NULL OR coalesce(a_value, b_value) <> ?4)) o" \
                    " CROSS JOIN perche_conflict q WHERE coalesce(q.a_value, q.b_value) = o.value" /* in this order: mostly there is no such value */ \
                    " AND q.state = 'open' AND q.kind = 'unique' AND q.tab = ?1 AND q.col = ?3 AND q.key <> ?2 LIMIT 100"

struct asked_about { /* rows with an open question about the same value */
    uint8_t (*keys)[PERCHE_KEY_BYTES_MAX];
    uint32_t *key_n;
    uint32_t count, cap;
};

static sqlite3_stmt *open_questions(struct replica *r, const char *text, const struct table *t, const char *key, const char *columns)
{
    sqlite3_stmt *s = ask(r, text);

    ask_bind_text(s, 1, t->name);
    ask_bind_text(s, 2, key);
    ask_bind_text(s, 3, columns);
    return s;
}

/* Closes what is asked about the row: all of it, or, with @kept, what is asked about another value than that. */
static enum perche_rc close_open(struct replica *r, const struct meta *m, const char *columns, const struct perche_value *kept, uint64_t stamp)
{
    char *key = ask_key_json(r, (struct perche_bytes){m->key, m->key_n});
    uint8_t ids[32][16];
    uint32_t count = key != NULL ? 32 : 0;
    enum perche_rc rc = r->fail;

    while (rc == PERCHE_OK && count == 32) { /* those that are closed are not found again */
        sqlite3_stmt *s = open_questions(r, OPEN_OF, m->table, key, columns);

        for (count = 0; count < 32 && ask_row(r, s, "look for a row's questions");) {
            struct perche_value value;

            column_read(r, s, 1, &value);
            if (kept == NULL || perche_value_compare(&value, kept) != 0)
                count += perche_uuid_parse(sqlite3_column_text(s, 0), (uint32_t)sqlite3_column_bytes(s, 0), ids[count]);
        }
        sqlite3_finalize(s);
        rc = r->fail;
        for (uint32_t i = 0; rc == PERCHE_OK && i < count; i++)
            rc = conflict_moot(r, ids[i], "no longer used twice", stamp);
    }
    free(key);
    return rc != PERCHE_OK ? rc : r->fail;
}

/* @but: not those of this value, which the row has. */
static enum perche_rc read_beside(struct replica *r, const struct meta *m, const char *key, const char *columns, const struct perche_value *but,
                                  struct asked_about *rows)
{
    sqlite3_stmt *s = open_questions(r, OPEN_BESIDE, m->table, key, columns);

    if (s != NULL && but != NULL)
        bind_value(s, 4, but);
    while (ask_row(r, s, "look for the other questions")) {
        if (rows->count == rows->cap) {
            uint32_t cap = rows->cap * 2 + 4;
            void *keys = realloc(rows->keys, cap * sizeof *rows->keys), *n;

            if (keys != NULL)
                rows->keys = keys;
            n = keys != NULL ? realloc(rows->key_n, cap * sizeof *rows->key_n) : NULL;
            if (n == NULL) {
                (void)fail(r, PERCHE_NOMEM, "no memory for a value used twice");
                break;
            }
            rows->key_n = n;
            rows->cap = cap;
        }
        rows->count += ask_key_parse(r, m->table, ask_text(s, 0), rows->keys[rows->count], &rows->key_n[rows->count]);
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* *@stays: its question goes on, as another row has its values. */
static enum perche_rc settle_other(struct replica *r, struct table *t, struct perche_bytes key, const uint16_t *nums, uint32_t n,
                                   const char *columns, uint64_t stamp, bool *stays)
{
    struct meta *other = malloc(sizeof *other);
    enum perche_rc rc;

    if (other == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a value used twice");
    *stays = false;
    rc = meta_load(r, t, key, other);
    if (rc == PERCHE_OK && other->stored && meta_alive(other))
        rc = look_for_others(r, other, nums, n, false, stays);
    if (rc == PERCHE_OK && !*stays && other->stored)
        rc = close_open(r, other, columns, NULL, stamp);
    meta_clear(other);
    free(other);
    return rc;
}

/* The row's values are not what it is asked about, or it is gone: its question is none any more, nor perhaps that of the
 * row beside it. Rows that are held stand in no table and may come back: until that is decided all stays open. */
static enum perche_rc settle(struct replica *r, struct meta *m, const uint16_t *nums, uint32_t n, bool twice)
{
    char columns[4 * PERCHE_NAME_BYTES_MAX], *key;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct asked_about rows = {0};
    sqlite3_stmt *s;
    uint64_t stamp = meta_alive(m) ? newest_of(m, nums, n)->stamp : m->cells[0].stamp;
    bool asked, waits = (m->flags & META_HELD) != 0, stays = false;
    enum perche_rc rc;

    names_of(m->table, nums, n, columns);
    key = ask_key_json(r, (struct perche_bytes){m->key, m->key_n});
    if (key == NULL)
        return r->fail;
    s = sql(r, SQL_UNIQUE_ASKED); /* for each row that is written: the rest is rare */
    ask_bind_text(s, 1, m->table->name);
    ask_bind_text(s, 2, key);
    ask_bind_text(s, 3, columns);
    asked = sql_row(r, s);
    sql_done(s);
    rc = r->fail;
    if (rc == PERCHE_OK && asked && !waits && twice)
        rc = row_values(r, m, values);
    if (rc == PERCHE_OK && asked && !waits)
        rc = read_beside(r, m, key, columns, twice && n == 1 ? &values[nums[0]] : NULL, &rows);
    for (uint32_t i = 0; r->holding && i < rows.count; i++)
        waits |= held_in(r, m->table, (struct perche_bytes){rows.keys[i], rows.key_n[i]}) != 0;
    if (rc == PERCHE_OK && asked && !waits && !r->deciding)
        rc = close_open(r, m, columns, twice ? &values[nums[0]] : NULL, stamp);
    /* of one column those that have the value have it together: one that stays answers for all */
    for (uint32_t i = 0; rc == PERCHE_OK && !waits && i < rows.count && !(stays && n == 1); i++)
        rc = settle_other(r, m->table, (struct perche_bytes){rows.keys[i], rows.key_n[i]}, nums, n, columns, stamp, &stays);
    free(rows.keys);
    free(rows.key_n);
    free(key);
    return rc != PERCHE_OK ? rc : r->fail;
}

enum perche_rc unique_check(struct replica *r, struct meta *m, uint64_t written)
{
    bool alive = meta_alive(m);
    enum perche_rc rc = unique_read(r, m->table);

    for (uint32_t i = 0; rc == PERCHE_OK && i < m->table->uniques_count; i++) {
        const uint16_t *nums = m->table->uniques[i].nums;
        uint32_t n = m->table->uniques[i].n;
        bool touched = !alive, twice = false;

        for (uint32_t k = 0; k < n; k++)
            touched |= written >> (nums[k] - 1) & 1;
        if (touched && alive)
            rc = look_for_others(r, m, nums, n, true, &twice);
        if (touched && rc == PERCHE_OK)
            rc = settle(r, m, nums, n, twice);
    }
    return rc;
}
