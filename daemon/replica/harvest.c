/* Harvest: what programs wrote becomes stamped, numbered state.
 *
 * The capture rows of a key are replayed in order (delete then insert is two
 * generations on, whenever the harvest comes), then the present values are taken.
 * One chunk is one transaction: stamps, positions, metadata, digests, one history
 * block, and the capture rows go (P1: until then they stay). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/ask.h"
#include "replica/pack.h"
#include "replica/statements.h"

#define CHUNK_BYTES_MAX (16u << 20) /* values of one chunk, and about its memory */
#define CHUNK_CUT 64u

struct op {
    int64_t mask;        /* -1 insert, 0 delete, > 0 update */
    uint64_t at_ms;
    uint32_t next;       /* index + 1 of the key's next operation, 0 = last */
};

struct item {            /* one key of the chunk */
    struct table *table;
    uint32_t key_at, key_n;   /* in chunk->keys */
    uint32_t first, last;     /* operations, index + 1 */
    sqlite3_int64 gone;       /* rowid of its newest row in perche_gone_, 0 = none */
    uint32_t next;            /* hash chain */
    uint32_t rank;            /* parents before children */
};

/* The delete trigger writes the capture row and the old values together, so both
 * stand in the same order: one pass over each finds all, however many there are. */
struct gone {
    struct table *table;
    sqlite3_stmt *scan, *get; /* rowid and key in order; scope columns by rowid */
    sqlite3_int64 newest;     /* consumed up to here */
    bool ended;
};
#define GONE_MAX 256          /* tables with deletes in one chunk; the chunk ends before one more */

struct chunk {
    struct op *ops;
    struct item *items;
    uint8_t *keys;
    uint32_t *buckets;
    struct gone *gones;
    uint32_t gones_count;
    uint32_t ops_count, items_count, buckets_count, rows_max;
    size_t keys_n, keys_cap;
    sqlite3_int64 newest;     /* capture row up to which it goes */
    bool more;
};

static void chunk_free(struct chunk *c)
{
    free(c->ops);
    free(c->items);
    free(c->keys);
    free(c->buckets);
    for (uint32_t i = 0; i < c->gones_count; i++) {
        sqlite3_finalize(c->gones[i].scan);
        sqlite3_finalize(c->gones[i].get);
    }
    free(c->gones);
}

/* "SELECT <first> [, column ...] FROM perche_gone_<table> <rest>": the key's columns, or those that the scope is made from. */
static sqlite3_stmt *gone_select(struct replica *r, const struct table *t, const char *first, bool keys, const char *rest)
{
    sqlite3_str *s = sqlite3_str_new(r->db);
    sqlite3_stmt *stmt = NULL;
    char *text;

    sqlite3_str_appendf(s, "SELECT %s", first);
    for (uint32_t i = 0; keys && i < t->keys_count; i++)
        sqlite3_str_appendf(s, ", \"%w\"", t->keys[i].name);
    for (uint32_t i = 0; !keys && i < t->columns_count; i++)
        if (t->columns[i].scope_cell)
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

static struct gone *gone_of(struct replica *r, struct chunk *c, struct table *t)
{
    struct gone *g;

    for (uint32_t i = 0; i < c->gones_count; i++)
        if (c->gones[i].table == t)
            return &c->gones[i];
    if (c->gones == NULL)
        c->gones = calloc(GONE_MAX, sizeof *c->gones);
    if (c->gones == NULL || c->gones_count == GONE_MAX)
        return (void)fail(r, PERCHE_NOMEM, "no memory for deleted rows"), NULL;
    g = &c->gones[c->gones_count++];
    g->table = t;
    g->scan = gone_select(r, t, "rowid", true, "ORDER BY rowid");
    g->get = g->scan == NULL ? NULL : gone_select(r, t, "0", false, "WHERE rowid = ?1");
    return g->get == NULL ? NULL : g;
}

/* Rowid of the old values that belong to the delete just read. 0 = somebody took them out by hand. */
static sqlite3_int64 next_gone(struct gone *g, const uint8_t *key, uint32_t key_n)
{
    while (!g->ended) {
        struct perche_value v[PERCHE_KEY_COLUMNS_MAX];
        uint8_t other[PERCHE_KEY_BYTES_MAX];
        uint32_t n;

        if (sqlite3_step(g->scan) != SQLITE_ROW) {
            g->ended = true;
            break;
        }
        g->newest = sqlite3_column_int64(g->scan, 0);
        for (uint32_t i = 0; i < g->table->keys_count; i++)
            column_value(g->scan, 1 + (int)i, &v[i]);
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

static struct item *item_of(struct replica *r, struct chunk *c, struct table *t, const uint8_t *key, uint32_t n)
{
    uint32_t *slot = &c->buckets[hash_key(t, key, n) & (c->buckets_count - 1)];
    struct item *it;

    for (uint32_t i = *slot; i != 0; i = c->items[i - 1].next) {
        it = &c->items[i - 1];
        if (it->table == t && it->key_n == n && memcmp(c->keys + it->key_at, key, n) == 0)
            return it;
    }
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
    double at = sqlite3_column_double(s, i);

    if (at > 0 && at < 1e7)
        at = (at - 2440587.5) * 86400000.0;
    return at > 0 && at < 1e15 ? (uint64_t)(at + 0.5) : 0;
}

/* A row whose key is too long stays here and nowhere else; the beginning of the key says which one it is. A NULL never
 * came through a registered table: it was written by hand. */
static enum perche_rc list_key(struct replica *r, const struct table *t, const struct perche_value *key)
{
    sqlite3_stmt *s;

    if (key->type == PERCHE_NULL)
        return PERCHE_OK;
    s = sql(r, SQL_REFUSED_PUT);
    sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
    sqlite3_bind_text(s, 2, t->name, -1, SQLITE_STATIC);
    if (key->type == PERCHE_TEXT)
        sqlite3_bind_text(s, 3, (const char *)key->p, key->n < 200 ? (int)key->n : 200, SQLITE_STATIC);
    else
        sqlite3_bind_text(s, 3, "", 0, SQLITE_STATIC);
    sqlite3_bind_text(s, 4, "", 0, SQLITE_STATIC);
    sqlite3_bind_text(s, 5, "key", -1, SQLITE_STATIC);
    sqlite3_bind_null(s, 6);
    return sql_run(r, s, "list a key that is too long");
}

static enum perche_rc read_chunk(struct replica *r, struct chunk *c)
{
    sqlite3_stmt *s = sql(r, SQL_CAPTURE_READ);
    int step;

    sqlite3_bind_int64(s, 1, (sqlite3_int64)c->rows_max + 1);
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;
        struct table *t;
        struct item *it;
        struct op *op;

        if (c->ops_count == c->rows_max) {
            c->more = true;
            break;
        }
        c->newest = sqlite3_column_int64(s, 0);
        t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 1));
        if (t == NULL || !t->present)
            continue; /* written by hand, or its table is gone: nothing to take */
        for (uint32_t i = 0; i < t->keys_count; i++)
            column_value(s, 4 + (int)i, &values[i]);
        if (perche_key_encode(values, t->keys_count, key, &key_n) != PERCHE_OK) {
            if (list_key(r, t, &values[0]) != PERCHE_OK)
                break;
            continue;
        }
        it = item_of(r, c, t, key, key_n);
        if (it == NULL)
            break;
        if (sqlite3_column_int64(s, 2) == 0) {
            struct gone *g = gone_of(r, c, t);

            if (g == NULL)
                break;
            it->gone = next_gone(g, key, key_n);
        }
        op = &c->ops[c->ops_count++];
        *op = (struct op){.mask = sqlite3_column_int64(s, 2), .at_ms = captured_ms(s, 3)};
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

/* ---- one row --------------------------------------------------------------- */

struct author {           /* what a row's cells of this harvest have in common */
    struct replica *r;
    struct perche_batch *batch;
    struct merge_peer peer;
    uint64_t block;
    uint64_t *prev;
    uint32_t prev_count;
    uint32_t own;         /* name index of this node in the batch */
};

/* A hub's column that the insert left at its default is no cell of it: a site can register a learner. */
static bool at_default(struct replica *r, const struct column *c, const struct perche_value *v)
{
    char text[1024];
    sqlite3_stmt *s;
    bool same;

    if (c->default_sql == NULL)
        return v->type == PERCHE_NULL;
    (void)snprintf(text, sizeof text, "SELECT ?1 IS (%s)", c->default_sql);
    s = prepare(r, text);
    if (s == NULL)
        return false;
    bind_value(s, 1, v);
    same = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == 1;
    sqlite3_finalize(s);
    return same;
}

/* What a local write replaced while a pull is not finished, or in a row with a pair of its own (DESIGN 4.3). */
static void note_base(const struct author *a, const struct meta *m, const struct clock_cell *old, struct clock_cell *new)
{
    const struct node *n = &a->r->node;

    if (a->r->hub || !old->written)
        return;
    if (merge_clean(&a->peer, old)) {
        if (n->full == n->scan && !(m->flags & META_PAIR))
            return;
        new->based = true;
        new->base_stamp = old->stamp;
        new->base_origin = old->origin;
    } else if (old->based) {
        new->based = true;
        new->base_stamp = old->base_stamp;
        new->base_origin = old->base_origin;
    }
}

static void author_cell(const struct author *a, struct meta *m, uint32_t num, uint64_t stamp)
{
    struct clock_cell *c = &m->cells[num], new = {.stamp = stamp, .lsn = m->lsn, .origin = a->r->node.site_num,
                                                  .via = VIA_LOCAL, .written = true};

    if (num != 0)
        note_base(a, m, c, &new);
    *c = new;
}

static enum perche_rc record(struct author *a, const struct meta *m, const struct perche_value *values, uint64_t mask,
                             bool gen)
{
    const char *columns[PERCHE_COLUMNS_MAX];
    struct perche_row *row;
    uint32_t part;

    for (uint32_t i = 0; i < m->table->columns_count; i++)
        columns[i] = m->table->columns[i].name;
    part = perche_batch_part(a->batch, m->table->name, columns, m->table->columns_count);
    row = part == UINT32_MAX ? NULL : perche_batch_row(a->batch, part, (struct perche_bytes){m->key, m->key_n});
    if (row == NULL)
        return fail(a->r, PERCHE_NOMEM, "no memory for a history block");
    row->gen = m->gen;
    row->scope = PERCHE_NO_SCOPE;
    if (gen) {
        row->flags |= PERCHE_ROW_GEN;
        row->gen_stamp = m->cells[0].stamp;
        row->gen_origin = a->own;
    }
    for (uint32_t num = 1; num < m->count; num++) {
        struct perche_cell *c;

        if (!(mask >> (num - 1) & 1))
            continue;
        c = perche_batch_cell(a->batch, part, (uint16_t)(num - 1), &values[num]);
        if (c == NULL)
            return fail(a->r, PERCHE_NOMEM, "no memory for a history block");
        c->stamp = m->cells[num].stamp;
        c->origin = a->own;
    }
    return PERCHE_OK;
}

/* Finishes a row that was changed here: position, scope, digest, metadata, history. */
static enum perche_rc finish(struct author *a, struct meta *m, const struct perche_value *values, uint64_t mask, bool gen)
{
    struct replica *r = a->r;
    struct perche_value again[PERCHE_COLUMNS_MAX + 1];
    uint32_t scope;
    enum perche_rc rc;

    if (r->suspect)
        m->flags |= META_SUSPECT;
    if (!r->hub && (m->first == 0 || m->first <= r->node.acked))
        m->first = m->lsn;
    if (gen)
        m->flags &= ~(uint32_t)META_AGREED;
    if (gen || !m->stored)
        m->entered = m->lsn;
    if (!m->stored || (!r->hub && m->scope == 0)) {
        scope = scope_derive(r, m, values, 0);
        if (scope == 0)
            return r->fail != PERCHE_OK ? r->fail : fail(r, PERCHE_INTERNAL, "a row of %s has no scope", m->table->name);
        m->scope = scope;
    }
    rc = record(a, m, values, mask, gen);
    if (rc != PERCHE_OK)
        return rc;
    a->prev[a->prev_count++] = m->block;
    m->block = a->block;
    digest_row(r, m, values, m->digest);
    rc = meta_save(r, m);
    if (rc != PERCHE_OK || !r->hub)
        return rc;
    rc = unique_check(r, m, mask);
    if (rc == PERCHE_OK)
        rc = scope_woken(r, m->scope, 0);
    if (rc != PERCHE_OK)
        return rc;
    rc = row_values(r, m, again); /* a question may have been written meanwhile */
    return rc == PERCHE_OK ? scope_follow(r, m, again, 0) : rc;
}

/* Old values of a deleted row, from perche_gone_: those that its scope is made from. */
static enum perche_rc keep_gone(struct replica *r, struct chunk *c, const struct item *it, struct meta *m)
{
    struct gone *g = it->gone == 0 ? NULL : gone_of(r, c, it->table);
    size_t room = 1, at = 0;
    int i = 0;

    meta_clear(m);
    if (g == NULL)
        return r->fail;
    sqlite3_bind_int64(g->get, 1, it->gone);
    if (sqlite3_step(g->get) == SQLITE_ROW) {
        for (int k = 1; k < sqlite3_column_count(g->get); k++)
            room += (size_t)sqlite3_column_bytes(g->get, k);
        m->kept_bytes = malloc(room);
        if (m->kept_bytes == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for a tombstone");
        for (uint32_t num = 1; m->kept_bytes != NULL && num < m->count; num++) {
            struct perche_value *v = &m->kept[num];

            if (!m->table->columns[num - 1].scope_cell)
                continue;
            column_value(g->get, ++i, v);
            if ((v->type == PERCHE_TEXT || v->type == PERCHE_BLOB) && v->n > 0) {
                memcpy(m->kept_bytes + at, v->p, v->n);
                v->p = m->kept_bytes + at;
                at += v->n;
            }
            m->kept_mask |= UINT64_C(1) << (num - 1);
        }
    }
    sqlite3_reset(g->get);
    return r->fail;
}

/* Cells of a tombstone: those of its scope alone, as they were. */
static void bury(struct meta *m)
{
    for (uint32_t num = 1; num < m->count; num++)
        if (!(m->kept_mask >> (num - 1) & 1))
            memset(&m->cells[num], 0, sizeof m->cells[num]);
        else if (!m->cells[num].written)
            m->kept_mask &= ~(UINT64_C(1) << (num - 1));
}

/* ---- values too large to send ------------------------------------------------ */

/* Columns among the @changed that no message carries: one above the bound, or what makes the row exceed it. */
static uint64_t oversized(const struct table *t, const struct perche_value *values, uint64_t changed)
{
    uint64_t mask = 0, sum = 0;

    for (int pass = 0; pass < 2; pass++) /* what was there before goes first */
        for (uint32_t num = 1; num <= t->columns_count; num++) {
            const struct perche_value *v = &values[num];

            if ((v->type != PERCHE_TEXT && v->type != PERCHE_BLOB) || (changed >> (num - 1) & 1) != (uint64_t)pass)
                continue;
            if (pass == 1 && (v->n > PERCHE_VALUE_BYTES_MAX || sum + v->n > PERCHE_ROW_BYTES_MAX))
                mask |= UINT64_C(1) << (num - 1);
            else
                sum += v->n;
        }
    return mask;
}

struct former {           /* the value that a cell had when it was last written */
    const struct meta *m;
    const char *column, *origin;
    uint64_t stamp;
    uint8_t *bytes;
    struct perche_value value;
    bool found;
};

static bool former_here(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row,
                        uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct former *f = ctx;

    (void)block;
    (void)at_ms;
    (void)via;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];

        if (c->stamp != f->stamp || strcmp(part->columns[c->col], f->column) != 0 || strcmp(b->names[c->origin], f->origin) != 0)
            continue;
        f->value = c->value;
        if (c->value.type == PERCHE_TEXT || c->value.type == PERCHE_BLOB) {
            f->bytes = malloc(c->value.n + 1u);
            if (f->bytes == NULL)
                return false;
            memcpy(f->bytes, c->value.p, c->value.n);
            f->value.p = f->bytes;
        }
        f->found = true;
        return false;
    }
    return true;
}

/* Lists what was written, for `perche refused`; the text itself goes along, so that it is not lost. */
static enum perche_rc list_oversized(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t big)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t num = 1; num < m->count && rc == PERCHE_OK; num++) {
        char *key;
        sqlite3_stmt *s;

        if (!(big >> (num - 1) & 1))
            continue;
        key = ask_key_json(r, (struct perche_bytes){m->key, m->key_n});
        s = sql(r, SQL_REFUSED_PUT);
        sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
        sqlite3_bind_text(s, 2, m->table->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 3, key != NULL ? key : "", -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 4, m->table->columns[num - 1].name, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 5, "too_large", -1, SQLITE_STATIC);
        if (values[num].type == PERCHE_TEXT && m->stored)
            bind_value(s, 6, &values[num]);
        else
            sqlite3_bind_null(s, 6); /* a new row keeps it; a blob is no JSON */
        rc = sql_run(r, s, "list a value that is too large");
        free(key);
    }
    return rc;
}

/* A row that was never sent stays here as it is, and nowhere else; in one that others have, the former value comes
 * back. Nothing else waits for it (P8). */
static enum perche_rc put_back(struct replica *r, struct meta *m, struct perche_value *values, uint64_t big)
{
    bool begun = !r->applying;
    enum perche_rc rc = list_oversized(r, m, values, big);

    if (rc != PERCHE_OK || !m->stored)
        return rc;
    if (begun)
        rc = applying_begin(r);
    for (uint32_t num = 1; num < m->count && rc == PERCHE_OK; num++) {
        struct former f = {.m = m, .column = m->table->columns[num - 1].name, .stamp = m->cells[num].stamp};

        if (!(big >> (num - 1) & 1))
            continue;
        f.origin = name_text(r, m->cells[num].origin);
        if (m->cells[num].written && f.origin != NULL)
            rc = history_walk(r, m, former_here, &f);
        values[num] = f.value;
        if (rc == PERCHE_OK && f.found) /* else the history has no more of it: the comparison will find it */
            rc = data_update(r, m->table, (struct perche_bytes){m->key, m->key_n}, UINT64_C(1) << (num - 1), values);
        values[num] = (struct perche_value){0};
        free(f.bytes);
    }
    if (begun) {
        enum perche_rc ended = applying_end(r);

        rc = rc != PERCHE_OK ? rc : ended;
    }
    return rc;
}

static enum perche_rc harvest_row(struct author *a, struct chunk *c, const struct item *it)
{
    struct replica *r = a->r;
    struct perche_bytes key = {c->keys + it->key_at, it->key_n};
    struct meta m;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint64_t mask = 0, at_ms = 0, big, all = it->table->columns_count == 0 ? 0 : UINT64_MAX >> (64 - it->table->columns_count);
    uint32_t before;
    bool alive, present, over = false, gen;
    enum perche_rc rc;

    rc = meta_load(r, it->table, key, &m);
    if (rc != PERCHE_OK)
        return rc;
    before = m.gen;
    for (uint32_t i = it->first; i != 0; i = c->ops[i - 1].next) {
        const struct op *op = &c->ops[i - 1];

        alive = meta_alive(&m);
        at_ms = op->at_ms;
        if (op->mask < 0) {
            over |= alive; /* REPLACE on a living row: an update of all columns */
            m.gen += !alive;
            mask = all;
        } else if (op->mask == 0) {
            m.gen += alive;
            mask = 0;
        } else if (alive) {
            mask |= (uint64_t)op->mask & all;
        }
    }
    rc = data_load(r, it->table, key, values);
    if (rc != PERCHE_OK && rc != PERCHE_NOT_FOUND)
        goto out;
    present = rc == PERCHE_OK;
    rc = PERCHE_OK;
    if (present && !m.stored && m.gen == 0) { /* its insert was not captured: a program's trigger made it during an apply */
        m.gen = 1;
        mask = all;
    }
    big = present ? oversized(it->table, values, mask) : 0;
    if (big != 0) {
        rc = put_back(r, &m, values, big);
        if (rc != PERCHE_OK || !m.stored || m.gen != before)
            goto out;
        mask &= ~big;
        rc = data_load(r, it->table, key, values);
        if (rc != PERCHE_OK)
            goto out;
    }
    alive = meta_alive(&m);
    if (alive && !present && c->more)
        goto out; /* its delete stands further on in the capture log, and there its old values */
    if (alive && !present)
        m.gen++;
    else if (!alive && present && before == m.gen && before % 2 == 0 && m.gen != 0)
        goto out; /* an update of what a later capture row will bring back */
    if (!m.stored && !meta_alive(&m))
        goto out; /* never was here, or came and went since the last harvest: nobody else has ever had it */
    gen = m.gen != before;
    alive = meta_alive(&m);
    if (!gen && mask == 0)
        goto out;
    if (alive && !gen && over) { /* a REPLACE that changed nothing changes no stamp */
        uint8_t same[16];

        digest_row(r, &m, values, same);
        if (memcmp(same, m.digest, 16) == 0)
            goto out;
    }
    if (!m.stored && !r->hub)
        m.flags |= META_FRESH;
    m.lsn = next_lsn(r);
    if (gen) {
        uint64_t stamp = next_stamp(r, at_ms);

        if (alive) {
            meta_clear(&m);
            mask = all;
            if (before % 2 == 1 || before != 0)
                for (uint32_t num = 1; num < m.count; num++)
                    memset(&m.cells[num], 0, sizeof m.cells[num]);
        } else {
            mask = 0;
            if (before % 2 == 1)
                rc = keep_gone(r, c, it, &m);
            if (rc != PERCHE_OK)
                goto out;
            bury(&m);
        }
        author_cell(a, &m, 0, stamp);
        for (uint32_t num = 1; num < m.count; num++) {
            if (!(mask >> (num - 1) & 1))
                continue;
            if (!r->hub && it->table->columns[num - 1].policy == POLICY_HUB && at_default(r, &it->table->columns[num - 1], &values[num])) {
                mask &= ~(UINT64_C(1) << (num - 1));
                continue;
            }
            author_cell(a, &m, num, stamp);
        }
    } else {
        uint64_t stamp = next_stamp(r, at_ms);

        for (uint32_t num = 1; num < m.count; num++)
            if (mask >> (num - 1) & 1)
                author_cell(a, &m, num, stamp);
    }
    if (!alive)
        rc = row_values(r, &m, values);
    if (rc == PERCHE_OK)
        rc = finish(a, &m, values, mask, gen);
out:
    meta_clear(&m);
    return rc;
}

static enum perche_rc author_begin(struct author *a, struct replica *r, uint32_t rows)
{
    *a = (struct author){.r = r, .peer = {.at_hub = r->hub, .via = VIA_HUB, .acked = r->node.acked}};
    a->batch = perche_batch_new();
    a->prev = calloc(rows + 1, sizeof *a->prev);
    a->block = history_next_block(r);
    if (a->batch == NULL || a->prev == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a harvest");
    a->own = perche_batch_name(a->batch, name_text(r, r->node.site_num));
    return r->fail;
}

/* The history block of what was harvested. Rows of several tables interleave: the block's order is that of the
 * batch (part by part), so the list of previous blocks is put into that order by whoever appends. */
static enum perche_rc author_end(struct author *a, enum perche_rc rc)
{
    struct perche_buf body = {0};
    struct perche_err err;

    if (rc == PERCHE_OK && a->prev_count > 0) {
        if (perche_batch_encode(a->batch, 1, &body, &err) != PERCHE_OK)
            rc = fail(a->r, err.rc, "history: %s", err.text);
        else
            rc = history_append(a->r, (struct perche_bytes){body.p, (uint32_t)body.n}, a->prev, a->prev_count, VIA_LOCAL);
    }
    perche_buf_free(&body);
    perche_batch_free(a->batch);
    free(a->prev);
    return rc;
}

static int by_table(const void *x, const void *y)
{
    const struct item *a = x, *b = y;

    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->table != b->table)
        return a->table->num < b->table->num ? -1 : 1;
    return a->first < b->first ? -1 : a->first > b->first;
}

static enum perche_rc empty_gone(struct replica *r, struct chunk *c)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && i < c->gones_count; i++) {
        char *text = sqlite3_mprintf("DELETE FROM \"perche_gone_%w\" WHERE rowid <= %lld", c->gones[i].table->name, c->gones[i].newest);

        sqlite3_reset(c->gones[i].scan); /* no statement of it may be open while its rows go */
        rc = text == NULL ? fail(r, PERCHE_NOMEM, "no memory for a statement") : exec(r, text);
        sqlite3_free(text);
    }
    return rc;
}

static uint32_t chunk_rows(const struct replica *r, uint32_t rows_max)
{
    uint32_t rows = rows_max ? rows_max : PERCHE_HARVEST_CHUNK_ROWS;

    return r->harvest_rows != 0 && r->harvest_rows < rows ? r->harvest_rows : rows;
}

/* Rows are of any size, a block is not: a chunk that was too large comes again with fewer rows (one always fits), and
 * what fitted lets the next one grow. */
static void chunk_fits(struct replica *r, uint32_t rows, enum perche_rc rc)
{
    if (rc == PERCHE_BUSY) /* not TOO_LARGE: no batch of the other end is at fault */
        r->harvest_rows = rows > CHUNK_CUT ? rows / CHUNK_CUT : 1;
    else if (rc == PERCHE_OK && r->harvest_rows != 0)
        r->harvest_rows = r->harvest_rows < PERCHE_HARVEST_CHUNK_ROWS ? 2 * r->harvest_rows : 0;
}

enum perche_rc harvest(struct replica *r, uint32_t rows_max, uint64_t *rows, bool *more)
{
    struct chunk c = {.rows_max = chunk_rows(r, rows_max), .keys_cap = 16384, .buckets_count = 1};
    struct author a = {0};
    enum perche_rc rc;
    sqlite3_stmt *s;
    bool any;

    *rows = 0;
    *more = false;
    rc = capture_rescan(r);
    if (rc == PERCHE_OK && r->retried_at != r->schema_version) { /* what waited for a table, a column, or a program's trigger to go */
        rc = parked_retry(r, NULL, NULL);
        r->retried_at = r->schema_version;
    }
    if (rc != PERCHE_OK)
        return rc;
    s = sql(r, SQL_CAPTURE_ANY);
    any = sqlite3_step(s) == SQLITE_ROW;
    sql_done(s);
    if (!any)
        return PERCHE_OK;
    while (c.buckets_count < 2 * c.rows_max)
        c.buckets_count *= 2;
    c.ops = calloc(c.rows_max, sizeof *c.ops);
    c.items = calloc(c.rows_max, sizeof *c.items);
    c.keys = malloc(c.keys_cap);
    c.buckets = calloc(c.buckets_count, sizeof *c.buckets);
    if (c.ops == NULL || c.items == NULL || c.keys == NULL || c.buckets == NULL)
        rc = fail(r, PERCHE_NOMEM, "no memory for a harvest");
    else
        rc = read_chunk(r, &c);
    if (rc == PERCHE_OK)
        rc = author_begin(&a, r, c.items_count);
    if (rc == PERCHE_OK) /* the batch is made part by part, parents first, and so are the positions */
        for (uint32_t i = 0; i < c.items_count; i++)
            c.items[i].rank = table_rank(r, c.items[i].table);
    if (rc == PERCHE_OK)
        qsort(c.items, c.items_count, sizeof *c.items, by_table);
    for (uint32_t i = 0; rc == PERCHE_OK && i < c.items_count; i++) {
        rc = harvest_row(&a, &c, &c.items[i]);
        if (rc == PERCHE_OK && c.items_count > 1 && perche_batch_bytes(a.batch) > CHUNK_BYTES_MAX)
            rc = fail(r, PERCHE_BUSY, "more than %u bytes in one chunk of changes: again with fewer rows", CHUNK_BYTES_MAX);
    }
    rc = author_end(&a, rc != PERCHE_OK ? rc : r->fail);
    if (rc == PERCHE_OK)
        rc = empty_gone(r, &c);
    if (rc == PERCHE_OK) {
        s = sql(r, SQL_CAPTURE_DELETE);
        sqlite3_bind_int64(s, 1, c.newest);
        rc = sql_run(r, s, "clear captured changes");
    }
    chunk_fits(r, c.rows_max, rc);
    *rows = c.items_count;
    *more = c.more;
    chunk_free(&c);
    return rc;
}

enum perche_rc write_local(struct replica *r, struct table *t, struct perche_bytes key, uint64_t mask,
                           const struct perche_value *values, uint64_t stamp)
{
    struct author a;
    struct meta m;
    struct perche_value now[PERCHE_COLUMNS_MAX + 1];
    bool gen;
    enum perche_rc rc = author_begin(&a, r, 1);

    if (rc == PERCHE_OK)
        rc = meta_load(r, t, key, &m);
    if (rc != PERCHE_OK)
        return author_end(&a, rc);
    if (stamp == 0)
        stamp = next_stamp(r, r->now_ms);
    gen = !meta_alive(&m);
    m.lsn = next_lsn(r);
    if (!m.stored && !r->hub)
        m.flags |= META_FRESH;
    if (gen) {
        meta_clear(&m);
        m.gen++;
        author_cell(&a, &m, 0, stamp);
    }
    for (uint32_t num = 1; num < m.count; num++)
        if (mask >> (num - 1) & 1)
            author_cell(&a, &m, num, stamp);
    rc = gen ? data_upsert(r, t, key, mask, values) : data_update(r, t, key, mask, values);
    if (rc == PERCHE_OK)
        rc = row_values(r, &m, now);
    if (rc == PERCHE_OK)
        rc = finish(&a, &m, now, mask, gen);
    meta_clear(&m);
    return author_end(&a, rc);
}

enum perche_rc harvest_all(struct replica *r)
{
    bool more = true;
    uint64_t rows;
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && more)
        rc = harvest(r, PERCHE_HARVEST_CHUNK_ROWS, &rows, &more);
    return rc;
}
