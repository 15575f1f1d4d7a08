/* What the files of the bench share. Figures are ratios inside one run where they can
 * be: machines are shared and noisy. Every time is a median of several rounds. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

/* ---- bench.c */
struct options {
    uint64_t rows;        /* of the load: 1,000,000 */
    const char *build;    /* folder of perched and perche */
    char dir[256];        /* of our own, removed at the end */
    const char *only;     /* part to run, NULL = all */
};
extern struct options opt;
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
double now_s(void);       /* monotonic */
double median(double *v, int n);
double quantile(double *v, int n, double q);
/* A line of the table and of the JSON. @bound < 0: no bound, only shown. @at_most: the value may not be larger. */
void figure(const char *name, double value, const char *unit, double bound, bool at_most);
void remark(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- rows.c: nine columns that vary as real ones do */
#define BENCH_COLUMNS 9
#define BENCH_DDL                                                                                     \
    "CREATE TABLE bench (id TEXT NOT NULL PRIMARY KEY, given TEXT, family TEXT, born TEXT, email TEXT," \
    " phone TEXT, status TEXT, site TEXT, updated TEXT) STRICT, WITHOUT ROWID"
struct bench_row {
    char text[BENCH_COLUMNS][64];
};
struct bench_rows {
    uint64_t state, n;
    const char *site;
};
void rows_start(struct bench_rows *g, uint64_t seed, const char *site);
void rows_next(struct bench_rows *g, struct bench_row *out);
/* Inserts @n rows in transactions of @batch; returns the seconds spent inside SQLite. */
double rows_insert(sqlite3 *db, struct bench_rows *g, uint64_t n, uint32_t batch);
sqlite3 *db_open(const char *path); /* WAL, FULL, busy_timeout 5 s */
void db_run(sqlite3 *db, const char *sql);
int64_t db_number(sqlite3 *db, const char *sql);

/* ---- nodes.c: real daemons */
struct bench_node {
    char name[32], dir[300], db[340], socket[340], config[340];
    int pid, port;
};
void node_make(struct bench_node *n, const char *name, bool hub);
void node_start(struct bench_node *n, const char *preload); /* returns when it said READY */
void node_stop(struct bench_node *n);
void node_join(struct bench_node *hub, struct bench_node *site);
/* Runs perche and returns its output (static buffer); dies when it fails. */
const char *node_perche(struct bench_node *n, const char *args);
double node_number(struct bench_node *n, const char *json_name); /* of `status` */
void node_wait(struct bench_node *n, const char *json_name, double value); /* until status says so */
double node_peak_mb(const struct bench_node *n);                           /* VmHWM */

/* ---- parts */
void bench_local(void);   /* local.c: capture and harvest against plain SQLite */
void bench_load(void);    /* load.c: initial load, bytes, memory, a writer beside it */
/* proof.c, called by the load: what proof and repair of its rows cost. Both daemons have ended. */
void bench_proof(const struct bench_node *hub, const struct bench_node *site, uint64_t rows);
void bench_live(void);    /* live.c: one commit to another site, an idle sync */
void bench_school(void);  /* school.c: figures over years of marks, a file of records */
void bench_group(void);   /* group.c: small batches of many sites on a slow disk */

#endif
