/* Nodes that are not what they were: put back from an older copy, or copied (DESIGN 4.8; P1, P4, P6; MODEL A 8 to 15, C 6 to 12). */
#include "replica_lives.h"

static void call(struct pair *p, struct fixture *f, const char *id, const char *name)
{
    edit(p, f, "UPDATE learner SET call_name = '%s' WHERE id = '%s'", name, id);
}

static void is_called(struct fixture *f, const char *id, const char *name)
{
    says(f, name, "SELECT call_name FROM learner WHERE id = '%s'", id);
}

/* ---- a site ---- */

static void a_site_put_back_gets_its_lost_changes_back_and_uses_no_position_twice(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct state before, after;

    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    pair_sync(p, a);
    back_up(a);
    call(p, a, ID(1), "Ada"); /* lost here by the backup, the hub has it */
    learner(p, a, ID(3), SITE_ID(p, 0));
    pair_sync(p, a);
    before = state_of(p, a);
    put_back(p, a);
    is_called(a, ID(1), "Camille");
    call(p, a, ID(2), "Grace"); /* written before anybody knows */
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    after = state_of(p, a);
    assert_true(after.epoch != before.epoch && after.must && after.done == 0);
    settled(p, a);
    is_called(a, ID(1), "Ada");
    is_called(p->hub, ID(2), "Grace");
    says(a, "3", "SELECT count(*) FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
    all_equal(p);
    VERDICTS(shake(p, a), PERCHE_PROVEN);
}

static void an_edit_after_the_backup_and_one_before_meet_as_two_edits(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    pair_sync(p, a);
    back_up(a);
    call(p, a, ID(1), "Ada");
    pair_sync(p, a);
    put_back(p, a);
    call(p, a, ID(1), "Grace"); /* did not know Ada */
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    is_called(a, ID(1), "Grace");
    says(p->hub, "1", "SELECT count(*) FROM perche_conflict WHERE a_value = 'Ada' OR b_value = 'Ada'"); /* P4 */
    all_equal(p);
}

/* The hub sets both aside, as its table is gone, and takes them in one go. */
static void nor_does_it_when_what_was_before_the_backup_waits_at_the_hub(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    pair_sync(p, a);
    back_up(a);
    program(p->hub, "DROP TABLE learner");
    harvest_here(p, p->hub);
    call(p, a, ID(1), "Ada");
    pair_push(p, a);
    put_back(p, a);
    call(p, a, ID(1), "Grace");
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    pair_push(p, a);
    says(p->hub, "2", "SELECT count(*) FROM perche_parked");
    p->now += 4000;
    harvest_here(p, p->hub);
    settled(p, a);
    is_called(p->hub, ID(1), "Grace");
    says(p->hub, "1", "SELECT count(*) FROM perche_conflict WHERE a_value = 'Ada' OR b_value = 'Ada'"); /* P4 */
    all_equal(p);
}

/* It knows nothing of the move, and neither its edits nor a new child of the row are refused for that. */
static void what_a_site_put_back_writes_of_a_row_that_had_left_it_arrives(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    learner(p, a, ID(1), SITE_ID(p, 0));
    settled(p, a);
    back_up(a);
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1));
    settled(p, a);
    settled(p, b);
    says(a, "0", "SELECT count(*) FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0");
    put_back(p, a);
    call(p, a, ID(1), "Ada");
    contact(p, a, ID(2), ID(1), "a@b.org");
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
    says(a, "0", "SELECT count(*) FROM perche_refused");
    is_called(p->hub, ID(1), "Ada");
    says(a, "0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact)");
    settled(p, b);
    is_called(b, ID(1), "Ada");
    says(b, "a@b.org", "SELECT value FROM learner_contact");
    all_equal(p);
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0"); /* and that ends the right again */
    learner(p, a, ID(1), SITE_ID(p, 0));
    settled(p, a);
    is_called(p->hub, ID(1), "Ada");
}

/* The hub has had it, and somebody who had read it has written since: nobody is asked. */
static void a_value_that_a_site_put_back_pushes_once_more_is_no_news(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    edit(p, a, "UPDATE learner SET birth_family_name = 'Durand'");
    back_up(a); /* not pushed yet */
    call(p, a, ID(1), "Ada");
    pair_push(p, a);
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'Duval'");
    put_back(p, a);
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    all_equal(p);
    says(a, "Duval", "SELECT birth_family_name FROM learner");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
}

/* A site whose clock stands behind stamps from the last stamp that it has: put back, it gives the same one to another value. */
static void a_stamp_that_a_site_put_back_gives_again_is_no_value_that_has_been_here(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t stamp;

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    back_up(a);
    written(a, "UPDATE learner SET birth_family_name = 'Durand'");
    pair_push(p, a);
    stamp = cell_at(a, "learner", ID(1), "birth_family_name").stamp;
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'Duval'"); /* over Durand, which it had read */
    p->now -= 1000;
    put_back(p, a);
    written(a, "UPDATE learner SET birth_family_name = 'Dubois'");
    harvest_here(p, a);
    assert_true(cell_at(a, "learner", ID(1), "birth_family_name").stamp == stamp);
    p->now += 1000;
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    all_equal(p);
    says(a, "Duval", "SELECT birth_family_name FROM learner");
    says(p->hub, "Dubois Duval review open", "SELECT a_value || ' ' || b_value || ' ' || kind || ' ' || state FROM perche_conflict"); /* P4 */
}

/* The copy has the insert captured, and its former life has harvested and handed it out. */
static void a_row_that_went_before_a_site_put_back_had_harvested_its_insert_is_gone_everywhere(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct work w = pair_work(WORK_HARVEST, NULL);
    struct outcome o;

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    for (uint32_t rows_max = 1; rows_max < 3; rows_max++) { /* insert and delete in two chunks, or in one */
        const char *id = rows_max == 1 ? ID(2) : ID(3);

        written(a, "INSERT INTO project (id, site_id, title, kind) VALUES ('%s', '%s', 't', 'k')", id, SITE_ID(p, 0));
        back_up(a);
        all_equal(p);
        says(p->hub, "1", "SELECT count(*) FROM project");
        put_back(p, a);
        written(a, "DELETE FROM project");
        w.rows_max = rows_max;
        o = pair_do(p, a, w);
        outcome_free(&o);
        VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
        settled(p, a);
        all_equal(p);
        says(a, "0", "SELECT count(*) FROM project");
        says(p->hub, "0", "SELECT count(*) FROM project");
        assert_int_equal(header_at(p->hub, "project", id).gen, 2);
        assert_string_equal(header_at(p->hub, "project", id).scope, scope_text(p, 1));
    }
}

static void the_same_backup_put_back_twice_is_no_second_machine(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    pair_sync(p, a);
    back_up(a);
    call(p, a, ID(1), "Ada");
    pair_sync(p, a);
    put_back(p, a);
    back_up(a); /* the same, once more */
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    call(p, a, ID(1), "Grace");
    pair_sync(p, a);
    put_back(p, a);
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    is_called(a, ID(1), "Grace");
    all_equal(p);
}

/* It knows how far the site's first epoch had come by then, and not what it came to. */
static void nor_is_it_to_a_hub_that_was_put_back_in_between(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    back_up(a);
    back_up(p->hub);
    call(p, a, ID(1), "Ada");
    pair_sync(p, a);
    put_back(p, a);
    back_up(a); /* the same, once more */
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    put_back(p, p->hub);
    VERDICTS(shake(p, a), PERCHE_GO_BACK);
    settled(p, a);
    put_back(p, a);
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    is_called(a, ID(1), "Ada");
    all_equal(p);
}

static void a_lost_answer_to_a_new_epoch_makes_no_other(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct work w;
    struct outcome o;

    learner(p, a, ID(1), SITE_ID(p, 0));
    pair_sync(p, a);
    back_up(a);
    call(p, a, ID(1), "Ada");
    pair_sync(p, a);
    put_back(p, a);
    o = pair_do(p, a, pair_work(WORK_PROVE_BUILD, NULL));
    w = pair_work(WORK_PROVE_JUDGE, a);
    w.message = pair_line(&o);
    o = pair_do(p, p->hub, w);
    w = pair_work(WORK_PROVED, NULL);
    w.message = pair_line(&o);
    assert_int_equal(w.message.u.prove_reply.verdict, PERCHE_RESTORED);
    o = pair_do(p, a, w);
    outcome_free(&o);
    o = pair_do(p, a, pair_work(WORK_PROVE_BUILD, NULL)); /* announced ... */
    w = pair_work(WORK_PROVE_JUDGE, a);
    w.message = pair_line(&o);
    w.session = 7;
    o = pair_do(p, p->hub, w); /* ... taken, and the answer is lost */
    assert_int_equal(o.message.u.prove_reply.verdict, PERCHE_PROVEN);
    outcome_free(&o);
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    settled(p, a);
    is_called(a, ID(1), "Ada");
    all_equal(p);
}

static void a_mark_that_was_not_shown_is_asked_for_before_anything_is_believed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct state before;

    learner(p, a, ID(1), SITE_ID(p, 0));
    push_unheard(p, a); /* the hub's newest mark of the site: of a batch that the site does not know as taken */
    for (int i = 0; i < 80; i++)
        call(p, a, ID(1), i % 2 ? "Ada" : "Grace");
    before = state_of(p, a);
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    assert_true(state_of(p, a).epoch == before.epoch && !state_of(p, a).must);
    all_equal(p);
}

/* ---- two machines ---- */

static void two_machines_are_both_held_and_both_named(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *copy;
    struct hands h;

    learner(p, a, ID(1), SITE_ID(p, 0));
    pair_sync(p, a);
    copy = cloned(p, a);
    call(p, a, ID(1), "Ada");
    VERDICTS(shake_from(p, a, "192.0.2.1:9"), PERCHE_PROVEN);
    pair_sync(p, a);
    VERDICTS(shake_from(p, copy, "192.0.2.2:9"), PERCHE_RESTORED, PERCHE_PROVEN); /* what it looks like so far */
    settled(p, copy);
    call(p, a, ID(1), "Grace");
    h = shake_from(p, a, "192.0.2.1:9");
    assert_int_equal(h.verdicts[0], PERCHE_TWO_MACHINES);
    VERDICTS(shake_from(p, copy, "192.0.2.2:9"), PERCHE_TWO_MACHINES); /* the other one, too */
    says(p->hub, "192.0.2.2:9 192.0.2.1:9", "SELECT address || ' ' || held_address FROM perche_peer WHERE held_ms <> 0");
    assert_int_equal(state_of(p, a).pending, 1); /* what is not sent waits */

    free(pair_command(p, p->hub, "recover", "{\"site\": \"La Loupe\"}")); /* the copy was switched off */
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    is_called(p->hub, ID(1), "Grace");
    VERDICTS(shake(p, copy), PERCHE_TWO_MACHINES); /* it was not */
    pair_refuses(p, p->hub, WORK_COMMAND, "recover", "{\"site\": \"Chartres\"}", PERCHE_STATE);
    fixture_end(copy);
}

static void a_line_that_speaks_on_beside_a_newer_one_is_a_second_machine(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o = pair_do(p, a, pair_work(WORK_PROVE_BUILD, NULL));
    struct work w = pair_work(WORK_PROVE_JUDGE, a);

    w.message = pair_line(&o);
    w.two_machines = true;
    w.args = strdup("192.0.2.7:1");
    o = pair_do(p, p->hub, w);
    assert_int_equal(o.message.u.prove_reply.verdict, PERCHE_TWO_MACHINES);
    outcome_free(&o);
    VERDICTS(shake(p, a), PERCHE_TWO_MACHINES);
    says(p->hub, "192.0.2.7:1", "SELECT held_address FROM perche_peer WHERE held_ms <> 0");
}

/* ---- a hub ---- */

static void a_hub_put_back_is_made_whole_by_its_sites(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, b, ID(2), SITE_ID(p, 1));
    all_equal(p);
    back_up(p->hub);
    call(p, a, ID(1), "Ada");                                                                 /* a site's own */
    edit(p, p->hub, "UPDATE learner SET call_name = 'Grace' WHERE id = '%s'", ID(2));         /* the hub's own */
    learner(p, a, ID(3), SITE_ID(p, 0));
    edit(p, p->hub, "INSERT INTO code_list (list, code, label_fr) VALUES ('site_kind', 'X', 'x')"); /* reference data */
    all_equal(p);
    edit(p, b, "DELETE FROM learner WHERE id = '%s'", ID(2));
    all_equal(p);
    put_back(p, p->hub);
    says(p->hub, "2", "SELECT count(*) FROM learner");
    call(p, a, ID(3), "Emmy"); /* meanwhile */
    VERDICTS(shake(p, a), PERCHE_GO_BACK);
    says(p->hub, "2", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    settled(p, a);
    says(p->hub, "1", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    VERDICTS(shake(p, b), PERCHE_GO_BACK);
    settled(p, b);
    says(p->hub, "0", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    is_called(p->hub, ID(1), "Ada");
    is_called(p->hub, ID(3), "Emmy");
    says(p->hub, "x", "SELECT label_fr FROM code_list WHERE list = 'site_kind' AND code = 'X'");
    says(p->hub, "0", "SELECT count(*) FROM learner WHERE id = '%s'", ID(2));
    all_equal(p);
    says(p->hub, "1", "SELECT count(*) > 0 FROM perche_recovered");
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    VERDICTS(shake(p, b), PERCHE_PROVEN);
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict WHERE state = 'open'");
}

static int sorts(unsigned kind, void *ctx, void *stmt, void *ns)
{
    (void)kind, (void)ns;
    if (strstr(sqlite3_sql(stmt), "FROM perche_row") != NULL)
        *(int *)ctx += sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_SORT, 0);
    return 0;
}

/* A sort would hold a million of them in memory. */
static void rows_go_to_a_hub_put_back_in_the_order_of_their_positions_without_a_sort(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    int sorted = 0;

    all_equal(p);
    back_up(p->hub);
    for (int i = 1; i <= 3; i++) { /* of everybody, and of one site, in turn */
        edit(p, p->hub, "INSERT INTO code_list (list, code, label_fr) VALUES ('site_kind', 'X%d', 'x')", i);
        pair_pull(p, a);
        edit(p, p->hub, "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-00000000000%d', '%s')", i, SITE_ID(p, 0));
        pair_pull(p, a);
    }
    all_equal(p);
    put_back(p, p->hub);
    assert_int_equal(sqlite3_trace_v2(a->r->db, SQLITE_TRACE_PROFILE, sorts, &sorted), SQLITE_OK);
    VERDICTS(shake(p, a), PERCHE_GO_BACK);
    assert_int_equal(sqlite3_trace_v2(a->r->db, 0, NULL, NULL), SQLITE_OK);
    assert_int_equal(sorted, 0);
    says(a, "code_list learner code_list learner code_list learner", "SELECT group_concat(name, ' ') FROM (SELECT name FROM perche_row JOIN perche_tab ON num = tab"
                                                                     " WHERE first IS NOT NULL AND name IN ('code_list', 'learner') ORDER BY first)");
    settled(p, a);
    VERDICTS(shake(p, p->sites[1]), PERCHE_GO_BACK);
    settled(p, p->sites[1]);
    says(p->hub, "3", "SELECT count(*) FROM learner");
    all_equal(p);
}

static void a_hub_put_back_far_behind_knows_an_old_position_of_its_sites(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct hands h;

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    for (int i = 0; i < 40; i++) {
        edit(p, p->hub, "UPDATE learner SET call_name = 'early %d'", i);
        pair_sync(p, a);
    }
    back_up(p->hub);
    for (int i = 0; i < 300; i++) { /* the list of positions is thinned meanwhile */
        edit(p, p->hub, "UPDATE learner SET call_name = 'late %d'", i);
        pair_sync(p, a);
    }
    says(a, "1", "SELECT count(*) < 100 FROM perche_pulled");
    put_back(p, p->hub);
    h = shake(p, a);
    assert_int_equal(h.verdicts[h.count - 1], PERCHE_GO_BACK);
    assert_true(h.last.scan > 0); /* not all over again */
    settled(p, a);
    is_called(p->hub, ID(1), "late 299");
    all_equal(p);
}

/* For the hub it went to a position of its own, behind its chain; in the copy it stands where it was, below what the hub had got by then. */
static void a_site_put_back_while_it_shows_a_hub_what_that_lost_shows_it_anew(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    cohort(p, a, ID(2), SITE_ID(p, 0));
    enrolment(p, a, ID(3), ID(1), ID(2), SITE_ID(p, 0));
    all_equal(p);
    back_up(p->hub);
    edit(p, a, "INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
               " VALUES ('" ID(3) "', 'W4', 'JOBSEEKING', 'o', 'LATEST', 'Zoe', '2026-07-28')");
    pair_sync(p, a);
    back_up(a);
    for (int i = 4; i < 8; i++) {
        char id[40];

        snprintf(id, sizeof id, "0198f3a0-0000-7000-8000-%012d", i);
        cohort(p, a, id, SITE_ID(p, 0));
    }
    pair_sync(p, a);
    put_back(p, p->hub);
    (void)shake(p, a);
    for (int i = 0; i < 4; i++) {
        struct parcel b = push_made(p, a, state_of(p, a).acked, 1);

        push_told(p, a, &b, push_taken(p, a, &b));
        parcel_end(&b);
    }
    says(p->hub, "0", "SELECT count(*) FROM outcome_decision"); /* it is to come yet */
    put_back(p, a);
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_GO_BACK);
    settled(p, a);
    all_equal(p);
    says(p->hub, "JOBSEEKING", "SELECT situation FROM outcome_decision");
}

/* In between it had acknowledged the other's value with the row that it belongs to, before its turn, and the site has not pulled. */
static void a_hub_put_back_twice_gets_what_others_wrote_twice(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    back_up(p->hub);
    cohort(p, a, ID(2), SITE_ID(p, 0));
    cohort(p, a, ID(3), SITE_ID(p, 0));
    pair_sync(p, a);
    edit(p, p->hub, "UPDATE cohort SET code = 'of the hub' WHERE id = '%s'", ID(2)); /* a row without it is none: it may not be empty */
    pair_sync(p, a);
    put_back(p, p->hub);
    back_up(p->hub); /* the same, once more */
    VERDICTS(shake(p, a), PERCHE_GO_BACK);
    for (bool more = true; more;) {
        struct parcel b = push_made(p, a, state_of(p, a).acked, 1);

        more = b.more;
        push_told(p, a, &b, push_taken(p, a, &b));
        parcel_end(&b);
    }
    says(p->hub, "of the hub", "SELECT code FROM cohort WHERE id = '" ID(2) "'");
    put_back(p, p->hub);
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    settled(p, a);
    says(p->hub, "of the hub", "SELECT code FROM cohort WHERE id = '" ID(2) "'");
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
    all_equal(p);
}

/* Its own records of a table that the copy lacks: its sites show them, and they wait at the hub until it is said again what is replicated. */
static void a_hub_put_back_to_before_a_table_gets_its_records_of_it_back(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    const char *made = "CREATE TABLE opening (id TEXT NOT NULL PRIMARY KEY, day TEXT NOT NULL) STRICT, WITHOUT ROWID";

    all_equal(p);
    back_up(p->hub);
    program(p->hub, made);
    edit(p, p->hub, "INSERT INTO opening VALUES ('mon', 'Monday'), ('tue', 'Tuesday')");
    free(pair_replicate(p, "{\"table\": \"opening\", \"scope\": \"all\"}"));
    for (int i = 0; i < 2; i++)
        pair_prove(p, p->sites[i]);
    all_equal(p);
    says(a, "2", "SELECT count(*) FROM opening");
    put_back(p, p->hub);
    for (int i = 0; i < 4; i++) {
        (void)shake(p, p->sites[i % 2]);
        for (int k = 0; k < 3; k++)
            pair_push(p, p->sites[i % 2]);
    }
    says(p->hub, "0", "SELECT count(*) FROM perche_peer WHERE recovery <> 0");
    says(p->hub, "2 table", "SELECT count(DISTINCT key) || ' ' || min(reason) FROM perche_parked");
    program(p->hub, made);
    p->now += 1000;
    free(pair_replicate(p, "{\"table\": \"opening\", \"scope\": \"all\"}"));
    harvest_here(p, p->hub);
    says(p->hub, "Monday Tuesday", "SELECT group_concat(day, ' ') FROM opening");
    for (int i = 0; i < 2; i++)
        (void)shake(p, p->sites[i]);
    settled(p, a);
    settled(p, b);
    for (int i = 0; i < 2; i++) {
        says(p->sites[i], "Monday Tuesday", "SELECT group_concat(day, ' ') FROM opening");
        says(p->sites[i], "0", "SELECT count(*) FROM perche_refused");
    }
}

/* It has lost how far the site's first epoch went: the same copy, put back once more, is no second machine to it. One that goes on
 * beside it is. */
static void what_a_hub_put_back_has_of_an_epoch_that_ended_since_says_nothing(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1], *other;

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    back_up(p->hub);
    call(p, a, ID(1), "of the copy");
    all_equal(p);
    back_up(a);
    call(p, a, ID(1), "lost");
    all_equal(p);
    put_back(p, a);
    back_up(a); /* it is the same once more */
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    put_back(p, p->hub);
    VERDICTS(shake(p, a), PERCHE_GO_BACK);
    settled(p, a);
    (void)shake(p, b);
    settled(p, b);
    other = cloned(p, a);
    put_back(p, a);
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_GO_BACK);
    settled(p, a);
    is_called(p->hub, ID(1), "lost");
    all_equal(p);
    VERDICTS(shake(p, other), PERCHE_TWO_MACHINES);
    fixture_end(other);
}

/* What a row's author had read of it was read of a life of the hub that is no more. */
static void what_a_row_says_of_the_hub_goes_back_with_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    back_up(p->hub);
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    pair_sync(p, a);
    edit(p, a, "UPDATE learner SET ine = 'unpushed' WHERE id = '" ID(1) "'");
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '" ID(1) "'", SITE_ID(p, 1));
    while (pull_once(p, a, 1 << 20)) /* the mark waits for the edit */
        ;
    assert_true(header_at(a, "learner", ID(1)).flags & META_PAIR);
    put_back(p, p->hub);
    VERDICTS(shake(p, a), PERCHE_GO_BACK);
    assert_true(header_at(a, "learner", ID(1)).flags & META_PAIR);
    assert_true(header_at(a, "learner", ID(1)).full <= state_of(p, a).full);
    assert_true(header_at(a, "learner", ID(1)).scan <= state_of(p, a).scan);
    says(a, "0", "SELECT count(*) FROM perche_leaving"); /* nor has the row left */
    settled(p, a);
    says(a, "1", "SELECT count(*) FROM learner WHERE id = '" ID(1) "'");
}

/* What the hub would say of a row may be what it has lost. */
static void nothing_is_rolled_back_while_a_hub_is_made_whole(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    edit(p, p->hub, "UPDATE site SET premises = 'the hub''s' WHERE name = 'La Loupe'");
    all_equal(p);
    edit(p, a, "UPDATE site SET premises = 'mine' WHERE name = 'La Loupe'");
    pair_push(p, a);
    pull_once(p, a, 1 << 20); /* the refusal: the image is wanted */
    back_up(p->hub);
    call(p, a, ID(1), "Ada");
    pair_push(p, a);
    put_back(p, p->hub);
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    pair_push(p, a);
    pull_once(p, a, 1 << 20);
    says(a, "mine", "SELECT premises FROM site WHERE name = 'La Loupe'");
    free(pair_command(p, p->hub, "recover", "{\"now\": true}")); /* Chartres stays away */
    pull_once(p, a, 1 << 20);
    says(a, "the hub's", "SELECT premises FROM site WHERE name = 'La Loupe'");
}

/* The hub's copy has more of the epoch before than both had in common when the new one began. */
static void a_new_epoch_begins_where_it_did_at_a_hub_that_was_put_back(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    back_up(a);
    for (int i = 0; i < 4; i++)
        call(p, a, ID(1), i % 2 == 0 ? "Ada" : "Eve");
    pair_push(p, a);
    back_up(p->hub);
    put_back(p, a);
    learner(p, a, ID(2), SITE_ID(p, 0));
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    settled(p, a);
    says(p->hub, "2", "SELECT count(*) FROM learner");
    put_back(p, p->hub);
    says(p->hub, "1", "SELECT count(*) FROM learner");
    (void)shake(p, a);
    settled(p, a);
    says(p->hub, "2", "SELECT count(*) FROM learner");
}

static uint64_t stamp_of_the_name(struct fixture *f)
{
    struct replica *r = f->r;
    uint8_t key[16];
    struct meta m;

    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    assert_true(perche_uuid_parse((const uint8_t *)ID(1), 36, key));
    assert_int_equal(meta_load(r, registry_table(r, "learner"), (struct perche_bytes){key, 16}, &m), PERCHE_OK);
    assert_int_equal(tx_commit(r), PERCHE_OK);
    return m.cells[table_column(m.table, "call_name")->num].stamp;
}

/* Others may have it, with the stamp that it had. */
static void what_was_acknowledged_once_keeps_its_stamp_when_it_goes_again(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t stamp;

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    back_up(p->hub);
    call(p, a, ID(1), "Ada");
    pair_push(p, a);
    stamp = stamp_of_the_name(a);
    put_back(p, p->hub);
    measured_ms = -10000;
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    measured_ms = 0;
    assert_true(state_of(p, a).pending == 1);
    assert_true(stamp_of_the_name(a) == stamp);
    settled(p, a);
    assert_true(stamp_of_the_name(p->hub) == stamp);
}

static void a_hub_that_only_lost_what_it_had_acknowledged_gets_it_again(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct hands h;

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    back_up(p->hub);
    call(p, a, ID(1), "Ada");
    pair_push(p, a); /* acknowledged, and nothing pulled since */
    put_back(p, p->hub);
    h = shake(p, a);
    VERDICTS(h, PERCHE_PROVEN);
    assert_true(state_of(p, a).must && state_of(p, a).pending == 1 && state_of(p, a).done == 0);
    says(p->hub, "2", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    settled(p, a);
    is_called(p->hub, ID(1), "Ada");
    says(p->hub, "1", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    free(pair_command(p, p->hub, "recover", "{\"now\": true}")); /* Chartres has nothing to show, and stays away */
    says(p->hub, "0", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    pair_refuses(p, p->hub, WORK_COMMAND, "recover", "{\"now\": true}", PERCHE_STATE);
}

/* "recover --now" is about those that stay away. */
static void a_recovery_does_not_end_for_a_site_that_is_in_the_middle_of_showing(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct work w = pair_work(WORK_PUSH_APPLY, a);
    struct outcome o;
    struct parcel b;
    struct hands h;
    char *json;

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    back_up(p->hub);
    call(p, p->hub, ID(1), "Ada"); /* the hub's own */
    all_equal(p);
    put_back(p, p->hub);
    h = shake(p, a);
    VERDICTS(h, PERCHE_GO_BACK);
    json = pair_command(p, p->hub, "recover", "{\"now\": true}"); /* Chartres stays away */
    assert_string_equal(json_at(json, "$.recovery"), "shows");
    free(json);
    says(p->hub, "1", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    b = push_all(p, a);
    json = pair_command(p, p->hub, "recover", "{\"now\": true}"); /* La Loupe as well */
    assert_string_equal(json_at(json, "$.recovery"), "ended");
    free(json);
    w.message = b.message;
    w.session = h.last.session;
    o = pair_do(p, p->hub, w);
    assert_true(o.message.refused && o.message.u.no.why == PERCHE_NO_SESSION); /* it is not judged as any other day's */
    outcome_free(&o);
    is_called(p->hub, ID(1), "Camille");
    VERDICTS(shake(p, a), PERCHE_PROVEN); /* it says again what it has to show */
    settled(p, a);
    is_called(p->hub, ID(1), "Ada");
    is_called(a, ID(1), "Ada");
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
}

static void what_was_acknowledged_before_its_turn_goes_again_as_well(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    all_equal(p);
    back_up(p->hub);
    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    call(p, a, ID(1), "Ada"); /* numbered after the second learner, and goes with the first, whole */
    b = push_made(p, a, state_of(p, a).acked, 1);
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    pair_push(p, a);
    put_back(p, p->hub);
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    settled(p, a);
    is_called(p->hub, ID(1), "Ada");
    all_equal(p);
}

static void one_site_of_many_is_not_believed_alone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o;
    struct work w;

    all_equal(p);
    for (int i = 0; i < 3; i++) { /* five sites, all heard of since the hub was opened */
        char sql[200];

        snprintf(sql, sizeof sql, "INSERT INTO perche_name (text) VALUES ('site %d');"
                 " INSERT INTO perche_peer (site, epoch) VALUES ((SELECT max(num) FROM perche_name), 5)", i);
        program(p->hub, sql);
    }
    program(p->hub, "UPDATE perche_peer SET life = (SELECT life FROM perche_node)");
    o = pair_do(p, a, pair_work(WORK_PROVE_BUILD, NULL));
    w = pair_work(WORK_PROVE_JUDGE, a);
    w.message = pair_line(&o);
    w.message.u.prove.asof.mark++; /* a lie: no such position ever was */
    w.message.u.prove.list[0].asof.mark++;
    o = pair_do(p, p->hub, w);
    assert_true(o.message.refused && o.message.u.no.why == PERCHE_NO_RECOVERY && o.message.u.no.retry_ms > 0);
    outcome_free(&o);
    says(p->hub, "1", "SELECT count(*) FROM perche_peer WHERE recovery = 2");
    says(p->hub, "0", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    VERDICTS(shake(p, a), PERCHE_PROVEN); /* who takes it back goes on as before, with its rights */
    edit(p, a, "INSERT INTO code_list (list, code, label_fr) VALUES ('site_kind', 'Y', 'mine')");
    pair_push(p, a);
    says(p->hub, "0", "SELECT count(*) FROM code_list WHERE label_fr = 'mine'");
    pair_refuses(p, p->hub, WORK_COMMAND, "recover", "{\"now\": true}", PERCHE_STATE); /* there is nothing to end */
    for (int i = 0; i < 2; i++) { /* a person knows better; and who says it once more ends nothing */
        free(pair_command(p, p->hub, "recover", "{\"begin\": true}"));
        says(p->hub, "1", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    }
    free(pair_command(p, p->hub, "recover", "{\"now\": true}"));
    says(p->hub, "0", "SELECT count(*) FROM perche_peer WHERE recovery <> 0");
    pair_refuses(p, p->hub, WORK_COMMAND, "recover", "{\"begin\": true}", PERCHE_STATE); /* nobody says so any more */
}

static void both_ends_put_back_lose_nothing_that_one_of_them_has(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    struct hands h;

    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    all_equal(p);
    back_up(a);
    call(p, a, ID(1), "Ada");
    edit(p, p->hub, "INSERT INTO code_list (list, code, label_fr) VALUES ('site_kind', 'X', 'x')"); /* Chartres has it, too */
    all_equal(p);
    back_up(p->hub);
    call(p, a, ID(2), "Grace"); /* at the hub and here alone: both lose it */
    edit(p, p->hub, "UPDATE code_list SET label_fr = 'y' WHERE list = 'site_kind' AND code = 'X'");
    all_equal(p);
    put_back(p, a);
    put_back(p, p->hub);
    h = shake(p, a);
    assert_int_equal(h.verdicts[0], PERCHE_RESTORED);
    assert_int_equal(h.verdicts[h.count - 1], PERCHE_PROVEN); /* its position is older than what the hub lost */
    settled(p, a);
    h = shake(p, b);
    assert_int_equal(h.verdicts[h.count - 1], PERCHE_GO_BACK);
    settled(p, b);
    all_equal(p);
    is_called(a, ID(1), "Ada");
    says(a, "y", "SELECT label_fr FROM code_list WHERE list = 'site_kind' AND code = 'X'");
}

static void what_the_hub_alone_may_write_comes_back_only_as_the_hub_wrote_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    all_equal(p);
    back_up(p->hub);
    edit(p, p->hub, "INSERT INTO code_list (list, code, label_fr) VALUES ('site_kind', 'X', 'x')");
    all_equal(p);
    put_back(p, p->hub);
    edit(p, a, "UPDATE code_list SET label_fr = 'mine' WHERE list = 'site_kind' AND code = 'X'");
    edit(p, a, "INSERT INTO code_list (list, code, label_fr) VALUES ('site_kind', 'Y', 'mine')");
    VERDICTS(shake(p, a), PERCHE_GO_BACK);
    settled(p, a);
    says(p->hub, "0", "SELECT count(*) FROM code_list WHERE label_fr = 'mine'");
    VERDICTS(shake(p, p->sites[1]), PERCHE_GO_BACK);
    settled(p, p->sites[1]);
    all_equal(p);
    says(p->hub, "x", "SELECT label_fr FROM code_list WHERE list = 'site_kind' AND code = 'X'"); /* as Chartres had it */
    says(a, "0", "SELECT count(*) FROM code_list WHERE label_fr = 'mine'");
    says(a, "2", "SELECT count(*) FROM perche_refused");
}

static void a_hub_opened_again_is_not_one_that_was_put_back(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    all_equal(p);
    for (int i = 0; i < 3; i++) {
        shut(p->hub);
        reopened(p, p->hub);
        VERDICTS(shake(p, a), PERCHE_PROVEN);
        assert_false(state_of(p, a).must);
        edit(p, p->hub, "UPDATE learner SET call_name = '%d'", i);
        all_equal(p);
    }
    says(p->hub, "0", "SELECT count(*) FROM perche_peer WHERE recovery = 1");
    says(p->hub, "4", "SELECT count(*) FROM perche_life");
}

/* Its former life may have sent what it harvests now: the stamps stay, however far ahead the clock is. */
static void what_a_site_that_was_put_back_has_stamped_ahead_is_taken(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    const uint64_t day = 86400000;
    uint64_t stamp;

    learner(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    equal(p, a);
    back_up(a);
    edit(p, a, "UPDATE learner SET call_name = 'lost' WHERE id = '" ID(1) "'");
    equal(p, a);
    put_back(p, a);
    p->now += day;
    written(a, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(3) "', (SELECT site_id FROM perche_self), 'new');"
               "DELETE FROM learner WHERE id = '" ID(2) "'");
    harvest_here(p, a);
    p->now -= day;
    measured_ms = -(int64_t)day;
    VERDICTS(shake(p, a), PERCHE_RESTORED, PERCHE_PROVEN);
    stamp = state_of(p, p->hub).stamp;
    settled(p, a);
    measured_ms = 0;
    says(p->hub, "new", "SELECT call_name FROM learner WHERE id = '" ID(3) "'");
    says(p->hub, "0", "SELECT count(*) FROM learner WHERE id = '" ID(2) "'");
    assert_true(state_of(p, p->hub).stamp < stamp + (day << 16) / 2);
    edit(p, a, "UPDATE learner SET call_name = 'newer' WHERE id = '" ID(3) "'");
    equal(p, a);
    says(p->hub, "newer", "SELECT call_name FROM learner WHERE id = '" ID(3) "'");

    p->now += 2 * day; /* further ahead: what is shifted stays above what it replaced */
    written(a, "UPDATE learner SET call_name = 'newest', given_names = 'Ada', sex = NULL WHERE id = '" ID(3) "'; UPDATE learner SET ine = '1' WHERE id = '" ID(1) "'");
    harvest_here(p, a);
    p->now -= 2 * day;
    measured_ms = -2 * (int64_t)day;
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    measured_ms = 0;
    assert_true(cell_at(a, "learner", ID(1), "ine").stamp >> 16 <= p->now);
    equal(p, a);
    says(p->hub, "newest", "SELECT call_name FROM learner WHERE id = '" ID(3) "'");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict WHERE key LIKE '%%" ID(3) "%%'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_site_that_was_put_back_has_stamped_ahead_is_taken),
        TEST(a_site_put_back_gets_its_lost_changes_back_and_uses_no_position_twice),
        TEST(an_edit_after_the_backup_and_one_before_meet_as_two_edits),
        TEST(nor_does_it_when_what_was_before_the_backup_waits_at_the_hub),
        TEST(what_a_site_put_back_writes_of_a_row_that_had_left_it_arrives),
        TEST(a_value_that_a_site_put_back_pushes_once_more_is_no_news),
        TEST(a_stamp_that_a_site_put_back_gives_again_is_no_value_that_has_been_here),
        TEST(a_row_that_went_before_a_site_put_back_had_harvested_its_insert_is_gone_everywhere),
        TEST(the_same_backup_put_back_twice_is_no_second_machine),
        TEST(nor_is_it_to_a_hub_that_was_put_back_in_between),
        TEST(a_lost_answer_to_a_new_epoch_makes_no_other),
        TEST(a_mark_that_was_not_shown_is_asked_for_before_anything_is_believed),
        TEST(two_machines_are_both_held_and_both_named),
        TEST(a_line_that_speaks_on_beside_a_newer_one_is_a_second_machine),
        TEST(a_hub_put_back_is_made_whole_by_its_sites),
        TEST(rows_go_to_a_hub_put_back_in_the_order_of_their_positions_without_a_sort),
        TEST(a_hub_put_back_far_behind_knows_an_old_position_of_its_sites),
        TEST(a_site_put_back_while_it_shows_a_hub_what_that_lost_shows_it_anew),
        TEST(a_hub_put_back_twice_gets_what_others_wrote_twice),
        TEST(a_hub_put_back_to_before_a_table_gets_its_records_of_it_back),
        TEST(what_a_hub_put_back_has_of_an_epoch_that_ended_since_says_nothing),
        TEST(what_a_row_says_of_the_hub_goes_back_with_it),
        TEST(nothing_is_rolled_back_while_a_hub_is_made_whole),
        TEST(a_new_epoch_begins_where_it_did_at_a_hub_that_was_put_back),
        TEST(what_was_acknowledged_once_keeps_its_stamp_when_it_goes_again),
        TEST(a_hub_that_only_lost_what_it_had_acknowledged_gets_it_again),
        TEST(a_recovery_does_not_end_for_a_site_that_is_in_the_middle_of_showing),
        TEST(what_was_acknowledged_before_its_turn_goes_again_as_well),
        TEST(one_site_of_many_is_not_believed_alone),
        TEST(both_ends_put_back_lose_nothing_that_one_of_them_has),
        TEST(what_the_hub_alone_may_write_comes_back_only_as_the_hub_wrote_it),
        TEST(a_hub_opened_again_is_not_one_that_was_put_back),
    };

    return cmocka_run_group_tests_name("replica_position", tests, NULL, NULL);
}
