/* The invitation line: it survives mail, and an altered one is never taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire_messages.h"

static char *line(void)
{
    struct perche_invitation i = sample_invitation();
    struct perche_buf out = {0};
    char *text;

    assert_int_equal(perche_invitation_format(&i, &out, NULL), PERCHE_OK);
    text = calloc(1, out.n + 1);
    memcpy(text, out.p, out.n);
    perche_buf_free(&out);
    return text;
}

static enum perche_rc parses(const char *text, struct perche_err *err)
{
    struct perche_arena *arena = NULL;
    struct perche_invitation i;
    enum perche_rc rc;

    memset(&i, 0x5a, sizeof(i));
    rc = perche_invitation_parse(text, &i, &arena, err);
    if (rc != PERCHE_OK) {
        assert_null(arena);
        assert_int_equal(i.id[0], 0x5a); /* left alone */
    }
    perche_arena_free(arena);
    return rc;
}

static void every_field_comes_back(void **unused)
{
    struct perche_invitation i = sample_invitation(), back;
    struct perche_arena *arena;
    char *text = line();

    (void)unused;
    assert_memory_equal(text, "perche1:", 8);
    assert_null(strpbrk(text, "+/= \n"));
    assert_int_equal(perche_invitation_parse(text, &back, &arena, NULL), PERCHE_OK);
    free(text);
    assert_string_equal(back.url, i.url);
    assert_string_equal(back.hub, i.hub);
    assert_int_equal(back.certificate.n, i.certificate.n);
    assert_memory_equal(back.certificate.p, i.certificate.p, i.certificate.n);
    assert_memory_equal(back.hub_key, i.hub_key, 32);
    assert_memory_equal(back.id, i.id, 16);
    assert_memory_equal(back.secret, i.secret, 32);
    assert_true(back.expires_ms == i.expires_ms);
    assert_string_equal(back.site, i.site);
    assert_string_equal(back.name, i.name);
    perche_arena_free(arena);
}

static void a_line_altered_in_any_character_is_refused(void **unused)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ .\n";
    struct perche_err err;
    char *text = line();

    (void)unused;
    assert_int_equal(parses(text, &err), PERCHE_OK);
    for (char *p = text; *p != '\0'; p++) {
        char before = *p;

        for (const char *other = alphabet; *other != '\0'; other++) {
            if (*other == before)
                continue;
            *p = *other;
            assert_int_not_equal(parses(text, &err), PERCHE_OK);
            assert_true(strlen(err.text) > 20);
        }
        *p = before;
    }
    free(text);
}

static void a_line_cut_short_or_grown_is_refused(void **unused)
{
    char *text = line(), *more = malloc(strlen(text) + 3);
    struct perche_err err;
    size_t n = strlen(text);

    (void)unused;
    sprintf(more, "%sAA", text);
    assert_int_equal(parses(more, &err), PERCHE_CORRUPT);
    while (n-- > 0) {
        text[n] = '\0';
        assert_int_equal(parses(text, &err), PERCHE_CORRUPT);
    }
    free(more);
    free(text);
}

static void two_characters_exchanged_are_noticed(void **unused)
{
    struct perche_err err;
    char *text = line();

    (void)unused;
    for (char *p = text + 8; p[1] != '\0'; p++) {
        char first = p[0];

        if (p[0] == p[1])
            continue;
        p[0] = p[1];
        p[1] = first;
        assert_int_equal(parses(text, &err), PERCHE_CORRUPT);
        p[1] = p[0];
        p[0] = first;
    }
    free(text);
}

static void blanks_around_and_line_breaks_within_do_no_harm(void **unused)
{
    char *text = line(), *mailed = malloc(strlen(text) * 2 + 16), *p = mailed;

    (void)unused;
    p += sprintf(p, "  \t");
    for (size_t i = 0; text[i] != '\0'; i++) {
        *p++ = text[i];
        if (i % 72 == 71)
            p += sprintf(p, "\r\n");
    }
    sprintf(p, "\n\n");
    assert_int_equal(parses(mailed, NULL), PERCHE_OK);
    free(mailed);
    free(text);
}

static void each_fault_is_told_by_its_own_sentence(void **unused)
{
    struct perche_err err;
    char *text = line();

    (void)unused;
    assert_int_equal(parses("", &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "no invitation"));
    assert_int_equal(parses("hello", &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "no invitation"));
    text[6] = '2';
    assert_int_equal(parses(text, &err), PERCHE_NEWER);
    assert_non_null(strstr(err.text, "perche2"));
    text[6] = '1';
    text[20] = text[20] == 'A' ? 'B' : 'A';
    assert_int_equal(parses(text, &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "checksum"));
    text[20] = '*';
    assert_int_equal(parses(text, &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "character"));
    assert_int_equal(parses("perche1:AAAA", &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "ends early"));
    free(text);
    text = malloc(40000);
    memset(text, 'A', 39999);
    text[39999] = '\0';
    memcpy(text, "perche1:", 8);
    assert_int_equal(parses(text, &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "too long"));
    free(text);
}

static void a_field_beyond_its_bound_is_not_written(void **unused)
{
    struct perche_invitation i = sample_invitation();
    struct perche_buf out = {0};
    struct perche_err err;
    static char url[600];

    (void)unused;
    memset(url, 'u', sizeof(url) - 1);
    i.url = url;
    assert_int_equal(perche_invitation_format(&i, &out, &err), PERCHE_INTERNAL);
    assert_non_null(strstr(err.text, "url"));
    assert_int_equal(out.n, 0);
    perche_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(a_line_altered_in_any_character_is_refused),
        cmocka_unit_test(a_line_cut_short_or_grown_is_refused),
        cmocka_unit_test(two_characters_exchanged_are_noticed),
        cmocka_unit_test(blanks_around_and_line_breaks_within_do_no_harm),
        cmocka_unit_test(each_fault_is_told_by_its_own_sentence),
        cmocka_unit_test(a_field_beyond_its_bound_is_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
