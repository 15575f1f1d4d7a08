/* Any bytes to the batch decoder. What decodes must encode, decode again and be the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/wire_batches.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct perche_batch *b, *back; /* used again and again, as the daemon does */
    struct perche_buf out = {0}, again = {0};
    const char *what;

    if (b == NULL) {
        b = perche_batch_new();
        back = perche_batch_new();
    }
    perche_batch_clear(b);
    perche_batch_clear(back);
    if (size > UINT32_MAX ||
        perche_batch_decode((struct perche_bytes){data, (uint32_t)size}, b, NULL) != PERCHE_OK)
        return 0;
    /* A dictionary can say more than 64 MiB in few bytes; such a batch is not sent on. */
    if (perche_batch_encode(b, size % 2 ? 3 : 0, &out, NULL) == PERCHE_TOO_LARGE) {
        perche_buf_free(&out);
        return 0;
    }
    if (perche_batch_decode((struct perche_bytes){out.p, (uint32_t)out.n}, back, NULL) != PERCHE_OK)
        abort();
    what = batch_differs(b, back);
    if (what != NULL) {
        fprintf(stderr, "differs: %s\n", what);
        abort();
    }
    if (perche_batch_encode(back, size % 2 ? 3 : 0, &again, NULL) != PERCHE_OK ||
        again.n != out.n || memcmp(again.p, out.p, out.n) != 0)
        abort();
    perche_buf_free(&out);
    perche_buf_free(&again);
    return 0;
}
