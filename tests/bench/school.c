/* The records of a large network at its hub: what all figures take over years of marks, and a file of records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define SITES 16
#define PEOPLE 16        /* of a cohort */
#define HALF_DAYS 250    /* of a cohort: a mark of each for each of its people */
#define MARKS (PEOPLE * HALF_DAYS)
#define ROUNDS 5
#define FILE_ROWS 10000

#define KEY(kind, n) "('01990000-000" kind "-7000-8000-' || substr('000000000000' || (" n "), -12))"
#define COUNT(from, n) "WITH RECURSIVE n(n) AS (SELECT " from " UNION ALL SELECT n + 1 FROM n WHERE n < " from " + " n " - 1) "

/* Cohort @c, of five years and all sites in turn, in one transaction. */
static void fill_cohort(sqlite3 *db, uint64_t c)
{
    static const char sql[] =
        "BEGIN IMMEDIATE;"
        "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
        " SELECT " KEY("1", "%1$llu") ", " KEY("0", "%1$llu %% 16") ", " KEY("9", "1") ", 'C%1$llu', date('2019-01-07', '+' || (%1$llu %% 5) || ' years'),"
        " date('2019-10-07', '+' || (%1$llu %% 5) || ' years'), 20, 'ON_SITE', 'ENDED';"
        COUNT("0", "250") "INSERT INTO half_day (id, cohort_id, day, half, mode) SELECT " KEY("2", "%1$llu * 250 + n") ", " KEY("1", "%1$llu")
        ", date('2019-01-07', '+' || (%1$llu %% 5) || ' years', '+' || (n / 2) || ' days'), iif(n %% 2, 'PM', 'AM'), 'ON_SITE' FROM n;"
        COUNT("0", "16") "INSERT INTO learner (id, home_site_id, birth_family_name, given_names, birth_date) SELECT " KEY("3", "%1$llu * 16 + n") ", " KEY("0", "%1$llu %% 16")
        ", char(65 + %1$llu %% 26, 97 + %1$llu / 26 %% 26, 97 + %1$llu / 676 %% 26, 97 + n), char(65 + n, 97 + n, 101), date('1985-01-01', '+' || ((%1$llu * 16 + n) %% 7000) || ' days') FROM n;"
        COUNT("0", "16") "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end, actual_start, actual_end, exit_reason)"
        " SELECT " KEY("4", "%1$llu * 16 + n") ", " KEY("3", "%1$llu * 16 + n") ", c.id, c.site_id, c.starts_on, c.ends_on, c.starts_on, c.ends_on, iif(n %% 7, 'COMPLETION', 'DROPOUT_HEALTH')"
        " FROM n, cohort c WHERE c.id = " KEY("1", "%1$llu") ";"
        COUNT("0", "16") "INSERT INTO outcome_observation (enrolment_id, milestone, as_of, situation, source, recorded_at, recorded_site, recorded_by)"
        " SELECT " KEY("4", "%1$llu * 16 + n") ", 'M6', date(c.ends_on, '+6 months'), iif(n %% 3, 'EMP_PERMANENT', 'JOBSEEKING'), 'LEARNER_CALL', '2024-01-01T00:00:00Z', c.site_id, 'x'"
        " FROM n, cohort c WHERE c.id = " KEY("1", "%1$llu") " AND n %% 4;"
        COUNT("0", "4000") "INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)"
        " SELECT " KEY("5", "%1$llu * 4000 + n") ", " KEY("2", "%1$llu * 250 + n / 16") ", " KEY("4", "%1$llu * 16 + n %% 16")
        ", iif(n %% 11, 'PRESENT', 'ABSENT'), iif(n %% 11, 210, 0), 'PAPER_SCAN', '2024-01-01T00:00:00Z', " KEY("0", "%1$llu %% 16") " FROM n;"
        "COMMIT";
    static char text[8192];

    (void)snprintf(text, sizeof text, sql, (unsigned long long)c);
    db_run(db, text);
}

/* Until the daemon has numbered what was written and added it up. */
static void settle(sqlite3 *db)
{
    const struct timespec look = {.tv_nsec = 200000000}; /* how finely we look: this takes minutes */
    double end = now_s() + 3600;

    while (db_number(db, "SELECT EXISTS (SELECT 1 FROM perche_capture) OR NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'perche_sheet_at')") != 0 ||
           db_number(db, "SELECT filled IS NOT NULL OR lsn <> (SELECT lsn FROM perche_node) OR EXISTS (SELECT 1 FROM perche_sheet_behind) FROM perche_sheet_at") != 0) {
        if (now_s() > end)
            die("the hub has not added its marks up");
        (void)nanosleep(&look, NULL);
    }
}

/* A name of letters for each number: names with numbers in them would all be one. */
static const char *name_of(int n, char out[16])
{
    static const char *const part[] = {"ba", "cor", "du", "fel", "gi", "hou", "jan", "kel", "lam", "mou", "ner", "o", "pas", "qui", "ros", "sar", "tou", "ur", "val", "zim"};

    (void)snprintf(out, 16, "%s%s%s%s", part[n % 20], part[n / 20 % 20], part[n / 400 % 20], part[n / 8000 % 20]);
    out[0] = (char)(out[0] - 32);
    return out;
}

static void write_file(const char *path, int rows)
{
    char family[16], given[16];

    FILE *f = fopen(path, "w");

    if (f == NULL)
        die("%s", path);
    (void)fputs("external_id,home_site_id,birth_family_name,given_names,birth_date,sex,ine\n", f);
    for (int i = 0; i < rows; i++)
        (void)fprintf(f, "E%d,S0,%s,%s,%04d-%02d-%02d,%c,%011d\n", i, name_of(i, family), name_of(i % 97, given), 1970 + i % 35, 1 + i % 12, 1 + i / 420 % 28, i % 2 ? 'F' : 'M', i);
    if (fclose(f) != 0)
        die("%s", path);
}

static void import(struct bench_node *hub)
{
    char path[400], command[1200];
    double took[ROUNDS], plain[ROUNDS], start;

    for (int i = 0; i < 3; i++) { /* another source each time: all rows are new */
        (void)snprintf(path, sizeof path, "%s/rows%d.csv", opt.dir, i);
        write_file(path, FILE_ROWS);
        (void)snprintf(command, sizeof command, "import '%s' --table learner --source s%d --again", path, i);
        start = now_s();
        (void)node_perche(hub, command);
        took[i] = now_s() - start;
        (void)snprintf(command, sizeof command, "sqlite3 '%s/plain%d.db' 'PRAGMA journal_mode=WAL' 'PRAGMA synchronous=FULL' '.import --csv \"%s\" learner' >/dev/null", opt.dir, i, path);
        start = now_s();
        if (system(command) != 0)
            die("%s", command);
        plain[i] = now_s() - start;
    }
    figure("perche import of 10,000 learners", median(took, 3), "s", 2, true);
    figure("the same, to sqlite3 .import into a plain table", median(took, 3) / median(plain, 3), "ratio", -1, true);
}

/* Until @sql gives 1 at @db. */
static double wait_for(sqlite3 *db, const char *sql)
{
    const struct timespec look = {.tv_nsec = 2000000};
    double start = now_s();

    while (db_number(db, sql) != 1) {
        if (now_s() > start + 120)
            die("never: %s", sql);
        (void)nanosleep(&look, NULL);
    }
    return now_s() - start;
}

/* Seconds of processor that a node has used. */
static double busy_s(const struct bench_node *n)
{
    unsigned long long user = 0, kernel = 0;
    char path[64];
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", n->pid);
    f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &kernel) != 2 || fclose(f) != 0)
        die("%s", path);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* A learner with 500 rows that go along moves from one school to the other, and back again, and so on. */
static void transfers(struct bench_node *hub, sqlite3 *db)
{
    static const char *const names[] = {"east", "west"};
    struct bench_node sites[2];
    sqlite3 *dbs[2];
    double work[ROUNDS], arrival[ROUNDS];
    char sql[2000];

    for (int i = 0; i < 2; i++) {
        node_make(&sites[i], names[i], false);
        node_start(&sites[i], NULL);
        node_join(hub, &sites[i]);
        dbs[i] = db_open(sites[i].db);
    }
    db_run(db, "BEGIN IMMEDIATE;"
               "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status) SELECT 'c' || lower(name), id, " KEY("9", "1") ", 'T', '2024-01-01', '2099-12-31', 20, 'ON_SITE', 'RUNNING'"
               " FROM site WHERE lower(name) IN ('east', 'west');"
               "INSERT INTO learner (id, home_site_id, birth_family_name) SELECT 'mover', id, 'Mover' FROM site WHERE lower(name) = 'east';" COUNT("0", "500")
               "INSERT INTO learner_contact (id, learner_id, kind, value) SELECT 'k' || n, 'mover', 'ADDRESS', 'line ' || n FROM n; COMMIT");
    (void)wait_for(dbs[0], "SELECT count(*) = 500 FROM learner_contact");
    for (int i = 0; i < ROUNDS; i++) {
        int to = 1 - i % 2;

        (void)snprintf(sql, sizeof sql,
                       "BEGIN IMMEDIATE; INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end, actual_start) SELECT 'e%d', 'mover', 'c%s', id, '2024-01-01', '2099-12-31', '2024-01-01'"
                       " FROM site WHERE lower(name) = '%s';"
                       "INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state) SELECT 't%d', 'mover', 'e%d', f.id, t.id, 'c%s', '2024-02-01', '2024-02-02', 'ACCEPTED'"
                       " FROM site f, site t WHERE lower(f.name) = '%s' AND lower(t.name) = '%s'; COMMIT",
                       i, names[1 - to], names[1 - to], i, i, names[to], names[1 - to], names[to]);
        work[i] = busy_s(hub);
        db_run(db, sql);
        arrival[i] = wait_for(dbs[to], "SELECT count(*) = 500 FROM learner_contact"); /* once it is asked for, and before it takes effect */
        (void)snprintf(sql, sizeof sql, "SELECT state = 'DONE' FROM transfer WHERE id = 't%d'", i);
        (void)wait_for(dbs[to], sql);
        (void)wait_for(dbs[1 - to], "SELECT count(*) = 0 FROM learner_contact");
        work[i] = busy_s(hub) - work[i];
    }
    figure("a transfer with 500 rows: work of the hub until all is done", median(work, ROUNDS), "s", 1, true);
    figure("the same, until the rows are at the other school", median(arrival, ROUNDS), "s", -1, true);
    for (int i = 0; i < 2; i++) {
        sqlite3_close(dbs[i]);
        node_stop(&sites[i]);
    }
}

void bench_school(void)
{
    uint64_t cohorts = opt.rows / MARKS;
    struct bench_node hub;
    double took[ROUNDS], start = now_s();
    sqlite3 *db;

    node_make(&hub, "school", true);
    node_start(&hub, NULL);
    db = db_open(hub.db);
    db_run(db, COUNT("0", "16") "INSERT INTO site (id, network_id, code, name, kind, status, opened_on) SELECT " KEY("0", "n") ", (SELECT id FROM network), 'S' || n, 'Site ' || n, 'SCHOOL', 'ACTIVE',"
               " '2015-01-01' FROM n; INSERT INTO training (id, network_id, title) SELECT " KEY("9", "1") ", id, 'Développeur web' FROM network");
    for (uint64_t c = 0; c < cohorts; c++)
        fill_cohort(db, c);
    remark("%llu marks of %llu learners at 16 sites, written in %.0f s", (unsigned long long)(cohorts * MARKS), (unsigned long long)(cohorts * PEOPLE), now_s() - start);
    settle(db);
    remark("numbered and added up after %.0f s", now_s() - start);
    for (int i = 0; i < ROUNDS; i++) {
        start = now_s();
        (void)node_perche(&hub, "report");
        took[i] = now_s() - start;
    }
    figure("perche report, all figures", median(took, ROUNDS), "s", 2, true);
    for (int i = 0; i < ROUNDS; i++) {
        start = now_s();
        (void)node_perche(&hub, "report attendance --by site");
        took[i] = now_s() - start;
    }
    figure("perche report attendance --by site", median(took, ROUNDS), "s", -1, true);
    import(&hub);
    transfers(&hub, db);
    sqlite3_close(db);
    node_stop(&hub);
}
