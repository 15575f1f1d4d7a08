/* What nng_mend.c hears of nng, and tells it, that nng's own interface does not. */
#ifndef NET_NNG_MEND_H
#define NET_NNG_MEND_H

#include <stdbool.h>
#include <stdint.h>

/* Did this pipe end because its peer announced a message beyond NNG_OPT_RECVMAXSZ, or beyond
 * what it may without proof? Asked once, when the pipe is gone; it is forgotten then. Any thread. */
bool nng_mend_was_too_large(uint32_t pipe);

/* A dial came to nothing: the next one, of any socket of the process, takes the next address of its
 * name. One that succeeds leaves it so. Any thread. */
void nng_mend_dial_failed(void);

#endif
