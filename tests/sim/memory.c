/* Memory for SQLite: half of a story's mallocs are its. One thread and short lives need
 * no locks, no counts and no merging of neighbours: a block that is given back waits
 * for the next one of its size. Under a sanitizer SQLite keeps the system's, which
 * sees what is used after it was freed. */
#include "sim.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif

#ifdef WATCHED
const bool memory_watched = true;
#else
const bool memory_watched = false;
#endif

#ifndef WATCHED

#define STEP 16u                /* sizes up to SMALL_MAX go by these */
#define SMALL_MAX 1024u         /* 2^10 */
#define SMALL (SMALL_MAX / STEP)
#define PARTS 4u                /* then each doubling in quarters, up to 4 MB; what is larger is the system's */
#define LARGE (12u * PARTS)
#define ARENA_BYTES (4u << 20)
#define AHEAD_BYTES (128u << 10)

struct block {
    uint32_t bytes, list;       /* of what follows, which is aligned to 8 as SQLite asks for; which list it goes back to */
    struct block *next;         /* while it is free: lies in what follows */
};

#define HEAD offsetof(struct block, next)

static struct block *idle[SMALL + LARGE];
static uint8_t *arena, *touched; /* touched: where its pages begin that nobody has written yet */
static size_t arena_left;

/* Which list, and how many bytes a block of it has. */
static inline unsigned class_of(size_t n, size_t *bytes)
{
    unsigned doubling; /* 2^doubling < n <= 2 * 2^doubling */
    size_t part;

    if (n <= SMALL_MAX) {
        unsigned k = n == 0 ? 0 : (unsigned)((n - 1) / STEP);

        *bytes = (k + 1) * STEP;
        return k;
    }
    doubling = 63u - (unsigned)__builtin_clzl(n - 1);
    part = ((n - 1) >> (doubling - 2)) + 1; /* in quarters of that: 5 to 8 */
    *bytes = part << (doubling - 2);
    return SMALL + PARTS * (doubling - 10) + (unsigned)part - 5;
}

static bool arena_new(void)
{
    arena = aligned_alloc(4096, ARENA_BYTES); /* of ordinary pages: in the copy of its process that a story begins in, a large one is taken apart */
    arena_left = arena != NULL ? ARENA_BYTES : 0;
    touched = arena;
    return arena != NULL;
}

/* The next @bytes of the arena, which has them. Each page's first write is a fault, which costs more than what is written
 * then: so many pages at once are asked for. Where the kernel does not know the call they come one by one. */
static struct block *carve(size_t bytes)
{
    struct block *b = (struct block *)arena;

    arena += bytes;
    arena_left -= bytes;
    if (arena > touched) {
        uint8_t *end = arena + arena_left, *to = end - touched > AHEAD_BYTES ? touched + AHEAD_BYTES : end;

        (void)madvise(touched, (size_t)(to - touched), MADV_POPULATE_WRITE);
        touched = to;
    }
    return b;
}

static void *take(int wanted)
{
    size_t bytes;
    unsigned k = class_of((size_t)wanted, &bytes);
    struct block *b;

    if (k < SMALL + LARGE && idle[k] != NULL) {
        b = idle[k];
        idle[k] = b->next;
        return &b->next;
    }
    if (bytes + HEAD > ARENA_BYTES / 4) {
        b = malloc(bytes + HEAD);
        if (b == NULL)
            return NULL;
    } else {
        if (bytes + HEAD > arena_left && !arena_new())
            return NULL;
        b = carve(bytes + HEAD);
    }
    b->bytes = (uint32_t)bytes;
    b->list = k;
    return &b->next;
}

static struct block *block_of(void *p)
{
    return (struct block *)((uint8_t *)p - HEAD);
}

static void give(void *p)
{
    struct block *b = block_of(p);

    if (b->list >= SMALL + LARGE) {
        free(b);
        return;
    }
    b->next = idle[b->list];
    idle[b->list] = b;
}

static int size_of(void *p)
{
    return p != NULL ? (int)block_of(p)->bytes : 0;
}

static void *again(void *p, int wanted)
{
    int there = size_of(p);
    void *q;

    if (wanted <= there)
        return p;
    q = take(wanted);
    if (q == NULL)
        return NULL;
    memcpy(q, p, (size_t)there);
    give(p);
    return q;
}

static int round_up(int n)
{
    size_t bytes;

    (void)class_of((size_t)n, &bytes);
    return (int)bytes;
}

static int begin(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void end(void *ctx)
{
    (void)ctx;
}

static const sqlite3_mem_methods methods = {take, give, again, size_of, round_up, begin, end, NULL};

#endif

void memory_begin(void)
{
    if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK || sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK)
        abort();
#ifndef WATCHED
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
        abort();
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20); /* a story's memory goes with its process */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
#endif
}
