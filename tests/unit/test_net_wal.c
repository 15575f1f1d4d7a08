/* Who keeps the WAL open: other processes are sqlite3 shells, as people leave them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "net/wal_readers.h"

struct world {
    char dir[64], db[96];
    sqlite3 *daemon;
    struct wal_readers readers;
    uint64_t now;
};

struct shell {
    pid_t pid;
    FILE *in, *out;
};

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/perche-wal-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->db, sizeof(w->db), "%s/replica.db", w->dir);
    assert_int_equal(sqlite3_open(w->db, &w->daemon), SQLITE_OK);
    run(w->daemon, "PRAGMA journal_mode = wal; PRAGMA synchronous = OFF; CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    wal_readers_init(&w->readers, w->db);
    w->now = 1000;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char command[128];

    sqlite3_close(w->daemon);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

/* A shell with a pipe on either side. */
static struct shell shell_start(struct world *w)
{
    struct shell s;
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0); /* another shell must not keep them open */
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    s.pid = fork();
    assert_true(s.pid >= 0);
    if (s.pid == 0) {
        (void)dup2(in[0], 0);
        (void)dup2(out[1], 1);
        (void)dup2(out[1], 2);
        (void)execlp("sqlite3", "sqlite3", "-batch", w->db, (char *)NULL);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    s.in = fdopen(in[1], "w");
    s.out = fdopen(out[0], "r");
    assert_true(s.in && s.out);
    return s;
}

/* Returns when the shell has answered @sql, whose answer is one line. */
static void shell_ask(struct shell *s, const char *sql, const char *answer)
{
    char line[100] = "";

    assert_true(fprintf(s->in, "%s;\n", sql) > 0);
    assert_int_equal(fflush(s->in), 0);
    assert_non_null(fgets(line, sizeof(line), s->out));
    line[strcspn(line, "\n")] = '\0';
    assert_string_equal(line, answer);
}

static void shell_end(struct shell *s)
{
    (void)fclose(s->in);
    (void)fclose(s->out);
    assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
}

/* Looks each second, for @seconds. */
static void look_for(struct world *w, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        w->now += 1000;
        wal_readers_look(&w->readers, w->now);
    }
}

static void grow(struct world *w)
{
    run(w->daemon, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO t SELECT randomblob(1 << 20) FROM n");
}

static void the_program_that_reads_for_long_while_the_wal_grows_is_named(void **state)
{
    struct world *w = *state;
    struct shell s = shell_start(w);
    struct wal_held held = {0};

    shell_ask(&s, "BEGIN; SELECT count(*) FROM t", "1");
    look_for(w, 10);
    assert_false(wal_readers_held(&w->readers, w->now, &held)); /* the WAL is small: it harms nobody */
    grow(w);
    look_for(w, 2);
    assert_true(wal_readers_held(&w->readers, w->now, &held));
    assert_int_equal(held.pid, s.pid);
    assert_string_equal(held.name, "sqlite3");
    assert_true(held.bytes > 20u << 20);
    assert_int_equal(held.ms, 11000);
    shell_ask(&s, "COMMIT; SELECT 'done'", "done"); /* it ends its transaction, and lives on */
    look_for(w, 1);
    assert_false(wal_readers_held(&w->readers, w->now, &held));
    shell_end(&s);
}

static void of_two_the_one_that_has_read_for_longer_is_named_and_then_the_other(void **state)
{
    struct world *w = *state;
    struct shell first = shell_start(w), second = shell_start(w);
    struct wal_held held = {0};

    shell_ask(&first, "BEGIN; SELECT count(*) FROM t", "1");
    look_for(w, 3);
    grow(w);
    shell_ask(&second, "BEGIN; SELECT count(*) FROM t", "21");
    look_for(w, 7);
    assert_true(wal_readers_held(&w->readers, w->now, &held));
    assert_int_equal(held.pid, first.pid);
    shell_end(&first);
    look_for(w, 1);
    assert_true(wal_readers_held(&w->readers, w->now, &held));
    assert_int_equal(held.pid, second.pid);
    assert_int_equal(held.ms, 7000);
    shell_end(&second);
    look_for(w, 1);
    assert_false(wal_readers_held(&w->readers, w->now, &held));
}

static void a_short_question_and_our_own_readers_are_nobody(void **state)
{
    struct world *w = *state;
    struct shell s = shell_start(w);
    struct wal_held held = {0};
    sqlite3 *own;

    assert_int_equal(sqlite3_open(w->db, &own), SQLITE_OK);
    run(own, "BEGIN; SELECT count(*) FROM t");
    grow(w);
    shell_ask(&s, "BEGIN; SELECT count(*) FROM t", "21");
    look_for(w, 4);
    shell_ask(&s, "COMMIT; SELECT 'done'", "done");
    look_for(w, 1);
    shell_ask(&s, "BEGIN; SELECT count(*) FROM t", "21"); /* another transaction */
    look_for(w, 4);
    assert_false(wal_readers_held(&w->readers, w->now, &held));
    sqlite3_close(own);
    shell_end(&s);
}

/* A descriptor of -shm that was opened and closed here would have dropped it. */
static void a_look_drops_no_lock_of_ours(void **state)
{
    struct world *w = *state;
    struct shell s = shell_start(w);
    struct wal_held held = {0};

    run(w->daemon, "BEGIN IMMEDIATE; INSERT INTO t VALUES (2)");
    look_for(w, 10);
    (void)wal_readers_held(&w->readers, w->now, &held);
    shell_ask(&s, "BEGIN IMMEDIATE; SELECT 'got it'", "Runtime error near line 1: database is locked (5)");
    run(w->daemon, "COMMIT");
    shell_end(&s);
}

static void without_its_files_nobody_is_named(void **state)
{
    struct world *w = *state;
    struct wal_held held = {0};
    struct wal_readers none;

    wal_readers_init(&none, "/nowhere/at/all/replica.db");
    wal_readers_look(&none, 1000);
    assert_false(wal_readers_held(&none, 99000, &held));
    look_for(w, 2);
    sqlite3_close(w->daemon); /* takes -wal and -shm along */
    w->daemon = NULL;
    look_for(w, 2);
    assert_int_equal(w->readers.fd, -1);
    assert_false(wal_readers_held(&w->readers, w->now, &held));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_program_that_reads_for_long_while_the_wal_grows_is_named),
        CASE(of_two_the_one_that_has_read_for_longer_is_named_and_then_the_other),
        CASE(a_short_question_and_our_own_readers_are_nobody),
        CASE(a_look_drops_no_lock_of_ours),
        CASE(without_its_files_nobody_is_named),
    };

    return cmocka_run_group_tests_name("net_wal", tests, NULL, NULL);
}
