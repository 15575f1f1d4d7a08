/* What people feel: a committed row until another site can read it; and what a sync with nothing to send costs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define COMMITS 300

/* The disk of this moment: append 4 kB and fdatasync. */
static double sync_median(void)
{
    static double took[COMMITS];
    char path[320], block[4096] = {1};
    int fd;

    (void)snprintf(path, sizeof path, "%s/append", opt.dir);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    for (int i = 0; i < COMMITS; i++) {
        double start = now_s();

        if (write(fd, block, sizeof block) != sizeof block || fdatasync(fd) != 0)
            die("append to %s", path);
        took[i] = now_s() - start;
    }
    (void)close(fd);
    return median(took, COMMITS) * 1000;
}

void bench_live(void)
{
    static double took[COMMITS];
    struct bench_node hub, a, b;
    sqlite3 *from, *to;
    sqlite3_stmt *in, *out;
    double disk, bytes;

    node_make(&hub, "hub-live", true);
    node_make(&a, "site-a", false);
    node_make(&b, "site-b", false);
    node_start(&hub, NULL);
    node_start(&a, NULL);
    node_start(&b, NULL);
    node_join(&hub, &a);
    node_join(&hub, &b);
    from = db_open(a.db);
    to = db_open(b.db);
    /* a learner of A whose transfer to B is asked belongs to both, and so do the contacts */
    db_run(from, "INSERT INTO learner (id, home_site_id, call_name) SELECT 'live', site_id, 'Live' FROM perche_self;"
                 " INSERT INTO transfer (learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
                 " SELECT 'live', 'e', s.site_id, o.id, 'c', '2026-01-01', '2026-02-01', 'ASKED' FROM perche_self s, site o WHERE o.name = 'site-b'");
    (void)node_perche(&a, "sync --wait");
    (void)node_perche(&b, "sync --wait");
    if (sqlite3_prepare_v2(from, "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES (?1, 'live', 'PHONE', '0639980000')", -1, &in, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(to, "SELECT 1 FROM learner_contact WHERE id = ?1", -1, &out, NULL) != SQLITE_OK)
        die("live: %s / %s", sqlite3_errmsg(from), sqlite3_errmsg(to));
    disk = sync_median();
    for (int i = 0; i < COMMITS; i++) {
        char id[32];
        double start, end = now_s() + 30;
        int step;

        (void)snprintf(id, sizeof id, "live-%d", i);
        sqlite3_bind_text(in, 1, id, -1, SQLITE_STATIC);
        if (sqlite3_step(in) != SQLITE_DONE)
            die("live: %s", sqlite3_errmsg(from));
        sqlite3_reset(in);
        start = now_s();
        sqlite3_bind_text(out, 1, id, -1, SQLITE_STATIC);
        while ((step = sqlite3_step(out)) != SQLITE_ROW) {
            struct timespec look = {.tv_nsec = 200000};

            sqlite3_reset(out);
            if (step != SQLITE_DONE || now_s() > end)
                die("a row did not reach the other site");
            (void)nanosleep(&look, NULL); /* how finely we look: 0.2 ms, with both cores left to the daemons */
        }
        sqlite3_reset(out);
        took[i] = (now_s() - start) * 1000;
    }
    disk = (disk + sync_median()) / 2;
    figure("one commit until another site reads it, median", median(took, COMMITS), "ms", 10 + 4 * disk, true);
    figure("one commit until another site reads it, 99 %", quantile(took, COMMITS, 0.99), "ms", 50 + 8 * disk, true);
    figure("append and fdatasync, median of the same run", disk, "ms", -1, false);
    sqlite3_finalize(in);
    sqlite3_finalize(out);
    sqlite3_close(from);
    sqlite3_close(to);
    (void)node_perche(&a, "sync --wait");
    bytes = node_number(&a, "bytes_out") + node_number(&a, "bytes_in");
    (void)node_perche(&a, "sync --wait");
    figure("a sync with nothing to send, both directions", node_number(&a, "bytes_out") + node_number(&a, "bytes_in") - bytes, "B", 1024, true);
    node_stop(&a);
    node_stop(&b);
    node_stop(&hub);
}
