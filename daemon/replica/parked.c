/* What is set aside: cells that wait for a table, a column or their row, and rows that a constraint, or a program's index or
 * trigger, has kept out.
 *
 * Everything is tried again when the schema is another, and once after a start; what was kept out also when its table
 * was written and by a timer that backs off, as what is in its way may be a value of another row. Such a pass tries
 * some rows of each harvest, beside which all else goes on, and rests in proportion to what it has tried. A row that
 * goes on waiting stays as it stands. */
#include "replica/apply.h"

#include <stdlib.h>
#include <string.h>

#include "replica/pack.h"
#include "replica/position.h"
#include "replica/statements.h"
#include "replica/tx.h"

#define RETRY_ROWS   PERCHE_BOUND(200u, 2u) /* tried in one transaction */
#define RETRY_MS_MIN 1000u
#define RETRY_MS_MAX 600000u
#define RETRY_ROW_MS 10u /* rest for each row that was tried: trying takes a hundredth of it */

/* Not the want of something that only another schema, or the row itself, can bring. */
static bool kept_out(const char *reason)
{
    static const char *const others[] = {"table", "column", "row", "husk", "type", "key"}; /* as in SQL_PARKED_NEXT */

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(reason, others[i]) == 0)
            return false;
    return true;
}

/* It is tried again soon, unless it has just been. */
static void note_kept_out(struct replica *r, const char *table, bool again)
{
    struct parked_pass *p = &r->parked;
    struct table *t = registry_table(r, table);
    uint64_t soon = r->now_ms + RETRY_MS_MIN;

    if (t != NULL)
        t->kept_out = true;
    p->kept = true;
    if (again)
        return;
    p->wait_ms = 0;
    soon = soon < p->rest_ms ? p->rest_ms : soon;
    if (p->next_ms == 0 || p->next_ms > soon)
        p->next_ms = soon;
}

/* Writes one row, or what it is by now: some of its cells may have been refused since. */
static enum perche_rc store(struct apply *a, const struct perche_part *part, const struct perche_row *row, const char *reason,
                            struct perche_bytes body)
{
    struct replica *r = a->r;
    sqlite3_stmt *s = sql(r, a->retried != 0 ? SQL_PARKED_RENEW : SQL_PARKED_PUT);

    if (a->retried != 0) {
        sqlite3_bind_int64(s, 1, a->retried);
        sqlite3_bind_text(s, 2, reason, -1, SQLITE_STATIC);
        sqlite3_bind_blob(s, 3, body.p, (int)body.n, SQLITE_STATIC);
    } else {
        sqlite3_bind_text(s, 1, part->table, -1, SQLITE_STATIC);
        sqlite3_bind_blob(s, 2, row->key.p, (int)row->key.n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, a->peer.via);
        sqlite3_bind_text(s, 4, reason, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 5, (sqlite3_int64)r->now_ms);
        sqlite3_bind_blob(s, 6, body.p, (int)body.n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 7, (sqlite3_int64)a->epoch);
        sqlite3_bind_int(s, 8, a->recovering);
    }
    return sql_run(r, s, "set a row aside");
}

enum perche_rc park(struct apply *a, const struct perche_part *part, const struct perche_row *row, const char *reason)
{
    struct replica *r = a->r;
    struct perche_batch *one;
    struct perche_buf body = {0};
    struct perche_err err;
    enum perche_rc rc;

    if (kept_out(reason))
        note_kept_out(r, part->table, a->retried != 0);
    a->stays = a->retried != 0;
    if (a->stays && !a->refused && strcmp(reason, a->reason) == 0)
        return PERCHE_OK;
    one = perche_batch_new();
    if (one == NULL)
        return fail(r, PERCHE_NOMEM, "no memory to set a row aside");
    rc = copy_taken(a, part, row, one);
    if (rc == PERCHE_OK && a->peer.at_hub && !(row->flags & PERCHE_ROW_PAIR)) {
        struct perche_row *kept = &one->parts[0].rows[0];

        kept->flags |= PERCHE_ROW_PAIR;
        kept->full = a->peer.full;
        kept->scan = a->peer.scan;
    }
    if (rc == PERCHE_OK && perche_batch_encode(one, 1, &body, &err) != PERCHE_OK)
        rc = fail(r, err.rc, "set a row of %s aside: %s", part->table, err.text);
    if (rc == PERCHE_OK)
        rc = store(a, part, row, reason, (struct perche_bytes){body.p, (uint32_t)body.n});
    perche_buf_free(&body);
    perche_batch_free(one);
    return rc;
}

bool parked_any(struct replica *r)
{
    sqlite3_stmt *s = sql(r, SQL_PARKED_ANY);
    bool any = sql_row(r, s);

    sql_done(s);
    return any;
}

bool parked_has(struct replica *r, const char *table, struct perche_bytes key, bool row_itself)
{
    sqlite3_stmt *s = sql(r, SQL_PARKED_ROW);
    bool has = false;

    sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, 0);
    while (!has && sql_row(r, s)) {
        const char *reason = (const char *)sqlite3_column_text(s, 3);

        if (sqlite3_column_int64(s, 0) == r->parked.trying)
            continue;
        has = row_itself ? strcmp(reason, "row") != 0 : strcmp(reason, "row") == 0 || strcmp(reason, "husk") == 0;
    }
    sql_done(s);
    return has;
}

enum perche_rc parked_drop(struct replica *r, const char *table, struct perche_bytes key, uint32_t via)
{
    sqlite3_stmt *s = prepare(r, via != 0 ? "DELETE FROM perche_parked WHERE tab = ?1 AND key = ?2 AND via = ?3 AND reason = 'row'"
                                         : "DELETE FROM perche_parked WHERE tab = ?1 AND key = ?2");
    enum perche_rc rc;

    if (s == NULL)
        return r->fail;
    sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
    if (via != 0)
        sqlite3_bind_int64(s, 3, via);
    rc = sql_run(r, s, "forget what is set aside");
    sqlite3_finalize(s);
    return rc;
}

/* ---- trying one -------------------------------------------------------------- */

struct parked {
    sqlite3_int64 n;
    uint32_t via;
    uint64_t epoch;
    bool shown; /* to a hub that recovered: it is judged as then, whenever its table comes */
    char *reason;
    uint8_t *body;
    uint32_t body_n;
};

static void parked_clear(struct parked *one)
{
    free(one->reason);
    free(one->body);
    *one = (struct parked){0};
}

/* The first row of @s, which has n, via, epoch, reason, body and shown, and is given back; false: there is none, or r->fail. */
static bool read_one(struct replica *r, sqlite3_stmt *s, struct parked *one)
{
    bool any = sql_row(r, s);

    *one = (struct parked){0};
    if (any) {
        const char *reason = (const char *)sqlite3_column_text(s, 3);

        one->n = sqlite3_column_int64(s, 0);
        one->via = (uint32_t)sqlite3_column_int64(s, 1);
        one->epoch = (uint64_t)sqlite3_column_int64(s, 2);
        one->reason = reason != NULL ? strdup(reason) : NULL;
        one->body_n = (uint32_t)sqlite3_column_bytes(s, 4);
        one->shown = sqlite3_column_int(s, 5) != 0;
        one->body = malloc(one->body_n + 1u);
        if (one->reason == NULL || one->body == NULL)
            (void)fail(r, PERCHE_NOMEM, "no memory for a parked row");
        else if (one->body_n > 0)
            memcpy(one->body, sqlite3_column_blob(s, 4), one->body_n);
    }
    sql_done(s);
    if (r->fail != PERCHE_OK)
        parked_clear(one);
    return any && r->fail == PERCHE_OK;
}

/* At a hub, what had come in an epoch that has ended: its author knows nothing of the present one, nor that one of it. */
static enum perche_rc set_peer(struct apply *a, const struct parked *one, struct peer *pusher, bool *former)
{
    struct replica *r = a->r;
    enum perche_rc rc = r->hub ? peer_load(r, one->via, pusher) : PERCHE_OK;

    *former = rc == PERCHE_OK && one->epoch != 0 && pusher->epoch != one->epoch && !WITHOUT(A13_PRESENT_EPOCH);
    if (*former)
        pusher->eplsn = r->node.lsn;
    a->epoch = one->epoch;
    a->peer = (struct merge_peer){.at_hub = r->hub, .via = one->via, .eplsn = pusher->eplsn, .acked = r->node.acked};
    a->pusher = r->hub ? one->via : 0;
    a->recovering = r->hub && (one->shown || recovering(r));
    return rc;
}

static enum perche_rc apply_parked(struct apply *a, const struct parked *one)
{
    struct replica *r = a->r;
    struct peer pusher = {0};
    struct perche_buf body = {0};
    bool former = false;
    enum perche_rc ended, rc = set_peer(a, one, &pusher, &former);

    a->retried = one->n;
    a->reason = one->reason;
    if (rc == PERCHE_OK) /* what is applied later is captured no more than what is applied at once */
        rc = applying_begin(r);
    if (rc == PERCHE_OK) {
        rc = apply_rows(a);
        ended = applying_end(r);
        rc = rc != PERCHE_OK ? rc : ended;
    }
    if (rc == PERCHE_OK && former && a->applied > 0) {
        pusher.eplsn = r->node.lsn;
        rc = peer_store(r, one->via, &pusher);
    }
    if (rc == PERCHE_OK && a->applied > 0 && a->refused && !WITHOUT(CT_REFUSED_HISTORY))
        rc = encode_taken(a, &body);
    if (rc == PERCHE_OK && a->applied > 0)
        rc = apply_block(a, body.p != NULL ? (struct perche_bytes){body.p, (uint32_t)body.n} : (struct perche_bytes){one->body, one->body_n});
    perche_buf_free(&body);
    if (rc == PERCHE_OK && !a->stays) {
        sqlite3_stmt *s = sql(r, SQL_PARKED_END);

        sqlite3_bind_int64(s, 1, one->n);
        rc = sql_run(r, s, "take a parked row");
    }
    return rc;
}

/* Applies one parked row as a batch of its own. *applied: something of it was taken. */
static enum perche_rc try_one(struct replica *r, const struct parked *one, struct perche_batch *b, bool *applied)
{
    struct apply *a = calloc(1, sizeof *a);
    struct perche_err err;
    enum perche_rc rc = PERCHE_OK;

    *applied = false;
    r->parked.trying = one->n;
    if (a == NULL)
        rc = fail(r, PERCHE_NOMEM, "no memory for a parked row");
    else if (perche_batch_decode((struct perche_bytes){one->body, one->body_n}, b, &err) != PERCHE_OK)
        rc = fail(r, err.rc, "a parked row: %s", err.text);
    if (rc == PERCHE_OK) /* as before any batch: what was written unseen is recorded first */
        rc = audit_batch(r, b);
    if (rc == PERCHE_OK)
        rc = apply_begin(a, r, b);
    if (rc == PERCHE_OK)
        rc = apply_parked(a, one);
    if (rc == PERCHE_OK)
        *applied = a->applied > 0;
    r->parked.trying = 0;
    if (a != NULL)
        apply_end(a);
    free(a);
    return rc;
}

/* ---- of one row --------------------------------------------------------------- */

/* Tries what is set aside of a row once, in the order in which it came. */
static enum perche_rc try_row(struct replica *r, const char *table, struct perche_bytes key, bool *applied)
{
    enum perche_rc rc = PERCHE_OK;
    struct parked one = {0};
    sqlite3_int64 after = 0;

    *applied = false;
    while (rc == PERCHE_OK) {
        sqlite3_stmt *s = sql(r, SQL_PARKED_ROW);
        struct perche_batch *b;
        bool any, taken = false;

        sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
        sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, after);
        any = read_one(r, s, &one);
        if (!any)
            break;
        after = one.n;
        b = perche_batch_new();
        rc = b == NULL ? fail(r, PERCHE_NOMEM, "no memory for a parked row") : try_one(r, &one, b, &taken);
        *applied |= taken;
        perche_batch_free(b);
        parked_clear(&one);
    }
    return rc != PERCHE_OK ? rc : r->fail;
}

enum perche_rc parked_retry(struct replica *r, const char *table, struct perche_bytes key)
{
    bool applied = true;
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && applied) /* cells that stand before their row come after it */
        rc = try_row(r, table, key, &applied);
    return rc;
}

/* ---- all of it, by and by ------------------------------------------------------ */

static bool time_to_try(const struct replica *r)
{
    const struct parked_pass *p = &r->parked;

    if (p->next_ms == 0)
        return false; /* nothing is kept out */
    return r->now_ms >= p->next_ms || (p->written && r->now_ms >= p->rest_ms) || p->next_ms - r->now_ms > RETRY_MS_MAX; /* the clock was put back */
}

static void pass_begin(struct replica *r, bool all)
{
    struct parked_pass *p = &r->parked;
    sqlite3_stmt *s = sql(r, SQL_PARKED_LAST);

    p->schema = r->schema_version;
    p->all = all;
    p->after = 0;
    p->last = sql_row(r, s) ? sqlite3_column_int64(s, 0) : 0;
    p->tried = 0;
    p->applied = p->kept = p->written = false;
    p->next_ms = p->last == 0 ? 0 : p->next_ms;
    sql_done(s);
}

static void pass_end(struct replica *r)
{
    struct parked_pass *p = &r->parked;
    uint64_t rest = RETRY_MS_MIN + (uint64_t)p->tried * RETRY_ROW_MS;

    p->last = 0;
    rest = rest < RETRY_MS_MAX ? rest : RETRY_MS_MAX;
    p->wait_ms = p->applied || 2 * p->wait_ms < rest ? rest : 2 * p->wait_ms < RETRY_MS_MAX ? 2 * p->wait_ms : RETRY_MS_MAX;
    p->rest_ms = r->now_ms + rest;
    p->next_ms = p->kept ? r->now_ms + p->wait_ms : 0;
}

/* The next row of the pass. Where it is taken, what waits of the same row may be too. */
static enum perche_rc pass_step(struct replica *r, bool *any)
{
    struct parked_pass *p = &r->parked;
    sqlite3_stmt *s = sql(r, SQL_PARKED_NEXT);
    struct perche_batch *b;
    struct parked one;
    bool applied = false;
    enum perche_rc rc;

    sqlite3_bind_int64(s, 1, p->after);
    sqlite3_bind_int64(s, 2, p->last);
    sqlite3_bind_int(s, 3, p->all);
    *any = read_one(r, s, &one);
    if (!*any)
        return r->fail;
    p->after = one.n;
    p->tried++;
    b = perche_batch_new();
    rc = b == NULL ? fail(r, PERCHE_NOMEM, "no memory for a parked row") : try_one(r, &one, b, &applied);
    p->applied |= applied;
    if (rc == PERCHE_OK && applied && b->parts_count > 0 && b->parts[0].rows_count > 0)
        rc = parked_retry(r, b->parts[0].table, b->parts[0].rows[0].key);
    perche_batch_free(b);
    parked_clear(&one);
    return rc;
}

/* A hub's own rows that its trigger kept (author.c) are captured as at first. */
static enum perche_rc capture_kept(struct replica *r)
{
    sqlite3_stmt *s = sql(r, SQL_KEPT_AGAIN);

    sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
    return sql_run(r, s, "try a row that stayed here again");
}

enum perche_rc parked_step(struct replica *r)
{
    struct parked_pass *p = &r->parked;
    bool any = true;
    enum perche_rc rc = PERCHE_OK;

    if (p->trying != 0 || audit_waits(r))
        return r->fail;
    if (p->schema != r->schema_version) {
        pass_begin(r, true);
        if (r->kept_here && (capture_kept(r) != PERCHE_OK || sqlite3_changes(r->db) > 0))
            return r->fail; /* these first */
    } else if (p->last == 0 && time_to_try(r)) {
        pass_begin(r, false);
    }
    if (p->last == 0)
        return r->fail;
    for (uint32_t i = 0; rc == PERCHE_OK && any && i < RETRY_ROWS; i++)
        rc = pass_step(r, &any);
    if (rc == PERCHE_OK && (!any || p->after >= p->last))
        pass_end(r);
    return rc;
}

bool parked_left(struct replica *r)
{
    return r->parked.last != 0 && !audit_waits(r);
}
