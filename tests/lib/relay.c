/* perche-relay: a TCP line that tests can cut, hold, delay, slow down and count.
 *
 *   perche-relay --listen PORT --to HOST:PORT --control PATH [--seed N] [--decode]
 *                [--delay MS[:JITTER]] [--rate BYTES_PER_S]
 *
 * The control is a unix socket that is made at PATH: one command a line, one JSON line as
 * the answer to each. Where PATH is a FIFO already, commands are read from it and the
 * answers go to stdout. PORT 0 takes any; the first line of stdout names it.
 *
 *   cut              closes every connection and refuses new ones
 *   open             takes connections again
 *   drop             closes the present connections
 *   hold, resume     nothing is forwarded, nothing closed; what waits goes on resume
 *   delay MS [J]     each piece arrives that much later, and up to J more, in order
 *   rate N           bytes a second in each direction, all connections together; 0 = no limit
 *   storm MIN MAX    drops the connections again and again, after MIN to MAX ms drawn from
 *                    the seed; storm 0 0 ends it
 *   stats            connections, bytes, frames by op
 *   quit
 *
 * With --decode, and nodes that talk tcp:// (inside TLS nobody sees anything), the frames
 * of nng's SP protocol (8 bytes of length, the header's request ids, the body) are decoded
 * with the wire library as they are delivered, and each is one JSON line on stdout:
 *
 *   {"t":1234,"conn":1,"dir":"up","op":"push","reply":false,"bytes":431,"from":0,"to":20,...}
 *
 * "up" is from whoever dialled. t is milliseconds since the start. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "perche/wire.h"

#define CONNECTIONS_MAX 512
#define CONTROLS_MAX    8
#define PIECE_BYTES     65536u
#define QUEUED_MAX      (4u << 20) /* of a direction; then the sender is not read */
#define FRAME_MAX       (64u << 20)

struct piece {
    struct piece *next;
    uint64_t due_ms;
    size_t n, at;
    uint8_t bytes[];
};

struct parser {   /* of one direction */
    bool opaque;  /* not SP, or too large: only bytes are counted */
    bool greeted; /* the 8 bytes of SP's own greeting are past */
    uint8_t head[8];
    size_t head_n;
    uint8_t *body;
    size_t body_n, body_want;
    bool in_body;
};

struct flow {
    int from, to;
    struct piece *head, **tail;
    size_t queued;
    uint64_t last_due_ms;
    bool ended, passed_end; /* `from` has closed; `to` has been told */
    struct parser parser;
};

struct connection {
    unsigned number;
    int client, server;
    bool connecting;
    struct flow up, down;
};

static struct {
    int listener;
    struct sockaddr_storage listen_at, to;
    socklen_t listen_n, to_n;
    struct connection *connections[CONNECTIONS_MAX];
    unsigned connections_made;
    bool cut, held, decode, quit;
    uint64_t delay_ms, jitter_ms, rate;
    double tokens[2];
    uint64_t refilled_ms;
    uint64_t storm_min_ms, storm_max_ms, storm_at_ms;
    uint64_t random;
    uint64_t start_ms;
    uint64_t bytes[2];
    uint64_t frames[2][16], frames_bytes[2][16], bad_frames;
    uint64_t dropped;
} relay = {.listener = -1};

static struct control {
    int in, out;
    char line[256];
    size_t n;
} controls[CONTROLS_MAX];

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* splitmix64: any seed serves, 0 too. */
static uint64_t draw(uint64_t below)
{
    uint64_t z = (relay.random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return below == 0 ? 0 : z % below;
}

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fputs("perche-relay: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

/* ---- frames ------------------------------------------------------------------- */

static const char *op_name(unsigned op)
{
    static const char *const names[] = {"none", "hello",  "prove", "push", "pull",
                                        "rows", "digest", "watch", "enrol", "leave"};

    return op < sizeof(names) / sizeof(names[0]) ? names[op] : "unknown";
}

static void print_fields(const struct perche_message *m)
{
    if (m->refused) {
        printf(",\"refused\":\"%s\",\"have\":%" PRIu64, perche_refusal_name(m->u.no.why),
               m->u.no.have);
        return;
    }
    switch (m->op) {
    case PERCHE_OP_PROVE:
        if (m->reply)
            printf(",\"verdict\":%u,\"have\":%" PRIu64, m->u.prove_reply.verdict,
                   m->u.prove_reply.have);
        else
            printf(",\"site\":\"%s\",\"lsn\":%" PRIu64 ",\"acked\":%" PRIu64, m->u.prove.site,
                   m->u.prove.lsn, m->u.prove.acked);
        break;
    case PERCHE_OP_PUSH:
        if (m->reply)
            printf(",\"have\":%" PRIu64 ",\"wants\":%u", m->u.push_reply.have,
                   m->u.push_reply.wants_count);
        else
            printf(",\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"asof\":%" PRIu64
                   ",\"pending\":%" PRIu64 ",\"batch\":%u",
                   m->u.push.from, m->u.push.to, m->u.push.asof.lsn, m->u.push.pending,
                   m->u.push.batch.n);
        break;
    case PERCHE_OP_PULL:
        if (m->reply)
            printf(",\"from_full\":%" PRIu64 ",\"from_scan\":%" PRIu64 ",\"full\":%" PRIu64
                   ",\"scan\":%" PRIu64 ",\"more\":%s,\"have\":%" PRIu64 ",\"batch\":%u",
                   m->u.pull_reply.from_full, m->u.pull_reply.from_scan, m->u.pull_reply.full,
                   m->u.pull_reply.scan, m->u.pull_reply.more ? "true" : "false",
                   m->u.pull_reply.have, m->u.pull_reply.batch.n);
        else
            printf(",\"full\":%" PRIu64 ",\"scan\":%" PRIu64 ",\"done\":%" PRIu64, m->u.pull.full,
                   m->u.pull.scan, m->u.pull.done);
        break;
    case PERCHE_OP_ROWS:
        printf(",\"rows\":%u", m->reply ? m->u.rows_reply.batch.n : m->u.rows.wants_count);
        break;
    case PERCHE_OP_DIGEST:
        if (m->reply)
            printf(",\"answer\":%u", m->u.digest_reply.answer);
        else
            printf(",\"level\":%" PRIu32, m->u.digest.level);
        break;
    case PERCHE_OP_WATCH:
        if (m->reply)
            printf(",\"news\":%s", m->u.watch_reply.news ? "true" : "false");
        break;
    default: break;
    }
}

/* @body: request ids, the last of which has its highest bit set, then the message. */
static void frame(const struct connection *c, int dir, const uint8_t *body, size_t n)
{
    struct perche_message m = {0};
    size_t at = 0;
    bool last = false;

    while (!last && at + 4 <= n) {
        last = (body[at] & 0x80) != 0;
        at += 4;
    }
    if (!last || perche_message_decode((struct perche_bytes){body + at, (uint32_t)(n - at)}, &m,
                                       NULL) != PERCHE_OK) {
        relay.bad_frames++;
        printf("{\"t\":%" PRIu64 ",\"conn\":%u,\"dir\":\"%s\",\"op\":\"bad\",\"bytes\":%zu}\n",
               now_ms() - relay.start_ms, c->number, dir == 0 ? "up" : "down", n + 8);
        fflush(stdout);
        return;
    }
    relay.frames[dir][m.op & 15]++;
    relay.frames_bytes[dir][m.op & 15] += n + 8;
    printf("{\"t\":%" PRIu64 ",\"conn\":%u,\"dir\":\"%s\",\"op\":\"%s\",\"reply\":%s,\"bytes\":%zu",
           now_ms() - relay.start_ms, c->number, dir == 0 ? "up" : "down", op_name(m.op),
           m.reply ? "true" : "false", n + 8);
    print_fields(&m);
    printf("}\n");
    fflush(stdout);
    perche_message_free(&m);
}

static void parse(struct connection *c, int dir, struct parser *p, const uint8_t *bytes, size_t n)
{
    while (n > 0 && !p->opaque) {
        size_t take;

        if (!p->in_body) {
            take = 8 - p->head_n < n ? 8 - p->head_n : n;
            memcpy(p->head + p->head_n, bytes, take);
            p->head_n += take;
            bytes += take;
            n -= take;
            if (p->head_n < 8)
                return;
            p->head_n = 0;
            if (!p->greeted) {
                p->greeted = true;
                p->opaque = memcmp(p->head, "\0SP\0", 4) != 0;
                continue;
            }
            p->body_want = 0;
            for (int i = 0; i < 8; i++)
                p->body_want = p->body_want << 8 | p->head[i];
            p->opaque = p->body_want > FRAME_MAX;
            p->body = p->opaque ? NULL : malloc(p->body_want + 1);
            p->opaque |= !p->body;
            p->body_n = 0;
            p->in_body = true;
        }
        take = p->opaque ? 0 : p->body_want - p->body_n < n ? p->body_want - p->body_n : n;
        if (take > 0)
            memcpy(p->body + p->body_n, bytes, take);
        p->body_n += take;
        bytes += take;
        n -= take;
        if (!p->opaque && p->body_n == p->body_want) {
            frame(c, dir, p->body, p->body_n);
            free(p->body);
            p->body = NULL;
            p->in_body = false;
        }
    }
}

/* ---- connections ----------------------------------------------------------------- */

static void flow_init(struct flow *f, int from, int to)
{
    memset(f, 0, sizeof(*f));
    f->from = from;
    f->to = to;
    f->tail = &f->head;
}

static void flow_clear(struct flow *f)
{
    while (f->head) {
        struct piece *next = f->head->next;

        free(f->head);
        f->head = next;
    }
    free(f->parser.body);
}

static void close_connection(unsigned i)
{
    struct connection *c = relay.connections[i];

    close(c->client);
    close(c->server);
    flow_clear(&c->up);
    flow_clear(&c->down);
    free(c);
    relay.connections[i] = NULL;
}

static unsigned close_connections(void)
{
    unsigned closed = 0;

    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        if (relay.connections[i]) {
            close_connection(i);
            closed++;
        }
    relay.dropped += closed;
    return closed;
}

static void set_nonblocking(int fd)
{
    int on = 1;

    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void start_listening(void)
{
    int on = 1;

    relay.listener =
        socket(relay.listen_at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (relay.listener < 0)
        die("no socket: %s", strerror(errno));
    (void)setsockopt(relay.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(relay.listener, (struct sockaddr *)&relay.listen_at, relay.listen_n) != 0 ||
        listen(relay.listener, 512) != 0)
        die("cannot listen: %s", strerror(errno));
    (void)getsockname(relay.listener, (struct sockaddr *)&relay.listen_at, &relay.listen_n);
}

static void take_connection(void)
{
    struct connection *c;
    unsigned i = 0;
    int client = accept(relay.listener, NULL, NULL);

    if (client < 0)
        return;
    while (i < CONNECTIONS_MAX && relay.connections[i])
        i++;
    c = i < CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        close(client);
        return;
    }
    c->server = socket(relay.to.ss_family, SOCK_STREAM, 0);
    if (c->server < 0) {
        close(client);
        free(c);
        return;
    }
    c->client = client;
    c->number = ++relay.connections_made;
    set_nonblocking(client);
    set_nonblocking(c->server);
    flow_init(&c->up, c->client, c->server);
    flow_init(&c->down, c->server, c->client);
    relay.connections[i] = c;
    if (connect(c->server, (struct sockaddr *)&relay.to, relay.to_n) != 0) {
        c->connecting = errno == EINPROGRESS;
        if (!c->connecting)
            close_connection(i);
    }
}

/* False: the connection is over. */
static bool flow_read(struct flow *f, int dir)
{
    struct piece *piece = malloc(sizeof(*piece) + PIECE_BYTES);
    ssize_t n;

    if (!piece)
        die("out of memory");
    n = recv(f->from, piece->bytes, PIECE_BYTES, 0);
    if (n <= 0) {
        int failed = errno;

        free(piece);
        if (n < 0)
            return failed == EAGAIN || failed == EINTR;
        f->ended = true;
        return true;
    }
    piece->n = (size_t)n;
    piece->at = 0;
    piece->next = NULL;
    piece->due_ms = now_ms() + relay.delay_ms + draw(relay.jitter_ms + 1);
    if (piece->due_ms < f->last_due_ms)
        piece->due_ms = f->last_due_ms; /* TCP keeps its order */
    f->last_due_ms = piece->due_ms;
    *f->tail = piece;
    f->tail = &piece->next;
    f->queued += piece->n;
    (void)dir;
    return true;
}

static void refill(void)
{
    uint64_t now = now_ms();

    for (int dir = 0; dir < 2; dir++) {
        relay.tokens[dir] += (double)relay.rate * (double)(now - relay.refilled_ms) / 1000.0;
        if (relay.tokens[dir] > (double)relay.rate / 10.0 + 1500.0)
            relay.tokens[dir] =
                (double)relay.rate / 10.0 + 1500.0; /* a tenth of a second at once */
    }
    relay.refilled_ms = now;
}

static bool may_write(const struct connection *c, const struct flow *f, int dir, uint64_t now)
{
    return f->head && !relay.held && !c->connecting && f->head->due_ms <= now &&
           (relay.rate == 0 || relay.tokens[dir] >= 1.0);
}

static bool flow_write(struct connection *c, struct flow *f, int dir)
{
    while (may_write(c, f, dir, now_ms())) {
        struct piece *piece = f->head;
        size_t want = piece->n - piece->at;
        ssize_t n;

        if (relay.rate != 0 && (double)want > relay.tokens[dir])
            want = (size_t)relay.tokens[dir];
        n = send(f->to, piece->bytes + piece->at, want, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (relay.rate != 0)
            relay.tokens[dir] -= (double)n;
        relay.bytes[dir] += (uint64_t)n;
        if (relay.decode)
            parse(c, dir, &f->parser, piece->bytes + piece->at, (size_t)n);
        piece->at += (size_t)n;
        f->queued -= (size_t)n;
        if (piece->at < piece->n)
            continue;
        f->head = piece->next;
        if (!f->head)
            f->tail = &f->head;
        free(piece);
    }
    if (!f->head && f->ended && !f->passed_end && !c->connecting) {
        f->passed_end = true;
        (void)shutdown(f->to, SHUT_WR); /* the other way may still go on */
    }
    return true;
}

/* ---- commands ---------------------------------------------------------------------- */

static void answer(struct control *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void answer(struct control *k, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text) - 1, fmt, args);
    va_end(args);
    if (n < 0)
        return;
    text[n++] = '\n';
    if (write(k->out, text, (size_t)n) < 0) {
        /* whoever asked has gone */
    }
}

static void stats(struct control *k)
{
    char ops[1400] = "";
    size_t n = 0;
    unsigned open = 0;

    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        open += relay.connections[i] != NULL;
    for (unsigned op = 1; op <= PERCHE_OP_LEAVE; op++)
        n += (size_t)snprintf(ops + n, sizeof(ops) - n,
                              "%s\"%s\":{\"up\":%" PRIu64 ",\"down\":%" PRIu64
                              ",\"up_bytes\":%" PRIu64 ",\"down_bytes\":%" PRIu64 "}",
                              op > 1 ? "," : "", op_name(op), relay.frames[0][op],
                              relay.frames[1][op], relay.frames_bytes[0][op],
                              relay.frames_bytes[1][op]);
    answer(k,
           "{\"connections\":%u,\"made\":%u,\"dropped\":%" PRIu64 ",\"up_bytes\":%" PRIu64
           ",\"down_bytes\":%" PRIu64 ",\"bad_frames\":%" PRIu64 ",\"frames\":{%s}}",
           open, relay.connections_made, relay.dropped, relay.bytes[0], relay.bytes[1],
           relay.bad_frames, ops);
}

static void next_storm(void)
{
    relay.storm_at_ms =
        relay.storm_max_ms == 0
            ? 0
            : now_ms() + relay.storm_min_ms + draw(relay.storm_max_ms - relay.storm_min_ms + 1);
}

static void command(struct control *k, const char *line)
{
    uint64_t a = 0, b = 0;
    char word[16] = "";
    int n = sscanf(line, "%15s %" SCNu64 " %" SCNu64, word, &a, &b);
    unsigned closed = 0;

    if (n < 1)
        return;
    if (strcmp(word, "cut") == 0) {
        if (!relay.cut)
            close(relay.listener);
        relay.listener = -1;
        relay.cut = true;
        closed = close_connections();
    } else if (strcmp(word, "open") == 0) {
        if (relay.cut)
            start_listening();
        relay.cut = false;
    } else if (strcmp(word, "drop") == 0) {
        closed = close_connections();
    } else if (strcmp(word, "hold") == 0) {
        relay.held = true;
    } else if (strcmp(word, "resume") == 0) {
        relay.held = false;
    } else if (strcmp(word, "delay") == 0 && n >= 2) {
        relay.delay_ms = a;
        relay.jitter_ms = b;
    } else if (strcmp(word, "rate") == 0 && n >= 2) {
        relay.rate = a;
        relay.tokens[0] = relay.tokens[1] = 0;
        relay.refilled_ms = now_ms();
    } else if (strcmp(word, "storm") == 0 && n == 3 && a <= b) {
        relay.storm_min_ms = a;
        relay.storm_max_ms = b;
        next_storm();
    } else if (strcmp(word, "stats") == 0) {
        stats(k);
        return;
    } else if (strcmp(word, "quit") == 0) {
        relay.quit = true;
    } else {
        answer(k, "{\"error\":\"no such command\"}");
        return;
    }
    answer(k, "{\"ok\":\"%s\",\"closed\":%u}", word, closed);
}

/* False: it has hung up. */
static bool control_read(struct control *k)
{
    char *end;
    ssize_t n = read(k->in, k->line + k->n, sizeof(k->line) - 1 - k->n);

    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    k->n += (size_t)n;
    k->line[k->n] = '\0';
    while ((end = strchr(k->line, '\n')) != NULL) {
        *end = '\0';
        command(k, k->line);
        k->n -= (size_t)(end + 1 - k->line);
        memmove(k->line, end + 1, k->n + 1);
    }
    if (k->n == sizeof(k->line) - 1)
        k->n = 0; /* no command is that long */
    return true;
}

/* The FIFO's reader, or a listening socket in *listener. */
static void control_open(const char *path, int *listener)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;

    *listener = -1;
    if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode)) {
        controls[0].in = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* writable too: never ends */
        controls[0].out = STDOUT_FILENO;
        if (controls[0].in < 0)
            die("%s: %s", path, strerror(errno));
        return;
    }
    if (strlen(path) >= sizeof(at.sun_path))
        die("%s is too long for a socket", path);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    (void)unlink(path);
    *listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*listener < 0 || bind(*listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(*listener, CONTROLS_MAX) != 0)
        die("%s: %s", path, strerror(errno));
}

static void control_take(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    for (unsigned i = 0; fd >= 0 && i < CONTROLS_MAX; i++)
        if (controls[i].in < 0) {
            controls[i] = (struct control){.in = fd, .out = fd};
            return;
        }
    if (fd >= 0)
        close(fd);
}

/* ---- the loop ------------------------------------------------------------------------- */

static void earlier(uint64_t now, uint64_t at, int *timeout)
{
    uint64_t wait = at > now ? at - now : 0;

    if (*timeout < 0 || wait < (uint64_t)*timeout)
        *timeout = wait > 1000 ? 1000 : (int)wait;
}

static void flow_wants(const struct connection *c, const struct flow *f, int dir, uint64_t now,
                       struct pollfd *from, struct pollfd *to, int *timeout)
{
    if (!f->ended && f->queued < QUEUED_MAX)
        from->events |= POLLIN;
    if (may_write(c, f, dir, now))
        to->events |= POLLOUT;
    else if (f->head && !relay.held && !c->connecting)
        earlier(now, f->head->due_ms > now ? f->head->due_ms : now + 5, timeout);
}

static void serve(unsigned i, const struct pollfd *client, const struct pollfd *server)
{
    struct connection *c = relay.connections[i];
    bool alive = true;

    if (c->connecting && (server->revents & (POLLOUT | POLLERR | POLLHUP))) {
        int failed = 0;
        socklen_t n = sizeof(failed);

        (void)getsockopt(c->server, SOL_SOCKET, SO_ERROR, &failed, &n);
        if (failed != 0) {
            close_connection(i);
            return;
        }
        c->connecting = false;
    }
    if (client->revents & (POLLIN | POLLHUP | POLLERR) && !c->up.ended && c->up.queued < QUEUED_MAX)
        alive = flow_read(&c->up, 0);
    if (alive && !c->connecting && server->revents & (POLLIN | POLLHUP | POLLERR) &&
        !c->down.ended && c->down.queued < QUEUED_MAX)
        alive = flow_read(&c->down, 1);
    if (alive)
        alive = flow_write(c, &c->up, 0) && flow_write(c, &c->down, 1);
    if (!alive || (c->up.passed_end && c->down.passed_end))
        close_connection(i);
}

static void turn(int control_listener)
{
    struct pollfd fds[2 + CONTROLS_MAX + 2 * CONNECTIONS_MAX];
    unsigned who[2 * CONNECTIONS_MAX];
    uint64_t now = now_ms();
    int timeout = -1;
    nfds_t n = 0, first;

    if (relay.rate != 0)
        refill();
    fds[n++] = (struct pollfd){.fd = relay.listener, .events = POLLIN}; /* -1 is passed over */
    fds[n++] = (struct pollfd){.fd = control_listener, .events = POLLIN};
    for (unsigned i = 0; i < CONTROLS_MAX; i++)
        fds[n++] = (struct pollfd){.fd = controls[i].in, .events = POLLIN};
    first = n;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = relay.connections[i];

        if (!c)
            continue;
        who[n - first] = who[n + 1 - first] = i;
        fds[n] = (struct pollfd){.fd = c->client};
        fds[n + 1] = (struct pollfd){.fd = c->server, .events = c->connecting ? POLLOUT : 0};
        flow_wants(c, &c->up, 0, now, &fds[n], &fds[n + 1], &timeout);
        flow_wants(c, &c->down, 1, now, &fds[n + 1], &fds[n], &timeout);
        n += 2;
    }
    if (relay.storm_at_ms != 0)
        earlier(now, relay.storm_at_ms, &timeout);
    if (poll(fds, n, timeout) < 0 && errno != EINTR)
        die("poll: %s", strerror(errno));
    if (relay.rate != 0)
        refill();
    for (nfds_t at = first; at < n; at += 2)
        serve(who[at - first], &fds[at], &fds[at + 1]);
    if (fds[0].revents & POLLIN)
        take_connection();
    if (fds[1].revents & POLLIN)
        control_take(control_listener);
    for (unsigned i = 0; i < CONTROLS_MAX; i++)
        if (fds[2 + i].revents != 0 && !control_read(&controls[i])) {
            close(controls[i].in);
            controls[i].in = -1;
        }
    if (relay.storm_at_ms != 0 && now_ms() >= relay.storm_at_ms) {
        (void)close_connections();
        next_storm();
    }
}

/* ---- arguments -------------------------------------------------------------------------- */

static void resolve(const char *text)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    char host[256];
    const char *colon = strrchr(text, ':');

    if (!colon || (size_t)(colon - text) >= sizeof(host))
        die("--to wants HOST:PORT");
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        die("%s is not known", text);
    memcpy(&relay.to, found->ai_addr, found->ai_addrlen);
    relay.to_n = found->ai_addrlen;
    freeaddrinfo(found);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},  {"to", required_argument, NULL, 't'},
        {"control", required_argument, NULL, 'c'}, {"seed", required_argument, NULL, 's'},
        {"decode", no_argument, NULL, 'd'},        {"delay", required_argument, NULL, 'y'},
        {"rate", required_argument, NULL, 'r'},    {0}};
    struct sockaddr_in *at = (struct sockaddr_in *)(void *)&relay.listen_at;
    const char *control = NULL;
    int option, port = -1, control_listener;

    for (unsigned i = 0; i < CONTROLS_MAX; i++)
        controls[i].in = -1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'l': port = atoi(optarg); break;
        case 't': resolve(optarg); break;
        case 'c': control = optarg; break;
        case 's': relay.random = strtoull(optarg, NULL, 10); break;
        case 'd': relay.decode = true; break;
        case 'y':
            if (sscanf(optarg, "%" SCNu64 ":%" SCNu64, &relay.delay_ms, &relay.jitter_ms) < 1)
                die("--delay wants MS or MS:JITTER");
            break;
        case 'r': relay.rate = strtoull(optarg, NULL, 10); break;
        default: die("usage: perche-relay --listen PORT --to HOST:PORT --control PATH");
        }
    }
    if (port < 0 || relay.to_n == 0 || !control)
        die("--listen, --to and --control are needed");
    (void)signal(SIGPIPE, SIG_IGN);
    relay.start_ms = relay.refilled_ms = now_ms();
    at->sin_family = AF_INET;
    at->sin_port = htons((uint16_t)port);
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    relay.listen_n = sizeof(*at);
    start_listening();
    control_open(control, &control_listener);
    printf("{\"t\":0,\"event\":\"listening\",\"port\":%u}\n", (unsigned)ntohs(at->sin_port));
    fflush(stdout);
    while (!relay.quit)
        turn(control_listener);
    (void)close_connections();
    for (unsigned i = 0; i < CONTROLS_MAX; i++)
        if (controls[i].in >= 0)
            close(controls[i].in);
    if (control_listener >= 0) {
        close(control_listener);
        (void)unlink(control);
    }
    if (relay.listener >= 0)
        close(relay.listener);
    return 0;
}
