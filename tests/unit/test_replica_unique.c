/* Values that are declared unique, used twice: nobody loses his row, both are asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replica_pair.h"

#define COHORT "01487832-4000-7000-8003-000000000001"

static void two_learners_with_one_number_both_stay_and_raise_a_question_each(void **state)
{
    struct pair *p = *state;

    pair_edit(p, p->sites[0], 1000, "INSERT INTO learner (home_site_id, call_name, ine) SELECT site_id, 'Ana', 'N1' FROM perche_self");
    pair_edit(p, p->sites[1], 1000, "INSERT INTO learner (home_site_id, call_name, ine) SELECT site_id, 'Bea', 'N1' FROM perche_self");
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    program_says(p->hub, "SELECT count(*) FROM learner", "2");
    program_says(p->hub, "SELECT group_concat(kind || ' ' || state || ' ' || col) FROM perche_conflict", "unique open ine,unique open ine");
    program_says(p->sites[0], "SELECT count(*) FROM perche_conflict", "1");
    program_says(p->sites[1], "SELECT count(*) FROM perche_conflict", "1");
    /* a school hears that the number is used elsewhere, not by whom */
    program_says(p->sites[0], "SELECT count(*) FROM perche_conflict c JOIN learner l ON c.key = json_array(l.id)", "1");
}

static void the_same_half_day_twice_is_a_question_and_a_different_one_is_none(void **state)
{
    struct pair *p = *state;

    pair_edit(p, p->sites[0], 1000,
              "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
              " SELECT '" COHORT "', site_id, 't', 'P1', '2014-10-06', '2015-04-30', 30, 'ON_SITE', 'RUNNING' FROM perche_self");
    pair_edit(p, p->sites[0], 1000,
              "INSERT INTO half_day (cohort_id, day, half, mode) VALUES ('" COHORT "', '2014-10-06', 'AM', 'ON_SITE'),"
              " ('" COHORT "', '2014-10-06', 'PM', 'ON_SITE')");
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT count(*) FROM perche_conflict", "0");
    pair_edit(p, p->sites[0], 1000, "INSERT INTO half_day (cohort_id, day, half, mode) VALUES ('" COHORT "', '2014-10-06', 'AM', 'DISTANCE')");
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT count(*) || ' ' || min(col) FROM perche_conflict WHERE state = 'open'", "2 cohort_id,day,half");
    program_says(p->hub, "SELECT count(*) FROM half_day", "3");
}

static void a_value_that_is_not_known_is_not_used_twice(void **state)
{
    struct pair *p = *state;

    pair_edit(p, p->sites[0], 1000, "INSERT INTO learner (home_site_id, call_name) SELECT site_id, 'Ana' FROM perche_self");
    pair_edit(p, p->sites[0], 1000, "INSERT INTO learner (home_site_id, call_name) SELECT site_id, 'Bea' FROM perche_self");
    pair_edit(p, p->sites[0], 1000, "INSERT INTO learner (home_site_id, call_name, ine) SELECT site_id, value, '' FROM perche_self, json_each('[\"Cam\", \"Dan\"]')"); /* a form's */
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT count(*) FROM perche_conflict", "0");
    pair_edit(p, p->sites[0], 1000, "UPDATE learner SET ine = 'N1'");
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT count(*) FROM perche_conflict WHERE state = 'open'", "12");
    pair_edit(p, p->sites[0], 1000, "UPDATE learner SET ine = ''");
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT count(*) FROM perche_conflict WHERE state = 'open'", "0");
}

static void the_hubs_own_rows_are_looked_at_too(void **state)
{
    struct pair *p = *state;

    pair_edit(p, p->hub, 1000, "INSERT INTO organisation (name, siret) VALUES ('A', '12345678900011'), ('B', '12345678900011')");
    harvest_here(p, p->hub);
    program_says(p->hub, "SELECT count(*) FROM perche_conflict WHERE kind = 'unique' AND state = 'open'", "2");
}

/* The other record's side of the question has no value: nobody wrote an empty one here. */
static void the_history_names_no_empty_value_for_the_other_record(void **state)
{
    struct pair *p = *state;
    char args[200], *json;
    int sirets = 0;

    the_hubs_own_rows_are_looked_at_too(state);
    snprintf(args, sizeof args, "{\"table\": \"organisation\", \"id\": \"%s\"}", asked(p->hub->program, "SELECT id FROM organisation WHERE name = 'A'"));
    json = pair_query(p, p->hub, "history", args);
    for (int i = 0; i < 8; i++) { /* of siret there is one value, whatever the order */
        snprintf(args, sizeof args, "$.entries[%d].column", i);
        if (strcmp(json_at(json, args), "siret") != 0)
            continue;
        sirets++;
        snprintf(args, sizeof args, "$.entries[%d].value", i);
        assert_string_equal(json_at(json, args), "12345678900011");
    }
    assert_int_equal(sirets, 1);
    free(json);
}

/* A question that is found among a hub's own rows is written by the hub itself, whatever triggers are on: the table of questions
 * takes nothing from a program, and no harvest may fail for that. */
static void own_rows_are_looked_at_where_triggers_are_on(void **state)
{
    struct pair *p = *state;

    fixture_close(p->hub);
    fixture_open(p->hub); /* a start: nothing was applied yet */
    pair_edit(p, p->hub, 1000, "INSERT INTO organisation (name, siret) VALUES ('A', '1'), ('B', '1')");
    program_says(p->hub, "SELECT count(*) FROM perche_conflict", "2");
    program(p->hub, "CREATE TABLE seen (id); CREATE TRIGGER own AFTER INSERT ON organisation BEGIN INSERT INTO seen VALUES (NEW.id); END");
    pair_edit(p, p->hub, 1000, "INSERT INTO organisation (name, siret) VALUES ('C', '2'), ('D', '2')"); /* and this keeps them on */
    program_says(p->hub, "SELECT count(*) FROM perche_conflict", "4");
    program(p->hub, "INSERT INTO network (id, name) VALUES ('n9', 'x')");
    program_says(p->hub, "SELECT count(*) FROM perche_capture", "1"); /* what programs write is captured as before */
}

/* Else each row that is written costs a walk through its table. */
static void whoever_has_a_value_is_found_by_an_index(void **state)
{
    struct pair *p = *state;
    sqlite3_stmt *sets;
    int count = 0;

    pair_edit(p, p->hub, 1000, "INSERT INTO network (id, name) VALUES ('n8', 'x')"); /* made by whatever writes first */
    assert_int_equal(sqlite3_prepare_v2(p->hub->program, "SELECT tab, substr(cols, 1, instr(cols || ',', ',') - 1) FROM perche_unique", -1, &sets, NULL), SQLITE_OK);
    for (; sqlite3_step(sets) == SQLITE_ROW; count++) {
        char text[300];
        sqlite3_stmt *s;

        snprintf(text, sizeof text, "EXPLAIN QUERY PLAN SELECT 1 FROM %s WHERE %s = ?1", sqlite3_column_text(sets, 0), sqlite3_column_text(sets, 1));
        assert_int_equal(sqlite3_prepare_v2(p->hub->program, text, -1, &s, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        assert_non_null(strstr((const char *)sqlite3_column_text(s, 3), "INDEX perche_"));
        sqlite3_finalize(s);
    }
    sqlite3_finalize(sets);
    assert_true(count > 3);
}

#define STATES "SELECT group_concat(state || ' ' || coalesce(reason, '-'), ',') FROM (SELECT state, reason FROM perche_conflict ORDER BY key, id)"

/* Two learners of two schools with one number; both know their question. */
static void used_twice(struct pair *p)
{
    pair_edit(p, p->sites[0], 1000, "INSERT INTO learner (id, home_site_id, call_name, ine) SELECT '01487832-4000-7000-8001-000000000001', site_id, 'Ana', 'N1' FROM perche_self");
    pair_edit(p, p->sites[1], 1000, "INSERT INTO learner (id, home_site_id, call_name, ine) SELECT '01487832-4000-7000-8001-000000000002', site_id, 'Bea', 'N1' FROM perche_self");
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    for (int i = 0; i < 2; i++)
        program_says(p->sites[i], "SELECT count(*) FROM perche_conflict WHERE state = 'open'", "1");
}

/* Everybody has heard that nobody has to decide, and all are equal. */
static void none_open(struct pair *p)
{
    uint32_t level;
    uint64_t repaired;

    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    program_says(p->hub, STATES, "moot no longer used twice,moot no longer used twice");
    for (int i = 0; i < 2; i++) {
        program_says(p->sites[i], STATES, "moot no longer used twice");
        program_says(p->sites[i], "SELECT count(*) FROM perche_contested", "0");
        assert_int_equal(pair_compare(p, p->sites[i], &level, &repaired), PERCHE_EQUAL);
    }
}

static void both_questions_close_when_a_school_changes_its_value(void **state)
{
    struct pair *p = *state;

    used_twice(p);
    pair_edit(p, p->sites[0], 1000, "UPDATE learner SET ine = 'N2'");
    none_open(p);
}

static void both_questions_close_when_the_hub_changes_one_value(void **state)
{
    struct pair *p = *state;

    used_twice(p);
    pair_edit(p, p->hub, 1000, "UPDATE learner SET ine = NULL WHERE call_name = 'Bea'");
    none_open(p);
}

static void both_questions_close_when_one_row_is_deleted(void **state)
{
    struct pair *p = *state;

    used_twice(p);
    pair_edit(p, p->sites[1], 1000, "DELETE FROM learner");
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    program_says(p->hub, STATES, "moot no longer used twice,moot no longer used twice");
    program_says(p->sites[0], STATES, "moot no longer used twice");
}

static void other_edits_of_the_row_leave_the_questions_open(void **state)
{
    struct pair *p = *state;

    used_twice(p);
    pair_edit(p, p->sites[0], 1000, "UPDATE learner SET call_name = 'Anna', ine = 'N1'");
    pair_edit(p, p->hub, 1000, "UPDATE learner SET call_name = 'Bé' WHERE call_name = 'Bea'");
    pair_sync(p, p->sites[0]);
    program_says(p->hub, STATES, "open -,open -");
}

/* The value stays where a person has said, and goes from the other row in the same transaction. */
static void deciding_for_a_rows_own_value_takes_it_from_the_other(void **state)
{
    struct pair *p = *state;
    uint32_t level;
    uint64_t repaired;
    char *json;

    used_twice(p);
    json = pair_command(p, p->hub, "resolve", asked(p->hub->program, "SELECT json_object('id', id, 'take', iif(a_value IS NULL, 'b', 'a'), 'by', 'Ada', 'reason', 'card') FROM perche_conflict"
                                                                     " WHERE key LIKE '%000001\"]'"));
    assert_string_equal(json_at(json, "$.cleared[0].row[0]"), "01487832-4000-7000-8001-000000000002");
    assert_string_equal(json_at(json, "$.kind"), "unique");
    free(json);
    program_says(p->hub, "SELECT group_concat(call_name || ' ' || coalesce(ine, '-')) FROM (SELECT * FROM learner ORDER BY id)", "Ana N1,Bea -");
    program_says(p->hub, "SELECT group_concat(state || ' ' || resolved_by || ' ' || reason || ' ' || coalesce(value, '-')) FROM (SELECT DISTINCT key, state, resolved_by, reason, value FROM perche_conflict ORDER BY key)",
                 "resolved Ada card N1,resolved Ada card -");
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    program_says(p->sites[1], "SELECT coalesce(ine, '-') || (SELECT group_concat(DISTINCT state) FROM perche_conflict) FROM learner", "-resolved");
    for (int i = 0; i < 2; i++)
        assert_int_equal(pair_compare(p, p->sites[i], &level, &repaired), PERCHE_EQUAL);
}

/* Where both are at one school it decides as the hub would; the hub hears of value and answer, whichever it reads first. */
static void a_school_that_has_both_rows_decides_for_both(void **state)
{
    struct pair *p = *state;

    pair_edit(p, p->sites[0], 1000, "INSERT INTO learner (id, home_site_id, call_name, ine) SELECT '01487832-4000-7000-8001-00000000000' || value, site_id, 'L' || value, 'N1' FROM perche_self, json_each('[1, 2, 3]')");
    for (int i = 0; i < 2; i++)
        pair_sync(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) FROM perche_conflict WHERE state = 'open'", "6");
    free(pair_command(p, p->sites[0], "resolve", asked(p->sites[0]->program, "SELECT json_object('id', id, 'take', iif(a_value IS NULL, 'b', 'a'), 'by', 'Ada', 'reason', 'card') FROM perche_conflict"
                                                                             " WHERE key LIKE '%000002\"]' LIMIT 1")));
    program_says(p->sites[0], "SELECT group_concat(coalesce(ine, '-'), '') FROM (SELECT * FROM learner ORDER BY id)", "-N1-");
    program_says(p->sites[0], "SELECT group_concat(DISTINCT state) FROM perche_conflict", "resolved");
    for (int i = 0; i < 2; i++)
        pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT group_concat(coalesce(ine, '-'), '') FROM (SELECT * FROM learner ORDER BY id)", "-N1-");
    program_says(p->hub, "SELECT group_concat(DISTINCT state || resolved_by) FROM perche_conflict", "resolvedAda");
}

/* What a school may only read it does not empty, as the hub would put it back. As both bear the value still, both are asked again. */
static void a_school_that_reads_the_other_row_does_not_empty_it(void **state)
{
    struct pair *p = *state;
    char *json;

    used_twice(p);
    pair_edit(p, p->hub, 1000, "INSERT INTO site_reader (site_id, reader_id, area) SELECT (SELECT home_site_id FROM learner WHERE call_name = 'Bea'), home_site_id, 'placement' FROM learner WHERE call_name = 'Ana'");
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    program_says(p->sites[0], "SELECT count(*) FROM learner WHERE ine = 'N1'", "2");
    json = pair_command(p, p->sites[0], "resolve", asked(p->sites[0]->program, "SELECT json_object('id', id, 'take', iif(a_value IS NULL, 'b', 'a'), 'reason', 'card') FROM perche_conflict"
                                                                               " WHERE key LIKE (SELECT '%' || id || '%' FROM learner WHERE call_name = 'Ana')"));
    assert_string_equal(json_at(json, "$.foreign"), "1");
    assert_string_equal(json_at(json, "$.left"), "0");
    assert_string_equal(json_at(json, "$.cleared[0].row[0]"), "null");
    free(json);
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    program_says(p->hub, "SELECT group_concat(call_name || ' ' || coalesce(ine, '-')) FROM (SELECT * FROM learner ORDER BY id)", "Ana N1,Bea N1");
    program_says(p->hub, "SELECT group_concat(state) FROM (SELECT DISTINCT l.call_name, c.state FROM perche_conflict c JOIN learner l ON c.key = json_array(l.id) ORDER BY 1, 2)", "open,resolved,open");
    program_says(p->hub, "SELECT count(*) FROM perche_refused", "0");
}

/* One decision empties so many rows, and says how many others there are. */
static void a_decision_says_how_many_bear_the_value_still(void **state)
{
    struct pair *p = *state;
    char *json;

    pair_edit(p, p->sites[0], 1000, "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
                                    " INSERT INTO learner (id, home_site_id, call_name, ine) SELECT printf('01487832-4000-7000-8001-%012d', i), site_id, 'L' || i, 'N1' FROM perche_self, n");
    for (int i = 0; i < 2; i++)
        pair_sync(p, p->sites[0]);
    json = pair_command(p, p->hub, "resolve", asked(p->hub->program, "SELECT json_object('id', id, 'take', iif(a_value IS NULL, 'b', 'a'), 'reason', 'card') FROM perche_conflict"
                                                                     " WHERE key LIKE '%000000000020\"]' LIMIT 1"));
    assert_string_equal(json_at(json, "$.left"), "3");
    assert_string_equal(json_at(json, "$.foreign"), "0");
    free(json);
    program_says(p->hub, "SELECT count(*) FROM learner WHERE ine = 'N1'", "4");
    program_says(p->hub, "SELECT ine FROM learner WHERE call_name = 'L20'", "N1");
}

static void deciding_for_the_other_row_empties_this_one(void **state)
{
    struct pair *p = *state;

    used_twice(p);
    free(pair_command(p, p->sites[0], "resolve", asked(p->sites[0]->program, "SELECT json_object('id', id, 'take', iif(a_value IS NULL, 'a', 'b'), 'reason', 'card') FROM perche_conflict")));
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    program_says(p->hub, "SELECT group_concat(call_name || ' ' || coalesce(ine, '-')) FROM (SELECT * FROM learner ORDER BY id)", "Ana -,Bea N1");
    program_says(p->hub, "SELECT count(*) FROM perche_conflict WHERE state = 'open'", "0");
}

static void deciding_for_another_value_closes_the_other_rows_question_too(void **state)
{
    struct pair *p = *state;

    used_twice(p);
    free(pair_command(p, p->hub, "resolve", asked(p->hub->program, "SELECT json_object('id', id, 'value', 'N9', 'reason', 'seen') FROM perche_conflict LIMIT 1")));
    program_says(p->hub, "SELECT group_concat(state, ',') FROM (SELECT state FROM perche_conflict ORDER BY state)", "moot,resolved");
}

/* The hub sees the value before the answer. */
static void what_a_school_decides_stands_with_its_reason(void **state)
{
    struct pair *p = *state;

    used_twice(p);
    free(pair_command(p, p->sites[0], "resolve", asked(p->sites[0]->program, "SELECT json_object('id', id, 'value', 'N9', 'by', 'Ada', 'reason', 'seen') FROM perche_conflict")));
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
#define ANSWERS "SELECT group_concat(x) FROM (SELECT state || ' ' || coalesce(resolved_by, '-') || ' ' || reason AS x FROM perche_conflict ORDER BY state)"
    program_says(p->hub, ANSWERS, "moot - no longer used twice,resolved Ada seen");
    program_says(p->sites[0], ANSWERS, "resolved Ada seen");
    program_says(p->sites[1], ANSWERS, "moot - no longer used twice");
}

static void of_three_rows_with_one_value_two_are_asked_on(void **state)
{
    struct pair *p = *state;

    pair_edit(p, p->hub, 1000, "INSERT INTO organisation (name, siret) VALUES ('A', '1'), ('B', '1'), ('C', '1'), ('D', '2')");
    harvest_here(p, p->hub);
#define ASKED "SELECT group_concat(name, '') FROM (SELECT DISTINCT name FROM organisation o JOIN perche_conflict c ON c.key = json_array(o.id) WHERE state = 'open' ORDER BY name)"
    program_says(p->hub, ASKED, "ABC");
    pair_edit(p, p->hub, 1000, "UPDATE organisation SET siret = '3' WHERE name = 'A'");
    program_says(p->hub, ASKED, "BC");
    pair_edit(p, p->hub, 1000, "UPDATE organisation SET siret = '2' WHERE name = 'B'"); /* away from C, and to D */
    program_says(p->hub, ASKED, "BD");
    pair_edit(p, p->hub, 1000, "UPDATE organisation SET siret = '1' WHERE name = 'B'"); /* and back: it is asked anew */
    program_says(p->hub, ASKED, "BC");
    pair_edit(p, p->hub, 1000, "UPDATE organisation SET siret = iif(name = 'B', '4', '5') WHERE name IN ('B', 'C')"); /* both at once */
    program_says(p->hub, ASKED, "");
}

static void a_half_day_that_is_moved_is_asked_about_no_more(void **state)
{
    struct pair *p = *state;

    the_same_half_day_twice_is_a_question_and_a_different_one_is_none(state);
    pair_edit(p, p->sites[0], 1000, "UPDATE half_day SET day = '2014-10-07' WHERE mode = 'DISTANCE'");
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT group_concat(state) FROM perche_conflict", "moot,moot");
    program_says(p->sites[0], "SELECT group_concat(state) FROM perche_conflict", "moot,moot");
}

/* What a held deletion takes out of its table may come back with its value. */
static void a_row_that_is_held_keeps_the_questions_open(void **state)
{
    struct pair *p = *state;

    pair_edit(p, p->hub, 1000, "INSERT INTO organisation (id, name, siret) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
                               " SELECT printf('01487832-4000-7000-8001-%012d', i), 'O' || i, iif(i IN (1, 40), 'S', 'S' || i) FROM n");
    harvest_here(p, p->hub);
    program_says(p->hub, STATES, "open -,open -");
    pair_edit(p, p->hub, 1000, "DELETE FROM organisation WHERE name <> 'O40'");
    program_says(p->hub, "SELECT count(*) FROM perche_held", "39");
    pair_edit(p, p->hub, 1000, "UPDATE organisation SET siret = 'T'");
    program_says(p->hub, STATES, "open -,open -");
    free(pair_command(p, p->hub, "release", "{\"id\": 1}"));
    program_says(p->hub, STATES, "moot no longer used twice,moot no longer used twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_learners_with_one_number_both_stay_and_raise_a_question_each, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(the_same_half_day_twice_is_a_question_and_a_different_one_is_none, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_value_that_is_not_known_is_not_used_twice, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(whoever_has_a_value_is_found_by_an_index, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(the_hubs_own_rows_are_looked_at_too, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(the_history_names_no_empty_value_for_the_other_record, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(own_rows_are_looked_at_where_triggers_are_on, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(both_questions_close_when_a_school_changes_its_value, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(both_questions_close_when_the_hub_changes_one_value, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(both_questions_close_when_one_row_is_deleted, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(other_edits_of_the_row_leave_the_questions_open, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(deciding_for_a_rows_own_value_takes_it_from_the_other, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_school_that_has_both_rows_decides_for_both, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_school_that_reads_the_other_row_does_not_empty_it, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_decision_says_how_many_bear_the_value_still, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(deciding_for_the_other_row_empties_this_one, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(deciding_for_another_value_closes_the_other_rows_question_too, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(what_a_school_decides_stands_with_its_reason, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(of_three_rows_with_one_value_two_are_asked_on, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_half_day_that_is_moved_is_asked_about_no_more, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_row_that_is_held_keeps_the_questions_open, pair_setup, pair_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
