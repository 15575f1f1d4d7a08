/* The lock is a leaf: nng calls in with locks of its own, so no stream is closed under it.
 * A stream that is being closed is kept from being freed meanwhile: greetings_gone() waits,
 * which it does on nng's reaper alone, and no close waits for that. */
#include "net/greetings.h"

#include <pthread.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <uv.h>

struct greeting {
    struct greeting *next, **prev; /* in the order they came */
    nng_stream *stream;
    uint64_t since_ms;
    bool closing; /* by us, at this moment */
    bool ended;   /* closed by us: it is not counted any more */
    bool done;    /* meanwhile: whoever closes it frees this */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t closed = PTHREAD_COND_INITIALIZER;
static struct greeting *oldest, **tail = &oldest;
static uint32_t count, count_max, ended_count;

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000u;
}

static struct greeting *find(const nng_stream *stream)
{
    struct greeting *g;

    for (g = oldest; g && g->stream != stream; g = g->next)
        ;
    return g;
}

static void forget(struct greeting *g)
{
    *g->prev = g->next;
    if (g->next)
        g->next->prev = g->prev;
    else
        tail = g->prev;
    if (!g->ended)
        count--;
    free(g);
}

/* With the lock, which it lets go. */
static void end(struct greeting *g)
{
    g->ended = g->closing = true;
    count--;
    ended_count++;
    pthread_mutex_unlock(&lock);
    nng_stream_close(g->stream);
    pthread_mutex_lock(&lock);
    g->closing = false;
    if (g->done)
        forget(g);
    pthread_cond_broadcast(&closed);
}

/* The oldest that is not ended yet, when it has taken @ms. */
static struct greeting *late(uint64_t ms)
{
    struct greeting *g;

    for (g = oldest; g && g->ended; g = g->next)
        ;
    return g && now_ms() - g->since_ms >= ms ? g : NULL;
}

void greetings_bound(uint32_t max)
{
    pthread_mutex_lock(&lock);
    count_max = max;
    pthread_mutex_unlock(&lock);
}

uint32_t greetings_end_late(uint64_t ms)
{
    struct greeting *g;
    uint32_t n;

    pthread_mutex_lock(&lock);
    while ((g = late(ms)) != NULL)
        end(g);
    n = ended_count;
    ended_count = 0;
    pthread_mutex_unlock(&lock);
    return n;
}

bool greetings_begun(nng_stream *stream)
{
    struct greeting *g = calloc(1, sizeof(*g));

    if (!g)
        return false;
    g->stream = stream;
    g->since_ms = now_ms();
    pthread_mutex_lock(&lock);
    g->prev = tail;
    *tail = g;
    tail = &g->next;
    count++;
    if (count_max != 0 && count > count_max)
        end(late(0));
    pthread_mutex_unlock(&lock);
    return true;
}

void greetings_done(nng_stream *stream)
{
    struct greeting *g;

    pthread_mutex_lock(&lock);
    g = find(stream);
    if (g && g->closing)
        g->done = true;
    else if (g)
        forget(g);
    pthread_mutex_unlock(&lock);
}

void greetings_gone(nng_stream *stream)
{
    struct greeting *g;

    pthread_mutex_lock(&lock);
    while ((g = find(stream)) != NULL && g->closing)
        pthread_cond_wait(&closed, &lock);
    if (g)
        forget(g);
    pthread_mutex_unlock(&lock);
}
