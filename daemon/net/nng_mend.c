/* What nng 1.5.2 (Debian 12) gets wrong, put right at link time: --wrap=SYMBOL sends
 * nng's own calls of SYMBOL here. That needs the static library, whose objects still call
 * one another by name. Nothing here knows nng's structs.
 *
 * nng_stream_send, nng_stream_recv: an operation that is started on an aio which was
 * stopped fails, and nobody is told. A pipe that closes between two pieces of a large
 * message starts the next piece on its stopped aio; the message is never finished, and
 * nng's one reaper thread waits for it for ever: from then on no pipe of the process
 * ends, nobody hears that one went, and no socket closes. One in 25 cuts in the middle of
 * 400 kB on loopback, none of 30,000 with this; nng 2 tells the callback too. Told is a
 * reset line, not a cancelled operation, as the latter would stop the listener.
 *
 * nni_random: the wait before nng dials again is drawn from it as a signed number, half
 * of the draws are below zero, and nng dials at once. uplink.c dials by itself and sets a
 * wait beyond every line's life; this makes it one.
 *
 * mbedtls_ssl_config_defaults: mbedTLS offers secp521r1 first, and both ends compute with
 * it; P-256 alone halves a handshake. nng has no option for it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nng/nng.h>

#include <mbedtls/ecp.h>
#include <mbedtls/ssl.h>

void nni_aio_finish_error(nng_aio *aio, int result); /* nng's own */

/* The aio that a stream operation of this thread is being started on. */
static _Thread_local nng_aio *starting;

int __real_nni_aio_begin(nng_aio *aio);
int __wrap_nni_aio_begin(nng_aio *aio);

int __wrap_nni_aio_begin(nng_aio *aio)
{
    int result = __real_nni_aio_begin(aio);

    if (result != 0 && aio == starting)
        nni_aio_finish_error(aio, NNG_ECONNRESET); /* queues the callback, as any failure does */
    return result;
}

void __real_nng_stream_send(nng_stream *stream, nng_aio *aio);
void __wrap_nng_stream_send(nng_stream *stream, nng_aio *aio);

void __wrap_nng_stream_send(nng_stream *stream, nng_aio *aio)
{
    nng_aio *outer = starting; /* TLS starts TCP's inside its own */

    starting = aio;
    __real_nng_stream_send(stream, aio);
    starting = outer;
}

void __real_nng_stream_recv(nng_stream *stream, nng_aio *aio);
void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio);

void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio)
{
    nng_aio *outer = starting;

    starting = aio;
    __real_nng_stream_recv(stream, aio);
    starting = outer;
}

uint32_t __real_nni_random(void);
uint32_t __wrap_nni_random(void);

uint32_t __wrap_nni_random(void)
{
    return __real_nni_random() & INT32_MAX;
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
