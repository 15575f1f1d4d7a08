/* Row metadata: one packed row of perche_row for each data row, alive or dead.
 *
 * The clock blob, all integers LEB128 unless said:
 *   digest            16 bytes, XXH3-128 of the row (DESIGN 4.7)
 *   default           stamp (8 bytes, big-endian), origin, lsn, via: the generation's
 *   written           mask of columns that were ever written, bit num - 1
 *   differs           mask of those whose entry is not the default's
 *   for each of them  flags (1 fixed, 2 based), stamp (8), origin, lsn, via [, base stamp (8), base origin]
 *   with META_PAIR    full, scan
 *   with META_READ    members
 *   of a dead row, and of a held one (META_HELD: its image)
 *                     mask of kept columns, for each: type, then 8 bytes or length and bytes
 * A column that was never written has no entry, so that a new column makes no traffic. */
#include <stdlib.h>
#include <string.h>

#include "replica/statements.h"

#define CLOCK_BYTES_MAX (64 + (PERCHE_COLUMNS_MAX + 1) * 48)

struct packer {
    uint8_t *p;
    size_t n, cap;
};

static void pack_uint(struct packer *w, uint64_t v)
{
    w->n += perche_varint_put(w->p + w->n, v);
}

static void pack_u64(struct packer *w, uint64_t v)
{
    for (int i = 7; i >= 0; i--)
        w->p[w->n++] = (uint8_t)(v >> (8 * i));
}

static bool same_entry(const struct clock_cell *a, const struct clock_cell *b)
{
    return a->stamp == b->stamp && a->origin == b->origin && a->lsn == b->lsn && a->via == b->via &&
           !a->fixed && !a->based;
}

static void pack_kept(struct packer *w, const struct meta *m)
{
    pack_uint(w, m->kept_mask);
    for (uint32_t num = 1; num < m->count; num++) {
        const struct perche_value *v = &m->kept[num];

        if (!(m->kept_mask >> (num - 1) & 1))
            continue;
        w->p[w->n++] = v->type;
        if (v->type == PERCHE_INTEGER || v->type == PERCHE_REAL) {
            memcpy(w->p + w->n, &v->i, 8);
            w->n += 8;
        } else if (v->type == PERCHE_TEXT || v->type == PERCHE_BLOB) {
            pack_uint(w, v->n);
            memcpy(w->p + w->n, v->p, v->n);
            w->n += v->n;
        }
    }
}

static size_t kept_bytes(const struct meta *m)
{
    size_t n = 10;

    for (uint32_t num = 1; num < m->count; num++)
        if (m->kept_mask >> (num - 1) & 1)
            n += 16 + m->kept[num].n;
    return n;
}

/* Are its values here, as they are in no table? */
static bool keeps(const struct meta *m)
{
    return !meta_alive(m) || (m->flags & META_HELD);
}

static void pack(struct packer *w, const struct meta *m)
{
    const struct clock_cell *base = &m->cells[0];
    uint64_t written = 0, differs = 0;

    memcpy(w->p + w->n, m->digest, 16);
    w->n += 16;
    pack_u64(w, base->stamp);
    pack_uint(w, base->origin);
    pack_uint(w, base->lsn);
    pack_uint(w, base->via);
    for (uint32_t num = 1; num < m->count; num++) {
        if (!m->cells[num].written)
            continue;
        written |= UINT64_C(1) << (num - 1);
        if (!same_entry(&m->cells[num], base))
            differs |= UINT64_C(1) << (num - 1);
    }
    pack_uint(w, written);
    pack_uint(w, differs << 1 | (base->fixed || base->based));
    for (uint32_t num = 0; num < m->count; num++) {
        const struct clock_cell *c = &m->cells[num];

        if (num == 0 ? !(base->fixed || base->based) : !(differs >> (num - 1) & 1))
            continue;
        w->p[w->n++] = (uint8_t)(c->fixed | c->based << 1);
        pack_u64(w, c->stamp);
        pack_uint(w, c->origin);
        pack_uint(w, c->lsn);
        pack_uint(w, c->via);
        if (c->based) {
            pack_u64(w, c->base_stamp);
            pack_uint(w, c->base_origin);
        }
    }
    if (m->flags & META_PAIR) {
        pack_uint(w, m->full);
        pack_uint(w, m->scan);
    }
    if (m->flags & META_READ)
        pack_uint(w, m->members);
    if (keeps(m))
        pack_kept(w, m);
}

struct unpacker {
    const uint8_t *p, *end;
    bool bad;
};

static uint64_t take_uint(struct unpacker *u)
{
    uint64_t v = 0;
    uint32_t n = u->bad ? 0 : perche_varint_get(u->p, u->end, &v);

    if (n == 0)
        u->bad = true;
    u->p += n;
    return n == 0 ? 0 : v;
}

static const uint8_t *take_bytes(struct unpacker *u, uint64_t n)
{
    const uint8_t *p = u->p;

    if (u->bad || n > (uint64_t)(u->end - u->p)) {
        u->bad = true;
        return NULL;
    }
    u->p += n;
    return p;
}

static uint64_t take_u64(struct unpacker *u)
{
    const uint8_t *p = take_bytes(u, 8);
    uint64_t v = 0;

    for (int i = 0; p != NULL && i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static void unpack_kept(struct unpacker *u, struct meta *m)
{
    size_t room = (size_t)(u->end - u->p), used = 0;

    m->kept_mask = take_uint(u);
    if (m->kept_mask == 0)
        return;
    m->kept_bytes = malloc(room);
    if (m->kept_bytes == NULL) {
        u->bad = true;
        return;
    }
    for (uint32_t num = 1; num <= PERCHE_COLUMNS_MAX; num++) {
        struct perche_value *v = &m->kept[num];
        const uint8_t *p;

        if (!(m->kept_mask >> (num - 1) & 1))
            continue;
        p = take_bytes(u, 1);
        memset(v, 0, sizeof *v);
        v->type = p != NULL ? *p : PERCHE_NULL;
        if (v->type == PERCHE_INTEGER || v->type == PERCHE_REAL) {
            p = take_bytes(u, 8);
            if (p != NULL)
                memcpy(&v->i, p, 8);
        } else if (v->type == PERCHE_TEXT || v->type == PERCHE_BLOB) {
            uint64_t n = take_uint(u);

            p = take_bytes(u, n);
            if (p == NULL)
                return;
            memcpy(m->kept_bytes + used, p, n);
            v->p = m->kept_bytes + used;
            v->n = (uint32_t)n;
            used += n;
        }
    }
}

void meta_clear(struct meta *m)
{
    free(m->kept_bytes);
    m->kept_bytes = NULL;
    m->kept_mask = 0;
}

/* Everything of a row that is not there. */
static void meta_reset(struct table *t, struct meta *m)
{
    m->table = t;
    m->stored = false;
    m->scope = m->members = m->gen = m->flags = m->was_scope = m->was_gen = 0;
    m->lsn = m->entered = m->first = m->block = m->full = m->scan = 0;
    m->kept_mask = 0;
    m->kept_bytes = NULL;
    m->count = 1 + t->columns_count;
    memset(m->digest, 0, sizeof m->digest);
    memset(m->was_digest, 0, sizeof m->was_digest);
    memset(m->cells, 0, m->count * sizeof m->cells[0]);
}

enum perche_rc meta_unpack(struct replica *r, struct table *t, sqlite3_stmt *row, int first_column, struct meta *m)
{
    struct unpacker u;
    uint64_t written, differs;
    struct clock_cell base = {.written = true};
    const uint8_t *p;

    meta_reset(t, m);
    m->stored = true;
    m->scope = m->was_scope = (uint32_t)sqlite3_column_int64(row, first_column);
    m->lsn = (uint64_t)sqlite3_column_int64(row, first_column + 1);
    m->entered = (uint64_t)sqlite3_column_int64(row, first_column + 2);
    m->first = (uint64_t)sqlite3_column_int64(row, first_column + 3);
    m->gen = m->was_gen = (uint32_t)sqlite3_column_int64(row, first_column + 4);
    m->flags = (uint32_t)sqlite3_column_int64(row, first_column + 5);
    m->block = (uint64_t)sqlite3_column_int64(row, first_column + 6);
    u.p = sqlite3_column_blob(row, first_column + 7);
    u.end = u.p + sqlite3_column_bytes(row, first_column + 7);
    u.bad = u.p == NULL;
    p = take_bytes(&u, 16);
    if (p != NULL) {
        memcpy(m->digest, p, 16);
        memcpy(m->was_digest, p, 16);
    }
    base.stamp = take_u64(&u);
    base.origin = (uint32_t)take_uint(&u);
    base.lsn = take_uint(&u);
    base.via = (uint32_t)take_uint(&u);
    m->cells[0] = base;
    written = take_uint(&u);
    differs = take_uint(&u);
    if (u.bad || (m->count <= PERCHE_COLUMNS_MAX && written >> (m->count - 1) != 0))
        return fail(r, PERCHE_CORRUPT, "metadata of a row of %s does not decode: run perche verify", t->name);
    for (uint32_t num = 1; num < m->count; num++)
        if (written >> (num - 1) & 1)
            m->cells[num] = base;
    for (uint32_t num = 0; differs >> num != 0 && num < m->count; num++) {
        struct clock_cell *c = &m->cells[num];

        if (!(differs >> num & 1))
            continue;
        p = take_bytes(&u, 1);
        c->written = true;
        c->fixed = p != NULL && (*p & 1);
        c->based = p != NULL && (*p & 2);
        c->stamp = take_u64(&u);
        c->origin = (uint32_t)take_uint(&u);
        c->lsn = take_uint(&u);
        c->via = (uint32_t)take_uint(&u);
        if (c->based) {
            c->base_stamp = take_u64(&u);
            c->base_origin = (uint32_t)take_uint(&u);
        }
    }
    if (m->flags & META_PAIR) {
        m->full = take_uint(&u);
        m->scan = take_uint(&u);
    }
    if (m->flags & META_READ)
        m->members = (uint32_t)take_uint(&u);
    if (keeps(m))
        unpack_kept(&u, m);
    if (u.bad || u.p != u.end) {
        meta_clear(m);
        return fail(r, PERCHE_CORRUPT, "metadata of a row of %s does not decode: run perche verify", t->name);
    }
    return PERCHE_OK;
}

enum perche_rc meta_load(struct replica *r, struct table *t, struct perche_bytes key, struct meta *m)
{
    sqlite3_stmt *s = sql(r, SQL_META_GET);
    enum perche_rc rc = PERCHE_OK;
    int step;

    assert(key.n <= PERCHE_KEY_BYTES_MAX);
    meta_reset(t, m); /* a caller may meta_clear() it also after a failure */
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
    step = sqlite3_step(s);
    if (step == SQLITE_ROW)
        rc = meta_unpack(r, t, s, 0, m);
    else if (step != SQLITE_DONE)
        rc = fail_sqlite(r, step, "read a row's metadata");
    memcpy(m->key, key.p, key.n);
    m->key_n = key.n;
    sql_done(s);
    return rc;
}

enum perche_rc meta_save(struct replica *r, struct meta *m)
{
    uint8_t small[CLOCK_BYTES_MAX + 256], *big = NULL;
    struct packer w = {.p = small};
    size_t need = keeps(m) ? kept_bytes(m) : 0;
    sqlite3_stmt *s = sql(r, m->stored ? SQL_META_UPDATE : SQL_META_INSERT);
    enum perche_rc rc;

    assert(m->scope != 0 && m->gen != 0 && m->lsn != 0);
    if (r->touched[m->table->num % TOUCHED] < m->lsn) /* a row that is put back keeps an older one */
        r->touched[m->table->num % TOUCHED] = m->lsn;
    if (CLOCK_BYTES_MAX + need > sizeof small) {
        big = malloc(CLOCK_BYTES_MAX + need);
        if (big == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a row's metadata");
        w.p = big;
    }
    m->flags = m->members != 0 ? m->flags | META_READ : m->flags & ~(uint32_t)META_READ;
    pack(&w, m);
    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, m->scope);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)m->lsn);
    sqlite3_bind_int64(s, 5, (sqlite3_int64)m->entered);
    if (m->first != 0)
        sqlite3_bind_int64(s, 6, (sqlite3_int64)m->first);
    sqlite3_bind_int64(s, 7, m->gen);
    sqlite3_bind_int64(s, 8, m->flags);
    if (m->block != 0)
        sqlite3_bind_int64(s, 9, (sqlite3_int64)m->block);
    sqlite3_bind_blob(s, 10, w.p, (int)w.n, SQLITE_STATIC);
    rc = sql_run(r, s, "write a row's metadata");
    free(big);
    if (rc == PERCHE_OK)
        rc = digest_change(r, m->table, m->key, m->key_n, m->was_scope, m->stored && (m->was_gen % 2 == 1 || WITHOUT(B12_TOMBSTONES)),
                           m->was_digest, m->scope, meta_alive(m) || WITHOUT(B12_TOMBSTONES), m->digest);
    if (rc == PERCHE_OK && r->hub && !meta_alive(m))
        rc = scope_dead_put(r, m);
    if (rc == PERCHE_OK && m->flags & META_HELD)
        rc = held_link(r, m);
    if (rc != PERCHE_OK)
        return rc;
    m->stored = true;
    m->was_scope = m->scope;
    m->was_gen = m->gen;
    memcpy(m->was_digest, m->digest, 16);
    return PERCHE_OK;
}

bool chore_due(struct replica *r, uint32_t chore, const char *const *tables, size_t count)
{
    bool due = r->chore_done[chore] == 0;

    for (size_t i = 0; i < count && !due; i++) {
        const struct table *t = registry_table(r, tables[i]);

        due = t != NULL && r->touched[t->num % TOUCHED] > r->chore_done[chore];
    }
    if (due)
        r->chore_done[chore] = r->node.lsn > 0 ? r->node.lsn : 1;
    return due;
}

enum perche_rc meta_drop(struct replica *r, struct meta *m)
{
    static const uint8_t none[16];
    sqlite3_stmt *s;
    enum perche_rc rc;

    if (!m->stored)
        return PERCHE_OK;
    s = sql(r, SQL_META_DELETE);
    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    rc = sql_run(r, s, "drop a row's metadata");
    if (rc == PERCHE_OK)
        rc = digest_change(r, m->table, m->key, m->key_n, m->was_scope, m->was_gen % 2 == 1 || WITHOUT(B12_TOMBSTONES), m->was_digest,
                           m->was_scope, false, none);
    if (rc == PERCHE_OK && r->hub && m->was_gen % 2 == 0)
        rc = scope_dead_end(r, m);
    m->stored = false;
    return rc;
}
