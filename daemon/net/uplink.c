/* Happy path: dial on a thread of its own, since nng 1.5.2 tells why a dial failed only
 * to a caller who waits; the pipe comes up; each request is sent and its reply received
 * by an exchange (nng context and aio) of its channel.
 * Failures: a dial that fails says why and is over, and the next one takes the next address
 * of the name; a pipe that goes takes the line with it; a request that is overtaken on its
 * channel is cancelled.
 * On close: the socket first, which ends dial, pipe and exchanges; then the thread is
 * joined and the aios are stopped, after which no nng thread can reach the line; what is
 * still in the inbox is taken in order, and the line's own end comes last. */
#include "net/uplink.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>

#include "net/container_of.h"
#include "net/inbox.h"
#include "net/nng_mend.h"

#define DIAL_MS_MAX 20000u /* name resolution, TCP and TLS, which nng itself waits for without end */
/* nng draws the wait before its own next dial at random below this; the line is closed
 * long before, and a second pipe is refused anyway. */
#define RECONNECT_MS 0x3fffffff

struct line;

struct exchange {
    struct inbox_item finished;
    struct line *line;
    struct exchange *next;
    uint32_t channel;
    nng_ctx ctx;
    nng_aio *aio;
    enum { EXCHANGE_IDLE, EXCHANGE_SENDING, EXCHANGE_RECEIVING } phase;
    bool abandoned; /* overtaken: whatever comes is thrown away */
    uint64_t sent_ms;
};

struct line {
    struct uplink *u;
    struct inbox_item up, down, dialled, end;
    nng_socket sock;
    nng_dialer dialer;
    uv_thread_t thread;
    int dial_result;            /* written by the thread before `dialled` is put */
    atomic_int pipe;            /* id of the line's one pipe, 0 = none yet */
    bool is_up, over;           /* on the loop */
    struct exchange *exchanges; /* all of them */
    struct exchange *current[UPLINK_CHANNELS];
};

struct uplink {
    uv_loop_t *loop;
    struct uplink_events events;
    char *url;
    char *server_name;
    nng_tls_config *tls; /* NULL: tcp:// */
    uint64_t dial_ms_max;
    uint32_t bytes_max;
    struct inbox inbox;
    uv_timer_t dial_timer;
    struct line *line; /* the present one, NULL = none */
    bool closing;
    unsigned handles_open;
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

/* ---- URLs --------------------------------------------------------------- */

enum perche_rc uplink_check_url(const char *url, bool listen, struct perche_err *err)
{
    const char *host = NULL, *colon, *end;
    unsigned long port = 0;

    if (strncmp(url, "tls+tcp://", 10) == 0)
        host = url + 10;
    else if (strncmp(url, "tcp://", 6) == 0)
        host = url + 6;
    if (!host)
        return perche_err_set(err, PERCHE_CONFIG,
                              "\"%.100s\" does not begin with tls+tcp:// (or tcp://, for tests)",
                              url);
    if (host[0] == '[') { /* an IPv6 address */
        colon = strchr(host, ']');
        colon = colon && colon[1] == ':' ? colon + 1 : NULL;
    } else {
        colon = strchr(host, ':');
        if (colon && strchr(colon + 1, ':'))
            return perche_err_set(err, PERCHE_CONFIG,
                                  "\"%.100s\": write an IPv6 address in brackets, [::1]", url);
    }
    if (!colon)
        return perche_err_set(err, PERCHE_CONFIG, "\"%.100s\" has no port: write HOST:7447", url);
    if (colon == host && !listen)
        return perche_err_set(err, PERCHE_CONFIG, "\"%.100s\" has no host", url);
    end = colon + 1;
    while (*end >= '0' && *end <= '9' && port <= 65535)
        port = port * 10 + (unsigned long)(*end++ - '0');
    if (end == colon + 1 || *end != '\0' || port > 65535 || (port == 0 && !listen))
        return perche_err_set(err, PERCHE_CONFIG,
                              "\"%.100s\": the port has to be a number from 1 to 65535", url);
    return PERCHE_OK;
}

/* ---- a line, on nng's threads ------------------------------------------- */

static void on_exchange_finished(void *arg)
{
    struct exchange *x = arg;

    inbox_put(&x->line->u->inbox, &x->finished);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
    struct line *line = arg;
    int none = 0, id = nng_pipe_id(pipe);

    switch (ev) {
    case NNG_PIPE_EV_ADD_PRE:
        if (!atomic_compare_exchange_strong(&line->pipe, &none, id))
            (void)nng_pipe_close(pipe); /* nng dialled again by itself: a line has one pipe */
        break;
    case NNG_PIPE_EV_ADD_POST:
        if (atomic_load(&line->pipe) == id)
            inbox_put(&line->u->inbox, &line->up);
        break;
    case NNG_PIPE_EV_REM_POST:
        if (atomic_load(&line->pipe) == id)
            inbox_put(&line->u->inbox, &line->down);
        break;
    default: break;
    }
}

static void dial(void *arg)
{
    struct line *line = arg;

    line->dial_result = nng_dialer_start(line->dialer, 0);
    inbox_put(&line->u->inbox, &line->dialled);
}

/* ---- a line, on the loop ------------------------------------------------ */

static void exchange_free(struct exchange *x)
{
    nng_msg *msg;
    bool ok;

    nng_aio_stop(x->aio); /* waits for a callback under way */
    msg = nng_aio_get_msg(x->aio);
    ok = nng_aio_result(x->aio) == 0;
    if (msg && ((x->phase == EXCHANGE_SENDING && !ok) || (x->phase == EXCHANGE_RECEIVING && ok)))
        nng_msg_free(msg); /* not sent, or received and not taken */
    nng_aio_free(x->aio);
    free(x);
}

static void line_free(struct line *line)
{
    struct exchange *x, *next;

    for (x = line->exchanges; x; x = next) {
        next = x->next;
        exchange_free(x);
    }
    free(line);
}

static void on_line_end(struct inbox_item *item)
{
    line_free(container_of(item, struct line, end));
}

static void line_close(struct line *line)
{
    struct uplink *u = line->u;
    struct exchange *x;

    assert(!line->over);
    line->over = true;
    if (u->line == line)
        u->line = NULL;
    uv_timer_stop(&u->dial_timer);
    (void)nng_dialer_close(line->dialer); /* fails only if it is closed already */
    (void)nng_close(line->sock);
    (void)uv_thread_join(&line->thread);
    for (x = line->exchanges; x; x = x->next)
        nng_aio_stop(x->aio);
    inbox_put(&u->inbox, &line->end);
}

static void line_lost(struct line *line, const char *reason, const char *detail)
{
    struct uplink *u = line->u;

    if (!line->is_up)
        nng_mend_dial_failed();
    line_close(line);
    u->events.on_down(u->events.ctx, reason, detail);
}

static const char *reason_of(int result)
{
    switch (result) {
    case NNG_ECONNREFUSED: return "refused";
    case NNG_EPEERAUTH:
    case NNG_ECRYPTO: return "certificate";
    case NNG_ETIMEDOUT: return "timeout";
    case NNG_EAGAIN: /* EAI_AGAIN: no name service answers */
    case NNG_EADDRINVAL: return "name";
    case NNG_EUNREACHABLE: return "route";
    default: return "lost";
    }
}

static void on_dialled(struct inbox_item *item)
{
    struct line *line = container_of(item, struct line, dialled);

    if (line->over)
        return;
    if (line->dial_result != 0)
        line_lost(line, reason_of(line->dial_result), nng_strerror(line->dial_result));
    else if (atomic_load(&line->pipe) == 0)
        line_lost(line, "lost", "no line came of it");
    /* else `up` is in the inbox or was taken; or `down`, for a peer that is no hub */
}

static void on_up(struct inbox_item *item)
{
    struct line *line = container_of(item, struct line, up);

    if (line->over)
        return;
    line->is_up = true;
    uv_timer_stop(&line->u->dial_timer);
    line->u->events.on_up(line->u->events.ctx);
}

static void on_down(struct inbox_item *item)
{
    struct line *line = container_of(item, struct line, down);

    if (!line->over)
        line_lost(line, "lost", line->is_up ? "the line was cut" : "the other end hung up");
}

static void on_dial_timer(uv_timer_t *timer)
{
    struct uplink *u = container_of(timer, struct uplink, dial_timer);

    if (u->line)
        line_lost(u->line, "timeout", "no line in time");
}

static void exchange_retire(struct exchange *x)
{
    struct exchange **at = &x->line->exchanges;

    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    (void)nng_ctx_close(x->ctx);
    exchange_free(x);
}

static void on_exchange_taken(struct inbox_item *item)
{
    struct exchange *x = container_of(item, struct exchange, finished);
    struct line *line = x->line;
    struct uplink *u = line->u;
    int result = nng_aio_result(x->aio);
    struct perche_bytes body;
    nng_msg *msg;

    if (line->over)
        return; /* freed with the line */
    if (x->abandoned) {
        exchange_retire(x);
        return;
    }
    if (result != 0) {
        line_lost(line, "lost", nng_strerror(result));
        return;
    }
    if (x->phase == EXCHANGE_SENDING) {
        x->phase = EXCHANGE_RECEIVING;
        nng_aio_set_msg(x->aio, NULL); /* nng has it */
        nng_ctx_recv(x->ctx, x->aio);
        return;
    }
    msg = nng_aio_get_msg(x->aio);
    nng_aio_set_msg(x->aio, NULL);
    x->phase = EXCHANGE_IDLE;
    body = (struct perche_bytes){.p = nng_msg_body(msg), .n = (uint32_t)nng_msg_len(msg)};
    u->events.on_reply(u->events.ctx, x->channel, body,
                       uv_hrtime() / 1000000u - x->sent_ms); /* may drop the line, or close us */
    nng_msg_free(msg);
}

static struct exchange *exchange_new(struct line *line, uint32_t channel)
{
    struct exchange *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    x->line = line;
    x->channel = channel;
    x->finished.on_taken = on_exchange_taken;
    if (nng_aio_alloc(&x->aio, on_exchange_finished, x) != 0) {
        free(x);
        return NULL;
    }
    if (nng_ctx_open(&x->ctx, line->sock) != 0) {
        nng_aio_free(x->aio);
        free(x);
        return NULL;
    }
    x->next = line->exchanges;
    line->exchanges = x;
    return x;
}

/* ---- the uplink --------------------------------------------------------- */

static void uplink_free(struct uplink *u)
{
    if (u->tls)
        nng_tls_config_free(u->tls);
    free(u->url);
    free(u->server_name);
    free(u);
}

static int tls_of(const struct uplink_config *config, nng_tls_config **out)
{
    nng_tls_config *tls = NULL;
    int rv = nng_tls_config_alloc(&tls, NNG_TLS_MODE_CLIENT);

    if (rv != 0)
        return rv;
    rv = nng_tls_config_auth_mode(tls, NNG_TLS_AUTH_MODE_REQUIRED);
    if (rv == 0)
        rv = nng_tls_config_ca_chain(tls, config->ca_pem, NULL);
    if (rv == 0)
        rv = nng_tls_config_server_name(tls, config->server_name);
    if (rv == 0)
        *out = tls;
    else
        nng_tls_config_free(tls);
    return rv;
}

enum perche_rc uplink_new(uv_loop_t *loop, const struct uplink_config *config,
                          const struct uplink_events *events, struct uplink **out,
                          struct perche_err *err)
{
    struct uplink *u;
    enum perche_rc rc = uplink_check_url(config->url, false, err);
    int rv;

    if (rc != PERCHE_OK)
        return rc;
    u = calloc(1, sizeof(*u));
    if (!u)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the line");
    u->loop = loop;
    u->events = *events;
    u->dial_ms_max = config->dial_ms_max ? config->dial_ms_max : DIAL_MS_MAX;
    u->bytes_max = config->bytes_max ? config->bytes_max : PERCHE_MESSAGE_BYTES_MAX;
    u->url = strdup(config->url);
    u->server_name = strdup(config->server_name ? config->server_name : "");
    if (!u->url || !u->server_name)
        rc = perche_err_set(err, PERCHE_NOMEM, "no memory for the line");
    if (rc == PERCHE_OK && strncmp(config->url, "tls+", 4) == 0) {
        if (!config->ca_pem || !config->server_name)
            rc =
                perche_err_set(err, PERCHE_CONFIG, "no certificate of the hub for %s", config->url);
        else if ((rv = tls_of(config, &u->tls)) != 0)
            rc = perche_err_set(err, PERCHE_CONFIG, "the hub's certificate cannot be used: %s",
                                nng_strerror(rv));
    }
    if (rc == PERCHE_OK)
        rc = inbox_init(&u->inbox, loop, err);
    if (rc != PERCHE_OK) {
        uplink_free(u);
        return rc;
    }
    (void)uv_timer_init(loop, &u->dial_timer); /* always 0 */
    *out = u;
    return PERCHE_OK;
}

enum perche_rc uplink_dial(struct uplink *u, struct perche_err *err)
{
    struct line *line;
    int rv;

    if (u->closing || u->line)
        return perche_err_set(err, PERCHE_STATE, "a line is there already");
    line = calloc(1, sizeof(*line));
    if (!line)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the line");
    line->u = u;
    line->up.on_taken = on_up;
    line->down.on_taken = on_down;
    line->dialled.on_taken = on_dialled;
    line->end.on_taken = on_line_end;
    rv = nng_req0_open(&line->sock);
    if (rv != 0) {
        free(line);
        return perche_err_set(err, PERCHE_NET, "no socket: %s", nng_strerror(rv));
    }
    rv = nng_socket_set_ms(line->sock, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (rv == 0)
        rv = nng_socket_set_size(line->sock, NNG_OPT_RECVMAXSZ, u->bytes_max);
    if (rv == 0)
        rv = nng_socket_set_ms(line->sock, NNG_OPT_RECONNMINT, RECONNECT_MS);
    if (rv == 0)
        rv = nng_socket_set_ms(line->sock, NNG_OPT_RECONNMAXT, RECONNECT_MS);
    if (rv == 0)
        rv = nng_pipe_notify(line->sock, NNG_PIPE_EV_ADD_PRE, on_pipe, line);
    if (rv == 0)
        rv = nng_pipe_notify(line->sock, NNG_PIPE_EV_ADD_POST, on_pipe, line);
    if (rv == 0)
        rv = nng_pipe_notify(line->sock, NNG_PIPE_EV_REM_POST, on_pipe, line);
    if (rv == 0)
        rv = nng_dialer_create(&line->dialer, line->sock, u->url);
    if (rv == 0 && u->tls)
        rv = nng_dialer_set_ptr(line->dialer, NNG_OPT_TLS_CONFIG, u->tls);
    if (rv == 0) {
        /* Without these a line is only slower to send, or to notice a vanished peer. */
        (void)nng_dialer_set_bool(line->dialer, NNG_OPT_TCP_NODELAY, true);
        (void)nng_dialer_set_bool(line->dialer, NNG_OPT_TCP_KEEPALIVE, true);
        if (uv_thread_create(&line->thread, dial, line) != 0)
            rv = NNG_ENOMEM;
    }
    if (rv != 0) {
        (void)nng_close(line->sock);
        free(line);
        return perche_err_set(err, PERCHE_NET, "cannot dial %s: %s", u->url, nng_strerror(rv));
    }
    u->line = line;
    (void)uv_timer_start(&u->dial_timer, on_dial_timer, u->dial_ms_max,
                         0); /* not closing: always 0 */
    return PERCHE_OK;
}

void uplink_drop(struct uplink *u)
{
    if (u->line)
        line_close(u->line);
}

bool uplink_is_up(const struct uplink *u)
{
    return u->line && u->line->is_up;
}

const char *uplink_url(const struct uplink *u)
{
    return u->url;
}

enum perche_rc uplink_send(struct uplink *u, uint32_t channel, struct perche_bytes body,
                           struct perche_err *err)
{
    struct exchange *x;
    nng_msg *msg;

    assert(channel < UPLINK_CHANNELS);
    if (!uplink_is_up(u))
        return perche_err_set(err, PERCHE_NET, "no line");
    x = u->line->current[channel];
    if (x && x->phase != EXCHANGE_IDLE) {
        x->abandoned = true;
        nng_aio_cancel(x->aio);
        x = NULL;
    }
    if (!x)
        x = exchange_new(u->line, channel);
    u->line->current[channel] = x;
    if (!x || nng_msg_alloc(&msg, 0) != 0)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for a request");
    if (nng_msg_append(msg, body.p, body.n) != 0) {
        nng_msg_free(msg);
        return perche_err_set(err, PERCHE_NOMEM, "no memory for a request");
    }
    x->phase = EXCHANGE_SENDING;
    x->sent_ms = uv_hrtime() / 1000000u;
    nng_aio_set_msg(x->aio, msg);
    nng_ctx_send(x->ctx, x->aio);
    return PERCHE_OK;
}

static void handle_gone(struct uplink *u)
{
    void *ctx = u->closed_ctx;
    void (*on_closed)(void *ctx) = u->on_closed;

    if (--u->handles_open > 0)
        return;
    uplink_free(u);
    on_closed(ctx);
}

static void on_inbox_closed(struct inbox *inbox)
{
    handle_gone(container_of(inbox, struct uplink, inbox));
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_gone(container_of((uv_timer_t *)handle, struct uplink, dial_timer));
}

void uplink_close(struct uplink *u, void *ctx, void (*on_closed)(void *ctx))
{
    assert(!u->closing);
    u->closing = true;
    u->closed_ctx = ctx;
    u->on_closed = on_closed;
    uplink_drop(u);
    u->handles_open = 2;
    inbox_close(&u->inbox, on_inbox_closed); /* takes the line's end */
    uv_close((uv_handle_t *)&u->dial_timer, on_timer_closed);
}
