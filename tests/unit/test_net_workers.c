/* The writer thread, the readers, and the watch on the replica's files; with replicas of
 * straw behind them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "loop.h"
#include "net/inbox.h"
#include "net/readers.h"
#include "net/wal_watch.h"
#include "net/writer.h"

#define STEPS_MAX 600

struct world {
    uv_loop_t loop;
    bool closed;
    /* what the replica of straw does and saw; guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hold; /* the next perform waits until this is false */
    bool holding;
    bool others, same;
    unsigned slow_ms; /* how long a perform takes */
    struct step {
        uint32_t count;
        enum work_kind kind;
        uint64_t first_tag, began_ms, ended_ms;
    } steps[STEPS_MAX];
    unsigned steps_count;
    unsigned together, together_max; /* readers */
    unsigned people_now, people_max;
    unsigned opened, open_now;
    bool fail_open;
    /* on the loop */
    uint64_t done[STEPS_MAX];
    enum perche_rc rcs[STEPS_MAX];
    unsigned done_count, want;
    bool all_done;
    unsigned replaced, changes;
    bool was_replaced, was_changed;
    uint32_t backlog, harvested; /* chunks that programs have written; on_harvested() calls */
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000u;
}

static void on_closed(void *ctx)
{
    ((struct world *)ctx)->closed = true;
}

static void on_done(struct job *job)
{
    struct world *w = job->ctx;

    w->rcs[w->done_count] = job->outcome.rc;
    w->done[w->done_count++] = job->work.tag;
    w->all_done = w->done_count >= w->want;
    job_free(job);
}

static void wait_for(struct world *w, unsigned count)
{
    w->want = count;
    w->all_done = w->done_count >= count;
    assert_true(loop_until(&w->loop, &w->all_done));
}

/* ---- the writer's replica ------------------------------------------------------- */

static void perform(void *ctx, const struct work *works, struct outcome *outcomes, uint32_t count)
{
    struct world *w = ctx;
    struct step *step;

    pthread_mutex_lock(&w->lock);
    assert_true(w->steps_count < STEPS_MAX);
    step = &w->steps[w->steps_count++];
    step->count = count;
    step->kind = works[0].kind;
    step->first_tag = works[0].tag;
    step->began_ms = now_ms();
    w->holding = true;
    pthread_cond_broadcast(&w->changed);
    while (w->hold)
        pthread_cond_wait(&w->changed, &w->lock);
    while (now_ms() < step->began_ms + w->slow_ms) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&w->changed, &w->lock, &until); /* asked above */
    }
    w->holding = false;
    step->ended_ms = now_ms();
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < count; i++)
        outcomes[i] = (struct outcome){.kind = works[i].kind, .tag = works[i].tag};
}

static bool others_wrote(void *ctx)
{
    struct world *w = ctx;
    bool others;

    pthread_mutex_lock(&w->lock);
    others = w->others;
    pthread_mutex_unlock(&w->lock);
    return others;
}

static bool same_file(void *ctx)
{
    struct world *w = ctx;
    bool same;

    pthread_mutex_lock(&w->lock);
    same = w->same;
    pthread_mutex_unlock(&w->lock);
    return same;
}

static uint32_t backlog(void *ctx)
{
    struct world *w = ctx;

    return w->backlog;
}

static void on_harvested(struct job *job)
{
    struct world *w = job->ctx;

    assert_true(job->work.kind == WORK_HARVEST && job->work.rows_max == PERCHE_HARVEST_CHUNK_ROWS && job->work.now_ms == 77);
    w->harvested++;
    job_free(job);
}

static void on_file_replaced(void *ctx)
{
    struct world *w = ctx;

    w->replaced++;
    w->was_replaced = true;
}

static struct writer *writer_start(struct world *w)
{
    struct writer_ops ops = {
        .ctx = w, .perform = perform, .others_wrote = others_wrote, .same_file = same_file, .backlog = backlog};
    struct writer_events events = {.ctx = w, .on_file_replaced = on_file_replaced, .on_harvested = on_harvested};
    struct writer *writer = NULL;

    assert_int_equal(writer_new(&w->loop, &ops, &events, &writer, NULL), PERCHE_OK);
    return writer;
}

static void writer_stop(struct world *w, struct writer *writer)
{
    w->closed = false;
    writer_close(writer, w, on_closed);
    assert_true(loop_until(&w->loop, &w->closed));
}

static struct job *job_of(struct world *w, enum work_kind kind, uint64_t tag, const char *site)
{
    struct job *job = job_new(kind, w, on_done);

    assert_non_null(job);
    job->work.tag = tag;
    (void)snprintf(job->work.site, sizeof(job->work.site), "%s", site);
    return job;
}

static void put(struct world *w, struct writer *writer, enum work_kind kind, uint64_t tag,
                const char *site)
{
    assert_int_equal(writer_put(writer, job_of(w, kind, tag, site), NULL), PERCHE_OK);
}

/* What is put between hold() and go() waits together. */
static void hold(struct world *w, struct writer *writer)
{
    pthread_mutex_lock(&w->lock);
    w->hold = true;
    pthread_mutex_unlock(&w->lock);
    put(w, writer, WORK_HARVEST, 1000, "");
    pthread_mutex_lock(&w->lock);
    while (!w->holding)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static void go(struct world *w)
{
    pthread_mutex_lock(&w->lock);
    w->hold = false;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->same = true;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return 0;
}

/* ---- the writer -------------------------------------------------------------------- */

static void pushed_batches_that_wait_become_one_group(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);
    char site[8];

    hold(w, writer);
    for (unsigned i = 1; i <= 50; i++) {
        (void)snprintf(site, sizeof(site), "s%u", i);
        put(w, writer, WORK_PUSH_APPLY, i, site);
    }
    go(w);
    wait_for(w, 51);
    assert_int_equal(w->steps_count, 2);
    assert_int_equal(w->steps[1].count, 50);
    writer_stop(w, writer);
}

static void other_works_are_written_one_at_a_time_in_their_order(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);

    hold(w, writer);
    put(w, writer, WORK_HARVEST, 1, "");
    put(w, writer, WORK_PROVE_JUDGE, 2, "a");
    put(w, writer, WORK_PEER_NOTE, 3, "b");
    go(w);
    wait_for(w, 4);
    assert_int_equal(w->steps_count, 4);
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(w->steps[i].count, 1);
        assert_int_equal(w->steps[i].first_tag, i);
        assert_int_equal(w->done[i], i);
    }
    writer_stop(w, writer);
}

static void a_batch_does_not_overtake_its_own_sites_earlier_work(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);

    hold(w, writer);
    put(w, writer, WORK_PUSH_APPLY, 1, "a");
    put(w, writer, WORK_PROVE_JUDGE, 2, "b");
    put(w, writer, WORK_PUSH_APPLY, 3, "c"); /* goes with the first */
    put(w, writer, WORK_PUSH_APPLY, 4, "b"); /* waits for 2 */
    go(w);
    wait_for(w, 5);
    assert_int_equal(w->steps_count, 4);
    assert_int_equal(w->steps[1].count, 2);
    assert_int_equal(w->steps[2].first_tag, 2);
    assert_int_equal(w->steps[3].first_tag, 4);
    writer_stop(w, writer);
}

static void a_batch_does_not_overtake_a_command(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);

    hold(w, writer);
    put(w, writer, WORK_PUSH_APPLY, 1, "a");
    put(w, writer, WORK_COMMAND, 2, "");
    put(w, writer, WORK_PUSH_APPLY, 3, "b"); /* of a site that the command may have revoked */
    go(w);
    wait_for(w, 4);
    assert_int_equal(w->steps_count, 4);
    assert_int_equal(w->steps[2].first_tag, 2);
    assert_int_equal(w->steps[3].first_tag, 3);
    writer_stop(w, writer);
}

static void a_group_is_bounded_in_rows(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);
    struct job *job;

    hold(w, writer);
    for (unsigned i = 1; i <= 3; i++) { /* each about 3,000 rows */
        job = job_of(w, WORK_PUSH_APPLY, i, "");
        job->work.site[0] = (char)('a' + i);
        job->work.message.u.push.batch.n = 3000 * 32;
        assert_int_equal(writer_put(writer, job, NULL), PERCHE_OK);
    }
    go(w);
    wait_for(w, 4);
    assert_int_equal(w->steps_count, 4);
    writer_stop(w, writer);
}

/* The least time between the end of a transaction and the next one's beginning. */
static uint64_t least_rest(struct world *w, unsigned works, unsigned slow_ms, bool others)
{
    struct writer *writer = writer_start(w);
    uint64_t least = UINT64_MAX;

    pthread_mutex_lock(&w->lock);
    w->others = others;
    w->slow_ms = slow_ms;
    pthread_mutex_unlock(&w->lock);
    hold(w, writer);
    for (unsigned i = 1; i <= works; i++)
        put(w, writer, WORK_HARVEST, i, "");
    go(w);
    wait_for(w, works + 1);
    for (unsigned i = 1; i <= works; i++)
        if (w->steps[i].began_ms - w->steps[i - 1].ended_ms < least)
            least = w->steps[i].began_ms - w->steps[i - 1].ended_ms;
    writer_stop(w, writer);
    return least;
}

static void the_lock_is_left_to_a_writer_that_was_seen(void **state)
{
    struct world *w = *state;

    assert_true(least_rest(w, 5, 5, true) >= WRITER_STEP_BACK_MS);
}

static void after_a_long_transaction_the_lock_is_left_for_as_long(void **state)
{
    struct world *w = *state;

    assert_true(least_rest(w, 3, 60, true) >= 60);
}

static unsigned long_rests(const struct world *w, unsigned works, uint64_t ms)
{
    unsigned count = 0;

    for (unsigned i = 1; i <= works; i++)
        count += w->steps[i].began_ms - w->steps[i - 1].ended_ms >= ms;
    return count;
}

static void a_few_short_transactions_put_nothing_off_but_many_leave_the_lock(void **state)
{
    struct world *w = *state;
    unsigned works = 3 * WRITER_OWED_MS + 3;

    assert_true(least_rest(w, works, 0, true) == 0);
    assert_true(long_rests(w, works, WRITER_STEP_BACK_MS) >= 2); /* each owes a millisecond at least */
    assert_true(long_rests(w, works, 1) < works / 2);
}

/* A program that waits for the lock has not written and cannot be seen. */
static void a_long_load_rests_now_and_then_for_those_who_cannot_be_seen(void **state)
{
    struct world *w = *state;
    unsigned works = WRITER_BREATH_MS / 100 + 3;

    (void)least_rest(w, works, 100, false);
    assert_true(long_rests(w, works, WRITER_BREATH_REST_MS) >= 1); /* a busy machine may add some */
}

static void with_nobody_else_writing_works_go_back_to_back(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);

    hold(w, writer);
    for (unsigned i = 1; i <= 200; i++)
        put(w, writer, WORK_HARVEST, i, "");
    go(w);
    wait_for(w, 201);
    assert_true(w->steps[200].ended_ms - w->steps[1].began_ms < 200 * WRITER_STEP_BACK_MS / 2);
    writer_stop(w, writer);
}

static void outcomes_come_before_the_writer_steps_back(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);

    pthread_mutex_lock(&w->lock);
    w->others = true;
    pthread_mutex_unlock(&w->lock);
    put(w, writer, WORK_HARVEST, 1, "");
    wait_for(w, 1); /* reaches here although nothing wakes the writer */
    assert_int_equal(w->rcs[0], PERCHE_OK);
    writer_stop(w, writer);
}

static void nothing_is_told_of_what_went_into_a_replaced_file(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);

    put(w, writer, WORK_HARVEST, 1, "");
    wait_for(w, 1);
    assert_int_equal(w->rcs[0], PERCHE_OK);
    pthread_mutex_lock(&w->lock);
    w->same = false;
    pthread_mutex_unlock(&w->lock);
    put(w, writer, WORK_PUSH_APPLY, 2, "a");
    wait_for(w, 2);
    assert_int_equal(w->rcs[1], PERCHE_STATE);
    assert_true(loop_until(&w->loop, &w->was_replaced));
    put(w, writer, WORK_PUSH_APPLY, 3, "a");
    wait_for(w, 3);
    assert_int_equal(w->rcs[2], PERCHE_STATE);
    assert_int_equal(w->replaced, 1);
    assert_int_equal(w->steps_count, 2); /* the third was not even tried */
    writer_stop(w, writer);
}

static void a_close_ends_the_work_under_way_and_gives_the_others_back(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);

    hold(w, writer);
    put(w, writer, WORK_HARVEST, 1, "");
    put(w, writer, WORK_PUSH_APPLY, 2, "a");
    w->closed = false;
    writer_close(writer, w, on_closed);
    loop_for(&w->loop, 20);
    assert_false(w->closed); /* the loop does not wait for the disk, nor end without it */
    go(w);
    assert_true(loop_until(&w->loop, &w->closed));
    assert_int_equal(w->done_count, 3);
    assert_int_equal(w->done[0], 1000);
    assert_int_equal(w->rcs[0], PERCHE_OK);
    assert_int_equal(w->rcs[1], PERCHE_STATE);
    assert_int_equal(w->rcs[2], PERCHE_STATE);
    assert_int_equal(w->steps_count, 1);
}

static void the_writers_queue_is_bounded(void **state)
{
    struct world *w = *state;
    struct writer *writer = writer_start(w);
    struct job *job;

    hold(w, writer);
    for (unsigned i = 0; i < WRITER_JOBS_MAX; i++) {
        job = job_new(WORK_HARVEST, w, job_free);
        assert_non_null(job);
        assert_int_equal(writer_put(writer, job, NULL), PERCHE_OK);
    }
    assert_int_equal(writer_waiting(writer), WRITER_JOBS_MAX);
    job = job_new(WORK_HARVEST, w, job_free);
    assert_int_equal(writer_put(writer, job, NULL), PERCHE_BUSY);
    job_free(job);
    w->closed = false;
    writer_close(writer, w, on_closed); /* before go(): they come back unwritten */
    go(w);
    assert_true(loop_until(&w->loop, &w->closed));
    assert_int_equal(w->steps_count, 1);
}

/* ---- the readers ------------------------------------------------------------------------ */

static enum perche_rc reader_open(void *ctx, void **out, struct perche_err *err)
{
    struct world *w = ctx;
    bool fails;

    pthread_mutex_lock(&w->lock);
    fails = w->fail_open;
    w->opened += !fails;
    w->open_now += !fails;
    pthread_mutex_unlock(&w->lock);
    if (fails)
        return perche_err_set(err, PERCHE_CORRUPT, "straw");
    *out = w;
    return PERCHE_OK;
}

static void reader_close(void *ctx, void *reader)
{
    struct world *w = ctx;

    assert_ptr_equal(reader, w);
    pthread_mutex_lock(&w->lock);
    w->open_now--;
    pthread_mutex_unlock(&w->lock);
}

static void reader_perform(void *ctx, void *reader, const struct work *work,
                           struct outcome *outcome)
{
    struct world *w = ctx;
    bool people = work->kind == WORK_QUERY;

    assert_ptr_equal(reader, w);
    pthread_mutex_lock(&w->lock);
    w->together++;
    w->people_now += people;
    if (w->together > w->together_max)
        w->together_max = w->together;
    if (w->people_now > w->people_max)
        w->people_max = w->people_now;
    pthread_cond_broadcast(&w->changed);
    while (w->hold)
        pthread_cond_wait(&w->changed, &w->lock);
    w->together--;
    w->people_now -= people;
    pthread_mutex_unlock(&w->lock);
    *outcome = (struct outcome){.kind = work->kind, .tag = work->tag};
}

static struct readers *readers_start(struct world *w)
{
    struct reader_ops ops = {
        .ctx = w, .open = reader_open, .close = reader_close, .perform = reader_perform};
    struct readers *readers = NULL;

    assert_int_equal(readers_new(&w->loop, &ops, &readers, NULL), PERCHE_OK);
    return readers;
}

static void readers_stop(struct world *w, struct readers *readers)
{
    w->closed = false;
    readers_close(readers, w, on_closed);
    assert_true(loop_until(&w->loop, &w->closed));
    assert_int_equal(w->open_now, 0);
}

static void ask(struct world *w, struct readers *readers, enum work_kind kind, uint64_t tag)
{
    assert_int_equal(readers_put(readers, job_of(w, kind, tag, ""), NULL), PERCHE_OK);
}

static void readers_work_side_by_side(void **state)
{
    struct world *w = *state;
    struct readers *readers = readers_start(w);

    w->hold = true;
    for (unsigned i = 1; i <= 10; i++)
        ask(w, readers, WORK_PULL_ANSWER, i);
    pthread_mutex_lock(&w->lock);
    while (w->together < READERS_COUNT)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    go(w);
    wait_for(w, 10);
    assert_int_equal(w->together_max, READERS_COUNT);
    assert_int_equal(w->opened, READERS_COUNT);
    readers_stop(w, readers);
}

static void questions_of_people_leave_one_reader_to_the_conversation(void **state)
{
    struct world *w = *state;
    struct readers *readers = readers_start(w);

    w->hold = true;
    for (unsigned i = 1; i <= 6; i++)
        ask(w, readers, WORK_QUERY, i);
    pthread_mutex_lock(&w->lock);
    while (w->people_now < READERS_COUNT - 1)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    ask(w, readers, WORK_PULL_ANSWER, 7);
    pthread_mutex_lock(&w->lock);
    while (w->together < READERS_COUNT) /* would wait for ever if the questions held them all */
        pthread_cond_wait(&w->changed, &w->lock);
    assert_int_equal(w->people_now, READERS_COUNT - 1);
    pthread_mutex_unlock(&w->lock);
    go(w);
    wait_for(w, 7);
    assert_int_equal(w->people_max, READERS_COUNT - 1);
    readers_stop(w, readers);
}

static void readers_open_anew_when_told_and_say_so_when_they_cannot(void **state)
{
    struct world *w = *state;
    struct readers *readers = readers_start(w);

    readers_reopen(readers);
    for (unsigned i = 1; i <= 20; i++)
        ask(w, readers, WORK_STATE, i);
    wait_for(w, 20);
    assert_true(w->opened > READERS_COUNT);
    assert_int_equal(w->open_now, READERS_COUNT);
    pthread_mutex_lock(&w->lock);
    w->fail_open = true;
    pthread_mutex_unlock(&w->lock);
    readers_reopen(readers);
    ask(w, readers, WORK_STATE, 21);
    wait_for(w, 21);
    assert_int_equal(w->rcs[20], PERCHE_CORRUPT);
    pthread_mutex_lock(&w->lock);
    w->fail_open = false;
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 22; i <= 30; i++)
        ask(w, readers, WORK_STATE, i);
    wait_for(w, 30);
    assert_int_equal(w->rcs[29], PERCHE_OK);
    readers_stop(w, readers);
}

static void readers_that_cannot_open_do_not_start(void **state)
{
    struct world *w = *state;
    struct reader_ops ops = {
        .ctx = w, .open = reader_open, .close = reader_close, .perform = reader_perform};
    struct readers *readers = NULL;
    struct perche_err err = {0};

    w->fail_open = true;
    assert_int_equal(readers_new(&w->loop, &ops, &readers, &err), PERCHE_CORRUPT);
    assert_string_equal(err.text, "straw");
    assert_int_equal(w->open_now, 0);
}

/* ---- the watch ----------------------------------------------------------------------------- */

static void on_changed(void *ctx)
{
    struct world *w = ctx;

    w->changes++;
    w->was_changed = true;
}

static void on_replaced(void *ctx)
{
    struct world *w = ctx;

    w->replaced++;
    w->was_replaced = true;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

struct watched {
    char dir[64], db[96], wal[96];
    struct wal_watch *watch;
};

static void watch_start(struct world *w, struct watched *x)
{
    struct wal_watch_events events = {
        .ctx = w, .on_changed = on_changed, .on_replaced = on_replaced};

    (void)snprintf(x->dir, sizeof(x->dir), "/tmp/perche-watch-XXXXXX");
    assert_non_null(mkdtemp(x->dir));
    (void)snprintf(x->db, sizeof(x->db), "%s/replica.db", x->dir);
    (void)snprintf(x->wal, sizeof(x->wal), "%s/replica.db-wal", x->dir);
    write_file(x->db, "db");
    write_file(x->wal, "1");
    assert_int_equal(wal_watch_new(&w->loop, x->db, &events, &x->watch, NULL), PERCHE_OK);
}

static void watch_stop(struct world *w, struct watched *x)
{
    char command[128];

    w->closed = false;
    wal_watch_close(x->watch, w, on_closed);
    assert_true(loop_until(&w->loop, &w->closed));
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", x->dir);
    assert_int_equal(system(command), 0);
}

static void a_write_to_the_wal_is_noticed_at_once_and_once(void **state)
{
    struct world *w = *state;
    struct watched x;
    uint64_t began;

    watch_start(w, &x);
    began = now_ms();
    for (unsigned i = 0; i < 100; i++)
        write_file(x.wal, "frame");
    assert_true(loop_until(&w->loop, &w->was_changed));
    assert_true(now_ms() - began < WAL_WATCH_TIMER_MS / 2); /* it was no timer */
    assert_int_equal(w->changes, 1);
    watch_stop(w, &x);
}

static void other_files_of_the_folder_are_no_change(void **state)
{
    struct world *w = *state;
    struct watched x;
    char path[96];

    watch_start(w, &x);
    (void)snprintf(path, sizeof(path), "%s/upstream.conf", x.dir);
    write_file(path, "x");
    write_file(x.db, "a checkpoint writes here");
    loop_for(&w->loop, 100);
    assert_int_equal(w->changes, 0);
    assert_int_equal(w->replaced, 0);
    watch_stop(w, &x);
}

static void the_timer_is_the_net_under_the_watch(void **state)
{
    struct world *w = *state;
    struct watched x;

    watch_start(w, &x);
    assert_true(loop_until(&w->loop, &w->was_changed)); /* nothing was written */
    watch_stop(w, &x);
}

static void a_replaced_database_is_noticed_at_once(void **state)
{
    struct world *w = *state;
    struct watched x;
    char other[96];
    uint64_t began;

    watch_start(w, &x);
    (void)snprintf(other, sizeof(other), "%s/restored", x.dir);
    write_file(other, "db");
    began = now_ms();
    assert_int_equal(rename(other, x.db), 0);
    assert_true(loop_until(&w->loop, &w->was_replaced));
    assert_true(now_ms() - began < WAL_WATCH_TIMER_MS / 2);
    loop_for(&w->loop, WAL_WATCH_TIMER_MS + 200);
    assert_int_equal(w->replaced, 1);
    assert_int_equal(w->changes, 0);
    watch_stop(w, &x);
}

static void a_removed_database_is_noticed(void **state)
{
    struct world *w = *state;
    struct watched x;
    struct file_id id;

    watch_start(w, &x);
    assert_int_equal(file_id_of(x.db, &id, NULL), PERCHE_OK);
    assert_true(file_id_is(x.db, &id));
    assert_int_equal(unlink(x.db), 0);
    assert_false(file_id_is(x.db, &id));
    assert_true(loop_until(&w->loop, &w->was_replaced));
    watch_stop(w, &x);
}

static void a_wal_that_another_program_makes_is_opened_to_the_group(void **state)
{
    struct world *w = *state;
    struct watched x;
    struct stat st;

    watch_start(w, &x);
    assert_int_equal(stat(x.wal, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660); /* the one that was there */
    assert_int_equal(unlink(x.wal), 0);
    write_file(x.wal, "1");
    assert_true(loop_until(&w->loop, &w->was_changed));
    assert_int_equal(stat(x.wal, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    watch_stop(w, &x);
}

static void the_watch_holds_no_descriptor_of_the_replicas_files(void **state)
{
    struct world *w = *state;
    struct watched x;
    char link[96], target[256];

    watch_start(w, &x);
    write_file(x.wal, "frame");
    assert_true(loop_until(&w->loop, &w->was_changed));
    for (int fd = 0; fd < 1024; fd++) {
        ssize_t n;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, target, sizeof(target) - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        if (strstr(target, "replica.db"))
            fail_msg("descriptor %d is %s", fd, target);
    }
    watch_stop(w, &x);
}

/* ---- the inbox ----------------------------------------------------------------------------- */

enum { PUTTERS = 4, PUTS = 3000 };

struct put {
    struct inbox_item item;
    unsigned thread, number;
};

static struct {
    struct inbox inbox;
    struct put puts[PUTTERS][PUTS];
    unsigned taken, next[PUTTERS];
    bool all, closed;
} in;

static void on_put_taken(struct inbox_item *item)
{
    struct put *put = (struct put *)(void *)item; /* its first member */

    assert_int_equal(put->number, in.next[put->thread]++);
    in.all = ++in.taken == PUTTERS * PUTS;
}

static void put_all(void *ctx)
{
    struct put *puts = ctx;

    for (unsigned i = 0; i < PUTS; i++)
        inbox_put(&in.inbox, &puts[i].item);
}

static void on_in_closed(struct inbox *inbox)
{
    (void)inbox;
    in.closed = true;
}

/* libuv merges wakes: all of these come with one, or with a few. */
static void what_many_threads_leave_before_one_wake_is_all_taken_in_order(void **state)
{
    struct world *w = *state;
    uv_thread_t threads[PUTTERS];
    bool all;

    assert_int_equal(inbox_init(&in.inbox, &w->loop, NULL), PERCHE_OK);
    for (unsigned t = 0; t < PUTTERS; t++) {
        for (unsigned i = 0; i < PUTS; i++)
            in.puts[t][i] = (struct put){.item.on_taken = on_put_taken, .thread = t, .number = i};
        assert_int_equal(uv_thread_create(&threads[t], put_all, in.puts[t]), 0);
    }
    for (unsigned t = 0; t < PUTTERS; t++)
        assert_int_equal(uv_thread_join(&threads[t]), 0); /* the loop has not looked yet */
    assert_int_equal(in.taken, 0);
    all = loop_until(&w->loop, &in.all);
    inbox_close(&in.inbox, on_in_closed); /* which takes what is left */
    assert_true(loop_until(&w->loop, &in.closed));
    assert_true(all);
}

/* An import must not be one transaction, whatever else is to be written. */
static void what_programs_wrote_is_taken_in_chunks_before_another_work(void **state)
{
    struct world *w = *state;
    struct writer *writer;
    struct job *job;

    w->backlog = 3;
    writer = writer_start(w);
    put(w, writer, WORK_HARVEST, 1, "");
    wait_for(w, 1);
    assert_int_equal(w->steps_count, 1); /* a harvest is one chunk itself */
    job = job_of(w, WORK_PROVED, 2, "");
    job->work.now_ms = 77;
    assert_int_equal(writer_put(writer, job, NULL), PERCHE_OK);
    wait_for(w, 2);
    assert_int_equal(w->steps_count, 5);
    for (uint32_t i = 1; i < 4; i++)
        assert_int_equal(w->steps[i].kind, WORK_HARVEST);
    assert_int_equal(w->steps[4].kind, WORK_PROVED);
    assert_int_equal(w->harvested, 3); /* told in order */
    writer_stop(w, writer);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(pushed_batches_that_wait_become_one_group),
        CASE(other_works_are_written_one_at_a_time_in_their_order),
        CASE(a_batch_does_not_overtake_its_own_sites_earlier_work),
        CASE(a_batch_does_not_overtake_a_command),
        CASE(a_group_is_bounded_in_rows),
        CASE(the_lock_is_left_to_a_writer_that_was_seen),
        CASE(after_a_long_transaction_the_lock_is_left_for_as_long),
        CASE(a_few_short_transactions_put_nothing_off_but_many_leave_the_lock),
        CASE(a_long_load_rests_now_and_then_for_those_who_cannot_be_seen),
        CASE(with_nobody_else_writing_works_go_back_to_back),
        CASE(what_programs_wrote_is_taken_in_chunks_before_another_work),
        CASE(outcomes_come_before_the_writer_steps_back),
        CASE(nothing_is_told_of_what_went_into_a_replaced_file),
        CASE(a_close_ends_the_work_under_way_and_gives_the_others_back),
        CASE(the_writers_queue_is_bounded),
        CASE(readers_work_side_by_side),
        CASE(questions_of_people_leave_one_reader_to_the_conversation),
        CASE(readers_open_anew_when_told_and_say_so_when_they_cannot),
        CASE(readers_that_cannot_open_do_not_start),
        CASE(a_write_to_the_wal_is_noticed_at_once_and_once),
        CASE(other_files_of_the_folder_are_no_change),
        CASE(the_timer_is_the_net_under_the_watch),
        CASE(a_replaced_database_is_noticed_at_once),
        CASE(a_removed_database_is_noticed),
        CASE(a_wal_that_another_program_makes_is_opened_to_the_group),
        CASE(the_watch_holds_no_descriptor_of_the_replicas_files),
        CASE(what_many_threads_leave_before_one_wake_is_all_taken_in_order),
    };

    return cmocka_run_group_tests_name("net_workers", tests, NULL, NULL);
}
