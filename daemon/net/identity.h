/* The node's own Ed25519 key: keys/node.key, mode 0600, made at the first start. */
#ifndef NET_IDENTITY_H
#define NET_IDENTITY_H

#include "perche/rc.h"
#include "sync/sync.h"

struct identity; /* never changes after it was loaded: any thread may use it */

/* Loads the key at @path, making it when absent. CORRUPT when it is not a key, AUTH when
 * others may read it: such a key may be anybody's by now. */
enum perche_rc identity_load(const char *path, struct identity **out, struct perche_err *err);
void identity_free(struct identity *i);                       /* wipes it */
const uint8_t *identity_public_key(const struct identity *i); /* 32 bytes */
/* random, sign and verify for the conversation; valid as long as @i. */
struct sync_ops identity_ops(struct identity *i);
void identity_random(uint8_t *out, size_t n);

#endif
