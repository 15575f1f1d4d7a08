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
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT count(*) FROM perche_conflict", "0");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_learners_with_one_number_both_stay_and_raise_a_question_each, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(the_same_half_day_twice_is_a_question_and_a_different_one_is_none, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_value_that_is_not_known_is_not_used_twice, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(the_hubs_own_rows_are_looked_at_too, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(the_history_names_no_empty_value_for_the_other_record, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(own_rows_are_looked_at_where_triggers_are_on, pair_setup, pair_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
