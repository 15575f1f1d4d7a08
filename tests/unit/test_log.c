/* One line is one event; levels are the journal's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

struct seen {
    unsigned count;
    enum log_level level;
    char line[2048];
};

static void on_line(void *ctx, enum log_level level, const char *line)
{
    struct seen *s = ctx;

    s->count++;
    s->level = level;
    (void)snprintf(s->line, sizeof(s->line), "%s", line);
}

static int setup(void **state)
{
    struct seen *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    log_set_sink(s, on_line);
    log_set_level(LOG_LEVEL_NOTICE);
    log_set_journal(true);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    log_set_sink(NULL, NULL);
    free(*state);
    return 0;
}

static void a_line_names_its_event_first_behind_the_journals_priority(void **state)
{
    struct seen *s = *state;

    log_warn("uplink.lost", "hub=%s waited_ms=%u", "h", 12u);
    assert_string_equal(s->line, "<4>uplink.lost hub=h waited_ms=12");
    log_error("node.ended", "why=\"%s\"", "x");
    assert_string_equal(s->line, "<3>node.ended why=\"x\"");
    log_notice("node.started", "%s", "");
    assert_string_equal(s->line, "<5>node.started");
    log_set_level(LOG_LEVEL_DEBUG);
    log_info("a.b", "%d", 1);
    assert_string_equal(s->line, "<6>a.b 1");
    log_debug("a.b", "%d", 2);
    assert_string_equal(s->line, "<7>a.b 2");
}

static void what_is_less_urgent_than_the_level_is_not_written(void **state)
{
    struct seen *s = *state;

    log_info("a", "%s", "");
    log_debug("a", "%s", "");
    assert_int_equal(s->count, 0);
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("a", "%s", "");
    log_notice("a", "%s", "");
    assert_int_equal(s->count, 0);
    log_error("a", "%s", "");
    assert_int_equal(s->count, 1);
    assert_int_equal(s->level, LOG_LEVEL_ERROR);
}

static void a_text_from_elsewhere_cannot_make_a_second_line(void **state)
{
    struct seen *s = *state;

    log_warn("message.bad", "text=\"%s\"", "a\n<0>forged\r\x1b[31m");
    assert_string_equal(s->line, "<4>message.bad text=\"a <0>forged  [31m\"");
}

static void a_long_line_is_cut_not_split(void **state)
{
    struct seen *s = *state;
    char text[4000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_warn("long", "%s", text);
    assert_int_equal(s->count, 1);
    assert_true(strlen(s->line) < 1100);
    assert_true(strlen(s->line) > 900);
}

static void without_the_journal_a_line_has_time_and_level(void **state)
{
    struct seen *s = *state;

    log_set_journal(false);
    log_warn("uplink.lost", "%s", "hub=h");
    assert_int_equal(strlen("2026-01-31T08:00:00.000Z"), 24);
    assert_int_equal(s->line[10], 'T');
    assert_int_equal(s->line[23], 'Z');
    assert_string_equal(s->line + 24, " warn   uplink.lost hub=h");
}

static void the_environment_sets_the_level(void **state)
{
    (void)state;
    assert_int_equal(setenv("PERCHE_LOG", "Error", 1), 0);
    log_init();
    assert_int_equal(log_level(), LOG_LEVEL_ERROR);
    assert_int_equal(setenv("PERCHE_LOG", "loud", 1), 0);
    log_init();
    assert_int_equal(log_level(), LOG_LEVEL_ERROR);
    assert_int_equal(unsetenv("PERCHE_LOG"), 0);
}

static void the_journal_is_told_by_the_stream_that_stderr_is(void **state)
{
    (void)state;
    assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0); /* inherited, but stderr is another */
    log_init();
    assert_false(log_to_journal());
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    log_init();
    assert_false(log_to_journal());
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_line_names_its_event_first_behind_the_journals_priority),
        CASE(what_is_less_urgent_than_the_level_is_not_written),
        CASE(a_text_from_elsewhere_cannot_make_a_second_line),
        CASE(a_long_line_is_cut_not_split),
        CASE(without_the_journal_a_line_has_time_and_level),
        CASE(the_environment_sets_the_level),
        CASE(the_journal_is_told_by_the_stream_that_stderr_is),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
