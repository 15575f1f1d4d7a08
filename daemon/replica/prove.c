/* Positions shown and judged at the handshake (DESIGN 4.2, 4.8). */
#include <stdlib.h>
#include <string.h>

#include "replica/floor.h"
#include "replica/harvest.h"
#include "replica/pack.h"
#include "replica/position.h"
#include "replica/statements.h"

#define RECOVERY_RETRY_MS 30000u
#define OFFSET_SHIFTED_MS 2000 /* a clock nearer than this is left alone */
#define BLOCK_ROWS 500u        /* of a block of the history that tells shifted stamps */
#define BLOCK_BYTES (1u << 20)

static void add_mark(struct perche_prove *p, sqlite3_stmt *s)
{
    p->marks[p->marks_count].lsn = (uint64_t)sqlite3_column_int64(s, 0);
    p->marks[p->marks_count++].mark = (uint64_t)sqlite3_column_int64(s, 1);
}

/* The one at @needed, which the hub will look for (0 = none), and the newest ones. */
static void add_marks(struct replica *r, struct perche_prove *p, uint64_t needed)
{
    sqlite3_stmt *s = sql(r, SQL_MARK_AT);

    sqlite3_bind_int64(s, 1, (sqlite3_int64)needed);
    if (needed != 0 && sql_row(r, s))
        add_mark(p, s);
    sql_done(s);
    s = sql(r, SQL_MARKS);
    while (p->marks_count < PERCHE_MARKS_MAX && sql_row(r, s))
        if (p->marks_count == 0 || p->marks[0].lsn != (uint64_t)sqlite3_column_int64(s, 0))
            add_mark(p, s);
    sql_done(s);
}

enum perche_rc prove_build(struct replica *r, const struct work *w, struct outcome *o)
{
    struct perche_prove *p = &o->message.u.prove;
    size_t n = strlen(r->node.site) + 1;
    char *site = perche_message_alloc(&o->message, n);

    if (site == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a handshake");
    memcpy(site, r->node.site, n);
    memset(p, 0, sizeof *p);
    o->message.op = PERCHE_OP_PROVE;
    p->site = site;
    p->epoch = r->node.epoch;
    p->prev_epoch = r->node.prev_epoch;
    p->lsn = r->node.lsn;
    p->full = r->node.full;
    p->scan = r->node.scan;
    p->done = r->node.done;
    p->asof = r->node.asof;
    p->schema = r->node.schema;
    p->acked = r->node.acked;
    p->epoch_acked = r->node.epoch_acked;
    p->relays = r->node.relays != 0;
    add_marks(r, p, w->asof_lsn != 0 ? w->asof_lsn : r->node.acked_asof);
    p->list_count = pulled_list(r, p->list);
    return r->fail;
}

enum perche_rc prove_judge(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_prove *p = &w->message.u.prove;
    const char *address = w->args != NULL ? w->args : "";
    struct perche_prove_reply *reply = &o->message.u.prove_reply;
    struct perche_pull_entry back = {0};
    uint32_t site = name_number(r, w->site);
    struct peer peer;
    bool lost = false, same, is_new;
    enum perche_rc rc = site == 0 ? r->fail : peer_load(r, site, &peer);
    char *name;

    if (rc != PERCHE_OK)
        return rc;
    same = peer.epoch == p->epoch;
    is_new = peer.epoch == 0;
    memset(reply, 0, sizeof *reply);
    o->message.op = PERCHE_OP_PROVE;
    o->message.reply = true;
    reply->verdict = w->two_machines || peer_held(r, site) ? PERCHE_TWO_MACHINES
                                                           : position_judge(r, site, p, &peer, &back, &lost);
    lost |= p->relays && reply->verdict == PERCHE_PROVEN;
    if (lost && (reply->verdict == PERCHE_PROVEN || reply->verdict == PERCHE_GO_BACK)) {
        bool begun;

        if (is_new) /* invited again by a hub that was put back to before it knew the site: it counts as active from here on */
            rc = peer_store(r, site, &peer);
        if (rc == PERCHE_OK)
            rc = recovery_claim(r, site, &begun);
        if (rc != PERCHE_OK)
            return rc;
        if (!begun) {
            o->message.refused = true;
            o->message.u.no = (struct perche_no){.why = PERCHE_NO_RECOVERY, .text = "this hub may have been put back: it waits for more sites to say so", .retry_ms = RECOVERY_RETRY_MS};
            return PERCHE_OK;
        }
    }
    if (reply->verdict == PERCHE_TWO_MACHINES) {
        rc = peer_hold(r, site, address);
    } else if (reply->verdict != PERCHE_RESTORED) {
        if (reply->verdict == PERCHE_PROVEN && !lost) /* what it says of a life of ours that is no more says nothing */
            rc = peer_done(r, site, &peer, p->done);
        peer.session = w->session;
        if (rc == PERCHE_OK && !same && !is_new) /* it was put back */
            rc = left_again(r, site, peer.full);
        if (rc == PERCHE_OK)
            rc = peer_store(r, site, &peer);
        if (rc == PERCHE_OK)
            rc = peer_proved(r, site, address);
        if (rc == PERCHE_OK)
            rc = floor_came(r, site, p, &peer, same && reply->verdict == PERCHE_PROVEN, &reply->floor);
    }
    reply->session = w->session;
    reply->epoch = peer.epoch;
    reply->have = peer.have;
    reply->have_asof = peer.asof;
    reply->stamp = peer.stamp;
    reply->full = back.full;
    reply->scan = back.scan;
    reply->asof = (struct perche_pos){r->node.lsn, r->node.mark};
    reply->clock_ms = r->now_ms;
    name = perche_message_alloc(&o->message, 1);
    if (name == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a handshake");
    name[0] = '\0';
    reply->name = name;
    return rc == PERCHE_OK ? migrations_since(r, p->schema, o, &reply->migrations, &reply->migrations_count) : rc;
}

/* ---- the clock of unpushed changes ------------------------------------------- */

/* Shifted by the offset and cut to the hub's present; the order stays, and they stay above every stamp that the
 * site has from the hub and that the hub has of the site. Only what was never acknowledged comes here. */
static uint64_t shifted(uint64_t stamp, int64_t offset_ms, uint64_t low, uint64_t high_ms)
{
    int64_t ms = (int64_t)(stamp >> 16) + offset_ms;
    uint64_t out;

    if (ms < 0)
        ms = 0;
    if ((uint64_t)ms > high_ms && !WITHOUT(A17_NEVER_LATER))
        ms = (int64_t)high_ms;
    out = (uint64_t)ms << 16 | (stamp & 0xffff);
    return out > low || WITHOUT(A16_ORDER) ? out : low + 1;
}

struct unpushed_cell {
    uint64_t stamp, new_stamp;
    bool suspect;            /* of an implausible clock */
    bool put_right;          /* by an earlier handshake */
};

static int by_stamp(const void *x, const void *y)
{
    const struct unpushed_cell *a = x, *b = y;

    return a->stamp < b->stamp ? -1 : a->stamp > b->stamp;
}

/* Calls @each for every unpushed row: first to collect the stamps, then to write them. */
static enum perche_rc each_unpushed(struct replica *r, enum perche_rc (*each)(struct replica *, struct meta *, void *), void *ctx)
{
    uint64_t after = r->node.acked;
    enum perche_rc rc = PERCHE_OK;
    bool any = true;

    while (rc == PERCHE_OK && any) {
        sqlite3_stmt *s = sql(r, SQL_PUSH_ROWS);
        struct meta m;
        struct table *t = NULL;
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n = 0;

        sqlite3_bind_int64(s, 1, (sqlite3_int64)after);
        any = sql_row(r, s);
        if (any) {
            after = (uint64_t)sqlite3_column_int64(s, 0);
            t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 1));
            key_n = (uint32_t)sqlite3_column_bytes(s, 2);
            memcpy(key, sqlite3_column_blob(s, 2), key_n);
        }
        sql_done(s);
        if (t == NULL || t->is_system)
            continue;
        rc = meta_load(r, t, (struct perche_bytes){key, key_n}, &m);
        if (rc == PERCHE_OK)
            rc = each(r, &m, ctx);
        meta_clear(&m);
    }
    return rc;
}

struct shift {
    struct unpushed_cell *cells;
    size_t count, cap;
    struct author author;    /* of the rows that are restamped, so that the history knows them */
    uint64_t limit;          /* stamps from here on are in the hub's future */
    bool fixed;              /* some of these may not be shifted */
};

static bool shiftable(const struct replica *r, const struct clock_cell *c, uint64_t limit)
{
    return c->written && c->via == VIA_LOCAL && c->lsn > r->node.acked && (c->lsn > r->node.unshifted || WITHOUT(A16_UNSHIFTED)) && !c->fixed &&
           c->origin == r->node.site_num && (c->lsn > r->node.shifted || c->stamp >= limit);
}

/* Acknowledged once, or of an earlier epoch, and in the hub's future: taken as it is, without moving a clock. */
static bool stays(const struct replica *r, const struct clock_cell *c, uint64_t limit)
{
    return c->written && c->via == VIA_LOCAL && c->lsn > r->node.acked && c->lsn <= r->node.unshifted && !c->fixed &&
           c->stamp >= limit;
}

static enum perche_rc collect(struct replica *r, struct meta *m, void *ctx)
{
    struct shift *sh = ctx;

    for (uint32_t num = 0; num < m->count; num++) {
        sh->fixed |= stays(r, &m->cells[num], sh->limit);
        if (!shiftable(r, &m->cells[num], sh->limit))
            continue;
        if (sh->count > 0 && sh->cells[sh->count - 1].stamp == m->cells[num].stamp)
            continue; /* a row's cells mostly share one */
        if (sh->count == sh->cap) {
            size_t cap = sh->cap ? 2 * sh->cap : 256;
            void *more = sqlite3_realloc64(sh->cells, cap * sizeof *sh->cells);

            if (more == NULL)
                return fail(r, PERCHE_NOMEM, "no memory to shift a clock");
            sh->cells = more;
            sh->cap = cap;
        }
        sh->cells[sh->count++] = (struct unpushed_cell){m->cells[num].stamp, 0, (m->flags & META_SUSPECT) != 0, m->cells[num].lsn <= r->node.shifted};
    }
    return PERCHE_OK;
}

/* Of a row whose table somebody has dropped: it is made again, from the history, and the handshake does not wait for it. */
static enum perche_rc values_of_gone(struct replica *r, struct meta *m, struct perche_value *values)
{
    bool there = true;
    enum perche_rc rc;

    memset(values, 0, m->count * sizeof values[0]);
    rc = row_recalled(r, m, values, &there);
    return rc == PERCHE_OK && !there ? fail(r, PERCHE_BUSY, "%s is gone, and has to be made again first", m->table->name) : rc;
}

static enum perche_rc restamp(struct replica *r, struct meta *m, void *ctx)
{
    struct shift *sh = ctx;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    bool fixed = false, gen = false, gone = !m->table->present && meta_alive(m) && !(m->flags & META_HELD);
    uint64_t mask = 0;
    enum perche_rc rc = gone ? values_of_gone(r, m, values) : PERCHE_OK; /* by the stamps that the history has them under */

    for (uint32_t num = 0; num < m->count && rc == PERCHE_OK; num++) {
        struct unpushed_cell key = {.stamp = m->cells[num].stamp}, *found;

        if (stays(r, &m->cells[num], sh->limit))
            m->cells[num].fixed = fixed = true;
        if (!shiftable(r, &m->cells[num], sh->limit))
            continue;
        found = bsearch(&key, sh->cells, sh->count, sizeof key, by_stamp);
        if (found == NULL || found->new_stamp == found->stamp)
            continue;
        m->cells[num].stamp = found->new_stamp;
        if (m->cells[num].based && m->cells[num].base_stamp >= found->new_stamp) { /* which may be in the hub's future, and was not shifted */
            m->cells[num].stamp = m->cells[num].base_stamp + 1;
            m->cells[num].fixed = m->cells[num].stamp >= sh->limit;
        }
        if (num == 0)
            gen = true;
        else
            mask |= UINT64_C(1) << (num - 1);
    }
    if (rc != PERCHE_OK || (!gen && mask == 0))
        return rc == PERCHE_OK && fixed ? meta_save(r, m) : rc;
    rc = gone ? rc : row_values(r, m, values);
    if (rc == PERCHE_OK && sh->author.prev_count > 0 &&
        (sh->author.prev_count == BLOCK_ROWS || perche_batch_bytes(sh->author.batch) > BLOCK_BYTES)) {
        rc = author_end(&sh->author, PERCHE_OK);
        sh->author = (struct author){0};
    }
    if (rc == PERCHE_OK && sh->author.batch == NULL)
        rc = author_begin(&sh->author, r, BLOCK_ROWS);
    return rc == PERCHE_OK ? author_restamped(&sh->author, m, values, mask, gen) : rc;
}

static bool is_far(int64_t ms)
{
    return ms > OFFSET_SHIFTED_MS || ms < -OFFSET_SHIFTED_MS;
}

/* What was captured under a wrong clock is put right before it is shown to anybody. While the clock is implausible its
 * stamps are made by node.wild_ms, which is put right as well; what was made before it went wild is left alone. */
static enum perche_rc shift_unpushed(struct replica *r, int64_t offset_ms, uint64_t hub_now_ms, uint64_t hub_stamp)
{
    uint64_t low = r->node.hub_stamp > hub_stamp ? r->node.hub_stamp : hub_stamp, limit = (hub_now_ms + 1) << 16;
    struct shift sh = {.limit = limit};
    bool wild = clock_implausible(r, r->now_ms), far;
    int64_t suspect_ms = wild ? offset_ms - (int64_t)r->node.wild_ms : 0, other_ms = wild ? 0 : offset_ms;
    size_t n = 0;
    enum perche_rc rc;

    if (wild) {
        r->node.wild_ms = (uint64_t)offset_ms;
        r->node_dirty = true;
    }
    far = is_far(suspect_ms) || is_far(other_ms);
    if ((!far || r->node.shifted == r->node.lsn) && (r->node.stamp < limit || WITHOUT(A17_NEVER_LATER)))
        return PERCHE_OK; /* every stamp of this node is at or below its last one */
    rc = each_unpushed(r, collect, &sh);
    if (rc == PERCHE_OK && (sh.count > 0 || sh.fixed)) {
        if (sh.count > 0)
            qsort(sh.cells, sh.count, sizeof *sh.cells, by_stamp);
        for (size_t i = 0; i < sh.count; i++) {
            struct unpushed_cell *c = &sh.cells[i];
            int64_t by = c->put_right ? 0 : c->suspect ? suspect_ms : other_ms;

            if (i > 0 && c->stamp == sh.cells[n - 1].stamp)
                continue;
            c->new_stamp = is_far(by) ? shifted(c->stamp, by, low, hub_now_ms) : c->stamp;
            if (c->new_stamp >= limit && !WITHOUT(A17_NEVER_LATER))
                c->new_stamp = shifted(c->stamp, 0, low, hub_now_ms);
            if (c->new_stamp > low)
                low = c->new_stamp;
            sh.cells[n++] = *c;
        }
        sh.count = n;
        rc = author_end(&sh.author, each_unpushed(r, restamp, &sh));
        if (rc == PERCHE_OK && sh.count > 0) /* what was signed names the stamps */
            rc = chain_renew(r, r->node.acked > r->node.unshifted ? r->node.acked : r->node.unshifted);
        /* the clock of this node follows, on and also back */
        if (rc == PERCHE_OK && (low > r->node.stamp || (far && (suspect_ms < 0 || other_ms < 0)))) {
            r->node.stamp = low;
            r->node_dirty = true;
        }
    } else if (rc == PERCHE_OK && is_far(offset_ms) && offset_ms < 0 && r->node.stamp >= limit) {
        r->node.stamp = low > limit ? low : limit;
        r->node_dirty = true;
    }
    sqlite3_free(sh.cells);
    return rc;
}

/* Told that it was restored: is it so, or was the mark that the hub needs not among those that it was shown? */
static enum perche_rc told_restored(struct replica *r, const struct perche_prove_reply *reply, struct outcome *o)
{
    if (reply->epoch == r->node.epoch && mark_known(r, reply->have_asof) && r->node.scan >= reply->scan &&
        reply->have_asof.lsn <= r->node.lsn) {
        o->asof_lsn = reply->have_asof.lsn;
        return PERCHE_OK;
    }
    return epoch_begin(r, reply->epoch);
}

/* The push cursor is what the hub says it has, also when that is less than before. */
static enum perche_rc take_cursors(struct replica *r, const struct perche_prove_reply *reply)
{
    if (reply->have > r->node.lsn)
        return fail(r, PERCHE_STALE, "the hub says it has more of this site than there is");
    if (reply->verdict == PERCHE_GO_BACK)
        return pull_back(r, reply->have, reply->full, reply->scan);
    if (reply->have < r->node.acked)
        return ack_back(r, reply->have);
    return ack_advance(r, reply->have, 0);
}

/* The hub's present: later than its answer was made, by the way and by what waited here. */
static uint64_t hub_now(const struct work *w)
{
    uint64_t now = w->now_ms + (uint64_t)w->offset_ms, told = w->message.u.prove_reply.clock_ms; /* it may say any time */

    return now <= INT64_MAX && now > told ? now : told;
}

enum perche_rc proved(struct replica *r, const struct work *w, struct outcome *o)
{
    const struct perche_prove_reply *reply = &w->message.u.prove_reply;
    enum perche_rc rc;

    if (reply->verdict == PERCHE_TWO_MACHINES)
        return fail(r, PERCHE_STATE, "another machine speaks to the hub as this site");
    if (reply->verdict == PERCHE_RESTORED)
        return told_restored(r, reply, o);
    rc = harvest_all(r);
    if (rc == PERCHE_OK)
        rc = take_cursors(r, reply);
    if (rc == PERCHE_OK)
        floor_told(r, reply->floor, true);
    if (rc == PERCHE_OK)
        rc = must_end(r);
    if (rc == PERCHE_OK)
        rc = shift_unpushed(r, w->offset_ms, hub_now(w), reply->stamp);
    if (rc == PERCHE_OK) {
        r->node.shifted = r->node.lsn; /* what a line cut short left unpushed is not moved by the same offset again */
        r->node.offset_ms = w->offset_ms;
        r->node.acked_asof = reply->have_asof.lsn;
        if (reply->stamp > r->node.hub_stamp)
            r->node.hub_stamp = reply->stamp;
        r->node_dirty = true;
    }
    if (rc == PERCHE_OK && reply->migrations_count > 0) {
        uint64_t schema = r->node.schema;

        rc = migrations_apply(r, reply->migrations, reply->migrations_count);
        o->more = reply->migrations_count == PERCHE_MIGRATIONS_MAX && r->node.schema != schema;
    }
    if (rc == PERCHE_OK) /* what stood in a table that is replicated now was written without knowledge of what waited for it */
        rc = harvest_all(r);
    return rc;
}
