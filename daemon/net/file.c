#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum perche_rc rc_of_errno(int number)
{
    return number == ENOENT ? PERCHE_NOT_FOUND : perche_rc_of_errno(number);
}

enum perche_rc file_path(char *out, size_t out_n, const char *dir, const char *name,
                         struct perche_err *err)
{
    int n = snprintf(out, out_n, "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= out_n)
        return perche_err_set(err, PERCHE_TOO_LARGE, "the path %.200s/%s is too long", dir, name);
    return PERCHE_OK;
}

enum perche_rc file_read(const char *path, size_t max, uint8_t **out, size_t *out_n,
                         struct perche_err *err)
{
    enum perche_rc rc = PERCHE_OK;
    uint8_t *bytes = NULL;
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return perche_err_set(err, rc_of_errno(errno), "%s: %s", path, strerror(errno));
    bytes = malloc(max + 2);
    if (!bytes)
        rc = perche_err_set(err, PERCHE_NOMEM, "no memory to read %s", path);
    while (rc == PERCHE_OK) {
        ssize_t got = read(fd, bytes + n, max + 1 - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = perche_err_set(err, rc_of_errno(errno), "%s: %s", path, strerror(errno));
        if (got <= 0)
            break;
        n += (size_t)got;
        if (n > max)
            rc = perche_err_set(err, PERCHE_TOO_LARGE, "%s is larger than %zu bytes", path, max);
    }
    close(fd);
    if (rc != PERCHE_OK) {
        free(bytes);
        return rc;
    }
    bytes[n] = '\0';
    *out = bytes;
    *out_n = n;
    return PERCHE_OK;
}

/* The name is durable only when its folder is. */
static int sync_folder_of(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int fd, rc;

    if (!slash)
        (void)snprintf(dir, sizeof(dir), ".");
    else
        (void)snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    rc = fsync(fd);
    close(fd);
    return rc;
}

enum perche_rc file_write(const char *path, mode_t mode, const void *bytes, size_t n,
                          struct perche_err *err)
{
    char fresh[PATH_MAX];
    const uint8_t *p = bytes;
    int fd;

    if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
        return perche_err_set(err, PERCHE_TOO_LARGE, "the path %.200s is too long", path);
    (void)unlink(fresh); /* left by a crash, maybe with another mode */
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return perche_err_set(err, rc_of_errno(errno), "%s: %s", fresh, strerror(errno));
    if (fchmod(fd, mode) != 0) /* whatever the umask */
        goto fail;
    while (n > 0) {
        ssize_t put = write(fd, p, n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            goto fail;
        p += put;
        n -= (size_t)put;
    }
    if (fsync(fd) != 0)
        goto fail;
    close(fd);
    fd = -1;
    if (rename(fresh, path) != 0 || sync_folder_of(path) != 0)
        goto fail;
    return PERCHE_OK;

fail:
    (void)perche_err_set(err, rc_of_errno(errno), "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    (void)unlink(fresh);
    return err ? err->rc : PERCHE_DISK;
}
