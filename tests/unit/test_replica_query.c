/* Questions of people, and their answers in JSON. */
#define FIXTURE_ALL_TABLES
#include "replica_pair.h"

#include "replica/json.h"

#define LEARNER "0198f3a0-0000-7000-8000-00000000000"
#define INSERT_LEARNER                                                                       \
    "INSERT INTO learner (id, home_site_id, birth_family_name, call_name) VALUES ('" LEARNER \
    "1', (SELECT site_id FROM perche_self), 'Martin', 'Camille'), ('" LEARNER                \
    "2', (SELECT site_id FROM perche_self), 'Bernard', 'Dominique')"

static void expect(struct pair *p, struct fixture *f, const char *name, const char *args,
                   const char *path, const char *expected)
{
    char *json = pair_query(p, f, name, args);

    if (strcmp(json_at(json, path), expected) != 0) {
        print_error("%s is %s, not %s\n", path, json_at(json, path), expected);
        fixture_fail(name, json, args);
    }
    free(json);
}

static void a_list_has_the_rows_in_order_of_their_key_and_says_when_there_are_more(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    pair_edit(p, f, 1000, INSERT_LEARNER);
    expect(p, f, "list", "{\"table\": \"learner\"}", "$.table", "learner");
    expect(p, f, "list", "{\"table\": \"learner\"}", "$.columns[0]", "id");
    expect(p, f, "list", "{\"table\": \"learner\"}", "$.columns[2]", "birth_family_name");
    expect(p, f, "list", "{\"table\": \"learner\"}", "$.rows[1][2]", "Bernard");
    expect(p, f, "list", "{\"table\": \"learner\"}", "$.rows[2]", "null");
    expect(p, f, "list", "{\"table\": \"learner\"}", "$.more", "0");
    expect(p, f, "list", "{\"table\": \"learner\", \"limit\": 1}", "$.rows[1]", "null");
    expect(p, f, "list", "{\"table\": \"learner\", \"limit\": 1}", "$.more", "1");
    expect(p, f, "list", "{\"table\": \"learner\", \"limit\": 1, \"offset\": 1}", "$.rows[0][2]",
           "Bernard");
    expect(p, f, "list", "{\"table\": \"learner\", \"limit\": 1, \"offset\": 1}", "$.more", "0");
    expect(p, f, "list",
           "{\"table\": \"learner\", \"where\": \"birth_family_name LIKE 'Mar%' -- yes\"}",
           "$.rows[0][2]", "Martin");
    expect(
        p, f, "list",
        "{\"table\": \"learner\", \"where\": \"id IN (SELECT learner_id FROM learner_name WHERE name LIKE 'Dom%')\"}",
        "$.rows[0][2]", "Bernard");
}

/* The page behind the one that @next ends, and what ends this one ("" = it is the last). */
static void page_is(struct pair *p, struct fixture *f, const char *table, const char *more, char next[4096], const char *rows)
{
    char args[8192];
    char *json;

    snprintf(args, sizeof args, "{\"table\": \"%s\", \"limit\": 1%s%s%s%s}", table, *next ? ", \"after\": \"" : "", next, *next ? "\"" : "", more);
    json = pair_query(p, f, "list", args);
    assert_string_equal(json_at(json, "$.rows"), rows);
    snprintf(next, 4096, "%s", json_at(json, "$.next"));
    if (strcmp(next, "null") == 0)
        next[0] = '\0';
    free(json);
}

static void a_page_begins_behind_the_last_key_whatever_was_written_meanwhile(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    char next[4096] = "";

    pair_edit(p, f, 1000, "INSERT INTO entry_profile_tag VALUES ('a', 'x'), ('a', 'y'), ('b', 'w'), ('c', 'v')");
    page_is(p, f, "entry_profile_tag", "", next, "[[\"a\",\"x\"]]");
    pair_edit(p, f, 2000, "DELETE FROM entry_profile_tag WHERE tag = 'x'");
    pair_edit(p, f, 3000, "INSERT INTO entry_profile_tag VALUES ('a', 'b'), ('A', 'z')");
    page_is(p, f, "entry_profile_tag", "", next, "[[\"a\",\"y\"]]");
    page_is(p, f, "entry_profile_tag", ", \"where\": \"tag <> 'w' -- not that\"", next, "[[\"c\",\"v\"]]");
    assert_string_equal(next, "");
}

static void a_page_goes_on_from_a_key_of_the_table_and_from_nothing_else(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    static const char *const bad[] = {"00", "zz", "0", "0198F3A0", "0198f3a0000070008000000000000001"}; /* the last is a key, of one column */
    static const char *const from = "{\"table\": \"learner\", \"limit\": 1, \"after\": \"0198f3a0000070008000000000000001\"}";

    pair_edit(p, f, 1000, INSERT_LEARNER);
    expect(p, f, "list", "{\"table\": \"learner\", \"limit\": 1}", "$.next", "0198f3a0000070008000000000000001");
    expect(p, f, "list", from, "$.rows[0][2]", "Bernard");
    expect(p, f, "list", from, "$.next", "null");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char args[256];

        snprintf(args, sizeof args, "{\"table\": \"entry_profile_tag\", \"after\": \"%s\"}", bad[i]);
        pair_refuses(p, f, WORK_QUERY, "list", args, PERCHE_USAGE);
    }
}

static void a_condition_reads_and_does_nothing_else(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    static const char *const bad[] = {
        "no_such_column = 1",
        "1 = ",
        "1) --",
        "1) UNION SELECT 1 FROM learner --",
        "1; DELETE FROM learner",
        "?3",
        "id = :x",
        "load_extension('x')",
        "EXISTS (SELECT 1 FROM perche_node WHERE site = 1) AND EXISTS (SELECT 1 FROM perche_capture)",
        "EXISTS (SELECT 1 FROM sqlite_schema) AND EXISTS (SELECT 1 FROM pragma_database_list)",
        "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n) > 0", /* without end */
    };

    pair_edit(p, f, 1000, INSERT_LEARNER);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char args[400];

        snprintf(args, sizeof args, "{\"table\": \"learner\", \"where\": \"%s\"}", bad[i]);
        pair_refuses(p, f, WORK_QUERY, "list", args, PERCHE_USAGE);
        if (i == 0)
            assert_non_null(strstr(f->err.text, "no_such_column")); /* SQLite's own words */
    }
    pair_refuses(p, f, WORK_QUERY, "list", "{\"table\": \"learner\", \"where\": 1}", PERCHE_USAGE);
    pair_refuses(p, f, WORK_QUERY, "list", "{\"table\": \"perche_row\"}", PERCHE_NOT_FOUND);
    pair_refuses(p, f, WORK_QUERY, "list", "{}", PERCHE_USAGE);
    pair_refuses(p, f, WORK_QUERY, "no such question", "{}", PERCHE_USAGE);
    expect(p, f, "list", "{\"table\": \"learner\"}", "$.rows[1][2]", "Bernard"); /* all there */
    for (int i = 0; i < 2; i++) { /* nothing stays forbidden on the connection */
        struct outcome o = pair_do(p, f,
                                   pair_args(WORK_QUERY, i == 0 ? "list" : "state",
                                             "{\"table\": \"learner\", \"where\": \"1\"}"));

        assert_int_equal(o.rc, PERCHE_OK);
        outcome_free(&o);
    }
}

static void a_row_is_shown_with_where_each_value_came_from(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *args = "{\"table\": \"learner\", \"id\": \"" LEARNER "1\"}";

    pair_edit(p, f, 1000, INSERT_LEARNER);
    pair_sync(p, f);
    p->now = FIXTURE_NOW + 24 * 3600000;
    pair_edit(p, p->hub, 0, "UPDATE learner SET call_name = 'Cam' WHERE id = '" LEARNER "1'");
    pair_sync(p, f);
    expect(p, f, "show", args, "$.key[0]", LEARNER "1");
    expect(p, f, "show", args, "$.label", "Cam Martin");
    expect(p, f, "show", args, "$.scope[0]", "La Loupe");
    expect(p, f, "show", args, "$.scope[1]", "null");
    expect(p, f, "show", args, "$.deleted", "0");
    expect(p, f, "show", args, "$.columns[4].name", "call_name");
    expect(p, f, "show", args, "$.columns[4].value", "Cam");
    expect(p, f, "show", args, "$.columns[4].at", "2026-01-06T10:00:00.000Z");
    expect(p, f, "show", args, "$.columns[4].site", "hub");
    expect(p, f, "show", args, "$.columns[4].policy", "lww");
    expect(p, f, "show", args, "$.columns[4].contested", "0");
    expect(p, f, "show", args, "$.columns[1].site", "La Loupe");
    expect(p, f, "show", args, "$.columns[1].policy", "review");
    expect(p, f, "show", args, "$.columns[13].at",
           "null"); /* the hub's column: nobody has written it */
}

static void a_row_is_named_by_its_key_or_a_unique_beginning(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    pair_edit(p, f, 1000, INSERT_LEARNER);
    expect(p, f, "show", "{\"table\": \"learner\", \"id\": [\"" LEARNER "2\"]}",
           "$.columns[1].value", "Bernard");
    pair_refuses(p, f, WORK_QUERY, "show", "{\"table\": \"learner\", \"id\": \"0198f3a0\"}",
                 PERCHE_USAGE); /* both begin so */
    pair_refuses(p, f, WORK_QUERY, "show", "{\"table\": \"learner\", \"id\": \"019\"}",
                 PERCHE_NOT_FOUND); /* too short */
    pair_refuses(p, f, WORK_QUERY, "show", "{\"table\": \"learner\", \"id\": \"abcdef\"}",
                 PERCHE_NOT_FOUND);
    pair_refuses(p, f, WORK_QUERY, "show", "{\"table\": \"learner\", \"id\": [1, 2]}",
                 PERCHE_USAGE);
    pair_refuses(p, f, WORK_QUERY, "show", "{\"table\": \"learner\"}", PERCHE_USAGE);
    pair_refuses(p, f, WORK_QUERY, "show", "{\"table\": \"site_reader\", \"id\": \"x\"}",
                 PERCHE_USAGE); /* three values */
    pair_edit(p, f, 1000, "DELETE FROM learner WHERE call_name = 'Dominique'");
    pair_refuses(p, f, WORK_QUERY, "show", "{\"table\": \"learner\", \"id\": \"0198f3a0\"}",
                 PERCHE_USAGE); /* the dead count */
    expect(p, f, "show", "{\"table\": \"learner\", \"id\": \"" LEARNER "2\"}", "$.deleted", "1");
    /* a key that is no UUID */
    pair_edit(
        p, p->hub, 1000,
        "INSERT INTO indicator_definition (id, base_date, milestone, denominator, rounding) VALUES ('REGION_POS', 'EXIT', 'W4', 'ALL_LEAVERS', 'NONE')");
    expect(p, p->hub, "show", "{\"table\": \"indicator_definition\", \"id\": \"REGI\"}", "$.key[0]",
           "REGION_POS");
    expect(p, p->hub, "show", "{\"table\": \"indicator_definition\", \"id\": \"REGI\"}",
           "$.scope[0]", "*");
    expect(p, p->hub, "show", "{\"table\": \"indicator_definition\", \"id\": \"REGI\"}", "$.label",
           "indicator REGION_POS");
}

static void a_history_tells_who_changed_what_where_and_when_newest_last(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *args = "{\"table\": \"learner\", \"id\": \"" LEARNER "1\"}";
    char *json;

    p->now = FIXTURE_NOW + 24 * 3600000;
    pair_edit(p, f, 0, INSERT_LEARNER);
    pair_sync(p, f);
    pair_edit(p, p->hub, 1000, "UPDATE learner SET call_name = 'Cam' WHERE id = '" LEARNER "1'");
    pair_sync(p, f);
    pair_edit(p, f, 1000, "UPDATE learner SET call_name = 'Mimi' WHERE id = '" LEARNER "1'");
    pair_edit(p, f, 1000, "DELETE FROM learner WHERE id = '" LEARNER "1'");
    json = pair_query(p, f, "history", args);
    assert_string_equal(json_at(json, "$.entries[0].kind"), "insert");
    assert_string_equal(json_at(json, "$.entries[0].column"), "null");
    assert_string_equal(json_at(json, "$.entries[0].at"), "2026-01-06T10:00:00.000Z");
    assert_string_equal(json_at(json, "$.entries[0].site"), "La Loupe");
    assert_string_equal(json_at(json, "$.entries[1].kind"), "insert");
    assert_string_equal(json_at(json, "$.entries[#-1].kind"), "delete");
    assert_string_equal(json_at(json, "$.entries[#-1].column"), "null");
    assert_string_equal(json_at(json, "$.entries[#-2].kind"), "edit");
    assert_string_equal(json_at(json, "$.entries[#-2].column"), "call_name");
    assert_string_equal(json_at(json, "$.entries[#-2].value"), "Mimi");
    assert_string_equal(json_at(json, "$.entries[#-2].site"), "La Loupe");
    assert_string_equal(json_at(json, "$.entries[#-3].value"), "Cam");
    assert_string_equal(json_at(json, "$.entries[#-3].site"), "hub");
    assert_string_equal(json_at(json, "$.entries[#-3].via"), "hub");
    assert_string_equal(json_at(json, "$.entries[#-2].via"), "null");
    assert_string_equal(json_at(json, "$.more"), "0");
    free(json);
}

static void a_history_has_the_values_that_lost_and_the_decision(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *args = "{\"table\": \"learner\", \"id\": \"" LEARNER "1\"}";
    char resolve[200], *json;
    int kinds[5] = {0};

    pair_edit(p, f, 1000, INSERT_LEARNER);
    pair_sync(p, f);
    pair_edit(p, p->hub, 1000,
              "UPDATE learner SET birth_family_name = 'Durand' WHERE id = '" LEARNER "1'");
    pair_edit(p, f, 1000,
              "UPDATE learner SET birth_family_name = 'Duval' WHERE id = '" LEARNER "1'");
    pair_sync(p, f);
    expect(p, f, "show", args, "$.columns[1].contested", "1");
    p->now += 1000;
    snprintf(resolve, sizeof resolve, "{\"id\": \"%s\", \"value\": \"Dumas\"}",
             asked(p->hub->program, "SELECT id FROM perche_conflict"));
    free(pair_command(p, p->hub, "resolve", resolve));
    pair_sync(p, f);
    for (int i = 0; i < 2; i++) {
        struct fixture *at = i == 0 ? p->hub : f;

        memset(kinds, 0, sizeof kinds);
        json = pair_query(p, at, "history", args);
        for (int e = 0; e < 40; e++) {
            char path[64];
            const char *value;

            snprintf(path, sizeof path, "$.entries[%d].column", e);
            if (strcmp(json_at(json, path), "birth_family_name") != 0)
                continue;
            snprintf(path, sizeof path, "$.entries[%d].value", e);
            value = json_at(json, path);
            snprintf(path, sizeof path, "$.entries[%d].kind", e);
            kinds[0] += strcmp(value, "Martin") == 0 && strcmp(json_at(json, path), "insert") == 0;
            kinds[1] +=
                strcmp(value, "Durand") == 0 && strcmp(json_at(json, path), "conflict") == 0;
            kinds[2] += strcmp(value, "Duval") == 0 && strcmp(json_at(json, path), "edit") == 0;
            kinds[3] += strcmp(value, "Dumas") == 0 && strcmp(json_at(json, path), "resolve") == 0;
            kinds[4]++;
        }
        assert_int_equal(kinds[4], 4);
        for (int k = 0; k < 4; k++)
            assert_int_equal(kinds[k], 1);
        free(json);
    }
}

static void the_queue_shows_a_contested_cell_once(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    char args[100], id[64];

    pair_edit(p, f, 1000, INSERT_LEARNER);
    pair_sync(p, f);
    for (int i = 0; i < 2; i++) {
        pair_edit(p, p->hub, 1000,
                  i == 0 ? "UPDATE learner SET birth_family_name = 'Durand'"
                         : "UPDATE learner SET birth_family_name = 'Dupont'");
        pair_edit(p, f, 1000,
                  i == 0 ? "UPDATE learner SET birth_family_name = 'Duval'"
                         : "UPDATE learner SET birth_family_name = 'Duchamp'");
        pair_sync(p, f);
    }
    pair_edit(p, p->hub, 1000, "UPDATE learner SET call_name = 'x' WHERE id = '" LEARNER "1'");
    pair_edit(p, f, 1000, "UPDATE learner SET call_name = 'y' WHERE id = '" LEARNER "1'");
    pair_sync(p, f);
    expect(p, f, "conflicts", "{}", "$.conflicts[1].row[0]", LEARNER "2");
    expect(p, f, "conflicts", "{}", "$.conflicts[2]", "null");
    expect(p, f, "conflicts", "{}", "$.conflicts[0].table", "learner");
    expect(p, f, "conflicts", "{\"table\": \"learner\"}", "$.conflicts[1].row[0]", LEARNER "2");
    expect(p, f, "conflicts", "{\"table\": \"cohort\"}", "$.conflicts[0]", "null");
    pair_refuses(p, f, WORK_QUERY, "conflicts", "{\"table\": \"nonsense\"}", PERCHE_NOT_FOUND);
    pair_refuses(p, f, WORK_QUERY, "held", "{\"id\": \"x\"}", PERCHE_USAGE);
    pair_refuses(p, f, WORK_QUERY, "conflicts", "{\"all\": \"yes\"}", PERCHE_USAGE);
    expect(p, f, "conflicts", "{}", "$.conflicts[0].column", "birth_family_name");
    expect(p, f, "conflicts", "{}", "$.conflicts[0].kind", "review");
    expect(p, f, "conflicts", "{}", "$.conflicts[0].state", "open");
    expect(p, f, "conflicts", "{}", "$.conflicts[0].label", "y Duchamp");
    expect(p, f, "conflicts", "{}", "$.conflicts[0].a.value",
           "Dupont"); /* the newest question of the cell */
    expect(p, f, "conflicts", "{}", "$.conflicts[0].a.site", "hub");
    expect(p, f, "conflicts", "{}", "$.conflicts[0].b.site", "La Loupe");
    expect(p, f, "conflicts", "{}", "$.conflicts[0].open", "2");
    expect(p, f, "conflicts", "{}", "$.conflicts[0].resolved", "null");
    expect(p, f, "conflicts", "{\"all\": true}", "$.conflicts[4].kind", "lww");
    expect(p, f, "conflicts", "{\"all\": true}", "$.conflicts[4].resolved.reason", "latest");
    expect(p, f, "conflicts", "{\"all\": true}", "$.conflicts[4].resolved.value", "y");
    snprintf(id, sizeof id, "%s",
             asked(f->program, "SELECT id FROM perche_conflict WHERE kind = 'lww'"));
    snprintf(args, sizeof args, "{\"id\": \"%.10s\"}", id);
    expect(p, f, "conflict", args, "$.conflict.id", id);
    pair_refuses(p, f, WORK_QUERY, "conflict", "{\"id\": \"zzzzz\"}", PERCHE_NOT_FOUND);
    pair_refuses(p, f, WORK_QUERY, "conflict", "{\"id\": \"abc\"}", PERCHE_USAGE);
}

static void verify_finds_what_was_changed_past_the_triggers(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *learner = "{\"table\": \"learner\"}";

    pair_edit(p, f, 1000, INSERT_LEARNER);
    expect(p, f, "verify", "{}", "$.equal", "1");
    expect(p, f, "verify", learner, "$.tables[0].table", "learner");
    expect(p, f, "verify", learner, "$.tables[0].rows", "2");
    expect(p, f, "verify", learner, "$.tables[0].differs", "0");
    expect(p, f, "verify", learner, "$.tables[1]", "null");
    expect(p, f, "verify", learner, "$.captured", "0");
    program(
        f,
        "UPDATE perche_flag SET applying = 1; UPDATE learner SET call_name = 'x' WHERE id = '" LEARNER
        "1'; UPDATE perche_flag SET applying = 0");
    expect(p, f, "verify", "{}", "$.equal", "0");
    expect(p, f, "verify", learner, "$.tables[0].differs", "1");
    program(f, "UPDATE perche_flag SET applying = 1; DELETE FROM learner WHERE id = '" LEARNER
               "2'; UPDATE perche_flag SET applying = 0");
    expect(p, f, "verify", learner, "$.tables[0].differs", "2");
    expect(p, f, "verify", learner, "$.tables[0].rows", "1");
    expect(p, f, "verify", learner, "$.tables[0].sums_differ",
           "0"); /* the sums are still those of the row digests */
    program(
        f,
        "UPDATE perche_flag SET applying = 1; INSERT INTO learner (id, home_site_id) VALUES ('" LEARNER
        "7', 'x'); UPDATE perche_flag SET applying = 0");
    expect(p, f, "verify", learner, "$.tables[0].differs", "3");
}

static void verify_finds_damaged_sums(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *learner = "{\"table\": \"learner\"}";
    const char *mine = "tab = (SELECT num FROM perche_tab WHERE name = 'learner')";
    char sql[300];

    pair_edit(p, f, 1000, INSERT_LEARNER);
    snprintf(sql, sizeof sql, "UPDATE perche_digest SET rows = rows + 1 WHERE %s", mine);
    program(f, sql);
    expect(p, f, "verify", learner, "$.equal", "0");
    expect(p, f, "verify", learner, "$.tables[0].differs", "0");
    expect(p, f, "verify", learner, "$.tables[0].sums_differ", "1");
    snprintf(sql, sizeof sql,
             "UPDATE perche_digest SET rows = rows - 1, sums = zeroblob(4096) WHERE %s", mine);
    program(f, sql);
    expect(p, f, "verify", learner, "$.tables[0].sums_differ", "1");
    snprintf(sql, sizeof sql, "DELETE FROM perche_digest WHERE %s", mine);
    program(f, sql);
    expect(p, f, "verify", learner, "$.tables[0].sums_differ", "1");
}

static bool warns(struct pair *p, struct fixture *f, const char *reason, const char *table)
{
    char *json = pair_query(p, f, "warnings", "{}"), path[64];
    bool found = false;

    for (int i = 0; i < 30 && !found; i++) {
        snprintf(path, sizeof path, "$.warnings[%d].reason", i);
        found = strcmp(json_at(json, path), reason) == 0;
        snprintf(path, sizeof path, "$.warnings[%d].table", i);
        found = found && strcmp(json_at(json, path), table) == 0;
    }
    free(json);
    return found;
}

static void warnings_name_what_a_person_should_look_at(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->hub;

    assert_false(warns(p, f, "shared", "learner"));
    assert_false(warns(p, f, "orphan", "enrolment"));
    pair_edit(p, f, 1000,
              "INSERT INTO learner (id, home_site_id, ine) SELECT '" LEARNER
              "1', id, '1' FROM site WHERE code = 'HUB';"
              "INSERT INTO learner (id, home_site_id, ine) SELECT '" LEARNER
              "2', id, '1' FROM site WHERE code = 'HUB'");
    assert_true(warns(p, f, "shared", "learner"));
    program(f, "UPDATE learner SET ine = NULL");
    assert_false(warns(p, f, "shared", "learner")); /* an absent value is shared by nobody */
    program(f, "UPDATE learner SET ine = ''");
    assert_false(warns(p, f, "shared", "learner"));
    program(
        f,
        "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end) VALUES ('e', '" LEARNER
        "1', 'none', 's', 'x', 'y')");
    assert_true(warns(p, f, "orphan", "enrolment"));
    program(
        f,
        "INSERT INTO code_list (list, code, label_fr) VALUES ('sex', 'F', 'femme'); UPDATE learner SET sex = 'Q'");
    assert_true(warns(p, f, "invalid", "learner"));
    program(
        f,
        "INSERT INTO perche_parked (tab, key, via, reason, at_ms, body) VALUES ('later', x'00', 1, 'table', 1, x'00')");
    assert_true(warns(p, f, "parked", "later"));
    program(
        f,
        "INSERT INTO perche_refused (at_ms, tab, key, columns, reason) VALUES (1, 'learner', 'k', '', 'scope')");
    assert_true(warns(p, f, "refused", "learner"));
    expect(p, f, "refused", "{}", "$.refused[0].reason", "scope");
}

static void the_hub_tells_how_far_each_site_is(void **state)
{
    struct pair *p = *state;
    char *json;

    pair_sync(p, p->sites[0]);
    pair_sync(p, p->sites[1]);
    pair_edit(p, p->hub, 1000, "UPDATE network SET name = 'Perche'");
    json = pair_query(p, p->hub, "members", "{}");
    assert_string_equal(json_at(json, "$.members[0].name"), "Chartres");
    assert_string_equal(json_at(json, "$.members[0].code"), "CHARTRES");
    assert_string_equal(json_at(json, "$.members[1].site"), replica_site_id(p->sites[0]->r));
    assert_string_equal(json_at(json, "$.members[1].revoked"), "null");
    assert_string_not_equal(json_at(json, "$.members[1].joined"), "null");
    assert_string_equal(json_at(json, "$.members[1].behind"), "1");
    assert_string_equal(json_at(json, "$.members[1].invited"), "0");
    free(json);
    json = pair_query(p, p->hub, "sites", "{}");
    assert_string_equal(json_at(json, "$.sites[1].id"), replica_site_id(p->sites[0]->r));
    assert_string_equal(json_at(json, "$.sites[1].pending"), "0");
    assert_string_equal(json_at(json, "$.sites[1].state"), "offline");
    free(json);
    pair_refuses(p, p->sites[0], WORK_QUERY, "members", "{}", PERCHE_STATE);
}

/* What a list cannot show at once does not hide that there is more. */
static void what_was_refused_ends_at_the_limit_and_says_so(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    program(f, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)"
               " INSERT INTO perche_refused (at_ms, tab, key, columns, reason, image) SELECT i, 'learner', 'k', '', 'scope', i FROM n");
    expect(p, f, "refused", "{}", "$.refused[0].image", "1001");
    expect(p, f, "refused", "{}", "$.refused[999].image", "2");
    expect(p, f, "refused", "{}", "$.refused[1000]", "null");
    expect(p, f, "refused", "{}", "$.more", "1");
    expect(p, f, "refused", "{\"limit\": 1001}", "$.refused[1000].image", "1");
    expect(p, f, "refused", "{\"limit\": 1001}", "$.more", "0");
}

/* One value of any size keeps nobody from seeing the others, and says how large it is. */
static void a_value_without_room_is_told_by_its_size(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *first = "{\"table\": \"learner\", \"id\": \"" LEARNER "1\"}";
    char *json;

    program(f, "INSERT INTO perche_refused (at_ms, tab, key, columns, reason, image) VALUES (1, 'learner', 'a', '', 'scope', 'small'),"
               " (2, 'learner', 'b', '', 'scope', printf('%.*c', 24000000, 'x')), (3, 'learner', 'c', '', 'scope', printf('%.*c', 14000000, 'x'))");
    json = pair_query(p, f, "refused", "{}");
    assert_true(strlen(json) > 14000000 && *json_at(json, "$.refused[0].image") == 'x');
    assert_string_equal(json_at(json, "$.refused[1].image"), "null");
    assert_string_equal(json_at(json, "$.refused[1].image_bytes"), "24000000");
    assert_string_equal(json_at(json, "$.refused[2].image"), "small");
    free(json);
    pair_edit(p, f, 1000, INSERT_LEARNER);
    for (int i = 0; i < 4; i++) {
        char text[200];

        snprintf(text, sizeof text, "UPDATE learner SET birth_family_name = '%d' || printf('%%.*c', 3999999, char(10)), call_name = '%d' WHERE id LIKE '%%1'", i, i);
        pair_edit(p, f, 1000, text); /* each line break takes two bytes */
    }
    json = pair_query(p, f, "history", first); /* room for one: the newest */
    assert_string_equal(json_at(json, "$.more"), "1");
    assert_string_equal(json_at(json, "$.entries[#-1].value"), "3");
    assert_int_equal(*json_at(json, "$.entries[#-2].value"), '3');
    assert_true(strlen(json) > 8000000 && strlen(json) < 8100000); /* nor does what people call the row have all of it */
    free(json);
}

/* Another program's Latin-1, also in what stands as JSON in the file. */
static void a_key_that_is_no_utf8_makes_no_answer_unreadable(void **state)
{
    struct json j = {0};

    (void)state;
    out_open(&j, '[');
    out_raw(&j, "[\"Sal\xe9\",\"\xc3\xa9\",\"\xe9\"]");
    out_raw(&j, "");
    out_close(&j, ']');
    assert_string_equal(j.p, "[[\"Sal\xef\xbf\xbd\",\"\xc3\xa9\",\"\xef\xbf\xbd\"],]");
    out_free(&j);
}

static void the_size_of_a_value_in_a_document_is_known_before(void **state)
{
    static const char *const texts[] = {"", "plain", "\"\\\n\x01\x7f", "\xc3\xa9 \xff \xc3", "\xed\xa0\x80"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct perche_value v = {.type = PERCHE_TEXT, .n = (uint32_t)strlen(texts[i]), .p = (const uint8_t *)texts[i]};
        struct json j = {0};

        for (int blob = 0; blob < 2; blob++) {
            out_free(&j);
            v.type = blob ? PERCHE_BLOB : PERCHE_TEXT;
            out_value(&j, &v);
            assert_int_equal(out_size(&v), j.n);
        }
        out_free(&j);
    }
}

static void the_conflicts_of_one_record_are_asked_for(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    pair_edit(p, f, 1000, INSERT_LEARNER);
    pair_sync(p, f);
    pair_edit(p, p->hub, 1000, "UPDATE learner SET birth_family_name = 'Durand'");
    pair_edit(p, f, 1000, "UPDATE learner SET birth_family_name = 'Duval'");
    pair_sync(p, f);
    expect(p, f, "conflicts", "{\"table\": \"learner\"}", "$.conflicts[1].table", "learner");
    for (int i = 1; i <= 2; i++) {
        static const char *const args[] = {"{\"table\": \"learner\", \"row\": \"" LEARNER "1\"}", "{\"table\": \"learner\", \"row\": [\"" LEARNER "2\"]}"};

        expect(p, f, "conflicts", args[i - 1], "$.conflicts[0].row[0]", i == 1 ? LEARNER "1" : LEARNER "2");
        expect(p, f, "conflicts", args[i - 1], "$.conflicts[1]", "null");
    }
    pair_refuses(p, f, WORK_QUERY, "conflicts", "{\"table\": \"learner\", \"row\": \"0198f3a0\"}", PERCHE_USAGE); /* of both the beginning */
    pair_refuses(p, f, WORK_QUERY, "conflicts", "{\"row\": \"" LEARNER "1\"}", PERCHE_USAGE);
    pair_refuses(p, f, WORK_QUERY, "conflicts", "{\"table\": \"learner\", \"row\": \"xyzxyz\"}", PERCHE_NOT_FOUND);
}

/* However many sites and rows there are, the answer comes. */
static void rows_that_wait_are_counted_up_to_a_bound(void **state)
{
    struct pair *p = *state;
    char *json;

    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    json = pair_query(p, p->hub, "sites", "{}");
    assert_string_equal(json_at(json, "$.sites[1].behind"), "0");
    assert_string_equal(json_at(json, "$.sites[1].conflicts_open"), "0");
    free(json);
    program(p->hub, "UPDATE perche_flag SET applying = 1; INSERT INTO perche_conflict (id, tab, key, col, kind, a_site, b_site, state)"
                    " SELECT 'c' || n, 'learner', '[]', 'x', 'review', iif(n < 3, site, 'x'), iif(n > 1, site, 'y'), iif(n < 4, 'open', 'moot')"
                    " FROM perche_member, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) WHERE name = 'La Loupe'; UPDATE perche_flag SET applying = 0");
    json = pair_query(p, p->hub, "sites", "{}");
    assert_string_equal(json_at(json, "$.sites[1].conflicts_open"), "3");
    assert_string_equal(json_at(json, "$.sites[0].conflicts_open"), "0");
    free(json);
    json = pair_query(p, p->hub, "sites_count", "{}");
    assert_string_equal(json_at(json, "$.sites"), asked(p->hub->program, "SELECT count(*) FROM perche_member"));
    free(json);
}

static void state_and_tables_are_told(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    char *json;

    pair_edit(p, f, 1000, INSERT_LEARNER);
    expect(p, f, "state", "{}", "$.role", "site");
    expect(p, f, "state", "{}", "$.pending", "2");
    expect(p, f, "state", "{}", "$.id", replica_site_id(f->r));
    expect(p, f, "state", "{}", "$.hub", replica_site_id(p->hub->r));
    json = pair_query(p, f, "state", "{}");
    assert_non_null(strstr(json, "\"epoch\":\"")); /* a text: it has more digits than a double */
    free(json);
    json = pair_query(p, f, "tables", "{}");
    assert_null(strstr(json, "perche_conflict"));
    assert_non_null(
        strstr(json, "{\"table\":\"learner\",\"rows\":2,\"present\":true,\"school\":true,"));
    assert_non_null(strstr(
        json,
        "{\"name\":\"sex\",\"key\":false,\"policy\":\"review\",\"level\":\"P1\",\"on_erase\":\"null\",\"code_list\":\"sex\""));
    free(json);
}

static void any_value_makes_a_valid_document(void **state)
{
    struct json j = {0};

    (void)state;
    out_open(&j, '[');
    out_text_n(&j, "a\"b\\c\n\x01\x7f", 8);
    out_text_n(&j, "\xc3\xa9 \xff \xc3", 6); /* e with an accent, then what is no UTF-8 */
    out_text_n(&j, "\xed\xa0\x80", 3);       /* a lone surrogate */
    out_value(&j, &(struct perche_value){.type = PERCHE_REAL, .r = 1e300 * 1e10});
    out_value(&j, &(struct perche_value){.type = PERCHE_REAL, .r = 0.1});
    out_value(&j, &(struct perche_value){.type = PERCHE_REAL, .r = 3});
    out_value(&j, &(struct perche_value){.type = PERCHE_INTEGER, .i = INT64_MIN});
    out_value(
        &j, &(struct perche_value){.type = PERCHE_BLOB, .n = 2, .p = (const uint8_t *)"\x01\xfe"});
    out_time(&j, 1);
    out_time(&j, 0);
    out_close(&j, ']');
    assert_false(j.failed);
    assert_string_equal(
        j.p,
        "[\"a\\\"b\\\\c\\n\\u0001\\u007f\",\"\xc3\xa9 \xef\xbf\xbd \xef\xbf\xbd\",\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
        "null,0.1,3.0,-9223372036854775808,\"01fe\",\"1970-01-01T00:00:00.001Z\",null]");
    out_free(&j);
    while (!out_full(&j))
        out_text_n(&j, "0123456789", 10);
    assert_false(j.failed);
    while (!j.failed)
        out_text_n(&j, "0123456789", 10);
    assert_true(j.n <= JSON_BYTES_MAX);
    out_free(&j);
}

/* No DELETE trigger fires for the victim: that index was added past `perche replicate`, which refuses such a table. */
static void a_row_that_a_replace_took_out_unseen_is_found(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *learner = "{\"table\": \"learner\"}";

    pair_edit(p, f, 1000, INSERT_LEARNER);
    pair_edit(p, f, 1000, "UPDATE learner SET ine = substr(id, -1)");
    assert_false(warns(p, f, "unique", "learner"));
    program(f, "CREATE UNIQUE INDEX own ON learner (ine)");
    assert_true(warns(p, f, "unique", "learner"));
    pair_edit(p, f, 1000,
              "REPLACE INTO learner (id, home_site_id, ine) SELECT '" LEARNER
              "9', site_id, '2' FROM perche_self");
    program_says(f, "SELECT group_concat(substr(id, -1)) FROM learner", "1,9");
    expect(p, f, "verify", learner, "$.equal", "0");
    expect(p, f, "verify", learner, "$.tables[0].differs", "1");
    expect(p, f, "warnings", "{}", "$.warnings[0].reason", "unique");
    expect(p, f, "warnings", "{}", "$.warnings[0].table", "learner");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(a_list_has_the_rows_in_order_of_their_key_and_says_when_there_are_more),
        T(a_page_begins_behind_the_last_key_whatever_was_written_meanwhile),
        T(a_page_goes_on_from_a_key_of_the_table_and_from_nothing_else),
        T(a_condition_reads_and_does_nothing_else),
        T(a_row_is_shown_with_where_each_value_came_from),
        T(a_row_is_named_by_its_key_or_a_unique_beginning),
        T(a_history_tells_who_changed_what_where_and_when_newest_last),
        T(a_history_has_the_values_that_lost_and_the_decision),
        T(the_queue_shows_a_contested_cell_once),
        T(verify_finds_what_was_changed_past_the_triggers),
        T(verify_finds_damaged_sums),
        T(warnings_name_what_a_person_should_look_at),
        T(the_hub_tells_how_far_each_site_is),
        T(state_and_tables_are_told),
        cmocka_unit_test(any_value_makes_a_valid_document),
        T(a_row_that_a_replace_took_out_unseen_is_found),
        T(what_was_refused_ends_at_the_limit_and_says_so),
        T(a_value_without_room_is_told_by_its_size),
        T(the_conflicts_of_one_record_are_asked_for),
        T(rows_that_wait_are_counted_up_to_a_bound),
        cmocka_unit_test(a_key_that_is_no_utf8_makes_no_answer_unreadable),
        cmocka_unit_test(the_size_of_a_value_in_a_document_is_known_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
