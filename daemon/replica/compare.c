/* Proof that a site and its hub hold the same rows, and repair (DESIGN 4.7).
 *
 * Four levels: the root and the sum of each (scope, table); the buckets of those
 * that differ; the parts of the buckets that differ, by further bits of the key's
 * hash; the rows of the parts that differ. Sums of parts are not stored: both ends
 * add them up when asked. The site says how many bits, and leaves the parts out
 * where a bucket has few rows. Both ends answer from one read transaction, and only
 * when neither has anything for the other: otherwise the answer is "later", never
 * "differs".
 *
 * The site names each (scope, table), and at the parts each bucket, at least once
 * and leaves out its empty sums. At the rows it names each part (or bucket) once
 * without a key and then its rows. The hub names rows that differ; rows = 0 says
 * that it knows nothing of that key. A pass looks at a bounded part; the next one
 * goes on. */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "replica/apply.h"
#include "replica/ask.h"
#include "replica/digest.h"
#include "replica/statements.h"

#define PAIRS_MAX        PERCHE_BOUND(16u, 1u)    /* (scope, table) pairs that one pass looks into: 4,096 buckets */
#define COMPARE_ROWS_MAX PERCHE_BOUND(20000u, 3u) /* rows that one pass names, and what it may repair */
#define PARTS_MAX        PERCHE_BOUND(8192u, 16u)  /* sums of parts that one pass names, or answers */
#define BUCKET_ROWS_FEW  32u    /* so many are named as cheaply as their parts */
#define PLACES_MAX       (DIGEST_BUCKETS << PERCHE_FINER_MAX)

/* ---- lists of sums --------------------------------------------------------------- */

struct list {
    struct perche_sum *items;
    uint32_t count, cap;
    struct perche_batch *texts; /* owns scopes and tables */
    uint8_t *keys;              /* items' keys, as offsets until list_finish() */
    size_t keys_n, keys_cap;
};

static void list_free(struct list *l)
{
    free(l->items);
    free(l->keys);
    perche_batch_free(l->texts);
    memset(l, 0, sizeof *l);
}

static enum perche_rc nomem(struct replica *r)
{
    return fail(r, PERCHE_NOMEM, "no memory for digests");
}

static const char *list_text(struct list *l, const char *text)
{
    uint32_t at;

    if (l->texts == NULL)
        l->texts = perche_batch_new();
    if (l->texts == NULL)
        return NULL;
    at = perche_batch_name(l->texts, text);
    return at == UINT32_MAX ? NULL : l->texts->names[at];
}

/* @key may be NULL (none). */
static enum perche_rc list_add(struct replica *r, struct list *l, const struct perche_sum *sum,
                               const struct perche_bytes *key)
{
    struct perche_sum copy = *sum;

    copy.scope = list_text(l, sum->scope);
    copy.table = list_text(l, sum->table);
    copy.key = (struct perche_bytes){0};
    if (copy.scope == NULL || copy.table == NULL)
        return nomem(r);
    if (l->count == l->cap) {
        uint32_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct perche_sum *more = realloc(l->items, cap * sizeof *more);

        if (more == NULL)
            return nomem(r);
        l->items = more;
        l->cap = cap;
    }
    if (key != NULL) {
        if (l->keys_n + key->n > l->keys_cap) {
            size_t cap = 2 * l->keys_cap + 1024 + key->n;
            uint8_t *more = realloc(l->keys, cap);

            if (more == NULL)
                return nomem(r);
            l->keys = more;
            l->keys_cap = cap;
        }
        memcpy(l->keys + l->keys_n, key->p, key->n);
        copy.key.n = key->n;
        copy.key.p = (const uint8_t *)(uintptr_t)l->keys_n; /* the array may still move */
        l->keys_n += key->n;
    }
    l->items[l->count++] = copy;
    return PERCHE_OK;
}

static void list_finish(struct list *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        l->items[i].key.p = l->items[i].key.n > 0 ? l->keys + (uintptr_t)l->items[i].key.p : NULL;
}

/* Copies the list into the message's own memory. Sums of one pair follow each other: only the first names it. */
static enum perche_rc list_send(struct replica *r, const struct list *l, struct perche_message *m,
                                struct perche_sum **sums, uint32_t *sums_count)
{
    const char *scope = NULL, *table = NULL; /* the list's, of the sum before */
    struct perche_sum *copy = perche_message_alloc(m, (l->count + 1) * sizeof *copy);
    uint8_t *keys = perche_message_alloc(m, l->keys_n + 1);

    if (copy == NULL || keys == NULL)
        return nomem(r);
    if (l->keys_n > 0)
        memcpy(keys, l->keys, l->keys_n);
    for (uint32_t i = 0; i < l->count; i++) {
        const struct perche_sum *from = &l->items[i];
        struct perche_sum *to = &copy[i];

        *to = *from;
        if (from->key.n > 0)
            to->key.p = keys + (from->key.p - l->keys);
        if (i > 0 && from->scope == scope && from->table == table) {
            to->scope = to->table = "";
            continue;
        }
        to->scope = message_text(m, from->scope);
        to->table = message_text(m, from->table);
        if (to->scope == NULL || to->table == NULL)
            return nomem(r);
        scope = from->scope;
        table = from->table;
    }
    *sums = copy;
    *sums_count = l->count;
    return PERCHE_OK;
}

/* ---- stored sums ---------------------------------------------------------------------- */

#define SUMS_COLUMNS                                                                                   \
    "SELECT n.text, t.name, d.rows, d.sums FROM perche_digest d JOIN perche_name n ON n.num = d.scope" \
    " JOIN perche_tab t ON t.num = d.tab"

/* All (scope, table) that the site holds, in order of text: its own file's, or at a hub those that hold @site. */
static sqlite3_stmt *sums_of_site(struct replica *r, uint32_t site)
{
    sqlite3_stmt *s = ask(
        r,
        r->hub ? SUMS_COLUMNS
            " WHERE n.text = '*' OR d.scope IN (SELECT scope FROM perche_scope_site WHERE site = ?1)"
            " ORDER BY n.text, t.name"
               : SUMS_COLUMNS " ORDER BY n.text, t.name");

    if (s != NULL && r->hub)
        sqlite3_bind_int64(s, 1, site);
    return s;
}

static const uint8_t *sums_blob(struct replica *r, sqlite3_stmt *s)
{
    const uint8_t *blob = sqlite3_column_blob(s, 3);

    if (blob == NULL || sqlite3_column_bytes(s, 3) != DIGEST_BYTES) {
        (void)fail(r, PERCHE_CORRUPT,
                   "a digest in perche_digest has not its size: run perche verify");
        return NULL;
    }
    return blob;
}

/* Level 0: every (scope, table) of the site, and the root over them. */
static enum perche_rc level_0(struct replica *r, uint32_t site, struct list *l, uint8_t root[16])
{
    XXH3_state_t *state = XXH3_createState();
    sqlite3_stmt *s = sums_of_site(r, site);
    XXH128_canonical_t canonical;

    if (state == NULL) {
        (void)nomem(r);
        goto out;
    }
    (void)XXH3_128bits_reset(state); /* fails for a null state only */
    while (ask_row(r, s, "read the digests")) {
        struct perche_sum sum = {.scope = ask_text(s, 0), .table = ask_text(s, 1)};
        const uint8_t *blob = sums_blob(r, s);
        uint8_t rows[8];

        if (blob == NULL)
            break;
        sum.rows = (uint64_t)sqlite3_column_int64(s, 2);
        for (uint32_t i = 0; i < DIGEST_BUCKETS; i++)
            digest_add(sum.sum, blob + (size_t)i * 16);
        for (int i = 0; i < 8; i++)
            rows[i] = (uint8_t)(sum.rows >> (8 * i));
        (void)XXH3_128bits_update(state, sum.scope, strlen(sum.scope) + 1);
        (void)XXH3_128bits_update(state, sum.table, strlen(sum.table) + 1);
        (void)XXH3_128bits_update(state, rows, sizeof rows);
        (void)XXH3_128bits_update(state, sum.sum, sizeof sum.sum);
        if (list_add(r, l, &sum, NULL) != PERCHE_OK)
            break;
    }
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(root, canonical.digest, 16);
out:
    sqlite3_finalize(s);
    XXH3_freeState(state);
    list_finish(l);
    return r->fail;
}

/* The 256 sums of one (scope, table); zeros when there are none. */
static enum perche_rc buckets_of(struct replica *r, const char *scope, const char *table,
                                 uint8_t out[DIGEST_BYTES], uint64_t *rows)
{
    sqlite3_stmt *s = ask(r, SUMS_COLUMNS " WHERE n.text = ?1 AND t.name = ?2");
    const uint8_t *blob;

    memset(out, 0, DIGEST_BYTES);
    *rows = 0;
    ask_bind_text(s, 1, scope);
    ask_bind_text(s, 2, table);
    if (ask_row(r, s, "read a digest") && (blob = sums_blob(r, s)) != NULL) {
        memcpy(out, blob, DIGEST_BYTES);
        *rows = (uint64_t)sqlite3_column_int64(s, 2);
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* ---- order -------------------------------------------------------------------------------- */

static int by_pair(const struct perche_sum *a, const struct perche_sum *b)
{
    int c = strcmp(a->scope, b->scope);

    return c != 0 ? c : strcmp(a->table, b->table);
}

static int by_key(const struct perche_bytes *a, const struct perche_bytes *b)
{
    uint32_t n = a->n < b->n ? a->n : b->n;
    int c = n > 0 ? memcmp(a->p, b->p, n) : 0;

    return c != 0 ? c : a->n < b->n ? -1 : a->n > b->n;
}

/* Pair, key (none first), bucket. */
static int by_place(const void *x, const void *y)
{
    const struct perche_sum *a = *(const struct perche_sum *const *)x,
                            *b = *(const struct perche_sum *const *)y;
    int c = by_pair(a, b);

    if (c == 0)
        c = by_key(&a->key, &b->key);
    return c != 0 ? c : a->bucket < b->bucket ? -1 : a->bucket > b->bucket;
}

/* The sums of a message in order, each with its pair; free() ends it. NULL with r->fail. */
static const struct perche_sum **in_order(struct replica *r, const struct perche_sum *sums,
                                          uint32_t count)
{
    const struct perche_sum **order =
        malloc((count + (size_t)1) * (sizeof *order + sizeof(struct perche_sum)));
    struct perche_sum *named;

    if (order == NULL) {
        (void)nomem(r);
        return NULL;
    }
    named = (struct perche_sum *)(void *)(order + count + 1); /* behind the pointers to them */
    for (uint32_t i = 0; i < count; i++) {
        named[i] = sums[i];
        if (i > 0 && named[i].table[0] == '\0') { /* no table has an empty name: the pair before */
            named[i].scope = named[i - 1].scope;
            named[i].table = named[i - 1].table;
        }
        order[i] = &named[i];
    }
    qsort(order, count, sizeof *order, by_place);
    return order;
}

/* Where the pair that begins at @from ends. */
static uint32_t pair_end(const struct perche_sum **order, uint32_t from, uint32_t count)
{
    uint32_t to = from + 1;

    while (to < count && by_pair(order[from], order[to]) == 0)
        to++;
    return to;
}

/* ---- rows of buckets ------------------------------------------------------------------------ */

/* Live rows of one (scope, table), with their digests. */
static sqlite3_stmt *live_rows(struct replica *r, const char *scope, const char *table)
{
    sqlite3_stmt *s =
        ask(r, "SELECT key, substr(clock, 1, 16) FROM perche_row"
               " WHERE scope = (SELECT num FROM perche_name WHERE text = ?1)"
               " AND tab = (SELECT num FROM perche_tab WHERE name = ?2) AND gen % 2 = 1");

    ask_bind_text(s, 1, scope);
    ask_bind_text(s, 2, table);
    return s;
}

static struct perche_bytes column_bytes(sqlite3_stmt *s, int i)
{
    struct perche_bytes b = {.p = sqlite3_column_blob(s, i)};

    b.n = (uint32_t)sqlite3_column_bytes(s, i);
    return b;
}

static bool wanted(const uint8_t *set, uint32_t place)
{
    return set[place / 8] >> (place % 8) & 1;
}

static void want(uint8_t *set, uint32_t place)
{
    set[place / 8] |= (uint8_t)(1 << place % 8);
}

/* The sums of all parts of the buckets in @set, at their places; free() ends them. NULL with r->fail. */
static uint8_t (*parts_of(struct replica *r, const char *scope, const char *table,
                          const uint8_t set[DIGEST_BUCKETS / 8], uint32_t finer))[16]
{
    uint8_t (*sums)[16] = calloc((size_t)DIGEST_BUCKETS << finer, sizeof *sums);
    sqlite3_stmt *s;

    if (sums == NULL) {
        (void)nomem(r);
        return NULL;
    }
    s = live_rows(r, scope, table);
    while (ask_row(r, s, "add up row digests")) {
        struct perche_bytes key = column_bytes(s, 0), digest = column_bytes(s, 1);
        uint32_t place = digest_place(key.p, key.n, finer);

        if (wanted(set, place % DIGEST_BUCKETS) && digest.n == 16)
            digest_add(sums[place], digest.p);
    }
    sqlite3_finalize(s);
    if (r->fail != PERCHE_OK) {
        free(sums);
        return NULL;
    }
    return sums;
}

static const uint8_t none[16];

/* ---- a site asks ------------------------------------------------------------------------------ */

static enum perche_rc is_comparable(struct replica *r, bool *yes)
{
    sqlite3_stmt *s;

    *yes = false;
    if (r->node.full != r->node.scan || r->node.must || r->node.hub[0] == '\0')
        return PERCHE_OK;
    /* Parked cells are in no digest here, but in the hub's. */
    s = ask(
        r,
        "SELECT NOT (EXISTS (SELECT 1 FROM perche_capture) OR EXISTS (SELECT 1 FROM perche_rescan) OR EXISTS (SELECT 1 FROM perche_leaving)"
        " OR EXISTS (SELECT 1 FROM perche_wanted) OR EXISTS (SELECT 1 FROM perche_parked)"
        " OR EXISTS (SELECT 1 FROM perche_row WHERE first > ?1))");
    if (s != NULL)
        sqlite3_bind_int64(s, 1, (sqlite3_int64)r->node.acked);
    *yes = ask_row(r, s, "look whether digests are comparable") && (WITHOUT(B12_SITE_QUIET) || sqlite3_column_int(s, 0));
    sqlite3_finalize(s);
    return r->fail;
}

/* The buckets of the pairs whose sums differ from the hub's. */
static enum perche_rc ask_buckets(struct replica *r, const struct perche_digest_reply *theirs,
                                  struct list *l)
{
    struct list own = {0};
    uint8_t root[16], sums[DIGEST_BYTES];
    const struct perche_sum **order = in_order(r, theirs->sums, theirs->sums_count);
    uint32_t i = 0, j = 0, pairs = 0;

    if (order == NULL || level_0(r, 0, &own, root) != PERCHE_OK)
        goto out;
    while ((i < own.count || j < theirs->sums_count) && pairs < PAIRS_MAX && r->fail == PERCHE_OK) {
        int c = i == own.count            ? 1
                : j == theirs->sums_count ? -1
                                          : by_pair(&own.items[i], order[j]);
        struct perche_sum sum = {.scope = c <= 0 ? own.items[i].scope : order[j]->scope,
                                 .table = c <= 0 ? own.items[i].table : order[j]->table};
        bool same = c == 0 && own.items[i].rows == order[j]->rows &&
                    memcmp(own.items[i].sum, order[j]->sum, 16) == 0;
        uint32_t before = l->count;
        uint64_t rows;

        i += c <= 0;
        j += c >= 0;
        if (same)
            continue;
        pairs++;
        if (buckets_of(r, sum.scope, sum.table, sums, &rows) != PERCHE_OK)
            break;
        for (sum.bucket = 0; sum.bucket < DIGEST_BUCKETS && r->fail == PERCHE_OK; sum.bucket++) {
            memcpy(sum.sum, sums + (size_t)sum.bucket * 16, 16);
            if (memcmp(sum.sum, none, 16) != 0)
                (void)list_add(r, l, &sum, NULL);
        }
        sum.bucket = 0;
        memset(sum.sum, 0, 16);
        if (l->count == before && r->fail == PERCHE_OK)
            (void)list_add(r, l, &sum, NULL); /* names the pair all the same */
    }
out:
    free(order);
    list_free(&own);
    return r->fail;
}

/* How many further bits make the parts and then the rows of a part about equally many: 0, the rows at once. */
static enum perche_rc parts_wanted(struct replica *r, const struct perche_digest_reply *theirs,
                                   uint32_t *finer)
{
    const struct perche_sum **order = in_order(r, theirs->sums, theirs->sums_count);
    uint64_t most = 0;

    *finer = 0;
    for (uint32_t from = 0; order != NULL && from < theirs->sums_count && r->fail == PERCHE_OK;
         from = pair_end(order, from, theirs->sums_count)) {
        uint8_t sums[DIGEST_BYTES];
        uint64_t rows;

        if (buckets_of(r, order[from]->scope, order[from]->table, sums, &rows) == PERCHE_OK &&
            rows / DIGEST_BUCKETS > most)
            most = rows / DIGEST_BUCKETS;
    }
    if (most > BUCKET_ROWS_FEW)
        while (*finer < PERCHE_FINER_MAX && UINT64_C(1) << 2 * *finer < most)
            ++*finer;
    free(order);
    return r->fail;
}

/* The parts of the buckets that differ. */
static enum perche_rc ask_parts(struct replica *r, const struct perche_digest_reply *theirs,
                                uint32_t finer, struct list *l)
{
    const struct perche_sum **order = in_order(r, theirs->sums, theirs->sums_count);
    uint32_t named = 0;

    for (uint32_t from = 0, to; order != NULL && from < theirs->sums_count && r->fail == PERCHE_OK;
         from = to) {
        struct perche_sum sum = {.scope = order[from]->scope, .table = order[from]->table};
        uint8_t set[DIGEST_BUCKETS / 8] = {0};
        uint8_t(*sums)[16];

        to = pair_end(order, from, theirs->sums_count);
        if (named + (1u << finer) > PARTS_MAX)
            break;
        for (uint32_t i = from; i < to && named + (1u << finer) <= PARTS_MAX; i++)
            if (!wanted(set, order[i]->bucket % DIGEST_BUCKETS)) {
                want(set, order[i]->bucket % DIGEST_BUCKETS);
                named += 1u << finer;
            }
        sums = parts_of(r, sum.scope, sum.table, set, finer);
        for (uint32_t bucket = 0; sums != NULL && bucket < DIGEST_BUCKETS; bucket++) {
            uint32_t before = l->count;

            if (!wanted(set, bucket))
                continue;
            for (sum.bucket = bucket; sum.bucket < DIGEST_BUCKETS << finer && r->fail == PERCHE_OK;
                 sum.bucket += DIGEST_BUCKETS) {
                memcpy(sum.sum, sums[sum.bucket], 16);
                if (memcmp(sum.sum, none, 16) != 0)
                    (void)list_add(r, l, &sum, NULL);
            }
            sum.bucket = bucket;
            memset(sum.sum, 0, 16);
            if (l->count == before && r->fail == PERCHE_OK)
                (void)list_add(r, l, &sum, NULL); /* names the bucket all the same */
        }
        free(sums);
    }
    free(order);
    return r->fail;
}

/* The rows of the parts that differ, or of the buckets (@finer = 0). */
static enum perche_rc ask_rows(struct replica *r, const struct perche_digest_reply *theirs,
                               uint32_t finer, struct list *l)
{
    const struct perche_sum **order = in_order(r, theirs->sums, theirs->sums_count);

    for (uint32_t from = 0, to; order != NULL && from < theirs->sums_count && r->fail == PERCHE_OK;
         from = to) {
        struct perche_sum sum = {.scope = order[from]->scope, .table = order[from]->table};
        uint8_t set[PLACES_MAX / 8] = {0}, sums[DIGEST_BYTES];
        uint64_t rows, each;
        sqlite3_stmt *s;

        to = pair_end(order, from, theirs->sums_count);
        if (l->count >= COMPARE_ROWS_MAX ||
            buckets_of(r, sum.scope, sum.table, sums, &rows) != PERCHE_OK)
            break;
        each = rows / (DIGEST_BUCKETS << finer) + 2; /* about so many in a part, and its name */
        for (uint32_t i = from; i < to && l->count < COMPARE_ROWS_MAX; i++) {
            sum.bucket = order[i]->bucket % (DIGEST_BUCKETS << finer);
            if (wanted(set, sum.bucket) ||
                (i > from && l->count + (i - from) * each > COMPARE_ROWS_MAX))
                continue;
            want(set, sum.bucket);
            if (list_add(r, l, &sum, NULL) != PERCHE_OK)
                break;
        }
        s = live_rows(r, sum.scope, sum.table);
        while (ask_row(r, s, "read row digests")) {
            struct perche_bytes key = column_bytes(s, 0), digest = column_bytes(s, 1);

            sum.bucket = digest_place(key.p, key.n, finer);
            if (!wanted(set, sum.bucket) || digest.n != 16)
                continue;
            memcpy(sum.sum, digest.p, 16);
            if (list_add(r, l, &sum, &key) != PERCHE_OK)
                break;
        }
        sqlite3_finalize(s);
    }
    free(order);
    return r->fail;
}

enum perche_rc digest_build(struct replica *r, const struct work *w, struct outcome *o)
{
    struct perche_digest *d = &o->message.u.digest;
    const struct perche_digest_reply *above = &w->message.u.digest_reply;
    struct list l = {0}, all = {0};
    enum perche_rc rc = is_comparable(r, &o->comparable);

    if (rc != PERCHE_OK || !o->comparable)
        return rc;
    o->message.op = PERCHE_OP_DIGEST;
    d->scan = r->node.scan;
    d->acked = r->node.acked;
    d->done = r->node.done;
    d->level = w->level;
    if (w->level == PERCHE_LEVEL_ROWS)
        d->finer = above->finer;
    if (w->level == PERCHE_LEVEL_PARTS && (rc = parts_wanted(r, above, &d->finer)) == PERCHE_OK &&
        d->finer == 0)
        d->level = PERCHE_LEVEL_ROWS;
    if (rc != PERCHE_OK)
        return rc;
    switch (d->level) {
    case PERCHE_LEVEL_ROOT: rc = level_0(r, 0, &all, d->root); break;
    case PERCHE_LEVEL_BUCKETS: rc = ask_buckets(r, above, &l); break;
    case PERCHE_LEVEL_PARTS: rc = ask_parts(r, above, d->finer, &l); break;
    default: rc = ask_rows(r, above, d->finer, &l);
    }
    list_finish(&l);
    if (rc == PERCHE_OK)
        rc = list_send(r, &l, &o->message, &d->sums, &d->sums_count);
    list_free(&l);
    list_free(&all);
    return rc;
}

/* ---- a hub answers ----------------------------------------------------------------------------- */

/* Is there anything that the site would be sent, or that it has not confirmed? Then nothing can be said yet. */
static enum perche_rc is_quiet(struct replica *r, uint32_t site, const struct perche_digest *d,
                               bool *yes)
{
    struct peer p;
    struct meta m;
    sqlite3_stmt *s;
    enum perche_rc rc = peer_load(r, site, &p);

    *yes = WITHOUT(B12_HUB_QUIET);
    if (rc != PERCHE_OK || *yes || !p.known || p.have != d->acked || d->done > d->scan)
        return rc;
    s = ask(
        r,
        "SELECT EXISTS (SELECT 1 FROM perche_left WHERE site = ?1 AND lsn > ?2 AND ended = 0 AND NOT stays)"
        " OR EXISTS (SELECT 1 FROM perche_refusal WHERE site = ?1 AND lsn > ?2)"
        " OR EXISTS (SELECT 1 FROM perche_parked WHERE via = ?1)"
        " OR EXISTS (SELECT 1 FROM perche_rescan)" /* not compared yet, or gone: its digests are no proof */
        " OR EXISTS (SELECT 1 FROM perche_capture)"); /* what a program here has just written is not numbered yet */
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)d->scan);
    }
    *yes = ask_row(r, s, "look whether digests are comparable") && !sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    if (r->fail != PERCHE_OK || !*yes)
        return r->fail;
    s = ask(
        r,
        "SELECT r.tab, r.key, " META_COLUMNS
        " FROM (SELECT num AS held FROM perche_name WHERE text = '*' UNION"
        " SELECT scope FROM perche_scope_site WHERE site = ?1) CROSS JOIN perche_row r INDEXED BY perche_row_scope"
        " WHERE r.scope = held AND r.lsn > ?2");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)d->scan);
    }
    while (*yes && ask_row(r, s, "look for rows above a site's position")) {
        struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 0));
        struct perche_bytes key = column_bytes(s, 1);

        if (t == NULL || key.n > PERCHE_KEY_BYTES_MAX)
            continue;
        if (meta_unpack(r, t, s, 2, &m) != PERCHE_OK)
            break;
        memcpy(m.key, key.p, key.n);
        m.key_n = key.n;
        if (pull_would_send(r, site, &m, d->scan))
            *yes = false;
        meta_clear(&m);
    }
    sqlite3_finalize(s);
    return r->fail;
}

static bool holds(struct replica *r, const char *scope, uint32_t site)
{
    uint32_t num = strcmp(scope, "*") == 0 ? scope_all(r) : 0;
    sqlite3_stmt *s;

    if (num != 0)
        return true;
    s = ask(r,
            "SELECT num FROM perche_name WHERE text = ?1"); /* what a site says is not interned */
    ask_bind_text(s, 1, scope);
    if (ask_row(r, s, "look up a scope"))
        num = (uint32_t)sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return num != 0 && scope_holds(r, num, site);
}

static enum perche_rc answer_buckets(struct replica *r, uint32_t site,
                                     const struct perche_digest *d, struct list *l)
{
    const struct perche_sum **order = in_order(r, d->sums, d->sums_count);

    for (uint32_t from = 0, to, pairs = 0;
         order != NULL && from < d->sums_count && r->fail == PERCHE_OK; from = to) {
        struct perche_sum sum = {.scope = order[from]->scope, .table = order[from]->table};
        uint8_t ours[DIGEST_BYTES], theirs[DIGEST_BYTES] = {0};
        uint64_t rows;

        to = pair_end(order, from, d->sums_count);
        if (pairs++ == PAIRS_MAX)
            break;
        for (uint32_t i = from; i < to; i++)
            if (order[i]->bucket < DIGEST_BUCKETS)
                memcpy(theirs + (size_t)order[i]->bucket * 16, order[i]->sum, 16);
        memset(ours, 0,
               sizeof ours); /* of a scope that is not the site's we say that there is nothing */
        if (holds(r, sum.scope, site) &&
            buckets_of(r, sum.scope, sum.table, ours, &rows) != PERCHE_OK)
            break;
        for (sum.bucket = 0; sum.bucket < DIGEST_BUCKETS && r->fail == PERCHE_OK; sum.bucket++) {
            memcpy(sum.sum, ours + (size_t)sum.bucket * 16, 16);
            if (memcmp(sum.sum, theirs + (size_t)sum.bucket * 16, 16) != 0)
                (void)list_add(r, l, &sum, NULL);
        }
    }
    free(order);
    return r->fail;
}

/* The parts that differ, of the buckets whose parts the site names. */
static enum perche_rc answer_parts(struct replica *r, uint32_t site, const struct perche_digest *d,
                                   struct list *l)
{
    const struct perche_sum **order = in_order(r, d->sums, d->sums_count);
    const uint32_t places = DIGEST_BUCKETS << d->finer;
    uint32_t pairs = 0;

    for (uint32_t from = 0, to; order != NULL && from < d->sums_count && r->fail == PERCHE_OK;
         from = to) {
        struct perche_sum sum = {.scope = order[from]->scope, .table = order[from]->table};
        uint8_t set[DIGEST_BUCKETS / 8] = {0};
        uint8_t(*theirs)[16], (*ours)[16] = NULL;

        to = pair_end(order, from, d->sums_count);
        if (pairs++ == PAIRS_MAX)
            break;
        theirs = calloc(places, sizeof *theirs);
        if (theirs == NULL) {
            (void)nomem(r);
            break;
        }
        for (uint32_t i = from; i < to; i++)
            if (order[i]->bucket < places) {
                want(set, order[i]->bucket % DIGEST_BUCKETS);
                memcpy(theirs[order[i]->bucket], order[i]->sum, 16);
            }
        if (holds(r, sum.scope, site)) /* else we say that there is nothing */
            ours = parts_of(r, sum.scope, sum.table, set, d->finer);
        for (sum.bucket = 0;
             sum.bucket < places && l->count < PARTS_MAX && r->fail == PERCHE_OK; sum.bucket++) {
            memcpy(sum.sum, ours != NULL ? ours[sum.bucket] : none, 16);
            if (wanted(set, sum.bucket % DIGEST_BUCKETS) &&
                memcmp(sum.sum, theirs[sum.bucket], 16) != 0)
                (void)list_add(r, l, &sum, NULL);
        }
        free(ours);
        free(theirs);
    }
    free(order);
    return r->fail;
}

/* Calls for each row that differs: @known, does the hub know of that key at all? */
typedef enum perche_rc (*differs_cb)(void *ctx, const struct perche_sum *place,
                                     struct perche_bytes key, bool known, const uint8_t digest[16]);

/* Does the hub have the site's row as the site has it? Of a row that is not the site's its digest is not told: who
 * names a key could try values until they fit. */
static enum perche_rc compare_row(struct replica *r, uint32_t site, const struct perche_sum *sum,
                                  differs_cb on_differs, void *ctx)
{
    sqlite3_stmt *s = ask(
        r,
        "SELECT gen % 2 = 1 AND scope IS (SELECT num FROM perche_name WHERE text = ?1), substr(clock, 1, 16), scope"
        " FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = ?2) AND key = ?3");
    uint8_t digest[16] = {0};
    bool known, same = false;
    uint32_t scope = 0;

    ask_bind_text(s, 1, sum->scope);
    ask_bind_text(s, 2, sum->table);
    ask_bind_bytes(s, 3, sum->key);
    known = ask_row(r, s, "compare a row");
    if (known) {
        struct perche_bytes own = column_bytes(s, 1);

        if (own.n == 16)
            memcpy(digest, own.p, 16);
        same = sqlite3_column_int(s, 0) && memcmp(digest, sum->sum, 16) == 0;
        scope = (uint32_t)sqlite3_column_int64(s, 2);
    }
    sqlite3_finalize(s);
    if (known && !scope_holds(r, scope, site)) {
        memset(digest, 0, sizeof digest);
        same = false; /* nor by its absence from the answer */
    }
    if (r->fail != PERCHE_OK || same)
        return r->fail;
    return on_differs(ctx, sum, sum->key, known, digest);
}

static enum perche_rc compare_rows(struct replica *r, uint32_t site, const struct perche_digest *d,
                                   differs_cb on_differs, void *ctx)
{
    const struct perche_sum **order = in_order(r, d->sums, d->sums_count);

    for (uint32_t from = 0, to; order != NULL && from < d->sums_count && r->fail == PERCHE_OK;
         from = to) {
        uint8_t set[PLACES_MAX / 8] = {0};
        struct perche_sum place = {.scope = order[from]->scope, .table = order[from]->table};
        uint32_t first = from;
        sqlite3_stmt *s;

        to = pair_end(order, from, d->sums_count);
        for (; first < to && order[first]->key.n == 0; first++)
            if (order[first]->bucket < PLACES_MAX)
                want(set, order[first]->bucket);
        for (uint32_t i = first; i < to && r->fail == PERCHE_OK; i++)
            if (order[i]->key.n <= PERCHE_KEY_BYTES_MAX)
                (void)compare_row(r, site, order[i], on_differs, ctx);
        if (r->fail != PERCHE_OK || !holds(r, place.scope, site))
            continue; /* rows that are not the site's are not named to it */
        s = live_rows(r, place.scope, place.table);
        while (ask_row(r, s, "read row digests")) {
            struct perche_bytes key = column_bytes(s, 0), digest = column_bytes(s, 1);
            uint32_t low = first, high = to;

            place.bucket = digest_place(key.p, key.n, d->finer);
            if (!wanted(set, place.bucket) || digest.n != 16)
                continue;
            while (low < high) {
                uint32_t mid = low + (high - low) / 2;

                if (by_key(&order[mid]->key, &key) < 0)
                    low = mid + 1;
                else
                    high = mid;
            }
            if (low < to && by_key(&order[low]->key, &key) == 0)
                continue; /* the site has it: compared above */
            if (on_differs(ctx, &place, key, true, digest.p) != PERCHE_OK)
                break;
        }
        sqlite3_finalize(s);
    }
    free(order);
    return r->fail;
}

struct naming {
    struct replica *r;
    struct list *list;
};

static enum perche_rc name_row(void *ctx, const struct perche_sum *place, struct perche_bytes key,
                               bool known, const uint8_t digest[16])
{
    struct naming *n = ctx;
    struct perche_sum sum = *place;

    if (n->list->count >= COMPARE_ROWS_MAX)
        return PERCHE_OK; /* the next pass finds the rest */
    sum.bucket = digest_bucket(key.p, key.n);
    sum.rows = known;
    memcpy(sum.sum, digest, 16);
    return list_add(n->r, n->list, &sum, &key);
}

enum perche_rc digest_answer(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_digest *d = &w->message.u.digest;
    struct perche_digest_reply *reply = &o->message.u.digest_reply;
    uint32_t site = name_number(r, w->site);
    struct list l = {0};
    struct naming naming = {r, &l};
    uint8_t root[16];
    bool quiet = false;
    enum perche_rc rc;

    if (site == 0)
        return r->fail;
    rc = is_quiet(r, site, d, &quiet);
    if (rc != PERCHE_OK)
        return rc;
    o->message.op = PERCHE_OP_DIGEST;
    o->message.reply = true;
    reply->clock_ms = w->now_ms;
    reply->lsn = r->node.lsn;
    reply->finer = d->finer;
    reply->answer = quiet ? PERCHE_DIFFERS : PERCHE_LATER;
    if (quiet && d->level == PERCHE_LEVEL_ROOT) {
        rc = level_0(r, site, &l, root);
        if (rc == PERCHE_OK && memcmp(root, d->root, 16) == 0)
            reply->answer = PERCHE_EQUAL;
    } else if (quiet && d->level == PERCHE_LEVEL_BUCKETS) {
        rc = answer_buckets(r, site, d, &l);
    } else if (quiet && d->level == PERCHE_LEVEL_PARTS) {
        rc = answer_parts(r, site, d, &l);
    } else if (quiet) {
        rc = compare_rows(r, site, d, name_row, &naming);
    }
    list_finish(&l);
    if (rc == PERCHE_OK && reply->answer == PERCHE_DIFFERS)
        rc = list_send(r, &l, &o->message, &reply->sums, &reply->sums_count);
    list_free(&l);
    return rc;
}

/* ---- within a pull ----------------------------------------------------------------------------- */

/* Nothing for the site lies above an answer that is the last one of its snapshot: what is not quiet is what waits here. */
enum perche_rc snapshot_give(struct replica *r, uint32_t site, const struct perche_pull *ask,
                             struct perche_pull_reply *reply)
{
    struct perche_digest d = {.scan = reply->scan, .acked = reply->have, .done = ask->done};
    struct list l = {0};
    bool quiet = false;
    enum perche_rc rc = is_quiet(r, site, &d, &quiet);

    if (rc == PERCHE_OK && quiet)
        rc = level_0(r, site, &l, reply->root);
    if (rc == PERCHE_OK && quiet)
        reply->root_ms = r->now_ms;
    list_free(&l);
    return rc;
}

/* In the transaction that has applied the answer: what is here now is what was compared. */
enum perche_rc snapshot_take(struct replica *r, const struct perche_pull_reply *reply,
                             struct outcome *o)
{
    struct list l = {0};
    uint8_t root[16];
    enum perche_rc rc;

    if (reply->root_ms == 0 || reply->more || reply->have != r->node.acked)
        return PERCHE_OK; /* not given; or of before the hub had what we know as acknowledged */
    rc = is_comparable(r, &o->comparable);
    if (rc != PERCHE_OK || !o->comparable)
        return rc;
    rc = digests_store(r); /* the sums of what was just applied */
    if (rc == PERCHE_OK)
        rc = level_0(r, 0, &l, root);
    o->equal = rc == PERCHE_OK && memcmp(root, reply->root, 16) == 0;
    if (o->equal) {
        r->node.proven_ms = reply->root_ms;
        r->node.returns = 0;
        r->node_dirty = true;
    }
    list_free(&l);
    return rc;
}

/* ---- repair ---------------------------------------------------------------------------------------- */

struct repair {
    struct replica *r;
    uint32_t site;
    uint64_t begun;   /* our lsn before */
    struct list rows; /* to be repaired: the statement that finds them must not see them move */
};

static enum perche_rc note_row(void *ctx, const struct perche_sum *place, struct perche_bytes key,
                               bool known, const uint8_t digest[16])
{
    struct repair *p = ctx;

    (void)digest;
    if (!known || p->rows.count >= COMPARE_ROWS_MAX)
        return PERCHE_OK; /* what we lack the site sends */
    return list_add(p->r, &p->rows, place, &key);
}

/* A row, dead or alive, goes whole to the site again; one that is not the site's gets a mark. */
static enum perche_rc repair_row(struct repair *p, struct table *t, struct perche_bytes key,
                                 uint64_t *repaired)
{
    struct replica *r = p->r;
    struct meta m;
    enum perche_rc rc = meta_load(r, t, key, &m);

    if (rc != PERCHE_OK)
        return rc;
    if (!m.stored || m.entered > p->begun) {
        meta_clear(&m);
        return PERCHE_OK;
    }
    if (scope_holds(r, m.scope, p->site)) {
        m.lsn = m.entered = next_lsn(r);
        m.flags &= ~(uint32_t)META_AGREED; /* it goes to its author as well */
        rc = meta_save(r, &m);
        if (rc == PERCHE_OK)
            rc = scope_woken(r, m.scope, 0);
    } else if (!WITHOUT(B23_SHOWN_OUTSIDE)) {
        sqlite3_stmt *s = sql(r, SQL_LEFT_PUT);

        sqlite3_bind_int64(s, 1, p->site);
        sqlite3_bind_int64(s, 2, t->num);
        sqlite3_bind_blob(s, 3, key.p, (int)key.n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 4, (sqlite3_int64)next_lsn(r));
        sqlite3_bind_int(s, 5, 0);
        sqlite3_bind_int(s, 6, 0); /* who had it has the right by the mark of then */
        rc = sql_run(r, s, "mark a row as left");
        if (rc == PERCHE_OK)
            rc = woken_add(r, p->site);
    }
    if (rc == PERCHE_OK)
        ++*repaired;
    meta_clear(&m);
    return rc;
}

enum perche_rc digest_repair(struct replica *r, const struct work *w, struct outcome *o)
{
    struct repair p = {.r = r, .site = name_number(r, w->site), .begun = r->node.lsn};
    enum perche_rc rc;

    if (p.site == 0)
        return r->fail;
    if (w->message.u.digest.level != PERCHE_LEVEL_ROWS)
        return fail(r, PERCHE_INTERNAL, "a repair without keys");
    rc = compare_rows(r, p.site, &w->message.u.digest, note_row, &p);
    list_finish(&p.rows);
    for (uint32_t i = 0; rc == PERCHE_OK && i < p.rows.count; i++) {
        struct table *t = registry_table(r, p.rows.items[i].table);

        if (t != NULL && t->present)
            rc = repair_row(&p, t, p.rows.items[i].key, &o->rows);
    }
    list_free(&p.rows);
    return rc;
}

/* The hub knows nothing of this row: what was written here is sent again, whole; the rest is asked for, and goes
 * when the hub says that it is not ours. */
static enum perche_rc send_again(struct replica *r, struct table *t, struct perche_bytes key,
                                 uint64_t *repaired)
{
    struct meta m;
    bool own = false;
    enum perche_rc rc = meta_load(r, t, key, &m);

    if (rc != PERCHE_OK)
        return rc;
    /* back from below the floor: it was deleted there without a trace */
    for (uint32_t num = 0; !r->node.returns && num < m.count; num++)
        own |= m.cells[num].written && m.cells[num].origin == r->node.site_num;
    if (!m.stored || !meta_alive(&m)) {
        meta_clear(&m);
        return PERCHE_OK;
    }
    if (own) {
        m.lsn = m.entered = m.first = next_lsn(r);
        m.flags |= META_FRESH;
        m.flags &= ~(uint32_t)META_PAIR;
        m.full = m.scan = 0;
        for (uint32_t num = 0; num < m.count; num++) {
            struct clock_cell *c = &m.cells[num];

            if (!c->written)
                continue;
            c->lsn = m.lsn;
            c->via = VIA_LOCAL;
            c->fixed = true; /* it was acknowledged once: its stamp stays */
            c->based = false;
        }
        rc = meta_save(r, &m);
    } else {
        sqlite3_stmt *s = sql(r, SQL_WANTED_PUT);

        sqlite3_bind_int64(s, 1, t->num);
        sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, (sqlite3_int64)r->node.lsn);
        sqlite3_bind_int64(s, 4, 1); /* its image: an absent one is dropped */
        rc = sql_run(r, s, "want a row");
    }
    if (rc == PERCHE_OK)
        ++*repaired;
    meta_clear(&m);
    return rc;
}

enum perche_rc digest_take(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_digest_reply *reply = &w->message.u.digest_reply;
    const char *table = "";
    enum perche_rc rc = PERCHE_OK;

    if (reply->answer == PERCHE_EQUAL) {
        r->node.proven_ms = reply->clock_ms;
        r->node.returns = 0;
        r->node_dirty = true;
        return PERCHE_OK;
    }
    if (reply->answer != PERCHE_DIFFERS || w->level != PERCHE_LEVEL_ROWS)
        return PERCHE_OK;
    for (uint32_t i = 0; rc == PERCHE_OK && i < reply->sums_count; i++) {
        const struct perche_sum *sum = &reply->sums[i];
        struct table *t;

        if (sum->table[0] != '\0')
            table = sum->table; /* else that of the sum before */
        t = sum->key.n > 0 && sum->key.n <= PERCHE_KEY_BYTES_MAX ? registry_table(r, table) : NULL;
        if (t == NULL || !t->present)
            continue;
        if (sum->rows == 0)
            rc = send_again(r, t, sum->key, &o->rows);
        else /* the hub's row is on its way; what was changed here unseen is an edit, and not for it to undo */
            rc = audit_differs(r, t, sum->key);
    }
    return rc;
}
