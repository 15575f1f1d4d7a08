/* What nng 1.5.2 (Debian 12) lacks, put right at link time: --wrap=SYMBOL sends nng's
 * own calls of SYMBOL here. That needs the static library, whose objects still call one
 * another by name. Nothing here knows nng's structs.
 *
 * nni_aio_begin: an operation that is started on an aio which was stopped fails, and
 * nobody is told. A pipe that closes between two pieces of a large message starts the
 * next piece on its stopped aio; the message is never finished, and nng's one reaper
 * thread waits for it for ever: from then on no pipe of this process ends, no socket
 * closes. (Reproduced: tests/unit/test_net_line.c, one in 25 cuts in the middle of
 * 200 kB on loopback without this. nng 2 tells the callback too.)
 *
 * mbedtls_ssl_config_defaults: mbedTLS offers secp521r1 first, and both ends compute
 * with it; P-256 alone halves a handshake. nng has no option for it. */
#include <nng/nng.h>

#include <mbedtls/ecp.h>
#include <mbedtls/ssl.h>

struct nng_aio;

int __real_nni_aio_begin(struct nng_aio *aio);
int __wrap_nni_aio_begin(struct nng_aio *aio);
void nni_aio_finish_error(struct nng_aio *aio, int result); /* nng's own */

int __wrap_nni_aio_begin(struct nng_aio *aio)
{
    int result = __real_nni_aio_begin(aio);

    if (result != 0)
        nni_aio_finish_error(aio, result); /* queues the callback, as any failure does */
    return result;
}

int __real_mbedtls_ssl_config_defaults(mbedtls_ssl_config *conf, int endpoint, int transport,
                                       int preset);
int __wrap_mbedtls_ssl_config_defaults(mbedtls_ssl_config *conf, int endpoint, int transport,
                                       int preset);

int __wrap_mbedtls_ssl_config_defaults(mbedtls_ssl_config *conf, int endpoint, int transport,
                                       int preset)
{
    static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE};
    int result = __real_mbedtls_ssl_config_defaults(conf, endpoint, transport, preset);

    if (result == 0)
        mbedtls_ssl_conf_curves(conf, curves); /* kept by reference: static */
    return result;
}
