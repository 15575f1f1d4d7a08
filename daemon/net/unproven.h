/* Lines that have not proven themselves, and how much each may announce at once. nng takes room
 * for a message as soon as its length is said, and knows one bound for all lines: strangers
 * could hold 16 MiB each. One list for the process; any thread. */
#ifndef NET_UNPROVEN_H
#define NET_UNPROVEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nng_stream;

/* The line @pipe begins; false: no memory for it. */
bool unproven_begun(uint32_t pipe, size_t bytes_max);
void unproven_done(uint32_t pipe); /* it has proven itself, or is gone */

/* What nng_mend.c sees of nng: a line receives from a stream, that stream is about to be freed. */
void unproven_uses(uint32_t pipe, struct nng_stream *stream);
void unproven_gone(struct nng_stream *stream);
/* The line that may not receive @bytes at once from @stream; 0: they are fine. */
uint32_t unproven_exceeds(struct nng_stream *stream, size_t bytes);

#endif
