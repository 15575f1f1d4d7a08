/* What is captured, a chunk at a time: operations by key, in order, and the old values of deleted rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/harvest.h"
#include "replica/refused.h"
#include "replica/statements.h"

void chunk_free(struct chunk *c)
{
    free(c->ops);
    free(c->items);
    free(c->keys);
    free(c->buckets);
    for (uint32_t i = 0; i < c->gones_count; i++) {
        sqlite3_finalize(c->gones[i].scan);
        sqlite3_finalize(c->gones[i].get);
        sqlite3_finalize(c->gones[i].whole);
    }
    free(c->gones);
}

static bool kept_of(const struct column *c, enum gone_columns which)
{
    return which == GONE_WHOLE ? !c->absent : which == GONE_SCOPE && c->scope_cell;
}

/* "SELECT <first> [, column ...] FROM perche_gone_<table> <rest>" */
static sqlite3_stmt *gone_select(struct replica *r, const struct table *t, const char *first, enum gone_columns which, const char *rest)
{
    sqlite3_str *s = sqlite3_str_new(r->db);
    sqlite3_stmt *stmt = NULL;
    char *text;

    sqlite3_str_appendf(s, "SELECT %s", first);
    for (uint32_t i = 0; which == GONE_KEY && i < t->keys_count; i++)
        sqlite3_str_appendf(s, ", \"%w\"", t->keys[i].name);
    for (uint32_t i = 0; i < t->columns_count; i++)
        if (kept_of(&t->columns[i], which))
            sqlite3_str_appendf(s, ", \"%w\"", t->columns[i].name);
    sqlite3_str_appendf(s, " FROM \"perche_gone_%w\" %s", t->name, rest);
    text = sqlite3_str_finish(s);
    if (text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
    else
        stmt = prepare(r, text);
    sqlite3_free(text);
    return stmt;
}

static struct gone *gone_known(struct chunk *c, const struct table *t)
{
    for (uint32_t i = 0; i < c->gones_count; i++)
        if (c->gones[i].table == t)
            return &c->gones[i];
    return NULL;
}

static struct gone *gone_of(struct replica *r, struct chunk *c, struct table *t)
{
    struct gone *g = gone_known(c, t);

    if (g != NULL)
        return g;
    if (c->gones == NULL)
        c->gones = calloc(GONE_MAX, sizeof *c->gones);
    if (c->gones == NULL || c->gones_count == GONE_MAX)
        return (void)fail(r, PERCHE_NOMEM, "no memory for deleted rows"), NULL;
    g = &c->gones[c->gones_count++];
    g->table = t;
    g->scan = gone_select(r, t, "rowid", GONE_KEY, "ORDER BY rowid");
    g->get = g->scan == NULL ? NULL : gone_select(r, t, "0", GONE_SCOPE, "WHERE rowid = ?1");
    return g->get == NULL ? NULL : g;
}

/* Rowid of the old values that belong to the delete just read. 0 = somebody took them out by hand. */
static sqlite3_int64 next_gone(struct replica *r, struct gone *g, const uint8_t *key, uint32_t key_n)
{
    while (!g->ended) {
        struct perche_value v[PERCHE_KEY_COLUMNS_MAX];
        uint8_t other[PERCHE_KEY_BYTES_MAX];
        uint32_t n;

        if (!sql_row(r, g->scan)) {
            g->ended = true;
            break;
        }
        g->newest = sqlite3_column_int64(g->scan, 0);
        for (uint32_t i = 0; i < g->table->keys_count; i++)
            column_read(r, g->scan, 1 + (int)i, &v[i]);
        if (perche_key_encode(v, g->table->keys_count, other, &n) == PERCHE_OK && n == key_n && memcmp(other, key, n) == 0)
            return g->newest;
    }
    return 0;
}

static uint32_t hash_key(const struct table *t, const uint8_t *key, uint32_t n)
{
    uint64_t h = UINT64_C(1469598103934665603) ^ t->num; /* FNV-1a: only a table in memory hangs on it */

    for (uint32_t i = 0; i < n; i++)
        h = (h ^ key[i]) * UINT64_C(1099511628211);
    return (uint32_t)(h ^ h >> 32);
}

static uint32_t *slot_of(struct chunk *c, const struct table *t, const uint8_t *key, uint32_t n)
{
    return &c->buckets[hash_key(t, key, n) & (c->buckets_count - 1)];
}

static struct item *item_known(struct chunk *c, const struct table *t, const uint8_t *key, uint32_t n)
{
    for (uint32_t i = *slot_of(c, t, key, n); i != 0; i = c->items[i - 1].next) {
        struct item *it = &c->items[i - 1];

        if (it->table == t && it->key_n == n && memcmp(c->keys + it->key_at, key, n) == 0)
            return it;
    }
    return NULL;
}

static struct item *item_of(struct replica *r, struct chunk *c, struct table *t, const uint8_t *key, uint32_t n)
{
    uint32_t *slot = slot_of(c, t, key, n);
    struct item *it = item_known(c, t, key, n);

    if (it != NULL)
        return it;
    if (c->keys_n + n > c->keys_cap) {
        size_t cap = 2 * c->keys_cap + n;
        uint8_t *more = realloc(c->keys, cap);

        if (more == NULL)
            return (void)fail(r, PERCHE_NOMEM, "no memory for a harvest"), NULL;
        c->keys = more;
        c->keys_cap = cap;
    }
    it = &c->items[c->items_count++];
    *it = (struct item){.table = t, .key_at = (uint32_t)c->keys_n, .key_n = n, .next = *slot};
    *slot = c->items_count;
    memcpy(c->keys + c->keys_n, key, n);
    c->keys_n += n;
    return it;
}

/* julianday('now') of the writer's clock, or milliseconds where a program put them itself. */
static uint64_t captured_ms(sqlite3_stmt *s, int i)
{
    double at = fabs(sqlite3_column_double(s, i)); /* below 0: found by comparing */

    if (at > 0 && at < 1e7)
        at = (at - 2440587.5) * 86400000.0;
    return at > 0 && at < 1e15 ? (uint64_t)(at + 0.5) : 0;
}

/* Of a table that is away: so many, or all, that it may have been emptied to be made anew. What is missing when it is back is put back. */
static bool many_deleted(struct replica *r, struct chunk *c, const struct table *t)
{
    int64_t deleted;

    if (c->away == t)
        return c->away_many;
    c->away = t;
    deleted = (int64_t)ask_number(r, "SELECT count(*) FROM perche_capture WHERE tab = ?1 AND mask = 0 AND ?2 IS NULL", t->num, NULL);
    c->away_many = deleted > MASS_ROWS ||
                   (int64_t)ask_number(r, "SELECT count(*) FROM perche_row WHERE tab = ?1 AND gen % 2 = 1 AND ?2 IS NULL", t->num, NULL) <= deleted;
    return c->away_many;
}

enum perche_rc chunk_read(struct replica *r, struct chunk *c)
{
    sqlite3_stmt *s = sql(r, SQL_CAPTURE_READ);
    int step;

    sqlite3_bind_int64(s, 1, (sqlite3_int64)c->rows_max + 1);
    sqlite3_bind_int64(s, 2, r->judged);
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n, keys;
        struct table *t;
        struct item *it;
        struct op *op;

        if (c->ops_count == c->rows_max) {
            c->more = true;
            break;
        }
        t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 1));
        if (t != NULL && t->present && sqlite3_column_int64(s, 2) == 0 && c->gones_count == GONE_MAX && gone_known(c, t) == NULL) {
            c->more = true;
            break;
        }
        c->newest = sqlite3_column_int64(s, 0);
        if (t == NULL || (!t->present && (sqlite3_column_int64(s, 2) != 0 || many_deleted(r, c, t))))
            continue; /* written by hand, or its table is gone: nothing to take but a few deletions */
        keys = t->present ? t->keys_count : PERCHE_KEY_COLUMNS_MAX;
        for (uint32_t i = 0; i < keys; i++)
            column_read(r, s, 4 + (int)i, &values[i]);
        while (!t->present && keys > 0 && values[keys - 1].type == PERCHE_NULL)
            keys--;
        if (perche_key_encode(values, keys, key, &key_n) != PERCHE_OK) {
            if (!t->present)
                continue;
            if (key_list(r, t, values, sqlite3_column_int64(s, 2) != 0) != PERCHE_OK)
                break;
            continue;
        }
        it = item_of(r, c, t, key, key_n);
        if (it == NULL)
            break;
        if (sqlite3_column_int64(s, 2) == 0 && t->present) {
            struct gone *g = gone_of(r, c, t);

            if (g == NULL)
                break;
            it->gone = next_gone(r, g, key, key_n);
        }
        op = &c->ops[c->ops_count++];
        *op = (struct op){.mask = sqlite3_column_int64(s, 2), .at_ms = captured_ms(s, 3), .unseen = sqlite3_column_double(s, 3) < 0};
        if (it->last != 0)
            c->ops[it->last - 1].next = c->ops_count;
        else
            it->first = c->ops_count;
        it->last = c->ops_count;
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        (void)fail_sqlite(r, step, "read captured changes");
    sql_done(s);
    return r->fail;
}

/* They were put into another order since they were read. */
static void find_anew(struct chunk *c)
{
    memset(c->buckets, 0, c->buckets_count * sizeof *c->buckets);
    for (uint32_t i = 0; i < c->items_count; i++) {
        struct item *it = &c->items[i];
        uint32_t *slot = slot_of(c, it->table, c->keys + it->key_at, it->key_n);

        it->next = *slot;
        *slot = i + 1;
    }
}

enum perche_rc chunk_look_on(struct replica *r, struct chunk *c)
{
    sqlite3_stmt *s;

    if (c->looked_on || !c->more)
        return PERCHE_OK;
    c->looked_on = true;
    find_anew(c);
    s = ask(r, "SELECT tab, mask, k1, k2, k3, k4 FROM perche_capture WHERE n > ?1 AND mask <> 0");
    if (s != NULL)
        sqlite3_bind_int64(s, 1, c->newest);
    while (ask_row(r, s, "look further on in the capture log")) {
        struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 0));
        struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        struct item *it = NULL;
        uint32_t n;

        if (t == NULL)
            continue;
        for (uint32_t i = 0; i < t->keys_count; i++)
            column_read(r, s, 2 + (int)i, &values[i]);
        if (perche_key_encode(values, t->keys_count, key, &n) == PERCHE_OK)
            it = item_known(c, t, key, n);
        if (it != NULL)
            it->later |= (uint64_t)sqlite3_column_int64(s, 1); /* an insert, or a REPLACE: all */
    }
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc chunk_keep_gone(struct replica *r, struct chunk *c, const struct item *it, struct meta *m,
                                enum gone_columns which, bool *found)
{
    struct gone *g = it->gone == 0 ? NULL : gone_of(r, c, it->table);
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint64_t mask = 0;
    sqlite3_stmt *s;
    int i = 0;

    *found = false;
    if (g == NULL)
        return r->fail;
    if (which == GONE_WHOLE && g->whole == NULL)
        g->whole = gone_select(r, it->table, "0", GONE_WHOLE, "WHERE rowid = ?1");
    s = which == GONE_WHOLE ? g->whole : g->get;
    if (s == NULL)
        return r->fail;
    sqlite3_bind_int64(s, 1, it->gone);
    if (sql_row(r, s)) {
        for (uint32_t num = 1; num < m->count; num++) {
            if (!kept_of(&m->table->columns[num - 1], which))
                continue;
            column_read(r, s, ++i, &values[num]);
            mask |= UINT64_C(1) << (num - 1);
        }
        m->kept_mask = 0;
        *found = keep_values(r, m, values, mask, true) == PERCHE_OK;
    }
    sqlite3_reset(s);
    return r->fail;
}
