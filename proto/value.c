/* The total order of values: the last tie-break of a merge. */
#include <string.h>

#include "perche/wire.h"

/* Maps a double to an integer of the same order; -0.0 comes just below 0.0. (A NaN,
 * which SQLite never stores, gets a place too, so that the order stays total.) */
static int64_t real_rank(double r)
{
    int64_t bits;

    memcpy(&bits, &r, sizeof(bits));
    return bits >= 0 ? bits : bits ^ INT64_MAX;
}

static int compare_ints(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int perche_value_compare(const struct perche_value *a, const struct perche_value *b)
{
    uint32_t n;
    int c;

    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    switch (a->type) {
    case PERCHE_INTEGER: return compare_ints(a->i, b->i);
    case PERCHE_REAL: return compare_ints(real_rank(a->r), real_rank(b->r));
    case PERCHE_TEXT:
    case PERCHE_BLOB:
        n = a->n < b->n ? a->n : b->n;
        c = n > 0 ? memcmp(a->p, b->p, n) : 0;
        if (c != 0)
            return c < 0 ? -1 : 1;
        return (a->n > b->n) - (a->n < b->n);
    default: /* NULL */ return 0;
    }
}
