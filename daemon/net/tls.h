/* The hub's self-made certificate.
 *
 * It is pinned by every site, so it says only who the hub is: a P-256 key, the hub's
 * id as its common name, valid from 1970-01-01 to 9999-12-31, since mbedTLS checks
 * dates and a site's clock may be anywhere. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perche/rc.h"

#define TLS_FILE_BYTES_MAX 16384u /* one certificate or one key in PEM */

struct tls_identity {
    uint8_t *certificate_pem; /* owned, zero-terminated */
    size_t certificate_pem_n; /* without the zero */
    uint8_t *key_pem;         /* owned, zero-terminated */
    size_t key_pem_n;
    uint8_t *certificate_der; /* owned: what an invitation carries */
    size_t certificate_der_n;
    bool made; /* its files are new: nobody knows this certificate yet */
};
void tls_identity_free(struct tls_identity *t); /* what is in it; wipes the key */

/* Reads @certificate_path and @key_path, making both when neither is there. AUTH when one
 * of them is missing, the certificate is another hub's or the key is not its own; no key
 * is ever removed. A crash while they are made is made good. */
enum perche_rc tls_identity_load(const char *certificate_path, const char *key_path,
                                 const char *hub, struct tls_identity *out, struct perche_err *err);
/* Makes key and certificate in memory. */
enum perche_rc tls_identity_make(const char *hub, struct tls_identity *out, struct perche_err *err);

/* Certificate of a peer as PEM (zero-terminated, free()) from the DER of an invitation. */
enum perche_rc tls_pem_of_der(const uint8_t *der, size_t der_n, uint8_t **out, size_t *out_n,
                              struct perche_err *err);

/* What a certificate says; for tests and `perched --check`. */
struct tls_facts {
    char name[128];
    char from[24], to[24]; /* YYYY-MM-DDThh:mm:ssZ */
};
enum perche_rc tls_certificate_facts(const uint8_t *pem, struct tls_facts *out,
                                     struct perche_err *err);

#endif
