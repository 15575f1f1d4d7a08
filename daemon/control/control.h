/* The local socket that `perche` talks to: docs/control.md has the protocol.
 *
 * Who may ask: whoever may open the socket (0660, owner and group of the daemon, or the group
 * that is named) and, by the kernel's own word on the peer (SO_PEERCRED, SO_PEERGROUPS), is
 * root, the daemon's user, or a member of that group. That holds for every command: a member
 * of the group may write the replica with plain SQL, so questions need no lower bar, and the
 * membership commands have no higher one. What changes something is logged with the user.
 *
 * All calls and callbacks are made on the loop's thread. End it before its node: what was asked
 * and is not answered then is forgotten, and the node's answers find nobody. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <uv.h>

#include "perche/rc.h"

struct control;
struct node;

struct control_config { /* copied */
    const char *socket; /* [control] socket */
    const char
        *group; /* NULL = "perche"; one that does not exist lets root and the daemon's user in */
};

typedef void (*control_closed_cb)(void *ctx);

/* Could control_new() have this socket? Refuses as it does, and changes nothing. */
enum perche_rc control_try(const char *socket, struct perche_err *err);
/* Listens. A socket file that nobody answers at is replaced; BUSY: another perched answers
 * there; CONFIG: no socket can be made there, @err says why. @node is borrowed until
 * control_close(). */
enum perche_rc control_new(uv_loop_t *loop, struct node *node, const struct control_config *config,
                           struct control **out, struct perche_err *err);
/* The node's status may have changed (NODE_STATUS): those who watch get a line. Cheap, may be
 * called at any rate. @c may be NULL. */
void control_wake(struct control *c);
/* Closes everything, removes the socket file, frees @c; @on_closed follows once, later. */
void control_close(struct control *c, void *ctx, control_closed_cb on_closed);

#endif
