/* Digests of rows, and their sums (DESIGN 4.7).
 *
 * A live row's digest is one XXH3-128 over what it is; the sum of a (scope, table)
 * adds the digests of its live rows up, modulo 2^128, in 256 buckets of the key's
 * hash. So a change costs one subtraction and one addition, whatever its size, and
 * two nodes that hold the same rows have the same sums, whatever way they took.
 *
 * The writer keeps the sums that it touches in memory and stores them at its
 * savepoints and commits; after a rollback it forgets them all and reads again. A
 * reader never uses this memory: compare.c reads the stored blobs in its own
 * transaction. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "replica/digest.h"

#define SUMS_KEPT_MAX PERCHE_BOUND(1024u, 2u) /* sums in memory, 4 KB each, that outlive a store: 4 MB */

struct sums {
    uint32_t scope, tab;
    bool dirty;
    int64_t rows;
    uint64_t bucket[DIGEST_BUCKETS][2]; /* low half, high half */
};

struct digests {
    struct sums **slots;  /* open addressing; NULL = free */
    uint32_t slots_count; /* a power of two */
    uint32_t count;
    sqlite3_stmt *get, *put, *end;
};

/* ---- numbers --------------------------------------------------------------- */

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static void put_u64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void add(uint64_t sum[2], const uint64_t by[2])
{
    sum[0] += by[0];
    sum[1] += by[1] + (sum[0] < by[0]);
}

static void subtract(uint64_t sum[2], const uint64_t by[2])
{
    uint64_t low = sum[0];

    sum[0] -= by[0];
    sum[1] -= by[1] + (low < by[0]);
}

void digest_add(uint8_t sum[16], const uint8_t by[16])
{
    uint64_t a[2] = {get_u64(sum), get_u64(sum + 8)}, b[2] = {get_u64(by), get_u64(by + 8)};

    add(a, b);
    put_u64(sum, a[0]);
    put_u64(sum + 8, a[1]);
}

void digest_hash(const void *p, size_t n, uint8_t out[16])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(p, n));
    memcpy(out, canonical.digest, 16);
}

uint32_t digest_bucket(const uint8_t *key, uint32_t key_n)
{
    return digest_place(key, key_n, 0);
}

uint32_t digest_place(const uint8_t *key, uint32_t key_n, uint32_t finer)
{
    return (uint32_t)(XXH3_64bits(key, key_n) % ((uint64_t)DIGEST_BUCKETS << finer));
}

/* ---- a row ------------------------------------------------------------------- */

/* As every node stores it: a REAL column gives a real whatever was written into it, and there is one zero. */
static struct perche_value settled(const struct column *c, const struct perche_value *v)
{
    struct perche_value out = *v;

    if (out.type == PERCHE_INTEGER && c->affinity == 'R') {
        out.type = PERCHE_REAL;
        out.r = (double)v->i;
    }
    if (out.type == PERCHE_REAL && out.r == 0)
        out.r = 0;
    return out;
}

static uint32_t value_bytes(const struct perche_value *v)
{
    switch (v->type) {
    case PERCHE_INTEGER:
    case PERCHE_REAL: return 8;
    case PERCHE_TEXT:
    case PERCHE_BLOB: return v->n;
    default: return 0;
    }
}

/* Bytes of a cell before its value: column, stamp, origin, type, length. */
#define CELL_HEAD (8 + 8 + 8 + 1 + 4)

void digest_row(struct replica *r, const struct meta *m, const struct perche_value *values,
                uint8_t out[16])
{
    const struct table *t = m->table;
    size_t need = 4 + m->key_n + 4 + 1, n = 0;
    uint8_t small[4096], *p = small;

    for (uint32_t i = 0; i < t->columns_count; i++)
        if (m->cells[t->by_name[i]].written)
            need += CELL_HEAD + 8 + (values == NULL ? 0 : values[t->by_name[i]].n);
    if (need > sizeof small) {
        p = malloc(need);
        if (p == NULL) {
            (void)fail(r, PERCHE_NOMEM, "no memory for the digest of a row");
            memset(out, 0, 16);
            return;
        }
    }
    put_u32(p, m->key_n);
    memcpy(p + 4, m->key, m->key_n);
    n = 4 + m->key_n;
    put_u32(p + n, m->gen);
    p[n + 4] = (m->flags & META_ERASED) != 0;
    n += 5;
    for (uint32_t i = 0; i < t->columns_count; i++) {
        uint16_t num = t->by_name[i];
        const struct column *c = &t->columns[num - 1];
        const struct clock_cell *cell = &m->cells[num];
        struct perche_value v = {.type = PERCHE_NULL};
        uint32_t bytes;

        if (!cell->written || (WITHOUT(D4_COLUMN) && i + 1 == t->columns_count))
            continue;
        if (values != NULL)
            v = settled(c, &values[num]);
        bytes = value_bytes(&v);
        put_u64(p + n, c->hash);
        put_u64(p + n + 8, cell->stamp);
        put_u64(p + n + 16, name_hash(r, cell->origin));
        p[n + 24] = v.type;
        put_u32(p + n + 25, bytes);
        n += CELL_HEAD;
        if (v.type == PERCHE_INTEGER || v.type == PERCHE_REAL) {
            uint64_t bits;

            memcpy(&bits, &v.i, 8);
            put_u64(p + n, bits);
        } else if (bytes > 0) {
            memcpy(p + n, v.p, bytes);
        }
        n += bytes;
    }
    digest_hash(p, n, out);
    if (p != small)
        free(p);
}

/* ---- the sums in memory ------------------------------------------------------- */

static uint32_t slot_of(const struct digests *d, uint32_t scope, uint32_t tab)
{
    uint64_t h = ((uint64_t)scope << 32 | tab) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(h >> 32) & (d->slots_count - 1);

    while (d->slots[at] != NULL && (d->slots[at]->scope != scope || d->slots[at]->tab != tab))
        at = (at + 1) & (d->slots_count - 1);
    return at;
}

static bool slots_grow(struct digests *d)
{
    struct digests bigger = {.slots_count = d->slots_count == 0 ? 64 : d->slots_count * 2};

    bigger.slots = calloc(bigger.slots_count, sizeof(struct sums *));
    if (bigger.slots == NULL)
        return false;
    for (uint32_t i = 0; i < d->slots_count; i++)
        if (d->slots[i] != NULL)
            bigger.slots[slot_of(&bigger, d->slots[i]->scope, d->slots[i]->tab)] = d->slots[i];
    free(d->slots);
    d->slots = bigger.slots;
    d->slots_count = bigger.slots_count;
    return true;
}

static enum perche_rc digests_open(struct replica *r)
{
    if (r->digests == NULL)
        r->digests = calloc(1, sizeof *r->digests);
    if (r->digests == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the digests");
    if (r->digests->get == NULL)
        r->digests->get =
            prepare(r, "SELECT rows, sums FROM perche_digest WHERE scope = ?1 AND tab = ?2");
    if (r->digests->put == NULL)
        r->digests->put =
            prepare(r, "INSERT INTO perche_digest (scope, tab, rows, sums) VALUES (?1, ?2, ?3, ?4)"
                       " ON CONFLICT DO UPDATE SET rows = excluded.rows, sums = excluded.sums");
    if (r->digests->end == NULL)
        r->digests->end = prepare(r, "DELETE FROM perche_digest WHERE scope = ?1 AND tab = ?2");
    if (r->digests->get == NULL || r->digests->put == NULL || r->digests->end == NULL)
        return r->fail;
    return PERCHE_OK;
}

static enum perche_rc sums_read(struct replica *r, struct sums *s)
{
    sqlite3_stmt *get = r->digests->get;
    enum perche_rc rc = PERCHE_OK;
    int step;

    sqlite3_bind_int64(get, 1, s->scope);
    sqlite3_bind_int64(get, 2, s->tab);
    step = sqlite3_step(get);
    if (step == SQLITE_ROW) {
        const uint8_t *blob = sqlite3_column_blob(get, 1);

        if (blob == NULL || sqlite3_column_bytes(get, 1) != DIGEST_BYTES)
            rc = fail(r, PERCHE_CORRUPT,
                      "a digest in perche_digest has not its size: run perche verify");
        s->rows = sqlite3_column_int64(get, 0);
        for (uint32_t i = 0; rc == PERCHE_OK && i < DIGEST_BUCKETS; i++) {
            s->bucket[i][0] = get_u64(blob + i * 16);
            s->bucket[i][1] = get_u64(blob + i * 16 + 8);
        }
    } else if (step != SQLITE_DONE) {
        rc = fail_sqlite(r, step, "read a digest");
    }
    sqlite3_reset(get);
    return rc;
}

/* The sums of (scope, table), read when they are not in memory yet. NULL: r->fail says why. */
static struct sums *sums_of(struct replica *r, uint32_t scope, uint32_t tab)
{
    struct digests *d;
    struct sums *s;
    uint32_t at;

    if ((r->digests == NULL || r->digests->end == NULL) && digests_open(r) != PERCHE_OK)
        return NULL;
    d = r->digests;
    if (d->count * 2 >= d->slots_count && !slots_grow(d)) {
        (void)fail(r, PERCHE_NOMEM, "no memory for the digests");
        return NULL;
    }
    at = slot_of(d, scope, tab);
    if (d->slots[at] != NULL)
        return d->slots[at];
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)fail(r, PERCHE_NOMEM, "no memory for the digests");
        return NULL;
    }
    s->scope = scope;
    s->tab = tab;
    if (sums_read(r, s) != PERCHE_OK) {
        free(s);
        return NULL;
    }
    d->slots[at] = s;
    d->count++;
    return s;
}

enum perche_rc digest_change(struct replica *r, struct table *t, const uint8_t *key, uint32_t key_n,
                             uint32_t old_scope, bool old_alive, const uint8_t old_digest[16],
                             uint32_t new_scope, bool new_alive, const uint8_t new_digest[16])
{
    uint32_t bucket;
    struct sums *s;

    if (old_alive && new_alive && old_scope == new_scope && memcmp(old_digest, new_digest, 16) == 0)
        return PERCHE_OK;
    bucket = digest_bucket(key, key_n);
    if (WITHOUT(D3_BUCKET) && bucket == 7)
        return PERCHE_OK;
    if (old_alive) {
        uint64_t by[2] = {get_u64(old_digest), get_u64(old_digest + 8)};

        s = sums_of(r, old_scope, t->num);
        if (s == NULL)
            return r->fail;
        subtract(s->bucket[bucket], by);
        s->rows--;
        s->dirty = true;
    }
    if (new_alive) {
        uint64_t by[2] = {get_u64(new_digest), get_u64(new_digest + 8)};

        s = sums_of(r, new_scope, t->num);
        if (s == NULL)
            return r
                ->fail; /* the work ends here, and what was subtracted goes with its savepoint */
        add(s->bucket[bucket], by);
        s->rows++;
        s->dirty = true;
    }
    return PERCHE_OK;
}

static enum perche_rc sums_store(struct replica *r, struct sums *s)
{
    uint8_t blob[DIGEST_BYTES];
    bool empty = s->rows == 0;
    sqlite3_stmt *stmt;
    int step;

    for (uint32_t i = 0; i < DIGEST_BUCKETS; i++) {
        put_u64(blob + i * 16, s->bucket[i][0]);
        put_u64(blob + i * 16 + 8, s->bucket[i][1]);
        if (s->bucket[i][0] != 0 || s->bucket[i][1] != 0)
            empty = false;
    }
    stmt = empty ? r->digests->end : r->digests->put;
    sqlite3_bind_int64(stmt, 1, s->scope);
    sqlite3_bind_int64(stmt, 2, s->tab);
    if (!empty) {
        sqlite3_bind_int64(stmt, 3, s->rows);
        sqlite3_bind_blob(stmt, 4, blob, sizeof blob, SQLITE_STATIC);
    }
    step = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    if (step != SQLITE_DONE)
        return fail_sqlite(r, step, "write a digest");
    s->dirty = false;
    return PERCHE_OK;
}

enum perche_rc digests_store(struct replica *r)
{
    struct digests *d = r->digests;

    if (d == NULL || d->count == 0)
        return PERCHE_OK;
    for (uint32_t i = 0; i < d->slots_count; i++)
        if (d->slots[i] != NULL && d->slots[i]->dirty) {
            enum perche_rc rc = sums_store(r, d->slots[i]);

            if (rc != PERCHE_OK)
                return rc;
        }
    if (d->count > SUMS_KEPT_MAX)
        digests_forget(r);
    return PERCHE_OK;
}

void digests_forget(struct replica *r)
{
    struct digests *d = r->digests;

    if (d == NULL || d->count == 0)
        return;
    for (uint32_t i = 0; i < d->slots_count; i++) {
        free(d->slots[i]);
        d->slots[i] = NULL;
    }
    d->count = 0;
}

void digests_free(struct replica *r)
{
    if (r->digests == NULL)
        return;
    digests_forget(r);
    sqlite3_finalize(r->digests->get);
    sqlite3_finalize(r->digests->put);
    sqlite3_finalize(r->digests->end);
    free(r->digests->slots);
    free(r->digests);
    r->digests = NULL;
}
