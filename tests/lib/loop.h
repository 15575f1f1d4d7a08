/* Runs a libuv loop until something has happened, or fails the test. No sleeping: the
 * loop waits for events, and a guard timer ends a test that nothing reaches. */
#ifndef TESTS_LOOP_H
#define TESTS_LOOP_H

#include <stdbool.h>

#include <uv.h>

#define LOOP_LIMIT_MS 20000u

struct loop_guard {
    uv_timer_t timer;
    bool late;
};

static inline void loop_guard_late(uv_timer_t *timer)
{
    ((struct loop_guard *)(void *)timer)->late = true; /* its first member */
}

/* Runs until *@done is true; false when LOOP_LIMIT_MS went by before. */
static inline bool loop_until(uv_loop_t *loop, const bool *done)
{
    struct loop_guard guard = {.late = false};

    (void)uv_timer_init(loop, &guard.timer);
    uv_update_time(loop);
    (void)uv_timer_start(&guard.timer, loop_guard_late, LOOP_LIMIT_MS, 0);
    while (!*done && !guard.late)
        (void)uv_run(loop, UV_RUN_ONCE);
    uv_timer_stop(&guard.timer);
    uv_close((uv_handle_t *)&guard.timer, NULL);
    (void)uv_run(loop, UV_RUN_NOWAIT); /* the close callback, before guard goes */
    return *done;
}

/* Runs for @ms: for what must not happen. */
static inline void loop_for(uv_loop_t *loop, unsigned ms)
{
    struct loop_guard guard = {.late = false};

    (void)uv_timer_init(loop, &guard.timer);
    uv_update_time(loop);
    (void)uv_timer_start(&guard.timer, loop_guard_late, ms, 0);
    while (!guard.late)
        (void)uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&guard.timer, NULL);
    (void)uv_run(loop, UV_RUN_NOWAIT);
}

#endif
