/* The lock is a leaf: nng calls in with locks of its own. */
#include "net/unproven.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS 1024u

struct line {
    struct line *next_pipe, *next_stream; /* in their buckets; the latter once there is a stream */
    uint32_t pipe;
    struct nng_stream *stream; /* NULL = none yet, or it is freed */
    size_t bytes_max;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line *by_pipe[BUCKETS], *by_stream[BUCKETS];

static struct line **of_pipe(uint32_t pipe)
{
    struct line **at = &by_pipe[pipe % BUCKETS];

    while (*at && (*at)->pipe != pipe)
        at = &(*at)->next_pipe;
    return at;
}

static struct line **of_stream(struct nng_stream *stream)
{
    struct line **at = &by_stream[((uintptr_t)stream >> 6) % BUCKETS];

    while (*at && (*at)->stream != stream)
        at = &(*at)->next_stream;
    return at;
}

static void untie(struct line *line)
{
    if (line->stream)
        *of_stream(line->stream) = line->next_stream;
    line->stream = NULL;
}

bool unproven_begun(uint32_t pipe, size_t bytes_max)
{
    struct line *line = calloc(1, sizeof(*line));
    struct line **at;

    if (!line)
        return false;
    line->pipe = pipe;
    line->bytes_max = bytes_max;
    pthread_mutex_lock(&lock);
    at = &by_pipe[pipe % BUCKETS];
    line->next_pipe = *at;
    *at = line;
    pthread_mutex_unlock(&lock);
    return true;
}

void unproven_done(uint32_t pipe)
{
    struct line **at, *line;

    pthread_mutex_lock(&lock);
    at = of_pipe(pipe);
    line = *at;
    if (line) {
        untie(line);
        *at = line->next_pipe;
    }
    pthread_mutex_unlock(&lock);
    free(line);
}

void unproven_uses(uint32_t pipe, struct nng_stream *stream)
{
    struct line *line, **at;

    pthread_mutex_lock(&lock);
    line = *of_pipe(pipe);
    if (line && line->stream != stream) {
        untie(line);
        line->stream = stream;
        at = &by_stream[((uintptr_t)stream >> 6) % BUCKETS];
        line->next_stream = *at;
        *at = line;
    }
    pthread_mutex_unlock(&lock);
}

void unproven_gone(struct nng_stream *stream)
{
    struct line *line;

    pthread_mutex_lock(&lock);
    line = *of_stream(stream);
    if (line)
        untie(line);
    pthread_mutex_unlock(&lock);
}

uint32_t unproven_exceeds(struct nng_stream *stream, size_t bytes)
{
    const struct line *line;
    uint32_t pipe;

    pthread_mutex_lock(&lock);
    line = *of_stream(stream);
    pipe = line && bytes > line->bytes_max ? line->pipe : 0;
    pthread_mutex_unlock(&lock);
    return pipe;
}
