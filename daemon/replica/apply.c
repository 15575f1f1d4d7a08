/* One batch becomes rows of the file.
 *
 * For each row: load its metadata, judge it (hub), merge, number the conflicts
 * before the row (no cut can then part them), write the data by its key, renew
 * digest and metadata, let scopes follow. A row that the file cannot take is set
 * aside with its reason and everything else goes on (P8). */
#include "replica/floor.h"
#include "replica/pack.h"
#include "replica/position.h"
#include "replica/refused.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/statements.h"
#include "replica/tx.h"

enum perche_rc apply_begin(struct apply *a, struct replica *r, struct perche_batch *batch)
{
    uint32_t rows = perche_batch_rows(batch);

    a->r = r;
    a->batch = batch;
    a->rows = 0;
    a->applied = a->stamp = 0;
    a->refused = a->stays = false;
    a->retried = 0;
    a->names = calloc(batch->names_count + 1, sizeof *a->names);
    a->prev = calloc(rows + 1, sizeof *a->prev);
    if (a->names == NULL || a->prev == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a batch of %u rows", rows);
    a->block = history_next_block(r);
    r->orphans = r->hub && scope_orphans(r);
    return r->fail;
}

void apply_end(struct apply *a)
{
    free(a->names);
    free(a->prev);
    a->names = NULL;
    a->prev = NULL;
}

/* Interned on first use: a batch may name scopes that no row of it that we take has. */
static uint32_t interned(struct apply *a, uint32_t name)
{
    if (a->names[name] == 0)
        a->names[name] = name_number(a->r, a->batch->names[name]);
    return a->names[name];
}

/* ---- values -------------------------------------------------------------- */

static uint64_t written_mask(const struct meta *m)
{
    uint64_t mask = 0;

    for (uint32_t num = 1; num < m->count; num++)
        if (m->cells[num].written)
            mask |= UINT64_C(1) << (num - 1);
    return mask;
}

/* What a row that lives has not in its table is still what was stamped, and nobody is sent NULLs for it: the history has that. */
enum perche_rc row_lost(struct replica *r, struct meta *m, uint64_t want, struct perche_value *values)
{
    struct recall f;
    enum perche_rc rc = PERCHE_OK;

    if ((want & ~m->kept_mask) != 0) {
        rc = recall_read(r, m, want, &f);
        if (rc == PERCHE_OK)
            rc = keep_values(r, m, f.values, f.guessed, true); /* not stored with a row that lives */
        recall_free(&f);
    }
    if (rc == PERCHE_CORRUPT) { /* a damaged history knows less; it stops nothing */
        fail_clear(r);
        rc = PERCHE_OK;
    }
    for (uint32_t num = 1; num < m->count; num++)
        if (want & m->kept_mask & UINT64_C(1) << (num - 1))
            values[num] = m->kept[num];
    return rc;
}

enum perche_rc row_absent(struct replica *r, struct meta *m, struct perche_value *values)
{
    uint64_t away = m->table->absent == 0 || !m->stored ? 0 : m->table->absent & written_mask(m);

    return away == 0 ? PERCHE_OK : row_lost(r, m, away, values);
}

enum perche_rc row_values(struct replica *r, struct meta *m, struct perche_value *values)
{
    enum perche_rc rc;

    memset(values, 0, m->count * sizeof values[0]);
    if (!meta_alive(m) || (m->flags & META_HELD)) {
        for (uint32_t num = 1; num < m->count; num++)
            if (m->kept_mask >> (num - 1) & 1)
                values[num] = m->kept[num];
        return PERCHE_OK;
    }
    rc = data_load(r, m->table, (struct perche_bytes){m->key, m->key_n}, values);
    if (rc == PERCHE_NOT_FOUND) /* taken out unseen, and nobody has compared the table yet */
        return m->stored ? row_lost(r, m, written_mask(m), values) : PERCHE_OK;
    return rc == PERCHE_OK ? row_absent(r, m, values) : rc;
}

enum perche_rc row_digest(struct replica *r, struct meta *m, const struct perche_value *values, uint64_t have)
{
    struct perche_value stored[PERCHE_COLUMNS_MAX + 1];
    enum perche_rc rc;

    if ((written_mask(m) & ~have) == 0 && meta_alive(m)) {
        digest_row(r, m, values, m->digest);
        return PERCHE_OK;
    }
    rc = row_values(r, m, stored);
    if (rc == PERCHE_OK)
        digest_row(r, m, stored, m->digest);
    return rc;
}

enum perche_rc keep_values(struct replica *r, struct meta *m, const struct perche_value *values, uint64_t mask, bool whole)
{
    size_t room = 1, used = 0;
    struct perche_value kept[PERCHE_COLUMNS_MAX + 1];
    uint64_t all = 0;
    uint8_t *bytes;

    for (uint32_t num = 1; num < m->count; num++) {
        uint64_t bit = UINT64_C(1) << (num - 1);
        const struct perche_value *v = mask & bit ? &values[num] : m->kept_mask & bit ? &m->kept[num] : NULL;

        if (v == NULL || (!whole && WITHOUT(B20_SCOPE_CELL)) || (!whole && !m->table->columns[num - 1].scope_cell))
            continue;
        kept[num] = *v;
        all |= bit;
        room += v->type == PERCHE_TEXT || v->type == PERCHE_BLOB ? v->n : 0;
    }
    bytes = malloc(room);
    if (bytes == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a tombstone");
    for (uint32_t num = 1; num < m->count; num++) {
        if (!(all >> (num - 1) & 1))
            continue;
        if ((kept[num].type == PERCHE_TEXT || kept[num].type == PERCHE_BLOB) && kept[num].n > 0) {
            memcpy(bytes + used, kept[num].p, kept[num].n);
            kept[num].p = bytes + used;
            used += kept[num].n;
        }
        m->kept[num] = kept[num];
    }
    free(m->kept_bytes);
    m->kept_bytes = bytes;
    m->kept_mask = all;
    return PERCHE_OK;
}

/* ---- what the merge asks --------------------------------------------------- */

struct asker {
    struct replica *r;
    const struct meta *before; /* as stored: key and block for the history */
    struct perche_value *values; /* stored ones, loaded when first asked for */
    bool loaded;
    struct meta *m;
    uint32_t gen;              /* before the merge */
    struct perche_value room[PERCHE_COLUMNS_MAX + 1];
};

static int ask_order(void *ctx, uint32_t a, uint32_t b)
{
    struct asker *k = ctx;

    return strcmp(name_text(k->r, a), name_text(k->r, b));
}

static bool ask_knows(void *ctx, const struct merge_cell *c)
{
    struct asker *k = ctx;

    return !WITHOUT(A22_HISTORY) && history_knows(k->r, k->m, c->num, c->stamp, c->origin, c->value);
}

static void load_stored(struct asker *k)
{
    uint32_t gen = k->m->gen;

    if (k->loaded)
        return;
    k->loaded = true;
    k->m->gen = k->gen; /* alive or dead as it is in the file */
    (void)row_values(k->r, k->m, k->room); /* a failure stays in r->fail */
    k->m->gen = gen;
}

static int ask_compare(void *ctx, uint16_t num, const struct perche_value *incoming)
{
    struct asker *k = ctx;

    load_stored(k);
    return perche_value_compare(incoming, &k->room[num]);
}

/* ---- one row ----------------------------------------------------------------- */

#define CELL_REFUSED 0x8000u /* in our copy of the batch: not to become history */
#define ROW_BURIED   0x8000u /* likewise of a row: it was deleted here before it came */

/* Copies one row into a batch of its own. */
enum perche_rc copy_taken(struct apply *a, const struct perche_part *part, const struct perche_row *row, struct perche_batch *to)
{
    struct replica *r = a->r;
    const struct perche_batch *b = a->batch;
    uint32_t base = 0, p = perche_batch_part(to, part->table, part->columns, part->columns_count);
    struct perche_row *copy = p == UINT32_MAX ? NULL : perche_batch_row(to, p, row->key);

    if (copy == NULL)
        return fail(r, PERCHE_NOMEM, "no memory to set a row aside");
    copy->gen = row->gen;
    copy->flags = row->flags & (uint16_t)~ROW_BURIED;
    copy->gen_stamp = row->gen_stamp;
    copy->gen_origin = row->flags & PERCHE_ROW_GEN ? perche_batch_name(to, b->names[row->gen_origin]) : 0;
    copy->scope = row->scope == PERCHE_NO_SCOPE ? PERCHE_NO_SCOPE : perche_batch_name(to, b->names[row->scope]);
    if (copy->gen_origin == UINT32_MAX || (row->scope != PERCHE_NO_SCOPE && copy->scope == UINT32_MAX))
        return fail(r, PERCHE_NOMEM, "no memory to set a row aside");
    copy->full = row->full;
    copy->scan = row->scan;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];
        uint32_t origin = perche_batch_name(to, b->names[c->origin]);
        struct perche_cell *cell;

        if (c->flags & CELL_REFUSED)
            continue;
        cell = perche_batch_cell(to, p, c->col, &c->value);

        if (cell == NULL || origin == UINT32_MAX)
            return fail(r, PERCHE_NOMEM, "no memory to set a row aside");
        cell->stamp = c->stamp;
        cell->origin = origin;
        cell->flags = c->flags & PERCHE_CELL_FIXED;
        while (base < part->bases_count && part->bases[base].cell < row->cells_first + i)
            base++;
        if (!(c->flags & PERCHE_CELL_BASE) || base == part->bases_count || part->bases[base].cell != row->cells_first + i)
            continue;
        origin = perche_batch_name(to, b->names[part->bases[base].origin]);
        if (origin == UINT32_MAX || !perche_batch_base(to, p, part->bases[base].stamp, origin))
            return fail(r, PERCHE_NOMEM, "no memory to set a row aside");
    }
    return PERCHE_OK;
}

/* Translates the row's cells; false when a column is not known here (the row is parked). */
static bool translate(struct apply *a, struct table *t, const struct perche_part *part, const struct perche_row *row,
                      const uint16_t *nums, struct merge_in *in)
{
    uint32_t base = 0;

    in->gen = row->gen;
    in->has_gen = row->flags & PERCHE_ROW_GEN;
    in->whole = row->flags & PERCHE_ROW_WHOLE;
    in->gen_fixed = in->has_gen && row->flags & PERCHE_ROW_FIXED;
    in->gen_stamp = in->has_gen ? row->gen_stamp : 0;
    in->gen_origin = in->has_gen ? interned(a, row->gen_origin) : 0;
    in->cells_count = 0;
    if ((!t->is_system || WITHOUT(A20_CONFLICT_CLOCK)) && !in->gen_fixed && in->gen_stamp > a->stamp)
        a->stamp = in->gen_stamp;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];
        struct merge_cell *out = &in->cells[in->cells_count++];

        if (nums[c->col] == 0)
            return false;
        *out = (struct merge_cell){.num = nums[c->col], .stamp = c->stamp, .origin = interned(a, c->origin),
                                   .fixed = c->flags & PERCHE_CELL_FIXED, .value = &c->value};
        if (c->flags & PERCHE_CELL_BASE) {
            while (base < part->bases_count && part->bases[base].cell < row->cells_first + i)
                base++;
            if (base < part->bases_count && part->bases[base].cell == row->cells_first + i) {
                out->based = true;
                out->base_stamp = part->bases[base].stamp;
                out->base_origin = interned(a, part->bases[base].origin);
            }
        }
        if ((!t->is_system || WITHOUT(A20_CONFLICT_CLOCK)) && !out->fixed && c->stamp > a->stamp)
            a->stamp = c->stamp;
    }
    return true;
}

static const struct perche_value null_value;

static enum perche_rc raise_conflicts(struct apply *a, struct meta *m, const struct merge_in *in,
                                      const struct merge_out *out, struct asker *k, bool *made)
{
    struct table *t = m->table;
    uint64_t refused = 0;

    *made = false;
    for (uint32_t i = 0; i < out->lost_count; i++) {
        const struct merge_lost *l = &out->lost[i];
        const struct column *c = &t->columns[l->num - 1];
        struct conflict_side one = {.stamp = l->stored.stamp, .origin = l->stored.origin, .value = null_value};
        struct conflict_side two = {.stamp = in->gen_stamp, .origin = in->gen_origin, .value = null_value};
        const char *kind = "deleted";
        enum perche_rc rc;

        if (t->is_system || (WITHOUT(B15_SITE_ASKS) && !a->peer.at_hub))
            return PERCHE_OK;
        if (WITHOUT(A24_LWW_KEPT) && l->what == LOSS_CELLS && c->policy != POLICY_REVIEW)
            continue;
        if (c->policy == POLICY_HUB && !a->peer.at_hub) { /* if ours stays it is listed when the hub has judged it */
            if (l->what == LOSS_STORED || (l->what == LOSS_CELLS && out->write >> (l->num - 1) & 1))
                refused |= UINT64_C(1) << (l->num - 1);
            continue;
        }
        if (l->what != LOSS_INCOMING) {
            load_stored(k);
            one.value = k->room[l->num];
        } else {
            one.deleted = true;
        }
        if (l->what == LOSS_STORED) {
            two.deleted = true;
            for (uint32_t j = 0; j < in->cells_count; j++) {
                if (in->cells[j].num != l->num)
                    continue; /* deleted and inserted again: the new value meets the one it had not seen */
                two.deleted = false;
                two.stamp = in->cells[j].stamp;
                two.origin = in->cells[j].origin;
                two.value = *in->cells[j].value;
            }
        } else {
            two.stamp = in->cells[l->cell].stamp;
            two.origin = in->cells[l->cell].origin;
            two.value = *in->cells[l->cell].value;
        }
        if (l->what == LOSS_CELLS)
            kind = c->policy == POLICY_REVIEW ? "review" : "lww";
        rc = conflict_raise(a->r, m, l->num, kind, &one, &two);
        if (rc != PERCHE_OK)
            return rc;
        *made = true;
    }
    return refused != 0 ? refused_lost(a->r, m, refused) : PERCHE_OK;
}

/* A row that somebody took out past the triggers: `verify` finds it, and nothing else waits for it. An edit puts it back. */
static enum perche_rc there_or_gone(enum perche_rc rc)
{
    return rc == PERCHE_NOT_FOUND ? PERCHE_OK : rc;
}

/* Of a held row the image is what is written: its table does not get it back by itself. A deletion that somebody else
 * made ends the waiting. */
static enum perche_rc write_image(struct apply *a, struct meta *m, const struct merge_out *out, struct asker *k,
                                  const struct perche_value *values, uint64_t there)
{
    enum perche_rc rc;

    if (meta_alive(m)) {
        bool anew = out->raised || out->replaced;

        if (anew)
            m->kept_mask = 0;
        return keep_values(a->r, m, values, anew ? there : out->write, true);
    }
    load_stored(k);
    rc = keep_values(a->r, m, k->room, written_mask(m), false);
    if (rc == PERCHE_OK)
        rc = keep_values(a->r, m, values, out->write, false);
    return rc == PERCHE_OK ? held_end(a->r, m) : rc;
}

/* Writes the data row as the merge decided. @values by num are the incoming ones, @there those that came. */
static enum perche_rc write_data(struct apply *a, struct meta *m, const struct merge_out *out, bool was_alive,
                                 struct asker *k, const struct perche_value *values, uint64_t there)
{
    struct perche_bytes key = {m->key, m->key_n};
    bool anew = out->raised || out->replaced;
    enum perche_rc rc = PERCHE_OK;

    if (m->flags & META_HELD)
        return write_image(a, m, out, k, values, there);
    if (anew && was_alive) {
        if (!meta_alive(m)) {
            load_stored(k);
            rc = keep_values(a->r, m, k->room, written_mask(m), false);
        }
        if (rc == PERCHE_OK && meta_alive(m)) /* a new row that does not fit leaves the old one */
            rc = exec(a->r, "SAVEPOINT anew");
        if (rc == PERCHE_OK) {
            rc = there_or_gone(data_delete(a->r, m->table, key));
            if (rc == PERCHE_REFUSED && meta_alive(m) && !tx_lost(a->r))
                (void)exec(a->r, "RELEASE anew"); /* nothing is in it */
        }
        if (rc != PERCHE_OK)
            return rc;
    }
    if (!meta_alive(m))
        return out->write != 0 || out->raised ? keep_values(a->r, m, values, out->write, false) : PERCHE_OK;
    meta_clear(m);
    if (anew || !was_alive)
        rc = data_upsert(a->r, m->table, key, there, values);
    else if (out->write != 0) {
        rc = data_update(a->r, m->table, key, out->write, values);
        if (rc == PERCHE_NOT_FOUND && (rc = audit_missing(a->r, m->table, key)) == PERCHE_OK) /* its digest would cover that it is not there */
            rc = there_or_gone(data_update(a->r, m->table, key, out->write, values));
    }
    if (anew && was_alive && rc == PERCHE_OK)
        rc = exec(a->r, "RELEASE anew");
    else if (anew && was_alive && rc == PERCHE_REFUSED)
        (void)exec(a->r, "ROLLBACK TO anew; RELEASE anew"); /* if that fails, the transaction is lost, which its end finds */
    return rc;
}

/* Does the file take these values? A row that starts must bring every NOT NULL column without a default. */
static const char *unfit(const struct table *t, const struct merge_in *in, bool starts)
{
    uint64_t there = 0;

    for (uint32_t i = 0; i < in->cells_count; i++) {
        if (t->columns[in->cells[i].num - 1].absent)
            return "column";
        if (!data_accepts(&t->columns[in->cells[i].num - 1], in->cells[i].value))
            return "type";
        there |= UINT64_C(1) << (in->cells[i].num - 1);
    }
    for (uint32_t i = 0; starts && i < t->columns_count; i++)
        if (t->columns[i].notnull && !t->columns[i].has_default && !(there >> i & 1))
            return "husk";
    return NULL;
}

/* @deleted: it will be buried: its hub columns are what the hub once gave it. */
static enum perche_rc judge(struct apply *a, struct meta *m, const struct perche_part *part, struct perche_row *row,
                            const uint16_t *nums, struct merge_in *in, bool deleted, bool *gone)
{
    const char *reason, *cols_reason;
    uint64_t cols;
    char names[PERCHE_COLUMNS_MAX * (PERCHE_NAME_BYTES_MAX + 1u) + 1];
    size_t used = 0;
    uint32_t left = 0;
    enum perche_rc rc = a->recovering && !WITHOUT(B2_ANY_ORIGIN) ? rights_recover(a->r, a->pusher, m, in, &reason, &cols, &cols_reason)
                                      : rights_judge(a->r, a->pusher, m, in, &reason, &cols, &cols_reason);

    *gone = false;
    if (rc != PERCHE_OK)
        return rc;
    if (reason == NULL && (cols == 0 || deleted)) { /* a column that is not in our file is no fault of the site's: its cells wait */
        const char *why = unfit(m->table, in, false);

        if (why == NULL || strcmp(why, "column") == 0)
            return PERCHE_OK;
        reason = why;
    }
    a->refused = true;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        struct perche_cell *c = &part->cells[row->cells_first + i];

        if (reason != NULL || cols >> (nums[c->col] - 1) & 1)
            c->flags |= CELL_REFUSED;
    }
    if (reason != NULL) {
        row->flags &= (uint16_t)~PERCHE_ROW_GEN;
        *gone = true;
        return refuse(a->r, a->pusher, m, "", reason);
    }
    names[0] = '\0';
    for (uint32_t i = 0; i < in->cells_count; i++) {
        if (!(cols >> (in->cells[i].num - 1) & 1)) {
            in->cells[left++] = in->cells[i];
            continue;
        }
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? "," : "",
                                     m->table->columns[in->cells[i].num - 1].name);
    }
    in->cells_count = left;
    rc = refuse(a->r, a->pusher, m, names, cols_reason);
    if (left == 0 && !in->has_gen)
        *gone = true;
    return rc;
}

/* A site asks with its next request; a hub reads perche_parked for its answer. A row that is here and set aside is not asked for. */
static enum perche_rc ask_for(struct apply *a, struct table *t, const struct perche_row *row)
{
    sqlite3_stmt *s;

    if (a->peer.at_hub || parked_has(a->r, t->name, row->key, true))
        return PERCHE_OK;
    s = sql(a->r, SQL_WANTED_PUT);
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, row->key.p, (int)row->key.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, 0);
    sqlite3_bind_int(s, 4, 2);
    return sql_run(a->r, s, "remember a row to ask for");
}

/* The unpushed cells of a row at a node with an upstream: `first` is the oldest. */
static void set_first(struct apply *a, struct meta *m)
{
    uint64_t oldest = 0;

    if (a->peer.at_hub)
        return;
    for (uint32_t num = 0; num < m->count; num++) {
        const struct clock_cell *c = &m->cells[num];

        if (c->written && !merge_clean(&a->peer, c) && (oldest == 0 || c->lsn < oldest))
            oldest = c->lsn;
    }
    m->first = oldest;
}

/* At a site the header says the scope; a row that the hub did not have says it first. */
static enum perche_rc take_header(struct apply *a, struct meta *m, const struct perche_row *row)
{
    if (row->scope != PERCHE_NO_SCOPE && (m->scope == 0 || !WITHOUT(B11_HEADER_SCOPE)))
        m->scope = interned(a, row->scope);
    else if (m->scope == 0)
        m->scope = a->r->node.site_num;
    m->flags &= ~(uint32_t)(META_FRESH | META_PAIR);
    return a->r->fail;
}

/* At the hub a new row gets the scope that its rule gives; its author hears no echo when he named the same. */
static enum perche_rc first_scope(struct apply *a, struct meta *m, const struct perche_row *row,
                                  const struct perche_value *values, uint64_t have)
{
    struct perche_value stored[PERCHE_COLUMNS_MAX + 1];

    if ((written_mask(m) & ~have) != 0 || !meta_alive(m)) {
        enum perche_rc rc = row_values(a->r, m, stored);

        if (rc != PERCHE_OK)
            return rc;
        values = stored;
    }
    m->scope = scope_derive(a->r, m, values, a->pusher, &m->members);
    if (m->scope == 0)
        return a->r->fail != PERCHE_OK ? a->r->fail : fail(a->r, PERCHE_INTERNAL, "a row of %s has no scope", m->table->name);
    if (named_arrived(a->r, a->pusher, m, values) != PERCHE_OK)
        return a->r->fail;
    if (row->scope != PERCHE_NO_SCOPE && interned(a, row->scope) == m->scope)
        m->flags |= META_AGREED;
    return a->r->fail;
}

/* After a row is saved at the hub: who depends on it, and who hears of it. */
static enum perche_rc spread(struct apply *a, struct meta *m, bool born, bool echo)
{
    struct perche_value now[PERCHE_COLUMNS_MAX + 1];
    enum perche_rc rc = scope_woken(a->r, m->scope, echo ? 0 : a->pusher);

    if (rc != PERCHE_OK ||
        (born && !a->r->orphans && m->table->rule == RULE_OWN && !m->table->member_child && scope_holds(a->r, m->scope, a->pusher)))
        return rc;
    rc = row_values(a->r, m, now);
    return rc == PERCHE_OK ? scope_follow(a->r, m, now, a->pusher) : rc;
}

bool image_replaces(const struct meta *m, const struct perche_row *row)
{
    return !WITHOUT(B9_IMAGE) && row->flags & PERCHE_ROW_IMAGE && row->gen % 2 == 1 && m->stored && meta_alive(m) && !(m->flags & META_HELD);
}

/* What is recorded of the row counts no more; only where it is stored, and its past, stay. */
static void forget(struct meta *m)
{
    meta_clear(m);
    m->scope = m->members = 0;
    m->lsn = m->entered = m->first = m->full = m->scan = 0;
    m->gen = m->flags = 0;
    memset(m->cells, 0, sizeof m->cells);
}

/* Not as it stands; an image leaves nothing of what it should replace, or is asked for again. */
static enum perche_rc set_aside(struct apply *a, const struct perche_part *part, struct perche_row *row, struct meta *m, bool image,
                                const char *reason)
{
    enum perche_rc rc = image ? row_drop(a->r, m) : PERCHE_OK;

    if (refused_here(a->r)) {
        row->gen = 0;
        return PERCHE_OK;
    }
    return rc == PERCHE_OK ? park(a, part, row, reason) : rc;
}

static enum perche_rc apply_one(struct apply *a, struct table *t, const struct perche_part *part,
                                struct perche_row *row, const uint16_t *nums, uint64_t *prev)
{
    struct replica *r = a->r;
    struct meta m;
    struct merge_in in;
    struct merge_out out;
    struct merge_peer peer = a->peer;
    struct asker k = {.r = r, .m = &m};
    struct merge_ask ask = {&k, ask_order, ask_knows, ask_compare};
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint64_t have = 0, there = 0, early = 0;
    bool was_alive, born, made = false, gone = false, starts, image;
    uint32_t old_scope;
    enum perche_rc rc;

    if (row->gen == 0)
        return PERCHE_OK; /* an image that is not taken now */
    if (!data_key_fits(t, row->key))
        return park(a, part, row, "key");
    if (t->obstacle != NULL)
        return park(a, part, row, t->obstacle);
    rc = meta_load(r, t, row->key, &m);
    if (rc != PERCHE_OK)
        return rc;
    image = !a->peer.at_hub && a->retried == 0 && image_replaces(&m, row);
    if (!translate(a, t, part, row, nums, &in)) {
        rc = set_aside(a, part, row, &m, image, "column");
        goto out;
    }
    if (image && unfit(t, &in, true) != NULL) {
        rc = set_aside(a, part, row, &m, image, unfit(t, &in, true));
        goto out;
    }
    if (image)
        forget(&m);
    if (a->peer.at_hub && !a->returns && in.has_gen && in.gen % 2 == 1 && in.gen <= m.gen && floor_passed(r, &m)) {
        rc = meta_drop(r, &m); /* its author has dropped it, and so have all that count: the key begins anew */
        meta_clear(&m);
        if (rc == PERCHE_OK)
            rc = meta_load(r, t, row->key, &m);
        if (rc != PERCHE_OK)
            return rc;
    }
    if (!m.stored && held_in(r, t, row->key) != 0) /* an image took the place of a held row */
        m.flags |= META_HELD;
    k.gen = m.gen;
    was_alive = meta_alive(&m);
    born = !m.stored || image;
    old_scope = m.scope;
    if (in.gen > m.gen && !in.has_gen) { /* came without its row: ask for it whole, keep what came */
        rc = park(a, part, row, "row");
        if (rc == PERCHE_OK)
            rc = ask_for(a, t, row);
        goto out;
    }
    if (row->flags & PERCHE_ROW_PAIR) {
        peer.full = row->full;
        peer.scan = row->scan;
    }
    if (a->peer.at_hub) {
        bool deleted = floor_deleted(r, a, &m, &in);

        rc = judge(a, &m, part, row, nums, &in, deleted, &gone);
        if (rc != PERCHE_OK || gone)
            goto out;
        if (deleted) {
            rc = floor_bury(r, a, &m, &in);
            if (rc != PERCHE_OK)
                goto out;
            row->flags |= ROW_BURIED;
            k.gen = m.gen;
            born = false;
            old_scope = m.scope;
        }
    }
    if (WITHOUT(B20_FOREIGN_TOMBSTONE) && !a->peer.at_hub && born && in.gen % 2 == 0)
        goto out;
    starts = in.gen > m.gen && in.gen % 2 == 1;
    if (unfit(t, &in, starts) != NULL) {
        rc = park(a, part, row, unfit(t, &in, starts));
        goto out;
    }
    merge_row(&peer, &ask, &m, &in, &out);
    if (r->fail != PERCHE_OK) {
        rc = r->fail;
        goto out;
    }
    for (uint32_t i = 0; i < in.cells_count; i++) {
        values[in.cells[i].num] = *in.cells[i].value;
        there |= UINT64_C(1) << (in.cells[i].num - 1);
        if (out.write >> (in.cells[i].num - 1) & 1)
            have |= UINT64_C(1) << (in.cells[i].num - 1);
    }
    if (WITHOUT(A9_CONFLICT_FIRST) && (out.changed || out.lost_count > 0))
        m.lsn = early = next_lsn(r);
    if (out.lost_count > 0)
        rc = raise_conflicts(a, &m, &in, &out, &k, &made);
    if (rc != PERCHE_OK)
        goto out;
    if (!out.changed && (!made || WITHOUT(A10_LOSER_MOVES))) {
        if (a->peer.at_hub || !m.stored)
            goto out;
        rc = take_header(a, &m, row); /* nothing new but perhaps its header */
        if (rc == PERCHE_OK)
            rc = meta_save(r, &m);
        if (rc == PERCHE_OK && m.scope != old_scope && !t->is_system)
            rc = conflict_rescope(r, &m);
        goto out;
    }
    m.lsn = early != 0 ? early : next_lsn(r);
    merge_number(&a->peer, &m, m.lsn, made);
    if (out.changed && m.stored) /* else it is none, or that of the row whose place an image takes */
        *prev = m.block;
    rc = image ? data_replace(r, t, row->key, there, values) : write_data(a, &m, &out, was_alive, &k, values, there);
    if (image && refused_here(r)) { /* all is as it was: asked for again */
        *prev = 0;
        row->gen = 0;
        rc = PERCHE_OK;
        goto out;
    }
    if (image && rc == PERCHE_OK)
        rc = parked_drop(r, t->name, row->key, 0);
    if (refused_here(r)) { /* a constraint of the file, or a program's trigger or index: its own transaction step was undone */
        *prev = 0;
        rc = park(a, part, row, r->obstacle != NULL ? r->obstacle : "constraint");
        goto out;
    }
    if (rc != PERCHE_OK)
        goto out;
    if (out.raised || born) {
        m.entered = m.lsn;
        m.flags &= ~(uint32_t)META_AGREED;
    }
    if (!a->peer.at_hub)
        rc = take_header(a, &m, row);
    else if (born)
        rc = first_scope(a, &m, row, values, have);
    else if (out.raised && row->scope != PERCHE_NO_SCOPE && interned(a, row->scope) == m.scope)
        m.flags |= META_AGREED;
    if (rc != PERCHE_OK)
        goto out;
    set_first(a, &m);
    rc = row_digest(r, &m, values, have);
    if (out.changed)
        m.block = a->block; /* not there to be read before the end of the batch */
    if (rc == PERCHE_OK)
        rc = meta_save(r, &m);
    if (rc != PERCHE_OK)
        goto out;
    a->applied++;
    if (born && t->is_conflict)
        rc = conflict_came(r, &m, values, there);
    if (rc != PERCHE_OK)
        goto out;
    if (a->peer.at_hub && born && t->chained) /* its entries may have come before it */
        rc = conflict_rescope(r, &m);
    if (rc == PERCHE_OK && a->peer.at_hub)
        rc = unique_check(r, &m, out.write);
    if (rc == PERCHE_OK && a->peer.at_hub && born)
        rc = named_parent_arrived(r, &m);
    if (rc != PERCHE_OK)
        goto out;
    if (a->peer.at_hub)
        rc = spread(a, &m, born, made || (born && !(m.flags & META_AGREED)));
    else if (m.scope != old_scope && old_scope != 0 && !t->is_system)
        rc = conflict_rescope(r, &m);
out:
    meta_clear(&m);
    return rc;
}

/* What named it before it came, and goes now, may be kept by a program's trigger: then it is as if the row had not come, and it waits. */
static enum perche_rc apply_named(struct apply *a, struct table *t, const struct perche_part *part, struct perche_row *row,
                                  const uint16_t *nums, uint64_t *prev)
{
    struct replica *r = a->r;
    uint64_t applied = a->applied, block = *prev;
    bool refused = a->refused;
    uint16_t flags = row->flags;
    enum perche_rc rc = trial(r);

    if (rc == PERCHE_OK)
        rc = apply_one(a, t, part, row, nums, prev);
    if (rc == PERCHE_OK)
        return trial_release(r);
    if (!refused_here(r))
        return rc;
    rc = trial_rollback(r);
    a->refused = refused;
    a->applied = applied;
    memset(a->names, 0, a->batch->names_count * sizeof *a->names); /* some were interned in vain */
    row->flags = flags;
    *prev = block;
    for (uint32_t i = 0; i < row->cells_count; i++)
        part->cells[row->cells_first + i].flags &= (uint16_t)~CELL_REFUSED;
    return rc == PERCHE_OK ? park(a, part, row, r->obstacle != NULL ? r->obstacle : "constraint") : rc;
}

static enum perche_rc apply_part(struct apply *a, uint32_t p, uint32_t first)
{
    struct perche_part *part = &a->batch->parts[p];
    struct table *t = registry_table(a->r, part->table);
    uint16_t *nums = calloc(part->columns_count + 1, sizeof *nums);
    enum perche_rc rc = PERCHE_OK;

    if (nums == NULL)
        return fail(a->r, PERCHE_NOMEM, "no memory for a batch");
    for (uint32_t i = 0; t != NULL && i < part->columns_count; i++) {
        const struct column *c = table_column(t, part->columns[i]);

        nums[i] = c != NULL ? c->num : 0;
    }
    for (uint32_t i = 0; rc == PERCHE_OK && i < part->rows_count; i++) {
        struct perche_row *row = &part->rows[i];

        if (t == NULL || !t->present)
            rc = park(a, part, row, "table");
        else if (a->peer.at_hub && row->flags & PERCHE_ROW_GEN && named_before(a->r, t, row->key))
            rc = apply_named(a, t, part, row, nums, &a->prev[first + i]);
        else
            rc = apply_one(a, t, part, row, nums, &a->prev[first + i]);
    }
    free(nums);
    return rc;
}

enum perche_rc apply_rows(struct apply *a)
{
    uint32_t ranks[PERCHE_BATCH_TABLES_MAX], last = 0, rank = 0;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t p = 0; p < a->batch->parts_count; p++) {
        const struct table *t = registry_table(a->r, a->batch->parts[p].table);

        ranks[p] = t != NULL ? table_rank(a->r, t) : 0;
        if (ranks[p] > last)
            last = ranks[p];
        a->rows += a->batch->parts[p].rows_count;
    }
    /* Parents before children, whatever the order of the parts: a scope is made from what is there. */
    for (rank = 0; rc == PERCHE_OK && rank <= last; rank++) {
        uint32_t first = 0;

        for (uint32_t p = 0; rc == PERCHE_OK && p < a->batch->parts_count; p++) {
            if (ranks[p] == rank)
                rc = apply_part(a, p, first);
            first += a->batch->parts[p].rows_count;
        }
    }
    if (rc == PERCHE_OK)
        rc = scope_readers(a->r);
    if (rc == PERCHE_OK && a->stamp != 0)
        stamp_seen(a->r, a->stamp);
    return rc;
}

/* What was edited of a row that was deleted here before is asked about; its past begins with what came of it last. */
static enum perche_rc meet_buried(struct apply *a, struct table *t, const struct perche_row *row)
{
    struct meta m;
    enum perche_rc rc = parked_retry(a->r, t->name, row->key);

    if (rc == PERCHE_OK)
        rc = meta_load(a->r, t, row->key, &m);
    if (rc != PERCHE_OK)
        return rc;
    if (m.stored && m.block == 0) {
        m.block = a->block;
        rc = meta_save(a->r, &m);
    }
    meta_clear(&m);
    return rc;
}

/* Cells that waited for a row which is here now. Those that came over the same link are in it, or it deletes them. */
static enum perche_rc meet_parked(struct apply *a)
{
    struct replica *r = a->r;
    bool any = parked_any(r);
    enum perche_rc rc = r->fail;

    for (uint32_t p = 0; any && rc == PERCHE_OK && p < a->batch->parts_count; p++) {
        const struct perche_part *part = &a->batch->parts[p];
        struct table *t = registry_table(r, part->table);

        for (uint32_t i = 0; t != NULL && t->present && rc == PERCHE_OK && i < part->rows_count; i++) {
            struct perche_row *row = &part->rows[i];
            struct meta m;
            bool here;

            if (row->gen == 0 || !(row->flags & PERCHE_ROW_GEN) ||
                (!(row->flags & ROW_BURIED) && !parked_has(r, part->table, row->key, false)))
                continue;
            rc = meta_load(r, t, row->key, &m);
            here = rc == PERCHE_OK && m.gen >= row->gen;
            meta_clear(&m);
            if (here && row->flags & ROW_BURIED)
                rc = meet_buried(a, t, row);
            if (!here || row->flags & ROW_BURIED)
                continue;
            rc = parked_drop(r, part->table, row->key, a->peer.via);
            if (rc == PERCHE_OK && parked_has(r, part->table, row->key, false))
                rc = parked_retry(r, part->table, row->key);
        }
    }
    return rc;
}

enum perche_rc encode_taken(struct apply *a, struct perche_buf *out)
{
    struct perche_batch *kept = perche_batch_new();
    struct perche_err err;
    enum perche_rc rc = kept == NULL ? fail(a->r, PERCHE_NOMEM, "no memory for a history block") : PERCHE_OK;

    for (uint32_t p = 0; rc == PERCHE_OK && p < a->batch->parts_count; p++) {
        const struct perche_part *part = &a->batch->parts[p];

        for (uint32_t i = 0; rc == PERCHE_OK && i < part->rows_count; i++)
            rc = copy_taken(a, part, &part->rows[i], kept);
    }
    if (rc == PERCHE_OK && perche_batch_encode(kept, 1, out, &err) != PERCHE_OK)
        rc = fail(a->r, err.rc, "history: %s", err.text);
    perche_batch_free(kept);
    return rc;
}

enum perche_rc apply_block(struct apply *a, struct perche_bytes body)
{
    return a->rows == 0 ? PERCHE_OK : history_append(a->r, body, a->prev, a->rows, a->peer.via);
}

/* Only then come the parked cells that met their row: they are a block of their own, behind this one. */
enum perche_rc apply_history(struct apply *a, struct perche_bytes body)
{
    enum perche_rc rc = apply_block(a, body);

    return rc == PERCHE_OK ? meet_parked(a) : rc;
}

enum perche_rc row_drop(struct replica *r, struct meta *m)
{
    enum perche_rc rc = PERCHE_OK;

    if (m->stored && (m->flags & META_HELD))
        rc = held_end(r, m);
    else if (m->stored && meta_alive(m))
        rc = there_or_gone(data_delete(r, m->table, (struct perche_bytes){m->key, m->key_n}));
    if (rc == PERCHE_OK && m->stored)
        rc = meta_drop(r, m);
    return rc == PERCHE_OK ? parked_drop(r, m->table->name, (struct perche_bytes){m->key, m->key_n}, 0) : rc;
}
