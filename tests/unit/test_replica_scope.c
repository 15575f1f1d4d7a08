/* Which sites hold a row, and what happens when that changes (DESIGN 4.6; MODEL B 3, 4, 6, 10, 11; C "interpretations"). */
#include "replica_lives.h"

static const char *scope_of(struct fixture *f, const char *table, const char *uuid)
{
    static struct header h;

    h = header_at(f, table, uuid);
    assert_true(h.stored);
    return h.scope;
}

static void each_rule_gives_its_sites(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t site;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    contact(p, a, ID(3), ID(2), "a@b.org");
    edit(p, a, "INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
               " VALUES ('" ID(4) "', '" ID(2) "', '" ID(5) "', '%s', '%s', '" ID(6) "', '2026-01-01', '2026-03-01', 'DRAFT')", SITE_ID(p, 0), SITE_ID(p, 1));
    equal(p, a);
    for (int i = 0; i < 2; i++) {
        struct fixture *f = i == 0 ? a : p->hub;

        assert_string_equal(scope_of(f, "cohort", ID(1)), SITE_ID(p, 0));         /* own site_id */
        assert_string_equal(scope_of(f, "learner", ID(2)), SITE_ID(p, 0));        /* members */
        assert_string_equal(scope_of(f, "learner_contact", ID(3)), SITE_ID(p, 0)); /* parent */
        assert_string_equal(scope_of(f, "transfer", ID(4)), scope_text(p, 3));    /* own, two columns */
    }
    assert_string_equal(scope_of(p->hub, "site", SITE_ID(p, 0)), "*");
    equal(p, p->sites[1]);
    says(p->sites[1], "1 0 0 0", "SELECT (SELECT count(*) FROM transfer) || ' ' || (SELECT count(*) FROM learner) || ' ' ||"
                                 " (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM cohort)");
    site = header_at(p->hub, "site", SITE_ID(p, 0)).lsn;
    assert_true(site > 0);
}

static void a_table_of_the_hub_alone_goes_nowhere(void **state)
{
    struct pair *p = *state;

    program(p->hub, "CREATE TABLE secret (id TEXT NOT NULL PRIMARY KEY, x TEXT) STRICT");
    free(pair_replicate(p, "{\"table\": \"secret\", \"scope\": \"hub\"}"));
    edit(p, p->hub, "INSERT INTO secret VALUES ('" ID(1) "', 'x')");
    assert_string_equal(scope_of(p->hub, "secret", ID(1)), "");
    pair_prove(p, p->sites[0]);
    equal(p, p->sites[0]);
    says(p->sites[0], "0", "SELECT count(*) FROM secret");
}

/* A's learner with a contact, enrolled at A. */
static void schooled(struct pair *p)
{
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    contact(p, a, ID(3), ID(2), "a@b.org");
    enrolment(p, a, ID(4), ID(2), ID(1), SITE_ID(p, 0));
    equal(p, a);
    equal(p, p->sites[1]);
}

static void ask_transfer(struct pair *p, const char *transfer_state)
{
    edit(p, p->sites[0], "INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
                         " VALUES ('" ID(5) "', '" ID(2) "', '" ID(4) "', '%s', '%s', '" ID(6) "', '2026-01-01', '2026-03-01', '%s')",
         SITE_ID(p, 0), SITE_ID(p, 1), transfer_state);
    equal(p, p->sites[0]);
}

static void a_transfer_that_is_asked_shows_the_learner_to_the_other_school(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    schooled(p);
    ask_transfer(p, "DRAFT"); /* the condition is not met */
    equal(p, b);
    says(b, "0", "SELECT count(*) FROM learner");
    edit(p, a, "UPDATE transfer SET state = 'ASKED'");
    equal(p, a);
    equal(p, b);
    says(b, "Camille a@b.org", "SELECT call_name || ' ' || value FROM learner l JOIN learner_contact c ON c.learner_id = l.id");
    says(b, "0", "SELECT count(*) FROM enrolment"); /* the school's own stays its own */
    assert_string_equal(scope_of(a, "learner", ID(2)), scope_text(p, 3));
    edit(p, b, "UPDATE learner SET call_name = 'both'"); /* whoever holds it writes it */
    equal(p, b);
    equal(p, a);
    says(a, "both", "SELECT call_name FROM learner");
    edit(p, b, "UPDATE transfer SET state = 'REFUSED'");
    equal(p, b);
    equal(p, b);
    says(b, "0 0 1", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM transfer)");
    equal(p, a);
    says(a, "1", "SELECT count(*) FROM learner");
}

static void after_a_transfer_the_old_school_keeps_its_enrolment_and_loses_the_learner(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    schooled(p);
    ask_transfer(p, "ASKED");
    equal(p, b);
    edit(p, p->hub, "UPDATE transfer SET state = 'DONE'; UPDATE enrolment SET exit_reason = 'TRANSFER', actual_end = '2026-03-01';"
                    "UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1));
    enrolment(p, p->hub, ID(7), ID(2), ID(6), SITE_ID(p, 1));
    assert_string_equal(scope_of(p->hub, "learner", ID(2)), SITE_ID(p, 1));
    equal(p, a);
    equal(p, b);
    says(a, "0 0 TRANSFER", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact) || ' ' || (SELECT exit_reason FROM enrolment)");
    says(b, "1 1 " ID(7), "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact) || ' ' || (SELECT group_concat(id) FROM enrolment)");
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0");
    edit(p, a, "UPDATE enrolment SET pay_scheme = 'AREF'"); /* its own past it may still write */
    equal(p, a);
    says(p->hub, "AREF", "SELECT pay_scheme FROM enrolment WHERE id = '" ID(4) "'");
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
}

static void late_edits_and_children_of_a_transferred_learner_arrive(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    schooled(p);
    edit(p, p->hub, "UPDATE enrolment SET exit_reason = 'TRANSFER'; UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1));
    edit(p, a, "UPDATE learner_contact SET value = 'late@b.org'");
    contact(p, a, ID(8), ID(2), "new@b.org");
    while (pull_once(p, a, 1 << 20))
        ;
    says(a, "1", "SELECT count(*) FROM learner"); /* the mark waits */
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
    says(a, "0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact)");
    equal(p, b);
    says(b, "late@b.org,new@b.org", "SELECT group_concat(value) FROM (SELECT value FROM learner_contact ORDER BY id)");
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0");
}

static void an_exit_for_another_reason_keeps_the_learner(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    schooled(p);
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1));
    assert_string_equal(scope_of(p->hub, "learner", ID(2)), scope_text(p, 3)); /* an empty reason is in no list */
    edit(p, a, "UPDATE enrolment SET exit_reason = 'END'");
    equal(p, a);
    assert_string_equal(scope_of(p->hub, "learner", ID(2)), scope_text(p, 3));
    edit(p, a, "DELETE FROM enrolment");
    equal(p, a);
    equal(p, a);
    assert_string_equal(scope_of(p->hub, "learner", ID(2)), SITE_ID(p, 1));
    says(a, "0", "SELECT count(*) FROM learner");
}

static void a_child_that_comes_before_its_parent_moves_to_where_that_is(void **state)
{
    struct pair *p = *state;

    contact(p, p->hub, ID(3), ID(2), "a@b.org");
    assert_string_equal(scope_of(p->hub, "learner_contact", ID(3)), ""); /* nobody's yet */
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    assert_string_equal(scope_of(p->hub, "learner_contact", ID(3)), SITE_ID(p, 0));
    contact(p, p->sites[1], ID(4), ID(5), "c@d.org"); /* at a site: the pusher's */
    pair_push(p, p->sites[1]);
    assert_string_equal(scope_of(p->hub, "learner_contact", ID(4)), SITE_ID(p, 1));
    equal(p, p->sites[0]);
    equal(p, p->sites[1]);
    says(p->sites[0], "a@b.org", "SELECT value FROM learner_contact");
}

static void a_cohort_that_its_school_hands_over_takes_its_half_days_along(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    edit(p, a, "INSERT INTO half_day (id, cohort_id, day, half, mode) VALUES ('" ID(2) "', '" ID(1) "', '2026-01-05', 'AM', 'SITE'),"
               " ('" ID(3) "', '" ID(1) "', '2026-01-05', 'PM', 'SITE')");
    equal(p, a);
    edit(p, a, "UPDATE cohort SET site_id = '%s'", SITE_ID(p, 1)); /* mover holder */
    equal(p, a);
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
    says(a, "0 0", "SELECT (SELECT count(*) FROM cohort) || ' ' || (SELECT count(*) FROM half_day)");
    equal(p, b);
    says(b, "1 2", "SELECT (SELECT count(*) FROM cohort) || ' ' || (SELECT count(*) FROM half_day)");
}

static const char *dead_scopes(struct fixture *f)
{
    return asked(f->program, "SELECT coalesce(group_concat(said, ', '), '') FROM (SELECT t.name || ' ' || n.text AS said FROM perche_row r JOIN perche_tab t ON t.num = r.tab"
                             " JOIN perche_name n ON n.num = r.scope WHERE r.gen % 2 = 0 ORDER BY said)");
}

/* An outcome that was decided at A and taken back, and a contact that was deleted there. */
static void once_decided(struct pair *p)
{
    struct fixture *a = p->sites[0];

    schooled(p);
    edit(p, a, "INSERT INTO outcome_decision VALUES ('" ID(4) "', 'W4', 'EMP', 'o', 'r', 'x', '2026-01-05')");
    equal(p, a);
    edit(p, a, "DELETE FROM outcome_decision; DELETE FROM learner_contact");
    equal(p, a);
}

static void decides_again(struct pair *p, struct fixture *f)
{
    edit(p, f, "INSERT INTO outcome_decision VALUES ('" ID(4) "', 'W4', 'TRAIN', 'o', 'r', 'x', '2026-07-05')");
    equal(p, f);
    says(p->hub, "TRAIN 0", "SELECT (SELECT situation FROM outcome_decision) || ' ' || (SELECT count(*) FROM perche_conflict)");
}

static void tombstones_go_where_their_parent_goes(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    char *text;

    once_decided(p);
    edit(p, p->hub, "UPDATE enrolment SET site_id = '%s'; UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1), SITE_ID(p, 1));
    equal(p, a);
    equal(p, b);
    assert_string_equal(dead_scopes(a), "");
    text = sqlite3_mprintf("learner_contact %s, outcome_decision %s", SITE_ID(p, 1), SITE_ID(p, 1));
    assert_string_equal(dead_scopes(b), text);
    assert_string_equal(dead_scopes(p->hub), text);
    sqlite3_free(text);
    decides_again(p, b);
    says(p->hub, "3", "SELECT gen FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'outcome_decision')");

    /* what lives again is followed as a living row, once */
    edit(p, p->hub, "UPDATE enrolment SET site_id = '%s'", SITE_ID(p, 0));
    says(p->hub, "learner_contact", "SELECT group_concat(t.name) FROM perche_dead_child d JOIN perche_tab t ON t.num = d.tab");
    equal(p, b);
    equal(p, a);
    says(a, "TRAIN", "SELECT situation FROM outcome_decision");
    says(b, "0", "SELECT count(*) FROM outcome_decision");
}

static void a_cohort_made_for_another_school_goes_there_and_does_not_stay(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    cohort(p, a, ID(1), SITE_ID(p, 1));
    equal(p, a);
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
    says(a, "0", "SELECT count(*) FROM cohort");
    equal(p, b);
    says(b, "1", "SELECT count(*) FROM cohort");
}

/* ---- readers ---- */

static void reader(struct pair *p, int may_write)
{
    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', %d)", SITE_ID(p, 0), SITE_ID(p, 1), may_write);
}

/* Their parents are read from what they kept when the file of an earlier program is opened. */
static void so_do_those_of_an_older_file(void **state)
{
    struct pair *p = *state;
    char *text;

    once_decided(p);
    says(p->hub, "2", "SELECT count(*) FROM perche_dead_child");
    edit(p, p->hub, "DROP TABLE perche_dead_child; UPDATE perche_node SET format = 1");
    shut(p->hub);
    reopened(p, p->hub);
    says(p->hub, "2", "SELECT count(*) FROM perche_dead_child");
    edit(p, p->hub, "UPDATE enrolment SET site_id = '%s'; UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1), SITE_ID(p, 1));
    text = sqlite3_mprintf("learner_contact %s, outcome_decision %s", SITE_ID(p, 1), SITE_ID(p, 1));
    assert_string_equal(dead_scopes(p->hub), text);
    sqlite3_free(text);
}

static void tombstones_come_to_who_reads_from_now_on(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    once_decided(p);
    reader(p, 1);
    equal(p, p->sites[0]);
    equal(p, b);
    says(b, "outcome_decision", "SELECT name FROM perche_tab WHERE num IN (SELECT tab FROM perche_row WHERE gen %% 2 = 0) AND name LIKE 'o%%'");
    decides_again(p, b);
}

static void a_reader_gets_the_rows_of_the_area_and_of_no_other(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    schooled(p);
    reader(p, 0); /* of rows that are there */
    edit(p, a, "INSERT INTO half_day (id, cohort_id, day, half, mode) VALUES ('" ID(8) "', '" ID(1) "', '2026-01-05', 'AM', 'SITE')");
    edit(p, a, "INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)"
               " VALUES ('" ID(9) "', '" ID(8) "', '" ID(4) "', 'P', 210, 'PAPER', '2026-01-05', '%s')", SITE_ID(p, 0));
    contact(p, a, ID(7), ID(2), "later@b.org");
    equal(p, a);
    equal(p, b);
    says(b, "1 2 1 0 0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM enrolment) || ' ' ||"
                           " (SELECT count(*) FROM cohort) || ' ' || (SELECT count(*) FROM half_day) || ' ' || (SELECT count(*) FROM attendance)");
    assert_string_equal(scope_of(a, "learner", ID(2)), scope_text(p, 3));
    assert_string_equal(scope_of(a, "attendance", ID(9)), SITE_ID(p, 0)); /* a parent's readers are not the child's */
    edit(p, p->hub, "DELETE FROM site_reader");
    equal(p, a);
    equal(p, b);
    says(b, "0 0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM enrolment)");
    says(a, "1", "SELECT count(*) FROM learner");
}

#define LEARNERS "SELECT count(*) || ' ' || (SELECT count(*) FROM perche_row r JOIN perche_tab t ON t.num = r.tab WHERE gen %% 2 = 0 AND t.name = 'learner') FROM learner"

static void tombstones_and_rows_beyond_a_page_are_read_too(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    edit(p, a, "INSERT INTO learner (id, home_site_id, call_name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
               " SELECT printf('00000000-0000-7000-9000-%%012d', i), '%s', 'x' FROM n", SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "DELETE FROM learner WHERE id LIKE '%%77'");
    equal(p, a);
    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'finance', 1)", SITE_ID(p, 0), SITE_ID(p, 1));
    equal(p, b);
    says(b, "0 0", LEARNERS); /* another area */
    reader(p, 0);
    equal(p, b);
    says(b, "594 6", LEARNERS);
    edit(p, p->hub, "DELETE FROM site_reader");
    equal(p, b);
    equal(p, b);
    says(b, "0 0", LEARNERS);
    says(p->hub, "0", "SELECT count(*) FROM perche_reader");
}

static uint64_t statements;

static int count_one(unsigned kind, void *ctx, void *statement, void *text)
{
    (void)kind, (void)ctx, (void)statement, (void)text;
    statements++;
    return 0;
}

static int count_all(sqlite3 *db, char **err, const struct sqlite3_api_routines *api)
{
    (void)err, (void)api;
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_one, NULL);
}

/* Statements of the harvest. */
static uint64_t with_readers(struct pair *p, int n)
{
    uint64_t many;

    edit(p, p->hub, "DELETE FROM site_reader");
    written(p->hub, "INSERT INTO site_reader (site_id, reader_id, area) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                    " SELECT '%s', printf('ffffffff-0000-7000-8000-%%012d', i), 'placement' FROM n", n, SITE_ID(p, 0));
    statements = 0;
    harvest_here(p, p->hub);
    many = statements;
    says(p->hub, "20", "SELECT count(*) FROM perche_row r JOIN perche_name n ON n.num = r.scope WHERE text LIKE '%%ffffffff-0000-7000-8000-%012d'", n);
    return many;
}

static void readers_cost_the_rows_that_they_read_once(void **state)
{
    struct pair *p = *state;
    uint64_t one;

    shut(p->hub);
    assert_int_equal(sqlite3_auto_extension((void (*)(void))count_all), SQLITE_OK);
    reopened(p, p->hub);
    for (int i = 0; i < 2; i++)
        edit(p, p->hub, "INSERT INTO learner (id, home_site_id, call_name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                        " SELECT printf('00000000-0000-7000-900%d-%%012d', i), '%s', 'x' FROM n", i == 0 ? 20 : 200, i, SITE_ID(p, i));
    one = with_readers(p, 1);
    assert_true(one < 20 * 30); /* not those of the other school; each asks three tables more who is a member */
    assert_true(with_readers(p, 20) < 2 * one + 20 * 20);
    (void)sqlite3_cancel_auto_extension((void (*)(void))count_all);
}

/* A scope is bounded: the one row that has too many readers must not stop everybody's. */
static void more_readers_than_a_scope_holds_are_left_out_and_named(void **state)
{
    struct pair *p = *state;
    char *json;

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)"
                    " SELECT '%s', printf('ffffffff-0000-7000-8000-%%012d', i), 'placement', 0 FROM n", SITE_ID(p, 0));
    says(p->hub, "0", "SELECT count(*) FROM perche_capture");
    says(p->hub, "95", "SELECT max(length(text) - length(replace(text, ',', ''))) FROM perche_name");
    equal(p, p->sites[0]);
    says(p->sites[0], "1", "SELECT count(*) FROM learner");
    json = pair_query(p, p->hub, "warnings", "{}");
    assert_non_null(strstr(json, "\"readers\""));
    free(json);
}

static void a_reader_of_a_moved_learner_goes_with_the_school_that_he_reads(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    schooled(p);
    reader(p, 0);
    equal(p, b);
    edit(p, p->hub, "UPDATE enrolment SET exit_reason = 'TRANSFER'; UPDATE learner SET home_site_id = '%s'", HUB_ID(p));
    equal(p, p->sites[0]);
    equal(p, b);
    says(b, "0 0 1", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM enrolment)");
}

/* A reads what is B's: after a move to B it has the rows still, and is not told that they have left. */
static void former_school_reads(struct pair *p)
{
    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', 0)", SITE_ID(p, 1), SITE_ID(p, 0));
}

static void attendance(struct pair *p, struct fixture *f, const char *uuid)
{
    edit(p, f, "INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)"
               " VALUES ('%s', '" ID(a) "', '" ID(4) "', 'P', 210, 'PAPER', '2026-01-05', 'x')", uuid);
}

/* Two batches, and an answer of the hub's before the first one and between them. */
static void late(struct pair *p, struct fixture *a)
{
    struct parcel parcel;
    uint32_t batches = 0;
    bool more;

    do {
        struct state s;

        while (pull_once(p, a, 1 << 20))
            ;
        s = state_of(p, a);
        parcel = push_made(p, a, s.acked, 2);
        more = parcel.more;
        push_told(p, a, &parcel, push_taken(p, a, &parcel));
        parcel_end(&parcel);
        batches++;
    } while (more);
    assert_true(batches > 1);
}

static void late_edits_and_children_of_a_school_that_goes_on_reading_arrive(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    schooled(p);
    former_school_reads(p);
    equal(p, a);
    edit(p, p->hub, "UPDATE enrolment SET site_id = '%s'; UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1), SITE_ID(p, 1));
    assert_string_equal(scope_of(p->hub, "learner", ID(2)), scope_text(p, 3));
    edit(p, a, "UPDATE learner_contact SET value = 'late@b.org'");
    contact(p, a, ID(8), ID(2), "new@b.org");
    attendance(p, a, ID(9)); /* no reader's */
    edit(p, a, "UPDATE enrolment SET pay_scheme = 'AREF'");
    attendance(p, a, ID(b));
    late(p, a);
    says(p->hub, "", "SELECT group_concat(reason) FROM perche_refusal");
    equal(p, a);
    equal(p, a);
    equal(p, b);
    for (int i = 0; i < 2; i++)
        says(i == 0 ? p->hub : b, "late@b.org new@b.org AREF 2", "SELECT group_concat(value, ' ') || ' ' || (SELECT pay_scheme FROM enrolment) || ' ' || (SELECT count(*) FROM attendance)"
                                                                 " FROM (SELECT value FROM learner_contact ORDER BY id)");
    says(a, "2 1 0", "SELECT (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM enrolment) || ' ' || (SELECT count(*) FROM attendance)");
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0"); /* it has heard of it, and the right ends */
    edit(p, a, "UPDATE learner_contact SET value = 'x'");
    attendance(p, a, ID(c));
    equal(p, a);
    says(a, "attendance readonly,learner_contact readonly", "SELECT group_concat(x) FROM (SELECT DISTINCT tab || ' ' || reason AS x FROM perche_refused ORDER BY 1)");
}

/* The sites that hold the row are the same ones before and after. */
static void so_do_those_of_a_school_that_was_read_by_the_other(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    schooled(p);
    reader(p, 0);
    former_school_reads(p);
    equal(p, a);
    equal(p, b);
    assert_string_equal(scope_of(p->hub, "enrolment", ID(4)), scope_text(p, 3));
    edit(p, p->hub, "UPDATE enrolment SET site_id = '%s'; UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1), SITE_ID(p, 1));
    assert_string_equal(scope_of(p->hub, "enrolment", ID(4)), scope_text(p, 3));
    edit(p, a, "UPDATE learner_contact SET value = 'late@b.org'");
    contact(p, a, ID(8), ID(2), "new@b.org");
    attendance(p, a, ID(9));
    edit(p, b, "UPDATE enrolment SET pay_scheme = 'AREF'"); /* who has only read it until then does not know better either */
    equal(p, a);
    says(p->hub, "2 late@b.org 1", "SELECT count(*) || ' ' || min(value) || ' ' || (SELECT count(*) FROM attendance) FROM learner_contact");
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
    equal(p, b);
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0");
    edit(p, p->hub, "UPDATE enrolment SET site_id = '%s'; UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 0), SITE_ID(p, 0)); /* and back again */
    edit(p, a, "UPDATE learner_contact SET value = 'mine'");
    equal(p, a);
    says(p->hub, "mine mine", "SELECT group_concat(value, ' ') FROM learner_contact");
    edit(p, b, "UPDATE learner_contact SET value = 'late'");
    equal(p, b);
    equal(p, b);
    says(p->hub, "late late 0", "SELECT group_concat(value, ' ') || ' ' || (SELECT count(*) FROM perche_left WHERE ended = 0) FROM learner_contact");
    edit(p, b, "UPDATE learner_contact SET value = 'x'");
    equal(p, b);
    says(b, "readonly", "SELECT group_concat(DISTINCT reason) FROM perche_refused");
}

/* What had left comes back to be read before its mark was heard. */
static void a_right_that_a_mark_gave_outlasts_its_row_coming_back_to_be_read(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    schooled(p);
    edit(p, p->hub, "UPDATE enrolment SET site_id = '%s'; UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1), SITE_ID(p, 1));
    assert_string_equal(scope_of(p->hub, "learner", ID(2)), SITE_ID(p, 1));
    former_school_reads(p);
    contact(p, a, ID(8), ID(2), "new@b.org");
    attendance(p, a, ID(9));
    equal(p, a);
    says(p->hub, "2 1 0", "SELECT (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM attendance) || ' ' || (SELECT count(*) FROM perche_refusal)");
    equal(p, a);
    says(a, "1 2 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM attendance)");
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0");
}

/* ---- who hears of it ---- */

static void those_that_hold_the_row_are_woken_and_its_author_is_not(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel parcel;
    struct work w;
    struct outcome o;

    schooled(p);
    edit(p, a, "UPDATE cohort SET code = 'x'");
    parcel = push_all(p, a);
    w = pair_work(WORK_PUSH_APPLY, a);
    w.message = message_copy(&parcel.message);
    o = pair_do(p, p->hub, w);
    assert_int_equal(o.woken_count, 0);
    assert_false(o.woken_all);
    outcome_free(&o);
    parcel_end(&parcel);
    pair_sync(p, a);
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1)); /* both hold it now */
    equal(p, a);
    equal(p, p->sites[1]);
    edit(p, a, "UPDATE learner SET call_name = 'x'");
    parcel = push_all(p, a);
    w = pair_work(WORK_PUSH_APPLY, a);
    w.message = message_copy(&parcel.message);
    o = pair_do(p, p->hub, w);
    assert_int_equal(o.woken_count, 1);
    assert_string_equal(o.woken[0], SITE_ID(p, 1));
    outcome_free(&o);
    parcel_end(&parcel);
    written(p->hub, "UPDATE site SET premises = 'x' WHERE name = 'La Loupe'");
    o = pair_do(p, p->hub, pair_work(WORK_HARVEST, NULL));
    assert_true(o.woken_all);
    outcome_free(&o);
    written(p->hub, "UPDATE learner SET home_site_id = '%s'; UPDATE enrolment SET exit_reason = 'TRANSFER'", HUB_ID(p));
    o = pair_do(p, p->hub, pair_work(WORK_HARVEST, NULL));
    assert_int_equal(o.woken_count, 2); /* the marks */
    outcome_free(&o);
}

static void a_row_with_its_scope_unchanged_marks_nobody(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct header before;

    schooled(p);
    before = header_at(p->hub, "learner", ID(2));
    edit(p, a, "UPDATE enrolment SET exit_reason = 'END'"); /* re-derived, and the same */
    edit(p, a, "UPDATE learner SET call_name = 'x'");
    equal(p, a);
    assert_true(header_at(p->hub, "learner", ID(2)).entered == before.entered);
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0");
}

static void a_scope_that_changed_since_the_last_pull_is_later_and_no_difference(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    uint64_t repaired;
    uint32_t level;

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    equal(p, b);
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1));
    for (int i = 0; i < 2; i++) { /* one has the row and shall not, the other shall have it and has not */
        assert_int_equal(pair_compare(p, p->sites[i], &level, &repaired), PERCHE_LATER);
        assert_int_equal(level, 0);
        assert_int_equal(repaired, 0);
    }
    equal(p, a);
    equal(p, b);
    says(a, "0", "SELECT count(*) FROM learner");
    says(b, "1", "SELECT count(*) FROM learner");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_rule_gives_its_sites),
        TEST(a_table_of_the_hub_alone_goes_nowhere),
        TEST(a_transfer_that_is_asked_shows_the_learner_to_the_other_school),
        TEST(after_a_transfer_the_old_school_keeps_its_enrolment_and_loses_the_learner),
        TEST(late_edits_and_children_of_a_transferred_learner_arrive),
        TEST(an_exit_for_another_reason_keeps_the_learner),
        TEST(a_child_that_comes_before_its_parent_moves_to_where_that_is),
        TEST(a_cohort_that_its_school_hands_over_takes_its_half_days_along),
        TEST(tombstones_go_where_their_parent_goes),
        TEST(a_cohort_made_for_another_school_goes_there_and_does_not_stay),
        TEST(so_do_those_of_an_older_file),
        TEST(tombstones_come_to_who_reads_from_now_on),
        TEST(a_reader_gets_the_rows_of_the_area_and_of_no_other),
        TEST(tombstones_and_rows_beyond_a_page_are_read_too),
        TEST(readers_cost_the_rows_that_they_read_once),
        TEST(more_readers_than_a_scope_holds_are_left_out_and_named),
        TEST(a_reader_of_a_moved_learner_goes_with_the_school_that_he_reads),
        TEST(late_edits_and_children_of_a_school_that_goes_on_reading_arrive),
        TEST(so_do_those_of_a_school_that_was_read_by_the_other),
        TEST(a_right_that_a_mark_gave_outlasts_its_row_coming_back_to_be_read),
        TEST(those_that_hold_the_row_are_woken_and_its_author_is_not),
        TEST(a_row_with_its_scope_unchanged_marks_nobody),
        TEST(a_scope_that_changed_since_the_last_pull_is_later_and_no_difference),
    };

    return cmocka_run_group_tests_name("replica_scope", tests, NULL, NULL);
}
