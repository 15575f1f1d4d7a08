#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

/* A file that is there and no usual one, such as a pipe, is written as it is. */
static bool in_place(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

bool output_open(struct client *c, const char *path, struct output *out)
{
    mode_t mask;
    int fd = -1;

    *out = (struct output){.c = c, .path = path && strcmp(path, "-") != 0 ? path : NULL};
    if (!out->path) {
        out->f = c->out;
        return true;
    }
    if (in_place(out->path)) {
        out->f = fopen(out->path, "wb");
    } else {
        out->temp = text_print("%s.XXXXXX", out->path);
        fd = mkstemp(out->temp);
        mask = umask(0);
        (void)umask(mask);
        if (fd >= 0 && fchmod(fd, 0666 & ~mask) == 0)
            out->f = fdopen(fd, "wb");
    }
    if (out->f)
        return true;
    text_say(c->err, "perche: %s: %s", out->path, strerror(errno));
    if (fd >= 0) {
        (void)close(fd); /* nothing is in it */
        (void)unlink(out->temp);
    }
    free(out->temp);
    out->temp = NULL;
    return false;
}

int output_close(struct output *out, int status)
{
    bool good = status == CLIENT_DONE;

    if (!out->path)
        return status; /* main() looks whether all of it could be written */
    errno = 0;
    if (good && (fflush(out->f) != 0 || ferror(out->f) || (out->temp && fsync(fileno(out->f)) != 0)))
        good = false;
    if (fclose(out->f) != 0)
        good = false;
    if (good && out->temp && rename(out->temp, out->path) != 0)
        good = false;
    if (!good && status == CLIENT_DONE)
        text_say(out->c->err, "perche: %s: %s", out->path, errno ? strerror(errno) : "it could not be written");
    if (!good && out->temp)
        (void)unlink(out->temp);
    free(out->temp);
    return good || status != CLIENT_DONE ? status : CLIENT_NO;
}
