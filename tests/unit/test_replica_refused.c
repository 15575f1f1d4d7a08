/* Every value that the hub did not take is listed once, whatever became of its row in between (P4). */
#include "replica_steps.h"

#define LISTED "SELECT coalesce(group_concat(columns || ':' || reason || ':' || image, ' '), '') FROM (SELECT * FROM perche_refused ORDER BY n)"

static void organisation(struct pair *p, struct fixture *site)
{
    edit(p, p->hub, "INSERT INTO organisation (id, name) VALUES ('" ID(1) "', 'base')");
    equal(p, site);
    equal(p, site);
}

static void replicated(struct pair *p, struct fixture *site, const char *table, const char *ddl)
{
    char args[100];

    snprintf(args, sizeof args, "{\"table\": \"%s\", \"scope\": \"all\"}", table);
    edit(p, p->hub, "%s", ddl);
    free(pair_replicate(p, args));
    pair_prove(p, site);
    equal(p, site);
}

/* ---- written again before it is put back ---- */

static void a_second_write_before_the_image_is_listed_as_well(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    organisation(p, a);
    edit(p, a, "UPDATE organisation SET name = 'first'");
    pair_push(p, a);
    pull_once(p, a, 1 << 20); /* the refusal */
    edit(p, a, "UPDATE organisation SET name = 'second'");
    equal(p, a);
    equal(p, a);
    says(a, "base", "SELECT name FROM organisation");
    says(a, ":hub_table:{\"name\":\"first\"} :hub_table:{\"name\":\"second\"}", LISTED);
}

static void what_was_refused_twice_before_the_site_heard_is_listed_with_both_values(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET restricted = 1, call_name = 'taken'");
    pair_push(p, a);
    edit(p, a, "UPDATE learner SET nir_seen = 1, call_name = 'taken again'");
    pair_push(p, a);
    says(p->hub, "restricted,nir_seen", "SELECT columns FROM perche_refusal"); /* one, of both */
    equal(p, a);
    equal(p, a);
    says(a, "restricted:hub_column:{\"restricted\":1} nir_seen:hub_column:{\"nir_seen\":1}", LISTED);
    edit(p, a, "UPDATE learner SET erased_at = 'x'"); /* what was heard is not told with it again */
    equal(p, a);
    equal(p, a);
    says(a, "restricted:hub_column:{\"restricted\":1} nir_seen:hub_column:{\"nir_seen\":1} erased_at:hub_column:{\"erased_at\":\"x\"}", LISTED);
}

static void a_refused_row_that_is_written_again_before_it_goes_is_listed_with_both_values(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    equal(p, a);
    learner(p, a, ID(1), SITE_ID(p, 1)); /* another's */
    pair_push(p, a);
    pull_once(p, a, 1 << 20);
    edit(p, a, "UPDATE learner SET call_name = 'again'");
    for (int i = 0; i < 3; i++)
        pair_sync(p, a);
    says(a, "", "SELECT group_concat(kind || ' ' || lsn) FROM perche_wanted");
    says(p->hub, "", "SELECT group_concat(reason || via) FROM perche_parked");
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM learner");
    says(a, "2 {\"call_name\":\"again\"}", "SELECT count(*) || ' ' || (SELECT image FROM perche_refused ORDER BY n DESC LIMIT 1) FROM perche_refused");
}

static void a_refusal_told_twice_is_listed_once(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    organisation(p, a);
    edit(p, a, "UPDATE organisation SET name = 'mine'");
    equal(p, a);
    edit(p, p->hub, "INSERT OR REPLACE INTO perche_refusal SELECT n.num, t.num, r.key, (SELECT lsn + 1 FROM perche_node), 'name', 'hub_table', 1"
                    " FROM perche_name n, perche_tab t, perche_row r WHERE n.text = '%s' AND t.name = 'organisation' AND r.tab = t.num", SITE_ID(p, 0));
    edit(p, p->hub, "INSERT INTO organisation (id, name) VALUES ('" ID(2) "', 'moves the hub on')");
    equal(p, a);
    says(a, ":hub_table:{\"name\":\"mine\"}", LISTED);
}

/* ---- what the hub wrote over it ---- */

static void what_the_hub_wrote_over_before_it_judged_is_listed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    organisation(p, a);
    edit(p, a, "UPDATE organisation SET name = 'mine'");
    edit(p, p->hub, "UPDATE organisation SET name = 'the hub''s, later'");
    pair_push(p, a);
    equal(p, a);
    equal(p, a);
    says(a, "the hub's, later", "SELECT name FROM organisation");
    says(a, ":hub_table:{\"name\":\"mine\"}", LISTED);
}

static void what_the_hub_deleted_before_it_judged_is_listed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    organisation(p, a);
    edit(p, a, "UPDATE organisation SET name = 'mine'");
    edit(p, p->hub, "DELETE FROM organisation");
    edit(p, p->hub, "INSERT INTO organisation (id, name) VALUES ('" ID(1) "', 'anew')");
    pair_push(p, a);
    equal(p, a);
    equal(p, a);
    says(a, "anew", "SELECT name FROM organisation");
    says(a, "mine", "SELECT image ->> 'name' FROM perche_refused");
}

static void what_the_hub_wrote_over_before_it_was_sent_is_listed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    organisation(p, a);
    edit(p, a, "UPDATE organisation SET name = 'mine', siret = 'also'");
    edit(p, p->hub, "UPDATE organisation SET name = 'the hub''s, later'");
    pair_pull(p, a);
    says(a, "the hub's, later", "SELECT name FROM organisation");
    says(a, "name:hub_table:{\"name\":\"mine\"}", LISTED);
    equal(p, a);
    equal(p, a);
    says(a, "name:hub_table:{\"name\":\"mine\"} :hub_table:{\"siret\":\"also\"}", LISTED);
}

static void what_was_refused_of_a_row_that_leaves_is_listed_before_it_goes(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET restricted = 1");
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s'", SITE_ID(p, 1));
    pair_pull(p, a); /* it has left; something of it is unsent */
    says(a, "1", "SELECT count(*) FROM learner");
    equal(p, a);
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM learner");
    says(a, "1", "SELECT image ->> 'restricted' FROM perche_refused");
}

static void what_was_taken_is_not_listed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE learner SET call_name = 'lawful', restricted = 1");
    equal(p, a);
    equal(p, a);
    says(p->hub, "lawful 0", "SELECT call_name || ' ' || restricted FROM learner");
    says(a, "restricted:hub_column:{\"restricted\":1}", LISTED);
}

#define ATTENDANCE "INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site) VALUES ('" ID(3) "', '" ID(4) "', '" ID(2) "', 'P', 210, 'PAPER', '2026-01-05', '%s')"

/* Both in one column, and nothing was pulled in between. */
static void what_was_taken_before_another_value_was_refused_is_not_listed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    enrolment(p, a, ID(2), ID(1), ID(9), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, ATTENDANCE, SITE_ID(p, 0));
    pair_push(p, a);
    edit(p, a, "UPDATE attendance SET mark = 'A', minutes = 0"); /* what was acknowledged is only added to */
    pair_push(p, a);
    edit(p, a, "UPDATE attendance SET mark = 'E'");
    equal(p, a);
    equal(p, a);
    says(p->hub, "P 210", "SELECT mark || ' ' || minutes FROM attendance");
    says(a, "P 210", "SELECT mark || ' ' || minutes FROM attendance");
    says(a, "mark,minutes:append:{\"mark\":\"A\",\"minutes\":0} mark:append:{\"mark\":\"E\"}", LISTED);
}

/* Whether the hub had taken it does not show in its row any more. */
static void what_it_has_written_over_since_stays_listed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    enrolment(p, a, ID(2), ID(1), ID(9), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, ATTENDANCE, SITE_ID(p, 0));
    pair_push(p, a);
    edit(p, a, "UPDATE attendance SET mark = 'A', minutes = 0");
    pair_push(p, a);
    edit(p, p->hub, "UPDATE attendance SET mark = 'X'");
    equal(p, a);
    equal(p, a);
    says(a, "X 210", "SELECT mark || ' ' || minutes FROM attendance");
    says(a, "mark:append:{\"mark\":\"P\"} mark,minutes:append:{\"mark\":\"A\",\"minutes\":0}", LISTED);
}

/* The cell named a learner of B's before that was here. */
static void what_is_refused_after_all_is_listed_then(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    learner(p, b, ID(1), SITE_ID(p, 1));
    equal(p, b);
    learner(p, a, ID(3), SITE_ID(p, 0));
    enrolment(p, a, ID(2), ID(3), ID(9), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE enrolment SET learner_id = '" ID(5) "'");
    pair_push(p, a);
    edit(p, a, "UPDATE enrolment SET learner_id = '" ID(1) "'");
    equal(p, a);
    equal(p, a);
    says(a, ID(5) " learner_id:member:{\"learner_id\":\"" ID(1) "\"}", "SELECT (SELECT learner_id FROM enrolment) || ' ' || (" LISTED ")");
    learner(p, b, ID(5), SITE_ID(p, 1));
    equal(p, b);
    equal(p, a);
    equal(p, a);
    says(a, ID(3), "SELECT learner_id FROM enrolment");
    says(a, "learner_id:member:{\"learner_id\":\"" ID(1) "\"} learner_id:member:{\"learner_id\":\"" ID(5) "\"}", LISTED);
}

/* A row that names a learner of B's before that is here: an image of it came since, for another cell. */
static void what_is_refused_long_after_an_image_had_it_is_listed_with_its_values(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];

    equal(p, b);
    enrolment(p, a, ID(2), ID(1), ID(9), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE enrolment SET site_id = 'nobody', pay_scheme = 'AREF'");
    equal(p, a);
    equal(p, a);
    says(a, "enrolment site_id", "SELECT group_concat(tab || ' ' || columns) FROM perche_refused");
    learner(p, b, ID(1), SITE_ID(p, 1));
    equal(p, b);
    equal(p, a);
    equal(p, a);
    says(a, "0 0", "SELECT (SELECT count(*) FROM learner) || ' ' || (SELECT count(*) FROM enrolment)");
    says(a, "member " ID(1) " AREF", "SELECT reason || ' ' || (image ->> 'learner_id') || ' ' || (image ->> 'pay_scheme') FROM perche_refused ORDER BY n DESC LIMIT 1");
}

/* ---- values and names of every kind ---- */

static void blobs_and_numbers_with_a_point_are_listed_values_and_keys(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    replicated(p, a, "measure", "CREATE TABLE measure (at NUMERIC NOT NULL, of NUMERIC NOT NULL, note TEXT, body BLOB, PRIMARY KEY (at, of))");
    edit(p, a, "INSERT INTO measure VALUES (36.75, x'00ff', 'caf' || x'e9', x'c0ffee')");
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM measure");
    says(a, "36.75,00ff {\"note\":\"636166e9\",\"body\":\"c0ffee\"}", "SELECT key || ' ' || image FROM perche_refused");
}

static void sixty_columns_with_long_names_are_listed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char ddl[8192], sql[8192];
    size_t n = (size_t)snprintf(ddl, sizeof ddl, "CREATE TABLE survey (id TEXT NOT NULL PRIMARY KEY"), m = 0;

    for (int i = 0; i < 60; i++) {
        n += (size_t)snprintf(ddl + n, sizeof ddl - n, ", answer_%02d_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx TEXT", i);
        m += (size_t)snprintf(sql + m, sizeof sql - m, "%sanswer_%02d_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx = 'reply %d'", i ? ", " : "", i, i);
    }
    (void)snprintf(ddl + n, sizeof ddl - n, "); INSERT INTO survey (id) VALUES ('s')");
    replicated(p, a, "survey", ddl);
    edit(p, a, "UPDATE survey SET %s", sql);
    pair_push(p, a);
    equal(p, a);
    equal(p, a);
    says(a, "60 reply 59", "SELECT count(*) || ' ' || max(j.value) FILTER (WHERE j.key LIKE 'answer_59%%') FROM perche_refused, json_each(image) j");
}

static void a_name_with_an_apostrophe_stops_nothing(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    replicated(p, a, "loan", "CREATE TABLE loan (id TEXT NOT NULL PRIMARY KEY, \"l'outil\" TEXT); INSERT INTO loan VALUES ('1', 'a saw')");
    edit(p, a, "UPDATE loan SET \"l'outil\" = 'a plane'");
    pair_push(p, a);
    edit(p, p->hub, "INSERT INTO organisation (id, name) VALUES ('" ID(1) "', 'later')");
    equal(p, a);
    equal(p, a);
    says(a, "a saw later", "SELECT \"l'outil\" || ' ' || name FROM loan, organisation WHERE organisation.id = '" ID(1) "'");
    says(a, "{\"l'outil\":\"a plane\"}", "SELECT image FROM perche_refused");
}

/* ---- what only this site has of the row ---- */

static void what_only_this_site_has_of_a_row_survives_its_image(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    organisation(p, a);
    program(a, "ALTER TABLE learner ADD COLUMN own TEXT; ALTER TABLE organisation ADD COLUMN own TEXT; CREATE TABLE note (of TEXT);"
               "INSERT INTO note VALUES ('" ID(1) "'); CREATE TRIGGER tidy AFTER DELETE ON learner BEGIN DELETE FROM note WHERE of = OLD.id; END;"
               "UPDATE learner SET own = 'at C:'; UPDATE organisation SET own = 'at D:'");
    equal(p, a);
    edit(p, a, "UPDATE learner SET restricted = 1, nir_seen = 1, call_name = 'taken'"); /* the hub has no cell of the first two */
    edit(p, a, "UPDATE organisation SET name = 'mine', siret = 'mine'");
    equal(p, a);
    equal(p, a);
    says(a, "at C: taken 0 1 1", "SELECT own || ' ' || call_name || ' ' || restricted || ' ' || (nir_seen IS (SELECT dflt_value FROM pragma_table_info('learner')"
                                 " WHERE name = 'nir_seen')) || ' ' || (SELECT count(*) FROM note) FROM learner");
    says(a, "at D: base 1", "SELECT own || ' ' || name || ' ' || (siret IS NULL) FROM organisation");
    edit(p, a, "UPDATE learner SET call_name = 'again'"); /* it is a row like any other */
    edit(p, p->hub, "UPDATE organisation SET name = 'newer'");
    equal(p, a);
    says(p->hub, "again newer 0", "SELECT call_name || ' ' || (SELECT name FROM organisation) || ' ' || (SELECT count(*) FROM perche_conflict) FROM learner");
    says(a, "0", "SELECT count(*) FROM perche_capture");
}

/* DEFAULT (5 -- five), and a word that SQLite takes for a string. */
static void an_image_leaves_whatever_default_there_is(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    replicated(p, a, "visit", "CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, title TEXT)");
    edit(p, p->hub, "INSERT INTO visit (id, title) VALUES ('a', 'base')");
    edit(p, p->hub, "ALTER TABLE visit ADD COLUMN n INTEGER NOT NULL DEFAULT (5 -- five\n); ALTER TABLE visit ADD COLUMN status TEXT DEFAULT planned");
    free(pair_replicate(p, "{\"table\": \"visit\", \"scope\": \"all\"}"));
    pair_prove(p, a);
    equal(p, a);
    edit(p, a, "UPDATE visit SET title = 'mine', n = 7, status = 'mine'");
    equal(p, a);
    equal(p, a);
    says(a, "base 5 planned", "SELECT title || ' ' || n || ' ' || status FROM visit");
}

static void an_image_that_its_table_does_not_take_is_asked_for_again(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    organisation(p, a);
    edit(p, p->hub, "INSERT INTO organisation (id, name) VALUES ('" ID(2) "', 'two')");
    equal(p, a);
    edit(p, a, "UPDATE organisation SET name = 'mine' WHERE id = '" ID(1) "'");
    pair_push(p, a);
    pull_once(p, a, 1 << 20); /* the refusal */
    program(a, "CREATE TRIGGER own BEFORE UPDATE ON organisation BEGIN SELECT RAISE(FAIL, 'no'); END");
    for (int i = 0; i < 2; i++) {
        pair_sync(p, a);
        says(a, "mine,two 1 1 0", "SELECT group_concat(name) || ' ' || (SELECT gen FROM perche_row r JOIN perche_tab t ON t.num = r.tab WHERE t.name = 'organisation' LIMIT 1)"
                                  " || ' ' || (SELECT count(*) FROM perche_wanted) || ' ' || (SELECT count(*) FROM perche_parked) FROM (SELECT name FROM organisation ORDER BY id)");
    }
    program(a, "DROP TRIGGER own");
    equal(p, a);
    says(a, "base,two 0", "SELECT group_concat(name) || ' ' || (SELECT count(*) FROM perche_wanted) FROM (SELECT name FROM organisation ORDER BY id)");
}

static void an_image_that_does_not_fit_leaves_nothing_of_what_was_refused(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    organisation(p, a);
    edit(p, a, "UPDATE organisation SET name = 'mine'");
    pair_push(p, a);
    pull_once(p, a, 1 << 20); /* the refusal */
    program(a, "ALTER TABLE organisation RENAME COLUMN name TO called");
    pair_sync(p, a);
    says(a, "0 column", "SELECT (SELECT count(*) FROM organisation) || ' ' || reason FROM perche_parked");
    program(a, "ALTER TABLE organisation RENAME COLUMN called TO name");
    harvest_here(p, a);
    equal(p, a);
    says(a, "base", "SELECT name FROM organisation");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_write_before_the_image_is_listed_as_well),
        TEST(what_was_refused_twice_before_the_site_heard_is_listed_with_both_values),
        TEST(a_refused_row_that_is_written_again_before_it_goes_is_listed_with_both_values),
        TEST(a_refusal_told_twice_is_listed_once),
        TEST(what_the_hub_wrote_over_before_it_judged_is_listed),
        TEST(what_the_hub_deleted_before_it_judged_is_listed),
        TEST(what_the_hub_wrote_over_before_it_was_sent_is_listed),
        TEST(what_was_refused_of_a_row_that_leaves_is_listed_before_it_goes),
        TEST(what_was_taken_is_not_listed),
        TEST(what_was_taken_before_another_value_was_refused_is_not_listed),
        TEST(what_it_has_written_over_since_stays_listed),
        TEST(what_is_refused_after_all_is_listed_then),
        TEST(what_is_refused_long_after_an_image_had_it_is_listed_with_its_values),
        TEST(blobs_and_numbers_with_a_point_are_listed_values_and_keys),
        TEST(sixty_columns_with_long_names_are_listed),
        TEST(a_name_with_an_apostrophe_stops_nothing),
        TEST(what_only_this_site_has_of_a_row_survives_its_image),
        TEST(an_image_leaves_whatever_default_there_is),
        TEST(an_image_that_its_table_does_not_take_is_asked_for_again),
        TEST(an_image_that_does_not_fit_leaves_nothing_of_what_was_refused),
    };

    return cmocka_run_group_tests_name("replica_refused", tests, NULL, NULL);
}
