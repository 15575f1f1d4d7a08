/* Which observation tells of a milestone, by the day of the exit or the jury, and what the hub makes of it: its decisions and its questions. */
#define FIXTURE_ALL_TABLES
#include "replica_pair.h"

#define ENROLMENT "01980000-0003-7000-8000-000000000001"

static void hub_writes(struct pair *p, char *sql)
{
    assert_non_null(sql);
    pair_edit(p, p->hub, 1000, sql);
    sqlite3_free(sql);
}

static const char *at_hub(struct pair *p, const char *sql)
{
    static char text[4][400];
    static int next;
    char *out = text[next++ % 4];
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(p->hub->r->db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        fixture_fail("at_hub", sqlite3_errmsg(p->hub->r->db), sql);
    (void)snprintf(out, sizeof text[0], "%s", sqlite3_column_text(s, 0) != NULL ? (const char *)sqlite3_column_text(s, 0) : "");
    sqlite3_finalize(s);
    return out;
}

/* The enrolment and, where @jury_on is not NULL, its title. */
static void exits(struct pair *p, const char *exit_on, const char *jury_on)
{
    hub_writes(p, sqlite3_mprintf("DELETE FROM enrolment; DELETE FROM cert_attempt; DELETE FROM outcome_observation; DELETE FROM outcome_decision;"
                                  "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end, actual_start, actual_end, exit_reason)"
                                  " SELECT %Q, 'l', 'c', site_id, '2016-01-04', '2016-08-05', '2016-01-04', %Q, 'COMPLETION' FROM perche_self;"
                                  "INSERT INTO cert_attempt (enrolment_id, rncp_code, jury_on, result) SELECT %Q, 'RNCP1', %Q, 'FULL' WHERE %Q IS NOT NULL",
                                  ENROLMENT, exit_on, ENROLMENT, jury_on, jury_on));
}

/* @what: "M6 2017-02-05 JOBSEEKING DECLARED", in the order of their ids. */
static void sees(struct pair *p, int n, const char *what)
{
    char milestone[16], as_of[16], situation[32], proof[16];

    assert_int_equal(sscanf(what, "%15s %15s %31s %15s", milestone, as_of, situation, proof), 4);
    hub_writes(p, sqlite3_mprintf("INSERT INTO outcome_observation (id, enrolment_id, milestone, as_of, situation, source, proof, recorded_at, recorded_site, recorded_by)"
                                  " SELECT '01980000-0006-7000-8000-%012d', %Q, %Q, %Q, %Q, 'LEARNER_CALL', %Q, '2017-03-01T10:00:00Z', site_id, 'x' FROM perche_self",
                                  n, ENROLMENT, milestone, as_of, situation, proof));
}

#define DUE  "SELECT group_concat(milestone || ' ' || situation || ' ' || substr(observation_id, -1) || ' ' || rule, ', ') FROM (SELECT * FROM decision_due ORDER BY milestone)"
#define ODDS "SELECT group_concat(says || ' / ' || other_says, ', ') FROM (SELECT * FROM perche_clash WHERE rule = 'two situations' ORDER BY says)"
#define FAR  "SELECT group_concat(substr(id, -1), '') FROM (SELECT id FROM outcome_seen WHERE far IS NULL ORDER BY id)"

static void the_observation_nearest_to_the_day_tells_and_what_is_too_far_does_not(void **state)
{
    static const struct {
        const char *exit_on, *jury_on, *seen[4], *due, *odds, *too_far;
    } cases[] = {
        {"2016-08-05", NULL, {"M6 2017-02-05 STUDIES NONE"}, "M6 STUDIES 1 ONLY_ONE", "", ""},
        {"2016-08-05", NULL, {"M6 2017-01-06 STUDIES NONE"}, "M6 STUDIES 1 ONLY_ONE", "", ""},                            /* 30 days before */
        {"2016-08-05", NULL, {"M6 2017-01-05 STUDIES NONE"}, "", "", "1"},                                                /* 31 */
        {"2016-08-05", NULL, {"M6 2017-03-07 STUDIES NONE"}, "M6 STUDIES 1 ONLY_ONE", "", ""},                            /* 30 after */
        {"2016-08-05", NULL, {"M6 2017-03-08 STUDIES NONE"}, "", "", "1"},
        {"2016-08-31", NULL, {"M6 2017-03-30 STUDIES NONE"}, "M6 STUDIES 1 ONLY_ONE", "", ""},                            /* 28 February and 30 days */
        {"2016-08-31", NULL, {"M6 2017-03-31 STUDIES NONE"}, "", "", "1"},
        {"2016-08-05", NULL, {"M6 2017-02-03 STUDIES NONE", "M6 2017-02-20 JOBSEEKING NONE"}, "M6 STUDIES 1 SUCCESSIVE", "", ""}, /* not the later one */
        {"2016-08-05", NULL, {"M6 2017-02-04 STUDIES NONE", "M6 2017-02-06 JOBSEEKING NONE"}, "", "STUDIES on 2017-02-04 / JOBSEEKING on 2017-02-06", ""},
        {"2016-08-05", NULL, {"M6 2017-02-20 STUDIES NONE", "M6 2017-05-20 JOBSEEKING NONE"}, "M6 STUDIES 1 ONLY_ONE", "", "2"},
        {"2016-08-05", NULL, {"W4 2016-08-10 JOBSEEKING NONE", "W4 2016-09-02 STUDIES NONE"}, "W4 STUDIES 2 SUCCESSIVE", "", ""},
        {"2016-08-05", NULL, {"W4 2016-08-10 JOBSEEKING NONE", "W4 2016-09-03 STUDIES NONE"}, "W4 JOBSEEKING 1 ONLY_ONE", "", "2"}, /* the window has ended */
        {"2016-08-05", NULL, {"W4 2016-08-04 STUDIES NONE"}, "", "", "1"},                                                /* still there */
        {"2016-08-05", NULL, {"M0 2016-06-01 STUDIES NONE", "M0 2016-10-01 JOBSEEKING NONE"}, "M0 JOBSEEKING 2 SUCCESSIVE", "", ""},
        {"2016-08-05", "2016-11-20", {"M6 2017-05-20 STUDIES NONE"}, "M6 STUDIES 1 ONLY_ONE", "", ""},                    /* six months after the jury */
        {"2016-08-05", "2016-11-20", {"M6 2017-05-22 STUDIES NONE", "M6 2017-02-10 JOBSEEKING NONE"}, "M6 STUDIES 1 SUCCESSIVE", "", ""},
        {NULL, NULL, {"M6 2017-02-05 STUDIES NONE", "M6 2018-02-05 JOBSEEKING NONE"}, "M6 JOBSEEKING 2 SUCCESSIVE", "", ""}, /* still there: no day is known */
        {"2016-08-05", NULL, {"M6 some-day STUDIES NONE"}, "", "", "1"},
        {"2016-08-05", NULL, {"DURING 2016-05-01 STUDIES NONE"}, "", "", ""},
        {"2016-08-05", NULL, {"M3 2016-11-05 STUDIES NONE", "M6 2017-02-05 JOBSEEKING NONE"}, "M3 STUDIES 1 ONLY_ONE, M6 JOBSEEKING 2 ONLY_ONE", "", ""},
        {"2016-08-05", NULL, {"M6 2017-02-05 STUDIES NONE", "M6 2017-02-20 STUDIES NONE"}, "M6 STUDIES 1 ALL_AGREE", "", ""},
        {"2016-08-05", NULL, {"M6 2017-02-05 STUDIES DECLARED", "M6 2017-02-05 JOBSEEKING DOCUMENT"}, "", "STUDIES on 2017-02-05 / JOBSEEKING on 2017-02-05", ""}, /* the rule is off */
    };
    struct pair *p = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        exits(p, cases[i].exit_on, cases[i].jury_on);
        for (int n = 0; n < 4 && cases[i].seen[n] != NULL; n++)
            sees(p, n + 1, cases[i].seen[n]);
        if (strcmp(at_hub(p, DUE), cases[i].due) != 0 || strcmp(at_hub(p, ODDS), cases[i].odds) != 0 || strcmp(at_hub(p, FAR), cases[i].too_far) != 0) {
            char why[1200];

            (void)snprintf(why, sizeof why, "decided \"%s\", at odds \"%s\", too far \"%s\"", at_hub(p, DUE), at_hub(p, ODDS), at_hub(p, FAR));
            fixture_fail("a case", why, cases[i].seen[0]);
        }
    }
}

static void a_document_beats_what_was_declared_once_the_hub_has_opened_that_rule(void **state)
{
    struct pair *p = *state;

    exits(p, "2016-08-05", NULL);
    sees(p, 1, "M6 2017-02-05 STUDIES DECLARED");
    sees(p, 2, "M6 2017-02-05 JOBSEEKING DOCUMENT");
    sees(p, 3, "M6 2017-02-05 STUDIES NONE");
    assert_string_equal(at_hub(p, DUE), "");
    hub_writes(p, sqlite3_mprintf("INSERT INTO code_list (list, code, label_fr, valid_to) VALUES ('decision_rule', 'DOCUMENT_BEATS_DECLARED', 'x', NULL)"
                                  " ON CONFLICT DO UPDATE SET valid_to = NULL"));
    assert_string_equal(at_hub(p, DUE), "M6 JOBSEEKING 2 DOCUMENT_BEATS_DECLARED");
    assert_string_equal(at_hub(p, ODDS), "");
    sees(p, 4, "M6 2017-02-05 STUDIES DOCUMENT"); /* two documents: a person's to decide */
    assert_string_equal(at_hub(p, DUE), "");
    assert_string_not_equal(at_hub(p, ODDS), "");
    exits(p, "2016-08-05", NULL); /* whichever of the two it is for */
    sees(p, 1, "M6 2017-02-05 STUDIES DOCUMENT");
    sees(p, 2, "M6 2017-02-05 JOBSEEKING DECLARED");
    assert_string_equal(at_hub(p, DUE), "M6 STUDIES 1 DOCUMENT_BEATS_DECLARED");
}

/* The hub's own decision follows the day: an exit that is put right makes an observation tell of the milestone, or not any more. */
static void a_decision_of_the_hub_goes_when_its_observation_is_too_far_from_the_day(void **state)
{
    struct pair *p = *state;

    exits(p, "2016-08-05", NULL);
    sees(p, 1, "M6 2017-02-05 STUDIES NONE");
    hub_writes(p, sqlite3_mprintf("INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
                                  " SELECT enrolment_id, milestone, situation, observation_id, rule, site_id, '2017-03-01T10:00:00Z' FROM decision_due, perche_self"));
    assert_string_equal(at_hub(p, DUE), "");
    assert_string_equal(at_hub(p, "SELECT count(*) FROM decision_past"), "0");
    hub_writes(p, sqlite3_mprintf("UPDATE enrolment SET actual_end = '2016-10-05'"));
    assert_string_equal(at_hub(p, "SELECT milestone FROM decision_past"), "M6");
    hub_writes(p, sqlite3_mprintf("UPDATE outcome_decision SET rule = 'MANUAL'")); /* a person's: it stands */
    assert_string_equal(at_hub(p, "SELECT count(*) FROM decision_past"), "0");
    assert_string_equal(at_hub(p, DUE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_observation_nearest_to_the_day_tells_and_what_is_too_far_does_not, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_document_beats_what_was_declared_once_the_hub_has_opened_that_rule, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_decision_of_the_hub_goes_when_its_observation_is_too_far_from_the_day, pair_setup, pair_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
