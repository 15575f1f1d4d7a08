/* A hub whose disk takes 5 ms for each sync, and 50 sites that each have one batch of 20 changes under way: the
 * hub's own writer and replica, fed by batches made beforehand (making them is the sites' work). Runs itself again with the preload that delays syncs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include "bench.h"
#include "net/writer.h"
#include "replica/replica.h"

#define SITES 50
#define CHANGES 20u
#define BATCHES 120u /* of each site */

struct feeder {
    struct hub *hub;
    char site[64];
    struct bench_rows rows;
    uint64_t at;
    uint32_t sent;
    struct job *jobs[BATCHES];
};

struct hub {
    struct replica *replica;
    struct writer *writer;
    struct feeder feeders[SITES];
    uint64_t rows;
};

static void perform(void *ctx, const struct work *works, struct outcome *outcomes, uint32_t count)
{
    replica_perform(((struct hub *)ctx)->replica, works, outcomes, count);
}

static bool others_wrote(void *ctx)
{
    return replica_others_wrote(((struct hub *)ctx)->replica);
}

static void send_batch(struct feeder *f);

static void on_done(struct job *job)
{
    struct feeder *f = job->ctx;

    if (job->outcome.rc != PERCHE_OK || job->outcome.message.refused)
        die("a batch was not taken: %s", job->outcome.rc != PERCHE_OK ? job->outcome.err.text : job->outcome.message.u.no.text);
    f->hub->rows += CHANGES;
    job_free(job);
    if (f->sent < BATCHES)
        send_batch(f);
}

static void send_batch(struct feeder *f)
{
    struct perche_err err;

    if (writer_put(f->hub->writer, f->jobs[f->sent++], &err) != PERCHE_OK)
        die("writer: %s", err.text);
}

static struct job *make_batch(struct feeder *f)
{
    static const char *const columns[] = {"given", "family", "born", "email", "phone", "status", "site", "updated"};
    struct perche_batch *b = perche_batch_new();
    struct job *job = job_new(WORK_PUSH_APPLY, f, on_done);
    struct perche_push *push = &job->work.message.u.push;
    uint32_t part = perche_batch_part(b, "bench", columns, 8), own = perche_batch_name(b, f->site);
    struct perche_buf buf = {0};
    struct perche_err err;
    uint8_t *copy;

    for (uint32_t i = 0; i < CHANGES; i++) {
        struct bench_row r;
        uint8_t key[16];
        struct perche_row *row;

        rows_next(&f->rows, &r);
        if (!perche_uuid_parse((const uint8_t *)r.text[0], 36, key))
            die("a key is no id");
        row = perche_batch_row(b, part, (struct perche_bytes){key, 16});
        row->gen = 1;
        row->flags = PERCHE_ROW_GEN;
        row->scope = own;
        row->gen_origin = own;
        row->gen_stamp = (UINT64_C(1780000000000) + f->at) << 16;
        for (uint16_t c = 0; c < 8; c++) {
            struct perche_value v = {.type = PERCHE_TEXT, .n = (uint32_t)strlen(r.text[c + 1]), .p = (const uint8_t *)r.text[c + 1]};
            struct perche_cell *cell = perche_batch_cell(b, part, c, &v);

            cell->stamp = (UINT64_C(1780000000000) + f->at) << 16;
            cell->origin = own;
        }
    }
    if (perche_batch_encode(b, 3, &buf, &err) != PERCHE_OK)
        die("batch: %s", err.text);
    copy = perche_message_alloc(&job->work.message, buf.n);
    memcpy(copy, buf.p, buf.n);
    job->work.message.op = PERCHE_OP_PUSH;
    *push = (struct perche_push){.session = 1, .from = f->at, .to = f->at + CHANGES, .asof = {f->at + CHANGES, 1}, .batch = {copy, (uint32_t)buf.n}};
    (void)snprintf(job->work.site, sizeof job->work.site, "%s", f->site);
    job->work.now_ms = UINT64_C(1790000000000);
    memset(job->work.random, 3, sizeof job->work.random);
    f->at += CHANGES;
    perche_buf_free(&buf);
    perche_batch_free(b);
    return job;
}

static void on_closed(void *ctx)
{
    (void)ctx;
}

static void serve(void)
{
    struct replica_config c = {.role = REPLICA_HUB, .name = "slow", .now_ms = UINT64_C(1790000000000), .random = {5}};
    static struct hub hub;
    struct writer_ops ops = {.ctx = &hub, .perform = perform, .others_wrote = others_wrote};
    struct writer_events events = {.ctx = &hub};
    struct work w = {.kind = WORK_COMMAND, .name = "replicate", .args = (char *)"{\"table\":\"bench\",\"scope\":\"site\"}", .now_ms = UINT64_C(1790000000000), .random = {5}};
    struct outcome o;
    struct perche_err err;
    uv_loop_t loop;
    char path[320];
    sqlite3 *db;
    double start;

    (void)snprintf(path, sizeof path, "%s/slow.db", opt.dir);
    c.path = path;
    if (replica_open(&c, &hub.replica, &err) != PERCHE_OK)
        die("%s", err.text);
    db = db_open(path);
    db_run(db, BENCH_DDL);
    sqlite3_close(db);
    replica_perform(hub.replica, &w, &o, 1);
    if (o.rc != PERCHE_OK)
        die("%s", o.err.text);
    outcome_free(&o);
    (void)uv_loop_init(&loop);
    if (writer_new(&loop, &ops, &events, &hub.writer, &err) != PERCHE_OK)
        die("%s", err.text);
    for (int i = 0; i < SITES; i++) {
        struct feeder *f = &hub.feeders[i];

        f->hub = &hub;
        (void)snprintf(f->site, sizeof f->site, "01a0c450-6c00-788d-9bf5-0000000000%02x", i);
        rows_start(&f->rows, 1000 + (uint64_t)i, f->site);
        for (uint32_t n = 0; n < BATCHES; n++)
            f->jobs[n] = make_batch(f);
    }
    start = now_s();
    for (int i = 0; i < SITES; i++)
        send_batch(&hub.feeders[i]);
    while (hub.rows < (uint64_t)SITES * BATCHES * CHANGES)
        (void)uv_run(&loop, UV_RUN_ONCE);
    (void)printf("%.6f\n", (double)hub.rows / (now_s() - start));
    writer_close(hub.writer, NULL, on_closed);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    replica_free(hub.replica);
}

void bench_group(void)
{
    char preload[600], self[600], line[64];
    FILE *f;
    int to_us[2], status;
    pid_t pid;

    if (getenv("PERCHE_BENCH_SLOW") != NULL) {
        (void)snprintf(opt.dir, sizeof opt.dir, "%s", getenv("PERCHE_BENCH_SLOW"));
        serve();
        (void)fflush(stdout);
        _exit(0);
    }
    (void)snprintf(preload, sizeof preload, "%s/preload_sync.so", opt.build);
    (void)snprintf(self, sizeof self, "%s/perche-bench", opt.build);
    if (pipe(to_us) != 0)
        die("pipe");
    pid = fork();
    if (pid == 0) {
        (void)dup2(to_us[1], 1);
        (void)close(to_us[0]);
        (void)setenv("LD_PRELOAD", preload, 1);
        (void)setenv("PERCHE_BENCH_SLOW", opt.dir, 1);
        (void)execl(self, self, "--only", "group", (char *)NULL);
        _exit(127);
    }
    (void)close(to_us[1]);
    f = fdopen(to_us[0], "r");
    line[0] = '\0';
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        ; /* the last line is the figure */
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("the slow hub failed");
    if (f != NULL)
        (void)fclose(f);
    figure("hub, batches of 20 changes from 50 sites, each disk sync 5 ms", atof(line), "rows/s", 30000, false);
}
