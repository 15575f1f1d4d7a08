/* What the batch codec keeps for each thread: zstd's contexts (about 1 MB, too dear to
 * make for each batch) and scratch arrays. Nothing in it outlives the meaning of one
 * call; it goes away with its thread, or by perche_wire_thread_end(). */
#ifndef PERCHE_PROTO_WORK_H
#define PERCHE_PROTO_WORK_H

#include <zstd.h>

#include "perche/wire.h"

/* Scratch arrays, by user, so that no function overwrites those of its caller. */
enum work_slot {
    WORK_VALUES, /* numbers of the codec of a batch */
    WORK_VALUES_2,
    WORK_SPANS,   /* its texts */
    WORK_LISTS,   /* encode: cells by column; decode: where each row's next cell goes */
    WORK_PRESENT, /* decode: presence bitmaps */
    WORK_TYPES,   /* types of a column */
    WORK_ROWS,    /* encode: default stamps of rows */
    WORK_KEYS,    /* numbers of a column of keys */
    WORK_TEXTS,   /* numbers of a column of texts */
    WORK_INDEXES, /* of a dictionary */
    WORK_NUMBERS, /* inside one column of numbers */
    WORK_SLOTS,
};

struct work {
    ZSTD_CCtx *zip;
    ZSTD_DCtx *unzip;
    struct perche_buf raw;     /* encode: all sections ... */
    struct perche_buf section; /* ... and the one being written */
    size_t *marks;             /* where a block of zstd may end, offsets in raw */
    uint32_t marks_count, marks_cap;
    struct {
        void *p;
        size_t cap;
    } slots[WORK_SLOTS];
};

struct work *work_get(void); /* NULL: out of memory */
/* Scratch of @count elements of @size bytes, contents undefined. NULL: out of memory. */
void *work_array(struct work *w, enum work_slot slot, size_t count, size_t size);
/* After each use: gives back what only an uncommon batch needs. */
void work_trim(struct work *w);

#endif
