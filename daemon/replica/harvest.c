/* Harvest: what programs wrote becomes stamped, numbered state.
 *
 * The capture rows of a key are replayed in order (delete then insert is two
 * generations on, whenever the harvest comes), then the present values are taken.
 * One chunk is one transaction: stamps, positions, metadata, digests, one history
 * block, and the capture rows go (P1: until then they stay). Deletions that brake.c
 * holds get no stamp here but when a person releases them. */
#include <stdlib.h>
#include <string.h>

#include "replica/ask.h"
#include "replica/harvest.h"
#include "replica/pack.h"
#include "replica/statements.h"
#include "replica/tx.h"

#define CHUNK_BYTES_MAX (16u << 20) /* values of one chunk, and about its memory */
#define CHUNK_CUT 64u

/* What people write is held against the history: was another column of the row changed unseen? Of more rows at once, or a
 * longer past, the comparison with the hub finds it. */
#define FEW_ROWS    32u
#define FEW_ENTRIES 8u

/* ---- values too large to send ------------------------------------------------ */

/* Columns among the @changed that no message carries: one above the bound, or what makes the row exceed it. */
uint64_t row_oversized(const struct table *t, const struct perche_value *values, uint64_t changed)
{
    uint64_t mask = 0, sum = 0;

    for (int pass = 0; pass < 2; pass++) /* what was there before goes first */
        for (uint32_t num = 1; num <= t->columns_count; num++) {
            const struct perche_value *v = &values[num];

            if ((v->type != PERCHE_TEXT && v->type != PERCHE_BLOB) || (changed >> (num - 1) & 1) != (uint64_t)pass)
                continue;
            if (pass == 1 && (v->n > PERCHE_VALUE_BYTES_MAX || sum + v->n > PERCHE_ROW_BYTES_MAX))
                mask |= UINT64_C(1) << (num - 1);
            else
                sum += v->n;
        }
    return mask;
}

static char *hex_of(struct replica *r, const struct perche_value *v)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc((size_t)v->n * 2 + 1);

    if (hex == NULL) {
        (void)fail(r, PERCHE_NOMEM, "no memory for a value that is too large");
        return NULL;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        hex[2 * i] = digits[v->p[i] >> 4];
        hex[2 * i + 1] = digits[v->p[i] & 15];
    }
    hex[(size_t)v->n * 2] = '\0';
    return hex;
}

/* Is the row on the list already, as one that stays here for this column? */
static bool large_listed(struct replica *r, const struct meta *m, const char *key, uint32_t num)
{
    sqlite3_stmt *s = sql(r, SQL_LARGE_KEPT);
    bool listed;

    sqlite3_bind_text(s, 1, m->table->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, key != NULL ? key : "", -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 3, m->table->columns[num - 1].name, -1, SQLITE_STATIC);
    listed = sql_row(r, s);
    sql_done(s);
    return listed;
}

/* A row that stayed here for its size goes, or is gone: it is on the list no longer. */
static enum perche_rc large_end(struct replica *r, const struct meta *m)
{
    char *key = ask_key_json(r, (struct perche_bytes){m->key, m->key_n});
    sqlite3_stmt *s = sql(r, SQL_LARGE_END);
    enum perche_rc rc;

    sqlite3_bind_text(s, 1, m->table->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, key != NULL ? key : "", -1, SQLITE_STATIC);
    rc = sql_run(r, s, "take a row off the list");
    free(key);
    return rc;
}

enum perche_rc row_list_oversized(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t big, bool goes)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t num = 1; num < m->count && rc == PERCHE_OK; num++) {
        char *key, *hex = NULL;
        sqlite3_stmt *s;

        if (!(big >> (num - 1) & 1))
            continue;
        if (goes && values[num].type == PERCHE_BLOB && (hex = hex_of(r, &values[num])) == NULL)
            return r->fail;
        key = ask_key_json(r, (struct perche_bytes){m->key, m->key_n});
        if (!goes && large_listed(r, m, key, num)) {
            free(key);
            continue;
        }
        r->kept_here |= !goes;
        s = sql(r, SQL_REFUSED_PUT);
        sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
        sqlite3_bind_text(s, 2, m->table->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 3, key != NULL ? key : "", -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 4, m->table->columns[num - 1].name, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 5, "too_large", -1, SQLITE_STATIC);
        if (hex != NULL)
            sqlite3_bind_text64(s, 6, hex, (sqlite3_uint64)values[num].n * 2, SQLITE_STATIC, SQLITE_UTF8); /* too large for SQLite: null */
        else if (goes)
            bind_value(s, 6, &values[num]);
        else
            sqlite3_bind_null(s, 6); /* the row keeps it */
        rc = sql_run(r, s, "list a value that is too large");
        free(key);
        free(hex);
    }
    return rc;
}

/* What a new row has in the place of a value that is too large: NULL, the column's default, or an empty one. */
static enum perche_rc set_empty(struct replica *r, struct meta *m, uint32_t num, uint8_t type)
{
    const struct column *c = &m->table->columns[num - 1];
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {0};
    sqlite3_stmt *s = NULL;
    enum perche_rc rc;

    if (c->notnull && c->has_default) {
        char *text = sqlite3_mprintf("SELECT (%s\n)", c->default_sql);

        s = text != NULL ? prepare(r, text) : NULL;
        sqlite3_free(text);
        if (s == NULL)
            return r->fail != PERCHE_OK ? r->fail : fail(r, PERCHE_NOMEM, "no memory for a statement");
        if (sql_row(r, s))
            column_read(r, s, 0, &values[num]);
    } else if (c->notnull) {
        values[num] = (struct perche_value){.type = type, .p = (const uint8_t *)""};
    }
    rc = r->fail == PERCHE_OK ? data_update(r, m->table, (struct perche_bytes){m->key, m->key_n}, UINT64_C(1) << (num - 1), values) : r->fail;
    sqlite3_finalize(s);
    return rc;
}

/* A new row travels without what is too large, which is listed. @left: false when the table does not take it so: it stays
 * here as it is, and nowhere else. */
static enum perche_rc leave_out(struct replica *r, struct meta *m, const struct perche_value *values, uint64_t big, bool *left)
{
    bool begun = !r->applying;
    uint8_t types[PERCHE_COLUMNS_MAX + 1] = {0};
    enum perche_rc rc = begun ? applying_begin(r) : PERCHE_OK;

    *left = false;
    for (uint32_t num = 1; num < m->count; num++)
        types[num] = (uint8_t)values[num].type;
    if (rc == PERCHE_OK)
        rc = exec(r, "SAVEPOINT large");
    if (rc == PERCHE_OK)
        rc = row_list_oversized(r, m, values, big, true);
    for (uint32_t num = 1; num < m->count && rc == PERCHE_OK; num++)
        if (big >> (num - 1) & 1)
            rc = set_empty(r, m, num, types[num]);
    if (rc == PERCHE_OK) {
        *left = true;
        rc = exec(r, "RELEASE large");
    } else if (rc == PERCHE_REFUSED && r->fail == PERCHE_REFUSED) {
        fail_clear(r);
        rc = exec(r, "ROLLBACK TO large; RELEASE large");
        if (rc == PERCHE_OK)
            rc = row_list_oversized(r, m, values, big, false); /* its values are not looked at */
    }
    if (begun) {
        enum perche_rc ended = applying_end(r);

        rc = rc != PERCHE_OK ? rc : ended;
    }
    return rc;
}

/* In a row that others have, the former value comes back. Nothing else waits for it (P8). */
static enum perche_rc put_back(struct replica *r, struct meta *m, struct perche_value *values, uint64_t big)
{
    bool begun = !r->applying;
    enum perche_rc rc = row_list_oversized(r, m, values, big, true);

    if (rc != PERCHE_OK)
        return rc;
    if (begun)
        rc = applying_begin(r);
    for (uint32_t num = 1; num < m->count && rc == PERCHE_OK; num++) {
        struct former f;

        if (!(big >> (num - 1) & 1))
            continue;
        rc = former_value(r, m, num, &f);
        values[num] = f.value;
        if (rc == PERCHE_OK && f.found) /* else the history has no more of it: the comparison will find it */
            rc = data_update(r, m->table, (struct perche_bytes){m->key, m->key_n}, UINT64_C(1) << (num - 1), values);
        if (refused_here(r)) /* likewise, when a program's trigger is in its way */
            rc = PERCHE_OK;
        values[num] = (struct perche_value){0};
        free(f.bytes);
    }
    if (begun) {
        enum perche_rc ended = applying_end(r);

        rc = rc != PERCHE_OK ? rc : ended;
    }
    return rc;
}

/* ---- one row ------------------------------------------------------------------------ */

/* A hub's column that the insert left at its default is no cell of it: a site can register a learner. */
static bool at_default(struct replica *r, const struct column *c, const struct perche_value *v)
{
    sqlite3_stmt *s;
    char *text;
    bool same;
    int rc;

    if (c->default_sql == NULL)
        return v->type == PERCHE_NULL;
    text = sqlite3_mprintf("SELECT ?1 IS (%s\n)", c->default_sql);
    if (text == NULL)
        return (void)fail(r, PERCHE_NOMEM, "no memory for a statement"), false;
    s = prepare(r, text);
    sqlite3_free(text);
    if (s == NULL)
        return false;
    bind_value(s, 1, v);
    rc = sqlite3_step(s); /* a DEFAULT that has no value is no reason to stop */
    same = rc == SQLITE_ROW && sqlite3_column_int(s, 0) == 1;
    if ((rc & 0xff) == SQLITE_NOMEM)
        (void)fail_sqlite(r, rc, "a column's DEFAULT");
    sqlite3_finalize(s);
    return same;
}

/* A copy of this file may have the insert captured and not the delete, or its former life may have harvested it and handed it
 * out: who deletes the row has deleted what others have, or may have yet. */
static bool was_deleted(const struct chunk *c, const struct item *it)
{
    for (uint32_t i = it->first; i != 0; i = c->ops[i - 1].next)
        if (c->ops[i - 1].mask == 0)
            return true;
    return false;
}

/* Was the row harvested when this REPLACE stood in the capture log already, further on than that chunk went? Its digest covers then
 * what the REPLACE changed, and says no more whether it did. A clock that went back says nothing either. */
static bool harvested_since(struct replica *r, const struct meta *m, uint64_t at_ms)
{
    if (r->node.cut_block != 0 && m->block >= r->node.cut_block) /* in a chunk that went before this one, whenever that was asked for */
        return true;
    return at_ms > r->now_ms || (uint64_t)ask_number(r, "SELECT at_ms FROM perche_history WHERE block = ?1 AND ?2 IS NULL", (int64_t)m->block, NULL) >= at_ms;
}

#define LATER_INSERT (UINT64_C(1) << 63) /* no column's */

/* A deletion was captured last, and the row stands in its table: nobody deleted it. A program's trigger inserted it again within
 * the deletion and was captured first; or the table was made anew with its rows before the old one was emptied. */
static bool stands_again(struct replica *r, struct chunk *c, const struct item *it, const struct meta *m)
{
    if (meta_alive(m) || !was_deleted(c, it) || chunk_look_on(r, c) != PERCHE_OK)
        return false;
    return !(it->later & LATER_INSERT); /* else a deletion and an insert, of two chunks */
}

/* The row, and of the generation that was stamped what its table lacks. */
static enum perche_rc load_as_stamped(struct replica *r, struct meta *m, uint32_t before, struct perche_value *values)
{
    enum perche_rc rc = data_load(r, (struct table *)(uintptr_t)m->table, (struct perche_bytes){m->key, m->key_n}, values);

    return rc == PERCHE_OK && m->gen == before && meta_alive(m) ? row_absent(r, m, values) : rc;
}

/* Of a row that was deleted before its table went away: what its tombstone keeps is in the history. */
static enum perche_rc keep_scope(struct replica *r, struct meta *m, struct perche_value *values)
{
    enum perche_rc rc = row_values(r, m, values);
    uint64_t kept = m->kept_mask;

    if (rc != PERCHE_OK || !meta_alive(m))
        return rc;
    m->kept_mask = 0;
    return keep_values(r, m, values, kept, false);
}

static enum perche_rc harvest_row(struct author *a, struct chunk *c, const struct item *it)
{
    struct replica *r = a->r;
    struct perche_bytes key = {c->keys + it->key_at, it->key_n};
    struct meta m;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint64_t mask = 0, edited = 0, at_ms = 0, replaced_ms = 0, big, all = it->table->columns_count == 0 ? 0 : UINT64_MAX >> (64 - it->table->columns_count) & ~it->table->absent;
    uint32_t before;
    bool alive, present, over = false, again = false, gen, found;
    int64_t set;
    enum perche_rc rc;

    rc = meta_load(r, it->table, key, &m);
    if (rc != PERCHE_OK)
        return rc;
    before = m.gen;
    a->unseen = false;
    if (!it->table->present && m.stored && (rc = keep_scope(r, &m, values)) != PERCHE_OK)
        goto out;
    for (uint32_t i = it->first; i != 0; i = c->ops[i - 1].next) {
        const struct op *op = &c->ops[i - 1];

        a->unseen |= op->unseen;

        alive = meta_alive(&m);
        at_ms = op->at_ms;
        if (op->mask < 0) {
            over |= alive; /* REPLACE on a living row: an update of all columns */
            replaced_ms = op->at_ms;
            m.gen += !alive;
            mask = all;
        } else if (op->mask == 0) {
            m.gen += alive ? 1 : m.stored ? 2 : 0; /* dead: its insert was in a chunk before */
            edited = alive ? mask : edited;
            mask = 0;
        } else if (alive) {
            mask |= (uint64_t)op->mask & all;
        }
    }
    rc = data_load(r, it->table, key, values);
    if (rc != PERCHE_OK && rc != PERCHE_NOT_FOUND)
        goto out;
    present = rc == PERCHE_OK;
    rc = PERCHE_OK;
    if (WITHOUT(A27_TWO_ON) && present && before % 2 == 1 && m.gen != before) {
        m.gen = before;
        mask = all;
    }
    if (present && stands_again(r, c, it, &m)) {
        again = before % 2 == 1;
        m.gen = again ? before : before + 1;
        mask = again ? edited : all;
    }
    if (present && held_in(r, it->table, key) != 0) { /* a program inserted it again: it waits no longer */
        meta_clear(&m);
        rc = held_end(r, &m);
        if (rc == PERCHE_OK && m.stored) {
            uint32_t gen_now = m.gen;

            m.gen = before;
            rc = meta_save(r, &m);
            m.gen = gen_now;
        }
        if (rc != PERCHE_OK)
            goto out;
    }
    if (present && !m.stored && m.gen == 0) { /* its insert was not captured: a program's trigger made it during an apply */
        m.gen = 1;
        mask = all;
    }
    if (present && m.gen == before && meta_alive(&m) && (rc = row_absent(r, &m, values)) != PERCHE_OK)
        goto out;
    if (present && m.stored && m.gen == before && meta_alive(&m) && (again || capture_waits(r, it->table))) {
        uint64_t captured = mask;
        bool refilled = false;

        rc = audit_changed(r, &m, values, 0, &mask); /* a new digest would cover what was changed unseen */
        if (rc == PERCHE_OK)
            rc = audit_refill(r, &m, values, captured, &mask, &refilled);
        if (rc == PERCHE_OK && refilled)
            rc = load_as_stamped(r, &m, before, values);
        if (rc != PERCHE_OK)
            goto out;
        if (mask != captured) { /* what stands further on was not written unseen, and is stamped there */
            rc = chunk_look_on(r, c);
            mask &= captured | ~it->later;
            a->unseen |= mask != captured;
        }
        if (rc != PERCHE_OK)
            goto out;
    } else if (present && m.stored && m.gen == before && meta_alive(&m) && c->items_count <= FEW_ROWS && !c->more) {
        rc = audit_covered(r, &m, values, mask, FEW_ENTRIES, &c->again);
        if (rc != PERCHE_OK)
            goto out;
    }
    big = present ? row_oversized(it->table, values, mask) : 0;
    if (big != 0) {
        bool left = true, fresh = !m.stored || m.gen != before;

        rc = fresh ? leave_out(r, &m, values, big, &left) : put_back(r, &m, values, big);
        if (rc != PERCHE_OK || !left)
            goto out;
        mask &= fresh ? UINT64_MAX : ~big;
        rc = load_as_stamped(r, &m, before, values);
        if (rc != PERCHE_OK)
            goto out;
    }
    if (!m.stored && r->kept_here && (rc = large_end(r, &m)) != PERCHE_OK)
        goto out;
    alive = meta_alive(&m);
    if (alive && !present && (c->more || !it->table->present))
        goto out; /* its delete stands further on in the capture log, and there its old values; or its table is away, and it with that */
    if (alive && !present) { /* somebody took its capture row out */
        a->unseen = true;
        m.gen++;
        edited = mask;
    } else if (!alive && present && before == m.gen && before % 2 == 0 && m.gen != 0) {
        goto out; /* an update of what a later capture row will bring back */
    }
    set = before % 2 == 1 && !meta_alive(&m) && !present ? brake_set(r, &m) : 0;
    if (set != 0) {
        uint32_t gone = m.gen;

        m.gen = before;
        rc = held_hold(a, c, it, &m, set, edited, at_ms, &found);
        if (rc != PERCHE_OK || found)
            goto out;
        m.gen = gone;
    }
    if (!m.stored && !meta_alive(&m)) { /* never was here, or came and went since the last harvest */
        if (!was_deleted(c, it))
            goto out;
        m.gen = m.gen != 0 ? m.gen : 2; /* its insert was in a chunk before */
    }
    gen = m.gen != before;
    alive = meta_alive(&m);
    if (!gen && mask == 0)
        goto out;
    if (alive && !gen && over && !harvested_since(r, &m, replaced_ms)) { /* a REPLACE that changed nothing changes no stamp */
        uint8_t same[16];

        digest_row(r, &m, values, same);
        if (memcmp(same, m.digest, 16) == 0)
            goto out;
    }
    if (!m.stored && !r->hub)
        m.flags |= META_FRESH;
    m.lsn = WITHOUT(A28_OWN_LSN) && r->node.lsn > r->tx_lsn ? r->node.lsn : next_lsn(r);
    if (WITHOUT(A26_CAPTURE_TIME))
        at_ms = r->now_ms;
    if (gen) {
        uint64_t stamp = next_stamp(r, at_ms);

        if (alive) {
            meta_clear(&m);
            mask = all;
            if (before % 2 == 1 || before != 0)
                for (uint32_t num = 1; num < m.count; num++)
                    memset(&m.cells[num], 0, sizeof m.cells[num]);
        } else {
            mask = 0;
            if (before % 2 == 1 || !m.stored)
                rc = chunk_keep_gone(r, c, it, &m, GONE_SCOPE, &found);
            if (rc != PERCHE_OK)
                goto out;
            for (uint32_t num = 1; !m.stored && num < m.count; num++)
                if (m.kept_mask >> (num - 1) & 1)
                    author_cell(a, &m, num, stamp);
            author_bury(&m);
        }
        author_cell(a, &m, 0, stamp);
        for (uint32_t num = 1; num < m.count; num++) {
            if (!(mask >> (num - 1) & 1))
                continue;
            if (!r->hub && it->table->columns[num - 1].policy == POLICY_HUB && at_default(r, &it->table->columns[num - 1], &values[num])) {
                mask &= ~(UINT64_C(1) << (num - 1));
                continue;
            }
            author_cell(a, &m, num, stamp);
        }
    } else {
        uint64_t stamp = next_stamp(r, at_ms);

        for (uint32_t num = 1; num < m.count; num++)
            if (mask >> (num - 1) & 1)
                author_cell(a, &m, num, stamp);
    }
    if (!alive)
        rc = row_values(r, &m, values);
    if (rc == PERCHE_OK)
        rc = author_finish(a, &m, values, mask, gen);
out:
    meta_clear(&m);
    return rc;
}

static int by_table(const void *x, const void *y)
{
    const struct item *a = x, *b = y;

    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->table != b->table)
        return a->table->num < b->table->num ? -1 : 1;
    return a->first < b->first ? -1 : a->first > b->first;
}

static enum perche_rc empty_gone(struct replica *r, struct chunk *c)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && i < c->gones_count; i++) {
        char *text = sqlite3_mprintf("DELETE FROM \"perche_gone_%w\" WHERE rowid <= %lld", c->gones[i].table->name, c->gones[i].newest);

        sqlite3_reset(c->gones[i].scan); /* no statement of it may be open while its rows go */
        rc = text == NULL ? fail(r, PERCHE_NOMEM, "no memory for a statement") : exec(r, text);
        sqlite3_free(text);
    }
    return rc;
}

static uint32_t chunk_rows(const struct replica *r, uint32_t rows_max)
{
    uint32_t rows = rows_max ? rows_max : PERCHE_HARVEST_CHUNK_ROWS;

    return r->harvest_rows != 0 && r->harvest_rows < rows ? r->harvest_rows : rows;
}

/* Rows are of any size, a block is not: a chunk that was too large comes again with fewer rows (one always fits), and
 * what fitted lets the next one grow. */
static void chunk_fits(struct replica *r, uint32_t rows, enum perche_rc rc)
{
    if (rc == PERCHE_BUSY) /* not TOO_LARGE: no batch of the other end is at fault */
        r->harvest_rows = rows > CHUNK_CUT ? rows / CHUNK_CUT : 1;
    else if (rc == PERCHE_OK && r->harvest_rows != 0)
        r->harvest_rows = r->harvest_rows < PERCHE_HARVEST_CHUNK_ROWS ? 2 * r->harvest_rows : 0;
}

/* ---- a chunk ----------------------------------------------------------------------------- */

static bool captured_after(struct replica *r, int64_t n)
{
    sqlite3_stmt *s = sql(r, SQL_CAPTURE_AFTER);
    int step;

    sqlite3_bind_int64(s, 1, n);
    step = sqlite3_step(s);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        (void)fail_sqlite(r, step, "read captured changes");
    sql_done(s);
    return step == SQLITE_ROW;
}

/* The harvest ends with this chunk (0), or goes on after it. */
static void note_cut(struct replica *r, uint64_t block)
{
    if ((block == 0) == (r->node.cut_block == 0))
        return;
    r->node.cut_block = block;
    r->node_dirty = true;
}

enum perche_rc harvest(struct replica *r, uint32_t rows_max, uint64_t *rows, bool *more)
{
    struct chunk c = {.rows_max = chunk_rows(r, rows_max), .keys_cap = 16384, .buckets_count = 1};
    struct author a = {0};
    enum perche_rc rc = PERCHE_OK;
    sqlite3_stmt *s;
    uint64_t refused;
    bool any, whole = false;
    uint64_t block;

    *rows = 0;
    *more = false;
    s = sql(r, SQL_CAPTURE_ANY);
    any = sql_row(r, s);
    sql_done(s);
    if (r->fail != PERCHE_OK)
        return r->fail;
    if (!any) {
        note_cut(r, 0);
        rc = parked_step(r);
        return rc == PERCHE_OK ? held_carry_out(r, c.rows_max, rows, &refused, more) : rc;
    }
    rc = brake_judge(r);
    if (rc != PERCHE_OK)
        return rc;
    while (c.buckets_count < 2 * c.rows_max)
        c.buckets_count *= 2;
    c.ops = calloc(c.rows_max, sizeof *c.ops);
    c.items = calloc(c.rows_max, sizeof *c.items);
    c.keys = malloc(c.keys_cap);
    c.buckets = calloc(c.buckets_count, sizeof *c.buckets);
    if (c.ops == NULL || c.items == NULL || c.keys == NULL || c.buckets == NULL)
        rc = fail(r, PERCHE_NOMEM, "no memory for a harvest");
    else
        rc = chunk_read(r, &c);
    if (rc == PERCHE_OK && !c.more) { /* all that was judged */
        whole = true;
        c.newest = r->judged;
        c.more = captured_after(r, r->judged);
        rc = r->fail;
    }
    if (rc == PERCHE_OK)
        rc = author_begin(&a, r, c.items_count);
    block = a.block;
    if (rc == PERCHE_OK) /* the batch is made part by part, parents first, and so are the positions */
        for (uint32_t i = 0; i < c.items_count; i++)
            c.items[i].rank = table_rank(r, c.items[i].table);
    if (rc == PERCHE_OK)
        qsort(c.items, c.items_count, sizeof *c.items, by_table);
    if (rc == PERCHE_OK && WITHOUT(D7_CAPTURE_GONE)) {
        s = sql(r, SQL_CAPTURE_DELETE);
        sqlite3_bind_int64(s, 1, c.newest);
        rc = sql_run(r, s, "clear captured changes");
        rc = rc == PERCHE_OK ? exec(r, "COMMIT; BEGIN IMMEDIATE") : rc;
    }
    for (uint32_t i = 0; rc == PERCHE_OK && i < c.items_count; i++) {
        r->parked.written |= c.items[i].table->kept_out;
        rc = harvest_row(&a, &c, &c.items[i]);
        if (rc == PERCHE_OK && c.items_count > 1 && perche_batch_bytes(a.batch) > CHUNK_BYTES_MAX)
            rc = fail(r, PERCHE_BUSY, "more than %u bytes in one chunk of changes: again with fewer rows", CHUNK_BYTES_MAX);
    }
    rc = author_end(&a, rc != PERCHE_OK ? rc : r->fail);
    if (rc == PERCHE_OK)
        rc = empty_gone(r, &c);
    if (rc == PERCHE_OK) {
        s = sql(r, SQL_CAPTURE_DELETE);
        sqlite3_bind_int64(s, 1, c.newest);
        rc = sql_run(r, s, "clear captured changes");
    }
    if (rc == PERCHE_OK && whole)
        rc = brake_judged(r);
    if (rc == PERCHE_OK)
        note_cut(r, c.more ? block : 0);
    chunk_fits(r, c.rows_max, rc);
    *rows = c.items_count;
    any = c.more || c.again;
    *more = any || held_wishes(r);
    chunk_free(&c);
    return rc == PERCHE_OK && !any ? parked_step(r) : rc;
}

enum perche_rc harvest_all(struct replica *r)
{
    bool more = true;
    uint64_t rows;
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && more)
        rc = harvest(r, PERCHE_HARVEST_CHUNK_ROWS, &rows, &more);
    return rc;
}
