/* History: every batch that changed rows here, as it came or as it was harvested,
 * in blocks that are only ever appended. Each row of a block says which block
 * named the row before; so a row's past is a chain through its blocks.
 *
 * It is for people and audits, and tells a node that a value has been here before;
 * nothing else depends on it.
 *
 * Each block is sealed: `content` is the hash of what it says, `chain` that of the
 * seal before it, its number, time and link, and its content. So a block cannot be
 * altered, put in or taken out without making every later one anew. The content has
 * a hash of its own, so that values can be taken out of a block for good while the
 * chain stays. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <xxhash.h>

#include "replica/tx.h"

#define SEAL_BYTES       32
#define BLOCKS_KEPT      PERCHE_BOUND(4u, 1u)         /* decoded blocks in memory: a chain runs through few */
#define BLOCK_KEPT_BYTES (8u << 20) /* a larger one is given back at once */

/* A decoded block, and where each key stands in it. */
struct block {
    uint64_t number, at_ms, hash, used;
    size_t bytes; /* about so many in memory */
    uint32_t via;
    struct perche_batch *batch;
    uint64_t *prev;
    uint32_t rows_count;
    struct place {
        uint32_t part, row, next; /* next: index + 1 in places with the same slot */
    } * places;                   /* in order of parts and rows, as prev is */
    uint32_t *slots;
    uint32_t slots_count; /* a power of two */
};

struct history {
    sqlite3_stmt *newest, *put, *get, *seal;
    struct block blocks[BLOCKS_KEPT];
    uint64_t clock; /* counts uses: the block not used for longest goes */
};

static void block_close(struct block *b)
{
    perche_batch_free(b->batch);
    free(b->prev);
    free(b->places);
    free(b->slots);
    memset(b, 0, sizeof *b);
}

static enum perche_rc history_open(struct replica *r)
{
    if (r->history == NULL)
        r->history = calloc(1, sizeof *r->history);
    if (r->history == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for the history");
    if (r->history->newest == NULL)
        r->history->newest = prepare(r, "SELECT coalesce(max(block), 0) FROM perche_history");
    if (r->history->get == NULL)
        r->history->get =
            prepare(r, "SELECT at_ms, via, prev, body FROM perche_history WHERE block = ?1");
    if (r->history->put == NULL && !r->reader)
        r->history->put = prepare(
            r,
            "INSERT INTO perche_history (block, at_ms, via, n, prev, body, content, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    if (r->history->seal == NULL)
        r->history->seal = prepare(r, "SELECT chain FROM perche_history WHERE block = ?1");
    return r->fail;
}

void history_free(struct replica *r)
{
    struct history *h = r->history;

    if (h == NULL)
        return;
    for (uint32_t i = 0; i < BLOCKS_KEPT; i++)
        block_close(&h->blocks[i]);
    sqlite3_finalize(h->newest);
    sqlite3_finalize(h->put);
    sqlite3_finalize(h->get);
    sqlite3_finalize(h->seal);
    free(h);
    r->history = NULL;
}

/* ---- the chain --------------------------------------------------------------------- */

static void put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void hash_content(struct perche_bytes prev, struct perche_bytes body, uint8_t out[SEAL_BYTES])
{
    crypto_generichash_state state;
    uint8_t n[8];

    put_u64(n, prev.n); /* where one ends and the other begins */
    (void)crypto_generichash_init(&state, NULL, 0, SEAL_BYTES); /* these fail for a wrong size alone */
    (void)crypto_generichash_update(&state, n, sizeof n);
    (void)crypto_generichash_update(&state, prev.p != NULL ? prev.p : n, prev.n);
    (void)crypto_generichash_update(&state, body.p != NULL ? body.p : n, body.n);
    (void)crypto_generichash_final(&state, out, SEAL_BYTES);
}

/* @before: the seal of the block before, zeros for the first. */
static void hash_chain(const uint8_t before[SEAL_BYTES], uint64_t block, uint64_t at_ms, uint64_t via, uint64_t n,
                       const uint8_t content[SEAL_BYTES], uint8_t out[SEAL_BYTES])
{
    uint8_t all[2 * SEAL_BYTES + 32];

    memcpy(all, before, SEAL_BYTES);
    put_u64(all + SEAL_BYTES, block);
    put_u64(all + SEAL_BYTES + 8, at_ms);
    put_u64(all + SEAL_BYTES + 16, via);
    put_u64(all + SEAL_BYTES + 24, n);
    memcpy(all + SEAL_BYTES + 32, content, SEAL_BYTES);
    (void)crypto_generichash(out, SEAL_BYTES, all, sizeof all, NULL, 0);
}

/* The seal of a block; zeros when there is none, which the next check of the chain finds. */
static enum perche_rc seal_of(struct replica *r, uint64_t block, uint8_t out[SEAL_BYTES])
{
    sqlite3_stmt *s = r->history->seal;
    int step;

    memset(out, 0, SEAL_BYTES);
    sqlite3_bind_int64(s, 1, (sqlite3_int64)block);
    step = sqlite3_step(s);
    if (step == SQLITE_ROW && sqlite3_column_bytes(s, 0) == SEAL_BYTES)
        memcpy(out, sqlite3_column_blob(s, 0), SEAL_BYTES);
    else if (step != SQLITE_ROW && step != SQLITE_DONE)
        (void)fail_sqlite(r, step, "read the history");
    sqlite3_reset(s);
    return r->fail;
}

/* A block as it stands in the file. */
struct link {
    uint64_t block;
    uint8_t content[SEAL_BYTES], chain[SEAL_BYTES];           /* as they should be */
    bool content_holds, chain_holds;
};

#define LINK_COLUMNS "block, at_ms, via, n, prev, body, content, chain"

static struct perche_bytes column_bytes(sqlite3_stmt *s, int i)
{
    struct perche_bytes b = {.p = sqlite3_column_blob(s, i)};

    b.n = (uint32_t)sqlite3_column_bytes(s, i);
    return b;
}

static bool is_seal(struct perche_bytes b, const uint8_t seal[SEAL_BYTES])
{
    return b.n == SEAL_BYTES && memcmp(b.p, seal, SEAL_BYTES) == 0;
}

/* @before: the seal of the block before it. */
static void read_link(sqlite3_stmt *s, const uint8_t before[SEAL_BYTES], struct link *l)
{
    l->block = (uint64_t)sqlite3_column_int64(s, 0);
    hash_content(column_bytes(s, 4), column_bytes(s, 5), l->content);
    hash_chain(before, l->block, (uint64_t)sqlite3_column_int64(s, 1), (uint64_t)sqlite3_column_int64(s, 2),
               (uint64_t)sqlite3_column_int64(s, 3), l->content, l->chain);
    l->content_holds = is_seal(column_bytes(s, 6), l->content);
    l->chain_holds = is_seal(column_bytes(s, 7), l->chain);
}

enum perche_rc history_seal(struct replica *r)
{
    uint8_t before[SEAL_BYTES] = {0};
    sqlite3_stmt *s = prepare(r, "SELECT " LINK_COLUMNS " FROM perche_history WHERE block > ?1 ORDER BY block LIMIT 1");
    sqlite3_stmt *put = s == NULL ? NULL : prepare(r, "UPDATE perche_history SET content = ?2, chain = ?3 WHERE block = ?1");
    struct link l = {0};
    int step = SQLITE_DONE;

    while (put != NULL && r->fail == PERCHE_OK) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)l.block);
        step = sqlite3_step(s);
        if (step != SQLITE_ROW)
            break;
        read_link(s, before, &l);
        sqlite3_reset(s);
        memcpy(before, l.chain, SEAL_BYTES);
        sqlite3_bind_int64(put, 1, (sqlite3_int64)l.block);
        sqlite3_bind_blob(put, 2, l.content, SEAL_BYTES, SQLITE_STATIC);
        sqlite3_bind_blob(put, 3, l.chain, SEAL_BYTES, SQLITE_STATIC);
        step = sqlite3_step(put);
        sqlite3_reset(put);
        if (step != SQLITE_DONE)
            break;
    }
    if (step != SQLITE_DONE)
        (void)fail_sqlite(r, step, "seal the history");
    sqlite3_finalize(s);
    sqlite3_finalize(put);
    return r->fail;
}

enum perche_rc history_check(struct replica *r, uint64_t *blocks, history_broken_cb cb, void *ctx)
{
    uint8_t before[SEAL_BYTES] = {0};
    sqlite3_stmt *s = prepare(r, "SELECT " LINK_COLUMNS " FROM perche_history ORDER BY block");
    sqlite3_stmt *named = s == NULL ? NULL : prepare(r, "SELECT max(block) FROM perche_row");
    const char *why = NULL;
    uint64_t broken = 0;
    struct link l;
    int step = SQLITE_DONE;

    *blocks = 0;
    while (named != NULL && why == NULL && (step = sqlite3_step(s)) == SQLITE_ROW) {
        read_link(s, before, &l);
        broken = *blocks + 1;
        if (l.block != broken)
            why = "it is missing";
        else if (!l.content_holds)
            why = "its content is not what was written";
        else if (!l.chain_holds)
            why = "it does not follow from the block before it";
        else
            ++*blocks;
        memcpy(before, l.chain, SEAL_BYTES);
    }
    if (why == NULL && named != NULL && step == SQLITE_DONE) { /* what was cut off at the end, the rows still name */
        step = sqlite3_step(named);
        if (step == SQLITE_ROW && (uint64_t)sqlite3_column_int64(named, 0) > *blocks) {
            broken = *blocks + 1;
            why = "it is missing";
        }
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        (void)fail_sqlite(r, step, "read the history");
    sqlite3_finalize(s);
    sqlite3_finalize(named);
    if (r->fail == PERCHE_OK && why != NULL)
        cb(ctx, broken, why);
    return r->fail;
}

/* ---- appending -------------------------------------------------------------------- */

uint64_t history_next_block(struct replica *r)
{
    uint64_t next = 1;
    int step;

    if (history_open(r) != PERCHE_OK)
        return 0;
    /* Asked anew each time: what a rollback took back leaves no trace in memory. */
    step = sqlite3_step(r->history->newest);
    if (step == SQLITE_ROW)
        next = (uint64_t)sqlite3_column_int64(r->history->newest, 0) + 1;
    else
        (void)fail_sqlite(r, step, "read the history");
    sqlite3_reset(r->history->newest);
    return next;
}

enum perche_rc history_append(struct replica *r, struct perche_bytes body, const uint64_t *prev,
                              uint32_t prev_count, uint32_t via)
{
    uint64_t number = history_next_block(r);
    uint8_t *packed, before[SEAL_BYTES], content[SEAL_BYTES], chain[SEAL_BYTES];
    uint32_t n = 0;
    sqlite3_stmt *s;
    int step;

    if (number == 0 || seal_of(r, number - 1, before) != PERCHE_OK)
        return r->fail;
    packed = malloc((size_t)prev_count * 10 + 1);
    if (packed == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a history block of %u rows", prev_count);
    for (uint32_t i = 0; i < prev_count; i++)
        n += perche_varint_put(packed + n, prev[i]);
    hash_content((struct perche_bytes){packed, n}, body, content);
    hash_chain(before, number, r->now_ms, via, prev_count, content, chain);
    s = r->history->put;
    sqlite3_bind_int64(s, 1, (sqlite3_int64)number);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)r->now_ms);
    sqlite3_bind_int64(s, 3, via);
    sqlite3_bind_int64(s, 4, prev_count);
    sqlite3_bind_blob(s, 5, packed, (int)n, SQLITE_STATIC);
    sqlite3_bind_blob(s, 6, body.p, (int)body.n, SQLITE_STATIC);
    sqlite3_bind_blob(s, 7, content, SEAL_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(s, 8, chain, SEAL_BYTES, SQLITE_STATIC);
    step = tx_stands(r) == PERCHE_OK ? sqlite3_step(s) : SQLITE_ABORT;
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    free(packed);
    return step == SQLITE_DONE ? PERCHE_OK : fail_sqlite(r, step, "write the history");
}

/* ---- reading ------------------------------------------------------------------------ */

static uint32_t slot_of(const struct block *b, const char *table, struct perche_bytes key)
{
    return (uint32_t)(XXH3_64bits_withSeed(key.p, key.n, XXH3_64bits(table, strlen(table))) &
                      (b->slots_count - 1));
}

static enum perche_rc unpack_prev(struct replica *r, struct block *b, const uint8_t *p,
                                  const uint8_t *end)
{
    b->prev = calloc((size_t)b->rows_count + 1, sizeof *b->prev);
    if (b->prev == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a history block");
    /* A row of which nothing was taken may have no entry; then it begins its chain. */
    for (uint32_t i = 0; i < b->rows_count && p < end; i++) {
        uint32_t n = perche_varint_get(p, end, &b->prev[i]);

        if (n == 0)
            return fail(r, PERCHE_CORRUPT, "history block %llu does not decode",
                        (unsigned long long)b->number);
        p += n;
    }
    return PERCHE_OK;
}

static enum perche_rc index_rows(struct replica *r, struct block *b)
{
    uint32_t at = 0;

    b->slots_count = 16;
    while (b->slots_count < b->rows_count)
        b->slots_count *= 2;
    b->slots = calloc(b->slots_count, sizeof *b->slots);
    b->places = calloc((size_t)b->rows_count + 1, sizeof *b->places);
    if (b->slots == NULL || b->places == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a history block");
    for (uint32_t p = 0; p < b->batch->parts_count; p++)
        for (uint32_t i = 0; i < b->batch->parts[p].rows_count; i++, at++) {
            uint32_t *slot =
                &b->slots[slot_of(b, b->batch->parts[p].table, b->batch->parts[p].rows[i].key)];

            b->places[at] = (struct place){.part = p, .row = i, .next = *slot};
            *slot = at + 1;
        }
    return PERCHE_OK;
}

/* The decoded block, from memory when the file still says the same. NULL with r->fail clear: it is not there (pruned). */
static struct block *block_load(struct replica *r, uint64_t number)
{
    struct history *h;
    struct block *b;
    struct perche_err err = {0};
    sqlite3_stmt *s;
    struct perche_bytes body;
    uint64_t hash;
    int step;

    if (history_open(r) != PERCHE_OK)
        return NULL;
    h = r->history;
    s = h->get;
    sqlite3_bind_int64(s, 1, (sqlite3_int64)number);
    step = sqlite3_step(s);
    if (step != SQLITE_ROW) {
        if (step != SQLITE_DONE)
            (void)fail_sqlite(r, step, "read the history");
        sqlite3_reset(s);
        return NULL;
    }
    body.p = sqlite3_column_blob(s, 3);
    body.n = (uint32_t)sqlite3_column_bytes(s, 3);
    /* erasing rewrites blocks, a rollback gives their numbers anew */
    hash = XXH3_64bits_withSeed(
        body.p, body.n, XXH3_64bits(sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2)));
    b = &h->blocks[0];
    for (uint32_t i = 0; i < BLOCKS_KEPT; i++) {
        if (h->blocks[i].batch != NULL && h->blocks[i].number == number &&
            h->blocks[i].hash == hash) {
            b = &h->blocks[i];
            goto found;
        }
        if (h->blocks[i].used < b->used)
            b = &h->blocks[i];
    }
    block_close(b);
    b->number = number;
    b->hash = hash;
    b->at_ms = (uint64_t)sqlite3_column_int64(s, 0);
    b->via = (uint32_t)sqlite3_column_int64(s, 1);
    b->batch = perche_batch_new();
    if (b->batch == NULL) {
        (void)fail(r, PERCHE_NOMEM, "no memory for a history block");
    } else if (perche_batch_decode(body, b->batch, &err) != PERCHE_OK) {
        (void)fail(r, err.rc, "history block %llu: %s", (unsigned long long)number, err.text);
    } else {
        const uint8_t *prev = sqlite3_column_blob(s, 2);

        b->rows_count = perche_batch_rows(b->batch);
        b->bytes = (size_t)body.n * 4;
        for (uint32_t i = 0; i < b->batch->parts_count; i++)
            b->bytes +=
                b->batch->parts[i].rows_count * (sizeof(struct perche_row) + sizeof(struct place)) +
                b->batch->parts[i].cells_count * sizeof(struct perche_cell);
        if (unpack_prev(r, b, prev, prev != NULL ? prev + sqlite3_column_bytes(s, 2) : NULL) ==
            PERCHE_OK)
            (void)index_rows(r, b);
    }
    if (r->fail != PERCHE_OK) {
        block_close(b);
        b = NULL;
    }
found:
    sqlite3_reset(s);
    if (b != NULL)
        b->used = ++h->clock;
    return b;
}

enum perche_rc history_walk(struct replica *r, const struct meta *m, history_cb cb, void *ctx)
{
    struct perche_bytes key = {m->key, m->key_n};
    uint64_t number = m->block;
    bool go_on = true;

    while (number != 0 && go_on) {
        struct block *b = block_load(r, number);
        uint64_t before = 0;
        uint32_t next = 0;

        if (b == NULL)
            break; /* pruned: the chain ends here */
        for (uint32_t i = b->slots[slot_of(b, m->table->name, key)]; i != 0 && go_on; i = next) {
            const struct place *at = &b->places[i - 1];
            const struct perche_part *part = &b->batch->parts[at->part];
            const struct perche_row *row = &part->rows[at->row];

            next = at->next;
            if (row->key.n != key.n || memcmp(row->key.p, key.p, key.n) != 0 ||
                strcmp(part->table, m->table->name) != 0)
                continue;
            /* The same row twice in a block: the later entry may name the block itself. */
            if (b->prev[i - 1] < number && b->prev[i - 1] > before)
                before = b->prev[i - 1];
            go_on = cb(ctx, b->batch, part, row, number, b->at_ms, b->via);
        }
        if (b->bytes > BLOCK_KEPT_BYTES)
            block_close(b);
        number = before; /* always less: a damaged chain ends, too */
    }
    return r->fail;
}

enum perche_rc history_since(struct replica *r, uint64_t at_ms, history_cb cb, void *ctx)
{
    sqlite3_stmt *s = prepare(r, "SELECT block FROM perche_history WHERE at_ms > ?1 ORDER BY block DESC");
    bool go_on = s != NULL;
    int step = SQLITE_DONE;

    if (go_on)
        sqlite3_bind_int64(s, 1, (sqlite3_int64)at_ms);
    while (go_on && (step = sqlite3_step(s)) == SQLITE_ROW) {
        uint64_t number = (uint64_t)sqlite3_column_int64(s, 0);
        struct block *b = block_load(r, number);

        if (b == NULL)
            break;
        for (uint32_t p = 0; go_on && p < b->batch->parts_count; p++)
            for (uint32_t i = 0; go_on && i < b->batch->parts[p].rows_count; i++)
                go_on = cb(ctx, b->batch, &b->batch->parts[p], &b->batch->parts[p].rows[i], number, b->at_ms, b->via);
        if (b->bytes > BLOCK_KEPT_BYTES)
            block_close(b);
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        (void)fail_sqlite(r, step, "read the history");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return r->fail;
}

struct knows {
    struct replica *r;
    const struct meta *m;
    const char *origin;
    const struct perche_value *value;
    uint64_t stamp;
    uint16_t num;
    bool yes;
};

static bool knows_here(void *ctx, const struct perche_batch *b, const struct perche_part *part,
                       const struct perche_row *row, uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct knows *k = ctx;

    (void)block, (void)at_ms, (void)via;
    if (k->num == 0) {
        k->yes = row->flags & PERCHE_ROW_GEN && row->gen_stamp == k->stamp &&
                 strcmp(b->names[row->gen_origin], k->origin) == 0;
        return !k->yes;
    }
    for (uint32_t i = 0; i < row->cells_count && !k->yes; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];

        k->yes = c->stamp == k->stamp && strcmp(b->names[c->origin], k->origin) == 0 &&
                 strcmp(part->columns[c->col], k->m->table->columns[k->num - 1].name) == 0 &&
                 perche_value_compare(&c->value, k->value) == 0;
    }
    return !k->yes;
}

bool history_knows(struct replica *r, const struct meta *m, uint16_t num, uint64_t stamp,
                   uint32_t origin, const struct perche_value *value)
{
    struct knows k = {.r = r, .m = m, .origin = name_text(r, origin), .value = value, .stamp = stamp, .num = num};

    if (m->block == 0 || k.origin == NULL)
        return false;
    return history_walk(r, m, knows_here, &k) == PERCHE_OK && k.yes;
}

static bool recall_row(void *ctx, const struct perche_batch *b, const struct perche_part *part,
                       const struct perche_row *row, uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct recall *f = ctx;
    struct table *t = f->m->table;

    (void)block, (void)at_ms, (void)via;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];
        const struct column *column = table_column(t, part->columns[c->col]);
        uint32_t num = column != NULL ? column->num : 0;
        const char *origin;
        bool same;

        if (num == 0 || !((f->want & ~f->found) >> (num - 1) & 1))
            continue;
        origin = name_text(f->r, f->m->cells[num].origin);
        if (origin == NULL || strcmp(b->names[c->origin], origin) != 0)
            continue;
        same = c->stamp == f->m->cells[num].stamp;
        if (!same && f->guessed >> (num - 1) & 1)
            continue;
        free(f->bytes[num]);
        f->bytes[num] = NULL;
        f->values[num] = c->value;
        if (c->value.type == PERCHE_TEXT || c->value.type == PERCHE_BLOB) {
            f->bytes[num] = malloc((size_t)c->value.n + 1);
            if (f->bytes[num] == NULL) {
                (void)fail(f->r, PERCHE_NOMEM, "no memory for a former value");
                return false;
            }
            if (c->value.n > 0)
                memcpy(f->bytes[num], c->value.p, c->value.n);
            f->values[num].p = f->bytes[num];
        }
        f->guessed |= UINT64_C(1) << (num - 1);
        if (same)
            f->found |= UINT64_C(1) << (num - 1);
    }
    return f->found != f->want && --f->entries_left > 0;
}

enum perche_rc recall_read(struct replica *r, const struct meta *m, uint64_t want, struct recall *f)
{
    return recall_newest(r, m, want, UINT32_MAX, f);
}

enum perche_rc recall_newest(struct replica *r, const struct meta *m, uint64_t want, uint32_t entries, struct recall *f)
{
    memset(f, 0, sizeof *f);
    f->entries_left = entries;
    f->r = r;
    f->m = m;
    for (uint32_t num = 1; num < m->count; num++)
        if (m->cells[num].written)
            f->want |= want & UINT64_C(1) << (num - 1);
    return f->want == 0 ? r->fail : history_walk(r, m, recall_row, f);
}

void recall_free(struct recall *f)
{
    for (uint32_t num = 0; num <= PERCHE_COLUMNS_MAX; num++)
        free(f->bytes[num]);
    memset(f->bytes, 0, sizeof f->bytes);
}
