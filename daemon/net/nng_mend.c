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
 * nni_aio_finish_error: a line that ends before its greeting is done ends the listener's
 * wait with its own error, and a listener that hears "closed" or "cancelled" takes itself
 * for closed and takes nobody any more, for ever: TLS comes up, sites see a connection,
 * nobody is answered, nothing is logged. EPIPE is such an error, so one stranger who said
 * hello and went was enough; nng 1.6 has it right. A stream's operation tells a reset line.
 *
 * nni_dialer_start: a dialer that is closed between being found and dialling starts on an
 * aio that was stopped already, with the same silence: whoever waits for the dial waits for
 * ever, and so does the close. Told is a closed dialer.
 *
 * nni_random: the wait before nng dials again is drawn from it as a signed number, half
 * of the draws are below zero, and nng dials at once. uplink.c dials by itself and sets a
 * wait beyond every line's life; this makes it one.
 *
 * nni_pipe_bump_error: a peer that announces a message beyond the bound loses its pipe, and
 * nobody is told why; such a peer is to be counted and logged.
 *
 * nni_pipe_recv: nng has one bound for the messages of all lines. The first receive of a line
 * shows its stream; a stream that is to receive more than its line may announce is closed
 * before a byte of it is read (unproven.c).
 *
 * nni_aio_set_timeout, nng_stream_free: nng gives a greeting 10 s, but when they are over it
 * cancels what is sent, while TLS waits for what is to be received: nothing ends, and is not
 * tried again. greetings.c ends such lines; it hears here which they are. A greeting is the
 * one use of a stream with a time limit, and all of it runs on one aio.
 *
 * getaddrinfo: nng dials the first address of a name and no other. A name with an IPv6
 * address that does not answer and an IPv4 address that would is never reached. The list
 * begins with the next one after each dial that failed (uplink.c). A failure for good has a
 * number of nng's that says nothing; it is as good as no answer.
 *
 * mbedtls_ssl_config_defaults: mbedTLS offers secp521r1 first, and both ends compute with
 * it; P-256 alone halves a handshake. nng has no option for it. */
#include "net/nng_mend.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include <nng/nng.h>

#include <mbedtls/ecp.h>
#include <mbedtls/ssl.h>

#include "net/greetings.h"
#include "net/unproven.h"

/* nng's own: each aio has two words for whoever carries it out. */
void *nni_aio_get_prov_extra(nng_aio *aio, unsigned index);
void nni_aio_set_prov_extra(nng_aio *aio, unsigned index, void *data);

/* The word that streams leave alone: it holds the stream that the aio is used on, and an
 * aio is used on no other. */
#define STREAM_WORD 1u

/* The aio that a stream operation of this thread is being started on. */
static _Thread_local nng_aio *starting;

static _Thread_local bool dialling; /* ... or a dial of this thread */

void __real_nni_aio_finish_error(nng_aio *aio, int result);
void __wrap_nni_aio_finish_error(nng_aio *aio, int result);

void __wrap_nni_aio_finish_error(nng_aio *aio, int result)
{
    if ((result == NNG_ECLOSED || result == NNG_ECANCELED) &&
        nni_aio_get_prov_extra(aio, STREAM_WORD) != NULL)
        result = NNG_ECONNRESET;
    __real_nni_aio_finish_error(aio, result);
}

/* The aio that this thread has given a time limit last. */
static _Thread_local nng_aio *limited;

void __real_nni_aio_set_timeout(nng_aio *aio, nng_duration ms);
void __wrap_nni_aio_set_timeout(nng_aio *aio, nng_duration ms);

void __wrap_nni_aio_set_timeout(nng_aio *aio, nng_duration ms)
{
    limited = ms > 0 ? aio : NULL;
    __real_nni_aio_set_timeout(aio, ms);
}

/* Before the operation begins: it may end on another thread at once. */
static void is_used_on(nng_aio *aio, nng_stream *stream)
{
    bool greets = aio == limited;

    if (nni_aio_get_prov_extra(aio, STREAM_WORD) == stream)
        return;
    nni_aio_set_prov_extra(aio, STREAM_WORD, stream);
    limited = NULL;
    if (!greets)
        greetings_done(stream);
    else if (!greetings_begun(stream))
        nng_stream_close(stream); /* what is begun on it fails */
}

void __real_nng_stream_free(nng_stream *stream);
void __wrap_nng_stream_free(nng_stream *stream);

void __wrap_nng_stream_free(nng_stream *stream)
{
    if (stream != NULL) {
        greetings_gone(stream);
        unproven_gone(stream);
    }
    __real_nng_stream_free(stream);
}

int __real_nni_aio_begin(nng_aio *aio);
int __wrap_nni_aio_begin(nng_aio *aio);

int __wrap_nni_aio_begin(nng_aio *aio)
{
    int result = __real_nni_aio_begin(aio);

    if (result != 0 && (aio == starting || dialling)) /* queues the callback, as any failure does */
        __real_nni_aio_finish_error(aio, aio == starting ? NNG_ECONNRESET : NNG_ECLOSED);
    return result;
}

void __real_nng_stream_send(nng_stream *stream, nng_aio *aio);
void __wrap_nng_stream_send(nng_stream *stream, nng_aio *aio);

void __wrap_nng_stream_send(nng_stream *stream, nng_aio *aio)
{
    nng_aio *outer = starting; /* TLS starts TCP's inside its own */

    is_used_on(aio, stream);
    starting = aio;
    __real_nng_stream_send(stream, aio);
    starting = outer;
}

/* Pipes that ended so and were not asked for yet: few at a time, and the oldest may be lost. */
static pthread_mutex_t too_large_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t too_large[64];
static unsigned too_large_next;

static void was_too_large(uint32_t pipe)
{
    pthread_mutex_lock(&too_large_lock);
    too_large[too_large_next++ % (sizeof(too_large) / sizeof(too_large[0]))] = pipe;
    pthread_mutex_unlock(&too_large_lock);
}

struct nni_pipe;
uint32_t nni_pipe_id(struct nni_pipe *pipe); /* nng's own, as the next */
void nni_aio_get_iov(nng_aio *aio, unsigned *count, nng_iov **iov);

/* The pipe that this thread is starting a receive of, until it has come to a stream. */
static _Thread_local uint32_t receiving;

void __real_nni_pipe_recv(struct nni_pipe *pipe, nng_aio *aio);
void __wrap_nni_pipe_recv(struct nni_pipe *pipe, nng_aio *aio);

void __wrap_nni_pipe_recv(struct nni_pipe *pipe, nng_aio *aio)
{
    receiving = nni_pipe_id(pipe);
    __real_nni_pipe_recv(pipe, aio);
    receiving = 0;
}

/* Before the operation begins, as is_used_on(). */
static void is_to_receive(nng_stream *stream, nng_aio *aio)
{
    uint32_t pipe = receiving;
    nng_iov *iov = NULL;
    unsigned count = 0;
    size_t bytes = 0;

    receiving = 0;
    if (pipe != 0)
        unproven_uses(pipe, stream);
    nni_aio_get_iov(aio, &count, &iov);
    for (unsigned i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    pipe = unproven_exceeds(stream, bytes);
    if (pipe == 0)
        return;
    was_too_large(pipe);
    nng_stream_close(stream); /* what is begun on it fails */
}

void __real_nng_stream_recv(nng_stream *stream, nng_aio *aio);
void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio);

void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio)
{
    nng_aio *outer = starting;

    is_used_on(aio, stream);
    is_to_receive(stream, aio);
    starting = aio;
    __real_nng_stream_recv(stream, aio);
    starting = outer;
}

struct nni_dialer;
int __real_nni_dialer_start(struct nni_dialer *dialer, unsigned flags);
int __wrap_nni_dialer_start(struct nni_dialer *dialer, unsigned flags);

int __wrap_nni_dialer_start(struct nni_dialer *dialer, unsigned flags)
{
    int result;

    dialling = true;
    result = __real_nni_dialer_start(dialer, flags);
    dialling = false;
    return result;
}

uint32_t __real_nni_random(void);
uint32_t __wrap_nni_random(void);

uint32_t __wrap_nni_random(void)
{
    return __real_nni_random() & INT32_MAX;
}

void __real_nni_pipe_bump_error(struct nni_pipe *pipe, int result);
void __wrap_nni_pipe_bump_error(struct nni_pipe *pipe, int result);

void __wrap_nni_pipe_bump_error(struct nni_pipe *pipe, int result)
{
    if (result == NNG_EMSGSIZE)
        was_too_large(nni_pipe_id(pipe));
    __real_nni_pipe_bump_error(pipe, result);
}

bool nng_mend_was_too_large(uint32_t pipe)
{
    bool was = false;

    pthread_mutex_lock(&too_large_lock);
    for (size_t i = 0; i < sizeof(too_large) / sizeof(too_large[0]) && !was; i++)
        if (too_large[i] == pipe) {
            too_large[i] = 0; /* no pipe's id */
            was = true;
        }
    pthread_mutex_unlock(&too_large_lock);
    return was;
}

static atomic_uint dials_failed;

void nng_mend_dial_failed(void)
{
    atomic_fetch_add(&dials_failed, 1u);
}

/* The list of @all, beginning with the @n-th and going round; freeaddrinfo() takes it as it is. */
static struct addrinfo *begin_with(struct addrinfo *all, unsigned n)
{
    struct addrinfo *first = all, *before = NULL, *last = all;
    unsigned count = 1;

    for (; last->ai_next != NULL; last = last->ai_next)
        count++;
    for (n %= count; n > 0; n--) {
        before = first;
        first = first->ai_next;
    }
    if (before == NULL)
        return all;
    last->ai_next = all;
    before->ai_next = NULL;
    return first;
}

int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out);

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    int result = __real_getaddrinfo(name, service, hints, out);
    bool listens = hints != NULL && (hints->ai_flags & AI_PASSIVE) != 0;

    if (result == 0 && *out != NULL && !listens)
        *out = begin_with(*out, atomic_load(&dials_failed));
    return result == EAI_FAIL ? EAI_AGAIN : result;
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
