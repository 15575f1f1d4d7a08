/* The socket file. A daemon that was killed leaves it behind; it is replaced when nobody
 * answers there, and only a socket is ever removed. libuv would cut a long path and leave the
 * file's rights to the umask, so the file is made here and handed over. */
#include "control/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

/* Does a daemon answer at @to? */
static bool somebody_answers(const struct sockaddr_un *to)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool answers;

    if (fd < 0)
        return true; /* not known: then nothing is removed */
    answers = connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 ||
              (errno != ECONNREFUSED && errno != ENOENT);
    close(fd);
    return answers;
}

/* Is there nothing at the path that stays there? *@dead: a socket without a daemon. */
static enum perche_rc look_at_path(const char *path, const struct sockaddr_un *to, bool *dead, struct perche_err *err)
{
    struct stat st;

    *dead = false;
    if (lstat(path, &st) != 0)
        return errno == ENOENT
                   ? PERCHE_OK
                   : perche_err_set(err, perche_rc_of_errno(errno), "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return perche_err_set(err, PERCHE_CONFIG,
                              "%s is there and is not a socket; it is left alone", path);
    if (somebody_answers(to))
        return perche_err_set(err, PERCHE_BUSY, "another perched answers at %s: stop that one first, or name another [control] socket", path);
    *dead = true;
    return PERCHE_OK;
}

/* Something stands at the path. PERCHE_OK: it was a dead socket and is gone. */
static enum perche_rc clear_path(const char *path, const struct sockaddr_un *to, struct perche_err *err)
{
    bool dead;
    enum perche_rc rc = look_at_path(path, to, &dead, err);

    if (rc != PERCHE_OK || !dead)
        return rc;
    if (unlink(path) != 0 && errno != ENOENT)
        return perche_err_set(err, perche_rc_of_errno(errno), "%s: a dead socket that cannot be removed: %s",
                              path, strerror(errno));
    log_notice("control.stale", "socket=%s removed=yes", path);
    return PERCHE_OK;
}

static enum perche_rc cannot_bind(const char *path, int why, struct perche_err *err)
{
    if (why == ENOENT)
        return perche_err_set(err, PERCHE_CONFIG,
                              "%s: its folder does not exist (RuntimeDirectory=perche makes "
                              "/run/perche)",
                              path);
    return perche_err_set(err, perche_rc_of_errno(why), "%s: no socket can be made: %s", path, strerror(why));
}

static enum perche_rc address_of(const char *path, struct sockaddr_un *to, struct perche_err *err)
{
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(to->sun_path))
        return perche_err_set(err, PERCHE_CONFIG, "%s: longer than %zu bytes", path, sizeof(to->sun_path) - 1);
    strcpy(to->sun_path, path);
    return PERCHE_OK;
}

enum perche_rc control_try(const char *socket, struct perche_err *err)
{
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct sockaddr_un to;
    char *slash;
    bool dead;
    enum perche_rc rc = address_of(socket, &to, err);

    if (rc == PERCHE_OK)
        rc = look_at_path(socket, &to, &dead, err);
    if (rc != PERCHE_OK)
        return rc;
    strcpy(folder, socket); /* fits, as it did in the address */
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    return !slash || access(folder, W_OK | X_OK) == 0 ? PERCHE_OK : cannot_bind(socket, errno, err);
}

enum perche_rc socket_bind(struct control *c, int *out, struct perche_err *err)
{
    const char *path = c->socket;
    struct sockaddr_un to;
    enum perche_rc rc = address_of(path, &to, err);
    struct stat st;
    int fd, why;

    if (rc != PERCHE_OK)
        return rc;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return cannot_bind(path, errno, err);

    if (bind(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        why = errno;
        if (why != EADDRINUSE) {
            rc = cannot_bind(path, why, err);
            goto failed;
        }
        rc = clear_path(path, &to, err);
        if (rc != PERCHE_OK)
            goto failed;
        if (bind(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
            rc = cannot_bind(path, errno, err);
            goto failed;
        }
    }
    /* Nobody can connect before uv_listen(), so the rights come in time. */
    if (c->group_known && c->group != getegid() && chown(path, (uid_t)-1, c->group) != 0)
        log_warn("control.group", "socket=%s gid=%u err=\"%s\"", path, (unsigned)c->group,
                 strerror(errno)); /* root and the daemon's user still get in */
    if (chmod(path, 0660) != 0 || lstat(path, &st) != 0) {
        rc = cannot_bind(path, errno, err);
        (void)unlink(path); /* just made here */
        goto failed;
    }
    c->dev = st.st_dev;
    c->ino = st.st_ino;
    *out = fd;
    return PERCHE_OK;

failed:
    close(fd);
    return rc;
}

void socket_remove(const struct control *c)
{
    struct stat st;

    if (lstat(c->socket, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino)
        (void)unlink(c->socket); /* a file that stays is replaced at the next start */
}
