/* The heap of a whole test program, with SQLite's, zstd's and msgpack's part of it: the Nth allocation fails, or the Nth
 * and all after it. For one file of a program, which it gives its malloc(); one thread. */
#ifndef TESTS_FAULT_HEAP_H
#define TESTS_FAULT_HEAP_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEAP_REAL(name) __interceptor_##name /* the sanitizer's: what it finds is found */
#define FIRST_ONES 30
#else
#define HEAP_REAL(name) __libc_##name
#define FIRST_ONES 100
#endif

/* The compiler is to believe nothing of them that it knows of the true ones. */
#ifdef __clang__
#define HEAP_APART __attribute__((noinline, optnone))
#else
#define HEAP_APART __attribute__((noipa))
#endif

void *HEAP_REAL(malloc)(size_t n);
void *HEAP_REAL(calloc)(size_t count, size_t n);
void *HEAP_REAL(realloc)(void *p, size_t n);
void HEAP_REAL(free)(void *p);

static struct {
    bool armed, on; /* on: all after it fail, too */
    unsigned long at, seen, hits;
    long live; /* blocks */
} heap;

static bool heap_fails(void)
{
    if (!heap.armed)
        return false;
    heap.seen++;
    if (heap.seen != heap.at && !(heap.on && heap.seen > heap.at))
        return false;
    heap.hits++;
    errno = ENOMEM;
    return true;
}

static inline void heap_fail(unsigned long nth, bool on)
{
    heap.at = nth;
    heap.on = on;
    heap.seen = heap.hits = 0;
    heap.armed = true;
}

/* Did one fail? */
static inline bool heap_off(void)
{
    heap.armed = false;
    return heap.hits > 0;
}

HEAP_APART void *malloc(size_t n)
{
    void *p = heap_fails() ? NULL : HEAP_REAL(malloc)(n);

    heap.live += p != NULL;
    return p;
}

HEAP_APART void *calloc(size_t count, size_t n)
{
    void *p = heap_fails() ? NULL : HEAP_REAL(calloc)(count, n);

    heap.live += p != NULL;
    return p;
}

HEAP_APART void *realloc(void *old, size_t n)
{
    void *p;

    if (heap_fails())
        return NULL;
    p = HEAP_REAL(realloc)(old, n);
    heap.live += (p != NULL) - (old != NULL && (p != NULL || n == 0));
    return p;
}

void free(void *p)
{
    heap.live -= p != NULL;
    HEAP_REAL(free)(p);
}

/* A sanitizer's own would not come here. */
char *strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *p = malloc(n);

    return p == NULL ? NULL : memcpy(p, text, n);
}

/* The next N to be tried: each one with `./run test --all`; else the first ones, and then fewer and fewer. Under a sanitizer, which
 * is three times slower, fewer yet. */
static inline unsigned long heap_next(unsigned long n)
{
    const char *all = getenv("PERCHE_LONG");

    return all != NULL && strcmp(all, "1") == 0 ? n + 1 : n + 1 + n / FIRST_ONES * 7;
}

#endif
