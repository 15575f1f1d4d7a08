/* Conflicts: found alike by two nodes, carried with their row, settled by people. */
#include <math.h>

#include "replica_pair.h"

#include "replica/ask.h"

#define LEARNER "0198f3a0-0000-7000-8000-000000000001"
#define OPEN    "SELECT count(*) FROM perche_conflict WHERE state = 'open'"

static struct fixture *site_of(struct pair *p)
{
    return p->sites[0];
}

/* A learner whose @column the site and the hub have changed without knowing of each other; both have found out. */
static void disagree(struct pair *p, const char *column, const char *hubs, const char *sites)
{
    char sql[300];

    pair_edit(
        p, site_of(p), 1000,
        "INSERT INTO learner (id, home_site_id, birth_family_name, call_name, birth_date) VALUES ('" LEARNER
        "', (SELECT site_id FROM perche_self), 'Martin', 'Camille', '2001-02-03') ON CONFLICT DO NOTHING");
    pair_sync(p, site_of(p));
    snprintf(sql, sizeof sql, "UPDATE learner SET %s = %s", column, hubs);
    pair_edit(p, p->hub, 1000, sql);
    snprintf(sql, sizeof sql, "UPDATE learner SET %s = %s", column, sites);
    pair_edit(p, site_of(p), 1000, sql);
    pair_sync(p, site_of(p));
}

static void proven(struct pair *p, struct fixture *site)
{
    uint32_t level;
    uint64_t repaired;

    pair_sync(p, site);
    assert_int_equal(pair_compare(p, site, &level, &repaired), PERCHE_EQUAL);
}

/* The conflict's id; the same at both nodes. */
static const char *only_id(struct pair *p, struct fixture *f)
{
    static char id[64];

    (void)p;
    snprintf(id, sizeof id, "%s", asked(f->program, "SELECT id FROM perche_conflict"));
    program_says(f, "SELECT count(*) FROM perche_conflict", "1");
    return id;
}

static void two_edits_of_a_review_column_are_one_open_question_everywhere(void **state)
{
    struct pair *p = *state;
    struct fixture *s = site_of(p);
    char id[64];

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    strcpy(id, only_id(p, p->hub));
    assert_string_equal(only_id(p, s), id);
    for (int i = 0; i < 2; i++) {
        struct fixture *f = i == 0 ? p->hub : s;

        program_says(
            f,
            "SELECT json_array(tab, key, col, kind, state, a_value, b_value, value, resolved_by, reason) FROM perche_conflict",
            "[\"learner\",\"[\\\"" LEARNER
            "\\\"]\",\"birth_family_name\",\"review\",\"open\",\"Durand\",\"Duval\",null,null,null]");
        program_says(f, "SELECT birth_family_name FROM learner",
                     "Duval"); /* the later one, until somebody decides */
        program_says(f, "SELECT col FROM perche_contested", "birth_family_name");
    }
    program_says(p->hub, "SELECT b_at - a_at FROM perche_conflict", "1000");
    assert_string_equal(asked(p->hub->program, "SELECT a_site FROM perche_conflict"),
                        replica_site_id(p->hub->r));
    assert_string_equal(asked(p->hub->program, "SELECT b_site FROM perche_conflict"),
                        replica_site_id(s->r));
    proven(p, s);
}

static void two_edits_of_an_lww_column_leave_the_losing_value_in_a_settled_conflict(void **state)
{
    struct pair *p = *state;

    disagree(p, "call_name", "'Cam'", "'Milou'");
    for (int i = 0; i < 2; i++) {
        struct fixture *f = i == 0 ? p->hub : site_of(p);

        program_says(f, OPEN, "0");
        program_says(
            f,
            "SELECT json_array(kind, state, a_value, b_value, value, resolved_by, reason) FROM perche_conflict",
            "[\"lww\",\"resolved\",\"Cam\",\"Milou\",\"Milou\",null,\"latest\"]");
    }
    proven(p, site_of(p));
}

static void two_equal_edits_are_no_conflict(void **state)
{
    struct pair *p = *state;

    disagree(p, "birth_family_name", "'Durand'", "'Durand'");
    program_says(p->hub, "SELECT count(*) FROM perche_conflict", "0");
    proven(p, site_of(p));
}

static void a_conflict_is_numbered_before_its_row(void **state)
{
    struct pair *p = *state;

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    program_says(
        p->hub,
        "SELECT (SELECT lsn FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'perche_conflict'))"
        " < (SELECT lsn FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'learner'))",
        "1");
}

/* Else a cut falls between the question and its row, and the beaten value may be gone with the hub that is put back. */
static void a_row_at_which_a_value_was_beaten_goes_behind_its_question(void **state)
{
    struct pair *p = *state;

    disagree(p, "birth_family_name", "'x'", "'x'");
    pair_edit(p, site_of(p), 1000, "UPDATE learner SET birth_family_name = 'Duval'");
    pair_edit(p, p->hub, 1000, "UPDATE learner SET birth_family_name = 'Durand'");
    pair_push(p, site_of(p));
    program_says(p->hub, "SELECT birth_family_name FROM learner", "Durand");
    (void)only_id(p, p->hub);
    program_says(
        p->hub,
        "SELECT (SELECT lsn FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'perche_conflict'))"
        " < (SELECT lsn FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'learner'))",
        "1");
}

/* Its id and cells come from the two sides alone, whatever order they are told in. */
static void the_same_sides_make_the_same_row_on_any_node(void **state)
{
    struct pair *p = *state;
    struct conflict_side a = {.stamp = UINT64_C(7) << 16,
                              .value = {.type = PERCHE_INTEGER, .i = 5}};
    struct conflict_side b = {.stamp = UINT64_C(7) << 16, .value = {.type = PERCHE_NULL}};
    char rows[2][1024];

    disagree(p, "birth_family_name", "'x'", "'x'");
    for (int i = 0; i < 2; i++) {
        struct replica *r = i == 0 ? p->hub->r : site_of(p)->r;
        uint8_t key[16];
        uint64_t lsn;
        struct meta m;

        assert_int_equal(tx_begin(r, true), PERCHE_OK);
        assert_int_equal(applying_begin(r), PERCHE_OK);
        assert_true(perche_uuid_parse((const uint8_t *)LEARNER, 36, key));
        assert_int_equal(
            meta_load(r, registry_table(r, "learner"), (struct perche_bytes){key, 16}, &m),
            PERCHE_OK);
        a.origin = name_number(r, "site-a");
        b.origin = name_number(r, "site-b");
        assert_int_equal(conflict_raise(r, &m, 2, "review", i == 0 ? &a : &b, i == 0 ? &b : &a),
                         PERCHE_OK);
        lsn = r->node.lsn;
        assert_int_equal(conflict_raise(r, &m, 2, "review", &a, &b),
                         PERCHE_OK); /* found again: nothing */
        assert_int_equal(r->node.lsn, lsn);
        meta_clear(&m);
        assert_true(perche_uuid_parse(
            (const uint8_t *)asked(r->db, "SELECT id FROM perche_conflict"), 36, key));
        assert_int_equal(
            meta_load(r, registry_table(r, "perche_conflict"), (struct perche_bytes){key, 16}, &m),
            PERCHE_OK);
        for (uint32_t num = 0; num < m.count;
             num++) { /* of the later side, whoever found it and whenever */
            assert_true(m.cells[num].written);
            assert_int_equal(m.cells[num].stamp, b.stamp);
            assert_int_equal(m.cells[num].origin, b.origin);
        }
        meta_clear(&m);
        assert_int_equal(tx_commit(r), PERCHE_OK);
        strcpy(
            rows[i],
            asked(
                i == 0 ? p->hub->program : site_of(p)->program,
                "SELECT json_array(id, a_value, a_site, a_at, b_value, b_site, b_at, state) FROM perche_conflict"));
    }
    assert_string_equal(rows[0], rows[1]);
    assert_non_null(strstr(rows[0], ",5,\"site-a\",7,null,\"site-b\",7,\"open\"]"));
    proven(p, site_of(p));
    program_says(p->hub, "SELECT count(*) FROM perche_conflict", "1");
}

static void resolving_writes_the_value_and_closes_the_question_everywhere(void **state)
{
    struct pair *p = *state;
    char args[200], *json;

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    snprintf(
        args, sizeof args,
        "{\"id\": \"%.6s\", \"take\": \"a\", \"reason\": \"seen the paper\", \"by\": \"Mme Roux\"}",
        only_id(p, p->hub));
    json = pair_command(p, p->hub, "resolve", args);
    assert_string_equal(json_at(json, "$.value"), "Durand");
    assert_string_equal(json_at(json, "$.closed"), "1");
    assert_string_equal(json_at(json, "$.row[0]"), LEARNER);
    free(json);
    program_says(p->hub, "SELECT count(*) FROM perche_capture",
                 "0"); /* the daemon's own write is not captured again */
    proven(p, site_of(p));
    for (int i = 0; i < 2; i++) {
        struct fixture *f = i == 0 ? p->hub : site_of(p);

        program_says(f, "SELECT birth_family_name FROM learner", "Durand");
        program_says(f, OPEN, "0");
        program_says(f, "SELECT json_array(state, value, resolved_by, reason) FROM perche_conflict",
                     "[\"resolved\",\"Durand\",\"Mme Roux\",\"seen the paper\"]");
    }
}

/* A value that stays is still a decision: it has a stamp of its own, the conflict's. */
static void resolving_for_the_value_that_stands_is_a_write_as_well(void **state)
{
    struct pair *p = *state;
    struct replica *r = site_of(p)->r;
    char args[200];
    uint8_t key[16], id[16];
    struct meta m, c;

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"b\"}", only_id(p, site_of(p)));
    p->now += 5000;
    free(pair_command(p, site_of(p), "resolve", args));
    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    assert_true(perche_uuid_parse((const uint8_t *)LEARNER, 36, key));
    assert_true(perche_uuid_parse((const uint8_t *)only_id(p, site_of(p)), 36, id));
    assert_int_equal(meta_load(r, registry_table(r, "learner"), (struct perche_bytes){key, 16}, &m),
                     PERCHE_OK);
    assert_int_equal(
        meta_load(r, registry_table(r, "perche_conflict"), (struct perche_bytes){id, 16}, &c),
        PERCHE_OK);
    assert_int_equal(m.cells[table_column(m.table, "birth_family_name")->num].stamp >> 16, p->now);
    assert_int_equal(m.cells[table_column(m.table, "birth_family_name")->num].stamp,
                     c.cells[table_column(c.table, "state")->num].stamp);
    assert_int_equal(m.cells[table_column(m.table, "birth_family_name")->num].stamp,
                     c.cells[table_column(c.table, "reason")->num].stamp);
    assert_true(c.cells[table_column(c.table, "kind")->num].stamp <
                c.cells[table_column(c.table, "state")->num].stamp);
    meta_clear(&m);
    meta_clear(&c);
    assert_int_equal(tx_commit(r), PERCHE_OK);
    proven(p, site_of(p));
    program_says(p->hub, "SELECT json_array(state, resolved_by) FROM perche_conflict",
                 "[\"resolved\",\"la-loupe\"]");
    program_says(p->hub, OPEN, "0");
}

static void another_value_may_be_given_as_its_column_takes_it(void **state)
{
    struct pair *p = *state;
    char args[200], id[64], *json;

    pair_edit(
        p, site_of(p), 1000,
        "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status) VALUES ('" LEARNER
        "', (SELECT site_id FROM perche_self), 't', 'C1', '2026-01-05', '2026-06-30', 10, 'ON_SITE', 'PLANNED')");
    pair_sync(p, site_of(p));
    pair_edit(p, p->hub, 1000, "UPDATE cohort SET capacity = 11");
    pair_edit(p, site_of(p), 1000, "UPDATE cohort SET capacity = 12");
    pair_sync(p, site_of(p));
    strcpy(id, only_id(p, p->hub));
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"value\": \"many\"}", id);
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", args, PERCHE_USAGE);
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"value\": null}", id); /* NOT NULL */
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", args, PERCHE_USAGE);
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"c\"}", id);
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", args, PERCHE_USAGE);
    snprintf(args, sizeof args, "{\"id\": \"%s\"}", id);
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", args, PERCHE_USAGE);
    program_says(p->hub, OPEN, "1");
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"value\": \"20\"}", id);
    json = pair_command(p, p->hub, "resolve", args);
    assert_string_equal(json_at(json, "$.value"), "20");
    free(json);
    program_says(p->hub, "SELECT capacity || typeof(capacity) FROM cohort", "20integer");
    proven(p, site_of(p));
    program_says(site_of(p), "SELECT capacity FROM cohort", "20");
    program_says(site_of(p), "SELECT value || typeof(value) FROM perche_conflict", "20integer");
}

static void all_open_conflicts_of_the_cell_close_at_once_and_others_stay(void **state)
{
    struct pair *p = *state;
    char args[200], *json;

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    disagree(p, "birth_family_name", "'Dupont'", "'Duchamp'");
    disagree(p, "birth_date", "'2001-03-03'", "'2001-04-03'");
    program_says(p->hub, OPEN, "3");
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"a\"}",
             asked(p->hub->program, "SELECT id FROM perche_conflict WHERE b_value = 'Duchamp'"));
    json = pair_command(p, p->hub, "resolve", args);
    assert_string_equal(json_at(json, "$.closed"), "2");
    free(json);
    program_says(p->hub, "SELECT group_concat(col) FROM perche_conflict WHERE state = 'open'",
                 "birth_date");
    program_says(p->hub, "SELECT birth_family_name FROM learner", "Dupont");
    proven(p, site_of(p));
    program_says(site_of(p), OPEN, "1");
}

static void what_is_not_said_clearly_is_not_settled(void **state)
{
    struct pair *p = *state;
    char args[200], id[64];

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    strcpy(id, only_id(p, p->hub));
    snprintf(args, sizeof args, "{\"id\": \"%.3s\", \"take\": \"a\"}", id);
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", args, PERCHE_USAGE); /* too short */
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", "{\"id\": \"ffffffff-ffff\", \"take\": \"a\"}",
                 PERCHE_NOT_FOUND);
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", "{\"take\": \"a\"}", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", "[1]", PERCHE_USAGE);
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", "{", PERCHE_USAGE);
    /* two that begin alike */
    program(
        p->hub,
        "UPDATE perche_flag SET applying = 1; INSERT INTO perche_conflict (id, tab, key, col, kind, state)"
        " SELECT substr(id, 1, 8) || 'x', tab, key, col, kind, 'open' FROM perche_conflict; UPDATE perche_flag SET applying = 0");
    snprintf(args, sizeof args, "{\"id\": \"%.8s\", \"take\": \"a\"}", id);
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", args, PERCHE_USAGE);
    program(p->hub, "UPDATE perche_flag SET applying = 1; DELETE FROM perche_conflict WHERE length(id) = 9; UPDATE perche_flag SET applying = 0");
    program_says(p->hub, OPEN, "1");
    free(pair_command(p, p->hub, "resolve", args));
    pair_refuses(p, p->hub, WORK_COMMAND, "resolve", args, PERCHE_STATE); /* settled already */
}

static void what_was_taken_with_a_value_goes_along(void **state)
{
    struct pair *p = *state;
    char args[200];

    disagree(p, "call_name", "'x'", "'x'");
    pair_edit(
        p, site_of(p), 1000,
        "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end) VALUES ('" LEARNER
        "', '" LEARNER "', 'c', (SELECT site_id FROM perche_self), '2026-01-05', '2026-06-30');"
        "INSERT INTO outcome_decision VALUES ('" LEARNER
        "', 'W4', 'JOBSEEKING', 'obs-1', 'ONLY_ONE', 'staff-1', '2026-07-30')");
    pair_sync(p, site_of(p));
    pair_edit(
        p, p->hub, 1000,
        "UPDATE outcome_decision SET situation = 'EMP_PERMANENT', observation_id = 'obs-hub', decided_by = 'staff-hub'");
    pair_edit(
        p, site_of(p), 1000,
        "UPDATE outcome_decision SET situation = 'TRAINING', observation_id = 'obs-site', decided_by = 'staff-site'");
    pair_sync(p, site_of(p));
    program_says(p->hub, "SELECT count(*) FROM perche_conflict WHERE state = 'open'", "1");
    program_says(p->hub, "SELECT observation_id FROM outcome_decision", "obs-site");
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"a\"}",
             asked(p->hub->program, "SELECT id FROM perche_conflict WHERE state = 'open'"));
    free(pair_command(p, p->hub, "resolve", args));
    proven(p, site_of(p));
    for (int i = 0; i < 2; i++)
        program_says(
            i == 0 ? p->hub : site_of(p),
            "SELECT situation || ' ' || observation_id || ' ' || decided_by FROM outcome_decision",
            "EMP_PERMANENT obs-hub staff-site"); /* decided_by is a column of its own */
}

/* The hub deletes, the site edits what it still has. */
static void edit_deleted(struct pair *p)
{
    pair_edit(
        p, site_of(p), 1000,
        "INSERT INTO learner (id, home_site_id, birth_family_name, call_name) VALUES ('" LEARNER
        "', (SELECT site_id FROM perche_self), 'Martin', 'Camille')");
    pair_sync(p, site_of(p));
    pair_edit(p, p->hub, 1000, "DELETE FROM learner");
    pair_edit(p, site_of(p), 1000, "UPDATE learner SET birth_family_name = 'Duval'");
    pair_sync(p, site_of(p));
    program_says(p->hub, "SELECT count(*) FROM learner", "0");
    program_says(p->hub, "SELECT json_array(kind, col, state) FROM perche_conflict",
                 "[\"deleted\",\"birth_family_name\",\"open\"]");
}

static void an_edit_of_a_deleted_row_can_bring_it_back(void **state)
{
    struct pair *p = *state;
    char args[200], *json;
    bool edit_is_a;

    edit_deleted(p);
    edit_is_a =
        strcmp(asked(p->hub->program, "SELECT a_value IS NOT NULL FROM perche_conflict"), "1") == 0;
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"%s\"}", only_id(p, p->hub),
             edit_is_a ? "a" : "b");
    json = pair_command(p, p->hub, "resolve", args);
    assert_string_equal(json_at(json, "$.brought_back"), "1");
    free(json);
    program_says(p->hub, "SELECT birth_family_name || ' ' || call_name FROM learner",
                 "Duval Camille");
    proven(p, site_of(p));
    program_says(site_of(p), "SELECT birth_family_name || ' ' || call_name FROM learner",
                 "Duval Camille");
    program_says(site_of(p), OPEN, "0");
}

static void a_deletion_can_be_confirmed(void **state)
{
    struct pair *p = *state;
    char args[200], *json;
    bool edit_is_a;

    edit_deleted(p);
    edit_is_a =
        strcmp(asked(p->hub->program, "SELECT a_value IS NOT NULL FROM perche_conflict"), "1") == 0;
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"%s\"}", only_id(p, p->hub),
             edit_is_a ? "b" : "a");
    json = pair_command(p, p->hub, "resolve", args);
    assert_string_equal(json_at(json, "$.brought_back"), "0");
    free(json);
    program_says(p->hub, "SELECT count(*) FROM learner", "0");
    program_says(p->hub, OPEN, "0");
    proven(p, site_of(p));
    program_says(site_of(p), "SELECT count(*) FROM learner", "0");
    program_says(site_of(p), OPEN, "0");
}

static void a_conflict_moves_with_its_row(void **state)
{
    struct pair *p = *state;

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    proven(p, site_of(p));
    pair_edit(p, p->hub, 1000,
              "UPDATE learner SET home_site_id = (SELECT id FROM site WHERE name = 'Chartres')");
    proven(p, p->sites[0]);
    proven(p, p->sites[1]);
    program_says(p->sites[0], "SELECT count(*) FROM learner", "0");
    program_says(p->sites[0], "SELECT count(*) FROM perche_conflict", "0");
    program_says(p->sites[1], "SELECT birth_family_name FROM learner", "Duval");
    program_says(p->sites[1], OPEN, "1");
    /* and back: the mark goes away */
    pair_edit(p, p->hub, 1000,
              "UPDATE learner SET home_site_id = (SELECT id FROM site WHERE name = 'La Loupe')");
    proven(p, p->sites[0]);
    proven(p, p->sites[1]);
    program_says(p->sites[0], OPEN, "1");
    program_says(p->sites[1], "SELECT count(*) FROM perche_conflict", "0");
    /* away and back again before the site has heard of either */
    pair_edit(p, p->hub, 1000,
              "UPDATE learner SET home_site_id = (SELECT id FROM site WHERE name = 'Chartres')");
    pair_edit(p, p->hub, 1000,
              "UPDATE learner SET home_site_id = (SELECT id FROM site WHERE name = 'La Loupe')");
    proven(p, p->sites[0]);
    program_says(p->sites[0], OPEN, "1");
    program_says(
        p->hub,
        "SELECT count(*) FROM perche_left WHERE site = (SELECT num FROM perche_name WHERE text = (SELECT id FROM site WHERE name = 'La Loupe'))",
        "0");
}

static void a_conflict_has_the_scope_of_the_row_that_it_names(void **state)
{
    struct pair *p = *state;
    struct replica *r = p->hub->r;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    struct table *t;
    const char *key = "[\"" LEARNER "\"]";

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    t = registry_table(r, "perche_conflict");
    values[table_column(t, "tab")->num] =
        (struct perche_value){.type = PERCHE_TEXT, .n = 7, .p = (const uint8_t *)"learner"};
    values[table_column(t, "key")->num] = (struct perche_value){
        .type = PERCHE_TEXT, .n = (uint32_t)strlen(key), .p = (const uint8_t *)key};
    assert_string_equal(name_text(r, conflict_scope(r, t, values)), replica_site_id(site_of(p)->r));
    values[table_column(t, "key")->num].n = 3;
    assert_int_equal(conflict_scope(r, t, values), 0);
    values[table_column(t, "tab")->num].n = 5;
    assert_int_equal(conflict_scope(r, t, values), 0);
    assert_int_equal(tx_commit(r), PERCHE_OK);
}

/* It is replicated without capture: a program that deleted it would end the question here, and nowhere else. */
static void a_program_does_not_make_a_conflict_vanish(void **state)
{
    static const char *const tries[] = {"DELETE FROM perche_conflict", "UPDATE perche_conflict SET state = 'resolved'",
                                        "INSERT INTO perche_conflict (id, tab, key, col, kind, state) VALUES ('i', 't', 'k', 'c', 'lww', 'open')"};
    struct pair *p = *state;

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    for (int at_hub = 0; at_hub < 2; at_hub++)
        for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
            struct fixture *f = at_hub ? p->hub : site_of(p);

            assert_non_null(strstr(program_fails(f, tries[i]), "perche conflicts resolve"));
            program_says(f, OPEN, "1");
        }
}

/* The text of a key in a question is that of one record alone. */
static void a_key_in_a_question_is_read_as_it_was(void **state)
{
    struct pair *p = *state;
    struct replica *r;
    struct table *t;
    const struct perche_value values[] = {
        {.type = PERCHE_REAL, .r = 0.3}, {.type = PERCHE_REAL, .r = 0.1 + 0.2}, {.type = PERCHE_REAL, .r = 2461368.7295486117}, {.type = PERCHE_REAL, .r = 2461368.7295486112},
        {.type = PERCHE_REAL, .r = -1.5}, {.type = PERCHE_REAL, .r = 1.7976931348623157e308}, {.type = PERCHE_REAL, .r = 4.9406564584124654e-324},
        {.type = PERCHE_REAL, .r = HUGE_VAL}, {.type = PERCHE_REAL, .r = -HUGE_VAL}, {.type = PERCHE_INTEGER, .i = INT64_MIN}, {.type = PERCHE_INTEGER, .i = 7},
        {.type = PERCHE_TEXT, .n = 3, .p = (const uint8_t *)"a\0b"}, {.type = PERCHE_TEXT, .n = 3, .p = (const uint8_t *)"a\0c"}, {.type = PERCHE_TEXT, .n = 1, .p = (const uint8_t *)"a"},
        {.type = PERCHE_TEXT, .n = 5, .p = (const uint8_t *)"\0\0\"\\\0"}, {.type = PERCHE_TEXT, .n = 7, .p = (const uint8_t *)"a\\u0000"},
        {.type = PERCHE_TEXT, .n = 2, .p = (const uint8_t *)"\n\xe9"}, {.type = PERCHE_TEXT, .n = 0, .p = (const uint8_t *)""}};
    const char *const texts[] = {"[0.3]", "[0.30000000000000004]", "[2461368.7295486117]", "[2461368.7295486112]", "[-1.5]", "[1.7976931348623157e+308]", NULL, "[9e999]",
                                 "[-9e999]", "[-9223372036854775808]", "[7]", "[\"a\\u0000b\"]", NULL, "[\"a\"]"};
    uint8_t key[PERCHE_KEY_BYTES_MAX], again[PERCHE_KEY_BYTES_MAX];
    uint32_t n, again_n;

    program(p->hub, "CREATE TABLE thing (id NUMERIC NOT NULL PRIMARY KEY, v TEXT)");
    free(pair_replicate(p, "{\"table\": \"thing\", \"scope\": \"all\"}"));
    r = p->hub->r;
    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    t = registry_table(r, "thing");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char *json;

        assert_int_equal(perche_key_encode(&values[i], 1, key, &n), PERCHE_OK);
        json = ask_key_json(r, (struct perche_bytes){key, n});
        assert_non_null(json);
        if (i < sizeof texts / sizeof texts[0] && texts[i] != NULL)
            assert_string_equal(json, texts[i]);
        assert_true(ask_key_parse(r, t, json, again, &again_n));
        assert_int_equal(again_n, n);
        assert_memory_equal(again, key, n);
        free(json);
    }
    assert_false(ask_key_parse(r, t, "[7, 8]", again, &again_n));
    assert_false(ask_key_parse(r, t, "[\"7\\u0000\"]", again, &again_n)); /* not the number's */
    assert_int_equal(tx_commit(r), PERCHE_OK);
}

static void a_decision_about_a_key_with_a_nul_is_carried_out_in_that_record(void **state)
{
    struct pair *p = *state;
    char args[200];

    program(p->hub, "CREATE TABLE item (code TEXT NOT NULL PRIMARY KEY, site_id TEXT, v TEXT)");
    free(pair_replicate(p, "{\"table\": \"item\", \"scope\": \"site_id\"}"));
    pair_prove(p, site_of(p));
    pair_edit(p, site_of(p), 1000, "INSERT INTO item SELECT 'a' || char(0) || 'b', site_id, 'one' FROM perche_self; INSERT INTO item SELECT 'a', site_id, 'one' FROM perche_self");
    pair_sync(p, site_of(p));
    pair_edit(p, site_of(p), 1000, "UPDATE item SET v = 'edited'");
    pair_edit(p, p->hub, 1000, "DELETE FROM item WHERE code <> 'a'");
    pair_sync(p, site_of(p));
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"value\": \"edited\"}", only_id(p, p->hub));
    free(pair_command(p, p->hub, "resolve", args));
    proven(p, site_of(p));
    program_says(p->hub, "SELECT group_concat(hex(code) || v, ' ') FROM (SELECT * FROM item ORDER BY code)", "61edited 610062edited");
}

static void a_site_does_not_decide_for_the_hub(void **state)
{
    struct pair *p = *state;
    char args[200];

    disagree(p, "birth_family_name", "'Durand'", "'Duval'");
    program(site_of(p), "UPDATE perche_flag SET applying = 1; UPDATE perche_conflict SET col = 'restricted', a_value = 0, b_value = 1; UPDATE perche_flag SET applying = 0");
    snprintf(args, sizeof args, "{\"id\": \"%s\", \"take\": \"a\"}", only_id(p, site_of(p)));
    pair_refuses(p, site_of(p), WORK_COMMAND, "resolve", args, PERCHE_REFUSED);
    program_says(site_of(p), OPEN, "1");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(two_edits_of_a_review_column_are_one_open_question_everywhere),
        T(two_edits_of_an_lww_column_leave_the_losing_value_in_a_settled_conflict),
        T(two_equal_edits_are_no_conflict),
        T(a_conflict_is_numbered_before_its_row),
        T(a_row_at_which_a_value_was_beaten_goes_behind_its_question),
        T(the_same_sides_make_the_same_row_on_any_node),
        T(resolving_writes_the_value_and_closes_the_question_everywhere),
        T(resolving_for_the_value_that_stands_is_a_write_as_well),
        T(another_value_may_be_given_as_its_column_takes_it),
        T(all_open_conflicts_of_the_cell_close_at_once_and_others_stay),
        T(what_is_not_said_clearly_is_not_settled),
        T(what_was_taken_with_a_value_goes_along),
        T(an_edit_of_a_deleted_row_can_bring_it_back),
        T(a_deletion_can_be_confirmed),
        T(a_conflict_moves_with_its_row),
        T(a_conflict_has_the_scope_of_the_row_that_it_names),
        T(a_key_in_a_question_is_read_as_it_was),
        T(a_decision_about_a_key_with_a_nul_is_carried_out_in_that_record),
        T(a_site_does_not_decide_for_the_hub),
        T(a_program_does_not_make_a_conflict_vanish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
