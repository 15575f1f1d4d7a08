/* Columns to bytes. Each choice between two ways of writing is made from the values at
 * hand; a form that does not give back every value of the column exactly is not taken. */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "column.h"
#include "day.h"
#include "varint.h"

/* From here on zstd works on bytes of a block: fewer values don't pay for its tables. */
enum { PLANES_MIN = 192, SAMPLE_MAX = 1024 };

static uint8_t *room(struct writer *w, size_t n)
{
    uint8_t *to = w->rc == PERCHE_OK ? buf_room(w->buf, n) : NULL;

    if (to == NULL)
        w->rc = PERCHE_NOMEM;
    return to;
}

void put_byte(struct writer *w, uint8_t byte)
{
    uint8_t *to = room(w, 1);

    if (to != NULL) {
        *to = byte;
        w->buf->n++;
    }
}

void put_varint(struct writer *w, uint64_t v)
{
    uint8_t *to = room(w, VARINT_MAX);

    if (to != NULL)
        w->buf->n += varint_put(to, v);
}

void put_bytes(struct writer *w, const void *p, size_t n)
{
    uint8_t *to = room(w, n);

    if (to != NULL) {
        if (n > 0)
            memcpy(to, p, n);
        w->buf->n += n;
    }
}

void put_mark(struct writer *w)
{
    struct work *k = w->work;

    if (k->marks_count == k->marks_cap) {
        uint32_t cap = k->marks_cap == 0 ? 64 : k->marks_cap * 2;
        size_t *marks = realloc(k->marks, cap * sizeof(*marks));

        if (marks == NULL) {
            w->rc = PERCHE_NOMEM;
            return;
        }
        k->marks = marks;
        k->marks_cap = cap;
    }
    k->marks[k->marks_count++] = w->buf->n;
}

static void *scratch(struct writer *w, enum work_slot slot, size_t count, size_t size)
{
    void *p = w->rc == PERCHE_OK ? work_array(w->work, slot, count, size) : NULL;

    if (p == NULL)
        w->rc = PERCHE_NOMEM;
    return p;
}

/* ---- numbers ------------------------------------------------------------- */

/* log2 in 1/256 bits, good to a tenth of a bit: it only chooses between forms. */
static uint32_t log2_256(uint32_t x)
{
    uint32_t whole = 31 - (uint32_t)__builtin_clz(x);

    return whole << 8 | (uint32_t)(((uint64_t)x << (32 - whole) >> 24) & 0xff);
}

static uint32_t width_of(uint64_t v)
{
    return v == 0 ? 1 : (71 - (uint32_t)__builtin_clzll(v)) / 8;
}

/* About how many bytes zstd makes of @n numbers in @width planes of bytes, from a sample. */
static uint64_t planes_estimate(const uint64_t *v, uint32_t n, uint64_t base, uint32_t width)
{
    uint32_t every = (n + SAMPLE_MAX - 1) / SAMPLE_MAX, seen = (n + every - 1) / every;
    uint64_t bits_256 = 0;

    for (uint32_t k = 0; k < width; k++) {
        uint32_t counts[256] = {0};

        for (uint32_t i = 0; i < n; i += every)
            counts[(uint8_t)((v[i] - base) >> 8 * k)]++;
        for (int i = 0; i < 256; i++)
            if (counts[i] > 0)
                bits_256 += (uint64_t)counts[i] * (log2_256(seen) - log2_256(counts[i]));
    }
    return bits_256 * every / (8 * 256) + (uint64_t)width * 8;
}

static void put_planes(struct writer *w, const uint64_t *v, uint32_t n, uint64_t base,
                       uint32_t width)
{
    uint8_t *to = room(w, (size_t)width * n);

    if (to == NULL)
        return;
    for (uint32_t k = 0; k < width; k++) {
        put_mark(w);
        for (uint32_t i = 0; i < n; i++)
            to[i] = (uint8_t)((v[i] - base) >> 8 * k);
        to += n;
        w->buf->n += n;
    }
    put_mark(w);
}

void put_numbers(struct writer *w, const uint64_t *v, uint32_t n, bool is_signed)
{
    const uint64_t flip = is_signed ? UINT64_C(1) << 63 : 0; /* order of signed numbers */
    uint64_t low = UINT64_MAX, high = 0, varints = 0, steps = 0, step_high = 0, base;
    uint64_t cost[N_STEP_PLANES + 1], runs = 1;
    uint32_t width, step_width;
    uint64_t *step;
    int best = N_VARINTS;
    uint8_t *to;

    if (n == 0)
        return;
    step = scratch(w, WORK_NUMBERS, n, sizeof(*step));
    if (step == NULL)
        return;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t ordered = v[i] ^ flip;

        low = ordered < low ? ordered : low;
        high = ordered > high ? ordered : high;
    }
    if (low == high) {
        put_byte(w, N_SAME);
        put_varint(w, is_signed ? zigzag(v[0]) : v[0]);
        return;
    }
    step[0] = zigzag(v[0]);
    for (uint32_t i = 1; i < n; i++) {
        step[i] = zigzag(v[i] - v[i - 1]);
        step_high |= step[i];
        runs += step[i] != 0;
    }
    base = low ^ flip;
    width = width_of(high - low);
    step_width = width_of(step_high);
    for (uint32_t i = 0; i < n; i++) {
        varints += varint_size(is_signed ? zigzag(v[i]) : v[i]);
        steps += varint_size(step[i]);
    }
    cost[N_SAME] = UINT64_MAX;
    cost[N_VARINTS] = varints;
    cost[N_STEPS] = steps;
    cost[N_RUNS] = runs * (2 + varints / n);
    cost[N_PLANES] = (uint64_t)width * n + 2 + varint_size(is_signed ? zigzag(base) : base);
    cost[N_STEP_PLANES] = (uint64_t)step_width * (n - 1) + 2 + varint_size(step[0]);
    if (n >=
        PLANES_MIN) { /* what counts is the size after zstd, and planes are what it does best on */
        cost[N_PLANES] = planes_estimate(v, n, base, width);
        cost[N_STEP_PLANES] = planes_estimate(step + 1, n - 1, 0, step_width) + 8;
        cost[N_VARINTS] = cost[N_STEPS] = UINT64_MAX;
    }
    for (int form = N_VARINTS; form <= N_STEP_PLANES; form++)
        if (cost[form] < cost[best])
            best = form;
    put_byte(w, (uint8_t)best);
    switch (best) {
    case N_VARINTS:
    case N_STEPS:
        to = room(w, best == N_STEPS ? steps : varints);
        for (uint32_t i = 0; to != NULL && i < n; i++) {
            uint32_t used = varint_put(to, best == N_STEPS ? step[i]
                                           : is_signed     ? zigzag(v[i])
                                                           : v[i]);

            to += used;
            w->buf->n += used;
        }
        break;
    case N_RUNS:
        for (uint32_t i = 0, next; i < n; i = next) {
            for (next = i + 1; next < n && v[next] == v[i];)
                next++;
            put_varint(w, is_signed ? zigzag(v[i]) : v[i]);
            put_varint(w, next - i - 1);
        }
        break;
    case N_PLANES:
        put_varint(w, is_signed ? zigzag(base) : base);
        put_byte(w, (uint8_t)width);
        put_planes(w, v, n, base, width);
        break;
    case N_STEP_PLANES:
        put_varint(w, is_signed ? zigzag(v[0]) : v[0]);
        put_byte(w, (uint8_t)step_width);
        put_planes(w, step + 1, n - 1, 0, step_width);
        break;
    }
}

/* ---- keys ---------------------------------------------------------------- */

static bool is_v7(const uint8_t *id)
{
    return id[6] >> 4 == 7 && id[8] >> 6 == 2;
}

/* 74 of a version 7 UUID's 128 bits are random, 48 are a time, 6 say what it is. */
static void put_v7(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    uint64_t *ms = scratch(w, WORK_KEYS, n, sizeof(*ms));
    uint8_t *to;

    if (ms == NULL)
        return;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *id = v[i].p;

        ms[i] = 0;
        for (int k = 0; k < 6; k++)
            ms[i] = ms[i] << 8 | id[k];
    }
    put_byte(w, K_V7);
    put_numbers(w, ms, n, false);
    put_mark(w);
    to = room(w, (size_t)n * 9 + (n + 3) / 4);
    if (to == NULL)
        return;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *id = v[i].p;

        to[0] = (uint8_t)(id[6] << 4 | (id[8] & 15));
        to[1] = id[7];
        memcpy(to + 2, id + 9, 7);
        to += 9;
    }
    memset(to, 0, (n + 3) / 4);
    for (uint32_t i = 0; i < n; i++)
        to[i / 4] |= (uint8_t)((v[i].p[8] >> 4 & 3) << i % 4 * 2);
    w->buf->n += (size_t)n * 9 + (n + 3) / 4;
    put_mark(w);
}

static void put_plain(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    uint8_t *to;

    put_byte(w, K_PLAIN);
    to = room(w, (size_t)n * 16);
    for (uint32_t i = 0; to != NULL && i < n; i++)
        memcpy(to + (size_t)i * 16, v[i].p, 16);
    if (to != NULL)
        w->buf->n += (size_t)n * 16;
}

static void put_lengths(struct writer *w, const struct perche_bytes *v, uint32_t n,
                        enum work_slot slot)
{
    uint64_t *lengths = scratch(w, slot, n, sizeof(*lengths));

    if (lengths == NULL)
        return;
    for (uint32_t i = 0; i < n; i++)
        lengths[i] = v[i].n;
    put_numbers(w, lengths, n, false);
    put_mark(w);
    for (uint32_t i = 0; i < n; i++)
        put_bytes(w, v[i].p, v[i].n);
}

void put_keys(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    bool all_16 = true, all_v7 = n >= 3; /* fewer are no shorter that way */

    if (n == 0)
        return;
    for (uint32_t i = 0; i < n && all_16; i++) {
        all_16 = v[i].n == 16;
        all_v7 = all_v7 && all_16 && is_v7(v[i].p);
    }
    if (all_16 && all_v7) {
        put_v7(w, v, n);
    } else if (all_16) {
        put_plain(w, v, n);
    } else {
        put_byte(w, K_LENGTHS);
        put_lengths(w, v, n, WORK_KEYS);
    }
}

/* ---- texts --------------------------------------------------------------- */

static uint32_t hash_value(const struct perche_bytes *v)
{
    uint64_t first = 0, last = 0;

    if (v->n >= 8) {
        memcpy(&first, v->p, 8);
        memcpy(&last, v->p + v->n - 8, 8);
    } else if (v->n > 0) {
        memcpy(&first, v->p, v->n);
    }
    first = (first ^ v->n) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(((first ^ last) * UINT64_C(0xd6e8feb86659fd93)) >> 56);
}

static void put_plain_texts(struct writer *w, const struct perche_bytes *v, uint32_t n);

/* Taken if it is shorter: true, also when it ran out of memory under way. */
static bool put_dictionary(struct writer *w, const struct perche_bytes *v, uint32_t n,
                           uint64_t total)
{
    struct perche_bytes entries[DICTIONARY_MAX];
    uint8_t slots[256] = {0}; /* entry + 1 */
    uint32_t count = 0;
    uint64_t bytes = 0, *numbers;
    uint8_t *indexes;

    if (n < 4)
        return false;
    indexes = scratch(w, WORK_INDEXES, n, 1);
    if (indexes == NULL)
        return true;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = hash_value(&v[i]);

        for (; slots[at] != 0; at = (at + 1) & 255) {
            const struct perche_bytes *e = &entries[slots[at] - 1];

            if (e->n == v[i].n && (e->n == 0 || memcmp(e->p, v[i].p, e->n) == 0))
                break;
        }
        if (slots[at] == 0) {
            if (count == DICTIONARY_MAX)
                return false;
            entries[count] = v[i];
            bytes += v[i].n;
            slots[at] = (uint8_t)++count;
        }
        indexes[i] = (uint8_t)(slots[at] - 1);
    }
    /* An index takes a byte, and so does the end of a text. */
    if (bytes + count + 4 >= total)
        return false;
    put_byte(w, X_DICTIONARY);
    put_varint(w, count);
    put_plain_texts(w, entries, count);
    numbers = scratch(w, WORK_TEXTS, n, sizeof(*numbers));
    for (uint32_t i = 0; numbers != NULL && i < n; i++)
        numbers[i] = indexes[i];
    if (numbers != NULL)
        put_numbers(w, numbers, n, false);
    return true;
}

static bool put_uuids(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    struct perche_bytes *keys;
    uint8_t first[16], *ids;

    if (!perche_uuid_parse(v[0].p, v[0].n, first))
        return false;
    keys = scratch(w, WORK_TEXTS, n, sizeof(*keys) + 16);
    if (keys == NULL)
        return true;
    ids = (uint8_t *)(keys + n);
    for (uint32_t i = 0; i < n; i++) {
        keys[i] = (struct perche_bytes){.p = ids + (size_t)i * 16, .n = 16};
        if (!perche_uuid_parse(v[i].p, v[i].n, ids + (size_t)i * 16))
            return false;
    }
    put_byte(w, X_UUIDS);
    put_keys(w, keys, n);
    return true;
}

static bool put_dates(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    uint64_t *days;

    if (v[0].n != 10 || v[0].p[4] != '-')
        return false;
    days = scratch(w, WORK_TEXTS, n, sizeof(*days));
    if (days == NULL)
        return true;
    for (uint32_t i = 0; i < n; i++) {
        int64_t day;

        if (v[i].n != 10 || !day_parse(v[i].p, &day))
            return false;
        days[i] = (uint64_t)day;
    }
    put_byte(w, X_DATES);
    put_numbers(w, days, n, true);
    return true;
}

static bool put_instants(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    int form = instant_form(v[0].p, v[0].n);
    uint64_t *times;

    if (form < 0)
        return false;
    times = scratch(w, WORK_TEXTS, n, sizeof(*times));
    if (times == NULL)
        return true;
    for (uint32_t i = 0; i < n; i++) {
        int64_t ms;

        if (!instant_parse(v[i].p, v[i].n, form, &ms))
            return false;
        times[i] =
            (uint64_t)(form & INSTANT_MILLIS ? ms : ms / 1000); /* whole seconds divide exactly */
    }
    put_byte(w, X_INSTANTS);
    put_byte(w, (uint8_t)form);
    put_numbers(w, times, n, true);
    return true;
}

/* Texts of digits of one length, or of any lengths without leading zeros. */
static bool put_digits(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    uint32_t width = v[0].n;
    bool leading = false;
    uint64_t *numbers;

    if (width < 1 || width > DIGITS_MAX || v[0].p[0] - (uint32_t)'0' > 9)
        return false;
    numbers = scratch(w, WORK_TEXTS, n, sizeof(*numbers));
    if (numbers == NULL)
        return true;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t x = 0;

        if (v[i].n < 1 || v[i].n > DIGITS_MAX)
            return false;
        if (v[i].n != width)
            width = 0;
        leading = leading || (v[i].p[0] == '0' && v[i].n > 1);
        if (leading && width == 0)
            return false;
        for (uint32_t k = 0; k < v[i].n; k++) {
            uint32_t d = v[i].p[k] - (uint32_t)'0';

            if (d > 9)
                return false;
            x = x * 10 + d;
        }
        numbers[i] = x;
    }
    put_byte(w, X_DIGITS);
    put_byte(w, (uint8_t)width);
    put_numbers(w, numbers, n, false);
    return true;
}

static uint64_t bytes_total(const struct perche_bytes *v, uint32_t n)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < n; i++)
        total += v[i].n;
    return total;
}

/* Every form but the dictionary. */
static void put_plain_texts(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    const uint64_t total = bytes_total(v, n);
    bool zero = false;
    uint8_t *to;

    if (put_uuids(w, v, n) || put_dates(w, v, n) || put_instants(w, v, n) || put_digits(w, v, n))
        return;
    for (uint32_t i = 0; i < n && !zero; i++)
        zero = v[i].n > 0 && memchr(v[i].p, 0, v[i].n) != NULL;
    if (zero) {
        put_byte(w, X_LENGTHS);
        put_lengths(w, v, n, WORK_TEXTS);
        return;
    }
    put_byte(w, X_ZERO);
    to = room(w, total + n);
    if (to == NULL)
        return;
    for (uint32_t i = 0; i < n; i++) {
        if (v[i].n > 0)
            memcpy(to, v[i].p, v[i].n);
        to += v[i].n;
        *to++ = 0;
    }
    w->buf->n += total + n;
}

void put_texts(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    if (n > 0 && w->rc == PERCHE_OK && !put_dictionary(w, v, n, bytes_total(v, n)))
        put_plain_texts(w, v, n);
}

void put_blobs(struct writer *w, const struct perche_bytes *v, uint32_t n)
{
    if (n > 0)
        put_lengths(w, v, n, WORK_TEXTS);
}
