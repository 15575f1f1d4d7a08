/* Bytes to columns. Nothing here is trusted: each count is compared with the bytes left
 * or with a bound before anything is made of it. */
#include <string.h>

#include "column.h"
#include "day.h"
#include "varint.h"

void reader_fail(struct reader *r, enum perche_rc rc, const char *wrong)
{
    if (r->rc == PERCHE_OK) {
        r->rc = rc;
        r->wrong = wrong;
    }
    r->p = r->end; /* what follows reads nothing */
}

uint8_t get_byte(struct reader *r)
{
    if (r->p == r->end) {
        reader_fail(r, PERCHE_CORRUPT, "it ends early");
        return 0;
    }
    return *r->p++;
}

uint64_t get_varint(struct reader *r)
{
    uint64_t v = 0;
    uint32_t used = varint_get(r->p, r->end, &v);

    if (used == 0)
        reader_fail(r, PERCHE_CORRUPT, "a number is malformed");
    r->p += used;
    return v;
}

uint32_t get_count(struct reader *r, uint64_t max, const char *wrong)
{
    uint64_t v = get_varint(r);

    if (v > max) {
        reader_fail(r, PERCHE_CORRUPT, wrong);
        return 0;
    }
    return (uint32_t)v;
}

const uint8_t *get_bytes(struct reader *r, size_t n)
{
    const uint8_t *p = r->p;

    if (r->rc != PERCHE_OK || n > left(r)) {
        reader_fail(r, PERCHE_CORRUPT, "it ends early");
        return NULL;
    }
    r->p += n;
    return p;
}

const char *get_text(struct reader *r, size_t min, size_t max)
{
    const uint8_t *p = r->p, *zero = left(r) > 0 ? memchr(p, 0, left(r)) : NULL;

    if (zero == NULL || (size_t)(zero - p) < min || (size_t)(zero - p) > max) {
        reader_fail(r, PERCHE_CORRUPT, "a name is too long or too short");
        return "";
    }
    r->p = zero + 1;
    return (const char *)p;
}

static void *scratch(struct reader *r, enum work_slot slot, size_t count, size_t size)
{
    void *p = r->rc == PERCHE_OK ? work_array(r->work, slot, count, size) : NULL;

    if (p == NULL)
        reader_fail(r, PERCHE_NOMEM, "out of memory");
    return p;
}

static uint8_t *make(struct reader *r, size_t n)
{
    uint8_t *p = r->rc == PERCHE_OK ? arena_alloc_bytes(r->arena, n) : NULL;

    if (p == NULL)
        reader_fail(r, PERCHE_NOMEM, "out of memory");
    return p;
}

/* ---- numbers ------------------------------------------------------------- */

static uint64_t get_value(struct reader *r, bool is_signed)
{
    uint64_t v = get_varint(r);

    return is_signed ? unzigzag(v) : v;
}

/* @n numbers from planes of bytes, the lowest first. */
static void get_planes(struct reader *r, uint64_t *out, uint32_t n)
{
    uint32_t width = get_byte(r);
    const uint8_t *p;

    if (width < 1 || width > 8) {
        reader_fail(r, PERCHE_CORRUPT, "a column has no such width");
        return;
    }
    p = get_bytes(r, (size_t)width * n);
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < n; i++)
        out[i] = p[i];
    for (uint32_t k = 1; k < width; k++) {
        p += n;
        for (uint32_t i = 0; i < n; i++)
            out[i] |= (uint64_t)p[i] << 8 * k;
    }
}

void get_numbers(struct reader *r, uint64_t *out, uint32_t n, bool is_signed)
{
    const uint8_t *p;
    uint64_t v;
    int form;

    if (n == 0)
        return;
    form = get_byte(r);
    if (r->rc != PERCHE_OK)
        return;
    switch (form) {
    case N_SAME:
        v = get_value(r, is_signed);
        for (uint32_t i = 0; i < n; i++)
            out[i] = v;
        break;
    case N_VARINTS:
    case N_STEPS:
        p = r->p;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t used = varint_get(p, r->end, &out[i]);

            if (used == 0) {
                reader_fail(r, PERCHE_CORRUPT, "a number is malformed");
                return;
            }
            p += used;
        }
        r->p = p;
        if (form == N_STEPS || is_signed)
            for (uint32_t i = 0; i < n; i++)
                out[i] = unzigzag(out[i]);
        for (uint32_t i = 1; form == N_STEPS && i < n; i++)
            out[i] += out[i - 1];
        break;
    case N_RUNS:
        for (uint32_t i = 0, run; i < n; i += run) {
            v = get_value(r, is_signed);
            run = get_count(r, n - i - 1, "a run is longer than its column");
            if (r->rc != PERCHE_OK)
                return;
            run++;
            for (uint32_t k = 0; k < run; k++)
                out[i + k] = v;
        }
        break;
    case N_PLANES:
        v = get_value(r, is_signed);
        get_planes(r, out, n);
        for (uint32_t i = 0; r->rc == PERCHE_OK && i < n; i++)
            out[i] += v;
        break;
    case N_STEP_PLANES:
        out[0] = get_value(r, is_signed);
        get_planes(r, out + 1, n - 1);
        for (uint32_t i = 1; r->rc == PERCHE_OK && i < n; i++)
            out[i] = out[i - 1] + unzigzag(out[i]);
        break;
    default: reader_fail(r, PERCHE_CORRUPT, "a column of numbers has an unknown form");
    }
}

/* Columns whose values all lie between 0 and @max. */
static void check_max(struct reader *r, const uint64_t *v, uint32_t n, uint64_t max,
                      const char *wrong)
{
    uint64_t over = 0;

    if (r->rc != PERCHE_OK)
        return;
    for (uint32_t i = 0; i < n; i++)
        over |= v[i] > max;
    if (over)
        reader_fail(r, PERCHE_CORRUPT, wrong);
}

/* ---- keys ---------------------------------------------------------------- */

static void get_v7(struct reader *r, struct perche_bytes *out, uint32_t n)
{
    uint64_t *ms = scratch(r, WORK_KEYS, n, sizeof(*ms));
    const uint8_t *p, *twos;
    uint8_t *ids;

    if (ms == NULL)
        return;
    get_numbers(r, ms, n, false);
    check_max(r, ms, n, (UINT64_C(1) << 48) - 1, "a key's time is too large");
    p = get_bytes(r, (size_t)n * 9);
    twos = get_bytes(r, (n + 3) / 4);
    if (p == NULL || twos == NULL)
        return;
    if (n % 4 != 0 && twos[n / 4] >> n % 4 * 2 != 0) {
        reader_fail(r, PERCHE_CORRUPT, "bits beyond the keys are set");
        return;
    }
    ids = make(r, (size_t)n * 16);
    if (ids == NULL)
        return;
    for (uint32_t i = 0; i < n; i++, ids += 16, p += 9) {
        uint64_t t = ms[i];

        out[i] = (struct perche_bytes){.p = ids, .n = 16};
        for (int k = 5; k >= 0; k--, t >>= 8)
            ids[k] = (uint8_t)t;
        ids[6] = (uint8_t)(0x70 | p[0] >> 4);
        ids[7] = p[1];
        ids[8] = (uint8_t)(0x80 | (twos[i / 4] >> i % 4 * 2 & 3) << 4 | (p[0] & 15));
        memcpy(ids + 9, p + 2, 7);
    }
}

static void get_lengths(struct reader *r, struct perche_bytes *out, uint32_t n, enum work_slot slot,
                        uint64_t max)
{
    uint64_t *lengths = scratch(r, slot, n, sizeof(*lengths));

    if (lengths == NULL)
        return;
    get_numbers(r, lengths, n, false);
    check_max(r, lengths, n, max, "a value is longer than its bound");
    for (uint32_t i = 0; r->rc == PERCHE_OK && i < n; i++)
        out[i] = (struct perche_bytes){.p = get_bytes(r, lengths[i]), .n = (uint32_t)lengths[i]};
}

/* The two forms that only UUIDs have. */
static void get_ids(struct reader *r, struct perche_bytes *out, uint32_t n, int form)
{
    const uint8_t *p;

    switch (form) {
    case K_PLAIN:
        p = get_bytes(r, (size_t)n * 16);
        for (uint32_t i = 0; p != NULL && i < n; i++)
            out[i] = (struct perche_bytes){.p = p + (size_t)i * 16, .n = 16};
        break;
    case K_V7: get_v7(r, out, n); break;
    default: reader_fail(r, PERCHE_CORRUPT, "a column of keys has an unknown form");
    }
}

void get_keys(struct reader *r, struct perche_bytes *out, uint32_t n)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char texts[PERCHE_KEY_COLUMNS_MAX * 37];
    uint32_t count;
    int form;

    if (n == 0)
        return;
    form = get_byte(r);
    if (form != K_LENGTHS) {
        get_ids(r, out, n, form);
        return;
    }
    get_lengths(r, out, n, WORK_KEYS, PERCHE_KEY_BYTES_MAX);
    /* A key is checked here, so that a bad one cannot stop a batch half applied. */
    for (uint32_t i = 0; r->rc == PERCHE_OK && i < n; i++)
        if (perche_key_decode(out[i], values, &count, texts) != PERCHE_OK)
            reader_fail(r, PERCHE_CORRUPT, "a key is malformed");
}

/* ---- texts --------------------------------------------------------------- */

static void get_zero_terminated(struct reader *r, struct perche_bytes *out, uint32_t n)
{
    const uint8_t *p = r->p;

    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *zero = p < r->end ? memchr(p, 0, (size_t)(r->end - p)) : NULL;

        if (zero == NULL || zero - p > PERCHE_VALUE_BYTES_MAX) {
            reader_fail(r, PERCHE_CORRUPT, "a text has no end");
            return;
        }
        out[i] = (struct perche_bytes){.p = p, .n = (uint32_t)(zero - p)};
        p = zero + 1;
    }
    r->p = p;
}

static void get_uuids(struct reader *r, struct perche_bytes *out, uint32_t n)
{
    uint8_t *text;

    get_ids(r, out, n, get_byte(r));
    text = make(r, (size_t)n * 36 + 1); /* the last one's terminator */
    for (uint32_t i = 0; text != NULL && i < n; i++, text += 36) {
        perche_uuid_format(out[i].p, (char *)text);
        out[i] = (struct perche_bytes){.p = text, .n = 36};
    }
}

static void get_dates(struct reader *r, struct perche_bytes *out, uint32_t n, uint64_t *days)
{
    uint64_t out_of_range = 0;
    uint8_t *text;

    get_numbers(r, days, n, true);
    if (r->rc != PERCHE_OK)
        return;
    for (uint32_t i = 0; i < n; i++)
        out_of_range |= (int64_t)days[i] < DAY_FIRST || (int64_t)days[i] > DAY_LAST;
    if (out_of_range) {
        reader_fail(r, PERCHE_CORRUPT, "there is no such day");
        return;
    }
    text = make(r, (size_t)n * 10);
    for (uint32_t i = 0; text != NULL && i < n; i++, text += 10) {
        day_format((int64_t)days[i], text);
        out[i] = (struct perche_bytes){.p = text, .n = 10};
    }
}

static void get_instants(struct reader *r, struct perche_bytes *out, uint32_t n, uint64_t *times)
{
    int form = get_byte(r);
    int64_t unit = form & INSTANT_MILLIS ? 1 : 1000;
    uint64_t out_of_range = 0;
    uint32_t length;
    uint8_t *text;

    get_numbers(r, times, n, true);
    if (r->rc != PERCHE_OK)
        return;
    for (uint32_t i = 0; i < n; i++)
        out_of_range |= (int64_t)times[i] < DAY_FIRST * (DAY_MS / unit) ||
                        (int64_t)times[i] >= (DAY_LAST + 1) * (DAY_MS / unit);
    if (form >= INSTANT_FORMS || out_of_range) {
        reader_fail(r, PERCHE_CORRUPT, "there is no such instant");
        return;
    }
    length = instant_length(form);
    text = make(r, (size_t)n * length);
    for (uint32_t i = 0; text != NULL && i < n; i++, text += length) {
        instant_format((int64_t)times[i] * unit, form, text);
        out[i] = (struct perche_bytes){.p = text, .n = length};
    }
}

static void get_digits(struct reader *r, struct perche_bytes *out, uint32_t n, uint64_t *numbers)
{
    uint32_t width = get_byte(r);
    uint64_t end = 1;
    uint8_t *text;

    if (width > DIGITS_MAX) {
        reader_fail(r, PERCHE_CORRUPT, "digits are too many");
        return;
    }
    for (uint32_t i = 0; i < (width == 0 ? DIGITS_MAX : width); i++)
        end *= 10;
    get_numbers(r, numbers, n, false);
    check_max(r, numbers, n, end - 1, "digits are too many");
    text = make(r, (size_t)n * (width == 0 ? DIGITS_MAX : width));
    for (uint32_t i = 0; text != NULL && i < n; i++) {
        uint64_t x = numbers[i];
        uint32_t length = width;

        if (width == 0)
            for (uint64_t rest = x; length == 0 || rest > 0; rest /= 10)
                length++;
        for (uint32_t k = length; k-- > 0; x /= 10)
            text[k] = (uint8_t)('0' + x % 10);
        out[i] = (struct perche_bytes){.p = text, .n = length};
        text += length;
    }
}

static void get_plain_texts(struct reader *r, struct perche_bytes *out, uint32_t n, int form);

static void get_dictionary(struct reader *r, struct perche_bytes *out, uint32_t n)
{
    struct perche_bytes entries[DICTIONARY_MAX];
    uint32_t count = get_count(r, DICTIONARY_MAX, "a dictionary is too large");
    uint64_t *indexes;

    if (count == 0) {
        reader_fail(r, PERCHE_CORRUPT, "a dictionary is empty");
        return;
    }
    get_plain_texts(r, entries, count, get_byte(r));
    indexes = scratch(r, WORK_TEXTS, n, sizeof(*indexes));
    if (indexes == NULL)
        return;
    get_numbers(r, indexes, n, false);
    check_max(r, indexes, n, count - 1, "a dictionary has no such entry");
    for (uint32_t i = 0; r->rc == PERCHE_OK && i < n; i++)
        out[i] = entries[indexes[i]];
}

static void get_plain_texts(struct reader *r, struct perche_bytes *out, uint32_t n, int form)
{
    uint64_t *numbers = scratch(r, WORK_TEXTS, n, sizeof(*numbers));

    if (numbers == NULL)
        return;
    switch (form) {
    case X_ZERO: get_zero_terminated(r, out, n); break;
    case X_LENGTHS: get_lengths(r, out, n, WORK_TEXTS, PERCHE_VALUE_BYTES_MAX); break;
    case X_UUIDS: get_uuids(r, out, n); break;
    case X_DATES: get_dates(r, out, n, numbers); break;
    case X_DIGITS: get_digits(r, out, n, numbers); break;
    case X_INSTANTS: get_instants(r, out, n, numbers); break;
    default: reader_fail(r, PERCHE_CORRUPT, "a column of texts has an unknown form");
    }
}

void get_texts(struct reader *r, struct perche_bytes *out, uint32_t n)
{
    int form;

    if (n == 0)
        return;
    form = get_byte(r);
    if (r->rc != PERCHE_OK)
        return;
    if (form == X_DICTIONARY)
        get_dictionary(r, out, n);
    else
        get_plain_texts(r, out, n, form);
}

void get_blobs(struct reader *r, struct perche_bytes *out, uint32_t n)
{
    if (n > 0)
        get_lengths(r, out, n, WORK_TEXTS, PERCHE_VALUE_BYTES_MAX);
}
