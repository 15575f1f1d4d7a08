#include "net/inbox.h"

#include <assert.h>

#include "net/container_of.h"

#define TAKEN_MAX 1000u /* at once, so that timers and other handles have their turn */

static void on_wake(uv_async_t *wake)
{
    inbox_drain(container_of(wake, struct inbox, wake));
}

enum perche_rc inbox_init(struct inbox *inbox, uv_loop_t *loop, struct perche_err *err)
{
    int rc = uv_async_init(loop, &inbox->wake, on_wake);

    if (rc != 0)
        return perche_err_set(err, PERCHE_INTERNAL, "no wake-up for the loop: %s", uv_strerror(rc));
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->head = NULL;
    inbox->tail = &inbox->head;
    inbox->on_closed = NULL;
    return PERCHE_OK;
}

void inbox_put(struct inbox *inbox, struct inbox_item *item)
{
    item->next = NULL;
    pthread_mutex_lock(&inbox->lock);
    *inbox->tail = item;
    inbox->tail = &item->next;
    /* Inside the lock: once it is free, the loop may take the item and close all of this. */
    (void)uv_async_send(&inbox->wake); /* fails only for a handle of another kind */
    pthread_mutex_unlock(&inbox->lock);
}

static struct inbox_item *take(struct inbox *inbox)
{
    struct inbox_item *item;

    pthread_mutex_lock(&inbox->lock);
    item = inbox->head;
    if (item) {
        inbox->head = item->next;
        if (!inbox->head)
            inbox->tail = &inbox->head;
    }
    pthread_mutex_unlock(&inbox->lock);
    return item;
}

/* One at a time: what is taken may drain again, when it closes the inbox, and may free
 * what later items lie in. */
void inbox_drain(struct inbox *inbox)
{
    struct inbox_item *item;

    for (unsigned i = 0; i < TAKEN_MAX; i++) {
        item = take(inbox);
        if (!item)
            return;
        item->on_taken(item);
    }
    if (!uv_is_closing((uv_handle_t *)&inbox->wake))
        (void)uv_async_send(&inbox->wake); /* the rest after the loop's other work */
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct inbox *inbox = container_of((uv_async_t *)handle, struct inbox, wake);

    assert(!inbox->head); /* nobody put anything after the last drain */
    pthread_mutex_destroy(&inbox->lock);
    inbox->on_closed(inbox);
}

void inbox_close(struct inbox *inbox, void (*on_closed)(struct inbox *inbox))
{
    inbox->on_closed = on_closed;
    for (struct inbox_item *item = take(inbox); item; item = take(inbox))
        item->on_taken(item);
    uv_close((uv_handle_t *)&inbox->wake, on_wake_closed);
}
