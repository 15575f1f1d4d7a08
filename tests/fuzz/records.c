/* How libFuzzer alters an input of a conversation: step by step instead of byte by byte. */
#include "records.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define RECORDS_MAX 512u
#define RECORDS_MADE 64u /* by us; an input that is longer has its place only in the corpus */
#define RECORD_BYTES_MAX 255u
#define INPUT_BYTES_MAX 1500u /* made by us, as well */
#define CHEAP (HOW_HOLDS | HOW_SHAKEN)

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t size_max, unsigned seed);

struct records {
    uint8_t head;
    uint32_t count;
    struct input all[RECORDS_MAX];
};

static uint32_t below(uint64_t *chance, uint32_t n)
{
    *chance = *chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*chance >> 33) % n;
}

static void read_all(const uint8_t *data, size_t size, struct records *r)
{
    struct input rest = {data, data + size};

    r->head = size > 0 ? *rest.p++ : 0;
    r->count = 0;
    while (rest.p < rest.end && r->count < RECORDS_MAX)
        r->all[r->count++] = record_next(&rest);
}

static size_t write_all(const struct records *r, uint8_t *out, size_t size_max)
{
    size_t n = 0;

    if (size_max == 0)
        return 0;
    out[n++] = r->head;
    for (uint32_t i = 0; i < r->count && i < RECORDS_MADE; i++) {
        size_t length = (size_t)(r->all[i].end - r->all[i].p);

        if (length + 1 > size_max - n)
            break;
        out[n++] = (uint8_t)length;
        if (length > 0)
            memcpy(out + n, r->all[i].p, length);
        n += length;
    }
    return n;
}

static void add(struct records *r, uint32_t at, struct input one)
{
    if (r->count == RECORDS_MAX)
        return;
    memmove(r->all + at + 1, r->all + at, (r->count - at) * sizeof *r->all);
    r->all[at] = one;
    r->count++;
}

static void take_out(struct records *r, uint32_t at, uint32_t count)
{
    memmove(r->all + at, r->all + at + count, (r->count - at - count) * sizeof *r->all);
    r->count -= count;
}

/* One alteration; @room has what a new record holds. */
static void alter(struct records *r, uint64_t *chance, uint8_t *room)
{
    uint32_t seen = r->count < RECORDS_MADE ? r->count : RECORDS_MADE;
    uint32_t what = r->count == 0 ? 10 : below(chance, 16), at = r->count == 0 ? 0 : below(chance, seen), n;
    struct input *one = &r->all[at];

    switch (what) {
    case 0:
        n = 1 + below(chance, r->count - at < 4 ? r->count - at : 4);
        take_out(r, at, n);
        break;
    case 1: add(r, below(chance, r->count + 1), *one); break;
    case 2: {
        struct input other = *one;

        n = below(chance, r->count);
        *one = r->all[n];
        r->all[n] = other;
        break;
    }
    case 3: r->head ^= (uint8_t)(1u << below(chance, 2)); break; /* not what costs: see below */
    case 10:
    case 11: /* a new step */
        n = 1 + below(chance, what == 10 ? 16 : 96);
        for (uint32_t i = 0; i < n; i++)
            room[i] = i < 6 || below(chance, 3) == 0 ? (uint8_t)below(chance, 256) : 0;
        add(r, below(chance, r->count + 1), (struct input){room, room + n});
        break;
    case 12: /* it chooses first, or ends, in another way */
    case 13:
        n = (uint32_t)(one->end - one->p);
        if (n > 0)
            memcpy(room, one->p, n);
        if (what == 12 && n > 0)
            room[below(chance, n < 4 ? n : 4)] = (uint8_t)below(chance, 256);
        else if (n < RECORD_BYTES_MAX)
            room[n++] = (uint8_t)below(chance, 256);
        *one = (struct input){room, room + n};
        break;
    default:
        n = (uint32_t)(one->end - one->p);
        if (n > 0)
            memcpy(room, one->p, n);
        n = (uint32_t)LLVMFuzzerMutate(room, n, n + 16 < RECORD_BYTES_MAX ? n + 16 : RECORD_BYTES_MAX);
        *one = (struct input){room, room + n};
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    static uint8_t out[INPUT_BYTES_MAX], rooms[4][RECORD_BYTES_MAX + 1];
    static struct records r;
    uint64_t chance = seed;
    uint32_t times = 1 + below(&chance, 4);
    size_t n;

    if (size_max > sizeof out)
        size_max = sizeof out;
    read_all(data, size, &r);
    for (uint32_t i = 0; i < times; i++)
        alter(&r, &chance, rooms[i]);
    r.head &= CHEAP; /* what costs is in one of ten, however many of those are kept */
    if (below(&chance, 10) == 0)
        r.head |= (uint8_t)(HOW_RESTARTS << below(&chance, 2));
    n = write_all(&r, out, size_max);
    memcpy(data, out, n);
    return n;
}

/* Some steps of @b among those of @a, or behind the first ones. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t size_max, unsigned seed)
{
    static struct records first, second;
    uint64_t chance = seed;
    uint32_t at, from, count;

    read_all(a, a_size, &first);
    read_all(b, b_size, &second);
    at = below(&chance, (first.count < RECORDS_MADE ? first.count : RECORDS_MADE) + 1);
    if (below(&chance, 2) == 0)
        take_out(&first, at, first.count - at);
    from = second.count == 0 ? 0 : below(&chance, second.count);
    count = second.count == 0 ? 0 : 1 + below(&chance, second.count - from);
    for (uint32_t i = 0; i < count; i++)
        add(&first, at + i < first.count ? at + i : first.count, second.all[from + i]);
    first.head &= CHEAP;
    return write_all(&first, out, size_max);
}
