#include "varint.h"

#include "perche/wire.h"

uint32_t perche_varint_put(uint8_t *out, uint64_t v)
{
    return varint_put(out, v);
}

uint32_t perche_varint_get(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    return varint_get(p, end, v);
}
