/* The batches on their way to the hub: two at most, each beginning where the one
 * before it ends, acknowledged in that order whatever the order of the answers. */
#ifndef SYNC_WINDOW_H
#define SYNC_WINDOW_H

#include "perche/wire.h"

#define WINDOW_BATCHES 2

struct window_batch {
    uint32_t channel;
    uint64_t from, to, asof_lsn;
    uint64_t bytes, rows;
    bool more;      /* rows are left beyond `to` */
    bool pipelined; /* the next batch may begin at `to` before this one is acknowledged */
    bool answered;  /* reply and line_ms are here; the channel is free again */
    bool acking;    /* reply is with the replica */
    bool wanted;    /* the hub asked for rows in the reply */
    uint64_t line_ms;
    struct perche_message reply; /* owned */
};

struct window {
    struct window_batch batch[WINDOW_BATCHES]; /* oldest first */
    uint32_t count;
};

/* Room for one more at the end, zeroed. There must be room. */
struct window_batch *window_push(struct window *w);
/* Takes the oldest away, with what it owns. */
void window_pop(struct window *w);
void window_clear(struct window *w);
/* The batch that waits for an answer on @channel, or NULL. */
struct window_batch *window_on(struct window *w, uint32_t channel);
/* Bytes whose acknowledgement is awaited. */
uint64_t window_bytes(const struct window *w);
void window_check(const struct window *w);

#endif
