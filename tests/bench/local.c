/* What capture and harvest cost a local program, beside the same table without them, in turn in the same run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "replica/replica.h"

#define ROUNDS 5
#define ROWS 50000u
#define SITE "01a0c450-6c00-788d-9bf5-275a75b6368e"

static struct outcome work(struct replica *r, struct work *w)
{
    static uint64_t now_ms = UINT64_C(1790000000000);
    struct outcome o;

    w->now_ms = ++now_ms;
    memset(w->random, (int)(now_ms & 0xff) | 1, sizeof w->random);
    replica_perform(r, w, &o, 1);
    if (o.rc != PERCHE_OK)
        die("%s: %s", work_name(w->kind), o.err.text);
    return o;
}

static struct replica *hub_with_table(const char *path)
{
    struct replica_config c = {.path = path, .role = REPLICA_HUB, .name = "bench", .now_ms = UINT64_C(1790000000000), .random = {7}};
    struct replica *r;
    struct perche_err err;
    struct work w = {.kind = WORK_COMMAND, .name = "replicate", .args = (char *)"{\"table\":\"bench\",\"scope\":\"site\"}"};
    struct outcome o;
    sqlite3 *db;

    if (replica_open(&c, &r, &err) != PERCHE_OK)
        die("%s: %s", path, err.text);
    db = db_open(path);
    db_run(db, BENCH_DDL);
    sqlite3_close(db);
    o = work(r, &w);
    outcome_free(&o);
    return r;
}

static void harvest_all(struct replica *r)
{
    bool more = true;

    while (more) {
        struct work w = {.kind = WORK_HARVEST, .rows_max = 1000};
        struct outcome o = work(r, &w);

        more = o.more;
        outcome_free(&o);
    }
}

/* One column of every row, one SET, in batches of 1,000: here and there as people edit (the same order for both
 * files), or in the order of the keys as a script does. */
static double update_all(sqlite3 *db, const char *value, bool scattered)
{
    sqlite3_stmt *keys, *s;
    char (*ids)[40] = malloc(sizeof *ids * ROWS);
    uint32_t n = 0;
    double spent = 0;

    if (ids == NULL || sqlite3_prepare_v2(db, "SELECT id FROM bench LIMIT 50000", -1, &keys, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "UPDATE bench SET status = ?2 WHERE id = ?1", -1, &s, NULL) != SQLITE_OK)
        die("update: %s", sqlite3_errmsg(db));
    while (n < ROWS && sqlite3_step(keys) == SQLITE_ROW)
        (void)snprintf(ids[n++], 40, "%s", (const char *)sqlite3_column_text(keys, 0));
    sqlite3_finalize(keys);
    for (uint32_t i = n, state = 12345; scattered && i > 1; i--) { /* Fisher and Yates, with a fixed generator */
        char swap[40];
        uint32_t j = (state = state * 1664525u + 1013904223u) % i;

        memcpy(swap, ids[i - 1], 40);
        memcpy(ids[i - 1], ids[j], 40);
        memcpy(ids[j], swap, 40);
    }
    for (uint32_t at = 0; at < n; at += 1000) {
        double start = now_s();

        db_run(db, "BEGIN IMMEDIATE");
        for (uint32_t i = at; i < n && i < at + 1000; i++) {
            sqlite3_bind_text(s, 1, ids[i], -1, SQLITE_STATIC);
            sqlite3_bind_text(s, 2, value, -1, SQLITE_STATIC);
            if (sqlite3_step(s) != SQLITE_DONE)
                die("update: %s", sqlite3_errmsg(db));
            sqlite3_reset(s);
        }
        db_run(db, "COMMIT");
        spent += now_s() - start;
    }
    sqlite3_finalize(s);
    free(ids);
    return spent;
}

void bench_local(void)
{
    double insert[ROUNDS], update[ROUNDS], ordered[ROUNDS], harvest[ROUNDS], insert_rate[ROUNDS], harvest_rate[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        char plain_path[320], ours_path[320], other_path[320], value[16];
        struct bench_rows g;
        struct replica *r;
        sqlite3 *plain, *ours, *other;
        double plain_s, ours_s, start;

        (void)snprintf(plain_path, sizeof plain_path, "%s/plain%d.db", opt.dir, i);
        (void)snprintf(ours_path, sizeof ours_path, "%s/ours%d.db", opt.dir, i);
        (void)snprintf(other_path, sizeof other_path, "%s/all%d.db", opt.dir, i);
        plain = db_open(plain_path);
        db_run(plain, BENCH_DDL);
        r = hub_with_table(ours_path);
        ours = db_open(ours_path);
        rows_start(&g, 11 + (uint64_t)i, SITE);
        plain_s = rows_insert(plain, &g, ROWS, 1000);
        rows_start(&g, 11 + (uint64_t)i, SITE);
        ours_s = rows_insert(ours, &g, ROWS, 1000);
        insert[i] = plain_s / ours_s;
        insert_rate[i] = ROWS / ours_s;
        (void)snprintf(value, sizeof value, "S%d", i);
        plain_s = update_all(plain, value, true);
        ours_s = update_all(ours, value, true);
        update[i] = plain_s / ours_s;
        plain_s = update_all(plain, "again", false);
        ours_s = update_all(ours, "again", false);
        ordered[i] = plain_s / ours_s;
        sqlite3_close(ours);
        replica_free(r);
        /* harvest against plain INSERT of the same rows: fewer rounds' worth of rows each, the whole in the ratio */
        other = db_open(other_path);
        db_run(other, BENCH_DDL);
        rows_start(&g, 99 + (uint64_t)i, SITE);
        plain_s = rows_insert(other, &g, opt.rows / ROUNDS, 1000);
        sqlite3_close(other);
        (void)snprintf(other_path, sizeof other_path, "%s/harvest%d.db", opt.dir, i);
        r = hub_with_table(other_path);
        ours = db_open(other_path);
        rows_start(&g, 99 + (uint64_t)i, SITE);
        (void)rows_insert(ours, &g, opt.rows / ROUNDS, 1000);
        start = now_s();
        harvest_all(r);
        ours_s = now_s() - start;
        harvest[i] = plain_s / ours_s;
        harvest_rate[i] = (double)opt.rows / ROUNDS / ours_s;
        sqlite3_close(ours);
        sqlite3_close(plain);
        replica_free(r);
    }
    figure("local insert with capture, batches of 1,000, to the table without", median(insert, ROUNDS), "ratio", 0.50, false);
    figure("local one-column update with capture, to the table without", median(update, ROUNDS), "ratio", 0.60, false);
    figure("the same in the order of the keys", median(ordered, ROUNDS), "ratio", -1, false);
    figure("harvest of inserted rows, history on, to plain INSERT", median(harvest, ROUNDS), "ratio", 0.18, false);
    figure("local insert with capture", median(insert_rate, ROUNDS), "rows/s", -1, false);
    figure("harvest", median(harvest_rate, ROUNDS), "rows/s", -1, false);
}
