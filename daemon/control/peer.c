#include "control/internal.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

bool peer_read(int fd, struct peer *out)
{
    struct ucred cred;
    socklen_t n = sizeof(cred);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || n != sizeof(cred))
        return false;
    out->uid = cred.uid;
    out->gid = cred.gid;
    out->pid = cred.pid;
    return true;
}

/* Is @group among the peer's supplementary groups? They are those of the moment it connected,
 * like the rest of its credentials. */
static bool in_groups(int fd, gid_t group)
{
    gid_t *groups = NULL;
    socklen_t n = 0;
    bool found = false;

    /* With no room it says how much is needed (ERANGE), or that there are none. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &n) == 0 || n == 0)
        return false;
    groups = malloc(n);
    if (groups && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) == 0)
        for (size_t i = 0; i < n / sizeof(*groups); i++)
            found |= groups[i] == group;
    free(groups);
    return found;
}

bool peer_allowed(const struct control *c, int fd, const struct peer *peer)
{
    if (peer->uid == 0 || peer->uid == geteuid())
        return true;
    return c->group_known && (peer->gid == c->group || in_groups(fd, c->group));
}

void peer_name(const struct peer *peer, char *out, size_t n)
{
    struct passwd entry, *found = NULL;
    char text[4096];

    if (getpwuid_r(peer->uid, &entry, text, sizeof(text), &found) == 0 && found)
        (void)snprintf(out, n, "%s", found->pw_name); /* cut if it must be */
    else
        (void)snprintf(out, n, "uid %u", (unsigned)peer->uid);
}
