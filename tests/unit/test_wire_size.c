/* How many bytes a change costs on the line: the bounds that the design promises, on
 * generated rows that look like the school's (no real names). Printed, so that a change
 * of the format shows what it gains or costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "perche/wire.h"

static uint64_t state;

static uint64_t chance(uint64_t below) /* xorshift64*: the same rows in every run */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

static const char *const columns[] = {"given", "family", "born",    "email",
                                      "phone", "status", "site_id", "updated_at"};
enum { GIVEN, FAMILY, BORN, EMAIL, PHONE, STATUS, SITE, UPDATED, COLUMNS };

static const char *const given_names[40] = {
    "Aline",   "Anton",  "Basile", "Berthe", "Camil",  "Carine", "Damien", "Doria",
    "Edmond",  "Elina",  "Fabien", "Flora",  "Gaston", "Gisele", "Hector", "Helia",
    "Igor",    "Irma",   "Jonas",  "Judith", "Karim",  "Katia",  "Leon",   "Lucile",
    "Marius",  "Mireia", "Nestor", "Nadine", "Oscar",  "Odile",  "Pascal", "Paula",
    "Quentin", "Rachel", "Samuel", "Solene", "Tiago",  "Thelma", "Victor", "Yasmine"};
static const char *const statuses[5] = {"active", "applied", "admitted", "left", "graduated"};
static const char *const domains[4] = {"example.org", "example.net", "mail.example",
                                       "post.example"};

/* One of 74,088 (42 cubed) names of three syllables. */
static void family_name(char *out, uint32_t number)
{
    static const char first[] = "BCDFGLMNPRSTVZ", vowels[] = "aeio";
    static const char *const syllables[42] = {
        "ba",  "bel", "bri", "cha", "co",  "dan", "del", "dou", "fan", "fer", "ga",
        "gue", "jo",  "la",  "le",  "lin", "lou", "ma",  "mer", "mon", "na",  "net",
        "nou", "pal", "per", "pin", "que", "ra",  "ri",  "rou", "sa",  "sel", "son",
        "ta",  "ter", "tin", "tou", "va",  "vel", "vin", "zan", "zi"};

    sprintf(out, "%c%c%s%s", first[number % 14], vowels[number / 14 % 3],
            syllables[number / 42 % 42], syllables[number / 1764 % 42]);
}

static uint64_t now_ms;

static void make_id(uint8_t id[16], uint64_t ms)
{
    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(ms >> (40 - 8 * i));
    for (int i = 6; i < 16; i++)
        id[i] = (uint8_t)chance(256);
    id[6] = (id[6] & 15) | 0x70;
    id[8] = (id[8] & 63) | 0x80;
}

static struct perche_value text(const char *s)
{
    return (struct perche_value){
        .type = PERCHE_TEXT, .n = (uint32_t)strlen(s), .p = (const uint8_t *)s};
}

static const char *const site = "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a11";

static void cell(struct perche_batch *b, uint32_t part, uint16_t col, const char *s, uint64_t stamp,
                 uint32_t origin)
{
    struct perche_value v = text(s);
    struct perche_cell *c = perche_batch_cell(b, part, col, &v);

    assert_non_null(c);
    c->stamp = stamp;
    c->origin = origin;
}

/* People enter a row every few seconds to two minutes. */
static void fill_inserts(struct perche_batch *b, uint32_t rows)
{
    static const char *const sites[3] = {"018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a11",
                                         "018f3c1e-7a21-7b02-8d55-91c0aa34fe72",
                                         "018f3c1e-7a22-7e9f-a3c4-0d1b2c3d4e5f"};
    uint32_t part = perche_batch_part(b, "learner", columns, COLUMNS);
    uint32_t origin = perche_batch_name(b, site), scope = origin;

    for (uint32_t i = 0; i < rows; i++) {
        char family[32], born[32], email[64], phone[16], updated[32];
        struct perche_row *row;
        uint64_t stamp;
        uint8_t id[16];
        time_t seconds;
        struct tm tm;

        now_ms += 2000 + chance(118000);
        stamp = now_ms << 16;
        make_id(id, now_ms - chance(50));
        row = perche_batch_row(b, part, (struct perche_bytes){id, 16});
        assert_non_null(row);
        row->gen = 1;
        row->flags = PERCHE_ROW_WHOLE | PERCHE_ROW_GEN;
        row->scope = scope;
        row->gen_stamp = stamp;
        row->gen_origin = origin;
        family_name(family, (uint32_t)chance(74000));
        seconds = (time_t)(631152000 + (int64_t)chance(16000) * 86400 - 16000 * INT64_C(43200));
        strftime(born, sizeof(born), "%Y-%m-%d", gmtime_r(&seconds, &tm));
        sprintf(email, "%s%u@%s", family, (unsigned)chance(1000), domains[chance(4)]);
        for (char *p = email; *p != '\0'; p++)
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
        sprintf(phone, "0%u%08u", 6 + (unsigned)chance(2), (unsigned)chance(100000000));
        seconds = (time_t)(now_ms / 1000);
        strftime(updated, sizeof(updated), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
        cell(b, part, GIVEN, given_names[chance(40)], stamp, origin);
        cell(b, part, FAMILY, family, stamp, origin);
        cell(b, part, BORN, born, stamp, origin);
        cell(b, part, EMAIL, email, stamp, origin);
        cell(b, part, PHONE, phone, stamp, origin);
        cell(b, part, STATUS, statuses[chance(5)], stamp, origin);
        cell(b, part, SITE, sites[chance(3)], stamp, origin);
        cell(b, part, UPDATED, updated, stamp, origin);
    }
}

/* One status changed in each of @rows rows at random among a million. */
static void fill_updates(struct perche_batch *b, uint32_t rows)
{
    uint32_t part = perche_batch_part(b, "learner", columns, COLUMNS);
    uint32_t origin = perche_batch_name(b, site);

    for (uint32_t i = 0; i < rows; i++) {
        struct perche_row *row;
        uint8_t id[16];

        now_ms += chance(60000);
        make_id(id, now_ms - UINT64_C(1000000) * 30000 + chance(1000000) * 30000);
        row = perche_batch_row(b, part, (struct perche_bytes){id, 16});
        assert_non_null(row);
        row->gen = 1;
        row->scope = origin;
        cell(b, part, STATUS, statuses[chance(5)], now_ms << 16, origin);
    }
}

static double microseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Encodes and decodes until the clock has something to measure; returns bytes a row. */
static double measure(const char *what, void (*fill)(struct perche_batch *, uint32_t),
                      uint32_t rows)
{
    struct perche_batch *b = perche_batch_new(), *back = perche_batch_new();
    struct perche_buf out = {0};
    double start, encode_us, decode_us, bytes_a_row;
    unsigned rounds = 40000 / rows + 1;

    assert_non_null(b);
    assert_non_null(back);
    state = UINT64_C(0x9e3779b97f4a7c15);
    now_ms = UINT64_C(1760000000000);
    fill(b, rows);
    start = microseconds();
    for (unsigned i = 0; i < rounds; i++) {
        out.n = 0;
        assert_int_equal(perche_batch_encode(b, 3, &out, NULL), PERCHE_OK);
    }
    encode_us = (microseconds() - start) / rounds / rows;
    start = microseconds();
    for (unsigned i = 0; i < rounds; i++) {
        perche_batch_clear(back);
        assert_int_equal(
            perche_batch_decode((struct perche_bytes){out.p, (uint32_t)out.n}, back, NULL),
            PERCHE_OK);
    }
    decode_us = (microseconds() - start) / rounds / rows;
    assert_int_equal(perche_batch_rows(back), rows);
    bytes_a_row = (double)out.n / rows;
    printf("# %s, batch of %u: %.2f bytes a row (%zu), encode %.2f us a row, decode %.2f\n", what,
           rows, bytes_a_row, out.n, encode_us, decode_us);
    perche_buf_free(&out);
    perche_batch_free(back);
    perche_batch_free(b);
    return bytes_a_row;
}

static void an_inserted_row_of_nine_columns_takes_33_bytes_at_most(void **unused)
{
    (void)unused;
    assert_true(measure("inserts", fill_inserts, 1000) <= 33.0);
    assert_true(measure("inserts", fill_inserts, 2000) <= 33.0);
    assert_true(measure("inserts", fill_inserts, 5000) <= 33.0);
}

static void a_changed_cell_takes_20_bytes_at_most(void **unused)
{
    (void)unused;
    assert_true(measure("one changed cell", fill_updates, 1000) <= 20.0);
}

static void a_small_batch_has_little_overhead(void **unused)
{
    (void)unused;
    /* A site's id alone takes 37 bytes, table and columns 80 more. */
    assert_true(measure("inserts", fill_inserts, 1) <= 300);
    assert_true(measure("inserts", fill_inserts, 20) <= 64);
    assert_true(measure("one changed cell", fill_updates, 1) <= 130);
    assert_true(measure("one changed cell", fill_updates, 20) <= 27);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_inserted_row_of_nine_columns_takes_33_bytes_at_most),
        cmocka_unit_test(a_changed_cell_takes_20_bytes_at_most),
        cmocka_unit_test(a_small_batch_has_little_overhead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
