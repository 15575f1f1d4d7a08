/* Chance from a seed: xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64.
 * Each thing that is drawn has a stream of its own, so that leaving one step out
 * of a story does not change what the rest of it draws. */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chance {
    uint64_t s[4];
};

static inline uint64_t chance_splitmix(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void chance_seed(struct chance *c, uint64_t seed, uint64_t stream)
{
    uint64_t x = seed * UINT64_C(0xd1342543de82ef95) + stream;

    for (int i = 0; i < 4; i++)
        c->s[i] = chance_splitmix(&x);
}

static inline uint64_t chance_u64(struct chance *c)
{
    uint64_t *s = c->s, x = s[1] * 5, t = s[1] << 17, r = (x << 7 | x >> 57) * 9;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return r;
}

static inline uint32_t chance_below(struct chance *c, uint32_t n) /* n > 0 */
{
    return (uint32_t)((chance_u64(c) >> 32) * n >> 32);
}

static inline uint64_t chance_between(struct chance *c, uint64_t low, uint64_t high) /* both may come */
{
    return low + chance_below(c, (uint32_t)(high - low + 1));
}

static inline bool chance_permille(struct chance *c, uint32_t p)
{
    return chance_below(c, 1000) < p;
}

static inline void chance_bytes(struct chance *c, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint64_t x = chance_u64(c);

        for (int b = 0; b < 8 && i < n; b++, i++)
            out[i] = (uint8_t)(x >> (8 * b));
    }
}

#endif
