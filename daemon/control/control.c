/* Happy path: bind, listen; each connection is a client (client.c), each line of
 * it a request (request.c) that the node answers later.
 * On close: the listener and the watch's timer, then the clients, each of which
 * forgets its request; what the node still answers frees itself. The socket file
 * goes first, so that a client sees "not running" and not a connection that nobody
 * takes. Clients lie in our memory, so it goes, and on_closed comes, with the last
 * handle of all. */
#include "control/internal.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "net/container_of.h"

#define BACKLOG 64

static void control_free(struct control *c)
{
    free(c->socket);
    free(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status != 0) /* libuv has dropped what it had no descriptor for */
        log_warn("control.accept", "err=\"%s\"", uv_strerror(status));
    else
        client_accept(container_of((uv_pipe_t *)listener, struct control, listener));
}

/* libuv writes to a client that has gone without MSG_NOSIGNAL: that must not end the daemon. A
 * handler that somebody has set stays. */
static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN); /* fails for a wrong number alone */
}

static void find_group(struct control *c, const char *name)
{
    struct group entry, *found = NULL;
    char text[16384];

    if (getgrnam_r(name, &entry, text, sizeof(text), &found) == 0 && found) {
        c->group = found->gr_gid;
        c->group_known = true;
    } else {
        log_notice("control.group", "group=%s known=no", name);
    }
}

enum perche_rc control_new(uv_loop_t *loop, struct node *node, const struct control_config *config,
                           struct control **out, struct perche_err *err)
{
    struct control *c = calloc(1, sizeof(*c));
    enum perche_rc rc;
    int fd;

    if (!c)
        return perche_err_set(err, PERCHE_NOMEM, "%s", perche_rc_text(PERCHE_NOMEM));
    c->loop = loop;
    c->node = node;
    c->socket = strdup(config->socket);
    if (!c->socket) {
        control_free(c);
        return perche_err_set(err, PERCHE_NOMEM, "%s", perche_rc_text(PERCHE_NOMEM));
    }
    ignore_sigpipe();
    find_group(c, config->group ? config->group : "perche");
    rc = socket_bind(c, &fd, err);
    if (rc != PERCHE_OK) {
        control_free(c);
        return rc;
    }
    /* listen() is the last that can fail, and no handle exists before it has not */
    if (listen(fd, BACKLOG) != 0) {
        rc = perche_err_set(err, perche_rc_of_errno(errno), "%s: cannot listen: %s", c->socket,
                            strerror(errno));
        socket_remove(c);
        close(fd);
        control_free(c);
        return rc;
    }
    (void)uv_pipe_init(loop, &c->listener, 0); /* these two cannot fail */
    (void)uv_timer_init(loop, &c->watch);
    c->handles = 2;
    if (uv_pipe_open(&c->listener, fd) != 0 ||
        uv_listen((uv_stream_t *)&c->listener, BACKLOG, on_connection) != 0) {
        assert(!"a listening socket of our own is refused"); /* fcntl and epoll of a fresh one */
    }
    log_info("control.listening", "socket=%s", c->socket);
    *out = c;
    return PERCHE_OK;
}

void control_handle_closed(struct control *c)
{
    control_closed_cb then = c->on_closed;
    void *ctx = c->closed_ctx;

    if (--c->handles > 0)
        return;
    control_free(c);
    if (then)
        then(ctx);
}

static void on_listener_closed(uv_handle_t *handle)
{
    control_handle_closed(container_of((uv_pipe_t *)handle, struct control, listener));
}

static void on_watch_closed(uv_handle_t *handle)
{
    control_handle_closed(container_of((uv_timer_t *)handle, struct control, watch));
}

void control_close(struct control *c, void *ctx, control_closed_cb then)
{
    assert(!c->closing);
    c->closing = true;
    c->on_closed = then;
    c->closed_ctx = ctx;
    socket_remove(c);
    watch_forget(c);
    for (unsigned i = 0; i < CONTROL_SLOTS; i++)
        if (c->clients[i].used)
            client_close(&c->clients[i]);
    c->node = NULL;
    uv_close((uv_handle_t *)&c->listener, on_listener_closed);
    uv_close((uv_handle_t *)&c->watch, on_watch_closed);
}
