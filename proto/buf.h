/* Buffers that grow. */
#ifndef PERCHE_PROTO_BUF_H
#define PERCHE_PROTO_BUF_H

#include "perche/wire.h"

/* Room for @n more bytes behind buf->n, which the caller then moves. NULL: out of memory. */
uint8_t *buf_room(struct perche_buf *buf, size_t n);
bool buf_append(struct perche_buf *buf, const void *p, size_t n);

#endif
