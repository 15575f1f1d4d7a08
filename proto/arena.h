/* Memory that is given back all at once: what a decoded message or a batch points to.
 *
 * Chunks grow up to a bound; a larger request gets a chunk of its own. Private to
 * proto/; other parts know only perche_arena_free(). */
#ifndef PERCHE_PROTO_ARENA_H
#define PERCHE_PROTO_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct perche_arena;

struct perche_arena *arena_new(void); /* NULL: out of memory */
/* Aligned for any object; never zeroed. NULL: out of memory. @n may be 0. */
void *arena_alloc(struct perche_arena *a, size_t n);
void *arena_alloc_bytes(struct perche_arena *a, size_t n); /* without alignment */
void *arena_zalloc(struct perche_arena *a, size_t count,
                   size_t size); /* zeroed, checks the product */
/* A copy of @n bytes with a zero byte after them. NULL: out of memory. */
void *arena_dup(struct perche_arena *a, const void *p, size_t n);
/* Forgets what was given out; keeps a bounded part of the memory for the next use. */
void arena_clear(struct perche_arena *a);

#endif
