/* Batches: what goes in comes out, and what is no batch is refused without harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zstd.h>

#include "wire_batches.h"

static struct perche_bytes bytes_of(const struct perche_buf *buf)
{
    return (struct perche_bytes){buf->p, (uint32_t)buf->n};
}

/* A row with a key of 16 bytes and generation 1. */
static struct perche_row *add_row(struct perche_batch *b, uint32_t part, uint8_t number)
{
    uint8_t key[16] = {number};
    struct perche_row *row = perche_batch_row(b, part, (struct perche_bytes){key, 16});

    assert_non_null(row);
    row->gen = 1;
    return row;
}

static void add_cell(struct perche_batch *b, uint32_t part, uint16_t col, struct perche_value v)
{
    struct perche_cell *c = perche_batch_cell(b, part, col, &v);

    assert_non_null(c);
    c->stamp = UINT64_C(1760000000000) << 16;
    c->origin = 0;
}

/* Encodes @b at @level and expects to read the same again. */
static void comes_back(const struct perche_batch *b, int level)
{
    struct perche_batch *back = perche_batch_new();
    struct perche_buf out = {0}, again = {0};
    struct perche_err err = {0};
    const char *what;

    assert_non_null(back);
    if (perche_batch_encode(b, level, &out, &err) != PERCHE_OK)
        fail_msg("encode: %s", err.text);
    if (perche_batch_decode(bytes_of(&out), back, &err) != PERCHE_OK)
        fail_msg("decode: %s", err.text);
    what = batch_differs(b, back);
    if (what != NULL)
        fail_msg("differs: %s", what);
    assert_int_equal(perche_batch_encode(back, level, &again, &err), PERCHE_OK);
    assert_int_equal(again.n, out.n);
    assert_memory_equal(again.p, out.p, out.n); /* one batch, one encoding */
    perche_buf_free(&again);
    perche_buf_free(&out);
    perche_batch_free(back);
}

static void random_batches_come_back_as_they_were(void **unused)
{
    struct perche_batch *b = perche_batch_new();

    (void)unused;
    assert_non_null(b);
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct dice dice = {seed};

        perche_batch_clear(b);
        assert_true(random_batch(&dice, b, seed % 10 == 0 ? 900 : seed % 3 == 0 ? 60 : 6));
        comes_back(b, seed % 5 == 0 ? 0 : 3);
    }
    perche_batch_free(b);
}

static void every_kind_of_column_comes_back_in_small_and_large_batches(void **unused)
{
    static const uint32_t counts[] = {1, 2, 3, 4, 7, 8, 9, 63, 64, 65, 191, 192, 193, 1000, 3000};
    struct perche_batch *b = perche_batch_new();
    const char *column = "c";
    char room[600];

    (void)unused;
    assert_non_null(b);
    for (int kind = 0; kind < COLUMN_KINDS; kind++)
        for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
            struct dice dice = {(uint64_t)kind * 1000 + i};
            uint32_t part;

            perche_batch_clear(b);
            perche_batch_name(b, "origin");
            part = perche_batch_part(b, "t", &column, 1);
            for (uint32_t r = 0; r < counts[i]; r++) {
                add_row(b, part, (uint8_t)r);
                add_cell(b, part, 0, random_value(&dice, (enum column_kind)kind, room));
            }
            comes_back(b, 3);
        }
    perche_batch_free(b);
}

static void texts_that_look_like_something_else_keep_every_character(void **unused)
{
    /* Each list is a column: all but one value would fit a shorter form. */
    static const char *const lists[][5] = {
        {"2024-01-01", "2024-02-30", "2024-03-01", "2024-04-01", NULL},
        {"0612345678", "612345678", "0712345678", "0", NULL},
        {"1", "2", "03", "4", NULL},
        {"12", "1x", "34", "56", NULL},
        {"999999999999999999", "1000000000000000000", "0", "1", NULL},
        {"000000000000000000", "999999999999999999", "000000000000000001", "123456789012345678",
         NULL},
        {"+33612345678", "-1", "1.0", "1e3", NULL},
        {"2024-01-01T00:00:00Z", "2024-01-01T00:00:60Z", "2024-01-01T24:00:00Z",
         "2024-01-01T00:60:00Z", NULL},
        {"2024-01-01T00:00:00Z", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00z",
         "2024-01-01T00:00:00", NULL},
        {"2024-01-01 10:20:30.004", "1969-12-31 23:59:59.999", "1970-01-01 00:00:00.000",
         "0000-01-01 00:00:00.001", NULL},
        {"1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "0000-01-01T00:00:01Z",
         "9999-12-31T23:59:59Z", NULL},
        {"018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a11", "018F3C1E-7a20-7c4d-9b1a-2f6d8e0c5a11",
         "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a1", "", NULL},
        {"018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a11", "018f3c1e-7a20-4c4d-9b1a-2f6d8e0c5a12",
         "018f3c1e-7a20-7c4d-cb1a-2f6d8e0c5a13", "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a14", NULL},
        {"", "", "", "", NULL},
        {"a", "", "a", "", NULL},
        {"\xff\xfe", "\x80", "\xc3\xa9", "e\xcc\x81", NULL},
    };
    struct perche_batch *b = perche_batch_new();
    const char *column = "c";

    (void)unused;
    assert_non_null(b);
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (uint32_t repeat = 1; repeat < 400; repeat *= 7) {
            uint32_t part;

            perche_batch_clear(b);
            perche_batch_name(b, "origin");
            part = perche_batch_part(b, "t", &column, 1);
            for (uint32_t r = 0; r < repeat; r++)
                for (const char *const *p = lists[i]; *p != NULL; p++) {
                    add_row(b, part, (uint8_t)r);
                    add_cell(b, part, 0, text_value(*p));
                }
            comes_back(b, 3);
        }
    perche_batch_free(b);
}

static void sixty_three_columns_fit_and_one_more_does_not(void **unused)
{
    struct perche_batch *b = perche_batch_new();
    const char *columns[PERCHE_COLUMNS_MAX + 1];
    char names[PERCHE_COLUMNS_MAX + 1][8];
    uint32_t part;

    (void)unused;
    for (int i = 0; i <= PERCHE_COLUMNS_MAX; i++) {
        sprintf(names[i], "c%d", i);
        columns[i] = names[i];
    }
    assert_int_equal(perche_batch_part(b, "t", columns, PERCHE_COLUMNS_MAX + 1), UINT32_MAX);
    perche_batch_name(b, "origin");
    part = perche_batch_part(b, "t", columns, PERCHE_COLUMNS_MAX);
    for (int r = 0; r < 3; r++) {
        add_row(b, part, (uint8_t)r);
        for (uint16_t col = 0; col < PERCHE_COLUMNS_MAX; col++)
            if (r != 1 || col == 62)
                add_cell(b, part, col, (struct perche_value){.type = PERCHE_INTEGER, .i = col});
    }
    comes_back(b, 3);
    perche_batch_free(b);
}

static void an_empty_batch_comes_back_empty(void **unused)
{
    struct perche_batch *b = perche_batch_new();

    (void)unused;
    comes_back(b, 3);
    perche_batch_free(b);
}

static void a_large_value_comes_back_however_well_it_compresses(void **unused)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_buf out = {0};
    const char *column = "c";
    uint8_t *zeros = calloc(1, PERCHE_VALUE_BYTES_MAX + 1);
    struct perche_value v = {.type = PERCHE_BLOB, .n = PERCHE_VALUE_BYTES_MAX, .p = zeros};
    uint32_t part = perche_batch_part(b, "t", &column, 1);

    (void)unused;
    perche_batch_name(b, "origin");
    add_row(b, part, 0);
    add_cell(b, part, 0, v);
    comes_back(b, 3);
    assert_int_equal(perche_batch_encode(b, 3, &out, NULL), PERCHE_OK);
    add_row(b, part, 1);
    v.n++;
    assert_null(perche_batch_cell(b, part, 0, &v)); /* beyond its bound */
    perche_buf_free(&out);
    free(zeros);
    perche_batch_free(b);
}

static void twenty_thousand_rows_fit_and_one_more_does_not(void **unused)
{
    struct perche_batch *b = perche_batch_new();
    uint32_t part = perche_batch_part(b, "t", NULL, 0);

    (void)unused;
    for (uint32_t i = 0; i < PERCHE_BATCH_ROWS_MAX; i++)
        add_row(b, part, (uint8_t)i);
    assert_null(
        perche_batch_row(b, part, (struct perche_bytes){(const uint8_t *)"0123456789abcdef", 16}));
    assert_int_equal(perche_batch_rows(b), PERCHE_BATCH_ROWS_MAX);
    comes_back(b, 3);
    perche_batch_free(b);
}

static void columns_without_a_cell_cost_nothing(void **unused)
{
    static const char *const columns[] = {"one", "a_long_name_that_nobody_uses", "three"};
    struct perche_batch *b = perche_batch_new(), *back = perche_batch_new();
    struct perche_buf out = {0};
    uint32_t part = perche_batch_part(b, "t", columns, 3);

    (void)unused;
    perche_batch_name(b, "origin");
    add_row(b, part, 1);
    add_cell(b, part, 2, text_value("x"));
    assert_int_equal(perche_batch_encode(b, 0, &out, NULL), PERCHE_OK);
    assert_null(memmem(out.p, out.n, "nobody", 6));
    assert_int_equal(perche_batch_decode(bytes_of(&out), back, NULL), PERCHE_OK);
    assert_int_equal(back->parts[0].columns_count, 1);
    assert_string_equal(back->parts[0].columns[0], "three");
    assert_null(batch_differs(b, back));
    perche_buf_free(&out);
    perche_batch_free(back);
    perche_batch_free(b);
}

/* A batch with something of everything, as bytes. */
static struct perche_buf sample(uint64_t seed, int level)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_buf out = {0};
    struct dice dice = {seed};

    assert_true(random_batch(&dice, b, 12));
    assert_int_equal(perche_batch_encode(b, level, &out, NULL), PERCHE_OK);
    perche_batch_free(b);
    return out;
}

static void a_batch_cut_short_at_any_byte_is_refused(void **unused)
{
    struct perche_batch *b = perche_batch_new();

    (void)unused;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct perche_buf whole = sample(seed, seed % 2 ? 0 : 3);

        for (uint32_t n = 0; n < whole.n; n++) {
            /* A copy of exactly that size, so that reading beyond it is seen. */
            uint8_t *cut = malloc(n == 0 ? 1 : n);

            memcpy(cut, whole.p, n);
            assert_int_not_equal(perche_batch_decode((struct perche_bytes){cut, n}, b, NULL),
                                 PERCHE_OK);
            assert_int_equal(b->parts_count, 0);
            assert_int_equal(perche_batch_rows(b), 0);
            free(cut);
        }
        perche_buf_free(&whole);
    }
    perche_batch_free(b);
}

static void a_byte_behind_the_end_is_refused(void **unused)
{
    struct perche_batch *b = perche_batch_new();

    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct perche_buf whole = sample(seed, seed % 2 ? 0 : 3);
        uint8_t *more = malloc(whole.n + 1);

        memcpy(more, whole.p, whole.n);
        more[whole.n] = 0;
        assert_int_equal(
            perche_batch_decode((struct perche_bytes){more, (uint32_t)whole.n + 1}, b, NULL),
            PERCHE_CORRUPT);
        free(more);
        perche_buf_free(&whole);
    }
    perche_batch_free(b);
}

static void a_flipped_bit_never_does_harm(void **unused)
{
    struct perche_batch *b = perche_batch_new();

    (void)unused;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct perche_buf whole = sample(seed, seed % 3 ? 0 : 3);

        for (size_t bit = 0; bit < whole.n * 8; bit += seed < 3 ? 1 : 5) {
            struct perche_buf again = {0};

            whole.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            /* What still decodes is a batch like any other: it can be sent on. */
            if (perche_batch_decode(bytes_of(&whole), b, NULL) == PERCHE_OK)
                assert_int_equal(perche_batch_encode(b, 0, &again, NULL), PERCHE_OK);
            perche_batch_clear(b);
            perche_buf_free(&again);
            whole.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        perche_buf_free(&whole);
    }
    perche_batch_free(b);
}

/* Decodes the bytes given in a string. */
static enum perche_rc decodes(const void *p, size_t n, struct perche_err *err)
{
    struct perche_batch *b = perche_batch_new();
    enum perche_rc rc;

    assert_non_null(b);
    rc = perche_batch_decode((struct perche_bytes){p, (uint32_t)n}, b, err);
    perche_batch_free(b);
    return rc;
}
#define DECODES(literal, err) decodes(literal, sizeof(literal) - 1, err)

static void lying_counts_are_refused_before_memory_is_asked_for(void **unused)
{
    struct perche_err err;

    (void)unused;
    /* names: 65,537; 65,536 of which none is there */
    assert_int_equal(DECODES("\x01\xc4\x03\x81\x80\x04", &err), PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x01\xc4\x03\x80\x80\x04", &err), PERCHE_CORRUPT);
    /* tables: 257 */
    assert_int_equal(DECODES("\x01\xc4\x03\x00\x81\x02", &err), PERCHE_CORRUPT);
    /* rows: 20,001 */
    assert_int_equal(DECODES("\x01\xc4\x09\x00\x01t\x00\xa1\x9c\x01\x00\x00", &err),
                     PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "too many rows"));
    /* columns: 64 */
    assert_int_equal(DECODES("\x01\xc4\x07\x00\x01t\x00\x01\x40\x00", &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "too many columns"));
    /* notices: 20,001 */
    assert_int_equal(DECODES("\x01\xc4\x05\x00\x00\xa1\x9c\x01", &err), PERCHE_CORRUPT);
    /* a section of 4 GiB */
    assert_int_equal(DECODES("\x01\xc6\xff\xff\xff\xff\x00", &err), PERCHE_CORRUPT);
    /* one row whose key is said to be of 1,024 bytes */
    assert_int_equal(DECODES("\x01\xc4\x06\x00\x01t\x00\x01\x00\x00"
                             "\xc4\x04\x02\x00\x80\x08",
                             &err),
                     PERCHE_CORRUPT);
}

static void a_frame_that_claims_too_much_is_refused_before_memory_is_asked_for(void **unused)
{
    /* A frame header with a content size of 8 bytes, and an empty raw block. */
    uint8_t frame[] = {2, 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    struct perche_err err;

    (void)unused;
    frame[6 + 3] = 0x05; /* 80 MiB */
    assert_int_equal(decodes(frame, sizeof(frame), &err), PERCHE_TOO_LARGE);
    frame[6 + 3] = 0x02; /* 32 MiB from 16 bytes */
    assert_int_equal(decodes(frame, sizeof(frame), &err), PERCHE_TOO_LARGE);
    memset(frame + 6, 0xff, 8);
    assert_int_not_equal(decodes(frame, sizeof(frame), &err), PERCHE_OK);
    memset(frame + 6, 0, 8); /* nothing at all */
    assert_int_equal(decodes(frame, sizeof(frame), &err), PERCHE_CORRUPT);
}

static void two_frames_in_a_row_are_refused(void **unused)
{
    struct perche_buf whole = sample(2, 3);
    uint8_t *twice = malloc(whole.n * 2);
    struct perche_err err;

    (void)unused;
    assert_int_equal(whole.p[0], 2);
    memcpy(twice, whole.p, whole.n);
    memcpy(twice + whole.n, whole.p + 1, whole.n - 1);
    assert_int_equal(decodes(twice, whole.n * 2 - 1, &err), PERCHE_CORRUPT);
    /* A frame to be skipped is one too: nobody would ever look into it. */
    memcpy(twice + whole.n, "\x50\x2a\x4d\x18\x01\x00\x00\x00x", 9);
    assert_int_equal(decodes(twice, whole.n + 9, &err), PERCHE_CORRUPT);
    free(twice);
    perche_buf_free(&whole);
}

static void names_and_tables_and_columns_that_come_twice_are_refused(void **unused)
{
    struct perche_err err;

    (void)unused;
    assert_int_equal(DECODES("\x01\xc4\x07\x02"
                             "a\0a\0"
                             "\x00\x00",
                             &err),
                     PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "a name comes twice"));
    assert_int_equal(DECODES("\x01\xc4\x0b\x00\x02"
                             "t\0\x01\x00"
                             "t\0\x01\x00"
                             "\x00",
                             &err),
                     PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "a table comes twice"));
    assert_int_equal(DECODES("\x01\xc4\x0b\x00\x01"
                             "t\0\x01\x02"
                             "a\0a\0"
                             "\x00",
                             &err),
                     PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "a column comes twice"));
}

/* One row of one column "c" with one text, plain; the tests below spoil a byte of it. */
static struct perche_buf tiny(void)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_buf out = {0};
    const char *column = "c";
    uint32_t part = perche_batch_part(b, "t", &column, 1);

    perche_batch_name(b, "o");
    add_row(b, part, 1);
    add_cell(b, part, 0, (struct perche_value){.type = PERCHE_REAL, .r = 1.0});
    assert_int_equal(perche_batch_encode(b, 0, &out, NULL), PERCHE_OK);
    perche_batch_free(b);
    return out;
}

static void fields_out_of_their_range_are_refused(void **unused)
{
    struct perche_buf whole = tiny();
    struct perche_err err;
    uint8_t *heads;

    (void)unused;
    assert_int_equal(decodes(whole.p, whole.n, &err), PERCHE_OK);
    /* generation, flags, scope, milliseconds: form and value of each */
    heads = memmem(whole.p, whole.n, "\x00\x01\x00\x00\x00\x00\x00\x80", 8);
    assert_non_null(heads);
    heads[1] = 0; /* generation */
    assert_int_equal(decodes(whole.p, whole.n, &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "no generation"));
    heads[1] = 1;
    heads[3] = 128; /* flags: 128, the next after all there are, takes two bytes */
    heads[4] = 1;
    assert_int_equal(decodes(whole.p, whole.n, &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "unknown flag"));
    heads[3] = heads[4] = 0;
    heads[5] = 2; /* scope: name 1 of 1 */
    assert_int_equal(decodes(whole.p, whole.n, &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "no name of the batch"));
    perche_buf_free(&whole);
}

static void a_real_that_is_no_number_is_refused(void **unused)
{
    struct perche_buf whole = tiny();
    struct perche_err err;
    /* 1.0 with its bytes turned round is 0xf03f: a varint of three bytes. */
    uint8_t *real = memmem(whole.p, whole.n, "\x02\x00\xbf\xe0\x03", 5), *nan;
    size_t at = (size_t)(real - whole.p);

    (void)unused;
    assert_non_null(real);
    nan = malloc(whole.n);
    memcpy(nan, whole.p, whole.n);
    nan[at + 2] = 0xff; /* 0xf8ff: a NaN */
    nan[at + 3] = 0xf1;
    assert_int_equal(decodes(nan, whole.n, &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "no number"));
    free(nan);
    perche_buf_free(&whole);
}

static void a_malformed_key_is_refused(void **unused)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_buf out = {0};
    struct perche_err err;
    uint32_t part = perche_batch_part(b, "t", NULL, 0);
    struct perche_row *row =
        perche_batch_row(b, part, (struct perche_bytes){(const uint8_t *)"\x01\x80\x00", 3});

    (void)unused;
    row->gen = 1;
    assert_int_equal(perche_batch_encode(b, 0, &out, NULL), PERCHE_OK);
    assert_int_equal(decodes(out.p, out.n, &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "key"));
    perche_buf_free(&out);
    perche_batch_free(b);
}

static void a_batch_that_its_maker_got_wrong_is_not_sent(void **unused)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_buf out = {0};
    struct perche_err err;
    const char *column = "c";
    uint32_t part = perche_batch_part(b, "t", &column, 1);
    struct perche_row *row = add_row(b, part, 1);

    (void)unused;
    row->gen = 0;
    assert_int_equal(perche_batch_encode(b, 3, &out, &err), PERCHE_INTERNAL);
    assert_non_null(strstr(err.text, "generation"));
    row->gen = 1;
    row->scope = 7;
    assert_int_equal(perche_batch_encode(b, 3, &out, &err), PERCHE_INTERNAL);
    row->scope = PERCHE_NO_SCOPE;
    add_cell(b, part, 0, (struct perche_value){.type = PERCHE_NULL});
    assert_int_equal(perche_batch_encode(b, 3, &out, &err),
                     PERCHE_INTERNAL); /* origin 0, and no names */
    assert_int_not_equal(perche_batch_name(b, "origin"), UINT32_MAX);
    assert_int_equal(perche_batch_encode(b, 3, &out, &err), PERCHE_OK);
    perche_buf_free(&out);
    perche_batch_free(b);
}

static void names_are_interned(void **unused)
{
    struct perche_batch *b = perche_batch_new();
    char text[16];

    (void)unused;
    for (uint32_t i = 0; i < 3000; i++) {
        sprintf(text, "site-%u", i);
        assert_int_equal(perche_batch_name(b, text), i);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        sprintf(text, "site-%u", i);
        assert_int_equal(perche_batch_name(b, text), i);
    }
    assert_int_equal(b->names_count, 3000);
    perche_batch_clear(b);
    assert_int_equal(perche_batch_name(b, "site-2999"), 0);
    perche_batch_free(b);
}

static void a_table_has_one_part(void **unused)
{
    struct perche_batch *b = perche_batch_new();
    const char *column = "c";

    (void)unused;
    assert_int_equal(perche_batch_part(b, "one", &column, 1), 0);
    assert_int_equal(perche_batch_part(b, "two", &column, 1), 1);
    assert_int_equal(perche_batch_part(b, "one", &column, 1), 0);
    assert_int_equal(b->parts_count, 2);
    assert_int_equal(perche_batch_part(b, "", &column, 1), UINT32_MAX);
    perche_batch_free(b);
}

static void a_cleared_batch_is_like_a_new_one(void **unused)
{
    struct perche_batch *used = perche_batch_new(), *fresh = perche_batch_new();
    struct perche_buf a = {0}, b = {0};

    (void)unused;
    for (uint64_t seed = 1; seed < 30; seed++) {
        struct dice one = {seed}, two = {seed};

        perche_batch_clear(used);
        assert_true(random_batch(&one, used, 30));
        perche_batch_free(fresh);
        fresh = perche_batch_new();
        assert_true(random_batch(&two, fresh, 30));
        a.n = b.n = 0;
        assert_int_equal(perche_batch_encode(used, 3, &a, NULL), PERCHE_OK);
        assert_int_equal(perche_batch_encode(fresh, 3, &b, NULL), PERCHE_OK);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.p, b.p, a.n);
        assert_int_equal(perche_batch_bytes(used), perche_batch_bytes(fresh));
    }
    perche_buf_free(&a);
    perche_buf_free(&b);
    perche_batch_free(used);
    perche_batch_free(fresh);
}

static void the_rough_size_is_no_less_than_half_the_real_one(void **unused)
{
    struct perche_batch *b = perche_batch_new();
    struct perche_buf out = {0};

    (void)unused;
    for (uint64_t seed = 10; seed < 40; seed++) {
        struct dice dice = {seed};

        perche_batch_clear(b);
        assert_true(random_batch(&dice, b, 300));
        out.n = 0;
        assert_int_equal(perche_batch_encode(b, 0, &out, NULL), PERCHE_OK);
        assert_true(out.n <= perche_batch_bytes(b) * 2 + 200);
    }
    perche_buf_free(&out);
    perche_batch_free(b);
}

static void encoding_appends_to_what_is_there(void **unused)
{
    struct perche_buf out = {0}, alone = sample(3, 3);
    struct perche_batch *b = perche_batch_new();
    struct dice dice = {3};

    (void)unused;
    out.p = malloc(5);
    out.n = out.cap = 5;
    memcpy(out.p, "front", 5);
    assert_true(random_batch(&dice, b, 12));
    assert_int_equal(perche_batch_encode(b, 3, &out, NULL), PERCHE_OK);
    assert_int_equal(out.n, alone.n + 5);
    assert_memory_equal(out.p, "front", 5);
    assert_memory_equal(out.p + 5, alone.p, alone.n);
    perche_batch_free(b);
    perche_buf_free(&out);
    perche_buf_free(&alone);
}

static void the_thread_s_memory_can_be_given_back(void **unused)
{
    struct perche_buf out;

    (void)unused;
    perche_wire_thread_end();
    perche_wire_thread_end();
    out = sample(4, 3); /* made anew */
    assert_int_equal(decodes(out.p, out.n, NULL), PERCHE_OK);
    perche_buf_free(&out);
    perche_wire_thread_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_batches_come_back_as_they_were),
        cmocka_unit_test(every_kind_of_column_comes_back_in_small_and_large_batches),
        cmocka_unit_test(texts_that_look_like_something_else_keep_every_character),
        cmocka_unit_test(sixty_three_columns_fit_and_one_more_does_not),
        cmocka_unit_test(an_empty_batch_comes_back_empty),
        cmocka_unit_test(a_large_value_comes_back_however_well_it_compresses),
        cmocka_unit_test(twenty_thousand_rows_fit_and_one_more_does_not),
        cmocka_unit_test(columns_without_a_cell_cost_nothing),
        cmocka_unit_test(a_batch_cut_short_at_any_byte_is_refused),
        cmocka_unit_test(a_byte_behind_the_end_is_refused),
        cmocka_unit_test(a_flipped_bit_never_does_harm),
        cmocka_unit_test(lying_counts_are_refused_before_memory_is_asked_for),
        cmocka_unit_test(a_frame_that_claims_too_much_is_refused_before_memory_is_asked_for),
        cmocka_unit_test(two_frames_in_a_row_are_refused),
        cmocka_unit_test(names_and_tables_and_columns_that_come_twice_are_refused),
        cmocka_unit_test(fields_out_of_their_range_are_refused),
        cmocka_unit_test(a_real_that_is_no_number_is_refused),
        cmocka_unit_test(a_malformed_key_is_refused),
        cmocka_unit_test(a_batch_that_its_maker_got_wrong_is_not_sent),
        cmocka_unit_test(names_are_interned),
        cmocka_unit_test(a_table_has_one_part),
        cmocka_unit_test(a_cleared_batch_is_like_a_new_one),
        cmocka_unit_test(the_rough_size_is_no_less_than_half_the_real_one),
        cmocka_unit_test(encoding_appends_to_what_is_there),
        cmocka_unit_test(the_thread_s_memory_can_be_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
