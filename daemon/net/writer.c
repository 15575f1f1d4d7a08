/* Happy path: the loop puts a job; the thread takes one, or a group of pushed batches,
 * performs, and leaves each job in the inbox with its outcome.
 * Failures are the outcomes' own. When the file was replaced under us nothing is
 * reported, as an acknowledgement of it would be a lie: the jobs come back with STATE.
 * On close: the thread ends after the transaction under way and says so through the
 * inbox; only then is it joined, so the loop never waits for the disk. */
#include "net/writer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/container_of.h"
#include "net/identity.h"

/* A realistic row takes 33 bytes in a batch (MEASURED); short ones count as more rows. */
#define ROW_BYTES 32u

struct writer {
    struct writer_ops ops;
    struct writer_events events;
    struct inbox inbox;
    struct inbox_item ended, replaced;
    uv_thread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *head, **tail; /* guarded by lock */
    uint32_t waiting;         /* guarded by lock */
    bool closing;             /* guarded by lock; the loop alone sets it */
    bool file_replaced;       /* the thread's */
    uint64_t others_ms, rested_ms, ended_ms, owed_ms;
    struct work *works; /* of a group, the thread's */
    struct outcome *outcomes;
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000u;
}

/* ---- groups ---------------------------------------------------------------- */

static uint32_t rows_of(const struct work *work)
{
    return work->message.u.push.batch.n / ROW_BYTES + 1;
}

static void unlink_job(struct writer *w, struct job **at)
{
    struct job *job = *at;

    *at = job->next;
    if (w->tail == &job->next)
        w->tail = at;
    w->waiting--;
}

/* May a pushed batch go before this one? Not before a command of a person, which may
 * revoke its site, and not before anything else about the same site. */
static bool is_barrier(const struct work *work)
{
    return work->kind == WORK_COMMAND;
}

static bool seen(struct job *const *skipped, uint32_t count, const char *site)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(skipped[i]->work.site, site) == 0)
            return true;
    return false;
}

/* Takes the next job, and with a pushed batch the others that wait. Holds the lock. */
static uint32_t take(struct writer *w, struct job **group)
{
    struct job *skipped[32], **at = &w->head;
    uint32_t count = 0, skipped_count = 0, rows = 0;
    struct job *job = w->head;

    group[count++] = job;
    unlink_job(w, at);
    if (job->work.kind != WORK_PUSH_APPLY)
        return count;
    rows = rows_of(&job->work);
    while ((job = *at) != NULL && count < WRITER_GROUP_MAX && !is_barrier(&job->work)) {
        if (job->work.kind != WORK_PUSH_APPLY || seen(skipped, skipped_count, job->work.site)) {
            if (skipped_count == sizeof(skipped) / sizeof(skipped[0]))
                break;
            skipped[skipped_count++] = job;
            at = &job->next;
            continue;
        }
        if (rows + rows_of(&job->work) > PERCHE_GROUP_ROWS_MAX)
            break;
        rows += rows_of(&job->work);
        group[count++] = job;
        unlink_job(w, at);
    }
    return count;
}

/* ---- the thread ------------------------------------------------------------ */

static void deliver(struct inbox_item *item)
{
    struct job *job = container_of(item, struct job, item);

    job_tell(job);
    job->on_done(job);
}

static void perform(struct writer *w, struct job **group, uint32_t count)
{
    if (w->file_replaced) {
        for (uint32_t i = 0; i < count; i++)
            job_fail(group[i], PERCHE_STATE, "the replica's file was replaced");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        w->works[i] = group[i]->work; /* borrowed: the job still owns what is in it */
        memset(&w->outcomes[i], 0, sizeof(w->outcomes[i]));
    }
    w->ops.perform(w->ops.ctx, w->works, w->outcomes, count);
    for (uint32_t i = 0; i < count; i++)
        group[i]->outcome = w->outcomes[i];
    if (w->ops.same_file && !w->ops.same_file(w->ops.ctx)) {
        w->file_replaced = true;
        for (uint32_t i = 0; i < count; i++) {
            outcome_free(&group[i]->outcome);
            job_fail(group[i], PERCHE_STATE, "the replica's file was replaced");
        }
        inbox_put(&w->inbox, &w->replaced);
    }
}

/* Leaves the lock to others. Ends early only for a close. Holds w->lock. */
static void step_back(struct writer *w, uint64_t ms)
{
    struct timespec until;
    uint64_t end = now_ms() + ms;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000u) * 1000000;
    until.tv_sec += (time_t)(ms / 1000u) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!w->closing && now_ms() < end)
        (void)pthread_cond_timedwait(&w->changed, &w->lock,
                                     &until); /* late or woken: asked above */
    w->rested_ms = now_ms();
}

/* How long the lock is left free after a transaction of @held ms that ended at @now.
 * Beside another writer: nothing after a short work now and then, as much as was held under
 * load, so that most looks of a waiting program find the lock free. */
static uint64_t rest_ms(struct writer *w, uint64_t held, uint64_t now)
{
    uint64_t free_ms = now - held - w->ended_ms;

    w->ended_ms = now;
    if (!w->file_replaced && w->ops.others_wrote(w->ops.ctx))
        w->others_ms = now;
    if (w->others_ms != 0 && now - w->others_ms < WRITER_OTHERS_MS) {
        w->owed_ms = (w->owed_ms > free_ms ? w->owed_ms - free_ms : 0) + 4 * held + 1;
        if (w->owed_ms <= WRITER_OWED_MS)
            return 0;
        w->owed_ms = 0;
        if (held < WRITER_STEP_BACK_MS)
            return WRITER_STEP_BACK_MS;
        return held < WRITER_BREATH_REST_MS ? held : WRITER_BREATH_REST_MS;
    }
    if (now - w->rested_ms >= WRITER_BREATH_MS)
        return WRITER_BREATH_REST_MS;
    return 0;
}

/* Performs, tells, and leaves the lock to others as long as is due. How the first ended. */
static enum perche_rc carry_out(struct writer *w, struct job **group, uint32_t count)
{
    uint64_t began = now_ms(), ended, rest;
    enum perche_rc rc;

    perform(w, group, count);
    ended = now_ms();
    rc = group[0]->outcome.rc;
    for (uint32_t i = 0; i < count; i++) /* on disk: may be told */
        inbox_put(&w->inbox, &group[i]->item);
    rest = rest_ms(w, ended - began, ended);
    pthread_mutex_lock(&w->lock);
    if (rest > 0)
        step_back(w, rest);
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static bool is_closing(struct writer *w)
{
    bool closing;

    pthread_mutex_lock(&w->lock);
    closing = w->closing;
    pthread_mutex_unlock(&w->lock);
    return closing;
}

/* What waits now, no more: programs may write faster than it is taken. */
static void harvest_before(struct writer *w, const struct work *next)
{
    uint32_t chunks = w->ops.backlog && next->kind != WORK_HARVEST && !w->file_replaced ? w->ops.backlog(w->ops.ctx) : 0;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; i < chunks && rc == PERCHE_OK && !is_closing(w); i++) {
        struct job *job = job_new(WORK_HARVEST, w->events.ctx, w->events.on_harvested);

        if (!job)
            return; /* the work takes all of it along */
        job->item.on_taken = deliver;
        job->work.now_ms = next->now_ms;
        job->work.rows_max = PERCHE_HARVEST_CHUNK_ROWS;
        identity_random(job->work.random, sizeof(job->work.random));
        rc = carry_out(w, &job, 1);
    }
}

static void run(void *arg)
{
    struct writer *w = arg;
    struct job *group[WRITER_GROUP_MAX];

    pthread_mutex_lock(&w->lock);
    w->rested_ms = now_ms();
    for (;;) {
        uint32_t count;

        while (!w->head && !w->closing) {
            pthread_cond_wait(&w->changed, &w->lock);
            w->rested_ms = now_ms();
        }
        if (w->closing)
            break;
        count = take(w, group);
        pthread_mutex_unlock(&w->lock);
        harvest_before(w, &group[0]->work);
        (void)carry_out(w, group, count);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    inbox_put(&w->inbox, &w->ended);
}

/* ---- on the loop ------------------------------------------------------------ */

static void writer_free(struct writer *w)
{
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w->works);
    free(w->outcomes);
    free(w);
}

static void on_inbox_closed(struct inbox *inbox)
{
    struct writer *w = container_of(inbox, struct writer, inbox);
    void *ctx = w->closed_ctx;
    void (*on_closed)(void *ctx) = w->on_closed;

    writer_free(w);
    on_closed(ctx);
}

static void on_ended(struct inbox_item *item)
{
    struct writer *w = container_of(item, struct writer, ended);
    struct job *job;

    (void)uv_thread_join(&w->thread); /* has left its loop already */
    while ((job = w->head) != NULL) {
        unlink_job(w, &w->head);
        job_fail(job, PERCHE_STATE, "the daemon is stopping");
        job->on_done(job);
    }
    inbox_close(&w->inbox, on_inbox_closed);
}

static void on_replaced(struct inbox_item *item)
{
    struct writer *w = container_of(item, struct writer, replaced);

    if (!w->closing)
        w->events.on_file_replaced(w->events.ctx);
}

enum perche_rc writer_new(uv_loop_t *loop, const struct writer_ops *ops,
                          const struct writer_events *events, struct writer **out,
                          struct perche_err *err)
{
    struct writer *w = calloc(1, sizeof(*w));
    pthread_condattr_t monotonic;
    enum perche_rc rc;

    if (!w)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the writer");
    w->ops = *ops;
    w->events = *events;
    w->tail = &w->head;
    w->ended.on_taken = on_ended;
    w->replaced.on_taken = on_replaced;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    w->works = calloc(WRITER_GROUP_MAX, sizeof(*w->works));
    w->outcomes = calloc(WRITER_GROUP_MAX, sizeof(*w->outcomes));
    if (!w->works || !w->outcomes)
        rc = perche_err_set(err, PERCHE_NOMEM, "no memory for the writer");
    else
        rc = inbox_init(&w->inbox, loop, err);
    if (rc != PERCHE_OK) {
        writer_free(w);
        return rc;
    }
    /* Beyond this point a failure would leave a handle behind: a process that cannot start
     * one thread more has no use for what is left of it. */
    if (uv_thread_create(&w->thread, run, w) != 0) {
        uv_close((uv_handle_t *)&w->inbox.wake, NULL);
        uv_run(loop, UV_RUN_NOWAIT);
        writer_free(w);
        return perche_err_set(err, PERCHE_NOMEM, "no thread for the writer");
    }
    *out = w;
    return PERCHE_OK;
}

enum perche_rc writer_put(struct writer *w, struct job *job, struct perche_err *err)
{
    enum perche_rc rc = PERCHE_OK;

    assert(work_writes(job->work.kind));
    job->item.on_taken = deliver;
    job->next = NULL;
    pthread_mutex_lock(&w->lock);
    if (w->closing) {
        rc = PERCHE_STATE;
    } else if (w->waiting >= WRITER_JOBS_MAX) {
        rc = PERCHE_BUSY;
    } else {
        *w->tail = job;
        w->tail = &job->next;
        w->waiting++;
        pthread_cond_signal(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    if (rc != PERCHE_OK)
        return perche_err_set(err, rc,
                              rc == PERCHE_STATE ? "the daemon is stopping"
                                                 : "too much waits to be written");
    return PERCHE_OK;
}

uint32_t writer_waiting(const struct writer *w)
{
    struct writer *open = (struct writer *)(uintptr_t)w; /* the lock is not part of what is read */
    uint32_t waiting;

    pthread_mutex_lock(&open->lock);
    waiting = open->waiting;
    pthread_mutex_unlock(&open->lock);
    return waiting;
}

void writer_close(struct writer *w, void *ctx, void (*on_closed)(void *ctx))
{
    assert(!w->closing);
    w->closed_ctx = ctx;
    w->on_closed = on_closed;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}
