/* The schema as it is compiled in: it runs, its registry tells the truth about
 * its tables, ids are what they should be, and the data that tests and the
 * demonstration load give the figures that they are known for.
 *
 * Most checks are a query that lists what is wrong; none() wants no row. */
#include "schema/schema.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#ifndef PERCHE_SOURCE_DIR
#define PERCHE_SOURCE_DIR "."
#endif

/* The school's own tables: neither the registry nor SQLite's. */
#define TABLES                                             \
    "(SELECT name FROM sqlite_schema WHERE type = 'table'" \
    " AND name NOT LIKE 'perche\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\')"

/* Lower-case UUID text of version 7; no '?' patterns, as C11 would read trigraphs. */
#define NOT_UUID7                                                                               \
    "(id NOT LIKE '________-____-7___-____-____________' OR length(replace(id, '-', '')) <> 32" \
    " OR id GLOB '*[^-0-9a-f]*' OR substr(id, 20, 1) NOT IN ('8', '9', 'a', 'b'))"

/* Computed at the hub for its people: no row of it goes anywhere. */
#define NOT_REPLICATED "('duplicate_candidate')"

/* Their official wording is still to be loaded. */
#define LISTS_TO_LOAD                                                         \
    "('bpf_objective', 'bpf_trainee_type', 'bpf_product_line', 'pay_scheme'," \
    " 'french_level', 'diploma_required', 'label')"

static void run(sqlite3 *db, const char *name, const char *sql)
{
    char *why = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", name, why);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    return stmt;
}

static const char *text(sqlite3_stmt *stmt, int column)
{
    const char *value = (const char *)sqlite3_column_text(stmt, column);

    return value != NULL ? value : "NULL";
}

static void none(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = prepare(db, sql);
    int rows = 0;

    while (sqlite3_step(stmt) == SQLITE_ROW) {
        rows++;
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
            print_error("%s ", text(stmt, i));
        print_error("\n");
    }
    if (sqlite3_errcode(db) != SQLITE_OK && sqlite3_errcode(db) != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(stmt);
    if (rows > 0)
        fail_msg("%d rows, none expected: %s", rows, sql);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = prepare(db, sql);
    int64_t value;

    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static void load_seeds(sqlite3 *db)
{
    for (size_t i = 0; i < schema_seeds_count; i++)
        run(db, schema_seeds[i].name, schema_seeds[i].sql);
}

/* A replica as a node makes it: each file in a transaction, in order. */
static int open_replica(void **state)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (size_t i = 0; i < schema_files_count; i++) {
        run(db, "begin", "BEGIN IMMEDIATE");
        run(db, schema_files[i].name, schema_files[i].sql);
        run(db, "commit", "COMMIT"); /* fails if the file has ended the transaction */
    }
    *state = db;
    return 0;
}

/* A check that failed leaves its statement behind: close_v2 takes that, so that
 * the report names the check and not the close. */
static int close_replica(void **state)
{
    return sqlite3_close_v2(*state) == SQLITE_OK ? 0 : -1;
}

static void load_file(sqlite3 *db, const char *name)
{
    char path[512];
    char *sql;
    long size;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/tests/networks/wild-code-school/%s", PERCHE_SOURCE_DIR, name);
    f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("%s cannot be read", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size = ftell(f);
    assert_true(size > 0);
    rewind(f);
    sql = calloc(1, (size_t)size + 1);
    assert_non_null(sql);
    assert_int_equal(fread(sql, 1, (size_t)size, f), size);
    (void)fclose(f); /* read only: nothing can be lost */
    run(db, name, sql);
    free(sql);
}

/* What the daemon and `perche invite` make, then the cohort of La Loupe. */
static void load_cohort(sqlite3 *db)
{
    run(db, "site",
        "INSERT INTO network (name) VALUES ('Perche');"
        "INSERT INTO site (network_id, code, name, kind, status)"
        " SELECT id, 'LLP', 'La Loupe', 'SCHOOL', 'OPEN' FROM network;"
        "CREATE VIEW perche_self AS SELECT id AS site_id, code AS site_code, 'site' AS role,"
        " NULL AS hub_site_id, 1 AS joined FROM site");
    load_seeds(db);
    load_file(db, "network.sql");
    load_file(db, "site-LLP-1.sql");
    load_file(db, "site-LLP-2.sql");
}

/* ---- the embedded text ---- */

static void files_stand_in_order_and_start_with_the_registry(void **state)
{
    (void)state;
    assert_true(schema_files_count > 1);
    assert_true(schema_seeds_count > 0);
    assert_int_equal(schema_files[0].number, 0);
    assert_string_equal(schema_files[0].name, "000_registry");
    for (size_t i = 0; i < schema_files_count; i++) {
        char prefix[16];

        (void)snprintf(prefix, sizeof prefix, "%03d_", schema_files[i].number);
        assert_memory_equal(schema_files[i].name, prefix, strlen(prefix));
        if (i > 0)
            assert_true(schema_files[i - 1].number < schema_files[i].number);
    }
    for (size_t i = 0; i < schema_seeds_count; i++)
        assert_int_equal(schema_seeds[i].number, i + 1);
}

static void views_alone_have_high_numbers_and_may_run_again(void **state)
{
    sqlite3 *db = *state;
    const char *tables = "SELECT count(*) FROM sqlite_schema WHERE type <> 'view'";
    int64_t before = number(db, tables);
    int64_t views = number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'view'");
    size_t ran = 0;

    assert_true(views > 0);
    for (size_t i = 0; i < schema_files_count; i++) {
        if (schema_files[i].number < SCHEMA_VIEWS_FROM)
            continue;
        run(db, schema_files[i].name, schema_files[i].sql);
        ran++;
    }
    assert_true(ran > 0);
    assert_int_equal(number(db, tables), before);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'view'"), views);
    none(db, "SELECT * FROM perche_invalid");
}

/* ---- tables against registry ---- */

static void tables_have_no_constraint_that_replicas_could_break(void **state)
{
    sqlite3 *db = *state;

    none(db, "SELECT 'not strict or with rowid', name FROM pragma_table_list"
             " WHERE name IN " TABLES " AND NOT (strict AND wr)");
    none(db, "SELECT 'unique index', t.name, i.name FROM " TABLES " t, pragma_index_list(t.name) i"
             " WHERE i.origin <> 'pk' AND i.\"unique\"");
    none(db, "SELECT 'reference', t.name FROM " TABLES " t, pragma_foreign_key_list(t.name)");
    none(db, "SELECT 'nullable key', t.name, c.name FROM " TABLES " t, pragma_table_info(t.name) c"
             " WHERE c.pk > 0 AND NOT c.\"notnull\"");
    none(db, "SELECT 'trigger', name FROM sqlite_schema WHERE type = 'trigger'");
}

static void registry_and_tables_name_the_same_columns(void **state)
{
    sqlite3 *db = *state;

    assert_true(number(db, "SELECT count(*) FROM perche_table") > 0);
    assert_int_equal(number(db, "SELECT count(*) FROM " TABLES), 61);
    none(db, "SELECT 'not registered', name FROM " TABLES " WHERE name NOT IN " NOT_REPLICATED
             " EXCEPT SELECT 'not registered', name FROM perche_table");
    none(db, "SELECT 'no table', name FROM perche_table WHERE name NOT IN " TABLES
             " OR name IN " NOT_REPLICATED);
    none(
        db,
        "SELECT 'not registered', t.name, c.name FROM " TABLES " t, pragma_table_xinfo(t.name) c"
        " WHERE t.name NOT IN " NOT_REPLICATED
        " AND NOT EXISTS (SELECT 1 FROM perche_column p WHERE p.tab = t.name AND p.col = c.name)");
    none(db, "SELECT 'no column', p.tab, p.col FROM perche_column p WHERE p.tab NOT IN " TABLES
             " OR p.col NOT IN (SELECT name FROM pragma_table_xinfo(p.tab))");
}

static void columns_are_numbered_from_one_in_table_order_and_keys_are_zero(void **state)
{
    sqlite3 *db = *state;

    none(db, "SELECT p.tab, p.col, p.num, r.place FROM perche_column p JOIN"
             " (SELECT t.name AS tab, c.name AS col, CASE WHEN c.pk > 0 THEN 0 ELSE"
             "   sum(c.pk = 0) OVER (PARTITION BY t.name ORDER BY c.cid) END AS place"
             "  FROM " TABLES " t, pragma_table_info(t.name) c) r"
             " ON r.tab = p.tab AND r.col = p.col WHERE p.num IS NOT r.place");
}

static void personal_columns_do_not_outlive_an_erasure(void **state)
{
    sqlite3 *db = *state;

    assert_true(number(db, "SELECT count(*) FROM perche_column WHERE level = 'P1'") > 0);
    none(db, "SELECT tab, col, level, on_erase FROM perche_column"
             " WHERE level IN ('P1', 'P3') AND on_erase = 'keep'");
    none(db, "SELECT tab, col, on_erase FROM perche_column"
             " WHERE on_erase NOT IN ('keep', 'null') AND on_erase NOT GLOB '''*'''");
    none(
        db,
        "SELECT 'a key must stay', tab, col FROM perche_column WHERE num = 0 AND on_erase <> 'keep'");
    none(db,
         "SELECT 'cannot be null', p.tab, p.col FROM perche_column p, pragma_table_info(p.tab) c"
         " WHERE c.name = p.col AND c.\"notnull\" AND p.on_erase = 'null'");
}

static void policies_fit_together(void **state)
{
    sqlite3 *db = *state;

    none(
        db,
        "SELECT 'taken with', p.tab, p.col, p.taken_with FROM perche_column p WHERE p.taken_with IS NOT NULL"
        " AND (p.policy <> 'lww' OR NOT EXISTS (SELECT 1 FROM perche_column w"
        "  WHERE w.tab = p.tab AND w.col = p.taken_with AND w.policy = 'review'))");
    none(
        db,
        "SELECT 'append is for whole tables', p.tab, p.col FROM perche_column p JOIN perche_table t"
        " ON t.name = p.tab WHERE (p.policy = 'append') <> (t.policy = 'append')");
    none(db,
         "SELECT 'the hub''s table', p.tab, p.col FROM perche_column p JOIN perche_table t"
         " ON t.name = p.tab WHERE t.policy = 'hub' AND (p.policy <> 'hub' OR t.mover <> 'hub')");
    none(db,
         "SELECT 'a site must be able to leave it out', p.tab, p.col FROM perche_column p"
         " JOIN perche_table t ON t.name = p.tab, pragma_table_info(p.tab) c WHERE c.name = p.col"
         " AND p.policy = 'hub' AND t.policy <> 'hub' AND c.\"notnull\" AND c.dflt_value IS NULL");
}

static void what_is_said_once_in_the_domain_is_said_so_here(void **state)
{
    sqlite3 *db = *state;

    none(
        db, /* name, rule, area, mover, policy */
        "WITH want(name, rule, area, mover, policy) AS (VALUES"
        " ('learner', 'members home_site_id; enrolment.site_id via learner_id where exit_reason NOT IN (TRANSFER);"
        " application.site_id via learner_id where stage NOT IN (ENROLLED, REFUSED, WITHDRAWN, NO_SHOW);"
        " transfer.to_site via learner_id where state IN (ASKED, ACCEPTED); referral.site_id via learner_id; referral.desk_site_id via learner_id',"
        "  'placement', 'hub', 'review'),"
        " ('learner_link', 'parent learner(learner_a), learner(learner_b)', 'placement', 'hub', 'append'),"
        " ('application', 'own site_id', NULL, 'holder', 'lww'),"
        " ('application_score', 'parent application(application_id)', NULL, 'hub', 'append'),"
        " ('referral', 'own site_id, desk_site_id', NULL, 'holder', 'append'),"
        " ('transfer', 'own from_site, to_site', NULL, 'hub', 'review'),"
        " ('entry_profile', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'review'),"
        " ('entry_profile_tag', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'lww'),"
        " ('entry_sensitive', 'parent enrolment(enrolment_id)', NULL, 'hub', 'review'),"
        " ('project_member', 'parent project(project_id)', NULL, 'hub', 'lww'),"
        " ('event', 'members site_id; event_site.site_id via event_id', NULL, 'holder', 'lww'),"
        " ('event_site', 'parent event(event_id)', NULL, 'hub', 'lww'),"
        " ('event_participant', 'parent event(event_id)', NULL, 'hub', 'lww'),"
        " ('venture', 'own site_id', NULL, 'holder', 'lww'),"
        " ('venture_founder', 'parent venture(venture_id)', NULL, 'hub', 'lww'),"
        " ('incubation', 'parent venture(venture_id)', NULL, 'hub', 'lww'),"
        " ('immersion', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'lww'),"
        " ('cert_attempt', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'append'),"
        " ('cert_block_result', 'parent cert_attempt(attempt_id)', NULL, 'hub', 'append'),"
        " ('funding_agreement', 'own site_id', 'finance', 'hub', 'review'),"
        " ('funding_movement', 'parent funding_agreement(agreement_id)', 'finance', 'hub', 'append'),"
        " ('cost_item', 'own site_id', 'finance', 'holder', 'append'),"
        " ('esf_participation', 'parent enrolment(first_enrolment_id)', 'placement', 'hub', 'review'),"
        " ('consent', 'parent learner(learner_id)', NULL, 'hub', 'append'),"
        " ('rights_request', 'parent learner(learner_id)', NULL, 'hub', 'review'),"
        " ('rights_ack', 'own site_id', NULL, 'hub', 'append'),"
        " ('legal_hold', 'parent learner(learner_id)', NULL, 'hub', 'review'),"
        " ('audit_log', 'own site_id', NULL, 'hub', 'append'),"
        " ('export_log', 'own site_id', NULL, 'hub', 'append'),"
        " ('import_batch', 'own site_id', NULL, 'hub', 'append'),"
        " ('external_id', 'own site_id', NULL, 'holder', 'lww'),"
        " ('learner_contact', 'parent learner(learner_id)', 'placement', 'hub', 'lww'),"
        " ('cohort', 'own site_id', NULL, 'holder', 'lww'),"
        " ('enrolment', 'own site_id', 'placement', 'hub', 'review'),"
        " ('enrolment_status_event', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'append'),"
        " ('half_day', 'parent cohort(cohort_id)', NULL, 'hub', 'lww'),"
        " ('attendance', 'parent enrolment(enrolment_id)', NULL, 'hub', 'append'),"
        " ('project', 'own site_id', NULL, 'holder', 'lww'),"
        " ('housing_unit', 'own site_id', NULL, 'holder', 'lww'),"
        " ('housing_lease', 'parent housing_unit(unit_id)', NULL, 'hub', 'review'),"
        " ('outcome_observation', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'append'),"
        " ('outcome_decision', 'parent enrolment(enrolment_id)', 'placement', 'hub', 'lww'))"
        " SELECT * FROM want EXCEPT SELECT name, rule, area, mover, policy FROM perche_table");
    none(db, "SELECT name, rule FROM perche_table WHERE rule = '*' AND policy <> 'hub'");
    none(
        db, /* the columns that differ from their table */
        "WITH want(tab, col, policy) AS (VALUES"
        " ('learner', 'use_family_name', 'lww'), ('learner', 'call_name', 'lww'), ('learner', 'nir_seen', 'hub'),"
        " ('learner', 'erased_at', 'hub'), ('learner', 'restricted', 'hub'), ('cohort', 'capacity', 'review'),"
        " ('application', 'stage', 'review'), ('enrolment', 'pay_scheme', 'lww'), ('enrolment', 'bpf_trainee_type', 'lww'),"
        " ('outcome_decision', 'situation', 'review')), have(tab, col, policy) AS ("
        "  SELECT c.tab, c.col, c.policy FROM perche_column c JOIN perche_table t ON t.name = c.tab"
        "  WHERE c.policy <> t.policy)"
        " SELECT * FROM (SELECT * FROM want EXCEPT SELECT * FROM have) UNION ALL"
        " SELECT * FROM (SELECT * FROM have EXCEPT SELECT * FROM want)");
    none(db,
         "WITH want(tab, cols) AS (VALUES ('organisation', 'siret'), ('site', 'code'),"
         "  ('learner', 'ft_identifier'), ('learner', 'ine'), ('half_day', 'cohort_id,day,half'),"
         "  ('audit_log', 'site_id,epoch,seq'))"
         " SELECT * FROM want EXCEPT SELECT * FROM perche_unique");
}

static void no_column_could_hold_a_nir(void **state)
{
    sqlite3 *db = *state;

    none(
        db,
        "SELECT t.name, c.name, c.type FROM " TABLES " t, pragma_table_xinfo(t.name) c"
        " WHERE (lower(c.name) GLOB '*nir*' OR lower(c.name) GLOB '*nss*' OR lower(c.name) GLOB '*social_sec*'"
        "  OR lower(c.name) GLOB '*securite*') AND NOT (c.name = 'nir_seen' AND c.type = 'INTEGER')");
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO learner (home_site_id, nir_seen) VALUES ('x', 2)",
                                  NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
}

/* ---- rules ---- */

struct rule {
    sqlite3 *db;
    const char *table;
    const char *at;
};

static void rule_fail(const struct rule *r, const char *why)
{
    fail_msg("rule of %s: %s at \"%s\"", r->table, why, r->at);
}

static void rule_spaces(struct rule *r)
{
    while (*r->at == ' ')
        r->at++;
}

static bool rule_take(struct rule *r, const char *token)
{
    size_t n = strlen(token);

    rule_spaces(r);
    if (strncmp(r->at, token, n) != 0 ||
        (isalpha((unsigned char)token[0]) && isalnum((unsigned char)r->at[n])))
        return false;
    r->at += n;
    return true;
}

static void rule_want(struct rule *r, const char *token)
{
    if (!rule_take(r, token))
        rule_fail(r, token);
}

static void rule_name(struct rule *r, char *out, size_t size)
{
    size_t n = 0;

    rule_spaces(r);
    while (isalnum((unsigned char)r->at[n]) || r->at[n] == '_')
        n++;
    if (n == 0 || n >= size)
        rule_fail(r, "a name is missing");
    memcpy(out, r->at, n);
    out[n] = '\0';
    r->at += n;
}

static bool has(sqlite3 *db, const char *sql, const char *first, const char *second)
{
    sqlite3_stmt *stmt = prepare(db, sql);
    bool found;

    sqlite3_bind_text(stmt, 1, first, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, second, -1, SQLITE_STATIC);
    found = sqlite3_step(stmt) == SQLITE_ROW;
    sqlite3_finalize(stmt);
    return found;
}

static void rule_column(const struct rule *r, const char *table, const char *column)
{
    if (!has(r->db, "SELECT 1 FROM perche_column WHERE tab = ?1 AND col = ?2", table, column))
        rule_fail(r, column);
}

static void rule_site_column(const struct rule *r, const char *table, const char *column)
{
    if (!has(r->db,
             "SELECT 1 FROM perche_column WHERE tab = ?1 AND col = ?2 AND refers = 'site(id)'",
             table, column))
        rule_fail(r, "not a column that names a site");
}

/* @column of @holder names a row of @table, by the registry's own word. */
static void rule_names_row(const struct rule *r, const char *holder, const char *column,
                           const char *table)
{
    char name[130];

    (void)snprintf(name, sizeof name, "%s.%s", holder, column);
    if (!has(r->db,
             "SELECT 1 FROM perche_column WHERE tab || '.' || col = ?1 AND refers IN"
             " (SELECT ?2 || '(' || col || ')' FROM perche_column WHERE tab = ?2 AND num = 0)",
             name, table))
        rule_fail(r, "the column does not name the table's row");
}

static void rule_member(struct rule *r)
{
    char child[64], site[64], key[64], word[64];

    rule_name(r, child, sizeof child);
    rule_want(r, ".");
    rule_name(r, site, sizeof site);
    rule_site_column(r, child, site);
    rule_want(r, "via");
    rule_name(r, key, sizeof key);
    rule_names_row(r, child, key, r->table);
    if (!rule_take(r, "where"))
        return;
    rule_name(r, word, sizeof word);
    rule_column(r, child, word);
    (void)rule_take(r, "NOT");
    rule_want(r, "IN");
    rule_want(r, "(");
    do
        rule_name(r, word, sizeof word);
    while (rule_take(r, ","));
    rule_want(r, ")");
}

static void rule_parse(struct rule *r)
{
    char table[64], column[64];

    if (rule_take(r, "*") || rule_take(r, "hub")) {
        ;
    } else if (rule_take(r, "own")) {
        do {
            rule_name(r, column, sizeof column);
            rule_site_column(r, r->table, column);
        } while (rule_take(r, ","));
    } else if (rule_take(r, "parent")) {
        do {
            rule_name(r, table, sizeof table);
            rule_want(r, "(");
            rule_name(r, column, sizeof column);
            rule_want(r, ")");
            rule_names_row(r, r->table, column, table);
        } while (rule_take(r, ","));
    } else {
        rule_want(r, "members");
        rule_name(r, column, sizeof column);
        rule_site_column(r, r->table, column);
        while (rule_take(r, ";"))
            rule_member(r);
    }
    rule_spaces(r);
    if (*r->at != '\0')
        rule_fail(r, "something is left over");
}

static void rules_parse_and_name_what_is_there(void **state)
{
    sqlite3 *db = *state;
    sqlite3_stmt *stmt = prepare(db, "SELECT name, rule FROM perche_table");
    int rules = 0;

    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct rule r = {db, text(stmt, 0), text(stmt, 1)};

        rule_parse(&r);
        rules++;
    }
    sqlite3_finalize(stmt);
    assert_true(rules > 0);
    none(
        db, /* the declarations form no circle: following parents ends */
        "WITH RECURSIVE up(tab, parent, depth) AS ("
        " SELECT name, substr(rule, 8, instr(rule, '(') - 8), 1 FROM perche_table WHERE rule LIKE 'parent %'"
        " UNION ALL SELECT u.tab, substr(t.rule, 8, instr(t.rule, '(') - 8), depth + 1 FROM up u"
        " JOIN perche_table t ON t.name = u.parent WHERE t.rule LIKE 'parent %' AND depth < 20)"
        " SELECT * FROM up WHERE depth = 20");
}

static void references_unique_values_and_areas_name_what_is_there(void **state)
{
    sqlite3 *db = *state;

    load_seeds(db);
    none(db,
         "SELECT tab, col, refers FROM perche_column p WHERE refers IS NOT NULL AND refers NOT IN"
         " (SELECT tab || '(' || col || ')' FROM perche_column)");
    none(db, /* ids that by their name refer to something say so */
         "SELECT tab, col FROM perche_column WHERE refers IS NULL AND num > 0 AND (col GLOB '*_id'"
         " OR col GLOB '*_site' OR col IN ('voids', 'transferred_from'))"
         /* of whatever table the column beside it says */
         " AND (tab, col) NOT IN (VALUES ('external_id', 'row_id'), ('funding_agreement', 'level_id'), ('legal_hold', 'subject_id'), ('audit_log', 'object_id'),"
         /* or a figure that needs no definition */
         " ('report_snapshot', 'definition_id'))");
    none(
        db,
        "SELECT u.tab, trim(j.value) FROM perche_unique u,"
        " json_each('[\"' || replace(u.cols, ',', '\",\"') || '\"]') j"
        " WHERE NOT EXISTS (SELECT 1 FROM perche_column p WHERE p.tab = u.tab AND p.col = j.value)");
    none(db, "SELECT name, area FROM perche_table WHERE area IS NOT NULL AND area NOT IN"
             " (SELECT code FROM code_list WHERE list = 'area')");
}

/* ---- code lists ---- */

static void code_lists_that_columns_name_are_in_the_seed(void **state)
{
    sqlite3 *db = *state;

    load_seeds(db);
    none(db,
         "SELECT tab, col, code_list FROM perche_column WHERE code_list IS NOT NULL"
         " AND code_list NOT IN (SELECT list FROM code_list) AND code_list NOT IN " LISTS_TO_LOAD);
    none(db,
         "SELECT list, code FROM code_list WHERE label_fr = '' OR label_en IS NULL OR label_en = ''"
         " OR code <> trim(code) OR label_fr <> trim(label_fr)");
    none(
        db,
        "SELECT p.tab, p.col, c.dflt_value FROM perche_column p, pragma_table_info(p.tab) c"
        " WHERE c.name = p.col AND p.code_list IN (SELECT list FROM code_list) AND c.dflt_value IS NOT NULL"
        " AND trim(c.dflt_value, '''') NOT IN (SELECT code FROM code_list WHERE list = p.code_list)");
    assert_int_equal(number(db, "SELECT count(*) FROM code_list WHERE list = 'exit_reason'"), 12);
    assert_int_equal(number(db, "SELECT count(*) FROM code_list WHERE list = 'outcome_situation'"),
                     19);
    none(db,
         "SELECT * FROM code_list WHERE upper(code) GLOB '*HEALTH*' OR upper(code) GLOB '*ILL*'");
}

static void a_seed_loaded_again_changes_nothing(void **state)
{
    sqlite3 *db = *state;
    int64_t rows;

    load_seeds(db);
    run(db, "rename",
        "UPDATE code_list SET label_fr = 'Autre' WHERE list = 'programme' AND code = 'FRANCE_TRAVAIL'");
    rows = number(db, "SELECT total_changes()");
    load_seeds(db);
    assert_int_equal(number(db, "SELECT total_changes()"), rows);
    assert_int_equal(number(db, "SELECT count(*) FROM code_list WHERE label_fr = 'Autre'"), 1);
}

static void invalid_view_shows_each_column_whose_value_is_in_no_list(void **state)
{
    sqlite3 *db = *state;
    sqlite3_stmt *stmt;
    int columns = 0;

    run(db,
        "lists", /* the lists still to be loaded get one code here, so that they are judged as well */
        "INSERT INTO code_list (list, code, label_fr) SELECT DISTINCT code_list, 'KNOWN', 'connu'"
        " FROM perche_column WHERE code_list IS NOT NULL");
    stmt = prepare(
        db, "SELECT p.tab, p.col, group_concat(quote(c.name)), group_concat(CASE"
            " WHEN c.type = 'INTEGER' THEN '0' WHEN c.name = p.col THEN '''WRONG'''"
            " WHEN EXISTS (SELECT 1 FROM perche_column o WHERE o.tab = p.tab AND o.col = c.name"
            "  AND o.code_list IS NOT NULL) THEN '''KNOWN''' ELSE '''x''' END)"
            " FROM perche_column p, pragma_table_info(p.tab) c WHERE p.code_list IS NOT NULL"
            " GROUP BY p.tab, p.col");
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *tab = text(stmt, 0), *col = text(stmt, 1);
        char *sql = sqlite3_mprintf("INSERT INTO \"%w\" (%s) VALUES (%s)", tab, text(stmt, 2),
                                    text(stmt, 3));
        char *one =
            sqlite3_mprintf("SELECT count(*) = 1 AND sum(tab = %Q AND col = %Q AND value = 'WRONG'"
                            " AND json_type(key) = 'array') = 1 FROM perche_invalid",
                            tab, col);
        char *same = sqlite3_mprintf("SELECT count(*) = 1 FROM \"perche_invalid_%w\"", tab);

        run(db, "savepoint", "SAVEPOINT one");
        run(db, col, sql);
        if (!number(db, one) || !number(db, same))
            fail_msg("perche_invalid does not show %s.%s once; run make_invalid.sh", tab, col);
        run(db, "unload", "DELETE FROM code_list");
        none(db, "SELECT 'judged without a list', * FROM perche_invalid");
        run(db, "rollback", "ROLLBACK TO one; RELEASE one");
        sqlite3_free(sql);
        sqlite3_free(one);
        sqlite3_free(same);
        columns++;
    }
    sqlite3_finalize(stmt);
    assert_true(columns > 20);
}

static void outcome_classes_give_the_published_rates(void **state)
{
    sqlite3 *db = *state;

    load_seeds(db);
    none(
        db,
        "SELECT d.id, c.code FROM indicator_definition d, code_list c WHERE c.list = 'outcome_situation'"
        " AND NOT EXISTS (SELECT 1 FROM outcome_mapping m WHERE m.definition_id = d.id AND m.situation = c.code)");
    none(db, "SELECT * FROM perche_invalid");
    run(db, "leavers", /* 50 leavers of one year */
        "CREATE TEMP TABLE leaver AS SELECT * FROM (SELECT column1 AS situation, column2 AS n FROM (VALUES"
        " ('EMP_PERMANENT', 14), ('EMP_FIXED_GE6', 12), ('EMP_FIXED_1TO6', 6), ('SELF_EMPLOYED', 2), ('STUDIES', 5),"
        " ('INTERNSHIP', 1), ('JOBSEEKING', 8), ('UNAVAILABLE', 1), ('NOT_REACHED', 1)))");
    run(db, "sums",
        "CREATE TEMP VIEW class AS SELECT definition_id AS def, class, sum(n) AS n FROM leaver"
        " JOIN outcome_mapping USING (situation) GROUP BY 1, 2");
    assert_int_equal(number(db, "SELECT sum(n) FROM leaver"), 50);
    assert_int_equal(number(db, "SELECT sum(n) FROM class WHERE def = 'REGION_POS' AND class IN"
                                " ('EMPLOYEE', 'ENTREPRENEUR', 'STUDIES', 'OTHER_POSITIVE')"),
                     40);
    assert_int_equal(number(db, "SELECT sum(n) FROM class WHERE def = 'ESF_EMP_6M' AND class IN"
                                " ('EMPLOYEE', 'ENTREPRENEUR')"),
                     34);
    assert_int_equal(number(db, "SELECT sum(n) FROM class WHERE def = 'FC_GLOBAL_6M' AND class IN"
                                " ('EMPLOYEE', 'ENTREPRENEUR')"),
                     34);
    assert_int_equal(number(db,
                            "SELECT sum(n) FROM class WHERE def = 'FC_GLOBAL_6M' AND class NOT IN"
                            " ('NEUTRALISED', 'NO_ANSWER')"),
                     43);
}

/* ---- ids ---- */

static void a_plain_insert_mints_a_canonical_uuid7(void **state)
{
    sqlite3 *db = *state;
    sqlite3_stmt *insert = prepare(db, "INSERT INTO organisation (name) VALUES ('o')");

    run(db, "begin", "BEGIN");
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run(db, "commit", "COMMIT");
    assert_int_equal(number(db, "SELECT count(DISTINCT id) FROM organisation"), 100000);
    none(db, "SELECT id FROM organisation WHERE " NOT_UUID7 " LIMIT 3");
    for (const char *v = "89ab"; *v != '\0';
         v++) { /* each variant occurs: the two bits are random */
        char sql[96];
        int64_t minted;

        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM organisation WHERE substr(id, 20, 1) = '%c'", *v);
        minted = number(db, sql);
        assert_true(minted > 20000 && minted < 30000);
    }
}

static void an_id_follows_the_clock_in_each_table(void **state)
{
    sqlite3 *db = *state;
    sqlite3_stmt *stmt =
        prepare(db, "SELECT t.name, c.dflt_value FROM " TABLES " t, pragma_table_info(t.name) c"
                    " WHERE c.name = 'id' AND t.name <> 'indicator_definition'");
    int tables = 0;

    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *value = text(stmt, 1);
        char *sql, *id;
        sqlite3_stmt *mint;
        unsigned long long high, low;
        int64_t before, after, ms;

        if (sqlite3_column_type(stmt, 1) == SQLITE_NULL)
            fail_msg("%s.id has no default", text(stmt, 0));
        sql = sqlite3_mprintf("SELECT %s", value);
        before = number(db, "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)");
        mint = prepare(db, sql);
        assert_int_equal(sqlite3_step(mint), SQLITE_ROW);
        id = sqlite3_mprintf("%s", text(mint, 0));
        sqlite3_finalize(mint);
        after = number(db, "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)");
        assert_int_equal(strlen(id), 36);
        assert_int_equal(id[14], '7');
        high = strtoull(id, NULL, 16);
        low = strtoull(id + 9, NULL, 16);
        ms = (int64_t)(high << 16 | low);
        assert_true(ms >= before - 1 && ms <= after + 1);
        sqlite3_free(sql);
        sqlite3_free(id);
        tables++;
    }
    sqlite3_finalize(stmt);
    assert_true(tables >= 14);
}

/* ---- labels ---- */

/* The label of @tab for a key of which ?n is @keys[n - 1]; to be freed with sqlite3_free(). */
static char *label(sqlite3 *db, const char *tab, const char *const *keys, int keys_count)
{
    char *sql = sqlite3_mprintf("SELECT label FROM perche_table WHERE name = %Q", tab);
    sqlite3_stmt *stmt = prepare(db, sql);
    char *out;

    sqlite3_free(sql);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    if (sqlite3_column_type(stmt, 0) != SQLITE_TEXT)
        fail_msg("%s has no label", tab);
    sql = sqlite3_mprintf("%s", text(stmt, 0));
    sqlite3_finalize(stmt);

    stmt = prepare(db, sql);
    assert_int_equal(sqlite3_column_count(stmt), 1);
    assert_true(sqlite3_stmt_readonly(stmt));
    assert_true(sqlite3_bind_parameter_count(stmt) <= keys_count);
    for (int i = 0; i < sqlite3_bind_parameter_count(stmt); i++)
        sqlite3_bind_text(stmt, i + 1, keys[i], -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    if (sqlite3_column_type(stmt, 0) != SQLITE_TEXT)
        fail_msg("the label of %s is no text", tab);
    out = sqlite3_mprintf("%s", text(stmt, 0));
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return out;
}

static void label_is(sqlite3 *db, const char *tab, const char *key, const char *second,
                     const char *want)
{
    const char *keys[] = {key, second, ""};
    char *have = label(db, tab, keys, 3);

    assert_string_equal(have, want);
    sqlite3_free(have);
}

static void a_label_of_a_row_that_is_not_there_is_its_key(void **state)
{
    sqlite3 *db = *state;
    const char *const keys[] = {"first-key", "second-key", "third-key"};
    sqlite3_stmt *stmt =
        prepare(db, "SELECT t.name, (SELECT count(*) FROM perche_column c WHERE c.tab = t.name"
                    " AND c.num = 0) FROM perche_table t");
    int tables = 0;

    while (sqlite3_step(stmt) == SQLITE_ROW) {
        int n = sqlite3_column_int(stmt, 1);
        char *have = label(db, text(stmt, 0), keys, n);

        assert_in_range(n, 1, 3);
        for (int i = 0; i < n; i++)
            if (strstr(have, keys[i]) == NULL)
                fail_msg("%s: \"%s\" does not name %s", text(stmt, 0), have, keys[i]);
        sqlite3_free(have);
        tables++;
    }
    sqlite3_finalize(stmt);
    assert_true(tables > 15);
}

#define LEARNER_5   "01487832-4000-7000-8001-000000000005"
#define ENROLMENT_5 "01487832-4000-7000-8002-000000000005"

static void a_label_of_a_row_that_is_there_is_what_a_person_calls_it(void **state)
{
    sqlite3 *db = *state;

    load_cohort(db);
    run(db, "fixed ids",
        "INSERT INTO outcome_decision VALUES ('" ENROLMENT_5
        "', 'W4', 'JOBSEEKING', 'o', 'ONLY_ONE', 's', 'now');"
        "UPDATE learner_contact SET id = 'c' WHERE kind = 'PHONE' AND learner_id = '" LEARNER_5 "';"
        "UPDATE half_day SET id = 'h' WHERE day = '2014-10-06' AND half = 'AM';"
        "INSERT INTO attendance VALUES ('a', 'h', '" ENROLMENT_5 "', 'PRESENT', 210, 'PAPER_SCAN',"
        " NULL, NULL, NULL, 'now', 's', NULL, NULL);"
        "INSERT INTO housing_lease VALUES ('l', '01487832-4000-7000-8005-000000000007', '" ENROLMENT_5
        "',"
        " '2015-01-01', '2015-02-01', 25000, NULL, 'BOOKED');"
        "UPDATE enrolment_status_event SET id = 'e' WHERE status = 'ACTIVE' AND enrolment_id = '" ENROLMENT_5
        "';"
        "UPDATE outcome_observation SET id = 'o' WHERE enrolment_id = '01487832-4000-7000-8002-000000000001';"
        "UPDATE site SET id = 'site'; UPDATE network SET id = 'net'; UPDATE cohort SET site_id = 'site'");
    label_is(db, "learner", LEARNER_5, "", "Camille Rousseau");
    label_is(db, "learner_contact", "c", "", "phone of Camille R.");
    label_is(db, "enrolment", ENROLMENT_5, "", "enrolment of Camille R. in P1");
    label_is(db, "enrolment_status_event", "e", "", "status of Camille R. on 2014-10-06");
    label_is(db, "cohort", "01487832-4000-7000-8003-000000000001", "", "cohort P1 of La Loupe");
    label_is(db, "half_day", "h", "", "half-day 2014-10-06 AM of P1");
    label_is(db, "attendance", "a", "", "mark of Camille R. on 2014-10-06 AM");
    label_is(db, "project", "01487832-4000-7000-8004-000000000001", "",
             "project Site de l'école de musique");
    label_is(db, "housing_unit", "01487832-4000-7000-8005-000000000007", "", "housing LLP-07");
    label_is(db, "housing_lease", "l", "", "lease of LLP-07 to Camille R.");
    label_is(db, "outcome_observation", "o", "", "observation of Thomas L. as of 2015-03-17");
    label_is(db, "outcome_decision", ENROLMENT_5, "W4", "outcome of Camille R. at 4 weeks");
    label_is(db, "outcome_decision", ENROLMENT_5, "DURING",
             "outcome of Camille R. during the training");
    label_is(db, "organisation", "01487832-4000-7000-8006-000000000001", "",
             "organisation Wild Code School");
    label_is(db, "training", "01487832-4000-7000-8008-000000000001", "",
             "training Développeur web et mobile");
    label_is(db, "site", "site", "", "site La Loupe");
    label_is(db, "network", "net", "", "network Perche");
    label_is(db, "site_reader", "site", "other", "other as reader of La Loupe ()");
    label_is(db, "code_list", "sex", "F", "code F of sex");
    label_is(db, "indicator_definition", "REGION_POS", "", "indicator REGION_POS");
    label_is(db, "outcome_mapping", "REGION_POS", "STUDIES", "class of STUDIES under REGION_POS");
}

static void a_label_loses_the_name_with_the_person(void **state)
{
    sqlite3 *db = *state;

    load_cohort(db);
    run(db, "leaves", "DELETE FROM learner WHERE id = '" LEARNER_5 "'");
    label_is(db, "learner", LEARNER_5, "", "learner " LEARNER_5);
    label_is(db, "outcome_decision", ENROLMENT_5, "W4",
             "outcome of Camille Jeanne Rousseau at 4 weeks");
    run(db, "erased", "UPDATE enrolment SET name_at_entry = NULL WHERE id = '" ENROLMENT_5 "'");
    label_is(db, "outcome_decision", ENROLMENT_5, "W4", "outcome of " ENROLMENT_5 " at 4 weeks");
    label_is(db, "enrolment", ENROLMENT_5, "", "enrolment of " ENROLMENT_5 " in P1");
    run(db, "no cohort", "DELETE FROM cohort");
    label_is(db, "enrolment", ENROLMENT_5, "", "enrolment of " ENROLMENT_5);
}

/* ---- the cohort of La Loupe ---- */

static void the_cohort_of_la_loupe_gives_its_known_figures(void **state)
{
    sqlite3 *db = *state;
    const char *ages =
        "CAST((julianday('2014-10-06') - julianday(birth_date)) / 365.2425 AS INTEGER)";
    char sql[256];

    load_cohort(db);
    none(db, "SELECT * FROM perche_invalid");
    none(db, /* ids are canonical, so that they are kept as 16 bytes */
         "SELECT id FROM learner WHERE " NOT_UUID7
         " UNION ALL SELECT id FROM enrolment WHERE " NOT_UUID7);
    none(
        db,
        "SELECT ft_identifier FROM learner WHERE ft_identifier IS NOT NULL GROUP BY 1 HAVING count(*) > 1");
    none(db, "SELECT cohort_id, day, half FROM half_day GROUP BY 1, 2, 3 HAVING count(*) > 1");
    assert_int_equal(number(db, "SELECT count(*) FROM learner"), 28);
    assert_int_equal(number(db, "SELECT capacity FROM cohort"), 30);
    assert_int_equal(number(db, "SELECT count(*) FROM enrolment WHERE actual_start = '2014-10-06'"
                                " AND planned_end = '2015-04-30' AND transferred_from IS NULL"),
                     28);
    assert_int_equal(number(db, "SELECT count(*) FROM learner_contact"), 3 * 28);
    (void)snprintf(sql, sizeof sql, "SELECT min(%s) FROM learner", ages);
    assert_int_equal(number(db, sql), 18);
    (void)snprintf(sql, sizeof sql, "SELECT max(%s) FROM learner", ages);
    assert_true(number(db, sql) >= 50);
    assert_int_equal(number(db, "SELECT count(*) FROM project WHERE kind = 'REAL_CLIENT'"
                                " AND (client_org_id IS NULL) <> (client_name IS NULL)"),
                     3);
    none(db, "SELECT label, rent_cents FROM housing_unit WHERE rent_cents <> 25000"
             " OR landlord_org_id IS NULL OR lessee_org_id IS NULL");
    assert_int_equal(number(db, "SELECT count(*) FROM housing_unit"), 10);
    none(
        db, /* five months, counted by their first days */
        "SELECT id FROM housing_lease WHERE rent_cents * (1 + (strftime('%Y', ends_on) - strftime('%Y', starts_on)) * 12"
        " + strftime('%m', ends_on) - strftime('%m', starts_on)) <> 125000");
    assert_int_equal(number(db, "SELECT count(DISTINCT enrolment_id) FROM outcome_observation"
                                " WHERE as_of <= '2015-03-17' AND milestone = 'DURING'"),
                     9);
    assert_int_equal(number(db, "SELECT count(DISTINCT enrolment_id) FROM outcome_observation"),
                     20);
    assert_int_equal(
        number(db, "SELECT count(*) FROM outcome_observation WHERE situation = 'COMPANY_FOUNDED'"),
        7);
    assert_int_equal(
        number(db, "SELECT count(*) FROM outcome_observation WHERE situation = 'INTERNSHIP'"), 7);
    assert_int_equal(
        number(db, "SELECT count(*) FROM outcome_observation WHERE situation GLOB 'EMP_*'"), 6);

    run(db,
        "attendance", /* minutes attended and planned: two live marks of one half-day count once */
        "CREATE TEMP VIEW live AS SELECT half_day_id, enrolment_id, min(minutes) AS minutes,"
        "  count(DISTINCT mark || minutes) > 1 AS contested FROM attendance a"
        "  WHERE NOT EXISTS (SELECT 1 FROM attendance v WHERE v.voids = a.id) GROUP BY 1, 2;"
        "CREATE TEMP VIEW rate AS SELECT CAST(substr(e.id, -2) AS INTEGER) AS n, h.day, h.half, m.minutes AS attended,"
        "  h.minutes AS planned, m.contested FROM enrolment e JOIN half_day h ON h.cohort_id = e.cohort_id"
        "  AND h.cancelled = 0 AND h.day BETWEEN e.actual_start AND coalesce(e.actual_end, '2015-04-30')"
        "  LEFT JOIN live m ON m.half_day_id = h.id AND m.enrolment_id = e.id");
    none(db, "SELECT 'no mark', * FROM rate WHERE attended IS NULL");
    assert_int_equal(
        number(db, "SELECT 10000 * sum(attended) / sum(planned) FROM rate WHERE n = 1"), 10000);
    assert_int_equal(
        number(db, "SELECT round(10000.0 * sum(attended) / sum(planned)) FROM rate WHERE n = 2"),
        9286);
    assert_int_equal(
        number(db, "SELECT sum(attended) FROM rate WHERE n = 2 AND day = '2014-10-08'"), 390);
    assert_int_equal(number(db, "SELECT sum(planned) FROM rate WHERE n = 2 AND day = '2014-10-08'"),
                     420);
    assert_true(number(db, "SELECT 10000 * sum(attended) / sum(planned) FROM rate WHERE n = 3") <
                7000);
    assert_int_equal(
        number(db, "SELECT sum(attended) FROM rate WHERE n = 4 AND day = '2014-10-10'"), 420);
    assert_int_equal(number(db, "SELECT sum(contested) FROM rate"), 1);
    assert_int_equal(
        number(db, "SELECT contested FROM rate WHERE n = 6 AND day = '2014-10-10' AND half = 'PM'"),
        1);
    assert_true(number(db, "SELECT count(*) FROM half_day WHERE cancelled") > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_stand_in_order_and_start_with_the_registry),
#define ON_REPLICA(test) cmocka_unit_test_setup_teardown(test, open_replica, close_replica)
        ON_REPLICA(views_alone_have_high_numbers_and_may_run_again),
        ON_REPLICA(tables_have_no_constraint_that_replicas_could_break),
        ON_REPLICA(registry_and_tables_name_the_same_columns),
        ON_REPLICA(columns_are_numbered_from_one_in_table_order_and_keys_are_zero),
        ON_REPLICA(personal_columns_do_not_outlive_an_erasure),
        ON_REPLICA(policies_fit_together),
        ON_REPLICA(what_is_said_once_in_the_domain_is_said_so_here),
        ON_REPLICA(no_column_could_hold_a_nir),
        ON_REPLICA(rules_parse_and_name_what_is_there),
        ON_REPLICA(references_unique_values_and_areas_name_what_is_there),
        ON_REPLICA(code_lists_that_columns_name_are_in_the_seed),
        ON_REPLICA(a_seed_loaded_again_changes_nothing),
        ON_REPLICA(invalid_view_shows_each_column_whose_value_is_in_no_list),
        ON_REPLICA(outcome_classes_give_the_published_rates),
        ON_REPLICA(a_plain_insert_mints_a_canonical_uuid7),
        ON_REPLICA(an_id_follows_the_clock_in_each_table),
        ON_REPLICA(a_label_of_a_row_that_is_not_there_is_its_key),
        ON_REPLICA(a_label_of_a_row_that_is_there_is_what_a_person_calls_it),
        ON_REPLICA(a_label_loses_the_name_with_the_person),
        ON_REPLICA(the_cohort_of_la_loupe_gives_its_known_figures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
