#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../client/text.h"

/* ---------------------------------------------------------------- durations */

static void a_duration_is_a_number_and_a_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"60s", 60000},
        {"7d", UINT64_C(604800000)},
        {"1h", 3600000},
        {"5m", 300000},
        {"5min", 300000},
        {"250ms", 250},
        {"90", 90000},
        {"2w", UINT64_C(1209600000)},
        {"3653d", UINT64_C(315619200000)},
    };
    uint64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(text_duration(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
}

static void a_duration_that_is_none_is_refused_and_leaves_the_value_alone(void **state)
{
    static const char *const bad[] = {"",    "s",    "0s",  "-1s",   "1.5h",
                                      "1 h", "60sx", "7D",  "3654d", "99999999999999999999s",
                                      " 1s", "1e3s", "0x1", "+5s",   "18446744073709551616ms"};
    uint64_t ms = 42;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(text_duration(bad[i], &ms));
        assert_int_equal(ms, 42);
    }
}

static void a_number_is_whole_and_begins_at_one(void **state)
{
    uint64_t n = 42;

    (void)state;
    assert_true(text_number("1", &n));
    assert_int_equal(n, 1);
    assert_true(text_number("9007199254740992", &n));
    assert_int_equal(n, UINT64_C(9007199254740992));
    n = 42;
    assert_false(text_number("0", &n));
    assert_false(text_number("-1", &n));
    assert_false(text_number("1.0", &n));
    assert_false(text_number("", &n));
    assert_false(text_number("9007199254740993", &n));
    assert_int_equal(n, 42);
}

/* -------------------------------------------------------------------- times */

static void a_time_of_the_daemon_is_read_to_the_millisecond(void **state)
{
    uint64_t ms;

    (void)state;
    assert_true(text_iso("2025-09-01T14:05:12Z", &ms));
    assert_int_equal(ms, UINT64_C(1756735512000));
    assert_true(text_iso("2025-09-01T14:05:12.250Z", &ms));
    assert_int_equal(ms, UINT64_C(1756735512250));
    assert_true(text_iso("2025-09-01T14:05:12.1234567Z", &ms));
    assert_int_equal(ms, UINT64_C(1756735512123));
    assert_true(text_iso("1970-01-01T00:00:00Z", &ms));
    assert_int_equal(ms, 0);
    assert_true(text_iso("2106-02-07T06:28:16Z", &ms)); /* beyond 32 bits of seconds */
    assert_int_equal(ms, UINT64_C(4294967296000));
}

static void a_time_in_any_other_form_is_none(void **state)
{
    static const char *const bad[] = {"",
                                      "never",
                                      "2025-09-01",
                                      "2025-09-01T14:05:12",
                                      "2025-09-01T14:05:12+02:00",
                                      "2025-09-01T14:05:12.Z",
                                      "2025-13-01T14:05:12Z",
                                      "1969-12-31T23:59:59Z",
                                      "2025-09-01T14:05:12Zx"};
    uint64_t ms = 42;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(text_iso(bad[i], &ms));
    assert_int_equal(ms, 42);
}

static void people_read_times_in_their_own_zone(void **state)
{
    const uint64_t now = UINT64_C(1756735524000); /* 2025-09-01T14:05:24Z: 16:05:24 in Paris */
    char out[TEXT_TIME_MAX];

    (void)state;
    setenv("TZ", "Europe/Paris", 1);
    tzset();
    text_when(now - 12000, now, out);
    assert_string_equal(out, "16:05:12");
    text_when(now - UINT64_C(86400000), now, out);
    assert_string_equal(out, "31 Aug 16:05");
    text_when(now - UINT64_C(400) * 86400000, now, out);
    assert_string_equal(out, "28 Jul 2024");
    /* 23:30Z the day before is today in Paris */
    text_when(UINT64_C(1756683000000), now, out);
    assert_string_equal(out, "01:30:00");
    text_day(now, now, out);
    assert_string_equal(out, "1 Sep");
    text_day(now - UINT64_C(400) * 86400000, now, out);
    assert_string_equal(out, "28 Jul 2024");
    text_exact(now, out);
    assert_string_equal(out, "2025-09-01 16:05:24");
    setenv("TZ", "UTC0", 1);
    tzset();
    text_exact(now, out);
    assert_string_equal(out, "2025-09-01 14:05:24");
}

static void how_long_ago_is_said_in_the_largest_unit_that_tells(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } spans[] = {
        {12000, "12 s ago"},      {119999, "119 s ago"}, {120000, "2 min ago"},
        {7199999, "119 min ago"}, {7200000, "2 h ago"},  {172800000, "2 days ago"},
        {0, "just now"},          {999, "just now"},     {1000, "1 s ago"},
    };
    char out[TEXT_TIME_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        text_ago(UINT64_C(1756735524000) - spans[i].ms, UINT64_C(1756735524000), out);
        assert_string_equal(out, spans[i].text);
    }
    text_ago(2000, 1000, out); /* the clock was set back */
    assert_string_equal(out, "just now");
    text_span(38, out);
    assert_string_equal(out, "38 ms");
}

static void digits_stand_in_groups_of_three(void **state)
{
    char out[TEXT_TIME_MAX];

    (void)state;
    text_digits(0, out);
    assert_string_equal(out, "0");
    text_digits(999, out);
    assert_string_equal(out, "999");
    text_digits(1000, out);
    assert_string_equal(out, "1,000");
    text_digits(UINT64_MAX, out);
    assert_string_equal(out, "18,446,744,073,709,551,615");
}

static void an_offset_that_rounds_to_nothing_has_no_sign(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } offsets[] = {{0, "0.0 s"}, {-49, "0.0 s"}, {49, "0.0 s"}, {-60, "-0.1 s"}, {200, "+0.2 s"}, {-61000, "-61.0 s"}};
    char out[TEXT_TIME_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        text_offset(offsets[i].ms, out);
        assert_string_equal(out, offsets[i].text);
    }
}

/* -------------------------------------------------------------------- UTF-8 */

static void widths_are_those_of_the_terminal_not_of_the_bytes(void **state)
{
    (void)state;
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("élève"), 5);
    assert_int_equal(text_width("e\xcc\x81l"), 2); /* e + combining acute */
    assert_int_equal(text_width("学校"), 4);
    assert_int_equal(text_width(""), 0);
}

static void a_text_is_cut_between_characters(void **state)
{
    int took;

    (void)state;
    assert_int_equal(text_fit("élève", 2, &took), 3);
    assert_int_equal(took, 2);
    assert_int_equal(text_fit("学校", 3, &took), 3); /* half of the second does not fit */
    assert_int_equal(took, 2);
    assert_int_equal(text_fit("e\xcc\x81l", 1, &took), 3); /* the accent stays with its letter */
    assert_int_equal(text_fit("ab", 5, &took), 2);
    assert_int_equal(took, 2);
}

static void what_is_not_utf8_is_found(void **state)
{
    (void)state;
    assert_true(text_valid("La Loupe, élève, 学校, \xf0\x9f\x98\x80"));
    assert_false(text_valid("\xe9l\xe8ve")); /* Latin-1 */
    assert_false(text_valid("\xc0\xaf"));    /* overlong */
    assert_false(text_valid("\xe0\x80\xaf"));
    assert_false(text_valid("\xed\xa0\x80"));     /* surrogate */
    assert_false(text_valid("\xf4\x90\x80\x80")); /* beyond U+10FFFF */
    assert_false(text_valid("a\xe2\x82"));        /* cut short */
}

static void no_record_can_steer_the_terminal(void **state)
{
    static const char evil[] = "a\x1b[2Jb\nc\td\x7f\xc2\x9b\xe2\x80\xae\xff z\0w";
    char *clean = text_clean(evil, sizeof(evil) - 1);

    (void)state;
    assert_string_equal(clean, "a\xef\xbf\xbd[2Jb c d\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                               "\xef\xbf\xbd z\xef\xbf\xbdw");
    free(clean);
}

/* ------------------------------------------------------------------ row ids */

static void expect_id(const char *const *words, int count, const char *json)
{
    json_t *id = text_row_id(words, count);
    char *text;

    assert_non_null(id);
    text = json_dumps(id, JSON_COMPACT);
    assert_string_equal(text, json);
    free(text);
    json_decref(id);
}

static void a_row_id_is_split_at_commas_and_at_words(void **state)
{
    (void)state;
    expect_id((const char *const[]){"01990c5e"}, 1, "[\"01990c5e\"]");
    expect_id((const char *const[]){"ENR,W4"}, 1, "[\"ENR\",\"W4\"]");
    expect_id((const char *const[]){"ENR", "W4"}, 2, "[\"ENR\",\"W4\"]");
    expect_id((const char *const[]){"a,b", "c"}, 2, "[\"a\",\"b\",\"c\"]");
    expect_id((const char *const[]){"Dupont\\, Anna"}, 1, "[\"Dupont, Anna\"]");
    expect_id((const char *const[]){"a\\\\,b"}, 1, "[\"a\\\\\",\"b\"]");
    expect_id((const char *const[]){"C:\\temp"}, 1, "[\"C:\\\\temp\"]");
    expect_id((const char *const[]){"été,été"}, 1, "[\"été\",\"été\"]");
}

static void a_row_id_with_an_empty_part_is_none(void **state)
{
    static const char *const bad[] = {"", ",", "a,", ",a", "a,,b"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(text_row_id(&bad[i], 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_is_a_number_and_a_unit),
        cmocka_unit_test(a_duration_that_is_none_is_refused_and_leaves_the_value_alone),
        cmocka_unit_test(a_number_is_whole_and_begins_at_one),
        cmocka_unit_test(a_time_of_the_daemon_is_read_to_the_millisecond),
        cmocka_unit_test(a_time_in_any_other_form_is_none),
        cmocka_unit_test(people_read_times_in_their_own_zone),
        cmocka_unit_test(how_long_ago_is_said_in_the_largest_unit_that_tells),
        cmocka_unit_test(digits_stand_in_groups_of_three),
        cmocka_unit_test(an_offset_that_rounds_to_nothing_has_no_sign),
        cmocka_unit_test(widths_are_those_of_the_terminal_not_of_the_bytes),
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(what_is_not_utf8_is_found),
        cmocka_unit_test(no_record_can_steer_the_terminal),
        cmocka_unit_test(a_row_id_is_split_at_commas_and_at_words),
        cmocka_unit_test(a_row_id_with_an_empty_part_is_none),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
