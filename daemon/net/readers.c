/* Happy path: the loop puts a job into one of two queues; a thread that is free takes the
 * oldest that it may take, performs, leaves it in the inbox with its outcome.
 * On close: each thread ends after its work and says so; the last one's word lets the
 * loop join them all and close the connections. */
#include "net/readers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/container_of.h"

struct queue {
    struct job *head, **tail;
};

struct reader {
    struct readers *all;
    uv_thread_t thread;
    struct inbox_item ended;
    void *connection;   /* the thread's once it runs; NULL: could not be opened anew */
    unsigned opened_at; /* the generation that it was opened in */
    bool started;
    pthread_cond_t woken;
    bool idle; /* guarded by the lock: waits, and was not woken */
};

struct readers {
    struct reader_ops ops;
    struct inbox inbox;
    pthread_mutex_t lock;
    struct queue talk, people; /* guarded by lock, as the next four are */
    uint32_t waiting;
    uint32_t people_running;
    unsigned generation;
    bool closing;
    struct reader readers[READERS_COUNT];
    unsigned running;
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

static struct job *pop(struct queue *q)
{
    struct job *job = q->head;

    if (job) {
        q->head = job->next;
        if (!q->head)
            q->tail = &q->head;
    }
    return job;
}

/* Holds the lock. */
static struct job *take(struct readers *r)
{
    struct job *job = pop(&r->talk);

    if (!job && r->people_running + 1 < READERS_COUNT)
        job = pop(&r->people);
    if (job)
        r->waiting--;
    return job;
}

/* The first that is idle: the others stay cold, and their caches small, until they are needed. Holds the lock. */
static void wake_one(struct readers *r)
{
    for (unsigned i = 0; i < READERS_COUNT; i++) {
        if (r->readers[i].idle) {
            r->readers[i].idle = false;
            pthread_cond_signal(&r->readers[i].woken);
            return;
        }
    } /* none: whoever ends its work looks for more */
}

static void deliver(struct inbox_item *item)
{
    struct job *job = container_of(item, struct job, item);

    job->on_done(job);
}

static void perform(struct reader *reader, struct job *job, unsigned generation)
{
    struct readers *r = reader->all;
    struct perche_err err = {0};

    if (reader->opened_at != generation || !reader->connection) {
        if (reader->connection)
            r->ops.close(r->ops.ctx, reader->connection);
        reader->connection = NULL;
        reader->opened_at = generation;
        if (r->ops.open(r->ops.ctx, &reader->connection, &err) != PERCHE_OK) {
            reader->connection = NULL;
            job_fail(job, err.rc, err.text);
            return;
        }
    }
    r->ops.perform(r->ops.ctx, reader->connection, &job->work, &job->outcome);
}

static void run(void *arg)
{
    struct reader *reader = arg;
    struct readers *r = reader->all;

    pthread_mutex_lock(&r->lock);
    while (!r->closing) {
        struct job *job = take(r);
        unsigned generation = r->generation;
        bool people;

        if (!job) {
            reader->idle = true;
            pthread_cond_wait(&reader->woken, &r->lock);
            reader->idle = false;
            continue;
        }
        people = job->work.kind == WORK_QUERY;
        r->people_running += people;
        pthread_mutex_unlock(&r->lock);
        perform(reader, job, generation);
        inbox_put(&r->inbox, &job->item);
        pthread_mutex_lock(&r->lock);
        r->people_running -= people;
        if (people)
            wake_one(r); /* the next question may run now */
    }
    pthread_mutex_unlock(&r->lock);
    inbox_put(&r->inbox, &reader->ended);
}

static void readers_free(struct readers *r)
{
    for (unsigned i = 0; i < READERS_COUNT; i++)
        if (r->readers[i].connection)
            r->ops.close(r->ops.ctx, r->readers[i].connection);
    for (unsigned i = 0; i < READERS_COUNT; i++)
        pthread_cond_destroy(&r->readers[i].woken);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void on_inbox_closed(struct inbox *inbox)
{
    struct readers *r = container_of(inbox, struct readers, inbox);
    void *ctx = r->closed_ctx;
    void (*on_closed)(void *ctx) = r->on_closed;

    readers_free(r);
    if (on_closed)
        on_closed(ctx);
}

static void on_ended(struct inbox_item *item)
{
    struct reader *reader = container_of(item, struct reader, ended);
    struct readers *r = reader->all;
    struct job *job;

    (void)uv_thread_join(&reader->thread); /* has left its loop already */
    if (--r->running > 0)
        return;
    while ((job = pop(&r->talk)) != NULL || (job = pop(&r->people)) != NULL) {
        job_fail(job, PERCHE_STATE, "the daemon is stopping");
        job->on_done(job);
    }
    inbox_close(&r->inbox, on_inbox_closed);
}

enum perche_rc readers_new(uv_loop_t *loop, const struct reader_ops *ops, struct readers **out,
                           struct perche_err *err)
{
    struct readers *r = calloc(1, sizeof(*r));
    enum perche_rc rc = PERCHE_OK;

    if (!r)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the readers");
    r->ops = *ops;
    r->talk.tail = &r->talk.head;
    r->people.tail = &r->people.head;
    pthread_mutex_init(&r->lock, NULL);
    for (unsigned i = 0; i < READERS_COUNT; i++)
        pthread_cond_init(&r->readers[i].woken, NULL);
    for (unsigned i = 0; i < READERS_COUNT && rc == PERCHE_OK; i++) {
        r->readers[i].all = r;
        r->readers[i].ended.on_taken = on_ended;
        rc = ops->open(ops->ctx, &r->readers[i].connection, err);
        if (rc != PERCHE_OK)
            r->readers[i].connection = NULL;
    }
    if (rc == PERCHE_OK)
        rc = inbox_init(&r->inbox, loop, err);
    if (rc != PERCHE_OK) {
        readers_free(r);
        return rc;
    }
    for (unsigned i = 0; i < READERS_COUNT; i++) {
        r->readers[i].started = uv_thread_create(&r->readers[i].thread, run, &r->readers[i]) == 0;
        r->running += r->readers[i].started;
    }
    if (r->running < READERS_COUNT) { /* whoever has started ends by itself and frees the rest */
        if (r->running > 0)
            readers_close(r, NULL, NULL);
        else
            inbox_close(&r->inbox, on_inbox_closed);
        return perche_err_set(err, PERCHE_NOMEM, "no threads for the readers");
    }
    *out = r;
    return PERCHE_OK;
}

enum perche_rc readers_put(struct readers *r, struct job *job, struct perche_err *err)
{
    struct queue *q = job->work.kind == WORK_QUERY ? &r->people : &r->talk;
    enum perche_rc rc = PERCHE_OK;

    assert(!work_writes(job->work.kind));
    job->item.on_taken = deliver;
    job->next = NULL;
    pthread_mutex_lock(&r->lock);
    if (r->closing) {
        rc = PERCHE_STATE;
    } else if (r->waiting >= READERS_JOBS_MAX) {
        rc = PERCHE_BUSY;
    } else {
        *q->tail = job;
        q->tail = &job->next;
        r->waiting++;
        wake_one(r);
    }
    pthread_mutex_unlock(&r->lock);
    if (rc != PERCHE_OK)
        return perche_err_set(
            err, rc, rc == PERCHE_STATE ? "the daemon is stopping" : "too much waits to be read");
    return PERCHE_OK;
}

void readers_reopen(struct readers *r)
{
    pthread_mutex_lock(&r->lock);
    r->generation++;
    pthread_mutex_unlock(&r->lock);
}

void readers_close(struct readers *r, void *ctx, void (*on_closed)(void *ctx))
{
    assert(!r->closing);
    r->closed_ctx = ctx;
    r->on_closed = on_closed;
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    for (unsigned i = 0; i < READERS_COUNT; i++)
        pthread_cond_signal(&r->readers[i].woken);
    pthread_mutex_unlock(&r->lock);
}
