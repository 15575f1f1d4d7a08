/* Push: a site's unpushed cells, in order of each row's oldest one, and what the hub makes of them.
 *
 * A batch says from..to: every cell with from < lsn <= to is in it. A row whose
 * generation event is unpushed goes with all its unpushed cells; a row's unsent
 * parent goes before it, whatever its own position (it may come again). The hub
 * applies a batch only if its `from` is the stored cursor; rows, conflicts and
 * cursor are one commit. */
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/pack.h"
#include "replica/position.h"
#include "replica/statements.h"

#define PENDING_COUNTED_MAX 2000 /* beyond, `to send` is told from the positions: one lsn for each changed row */
#define CLOCK_AHEAD_MS 60000u
#define PARENT_DEPTH_MAX 6

/* ---- the site builds -------------------------------------------------------- */

struct pusher {
    struct pack pack;
    uint64_t from, to;
    uint64_t beyond;          /* newest lsn sent of a row that did not go whole */
    bool waits;               /* a row has a change that waits to be harvested, or more of it than a batch takes: this one ends before it */
    bool audited;             /* a table waits for its comparison */
    bool rest;                /* some row has unpushed cells above `to` that were not sent */
};

static bool unpushed(const struct clock_cell *c, uint64_t from)
{
    return c->written && c->via == VIA_LOCAL && c->lsn > from;
}

static enum perche_rc add_row(struct pusher *p, struct meta *m, int depth);

/* Its parents that the hub does not have yet go first. */
static enum perche_rc add_parents(struct pusher *p, struct meta *m, const struct perche_value *values, int depth)
{
    struct replica *r = p->pack.r;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && m->table->rule == RULE_PARENT && depth < PARENT_DEPTH_MAX && i < m->table->parts_count; i++) {
        struct table *t;
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;
        struct meta *parent;

        if (!scope_parent_key(r, m, values, i, &t, key, &key_n))
            continue;
        parent = malloc(sizeof *parent);
        if (parent == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a batch");
        rc = meta_load(r, t, (struct perche_bytes){key, key_n}, parent);
        /* those at or below `to` are in the batch by their own position */
        if (rc == PERCHE_OK && parent->stored && parent->first > p->to && unpushed(&parent->cells[0], p->from))
            rc = add_row(p, parent, depth + 1);
        meta_clear(parent);
        free(parent);
    }
    return rc;
}

/* Gone with its table, which was made again and is about to be compared: there is nothing to send of it yet. */
static bool is_missing(struct pusher *p, const struct meta *m)
{
    struct replica *r = p->pack.r;

    return meta_alive(m) && !(m->flags & META_HELD) &&
           ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_rescan WHERE tab = ?1) AND ?2 IS NULL", m->table->num, NULL) != 0 &&
           data_exists(r, m->table, (struct perche_bytes){m->key, m->key_n}) == PERCHE_NOT_FOUND;
}

static enum perche_rc add_row(struct pusher *p, struct meta *m, int depth)
{
    bool whole = unpushed(&m->cells[0], p->from) && (!WITHOUT(C4_WHOLE_INSERT) || m->cells[0].lsn <= p->to);
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint64_t mask = 0;
    uint32_t flags = 0;
    bool settled, there;
    enum perche_rc rc;

    p->waits |= p->audited && is_missing(p, m);
    if (p->waits)
        return p->pack.r->fail;
    rc = row_settled(p->pack.r, m, values, &settled, &there);
    if (rc == PERCHE_OK && !settled) {
        p->waits = true;
        return PERCHE_OK;
    }
    if (rc == PERCHE_OK && !there) /* the comparison with the hub sends it, once it is there again */
        return PERCHE_OK;
    if (rc == PERCHE_OK && whole && m->table->rule == RULE_PARENT && !WITHOUT(B7_PARENT_FIRST))
        rc = add_parents(p, m, values, depth);
    if (rc != PERCHE_OK || p->waits)
        return rc;
    if (m->table->rule == RULE_PARENT && whole) /* its parents were read over it */
        rc = row_settled(p->pack.r, m, values, &settled, &there);
    for (uint32_t num = 1; num < m->count; num++) {
        const struct clock_cell *c = &m->cells[num];

        if (!unpushed(c, p->from))
            continue;
        if (!whole && c->lsn > p->to && !WITHOUT(A2_UP_TO)) {
            p->rest = true;
            continue;
        }
        if (!whole && c->lsn > p->beyond)
            p->beyond = c->lsn;
        mask |= UINT64_C(1) << (num - 1);
    }
    if (whole)
        flags |= PERCHE_ROW_GEN;
    if (mask == 0 && !whole)
        return rc;
    /* inserted here and not echoed: until a pull was complete that began when the hub had it */
    if (!WITHOUT(C1_ROW_PAIR) && m->flags & META_FRESH && m->cells[0].lsn > p->pack.r->node.had)
        return rc != PERCHE_OK ? rc : pack_row(&p->pack, m, values, mask, flags | PERCHE_ROW_PAIR, 0, 0, true);
    if (!WITHOUT(C1_ROW_PAIR) && m->flags & META_PAIR)
        return rc != PERCHE_OK ? rc : pack_row(&p->pack, m, values, mask, flags | PERCHE_ROW_PAIR, m->full, m->scan, true);
    return rc != PERCHE_OK ? rc : pack_row(&p->pack, m, values, mask, flags, 0, 0, true);
}

/* Rows that the hub asked for whole, as tombstones if they are gone. It asks again for those that have no room. */
static enum perche_rc add_wanted(struct pusher *p, size_t bytes_max)
{
    struct replica *r = p->pack.r;
    sqlite3_stmt *s = sql(r, SQL_WANTED_ROWS);
    enum perche_rc rc = PERCHE_OK;

    sqlite3_bind_int(s, 1, 3);
    sqlite3_bind_int(s, 2, (int)PERCHE_KEYS_MAX);
    while (rc == PERCHE_OK && !pack_full(&p->pack, bytes_max) && sql_row(r, s)) {
        struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 0));
        struct perche_value values[PERCHE_COLUMNS_MAX + 1];
        struct meta m;

        if (t == NULL || !t->present)
            continue;
        rc = meta_load(r, t, (struct perche_bytes){sqlite3_column_blob(s, 1), (uint32_t)sqlite3_column_bytes(s, 1)}, &m);
        if (rc == PERCHE_OK && m.stored) {
            bool settled, there;

            rc = row_settled(r, &m, values, &settled, &there);
            if (rc == PERCHE_OK && !settled)
                rc = fail(r, PERCHE_BUSY, "a change waits to be harvested");
            if (rc == PERCHE_OK && there)
                rc = pack_row(&p->pack, &m, values, UINT64_MAX, PERCHE_ROW_GEN, 0, 0, true);
        }
        meta_clear(&m);
    }
    sql_done(s);
    return rc;
}

/* A batch that begins ahead of the acknowledgement: what was written since into rows of the batches under way. As much as a batch
 * takes waits for that: these rows have their turn then, as many as fit. */
static enum perche_rc add_written_since(struct pusher *p, size_t bytes_max)
{
    struct replica *r = p->pack.r;
    enum perche_rc rc = PERCHE_OK;
    sqlite3_stmt *s;
    int step = SQLITE_DONE;

    if (p->from <= r->node.acked)
        return PERCHE_OK;
    s = prepare(r, "SELECT first, tab, key, " META_COLUMNS " FROM perche_row INDEXED BY perche_row_first"
                   " WHERE first > ?1 AND first <= ?2 AND lsn > ?2 ORDER BY first");
    if (s == NULL)
        return r->fail;
    sqlite3_bind_int64(s, 1, (sqlite3_int64)r->node.acked);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)p->from);
    while (rc == PERCHE_OK && (step = sqlite3_step(s)) == SQLITE_ROW) {
        struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 1));
        struct meta m;

        if (t == NULL)
            continue;
        if (!t->present) { /* as in fill() */
            p->waits = true;
            break;
        }
        rc = meta_unpack(r, t, s, 3, &m);
        if (rc == PERCHE_OK) {
            m.key_n = (uint32_t)sqlite3_column_bytes(s, 2);
            memcpy(m.key, sqlite3_column_blob(s, 2), m.key_n);
            rc = add_row(p, &m, 0);
            meta_clear(&m);
        }
        if (rc == PERCHE_OK && pack_full(&p->pack, bytes_max)) {
            pack_clear(&p->pack);
            p->beyond = 0;
            p->waits = true;
            break;
        }
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = fail_sqlite(r, step, "read rows to send");
    sqlite3_finalize(s);
    return rc;
}

/* Fills the batch with rows of first > from, at most @rows_max or @bytes_max; p->to becomes what it reaches. */
static enum perche_rc fill(struct pusher *p, uint32_t rows_max, size_t bytes_max, bool *more, uint32_t *taken)
{
    struct replica *r = p->pack.r;
    sqlite3_stmt *s = sql(r, SQL_PUSH_ROWS);
    uint64_t cut = r->node.lsn, last = 0;
    enum perche_rc rc = PERCHE_OK;
    uint32_t seen = 0;
    int step = SQLITE_DONE;

    *more = false;
    *taken = 0;
    /* where does it end by rows? */
    sqlite3_bind_int64(s, 1, (sqlite3_int64)p->from);
    while (seen <= rows_max && (step = sqlite3_step(s)) == SQLITE_ROW) {
        last = (uint64_t)sqlite3_column_int64(s, 0);
        seen++;
    }
    if (seen > rows_max) {
        cut = last - 1;
        *more = true;
    }
    sql_done(s);
    p->to = cut;
    rc = add_written_since(p, bytes_max);
    if (p->waits) { /* a position beyond would claim what is not carried */
        p->to = p->from;
        return rc;
    }
    s = sql(r, SQL_PUSH_ROWS);
    sqlite3_bind_int64(s, 1, (sqlite3_int64)p->from);
    while (rc == PERCHE_OK && (step = sqlite3_step(s)) == SQLITE_ROW) {
        struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 1));
        uint64_t first = (uint64_t)sqlite3_column_int64(s, 0);
        struct meta m;

        if (first > p->to)
            break;
        if (*taken > 0 && pack_full(&p->pack, bytes_max)) {
            p->to = first - 1;
            *more = true;
            break;
        }
        if (t == NULL)
            continue;
        p->waits = !t->present; /* somebody has dropped it: a position beyond would count its rows as sent before they are back (audit.c) */
        rc = p->waits ? PERCHE_OK : meta_unpack(r, t, s, 3, &m);
        if (rc == PERCHE_OK && !p->waits) {
            m.key_n = (uint32_t)sqlite3_column_bytes(s, 2);
            memcpy(m.key, sqlite3_column_blob(s, 2), m.key_n);
            rc = add_row(p, &m, 0);
            meta_clear(&m);
        }
        if (p->waits) {
            p->to = first - 1;
            break;
        }
        (*taken)++;
    }
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = fail_sqlite(r, step, "read rows to send");
    sql_done(s);
    return rc;
}

uint64_t push_pending(struct replica *r, uint64_t from)
{
    sqlite3_stmt *s = sql(r, SQL_PENDING);
    uint64_t n = 0;

    sqlite3_bind_int64(s, 1, (sqlite3_int64)from);
    sqlite3_bind_int(s, 2, PENDING_COUNTED_MAX);
    if (sql_row(r, s))
        n = (uint64_t)sqlite3_column_int64(s, 0);
    sql_done(s);
    return n < PENDING_COUNTED_MAX || r->node.lsn - from < n ? n : r->node.lsn - from;
}

enum perche_rc push_build(struct replica *r, const struct work *w, struct outcome *o)
{
    struct pusher p = {.from = w->from,
                       .audited = ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_rescan) AND ?1 IS NOT NULL AND ?2 IS NULL", 0, NULL) != 0};
    uint32_t rows_max = w->rows_max ? w->rows_max : 1000, taken = 0, rows = 0;
    uint32_t bytes = w->bytes_max ? w->bytes_max : PERCHE_BATCH_BYTES_MIN;
    struct perche_push *push = &o->message.u.push;
    bool wanted = w->from == r->node.acked;
    enum perche_rc rc;

    rc = pack_begin(&p.pack, r);
    for (int again = 0; rc == PERCHE_OK && again < 3; again++) {
        p.rest = p.waits = false;
        p.beyond = 0;
        pack_clear(&p.pack);
        if (wanted)
            rc = add_wanted(&p, (size_t)bytes * 3);
        /* raw bytes: a row shrinks to about a third on the line */
        if (rc == PERCHE_OK)
            rc = fill(&p, rows_max, (size_t)bytes * 3, &o->more, &taken);
        if (rc == PERCHE_OK && wanted && taken > 0 && !pack_fits(&p.pack)) { /* one that is wanted and one whose turn it is, each as large as half a message */
            wanted = false;
            continue;
        }
        if (rc != PERCHE_OK || p.beyond <= p.to)
            break;
        rows_max = taken; /* the cut by size came after cells beyond it were taken: once more, with that cut */
    }
    if (rc == PERCHE_OK) {
        rows = perche_batch_rows(p.pack.batch);
        *push = (struct perche_push){.from = w->from, .to = p.to, .asof = WITHOUT(A12_AS_OF) ? mark_at(r, p.to) : (struct perche_pos){r->node.lsn, r->node.mark}, .full = r->node.full,
                                     .scan = r->node.scan, .done = r->node.done, .pending = push_pending(r, w->from)};
        o->message.op = PERCHE_OP_PUSH;
        if (rows > 0)
            rc = pack_message(&p.pack, &o->message, &push->batch);
    }
    o->rows = rows;
    if (p.waits)
        o->more = false; /* the harvest says when there is */
    o->pipelined = o->more && !p.rest;
    pack_end(&p.pack);
    return rc;
}

/* ---- the site hears ---------------------------------------------------------- */

/* The hub has everything up to @to. Rows of it that hold cells above become due again at their oldest one. What
 * went whole before its turn, up to @asof (0 = not known), is at the hub as well. */
enum perche_rc ack_advance(struct replica *r, uint64_t to, uint64_t asof)
{
    uint64_t after = r->node.acked;
    enum perche_rc rc = PERCHE_OK;
    struct { uint64_t first; uint32_t tab, key_n; uint8_t key[PERCHE_KEY_BYTES_MAX]; } *page;
    uint32_t n;

    if (to <= after)
        return PERCHE_OK;
    page = malloc(256 * sizeof *page);
    if (page == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for an acknowledgement");
    do {
        sqlite3_stmt *s = sql(r, SQL_PUSH_ACKED_ROWS);

        n = 0;
        sqlite3_bind_int64(s, 1, (sqlite3_int64)after);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)to);
        sqlite3_bind_int(s, 3, 256);
        while (sql_row(r, s)) {
            page[n].first = (uint64_t)sqlite3_column_int64(s, 0);
            page[n].tab = (uint32_t)sqlite3_column_int64(s, 1);
            page[n].key_n = (uint32_t)sqlite3_column_bytes(s, 2);
            memcpy(page[n].key, sqlite3_column_blob(s, 2), page[n].key_n);
            n++;
        }
        sql_done(s);
        for (uint32_t i = 0; rc == PERCHE_OK && i < n; i++) {
            struct table *t = registry_table_num(r, page[i].tab);
            struct meta m;
            uint64_t oldest = 0;
            bool changed = false, whole;

            after = page[i].first;
            if (t == NULL)
                continue;
            rc = meta_load(r, t, (struct perche_bytes){page[i].key, page[i].key_n}, &m);
            if (rc != PERCHE_OK)
                break;
            whole = m.cells[0].via == VIA_LOCAL && m.cells[0].lsn > r->node.acked && m.cells[0].lsn <= to;
            for (uint32_t num = 0; num < m.count; num++) {
                struct clock_cell *c = &m.cells[num];

                if (!c->written || c->via != VIA_LOCAL || c->lsn <= to)
                    continue;
                /* What others wrote is pushed for a hub that lost it: when that is put back once more, it has to be told from what came by a pull. */
                if (whole && c->lsn <= asof && c->origin == r->node.site_num && !WITHOUT(C5_EARLY_ACK)) {
                    c->via = VIA_HUB;
                    changed = true;
                } else if (oldest == 0 || c->lsn < oldest) {
                    oldest = c->lsn;
                }
            }
            if (oldest != 0)
                m.first = oldest;
            if (changed || oldest != 0)
                rc = meta_save(r, &m);
            meta_clear(&m);
        }
    } while (rc == PERCHE_OK && n == 256);
    free(page);
    if (rc != PERCHE_OK)
        return rc;
    r->node.acked = to;
    r->node_dirty = true;
    return PERCHE_OK;
}

static enum perche_rc end_wanted(struct replica *r, int kind)
{
    sqlite3_stmt *s = prepare(r, "DELETE FROM perche_wanted WHERE kind = ?1");
    enum perche_rc rc;

    if (s == NULL)
        return r->fail;
    sqlite3_bind_int(s, 1, kind);
    rc = sql_run(r, s, "forget what was asked for");
    sqlite3_finalize(s);
    return rc;
}

enum perche_rc push_acked(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_push_reply *reply = &w->message.u.push_reply;
    bool rest;
    enum perche_rc rc = PERCHE_OK;

    (void)o;
    if (reply->have > r->node.lsn)
        return fail(r, PERCHE_STALE, "the hub says it has more of this site than there is");
    if (w->from == r->node.acked && reply->have >= w->to)
        rc = end_wanted(r, 3); /* they were in it */
    if (rc == PERCHE_OK)
        /* when it has more than this batch brought, it has rows that were not in it, and not their later cells */
        rc = ack_advance(r, reply->have, reply->have == w->to && w->from <= r->node.acked ? w->asof_lsn : 0);
    if (rc == PERCHE_OK && reply->have >= w->to && r->node.acked_asof != w->asof_lsn) {
        r->node.acked_asof = w->asof_lsn;
        r->node_dirty = true;
    }
    for (uint32_t i = 0; rc == PERCHE_OK && i < reply->wants_count; i++) {
        struct table *t = registry_table(r, reply->wants[i].table);
        sqlite3_stmt *s;

        if (t == NULL)
            continue;
        s = sql(r, SQL_WANTED_PUT);
        sqlite3_bind_int64(s, 1, t->num);
        sqlite3_bind_blob(s, 2, reply->wants[i].key.p, (int)reply->wants[i].key.n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, 0);
        sqlite3_bind_int(s, 4, 3);
        rc = sql_run(r, s, "remember what the hub asks for");
    }
    if (rc == PERCHE_OK)
        rc = must_end(r);
    return rc == PERCHE_OK ? carry_out(r, &rest) : rc;
}

/* ---- the hub applies ------------------------------------------------------------ */

enum perche_rc peer_load(struct replica *r, uint32_t site, struct peer *p)
{
    sqlite3_stmt *s = sql(r, SQL_PEER_GET);

    memset(p, 0, sizeof *p);
    sqlite3_bind_int64(s, 1, site);
    if (sql_row(r, s)) {
        p->known = true;
        p->epoch = (uint64_t)sqlite3_column_int64(s, 0);
        p->prev_epoch = (uint64_t)sqlite3_column_int64(s, 1);
        p->eplsn = (uint64_t)sqlite3_column_int64(s, 2);
        p->have = (uint64_t)sqlite3_column_int64(s, 3);
        p->asof.lsn = (uint64_t)sqlite3_column_int64(s, 4);
        p->asof.mark = (uint64_t)sqlite3_column_int64(s, 5);
        p->stamp = (uint64_t)sqlite3_column_int64(s, 6);
        p->full = (uint64_t)sqlite3_column_int64(s, 7);
        p->scan = (uint64_t)sqlite3_column_int64(s, 8);
        p->done = (uint64_t)sqlite3_column_int64(s, 9);
        p->session = (uint64_t)sqlite3_column_int64(s, 10);
        p->returns = (uint32_t)sqlite3_column_int(s, 11);
        p->returns_stamp = (uint64_t)sqlite3_column_int64(s, 12);
    }
    sql_done(s);
    return r->fail;
}

enum perche_rc peer_store(struct replica *r, uint32_t site, const struct peer *p)
{
    sqlite3_stmt *s = sql(r, SQL_PEER_PUT);
    const uint64_t v[] = {p->epoch, p->prev_epoch, p->eplsn, p->have, p->asof.lsn, p->asof.mark,
                          p->stamp, p->full, p->scan, p->done, p->session};

    sqlite3_bind_int64(s, 1, site);
    for (int i = 0; i < (int)(sizeof v / sizeof v[0]); i++)
        sqlite3_bind_int64(s, i + 2, (sqlite3_int64)v[i]);
    return sql_run(r, s, "store a site's cursors");
}

/* `done` ends marks and refusals at or below it (DESIGN 4.5). */
enum perche_rc peer_done(struct replica *r, uint32_t site, struct peer *p, uint64_t done)
{
    sqlite3_stmt *s;
    enum perche_rc rc = PERCHE_OK;

    if (done <= p->done)
        return PERCHE_OK;
    p->done = done;
    rc = left_done(r, site, done);
    if (rc != PERCHE_OK)
        return rc;
    s = sql(r, SQL_REFUSAL_DONE);
    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)done);
    return sql_run(r, s, "end refusals");
}

/* Is a stamp of the batch too far ahead of everything that the hub knows? Conflict rows are not tested, nor entries of the chain. */
static bool too_far_ahead(struct replica *r, const struct perche_batch *b)
{
    uint64_t known = r->node.stamp >> 16 > r->now_ms && !WITHOUT(A18_LAST_STAMP) ? r->node.stamp >> 16 : r->now_ms;
    uint64_t bound = (known + CLOCK_AHEAD_MS) << 16;

    for (uint32_t p = 0; p < b->parts_count; p++) {
        const struct perche_part *part = &b->parts[p];

        if ((strcmp(part->table, "perche_conflict") == 0 && !WITHOUT(A20_CONFLICT_CLOCK)) || strcmp(part->table, "perche_chain") == 0)
            continue;
        for (uint32_t i = 0; i < part->rows_count; i++)
            if ((part->rows[i].flags & (PERCHE_ROW_GEN | PERCHE_ROW_FIXED)) == PERCHE_ROW_GEN && part->rows[i].gen_stamp > bound)
                return true;
        for (uint32_t i = 0; i < part->cells_count; i++)
            if (part->cells[i].stamp > bound && !(part->cells[i].flags & PERCHE_CELL_FIXED))
                return true;
    }
    return false;
}

static void no(struct outcome *o, enum perche_refusal why, uint64_t have, const char *text)
{
    o->message.op = PERCHE_OP_PUSH;
    o->message.reply = o->message.refused = true;
    o->message.u.no = (struct perche_no){.why = (uint8_t)why, .text = text, .have = have};
}

static enum perche_rc take_batch(struct replica *r, uint32_t site, const struct peer *peer, const struct perche_push *push,
                                 struct perche_batch *batch, struct outcome *o)
{
    struct apply *a = calloc(1, sizeof *a);
    struct perche_buf body = {0};
    enum perche_rc rc, ended;

    if (a == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a batch");
    rc = apply_begin(a, r, batch);
    a->pusher = site;
    a->recovering = recovering(r);
    a->returns = peer->returns;
    a->stamp_known = peer->returns_stamp;
    a->peer = (struct merge_peer){.at_hub = true, .via = site, .full = push->full, .scan = push->scan, .eplsn = peer->eplsn};
    if (rc == PERCHE_OK)
        rc = applying_begin(r);
    if (rc == PERCHE_OK) {
        rc = apply_rows(a);
        ended = applying_end(r);
        rc = rc != PERCHE_OK ? rc : ended;
    }
    if (rc == PERCHE_OK && a->refused && !WITHOUT(CT_REFUSED_HISTORY))
        rc = encode_taken(a, &body);
    if (rc == PERCHE_OK)
        rc = apply_history(a, a->refused && !WITHOUT(CT_REFUSED_HISTORY) ? (struct perche_bytes){body.p, (uint32_t)body.n} : push->batch);
    o->rows = a->applied;
    perche_buf_free(&body);
    apply_end(a);
    free(a);
    return rc;
}

static uint64_t rows_missing(struct replica *r, uint32_t site)
{
    return ask_number(r, "SELECT count(*) FROM perche_parked WHERE via = ?1 AND reason = 'row'", site, NULL);
}

/* Rows whose cells wait for them: asked for until they come. Not those that are set aside themselves. */
static enum perche_rc ask_rows(struct replica *r, uint32_t site, struct outcome *o)
{
    struct perche_push_reply *reply = &o->message.u.push_reply;
    sqlite3_stmt *s = prepare(r, "SELECT DISTINCT tab, key FROM perche_parked p WHERE via = ?1 AND reason = 'row' AND NOT EXISTS"
                                 " (SELECT 1 FROM perche_parked o WHERE o.tab = p.tab AND o.key = p.key AND o.reason <> 'row') LIMIT ?2");
    struct perche_want *wants = NULL;
    enum perche_rc rc = s == NULL ? r->fail : PERCHE_OK;

    if (rc != PERCHE_OK)
        return rc;
    sqlite3_bind_int64(s, 1, site);
    sqlite3_bind_int(s, 2, (int)PERCHE_KEYS_MAX);
    while (rc == PERCHE_OK && sql_row(r, s)) {
        struct perche_want one = {(const char *)sqlite3_column_text(s, 0),
                                  {sqlite3_column_blob(s, 1), (uint32_t)sqlite3_column_bytes(s, 1)}};
        struct perche_want *copy = outcome_wants(o, &one, 1);

        if (wants == NULL)
            wants = perche_message_alloc(&o->message, PERCHE_KEYS_MAX * sizeof *wants);
        if (wants == NULL || copy == NULL)
            rc = fail(r, PERCHE_NOMEM, "no memory for a reply");
        else
            wants[reply->wants_count++] = *copy;
    }
    sqlite3_finalize(s);
    reply->wants = wants;
    return rc;
}

enum perche_rc push_apply(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_push *push = &w->message.u.push;
    uint32_t site = name_number(r, w->site);
    struct perche_batch *batch = NULL;
    struct peer peer;
    struct perche_err err = {PERCHE_OK, ""};
    uint64_t missing = 0;
    enum perche_rc rc;

    if (site == 0)
        return r->fail;
    rc = peer_load(r, site, &peer);
    if (rc != PERCHE_OK)
        return rc;
    if (w->session != 0 && w->session != peer.session) { /* it waited for the writer while another machine, or the next handshake, was proven */
        no(o, PERCHE_NO_SESSION, peer.have, "a newer session has ended this one");
        return PERCHE_OK;
    }
    if (push->from > peer.have || push->to < push->from || push->asof.lsn < push->to) {
        no(o, PERCHE_NO_POSITION, peer.have, "the batch does not begin where the hub stands");
        return PERCHE_OK;
    }
    if (push->from == peer.have || WITHOUT(A6_FROM)) {
        batch = perche_batch_new();
        if (batch == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a batch");
        if (push->batch.n > 0 && perche_batch_decode(push->batch, batch, &err) != PERCHE_OK) {
            perche_batch_free(batch);
            if (err.rc == PERCHE_NOMEM)
                return fail(r, err.rc, "%s", err.text);
            no(o, PERCHE_NO_BAD, peer.have, "the batch does not decode");
            return PERCHE_OK;
        }
        rc = WITHOUT(D9_HARVEST_FIRST) ? PERCHE_OK : harvest_all(r);
        if (rc == PERCHE_OK)
            rc = audit_batch(r, batch);
        if (rc == PERCHE_OK && WITHOUT(A19_WHOLE_BATCH) && too_far_ahead(r, batch))
            perche_batch_clear(batch);
        if (rc == PERCHE_OK && too_far_ahead(r, batch)) {
            perche_batch_free(batch);
            no(o, PERCHE_NO_CLOCK, peer.have, "stamps more than a minute ahead of the hub");
            return PERCHE_OK;
        }
    }
    o->message.op = PERCHE_OP_PUSH;
    o->message.reply = true;
    if (push->to == push->from && push->batch.n > 0)
        missing = rows_missing(r, site);
    if (rc == PERCHE_OK && batch != NULL && batch->parts_count > 0)
        rc = take_batch(r, site, &peer, push, batch, o);
    if (rc == PERCHE_OK && (push->from == peer.have || WITHOUT(A6_FROM))) { /* a repeated batch does nothing but tell where we stand */
        if (!WITHOUT(A6_FROM) || push->to > peer.have)
            peer.have = push->to;
        peer.asof = push->asof;
        if (batch_stamp(batch) > peer.stamp)
            peer.stamp = batch_stamp(batch);
        if (push->scan >= peer.scan) {
            peer.full = push->full;
            peer.scan = push->scan;
            rc = peer_done(r, site, &peer, push->done);
        }
        if (rc == PERCHE_OK)
            rc = peer_store(r, site, &peer);
        if (rc == PERCHE_OK) {
            sqlite3_stmt *s = sql(r, SQL_PEER_CONTACT);

            sqlite3_bind_int64(s, 1, site);
            sqlite3_bind_int64(s, 2, (sqlite3_int64)r->now_ms);
            sqlite3_bind_int64(s, 3, (sqlite3_int64)(push->pending > o->rows ? push->pending - o->rows : 0));
            sqlite3_bind_int64(s, 4, (sqlite3_int64)r->node.floor);
            rc = sql_run(r, s, "note a site's contact");
        }
        if (rc == PERCHE_OK && push->to == push->asof.lsn && !WITHOUT(C7_ENDS_PUSHED) && recovering(r))
            rc = recovery_shown(r, site);
    }
    /* The answer that asked may have been lost with its session. What only brought what was asked for, and left as much missing, does not ask
     * again: that would have no end. */
    if (rc == PERCHE_OK && (push->to > push->from || w->first_push || rows_missing(r, site) < missing))
        rc = ask_rows(r, site, o);
    o->message.u.push_reply.have = peer.have;
    perche_batch_free(batch);
    return rc;
}
