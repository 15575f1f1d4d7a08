/* The registry: what is read of each table, which rules are understood, which tables may be replicated. */
#include "replica_fixture.h"

/* ---- helpers ------------------------------------------------------------- */

static struct fixture *opened(void)
{
    struct fixture *f = fixture_folder();

    fixture_open(f);
    fixture_program(f);
    return f;
}

/* `perche replicate` of @create would be refused, with @word among the reasons; the table is called t. */
static void not_replicable(const char *create, const char *word)
{
    struct fixture *f = opened();

    program(f, create);
    fail_clear(f->r);
    if (registry_check_table(f->r, "t", &f->err) != PERCHE_REFUSED || strstr(f->err.text, word) == NULL)
        fixture_fail("registry_check_table", f->err.text, create);
    assert_int_equal(f->r->fail, PERCHE_OK);
    fixture_end(f);
}

static void replicable(const char *create)
{
    struct fixture *f = opened();

    program(f, create);
    if (registry_check_table(f->r, "t", &f->err) != PERCHE_OK)
        fixture_fail("registry_check_table", f->err.text, create);
    fixture_end(f);
}

/* Every warning as "code:table ". */
static void keep(void *ctx, const char *code, const char *table, const char *text)
{
    char *all = ctx;

    assert_true(strlen(text) > 20);
    snprintf(all + strlen(all), 1000 - strlen(all), "%s:%s ", code, table);
}

static void warned(struct fixture *f, const char *expected)
{
    char all[1000] = "";

    fixture_look(f);
    registry_warnings(f->r, keep, all);
    assert_string_equal(all, expected);
}

static struct column *column(struct fixture *f, const char *table, const char *name)
{
    struct table *t = registry_table(f->r, table);
    struct column *c;

    assert_non_null(t);
    c = table_column(t, name);
    assert_non_null(c);
    return c;
}

/* ---- reading ------------------------------------------------------------- */

static void every_table_of_the_schema_is_known_by_name_and_number(void **state)
{
    struct fixture *f = opened();
    struct table *t;
    uint32_t count = 0;

    (void)state;
    for (; (t = registry_at(f->r, count)) != NULL; count++) {
        assert_true(t->present);
        assert_true(t->keys_count >= 1);
        assert_ptr_equal(registry_table(f->r, t->name), t);
        assert_ptr_equal(registry_table_num(f->r, t->num), t);
        assert_false(t->foreign_triggers);
        assert_int_equal(t->absent, 0);
        assert_true(t->is_system || registry_is_school(t->name));
        for (uint32_t i = 0; i < t->columns_count; i++) {
            assert_int_equal(t->columns[i].num, i + 1);
            assert_ptr_equal(table_column(t, t->columns[i].name), &t->columns[i]);
            assert_true(t->columns[i].strict);
            assert_true(i == 0 || strcmp(t->columns[t->by_name[i - 1] - 1].name, t->columns[t->by_name[i] - 1].name) < 0);
        }
        for (uint32_t i = 0; i < t->keys_count; i++)
            assert_int_equal(t->keys[i].num, 0);
    }
    program_says(f, "SELECT count(*) + 2 FROM perche_table", (char[8]){(char)('0' + count / 10), (char)('0' + count % 10)});
    assert_null(registry_table(f->r, "no_such"));
    assert_null(registry_table_num(f->r, 0));
    assert_null(registry_table_num(f->r, 12345));
    assert_null(table_column(registry_table(f->r, "learner"), "id")); /* a key column has no number */
    assert_null(table_column(registry_table(f->r, "learner"), ""));
    warned(f, "");
    fixture_end(f);
}

static void what_the_file_says_of_a_column_is_known(void **state)
{
    struct fixture *f = opened();
    struct table *t;

    (void)state;
    t = registry_table(f->r, "learner");
    assert_string_equal(t->keys[0].name, "id");
    assert_string_equal(t->area, "placement");
    assert_false(t->mover_holder);
    assert_int_equal(t->policy, POLICY_REVIEW);
    assert_non_null(strstr(t->label, "learner_name"));
    assert_int_equal(column(f, "learner", "use_family_name")->policy, POLICY_LWW);
    assert_int_equal(column(f, "learner", "erased_at")->policy, POLICY_HUB);
    assert_true(column(f, "learner", "home_site_id")->notnull);
    assert_false(column(f, "learner", "sex")->notnull);
    assert_true(column(f, "learner", "restricted")->has_default);
    assert_string_equal(column(f, "learner", "restricted")->default_sql, "0");
    assert_int_equal(column(f, "learner", "restricted")->affinity, 'I');
    assert_int_equal(column(f, "learner", "sex")->affinity, 'T');
    assert_int_equal(t->required, 1); /* home_site_id alone */
    t = registry_table(f->r, "code_list");
    assert_int_equal(t->keys_count, 2);
    assert_string_equal(t->keys[0].name, "list");
    assert_string_equal(t->keys[1].name, "code");
    assert_int_equal(registry_table(f->r, "cohort")->mover_holder, true);
    assert_int_equal(registry_table(f->r, "attendance")->policy, POLICY_APPEND);
    fixture_end(f);
}

static void default_is(struct fixture *f, const char *name, const char *expected)
{
    assert_string_equal(column(f, "t", name)->default_sql, expected);
    assert_true(column(f, "t", name)->has_default);
}

static void a_default_is_an_expression_that_stands_anywhere(void **state)
{
    struct fixture *f = opened();

    (void)state;
    assert_int_equal(sqlite3_create_function(f->program, "own", 0, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, NULL, NULL, NULL), SQLITE_OK);
    program(f, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, planned TEXT, a DEFAULT planned, b DEFAULT \"planned\", c DEFAULT [it's \"so\"], d DEFAULT (5 -- five\n), e DEFAULT true,"
               " f DEFAULT -1.5, g DEFAULT (1 + 2) /* three */, h DEFAULT 'it''s', i DEFAULT CURRENT_DATE, j DEFAULT `x`, k DEFAULT (lower(hex(randomblob(4)))), l NOT NULL DEFAULT NULL, m)");
    fixture_register(f, "t");
    default_is(f, "a", "'planned'");
    default_is(f, "b", "'planned'");
    default_is(f, "c", "'it''s \"so\"'");
    default_is(f, "d", "5 -- five");
    default_is(f, "e", "true");
    default_is(f, "f", "-1.5");
    default_is(f, "g", "1 + 2");
    default_is(f, "h", "'it''s'");
    default_is(f, "i", "CURRENT_DATE");
    default_is(f, "j", "'x'");
    default_is(f, "k", "lower(hex(randomblob(4)))");
    assert_false(column(f, "t", "l")->has_default);
    assert_null(column(f, "t", "m")->default_sql);
    program(f, "DROP TABLE t; CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a DEFAULT (own()))");
    fixture_look(f);
    default_is(f, "a", "(NULL)");
    fixture_end(f);
}

static void the_conflicts_are_a_table_of_their_own_rule(void **state)
{
    struct fixture *f = opened();
    struct table *t = registry_table(f->r, "perche_conflict");

    (void)state;
    assert_true(t->is_conflict);
    assert_int_equal(t->rule, RULE_CONFLICT);
    assert_string_equal(t->keys[0].name, "id");
    assert_int_equal(t->columns_count, 15);
    assert_string_equal(t->columns[0].name, "tab");
    assert_string_equal(t->columns[14].name, "reason");
    assert_int_equal(column(f, "perche_conflict", "value")->affinity, 'A');
    assert_true(column(f, "perche_conflict", "key")->scope_cell);
    program_says(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'perche_conflict'", "3"); /* captured by none, guarded by these */
    fixture_end(f);
}

static void types_affinities_and_collations_are_told_apart(void **state)
{
    static const struct {
        const char *name;
        char affinity;
        bool any, binary;
    } expected[] = {
        {"c1", 'I', false, true}, {"c2", 'T', false, false}, {"c3", 'B', true, true}, {"c4", 'B', true, true}, {"c5", 'R', false, true},
        {"c6", 'N', false, true}, {"c7", 'N', false, true},  {"c8", 'I', false, true}, {"c9", 'T', false, true}, {"c10", 'T', false, false},
    };
    struct fixture *f = opened();

    (void)state;
    program(f, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, c1 BIGINT, c2 VARCHAR(10) COLLATE NOCASE, c3, c4 BLOB, c5 DOUBLE, c6 DECIMAL(10,5),"
               " c7 ANY, c8 CHARINT, c9 CLOB COLLATE binary, c10 TEXT COLLATE RTRIM)");
    fixture_register(f, "t");
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        struct column *c = column(f, "t", expected[i].name);

        assert_int_equal(c->affinity, expected[i].affinity);
        assert_int_equal(c->strict_any, expected[i].any);
        assert_int_equal(c->binary, expected[i].binary);
        assert_false(c->strict);
    }
    fixture_end(f);
}

static void a_strict_table_is_told_from_one_that_only_speaks_of_it(void **state)
{
    static const struct {
        const char *name, *create;
        bool present, strict;
    } expected[] = {
        {"t1", "CREATE TABLE t1 (id TEXT NOT NULL PRIMARY KEY, v TEXT) STRICT", true, true},
        {"t2", "CREATE TABLE t2 (id TEXT NOT NULL PRIMARY KEY, v TEXT) WITHOUT ROWID, strict", true, true},
        {"t3", "CREATE TABLE t3 (id TEXT NOT NULL PRIMARY KEY, v TEXT DEFAULT ')') /* ( */ STRICT, WITHOUT ROWID", true, true},
        {"t4", "CREATE TABLE t4 (id TEXT NOT NULL PRIMARY KEY, v TEXT) WITHOUT ROWID", true, false},
        {"t5", "CREATE TABLE t5 (id TEXT NOT NULL PRIMARY KEY, v TEXT, strict TEXT DEFAULT ') STRICT') -- STRICT", true, false},
        {"strict", "CREATE TABLE \"strict\" (id TEXT NOT NULL PRIMARY KEY, v TEXT)", true, false},
        {"t6", "CREATE TABLE t6 (id TEXT NOT NULL PRIMARY KEY) STRICT; ALTER TABLE t6 ADD COLUMN v TEXT", true, true},
        {"t7", "CREATE VIRTUAL TABLE t7 USING fts5(id, v)", false, false},
        {"t8", "CREATE VIEW t8 AS SELECT id, name AS v FROM network", false, false},
    };
    struct fixture *f = opened();

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        program(f, expected[i].create);
        fixture_register(f, expected[i].name);
        assert_int_equal(registry_table(f->r, expected[i].name)->present, expected[i].present);
        if (expected[i].present)
            assert_int_equal(column(f, expected[i].name, "v")->strict, expected[i].strict);
    }
    fixture_end(f);
}

static void columns_that_go_along_with_another_name_its_number(void **state)
{
    struct fixture *f = opened();

    (void)state;
    program(f, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a, b, c)");
    fixture_register(f, "t");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(exec(f->r, "UPDATE perche_column SET taken_with = 'c' WHERE tab = 't' AND col = 'a'"), PERCHE_OK);
    registry_changed(f->r);
    assert_int_equal(registry_load(f->r, &f->err), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    assert_int_equal(column(f, "t", "a")->taken_with, 3);
    assert_int_equal(column(f, "t", "b")->taken_with, 0);
    fixture_end(f);
}

static void an_unchanged_schema_is_not_read_again(void **state)
{
    struct fixture *f = opened();
    struct table *t = registry_table(f->r, "learner");

    (void)state;
    fixture_look(f);
    program(f, "INSERT INTO network (id, name) VALUES ('n', 'x')");
    fixture_look(f);
    assert_ptr_equal(registry_table(f->r, "learner"), t);
    fixture_end(f);
}

static void a_reader_follows_the_schema(void **state)
{
    struct fixture *f = opened();
    struct replica *reader;
    struct table *t;

    (void)state;
    assert_int_equal(replica_open_reader(&f->config, &reader, &f->err), PERCHE_OK);
    program(f, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a)");
    fixture_register(f, "t");
    assert_int_equal(tx_begin(reader, false), PERCHE_OK);
    assert_non_null(registry_table(reader, "t"));
    assert_int_equal(registry_table(reader, "t")->num, registry_table(f->r, "t")->num);
    t = registry_table(reader, "t");
    tx_rollback(reader); /* as good an end of reading as a commit: nothing is read again for it */
    assert_int_equal(tx_begin(reader, false), PERCHE_OK);
    assert_ptr_equal(registry_table(reader, "t"), t);
    assert_int_equal(tx_commit(reader), PERCHE_OK);
    replica_free(reader);
    fixture_end(f);
}

/* ---- rules --------------------------------------------------------------- */

static void the_rules_of_the_schema_are_understood(void **state)
{
    struct fixture *f = opened();
    struct table *t;

    (void)state;
    assert_int_equal(registry_table(f->r, "code_list")->rule, RULE_ALL);
    t = registry_table(f->r, "cohort");
    assert_int_equal(t->rule, RULE_OWN);
    assert_int_equal(t->parts[0].num, column(f, "cohort", "site_id")->num);
    assert_int_equal(t->parts[0].key_index, -1);
    t = registry_table(f->r, "learner_contact");
    assert_int_equal(t->rule, RULE_PARENT);
    assert_string_equal(t->parts[0].table, "learner");
    assert_int_equal(t->parts[0].num, column(f, "learner_contact", "learner_id")->num);
    t = registry_table(f->r, "outcome_decision"); /* its parent is named by a key column */
    assert_int_equal(t->parts[0].num, 0);
    assert_true(t->parts[0].key_index >= 0);
    t = registry_table(f->r, "learner");
    assert_int_equal(t->rule, RULE_MEMBERS);
    assert_true(t->parts_count >= 2);
    assert_int_equal(t->parts[0].num, 1);
    assert_null(t->parts[0].child_site);
    assert_string_equal(t->parts[1].table, "enrolment");
    assert_string_equal(t->parts[1].child_site, "site_id");
    assert_string_equal(t->parts[1].child_via, "learner_id");
    assert_string_equal(t->parts[1].cond_column, "exit_reason");
    assert_true(t->parts[1].cond_not);
    assert_int_equal(t->parts[1].cond_values_count, 1);
    assert_string_equal(t->parts[1].cond_values[0], "TRANSFER");
    fixture_end(f);
}

static void cells_that_a_scope_comes_from_are_marked_also_for_another_tables_rule(void **state)
{
    struct fixture *f = opened();

    (void)state;
    assert_true(column(f, "learner", "home_site_id")->scope_cell);
    assert_false(column(f, "learner", "sex")->scope_cell);
    assert_true(column(f, "enrolment", "site_id")->scope_cell);
    assert_true(column(f, "enrolment", "learner_id")->scope_cell);
    assert_true(column(f, "enrolment", "exit_reason")->scope_cell);
    assert_false(column(f, "enrolment", "cohort_id")->scope_cell);
    assert_true(column(f, "learner_contact", "learner_id")->scope_cell);
    assert_false(column(f, "site", "network_id")->scope_cell);
    fixture_end(f);
}

static void rules_are_read_as_the_grammar_has_them(void **state)
{
    static const struct {
        const char *rule;
        enum rule_kind kind; /* 0: not understood */
        uint32_t parts;
    } cases[] = {
        {"*", RULE_ALL, 0},
        {" * ", RULE_ALL, 0},
        {"hub", RULE_HUB, 0},
        {"own a", RULE_OWN, 1},
        {"own a, b", RULE_OWN, 2},
        {"own a,b", RULE_OWN, 2},
        {"own id", RULE_OWN, 1},
        {"own \"the site\"", RULE_OWN, 1},
        {"parent p(a)", RULE_PARENT, 1},
        {"parent p(a), q ( b )", RULE_PARENT, 2},
        {"parent \"odd (table)\"(a)", RULE_PARENT, 1},
        {"members a", RULE_MEMBERS, 1},
        {"members a; c.s via k", RULE_MEMBERS, 2},
        {"members a; c.s via k where x IN (A, B); d.s via k where y NOT IN (C)", RULE_MEMBERS, 3},
        {"members a;c.s via k where x not in ('A''s', B)", RULE_MEMBERS, 2},
        {"", 0, 0},
        {"all", 0, 0},
        {"* and more", 0, 0},
        {"hubs", 0, 0},
        {"owna", 0, 0},
        {"members a; c.s viak", 0, 0},
        {"own", 0, 0},
        {"own nosuch", 0, 0},
        {"own a,", 0, 0},
        {"own a b", 0, 0},
        {"parent p", 0, 0},
        {"parent p(a", 0, 0},
        {"parent p(nosuch)", 0, 0},
        {"members a; c via k", 0, 0},
        {"members a; c.s", 0, 0},
        {"members a; c.s via k where x", 0, 0},
        {"members a; c.s via k where x IN ()", 0, 0},
        {"members a; c.s via k where x IN (A", 0, 0},
        {"own \"a", 0, 0},
        {"readers of tomorrow", 0, 0},
    };
    struct fixture *f = opened();

    (void)state;
    program(f, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT, b TEXT, \"the site\" TEXT) STRICT");
    fixture_register(f, "t");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *sql = sqlite3_mprintf("UPDATE perche_table SET rule = %Q WHERE name = 't'", cases[i].rule);
        struct table *t;

        assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
        assert_int_equal(exec(f->r, sql), PERCHE_OK);
        sqlite3_free(sql);
        registry_changed(f->r);
        assert_int_equal(registry_load(f->r, &f->err), PERCHE_OK);
        t = registry_table(f->r, "t");
        if ((t != NULL ? t->rule : 0) != cases[i].kind || (t != NULL && t->parts_count != cases[i].parts))
            fixture_fail("rule", t != NULL ? "understood otherwise" : "not understood", cases[i].rule);
        assert_int_equal(tx_commit(f->r), PERCHE_OK);
        warned(f, cases[i].kind == 0 ? "rule:t " : ""); /* it stops nothing else */
        assert_non_null(registry_table(f->r, "learner"));
    }
    fixture_end(f);
}

static void a_condition_keeps_its_constants(void **state)
{
    struct fixture *f = opened();
    struct table *t;

    (void)state;
    program(f, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT) STRICT");
    fixture_register(f, "t");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(exec(f->r, "UPDATE perche_table SET rule = 'members a; c.s via k where x IN (A, ''it''''s b'', '''', C)' WHERE name = 't'"), PERCHE_OK);
    registry_changed(f->r);
    assert_int_equal(registry_load(f->r, &f->err), PERCHE_OK);
    t = registry_table(f->r, "t");
    assert_non_null(t);
    assert_false(t->parts[1].cond_not);
    assert_int_equal(t->parts[1].cond_values_count, 4);
    assert_string_equal(t->parts[1].cond_values[0], "A");
    assert_string_equal(t->parts[1].cond_values[1], "it's b");
    assert_string_equal(t->parts[1].cond_values[2], "");
    assert_string_equal(t->parts[1].cond_values[3], "C");
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    fixture_end(f);
}

/* ---- warnings ------------------------------------------------------------ */

static void what_people_should_know_is_warned_of(void **state)
{
    struct fixture *f = opened();

    (void)state;
    program(f, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a)");
    fixture_register(f, "t");
    warned(f, "");
    program(f, "CREATE UNIQUE INDEX u ON t (a)");
    warned(f, "unique:t ");
    program(f, "DROP INDEX u; ALTER TABLE network ADD COLUMN mine TEXT");
    warned(f, "column:network ");
    program(f, "DROP TABLE t");
    warned(f, "column:network missing:t ");
    fixture_end(f);
}

static void a_trigger_that_writes_a_replicated_table_is_warned_of(void **state)
{
    static const struct {
        const char *body;
        bool warned;
    } cases[] = {
        {"INSERT INTO t VALUES (NEW.x, 1)", true},
        {"INSERT OR IGNORE INTO \"t\" VALUES (NEW.x, 1)", true},
        {"REPLACE INTO [t] VALUES (NEW.x, 1)", true},
        {"UPDATE T SET a = 1", true},
        {"UPDATE OR IGNORE t SET a = 1", true},
        {"DELETE FROM `t`", true},
        {"DELETE /* all */ FROM -- really\n t", true},
        {"INSERT INTO log SELECT a FROM t", false},
        {"INSERT INTO log VALUES ('UPDATE t SET a = 1')", false},
        {"INSERT INTO log SELECT NEW.x /* INTO t */", false},
        {"UPDATE log SET x = 't'", false},
    };
    struct fixture *f = opened();

    (void)state;
    program(f, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a); CREATE TABLE log (x)");
    fixture_register(f, "t");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char sql[300];

        snprintf(sql, sizeof(sql), "DROP TRIGGER IF EXISTS on_log; CREATE TRIGGER on_log AFTER INSERT ON log BEGIN %s; END", cases[i].body);
        program(f, sql);
        warned(f, cases[i].warned ? "trigger:t " : "");
        assert_false(registry_table(f->r, "t")->foreign_triggers); /* it stands on another table */
    }
    fixture_end(f);
}

/* ---- which tables may be replicated -------------------------------------- */

static void ordinary_tables_with_a_key_may_be_replicated(void **state)
{
    (void)state;
    replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a)");
    replicable("CREATE TABLE t (id TEXT PRIMARY KEY, a) WITHOUT ROWID");
    replicable("CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT) STRICT");
    replicable("CREATE TABLE t (id INTEGER PRIMARY KEY, a) WITHOUT ROWID"); /* no rowid then */
    replicable("CREATE TABLE t (k1 INTEGER NOT NULL, k2 TEXT NOT NULL, k3 NUMERIC NOT NULL, k4 DATE NOT NULL, a, PRIMARY KEY (k1, k2, k3, k4))");
    replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a); CREATE INDEX i ON t (a)");
}

static void tables_whose_rows_would_collide_or_be_lost_are_refused_with_what_to_do(void **state)
{
    (void)state;
    not_replicable("SELECT 1", "no table t");
    not_replicable("CREATE VIEW t AS SELECT 1 AS id", "view");
    not_replicable("CREATE VIRTUAL TABLE t USING fts5(a)", "virtual");
    not_replicable("CREATE TABLE T (id TEXT NOT NULL PRIMARY KEY)", "called T");
    not_replicable("CREATE TABLE t (a, b)", "no primary key");
    not_replicable("CREATE TABLE t (id INTEGER PRIMARY KEY, a)", "rowid");
    not_replicable("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)", "AUTOINCREMENT");
    not_replicable("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT) STRICT", "UUIDv7");
    not_replicable("CREATE TABLE t (id TEXT PRIMARY KEY, a)", "NOT NULL");
    not_replicable("CREATE TABLE t (id TEXT PRIMARY KEY, a); INSERT INTO t VALUES (NULL, 1)", "1 rows");
    not_replicable("CREATE TABLE t (k1 TEXT NOT NULL, k2 TEXT, PRIMARY KEY (k1, k2))", "k2");
    not_replicable("CREATE TABLE t (k1 TEXT, k2 TEXT, k3 TEXT, k4 TEXT, k5 TEXT, PRIMARY KEY (k1, k2, k3, k4, k5)) WITHOUT ROWID", "at most 4");
    not_replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, a)", "NOCASE");
    not_replicable("CREATE TABLE t (id TEXT NOT NULL, a, PRIMARY KEY (id COLLATE NOCASE))", "NOCASE"); /* the clause's, not the column's */
    not_replicable("CREATE TABLE t (id TEXT NOT NULL, a, PRIMARY KEY (id COLLATE RTRIM)) WITHOUT ROWID", "RTRIM");
    not_replicable("CREATE TABLE t (id NOT NULL PRIMARY KEY, a)", "no type");
    not_replicable("CREATE TABLE t (id BLOB NOT NULL PRIMARY KEY, a)", "type BLOB");
    not_replicable("CREATE TABLE t (id BLOB NOT NULL PRIMARY KEY, a TEXT) STRICT", "a BLOB: people are asked");
    not_replicable("CREATE TABLE t (id REAL NOT NULL PRIMARY KEY, a TEXT) STRICT", "look the same");
    not_replicable("CREATE TABLE t (id DOUBLE PRECISION NOT NULL, k TEXT NOT NULL, PRIMARY KEY (k, id))", "TEXT or INTEGER");
    not_replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a, b AS (a || 'x'))", "generated");
    not_replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a, b AS (a || 'x') STORED)", "generated");
    not_replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, \"rowid\" INTEGER, a)", "called rowid");
    not_replicable("CREATE TABLE t (OID TEXT NOT NULL PRIMARY KEY, a)", "called OID");
    not_replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, _rowid_) WITHOUT ROWID", "RENAME COLUMN");
    not_replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a UNIQUE)", "UNIQUE constraint");
    not_replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a); CREATE UNIQUE INDEX by_a ON t (a)", "by_a");
    not_replicable("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a); CREATE UNIQUE INDEX by_a ON t (a) WHERE a IS NOT NULL", "drop it");
}

static void names_that_are_taken_are_refused(void **state)
{
    struct fixture *f = opened();

    (void)state;
    assert_int_equal(registry_check_table(f->r, "perche_row", &f->err), PERCHE_REFUSED);
    assert_int_equal(registry_check_table(f->r, "Perche_mine", &f->err), PERCHE_REFUSED);
    assert_int_equal(registry_check_table(f->r, "sqlite_schema", &f->err), PERCHE_REFUSED);
    assert_int_equal(registry_check_table(f->r, "", &f->err), PERCHE_REFUSED);
    fixture_end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_of_the_schema_is_known_by_name_and_number),
        cmocka_unit_test(what_the_file_says_of_a_column_is_known),
        cmocka_unit_test(a_default_is_an_expression_that_stands_anywhere),
        cmocka_unit_test(the_conflicts_are_a_table_of_their_own_rule),
        cmocka_unit_test(types_affinities_and_collations_are_told_apart),
        cmocka_unit_test(a_strict_table_is_told_from_one_that_only_speaks_of_it),
        cmocka_unit_test(columns_that_go_along_with_another_name_its_number),
        cmocka_unit_test(an_unchanged_schema_is_not_read_again),
        cmocka_unit_test(a_reader_follows_the_schema),
        cmocka_unit_test(the_rules_of_the_schema_are_understood),
        cmocka_unit_test(cells_that_a_scope_comes_from_are_marked_also_for_another_tables_rule),
        cmocka_unit_test(rules_are_read_as_the_grammar_has_them),
        cmocka_unit_test(a_condition_keeps_its_constants),
        cmocka_unit_test(what_people_should_know_is_warned_of),
        cmocka_unit_test(a_trigger_that_writes_a_replicated_table_is_warned_of),
        cmocka_unit_test(ordinary_tables_with_a_key_may_be_replicated),
        cmocka_unit_test(tables_whose_rows_would_collide_or_be_lost_are_refused_with_what_to_do),
        cmocka_unit_test(names_that_are_taken_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
