#include "sync/batch_size.h"

#include "perche/limits.h"

#define STEP         4u    /* one measurement changes the aim by this factor at most */
#define UNKNOWN_RATE 1000u /* bytes/s, until one was measured */
#define GENEROUS     4u    /* a line that got this much slower is still waited for */

static uint32_t clamp(uint64_t bytes)
{
    if (bytes < PERCHE_BATCH_BYTES_MIN)
        return PERCHE_BATCH_BYTES_MIN;
    if (bytes > PERCHE_BATCH_BYTES_MAX)
        return PERCHE_BATCH_BYTES_MAX;
    return (uint32_t)bytes;
}

void batch_size_init(struct batch_size *b)
{
    b->bytes = BATCH_BYTES_START;
    b->bytes_per_s = 0;
}

void batch_size_measured(struct batch_size *b, uint64_t bytes, uint64_t line_ms, uint64_t rtt_ms,
                         bool full)
{
    uint64_t ms = line_ms > rtt_ms ? line_ms - rtt_ms : 1;
    uint64_t aim = b->bytes;
    uint64_t base =
        bytes > aim ? bytes
                    : aim; /* one huge row says what the line can do, not that the aim is wrong */
    uint64_t proposed = base * BATCH_LINE_MS / ms;

    if (bytes >= PERCHE_BATCH_BYTES_MIN) {
        uint64_t rate = bytes * 1000 / ms;

        b->bytes_per_s = b->bytes_per_s == 0 ? rate : (b->bytes_per_s * 3 + rate) / 4;
        if (b->bytes_per_s == 0)
            b->bytes_per_s = 1;
    }
    if (proposed < aim && ms > BATCH_LINE_MS)
        b->bytes = clamp(proposed > aim / STEP ? proposed : aim / STEP);
    else if (full && bytes >= PERCHE_BATCH_BYTES_MIN) /* a smaller one was cut for its rows, and has no rate */
        b->bytes = clamp(proposed < aim * STEP ? proposed : aim * STEP);
}

void batch_size_cut(struct batch_size *b)
{
    b->bytes = clamp(b->bytes / 2);
}

uint32_t batch_size_bytes(const struct batch_size *b, uint64_t max_rate)
{
    uint64_t bytes = b->bytes;

    if (max_rate != 0 && max_rate < bytes * 1000 / BATCH_LINE_MS)
        bytes = max_rate * BATCH_LINE_MS / 1000;
    return clamp(bytes);
}

uint32_t batch_size_rows(const struct batch_size *b, uint64_t max_rate)
{
    uint32_t rows = batch_size_bytes(b, max_rate) / 16; /* no row takes less on the line */

    return rows < BATCH_ROWS_MAX ? rows : BATCH_ROWS_MAX;
}

uint64_t batch_size_allowance_ms(const struct batch_size *b, uint64_t bytes)
{
    uint64_t rate = b->bytes_per_s != 0 ? b->bytes_per_s : UNKNOWN_RATE * GENEROUS;

    return bytes * 1000 * GENEROUS / rate;
}
