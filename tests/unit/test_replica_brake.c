/* Mass deletions wait for a person (DESIGN 4.11). */
#include "replica_lives.h"

#define ROW "0198f3a0-0000-7000-8000-%012d"
#define ROW_SQL "0198f3a0-0000-7000-8000-%%012d" /* in what is itself printed */

/* @count learners at their school, numbered from 1, at the hub as well. */
static void school_of(struct pair *p, struct fixture *at, const char *site, int count)
{
    edit(p, at, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                " INSERT INTO learner (id, home_site_id, birth_family_name, call_name)"
                " SELECT printf('" ROW_SQL "', i), '%s', 'Martin', 'Camille ' || i FROM n", count, site);
    equal(p, p->sites[0]);
}

static void delete_rows(struct pair *p, struct fixture *at, int from, int to)
{
    edit(p, at, "DELETE FROM learner WHERE id BETWEEN printf('" ROW_SQL "', %d) AND printf('" ROW_SQL "', %d)", from, to);
}

static void has(struct fixture *f, const char *count)
{
    says(f, count, "SELECT count(*) FROM learner");
}

static void holds(struct fixture *f, const char *count)
{
    says(f, count, "SELECT count(*) FROM perche_held");
}

static const char *uuid_of(int n)
{
    static char text[37];

    snprintf(text, sizeof text, ROW, n);
    return text;
}

static void verified(struct pair *p, struct fixture *f)
{
    char *json = pair_query(p, f, "verify", "{}");

    assert_string_equal(json_at(json, "$.equal"), "1");
    free(json);
}

static void a_mass_deletion_waits_and_everything_is_proven_equal_meanwhile(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o;
    char *json;

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    has(a, "10");
    holds(a, "40");
    equal(p, a);
    has(p->hub, "50");
    verified(p, a);
    verified(p, p->hub);
    says(a, "0", "SELECT count(*) FROM perche_gone_learner");
    o = pair_read(p, a, pair_work(WORK_STATE, NULL));
    assert_int_equal(o.state.held, 40);
    assert_int_equal(o.state.pending, 0);
    assert_true(o.state.held_ms > 0);
    outcome_free(&o);
    json = pair_query(p, a, "held", "{}");
    assert_string_equal(json_at(json, "$.held[0].table"), "learner");
    assert_string_equal(json_at(json, "$.held[0].rows"), "40");
    assert_string_equal(json_at(json, "$.held[0].of"), "50");
    assert_string_equal(json_at(json, "$.held[0].state"), "waiting");
    assert_string_equal(json_at(json, "$.held[1]"), "null");
    free(json);
    json = pair_query(p, a, "held", "{\"id\": 1, \"limit\": 3}");
    assert_string_equal(json_at(json, "$.entries[2].key[0]"), uuid_of(3));
    assert_string_equal(json_at(json, "$.entries[2].columns.call_name"), "Camille 3");
    assert_string_equal(json_at(json, "$.entries[3]"), "null");
    assert_string_equal(json_at(json, "$.more"), "1");
    free(json);
    pair_refuses(p, a, WORK_QUERY, "held", "{\"id\": 7}", PERCHE_NOT_FOUND);
    pair_refuses(p, a, WORK_COMMAND, "undo", "{\"id\": 7}", PERCHE_NOT_FOUND);
}

static void what_else_is_written_goes_on(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    p->now += 1000;
    written(a, "DELETE FROM learner WHERE id <= '%s'", uuid_of(40));
    written(a, "UPDATE learner SET call_name = 'Anna' WHERE id = '%s'", uuid_of(45));
    edit(p, a, "INSERT INTO learner (id, home_site_id, birth_family_name) VALUES ('0198f3a0-0000-7000-8000-00000000abcd', '%s', 'Petit')", SITE_ID(p, 0));
    equal(p, a);
    has(p->hub, "51");
    says(p->hub, "Anna", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(45));
    delete_rows(p, a, 45, 46); /* a small one, after it */
    equal(p, a);
    has(p->hub, "49");
    holds(a, "40");
}

static void the_bound_is_a_fifth_of_the_table_and_twenty_rows(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 20); /* two fifths, but no more than 20 rows */
    holds(a, "0");
    equal(p, a);
    has(p->hub, "30");
    edit(p, a, "WITH RECURSIVE n (i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n WHERE i < 200)"
               " INSERT INTO learner (id, home_site_id, birth_family_name) SELECT printf('" ROW_SQL "', i), '%s', 'Martin' FROM n", SITE_ID(p, 0));
    has(a, "130");
    delete_rows(p, a, 101, 126); /* 26 of 130: a fifth */
    holds(a, "0");
    has(a, "104");
    delete_rows(p, a, 127, 147); /* 21 of 104: more */
    holds(a, "21");
    has(a, "83");
    equal(p, a);
    has(p->hub, "104");
}

static void a_row_that_is_inserted_again_at_once_is_not_counted(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    p->now += 1000;
    written(a, "CREATE TABLE copy AS SELECT * FROM learner");
    written(a, "DELETE FROM learner");
    edit(p, a, "INSERT INTO learner SELECT * FROM copy LIMIT 30 OFFSET 0");
    holds(a, "0"); /* 20 are gone in the end */
    equal(p, a);
    has(p->hub, "30");
}

/* A slip there is mended by writing them again; one that was held would be in force for some records and not for others. */
static void who_reads_along_is_not_held(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
                    " SELECT '%s', printf('ffffffff-0000-7000-8000-%%012d', i), 'placement', 0 FROM n", SITE_ID(p, 0));
    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', 0)", SITE_ID(p, 0), SITE_ID(p, 1));
    equal(p, b);
    has(b, "1");
    edit(p, p->hub, "DELETE FROM site_reader");
    holds(p->hub, "0");
    equal(p, b);
    has(b, "0");
    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', 0)", SITE_ID(p, 0), SITE_ID(p, 1));
    equal(p, b);
    has(b, "1");
}

static void a_hub_edit_is_merged_and_undo_brings_it_back_uncaptured(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o;
    uint64_t lsn;
    char *json;

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    edit(p, p->hub, "UPDATE learner SET call_name = 'of the hub' WHERE id = '%s'", uuid_of(7));
    equal(p, a);
    has(a, "10");
    holds(a, "40");
    verified(p, a);
    lsn = a->r->node.lsn;
    json = pair_command(p, a, "undo", "{\"id\": 1}");
    assert_string_equal(json_at(json, "$.rows"), "40");
    assert_string_equal(json_at(json, "$.left"), "0");
    free(json);
    has(a, "50");
    holds(a, "0");
    says(a, "0", "SELECT count(*) FROM perche_capture");
    says(a, "0", "SELECT count(*) FROM perche_held_set");
    says(a, "of the hub", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(7));
    says(a, "Camille 8", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(8));
    assert_true(a->r->node.lsn == lsn);
    o = pair_read(p, a, pair_work(WORK_STATE, NULL));
    assert_int_equal(o.state.held, 0);
    outcome_free(&o);
    equal(p, a);
    verified(p, a);
    delete_rows(p, a, 8, 8); /* captured as ever */
    equal(p, a);
    has(p->hub, "49");
}

static void release_deletes_everywhere_as_of_now(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    edit(p, p->hub, "UPDATE learner SET call_name = 'of the hub' WHERE id = '%s'", uuid_of(7));
    equal(p, a);
    p->now += 86400000;
    free(pair_command(p, a, "release", "{\"id\": 1}"));
    holds(a, "0");
    has(a, "10");
    assert_int_equal(header_at(a, "learner", uuid_of(7)).gen, 2);
    assert_true(cell_at(a, "learner", uuid_of(7), NULL).stamp >> 16 == p->now);
    equal(p, a);
    has(p->hub, "10");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict"); /* the person had seen the edit */
    verified(p, a);
    verified(p, p->hub);
}

static void an_edit_that_the_releasing_site_had_not_seen_is_kept(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    edit(p, p->hub, "UPDATE learner SET call_name = 'unseen' WHERE id = '%s'", uuid_of(7));
    free(pair_command(p, a, "release", "{\"id\": 1}"));
    equal(p, a);
    has(p->hub, "10");
    says(p->hub, "unseen", "SELECT a_value || coalesce(b_value, '') FROM perche_conflict WHERE state = 'open' AND kind = 'deleted' AND col = 'call_name'");
}

static void a_program_that_inserts_a_key_again_ends_its_waiting(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    edit(p, a, "INSERT INTO learner (id, home_site_id, birth_family_name, call_name) VALUES ('%s', '%s', 'Martin', 'again')", uuid_of(3), SITE_ID(p, 0));
    edit(p, a, "INSERT INTO learner (id, home_site_id, birth_family_name, call_name) VALUES ('%s', '%s', 'Martin', 'Camille 4')", uuid_of(4), SITE_ID(p, 0));
    holds(a, "38");
    assert_int_equal(header_at(a, "learner", uuid_of(3)).gen, 1);
    assert_int_equal(header_at(a, "learner", uuid_of(4)).flags & META_HELD, 0);
    equal(p, a);
    verified(p, a);
    says(p->hub, "again", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(3));
    free(pair_command(p, a, "release", "{\"id\": 1}"));
    equal(p, a);
    has(a, "12");
    has(p->hub, "12");
}

static void a_set_whose_rows_are_all_inserted_again_is_over(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    written(a, "CREATE TABLE copy AS SELECT * FROM learner");
    delete_rows(p, a, 1, 40);
    holds(a, "40");
    edit(p, a, "INSERT INTO learner SELECT * FROM copy WHERE id <= '%s'", uuid_of(40));
    holds(a, "0");
    says(a, "0", "SELECT count(*) FROM perche_held_set");
    equal(p, a);
    verified(p, a);
    pair_refuses(p, a, WORK_COMMAND, "release", "{\"id\": 1}", PERCHE_NOT_FOUND);
}

/* The job of every night that empties the table and fills it again, and fails half-way twice. */
static void a_held_row_that_came_and_went_between_two_harvests_goes_on_waiting(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    written(a, "CREATE TABLE copy AS SELECT * FROM learner");
    delete_rows(p, a, 1, 40);
    p->now += 1000;
    written(a, "INSERT INTO learner SELECT * FROM copy WHERE id <= '%s'", uuid_of(40));
    written(a, "UPDATE learner SET call_name = 'changed' WHERE id = '%s'", uuid_of(5));
    delete_rows(p, a, 1, 40);
    holds(a, "40");
    equal(p, a);
    has(p->hub, "50");
    verified(p, a);
    says(p->hub, "changed", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(5));
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    says(a, "changed", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(5));
    equal(p, a);
}

static void an_edit_just_before_the_deletion_is_not_lost(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    p->now += 1000;
    written(a, "UPDATE learner SET call_name = 'late' WHERE id = '%s'", uuid_of(9));
    delete_rows(p, a, 1, 40);
    equal(p, a);
    verified(p, a);
    says(p->hub, "late", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(9));
    says(p->hub, "Camille 8", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(8));
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    says(a, "late", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(9));
    equal(p, a);
}

static void a_deletion_by_the_hub_ends_the_waiting(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    equal(p, a);
    delete_rows(p, p->hub, 5, 6);
    equal(p, a);
    holds(a, "38");
    assert_int_equal(header_at(a, "learner", uuid_of(5)).gen, 2);
    assert_int_equal(header_at(a, "learner", uuid_of(5)).flags & META_HELD, 0);
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    has(a, "48");
    equal(p, a);
    verified(p, a);
}

static void a_row_that_the_hub_deleted_and_inserted_again_goes_on_waiting(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    equal(p, a);
    delete_rows(p, p->hub, 5, 5);
    edit(p, p->hub, "INSERT INTO learner (id, home_site_id, birth_family_name) VALUES ('%s', '%s', 'Nouveau')", uuid_of(5), SITE_ID(p, 0));
    equal(p, a);
    holds(a, "40");
    has(a, "10");
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    says(a, "Nouveau", "SELECT birth_family_name FROM learner WHERE id = '%s'", uuid_of(5));
    equal(p, a);
    verified(p, a);
}

static void a_hub_has_the_brake_as_well(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, p->hub, 1, 40);
    holds(p->hub, "40");
    equal(p, a);
    has(a, "50");
    has(p->hub, "10");
    edit(p, a, "UPDATE learner SET call_name = 'of the site' WHERE id = '%s'", uuid_of(7));
    equal(p, a);
    has(p->hub, "10");
    verified(p, p->hub);
    free(pair_command(p, p->hub, "undo", "{\"id\": 1}"));
    says(p->hub, "of the site", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(7));
    equal(p, a);
    delete_rows(p, p->hub, 1, 40);
    free(pair_command(p, p->hub, "release", "{\"id\": 2}"));
    equal(p, a);
    has(a, "10");
}

/* A pull, a push and a further machine see the held rows of the hub. */
static void a_site_that_comes_later_gets_what_the_hub_holds(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, p->hub, 1, 40);
    edit(p, a, "UPDATE learner SET home_site_id = '%s' WHERE id = '%s'", SITE_ID(p, 1), uuid_of(7));
    equal(p, a);
    equal(p, b);
    has(p->hub, "10");
    verified(p, p->hub);
}

static void a_held_child_still_makes_its_site_a_member(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    cohort(p, b, ID(1), SITE_ID(p, 1));
    school_of(p, a, SITE_ID(p, 0), 30);
    equal(p, b);
    edit(p, p->hub, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)"
                    " INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)"
                    " SELECT printf('0198f3a0-0001-7000-8000-%%012d', i), printf('" ROW_SQL "', i), '" ID(1) "', '%s', '2026-01-05', '2026-06-30' FROM n",
         SITE_ID(p, 1));
    equal(p, a);
    equal(p, b);
    has(b, "30");
    edit(p, p->hub, "DELETE FROM enrolment");
    holds(p->hub, "30");
    edit(p, p->hub, "UPDATE learner SET call_name = 'new' WHERE id = '%s'", uuid_of(7));
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '%s'", HUB_ID(p), uuid_of(8));
    equal(p, a);
    equal(p, b);
    has(b, "30");
    says(b, "new", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(7));
    free(pair_command(p, p->hub, "release", "{\"id\": 1}"));
    equal(p, a);
    equal(p, b);
    has(b, "0");
    verified(p, p->hub);
}

/* A school's enrolments of another's thirty learners, held at the hub. */
static void enrolments_held(struct pair *p)
{
    cohort(p, p->sites[1], ID(1), SITE_ID(p, 1));
    school_of(p, p->sites[0], SITE_ID(p, 0), 31);
    equal(p, p->sites[1]);
    edit(p, p->hub, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)"
                    " INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)"
                    " SELECT printf('0198f3a0-0001-7000-8000-%%012d', i), printf('" ROW_SQL "', i), '" ID(1) "', '%s', '2026-01-05', '2026-06-30' FROM n",
         SITE_ID(p, 1));
    equal(p, p->sites[0]);
    equal(p, p->sites[1]);
    edit(p, p->hub, "DELETE FROM enrolment");
    holds(p->hub, "30");
}

/* One that cannot be read any more is in nobody's way but its parent's. */
static void of_what_is_held_a_scope_looks_at_its_own_children_alone(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    enrolments_held(p);
    written(p->hub, "UPDATE perche_row SET clock = x'00' WHERE (tab, key) IN (SELECT tab, max(key) FROM perche_held)");
    edit(p, p->hub, "UPDATE learner SET call_name = 'new', home_site_id = '%s' WHERE id = '%s'", HUB_ID(p), uuid_of(7));
    edit(p, p->sites[0], "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('" ID(9) "', '%s', 'PHONE', '1')", uuid_of(8));
    pair_push(p, p->sites[0]);
    pair_pull(p, b);
    says(b, "new", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(7));
    says(b, "1", "SELECT count(*) FROM learner_contact");
}

static void a_held_child_that_is_given_another_parent_is_found_by_that(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    enrolments_held(p);
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '%s'", SITE_ID(p, 1), uuid_of(31));
    equal(p, p->sites[0]);
    equal(p, b);
    edit(p, b, "UPDATE enrolment SET learner_id = '%s' WHERE id LIKE '%%000000000007'", uuid_of(31)); /* it does not know that the hub asks */
    equal(p, b);
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '%s'", HUB_ID(p), uuid_of(31));
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '%s'", HUB_ID(p), uuid_of(7));
    equal(p, p->sites[0]);
    equal(p, b);
    says(b, "1", "SELECT count(*) FROM learner WHERE id = '%s'", uuid_of(31));
    says(b, "0", "SELECT count(*) FROM learner WHERE id = '%s'", uuid_of(7));
    verified(p, p->hub);
}

/* A file of an earlier program, or of other rules. */
static void whose_the_held_rows_are_is_seen_to_at_each_start(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    enrolments_held(p);
    says(p->hub, "1", "SELECT count(*) > 0 FROM perche_held_child");
    written(p->hub, "DROP TABLE perche_held_child; UPDATE perche_node SET format = 3");
    shut(p->hub);
    reopened(p, p->hub);
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '%s'", HUB_ID(p), uuid_of(7));
    equal(p, p->sites[0]);
    equal(p, b);
    says(b, "1", "SELECT count(*) FROM learner WHERE id = '%s'", uuid_of(7));
    free(pair_command(p, p->hub, "undo", "{\"id\": 1}"));
    says(p->hub, "0", "SELECT count(*) FROM perche_held_child");
    equal(p, b);
}

/* One verdict for all chunks of a harvest, whatever ends the daemon in between; what is deleted later is judged anew. */
static void a_harvest_in_chunks_has_one_verdict_across_a_restart(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    p->now += 1000;
    written(a, "DELETE FROM learner WHERE id <= '%s'", uuid_of(40));
    for (int i = 0; i < 3; i++) {
        struct work w = pair_work(WORK_HARVEST, NULL);
        struct outcome o;

        w.rows_max = 11;
        o = pair_do(p, a, w);
        assert_true(o.more);
        outcome_free(&o);
    }
    holds(a, "33");
    fixture_close(a);
    fixture_open(a);
    written(a, "DELETE FROM learner WHERE id = '%s'", uuid_of(45));
    harvest_here(p, a);
    holds(a, "40");
    says(a, "1", "SELECT count(*) FROM perche_held_set");
    says(a, "0", "SELECT sum(upto) FROM perche_held_set");
    pair_prove(p, a);
    equal(p, a);
    has(p->hub, "49");
    delete_rows(p, a, 46, 46); /* capture rows are numbered from one again: no old verdict counts */
    holds(a, "40");
    equal(p, a);
    has(p->hub, "48");
}

/* The row is the other school's now, and lives; the person here is told of the one deletion that a release would not reach. */
static void a_held_row_that_leaves_is_listed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    char *json;

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    equal(p, a);
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '%s'", SITE_ID(p, 1), uuid_of(7));
    equal(p, a);
    equal(p, b);
    has(b, "1");
    holds(a, "39");
    json = pair_query(p, a, "refused", "{}");
    assert_string_equal(json_at(json, "$.refused[0].table"), "learner");
    assert_string_equal(json_at(json, "$.refused[0].row"), uuid_of(7));
    assert_string_equal(json_at(json, "$.refused[0].reason"), "left");
    assert_string_equal(json_at(json, "$.refused[0].image"), "{}");
    assert_string_equal(json_at(json, "$.refused[1]"), "null");
    free(json);
    verified(p, a);
}

static void a_decision_is_carried_out_in_chunks(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char *json;

    school_of(p, a, SITE_ID(p, 0), 1500);
    delete_rows(p, a, 1, 1400);
    holds(a, "1400");
    json = pair_command(p, a, "release", "{\"id\": 1}");
    assert_string_equal(json_at(json, "$.rows"), "1400");
    assert_string_equal(json_at(json, "$.left"), "400");
    free(json);
    json = pair_query(p, a, "held", "{\"id\": 1}");
    assert_string_equal(json_at(json, "$.state"), "releasing");
    free(json);
    fixture_close(a);
    fixture_open(a);
    harvest_here(p, a);
    holds(a, "0");
    pair_prove(p, a);
    equal(p, a);
    has(p->hub, "100");
}

static void a_row_that_its_table_does_not_take_back_waits_on(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char *json;

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    edit(p, a, "CREATE UNIQUE INDEX own ON learner (call_name); UPDATE learner SET call_name = 'Camille 3' WHERE id = '%s'", uuid_of(45));
    json = pair_command(p, a, "undo", "{\"id\": 1}");
    assert_string_equal(json_at(json, "$.refused"), "1");
    free(json);
    has(a, "49");
    holds(a, "1");
    equal(p, a);
    has(p->hub, "50");
    edit(p, a, "DROP INDEX own");
    free(pair_command(p, a, "undo", "{\"id\": 2}"));
    has(a, "50");
    equal(p, a);
}

static void a_site_that_nobody_knows_yet_deletes_as_it_likes(void **state)
{
    struct pair *p = *state;
    struct fixture *alone = pair_open(REPLICA_SITE, "alone", 9);

    school_of(p, p->sites[0], SITE_ID(p, 0), 1);
    edit(p, alone, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)"
                   " INSERT INTO learner (id, home_site_id, birth_family_name) SELECT printf('" ROW_SQL "', i), 'x', 'Martin' FROM n");
    edit(p, alone, "DELETE FROM learner");
    holds(alone, "0");
    fixture_end(alone);
}

/* A table that was rebuilt without its rows: no trigger kept them, but the history does. */
/* Most of a table gone without a trace is no deletion of anybody's: they come back, and nothing has to be decided. */
static void most_rows_gone_past_the_triggers_come_back_and_are_not_held(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    written(a, "PRAGMA foreign_keys = OFF; DROP TRIGGER perche_learner_delete; DELETE FROM learner WHERE id <= '%s'", uuid_of(40));
    p->now += 1000;
    harvest_here(p, a);
    holds(a, "0");
    has(a, "50");
    says(a, "Camille 7", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(7));
    equal(p, a);
    has(p->hub, "50");
    verified(p, a);
}

static void a_table_that_is_read_through_again_says_nothing_of_held_rows(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    written(a, "DROP TRIGGER perche_learner_update");
    p->now += 1000;
    harvest_here(p, a);
    holds(a, "40");
    delete_rows(p, a, 41, 41);
    holds(a, "40");
    says(a, "1", "SELECT count(*) FROM perche_held_set");
    equal(p, a);
    has(p->hub, "49");
    verified(p, a);
}

/* An edit that the hub refuses, and then the rows are gone: the hub's image takes the place of what is held. */
static void an_image_of_the_hub_goes_on_waiting(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    edit(p, p->hub, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)"
                    " INSERT INTO organisation (id, name) SELECT printf('" ROW_SQL "', i), 'org ' || i FROM n");
    equal(p, a);
    p->now += 1000;
    written(a, "UPDATE organisation SET name = 'mine' WHERE id = '%s'", uuid_of(7));
    edit(p, a, "DELETE FROM organisation WHERE id LIKE '0198f3a0%%'");
    holds(a, "30");
    equal(p, a);
    equal(p, a);
    holds(a, "30");
    says(a, "0", "SELECT count(*) FROM organisation WHERE id LIKE '0198f3a0%%'");
    says(a, "1", "SELECT count(*) FROM perche_refused WHERE tab = 'organisation' AND reason = 'hub_table'");
    verified(p, a);
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    says(a, "org 7", "SELECT name FROM organisation WHERE id = '%s'", uuid_of(7));
    equal(p, a);
    verified(p, a);
    edit(p, a, "DELETE FROM organisation WHERE id LIKE '0198f3a0%%'");
    free(pair_command(p, a, "release", "{\"id\": 2}"));
    for (int i = 0; i < 3; i++)
        pair_sync(p, a);
    equal(p, a); /* the hub does not take that either, and what it has is back */
    says(a, "30", "SELECT count(*) FROM organisation WHERE id LIKE '0198f3a0%%'");
    holds(a, "0");
}

static void a_conflict_about_a_held_row_is_resolved_in_its_image(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char args[200];

    school_of(p, a, SITE_ID(p, 0), 50);
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'Hub' WHERE id = '%s'", uuid_of(7));
    edit(p, a, "UPDATE learner SET birth_family_name = 'Site' WHERE id = '%s'", uuid_of(7));
    delete_rows(p, a, 1, 40);
    equal(p, a);
    says(a, "1", "SELECT count(*) FROM perche_conflict WHERE state = 'open'");
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"value\": \"Both\", \"reason\": \"asked\", \"by\": \"anna\"}",
             asked(a->program, "SELECT id FROM perche_conflict"));
    free(pair_command(p, a, "resolve", args));
    has(a, "10");
    equal(p, a);
    says(p->hub, "Both", "SELECT birth_family_name FROM learner WHERE id = '%s'", uuid_of(7));
    verified(p, a);
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    says(a, "Both", "SELECT birth_family_name FROM learner WHERE id = '%s'", uuid_of(7));
    equal(p, a);
}

/* While its first owner was held, nobody saw that a value was used twice. */
static void a_unique_value_that_was_given_away_meanwhile_is_asked_about_at_the_undo(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    edit(p, a, "UPDATE learner SET ine = '1234567890A' WHERE id = '%s'", uuid_of(7));
    equal(p, a);
    delete_rows(p, p->hub, 1, 40);
    edit(p, p->hub, "UPDATE learner SET ine = '1234567890A' WHERE id = '%s'", uuid_of(47));
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
    free(pair_command(p, p->hub, "undo", "{\"id\": 1}"));
    says(p->hub, "2", "SELECT count(*) FROM perche_conflict WHERE col = 'ine' AND state = 'open'");
    equal(p, a);
}

/* A program's full-text index and the like hears of it. */
static void undo_fires_a_programs_own_triggers(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    school_of(p, a, SITE_ID(p, 0), 50);
    delete_rows(p, a, 1, 40);
    written(a, "CREATE TABLE heard (id TEXT); CREATE TRIGGER own AFTER INSERT ON learner BEGIN INSERT INTO heard VALUES (NEW.id); END");
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    says(a, "40", "SELECT count(*) FROM heard");
    says(a, "0", "SELECT count(*) FROM perche_capture");
    equal(p, a);
}

static void the_image_has_every_type_of_value(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    program(p->hub, "CREATE TABLE thing (id TEXT NOT NULL PRIMARY KEY, i INTEGER, r REAL, t TEXT, b BLOB, home TEXT)");
    free(pair_replicate(p, "{\"table\": \"thing\", \"scope\": \"home\"}"));
    pair_prove(p, a);
    equal(p, a);
    edit(p, a, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)"
               " INSERT INTO thing SELECT 'k' || i, i, i, '', x'00ff', '%s' FROM n", SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "DELETE FROM thing");
    holds(a, "30");
    verified(p, a);
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    says(a, "3|real|3.0||00FF|blob", "SELECT i || '|' || typeof(r) || '|' || r || '|' || t || '|' || hex(b) || '|' || typeof(b) FROM thing WHERE id = 'k3'");
    equal(p, a);
    verified(p, a);
}

static void a_work_that_fails_leaves_no_verdict_behind(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t rows;
    bool more;

    school_of(p, a, SITE_ID(p, 0), 50);
    p->now += 1000;
    written(a, "DELETE FROM learner WHERE id <= '%s'", uuid_of(40));
    assert_int_equal(tx_begin(a->r, true), PERCHE_OK);
    assert_int_equal(harvest(a->r, 11, &rows, &more), PERCHE_OK);
    tx_rollback(a->r);
    holds(a, "0");
    harvest_here(p, a);
    holds(a, "40");
    equal(p, a);
    has(p->hub, "50");
}

/* ---- a column is away ---- */

/* Fifty learners at a school; at @at a program has named a column otherwise, and deletes forty of them. */
static uint64_t held_without_a_column(struct pair *p, struct fixture *at)
{
    uint64_t stamp;

    school_of(p, p->sites[0], SITE_ID(p, 0), 50);
    stamp = cell_at(at, "learner", uuid_of(7), "call_name").stamp;
    edit(p, at, "ALTER TABLE learner RENAME COLUMN call_name TO called");
    delete_rows(p, at, 1, 40);
    holds(at, "40");
    equal(p, p->sites[0]);
    verified(p, at);
    return stamp;
}

/* Everybody has the fifty names, and nobody has written them since. */
static void named_as_before(struct pair *p, struct fixture *at, uint64_t stamp)
{
    struct fixture *both[] = {p->hub, p->sites[0]};

    harvest_here(p, at);
    equal(p, p->sites[0]);
    for (int i = 0; i < 2; i++) {
        says(both[i], "50", "SELECT count(*) FROM learner WHERE call_name = 'Camille ' || CAST(substr(id, -12) AS INTEGER)");
        assert_true(cell_at(both[i], "learner", uuid_of(7), "call_name").stamp == stamp);
        verified(p, both[i]);
    }
}

static void undone_while_it_is_away(struct pair *p, struct fixture *at)
{
    uint64_t stamp = held_without_a_column(p, at);

    free(pair_command(p, at, "undo", "{\"id\": 1}"));
    says(at, "50 10", "SELECT count(*) || ' ' || count(called) FROM learner");
    equal(p, p->sites[0]);
    verified(p, at);
    edit(p, at, "ALTER TABLE learner RENAME COLUMN called TO call_name");
    named_as_before(p, at, stamp);
}

static void undone_when_it_is_back(struct pair *p, struct fixture *at)
{
    uint64_t stamp = held_without_a_column(p, at);

    edit(p, at, "ALTER TABLE learner RENAME COLUMN called TO call_name");
    free(pair_command(p, at, "undo", "{\"id\": 1}"));
    says(at, "Camille 7", "SELECT call_name FROM learner WHERE id = '%s'", uuid_of(7));
    named_as_before(p, at, stamp);
}

static void undo_empties_no_column_that_is_away(void **state)
{
    struct pair *p = *state;

    undone_while_it_is_away(p, p->sites[0]);
}

static void nor_does_it_at_a_hub(void **state)
{
    struct pair *p = *state;

    undone_while_it_is_away(p, p->hub);
}

static void undo_fills_a_column_that_was_away_and_is_back(void **state)
{
    struct pair *p = *state;

    undone_when_it_is_back(p, p->sites[0]);
}

static void at_a_hub_it_fills_it_as_well(void **state)
{
    struct pair *p = *state;

    undone_when_it_is_back(p, p->hub);
}

/* The trigger of the time when it was away kept nothing of it. */
static void a_column_that_is_back_and_not_seen_yet_is_held_as_it_was(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t stamp;

    school_of(p, a, SITE_ID(p, 0), 50);
    stamp = cell_at(a, "learner", uuid_of(7), "call_name").stamp;
    edit(p, a, "ALTER TABLE learner RENAME COLUMN call_name TO called");
    written(a, "ALTER TABLE learner RENAME COLUMN called TO call_name");
    delete_rows(p, a, 1, 40);
    holds(a, "40");
    equal(p, a);
    says(p->hub, "50", "SELECT count(call_name) FROM learner");
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    named_as_before(p, a, stamp);
}

/* What is written beside it is an edit like any other. */
static void an_edit_before_the_deletion_is_held_beside_a_column_that_is_away(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t stamp;

    school_of(p, a, SITE_ID(p, 0), 50);
    stamp = cell_at(a, "learner", uuid_of(7), "call_name").stamp;
    edit(p, a, "ALTER TABLE learner RENAME COLUMN call_name TO called");
    written(a, "UPDATE learner SET birth_family_name = 'late', called = 'unknown' WHERE id = '%s'", uuid_of(9));
    delete_rows(p, a, 1, 40);
    equal(p, a);
    verified(p, a);
    says(p->hub, "late Camille 9", "SELECT birth_family_name || ' ' || call_name FROM learner WHERE id = '%s'", uuid_of(9));
    free(pair_command(p, a, "undo", "{\"id\": 1}"));
    edit(p, a, "ALTER TABLE learner RENAME COLUMN called TO call_name");
    named_as_before(p, a, stamp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_mass_deletion_waits_and_everything_is_proven_equal_meanwhile),
        TEST(what_else_is_written_goes_on),
        TEST(the_bound_is_a_fifth_of_the_table_and_twenty_rows),
        TEST(a_row_that_is_inserted_again_at_once_is_not_counted),
        TEST(who_reads_along_is_not_held),
        TEST(a_hub_edit_is_merged_and_undo_brings_it_back_uncaptured),
        TEST(release_deletes_everywhere_as_of_now),
        TEST(an_edit_that_the_releasing_site_had_not_seen_is_kept),
        TEST(a_program_that_inserts_a_key_again_ends_its_waiting),
        TEST(a_set_whose_rows_are_all_inserted_again_is_over),
        TEST(a_held_row_that_came_and_went_between_two_harvests_goes_on_waiting),
        TEST(an_edit_just_before_the_deletion_is_not_lost),
        TEST(a_deletion_by_the_hub_ends_the_waiting),
        TEST(a_row_that_the_hub_deleted_and_inserted_again_goes_on_waiting),
        TEST(a_hub_has_the_brake_as_well),
        TEST(a_site_that_comes_later_gets_what_the_hub_holds),
        TEST(a_held_child_still_makes_its_site_a_member),
        TEST(of_what_is_held_a_scope_looks_at_its_own_children_alone),
        TEST(a_held_child_that_is_given_another_parent_is_found_by_that),
        TEST(whose_the_held_rows_are_is_seen_to_at_each_start),
        TEST(a_harvest_in_chunks_has_one_verdict_across_a_restart),
        TEST(a_held_row_that_leaves_is_listed),
        TEST(a_decision_is_carried_out_in_chunks),
        TEST(a_row_that_its_table_does_not_take_back_waits_on),
        TEST(a_site_that_nobody_knows_yet_deletes_as_it_likes),
        TEST(most_rows_gone_past_the_triggers_come_back_and_are_not_held),
        TEST(a_table_that_is_read_through_again_says_nothing_of_held_rows),
        TEST(an_image_of_the_hub_goes_on_waiting),
        TEST(a_conflict_about_a_held_row_is_resolved_in_its_image),
        TEST(a_unique_value_that_was_given_away_meanwhile_is_asked_about_at_the_undo),
        TEST(undo_fires_a_programs_own_triggers),
        TEST(the_image_has_every_type_of_value),
        TEST(a_work_that_fails_leaves_no_verdict_behind),
        TEST(undo_empties_no_column_that_is_away),
        TEST(nor_does_it_at_a_hub),
        TEST(undo_fills_a_column_that_was_away_and_is_back),
        TEST(at_a_hub_it_fills_it_as_well),
        TEST(a_column_that_is_back_and_not_seen_yet_is_held_as_it_was),
        TEST(an_edit_before_the_deletion_is_held_beside_a_column_that_is_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
