#include "buf.h"

#include <stdlib.h>
#include <string.h>

void perche_buf_free(struct perche_buf *buf)
{
    free(buf->p);
    *buf = (struct perche_buf){0};
}

uint8_t *buf_room(struct perche_buf *buf, size_t n)
{
    size_t cap = buf->cap < 256 ? 256 : buf->cap;
    uint8_t *p;

    if (n <= buf->cap - buf->n && buf->p != NULL)
        return buf->p + buf->n;
    if (n > SIZE_MAX / 4 - buf->n)
        return NULL;
    while (cap < buf->n + n)
        cap *= 2;
    p = realloc(buf->p, cap);
    if (p == NULL)
        return NULL;
    buf->p = p;
    buf->cap = cap;
    return p + buf->n;
}

bool buf_append(struct perche_buf *buf, const void *p, size_t n)
{
    uint8_t *to = buf_room(buf, n);

    if (to == NULL)
        return false;
    if (n > 0)
        memcpy(to, p, n);
    buf->n += n;
    return true;
}
