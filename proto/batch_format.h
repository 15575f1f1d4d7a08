/* What encoder and decoder of a batch agree on; PROTOCOL.md, "Batch", has it in words. */
#ifndef PERCHE_PROTO_BATCH_FORMAT_H
#define PERCHE_PROTO_BATCH_FORMAT_H

#include "perche/wire.h"

/* The first byte. */
enum { BATCH_PLAIN = 1, BATCH_ZSTD = 2 };

/* Where a column has values. */
enum { PRESENT_ALL = 0, PRESENT_BITS, PRESENT_LIST };

/* Types of a column's values: 0..4 one type for all, or: */
enum { TYPES_TWO = 5, TYPES_ANY = 6 };

/* A compressed batch may not become more than this: one that claims more is refused
 * before memory is asked for, and one that would is sent plain. */
#define BATCH_RAW_FREE  (1u << 20)
#define BATCH_RATIO_MAX 4096u

static inline bool batch_raw_plausible(uint64_t raw, uint64_t packed)
{
    return raw <= PERCHE_BATCH_RAW_MAX &&
           (raw <= BATCH_RAW_FREE || raw / BATCH_RATIO_MAX <= packed);
}

#define ROW_FLAGS_ALL                                                             \
    (PERCHE_ROW_WHOLE | PERCHE_ROW_GEN | PERCHE_ROW_ERASED | PERCHE_ROW_SUSPECT | \
     PERCHE_ROW_PAIR | PERCHE_ROW_IMAGE | PERCHE_ROW_FIXED)

/* Positions and epochs stay below 2^63: SQLite keeps them. */
#define POSITION_MAX ((uint64_t)INT64_MAX)

/* A stamp is milliseconds and a counter, which run quite differently. */
static inline uint64_t stamp_ms(uint64_t stamp)
{
    return stamp >> 16;
}

static inline uint64_t stamp_counter(uint64_t stamp)
{
    return stamp & 0xffff;
}

#endif
