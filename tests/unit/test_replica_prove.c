/* The handshake: positions judged, and the clock of what was never acknowledged put right (DESIGN 4.2, 4.8; MODEL A 11, 15 to 18). */
#include "replica_steps.h"

#define HOUR INT64_C(3600000)

/* What the site shows, as the hub gets it. */
static struct perche_message shown(struct pair *p, struct fixture *site)
{
    struct outcome o = pair_do(p, site, pair_work(WORK_PROVE_BUILD, NULL));

    return pair_line(&o);
}

static struct perche_message judged(struct pair *p, struct fixture *site, struct perche_message m)
{
    struct work w = pair_work(WORK_PROVE_JUDGE, site);
    struct outcome o;

    w.message = m;
    w.session = ++p->drawn;
    o = pair_do(p, p->hub, w);
    return pair_line(&o);
}

static enum perche_rc told(struct pair *p, struct fixture *site, struct perche_message reply)
{
    struct work w = pair_work(WORK_PROVED, NULL);
    struct outcome o;
    enum perche_rc rc;

    w.message = reply;
    o = pair_try(p, site, &w);
    rc = o.rc;
    outcome_free(&o);
    return rc;
}

static int verdict(struct pair *p, struct fixture *site, struct perche_message m)
{
    struct perche_message reply = judged(p, site, m);
    int v = reply.u.prove_reply.verdict;

    perche_message_free(&reply);
    return v;
}

/* ---- positions ---- */

static void a_site_shows_its_position_and_its_newest_marks(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message m;
    struct state s;

    for (int i = 0; i < 80; i++)
        edit(p, a, "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-0000000000%02d', (SELECT site_id FROM perche_self))", i + 10);
    s = state_of(p, a);
    m = shown(p, a);
    assert_string_equal(m.u.prove.site, SITE_ID(p, 0));
    assert_true(m.u.prove.lsn == s.lsn && m.u.prove.acked == s.acked && m.u.prove.full == s.full && m.u.prove.scan == s.scan && m.u.prove.epoch == s.epoch);
    assert_int_equal(m.u.prove.marks_count, PERCHE_MARKS_MAX);
    assert_true(m.u.prove.marks[1].lsn == s.lsn && m.u.prove.marks[0].lsn <= s.acked);
    for (uint32_t i = 2; i < m.u.prove.marks_count; i++)
        assert_true(m.u.prove.marks[i].lsn < m.u.prove.marks[i - 1].lsn);
    assert_int_equal(verdict(p, a, m), PERCHE_PROVEN); /* the one that the hub looks for is among them, however old */
}

static void a_hub_tells_what_it_has_and_the_site_counts_it_as_acknowledged(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t stamp;

    learner(p, a, ID(1), SITE_ID(p, 0));
    stamp = cell_at(a, "learner", ID(1), "call_name").stamp;
    push_unheard(p, a);
    assert_int_equal(state_of(p, a).pending, 1);
    {
        struct perche_message reply = judged(p, a, shown(p, a));

        assert_true(reply.u.prove_reply.have == state_of(p, a).lsn);
        assert_true(reply.u.prove_reply.stamp == stamp);
        assert_true(reply.u.prove_reply.have_asof.lsn == state_of(p, a).lsn);
        assert_int_equal(told(p, a, reply), PERCHE_OK);
    }
    assert_int_equal(state_of(p, a).pending, 0);
    equal(p, a);
}

static void a_lost_reply_raises_no_alarm(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    for (int i = 0; i < 3; i++) {
        edit(p, a, "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-00000000000%d', (SELECT site_id FROM perche_self))", i + 1);
        assert_int_equal(verdict(p, a, shown(p, a)), PERCHE_PROVEN); /* the verdict is lost */
        push_unheard(p, a);
        pair_prove(p, a);
        edit(p, p->hub, "UPDATE learner SET call_name = '%d'", i);
        {
            struct perche_message m = pull_made(p, a, 1 << 20); /* so is an answer */

            perche_message_free(&m);
        }
        assert_int_equal(verdict(p, a, shown(p, a)), PERCHE_PROVEN);
    }
    equal(p, a);
}

static void a_site_put_back_to_an_older_copy_is_noticed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message before = shown(p, a), m;

    learner(p, a, ID(1), SITE_ID(p, 0));
    pair_push(p, a);
    assert_int_equal(verdict(p, a, message_copy(&before)), PERCHE_RESTORED); /* its newest position is below */
    perche_message_free(&before);
    equal(p, a);

    m = shown(p, a); /* the same position was reached again, by other changes */
    for (uint32_t i = 0; i < m.u.prove.marks_count; i++)
        m.u.prove.marks[i].mark++;
    assert_int_equal(verdict(p, a, m), PERCHE_RESTORED);
    edit(p, a, "UPDATE learner SET call_name = 'x'"); /* ... and passed */
    m = shown(p, a);
    m.u.prove.marks[0].mark++;
    assert_int_equal(verdict(p, a, m), PERCHE_RESTORED);
    m = shown(p, a); /* only its pull position went back */
    m.u.prove.full = --m.u.prove.scan;
    assert_int_equal(verdict(p, a, m), PERCHE_RESTORED);
    assert_int_equal(verdict(p, a, shown(p, a)), PERCHE_PROVEN); /* no verdict changes the record */
    equal(p, a);
}

static void a_verdict_of_two_machines_and_one_that_cannot_be_change_nothing_at_the_site(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct state before, after;
    struct perche_message reply;

    learner(p, a, ID(1), SITE_ID(p, 0));
    before = state_of(p, a);
    reply = judged(p, a, shown(p, a));
    reply.u.prove_reply.verdict = PERCHE_TWO_MACHINES;
    reply.u.prove_reply.have = before.lsn;
    assert_int_equal(told(p, a, reply), PERCHE_STATE);
    reply = judged(p, a, shown(p, a));
    reply.u.prove_reply.have = before.lsn + 1; /* more than there is */
    assert_int_equal(told(p, a, reply), PERCHE_STALE);
    reply = judged(p, a, shown(p, a));
    reply.u.prove_reply.verdict = PERCHE_GO_BACK; /* to where it never was */
    reply.u.prove_reply.scan = 1;
    assert_int_equal(told(p, a, reply), PERCHE_CORRUPT);
    after = state_of(p, a);
    assert_true(after.acked == before.acked && after.pending == 1 && after.stamp == before.stamp && after.epoch == before.epoch &&
                after.scan == before.scan && !after.must);
    equal(p, a);
}

static void what_the_site_has_carried_out_ends_its_marks(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, p->hub, "UPDATE cohort SET site_id = '%s'", SITE_ID(p, 1));
    while (pull_once(p, a, 1 << 20))
        ;
    says(p->hub, "1", "SELECT count(*) FROM perche_left WHERE ended = 0");
    pair_prove(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0");
}

/* ---- clocks ---- */

static void a_clock_that_is_near_changes_no_stamp(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t stamp;

    learner(p, a, ID(1), SITE_ID(p, 0));
    stamp = cell_at(a, "learner", ID(1), "call_name").stamp;
    p->now += 5000;
    prove_offset(p, a, 1900);
    prove_offset(p, a, -1900);
    assert_true(cell_at(a, "learner", ID(1), "call_name").stamp == stamp);
}

static void a_clock_ahead_is_put_back_and_the_order_stays(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t one, two;

    equal(p, a);
    edit_offset(p, a, -HOUR, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(1) "', (SELECT site_id FROM perche_self), 'one')");
    edit_offset(p, a, -HOUR, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(2) "', (SELECT site_id FROM perche_self), 'two')");
    p->now += 60000;
    prove_offset(p, a, -HOUR);
    one = cell_at(a, "learner", ID(1), "call_name").stamp;
    two = cell_at(a, "learner", ID(2), "call_name").stamp;
    assert_true(one < two && two >> 16 == p->now - 60000 && one >> 16 == p->now - 61000);
    assert_true(cell_at(a, "learner", ID(1), NULL).stamp == one); /* the row's insert as well */
    edit(p, p->hub, "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
                    " VALUES ('" ID(3) "', '%s', 't', 'hub', '2026-01-05', '2026-06-30', 12, 'SITE', 'PLANNED')", SITE_ID(p, 0));
    equal(p, a);
    edit_offset(p, a, 0, "UPDATE cohort SET code = 'site'"); /* its clock has been put right, and it stamps as of now */
    assert_true(cell_at(a, "cohort", ID(3), "code").stamp >> 16 == p->now);
    equal(p, a);
    says(p->hub, "site", "SELECT code FROM cohort");
}

static void a_clock_behind_is_put_forward(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 0));
    enrolment(p, p->hub, ID(2), ID(1), ID(3), SITE_ID(p, 1)); /* two schools hold it */
    equal(p, a);
    equal(p, b);
    edit(p, b, "UPDATE learner SET call_name = 'earlier'");
    edit_offset(p, a, HOUR, "UPDATE learner SET call_name = 'later'"); /* an hour behind, but really later */
    p->now += 1000;
    prove_offset(p, a, HOUR);
    assert_true(cell_at(a, "learner", ID(1), "call_name").stamp >> 16 <= p->now);
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    for (int i = 0; i < 2; i++)
        says(p->sites[i], "later", "SELECT call_name FROM learner");
}

static void an_edit_after_the_clock_was_put_forward_stays_above_the_one_before(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    equal(p, a);
    edit_offset(p, a, HOUR, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(1) "', (SELECT site_id FROM perche_self), 'v1')");
    p->now += 1000;
    prove_offset(p, a, HOUR);
    pair_push(p, a);
    says(p->hub, "v1", "SELECT call_name FROM learner");
    edit_offset(p, a, HOUR, "UPDATE learner SET call_name = 'v2'"); /* in the same session, the clock still an hour behind */
    pair_push(p, a);
    says(p->hub, "v2", "SELECT call_name FROM learner");
    equal(p, a);
}

static void a_shift_goes_below_nothing_that_the_site_has_read(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    enrolment(p, p->hub, ID(2), ID(1), ID(3), SITE_ID(p, 1));
    equal(p, a);
    equal(p, b);
    edit_offset(p, b, -50000, "UPDATE learner SET call_name = 'ahead'"); /* taken: less than a minute ahead */
    pair_push(p, b);
    while (pull_once(p, a, 1 << 20))
        ;
    says(a, "ahead", "SELECT call_name FROM learner");
    edit_offset(p, a, -HOUR, "UPDATE learner SET call_name = 'knew it'");
    p->now += 1000;
    prove_offset(p, a, -HOUR);
    pair_push(p, a);
    says(p->hub, "knew it", "SELECT call_name FROM learner");
    equal(p, a);
    equal(p, b);
    says(b, "knew it", "SELECT call_name FROM learner");
}

static void a_shift_goes_below_nothing_that_the_hub_has_of_the_site(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t v1;

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit_offset(p, a, -30000, "UPDATE learner SET call_name = 'v1'");
    v1 = cell_at(a, "learner", ID(1), "call_name").stamp;
    push_unheard(p, a);
    edit_offset(p, a, -30000, "UPDATE learner SET call_name = 'v2'");
    prove_offset(p, a, -30000);
    assert_true(cell_at(a, "learner", ID(1), "call_name").stamp > v1);
    pair_push(p, a);
    says(p->hub, "v2", "SELECT call_name FROM learner");
    equal(p, a);
}

/* True order is told from the offset of the last handshake, however far off the clock is. */
static void wild(struct pair *p, int64_t offset)
{
    struct fixture *a = p->sites[0];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    prove_offset(p, a, offset);
    edit_offset(p, a, offset, "UPDATE learner SET call_name = 'first'");
    edit(p, p->hub, "UPDATE learner SET call_name = 'second'");
    prove_offset(p, a, offset);
    equal(p, a);
    says(a, "second", "SELECT call_name FROM learner");
    edit(p, p->hub, "UPDATE learner SET call_name = 'third'");
    edit_offset(p, a, offset, "UPDATE learner SET call_name = 'fourth'");
    prove_offset(p, a, offset);
    equal(p, a);
    says(a, "fourth", "SELECT call_name FROM learner");

    offset += 1000 * HOUR; /* set anew, to another wrong year: as long as nobody has measured it the time is at least not lost */
    edit(p, p->hub, "UPDATE learner SET call_name = 'fifth'");
    edit_offset(p, a, offset, "UPDATE learner SET call_name = 'sixth'");
    p->now += 1000;
    prove_offset(p, a, offset);
    equal(p, a);
    says(a, "sixth", "SELECT call_name FROM learner");
    assert_true(cell_at(a, "learner", ID(1), "call_name").stamp >> 16 <= p->now);
}

static void a_clock_of_the_year_2000_wins_and_loses_as_a_true_one(void **state)
{
    wild(*state, INT64_C(26) * 8766 * HOUR);
}

static void a_clock_of_the_year_2038_wins_and_loses_as_a_true_one(void **state)
{
    wild(*state, INT64_C(-12) * 8766 * HOUR);
}

static void what_was_written_before_a_clock_went_wild_keeps_its_time(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    int64_t offset = INT64_C(26) * 8766 * HOUR;
    uint64_t stamp;

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET call_name = 'true' WHERE id = '%s'", ID(1));
    stamp = cell_at(a, "learner", ID(1), "call_name").stamp;
    p->now += 60000;
    edit(p, p->hub, "UPDATE learner SET call_name = 'later' WHERE id = '%s'", ID(2));
    pair_pull(p, a); /* read: what is shifted stays above it, what is not stays where it was */
    edit_offset(p, a, offset, "UPDATE learner SET use_family_name = 'x' WHERE id = '" ID(2) "'");
    prove_offset(p, a, offset);
    assert_true(cell_at(a, "learner", ID(1), "call_name").stamp == stamp);
    equal(p, a);
}

static void what_was_acknowledged_is_never_shifted(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t stamp;

    learner(p, a, ID(1), SITE_ID(p, 0));
    push_unheard(p, a);
    stamp = cell_at(a, "learner", ID(1), "call_name").stamp;
    prove_offset(p, a, 5 * HOUR); /* acknowledged by this very handshake */
    assert_true(cell_at(a, "learner", ID(1), "call_name").stamp == stamp);
    prove_offset(p, a, -5 * HOUR);
    assert_true(cell_at(a, "learner", ID(1), "call_name").stamp == stamp);
    equal(p, a);
}

static void a_clock_put_right_between_the_edit_and_the_handshake_is_cut_to_the_present(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    equal(p, a);
    edit_offset(p, a, -HOUR, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(1) "', (SELECT site_id FROM perche_self), 'one')");
    edit_offset(p, a, -HOUR, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(2) "', (SELECT site_id FROM perche_self), 'two')");
    prove_offset(p, a, 0); /* there is nothing to measure any more */
    assert_true(cell_at(a, "learner", ID(1), "call_name").stamp < cell_at(a, "learner", ID(2), "call_name").stamp);
    assert_true(cell_at(a, "learner", ID(2), "call_name").stamp >> 16 <= p->now);
    b = push_all(p, a);
    assert_int_equal(push_refused(p, a, &b), PERCHE_NO_NONE);
    parcel_end(&b);
    equal(p, a);
}

/* A line that ends again and again before anything is pushed: else an hour goes off with each handshake. */
static void what_a_handshake_has_put_right_the_next_one_leaves_alone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t blocks, one;

    equal(p, a);
    edit_offset(p, a, -HOUR, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(1) "', (SELECT site_id FROM perche_self), 'one')");
    p->now += 60000;
    prove_offset(p, a, -HOUR);
    one = cell_at(a, "learner", ID(1), "call_name").stamp;
    assert_true(one >> 16 == p->now - 60000);
    edit_offset(p, a, -HOUR, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(2) "', (SELECT site_id FROM perche_self), 'two')");
    p->now += 60000;
    prove_offset(p, a, -HOUR);
    assert_true(cell_at(a, "learner", ID(1), "call_name").stamp == one);
    assert_true(cell_at(a, "learner", ID(2), "call_name").stamp >> 16 == p->now - 60000); /* written since: once */
    blocks = (uint64_t)strtoull(asked(a->program, "SELECT count(*) FROM perche_history"), NULL, 10);
    prove_offset(p, a, -HOUR);
    assert_true(cell_at(a, "learner", ID(2), "call_name").stamp >> 16 == p->now - 60000);
    assert_true((uint64_t)strtoull(asked(a->program, "SELECT count(*) FROM perche_history"), NULL, 10) == blocks);
    p->now -= 90000; /* but nothing goes out of the hub's future */
    prove_offset(p, a, 0);
    assert_true(cell_at(a, "learner", ID(2), "call_name").stamp >> 16 <= p->now);
    p->now += 90000;
    equal(p, a);
    says(p->hub, "one,two", "SELECT group_concat(call_name) FROM (SELECT call_name FROM learner ORDER BY id)");
}

static void a_shifted_row_has_its_digest(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char *json;

    equal(p, a);
    edit_offset(p, a, -HOUR, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(1) "', (SELECT site_id FROM perche_self), 'one')");
    prove_offset(p, a, -HOUR);
    equal(p, a);
    json = pair_query(p, a, "verify", "{}");
    assert_string_not_equal(json_at(json, "$.equal"), "0");
    free(json);
}

static void many_rows_of_one_moment_keep_their_order(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t last = 0;

    equal(p, a);
    p->now += (uint64_t)HOUR;
    written(a, "INSERT INTO learner (id, home_site_id) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)"
               " SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), (SELECT site_id FROM perche_self) FROM n");
    harvest_here(p, a);
    p->now -= (uint64_t)HOUR;
    prove_offset(p, a, -HOUR);
    for (int i = 1; i <= 700; i += 99) {
        char id[40];
        uint64_t stamp;

        snprintf(id, sizeof id, "0198f3a0-0000-7000-8000-%012d", i);
        stamp = cell_at(a, "learner", id, NULL).stamp;
        assert_true(stamp > last);
        last = stamp;
    }
    equal(p, a);
    says(p->hub, "700", "SELECT count(*) FROM learner");
}

/* Its own values come back to it under stamps that they were not written with, rows of two tables in turn. */
static void what_a_handshake_has_shifted_its_author_has_seen(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    equal(p, a);
    p->now += (uint64_t)HOUR;
    for (int i = 0; i < 600; i += 100)
        written(a, "INSERT INTO learner (id, given_names, home_site_id) WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                   " SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), 'Ada', (SELECT site_id FROM perche_self) FROM n;"
                   " INSERT INTO learner_contact (id, learner_id, kind, value) SELECT substr(id, 1, 34) || 'cc', id, 'MAIL', 'x' FROM learner"
                   " WHERE id LIKE '%%%03d'", i, i + 99, i);
    harvest_here(p, a);
    p->now -= (uint64_t)HOUR;
    prove_offset(p, a, -HOUR);
    pair_push(p, a);
    edit(p, a, "DELETE FROM learner_contact");
    edit(p, a, "DELETE FROM learner WHERE id LIKE '%%7'");
    edit(p, a, "UPDATE learner SET given_names = 'Grace' WHERE id LIKE '%%8'");
    program(p->hub, "UPDATE perche_row SET flags = 0, entered = (SELECT lsn FROM perche_node), lsn = (SELECT lsn FROM perche_node)"); /* all comes whole */
    pair_pull(p, a);
    says(a, "0", "SELECT count(*) FROM perche_conflict");
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
    says(p->hub, "60", "SELECT count(*) FROM learner WHERE given_names = 'Grace'");
}

/* It is made again within seconds; a handshake does not wait for it, and its rows are put right as the others are. */
static void a_clock_is_put_right_while_a_table_is_gone(void **state)
{
    static const char *const tables[] = {"project", "thing"};
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    program(p->hub, "CREATE TABLE thing (id TEXT NOT NULL PRIMARY KEY, site_id TEXT, v TEXT)");
    free(pair_replicate(p, "{\"table\": \"thing\", \"scope\": \"site_id\"}"));
    pair_prove(p, a);
    equal(p, a);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char drop[64];

        edit_offset(p, a, -HOUR, "INSERT INTO thing SELECT 't' || count(*), (SELECT site_id FROM perche_self), 'ahead' FROM thing");
        edit_offset(p, a, -HOUR, "INSERT INTO project (site_id, title, kind) SELECT site_id, 'ahead', 'k' FROM perche_self");
        (void)snprintf(drop, sizeof drop, "DROP TABLE %s", tables[i]);
        program(a, drop);
        p->now += 60000;
        prove_offset(p, a, -HOUR);
        says(a, "0", "SELECT count(*) FROM sqlite_schema WHERE name = '%s'", tables[i]);
        for (int k = 0; k < 5; k++) { /* it is made again, and its rows are put back */
            p->now += 4000;
            harvest_here(p, a);
        }
        equal(p, a);
    }
    says(p->hub, "2 2", "SELECT (SELECT count(*) FROM thing WHERE v = 'ahead') || ' ' || (SELECT count(*) FROM project WHERE title = 'ahead')");
    says(a, "0", "SELECT count(*) FROM perche_refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_site_shows_its_position_and_its_newest_marks),
        TEST(a_hub_tells_what_it_has_and_the_site_counts_it_as_acknowledged),
        TEST(a_lost_reply_raises_no_alarm),
        TEST(a_site_put_back_to_an_older_copy_is_noticed),
        TEST(a_verdict_of_two_machines_and_one_that_cannot_be_change_nothing_at_the_site),
        TEST(what_the_site_has_carried_out_ends_its_marks),
        TEST(a_clock_that_is_near_changes_no_stamp),
        TEST(a_clock_ahead_is_put_back_and_the_order_stays),
        TEST(a_clock_behind_is_put_forward),
        TEST(an_edit_after_the_clock_was_put_forward_stays_above_the_one_before),
        TEST(a_shift_goes_below_nothing_that_the_site_has_read),
        TEST(a_shift_goes_below_nothing_that_the_hub_has_of_the_site),
        TEST(a_clock_of_the_year_2000_wins_and_loses_as_a_true_one),
        TEST(a_clock_of_the_year_2038_wins_and_loses_as_a_true_one),
        TEST(what_was_written_before_a_clock_went_wild_keeps_its_time),
        TEST(what_was_acknowledged_is_never_shifted),
        TEST(a_clock_put_right_between_the_edit_and_the_handshake_is_cut_to_the_present),
        TEST(what_a_handshake_has_put_right_the_next_one_leaves_alone),
        TEST(a_shifted_row_has_its_digest),
        TEST(many_rows_of_one_moment_keep_their_order),
        TEST(a_clock_is_put_right_while_a_table_is_gone),
        TEST(what_a_handshake_has_shifted_its_author_has_seen),
    };

    return cmocka_run_group_tests_name("replica_prove", tests, NULL, NULL);
}
