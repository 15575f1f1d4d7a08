/* A batch to bytes: sections column by column, then zstd with a block end wherever the
 * statistics change. */
#include <string.h>
#include <zstd_errors.h>

#include "batch_format.h"
#include "buf.h"
#include "column.h"

/* Fewer bytes than this share a block with their neighbours: a block costs 3 bytes and,
 * if it has one, its own Huffman table. */
enum { BLOCK_MIN = 384 };

/* Stamp and origin that most cells of a row have. */
struct row_stamp {
    uint64_t stamp;
    uint32_t origin;
};

struct encoder {
    const struct perche_batch *b;
    struct writer w; /* of the section under way */
    struct work *work;
    size_t section_mark; /* first mark of the section under way */
};

static void section_begin(struct encoder *e)
{
    e->work->section.n = 0;
    e->section_mark = e->work->marks_count;
}

/* Appends the section as a msgpack bin to the raw bytes. */
static void section_end(struct encoder *e)
{
    struct perche_buf *raw = &e->work->raw, *section = &e->work->section;
    uint8_t head[5];
    size_t n = section->n, head_n;

    if (e->w.rc != PERCHE_OK)
        return;
    if (n > PERCHE_BATCH_RAW_MAX) {
        e->w.rc = PERCHE_TOO_LARGE;
        return;
    }
    if (n < 0x100) {
        head[0] = 0xc4;
        head[1] = (uint8_t)n;
        head_n = 2;
    } else if (n < 0x10000) {
        head[0] = 0xc5;
        head[1] = (uint8_t)(n >> 8);
        head[2] = (uint8_t)n;
        head_n = 3;
    } else {
        head[0] = 0xc6;
        for (int i = 0; i < 4; i++)
            head[1 + i] = (uint8_t)(n >> (24 - 8 * i));
        head_n = 5;
    }
    for (size_t i = e->section_mark; i < e->work->marks_count; i++)
        e->work->marks[i] += raw->n + head_n;
    if (!buf_append(raw, head, head_n) || !buf_append(raw, section->p, n)) {
        e->w.rc = PERCHE_NOMEM;
        return;
    }
    e->w.buf = raw; /* a block may end between sections too */
    put_mark(&e->w);
    e->w.buf = section;
}

static void *scratch(struct encoder *e, enum work_slot slot, size_t count, size_t size)
{
    void *p = e->w.rc == PERCHE_OK ? work_array(e->work, slot, count, size) : NULL;

    if (p == NULL)
        e->w.rc = e->w.rc == PERCHE_OK ? PERCHE_NOMEM : e->w.rc;
    return p;
}

/* ---- what a caller may have got wrong ----------------------------------- */

static const char *row_wrong(const struct perche_batch *b, const struct perche_part *p,
                             const struct perche_row *row, uint32_t cells)
{
    if (row->key.n < 1 || row->key.n > PERCHE_KEY_BYTES_MAX)
        return "a key of no possible length";
    if (row->gen < 1)
        return "a row without a generation";
    if (row->flags & ~ROW_FLAGS_ALL)
        return "a row with an unknown flag";
    if (row->scope != PERCHE_NO_SCOPE && row->scope >= b->names_count)
        return "a row whose scope is no name of the batch";
    if ((row->flags & PERCHE_ROW_GEN) && row->gen_origin >= b->names_count)
        return "a row whose origin is no name of the batch";
    if ((row->flags & PERCHE_ROW_PAIR) && (row->full > POSITION_MAX || row->scan > POSITION_MAX))
        return "a row whose pull pair is no position";
    if (row->cells_first != cells || row->cells_count > p->cells_count - cells)
        return "a row whose cells are elsewhere";
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &p->cells[cells + i];

        if (c->col >= p->columns_count || (i > 0 && c->col <= c[-1].col))
            return "a row whose cells are not in the order of its columns";
        if (c->origin >= b->names_count)
            return "a cell whose origin is no name of the batch";
        if (c->flags & ~(PERCHE_CELL_BASE | PERCHE_CELL_FIXED))
            return "a cell with an unknown flag";
        if (c->value.type > PERCHE_BLOB ||
            (c->value.type == PERCHE_REAL && c->value.r != c->value.r))
            return "a value of no type";
        if (c->value.type >= PERCHE_TEXT && c->value.n > PERCHE_VALUE_BYTES_MAX)
            return "a value beyond its bound";
    }
    return NULL;
}

static const char *part_wrong(const struct perche_batch *b, const struct perche_part *p)
{
    uint32_t cells = 0, flagged = 0;
    const char *wrong;

    for (uint32_t r = 0; r < p->rows_count; r++) {
        wrong = row_wrong(b, p, &p->rows[r], cells);
        if (wrong != NULL)
            return wrong;
        cells += p->rows[r].cells_count;
    }
    if (cells != p->cells_count)
        return "cells of no row";
    for (uint32_t i = 0; i < p->cells_count; i++)
        flagged += p->cells[i].flags & PERCHE_CELL_BASE;
    if (flagged != p->bases_count)
        return "a cell that says it has a base, and has none";
    for (uint32_t i = 0; i < p->bases_count; i++)
        if (p->bases[i].cell >= p->cells_count ||
            (i > 0 && p->bases[i].cell <= p->bases[i - 1].cell) ||
            !(p->cells[p->bases[i].cell].flags & PERCHE_CELL_BASE) ||
            p->bases[i].origin >= b->names_count)
            return "a base of no cell";
    return NULL;
}

static const char *batch_wrong(const struct perche_batch *b)
{
    const char *wrong = NULL;

    for (uint32_t i = 0; i < b->parts_count && wrong == NULL; i++)
        wrong = part_wrong(b, &b->parts[i]);
    for (uint32_t i = 0; i < b->notices_count && wrong == NULL; i++)
        if (b->notices[i].kind < PERCHE_LEFT || b->notices[i].kind > PERCHE_ABSENT ||
            b->notices[i].lsn > POSITION_MAX)
            wrong = "a notice of no kind";
    return wrong;
}

/* ---- sections ------------------------------------------------------------ */

/* Columns of @p that have a cell at all, as bits; only those are sent. */
static uint64_t columns_used(const struct perche_part *p)
{
    uint64_t used = 0;

    for (uint32_t i = 0; i < p->cells_count; i++)
        used |= UINT64_C(1) << p->cells[i].col;
    return used;
}

static void put_name(struct encoder *e, const char *name)
{
    put_bytes(&e->w, name, strlen(name) + 1);
}

static void put_directory(struct encoder *e)
{
    const struct perche_batch *b = e->b;
    uint32_t parts = 0;

    section_begin(e);
    put_varint(&e->w, b->names_count);
    for (uint32_t i = 0; i < b->names_count; i++)
        put_name(e, b->names[i]);
    for (uint32_t i = 0; i < b->parts_count; i++)
        parts += b->parts[i].rows_count > 0;
    put_varint(&e->w, parts);
    for (uint32_t i = 0; i < b->parts_count; i++) {
        const struct perche_part *p = &b->parts[i];
        uint64_t used = columns_used(p);

        if (p->rows_count == 0)
            continue;
        put_name(e, p->table);
        put_varint(&e->w, p->rows_count);
        put_varint(&e->w, (uint64_t)__builtin_popcountll(used));
        for (uint32_t col = 0; col < p->columns_count; col++)
            if (used >> col & 1)
                put_name(e, p->columns[col]);
    }
    put_varint(&e->w, b->notices_count);
    section_end(e);
}

/* The most common (stamp, origin) of a row's cells; its generation's without cells. */
static struct row_stamp common_stamp(const struct perche_part *p, const struct perche_row *row,
                                     struct row_stamp before)
{
    const struct perche_cell *cells;
    uint32_t n = row->cells_count, best = 0, best_count = 0;

    if (n == 0) /* what nobody reads repeats the row before: it costs nothing */
        return row->flags & PERCHE_ROW_GEN ? (struct row_stamp){row->gen_stamp, row->gen_origin}
                                           : before;
    cells = p->cells + row->cells_first;
    for (uint32_t i = 0; i < n && best_count < n - i; i++) {
        uint32_t count = 0;

        for (uint32_t k = i; k < n; k++)
            count += cells[k].stamp == cells[i].stamp && cells[k].origin == cells[i].origin;
        if (count > best_count) {
            best_count = count;
            best = i;
        }
    }
    return (struct row_stamp){cells[best].stamp, cells[best].origin};
}

static void put_rows(struct encoder *e, const struct perche_part *p, const struct row_stamp *stamps)
{
    uint64_t *v = scratch(e, WORK_VALUES, p->rows_count, sizeof(*v));
    uint32_t n = p->rows_count, some;

/* One column: @expression of each row for which @condition holds. */
#define PUT(is_signed, condition, expression)        \
    some = 0;                                        \
    for (uint32_t i = 0; i < n; i++) {               \
        const struct perche_row *row = &p->rows[i];  \
        const struct row_stamp *common = &stamps[i]; \
                                                     \
        (void)common;                                \
        if (condition)                               \
            v[some++] = (expression);                \
        (void)row;                                   \
    }                                                \
    put_numbers(&e->w, v, some, is_signed)

    if (v == NULL)
        return;
    section_begin(e);
    PUT(false, true, row->gen);
    PUT(false, true, row->flags);
    PUT(false, true, row->scope == PERCHE_NO_SCOPE ? 0 : row->scope + UINT64_C(1));
    PUT(false, true, stamp_ms(common->stamp));
    PUT(false, true, stamp_counter(common->stamp));
    PUT(false, true, common->origin);
    PUT(true, row->flags & PERCHE_ROW_GEN, stamp_ms(row->gen_stamp) - stamp_ms(common->stamp));
    PUT(true, row->flags & PERCHE_ROW_GEN,
        stamp_counter(row->gen_stamp) - stamp_counter(common->stamp));
    PUT(true, row->flags & PERCHE_ROW_GEN, (uint64_t)row->gen_origin - common->origin);
    PUT(false, row->flags & PERCHE_ROW_PAIR, row->full);
    PUT(false, row->flags & PERCHE_ROW_PAIR, row->scan);
    section_end(e);
#undef PUT
}

/* Where a column's values are among @n rows, from its @count row numbers. */
static void put_presence(struct encoder *e, const uint32_t *rows, uint32_t count, uint32_t n)
{
    uint64_t *gaps;
    uint8_t *bits;

    if (count == n) {
        put_byte(&e->w, PRESENT_ALL);
    } else if (count >= n / 8) {
        bits = scratch(e, WORK_PRESENT, (n + 7) / 8, 1);
        if (bits == NULL)
            return;
        memset(bits, 0, (n + 7) / 8);
        for (uint32_t i = 0; i < count; i++)
            bits[rows[i] / 8] |= (uint8_t)(1 << rows[i] % 8);
        put_byte(&e->w, PRESENT_BITS);
        put_bytes(&e->w, bits, (n + 7) / 8);
    } else {
        gaps = scratch(e, WORK_VALUES, count, sizeof(*gaps));
        if (gaps == NULL)
            return;
        for (uint32_t i = 0; i < count; i++)
            gaps[i] = i == 0 ? rows[0] : rows[i] - rows[i - 1] - 1;
        put_byte(&e->w, PRESENT_LIST);
        put_varint(&e->w, count);
        put_numbers(&e->w, gaps, count, false);
    }
}

/* @n entries about single cells, as four columns that lie one behind the other in @v: gap to
 * the cell before, milliseconds from a stamp that the reader knows, counter, origin. */
static void put_stamped(struct encoder *e, const uint64_t *v, uint32_t n)
{
    put_numbers(&e->w, v, n, false);
    put_numbers(&e->w, v + n, n, true);
    put_numbers(&e->w, v + 2 * (size_t)n, n, false);
    put_numbers(&e->w, v + 3 * (size_t)n, n, false);
}

static void put_odd_stamps(struct encoder *e, const struct perche_part *p,
                           const struct row_stamp *stamps)
{
    uint32_t odd = 0, k = 0, next = 0, at = 0;
    uint64_t *v;

    for (uint32_t r = 0; r < p->rows_count; r++)
        for (uint32_t i = 0; i < p->rows[r].cells_count; i++, at++)
            odd += p->cells[at].stamp != stamps[r].stamp || p->cells[at].origin != stamps[r].origin;
    put_varint(&e->w, odd);
    v = scratch(e, WORK_VALUES, (size_t)odd * 4, sizeof(*v));
    if (odd == 0 || v == NULL)
        return;
    at = 0;
    for (uint32_t r = 0; r < p->rows_count; r++)
        for (uint32_t i = 0; i < p->rows[r].cells_count; i++, at++) {
            const struct perche_cell *c = &p->cells[at];

            if (c->stamp == stamps[r].stamp && c->origin == stamps[r].origin)
                continue;
            v[k] = at - next;
            v[odd + k] = stamp_ms(c->stamp) - stamp_ms(stamps[r].stamp);
            v[2 * (size_t)odd + k] = stamp_counter(c->stamp);
            v[3 * (size_t)odd + k] = c->origin;
            next = at + 1;
            k++;
        }
    put_stamped(e, v, odd);
}

static void put_flags(struct encoder *e, const struct perche_part *p)
{
    uint32_t flagged = 0, k = 0, next = 0;
    uint64_t *v;

    for (uint32_t i = 0; i < p->cells_count; i++)
        flagged += (p->cells[i].flags & PERCHE_CELL_FIXED) != 0;
    put_varint(&e->w, flagged);
    v = scratch(e, WORK_VALUES, flagged, sizeof(*v));
    if (flagged == 0 || v == NULL)
        return;
    for (uint32_t i = 0; i < p->cells_count; i++)
        if (p->cells[i].flags & PERCHE_CELL_FIXED) {
            v[k++] = i - next;
            next = i + 1;
        }
    put_numbers(&e->w, v, flagged, false);
}

static void put_bases(struct encoder *e, const struct perche_part *p)
{
    const size_t n = p->bases_count;
    uint64_t *v;

    put_varint(&e->w, n);
    v = scratch(e, WORK_VALUES, n * 4, sizeof(*v));
    if (n == 0 || v == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        const struct perche_base *base = &p->bases[i];

        v[i] = i == 0 ? base->cell : base->cell - base[-1].cell - 1;
        v[n + i] = stamp_ms(base->stamp) - stamp_ms(p->cells[base->cell].stamp);
        v[2 * n + i] = stamp_counter(base->stamp);
        v[3 * n + i] = base->origin;
    }
    put_stamped(e, v, p->bases_count);
}

/* Types, then the values of each type together. @cells are numbers of cells. */
static void put_column(struct encoder *e, const struct perche_part *p, const uint32_t *cells,
                       uint32_t n)
{
    uint8_t *types = scratch(e, WORK_TYPES, n, 1), low, high;
    uint32_t counts[PERCHE_BLOB + 1] = {0}, kinds = 0, some;
    struct perche_bytes *spans;
    uint64_t *v;

    if (types == NULL)
        return;
    for (uint32_t i = 0; i < n; i++) {
        types[i] = p->cells[cells[i]].value.type;
        counts[types[i]]++;
    }
    low = high = types[0];
    for (uint8_t t = 0; t <= PERCHE_BLOB; t++)
        if (counts[t] > 0) {
            if (kinds++ == 0)
                low = t;
            high = t;
        }
    if (kinds == 1) {
        put_byte(&e->w, low);
    } else if (kinds == 2) {
        uint8_t *bits = scratch(e, WORK_PRESENT, (n + 7) / 8, 1);

        if (bits == NULL)
            return;
        memset(bits, 0, (n + 7) / 8);
        for (uint32_t i = 0; i < n; i++)
            bits[i / 8] |= (uint8_t)((types[i] == high) << i % 8);
        put_byte(&e->w, TYPES_TWO);
        put_byte(&e->w, (uint8_t)(low | high << 4));
        put_bytes(&e->w, bits, (n + 7) / 8);
    } else {
        put_byte(&e->w, TYPES_ANY);
        put_bytes(&e->w, types, n);
    }
    v = scratch(e, WORK_VALUES, n, sizeof(*v));
    spans = scratch(e, WORK_SPANS, n, sizeof(*spans));
    if (v == NULL || spans == NULL)
        return;
    for (uint8_t t = PERCHE_INTEGER; t <= PERCHE_BLOB; t++) {
        if (counts[t] == 0)
            continue;
        put_mark(&e->w);
        some = 0;
        for (uint32_t i = 0; i < n; i++) {
            const struct perche_value *value = &p->cells[cells[i]].value;

            if (types[i] != t)
                continue;
            if (t == PERCHE_INTEGER) {
                v[some++] = (uint64_t)value->i;
            } else if (
                t ==
                PERCHE_REAL) { /* bytes turned round: the low ones are zero in common numbers */
                memcpy(&v[some], &value->r, sizeof(*v));
                v[some] = __builtin_bswap64(v[some]);
                some++;
            } else {
                spans[some++] = (struct perche_bytes){.p = value->p, .n = value->n};
            }
        }
        if (t == PERCHE_TEXT)
            put_texts(&e->w, spans, some);
        else if (t == PERCHE_BLOB)
            put_blobs(&e->w, spans, some);
        else
            put_numbers(&e->w, v, some, t == PERCHE_INTEGER);
    }
}

static void put_part(struct encoder *e, const struct perche_part *p)
{
    const uint32_t n = p->rows_count;
    uint32_t starts[PERCHE_COLUMNS_MAX + 1] = {0}, next[PERCHE_COLUMNS_MAX], *cells, *rows;
    struct row_stamp *stamps = scratch(e, WORK_ROWS, n, sizeof(*stamps)), before = {0, 0};
    struct perche_bytes *keys = scratch(e, WORK_SPANS, n, sizeof(*keys));

    cells = scratch(e, WORK_LISTS, p->cells_count * (size_t)2, sizeof(*cells));
    if (stamps == NULL || keys == NULL || cells == NULL)
        return;
    rows = cells + p->cells_count;
    for (uint32_t r = 0; r < n; r++) {
        keys[r] = p->rows[r].key;
        before = stamps[r] = common_stamp(p, &p->rows[r], before);
    }
    section_begin(e);
    put_keys(&e->w, keys, n);
    section_end(e);
    put_rows(e, p, stamps);

    /* Cells by column: where each column's begin, then the numbers of cells and rows. */
    for (uint32_t i = 0; i < p->cells_count; i++)
        starts[p->cells[i].col + 1]++;
    for (uint32_t col = 0; col < p->columns_count; col++) {
        starts[col + 1] += starts[col];
        next[col] = starts[col];
    }
    for (uint32_t r = 0, at = 0; r < n; r++)
        for (uint32_t i = 0; i < p->rows[r].cells_count; i++, at++) {
            uint32_t to = next[p->cells[at].col]++;

            cells[to] = at;
            rows[to] = r;
        }

    section_begin(e);
    for (uint32_t col = 0; col < p->columns_count; col++)
        if (starts[col + 1] > starts[col])
            put_presence(e, rows + starts[col], starts[col + 1] - starts[col], n);
    section_end(e);
    section_begin(e);
    put_odd_stamps(e, p, stamps);
    put_flags(e, p);
    put_bases(e, p);
    section_end(e);
    for (uint32_t col = 0; col < p->columns_count; col++)
        if (starts[col + 1] > starts[col]) {
            section_begin(e);
            put_column(e, p, cells + starts[col], starts[col + 1] - starts[col]);
            section_end(e);
        }
}

static void put_notices(struct encoder *e)
{
    const struct perche_notice *notices = e->b->notices;
    const uint32_t n = e->b->notices_count;
    uint64_t *v = scratch(e, WORK_VALUES, n, sizeof(*v));
    struct perche_bytes *spans = scratch(e, WORK_SPANS, n, sizeof(*spans));

    if (n == 0 || v == NULL || spans == NULL)
        return;
    section_begin(e);
    for (uint32_t i = 0; i < n; i++)
        v[i] = notices[i].kind;
    put_numbers(&e->w, v, n, false);
    for (uint32_t i = 0; i < n; i++)
        v[i] = notices[i].lsn;
    put_numbers(&e->w, v, n, false);
    for (uint32_t i = 0; i < n; i++)
        spans[i] = notices[i].key;
    put_keys(&e->w, spans, n);
    for (int which = 0; which < 3; which++) {
        for (uint32_t i = 0; i < n; i++) {
            const char *text = which == 0   ? notices[i].table
                               : which == 1 ? notices[i].reason
                                            : notices[i].columns;

            spans[i] =
                (struct perche_bytes){.p = (const uint8_t *)text, .n = (uint32_t)strlen(text)};
        }
        put_texts(&e->w, spans, n);
    }
    section_end(e);
}

/* ---- compression --------------------------------------------------------- */

/* Feeds @n raw bytes; TOO_LARGE when they would come to more than @max. */
static enum perche_rc zip_bytes(ZSTD_CCtx *zip, const uint8_t *p, size_t n, ZSTD_EndDirective how,
                                struct perche_buf *out, size_t max)
{
    ZSTD_inBuffer from = {p, n, 0};
    size_t rest;

    do {
        ZSTD_outBuffer to = {out->p, max, out->n};

        rest = ZSTD_compressStream2(zip, &to, &from, how);
        if (ZSTD_isError(rest))
            return ZSTD_getErrorCode(rest) == ZSTD_error_memory_allocation ? PERCHE_NOMEM
                                                                           : PERCHE_INTERNAL;
        out->n = to.pos;
        if (rest > 0 && to.pos == max)
            return PERCHE_TOO_LARGE;
    } while (rest > 0 || from.pos < from.size);
    return PERCHE_OK;
}

/* Appends the raw bytes as a zstd frame; TOO_LARGE, with @out as it was, if that saves nothing. */
static enum perche_rc zip_raw(struct work *k, int level, struct perche_buf *out)
{
    const size_t n = k->raw.n, start = out->n, max = start + n;
    enum perche_rc rc = PERCHE_OK;
    size_t at = 0;

    if (buf_room(out, n) == NULL)
        return PERCHE_NOMEM;
    (void)ZSTD_CCtx_reset(k->zip,
                          ZSTD_reset_session_and_parameters); /* no failure between frames */
    if (ZSTD_isError(ZSTD_CCtx_setParameter(k->zip, ZSTD_c_compressionLevel, level)) ||
        ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(k->zip, n)))
        return PERCHE_INTERNAL;
    for (uint32_t i = 0; i < k->marks_count && rc == PERCHE_OK; i++) {
        /* Not at the very end, which would add an empty block. */
        if (k->marks[i] - at < BLOCK_MIN || n - k->marks[i] < BLOCK_MIN / 4)
            continue;
        rc = zip_bytes(k->zip, k->raw.p + at, k->marks[i] - at, ZSTD_e_flush, out, max);
        at = k->marks[i];
    }
    if (rc == PERCHE_OK)
        rc = zip_bytes(k->zip, k->raw.p + at, n - at, ZSTD_e_end, out, max);
    if (rc == PERCHE_OK && !batch_raw_plausible(n, out->n - start))
        rc = PERCHE_TOO_LARGE;
    if (rc != PERCHE_OK)
        out->n = start;
    return rc;
}

static enum perche_rc pack(struct work *k, int level, struct perche_buf *out)
{
    const size_t start = out->n;
    uint8_t *to = buf_room(out, 1 + k->raw.n);
    enum perche_rc rc = PERCHE_TOO_LARGE;

    if (to == NULL)
        return PERCHE_NOMEM;
    *to = BATCH_ZSTD;
    out->n++;
    if (level > 0)
        rc = zip_raw(k, level, out);
    if (rc == PERCHE_TOO_LARGE) {
        out->p[start] = BATCH_PLAIN;
        rc = buf_append(out, k->raw.p, k->raw.n) ? PERCHE_OK : PERCHE_NOMEM;
    }
    if (rc != PERCHE_OK)
        out->n = start;
    return rc;
}

enum perche_rc perche_batch_encode(const struct perche_batch *b, int level, struct perche_buf *out,
                                   struct perche_err *err)
{
    struct work *work = work_get();
    struct encoder e = {.b = b, .work = work};
    const char *wrong = batch_wrong(b);

    if (wrong != NULL)
        return perche_err_set(err, PERCHE_INTERNAL, "The batch to send holds %s.", wrong);
    if (work == NULL)
        return perche_err_set(err, PERCHE_NOMEM, "There is no memory to encode a batch.");
    e.w = (struct writer){.work = work, .buf = &work->section};
    work->raw.n = 0;
    work->marks_count = 0;
    put_directory(&e);
    for (uint32_t i = 0; i < b->parts_count && e.w.rc == PERCHE_OK; i++)
        if (b->parts[i].rows_count > 0)
            put_part(&e, &b->parts[i]);
    put_notices(&e);
    if (e.w.rc == PERCHE_OK && work->raw.n > PERCHE_BATCH_RAW_MAX)
        e.w.rc = PERCHE_TOO_LARGE;
    if (e.w.rc == PERCHE_OK)
        e.w.rc = pack(work, level, out);
    work_trim(work);
    switch (e.w.rc) {
    case PERCHE_OK: return PERCHE_OK;
    case PERCHE_NOMEM: return perche_err_set(err, e.w.rc, "There is no memory to encode a batch.");
    case PERCHE_TOO_LARGE:
        return perche_err_set(err, e.w.rc, "The batch is larger than %u bytes before compression.",
                              PERCHE_BATCH_RAW_MAX);
    default: return perche_err_set(err, e.w.rc, "zstd failed to compress a batch.");
    }
}
