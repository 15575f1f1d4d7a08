/* Structs as msgpack arrays, from one table for each: the encoder and the decoder read
 * the same table, which reads like PROTOCOL.md, so that they cannot disagree.
 *
 * Writing goes through msgpack-c's packer. Reading does not use msgpack-c: its unpacker
 * reserves memory for as many elements as an array claims to have (five bytes ask for
 * 8 GiB); here every count and length is compared with the bytes left first. */
#ifndef PERCHE_PROTO_SHAPE_H
#define PERCHE_PROTO_SHAPE_H

#include <msgpack.h>

#include "arena.h"
#include "perche/wire.h"

enum field_kind {
    FIELD_U64,
    FIELD_POSITION, /* below 2^63 */
    FIELD_U32,
    FIELD_U8,
    FIELD_BOOL,
    FIELD_PLACE,  /* struct perche_pos: two numbers */
    FIELD_FIXED,  /* bin of exactly max bytes, inside the struct */
    FIELD_TEXT,   /* str, zero-terminated in memory; NULL is written as "" */
    FIELD_BYTES,  /* bin */
    FIELD_KEY,    /* bin: an encoded key, or empty if min is 0 */
    FIELD_LIST,   /* array of arrays; a pointer and a count */
    FIELD_INLINE, /* the same, stored inside the struct */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t at;              /* of the field in the struct */
    uint64_t min, max;      /* value, bytes or elements */
    size_t count_at;        /* of a list's count, a uint32_t */
    const struct shape *of; /* a list's elements */
};

struct shape {
    const struct field *fields;
    uint32_t fields_count;
    size_t size; /* of the struct */
    bool open;   /* a later version may append fields, which are skipped */
};

#define SHAPE(type, ...)                                                                    \
    {                                                                                       \
        .fields = (const struct field[]){__VA_ARGS__},                                      \
        .fields_count = sizeof((const struct field[]){__VA_ARGS__}) / sizeof(struct field), \
        .size = sizeof(struct type)                                                         \
    }
#define OPEN_SHAPE(type, ...)                                                               \
    {                                                                                       \
        .fields = (const struct field[]){__VA_ARGS__},                                      \
        .fields_count = sizeof((const struct field[]){__VA_ARGS__}) / sizeof(struct field), \
        .size = sizeof(struct type), .open = true                                           \
    }
#define FIELD(t, member, k, low, high)                                                        \
    {                                                                                         \
        .name = #member, .kind = k, .at = offsetof(struct t, member), .min = low, .max = high \
    }
#define U64(t, m)              FIELD(t, m, FIELD_U64, 0, UINT64_MAX)
#define POSITION(t, m)         FIELD(t, m, FIELD_POSITION, 0, INT64_MAX)
#define U32(t, m, low, high)   FIELD(t, m, FIELD_U32, low, high)
#define U8(t, m, low, high)    FIELD(t, m, FIELD_U8, low, high)
#define BOOL(t, m)             FIELD(t, m, FIELD_BOOL, 0, 1)
#define PLACE(t, m)            FIELD(t, m, FIELD_PLACE, 0, 0)
#define FIXED(t, m)            FIELD(t, m, FIELD_FIXED, 0, sizeof(((struct t *)NULL)->m))
#define TEXT(t, m, low, high)  FIELD(t, m, FIELD_TEXT, low, high)
#define BYTES(t, m, low, high) FIELD(t, m, FIELD_BYTES, low, high)
#define KEY(t, m, low)         FIELD(t, m, FIELD_KEY, low, PERCHE_KEY_BYTES_MAX)
#define LIST(t, m, shape_of, high)                                                \
    {                                                                             \
        .name = #m, .kind = FIELD_LIST, .at = offsetof(struct t, m), .max = high, \
        .count_at = offsetof(struct t, m##_count), .of = shape_of                 \
    }
#define INLINE(t, m, count, shape_of, high)                                         \
    {                                                                               \
        .name = #m, .kind = FIELD_INLINE, .at = offsetof(struct t, m), .max = high, \
        .count_at = offsetof(struct t, count), .of = shape_of                       \
    }

/* ---- writing ---- */

struct packer {
    msgpack_packer to;
    enum perche_rc rc; /* the first failure: NOMEM, or INTERNAL for a field out of its range */
    const char *wrong; /* its name */
};

void packer_init(struct packer *k, struct perche_buf *out);
void pack_array(struct packer *k, size_t n);
void pack_uint(struct packer *k, uint64_t v);
void pack_text(struct packer *k, const char *text);
void pack_bytes(struct packer *k, const void *p, size_t n);
/* How many elements the array of a struct has. */
uint32_t elements_count(const struct shape *shape);
/* The first @fields_count fields, without the array around them. */
void pack_fields(struct packer *k, const struct shape *shape, const void *from,
                 uint32_t fields_count);
void pack_shape(struct packer *k, const struct shape *shape, const void *from);

/* ---- reading ---- */

struct unpacker {
    const uint8_t *p, *end;
    struct perche_arena *arena;
    enum perche_rc rc;
    const char *wrong;
};

uint64_t unpack_uint(struct unpacker *u, uint64_t min, uint64_t max);
uint32_t unpack_array(struct unpacker *u); /* at most as many as there are bytes left */
/* Fills @to (zeroed by the caller); texts and bytes are copied into the arena. */
void unpack_shape(struct unpacker *u, const struct shape *shape, void *to);
void unpack_fail(struct unpacker *u, enum perche_rc rc, const char *wrong);

#endif
