#include "replica/floor.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "replica/ask.h"
#include "replica/position.h"
#include "replica/statements.h"

#define LOOK_MS_MIN 1000u
#define LOOK_MS_MAX 600000u /* how often a hub looks where its sites stand */
#define UP_MS       3600000u /* so long a hub is up before it finds anybody silent */
#define LOOK_SITES  PERCHE_BOUND(50u, 1u)     /* looked at in one transaction */
#define DROP_ROWS   PERCHE_BOUND(200u, 2u)    /* likewise */

/* ---- what stays --------------------------------------------------------------------- */

/* Somebody still asks about the row, or waits for it. */
static bool asked_about(struct replica *r, const struct meta *m)
{
    char *key = ask_key_json(r, (struct perche_bytes){m->key, m->key_n});
    sqlite3_stmt *s = ask(r, "SELECT EXISTS (SELECT 1 FROM perche_conflict WHERE tab = ?1 AND key = ?2 AND state = 'open')"
                             " OR EXISTS (SELECT 1 FROM perche_parked WHERE tab = ?1 AND key = ?3)"
                             " OR EXISTS (SELECT 1 FROM perche_wanted WHERE tab = ?4 AND key = ?3)"
                             " OR EXISTS (SELECT 1 FROM perche_leaving WHERE tab = ?4 AND key = ?3)");
    bool yes = true;

    ask_bind_text(s, 1, m->table->name);
    ask_bind_text(s, 2, key);
    ask_bind_bytes(s, 3, (struct perche_bytes){m->key, m->key_n});
    if (s != NULL)
        sqlite3_bind_int64(s, 4, m->table->num);
    if (ask_row(r, s, "look who asks about a row"))
        yes = sqlite3_column_int(s, 0) != 0;
    sqlite3_finalize(s);
    free(key);
    return yes;
}

/* Everything that this site wrote of it was at the hub by then. */
static bool was_acked(const struct meta *m, uint64_t acked)
{
    for (uint32_t num = 0; num < m->count; num++)
        if (m->cells[num].written && m->cells[num].via == VIA_LOCAL && m->cells[num].lsn > acked)
            return false;
    return true;
}

static bool stays(struct replica *r, const struct meta *m, uint64_t acked)
{
    return m->flags & META_ERASED /* it belongs to the key for ever */ || (!r->hub && !was_acked(m, acked)) || asked_about(r, m) ||
           (r->hub && scope_has_children(r, m)); /* their scope is made from it */
}

/* A hub remembers of what it forgets that it was here: eight bytes, for copies of sites that are older than that. */
static sqlite3_int64 hash_of(const struct meta *m)
{
    uint8_t text[PERCHE_NAME_BYTES_MAX + PERCHE_KEY_BYTES_MAX];
    size_t n = strlen(m->table->name) + 1;

    memcpy(text, m->table->name, n); /* a name has at most PERCHE_NAME_BYTES_MAX bytes with its zero */
    memcpy(text + n, m->key, m->key_n);
    return (sqlite3_int64)XXH3_64bits(text, n + m->key_n);
}

static enum perche_rc remember_forgotten(struct replica *r, const struct meta *m)
{
    sqlite3_stmt *s = ask(r, "INSERT INTO perche_forgotten (hash) VALUES (?1) ON CONFLICT DO NOTHING");

    if (s != NULL)
        sqlite3_bind_int64(s, 1, hash_of(m));
    return ask_run(r, s, "remember what is forgotten");
}

static bool was_forgotten(struct replica *r, const struct meta *m)
{
    return !WITHOUT(A21_FORGOTTEN) &&
           ask_number(r, "SELECT EXISTS (SELECT 1 FROM perche_forgotten WHERE hash = ?1) AND ?2 IS NULL", hash_of(m), NULL) != 0;
}

/* ---- dropping ------------------------------------------------------------------------- */

struct dead {
    uint32_t tab, key_n;
    uint8_t key[PERCHE_KEY_BYTES_MAX];
};

/* The next tombstones above those that were looked at, none above @below. */
static uint32_t read_dead(struct replica *r, uint64_t below, struct dead *out)
{
    sqlite3_stmt *s = sql(r, SQL_DEAD_ROWS);
    uint32_t n = 0;

    sqlite3_bind_int64(s, 1, (sqlite3_int64)r->floor_pass.after);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)below);
    sqlite3_bind_int(s, 3, DROP_ROWS);
    while (n < DROP_ROWS && sql_row(r, s)) {
        struct dead *d = &out[n++];

        r->floor_pass.after = (uint64_t)sqlite3_column_int64(s, 0);
        d->tab = (uint32_t)sqlite3_column_int64(s, 1);
        d->key_n = (uint32_t)sqlite3_column_bytes(s, 2);
        memcpy(d->key, sqlite3_column_blob(s, 2), d->key_n);
    }
    sql_done(s);
    return n;
}

/* A chunk of those at or below @below; what a site had written of them counts up to @acked. */
static enum perche_rc drop_some(struct replica *r, uint64_t below, uint64_t acked, struct outcome *o)
{
    struct dead *dead = malloc(DROP_ROWS * sizeof *dead);
    struct meta *m = malloc(sizeof *m);
    uint32_t n = dead != NULL && m != NULL ? read_dead(r, below, dead) : 0;
    enum perche_rc rc = dead == NULL || m == NULL ? fail(r, PERCHE_NOMEM, "no memory to drop tombstones") : r->fail;

    for (uint32_t i = 0; rc == PERCHE_OK && i < n; i++) {
        struct table *t = registry_table_num(r, dead[i].tab);

        if (t == NULL)
            continue;
        rc = meta_load(r, t, (struct perche_bytes){dead[i].key, dead[i].key_n}, m);
        if (rc == PERCHE_OK && m->stored && !meta_alive(m) && !stays(r, m, acked) && r->fail == PERCHE_OK) {
            rc = r->hub ? remember_forgotten(r, m) : PERCHE_OK;
            if (rc == PERCHE_OK)
                rc = meta_drop(r, m);
            o->forgotten++;
        }
        meta_clear(m);
    }
    free(dead);
    free(m);
    o->more = n == DROP_ROWS;
    if (!o->more)
        r->floor_pass.after = 0; /* the next pass begins anew */
    return rc != PERCHE_OK ? rc : r->fail;
}

/* ---- a hub --------------------------------------------------------------------------------- */

/* Who has said nothing for too long, while others were heard, holds the floor no more; when it comes it is active again. A
 * hub that has just been opened may be an old copy, to which everybody is silent. */
static enum perche_rc retire_silent(struct replica *r, uint64_t *retired)
{
    uint64_t up_ms = r->config.silent_ms_max / 2;
    sqlite3_stmt *s;

    up_ms = up_ms < UP_MS ? up_ms : UP_MS;
    if (r->config.silent_ms_max == 0 || r->now_ms <= r->config.silent_ms_max || r->now_ms < r->config.now_ms + up_ms)
        return PERCHE_OK;
    s = ask(r, "UPDATE perche_peer SET retired_ms = ?1 WHERE contact_ms > 0 AND contact_ms <= ?2 AND " ACTIVE_PEER
               " AND EXISTS (SELECT 1 FROM perche_peer o WHERE o.contact_ms > ?2)");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)(r->now_ms - r->config.silent_ms_max));
    }
    if (ask_run(r, s, "retire sites that are silent") == PERCHE_OK)
        *retired = (uint64_t)sqlite3_changes(r->db);
    return r->fail;
}

/* Up to where a site has everything: it asks only when there is something for it. */
static enum perche_rc site_stands(struct replica *r, uint32_t site, uint64_t *lsn)
{
    sqlite3_stmt *s;

    if (*lsn < r->node.lsn && pull_nothing_for(r, site, lsn) != PERCHE_OK)
        return r->fail;
    s = ask(r, "UPDATE perche_peer SET stands = ?2 WHERE site = ?1 AND stands < ?2");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)*lsn);
    }
    return ask_run(r, s, "note where a site stands");
}

/* The next of the active sites: what all of them have, once this says false. One that returns is compared anyhow. */
static bool look_at_sites(struct replica *r, struct floor_pass *pass)
{
    for (uint32_t i = 0; i < LOOK_SITES && r->fail == PERCHE_OK; i++) {
        sqlite3_stmt *s = ask(r, "SELECT site, max(scan, stands) FROM perche_peer WHERE site > ?1 AND returns = 0 AND " ACTIVE_PEER
                                 " ORDER BY site LIMIT 1");
        uint64_t lsn = 0;
        bool any;

        if (s != NULL)
            sqlite3_bind_int64(s, 1, pass->site);
        any = ask_row(r, s, "look where the sites stand");
        if (any) {
            pass->site = (uint32_t)sqlite3_column_int64(s, 0);
            lsn = WITHOUT(A21_ACKED) ? r->node.lsn : (uint64_t)sqlite3_column_int64(s, 1);
        }
        sqlite3_finalize(s);
        if (!any || site_stands(r, pass->site, &lsn) != PERCHE_OK)
            return false;
        pass->least = lsn < pass->least ? lsn : pass->least;
    }
    return r->fail == PERCHE_OK;
}

/* The floor: where everybody stood a while ago, but not beyond one that is new since. */
static enum perche_rc floor_rise(struct replica *r, uint64_t now)
{
    uint64_t then = 0;
    sqlite3_stmt *s;

    if (now <= r->node.floor)
        return PERCHE_OK;
    s = ask(r, "INSERT INTO perche_floor (at_ms, lsn) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM perche_floor WHERE lsn >= ?2)"
               " ON CONFLICT DO NOTHING");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)now);
    }
    if (ask_run(r, s, "note where the sites stand") != PERCHE_OK)
        return r->fail;
    s = ask(r, "SELECT coalesce(max(lsn), 0) FROM perche_floor WHERE at_ms <= ?1");
    if (s != NULL)
        sqlite3_bind_int64(s, 1, (sqlite3_int64)(r->now_ms - r->config.keep_deleted_ms));
    if (ask_row(r, s, "look where the sites stood"))
        then = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    then = then < now ? then : now;
    if (r->fail != PERCHE_OK || then <= r->node.floor)
        return r->fail;
    r->node.floor = then;
    r->node_dirty = true;
    s = ask(r, "DELETE FROM perche_floor WHERE lsn < ?1"); /* the floor says so itself */
    if (s != NULL)
        sqlite3_bind_int64(s, 1, (sqlite3_int64)then);
    return ask_run(r, s, "forget where the sites stood");
}

static bool time_for_a_pass(const struct replica *r)
{
    const struct floor_pass *pass = &r->floor_pass;

    return r->now_ms >= pass->next_ms || pass->next_ms - r->now_ms > LOOK_MS_MAX; /* the clock was put back */
}

static bool pass_begin(struct replica *r, struct outcome *o)
{
    struct floor_pass *pass = &r->floor_pass;
    uint64_t every = r->config.keep_deleted_ms / 8;

    every = every < LOOK_MS_MIN ? LOOK_MS_MIN : every > LOOK_MS_MAX ? LOOK_MS_MAX : every;
    pass->next_ms = r->now_ms + every;
    if (clock_implausible(r, r->now_ms) || r->now_ms <= r->config.keep_deleted_ms || retire_silent(r, &o->retired) != PERCHE_OK)
        return false;
    pass->looks = true;
    pass->site = 0;
    pass->least = r->node.lsn;
    return true;
}

/* A pass looks where the sites stand, some at a time, moves the floor up and then drops tombstones, some at a time. */
static enum perche_rc hub_step(struct replica *r, struct outcome *o)
{
    struct floor_pass *pass = &r->floor_pass;
    bool begins = !pass->looks && pass->after == 0;

    if (r->config.keep_deleted_ms == 0 || (begins && !time_for_a_pass(r)))
        return PERCHE_OK;
    if (recovering(r)) { /* also in the middle of a pass: what the sites show may be older */
        pass->looks = false;
        return r->fail;
    }
    if (begins && !pass_begin(r, o))
        return r->fail;
    if (pass->looks) {
        o->more = look_at_sites(r, pass);
        if (o->more || r->fail != PERCHE_OK)
            return r->fail;
        pass->looks = false;
        if (floor_rise(r, pass->least) != PERCHE_OK)
            return r->fail;
    }
    return drop_some(r, r->node.floor, 0, o);
}

/* What it had nothing to hear of it has, unless it is not what it was: then all may have to be sent again. */
enum perche_rc floor_came(struct replica *r, uint32_t site, const struct perche_prove *p, const struct peer *peer, bool same, uint64_t *told)
{
    sqlite3_stmt *s = ask(r, "UPDATE perche_peer SET retired_ms = 0, contact_ms = max(contact_ms, ?2), stands = CASE WHEN ?3 THEN stands ELSE 0 END,"
                             " returns = max(returns, ?4), returns_stamp = CASE WHEN returns < ?4 THEN stamp ELSE returns_stamp END WHERE site = ?1");
    uint64_t stands = same ? (uint64_t)ask_number(r, "SELECT stands FROM perche_peer WHERE site = ?1 AND ?2 IS NULL", site, NULL) : 0;
    bool held = !WITHOUT(A21_RETURNS) && (p->scan > 0 || p->list_count > 0 || p->prev_epoch != 0);
    int returns = held && peer->scan < r->node.floor && stands < r->node.floor ? same ? 1 : 2 : 0;

    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)r->now_ms);
        sqlite3_bind_int(s, 3, same);
        sqlite3_bind_int(s, 4, returns);
    }
    if (r->floor_pass.looks) { /* it may stand elsewhere than where it was seen to: the floor must not pass it */
        r->floor_pass.looks = false;
        r->floor_pass.next_ms = 0;
    }
    *told = returns || peer->returns || r->node.floor < peer->scan ? r->node.floor : peer->scan;
    return ask_run(r, s, "note that a site is back");
}

bool floor_passed(const struct replica *r, const struct meta *m)
{
    return m->stored && !meta_alive(m) && m->lsn <= r->node.floor && !(m->flags & META_ERASED);
}

/* It was asked for, since it came without itself; or somebody else made it; or, of a site that was put back, it was here: an
 * insert that its older copy had not sent yet. What the site has made since is none of these. */
bool floor_deleted(struct replica *r, const struct apply *a, const struct meta *m, const struct merge_in *in)
{
    return a->returns && !a->recovering && !m->stored && in->has_gen && in->gen % 2 == 1 && !m->table->is_system &&
           (parked_has(r, m->table->name, (struct perche_bytes){m->key, m->key_n}, false) || in->gen_origin != a->pusher ||
            (a->returns > 1 && was_forgotten(r, m)));
}

/* Only what its author has written since remains of what came: that is asked about, and with it what is parked. */
static void keep_new(const struct apply *a, struct merge_in *in, bool parked)
{
    bool unsent = !parked && in->gen_origin == a->pusher; /* an insert of an older copy: what of it was here is not known */
    uint32_t n = 0;

    for (uint32_t i = 0; i < in->cells_count; i++)
        if (in->cells[i].origin == a->pusher && (in->cells[i].stamp > a->stamp_known || (unsent && in->cells[i].value->type != PERCHE_NULL)))
            in->cells[n++] = in->cells[i];
    in->cells_count = n;
    in->has_gen = in->whole = false;
}

enum perche_rc floor_bury(struct replica *r, struct apply *a, struct meta *m, struct merge_in *in)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint64_t scope = 0;
    enum perche_rc rc;

    memset(values, 0, sizeof values);
    m->gen = in->gen + 1;
    m->lsn = m->entered = next_lsn(r);
    m->cells[0] = (struct clock_cell){.stamp = next_stamp(r, r->now_ms), .lsn = m->lsn, .origin = r->node.site_num, .via = VIA_LOCAL, .written = true};
    for (uint32_t i = 0; i < in->cells_count; i++) {
        const struct merge_cell *c = &in->cells[i];

        values[c->num] = *c->value;
        if (!m->table->columns[c->num - 1].scope_cell)
            continue;
        scope |= UINT64_C(1) << (c->num - 1);
        m->cells[c->num] = (struct clock_cell){.stamp = c->stamp, .lsn = m->lsn, .origin = c->origin, .via = a->peer.via, .written = true};
    }
    keep_new(a, in, parked_has(r, m->table->name, (struct perche_bytes){m->key, m->key_n}, false));
    rc = keep_values(r, m, values, scope, false);
    if (rc != PERCHE_OK)
        return rc;
    m->scope = scope_derive(r, m, values, a->pusher, &m->members);
    if (m->scope == 0)
        return r->fail != PERCHE_OK ? r->fail : fail(r, PERCHE_INTERNAL, "a row of %s has no scope", m->table->name);
    rc = named_arrived(r, a->pusher, m, values);
    if (rc == PERCHE_OK)
        rc = row_digest(r, m, values, 0);
    if (rc == PERCHE_OK)
        rc = meta_save(r, m);
    if (rc == PERCHE_OK)
        rc = chain_author(r, m, values, 0, true, false, next_lsn(r));
    if (rc == PERCHE_OK)
        rc = named_parent_arrived(r, m);
    return rc == PERCHE_OK ? scope_woken(r, m->scope, 0) : rc;
}

enum perche_rc floor_retire(struct replica *r, uint32_t site)
{
    sqlite3_stmt *s = ask(r, "UPDATE perche_peer SET retired_ms = ?2 WHERE site = ?1 AND " ACTIVE_PEER);

    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)r->now_ms);
    }
    if (ask_run(r, s, "retire a site") != PERCHE_OK)
        return r->fail;
    r->floor_pass.next_ms = 0;
    return sqlite3_changes(r->db) > 0 ? PERCHE_OK : PERCHE_NOT_FOUND;
}

/* ---- a site ---------------------------------------------------------------------------------- */

void floor_told(struct replica *r, uint64_t floor, bool proving)
{
    struct node *n = &r->node;

    if (n->floor != floor) { /* that of a hub that was put back may be lower */
        n->floor = floor;
        n->floor_done = 0;
        r->node_dirty = true;
    }
    if (proving && !n->returns && n->scan < floor && (n->scan > 0 || n->acked > 0 || n->prev_epoch != 0)) {
        n->returns = 1;
        r->node_dirty = true;
    }
}

/* Up to where the tombstones are the hub's of a position at or below the floor: what was here when that pull was taken, of
 * the site's own what the hub had by then. */
static enum perche_rc site_step(struct replica *r, struct outcome *o)
{
    const struct node *n = &r->node;
    uint64_t floor = WITHOUT(A21_OWN_RULE) ? n->scan : n->floor, own = 0, acked = 0;
    sqlite3_stmt *s;
    enum perche_rc rc;

    if (floor == 0 || n->floor_done || n->must || n->relays || n->returns || n->hub[0] == '\0')
        return PERCHE_OK;
    s = ask(r, "SELECT own_lsn, acked FROM perche_pulled WHERE asof_lsn <= ?1 ORDER BY asof_lsn DESC, own_lsn DESC LIMIT 1");
    if (s != NULL)
        sqlite3_bind_int64(s, 1, (sqlite3_int64)floor);
    if (ask_row(r, s, "look where this site stood")) {
        own = (uint64_t)sqlite3_column_int64(s, 0);
        acked = (uint64_t)sqlite3_column_int64(s, 1);
    }
    sqlite3_finalize(s);
    rc = r->fail == PERCHE_OK ? drop_some(r, own, acked, o) : r->fail;
    if (rc == PERCHE_OK && !o->more) {
        r->node.floor_done = 1;
        r->node_dirty = true;
    }
    return rc;
}

enum perche_rc floor_step(struct replica *r, struct outcome *o)
{
    return r->hub ? hub_step(r, o) : site_step(r, o);
}
