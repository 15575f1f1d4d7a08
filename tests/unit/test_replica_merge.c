/* The pure merge: every rule of DESIGN 4.3 that decides between two values. */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replica/merge.h" /* before cmocka.h, which makes a macro of fail() */

#include <cmocka.h>

/* Origins are numbers whose order is that of their ids; values are the numbers below. */
enum { HERE = 10, A = 11, B = 12, HUB = 13 };
#define BIT(num) (UINT64_C(1) << ((num) - 1))

struct world {
    struct perche_value stored[4];
    bool known; /* what the history says */
};

static int order(void *ctx, uint32_t a, uint32_t b)
{
    (void)ctx;
    return (a > b) - (a < b);
}

static bool knows(void *ctx, const struct merge_cell *cell)
{
    (void)cell;
    return ((struct world *)ctx)->known;
}

static int compare(void *ctx, uint16_t num, const struct perche_value *v)
{
    return perche_value_compare(v, &((struct world *)ctx)->stored[num]);
}

static struct column columns[3] = {{.num = 1, .scope_cell = true}, {.num = 2}, {.num = 3}};
static struct table table = {.columns = columns, .columns_count = 3};
static const struct perche_value one = {.type = PERCHE_INTEGER, .i = 1}, two = {.type = PERCHE_INTEGER, .i = 2};

static struct merge_peer site_pushes(uint64_t full, uint64_t scan)
{
    return (struct merge_peer){.at_hub = true, .via = A, .full = full, .scan = scan};
}

static struct merge_peer hub_sends(uint64_t acked)
{
    return (struct merge_peer){.via = VIA_HUB, .acked = acked};
}

/* A living row of generation 1 whose columns 1 and 2 were written by @origin over @via. */
static struct meta row(uint64_t stamp, uint32_t origin, uint32_t via, uint64_t lsn)
{
    struct meta m = {.table = &table, .count = 4, .gen = 1, .stored = true, .lsn = lsn, .scope = 1};

    for (int num = 0; num < 3; num++)
        m.cells[num] = (struct clock_cell){.stamp = stamp, .origin = origin, .via = via, .lsn = lsn, .written = true};
    return m;
}

static struct merge_in cell(uint16_t num, uint64_t stamp, uint32_t origin, const struct perche_value *v)
{
    struct merge_in in = {.gen = 1, .cells_count = 1};

    in.cells[0] = (struct merge_cell){.num = num, .stamp = stamp, .origin = origin, .value = v};
    return in;
}

static struct merge_out merged(const struct merge_peer *p, struct world *w, struct meta *m, const struct merge_in *in)
{
    struct merge_ask ask = {w, order, knows, compare};
    struct merge_out out;

    merge_row(p, &ask, m, in, &out);
    return out;
}

static struct world world_of(const struct perche_value *v)
{
    return (struct world){.stored = {{0}, *v, *v, *v}};
}

static void the_higher_stamp_stays_whatever_comes_first(void **state)
{
    struct merge_peer p = site_pushes(100, 100);
    struct world w = world_of(&one);
    struct meta m = row(10, B, B, 5);
    struct merge_in newer = cell(2, 20, A, &two), older = cell(2, 5, A, &two);

    (void)state;
    assert_true(merged(&p, &w, &m, &older).write == 0);
    assert_int_equal(m.cells[2].stamp, 10);
    assert_true(merged(&p, &w, &m, &newer).write == BIT(2));
    assert_int_equal(m.cells[2].stamp, 20);
    assert_int_equal(m.cells[2].via, A);
}

static void equal_stamps_are_told_apart_by_the_site_and_then_by_the_value(void **state)
{
    struct merge_peer p = site_pushes(100, 100);
    struct world w = world_of(&one);
    struct meta m = row(10, A, A, 5);
    struct merge_in higher = cell(2, 10, B, &two), lower = cell(2, 10, HERE, &two), same = cell(2, 10, A, &two);

    (void)state;
    assert_true(merged(&p, &w, &m, &lower).write == 0);
    assert_true(merged(&p, &w, &m, &same).write == BIT(2)); /* value 2 beats value 1 */
    m = row(10, A, A, 5);
    assert_true(merged(&p, &w, &m, &higher).write == BIT(2));
}

/* The row was moved up by what its pusher had sent of another column: he may have read it at its earlier place, or passed neither
 * place of it. Only the value that he says he replaced tells. */
static void a_row_that_moved_up_in_an_unfinished_pull_was_read_if_its_value_was_replaced(void **state)
{
    struct merge_peer p = site_pushes(41, 61);
    struct world w = world_of(&one);

    (void)state;
    for (int replaced = 0; replaced < 3; replaced++) {
        struct meta m = row(10, B, B, 44);
        struct merge_in in = cell(2, 20, A, &two);

        m.cells[3].written = true;
        m.cells[3].via = A; /* his own, of which the row has its place */
        m.cells[3].lsn = m.lsn = 62;
        in.cells[0].based = replaced > 0;
        in.cells[0].base_stamp = replaced == 2 ? 10 : 3;
        in.cells[0].base_origin = B;
        assert_int_equal(merged(&p, &w, &m, &in).lost_count, replaced < 2);
    }
}

/* The history knows the stamp, as it is that of the other value; none of them tells that its author had seen the other. */
static void two_values_of_one_stamp_are_a_conflict_whatever_the_history_knows(void **state)
{
    struct merge_peer p = site_pushes(100, 100);

    (void)state;
    for (int higher = 0; higher < 2; higher++) {
        struct world w = world_of(higher ? &one : &two);
        struct meta m = row(10, A, A, 5);
        struct merge_in in = cell(2, 10, A, higher ? &two : &one);
        struct merge_out out;

        w.known = true;
        in.cells[0].based = true;
        in.cells[0].base_stamp = 10;
        in.cells[0].base_origin = A;
        out = merged(&p, &w, &m, &in);
        assert_int_equal(out.lost_count, 1);
        assert_int_equal(out.lost[0].what, LOSS_CELLS);
        assert_true(out.write == (higher ? BIT(2) : 0));
    }
}

static void a_value_the_pusher_had_pulled_is_no_conflict(void **state)
{
    struct world w = world_of(&one);
    struct merge_in in = cell(2, 20, A, &two);
    struct merge_peer had = site_pushes(5, 5), had_not = site_pushes(4, 4), by_scan = site_pushes(0, 5);
    struct meta m = row(10, B, B, 5);

    (void)state;
    assert_int_equal(merged(&had, &w, &m, &in).lost_count, 0);
    m = row(10, B, B, 5);
    assert_int_equal(merged(&by_scan, &w, &m, &in).lost_count, 0);
    m = row(10, B, B, 5);
    assert_int_equal(merged(&had_not, &w, &m, &in).lost_count, 1);
}

/* The pusher has read the rows up to 40 and not finished; B's value came at 30, and an own one of the pusher moved the row to 41,
 * before its pull was there. */
static void what_an_own_value_moved_out_of_the_way_of_a_pull_was_not_seen(void **state)
{
    struct world w = world_of(&one);
    struct merge_in in = cell(2, 60, A, &two);

    (void)state;
    for (uint64_t scan = 40; scan <= 41; scan++) {
        struct merge_peer p = site_pushes(29, scan);
        struct meta m = row(10, B, B, 30);

        m.cells[3] = (struct clock_cell){.stamp = 50, .origin = A, .via = A, .lsn = 41, .written = true};
        m.lsn = 41;
        assert_int_equal(merged(&p, &w, &m, &in).lost_count, scan < 41);
    }
}

static void a_value_that_loses_unseen_is_named_as_well(void **state)
{
    struct merge_peer p = site_pushes(0, 0);
    struct world w = world_of(&one);
    struct meta m = row(30, B, B, 5);
    struct merge_in in = cell(2, 20, A, &two);
    struct merge_out out = merged(&p, &w, &m, &in);

    (void)state;
    assert_true(out.write == 0);
    assert_int_equal(out.lost_count, 1);
    assert_int_equal(out.lost[0].what, LOSS_CELLS);
    assert_int_equal(out.lost[0].stored.stamp, 30);
}

static void what_came_over_the_same_link_counts_as_seen(void **state)
{
    struct merge_peer p = site_pushes(0, 0);
    struct world w = world_of(&one);
    struct meta m = row(10, A, A, 5);
    struct merge_in in = cell(2, 20, A, &two);

    (void)state;
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 0); /* its acknowledgement may have been lost */
    p.eplsn = 5; /* ... but not what an earlier epoch of the site sent */
    m = row(10, A, A, 5);
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 1);
}

static void equal_values_are_never_a_conflict(void **state)
{
    struct merge_peer p = site_pushes(0, 0);
    struct world w = world_of(&one);
    struct meta m = row(10, B, B, 5);
    struct merge_in in = cell(2, 20, A, &one);
    struct merge_out out = merged(&p, &w, &m, &in);

    (void)state;
    assert_int_equal(out.lost_count, 0);
    assert_true(out.write == BIT(2));
}

static void a_value_that_was_here_before_is_no_news(void **state)
{
    struct merge_peer p = site_pushes(0, 0);
    struct world w = world_of(&one);
    struct meta m = row(30, B, B, 5);
    struct merge_in in = cell(2, 20, A, &two);

    (void)state;
    w.known = true;
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 0);
}

static void the_base_that_a_write_names_was_seen(void **state)
{
    struct merge_peer p = site_pushes(0, 0);
    struct world w = world_of(&one);
    struct meta m = row(10, B, B, 5);
    struct merge_in in = cell(2, 20, A, &two);

    (void)state;
    in.cells[0].based = true;
    in.cells[0].base_stamp = 10;
    in.cells[0].base_origin = B;
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 0);
    m = row(10, B, B, 5);
    in.cells[0].base_stamp = 9;
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 1);
}

static void at_a_site_what_the_hub_has_gives_way_untested(void **state)
{
    struct merge_peer p = hub_sends(5);
    struct world w = world_of(&one);
    struct meta m = row(10, HERE, VIA_LOCAL, 5);
    struct merge_in in = cell(2, 20, B, &two);

    (void)state;
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 0);
    m = row(10, HERE, VIA_LOCAL, 6); /* not acknowledged: concurrent with whatever the hub sends */
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 1);
}

static void an_unfinished_pull_may_repeat_what_a_local_write_replaced(void **state)
{
    struct merge_peer p = hub_sends(0);
    struct world w = world_of(&one);
    struct meta m = row(30, HERE, VIA_LOCAL, 6);
    struct merge_in in = cell(2, 20, B, &two);

    (void)state;
    m.cells[2].based = true;
    m.cells[2].base_stamp = 20;
    m.cells[2].base_origin = B;
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 0);
}

static struct merge_in deletion(uint64_t stamp, uint32_t origin)
{
    return (struct merge_in){.gen = 2, .has_gen = true, .gen_stamp = stamp, .gen_origin = origin};
}

static void a_delete_beats_a_later_edit_and_keeps_what_its_author_had_not_seen(void **state)
{
    struct merge_peer p = site_pushes(4, 4);
    struct world w = world_of(&one);
    struct meta m = row(99, B, B, 5);
    struct merge_in in = deletion(20, A);
    struct merge_out out = merged(&p, &w, &m, &in);

    (void)state;
    assert_true(out.raised);
    assert_int_equal(m.gen, 2);
    assert_int_equal(out.lost_count, 2); /* both written columns */
    assert_int_equal(out.lost[0].what, LOSS_STORED);
    assert_true(m.cells[1].written);  /* the scope's cell stays with the tombstone */
    assert_false(m.cells[2].written);
}

static void a_delete_of_what_its_author_had_read_loses_nothing(void **state)
{
    struct merge_peer p = site_pushes(5, 5);
    struct world w = world_of(&one);
    struct meta m = row(99, B, B, 5);
    struct merge_in in = deletion(20, A);

    (void)state;
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 0);
}

static void an_edit_of_a_row_deleted_unseen_is_kept(void **state)
{
    struct merge_peer p = site_pushes(0, 0);
    struct world w = world_of(&one);
    struct meta m = row(10, B, B, 5);
    struct merge_in in = cell(2, 50, A, &two);
    struct merge_out out;

    (void)state;
    m.gen = 2;
    out = merged(&p, &w, &m, &in);
    assert_true(out.write == 0);
    assert_int_equal(m.gen, 2);
    assert_int_equal(out.lost_count, 1);
    assert_int_equal(out.lost[0].what, LOSS_INCOMING);
}

static void a_key_inserted_again_is_the_next_generation_and_starts_anew(void **state)
{
    struct merge_peer p = site_pushes(100, 100);
    struct world w = world_of(&one);
    struct meta m = row(10, B, B, 5);
    struct merge_in in = {.gen = 3, .has_gen = true, .gen_stamp = 20, .gen_origin = A, .cells_count = 1};
    struct merge_out out;

    (void)state;
    in.cells[0] = (struct merge_cell){.num = 3, .stamp = 20, .origin = A, .value = &two};
    out = merged(&p, &w, &m, &in);
    assert_true(out.raised);
    assert_false(m.cells[2].written);
    assert_true(m.cells[3].written);
}

static void two_inserts_of_one_key_merge_cell_by_cell(void **state)
{
    struct merge_peer p = site_pushes(0, 0);
    struct world w = world_of(&one);
    struct meta m = row(10, B, B, 5);
    struct merge_in in = {.gen = 1, .has_gen = true, .gen_stamp = 20, .gen_origin = A, .cells_count = 2};
    struct merge_out out;

    (void)state;
    in.cells[0] = (struct merge_cell){.num = 1, .stamp = 20, .origin = A, .value = &one};
    in.cells[1] = (struct merge_cell){.num = 2, .stamp = 20, .origin = A, .value = &two};
    out = merged(&p, &w, &m, &in);
    assert_true(out.gen_taken);
    assert_false(out.raised);
    assert_int_equal(out.lost_count, 1); /* the equal value is no conflict */
    assert_int_equal(out.lost[0].num, 2);
}

static void a_clean_site_takes_the_hubs_whole_row_whatever_its_generation(void **state)
{
    struct merge_peer p = hub_sends(9);
    struct world w = world_of(&one);
    struct meta m = row(10, B, VIA_HUB, 5);
    struct merge_in in = {.gen = 1, .has_gen = true, .whole = true, .gen_stamp = 4, .gen_origin = A, .cells_count = 1};
    struct merge_out out;

    (void)state;
    m.gen = 3;
    in.cells[0] = (struct merge_cell){.num = 2, .stamp = 4, .origin = A, .value = &two};
    out = merged(&p, &w, &m, &in);
    assert_int_equal(m.gen, 1);
    assert_int_equal(m.cells[2].stamp, 4);
    assert_false(m.cells[1].written);
    assert_true(out.replaced);
    assert_int_equal(out.lost_count, 0);
}

/* After a restore one identity may be that of two values: the hub's is the one that stays, as everything of its row. */
static void a_clean_site_takes_the_hubs_value_of_the_same_identity(void **state)
{
    struct merge_peer p = hub_sends(9);
    struct world w = world_of(&one);
    struct meta m = row(10, B, VIA_HUB, 5);
    struct merge_in in = {.gen = 1, .has_gen = true, .whole = true, .gen_stamp = 10, .gen_origin = B, .cells_count = 1};
    struct merge_out out;

    (void)state;
    in.cells[0] = (struct merge_cell){.num = 2, .stamp = 10, .origin = B, .value = &two};
    out = merged(&p, &w, &m, &in);
    assert_true(out.write == BIT(2));
    assert_int_equal(out.lost_count, 0);
}

/* What he says he replaced is older, but the value here came from him as well. */
static void an_own_value_is_seen_whatever_the_next_one_says_it_replaced(void **state)
{
    struct merge_peer p = site_pushes(4, 4);
    struct world w = world_of(&one);
    struct meta m = row(10, A, A, 5);
    struct merge_in in = cell(2, 20, A, &two);

    (void)state;
    in.cells[0].based = true;
    in.cells[0].base_stamp = 3;
    in.cells[0].base_origin = B;
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 0);
}

static void a_value_that_comes_back_equal_keeps_its_way_and_position(void **state)
{
    struct merge_peer p = hub_sends(9);
    struct world w = world_of(&one);
    struct meta m = row(10, HERE, VIA_LOCAL, 5);
    struct merge_in in = {.gen = 1, .has_gen = true, .whole = true, .gen_stamp = 10, .gen_origin = HERE, .cells_count = 2};

    (void)state;
    in.cells[0] = (struct merge_cell){.num = 1, .stamp = 10, .origin = HERE, .value = &one};
    in.cells[1] = (struct merge_cell){.num = 2, .stamp = 10, .origin = HERE, .value = &one};
    assert_false(merged(&p, &w, &m, &in).changed);
    assert_int_equal(m.cells[2].via, VIA_LOCAL);
    assert_int_equal(m.cells[2].lsn, 5);
    assert_int_equal(m.cells[0].lsn, 5);
}

static void a_conflict_renumbers_what_waits_to_be_pushed_and_nothing_else(void **state)
{
    struct merge_peer p = hub_sends(5);
    struct meta m = row(10, HERE, VIA_LOCAL, 5);

    (void)state;
    m.cells[2].lsn = 7; /* unpushed */
    merge_number(&p, &m, 20, true);
    assert_int_equal(m.cells[0].lsn, 5);
    assert_int_equal(m.cells[1].lsn, 5);
    assert_int_equal(m.cells[2].lsn, 20);
}

/* Every order of three writes ends the same (P3): random cells, each order of application. */
static void every_order_of_the_same_cells_ends_the_same(void **state)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    (void)state;
    srand(1);
    for (int round = 0; round < 5000; round++) {
        struct merge_in in[3];
        uint64_t stamp[6][4];
        uint32_t gen[6];

        for (int i = 0; i < 3; i++) {
            uint32_t origin = (uint32_t)(A + rand() % 3);

            in[i] = (struct merge_in){.gen = 1 + (uint32_t)(rand() % 3), .has_gen = true, .gen_stamp = (uint64_t)(10 + 2 * i + rand() % 3), .gen_origin = origin};
            if (in[i].gen % 2 == 0)
                continue;
            in[i].cells_count = 1;
            in[i].cells[0] = (struct merge_cell){.num = (uint16_t)(2 + rand() % 2), .stamp = in[i].gen_stamp, .origin = origin, .value = i % 2 ? &one : &two};
        }
        for (int k = 0; k < 6; k++) {
            struct merge_peer p = site_pushes(0, 0);
            struct world w = world_of(&one);
            struct meta m = {.table = &table, .count = 4};

            for (int i = 0; i < 3; i++) {
                struct merge_out out = merged(&p, &w, &m, &in[orders[k][i]]);

                for (uint32_t c = 0; c < in[orders[k][i]].cells_count; c++)
                    if (out.write >> (in[orders[k][i]].cells[c].num - 1) & 1)
                        w.stored[in[orders[k][i]].cells[c].num] = *in[orders[k][i]].cells[c].value;
                merge_number(&p, &m, 1 + (uint64_t)i, false);
            }
            gen[k] = m.gen;
            for (int num = 0; num < 4; num++)
                stamp[k][num] = m.cells[num].written ? m.cells[num].stamp << 8 | m.cells[num].origin : 0;
            assert_int_equal(gen[k], gen[0]);
            assert_memory_equal(stamp[k], stamp[0], sizeof stamp[0]);
        }
    }
}

/* What a new generation brings back is not lost by it: the same identity, or the same value; another value is, and what
 * it does not speak of. */
static void a_new_generation_loses_what_it_does_not_bring_back(void **state)
{
    struct merge_peer p = site_pushes(1, 1);
    struct world w = world_of(&one);
    struct meta m = row(10, B, B, 5);
    struct merge_in in = {.gen = 3, .has_gen = true, .gen_stamp = 20, .gen_origin = A, .cells_count = 2};
    struct merge_out out;

    (void)state;
    m.cells[3] = (struct clock_cell){.stamp = 11, .origin = B, .via = B, .lsn = 6, .written = true};
    in.cells[0] = (struct merge_cell){.num = 1, .stamp = 10, .origin = B, .value = &two}; /* the same identity */
    in.cells[1] = (struct merge_cell){.num = 2, .stamp = 20, .origin = A, .value = &one}; /* the same value */
    out = merged(&p, &w, &m, &in);
    assert_true(out.raised);
    assert_int_equal(out.lost_count, 1);
    assert_int_equal(out.lost[0].num, 3);
    m = row(10, B, B, 5);
    in.cells[1].value = &two;
    out = merged(&p, &w, &m, &in);
    assert_int_equal(out.lost_count, 1);
    assert_int_equal(out.lost[0].num, 2);
}

static void a_row_whose_entry_is_not_its_insert_was_not_read_with_it(void **state)
{
    struct merge_peer p = site_pushes(1, 5);
    struct world w = world_of(&one);
    struct meta m = row(10, A, A, 5);
    struct merge_in in = cell(2, 20, A, &two);

    (void)state;
    m.cells[2] = (struct clock_cell){.stamp = 12, .origin = B, .via = B, .lsn = 4, .written = true};
    m.flags |= META_AGREED;
    m.entered = 5; /* its own insert: it has read what is older */
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 0);
    m = row(10, A, A, 5);
    m.cells[2] = (struct clock_cell){.stamp = 12, .origin = B, .via = B, .lsn = 4, .written = true};
    m.flags |= META_AGREED;
    m.entered = m.lsn = 7; /* it entered a scope later: that was not read */
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 1);
}

static void a_base_that_is_another_value_excuses_nothing(void **state)
{
    struct merge_peer p = site_pushes(1, 1);
    struct world w = world_of(&one);
    struct meta m = row(10, B, B, 5);
    struct merge_in in = cell(2, 20, A, &two);

    (void)state;
    m.cells[2].based = true;
    m.cells[2].base_stamp = 20;
    m.cells[2].base_origin = A; /* ours replaced this very value */
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 0);
    m = row(10, B, B, 5);
    m.cells[2].based = true;
    m.cells[2].base_stamp = 19;
    m.cells[2].base_origin = A;
    assert_int_equal(merged(&p, &w, &m, &in).lost_count, 1);
}

static void a_whole_row_of_the_hub_replaces_a_clean_one_and_keeps_what_is_the_same(void **state)
{
    struct merge_peer p = hub_sends(100);
    struct world w = world_of(&one);
    struct meta m = row(10, B, VIA_HUB, 5);
    struct merge_in in = {.gen = 1, .whole = true, .has_gen = true, .gen_stamp = 9, .gen_origin = A, .cells_count = 3};
    struct merge_out out;

    (void)state;
    in.cells[0] = (struct merge_cell){.num = 1, .stamp = 10, .origin = B, .value = &one}; /* as it is */
    in.cells[1] = (struct merge_cell){.num = 2, .stamp = 10, .origin = A, .value = &one}; /* another author */
    in.cells[2] = (struct merge_cell){.num = 3, .stamp = 10, .origin = B, .value = &one}; /* was never written here */
    out = merged(&p, &w, &m, &in);
    assert_true(out.gen_taken && !out.raised); /* the event that made it has another name */
    assert_int_equal(m.cells[0].stamp, 9);
    assert_true(out.write == (BIT(2) | BIT(3)));
    m.cells[2].via = VIA_LOCAL; /* unpushed: nothing is replaced, cell by cell decides */
    m.cells[2].lsn = 200;
    m.cells[2].stamp = 30;
    in.cells[1] = (struct merge_cell){.num = 2, .stamp = 20, .origin = A, .value = &two};
    assert_true(merged(&p, &w, &m, &in).write == 0);
    in.has_gen = false; /* whole, and its making is not said: likewise */
    in.cells[1].stamp = 40;
    assert_true(merged(&p, &w, &m, &in).write == BIT(2));
}

static void an_edit_of_an_older_generation_is_lost_where_it_was_not_known(void **state)
{
    struct merge_peer hub = hub_sends(100), site = site_pushes(1, 1);
    struct world w = world_of(&one);
    struct meta m = row(10, B, VIA_HUB, 5);
    struct merge_in in = cell(2, 20, A, &two);

    (void)state;
    m.gen = 2;
    assert_int_equal(merged(&hub, &w, &m, &in).lost_count, 0); /* a clean site: the hub has judged */
    m.cells[0].via = VIA_LOCAL;
    m.cells[0].lsn = 200;
    assert_int_equal(merged(&hub, &w, &m, &in).lost_count, 1); /* its own deletion has not been pushed */
    assert_int_equal(merged(&site, &w, &m, &in).lost_count, 1);
    w.known = true;
    assert_int_equal(merged(&site, &w, &m, &in).lost_count, 0); /* had before */
    w.known = false;
    in.gen = 2; /* of the dead generation: its scope cell counts, nothing else */
    assert_true(merged(&site, &w, &m, &in).write == 0);
    in.cells[0].num = 1;
    assert_true(merged(&site, &w, &m, &in).write == BIT(1));
}

/* What assert() calls: a failed one ends expect_assert_failure(), else the test. */
_Noreturn void __assert_fail(const char *expression, const char *file, unsigned line, const char *function)
{
    (void)function;
    mock_assert(0, expression, file, (int)line);
    abort();
}

/* The batch is judged before: a generation that is not known comes with its event, or its row is asked for. */
static void a_new_generation_without_its_event_is_a_mistake_of_the_caller(void **state)
{
    struct world w = world_of(&one);
    struct merge_peer site = site_pushes(0, 0);
    struct meta m = row(10, A, A, 5);
    struct merge_in in = {.gen = 2};

    (void)state;
    expect_assert_failure((void)merged(&site, &w, &m, &in));
    assert_int_equal(m.gen, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_generation_loses_what_it_does_not_bring_back),
        cmocka_unit_test(a_row_whose_entry_is_not_its_insert_was_not_read_with_it),
        cmocka_unit_test(a_base_that_is_another_value_excuses_nothing),
        cmocka_unit_test(a_whole_row_of_the_hub_replaces_a_clean_one_and_keeps_what_is_the_same),
        cmocka_unit_test(an_edit_of_an_older_generation_is_lost_where_it_was_not_known),
        cmocka_unit_test(the_higher_stamp_stays_whatever_comes_first),
        cmocka_unit_test(equal_stamps_are_told_apart_by_the_site_and_then_by_the_value),
        cmocka_unit_test(a_row_that_moved_up_in_an_unfinished_pull_was_read_if_its_value_was_replaced),
        cmocka_unit_test(two_values_of_one_stamp_are_a_conflict_whatever_the_history_knows),
        cmocka_unit_test(a_value_the_pusher_had_pulled_is_no_conflict),
        cmocka_unit_test(what_an_own_value_moved_out_of_the_way_of_a_pull_was_not_seen),
        cmocka_unit_test(a_value_that_loses_unseen_is_named_as_well),
        cmocka_unit_test(what_came_over_the_same_link_counts_as_seen),
        cmocka_unit_test(equal_values_are_never_a_conflict),
        cmocka_unit_test(a_value_that_was_here_before_is_no_news),
        cmocka_unit_test(the_base_that_a_write_names_was_seen),
        cmocka_unit_test(at_a_site_what_the_hub_has_gives_way_untested),
        cmocka_unit_test(an_unfinished_pull_may_repeat_what_a_local_write_replaced),
        cmocka_unit_test(a_delete_beats_a_later_edit_and_keeps_what_its_author_had_not_seen),
        cmocka_unit_test(a_delete_of_what_its_author_had_read_loses_nothing),
        cmocka_unit_test(an_edit_of_a_row_deleted_unseen_is_kept),
        cmocka_unit_test(a_key_inserted_again_is_the_next_generation_and_starts_anew),
        cmocka_unit_test(two_inserts_of_one_key_merge_cell_by_cell),
        cmocka_unit_test(a_clean_site_takes_the_hubs_whole_row_whatever_its_generation),
        cmocka_unit_test(a_clean_site_takes_the_hubs_value_of_the_same_identity),
        cmocka_unit_test(an_own_value_is_seen_whatever_the_next_one_says_it_replaced),
        cmocka_unit_test(a_value_that_comes_back_equal_keeps_its_way_and_position),
        cmocka_unit_test(a_conflict_renumbers_what_waits_to_be_pushed_and_nothing_else),
        cmocka_unit_test(every_order_of_the_same_cells_ends_the_same),
        cmocka_unit_test(a_new_generation_without_its_event_is_a_mistake_of_the_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
