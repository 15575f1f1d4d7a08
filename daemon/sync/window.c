#include "sync/window.h"

#include <assert.h>
#include <string.h>

#include "sync/message.h"

struct window_batch *window_push(struct window *w)
{
    assert(w->count < WINDOW_BATCHES);
    memset(&w->batch[w->count], 0, sizeof w->batch[0]);
    return &w->batch[w->count++];
}

void window_pop(struct window *w)
{
    assert(w->count > 0);
    sync_message_drop(&w->batch[0].reply);
    w->count--;
    memmove(&w->batch[0], &w->batch[1], w->count * sizeof w->batch[0]);
    memset(&w->batch[w->count], 0, sizeof w->batch[0]); /* its reply has moved */
}

void window_clear(struct window *w)
{
    while (w->count > 0)
        window_pop(w);
}

struct window_batch *window_on(struct window *w, uint32_t channel)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (!w->batch[i].answered && w->batch[i].channel == channel)
            return &w->batch[i];
    }
    return NULL;
}

uint64_t window_bytes(const struct window *w)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < w->count; i++)
        bytes += w->batch[i].answered ? 0 : w->batch[i].bytes;
    return bytes;
}

void window_check(const struct window *w)
{
    assert(w->count <= WINDOW_BATCHES);
    for (uint32_t i = 0; i < w->count; i++) {
        const struct window_batch *b = &w->batch[i];

        assert(b->from <= b->to);
        assert(b->channel < 2);
        assert(!b->acking || i == 0); /* only the oldest is acknowledged */
        assert(!b->acking || b->answered);
        if (i > 0) {
            assert(b->from == w->batch[i - 1].to);
            assert(b->channel != w->batch[i - 1].channel || w->batch[i - 1].answered);
        }
    }
}
