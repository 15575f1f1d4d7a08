/* The chain: what a node wrote of outcomes and funding, signed by it.
 *
 * In a table whose registry says `chained`, every row that this node writes gets an entry in
 * perche_chain, in the same transaction and numbered before the row: table, key, generation, and for
 * each cell its column, stamp and a salted hash of its value; the entry before it that this node
 * wrote for the row; all of it signed. An entry is replicated like a conflict: in the scope of its
 * row, moving with it. So whoever holds a row can check it, and nobody hears of another's (P7).
 *
 * Each row has chains of its own, one for each author and epoch. One chain for all that a node
 * writes would have holes at every other node, and at the author's when a row leaves it; these have
 * none wherever the row is.
 *
 * The salts are a cell beside the signed bytes. To erase a value its salt is taken out: the hash says
 * nothing any more, and the chain stands. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "replica/apply.h"
#include "replica/ask.h"
#include "replica/chain.h"
#include "replica/statements.h"

bool chain_signs(const struct replica *r, const struct table *t)
{
    return t->chained && r->config.signer.sign != NULL;
}

struct table *chain_table(struct replica *r)
{
    struct table *t = registry_table(r, "perche_chain");

    if (t == NULL || !t->present) {
        (void)fail(r, PERCHE_CORRUPT, "the table perche_chain is gone: put a backup back");
        return NULL;
    }
    return t;
}

/* ---- writing an entry --------------------------------------------------------------- */

/* Numbers in the order of the table. */
enum { COL_TAB = 1, COL_KEY, COL_ENTRY, COL_SIGNATURE, COL_SALTS, COL_END };

static bool as_made(struct replica *r, const struct table *t)
{
    static const char *const names[COL_END] = {NULL, "tab", "key", "entry", "signature", "salts"};

    for (uint32_t num = 1; num < COL_END; num++)
        if (t->columns_count < num || strcmp(t->columns[num - 1].name, names[num]) != 0)
            return (void)fail(r, PERCHE_CORRUPT, "perche_chain is not as it was made: put a backup back"), false;
    return true;
}

static struct perche_value text_value(const char *text)
{
    return (struct perche_value){.type = PERCHE_TEXT, .n = (uint32_t)strlen(text), .p = (const uint8_t *)text};
}

static struct perche_value blob_value(const void *p, size_t n)
{
    return (struct perche_value){.type = PERCHE_BLOB, .n = (uint32_t)n, .p = p};
}

/* Salts have to stay a secret when those beside them are known: hashes of numbers that are nowhere else. */
struct salter {
    uint64_t seed[4];
};

static void salt_draw(struct salter *s, uint32_t i, uint8_t salt[16])
{
    uint8_t number[4] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), (uint8_t)(i >> 24)};

    (void)crypto_generichash(salt, CHAIN_SALT, number, sizeof number, (const uint8_t *)s->seed, sizeof s->seed); /* fails for a wrong size alone */
}

static enum perche_rc head_load(struct replica *r, const struct meta *m, struct perche_chain_entry *e)
{
    sqlite3_stmt *s = sql(r, SQL_CHAIN_HEAD);

    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    e->n = 1;
    if (sql_row(r, s) && sqlite3_column_bytes(s, 2) == 16) {
        e->prev_epoch = (uint64_t)sqlite3_column_int64(s, 0);
        e->prev_n = (uint32_t)sqlite3_column_int64(s, 1);
        memcpy(e->prev, sqlite3_column_blob(s, 2), 16);
        e->n = e->prev_epoch == e->epoch ? e->prev_n + 1 : 1;
    }
    sql_done(s);
    return r->fail;
}

static enum perche_rc head_put(struct replica *r, const struct meta *m, uint64_t epoch, uint32_t n, const uint8_t id[16])
{
    sqlite3_stmt *s = sql(r, SQL_CHAIN_HEAD_PUT);

    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)epoch);
    sqlite3_bind_int64(s, 4, n);
    sqlite3_bind_blob(s, 5, id, 16, SQLITE_STATIC);
    return sql_run(r, s, "note an entry of the chain");
}

/* The row of perche_chain, as it will be everywhere. */
static enum perche_rc entry_insert(struct replica *r, struct table *t, const struct meta *row, const uint8_t id[16],
                                   const struct perche_value *values, uint64_t stamp, uint64_t lsn)
{
    struct clock_cell cell = {.stamp = stamp, .origin = r->node.site_num, .via = VIA_LOCAL, .lsn = lsn, .written = true};
    struct meta m;
    enum perche_rc rc = meta_load(r, t, (struct perche_bytes){id, 16}, &m);

    if (rc != PERCHE_OK)
        return rc;
    m.lsn = m.entered = lsn;
    m.first = r->hub ? 0 : lsn;
    m.gen = 1;
    m.flags = r->hub ? 0 : META_FRESH;
    m.scope = row->scope;
    for (uint32_t num = 0; num < m.count && num < COL_END; num++)
        m.cells[num] = cell;
    rc = data_upsert(r, t, (struct perche_bytes){id, 16}, (UINT64_C(1) << (COL_END - 1)) - 1, values);
    if (rc == PERCHE_OK) {
        digest_row(r, &m, values, m.digest);
        rc = r->fail;
    }
    if (rc == PERCHE_OK)
        rc = meta_save(r, &m);
    meta_clear(&m);
    return rc == PERCHE_OK ? scope_woken(r, row->scope, 0) : rc;
}

enum perche_rc chain_author(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t mask, bool gen,
                            bool unseen, uint64_t lsn)
{
    const struct replica_signer *signer = &r->config.signer;
    struct perche_chain_cell cells[PERCHE_COLUMNS_MAX + 1];
    struct perche_chain_entry e = {.table = m->table->name, .key = {m->key, m->key_n}, .origin = r->node.site, .epoch = r->node.epoch,
                                   .unseen = unseen, .gen = m->gen, .cells = cells};
    struct perche_value entry[COL_END] = {{0}};
    uint8_t salts[(PERCHE_COLUMNS_MAX + 1) * CHAIN_SALT], signature[64], id[16];
    struct salter salter;
    struct perche_buf buf = {0};
    struct table *t;
    uint64_t stamp = 0;
    char *key = NULL;
    enum perche_rc rc;

    if (!chain_signs(r, m->table))
        return PERCHE_OK;
    for (int i = 0; i < 4; i++)
        salter.seed[i] = random_u64(r);
    for (uint32_t num = 0; num < m->count; num++) {
        const struct perche_value none = {0};
        struct perche_chain_cell *c = &cells[e.cells_count];
        uint8_t *salt = salts + e.cells_count * CHAIN_SALT;

        if (num == 0 ? !gen : !(mask >> (num - 1) & 1))
            continue;
        c->column = num == 0 ? "" : m->table->columns[num - 1].name;
        c->stamp = m->cells[num].stamp;
        salt_draw(&salter, num, salt);
        perche_chain_hash(salt, num == 0 ? &none : &values[num], c->hash);
        if (c->stamp > stamp)
            stamp = c->stamp;
        e.cells_count++;
    }
    sodium_memzero(&salter, sizeof salter);
    if (e.cells_count == 0)
        return PERCHE_OK;
    t = chain_table(r);
    if (t == NULL || !as_made(r, t) || head_load(r, m, &e) != PERCHE_OK)
        return r->fail;
    rc = perche_chain_encode(&e, &buf);
    if (rc == PERCHE_OK)
        key = ask_key_json(r, e.key);
    else
        rc = fail(r, rc, "an entry of the chain for a row of %s", m->table->name);
    if (key != NULL) {
        perche_chain_id((struct perche_bytes){buf.p, (uint32_t)buf.n}, id);
        signer->sign(signer->ctx, buf.p, buf.n, signature);
        entry[COL_TAB] = text_value(m->table->name);
        entry[COL_KEY] = text_value(key);
        entry[COL_ENTRY] = blob_value(buf.p, buf.n);
        entry[COL_SIGNATURE] = blob_value(signature, sizeof signature);
        entry[COL_SALTS] = blob_value(salts, e.cells_count * CHAIN_SALT);
        rc = entry_insert(r, t, m, id, entry, stamp, lsn);
        if (rc == PERCHE_OK)
            rc = head_put(r, m, e.epoch, e.n, id);
    } else if (rc == PERCHE_OK) {
        rc = r->fail;
    }
    free(key);
    perche_buf_free(&buf);
    return rc;
}

/* ---- judging a pushed one -------------------------------------------------------------- */

/* It never changes but for its salts, which the hub alone takes out. Whether it is signed well is `verify --chain`'s to say. */
enum perche_rc chain_judge(struct replica *r, uint32_t site, struct meta *m, const struct merge_in *in, const char **reason)
{
    struct perche_value stored[PERCHE_COLUMNS_MAX + 1];
    struct perche_chain_entry e;
    struct perche_arena *arena;
    const struct perche_value *entry = NULL;
    uint8_t id[16];

    if (in->gen != 1) {
        *reason = "append";
        return PERCHE_OK;
    }
    if (m->stored) {
        enum perche_rc rc = row_values(r, m, stored);

        for (uint32_t i = 0; rc == PERCHE_OK && i < in->cells_count; i++)
            if (perche_value_compare(&stored[in->cells[i].num], in->cells[i].value) != 0)
                *reason = "append";
        return rc;
    }
    for (uint32_t i = 0; i < in->cells_count; i++)
        if (in->cells[i].num == COL_ENTRY && in->cells[i].value->type == PERCHE_BLOB)
            entry = in->cells[i].value;
    *reason = "chain";
    if (entry == NULL)
        return PERCHE_OK;
    perche_chain_id((struct perche_bytes){entry->p, entry->n}, id);
    if (m->key_n != 16 || memcmp(id, m->key, 16) != 0)
        return PERCHE_OK;
    switch (perche_chain_decode((struct perche_bytes){entry->p, entry->n}, &e, &arena)) {
    case PERCHE_OK: break;
    case PERCHE_NOMEM: return fail(r, PERCHE_NOMEM, "no memory for an entry of the chain");
    default: return PERCHE_OK;
    }
    if (site == 0 || strcmp(e.origin, name_text(r, site)) == 0)
        *reason = NULL;
    perche_arena_free(arena);
    return r->fail;
}

/* ---- the public keys ---------------------------------------------------------------------- */

static enum perche_rc key_signed(struct replica *r, const char *site, const uint8_t public_key[32], char key_hex[65], char hex[129])
{
    struct perche_buf buf = {0};
    uint8_t signature[64];

    if (perche_site_key_signed(site, public_key, &buf) != PERCHE_OK)
        return fail(r, PERCHE_NOMEM, "no memory to sign a key");
    r->config.signer.sign(r->config.signer.ctx, buf.p, buf.n, signature);
    perche_buf_free(&buf);
    (void)sodium_bin2hex(key_hex, 65, public_key, 32);
    (void)sodium_bin2hex(hex, 129, signature, sizeof signature);
    return PERCHE_OK;
}

enum perche_rc chain_key(struct replica *r, const char *site, const uint8_t public_key[32])
{
    struct table *t = registry_table(r, "site_key");
    const struct column *c = t != NULL && t->present ? table_column(t, "signature") : NULL;
    struct perche_value keys[2], values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    char key_hex[65], hex[129];
    uint32_t key_n;
    enum perche_rc rc, ended;

    if (c == NULL || r->config.signer.sign == NULL)
        return PERCHE_OK;
    rc = key_signed(r, site, public_key, key_hex, hex);
    keys[0] = text_value(site);
    keys[1] = text_value(key_hex);
    values[c->num] = text_value(hex);
    if (rc != PERCHE_OK || perche_key_encode(keys, 2, key, &key_n) != PERCHE_OK)
        return rc;
    rc = applying_begin(r);
    if (rc != PERCHE_OK)
        return rc;
    rc = write_local(r, t, (struct perche_bytes){key, key_n}, UINT64_C(1) << (c->num - 1), values, 0);
    ended = applying_end(r);
    return rc != PERCHE_OK ? rc : ended;
}

enum perche_rc chain_own_key(struct replica *r)
{
    char key_hex[65], hex[129], *text;

    if (r->config.signer.sign == NULL || key_signed(r, r->node.site, r->config.signer.public_key, key_hex, hex) != PERCHE_OK)
        return r->fail;
    text = sqlite3_mprintf("INSERT INTO site_key (site_id, public_key, signature) SELECT %Q, %Q, %Q"
                           " WHERE NOT EXISTS (SELECT 1 FROM site_key WHERE site_id = %Q AND public_key = %Q)",
                           r->node.site, key_hex, hex, r->node.site, key_hex);
    if (text == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a key");
    (void)exec(r, text);
    sqlite3_free(text);
    return r->fail;
}

/* ---- made anew ------------------------------------------------------------------------------ */

struct touched {
    struct row {
        uint32_t tab, key_n;
        bool unseen;
        uint8_t key[PERCHE_KEY_BYTES_MAX];
    } *rows;
    size_t count, cap;
};

static struct row *touch(struct replica *r, struct touched *w)
{
    if (w->count == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 16;
        void *more = sqlite3_realloc64(w->rows, cap * sizeof *w->rows);

        if (more == NULL)
            return (void)fail(r, PERCHE_NOMEM, "no memory to sign rows anew"), NULL;
        w->rows = more;
        w->cap = cap;
    }
    return &w->rows[w->count++];
}

static int by_row(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    int order;

    if (a->tab != b->tab)
        return a->tab < b->tab ? -1 : 1;
    if (a->key_n != b->key_n)
        return a->key_n < b->key_n ? -1 : 1;
    order = memcmp(a->key, b->key, a->key_n);
    return order != 0 ? order : (int)b->unseen - (int)a->unseen; /* the first of a row knows */
}

/* Takes an entry of our own out, which nobody else has, and remembers its row. */
static enum perche_rc entry_drop(struct replica *r, struct table *t, const uint8_t *key, uint32_t key_n, uint64_t bound, struct touched *w)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct perche_chain_entry e;
    struct perche_arena *arena = NULL;
    struct meta m;
    enum perche_rc rc = meta_load(r, t, (struct perche_bytes){key, key_n}, &m);

    if (rc == PERCHE_OK && m.stored && m.cells[0].via == VIA_LOCAL && m.cells[0].lsn > bound && m.cells[0].origin == r->node.site_num) {
        rc = row_values(r, &m, values);
        if (rc == PERCHE_OK && values[COL_ENTRY].type == PERCHE_BLOB) {
            enum perche_rc read = perche_chain_decode((struct perche_bytes){values[COL_ENTRY].p, values[COL_ENTRY].n}, &e, &arena);
            const struct table *of = read == PERCHE_OK ? registry_table(r, e.table) : NULL;

            if (read == PERCHE_NOMEM)
                rc = fail(r, PERCHE_NOMEM, "no memory to sign rows anew");
            if (of != NULL) {
                struct row *row = touch(r, w);

                if (row != NULL) {
                    row->tab = of->num;
                    row->key_n = e.key.n;
                    row->unseen = e.unseen;
                    memcpy(row->key, e.key.p, e.key.n);
                }
                rc = r->fail;
            }
            if (read == PERCHE_OK)
                perche_arena_free(arena);
        }
        if (rc == PERCHE_OK)
            rc = row_drop(r, &m);
    }
    meta_clear(&m);
    return rc;
}

static enum perche_rc drop_own(struct replica *r, struct table *t, uint64_t bound, struct touched *w)
{
    uint8_t key[PERCHE_KEY_BYTES_MAX] = {0};
    uint32_t key_n = 0;
    bool any = true;
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && any) {
        sqlite3_stmt *s = ask(r, "SELECT key FROM perche_row WHERE tab = ?1 AND key > ?2 AND lsn > ?3 ORDER BY key LIMIT 1");

        if (s != NULL) {
            sqlite3_bind_int64(s, 1, t->num);
            sqlite3_bind_blob(s, 2, key, (int)key_n, SQLITE_TRANSIENT); /* x'' when there is none yet */
            sqlite3_bind_int64(s, 3, (sqlite3_int64)bound);
        }
        any = ask_row(r, s, "look for own entries of the chain") && sqlite3_column_bytes(s, 0) <= (int)sizeof key;
        if (any) {
            key_n = (uint32_t)sqlite3_column_bytes(s, 0);
            memcpy(key, sqlite3_column_blob(s, 0), key_n);
        }
        sqlite3_finalize(s);
        rc = r->fail;
        if (rc == PERCHE_OK && any)
            rc = entry_drop(r, t, key, key_n, bound, w);
    }
    return rc;
}

/* Rows with something that nobody has yet: their stamps may be others now. */
static enum perche_rc touch_unpushed(struct replica *r, struct touched *w)
{
    sqlite3_stmt *s = sql(r, SQL_PUSH_ROWS);

    sqlite3_bind_int64(s, 1, (sqlite3_int64)r->node.acked);
    while (sql_row(r, s)) {
        const struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 1));
        struct row *row = t != NULL && t->chained && sqlite3_column_bytes(s, 2) <= (int)PERCHE_KEY_BYTES_MAX ? touch(r, w) : NULL;

        if (row == NULL)
            continue;
        row->tab = t->num;
        row->unseen = false;
        row->key_n = (uint32_t)sqlite3_column_bytes(s, 2);
        memcpy(row->key, sqlite3_column_blob(s, 2), row->key_n);
    }
    sql_done(s);
    return r->fail;
}

/* What the new entry speaks of goes after it. What is at or below @bound may not: its stamps are kept. */
static enum perche_rc row_after(struct replica *r, struct meta *m, uint64_t bound)
{
    uint64_t oldest = 0;

    m->lsn = next_lsn(r);
    for (uint32_t num = 0; num < m->count; num++) {
        struct clock_cell *c = &m->cells[num];

        if (!c->written || c->via != VIA_LOCAL || c->lsn <= r->node.acked)
            continue;
        if (c->lsn > bound)
            c->lsn = m->lsn;
        if (oldest == 0 || c->lsn < oldest)
            oldest = c->lsn;
    }
    m->first = oldest;
    return meta_save(r, m);
}

/* Signs what of a row is ours and stands in no entry. */
static enum perche_rc sign_rest(struct replica *r, const struct row *row, uint64_t bound)
{
    struct table *t = registry_table_num(r, row->tab);
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct chain_row have = {0};
    struct meta m;
    const struct chain_held *newest = NULL;
    uint64_t mask = 0;
    bool gen;
    enum perche_rc rc;

    if (t == NULL || !t->present || !t->chained)
        return PERCHE_OK;
    rc = meta_load(r, t, (struct perche_bytes){row->key, row->key_n}, &m);
    if (rc == PERCHE_OK && m.stored)
        rc = chain_load(r, t, (struct perche_bytes){row->key, row->key_n}, &have);
    if (rc != PERCHE_OK || !m.stored)
        goto out;
    rc = row_values(r, &m, values);
    if (rc != PERCHE_OK)
        goto out;
    gen = m.cells[0].origin == r->node.site_num && !chain_vouches(&have, "", r->node.site, m.gen, m.cells[0].stamp, NULL);
    for (uint32_t num = 1; num < m.count && meta_alive(&m); num++)
        if (m.cells[num].written && m.cells[num].origin == r->node.site_num &&
            !chain_vouches(&have, t->columns[num - 1].name, r->node.site, m.gen, m.cells[num].stamp, &values[num]))
            mask |= UINT64_C(1) << (num - 1);
    for (uint32_t i = 0; i < have.count; i++)
        if (have.held[i].arena != NULL && strcmp(have.held[i].entry.origin, r->node.site) == 0 &&
            (newest == NULL || chain_later(&have.held[i], newest)))
            newest = &have.held[i];
    if (newest != NULL) {
        rc = head_put(r, &m, newest->entry.epoch, newest->entry.n, newest->id);
    } else {
        sqlite3_stmt *s = ask(r, "DELETE FROM perche_chain_head WHERE tab = ?1 AND key = ?2");

        if (s != NULL)
            sqlite3_bind_int64(s, 1, t->num);
        ask_bind_bytes(s, 2, (struct perche_bytes){m.key, m.key_n});
        rc = ask_run(r, s, "forget an entry of the chain");
    }
    if (rc == PERCHE_OK && (gen || mask != 0))
        rc = chain_author(r, &m, values, mask, gen, row->unseen, next_lsn(r));
    if (rc == PERCHE_OK && (gen || mask != 0) && !r->hub)
        rc = row_after(r, &m, bound);
out:
    chain_row_free(&have);
    meta_clear(&m);
    return rc;
}

enum perche_rc chain_renew(struct replica *r, uint64_t bound)
{
    struct table *t = r->config.signer.sign == NULL ? NULL : chain_table(r);
    struct touched w = {0};
    enum perche_rc rc = r->fail;

    if (t == NULL)
        return rc;
    if (as_made(r, t))
        rc = drop_own(r, t, bound, &w);
    else
        rc = r->fail;
    if (rc == PERCHE_OK)
        rc = touch_unpushed(r, &w);
    if (w.count > 0)
        qsort(w.rows, w.count, sizeof *w.rows, by_row);
    for (size_t i = 0; rc == PERCHE_OK && i < w.count; i++)
        if (i == 0 || w.rows[i].tab != w.rows[i - 1].tab || w.rows[i].key_n != w.rows[i - 1].key_n ||
            memcmp(w.rows[i].key, w.rows[i - 1].key, w.rows[i].key_n) != 0)
            rc = sign_rest(r, &w.rows[i], bound);
    sqlite3_free(w.rows);
    return rc;
}
