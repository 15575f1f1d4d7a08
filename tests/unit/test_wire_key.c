/* Keys and varints: one key, one encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire_batches.h"

static const char uuid[] = "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a11";

static struct perche_value integer(int64_t i)
{
    return (struct perche_value){.type = PERCHE_INTEGER, .i = i};
}

static void comes_back(const struct perche_value *values, uint32_t n)
{
    struct perche_value back[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint8_t key[PERCHE_KEY_BYTES_MAX], *exact;
    uint32_t key_n, back_n;

    assert_int_equal(perche_key_encode(values, n, key, &key_n), PERCHE_OK);
    assert_true(key_n == 16 ? n == 1 && values->n == 36 : key_n >= 2);
    exact = malloc(key_n);
    memcpy(exact, key, key_n);
    assert_int_equal(perche_key_decode((struct perche_bytes){exact, key_n}, back, &back_n, scratch),
                     PERCHE_OK);
    assert_int_equal(back_n, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(perche_value_compare(&values[i], &back[i]), 0);
    /* Short of any byte it is another key, or none, but never this one. */
    for (uint32_t cut = 0; cut < key_n; cut++)
        if (perche_key_decode((struct perche_bytes){exact, cut}, back, &back_n, scratch) ==
            PERCHE_OK) {
            bool same = back_n == n;

            for (uint32_t i = 0; i < n && same; i++)
                same = perche_value_compare(&values[i], &back[i]) == 0;
            assert_false(same);
        }
    free(exact);
}

static enum perche_rc decodes(const char *p, uint32_t n)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint8_t *exact = malloc(n + 1);
    enum perche_rc rc;

    memcpy(exact, p, n);
    rc = perche_key_decode((struct perche_bytes){exact, n}, values, &n, scratch);
    free(exact);
    return rc;
}
#define DECODES(literal) decodes(literal, sizeof(literal) - 1)

static void a_canonical_uuid_is_its_16_bytes(void **unused)
{
    static const uint8_t id[16] = {0x01, 0x8f, 0x3c, 0x1e, 0x7a, 0x20, 0x7c, 0x4d,
                                   0x9b, 0x1a, 0x2f, 0x6d, 0x8e, 0x0c, 0x5a, 0x11};
    struct perche_value v = text_value(uuid);
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t n;

    (void)unused;
    assert_int_equal(perche_key_encode(&v, 1, key, &n), PERCHE_OK);
    assert_int_equal(n, 16);
    assert_memory_equal(key, id, 16);
    comes_back(&v, 1);
}

static void any_other_spelling_of_a_uuid_stays_a_text_of_its_own(void **unused)
{
    static const char *const others[] = {
        "018F3C1E-7A20-7C4D-9B1A-2F6D8E0C5A11",  "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a1A",
        "018f3c1e7a207c4d9b1a2f6d8e0c5a11",      "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a1",
        "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a11 ", "018f3c1e-7a20-7c4d-9b1a_2f6d8e0c5a11",
        "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a1g",  "0-18f3c1e7a20-7c4d-9b1a-2f6d8e0c5a11",
    };
    uint8_t key[PERCHE_KEY_BYTES_MAX], id[16];
    uint32_t n;

    (void)unused;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        struct perche_value v = text_value(others[i]);

        assert_false(perche_uuid_parse(v.p, v.n, id));
        assert_int_equal(perche_key_encode(&v, 1, key, &n), PERCHE_OK);
        assert_int_not_equal(n, 16);
        comes_back(&v, 1);
    }
}

static void records_of_one_to_four_values_come_back(void **unused)
{
    struct perche_value values[4] = {
        text_value(uuid),
        integer(INT64_MIN),
        {.type = PERCHE_REAL, .r = -12.5},
        {.type = PERCHE_BLOB, .n = 3, .p = (const uint8_t *)"\0\1"},
    };

    (void)unused;
    for (uint32_t n = 1; n <= 4; n++)
        comes_back(values, n);
    for (uint64_t seed = 1; seed < 3000; seed++) {
        struct perche_value some[PERCHE_KEY_COLUMNS_MAX];
        struct dice dice = {seed};
        uint32_t n = 1 + dice_below(&dice, 4);
        char room[4][256];

        for (uint32_t i = 0; i < n; i++) {
            some[i] = random_value(&dice, COLUMN_ANYTHING, room[i]);
            if (some[i].type == PERCHE_NULL || (some[i].type == PERCHE_REAL && some[i].r == 0))
                some[i] = integer((int64_t)dice_next(&dice) >> dice_below(&dice, 64));
        }
        comes_back(some, n);
    }
}

static void no_record_is_16_bytes_long(void **unused)
{
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    char text[40];
    uint32_t n;

    (void)unused;
    for (uint32_t length = 0; length < 20; length++) {
        struct perche_value v;

        memset(text, 'x', sizeof(text));
        text[length] = '\0';
        v = text_value(text);
        assert_int_equal(perche_key_encode(&v, 1, key, &n), PERCHE_OK);
        assert_int_equal(n, length == 14 ? 17 : 2 + length);
        if (length == 14)
            assert_int_equal(key[16], 0);
        comes_back(&v, 1);
    }
}

static void a_pad_that_is_not_needed_is_refused(void **unused)
{
    (void)unused;
    assert_int_equal(DECODES("\x03\x0e"
                             "fourteen bytes"
                             "\x00"),
                     PERCHE_OK);
    assert_int_equal(DECODES("\x03\x0e"
                             "fourteen bytes"
                             "\x01"),
                     PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x03\x0e"
                             "fourteen bytes"
                             "\x00\x00"),
                     PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x03\x0c"
                             "twelve bytes"
                             "\x00"),
                     PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x03\x03"
                             "abc"
                             "\x00"),
                     PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x03\x0f"
                             "fifteen bytes.."
                             "\x00"),
                     PERCHE_CORRUPT);
    /* 17 bytes that end in zero for another reason */
    assert_int_equal(DECODES("\x04\x0f"
                             "fifteen bytes.\x00"),
                     PERCHE_OK);
}

static void what_the_encoder_would_write_otherwise_is_refused(void **unused)
{
    (void)unused;
    assert_int_equal(DECODES(""), PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x00"), PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x06\x00"), PERCHE_CORRUPT);     /* no such tag */
    assert_int_equal(DECODES("\x01\x80\x00"), PERCHE_CORRUPT); /* a number in a longer form */
    assert_int_equal(DECODES("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
                     PERCHE_CORRUPT); /* 65 bits */
    assert_int_equal(DECODES("\x03\x05"
                             "four"),
                     PERCHE_CORRUPT); /* a length beyond the end */
    assert_int_equal(DECODES("\x03\xff\xff\xff\xff\x0f"), PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x05"
                             "0123456789abcdef"),
                     PERCHE_CORRUPT); /* a UUID alone has the short form */
    assert_int_equal(DECODES("\x03\x24"
                             "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a11"
                             "\x01\x00"),
                     PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x02\x80\x00\x00\x00\x00\x00\x00\x00"), PERCHE_CORRUPT); /* -0.0 */
    assert_int_equal(DECODES("\x02\x7f\xf8\x00\x00\x00\x00\x00\x00"),
                     PERCHE_CORRUPT); /* no number */
    assert_int_equal(DECODES("\x01\x00\x01\x00\x01\x00\x01\x00\x01\x00"),
                     PERCHE_CORRUPT); /* five values */
    assert_int_equal(DECODES("\x01\x00\x01\x00\x01\x00\x01\x00"), PERCHE_OK);
}

static void minus_zero_is_the_key_zero_as_sqlite_has_it(void **unused)
{
    struct perche_value minus = {.type = PERCHE_REAL, .r = -0.0},
                        zero = {.type = PERCHE_REAL, .r = 0.0};
    uint8_t a[PERCHE_KEY_BYTES_MAX], b[PERCHE_KEY_BYTES_MAX];
    uint32_t a_n, b_n;

    (void)unused;
    assert_int_equal(perche_key_encode(&minus, 1, a, &a_n), PERCHE_OK);
    assert_int_equal(perche_key_encode(&zero, 1, b, &b_n), PERCHE_OK);
    assert_int_equal(a_n, b_n);
    assert_memory_equal(a, b, a_n);
}

static void a_key_beyond_its_bound_is_too_large(void **unused)
{
    static uint8_t room[PERCHE_KEY_BYTES_MAX + 1];
    struct perche_value values[2] = {
        {.type = PERCHE_BLOB, .n = PERCHE_KEY_BYTES_MAX - 3, .p = room}, integer(-1)};
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t n = 77;

    (void)unused;
    comes_back(values, 1); /* tag, length of two bytes, value: 1,024 in all */
    assert_int_equal(perche_key_encode(values, 2, key, &n), PERCHE_TOO_LARGE);
    values[0].n++;
    assert_int_equal(perche_key_encode(values, 1, key, &n), PERCHE_TOO_LARGE);
    values[0].n = UINT32_MAX;
    assert_int_equal(perche_key_encode(values, 1, key, &n), PERCHE_TOO_LARGE);
    assert_int_equal(n, 77); /* untouched */
    values[0].n = PERCHE_KEY_BYTES_MAX - 5;
    comes_back(values, 2);
}

static void a_key_has_one_to_four_values_and_no_null(void **unused)
{
    struct perche_value values[5] = {integer(1), integer(2), integer(3), integer(4), integer(5)};
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t n;

    (void)unused;
    assert_int_equal(perche_key_encode(values, 0, key, &n), PERCHE_USAGE);
    assert_int_equal(perche_key_encode(values, 5, key, &n), PERCHE_USAGE);
    values[1].type = PERCHE_NULL;
    assert_int_equal(perche_key_encode(values, 2, key, &n), PERCHE_USAGE);
}

static void varints_come_back_and_have_one_form(void **unused)
{
    uint8_t room[10];
    uint64_t v;

    (void)unused;
    for (int bit = 0; bit < 64; bit++)
        for (int64_t around = -1; around <= 1; around++) {
            uint64_t x = (UINT64_C(1) << bit) + (uint64_t)around;
            uint32_t n = perche_varint_put(room, x);

            assert_int_equal(perche_varint_get(room, room + n, &v), n);
            assert_true(v == x);
            for (uint32_t cut = 0; cut < n; cut++)
                assert_int_equal(perche_varint_get(room, room + cut, &v), 0);
        }
    assert_int_equal(perche_varint_put(room, UINT64_MAX), 10);
    assert_int_equal(
        perche_varint_get((const uint8_t *)"\x80\x00", (const uint8_t *)"\x80\x00" + 2, &v), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_canonical_uuid_is_its_16_bytes),
        cmocka_unit_test(any_other_spelling_of_a_uuid_stays_a_text_of_its_own),
        cmocka_unit_test(records_of_one_to_four_values_come_back),
        cmocka_unit_test(no_record_is_16_bytes_long),
        cmocka_unit_test(a_pad_that_is_not_needed_is_refused),
        cmocka_unit_test(what_the_encoder_would_write_otherwise_is_refused),
        cmocka_unit_test(minus_zero_is_the_key_zero_as_sqlite_has_it),
        cmocka_unit_test(a_key_beyond_its_bound_is_too_large),
        cmocka_unit_test(a_key_has_one_to_four_values_and_no_null),
        cmocka_unit_test(varints_come_back_and_have_one_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
