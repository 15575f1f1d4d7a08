/* `perche verify --chain`: is what is here what its authors signed?
 *
 * Of each row of a chained table: every entry is whole, signed by its author and follows one that is
 * here; every value that was ever written has the entry that its stamp names, and its hash. So a value,
 * an entry or the metadata that somebody altered in the file shows, whatever triggers were there. What
 * the daemon found by itself and took over stands in an entry that says so, and is named until somebody
 * writes the value again.
 *
 * What is on its way is not held against anybody: an entry may be a batch behind its row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "replica/apply.h"
#include "replica/ask.h"
#include "replica/command.h"
#include "replica/chain.h"
#include "replica/position.h"
#include "replica/statements.h"

#define RECORDS_MAX 20u /* named; the others are counted */
#define KEYS_MAX 8u     /* of one site: machines that it has had */

/* ---- the entries of a row ------------------------------------------------------------ */

void chain_row_free(struct chain_row *row)
{
    for (uint32_t i = 0; i < row->count; i++) {
        if (row->held[i].arena != NULL)
            perche_arena_free(row->held[i].arena);
        free(row->held[i].bytes);
        free(row->held[i].salts);
    }
    free(row->held);
    *row = (struct chain_row){0};
}

static bool copy_blob(struct replica *r, sqlite3_stmt *s, int column, uint8_t **out, uint32_t *n)
{
    *n = (uint32_t)sqlite3_column_bytes(s, column);
    *out = malloc((size_t)*n + 1);
    if (*out == NULL || (*n > 0 && sqlite3_column_blob(s, column) == NULL)) {
        (void)fail(r, PERCHE_NOMEM, "no memory for an entry of the chain");
        return false;
    }
    if (*n > 0)
        memcpy(*out, sqlite3_column_blob(s, column), *n);
    return true;
}

static bool held_add(struct replica *r, struct chain_row *row, sqlite3_stmt *s)
{
    struct chain_held *h;

    if (row->count == row->cap) {
        uint32_t cap = row->cap ? 2 * row->cap : 4;

        h = realloc(row->held, cap * sizeof *h);
        if (h == NULL) {
            (void)fail(r, PERCHE_NOMEM, "no memory for an entry of the chain");
            return false;
        }
        row->held = h;
        row->cap = cap;
    }
    h = &row->held[row->count++];
    memset(h, 0, sizeof *h);
    if (!copy_blob(r, s, 1, &h->bytes, &h->bytes_n) || !copy_blob(r, s, 3, &h->salts, &h->salts_n))
        return false;
    if (!perche_uuid_parse(sqlite3_column_text(s, 0), (uint32_t)sqlite3_column_bytes(s, 0), h->id))
        memset(h->id, 0, sizeof h->id); /* no entry has it */
    if (sqlite3_column_bytes(s, 2) == (int)sizeof h->signature)
        memcpy(h->signature, sqlite3_column_blob(s, 2), sizeof h->signature);
    switch (perche_chain_decode((struct perche_bytes){h->bytes, h->bytes_n}, &h->entry, &h->arena)) {
    case PERCHE_OK: break;
    case PERCHE_NOMEM: (void)fail(r, PERCHE_NOMEM, "no memory for an entry of the chain"); return false;
    default: h->arena = NULL; return true;
    }
    for (uint32_t i = 0; i < h->entry.cells_count; i++)
        if (h->entry.cells[i].stamp > h->stamp)
            h->stamp = h->entry.cells[i].stamp;
    return true;
}

static enum perche_rc load(struct replica *r, const char *table, const char *key, struct chain_row *row)
{
    sqlite3_stmt *s = sql(r, SQL_CHAIN_ROW);

    sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC);
    while (ask_row(r, s, "read the chain of a row") && held_add(r, row, s))
        ;
    sql_done(s);
    return r->fail;
}

enum perche_rc chain_load(struct replica *r, const struct table *t, struct perche_bytes key, struct chain_row *row)
{
    char *json = ask_key_json(r, key);
    enum perche_rc rc = json == NULL ? r->fail : load(r, t->name, json, row);

    free(json);
    return rc;
}

bool chain_later(const struct chain_held *a, const struct chain_held *b)
{
    if (a->entry.epoch == b->entry.epoch)
        return a->entry.n > b->entry.n;
    if (a->entry.prev_epoch == b->entry.epoch || b->entry.prev_epoch == a->entry.epoch)
        return a->entry.prev_epoch == b->entry.epoch;
    return a->stamp > b->stamp;
}

const struct chain_held *chain_find(const struct chain_row *row, const char *column, const char *origin, uint32_t gen, uint64_t stamp,
                                    uint32_t *cell)
{
    const struct chain_held *last = NULL;

    for (uint32_t i = 0; i < row->count; i++) {
        const struct chain_held *h = &row->held[i];

        if (h->arena == NULL || h->entry.gen != gen || strcmp(h->entry.origin, origin) != 0)
            continue;
        for (uint32_t k = 0; k < h->entry.cells_count; k++)
            if (h->entry.cells[k].stamp == stamp && strcmp(h->entry.cells[k].column, column) == 0 && (last == NULL || chain_later(h, last))) {
                *cell = k;
                last = h;
            }
    }
    return last;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static const uint8_t *salt_of(const struct chain_held *h, uint32_t cell)
{
    const uint8_t *salt = h->salts + (size_t)cell * CHAIN_SALT;

    return h->salts_n < (cell + 1) * CHAIN_SALT || is_zero(salt, CHAIN_SALT) ? NULL : salt;
}

static bool is_hash_of(const struct chain_held *h, uint32_t cell, const uint8_t *salt, const struct perche_value *v)
{
    uint8_t hash[16];

    perche_chain_hash(salt, v, hash);
    return memcmp(hash, h->entry.cells[cell].hash, 16) == 0;
}

bool chain_vouches(const struct chain_row *row, const char *column, const char *origin, uint32_t gen, uint64_t stamp,
                   const struct perche_value *value)
{
    uint32_t cell = 0;
    const struct chain_held *h = chain_find(row, column, origin, gen, stamp, &cell);
    const uint8_t *salt = h == NULL ? NULL : salt_of(h, cell);

    return h != NULL && (*column == '\0' || salt == NULL || is_hash_of(h, cell, salt, value));
}

/* ---- the keys ----------------------------------------------------------------------------- */

struct author_keys {
    char site[PERCHE_ID_BYTES_MAX];
    uint32_t count;
    uint8_t keys[KEYS_MAX][32];
};

struct check {
    struct replica *r;
    struct json *j;
    struct ask_sites sites;
    struct author_keys *authors;
    uint32_t authors_count, authors_cap;
    uint64_t entries, altered, waiting;
    bool hub_known;
    uint8_t hub_key[32];
    bool all_wait;        /* this node is in the middle of a pull, or a hub that was put back */
};

static void keys_add(struct author_keys *a, const uint8_t key[32])
{
    if (a->count < KEYS_MAX)
        memcpy(a->keys[a->count++], key, 32);
}

static enum perche_rc keys_read(struct check *c, struct author_keys *a)
{
    struct replica *r = c->r;
    const struct replica_signer *signer = &r->config.signer;
    sqlite3_stmt *s;

    if (strcmp(a->site, r->node.site) == 0)
        keys_add(a, signer->public_key);
    else if (c->hub_known && strcmp(a->site, r->node.hub) == 0)
        keys_add(a, c->hub_key);
    s = c->hub_known ? ask(r, "SELECT public_key, signature FROM site_key WHERE site_id = ?1") : NULL;
    ask_bind_text(s, 1, a->site);
    while (ask_row(r, s, "look up a site's keys")) {
        uint8_t key[32], signature[64];
        struct perche_buf buf = {0};

        if (!hex_parse(ask_text(s, 0), key, sizeof key) || !hex_parse(ask_text(s, 1), signature, sizeof signature))
            continue;
        if (perche_site_key_signed(a->site, key, &buf) != PERCHE_OK)
            (void)fail(r, PERCHE_NOMEM, "no memory for a site's key");
        else if (signer->verify(signer->ctx, c->hub_key, buf.p, buf.n, signature))
            keys_add(a, key);
        perche_buf_free(&buf);
    }
    sqlite3_finalize(s);
    return r->fail;
}

static const struct author_keys *keys_of(struct check *c, const char *site)
{
    struct author_keys *a;

    for (uint32_t i = 0; i < c->authors_count; i++)
        if (strcmp(c->authors[i].site, site) == 0)
            return &c->authors[i];
    if (c->authors_count == c->authors_cap) {
        uint32_t cap = c->authors_cap ? 2 * c->authors_cap : 16;

        a = realloc(c->authors, cap * sizeof *a);
        if (a == NULL)
            return (void)fail(c->r, PERCHE_NOMEM, "no memory for the sites' keys"), NULL;
        c->authors = a;
        c->authors_cap = cap;
    }
    a = &c->authors[c->authors_count];
    memset(a, 0, sizeof *a);
    (void)snprintf(a->site, sizeof a->site, "%s", site); /* the decoder took no longer one */
    if (keys_read(c, a) != PERCHE_OK)
        return NULL;
    c->authors_count++;
    return a;
}

/* The hub's key: a hub's own, at a site that of the invitation. */
static enum perche_rc hub_key(struct check *c)
{
    struct replica *r = c->r;
    sqlite3_stmt *s;

    if (r->hub) {
        c->hub_known = true;
        memcpy(c->hub_key, r->config.signer.public_key, 32);
        return PERCHE_OK;
    }
    s = ask(r, "SELECT hub_key FROM perche_node");
    if (ask_row(r, s, "look up the hub's key") && sqlite3_column_bytes(s, 0) == 32) {
        c->hub_known = true;
        memcpy(c->hub_key, sqlite3_column_blob(s, 0), 32);
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* ---- what is on its way ---------------------------------------------------------------------- */

static bool peer_pushes(struct check *c, const char *origin)
{
    sqlite3_stmt *s = ask(c->r, "SELECT 1 FROM perche_peer p JOIN perche_name n ON n.num = p.site WHERE n.text = ?1 AND p.have < p.asof_lsn");
    bool yes;

    ask_bind_text(s, 1, origin);
    yes = ask_row(c->r, s, "look up a site");
    sqlite3_finalize(s);
    return yes;
}

static bool may_come(struct check *c, const char *origin)
{
    bool yes = c->all_wait || (c->r->hub && peer_pushes(c, origin));

    c->waiting += yes;
    return yes;
}

/* Has a program written the row since the last harvest, or is it leaving or asked for? */
static bool in_motion(struct check *c, const struct table *t, struct perche_bytes key)
{
    struct perche_value v[PERCHE_KEY_COLUMNS_MAX] = {{0}};
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint32_t n = 0;
    bool yes;
    sqlite3_stmt *s = ask(c->r, "SELECT 1 FROM perche_capture WHERE tab = ?1 AND k1 IS ?3 AND k2 IS ?4 AND k3 IS ?5 AND k4 IS ?6"
                                " UNION ALL SELECT 1 FROM perche_leaving WHERE tab = ?1 AND key = ?2 AND ?7" /* a hub has none of these */
                                " UNION ALL SELECT 1 FROM perche_wanted WHERE tab = ?1 AND key = ?2 AND ?7");

    if (s == NULL || perche_key_decode(key, v, &n, scratch) != PERCHE_OK) {
        sqlite3_finalize(s);
        return false;
    }
    sqlite3_bind_int64(s, 1, t->num);
    ask_bind_bytes(s, 2, key);
    sqlite3_bind_int(s, 7, !c->r->hub);
    for (int i = 0; i < (int)PERCHE_KEY_COLUMNS_MAX; i++)
        bind_value(s, 3 + i, &v[i]);
    yes = ask_row(c->r, s, "look for what is under way");
    sqlite3_finalize(s);
    c->waiting += yes;
    return yes;
}

/* ---- findings ------------------------------------------------------------------------------------ */

/* @t NULL: a table that is not chained, or not known here. */
static void found(struct check *c, const char *table, const char *key, struct table *t, struct perche_bytes bytes, const char *column,
                  const char *origin, const char *why)
{
    if (c->altered++ >= RECORDS_MAX)
        return;
    out_open(c->j, '{');
    out_key(c->j, "table");
    out_text(c->j, table);
    out_key(c->j, "row");
    out_text(c->j, key);
    out_key(c->j, "label");
    if (t != NULL && bytes.n > 0)
        ask_label(c->r, c->j, t, bytes);
    else
        out_null(c->j);
    out_key(c->j, "column");
    out_text(c->j, column != NULL && *column != '\0' ? column : NULL);
    out_key(c->j, "site");
    out_text(c->j, ask_site(c->r, &c->sites, origin));
    out_key(c->j, "why");
    out_text(c->j, why);
    out_close(c->j, '}');
}

/* ---- one row -------------------------------------------------------------------------------------- */

static const struct chain_held *by_id(const struct chain_row *row, const uint8_t id[16])
{
    for (uint32_t i = 0; i < row->count; i++)
        if (row->held[i].arena != NULL && memcmp(row->held[i].id, id, 16) == 0)
            return &row->held[i];
    return NULL;
}

static bool signed_well(struct check *c, const struct chain_held *h, const char **why)
{
    const struct replica_signer *signer = &c->r->config.signer;
    const struct author_keys *a;

    if (signer->verify == NULL)
        return true;
    a = keys_of(c, h->entry.origin);
    if (a == NULL)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (signer->verify(signer->ctx, a->keys[i], h->bytes, h->bytes_n, h->signature))
            return true;
    *why = a->count == 0 ? "no key of the site that signed it is known here" : "an entry of its chain is not signed by its author";
    return false;
}

/* What is wrong with an entry; NULL: nothing. */
static const char *entry_wrong(struct check *c, const char *table, const char *key, const struct chain_row *row, const struct chain_held *h)
{
    const struct perche_chain_entry *e = &h->entry;
    const struct chain_held *before;
    const char *why = NULL;
    uint8_t id[16];
    char *json;
    bool same;

    c->entries++;
    if (h->arena == NULL)
        return "an entry of its chain was altered";
    perche_chain_id((struct perche_bytes){h->bytes, h->bytes_n}, id);
    json = ask_key_json(c->r, e->key);
    same = json != NULL && strcmp(e->table, table) == 0 && strcmp(json, key) == 0;
    free(json);
    if (memcmp(id, h->id, 16) != 0 || !same)
        return "an entry of its chain was altered";
    if (!signed_well(c, h, &why))
        return why != NULL ? why : "an entry of its chain could not be checked";
    if (is_zero(e->prev, 16)) /* n says where it begins; the author had no earlier one when he wrote it */
        return e->n == 1 ? NULL : "an entry of its chain is missing";
    before = by_id(row, e->prev);
    if (before == NULL)
        return may_come(c, e->origin) ? NULL : "an entry of its chain is missing";
    if (strcmp(before->entry.origin, e->origin) != 0 || before->entry.epoch != e->prev_epoch || before->entry.n != e->prev_n ||
        e->n != (e->epoch == e->prev_epoch ? e->prev_n + 1 : 1))
        return "its chain is not in order";
    return NULL;
}

/* Somebody wrote the row in the ordinary way since. */
static bool settled(const struct chain_row *row, const struct chain_held *unseen)
{
    for (uint32_t i = 0; i < row->count; i++)
        if (row->held[i].arena != NULL && !row->held[i].entry.unseen && row->held[i].stamp > unseen->stamp)
            return true;
    return false;
}

/* What is wrong with a cell that was written; NULL: nothing. */
static const char *cell_wrong(struct check *c, const struct meta *m, const struct perche_value *values, uint32_t num, const struct chain_row *row)
{
    const char *origin = name_text(c->r, m->cells[num].origin);
    const struct chain_held *h;
    uint32_t cell = 0;

    h = origin == NULL ? NULL : chain_find(row, num == 0 ? "" : m->table->columns[num - 1].name, origin, m->gen, m->cells[num].stamp, &cell);
    if (h == NULL)
        return origin != NULL && may_come(c, origin) ? NULL : "no entry of the chain vouches for it";
    if (num > 0) {
        const uint8_t *salt = salt_of(h, cell);

        if (salt == NULL)
            return m->flags & META_ERASED ? NULL : "the salt of its entry is gone";
        if (!is_hash_of(h, cell, salt, &values[num]))
            return "it is not what was written";
    }
    if (h->entry.unseen && !(num == 0 && settled(row, h)))
        return num == 0 && !meta_alive(m) ? "it was deleted behind Perche's back" : "it was written behind Perche's back";
    return NULL;
}

static enum perche_rc check_entries(struct check *c, const char *table, const char *key, struct table *t, struct perche_bytes bytes,
                                    const struct chain_row *row, bool *named)
{
    for (uint32_t i = 0; i < row->count && c->r->fail == PERCHE_OK; i++) {
        const char *why = entry_wrong(c, table, key, row, &row->held[i]);

        if (why == NULL || *named || c->r->fail != PERCHE_OK)
            continue;
        found(c, table, key, t, bytes, NULL, row->held[i].arena != NULL ? row->held[i].entry.origin : NULL, why);
        *named = true;
    }
    return c->r->fail;
}

static enum perche_rc check_row(struct check *c, struct meta *m)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct perche_bytes bytes = {m->key, m->key_n};
    struct chain_row row = {0};
    bool named = false;
    char *key = ask_key_json(c->r, bytes);
    enum perche_rc rc = key == NULL ? c->r->fail : load(c->r, m->table->name, key, &row);

    if (rc == PERCHE_OK)
        rc = check_entries(c, m->table->name, key, m->table, bytes, &row, &named);
    if (rc == PERCHE_OK && !named && meta_alive(m) && !(m->flags & META_HELD)) {
        rc = data_exists(c->r, m->table, bytes);
        if (rc == PERCHE_NOT_FOUND) {
            rc = c->r->fail;
            if (rc == PERCHE_OK && !in_motion(c, m->table, bytes))
                found(c, m->table->name, key, m->table, bytes, NULL, NULL, "it is gone from its table");
            named = true;
        }
    }
    if (rc == PERCHE_OK && !named)
        rc = row_values(c->r, m, values);
    for (uint32_t num = 0; rc == PERCHE_OK && !named && num < (meta_alive(m) ? m->count : 1); num++) {
        const char *why = m->cells[num].written ? cell_wrong(c, m, values, num, &row) : NULL;

        rc = c->r->fail;
        if (rc != PERCHE_OK || why == NULL)
            continue;
        named = true;
        if (!in_motion(c, m->table, bytes))
            found(c, m->table->name, key, m->table, bytes, num > 0 ? m->table->columns[num - 1].name : NULL,
                  name_text(c->r, m->cells[num].origin), why);
    }
    chain_row_free(&row);
    free(key);
    return rc != PERCHE_OK ? rc : c->r->fail;
}

/* ---- a table ----------------------------------------------------------------------------------------- */

static enum perche_rc check_stored(struct check *c, struct table *t)
{
    sqlite3_stmt *s = ask(c->r, "SELECT key, " META_COLUMNS " FROM perche_row WHERE tab = ?1 ORDER BY key");
    enum perche_rc rc = PERCHE_OK;
    struct meta m;

    if (s != NULL)
        sqlite3_bind_int64(s, 1, t->num);
    while (rc == PERCHE_OK && ask_row(c->r, s, "verify the chain")) {
        uint32_t n = (uint32_t)sqlite3_column_bytes(s, 0);
        uint8_t key[PERCHE_KEY_BYTES_MAX];

        if (n > sizeof key) {
            rc = fail(c->r, PERCHE_CORRUPT, "a key in perche_row is too long");
            break;
        }
        if (n > 0)
            memcpy(key, sqlite3_column_blob(s, 0), n);
        rc = meta_load(c->r, t, (struct perche_bytes){key, n}, &m);
        if (rc == PERCHE_OK && m.stored)
            rc = check_row(c, &m);
        meta_clear(&m);
    }
    sqlite3_finalize(s);
    return rc != PERCHE_OK ? rc : c->r->fail;
}

/* Rows of the table that nobody is known to have written. */
static enum perche_rc check_added(struct check *c, struct table *t)
{
    sqlite3_str *text = sqlite3_str_new(c->r->db);
    char *select;
    sqlite3_stmt *s = NULL;
    enum perche_rc rc = PERCHE_OK;

    sqlite3_str_appendall(text, "SELECT ");
    for (uint32_t i = 0; i < t->keys_count; i++) {
        sqlite3_str_appendall(text, i > 0 ? ", " : "");
        append_name(text, t->keys[i].name);
    }
    sqlite3_str_appendall(text, " FROM ");
    append_name(text, t->name);
    select = sqlite3_str_finish(text);
    if (select == NULL)
        return fail(c->r, PERCHE_NOMEM, "no memory to verify %s", t->name);
    s = ask(c->r, select);
    sqlite3_free(select);
    while (rc == PERCHE_OK && ask_row(c->r, s, "verify the chain")) {
        struct perche_value keys[PERCHE_KEY_COLUMNS_MAX];
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;
        struct meta m;
        bool known;
        char *json;

        for (uint32_t i = 0; i < t->keys_count; i++)
            column_read(c->r, s, (int)i, &keys[i]);
        if (perche_key_encode(keys, t->keys_count, key, &key_n) != PERCHE_OK)
            continue; /* it stays here and nowhere else */
        rc = meta_load(c->r, t, (struct perche_bytes){key, key_n}, &m);
        known = rc == PERCHE_OK && m.stored && meta_alive(&m) && !(m.flags & META_HELD);
        meta_clear(&m);
        if (rc != PERCHE_OK || known || in_motion(c, t, (struct perche_bytes){key, key_n}))
            continue;
        json = ask_key_json(c->r, (struct perche_bytes){key, key_n});
        if (json != NULL)
            found(c, t->name, json, t, (struct perche_bytes){key, key_n}, NULL, NULL, "nobody is known to have written it");
        free(json);
    }
    sqlite3_finalize(s);
    return rc != PERCHE_OK ? rc : c->r->fail;
}

/* Entries of rows that are not here any more: dropped tombstones, and rows that the hub did not take. */
static enum perche_rc check_others(struct check *c)
{
    sqlite3_stmt *s = ask(c->r, "SELECT DISTINCT tab, key FROM perche_chain ORDER BY tab, key");
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && ask_row(c->r, s, "verify the chain")) {
        struct table *t = registry_table(c->r, ask_text(s, 0));
        struct perche_bytes bytes = {0};
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        struct chain_row row = {0};
        bool stored = false, named = false;
        struct meta m;

        if (t != NULL && ask_key_parse(c->r, t, ask_text(s, 1), key, &bytes.n)) {
            bytes.p = key;
            rc = meta_load(c->r, t, bytes, &m);
            stored = rc == PERCHE_OK && m.stored && t->chained && t->present;
            meta_clear(&m);
        }
        if (rc == PERCHE_OK && !stored)
            rc = load(c->r, ask_text(s, 0), ask_text(s, 1), &row);
        if (rc == PERCHE_OK && !stored)
            rc = check_entries(c, ask_text(s, 0), ask_text(s, 1), t, bytes, &row, &named);
        chain_row_free(&row);
    }
    sqlite3_finalize(s);
    return rc != PERCHE_OK ? rc : c->r->fail;
}

enum perche_rc chain_check(struct replica *r, struct json *j, bool *good)
{
    struct check c = {.r = r, .j = j};
    struct table *t;
    enum perche_rc rc = chain_table(r) == NULL ? r->fail : hub_key(&c);

    c.all_wait = r->hub ? recovering(r) : r->node.full != r->node.scan || r->node.must != 0;
    out_key(j, "records");
    out_open(j, '[');
    for (uint32_t i = 0; rc == PERCHE_OK && (t = registry_at(r, i)) != NULL; i++) {
        if (!t->chained || !t->present)
            continue;
        rc = check_stored(&c, t);
        if (rc == PERCHE_OK)
            rc = check_added(&c, t);
    }
    if (rc == PERCHE_OK)
        rc = check_others(&c);
    out_close(j, ']');
    out_key(j, "entries");
    out_int(j, (int64_t)c.entries);
    out_key(j, "altered");
    out_int(j, (int64_t)c.altered);
    out_key(j, "waiting");
    out_int(j, (int64_t)c.waiting);
    *good = c.altered == 0;
    free(c.authors);
    return rc;
}
