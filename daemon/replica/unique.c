/* Values that are declared unique to Perche, not to SQLite: two clerks may give the same
 * admission number. Both rows keep it, and each gets a question (DESIGN 4.3, 4.4). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/statements.h"

static enum perche_rc read_uniques(struct replica *r, struct table *t)
{
    sqlite3_stmt *s = prepare(r, "SELECT cols FROM perche_unique WHERE tab = ?1");

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

/* The side of a row: its newest cell of these columns, and the first one's value. */
static struct conflict_side side_of(const struct meta *m, const uint16_t *nums, uint32_t n, const struct perche_value *value)
{
    const struct clock_cell *newest = &m->cells[nums[0]];

    for (uint32_t i = 1; i < n; i++)
        if (m->cells[nums[i]].stamp > newest->stamp)
            newest = &m->cells[nums[i]];
    return (struct conflict_side){.stamp = newest->stamp, .origin = newest->origin, .value = *value};
}

static enum perche_rc raise_both(struct replica *r, struct meta *m, struct meta *other, const char *columns,
                                 const uint16_t *nums, uint32_t n, const struct perche_value *value)
{
    struct perche_value nothing = {.type = PERCHE_NULL};
    struct conflict_side own = side_of(m, nums, n, value), theirs = side_of(other, nums, n, &nothing);
    enum perche_rc rc = conflict_raise_unique(r, m, columns, &own, (struct perche_bytes){other->key, other->key_n}, &theirs);

    if (rc != PERCHE_OK)
        return rc;
    theirs.value = *value;
    own.value = nothing;
    return conflict_raise_unique(r, other, columns, &theirs, (struct perche_bytes){m->key, m->key_n}, &own);
}

static enum perche_rc check_one(struct replica *r, struct meta *m, const uint16_t *nums, uint32_t n)
{
    char text[2048], columns[4 * PERCHE_NAME_BYTES_MAX];
    struct perche_value values[PERCHE_COLUMNS_MAX + 1], keys[PERCHE_KEY_COLUMNS_MAX], value;
    struct table *t = m->table;
    size_t used, at = 0;
    uint8_t *copy = NULL;
    sqlite3_stmt *s;
    enum perche_rc rc = row_values(r, m, values);

    if (rc != PERCHE_OK)
        return rc;
    used = (size_t)snprintf(text, sizeof text, "SELECT ");
    for (uint32_t i = 0; i < t->keys_count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\"", i ? ", " : "", t->keys[i].name);
    used += (size_t)snprintf(text + used, sizeof text - used, " FROM \"%s\" WHERE ", t->name);
    for (uint32_t i = 0; i < n; i++) {
        if (values[nums[i]].type == PERCHE_NULL)
            return PERCHE_OK; /* what is not known is not the same */
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\" = ?%u", i ? " AND " : "", t->columns[nums[i] - 1].name, i + 1);
        at += (size_t)snprintf(columns + at, sizeof columns - at, "%s%s", i ? "," : "", t->columns[nums[i] - 1].name);
    }
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
    while (rc == PERCHE_OK && sql_row(r, s)) {
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
        if (rc == PERCHE_OK && other->stored && meta_alive(other))
            rc = raise_both(r, m, other, columns, nums, n, &value);
        meta_clear(other);
        free(other);
    }
    sqlite3_finalize(s);
    free(copy);
    return rc;
}

enum perche_rc unique_check(struct replica *r, struct meta *m, uint64_t written)
{
    enum perche_rc rc = PERCHE_OK;

    if (!m->table->uniques_read)
        rc = read_uniques(r, m->table);
    for (uint32_t i = 0; rc == PERCHE_OK && meta_alive(m) && i < m->table->uniques_count; i++) {
        bool touched = false;

        for (uint32_t k = 0; k < m->table->uniques[i].n; k++)
            touched |= written >> (m->table->uniques[i].nums[k] - 1) & 1;
        if (touched)
            rc = check_one(r, m, m->table->uniques[i].nums, m->table->uniques[i].n);
    }
    return rc;
}
