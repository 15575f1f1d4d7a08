/* Any bytes to the decoder of the chain's entries. What decodes can be encoded, and that decodes
 * to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perche/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct perche_chain_entry e, again;
    struct perche_arena *arena, *arena_again;
    struct perche_buf one = {0}, two = {0};

    if (size > UINT32_MAX ||
        perche_chain_decode((struct perche_bytes){data, (uint32_t)size}, &e, &arena) != PERCHE_OK)
        return 0;
    if (perche_chain_encode(&e, &one) != PERCHE_OK ||
        perche_chain_decode((struct perche_bytes){one.p, (uint32_t)one.n}, &again, &arena_again) !=
            PERCHE_OK ||
        perche_chain_encode(&again, &two) != PERCHE_OK || one.n != two.n ||
        memcmp(one.p, two.p, one.n) != 0)
        abort();
    perche_buf_free(&one);
    perche_buf_free(&two);
    perche_arena_free(arena);
    perche_arena_free(arena_again);
    return 0;
}
