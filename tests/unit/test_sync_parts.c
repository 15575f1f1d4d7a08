/* The nouns that the conversations are made of, each by itself. */
#include "sync_script.h"

#include "sync/actions.h"
#include "sync/backoff.h"
#include "sync/batch_size.h"
#include "sync/message.h"
#include "sync/waiters.h"
#include "sync/window.h"

/* ---- backoff ------------------------------------------------------------------ */

static void highest(void *ctx, uint8_t *out, size_t n)
{
    memset(out, *(uint8_t *)ctx, n);
}

static void test_a_wait_is_drawn_between_a_second_and_a_bound_that_doubles(void **state)
{
    uint64_t seed = 1;
    struct sync_ops ops = {.ctx = &seed, .random = script_random};

    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct backoff b = {0};

        for (unsigned i = 0; i < 40; i++)
            assert_in_range(backoff_next_ms(&b, &ops), 1000, i < 8 ? 2000u << i : 300000u);
        backoff_reset(&b);
        assert_in_range(backoff_next_ms(&b, &ops), 1000, 2000);
    }
}

static void test_waits_of_two_thousand_sites_are_spread_evenly(void **state)
{
    uint64_t seed = 1;
    struct sync_ops ops = {.ctx = &seed, .random = script_random};
    unsigned in_second[16] = {0};

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t ms = backoff_refused_ms(&ops);

        assert_true(ms <= 15000);
        in_second[ms / 1000]++;
    }
    for (unsigned i = 0; i < 15; i++)
        assert_in_range(in_second[i], 90, 180); /* 133 each */
}

static void test_the_ends_of_the_draw_are_the_bounds(void **state)
{
    uint8_t all = 0;
    struct sync_ops ops = {.ctx = &all, .random = highest};
    struct backoff b = {.tries = 30};

    (void)state;
    assert_int_equal(backoff_next_ms(&b, &ops), 1000);
    assert_int_equal(backoff_refused_ms(&ops), 0);
    assert_int_equal(backoff_slow_ms(&ops), 150000);
    b.tries = UINT32_MAX;
    assert_int_equal(backoff_next_ms(&b, &ops), 1000);
    assert_int_equal(b.tries, UINT32_MAX);
}

/* ---- batch size ------------------------------------------------------------------ */

static void test_the_aim_settles_at_five_seconds_of_line_time(void **state)
{
    static const uint64_t rates[] = {1000, 4000, 20000, 100000}; /* bytes/s */

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct batch_size b;

        batch_size_init(&b);
        assert_int_equal(b.bytes, 65536);
        for (unsigned n = 0; n < 10; n++)
            batch_size_measured(&b, b.bytes, 300 + b.bytes * 1000 / rates[i], 300, true);
        assert_in_range(b.bytes, rates[i] * 5 * 9 / 10, rates[i] * 5 + PERCHE_BATCH_BYTES_MIN);
        assert_in_range(b.bytes_per_s, rates[i] * 9 / 10, rates[i] * 11 / 10 + 1);
    }
}

static void test_the_aim_stays_within_its_bounds(void **state)
{
    struct batch_size b;

    (void)state;
    batch_size_init(&b);
    for (unsigned n = 0; n < 20; n++)
        batch_size_measured(&b, b.bytes, 1, 0, true);
    assert_int_equal(b.bytes, PERCHE_BATCH_BYTES_MAX);
    assert_int_equal(batch_size_rows(&b, 0), 2000);
    for (unsigned n = 0; n < 20; n++)
        batch_size_cut(&b);
    assert_int_equal(b.bytes, PERCHE_BATCH_BYTES_MIN);
    batch_size_measured(&b, 1, UINT32_MAX, 0, true);
    assert_int_equal(b.bytes, PERCHE_BATCH_BYTES_MIN);
    batch_size_measured(&b, 0, 0, 0, false);
    assert_int_equal(b.bytes, PERCHE_BATCH_BYTES_MIN);
}

static void test_a_small_batch_says_nothing_about_a_fast_line(void **state)
{
    struct batch_size b;

    (void)state;
    batch_size_init(&b);
    batch_size_measured(&b, 300, 2, 1, false);
    assert_int_equal(b.bytes, 65536);
    assert_int_equal(b.bytes_per_s, 0);
    batch_size_measured(&b, 300, 20000, 1, false); /* but a slow one shows */
    assert_int_equal(b.bytes, 65536 / 4);
}

/* Cut for its rows, or by the hub: growing by it, a line that died in silence would be waited for for half an hour. */
static void test_a_batch_that_was_cut_short_of_its_bytes_does_not_make_the_next_ones_large(void **state)
{
    struct batch_size b;

    (void)state;
    batch_size_init(&b);
    for (int i = 0; i < 10; i++)
        batch_size_measured(&b, 400, 5, 4, true);
    assert_int_equal(b.bytes, 65536);
    assert_true(batch_size_allowance_ms(&b, b.bytes) < 120000);
}

static void test_one_huge_row_does_not_make_the_next_batches_small(void **state)
{
    struct batch_size b;

    (void)state;
    batch_size_init(&b);
    batch_size_measured(&b, 8 << 20, 42000, 0, true); /* 200 kB/s */
    assert_int_equal(b.bytes, 4 * 65536);
}

static void test_a_rate_limit_bounds_a_batch_to_its_five_seconds(void **state)
{
    struct batch_size b;

    (void)state;
    batch_size_init(&b);
    assert_int_equal(batch_size_bytes(&b, 2000), 10000);
    assert_int_equal(batch_size_bytes(&b, 10), PERCHE_BATCH_BYTES_MIN);
    assert_int_equal(batch_size_bytes(&b, 1000000), 65536);
}

/* ---- window ------------------------------------------------------------------------- */

static void test_a_window_keeps_the_order_of_its_batches(void **state)
{
    struct window w = {0};
    struct window_batch *b;

    (void)state;
    b = window_push(&w);
    b->to = 10;
    b->bytes = 5;
    b = window_push(&w);
    b->from = 10;
    b->to = 20;
    b->channel = 1;
    b->bytes = 7;
    window_check(&w);
    assert_int_equal(window_bytes(&w), 12);
    assert_ptr_equal(window_on(&w, 1), &w.batch[1]);
    w.batch[1].answered = true;
    assert_null(window_on(&w, 1));
    assert_int_equal(window_bytes(&w), 5);
    window_pop(&w);
    assert_int_equal(w.count, 1);
    assert_int_equal(w.batch[0].from, 10);
    window_clear(&w);
    assert_int_equal(w.count, 0);
}

/* ---- works, messages, actions ---------------------------------------------------------- */

static void test_what_changes_the_replica_needs_the_writer(void **state)
{
    static const enum work_kind writers[] = {WORK_HARVEST,     WORK_PROVED,     WORK_PUSH_ACKED,
                                             WORK_PULL_APPLY,  WORK_ROWS_APPLY, WORK_DIGEST_TAKE,
                                             WORK_PROVE_JUDGE, WORK_PUSH_APPLY, WORK_REPAIR,
                                             WORK_PEER_NOTE,   WORK_ENROL,      WORK_LEAVE,
                                             WORK_COMMAND};
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < sizeof writers / sizeof *writers; i++)
        assert_true(work_writes(writers[i]));
    for (unsigned kind = 0; kind < 100; kind++)
        count += work_writes((enum work_kind)kind);
    assert_int_equal(count, sizeof writers / sizeof *writers);
    assert_string_equal(work_name(WORK_PUSH_ACKED), "push_acked");
    assert_string_equal(work_name((enum work_kind)99), "unknown");
    assert_string_equal(sync_state_name(SYNC_HELD), "held");
    assert_string_equal(sync_state_name(SYNC_STATE_COUNT), "unknown");
}

static void test_freeing_nothing_and_freeing_twice_is_fine(void **state)
{
    struct work w = {.args = NULL};
    struct outcome o = {0};
    struct sync_actions a = {0};

    (void)state;
    work_free(NULL);
    outcome_free(NULL);
    sync_actions_free(NULL);
    sync_site_free(NULL);
    sync_hub_free(NULL);
    w.args = malloc(10);
    o.json = malloc(10);
    o.woken = calloc(1, sizeof *o.woken);
    work_free(&w);
    work_free(&w);
    outcome_free(&o);
    outcome_free(&o);
    sync_actions_free(&a);
    sync_actions_free(&a);
}

static void test_a_copied_message_outlives_the_first(void **state)
{
    struct perche_want want = {.table = "learner",
                               .key = {(const uint8_t *)"0123456789abcdef", 16}};
    struct perche_message m = {.op = PERCHE_OP_ROWS}, copy = {0}, moved = {0};

    (void)state;
    m.u.rows.session = 9;
    m.u.rows.wants = &want;
    m.u.rows.wants_count = 1;
    assert_int_equal(sync_message_copy(&copy, &m), PERCHE_OK);
    sync_message_drop(&m);
    assert_int_equal(m.op, 0);
    sync_message_move(&moved, &copy);
    assert_int_equal(copy.op, 0);
    assert_int_equal(moved.u.rows.session, 9);
    assert_string_equal(moved.u.rows.wants[0].table, "learner");
    sync_message_move(&moved, &copy); /* what was there is dropped */
    assert_int_equal(moved.op, 0);
}

static void test_a_long_list_of_actions_is_not_kept(void **state)
{
    struct sync_actions a = {0};

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        actions_log(&a, "x", "%u", i);
    assert_string_equal(a.items[19].text, "19");
    sync_actions_clear(&a);
    assert_true(a.count == 0 && a.cap > 0);
    for (unsigned i = 0; i < 200; i++)
        assert_non_null(actions_add(&a, SYNC_STATE));
    sync_actions_clear(&a);
    assert_true(a.count == 0 && a.cap == 0);
    sync_actions_free(&a);
}

/* ---- waiters --------------------------------------------------------------------------- */

static void test_a_waiter_hears_what_is_missing_at_its_deadline(void **state)
{
    struct waiters w = {0};
    struct waiter one = {.tag = 1, .asked_ms = 100, .deadline_ms = 200, .harvest = 3};
    struct state st = {.lsn = 9, .acked = 5, .pending = 2};
    const char *missing = NULL;
    uint64_t tag, changes = 10;

    (void)state;
    assert_int_equal(waiters_next_ms(&w), UINT64_MAX);
    for (unsigned i = 0; i < 4; i++)
        assert_true(waiters_add(&w, &one));
    assert_int_equal(waiters_next_ms(&w), 200);
    assert_false(waiters_take_late(&w, 199, true, &tag, &missing));
    assert_true(waiters_take_late(&w, 200, true, &tag, &missing));
    assert_string_equal(missing, "not_pushed");
    waiters_harvested(&w, 2, 9, &changes); /* an earlier harvest */
    assert_int_equal(changes, 10);
    waiters_harvested(&w, 3, 9, &changes);
    assert_int_equal(changes, 11);
    waiters_state(&w, &st);
    assert_false(w.list[0].pushed);
    st.pending = 0; /* what is not acknowledged came from the hub */
    waiters_state(&w, &st);
    assert_true(waiters_take_late(&w, 200, true, &tag, &missing));
    assert_string_equal(missing, "not_pulled");
    waiters_pulled(&w, 99);
    assert_false(w.list[0].pulled);
    waiters_pulled(&w, 100);
    assert_true(waiters_take_late(&w, 200, true, &tag, &missing));
    assert_string_equal(missing, "not_equal");
    assert_false(waiters_take_equal(&w, 10, &tag)); /* begun before the harvest */
    assert_true(waiters_take_equal(&w, 11, &tag));
    assert_false(waiters_take_any(&w, &tag));
}

int main(void)
{
#define T(name) cmocka_unit_test(test_##name)
    const struct CMUnitTest tests[] = {
        T(a_wait_is_drawn_between_a_second_and_a_bound_that_doubles),
        T(waits_of_two_thousand_sites_are_spread_evenly),
        T(the_ends_of_the_draw_are_the_bounds),
        T(the_aim_settles_at_five_seconds_of_line_time),
        T(the_aim_stays_within_its_bounds),
        T(a_small_batch_says_nothing_about_a_fast_line),
        T(a_batch_that_was_cut_short_of_its_bytes_does_not_make_the_next_ones_large),
        T(one_huge_row_does_not_make_the_next_batches_small),
        T(a_rate_limit_bounds_a_batch_to_its_five_seconds),
        T(a_window_keeps_the_order_of_its_batches),
        T(what_changes_the_replica_needs_the_writer),
        T(freeing_nothing_and_freeing_twice_is_fine),
        T(a_copied_message_outlives_the_first),
        T(a_long_list_of_actions_is_not_kept),
        T(a_waiter_hears_what_is_missing_at_its_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
