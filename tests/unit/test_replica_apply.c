/* A batch becomes rows of the file: TRAPS 2 row by row, and MODEL A 23 to 25. */
#include "replica_steps.h"

#include <limits.h>

/* ---- values and keys ---- */

static void a_column_that_only_this_node_has_survives_what_is_applied(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    program(a, "ALTER TABLE learner ADD COLUMN shelf TEXT");
    program(a, "UPDATE learner SET shelf = 'B3'");
    edit(p, p->hub, "UPDATE learner SET call_name = 'x'");
    equal(p, a);
    says(a, "x B3", "SELECT call_name || ' ' || shelf FROM learner");
    enrolment(p, p->hub, ID(2), ID(1), ID(3), SITE_ID(p, 1)); /* whole */
    equal(p, a);
    says(a, "x B3", "SELECT call_name || ' ' || shelf FROM learner");
}

static void two_values_that_should_be_unique_can_be_swapped(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    edit(p, p->hub, "UPDATE learner SET ine = substr(id, -1)");
    equal(p, a);
    edit(p, p->hub, "UPDATE learner SET ine = CASE ine WHEN '1' THEN '2' ELSE '1' END");
    equal(p, a);
    says(a, "21", "SELECT group_concat(ine, '') FROM (SELECT ine FROM learner ORDER BY id)");
    edit(p, a, "UPDATE learner SET ine = CASE ine WHEN '1' THEN '2' ELSE '1' END");
    equal(p, a);
    says(p->hub, "12", "SELECT group_concat(ine, '') FROM (SELECT ine FROM learner ORDER BY id)");
}

static void a_unique_index_of_this_file_sets_aside_one_row_and_nothing_else(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    edit(p, p->hub, "UPDATE learner SET ine = substr(id, -1)");
    equal(p, a);
    program(a, "CREATE UNIQUE INDEX own ON learner (ine)");
    edit(p, p->hub, "UPDATE learner SET ine = '2', call_name = 'one' WHERE id = '" ID(1) "'");
    edit(p, p->hub, "UPDATE learner SET call_name = 'two' WHERE id = '" ID(2) "'");
    pair_sync(p, a);
    says(a, "constraint", "SELECT reason FROM perche_parked");
    says(a, "1:Camille 2:two", "SELECT group_concat(ine || ':' || call_name, ' ') FROM (SELECT * FROM learner ORDER BY id)");
    program(a, "DROP INDEX own");
    pair_prove(p, a);
    says(a, "0", "SELECT count(*) FROM perche_parked");
    says(a, "2:one 2:two", "SELECT group_concat(ine || ':' || call_name, ' ') FROM (SELECT * FROM learner ORDER BY id)");
    equal(p, a);
}

static void a_row_that_starts_anew_and_does_not_fit_leaves_the_old_one(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    edit(p, p->hub, "UPDATE learner SET ine = substr(id, -1)");
    equal(p, a);
    program(a, "CREATE UNIQUE INDEX own ON learner (ine)");
    edit(p, p->hub, "CREATE TEMP TABLE keep AS SELECT * FROM learner WHERE id = '" ID(1) "'; DELETE FROM learner WHERE id = '" ID(1) "';"
                    "UPDATE keep SET ine = '2'; INSERT INTO learner SELECT * FROM keep");
    pair_sync(p, a);
    says(a, "constraint", "SELECT reason FROM perche_parked");
    says(a, "2", "SELECT count(*) FROM learner"); /* as its metadata says */
    assert_int_equal(header_at(a, "learner", ID(1)).gen, 1);
    program(a, "DROP INDEX own");
    pair_prove(p, a);
    equal(p, a);
    says(a, "2", "SELECT ine FROM learner WHERE id = '" ID(1) "'");
}

static void a_row_that_comes_without_what_may_not_be_empty_is_set_aside(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 2; i++) {
        struct perche_batch *b = perche_batch_new();
        struct hand husk = {.table = "cohort", .uuid = ID(1), .gen = 1, .flags = PERCHE_ROW_GEN | (i == 0 ? PERCHE_ROW_WHOLE : 0), .stamp = p->now << 16,
                            .origin = SITE_ID(p, 0), .scope = SITE_ID(p, 0), .cells = {{"site_id", text_of(SITE_ID(p, 0))}, {"code", text_of("P1")}}};
        struct hand fine = {.table = "learner", .uuid = ID(2), .gen = 1, .flags = husk.flags, .stamp = p->now << 16,
                            .origin = SITE_ID(p, 0), .scope = SITE_ID(p, 0), .cells = {{"home_site_id", text_of(SITE_ID(p, 0))}}};
        struct fixture *f = i == 0 ? p->sites[0] : p->hub;

        hand_in(b, &husk);
        hand_in(b, &fine);
        if (i == 0) {
            struct outcome o = pull_by_hand(p, f, b);

            outcome_free(&o);
        } else {
            assert_int_equal(push_by_hand(p, p->sites[0], b), PERCHE_NO_NONE);
        }
        says(f, "husk", "SELECT reason FROM perche_parked");
        says(f, "0", "SELECT count(*) FROM cohort");
        says(f, "1", "SELECT count(*) FROM learner");
        assert_false(header_at(f, "cohort", ID(1)).stored);
    }
}

static void a_key_that_is_none_of_its_table_is_set_aside_and_all_else_goes_on(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 2; i++) {
        struct perche_batch *b = perche_batch_new();
        struct fixture *f = i == 0 ? p->sites[0] : p->hub;
        struct perche_value two[2] = {text_of("a"), text_of("b")}, number = {.type = PERCHE_INTEGER, .i = 7};
        uint8_t keys[2][PERCHE_KEY_BYTES_MAX];
        uint32_t n[2];
        struct hand row = {.table = "learner", .uuid = ID(1), .gen = 1, .flags = PERCHE_ROW_GEN, .stamp = p->now << 16,
                           .origin = SITE_ID(p, 0), .scope = SITE_ID(p, 0), .cells = {{"home_site_id", text_of(SITE_ID(p, 0))}}};

        for (int k = 0; k < 3; k++)
            hand_in(b, &row);
        assert_int_equal(perche_key_encode(two, 2, keys[0], &n[0]), PERCHE_OK);     /* two columns, the table has one */
        assert_int_equal(perche_key_encode(&number, 1, keys[1], &n[1]), PERCHE_OK); /* SQLite would make a text of it */
        for (int k = 0; k < 2; k++)
            b->parts[0].rows[k].key = (struct perche_bytes){keys[k], n[k]};
        if (i == 0) {
            struct outcome o = pull_by_hand(p, f, b);

            outcome_free(&o);
        } else {
            assert_int_equal(push_by_hand(p, p->sites[0], b), PERCHE_NO_NONE);
        }
        says(f, "key key", "SELECT group_concat(reason, ' ') FROM perche_parked");
        says(f, "1", "SELECT count(*) FROM learner");
    }
}

static void a_delete_and_an_edit_that_do_not_know_each_other_leave_no_husk(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    for (int hub_deletes = 0; hub_deletes < 2; hub_deletes++) {
        const char *id = hub_deletes ? ID(1) : ID(2);
        char expected[32];

        learner(p, a, id, SITE_ID(p, 0));
        equal(p, a);
        edit(p, hub_deletes ? p->hub : a, "DELETE FROM learner");
        edit(p, hub_deletes ? a : p->hub, "UPDATE learner SET birth_family_name = 'edit %d'", hub_deletes);
        equal(p, a);
        snprintf(expected, sizeof expected, "open edit %d", hub_deletes);
        for (int i = 0; i < 2; i++) {
            struct fixture *f = i == 0 ? a : p->hub;

            says(f, "0", "SELECT count(*) FROM learner");
            says(f, expected, "SELECT state || ' ' || coalesce(a_value, b_value) FROM perche_conflict WHERE kind = 'deleted' AND key LIKE '%%%s%%'", id);
        }
    }
    learner(p, a, ID(1), SITE_ID(p, 0)); /* the same key once more starts anew */
    edit(p, a, "UPDATE learner SET birth_family_name = NULL");
    equal(p, a);
    says(p->hub, "1", "SELECT birth_family_name IS NULL FROM learner");
    assert_int_equal(header_at(p->hub, "learner", ID(1)).gen, 3);
}

static void transfer_row(struct pair *p)
{
    edit(p, p->hub, "INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
                    " VALUES ('" ID(1) "', '" ID(2) "', '" ID(3) "', '%s', '%s', '" ID(4) "', 'first', '2026-03-01', 'DRAFT')", SITE_ID(p, 0), SITE_ID(p, 1));
    equal(p, p->sites[0]);
    equal(p, p->sites[1]);
}

static void equal_values_from_two_sites_end_as_one_and_ask_nothing(void **state)
{
    struct pair *p = *state;

    transfer_row(p);
    p->now += 1000;
    for (int i = 0; i < 2; i++) { /* at one and the same moment */
        written(p->sites[i], "UPDATE transfer SET asked_on = 'same'");
        written(p->sites[i], "UPDATE perche_capture SET at = %llu", (unsigned long long)p->now);
        harvest_here(p, p->sites[i]);
    }
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    for (int i = 0; i < 2; i++) {
        says(p->sites[i], "same", "SELECT asked_on FROM transfer");
        says(p->sites[i], "0", "SELECT count(*) FROM perche_conflict");
        equal(p, p->sites[i]);
    }
}

static void three_replicas_end_the_same_whatever_the_order(void **state)
{
    struct pair *p = *state;
    int round = 0;
    char seen[8192] = "";

    transfer_row(p);
    for (int order = 0; order < 24; order++) {
        int steps[4] = {0, 1, 2, 3}, n = order;
        char winner[32], all[3][8192];

        for (int i = 3; i > 0; i--) { /* the order's permutation */
            int k = n % (i + 1), swap = steps[i];

            n /= i + 1;
            steps[i] = steps[k];
            steps[k] = swap;
        }
        round++;
        edit(p, p->sites[order % 2], "UPDATE transfer SET asked_on = 'site %d', to_cohort_id = 'site %d'", round, round);
        edit(p, order % 3 ? p->hub : p->sites[1 - order % 2], "UPDATE transfer SET asked_on = 'middle %d', effective_on = 'middle %d'", round, round);
        snprintf(winner, sizeof winner, "last %d", round);
        edit(p, order % 3 ? p->sites[1 - order % 2] : p->hub, "UPDATE transfer SET asked_on = '%s'", winner);
        p->now += 1000;
        for (int i = 0; i < 4; i++) {
            if (steps[i] < 2)
                pair_push(p, p->sites[steps[i]]);
            else
                pair_pull(p, p->sites[steps[i] - 2]);
        }
        for (int i = 0; i < 4; i++)
            pair_sync(p, p->sites[i % 2]);
        for (int i = 0; i < 3; i++) {
            struct fixture *f = i < 2 ? p->sites[i] : p->hub;

            says(f, winner, "SELECT asked_on FROM transfer");
            strcpy(all[i], asked(f->program, "SELECT group_concat(substr(id, 1, 8) || state || a_value || b_value) FROM (SELECT * FROM perche_conflict ORDER BY id)"));
        }
        assert_string_equal(all[0], all[2]);
        assert_string_equal(all[1], all[2]);
        assert_string_not_equal(all[2], seen); /* each round has its questions */
        strcpy(seen, all[2]);
        equal(p, p->sites[0]);
        equal(p, p->sites[1]);
    }
}

static void parents_are_applied_before_their_children_whatever_the_order_of_the_parts(void **state)
{
    struct pair *p = *state;
    struct perche_batch *b = perche_batch_new();
    struct hand child = {.table = "learner_contact", .uuid = ID(2), .gen = 1, .flags = PERCHE_ROW_GEN, .stamp = p->now << 16, .origin = SITE_ID(p, 0),
                         .scope = SITE_ID(p, 0), .cells = {{"learner_id", text_of(ID(1))}, {"kind", text_of("MAIL")}}};
    struct hand parent = {.table = "learner", .uuid = ID(1), .gen = 1, .flags = PERCHE_ROW_GEN, .stamp = p->now << 16, .origin = SITE_ID(p, 0),
                          .scope = SITE_ID(p, 0), .cells = {{"home_site_id", text_of(SITE_ID(p, 0))}}};

    hand_in(b, &child);
    hand_in(b, &parent);
    assert_int_equal(push_by_hand(p, p->sites[0], b), PERCHE_NO_NONE);
    assert_true(header_at(p->hub, "learner", ID(1)).lsn < header_at(p->hub, "learner_contact", ID(2)).lsn);
    assert_true(header_at(p->hub, "learner_contact", ID(2)).flags & META_AGREED);
}

static void a_check_that_a_table_declares_stops_nothing(void **state)
{
    struct pair *p = *state;
    struct perche_batch *b = perche_batch_new();
    struct hand h = {.table = "learner", .uuid = ID(1), .gen = 1, .flags = PERCHE_ROW_GEN | PERCHE_ROW_WHOLE, .stamp = p->now << 16, .origin = HUB_ID(p),
                     .scope = SITE_ID(p, 0), .cells = {{"home_site_id", text_of(SITE_ID(p, 0))}, {"nir_seen", number_of(7)}}};
    struct outcome o;

    hand_in(b, &h);
    o = pull_by_hand(p, p->sites[0], b);
    outcome_free(&o);
    says(p->sites[0], "7", "SELECT nir_seen FROM learner");
    says(p->sites[0], "0", "SELECT count(*) FROM perche_parked");
}

/* ---- triggers and capture ---- */

static void a_programs_own_trigger_fires_on_applied_rows_and_nothing_is_captured_again(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct state before, after;

    program(a, "CREATE VIRTUAL TABLE names USING fts5(id UNINDEXED, name);"
               "CREATE TRIGGER own_insert AFTER INSERT ON learner BEGIN INSERT INTO names VALUES (NEW.id, NEW.birth_family_name); END;"
               "CREATE TRIGGER own_update AFTER UPDATE ON learner BEGIN UPDATE names SET name = NEW.birth_family_name WHERE id = NEW.id; END;"
               "CREATE TRIGGER own_delete AFTER DELETE ON learner BEGIN DELETE FROM names WHERE id = OLD.id; END");
    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    equal(p, a);
    says(a, "2", "SELECT count(*) FROM names WHERE names MATCH 'martin'");
    before = state_of(p, a);
    edit(p, p->hub, "UPDATE learner SET birth_family_name = 'Durand' WHERE id = '" ID(1) "'");
    edit(p, p->hub, "DELETE FROM learner WHERE id = '" ID(2) "'");
    while (pull_once(p, a, 1 << 20))
        ;
    says(a, "1", "SELECT count(*) FROM names WHERE names MATCH 'durand'");
    says(a, "0", "SELECT count(*) FROM names WHERE names MATCH 'martin'");
    says(a, "0", "SELECT count(*) FROM perche_capture");
    says(a, "0", "SELECT applying FROM perche_flag");
    after = state_of(p, a);
    assert_true(after.pending == 0 && after.lsn == before.lsn + 2);
    edit(p, a, "UPDATE learner SET call_name = 'own'"); /* and a program is still captured */
    assert_int_equal(state_of(p, a).pending, 1);
    equal(p, a);
}

static void a_program_is_captured_after_batches_as_before(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM perche_capture");
    written(a, "UPDATE learner SET call_name = 'x'");
    says(a, "1", "SELECT count(*) FROM perche_capture");
    says(p->hub, "0", "SELECT count(*) FROM perche_capture");
    equal(p, a);
}

static void a_row_taken_out_past_the_triggers_blocks_nothing(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    for (int i = 1; i < 5; i++)
        edit(p, p->hub, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('0198f3a0-0000-7000-8000-00000000000%d', '%s', 'x')", i, SITE_ID(p, 0));
    equal(p, a);
    assert_int_equal(sqlite3_db_config(a->program, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), SQLITE_OK);
    program(a, "DELETE FROM learner WHERE id < '" ID(4) "'");
    assert_int_equal(sqlite3_db_config(a->program, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL), SQLITE_OK);
    edit(p, p->hub, "DELETE FROM learner WHERE id = '" ID(1) "'");
    edit(p, p->hub, "UPDATE learner SET call_name = 'y' WHERE id = '" ID(2) "'");
    edit(p, p->hub, "UPDATE learner SET home_site_id = '%s' WHERE id = '" ID(3) "'", SITE_ID(p, 1));
    edit(p, p->hub, "UPDATE learner SET call_name = 'z' WHERE id = '" ID(4) "'");
    pair_sync(p, a);
    says(a, "z", "SELECT call_name FROM learner WHERE id = '" ID(4) "'");
    says(a, "0", "SELECT count(*) FROM learner WHERE id IN ('" ID(1) "', '" ID(3) "')");
    assert_true(state_of(p, a).full == state_of(p, a).scan);
}

/* ---- parked ---- */

static void a_value_of_another_type_sets_aside_its_row_and_all_else_goes_on(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_batch *b = perche_batch_new();
    struct hand bad = {.table = "cohort", .uuid = ID(1), .gen = 1, .flags = PERCHE_ROW_GEN | PERCHE_ROW_WHOLE, .stamp = p->now << 16, .origin = HUB_ID(p),
                       .scope = SITE_ID(p, 0), .cells = {{"site_id", text_of(SITE_ID(p, 0))}, {"capacity", text_of("twelve")}}};
    struct hand table = {.table = "unheard_of", .uuid = ID(2), .gen = 1, .flags = bad.flags, .stamp = p->now << 16, .origin = HUB_ID(p), .scope = "*",
                         .cells = {{"x", number_of(1)}}};
    struct hand column = {.table = "learner", .uuid = ID(3), .gen = 1, .flags = bad.flags, .stamp = p->now << 16, .origin = HUB_ID(p),
                          .scope = SITE_ID(p, 0), .cells = {{"home_site_id", text_of(SITE_ID(p, 0))}, {"unheard_of", number_of(1)}}};
    struct hand fine = {.table = "learner_contact", .uuid = ID(4), .gen = 1, .flags = bad.flags, .stamp = p->now << 16, .origin = HUB_ID(p),
                        .scope = SITE_ID(p, 0), .cells = {{"learner_id", text_of(ID(3))}, {"kind", text_of("MAIL")}}};
    struct outcome o;

    hand_in(b, &bad);
    hand_in(b, &table);
    hand_in(b, &column);
    hand_in(b, &fine);
    o = pull_by_hand(p, a, b);
    assert_int_equal(o.rows, 1);
    assert_int_equal(o.state.parked, 3);
    outcome_free(&o);
    says(a, "cohort type,learner column,unheard_of table", "SELECT group_concat(tab || ' ' || reason) FROM (SELECT * FROM perche_parked ORDER BY tab)");
    says(a, "1", "SELECT count(*) FROM learner_contact");
    says(a, "0", "SELECT (SELECT count(*) FROM cohort) + (SELECT count(*) FROM learner)");
    fixture_close(a); /* and durably */
    fixture_open(a);
    assert_int_equal(state_of(p, a).parked, 3);
    pair_prove(p, a); /* tried again, set aside again */
    assert_int_equal(state_of(p, a).parked, 3);
}

static void a_site_that_pushes_another_type_is_refused_the_row(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_batch *b;
    struct parcel parcel;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    learner(p, a, ID(2), SITE_ID(p, 0));
    parcel = push_all(p, a);
    b = batch_of(parcel.message.u.push.batch);
    for (uint32_t i = 0; i < part_named(b, "cohort")->cells_count; i++)
        if (part_named(b, "cohort")->cells[i].value.type == PERCHE_INTEGER)
            part_named(b, "cohort")->cells[i].value = text_of("twelve");
    parcel.message.u.push.batch = batch_bytes(&parcel.message, b);
    push_told(p, a, &parcel, push_taken(p, a, &parcel));
    parcel_end(&parcel);
    says(p->hub, "0 1", "SELECT (SELECT count(*) FROM cohort) || ' ' || (SELECT count(*) FROM learner)");
    says(p->hub, "type", "SELECT reason FROM perche_refusal");
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
}

static void cells_that_waited_for_a_column_are_applied_when_it_is_there_and_are_no_edit(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct state before;

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    program(a, "DROP TRIGGER perche_cohort_insert; DROP TRIGGER perche_cohort_update; DROP TRIGGER perche_cohort_delete;"
               "ALTER TABLE cohort DROP COLUMN rhythm;"
               "CREATE TABLE seen (n INTEGER); CREATE TRIGGER own AFTER UPDATE ON cohort BEGIN INSERT INTO seen VALUES (1); END");
    edit(p, p->hub, "UPDATE cohort SET rhythm = 'weekly'");
    edit(p, p->hub, "UPDATE cohort SET code = 'P2'");
    pull_once(p, a, 1 << 20);
    assert_in_range(state_of(p, a).parked, 1, 1);
    edit(p, p->hub, "UPDATE cohort SET seq = 4");
    pull_once(p, a, 1 << 20);
    says(a, "4", "SELECT seq FROM cohort");
    before = state_of(p, a);
    program(a, "ALTER TABLE cohort ADD COLUMN rhythm TEXT");
    harvest_here(p, a); /* compares the table first */
    says(a, "weekly P2", "SELECT rhythm || ' ' || code FROM cohort");
    says(a, "0", "SELECT count(*) FROM perche_capture");
    assert_int_equal(state_of(p, a).parked, 0);
    assert_int_equal(state_of(p, a).pending, 0);
    assert_true(state_of(p, a).lsn > before.lsn);
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
}

static void cells_that_waited_at_the_hub_know_what_their_author_had_seen(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    for (int i = 0; i < 2; i++) {
        learner(p, p->hub, i == 0 ? ID(1) : ID(2), SITE_ID(p, 0));
        edit(p, p->hub, "UPDATE learner SET birth_date = '1999-01-01'");
    }
    equal(p, a); /* both dates are seen */
    program(p->hub, "DROP TRIGGER perche_learner_insert; DROP TRIGGER perche_learner_update; DROP TRIGGER perche_learner_delete; ALTER TABLE learner DROP COLUMN birth_country");
    edit(p, p->hub, "UPDATE learner SET birth_date = '1999-02-02' WHERE id = '" ID(2) "'"); /* this one is not */
    p->now += SECOND(1);
    edit(p, a, "UPDATE learner SET birth_date = '1999-03-03', birth_country = 'FR'");
    pair_push(p, a);
    says(p->hub, "2 column", "SELECT count(*) || ' ' || max(reason) FROM perche_parked");
    program(p->hub, "ALTER TABLE learner ADD COLUMN birth_country TEXT");
    harvest_here(p, p->hub);
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
    says(p->hub, "1999-03-03 FR,1999-03-03 FR", "SELECT group_concat(birth_date || ' ' || birth_country) FROM learner");
    says(p->hub, ID(2), "SELECT group_concat(json_extract(key, '$[0]')) FROM perche_conflict WHERE col = 'birth_date'");
    equal(p, a);
}

static void a_row_that_a_programs_trigger_forbids_at_the_hub_waits_until_it_is_gone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    program(p->hub, "CREATE TRIGGER no BEFORE INSERT ON learner WHEN NEW.call_name = 'Camille' BEGIN SELECT RAISE(ABORT, 'no'); END");
    learner(p, a, ID(1), SITE_ID(p, 0));
    pair_push(p, a);
    says(p->hub, "constraint", "SELECT reason FROM perche_parked");
    program(p->hub, "DROP TRIGGER no");
    harvest_here(p, p->hub);
    says(p->hub, "0", "SELECT count(*) FROM perche_parked");
    says(p->hub, "Camille", "SELECT call_name FROM learner");
    equal(p, a);
}

static int collate_any(void *ctx, int an, const void *a, int bn, const void *b)
{
    (void)ctx;
    return an != bn ? an - bn : memcmp(a, b, (size_t)an);
}

static void fold(sqlite3_context *ctx, int n, sqlite3_value **values)
{
    (void)n;
    sqlite3_result_value(ctx, values[0]);
}

/* What needs a collation, a function or a table that only its program has: the rows of that table wait, and no other. */
static void what_a_program_alone_can_run_sets_its_table_aside_and_nothing_else(void **state)
{
    static const struct { const char *ddl, *drop, *reason; } cases[] = {
        {"CREATE INDEX own ON project (title COLLATE french)", "DROP INDEX own", "index own: no such collation sequence: french"},
        {"CREATE INDEX own ON project (title) WHERE fold(title) = 'x'", "DROP INDEX own", "index own: unknown function: fold()"},
        {"CREATE TRIGGER own AFTER INSERT ON project BEGIN SELECT fold(NEW.title); END", "DROP TRIGGER own", "trigger own: no such function: fold"},
        {"CREATE TRIGGER own AFTER UPDATE OF title ON project BEGIN SELECT fold(NEW.title); END", "DROP TRIGGER own", "trigger own: no such function: fold"},
        {"CREATE TRIGGER own BEFORE DELETE ON project BEGIN SELECT fold(OLD.title); END", "DROP TRIGGER own", "trigger own: no such function: fold"},
        {"CREATE TRIGGER own AFTER INSERT ON project BEGIN INSERT INTO nowhere VALUES (NEW.title); END", "DROP TRIGGER own", "trigger own: no such table: main.nowhere"},
    };
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    assert_int_equal(sqlite3_create_collation(a->program, "french", SQLITE_UTF8, NULL, collate_any), SQLITE_OK);
    assert_int_equal(sqlite3_create_function(a->program, "fold", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, fold, NULL, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        program(p->hub, "DELETE FROM project; DELETE FROM learner");
        harvest_here(p, p->hub);
        equal(p, a);
        edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(1) "', '%s', 'SHED', 'old')", SITE_ID(p, 0));
        edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(2) "', '%s', 'SHED', 'goes')", SITE_ID(p, 0));
        equal(p, a);
        program(a, cases[i].ddl);
        edit(p, p->hub, "UPDATE project SET title = 'new' WHERE id = '" ID(1) "'");
        edit(p, p->hub, "DELETE FROM project WHERE id = '" ID(2) "'");
        edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(3) "', '%s', 'SHED', 'A shed')", SITE_ID(p, 0));
        learner(p, p->hub, ID(1), SITE_ID(p, 0));
        pair_sync(p, a);
        says(a, "1", "SELECT count(*) FROM learner");
        says(a, "project", "SELECT group_concat(DISTINCT tab) FROM perche_parked");
        says(a, cases[i].reason, "SELECT max(reason) FROM perche_parked");
        assert_int_equal(state_of(p, a).obstacles, 1);
        program(a, "UPDATE learner SET call_name = 'own'"); /* and what is written here goes out */
        harvest_here(p, a);
        pair_push(p, a);
        says(p->hub, "own", "SELECT call_name FROM learner");
        program(a, cases[i].drop);
        pair_prove(p, a);
        says(a, "new,A shed", "SELECT group_concat(title) FROM (SELECT title FROM project ORDER BY id)");
        assert_int_equal(state_of(p, a).parked, 0);
        assert_int_equal(state_of(p, a).obstacles, 0);
        equal(p, a);
    }
}

/* What a program's index or trigger cannot work with: an error of one row, and no other waits for it. */
static void a_value_that_a_programs_index_or_trigger_fails_on_sets_its_row_aside_and_nothing_else(void **state)
{
    static const struct { const char *ddl, *drop, *reason; } cases[] = {
        {"CREATE INDEX own ON project (json_extract(client_name, '$.a'))", "DROP INDEX own", "index own"},
        {"CREATE INDEX own ON project (title) WHERE json_extract(client_name, '$.a') = 1", "DROP INDEX own", "index own"},
        {"CREATE TABLE seen (x); CREATE TRIGGER own AFTER UPDATE ON project BEGIN INSERT INTO seen SELECT value FROM json_each(NEW.client_name); END",
         "DROP TRIGGER own; DROP TABLE seen", "trigger own"},
        {"CREATE VIRTUAL TABLE seen USING fts5(title, content=''); CREATE TRIGGER own AFTER UPDATE ON project"
         " BEGIN INSERT INTO seen (seen, rowid, title) VALUES ('delete', 1, OLD.title); END", "DROP TRIGGER own; DROP TABLE seen", "trigger own"},
        {"CREATE TABLE seen (x); CREATE TRIGGER own AFTER UPDATE ON project BEGIN INSERT INTO seen VALUES (zeroblob(2000000000)); END",
         "DROP TRIGGER own; DROP TABLE seen", "trigger own"},
        {"CREATE INDEX other ON project (abs(CASE client_name WHEN 'no JSON' THEN -9223372036854775807 - 1 END)); CREATE TABLE seen (x);"
         "CREATE TRIGGER own AFTER UPDATE ON project BEGIN INSERT INTO seen VALUES (NEW.title); END", "DROP TRIGGER own; DROP TABLE seen; DROP INDEX other",
         "index other, trigger own"},
    };
    struct pair *p = *state;

    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *site = p->sites[0], *from = i % 2 == 0 ? p->hub : site, *a = i % 2 == 0 ? site : p->hub;

        program(from, "DELETE FROM project; DELETE FROM cohort");
        harvest_here(p, from);
        equal(p, site);
        edit(p, from, "INSERT INTO project (id, site_id, kind, title, client_name) VALUES ('" ID(1) "', '%s', 'SHED', 'old', '{}')", SITE_ID(p, 0));
        equal(p, site);
        program(a, cases[i / 2].ddl);
        edit(p, from, "UPDATE project SET title = 'new', client_name = 'no JSON'");
        cohort(p, from, ID(2), SITE_ID(p, 0));
        pair_sync(p, site);
        says(a, "1", "SELECT count(*) FROM cohort");
        says(a, "old {}", "SELECT title || ' ' || client_name FROM project");
        says(a, cases[i / 2].reason, "SELECT reason FROM perche_parked");
        program(a, cases[i / 2].drop);
        pair_prove(p, site);
        harvest_here(p, a);
        says(a, "new", "SELECT title FROM project");
        equal(p, site);
        says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
    }
}

/* RAISE(FAIL): SQLite leaves what the statement had done. It would be taken for an edit of this node's. */
static void a_row_that_a_programs_trigger_fails_halfway_is_as_it_was(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(1) "', '%s', 'SHED', 'old')", SITE_ID(p, 0));
    equal(p, a);
    program(a, "CREATE TABLE seen (x); CREATE TRIGGER own AFTER UPDATE ON project BEGIN INSERT INTO seen VALUES (NEW.title); SELECT RAISE(FAIL, 'no'); END;"
               "CREATE TRIGGER two AFTER INSERT ON project BEGIN SELECT RAISE(FAIL, 'no'); END");
    edit(p, p->hub, "UPDATE project SET title = 'new'");
    pair_sync(p, a);
    says(a, "old 0", "SELECT title || ' ' || (SELECT count(*) FROM seen) FROM project");
    edit(p, p->hub, "UPDATE project SET title = 'newer'"); /* compares the row with what is recorded of it */
    edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(2) "', '%s', 'SHED', 'other')", SITE_ID(p, 0));
    pair_sync(p, a);
    says(a, "old", "SELECT group_concat(title) FROM project");
    says(a, "constraint constraint constraint", "SELECT group_concat(reason, ' ') FROM perche_parked");
    says(a, "0", "SELECT count(*) FROM perche_bypassed");
    program(a, "DROP TRIGGER own; DROP TRIGGER two; DROP TABLE seen");
    pair_prove(p, a);
    says(a, "newer,other", "SELECT group_concat(title) FROM (SELECT title FROM project ORDER BY id)");
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
}

/* One work: what is left of what is set aside. */
static uint64_t harvested_at(struct pair *p, struct fixture *f, uint64_t after_ms, bool *more)
{
    struct outcome o;
    uint64_t parked;

    p->now += after_ms;
    o = pair_do(p, f, pair_work(WORK_HARVEST, NULL));
    parked = o.state.parked;
    *more = o.more;
    outcome_free(&o);
    return parked;
}

/* What keeps a row out may be a value of another row: the schema is the same when that is gone. */
static void a_row_that_another_kept_out_is_tried_again_when_its_table_was_written(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    bool more;

    for (int i = 1; i <= 2; i++)
        edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('%s', '%s', 'SHED', '%d')", i == 1 ? ID(1) : ID(2), SITE_ID(p, 0), i);
    equal(p, a);
    program(a, "CREATE UNIQUE INDEX own ON project (title)");
    edit(p, p->hub, "UPDATE project SET title = '2' WHERE id = '" ID(1) "'");
    pair_sync(p, a);
    says(a, "constraint", "SELECT reason FROM perche_parked");
    edit(p, p->hub, "UPDATE project SET title = '3' WHERE id = '" ID(2) "'"); /* frees it */
    pair_sync(p, a);
    assert_int_equal(harvested_at(p, a, 1100, &more), 0);
    assert_false(more);
    says(a, "2,3", "SELECT group_concat(title) FROM (SELECT title FROM project ORDER BY id)");
    equal(p, a);
    edit(p, p->hub, "UPDATE project SET title = '3' WHERE id = '" ID(1) "'");
    pair_sync(p, a);
    assert_int_equal(harvested_at(p, a, 400000, &more), 1);
    program(a, "UPDATE project SET title = '4' WHERE id = '" ID(2) "'"); /* a program here does */
    (void)harvested_at(p, a, 1100, &more);
    assert_int_equal(harvested_at(p, a, 1100, &more), 0);
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict WHERE kind <> 'lww'");
}

static void a_row_that_a_trigger_kept_out_is_tried_again_by_and_by(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint32_t tried = 0;
    bool more;

    edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(1) "', '%s', 'SHED', 'old')", SITE_ID(p, 0));
    equal(p, a);
    program(a, "CREATE TABLE rule (closed); INSERT INTO rule VALUES (1); CREATE TRIGGER own BEFORE UPDATE ON project"
               " WHEN (SELECT closed FROM rule) BEGIN SELECT RAISE(ABORT, 'closed'); END");
    edit(p, p->hub, "UPDATE project SET title = 'new'");
    pair_sync(p, a);
    for (int i = 0; i < 3600; i++) { /* an hour: often at first, then every ten minutes */
        uint64_t next_ms = a->r->parked.next_ms;

        assert_int_equal(harvested_at(p, a, 1000, &more), 1);
        assert_false(more);
        tried += a->r->parked.next_ms != next_ms;
    }
    assert_in_range(tried, 10, 20);
    says(a, "1 constraint", "SELECT n || ' ' || reason FROM perche_parked"); /* as it stood */
    program(a, "UPDATE rule SET closed = 0");
    assert_int_equal(harvested_at(p, a, 600000, &more), 0);
    says(a, "new", "SELECT title FROM project");
    equal(p, a);
    for (int i = 0; i < 3; i++) { /* and then there is nothing to try */
        assert_int_equal(harvested_at(p, a, 600000, &more), 0);
        assert_true(a->r->parked.next_ms == 0);
    }
}

static void what_is_set_aside_is_tried_some_at_a_time_and_only_when_something_changed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    bool more = true;
    int works = 0, changes;

    equal(p, a);
    assert_int_equal(sqlite3_create_collation(a->program, "french", SQLITE_UTF8, NULL, collate_any), SQLITE_OK);
    program(a, "CREATE INDEX own ON project (title COLLATE french)");
    edit(p, p->hub, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO project (id, site_id, kind, title)"
                    " SELECT printf('%%08d-4000-7000-8000-000000000001', i), '%s', 'SHED', 'x' FROM n", SITE_ID(p, 0));
    pair_sync(p, a);
    says(a, "500 1 500", "SELECT count(*) || ' ' || min(n) || ' ' || max(n) FROM perche_parked");
    harvest_here(p, a);
    changes = sqlite3_total_changes(a->r->db);
    pair_prove(p, a); /* a new session says nothing new */
    assert_true(sqlite3_total_changes(a->r->db) - changes < 50);
    program(a, "CREATE TABLE else_where (x)"); /* another schema: all of them, and they stay as they stand */
    changes = sqlite3_total_changes(a->r->db);
    while (more) {
        assert_int_equal(harvested_at(p, a, 10, &more), 500);
        assert_true(a->r->parked.tried <= 200u * (uint32_t)++works);
    }
    assert_int_equal(works, 3);
    assert_true(sqlite3_total_changes(a->r->db) - changes < 50);
    says(a, "500 1 500", "SELECT count(*) || ' ' || min(n) || ' ' || max(n) FROM perche_parked");
    program(a, "DROP INDEX own");
    assert_int_equal(harvested_at(p, a, 10, &more), 300);
    assert_true(more);
    harvest_here(p, a);
    says(a, "500", "SELECT count(*) FROM project");
    equal(p, a);
}

/* RAISE(ROLLBACK) ends our transaction, with all that was applied before it. */
static void rows_that_a_programs_trigger_rolls_back_wait_and_nothing_else(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    equal(p, a);
    program(a, "CREATE TRIGGER own BEFORE INSERT ON project WHEN NEW.title LIKE 'no%' BEGIN SELECT RAISE(ROLLBACK, 'not here'); END;"
               "CREATE TRIGGER gone BEFORE DELETE ON learner BEGIN SELECT RAISE(ROLLBACK, 'not here'); END");
    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    pair_sync(p, a);
    for (int i = 1; i <= 20; i++) /* more than are tried one by one */
        edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('%08d-4000-7000-8000-000000000001', '%s', 'SHED', '%s')", i, SITE_ID(p, 0), i % 2 ? "no" : "yes");
    edit(p, p->hub, "DELETE FROM learner");
    cohort(p, p->hub, ID(2), SITE_ID(p, 0));
    pair_sync(p, a);
    says(a, "1", "SELECT count(*) FROM cohort");
    says(a, "1", "SELECT count(*) FROM learner");
    says(a, "0", "SELECT count(*) FROM project WHERE title = 'no'");
    says(a, "1", "SELECT count(*) >= 11 FROM perche_parked");
    says(a, "trigger gone,trigger own", "SELECT group_concat(reason) FROM (SELECT DISTINCT reason FROM perche_parked ORDER BY 1)");
    program(a, "DROP TRIGGER own; DROP TRIGGER gone");
    pair_prove(p, a);
    says(a, "20", "SELECT count(*) FROM project");
    says(a, "0", "SELECT count(*) FROM learner");
    equal(p, a);
}

/* RAISE(IGNORE): SQLite says that all went well. */
static void a_row_that_a_programs_trigger_keeps_out_is_not_held_for_there(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(1) "', '%s', 'SHED', 'old')", SITE_ID(p, 0));
    edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(2) "', '%s', 'SHED', 'stays')", SITE_ID(p, 0));
    equal(p, a);
    program(a, "CREATE TRIGGER one BEFORE INSERT ON project BEGIN SELECT RAISE(IGNORE); END;"
               "CREATE TRIGGER two BEFORE UPDATE ON project BEGIN SELECT RAISE(IGNORE); END;"
               "CREATE TRIGGER three BEFORE DELETE ON project BEGIN SELECT RAISE(IGNORE); END");
    edit(p, p->hub, "UPDATE project SET title = 'new' WHERE id = '" ID(1) "'");
    edit(p, p->hub, "DELETE FROM project WHERE id = '" ID(2) "'");
    edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(3) "', '%s', 'SHED', 'A shed')", SITE_ID(p, 0));
    pair_sync(p, a);
    says(a, "3 trigger one, two, three", "SELECT count(*) || ' ' || max(reason) FROM perche_parked");
    says(a, "old,stays", "SELECT group_concat(title) FROM (SELECT title FROM project ORDER BY id)");
    says(a, "2", "SELECT count(*) FROM perche_row r JOIN perche_tab t ON t.num = r.tab WHERE t.name = 'project' AND r.gen %% 2 = 1");
    program(a, "DROP TRIGGER one; DROP TRIGGER two; DROP TRIGGER three");
    pair_prove(p, a);
    says(a, "new,A shed", "SELECT group_concat(title) FROM (SELECT title FROM project ORDER BY id)");
    equal(p, a);
}

static void rows_that_waited_for_their_table_are_applied_when_it_is_there(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char sql[8000];

    equal(p, a);
    strcpy(sql, asked(a->program, "SELECT sql FROM sqlite_schema WHERE name = 'project'"));
    program(a, "DROP TABLE project");
    edit(p, p->hub, "INSERT INTO project (id, site_id, kind, title) VALUES ('" ID(1) "', '%s', 'SHED', 'A shed')", SITE_ID(p, 0));
    cohort(p, p->hub, ID(2), SITE_ID(p, 0));
    pair_sync(p, a);
    says(a, "project table", "SELECT tab || ' ' || reason FROM perche_parked");
    says(a, "1", "SELECT count(*) FROM cohort");
    program(a, sql);
    harvest_here(p, a); /* compares the table first */
    says(a, "A shed", "SELECT title FROM project");
    assert_int_equal(state_of(p, a).parked, 0);
    assert_int_equal(state_of(p, a).pending, 0);
    equal(p, a);
}

/* Is each of @words in this column of @table or in a conflict, here? */
static void kept(struct fixture *f, const char *table, const char *column, const char *const *words, int n)
{
    for (int i = 0; i < n; i++) {
        char sql[300];

        snprintf(sql, sizeof sql, "SELECT EXISTS (SELECT 1 FROM %s WHERE %s = '%s') OR EXISTS (SELECT 1 FROM perche_conflict"
                                  " WHERE tab = '%s' AND '%s' IN (a_value, b_value))", table, column, words[i], table, words[i]);
        says(f, "1", "%s", sql);
    }
}

/* Rows 1 and 2 of a table t of a node's own, with @word in them. */
static void own_rows(struct pair *p, struct fixture *f, const char *columns, const char *word)
{
    char sql[600];

    snprintf(sql, sizeof sql, "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, site_id TEXT%s); INSERT INTO t (id, site_id, v)"
                              " VALUES ('" ID(1) "', '%s', '%s 1'), ('" ID(2) "', '%s', '%s 2')", columns, SITE_ID(p, 0), word, SITE_ID(p, 0), word);
    program(f, sql);
}

static const char *const of_both[] = {"ours 1", "ours 2", "theirs 1", "theirs 2"};

static void rows_of_both_in_a_table_that_is_replicated_now_are_all_kept(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    equal(p, a);
    own_rows(p, p->hub, ", v TEXT", "theirs");
    own_rows(p, a, ", v TEXT", "ours");
    free(pair_replicate(p, "{\"table\": \"t\", \"scope\": \"site_id\", \"level\": \"P0\"}"));
    harvest_here(p, p->hub);
    pull_once(p, a, 1 << 20); /* before it has heard of the table */
    assert_int_equal(state_of(p, a).parked, 2);
    p->now += SECOND(1);
    pair_prove(p, a);
    assert_int_equal(state_of(p, a).parked, 0);
    equal(p, a);
    kept(a, "t", "v", of_both, 4);
    kept(p->hub, "t", "v", of_both, 4);
}

static void rows_of_a_table_of_the_sites_own_that_is_made_to_fit_are_all_kept(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    equal(p, a);
    own_rows(p, p->hub, ", v TEXT, w TEXT", "theirs");
    own_rows(p, a, ", v TEXT", "ours");
    free(pair_replicate(p, "{\"table\": \"t\", \"scope\": \"site_id\", \"level\": \"P0\"}"));
    harvest_here(p, p->hub);
    pair_prove(p, a);
    says(a, "0", "SELECT count(*) FROM perche_table WHERE name = 't'");
    pair_sync(p, a);
    assert_int_equal(state_of(p, a).parked, 2);
    program(a, "ALTER TABLE t ADD COLUMN w TEXT");
    fixture_close(a);
    fixture_open(a);
    p->now += SECOND(1);
    pair_prove(p, a);
    assert_int_equal(state_of(p, a).parked, 0);
    equal(p, a);
    kept(a, "t", "v", of_both, 4);
    kept(p->hub, "t", "v", of_both, 4);
}

static void what_is_captured_when_a_row_waits_no_longer_is_recorded_first(void **state)
{
    static const char *const names[] = {"ours", "theirs"};
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, p->hub, ID(1), SITE_ID(p, 0));
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    edit(p, p->hub, "UPDATE learner SET ine = substr(id, -1)");
    equal(p, a);
    program(a, "CREATE UNIQUE INDEX own ON learner (ine)");
    edit(p, p->hub, "UPDATE learner SET ine = '2', call_name = 'theirs' WHERE id = '" ID(1) "'");
    pair_sync(p, a);
    says(a, "constraint", "SELECT reason FROM perche_parked");
    program(a, "UPDATE learner SET call_name = 'ours' WHERE id = '" ID(1) "'; DROP INDEX own");
    harvest_here(p, a);
    says(a, "0", "SELECT count(*) FROM perche_parked");
    says(a, "2", "SELECT ine FROM learner WHERE id = '" ID(1) "'");
    equal(p, a);
    kept(a, "learner", "call_name", names, 2);
    kept(p->hub, "learner", "call_name", names, 2);
}

static void a_row_that_leaves_takes_what_is_set_aside_of_it_along(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    program(a, "DROP TRIGGER perche_cohort_insert; DROP TRIGGER perche_cohort_update; DROP TRIGGER perche_cohort_delete;"
               "ALTER TABLE cohort DROP COLUMN rhythm");
    edit(p, p->hub, "UPDATE cohort SET rhythm = 'weekly'");
    edit(p, p->hub, "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status, rhythm)"
                    " SELECT '" ID(2) "', site_id, training_id, code, starts_on, ends_on, capacity, mode, status, rhythm FROM cohort");
    pair_sync(p, a);
    assert_int_equal(state_of(p, a).parked, 2);
    edit(p, p->hub, "UPDATE cohort SET site_id = '%s'", SITE_ID(p, 1));
    pair_sync(p, a);
    assert_int_equal(state_of(p, a).parked, 0);
    says(a, "0", "SELECT count(*) FROM cohort");
}

static void a_new_column_makes_no_traffic(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct state before, after;
    struct perche_message m;

    for (int i = 1; i < 6; i++)
        edit(p, p->hub, "INSERT INTO learner (id, home_site_id) VALUES ('0198f3a0-0000-7000-8000-00000000000%d', '%s')", i, SITE_ID(p, 0));
    equal(p, a);
    before = state_of(p, p->hub);
    for (int i = 0; i < 2; i++)
        program(i == 0 ? p->hub : a, "ALTER TABLE learner ADD COLUMN wish TEXT DEFAULT 'none';"
                                     "INSERT INTO perche_column (tab, col, num, policy, level, on_erase) VALUES ('learner', 'wish', 15, 'lww', 'P2', 'keep')");
    after = state_of(p, p->hub);
    assert_true(after.lsn == before.lsn);
    assert_int_equal(state_of(p, a).pending, 0);
    m = pull_made(p, a, 1 << 20);
    assert_int_equal(m.u.pull_reply.batch.n, 0);
    perche_message_free(&m);
    equal(p, a);
    edit(p, p->hub, "UPDATE learner SET wish = 'garden' WHERE id = '" ID(1) "'"); /* one cell of one row */
    m = pull_made(p, a, 1 << 20);
    assert_int_equal(cells_in(m.u.pull_reply.batch, "learner"), 1);
    perche_message_free(&m);
    equal(p, a);
    says(a, "garden", "SELECT wish FROM learner WHERE id = '" ID(1) "'");
}

/* ---- a full disk ---- */

static bool disk_full;
static int (*real_write)(sqlite3_file *f, const void *p, int n, sqlite3_int64 at);
static int (*real_open)(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out);
static struct { const sqlite3_io_methods *real; sqlite3_io_methods ours; } methods[4];

static int shim_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
    return disk_full ? SQLITE_FULL : real_write(f, bytes, n, at);
}

static int shim_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    int rc = real_open(v, name, f, flags, out);

    for (int i = 0; rc == SQLITE_OK && f->pMethods != NULL && i < 4; i++) {
        if (methods[i].real == NULL) {
            methods[i].real = f->pMethods;
            methods[i].ours = *f->pMethods;
            real_write = f->pMethods->xWrite;
            methods[i].ours.xWrite = shim_write;
        }
        if (methods[i].real == f->pMethods) {
            f->pMethods = &methods[i].ours;
            break;
        }
    }
    return rc;
}

static void on_full_disk(struct fixture *f)
{
    static sqlite3_vfs shim;

    if (shim.zName == NULL) {
        shim = *sqlite3_vfs_find(NULL);
        real_open = shim.xOpen;
        shim.xOpen = shim_open;
        shim.zName = "full";
        shim.pNext = NULL;
        assert_int_equal(sqlite3_vfs_register(&shim, 0), SQLITE_OK);
    }
    fixture_close(f);
    f->config.vfs = "full";
    fixture_open(f);
}

static void a_full_disk_at_the_hub_acknowledges_nothing_and_recovers(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;
    struct state before;
    struct work w;
    struct outcome o;

    for (int by_pages = 0; by_pages < 2; by_pages++) {
        written(a, "INSERT INTO learner (id, home_site_id, given_names) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
                   " SELECT printf('0198f3a0-0000-7000-800%d-%%012d', i), (SELECT site_id FROM perche_self), hex(randomblob(300)) FROM n", by_pages);
        harvest_here(p, a);
        if (by_pages)
            assert_int_equal(sqlite3_exec(p->hub->r->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK);
        else
            on_full_disk(p->hub);
        before = state_of(p, p->hub);
        b = push_all(p, a);
        for (int i = 0; i < 2; i++) {
            w = pair_work(WORK_PUSH_APPLY, a);
            w.message = message_copy(&b.message);
            disk_full = !by_pages;
            o = pair_try(p, p->hub, &w);
            assert_int_equal(o.rc, PERCHE_FULL);
            assert_int_equal(o.message.op, 0); /* no answer to send */
            assert_int_equal(o.woken_count, 0);
            outcome_free(&o);
        }
        disk_full = false;
        assert_int_equal(sqlite3_exec(p->hub->r->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL), SQLITE_OK);
        assert_true(state_of(p, p->hub).lsn == before.lsn);
        says(p->hub, by_pages ? "300" : "0", "SELECT count(*) FROM learner");
        push_told(p, a, &b, push_taken(p, a, &b)); /* the same batch: its cursor has not moved */
        parcel_end(&b);
        equal(p, a);
        says(p->hub, by_pages ? "600" : "300", "SELECT count(*) FROM learner");
    }
}

static void a_full_disk_at_a_site_keeps_its_position_and_recovers(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_message m;
    struct work w = pair_work(WORK_PULL_APPLY, NULL);
    struct state before, after;
    struct outcome o;

    written(p->hub, "INSERT INTO learner (id, home_site_id, given_names) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
                    " SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), '%s', hex(randomblob(300)) FROM n", SITE_ID(p, 0));
    on_full_disk(a);
    before = state_of(p, a);
    m = pull_made(p, a, 1 << 20);
    w.message = message_copy(&m);
    disk_full = true;
    o = pair_try(p, a, &w);
    assert_int_equal(o.rc, PERCHE_FULL);
    outcome_free(&o);
    disk_full = false;
    after = state_of(p, a);
    assert_true(after.lsn == before.lsn && after.full == before.full && after.scan == before.scan);
    says(a, "0", "SELECT count(*) FROM learner");
    o = pull_heard(p, a, m);
    outcome_free(&o);
    says(a, "300", "SELECT count(*) FROM learner");
    says(a, "0", "SELECT count(*) FROM perche_capture");
    equal(p, a);
}

static void cells_of_one_site_that_waited_for_the_row_of_another_stay_out_of_its_history(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    char *json;

    learner(p, a, ID(1), SITE_ID(p, 0));
    pair_sync(p, a);
    enrolment(p, p->hub, ID(2), ID(1), ID(3), SITE_ID(p, 1)); /* both sites have the learner now */
    equal(p, a);
    equal(p, b);
    written(p->hub, "UPDATE perche_flag SET applying = 1; DELETE FROM learner; DELETE FROM perche_row WHERE tab ="
                    " (SELECT num FROM perche_tab WHERE name = 'learner'); UPDATE perche_flag SET applying = 0");
    edit(p, b, "UPDATE learner SET call_name = 'of the second'");
    pair_push(p, b);
    says(p->hub, "row", "SELECT reason FROM perche_parked");
    written(a, "INSERT INTO perche_wanted (tab, key, kind, lsn) SELECT tab, key, 3, 0 FROM perche_row WHERE tab ="
               " (SELECT num FROM perche_tab WHERE name = 'learner')");
    cohort(p, a, ID(7), SITE_ID(p, 0)); /* in the batch that brings the row */
    pair_push(p, a);
    says(p->hub, "of the second", "SELECT call_name FROM learner");
    json = pair_query(p, p->hub, "history", "{\"table\": \"cohort\", \"id\": \"" ID(7) "\"}");
    if (strcmp(json_at(json, "$.entries[0].via"), "null") == 0) /* told from what is there now, not from its block */
        fixture_fail("history", json, "the row's insert is not in it");
    free(json);
}

static void who_writes_more_often_does_not_win(void **state)
{
    struct pair *p = *state;

    transfer_row(p);
    for (int i = 0; i < 20; i++)
        edit(p, p->sites[0], "UPDATE transfer SET asked_on = 'often %d'", i);
    edit(p, p->sites[1], "UPDATE transfer SET asked_on = 'once, and last'");
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[(i + 1) % 2]);
    for (int i = 0; i < 2; i++) {
        says(p->sites[i], "once, and last", "SELECT asked_on FROM transfer");
        equal(p, p->sites[i]);
    }
    says(p->hub, "once, and last", "SELECT asked_on FROM transfer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_column_that_only_this_node_has_survives_what_is_applied),
        TEST(two_values_that_should_be_unique_can_be_swapped),
        TEST(a_unique_index_of_this_file_sets_aside_one_row_and_nothing_else),
        TEST(a_row_that_starts_anew_and_does_not_fit_leaves_the_old_one),
        TEST(a_row_that_comes_without_what_may_not_be_empty_is_set_aside),
        TEST(a_key_that_is_none_of_its_table_is_set_aside_and_all_else_goes_on),
        TEST(a_delete_and_an_edit_that_do_not_know_each_other_leave_no_husk),
        TEST(equal_values_from_two_sites_end_as_one_and_ask_nothing),
        TEST(three_replicas_end_the_same_whatever_the_order),
        TEST(parents_are_applied_before_their_children_whatever_the_order_of_the_parts),
        TEST(a_check_that_a_table_declares_stops_nothing),
        TEST(a_programs_own_trigger_fires_on_applied_rows_and_nothing_is_captured_again),
        TEST(a_program_is_captured_after_batches_as_before),
        TEST(a_row_taken_out_past_the_triggers_blocks_nothing),
        TEST(a_value_of_another_type_sets_aside_its_row_and_all_else_goes_on),
        TEST(a_site_that_pushes_another_type_is_refused_the_row),
        TEST(cells_that_waited_for_a_column_are_applied_when_it_is_there_and_are_no_edit),
        TEST(cells_that_waited_at_the_hub_know_what_their_author_had_seen),
        TEST(cells_of_one_site_that_waited_for_the_row_of_another_stay_out_of_its_history),
        TEST(a_row_that_a_programs_trigger_forbids_at_the_hub_waits_until_it_is_gone),
        TEST(what_a_program_alone_can_run_sets_its_table_aside_and_nothing_else),
        TEST(a_value_that_a_programs_index_or_trigger_fails_on_sets_its_row_aside_and_nothing_else),
        TEST(a_row_that_a_programs_trigger_fails_halfway_is_as_it_was),
        TEST(a_row_that_another_kept_out_is_tried_again_when_its_table_was_written),
        TEST(a_row_that_a_trigger_kept_out_is_tried_again_by_and_by),
        TEST(what_is_set_aside_is_tried_some_at_a_time_and_only_when_something_changed),
        TEST(rows_that_a_programs_trigger_rolls_back_wait_and_nothing_else),
        TEST(a_row_that_a_programs_trigger_keeps_out_is_not_held_for_there),
        TEST(rows_that_waited_for_their_table_are_applied_when_it_is_there),
        TEST(rows_of_both_in_a_table_that_is_replicated_now_are_all_kept),
        TEST(rows_of_a_table_of_the_sites_own_that_is_made_to_fit_are_all_kept),
        TEST(what_is_captured_when_a_row_waits_no_longer_is_recorded_first),
        TEST(a_row_that_leaves_takes_what_is_set_aside_of_it_along),
        TEST(a_new_column_makes_no_traffic),
        TEST(a_full_disk_at_the_hub_acknowledges_nothing_and_recovers),
        TEST(a_full_disk_at_a_site_keeps_its_position_and_recovers),
        TEST(who_writes_more_often_does_not_win),
    };

    return cmocka_run_group_tests_name("replica_apply", tests, NULL, NULL);
}
