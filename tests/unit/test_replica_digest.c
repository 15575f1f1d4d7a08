/* Proof that two nodes hold the same rows: digests, levels, repair. */
#include "replica_pair.h"
#include "replica/digest.h"

#include "replica/apply.h"

#define LEARNER "0198f3a0-0000-7000-8000-000000000"

static void insert_learner(struct fixture *f, int n, const char *name)
{
    char sql[512];

    snprintf(sql, sizeof sql,
             "INSERT INTO learner (id, home_site_id, call_name, use_family_name) VALUES ('" LEARNER
             "%03d', (SELECT site_id FROM perche_self), '%s', 'Martin')",
             n, name);
    program(f, sql);
}

/* Key of learner @n. */
static struct perche_bytes learner_key(int n, uint8_t key[16])
{
    char id[48];

    (void)snprintf(id, sizeof id, "0198f3a0-0000-7000-8000-%012d", n); /* LEARNER and three digits, or more */
    assert_true(perche_uuid_parse((const uint8_t *)id, 36, key));
    return (struct perche_bytes){key, 16};
}

/* Changes learner @n behind everybody's back, metadata and sums included: as a bug or a lost disk block would. Under the stamp
 * that the value has had it would be a program's unseen edit (test_replica_audit.c). */
static void corrupt(struct fixture *f, int n, const char *name)
{
    struct replica *r = f->r;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint8_t key[16];
    struct meta m;
    struct table *t;
    uint16_t num;

    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    t = registry_table(r, "learner");
    num = table_column(t, "call_name")->num;
    assert_int_equal(applying_begin(r), PERCHE_OK);
    assert_int_equal(meta_load(r, t, learner_key(n, key), &m), PERCHE_OK);
    memset(values, 0, sizeof values);
    values[num] = (struct perche_value){
        .type = PERCHE_TEXT, .n = (uint32_t)strlen(name), .p = (const uint8_t *)name};
    assert_int_equal(data_update(r, t, learner_key(n, key), UINT64_C(1) << (num - 1), values),
                     PERCHE_OK);
    assert_int_equal(data_load(r, t, learner_key(n, key), values), PERCHE_OK);
    m.cells[num].stamp ^= 1; /* a second time: as it was */
    digest_row(r, &m, values, m.digest);
    assert_int_equal(meta_save(r, &m), PERCHE_OK);
    meta_clear(&m);
    assert_int_equal(applying_end(r), PERCHE_OK);
    assert_int_equal(tx_commit(r), PERCHE_OK);
}

/* Loses learner @n without deleting it. */
static void lose(struct fixture *f, int n)
{
    struct replica *r = f->r;
    uint8_t key[16];
    struct meta m;

    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    assert_int_equal(applying_begin(r), PERCHE_OK);
    assert_int_equal(meta_load(r, registry_table(r, "learner"), learner_key(n, key), &m),
                     PERCHE_OK);
    assert_true(m.stored);
    assert_int_equal(row_drop(r, &m), PERCHE_OK);
    meta_clear(&m);
    assert_int_equal(applying_end(r), PERCHE_OK);
    assert_int_equal(tx_commit(r), PERCHE_OK);
}

static void expect(struct pair *p, struct fixture *site, int answer, uint32_t level)
{
    uint32_t at;
    uint64_t repaired;

    assert_int_equal(pair_compare(p, site, &at, &repaired), answer);
    assert_int_equal(at, level);
}

static void verified(struct pair *p, struct fixture *f)
{
    char *json = pair_query(p, f, "verify", "{}");

    if (strcmp(json_at(json, "$.equal"), "1") != 0)
        fixture_fail("verify", json, "");
    free(json);
}

static void sites_that_have_exchanged_everything_are_proven_equal(void **state)
{
    struct pair *p = *state;

    insert_learner(p->sites[0], 1, "Camille");
    insert_learner(p->sites[1], 2, "Dominique");
    pair_sync(p, p->sites[0]);
    pair_sync(p, p->sites[1]);
    program(p->sites[0], "UPDATE learner SET call_name = 'Cam'");
    pair_sync(p, p->sites[0]);
    for (int i = 0; i < PAIR_SITES; i++) {
        expect(p, p->sites[i], PERCHE_EQUAL, 0);
        verified(p, p->sites[i]);
        assert_int_equal(p->sites[i]->r->node.proven_ms, p->now);
    }
    verified(p, p->hub);
}

static void a_site_with_something_to_say_does_not_compare(void **state)
{
    struct pair *p = *state;

    pair_sync(p, p->sites[0]);
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
    insert_learner(p->sites[0], 1, "Camille"); /* captured */
    expect(p, p->sites[0], 0, 0);
    harvest_here(p, p->sites[0]); /* unpushed */
    expect(p, p->sites[0], 0, 0);
    pair_sync(p, p->sites[0]);
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
    program(p->sites[0], "INSERT INTO perche_leaving (tab, key, lsn) VALUES (1, x'00', 1)");
    expect(p, p->sites[0], 0, 0);
    program(
        p->sites[0],
        "DELETE FROM perche_leaving; INSERT INTO perche_wanted (tab, key, lsn, kind) VALUES (1, x'00', 1, 2)");
    expect(p, p->sites[0], 0, 0);
    program(
        p->sites[0],
        "DELETE FROM perche_wanted; INSERT INTO perche_parked (tab, key, via, reason, at_ms, body) VALUES ('x', x'00', 1, 'table', 1, x'00')");
    expect(p, p->sites[0], 0, 0);
    program(p->sites[0], "DELETE FROM perche_parked; UPDATE perche_node SET scan = scan + 1");
    expect(p, p->sites[0], 0, 0);
}

static void a_hub_with_something_for_the_site_says_later(void **state)
{
    struct pair *p = *state;

    pair_sync(p, p->sites[0]);
    program(p->hub, "UPDATE network SET name = 'Perche'");
    harvest_here(p, p->hub);
    expect(p, p->sites[0], PERCHE_LATER, 0);
    pair_pull(p, p->sites[0]);
    pair_push(p, p->sites[0]);
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
    program(p->hub,
            "UPDATE perche_peer SET have = have - 1"); /* not what the site knows as acknowledged */
    expect(p, p->sites[0], PERCHE_LATER, 0);
    program(p->hub, "UPDATE perche_peer SET have = have + 1");
    program(
        p->hub,
        "INSERT INTO perche_left SELECT site, 1, x'00', (SELECT lsn + 1 FROM perche_node), 0, 0, 0 FROM perche_peer");
    expect(p, p->sites[0], PERCHE_LATER, 0);
    program(p->hub, "DELETE FROM perche_left");
    program(
        p->hub,
        "INSERT INTO perche_refusal SELECT site, 1, x'00', (SELECT lsn + 1 FROM perche_node), '', 'scope', 0 FROM perche_peer");
    expect(p, p->sites[0], PERCHE_LATER, 0);
    program(p->hub, "DELETE FROM perche_refusal");
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
}

static void the_own_rows_of_the_asker_do_not_make_the_hub_say_later(void **state)
{
    struct pair *p = *state;

    pair_sync(p, p->sites[0]);
    insert_learner(p->sites[0], 1, "Camille");
    pair_push(p, p->sites[0]); /* above the site's position at the hub, and not to be sent back */
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
}

static void a_row_that_differs_is_found_and_comes_whole_from_the_hub(void **state)
{
    struct pair *p = *state;
    uint64_t repaired;
    uint32_t level;

    for (int i = 1; i < 8; i++)
        insert_learner(p->sites[0], i, "Camille");
    pair_sync(p, p->sites[0]);
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
    corrupt(p->sites[0], 3, "Somebody");
    assert_int_equal(pair_compare(p, p->sites[0], &level, &repaired), PERCHE_DIFFERS);
    assert_int_equal(level, PERCHE_LEVEL_ROWS);
    assert_int_equal(repaired, 1);
    pair_sync(p, p->sites[0]);
    program_says(p->sites[0], "SELECT group_concat(DISTINCT call_name) FROM learner", "Camille");
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
    verified(p, p->sites[0]);
    verified(p, p->hub);
}

static void only_the_row_that_differs_is_sent_of_its_bucket(void **state)
{
    struct pair *p = *state;
    uint8_t one[16], other[16];
    uint64_t repaired;
    uint32_t level;
    int twin = 2;

    learner_key(1, one);
    while (digest_bucket(learner_key(twin, other).p, 16) != digest_bucket(one, 16))
        twin++;
    assert_true(twin < 1000);
    insert_learner(p->sites[0], 1, "Camille");
    insert_learner(p->sites[0], twin, "Dominique");
    pair_sync(p, p->sites[0]);
    corrupt(p->sites[0], 1, "Somebody");
    assert_int_equal(pair_compare(p, p->sites[0], &level, &repaired), PERCHE_DIFFERS);
    assert_int_equal(repaired, 1);
    pair_sync(p, p->sites[0]);
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
}

#define MANY 9000 /* 35 a bucket: eight parts of four */

static void insert_many(struct pair *p)
{
    program(p->sites[0], "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)"
                         " INSERT INTO learner (id, home_site_id, call_name, use_family_name)"
                         " SELECT printf('0198f3a0-0000-7000-8000-%012d', i), site_id, 'Camille', 'Martin' FROM n, perche_self");
    pair_sync(p, p->sites[0]);
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
}

/* Asks and answers one level. The answer above goes in, the answer comes out; *asked: sums of the question. */
static struct perche_message one_level(struct pair *p, uint32_t level, struct perche_message above, uint32_t *asked)
{
    struct work w = pair_work(WORK_DIGEST_ANSWER, p->sites[0]);
    bool comparable;
    struct outcome o;

    w.message = pair_ask_digest(p, p->sites[0], level, above, &comparable);
    assert_true(comparable);
    assert_int_equal(w.message.u.digest.level, level);
    *asked = w.message.u.digest.sums_count;
    o = pair_read(p, p->hub, w);
    return pair_line(&o);
}

static void of_a_bucket_with_many_rows_only_the_parts_that_differ_are_named(void **state)
{
    struct pair *p = *state;
    struct perche_message m = {0};
    uint64_t repaired;
    uint32_t asked, level;

    insert_many(p);
    corrupt(p->sites[0], 17, "Somebody");
    lose(p->sites[0], 4711);
    lose(p->hub, 8);
    lose(p->hub, 8999);
    m = one_level(p, PERCHE_LEVEL_ROOT, m, &asked);
    m = one_level(p, PERCHE_LEVEL_BUCKETS, m, &asked);
    assert_int_equal(asked, 256);
    assert_int_equal(m.u.digest_reply.sums_count, 4);
    m = one_level(p, PERCHE_LEVEL_PARTS, m, &asked);
    assert_int_equal(m.u.digest_reply.finer, 3);
    assert_in_range(asked, 4 * 6, 4 * 8); /* but for parts that hold nothing */
    assert_int_equal(m.u.digest_reply.sums_count, 4);
    m = one_level(p, PERCHE_LEVEL_ROWS, m, &asked);
    assert_in_range(asked, 4 + 3, 4 + 4 * 15); /* of about 140 */
    assert_int_equal(m.u.digest_reply.sums_count, 4);
    perche_message_free(&m);
    assert_int_equal(pair_compare(p, p->sites[0], &level, &repaired), PERCHE_DIFFERS);
    assert_int_equal(level, PERCHE_LEVEL_ROWS);
    assert_int_equal(repaired, 4);
    pair_sync(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) || group_concat(DISTINCT call_name) FROM learner", "9000Camille");
    program_says(p->hub, "SELECT count(*) || group_concat(DISTINCT call_name) FROM learner", "9000Camille");
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
    verified(p, p->sites[0]);
    verified(p, p->hub);
}

static void a_bucket_of_which_one_end_has_nothing_is_named_all_the_same(void **state)
{
    struct pair *p = *state;
    uint8_t key[16];
    uint64_t repaired;
    uint32_t level, lost = 0;

    insert_many(p);
    for (int n = 1; n <= MANY; n++) {
        uint32_t bucket = digest_bucket(learner_key(n, key).p, 16);

        if (bucket == 5)
            lose(p->sites[0], n);
        else if (bucket == 200)
            lose(p->hub, n);
        lost += bucket == 5 || bucket == 200;
    }
    assert_true(lost > 50);
    assert_int_equal(pair_compare(p, p->sites[0], &level, &repaired), PERCHE_DIFFERS);
    assert_int_equal(repaired, lost);
    pair_sync(p, p->sites[0]);
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
    program_says(p->sites[0], "SELECT count(*) FROM learner", "9000");
    program_says(p->hub, "SELECT count(*) FROM learner", "9000");
}

static void a_row_that_the_site_has_lost_comes_from_the_hub(void **state)
{
    struct pair *p = *state;

    insert_learner(p->sites[0], 1, "Camille");
    insert_learner(p->sites[0], 2, "Dominique");
    pair_sync(p, p->sites[0]);
    lose(p->sites[0], 2);
    expect(p, p->sites[0], PERCHE_DIFFERS, PERCHE_LEVEL_ROWS);
    pair_sync(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) FROM learner", "2");
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
}

static void a_row_that_the_hub_has_lost_is_pushed_again(void **state)
{
    struct pair *p = *state;

    insert_learner(p->sites[0], 1, "Camille");
    pair_sync(p, p->sites[0]);
    lose(p->hub, 1);
    expect(p, p->sites[0], PERCHE_DIFFERS, PERCHE_LEVEL_ROWS);
    pair_sync(p, p->sites[0]);
    program_says(p->hub, "SELECT call_name FROM learner", "Camille");
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
    verified(p, p->hub);
}

static void what_the_site_only_had_from_the_hub_and_the_hub_does_not_know_goes(void **state)
{
    struct pair *p = *state;
    uint8_t key[16];
    struct meta m;

    program(p->hub, "INSERT INTO learner (id, home_site_id, call_name) SELECT '" LEARNER
                    "001', id, 'Camille' FROM site WHERE name = 'La Loupe'");
    pair_sync(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) FROM learner", "1");
    lose(p->hub, 1);
    expect(p, p->sites[0], PERCHE_DIFFERS, PERCHE_LEVEL_ROWS);
    pair_sync(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) FROM learner", "0");
    assert_int_equal(tx_begin(p->sites[0]->r, true), PERCHE_OK);
    assert_int_equal(meta_load(p->sites[0]->r, registry_table(p->sites[0]->r, "learner"),
                               learner_key(1, key), &m),
                     PERCHE_OK);
    assert_false(m.stored); /* which is no deletion */
    meta_clear(&m);
    assert_int_equal(tx_commit(p->sites[0]->r), PERCHE_OK);
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
}

static void a_row_that_is_not_the_sites_any_more_leaves_it(void **state)
{
    struct pair *p = *state;
    struct replica *r = p->hub->r;
    uint8_t key[16];
    struct meta m;

    insert_learner(p->sites[0], 1, "Camille");
    pair_sync(p, p->sites[0]);
    assert_int_equal(tx_begin(r, true), PERCHE_OK); /* another scope, and the mark was lost */
    assert_int_equal(meta_load(r, registry_table(r, "learner"), learner_key(1, key), &m),
                     PERCHE_OK);
    m.scope = name_number(r, "");
    assert_int_equal(meta_save(r, &m), PERCHE_OK);
    meta_clear(&m);
    assert_int_equal(tx_commit(r), PERCHE_OK);
    expect(p, p->sites[0], PERCHE_DIFFERS, PERCHE_LEVEL_ROWS);
    pair_sync(p, p->sites[0]);
    program_says(p->sites[0], "SELECT count(*) FROM learner", "0");
    program_says(p->hub, "SELECT count(*) FROM learner", "1");
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
}

/* Whoever knows a key can show it. */
static void nor_is_it_the_sites_to_write(void **state)
{
    struct pair *p = *state;
    struct fixture *a = p->sites[0];
    char sql[300];

    insert_learner(a, 1, "Camille");
    snprintf(sql, sizeof sql, "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
                              " VALUES ('c', '%s', 't', 'P1', '2026-01-05', '2026-06-30', 12, 'SITE', 'PLANNED')", replica_site_id(a->r));
    program(a, sql);
    pair_sync(p, a);
    program(p->hub, "UPDATE learner SET home_site_id = 'elsewhere'; UPDATE cohort SET site_id = 'elsewhere'");
    harvest_here(p, p->hub);
    program(p->hub, "DELETE FROM perche_left"); /* as if it had never been the site's */
    expect(p, a, PERCHE_DIFFERS, PERCHE_LEVEL_ROWS);
    program_says(p->hub, "SELECT count(*) FROM perche_left WHERE ended = 0", "2");
    program(a, "UPDATE learner SET call_name = 'mine'; UPDATE cohort SET code = 'mine'");
    pair_sync(p, a);
    program_says(p->hub, "SELECT call_name || (SELECT code FROM cohort) FROM learner", "CamilleP1");
    program_says(a, "SELECT group_concat(tab || ' ' || reason) FROM (SELECT * FROM perche_refused ORDER BY tab)", "cohort scope,learner readonly");
}

static void a_row_that_the_hub_has_deleted_is_deleted(void **state)
{
    struct pair *p = *state;
    struct replica *r = p->sites[0]->r;

    insert_learner(p->sites[0], 1, "Camille");
    insert_learner(p->sites[0], 2, "Dominique");
    pair_sync(p, p->sites[0]);
    program(p->hub, "DELETE FROM learner WHERE call_name = 'Camille'");
    harvest_here(p, p->hub);
    /* the site passes it without having heard of it */
    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    r->node.full = r->node.scan = r->node.done = p->hub->r->node.lsn;
    r->node_dirty = true;
    assert_int_equal(tx_commit(r), PERCHE_OK);
    pair_push(p, p->sites[0]);
    expect(p, p->sites[0], PERCHE_DIFFERS, PERCHE_LEVEL_ROWS);
    pair_sync(p, p->sites[0]);
    program_says(p->sites[0], "SELECT group_concat(call_name) FROM learner", "Dominique");
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
}

static void a_site_learns_nothing_of_scopes_that_are_not_its_own(void **state)
{
    struct pair *p = *state;
    struct perche_sum all[256];
    const char *other = replica_site_id(p->sites[1]->r);
    struct work w;
    struct outcome o;

    insert_learner(p->sites[1], 2, "Dominique");
    pair_sync(p, p->sites[1]);
    pair_sync(p, p->sites[0]);
    for (uint32_t i = 0; i < 256; i++)
        all[i] = (struct perche_sum){.scope = other, .table = "learner", .bucket = i};
    for (uint32_t level = 1; level <= 3; level++) { /* asks for the other's */
        w = pair_work(WORK_DIGEST_ANSWER, p->sites[0]);
        w.message.op = PERCHE_OP_DIGEST;
        w.message.u.digest = (struct perche_digest){.scan = p->sites[0]->r->node.scan,
                                                    .done = 0,
                                                    .acked = p->sites[0]->r->node.acked,
                                                    .level = level,
                                                    .finer = level == PERCHE_LEVEL_PARTS ? PERCHE_FINER_MAX : 0,
                                                    .sums = all,
                                                    .sums_count = 256};
        o = pair_read(p, p->hub, w);
        assert_int_equal(o.message.u.digest_reply.answer, PERCHE_DIFFERS);
        assert_int_equal(o.message.u.digest_reply.sums_count, 0);
        outcome_free(&o);
    }
    { /* nor by naming a row of it, under the other's scope or its own: not what it is like, not whether a guess was right */
        const char *scopes[] = {other, replica_site_id(p->sites[0]->r)};
        uint8_t key[16], right[16], none[16] = {0};
        struct meta m;

        assert_int_equal(tx_begin(p->hub->r, false), PERCHE_OK);
        assert_int_equal(meta_load(p->hub->r, registry_table(p->hub->r, "learner"), learner_key(2, key), &m), PERCHE_OK);
        memcpy(right, m.digest, 16);
        meta_clear(&m);
        tx_rollback(p->hub->r);
        for (int i = 0; i < 4; i++) {
            all[0] = (struct perche_sum){.scope = scopes[i % 2], .table = "learner", .bucket = digest_bucket(key, 16), .key = {key, 16}};
            if (i >= 2)
                memcpy(all[0].sum, right, 16);
            w = pair_work(WORK_DIGEST_ANSWER, p->sites[0]);
            w.message.op = PERCHE_OP_DIGEST;
            w.message.u.digest = (struct perche_digest){.scan = p->sites[0]->r->node.scan, .acked = p->sites[0]->r->node.acked,
                                                        .level = PERCHE_LEVEL_ROWS, .sums = all, .sums_count = 1};
            o = pair_read(p, p->hub, w);
            assert_int_equal(o.message.u.digest_reply.sums_count, 1);
            assert_memory_equal(o.message.u.digest_reply.sums[0].sum, none, 16);
            outcome_free(&o);
        }
    }
    /* nor in the sums of level 0 */
    w = pair_work(WORK_DIGEST_ANSWER, p->sites[0]);
    w.message.op = PERCHE_OP_DIGEST;
    w.message.u.digest = (struct perche_digest){.scan = p->sites[0]->r->node.scan,
                                                .acked = p->sites[0]->r->node.acked};
    o = pair_read(p, p->hub, w);
    assert_true(o.message.u.digest_reply.sums_count > 0);
    for (uint32_t i = 0; i < o.message.u.digest_reply.sums_count; i++)
        assert_null(strstr(o.message.u.digest_reply.sums[i].scope, other));
    outcome_free(&o);
}

static void a_row_digest_counts_everything_that_it_is_said_to_count(void **state)
{
    struct pair *p = *state;
    struct replica *r = p->sites[0]->r;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    uint8_t first[16], next[16];
    struct table *t;
    struct meta m, other;

    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    t = registry_table(r, "learner");
    assert_int_equal(meta_load(r, t, learner_key(1, (uint8_t[16]){0}), &m), PERCHE_OK);
    m.gen = 1;
    m.cells[2] =
        (struct clock_cell){.written = true, .stamp = 5, .lsn = 6, .origin = r->node.site_num};
    values[2] = (struct perche_value){.type = PERCHE_TEXT, .n = 1, .p = (const uint8_t *)"1"};
    digest_row(r, &m, values, first);
#define DIFFERS(change)                           \
    do {                                          \
        other = m;                                \
        change;                                   \
        digest_row(r, &other, values, next);      \
        assert_memory_not_equal(first, next, 16); \
    } while (0)
    DIFFERS(other.key[15] ^= 1);
    DIFFERS(other.gen = 3);
    DIFFERS(other.flags |= META_ERASED);
    DIFFERS(other.cells[2].stamp++);
    DIFFERS(other.cells[2].origin = VIA_HUB);
    DIFFERS((other.cells[3] = other.cells[2], other.cells[2].written = false));
    DIFFERS(values[2] = ((struct perche_value){.type = PERCHE_INTEGER, .i = 1}));
    DIFFERS(values[2] =
                ((struct perche_value){.type = PERCHE_BLOB, .n = 1, .p = (const uint8_t *)"1"}));
    values[2] = (struct perche_value){.type = PERCHE_TEXT, .n = 1, .p = (const uint8_t *)"1"};
    for (uint32_t num = 1; num < m.count; num++) { /* in each column */
        other = m;
        other.cells[num] = m.cells[2];
        values[num] = (struct perche_value){.type = PERCHE_BLOB, .n = 1, .p = (const uint8_t *)"1"};
        digest_row(r, &other, values, next);
        values[num].p = (const uint8_t *)"2";
        digest_row(r, &other, values, first);
        assert_memory_not_equal(first, next, 16);
    }
    values[2] = (struct perche_value){.type = PERCHE_TEXT, .n = 1, .p = (const uint8_t *)"1"};
    digest_row(r, &m, values, first);
    /* positions, links and what was never written do not count */
    other = m;
    other.lsn = other.entered = other.first = 99;
    other.scope = 3;
    other.flags = META_SUSPECT | META_FRESH | META_AGREED;
    other.cells[2].lsn = 98;
    other.cells[2].via = VIA_HUB;
    values[7] = values[2];
    digest_row(r, &other, values, next);
    assert_memory_equal(first, next, 16);
    assert_int_equal(tx_commit(r), PERCHE_OK);
}

static void the_rows_of_every_bucket_are_in_the_sums(void **state)
{
    struct pair *p = *state;
    struct replica *r = p->sites[0]->r;
    uint8_t key[16] = {0}, digest[16], none[16] = {0};
    bool there[DIGEST_BUCKETS] = {0};
    struct table *t;
    sqlite3_stmt *s;

    memset(digest, 7, sizeof digest);
    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    t = registry_table(r, "learner");
    for (uint32_t n = 0, found = 0; found < DIGEST_BUCKETS; n++) {
        memcpy(key, &n, sizeof n);
        if (there[digest_bucket(key, 16)])
            continue;
        there[digest_bucket(key, 16)] = true;
        found++;
        assert_int_equal(digest_change(r, t, key, 16, 0, false, none, r->node.site_num, true, digest),
                         PERCHE_OK);
    }
    assert_int_equal(digests_store(r), PERCHE_OK);
    s = prepare(r, "SELECT rows, sums FROM perche_digest WHERE scope = ?1 AND tab = ?2");
    assert_non_null(s);
    sqlite3_bind_int64(s, 1, r->node.site_num);
    sqlite3_bind_int64(s, 2, t->num);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(s, 0), DIGEST_BUCKETS);
    for (uint32_t i = 0; i < DIGEST_BUCKETS; i++)
        assert_memory_equal((const uint8_t *)sqlite3_column_blob(s, 1) + i * 16, digest, 16);
    sqlite3_finalize(s);
    tx_rollback(r);
}

static void a_long_value_is_digested_like_a_short_one(void **state)
{
    struct pair *p = *state;

    insert_learner(p->sites[0], 1, "Camille");
    program(p->sites[0], "UPDATE learner SET call_name = printf('%.200000c', 'x')");
    pair_sync(p, p->sites[0]);
    expect(p, p->sites[0], PERCHE_EQUAL, 0);
    verified(p, p->sites[0]);
}

static void a_work_that_fails_leaves_the_sums_as_they_were(void **state)
{
    struct pair *p = *state;
    struct work works[2] = {pair_work(WORK_HARVEST, NULL),
                            pair_args(WORK_COMMAND, "resolve", "{\"id\": \"none at all\"}")};
    struct outcome outcomes[2];

    insert_learner(p->sites[0], 1, "Camille");
    for (int i = 0; i < 2; i++) {
        works[i].now_ms = p->now;
        pair_random(p, works[i].random);
    }
    works[0].rows_max = 1;
    insert_learner(p->sites[0], 2, "Dominique"); /* the resolve harvests it, and fails */
    replica_perform(p->sites[0]->r, works, outcomes, 2);
    assert_int_equal(outcomes[0].rc, PERCHE_OK);
    assert_int_equal(outcomes[1].rc, PERCHE_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        work_free(&works[i]);
        outcome_free(&outcomes[i]);
    }
    harvest_here(p, p->sites[0]);
    verified(p, p->sites[0]);
    program_says(
        p->sites[0],
        "SELECT sum(rows) FROM perche_digest WHERE tab = (SELECT num FROM perche_tab WHERE name = 'learner')",
        "2");
    program(p->sites[0], "DELETE FROM learner");
    harvest_here(p, p->sites[0]);
    program_says(
        p->sites[0],
        "SELECT count(*) FROM perche_digest WHERE tab = (SELECT num FROM perche_tab WHERE name = 'learner')",
        "0");
}

/* ---- within a pull -------------------------------------------------------------------------- */

enum in_pull { NOT_GIVEN, NOT_COMPARABLE, UNLIKE, EQUAL };

/* One pull that asks for the hub's root. @meanwhile: what the site's programs write before the answer comes. */
static enum in_pull pull_compared(struct pair *p, struct fixture *site, const char *meanwhile)
{
    struct outcome o = pair_read(p, site, pair_work(WORK_PULL_BUILD, NULL));
    struct work w = pair_work(WORK_PULL_ANSWER, site), apply = pair_work(WORK_PULL_APPLY, NULL);
    uint64_t proven = site->r->node.proven_ms, root_ms;
    enum in_pull found;

    o.message.u.pull.compare = true;
    w.message = pair_line(&o);
    w.bytes_max = 1 << 20;
    o = pair_read(p, p->hub, w);
    apply.message = pair_line(&o);
    assert_false(apply.message.u.pull_reply.more);
    root_ms = apply.message.u.pull_reply.root_ms;
    assert_true(root_ms == 0 || root_ms == p->now);
    if (meanwhile != NULL)
        program(site, meanwhile);
    p->now += 5;
    o = pair_do(p, site, apply);
    found = root_ms == 0 ? NOT_GIVEN : !o.comparable ? NOT_COMPARABLE : o.equal ? EQUAL : UNLIKE;
    assert_true(o.comparable || !o.equal);
    assert_true(site->r->node.proven_ms == (found == EQUAL ? root_ms : proven)); /* by the hub's clock, of its snapshot */
    assert_true(o.state.proven_ms == site->r->node.proven_ms);
    outcome_free(&o);
    return found;
}

static void what_a_pull_brings_is_compared_with_what_it_left_here(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    insert_learner(f, 1, "Camille");
    pair_sync(p, f);
    for (int i = 0; i < 3; i++) { /* never quiet: each answer brings a row that the comparison covers */
        char sql[100];

        snprintf(sql, sizeof sql, "UPDATE network SET name = 'busy %d'; UPDATE learner SET call_name = 'of the hub %d'", i, i);
        pair_edit(p, p->hub, 1000, sql);
        expect(p, f, PERCHE_LATER, 0);
        assert_int_equal(pull_compared(p, f, NULL), EQUAL);
        program_says(f, "SELECT name FROM network", asked(p->hub->program, "SELECT name FROM network"));
    }
    assert_int_equal(pull_compared(p, f, NULL), EQUAL); /* and when nothing came */
    verified(p, f);
}

static void a_pull_that_did_not_ask_brings_no_root(void **state)
{
    struct pair *p = *state;
    struct outcome o = pair_read(p, p->sites[0], pair_work(WORK_PULL_BUILD, NULL));
    struct work w = pair_work(WORK_PULL_ANSWER, p->sites[0]);

    w.message = pair_line(&o);
    w.bytes_max = 1 << 20;
    o = pair_read(p, p->hub, w);
    assert_int_equal(o.message.u.pull_reply.root_ms, 0);
    outcome_free(&o);
}

static void an_answer_that_is_not_the_last_brings_no_root(void **state)
{
    struct pair *p = *state;
    struct outcome o;
    struct work w = pair_work(WORK_PULL_ANSWER, p->sites[0]);

    program(p->hub, "INSERT INTO organisation (name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
                    " SELECT 'organisation ' || i FROM n");
    harvest_here(p, p->hub);
    o = pair_read(p, p->sites[0], pair_work(WORK_PULL_BUILD, NULL));
    o.message.u.pull.compare = true;
    w.message = pair_line(&o);
    w.bytes_max = 4096;
    o = pair_read(p, p->hub, w);
    assert_true(o.message.u.pull_reply.more);
    assert_int_equal(o.message.u.pull_reply.root_ms, 0);
    outcome_free(&o);
}

static void a_hub_that_cannot_answer_for_its_rows_gives_no_root(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    pair_sync(p, f);
    program(p->hub, "UPDATE network SET name = 'captured'");
    assert_int_equal(pull_compared(p, f, NULL), NOT_GIVEN);
    harvest_here(p, p->hub);
    program(p->hub, "INSERT INTO perche_rescan (tab) VALUES (1)");
    assert_int_equal(pull_compared(p, f, NULL), NOT_GIVEN);
    program(p->hub, "DELETE FROM perche_rescan;"
                    "INSERT INTO perche_parked (tab, key, via, reason, at_ms, body) SELECT 'x', x'00', site, 'table', 1, x'00' FROM perche_peer");
    assert_int_equal(pull_compared(p, f, NULL), NOT_GIVEN);
    program(p->hub, "DELETE FROM perche_parked");
    assert_int_equal(pull_compared(p, f, NULL), EQUAL);
}

static void a_site_with_something_of_its_own_does_not_compare_what_a_pull_brings(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    insert_learner(f, 1, "Camille");
    pair_sync(p, f);
    assert_int_equal(pull_compared(p, f, "UPDATE learner SET call_name = 'Cam'"), NOT_COMPARABLE); /* written while it came */
    pair_push(p, f);
    assert_int_equal(pull_compared(p, f, NULL), EQUAL);
    program(f, "INSERT INTO perche_wanted (tab, key, lsn, kind) VALUES (1, x'00', 1, 2)");
    assert_int_equal(pull_compared(p, f, NULL), NOT_COMPARABLE);
    program(f, "DELETE FROM perche_wanted; INSERT INTO perche_rescan (tab) VALUES (1)");
    assert_int_equal(pull_compared(p, f, NULL), NOT_COMPARABLE);
    program(f, "DELETE FROM perche_rescan");
    assert_int_equal(pull_compared(p, f, NULL), EQUAL);
}

/* Answered before the hub had the last push, which the site knows as acknowledged by the time the answer comes. */
static void an_answer_of_before_the_last_push_is_not_compared(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    struct outcome o;
    struct work w = pair_work(WORK_PULL_ANSWER, f), apply = pair_work(WORK_PULL_APPLY, NULL);

    pair_sync(p, f);
    o = pair_read(p, f, pair_work(WORK_PULL_BUILD, NULL));
    o.message.u.pull.compare = true;
    w.message = pair_line(&o);
    w.bytes_max = 1 << 20;
    o = pair_read(p, p->hub, w);
    apply.message = pair_line(&o);
    assert_true(apply.message.u.pull_reply.root_ms != 0);
    insert_learner(f, 1, "Camille");
    pair_push(p, f);
    o = pair_do(p, f, apply);
    assert_false(o.comparable);
    outcome_free(&o);
}

static void what_differs_is_not_called_equal_by_a_pull(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];

    for (int i = 1; i < 8; i++)
        insert_learner(f, i, "Camille");
    pair_sync(p, f);
    assert_int_equal(pull_compared(p, f, NULL), EQUAL);
    corrupt(f, 3, "Somebody");
    assert_int_equal(pull_compared(p, f, NULL), UNLIKE);
    pair_edit(p, p->hub, 1000, "UPDATE learner SET use_family_name = 'Durand' WHERE id LIKE '%005'");
    assert_int_equal(pull_compared(p, f, NULL), UNLIKE);
    corrupt(f, 3, "Camille");
    assert_int_equal(pull_compared(p, f, NULL), EQUAL);
    lose(f, 4);
    assert_int_equal(pull_compared(p, f, NULL), UNLIKE);
    lose(p->hub, 4);
    assert_int_equal(pull_compared(p, f, NULL), EQUAL);
    lose(p->hub, 5);
    assert_int_equal(pull_compared(p, f, NULL), UNLIKE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(sites_that_have_exchanged_everything_are_proven_equal),
        T(a_site_with_something_to_say_does_not_compare),
        T(a_hub_with_something_for_the_site_says_later),
        T(the_own_rows_of_the_asker_do_not_make_the_hub_say_later),
        T(a_row_that_differs_is_found_and_comes_whole_from_the_hub),
        T(only_the_row_that_differs_is_sent_of_its_bucket),
        T(of_a_bucket_with_many_rows_only_the_parts_that_differ_are_named),
        T(a_bucket_of_which_one_end_has_nothing_is_named_all_the_same),
        T(a_row_that_the_site_has_lost_comes_from_the_hub),
        T(a_row_that_the_hub_has_lost_is_pushed_again),
        T(what_the_site_only_had_from_the_hub_and_the_hub_does_not_know_goes),
        T(a_row_that_is_not_the_sites_any_more_leaves_it),
        T(nor_is_it_the_sites_to_write),
        T(a_row_that_the_hub_has_deleted_is_deleted),
        T(a_site_learns_nothing_of_scopes_that_are_not_its_own),
        T(a_row_digest_counts_everything_that_it_is_said_to_count),
        T(the_rows_of_every_bucket_are_in_the_sums),
        T(a_long_value_is_digested_like_a_short_one),
        T(a_work_that_fails_leaves_the_sums_as_they_were),
        T(what_a_pull_brings_is_compared_with_what_it_left_here),
        T(a_pull_that_did_not_ask_brings_no_root),
        T(an_answer_that_is_not_the_last_brings_no_root),
        T(a_hub_that_cannot_answer_for_its_rows_gives_no_root),
        T(a_site_with_something_of_its_own_does_not_compare_what_a_pull_brings),
        T(an_answer_of_before_the_last_push_is_not_compared),
        T(what_differs_is_not_called_equal_by_a_pull),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
