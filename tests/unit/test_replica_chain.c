/* What is written of outcomes is signed by who wrote it, and shows when it is altered. */
#include "replica_lives.h"

#include "replica/apply.h"

#define ENROLMENT "01487832-4000-7000-8003-000000000001"
#define OTHER     "01487832-4000-7000-8003-000000000002"
#define OF(id)    " WHERE enrolment_id = '" id "'"

static void enrol_at(struct pair *p, struct fixture *f, const char *id)
{
    char sql[1000];

    snprintf(sql, sizeof sql,
             "INSERT INTO learner (id, home_site_id, call_name) SELECT 'L' || '%s', site_id, 'Ana' FROM perche_self;"
             "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)"
             " SELECT '%s', 'L' || '%s', 'c', site_id, '2026-01-05', '2026-06-30' FROM perche_self;"
             "INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
             " VALUES ('%s', 'W4', 'JOBSEEKING', 'o', 'LATEST', 'Zoe', '2026-07-28')",
             id, id, id, id);
    pair_edit(p, f, 1000, sql);
}

static void decide(struct pair *p, struct fixture *f, const char *situation)
{
    char sql[200];

    snprintf(sql, sizeof sql, "UPDATE outcome_decision SET situation = '%s'" OF(ENROLMENT), situation);
    pair_edit(p, f, 1000, sql);
}

/* As a file that was edited elsewhere has it: no trigger has fired. */
static void past(struct fixture *f, const char *sql)
{
    char text[4000];

    snprintf(text, sizeof text, "BEGIN IMMEDIATE; UPDATE perche_flag SET applying = 1; %s; UPDATE perche_flag SET applying = 0; COMMIT", sql);
    program(f, text);
}

static const char *chain_at(struct pair *p, struct fixture *f, const char *path)
{
    char *json = pair_query(p, f, "verify", "{\"chain\": true}");
    const char *out = json_at(json, path);

    free(json);
    return out;
}

static void is_clean(struct pair *p, struct fixture *f, const char *entries)
{
    assert_string_equal(chain_at(p, f, "$.chain.records[0].why"), "null");
    assert_string_equal(chain_at(p, f, "$.chain.altered"), "0");
    assert_string_equal(chain_at(p, f, "$.chain.waiting"), "0");
    assert_string_equal(chain_at(p, f, "$.chain.entries"), entries);
    assert_string_equal(chain_at(p, f, "$.equal"), "1");
}

static void an_outcome_is_signed_by_who_wrote_it_and_checked_by_who_holds_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    char sql[300];

    enrol_at(p, a, ENROLMENT);
    decide(p, a, "EMP_PERMANENT");
    is_clean(p, a, "2"); /* before anybody else has it */
    pair_sync(p, a);
    pair_sync(p, b);
    is_clean(p, p->hub, "2");
    is_clean(p, b, "0"); /* P7 */
    program_says(b, "SELECT count(*) FROM perche_chain", "0");
    program_says(p->hub, "SELECT count(*) FROM perche_chain", "2");
    program_says(p->hub, "SELECT count(*) FROM site_key", "3");
    program_says(b, "SELECT count(*) FROM site_key", "3");

    snprintf(sql, sizeof sql, "INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('%s', '%s', 'placement', 1)",
             replica_site_id(a->r), replica_site_id(b->r));
    pair_edit(p, p->hub, 1000, sql);
    pair_sync(p, b);
    is_clean(p, b, "2");
    decide(p, b, "EMP_FIXED_TERM"); /* two authors have a chain each */
    pair_edit(p, p->hub, 1000, "UPDATE outcome_decision SET rule = 'REVIEW'" OF(ENROLMENT));
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    is_clean(p, a, "4");
    is_clean(p, b, "4");
    is_clean(p, p->hub, "4");
}

/* Whatever a machine that is never seen again has sent last. */
static void sent_row_by_row(struct pair *p, struct fixture *a, unsigned batches_min)
{
    unsigned batches = 0;
    bool more = true;

    while (more) {
        struct parcel b = push_made(p, a, state_of(p, a).acked, 1);

        more = b.more;
        push_told(p, a, &b, push_taken(p, a, &b));
        parcel_end(&b);
        assert_string_equal(chain_at(p, p->hub, "$.chain.altered"), "0");
        assert_string_equal(chain_at(p, p->hub, "$.chain.waiting"), "0");
        batches++;
    }
    assert_true(batches >= batches_min);
}

static void no_value_goes_before_the_entry_that_vouches_for_it(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    enrol_at(p, a, ENROLMENT);
    pair_push(p, a);
    back_up(p->hub);
    enrol_at(p, a, OTHER);
    pair_edit(p, a, 1000, "UPDATE learner SET call_name = 'Bo'");
    pair_edit(p, a, 1000, "UPDATE outcome_decision SET situation = 'EMP_PERMANENT'" OF(OTHER));
    decide(p, a, "EMP_FIXED_TERM");
    pair_edit(p, a, 1000, "DELETE FROM outcome_decision" OF(ENROLMENT));
    pair_edit(p, a, 1000, "INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
                          " VALUES ('" ENROLMENT "', 'W4', 'TRAINING', 'o', 'LATEST', 'Zoe', '2026-07-28')");
    sent_row_by_row(p, a, 6);
    is_clean(p, p->hub, "6");
    pair_edit(p, a, 1000, "UPDATE outcome_decision SET decided_by = 'Kim'");
    pair_push(p, a);
    put_back(p, p->hub); /* all of it goes again */
    (void)shake(p, a);
    sent_row_by_row(p, a, 6);
    is_clean(p, p->hub, "8");
}

static void no_value_goes_before_its_entry_when_stamps_are_shifted(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    enrol_at(p, a, ENROLMENT);
    pair_push(p, a);
    decide(p, a, "EMP_FIXED_TERM");
    pair_edit(p, a, 1000, "UPDATE learner SET call_name = 'Bo'");
    pair_edit(p, a, 1000, "UPDATE outcome_decision SET decided_by = 'Kim'");
    b = push_made(p, a, state_of(p, a).acked, 1); /* the first entry, without its row */
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    measured_ms = -10000;
    VERDICTS(shake(p, a), PERCHE_PROVEN);
    measured_ms = 0;
    sent_row_by_row(p, a, 3);
    program_says(p->hub, "SELECT situation || decided_by FROM outcome_decision", "EMP_FIXED_TERMKim");
    assert_string_equal(chain_at(p, p->hub, "$.chain.waiting"), "0");
}

static void an_entry_that_a_hub_which_was_put_back_has_is_not_refused(void **state)
{
    struct pair *p = *state;
    struct replica *r = p->hub->r;
    const char *reason = "of another row", *cols_reason = reason;
    struct merge_in in = {.gen = 1, .has_gen = true};
    struct perche_value id;
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n;
    uint64_t cols = 1;
    struct meta m;

    enrol_at(p, p->sites[0], ENROLMENT);
    pair_push(p, p->sites[0]);
    id = text_of(asked(p->hub->program, "SELECT id FROM perche_chain"));
    assert_int_equal(perche_key_encode(&id, 1, key, &key_n), PERCHE_OK);
    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    assert_int_equal(meta_load(r, registry_table(r, "perche_chain"), (struct perche_bytes){key, key_n}, &m), PERCHE_OK);
    assert_true(m.stored);
    assert_int_equal(rights_recover(r, name_number(r, SITE_ID(p, 0)), &m, &in, &reason, &cols, &cols_reason), PERCHE_OK);
    assert_null(reason);
    assert_null(cols_reason);
    assert_true(cols == 0);
    meta_clear(&m);
    tx_rollback(r);
}

static void other_tables_are_not_signed(void **state)
{
    struct pair *p = *state;

    pair_edit(p, p->sites[0], 1000, "INSERT INTO learner (home_site_id, call_name) SELECT site_id, 'Ana' FROM perche_self");
    program_says(p->sites[0], "SELECT count(*) FROM perche_chain", "0");
    program_says(p->sites[0], "SELECT count(*) FROM perche_chain_head", "0");
}


static void whatever_is_altered_in_the_file_is_named(void **state)
{
    static const struct {
        const char *sql, *column, *why;
    } deeds[] = {
        {"UPDATE outcome_decision SET situation = 'JOBSEEKING'" OF(ENROLMENT), "situation", "it is not what was written"},
        {"UPDATE outcome_decision SET decided_by = 'Zoé'" OF(ENROLMENT), "decided_by", "it is not what was written"},
        {"DELETE FROM outcome_decision" OF(ENROLMENT), "null", "it is gone from its table"},
        {"INSERT INTO outcome_decision SELECT '" OTHER "', milestone, situation, observation_id, rule, decided_by, decided_at FROM outcome_decision", "null",
         "nobody is known to have written it"},
        {"UPDATE perche_chain SET entry = zeroblob(20)", "null", "an entry of its chain was altered"},
        {"UPDATE perche_chain SET entry = (SELECT entry FROM first_entry)", "null", "an entry of its chain was altered"},
        {"UPDATE perche_chain SET signature = zeroblob(64)", "null", "an entry of its chain is not signed by its author"},
        {"UPDATE perche_chain SET signature = (SELECT signature FROM first_entry)", "null", "an entry of its chain is not signed by its author"},
        {"UPDATE perche_chain SET salts = zeroblob(length(salts))", "situation", "the salt of its entry is gone"},
        {"UPDATE perche_chain SET salts = randomblob(length(salts))", "situation", "it is not what was written"},
        {"DELETE FROM perche_chain WHERE id = (SELECT id FROM first_entry)", "null", "an entry of its chain is missing"},
        {"DELETE FROM perche_chain WHERE id <> (SELECT id FROM first_entry)", "situation", "no entry of the chain vouches for it"},
        {"DELETE FROM perche_chain", "null", "no entry of the chain vouches for it"},
        {"UPDATE perche_chain SET tab = 'outcome_observation'", "null", "no entry of the chain vouches for it"},
        {"DELETE FROM site_key", "null", "no key of the site that signed it is known here"},
        {"UPDATE site_key SET signature = (SELECT signature FROM site_key ORDER BY signature LIMIT 1)", "null", "no key of the site that signed it is known here"},
    };
    struct pair *p = *state;
    struct fixture *all[] = {p->sites[0], p->hub};

    enrol_at(p, p->sites[0], ENROLMENT);
    pair_sync(p, p->sites[0]);
    program(p->hub, "CREATE TABLE first_entry AS SELECT * FROM perche_chain");
    program(p->sites[0], "CREATE TABLE first_entry AS SELECT * FROM perche_chain");
    decide(p, p->sites[0], "EMP_PERMANENT");
    pair_sync(p, p->sites[0]);
    for (int k = 0; k < 2; k++) {
        struct fixture *f = all[k];

        is_clean(p, f, "2");
        program(f, "CREATE TABLE kept_chain AS SELECT * FROM perche_chain; CREATE TABLE kept_key AS SELECT * FROM site_key;"
                   "CREATE TABLE kept_row AS SELECT * FROM outcome_decision");
        for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
            if (k == 0 && strstr(deeds[i].sql, "site_key") != NULL)
                continue; /* a node knows its own key by itself */
            past(f, deeds[i].sql);
            assert_string_equal(chain_at(p, f, "$.chain.records[0].why"), deeds[i].why);
            assert_string_equal(chain_at(p, f, "$.chain.records[0].column"), deeds[i].column);
            assert_string_equal(chain_at(p, f, "$.chain.records[0].table"), "outcome_decision");
            assert_string_equal(chain_at(p, f, "$.chain.records[0].row"), strstr(deeds[i].sql, OTHER) ? "[\"" OTHER "\",\"W4\"]" : "[\"" ENROLMENT "\",\"W4\"]");
            assert_string_equal(chain_at(p, f, "$.equal"), "0");
            past(f, "DELETE FROM perche_chain; INSERT INTO perche_chain SELECT * FROM kept_chain; DELETE FROM site_key; INSERT INTO site_key SELECT * FROM kept_key;"
                    "DELETE FROM outcome_decision; INSERT INTO outcome_decision SELECT * FROM kept_row");
        }
        is_clean(p, f, "2");
    }
}

/* Who can write the file and has a key of his own: the hub has not signed it. */
static void a_key_that_the_hub_has_not_signed_makes_nothing_good(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *stranger = p->sites[1];
    char sql[3000], hex[3][600];
    uint8_t entry[1000], signature[64];
    sqlite3_stmt *s;
    int n;

    enrol_at(p, a, ENROLMENT);
    pair_sync(p, a);
    assert_int_equal(sqlite3_prepare_v2(p->hub->program, "SELECT entry FROM perche_chain", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    n = sqlite3_column_bytes(s, 0);
    assert_true(n <= (int)sizeof entry);
    memcpy(entry, sqlite3_column_blob(s, 0), (size_t)n);
    sqlite3_finalize(s);
    fixture_sign(stranger, entry, (size_t)n, signature);
    sodium_bin2hex(hex[0], sizeof hex[0], signature, 64);
    snprintf(sql, sizeof sql, "UPDATE perche_chain SET signature = x'%s'", hex[0]);
    program(p->hub, sql);
    sodium_bin2hex(hex[1], sizeof hex[1], stranger->config.signer.public_key, 32);
    snprintf(sql, sizeof sql, "INSERT INTO site_key (site_id, public_key, signature) VALUES ('%s', '%s', '%s')", replica_site_id(a->r), hex[1], hex[0]);
    past(p->hub, sql);
    assert_string_equal(chain_at(p, p->hub, "$.chain.records[0].why"), "an entry of its chain is not signed by its author");
}

static void what_the_audit_takes_over_is_named_until_it_is_written_again(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char *json;

    enrol_at(p, a, ENROLMENT);
    pair_sync(p, a);
    past(a, "UPDATE outcome_decision SET situation = 'EMP_PERMANENT'");
    assert_string_equal(chain_at(p, a, "$.chain.records[0].why"), "it is not what was written"); /* before anything was compared */
    json = pair_command(p, a, "audit", "{}");
    free(json);
    p->now += 1000;
    pair_sync(p, a);
    for (int k = 0; k < 2; k++) {
        struct fixture *f = k ? p->hub : a;

        program_says(f, "SELECT situation FROM outcome_decision", "EMP_PERMANENT");
        assert_string_equal(chain_at(p, f, "$.chain.records[0].why"), "it was written behind Perche's back");
        assert_string_equal(chain_at(p, f, "$.chain.records[0].column"), "situation");
        assert_string_equal(chain_at(p, f, "$.chain.records[0].site"), "La Loupe");
    }
    decide(p, a, "JOBSEEKING");
    pair_sync(p, a);
    is_clean(p, a, "3");
    is_clean(p, p->hub, "3");
}

static void an_edit_that_hides_behind_an_ordinary_one_is_named(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    enrol_at(p, a, ENROLMENT);
    past(a, "UPDATE outcome_decision SET decided_by = 'nobody'");
    decide(p, a, "EMP_PERMANENT"); /* the row's new digest covers both */
    assert_string_equal(chain_at(p, a, "$.chain.records[0].column"), "decided_by");
    assert_string_equal(chain_at(p, a, "$.chain.records[0].why"), "it was written behind Perche's back");
}

static void a_row_that_moves_takes_its_chain_along(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    char sql[200];

    enrol_at(p, a, ENROLMENT);
    enrol_at(p, a, OTHER);
    decide(p, a, "EMP_PERMANENT");
    pair_sync(p, a);
    snprintf(sql, sizeof sql, "UPDATE enrolment SET site_id = '%s' WHERE id = '" ENROLMENT "'", replica_site_id(b->r));
    pair_edit(p, p->hub, 1000, sql);
    for (int i = 0; i < 4; i++)
        pair_sync(p, p->sites[i % 2]);
    is_clean(p, a, "1");
    is_clean(p, b, "2");
    is_clean(p, p->hub, "3");
    program_says(b, "SELECT DISTINCT key FROM perche_chain", "[\"" ENROLMENT "\",\"W4\"]");
    program_says(a, "SELECT DISTINCT key FROM perche_chain", "[\"" OTHER "\",\"W4\"]");
    decide(p, b, "EMP_FIXED_TERM");
    pair_sync(p, b);
    is_clean(p, b, "3");
}

static void pulled_row_by_row(struct pair *p, struct fixture *f, const char *bad, unsigned answers_min)
{
    unsigned answers = 0;
    bool more = true;

    while (more) {
        struct perche_message answer = pull_made(p, f, 1);
        struct outcome o;

        more = answer.u.pull_reply.more;
        o = pull_heard(p, f, answer);
        outcome_free(&o);
        assert_string_equal(chain_at(p, f, bad), "0");
        answers++;
    }
    assert_true(answers >= answers_min);
}

/* Whatever of it a hub has told before it is put back to where it had none. */
static void a_row_comes_after_its_entries_and_goes_before_them(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *b = p->sites[1];
    char sql[200];

    enrol_at(p, a, ENROLMENT);
    decide(p, a, "EMP_PERMANENT");
    pair_sync(p, a);
    pair_sync(p, b);
    snprintf(sql, sizeof sql, "UPDATE enrolment SET site_id = '%s' WHERE id = '" ENROLMENT "'", replica_site_id(b->r));
    pair_edit(p, p->hub, 1000, sql);
    pulled_row_by_row(p, b, "$.chain.waiting", 4);
    pulled_row_by_row(p, a, "$.chain.altered", 4);
}

/* The first of them is harvested as the row is by then. Nobody wrote past the triggers. */
static void edits_of_two_chunks_of_a_harvest_are_nothing_altered(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    bool more = true;
    char sql[400];

    enrol_at(p, a, ENROLMENT);
    pair_sync(p, a);
    snprintf(sql, sizeof sql, "DROP TRIGGER perche_outcome_decision_insert;" /* so the table is compared, and each row of it that is harvested before */
                              "UPDATE outcome_decision SET rule = 'REVIEW'; UPDATE learner SET call_name = 'Zoe'; UPDATE outcome_decision SET decided_by = 'Ada';"
                              "UPDATE perche_capture SET at = %llu", (unsigned long long)p->now);
    program(a, sql);
    while (more) {
        struct work w = pair_work(WORK_HARVEST, NULL);
        struct outcome o;

        w.rows_max = 1;
        o = pair_do(p, a, w);
        assert_int_equal(o.found, 0);
        more = o.more;
        outcome_free(&o);
    }
    assert_string_equal(chain_at(p, a, "$.chain.altered"), "0");
    pair_sync(p, a);
    assert_string_equal(chain_at(p, p->hub, "$.chain.altered"), "0");
    program_says(p->hub, "SELECT rule || decided_by FROM outcome_decision", "REVIEWAda");
}

static void a_deletion_is_signed_too_and_the_chain_outlives_the_tombstone(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    enrol_at(p, a, ENROLMENT);
    decide(p, a, "EMP_PERMANENT");
    pair_edit(p, a, 1000, "DELETE FROM outcome_decision");
    pair_sync(p, a);
    is_clean(p, a, "3");
    is_clean(p, p->hub, "3");
    program(p->hub, "DELETE FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'outcome_decision')");
    is_clean(p, p->hub, "3");
    program(p->hub, "UPDATE perche_chain SET signature = zeroblob(64)");
    assert_string_equal(chain_at(p, p->hub, "$.chain.altered"), "1");
}

/* What an erasure will do: the hub takes salts out. The signed bytes stay, and so does the chain. */
static void a_salt_that_is_taken_out_breaks_no_chain(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct replica *r = p->hub->r;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    const uint8_t zeros[64 * 16] = {0};
    uint8_t key[16];
    struct table *t;

    enrol_at(p, a, ENROLMENT);
    pair_sync(p, a);
    assert_true(perche_uuid_parse((const uint8_t *)asked(p->hub->program, "SELECT id FROM perche_chain"), 36, key));
    r->now_ms = p->now;
    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    t = registry_table(r, "perche_chain");
    values[5] = (struct perche_value){.type = PERCHE_BLOB, .n = (uint32_t)atoi(asked(p->hub->program, "SELECT length(salts) FROM perche_chain")), .p = zeros};
    assert_int_equal(applying_begin(r), PERCHE_OK);
    assert_int_equal(write_local(r, t, (struct perche_bytes){key, 16}, UINT64_C(1) << 4, values, 0), PERCHE_OK);
    assert_int_equal(applying_end(r), PERCHE_OK);
    assert_int_equal(tx_commit(r), PERCHE_OK);
    pair_sync(p, a);
    for (int k = 0; k < 2; k++) {
        struct fixture *f = k ? p->hub : a;

        program_says(f, "SELECT hex(salts) = hex(zeroblob(length(salts))) FROM perche_chain", "1");
        assert_string_equal(chain_at(p, f, "$.chain.records[0].why"), "the salt of its entry is gone"); /* nobody has erased the row */
        program(f, "UPDATE perche_row SET flags = flags | 1 WHERE tab = (SELECT num FROM perche_tab WHERE name = 'outcome_decision')");
        assert_string_equal(chain_at(p, f, "$.chain.altered"), "0");
        assert_string_equal(chain_at(p, f, "$.chain.entries"), "1");
    }
}

/* The handshake of a site whose clock is @ahead_ms ahead; it is right from then on. */
static void prove_ahead(struct pair *p, struct fixture *site, uint64_t ahead_ms)
{
    struct outcome o = pair_do(p, site, pair_work(WORK_PROVE_BUILD, NULL));
    struct work w = pair_work(WORK_PROVE_JUDGE, site);

    p->now -= ahead_ms;
    w.message = pair_line(&o);
    w.session = ++p->drawn;
    o = pair_do(p, p->hub, w);
    w = pair_work(WORK_PROVED, NULL);
    w.message = pair_line(&o);
    w.offset_ms = -(int64_t)ahead_ms;
    assert_false(w.message.refused);
    o = pair_do(p, site, w);
    outcome_free(&o);
}

static void what_is_shifted_or_of_another_id_is_signed_anew(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0], *f = pair_open(REPLICA_SITE, "dreux", 9);

    p->now += 3600000; /* a clock that is an hour ahead */
    enrol_at(p, a, ENROLMENT);
    decide(p, a, "EMP_PERMANENT");
    decide(p, a, "EMP_FIXED_TERM");
    is_clean(p, a, "3");
    prove_ahead(p, a, 3600000);
    is_clean(p, a, "1"); /* nobody had the others, and they vouched for stamps that are no more */
    decide(p, a, "JOBSEEKING");
    pair_sync(p, a);
    is_clean(p, a, "2");
    is_clean(p, p->hub, "2");

    enrol_at(p, f, OTHER);
    is_clean(p, f, "1");
    pair_join(p, f, "Dreux");
    pair_prove(p, f);
    pair_sync(p, f);
    is_clean(p, f, "1");
    is_clean(p, p->hub, "3");
    fixture_end(f);
}

/* The entry of the first value was sent, the value itself was not; then another one gets its stamp, as the clock was wrong by just as much. */
static void a_shift_that_meets_a_stamp_that_was_signed_before_is_signed_once_more(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct parcel b;

    enrol_at(p, a, ENROLMENT);
    pair_push(p, a);
    decide(p, a, "EMP_FIXED_TERM");
    b = push_made(p, a, state_of(p, a).acked, 1);
    push_told(p, a, &b, push_taken(p, a, &b));
    parcel_end(&b);
    p->now += 600000 - 1000;
    decide(p, a, "EMP_PERMANENT");
    prove_ahead(p, a, 600000);
    sent_row_by_row(p, a, 2);
    program_says(p->hub, "SELECT situation FROM outcome_decision", "EMP_PERMANENT");
    is_clean(p, p->hub, "3");
    is_clean(p, a, "3");
    past(p->hub, "UPDATE outcome_decision SET situation = 'EMP_FIXED_TERM'"); /* signed, too, but not last */
    assert_string_equal(chain_at(p, p->hub, "$.chain.records[0].why"), "it is not what was written");
}

static void signature_of_migration(struct fixture *f, const char *sql, char hex[129])
{
    struct perche_migration m = {.number = 1000, .name = "club", .sql = sql};
    struct perche_buf buf = {0};
    uint8_t signature[64];

    assert_int_equal(perche_migration_signed(&m, &buf), PERCHE_OK);
    f->config.signer.sign(f, buf.p, buf.n, signature);
    sodium_bin2hex(hex, 129, signature, sizeof signature);
    perche_buf_free(&buf);
}

/* Its replica alone was put back. What the old key vouched for the new one does; nothing else. */
static void a_hub_without_its_old_key_signs_anew_what_that_had_signed(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char hex[129], sql[1000];

    enrol_at(p, a, ENROLMENT);
    pair_edit(p, p->hub, 1000, "UPDATE learner SET call_name = 'Bo'");
    pair_sync(p, a);
    is_clean(p, p->hub, "1");
    signature_of_migration(p->hub, "SELECT 1", hex);
    snprintf(sql, sizeof sql, "INSERT INTO perche_migration VALUES (1000, 'club', 'SELECT 1', x'%s', 0), (1001, 'club', 'SELECT 2', x'%s', 0);"
                              " INSERT INTO site_key VALUES ('%s', '%064d', '%0128d')", hex, hex, replica_site_id(a->r), 7, 7);
    program(p->hub, sql);
    fixture_close(p->hub);
    fixture_key(p->hub);
    p->hub->config.random[0]++;
    fixture_open(p->hub);
    pair_edit(p, p->hub, 1000, "UPDATE learner SET call_name = 'Lu'");
    is_clean(p, p->hub, "1");
    program_says(p->hub, "SELECT group_concat(number || (signature IS NULL)) FROM perche_migration WHERE number >= 1000", "10001,10010");
    program_says(p->hub, "SELECT count(*) FROM site_key WHERE signature = printf('%0128d', 7)", "1");
    snprintf(sql, sizeof sql, "SELECT count(*) FROM site_key WHERE site_id = (SELECT site_id FROM perche_self)");
    program_says(p->hub, sql, "2");
    fixture_close(p->hub); /* once is enough */
    p->hub->config.random[0]++;
    fixture_open(p->hub);
    program_says(p->hub, sql, "2");
    is_clean(p, p->hub, "1");
}

static struct perche_chain_entry newest_entry(struct fixture *f, struct perche_arena **arena)
{
    struct perche_chain_entry e;
    sqlite3_stmt *s;

    assert_int_equal(sqlite3_prepare_v2(f->program,
                                        "SELECT c.entry FROM perche_chain c JOIN perche_chain_head h ON c.id = lower(printf('%s-%s-%s-%s-%s',"
                                        " substr(hex(h.id), 1, 8), substr(hex(h.id), 9, 4), substr(hex(h.id), 13, 4), substr(hex(h.id), 17, 4), substr(hex(h.id), 21)))",
                                        -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_int_equal(perche_chain_decode((struct perche_bytes){sqlite3_column_blob(s, 0), (uint32_t)sqlite3_column_bytes(s, 0)}, &e, arena), PERCHE_OK);
    sqlite3_finalize(s);
    return e;
}

static void a_new_epoch_begins_a_new_chain_that_names_the_last_entry_of_the_old_one(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    struct perche_chain_entry old, new;
    struct perche_arena *arenas[2];

    enrol_at(p, a, ENROLMENT);
    decide(p, a, "EMP_PERMANENT");
    old = newest_entry(a, &arenas[0]);
    assert_int_equal(old.n, 2);
    assert_true(old.prev_epoch == old.epoch && old.prev_n == 1 && old.cells_count == 1);
    fixture_close(a);
    program(a, "UPDATE perche_node SET prev_epoch = epoch, epoch = epoch + 1");
    fixture_open(a);
    decide(p, a, "EMP_FIXED_TERM");
    new = newest_entry(a, &arenas[1]);
    assert_int_equal(new.n, 1);
    assert_true(new.epoch == old.epoch + 1 && new.prev_epoch == old.epoch && new.prev_n == 2);
    is_clean(p, a, "3");
    perche_arena_free(arenas[0]);
    perche_arena_free(arenas[1]);
}

/* What a site's file had altered before it was sent, and what it says of an entry that the hub has. */
static void the_hub_takes_no_entry_that_is_not_its_authors_or_another_than_it_has(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];

    enrol_at(p, a, ENROLMENT);
    program(a, "UPDATE perche_chain SET entry = zeroblob(30)");
    pair_push(p, a);
    program_says(p->hub, "SELECT count(*) FROM outcome_decision", "1");
    program_says(p->hub, "SELECT count(*) FROM perche_chain", "0");
    program_says(p->hub, "SELECT group_concat(reason) FROM perche_refusal", "chain");
    assert_string_equal(chain_at(p, p->hub, "$.chain.records[0].why"), "no entry of the chain vouches for it");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(an_outcome_is_signed_by_who_wrote_it_and_checked_by_who_holds_it),
        T(other_tables_are_not_signed),
        T(an_entry_that_a_hub_which_was_put_back_has_is_not_refused),
        T(no_value_goes_before_the_entry_that_vouches_for_it),
        T(no_value_goes_before_its_entry_when_stamps_are_shifted),
        T(whatever_is_altered_in_the_file_is_named),
        T(a_key_that_the_hub_has_not_signed_makes_nothing_good),
        T(what_the_audit_takes_over_is_named_until_it_is_written_again),
        T(an_edit_that_hides_behind_an_ordinary_one_is_named),
        T(a_row_that_moves_takes_its_chain_along),
        T(a_row_comes_after_its_entries_and_goes_before_them),
        T(edits_of_two_chunks_of_a_harvest_are_nothing_altered),
        T(a_deletion_is_signed_too_and_the_chain_outlives_the_tombstone),
        T(a_salt_that_is_taken_out_breaks_no_chain),
        T(what_is_shifted_or_of_another_id_is_signed_anew),
        T(a_hub_without_its_old_key_signs_anew_what_that_had_signed),
        T(a_shift_that_meets_a_stamp_that_was_signed_before_is_signed_once_more),
        T(a_new_epoch_begins_a_new_chain_that_names_the_last_entry_of_the_old_one),
        T(the_hub_takes_no_entry_that_is_not_its_authors_or_another_than_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
