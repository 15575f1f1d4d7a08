/* What people type for a day and for a row, and whether somebody of a name is here already. */
#define FIXTURE_ALL_TABLES
#include "replica_pair.h"

#include "perche/day.h"
#include "school/called.h"
#include "school/duplicates.h"
#include "school/school.h"

#define LEARNER(n) "01980000-0005-7000-8000-00000000000" #n
#define ENROLMENT(n) "01980000-0003-7000-8000-00000000000" #n
#define wrong(...) do { print_error("ERROR: " __VA_ARGS__); print_error("\n"); _fail(__FILE__, __LINE__); } while (0)
#define P1 "01980000-0004-7000-8000-000000000001"

/* ---- a day ---- */

static void day_is(const char *text, const char *wanted, size_t bytes)
{
    char day[PERCHE_DAY_BYTES] = "-";
    size_t n = perche_day_read(text, day);

    if (n != bytes || strcmp(day, wanted) != 0)
        wrong("\"%s\": %zu bytes, %s", text, n, day);
}

static void a_day_is_read_as_the_french_and_as_programs_write_it(void **state)
{
    static const char *const none[] = {"", "2018", "2018-5-31", "2018-05-3", "2018-05-311", "31-05-2018", "31/05/18", "31/05/20180", "31/05.2018", "31 05 2018", " 31/05/2018",
                                       "+1/05/2018", "31/02/2018", "29/02/1900", "00/05/2018", "1/13/2018", "0999-01-01", "/05/2018", "2018/05/31", "mai", "2018-05", "31/", "1.2."};

    (void)state;
    day_is("2018-05-31", "2018-05-31", 10);
    day_is("31/05/2018", "2018-05-31", 10);
    day_is("31.5.2018", "2018-05-31", 9);
    day_is("1/2/2018", "2018-02-01", 8);
    day_is("29/02/2016", "2016-02-29", 10);
    day_is("29/02/2000T", "2000-02-29", 10);
    day_is("2018-05-31T08:00", "2018-05-31", 10);
    day_is("9999-12-31", "9999-12-31", 10);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        day_is(none[i], "-", 0);
}

/* ---- a school ---- */

static int open_school(void **state)
{
    struct fixture *f = fixture_folder();

    f->config.role = REPLICA_HUB;
    f->config.seeds = true;
    fixture_open(f);
    fixture_program(f);
    program(f, "INSERT INTO site (id, network_id, code, name, kind, status) SELECT 's2', network_id, 'CHR', 'Chartres', 'SCHOOL', 'OPEN' FROM site LIMIT 1;"
               "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
               " SELECT '" P1 "', site_id, 't', 'P1', '2018-05-01', '2018-06-29', 20, 'ON_SITE', 'RUNNING' FROM perche_self UNION ALL SELECT 'p2', site_id, 't', 'P2', '2018-05-01', '2018-06-29', 20, 'ON_SITE',"
               " 'RUNNING' FROM perche_self UNION ALL SELECT 'p3', 's2', 't', 'P1', '2018-05-01', '2018-06-29', 20, 'ON_SITE', 'RUNNING';"
               "INSERT INTO learner (id, home_site_id, birth_family_name, use_family_name, given_names, call_name, birth_date)"
               " SELECT '" LEARNER(1) "', site_id, 'Le Goff', NULL, 'Aurélie, Rose', 'Lili', '1991-02-03' FROM perche_self"
               " UNION ALL SELECT '" LEARNER(2) "', site_id, 'Pareil', 'Autre', 'Anne', NULL, '1990-01-01' FROM perche_self"
               " UNION ALL SELECT '" LEARNER(3) "', site_id, 'Pareil', NULL, 'Anne', NULL, '1990-01-02' FROM perche_self"
               " UNION ALL SELECT '" LEARNER(4) "', site_id, 'Pareil', NULL, 'Ànne', NULL, '1990-01-03' FROM perche_self"
               " UNION ALL SELECT '" LEARNER(5) "', site_id, 'PAREIL', NULL, 'Anne', NULL, '1990-01-04' FROM perche_self;"
               "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end, actual_start, actual_end, name_at_entry)"
               " SELECT '" ENROLMENT(1) "', '" LEARNER(1) "', '" P1 "', site_id, '2018-05-01', '2018-06-29', '2018-05-01', '2018-05-31', 'Aurélie Le Goff' FROM perche_self"
               " UNION ALL SELECT '" ENROLMENT(2) "', '" LEARNER(1) "', 'p2', site_id, '2018-06-01', '2018-06-29', '2018-06-01', NULL, 'Aurélie Le Goff' FROM perche_self"
               " UNION ALL SELECT '" ENROLMENT(3) "', 'gone', 'p2', site_id, '2018-06-01', '2018-06-29', '2018-06-01', NULL, 'Zoé Partie' FROM perche_self");
    *state = f;
    return 0;
}

static int close_school(void **state)
{
    fixture_end(*state);
    return 0;
}

/* Looks as a reader would: within a transaction of its own. */
static struct called looked(struct fixture *f, const char *refers, const char *text, const struct called_among *among)
{
    struct called who;

    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(called_find(f->r, refers, text, among, &who), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    return who;
}

static void is_called(struct fixture *f, const char *refers, const char *text, const char *id)
{
    struct called who = looked(f, refers, text, NULL);

    if (who.count != (*id != '\0') || strcmp(who.id, id) != 0)
        wrong("%s \"%s\": %u, %s", refers, text, who.count, who.ids);
}

static void a_row_is_found_by_what_people_call_it(void **state)
{
    struct fixture *f = *state;

    is_called(f, "learner(id)", "Lili Le Goff", LEARNER(1));
    is_called(f, "learner(id)", "AURELIE legoff", LEARNER(1)); /* the civil name, which the call name hides */
    is_called(f, "learner(id)", "Aurélie Rose Le Goff", LEARNER(1));
    is_called(f, "learner(id)", "anne autre", LEARNER(2));
    is_called(f, "learner(id)", "Le Goff", "");
    is_called(f, "learner(id)", "", "");
    is_called(f, "learner(id)", "...", "");
    is_called(f, "learner(id)", LEARNER(3), LEARNER(3));
    is_called(f, "site(id)", "chr", "s2");
    is_called(f, "site(id)", "CHARTRES", "s2");
    is_called(f, "cohort(id)", "p2", "p2");
    is_called(f, "cohort(id)", "P12", ""); /* figures count */
    is_called(f, "cohort(id)", "P1 Chartres", "p3");
    is_called(f, "cohort(id)", "p1 chr", "p3");
    is_called(f, "enrolment(id)", "Zoe Partie", ENROLMENT(3)); /* of whom the name at entry is all that is here */
    is_called(f, "consent(id)", "anything", "");
}

static void of_a_name_that_several_have_the_ids_are_told(void **state)
{
    struct fixture *f = *state;
    struct called who = looked(f, "learner(id)", "anne pareil", NULL);

    assert_int_equal(who.count, CALLED_TOLD);
    assert_true(who.more);
    assert_string_equal(who.ids, LEARNER(3) ", " LEARNER(4) ", " LEARNER(5) ", ..."); /* and of LEARNER(2), who is called otherwise, the civil name */
    who = looked(f, "cohort(id)", "P1", NULL);
    assert_int_equal(who.count, 2);
    assert_false(who.more);
}

static void an_enrolment_that_goes_on_comes_first_unless_it_is_said_among_which(void **state)
{
    struct fixture *f = *state;
    const struct called_among p1 = {"SELECT id FROM enrolment WHERE cohort_id = ?1", P1, NULL}, all = {"SELECT id FROM enrolment WHERE ?1 = 'x'", "x", NULL};

    is_called(f, "enrolment(id)", "Aurélie Le Goff", ENROLMENT(2));
    assert_string_equal(looked(f, "enrolment(id)", "Aurélie Le Goff", &p1).ids, ENROLMENT(1));
    assert_string_equal(looked(f, "enrolment(id)", LEARNER(1), &p1).ids, ENROLMENT(1));
    assert_int_equal(looked(f, "enrolment(id)", "Aurelie Le Goff", &all).count, 2); /* nothing is guessed */
    program(f, "UPDATE enrolment SET actual_end = '2018-06-30'");
    assert_int_equal(looked(f, "enrolment(id)", "Lili Le Goff", NULL).count, 2);
    program(f, "DELETE FROM enrolment WHERE id = '" ENROLMENT(2) "'");
    is_called(f, "enrolment(id)", "Lili Le Goff", ENROLMENT(1));
}

/* ---- somebody who is here ---- */

static void here_is(struct fixture *f, struct duplicates_names who, const char *wanted)
{
    char id[PERCHE_ID_BYTES_MAX];

    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(duplicates_here(f->r, &who, id), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    if (strcmp(id, wanted) != 0)
        wrong("%s %s, %s: \"%s\"", who.given, who.birth_name, who.born, id);
}

static void somebody_of_that_name_and_day_is_found(void **state)
{
    struct fixture *f = *state;

    here_is(f, (struct duplicates_names){"LE GOFF", "", "Aurelie", "", "1991-02-03"}, LEARNER(1));
    here_is(f, (struct duplicates_names){"Le-Goff", "", "Aurélie Rose Marie", "", "1991-02-03"}, LEARNER(1));
    here_is(f, (struct duplicates_names){"", "le goff", "", "Aurélie", "1991-02-03"}, LEARNER(1));
    here_is(f, (struct duplicates_names){"Autre", "", "Anne", "", "1990-01-01"}, LEARNER(2));
    here_is(f, (struct duplicates_names){"Le Goff", "", "Aurélie", "", "1991-02-04"}, "");
    here_is(f, (struct duplicates_names){"Le Goff", "", "Aurélie", "", ""}, "");
    here_is(f, (struct duplicates_names){"Le Goff", "", "Anne", "", "1991-02-03"}, "");
    here_is(f, (struct duplicates_names){"Goff", "", "Aurélie", "", "1991-02-03"}, "");
    here_is(f, (struct duplicates_names){"", "", "Aurélie", "", "1991-02-03"}, "");
    here_is(f, (struct duplicates_names){"Le Goff", "", "", "", "1991-02-03"}, "");
    program(f, "UPDATE learner SET restricted = 1 WHERE id = '" LEARNER(1) "'"); /* is not used, so is not told */
    here_is(f, (struct duplicates_names){"Le Goff", "", "Aurélie", "", "1991-02-03"}, "");
}

static void figures_of_a_name_count(void **state)
{
    char out[32];

    (void)state;
    assert_int_equal(duplicates_fold_figures("P-1 Été", out, sizeof out), 5);
    assert_string_equal(out, "p1ete");
    assert_int_equal(duplicates_fold("P-1 Été", out, sizeof out), 4);
    assert_string_equal(out, "pete");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_school, close_school)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_is_read_as_the_french_and_as_programs_write_it),
        TEST(a_row_is_found_by_what_people_call_it),
        TEST(of_a_name_that_several_have_the_ids_are_told),
        TEST(an_enrolment_that_goes_on_comes_first_unless_it_is_said_among_which),
        TEST(somebody_of_that_name_and_day_is_found),
        cmocka_unit_test(figures_of_a_name_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
