/* Happy path: connect; send one line; read lines until one says "ok".
 * Failures: every way in which nobody answers has its own sentence, since a
 * person reads it and has to do something. A daemon that refuses may answer and
 * hang up before it has read the request, so a send that fails is no error yet:
 * the answer, or the end of the line, is found by the next read. */

#include "perche/control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

/* A daemon that does not take a connection or a line for this long is stuck. */
#define SEND_S_MAX 10

struct perche_control {
    int fd;
    char *in; /* what was received: in[0 .. in_n) */
    size_t in_n, in_cap;
    size_t seen;   /* in[0 .. seen) holds no newline */
    size_t line_n; /* the line handed out last, to be dropped at the next read */
};

/* perche_err_set() lives in the wire library, which another program that
 * includes this file need not link. */
static enum perche_rc fail(struct perche_err *err, enum perche_rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static enum perche_rc fail(struct perche_err *err, enum perche_rc rc, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        err->rc = rc;
        va_start(ap, fmt);
        (void)vsnprintf(err->text, sizeof(err->text), fmt, ap); /* cut if it must be */
        va_end(ap);
    }
    return rc;
}

/* "too_large" is PERCHE_TOO_LARGE. A code of a newer daemon: refused. */
static enum perche_rc rc_of_name(const char *name)
{
    static const struct {
        const char *name;
        enum perche_rc rc;
    } names[] = {
#define X(n, value, text) {#n, PERCHE_##n},
        PERCHE_RC_MAP(X)
#undef X
    };

    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcasecmp(names[i].name, name) && names[i].rc != PERCHE_OK)
            return names[i].rc;
    return PERCHE_REFUSED;
}

static uint64_t mono_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ------------------------------------------------------------- connecting */

static enum perche_rc not_connected(const char *path, int why, struct perche_err *err)
{
    switch (why) {
    case ENOENT:
    case ENOTDIR:
        return fail(err, PERCHE_NET,
                    "perched is not running on this machine: there is no socket %s. Start it "
                    "with \"systemctl start perched\", or name another socket with --socket.",
                    path);
    case ECONNREFUSED:
        return fail(err, PERCHE_NET,
                    "perched is not running: nobody answers at %s. Start it with \"systemctl "
                    "start perched\"; \"journalctl -u perched\" says why it ended.",
                    path);
    case EACCES:
    case EPERM:
        return fail(err, PERCHE_AUTH,
                    "this user may not talk to perched at %s. Join the group perche (\"sudo "
                    "adduser USER perche\", then log in again), or use sudo.",
                    path);
    case EAGAIN:
    case ETIMEDOUT:
        return fail(err, PERCHE_NET,
                    "perched at %s takes no connection: it is stuck or overloaded. \"systemctl "
                    "status perched\" says more.",
                    path);
    case EPROTOTYPE:
    case ENOTSOCK: return fail(err, PERCHE_NET, "%s is not the socket of a perched.", path);
    default:
        return fail(err, PERCHE_NET, "no connection to perched at %s: %s.", path, strerror(why));
    }
}

enum perche_rc perche_control_connect(const char *path, struct perche_control **out,
                                      struct perche_err *err)
{
    const struct timeval limit = {.tv_sec = SEND_S_MAX};
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct perche_control *c;
    int why;

    if (strlen(path) >= sizeof(to.sun_path))
        return fail(err, PERCHE_NET, "the path of the socket is longer than %zu bytes: %s.",
                    sizeof(to.sun_path) - 1, path);
    strcpy(to.sun_path, path);

    c = calloc(1, sizeof(*c));
    if (!c)
        return fail(err, PERCHE_NOMEM, "out of memory.");
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        why = errno;
        goto failed;
    }
    /* Holds for connect() as well: a full backlog ends in EAGAIN, not in waiting for ever. */
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    while (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        if (errno == EINTR)
            continue;
        why = errno;
        goto failed;
    }
    *out = c;
    return PERCHE_OK;

failed:
    perche_control_free(c);
    return not_connected(path, why, err);
}

void perche_control_free(struct perche_control *c)
{
    if (!c)
        return;
    if (c->fd >= 0)
        close(c->fd);
    free(c->in);
    free(c);
}

int perche_control_fd(const struct perche_control *c)
{
    return c->fd;
}

/* ----------------------------------------------------------------- asking */

static enum perche_rc send_all(struct perche_control *c, const char *p, size_t n,
                               struct perche_err *err)
{
    while (n > 0) {
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);

        if (sent >= 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return PERCHE_OK; /* it may have answered before it hung up: the read finds out */
        } else if (errno == EAGAIN) {
            return fail(err, PERCHE_TIMEOUT, "perched does not read what it is asked.");
        } else if (errno != EINTR) {
            return fail(err, PERCHE_NET, "the line to perched failed: %s.", strerror(errno));
        }
    }
    return PERCHE_OK;
}

enum perche_rc perche_control_ask(struct perche_control *c, const char *command,
                                  const struct json_t *args, struct perche_err *err)
{
    json_t *request = json_pack("{s:s, s:s}", "command", command, "client", PERCHE_VERSION);
    json_t *copy = args ? json_deep_copy(args) : json_object();
    char *line = NULL;
    enum perche_rc rc;
    size_t n;

    /* takes the copy also when it fails */
    if (json_object_set_new(request, "args", copy) != 0) {
        rc = fail(err, PERCHE_NOMEM, "out of memory.");
        goto out;
    }
    line = json_dumps(request, JSON_COMPACT);
    if (!line) {
        rc = fail(err, PERCHE_NOMEM, "out of memory.");
        goto out;
    }
    n = strlen(line);
    if (n + 1 > PERCHE_CONTROL_REQUEST_MAX) {
        rc = fail(err, PERCHE_TOO_LARGE, "the request has %zu bytes; at most %u can be asked.",
                  n + 1, PERCHE_CONTROL_REQUEST_MAX);
        goto out;
    }
    line[n] = '\n'; /* in place of the end: the length is known */
    rc = send_all(c, line, n + 1, err);
out:
    free(line);
    json_decref(request);
    return rc;
}

/* ---------------------------------------------------------------- reading */

static bool make_room(struct perche_control *c)
{
    size_t cap = c->in_cap ? c->in_cap * 2 : 4096;
    char *p;

    if (c->in_n < c->in_cap)
        return true;
    p = realloc(c->in, cap);
    if (!p)
        return false;
    c->in = p;
    c->in_cap = cap;
    return true;
}

/* Waits until something can be read. */
static enum perche_rc wait_readable(struct perche_control *c, int timeout_ms, uint64_t until,
                                    struct perche_err *err)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    for (;;) {
        int wait = -1;
        int n;

        if (timeout_ms >= 0) {
            uint64_t now = mono_ms();

            wait = now >= until ? 0 : (int)(until - now);
        }
        n = poll(&p, 1, wait);
        if (n > 0)
            return PERCHE_OK;
        if (n == 0)
            return fail(err, PERCHE_TIMEOUT, "perched did not answer in time.");
        if (errno != EINTR)
            return fail(err, PERCHE_NET, "the line to perched failed: %s.", strerror(errno));
    }
}

/* Reads until in[] begins with a whole line; line_n is its length with the newline. */
static enum perche_rc read_line(struct perche_control *c, int timeout_ms, struct perche_err *err)
{
    uint64_t until = timeout_ms < 0 ? 0 : mono_ms() + (uint64_t)timeout_ms;

    if (c->line_n > 0) { /* drop the one before */
        memmove(c->in, c->in + c->line_n, c->in_n - c->line_n);
        c->in_n -= c->line_n;
        c->line_n = 0;
        c->seen = 0;
    }
    for (;;) {
        const char *end =
            c->in_n > c->seen ? memchr(c->in + c->seen, '\n', c->in_n - c->seen) : NULL;
        enum perche_rc rc;
        size_t room;
        ssize_t n;

        if (end) {
            c->line_n = (size_t)(end - c->in) + 1;
            return PERCHE_OK;
        }
        c->seen = c->in_n;
        if (c->in_n >= PERCHE_CONTROL_ANSWER_MAX)
            return fail(err, PERCHE_TOO_LARGE, "perched answers with a line beyond %u bytes.",
                        PERCHE_CONTROL_ANSWER_MAX);
        if (!make_room(c))
            return fail(err, PERCHE_NOMEM, "out of memory.");
        rc = wait_readable(c, timeout_ms, until, err);
        if (rc != PERCHE_OK)
            return rc;
        room = (c->in_cap < PERCHE_CONTROL_ANSWER_MAX ? c->in_cap : PERCHE_CONTROL_ANSWER_MAX) -
               c->in_n;
        n = recv(c->fd, c->in + c->in_n, room, MSG_DONTWAIT);
        if (n > 0)
            c->in_n += (size_t)n;
        else if (n == 0)
            return fail(err, PERCHE_NET, "%s",
                        c->in_n > 0 ? "perched hung up in the middle of its answer."
                                    : "perched hung up without an answer; \"journalctl -u "
                                      "perched\" says why.");
        else if (errno != EINTR && errno != EAGAIN)
            return fail(err, PERCHE_NET, "the line to perched failed: %s.", strerror(errno));
    }
}

static enum perche_rc understand(const char *line, size_t n, struct perche_control_answer *out,
                                 struct perche_err *err)
{
    json_error_t where;
    json_t *doc = json_loadb(line, n, JSON_ALLOW_NUL, &where);
    json_t *ok = json_object_get(doc, "ok"); /* NULL for what is no object */
    json_t *event = json_object_get(doc, "event");
    json_t *result = json_object_get(doc, "result");
    struct perche_control_answer a = {0};

    if (event) {
        a.kind = PERCHE_CONTROL_EVENT;
        a.value = json_incref(event);
    } else if (json_is_true(ok)) {
        a.kind = PERCHE_CONTROL_DONE;
        a.value = result ? json_incref(result) : json_object();
    } else if (json_is_false(ok)) {
        const char *text = json_string_value(json_object_get(doc, "text"));

        a.kind = PERCHE_CONTROL_REFUSED;
        fail(&a.no, rc_of_name(json_string_value(json_object_get(doc, "code"))), "%s",
             text && *text ? text : "perched refuses and does not say why.");
    }
    json_decref(doc);
    if (!a.kind)
        return fail(err, PERCHE_CORRUPT, "what came is not an answer of perched.");
    *out = a;
    return PERCHE_OK;
}

enum perche_rc perche_control_next(struct perche_control *c, int timeout_ms,
                                   struct perche_control_answer *out, struct perche_err *err)
{
    enum perche_rc rc = read_line(c, timeout_ms, err);

    return rc != PERCHE_OK ? rc : understand(c->in, c->line_n - 1, out, err);
}

void perche_control_answer_clear(struct perche_control_answer *a)
{
    json_decref(a->value);
    memset(a, 0, sizeof(*a));
}
