#include "shape.h"

#include <string.h>

#include "buf.h"

/* ---- writing ------------------------------------------------------------- */

static int append(void *to, const char *p, size_t n)
{
    return buf_append(to, p, n) ? 0 : -1;
}

void packer_init(struct packer *k, struct perche_buf *out)
{
    msgpack_packer_init(&k->to, out, append);
    k->rc = PERCHE_OK;
    k->wrong = "";
}

static void pack_fail(struct packer *k, enum perche_rc rc, const char *wrong)
{
    if (k->rc == PERCHE_OK) {
        k->rc = rc;
        k->wrong = wrong;
    }
}

/* The packer has no other failure than that of append(). */
static void packed(struct packer *k, int rc)
{
    if (rc != 0)
        pack_fail(k, PERCHE_NOMEM, "out of memory");
}

void pack_uint(struct packer *k, uint64_t v)
{
    packed(k, msgpack_pack_uint64(&k->to, v)); /* in its shortest form */
}

void pack_array(struct packer *k, size_t n)
{
    packed(k, msgpack_pack_array(&k->to, n));
}

void pack_text(struct packer *k, const char *text)
{
    size_t n = strlen(text);

    packed(k, msgpack_pack_str(&k->to, n));
    packed(k, msgpack_pack_str_body(&k->to, text, n));
}

void pack_bytes(struct packer *k, const void *p, size_t n)
{
    packed(k, msgpack_pack_bin(&k->to, n));
    if (n > 0)
        packed(k, msgpack_pack_bin_body(&k->to, p, n));
}

static uint32_t count_of(const struct field *f, const void *from)
{
    uint32_t count;

    memcpy(&count, (const char *)from + f->count_at, sizeof(count));
    return count;
}

static bool in_range(struct packer *k, const struct field *f, uint64_t v)
{
    if (v >= f->min && v <= f->max)
        return true;
    pack_fail(k, PERCHE_INTERNAL, f->name);
    return false;
}

static void pack_field(struct packer *k, const struct field *f, const void *from)
{
    const void *at = (const char *)from + f->at;
    const struct perche_bytes *bytes = at;
    const struct perche_pos *pos = at;
    const char *elements, *text;
    uint32_t count;
    uint64_t v;

    switch (f->kind) {
    case FIELD_U64:
    case FIELD_POSITION:
    case FIELD_U32:
    case FIELD_U8:
    case FIELD_BOOL:
        v = f->kind == FIELD_U32    ? *(const uint32_t *)at
            : f->kind == FIELD_U8   ? *(const uint8_t *)at
            : f->kind == FIELD_BOOL ? *(const bool *)at
                                    : *(const uint64_t *)at;
        if (!in_range(k, f, v))
            break;
        if (f->kind == FIELD_BOOL)
            packed(k, v ? msgpack_pack_true(&k->to) : msgpack_pack_false(&k->to));
        else
            pack_uint(k, v);
        break;
    case FIELD_PLACE:
        if (pos->lsn > INT64_MAX)
            pack_fail(k, PERCHE_INTERNAL, f->name);
        pack_uint(k, pos->lsn);
        pack_uint(k, pos->mark);
        break;
    case FIELD_FIXED: pack_bytes(k, at, f->max); break;
    case FIELD_TEXT:
        text = *(const char *const *)at;
        if (text == NULL)
            text = "";
        if (in_range(k, f, strlen(text)))
            pack_text(k, text);
        break;
    case FIELD_BYTES:
    case FIELD_KEY:
        if (in_range(k, f, bytes->n))
            pack_bytes(k, bytes->p, bytes->n);
        break;
    case FIELD_LIST:
    case FIELD_INLINE:
        count = count_of(f, from);
        if (!in_range(k, f, count))
            break;
        elements = at;
        if (f->kind == FIELD_LIST)
            memcpy(&elements, at, sizeof(elements)); /* a pointer to any struct */
        pack_array(k, count);
        for (uint32_t i = 0; i < count; i++)
            pack_shape(k, f->of, elements + i * f->of->size);
        break;
    }
}

void pack_fields(struct packer *k, const struct shape *shape, const void *from,
                 uint32_t fields_count)
{
    for (uint32_t i = 0; i < fields_count && k->rc == PERCHE_OK; i++)
        pack_field(k, &shape->fields[i], from);
}

/* A place is two elements of its array. */
uint32_t elements_count(const struct shape *shape)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < shape->fields_count; i++)
        n += shape->fields[i].kind == FIELD_PLACE ? 2 : 1;
    return n;
}

void pack_shape(struct packer *k, const struct shape *shape, const void *from)
{
    pack_array(k, elements_count(shape));
    pack_fields(k, shape, from, shape->fields_count);
}

/* ---- reading ------------------------------------------------------------- */

void unpack_fail(struct unpacker *u, enum perche_rc rc, const char *wrong)
{
    if (u->rc == PERCHE_OK) {
        u->rc = rc;
        u->wrong = wrong;
    }
    u->p = u->end; /* what follows reads nothing */
}

static size_t left(const struct unpacker *u)
{
    return (size_t)(u->end - u->p);
}

static uint8_t byte(struct unpacker *u)
{
    if (u->p == u->end) {
        unpack_fail(u, PERCHE_CORRUPT, "it ends early");
        return 0xc1; /* the one byte that msgpack never uses */
    }
    return *u->p++;
}

/* A big-endian number of @n bytes. */
static uint64_t big_endian(struct unpacker *u, uint32_t n)
{
    uint64_t v = 0;

    if (left(u) < n) {
        unpack_fail(u, PERCHE_CORRUPT, "it ends early");
        return 0;
    }
    while (n-- > 0)
        v = v << 8 | *u->p++;
    return v;
}

uint64_t unpack_uint(struct unpacker *u, uint64_t min, uint64_t max)
{
    uint8_t head = byte(u);
    uint64_t v = head;

    if (head >= 0xcc && head <= 0xcf)
        v = big_endian(u, 1u << (head - 0xcc));
    else if (head >= 0x80)
        unpack_fail(u, PERCHE_CORRUPT, "a number is expected");
    if (v < min || v > max)
        unpack_fail(u, PERCHE_CORRUPT, "a number is out of its range");
    return u->rc == PERCHE_OK ? v : 0;
}

uint32_t unpack_array(struct unpacker *u)
{
    uint8_t head = byte(u);
    uint64_t n = 0;

    if (head >= 0x90 && head <= 0x9f)
        n = head & 15;
    else if (head == 0xdc || head == 0xdd)
        n = big_endian(u, head == 0xdc ? 2 : 4);
    else
        unpack_fail(u, PERCHE_CORRUPT, "an array is expected");
    if (n > left(u)) /* an element takes a byte at least */
        unpack_fail(u, PERCHE_CORRUPT, "an array claims more elements than there are bytes");
    return u->rc == PERCHE_OK ? (uint32_t)n : 0;
}

/* Length of a str or bin; its bytes are there. */
static uint32_t unpack_length(struct unpacker *u, bool text, uint64_t min, uint64_t max)
{
    uint8_t head = byte(u), first = text ? 0xd9 : 0xc4;
    uint64_t n = 0;

    if (text && head >= 0xa0 && head <= 0xbf)
        n = head & 31;
    else if (head >= first && head <= first + 2)
        n = big_endian(u, 1u << (head - first));
    else
        unpack_fail(u, PERCHE_CORRUPT, text ? "a text is expected" : "bytes are expected");
    if (n > left(u))
        unpack_fail(u, PERCHE_CORRUPT, "a length goes beyond the end");
    else if (n < min || n > max)
        unpack_fail(u, PERCHE_CORRUPT, "a length is out of its range");
    return u->rc == PERCHE_OK ? (uint32_t)n : 0;
}

/* Copies @n bytes into the arena. */
static uint8_t *keep(struct unpacker *u, uint32_t n)
{
    uint8_t *copy = u->rc == PERCHE_OK ? arena_dup(u->arena, u->p, n) : NULL;

    if (copy == NULL)
        unpack_fail(u, PERCHE_NOMEM, "out of memory");
    else
        u->p += n;
    return copy;
}

/* Steps over one value of any kind, for fields of later versions. What is nested counts as
 * values still to come, so that depth costs no stack. */
static void skip(struct unpacker *u)
{
    for (uint64_t values = 1; values > 0 && u->rc == PERCHE_OK; values--) {
        static const uint8_t fixed[] = {4, 8, 1, 2, 4, 8, 1, 2,
                                        4, 8, 2, 3, 5, 9, 17}; /* 0xca to 0xd8 */
        uint8_t head = byte(u);
        uint64_t bytes = 0, more = 0;

        if (head <= 0x7f || head >= 0xe0 || head == 0xc0 || head == 0xc2 || head == 0xc3)
            bytes = 0;
        else if (head <= 0x8f)
            more = (head & 15) * UINT64_C(2);
        else if (head <= 0x9f)
            more = head & 15;
        else if (head <= 0xbf)
            bytes = head & 31;
        else if (head >= 0xc4 && head <= 0xc6)
            bytes = big_endian(u, 1u << (head - 0xc4));
        else if (head >= 0xc7 && head <= 0xc9)
            bytes = big_endian(u, 1u << (head - 0xc7)) + 1;
        else if (head >= 0xca && head <= 0xd8)
            bytes = fixed[head - 0xca];
        else if (head >= 0xd9 && head <= 0xdb)
            bytes = big_endian(u, 1u << (head - 0xd9));
        else if (head == 0xdc || head == 0xdd)
            more = big_endian(u, head == 0xdc ? 2 : 4);
        else if (head == 0xde || head == 0xdf)
            more = big_endian(u, head == 0xde ? 2 : 4) * 2;
        else
            unpack_fail(u, PERCHE_CORRUPT, "a value is malformed");
        if (bytes > left(u) || more > left(u))
            unpack_fail(u, PERCHE_CORRUPT, "a length goes beyond the end");
        else if (u->rc == PERCHE_OK)
            u->p += bytes;
        values += more;
        if (values > left(u) + 1)
            unpack_fail(u, PERCHE_CORRUPT, "it ends early");
    }
}

/* The fewest bytes that one struct takes: what a list's count is compared with. */
static size_t bytes_min(const struct shape *shape)
{
    size_t n = 1;

    for (uint32_t i = 0; i < shape->fields_count; i++) {
        const struct field *f = &shape->fields[i];

        switch (f->kind) {
        case FIELD_FIXED: n += 2 + f->max; break;
        case FIELD_TEXT: n += 1 + f->min; break;
        case FIELD_BYTES:
        case FIELD_KEY: n += 2 + f->min; break;
        case FIELD_PLACE: n += 2; break;
        default: n += 1;
        }
    }
    return n;
}

static void unpack_key(struct unpacker *u, const struct perche_bytes *key)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char texts[PERCHE_KEY_COLUMNS_MAX * 37];
    uint32_t count;

    if (u->rc == PERCHE_OK && key->n > 0 &&
        perche_key_decode(*key, values, &count, texts) != PERCHE_OK)
        unpack_fail(u, PERCHE_CORRUPT, "a key is malformed");
}

static void unpack_list(struct unpacker *u, const struct field *f, void *to)
{
    void *at = (char *)to + f->at;
    uint32_t count = unpack_array(u);
    char *elements = at;

    if (count > f->max || count > left(u) / bytes_min(f->of)) {
        unpack_fail(u, PERCHE_CORRUPT, "a list is too long");
        return;
    }
    if (f->kind == FIELD_LIST && count > 0) {
        elements = arena_zalloc(u->arena, count, f->of->size);
        if (elements == NULL) {
            unpack_fail(u, PERCHE_NOMEM, "out of memory");
            return;
        }
        memcpy(at, &elements, sizeof(elements));
    }
    memcpy((char *)to + f->count_at, &count, sizeof(count));
    for (uint32_t i = 0; i < count && u->rc == PERCHE_OK; i++)
        unpack_shape(u, f->of, elements + i * f->of->size);
}

static void unpack_field(struct unpacker *u, const struct field *f, void *to)
{
    void *at = (char *)to + f->at;
    struct perche_bytes bytes;
    struct perche_pos pos;
    const char *text;
    uint8_t head;
    uint32_t n;

    switch (f->kind) {
    case FIELD_U64:
    case FIELD_POSITION: *(uint64_t *)at = unpack_uint(u, f->min, f->max); break;
    case FIELD_U32: *(uint32_t *)at = (uint32_t)unpack_uint(u, f->min, f->max); break;
    case FIELD_U8: *(uint8_t *)at = (uint8_t)unpack_uint(u, f->min, f->max); break;
    case FIELD_BOOL:
        head = byte(u);
        if (head != 0xc2 && head != 0xc3)
            unpack_fail(u, PERCHE_CORRUPT, "true or false is expected");
        *(bool *)at = head == 0xc3;
        break;
    case FIELD_PLACE:
        pos.lsn = unpack_uint(u, 0, INT64_MAX);
        pos.mark = unpack_uint(u, 0, UINT64_MAX);
        *(struct perche_pos *)at = pos;
        break;
    case FIELD_FIXED:
        n = unpack_length(u, false, f->max, f->max);
        if (u->rc == PERCHE_OK) {
            memcpy(at, u->p, n);
            u->p += n;
        }
        break;
    case FIELD_TEXT:
        n = unpack_length(u, true, f->min, f->max);
        if (u->rc == PERCHE_OK && n > 0 && memchr(u->p, 0, n) != NULL)
            unpack_fail(u, PERCHE_CORRUPT, "a text has a zero byte");
        text = (const char *)keep(u, n);
        memcpy(at, &text, sizeof(text));
        break;
    case FIELD_BYTES:
    case FIELD_KEY:
        bytes.n = unpack_length(u, false, f->min, f->max);
        bytes.p = keep(u, bytes.n);
        if (f->kind == FIELD_KEY)
            unpack_key(u, &bytes);
        memcpy(at, &bytes, sizeof(bytes));
        break;
    case FIELD_LIST:
    case FIELD_INLINE: unpack_list(u, f, to); break;
    }
}

void unpack_shape(struct unpacker *u, const struct shape *shape, void *to)
{
    uint32_t count = unpack_array(u), need = elements_count(shape);

    if (count < need || (count > need && !shape->open)) {
        unpack_fail(u, PERCHE_CORRUPT, "an array has the wrong number of elements");
        return;
    }
    for (uint32_t i = 0; i < shape->fields_count && u->rc == PERCHE_OK; i++)
        unpack_field(u, &shape->fields[i], to);
    for (; count > need && u->rc == PERCHE_OK; count--)
        skip(u);
}
