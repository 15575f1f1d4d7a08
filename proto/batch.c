/* Building a batch in memory. Bytes live in the arena; the arrays that grow are on the
 * heap and stay for the next use. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "batch_own.h"

static struct batch_own *own(struct perche_batch *b)
{
    return (struct batch_own *)b; /* pub is its first member */
}

bool array_reserve(void *array, uint32_t *cap, uint32_t need, size_t size)
{
    uint32_t want = *cap < 8 ? 8 : *cap;
    void *p;

    if (need <= *cap)
        return true;
    while (want < need)
        want = want > UINT32_MAX / 2 ? need : want * 2;
    memcpy(&p, array, sizeof(p)); /* @array is a pointer to a pointer of any type */
    p = realloc(p, want * size);
    if (p == NULL)
        return false;
    memcpy(array, &p, sizeof(p));
    *cap = want;
    return true;
}

struct perche_batch *perche_batch_new(void)
{
    struct batch_own *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    o->pub.arena = arena_new();
    if (o->pub.arena == NULL) {
        free(o);
        return NULL;
    }
    return &o->pub;
}

void perche_batch_free(struct perche_batch *b)
{
    struct batch_own *o = own(b);

    if (b == NULL)
        return;
    for (uint32_t i = 0; i < o->parts_cap; i++) {
        free(b->parts[i].rows);
        free(b->parts[i].cells);
        free(b->parts[i].bases);
    }
    free(b->parts);
    free(o->own);
    free(b->names);
    free(b->notices);
    free(o->slots);
    perche_arena_free(b->arena);
    free(o);
}

void perche_batch_clear(struct perche_batch *b)
{
    struct batch_own *o = own(b);

    for (uint32_t i = 0; i < b->parts_count; i++) {
        struct perche_part *part = &b->parts[i];

        part->rows_count = part->cells_count = part->bases_count = 0;
    }
    if (b->names_count > 0)
        memset(o->slots, 0, o->slots_count * sizeof(*o->slots));
    b->parts_count = b->names_count = b->notices_count = 0;
    o->rows = 0;
    o->part_last = 0;
    o->bytes = 0;
    arena_clear(b->arena);
}

uint32_t perche_batch_rows(const struct perche_batch *b)
{
    return ((const struct batch_own *)b)->rows;
}

size_t perche_batch_bytes(const struct perche_batch *b)
{
    return ((const struct batch_own *)b)->bytes;
}

static uint32_t hash_text(const char *text, size_t n)
{
    uint64_t h = n, word;

    for (; n >= 8; text += 8, n -= 8) {
        memcpy(&word, text, 8);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    word = 0;
    memcpy(&word, text, n);
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static bool slots_grow(struct batch_own *o)
{
    uint32_t count = o->slots_count == 0 ? 32 : o->slots_count * 2;
    uint32_t *slots = calloc(count, sizeof(*slots));

    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < o->pub.names_count; i++) {
        const char *name = o->pub.names[i];
        uint32_t at = hash_text(name, strlen(name)) & (count - 1);

        while (slots[at] != 0)
            at = (at + 1) & (count - 1);
        slots[at] = i + 1;
    }
    free(o->slots);
    o->slots = slots;
    o->slots_count = count;
    return true;
}

uint32_t perche_batch_name(struct perche_batch *b, const char *text)
{
    struct batch_own *o = own(b);
    size_t n = strlen(text);
    uint32_t at;

    if (n > PERCHE_SCOPE_BYTES_MAX)
        return UINT32_MAX;
    if (b->names_count * 2 >= o->slots_count && !slots_grow(o))
        return UINT32_MAX;
    at = hash_text(text, n) & (o->slots_count - 1);
    while (o->slots[at] != 0) {
        if (strcmp(b->names[o->slots[at] - 1], text) == 0)
            return o->slots[at] - 1;
        at = (at + 1) & (o->slots_count - 1);
    }
    if (b->names_count == PERCHE_BATCH_NAMES_MAX ||
        !array_reserve(&b->names, &o->names_cap, b->names_count + 1, sizeof(*b->names)))
        return UINT32_MAX;
    b->names[b->names_count] = arena_dup(b->arena, text, n);
    if (b->names[b->names_count] == NULL)
        return UINT32_MAX;
    o->bytes += n + 1;
    o->slots[at] = ++b->names_count;
    return b->names_count - 1;
}

uint32_t batch_part_new(struct batch_own *o, const char *table, const char *const *columns,
                        uint32_t columns_count)
{
    struct perche_batch *b = &o->pub;
    struct perche_part *part;
    const char **names;
    char *name;

    if (b->parts_count == o->parts_cap) {
        uint32_t cap = o->parts_cap, own_cap = o->parts_cap;

        if (!array_reserve(&b->parts, &cap, cap + 1, sizeof(*b->parts)))
            return UINT32_MAX;
        if (!array_reserve(&o->own, &own_cap, own_cap + 1, sizeof(*o->own)))
            return UINT32_MAX; /* the longer array of parts is used at the next try */
        memset(b->parts + o->parts_cap, 0, (cap - o->parts_cap) * sizeof(*b->parts));
        memset(o->own + o->parts_cap, 0, (cap - o->parts_cap) * sizeof(*o->own));
        o->parts_cap = cap;
    }
    name = arena_dup(b->arena, table, strlen(table));
    names = arena_alloc(b->arena, columns_count * sizeof(*names));
    if (name == NULL || names == NULL)
        return UINT32_MAX;
    o->bytes += strlen(table) + 16;
    for (uint32_t i = 0; i < columns_count; i++) {
        names[i] = arena_dup(b->arena, columns[i], strlen(columns[i]));
        if (names[i] == NULL)
            return UINT32_MAX;
        o->bytes += strlen(columns[i]) + 4;
    }
    part = &b->parts[b->parts_count];
    part->table = name;
    part->columns = names;
    part->columns_count = columns_count;
    part->rows_count = part->cells_count = part->bases_count = 0;
    return b->parts_count++;
}

bool batch_part_reserve(struct batch_own *o, uint32_t part, uint32_t rows, uint32_t cells,
                        uint32_t bases)
{
    struct perche_part *p = &o->pub.parts[part];
    struct part_own *caps = &o->own[part];

    return array_reserve(&p->rows, &caps->rows_cap, rows, sizeof(*p->rows)) &&
           array_reserve(&p->cells, &caps->cells_cap, cells, sizeof(*p->cells)) &&
           array_reserve(&p->bases, &caps->bases_cap, bases, sizeof(*p->bases));
}

static bool name_fits(const char *name)
{
    size_t n = strlen(name);

    return n >= 1 && n <= PERCHE_NAME_BYTES_MAX;
}

uint32_t perche_batch_part(struct perche_batch *b, const char *table, const char *const *columns,
                           uint32_t columns_count)
{
    struct batch_own *o = own(b);

    /* Rows come table by table: the last answer is nearly always this one. */
    if (o->part_last < b->parts_count && strcmp(b->parts[o->part_last].table, table) == 0)
        return o->part_last;
    for (uint32_t i = 0; i < b->parts_count; i++)
        if (strcmp(b->parts[i].table, table) == 0)
            return o->part_last = i;
    if (b->parts_count == PERCHE_BATCH_TABLES_MAX || columns_count > PERCHE_COLUMNS_MAX ||
        !name_fits(table))
        return UINT32_MAX;
    for (uint32_t i = 0; i < columns_count; i++)
        if (!name_fits(columns[i]))
            return UINT32_MAX;
    return o->part_last = batch_part_new(o, table, columns, columns_count);
}

struct perche_row *perche_batch_row(struct perche_batch *b, uint32_t part, struct perche_bytes key)
{
    struct batch_own *o = own(b);
    struct perche_part *p = &b->parts[part];
    uint8_t *copy;

    assert(part < b->parts_count);
    if (key.n < 1 || key.n > PERCHE_KEY_BYTES_MAX || o->rows == PERCHE_BATCH_ROWS_MAX)
        return NULL;
    if (!array_reserve(&p->rows, &o->own[part].rows_cap, p->rows_count + 1, sizeof(*p->rows)))
        return NULL;
    copy = arena_alloc_bytes(b->arena, key.n);
    if (copy == NULL)
        return NULL;
    memcpy(copy, key.p, key.n);
    o->rows++;
    o->bytes += key.n + 8;
    p->rows[p->rows_count] = (struct perche_row){
        .key = {.p = copy, .n = key.n},
        .cells_first = p->cells_count,
        .scope = PERCHE_NO_SCOPE,
    };
    return &p->rows[p->rows_count++];
}

struct perche_cell *perche_batch_cell(struct perche_batch *b, uint32_t part, uint16_t col,
                                      const struct perche_value *v)
{
    struct batch_own *o = own(b);
    struct perche_part *p = &b->parts[part];
    struct perche_row *row;
    struct perche_cell *cell;
    size_t bytes = 2;

    assert(part < b->parts_count && p->rows_count > 0);
    row = &p->rows[p->rows_count - 1];
    assert(col < p->columns_count);
    assert(row->cells_count == 0 || p->cells[p->cells_count - 1].col < col);
    if (!array_reserve(&p->cells, &o->own[part].cells_cap, p->cells_count + 1, sizeof(*p->cells)))
        return NULL;
    cell = &p->cells[p->cells_count];
    *cell = (struct perche_cell){.col = col, .value = *v};
    switch (v->type) {
    case PERCHE_NULL: cell->value = (struct perche_value){.type = PERCHE_NULL}; break;
    case PERCHE_INTEGER:
    case PERCHE_REAL:
        cell->value.n = 0;
        bytes += 8;
        break;
    case PERCHE_TEXT:
    case PERCHE_BLOB:
        if (v->n > PERCHE_VALUE_BYTES_MAX)
            return NULL;
        cell->value.p = arena_alloc_bytes(b->arena, v->n);
        if (cell->value.p == NULL)
            return NULL;
        if (v->n > 0)
            memcpy((uint8_t *)cell->value.p, v->p, v->n);
        bytes += v->n;
        break;
    default: assert(!"a value of no type"); return NULL;
    }
    o->bytes += bytes;
    p->cells_count++;
    row->cells_count++;
    return cell;
}

bool perche_batch_base(struct perche_batch *b, uint32_t part, uint64_t stamp, uint32_t origin)
{
    struct batch_own *o = own(b);
    struct perche_part *p = &b->parts[part];

    assert(part < b->parts_count && p->cells_count > 0);
    assert((p->cells[p->cells_count - 1].flags & PERCHE_CELL_BASE) == 0);
    if (!array_reserve(&p->bases, &o->own[part].bases_cap, p->bases_count + 1, sizeof(*p->bases)))
        return false;
    p->bases[p->bases_count++] =
        (struct perche_base){.cell = p->cells_count - 1, .origin = origin, .stamp = stamp};
    p->cells[p->cells_count - 1].flags |= PERCHE_CELL_BASE;
    o->bytes += 10;
    return true;
}

bool perche_batch_notice(struct perche_batch *b, const struct perche_notice *n)
{
    struct batch_own *o = own(b);
    const char *reason = n->reason != NULL ? n->reason : "",
               *columns = n->columns != NULL ? n->columns : "";
    struct perche_notice copy = *n;

    if (b->notices_count == PERCHE_BATCH_ROWS_MAX || n->key.n < 1 ||
        n->key.n > PERCHE_KEY_BYTES_MAX || !name_fits(n->table) ||
        strlen(reason) > PERCHE_NAME_BYTES_MAX || strlen(columns) > NOTICE_COLUMNS_BYTES_MAX)
        return false;
    if (!array_reserve(&b->notices, &o->notices_cap, b->notices_count + 1, sizeof(*b->notices)))
        return false;
    copy.table = arena_dup(b->arena, n->table, strlen(n->table));
    copy.key.p = arena_dup(b->arena, n->key.p, n->key.n);
    copy.reason = arena_dup(b->arena, reason, strlen(reason));
    copy.columns = arena_dup(b->arena, columns, strlen(columns));
    if (copy.table == NULL || copy.key.p == NULL || copy.reason == NULL || copy.columns == NULL)
        return false;
    o->bytes += n->key.n + strlen(reason) + strlen(columns) + 16;
    b->notices[b->notices_count++] = copy;
    return true;
}
