/* The hub's end of the lines: listens, takes requests of any site side by side, sends
 * each reply to the site that asked.
 *
 * A request is named by a number that is never used again, and so is the reply to it; a
 * reply to a request whose line has gone is thrown away. A line (pipe) that has not
 * proven itself may send small messages only, and one that does not take its replies is
 * ended. All calls and callbacks on the loop's
 * thread. */
#ifndef NET_DOWNLINK_H
#define NET_DOWNLINK_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "perche/rc.h"
#include "perche/wire.h"

/* nng contexts, one for each request under way: a site parks one for its watch and has
 * up to two at work. There are as many as are needed and DOWNLINK_SPARE more, which the
 * next requests find. 0.85 kB each, measured. */
#define DOWNLINK_CONTEXTS_START 256u
#define DOWNLINK_CONTEXTS_MAX   8192u /* 2,000 sites with three requests each, and a margin */
#define DOWNLINK_SPARE          64u
#define DOWNLINK_OPEN_MAX       16u   /* of one line: requests without reply and replies that have not left. A site has three */
#define DOWNLINK_UNREAD_BYTES_MAX (2u * PERCHE_MESSAGE_BYTES_MAX) /* replies of one line that have not left: a site asks for one large one at once */
#define DOWNLINK_REPLY_MS       2400000u /* for a reply to leave: a site gives up after LINE_MS_MAX and a minute (site.c) */
#define DOWNLINK_STRANGER_MS    60000u /* for a line to prove itself: then it is ended, a site comes again */
#define DOWNLINK_STRANGERS_MAX  2048u  /* lines without proof at once, the oldest go: a network of 2,000 sites comes back together */
#define DOWNLINK_GREETING_MS    30000u /* for TLS and nng's greeting, before a line is one: a site gives up after 20 s */
#define DOWNLINK_GREETINGS_MAX  2048u  /* under way at once, the oldest go. Neither bound takes more than a quarter of the descriptors */
#define DOWNLINK_GRACE_MS       100u /* between the last reply and the end of a line that is dropped */

struct downlink;

/* Could a hub listen at @url now? Tried, and let go again. */
enum perche_rc downlink_try(const char *url, struct perche_err *err);

struct downlink_config {         /* copied */
    const char *url;             /* tls+tcp://ADDRESS:PORT or tcp://ADDRESS:PORT; port 0 = any */
    const char *certificate_pem; /* NULL only with tcp:// */
    const char *key_pem;
    uint32_t bytes_max;          /* of one message; 0 = PERCHE_MESSAGE_BYTES_MAX */
    uint32_t bytes_max_unproven; /* 0 = PERCHE_MESSAGE_BYTES_UNPROVEN */
    uint32_t stranger_ms;        /* 0 = DOWNLINK_STRANGER_MS */
    uint32_t strangers_max;      /* 0 = DOWNLINK_STRANGERS_MAX */
    uint32_t greeting_ms;        /* 0 = DOWNLINK_GREETING_MS */
    uint32_t greetings_max;      /* 0 = DOWNLINK_GREETINGS_MAX; of all downlinks of the process */
    uint32_t contexts_max;       /* 0 = DOWNLINK_CONTEXTS_MAX */
    uint32_t reply_ms;           /* 0 = DOWNLINK_REPLY_MS */
};

struct downlink_events {
    void *ctx;
    /* @body is borrowed. */
    void (*on_request)(void *ctx, uint64_t request, uint64_t pipe, struct perche_bytes body);
    /* A line that has not proven itself sent @bytes at once: the request waits for a reply
     * or for the end of the line like any other. */
    void (*on_too_large)(void *ctx, uint64_t request, uint64_t pipe, uint64_t bytes);
    /* A line that announced a message beyond bytes_max, or far beyond bytes_max_unproven: on_pipe_gone follows at once. */
    void (*on_flood)(void *ctx, uint64_t pipe);
    void (*on_pipe_gone)(void *ctx, uint64_t pipe); /* its requests have ended already */
    /* A line is being ended that has not proven itself in its time, or was the oldest of too many; NULL = not told. */
    void (*on_stranger)(void *ctx, uint64_t pipe);
    /* A line is being ended that does not take its replies: so many wait; NULL = not told. Also
     * within downlink_reply(). */
    void (*on_unread)(void *ctx, uint64_t pipe, uint32_t replies, uint64_t bytes);
    /* @n connections were ended that had not become lines in their time, or were the oldest of too many; NULL = not told. */
    void (*on_silent)(void *ctx, uint32_t n);
};

/* CONFIG: URL or certificate cannot be used; NET: the port is taken, the address not ours
 * (then the loop has to run once more before it can be closed). */
enum perche_rc downlink_new(uv_loop_t *loop, const struct downlink_config *config,
                            const struct downlink_events *events, struct downlink **out,
                            struct perche_err *err);
/* Bytes are copied. NOT_FOUND: the request has ended. */
enum perche_rc downlink_reply(struct downlink *d, uint64_t request, struct perche_bytes body,
                              struct perche_err *err);
void downlink_prove(struct downlink *d, uint64_t pipe); /* it may send large messages from now on */
/* Ends a line: its requests now, the line itself after DOWNLINK_GRACE_MS, so that a reply
 * given before arrives. on_pipe_gone follows. */
void downlink_drop_pipe(struct downlink *d, uint64_t pipe);
/* "ADDRESS:PORT" of the other end, "" when it has gone. */
void downlink_peer(struct downlink *d, uint64_t pipe, char *out, size_t n);
uint16_t downlink_port(const struct downlink *d);
uint32_t downlink_lines(const struct downlink *d); /* open now */
uint32_t downlink_requests(
    const struct downlink *d); /* waiting for their reply, or for nng to take it */
/* Ends all lines and frees @d; no callback but @on_closed follows. */
void downlink_close(struct downlink *d, void *ctx, void (*on_closed)(void *ctx));

#endif
