/* Inline forms of the varints, and what goes with them: the codecs' inner loops. */
#ifndef PERCHE_PROTO_VARINT_H
#define PERCHE_PROTO_VARINT_H

#include <stdint.h>

enum { VARINT_MAX = 10 };

static inline uint32_t varint_put(uint8_t *out, uint64_t v)
{
    uint32_t n = 0;

    while (v >= 0x80) {
        out[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    out[n++] = (uint8_t)v;
    return n;
}

/* Accepts only the shortest form, so that a number has one encoding. 0 = malformed or short. */
static inline uint32_t varint_get(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    uint64_t x = 0;

    if (p < end && *p < 0x80) { /* most are small */
        *v = *p;
        return 1;
    }
    for (uint32_t n = 0; n < VARINT_MAX && p + n < end; n++) {
        uint8_t byte = p[n];

        if (n == VARINT_MAX - 1 && byte > 1)
            return 0; /* beyond 64 bits */
        x |= (uint64_t)(byte & 0x7f) << (7 * n);
        if (byte < 0x80) {
            if (byte == 0 && n > 0)
                return 0;
            *v = x;
            return n + 1;
        }
    }
    return 0;
}

static inline uint32_t varint_size(uint64_t v)
{
    return (uint32_t)(70 - __builtin_clzll(v | 1)) / 7;
}

/* Signed numbers of small magnitude become small unsigned ones. */
static inline uint64_t zigzag(uint64_t v)
{
    return (v << 1) ^ (0 - (v >> 63));
}

static inline uint64_t unzigzag(uint64_t v)
{
    return (v >> 1) ^ (0 - (v & 1));
}

#endif
