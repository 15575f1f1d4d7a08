/* Push: what a site sends of its changes, and what the hub makes of it (MODEL A 2, 4 to 6, 17 to 20; B 7, 18; C 5). */
#include "replica_steps.h"

static void a_row_goes_at_its_oldest_change_and_its_newer_cells_later(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;
    uint64_t first;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    cohort(p, a, ID(2), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE cohort SET code = 'R' WHERE id = '" ID(1) "'");
    first = header_at(a, "cohort", ID(1)).first;
    edit(p, a, "UPDATE cohort SET code = 'Q' WHERE id = '" ID(2) "'");
    edit(p, a, "UPDATE cohort SET seq = 9 WHERE id = '" ID(1) "'");
    assert_true(header_at(a, "cohort", ID(1)).first == first); /* the oldest, not the newest */
    b = push_made(p, a, state_of(p, a).acked, 1);
    assert_true(b.to == first && b.more);
    assert_int_equal(cells_in(b.message.u.push.batch, "cohort"), 1);
    assert_false(b.pipelined); /* a second batch that begins at `to` would not carry the row's rest */
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    says(p->hub, "R", "SELECT code FROM cohort WHERE id = '" ID(1) "'");
    says(p->hub, "", "SELECT seq FROM cohort WHERE id = '" ID(1) "'");
    assert_true(header_at(a, "cohort", ID(1)).first > first); /* due again, for the rest */
    equal(p, a);
    says(p->hub, "9", "SELECT seq FROM cohort WHERE id = '" ID(1) "'");
}

static void unpushed_is_what_lies_above_the_acknowledged_position(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    for (int i = 1; i < 8; i++)
        edit(p, a, "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-00000000000%d', (SELECT site_id FROM perche_self))", i);
    assert_int_equal(state_of(p, a).pending, 7);
    for (int left = 7; left > 0; left--) {
        b = push_made(p, a, state_of(p, a).acked, 1);
        assert_int_equal(b.rows, 1);
        assert_int_equal(b.message.u.push.pending, left);
        push_told(p, a, &b, push_taken(p, a, &b));
        assert_true(state_of(p, a).acked == b.to);
        assert_int_equal(state_of(p, a).pending, left - 1);
        parcel_end(&b);
    }
    says(p->hub, "7", "SELECT count(*) FROM learner");
}

static void a_second_batch_begins_where_the_first_ends(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel one, two;

    for (int i = 1; i < 5; i++)
        edit(p, a, "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-00000000000%d', (SELECT site_id FROM perche_self))", i);
    one = push_made(p, a, state_of(p, a).acked, 2);
    assert_true(one.more && one.pipelined);
    two = push_made(p, a, one.to, 2);
    assert_int_equal(two.rows, 2);
    assert_false(two.more);
    assert_int_equal(push_refused(p, a, &two), PERCHE_NO_POSITION); /* not before the first */
    push_told(p, a, &one, push_taken(p, a, &one));
    push_told(p, a, &two, push_taken(p, a, &two));
    assert_int_equal(state_of(p, a).pending, 0);
    parcel_end(&one);
    parcel_end(&two);
    equal(p, a);
    says(p->hub, "4", "SELECT count(*) FROM learner");
}

static void a_second_batch_claims_no_edit_made_after_the_first_was_built(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel one, two;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    cohort(p, a, ID(2), SITE_ID(p, 0));
    cohort(p, a, ID(3), SITE_ID(p, 0));
    one = push_made(p, a, state_of(p, a).acked, 1);
    assert_true(one.pipelined);
    edit(p, a, "UPDATE cohort SET code = 'late' WHERE id = '" ID(1) "'"); /* a row of the first batch, which is under way */
    two = push_made(p, a, one.to, 100);
    push_told(p, a, &one, push_taken(p, a, &one));
    push_told(p, a, &two, push_taken(p, a, &two));
    parcel_end(&one);
    parcel_end(&two);
    pair_push(p, a);
    says(p->hub, "late", "SELECT code FROM cohort WHERE id = '" ID(1) "'");
    equal(p, a);
}

static void an_edit_between_two_batches_waits_when_the_second_is_cut_before_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel one, two;

    for (int i = 1; i < 6; i++)
        edit(p, a, "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-00000000000%d', (SELECT site_id FROM perche_self))", i);
    one = push_made(p, a, state_of(p, a).acked, 1);
    edit(p, a, "UPDATE learner SET call_name = 'late' WHERE id = '" ID(1) "'");
    two = push_made(p, a, one.to, 2);
    assert_true(two.more);
    push_told(p, a, &one, push_taken(p, a, &one));
    push_told(p, a, &two, push_taken(p, a, &two));
    parcel_end(&one);
    parcel_end(&two);
    assert_int_equal(state_of(p, a).pending, 3);
    equal(p, a);
    says(p->hub, "late", "SELECT call_name FROM learner WHERE id = '" ID(1) "'");
}

/* 300 photographs, say: more than any message carries, in one message that never leaves. */
static void what_is_written_by_the_megabyte_into_rows_under_way_waits_for_their_acknowledgement(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel one, two;

    edit(p, a, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO learner (id, home_site_id)"
               " SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), '%s' FROM n", SITE_ID(p, 0));
    one = push_made(p, a, state_of(p, a).acked, 200);
    assert_true(one.pipelined);
    edit(p, a, "UPDATE learner SET given_names = printf('%%.100000c', 'x')");
    two = push_made(p, a, one.to, 200);
    assert_true(two.to == two.from && !two.more && two.rows == 0);
    push_told(p, a, &one, push_taken(p, a, &one));
    push_told(p, a, &two, push_taken(p, a, &two));
    parcel_end(&one);
    parcel_end(&two);
    one = push_all(p, a);
    assert_in_range(one.rows, 20, 40); /* three megabytes */
    parcel_end(&one);
    equal(p, a);
    says(p->hub, "30000000", "SELECT sum(length(given_names)) FROM learner");
}

static void a_row_and_one_that_the_hub_asks_for_are_no_message_when_each_is_as_large_as_one(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    edit(p, a, "INSERT INTO learner (id, home_site_id, given_names, call_name) VALUES ('" ID(1) "', '%s', printf('%%.5000000c', 'x'), printf('%%.5000000c', 'y'))", SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "INSERT INTO learner (id, home_site_id, given_names, call_name) VALUES ('" ID(2) "', '%s', printf('%%.5000000c', 'x'), printf('%%.5000000c', 'y'))", SITE_ID(p, 0));
    written(a, "INSERT INTO perche_wanted (tab, key, lsn, kind) SELECT tab, min(key), 0, 3 FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'learner')");
    b = push_all(p, a);
    assert_int_equal(b.rows, 1);
    assert_true(b.to > b.from); /* that one: the other is asked for again */
    parcel_end(&b);
    equal(p, a);
}

static void a_second_batch_claims_nothing_of_a_row_with_a_change_that_is_not_harvested(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel one, two;

    for (int i = 1; i < 4; i++)
        edit(p, a, "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-00000000000%d', (SELECT site_id FROM perche_self))", i);
    one = push_made(p, a, state_of(p, a).acked, 1);
    edit(p, a, "UPDATE learner SET call_name = 'late' WHERE id = '" ID(1) "'");
    p->now += 1000;
    written(a, "UPDATE learner SET ine = 'now' WHERE id = '" ID(1) "'"); /* between the harvest and the batch */
    two = push_made(p, a, one.to, 100);
    push_told(p, a, &one, push_taken(p, a, &one));
    push_told(p, a, &two, push_taken(p, a, &two));
    parcel_end(&one);
    parcel_end(&two);
    pair_push(p, a);
    says(p->hub, "late now 3", "SELECT call_name || ' ' || ine || ' ' || (SELECT count(*) FROM learner) FROM learner WHERE id = '" ID(1) "'");
    equal(p, a);
}

static void a_row_that_a_program_has_just_deleted_is_not_sent_without_its_values(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    cohort(p, a, ID(2), SITE_ID(p, 0));
    written(a, "DELETE FROM cohort WHERE id = '" ID(1) "'"); /* between the harvest and the batch */
    b = push_made(p, a, (uint64_t)atoll(asked(a->program, "SELECT acked FROM perche_node")), 100);
    assert_int_equal(rows_in(b.message.u.push.batch, "cohort"), 0);
    parcel_end(&b);
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
    says(p->hub, "1", "SELECT count(*) FROM cohort");
}

static void a_row_whose_insert_is_not_acknowledged_goes_whole(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    cohort(p, a, ID(2), SITE_ID(p, 0));
    edit(p, a, "UPDATE cohort SET seq = 9 WHERE id = '" ID(1) "'"); /* above the cut */
    b = push_made(p, a, state_of(p, a).acked, 1);
    assert_true(b.asof > b.to);
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    says(p->hub, "9", "SELECT seq FROM cohort WHERE id = '" ID(1) "'");
    edit(p, p->hub, "UPDATE cohort SET seq = 10 WHERE id = '" ID(1) "'"); /* who has read it */
    while (pull_once(p, a, 1 << 20))
        ;
    says(a, "10", "SELECT seq FROM cohort WHERE id = '" ID(1) "'");
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict"); /* what went whole counts as acknowledged up to as-of */
}

static void inserted_and_deleted_before_the_push_goes_with_its_generation(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    cohort(p, a, ID(2), SITE_ID(p, 0));
    edit(p, a, "DELETE FROM cohort WHERE id = '" ID(1) "'");
    b = push_made(p, a, state_of(p, a).acked, 1);
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    equal(p, a);
    says(p->hub, "1", "SELECT count(*) FROM cohort");
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
    assert_int_equal(header_at(p->hub, "cohort", ID(1)).gen, 2);
}

static void a_parent_goes_before_its_child_whatever_its_own_position(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    contact(p, a, ID(2), ID(1), "a@b.org"); /* a program may write the child first */
    learner(p, a, ID(1), SITE_ID(p, 0));
    assert_true(header_at(a, "learner_contact", ID(2)).first < header_at(a, "learner", ID(1)).first);
    b = push_made(p, a, state_of(p, a).acked, 1);
    assert_int_equal(rows_in(b.message.u.push.batch, "learner_contact"), 1);
    assert_int_equal(rows_in(b.message.u.push.batch, "learner"), 1);
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    says(p->hub, "1", "SELECT count(*) FROM learner_contact c JOIN learner l ON l.id = c.learner_id");
    equal(p, a); /* the parent may come again */
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
}

static void a_lost_acknowledgement_makes_no_conflict_with_ones_own_value(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET birth_family_name = 'v1'");
    push_unheard(p, a);
    edit(p, a, "UPDATE learner SET birth_family_name = 'v2'");
    equal(p, a);
    says(p->hub, "v2", "SELECT birth_family_name FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
}

static void an_answer_that_counts_more_than_its_batch_brought_acknowledges_no_later_cells(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    struct work w = pair_work(WORK_PUSH_BUILD, NULL), apply = pair_work(WORK_PUSH_APPLY, f), acked = pair_work(WORK_PUSH_ACKED, NULL);
    struct outcome o;

    edit(p, f, "INSERT INTO project (id, site_id, title, kind) VALUES ('0198f3a0-0000-7000-8000-000000000077', (SELECT site_id FROM perche_self), 'first', 'k')");
    o = pair_do(p, f, pair_work(WORK_STATE, NULL));
    w.from = acked.from = acked.to = o.state.acked;
    outcome_free(&o);
    w.bytes_max = 1 << 20;
    o = pair_read(p, f, w);
    apply.message = pair_line(&o);
    o = pair_do(p, p->hub, apply); /* its answer is not heard: the one to an empty batch that is built later says the same */
    acked.message = pair_line(&o);
    edit(p, f, "UPDATE project SET title = 'second'");
    o = pair_do(p, f, pair_work(WORK_STATE, NULL));
    acked.asof_lsn = o.state.lsn;
    outcome_free(&o);
    o = pair_do(p, f, acked);
    outcome_free(&o);
    pair_push(p, f);
    says(p->hub, "second", "SELECT title FROM project");
}

static void a_pull_says_what_the_hub_has_before_anything_is_merged(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET birth_family_name = 'v1'");
    push_unheard(p, a);
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'Y'"); /* has read v1 */
    while (pull_once(p, a, 1 << 20))
        ;
    assert_int_equal(state_of(p, a).pending, 0);
    says(a, "Y", "SELECT birth_family_name FROM learner");
    says(a, "0", "SELECT count(*) FROM perche_conflict");
    equal(p, a);
}

static void a_repeated_late_or_foreign_batch_does_nothing(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    struct parcel first, again;
    struct perche_message reply;
    uint64_t lsn;

    learner(p, a, ID(1), SITE_ID(p, 0));
    first = push_all(p, a);
    push_told(p, a, &first, push_taken(p, a, &first));
    equal(p, a);
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'newer'");
    lsn = state_of(p, p->hub).lsn;
    reply = push_taken(p, a, &first); /* late and repeated */
    assert_false(reply.refused);
    assert_true(reply.u.push_reply.have == state_of(p, a).acked);
    perche_message_free(&reply);
    assert_true(state_of(p, p->hub).lsn == lsn);
    says(p->hub, "newer", "SELECT birth_family_name FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
    parcel_end(&first);

    edit(p, a, "UPDATE learner SET call_name = 'x'");
    again = push_all(p, a);
    assert_int_equal(push_refused(p, b, &again), PERCHE_NO_POSITION); /* another site's */
    assert_true(state_of(p, p->hub).lsn == lsn);
    again.message.u.push.to = again.message.u.push.from - 1;
    assert_int_equal(push_refused(p, a, &again), PERCHE_NO_POSITION);
    parcel_end(&again);
    equal(p, a);
}

/* Its values would be known, were they history; refused ones are not. */
static void a_repeated_batch_is_not_refused_once_more(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel first;
    struct perche_message reply;
    uint64_t lsn;

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET restricted = 1"); /* the hub's column */
    first = push_all(p, a);
    push_told(p, a, &first, push_taken(p, a, &first));
    equal(p, a);
    says(a, "1", "SELECT count(*) FROM perche_refused");
    lsn = state_of(p, p->hub).lsn;
    reply = push_taken(p, a, &first);
    assert_true(reply.u.push_reply.have == state_of(p, a).acked);
    perche_message_free(&reply);
    assert_true(state_of(p, p->hub).lsn == lsn);
    equal(p, a);
    says(a, "1", "SELECT count(*) FROM perche_refused");
    parcel_end(&first);
}

static void a_batch_ahead_of_the_cursor_is_refused_with_the_position(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;
    struct perche_message reply;
    uint64_t have = state_of(p, a).acked, lsn = state_of(p, p->hub).lsn;

    learner(p, a, ID(1), SITE_ID(p, 0));
    b = push_all(p, a);
    b.message.u.push.from++;
    reply = push_taken(p, a, &b);
    assert_true(reply.refused);
    assert_int_equal(reply.u.no.why, PERCHE_NO_POSITION);
    assert_true(reply.u.no.have == have);
    perche_message_free(&reply);
    parcel_end(&b);
    assert_true(state_of(p, p->hub).lsn == lsn);
    says(p->hub, "0", "SELECT count(*) FROM learner");
}

static void a_batch_that_does_not_decode_is_refused_whole(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    learner(p, a, ID(1), SITE_ID(p, 0));
    b = push_all(p, a);
    b.message.u.push.batch.n--;
    assert_int_equal(push_refused(p, a, &b), PERCHE_NO_BAD);
    parcel_end(&b);
    says(p->hub, "0", "SELECT count(*) FROM learner");
    equal(p, a);
}

static void a_stamp_too_far_ahead_refuses_the_whole_batch_and_nothing_of_it_is_kept(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;
    struct state before, after;

    learner(p, a, ID(1), SITE_ID(p, 0));
    edit_offset(p, a, -300000, "UPDATE learner SET call_name = 'later'"); /* its clock jumps five minutes ahead */
    before = state_of(p, p->hub);
    b = push_all(p, a);
    assert_int_equal(push_refused(p, a, &b), PERCHE_NO_CLOCK);
    parcel_end(&b);
    after = state_of(p, p->hub);
    assert_true(after.lsn == before.lsn && after.stamp == before.stamp);
    says(p->hub, "0", "SELECT count(*) FROM learner");
    prove_offset(p, a, -300000);
    pair_push(p, a);
    says(p->hub, "later", "SELECT call_name FROM learner");
    assert_true(state_of(p, p->hub).stamp >> 16 <= p->now);
    equal(p, a);
}

static void up_to_a_minute_ahead_is_taken(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    learner(p, a, ID(1), SITE_ID(p, 0));
    edit_offset(p, a, -58000, "UPDATE learner SET call_name = 'soon'");
    b = push_all(p, a);
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    says(p->hub, "soon", "SELECT call_name FROM learner");
    edit(p, p->hub, "UPDATE learner SET call_name = 'hub'"); /* who has read it, wins */
    equal(p, a);
    says(a, "hub", "SELECT call_name FROM learner");
}

static void a_hub_whose_clock_ran_ahead_takes_what_was_written_over_its_values(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit_offset(p, p->hub, -(int64_t)SECOND(86400), "UPDATE learner SET call_name = 'tomorrow'");
    while (pull_once(p, a, 1 << 20))
        ;
    edit(p, a, "UPDATE learner SET call_name = 'mine'");
    b = push_all(p, a);
    assert_int_equal(push_refused(p, a, &b), PERCHE_NO_NONE); /* beyond its clock, not beyond its last stamp */
    parcel_end(&b);
    says(p->hub, "mine", "SELECT call_name FROM learner");
    equal(p, a);
}

static void conflict_rows_are_not_tested_for_the_clock_and_do_not_advance_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_batch *b = perche_batch_new();
    uint64_t stamp = state_of(p, p->hub).stamp;
    struct hand h = {.table = "perche_conflict", .uuid = ID(7), .gen = 1, .flags = PERCHE_ROW_GEN, .stamp = (p->now + (int64_t)SECOND(86400)) << 16,
                     .origin = SITE_ID(p, 0), .scope = SITE_ID(p, 0),
                     .cells = {{"tab", text_of("learner")}, {"key", text_of("[\"" ID(1) "\"]")}, {"col", text_of("ine")},
                               {"kind", text_of("review")}, {"state", text_of("open")}}};

    hand_in(b, &h);
    assert_int_equal(push_by_hand(p, a, b), PERCHE_NO_NONE);
    says(p->hub, "1", "SELECT count(*) FROM perche_conflict");
    assert_true(state_of(p, p->hub).stamp == stamp);
}

static void a_fixed_stamp_is_taken_and_does_not_advance_the_clock(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_batch *b;
    struct parcel parcel;
    uint64_t stamp;

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET call_name = 'fixed'");
    stamp = state_of(p, p->hub).stamp;
    parcel = push_all(p, a);
    b = batch_of(parcel.message.u.push.batch);
    b->parts[0].cells[0].stamp += SECOND(86400) << 16;
    b->parts[0].cells[0].flags |= PERCHE_CELL_FIXED;
    parcel.message.u.push.batch = batch_bytes(&parcel.message, b);
    assert_int_equal(push_refused(p, a, &parcel), PERCHE_NO_NONE);
    parcel_end(&parcel);
    says(p->hub, "fixed", "SELECT call_name FROM learner");
    assert_true(state_of(p, p->hub).stamp == stamp);
    assert_true(cell_at(p->hub, "learner", ID(1), "call_name").fixed);
}

static void a_fixed_insert_is_taken_unless_no_clock_can_have_said_its_time(void **state)
{
    static const struct { const char *uuid; uint64_t days; const char *taken; } rows[] = {{ID(7), 300, "1"}, {ID(8), 400, "0"}};
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t stamp = state_of(p, p->hub).stamp;

    for (int i = 0; i < 2; i++) {
        struct perche_batch *b = perche_batch_new();
        struct hand h = {.table = "learner", .uuid = rows[i].uuid, .gen = 1, .flags = PERCHE_ROW_GEN | PERCHE_ROW_FIXED,
                         .stamp = (p->now + SECOND(86400) * rows[i].days) << 16, .origin = SITE_ID(p, 0), .scope = SITE_ID(p, 0),
                         .cells = {{"home_site_id", text_of(SITE_ID(p, 0))}}};

        hand_in(b, &h);
        b->parts[0].cells[0].flags |= PERCHE_CELL_FIXED;
        assert_int_equal(push_by_hand(p, a, b), PERCHE_NO_NONE);
        says(p->hub, rows[i].taken, "SELECT count(*) FROM learner WHERE id = '%s'", rows[i].uuid);
    }
    says(p->hub, "clock", "SELECT group_concat(reason) FROM perche_refusal");
    assert_true(state_of(p, p->hub).stamp == stamp);
    says(p->hub, "1", "SELECT max(stamp) >> 16 <= %lld FROM perche_peer", (long long)p->now);
}

/* A stamp of a clock ahead that moved no clock: who writes the cell next had read it. */
static void an_edit_over_a_fixed_stamp_is_above_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_batch *b;
    struct parcel parcel;
    uint64_t ahead;

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET call_name = 'fixed'");
    parcel = push_all(p, a);
    b = batch_of(parcel.message.u.push.batch);
    ahead = b->parts[0].cells[0].stamp += SECOND(86400) << 16;
    b->parts[0].cells[0].flags |= PERCHE_CELL_FIXED;
    parcel.message.u.push.batch = batch_bytes(&parcel.message, b);
    assert_int_equal(push_refused(p, a, &parcel), PERCHE_NO_NONE);
    parcel_end(&parcel);
    says(p->hub, "1", "SELECT stamp >> 16 <= %lld FROM perche_peer WHERE site = (SELECT num FROM perche_name WHERE text = '%s')", (long long)p->now, SITE_ID(p, 0));

    edit(p, p->hub, "UPDATE learner SET call_name = 'of the hub'"); /* to a row that is now as far ahead */
    assert_true(cell_at(p->hub, "learner", ID(1), "call_name").stamp > ahead);
    assert_true(state_of(p, p->hub).stamp < ahead);
    pair_sync(p, a);
    says(a, "of the hub", "SELECT call_name FROM learner");
    edit(p, a, "UPDATE learner SET call_name = 'of the site', given_names = 'Ada'");
    assert_true(state_of(p, a).stamp < ahead);
    assert_false(cell_at(a, "learner", ID(1), "given_names").fixed);
    equal(p, a);
    says(p->hub, "of the site", "SELECT call_name FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
}

static void an_empty_push_tells_how_far_the_site_has_pulled(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;
    struct state s;
    char expected[64];

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    while (pull_once(p, a, 1 << 20))
        ;
    b = push_all(p, a);
    assert_int_equal(b.message.u.push.batch.n, 0);
    assert_int_equal(push_refused(p, a, &b), PERCHE_NO_NONE);
    parcel_end(&b);
    s = state_of(p, a);
    snprintf(expected, sizeof expected, "%llu %llu %llu", (unsigned long long)s.full, (unsigned long long)s.scan, (unsigned long long)s.done);
    says(p->hub, expected, "SELECT full || ' ' || scan || ' ' || done FROM perche_peer WHERE site = (SELECT num FROM perche_name WHERE text = '%s')", SITE_ID(p, 0));
}

static void a_hub_that_has_more_than_there_is_is_not_believed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct work w = pair_work(WORK_PUSH_ACKED, NULL);
    struct state s;
    struct outcome o;

    learner(p, a, ID(1), SITE_ID(p, 0));
    s = state_of(p, a);
    w.from = s.acked;
    w.to = s.lsn;
    w.message.op = PERCHE_OP_PUSH;
    w.message.reply = true;
    w.message.u.push_reply.have = s.lsn + 1;
    o = pair_try(p, a, &w);
    assert_int_equal(o.rc, PERCHE_STALE);
    outcome_free(&o);
    assert_int_equal(state_of(p, a).pending, 1);
}

/* The hub loses a row, as by a restore that nobody noticed. */
static void forget(struct fixture *f, const char *table, const char *uuid)
{
    written(f, "DELETE FROM %s WHERE id = '%s'; DELETE FROM perche_capture; DELETE FROM perche_gone_%s;"
               "DELETE FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = '%s') AND key = unhex(replace('%s', '-', ''))",
            table, uuid, table, table, uuid);
}

static void hub_unhex(sqlite3_context *c, int n, sqlite3_value **v)
{
    const char *hex = (const char *)sqlite3_value_text(v[0]);
    uint8_t out[64];
    int k = 0;

    (void)n;
    for (; hex[2 * k] != '\0' && k < 64; k++)
        sscanf(hex + 2 * k, "%2hhx", &out[k]);
    sqlite3_result_blob(c, out, k, SQLITE_TRANSIENT);
}

static void lose(struct fixture *f, const char *table, const char *uuid)
{
    assert_int_equal(sqlite3_create_function(f->program, "unhex", 1, SQLITE_UTF8, NULL, hub_unhex, NULL, NULL), SQLITE_OK);
    forget(f, table, uuid);
    assert_false(header_at(f, table, uuid).stored);
}

static void a_row_that_the_hub_lacks_is_asked_for_and_goes_whole(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;
    struct perche_message reply;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    lose(p->hub, "cohort", ID(1));
    edit(p, a, "UPDATE cohort SET code = 'x'");
    b = push_all(p, a);
    reply = push_taken(p, a, &b);
    assert_int_equal(reply.u.push_reply.wants_count, 1);
    assert_string_equal(reply.u.push_reply.wants[0].table, "cohort");
    push_told(p, a, &b, reply);
    parcel_end(&b);
    says(p->hub, "row", "SELECT reason FROM perche_parked"); /* durable until it comes */
    says(p->hub, "0", "SELECT count(*) FROM cohort");
    pair_push(p, a);
    says(p->hub, "x 12", "SELECT code || ' ' || capacity FROM cohort");
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
    b = push_all(p, a);
    assert_int_equal(b.rows, 0); /* sent once */
    parcel_end(&b);
}

static void a_row_is_asked_for_again_when_the_answer_that_asked_was_lost(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct work w = pair_work(WORK_PUSH_APPLY, a);
    struct outcome o;
    struct parcel b;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    lose(p->hub, "cohort", ID(1));
    edit(p, a, "UPDATE cohort SET code = 'x'");
    push_unheard(p, a);
    pair_prove(p, a); /* and hears what the hub has: nothing is left to be sent */
    b = push_all(p, a);
    assert_int_equal(b.rows, 0);
    push_told(p, a, &b, push_taken(p, a, &b)); /* not the first of its session: silence */
    parcel_end(&b);
    b = push_all(p, a);
    w.first_push = true;
    w.message = message_copy(&b.message);
    o = pair_do(p, p->hub, w);
    assert_int_equal(o.message.u.push_reply.wants_count, 1);
    push_told(p, a, &b, pair_line(&o));
    parcel_end(&b);
    pair_push(p, a);
    says(p->hub, "x", "SELECT code FROM cohort");
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
}

/* An answer asks for PERCHE_KEYS_MAX of them at most. */
static void more_rows_than_one_answer_asks_for_come_with_the_next_ones(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    edit(p, a, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
               " INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
               " SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), '%s', 't', 'P1', '2026-01-05', '2026-06-30', 12, 'SITE', 'PLANNED' FROM n",
         PERCHE_KEYS_MAX + 2, SITE_ID(p, 0));
    equal(p, a);
    written(p->hub, "DELETE FROM cohort; DELETE FROM perche_capture; DELETE FROM perche_gone_cohort;"
                    " DELETE FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'cohort')");
    edit(p, a, "UPDATE cohort SET code = 'x'");
    b = push_all(p, a);
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    for (int i = 0; i < 2; i++) {
        b = push_all(p, a);
        assert_int_equal(b.rows, i == 0 ? PERCHE_KEYS_MAX : 2);
        push_told(p, a, &b, push_taken(p, a, &b));
        parcel_end(&b);
    }
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
    says(p->hub, "0", "SELECT count(*) FROM cohort WHERE code <> 'x'");
}

/* ... and a message has room for few of them, where they are large. */
static void large_rows_that_are_asked_for_come_one_batch_after_the_other(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint32_t batches = 0, rows = 0;
    struct parcel b;

    for (int i = 0; i < 12; i++)
        edit(p, a, "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
                   " VALUES ('0198f3a0-0000-7000-8000-%012d', '%s', 't', hex(randomblob(2000000)), '', '', 12, 'SITE', 'PLANNED')", i, SITE_ID(p, 0));
    equal(p, a);
    written(p->hub, "DELETE FROM cohort; DELETE FROM perche_capture; DELETE FROM perche_gone_cohort;"
                    " DELETE FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'cohort')");
    edit(p, a, "UPDATE cohort SET capacity = 13");
    b = push_all(p, a);
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    for (; rows < 12 && batches < 20; batches++) {
        b = push_all(p, a);
        rows += b.rows;
        push_told(p, a, &b, push_taken(p, a, &b));
        parcel_end(&b);
    }
    assert_int_equal(rows, 12);
    assert_in_range(batches, 4, 12);
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
    says(p->hub, "12", "SELECT count(*) FROM cohort WHERE capacity = 13");
}

static void a_row_that_is_gone_meanwhile_goes_as_a_tombstone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    lose(p->hub, "cohort", ID(1));
    edit(p, a, "UPDATE cohort SET code = 'x'");
    b = push_all(p, a);
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    edit(p, a, "DELETE FROM cohort");
    pair_push(p, a);
    says(p->hub, "0", "SELECT count(*) FROM cohort");
    assert_int_equal(header_at(p->hub, "cohort", ID(1)).gen, 2);
    assert_string_equal(header_at(p->hub, "cohort", ID(1)).scope, SITE_ID(p, 0));
}

static void what_the_hub_asks_for_while_a_second_batch_is_under_way_is_sent_with_the_next(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel one, two;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    cohort(p, a, ID(2), SITE_ID(p, 0));
    equal(p, a);
    lose(p->hub, "cohort", ID(1));
    edit(p, a, "UPDATE cohort SET code = 'x' WHERE id = '" ID(1) "'");
    edit(p, a, "UPDATE cohort SET code = 'y' WHERE id = '" ID(2) "'");
    one = push_made(p, a, state_of(p, a).acked, 1);
    two = push_made(p, a, one.to, 1);
    push_told(p, a, &one, push_taken(p, a, &one));
    push_told(p, a, &two, push_taken(p, a, &two)); /* it was built before the hub had asked */
    parcel_end(&one);
    parcel_end(&two);
    pair_push(p, a);
    says(p->hub, "x", "SELECT code FROM cohort WHERE id = '" ID(1) "'");
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
}

static void a_batch_stays_within_its_rows_and_about_its_bytes(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct work w = pair_work(WORK_PUSH_BUILD, NULL);
    struct outcome o;
    uint64_t batches = 0, rows = 0;

    written(a, "INSERT INTO learner (id, home_site_id, given_names) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
               " SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), (SELECT site_id FROM perche_self), hex(randomblob(50)) FROM n");
    harvest_here(p, a);
    w.from = state_of(p, a).acked;
    w.rows_max = 10;
    w.bytes_max = 1 << 20;
    o = pair_read(p, a, w);
    assert_int_equal(o.rows, 10);
    assert_true(o.more);
    outcome_free(&o);
    while (state_of(p, a).pending > 0) {
        struct parcel b = {.from = state_of(p, a).acked};

        w.from = b.from;
        w.rows_max = 100000;
        w.bytes_max = 8192;
        o = pair_read(p, a, w);
        b.rows = o.rows;
        b.message = pair_line(&o);
        b.to = b.message.u.push.to;
        b.asof = b.message.u.push.asof.lsn;
        assert_in_range(b.message.u.push.batch.n, 1, 3 * 8192 + 4096);
        assert_in_range(b.rows, 1, 1000);
        push_told(p, a, &b, push_taken(p, a, &b));
        parcel_end(&b);
        batches++;
        rows += b.rows;
    }
    assert_in_range(batches, 10, 200);
    assert_int_equal(rows, 3000);
    says(p->hub, "3000", "SELECT count(*) FROM learner");
    equal(p, a);
}

static void two_sites_batches_are_one_commit_and_one_that_is_refused_spoils_nothing(void **state)
{
    struct pair *p = *state;
    struct parcel b[2];
    struct work w[2];
    struct outcome o[2];

    for (int i = 0; i < 2; i++) {
        edit(p, p->sites[i], "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-00000000000%d', (SELECT site_id FROM perche_self))", i);
        b[i] = push_all(p, p->sites[i]);
        w[i] = pair_work(WORK_PUSH_APPLY, p->sites[i]);
        w[i].now_ms = p->now;
        pair_random(p, w[i].random);
    }
    b[0].message.u.push.from++;
    for (int i = 0; i < 2; i++)
        w[i].message = message_copy(&b[i].message);
    replica_perform(p->hub->r, w, o, 2);
    assert_int_equal(o[0].rc, PERCHE_OK);
    assert_true(o[0].message.refused);
    assert_int_equal(o[1].rc, PERCHE_OK);
    assert_false(o[1].message.refused);
    for (int i = 0; i < 2; i++) {
        work_free(&w[i]);
        outcome_free(&o[i]);
        parcel_end(&b[i]);
    }
    says(p->hub, "1", "SELECT count(*) FROM learner");
    equal(p, p->sites[0]);
    equal(p, p->sites[1]);
    says(p->hub, "2", "SELECT count(*) FROM learner");
}

static void two_inserts_of_one_key_merge_cell_by_cell_and_ask(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 2; i++)
        edit(p, p->sites[i], "INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
                             " VALUES ('" ID(1) "', '" ID(2) "', '" ID(3) "', '%s', '%s', '" ID(4) "', '2026-01-0%d', '2026-03-01', 'DRAFT')",
             SITE_ID(p, 0), SITE_ID(p, 1), i + 1);
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    for (int i = 0; i < 2; i++) {
        says(p->sites[i], "2026-01-02 2026-03-01", "SELECT asked_on || ' ' || effective_on FROM transfer");
        says(p->sites[i], "[\"transfer\",\"asked_on\",\"2026-01-01\",\"2026-01-02\",\"open\"]", "SELECT json_array(tab, col, a_value, b_value, state) FROM perche_conflict");
        equal(p, p->sites[i]);
    }
}

/* Two machines, or one that shook hands again: what waits of the older session is not counted, or the newer one would take
 * its positions for its own (MODEL A 6). */
static void a_batch_that_waited_while_a_newer_session_began_does_nothing(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t sessions[2];
    struct parcel one;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    one = push_all(p, a);
    for (int i = 0; i < 2; i++) {
        pair_prove(p, a);
        sessions[i] = strtoull(asked(p->hub->program, "SELECT max(session) FROM perche_peer"), NULL, 10);
    }
    for (int i = 0; i < 2; i++) {
        struct work w = pair_work(WORK_PUSH_APPLY, a);
        struct perche_message m;
        struct outcome o;

        w.session = sessions[i];
        w.message = message_copy(&one.message);
        o = pair_do(p, p->hub, w);
        m = pair_line(&o);
        assert_int_equal(m.refused, i == 0);
        if (i == 0)
            assert_int_equal(m.u.no.why, PERCHE_NO_SESSION);
        perche_message_free(&m);
        says(p->hub, i == 0 ? "0" : "1", "SELECT count(*) FROM cohort");
    }
    parcel_end(&one);
}

/* Asked at each push, answer and handshake, whatever has been set aside of others. */
static void what_waits_of_a_site_is_found_by_an_index(void **state)
{
    static const char *const asks[] = {
        "SELECT 1 FROM perche_parked WHERE via = ?1",
        "SELECT count(*) FROM perche_parked WHERE via = ?1 AND reason = 'row'",
        ("SELECT DISTINCT tab, key FROM perche_parked p WHERE via = ?1 AND reason = 'row' AND NOT EXISTS"
         " (SELECT 1 FROM perche_parked o WHERE o.tab = p.tab AND o.key = p.key AND o.reason <> 'row') LIMIT ?2"),
        "SELECT n FROM perche_parked WHERE tab = ?1 AND key = ?2 AND n > ?3 ORDER BY n",
    };
    struct pair *p = *state;

    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        char text[300];
        sqlite3_stmt *s;

        snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", asks[i]);
        assert_int_equal(sqlite3_prepare_v2(p->hub->program, text, -1, &s, NULL), SQLITE_OK);
        while (sqlite3_step(s) == SQLITE_ROW)
            assert_null(strstr((const char *)sqlite3_column_text(s, 3), "SCAN"));
        sqlite3_finalize(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_that_waited_while_a_newer_session_began_does_nothing),
        TEST(a_row_goes_at_its_oldest_change_and_its_newer_cells_later),
        TEST(unpushed_is_what_lies_above_the_acknowledged_position),
        TEST(a_second_batch_begins_where_the_first_ends),
        TEST(a_second_batch_claims_no_edit_made_after_the_first_was_built),
        TEST(what_is_written_by_the_megabyte_into_rows_under_way_waits_for_their_acknowledgement),
        TEST(a_row_and_one_that_the_hub_asks_for_are_no_message_when_each_is_as_large_as_one),
        TEST(an_edit_between_two_batches_waits_when_the_second_is_cut_before_it),
        TEST(a_second_batch_claims_nothing_of_a_row_with_a_change_that_is_not_harvested),
        TEST(a_row_that_a_program_has_just_deleted_is_not_sent_without_its_values),
        TEST(a_row_whose_insert_is_not_acknowledged_goes_whole),
        TEST(inserted_and_deleted_before_the_push_goes_with_its_generation),
        TEST(a_parent_goes_before_its_child_whatever_its_own_position),
        TEST(a_lost_acknowledgement_makes_no_conflict_with_ones_own_value),
        TEST(an_answer_that_counts_more_than_its_batch_brought_acknowledges_no_later_cells),
        TEST(a_pull_says_what_the_hub_has_before_anything_is_merged),
        TEST(a_repeated_late_or_foreign_batch_does_nothing),
        TEST(a_repeated_batch_is_not_refused_once_more),
        TEST(a_batch_ahead_of_the_cursor_is_refused_with_the_position),
        TEST(a_batch_that_does_not_decode_is_refused_whole),
        TEST(a_stamp_too_far_ahead_refuses_the_whole_batch_and_nothing_of_it_is_kept),
        TEST(up_to_a_minute_ahead_is_taken),
        TEST(a_hub_whose_clock_ran_ahead_takes_what_was_written_over_its_values),
        TEST(conflict_rows_are_not_tested_for_the_clock_and_do_not_advance_it),
        TEST(a_fixed_stamp_is_taken_and_does_not_advance_the_clock),
        TEST(a_fixed_insert_is_taken_unless_no_clock_can_have_said_its_time),
        TEST(an_edit_over_a_fixed_stamp_is_above_it),
        TEST(an_empty_push_tells_how_far_the_site_has_pulled),
        TEST(a_hub_that_has_more_than_there_is_is_not_believed),
        TEST(a_row_that_the_hub_lacks_is_asked_for_and_goes_whole),
        TEST(a_row_is_asked_for_again_when_the_answer_that_asked_was_lost),
        TEST(more_rows_than_one_answer_asks_for_come_with_the_next_ones),
        TEST(large_rows_that_are_asked_for_come_one_batch_after_the_other),
        TEST(a_row_that_is_gone_meanwhile_goes_as_a_tombstone),
        TEST(what_the_hub_asks_for_while_a_second_batch_is_under_way_is_sent_with_the_next),
        TEST(a_batch_stays_within_its_rows_and_about_its_bytes),
        TEST(two_sites_batches_are_one_commit_and_one_that_is_refused_spoils_nothing),
        TEST(two_inserts_of_one_key_merge_cell_by_cell_and_ask),
        TEST(what_waits_of_a_site_is_found_by_an_index),
    };

    return cmocka_run_group_tests_name("replica_push", tests, NULL, NULL);
}
