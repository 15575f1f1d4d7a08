/* How large the WAL becomes beside programs that read for long, or one after the other. */
#include <sys/stat.h>
#include <time.h>

#include "replica_fixture.h"

#define MB (1 << 20)
#define SITE_BYTES_MAX (40 * MB) /* what a site lets it grow to, and the transaction under way */

static struct fixture *opened(void)
{
    struct fixture *f = fixture_folder();

    fixture_open(f);
    fixture_program(f);
    program(f, "CREATE TABLE local (n INTEGER PRIMARY KEY, bytes BLOB)");
    assert_int_equal(exec(f->r, "PRAGMA synchronous = OFF"), PERCHE_OK); /* these tests write much, and no power goes */
    return f;
}

/* A transaction of the daemon of about @bytes. */
static void commit(struct fixture *f, int bytes)
{
    char sql[100];

    snprintf(sql, sizeof sql, "INSERT INTO local (bytes) VALUES (randomblob(%d))", bytes);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(exec(f->r, sql), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
}

static int64_t wal_bytes(struct fixture *f)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof path, "%s-wal", f->path);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static sqlite3 *begin_reading(struct fixture *f)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM local", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void a_wal_that_one_reader_held_begins_anew_when_it_ends(void **state)
{
    struct fixture *f = opened();
    sqlite3 *reader;
    int64_t held;

    (void)state;
    commit(f, MB);
    reader = begin_reading(f);
    for (int i = 0; i < 80; i++)
        commit(f, MB);
    held = wal_bytes(f);
    assert_true(held > 80 * MB); /* nobody may take from it what it reads */
    sqlite3_close(reader);
    for (int i = 0; i < 20; i++)
        commit(f, MB);
    assert_true(wal_bytes(f) <= 64 * MB); /* and a large one is cut back */
    fixture_end(f);
}

static struct {
    struct fixture *f;
    sqlite3 *older, *newer;
    int waits;
} readers;

/* Where the daemon waits, both end, as they do in time. */
static int readers_end(void *ctx, int tries)
{
    (void)ctx;
    readers.waits++;
    sqlite3_close(readers.older);
    sqlite3_close(readers.newer);
    readers.older = readers.newer = NULL;
    return tries == 0;
}

static void readers_that_follow_one_another_do_not_make_the_wal_grow_for_ever(void **state)
{
    struct fixture *f = opened();
    int64_t most = 0;

    (void)state;
    commit(f, MB);
    memset(&readers, 0, sizeof readers);
    assert_int_equal(sqlite3_busy_handler(f->r->db, readers_end, NULL), SQLITE_OK);
    for (int i = 0; i < 100; i++) {
        readers.newer = begin_reading(f); /* before the older ends: there is never a moment without */
        sqlite3_close(readers.older);
        readers.older = readers.newer;
        readers.newer = NULL;
        commit(f, MB);
        most = wal_bytes(f) > most ? wal_bytes(f) : most;
    }
    sqlite3_close(readers.older);
    assert_in_range(readers.waits, 2, 20);
    assert_true(most > 16 * MB && most < SITE_BYTES_MAX);
    fixture_end(f);
}

static void a_reader_that_never_ends_is_not_waited_for(void **state)
{
    struct fixture *f = opened();
    sqlite3 *reader;
    struct timespec began, ended;
    double longest = 0;

    (void)state;
    commit(f, MB);
    reader = begin_reading(f);
    for (int i = 0; i < 60; i++) {
        double s;

        (void)clock_gettime(CLOCK_MONOTONIC, &began);
        commit(f, MB);
        (void)clock_gettime(CLOCK_MONOTONIC, &ended);
        s = (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
        longest = s > longest ? s : longest;
    }
    assert_true(wal_bytes(f) > SITE_BYTES_MAX);
    assert_true(longest < 3.0); /* a lock that a transaction needs is waited for 5 s, and no program gets in meanwhile */
    sqlite3_close(reader);
    fixture_end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wal_that_one_reader_held_begins_anew_when_it_ends),
        cmocka_unit_test(readers_that_follow_one_another_do_not_make_the_wal_grow_for_ever),
        cmocka_unit_test(a_reader_that_never_ends_is_not_waited_for),
    };

    return cmocka_run_group_tests_name("replica_wal", tests, NULL, NULL);
}
