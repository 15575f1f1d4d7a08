/* Happy path: each context receives a request, waits for the loop's reply, sends it and
 * receives again. A pipe is entered into the table before nng starts it, so the loop
 * knows each pipe before its first request.
 * Failures: a pipe that goes takes its requests with it: their contexts receive again,
 * and a message of it that was taken too late is thrown away. A message beyond bytes_max, or
 * beyond what a line may announce without proof (unproven.h), ends its pipe inside nng. When contexts run short more are opened; at the bound
 * requests wait in nng, which stops reading from those sites. A line that proves nothing,
 * whether it asks something or is mute, is ended after a while, or when it is the oldest of
 * too many. So is a connection that does not become a line (greetings.h). nng reads the next
 * request of a line whatever becomes of the replies, and a reply waits in its context until
 * the one before has left: a line that does not take its replies is ended, before it has all
 * contexts and all memory.
 * On close: aios first, then the socket, which ends every pipe before it returns; what
 * is still in the inbox is taken; then the wake-up. */
#include "net/downlink.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/tls/tls.h>

#include "net/container_of.h"
#include "net/greetings.h"
#include "net/inbox.h"
#include "net/nng_mend.h"
#include "net/unproven.h"
#include "net/uplink.h"

#define PIPE_BUCKETS   1024u
#define UNPROVEN_TIMES 4u /* a message that is larger than a line may send without proof is answered so, one of as many times is not read */

struct slot { /* a context and what it is at */
    struct inbox_item finished;
    struct downlink *d;
    nng_ctx ctx;
    nng_aio *aio;
    enum { SLOT_RECEIVING, SLOT_ASKED, SLOT_REPLYING } phase;
    uint32_t index;
    uint32_t round; /* counts requests of this context: half of a request's number */
    uint32_t bytes;           /* REPLYING: how large */
    uint64_t since_ms;        /* REPLYING: given when */
    struct pipe *pipe;        /* ASKED, REPLYING: whose list it is in, NULL = that pipe has gone */
    struct slot *next, **prev;
};

struct pipe {
    struct inbox_item gone;
    struct downlink *d;
    struct pipe *next; /* in its bucket, guarded by pipes_lock */
    uint32_t id;
    bool proven;               /* on the loop */
    uint64_t seen_ms;          /* on the loop: first seen without proof, 0 = not yet */
    uint64_t number;           /* guarded by pipes_lock: in the order they came */
    bool strange;              /* likewise: without proof, and not dropped: counted in d->strange */
    struct slot *open;         /* on the loop: requests without reply, and replies that have not left */
    uint32_t open_count;       /* likewise, as the next three */
    struct pipe *next_dropped;
    bool dropping;             /* told to go: it is not listened to any more */
    uint64_t drop_ms;
};

struct downlink {
    struct downlink_events events;
    nng_socket sock;
    nng_listener listener;
    nng_tls_config *tls;
    uint16_t port;
    uint32_t bytes_max_unproven;
    struct inbox inbox;
    pthread_mutex_t pipes_lock;
    struct pipe
        *pipes[PIPE_BUCKETS]; /* guarded by pipes_lock; nng's threads add, the loop removes */
    uint32_t lines;           /* guarded by pipes_lock */
    uint64_t numbers;         /* likewise */
    uint32_t strange;         /* likewise */
    bool crowded_put;         /* likewise: `crowded` waits in the inbox */
    struct inbox_item crowded;
    uint32_t stranger_ms, strangers_max, greeting_ms, reply_ms;
    uv_timer_t stranger_timer, greeting_timer;
    struct slot **slots;
    uint32_t slots_max, slots_count, slots_receiving;
    uv_timer_t drop_timer;
    struct pipe *dropped, **dropped_tail; /* in order of drop_ms */
    bool closing;
    unsigned handles_open;
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

/* ---- on nng's threads ---------------------------------------------------- */

static void on_slot_finished(void *arg)
{
    struct slot *slot = arg;

    inbox_put(&slot->d->inbox, &slot->finished);
}

static void on_pipe_gone(struct inbox_item *item);

static struct pipe *pipe_find(struct downlink *d, uint32_t id)
{
    struct pipe *p;

    pthread_mutex_lock(&d->pipes_lock);
    for (p = d->pipes[id % PIPE_BUCKETS]; p && p->id != id; p = p->next)
        ;
    pthread_mutex_unlock(&d->pipes_lock);
    return p;
}

static bool pipe_add(struct downlink *d, uint32_t id)
{
    struct pipe *p = calloc(1, sizeof(*p));
    bool crowded;

    if (!p)
        return false;
    p->strange = true;
    p->d = d;
    p->id = id;
    p->gone.on_taken = on_pipe_gone;
    pthread_mutex_lock(&d->pipes_lock);
    p->number = ++d->numbers;
    p->next = d->pipes[id % PIPE_BUCKETS];
    d->pipes[id % PIPE_BUCKETS] = p;
    d->lines++;
    crowded = ++d->strange > d->strangers_max && !d->crowded_put;
    d->crowded_put = d->crowded_put || crowded;
    pthread_mutex_unlock(&d->pipes_lock);
    if (crowded)
        inbox_put(&d->inbox, &d->crowded);
    return true;
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
    struct downlink *d = arg;
    uint32_t id = (uint32_t)nng_pipe_id(pipe);
    struct pipe *p;

    if (ev == NNG_PIPE_EV_ADD_PRE) {
        if (!pipe_add(d, id) || !unproven_begun(id, UNPROVEN_TIMES * d->bytes_max_unproven))
            (void)nng_pipe_close(pipe); /* no memory for one more line: it comes back */
    } else if (ev == NNG_PIPE_EV_REM_POST) {
        unproven_done(id);
        p = pipe_find(d, id);
        if (p)
            inbox_put(&d->inbox, &p->gone);
    }
}

/* ---- slots ---------------------------------------------------------------- */

static uint64_t request_of(const struct slot *slot)
{
    return (uint64_t)slot->round << 32 | (slot->index + 1u);
}

static struct slot *slot_of(struct downlink *d, uint64_t request)
{
    uint32_t index = (uint32_t)request - 1u;
    struct slot *slot = index < d->slots_count ? d->slots[index] : NULL;

    return slot && slot->phase == SLOT_ASKED && slot->round == (uint32_t)(request >> 32) ? slot
                                                                                         : NULL;
}

static void slot_receive(struct slot *slot)
{
    slot->phase = SLOT_RECEIVING;
    slot->d->slots_receiving++;
    nng_ctx_recv(slot->ctx, slot->aio);
}

static void slot_link(struct slot *slot, struct pipe *p)
{
    slot->pipe = p;
    slot->next = p->open;
    slot->prev = &p->open;
    if (p->open)
        p->open->prev = &slot->next;
    p->open = slot;
    p->open_count++;
}

static void slot_unlink(struct slot *slot)
{
    *slot->prev = slot->next;
    if (slot->next)
        slot->next->prev = slot->prev;
    slot->pipe->open_count--;
    slot->pipe = NULL;
}

static void on_slot_taken(struct inbox_item *item);

static struct slot *slot_new(struct downlink *d)
{
    struct slot *slot = calloc(1, sizeof(*slot));

    if (!slot)
        return NULL;
    slot->d = d;
    slot->index = d->slots_count;
    slot->finished.on_taken = on_slot_taken;
    if (nng_aio_alloc(&slot->aio, on_slot_finished, slot) != 0) {
        free(slot);
        return NULL;
    }
    if (nng_ctx_open(&slot->ctx, d->sock) != 0) {
        nng_aio_free(slot->aio);
        free(slot);
        return NULL;
    }
    return slot;
}

/* Opens contexts until @spare of them receive; fewer when memory is short. */
static void slots_grow(struct downlink *d, uint32_t spare)
{
    while (d->slots_receiving < spare && d->slots_count < d->slots_max) {
        struct slot *slot = slot_new(d);

        if (!slot)
            return;
        d->slots[d->slots_count++] = slot;
        slot_receive(slot);
    }
}

/* What a pipe has not taken of its replies. One is on its way and not among these: nng has
 * told that it was sent when it began. */
struct unread {
    uint32_t replies;
    uint64_t bytes;
    uint64_t since_ms; /* the oldest; UINT64_MAX = there is none */
};

static struct unread unread_of(const struct pipe *p)
{
    struct unread u = {.since_ms = UINT64_MAX};

    for (const struct slot *slot = p->open; slot; slot = slot->next) {
        if (slot->phase != SLOT_REPLYING)
            continue;
        u.replies++;
        u.bytes += slot->bytes;
        if (slot->since_ms < u.since_ms)
            u.since_ms = slot->since_ms;
    }
    return u;
}

static void end_unread(struct downlink *d, struct pipe *p)
{
    struct unread u = unread_of(p);

    if (p->dropping)
        return;
    if (d->events.on_unread)
        d->events.on_unread(d->events.ctx, p->id, u.replies, u.bytes);
    downlink_drop_pipe(d, p->id);
}

/* The pipe that most replies wait for, of several the one whose oldest waits longest; NULL = none. */
static struct pipe *least_read(struct downlink *d)
{
    struct unread most = {.since_ms = UINT64_MAX};
    struct pipe *found = NULL;

    pthread_mutex_lock(&d->pipes_lock);
    for (uint32_t i = 0; i < PIPE_BUCKETS; i++)
        for (struct pipe *p = d->pipes[i]; p; p = p->next) {
            struct unread u = {0};

            if (!p->open || p->dropping)
                continue;
            u = unread_of(p);
            if (u.replies > most.replies || (u.replies == most.replies && u.since_ms < most.since_ms)) {
                most = u;
                found = p;
            }
        }
    pthread_mutex_unlock(&d->pipes_lock);
    return found;
}

/* Contexts are short, and no more may be opened: they are taken from those who do not read.
 * They come back when the line ends. */
static void spare_slots(struct downlink *d)
{
    uint32_t coming = 0;
    struct pipe *p;

    for (p = d->dropped; p; p = p->next_dropped)
        coming += p->open_count;
    while (d->slots_receiving + coming < DOWNLINK_SPARE / 2 && (p = least_read(d)) != NULL) {
        end_unread(d, p);
        coming += p->open_count;
    }
}

static void slot_asked(struct slot *slot)
{
    struct downlink *d = slot->d;
    nng_msg *msg = nng_aio_get_msg(slot->aio);
    uint32_t id = (uint32_t)nng_pipe_id(nng_msg_get_pipe(msg));
    struct pipe *p = pipe_find(d, id);
    struct perche_bytes body = {.p = nng_msg_body(msg), .n = (uint32_t)nng_msg_len(msg)};

    nng_aio_set_msg(slot->aio, NULL);
    if (!p || p->dropping) { /* it has gone, and its end was taken first; or it is about to go */
        nng_msg_free(msg);
        slot_receive(slot);
        return;
    }
    slot->phase = SLOT_ASKED;
    slot->round++;
    slot_link(slot, p);
    if (d->slots_receiving < DOWNLINK_SPARE / 2) {
        slots_grow(d, DOWNLINK_SPARE);
        spare_slots(d);
    }
    if (p->open_count > DOWNLINK_OPEN_MAX)
        end_unread(d, p);
    if (p->dropping) { /* and its requests with it */
        nng_msg_free(msg);
        return;
    }
    if (!p->proven && body.n > d->bytes_max_unproven)
        d->events.on_too_large(d->events.ctx, request_of(slot), id, body.n);
    else
        d->events.on_request(d->events.ctx, request_of(slot), id, body);
    nng_msg_free(msg);
}

static void on_slot_taken(struct inbox_item *item)
{
    struct slot *slot = container_of(item, struct slot, finished);
    struct downlink *d = slot->d;
    int result = nng_aio_result(slot->aio);
    nng_msg *msg;

    if (d->closing)
        return; /* freed by the close */
    switch (slot->phase) {
    case SLOT_RECEIVING:
        d->slots_receiving--;
        if (result == 0)
            slot_asked(slot);
        else
            slot_receive(slot); /* only NNG_ECLOSED is left, which closing has seen to */
        break;
    case SLOT_REPLYING:
        msg = nng_aio_get_msg(slot->aio);
        if (result != 0 && msg) { /* the line went meanwhile: the site asks again */
            nng_msg_free(msg);
            nng_aio_set_msg(slot->aio, NULL);
        }
        if (slot->pipe)
            slot_unlink(slot);
        slot_receive(slot);
        break;
    default: assert(!"a request that waits for its reply has no aio under way");
    }
}

/* ---- pipes, on the loop ---------------------------------------------------- */

/* With pipes_lock. */
static void no_stranger(struct downlink *d, struct pipe *p)
{
    d->strange -= p->strange;
    p->strange = false;
}

static void pipe_remove(struct downlink *d, struct pipe *p)
{
    struct pipe **at;

    pthread_mutex_lock(&d->pipes_lock);
    for (at = &d->pipes[p->id % PIPE_BUCKETS]; *at != p; at = &(*at)->next)
        ;
    *at = p->next;
    d->lines--;
    no_stranger(d, p);
    pthread_mutex_unlock(&d->pipes_lock);
}

static void undrop(struct downlink *d, struct pipe *p)
{
    for (struct pipe **at = &d->dropped; *at; at = &(*at)->next_dropped)
        if (*at == p) {
            *at = p->next_dropped;
            if (d->dropped_tail == &p->next_dropped)
                d->dropped_tail = at;
            return;
        }
}

static void on_drop_timer(uv_timer_t *timer)
{
    struct downlink *d = container_of(timer, struct downlink, drop_timer);
    uint64_t now = uv_now(timer->loop);

    while (d->dropped && d->dropped->drop_ms <= now) {
        nng_pipe handle = {.id = d->dropped->id};

        undrop(d, d->dropped);
        (void)nng_pipe_close(handle); /* fails only if it is closed already */
    }
    if (d->dropped)
        (void)uv_timer_start(timer, on_drop_timer, d->dropped->drop_ms - now, 0);
}

static void on_pipe_gone(struct inbox_item *item)
{
    struct pipe *p = container_of(item, struct pipe, gone);
    struct downlink *d = p->d;
    struct slot *slot;
    uint32_t id = p->id;

    pipe_remove(d, p);
    undrop(d, p);
    while ((slot = p->open) != NULL) {
        slot_unlink(slot);
        if (!d->closing && slot->phase == SLOT_ASKED)
            slot_receive(slot); /* nng forgets the request that it held */
    }
    free(p);
    if (!d->closing && nng_mend_was_too_large(id))
        d->events.on_flood(d->events.ctx, id);
    if (!d->closing) /* the event before may have closed it */
        d->events.on_pipe_gone(d->events.ctx, id);
}

void downlink_prove(struct downlink *d, uint64_t pipe)
{
    struct pipe *p = pipe_find(d, (uint32_t)pipe);

    if (!p)
        return;
    p->proven = true;
    unproven_done(p->id);
    pthread_mutex_lock(&d->pipes_lock);
    no_stranger(d, p);
    pthread_mutex_unlock(&d->pipes_lock);
}

/* Not at once: nng says that a reply is sent when it is on its way to TLS, and the close of
 * a pipe throws away what has not left. The site is to hear why. */
void downlink_drop_pipe(struct downlink *d, uint64_t pipe)
{
    struct pipe *p = pipe_find(d, (uint32_t)pipe);
    struct slot *slot, *next;

    if (!p || p->dropping)
        return;
    p->dropping = true;
    pthread_mutex_lock(&d->pipes_lock);
    no_stranger(d, p);
    pthread_mutex_unlock(&d->pipes_lock);
    p->drop_ms = uv_now(d->drop_timer.loop) + DOWNLINK_GRACE_MS;
    *d->dropped_tail = p;
    d->dropped_tail = &p->next_dropped;
    for (slot = p->open; slot; slot = next) {
        next = slot->next;
        if (slot->phase != SLOT_ASKED)
            continue; /* what was given may leave yet */
        slot_unlink(slot);
        slot_receive(slot);
    }
    if (!uv_is_active((uv_handle_t *)&d->drop_timer))
        (void)uv_timer_start(&d->drop_timer, on_drop_timer, DOWNLINK_GRACE_MS, 0);
}

struct stranger {
    uint64_t number;
    uint32_t id;
    bool late;
};

static int by_number(const void *x, const void *y)
{
    const struct stranger *a = x, *b = y;

    return a->number < b->number ? -1 : a->number > b->number;
}

/* Ends lines that have not proven themselves: those whose time is over, and the oldest beyond the bound. */
static void end_strangers(struct downlink *d)
{
    uint64_t now = uv_now(d->stranger_timer.loop);
    struct stranger *all = NULL;
    uint32_t n = 0;

    pthread_mutex_lock(&d->pipes_lock);
    if (d->lines > 0)
        all = calloc(d->lines, sizeof *all); /* none: they are looked at the next time */
    for (uint32_t i = 0; all != NULL && i < PIPE_BUCKETS; i++) {
        for (struct pipe *p = d->pipes[i]; p; p = p->next) {
            if (p->proven || p->dropping)
                continue;
            if (p->seen_ms == 0)
                p->seen_ms = now;
            all[n++] = (struct stranger){p->number, p->id, now - p->seen_ms >= d->stranger_ms};
        }
    }
    pthread_mutex_unlock(&d->pipes_lock);
    if (n > d->strangers_max)
        qsort(all, n, sizeof *all, by_number);
    for (uint32_t i = 0; i < n; i++) {
        if (!all[i].late && n - i <= d->strangers_max)
            continue;
        if (d->events.on_stranger)
            d->events.on_stranger(d->events.ctx, all[i].id);
        downlink_drop_pipe(d, all[i].id);
    }
    free(all);
}

/* Lines whose oldest reply waits for longer than a site would for it. */
static void end_stuck(struct downlink *d)
{
    uint64_t now = uv_now(d->stranger_timer.loop);

    for (uint32_t i = 0; i < d->slots_count; i++) {
        struct slot *slot = d->slots[i];

        if (slot->phase == SLOT_REPLYING && slot->pipe && now - slot->since_ms >= d->reply_ms)
            end_unread(d, slot->pipe);
    }
}

static void on_stranger_timer(uv_timer_t *timer)
{
    struct downlink *d = container_of(timer, struct downlink, stranger_timer);

    end_strangers(d);
    end_stuck(d);
    spare_slots(d);
}

static void on_crowded(struct inbox_item *item)
{
    struct downlink *d = container_of(item, struct downlink, crowded);

    pthread_mutex_lock(&d->pipes_lock);
    d->crowded_put = false;
    pthread_mutex_unlock(&d->pipes_lock);
    if (!d->closing)
        end_strangers(d);
}

static void on_greeting_timer(uv_timer_t *timer)
{
    struct downlink *d = container_of(timer, struct downlink, greeting_timer);
    uint32_t n = greetings_end_late(d->greeting_ms);

    if (n > 0 && d->events.on_silent)
        d->events.on_silent(d->events.ctx, n);
}

void downlink_peer(struct downlink *d, uint64_t pipe, char *out, size_t n)
{
    nng_pipe handle = {.id = (uint32_t)pipe};
    char address[INET6_ADDRSTRLEN];
    nng_sockaddr sa;

    (void)d;
    out[0] = '\0';
    if (nng_pipe_get_addr(handle, NNG_OPT_REMADDR, &sa) != 0)
        return;
    if (sa.s_family == NNG_AF_INET) {
        struct in_addr in = {.s_addr = sa.s_in.sa_addr};

        if (inet_ntop(AF_INET, &in, address, sizeof(address)))
            (void)snprintf(out, n, "%s:%u", address, (unsigned)ntohs(sa.s_in.sa_port));
    } else if (sa.s_family == NNG_AF_INET6) {
        if (inet_ntop(AF_INET6, sa.s_in6.sa_addr, address, sizeof(address)))
            (void)snprintf(out, n, "[%s]:%u", address, (unsigned)ntohs(sa.s_in6.sa_port));
    }
}

/* ---- the downlink ----------------------------------------------------------- */

uint16_t downlink_port(const struct downlink *d)
{
    return d->port;
}

uint32_t downlink_lines(const struct downlink *d)
{
    struct downlink *open =
        (struct downlink *)(uintptr_t)d; /* the lock is not part of what is read */
    uint32_t lines;

    pthread_mutex_lock(&open->pipes_lock);
    lines = open->lines;
    pthread_mutex_unlock(&open->pipes_lock);
    return lines;
}

uint32_t downlink_requests(const struct downlink *d)
{
    return d->slots_count - d->slots_receiving;
}

enum perche_rc downlink_reply(struct downlink *d, uint64_t request, struct perche_bytes body,
                              struct perche_err *err)
{
    struct slot *slot = slot_of(d, request);
    nng_msg *msg;

    if (!slot)
        return perche_err_set(err, PERCHE_NOT_FOUND, "the request has ended");
    if (nng_msg_alloc(&msg, 0) != 0)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for a reply");
    if (nng_msg_append(msg, body.p, body.n) != 0) {
        nng_msg_free(msg);
        return perche_err_set(err, PERCHE_NOMEM, "no memory for a reply");
    }
    slot->phase = SLOT_REPLYING;
    slot->bytes = body.n;
    slot->since_ms = uv_now(d->drop_timer.loop);
    nng_aio_set_msg(slot->aio, msg);
    nng_ctx_send(slot->ctx, slot->aio);
    if (unread_of(slot->pipe).bytes > DOWNLINK_UNREAD_BYTES_MAX)
        end_unread(d, slot->pipe);
    return PERCHE_OK;
}

static void downlink_free(struct downlink *d)
{
    for (uint32_t i = 0; i < d->slots_count; i++)
        free(d->slots[i]);
    free(d->slots);
    if (d->tls)
        nng_tls_config_free(d->tls);
    pthread_mutex_destroy(&d->pipes_lock);
    free(d);
}

static void handle_gone(struct downlink *d)
{
    void *ctx = d->closed_ctx;
    void (*on_closed)(void *ctx) = d->on_closed;

    if (--d->handles_open > 0)
        return;
    downlink_free(d);
    on_closed(ctx);
}

static void on_inbox_closed(struct inbox *inbox)
{
    handle_gone(container_of(inbox, struct downlink, inbox));
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_gone(container_of((uv_timer_t *)handle, struct downlink, drop_timer));
}

static void on_stranger_timer_closed(uv_handle_t *handle)
{
    handle_gone(container_of((uv_timer_t *)handle, struct downlink, stranger_timer));
}

static void on_greeting_timer_closed(uv_handle_t *handle)
{
    handle_gone(container_of((uv_timer_t *)handle, struct downlink, greeting_timer));
}

void downlink_close(struct downlink *d, void *ctx, void (*on_closed)(void *ctx))
{
    assert(!d->closing);
    d->closing = true;
    d->closed_ctx = ctx;
    d->on_closed = on_closed;
    for (uint32_t i = 0; i < d->slots_count; i++) {
        struct slot *slot = d->slots[i];
        nng_msg *msg;
        bool ok;

        nng_aio_stop(slot->aio); /* waits for a callback under way */
        msg = nng_aio_get_msg(slot->aio);
        ok = nng_aio_result(slot->aio) == 0;
        if (msg && ((slot->phase == SLOT_RECEIVING && ok) || (slot->phase == SLOT_REPLYING && !ok)))
            nng_msg_free(msg); /* not taken, or not sent: unacknowledged, so nothing is lost */
        nng_aio_free(slot->aio);
    }
    (void)nng_close(d->sock);
    d->handles_open = 4;
    inbox_close(&d->inbox, on_inbox_closed); /* takes the end of each pipe */
    uv_close((uv_handle_t *)&d->drop_timer, on_timer_closed);
    uv_close((uv_handle_t *)&d->stranger_timer, on_stranger_timer_closed);
    uv_close((uv_handle_t *)&d->greeting_timer, on_greeting_timer_closed);
}

static int tls_of(const struct downlink_config *config, nng_tls_config **out)
{
    nng_tls_config *tls = NULL;
    int rv = nng_tls_config_alloc(&tls, NNG_TLS_MODE_SERVER);

    if (rv != 0)
        return rv;
    rv = nng_tls_config_own_cert(tls, config->certificate_pem, config->key_pem, NULL);
    if (rv == 0)
        *out = tls;
    else
        nng_tls_config_free(tls);
    return rv;
}

static enum perche_rc cannot_listen(const char *url, int rv, struct perche_err *err)
{
    const char *then = "";

    if (rv == NNG_EADDRINUSE)
        then = ": another program has this port (ss -ltnp shows which); end it, or name another port as [hub] listen";
    else if (rv == NNG_EADDRINVAL)
        then = ": this machine has no such address (ip address shows those that it has); as [hub] listen name one of them, or 0.0.0.0 for all";
    else if (rv == NNG_EPERM)
        then = ": a port below 1024 is not for everybody; name a higher one as [hub] listen";
    return perche_err_set(err, PERCHE_NET, "cannot listen at %s: %s%s", url, nng_strerror(rv), then);
}

enum perche_rc downlink_try(const char *url, struct perche_err *err)
{
    nng_stream_listener *listener = NULL;
    enum perche_rc rc = uplink_check_url(url, true, err);
    int rv;

    if (rc != PERCHE_OK)
        return rc;
    rv = nng_stream_listener_alloc(&listener, strncmp(url, "tls+", 4) == 0 ? url + 4 : url);
    if (rv == 0)
        rv = nng_stream_listener_listen(listener);
    nng_stream_listener_free(listener); /* NULL is fine */
    return rv == 0 ? PERCHE_OK : cannot_listen(url, rv, err);
}

/* From the listener, or from its URL, where nng writes the port that it got. */
static uint16_t port_of(nng_listener listener, const char *url)
{
    char *bound = NULL;
    int port = 0;
    const char *colon;

    if (nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0 && port > 0)
        return (uint16_t)port;
    if (nng_listener_get_string(listener, NNG_OPT_URL, &bound) == 0)
        url = bound;
    colon = strrchr(url, ':');
    port = colon ? atoi(colon + 1) : 0;
    if (bound)
        nng_strfree(bound);
    return (uint16_t)port;
}

/* Of @wanted descriptors as many as strangers may have: those who belong here need some too. */
static uint32_t a_quarter_at_most(uint32_t wanted)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 4 < wanted)
        wanted = (uint32_t)(files.rlim_cur / 4);
    return wanted > 0 ? wanted : 1;
}

static void on_failed_closed(void *ctx)
{
    (void)ctx; /* nobody waits for it */
}

enum perche_rc downlink_new(uv_loop_t *loop, const struct downlink_config *config,
                            const struct downlink_events *events, struct downlink **out,
                            struct perche_err *err)
{
    struct downlink *d;
    enum perche_rc rc = uplink_check_url(config->url, true, err);
    int rv;

    if (rc != PERCHE_OK)
        return rc;
    d = calloc(1, sizeof(*d));
    if (!d)
        return perche_err_set(err, PERCHE_NOMEM, "no memory to listen");
    pthread_mutex_init(&d->pipes_lock, NULL);
    d->events = *events;
    d->bytes_max_unproven =
        config->bytes_max_unproven ? config->bytes_max_unproven : PERCHE_MESSAGE_BYTES_UNPROVEN;
    d->slots_max = config->contexts_max ? config->contexts_max : DOWNLINK_CONTEXTS_MAX;
    d->slots = calloc(d->slots_max, sizeof(struct slot *));
    if (!d->slots) {
        downlink_free(d);
        return perche_err_set(err, PERCHE_NOMEM, "no memory to listen");
    }
    if (strncmp(config->url, "tls+", 4) == 0) {
        rv = config->certificate_pem && config->key_pem ? tls_of(config, &d->tls) : NNG_ENOARG;
        if (rv != 0) {
            downlink_free(d);
            return perche_err_set(err, PERCHE_CONFIG, "the hub's certificate cannot be used: %s",
                                  nng_strerror(rv));
        }
    }
    rv = nng_rep0_open(&d->sock);
    if (rv != 0) {
        downlink_free(d);
        return perche_err_set(err, PERCHE_NET, "no socket: %s", nng_strerror(rv));
    }
    rv = nng_socket_set_size(d->sock, NNG_OPT_RECVMAXSZ,
                             config->bytes_max ? config->bytes_max : PERCHE_MESSAGE_BYTES_MAX);
    if (rv == 0)
        rv = nng_pipe_notify(d->sock, NNG_PIPE_EV_ADD_PRE, on_pipe, d);
    if (rv == 0)
        rv = nng_pipe_notify(d->sock, NNG_PIPE_EV_REM_POST, on_pipe, d);
    if (rv == 0)
        rv = nng_listener_create(&d->listener, d->sock, config->url);
    if (rv == 0 && d->tls)
        rv = nng_listener_set_ptr(d->listener, NNG_OPT_TLS_CONFIG, d->tls);
    if (rv != 0)
        rc = perche_err_set(err, PERCHE_CONFIG, "cannot listen at %s: %s", config->url,
                            nng_strerror(rv));
    if (rc == PERCHE_OK)
        rc = inbox_init(&d->inbox, loop, err);
    if (rc != PERCHE_OK) {
        (void)nng_close(d->sock);
        downlink_free(d);
        return rc;
    }
    (void)uv_timer_init(loop, &d->drop_timer); /* always 0, as the four below */
    (void)uv_timer_init(loop, &d->stranger_timer);
    (void)uv_timer_init(loop, &d->greeting_timer);
    d->stranger_ms = config->stranger_ms ? config->stranger_ms : DOWNLINK_STRANGER_MS;
    d->strangers_max = a_quarter_at_most(config->strangers_max ? config->strangers_max : DOWNLINK_STRANGERS_MAX);
    d->reply_ms = config->reply_ms ? config->reply_ms : DOWNLINK_REPLY_MS;
    d->greeting_ms = config->greeting_ms ? config->greeting_ms : DOWNLINK_GREETING_MS;
    d->crowded.on_taken = on_crowded;
    greetings_bound(a_quarter_at_most(config->greetings_max ? config->greetings_max : DOWNLINK_GREETINGS_MAX));
    (void)uv_timer_start(&d->stranger_timer, on_stranger_timer, d->stranger_ms / 6 + 1, d->stranger_ms / 6 + 1);
    (void)uv_timer_start(&d->greeting_timer, on_greeting_timer, d->greeting_ms / 6 + 1, d->greeting_ms / 6 + 1);
    d->dropped_tail = &d->dropped;
    (void)nng_listener_set_bool(d->listener, NNG_OPT_TCP_NODELAY, true);   /* else only slower */
    (void)nng_listener_set_bool(d->listener, NNG_OPT_TCP_KEEPALIVE, true); /* else noticed later */
    rv = nng_listener_start(d->listener, 0);
    if (rv != 0) {
        downlink_close(d, NULL, on_failed_closed);
        return cannot_listen(config->url, rv, err);
    }
    d->port = port_of(d->listener, config->url);
    slots_grow(d, DOWNLINK_CONTEXTS_START);
    *out = d;
    return PERCHE_OK;
}
