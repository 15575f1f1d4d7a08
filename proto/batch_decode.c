/* Bytes of a peer to a batch. All of it is read and checked before any of it is given
 * out; what fails leaves the batch empty. */
#include <assert.h>
#include <string.h>

#include "batch_format.h"
#include "batch_own.h"
#include "column.h"
#include "varint.h"

struct decoder {
    struct batch_own *own;
    struct perche_batch *b;
    struct work *work;
    struct reader raw; /* over the sections */
    struct reader r;   /* over the section under way */
};

/* ---- sections ------------------------------------------------------------ */

static void fail(struct decoder *d, enum perche_rc rc, const char *wrong)
{
    reader_fail(&d->r, rc, wrong);
}

/* Opens the next section: a msgpack bin. */
static void section_begin(struct decoder *d)
{
    uint32_t bytes_n, n = 0;
    const uint8_t *p;

    d->r.p = d->r.end = d->raw.p;
    switch (d->r.rc == PERCHE_OK ? get_byte(&d->raw) : 0) {
    case 0xc4: bytes_n = 1; break;
    case 0xc5: bytes_n = 2; break;
    case 0xc6: bytes_n = 4; break;
    default: fail(d, PERCHE_CORRUPT, "a section is missing"); return;
    }
    p = get_bytes(&d->raw, bytes_n);
    for (uint32_t i = 0; p != NULL && i < bytes_n; i++)
        n = n << 8 | p[i];
    p = get_bytes(&d->raw, n);
    if (p == NULL) {
        fail(d, PERCHE_CORRUPT, "a section is longer than the bytes left");
        return;
    }
    d->r.p = p;
    d->r.end = p + n;
}

static void section_end(struct decoder *d)
{
    if (d->r.p != d->r.end)
        fail(d, PERCHE_CORRUPT, "a section has bytes left over");
}

static void *scratch(struct decoder *d, enum work_slot slot, size_t count, size_t size)
{
    void *p = d->r.rc == PERCHE_OK ? work_array(d->work, slot, count, size) : NULL;

    if (p == NULL)
        fail(d, PERCHE_NOMEM, "out of memory");
    return p;
}

/* A column of @n numbers that may not be above @max. */
static const uint64_t *numbers(struct decoder *d, uint32_t n, bool is_signed, uint64_t max,
                               const char *wrong)
{
    uint64_t *v = scratch(d, WORK_VALUES, n, sizeof(*v)), over = 0;

    if (v == NULL)
        return NULL;
    get_numbers(&d->r, v, n, is_signed);
    if (d->r.rc != PERCHE_OK)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        over |= v[i] > max;
    if (over) {
        fail(d, PERCHE_CORRUPT, wrong);
        return NULL;
    }
    return v;
}

/* ---- directory ----------------------------------------------------------- */

static void get_part_head(struct decoder *d, uint32_t *rows_left)
{
    const char *table = get_text(&d->r, 1, PERCHE_NAME_BYTES_MAX), *columns[PERCHE_COLUMNS_MAX];
    uint32_t rows = get_count(&d->r, *rows_left, "there are too many rows"), columns_count, part;

    columns_count = get_count(&d->r, PERCHE_COLUMNS_MAX, "there are too many columns");
    for (uint32_t i = 0; i < columns_count && d->r.rc == PERCHE_OK; i++) {
        columns[i] = get_text(&d->r, 1, PERCHE_NAME_BYTES_MAX);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(columns[k], columns[i]) == 0)
                fail(d, PERCHE_CORRUPT, "a column comes twice");
    }
    for (uint32_t i = 0; i < d->b->parts_count; i++)
        if (strcmp(d->b->parts[i].table, table) == 0)
            fail(d, PERCHE_CORRUPT, "a table comes twice");
    if (rows == 0)
        fail(d, PERCHE_CORRUPT, "a table has no rows");
    if (d->r.rc != PERCHE_OK)
        return;
    part = batch_part_new(d->own, table, columns, columns_count);
    if (part == UINT32_MAX || !batch_part_reserve(d->own, part, rows, 0, 0)) {
        fail(d, PERCHE_NOMEM, "out of memory");
        return;
    }
    d->b->parts[part].rows_count = rows;
    *rows_left -= rows;
}

static uint32_t get_directory(struct decoder *d)
{
    uint32_t rows_left = PERCHE_BATCH_ROWS_MAX, count, index, notices;

    section_begin(d);
    count = get_count(&d->r, PERCHE_BATCH_NAMES_MAX, "there are too many names");
    for (uint32_t i = 0; i < count && d->r.rc == PERCHE_OK; i++) {
        const char *name = get_text(&d->r, 0, PERCHE_SCOPE_BYTES_MAX);

        if (d->r.rc != PERCHE_OK)
            break;
        index = perche_batch_name(d->b, name);
        if (index == UINT32_MAX)
            fail(d, PERCHE_NOMEM, "out of memory");
        else if (index != i)
            fail(d, PERCHE_CORRUPT, "a name comes twice");
    }
    count = get_count(&d->r, PERCHE_BATCH_TABLES_MAX, "there are too many tables");
    for (uint32_t i = 0; i < count && d->r.rc == PERCHE_OK; i++)
        get_part_head(d, &rows_left);
    notices = get_count(&d->r, PERCHE_BATCH_ROWS_MAX, "there are too many notices");
    section_end(d);
    d->own->rows = PERCHE_BATCH_ROWS_MAX - rows_left;
    return notices;
}

/* ---- rows ---------------------------------------------------------------- */

static void get_row_keys(struct decoder *d, struct perche_part *p)
{
    struct perche_bytes *keys;

    section_begin(d);
    keys = scratch(d, WORK_SPANS, p->rows_count, sizeof(*keys));
    if (keys == NULL)
        return;
    get_keys(&d->r, keys, p->rows_count);
    for (uint32_t i = 0; i < p->rows_count && d->r.rc == PERCHE_OK; i++) {
        if (keys[i].n < 1) {
            fail(d, PERCHE_CORRUPT, "a key is empty");
            return;
        }
        p->rows[i] = (struct perche_row){.key = keys[i]};
    }
    section_end(d);
}

/* Stamp and origin that a cell has unless the rare section says otherwise. */
struct row_stamp {
    uint64_t stamp;
    uint32_t origin;
};

static void get_row_heads(struct decoder *d, struct perche_part *p, struct row_stamp *stamps)
{
    const uint32_t n = p->rows_count, names = d->b->names_count;
    uint32_t gens = 0, pairs = 0, k;
    const uint64_t *v;

    section_begin(d);
    v = numbers(d, n, false, UINT32_MAX, "a generation is too large");
    for (uint32_t i = 0; v != NULL && i < n; i++) {
        p->rows[i].gen = (uint32_t)v[i];
        if (v[i] == 0)
            fail(d, PERCHE_CORRUPT, "a row has no generation");
    }
    v = numbers(d, n, false, ROW_FLAGS_ALL, "a row has an unknown flag");
    for (uint32_t i = 0; v != NULL && i < n; i++) {
        p->rows[i].flags = (uint16_t)v[i];
        gens += (v[i] & PERCHE_ROW_GEN) != 0;
        pairs += (v[i] & PERCHE_ROW_PAIR) != 0;
    }
    v = numbers(d, n, false, names, "a scope is no name of the batch");
    for (uint32_t i = 0; v != NULL && i < n; i++)
        p->rows[i].scope = v[i] == 0 ? PERCHE_NO_SCOPE : (uint32_t)(v[i] - 1);
    v = numbers(d, n, false, UINT64_MAX >> 16, "a stamp is too large");
    for (uint32_t i = 0; v != NULL && i < n; i++)
        stamps[i].stamp = v[i] << 16;
    v = numbers(d, n, false, UINT16_MAX, "a stamp's counter is too large");
    for (uint32_t i = 0; v != NULL && i < n; i++)
        stamps[i].stamp |= v[i];
    v = numbers(d, n, false, UINT32_MAX, "an origin is no name of the batch");
    for (uint32_t i = 0; v != NULL && i < n; i++)
        stamps[i].origin = (uint32_t)v[i]; /* compared with the names where a cell uses it */

    v = numbers(d, gens, true, UINT64_MAX, "");
    for (uint32_t i = k = 0; v != NULL && i < n; i++)
        if (p->rows[i].flags & PERCHE_ROW_GEN) {
            uint64_t ms = stamp_ms(stamps[i].stamp) + v[k++];

            p->rows[i].gen_stamp = ms << 16;
            if (ms > UINT64_MAX >> 16)
                fail(d, PERCHE_CORRUPT, "a stamp is too large");
        }
    v = numbers(d, gens, true, UINT64_MAX, "");
    for (uint32_t i = k = 0; v != NULL && i < n; i++)
        if (p->rows[i].flags & PERCHE_ROW_GEN) {
            uint64_t counter = stamp_counter(stamps[i].stamp) + v[k++];

            p->rows[i].gen_stamp |= counter;
            if (counter > UINT16_MAX)
                fail(d, PERCHE_CORRUPT, "a stamp's counter is too large");
        }
    v = numbers(d, gens, true, UINT64_MAX, "");
    for (uint32_t i = k = 0; v != NULL && i < n; i++)
        if (p->rows[i].flags & PERCHE_ROW_GEN) {
            uint64_t origin = stamps[i].origin + v[k++];

            p->rows[i].gen_origin = (uint32_t)origin;
            if (origin >= names)
                fail(d, PERCHE_CORRUPT, "an origin is no name of the batch");
        }
    v = numbers(d, pairs, false, POSITION_MAX, "a position is too large");
    for (uint32_t i = k = 0; v != NULL && i < n; i++)
        if (p->rows[i].flags & PERCHE_ROW_PAIR)
            p->rows[i].full = v[k++];
    v = numbers(d, pairs, false, POSITION_MAX, "a position is too large");
    for (uint32_t i = k = 0; v != NULL && i < n; i++)
        if (p->rows[i].flags & PERCHE_ROW_PAIR)
            p->rows[i].scan = v[k++];
    section_end(d);
}

/* One bitmap of rows; returns how many are set. */
static uint32_t get_presence(struct decoder *d, uint8_t *bits, uint32_t n)
{
    const uint32_t bytes = (n + 7) / 8;
    uint32_t count = 0, at = 0;
    const uint8_t *p;
    const uint64_t *v;

    switch (get_byte(&d->r)) {
    case PRESENT_ALL:
        memset(bits, 0xff, bytes);
        if (n % 8 != 0)
            bits[bytes - 1] = (uint8_t)((1u << n % 8) - 1);
        return n;
    case PRESENT_BITS:
        p = get_bytes(&d->r, bytes);
        if (p == NULL)
            return 0;
        memcpy(bits, p, bytes);
        if (n % 8 != 0 && bits[bytes - 1] >> n % 8 != 0) {
            fail(d, PERCHE_CORRUPT, "bits beyond the rows are set");
            return 0;
        }
        for (uint32_t i = 0; i < bytes; i++)
            count += (uint32_t)__builtin_popcount(bits[i]);
        break;
    case PRESENT_LIST:
        memset(bits, 0, bytes);
        count = get_count(&d->r, n, "more rows than there are");
        v = numbers(d, count, false, n, "a row is beyond the last");
        for (uint32_t i = 0; v != NULL && i < count; i++) {
            at += (uint32_t)v[i];
            if (at >= n) {
                fail(d, PERCHE_CORRUPT, "a row is beyond the last");
                return 0;
            }
            bits[at / 8] |= (uint8_t)(1 << at % 8);
            at++;
        }
        break;
    default: fail(d, PERCHE_CORRUPT, "a presence has an unknown form"); return 0;
    }
    if (count == 0)
        fail(d, PERCHE_CORRUPT, "a column has no cell");
    return count;
}

static bool is_set(const uint8_t *bits, uint32_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

/* Reads which cells there are and gives each its place, column and default stamp. */
static void get_layout(struct decoder *d, uint32_t part, const struct row_stamp *stamps,
                       uint8_t *bits, uint32_t *counts)
{
    struct perche_part *p = &d->b->parts[part];
    const uint32_t n = p->rows_count, bytes = (n + 7) / 8;
    uint64_t cells = 0;

    section_begin(d);
    for (uint32_t col = 0; col < p->columns_count && d->r.rc == PERCHE_OK; col++)
        cells += counts[col] = get_presence(d, bits + (size_t)col * bytes, n);
    section_end(d);
    if (d->r.rc != PERCHE_OK)
        return;
    /* At most 63 for each row of a bounded number. */
    if (!batch_part_reserve(d->own, part, n, (uint32_t)cells, 0)) {
        fail(d, PERCHE_NOMEM, "out of memory");
        return;
    }
    p->cells_count = (uint32_t)cells;
    for (uint32_t r = 0, at = 0; r < n; r++) {
        struct perche_row *row = &p->rows[r];

        row->cells_first = at;
        for (uint32_t col = 0; col < p->columns_count; col++)
            if (is_set(bits + (size_t)col * bytes, r))
                p->cells[at++] = (struct perche_cell){
                    .col = (uint16_t)col, .origin = stamps[r].origin, .stamp = stamps[r].stamp};
        row->cells_count = (uint16_t)(at - row->cells_first);
    }
}

/* ---- what is rare -------------------------------------------------------- */

/* Numbers of @n cells in ascending order, from the gaps between them. */
static bool get_cell_numbers(struct decoder *d, uint32_t *cells, uint32_t n, uint32_t cells_count)
{
    const uint64_t *v = numbers(d, n, false, cells_count, "a cell is beyond the last");
    uint64_t at = 0;

    for (uint32_t i = 0; v != NULL && i < n; i++) {
        at += v[i];
        if (at >= cells_count) {
            fail(d, PERCHE_CORRUPT, "a cell is beyond the last");
            return false;
        }
        cells[i] = (uint32_t)at++;
    }
    return v != NULL;
}

/* @n stamps that count from those in @from, and their origins. */
static bool get_stamps(struct decoder *d, uint64_t *stamps, uint32_t *origins, uint32_t n)
{
    const uint64_t *v = numbers(d, n, true, UINT64_MAX, "");

    for (uint32_t i = 0; v != NULL && i < n; i++) {
        uint64_t ms = stamp_ms(stamps[i]) + v[i];

        stamps[i] = ms << 16;
        if (ms > UINT64_MAX >> 16)
            fail(d, PERCHE_CORRUPT, "a stamp is too large");
    }
    v = numbers(d, n, false, UINT16_MAX, "a stamp's counter is too large");
    for (uint32_t i = 0; v != NULL && i < n; i++)
        stamps[i] |= v[i];
    v = numbers(d, n, false, d->b->names_count - UINT64_C(1), "an origin is no name of the batch");
    for (uint32_t i = 0; v != NULL && i < n; i++)
        origins[i] = (uint32_t)v[i];
    return d->r.rc == PERCHE_OK;
}

static void get_rare(struct decoder *d, uint32_t part)
{
    struct perche_part *p = &d->b->parts[part];
    const uint32_t cells_count = p->cells_count;
    uint32_t *cells, *origins, n;
    uint64_t *stamps;

    section_begin(d);
    for (int which = 0; which < 3 && d->r.rc == PERCHE_OK; which++) { /* odd stamps, flags, bases */
        n = get_count(&d->r, cells_count, "more cells than there are");
        if (n == 0)
            continue;
        stamps = scratch(d, WORK_VALUES_2, (size_t)n * 2, sizeof(*stamps));
        if (stamps == NULL)
            return;
        cells = (uint32_t *)(stamps + n);
        origins = cells + n;
        if (!get_cell_numbers(d, cells, n, cells_count))
            return;
        if (which == 1) {
            for (uint32_t i = 0; i < n; i++)
                p->cells[cells[i]].flags |= PERCHE_CELL_FIXED;
            continue;
        }
        for (uint32_t i = 0; i < n; i++)
            stamps[i] = p->cells[cells[i]].stamp;
        if (!get_stamps(d, stamps, origins, n))
            return;
        if (which == 2 && !batch_part_reserve(d->own, part, 0, 0, n)) {
            fail(d, PERCHE_NOMEM, "out of memory");
            return;
        }
        for (uint32_t i = 0; i < n; i++) {
            struct perche_cell *c = &p->cells[cells[i]];

            if (which == 0) {
                c->stamp = stamps[i];
                c->origin = origins[i];
            } else {
                c->flags |= PERCHE_CELL_BASE;
                p->bases[i] = (struct perche_base){
                    .cell = cells[i], .origin = origins[i], .stamp = stamps[i]};
                p->bases_count = n;
            }
        }
    }
    section_end(d);
    for (uint32_t i = 0; d->r.rc == PERCHE_OK && i < cells_count; i++)
        if (p->cells[i].origin >= d->b->names_count)
            fail(d, PERCHE_CORRUPT, "an origin is no name of the batch");
}

/* ---- values -------------------------------------------------------------- */

/* The type of each of a column's @n values, and how many there are of each. */
static void get_types(struct decoder *d, uint8_t *types, uint32_t n,
                      uint32_t counts[PERCHE_BLOB + 1])
{
    uint8_t form = get_byte(&d->r), pair, kinds[2];
    const uint8_t *p;

    if (form <= PERCHE_BLOB) {
        memset(types, form, n);
        counts[form] = n;
        return;
    }
    switch (form) {
    case TYPES_TWO:
        pair = get_byte(&d->r);
        kinds[0] = pair & 15;
        kinds[1] = pair >> 4;
        p = get_bytes(&d->r, (n + 7) / 8);
        if (p == NULL)
            return;
        if (kinds[0] >= kinds[1] || kinds[1] > PERCHE_BLOB ||
            (n % 8 != 0 && p[n / 8] >> n % 8 != 0)) {
            fail(d, PERCHE_CORRUPT, "a column's types are malformed");
            return;
        }
        for (uint32_t i = 0; i < n; i++)
            types[i] = kinds[is_set(p, i)];
        break;
    case TYPES_ANY:
        p = get_bytes(&d->r, n);
        if (p == NULL)
            return;
        memcpy(types, p, n);
        break;
    default: fail(d, PERCHE_CORRUPT, "a column's types have an unknown form"); return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (types[i] > PERCHE_BLOB) {
            fail(d, PERCHE_CORRUPT, "a value has an unknown type");
            return;
        }
        counts[types[i]]++;
    }
}

/* Reads @n values; @places are the cells that they belong to. */
static void get_column(struct decoder *d, struct perche_part *p, const uint32_t *places, uint32_t n)
{
    uint8_t *types = scratch(d, WORK_TYPES, n, 1);
    uint32_t counts[PERCHE_BLOB + 1] = {0}, k;
    struct perche_bytes *spans = scratch(d, WORK_SPANS, n, sizeof(*spans));
    const uint64_t *v;

    if (types == NULL || spans == NULL)
        return;
    get_types(d, types, n, counts);
    for (uint8_t t = PERCHE_INTEGER; t <= PERCHE_BLOB && d->r.rc == PERCHE_OK; t++) {
        if (counts[t] == 0)
            continue;
        k = 0;
        if (t >= PERCHE_TEXT) {
            if (t == PERCHE_TEXT)
                get_texts(&d->r, spans, counts[t]);
            else
                get_blobs(&d->r, spans, counts[t]);
            if (d->r.rc != PERCHE_OK)
                return;
            for (uint32_t i = 0; i < n; i++)
                if (types[i] == t) {
                    struct perche_value *value = &p->cells[places[i]].value;

                    value->type = t;
                    value->n = spans[k].n;
                    value->p = spans[k++].p;
                }
            continue;
        }
        v = numbers(d, counts[t], t == PERCHE_INTEGER, UINT64_MAX, "");
        for (uint32_t i = 0; v != NULL && i < n; i++)
            if (types[i] == t) {
                struct perche_value *value = &p->cells[places[i]].value;

                value->type = t;
                if (t == PERCHE_INTEGER) {
                    value->i = (int64_t)v[k++];
                } else {
                    uint64_t bits = __builtin_bswap64(v[k++]);

                    memcpy(&value->r, &bits, sizeof(bits));
                    if (value->r != value->r)
                        fail(d, PERCHE_CORRUPT, "a real is no number");
                }
            }
    }
}

static void get_part(struct decoder *d, uint32_t part)
{
    struct perche_part *p = &d->b->parts[part];
    const uint32_t n = p->rows_count, bytes = (n + 7) / 8;
    struct row_stamp *stamps = scratch(d, WORK_ROWS, n, sizeof(*stamps));
    uint8_t *bits = scratch(d, WORK_PRESENT, (size_t)bytes * p->columns_count, 1);
    uint32_t *next = scratch(d, WORK_LISTS, (size_t)n * 2, sizeof(*next)), *places;
    uint32_t counts[PERCHE_COLUMNS_MAX] = {0};

    if (stamps == NULL || bits == NULL || next == NULL)
        return;
    places = next + n;
    get_row_keys(d, p);
    get_row_heads(d, p, stamps);
    if (d->r.rc != PERCHE_OK)
        return;
    get_layout(d, part, stamps, bits, counts);
    if (d->r.rc != PERCHE_OK)
        return;
    get_rare(d, part);
    for (uint32_t r = 0; r < n; r++)
        next[r] = p->rows[r].cells_first;
    for (uint32_t col = 0; col < p->columns_count && d->r.rc == PERCHE_OK; col++) {
        uint32_t k = 0;

        for (uint32_t r = 0; r < n; r++)
            if (is_set(bits + (size_t)col * bytes, r))
                places[k++] = next[r]++;
        section_begin(d);
        get_column(d, p, places, counts[col]);
        section_end(d);
    }
}

/* ---- notices ------------------------------------------------------------- */

/* A C string of a text: one with a zero byte within is refused. */
static const char *to_string(struct decoder *d, const struct perche_bytes *text, uint32_t min,
                             uint32_t max)
{
    char *copy;

    if (text->n < min || text->n > max || (text->n > 0 && memchr(text->p, 0, text->n) != NULL)) {
        fail(d, PERCHE_CORRUPT, "a notice's text is malformed");
        return NULL;
    }
    copy = arena_dup(d->b->arena, text->p, text->n);
    if (copy == NULL)
        fail(d, PERCHE_NOMEM, "out of memory");
    return copy;
}

static void get_notices(struct decoder *d, uint32_t n)
{
    struct perche_notice *notices;
    struct perche_bytes *spans;
    const uint64_t *v;

    if (n == 0 || d->r.rc != PERCHE_OK)
        return;
    section_begin(d);
    spans = scratch(d, WORK_SPANS, n, sizeof(*spans));
    if (spans == NULL)
        return;
    if (!array_reserve(&d->b->notices, &d->own->notices_cap, n, sizeof(*notices))) {
        fail(d, PERCHE_NOMEM, "out of memory");
        return;
    }
    notices = d->b->notices;
    v = numbers(d, n, false, PERCHE_ABSENT, "a notice of unknown kind");
    for (uint32_t i = 0; v != NULL && i < n; i++) {
        notices[i].kind = (uint8_t)v[i];
        if (v[i] == 0)
            fail(d, PERCHE_CORRUPT, "a notice of unknown kind");
    }
    v = numbers(d, n, false, POSITION_MAX, "a position is too large");
    for (uint32_t i = 0; v != NULL && i < n; i++)
        notices[i].lsn = v[i];
    get_keys(&d->r, spans, n);
    for (uint32_t i = 0; i < n && d->r.rc == PERCHE_OK; i++) {
        notices[i].key = spans[i];
        if (spans[i].n < 1)
            fail(d, PERCHE_CORRUPT, "a key is empty");
    }
    get_texts(&d->r, spans, n);
    for (uint32_t i = 0; i < n && d->r.rc == PERCHE_OK; i++)
        notices[i].table = to_string(d, &spans[i], 1, PERCHE_NAME_BYTES_MAX);
    get_texts(&d->r, spans, n);
    for (uint32_t i = 0; i < n && d->r.rc == PERCHE_OK; i++)
        notices[i].reason = to_string(d, &spans[i], 0, PERCHE_NAME_BYTES_MAX);
    get_texts(&d->r, spans, n);
    for (uint32_t i = 0; i < n && d->r.rc == PERCHE_OK; i++)
        notices[i].columns = to_string(d, &spans[i], 0, NOTICE_COLUMNS_BYTES_MAX);
    section_end(d);
    if (d->r.rc == PERCHE_OK)
        d->b->notices_count = n;
}

/* ---- the whole ----------------------------------------------------------- */

/* Puts the raw bytes into the arena, where values will point at them. */
static enum perche_rc unpack(struct decoder *d, struct perche_bytes in, const char **wrong)
{
    const uint8_t *p = in.p + 1;
    const size_t n = in.n - (size_t)1;
    unsigned long long raw = n;
    uint8_t *to;
    size_t got;

    *wrong = "its first byte says no known form";
    if (in.n < 2 || (in.p[0] != BATCH_PLAIN && in.p[0] != BATCH_ZSTD))
        return PERCHE_CORRUPT;
    if (in.p[0] == BATCH_ZSTD) {
        /* One frame that says its size, and nothing behind it. */
        *wrong = "its compression is malformed";
        raw = ZSTD_getFrameContentSize(p, n);
        if (raw == ZSTD_CONTENTSIZE_UNKNOWN || raw == ZSTD_CONTENTSIZE_ERROR || raw == 0 ||
            ZSTD_findFrameCompressedSize(p, n) != n)
            return PERCHE_CORRUPT;
    }
    if (!batch_raw_plausible(raw, n)) {
        *wrong = "it claims to be larger than it may be";
        return PERCHE_TOO_LARGE;
    }
    to = arena_alloc_bytes(d->b->arena, raw);
    if (to == NULL) {
        *wrong = "out of memory";
        return PERCHE_NOMEM;
    }
    if (in.p[0] == BATCH_PLAIN) {
        memcpy(to, p, n);
    } else {
        got = ZSTD_decompressDCtx(d->work->unzip, to, raw, p, n);
        if (ZSTD_isError(got) || got != raw)
            return PERCHE_CORRUPT;
    }
    d->raw.p = to;
    d->raw.end = to + raw;
    d->own->bytes = raw;
    return PERCHE_OK;
}

enum perche_rc perche_batch_decode(struct perche_bytes in, struct perche_batch *b,
                                   struct perche_err *err)
{
    struct decoder d = {.own = (struct batch_own *)b, .b = b, .work = work_get()};
    const char *wrong = "out of memory";
    enum perche_rc rc = PERCHE_NOMEM;
    uint32_t notices;

    assert(b->parts_count == 0 && b->names_count == 0 && b->notices_count == 0);
    if (d.work != NULL)
        rc = unpack(&d, in, &wrong);
    if (rc == PERCHE_OK) {
        d.raw.work = d.r.work = d.work;
        d.raw.arena = d.r.arena = b->arena;
        notices = get_directory(&d);
        for (uint32_t i = 0; i < b->parts_count && d.r.rc == PERCHE_OK; i++)
            get_part(&d, i);
        get_notices(&d, notices);
        if (d.r.rc == PERCHE_OK && d.raw.p != d.raw.end)
            reader_fail(&d.r, PERCHE_CORRUPT, "bytes follow its last section");
        rc = d.r.rc;
        wrong = d.r.wrong;
        work_trim(d.work);
    }
    if (rc == PERCHE_OK)
        return PERCHE_OK;
    perche_batch_clear(b);
    return perche_err_set(err, rc, "A batch did not decode: %s.", wrong);
}
