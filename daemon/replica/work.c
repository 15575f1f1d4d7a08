/* Works: what the conversation and people ask, carried out in one transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/floor.h"
#include "replica/pack.h"
#include "replica/statements.h"
#include "replica/position.h"
#include "replica/tx.h"

typedef enum perche_rc (*performer)(struct replica *r, const struct work *w, struct outcome *o);

#define CHORE_MS 2000u /* between two looks of a hub where something is written all the time */

/* What stands in the file (a program's trigger, a view or column that is gone) can make a chore fail: the harvest does not wait for it. */
static bool chore_failed(struct replica *r)
{
    struct perche_err why = r->fail_err;

    if ((r->fail != PERCHE_REFUSED && r->fail != PERCHE_INTERNAL) || tx_lost(r))
        return false;
    fail_clear(r);
    return trial_rollback(r) == PERCHE_OK && note_add(r, NOTE_CHORE, "", why.text, "", 1) == PERCHE_OK;
}

/* When something was written since the last time, or another day has begun. Each part by itself: one that fails is tried again when something
 * is written. */
static enum perche_rc chore(struct replica *r, bool *wrote, uint64_t *look_in_ms)
{
    uint64_t day = r->now_ms / 86400000u;
    enum perche_rc rc;

    if (!r->hub || r->config.chores_count == 0 || recovering(r) || (!r->chore_goes_on && r->chore_lsn == r->node.lsn && r->chore_day == day))
        return PERCHE_OK;
    if (!r->chore_goes_on && r->now_ms >= r->chore_ms && r->now_ms - r->chore_ms < CHORE_MS) {
        *look_in_ms = CHORE_MS - (r->now_ms - r->chore_ms); /* else what was written just now waits until something else is */
        return PERCHE_OK;
    }
    if (r->chore_day != day)
        memset(r->chore_done, 0, sizeof r->chore_done);
    rc = capturing(r);
    for (size_t i = 0; rc == PERCHE_OK && i < r->config.chores_count && i < CHORES_MAX; i++) {
        bool has = false;

        rc = trial(r);
        if (rc == PERCHE_OK && (rc = r->config.chores[i](r, (uint32_t)i, *wrote, &has)) == PERCHE_OK) {
            rc = trial_release(r);
            *wrote |= has;
        } else if (rc != PERCHE_OK) {
            r->chore_done[i] = 0;
            if (chore_failed(r))
                rc = PERCHE_OK;
        }
    }
    if (rc != PERCHE_OK) {
        memset(r->chore_done, 0, sizeof r->chore_done);
        return rc;
    }
    r->chore_lsn = r->node.lsn;
    r->chore_day = day;
    r->chore_ms = r->now_ms;
    return PERCHE_OK;
}

static enum perche_rc do_harvest(struct replica *r, const struct work *w, struct outcome *o)
{
    enum perche_rc rc = harvest(r, w->rows_max, &o->rows, &o->more);

    if (rc == PERCHE_OK && !o->more && leaving(r)) /* more than one work has carried out */
        rc = carry_out(r, &o->more);
    if (rc == PERCHE_OK && !o->more)
        rc = audit(r, o);
    if (rc == PERCHE_OK && !o->more)
        rc = floor_step(r, o);
    if (rc == PERCHE_OK && !o->more)
        rc = chore(r, &o->more, &o->look_in_ms);
    o->more |= parked_left(r);
    return rc;
}

static enum perche_rc do_state(struct replica *r, const struct work *w, struct outcome *o)
{
    (void)r;
    (void)w;
    (void)o; /* state_fill() does it for all */
    return PERCHE_OK;
}

static const performer performers[] = {
    [WORK_HARVEST] = do_harvest,
    [WORK_STATE] = do_state,
    [WORK_PROVE_BUILD] = prove_build,
    [WORK_PROVED] = proved,
    [WORK_PUSH_BUILD] = push_build,
    [WORK_PUSH_ACKED] = push_acked,
    [WORK_PULL_BUILD] = pull_build,
    [WORK_PULL_APPLY] = pull_apply,
    [WORK_ROWS_APPLY] = rows_apply,
    [WORK_DIGEST_BUILD] = digest_build,
    [WORK_DIGEST_TAKE] = digest_take,
    [WORK_LEAVE_BUILD] = leave_build,
    [WORK_SITE_KEY] = site_key,
    [WORK_PROVE_JUDGE] = prove_judge,
    [WORK_PUSH_APPLY] = push_apply,
    [WORK_PULL_ANSWER] = pull_answer,
    [WORK_ROWS_ANSWER] = rows_answer,
    [WORK_DIGEST_ANSWER] = digest_answer,
    [WORK_REPAIR] = digest_repair,
    [WORK_PEER_NOTE] = peer_note,
    [WORK_ENROL] = enrol,
    [WORK_LEAVE] = leave,
    [WORK_NEWS] = news,
    [WORK_QUERY] = query,
    [WORK_COMMAND] = command,
};

static uint64_t count(struct replica *r, enum statement_id id)
{
    sqlite3_stmt *s = sql(r, id);
    uint64_t n = sql_row(r, s) ? (uint64_t)sqlite3_column_int64(s, 0) : 0;

    sql_done(s);
    return n;
}

void state_fill(struct replica *r, struct state *s)
{
    *s = (struct state){.epoch = r->node.epoch, .lsn = r->node.lsn, .acked = r->node.acked, .stamp = r->node.stamp,
                        .full = r->node.full, .scan = r->node.scan, .done = r->node.done, .proven_ms = r->node.proven_ms, .offset_ms = r->node.offset_ms,
                        .schema = r->node.schema, .must = r->node.must != 0};
    if (!r->hub)
        s->pending = push_pending(r, r->node.acked);
    s->conflicts_open = count(r, SQL_CONFLICTS_OPEN);
    s->parked = count(r, SQL_PARKED_COUNT);
    if (r->reader && r->holding) {
        sqlite3_stmt *held = sql(r, SQL_HELD_COUNT);

        if (sql_row(r, held)) {
            s->held = (uint64_t)sqlite3_column_int64(held, 0);
            s->held_ms = (uint64_t)sqlite3_column_int64(held, 1);
        }
        sql_done(held);
    }
    s->tables_gone = count(r, SQL_TABLES_GONE);
    s->obstacles = registry_other_keys(r);
    s->tables_gone -= s->tables_gone < s->obstacles ? s->tables_gone : s->obstacles; /* these are not made again as they stand */
    s->obstacles += registry_obstacles(r);
    if (r->reader) /* a hub lists what its own programs wrote and nobody can be sent */
        s->refused = count(r, SQL_REFUSED_COUNT);
    if (r->reader || r->kept_here)
        s->kept_here = count(r, SQL_KEPT_HERE);
    if (r->reader && !r->hub)
        s->captured = count(r, SQL_CAPTURED_COUNT);
}

/* One transaction, one state. @all: also of those that failed, and left nothing behind. */
static void fill_states(struct replica *r, struct outcome *outcomes, uint32_t n, bool all)
{
    struct state state;

    state_fill(r, &state);
    for (uint32_t i = 0; i < n; i++)
        if (all || outcomes[i].rc == PERCHE_OK)
            outcomes[i].state = state;
}

enum perche_rc note_add(struct replica *r, enum note_kind kind, const char *table, const char *why, const char *of, uint64_t count)
{
    struct outcome *o = r->outcome;
    uint32_t i = 0;

    if (o == NULL) /* no work is under way: the file is made */
        return PERCHE_OK;
    if (o->notes == NULL && (o->notes = calloc(NOTES_MAX, sizeof *o->notes)) == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for what the log will say");
    while (i < o->notes_count && !(o->notes[i].kind == kind && strcmp(o->notes[i].table, table) == 0 && strcmp(o->notes[i].why, why) == 0 &&
                                   (kind == NOTE_CONFLICT || strcmp(o->notes[i].of, of) == 0)))
        i++;
    if (i == NOTES_MAX) {
        o->notes_left += count;
        return PERCHE_OK;
    }
    if (i == o->notes_count) {
        o->notes_count++;
        o->notes[i].kind = kind;
        (void)snprintf(o->notes[i].table, sizeof o->notes[i].table, "%s", table); /* cut short, these still say what */
        (void)snprintf(o->notes[i].why, sizeof o->notes[i].why, "%s", why);
        (void)snprintf(o->notes[i].of, sizeof o->notes[i].of, "%s", of);
    }
    o->notes[i].count += count;
    return PERCHE_OK;
}

static void begin_one(struct replica *r, const struct work *w, struct outcome *o)
{
    memset(o, 0, sizeof *o);
    r->outcome = o;
    o->kind = w->kind;
    o->tag = w->tag;
    o->owner = w->owner;
    r->now_ms = w->now_ms;
    r->fail = PERCHE_OK;
    r->fail_err.text[0] = '\0';
    memcpy(r->random_state, w->random, sizeof r->random_state);
    r->random_state[0] |= 1; /* all zero is the one state that stays zero */
}

static void failed(struct replica *r, struct outcome *o, enum perche_rc rc)
{
    if (rc == PERCHE_OK)
        return;
    outcome_free(o);
    *o = (struct outcome){.kind = o->kind, .tag = o->tag, .owner = o->owner, .rc = rc};
    if (r->fail != PERCHE_OK)
        o->err = r->fail_err;
    else
        (void)perche_err_set(&o->err, rc, "%s", perche_rc_text(rc));
}

static void take_woken(struct replica *r, struct outcome *o)
{
    if (!r->hub || (r->woken->count == 0 && !r->woken->all))
        return;
    o->woken_all = r->woken->all;
    if (r->woken->count > 0)
        o->woken = calloc(r->woken->count, sizeof *o->woken);
    for (uint32_t i = 0; o->woken != NULL && i < r->woken->count; i++) {
        const char *id = name_text(r, r->woken->sites[i]);

        (void)snprintf(o->woken[o->woken_count++], PERCHE_ID_BYTES_MAX, "%s", id != NULL ? id : "");
    }
    if (r->woken->count > 0 && o->woken == NULL)
        o->woken_all = true; /* no memory for the list: wake everybody */
    woken_clear(r);
}

/* @apart: in a savepoint of its own, so that its failure leaves what others did. */
static void perform_one(struct replica *r, const struct work *w, struct outcome *o, bool apart)
{
    performer f = (size_t)w->kind < sizeof performers / sizeof performers[0] ? performers[w->kind] : NULL;
    enum perche_rc rc;

    begin_one(r, w, o);
    assert(f != NULL);
    if (apart)
        rc = savepoint(r);
    else
        rc = tx_lost(r) ? fail(r, PERCHE_DISK, "SQLite ended the transaction") : PERCHE_OK;
    if (rc == PERCHE_OK && w->kind == WORK_COMMAND)
        rc = capturing(r);
    if (rc == PERCHE_OK)
        rc = f(r, w, o);
    if (rc == PERCHE_OK)
        rc = r->fail;
    if (apart && rc == PERCHE_OK)
        rc = savepoint_release(r);
    if (rc != PERCHE_OK) {
        if (apart) {
            savepoint_rollback(r);
            scopes_forget(r);
        }
        failed(r, o, rc);
    }
}

static enum perche_rc begin(struct replica *r, const struct work *first, struct outcome *o, bool writes)
{
    enum perche_rc rc;

    begin_one(r, first, o);
    rc = tx_begin(r, writes);
    if (rc == PERCHE_OK)
        rc = registry_load(r, &r->fail_err);
    if (rc == PERCHE_OK && writes)
        rc = capture_install(r, &r->fail_err);
    if (rc == PERCHE_OK && writes)
        rc = indexes_make(r);
    return rc;
}

/* All works in one transaction. Each apart: one that fails leaves the others alone. Else the first that fails ends it,
 * which false says; nothing is kept then. A savepoint costs a copy of each page that is changed after it, in memory,
 * and the digests' writing for each work. */
static bool together(struct replica *r, const struct work *works, struct outcome *outcomes, uint32_t n, bool apart)
{
    bool whole = true;
    enum perche_rc rc = begin(r, &works[0], &outcomes[0], true);

    for (uint32_t i = 0; i < n && whole; i++) {
        assert(work_writes(works[i].kind));
        if (rc == PERCHE_OK) {
            perform_one(r, &works[i], &outcomes[i], apart);
            whole = apart || outcomes[i].rc == PERCHE_OK;
        } else {
            begin_one(r, &works[i], &outcomes[i]);
            outcomes[i].rc = rc;
        }
    }
    if (rc == PERCHE_OK)
        r->fail = PERCHE_OK;
    if (rc == PERCHE_OK && whole)
        fill_states(r, outcomes, n, false);
    if (rc == PERCHE_OK)
        rc = r->fail;
    if (rc == PERCHE_OK && whole)
        rc = tx_commit(r);
    if (rc == PERCHE_OK && whole) {
        take_woken(r, &outcomes[0]);
        return true;
    }
    if (r->in_tx)
        tx_rollback(r);
    scopes_forget(r);
    woken_clear(r);
    for (uint32_t i = 0; whole && i < n; i++)
        failed(r, &outcomes[i], rc); /* nothing of the transaction was kept */
    for (uint32_t i = 0; !whole && i < n; i++) {
        outcome_free(&outcomes[i]);
        memset(&outcomes[i], 0, sizeof outcomes[i]);
    }
    return whole;
}

static void read_all(struct replica *r, const struct work *works, struct outcome *outcomes, uint32_t n)
{
    enum perche_rc rc = begin(r, &works[0], &outcomes[0], false);

    for (uint32_t i = 0; i < n; i++) {
        assert(!work_writes(works[i].kind));
        if (rc == PERCHE_OK) {
            perform_one(r, &works[i], &outcomes[i], false);
        } else {
            begin_one(r, &works[i], &outcomes[i]);
            outcomes[i].rc = rc;
        }
    }
    if (rc == PERCHE_OK)
        r->fail = PERCHE_OK;
    if (rc == PERCHE_OK)
        fill_states(r, outcomes, n, true);
    if (rc == PERCHE_OK)
        rc = r->fail;
    if (rc == PERCHE_OK && !files_stand(r))
        rc = fail(r, PERCHE_STATE, "the replica's files were replaced");
    if (r->in_tx)
        tx_rollback(r);
    if (rc == PERCHE_OK)
        return;
    scopes_forget(r);
    woken_clear(r);
    for (uint32_t i = 0; i < n; i++)
        failed(r, &outcomes[i], rc);
}

static void write_all(struct replica *r, const struct work *works, struct outcome *outcomes, uint32_t n)
{
    uint32_t thrown;

    if (together(r, works, outcomes, n, false))
        return;
    do { /* one of them fails: this time each apart */
        thrown = r->thrown_count;
        (void)together(r, works, outcomes, n, true);
    } while (r->thrown_count > thrown); /* a program's trigger has rolled all of it back, over one row: without that row */
}

void replica_perform(struct replica *r, const struct work *works, struct outcome *outcomes, uint32_t n)
{
    memset(outcomes, 0, n * sizeof *outcomes);
    if (work_writes(works[0].kind))
        write_all(r, works, outcomes, n);
    else
        read_all(r, works, outcomes, n);
    r->outcome = NULL;
}
