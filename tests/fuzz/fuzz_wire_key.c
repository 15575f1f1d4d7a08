/* Any bytes to the key decoder. A key has one encoding: what decodes must encode to the
 * very same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perche/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t n, key_n;
    uint64_t v;

    (void)perche_varint_get(data, data + size, &v);
    if (size > UINT32_MAX || perche_key_decode((struct perche_bytes){data, (uint32_t)size}, values,
                                               &n, scratch) != PERCHE_OK)
        return 0;
    if (n < 1 || n > PERCHE_KEY_COLUMNS_MAX ||
        perche_key_encode(values, n, key, &key_n) != PERCHE_OK)
        abort();
    if (key_n != size || memcmp(key, data, size) != 0)
        abort();
    return 0;
}
