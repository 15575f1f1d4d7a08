/* What was changed past capture is found and becomes ordinary edits; a table that is
 * gone comes back. Through the works that the conversation and `perche verify` make. */
#include "replica_steps.h"

#include "replica/apply.h"

#define LEARNER "0198f3a0-0000-7000-8000-00000000000"
#define SELF    "(SELECT site_id FROM perche_self)"
/* As a program does it that drops the triggers and makes them again in one transaction, without a trace. */
#define BYPASS(sql) "BEGIN; UPDATE perche_flag SET applying = 1; " sql "; UPDATE perche_flag SET applying = 0; COMMIT"

/* @n learners at La Loupe, 1.., known to the hub. */
static struct fixture *learners(struct pair *p, int n)
{
    struct fixture *f = p->sites[0];

    edit(p, f,
         "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
         " INSERT INTO learner (id, home_site_id, call_name, ine) SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), " SELF ", 'name ' || i, 'ine ' || i FROM n", n);
    pair_sync(p, f);
    says(p->hub, asked(f->program, "SELECT count(*) FROM learner"), "SELECT count(*) FROM learner");
    return f;
}

/* What `perche verify` does before it reads; returns how many chunks that took. */
static int verify(struct pair *p, struct fixture *f, struct outcome *found)
{
    bool more = true;
    int n = 0;

    *found = (struct outcome){0};
    free(pair_command(p, f, "audit", "{}"));
    while (more) {
        struct outcome o = pair_do(p, f, pair_work(WORK_HARVEST, NULL));

        more = o.more;
        found->found += o.found;
        found->restored += o.restored;
        outcome_free(&o);
        n++;
        assert_true(n < 1000);
    }
    return n;
}

static void verified(struct pair *p, struct fixture *f, uint64_t found, uint64_t restored)
{
    struct outcome o;

    (void)verify(p, f, &o);
    assert_int_equal(o.found, found);
    assert_int_equal(o.restored, restored);
}

/* Both hold the same learners, and both digests say so. */
static void proven(struct pair *p, struct fixture *f)
{
    uint32_t level;
    uint64_t repaired;
    const char *all = "SELECT group_concat(id || ifnull(call_name, '-') || ifnull(ine, '-') || home_site_id, ' ') FROM (SELECT * FROM learner ORDER BY id)";
    char *here, *json;

    pair_sync(p, f);
    here = strdup(asked(f->program, all));
    assert_string_equal(asked(p->hub->program, all), here);
    free(here);
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_EQUAL);
    json = pair_query(p, f, "verify", "{}");
    assert_string_equal(json_at(json, "$.equal"), "1");
    free(json);
}

static char *found_in(struct pair *p, struct fixture *f, const char *name)
{
    char *json = pair_query(p, f, "verify", "{\"table\": \"learner\"}"), path[64];
    char *value;

    (void)snprintf(path, sizeof path, "$.tables[0].%s", name);
    value = strdup(json_at(json, path));
    free(json);
    return value;
}

static void found_is(struct pair *p, struct fixture *f, const char *name, const char *expected)
{
    char *value = found_in(p, f, name);

    assert_string_equal(value, expected);
    free(value);
}

/* Stamp of a column of learner 1. */
static uint64_t stamp_of(struct fixture *f, const char *column)
{
    uint8_t key[16];
    struct meta m;
    uint64_t stamp;

    assert_true(perche_uuid_parse((const uint8_t *)LEARNER "1", 36, key));
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(meta_load(f->r, registry_table(f->r, "learner"), (struct perche_bytes){key, 16}, &m), PERCHE_OK);
    stamp = m.cells[table_column(m.table, column)->num].stamp;
    meta_clear(&m);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    return stamp;
}

static struct state harvested(struct pair *p, struct fixture *f, uint64_t after_ms)
{
    struct outcome o;
    struct state s;

    p->now += after_ms;
    o = pair_do(p, f, pair_work(WORK_HARVEST, NULL));
    s = o.state;
    outcome_free(&o);
    return s;
}

/* Does the tombstone of learner @n know which site it was at? */
static bool keeps_home(struct fixture *f, int n)
{
    char id[37];
    uint8_t key[16];
    struct meta m;
    bool kept;

    snprintf(id, sizeof id, LEARNER "%d", n);
    assert_true(perche_uuid_parse((const uint8_t *)id, 36, key));
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(meta_load(f->r, registry_table(f->r, "learner"), (struct perche_bytes){key, 16}, &m), PERCHE_OK);
    assert_false(meta_alive(&m));
    kept = m.kept_mask >> (table_column(m.table, "home_site_id")->num - 1) & 1;
    meta_clear(&m);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    return kept;
}

/* ---- rows ----------------------------------------------------------------- */

static void an_edit_past_the_triggers_becomes_an_edit_of_that_column_alone(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);
    uint64_t name = stamp_of(f, "call_name"), ine = stamp_of(f, "ine");

    program(f, BYPASS("UPDATE learner SET call_name = 'unseen' WHERE id = '" LEARNER "1'"));
    verified(p, f, 1, 0);
    assert_true(stamp_of(f, "call_name") > name);
    assert_int_equal(stamp_of(f, "ine"), ine);
    found_is(p, f, "changed", "1");
    found_is(p, f, "added", "0");
    proven(p, f);
    says(p->hub, "unseen", "SELECT call_name FROM learner WHERE id = '" LEARNER "1'");
}

/* What a handshake does to stamps of a clock that was wrong: the history has the old ones. */
static void restamp(struct fixture *f)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct table *t;
    uint8_t key[16];
    struct meta m;

    assert_true(perche_uuid_parse((const uint8_t *)LEARNER "1", 36, key));
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    t = registry_table(f->r, "learner");
    assert_int_equal(meta_load(f->r, t, (struct perche_bytes){key, 16}, &m), PERCHE_OK);
    for (uint32_t num = 1; num < m.count; num++)
        if (m.cells[num].written)
            m.cells[num].stamp += UINT64_C(5000) << 16;
    assert_int_equal(data_load(f->r, t, (struct perche_bytes){key, 16}, values), PERCHE_OK);
    digest_row(f->r, &m, values, m.digest);
    assert_int_equal(meta_save(f->r, &m), PERCHE_OK);
    meta_clear(&m);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
}

static void a_shifted_stamp_hides_no_value_of_the_history(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);
    uint64_t name, ine;

    restamp(f);
    name = stamp_of(f, "call_name");
    ine = stamp_of(f, "ine");
    p->now += 10000;
    program(f, BYPASS("UPDATE learner SET call_name = 'unseen' WHERE id = '" LEARNER "1'"));
    verified(p, f, 1, 0);
    assert_true(stamp_of(f, "call_name") > name);
    assert_int_equal(stamp_of(f, "ine"), ine);
    program(f, "DROP TABLE learner");
    (void)harvested(p, f, 0);
    p->now += 4000;
    harvest_here(p, f);
    says(f, "3 unseen", "SELECT count(*) || ' ' || max(call_name) FROM learner");
    found_is(p, f, "restored", "3");
    found_is(p, f, "lost", "0");
}

static void a_column_that_was_never_written_is_looked_at_as_well(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->hub;

    (void)learners(p, 2); /* `restricted` is the hub's: a site's insert writes no cell of it */
    assert_int_equal(stamp_of(f, "restricted"), 0);
    program(f, BYPASS("UPDATE learner SET restricted = 1 WHERE id = '" LEARNER "1'"));
    verified(p, f, 1, 0);
    assert_true(stamp_of(f, "restricted") > 0);
    pair_sync(p, p->sites[0]);
    says(p->sites[0], "1", "SELECT restricted FROM learner WHERE id = '" LEARNER "1'");
    verified(p, f, 0, 0);
}

/* Nobody knows yet that it is gone: until the table is compared it lives, with the values that it had, and not with NULLs. */
static void a_row_removed_past_the_triggers_is_sent_as_it_was_written(void **state)
{
    struct pair *p = *state;
    struct fixture *a = learners(p, 3);

    edit(p, a, "UPDATE learner SET call_name = 'x' WHERE id = '" LEARNER "1'"); /* to be pushed */
    program(a, BYPASS("DELETE FROM learner WHERE id = '" LEARNER "1'"));
    pair_push(p, a);
    says(p->hub, "x ine 1", "SELECT call_name || ' ' || ine FROM learner WHERE id = '" LEARNER "1'");
    edit(p, p->hub, "UPDATE learner SET call_name = 'y' WHERE id = '" LEARNER "2'"); /* to be pulled */
    program(p->hub, BYPASS("DELETE FROM learner WHERE id = '" LEARNER "2'"));
    pair_sync(p, a);
    says(a, "y ine 2", "SELECT call_name || ' ' || ine FROM learner WHERE id = '" LEARNER "2'");
    verified(p, p->hub, 1, 0);
    verified(p, a, 1, 0);
    for (int i = 0; i < 2; i++)
        pair_sync(p, a);
    says(a, LEARNER "3", "SELECT group_concat(id) FROM learner");
    proven(p, a);
}

/* Nor is anything sent of it when the history does not know its values: the comparison with the other end does. */
static void a_row_removed_past_the_triggers_that_the_history_does_not_know_is_not_sent(void **state)
{
    struct pair *p = *state;
    struct fixture *a = learners(p, 3);

    edit(p, p->hub, "UPDATE learner SET call_name = 'y' WHERE id = '" LEARNER "2'");
    program(p->hub, BYPASS("DELETE FROM learner WHERE id = '" LEARNER "2'; UPDATE perche_history SET body = x'00'"));
    pair_pull(p, a);
    says(a, "name 2 ine 2", "SELECT call_name || ' ' || ine FROM learner WHERE id = '" LEARNER "2'");
    says(a, "0", "SELECT count(*) FROM perche_parked");
}

static void rows_added_and_removed_past_the_triggers_are_inserts_and_deletes(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 9);

    program(f, BYPASS("DELETE FROM learner WHERE id IN ('" LEARNER "2', '" LEARNER "3');"
                      " INSERT INTO learner (id, home_site_id, call_name) VALUES ('0198f3a0-0000-7000-8000-00000000aaaa', " SELF ", 'new')"));
    verified(p, f, 3, 0);
    assert_true(keeps_home(f, 2));
    found_is(p, f, "removed", "2");
    found_is(p, f, "added", "1");
    proven(p, f);
    says(p->hub, "8", "SELECT count(*) FROM learner");
    says(p->hub, "new", "SELECT call_name FROM learner WHERE id LIKE '%%aaaa'");
    assert_true(keeps_home(p->hub, 2));
    says(p->hub, "1", "SELECT n.text = (SELECT text FROM perche_name WHERE num = (SELECT scope FROM perche_row WHERE key = x'0198f3a0000070008000000000000001'))"
                      " FROM perche_row JOIN perche_name n ON n.num = scope WHERE key = x'0198f3a0000070008000000000000002'");
}

static void the_victim_of_a_replace_is_found(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 9);

    program(f, "CREATE UNIQUE INDEX one_ine ON learner (ine)");
    harvest_here(p, f);
    program(f, "INSERT OR REPLACE INTO learner (id, home_site_id, ine) VALUES ('0198f3a0-0000-7000-8000-00000000bbbb', " SELF ", 'ine 4')");
    harvest_here(p, f);
    pair_sync(p, f);
    says(p->hub, "2", "SELECT count(*) FROM learner WHERE ine = 'ine 4'"); /* the victim was not told */
    verified(p, f, 1, 0);
    pair_sync(p, f);
    says(p->hub, "1", "SELECT count(*) FROM learner WHERE ine = 'ine 4'");
}

static void what_is_as_it_was_is_left_alone(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 50);
    char *lsn = strdup(asked(f->program, "SELECT lsn FROM perche_node"));

    program(f, "DROP TRIGGER perche_learner_update; DROP TRIGGER perche_learner_insert");
    harvest_here(p, f);
    verified(p, f, 0, 0);
    says(f, lsn, "SELECT lsn FROM perche_node");
    free(lsn);
}

static void a_large_table_is_compared_in_chunks(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5000);
    struct outcome found;
    int whole = verify(p, f, &found);

    assert_int_equal(found.found, 0);
    assert_true(whole > 2 * 5000 / 1500); /* twice: the rows, the metadata */
    program(f, BYPASS("UPDATE learner SET call_name = 'unseen'"));
    assert_true(verify(p, f, &found) > whole + 5000 * 25 / 1500 - 1); /* each that differs is dearer */
    assert_int_equal(found.found, 5000);
    proven(p, f);
}

/* ---- while a table waits ---------------------------------------------------- */

static void an_ordinary_edit_of_the_row_does_not_cover_the_unseen_one(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);
    struct outcome o;
    uint64_t rows;
    bool more;

    program(f, BYPASS("UPDATE learner SET call_name = 'unseen' WHERE id = '" LEARNER "1'"));
    free(pair_command(p, f, "audit", "{}"));
    program(f, "UPDATE learner SET ine = 'seen' WHERE id = '" LEARNER "1'");
    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_int_equal(harvest(f->r, 0, &rows, &more), PERCHE_OK);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    assert_int_equal(rows, 1);
    o = pair_do(p, f, pair_work(WORK_HARVEST, NULL));
    outcome_free(&o);
    proven(p, f);
    says(p->hub, "unseen seen", "SELECT call_name || ' ' || ine FROM learner WHERE id = '" LEARNER "1'");
}

/* The same, of a table that nobody has listed: the new digest of the row covers both. */
static void an_ordinary_edit_of_a_row_brings_the_unseen_one_to_light(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);

    program(f, BYPASS("UPDATE learner SET call_name = 'unseen' WHERE id = '" LEARNER "1'"));
    program(f, "UPDATE learner SET ine = 'seen' WHERE id = '" LEARNER "1'");
    harvest_here(p, f);
    pair_sync(p, f); /* without a comparison */
    says(p->hub, "unseen seen", "SELECT call_name || ' ' || ine FROM learner WHERE id = '" LEARNER "1'");
    program(p->hub, BYPASS("UPDATE learner SET call_name = 'of the hub' WHERE id = '" LEARNER "2'"));
    program(p->hub, "UPDATE learner SET ine = 'seen' WHERE id = '" LEARNER "2'");
    harvest_here(p, p->hub);
    pair_sync(p, f);
    says(f, "of the hub seen", "SELECT call_name || ' ' || ine FROM learner WHERE id = '" LEARNER "2'");
    proven(p, f);
}

/* Too many at once for the harvest to look: the comparison finds that they differ, and the history whose edit it is. */
static void what_ordinary_edits_of_many_rows_cover_is_found_by_the_comparison(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 100);
    uint32_t level;
    uint64_t repaired;

    program(f, BYPASS("UPDATE learner SET call_name = 'unseen' WHERE id <= '0198f3a0-0000-7000-8000-000000000005'"));
    program(f, "UPDATE learner SET ine = 'seen'");
    harvest_here(p, f);
    pair_sync(p, f);
    says(p->hub, "0", "SELECT count(*) FROM learner WHERE call_name = 'unseen'");
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_DIFFERS);
    proven(p, f);
    says(p->hub, "5", "SELECT count(*) FROM learner WHERE call_name = 'unseen' AND ine = 'seen'");
    found_is(p, f, "changed", "5");
}

static void a_change_from_the_hub_does_not_cover_the_unseen_one(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);
    struct perche_message answer;
    struct outcome o;

    edit(p, p->hub, "UPDATE learner SET ine = 'of the hub' WHERE id = '" LEARNER "1'");
    program(f, BYPASS("UPDATE learner SET call_name = 'unseen' WHERE id = '" LEARNER "1'"));
    answer = pull_made(p, f, 1 << 20);
    free(pair_command(p, f, "audit", "{}"));
    o = pull_heard(p, f, answer);
    outcome_free(&o);
    harvest_here(p, f);
    proven(p, f);
    says(p->hub, "unseen of the hub", "SELECT call_name || ' ' || ine FROM learner WHERE id = '" LEARNER "1'");
}

static void what_was_written_unseen_is_sent_before_its_row_leaves(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);

    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '" LEARNER "1'", SITE_ID(p, 1));
    program(f, BYPASS("UPDATE learner SET call_name = 'unseen' WHERE id = '" LEARNER "1'"));
    pair_sync(p, f);
    pair_sync(p, f);
    says(f, "2", "SELECT count(*) FROM learner");
    says(p->hub, "unseen", "SELECT call_name FROM learner WHERE id = '" LEARNER "1'");
}

/* The mark waits for an edit that is not at the hub yet. */
static void so_is_what_was_written_after_the_mark_was_heard(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);

    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '" LEARNER "1'", SITE_ID(p, 1));
    edit(p, f, "UPDATE learner SET call_name = 'waits' WHERE id = '" LEARNER "2'");
    while (pull_once(p, f, 1 << 20))
        ;
    says(f, "1", "SELECT count(*) FROM perche_leaving");
    program(f, BYPASS("UPDATE learner SET call_name = 'unseen' WHERE id = '" LEARNER "1'"));
    pair_sync(p, f);
    pair_sync(p, f);
    says(f, "2", "SELECT count(*) FROM learner");
    says(p->hub, "unseen", "SELECT call_name FROM learner WHERE id = '" LEARNER "1'");
}

static void an_edit_of_a_row_that_was_taken_away_unseen_puts_it_back(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);

    edit(p, f, "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('" LEARNER "9', '" LEARNER "1', 'mail', 'a@b')");
    pair_sync(p, f);
    program(p->hub, BYPASS("DELETE FROM learner_contact WHERE id = '" LEARNER "9'"));
    edit(p, f, "UPDATE learner_contact SET value = 'of the site' WHERE id = '" LEARNER "9'");
    pair_sync(p, f);
    says(p->hub, "mail of the site", "SELECT kind || ' ' || value FROM learner_contact");
    harvest_here(p, p->hub);
    proven(p, f);
}

/* And the work that brings the edit says so. */
static void so_does_one_of_the_hubs_and_it_is_told(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);
    struct perche_message answer;
    struct outcome o;

    edit(p, p->hub, "UPDATE learner SET ine = 'of the hub' WHERE id = '" LEARNER "1'");
    program(f, BYPASS("DELETE FROM learner WHERE id = '" LEARNER "1'"));
    answer = pull_made(p, f, 1 << 20);
    o = pull_heard(p, f, answer);
    assert_int_equal(o.restored, 1);
    assert_int_equal(o.found, 0);
    outcome_free(&o);
    says(f, "of the hub", "SELECT ine FROM learner WHERE id = '" LEARNER "1'");
    says(f, "1", "SELECT sum(restored) FROM perche_bypassed");
    proven(p, f);
}

/* Nobody has noticed that the row is gone: what is sent of it is what was stamped, and no NULL. */
static void of_a_row_that_is_gone_unseen_the_stamped_values_are_sent(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);

    edit(p, f, "UPDATE learner SET call_name = 'unsent' WHERE id = '" LEARNER "1'"); /* harvested, not pushed */
    program(f, BYPASS("DELETE FROM learner WHERE id = '" LEARNER "1'"));
    pair_push(p, f);
    says(p->hub, "unsent ine 1", "SELECT call_name || ' ' || ine FROM learner WHERE id = '" LEARNER "1'");
    edit(p, p->hub, "UPDATE learner SET call_name = 'of the hub' WHERE id = '" LEARNER "2'");
    program(p->hub, BYPASS("DELETE FROM learner WHERE id = '" LEARNER "2'"));
    pair_pull(p, f);
    says(f, "of the hub ine 2", "SELECT call_name || ' ' || ine FROM learner WHERE id = '" LEARNER "2'");
    verified(p, f, 1, 0); /* then it is a deletion like any other */
    verified(p, p->hub, 1, 0);
    pair_sync(p, f);
    proven(p, f);
    says(p->hub, "1", "SELECT count(*) FROM learner");
}

static void nothing_is_comparable_before_it_is_compared(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);
    bool comparable;
    struct perche_message m;

    pair_sync(p, f);
    program(f, "DROP TRIGGER perche_learner_update");
    fixture_look(f);
    m = pair_ask_digest(p, f, 0, (struct perche_message){0}, &comparable);
    assert_false(comparable);
    perche_message_free(&m);
    proven(p, f);
}

/* ---- tables ------------------------------------------------------------------ */

static void a_dropped_table_comes_back_with_its_rows_and_indexes(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 30);
    uint32_t level;
    uint64_t repaired;
    char *json;

    written(f, "CREATE INDEX by_name ON learner (call_name)");
    harvest_here(p, f);
    written(f, "UPDATE learner SET call_name = 'not sent yet' WHERE id = '" LEARNER "7'");
    harvest_here(p, f);
    program(f, "DROP TABLE learner");
    assert_int_equal(harvested(p, f, 1000).tables_gone, 1);
    assert_int_equal(pair_compare(p, f, &level, &repaired), 0); /* no answer: it is not comparable */
    json = pair_query(p, f, "verify", "{}");
    assert_string_equal(json_at(json, "$.equal"), "0");
    free(json);
    assert_int_equal(harvested(p, f, 1000).tables_gone, 1); /* a program may be rebuilding it */
    says(f, "0", "SELECT count(*) FROM sqlite_schema WHERE name = 'learner'");
    assert_int_equal(harvested(p, f, 4000).tables_gone, 1); /* made again, its rows not back yet */
    harvest_here(p, f);
    assert_int_equal(harvested(p, f, 0).tables_gone, 0);
    says(f, "30", "SELECT count(*) FROM learner");
    says(f, "1", "SELECT count(*) FROM sqlite_schema WHERE name = 'by_name'");
    says(f, "4", "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'learner'");
    found_is(p, f, "restored", "30");
    found_is(p, f, "removed", "0");
    proven(p, f);
    says(p->hub, "30", "SELECT count(*) FROM learner");
    says(p->hub, "not sent yet", "SELECT call_name FROM learner WHERE id = '" LEARNER "7'");
}

static void rows_that_come_back_are_of_the_sites_that_their_parents_have_now(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 1), *other = p->sites[1];

    edit(p, f, "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('" LEARNER "9', '" LEARNER "1', 'mail', 'a@b')");
    pair_sync(p, f);
    program(p->hub, "DROP TABLE learner_contact");
    edit(p, p->hub, "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)"
                    " VALUES ('e1', '" LEARNER "1', 'k', '%s', '2026-01-01', '2026-02-01')", replica_site_id(other->r));
    (void)harvested(p, p->hub, 4000);
    (void)harvested(p, p->hub, 4000);
    harvest_here(p, p->hub);
    says(p->hub, "1", "SELECT count(*) FROM learner_contact");
    pair_sync(p, other);
    says(other, "a@b", "SELECT value FROM learner JOIN learner_contact ON learner_id = learner.id");
}

static void what_was_not_sent_from_a_dropped_table_is_not_passed_over(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);

    edit(p, f, "UPDATE learner SET call_name = 'not sent yet' WHERE id = '" LEARNER "2'");
    edit(p, f, "INSERT INTO project (site_id, title, kind) SELECT " SELF ", 't', 'k'");
    program(f, "DROP TABLE learner");
    (void)harvested(p, f, 1000);
    pair_sync(p, f); /* the project as well waits for its turn */
    (void)harvested(p, f, 1000);
    (void)harvested(p, f, 4000);
    pair_sync(p, f); /* the table is made again, and empty */
    harvest_here(p, f);
    proven(p, f);
    says(p->hub, "not sent yet", "SELECT call_name FROM learner WHERE id = '" LEARNER "2'");
    says(p->hub, "1", "SELECT count(*) FROM project");
}

static void a_dropped_table_whose_scope_hangs_on_its_key_comes_back(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 1);

    written(f, "INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
               " VALUES ('e', 'W4', 's', 'o', 'r', 'd', 'now')");
    harvest_here(p, f);
    program(f, "DROP TABLE outcome_decision");
    assert_int_equal(harvested(p, f, 1000).tables_gone, 1);
    assert_int_equal(harvested(p, f, 4000).tables_gone, 1); /* made again, its rows not back yet */
    harvest_here(p, f);
    says(f, "W4", "SELECT milestone FROM outcome_decision");
}

/* Its rows are other rows: none is an edit, an insert or a deletion of what the hub has. */
static void a_table_made_anew_with_another_key_waits_until_it_is_renamed(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);

    program(f, "PRAGMA legacy_alter_table = ON; BEGIN; CREATE TABLE anew (n INTEGER PRIMARY KEY, id TEXT, call_name TEXT);"
               "INSERT INTO anew SELECT NULL, id, call_name FROM learner; DROP TABLE learner; ALTER TABLE anew RENAME TO learner; COMMIT");
    (void)harvested(p, f, 1000);
    program(f, "INSERT INTO learner (call_name) VALUES ('of another kind'); DELETE FROM learner WHERE n = 1");
    edit(p, p->hub, "UPDATE learner SET call_name = 'later' WHERE id = '" LEARNER "2'");
    edit(p, p->hub, "INSERT INTO project (id, site_id, title, kind) VALUES ('" LEARNER "a', '%s', 't', 'k')", SITE_ID(p, 0));
    for (int i = 0; i < 4; i++)
        (void)harvested(p, f, 4000);
    assert_int_equal(harvested(p, f, 0).obstacles, 1);
    assert_int_equal(harvested(p, f, 0).tables_gone, 0);
    pair_sync(p, f);
    says(f, "1", "SELECT count(*) FROM project WHERE title = 't'");
    says(f, "0", "SELECT count(*) FROM perche_capture");
    says(p->hub, "5", "SELECT count(*) FROM learner");
    says(f, "5", "SELECT count(*) FROM learner");
    program(f, "ALTER TABLE learner RENAME TO learner_own");
    for (int i = 0; i < 4; i++)
        (void)harvested(p, f, 4000);
    harvest_here(p, f);
    proven(p, f);
    says(f, "5", "SELECT count(*) FROM learner");
    says(f, "later", "SELECT call_name FROM learner WHERE id = '" LEARNER "2'");
    assert_int_equal(harvested(p, f, 0).obstacles, 0);
}

/* The same columns in another order are another key: each row would be replaced everywhere by one that has its values swapped. */
static void a_table_made_anew_with_its_keys_columns_in_another_order_waits_until_it_is_renamed(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *swapped = "PRAGMA legacy_alter_table = ON; BEGIN; ALTER TABLE mark RENAME TO old; CREATE TABLE mark (pupil TEXT NOT NULL, day TEXT NOT NULL,"
                          " site_id TEXT, v TEXT, PRIMARY KEY (DAY, pupil)) WITHOUT ROWID; INSERT INTO mark SELECT * FROM old; %s DROP TABLE old; COMMIT";
    char text[500];

    program(p->hub, "CREATE TABLE mark (pupil TEXT NOT NULL, day TEXT NOT NULL, site_id TEXT, v TEXT, PRIMARY KEY (pupil, day)) WITHOUT ROWID");
    free(pair_replicate(p, "{\"table\": \"mark\", \"scope\": \"site_id\"}"));
    pair_prove(p, f);
    edit(p, f, "INSERT INTO mark SELECT 'p' || value, 'd' || value, site_id, 'v' FROM perche_self, json_each('[1, 2, 3]')");
    pair_sync(p, f);
    for (int emptied = 0; emptied < 2; emptied++) { /* the old table is dropped with its rows, or emptied first */
        snprintf(text, sizeof text, swapped, emptied ? "DELETE FROM old;" : "");
        program(f, text);
        (void)harvested(p, f, 1000);
        program(f, "UPDATE mark SET v = 'own'; DELETE FROM mark WHERE pupil = 'p3'");
        edit(p, p->hub, "UPDATE mark SET v = 'by hub %d' WHERE pupil = 'p1'", emptied);
        for (int i = 0; i < 4; i++)
            (void)harvested(p, f, 4000);
        assert_int_equal(harvested(p, f, 0).obstacles, 1);
        assert_int_equal(harvested(p, f, 0).tables_gone, 0);
        pair_sync(p, f);
        says(p->hub, "p1d1 p2d2 p3d3", "SELECT group_concat(pupil || day, ' ') FROM mark");
        says(f, "p1d1own p2d2own", "SELECT group_concat(pupil || day || v, ' ') FROM mark");
        program(f, emptied ? "ALTER TABLE mark RENAME TO mine" : "DROP TABLE mark");
        for (int i = 0; i < 4; i++)
            (void)harvested(p, f, 4000);
        proven(p, f);
        says(f, "p1d1by hub p2d2v p3d3v", "SELECT group_concat(pupil || day || rtrim(v, ' 01'), ' ') FROM mark");
        assert_int_equal(harvested(p, f, 0).obstacles, 0);
    }
    program(f, "ALTER TABLE mark ADD COLUMN remark TEXT"); /* made otherwise, with the same key */
    edit(p, f, "UPDATE mark SET v = 'again'");
    assert_int_equal(harvested(p, f, 0).obstacles, 0);
    pair_sync(p, f);
    says(p->hub, "again", "SELECT group_concat(DISTINCT v) FROM mark");
}

/* SELECT RAISE(IGNORE) keeps the row and ends the triggers that are older, ours among them. */
static void what_a_programs_newer_trigger_kept_from_capture_is_found(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);

    program(f, "CREATE TRIGGER quiet AFTER UPDATE ON learner BEGIN SELECT RAISE(IGNORE); END;"
               "UPDATE learner SET call_name = 'unseen' WHERE id = '" LEARNER "2'");
    says(f, "0", "SELECT count(*) FROM perche_capture");
    (void)harvested(p, f, 1000);
    program(f, "UPDATE learner SET call_name = 'seen' WHERE id = '" LEARNER "3'");
    says(f, "1", "SELECT count(*) FROM perche_capture WHERE k1 = '" LEARNER "3'");
    proven(p, f);
    says(p->hub, "name 1 unseen seen", "SELECT group_concat(call_name, ' ') FROM (SELECT call_name FROM learner ORDER BY id)");
}

/* A bare word is a string to SQLite, and what comes behind a comment is none of it. */
static void a_default_that_is_no_expression_stops_neither_harvest_nor_comparison(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    struct outcome o;
    char create[1800];

    (void)snprintf(create, sizeof create, "CREATE TABLE visit (id TEXT NOT NULL PRIMARY KEY, status TEXT DEFAULT planned, n INTEGER NOT NULL DEFAULT (5 -- five\n), m DEFAULT '%01200d')", 7);
    program(p->hub, create);
    free(pair_replicate(p, "{\"table\": \"visit\", \"scope\": \"all\"}")); /* the hub's to write: a site's insert is compared with the defaults */
    pair_prove(p, f);
    edit(p, p->hub, "INSERT INTO visit (id) VALUES ('a')");
    pair_sync(p, f);
    edit(p, f, "INSERT INTO visit (id) VALUES ('" LEARNER "b')");
    says(f, "1", "SELECT count(*) FROM visit WHERE id = '" LEARNER "b' AND status = 'planned'");
    assert_int_equal(cell_at(f, "visit", LEARNER "b", "status").stamp, 0); /* no cell of it */
    pair_sync(p, f);
    program(f, BYPASS("UPDATE visit SET status = 'unseen'"));
    (void)verify(p, f, &o);
    assert_int_equal(o.found, 1);
    edit(p, p->hub, "ALTER TABLE visit ADD COLUMN o TEXT DEFAULT none; ALTER TABLE visit ADD COLUMN q DEFAULT (6 -- six\n); ALTER TABLE visit ADD COLUMN z DEFAULT \"it is\"");
    free(pair_replicate(p, "{\"table\": \"visit\", \"scope\": \"all\"}"));
    pair_prove(p, f);
    program(f, "BEGIN; DROP TRIGGER perche_visit_update; DROP TRIGGER perche_visit_delete; ALTER TABLE visit DROP COLUMN z;"
               "ALTER TABLE visit ADD COLUMN z TEXT DEFAULT \"it is\"; COMMIT"); /* is it empty in every row? */
    pair_sync(p, f);
    says(f, "a,none,6,it is", "SELECT group_concat(id || ',' || o || ',' || q || ',' || z) FROM visit WHERE id = 'a'");
    says(p->hub, "none,6,it is", "SELECT group_concat(o || ',' || q || ',' || z) FROM visit WHERE id = 'a'");
}

static void rebuilt(struct fixture *f, const char *table, const char *from, const char *to, const char *columns)
{
    char *sql = sqlite3_mprintf("SELECT printf('PRAGMA legacy_alter_table = ON; BEGIN; ALTER TABLE %%w RENAME TO old; %%s; INSERT INTO %%w (%%s) SELECT %%s FROM old; DROP TABLE old; COMMIT',"
                                " name, replace(sql, %Q, %Q), name, %Q, %Q) FROM sqlite_schema WHERE name = %Q", from, to, columns, columns, table);
    char *text;

    text = strdup(asked(f->program, sql));
    sqlite3_free(sql);
    assert_non_null(strstr(text, to));
    program(f, text);
    free(text);
}

/* A program has made the table anew with one of its columns computed from another. */
static void a_column_that_is_generated_now_waits_and_all_else_goes_on(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    edit(p, f, "INSERT INTO project (id, site_id, title, kind, client_name) VALUES ('" LEARNER "1', " SELF ", 'one', 'CLIENT', 'before')");
    pair_sync(p, f);
    rebuilt(f, "project", "client_name TEXT", "client_name TEXT AS (upper(title))", "id, site_id, title, kind");
    (void)harvested(p, f, 1000);
    edit(p, p->hub, "INSERT INTO project (id, site_id, title, kind, client_name) VALUES ('" LEARNER "2', '%s', 'two', 'CLIENT', 'later')", SITE_ID(p, 0));
    edit(p, p->hub, "UPDATE project SET title = 'changed' WHERE id = '" LEARNER "1'");
    edit(p, p->hub, "INSERT INTO organisation (id, name) VALUES ('" LEARNER "3', 'beside')");
    edit(p, f, "UPDATE project SET kind = 'OWN' WHERE id = '" LEARNER "1'");
    pair_sync(p, f);
    says(f, "1", "SELECT count(*) FROM organisation WHERE name = 'beside'");
    says(f, "changed OWN CHANGED", "SELECT group_concat(title || ' ' || kind || ' ' || client_name) FROM (SELECT * FROM project ORDER BY id)");
    says(p->hub, "changed OWN before,two CLIENT later", "SELECT group_concat(title || ' ' || kind || ' ' || client_name) FROM (SELECT * FROM project ORDER BY id)");
    rebuilt(f, "project", "client_name TEXT AS (upper(title))", "client_name TEXT", "id, site_id, title, kind");
    for (int i = 0; i < 3; i++)
        (void)harvested(p, f, 1000);
    pair_sync(p, f);
    says(f, "later", "SELECT client_name FROM project WHERE id = '" LEARNER "2'");
    assert_int_equal(state_of(p, f).parked, 0);
}

/* A program has made the table anew with a constraint of its own: what it keeps out waits, and no other row goes for it. */
static void a_constraint_that_replaces_deletes_nobodys_row(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 2; i++) {
        struct fixture *a = p->sites[0], *from = i == 0 ? p->hub : a, *f = i == 0 ? a : p->hub;
        const char *all = "SELECT group_concat(title) FROM (SELECT * FROM project ORDER BY id)";

        program(from, "DELETE FROM project");
        pair_sync(p, a);
        edit(p, from, "INSERT INTO project (id, site_id, title, kind) SELECT '" LEARNER "' || value, '%s', 'title ' || value, 'CLIENT' FROM json_each('[1, 2, 3]')", SITE_ID(p, 0));
        pair_sync(p, a);
        says(f, "title 1,title 2,title 3", "%s", all); /* statements of the table as it was */
        rebuilt(f, "project", "title TEXT NOT NULL", "title TEXT NOT NULL UNIQUE ON CONFLICT REPLACE", "id, site_id, title, kind");
        edit(p, from, "INSERT INTO project (id, site_id, title, kind) VALUES ('" LEARNER "9', '%s', 'title 1', 'CLIENT')", SITE_ID(p, 0));
        edit(p, from, "UPDATE project SET title = 'title 2' WHERE id = '" LEARNER "3'");
        pair_sync(p, a);
        says(f, "title 1,title 2,title 3", "%s", all);
        says(f, "constraint", "SELECT group_concat(DISTINCT reason) FROM perche_parked");
        verified(p, f, 0, 0);
        pair_sync(p, a);
        says(from, "title 1,title 2,title 2,title 1", "%s", all);
        rebuilt(f, "project", "title TEXT NOT NULL UNIQUE ON CONFLICT REPLACE", "title TEXT NOT NULL", "id, site_id, title, kind");
        harvest_here(p, f);
        pair_sync(p, a);
        says(f, "title 1,title 2,title 2,title 1", "%s", all);
        assert_int_equal(state_of(p, f).parked, 0);
    }
}

/* More rows than a chunk compares: none of them is a place to go on from. */
static void rows_without_a_whole_key_are_listed_and_passed_over(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    program(p->hub, "CREATE TABLE mark (pupil TEXT NOT NULL, day TEXT NOT NULL, site_id TEXT, v TEXT, PRIMARY KEY (pupil, day))");
    free(pair_replicate(p, "{\"table\": \"mark\", \"scope\": \"site_id\"}"));
    pair_prove(p, f);
    edit(p, f, "INSERT INTO mark SELECT 'p', 'd' || value, site_id, 'v' FROM perche_self, json_each('[1, 2, 3]')");
    pair_sync(p, f);
    rebuilt(f, "mark", "pupil TEXT NOT NULL, day TEXT NOT NULL", "pupil TEXT, day TEXT", "pupil, day, site_id, v");
    harvest_here(p, f);
    program(f, BYPASS("WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 2000) INSERT INTO mark (pupil, v) SELECT iif(i % 2, 'p', NULL), i FROM i;"
                      "UPDATE mark SET v = 'past the triggers' WHERE day = 'd2'"));
    verified(p, f, 1, 0);
    pair_sync(p, f);
    says(p->hub, "v,past the triggers,v", "SELECT group_concat(v) FROM (SELECT v FROM mark ORDER BY day)");
    says(f, "/p", "SELECT group_concat(key, '/') FROM (SELECT * FROM perche_refused WHERE tab = 'mark' AND reason = 'key' AND image GLOB 'a key with NULL (*' ORDER BY key)");
    assert_int_equal(state_of(p, f).kept_here, 2);
    program(f, "DELETE FROM mark WHERE pupil IS NULL");
    harvest_here(p, f);
    assert_int_equal(state_of(p, f).kept_here, 1);
    program(f, BYPASS("DELETE FROM mark WHERE day IS NULL")); /* or the table is made anew without them */
    verified(p, f, 0, 0);
    says(f, "0", "SELECT count(*) FROM perche_refused");
    assert_int_equal(state_of(p, f).kept_here, 0);
    verified(p, f, 0, 0);
}

static void a_column_that_was_away_for_a_while_comes_back_as_it_was(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);

    rebuilt(f, "learner", " ine TEXT,", "", "id, home_site_id, call_name");
    harvest_here(p, f);
    edit(p, f, "UPDATE learner SET call_name = 'meanwhile' WHERE id = '" LEARNER "2'");
    edit(p, p->hub, "UPDATE learner SET ine = 'by the hub' WHERE id = '" LEARNER "3'");
    pair_sync(p, f);
    says(p->hub, "ine 1,ine 2,by the hub,ine 4,ine 5", "SELECT group_concat(ine) FROM (SELECT ine FROM learner ORDER BY id)");
    program(f, "ALTER TABLE learner ADD COLUMN ine TEXT");
    program(f, "UPDATE learner SET ine = 'written' WHERE id = '" LEARNER "4'");
    harvest_here(p, f);
    pair_sync(p, f);
    says(p->hub, "ine 1,ine 2,by the hub,written,ine 5", "SELECT group_concat(ine) FROM (SELECT ine FROM learner ORDER BY id)");
    proven(p, f);
    says(p->hub, "ine 1,ine 2,by the hub,written,ine 5", "SELECT group_concat(ine) FROM (SELECT ine FROM learner ORDER BY id)");
    says(f, "ine 1,ine 2,by the hub,written,ine 5", "SELECT group_concat(ine) FROM (SELECT ine FROM learner ORDER BY id)");
}

/* It has its values: what is NULL in it was made so. */
static void a_column_that_had_another_name_for_a_while_is_as_it_is(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);

    program(f, "ALTER TABLE learner RENAME COLUMN ine TO ine_before");
    harvest_here(p, f);
    program(f, "UPDATE learner SET ine_before = NULL WHERE id = '" LEARNER "2'");
    program(f, "UPDATE learner SET ine_before = 'edited' WHERE id = '" LEARNER "4'");
    harvest_here(p, f);
    program(f, "ALTER TABLE learner RENAME COLUMN ine_before TO ine");
    harvest_here(p, f);
    proven(p, f);
    says(p->hub, "ine 1,-,ine 3,edited,ine 5", "SELECT group_concat(ifnull(ine, '-')) FROM (SELECT ine FROM learner ORDER BY id)");
}

static void at_a_hub_it_empties_nobodys(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);
    const char *all = "SELECT group_concat(call_name || ' ' || ifnull(ine, '-')) FROM (SELECT * FROM learner ORDER BY id)";
    uint32_t level;
    uint64_t repaired;

    rebuilt(p->hub, "learner", " ine TEXT,", "", "id, home_site_id, call_name");
    harvest_here(p, p->hub);
    pair_sync(p, f);
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_EQUAL);
    edit(p, p->hub, "UPDATE learner SET call_name = 'by the hub' WHERE id = '" LEARNER "1'");
    edit(p, f, "UPDATE learner SET call_name = 'by the site' WHERE id = '" LEARNER "4'");
    pair_sync(p, f);
    assert_int_equal(pair_compare(p, f, &level, &repaired), PERCHE_EQUAL);
    edit(p, p->hub, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" LEARNER "6', '%s', 'new')", SITE_ID(p, 0));
    edit(p, f, "UPDATE learner SET ine = 'edited' WHERE id = '" LEARNER "2'");
    pair_sync(p, f);
    says(f, "by the hub ine 1,name 2 edited,name 3 ine 3,by the site ine 4,name 5 ine 5,new -", "%s", all);
    program(p->hub, "ALTER TABLE learner ADD COLUMN ine TEXT");
    harvest_here(p, p->hub);
    proven(p, f);
    says(f, "by the hub ine 1,name 2 edited,name 3 ine 3,by the site ine 4,name 5 ine 5,new -", "%s", all);
}

static void a_row_is_brought_back_where_all_its_columns_are(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 1);
    char args[200];

    edit(p, f, "DELETE FROM learner");
    edit(p, p->hub, "UPDATE learner SET call_name = 'by the hub'");
    pair_sync(p, f);
    rebuilt(f, "learner", " ine TEXT,", "", "id, home_site_id, call_name");
    harvest_here(p, f);
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"b\"}", asked(f->program, "SELECT id FROM perche_conflict"));
    pair_refuses(p, f, WORK_COMMAND, "resolve", args, PERCHE_STATE);
    assert_non_null(strstr(f->err.text, "learner here has no column ine"));
    says(f, "open", "SELECT state FROM perche_conflict");
    program(f, "ALTER TABLE learner ADD COLUMN ine TEXT");
    harvest_here(p, f);
    free(pair_command(p, f, "resolve", args));
    pair_sync(p, f);
    says(p->hub, "by the hub ine 1", "SELECT call_name || ' ' || ine FROM learner");
}

static void a_table_dropped_while_the_daemon_was_down_comes_back(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);

    fixture_close(f);
    program(f, "DROP TABLE learner");
    fixture_open(f);
    assert_int_equal(harvested(p, f, 0).tables_gone, 1);
    (void)harvested(p, f, 4000);
    harvest_here(p, f);
    says(f, "5", "SELECT count(*) FROM learner");
    proven(p, f);
}

/* Else the row would be put back with those that nobody deleted. */
static void what_was_deleted_before_its_table_went_stays_deleted(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);

    written(f, "DELETE FROM learner WHERE id = '" LEARNER "2'; UPDATE learner SET call_name = 'before' WHERE id = '" LEARNER "3'; ALTER TABLE learner RENAME TO other");
    (void)harvested(p, f, 0);
    program(f, "ALTER TABLE other RENAME TO learner");
    harvest_here(p, f);
    proven(p, f);
    says(f, "name 1,before,name 4,name 5", "SELECT group_concat(call_name) FROM (SELECT * FROM learner ORDER BY id)");
}

static void what_was_emptied_before_it_went_was_not_deleted(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 25);

    written(f, "CREATE TABLE kept AS SELECT * FROM learner; DELETE FROM learner; DROP TABLE learner");
    (void)harvested(p, f, 0);
    (void)harvested(p, f, 4000);
    harvest_here(p, f);
    pair_sync(p, f);
    says(p->hub, "25", "SELECT count(*) FROM learner");
    says(f, "25", "SELECT count(*) FROM learner");
}

static void what_came_for_a_dropped_table_waits_and_is_applied(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);

    program(f, "DROP TABLE learner");
    (void)harvested(p, f, 0);
    edit(p, p->hub, "UPDATE learner SET ine = 'meanwhile' WHERE id = '" LEARNER "2'");
    edit(p, p->hub, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('0198f3a0-0000-7000-8000-00000000cccc', '%s', 'late')", SITE_ID(p, 0));
    pair_pull(p, f);
    assert_int_equal(state_of(p, f).parked > 0, 1);
    p->now += 4000;
    harvest_here(p, f);
    says(f, "6", "SELECT count(*) FROM learner");
    proven(p, f);
    assert_int_equal(state_of(p, f).parked, 0);
}

/* A child that the old site wrote before it heard of the move is set aside at the hub; by the time it is taken, the site has heard. */
static void a_late_child_that_waits_for_its_table_is_taken(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 2);

    edit(p, p->hub, "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('" LEARNER "8', '" LEARNER "2', 'mail', 'b@b')");
    pair_sync(p, f);
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '" LEARNER "1'", SITE_ID(p, 1));
    program(p->hub, "DROP TABLE learner_contact");
    edit(p, f, "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('" LEARNER "9', '" LEARNER "1', 'mail', 'a@b')");
    pair_sync(p, f);
    pair_sync(p, f);
    says(f, "1", "SELECT count(*) FROM learner");
    p->now += 4000;
    harvest_here(p, p->hub);
    says(p->hub, "a@b b@b", "SELECT group_concat(value, ' ') FROM (SELECT value FROM learner_contact ORDER BY value)");
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
}

static void a_table_made_anew_and_empty_is_no_deletion(void **state)
{
    struct pair *p = *state;

    for (int n = 1; n <= 15; n += 14) { /* also one of a single row */
        struct fixture *f = learners(p, n);
        char *declared = strdup(asked(f->program, "SELECT sql FROM sqlite_schema WHERE name = 'learner'")), rows[16];

        (void)snprintf(rows, sizeof rows, "%d", n);
        written(f, "BEGIN; DROP TABLE learner; %s; COMMIT", declared);
        harvest_here(p, f);
        says(f, rows, "SELECT count(*) FROM learner");
        proven(p, f);
        says(p->hub, rows, "SELECT count(*) FROM learner");
        written(f, "DELETE FROM learner"); /* and what somebody deletes is deleted */
        proven(p, f);
        says(p->hub, "0", "SELECT count(*) FROM learner");
        free(declared);
    }
}

static void a_dropped_table_that_a_program_fills_in_part_gets_the_rest_back(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 9);
    char *declared = strdup(asked(f->program, "SELECT sql FROM sqlite_schema WHERE name = 'learner'"));

    written(f, "CREATE TABLE kept AS SELECT * FROM learner WHERE id <> '" LEARNER "4'; DROP TABLE learner");
    assert_int_equal(harvested(p, f, 0).tables_gone, 1);
    written(f, "%s; INSERT INTO learner SELECT * FROM kept", declared);
    free(declared);
    harvest_here(p, f);
    says(f, "9", "SELECT count(*) FROM learner");
    found_is(p, f, "restored", "1");
    proven(p, f);
    says(p->hub, "9", "SELECT count(*) FROM learner");
}

/* Writes another name into the block that learner 1 came with, as somebody does who can write the file. */
static void forge(struct fixture *f)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_buf buf = {0};
    sqlite3_stmt *s;
    bool forged = false;

    assert_int_equal(sqlite3_prepare_v2(f->program, "SELECT body, block FROM perche_history WHERE block ="
                                                    " (SELECT block FROM perche_row WHERE key = x'0198f3a0000070008000000000000001')", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_int_equal(perche_batch_decode((struct perche_bytes){sqlite3_column_blob(s, 0), (uint32_t)sqlite3_column_bytes(s, 0)}, b, NULL), PERCHE_OK);
    for (uint32_t i = 0; i < b->parts_count; i++)
        for (uint32_t k = 0; k < b->parts[i].cells_count; k++) {
            struct perche_value *v = &b->parts[i].cells[k].value;

            if (v->type == PERCHE_TEXT && v->n == 6 && memcmp(v->p, "name 1", 6) == 0) {
                v->p = (const uint8_t *)"forged";
                forged = true;
            }
        }
    assert_true(forged);
    assert_int_equal(perche_batch_encode(b, 1, &buf, NULL), PERCHE_OK);
    sqlite3_finalize(s);
    assert_int_equal(sqlite3_prepare_v2(f->program, "UPDATE perche_history SET body = ?1 WHERE block ="
                                                    " (SELECT block FROM perche_row WHERE key = x'0198f3a0000070008000000000000001')", -1, &s, NULL), SQLITE_OK);
    sqlite3_bind_blob(s, 1, buf.p, (int)buf.n, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(s), SQLITE_DONE);
    sqlite3_finalize(s);
    perche_buf_free(&buf);
    perche_batch_free(b);
}

static void a_forged_history_is_not_put_back(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);

    forge(f);
    program(f, "DROP TABLE learner");
    (void)harvested(p, f, 0);
    p->now += 4000;
    harvest_here(p, f);
    says(f, "0", "SELECT count(*) FROM learner WHERE call_name = 'forged'");
    found_is(p, f, "restored", "4");
    found_is(p, f, "lost", "1");
}

static void most_rows_missing_are_put_back_and_a_few_are_deletions(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 100);

    program(f, BYPASS("DELETE FROM learner WHERE id > '0198f3a0-0000-7000-8000-000000000079'"));
    verified(p, f, 0, 21);
    says(f, "100", "SELECT count(*) FROM learner");
    program(f, BYPASS("DELETE FROM learner WHERE id > '0198f3a0-0000-7000-8000-000000000080'"));
    verified(p, f, 20, 0);
    proven(p, f);
    says(p->hub, "80", "SELECT count(*) FROM learner");
}

static void a_rebuild_that_loses_a_column_empties_nobody_elses(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);
    char *declared = strdup(asked(f->program, "SELECT replace(sql, '  ine TEXT, ', '') FROM sqlite_schema WHERE name = 'learner'"));

    assert_null(strstr(declared, " ine TEXT"));
    written(f, "BEGIN; CREATE TABLE kept AS SELECT * FROM learner; DROP TABLE learner; %s;"
               " INSERT INTO learner (id, home_site_id, call_name) SELECT id, home_site_id, call_name || '!' FROM kept; COMMIT", declared);
    free(declared);
    harvest_here(p, f);
    pair_sync(p, f);
    says(p->hub, "5", "SELECT count(*) FROM learner WHERE call_name LIKE 'name _!'");
    says(p->hub, "5", "SELECT count(*) FROM learner WHERE ine LIKE 'ine _'");
}

static void a_row_that_the_history_does_not_know_comes_from_the_hub(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 5);

    program(f, "DELETE FROM perche_history");
    program(f, "DROP TABLE learner");
    (void)harvested(p, f, 0);
    p->now += 4000;
    harvest_here(p, f);
    found_is(p, f, "lost", "5");
    for (int i = 0; i < 3; i++) {
        struct outcome o = pull_heard(p, f, pull_made(p, f, 1 << 20));

        if (o.message.op == PERCHE_OP_ROWS)
            (void)rows_fetched(p, f, pair_line(&o), 10);
        else
            outcome_free(&o);
    }
    says(f, "5", "SELECT count(*) FROM learner WHERE ine LIKE 'ine _'");
    proven(p, f);
}

/* ---- triggers of programs ------------------------------------------------------ */

static void count_trigger(void *ctx, const char *code, const char *table, const char *text)
{
    *(int *)ctx += strcmp(code, "trigger") == 0 && strcmp(table, "project") == 0 && strstr(text, "perche verify") != NULL;
}

static void what_a_programs_trigger_wrote_during_an_apply_is_told_of_and_found(void **state)
{
    struct pair *p = *state;
    struct fixture *f = learners(p, 3);
    int told = 0;

    program(f, "CREATE TRIGGER follow AFTER UPDATE OF call_name ON learner BEGIN INSERT INTO project (id, site_id, title, kind)"
               " SELECT 'followed', site_id, NEW.call_name, 'REAL_CLIENT' FROM perche_self; END");
    edit(p, p->hub, "UPDATE learner SET call_name = 'by the hub' WHERE id = '" LEARNER "1'");
    pair_sync(p, f);
    says(f, "by the hub", "SELECT title FROM project WHERE id = 'followed'");
    registry_warnings(f->r, count_trigger, &told);
    assert_int_equal(told, 1);
    says(p->hub, "0", "SELECT count(*) FROM project");
    verified(p, f, 1, 0);
    pair_sync(p, f);
    says(p->hub, "by the hub", "SELECT title FROM project WHERE id = 'followed'");
    verified(p, f, 0, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(an_edit_past_the_triggers_becomes_an_edit_of_that_column_alone),
        T(a_shifted_stamp_hides_no_value_of_the_history),
        T(a_column_that_was_never_written_is_looked_at_as_well),
        T(a_row_removed_past_the_triggers_is_sent_as_it_was_written),
        T(a_row_removed_past_the_triggers_that_the_history_does_not_know_is_not_sent),
        T(rows_added_and_removed_past_the_triggers_are_inserts_and_deletes),
        T(the_victim_of_a_replace_is_found),
        T(what_is_as_it_was_is_left_alone),
        T(a_large_table_is_compared_in_chunks),
        T(an_ordinary_edit_of_the_row_does_not_cover_the_unseen_one),
        T(an_ordinary_edit_of_a_row_brings_the_unseen_one_to_light),
        T(what_ordinary_edits_of_many_rows_cover_is_found_by_the_comparison),
        T(a_change_from_the_hub_does_not_cover_the_unseen_one),
        T(what_was_written_unseen_is_sent_before_its_row_leaves),
        T(so_is_what_was_written_after_the_mark_was_heard),
        T(an_edit_of_a_row_that_was_taken_away_unseen_puts_it_back),
        T(so_does_one_of_the_hubs_and_it_is_told),
        T(of_a_row_that_is_gone_unseen_the_stamped_values_are_sent),
        T(nothing_is_comparable_before_it_is_compared),
        T(a_dropped_table_comes_back_with_its_rows_and_indexes),
        T(rows_that_come_back_are_of_the_sites_that_their_parents_have_now),
        T(what_was_not_sent_from_a_dropped_table_is_not_passed_over),
        T(a_dropped_table_whose_scope_hangs_on_its_key_comes_back),
        T(what_a_programs_newer_trigger_kept_from_capture_is_found),
        T(a_default_that_is_no_expression_stops_neither_harvest_nor_comparison),
        T(a_column_that_is_generated_now_waits_and_all_else_goes_on),
        T(a_table_dropped_while_the_daemon_was_down_comes_back),
        T(a_table_made_anew_with_another_key_waits_until_it_is_renamed),
        T(a_table_made_anew_with_its_keys_columns_in_another_order_waits_until_it_is_renamed),
        T(what_was_deleted_before_its_table_went_stays_deleted),
        T(what_was_emptied_before_it_went_was_not_deleted),
        T(what_came_for_a_dropped_table_waits_and_is_applied),
        T(a_late_child_that_waits_for_its_table_is_taken),
        T(a_table_made_anew_and_empty_is_no_deletion),
        T(a_dropped_table_that_a_program_fills_in_part_gets_the_rest_back),
        T(a_forged_history_is_not_put_back),
        T(most_rows_missing_are_put_back_and_a_few_are_deletions),
        T(a_rebuild_that_loses_a_column_empties_nobody_elses),
        T(a_constraint_that_replaces_deletes_nobodys_row),
        T(rows_without_a_whole_key_are_listed_and_passed_over),
        T(a_column_that_was_away_for_a_while_comes_back_as_it_was),
        T(a_column_that_had_another_name_for_a_while_is_as_it_is),
        T(at_a_hub_it_empties_nobodys),
        T(a_row_is_brought_back_where_all_its_columns_are),
        T(a_row_that_the_history_does_not_know_comes_from_the_hub),
        T(what_a_programs_trigger_wrote_during_an_apply_is_told_of_and_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
