/* Columns of a batch: numbers, texts, blobs and keys as bytes and back.
 * PROTOCOL.md, "Columns", is the specification; the letters N, X, B and K are its.
 *
 * Writer and reader keep the first failure and ignore what follows, so that a
 * codec checks once, at its end. */
#ifndef PERCHE_PROTO_COLUMN_H
#define PERCHE_PROTO_COLUMN_H

#include "arena.h"
#include "work.h"

/* How a column of numbers is written. */
enum { N_SAME = 0, N_VARINTS, N_STEPS, N_RUNS, N_PLANES, N_STEP_PLANES };
/* How a column of texts is written. */
enum { X_ZERO = 0, X_LENGTHS, X_UUIDS, X_DATES, X_DIGITS, X_INSTANTS, X_DICTIONARY };
/* How a column of keys is written. */
enum { K_PLAIN = 0, K_V7, K_LENGTHS };
/* Form of an instant. */
enum { INSTANT_T = 1, INSTANT_MILLIS = 2, INSTANT_Z = 4, INSTANT_FORMS = 8 };

enum { DICTIONARY_MAX = 64, DIGITS_MAX = 18 };

/* ---- writing ---- */

struct writer {
    struct work *work;
    struct perche_buf *buf;
    enum perche_rc rc; /* OK or NOMEM */
};

void put_byte(struct writer *w, uint8_t byte);
void put_varint(struct writer *w, uint64_t v);
void put_bytes(struct writer *w, const void *p, size_t n);
/* A block of zstd may end here: what comes next has other statistics. */
void put_mark(struct writer *w);

/* @is_signed: small magnitudes are the common ones. */
void put_numbers(struct writer *w, const uint64_t *v, uint32_t n, bool is_signed);
void put_texts(struct writer *w, const struct perche_bytes *v, uint32_t n);
void put_blobs(struct writer *w, const struct perche_bytes *v, uint32_t n);
void put_keys(struct writer *w, const struct perche_bytes *v, uint32_t n);

/* ---- reading ---- */

struct reader {
    const uint8_t *p, *end;
    struct work *work;
    struct perche_arena *arena; /* what has to be made anew goes there */
    enum perche_rc rc;
    const char *wrong; /* what it was that failed first */
};

static inline size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

void reader_fail(struct reader *r, enum perche_rc rc, const char *wrong);
uint8_t get_byte(struct reader *r);
uint64_t get_varint(struct reader *r);
/* A count or length of at most @max. */
uint32_t get_count(struct reader *r, uint64_t max, const char *wrong);
const uint8_t *get_bytes(struct reader *r, size_t n);           /* NULL once failed */
const char *get_text(struct reader *r, size_t min, size_t max); /* zero-terminated, in place */

/* They fill @out[0 .. n-1] or fail. The caller has bounded @n. */
void get_numbers(struct reader *r, uint64_t *out, uint32_t n, bool is_signed);
void get_texts(struct reader *r, struct perche_bytes *out, uint32_t n);
void get_blobs(struct reader *r, struct perche_bytes *out, uint32_t n);
void get_keys(struct reader *r, struct perche_bytes *out, uint32_t n);

#endif
