/* Keys of rows as bytes. A key has exactly one encoding: it is compared, hashed and
 * stored as bytes at every node, so that a second spelling would be a second row. */
#include <string.h>

#include "perche/wire.h"
#include "varint.h"

/* Tags of a record's values: those of enum perche_type but NULL, and this one. */
enum { TAG_UUID = 5 };

static const int8_t hex_value[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
}; /* one more than the value: 0 = no digit */

/* Where each byte's two digits stand in the 36 characters. */
static const uint8_t hex_at[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

bool perche_uuid_parse(const uint8_t *text, uint32_t n, uint8_t out[16])
{
    uint8_t id[16];

    if (n != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
        return false;
    for (int i = 0; i < 16; i++) {
        int high = hex_value[text[hex_at[i]]], low = hex_value[text[hex_at[i] + 1]];

        if (high == 0 || low == 0)
            return false;
        id[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    memcpy(out, id, 16);
    return true;
}

void perche_uuid_format(const uint8_t id[16], char out[37])
{
    static const char digits[] = "0123456789abcdef";

    out[8] = out[13] = out[18] = out[23] = '-';
    for (int i = 0; i < 16; i++) {
        out[hex_at[i]] = digits[id[i] >> 4];
        out[hex_at[i] + 1] = digits[id[i] & 15];
    }
    out[36] = '\0';
}

static void put_real(uint8_t out[8], double r)
{
    uint64_t bits;

    if (r == 0)
        r = 0; /* SQLite takes -0.0 and 0.0 for one key */
    memcpy(&bits, &r, sizeof(bits));
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(bits >> (56 - 8 * i));
}

static bool get_real(const uint8_t in[8], double *r)
{
    uint64_t bits = 0;

    for (int i = 0; i < 8; i++)
        bits = bits << 8 | in[i];
    memcpy(r, &bits, sizeof(bits));
    return *r == *r && bits != UINT64_C(1) << 63;
}

/* Appends @n bytes with their length in front. */
static uint32_t put_bytes(uint8_t *out, const struct perche_value *v)
{
    uint32_t at = varint_put(out, v->n);

    if (v->n > 0)
        memcpy(out + at, v->p, v->n);
    return at + v->n;
}

enum perche_rc perche_key_encode(const struct perche_value *values, uint32_t n, uint8_t *out,
                                 uint32_t *out_n)
{
    uint8_t record[PERCHE_KEY_BYTES_MAX + 1 + VARINT_MAX + PERCHE_KEY_BYTES_MAX];
    uint32_t at = 0;

    if (n < 1 || n > PERCHE_KEY_COLUMNS_MAX)
        return PERCHE_USAGE;
    if (n == 1 && values->type == PERCHE_TEXT && perche_uuid_parse(values->p, values->n, out)) {
        *out_n = 16;
        return PERCHE_OK;
    }
    for (uint32_t i = 0; i < n;
         i++) { /* at <= KEY_BYTES_MAX here, and each value is shorter than the rest of @record */
        const struct perche_value *v = &values[i];

        record[at++] = v->type;
        switch (v->type) {
        case PERCHE_INTEGER: at += varint_put(record + at, zigzag((uint64_t)v->i)); break;
        case PERCHE_REAL:
            if (v->r != v->r)
                return PERCHE_USAGE;
            put_real(record + at, v->r);
            at += 8;
            break;
        case PERCHE_TEXT:
            if (v->n > PERCHE_KEY_BYTES_MAX)
                return PERCHE_TOO_LARGE;
            if (perche_uuid_parse(v->p, v->n, record + at)) {
                record[at - 1] = TAG_UUID;
                at += 16;
            } else {
                at += put_bytes(record + at, v);
            }
            break;
        case PERCHE_BLOB:
            if (v->n > PERCHE_KEY_BYTES_MAX)
                return PERCHE_TOO_LARGE;
            at += put_bytes(record + at, v);
            break;
        default: return PERCHE_USAGE; /* NULL is no key */
        }
        if (at > PERCHE_KEY_BYTES_MAX)
            return PERCHE_TOO_LARGE;
    }
    if (at == 16)
        record[at++] = 0; /* 16 bytes are a UUID's, and nothing else's */
    memcpy(out, record, at);
    *out_n = at;
    return PERCHE_OK;
}

/* Reads one value at @p; returns the bytes taken, 0 = malformed. Whatever
 * perche_key_encode() would have written otherwise is malformed. */
static uint32_t get_value(const uint8_t *p, const uint8_t *end, struct perche_value *v,
                          uint8_t id[16])
{
    uint32_t used = 1;
    uint64_t x;

    *v = (struct perche_value){.type = *p};
    switch (v->type) {
    case PERCHE_INTEGER:
        used = varint_get(p + 1, end, &x);
        if (used == 0)
            return 0;
        v->i = (int64_t)unzigzag(x);
        return 1 + used;
    case PERCHE_REAL: return end - p >= 9 && get_real(p + 1, &v->r) ? 9 : 0;
    case PERCHE_TEXT:
    case PERCHE_BLOB:
        used = varint_get(p + 1, end, &x);
        if (used == 0 || x > (uint64_t)(end - p - 1 - used))
            return 0;
        v->n = (uint32_t)x;
        v->p = p + 1 + used;
        if (v->type == PERCHE_TEXT && perche_uuid_parse(v->p, v->n, id))
            return 0;
        return 1 + used + v->n;
    case TAG_UUID:
        if (end - p < 17)
            return 0;
        memcpy(id, p + 1, 16);
        return 17;
    default: return 0;
    }
}

enum perche_rc perche_key_decode(struct perche_bytes key, struct perche_value *values, uint32_t *n,
                                 char *scratch)
{
    struct perche_value got[PERCHE_KEY_COLUMNS_MAX];
    const uint8_t *p = key.p, *end;
    uint32_t count = 0;
    uint8_t id[16];

    if (key.n < 1 || key.n > PERCHE_KEY_BYTES_MAX)
        return PERCHE_CORRUPT;
    end = p + key.n;
    if (key.n == 16) {
        perche_uuid_format(p, scratch);
        *values =
            (struct perche_value){.type = PERCHE_TEXT, .n = 36, .p = (const uint8_t *)scratch};
        *n = 1;
        return PERCHE_OK;
    }
    for (uint32_t used; p < end; p += used) {
        /* No tag is zero, so this can be nothing but the pad. */
        if (key.n == 17 && end - p == 1 && *p == 0 && count > 0)
            break;
        if (count == PERCHE_KEY_COLUMNS_MAX)
            return PERCHE_CORRUPT;
        used = get_value(p, end, &got[count], id);
        if (used == 0)
            return PERCHE_CORRUPT;
        if (got[count].type == TAG_UUID) {
            char *text = scratch + (size_t)37 * count;

            perche_uuid_format(id, text);
            got[count] =
                (struct perche_value){.type = PERCHE_TEXT, .n = 36, .p = (const uint8_t *)text};
            if (key.n == 17)
                return PERCHE_CORRUPT; /* alone, it has the 16-byte form */
        }
        count++;
    }
    memcpy(values, got, count * sizeof(*got));
    *n = count;
    return PERCHE_OK;
}
