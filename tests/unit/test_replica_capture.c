/* Capture: every trap of trigger capture that was found elsewhere, as a case. The
 * changes are made by another connection, as any program makes them. */
#include "replica_fixture.h"

/* ---- helpers ------------------------------------------------------------- */

static struct fixture *with(const char *create, const char *table)
{
    struct fixture *f = fixture_folder();

    fixture_open(f);
    fixture_program(f);
    program(f, create);
    if (table != NULL)
        fixture_register(f, table);
    return f;
}

/* An ordinary table: key id, columns a (1) and b (2), two rows in it, captured already. */
static struct fixture *ordinary(void)
{
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT, b INTEGER) STRICT", "t");

    program(f, "INSERT INTO t VALUES ('x', 'one', 1), ('y', 'two', 2); DELETE FROM perche_capture");
    return f;
}

/* The capture log as "mask:key mask:key", oldest first; empties it. */
static void captured(struct fixture *f, const char *expected)
{
    program_says(f, "SELECT coalesce(group_concat(mask || ':' || quote(k1) || CASE WHEN k2 IS NULL THEN '' ELSE ',' || quote(k2) END, ' '), '') FROM (SELECT * FROM perche_capture ORDER BY n)", expected);
    program(f, "DELETE FROM perche_capture");
}

/* What is left to be scanned, as table names; ends it. */
static void unscanned(struct fixture *f, const char *expected)
{
    char text[512] = "";
    uint32_t count;
    const uint32_t *tabs = capture_unscanned(f->r, &count);

    for (uint32_t i = 0; i < count; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, tab_name(f->r, tabs[i]));
    }
    assert_string_equal(text, expected);
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    while (count > 0) {
        assert_int_equal(capture_scanned(f->r, tabs[0]), PERCHE_OK);
        tabs = capture_unscanned(f->r, &count);
    }
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
}

static void unscanned_is(struct fixture *f, uint32_t expected)
{
    uint32_t count;

    (void)capture_unscanned(f->r, &count);
    assert_int_equal(count, expected);
}

/* ---- what is captured ---------------------------------------------------- */

static void insert_update_and_delete_leave_a_row_each_in_their_order(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "INSERT INTO t VALUES ('z', 'three', 3); UPDATE t SET b = 4 WHERE id = 'z'; DELETE FROM t WHERE id = 'z'");
    program_says(f, "SELECT count(*) FROM perche_capture c JOIN perche_tab p ON p.num = c.tab WHERE p.name = 't' AND abs(c.at - julianday('now')) < 0.01", "3");
    captured(f, "-1:'z' 2:'z' 0:'z'");
    fixture_end(f);
}

static void a_change_and_its_capture_are_one_transaction(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "BEGIN; UPDATE t SET a = 'q'; ROLLBACK");
    captured(f, "");
    fixture_end(f);
}

static void an_update_that_changes_nothing_leaves_nothing(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "UPDATE t SET a = a, b = b + 0, id = id");
    captured(f, "");
    fixture_end(f);
}

static void null_to_a_value_and_back_is_a_change(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "UPDATE t SET a = NULL WHERE id = 'x'; UPDATE t SET a = NULL WHERE id = 'x'; UPDATE t SET a = '' WHERE id = 'x'");
    captured(f, "1:'x' 1:'x'");
    fixture_end(f);
}

static void replace_on_the_key_is_seen_as_an_insert(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "INSERT OR REPLACE INTO t VALUES ('x', 'other', 1); REPLACE INTO t VALUES ('y', 'other', 2)");
    captured(f, "-1:'x' -1:'y'");
    program(f, "PRAGMA recursive_triggers = ON; REPLACE INTO t VALUES ('x', 'third', 1)");
    captured(f, "0:'x' -1:'x'"); /* then the deletion is told as well */
    fixture_end(f);
}

/* What could not travel is not taken: the program hears of it. */
static void a_key_too_long_to_travel_is_refused_to_the_program(void **state)
{
    static const char *const writes[] = {
        "INSERT INTO t VALUES (hex(zeroblob(511)), 'a', 1)",
        "INSERT OR REPLACE INTO t VALUES (hex(zeroblob(100000)), 'a', 1)",
        "INSERT OR IGNORE INTO t VALUES (printf('%.*c', 1022, 'k'), 'a', 1)",
        "INSERT INTO t VALUES (CAST(zeroblob(1022) AS TEXT), 'a', 1)", /* to length() it is empty */
    };
    struct fixture *f = ordinary();

    (void)state;
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++)
        assert_string_equal(program_fails(f, writes[i]), "perche: a key is 1,021 bytes long at most");
    captured(f, "");
    program(f, "INSERT INTO t VALUES (printf('%.*c', 1021, 'k'), 'a', 1)");
    program_says(f, "SELECT count(*) FROM perche_capture WHERE length(k1) = 1021", "1");
    fixture_end(f);
}

static void keep_unique(void *ctx, const char *code, const char *table, const char *text)
{
    if (strcmp(code, "unique") == 0 && strcmp(table, "t") == 0)
        strcpy(ctx, text);
}

static void replace_by_a_unique_index_added_later_is_warned_of(void **state)
{
    struct fixture *f = ordinary();
    char warning[500] = "";

    (void)state;
    program(f, "CREATE UNIQUE INDEX t_a ON t (a)");
    fixture_look(f);
    registry_warnings(f->r, keep_unique, warning);
    assert_non_null(strstr(warning, "t_a"));
    fixture_end(f);
}

static void the_outer_conflict_clause_reaches_no_captured_row(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "INSERT INTO t VALUES ('p', 'a', 1); REPLACE INTO t VALUES ('p', 'b', 1); INSERT OR REPLACE INTO t VALUES ('p', 'c', 1);"
               "UPDATE OR REPLACE t SET a = 'd' WHERE id = 'p'; UPDATE OR IGNORE t SET a = 'e' WHERE id = 'p';"
               "INSERT OR IGNORE INTO t VALUES ('q', 'a', 1); INSERT OR ABORT INTO t VALUES ('r', 'a', 1); REPLACE INTO t VALUES ('p', 'f', 1)");
    captured(f, "-1:'p' -1:'p' -1:'p' 1:'p' 1:'p' -1:'q' -1:'r' -1:'p'");
    fixture_end(f);
}

static void insert_or_ignore_never_keeps_the_row_and_loses_its_capture(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "INSERT OR IGNORE INTO t VALUES ('x', 'ignored', 9); INSERT OR IGNORE INTO t VALUES ('n', 'new', 9)");
    captured(f, "-1:'n'");
    /* no constraint stands on the log that a swallowed error could come from */
    program_says(f, "SELECT count(*) FROM pragma_table_info('perche_capture') WHERE \"notnull\"", "0");
    program_says(f, "SELECT count(*) FROM pragma_index_list('perche_capture')", "0");
    program_says(f, "SELECT count(*) FROM pragma_table_info('perche_gone_t') WHERE \"notnull\" OR pk OR type <> ''", "0");
    program_says(f, "SELECT count(*) FROM pragma_index_list('perche_gone_t')", "0");
    fixture_end(f);
}

static void upsert_is_an_insert_or_an_update(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "INSERT INTO t VALUES ('x', 'one', 7) ON CONFLICT (id) DO UPDATE SET b = excluded.b;"
               "INSERT INTO t VALUES ('x', 'one', 7) ON CONFLICT (id) DO UPDATE SET b = excluded.b;"
               "INSERT INTO t VALUES ('n', 'one', 7) ON CONFLICT (id) DO UPDATE SET b = excluded.b;"
               "INSERT INTO t VALUES ('n', 'one', 8) ON CONFLICT DO NOTHING");
    captured(f, "2:'x' -1:'n'");
    fixture_end(f);
}

static void a_change_of_the_key_is_refused_with_what_to_do(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    assert_non_null(strstr(program_fails(f, "UPDATE t SET id = 'z' WHERE id = 'x'"), "delete the row and insert it again"));
    (void)program_fails(f, "UPDATE OR REPLACE t SET id = 'y' WHERE id = 'x'"); /* would destroy y unseen */
    (void)program_fails(f, "UPDATE OR IGNORE t SET id = 'z' WHERE id = 'x'");
    (void)program_fails(f, "INSERT INTO t VALUES ('x', '', 0) ON CONFLICT (id) DO UPDATE SET id = 'z'");
    program(f, "UPDATE t SET id = id, a = 'same key' WHERE id = 'x'"); /* as tools that set every column do */
    program_says(f, "SELECT group_concat(id) FROM t", "x,y");
    captured(f, "1:'x'");
    fixture_end(f);
}

static void a_null_key_cannot_come_into_a_registered_table(void **state)
{
    struct fixture *f = with("CREATE TABLE t (id TEXT PRIMARY KEY, a)", NULL);

    (void)state;
    program(f, "INSERT INTO t VALUES (NULL, 1), (NULL, 2)");
    assert_int_equal(registry_check_table(f->r, "t", &f->err), PERCHE_REFUSED);
    assert_non_null(strstr(f->err.text, "2 rows"));
    fixture_end(f);
}

static void a_change_of_case_in_a_nocase_column_is_a_change(void **state)
{
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT COLLATE NOCASE, b TEXT COLLATE RTRIM)", "t");

    (void)state;
    program(f, "INSERT INTO t VALUES ('x', 'abc', 'z'); DELETE FROM perche_capture; UPDATE t SET a = 'ABC'; UPDATE t SET b = 'z  '; UPDATE t SET a = 'ABC', b = 'z  '");
    captured(f, "1:'x' 2:'x'");
    fixture_end(f);
}

static void one_to_one_point_zero_is_a_change_where_the_file_keeps_both(void **state)
{
    static const struct {
        const char *declared, *expected;
    } cases[] = {{"", "1:'x'"}, {"BLOB", "1:'x'"}, {"ANY", ""}, {"INTEGER", ""}, {"NUMERIC", ""}, {"REAL", ""}, {"TEXT", "1:'x'"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) { /* of a table that is not STRICT; TEXT keeps '1' and '1.0' */
        char create[200];
        struct fixture *f;

        snprintf(create, sizeof(create), "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a %s)", cases[i].declared);
        f = with(create, "t");
        program(f, "INSERT INTO t VALUES ('x', 1); DELETE FROM perche_capture; UPDATE t SET a = 1.0");
        captured(f, cases[i].expected);
        fixture_end(f);
    }
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a ANY, b BLOB) STRICT", "t");

    program(f, "INSERT INTO t VALUES ('x', 1, x'31'); DELETE FROM perche_capture; UPDATE t SET a = 1.0; UPDATE t SET a = '1'; UPDATE t SET a = x'31'; UPDATE t SET b = x'32'");
    captured(f, "1:'x' 1:'x' 1:'x' 2:'x'");
    fixture_end(f);
}

/* SQLite 3.40 has no expression that tells the two apart, so they are one value wherever the replica reads one. */
static void minus_zero_and_zero_are_one_value(void **state)
{
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a ANY) STRICT", "t");
    struct table *t;
    struct perche_value values[2], key = {.type = PERCHE_TEXT, .n = 1, .p = (const uint8_t *)"x"};
    uint8_t bytes[PERCHE_KEY_BYTES_MAX];
    uint32_t n;

    (void)state;
    program(f, "INSERT INTO t VALUES ('x', 0.0); DELETE FROM perche_capture; UPDATE t SET a = -0.0");
    captured(f, "");
    assert_int_equal(perche_key_encode(&key, 1, bytes, &n), PERCHE_OK);
    assert_int_equal(tx_begin(f->r, false), PERCHE_OK);
    t = registry_table(f->r, "t");
    assert_int_equal(data_load(f->r, t, (struct perche_bytes){bytes, n}, values), PERCHE_OK);
    assert_int_equal(values[1].type, PERCHE_REAL);
    assert_int_equal(values[1].i, 0); /* all bits */
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    fixture_end(f);
}

static void affinity_has_been_applied_before_the_comparison(void **state)
{
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, i INTEGER, s TEXT, r REAL)", "t");

    (void)state;
    program(f, "INSERT INTO t VALUES ('x', 12, '12', 12.0); DELETE FROM perche_capture;"
               "UPDATE t SET i = '12'; UPDATE t SET s = 12; UPDATE t SET r = 12; UPDATE t SET r = '12';" /* stored as they are already */
               "UPDATE t SET i = '12x'; UPDATE t SET s = '12 '; UPDATE t SET r = 12.5; UPDATE t SET i = 9e999 - 9e999"); /* NaN becomes NULL */
    captured(f, "1:'x' 2:'x' 4:'x' 1:'x'");
    fixture_end(f);
}

static void cascades_of_a_program_with_foreign_keys_are_captured_and_orphans_of_one_without_are_not_invented(void **state)
{
    struct fixture *f = with("CREATE TABLE p (id TEXT NOT NULL PRIMARY KEY); CREATE TABLE c (id TEXT NOT NULL PRIMARY KEY, p TEXT REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)", "p");

    (void)state;
    fixture_register(f, "c");
    program(f, "INSERT INTO p VALUES ('p1'), ('p2'); INSERT INTO c VALUES ('c1', 'p1'), ('c2', 'p2'); DELETE FROM perche_capture");
    program(f, "DELETE FROM p WHERE id = 'p1'");
    captured(f, "0:'p1'");
    program(f, "PRAGMA foreign_keys = ON; DELETE FROM p WHERE id = 'p2'");
    captured(f, "0:'c2' 0:'p2'");
    fixture_end(f);
}

static void composite_and_numeric_and_blob_keys_are_captured_whole(void **state)
{
    struct fixture *f = with("CREATE TABLE t (k1 TEXT, a TEXT, k2 INTEGER, PRIMARY KEY (k2, k1)) STRICT, WITHOUT ROWID", "t");

    (void)state;
    program(f, "INSERT INTO t VALUES ('x', 'a', 5); UPDATE t SET a = 'b'; DELETE FROM t");
    captured(f, "-1:5,'x' 1:5,'x' 0:5,'x'"); /* in the order of the key */
    (void)program_fails(f, "INSERT INTO t VALUES ('x', 'a', 5); UPDATE t SET k2 = 6");
    fixture_end(f);

    f = with("CREATE TABLE t (k BLOB NOT NULL PRIMARY KEY, a)", "t");
    program(f, "INSERT INTO t VALUES (x'00ff', 1); UPDATE t SET a = 2");
    captured(f, "-1:X'00FF' 1:X'00FF'");
    fixture_end(f);
}

static void names_that_need_quotes_are_captured(void **state)
{
    struct fixture *f = with("CREATE TABLE \"it's \"\"odd\"\" [tab]\" (\"the key\" TEXT NOT NULL PRIMARY KEY, \"select\" TEXT, \"a\"\"b'c\" TEXT COLLATE NOCASE, \"%s\" ANY) STRICT",
                             "it's \"odd\" [tab]");

    (void)state;
    program(f, "INSERT INTO \"it's \"\"odd\"\" [tab]\" VALUES ('x', 'a', 'b', 1)");
    program(f, "UPDATE \"it's \"\"odd\"\" [tab]\" SET \"a\"\"b'c\" = 'B', \"%s\" = 1.0");
    program(f, "DELETE FROM \"it's \"\"odd\"\" [tab]\"");
    program_says(f, "SELECT \"a\"\"b'c\" FROM \"perche_gone_it's \"\"odd\"\" [tab]\"", "B");
    captured(f, "-1:'x' 6:'x' 0:'x'");
    fixture_look(f);
    unscanned(f, ""); /* what stands there is known again as ours */
    fixture_end(f);
}

static void a_deleted_row_is_kept_whole_until_harvest(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "DELETE FROM t");
    program_says(f, "SELECT group_concat(id || a || b || typeof(b), ' ') FROM perche_gone_t", "xone1integer ytwo2integer");
    fixture_end(f);
}

/* ---- the bitmap ---------------------------------------------------------- */

static void every_column_alone_and_every_pair_has_its_own_bits(void **state)
{
    enum { N = PERCHE_COLUMNS_MAX };
    sqlite3_str *create = sqlite3_str_new(NULL), *insert = sqlite3_str_new(NULL);
    struct fixture *f;
    char *text;
    int tried = 0;

    (void)state;
    sqlite3_str_appendall(create, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY");
    sqlite3_str_appendall(insert, "INSERT INTO t VALUES ('x'");
    for (int i = 1; i <= N; i++) { /* some of each sort of comparison */
        sqlite3_str_appendf(create, ", c%d %s", i, i % 3 == 0 ? "" : i % 3 == 1 ? "INTEGER" : "TEXT COLLATE NOCASE");
        sqlite3_str_appendall(insert, ", 0");
    }
    sqlite3_str_appendall(create, ")");
    sqlite3_str_appendall(insert, "); DELETE FROM perche_capture; PRAGMA synchronous = OFF");
    text = sqlite3_str_finish(create);
    f = with(text, "t");
    sqlite3_free(text);
    text = sqlite3_str_finish(insert);
    program(f, text);
    sqlite3_free(text);
    for (int i = 1; i <= N; i++)
        for (int k = i; k <= N; k++) {
            char sql[160], expected[40];

            snprintf(sql, sizeof(sql), "UPDATE t SET c%d = c%d + 1%s%.0d%s%.0d%s", i, i, k > i ? ", c" : "", k > i ? k : 0, k > i ? " = c" : "", k > i ? k : 0, k > i ? " + 1" : "");
            program(f, sql);
            snprintf(expected, sizeof(expected), "%llu:'x'", 1ull << (i - 1) | 1ull << (k - 1));
            captured(f, expected);
            tried++;
        }
    assert_int_equal(tried, N * (N + 1) / 2);
    fixture_end(f);
}

static void more_columns_than_bits_are_refused(void **state)
{
    sqlite3_str *create = sqlite3_str_new(NULL);
    struct fixture *f;
    char *text;

    (void)state;
    sqlite3_str_appendall(create, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY");
    for (int i = 0; i <= PERCHE_COLUMNS_MAX; i++)
        sqlite3_str_appendf(create, ", c%d", i);
    sqlite3_str_appendall(create, ")");
    text = sqlite3_str_finish(create);
    f = with(text, NULL);
    sqlite3_free(text);
    assert_int_equal(registry_check_table(f->r, "t", &f->err), PERCHE_REFUSED);
    assert_non_null(strstr(f->err.text, "64 columns"));
    fixture_end(f);
}

static void a_table_that_has_nothing_but_its_key_is_captured(void **state)
{
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY) STRICT", "t");

    (void)state;
    program(f, "INSERT INTO t VALUES ('x'); UPDATE t SET id = id; DELETE FROM t");
    captured(f, "-1:'x' 0:'x'");
    fixture_end(f);
}

/* ---- what programs do to tables ------------------------------------------ */

static void a_rebuilt_table_gets_its_triggers_back_and_is_to_be_scanned(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    unscanned(f, "");
    program(f, "PRAGMA legacy_alter_table = ON; BEGIN; CREATE TABLE t_new (id TEXT NOT NULL PRIMARY KEY, a TEXT, b INTEGER) STRICT;"
               "INSERT INTO t_new SELECT * FROM t; DROP TABLE t; ALTER TABLE t_new RENAME TO t; COMMIT;"
               "INSERT INTO t VALUES ('z', 'unseen', 3)");
    captured(f, "");
    fixture_look(f);
    program(f, "INSERT INTO t VALUES ('seen', '', 0)");
    captured(f, "-1:'seen'");
    fixture_close(f); /* before anybody has scanned it */
    fixture_open(f);
    unscanned(f, "t");
    fixture_look(f);
    unscanned(f, "");
    fixture_end(f);
}

static void a_table_renamed_away_and_made_anew_gets_the_triggers(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "ALTER TABLE t RENAME TO t_old; CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT, b INTEGER) STRICT; INSERT INTO t SELECT * FROM t_old");
    captured(f, "");
    fixture_look(f);
    unscanned(f, "t");
    program(f, "UPDATE t SET b = 9 WHERE id = 'x'; UPDATE t_old SET b = 9");
    captured(f, "2:'x'");
    fixture_end(f);
}

static void a_trigger_dropped_or_altered_by_somebody_comes_back(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "DROP TRIGGER perche_t_update; UPDATE t SET b = 9 WHERE id = 'x'");
    captured(f, "");
    fixture_look(f);
    unscanned(f, "t");
    program(f, "DROP TRIGGER perche_t_delete; CREATE TRIGGER perche_t_delete AFTER DELETE ON t BEGIN SELECT 1; END");
    fixture_look(f);
    unscanned(f, "t");
    program(f, "UPDATE t SET b = 10 WHERE id = 'x'; DELETE FROM t WHERE id = 'y'");
    captured(f, "2:'x' 0:'y'");
    fixture_end(f);
}

static void a_column_added_to_a_table_of_replicate_waits_until_replicate_is_said_again(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "ALTER TABLE t ADD COLUMN c TEXT");
    fixture_look(f);
    program_says(f, "SELECT count(*) FROM perche_column WHERE tab = 't' AND num > 2", "0");
    program(f, "UPDATE t SET c = 'new' WHERE id = 'x'; UPDATE t SET c = 'newer', a = 'n' WHERE id = 'x'; DELETE FROM t WHERE id = 'x'");
    captured(f, "1:'x' 0:'x'"); /* else a row with a cell that no other node knows would be set aside there */
    program_says(f, "SELECT c FROM perche_gone_t", "newer");
    fixture_end(f);
}

static void a_column_added_to_a_schools_table_stays_at_this_node(void **state)
{
    struct fixture *f = fixture_folder();

    (void)state;
    fixture_open(f);
    fixture_program(f);
    program(f, "ALTER TABLE network ADD COLUMN own_note TEXT; INSERT INTO network (id, name) VALUES ('n', 'x')");
    fixture_look(f);
    program(f, "DELETE FROM perche_capture; UPDATE network SET own_note = 'mine'; UPDATE network SET name = 'y'");
    captured(f, "1:'n'");
    program_says(f, "SELECT count(*) FROM perche_column WHERE col = 'own_note'", "0");
    program(f, "DELETE FROM network"); /* but a deletion can be undone whole */
    program_says(f, "SELECT own_note FROM perche_gone_network", "mine");
    fixture_end(f);
}

static void a_deletion_not_yet_harvested_outlives_a_new_column(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "DELETE FROM t WHERE id = 'x'; ALTER TABLE t ADD COLUMN c TEXT");
    fixture_look(f);
    program_says(f, "SELECT a || b || coalesce(c, '-') FROM perche_gone_t", "one1-");
    fixture_end(f);
}

static void a_column_dropped_by_a_rebuild_is_captured_no_more_and_keeps_its_number(void **state)
{
    struct fixture *f = ordinary();
    struct table *t;

    (void)state;
    (void)program_fails(f, "ALTER TABLE t DROP COLUMN a"); /* the trigger names it */
    program(f, "DROP TABLE t; CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, b INTEGER, c TEXT) STRICT; INSERT INTO t VALUES ('x', 1, 'c')");
    fixture_look(f);
    captured(f, "");
    program(f, "UPDATE t SET b = 2; UPDATE t SET c = 'd'");
    captured(f, "2:'x'");
    t = registry_table(f->r, "t");
    assert_int_equal(t->absent, 1);
    assert_true(t->columns[0].absent);
    assert_string_equal(t->columns[0].name, "a");
    fixture_end(f);
}

static void vacuum_changes_nothing_that_is_captured(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "DELETE FROM t WHERE id = 'x'; VACUUM; UPDATE t SET b = 5");
    captured(f, "0:'x' 2:'y'"); /* keys, never rowids */
    fixture_look(f);
    unscanned(f, "");
    fixture_end(f);
}

static void a_dropped_table_stops_nothing(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "DROP TABLE t");
    fixture_look(f);
    assert_false(registry_table(f->r, "t")->present);
    program(f, "INSERT INTO network (id, name) VALUES ('n', 'x')");
    captured(f, "-1:'n'");
    program(f, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT, b INTEGER) STRICT; INSERT INTO t VALUES ('back', '', 0)");
    fixture_look(f);
    unscanned(f, "t");
    program(f, "UPDATE t SET a = 'x'");
    captured(f, "1:'back'");
    fixture_end(f);
}

static void rows_that_were_there_before_a_table_was_registered_are_to_be_scanned(void **state)
{
    struct fixture *f = with("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a); INSERT INTO t VALUES ('x', 1); CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY, a)", "t");

    (void)state;
    fixture_register(f, "u");
    unscanned(f, "t");
    fixture_end(f);
}

static void a_rolled_back_installation_is_made_again(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "DROP TRIGGER perche_t_insert");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    unscanned_is(f, 1);
    tx_rollback(f->r);
    unscanned_is(f, 0); /* nothing is remembered that the file does not know */
    fixture_look(f);
    unscanned(f, "t");
    program(f, "INSERT INTO t VALUES ('z', '', 0)");
    captured(f, "-1:'z'");
    fixture_end(f);
}

static void the_log_starts_its_numbers_again_and_nobody_minds(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "INSERT INTO t VALUES ('z', '', 0); DELETE FROM perche_capture; INSERT INTO t VALUES ('zz', '', 0)");
    program_says(f, "SELECT n FROM perche_capture", "1"); /* positions come from perche_node, never from here */
    fixture_end(f);
}

/* ---- applying ------------------------------------------------------------ */

static void what_is_applied_is_not_captured_and_what_follows_is(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(applying_begin(f->r), PERCHE_OK);
    assert_true(f->r->triggers_off); /* every trigger is ours */
    assert_int_equal(exec(f->r, "INSERT INTO t VALUES ('applied', '', 0)"), PERCHE_OK);
    assert_int_equal(applying_end(f->r), PERCHE_OK);
    assert_int_equal(capturing(f->r), PERCHE_OK);
    assert_int_equal(exec(f->r, "INSERT INTO t VALUES ('own', '', 0)"), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    captured(f, "-1:'own'");
    fixture_end(f);
}

static void a_programs_own_trigger_fires_for_applied_rows(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "CREATE TABLE index_of_t (word TEXT); CREATE TRIGGER keep_index AFTER INSERT ON t BEGIN INSERT INTO index_of_t VALUES (NEW.a); END");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_true(registry_table(f->r, "t")->foreign_triggers);
    assert_int_equal(applying_begin(f->r), PERCHE_OK);
    assert_false(f->r->triggers_off);
    assert_int_equal(exec(f->r, "INSERT INTO t VALUES ('applied', 'word', 0)"), PERCHE_OK);
    assert_int_equal(applying_end(f->r), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    captured(f, "");
    program_says(f, "SELECT word FROM index_of_t", "word");
    program(f, "INSERT INTO t VALUES ('own', 'w', 0)");
    captured(f, "-1:'own'");
    fixture_end(f);
}

static void a_full_text_index_of_a_program_follows_applied_rows(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    program(f, "CREATE VIRTUAL TABLE words USING fts5(a, content='t', content_rowid='rowid');"
               "CREATE TRIGGER words_insert AFTER INSERT ON t BEGIN INSERT INTO words (rowid, a) VALUES (NEW.rowid, NEW.a); END;"
               "CREATE TRIGGER words_delete AFTER DELETE ON t BEGIN INSERT INTO words (words, rowid, a) VALUES ('delete', OLD.rowid, OLD.a); END;");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
        assert_int_equal(savepoint(f->r), PERCHE_OK);
        assert_int_equal(applying_begin(f->r), PERCHE_OK);
        assert_int_equal(exec(f->r, "INSERT INTO t VALUES ('applied', 'needle', 0)"), PERCHE_OK);
        assert_int_equal(applying_end(f->r), PERCHE_OK);
        if (i == 0) {
            savepoint_rollback(f->r);
            assert_int_equal(tx_commit(f->r), PERCHE_OK);
        } else if (i == 1) {
            tx_rollback(f->r);
        } else {
            assert_int_equal(savepoint_release(f->r), PERCHE_OK);
            assert_int_equal(tx_commit(f->r), PERCHE_OK);
        }
        program_says(f, "SELECT count(*) FROM words WHERE words MATCH 'needle'", i < 2 ? "0" : "1");
    }
    assert_int_equal(exec(f->r, "DELETE FROM t WHERE id = 'applied'"), PERCHE_OK);
    program_says(f, "SELECT count(*) FROM words WHERE words MATCH 'needle'", "0");
    captured(f, "0:'applied'");
    fixture_end(f);
}

static void a_rollback_ends_applying_with_the_flag_and_without(void **state)
{
    (void)state;
    for (int foreign = 0; foreign < 2; foreign++) {
        struct fixture *f = ordinary();

        if (foreign)
            program(f, "CREATE TRIGGER own_trigger AFTER INSERT ON t BEGIN SELECT 1; END");
        assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
        assert_int_equal(applying_begin(f->r), PERCHE_OK);
        tx_rollback(f->r);
        assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
        assert_int_equal(savepoint(f->r), PERCHE_OK);
        assert_int_equal(applying_begin(f->r), PERCHE_OK);
        savepoint_rollback(f->r);
        assert_int_equal(savepoint(f->r), PERCHE_OK);
        assert_int_equal(capturing(f->r), PERCHE_OK);
        assert_int_equal(exec(f->r, "INSERT INTO t VALUES ('own', '', 0)"), PERCHE_OK);
        assert_int_equal(savepoint_release(f->r), PERCHE_OK);
        assert_int_equal(tx_commit(f->r), PERCHE_OK);
        captured(f, "-1:'own'");
        program_says(f, "SELECT applying FROM perche_flag", "0");
        fixture_end(f);
    }
}

static void a_connection_with_triggers_off_is_not_captured(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    sqlite3_db_config(f->program, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    program(f, "UPDATE t SET b = 9");
    captured(f, ""); /* a stated limit: `perche verify` finds it by the digests */
    fixture_end(f);
}

static void a_program_needs_no_function_of_ours(void **state)
{
    struct fixture *f = ordinary();

    (void)state;
    sqlite3_db_config(f->program, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL); /* as careful programs set it */
    sqlite3_db_config(f->program, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    program(f, "UPDATE t SET b = 9 WHERE id = 'x'");
    captured(f, "2:'x'");
    fixture_end(f);
}

static int64_t schema_version(struct fixture *f)
{
    return strtoll(asked(f->program, "PRAGMA schema_version"), NULL, 10);
}

/* SQLite fires the newest trigger first. */
static void ours_are_made_anew_behind_a_programs_and_what_it_let_pass_is_to_be_compared(void **state)
{
    struct fixture *f = ordinary();
    int64_t version;

    (void)state;
    program(f, "CREATE TRIGGER quiet AFTER UPDATE ON t WHEN NEW.a = 'quiet' BEGIN SELECT RAISE(IGNORE); END;"
               "CREATE TRIGGER loud AFTER INSERT ON t WHEN NEW.a = 'loud' BEGIN SELECT RAISE(FAIL, 'no'); END;"
               "UPDATE t SET a = 'quiet' WHERE id = 'x'");
    captured(f, "");
    fixture_look(f);
    unscanned(f, "t");
    program(f, "UPDATE t SET a = 'quiet' WHERE id = 'y'");
    captured(f, "1:'y'");
    (void)program_fails(f, "BEGIN; INSERT INTO t VALUES ('z', 'loud', 1)");
    program(f, "COMMIT");
    captured(f, "-1:'z'");
    version = schema_version(f);
    fixture_look(f);
    assert_int_equal(schema_version(f), version); /* once */
    unscanned_is(f, 0);
    program(f, "VACUUM; DROP TRIGGER loud");
    fixture_look(f);
    fixture_close(f);
    fixture_open(f);
    unscanned_is(f, 0);
    program(f, "UPDATE t SET b = 9, a = 'quiet' WHERE id = 'x'");
    captured(f, "2:'x'");
    fixture_end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(insert_update_and_delete_leave_a_row_each_in_their_order),
        cmocka_unit_test(a_change_and_its_capture_are_one_transaction),
        cmocka_unit_test(an_update_that_changes_nothing_leaves_nothing),
        cmocka_unit_test(null_to_a_value_and_back_is_a_change),
        cmocka_unit_test(replace_on_the_key_is_seen_as_an_insert),
        cmocka_unit_test(a_key_too_long_to_travel_is_refused_to_the_program),
        cmocka_unit_test(replace_by_a_unique_index_added_later_is_warned_of),
        cmocka_unit_test(the_outer_conflict_clause_reaches_no_captured_row),
        cmocka_unit_test(insert_or_ignore_never_keeps_the_row_and_loses_its_capture),
        cmocka_unit_test(upsert_is_an_insert_or_an_update),
        cmocka_unit_test(a_change_of_the_key_is_refused_with_what_to_do),
        cmocka_unit_test(a_null_key_cannot_come_into_a_registered_table),
        cmocka_unit_test(a_change_of_case_in_a_nocase_column_is_a_change),
        cmocka_unit_test(one_to_one_point_zero_is_a_change_where_the_file_keeps_both),
        cmocka_unit_test(minus_zero_and_zero_are_one_value),
        cmocka_unit_test(affinity_has_been_applied_before_the_comparison),
        cmocka_unit_test(cascades_of_a_program_with_foreign_keys_are_captured_and_orphans_of_one_without_are_not_invented),
        cmocka_unit_test(composite_and_numeric_and_blob_keys_are_captured_whole),
        cmocka_unit_test(names_that_need_quotes_are_captured),
        cmocka_unit_test(a_deleted_row_is_kept_whole_until_harvest),
        cmocka_unit_test(every_column_alone_and_every_pair_has_its_own_bits),
        cmocka_unit_test(more_columns_than_bits_are_refused),
        cmocka_unit_test(a_table_that_has_nothing_but_its_key_is_captured),
        cmocka_unit_test(a_rebuilt_table_gets_its_triggers_back_and_is_to_be_scanned),
        cmocka_unit_test(a_table_renamed_away_and_made_anew_gets_the_triggers),
        cmocka_unit_test(a_trigger_dropped_or_altered_by_somebody_comes_back),
        cmocka_unit_test(a_column_added_to_a_table_of_replicate_waits_until_replicate_is_said_again),
        cmocka_unit_test(a_column_added_to_a_schools_table_stays_at_this_node),
        cmocka_unit_test(a_deletion_not_yet_harvested_outlives_a_new_column),
        cmocka_unit_test(a_column_dropped_by_a_rebuild_is_captured_no_more_and_keeps_its_number),
        cmocka_unit_test(vacuum_changes_nothing_that_is_captured),
        cmocka_unit_test(a_dropped_table_stops_nothing),
        cmocka_unit_test(rows_that_were_there_before_a_table_was_registered_are_to_be_scanned),
        cmocka_unit_test(a_rolled_back_installation_is_made_again),
        cmocka_unit_test(the_log_starts_its_numbers_again_and_nobody_minds),
        cmocka_unit_test(what_is_applied_is_not_captured_and_what_follows_is),
        cmocka_unit_test(a_programs_own_trigger_fires_for_applied_rows),
        cmocka_unit_test(a_full_text_index_of_a_program_follows_applied_rows),
        cmocka_unit_test(a_rollback_ends_applying_with_the_flag_and_without),
        cmocka_unit_test(a_connection_with_triggers_off_is_not_captured),
        cmocka_unit_test(a_program_needs_no_function_of_ours),
        cmocka_unit_test(ours_are_made_anew_behind_a_programs_and_what_it_let_pass_is_to_be_compared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
