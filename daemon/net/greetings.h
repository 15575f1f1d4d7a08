/* Lines whose greeting (TLS, then eight bytes of nng) is under way. nng hands a line over
 * when it is greeted and knows no end of a TLS handshake before: whoever connects and says
 * nothing would keep a descriptor and 40 kB for ever. One list for the process; any thread. */
#ifndef NET_GREETINGS_H
#define NET_GREETINGS_H

#include <stdbool.h>
#include <stdint.h>

struct nng_stream;

/* Of more than @max at once, our own dials among them, the oldest are ended, each when another
 * comes; 0 = no bound. */
void greetings_bound(uint32_t max);
/* Ends those that have taken @ms or longer. Returns how many were ended, for their time or
 * for the bound, since it was asked last. */
uint32_t greetings_end_late(uint64_t ms);

/* What nng_mend.c sees of nng: a greeting begins (false: no memory for it), its line is used
 * for something else, its stream is about to be freed. */
bool greetings_begun(struct nng_stream *stream);
void greetings_done(struct nng_stream *stream);
void greetings_gone(struct nng_stream *stream);

#endif
