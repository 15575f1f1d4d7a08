/* What a site may write: refused cell by cell, or the row when it is new or outside (P7; MODEL A 19; B 7, 8, 10, 22; C 14). */
#include "replica_lives.h"

#define REFUSALS "SELECT coalesce(group_concat(t.name || ':' || f.columns || ':' || f.reason, ' '), '') FROM (SELECT * FROM perche_refusal ORDER BY lsn) f JOIN perche_tab t ON t.num = f.tab"
#define LISTED "SELECT coalesce(group_concat(tab || ':' || columns || ':' || reason, ' '), '') FROM perche_refused"

/* The site pushes; the hub refuses just this; then the site has heard and both are equal. */
static void refused(struct pair *p, struct fixture *site, const char *expected)
{
    pair_push(p, site);
    says(p->hub, expected, REFUSALS);
    equal(p, site);
    equal(p, site);
    says(site, expected, LISTED);
    says(p->hub, "", REFUSALS);
    program(site, "DELETE FROM perche_refused");
}

static void schooled(struct pair *p, int i, const char *learner_id, const char *enrolment_id)
{
    learner(p, p->sites[i], learner_id, SITE_ID(p, i));
    enrolment(p, p->sites[i], enrolment_id, learner_id, ID(9), SITE_ID(p, i));
    equal(p, p->sites[i]);
}

static void what_everybody_has_only_the_hub_writes(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    equal(p, a);
    edit(p, a, "UPDATE site SET premises = 'mine' WHERE name = 'La Loupe'");
    refused(p, a, "site::hub_table");
    says(a, "", "SELECT premises FROM site WHERE name = 'La Loupe'");
    edit(p, a, "INSERT INTO organisation (id, name) VALUES ('" ID(1) "', 'Mine')");
    refused(p, a, "organisation::hub_table");
    says(a, "0", "SELECT count(*) FROM organisation");
    edit(p, a, "DELETE FROM site WHERE name = 'La Loupe'");
    refused(p, a, "site::hub_table");
    says(a, "1", "SELECT count(*) FROM site WHERE name = 'La Loupe'");
}

static void a_column_of_the_hub_in_a_new_row_is_refused_as_a_cell(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    equal(p, a);
    edit(p, a, "INSERT INTO learner (id, home_site_id, call_name, restricted) VALUES ('" ID(1) "', (SELECT site_id FROM perche_self), 'Ada', 1)");
    refused(p, a, "learner:restricted:hub_column");
    says(p->hub, "Ada 0", "SELECT call_name || ' ' || restricted FROM learner");
    says(a, "Ada 0", "SELECT call_name || ' ' || restricted FROM learner");
}

/* A value that the hub has had is not judged again; another one that says it is that is another one. */
static void another_value_under_a_stamp_of_the_hubs_is_judged(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_batch *b = perche_batch_new();
    struct hand h = {.table = "learner", .uuid = ID(1), .gen = 1, .origin = HUB_ID(p), .cells = {{"restricted", {.type = PERCHE_INTEGER, .i = 1}}}};

    schooled(p, 0, ID(1), ID(2));
    edit(p, p->hub, "UPDATE learner SET restricted = 1");
    edit(p, p->hub, "UPDATE learner SET restricted = 0");
    equal(p, a);
    h.stamp = cell_at(p->hub, "learner", ID(1), "restricted").stamp;
    hand_in(b, &h);
    assert_int_equal(push_by_hand(p, a, b), PERCHE_NO_NONE);
    says(p->hub, "0", "SELECT restricted FROM learner");
    says(p->hub, "learner:restricted:hub_column", REFUSALS);
}

static void an_unlawful_cell_leaves_the_lawful_ones_beside_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    schooled(p, 0, ID(1), ID(2));
    edit(p, a, "UPDATE learner SET call_name = 'Bo', restricted = 1, home_site_id = '%s'", SITE_ID(p, 1));
    pair_push(p, a);
    says(p->hub, "Bo 0", "SELECT call_name || ' ' || restricted FROM learner");
    says(p->hub, "learner:home_site_id,restricted:hub_column", REFUSALS);
    equal(p, a);
    equal(p, a);
    says(a, "Bo 0", "SELECT call_name || ' ' || restricted FROM learner");
    says(a, SITE_ID(p, 0), "SELECT home_site_id FROM learner");
}

static void moving_a_row_is_the_hubs_unless_its_holders_may(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    schooled(p, 0, ID(1), ID(2));
    cohort(p, a, ID(3), SITE_ID(p, 0));
    edit(p, a, "UPDATE enrolment SET site_id = '%s'", SITE_ID(p, 1));
    refused(p, a, "enrolment:site_id:move");
    says(a, SITE_ID(p, 0), "SELECT site_id FROM enrolment");
    edit(p, a, "UPDATE cohort SET site_id = '%s'", SITE_ID(p, 1));
    refused(p, a, "");
    says(a, "0", "SELECT count(*) FROM cohort");
}

static void a_row_outside_its_scopes_is_refused_whole(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    schooled(p, 1, ID(1), ID(2));
    equal(p, a);
    learner(p, a, ID(1), SITE_ID(p, 0)); /* knows the id, writes the key */
    refused(p, a, "learner::scope");
    says(a, "0", "SELECT count(*) FROM learner");
    assert_string_equal(header_at(p->hub, "learner", ID(1)).scope, SITE_ID(p, 1));
    learner(p, a, ID(3), SITE_ID(p, 1)); /* for another school */
    refused(p, a, "learner::scope");
}

static void a_row_is_given_to_no_site_that_nobody_knows(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), "LLP"); /* the code where the id belongs */
    refused(p, a, "cohort::site");
    cohort(p, a, ID(2), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE cohort SET site_id = 'nowhere', seq = 7");
    refused(p, a, "cohort:site_id:site");
    says(a, "7", "SELECT seq FROM cohort WHERE site_id = '%s'", SITE_ID(p, 0));
    edit(p, a, "UPDATE cohort SET site_id = '%s'", SITE_ID(p, 1)); /* its holder may */
    equal(p, a);
    says(p->hub, SITE_ID(p, 1), "SELECT site_id FROM cohort");
}

static void naming_an_id_opens_no_door(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    schooled(p, 1, ID(1), ID(2)); /* Chartres' learner */
    schooled(p, 0, ID(3), ID(4));
    enrolment(p, a, ID(5), ID(1), ID(9), SITE_ID(p, 0));
    refused(p, a, "enrolment::member");
    contact(p, a, ID(6), ID(1), "a@b.org");
    refused(p, a, "learner_contact::parent");
    edit(p, a, "INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
               " VALUES ('" ID(7) "', '" ID(1) "', '" ID(2) "', '%s', '%s', '" ID(9) "', '2026-01-01', '2026-03-01', 'ASKED')", SITE_ID(p, 1), SITE_ID(p, 0));
    refused(p, a, "transfer::member");
    assert_string_equal(header_at(p->hub, "learner", ID(1)).scope, SITE_ID(p, 1));
    says(a, "1", "SELECT count(*) FROM learner");
}

/* The hub learns whose it is when it arrives. Then what had named it is judged as if it had been there. */
static void naming_it_before_it_arrives_opens_none_either(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    schooled(p, 0, ID(3), ID(4));
    enrolment(p, a, ID(5), ID(1), ID(9), SITE_ID(p, 0));
    edit(p, a, "UPDATE enrolment SET learner_id = '" ID(1) "' WHERE id = '" ID(4) "'");
    edit(p, a, "INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
               " VALUES ('" ID(7) "', '" ID(1) "', '" ID(2) "', '%s', '%s', '" ID(9) "', '2026-01-01', '2026-03-01', 'ASKED')", SITE_ID(p, 1), SITE_ID(p, 0));
    edit(p, a, "INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)"
               " VALUES ('" ID(6) "', '" ID(8) "', '" ID(5) "', 'P', 210, 'PAPER', '2026-01-05', '%s')", SITE_ID(p, 0));
    equal(p, a);
    equal(p, a);
    equal(p, b);
    says(p->hub, "2 1 1", "SELECT (SELECT count(*) FROM enrolment) || ' ' || (SELECT count(*) FROM attendance) || ' ' || (SELECT count(*) FROM transfer)");
    says(b, "1", "SELECT count(*) FROM transfer");
    edit(p, a, "UPDATE enrolment SET pay_scheme = 'AREF' WHERE id = '" ID(5) "'"); /* not sent yet when it is judged */
    learner(p, b, ID(1), SITE_ID(p, 1));
    contact(p, b, ID(2), ID(1), "a@b.org");
    equal(p, b);
    assert_string_equal(header_at(p->hub, "learner", ID(1)).scope, SITE_ID(p, 1));
    says(p->hub, "1 0 0", "SELECT (SELECT count(*) FROM enrolment) || ' ' || (SELECT count(*) FROM attendance) || ' ' || (SELECT count(*) FROM transfer)");
    says(p->hub, ID(3), "SELECT learner_id FROM enrolment");
    equal(p, a);
    equal(p, a);
    equal(p, a);
    equal(p, b);
    equal(p, b);
    says(a, ID(3) " 0", "SELECT (SELECT group_concat(id) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact)");
    says(a, ID(3), "SELECT group_concat(learner_id) FROM enrolment");
    says(a, "0 0", "SELECT (SELECT count(*) FROM attendance) || ' ' || (SELECT count(*) FROM transfer)");
    says(b, "0", "SELECT count(*) FROM transfer");
    says(p->hub, "", REFUSALS);
    says(a, "transfer::member enrolment:learner_id:member enrolment::member attendance::parent",
         "SELECT group_concat(said, ' ') FROM (SELECT DISTINCT tab || ':' || columns || ':' || reason AS said FROM perche_refused ORDER BY said DESC)");
    says(a, "1 AREF " ID(1), "SELECT count(DISTINCT json_extract(image, '$.learner_id')) || ' ' || max(json_extract(image, '$.pay_scheme')) || ' ' || max(json_extract(image, '$.learner_id'))"
                             " FROM perche_refused WHERE tab = 'enrolment' AND key = '" ID(5) "'");
    says(a, "ASKED 210", "SELECT (SELECT json_extract(image, '$.state') FROM perche_refused WHERE tab = 'transfer') || ' ' || (SELECT json_extract(image, '$.minutes') FROM perche_refused WHERE tab = 'attendance')");
}

/* It made nobody a member when it came, and what makes it so now is the hub's. */
static void whoever_else_wrote_the_condition(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    schooled(p, 0, ID(3), ID(4));
    edit(p, a, "UPDATE enrolment SET exit_reason = 'TRANSFER'");
    equal(p, a);
    edit(p, a, "UPDATE enrolment SET learner_id = '" ID(1) "'");
    equal(p, a);
    edit(p, p->hub, "UPDATE enrolment SET exit_reason = NULL");
    learner(p, b, ID(1), SITE_ID(p, 1));
    equal(p, b);
    assert_string_equal(header_at(p->hub, "learner", ID(1)).scope, SITE_ID(p, 1));
    equal(p, a);
    equal(p, a);
    says(a, ID(3), "SELECT group_concat(id) FROM learner");
    says(a, "enrolment:learner_id:member", LISTED);
}

/* Who inserts it himself, or is lawfully a member of it, has named what is his. */
static void what_was_named_before_by_who_holds_it_stays(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    enrolment(p, a, ID(2), ID(1), ID(9), SITE_ID(p, 0));
    equal(p, a);
    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    enrolment(p, a, ID(4), ID(3), ID(9), SITE_ID(p, 0)); /* a transfer asked by the school that has the learner made it a member */
    equal(p, a);
    edit(p, b, "INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
               " VALUES ('" ID(7) "', '" ID(3) "', '" ID(5) "', '%s', '%s', '" ID(9) "', '2026-01-01', '2026-03-01', 'ASKED')", SITE_ID(p, 1), SITE_ID(p, 0));
    equal(p, b);
    learner(p, b, ID(3), SITE_ID(p, 1));
    equal(p, b);
    enrolment(p, a, ID(6), ID(8), ID(9), SITE_ID(p, 0)); /* the hub gives it to that school */
    equal(p, a);
    learner(p, p->hub, ID(8), SITE_ID(p, 0));
    equal(p, a);
    equal(p, a);
    says(a, "3 3", "SELECT (SELECT count(*) FROM enrolment) || ' ' || (SELECT count(*) FROM learner)");
    says(a, "", LISTED);
    enrolment(p, a, ID(a), ID(b), ID(9), SITE_ID(p, 0)); /* and this one to the other */
    equal(p, a);
    learner(p, p->hub, ID(b), SITE_ID(p, 1));
    equal(p, p->sites[1]);
    equal(p, a);
    equal(p, a);
    says(a, "3 3", "SELECT (SELECT count(*) FROM enrolment) || ' ' || (SELECT count(*) FROM learner)");
    says(a, "enrolment::member", LISTED);
}

/* The hub has enrolled a learner that is not here yet at A, and A has written it again as it was. */
static void what_was_lawful_and_is_written_again_as_it_was_stays(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    enrolment(p, p->hub, ID(2), ID(1), ID(9), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "CREATE TEMP TABLE keep AS SELECT * FROM enrolment; UPDATE keep SET pay_scheme = 'AREF'; REPLACE INTO enrolment SELECT * FROM keep");
    equal(p, a);
    learner(p, b, ID(1), SITE_ID(p, 1));
    equal(p, b);
    equal(p, a);
    equal(p, a);
    says(a, ID(1) " AREF", "SELECT l.id || ' ' || e.pay_scheme FROM learner l JOIN enrolment e ON e.learner_id = l.id");
    says(a, "", LISTED);
    says(p->hub, "", REFUSALS);
}

/* Who deletes the key and inserts it again names the learner himself. */
static void what_was_lawful_and_is_inserted_again_is_named_anew(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    enrolment(p, p->hub, ID(2), ID(1), ID(9), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "CREATE TEMP TABLE keep AS SELECT * FROM enrolment; DELETE FROM enrolment");
    equal(p, a);
    edit(p, a, "INSERT INTO enrolment SELECT * FROM keep");
    equal(p, a);
    learner(p, b, ID(1), SITE_ID(p, 1));
    equal(p, b);
    equal(p, a);
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM learner");
    says(a, "enrolment::member", LISTED);
}

/* Rows of A that name a parent which comes from B later, and one that A inserts itself. */
static void children(struct pair *p, struct fixture *a)
{
    contact(p, a, ID(3), ID(1), "new@b.org");
    edit(p, a, "INSERT INTO outcome_decision VALUES ('" ID(2) "', 'W4', 'EMP', 'o', 'r', 'x', '2026-01-05')"); /* named by its key */
    edit(p, a, "INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)"
               " VALUES ('" ID(4) "', '" ID(8) "', '" ID(2) "', 'P', 210, 'PAPER', '2026-01-05', 'x')");
}

#define COUNTED "SELECT (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM outcome_decision) || ' ' || (SELECT count(*) FROM attendance)"
#define LISTED_ONCE "SELECT group_concat(said, ' ') FROM (SELECT DISTINCT tab || ':' || columns || ':' || reason AS said FROM perche_refused ORDER BY said)"

static void a_child_that_came_before_its_parent_is_judged_when_that_comes(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    schooled(p, 0, ID(6), ID(7));
    contact(p, a, ID(5), ID(6), "mine@b.org");
    equal(p, a);
    children(p, a);
    edit(p, a, "UPDATE learner_contact SET learner_id = '" ID(1) "', value = 'edited@b.org' WHERE id = '" ID(5) "'");
    equal(p, a);
    says(p->hub, "2 1 1", COUNTED);
    says(p->hub, "4", "SELECT count(*) FROM perche_named");
    schooled(p, 1, ID(1), ID(2));
    says(p->hub, "0", "SELECT count(*) FROM perche_named");
    says(p->hub, "1 0 0", COUNTED);
    says(p->hub, ID(6) " edited@b.org", "SELECT learner_id || ' ' || value FROM learner_contact");
    assert_string_equal(header_at(p->hub, "learner_contact", ID(5)).scope, SITE_ID(p, 0));
    equal(p, b);
    says(b, "0 0 0", COUNTED);
    equal(p, a);
    equal(p, a);
    says(a, "1 0 0", COUNTED);
    says(a, ID(6) " edited@b.org", "SELECT learner_id || ' ' || value FROM learner_contact");
    says(a, "attendance::parent learner_contact::parent learner_contact:learner_id:parent outcome_decision::parent", LISTED_ONCE);
    says(p->hub, "", REFUSALS);
}

/* A reader of the parent's school: what he may not write goes, what he may is given to that school. */
static void children_of_a_reader(struct pair *p, int may_write, const char *stay, const char *listed)
{
    struct fixture *a = p->sites[0], *b = p->sites[1];

    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', %d)", SITE_ID(p, 1), SITE_ID(p, 0), may_write);
    equal(p, a);
    equal(p, b);
    children(p, a);
    equal(p, a);
    says(b, "0 0 0", COUNTED);
    schooled(p, 1, ID(1), ID(2));
    equal(p, a);
    equal(p, a);
    equal(p, b);
    says(b, stay, COUNTED);
    says(a, stay, COUNTED);
    says(a, listed, LISTED_ONCE);
}

static void so_is_one_of_a_site_that_only_reads_the_parent(void **state)
{
    children_of_a_reader(*state, 0, "0 0 0", "attendance::readonly learner_contact::readonly outcome_decision::readonly");
}

static void a_reader_who_may_write_goes_on_where_he_may(void **state)
{
    children_of_a_reader(*state, 1, "1 1 0", "attendance::readonly"); /* which is of no area */
}

/* The hub's own row, and the author's: the child stays, and goes to all that hold its parent. */
static void a_child_whose_parent_turns_out_to_be_its_authors_stays(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', 0)", SITE_ID(p, 0), SITE_ID(p, 1));
    equal(p, a);
    equal(p, b);
    children(p, a);
    equal(p, a);
    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    enrolment(p, a, ID(2), ID(1), ID(9), SITE_ID(p, 0));
    equal(p, a);
    equal(p, b);
    says(p->hub, "1 1 1", COUNTED);
    says(a, "1 1 1", COUNTED);
    says(b, "1 1 0", COUNTED);
    says(a, "", LISTED);
    edit(p, a, "INSERT INTO half_day (id, cohort_id, day, half, mode) VALUES ('" ID(5) "', '" ID(6) "', '2026-01-05', 'AM', 'SITE')");
    equal(p, a);
    cohort(p, a, ID(6), SITE_ID(p, 1)); /* made for the other school */
    equal(p, a);
    equal(p, a);
    equal(p, b);
    says(a, "0 0", "SELECT (SELECT count(*) FROM cohort) || ' ' || (SELECT count(*) FROM half_day)");
    says(b, "1 1", "SELECT (SELECT count(*) FROM cohort) || ' ' || (SELECT count(*) FROM half_day)");
    says(a, "", LISTED);
    says(p->hub, "0", "SELECT count(*) FROM perche_named");
}

/* What was taken before a hub was put back is judged while it recovers, too; what it is shown then is not. */
static void it_is_judged_while_the_hub_recovers_too(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    children(p, a);
    enrolment(p, a, ID(5), ID(1), ID(9), SITE_ID(p, 0));
    equal(p, a);
    learner(p, b, ID(1), SITE_ID(p, 1));
    enrolment(p, b, ID(2), ID(1), ID(9), SITE_ID(p, 1));
    program(p->hub, "UPDATE perche_peer SET recovery = 1");
    contact(p, a, ID(6), ID(1), "shown@b.org");
    learner(p, b, ID(a), SITE_ID(p, 1));
    enrolment(p, a, ID(b), ID(a), ID(9), SITE_ID(p, 0));
    pair_push(p, a);
    says(p->hub, "2 1 1", COUNTED);
    pair_push(p, b);
    assert_string_equal(header_at(p->hub, "learner", ID(1)).scope, SITE_ID(p, 1));
    assert_string_equal(header_at(p->hub, "learner", ID(a)).scope, scope_text(p, 3));
    says(p->hub, "1 0 0", COUNTED);
    says(p->hub, "shown@b.org " ID(2) "," ID(b), "SELECT value || ' ' || (SELECT group_concat(id) FROM enrolment) FROM learner_contact");
    program(p->hub, "UPDATE perche_peer SET recovery = 0");
    equal(p, a);
    equal(p, a);
    says(a, ID(a) " " ID(b), "SELECT (SELECT group_concat(id) FROM learner) || ' ' || (SELECT group_concat(id) FROM enrolment)");
    says(a, "attendance::parent enrolment::member learner_contact::parent outcome_decision::parent", LISTED_ONCE);
}

/* Whoever held it has shown it by then. */
static void what_was_shown_in_a_recovery_is_judged_when_that_is_over(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    program(p->hub, "UPDATE perche_peer SET recovery = 1");
    children(p, a);
    enrolment(p, a, ID(5), ID(1), ID(9), SITE_ID(p, 0));
    pair_push(p, a);
    program(p->hub, "UPDATE perche_peer SET recovery = 0");
    schooled(p, 1, ID(1), ID(2));
    says(p->hub, "0 0 0", COUNTED);
    equal(p, a);
    equal(p, a);
    says(a, "0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM enrolment)");
    says(a, "attendance::parent enrolment::member learner_contact::parent outcome_decision::parent", LISTED_ONCE);
}

/* A's rows that name a learner, and an edit that does, of which a program's trigger at the hub lets none go: until it is gone B's learner
 * waits, and nothing else of B. */
static void what_a_trigger_keeps(struct pair *p, const char *trigger, const char *reason)
{
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    schooled(p, 0, ID(3), ID(4));
    contact(p, a, ID(7), ID(1), "new@b.org");
    enrolment(p, a, ID(5), ID(1), ID(9), SITE_ID(p, 0));
    edit(p, a, "UPDATE enrolment SET learner_id = '" ID(1) "' WHERE id = '" ID(4) "'");
    equal(p, a);
    program(p->hub, trigger);
    learner(p, b, ID(1), SITE_ID(p, 1));
    cohort(p, b, ID(6), SITE_ID(p, 1));
    for (int i = 0; i < 2; i++) {
        pair_sync(p, b);
        pair_sync(p, a);
        p->now += 2000;
        harvest_here(p, p->hub); /* tries it again */
        says(p->hub, ID(3) " 1", "SELECT group_concat(id) || ' ' || (SELECT count(*) FROM cohort WHERE id = '" ID(6) "') FROM learner");
        says(p->hub, reason, "SELECT group_concat(tab || ': ' || reason) FROM perche_parked");
        says(p->hub, "1 0 0 2", COUNTED " || ' ' || (SELECT count(*) FROM enrolment WHERE learner_id = '" ID(1) "')");
        says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
        says(a, "1 0", "SELECT count(*) || ' ' || (SELECT count(*) FROM perche_refused) FROM learner");
    }
    edit(p, b, "UPDATE learner SET call_name = 'later' WHERE id = '" ID(1) "'");
    pair_sync(p, b);
    program(p->hub, "DROP TRIGGER own");
    harvest_here(p, p->hub);
    equal(p, b);
    says(p->hub, "0 later " ID(3), "SELECT (SELECT count(*) FROM perche_parked) || ' ' || (SELECT call_name FROM learner WHERE id = '" ID(1) "') || ' '"
                                   " || (SELECT group_concat(learner_id) FROM enrolment)");
    says(p->hub, "0 0 0", COUNTED);
    equal(p, a);
    equal(p, a);
    says(a, ID(3) " " ID(3), "SELECT (SELECT group_concat(id) FROM learner) || ' ' || (SELECT group_concat(learner_id) FROM enrolment)");
    says(a, "enrolment::member enrolment:learner_id:member learner_contact::parent", LISTED_ONCE);
    says(p->hub, "", REFUSALS);
}

static void a_row_that_a_trigger_does_not_let_go_keeps_nothing_else_waiting(void **state)
{
    what_a_trigger_keeps(*state, "CREATE TRIGGER own BEFORE DELETE ON enrolment BEGIN SELECT RAISE(ABORT, 'never'); END", "learner: trigger own of enrolment");
}

static void nor_does_a_cell_that_a_trigger_does_not_let_go(void **state)
{
    what_a_trigger_keeps(*state, "CREATE TRIGGER own BEFORE UPDATE ON enrolment BEGIN SELECT RAISE(ROLLBACK, 'never'); END", "learner: trigger own of enrolment");
}

static void nor_does_a_child_that_a_trigger_does_not_let_go(void **state)
{
    what_a_trigger_keeps(*state, "CREATE TRIGGER own BEFORE DELETE ON learner_contact BEGIN SELECT RAISE(IGNORE); END", "learner: trigger own of learner_contact");
}

/* The hub's own learner is named so: it stays there alone, and all else that the hub writes goes on. */
static void nor_does_one_that_keeps_a_row_of_the_hubs(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    enrolment(p, a, ID(5), ID(1), ID(9), SITE_ID(p, 0));
    contact(p, a, ID(7), ID(1), "new@b.org");
    equal(p, a);
    program(p->hub, "CREATE TRIGGER own BEFORE DELETE ON learner_contact BEGIN SELECT RAISE(ABORT, 'never'); END");
    learner(p, p->hub, ID(1), SITE_ID(p, 1));
    for (int i = 0; i < 2; i++) {
        edit(p, p->hub, "UPDATE learner SET call_name = '%d'", i);
        cohort(p, p->hub, i == 0 ? ID(2) : ID(3), SITE_ID(p, 1));
        pair_sync(p, a);
        pair_sync(p, b);
        says(b, i == 0 ? "1 0" : "2 0", "SELECT (SELECT count(*) FROM cohort) || ' ' || (SELECT count(*) FROM learner)");
        says(a, "0", "SELECT count(*) FROM learner");
        says(p->hub, "1 1 1", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM enrolment)");
        says(p->hub, "learner [\"" ID(1) "\"] trigger trigger own of learner_contact", "SELECT group_concat(tab || ' ' || key || ' ' || reason || ' ' || image) FROM perche_refused");
    }
    program(p->hub, "DROP TRIGGER own");
    for (int i = 0; i < 2; i++)
        harvest_here(p, p->hub);
    equal(p, a);
    equal(p, b);
    equal(p, a);
    says(b, "1", "SELECT call_name FROM learner");
    says(a, "0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM enrolment)");
    says(a, "enrolment::member learner_contact::parent", LISTED_ONCE);
    says(p->hub, "", LISTED);
}

/* What is gone from its table past the triggers has no cell to go back. */
static void nor_does_a_child_that_was_taken_out_unseen(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    schooled(p, 0, ID(3), ID(4));
    contact(p, a, ID(7), ID(3), "new@b.org");
    equal(p, a);
    edit(p, a, "UPDATE learner_contact SET learner_id = '" ID(1) "'");
    equal(p, a);
    assert_int_equal(sqlite3_db_config(p->hub->program, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), SQLITE_OK);
    program(p->hub, "DELETE FROM learner_contact");
    assert_int_equal(sqlite3_db_config(p->hub->program, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL), SQLITE_OK);
    learner(p, b, ID(1), SITE_ID(p, 1));
    pair_sync(p, b);
    says(p->hub, "2 " ID(3), "SELECT (SELECT count(*) FROM learner) || ' ' || learner_id FROM learner_contact");
}

/* It comes dead, and lives later. */
static void it_is_judged_when_what_it_named_comes_as_a_tombstone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    enrolment(p, a, ID(5), ID(1), ID(9), SITE_ID(p, 0));
    contact(p, a, ID(3), ID(1), "new@b.org");
    equal(p, a);
    learner(p, b, ID(1), SITE_ID(p, 1));
    edit(p, b, "DELETE FROM learner");
    equal(p, b);
    assert_string_equal(header_at(p->hub, "learner", ID(1)).scope, SITE_ID(p, 1));
    says(p->hub, "0 0", "SELECT (SELECT count(*) FROM enrolment) || ' ' || (SELECT count(*) FROM learner_contact)");
    learner(p, b, ID(1), SITE_ID(p, 1));
    equal(p, b);
    equal(p, a);
    equal(p, a);
    says(a, "0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM enrolment)");
    says(a, "enrolment::member learner_contact::parent", LISTED_ONCE);
}

static void nor_does_an_edit_that_names_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    schooled(p, 1, ID(1), ID(2));
    schooled(p, 0, ID(3), ID(4));
    edit(p, a, "UPDATE enrolment SET learner_id = '" ID(1) "', pay_scheme = 'AREF'");
    refused(p, a, "enrolment:learner_id:member");
    assert_string_equal(header_at(p->hub, "learner", ID(1)).scope, SITE_ID(p, 1));
    says(a, "1 " ID(3) " AREF", "SELECT (SELECT count(*) FROM learner) || ' ' || learner_id || ' ' || pay_scheme FROM enrolment");
}

static void nor_does_a_key_that_is_deleted_and_inserted_again(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    schooled(p, 1, ID(1), ID(2));
    schooled(p, 0, ID(3), ID(4));
    edit(p, a, "CREATE TEMP TABLE keep AS SELECT * FROM enrolment; DELETE FROM enrolment; UPDATE keep SET learner_id = '" ID(1) "'; INSERT INTO enrolment SELECT * FROM keep");
    refused(p, a, "enrolment::member");
    assert_string_equal(header_at(p->hub, "learner", ID(1)).scope, SITE_ID(p, 1));
    says(a, "1 " ID(3), "SELECT (SELECT count(*) FROM learner) || ' ' || learner_id FROM enrolment");
    edit(p, a, "DROP TABLE keep; CREATE TEMP TABLE keep AS SELECT * FROM enrolment; DELETE FROM enrolment; UPDATE keep SET site_id = '%s'; INSERT INTO enrolment SELECT * FROM keep", SITE_ID(p, 1));
    refused(p, a, "enrolment::scope"); /* and moves nothing */
    says(a, SITE_ID(p, 0), "SELECT site_id FROM enrolment");
    edit(p, a, "DROP TABLE keep; CREATE TEMP TABLE keep AS SELECT * FROM enrolment; DELETE FROM enrolment; UPDATE keep SET pay_scheme = 'AREF'; INSERT INTO enrolment SELECT * FROM keep");
    refused(p, a, ""); /* as it was it may come back */
    says(p->hub, "AREF", "SELECT pay_scheme FROM enrolment WHERE id = '" ID(4) "'");
}

/* It was A's to write when A did. */
static void a_late_one_arrives_as_a_late_edit_does(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    schooled(p, 1, ID(1), ID(2));
    enrolment(p, p->hub, ID(5), ID(1), ID(9), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "CREATE TEMP TABLE keep AS SELECT * FROM learner; DELETE FROM learner; UPDATE keep SET call_name = 'late'; INSERT INTO learner SELECT * FROM keep");
    edit(p, p->hub, "UPDATE enrolment SET exit_reason = 'TRANSFER' WHERE id = '" ID(5) "'");
    refused(p, a, "");
    says(p->hub, "late", "SELECT call_name FROM learner");
    says(a, "0", "SELECT count(*) FROM learner");
    equal(p, b);
    says(b, "late", "SELECT call_name FROM learner");
}

static void nor_does_the_one_to_whom_a_transfer_is_drafted_ask_it_himself(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    schooled(p, 1, ID(1), ID(2));
    edit(p, b, "INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
               " VALUES ('" ID(7) "', '" ID(1) "', '" ID(2) "', '%s', '%s', '" ID(9) "', '2026-01-01', '2026-03-01', 'DRAFT')", SITE_ID(p, 1), SITE_ID(p, 0));
    equal(p, b);
    equal(p, a);
    says(a, "1 0", "SELECT (SELECT count(*) FROM transfer) || ' ' || (SELECT count(*) FROM learner)");
    edit(p, a, "UPDATE transfer SET state = 'ASKED', effective_on = '2026-04-01'");
    refused(p, a, "transfer:state:member");
    says(a, "DRAFT 2026-04-01 0", "SELECT state || ' ' || effective_on || ' ' || (SELECT count(*) FROM learner) FROM transfer");
    edit(p, b, "UPDATE transfer SET state = 'ASKED'"); /* the school that has the learner may */
    equal(p, b);
    equal(p, a);
    says(a, "1", "SELECT count(*) FROM learner");
    edit(p, a, "UPDATE transfer SET state = 'ACCEPTED'");
    refused(p, a, "");
}

static void a_child_is_given_to_another_parent_only_where_both_are_held(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    schooled(p, 1, ID(1), ID(2));
    schooled(p, 0, ID(3), ID(4));
    learner(p, a, ID(5), SITE_ID(p, 0));
    contact(p, a, ID(6), ID(3), "a@b.org");
    equal(p, a);
    edit(p, a, "UPDATE learner_contact SET learner_id = '" ID(5) "'");
    refused(p, a, "");
    says(p->hub, ID(5), "SELECT learner_id FROM learner_contact");
    edit(p, a, "UPDATE learner_contact SET learner_id = '" ID(1) "', value = 'c@d.org'");
    refused(p, a, "learner_contact:learner_id:parent");
    says(a, ID(5) " c@d.org", "SELECT learner_id || ' ' || value FROM learner_contact");
    assert_string_equal(header_at(p->hub, "learner_contact", ID(6)).scope, SITE_ID(p, 0));
}

static void reader(struct pair *p, int may_write)
{
    edit(p, p->hub, "INSERT OR REPLACE INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', %d)", SITE_ID(p, 0), SITE_ID(p, 1), may_write);
    equal(p, p->sites[1]);
}

static void a_reader_writes_only_where_he_may(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    schooled(p, 0, ID(1), ID(2));
    contact(p, p->sites[0], ID(3), ID(1), "a@b.org");
    equal(p, p->sites[0]);
    reader(p, 0);
    edit(p, b, "UPDATE learner SET call_name = 'x'");
    refused(p, b, "learner::readonly");
    says(b, "Camille", "SELECT call_name FROM learner");
    contact(p, b, ID(4), ID(1), "x@b.org");
    refused(p, b, "learner_contact::readonly");
    edit(p, b, "DELETE FROM learner_contact");
    refused(p, b, "learner_contact::readonly");
    says(b, "a@b.org", "SELECT value FROM learner_contact");
    reader(p, 1);
    edit(p, b, "UPDATE learner SET call_name = 'x'");
    contact(p, b, ID(5), ID(1), "x@b.org");
    refused(p, b, "");
    equal(p, p->sites[0]);
    says(p->sites[0], "x 2", "SELECT call_name || ' ' || (SELECT count(*) FROM learner_contact) FROM learner");
}

static void reads_no_more(struct pair *p)
{
    edit(p, p->hub, "DELETE FROM site_reader");
}

static void moved(struct pair *p, const char *to)
{
    edit(p, p->hub, "UPDATE enrolment SET site_id = '%s'; UPDATE learner SET home_site_id = '%s'", to, to);
}

/* A learner of the first school with one contact, which the second one reads. */
static void read_along(struct pair *p, int may_write)
{
    schooled(p, 0, ID(1), ID(2));
    contact(p, p->sites[0], ID(3), ID(1), "a@b.org");
    equal(p, p->sites[0]);
    reader(p, may_write);
    says(p->sites[1], "a@b.org", "SELECT value FROM learner_contact");
}

static void writes_late(struct pair *p)
{
    edit(p, p->sites[1], "UPDATE learner SET call_name = 'late'; DELETE FROM learner_contact");
    contact(p, p->sites[1], ID(4), ID(1), "late@b.org");
}

#define OPEN_MARKS "SELECT count(*) FROM perche_left WHERE ended = 0 AND site = (SELECT num FROM perche_name WHERE text = '%s')"
#define WRITTEN "SELECT call_name || ' ' || (SELECT group_concat(value) FROM learner_contact) FROM learner"

/* The reader has left and not heard so. */
static void late_is_refused(struct pair *p)
{
    struct fixture *b = p->sites[1];

    writes_late(p);
    pair_push(p, b);
    says(p->hub, "Camille a@b.org", WRITTEN);
    for (int i = 0; i < 3; i++)
        equal(p, b);
    says(p->hub, "Camille a@b.org", WRITTEN);
    says(b, "0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact)");
    says(b, "learner readonly,learner_contact readonly", "SELECT group_concat(x) FROM (SELECT DISTINCT tab || ' ' || reason AS x FROM perche_refused ORDER BY 1)");
    says(p->hub, "0", OPEN_MARKS, SITE_ID(p, 1));
}

static void late_is_taken(struct pair *p)
{
    struct fixture *b = p->sites[1];

    writes_late(p);
    for (int i = 0; i < 3; i++)
        equal(p, b);
    says(p->hub, "late late@b.org", WRITTEN);
    says(b, "0 0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM learner_contact) || ' ' || (SELECT count(*) FROM perche_refused)");
    says(p->hub, "0", OPEN_MARKS, SITE_ID(p, 1));
}

static void who_could_only_read_cannot_write_when_he_reads_no_more(void **state)
{
    struct pair *p = *state;

    read_along(p, 0);
    reads_no_more(p);
    late_is_refused(p);
}

static void nor_when_the_row_goes_to_a_school_that_he_does_not_read(void **state)
{
    struct pair *p = *state;

    read_along(p, 0);
    moved(p, HUB_ID(p));
    late_is_refused(p);
}

/* An enrolment that has ended makes nobody a member, and what is written beside it is judged. */
static void nor_when_he_names_it(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    read_along(p, 0);
    reads_no_more(p);
    enrolment(p, b, ID(5), ID(1), ID(9), SITE_ID(p, 1));
    edit(p, b, "UPDATE enrolment SET exit_reason = 'TRANSFER' WHERE id = '" ID(5) "'");
    pair_push(p, b);
    says(p->hub, "", REFUSALS);
    edit(p, b, "UPDATE learner SET call_name = 'late'");
    pair_push(p, b);
    says(p->hub, "Camille", "SELECT call_name FROM learner");
    says(p->hub, "learner::readonly", REFUSALS);
}

static void nor_when_both_are_of_a_time(void **state)
{
    struct pair *p = *state;

    read_along(p, 0);
    edit(p, p->hub, "DELETE FROM site_reader; UPDATE enrolment SET site_id = '%s'; UPDATE learner SET home_site_id = '%s'", HUB_ID(p), HUB_ID(p));
    late_is_refused(p);
}

static void nor_who_could_write_once_and_has_heard_that_he_cannot(void **state)
{
    struct pair *p = *state;

    read_along(p, 1);
    reader(p, 0);
    reads_no_more(p);
    late_is_refused(p);
}

/* What his rows gave him is read from the file of an earlier program when that is opened. */
static void nor_one_whom_an_older_file_knows(void **state)
{
    struct pair *p = *state;

    read_along(p, 0);
    edit(p, p->hub, "DROP TABLE perche_reader; UPDATE perche_node SET format = 3");
    shut(p->hub);
    reopened(p, p->hub);
    reads_no_more(p);
    late_is_refused(p);
}

static void where_nothing_says_what_he_could_he_is_believed(void **state)
{
    struct pair *p = *state;

    read_along(p, 0);
    edit(p, p->hub, "DELETE FROM perche_reader");
    reads_no_more(p);
    late_is_taken(p);
}

static void who_could_write_may_until_he_has_heard_that_he_reads_no_more(void **state)
{
    struct pair *p = *state;

    read_along(p, 0);
    reader(p, 1);
    reads_no_more(p);
    late_is_taken(p);
}

static void and_until_he_has_heard_that_the_row_has_gone(void **state)
{
    struct pair *p = *state;

    read_along(p, 1);
    moved(p, HUB_ID(p));
    late_is_taken(p);
}

/* He comes back meanwhile to read alone, and leaves again. */
static void what_he_could_is_not_taken_by_a_later_mark_that_he_has_not_heard_either(void **state)
{
    struct pair *p = *state;

    read_along(p, 1);
    reads_no_more(p);
    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', 0)", SITE_ID(p, 0), SITE_ID(p, 1));
    reads_no_more(p);
    late_is_taken(p);
}

static void a_former_school_may_though_it_only_read_in_between(void **state)
{
    struct pair *p = *state;

    read_along(p, 0);
    moved(p, SITE_ID(p, 1));
    equal(p, p->sites[1]);
    moved(p, SITE_ID(p, 0));
    reads_no_more(p);
    late_is_taken(p);
}

static void settled_both(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            equal(p, p->sites[k]);
}

/* Its copy is of before it heard the one mark or the other, which are of the same row. */
static void put_back_to(struct pair *p, bool to_school)
{
    struct fixture *b = p->sites[1];

    read_along(p, 0);
    moved(p, SITE_ID(p, 1));
    settled_both(p);
    if (to_school)
        back_up(b);
    reads_no_more(p);
    moved(p, HUB_ID(p));
    settled_both(p);
    moved(p, SITE_ID(p, 0));
    reader(p, 0);
    settled_both(p);
    if (!to_school)
        back_up(b);
    reads_no_more(p);
    settled_both(p);
    says(b, "0", "SELECT count(*) FROM learner");
    put_back(p, b);
    (void)shake(p, b);
}

static void a_school_that_is_put_back_may_write_what_it_only_read_since(void **state)
{
    struct pair *p = *state;

    put_back_to(p, true);
    late_is_taken(p);
}

static void one_that_is_put_back_to_when_it_only_read_may_not(void **state)
{
    struct pair *p = *state;

    put_back_to(p, false);
    late_is_refused(p);
}

/* His value would be refused; the question must not be gone by then. */
static void a_reader_gets_a_row_that_was_away_when_he_came(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    schooled(p, 0, ID(1), ID(2));
    program(p->hub, "DROP TABLE learner");
    harvest_here(p, p->hub);
    edit(p, p->hub, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', 1)", SITE_ID(p, 0), SITE_ID(p, 1));
    p->now += 4000;
    for (int i = 0; i < 3; i++)
        harvest_here(p, p->hub);
    says(p->hub, "1", "SELECT count(*) FROM learner");
    equal(p, b);
    says(b, "1", "SELECT count(*) FROM learner");
}

/* Its enrolments alone make the second school a member. */
static void a_learner_leaves_nobody_while_the_enrolments_are_away(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    schooled(p, 0, ID(1), ID(2));
    enrolment(p, p->hub, ID(3), ID(1), ID(9), SITE_ID(p, 1));
    equal(p, b);
    says(b, "1", "SELECT count(*) FROM learner");
    program(p->hub, "DROP TABLE enrolment");
    harvest_here(p, p->hub);
    edit(p, p->hub, "UPDATE learner SET call_name = 'by the hub'");
    contact(p, p->hub, ID(4), ID(1), "a@b.org");
    edit(p, a, "UPDATE learner SET home_site_id = home_site_id, birth_date = '2001-01-01'");
    pair_push(p, a);
    pair_pull(p, b);
    says(b, "by the hub 1", "SELECT call_name || ' ' || (SELECT count(*) FROM learner_contact) FROM learner");
    p->now += 4000;
    for (int i = 0; i < 3; i++)
        harvest_here(p, p->hub);
    says(p->hub, "2", "SELECT count(*) FROM enrolment");
    equal(p, b);
    equal(p, a);
    says(b, "2001-01-01", "SELECT birth_date FROM learner");
}

/* As a program may have made it anew. */
static void a_reader_writes_while_site_reader_is_without_a_column(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    schooled(p, 0, ID(1), ID(2));
    reader(p, 1);
    program(p->hub, "DROP TRIGGER perche_site_reader_insert; DROP TRIGGER perche_site_reader_update; DROP TRIGGER perche_site_reader_delete;"
                    "ALTER TABLE site_reader DROP COLUMN may_write");
    edit(p, b, "UPDATE learner SET call_name = 'x'");
    equal(p, b);
    says(p->hub, "x", "SELECT call_name FROM learner");
}

static void a_reader_settles_no_question(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    char args[200];

    schooled(p, 0, ID(1), ID(2));
    equal(p, a);
    reader(p, 0);
    edit(p, p->hub, "UPDATE learner SET birth_date = '1990-01-01'");
    edit(p, a, "UPDATE learner SET birth_date = '1991-02-02'");
    equal(p, a);
    equal(p, b);
    equal(p, b);
    says(b, "open", "SELECT state FROM perche_conflict");
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"a\"}", asked(b->program, "SELECT id FROM perche_conflict"));
    p->now += 1000;
    free(pair_command(p, b, "resolve", args));
    for (int i = 0; i < 3; i++)
        equal(p, b);
    equal(p, a);
    says(p->hub, "open 1991-02-02", "SELECT (SELECT state FROM perche_conflict) || ' ' || birth_date FROM learner");
    says(b, "open 1991-02-02", "SELECT (SELECT state FROM perche_conflict) || ' ' || birth_date FROM learner");
    says(b, "readonly readonly", "SELECT group_concat(reason, ' ') FROM perche_refused");
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"a\"}", asked(a->program, "SELECT id FROM perche_conflict"));
    p->now += 1000;
    free(pair_command(p, a, "resolve", args)); /* the school may */
    equal(p, a);
    says(p->hub, "resolved 1990-01-01", "SELECT (SELECT state FROM perche_conflict) || ' ' || birth_date FROM learner");
}

/* A deleted row's place is read from what is kept of it. */
static void a_school_settles_a_question_about_a_row_that_it_has_deleted(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char args[200];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "DELETE FROM learner");
    edit(p, p->hub, "UPDATE learner SET call_name = 'x'");
    equal(p, a);
    equal(p, a);
    says(a, "deleted open 1", "SELECT kind || ' ' || state || ' ' || (a_value IS NULL) FROM perche_conflict");
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"a\"}", asked(a->program, "SELECT id FROM perche_conflict"));
    p->now += 1000;
    free(pair_command(p, a, "resolve", args));
    equal(p, a);
    refused(p, a, "");
    says(p->hub, "resolved", "SELECT state FROM perche_conflict");
    says(p->hub, "0", "SELECT count(*) FROM learner");
}

/* It would be the hub's alone, and gone from where it was written without a word. */
static void a_row_that_names_no_site_is_refused_and_listed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    edit(p, p->hub, "CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, school TEXT, what TEXT) STRICT, WITHOUT ROWID");
    free(pair_replicate(p, "{\"table\": \"visit\", \"scope\": \"school\"}"));
    pair_prove(p, a);
    equal(p, a);
    edit(p, a, "INSERT INTO visit VALUES ('v1', NULL, 'x')");
    refused(p, a, "visit::site");
    edit(p, a, "INSERT INTO visit VALUES ('v2', '%s', 'y')", SITE_ID(p, 0));
    refused(p, a, "");
    edit(p, a, "UPDATE visit SET school = NULL, what = 'z'");
    refused(p, a, "visit:school:site");
    says(a, "v2 z", "SELECT id || ' ' || what FROM visit WHERE school IS NOT NULL");
}

static void nor_is_one_taken_whose_table_has_lost_its_site(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    program(a, "ALTER TABLE cohort RENAME COLUMN site_id TO school");
    edit(p, a, "INSERT INTO cohort (id, school, training_id, code, starts_on, ends_on, capacity, mode, status)"
               " VALUES ('" ID(1) "', '%s', 't', 'P1', '2026-01-05', '2026-06-30', 12, 'SITE', 'PLANNED')", SITE_ID(p, 0));
    pair_push(p, a);
    says(p->hub, "cohort::site", REFUSALS);
    says(p->hub, "0", "SELECT count(*) FROM cohort");
    pair_sync(p, a);
    says(a, "cohort site P1", "SELECT tab || ' ' || reason || ' ' || (image ->> '$.code') FROM perche_refused");
}

static void a_reader_adds_no_child_in_a_table_that_he_does_not_read(void **state)
{
    struct pair *p = *state;
    struct fixture *b = p->sites[1];

    schooled(p, 0, ID(1), ID(2));
    reader(p, 1);
    says(b, "1", "SELECT count(*) FROM enrolment");
    edit(p, b, "INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)"
               " VALUES ('" ID(3) "', '" ID(4) "', '" ID(2) "', 'P', 210, 'PAPER', '2026-01-05', '%s')", SITE_ID(p, 1));
    refused(p, b, "attendance::readonly");
    says(p->hub, "0", "SELECT count(*) FROM attendance");
}

static void attendance(struct pair *p)
{
    schooled(p, 0, ID(1), ID(2));
    edit(p, p->sites[0], "INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)"
                         " VALUES ('" ID(3) "', '" ID(4) "', '" ID(2) "', 'P', 210, 'PAPER', '2026-01-05', '%s')", SITE_ID(p, 0));
}

static void an_append_row_may_be_corrected_until_it_is_acknowledged(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    attendance(p);
    edit(p, a, "UPDATE attendance SET mark = 'A'");
    equal(p, a);
    says(p->hub, "A", "SELECT mark FROM attendance");
    says(p->hub, "", REFUSALS);
    edit(p, a, "UPDATE attendance SET mark = 'P', minutes = 0");
    refused(p, a, "attendance:mark,minutes:append");
    says(a, "A 210", "SELECT mark || ' ' || minutes FROM attendance");
    edit(p, a, "DELETE FROM attendance");
    refused(p, a, "attendance::append");
    says(a, "1", "SELECT count(*) FROM attendance");
    edit(p, a, "INSERT INTO attendance SELECT '" ID(5) "', half_day_id, enrolment_id, 'P', minutes, proof, learner_signed_at, trainer_signed_at,"
               " proof_sha256, recorded_at, recorded_site, id, NULL FROM attendance");
    refused(p, a, ""); /* a correction names what it voids */
    says(p->hub, ID(3), "SELECT voids FROM attendance WHERE id = '" ID(5) "'");
}

static void an_append_row_whose_acknowledgement_was_lost_is_not_held_against_its_author(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    attendance(p);
    push_unheard(p, a);
    equal(p, a);
    says(p->hub, "", REFUSALS);
    says(a, "", LISTED);
    says(p->hub, "P", "SELECT mark FROM attendance");
}

static void a_value_that_the_hub_has_had_is_not_judged_again_and_a_refused_one_is(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct clock_cell old;
    struct hand h;

    schooled(p, 0, ID(1), ID(2));
    old = cell_at(p->hub, "learner", ID(1), "home_site_id");
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1)); /* A stays a member by its enrolment */
    equal(p, a);
    for (int i = 0; i < 3; i++) {
        struct perche_batch *b = perche_batch_new();

        h = (struct hand){.table = "learner", .uuid = ID(1), .gen = 1, .stamp = old.stamp + (i > 0 ? UINT64_C(9000) << 16 : 0), .origin = SITE_ID(p, 0),
                          .cells = {{"home_site_id", text_of(SITE_ID(p, 0))}, {i == 1 ? "call_name" : NULL, text_of("Ada")}}};
        hand_in(b, &h); /* what is lawful in it is history, the refused cell is not */
        assert_int_equal(push_by_hand(p, a, b), PERCHE_NO_NONE);
        says(p->hub, i == 0 ? "" : "learner:home_site_id:move", REFUSALS);
        says(p->hub, SITE_ID(p, 1), "SELECT home_site_id FROM learner");
        program(p->hub, "DELETE FROM perche_refusal");
    }
}

static void a_refusal_holds_no_values(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message m;
    struct perche_batch *b;

    equal(p, a);
    edit(p, a, "INSERT INTO organisation (id, name) VALUES ('" ID(1) "', 'Unheard')");
    pair_push(p, a);
    m = pull_made(p, a, 1 << 20);
    b = batch_of(m.u.pull_reply.batch);
    assert_int_equal(perche_batch_rows(b), 0);
    assert_int_equal(b->notices_count, 1);
    assert_string_equal(b->notices[0].columns, "");
    perche_batch_free(b);
    perche_message_free(&m);
    says(p->hub, "0", "SELECT count(*) FROM perche_history WHERE instr(body, 'Unheard') > 0");
    equal(p, a);
    says(a, "{\"name\":\"Unheard\"}", "SELECT image FROM perche_refused");
    says(a, ID(1), "SELECT key FROM perche_refused");
}

static void a_site_may_settle_only_questions_about_rows_that_it_holds(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_batch *b = perche_batch_new();
    struct hand h;
    char id[64];

    schooled(p, 1, ID(1), ID(2));
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'x'");
    edit(p, p->sites[1], "UPDATE learner SET birth_family_name = 'y'");
    equal(p, p->sites[1]);
    strcpy(id, asked(p->hub->program, "SELECT id FROM perche_conflict WHERE state = 'open'"));
    assert_int_equal(strlen(id), 36);
    h = (struct hand){.table = "perche_conflict", .uuid = id, .gen = 1, .stamp = p->now << 16, .origin = SITE_ID(p, 0), .cells = {{"state", text_of("resolved")}}};
    hand_in(b, &h);
    assert_int_equal(push_by_hand(p, a, b), PERCHE_NO_NONE);
    says(p->hub, "open", "SELECT state FROM perche_conflict");
    says(p->hub, "perche_conflict::scope", REFUSALS);
}

static void a_site_may_ask_only_questions_about_rows_that_it_holds(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    const char *ids[] = {ID(1), ID(3)};

    schooled(p, 1, ID(1), ID(2));
    schooled(p, 0, ID(3), ID(4));
    equal(p, a);
    for (int i = 0; i < 2; i++) {
        struct perche_batch *b = perche_batch_new();
        char key[80], id[64];
        struct hand h;

        (void)snprintf(key, sizeof key, "{\"id\":\"%s\"}", ids[i]);
        (void)snprintf(id, sizeof id, "01a00000-0000-7000-8000-00000000000%d", i);
        h = (struct hand){.table = "perche_conflict", .uuid = id, .gen = 1, .flags = PERCHE_ROW_GEN, .stamp = p->now << 16, .origin = SITE_ID(p, 0),
                          .cells = {{"tab", text_of("learner")}, {"key", text_of(key)}, {"col", text_of("ine")}, {"kind", text_of("review")}, {"state", text_of("open")}}};
        hand_in(b, &h);
        assert_int_equal(push_by_hand(p, a, b), PERCHE_NO_NONE);
    }
    says(p->hub, ids[1], "SELECT group_concat(json_extract(key, '$.id')) FROM perche_conflict");
    says(p->hub, "perche_conflict::scope", REFUSALS);
}

/* The question is numbered before the row and judged behind it: the row has left by then. */
static void a_site_may_ask_about_a_row_that_its_own_write_moves_away(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    equal(p, b);
    edit(p, a, "UPDATE cohort SET code = 'lost'");
    edit(p, p->hub, "UPDATE cohort SET code = 'hub'");
    while (pull_once(p, a, 1 << 20))
        ;
    says(a, "1", "SELECT count(*) FROM perche_conflict");
    edit(p, a, "UPDATE cohort SET site_id = '%s'", SITE_ID(p, 1));
    pair_push(p, a);
    says(p->hub, "", REFUSALS);
    equal(p, a);
    equal(p, a);
    equal(p, b);
    says(b, "hub lost", "SELECT code || ' ' || (SELECT group_concat(a_value) FROM perche_conflict) FROM cohort");
    says(a, "0 0", "SELECT (SELECT count(*) FROM cohort) || ' ' || (SELECT count(*) FROM perche_conflict)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_everybody_has_only_the_hub_writes),
        TEST(a_column_of_the_hub_in_a_new_row_is_refused_as_a_cell),
        TEST(another_value_under_a_stamp_of_the_hubs_is_judged),
        TEST(an_unlawful_cell_leaves_the_lawful_ones_beside_it),
        TEST(moving_a_row_is_the_hubs_unless_its_holders_may),
        TEST(a_row_outside_its_scopes_is_refused_whole),
        TEST(a_row_is_given_to_no_site_that_nobody_knows),
        TEST(naming_an_id_opens_no_door),
        TEST(naming_it_before_it_arrives_opens_none_either),
        TEST(whoever_else_wrote_the_condition),
        TEST(what_was_named_before_by_who_holds_it_stays),
        TEST(what_was_lawful_and_is_written_again_as_it_was_stays),
        TEST(what_was_lawful_and_is_inserted_again_is_named_anew),
        TEST(a_child_that_came_before_its_parent_is_judged_when_that_comes),
        TEST(so_is_one_of_a_site_that_only_reads_the_parent),
        TEST(a_reader_who_may_write_goes_on_where_he_may),
        TEST(a_child_whose_parent_turns_out_to_be_its_authors_stays),
        TEST(it_is_judged_while_the_hub_recovers_too),
        TEST(what_was_shown_in_a_recovery_is_judged_when_that_is_over),
        TEST(a_row_that_a_trigger_does_not_let_go_keeps_nothing_else_waiting),
        TEST(nor_does_a_cell_that_a_trigger_does_not_let_go),
        TEST(nor_does_a_child_that_a_trigger_does_not_let_go),
        TEST(nor_does_one_that_keeps_a_row_of_the_hubs),
        TEST(nor_does_a_child_that_was_taken_out_unseen),
        TEST(it_is_judged_when_what_it_named_comes_as_a_tombstone),
        TEST(nor_does_an_edit_that_names_it),
        TEST(nor_does_a_key_that_is_deleted_and_inserted_again),
        TEST(a_late_one_arrives_as_a_late_edit_does),
        TEST(nor_does_the_one_to_whom_a_transfer_is_drafted_ask_it_himself),
        TEST(a_child_is_given_to_another_parent_only_where_both_are_held),
        TEST(a_reader_writes_only_where_he_may),
        TEST(who_could_only_read_cannot_write_when_he_reads_no_more),
        TEST(nor_when_the_row_goes_to_a_school_that_he_does_not_read),
        TEST(nor_when_he_names_it),
        TEST(nor_when_both_are_of_a_time),
        TEST(nor_who_could_write_once_and_has_heard_that_he_cannot),
        TEST(nor_one_whom_an_older_file_knows),
        TEST(where_nothing_says_what_he_could_he_is_believed),
        TEST(who_could_write_may_until_he_has_heard_that_he_reads_no_more),
        TEST(and_until_he_has_heard_that_the_row_has_gone),
        TEST(what_he_could_is_not_taken_by_a_later_mark_that_he_has_not_heard_either),
        TEST(a_former_school_may_though_it_only_read_in_between),
        TEST(a_school_that_is_put_back_may_write_what_it_only_read_since),
        TEST(one_that_is_put_back_to_when_it_only_read_may_not),
        TEST(a_reader_gets_a_row_that_was_away_when_he_came),
        TEST(a_learner_leaves_nobody_while_the_enrolments_are_away),
        TEST(a_reader_writes_while_site_reader_is_without_a_column),
        TEST(a_reader_settles_no_question),
        TEST(a_school_settles_a_question_about_a_row_that_it_has_deleted),
        TEST(a_row_that_names_no_site_is_refused_and_listed),
        TEST(nor_is_one_taken_whose_table_has_lost_its_site),
        TEST(a_reader_adds_no_child_in_a_table_that_he_does_not_read),
        TEST(an_append_row_may_be_corrected_until_it_is_acknowledged),
        TEST(an_append_row_whose_acknowledgement_was_lost_is_not_held_against_its_author),
        TEST(a_value_that_the_hub_has_had_is_not_judged_again_and_a_refused_one_is),
        TEST(a_refusal_holds_no_values),
        TEST(a_site_may_settle_only_questions_about_rows_that_it_holds),
        TEST(a_site_may_ask_only_questions_about_rows_that_it_holds),
        TEST(a_site_may_ask_about_a_row_that_its_own_write_moves_away),
    };

    return cmocka_run_group_tests_name("replica_rights", tests, NULL, NULL);
}
