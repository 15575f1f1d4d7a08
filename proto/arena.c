#include "arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "perche/wire.h"

enum {
    CHUNK_FIRST = 2048,  /* a small message fits in one */
    CHUNK_MAX = 1 << 18, /* doubling ends here */
    KEEP_MAX = 4 << 20,  /* what a cleared arena may hold on to */
    ALIGN = alignof(max_align_t),
};

struct chunk {
    struct chunk *next;
    size_t cap, used;
    alignas(max_align_t) uint8_t data[];
};

struct perche_arena {
    struct chunk *first; /* the chunk being filled; full ones follow */
    struct chunk *spare; /* empty ones, kept by arena_clear() */
    size_t next_cap;
};

struct perche_arena *arena_new(void)
{
    struct perche_arena *a = calloc(1, sizeof(*a));

    if (a != NULL)
        a->next_cap = CHUNK_FIRST;
    return a;
}

static void chunks_free(struct chunk *c)
{
    while (c != NULL) {
        struct chunk *next = c->next;

        free(c);
        c = next;
    }
}

void perche_arena_free(struct perche_arena *a)
{
    if (a == NULL)
        return;
    chunks_free(a->first);
    chunks_free(a->spare);
    free(a);
}

/* A chunk with room for @n bytes at its start, at the head of the list. */
static struct chunk *chunk_add(struct perche_arena *a, size_t n)
{
    struct chunk **at = &a->spare, *c;
    size_t cap = a->next_cap;

    while (*at != NULL && (*at)->cap < n)
        at = &(*at)->next;
    c = *at;
    if (c != NULL) {
        *at = c->next;
    } else {
        if (cap < n)
            cap = n;
        if (cap > SIZE_MAX - sizeof(*c))
            return NULL;
        c = malloc(sizeof(*c) + cap);
        if (c == NULL)
            return NULL;
        c->cap = cap;
        if (a->next_cap < CHUNK_MAX)
            a->next_cap *= 2;
    }
    c->used = 0;
    if (n > CHUNK_MAX / 4 && a->first != NULL) {
        /* A large request has its chunk for itself, behind the one being filled. */
        c->next = a->first->next;
        a->first->next = c;
    } else {
        c->next = a->first;
        a->first = c;
    }
    return c;
}

static void *take(struct perche_arena *a, size_t n, size_t align)
{
    struct chunk *c = a->first;
    size_t at;

    if (n > SIZE_MAX / 2)
        return NULL;
    if (c != NULL) {
        at = (c->used + align - 1) & ~(align - 1);
        if (at <= c->cap && n <= c->cap - at) {
            c->used = at + n;
            return c->data + at;
        }
    }
    c = chunk_add(a, n);
    if (c == NULL)
        return NULL;
    c->used = n;
    return c->data;
}

void *arena_alloc(struct perche_arena *a, size_t n)
{
    return take(a, n, ALIGN);
}

void *arena_alloc_bytes(struct perche_arena *a, size_t n)
{
    return take(a, n, 1);
}

void *arena_zalloc(struct perche_arena *a, size_t count, size_t size)
{
    void *p;

    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    p = take(a, count * size, ALIGN);
    if (p != NULL)
        memset(p, 0, count * size);
    return p;
}

void *arena_dup(struct perche_arena *a, const void *p, size_t n)
{
    uint8_t *to;

    if (n == SIZE_MAX)
        return NULL;
    to = take(a, n + 1, 1);
    if (to == NULL)
        return NULL;
    if (n > 0)
        memcpy(to, p, n);
    to[n] = 0;
    return to;
}

void arena_clear(struct perche_arena *a)
{
    struct chunk *all[2] = {a->first, a->spare};
    size_t kept = 0;

    a->first = NULL;
    a->spare = NULL;
    for (int i = 0; i < 2; i++)
        for (struct chunk *c = all[i], *next; c != NULL; c = next) {
            next = c->next;
            if (c->cap > KEEP_MAX - kept) {
                free(c);
                continue;
            }
            kept += c->cap;
            c->next = a->spare;
            a->spare = c;
        }
}
