/* Harvest: captured changes become stamped and numbered state (MODEL A 16, 17, 26 to 28; B 4, 7, 20). */
#include "replica_steps.h"

static void a_change_has_the_time_of_its_program_not_of_the_harvest(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t monday;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    p->now += SECOND(60);
    monday = p->now;
    written(a, "UPDATE cohort SET code = 'Monday'"); /* the daemon is down until Friday */
    written(a, "UPDATE perche_capture SET at = %llu", (unsigned long long)monday);
    p->now += SECOND(2 * 86400);
    edit(p, p->hub, "UPDATE cohort SET code = 'Wednesday'");
    p->now += SECOND(2 * 86400);
    pair_sync(p, a);
    says(a, "Wednesday", "SELECT code FROM cohort");
    says(p->hub, "Wednesday", "SELECT code FROM cohort");
    says(p->hub, "Monday", "SELECT a_value FROM perche_conflict"); /* lost, and kept */
}

static void a_stamp_lies_above_the_last_one_and_not_after_now(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t first, second, future;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    first = cell_at(a, "cohort", ID(1), "code").stamp;
    assert_true(first >> 16 == p->now);
    written(a, "UPDATE cohort SET code = 'P2'");
    written(a, "UPDATE perche_capture SET at = %llu", (unsigned long long)p->now - 5000); /* the clock went back in between */
    harvest_here(p, a);
    second = cell_at(a, "cohort", ID(1), "code").stamp;
    assert_true(second > first && second >> 16 == p->now);
    written(a, "UPDATE cohort SET code = 'P3'");
    written(a, "UPDATE perche_capture SET at = %llu", (unsigned long long)p->now + 86400000);
    harvest_here(p, a);
    future = cell_at(a, "cohort", ID(1), "code").stamp;
    assert_true(future > second && future >> 16 <= p->now);
}

static void a_row_that_came_uncaptured_is_taken_whole_at_its_next_edit(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    written(a, "UPDATE perche_flag SET applying = 1"); /* as while a program's trigger writes during an apply */
    cohort(p, a, ID(2), SITE_ID(p, 0));
    written(a, "UPDATE perche_flag SET applying = 0");
    pair_sync(p, a);
    says(p->hub, "1", "SELECT count(*) FROM cohort");
    edit(p, a, "UPDATE cohort SET code = 'seen' WHERE id = '" ID(2) "'");
    pair_sync(p, a);
    says(p->hub, "seen", "SELECT code FROM cohort WHERE id = '" ID(2) "'");
    equal(p, a);
}

/* A table of the hub's, replicated by site_id, at site @a too. */
static void replicate(struct pair *p, struct fixture *a, const char *create, const char *table)
{
    char args[200];

    program(p->hub, create);
    snprintf(args, sizeof args, "{\"table\": \"%s\", \"scope\": \"site_id\"}", table);
    free(pair_replicate(p, args));
    pair_prove(p, a);
}

static void a_value_too_large_to_send_is_listed_and_nothing_waits_for_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    written(a, "INSERT INTO learner (id, home_site_id, given_names) SELECT '" ID(2) "', site_id, hex(zeroblob(5000000)) FROM perche_self");
    written(a, "UPDATE learner SET birth_family_name = hex(zeroblob(5000000)), call_name = 'Beside' WHERE id = '" ID(1) "'");
    learner(p, a, ID(3), SITE_ID(p, 0));
    equal(p, a);
    says(p->hub, "Martin Beside,Martin Camille", "SELECT group_concat(birth_family_name || ' ' || call_name) FROM learner");
    says(p->hub, "1", "SELECT count(*) FROM learner WHERE id = '" ID(2) "' AND given_names IS NULL"); /* the rest of it travels */
    says(a, "1", "SELECT count(*) FROM learner WHERE id = '" ID(2) "' AND given_names IS NULL");
    says(a, "given_names too_large 10000000,birth_family_name too_large 10000000",
         "SELECT group_concat(columns || ' ' || reason || ' ' || coalesce(length(image), 0)) FROM (SELECT * FROM perche_refused ORDER BY n)");
    written(a, "UPDATE learner SET given_names = 'short' WHERE id = '" ID(2) "'");
    equal(p, a);
    says(p->hub, "short", "SELECT given_names FROM learner WHERE id = '" ID(2) "'");
}

static void a_new_row_travels_without_what_is_too_large_of_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    replicate(p, a, "CREATE TABLE file (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL DEFAULT 'plain',"
                    " body BLOB, small TEXT NOT NULL)", "file");
    program(a, "CREATE TRIGGER not_empty BEFORE UPDATE ON file WHEN new.small = '' BEGIN SELECT RAISE(ABORT, 'never empty'); END");
    written(a, "INSERT INTO file SELECT 'a', site_id, hex(zeroblob(4500000)), hex(zeroblob(4500000)), x'01' || zeroblob(9000000), 's' FROM perche_self");
    written(a, "UPDATE file SET body = CAST(x'c0ffee' || zeroblob(9000000) AS BLOB) WHERE id = 'a'");
    written(a, "INSERT INTO file SELECT 'b', site_id, 'n', 'k', NULL, hex(zeroblob(4500000)) FROM perche_self"); /* the table takes no empty one */
    equal(p, a);
    says(p->hub, "a||plain|NULL|s", "SELECT group_concat(id || '|' || name || '|' || kind || '|' || quote(body) || '|' || small) FROM file");
    says(a, "name 9000000 0,kind 9000000 0,body 18000006 c0ffee,small 0 0",
         "SELECT group_concat(columns || ' ' || coalesce(length(image), 0) || ' ' || CASE WHEN columns = 'body' THEN substr(image, 1, 6) ELSE 0 END)"
         " FROM (SELECT * FROM perche_refused ORDER BY n)");
    assert_int_equal(state_of(p, a).kept_here, 1);
    written(a, "UPDATE file SET name = 'm' WHERE id = 'b'");
    harvest_here(p, a);
    assert_int_equal(state_of(p, a).kept_here, 1); /* listed once */
    written(a, "UPDATE file SET small = 'short' WHERE id = 'b'");
    equal(p, a);
    says(p->hub, "2", "SELECT count(*) FROM file");
    assert_int_equal(state_of(p, a).kept_here, 0);
}

/* What is too large is taken out of a new row. A program's trigger may not take the row without it: here it stays as it is, and is named;
 * at the other end it waits for the trigger to go. What is beside it goes on. */
static void an_emptied_row_that_a_trigger_does_not_take_is_kept_or_waits(void **state)
{
    static const char *const raises[] = {"ABORT, 'never empty'", "FAIL, 'never empty'", "ROLLBACK, 'never empty'", "IGNORE"};
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    replicate(p, a, "CREATE TABLE file (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, body TEXT)", "file");
    for (int i = 0; i < 8; i++) {
        struct fixture *f = i < 4 ? a : p->hub;
        char sql[300];

        snprintf(sql, sizeof sql, "CREATE TRIGGER full BEFORE %s ON file WHEN coalesce(new.body, '') = '' BEGIN SELECT RAISE(%s); END",
                 i < 4 ? "UPDATE" : "INSERT", raises[i % 4]);
        program(f, sql);
        snprintf(sql, sizeof sql, "INSERT INTO file SELECT 'large %d', site_id, hex(zeroblob(4500000)) FROM perche_self; INSERT INTO file"
                                  " SELECT 'beside %d', site_id, 'small' FROM perche_self", i, i);
        program(a, sql);
        pair_push(p, a);
        says(p->hub, "1", "SELECT count(*) FROM file WHERE id = 'beside %d' AND body = 'small'", i);
        says(p->hub, "0", "SELECT count(*) FROM file WHERE id = 'large %d'", i);
        says(p->hub, i < 4 ? "0" : "1", "SELECT count(*) FROM perche_parked");
        says(a, i < 4 ? "9000000" : "NULL", "SELECT coalesce(length(body), 'NULL') FROM file WHERE id = 'large %d'", i);
        says(a, i < 4 ? "NULL" : "9000000", "SELECT coalesce(length(image), 'NULL') FROM perche_refused WHERE key = '[\"large %d\"]' AND reason = 'too_large'", i);
        assert_int_equal(state_of(p, a).kept_here, i < 4 ? i + 1 : 4);
        program(f, "DROP TRIGGER full");
        harvest_here(p, p->hub);
        says(p->hub, i < 4 ? "0" : "1", "SELECT count(*) FROM file WHERE id = 'large %d' AND body IS NULL", i);
        says(p->hub, "0", "SELECT count(*) FROM perche_parked");
    }
    written(a, "UPDATE file SET body = 'smaller' WHERE length(body) > 10");
    equal(p, a);
    says(p->hub, "4", "SELECT count(*) FROM file WHERE body = 'smaller'");
    assert_int_equal(state_of(p, a).kept_here, 0);
}

static void many_large_rows_are_harvested_in_smaller_chunks(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    written(a, "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 300) INSERT INTO learner (home_site_id, call_name)"
               " SELECT site_id, hex(randomblob(150000)) FROM i, perche_self");
    equal(p, a);
    says(p->hub, "300 300000", "SELECT count(*) || ' ' || min(length(call_name)) FROM learner");
    says(a, "0", "SELECT count(*) FROM perche_refused");
}

static void a_key_too_long_is_listed_and_nothing_waits_for_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    /* a program that went past the triggers */
    sqlite3_db_config(a->program, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    program(a, "INSERT INTO learner (id, home_site_id) SELECT hex(zeroblob(1000)), site_id FROM perche_self;"
               " INSERT INTO perche_capture (tab, mask, at, k1) SELECT num, -1, julianday('now'), hex(zeroblob(1000)) FROM perche_tab WHERE name = 'learner'");
    sqlite3_db_config(a->program, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    says(p->hub, "1", "SELECT count(*) FROM learner");
    says(a, "learner key 200 a key of 2000 bytes", "SELECT tab || ' ' || reason || ' ' || length(key) || ' ' || substr(image, 1, 19) FROM perche_refused");
    assert_int_equal(state_of(p, a).kept_here, 1);
    written(a, "UPDATE learner SET call_name = 'Again' WHERE length(id) = 2000");
    harvest_here(p, a);
    assert_int_equal(state_of(p, a).kept_here, 1); /* it is one row */
    written(a, "DELETE FROM learner WHERE length(id) = 2000");
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM perche_refused");
    assert_int_equal(state_of(p, a).kept_here, 0);
}

/* A program has made the table anew without NOT NULL in its key. */
static void nullable(struct fixture *f, const char *table, const char *from, const char *to)
{
    char *sql = sqlite3_mprintf("SELECT printf('PRAGMA legacy_alter_table = ON; BEGIN; ALTER TABLE %%w RENAME TO old; %%s; INSERT INTO %%w SELECT * FROM old; DROP TABLE old; COMMIT',"
                                " name, replace(replace(sql, %Q, %Q), ') STRICT, WITHOUT ROWID', ')'), name) FROM sqlite_schema WHERE name = %Q", from, to, table);
    char *text = strdup(asked(f->program, sql));

    sqlite3_free(sql);
    assert_non_null(strstr(text, to));
    program(f, text);
    free(text);
}

static void a_row_without_a_key_is_listed_and_nothing_waits_for_it(void **state)
{
    const char *listed = "SELECT group_concat(tab || ' ' || reason || ' ' || key || ' ' || image, ';') FROM perche_refused";
    struct pair *p = *state;

    for (int i = 0; i < 2; i++) {
        struct fixture *a = p->sites[0], *f = i == 0 ? a : p->hub;
        char *json;

        nullable(f, "project", "id TEXT NOT NULL PRIMARY KEY", "id TEXT PRIMARY KEY");
        harvest_here(p, f);
        written(f, "INSERT INTO project (id, site_id, title, kind) VALUES (NULL, '%s', 'x', 'CLIENT'), (NULL, '%s', 'y', 'CLIENT'), ('%s', '%s', 'z', 'CLIENT')",
                SITE_ID(p, 0), SITE_ID(p, 0), i == 0 ? ID(1) : ID(2), SITE_ID(p, 0));
        equal(p, a);
        says(f, "project key  a key that is NULL", "%s", listed);
        assert_int_equal(state_of(p, f).kept_here, 1);
        json = pair_query(p, f, "verify", "{}");
        assert_non_null(strstr(json, "\"table\":\"project\",\"count\":1,\"text\":\"writes that the hub or this file did not take (key)"));
        free(json);
        written(f, "DELETE FROM project WHERE title = 'x'");
        equal(p, a);
        assert_int_equal(state_of(p, f).kept_here, 1); /* there is another */
        written(f, "DELETE FROM project WHERE title = 'y'");
        equal(p, a);
        says(f, "", "%s", listed);
        assert_int_equal(state_of(p, f).kept_here, 0);
    }
}

static void what_a_row_holds_already_is_not_what_makes_it_too_large(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    for (int i = 0; i < 3; i++) {
        written(a, "UPDATE learner SET %s = hex(randomblob(3500000))", i == 0 ? "given_names" : i == 1 ? "birth_family_name" : "call_name");
        equal(p, a);
    }
    says(p->hub, "7000000 6 7", "SELECT length(given_names) || ' ' || length(birth_family_name) || ' ' || length(call_name) FROM learner");
    says(a, "birth_family_name,call_name", "SELECT group_concat(columns) FROM (SELECT * FROM perche_refused ORDER BY n)");
}

static void delete_and_insert_are_two_generations_whenever_the_harvest_comes(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    cohort(p, a, ID(2), SITE_ID(p, 0));
    written(a, "CREATE TEMP TABLE keep AS SELECT * FROM cohort; DELETE FROM cohort WHERE id = '" ID(1) "';"
               "INSERT INTO cohort SELECT * FROM keep WHERE id = '" ID(1) "'");
    harvest_here(p, a);
    written(a, "DELETE FROM cohort WHERE id = '" ID(2) "'");
    harvest_here(p, a);
    written(a, "INSERT INTO cohort SELECT * FROM keep WHERE id = '" ID(2) "'");
    harvest_here(p, a);
    assert_int_equal(header_at(a, "cohort", ID(1)).gen, 3);
    assert_int_equal(header_at(a, "cohort", ID(2)).gen, 3);
    equal(p, a);
    assert_int_equal(header_at(p->hub, "cohort", ID(1)).gen, 3);
}

static void what_one_harvest_changes_in_a_row_has_one_position_and_no_two_rows_share_one(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t lsn;

    edit(p, a, "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" ID(1) "', (SELECT site_id FROM perche_self), 'Ada'),"
               " ('" ID(2) "', (SELECT site_id FROM perche_self), 'Bo')");
    lsn = header_at(a, "learner", ID(1)).lsn;
    assert_true(cell_at(a, "learner", ID(1), "call_name").lsn == lsn && cell_at(a, "learner", ID(1), NULL).lsn == lsn);
    assert_true(header_at(a, "learner", ID(2)).lsn != lsn);
    written(a, "UPDATE learner SET call_name = 'X' WHERE id = '" ID(1) "'; UPDATE learner SET ine = '7' WHERE id = '" ID(1) "'");
    harvest_here(p, a);
    lsn = header_at(a, "learner", ID(1)).lsn;
    assert_true(cell_at(a, "learner", ID(1), "call_name").lsn == lsn && cell_at(a, "learner", ID(1), "ine").lsn == lsn);
    says(a, "0", "SELECT count(*) - count(DISTINCT lsn) FROM perche_row");
}

/* A copy of the file, or its former life, may have the insert without the delete, and hand the row out. */
static void what_came_and_went_between_two_harvests_leaves_a_tombstone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    fixture_close(a);
    written(a, "INSERT INTO learner (id, home_site_id) VALUES ('" ID(1) "', (SELECT site_id FROM perche_self)); DELETE FROM learner");
    written(a, "INSERT INTO learner (id, home_site_id) VALUES ('" ID(2) "', (SELECT site_id FROM perche_self))");
    fixture_open(a);
    harvest_here(p, a);
    assert_int_equal(header_at(a, "learner", ID(1)).gen, 2);
    assert_int_equal(state_of(p, a).pending, 2);
    written(a, "INSERT INTO learner (id, home_site_id) VALUES ('" ID(3) "', (SELECT site_id FROM perche_self)); DELETE FROM learner WHERE id = '" ID(3) "'");
    harvest_here(p, a);
    assert_int_equal(header_at(a, "learner", ID(3)).gen, 2);
    says(a, "0", "SELECT count(*) FROM perche_gone_learner");
    says(a, "0", "SELECT count(*) FROM perche_capture");
    equal(p, a);
    says(p->hub, ID(2), "SELECT group_concat(id) FROM learner");
    assert_int_equal(header_at(p->hub, "learner", ID(1)).gen, 2);
    assert_int_equal(header_at(p->hub, "learner", ID(3)).gen, 2);
    says(a, "0", "SELECT count(*) FROM perche_refused");
}

/* Returns how many rows were found changed unseen. */
static uint64_t harvest_in_chunks(struct pair *p, struct fixture *f, uint32_t rows_max)
{
    uint64_t found = 0;
    bool more = true;

    while (more) {
        struct work w = pair_work(WORK_HARVEST, NULL);
        struct outcome o;

        w.rows_max = rows_max;
        o = pair_do(p, f, w);
        assert_true(o.rows <= rows_max);
        more = o.more;
        found += o.found;
        outcome_free(&o);
    }
    return found;
}

/* The inner insert is captured before the deletion that it is made in. */
static void a_row_that_a_trigger_puts_back_while_it_is_deleted_is_changed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    for (int i = 1; i <= 2; i++) { /* in one chunk, and cut between the two */
        const char *id = i == 1 ? ID(1) : ID(2);

        cohort(p, a, id, SITE_ID(p, 0));
        equal(p, a);
        program(a, "BEGIN; CREATE TRIGGER back AFTER DELETE ON cohort WHEN OLD.status <> 'ARCHIVED' BEGIN INSERT INTO cohort (id, site_id, training_id, code,"
                   " starts_on, ends_on, capacity, mode, status) VALUES (OLD.id, OLD.site_id, OLD.training_id, OLD.code, OLD.starts_on, OLD.ends_on,"
                   " OLD.capacity, OLD.mode, 'ARCHIVED'); END");
        written(a, "DELETE FROM cohort WHERE id = '%s'; DROP TRIGGER back; COMMIT", id);
        says(a, "-1 0", "SELECT group_concat(mask, ' ') FROM (SELECT mask FROM perche_capture ORDER BY n)");
        harvest_in_chunks(p, a, i == 1 ? 100 : 1);
        equal(p, a);
        says(p->hub, "ARCHIVED", "SELECT status FROM cohort WHERE id = '%s'", id);
        assert_int_equal(header_at(p->hub, "cohort", id).gen, 1);
    }
}

/* The rows stand in the new table before those of the old one go, and the capture log knows the deletions alone. */
static void a_table_made_anew_whose_old_one_is_emptied_loses_no_row(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t lsn;
    char *made;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    edit(p, a, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO cohort (id, site_id, training_id, code, starts_on,"
               " ends_on, capacity, mode, status) SELECT 'c' || i, site_id, training_id, code, starts_on, ends_on, capacity, mode, status FROM n, cohort");
    equal(p, a);
    made = strdup(asked(a->program, "SELECT sql FROM sqlite_schema WHERE name = 'cohort'"));
    for (int i = 1; i <= 2; i++) {
        lsn = header_at(a, "cohort", ID(1)).lsn;
        edit(p, p->hub, "UPDATE cohort SET code = 'by hub %d' WHERE id = 'c7'", i);
        written(a, "PRAGMA legacy_alter_table = ON; BEGIN; ALTER TABLE cohort RENAME TO old; %s; INSERT INTO cohort SELECT * FROM old WHERE id <> 'c9';"
                   "UPDATE cohort SET capacity = %d WHERE id = 'c8'; DELETE FROM old; DROP TABLE old; COMMIT", made, 20 + i);
        harvest_in_chunks(p, a, i == 1 ? 100 : 1);
        assert_int_equal(header_at(a, "cohort", ID(1)).lsn, lsn); /* nobody has written it */
        equal(p, a);
        says(p->hub, "60", "SELECT count(*) FROM cohort"); /* one is deleted indeed */
        says(p->hub, i == 1 ? "by hub 1 21" : "by hub 2 22", "SELECT group_concat(iif(id = 'c7', code, capacity), ' ') FROM (SELECT * FROM cohort WHERE id IN ('c7', 'c8') ORDER BY id)");
        says(p->hub, "0", "SELECT count(*) FROM perche_conflict");
    }
    free(made);
}

static void a_column_of_a_sites_own_called_rowid_mixes_no_old_values_up(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    written(a, "ALTER TABLE cohort ADD COLUMN rowid INTEGER");
    for (int i = 1; i <= 3; i++)
        cohort(p, a, i == 1 ? ID(1) : i == 2 ? ID(2) : ID(3), SITE_ID(p, 0));
    equal(p, a);
    written(a, "UPDATE cohort SET rowid = -1; DELETE FROM cohort WHERE id <> '" ID(2) "'");
    harvest_here(p, a);
    says(a, "0", "SELECT count(*) FROM perche_gone_cohort");
    assert_string_equal(header_at(a, "cohort", ID(3)).scope, SITE_ID(p, 0));
    equal(p, a);
    says(p->hub, ID(2), "SELECT group_concat(id) FROM cohort");
}

static void a_chunk_that_ends_between_two_edits_of_a_row_finds_nothing_unseen(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    written(a, "UPDATE cohort SET code = 'x'; UPDATE cohort SET seq = 5; UPDATE perche_capture SET at = %llu", (unsigned long long)p->now);
    assert_int_equal(harvest_in_chunks(p, a, 1), 0);
    equal(p, a);
    says(p->hub, "x 5", "SELECT code || ' ' || seq FROM cohort");
}

/* Else it has two stamps, and whoever meets the first one asks a person about the second. */
static void what_stands_further_on_is_stamped_there_alone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char *json;
    int said = 0;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    free(pair_command(p, a, "audit", "{}"));
    written(a, "UPDATE cohort SET code = 'x'; UPDATE perche_capture SET at = %llu", (unsigned long long)p->now);
    written(a, "UPDATE cohort SET seq = 5; UPDATE perche_capture SET at = %llu WHERE n = (SELECT max(n) FROM perche_capture)", (unsigned long long)p->now + 10);
    harvest_in_chunks(p, a, 1);
    json = pair_query(p, a, "history", "{\"table\": \"cohort\", \"id\": \"" ID(1) "\"}");
    for (const char *at = json; (at = strstr(at, "\"seq\"")) != NULL; at++)
        said++;
    free(json);
    assert_int_equal(said, 2); /* its insert, and the edit */
}

static int looks_on(unsigned kind, void *ctx, void *stmt, void *text)
{
    (void)kind, (void)stmt;
    *(int *)ctx += strstr(text, "FROM perche_capture WHERE n > ?1 AND") != NULL;
    return 0;
}

/* There may be a hundred thousand changes, and no index of their rows. */
static void what_stands_further_on_is_read_once_for_a_chunk(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct work w = pair_work(WORK_HARVEST, NULL);
    struct outcome o;
    int looks = 0;

    edit(p, a, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO learner (id, home_site_id)"
               " SELECT printf('0198f3a0-0000-7000-8000-%%012d', i), '%s' FROM n", SITE_ID(p, 0));
    equal(p, a);
    written(a, "DROP TRIGGER perche_learner_insert; UPDATE learner SET call_name = 'x'; UPDATE learner SET ine = 'y' WHERE id NOT LIKE '%%000000000007';"
               "BEGIN; UPDATE perche_flag SET applying = 1; UPDATE learner SET given_names = 'unseen' WHERE id LIKE '%%000000000009'; UPDATE perche_flag SET applying = 0; COMMIT;"
               "UPDATE perche_capture SET at = %llu", (unsigned long long)p->now);
    assert_int_equal(sqlite3_trace_v2(a->r->db, SQLITE_TRACE_STMT, looks_on, &looks), SQLITE_OK);
    w.rows_max = 60;
    o = pair_do(p, a, w);
    assert_int_equal(o.rows, 60);
    assert_true(o.more);
    outcome_free(&o);
    assert_int_equal(sqlite3_trace_v2(a->r->db, 0, NULL, NULL), SQLITE_OK);
    assert_int_equal(looks, 1);
    harvest_in_chunks(p, a, 60);
    equal(p, a);
    says(p->hub, "60 59 1", "SELECT count(call_name) || ' ' || count(ine) || ' ' || count(given_names) FROM learner");
}

static void a_chunk_that_ends_between_an_edit_and_the_delete_of_its_row_still_knows_whose_it_was(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    written(p->hub, "UPDATE cohort SET code = 'P2'; DELETE FROM cohort");
    harvest_in_chunks(p, p->hub, 1);
    assert_string_equal(header_at(p->hub, "cohort", ID(1)).scope, SITE_ID(p, 0));
    equal(p, a);
    says(a, "0", "SELECT count(*) FROM cohort");
    assert_int_equal(header_at(a, "cohort", ID(1)).gen, 2); /* deleted, not left */
    says(p->hub, "0", "SELECT count(*) FROM perche_left WHERE ended = 0");
}

/* A copy of the file may have the insert, and not the deletion: it would win. */
static void a_chunk_that_ends_between_an_insert_again_and_its_delete_is_two_generations_on(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "CREATE TEMP TABLE keep AS SELECT * FROM cohort; DELETE FROM cohort");
    equal(p, a);
    assert_int_equal(header_at(a, "cohort", ID(1)).gen, 2);
    written(a, "INSERT INTO cohort SELECT * FROM keep; DELETE FROM cohort");
    harvest_in_chunks(p, a, 1);
    assert_int_equal(header_at(a, "cohort", ID(1)).gen, 4);
    equal(p, a);
    assert_int_equal(header_at(p->hub, "cohort", ID(1)).gen, 4);
}

static void chunks_of_one_end_as_one_harvest(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    written(a, "CREATE TEMP TABLE keep AS SELECT * FROM cohort; UPDATE cohort SET code = 'x'; DELETE FROM cohort; INSERT INTO cohort SELECT * FROM keep;"
               "UPDATE cohort SET seq = 4; DELETE FROM cohort; INSERT INTO cohort SELECT * FROM keep; UPDATE cohort SET code = 'last'");
    harvest_in_chunks(p, a, 1);
    says(a, "last", "SELECT code FROM cohort");
    assert_int_equal(header_at(a, "cohort", ID(1)).gen % 2, 1);
    says(a, "0", "SELECT count(*) FROM perche_gone_cohort");
    equal(p, a);
    says(p->hub, "last", "SELECT code FROM cohort");
}

/* The first chunk takes the row as it is by then, for an update that stands before the REPLACE. */
static void a_chunk_that_ends_between_an_edit_and_a_replace_of_its_row_loses_nothing(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    written(a, "UPDATE cohort SET code = 'P2'");
    written(a, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO project (site_id, title, kind)"
               " SELECT '%s', 'P', 'WEB' FROM n", SITE_ID(p, 0)); /* of a few rows all are looked at more closely */
    written(a, "REPLACE INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
               " SELECT id, site_id, training_id, code, starts_on, ends_on, 15, 'REMOTE', status FROM cohort");
    written(a, "UPDATE perche_capture SET at = %llu", (unsigned long long)p->now);
    edit(p, p->hub, "UPDATE cohort SET mode = 'MIXED', capacity = 9"); /* which the site has not seen */
    harvest_in_chunks(p, a, 50);
    equal(p, a);
    says(p->hub, "P2 9 MIXED 1", "SELECT code || ' ' || capacity || ' ' || mode || ' ' ||"
                                   " (SELECT count(*) FROM perche_conflict WHERE col = 'mode' AND b_value = 'REMOTE' OR a_value = 'REMOTE') FROM cohort");
}

/* A harvest that waited for the lock: the row was written again between its being asked for and its turn. */
static void asked_for_before_the_replace(struct pair *p, int chunks, bool restart)
{
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    written(a, "UPDATE cohort SET code = 'P2'");
    written(a, "UPDATE perche_capture SET at = %llu", (unsigned long long)p->now);
    written(a, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO project (site_id, title, kind)"
               " SELECT '%s', 'P', 'WEB' FROM n", chunks * 50 - 40, SITE_ID(p, 0));
    written(a, "REPLACE INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
               " SELECT id, site_id, training_id, code, starts_on, ends_on, 15, 'REMOTE', status FROM cohort");
    written(a, "UPDATE perche_capture SET at = %llu WHERE mask <> 0 AND n > (SELECT min(n) FROM perche_capture)", (unsigned long long)p->now + 500);
    for (int i = 1; i <= chunks; i++) {
        struct work w = pair_work(WORK_HARVEST, NULL);
        struct outcome o;

        w.rows_max = 50;
        o = pair_do(p, a, w);
        assert_int_equal(o.more, i < chunks);
        outcome_free(&o);
        p->now += 1000;
        if (restart) {
            fixture_close(a);
            fixture_open(a);
        }
    }
    equal(p, a);
    says(p->hub, "P2 15 REMOTE", "SELECT code || ' ' || capacity || ' ' || mode FROM cohort");
}

static void nor_does_a_chunk_that_was_asked_for_before_the_replace(void **state)
{
    asked_for_before_the_replace(*state, 2, false);
}

static void nor_do_several_with_a_restart_after_each(void **state)
{
    asked_for_before_the_replace(*state, 4, true);
}

static void a_replace_that_changed_nothing_changes_no_stamp(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct state before;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    before = state_of(p, a);
    edit(p, a, "REPLACE INTO cohort SELECT * FROM cohort");
    assert_true(state_of(p, a).lsn == before.lsn);
    edit(p, a, "REPLACE INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
               " SELECT id, site_id, training_id, 'P2', starts_on, ends_on, capacity, mode, status FROM cohort");
    assert_true(state_of(p, a).lsn == before.lsn + 1);
    assert_int_equal(header_at(a, "cohort", ID(1)).gen, 1);
}

static void a_hubs_column_left_at_its_default_is_no_cell_of_a_site(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    learner(p, a, ID(1), SITE_ID(p, 0));
    assert_false(cell_at(a, "learner", ID(1), "restricted").written);
    assert_false(cell_at(a, "learner", ID(1), "erased_at").written);
    learner(p, p->hub, ID(2), SITE_ID(p, 0));
    assert_true(cell_at(p->hub, "learner", ID(2), "restricted").written);
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM perche_refusal");
}

static void parents_are_numbered_before_their_children(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    written(a, "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('" ID(1) "', '" ID(2) "', 'MAIL', 'a@b.org');"
               "INSERT INTO learner (id, home_site_id) VALUES ('" ID(2) "', (SELECT site_id FROM perche_self))");
    harvest_here(p, a);
    assert_true(header_at(a, "learner", ID(2)).lsn < header_at(a, "learner_contact", ID(1)).lsn);
}

static void a_deleted_row_keeps_the_cells_of_its_scope_and_no_other(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    cohort(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "DELETE FROM cohort");
    equal(p, a);
    for (int i = 0; i < 2; i++) {
        struct fixture *f = i == 0 ? a : p->hub;

        assert_int_equal(header_at(f, "cohort", ID(1)).gen, 2);
        assert_true(cell_at(f, "cohort", ID(1), "site_id").written);
        assert_false(cell_at(f, "cohort", ID(1), "code").written);
        assert_string_equal(header_at(f, "cohort", ID(1)).scope, SITE_ID(p, 0));
    }
}

static void only_a_write_over_an_unfinished_pull_names_what_it_replaced(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char long_note[4000];

    cohort(p, p->hub, ID(1), SITE_ID(p, 0));
    equal(p, a);
    edit(p, a, "UPDATE cohort SET code = 'x'");
    assert_false(cell_at(a, "cohort", ID(1), "code").based);
    equal(p, a);
    edit(p, p->hub, "UPDATE cohort SET code = 'hub'");
    for (int i = 0; i < 8; i++) { /* more than one answer holds */
        for (size_t k = 0; k + 1 < sizeof long_note; k++)
            long_note[k] = (char)('a' + (int)(k * (size_t)(i + 7) * 31 % 26));
        long_note[sizeof long_note - 1] = '\0';
        edit(p, p->hub, "INSERT INTO learner (id, home_site_id, given_names) VALUES ('0198f3a0-0000-7000-8000-0000000001%02d', '%s', '%s')", i, SITE_ID(p, 0), long_note);
    }
    assert_true(pull_once(p, a, 1000));
    says(a, "hub", "SELECT code FROM cohort");
    edit(p, a, "UPDATE cohort SET code = 'mine'");
    assert_true(cell_at(a, "cohort", ID(1), "code").based);
    assert_true(cell_at(a, "cohort", ID(1), "code").base_stamp == cell_at(p->hub, "cohort", ID(1), "code").stamp);
    edit(p, a, "UPDATE cohort SET code = 'mines'"); /* over its own: what that one had replaced is replaced still */
    assert_true(cell_at(a, "cohort", ID(1), "code").based);
    assert_true(cell_at(a, "cohort", ID(1), "code").base_stamp == cell_at(p->hub, "cohort", ID(1), "code").stamp);
    equal(p, a);
    says(p->hub, "mines", "SELECT code FROM cohort");
    says(p->hub, "0", "SELECT count(*) FROM perche_conflict"); /* it had seen the hub's */
}

static void an_implausible_clock_marks_its_rows(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t now = p->now, stamp;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    stamp = cell_at(a, "cohort", ID(1), "code").stamp;
    p->now = 1000; /* 1970 */
    written(a, "UPDATE cohort SET code = 'x'");
    harvest_here(p, a);
    assert_true(header_at(a, "cohort", ID(1)).flags & META_SUSPECT);
    assert_true(cell_at(a, "cohort", ID(1), "code").stamp == stamp + 1);
    p->now = now;
}

static void a_harvest_that_fails_leaves_every_captured_change(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct state before = state_of(p, a);
    struct work w = pair_work(WORK_HARVEST, NULL);
    struct outcome o;

    for (int i = 0; i < 200; i++)
        written(a, "INSERT INTO learner (id, home_site_id, given_names) VALUES (printf('0198f3a0-0000-7000-8000-%%012d', %d), (SELECT site_id FROM perche_self), hex(randomblob(500)))", i);
    assert_int_equal(sqlite3_exec(a->r->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK); /* as many as there are */
    o = pair_try(p, a, &w);
    assert_int_equal(o.rc, PERCHE_FULL);
    outcome_free(&o);
    says(a, "200", "SELECT count(*) FROM perche_capture");
    assert_int_equal(sqlite3_exec(a->r->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL), SQLITE_OK);
    assert_true(state_of(p, a).lsn == before.lsn + 200);
    says(a, "0", "SELECT count(*) FROM perche_capture");
    equal(p, a);
}

static void names_that_need_quotes_are_harvested_and_travel(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char *json;

    program(p->hub, "CREATE TABLE \"it's \"\"odd\"\"\" (\"k\"\"'1\" TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, \"a\"\"b'c\" TEXT) STRICT");
    json = pair_replicate(p, "{\"table\": \"it's \\\"odd\\\"\", \"scope\": \"site_id\"}");
    free(json);
    pair_prove(p, a);
    edit(p, a, "INSERT INTO \"it's \"\"odd\"\"\" VALUES ('x', (SELECT site_id FROM perche_self), 'v')");
    equal(p, a);
    says(p->hub, "v", "SELECT \"a\"\"b'c\" FROM \"it's \"\"odd\"\"\"");
    edit(p, a, "DELETE FROM \"it's \"\"odd\"\"\"");
    equal(p, a);
    says(p->hub, "0", "SELECT count(*) FROM \"it's \"\"odd\"\"\"");
    says(a, "0", "SELECT count(*) FROM \"perche_gone_it's \"\"odd\"\"\"");
}

/* What SQLite makes of a value before it stores it is what the trigger, the digest and the other node see. */
static void what_affinity_has_made_of_a_value_travels_as_it_is_stored(void **state)
{
    static const struct {
        const char *set, *stored;
    } cases[] = {
        {"i = '12', r = 12, s = 12, n = '1e2'", "12 integer|12.0 real|'12' text|100 integer|NULL null"},
        {"i = '12x', r = '12x', s = 12.50, n = '12 x'", "'12x' text|'12x' text|'12.5' text|'12 x' text|NULL null"},
        {"i = 9e999 - 9e999, r = 9e999 - 9e999, n = x'00'", "NULL null|NULL null|'12.5' text|X'00' blob|NULL null"},
        {"i = 12.0, r = 9007199254740993, n = 3.0, x = 12.0", "12 integer|9.00719925474099199994e+15 real|'12.5' text|3 integer|12.0 real"},
        {"i = 1e300, r = 0.5, x = 12", "1.0e+300 real|0.5 real|'12.5' text|3 integer|12 integer"},
    };
    static const char ask[] = "SELECT quote(i) || ' ' || typeof(i) || '|' || quote(r) || ' ' || typeof(r) || '|' || quote(s) || ' ' || typeof(s)"
                              " || '|' || quote(n) || ' ' || typeof(n) || '|' || quote(x) || ' ' || typeof(x) FROM loose";
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    replicate(p, a, "CREATE TABLE loose (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, i INTEGER, r REAL, s TEXT, n NUMERIC, x)", "loose");
    edit(p, a, "INSERT INTO loose (id, site_id) SELECT 'k', site_id FROM perche_self");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        edit(p, i % 2 == 0 ? a : p->hub, "UPDATE loose SET %s", cases[i].set);
        equal(p, a);
        says(a, cases[i].stored, "%s", ask);
        says(p->hub, cases[i].stored, "%s", ask);
        pair_edit(p, a, 1000, "UPDATE loose SET i = i, r = r, s = s, n = n, x = x"); /* and nothing new is seen in it */
        assert_int_equal(state_of(p, a).pending, 0);
    }
}

/* VACUUM may do it, and a program may. */
static void row_numbers_that_change_before_the_harvest_harm_nothing(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    replicate(p, a, "CREATE TABLE numbered (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, v TEXT)", "numbered");
    edit(p, a, "INSERT INTO numbered SELECT value, site_id, 'old' FROM json_each('[\"a\", \"b\", \"c\", \"d\"]'), perche_self");
    equal(p, a);
    written(a, "UPDATE numbered SET v = 'new' WHERE id = 'b'; DELETE FROM numbered WHERE id = 'a'");
    written(a, "UPDATE numbered SET rowid = 100 - rowid; VACUUM"); /* another row stands at each number */
    says(a, "2", "SELECT count(*) FROM perche_capture");
    harvest_here(p, a);
    equal(p, a);
    says(p->hub, "b new,c old,d old", "SELECT group_concat(id || ' ' || v) FROM (SELECT * FROM numbered ORDER BY id)");
}

static void positions_go_on_when_the_log_begins_again_and_the_newest_rows_are_gone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    uint64_t lsn;

    cohort(p, a, ID(1), SITE_ID(p, 0));
    cohort(p, a, ID(2), SITE_ID(p, 0));
    lsn = state_of(p, a).lsn;
    assert_true(header_at(a, "cohort", ID(2)).lsn == lsn);
    /* as if rows, marks and history were compacted away: no maximum of any table is as high any more */
    written(a, "DELETE FROM perche_row WHERE lsn > %llu - 2; DELETE FROM perche_mark WHERE lsn > %llu - 2; DELETE FROM perche_history",
            (unsigned long long)lsn, (unsigned long long)lsn);
    fixture_close(a);
    fixture_open(a);
    written(a, "INSERT INTO learner (id, home_site_id) VALUES ('" ID(3) "', (SELECT site_id FROM perche_self))");
    says(a, "1", "SELECT n FROM perche_capture"); /* that number has been there before */
    harvest_here(p, a);
    assert_true(header_at(a, "learner", ID(3)).lsn == lsn + 1);
}

/* The WAL's event comes before the commit of a program with synchronous=FULL is visible. */
static int commits_now(void *ctx, int tries)
{
    if (tries > 0)
        return 0;
    program(ctx, "COMMIT");
    return 1;
}

static void a_harvest_that_comes_before_the_commit_waits_for_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct outcome o;

    learner(p, a, ID(1), SITE_ID(p, 0));
    equal(p, a);
    written(a, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE; UPDATE learner SET call_name = 'soon'");
    assert_int_equal(sqlite3_busy_handler(a->r->db, commits_now, a), SQLITE_OK);
    o = pair_do(p, a, pair_work(WORK_HARVEST, NULL));
    assert_int_equal(o.rows, 1);
    outcome_free(&o);
    equal(p, a);
    says(p->hub, "soon", "SELECT call_name FROM learner");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_has_the_time_of_its_program_not_of_the_harvest),
        TEST(a_stamp_lies_above_the_last_one_and_not_after_now),
        TEST(a_row_that_came_uncaptured_is_taken_whole_at_its_next_edit),
        TEST(a_value_too_large_to_send_is_listed_and_nothing_waits_for_it),
        TEST(a_new_row_travels_without_what_is_too_large_of_it),
        TEST(an_emptied_row_that_a_trigger_does_not_take_is_kept_or_waits),
        TEST(many_large_rows_are_harvested_in_smaller_chunks),
        TEST(a_key_too_long_is_listed_and_nothing_waits_for_it),
        TEST(a_row_without_a_key_is_listed_and_nothing_waits_for_it),
        TEST(what_a_row_holds_already_is_not_what_makes_it_too_large),
        TEST(delete_and_insert_are_two_generations_whenever_the_harvest_comes),
        TEST(what_one_harvest_changes_in_a_row_has_one_position_and_no_two_rows_share_one),
        TEST(what_came_and_went_between_two_harvests_leaves_a_tombstone),
        TEST(a_row_that_a_trigger_puts_back_while_it_is_deleted_is_changed),
        TEST(a_table_made_anew_whose_old_one_is_emptied_loses_no_row),
        TEST(a_column_of_a_sites_own_called_rowid_mixes_no_old_values_up),
        TEST(a_chunk_that_ends_between_two_edits_of_a_row_finds_nothing_unseen),
        TEST(what_stands_further_on_is_stamped_there_alone),
        TEST(what_stands_further_on_is_read_once_for_a_chunk),
        TEST(a_chunk_that_ends_between_an_edit_and_the_delete_of_its_row_still_knows_whose_it_was),
        TEST(a_chunk_that_ends_between_an_insert_again_and_its_delete_is_two_generations_on),
        TEST(chunks_of_one_end_as_one_harvest),
        TEST(a_chunk_that_ends_between_an_edit_and_a_replace_of_its_row_loses_nothing),
        TEST(nor_does_a_chunk_that_was_asked_for_before_the_replace),
        TEST(nor_do_several_with_a_restart_after_each),
        TEST(a_replace_that_changed_nothing_changes_no_stamp),
        TEST(a_hubs_column_left_at_its_default_is_no_cell_of_a_site),
        TEST(parents_are_numbered_before_their_children),
        TEST(a_deleted_row_keeps_the_cells_of_its_scope_and_no_other),
        TEST(only_a_write_over_an_unfinished_pull_names_what_it_replaced),
        TEST(an_implausible_clock_marks_its_rows),
        TEST(a_harvest_that_fails_leaves_every_captured_change),
        TEST(names_that_need_quotes_are_harvested_and_travel),
        TEST(what_affinity_has_made_of_a_value_travels_as_it_is_stored),
        TEST(row_numbers_that_change_before_the_harvest_harm_nothing),
        TEST(positions_go_on_when_the_log_begins_again_and_the_newest_rows_are_gone),
        TEST(a_harvest_that_comes_before_the_commit_waits_for_it),
    };

    return cmocka_run_group_tests_name("replica_harvest", tests, NULL, NULL);
}
