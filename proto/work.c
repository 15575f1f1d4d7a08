#include "work.h"

#include <pthread.h>
#include <stdlib.h>

enum { KEEP_BYTES = 4 << 20 }; /* for each array */

static _Thread_local struct work *mine;
static pthread_key_t at_end; /* only so that a thread's end frees its work */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int at_end_rc;

static void work_free(void *arg)
{
    struct work *w = arg;

    if (w == NULL)
        return;
    (void)ZSTD_freeCCtx(w->zip); /* never fails for a context that is not static */
    (void)ZSTD_freeDCtx(w->unzip);
    perche_buf_free(&w->raw);
    perche_buf_free(&w->section);
    free(w->marks);
    for (int i = 0; i < WORK_SLOTS; i++)
        free(w->slots[i].p);
    free(w);
}

static void make_key(void)
{
    at_end_rc = pthread_key_create(&at_end, work_free);
}

struct work *work_get(void)
{
    struct work *w = mine;

    if (w == NULL) {
        (void)pthread_once(&once, make_key); /* fails only for a bad argument */
        w = at_end_rc == 0 ? calloc(1, sizeof(*w)) : NULL;
        if (w == NULL)
            return NULL;
        if (pthread_setspecific(at_end, w) != 0) {
            free(w);
            return NULL;
        }
        mine = w;
    }
    if (w->zip == NULL)
        w->zip = ZSTD_createCCtx();
    if (w->unzip == NULL)
        w->unzip = ZSTD_createDCtx();
    return w->zip != NULL && w->unzip != NULL ? w : NULL;
}

void perche_wire_thread_end(void)
{
    if (mine == NULL)
        return;
    (void)pthread_setspecific(at_end, NULL);
    work_free(mine);
    mine = NULL;
}

void *work_array(struct work *w, enum work_slot slot, size_t count, size_t size)
{
    size_t need, cap;
    void *p;

    if (count > SIZE_MAX / 2 / size)
        return NULL;
    need = count * size;
    if (need <= w->slots[slot].cap && w->slots[slot].p != NULL)
        return w->slots[slot].p;
    cap = need < 4096 ? 4096 : need + need / 2;
    p = malloc(cap); /* not realloc: the contents are of no use */
    if (p == NULL)
        return NULL;
    free(w->slots[slot].p);
    w->slots[slot].p = p;
    w->slots[slot].cap = cap;
    return p;
}

void work_trim(struct work *w)
{
    if (w->raw.cap > KEEP_BYTES)
        perche_buf_free(&w->raw);
    if (w->section.cap > KEEP_BYTES)
        perche_buf_free(&w->section);
    for (int i = 0; i < WORK_SLOTS; i++)
        if (w->slots[i].cap > KEEP_BYTES) {
            free(w->slots[i].p);
            w->slots[i].p = NULL;
            w->slots[i].cap = 0;
        }
}
