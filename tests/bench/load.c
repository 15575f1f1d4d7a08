/* The initial load of a site: rows that were harvested while the hub was away, until the last of them is
 * acknowledged. Real daemons, TLS on loopback, both ends durable. Beside it a local program writes at each end. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define WRITES_MAX 20000
#define SOME "substr(id, 36, 1) = '7' AND id IN (SELECT id FROM bench LIMIT 160000)" /* 10,000 rows here and there */

struct writer {
    const char *path;
    atomic_bool stop;
    double took[WRITES_MAX];
    int count, failed;
};

/* One row a transaction, twenty a second, as a person's program does. */
static void *write_along(void *arg)
{
    struct writer *w = arg;
    sqlite3 *db = db_open(w->path);
    sqlite3_stmt *s;

    if (sqlite3_prepare_v2(db, "INSERT INTO bench (given, id) VALUES ('Writer', ?1)", -1, &s, NULL) != SQLITE_OK)
        die("writer: %s", sqlite3_errmsg(db));
    while (!atomic_load(&w->stop) && w->count < WRITES_MAX) {
        struct timespec pause = {.tv_nsec = 50000000};
        char id[64];
        double start;

        (void)snprintf(id, sizeof id, "w%d-%s", w->count, w->path);
        sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
        start = now_s();
        if (sqlite3_step(s) != SQLITE_DONE)
            w->failed++;
        sqlite3_reset(s);
        w->took[w->count++] = now_s() - start;
        (void)nanosleep(&pause, NULL); /* the pace of the program, not a wait for something */
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
    return NULL;
}

struct loaded {
    double seconds, bytes, hub_mb, site_mb;
};

static struct loaded load(const char *tag, uint64_t rows, bool writers)
{
    static struct writer at_site, at_hub;
    struct loaded out;
    struct bench_node hub, site;
    struct bench_rows g;
    pthread_t threads[2];
    char name[32], id[64];
    sqlite3 *db;
    double start, before;

    (void)snprintf(name, sizeof name, "hub%s", tag);
    node_make(&hub, name, true);
    (void)snprintf(name, sizeof name, "site%s", tag);
    node_make(&site, name, false);
    node_start(&hub, NULL);
    node_start(&site, NULL);
    node_join(&hub, &site);
    db = db_open(hub.db);
    db_run(db, BENCH_DDL);
    sqlite3_close(db);
    (void)node_perche(&hub, "replicate bench --scope site");
    (void)node_perche(&site, "sync --wait");
    db = db_open(site.db);
    {
        sqlite3_stmt *s;

        if (sqlite3_prepare_v2(db, "SELECT site_id FROM perche_self", -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
            die("perche_self: %s", sqlite3_errmsg(db));
        (void)snprintf(id, sizeof id, "%s", (const char *)sqlite3_column_text(s, 0));
        sqlite3_finalize(s);
    }
    node_stop(&hub);
    rows_start(&g, 5, id);
    (void)rows_insert(db, &g, rows, 1000);
    sqlite3_close(db);
    node_wait(&site, "pending", (double)rows);
    node_stop(&site); /* a fresh process for the measured part */
    node_start(&site, NULL);
    node_start(&hub, NULL);
    before = node_number(&site, "bytes_out");
    if (writers) {
        at_site = (struct writer){.path = site.db};
        at_hub = (struct writer){.path = hub.db};
        (void)pthread_create(&threads[0], NULL, write_along, &at_site);
        (void)pthread_create(&threads[1], NULL, write_along, &at_hub);
    }
    start = now_s();
    (void)node_perche(&site, "sync");
    if (writers) { /* the writers add rows: done when the hub has all of the load */
        sqlite3 *h = db_open(hub.db);

        while (db_number(h, "SELECT count(*) FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'bench')") < (int64_t)rows)
            (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* how finely we look */
        sqlite3_close(h);
    } else {
        node_wait(&site, "pending", 0);
    }
    out.seconds = now_s() - start;
    if (writers) {
        double site_99, hub_99;

        atomic_store(&at_site.stop, true);
        atomic_store(&at_hub.stop, true);
        (void)pthread_join(threads[0], NULL);
        (void)pthread_join(threads[1], NULL);
        site_99 = quantile(at_site.took, at_site.count, 0.99) * 1000;
        hub_99 = quantile(at_hub.took, at_hub.count, 0.99) * 1000;
        figure("a local writer beside the load: failures (both ends)", at_site.failed + at_hub.failed, "", 0, true);
        figure("a local writer beside the load: 99 % (the slower end)", site_99 > hub_99 ? site_99 : hub_99, "ms", 250, true);
        remark("%d writes at the site, median %.1f ms; %d at the hub, median %.1f ms", at_site.count, median(at_site.took, at_site.count) * 1000,
               at_hub.count, median(at_hub.took, at_hub.count) * 1000);
    }
    out.bytes = node_number(&site, "bytes_out") - before;
    out.hub_mb = node_peak_mb(&hub);
    out.site_mb = node_peak_mb(&site);
    if (!writers) {
        sqlite3 *h = db_open(hub.db);

        if (db_number(h, "SELECT count(*) FROM bench") != (int64_t)rows)
            die("the hub has %lld rows of %llu", (long long)db_number(h, "SELECT count(*) FROM bench"), (unsigned long long)rows);
        sqlite3_close(h);
        (void)node_perche(&site, "sync --wait --timeout 60s");
        /* one changed cell of many rows: people edit here and there */
        db = db_open(site.db);
        before = node_number(&site, "bytes_out");
        db_run(db, "UPDATE bench SET status = CASE status WHEN 'ACTIVE' THEN 'ENROLLED' ELSE 'ACTIVE' END WHERE " SOME);
        {
            double changed = (double)db_number(db, "SELECT count(*) FROM bench WHERE " SOME);

            sqlite3_close(db);
            (void)node_perche(&site, "sync --wait --timeout 60s");
            if (rows >= 100000)
                figure("bytes on the line for one changed cell, of the whole sync", (node_number(&site, "bytes_out") - before) / changed, "B", 20, true);
        }
    }
    node_stop(&site);
    node_stop(&hub);
    if (strcmp(tag, "-big") == 0)
        bench_proof(&hub, &site, rows);
    return out;
}

static double plain(const char *tag, uint64_t rows)
{
    char path[320];
    struct bench_rows g;
    sqlite3 *db;
    double spent;

    (void)snprintf(path, sizeof path, "%s/plain-%s.db", opt.dir, tag);
    db = db_open(path);
    db_run(db, BENCH_DDL);
    rows_start(&g, 5, "01a0c450-6c00-788d-9bf5-275a75b6368e");
    spent = rows_insert(db, &g, rows, 1000);
    sqlite3_close(db);
    return spent;
}

static double largest(double a, double b, double c)
{
    double ab = a > b ? a : b;

    return ab > c ? ab : c;
}

void bench_load(void)
{
    double first = plain("before", opt.rows), second;
    struct loaded big = load("-big", opt.rows, false), middle, small;

    second = plain("after", opt.rows);
    middle = load("-middle", 100000, false);
    small = load("-small", 10000, false);
    figure("initial load, one site to the hub over TLS, to plain INSERT of the same rows", (first + second) / 2 / big.seconds, "ratio", 0.18, false);
    figure("initial load", (double)opt.rows / big.seconds, "rows/s", -1, false);
    figure("plain INSERT, batches of 1,000, FULL", (double)opt.rows / ((first + second) / 2), "rows/s", -1, false);
    figure("bytes on the line for each of these rows", big.bytes / (double)opt.rows, "B", 34, true);
    remark("memory with %llu, 100,000 and 10,000 rows waiting: site %.1f, %.1f, %.1f MB; hub %.1f, %.1f, %.1f MB",
           (unsigned long long)opt.rows, big.site_mb, middle.site_mb, small.site_mb, big.hub_mb, middle.hub_mb, small.hub_mb);
    figure("peak memory of the site, largest", largest(big.site_mb, middle.site_mb, small.site_mb), "MB", 30, true);
    figure("peak memory of the hub, largest", largest(big.hub_mb, middle.hub_mb, small.hub_mb), "MB", 60, true);
    figure("peak memory of the site, all rows to 10,000 rows", big.site_mb / small.site_mb, "ratio", 1.2, true);
    figure("peak memory of the hub, all rows to 10,000 rows", big.hub_mb / small.hub_mb, "ratio", 1.2, true);
    figure("peak memory of the site, 100,000 rows to 10,000 rows", middle.site_mb / small.site_mb, "ratio", 1.2, true);
    figure("peak memory of the hub, 100,000 rows to 10,000 rows", middle.hub_mb / small.hub_mb, "ratio", 1.2, true);
    (void)load("-writers", opt.rows / 4, true);
}
