/* Who and where this node is: its row, its positions and marks, its hybrid clock
 * (Kulkarni et al. 2014, "Logical Physical Clocks") and its random numbers. */
#include <stdio.h>
#include <string.h>

#include "replica/tx.h"

/* A clock that says less is wrong. The day of a release, not of a build, so that builds are reproducible. */
#ifndef PERCHE_RELEASE_MS
#define PERCHE_RELEASE_MS UINT64_C(1735689600000) /* 2025-01-01T00:00Z */
#endif
#define YEAR_MS UINT64_C(31622400000) /* 366 days */
#define WILD_BACK_MS UINT64_C(3600000) /* a wild clock that says less than it did, by more than this, was set anew */
#define STAMP_MS_MAX ((UINT64_C(1) << 47) - 1) /* keeps a stamp within SQLite's integers */

#define NODE_COLUMNS(X)                                                                                        \
    X(epoch) X(prev_epoch) X(lsn) X(mark) X(stamp) X(joined_ms) X(good_ms) X(wild_ms) X(life) X(acked) X(full) X(scan)    \
    X(done) X(had) X(heard) X(acked_asof) X(epoch_acked) X(must) X(relays) X(unshifted) X(hub_stamp) X(proven_ms) X(schema)    \
    X(floor) X(floor_done) X(returns) X(shifted) X(cut_block)

enum perche_rc node_load(struct replica *r)
{
    sqlite3_stmt *s = r->tx->node_load;
    struct node n = {0};
    enum perche_rc result = PERCHE_OK;
    int rc, i = 0;

    if (s == NULL)
        s = r->tx->node_load = prepare(r, "SELECT "
#define X(name) #name ","
                                          NODE_COLUMNS(X)
#undef X
                                          "asof_lsn, asof_mark, offset_ms, site, hub, name, role FROM perche_node WHERE id = 1");
    if (s == NULL)
        return r->fail;
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        const char *role;

#define X(name) n.name = (uint64_t)sqlite3_column_int64(s, i++);
        NODE_COLUMNS(X)
#undef X
        n.asof.lsn = (uint64_t)sqlite3_column_int64(s, i++);
        n.asof.mark = (uint64_t)sqlite3_column_int64(s, i++);
        n.offset_ms = sqlite3_column_int64(s, i++);
        (void)snprintf(n.site, sizeof n.site, "%s", (const char *)sqlite3_column_text(s, i++)); /* cut short is fine */
        (void)snprintf(n.hub, sizeof n.hub, "%s", (const char *)sqlite3_column_text(s, i++));
        (void)snprintf(n.name, sizeof n.name, "%s", (const char *)sqlite3_column_text(s, i++));
        role = (const char *)sqlite3_column_text(s, i++);
        r->role = role != NULL && strcmp(role, "hub") == 0 ? REPLICA_HUB : REPLICA_SITE;
        r->hub = r->role == REPLICA_HUB;
    } else if (rc == SQLITE_DONE) {
        result = fail(r, PERCHE_CORRUPT, "perche_node has no row: put a backup back (perche backup makes them)");
    } else {
        result = fail_sqlite(r, rc, "perche_node");
    }
    (void)sqlite3_reset(s); /* repeats the step's error */
    if (result != PERCHE_OK)
        return result;
    n.site_num = name_number(r, n.site);
    if (n.site_num == 0)
        return r->fail;
    r->node = n;
    return PERCHE_OK;
}

bool node_stands(struct replica *r)
{
    sqlite3_stmt *s = r->tx->node_stands;
    bool stands = true;
    int rc;

    if (s == NULL)
        s = r->tx->node_stands = prepare(r, "SELECT lsn = ?1 AND mark = ?2 AND epoch = ?3 FROM perche_node WHERE id = 1");
    if (s == NULL)
        return true; /* r->fail says why */
    (void)sqlite3_bind_int64(s, 1, (int64_t)r->node.lsn); /* a failed bind shows in the step */
    (void)sqlite3_bind_int64(s, 2, (int64_t)r->node.mark);
    (void)sqlite3_bind_int64(s, 3, (int64_t)r->node.epoch);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        stands = sqlite3_column_int(s, 0) != 0;
    else if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "perche_node");
    (void)sqlite3_reset(s); /* repeats the step's error */
    return stands;
}

enum perche_rc node_store(struct replica *r)
{
    sqlite3_stmt *s = r->tx->node_store;
    const struct node *n = &r->node;
    enum perche_rc result = PERCHE_OK;
    int rc, i = 1;

    if (s == NULL)
        s = r->tx->node_store = prepare(r, "UPDATE perche_node SET "
#define X(name) #name " = ?,"
                                           NODE_COLUMNS(X)
#undef X
                                           "asof_lsn = ?, asof_mark = ?, offset_ms = ?, site = ?, hub = ?, name = ? WHERE id = 1");
    if (s == NULL)
        return r->fail;
        /* a failed bind shows in the step */
#define X(name) (void)sqlite3_bind_int64(s, i++, (int64_t)n->name);
    NODE_COLUMNS(X)
#undef X
    (void)sqlite3_bind_int64(s, i++, (int64_t)n->asof.lsn);
    (void)sqlite3_bind_int64(s, i++, (int64_t)n->asof.mark);
    (void)sqlite3_bind_int64(s, i++, n->offset_ms);
    (void)sqlite3_bind_text(s, i++, n->site, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, i++, n->hub, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, i++, n->name, -1, SQLITE_STATIC);
    rc = sqlite3_step(s);
    if (rc != SQLITE_DONE)
        result = fail_sqlite(r, rc, "perche_node");
    (void)sqlite3_reset(s); /* repeats the step's error */
    if (result == PERCHE_OK)
        r->node_dirty = false;
    return result;
}

/* ---- marks --------------------------------------------------------------- */

/* Of each power of two of distance below @below the oldest mark stays: as @below moves on, an old mark falls into a
 * farther class and makes room, and of two neighbouring classes one at least is never empty. */
enum perche_rc marks_thin(struct replica *r, uint64_t below)
{
    sqlite3_stmt *read = prepare(r, "SELECT lsn FROM perche_mark WHERE lsn < ?1 ORDER BY lsn");
    sqlite3_stmt *drop = prepare(r, "DELETE FROM perche_mark WHERE lsn = ?1");
    int last = -1, rc = SQLITE_DONE;

    if (read != NULL && drop != NULL) {
        (void)sqlite3_bind_int64(read, 1, (int64_t)below); /* a failed bind shows in the step */
        while ((rc = sqlite3_step(read)) == SQLITE_ROW) {
            uint64_t lsn = (uint64_t)sqlite3_column_int64(read, 0);
            int class = 63 - __builtin_clzll(below - lsn);

            if (class != last) {
                last = class;
                continue;
            }
            (void)sqlite3_bind_int64(drop, 1, (int64_t)lsn);
            rc = sqlite3_step(drop);
            (void)sqlite3_reset(drop); /* repeats the step's error */
            if (rc != SQLITE_DONE)
                break;
        }
        if (rc != SQLITE_DONE)
            (void)fail_sqlite(r, rc, "perche_mark");
    }
    (void)sqlite3_finalize(read); /* its error was seen by the step */
    (void)sqlite3_finalize(drop);
    return r->fail;
}

/* A site's hub knows an as-of at or above what it has acknowledged; a hub's sites one at or above their position. */
enum perche_rc marks_thin_known(struct replica *r)
{
    uint64_t below = r->node.acked;

    if (r->hub) {
        sqlite3_stmt *s = prepare(r, "SELECT min(p.scan) FROM perche_peer p JOIN perche_name n ON n.num = p.site"
                                     " LEFT JOIN perche_member m ON m.site = n.text WHERE m.revoked_ms IS NULL AND m.left_ms IS NULL");
        int rc;

        if (s == NULL)
            return r->fail;
        below = r->node.lsn;
        rc = sqlite3_step(s);
        if (rc != SQLITE_ROW)
            (void)fail_sqlite(r, rc, "perche_peer");
        else if (sqlite3_column_type(s, 0) != SQLITE_NULL)
            below = (uint64_t)sqlite3_column_int64(s, 0);
        (void)sqlite3_finalize(s); /* its error was seen by the step */
        if (r->fail != PERCHE_OK)
            return r->fail;
    }
    return marks_thin(r, below);
}

/* ---- positions and clock ------------------------------------------------- */

uint64_t next_lsn(struct replica *r)
{
    r->node_dirty = true;
    return ++r->node.lsn;
}

bool clock_implausible(const struct replica *r, uint64_t ms)
{
    const struct node *n = &r->node;
    uint64_t last = n->stamp >> 16 > n->good_ms ? n->stamp >> 16 : n->good_ms;

    /* a node that never had a good clock has stamps of the release's day: they say nothing about today */
    return ms < PERCHE_RELEASE_MS || ms > STAMP_MS_MAX || (n->good_ms > 0 && ms > last + YEAR_MS);
}

/* An implausible clock still counts: its time since it was last put in relation to a good one, which is the last good
 * time when nobody knows better, and the hub's at a handshake (shift_unpushed). */
static uint64_t tamed(struct replica *r, uint64_t at_ms)
{
    struct node *n = &r->node;
    uint64_t base = n->stamp >> 16 > n->good_ms ? n->stamp >> 16 : n->good_ms, ms = at_ms + n->wild_ms;

    if (base < PERCHE_RELEASE_MS)
        base = PERCHE_RELEASE_MS; /* never had a clock: no earlier than the program */
    if (n->wild_ms == 0 || (int64_t)ms < 0 || ms + WILD_BACK_MS < base || ms > base + YEAR_MS) { /* it was set, or started, anew */
        n->wild_ms = base - at_ms;
        ms = base;
    }
    if (n->good_ms > 0 && ms > n->good_ms)
        n->good_ms = ms;
    return ms;
}

uint64_t next_stamp(struct replica *r, uint64_t at_ms)
{
    struct node *n = &r->node;
    uint64_t stamp = n->stamp + !WITHOUT(D11_STAMP_REPEATS), ms = at_ms < r->now_ms ? at_ms : r->now_ms;

    r->suspect = clock_implausible(r, r->now_ms);
    if (r->suspect)
        ms = tamed(r, ms);
    else if (r->now_ms > n->good_ms)
        n->good_ms = r->now_ms;
    if (ms << 16 > stamp)
        stamp = ms << 16;
    n->stamp = stamp;
    r->node_dirty = true;
    return stamp;
}

void stamp_above(const struct clock_cell *old, struct clock_cell *new)
{
    if (!old->written || old->stamp < new->stamp)
        return;
    new->stamp = old->stamp + (old->stamp < UINT64_MAX);
    new->fixed = true;
}

void stamp_seen(struct replica *r, uint64_t stamp)
{
    if (WITHOUT(D5_CLOCK_STANDS) || stamp <= r->node.stamp || stamp > STAMP_MS_MAX << 16)
        return;
    r->node.stamp = stamp;
    if (stamp >> 16 > r->node.good_ms)
        r->node.good_ms = stamp >> 16; /* somebody's clock has been there */
    r->node_dirty = true;
}

/* ---- random -------------------------------------------------------------- */

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

/* xoshiro256** 1.0 (Blackman, Vigna 2018): positions and ids need spread, not secrecy. */
uint64_t random_u64(struct replica *r)
{
    uint64_t *s = r->random_state, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

void random_seed(struct replica *r, const uint8_t bytes[32])
{
    uint64_t *s = r->random_state, in[4];

    memcpy(in, bytes, sizeof in);
    for (int i = 0; i < 4; i++)
        s[i] ^= in[i];
    if ((s[0] | s[1] | s[2] | s[3]) == 0)
        s[0] = UINT64_C(0x9e3779b97f4a7c15); /* the one state it cannot leave */
    for (int i = 0; i < 8; i++)
        (void)random_u64(r);
}

void random_uuid(struct replica *r, uint64_t ms, char out[37])
{
    uint64_t a = random_u64(r), b = random_u64(r);
    uint8_t id[16];

    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(ms >> (40 - 8 * i));
    id[6] = (uint8_t)(0x70 | (a >> 8 & 15));
    id[7] = (uint8_t)a;
    for (int i = 0; i < 8; i++)
        id[8 + i] = (uint8_t)(b >> (8 * i));
    id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
    perche_uuid_format(id, out);
}
