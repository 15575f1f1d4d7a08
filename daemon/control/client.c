/* One connection of the control socket.
 *
 * Happy path: a line comes in whole; request.c starts what it asks; the answer is
 * sent; when all of it has gone, the next line is taken. A watch gets lines until
 * one side hangs up.
 * Failures: a line that is too long, late or cut short is refused and the
 * connection ends; a client that goes away is closed at once and its request
 * forgotten; one that does not read its answer is dropped after CONTROL_SEND_MS.
 * On close: pipe and timer are closed, writes under way end with ECANCELED before
 * that, and the slot is free again with the last handle. */
#include "control/internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "net/container_of.h"
#include "replica/json.h"

struct sending {
    uv_write_t write;
    struct client *client;
    size_t n;
    char text[];
};

static void take_line(struct client *client);

/* Waits for an answer, or for it to be read: then no further line is taken. */
static bool is_busy(const struct client *client)
{
    return client->request || client->watched || client->unsent > 0;
}

/* ------------------------------------------------------------------ closing */

static void on_handle_closed(struct client *client)
{
    struct control *c = client->control;

    if (--client->handles > 0)
        return;
    free(client->in);
    free(client->watched);
    memset(client, 0, sizeof(*client));
    if (c->waiting && !c->closing)
        client_accept(c);
    control_handle_closed(c);
}

static void on_pipe_closed(uv_handle_t *handle)
{
    on_handle_closed(container_of((uv_pipe_t *)handle, struct client, pipe));
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(container_of((uv_timer_t *)handle, struct client, timer));
}

void client_close(struct client *client)
{
    if (client->closing)
        return;
    client->closing = true;
    if (client->request)
        request_forget(client->request);
    client->request = NULL;
    client->control->clients_count--;
    uv_close((uv_handle_t *)&client->pipe, on_pipe_closed);
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}

/* -------------------------------------------------------------------- times */

static void on_timer(uv_timer_t *timer)
{
    struct client *client = container_of(timer, struct client, timer);

    if (client->request) {
        request_forget(client->request);
        client->request = NULL;
        client_refuse(client, PERCHE_TIMEOUT, "the node did not answer in time");
    } else if (client->unsent > 0 || client->ended || client->in_n == 0) {
        client_close(client); /* it does not read, or has nothing to ask */
    } else {
        client->last = true;
        client_refuse(client, PERCHE_TIMEOUT, "the request came too slowly");
    }
}

static void arm(struct client *client, uint64_t ms)
{
    (void)uv_timer_start(&client->timer, on_timer, ms, 0); /* fails without a callback alone */
}

void client_limit(struct client *client, uint64_t ms)
{
    arm(client, ms);
}

/* ------------------------------------------------------------------ sending */

static void on_sent(uv_write_t *write, int status)
{
    struct sending *s = container_of(write, struct sending, write);
    struct client *client = s->client;

    client->unsent -= s->n;
    client->control->unsent -= s->n;
    free(s);
    if (client->closing)
        return;
    if (status != 0) {
        client_close(client); /* it has gone */
        return;
    }
    if (client->unsent > 0)
        return;
    if (client->last) {
        client_close(client);
    } else if (client->watched) {
        (void)uv_timer_stop(&client->timer);
    } else if (!client->request) {
        arm(client, CONTROL_IDLE_MS);
        take_line(client);
    }
}

/* Sends three parts as one line. @json must be one line already, or becomes one: a line break
 * in a JSON document can only stand between its parts. */
static void send_line(struct client *client, const char *head, const char *json, const char *tail)
{
    size_t head_n = strlen(head), json_n = strlen(json), tail_n = strlen(tail);
    size_t n = head_n + json_n + tail_n + 1;
    struct sending *s;
    uv_buf_t buf;

    if (client->closing)
        return;
    s = malloc(sizeof(*s) + n);
    if (!s) {
        log_error("control.memory", "bytes=%zu", n);
        client_close(client);
        return;
    }
    s->client = client;
    s->n = n;
    memcpy(s->text, head, head_n);
    memcpy(s->text + head_n, json, json_n);
    memcpy(s->text + head_n + json_n, tail, tail_n);
    for (size_t i = 0; i + 1 < n; i++)
        if (s->text[i] == '\n' || s->text[i] == '\r')
            s->text[i] = ' ';
    s->text[n - 1] = '\n';
    client->unsent += n;
    client->control->unsent += n;
    arm(client, CONTROL_SEND_MS);
    buf = uv_buf_init(s->text, (unsigned)n); /* below PERCHE_CONTROL_ANSWER_MAX */
    if (uv_write(&s->write, (uv_stream_t *)&client->pipe, &buf, 1, on_sent) != 0) {
        client->unsent -= n;
        client->control->unsent -= n;
        free(s);
        client_close(client);
    }
}

static bool fits(struct client *client, size_t n)
{
    char text[120];

    if (n + 32 > PERCHE_CONTROL_ANSWER_MAX) { /* 32: what stands around it */
        (void)snprintf(text, sizeof(text),
                       "the answer has %zu bytes, at most %u can be given; "
                       "ask for less",
                       n, PERCHE_CONTROL_ANSWER_MAX);
        client_refuse(client, PERCHE_TOO_LARGE, text);
        return false;
    }
    if (client->control->unsent + n > CONTROL_UNSENT_MAX) {
        client_refuse(client, PERCHE_BUSY, "too many answers wait to be read; ask again later");
        return false;
    }
    return true;
}

void client_result(struct client *client, const char *json)
{
    if (fits(client, strlen(json)))
        send_line(client, "{\"ok\":true,\"result\":", json, "}");
}

void client_event(struct client *client, const char *json)
{
    if (fits(client, strlen(json)))
        send_line(client, "{\"event\":", json, "}");
}

/* The text may hold what a program wrote, or a path: it need not be UTF-8. */
void client_refuse(struct client *client, enum perche_rc rc, const char *text)
{
    struct json line = {0};

    out_open(&line, '{');
    out_key(&line, "ok");
    out_bool(&line, false);
    out_key(&line, "code");
    out_text(&line, perche_rc_name(rc));
    out_key(&line, "text");
    out_text(&line, text);
    out_close(&line, '}');
    if (line.failed)
        client_close(client);
    else
        send_line(client, "", line.p, "");
    out_free(&line);
}

/* ------------------------------------------------------------------ reading */

/* Starts the next request when one is there and the one before is done. */
static void take_line(struct client *client)
{
    char *end;
    size_t n;

    if (client->closing || client->last || is_busy(client))
        return;
    end = client->in_n > 0 ? memchr(client->in, '\n', client->in_n) : NULL;
    if (end) {
        char *line = client->in;

        n = (size_t)(end - line);
        (void)uv_timer_stop(&client->timer); /* request_start() sets it anew */
        request_start(client, line, n);
        if (client->closing)
            return;
        client->in_n -= n + 1;
        memmove(client->in, client->in + n + 1, client->in_n);
    } else if (client->in_n >= PERCHE_CONTROL_REQUEST_MAX) {
        client->last = true;
        client_refuse(client, PERCHE_TOO_LARGE, "the request is longer than one line may be");
    } else if (client->ended && client->in_n > 0) {
        client->last = true;
        client_refuse(client, PERCHE_USAGE, "the request ends in the middle of its line");
    } else if (client->ended) {
        client_close(client);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *client = container_of((uv_pipe_t *)handle, struct client, pipe);

    (void)suggested; /* 64 KiB for a line that mostly has fifty bytes */
    if (client->in_n == client->in_cap && client->in_cap < PERCHE_CONTROL_REQUEST_MAX) {
        size_t cap = client->in_cap ? client->in_cap * 2 : 1024;
        char *p = realloc(client->in, cap);

        if (p) {
            client->in = p;
            client->in_cap = cap;
        }
    }
    *buf = uv_buf_init(client->in + client->in_n, (unsigned)(client->in_cap - client->in_n));
}

/* The client sends no more. Has it gone, or does it wait for the answer (as `nc -N` does)?
 * libuv says the same of both; the kernel does not. */
static void on_end(struct client *client)
{
    struct pollfd p = {.events = 0};
    uv_os_fd_t fd;

    (void)uv_read_stop((uv_stream_t *)&client->pipe); /* cannot fail */
    if (uv_fileno((uv_handle_t *)&client->pipe, &fd) == 0) {
        p.fd = fd;
        if (poll(&p, 1, 0) == 0) { /* no POLLHUP: its other direction is open */
            client->ended = true;
            take_line(client);
            return;
        }
    }
    client_close(client);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = container_of((uv_pipe_t *)stream, struct client, pipe);
    bool first = client->in_n == 0;

    (void)buf; /* lies in client->in */
    if (n == UV_EOF) {
        on_end(client);
        return;
    }
    if (n < 0) { /* ENOBUFS: a client that sends without waiting for any answer, or no memory */
        client_close(client);
        return;
    }
    client->in_n += (size_t)n;
    if (is_busy(client))
        return;
    if (first)
        arm(client, CONTROL_LINE_MS);
    take_line(client);
}

/* ---------------------------------------------------------------- accepting */

static struct client *free_slot(struct control *c)
{
    for (unsigned i = 0; i < CONTROL_SLOTS; i++)
        if (!c->clients[i].used)
            return &c->clients[i];
    return NULL;
}

void client_accept(struct control *c)
{
    struct client *client = free_slot(c);
    uv_os_fd_t fd;

    c->waiting = !client;
    if (!client)
        return; /* libuv takes nobody else until uv_accept(), which the next free slot brings */
    client->used = true;
    client->control = c;
    (void)uv_timer_init(c->loop, &client->timer); /* these two cannot fail */
    (void)uv_pipe_init(c->loop, &client->pipe, 0);
    client->handles = 2;
    c->handles++;
    c->clients_count++;

    if (uv_accept((uv_stream_t *)&c->listener, (uv_stream_t *)&client->pipe) != 0 ||
        uv_fileno((uv_handle_t *)&client->pipe, &fd) != 0 || !peer_read(fd, &client->peer)) {
        client_close(client);
        return;
    }
    if (!peer_allowed(c, fd, &client->peer)) {
        log_warn("control.refused", "uid=%u gid=%u pid=%d", (unsigned)client->peer.uid,
                 (unsigned)client->peer.gid, (int)client->peer.pid);
        client->last = true;
        client_refuse(client, PERCHE_AUTH,
                      "this user may not talk to perched: it is neither root nor in its group");
        return;
    }
    if (c->clients_count > CONTROL_CLIENTS_MAX) {
        client->last = true;
        client_refuse(client, PERCHE_BUSY, "too many programs talk to perched; try again");
        return;
    }
    if (uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read) != 0) {
        client_close(client);
        return;
    }
    arm(client, CONTROL_LINE_MS);
}
