#include "sync/backoff.h"

static uint64_t draw(const struct sync_ops *ops, uint64_t lowest, uint64_t highest)
{
    uint8_t bytes[8];
    uint64_t n = 0;

    ops->random(ops->ctx, bytes, sizeof bytes);
    for (unsigned i = 0; i < sizeof bytes; i++)
        n = n << 8 | bytes[i];
    return lowest + n % (highest - lowest + 1);
}

void backoff_reset(struct backoff *b)
{
    b->tries = 0;
}

uint64_t backoff_next_ms(struct backoff *b, const struct sync_ops *ops)
{
    uint64_t highest = BACKOFF_MS_MAX;

    if (b->tries < 8) /* 2 s, 4 s ... 256 s */
        highest = (2 * (uint64_t)BACKOFF_MS_MIN) << b->tries;
    if (b->tries < UINT32_MAX)
        b->tries++;
    return draw(ops, BACKOFF_MS_MIN, highest);
}

uint64_t backoff_refused_ms(const struct sync_ops *ops)
{
    return draw(ops, 0, BACKOFF_REFUSED_MS_MAX);
}

uint64_t backoff_slow_ms(const struct sync_ops *ops)
{
    return draw(ops, BACKOFF_MS_MAX / 2, BACKOFF_MS_MAX);
}
