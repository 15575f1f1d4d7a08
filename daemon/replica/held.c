/* Rows whose deletion waits for a person: how one comes to wait, and what is done with it when the person has decided.
 * What is held and why: brake.c. */
#include <stdlib.h>
#include <string.h>

#include "replica/harvest.h"
#include "replica/statements.h"

/* ---- former values ------------------------------------------------------------------- */

struct seeking {
    const char *column, *origin;
    uint64_t stamp;
    struct former *out;
};

static bool former_here(void *ctx, const struct perche_batch *b, const struct perche_part *part, const struct perche_row *row,
                        uint64_t block, uint64_t at_ms, uint32_t via)
{
    const struct seeking *k = ctx;
    struct former *f = k->out;

    (void)block;
    (void)at_ms;
    (void)via;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];

        if (c->stamp != k->stamp || strcmp(part->columns[c->col], k->column) != 0 || strcmp(b->names[c->origin], k->origin) != 0)
            continue;
        f->value = c->value;
        if (c->value.type == PERCHE_TEXT || c->value.type == PERCHE_BLOB) {
            f->bytes = malloc(c->value.n + 1u);
            if (f->bytes == NULL)
                return false;
            memcpy(f->bytes, c->value.p, c->value.n);
            f->value.p = f->bytes;
        }
        f->found = true;
        return false;
    }
    return true;
}

enum perche_rc former_value(struct replica *r, const struct meta *m, uint32_t num, struct former *f)
{
    struct seeking k = {.column = m->table->columns[num - 1].name, .stamp = m->cells[num].stamp, .out = f};

    *f = (struct former){.found = false};
    k.origin = m->cells[num].written ? name_text(r, m->cells[num].origin) : NULL;
    return k.origin == NULL ? r->fail : history_walk(r, m, former_here, &k);
}

/* The values that the stored cells name, from the history: @found has the bits of those that it still has. Each free()d by the caller. */
static enum perche_rc former_values(struct replica *r, const struct meta *m, struct perche_value *values,
                                    uint8_t **bytes, uint64_t *found)
{
    enum perche_rc rc = PERCHE_OK;

    *found = 0;
    for (uint32_t num = 1; num < m->count && rc == PERCHE_OK; num++) {
        struct former f;

        rc = former_value(r, m, num, &f);
        values[num] = f.value;
        bytes[num] = f.bytes;
        if (f.found)
            *found |= UINT64_C(1) << (num - 1);
    }
    return rc;
}

/* ---- a deletion comes to wait ---------------------------------------------------------- */

/* Columns that the delete trigger kept nothing of, as its table lacked them, then or since: they are as they were stamped. */
static enum perche_rc keep_lost(struct replica *r, struct meta *m, uint64_t edited, uint64_t *lost)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint64_t emptied;
    enum perche_rc rc = audit_emptied(r, m->table, &emptied);

    *lost = 0;
    for (uint32_t num = 1; num < m->count; num++) {
        uint64_t bit = UINT64_C(1) << (num - 1);

        if (m->cells[num].written && (m->table->absent & bit || (emptied & ~edited & bit && m->kept[num].type == PERCHE_NULL)))
            *lost |= bit;
    }
    m->kept_mask &= ~*lost;
    return rc == PERCHE_OK && *lost != 0 ? row_lost(r, m, *lost, values) : rc;
}

/* The row's image: what the delete trigger kept, else (a table rebuilt without its rows) what the history has of it, if
 * that is all. @edited: captured before the deletion. @changed gets the columns that were written after the row's last harvest. */
static enum perche_rc make_image(struct replica *r, struct chunk *c, const struct item *it, struct meta *m,
                                 uint64_t edited, uint64_t *changed, bool *found)
{
    struct perche_value now[PERCHE_COLUMNS_MAX + 1], former[PERCHE_COLUMNS_MAX + 1];
    uint8_t *bytes[PERCHE_COLUMNS_MAX + 1] = {0}, digest[16];
    uint64_t known = 0, written = 0, lost = 0;
    enum perche_rc rc = chunk_keep_gone(r, c, it, m, GONE_WHOLE, found);

    *changed = 0;
    if (rc == PERCHE_OK && *found)
        rc = keep_lost(r, m, edited, &lost);
    *found |= rc == PERCHE_OK && m->flags & META_HELD; /* as it was held before */
    m->flags |= META_HELD;
    if (rc == PERCHE_OK && *found) {
        rc = row_values(r, m, now);
        digest_row(r, m, now, digest);
        if (rc != PERCHE_OK || memcmp(digest, m->digest, sizeof digest) == 0)
            return rc;
    }
    if (rc == PERCHE_OK)
        rc = former_values(r, m, former, bytes, &known);
    for (uint32_t num = 1; num < m->count; num++) {
        uint64_t bit = UINT64_C(1) << (num - 1);

        written |= m->cells[num].written ? bit : 0;
        if (*found && m->cells[num].written && !(lost & bit) && !(known & bit && perche_value_compare(&former[num], &now[num]) == 0))
            *changed |= bit;
    }
    if (rc == PERCHE_OK && !*found && known == written) {
        digest_row(r, m, former, digest);
        *found = memcmp(digest, m->digest, sizeof digest) == 0;
        if (*found)
            rc = keep_values(r, m, former, known, true);
    }
    for (uint32_t num = 1; num < m->count; num++)
        free(bytes[num]);
    return rc;
}

/* Values too large to send: the image gets the former ones. */
static enum perche_rc unwrite(struct replica *r, struct meta *m, struct perche_value *values, uint64_t big)
{
    struct perche_value former[PERCHE_COLUMNS_MAX + 1];
    uint8_t *bytes[PERCHE_COLUMNS_MAX + 1] = {0};
    uint64_t known;
    enum perche_rc rc = row_list_oversized(r, m, values, big, true);

    if (rc == PERCHE_OK)
        rc = former_values(r, m, former, bytes, &known);
    if (rc == PERCHE_OK)
        rc = keep_values(r, m, former, big & known, true);
    for (uint32_t num = 1; num < m->count; num++)
        free(bytes[num]);
    return rc == PERCHE_OK ? row_values(r, m, values) : rc;
}

enum perche_rc held_hold(struct author *a, struct chunk *c, const struct item *it, struct meta *m, int64_t set,
                         uint64_t mask, uint64_t at_ms, bool *held)
{
    struct replica *r = a->r;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint32_t flags = m->flags;
    uint64_t changed, big, stamp;
    enum perche_rc rc = make_image(r, c, it, m, mask, &changed, held);

    if (rc != PERCHE_OK || !*held) {
        m->flags = flags;
        return rc;
    }
    rc = held_put(r, m, set);
    if (rc == PERCHE_OK)
        rc = row_values(r, m, values);
    if (rc != PERCHE_OK)
        return rc;
    mask = changed == 0 ? 0 : mask | changed;
    big = row_oversized(it->table, values, mask);
    if (big != 0)
        rc = unwrite(r, m, values, big);
    mask &= ~big;
    if (rc != PERCHE_OK || mask == 0)
        return rc != PERCHE_OK ? rc : meta_save(r, m);
    m->lsn = next_lsn(r);
    stamp = next_stamp(r, at_ms);
    for (uint32_t num = 1; num < m->count; num++)
        if (mask >> (num - 1) & 1)
            author_cell(a, m, num, stamp);
    return author_finish(a, m, values, mask, false);
}

/* ---- what people decided ------------------------------------------------------------- */

/* The deletion that waited, as of now. */
static enum perche_rc release_row(struct author *a, struct meta *m)
{
    struct replica *r = a->r;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    enum perche_rc rc = keep_values(r, m, NULL, 0, false);

    if (rc == PERCHE_OK)
        rc = held_end(r, m);
    if (rc != PERCHE_OK)
        return rc;
    author_bury(m);
    m->lsn = next_lsn(r);
    m->gen++;
    author_cell(a, m, 0, next_stamp(r, r->now_ms));
    rc = row_values(r, m, values);
    return rc == PERCHE_OK ? author_finish(a, m, values, 0, true) : rc;
}

/* The image goes back into its table. @refused: the table does not take it, and it goes on waiting. */
static enum perche_rc undo_row(struct replica *r, struct meta *m, bool *refused)
{
    struct perche_bytes key = {m->key, m->key_n};
    enum perche_rc rc = data_exists(r, m->table, key);
    bool begun = !r->applying;

    *refused = false;
    if (rc == PERCHE_NOT_FOUND) {
        rc = begun ? applying_begin(r) : PERCHE_OK;
        if (rc == PERCHE_OK)
            rc = data_upsert(r, m->table, key, m->kept_mask & ~m->table->absent, m->kept);
        *refused = rc == PERCHE_REFUSED;
        if (*refused)
            fail_clear(r);
        if (rc == PERCHE_OK || *refused)
            rc = begun ? applying_end(r) : PERCHE_OK;
    }
    if (rc != PERCHE_OK || *refused)
        return rc;
    rc = held_end(r, m);
    meta_clear(m);
    if (rc == PERCHE_OK)
        rc = meta_save(r, m);
    return rc == PERCHE_OK && r->hub ? unique_check(r, m, UINT64_MAX >> 1) : rc; /* nobody saw its values meanwhile */
}

struct wished {
    int64_t set;
    int wish;
    struct table *table;
    uint8_t *keys;       /* each in PERCHE_KEY_BYTES_MAX */
    uint32_t *key_n;
    uint32_t count;
};

static enum perche_rc read_wished(struct replica *r, uint32_t rows_max, struct wished *w)
{
    sqlite3_stmt *s = sql(r, SQL_HELD_WISHED);
    int step;

    w->keys = malloc((size_t)rows_max * PERCHE_KEY_BYTES_MAX);
    w->key_n = calloc(rows_max, sizeof *w->key_n);
    if (w->keys == NULL || w->key_n == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for what was held");
    sqlite3_bind_int64(s, 1, rows_max);
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        w->set = sqlite3_column_int64(s, 0);
        w->wish = sqlite3_column_int(s, 1);
        w->table = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 2));
        w->key_n[w->count] = (uint32_t)sqlite3_column_bytes(s, 3);
        if (w->key_n[w->count] > PERCHE_KEY_BYTES_MAX)
            continue;
        memcpy(w->keys + (size_t)w->count * PERCHE_KEY_BYTES_MAX, sqlite3_column_blob(s, 3), w->key_n[w->count]);
        w->count++;
    }
    if (step != SQLITE_DONE)
        (void)fail_sqlite(r, step, "read what was held");
    sql_done(s);
    return r->fail;
}

/* Rows that their table did not take back wait on, apart, for another decision. */
static enum perche_rc set_apart(struct replica *r, struct meta *m, int64_t *set)
{
    if (*set == 0) {
        sqlite3_stmt *s = sql(r, SQL_HELD_SET_PUT);
        enum perche_rc rc;

        sqlite3_bind_int64(s, 1, m->table->num);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)r->now_ms);
        sqlite3_bind_int64(s, 3, 0);
        sqlite3_bind_int64(s, 4, 0);
        rc = sql_run(r, s, "hold what its table does not take");
        if (rc != PERCHE_OK)
            return rc;
        *set = sqlite3_last_insert_rowid(r->db);
    }
    return held_put(r, m, *set);
}

static enum perche_rc undecide(struct replica *r, int64_t set)
{
    sqlite3_stmt *s = sql(r, SQL_HELD_UNWISH);

    sqlite3_bind_int64(s, 1, set);
    return sql_run(r, s, "take a decision back");
}

enum perche_rc held_carry_out(struct replica *r, uint32_t rows_max, uint64_t *rows, uint64_t *refused, bool *more)
{
    struct wished w = {0};
    struct author a = {0};
    int64_t apart = 0;
    enum perche_rc rc;

    *rows = *refused = 0;
    *more = false;
    if (!held_wishes(r))
        return r->fail;
    rc = read_wished(r, rows_max, &w);
    if (rc == PERCHE_OK)
        rc = author_begin(&a, r, w.count);
    for (uint32_t i = 0; rc == PERCHE_OK && i < w.count; i++) {
        struct meta m;
        bool no = false;

        if (w.table == NULL || !w.table->present) { /* it was dropped meanwhile: what is held waits for another decision */
            rc = undecide(r, w.set);
            break;
        }
        rc = meta_load(r, w.table, (struct perche_bytes){w.keys + (size_t)i * PERCHE_KEY_BYTES_MAX, w.key_n[i]}, &m);
        if (rc == PERCHE_OK && !(m.stored && m.flags & META_HELD))
            rc = held_end(r, &m); /* its row has left meanwhile */
        else if (rc == PERCHE_OK && w.wish == HELD_RELEASE)
            rc = release_row(&a, &m);
        else if (rc == PERCHE_OK)
            rc = undo_row(r, &m, &no);
        if (rc == PERCHE_OK && no)
            rc = set_apart(r, &m, &apart);
        if (rc == PERCHE_OK && no)
            rc = brake_tell(r, NOTE_HELD, w.table->num, apart, 1);
        *refused += no;
        meta_clear(&m);
    }
    rc = author_end(&a, rc != PERCHE_OK ? rc : r->fail);
    *rows = w.count;
    *more = rc == PERCHE_OK && held_wishes(r);
    free(w.keys);
    free(w.key_n);
    return rc;
}
