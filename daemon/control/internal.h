/* What the files of the control socket share. Everything runs on the loop's thread. */
#ifndef CONTROL_INTERNAL_H
#define CONTROL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>
#include <uv.h>

#include "control/control.h"
#include "net/node.h"
#include "perche/control.h"
#include "perche/rc.h"

/* Bounds (P10). Lines: PERCHE_CONTROL_REQUEST_MAX and _ANSWER_MAX in perche/control.h. */
#define CONTROL_CLIENTS_MAX 32u /* people and their scripts; each may hold 1 MiB of request */
/* and some to tell others that they are too many; who comes then waits in the kernel's queue */
#define CONTROL_SLOTS       (CONTROL_CLIENTS_MAX + 8u)
#define CONTROL_UNSENT_MAX  (64u << 20) /* bytes of answers not yet read, all clients together */
#define CONTROL_LINE_MS     10000u   /* from the connection, or a line's first byte, to its end */
#define CONTROL_IDLE_MS     300000u  /* between an answer and the next request */
#define CONTROL_SEND_MS     60000u   /* a client may leave an answer unread that long: a pager */
#define CONTROL_ANSWER_MS   60000u   /* the node's time for a question */
#define CONTROL_LONG_MS     1800000u /* verify: it reads every record */
#define CONTROL_MARGIN_MS   10000u   /* sync: beyond the time-out that was asked for */
#define CONTROL_SYNC_MS_MAX 86400000u
#define CONTROL_WATCH_MS    200u  /* at most five lines a second */
#define CONTROL_LOOK_MS     1000u /* the net: what nobody woke us for */

struct peer { /* of a connection, as the kernel says */
    uid_t uid;
    gid_t gid;
    pid_t pid;
};

struct request;

struct client {
    struct control *control;
    bool used; /* the slot is taken, until the last handle is closed */
    uv_pipe_t pipe;
    uv_timer_t timer;
    struct peer peer;
    char *in; /* received and not yet taken: in[0 .. in_n) */
    size_t in_n, in_cap;
    struct request *request; /* under way; NULL = none */
    size_t unsent;           /* bytes given to the pipe */
    char *watched;           /* watches: what it was told last, "" = nothing yet; else NULL */
    bool ended;              /* it sends no more, but waits for its answer */
    bool last;               /* close once all is sent */
    bool closing;
    int handles; /* still open; the slot is free with the last */
};

struct control {
    uv_loop_t *loop;
    struct node *node; /* NULL once closing */
    uv_pipe_t listener;
    uv_timer_t watch; /* the next look at the status, while somebody watches */
    char *socket;
    dev_t dev; /* the socket file is ours as long as it is this one */
    ino_t ino;
    gid_t group;
    bool group_known;
    struct client clients[CONTROL_SLOTS];
    unsigned clients_count; /* open */
    bool waiting;           /* somebody waits for a free slot */
    size_t unsent;
    bool looking;    /* node_status() is under way for those who watch */
    bool woken;      /* it changed meanwhile */
    uint64_t looked; /* uv_now() of the last look */
    struct look *look;
    int handles; /* still open, a client counts as one; we are freed with the last */
    void *closed_ctx;
    control_closed_cb on_closed;
    bool closing;
};

/* ---- control.c ------------------------------------------------------------ */

void control_handle_closed(struct control *c);

/* ---- socket.c ------------------------------------------------------------- */

/* Binds @path, 0660 for @group. *fd is the caller's. */
enum perche_rc socket_bind(struct control *c, int *fd, struct perche_err *err);
void socket_remove(const struct control *c); /* unless another has taken the path */

/* ---- peer.c --------------------------------------------------------------- */

bool peer_read(int fd, struct peer *out);
bool peer_allowed(const struct control *c, int fd, const struct peer *peer);
void peer_name(const struct peer *peer, char *out, size_t n); /* "anna", "uid 1004" */

/* ---- client.c ------------------------------------------------------------- */

void client_accept(struct control *c);    /* somebody is at the door */
void client_close(struct client *client); /* fine for one that is closing already */
/* The three kinds of line. Each may close the client: do not touch it afterwards. */
void client_result(struct client *client, const char *json);
void client_refuse(struct client *client, enum perche_rc rc, const char *text);
void client_event(struct client *client, const char *json);
void client_limit(struct client *client, uint64_t ms); /* of the request under way */

/* ---- request.c ------------------------------------------------------------ */

/* Takes one line apart and starts what it asks. */
void request_start(struct client *client, const char *line, size_t n);
void request_forget(struct request *r); /* its client has gone; the node's answer will free it */

/* ---- watch.c -------------------------------------------------------------- */

void watch_begin(struct client *client);
void watch_look(struct control *c);   /* something changed, or somebody new watches */
void watch_forget(struct control *c); /* closing */
void on_watch_timer(uv_timer_t *timer);

#endif
