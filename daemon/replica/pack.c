#include "replica/pack.h"
#include "replica/statements.h"

#include <string.h>

/* A batch is full some rows before its bounds (PROTOCOL.md, "Bounds"): what has one position goes together, and with a row its parents. */
#define ROWS_FULL   PERCHE_BOUND((PERCHE_BATCH_ROWS_MAX - 2000), 3u)
#define TABLES_FULL PERCHE_BOUND((PERCHE_BATCH_TABLES_MAX - 16), 2u)
#define NAMES_FULL  (PERCHE_BATCH_NAMES_MAX - 2000)

enum perche_rc pack_begin(struct pack *p, struct replica *r)
{
    memset(p, 0, offsetof(struct pack, memo));
    memset(p->memo, 0, sizeof p->memo);
    p->r = r;
    p->batch = perche_batch_new();
    return p->batch != NULL ? PERCHE_OK : fail(r, PERCHE_NOMEM, "no memory for a batch");
}

void pack_clear(struct pack *p)
{
    perche_batch_clear(p->batch);
    memset(&p->last, 0, sizeof p->last);
    memset(p->memo, 0, sizeof p->memo);
}

void pack_end(struct pack *p)
{
    perche_batch_free(p->batch);
    p->batch = NULL;
}

size_t pack_size(const struct pack *p)
{
    return perche_batch_bytes(p->batch);
}

bool pack_fits(const struct pack *p)
{
    return pack_size(p) <= PERCHE_MESSAGE_BYTES_MAX - PERCHE_BATCH_BYTES_MAX / 4;
}

bool pack_full(const struct pack *p, size_t bytes)
{
    return pack_size(p) >= bytes || perche_batch_rows(p->batch) >= ROWS_FULL || p->batch->notices_count >= ROWS_FULL ||
           p->batch->parts_count >= TABLES_FULL || p->batch->names_count >= NAMES_FULL;
}

enum perche_rc row_recalled(struct replica *r, struct meta *m, struct perche_value *values, bool *there)
{
    uint8_t digest[sizeof m->digest];
    struct recall f;
    enum perche_rc rc = recall_read(r, m, UINT64_MAX, &f);

    *there = false;
    if (rc == PERCHE_CORRUPT) {
        fail_clear(r);
        rc = PERCHE_OK;
    } else if (rc == PERCHE_OK) {
        digest_row(r, m, f.values, digest);
        rc = r->fail;
        *there = memcmp(digest, m->digest, sizeof digest) == 0;
    }
    if (rc == PERCHE_OK && *there)
        rc = keep_values(r, m, f.values, f.guessed, true);
    recall_free(&f);
    for (uint32_t num = 1; rc == PERCHE_OK && *there && num < m->count; num++)
        if (m->kept_mask >> (num - 1) & 1)
            values[num] = m->kept[num];
    return rc;
}

enum perche_rc row_settled(struct replica *r, struct meta *m, struct perche_value *values, bool *settled, bool *there)
{
    sqlite3_stmt *s = sql(r, SQL_CAPTURE_ANY);
    bool captured = sql_row(r, s);
    uint8_t digest[sizeof m->digest];
    enum perche_rc rc;

    sql_done(s);
    *settled = *there = true;
    if (meta_alive(m) && !(m->flags & META_HELD)) {
        memset(values, 0, m->count * sizeof values[0]);
        rc = data_load(r, m->table, (struct perche_bytes){m->key, m->key_n}, values);
        if (rc == PERCHE_NOT_FOUND && !captured)
            return row_recalled(r, m, values, there);
        rc = rc == PERCHE_NOT_FOUND ? PERCHE_OK : rc == PERCHE_OK ? row_absent(r, m, values) : rc;
    } else {
        rc = row_values(r, m, values);
    }
    if (rc != PERCHE_OK || !captured || !meta_alive(m))
        return rc;
    digest_row(r, m, values, digest);
    *settled = memcmp(digest, m->digest, sizeof digest) == 0;
    return rc;
}

/* Name index of an interned number; most rows repeat the few of the row before. */
static uint32_t name_of(struct pack *p, uint32_t num)
{
    uint32_t slot = num & (sizeof p->memo / sizeof p->memo[0] - 1);
    const char *text;

    if (p->memo[slot].num == num)
        return p->memo[slot].name;
    text = name_text(p->r, num);
    if (text == NULL)
        return UINT32_MAX;
    p->memo[slot].num = num;
    p->memo[slot].name = perche_batch_name(p->batch, text);
    return p->memo[slot].name;
}

static uint32_t part_of(struct pack *p, const struct table *t)
{
    const char *columns[PERCHE_COLUMNS_MAX];

    if (p->last.table == t)
        return p->last.part;
    for (uint32_t i = 0; i < t->columns_count; i++)
        columns[i] = t->columns[i].name;
    p->last.table = t;
    p->last.part = perche_batch_part(p->batch, t->name, columns, t->columns_count);
    return p->last.part;
}

enum perche_rc pack_row(struct pack *p, const struct meta *m, const struct perche_value *values, uint64_t mask,
                        uint32_t flags, uint64_t full, uint64_t scan, bool bases)
{
    uint32_t part = part_of(p, m->table), scope, origin;
    struct perche_row *row = part == UINT32_MAX ? NULL : perche_batch_row(p->batch, part, (struct perche_bytes){m->key, m->key_n});

    if (row == NULL)
        return fail(p->r, PERCHE_NOMEM, "no memory for a batch");
    scope = m->scope == 0 ? PERCHE_NO_SCOPE : name_of(p, m->scope);
    row->gen = m->gen;
    row->flags = (uint16_t)(flags | (m->flags & META_ERASED ? PERCHE_ROW_ERASED : 0) | (m->flags & META_SUSPECT ? PERCHE_ROW_SUSPECT : 0));
    row->scope = scope;
    row->full = full;
    row->scan = scan;
    if (flags & PERCHE_ROW_GEN) {
        row->gen_stamp = m->cells[0].stamp;
        row->gen_origin = name_of(p, m->cells[0].origin);
        row->flags |= m->cells[0].fixed ? PERCHE_ROW_FIXED : 0;
    }
    if ((m->scope != 0 && scope == UINT32_MAX) || row->gen_origin == UINT32_MAX) /* which would say PERCHE_NO_SCOPE */
        return fail(p->r, PERCHE_NOMEM, "no memory for a batch");
    for (uint32_t num = 1; num < m->count; num++) {
        const struct clock_cell *c = &m->cells[num];
        struct perche_cell *cell;

        if (!c->written || !(mask >> (num - 1) & 1))
            continue;
        origin = name_of(p, c->origin);
        cell = perche_batch_cell(p->batch, part, (uint16_t)(num - 1), &values[num]);
        if (cell == NULL || origin == UINT32_MAX)
            return fail(p->r, PERCHE_NOMEM, "no memory for a batch");
        cell->stamp = c->stamp;
        cell->origin = origin;
        cell->flags = c->fixed ? PERCHE_CELL_FIXED : 0;
        if (bases && c->based) {
            uint32_t base = name_of(p, c->base_origin);

            if (base == UINT32_MAX || !perche_batch_base(p->batch, part, c->base_stamp, base))
                return fail(p->r, PERCHE_NOMEM, "no memory for a batch");
        }
    }
    return p->r->fail;
}

enum perche_rc pack_message(struct pack *p, struct perche_message *message, struct perche_bytes *out)
{
    struct perche_buf buf = {0};
    struct perche_err err;
    uint8_t *copy;

    if (perche_batch_encode(p->batch, 3, &buf, &err) != PERCHE_OK) {
        perche_buf_free(&buf);
        return fail(p->r, err.rc, "a batch: %s", err.text);
    }
    copy = perche_message_alloc(message, buf.n ? buf.n : 1);
    if (copy == NULL) {
        perche_buf_free(&buf);
        return fail(p->r, PERCHE_NOMEM, "no memory for a batch");
    }
    memcpy(copy, buf.p, buf.n);
    *out = (struct perche_bytes){copy, (uint32_t)buf.n};
    perche_buf_free(&buf);
    return PERCHE_OK;
}

uint64_t batch_stamp(const struct perche_batch *b)
{
    uint64_t top = 0;

    for (uint32_t p = 0; b != NULL && p < b->parts_count; p++) {
        const struct perche_part *part = &b->parts[p];

        if ((strcmp(part->table, "perche_conflict") == 0 && !WITHOUT(A20_CONFLICT_CLOCK)) || strcmp(part->table, "perche_chain") == 0)
            continue;
        for (uint32_t i = 0; i < part->rows_count; i++)
            if ((part->rows[i].flags & (PERCHE_ROW_GEN | PERCHE_ROW_FIXED)) == PERCHE_ROW_GEN && part->rows[i].gen_stamp > top)
                top = part->rows[i].gen_stamp;
        for (uint32_t i = 0; i < part->cells_count; i++)
            if (part->cells[i].stamp > top && !(part->cells[i].flags & PERCHE_CELL_FIXED)) /* nothing is shifted to above those */
                top = part->cells[i].stamp;
    }
    return top;
}

struct perche_want *outcome_wants(struct outcome *o, const struct perche_want *wants, uint32_t n)
{
    struct perche_want *copy = perche_message_alloc(&o->message, (n ? n : 1) * sizeof *copy);

    for (uint32_t i = 0; copy != NULL && i < n; i++) {
        size_t table_n = strlen(wants[i].table) + 1;
        char *table = perche_message_alloc(&o->message, table_n);
        uint8_t *key = perche_message_alloc(&o->message, wants[i].key.n ? wants[i].key.n : 1);

        if (table == NULL || key == NULL)
            return NULL;
        memcpy(table, wants[i].table, table_n);
        memcpy(key, wants[i].key.p, wants[i].key.n);
        copy[i] = (struct perche_want){table, {key, wants[i].key.n}};
    }
    return copy;
}
