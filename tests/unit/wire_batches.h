/* Batches for the tests and fuzzers of the wire: random ones from a seed, and a
 * comparison that goes through everything a batch holds. Uses no test framework, so
 * that the fuzzers can include it. */
#ifndef PERCHE_TESTS_WIRE_BATCHES_H
#define PERCHE_TESTS_WIRE_BATCHES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perche/wire.h"

/* ---- chance -------------------------------------------------------------- */

struct dice {
    uint64_t state;
};

static inline uint64_t dice_next(struct dice *d)
{
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint32_t dice_below(struct dice *d, uint32_t n)
{
    return (uint32_t)(dice_next(d) >> 32) % n;
}

/* ---- comparison ---------------------------------------------------------- */

/* NULL if both say the same, else what differs. */
static inline const char *value_differs(const struct perche_value *a, const struct perche_value *b)
{
    if (a->type != b->type)
        return "a type";
    switch (a->type) {
    case PERCHE_INTEGER: return a->i == b->i ? NULL : "an integer";
    case PERCHE_REAL:
        return memcmp(&a->r, &b->r, 8) == 0 ? NULL : "a real"; /* -0.0 is not 0.0 here */
    case PERCHE_TEXT:
    case PERCHE_BLOB:
        return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0) ? NULL
                                                                            : "a text or blob";
    }
    return NULL;
}

static inline bool same_bytes(struct perche_bytes a, struct perche_bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool same_name(const struct perche_batch *a, uint32_t i, const struct perche_batch *b,
                             uint32_t k)
{
    return i < a->names_count && k < b->names_count && strcmp(a->names[i], b->names[k]) == 0;
}

static inline const char *part_differs(const struct perche_batch *a, const struct perche_part *p,
                                       const struct perche_batch *b, const struct perche_part *q)
{
    if (strcmp(p->table, q->table) != 0)
        return "a table's name";
    if (p->rows_count != q->rows_count || p->cells_count != q->cells_count ||
        p->bases_count != q->bases_count)
        return "a count";
    for (uint32_t r = 0; r < p->rows_count; r++) {
        const struct perche_row *x = &p->rows[r], *y = &q->rows[r];

        if (!same_bytes(x->key, y->key))
            return "a key";
        if (x->gen != y->gen || x->flags != y->flags)
            return "a row's generation or flags";
        if (x->cells_count != y->cells_count || x->cells_first != y->cells_first)
            return "which cells a row has";
        if ((x->scope == PERCHE_NO_SCOPE) != (y->scope == PERCHE_NO_SCOPE) ||
            (x->scope != PERCHE_NO_SCOPE && !same_name(a, x->scope, b, y->scope)))
            return "a scope";
        if ((x->flags & PERCHE_ROW_GEN) &&
            (x->gen_stamp != y->gen_stamp || !same_name(a, x->gen_origin, b, y->gen_origin)))
            return "a generation's stamp or origin";
        if ((x->flags & PERCHE_ROW_PAIR) && (x->full != y->full || x->scan != y->scan))
            return "a row's pair";
    }
    for (uint32_t i = 0; i < p->cells_count; i++) {
        const struct perche_cell *x = &p->cells[i], *y = &q->cells[i];
        const char *what = value_differs(&x->value, &y->value);

        if (what != NULL)
            return what;
        if (strcmp(p->columns[x->col], q->columns[y->col]) != 0)
            return "a cell's column";
        if (x->flags != y->flags || x->stamp != y->stamp || !same_name(a, x->origin, b, y->origin))
            return "a cell's flags, stamp or origin";
    }
    for (uint32_t i = 0; i < p->bases_count; i++)
        if (p->bases[i].cell != q->bases[i].cell || p->bases[i].stamp != q->bases[i].stamp ||
            !same_name(a, p->bases[i].origin, b, q->bases[i].origin))
            return "a base";
    return NULL;
}

/* Columns without a cell and parts without a row need not be in @b. */
static inline const char *batch_differs(const struct perche_batch *a, const struct perche_batch *b)
{
    uint32_t k = 0;

    for (uint32_t i = 0; i < a->parts_count; i++) {
        const char *what;

        if (a->parts[i].rows_count == 0)
            continue;
        if (k == b->parts_count)
            return "the number of tables";
        what = part_differs(a, &a->parts[i], b, &b->parts[k++]);
        if (what != NULL)
            return what;
    }
    if (k != b->parts_count || perche_batch_rows(a) != perche_batch_rows(b))
        return "the number of tables or rows";
    if (a->names_count != b->names_count || a->notices_count != b->notices_count)
        return "the number of names or notices";
    for (uint32_t i = 0; i < a->names_count; i++)
        if (!same_name(a, i, b, i))
            return "a name";
    for (uint32_t i = 0; i < a->notices_count; i++) {
        const struct perche_notice *x = &a->notices[i], *y = &b->notices[i];

        if (x->kind != y->kind || x->lsn != y->lsn || !same_bytes(x->key, y->key) ||
            strcmp(x->table, y->table) != 0 || strcmp(x->reason, y->reason) != 0 ||
            strcmp(x->columns, y->columns) != 0)
            return "a notice";
    }
    return NULL;
}

/* ---- random batches ------------------------------------------------------ */

static inline struct perche_value text_value(const char *text)
{
    return (struct perche_value){
        .type = PERCHE_TEXT, .n = (uint32_t)strlen(text), .p = (const uint8_t *)text};
}

/* How the values of one column look: a column keeps its kind, as in a real table. */
enum column_kind {
    COLUMN_DATES,
    COLUMN_NEARLY_DATES,
    COLUMN_DIGITS,
    COLUMN_LONG_DIGITS,
    COLUMN_INSTANTS,
    COLUMN_UUIDS,
    COLUMN_CODES,
    COLUMN_WORDS,
    COLUMN_BYTES_AS_TEXT,
    COLUMN_EMPTY,
    COLUMN_INTEGERS,
    COLUMN_EDGE_INTEGERS,
    COLUMN_COUNTER,
    COLUMN_REALS,
    COLUMN_BLOBS,
    COLUMN_NULLS,
    COLUMN_NULLABLE_WORDS,
    COLUMN_ANYTHING,
    COLUMN_KINDS,
};

static inline void random_uuid(struct dice *d, uint8_t id[16], int version)
{
    uint64_t ms = UINT64_C(1760000000000) + dice_below(d, 100000000);

    for (int i = 0; i < 16; i++)
        id[i] = (uint8_t)dice_next(d);
    if (version == 7) {
        for (int i = 0; i < 6; i++)
            id[i] = (uint8_t)(ms >> (40 - 8 * i));
        id[8] = (id[8] & 0x3f) | 0x80;
    }
    if (version > 0)
        id[6] = (uint8_t)(version << 4 | (id[6] & 15));
}

/* One value; its bytes are in @room (256 at least). */
static inline struct perche_value random_value(struct dice *d, enum column_kind kind, char *room)
{
    static const int64_t edges[] = {0,   1,   -1,        63,        64,        -64,          -65,
                                    127, 128, INT32_MAX, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    static const double reals[] = {0.0, -0.0, 1.5, -1.5, 1e308, -1e308, 5e-324, 0.1, 12.25};
    static const char *const nearly[] = {"2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29",
                                         "0000-01-01", "9999-12-31", "2024-13-01", "2024-1-01",
                                         "2024-00-10", "2024-01-32", " 024-01-01"};
    static const char *const instants[] = {"2024-05-06T07:08:09Z", "2024-05-06T23:59:59Z",
                                           "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"};
    struct perche_value v = {.type = PERCHE_TEXT, .p = (const uint8_t *)room};
    uint8_t id[16];

    switch (kind) {
    case COLUMN_DATES:
        v.n = (uint32_t)sprintf(room, "%04u-%02u-%02u", dice_below(d, 10000), 1 + dice_below(d, 12),
                                1 + dice_below(d, 28));
        break;
    case COLUMN_NEARLY_DATES:
        return text_value(nearly[dice_below(d, 4) == 0 ? dice_below(d, 11) : dice_below(d, 2) * 3]);
    case COLUMN_DIGITS: v.n = (uint32_t)sprintf(room, "0%09u", dice_below(d, 1000000000)); break;
    case COLUMN_LONG_DIGITS:
        v.n = (uint32_t)sprintf(room, "%u",
                                dice_below(d, 2) ? dice_below(d, 3) : dice_below(d, 4000000000u));
        if (dice_below(d, 50) == 0)
            v.n = (uint32_t)sprintf(room, "%018u%u", dice_below(d, 1000),
                                    dice_below(d, 10)); /* 19: too long for a number */
        break;
    case COLUMN_INSTANTS:
        if (dice_below(d, 8) == 0)
            return text_value(instants[dice_below(d, 4)]);
        v.n = (uint32_t)sprintf(room, "2024-%02u-%02uT%02u:%02u:%02uZ", 1 + dice_below(d, 12),
                                1 + dice_below(d, 28), dice_below(d, 24), dice_below(d, 60),
                                dice_below(d, 60));
        break;
    case COLUMN_UUIDS:
        random_uuid(d, id, 7);
        perche_uuid_format(id, room);
        v.n = 36;
        break;
    case COLUMN_CODES: v.n = (uint32_t)sprintf(room, "code-%u", dice_below(d, 70)); break;
    case COLUMN_WORDS:
        v.n = dice_below(d, 30);
        for (uint32_t i = 0; i < v.n; i++)
            room[i] = (char)('a' + dice_below(d, 26));
        break;
    case COLUMN_BYTES_AS_TEXT:
    case COLUMN_BLOBS:
        v.type = kind == COLUMN_BLOBS ? PERCHE_BLOB : PERCHE_TEXT;
        v.n = dice_below(d, 20) == 0 ? 0 : dice_below(d, 200);
        for (uint32_t i = 0; i < v.n; i++)
            room[i] = (char)dice_below(d, 256); /* zero bytes too, and no UTF-8 */
        break;
    case COLUMN_EMPTY: v.n = 0; break;
    case COLUMN_INTEGERS:
        return (struct perche_value){.type = PERCHE_INTEGER,
                                     .i = (int64_t)dice_below(d, 2000) - 1000};
    case COLUMN_EDGE_INTEGERS:
        return (struct perche_value){.type = PERCHE_INTEGER, .i = edges[dice_below(d, 13)]};
    case COLUMN_COUNTER:
        return (struct perche_value){.type = PERCHE_INTEGER,
                                     .i = (int64_t)(d->state / UINT64_C(0x9e3779b97f4a7c15))};
    case COLUMN_REALS:
        return (struct perche_value){.type = PERCHE_REAL,
                                     .r = dice_below(d, 2) ? reals[dice_below(d, 9)]
                                                           : dice_below(d, 2000) / 4.0};
    case COLUMN_NULLS: return (struct perche_value){.type = PERCHE_NULL};
    case COLUMN_NULLABLE_WORDS:
        return dice_below(d, 3) == 0 ? (struct perche_value){.type = PERCHE_NULL}
                                     : random_value(d, COLUMN_WORDS, room);
    default: return random_value(d, (enum column_kind)dice_below(d, COLUMN_ANYTHING), room);
    }
    return v;
}

static inline uint32_t random_key(struct dice *d, int kind, uint8_t key[PERCHE_KEY_BYTES_MAX])
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char room[PERCHE_KEY_COLUMNS_MAX][256];
    uint32_t n, columns = 1 + dice_below(d, PERCHE_KEY_COLUMNS_MAX);

    if (kind < 2) {
        random_uuid(d, key, kind == 0 ? 7 : 4);
        return 16;
    }
    for (uint32_t i = 0; i < columns; i++) {
        values[i] = random_value(d, COLUMN_ANYTHING, room[i]);
        if (values[i].type == PERCHE_NULL)
            values[i] =
                (struct perche_value){.type = PERCHE_INTEGER, .i = (int64_t)dice_below(d, 3)};
    }
    if (perche_key_encode(values, columns, key, &n) != PERCHE_OK)
        abort();
    return n;
}

/* Appends rows of every kind to the empty batch @b. False: out of memory. */
static inline bool random_batch(struct dice *d, struct perche_batch *b, uint32_t rows_max)
{
    static const char *const reasons[] = {"scope", "hub_column", "parent", "type", ""};
    uint32_t tables = dice_below(d, 4), names = 1 + dice_below(d, 5);
    char text[600];
    uint8_t key[PERCHE_KEY_BYTES_MAX];

    for (uint32_t i = 0; i < names; i++) {
        sprintf(text, "%s%u", i == 0 ? "*" : "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a1", i);
        if (perche_batch_name(b, i == 1 ? "" : text) == UINT32_MAX)
            return false;
    }
    for (uint32_t t = 0; t < tables; t++) {
        char column_text[PERCHE_COLUMNS_MAX][16], table[16];
        const char *columns[PERCHE_COLUMNS_MAX];
        enum column_kind kinds[PERCHE_COLUMNS_MAX];
        uint32_t count = dice_below(d, 5) == 0 ? dice_below(d, PERCHE_COLUMNS_MAX + 1)
                                               : dice_below(d, 10),
                 part;
        uint32_t rows = dice_below(d, rows_max + 1), every = 1 + dice_below(d, 40);
        int key_kind = (int)dice_below(d, 3), many_stamps = (int)dice_below(d, 4);
        uint64_t now = UINT64_C(1760000000000);

        for (uint32_t i = 0; i < count; i++) {
            sprintf(column_text[i], "c%u", i);
            columns[i] = column_text[i];
            kinds[i] = (enum column_kind)dice_below(d, COLUMN_KINDS);
        }
        sprintf(table, "table%u", t);
        part = perche_batch_part(b, table, columns, count);
        if (part == UINT32_MAX)
            return false;
        for (uint32_t r = 0; r < rows; r++) {
            struct perche_row *row;
            uint64_t stamp = (now += dice_below(d, 60000)) << 16 | dice_below(d, 3);
            bool whole = dice_below(d, 2) == 0;

            row =
                perche_batch_row(b, part, (struct perche_bytes){key, random_key(d, key_kind, key)});
            if (row == NULL)
                return false;
            row->gen = 1 + dice_below(d, 3);
            row->flags = (uint16_t)dice_below(d, 128);
            row->scope = dice_below(d, 5) == 0 ? PERCHE_NO_SCOPE : dice_below(d, names);
            if (row->flags & PERCHE_ROW_GEN) {
                row->gen_stamp = dice_below(d, 5) == 0 ? dice_next(d) : stamp;
                row->gen_origin = dice_below(d, names);
            }
            if (row->flags & PERCHE_ROW_PAIR) {
                row->full = dice_below(d, 1000);
                row->scan = dice_next(d) >> 1;
            }
            for (uint32_t col = 0; col < count; col++) {
                struct perche_value v;
                struct perche_cell *cell;

                if (!whole && dice_below(d, every) != 0)
                    continue;
                v = random_value(d, kinds[col], text);
                cell = perche_batch_cell(b, part, (uint16_t)col, &v);
                if (cell == NULL)
                    return false;
                cell->stamp = dice_below(d, 40) == 0                     ? dice_next(d)
                              : dice_below(d, 4) < (uint32_t)many_stamps ? stamp - col
                                                                         : stamp;
                cell->origin = dice_below(d, 8) == 0 ? dice_below(d, names) : 0;
                if (dice_below(d, 30) == 0)
                    cell->flags = PERCHE_CELL_FIXED;
                if (dice_below(d, 30) == 0 &&
                    !perche_batch_base(b, part, dice_next(d), dice_below(d, names)))
                    return false;
            }
        }
    }
    for (uint32_t i = 0, n = dice_below(d, 3) == 0 ? dice_below(d, 30) : 0; i < n; i++) {
        struct perche_notice notice = {
            .kind = (uint8_t)(1 + dice_below(d, 3)),
            .lsn = dice_below(d, 1000),
            .table = "learner",
            .key = {key, random_key(d, (int)dice_below(d, 3), key)},
            .reason = reasons[dice_below(d, 5)],
            .columns = "",
        };

        if (notice.kind == PERCHE_REFUSAL && dice_below(d, 2))
            notice.columns = "family,given";
        if (!perche_batch_notice(b, &notice))
            return false;
    }
    return true;
}

#endif
