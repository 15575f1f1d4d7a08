/* What people write and ask by hand when memory ends at any moment of it: NOMEM and nothing is written, or it is done and
 * right. Nothing in between, no other reason is told, and no block is left. */
#include "heap.h"

#define FIXTURE_ALL_TABLES
#include "unit/replica_pair.h"

#include "school/school.h"

#define KEPT_MAX 4 /* what a library keeps for good at its first use */
#define wrong(...) do { print_error("ERROR: " __VA_ARGS__); print_error("\n"); _fail(__FILE__, __LINE__); } while (0)

struct deed {
    const char *name;
    bool reads;
    const char *args;    /* %u: another number each time that it was done, where it has one */
    const char *before;  /* what a program writes before each try; NULL = nothing */
    const char *done;    /* is 1 when it was done; %u likewise */
};

static unsigned turn;

/* Of a hundred numbers the one whose turn it is; minutes of a half-day, too. */
static unsigned number(void)
{
    return 1 + turn % 100;
}

static struct fixture *school(struct pair *p)
{
    return p->hub;
}

static int open_school(void **state)
{
    struct pair *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->now = FIXTURE_NOW;
    p->hub = fixture_folder();
    p->hub->config.role = REPLICA_HUB;
    p->hub->config.seeds = true;
    p->hub->config.commands = school_commands;
    p->hub->config.commands_count = school_commands_count;
    p->hub->config.questions = school_questions;
    p->hub->config.questions_count = school_questions_count;
    p->hub->config.reader = school_reader;
    p->hub->config.naming = school_naming;
    fixture_open(p->hub);
    fixture_program(p->hub);
    program(p->hub, "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
                    " SELECT '01980000-0004-7000-8000-000000000001', site_id, 't', 'P1', '2018-05-01', '2018-06-29', 20, 'ON_SITE', 'RUNNING' FROM perche_self;"
                    "INSERT INTO learner (id, home_site_id, birth_family_name, given_names, birth_date)"
                    " SELECT '01980000-0005-7000-8000-00000000000' || value, site_id, 'Le Goff', iif(value = 1, 'Aurélie', 'Anne'), '1991-02-0' || value FROM perche_self, json_each('[1, 2]');"
                    "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end, actual_start)"
                    " SELECT '01980000-0003-7000-8000-00000000000' || value, '01980000-0005-7000-8000-00000000000' || value, '01980000-0004-7000-8000-000000000001', site_id,"
                    " '2018-05-01', '2018-06-29', '2018-05-01' FROM perche_self, json_each('[1, 2]');"
                    "INSERT INTO half_day (id, cohort_id, day, half, mode) VALUES ('01980000-0002-7000-8000-000000000001', '01980000-0004-7000-8000-000000000001', '2018-05-28', 'AM', 'ON_SITE');"
                    "INSERT INTO event (id, site_id, kind, title, starts_on) SELECT '01980000-0006-7000-8000-000000000001', site_id, 'VISIT', 'Visite', '2018-05-28' FROM perche_self");
    *state = p;
    return 0;
}

static int close_school(void **state)
{
    struct pair *p = *state;

    fixture_end(p->hub);
    free(p);
    return 0;
}

static struct outcome perform(struct pair *p, const struct deed *d, unsigned long n, bool on, bool *hit)
{
    char args[600];
    struct work w;
    struct outcome o;

    (void)snprintf(args, sizeof args, d->args, number());
    w = pair_args(d->reads ? WORK_QUERY : WORK_COMMAND, d->name, args);
    w.now_ms = p->now;
    pair_random(p, w.random);
    if (d->reads && school(p)->reader == NULL && replica_open_reader(&school(p)->config, &school(p)->reader, &school(p)->err) != PERCHE_OK)
        fixture_fail("replica_open_reader", school(p)->err.text, d->name);
    if (n > 0)
        heap_fail(n, on);
    replica_perform(d->reads ? school(p)->reader : school(p)->r, &w, &o, 1);
    if (n > 0)
        *hit = heap_off();
    work_free(&w);
    return o;
}

static bool was_done(struct pair *p, const struct deed *d)
{
    char text[400];

    if (d->done == NULL)
        return true;
    (void)snprintf(text, sizeof text, d->done, number());
    return strcmp(asked(school(p)->program, text), "1") == 0;
}

static void every_allocation_fails(struct pair *p, const struct deed *d)
{
    for (int on = 0; on < 2; on++)
        for (unsigned long n = 1;; n = heap_next(n)) {
            struct outcome o;
            bool hit;

            turn++;
            p->now += 1000;
            if (d->before != NULL)
                program(school(p), d->before);
            o = perform(p, d, n, on, &hit);
            if (o.rc == PERCHE_NOMEM && hit) {
                if (!d->reads && was_done(p, d))
                    wrong("%s, allocation %lu: says that it failed, and is done", d->name, n);
                outcome_free(&o);
                o = perform(p, d, 0, false, NULL);
            }
            if (o.rc != PERCHE_OK)
                wrong("%s, allocation %lu%s: %s: %s", d->name, n, on ? " and all after it" : "", perche_rc_name(o.rc), o.err.text);
            if (!was_done(p, d))
                wrong("%s, allocation %lu%s: says that it is done, and is not", d->name, n, on ? " and all after it" : "");
            outcome_free(&o);
            if (!hit) {
                assert_true(n > 1);
                break;
            }
        }
}

static void is_tried(void **state, const struct deed *d)
{
    struct pair *p = *state;
    long before;

    turn++; /* what a library and a connection keep for good */
    if (d->before != NULL)
        program(school(p), d->before);
    for (int i = 0; i < 2; i++, turn++) {
        struct outcome o;

        p->now += 1000;
        o = perform(p, d, 0, false, NULL);
        if (o.rc != PERCHE_OK)
            wrong("%s: %s", d->name, o.err.text);
        outcome_free(&o);
        if (d->before != NULL)
            program(school(p), d->before);
    }
    fixture_close(school(p));
    before = heap.live;
    fixture_open(school(p));
    every_allocation_fails(p, d);
    fixture_close(school(p));
    if (heap.live - before > KEPT_MAX)
        wrong("%s: %ld blocks are left", d->name, heap.live - before);
}

static void adding(void **state)
{
    is_tried(state, &(struct deed){.name = "add",
                                   .before = "DELETE FROM learner WHERE birth_family_name = 'Durand'",
                                   .args = "{\"table\": \"learner\", \"values\": {\"home_site_id\": \"LA-LOUPE\", \"birth_family_name\": \"Durand\", \"given_names\": \"Zoé %u\", \"birth_date\": \"03/02/1991\", \"sex\": \"femme\"}}",
                                   .done = "SELECT count(*) FROM learner WHERE given_names = 'Zoé %u'"});
}

static void setting_by_name(void **state)
{
    is_tried(state, &(struct deed){.name = "set", .args = "{\"table\": \"learner\", \"id\": \"aurelie le goff\", \"values\": {\"call_name\": \"L%u\"}}",
                                   .done = "SELECT count(*) FROM learner WHERE call_name = 'L%u'"});
}

static void marking(void **state)
{
    is_tried(state, &(struct deed){.name = "mark",
                                   .args = "{\"cohort\": \"P1\", \"day\": \"28/05/2018\", \"half\": \"matin\", \"all\": \"present\", \"marks\": {\"aurelie legoff\": \"late:%u\"}}",
                                   .before = "DELETE FROM attendance",
                                   .done = "SELECT count(*) = 2 AND sum(minutes) = 210 + %u FROM attendance"});
}

static void planning(void **state)
{
    is_tried(state, &(struct deed){.name = "plan", .args = "{\"cohort\": \"p1\", \"from\": \"04/06/2018\", \"to\": \"08/06/2018\", \"weekdays\": \"lun,mar\", \"minutes\": 200}",
                                   .before = "DELETE FROM half_day WHERE day >= '2018-06-01'", .done = "SELECT count(*) = 4 FROM half_day WHERE day >= '2018-06-01'"});
}

static void cancelling(void **state)
{
    is_tried(state, &(struct deed){.name = "plan", .args = "{\"cohort\": \"P1\", \"from\": \"2018-05-28\", \"cancel\": true}",
                                   .before = "UPDATE half_day SET cancelled = 0", .done = "SELECT cancelled FROM half_day WHERE day = '2018-05-28'"});
}

static void deleting(void **state)
{
    is_tried(state, &(struct deed){.name = "delete", .args = "{\"table\": \"event_participant\", \"id\": [\"visite\", \"Aurélie Le Goff\"]}",
                                   .before = "INSERT OR REPLACE INTO event_participant VALUES ('01980000-0006-7000-8000-000000000001', '01980000-0005-7000-8000-000000000001')",
                                   .done = "SELECT count(*) = 0 FROM event_participant"});
}

static void listing(void **state)
{
    is_tried(state, &(struct deed){.name = "list", .reads = true, .args = "{\"table\": \"enrolment\", \"names\": true}"});
}

static void showing_by_name(void **state)
{
    is_tried(state, &(struct deed){.name = "show", .reads = true, .args = "{\"table\": \"enrolment\", \"id\": \"Aurelie Le Goff\"}"});
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_school, close_school)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(adding), TEST(setting_by_name), TEST(marking), TEST(planning), TEST(cancelling), TEST(deleting), TEST(listing), TEST(showing_by_name),
    };

    if (getenv("ONLY")) cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
