/* The chain of blocks that a row's past is. */
#include "replica_pair.h"

#define LEARNER "0198f3a0-0000-7000-8000-00000000000"

struct seen {
    uint32_t count;
    uint64_t blocks[16], at[16];
    uint32_t via[16];
    char names[16][32]; /* values of call_name, "-" where the row has none */
    uint32_t stop_after;
};

static bool on_row(void *ctx, const struct perche_batch *b, const struct perche_part *part,
                   const struct perche_row *row, uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct seen *s = ctx;

    (void)b;
    assert_string_equal(part->table, "learner");
    strcpy(s->names[s->count], "-");
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];

        if (strcmp(part->columns[c->col], "call_name") == 0 && c->value.type == PERCHE_TEXT)
            snprintf(s->names[s->count], sizeof s->names[0], "%.*s", (int)c->value.n,
                     (const char *)c->value.p);
    }
    s->blocks[s->count] = block;
    s->at[s->count] = at_ms;
    s->via[s->count++] = via;
    return s->count != s->stop_after;
}

static void load(struct fixture *f, int n, struct meta *m)
{
    char id[37];
    uint8_t key[16];

    snprintf(id, sizeof id, LEARNER "%d", n);
    assert_true(perche_uuid_parse((const uint8_t *)id, 36, key));
    assert_int_equal(
        meta_load(f->r, registry_table(f->r, "learner"), (struct perche_bytes){key, 16}, m),
        PERCHE_OK);
}

static struct seen walk(struct fixture *f, int n, uint32_t stop_after)
{
    struct seen s = {.stop_after = stop_after};
    struct meta m;

    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    load(f, n, &m);
    assert_int_equal(history_walk(f->r, &m, on_row, &s), PERCHE_OK);
    meta_clear(&m);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    return s;
}

static bool knows(struct fixture *f, int n, const char *column, uint64_t stamp, const char *origin, const char *value)
{
    struct perche_value v = {.type = PERCHE_TEXT, .p = (const uint8_t *)value, .n = value != NULL ? (uint32_t)strlen(value) : 0};
    struct meta m;
    bool yes;
    uint16_t num;

    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    load(f, n, &m);
    num = column == NULL ? 0 : table_column(m.table, column)->num;
    yes = history_knows(f->r, &m, num, stamp, name_number(f->r, origin), &v);
    meta_clear(&m);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    return yes;
}

static uint64_t stamp_of(struct fixture *f, int n, const char *column)
{
    struct meta m;
    uint64_t stamp;

    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    load(f, n, &m);
    stamp = m.cells[column == NULL ? 0 : table_column(m.table, column)->num].stamp;
    meta_clear(&m);
    assert_int_equal(tx_commit(f->r), PERCHE_OK);
    return stamp;
}

static void insert_learners(struct fixture *f, int count)
{
    char sql[400];

    for (int i = 1; i <= count; i++) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO learner (id, home_site_id, call_name) VALUES ('" LEARNER
                 "%d', (SELECT site_id FROM perche_self), 'first %d')",
                 i, i);
        program(f, sql);
    }
}

static void rename_learner(struct pair *p, struct fixture *f, int n, const char *name)
{
    char sql[300];

    snprintf(sql, sizeof sql, "UPDATE learner SET call_name = '%s' WHERE id = '" LEARNER "%d'",
             name, n);
    program(f, sql);
    harvest_here(p, f);
}

static void every_version_of_a_row_is_found_newest_first(void **state)
{
    struct pair *p = *state;
    struct seen s;

    insert_learners(p->sites[0], 3);
    harvest_here(p, p->sites[0]);
    p->now += 5000;
    rename_learner(p, p->sites[0], 2, "second");
    rename_learner(p, p->sites[0], 1, "of another row");
    p->now += 5000;
    rename_learner(p, p->sites[0], 2, "third");
    s = walk(p->sites[0], 2, 0);
    assert_int_equal(s.count, 3);
    assert_string_equal(s.names[0], "third");
    assert_string_equal(s.names[1], "second");
    assert_string_equal(s.names[2], "first 2");
    assert_int_equal(s.at[0], p->now);
    assert_int_equal(s.at[2], p->now - 10000);
    assert_true(s.blocks[0] > s.blocks[1] && s.blocks[1] > s.blocks[2]);
    assert_int_equal(s.via[0], VIA_LOCAL);
    s = walk(p->sites[0], 2, 2); /* the one who asks may stop it */
    assert_int_equal(s.count, 2);
}

static void rows_of_several_tables_in_one_block_have_chains_of_their_own(void **state)
{
    struct pair *p = *state;
    struct seen s;

    insert_learners(p->sites[0], 2);
    harvest_here(p, p->sites[0]);
    program(
        p->sites[0],
        "UPDATE learner SET call_name = 'x' WHERE id = '" LEARNER "2';"
        "INSERT INTO cohort (id, site_id, training_id, code, capacity, starts_on, ends_on, mode, status)"
        " VALUES ('0198f3a0-0000-7000-8000-0000000000c1', (SELECT site_id FROM perche_self), 't', 'C1', 12, '2026-01-05', '2026-06-30', 'ON_SITE', 'PLANNED');"
        "UPDATE learner SET call_name = 'y' WHERE id = '" LEARNER "1'");
    harvest_here(p, p->sites[0]);
    s = walk(p->sites[0], 1, 0);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.names[0], "y");
    assert_string_equal(s.names[1], "first 1");
    s = walk(p->sites[0], 2, 0);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.names[0], "x");
    assert_string_equal(s.names[1], "first 2");
}

static void what_came_over_the_line_is_in_the_history_with_its_link(void **state)
{
    struct pair *p = *state;
    struct seen s;

    insert_learners(p->sites[0], 2);
    pair_sync(p, p->sites[0]);
    rename_learner(p, p->hub, 1, "by the hub");
    pair_sync(p, p->sites[0]);
    s = walk(p->hub, 1, 0);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.names[0], "by the hub");
    assert_string_equal(s.names[1], "first 1");
    assert_int_equal(s.via[0], VIA_LOCAL);
    assert_int_equal(s.via[1], p->hub->r->node.site_num == 0
                                   ? 0
                                   : name_number(p->hub->r, replica_site_id(p->sites[0]->r)));
    s = walk(p->sites[0], 1, 0);
    assert_string_equal(s.names[0], "by the hub");
    assert_int_equal(s.via[0], VIA_HUB);
    assert_string_equal(s.names[s.count - 1], "first 1");
}

static void a_value_that_was_there_before_is_known_by_stamp_and_origin_and_column_and_itself(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    const char *own = replica_site_id(f->r);
    uint64_t gen, first, second;

    insert_learners(f, 1);
    harvest_here(p, f);
    gen = stamp_of(f, 1, NULL);
    first = stamp_of(f, 1, "call_name");
    p->now += 1000;
    rename_learner(p, f, 1, "second");
    second = stamp_of(f, 1, "call_name");
    assert_true(knows(f, 1, "call_name", first, own, "first 1"));
    assert_true(knows(f, 1, "call_name", second, own, "second"));
    assert_true(knows(f, 1, NULL, gen, own, NULL));
    assert_false(knows(f, 1, "call_name", second, own, "another")); /* of one who was put back */
    assert_false(knows(f, 1, "call_name", second, own, "first 1"));
    assert_false(knows(f, 1, "call_name", second + 1, own, "second"));
    assert_false(knows(f, 1, "call_name", first, replica_site_id(p->hub->r), "first 1"));
    assert_false(knows(f, 1, "use_family_name", second, own, "second"));
    assert_false(knows(f, 1, NULL, second, own, NULL));
    assert_false(knows(f, 2, "call_name", first, own, "first 1")); /* no such row */
}

/* A number that a rollback took back is given again to another block. */
static void a_rolled_back_block_leaves_nothing_in_memory(void **state)
{
    struct pair *p = *state;
    struct replica *r = p->sites[0]->r;
    const char *columns[] = {"call_name"};
    struct perche_batch *b = perche_batch_new();
    struct perche_buf body = {0};
    struct seen s = {0};
    struct meta m;

    insert_learners(p->sites[0], 1);
    harvest_here(p, p->sites[0]);
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "rolled back" : "kept";
        struct perche_value v = {
            .type = PERCHE_TEXT, .n = (uint32_t)strlen(name), .p = (const uint8_t *)name};

        assert_int_equal(tx_begin(r, true), PERCHE_OK);
        load(p->sites[0], 1, &m);
        perche_batch_clear(b);
        body.n = 0;
        perche_batch_row(b, perche_batch_part(b, "learner", columns, 1),
                         (struct perche_bytes){m.key, 16})
            ->gen = 1;
        perche_batch_cell(b, 0, 0, &v)->origin = perche_batch_name(b, "somebody");
        assert_int_equal(perche_batch_encode(b, 1, &body, NULL), PERCHE_OK);
        s.blocks[15] = m.block;
        m.block = history_next_block(r);
        assert_int_equal(history_append(r, (struct perche_bytes){body.p, (uint32_t)body.n},
                                        &s.blocks[15], 1, VIA_LOCAL),
                         PERCHE_OK);
        memset(&s, 0, sizeof s);
        assert_int_equal(history_walk(r, &m, on_row, &s), PERCHE_OK);
        assert_int_equal(s.count, 2);
        assert_string_equal(s.names[0], name);
        assert_string_equal(s.names[1], "first 1");
        meta_clear(&m);
        tx_rollback(r);
    }
    perche_buf_free(&body);
    perche_batch_free(b);
}

static void a_row_named_twice_in_one_block_is_found_twice_and_its_chain_goes_on(void **state)
{
    struct pair *p = *state;
    struct replica *r = p->sites[0]->r;
    const char *columns[] = {"call_name"};

    insert_learners(p->sites[0], 1);
    harvest_here(p, p->sites[0]);
    for (int which = 0; which < 3;
         which++) { /* the other entry says the block itself, or nothing */
        struct perche_batch *b = perche_batch_new();
        struct perche_buf body = {0};
        struct seen s = {0};
        uint64_t prev[2];
        struct meta m;

        assert_int_equal(tx_begin(r, true), PERCHE_OK);
        load(p->sites[0], 1, &m);
        for (int i = 0; i < 2; i++) {
            struct perche_value v = {
                .type = PERCHE_TEXT, .n = 1, .p = (const uint8_t *)(i == 0 ? "a" : "b")};

            perche_batch_row(b, perche_batch_part(b, "learner", columns, 1),
                             (struct perche_bytes){m.key, 16})
                ->gen = 1;
            perche_batch_cell(b, 0, 0, &v)->origin = perche_batch_name(b, "somebody");
        }
        assert_int_equal(perche_batch_encode(b, 1, &body, NULL), PERCHE_OK);
        prev[which == 2] = m.block;
        m.block = history_next_block(r);
        prev[which != 2] = which == 0 ? m.block : 0;
        assert_int_equal(
            history_append(r, (struct perche_bytes){body.p, (uint32_t)body.n}, prev, 2, VIA_LOCAL),
            PERCHE_OK);
        assert_int_equal(history_walk(r, &m, on_row, &s), PERCHE_OK);
        assert_int_equal(s.count, 3);
        assert_string_equal(s.names[2], "first 1");
        meta_clear(&m);
        tx_rollback(r);
        perche_buf_free(&body);
        perche_batch_free(b);
    }
}

static void a_pruned_block_ends_the_chain_without_an_error(void **state)
{
    struct pair *p = *state;
    struct seen s;

    insert_learners(p->sites[0], 1);
    harvest_here(p, p->sites[0]);
    rename_learner(p, p->sites[0], 1, "second");
    rename_learner(p, p->sites[0], 1, "third");
    s = walk(p->sites[0], 1, 0);
    assert_int_equal(s.count, 3);
    program(p->sites[0],
            "DELETE FROM perche_history WHERE block = (SELECT max(block) - 1 FROM perche_history)");
    s = walk(p->sites[0], 1, 0);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.names[0], "third");
}

static void a_damaged_block_is_an_error_and_no_endless_walk(void **state)
{
    struct pair *p = *state;
    struct replica *r = p->sites[0]->r;
    struct seen s = {0};
    struct meta m;

    insert_learners(p->sites[0], 1);
    harvest_here(p, p->sites[0]);
    rename_learner(p, p->sites[0], 1, "second");
    program(
        p->sites[0],
        "UPDATE perche_history SET prev = x'7f7f7f' WHERE block = (SELECT max(block) FROM perche_history)"); /* 127: later than itself */
    s = walk(p->sites[0], 1, 0);
    assert_int_equal(s.count, 1);
    program(
        p->sites[0],
        "UPDATE perche_history SET body = x'00' WHERE block = (SELECT max(block) FROM perche_history)");
    assert_int_equal(tx_begin(r, true), PERCHE_OK);
    load(p->sites[0], 1, &m);
    assert_int_equal(history_walk(r, &m, on_row, &s), PERCHE_CORRUPT);
    meta_clear(&m);
    tx_rollback(r);
}

static void a_long_chain_is_walked_with_few_blocks_in_memory(void **state)
{
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    struct seen s;
    char name[16];

    insert_learners(f, 1);
    harvest_here(p, f);
    for (int i = 0; i < 14; i++) {
        snprintf(name, sizeof name, "name %d", i);
        rename_learner(p, f, 1, name);
    }
    for (int again = 0; again < 2; again++) {
        s = walk(f, 1, 0);
        assert_int_equal(s.count, 15);
        assert_string_equal(s.names[0], "name 13");
        assert_string_equal(s.names[13], "name 0");
    }
}

/* ---- the chain ---- */

static void chain_is(struct pair *p, struct fixture *f, const char *blocks, const char *broken, const char *why)
{
    char *json = pair_query(p, f, "verify", "{\"chain\": true}");

    assert_string_equal(json_at(json, "$.chain.blocks"), blocks);
    assert_string_equal(json_at(json, "$.chain.broken"), broken);
    assert_non_null(strstr(json_at(json, "$.chain.why"), why));
    assert_string_equal(json_at(json, "$.equal"), strcmp(broken, "null") == 0 ? "1" : "0");
    free(json);
}

static void a_history_that_was_tampered_with_is_found_at_its_first_block(void **state)
{
    static const struct {
        const char *sql, *broken, *why;
    } deeds[] = {
        {"UPDATE perche_history SET body = (SELECT body FROM perche_history WHERE block = 4) WHERE block = 3", "3", "content"},
        {"UPDATE perche_history SET prev = x'07' WHERE block = 3", "3", "content"},
        {"UPDATE perche_history SET at_ms = at_ms - 86400000 WHERE block = 3", "3", "follow"},
        {"UPDATE perche_history SET via = 9 WHERE block = 3", "3", "follow"},
        {"UPDATE perche_history SET n = n + 1 WHERE block = 3", "3", "follow"},
        {"UPDATE perche_history SET chain = zeroblob(32) WHERE block = 3", "3", "follow"},
        {"UPDATE perche_history SET content = x'' WHERE block = 3", "3", "content"},
        {"DELETE FROM perche_history WHERE block = 3", "3", "missing"},
        {"DELETE FROM perche_history WHERE block = 1", "1", "missing"},
        {"DELETE FROM perche_history WHERE block >= 3", "3", "missing"}, /* rows still name them */
        {"UPDATE perche_history SET block = -block WHERE block IN (3, 4); UPDATE perche_history SET block = 7 + block WHERE block < 0", "3", "follow"},
        {"INSERT INTO perche_history (block, at_ms, via, n, prev, body, content, chain) SELECT 1 + (SELECT max(block) FROM perche_history), at_ms, via, n, prev, body, content, chain"
         " FROM perche_history WHERE block = 3", "last", "follow"},
    };
    struct pair *p = *state;
    struct fixture *f = p->sites[0];
    char blocks[16];

    insert_learners(f, 1);
    harvest_here(p, f);
    for (int i = 0; i < 6; i++)
        rename_learner(p, f, 1, i % 2 ? "odd" : "even");
    snprintf(blocks, sizeof blocks, "%s", asked(f->program, "SELECT max(block) FROM perche_history"));
    assert_true(atoi(blocks) >= 6);
    chain_is(p, f, blocks, "null", "null");
    program(f, "CREATE TABLE kept AS SELECT * FROM perche_history");
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        char broken[16], before[16];

        program(f, deeds[i].sql);
        snprintf(broken, sizeof broken, "%d", strcmp(deeds[i].broken, "last") == 0 ? atoi(blocks) + 1 : atoi(deeds[i].broken));
        snprintf(before, sizeof before, "%d", atoi(broken) - 1);
        chain_is(p, f, before, broken, deeds[i].why);
        program(f, "DELETE FROM perche_history; INSERT INTO perche_history SELECT * FROM kept");
    }
    chain_is(p, f, blocks, "null", "null");
}

static void a_site_that_gets_another_id_seals_its_history_anew(void **state)
{
    struct pair *p = *state;
    struct fixture *f = pair_open(REPLICA_SITE, "dreux", 9);
    const char *own = strdup(replica_site_id(f->r));
    char *json;

    insert_learners(f, 2);
    harvest_here(p, f);
    pair_join(p, f, "Dreux");
    assert_string_not_equal(replica_site_id(f->r), own);
    json = pair_query(p, f, "verify", "{\"chain\": true}");
    assert_string_equal(json_at(json, "$.chain.broken"), "null");
    assert_string_not_equal(json_at(json, "$.chain.blocks"), "0");
    free(json);
    free((char *)own);
    fixture_end(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        T(every_version_of_a_row_is_found_newest_first),
        T(rows_of_several_tables_in_one_block_have_chains_of_their_own),
        T(what_came_over_the_line_is_in_the_history_with_its_link),
        T(a_value_that_was_there_before_is_known_by_stamp_and_origin_and_column_and_itself),
        T(a_rolled_back_block_leaves_nothing_in_memory),
        T(a_row_named_twice_in_one_block_is_found_twice_and_its_chain_goes_on),
        T(a_pruned_block_ends_the_chain_without_an_error),
        T(a_damaged_block_is_an_error_and_no_endless_walk),
        T(a_long_chain_is_walked_with_few_blocks_in_memory),
        T(a_history_that_was_tampered_with_is_found_at_its_first_block),
        T(a_site_that_gets_another_id_seals_its_history_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
