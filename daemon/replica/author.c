/* Rows as this node writes them: stamps of its own, positions, history. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/harvest.h"
#include "replica/statements.h"
#include "replica/tx.h"

/* What a local write replaced while a pull is not finished, or in a row with a pair of its own (DESIGN 4.3); and what may not be
 * shifted: a handshake that shifts the write stays above it. One that is not at the hub yet has no place to be named. */
static void note_base(const struct author *a, const struct meta *m, const struct clock_cell *old, struct clock_cell *new)
{
    const struct node *n = &a->r->node;

    if (a->r->hub || !old->written)
        return;
    if (merge_clean(&a->peer, old)) {
        if (n->full == n->scan && !(m->flags & META_PAIR) && !old->fixed)
            return;
        new->based = true;
        new->base_stamp = old->stamp;
        new->base_origin = old->origin;
    } else if (old->based && !WITHOUT(B14_KEEP_BASE)) {
        new->based = true;
        new->base_stamp = old->base_stamp;
        new->base_origin = old->base_origin;
    }
    if (old->fixed && !merge_clean(&a->peer, old))
        new->fixed = true;
}

void author_cell(const struct author *a, struct meta *m, uint32_t num, uint64_t stamp)
{
    struct clock_cell *c = &m->cells[num], new;

    if (WITHOUT(A28_ONE_LSN))
        m->lsn = next_lsn(a->r);
    new = (struct clock_cell){.stamp = stamp, .lsn = m->lsn, .origin = a->r->node.site_num, .via = VIA_LOCAL, .written = true};
    if (num != 0) {
        stamp_above(c, &new);
        note_base(a, m, c, &new);
    }
    *c = new;
}

/* Into the history block, which the row names from now on. */
static enum perche_rc author_record(struct author *a, struct meta *m, const struct perche_value *values, uint64_t mask,
                             bool gen)
{
    const char *columns[PERCHE_COLUMNS_MAX];
    struct perche_row *row;
    uint32_t part;

    for (uint32_t i = 0; i < m->table->columns_count; i++)
        columns[i] = m->table->columns[i].name;
    part = perche_batch_part(a->batch, m->table->name, columns, m->table->columns_count);
    row = part == UINT32_MAX ? NULL : perche_batch_row(a->batch, part, (struct perche_bytes){m->key, m->key_n});
    if (row == NULL)
        return fail(a->r, PERCHE_NOMEM, "no memory for a history block");
    row->gen = m->gen;
    row->scope = PERCHE_NO_SCOPE;
    if (gen) {
        row->flags |= PERCHE_ROW_GEN;
        row->gen_stamp = m->cells[0].stamp;
        row->gen_origin = a->own;
    }
    for (uint32_t num = 1; num < m->count; num++) {
        struct perche_cell *c;

        if (!(mask >> (num - 1) & 1))
            continue;
        c = perche_batch_cell(a->batch, part, (uint16_t)(num - 1), &values[num]);
        if (c == NULL)
            return fail(a->r, PERCHE_NOMEM, "no memory for a history block");
        c->stamp = m->cells[num].stamp;
        c->origin = a->own;
    }
    a->parts[a->prev_count] = part;
    a->prev[a->prev_count++] = m->block;
    m->block = a->block;
    return PERCHE_OK;
}

/* Position, scope, digest, metadata, history. */
static enum perche_rc finish(struct author *a, struct meta *m, const struct perche_value *values, uint64_t mask, bool gen)
{
    struct replica *r = a->r;
    struct perche_value again[PERCHE_COLUMNS_MAX + 1];
    uint64_t entry = m->lsn; /* of the chain: before the row */
    bool born = !m->stored;
    uint32_t scope;
    enum perche_rc rc;

    if (chain_signs(r, m->table)) { /* a row whose event is unpushed goes whole, at its oldest cell: none may go before its entry */
        bool whole = !merge_clean(&a->peer, &m->cells[0]);

        m->lsn = next_lsn(r);
        for (uint32_t num = 0; num < m->count; num++)
            if (m->cells[num].written && (m->cells[num].lsn == entry || (whole && !merge_clean(&a->peer, &m->cells[num]))))
                m->cells[num].lsn = m->lsn;
        if (whole)
            m->first = m->lsn;
    }
    if (r->suspect)
        m->flags |= META_SUSPECT;
    if (!r->hub && (m->first == 0 || m->first <= r->node.acked || WITHOUT(A2_OLDEST_FIRST)))
        m->first = m->lsn;
    if (gen)
        m->flags &= ~(uint32_t)META_AGREED;
    if (gen || !m->stored)
        m->entered = m->lsn;
    if (!m->stored || (!r->hub && m->scope == 0)) {
        scope = scope_derive(r, m, values, 0, &m->members);
        if (scope == 0)
            return r->fail != PERCHE_OK ? r->fail : fail(r, PERCHE_INTERNAL, "a row of %s has no scope", m->table->name);
        m->scope = scope;
        if (r->hub && !m->stored && m->table->rule == RULE_MEMBERS) {
            rc = named_arrived(r, 0, m, values);
            if (rc == PERCHE_OK)
                rc = row_values(r, m, again);
            if (rc != PERCHE_OK)
                return rc;
            values = again;
        }
    }
    rc = author_record(a, m, values, mask, gen);
    if (rc != PERCHE_OK)
        return rc;
    digest_row(r, m, values, m->digest);
    rc = meta_save(r, m);
    if (rc == PERCHE_OK)
        rc = chain_author(r, m, values, mask, gen, a->unseen, entry);
    if (rc != PERCHE_OK || !r->hub)
        return rc;
    rc = unique_check(r, m, mask);
    if (rc == PERCHE_OK && born)
        rc = named_parent_arrived(r, m);
    if (rc == PERCHE_OK)
        rc = scope_woken(r, m->scope, 0);
    if (rc != PERCHE_OK)
        return rc;
    rc = row_values(r, m, again); /* a question may have been written meanwhile */
    return rc == PERCHE_OK ? scope_follow(r, m, again, 0) : rc;
}

/* It stays at this hub as it is, and nowhere else, until what is in its way is gone: r->obstacle says what. */
static enum perche_rc list_kept(struct replica *r, const struct meta *m)
{
    char *key = ask_key_json(r, (struct perche_bytes){m->key, m->key_n});
    sqlite3_stmt *s = sql(r, SQL_REFUSED_PUT);
    enum perche_rc rc;

    sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
    sqlite3_bind_text(s, 2, m->table->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, key != NULL ? key : "", -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 4, "", 0, SQLITE_STATIC);
    sqlite3_bind_text(s, 5, "trigger", -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 6, r->obstacle, -1, SQLITE_STATIC);
    rc = sql_run(r, s, "list a row that stays here");
    free(key);
    r->kept_here = true;
    return rc;
}

/* What named it before it was here, and goes now, may be kept by a program's trigger: nothing else waits for that. */
static enum perche_rc finish_named(struct author *a, struct meta *m, const struct perche_value *values, uint64_t mask, bool gen)
{
    struct replica *r = a->r;
    uint32_t recorded = a->prev_count;
    enum perche_rc rc = trial(r);

    if (rc == PERCHE_OK)
        rc = finish(a, m, values, mask, gen);
    if (rc == PERCHE_OK)
        return trial_release(r);
    if (!refused_here(r))
        return rc;
    rc = trial_rollback(r);
    if (a->prev_count > recorded) {
        struct perche_part *part = &a->batch->parts[a->parts[recorded]];

        part->cells_count = part->rows[--part->rows_count].cells_first;
        a->prev_count = recorded;
    }
    return rc == PERCHE_OK ? list_kept(r, m) : rc;
}

enum perche_rc author_finish(struct author *a, struct meta *m, const struct perche_value *values, uint64_t mask, bool gen)
{
    if (a->r->hub && !m->stored && named_before(a->r, m->table, (struct perche_bytes){m->key, m->key_n}))
        return finish_named(a, m, values, mask, gen);
    return finish(a, m, values, mask, gen);
}

enum perche_rc author_restamped(struct author *a, struct meta *m, const struct perche_value *values, uint64_t mask, bool gen)
{
    enum perche_rc rc = author_record(a, m, values, mask, gen);

    if (rc != PERCHE_OK)
        return rc;
    digest_row(a->r, m, values, m->digest);
    return meta_save(a->r, m);
}

void author_bury(struct meta *m)
{
    for (uint32_t num = 1; num < m->count; num++)
        if (!(m->kept_mask >> (num - 1) & 1))
            memset(&m->cells[num], 0, sizeof m->cells[num]);
        else if (!m->cells[num].written)
            m->kept_mask &= ~(UINT64_C(1) << (num - 1));
}

enum perche_rc author_begin(struct author *a, struct replica *r, uint32_t rows)
{
    *a = (struct author){.r = r, .peer = {.at_hub = r->hub, .via = VIA_HUB, .acked = r->node.acked}};
    a->batch = perche_batch_new();
    a->prev = calloc(rows + 1, sizeof *a->prev);
    a->parts = calloc(rows + 1, sizeof *a->parts);
    a->block = history_next_block(r);
    if (a->batch != NULL)
        a->own = perche_batch_name(a->batch, name_text(r, r->node.site_num));
    if (a->batch == NULL || a->prev == NULL || a->parts == NULL || a->own == UINT32_MAX)
        return fail(r, PERCHE_NOMEM, "no memory for a harvest");
    return r->fail;
}

/* The block is in the batch's order, part by part; its rows were made in any. */
static enum perche_rc in_order_of_parts(struct author *a)
{
    uint64_t *prev = calloc(a->prev_count + 1, sizeof *prev);
    uint32_t n = 0;

    if (prev == NULL)
        return fail(a->r, PERCHE_NOMEM, "no memory for a history block");
    for (uint32_t p = 0; p < a->batch->parts_count; p++)
        for (uint32_t i = 0; i < a->prev_count; i++)
            if (a->parts[i] == p)
                prev[n++] = a->prev[i];
    assert(n == a->prev_count);
    free(a->prev);
    a->prev = prev;
    return PERCHE_OK;
}

enum perche_rc author_end(struct author *a, enum perche_rc rc)
{
    struct perche_buf body = {0};
    struct perche_err err;

    if (rc == PERCHE_OK && a->prev_count > 0) {
        rc = scope_readers(a->r);
        if (rc == PERCHE_OK)
            rc = in_order_of_parts(a);
        if (rc == PERCHE_OK && perche_batch_encode(a->batch, 1, &body, &err) != PERCHE_OK)
            rc = fail(a->r, err.rc, "history: %s", err.text);
        if (rc == PERCHE_OK)
            rc = history_append(a->r, (struct perche_bytes){body.p, (uint32_t)body.n}, a->prev, a->prev_count, VIA_LOCAL);
    }
    perche_buf_free(&body);
    perche_batch_free(a->batch);
    free(a->prev);
    free(a->parts);
    return rc;
}

enum perche_rc write_local(struct replica *r, struct table *t, struct perche_bytes key, uint64_t mask,
                           const struct perche_value *values, uint64_t stamp)
{
    struct author a;
    struct meta m;
    struct perche_value now[PERCHE_COLUMNS_MAX + 1];
    bool gen;
    enum perche_rc rc = author_begin(&a, r, 1);

    if (rc == PERCHE_OK)
        rc = meta_load(r, t, key, &m);
    if (rc != PERCHE_OK)
        return author_end(&a, rc);
    if (stamp == 0)
        stamp = next_stamp(r, r->now_ms);
    gen = !meta_alive(&m);
    m.lsn = next_lsn(r);
    if (!m.stored && !r->hub)
        m.flags |= META_FRESH;
    if (gen) {
        meta_clear(&m);
        m.gen++;
        author_cell(&a, &m, 0, stamp);
    }
    for (uint32_t num = 1; num < m.count; num++)
        if (mask >> (num - 1) & 1)
            author_cell(&a, &m, num, stamp);
    if (m.flags & META_HELD) /* nobody else may know that it waits */
        rc = keep_values(r, &m, values, mask, true);
    else
        rc = gen ? data_upsert(r, t, key, mask, values) : data_update(r, t, key, mask, values);
    if (rc == PERCHE_OK)
        rc = row_values(r, &m, now);
    if (rc == PERCHE_OK)
        rc = author_finish(&a, &m, now, mask, gen);
    meta_clear(&m);
    return author_end(&a, rc);
}
