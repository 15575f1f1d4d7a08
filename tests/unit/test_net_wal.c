/* Who keeps the WAL open, and what becomes of -wal and -shm when somebody removes them: other processes are sqlite3 shells,
 * as people leave them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "net/wal_files.h"
#include "net/wal_readers.h"

struct world {
    char dir[64], db[96];
    sqlite3 *daemon;
    struct wal_readers readers;
    struct wal_files files;
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
    wal_files_close(&w->files);
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

/* ---- removed files ------------------------------------------------------------------------- */

static char *beside(struct world *w, const char *end)
{
    static char path[2][128];
    static unsigned next;
    char *p = path[next++ % 2];

    (void)snprintf(p, sizeof(path[0]), "%s%s", w->db, end);
    return p;
}

static void make_empty(const char *path)
{
    FILE *f = fopen(path, "wbx");

    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
}

/* As the daemon leaves files that are not its own any more: nothing is written by the last close. */
static void abandon(struct world *w)
{
    assert_int_equal(sqlite3_db_config(w->daemon, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(w->daemon), SQLITE_OK);
    w->daemon = NULL;
}

static ino_t inode(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static void lost_file(struct world *w, char *path, size_t n)
{
    char name[64];

    wal_files_lost(w->dir, name, sizeof(name));
    (void)snprintf(path, n, "%s/%s", w->dir, name);
    if (!*name)
        path[0] = '\0';
}

static void files_that_were_only_removed_are_put_back(void **state)
{
    struct world *w = *state;
    struct shell s;
    uint64_t at = 0;
    ino_t wal = inode(beside(w, "-wal")), shm = inode(beside(w, "-shm"));

    assert_int_equal(wal_files_open(&w->files, w->dir, w->db, NULL), PERCHE_OK);
    assert_int_equal(wal_files_look(&w->files), WAL_FILES_SAME);
    assert_null(wal_files_put_back(&w->files, &at));
    assert_int_equal(unlink(beside(w, "-wal")), 0);
    assert_int_equal(unlink(beside(w, "-shm")), 0);
    assert_int_equal(wal_files_look(&w->files), WAL_FILES_SAME);
    assert_int_equal(inode(beside(w, "-wal")), wal);
    assert_int_equal(inode(beside(w, "-shm")), shm);
    assert_non_null(wal_files_put_back(&w->files, &at));
    assert_true(at > 0);
    s = shell_start(w);
    shell_ask(&s, "BEGIN IMMEDIATE; INSERT INTO t VALUES (2); SELECT count(*) FROM t", "2");
    assert_int_equal(sqlite3_exec(w->daemon, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY); /* one index, one lock */
    shell_ask(&s, "COMMIT; SELECT 'done'", "done");
    run(w->daemon, "INSERT INTO t VALUES (3)");
    shell_ask(&s, "SELECT count(*) FROM t", "3");
    shell_end(&s);
}

static void what_the_old_wal_held_goes_into_the_new_one_while_one_index_serves_both(void **state)
{
    struct world *w = *state;
    struct shell s;
    char lost[128];

    assert_int_equal(wal_files_open(&w->files, w->dir, w->db, NULL), PERCHE_OK);
    assert_int_equal(unlink(beside(w, "-wal")), 0);
    make_empty(beside(w, "-wal"));
    assert_int_equal(wal_files_look(&w->files), WAL_FILES_REPLACED);
    wal_files_rescue(&w->files);
    abandon(w);
    lost_file(w, lost, sizeof(lost));
    assert_string_equal(lost, "");
    s = shell_start(w);
    shell_ask(&s, "SELECT count(*) FROM t", "1");
    shell_ask(&s, "PRAGMA quick_check", "ok");
    shell_end(&s);
}

static void a_wal_that_cannot_be_put_back_is_made_again(void **state)
{
    struct world *w = *state;
    struct shell s;

    assert_int_equal(wal_files_open(&w->files, w->dir, w->db, NULL), PERCHE_OK);
    assert_int_equal(unlink(w->files.wal.kept), 0); /* as where a file cannot have two names */
    w->files.wal.kept[0] = '\0';
    assert_int_equal(unlink(beside(w, "-wal")), 0);
    assert_int_equal(wal_files_look(&w->files), WAL_FILES_REPLACED);
    wal_files_rescue(&w->files);
    abandon(w);
    s = shell_start(w);
    shell_ask(&s, "SELECT count(*) FROM t", "1");
    shell_end(&s);
}

static void what_a_new_wal_with_its_own_index_lacks_is_set_aside(void **state)
{
    struct world *w = *state;
    struct shell s;
    char lost[128], command[500];

    run(w->daemon, "PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (2)"); /* in the WAL alone */
    (void)snprintf(command, sizeof(command), "cp '%s' '%s/was.db'", w->db, w->dir);
    assert_int_equal(system(command), 0); /* another process: its close drops none of our locks */
    assert_int_equal(wal_files_open(&w->files, w->dir, w->db, NULL), PERCHE_OK);
    assert_int_equal(unlink(beside(w, "-wal")), 0);
    assert_int_equal(unlink(beside(w, "-shm")), 0);
    s = shell_start(w);
    shell_ask(&s, "INSERT INTO t VALUES (3); INSERT INTO t VALUES (4); SELECT count(*) FROM t", "3");
    assert_int_equal(wal_files_look(&w->files), WAL_FILES_REPLACED);
    wal_files_rescue(&w->files);
    abandon(w);
    shell_ask(&s, "SELECT group_concat(x) FROM t", "1,3,4"); /* what it was told is there */
    shell_end(&s);
    lost_file(w, lost, sizeof(lost));
    assert_string_not_equal(lost, "");
    /* beside replica.db as it was it is read as any WAL is */
    (void)snprintf(command, sizeof(command), "cp '%s' '%s/was.db-wal' && sqlite3 '%s/was.db' 'SELECT group_concat(x) FROM t' | grep -qx 1,2", lost,
                   w->dir, w->dir);
    assert_int_equal(system(command), 0);
}

static void a_wal_that_was_wholly_copied_leaves_nothing_behind(void **state)
{
    struct world *w = *state;
    struct shell s;
    char lost[128];

    run(w->daemon, "PRAGMA wal_checkpoint(FULL)");
    assert_int_equal(wal_files_open(&w->files, w->dir, w->db, NULL), PERCHE_OK);
    assert_int_equal(unlink(beside(w, "-wal")), 0);
    assert_int_equal(unlink(beside(w, "-shm")), 0);
    s = shell_start(w);
    shell_ask(&s, "INSERT INTO t VALUES (3); SELECT count(*) FROM t", "2");
    assert_int_equal(wal_files_look(&w->files), WAL_FILES_REPLACED);
    wal_files_rescue(&w->files);
    abandon(w);
    shell_end(&s);
    lost_file(w, lost, sizeof(lost));
    assert_string_equal(lost, "");
}

static void beside_another_database_nothing_that_was_put_back_stays(void **state)
{
    struct world *w = *state;
    char command[500];

    assert_int_equal(wal_files_open(&w->files, w->dir, w->db, NULL), PERCHE_OK);
    assert_int_equal(unlink(beside(w, "-wal")), 0);
    assert_int_equal(unlink(beside(w, "-shm")), 0);
    assert_int_equal(wal_files_look(&w->files), WAL_FILES_SAME);
    (void)snprintf(command, sizeof(command), "cp '%s' '%s/x' && mv '%s/x' '%s'", w->db, w->dir, w->dir, w->db);
    assert_int_equal(system(command), 0);
    assert_int_equal(wal_files_look(&w->files), WAL_FILES_DB_REPLACED);
    assert_int_equal(access(beside(w, "-wal"), F_OK), -1);
    assert_int_equal(access(beside(w, "-shm"), F_OK), -1);
    wal_files_rescue(&w->files);
    assert_int_equal(access(beside(w, "-wal"), F_OK), -1);
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
        CASE(files_that_were_only_removed_are_put_back),
        CASE(what_the_old_wal_held_goes_into_the_new_one_while_one_index_serves_both),
        CASE(a_wal_that_cannot_be_put_back_is_made_again),
        CASE(what_a_new_wal_with_its_own_index_lacks_is_set_aside),
        CASE(a_wal_that_was_wholly_copied_leaves_nothing_behind),
        CASE(beside_another_database_nothing_that_was_put_back_stays),
    };

    return cmocka_run_group_tests_name("net_wal", tests, NULL, NULL);
}
