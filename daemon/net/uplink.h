/* A site's line to its hub: dialled when it is told to, three channels for requests,
 * over TLS that is pinned to the hub's certificate (or plain tcp://, for tests).
 *
 * It decides nothing: one order to dial ends in one on_up or on_down, and a line that
 * was up ends in one on_down, unless it was dropped by order. nng's own retries are
 * never used: each line is a socket of its own, so no request can be repeated on a
 * later line. All calls and callbacks on the loop's thread. */
#ifndef NET_UPLINK_H
#define NET_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "perche/rc.h"
#include "perche/wire.h"

#define UPLINK_CHANNELS 3

struct uplink;

struct uplink_config {       /* copied */
    const char *url;         /* tls+tcp://HOST:PORT or tcp://HOST:PORT */
    const char *ca_pem;      /* the hub's certificate; NULL only with tcp:// */
    const char *server_name; /* the hub's id, the name in that certificate */
    uint64_t dial_ms_max;    /* 0 = 20 s */
    uint32_t bytes_max;      /* of one message received; 0 = PERCHE_MESSAGE_BYTES_MAX */
};

struct uplink_events {
    void *ctx;
    void (*on_up)(void *ctx);
    /* @reason is a static code: "refused", "certificate", "timeout", "name" (it is not known,
     * or nobody answers who could), "route", "lost"; @detail a few words. */
    void (*on_down)(void *ctx, const char *reason, const char *detail);
    /* @body is borrowed; @line_ms from the order to send to the reply. */
    void (*on_reply)(void *ctx, uint32_t channel, struct perche_bytes body, uint64_t line_ms);
};

/* CONFIG: the URL or the certificate cannot be used. */
enum perche_rc uplink_new(uv_loop_t *loop, const struct uplink_config *config,
                          const struct uplink_events *events, struct uplink **out,
                          struct perche_err *err);
/* Dials once. STATE when a line is up or being dialled. */
enum perche_rc uplink_dial(struct uplink *u, struct perche_err *err);
/* Ends the line, or the attempt, without a callback. */
void uplink_drop(struct uplink *u);
/* Sends a request; what was under way on @channel is given up, its reply never comes.
 * Bytes are copied. NET when no line is up. */
enum perche_rc uplink_send(struct uplink *u, uint32_t channel, struct perche_bytes body,
                           struct perche_err *err);
bool uplink_is_up(const struct uplink *u);
const char *uplink_url(const struct uplink *u);
/* Ends the line and frees @u; no callback but @on_closed follows. */
void uplink_close(struct uplink *u, void *ctx, void (*on_closed)(void *ctx));

/* Is it a URL that the net speaks? CONFIG with what is wrong. For listen and dial. */
enum perche_rc uplink_check_url(const char *url, bool listen, struct perche_err *err);

#endif
