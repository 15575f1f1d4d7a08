/* Opening: a first start, a second one, and files that are not ours to touch. */
#define FIXTURE_ALL_TABLES
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "replica_fixture.h"

/* ---- helpers ------------------------------------------------------------- */

struct bytes {
    uint8_t *p;
    size_t n;
};

static struct bytes read_file(const char *path)
{
    struct bytes b = {0};
    struct stat st;
    FILE *in = fopen(path, "rb");

    assert_non_null(in);
    assert_int_equal(fstat(fileno(in), &st), 0);
    b.n = (size_t)st.st_size;
    b.p = malloc(b.n + 1);
    assert_non_null(b.p);
    assert_int_equal(fread(b.p, 1, b.n, in), b.n);
    fclose(in);
    return b;
}

static void write_file(const char *path, const void *p, size_t n)
{
    FILE *out = fopen(path, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(p, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

/* The open fails with @rc, says @word, and leaves the file as it was. */
static void refused(struct fixture *f, enum perche_rc rc, const char *word)
{
    struct bytes before = read_file(f->path), after;

    f->r = NULL;
    assert_int_equal(replica_open(&f->config, &f->r, &f->err), rc);
    assert_null(f->r);
    if (strstr(f->err.text, word) == NULL)
        fixture_fail("refusal", f->err.text, word);
    after = read_file(f->path);
    assert_int_equal(after.n, before.n);
    assert_memory_equal(after.p, before.p, before.n);
    free(before.p);
    free(after.p);
}

/* Makes a replica and closes it, so that nothing is left in the WAL. */
static struct fixture *made(void)
{
    struct fixture *f = fixture_folder();

    fixture_open(f);
    fixture_close(f);
    return f;
}

static void change(struct fixture *f, const char *sql)
{
    (void)sqlite3_close(f->program); /* what was asked before; NULL is fine */
    fixture_program(f);
    program(f, sql);
    assert_int_equal(sqlite3_close(f->program), SQLITE_OK);
    f->program = NULL;
}

/* ---- tests --------------------------------------------------------------- */

static void a_first_start_makes_schema_identity_and_triggers(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    fixture_open(f);
    fixture_program(f);
    assert_int_equal(strlen(replica_site_id(f->r)), 36);
    assert_string_equal(replica_name(f->r), "la-loupe");
    assert_int_equal(replica_site_id(f->r)[14], '7');
    assert_true(f->r->node.epoch > 0 && f->r->node.epoch >> 63 == 0);
    program_says(f, "PRAGMA user_version", "0"); /* the programs' own */
    program_says(f, "SELECT format FROM perche_node", "4");
    program_says(f, "PRAGMA journal_mode", "wal");
    program_says(f, "SELECT max(number) FROM perche_migration WHERE number < 90", "10");
    program_says(f, "SELECT count(*) FROM perche_migration WHERE number < 90 AND sql = '' AND signature IS NULL", "11");
    program_says(f, "SELECT count(*) FROM learner", "0");
    program_says(f, "SELECT count(*) FROM perche_invalid", "0");
    program_says(f, "SELECT 4 * (SELECT count(*) FROM perche_table) - count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name <> 'perche_conflict'", "0");
    program_says(f, "SELECT count(*) FROM perche_capture", "0");
    program_says(f, "SELECT (site_id = (SELECT site FROM perche_node)) || '/' || role || '/' || joined || '/' || (hub_site_id IS NULL) FROM perche_self", "1/site/0/1");
    fixture_end(f);
}

static void a_second_start_keeps_the_identity(void **state)
{
    struct fixture *f = fixture_folder();
    char id[64];
    uint64_t epoch;

    (void)state;
    fixture_open(f);
    strcpy(id, replica_site_id(f->r));
    epoch = f->r->node.epoch;
    fixture_close(f);
    f->config.random[0] = 99;
    fixture_open(f);
    assert_string_equal(replica_site_id(f->r), id);
    assert_int_equal(f->r->node.epoch, epoch);
    fixture_end(f);
}

static void other_random_bytes_make_another_identity(void **state)
{
    struct fixture *a = fixture_folder(), *b = fixture_folder();

    (void)state;
    b->config.random[31] ^= 1;
    fixture_open(a);
    fixture_open(b);
    assert_string_not_equal(replica_site_id(a->r), replica_site_id(b->r));
    assert_true(a->r->node.epoch != b->r->node.epoch);
    fixture_end(a);
    fixture_end(b);
}

static void a_hub_starts_with_its_network_its_site_and_captures_them(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    f->config.role = REPLICA_HUB;
    f->config.name = "Perche";
    fixture_open(f);
    fixture_program(f);
    program_says(f, "SELECT name FROM network", "Perche");
    program_says(f, "SELECT code || '/' || kind || '/' || status || '/' || (id = (SELECT site FROM perche_node)) || '/' || (network_id = (SELECT id FROM network)) FROM site", "HUB/HUB/OPEN/1/1");
    program_says(f, "SELECT count(*) FROM perche_capture WHERE mask = -1", "3"); /* and its key */
    program_says(f, "SELECT role || '/' || joined || '/' || (hub_site_id = site_id) || '/' || site_code FROM perche_self", "hub/1/1/HUB");
    program_says(f, "SELECT count(*) FROM code_list", "0");
    fixture_end(f);
}

static void a_hub_with_seeds_captures_every_code(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    f->config.role = REPLICA_HUB;
    f->config.seeds = true;
    fixture_open(f);
    fixture_program(f);
    program_says(f, "SELECT count(*) > 100 FROM code_list", "1");
    program_says(f, "SELECT (SELECT count(*) FROM perche_capture c JOIN perche_tab t ON t.num = c.tab WHERE t.name = 'code_list') = (SELECT count(*) FROM code_list)", "1");
    fixture_close(f);
    program(f, "DELETE FROM code_list WHERE list = 'mark'");
    fixture_open(f); /* a later start loads no seeds: what the hub has changed stays changed */
    program_says(f, "SELECT count(*) FROM code_list WHERE list = 'mark'", "0");
    fixture_end(f);
}

/* Whatever its tables are called. Its own -journal is left to it as well. */
static void another_programs_database_is_refused_untouched(void **state)
{
    static const char *const made_by[] = {
        "CREATE TABLE notes (id TEXT PRIMARY KEY, text); INSERT INTO notes VALUES ('a', 'b')",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE INDEX sooner ON notes (id)",
        "CREATE TABLE learner (id TEXT PRIMARY KEY)",
        "CREATE TABLE perche_own (id TEXT PRIMARY KEY)",
        "CREATE VIEW notes AS SELECT 1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(made_by) / sizeof(made_by[0]); i++) {
        struct fixture *f = fixture_folder();

        change(f, made_by[i]);
        refused(f, PERCHE_REFUSED, "another program");
        assert_non_null(strstr(f->err.text, f->path));
        assert_non_null(strstr(f->err.text, i == 2 ? "learner" : i == 3 ? "perche_own" : "notes"));
        fixture_end(f);
    }
}

/* A crash of its program has left a -journal, for which a reader cannot look at the file. */
static void another_programs_database_is_refused_also_where_it_cannot_be_looked_at(void **state)
{
    struct fixture *f = fixture_folder();
    char from[160], to[160];
    struct bytes db, journal;

    (void)state;
    change(f, "CREATE TABLE notes (id INTEGER PRIMARY KEY, text); INSERT INTO notes VALUES (1, 'b')");
    fixture_program(f);
    program(f, "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN;"
               " WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
               " INSERT INTO notes SELECT i, hex(zeroblob(500)) FROM n");
    snprintf(from, sizeof(from), "%s-journal", f->path);
    db = read_file(f->path);
    journal = read_file(from);
    assert_true(journal.n > 512);
    program(f, "ROLLBACK");
    assert_int_equal(sqlite3_close(f->program), SQLITE_OK);
    f->program = NULL;
    write_file(f->path, db.p, db.n);
    snprintf(to, sizeof(to), "%s-journal", f->path);
    write_file(to, journal.p, journal.n);
    assert_int_equal(replica_open(&f->config, &f->r, &f->err), PERCHE_REFUSED);
    assert_non_null(strstr(f->err.text, "another program"));
    fixture_program(f);
    program_says(f, "SELECT group_concat(name) FROM sqlite_schema", "notes");
    program_says(f, "SELECT count(*) FROM notes", "1");
    free(db.p);
    free(journal.p);
    fixture_end(f);
}

/* The last connection that closes would write it into the file. */
static void what_a_refused_file_has_in_its_wal_stays_there(void **state)
{
    struct fixture *f = fixture_folder();
    struct bytes db, wal, after;
    char path[160];

    (void)state;
    snprintf(path, sizeof(path), "%s-wal", f->path);
    fixture_program(f);
    program(f, "PRAGMA journal_mode = wal; CREATE TABLE notes (id INTEGER PRIMARY KEY)");
    db = read_file(f->path);
    wal = read_file(path);
    assert_true(wal.n > 4096);
    assert_int_equal(sqlite3_close(f->program), SQLITE_OK);
    f->program = NULL;
    write_file(f->path, db.p, db.n);
    write_file(path, wal.p, wal.n);
    refused(f, PERCHE_REFUSED, "another program");
    after = read_file(path);
    assert_int_equal(after.n, wal.n);
    assert_memory_equal(after.p, wal.p, wal.n);
    free(db.p);
    free(wal.p);
    free(after.p);
    fixture_end(f);
}

/* Empty but for its header: what a program leaves that opened it too early, and a first start that was cut. */
static void a_database_without_tables_is_a_first_start(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    change(f, "PRAGMA journal_mode = wal; PRAGMA user_version = 7; CREATE TABLE notes (a); DROP TABLE notes");
    fixture_open(f);
    fixture_program(f);
    program_says(f, "SELECT count(*) FROM learner", "0");
    program_says(f, "PRAGMA user_version", "7");
    fixture_end(f);
}

static void stands_alone(struct fixture *f)
{
    char path[128];

    for (const char *const *p = (const char *const[]){"-wal", "-shm", "-journal", NULL}; *p != NULL; p++) {
        snprintf(path, sizeof(path), "%s%s", f->path, *p);
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

static void a_look_says_what_a_file_is_and_leaves_nothing(void **state)
{
    struct replica_seen seen;
    struct fixture *f = fixture_folder();

    (void)state;
    f->config.role = REPLICA_HUB;
    assert_int_equal(replica_look(&f->config, &seen, &f->err), PERCHE_OK); /* nothing there */
    assert_int_equal(seen.role, 0);
    assert_int_not_equal(access(f->path, F_OK), 0);
    write_file(f->path, "", 0);
    assert_int_equal(replica_look(&f->config, &seen, &f->err), PERCHE_OK);
    assert_int_equal(seen.role, 0);
    fixture_open(f);
    assert_int_equal(replica_look(&f->config, &seen, &f->err), PERCHE_OK); /* in use: its WAL counts */
    assert_int_equal(seen.role, REPLICA_HUB);
    assert_string_equal(seen.hub, replica_site_id(f->r));
    fixture_close(f);
    stands_alone(f);
    assert_int_equal(replica_look(&f->config, &seen, &f->err), PERCHE_OK);
    assert_int_equal(seen.role, REPLICA_HUB);
    f->config.role = REPLICA_SITE;
    memset(&seen, 0x7f, sizeof(seen));
    assert_int_equal(replica_look(&f->config, &seen, &f->err), PERCHE_REFUSED);
    assert_non_null(strstr(f->err.text, "the replica of a hub"));
    stands_alone(f);
    fixture_end(f);

    f = fixture_folder();
    snprintf(f->path, sizeof(f->path), "%s/50%%25 ?#.db", f->folder); /* a path is no URI */
    fixture_open(f);
    fixture_close(f);
    assert_int_equal(replica_look(&f->config, &seen, &f->err), PERCHE_OK);
    assert_int_equal(seen.role, REPLICA_SITE);
    assert_string_equal(seen.hub, "");
    stands_alone(f);
    change(f, "DROP TABLE perche_node; DROP TABLE perche_row; DROP TABLE perche_capture; DROP TABLE perche_mark");
    assert_int_equal(replica_look(&f->config, &seen, &f->err), PERCHE_REFUSED);
    assert_non_null(strstr(f->err.text, "another program"));
    stands_alone(f);
    fixture_end(f);
}

/* Beside ours a program may have any table, and keeps it. */
static void a_replica_with_a_programs_own_tables_is_opened(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "CREATE TABLE notes (id TEXT PRIMARY KEY, text); INSERT INTO notes VALUES ('a', 'b')");
    fixture_open(f);
    fixture_program(f);
    program_says(f, "SELECT text FROM notes", "b");
    fixture_end(f);
}

static void what_is_no_database_is_refused_untouched(void **state)
{
    static const char *const texts[] = {"hello", "this text is longer than the hundred bytes of SQLite's header, and still it has no page of a database in it at all ..."};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture *f = fixture_folder();

        write_file(f->path, texts[i], strlen(texts[i]));
        refused(f, PERCHE_CORRUPT, "not an SQLite database");
        fixture_end(f);
    }
}

static void an_empty_file_is_a_first_start(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    write_file(f->path, "", 0);
    fixture_open(f);
    fixture_end(f);
}

static void a_damaged_page_is_refused_untouched(void **state)
{
    struct fixture *f = made();
    struct bytes b = read_file(f->path);

    (void)state;
    memset(b.p + 4096 * 3, 0xa5, 4096);
    write_file(f->path, b.p, b.n);
    refused(f, PERCHE_CORRUPT, "backup");
    free(b.p);
    fixture_end(f);
}

static void a_file_cut_short_is_refused_untouched(void **state)
{
    struct fixture *f = made();
    struct bytes b = read_file(f->path);

    (void)state;
    write_file(f->path, b.p, b.n / 2 / 4096 * 4096);
    refused(f, PERCHE_CORRUPT, "backup");
    free(b.p);
    fixture_end(f);
}

static void a_newer_format_is_refused_untouched(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "UPDATE perche_node SET format = 5");
    refused(f, PERCHE_NEWER, "newer program");
    fixture_end(f);
}

static void a_user_version_of_a_programs_is_its_own(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "PRAGMA user_version = 7");
    fixture_open(f);
    fixture_program(f);
    program_says(f, "PRAGMA user_version", "7");
    fixture_end(f);
}

/* As a program of before had made it: what upgrade.c adds is not there. */
#define OF_FORMAT_1 "DROP INDEX perche_leaving_lsn; DROP TABLE perche_held_child; DROP TABLE perche_dead_child; DROP TABLE perche_named; DROP TABLE perche_forgotten;" \
                    "DROP INDEX perche_left_open; ALTER TABLE perche_left DROP COLUMN ended; ALTER TABLE perche_parked DROP COLUMN epoch; ALTER TABLE perche_parked DROP COLUMN shown;" \
                    "CREATE INDEX perche_left_lsn ON perche_left (site, lsn); ALTER TABLE perche_left DROP COLUMN stays; ALTER TABLE perche_peer DROP COLUMN returns_stamp;" \
                    "ALTER TABLE perche_left DROP COLUMN writes; DROP TABLE perche_reader;" \
                    "ALTER TABLE perche_node DROP COLUMN shifted; ALTER TABLE perche_node DROP COLUMN cut_block; DROP INDEX perche_parked_via; UPDATE perche_node SET format = 1;"
/* Every table of ours and its columns, whatever their order, and the indexes. */
#define SHAPE "SELECT group_concat(said, ' ') FROM (SELECT substr(t.name, 8) || '.' || c.name AS said" \
              " FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name GLOB 'perche_*'" \
              " UNION ALL SELECT name || ' ' || sql FROM sqlite_schema WHERE type = 'index' AND name GLOB 'perche_*' ORDER BY said)"

static void a_file_of_an_earlier_format_gets_what_it_lacks(void **state)
{
    struct fixture *f = made();
    char *shape;

    (void)state;
    fixture_program(f);
    shape = strdup(asked(f->program, SHAPE));
    assert_non_null(strstr(shape, "wanted.tab")); /* the last table: it is all there */
    change(f, OF_FORMAT_1);
    fixture_program(f);
    assert_string_not_equal(asked(f->program, SHAPE), shape);
    fixture_open(f);
    program_says(f, SHAPE, shape);
    program_says(f, "SELECT format FROM perche_node", "4");
    fixture_close(f);
    change(f, OF_FORMAT_1 "ALTER TABLE perche_node DROP COLUMN format; PRAGMA user_version = 1"); /* of before the format was noted */
    fixture_open(f);
    fixture_program(f);
    program_says(f, SHAPE, shape);
    program_says(f, "SELECT format FROM perche_node", "4");
    free(shape);
    fixture_end(f);
}

/* A start that was cut after the first of the two transactions. */
static void an_upgrade_that_was_cut_begins_anew(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "UPDATE perche_node SET format = 1");
    fixture_open(f);
    fixture_program(f);
    program_says(f, "SELECT format FROM perche_node", "4");
    fixture_end(f);
}

static int by_bytes(void *ctx, int an, const void *a, int bn, const void *b)
{
    (void)ctx;
    return an != bn ? an - bn : memcmp(a, b, (size_t)an);
}

static void fold(sqlite3_context *ctx, int n, sqlite3_value **values)
{
    (void)n;
    sqlite3_result_value(ctx, values[0]);
}

/* An index that this process cannot read is no damage; what is damaged beside it is found nonetheless. */
static void a_file_with_an_index_that_only_its_program_can_read_is_opened(void **state)
{
    static const char *const indexes[] = {
        "CREATE INDEX own ON project (title COLLATE french)",
        "CREATE INDEX own ON project (title) WHERE fold(title) = 'x'",
        "CREATE INDEX own ON project (fold(title))",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
        struct fixture *f = made();

        fixture_program(f);
        assert_int_equal(sqlite3_create_collation(f->program, "french", SQLITE_UTF8, NULL, by_bytes), SQLITE_OK);
        assert_int_equal(sqlite3_create_function(f->program, "fold", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, fold, NULL, NULL), SQLITE_OK);
        program(f, indexes[i]);
        program(f, "INSERT INTO project (id, site_id, title, kind) SELECT 'p', site, 'x', 'SHED' FROM perche_node");
        assert_int_equal(sqlite3_close(f->program), SQLITE_OK);
        f->program = NULL;
        fixture_open(f);
        assert_int_equal(registry_obstacles(f->r), 1);
        fixture_close(f);
        change(f, "CREATE TABLE other (a TEXT NOT NULL); INSERT INTO other VALUES ('a'); PRAGMA writable_schema = ON;"
                  " UPDATE sqlite_schema SET sql = 'CREATE TABLE other (a INTEGER NOT NULL, b TEXT NOT NULL)' WHERE name = 'other'");
        refused(f, PERCHE_CORRUPT, "quick_check");
        fixture_end(f);
    }
}

/* Nor is a row that fails a CHECK of its table: any program can switch these off, and a merge does. */
static void a_file_with_a_row_that_fails_a_check_is_opened(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "CREATE TABLE other (a INTEGER NOT NULL CHECK (a < 2)); PRAGMA ignore_check_constraints = ON; INSERT INTO other VALUES (3)");
    fixture_open(f);
    fixture_close(f);
    change(f, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE other (a INTEGER NOT NULL, b TEXT NOT NULL)' WHERE name = 'other'");
    refused(f, PERCHE_CORRUPT, "quick_check");
    fixture_end(f);
}

static void a_newer_migration_is_refused_untouched(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "INSERT INTO perche_migration (number, name, sql, applied_ms) VALUES (77, 'x', '', 0)");
    refused(f, PERCHE_NEWER, "schema 77");
    fixture_end(f);
}

static void a_distributed_migration_does_not_make_a_file_newer(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "INSERT INTO perche_migration (number, name, sql, applied_ms) VALUES (1000, 'x', '', 0)");
    fixture_open(f);
    fixture_end(f);
}

static void a_replica_does_not_change_its_role(void **state)
{
    struct fixture *f = made();

    (void)state;
    f->config.role = REPLICA_HUB;
    refused(f, PERCHE_REFUSED, "role = hub");
    fixture_end(f);
}

static void a_replica_without_its_node_is_refused_untouched(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "DELETE FROM perche_node");
    refused(f, PERCHE_CORRUPT, "perche_node");
    fixture_end(f);
}

/* The file as a release made it that had the first three migrations only. */
static void an_older_file_gets_the_migrations_that_it_lacks(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "DROP VIEW perche_invalid; DELETE FROM perche_migration WHERE number >= 5;"
              "DELETE FROM perche_table WHERE name IN ('outcome_observation', 'outcome_decision', 'site_key');"
              "DELETE FROM perche_column WHERE tab IN ('outcome_observation', 'outcome_decision', 'site_key');"
              "ALTER TABLE perche_table DROP COLUMN chained;");
    fixture_program(f); /* every table of the later files goes, with its views */
    {
        sqlite3_stmt *s;
        char drop[65536] = "PRAGMA foreign_keys=OFF;";

        assert_int_equal(sqlite3_prepare_v2(f->program, "SELECT 'DROP VIEW IF EXISTS \"' || name || '\";' FROM sqlite_schema WHERE type = 'view' AND name LIKE 'perche_invalid%'", -1, &s, NULL), SQLITE_OK);
        while (sqlite3_step(s) == SQLITE_ROW)
            strcat(drop, (const char *)sqlite3_column_text(s, 0));
        sqlite3_finalize(s);
        for (size_t i = 0; i < schema_files_count; i++)
            if (schema_files[i].number >= 5 && schema_files[i].number < SCHEMA_VIEWS_FROM)
                for (const char *p = schema_files[i].sql; (p = strstr(p, "CREATE TABLE ")) != NULL; p++) {
                    char name[64], line[512];

                    assert_int_equal(sscanf(p, "CREATE TABLE %63s", name), 1);
                    snprintf(line, sizeof(line), "DROP TABLE %s; DROP TABLE IF EXISTS perche_gone_%s; DELETE FROM perche_table WHERE name='%s'; DELETE FROM perche_column WHERE tab='%s'; DELETE FROM perche_unique WHERE tab='%s';", name, name, name, name, name);
                    strcat(drop, line);
                }
        program(f, drop);
    }
    fixture_open(f);
    program_says(f, "SELECT count(*) FROM outcome_decision", "0");
    program_says(f, "SELECT count(*) FROM perche_migration WHERE number < 90", "11");
    program_says(f, "SELECT count(*) FROM perche_invalid", "0");
    program_says(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'perche_outcome_decision_update'", "1");
    fixture_end(f);
}

static void views_of_another_release_are_made_anew(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "DROP VIEW perche_invalid; CREATE VIEW perche_invalid AS SELECT 'old' AS tab; UPDATE perche_migration SET sql = 'x' WHERE number = 90");
    fixture_open(f);
    fixture_program(f);
    program_says(f, "SELECT count(*) FROM perche_invalid", "0");
    fixture_end(f);
}

static void a_flag_left_up_by_somebody_does_not_stop_capture(void **state)
{
    struct fixture *f = made();

    (void)state;
    change(f, "UPDATE perche_flag SET applying = 1");
    fixture_open(f);
    fixture_program(f);
    program(f, "INSERT INTO network (id, name) VALUES ('n', 'x')");
    program_says(f, "SELECT count(*) FROM perche_capture", "1");
    program(f, "DELETE FROM perche_flag; UPDATE network SET name = 'y'");
    program_says(f, "SELECT count(*) FROM perche_capture", "2");
    fixture_end(f);
}

static void a_reader_sees_what_the_writer_has_committed_and_writes_nothing(void **state)
{
    struct fixture *f = fixture_folder();
    struct replica *reader;
    uint32_t num;

    (void)state;
    fixture_open(f);
    assert_int_equal(replica_open_reader(&f->config, &reader, &f->err), PERCHE_OK);
    assert_string_equal(replica_site_id(reader), replica_site_id(f->r));
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    (void)next_lsn(f->r);
    num = name_number(f->r, "some-site");
    assert_int_equal(tx_commit(f->r), PERCHE_OK);

    assert_int_equal(tx_begin(reader, false), PERCHE_OK);
    assert_int_equal(reader->node.lsn, 1);
    assert_int_equal(name_number(reader, "some-site"), num);
    assert_string_equal(name_text(reader, num), "some-site");
    assert_true(name_number(reader, "unheard-of") >= NAME_PASSING);
    assert_int_equal(exec(reader, "DELETE FROM perche_flag"), PERCHE_DISK);
    fail_clear(reader);
    assert_int_equal(tx_commit(reader), PERCHE_OK);
    replica_free(reader);
    fixture_end(f);
}

/* The shell's .restore, or backup() of a program: same file, same inode, an older state. */
static void an_older_state_written_into_the_open_file_ends_all_works(void **state)
{
    struct fixture *f = fixture_folder();
    struct replica *reader;
    sqlite3_backup *b;
    sqlite3 *old;

    (void)state;
    fixture_open(f);
    fixture_program(f);
    assert_int_equal(sqlite3_open(":memory:", &old), SQLITE_OK);
    assert_non_null(b = sqlite3_backup_init(old, "main", f->program, "main"));
    assert_int_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
    assert_int_equal(sqlite3_backup_finish(b), SQLITE_OK);
    assert_int_equal(replica_open_reader(&f->config, &reader, &f->err), PERCHE_OK);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    (void)next_lsn(f->r);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK); /* what it wrote itself stands */
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    assert_int_equal(tx_begin(reader, false), PERCHE_OK);
    assert_int_equal(tx_commit(reader), PERCHE_OK);
    assert_false(replica_put_back(f->r));
    assert_non_null(b = sqlite3_backup_init(f->program, "main", old, "main"));
    assert_int_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
    assert_int_equal(sqlite3_backup_finish(b), SQLITE_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tx_begin(f->r, true), PERCHE_STATE);
        assert_int_equal(tx_begin(reader, false), PERCHE_STATE);
    }
    assert_true(replica_put_back(f->r));
    replica_free(reader);
    fixture_close(f);
    fixture_open(f); /* and from there it goes on */
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    assert_int_equal(sqlite3_close(old), SQLITE_OK);
    fixture_end(f);
}

/* Closing a second descriptor of the file would drop all locks that the process holds (TRAPS 2). */
static void no_descriptor_of_the_file_is_opened_but_sqlites(void **state)
{
    struct fixture *f = fixture_folder();
    struct replica *reader;
    struct dirent *entry;
    DIR *folder;
    int files = 0;

    (void)state;
    fixture_open(f);
    fixture_close(f);
    fixture_open(f); /* a start that looks at a file first */
    assert_int_equal(replica_open_reader(&f->config, &reader, &f->err), PERCHE_OK);
    assert_int_equal(tx_begin(reader, false), PERCHE_OK);
    folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        char link[300], target[300];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%s", entry->d_name);
        n = readlink(link, target, sizeof(target) - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        files += strcmp(target, f->path) == 0;
    }
    closedir(folder);
    assert_int_equal(files, 2); /* one each of writer and reader: none of the look at the start */
    assert_int_equal(tx_commit(reader), PERCHE_OK);
    replica_free(reader);
    fixture_end(f);
}

static void what_other_programs_commit_is_noticed_once(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    fixture_open(f);
    fixture_program(f);
    assert_false(replica_others_wrote(f->r));
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    (void)next_lsn(f->r);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    assert_false(replica_others_wrote(f->r));
    program(f, "INSERT INTO network (id, name) VALUES ('n', 'x')");
    assert_true(replica_others_wrote(f->r));
    assert_false(replica_others_wrote(f->r));
    fixture_end(f);
}

static void a_commit_waits_for_a_short_lock_and_gives_up_on_none(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    fixture_open(f);
    fixture_program(f);
    program(f, "BEGIN IMMEDIATE");
    /* nobody ends it: after its 5 s the writer says who is in the way instead of waiting for ever */
    assert_int_equal(tx_begin(f->r, true), PERCHE_BUSY);
    assert_false(f->r->in_tx);
    program(f, "COMMIT");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    fixture_end(f);
}

/* ---- node, marks, clock -------------------------------------------------- */

static void each_transaction_that_allots_a_position_stores_a_mark(void **state)
{
    struct fixture *f = fixture_folder();
    uint64_t mark;

    (void)state;
    fixture_open(f);
    fixture_program(f);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(next_lsn(f->r), 1);
    assert_int_equal(next_lsn(f->r), 2);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    mark = f->r->node.mark;
    fixture_look(f); /* allots none */
    program_says(f, "SELECT count(*) || '/' || max(lsn) FROM perche_mark", "1/2");
    program_says(f, "SELECT (SELECT mark FROM perche_mark) = mark AND lsn = 2 FROM perche_node", "1");
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(f->r->node.lsn, 2);
    assert_int_equal(f->r->node.mark, mark);
    fixture_end(f);
}

static void a_rollback_takes_positions_names_and_stamps_back(void **state)
{
    struct fixture *f = fixture_folder();
    uint32_t num;

    (void)state;
    fixture_open(f);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    f->r->now_ms = FIXTURE_NOW;
    (void)next_lsn(f->r);
    (void)next_stamp(f->r, FIXTURE_NOW);
    num = name_number(f->r, "gone");
    tx_rollback(f->r);
    assert_int_equal(f->r->node.lsn, 0);
    assert_int_equal(f->r->node.stamp, 0);
    assert_null(name_text(f->r, num));
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(name_number(f->r, "other"), num);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    assert_string_equal(name_text(f->r, num), "other");
    fixture_end(f);
}

static void a_failed_work_leaves_the_others_of_its_transaction_alone(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    fixture_open(f);
    fixture_program(f);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(savepoint(f->r), PERCHE_OK);
    (void)next_lsn(f->r);
    assert_true(name_number(f->r, "kept") != 0);
    assert_int_equal(woken_add(f->r, 5), PERCHE_OK);
    assert_int_equal(savepoint_release(f->r), PERCHE_OK);

    assert_int_equal(savepoint(f->r), PERCHE_OK);
    (void)next_lsn(f->r);
    assert_true(name_number(f->r, "lost") != 0);
    assert_int_equal(woken_add(f->r, 6), PERCHE_OK);
    assert_int_equal(applying_begin(f->r), PERCHE_OK);
    assert_int_equal(exec(f->r, "INSERT INTO no_such_table VALUES (1)"), PERCHE_INTERNAL);
    savepoint_rollback(f->r);
    assert_int_equal(f->r->fail, PERCHE_INTERNAL); /* stays to be told */
    assert_false(f->r->applying);

    assert_int_equal(savepoint(f->r), PERCHE_OK);
    assert_int_equal(f->r->fail, PERCHE_OK);
    assert_int_equal(capturing(f->r), PERCHE_OK);
    assert_int_equal(exec(f->r, "INSERT INTO network (id, name) VALUES ('n', 'captured: triggers are on again')"), PERCHE_OK);
    assert_int_equal(savepoint_release(f->r), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    assert_int_equal(f->r->woken->count, 1);
    program_says(f, "SELECT lsn FROM perche_node", "1");
    program_says(f, "SELECT group_concat(text) FROM perche_name WHERE text IN ('kept', 'lost')", "kept");
    program_says(f, "SELECT count(*) FROM perche_capture", "1");
    fixture_end(f);
}

static void a_failure_that_nobody_took_back_is_not_committed(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    fixture_open(f);
    fixture_program(f);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(exec(f->r, "INSERT INTO network (id, name) VALUES ('n', 'half')"), PERCHE_OK);
    assert_int_equal(exec(f->r, "INSERT INTO no_such_table VALUES (1)"), PERCHE_INTERNAL);
    assert_int_equal(tx_commit(f->r), PERCHE_INTERNAL);
    assert_false(f->r->in_tx);
    program_says(f, "SELECT count(*) FROM network", "0");
    fixture_end(f);
}

static void stamps_follow_the_clock_and_never_go_back(void **state)
{
    struct fixture *f = fixture_folder();
    struct replica *r;

    (void)state;
    fixture_open(f);
    r = f->r;
    r->now_ms = FIXTURE_NOW;
    assert_int_equal(next_stamp(r, FIXTURE_NOW - 50), (FIXTURE_NOW - 50) << 16);
    assert_int_equal(next_stamp(r, FIXTURE_NOW - 90), ((FIXTURE_NOW - 50) << 16) + 1); /* an earlier event is not before a later stamp */
    assert_int_equal(next_stamp(r, FIXTURE_NOW + 7777), FIXTURE_NOW << 16);            /* a program's clock ahead of the daemon's */
    assert_int_equal(next_stamp(r, 0), (FIXTURE_NOW << 16) + 1);
    r->now_ms = FIXTURE_NOW - 86400000; /* the daemon's clock was put back a day */
    assert_int_equal(next_stamp(r, r->now_ms), (FIXTURE_NOW << 16) + 2);
    assert_false(r->suspect);
    stamp_seen(r, (FIXTURE_NOW + 5) << 16);
    stamp_seen(r, FIXTURE_NOW << 16);
    assert_int_equal(next_stamp(r, r->now_ms), ((FIXTURE_NOW + 5) << 16) + 1);
    fixture_end(f);
}

static void an_implausible_clock_goes_on_from_the_last_stamp_and_is_suspect(void **state)
{
    struct fixture *f = fixture_folder();
    struct replica *r;
    uint64_t last;

    (void)state;
    fixture_open(f);
    r = f->r;
    r->now_ms = 946684800000; /* 2000: the battery is dead, and nothing was ever stamped */
    assert_true(next_stamp(r, r->now_ms) >> 16 >= 1735689600000);
    assert_true(r->suspect);
    r->now_ms = FIXTURE_NOW;
    last = next_stamp(r, FIXTURE_NOW);
    assert_false(r->suspect);
    r->now_ms = 0;
    assert_int_equal(next_stamp(r, 0), last + 1);
    assert_true(r->suspect);
    r->now_ms = FIXTURE_NOW + UINT64_C(400) * 86400000;
    assert_int_equal(next_stamp(r, r->now_ms), last + 2);
    assert_true(r->suspect);
    r->now_ms = FIXTURE_NOW + UINT64_C(300) * 86400000;
    assert_int_equal(next_stamp(r, r->now_ms), r->now_ms << 16);
    assert_false(r->suspect);
    assert_int_equal(r->node.good_ms, r->now_ms);
    fixture_end(f);
}

static void marks_are_thinned_by_powers_of_two_and_never_all_dropped(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    fixture_open(f);
    fixture_program(f);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(exec(f->r, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO perche_mark SELECT i, i FROM n"), PERCHE_OK);
    for (uint64_t below = 1; below <= 8925; below += 97)
        assert_int_equal(marks_thin(f->r, below), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    program_says(f, "SELECT min(lsn) FROM perche_mark", "1");
    program_says(f, "SELECT count(*) FROM perche_mark WHERE lsn >= 8925", "1076");
    program_says(f, "SELECT count(*) BETWEEN 7 AND 14 FROM perche_mark WHERE lsn < 8925", "1");
    fixture_end(f);
}

static void a_long_run_keeps_few_marks_below_what_is_acknowledged(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    fixture_open(f);
    fixture_program(f);
    assert_int_equal(exec(f->r, "PRAGMA synchronous = OFF"), PERCHE_OK); /* 3,000 commits */
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
        (void)next_lsn(f->r);
        f->r->node.acked = f->r->node.lsn > 500 ? f->r->node.lsn - 500 : 0;
        assert_int_equal(tx_commit(f->r), PERCHE_OK);
    }
    program_says(f, "SELECT count(*) < 1700 AND count(*) >= 500 AND min(lsn) = 1 FROM perche_mark", "1");
    fixture_end(f);
}

/* ---- names --------------------------------------------------------------- */

static void names_keep_their_numbers_over_a_restart(void **state)
{
    struct fixture *f = fixture_folder();
    uint32_t nums[1000];

    (void)state;
    fixture_open(f);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    for (int i = 0; i < 1000; i++) {
        char text[32];

        snprintf(text, sizeof(text), "site-%d", i);
        nums[i] = name_number(f->r, text);
        assert_true(nums[i] > VIA_HUB);
        assert_int_equal(name_number(f->r, text), nums[i]);
    }
    assert_true(name_number(f->r, "") > VIA_HUB); /* the scope that no site holds is a name, too */
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    fixture_close(f);
    fixture_open(f);
    for (int i = 0; i < 1000; i++) {
        char text[32];

        snprintf(text, sizeof(text), "site-%d", i);
        assert_string_equal(name_text(f->r, nums[i]), text);
        assert_int_equal(name_number(f->r, text), nums[i]);
    }
    assert_null(name_text(f->r, 100000));
    fixture_end(f);
}

static void a_commit_that_fails_leaves_no_transaction_and_no_row(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    fixture_open(f);
    fixture_program(f);
    program(f, "CREATE TABLE parent (id TEXT NOT NULL PRIMARY KEY);"
               "CREATE TABLE child (id TEXT NOT NULL PRIMARY KEY, p TEXT REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK); /* references are not ours to enforce */
    assert_int_equal(exec(f->r, "INSERT INTO child VALUES ('a', 'none')"), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    assert_int_equal(exec(f->r, "PRAGMA foreign_keys = ON"), PERCHE_OK); /* the one way to fail at COMMIT and not before */
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    (void)next_lsn(f->r);
    assert_int_equal(exec(f->r, "INSERT INTO child VALUES ('b', 'none')"), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_REFUSED);
    assert_false(f->r->in_tx);
    assert_int_not_equal(sqlite3_get_autocommit(f->r->db), 0);
    assert_string_equal(asked(f->r->db, "SELECT group_concat(id) FROM child"), "a");
    assert_int_equal(f->r->node.lsn, 0);
    program(f, "INSERT INTO parent VALUES ('the lock is free')");
    fixture_look(f);
    fixture_end(f);
}

static void every_commit_waits_for_the_disk(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    for (int start = 0; start < 2; start++) {
        fixture_open(f);
        assert_string_equal(asked(f->r->db, "PRAGMA synchronous"), "2"); /* FULL: NORMAL loses the last commits of a power cut */
        assert_string_equal(asked(f->r->db, "PRAGMA journal_mode"), "wal");
        fixture_close(f);
    }
    fixture_end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_start_makes_schema_identity_and_triggers),
        cmocka_unit_test(a_second_start_keeps_the_identity),
        cmocka_unit_test(other_random_bytes_make_another_identity),
        cmocka_unit_test(a_hub_starts_with_its_network_its_site_and_captures_them),
        cmocka_unit_test(a_hub_with_seeds_captures_every_code),
        cmocka_unit_test(another_programs_database_is_refused_untouched),
        cmocka_unit_test(another_programs_database_is_refused_also_where_it_cannot_be_looked_at),
        cmocka_unit_test(what_a_refused_file_has_in_its_wal_stays_there),
        cmocka_unit_test(a_database_without_tables_is_a_first_start),
        cmocka_unit_test(a_replica_with_a_programs_own_tables_is_opened),
        cmocka_unit_test(a_look_says_what_a_file_is_and_leaves_nothing),
        cmocka_unit_test(what_is_no_database_is_refused_untouched),
        cmocka_unit_test(an_empty_file_is_a_first_start),
        cmocka_unit_test(a_damaged_page_is_refused_untouched),
        cmocka_unit_test(a_file_cut_short_is_refused_untouched),
        cmocka_unit_test(a_newer_format_is_refused_untouched),
        cmocka_unit_test(a_user_version_of_a_programs_is_its_own),
        cmocka_unit_test(a_file_of_an_earlier_format_gets_what_it_lacks),
        cmocka_unit_test(an_upgrade_that_was_cut_begins_anew),
        cmocka_unit_test(a_file_with_an_index_that_only_its_program_can_read_is_opened),
        cmocka_unit_test(a_file_with_a_row_that_fails_a_check_is_opened),
        cmocka_unit_test(a_newer_migration_is_refused_untouched),
        cmocka_unit_test(a_distributed_migration_does_not_make_a_file_newer),
        cmocka_unit_test(a_replica_does_not_change_its_role),
        cmocka_unit_test(a_replica_without_its_node_is_refused_untouched),
        cmocka_unit_test(an_older_file_gets_the_migrations_that_it_lacks),
        cmocka_unit_test(views_of_another_release_are_made_anew),
        cmocka_unit_test(a_flag_left_up_by_somebody_does_not_stop_capture),
        cmocka_unit_test(a_reader_sees_what_the_writer_has_committed_and_writes_nothing),
        cmocka_unit_test(an_older_state_written_into_the_open_file_ends_all_works),
        cmocka_unit_test(no_descriptor_of_the_file_is_opened_but_sqlites),
        cmocka_unit_test(what_other_programs_commit_is_noticed_once),
        cmocka_unit_test(a_commit_waits_for_a_short_lock_and_gives_up_on_none),
        cmocka_unit_test(each_transaction_that_allots_a_position_stores_a_mark),
        cmocka_unit_test(a_rollback_takes_positions_names_and_stamps_back),
        cmocka_unit_test(a_failed_work_leaves_the_others_of_its_transaction_alone),
        cmocka_unit_test(a_failure_that_nobody_took_back_is_not_committed),
        cmocka_unit_test(stamps_follow_the_clock_and_never_go_back),
        cmocka_unit_test(an_implausible_clock_goes_on_from_the_last_stamp_and_is_suspect),
        cmocka_unit_test(marks_are_thinned_by_powers_of_two_and_never_all_dropped),
        cmocka_unit_test(a_long_run_keeps_few_marks_below_what_is_acknowledged),
        cmocka_unit_test(names_keep_their_numbers_over_a_restart),
        cmocka_unit_test(a_commit_that_fails_leaves_no_transaction_and_no_row),
        cmocka_unit_test(every_commit_waits_for_the_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
