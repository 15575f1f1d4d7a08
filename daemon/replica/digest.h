/* What digest.c, compare.c and verify.c share about digests beside internal.h. */
#ifndef REPLICA_DIGEST_H
#define REPLICA_DIGEST_H

#include "replica/internal.h"

#define DIGEST_BUCKETS 256u
#define DIGEST_BYTES \
    4096 /* of the sums of one (scope, table): 256 little-endian numbers of 128 bits */

/* Where a key falls among 256 << @finer buckets; its low 8 bits are its stored bucket. */
uint32_t digest_place(const uint8_t *key, uint32_t key_n, uint32_t finer);
/* sum += by, both little-endian numbers modulo 2^128. */
void digest_add(uint8_t sum[16], const uint8_t by[16]);
/* XXH3-128 in canonical order of bytes. */
void digest_hash(const void *p, size_t n, uint8_t out[16]);

#endif
