#include "sync/waiters.h"

#include <string.h>

bool waiters_add(struct waiters *w, const struct waiter *waiter)
{
    if (w->count == WAITERS_MAX)
        return false;
    w->list[w->count++] = *waiter;
    return true;
}

static uint64_t take(struct waiters *w, uint32_t i)
{
    uint64_t tag = w->list[i].tag;

    w->count--;
    memmove(&w->list[i], &w->list[i + 1], (w->count - i) * sizeof w->list[0]);
    return tag;
}

void waiters_harvested(struct waiters *w, uint64_t harvest, uint64_t lsn, uint64_t *changes)
{
    bool first = true;

    for (uint32_t i = 0; i < w->count; i++) {
        struct waiter *waiter = &w->list[i];

        if (waiter->harvested || waiter->harvest > harvest)
            continue;
        if (first)
            ++*changes;
        first = false;
        waiter->harvested = true;
        waiter->lsn = lsn;
        waiter->changes = *changes;
    }
}

void waiters_state(struct waiters *w, const struct state *st)
{
    for (uint32_t i = 0; i < w->count; i++) {
        struct waiter *waiter = &w->list[i];

        /* What a pull brought has an lsn of its own and is never pushed: with
         * nothing pending `acked` may stay behind for ever. */
        if (waiter->harvested && (st->acked >= waiter->lsn || st->pending == 0))
            waiter->pushed = true;
    }
}

void waiters_pulled(struct waiters *w, uint64_t began_ms)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->list[i].asked_ms <= began_ms)
            w->list[i].pulled = true;
    }
}

bool waiters_take_equal(struct waiters *w, uint64_t changes, uint64_t *tag)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->list[i].harvested && w->list[i].changes <= changes) {
            *tag = take(w, i);
            return true;
        }
    }
    return false;
}

bool waiters_take_late(struct waiters *w, uint64_t mono_ms, bool proven, uint64_t *tag,
                       const char **missing)
{
    for (uint32_t i = 0; i < w->count; i++) {
        const struct waiter *waiter = &w->list[i];

        if (waiter->deadline_ms > mono_ms)
            continue;
        if (!proven)
            *missing = "offline";
        else if (!waiter->pushed)
            *missing = "not_pushed";
        else if (!waiter->pulled)
            *missing = "not_pulled";
        else
            *missing = "not_equal";
        *tag = take(w, i);
        return true;
    }
    return false;
}

bool waiters_take_any(struct waiters *w, uint64_t *tag)
{
    if (w->count == 0)
        return false;
    *tag = take(w, 0);
    return true;
}

uint64_t waiters_next_ms(const struct waiters *w)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t i = 0; i < w->count; i++) {
        if (w->list[i].deadline_ms < next)
            next = w->list[i].deadline_ms;
    }
    return next;
}
