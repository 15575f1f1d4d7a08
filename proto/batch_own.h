/* What stands behind a struct perche_batch: capacities and look-ups that only the
 * builders need. The public struct comes first, so that one pointer serves both. */
#ifndef PERCHE_PROTO_BATCH_OWN_H
#define PERCHE_PROTO_BATCH_OWN_H

#include "arena.h"
#include "perche/wire.h"

/* The names of all columns of a row, with their commas. */
#define NOTICE_COLUMNS_BYTES_MAX (PERCHE_COLUMNS_MAX * (PERCHE_NAME_BYTES_MAX + 1u))

/* Arrays of a part outlive perche_batch_clear(): the part that takes the slot next has them. */
struct part_own {
    uint32_t rows_cap, cells_cap, bases_cap;
};

struct batch_own {
    struct perche_batch pub;
    struct part_own *own; /* of pub.parts, also of slots beyond parts_count */
    uint32_t parts_cap;   /* slots made ever */
    uint32_t names_cap, notices_cap;
    uint32_t *slots;      /* hash table of names: index + 1, 0 = free */
    uint32_t slots_count; /* a power of two */
    uint32_t rows;        /* of all parts */
    uint32_t part_last;   /* where perche_batch_part() found the last one */
    size_t bytes;
};

/* Makes room for @need elements of @size bytes; doubles. False: out of memory. */
bool array_reserve(void *array, uint32_t *cap, uint32_t need, size_t size);

/* A new part in the next slot, no duplicate looked for; UINT32_MAX: out of memory. The decoder
 * fills rows and cells itself: it knows their counts. */
uint32_t batch_part_new(struct batch_own *o, const char *table, const char *const *columns,
                        uint32_t columns_count);
bool batch_part_reserve(struct batch_own *o, uint32_t part, uint32_t rows, uint32_t cells,
                        uint32_t bases);

#endif
