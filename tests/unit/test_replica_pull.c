/* Pull: what the hub has for a site, and what the site makes of it (MODEL A 1, 3, 8; B 1, 4 to 6, 8 to 11, 20, 21; C 1, 6). */
#include "replica_steps.h"

#define MARKS "SELECT count(*) FROM perche_left WHERE ended = 0"

/* Rows of a kilobyte each that do not shrink, so that an answer is cut. */
static void ballast(struct pair *p, int n)
{
    char text[1500];

    for (int i = 0; i < n; i++) {
        for (size_t k = 0; k + 1 < sizeof text; k++)
            text[k] = (char)('a' + (int)((k * 7919 + k * k * 31 + (size_t)i * 104729) % 26));
        text[sizeof text - 1] = '\0';
        edit(p, p->hub, "INSERT INTO learner (id, home_site_id, given_names) VALUES ('0198f3a0-0000-7000-8000-0000000009%02d', '%s', '%s')",
             i, SITE_ID(p, 0), text);
    }
}

static void a_row_that_moves_up_between_two_answers_loses_none_of_its_older_cells(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t full;

    ballast(p, 2);
    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, p->hub, "UPDATE cohort SET code = 'old'");
    edit(p, p->hub, "UPDATE learner SET given_names = given_names || 'x'");
    edit(p, p->hub, "UPDATE cohort SET seq = 9"); /* now the row stands behind the learners */
    full = state_of(p, a).full;
    assert_true(pull_once(p, a, 500));
    assert_true(state_of(p, a).full == full); /* only the answer that says "no more" moves it */
    assert_true(state_of(p, a).scan > full);
    edit(p, p->hub, "UPDATE cohort SET status = 'OPEN'"); /* and once more */
    while (pull_once(p, a, 500))
        ;
    says(a, "old 9 OPEN", "SELECT code || ' ' || seq || ' ' || status FROM cohort");
    assert_true(state_of(p, a).full == state_of(p, a).scan);
    equal(p, a);
}

static void an_answer_stays_near_the_bytes_asked_for(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint32_t answers = 0, rows = 0;
    bool more = true;

    equal(p, a);
    ballast(p, 40);
    while (more) {
        struct perche_message m = pull_made(p, a, 4096);
        struct outcome o;

        assert_in_range(m.u.pull_reply.batch.n, 1, 3 * 4096 + 4096);
        rows += rows_in(m.u.pull_reply.batch, NULL);
        more = m.u.pull_reply.more;
        o = pull_heard(p, a, m);
        outcome_free(&o);
        answers++;
    }
    assert_in_range(answers, 4, 40);
    assert_int_equal(rows, 40);
    equal(p, a);
}

static void an_image_and_a_row_are_no_answer_when_each_is_as_large_as_one(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message m;
    struct outcome o;

    edit(p, p->hub, "INSERT INTO learner (id, home_site_id, given_names, call_name) VALUES ('" ID(1) "', '%s', printf('%%.5000000c', 'x'), printf('%%.5000000c', 'y'))", SITE_ID(p, 0));
    equal(p, a);
    edit(p, p->hub, "INSERT INTO learner (id, home_site_id, given_names, call_name) VALUES ('" ID(2) "', '%s', printf('%%.5000000c', 'x'), printf('%%.5000000c', 'y'))", SITE_ID(p, 0));
    written(a, "INSERT INTO perche_wanted (tab, key, lsn, kind) SELECT tab, key, 1, 1 FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'learner')");
    m = pull_made(p, a, 1 << 20);
    assert_int_equal(rows_in(m.u.pull_reply.batch, "learner"), 1);
    o = pull_heard(p, a, m);
    outcome_free(&o);
    says(a, "2", "SELECT count(*) FROM learner");
    says(a, "1", "SELECT count(*) FROM perche_wanted");
    pull_once(p, a, 1 << 20);
    says(a, "0", "SELECT count(*) FROM perche_wanted");
    equal(p, a);
}

static void rows_of_several_scopes_come_in_one_order(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    equal(p, a);
    for (int i = 1; i <= 4; i++) { /* of everybody, and of this site, in turn */
        edit(p, p->hub, "INSERT INTO organisation (id, name) VALUES ('0198f3a0-0000-7000-8000-00000000010%d', printf('%%.200c', 'x'))", i);
        edit(p, p->hub, "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-00000000020%d', '%s')", i, SITE_ID(p, 0));
    }
    while (pull_once(p, a, 100))
        ;
    says(a, "4", "SELECT count(*) FROM organisation WHERE id LIKE '0198f3a0-0000-7000-8000-0000000001%%'");
    says(a, "4", "SELECT count(*) FROM learner");
}

static void a_late_answer_is_known_as_one(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message answer, again;
    struct work w = pair_work(WORK_PULL_APPLY, NULL);
    struct outcome o;
    struct state before;

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    answer = pull_made(p, a, 1 << 20);
    again = message_copy(&answer);
    o = pull_heard(p, a, answer);
    outcome_free(&o);
    edit(p, a, "DELETE FROM cohort");
    before = state_of(p, a);
    w.message = again;
    o = pair_try(p, a, &w);
    assert_int_equal(o.rc, PERCHE_STALE);
    outcome_free(&o);
    assert_true(state_of(p, a).lsn == before.lsn);
    says(a, "0", "SELECT count(*) FROM cohort");
    equal(p, a);
}

static void an_answer_that_claims_more_of_the_site_than_there_is_is_not_taken(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct work w = pair_work(WORK_PULL_APPLY, NULL);
    struct outcome o;

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    w.message = pull_made(p, a, 1 << 20);
    w.message.u.pull_reply.have = state_of(p, a).lsn + 1;
    o = pair_try(p, a, &w);
    assert_int_equal(o.rc, PERCHE_STALE);
    outcome_free(&o);
    says(a, "0", "SELECT count(*) FROM cohort");
}

static void what_came_from_a_site_does_not_go_back_to_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message m;

    equal(p, a);
    cohort(p, a, ID(1), SITE_ID(p, 0));
    pair_push(p, a);
    m = pull_made(p, a, 1 << 20);
    assert_int_equal(m.u.pull_reply.batch.n, 0);
    perche_message_free(&m);
    edit(p, a, "UPDATE cohort SET seq = 4");
    pair_push(p, a);
    edit(p, p->hub, "UPDATE cohort SET code = 'x'");
    m = pull_made(p, a, 1 << 20);
    assert_int_equal(cells_in(m.u.pull_reply.batch, "cohort"), 1);
    perche_message_free(&m);
    equal(p, a);
}

static void a_clean_site_takes_the_hubs_value_whatever_it_has_skipped(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'X'");
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'Y'");
    equal(p, a);
    says(a, "Y", "SELECT birth_family_name FROM learner");
    says(a, "0", "SELECT count(*) FROM perche_conflict");
}

static void what_a_program_wrote_before_the_answer_is_harvested_first(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'hub'");
    p->now += 1000;
    written(a, "UPDATE learner SET birth_family_name = 'program'"); /* nobody has harvested */
    written(a, "UPDATE perche_capture SET at = %llu", (unsigned long long)p->now);
    pull_once(p, a, 1 << 20);
    says(a, "program", "SELECT birth_family_name FROM learner"); /* not overwritten unseen */
    says(a, "1", "SELECT count(*) FROM perche_conflict WHERE state = 'open'");
    equal(p, a);
    says(p->hub, "1", "SELECT count(*) FROM perche_conflict WHERE state = 'open'");
}

static void a_whole_row_repeats_a_sites_own_value_without_changing_its_way(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct clock_cell before, after;

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    before = cell_at(a, "learner", ID(1), "call_name");
    edit(p, p->hub, "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)"
                    " VALUES ('" ID(2) "', '" ID(1) "', 'c', '%s', '2026-01-05', '2026-06-30')", SITE_ID(p, 1)); /* the scope changes: whole to both */
    equal(p, a);
    assert_string_equal(header_at(a, "learner", ID(1)).scope, scope_text(p, 3));
    after = cell_at(a, "learner", ID(1), "call_name");
    assert_true(after.via == before.via && after.lsn == before.lsn && after.stamp == before.stamp);
    assert_int_equal(after.via, VIA_LOCAL);
}

/* ---- marks ---- */

static void home_to(struct pair *p, int site)
{
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s'", SITE_ID(p, site));
}

static void a_row_that_leaves_is_dropped_which_is_no_deletion(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    learner(p, a, ID(1), SITE_ID(p, 0));
    contact(p, a, ID(2), ID(1), "a@b.org");
    equal(p, a);
    home_to(p, 1);
    says(p->hub, "2", MARKS); /* the row and its dependant */
    pair_pull(p, a);
    says(a, "0", "SELECT (SELECT count(*) FROM learner) + (SELECT count(*) FROM learner_contact) + (SELECT count(*) FROM perche_capture)");
    says(a, "0", "SELECT count(*) FROM perche_row WHERE tab IN (SELECT num FROM perche_tab WHERE name LIKE 'learner%%')");
    says(p->hub, "1", "SELECT count(*) FROM learner");
    assert_true(state_of(p, a).done == state_of(p, a).full);
    pair_push(p, a);
    says(p->hub, "0", MARKS); /* `done` has passed them */
    equal(p, b);
    says(b, "a@b.org", "SELECT value FROM learner_contact");
    equal(p, a);
}

/* Programs write in between, and `done` waits for the last of them. */
static void rows_leave_some_hundred_at_a_time(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o;
    uint64_t done;

    edit(p, a, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) INSERT INTO learner (id, home_site_id)"
               " SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), '%s' FROM n", SITE_ID(p, 0));
    equal(p, a);
    done = state_of(p, a).done;
    home_to(p, 1);
    assert_false(pull_once(p, a, 1 << 20));
    says(a, "700", "SELECT count(*) FROM learner");
    says(a, "700", "SELECT count(*) FROM perche_leaving");
    o = pair_do(p, a, pair_work(WORK_HARVEST, NULL));
    assert_true(o.more && o.state.done == done && o.state.full > done);
    outcome_free(&o);
    says(a, "200", "SELECT count(*) FROM learner");
    written(a, "UPDATE learner SET call_name = 'late' WHERE id LIKE '%%000001200'"); /* of one that is about to go */
    harvest_here(p, a);
    says(a, "200", "SELECT count(*) FROM learner");
    pair_push(p, a);
    says(p->hub, "1", "SELECT count(*) FROM learner WHERE call_name = 'late'");
    pair_pull(p, a); /* what the hub had not judged before */
    says(a, "0", "SELECT count(*) FROM learner");
    equal(p, a);
    assert_true(state_of(p, a).done == state_of(p, a).full);
    says(p->hub, "0", MARKS);
}

static void a_mark_waits_until_nothing_is_unpushed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    uint64_t done;

    learner(p, a, ID(1), SITE_ID(p, 0));
    contact(p, a, ID(2), ID(1), "a@b.org");
    equal(p, a);
    done = state_of(p, a).done;
    home_to(p, 1);
    edit(p, a, "UPDATE learner_contact SET value = 'late@b.org'"); /* offline */
    contact(p, a, ID(3), ID(1), "new@b.org");
    edit(p, a, "UPDATE learner SET call_name = 'late'");
    while (pull_once(p, a, 1 << 20))
        ;
    says(a, "1", "SELECT count(*) FROM learner"); /* nothing of it is dropped */
    says(a, "2", "SELECT count(*) FROM learner_contact");
    says(a, "2", "SELECT count(*) FROM perche_leaving");
    assert_true(state_of(p, a).done == done && state_of(p, a).full > done);
    pair_push(p, a);
    says(p->hub, "late", "SELECT call_name FROM learner");
    says(p->hub, "late@b.org,new@b.org", "SELECT group_concat(value) FROM (SELECT value FROM learner_contact ORDER BY id)");
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
    pair_sync(p, a);
    pair_sync(p, a);
    says(a, "0", "SELECT (SELECT count(*) FROM learner) + (SELECT count(*) FROM learner_contact)");
    says(p->hub, "0", MARKS);
    equal(p, a);
    equal(p, b);
    says(b, "2", "SELECT count(*) FROM learner_contact");
}

static void an_accepted_late_edit_gives_a_new_mark(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel late;

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET call_name = 'late'");
    late = push_all(p, a);
    home_to(p, 1);
    while (pull_once(p, a, 1 << 20)) /* it has read the mark, and keeps the row for its unpushed edit */
        ;
    says(a, "1", "SELECT count(*) FROM perche_leaving");
    push_told(p, a, &late, push_taken(p, a, &late));
    parcel_end(&late);
    says(p->hub, "1", "SELECT count(*) FROM perche_left WHERE lsn > (SELECT max(scan) FROM perche_peer)");
    pair_sync(p, a);
    says(a, "0", "SELECT count(*) FROM learner");
    says(p->hub, "late", "SELECT call_name FROM learner");
    equal(p, a);
    says(p->hub, "0", MARKS);
}

static void a_row_that_comes_back_before_its_mark_is_read_stays(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    home_to(p, 1);
    home_to(p, 0);
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0 AND site = (SELECT num FROM perche_name WHERE text = '%s')", SITE_ID(p, 0));
    equal(p, a);
    says(a, "1", "SELECT count(*) FROM learner");
}

static void a_row_that_comes_back_after_its_mark_was_read_goes_whole(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET ine = 'unpushed'");
    home_to(p, 1);
    edit(p, p->hub, "UPDATE learner SET call_name = 'meanwhile'");
    while (pull_once(p, a, 1 << 20)) /* the mark waits */
        ;
    says(a, "Camille", "SELECT call_name FROM learner");
    home_to(p, 0);
    while (pull_once(p, a, 1 << 20))
        ;
    says(a, "0", "SELECT count(*) FROM perche_leaving"); /* else it would be carried out after the next push */
    equal(p, a);
    says(a, "meanwhile unpushed", "SELECT call_name || ' ' || ine FROM learner"); /* no stale cell */
    says(a, "0", "SELECT count(*) FROM perche_leaving");
}

static void a_late_edit_has_not_seen_what_the_hub_wrote_with_the_move(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'hub', home_site_id = '%s'", SITE_ID(p, 1));
    edit(p, a, "UPDATE learner SET birth_family_name = 'late'");
    while (pull_once(p, a, 1 << 20)) /* only the mark: its position has passed the hub's edit all the same */
        ;
    pair_push(p, a);
    says(p->hub, "hub late open", "SELECT a_value || ' ' || b_value || ' ' || state FROM perche_conflict");
    pair_sync(p, a);
    pair_sync(p, p->sites[1]);
    says(p->sites[1], "1", "SELECT count(*) FROM perche_conflict");
    says(a, "0", "SELECT count(*) FROM perche_conflict");
    equal(p, a);
}

static void the_scope_is_the_one_that_the_header_says(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    assert_string_equal(header_at(a, "learner", ID(1)).scope, SITE_ID(p, 0));
    enrolment(p, p->hub, ID(2), ID(1), ID(3), SITE_ID(p, 1)); /* a row that A does not hold widens the scope of one that it holds */
    pair_pull(p, a);
    says(a, "0", "SELECT count(*) FROM enrolment");
    assert_string_equal(header_at(a, "learner", ID(1)).scope, scope_text(p, 3));
    equal(p, a);
}

static void tombstones_of_rows_it_never_had_are_kept(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    edit(p, p->hub, "DELETE FROM cohort");
    equal(p, a);
    assert_int_equal(header_at(a, "cohort", ID(1)).gen, 2);
    cohort(p, a, ID(1), SITE_ID(p, 0)); /* the same key again: above it */
    assert_int_equal(header_at(a, "cohort", ID(1)).gen, 3);
    equal(p, a);
    says(p->hub, "1", "SELECT count(*) FROM cohort");
}

/* ---- refusals ---- */

static void a_refusal_comes_by_pull_however_many_answers_are_lost(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char before[200];

    edit(p, p->hub, "UPDATE site SET premises = 'the hub''s' WHERE name = 'La Loupe'");
    equal(p, a);
    strcpy(before, asked(p->hub->program, "SELECT premises FROM site WHERE name = 'La Loupe'"));
    edit(p, a, "UPDATE site SET premises = 'mine' WHERE name = 'La Loupe'");
    push_unheard(p, a); /* the answer says nothing of it, and is lost */
    says(p->hub, before, "SELECT premises FROM site WHERE name = 'La Loupe'");
    for (int i = 0; i < 2; i++) { /* so are two of the pull */
        struct perche_message m = pull_made(p, a, 1 << 20);
        struct perche_batch *b = batch_of(m.u.pull_reply.batch);

        assert_int_equal(b->notices_count, 1);
        assert_int_equal(b->notices[0].kind, PERCHE_REFUSAL);
        assert_string_equal(b->notices[0].reason, "hub_table");
        perche_batch_free(b);
        perche_message_free(&m);
    }
    pull_once(p, a, 1 << 20);
    says(a, "site hub_table {\"premises\":\"mine\"}", "SELECT tab || ' ' || reason || ' ' || image FROM perche_refused");
    says(a, "mine", "SELECT premises FROM site WHERE name = 'La Loupe'"); /* its image is asked for with the next */
    assert_true(state_of(p, a).done < state_of(p, a).full);
    pull_once(p, a, 1 << 20);
    says(a, before, "SELECT premises FROM site WHERE name = 'La Loupe'");
    assert_true(state_of(p, a).done == state_of(p, a).full);
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
    says(a, "0", "SELECT count(*) FROM perche_capture"); /* an image is no edit */
}

/* A site hangs up on an answer that does not move, and would for ever. */
static void an_answer_that_its_images_fill_moves_all_the_same(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message m;

    edit(p, p->hub, "UPDATE site SET premises = hex(zeroblob(10000)) WHERE name = 'La Loupe'");
    equal(p, a);
    edit(p, a, "UPDATE site SET premises = 'mine' WHERE name = 'La Loupe'");
    pair_push(p, a);
    pull_once(p, a, 1 << 20); /* the refusal */
    ballast(p, 40);
    m = pull_made(p, a, 4096);
    assert_true(m.u.pull_reply.batch.n > 0);
    assert_true(m.u.pull_reply.scan > m.u.pull_reply.from_scan);
    perche_message_free(&m);
    equal(p, a);
    says(a, "20000", "SELECT length(premises) FROM site WHERE name = 'La Loupe'");
}

static void what_was_written_over_it_meanwhile_is_pushed_first(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET restricted = 1");
    pair_push(p, a);
    pull_once(p, a, 1 << 20); /* the refusal */
    edit(p, a, "UPDATE learner SET call_name = 'lawful'");
    pull_once(p, a, 1 << 20); /* no image while something of the row is unpushed */
    says(a, "lawful 1", "SELECT call_name || ' ' || restricted FROM learner");
    equal(p, a);
    says(a, "lawful 0", "SELECT call_name || ' ' || restricted FROM learner");
    says(p->hub, "lawful 0", "SELECT call_name || ' ' || restricted FROM learner");
}

static void a_refused_insert_and_its_children_go_again(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 1)); /* another's */
    contact(p, a, ID(2), ID(1), "a@b.org");
    pair_push(p, a);
    says(p->hub, "0", "SELECT (SELECT count(*) FROM learner) + (SELECT count(*) FROM learner_contact)");
    contact(p, a, ID(3), ID(1), "later@b.org"); /* before the refusal is carried out */
    pair_push(p, a);
    says(p->hub, "learner scope,learner_contact parent,learner_contact parent",
         "SELECT group_concat(t.name || ' ' || f.reason) FROM (SELECT * FROM perche_refusal ORDER BY lsn) f JOIN perche_tab t ON t.num = f.tab");
    equal(p, a);
    says(a, "0", "SELECT (SELECT count(*) FROM learner) + (SELECT count(*) FROM learner_contact)");
    says(a, "3", "SELECT count(*) FROM perche_refused");
    assert_false(header_at(a, "learner", ID(1)).stored); /* no tombstone: nobody else has ever had it */
}

static void an_image_older_than_the_acknowledgement_is_not_taken(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message question, answer;
    struct outcome o;

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET restricted = 1");
    pair_push(p, a);
    pull_once(p, a, 1 << 20);
    question = pull_asked(p, a);
    assert_int_equal(question.u.pull.wants_count, 1);
    answer = pull_answered(p, a, question, 1 << 20); /* made now ... */
    edit(p, a, "UPDATE learner SET call_name = 'newer'");
    pair_push(p, a); /* ... and the hub takes and acknowledges this before the answer is here */
    o = pull_heard(p, a, answer);
    outcome_free(&o);
    says(a, "newer", "SELECT call_name FROM learner");
    equal(p, a);
    says(a, "newer 0", "SELECT call_name || ' ' || restricted FROM learner");
}

static void an_absence_older_than_the_acknowledgement_is_not_believed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message answer;
    struct outcome o;

    learner(p, a, ID(1), SITE_ID(p, 1));
    pair_push(p, a); /* refused */
    pull_once(p, a, 1 << 20);
    answer = pull_answered(p, a, pull_asked(p, a), 1 << 20); /* the hub has no such row */
    edit(p, a, "DELETE FROM learner");
    learner(p, a, ID(1), SITE_ID(p, 0)); /* now as it may */
    pair_push(p, a);
    says(p->hub, "1", "SELECT count(*) FROM learner");
    o = pull_heard(p, a, answer);
    outcome_free(&o);
    says(a, "1", "SELECT count(*) FROM learner");
    equal(p, a);
    says(a, "1", "SELECT count(*) FROM learner");
}

/* ---- rows that come without themselves ---- */

static struct perche_message without_event(struct perche_message m, const char *table)
{
    struct perche_batch *b = batch_of(m.u.pull_reply.batch);
    struct perche_part *part = part_named(b, table);

    assert_non_null(part);
    for (uint32_t i = 0; i < part->rows_count; i++) {
        part->rows[i].flags &= (uint16_t)~(PERCHE_ROW_GEN | PERCHE_ROW_WHOLE);
        part->rows[i].gen_stamp = 0;
        part->rows[i].gen_origin = 0;
    }
    m.u.pull_reply.batch = batch_bytes(&m, b);
    return m;
}

static void a_higher_generation_without_its_event_is_set_aside_and_its_row_asked_for(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o;

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, p->hub, "CREATE TEMP TABLE keep AS SELECT * FROM cohort; DELETE FROM cohort; INSERT INTO cohort SELECT * FROM keep; UPDATE cohort SET code = 'again'");
    o = pull_heard(p, a, without_event(pull_made(p, a, 1 << 20), "cohort"));
    assert_int_equal(o.message.op, PERCHE_OP_ROWS);
    says(a, "P1", "SELECT code FROM cohort");
    says(a, "row", "SELECT reason FROM perche_parked");
    assert_true(state_of(p, a).done < state_of(p, a).full);
    assert_int_equal(rows_fetched(p, a, pair_line(&o), 10), 1);
    says(a, "again", "SELECT code FROM cohort");
    says(a, "0", "SELECT count(*) FROM perche_parked");
    assert_int_equal(header_at(a, "cohort", ID(1)).gen, 3);
    equal(p, a);
}

static void large_rows_are_fetched_one_answer_after_the_other(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message question = {0};
    struct outcome o;
    char id[40];

    for (int i = 0; i < 12; i++) {
        snprintf(id, sizeof id, "0198f3a0-0000-7000-8000-%012d", i);
        cohort(p, p->hub, id, SITE_ID(p, 0));
        edit(p, p->hub, "UPDATE cohort SET code = hex(randomblob(2000000)) WHERE id = '%s'", id);
        perche_message_free(&question);
        o = pull_heard(p, a, without_event(pull_made(p, a, 1 << 20), "cohort"));
        question = pair_line(&o);
        assert_int_equal(question.op, PERCHE_OP_ROWS);
    }
    assert_int_equal(question.u.rows.wants_count, 12);
    assert_in_range(rows_fetched(p, a, question, 20), 4, 12);
    says(a, "12", "SELECT count(*) FROM cohort");
    says(a, "0", "SELECT count(*) FROM perche_parked");
    equal(p, a);
}

static void a_row_that_the_hub_does_not_have_either_is_not_asked_for_again(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o;

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    o = pull_heard(p, a, without_event(pull_made(p, a, 1 << 20), "cohort"));
    assert_int_equal(o.message.op, PERCHE_OP_ROWS);
    edit(p, p->hub, "UPDATE cohort SET site_id = '%s'", SITE_ID(p, 1)); /* not the asker's any more */
    assert_int_equal(rows_fetched(p, a, pair_line(&o), 10), 1);
    says(a, "0", "SELECT count(*) FROM perche_wanted");
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM cohort");
}

static void a_row_that_is_set_aside_is_not_fetched_again_and_again(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o;

    program(a, "DROP TRIGGER perche_cohort_insert; DROP TRIGGER perche_cohort_update; DROP TRIGGER perche_cohort_delete;"
               "ALTER TABLE cohort DROP COLUMN rhythm"); /* a table of another form */
    edit(p, p->hub, "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status, rhythm)"
                    " VALUES ('" ID(1) "', '%s', 't', 'P1', '2026-01-05', '2026-06-30', 12, 'SITE', 'PLANNED', 'weekly')", SITE_ID(p, 0));
    pull_once(p, a, 1 << 20);
    says(a, "1", "SELECT count(*) FROM perche_parked");
    edit(p, p->hub, "UPDATE cohort SET code = 'P2'");
    o = pull_heard(p, a, pull_made(p, a, 1 << 20));
    assert_int_equal(o.message.op, 0);
    outcome_free(&o);
    says(a, "0", "SELECT count(*) FROM perche_wanted");
    program(a, "ALTER TABLE cohort ADD COLUMN rhythm TEXT");
    pair_prove(p, a);
    says(a, "P2 weekly", "SELECT code || ' ' || rhythm FROM cohort");
    says(a, "0", "SELECT count(*) FROM perche_parked");
    equal(p, a);
}

/* ---- unfinished pulls ---- */

static void an_unfinished_pull_that_repeats_what_was_replaced_asks_nothing(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'hub' WHERE id = '" ID(1) "'");
    ballast(p, 6);
    assert_true(pull_once(p, a, 500));
    says(a, "hub", "SELECT birth_family_name FROM learner WHERE id = '" ID(1) "'");
    edit(p, a, "UPDATE learner SET birth_family_name = 'mine' WHERE id = '" ID(1) "'"); /* has read it */
    edit(p, p->hub, "UPDATE learner SET ine = 'x' WHERE id = '" ID(1) "'");             /* the row moves up and comes again, with that cell */
    while (pull_once(p, a, 500))
        ;
    says(a, "mine", "SELECT birth_family_name FROM learner WHERE id = '" ID(1) "'");
    says(a, "0", "SELECT count(*) FROM perche_conflict");
    equal(p, a);
    says(p->hub, "mine", "SELECT birth_family_name FROM learner WHERE id = '" ID(1) "'");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
}

static bool has_news(struct pair *p, struct fixture *site)
{
    struct state s = state_of(p, site);
    struct work w = pair_work(WORK_NEWS, site);
    struct outcome o;
    bool news;

    w.full = s.full;
    w.scan = s.scan;
    o = pair_read(p, p->hub, w);
    news = o.news;
    outcome_free(&o);
    return news;
}

static void there_is_news_only_when_something_would_be_sent(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, a);
    equal(p, b);
    assert_false(has_news(p, a));
    cohort(p, a, ID(1), SITE_ID(p, 0));
    pair_push(p, a);
    assert_false(has_news(p, a)); /* its own */
    assert_false(has_news(p, b)); /* another's */
    edit(p, p->hub, "UPDATE cohort SET code = 'x'");
    assert_true(has_news(p, a));
    pair_sync(p, a);
    assert_false(has_news(p, a));
    edit(p, p->hub, "UPDATE cohort SET site_id = '%s'", SITE_ID(p, 1));
    assert_true(has_news(p, a)); /* a mark */
    assert_true(has_news(p, b));
    pair_sync(p, a);
    assert_false(has_news(p, a));
    edit(p, a, "UPDATE site SET premises = 'mine' WHERE name = 'La Loupe'");
    pair_push(p, a);
    assert_true(has_news(p, a)); /* a refusal */
}

static void own_changes_and_the_hubs_in_one_transaction_share_no_position(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t before, own, theirs;

    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    equal(p, a);
    before = state_of(p, a).lsn;
    edit(p, p->hub, "UPDATE learner SET call_name = 'hub' WHERE id = '" ID(2) "'");
    written(a, "UPDATE learner SET call_name = 'own' WHERE id = '" ID(1) "'"); /* harvested by the pull, in its transaction */
    pull_once(p, a, 1 << 20);
    says(a, "0", "SELECT count(*) FROM perche_capture");
    own = header_at(a, "learner", ID(1)).lsn;
    theirs = header_at(a, "learner", ID(2)).lsn;
    assert_true(own > before && theirs > before && own != theirs);
    says(a, "0", "SELECT count(*) - count(DISTINCT lsn) FROM perche_row");
    equal(p, a);
}

/* Each would have room, all together none. */
static void large_images_come_one_answer_after_the_other(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message answer;
    struct outcome o;
    char id[40];
    int rounds = 12;

    for (int i = 0; i < 12; i++) {
        snprintf(id, sizeof id, "0198f3a0-0000-7000-8000-%012d", i);
        learner(p, a, id, SITE_ID(p, 0));
        edit(p, a, "UPDATE learner SET birth_family_name = hex(randomblob(2000000)) WHERE id = '%s'", id);
    }
    equal(p, a);
    edit(p, a, "UPDATE learner SET restricted = 1"); /* the hub's alone */
    pair_push(p, a);
    pull_once(p, a, 1 << 20); /* hears of the refusals */
    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    answer = pull_answered(p, a, pull_asked(p, a), 1 << 20);
    assert_true(answer.u.pull_reply.scan > answer.u.pull_reply.from_scan); /* though images alone fill it */
    o = pull_heard(p, a, answer);
    outcome_free(&o);
    do
        pair_sync(p, a);
    while (--rounds > 0 && strcmp(asked(a->r->db, "SELECT EXISTS (SELECT 1 FROM perche_wanted)"), "1") == 0);
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM learner WHERE restricted = 1");
}

/* A megabyte holds more small rows than a batch may have. */
static void an_answer_has_no_more_rows_than_a_batch_may(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint32_t answers = 0;

    edit(p, p->hub, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
                    " INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
                    " SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), '%s', 't', 'P', '', '', 1, 'S', 'P' FROM n",
         PERCHE_BATCH_ROWS_MAX + 1000, SITE_ID(p, 0));
    while (pull_once(p, a, 1 << 20))
        answers++;
    assert_in_range(answers, 1, 3);
    equal(p, a);
    edit(p, p->hub, "UPDATE cohort SET code = 'x'");
    pair_sync(p, a);
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM cohort WHERE code <> 'x'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_that_moves_up_between_two_answers_loses_none_of_its_older_cells),
        TEST(an_answer_stays_near_the_bytes_asked_for),
        TEST(an_image_and_a_row_are_no_answer_when_each_is_as_large_as_one),
        TEST(rows_of_several_scopes_come_in_one_order),
        TEST(a_late_answer_is_known_as_one),
        TEST(an_answer_that_claims_more_of_the_site_than_there_is_is_not_taken),
        TEST(what_came_from_a_site_does_not_go_back_to_it),
        TEST(a_clean_site_takes_the_hubs_value_whatever_it_has_skipped),
        TEST(what_a_program_wrote_before_the_answer_is_harvested_first),
        TEST(a_whole_row_repeats_a_sites_own_value_without_changing_its_way),
        TEST(a_row_that_leaves_is_dropped_which_is_no_deletion),
        TEST(rows_leave_some_hundred_at_a_time),
        TEST(a_mark_waits_until_nothing_is_unpushed),
        TEST(an_accepted_late_edit_gives_a_new_mark),
        TEST(a_row_that_comes_back_before_its_mark_is_read_stays),
        TEST(a_row_that_comes_back_after_its_mark_was_read_goes_whole),
        TEST(a_late_edit_has_not_seen_what_the_hub_wrote_with_the_move),
        TEST(the_scope_is_the_one_that_the_header_says),
        TEST(tombstones_of_rows_it_never_had_are_kept),
        TEST(a_refusal_comes_by_pull_however_many_answers_are_lost),
        TEST(an_answer_that_its_images_fill_moves_all_the_same),
        TEST(what_was_written_over_it_meanwhile_is_pushed_first),
        TEST(a_refused_insert_and_its_children_go_again),
        TEST(an_image_older_than_the_acknowledgement_is_not_taken),
        TEST(an_absence_older_than_the_acknowledgement_is_not_believed),
        TEST(a_higher_generation_without_its_event_is_set_aside_and_its_row_asked_for),
        TEST(large_rows_are_fetched_one_answer_after_the_other),
        TEST(a_row_that_the_hub_does_not_have_either_is_not_asked_for_again),
        TEST(a_row_that_is_set_aside_is_not_fetched_again_and_again),
        TEST(an_unfinished_pull_that_repeats_what_was_replaced_asks_nothing),
        TEST(there_is_news_only_when_something_would_be_sent),
        TEST(own_changes_and_the_hubs_in_one_transaction_share_no_position),
        TEST(large_images_come_one_answer_after_the_other),
        TEST(an_answer_has_no_more_rows_than_a_batch_may),
    };

    return cmocka_run_group_tests_name("replica_pull", tests, NULL, NULL);
}
