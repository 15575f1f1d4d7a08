/* How large a batch to aim for: about 5 s of line time, so that a cut loses
 * little and a fast line is not kept waiting for acknowledgements. One object
 * for each direction: lines are seldom the same both ways. */
#ifndef SYNC_BATCH_SIZE_H
#define SYNC_BATCH_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#define BATCH_LINE_MS     5000u
#define BATCH_BYTES_START (64u << 10)
/* beyond that a batch is not applied faster, and takes more memory (two are in flight) */
#define BATCH_ROWS_MAX 2000u

struct batch_size {
    uint32_t bytes;       /* aim, between PERCHE_BATCH_BYTES_MIN and _MAX */
    uint64_t bytes_per_s; /* measured, 0 = not yet */
};

void batch_size_init(struct batch_size *b);
/* A batch of @bytes took @line_ms from question to answer, of which @rtt_ms is the
 * line's delay. @full: it was cut because the aim was reached, not because nothing was left. */
void batch_size_measured(struct batch_size *b, uint64_t bytes, uint64_t line_ms, uint64_t rtt_ms,
                         bool full);
/* The line was lost under a batch. */
void batch_size_cut(struct batch_size *b);
/* What to ask for, with at most @max_rate bytes/s (0 = no limit). */
uint32_t batch_size_bytes(const struct batch_size *b, uint64_t max_rate);
uint32_t batch_size_rows(const struct batch_size *b, uint64_t max_rate);
/* Generous line time for @bytes. */
uint64_t batch_size_allowance_ms(const struct batch_size *b, uint64_t bytes);

#endif
