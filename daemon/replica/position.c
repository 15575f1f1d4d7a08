#include "replica/position.h"

#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/pack.h"
#include "replica/statements.h"

#define EPOCHS_KEPT 64u /* superseded ones of a site: a copy older than all of them is taken for an older copy, which it is */
#define PULLED_NEWEST 8u /* entries that are never thinned */
#define PULLED_MAX PERCHE_BOUND(96u, 9u)   /* when there are so many they are thinned: about 40 stay */

/* ---- a site: what it had from the hub when --------------------------------------------- */

/* Newest first. */
static uint32_t pulled_read(struct replica *r, struct perche_pull_entry *out, uint32_t max)
{
    sqlite3_stmt *s = sql(r, SQL_PULLED_LIST);
    uint32_t n = 0;

    while (n < max && sql_row(r, s))
        out[n++] = (struct perche_pull_entry){.scan = (uint64_t)sqlite3_column_int64(s, 0),
                                              .full = (uint64_t)sqlite3_column_int64(s, 1),
                                              .asof = {(uint64_t)sqlite3_column_int64(s, 2), (uint64_t)sqlite3_column_int64(s, 3)},
                                              .life = (uint64_t)sqlite3_column_int64(s, 4),
                                              .own_lsn = (uint64_t)sqlite3_column_int64(s, 5)};
    sql_done(s);
    return n;
}

static int distance(const struct perche_pull_entry *from, const struct perche_pull_entry *to)
{
    uint64_t away = from->scan - to->scan;

    return away == 0 ? 0 : 64 - __builtin_clzll(away);
}

/* The newest few, and of each power of two of distance the oldest: it falls into the next class in time (as marks_thin()). */
static bool pulled_stays(const struct perche_pull_entry *e, uint32_t i, uint32_t n)
{
    return i < PULLED_NEWEST || i + 1 == n || distance(&e[0], &e[i]) != distance(&e[0], &e[i + 1]);
}

static enum perche_rc pulled_thin(struct replica *r)
{
    struct perche_pull_entry e[PULLED_MAX];
    uint32_t n = pulled_read(r, e, PULLED_MAX);

    for (uint32_t i = 0; i < n && r->fail == PERCHE_OK; i++) {
        sqlite3_stmt *s;

        if (pulled_stays(e, i, n))
            continue;
        s = ask(r, "DELETE FROM perche_pulled WHERE scan = ?1 AND full = ?2");
        if (s != NULL) {
            sqlite3_bind_int64(s, 1, (sqlite3_int64)e[i].scan);
            sqlite3_bind_int64(s, 2, (sqlite3_int64)e[i].full);
        }
        (void)ask_run(r, s, "forget where this site had pulled to");
    }
    return r->fail;
}

enum perche_rc pulled_note(struct replica *r, uint64_t life, uint64_t have)
{
    const struct node *n = &r->node;
    sqlite3_stmt *s = sql(r, SQL_PULLED_PUT);
    const uint64_t v[] = {n->scan, n->full, n->asof.lsn, n->asof.mark, life, n->lsn, have < n->acked ? have : n->acked};
    enum perche_rc rc;

    for (int i = 0; i < (int)(sizeof v / sizeof v[0]); i++)
        sqlite3_bind_int64(s, i + 1, (sqlite3_int64)v[i]);
    rc = sql_run(r, s, "note where this site has pulled to");
    if (rc == PERCHE_OK && ask_number(r, "SELECT count(*) FROM perche_pulled WHERE ?1 AND ?2 IS NULL", 1, NULL) >= PULLED_MAX)
        rc = pulled_thin(r);
    return rc;
}

uint32_t pulled_list(struct replica *r, struct perche_pull_entry out[PERCHE_LIST_MAX])
{
    struct perche_pull_entry e[PULLED_MAX];
    uint32_t n = pulled_read(r, e, PULLED_MAX), count = 0;

    for (uint32_t i = 0; i < n && count < PERCHE_LIST_MAX; i++)
        if (pulled_stays(e, i, n))
            out[count++] = e[i];
    return count;
}

/* ---- a site: new epochs, and going back ------------------------------------------------- */

#ifdef PERCHE_SWITCHES
struct perche_pos mark_at(struct replica *r, uint64_t lsn)
{
    sqlite3_stmt *s = sql(r, SQL_MARK_AT);
    struct perche_pos pos = {r->node.lsn, r->node.mark};

    sqlite3_bind_int64(s, 1, (sqlite3_int64)lsn);
    if (sql_row(r, s))
        pos = (struct perche_pos){(uint64_t)sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1)};
    sql_done(s);
    return pos;
}
#endif

bool mark_known(struct replica *r, struct perche_pos pos)
{
    sqlite3_stmt *s = sql(r, SQL_MARK_AT);
    bool known;

    sqlite3_bind_int64(s, 1, (sqlite3_int64)pos.lsn);
    known = sql_row(r, s) && (uint64_t)sqlite3_column_int64(s, 0) == pos.lsn &&
            (uint64_t)sqlite3_column_int64(s, 1) == pos.mark;
    sql_done(s);
    return known || pos.lsn == 0;
}

static void must_begin(struct replica *r)
{
    r->node.must = 1;
    if (!WITHOUT(C10_DONE_ZERO))
        r->node.done = 0; /* not before all of its own is pushed: a row that is to be dropped may be among it */
    r->node.unshifted = r->node.lsn;
    r->node_dirty = true;
}

enum perche_rc epoch_begin(struct replica *r, uint64_t current)
{
    struct node *n = &r->node;
    enum perche_rc rc = harvest_all(r); /* what was written until now belongs to the life that ends */

    if (rc != PERCHE_OK)
        return rc;
    n->prev_epoch = current;
    do {
        n->epoch = random_u64(r) >> 1 | 1;
    } while (n->epoch == current);
    if (n->acked < n->epoch_acked)
        n->epoch_acked = n->acked;
    must_begin(r);
    return PERCHE_OK;
}

struct again {
    uint64_t have;       /* own cells above it go again */
    uint64_t since;      /* cells that came from the hub into a position above it, too */
    uint64_t full, scan; /* what rows say of themselves goes back as well */
};

static enum perche_rc again_row(struct replica *r, struct meta *m, const struct again *g)
{
    uint64_t oldest = 0, lsn = 0;
    bool changed = false, whole = false;

    for (uint32_t num = 0; num < m->count; num++) {
        struct clock_cell *c = &m->cells[num];

        /* acknowledged before its turn (ack_advance): what is above the cursor again is ours to send again */
        if (c->written && c->via == VIA_HUB && c->lsn > g->have && c->lsn <= g->since && c->origin == r->node.site_num) {
            c->via = VIA_LOCAL;
            changed = true;
        }
        if (!WITHOUT(A14_OTHERS_VALUES) && c->written && c->via == VIA_HUB && c->lsn > g->since) {
            if (lsn == 0)
                lsn = next_lsn(r);
            c->via = VIA_LOCAL;
            c->lsn = lsn;
        }
        if (num == 0) /* it goes whole: after all its entries (author.c) */
            whole = m->table->chained && c->via == VIA_LOCAL && c->lsn > g->have;
        if (whole && c->written && c->via == VIA_LOCAL && c->lsn > g->have) {
            if (lsn == 0)
                lsn = next_lsn(r);
            c->lsn = lsn;
        }
        if (c->written && c->via == VIA_LOCAL && c->lsn > g->have && (oldest == 0 || c->lsn < oldest))
            oldest = c->lsn;
    }
    if (lsn != 0) {
        m->lsn = lsn;
        changed = true;
    }
    if (!WITHOUT(C2_PAIR_BACK) && m->flags & META_PAIR && (m->full > g->full || m->scan > g->scan)) {
        m->full = m->full < g->full ? m->full : g->full;
        m->scan = m->scan < g->scan ? m->scan : g->scan;
        changed = true;
    }
    if (!changed && m->first == oldest)
        return PERCHE_OK;
    m->first = oldest;
    return meta_save(r, m);
}

/* The row that the statement stands at: table, key. */
static enum perche_rc again_at(struct replica *r, sqlite3_stmt *s, struct meta *m, const struct again *g)
{
    struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 0));
    enum perche_rc rc;

    if (t == NULL)
        return PERCHE_OK;
    rc = meta_load(r, t, (struct perche_bytes){sqlite3_column_blob(s, 1), (uint32_t)sqlite3_column_bytes(s, 1)}, m);
    if (rc == PERCHE_OK)
        rc = again_row(r, m, g);
    meta_clear(m);
    return rc;
}

/* Of the rows at or below @below only those may change that have a pull position of their own. */
static enum perche_rc pairs_back(struct replica *r, struct meta *m, const struct again *g, uint64_t below)
{
    sqlite3_stmt *s = ask(r, "SELECT tab, key FROM perche_row WHERE lsn <= ?1 AND flags & ?2");
    enum perche_rc rc = PERCHE_OK;

    if (s != NULL) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)below);
        sqlite3_bind_int(s, 2, META_PAIR);
    }
    while (rc == PERCHE_OK && ask_row(r, s, "go through the rows"))
        rc = again_at(r, s, m, g);
    sqlite3_finalize(s);
    return rc != PERCHE_OK ? rc : r->fail;
}

/* The rows of a scope in the order of their positions. */
struct again_scope {
    sqlite3_stmt *rows;
    uint64_t lsn;        /* of the one that it stands at, 0 = none is left */
};

static void again_step(struct replica *r, struct again_scope *a)
{
    a->lsn = ask_row(r, a->rows, "go through the rows") ? (uint64_t)sqlite3_column_int64(a->rows, 2) : 0;
}

/* One for each scope that there is. What gets a new position, beyond the newest one, is not met again. */
static enum perche_rc scopes_open(struct replica *r, uint64_t below, struct again_scope **scopes, uint32_t *count)
{
    sqlite3_stmt *s = ask(r, "SELECT scope FROM perche_row INDEXED BY perche_row_scope WHERE scope > ?1 ORDER BY scope LIMIT 1");
    uint32_t scope = 0;

    while (s != NULL && r->fail == PERCHE_OK) {
        struct again_scope *more = realloc(*scopes, (*count + 1) * sizeof *more);

        if (more == NULL) {
            (void)fail(r, PERCHE_NOMEM, "no memory to send rows again");
            break;
        }
        *scopes = more;
        sqlite3_bind_int64(s, 1, scope);
        if (!ask_row(r, s, "look up scopes"))
            break;
        scope = (uint32_t)sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
        more += *count;
        *more = (struct again_scope){.rows = ask(r, "SELECT tab, key, lsn FROM perche_row INDEXED BY perche_row_scope"
                                                    " WHERE scope = ?1 AND lsn > ?2 AND lsn <= ?3 ORDER BY lsn")};
        if (more->rows == NULL)
            break;
        ++*count;
        sqlite3_bind_int64(more->rows, 1, scope);
        sqlite3_bind_int64(more->rows, 2, (sqlite3_int64)below);
        sqlite3_bind_int64(more->rows, 3, (sqlite3_int64)r->node.lsn);
        again_step(r, more);
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* In the order of their positions, which new ones keep: a conflict stays before the row that it is about. The scopes are merged,
 * as a sort would hold all rows in memory. */
static enum perche_rc send_again(struct replica *r, const struct again *g)
{
    uint64_t below = g->have < g->since ? g->have : g->since;
    struct again_scope *scopes = NULL, *next;
    uint32_t count = 0;
    struct meta *m = malloc(sizeof *m);
    enum perche_rc rc = m == NULL ? fail(r, PERCHE_NOMEM, "no memory to send rows again") : scopes_open(r, below, &scopes, &count);

    do {
        next = NULL;
        for (uint32_t i = 0; i < count; i++)
            if (scopes[i].lsn != 0 && (next == NULL || scopes[i].lsn < next->lsn))
                next = &scopes[i];
        if (rc == PERCHE_OK && next != NULL) {
            rc = again_at(r, next->rows, m, g);
            again_step(r, next);
        }
    } while (rc == PERCHE_OK && r->fail == PERCHE_OK && next != NULL);
    for (uint32_t i = 0; i < count; i++)
        sqlite3_finalize(scopes[i].rows);
    free(scopes);
    if (rc == PERCHE_OK && r->fail == PERCHE_OK)
        rc = pairs_back(r, m, g, below);
    free(m);
    return rc != PERCHE_OK ? rc : r->fail;
}

enum perche_rc ack_back(struct replica *r, uint64_t have)
{
    struct again g = {.have = have, .since = INT64_MAX, .full = INT64_MAX, .scan = INT64_MAX};
    enum perche_rc rc = send_again(r, &g);

    r->node.acked = have;
    if (!WITHOUT(C9_PUSH_FIRST))
        must_begin(r);
    return rc;
}

enum perche_rc pull_back(struct replica *r, uint64_t have, uint64_t full, uint64_t scan)
{
    struct again g = {.have = have, .since = 0, .full = full, .scan = scan};
    struct perche_pos asof = {0};
    sqlite3_stmt *s;
    enum perche_rc rc;

    if (full != 0 || scan != 0) {
        s = ask(r, "SELECT own_lsn, asof_lsn, asof_mark FROM perche_pulled WHERE scan = ?1 AND full = ?2");
        if (s != NULL) {
            sqlite3_bind_int64(s, 1, (sqlite3_int64)scan);
            sqlite3_bind_int64(s, 2, (sqlite3_int64)full);
        }
        if (ask_row(r, s, "look up a pull position")) {
            g.since = (uint64_t)sqlite3_column_int64(s, 0);
            asof = (struct perche_pos){(uint64_t)sqlite3_column_int64(s, 1), (uint64_t)sqlite3_column_int64(s, 2)};
        } else if (r->fail == PERCHE_OK) {
            (void)fail(r, PERCHE_CORRUPT, "the hub sends this site back to where it never was");
        }
        sqlite3_finalize(s);
        if (r->fail != PERCHE_OK)
            return r->fail;
    }
    rc = send_again(r, &g);
    s = rc == PERCHE_OK ? ask(r, "DELETE FROM perche_pulled WHERE scan > ?1 OR (scan = ?1 AND full > ?2)") : NULL;
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)scan);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)full);
    }
    if (rc == PERCHE_OK)
        rc = ask_run(r, s, "forget pull positions");
    for (int i = 0; rc == PERCHE_OK && i < 2 && !WITHOUT(CT_MARKS_FORGOTTEN); i++) { /* heard of a life of the hub that is no more */
        s = ask(r, i == 0 ? "DELETE FROM perche_leaving WHERE lsn > ?1" : "DELETE FROM perche_wanted WHERE lsn > ?1 AND kind < 3");
        if (s != NULL)
            sqlite3_bind_int64(s, 1, (sqlite3_int64)scan);
        rc = ask_run(r, s, "forget marks");
    }
    if (rc != PERCHE_OK)
        return rc;
    r->node.relays = 1;
    r->node.acked = have;
    r->node.full = full;
    r->node.scan = scan;
    r->node.asof = asof;
    r->node.had = 0;
    if (r->node.lsn == have)
        (void)next_lsn(r); /* an empty batch then says that all was shown */
    must_begin(r);
    return PERCHE_OK;
}

enum perche_rc must_end(struct replica *r)
{
    sqlite3_stmt *s;
    bool captured;

    if (!r->node.must || r->node.acked < r->node.lsn || push_pending(r, r->node.acked) > 0)
        return PERCHE_OK;
    s = sql(r, SQL_CAPTURE_ANY);
    captured = sql_row(r, s);
    sql_done(s);
    if (!captured) {
        r->node.must = r->node.relays = 0;
        r->node_dirty = true;
    }
    return r->fail;
}

/* ---- a hub: lives ------------------------------------------------------------------------- */

enum perche_rc life_begin(struct replica *r)
{
    sqlite3_stmt *s;

    /* one in which nothing was numbered names no position of its own */
    s = ask(r, "DELETE FROM perche_life WHERE lsn = (SELECT lsn FROM perche_node)");
    if (ask_run(r, s, "end a life without positions") != PERCHE_OK)
        return r->fail;
    r->node.life = random_u64(r) >> 1 | 1;
    r->node_dirty = true;
    s = ask(r, "INSERT INTO perche_life (life, lsn) VALUES (?1, ?2)");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)r->node.life);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)r->node.lsn);
    }
    if (ask_run(r, s, "begin a life") != PERCHE_OK)
        return r->fail;
    return node_store(r);
}

/* Was this position one of ours? Its mark says so; of one whose mark was thinned its life does, as far as it went. */
static bool common(struct replica *r, struct perche_pos asof, uint64_t life)
{
    sqlite3_stmt *s;
    bool found, same;

    if (asof.lsn == 0 || WITHOUT(A11_HUB_MARKS))
        return asof.lsn <= r->node.lsn;
    s = sql(r, SQL_MARK_AT);
    sqlite3_bind_int64(s, 1, (sqlite3_int64)asof.lsn);
    found = sql_row(r, s) && (uint64_t)sqlite3_column_int64(s, 0) == asof.lsn;
    same = found && (uint64_t)sqlite3_column_int64(s, 1) == asof.mark;
    sql_done(s);
    if (found || life == 0)
        return same;
    s = ask(r, "SELECT coalesce((SELECT min(o.lsn) FROM perche_life o WHERE o.n > l.n), ?2) FROM perche_life l WHERE l.life = ?1");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)life);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)r->node.lsn);
    }
    same = ask_row(r, s, "look up a life") && asof.lsn <= (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return same;
}

/* ---- a hub: verdicts ------------------------------------------------------------------------- */

static bool has_mark(const struct perche_prove *p, struct perche_pos pos)
{
    if (WITHOUT(A11_SITE_MARKS))
        return pos.lsn <= p->lsn;
    for (uint32_t i = 0; i < p->marks_count; i++)
        if (p->marks[i].lsn == pos.lsn)
            return p->marks[i].mark == pos.mark;
    /* One that is needed and was not shown counts as not known; but what lies below the acknowledgement may be thinned,
     * and is asked for by a hub alone that was put back. */
    return pos.lsn <= p->acked;
}

static struct perche_pos newest(const struct perche_prove *p)
{
    for (uint32_t i = 0; i < p->marks_count; i++)
        if (p->marks[i].lsn == p->lsn)
            return p->marks[i];
    return (struct perche_pos){0};
}

/* Nobody goes back behind what we have: then it is an older copy. */
static bool older(const struct perche_prove *p, struct perche_pos asof, uint64_t scan)
{
    return p->lsn < asof.lsn || !has_mark(p, asof) || p->scan < scan;
}

/* Has the site proven itself since this hub was opened? Then what is known of it is not from before the hub was put back. */
static bool heard_in_this_life(struct replica *r, uint32_t site)
{
    return ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_peer p, perche_node n WHERE p.site = ?1 AND p.life = n.life) AND ?2 IS NULL", site, NULL) != 0;
}

/* Was this hub put back, and does not know how far the epoch went that the site has ended? The site has more than we had of it, or of
 * us; or it is not older than our record, and only a hub whose record that had been would have made it begin another. */
static bool outdated(struct replica *r, uint32_t site, const struct perche_prove *p, const struct peer *peer, uint64_t life)
{
    return !heard_in_this_life(r, site) &&
           (p->acked > peer->have || p->scan > p->asof.lsn || !common(r, p->asof, life) || !older(p, peer->asof, peer->scan));
}

/* Has it not sent yet all that this hub, which was put back, may have lost? */
static bool is_showing(struct replica *r, uint32_t site)
{
    return ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_peer WHERE site = ?1 AND recovery <> 0)", site, NULL) != 0;
}

/* @forgotten: whatever shows that epoch then is an older copy. Two machines that both go on are told by the epoch which that one
 * begins, as it ends the other's. */
static enum perche_rc epoch_end(struct replica *r, uint32_t site, const struct peer *peer, bool forgotten)
{
    sqlite3_stmt *s = ask(r, "INSERT INTO perche_peer_epoch (site, epoch, asof_lsn, asof_mark, scan) VALUES (?1, ?2, ?3, ?4, ?5)"
                             " ON CONFLICT DO UPDATE SET asof_lsn = excluded.asof_lsn, asof_mark = excluded.asof_mark, scan = excluded.scan");
    const uint64_t v[] = {site, peer->epoch, forgotten ? INT64_MAX : peer->asof.lsn, forgotten ? 0 : peer->asof.mark, peer->scan};
    enum perche_rc rc;

    for (int i = 0; s != NULL && i < (int)(sizeof v / sizeof v[0]); i++)
        sqlite3_bind_int64(s, i + 1, (sqlite3_int64)v[i]);
    rc = ask_run(r, s, "keep a superseded epoch");
    if (rc != PERCHE_OK)
        return rc;
    s = ask(r, "DELETE FROM perche_peer_epoch WHERE site = ?1 AND n NOT IN"
               " (SELECT n FROM perche_peer_epoch WHERE site = ?1 ORDER BY n DESC LIMIT ?2)");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, EPOCHS_KEPT);
    }
    return ask_run(r, s, "forget superseded epochs");
}

/* A superseded epoch that has lived on: not older than what we had of it. */
static bool lives_on(struct replica *r, uint32_t site, const struct perche_prove *p)
{
    sqlite3_stmt *s = ask(r, "SELECT asof_lsn, asof_mark, scan FROM perche_peer_epoch WHERE site = ?1 AND epoch = ?2");
    bool yes = false;

    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)p->epoch);
    }
    if (ask_row(r, s, "look up a superseded epoch"))
        yes = WITHOUT(A15_OLDER_COPY) || !older(p, (struct perche_pos){(uint64_t)sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1)},
                     (uint64_t)sqlite3_column_int64(s, 2));
    sqlite3_finalize(s);
    return yes;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Where both lives of this hub were one: the newest position of the site that we know. */
static struct perche_pull_entry last_common(struct replica *r, const struct perche_prove *p)
{
    for (uint32_t i = 0; i < p->list_count; i++)
        if (common(r, p->list[i].asof, p->list[i].life))
            return p->list[i];
    return (struct perche_pull_entry){0};
}

enum perche_verdict position_judge(struct replica *r, uint32_t site, const struct perche_prove *p, struct peer *peer,
                                   struct perche_pull_entry *back, bool *lost)
{
    bool announced = false;
    uint64_t life = p->list_count > 0 && p->list[0].scan == p->scan && p->list[0].full == p->full ? p->list[0].life : 0;

    *lost = false;
    *back = (struct perche_pull_entry){.full = peer->full, .scan = peer->scan};
    if (peer->epoch == 0) { /* a new node; what it was told as another member's is no loss of ours: it all comes again */
        announced = true;
        peer->epoch = p->epoch;
        peer->prev_epoch = p->prev_epoch;
        peer->eplsn = r->node.lsn;
    } else if (peer->epoch != p->epoch && p->prev_epoch == peer->epoch) {
        if (epoch_end(r, site, peer, outdated(r, site, p, peer, life)) != PERCHE_OK)
            return PERCHE_RESTORED;
        announced = true;
        peer->prev_epoch = peer->epoch;
        peer->epoch = p->epoch;
        peer->have = least(peer->have, WITHOUT(C8_EPOCH_ACKED) ? p->acked : least(p->acked, p->epoch_acked));
        if (is_showing(r, site)) /* what the epoch that ends sent again may have stood above `have`, and stands below it in this copy */
            peer->have = 0;
        peer->asof = newest(p);
        peer->full = peer->scan = 0;
        peer->eplsn = r->node.lsn;
    } else if (peer->epoch != p->epoch) {
        return !WITHOUT(A15_TWO_MACHINES) && lives_on(r, site, p) ? PERCHE_TWO_MACHINES : PERCHE_RESTORED;
    }
    if (older(p, peer->asof, peer->scan))
        return PERCHE_RESTORED;
    if (p->scan > p->asof.lsn || !common(r, p->asof, life)) {
        *lost = true;
        *back = last_common(r, p);
        peer->full = least(peer->full, back->full);
        peer->scan = least(peer->scan, back->scan);
        return PERCHE_GO_BACK;
    }
    *lost = !announced && p->acked > peer->have;
    peer->full = p->full;
    peer->scan = p->scan;
    *back = (struct perche_pull_entry){.full = peer->full, .scan = peer->scan};
    return PERCHE_PROVEN;
}

/* ---- a hub: two machines ------------------------------------------------------------------------ */

static enum perche_rc peer_set(struct replica *r, const char *text, uint32_t site, uint64_t number, const char *address)
{
    sqlite3_stmt *s = ask(r, text);

    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)number);
    }
    if (address != NULL)
        ask_bind_text(s, 3, address);
    return ask_run(r, s, "note a site's state");
}

enum perche_rc peer_hold(struct replica *r, uint32_t site, const char *address)
{
    return peer_set(r, "UPDATE perche_peer SET session = 0, held_ms = ?2, held_address = ?3 WHERE site = ?1 AND held_ms = 0", site,
                    r->now_ms, address);
}

enum perche_rc peer_proved(struct replica *r, uint32_t site, const char *address)
{
    return peer_set(r, "UPDATE perche_peer SET life = ?2, address = ?3 WHERE site = ?1", site, r->node.life, address);
}

bool peer_held(struct replica *r, uint32_t site)
{
    return ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_peer WHERE site = ?1 AND held_ms <> 0) AND ?2 IS NULL", site, NULL) != 0;
}

/* ---- a hub: recovery ------------------------------------------------------------------------------ */

enum perche_rc recovery_begin(struct replica *r)
{
    return peer_set(r, "UPDATE perche_peer SET recovery = 1 WHERE " ACTIVE_PEER " AND (recovery = 2 OR (life <> ?2 AND ?1 = 0))", 0,
                    r->node.life, NULL);
}

enum perche_rc recovery_claim(struct replica *r, uint32_t site, bool *begun)
{
    enum perche_rc rc;

    *begun = ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_peer WHERE site = ?1 AND recovery = 1) AND ?2 IS NULL", site, NULL) != 0;
    if (*begun || r->fail != PERCHE_OK)
        return r->fail;
    rc = peer_set(r, "UPDATE perche_peer SET recovery = 2 WHERE site = ?1 AND ?2 = 0", site, 0, NULL);
    if (rc != PERCHE_OK || ask_number(r, "SELECT 2 * (SELECT count(*) FROM perche_peer WHERE recovery <> 0) < (SELECT count(*) FROM perche_peer"
                                         " WHERE " ACTIVE_PEER ") AND ?1 AND ?2 IS NULL", 1, NULL) != 0)
        return rc;
    *begun = true;
    return recovery_begin(r);
}

bool recovering(struct replica *r)
{
    sqlite3_stmt *s = sql(r, SQL_RECOVERING);
    bool yes = sql_row(r, s);

    sql_done(s);
    return yes;
}

enum perche_rc recovery_shown(struct replica *r, uint32_t site)
{
    return peer_set(r, "UPDATE perche_peer SET recovery = 0 WHERE site = ?1 AND ?2 IS NOT NULL", site, 0, NULL);
}

enum perche_rc recovery_took(struct replica *r, uint32_t site, const struct meta *m)
{
    sqlite3_stmt *s = ask(r, "INSERT INTO perche_recovered (site, tab, key, at_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING");

    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, m->table->num);
        sqlite3_bind_int64(s, 4, (sqlite3_int64)r->now_ms);
    }
    ask_bind_bytes(s, 3, (struct perche_bytes){m->key, m->key_n});
    return ask_run(r, s, "list what a site has shown");
}
