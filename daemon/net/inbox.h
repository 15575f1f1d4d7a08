/* What other threads leave for the loop.
 *
 * Any thread puts an item, which lies in a struct of its own, and the loop is woken;
 * libuv merges wakes, so the loop takes until nothing is left. Items come out in the
 * order in which they were put. An item may be put again once it has been taken. */
#ifndef NET_INBOX_H
#define NET_INBOX_H

#include <pthread.h>
#include <stdbool.h>

#include <uv.h>

#include "perche/rc.h"

struct inbox_item {
    struct inbox_item *next;
    /* Called on the loop. May free what the item lies in. */
    void (*on_taken)(struct inbox_item *item);
};

struct inbox {
    pthread_mutex_t lock;
    struct inbox_item *head, **tail; /* guarded by lock */
    uv_async_t wake;
    void (*on_closed)(struct inbox *inbox);
};

/* On failure nothing is left to close. */
enum perche_rc inbox_init(struct inbox *inbox, uv_loop_t *loop, struct perche_err *err);
void inbox_put(struct inbox *inbox, struct inbox_item *item); /* any thread */
void inbox_drain(struct inbox *inbox); /* on the loop: takes what is there now, in order */
/* On the loop, when no thread can put any more. Drains first. */
void inbox_close(struct inbox *inbox, void (*on_closed)(struct inbox *inbox));

#endif
