/* How a count becomes a figure: rounding, units, and what is withheld. */
#include "school/figures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void is(enum figure_unit unit, int decimals, enum figure_rounding rounding, int64_t n, int64_t d, const char *wanted)
{
    char text[FIGURE_TEXT_MAX];

    figure_value(unit, decimals, rounding, n, d, text);
    if (strcmp(text, wanted) != 0)
        fail_msg("%lld of %lld: %s, %s expected", (long long)n, (long long)d, text, wanted);
}

static void a_share_is_rounded_as_its_definition_says(void **state)
{
    (void)state;
    is(FIGURE_PERCENT, 0, ROUND_HALF_UP, 40, 50, "80");
    is(FIGURE_PERCENT, 0, ROUND_HALF_UP, 42, 65, "65"); /* 64.615: what the published 64 cannot be */
    is(FIGURE_PERCENT, 0, ROUND_TRUNCATE, 42, 65, "64");
    is(FIGURE_PERCENT, 0, ROUND_TRUNCATE, 7, 65, "10");
    is(FIGURE_PERCENT, 2, ROUND_HALF_UP, 34, 43, "79.07");
    is(FIGURE_PERCENT, 2, ROUND_HALF_UP, 20, 30, "66.67");
    is(FIGURE_PERCENT, 2, ROUND_HALF_UP, 23, 30, "76.67");
    is(FIGURE_PERCENT, 2, ROUND_TRUNCATE, 20, 30, "66.66");
    is(FIGURE_PERCENT, 2, ROUND_HALF_UP, 390, 420, "92.86");
    is(FIGURE_PERCENT, 0, ROUND_HALF_UP, 1, 200, "1"); /* 0.5 */
    is(FIGURE_PERCENT, 0, ROUND_TRUNCATE, 1, 200, "0");
    is(FIGURE_PERCENT, 2, ROUND_HALF_UP, 1, 2000, "0.05");
    is(FIGURE_PERCENT, 0, ROUND_HALF_UP, 0, 50, "0");
    is(FIGURE_PERCENT, 1, ROUND_HALF_UP, 50, 50, "100.0");
}

static void of_nothing_there_is_no_share(void **state)
{
    (void)state;
    is(FIGURE_PERCENT, 0, ROUND_HALF_UP, 0, 0, "");
    is(FIGURE_CENTS, 2, ROUND_HALF_UP, 100, 0, "");
    is(FIGURE_POINTS, 0, ROUND_HALF_UP, 100, 0, "");
    is(FIGURE_COUNT, 0, ROUND_HALF_UP, 28, 0, "28");
    is(FIGURE_COUNT, 0, ROUND_HALF_UP, -2, 24, "-2"); /* more people than seats */
}

static void money_and_basis_points(void **state)
{
    (void)state;
    is(FIGURE_CENTS, 2, ROUND_HALF_UP, 14880000, 24, "6200.00");
    is(FIGURE_CENTS, 2, ROUND_HALF_UP, 14666667, 15, "9777.78");
    is(FIGURE_CENTS, 2, ROUND_HALF_UP, 5, 1, "0.05");
    is(FIGURE_POINTS, 0, ROUND_HALF_UP, 128095500, 213492500, "6000");
    is(FIGURE_POINTS, 0, ROUND_HALF_UP, 128095500, 210000000, "6099"); /* 6099.78: cut off */
    is(FIGURE_POINTS, 0, ROUND_HALF_UP, INT64_C(900000000000000), INT64_C(1000000000000000), "9000"); /* beyond 64 bits on the way */
}

/* The denominators of a sum's parts, and which are withheld: '.' not, 's' for themselves, 'b' beside another. */
static void hides(int64_t least, const char *wanted, size_t count, const int64_t *d)
{
    struct figure_row rows[8] = {{0}};
    char found[9] = "";

    for (size_t i = 0; i < count; i++)
        rows[i].d = d[i];
    figure_hide(rows, count, least);
    for (size_t i = 0; i < count; i++)
        found[i] = rows[i].hidden == HIDDEN_SMALL ? 's' : rows[i].hidden == HIDDEN_BESIDE ? 'b' : '.';
    if (strcmp(found, wanted) != 0)
        fail_msg("%s is withheld, %s expected", found, wanted);
}

static void what_is_too_small_is_withheld_and_cannot_be_given_back_by_the_sum(void **state)
{
    (void)state;
    hides(20, ".", 1, (const int64_t[]){20});
    hides(20, "s", 1, (const int64_t[]){17});
    hides(20, "..b.s", 5, (const int64_t[]){40, 30, 25, 26, 17});
    hides(20, "s.s", 3, (const int64_t[]){17, 40, 3}); /* of two the sum tells neither */
    hides(20, "s..", 3, (const int64_t[]){0, 40, 30}); /* of nobody there is nothing to tell */
    hides(20, "s", 1, (const int64_t[]){0});
    hides(20, "bs", 2, (const int64_t[]){21, 1});
    hides(0, "...", 3, (const int64_t[]){0, 1, 2});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_is_rounded_as_its_definition_says),
        cmocka_unit_test(of_nothing_there_is_no_share),
        cmocka_unit_test(money_and_basis_points),
        cmocka_unit_test(what_is_too_small_is_withheld_and_cannot_be_given_back_by_the_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
