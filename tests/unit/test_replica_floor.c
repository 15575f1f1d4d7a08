/* Tombstones, their floor, and sites that were silent (DESIGN 4.9; P3, P4; MODEL A 21, B 20). */
#include "replica_lives.h"

#include "replica/floor.h"

#define DAY_MS UINT64_C(86400000)
#define KEEP_MS (30 * DAY_MS)
#define SILENT_MS (180 * DAY_MS)

static int set_up(void **state)
{
    struct pair *p;

    if (pair_setup(state) != 0)
        return -1;
    p = *state;
    p->hub->r->config.keep_deleted_ms = KEEP_MS;
    p->hub->r->config.silent_ms_max = SILENT_MS;
    return 0;
}

/* The hub's clock goes on; what its harvest does beside. */
static void days(struct pair *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        p->now += DAY_MS;
        for (int k = 0; k < PAIR_SITES; k++) /* their clocks are right: no stamp is far from the last one */
            harvest_here(p, p->sites[k]);
        harvest_here(p, p->hub);
    }
}

static void deleted(struct pair *p, struct fixture *f, const char *id)
{
    edit(p, f, "DELETE FROM learner WHERE id = '%s'", id);
}

static const char *dead(struct fixture *f)
{
    return asked(f->program, "SELECT count(*) FROM perche_row WHERE gen % 2 = 0");
}

static void everybody(struct pair *p)
{
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < PAIR_SITES; i++)
            pair_sync(p, p->sites[i]);
}

static uint64_t returning(struct pair *p, struct fixture *site)
{
    char sql[200];

    snprintf(sql, sizeof sql, "SELECT returns FROM perche_peer p JOIN perche_name n ON n.num = p.site WHERE n.text = '%s'", replica_site_id(site->r));
    return strtoull(asked(p->hub->program, sql), NULL, 10);
}

/* A comparison said equal, in the present session or in one before, and the hub has noted it. */
static void noted(struct pair *p, struct fixture *site, bool now)
{
    struct work w = pair_work(WORK_PEER_NOTE, site);
    struct outcome o;

    w.proven_ms = p->now - !now;
    w.proven_now = now;
    o = pair_do(p, p->hub, w);
    outcome_free(&o);
}

static void tombstones_go_when_every_site_has_acknowledged_them_for_long_enough(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    enrolment(p, p->hub, ID(3), ID(2), ID(4), SITE_ID(p, 1)); /* so that both sites have the second learner */
    everybody(p);
    deleted(p, a, ID(1));
    deleted(p, p->hub, ID(2));
    pair_sync(p, a);
    days(p, 40); /* the second site has not said since that it has read so far */
    assert_string_equal(dead(p->hub), "2");
    everybody(p);
    days(p, 1);
    everybody(p);
    days(p, 28);
    assert_string_equal(dead(p->hub), "2"); /* an older copy of the hub might be put back */
    days(p, 3);
    assert_string_equal(dead(p->hub), "0");
    assert_string_equal(dead(a), "2"); /* nobody has told it */
    everybody(p);
    harvest_here(p, a);
    assert_string_equal(dead(a), "0");
    equal(p, a);
    equal(p, b);
}

static void a_site_drops_nothing_that_the_hub_may_not_have(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    everybody(p);
    deleted(p, a, ID(1));
    everybody(p);
    days(p, 1);
    everybody(p);
    days(p, 32);
    deleted(p, a, ID(2)); /* not pushed */
    pair_pull(p, a);
    harvest_here(p, a);
    assert_true(a->r->node.floor > 0);
    assert_string_equal(dead(a), "1");
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM learner");
}

static void a_key_begins_anew_below_the_floor_at_whichever_end_it_is_forgotten_first(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    learner(p, a, ID(1), SITE_ID(p, 0));
    everybody(p);
    deleted(p, a, ID(1));
    everybody(p);
    days(p, 1);
    everybody(p);
    p->now += 40 * DAY_MS;
    harvest_here(p, p->hub);
    everybody(p);
    harvest_here(p, a);
    assert_string_equal(dead(a), "0");
    /* the hub still has one, as if it had been kept */
    written(p->hub, "INSERT INTO perche_row SELECT tab, x'0198f3a0000070008000000000000001', scope, 1, 1, NULL, 2, 0, NULL, clock FROM perche_row"
                    " WHERE tab = (SELECT num FROM perche_tab WHERE name = 'site') LIMIT 1");
    assert_string_equal(dead(p->hub), "1");
    edit(p, a, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('%s', '%s', 'again')", ID(1), SITE_ID(p, 0));
    assert_int_equal(header_at(a, "learner", ID(1)).gen, 1);
    everybody(p);
    says(p->hub, "again", "SELECT call_name FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
    equal(p, a);
    equal(p, b);
}

static void an_open_question_and_a_living_child_keep_the_tombstone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(3), SITE_ID(p, 0));
    contact(p, a, ID(2), ID(1), "0612");
    everybody(p);
    deleted(p, p->hub, ID(3));
    edit(p, a, "UPDATE learner SET call_name = 'unseen' WHERE id = '%s'", ID(3));
    deleted(p, p->hub, ID(1));
    everybody(p);
    says(p->hub, "1", "SELECT count(*) FROM perche_conflict WHERE state = 'open'");
    days(p, 1);
    everybody(p);
    days(p, 40);
    assert_string_equal(dead(p->hub), "2");
    edit(p, p->hub, "DELETE FROM learner_contact");
    program(p->hub, "UPDATE perche_flag SET applying = 1; UPDATE perche_conflict SET state = 'resolved'; UPDATE perche_flag SET applying = 0");
    everybody(p);
    days(p, 1);
    everybody(p);
    days(p, 40);
    everybody(p);
    assert_string_equal(dead(p->hub), "0");
    equal(p, a);
}

/* Two learners of the first site; the second stays active, the first is silent, and meanwhile the hub deletes both. */
static void long_away(struct pair *p)
{
    struct fixture *a = p->sites[0], *b = p->sites[1];
    char *json;

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    learner(p, a, ID(4), SITE_ID(p, 0));
    everybody(p);
    equal(p, a);
    edit(p, p->hub, "DELETE FROM learner WHERE id <> '%s'", ID(4));
    for (int month = 0; month < 9; month++) {
        days(p, 30);
        pair_sync(p, b);
        noted(p, b, true);
    }
    json = pair_query(p, p->hub, "sites", "{}");
    assert_non_null(strstr(json, "\"retired_at\":\"2026"));
    free(json);
    assert_string_equal(dead(p->hub), "0");
    says(p->hub, "1", "SELECT count(*) FROM learner");
    says(a, "3", "SELECT count(*) FROM learner");
}

/* Pulls, and compares until nothing differs. */
static void returned(struct pair *p, struct fixture *site)
{
    uint32_t level;
    uint64_t repaired;

    for (int i = 0; i < 4; i++) {
        pair_sync(p, site);
        if (pair_compare(p, site, &level, &repaired) == PERCHE_EQUAL)
            break;
    }
    equal(p, site);
    noted(p, site, true);
    assert_int_equal(returning(p, site), 0);
    assert_int_equal(site->r->node.returns, 0);
}

static void a_site_that_returns_from_below_the_floor_brings_nothing_back(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char *json;

    long_away(p);
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    assert_int_equal(returning(p, a), 1);
    json = pair_query(p, p->hub, "sites", "{}");
    assert_null(strstr(json, "\"retired_at\":\"2026"));
    free(json);
    returned(p, a);
    says(a, ID(4), "SELECT group_concat(id) FROM learner");
    says(p->hub, ID(4), "SELECT group_concat(id) FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
}

static void its_edits_of_what_was_deleted_are_asked_about_and_its_new_rows_arrive(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    long_away(p);
    edit(p, a, "UPDATE learner SET call_name = 'Ada' WHERE id = '%s'", ID(1));
    edit(p, a, "UPDATE learner SET call_name = 'Grace' WHERE id = '%s'", ID(2));
    edit(p, a, "UPDATE learner SET call_name = 'Mary' WHERE id = '%s'", ID(4));
    learner(p, a, ID(5), SITE_ID(p, 0));
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    returned(p, a);
    for (int i = 0; i < 2; i++) {
        struct fixture *f = i == 0 ? a : p->hub;

        says(f, "2", "SELECT count(*) FROM learner WHERE id IN ('%s', '%s')", ID(4), ID(5));
        says(f, "2", "SELECT count(*) FROM learner");
        says(f, "Mary", "SELECT call_name FROM learner WHERE id = '%s'", ID(4));
        says(f, "Ada,Grace", "SELECT group_concat(v) FROM (SELECT coalesce(a_value, b_value) v FROM perche_conflict WHERE state = 'open' AND kind = 'deleted' ORDER BY 1)");
        says(f, "2", "SELECT count(*) FROM perche_conflict");
    }
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
}

static void a_new_row_that_comes_after_newer_stamps_arrives_too(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel one = {.more = true};

    long_away(p);
    learner(p, a, ID(5), SITE_ID(p, 0));
    learner(p, a, ID(6), SITE_ID(p, 0));
    edit(p, a, "UPDATE learner SET call_name = 'later' WHERE id = '%s'", ID(5)); /* goes with its row, in front of the other's insert */
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    while (one.more) {
        one = push_made(p, a, state_of(p, a).acked, 1);
        push_told(p, a, &one, push_taken(p, a, &one));
        parcel_end(&one);
    }
    returned(p, a);
    says(p->hub, "3", "SELECT count(*) FROM learner");
    says(a, "3", "SELECT count(*) FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
}

static void an_edit_made_after_the_return_is_asked_about_as_well(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    long_away(p);
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    edit(p, a, "UPDATE learner SET call_name = 'Ada' WHERE id = '%s'", ID(2)); /* it is still there to be seen */
    returned(p, a);
    says(p->hub, "Ada", "SELECT coalesce(a_value, b_value) FROM perche_conflict WHERE state = 'open'");
    says(p->hub, "1", "SELECT count(*) FROM learner");
    says(a, "1", "SELECT count(*) FROM learner");
}

static void a_site_put_back_below_the_floor_brings_nothing_back(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    learner(p, a, ID(1), SITE_ID(p, 0));
    pair_sync(p, a);
    learner(p, a, ID(2), SITE_ID(p, 0)); /* not pushed yet in this copy */
    back_up(a);
    pair_sync(p, a);
    deleted(p, p->hub, ID(1));
    deleted(p, a, ID(2));
    everybody(p);
    days(p, 1);
    everybody(p);
    days(p, 40);
    everybody(p);
    assert_string_equal(dead(p->hub), "0");
    put_back(p, a);
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    assert_int_equal(returning(p, a), 2);
    noted(p, a, false); /* what the session before had found */
    assert_int_equal(returning(p, a), 2);
    settled(p, a);
    returned(p, a);
    says(a, "0", "SELECT count(*) FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM learner");
    equal(p, b);
}

/* With many sites it looks in several transactions. */
static void a_site_that_goes_back_while_the_hub_looks_holds_the_floor(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o;

    learner(p, a, ID(1), SITE_ID(p, 0));
    everybody(p);
    back_up(a);
    deleted(p, p->hub, ID(1));
    everybody(p);
    for (int i = 0; i < 60; i++) {
        char sql[200];

        snprintf(sql, sizeof sql, "INSERT INTO perche_name (text) VALUES ('site %d');"
                 " INSERT INTO perche_peer (site, epoch, scan) VALUES ((SELECT max(num) FROM perche_name), 5, 1000000)", i);
        program(p->hub, sql);
    }
    days(p, 1);
    p->now += 40 * DAY_MS;
    o = pair_do(p, p->hub, pair_work(WORK_HARVEST, NULL));
    assert_true(o.more && o.forgotten == 0); /* both sites were looked at */
    outcome_free(&o);
    put_back(p, a);
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    assert_int_equal(returning(p, a), 0);
    harvest_here(p, p->hub);
    assert_string_equal(dead(p->hub), "1");
    settled(p, a);
    says(a, "0", "SELECT count(*) FROM learner");
    days(p, 41);
    everybody(p);
    days(p, 41);
    assert_string_equal(dead(p->hub), "0");
    equal(p, a);
}

static void a_hub_that_was_just_opened_finds_nobody_silent(void **state)
{
    struct pair *p = *state;

    everybody(p);
    p->hub->r->config.now_ms = p->now + SILENT_MS + DAY_MS; /* as if opened then */
    p->now += SILENT_MS + DAY_MS + 1;
    harvest_here(p, p->hub);
    says(p->hub, "0", "SELECT count(*) FROM perche_peer WHERE retired_ms <> 0");
}

static void a_person_retires_only_who_is_silent(void **state)
{
    struct pair *p = *state;
    char args[100], *json;

    everybody(p);
    snprintf(args, sizeof args, "{\"site\": \"%s\"}", SITE_ID(p, 0));
    noted(p, p->sites[0], true);
    pair_refuses(p, p->hub, WORK_COMMAND, "retire", args, PERCHE_STATE);
    p->now += 2 * 3600000;
    json = pair_command(p, p->hub, "retire", args);
    free(json);
    pair_refuses(p, p->hub, WORK_COMMAND, "retire", args, PERCHE_STATE);
    pair_refuses(p, p->hub, WORK_COMMAND, "retire", "{\"site\": \"nobody\"}", PERCHE_NOT_FOUND);
    says(p->hub, "1", "SELECT count(*) FROM perche_peer WHERE retired_ms <> 0");
    pair_sync(p, p->sites[0]); /* it was there all the time */
    says(p->hub, "0", "SELECT count(*) FROM perche_peer WHERE retired_ms <> 0");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(tombstones_go_when_every_site_has_acknowledged_them_for_long_enough),
        CASE(a_site_drops_nothing_that_the_hub_may_not_have),
        CASE(a_key_begins_anew_below_the_floor_at_whichever_end_it_is_forgotten_first),
        CASE(an_open_question_and_a_living_child_keep_the_tombstone),
        CASE(a_site_that_returns_from_below_the_floor_brings_nothing_back),
        CASE(its_edits_of_what_was_deleted_are_asked_about_and_its_new_rows_arrive),
        CASE(a_new_row_that_comes_after_newer_stamps_arrives_too),
        CASE(an_edit_made_after_the_return_is_asked_about_as_well),
        CASE(a_site_put_back_below_the_floor_brings_nothing_back),
        CASE(a_site_that_goes_back_while_the_hub_looks_holds_the_floor),
        CASE(a_hub_that_was_just_opened_finds_nobody_silent),
        CASE(a_person_retires_only_who_is_silent),
    };

    return cmocka_run_group_tests_name("floor", tests, NULL, NULL);
}
