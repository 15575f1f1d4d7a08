/* Result codes, the error that goes with them, and the order of values. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "perche/wire.h"

static void every_code_has_a_text_and_a_name_in_lower_case(void **unused)
{
    char name[32];

    (void)unused;
#define X(upper, value, text)                                  \
    strcpy(name, #upper);                                      \
    for (char *p = name; *p != '\0'; p++)                      \
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);    \
    assert_string_equal(perche_rc_name(PERCHE_##upper), name); \
    assert_string_equal(perche_rc_text(PERCHE_##upper), text);
    PERCHE_RC_MAP(X)
#undef X
    assert_string_equal(perche_rc_text((enum perche_rc) - 99), "unknown result");
    assert_string_equal(perche_rc_name((enum perche_rc) - 99), "unknown");
}

static void code_and_text_are_set_together(void **unused)
{
    struct perche_err err = {0};

    (void)unused;
    assert_int_equal(perche_err_set(&err, PERCHE_DISK, "The disk %d failed.", 3), PERCHE_DISK);
    assert_int_equal(err.rc, PERCHE_DISK);
    assert_string_equal(err.text, "The disk 3 failed.");
    assert_int_equal(perche_err_set(NULL, PERCHE_FULL, "%s", "nobody reads this"), PERCHE_FULL);
}

static void a_context_goes_in_front(void **unused)
{
    struct perche_err err;

    (void)unused;
    perche_err_set(&err, PERCHE_DISK, "It failed.");
    perche_err_wrap(&err, "file %s", "a.db");
    assert_string_equal(err.text, "file a.db: It failed.");
    assert_int_equal(err.rc, PERCHE_DISK);
    perche_err_wrap(NULL, "nobody");
}

static void a_text_that_does_not_fit_is_cut_at_its_end(void **unused)
{
    struct perche_err err;
    char large[600];

    (void)unused;
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    perche_err_set(&err, PERCHE_DISK, "%s", large);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    perche_err_wrap(&err, "context");
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_memory_equal(err.text, "context: xxx", 12);
    perche_err_wrap(&err, "%s", large);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_int_equal(err.text[398], 'x');
}

/* A JSON document takes no half of a character: who asked would be told less than was known. */
static void a_text_is_cut_between_two_characters(void **unused)
{
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8e\x93"};
    struct perche_err err;
    char large[sizeof(err.text) + 8];

    (void)unused;
    for (size_t i = 0; i < sizeof(characters) / sizeof(*characters); i++)
        for (size_t room = 0; room <= strlen(characters[i]); room++) {
            const size_t whole = room == strlen(characters[i]) ? room : 0, x = sizeof(err.text) - 1 - room;

            memset(large, 'x', x);
            strcpy(large + x, characters[i]);
            perche_err_set(&err, PERCHE_DISK, "%sx", large);
            assert_int_equal(strlen(err.text), x + whole);
            assert_memory_equal(err.text, large, x + whole);
            strcpy(large + x - 3, characters[i]);
            perche_err_set(&err, PERCHE_DISK, "%s", large);
            perche_err_wrap(&err, "x");
            assert_int_equal(strlen(err.text), x + whole);
            assert_memory_equal(err.text + x, characters[i], whole);
        }
    perche_err_set(&err, PERCHE_DISK, "Latin-1: caf\xe9s"); /* nothing was cut */
    assert_string_equal(err.text, "Latin-1: caf\xe9s");
    perche_err_set(&err, PERCHE_DISK, "\x80\x80\x80\x80");
    assert_string_equal(err.text, "\x80\x80\x80\x80");
}

static void only_what_a_person_has_to_change_is_configuration(void **unused)
{
    static const struct {
        int number;
        enum perche_rc rc;
    } cases[] = {
        {ENOENT, PERCHE_CONFIG}, {ENOTDIR, PERCHE_CONFIG}, {EISDIR, PERCHE_CONFIG}, {ELOOP, PERCHE_CONFIG},
        {EACCES, PERCHE_CONFIG}, {EPERM, PERCHE_CONFIG}, {ENAMETOOLONG, PERCHE_CONFIG}, {ENOSPC, PERCHE_FULL},
        {EDQUOT, PERCHE_FULL}, {ENOMEM, PERCHE_NOMEM}, {EIO, PERCHE_DISK}, {EMFILE, PERCHE_DISK},
        {ENFILE, PERCHE_DISK}, {EINTR, PERCHE_DISK}, {EROFS, PERCHE_DISK}, {EADDRINUSE, PERCHE_DISK},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(perche_rc_of_errno(cases[i].number), cases[i].rc);
}

static void values_have_one_order_whatever_their_type(void **unused)
{
    static const uint8_t bytes[] = "abc";
    const struct perche_value ascending[] = {
        {.type = PERCHE_NULL},
        {.type = PERCHE_INTEGER, .i = INT64_MIN},
        {.type = PERCHE_INTEGER, .i = -1},
        {.type = PERCHE_INTEGER, .i = INT64_MAX},
        {.type = PERCHE_REAL, .r = -1e308},
        {.type = PERCHE_REAL, .r = -1.0},
        {.type = PERCHE_REAL, .r = -0.0},
        {.type = PERCHE_REAL, .r = 0.0},
        {.type = PERCHE_REAL, .r = 5e-324},
        {.type = PERCHE_REAL, .r = 1e308},
        {.type = PERCHE_TEXT, .n = 0, .p = NULL},
        {.type = PERCHE_TEXT, .n = 1, .p = bytes},
        {.type = PERCHE_TEXT, .n = 2, .p = bytes},
        {.type = PERCHE_TEXT, .n = 1, .p = bytes + 1},
        {.type = PERCHE_BLOB, .n = 0, .p = NULL},
        {.type = PERCHE_BLOB, .n = 3, .p = bytes},
    };
    const int n = sizeof(ascending) / sizeof(*ascending);

    (void)unused;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++) {
            int c = perche_value_compare(&ascending[i], &ascending[k]);

            assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
        }
}

/* CMake's Release says NDEBUG; here a library that would go on after a broken promise is no faster, only wrong. */
static void assertions_stay_on_in_every_build(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        const struct rlimit none = {0, 0};
        const struct perche_value v = {.type = PERCHE_INTEGER};
        struct perche_batch *b = perche_batch_new();
        uint32_t part = perche_batch_part(b, "t", (const char *const[]){"a"}, 1);

        if (setrlimit(RLIMIT_CORE, &none) != 0 || freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        (void)perche_batch_cell(b, part, 0, &v); /* of no row */
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_text_and_a_name_in_lower_case),
        cmocka_unit_test(code_and_text_are_set_together),
        cmocka_unit_test(a_context_goes_in_front),
        cmocka_unit_test(a_text_that_does_not_fit_is_cut_at_its_end),
        cmocka_unit_test(a_text_is_cut_between_two_characters),
        cmocka_unit_test(only_what_a_person_has_to_change_is_configuration),
        cmocka_unit_test(values_have_one_order_whatever_their_type),
        cmocka_unit_test(assertions_stay_on_in_every_build),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
