/* Pull: what the hub has for a site, in order of positions, and what the site makes of it.
 *
 * A position is a pair (full, scan): rows of the site's scopes with lsn > scan in
 * order, of each the cells newer than full, or all when it entered the scope after
 * full. `scan` moves with each answer, `full` only with the one that says "no more":
 * one number for both loses the older cells of a row that moves up in between. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/floor.h"
#include "replica/pack.h"
#include "replica/position.h"
#include "replica/refused.h"
#include "replica/statements.h"

#define PAGE_ROWS PERCHE_BOUND(512u, 3u)       /* index entries read of a scope at a time */
#define LOOKED_MAX PERCHE_BOUND(20000u, 10u)    /* entries an answer looks at: the site's own are skipped, and a read transaction stays short */
#define LEAVING_MAX PERCHE_BOUND(500u, 1u)      /* rows that leave a site in one transaction */
#define NEWS_LOOKED PERCHE_BOUND(64u, 2u)
#define NOTHING_LOOKED (2 * PAGE_ROWS) /* of one site: the hub looks at many of them in one write transaction (floor.c) */

/* ---- the hub answers ------------------------------------------------------------ */

enum entry_kind { ENTRY_ROW = 1, ENTRY_LEFT, ENTRY_REFUSAL };

struct entry {
    uint64_t lsn;
    uint32_t tab, key_n;
    enum entry_kind kind;
    uint8_t *key;            /* in the list's own memory */
    char *columns, *reason;  /* refusal */
};

struct entries {
    struct entry *items;
    uint32_t count, cap;
    uint64_t cut;            /* complete up to this position */
    bool cut_short;
};

static void entries_free(struct entries *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        free(e->items[i].key);
        free(e->items[i].columns);
        free(e->items[i].reason);
    }
    free(e->items);
}

static char *copy_text(const unsigned char *t)
{
    return t == NULL ? NULL : strdup((const char *)t);
}

static enum perche_rc entries_add(struct replica *r, struct entries *e, enum entry_kind kind, sqlite3_stmt *s)
{
    struct entry *it;

    if (e->count == e->cap) {
        uint32_t cap = e->cap ? 2 * e->cap : 256;
        struct entry *more = realloc(e->items, cap * sizeof *more);

        if (more == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for an answer");
        e->items = more;
        e->cap = cap;
    }
    it = &e->items[e->count];
    *it = (struct entry){.lsn = (uint64_t)sqlite3_column_int64(s, 0), .tab = (uint32_t)sqlite3_column_int64(s, 1), .kind = kind,
                         .key_n = (uint32_t)sqlite3_column_bytes(s, 2)};
    it->key = malloc(it->key_n ? it->key_n : 1);
    if (it->key == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for an answer");
    memcpy(it->key, sqlite3_column_blob(s, 2), it->key_n);
    e->count++;
    if (kind == ENTRY_REFUSAL) {
        it->columns = copy_text(sqlite3_column_text(s, 3));
        it->reason = copy_text(sqlite3_column_text(s, 4));
        if (it->columns == NULL || it->reason == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for an answer");
    }
    return PERCHE_OK;
}

static void cut_at(struct entries *e, uint64_t lsn)
{
    e->cut_short = true;
    if (lsn < e->cut)
        e->cut = lsn;
}

static enum perche_rc entries_of_scope(struct replica *r, struct entries *e, uint32_t scope, uint64_t scan, uint32_t limit)
{
    sqlite3_stmt *s = sql(r, SQL_SCOPE_ROWS);
    uint64_t last = 0;
    uint32_t n = 0;
    enum perche_rc rc = PERCHE_OK;

    sqlite3_bind_int64(s, 1, scope);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)scan);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)e->cut);
    sqlite3_bind_int64(s, 4, limit);
    while (rc == PERCHE_OK && sql_row(r, s)) {
        rc = entries_add(r, e, ENTRY_ROW, s);
        last = (uint64_t)sqlite3_column_int64(s, 0);
        n++;
    }
    if (n == limit)
        cut_at(e, last);
    sql_done(s);
    return rc;
}

static enum perche_rc entries_of_marks(struct replica *r, struct entries *e, enum statement_id id, enum entry_kind kind,
                                       uint32_t site, uint64_t scan)
{
    sqlite3_stmt *s = sql(r, id);
    uint64_t last = 0;
    uint32_t n = 0;
    enum perche_rc rc = PERCHE_OK;

    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)scan);
    sqlite3_bind_int64(s, 3, PAGE_ROWS);
    while (rc == PERCHE_OK && sql_row(r, s)) {
        rc = entries_add(r, e, kind, s);
        last = (uint64_t)sqlite3_column_int64(s, 0);
        n++;
    }
    if (n == PAGE_ROWS)
        cut_at(e, last);
    sql_done(s);
    return rc;
}

static int by_lsn(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;

    return a->lsn < b->lsn ? -1 : a->lsn > b->lsn;
}

/* Everything for the site above @scan, in order, complete up to e->cut. */
static enum perche_rc entries_read(struct replica *r, uint32_t site, uint64_t scan, uint32_t limit, struct entries *e)
{
    uint32_t *held = NULL, held_n = 0, cap = 0;
    sqlite3_stmt *s;
    enum perche_rc rc = PERCHE_OK;

    e->cut = r->node.lsn;
    s = sql(r, SQL_SCOPES_OF);
    sqlite3_bind_int64(s, 1, site);
    for (uint32_t scope = scope_all(r); rc == PERCHE_OK && scope != 0;) {
        if (held_n == cap) {
            uint32_t *more;

            cap = cap ? 2 * cap : 64;
            more = realloc(held, cap * sizeof *held);
            if (more == NULL)
                rc = fail(r, PERCHE_NOMEM, "no memory for scopes");
            else
                held = more;
        }
        if (rc == PERCHE_OK)
            held[held_n++] = scope;
        scope = sql_row(r, s) ? (uint32_t)sqlite3_column_int64(s, 0) : 0;
    }
    sql_done(s);
    for (uint32_t i = 0; rc == PERCHE_OK && i < held_n; i++)
        rc = entries_of_scope(r, e, held[i], scan, limit);
    free(held);
    if (rc == PERCHE_OK)
        rc = entries_of_marks(r, e, SQL_LEFT_ROWS, ENTRY_LEFT, site, scan);
    if (rc == PERCHE_OK && !WITHOUT(B8_REFUSAL_ENTRY))
        rc = entries_of_marks(r, e, SQL_REFUSAL_ROWS, ENTRY_REFUSAL, site, scan);
    if (e->count > 1 && !WITHOUT(B6_ONE_ORDER))
        qsort(e->items, e->count, sizeof *e->items, by_lsn);
    return rc != PERCHE_OK ? rc : r->fail;
}

struct receiver {
    uint32_t site;
    uint64_t full, eplsn;
};

static bool came_from(const struct receiver *to, const struct clock_cell *c)
{
    return c->via == to->site && (c->lsn > to->eplsn || WITHOUT(A13_PRESENT_EPOCH));
}

/* What of the row the receiver is sent: true and the mask (its generation's event: *gen), or false. */
static bool selects(const struct receiver *to, const struct meta *m, bool *whole, bool *gen, uint64_t *mask)
{
    const struct clock_cell *g = &m->cells[0];

    /* Its author named the scope it has: he needs no echo of what he sent. */
    *whole = !WITHOUT(B21_ENTERED_WHOLE) && m->entered > to->full && !((m->flags & META_AGREED) && m->entered == g->lsn && came_from(to, g));
    *gen = *whole || (g->lsn > to->full && !came_from(to, g));
    *mask = 0;
    for (uint32_t num = 1; num < m->count; num++) {
        const struct clock_cell *c = &m->cells[num];

        if (c->written && (*whole || (c->lsn > to->full && !came_from(to, c))))
            *mask |= UINT64_C(1) << (num - 1);
    }
    return *whole || *gen || *mask != 0;
}

bool pull_would_send(struct replica *r, uint32_t site, const struct meta *m, uint64_t full)
{
    struct peer p;
    struct receiver to = {.site = site, .full = full};
    bool whole, gen;
    uint64_t mask;

    if (peer_load(r, site, &p) != PERCHE_OK)
        return true;
    to.eplsn = p.eplsn;
    return selects(&to, m, &whole, &gen, &mask);
}

static enum perche_rc send_row(struct pack *p, const struct receiver *to, struct table *t, struct perche_bytes key, bool *waits)
{
    struct replica *r = p->r;
    struct meta m;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool whole, gen;
    uint64_t mask;
    enum perche_rc rc = meta_load(r, t, key, &m);

    if (rc != PERCHE_OK)
        return rc;
    if (m.stored && selects(to, &m, &whole, &gen, &mask)) {
        bool settled, there;

        rc = row_settled(r, &m, values, &settled, &there);
        *waits = rc == PERCHE_OK && !settled;
        if (rc == PERCHE_OK && settled && there) /* else the comparison tells what becomes of it */
            rc = pack_row(p, &m, values, mask, (whole ? PERCHE_ROW_WHOLE : 0u) | (gen ? PERCHE_ROW_GEN : 0u), 0, 0, false);
    }
    meta_clear(&m);
    return rc;
}

/* A row whole, or its absence, if it is in the asker's scopes. */
static enum perche_rc send_whole(struct pack *p, uint32_t site, const struct perche_want *want, uint32_t flags)
{
    struct replica *r = p->r;
    struct table *t = registry_table(r, want->table);
    struct meta m;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    enum perche_rc rc;

    if (t == NULL || want->key.n > PERCHE_KEY_BYTES_MAX)
        return PERCHE_OK;
    rc = meta_load(r, t, want->key, &m);
    if (rc != PERCHE_OK)
        return rc;
    if (m.stored && scope_holds(r, m.scope, site)) {
        bool settled, there;

        rc = row_settled(r, &m, values, &settled, &there);
        if (rc == PERCHE_OK && settled && there) /* else it is asked for again */
            rc = pack_row(p, &m, values, UINT64_MAX, PERCHE_ROW_WHOLE | PERCHE_ROW_GEN | flags, 0, 0, false);
    } else {
        struct perche_notice n = {.kind = PERCHE_ABSENT, .table = t->name, .key = want->key, .reason = "", .columns = ""};

        if (!perche_batch_notice(p->batch, &n))
            rc = fail(r, PERCHE_NOMEM, "no memory for an answer");
    }
    meta_clear(&m);
    return rc;
}

static enum perche_rc send_entry(struct pack *p, const struct receiver *to, const struct entry *it, bool *waits)
{
    struct table *t = registry_table_num(p->r, it->tab);
    struct perche_notice n = {.kind = it->kind == ENTRY_LEFT ? PERCHE_LEFT : PERCHE_REFUSAL, .lsn = it->lsn,
                              .key = {it->key, it->key_n}, .reason = it->reason ? it->reason : "", .columns = it->columns ? it->columns : ""};

    *waits = false;
    if (t == NULL)
        return PERCHE_OK;
    if (it->kind == ENTRY_ROW)
        return send_row(p, to, t, (struct perche_bytes){it->key, it->key_n}, waits);
    n.table = t->name;
    return perche_batch_notice(p->batch, &n) ? PERCHE_OK : fail(p->r, PERCHE_NOMEM, "no memory for an answer");
}

struct answer {
    struct pack pack;
    const struct perche_pull *ask;
    struct receiver to;
    uint64_t scan;
    size_t full_at;
    bool more, waits;
};

/* Nothing is rolled back at a site while a restored hub has not seen all: asked for again, as what has no room. */
static enum perche_rc add_images(struct answer *a)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && i < a->ask->wants_count && !pack_full(&a->pack, a->full_at) && (WITHOUT(C7_NO_ROLLBACK) || !recovering(a->pack.r)); i++)
        rc = send_whole(&a->pack, a->to.site, &a->ask->wants[i], PERCHE_ROW_IMAGE);
    return rc;
}

static enum perche_rc add_entries(struct answer *a)
{
    uint64_t from = a->ask->scan;
    uint32_t looked = 0;
    enum perche_rc rc = PERCHE_OK;

    a->scan = from;
    a->more = true;
    a->waits = false;
    while (rc == PERCHE_OK && a->more && !a->waits && looked < LOOKED_MAX && (a->scan == from || !pack_full(&a->pack, a->full_at))) {
        struct entries e = {0};
        uint32_t i = 0;

        rc = entries_read(a->pack.r, a->to.site, a->scan, PAGE_ROWS, &e);
        a->more = e.cut_short;
        for (; rc == PERCHE_OK && i < e.count && e.items[i].lsn <= e.cut; i++) {
            if (pack_full(&a->pack, a->full_at) && e.items[i].lsn > a->scan && a->scan > from) { /* whatever images there are: an answer that does not move is none */
                a->more = true;
                break;
            }
            rc = send_entry(&a->pack, &a->to, &e.items[i], &a->waits);
            if (a->waits)
                break;
            a->scan = e.items[i].lsn;
        }
        if (rc == PERCHE_OK && !a->waits && (i == e.count || e.items[i].lsn > e.cut) && a->scan < e.cut)
            a->scan = e.cut;
        looked += e.count;
        entries_free(&e);
    }
    return rc;
}

enum perche_rc pull_answer(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_pull *ask = &w->message.u.pull;
    struct perche_pull_reply *reply = &o->message.u.pull_reply;
    uint32_t site = name_number(r, w->site), bytes = w->bytes_max ? w->bytes_max : PERCHE_BATCH_BYTES_MIN;
    struct answer a = {.ask = ask, .to = {.site = site, .full = ask->full}, .full_at = (size_t)bytes * 3}; /* raw bytes: about a third of it on the line */
    struct peer peer;
    enum perche_rc rc;

    if (site == 0)
        return r->fail;
    rc = peer_load(r, site, &peer);
    if (rc == PERCHE_OK)
        rc = pack_begin(&a.pack, r);
    if (rc != PERCHE_OK)
        return rc;
    a.to.eplsn = peer.eplsn;
    o->message.op = PERCHE_OP_PULL;
    o->message.reply = true;
    rc = add_images(&a);
    if (rc == PERCHE_OK)
        rc = add_entries(&a);
    if (rc == PERCHE_OK && !pack_fits(&a.pack)) { /* an image and an entry, each as large as half a message: the image has its turn when it is asked for again */
        pack_clear(&a.pack);
        rc = add_entries(&a);
    }
    if (a.waits) /* a row has a change that waits to be harvested: up to there; it is news once more when it was */
        a.more = a.scan > ask->scan;
    else if (!a.more)
        a.scan = r->node.lsn;
    *reply = (struct perche_pull_reply){.from_full = ask->full, .from_scan = ask->scan, .full = (a.more || a.waits) && !WITHOUT(A1_PULL_PAIR) ? ask->full : a.scan, .scan = a.scan,
                                        .more = a.more, .asof = WITHOUT(A12_AS_OF) ? mark_at(r, a.scan) : (struct perche_pos){r->node.lsn, r->node.mark}, .life = r->node.life, .have = peer.have,
                                        .floor = r->node.floor};
    o->rows = perche_batch_rows(a.pack.batch);
    o->more = a.more;
    if (rc == PERCHE_OK && ask->compare && !a.more && !a.waits)
        rc = snapshot_give(r, site, ask, reply);
    if (rc == PERCHE_OK && (o->rows > 0 || a.pack.batch->notices_count > 0))
        rc = pack_message(&a.pack, &o->message, &reply->batch);
    pack_end(&a.pack);
    return rc;
}

enum perche_rc rows_answer(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_rows *ask = &w->message.u.rows;
    struct perche_rows_reply *reply = &o->message.u.rows_reply;
    uint32_t site = name_number(r, w->site);
    struct pack p;
    struct peer peer;
    enum perche_rc rc = site == 0 ? r->fail : peer_load(r, site, &peer);

    if (rc == PERCHE_OK)
        rc = pack_begin(&p, r);
    if (rc != PERCHE_OK)
        return rc;
    for (uint32_t i = 0; rc == PERCHE_OK && i < ask->wants_count && !pack_full(&p, 3 * PERCHE_BATCH_BYTES_MAX); i++) /* the rest is asked for again */
        rc = send_whole(&p, site, &ask->wants[i], 0);
    o->message.op = PERCHE_OP_ROWS;
    o->message.reply = true;
    *reply = (struct perche_rows_reply){.have = peer.have};
    o->rows = perche_batch_rows(p.batch);
    if (rc == PERCHE_OK)
        rc = pack_message(&p, &o->message, &reply->batch);
    pack_end(&p);
    return rc;
}

/* The first of these that would be sent; UINT64_MAX: none. */
static enum perche_rc first_for(struct replica *r, uint32_t site, const struct entries *e, uint64_t full, uint64_t *lsn)
{
    enum perche_rc rc = PERCHE_OK;

    *lsn = UINT64_MAX;
    for (uint32_t i = 0; rc == PERCHE_OK && i < e->count; i++) {
        const struct entry *it = &e->items[i];
        struct table *t = registry_table_num(r, it->tab);
        struct meta m;
        bool sends = true;

        if (it->kind == ENTRY_ROW && t == NULL)
            continue;
        if (it->kind == ENTRY_ROW) {
            rc = meta_load(r, t, (struct perche_bytes){it->key, it->key_n}, &m);
            sends = rc == PERCHE_OK && m.stored && pull_would_send(r, site, &m, full);
            meta_clear(&m);
        }
        if (sends) {
            *lsn = it->lsn;
            break;
        }
    }
    return rc;
}

/* Is there anything for the site above its scan? */
enum perche_rc news(struct replica *r, const struct work *w, struct outcome *o)
{
    uint32_t site = name_number(r, w->site);
    struct entries e = {0};
    uint64_t first = UINT64_MAX;
    enum perche_rc rc = site == 0 ? r->fail : entries_read(r, site, w->scan, NEWS_LOOKED, &e);

    if (rc == PERCHE_OK && !e.cut_short)
        rc = first_for(r, site, &e, w->full, &first);
    o->news = rc == PERCHE_OK && (e.cut_short || first != UINT64_MAX);
    entries_free(&e);
    return rc;
}

enum perche_rc pull_nothing_for(struct replica *r, uint32_t site, uint64_t *lsn)
{
    uint64_t full = *lsn;
    uint32_t looked = 0;
    bool more = true;
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && more && looked < NOTHING_LOOKED) {
        struct entries e = {0};
        uint64_t first = UINT64_MAX;

        rc = entries_read(r, site, *lsn, PAGE_ROWS, &e);
        if (rc == PERCHE_OK)
            rc = first_for(r, site, &e, full, &first);
        if (rc == PERCHE_OK && first <= e.cut)
            *lsn = first - 1;
        else if (rc == PERCHE_OK)
            *lsn = e.cut;
        more = e.cut_short && first > e.cut;
        looked += e.count;
        entries_free(&e);
    }
    return rc;
}

/* ---- the site asks ---------------------------------------------------------------- */

static bool waits(struct replica *r)
{
    sqlite3_stmt *s = sql(r, SQL_WAITS_ANY);
    bool any = sql_row(r, s) && sqlite3_column_int(s, 0) != 0;

    sql_done(s);
    return any;
}

/* Has the row anything that the hub does not have yet? */
static bool row_unpushed(struct replica *r, struct table *t, struct perche_bytes key)
{
    struct meta m;
    bool dirty = false;
    struct merge_peer peer = {.via = VIA_HUB, .acked = r->node.acked};

    if (meta_load(r, t, key, &m) == PERCHE_OK)
        dirty = m.stored && merge_dirty(&peer, &m);
    meta_clear(&m);
    return dirty;
}

static enum perche_rc wanted(struct replica *r, int kind, bool clean_only, struct outcome *o, struct perche_want **out, uint32_t *count)
{
    sqlite3_stmt *s = sql(r, SQL_WANTED_ROWS);
    struct perche_want *wants = perche_message_alloc(&o->message, PERCHE_KEYS_MAX * sizeof *wants);
    uint32_t n = 0;

    if (wants == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a request");
    sqlite3_bind_int(s, 1, kind);
    sqlite3_bind_int(s, 2, (int)PERCHE_KEYS_MAX);
    while (sql_row(r, s)) {
        struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 0));
        struct perche_bytes key = {sqlite3_column_blob(s, 1), (uint32_t)sqlite3_column_bytes(s, 1)};

        if (t == NULL || (clean_only && row_unpushed(r, t, key)))
            continue;
        {
            struct perche_want one = {t->name, key}, *copy = outcome_wants(o, &one, 1);

            if (copy == NULL) {
                sql_done(s);
                return fail(r, PERCHE_NOMEM, "no memory for a request");
            }
            wants[n++] = copy[0];
        }
    }
    sql_done(s);
    *out = wants;
    *count = n;
    return r->fail;
}

enum perche_rc pull_build(struct replica *r, const struct work *w, struct outcome *o)
{
    struct perche_pull *ask = &o->message.u.pull;

    (void)w;
    o->message.op = PERCHE_OP_PULL;
    *ask = (struct perche_pull){.full = r->node.full, .scan = r->node.scan, .done = r->node.done, .proven_ms = r->node.proven_ms};
    return wanted(r, 1, true, o, &ask->wants, &ask->wants_count);
}

/* ---- the site applies --------------------------------------------------------------- */

static enum perche_rc end_entry(struct replica *r, enum statement_id id, struct table *t, struct perche_bytes key, int kind)
{
    sqlite3_stmt *s = sql(r, id);

    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
    if (kind != 0)
        sqlite3_bind_int(s, 3, kind);
    return sql_run(r, s, "end what waited");
}

/* The oldest mark. false: there is none, or its table is not known here. */
static bool next_leaving(struct replica *r, struct table **t, uint8_t *key, uint32_t *key_n)
{
    sqlite3_stmt *s = sql(r, SQL_LEAVING_ROWS);
    bool any = sql_row(r, s);

    if (any) {
        *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 0));
        *key_n = (uint32_t)sqlite3_column_bytes(s, 1);
        memcpy(key, sqlite3_column_blob(s, 1), *key_n);
    }
    sql_done(s);
    return any && *t != NULL;
}

/* The row goes, and its mark. @gone: false: it stays for now, and those behind it. */
static enum perche_rc drop_marked(struct replica *r, struct table *t, struct perche_bytes key, bool *gone)
{
    struct meta m;
    bool unseen = false, kept;
    enum perche_rc rc = t->present ? audit_leaving(r, t, key, &unseen) : PERCHE_OK;

    *gone = false;
    if (rc != PERCHE_OK || unseen) /* that goes first */
        return rc;
    rc = meta_load(r, t, key, &m);
    if (rc == PERCHE_OK)
        rc = applying_begin(r);
    if (rc == PERCHE_OK && m.flags & META_HELD) /* its deletion, which nobody else has heard of, is not asked about any more */
        rc = refused_held(r, &m);
    if (rc == PERCHE_OK)
        rc = row_drop(r, &m);
    kept = refused_here(r); /* by a program's trigger: it goes when that is gone */
    if (rc == PERCHE_OK || kept)
        rc = applying_end(r);
    meta_clear(&m);
    if (rc != PERCHE_OK || kept)
        return rc;
    rc = end_entry(r, SQL_LEAVING_END, t, key, 0);
    if (rc == PERCHE_OK)
        rc = end_entry(r, SQL_WANTED_END, t, key, 1);
    *gone = rc == PERCHE_OK;
    return rc;
}

/* Marks are carried out when nothing at all waits to be pushed: no row nor dependant of it can then be unsent; and when a
 * complete answer has said what of it was refused: the values go with the row. */
enum perche_rc carry_out(struct replica *r, bool *more)
{
    uint64_t waiting = push_pending(r, r->node.acked);
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n = 0, rows = 0;
    struct table *t = NULL;
    sqlite3_stmt *s;
    bool captured, may, gone = true;
    enum perche_rc rc;

    *more = false;
    if (r->node.must)
        return PERCHE_OK;
    s = sql(r, SQL_CAPTURE_ANY);
    captured = sql_row(r, s);
    rc = r->fail;
    sql_done(s);
    may = (waiting == 0 && !captured && r->node.had >= r->node.acked) || WITHOUT(B4_DEFER);
    while (rc == PERCHE_OK && may && gone && !*more && next_leaving(r, &t, key, &key_n)) {
        *more = rows++ == LEAVING_MAX;
        if (!*more)
            rc = drop_marked(r, t, (struct perche_bytes){key, key_n}, &gone);
        if (!gone) /* what was written in it past the triggers, if that is why, waits now */
            waiting = push_pending(r, r->node.acked);
    }
    if (rc == PERCHE_OK)
        rc = r->fail;
    /* nor while anything waits to be pushed: it may have been written before this site heard that it only reads the row now */
    if (rc == PERCHE_OK && (WITHOUT(B5_DONE) || (!waits(r) && waiting == 0 && !captured)) && r->node.done != r->node.full) {
        r->node.done = r->node.full;
        r->node_dirty = true;
    }
    return rc;
}

bool leaving(struct replica *r)
{
    sqlite3_stmt *s = sql(r, SQL_LEAVING_ROWS);
    bool any = sql_row(r, s);

    sql_done(s);
    return any;
}

static enum perche_rc take_left(struct replica *r, struct table *t, const struct perche_notice *n)
{
    struct meta m;
    sqlite3_stmt *s;
    enum perche_rc rc = meta_load(r, t, n->key, &m);

    if (rc == PERCHE_OK && m.stored && !(m.flags & META_PAIR)) { /* what we had read of it until now, and no more */
        m.flags |= META_PAIR;
        m.full = r->node.full;
        m.scan = r->node.scan;
        rc = meta_save(r, &m);
    }
    meta_clear(&m);
    if (rc != PERCHE_OK)
        return rc;
    s = sql(r, SQL_LEAVING_PUT);
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, n->key.p, (int)n->key.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)n->lsn);
    return sql_run(r, s, "remember a mark");
}

static enum perche_rc take_refusal(struct replica *r, struct table *t, const struct perche_notice *n, uint64_t have)
{
    sqlite3_stmt *s;
    enum perche_rc rc = refused_note(r, t, n, have);

    if (rc != PERCHE_OK)
        return rc;
    s = sql(r, SQL_WANTED_PUT);
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, n->key.p, (int)n->key.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)n->lsn);
    sqlite3_bind_int(s, 4, 1);
    return sql_run(r, s, "remember a refusal");
}

/* Does the hub wait for this row whole? */
static bool asked_for(struct replica *r, const struct table *t, struct perche_bytes key)
{
    sqlite3_stmt *s = sql(r, SQL_WANTED_HAS);
    bool asked;

    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
    sqlite3_bind_int(s, 3, 3);
    asked = sql_row(r, s);
    sql_done(s);
    return asked;
}

/* The hub has no such row for us: what we have of it goes, which is no deletion. */
static enum perche_rc take_absent(struct replica *r, struct table *t, const struct perche_notice *n, int kind)
{
    struct meta m;
    enum perche_rc rc;
    bool kept = false;

    if (row_unpushed(r, t, n->key) || (kind == 1 && asked_for(r, t, n->key))) /* it judges that first: asked for again */
        return r->fail;
    rc = meta_load(r, t, n->key, &m);
    if (rc == PERCHE_OK && kind == 1)
        rc = applying_begin(r);
    if (rc == PERCHE_OK && kind == 1) {
        rc = row_drop(r, &m);
        kept = refused_here(r); /* by a program's trigger: asked for again */
        if (rc == PERCHE_OK || kept)
            rc = applying_end(r);
    }
    meta_clear(&m);
    if (kept)
        return rc;
    if (rc == PERCHE_OK && kind == 2)
        rc = parked_drop(r, t->name, n->key, VIA_HUB); /* what waited for the row waits no longer */
    return rc == PERCHE_OK ? end_entry(r, SQL_WANTED_END, t, n->key, kind) : rc;
}

/* Before the rows of the same answer: what was refused is listed before an image takes its place. */
static enum perche_rc take_refusals(struct replica *r, const struct perche_batch *b, uint64_t have)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && i < b->notices_count; i++) {
        struct table *t = registry_table(r, b->notices[i].table);

        if (b->notices[i].kind == PERCHE_REFUSAL && t != NULL && t->present)
            rc = take_refusal(r, t, &b->notices[i], have);
    }
    return rc;
}

/* @stale: made before the hub had what this site knows as acknowledged, so that an absence says nothing; or cut short, so that a
 * refusal of what goes may follow. It is asked for again. */
static enum perche_rc take_notices(struct replica *r, const struct perche_batch *b, bool images, bool stale)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && i < b->notices_count; i++) {
        const struct perche_notice *n = &b->notices[i];
        struct table *t = registry_table(r, n->table);

        if (t == NULL || !t->present)
            continue;
        if (n->kind == PERCHE_LEFT)
            rc = take_left(r, t, n);
        else if (n->kind == PERCHE_ABSENT && !stale)
            rc = take_absent(r, t, n, images ? 1 : 2);
    }
    return rc;
}

/* Rows that are here now wait no longer; an image is taken instead of our own row, and follows it in its history: what is
 * told later of our own values finds them there. */
static enum perche_rc prepare_rows(struct apply *a, struct perche_batch *b, bool *skip_images)
{
    struct replica *r = a->r;
    uint32_t first = 0;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t p = 0; rc == PERCHE_OK && p < b->parts_count; first += b->parts[p++].rows_count) {
        struct perche_part *part = &b->parts[p];
        struct table *t = registry_table(r, part->table);

        for (uint32_t i = 0; t != NULL && t->present && rc == PERCHE_OK && i < part->rows_count; i++) {
            struct perche_row *row = &part->rows[i];
            struct meta m;
            int64_t set;

            if (!(row->flags & PERCHE_ROW_IMAGE))
                continue;
            if (*skip_images || row_unpushed(r, t, row->key)) {
                row->gen = 0; /* not now: asked for again */
                continue;
            }
            rc = meta_load(r, t, row->key, &m);
            if (rc == PERCHE_OK && image_replaces(&m, row)) {
                a->prev[first + i] = m.block;
                row->gen = t->obstacle == NULL ? row->gen : 0; /* asked for again */
                meta_clear(&m);
                continue;
            }
            set = rc == PERCHE_OK && (m.flags & META_HELD) ? held_in(r, t, row->key) : 0;
            a->prev[first + i] = rc == PERCHE_OK ? m.block : 0;
            if (rc == PERCHE_OK && !WITHOUT(B9_IMAGE))
                rc = row_drop(r, &m);
            if (refused_here(r)) { /* by a program's trigger: asked for again */
                meta_clear(&m);
                row->gen = 0;
                rc = PERCHE_OK;
                continue;
            }
            if (rc == PERCHE_OK && set != 0) /* the image waits on in its place: see apply_one() */
                rc = held_put(r, &m, set);
            meta_clear(&m);
        }
    }
    return rc;
}

/* Images that were taken. */
static enum perche_rc end_images(struct replica *r, const struct perche_batch *b)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t p = 0; rc == PERCHE_OK && p < b->parts_count; p++) {
        const struct perche_part *part = &b->parts[p];
        struct table *t = registry_table(r, part->table);

        for (uint32_t i = 0; t != NULL && t->present && rc == PERCHE_OK && i < part->rows_count; i++)
            if (part->rows[i].flags & PERCHE_ROW_IMAGE && part->rows[i].gen != 0) {
                rc = end_entry(r, SQL_WANTED_END, t, part->rows[i].key, 1);
                if (rc == PERCHE_OK)
                    rc = refused_taken(r, t, b, part, &part->rows[i]);
            }
    }
    return rc;
}

static enum perche_rc end_leaving(struct replica *r, const struct perche_batch *b, int wanted_kind)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t p = 0; rc == PERCHE_OK && p < b->parts_count; p++) {
        const struct perche_part *part = &b->parts[p];
        struct table *t = registry_table(r, part->table);

        for (uint32_t i = 0; t != NULL && rc == PERCHE_OK && i < part->rows_count; i++) {
            if (part->rows[i].gen == 0)
                continue;
            rc = WITHOUT(B6_BACK_HERE) ? PERCHE_OK : end_entry(r, SQL_LEAVING_END, t, part->rows[i].key, 0);
            if (rc == PERCHE_OK && (part->rows[i].flags & PERCHE_ROW_WHOLE) && wanted_kind != 0)
                rc = end_entry(r, SQL_WANTED_END, t, part->rows[i].key, wanted_kind);
        }
    }
    return rc;
}

/* Merges a batch that came from the hub. */
static enum perche_rc take_rows(struct replica *r, struct perche_batch *b, struct perche_bytes body, bool skip_images,
                                int wanted_kind, struct outcome *o)
{
    struct apply *a = calloc(1, sizeof *a);
    enum perche_rc rc, ended;

    if (a == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a batch");
    rc = apply_begin(a, r, b);
    a->peer = (struct merge_peer){.via = VIA_HUB, .acked = r->node.acked};
    if (rc == PERCHE_OK)
        rc = applying_begin(r);
    if (rc == PERCHE_OK) {
        rc = prepare_rows(a, b, &skip_images);
        if (rc == PERCHE_OK)
            rc = end_leaving(r, b, wanted_kind); /* a row that comes, comes back: its mark is older */
        if (rc == PERCHE_OK)
            rc = apply_rows(a);
        if (rc == PERCHE_OK)
            rc = end_images(r, b);
        if (rc == PERCHE_OK && a->stamp > r->node.hub_stamp) { /* no shift of a clock goes below what was read */
            r->node.hub_stamp = a->stamp;
            r->node_dirty = true;
        }
        ended = applying_end(r);
        rc = rc != PERCHE_OK ? rc : ended;
    }
    if (rc == PERCHE_OK)
        rc = apply_history(a, body);
    o->rows = a->applied;
    apply_end(a);
    free(a);
    return rc;
}

/* Rows that came without themselves: the next request. */
static enum perche_rc ask_rows(struct replica *r, struct outcome *o)
{
    struct perche_rows *ask = &o->message.u.rows;
    enum perche_rc rc = wanted(r, 2, false, o, &ask->wants, &ask->wants_count);

    if (rc == PERCHE_OK && ask->wants_count > 0)
        o->message.op = PERCHE_OP_ROWS;
    return rc;
}

/* Has the hub judged all that this site ever wrote? Not what waits to be sent, nor cells that wait there for their row. */
static bool all_judged(struct replica *r)
{
    sqlite3_stmt *s;
    bool waits;

    if (push_pending(r, r->node.acked) != 0)
        return false;
    s = sql(r, SQL_WANTED_ROWS);
    sqlite3_bind_int(s, 1, 3);
    sqlite3_bind_int(s, 2, 1);
    waits = sql_row(r, s);
    sql_done(s);
    return !waits;
}

static enum perche_rc decode(struct replica *r, struct perche_bytes body, struct perche_batch **out)
{
    struct perche_err err;

    *out = perche_batch_new();
    if (*out == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a batch");
    if (body.n > 0 && perche_batch_decode(body, *out, &err) != PERCHE_OK)
        return fail(r, err.rc, "the hub's batch: %s", err.text);
    return PERCHE_OK;
}

enum perche_rc pull_apply(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_pull_reply *reply = &w->message.u.pull_reply;
    struct perche_batch *b = NULL;
    bool moved = false, rest;
    enum perche_rc rc;

    if (!WITHOUT(B18_PULL_FROM) && (reply->from_full != r->node.full || reply->from_scan != r->node.scan))
        return fail(r, PERCHE_STALE, "an answer to an older question");
    if (reply->have > r->node.lsn || reply->scan < r->node.scan)
        return fail(r, PERCHE_STALE, "the hub's answer does not fit this site's position");
    rc = WITHOUT(D9_HARVEST_FIRST) ? PERCHE_OK : harvest_all(r); /* what programs wrote before this moment did not know what comes now */
    if (rc == PERCHE_OK && !WITHOUT(A5_PULL_SAYS_HAVE))
        rc = ack_advance(r, reply->have, 0);
    if (rc == PERCHE_OK)
        rc = decode(r, reply->batch, &b);
    if (rc == PERCHE_OK)
        rc = audit_batch(r, b);
    if (rc == PERCHE_OK)
        rc = take_refusals(r, b, reply->have);
    if (rc == PERCHE_OK && b->parts_count > 0)
        rc = take_rows(r, b, reply->batch, reply->have < r->node.acked, 0, o);
    if (rc == PERCHE_OK)
        rc = take_notices(r, b, true, reply->have < r->node.acked || reply->more);
    if (rc == PERCHE_OK) {
        moved = r->node.full != reply->full || r->node.scan != reply->scan;
        r->node.full = reply->full;
        r->node.scan = reply->scan;
        r->node.asof = reply->asof;
        if (!reply->more)
            r->node.had = reply->have;
        if (!reply->more && reply->have == r->node.acked && all_judged(r))
            r->node.heard = history_next_block(r) - 1;
        r->node_dirty = true;
        floor_told(r, reply->floor, false);
        rc = carry_out(r, &rest);
    }
    if (rc == PERCHE_OK && moved)
        rc = pulled_note(r, reply->life, reply->have);
    if (rc == PERCHE_OK)
        rc = ask_rows(r, o);
    if (rc == PERCHE_OK)
        rc = snapshot_take(r, reply, o);
    o->more = reply->more;
    perche_batch_free(b);
    return rc;
}

enum perche_rc rows_apply(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_rows_reply *reply = &w->message.u.rows_reply;
    struct perche_batch *b = NULL;
    bool rest;
    enum perche_rc rc = harvest_all(r);

    if (rc == PERCHE_OK)
        rc = decode(r, reply->batch, &b);
    if (rc == PERCHE_OK)
        rc = audit_batch(r, b);
    if (rc == PERCHE_OK && b->parts_count > 0)
        rc = take_rows(r, b, reply->batch, true, 2, o);
    if (rc == PERCHE_OK)
        rc = take_notices(r, b, false, false);
    for (uint32_t p = 0; rc == PERCHE_OK && p < b->parts_count; p++)
        for (uint32_t i = 0; rc == PERCHE_OK && i < b->parts[p].rows_count; i++)
            rc = parked_retry(r, b->parts[p].table, b->parts[p].rows[i].key);
    if (rc == PERCHE_OK)
        rc = carry_out(r, &rest);
    if (rc == PERCHE_OK)
        rc = ask_rows(r, o);
    perche_batch_free(b);
    return rc;
}
