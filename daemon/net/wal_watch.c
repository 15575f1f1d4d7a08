/* Happy path: the folder's watch names replica.db-wal; the check handle, which runs after
 * all events of a turn, reports one change however many frames were written.
 * Failures: without inotify (none left, a network file system) the timer alone is left,
 * and changes are found within a second. */
#include "net/wal_watch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "net/container_of.h"

#define DB_MODE 0660

struct wal_watch {
    struct wal_watch_events events;
    char *path, *folder, *wal, *shm; /* wal, shm: names in the folder */
    const char *name;
    struct file_id id;
    uv_fs_event_t watch;
    uv_check_t check;
    uv_timer_t timer;
    bool changed, look, replaced, closing;
    unsigned handles_open;
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

enum perche_rc file_id_of(const char *path, struct file_id *out, struct perche_err *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return perche_err_set(err, errno == ENOENT ? PERCHE_NOT_FOUND : PERCHE_DISK, "%s: %s", path,
                              strerror(errno));
    out->dev = st.st_dev;
    out->ino = st.st_ino;
    return PERCHE_OK;
}

bool file_id_is(const char *path, const struct file_id *id)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return errno != ENOENT && errno != ENOTDIR;
    return st.st_dev == id->dev && st.st_ino == id->ino;
}

static void look(struct wal_watch *w)
{
    if (w->replaced || (w->events.stand ? w->events.stand(w->events.ctx) : file_id_is(w->path, &w->id)))
        return;
    w->replaced = true;
    w->events.on_replaced(w->events.ctx);
}

/* Whoever made -wal or -shm, under whatever umask: the group must be able to write it. */
static void open_to_group(struct wal_watch *w, const char *name)
{
    char path[4096];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", w->folder, name);
    if (stat(path, &st) == 0 && (st.st_mode & 0777) != DB_MODE)
        (void)chmod(path, DB_MODE); /* not ours to change: then its owner is in the group */
}

static void on_folder(uv_fs_event_t *watch, const char *name, int events, int status)
{
    struct wal_watch *w = container_of(watch, struct wal_watch, watch);

    if (status != 0 || !name) {
        w->changed = w->look = true; /* events were lost: look at everything */
        return;
    }
    if (strcmp(name, w->wal) == 0)
        w->changed = true;
    if ((strcmp(name, w->wal) == 0 || strcmp(name, w->shm) == 0) && (events & UV_RENAME)) {
        w->look = true; /* what follows of it */
        if (w->events.stand)
            (void)w->events.stand(w->events.ctx); /* now: a file that is gone is put back before a program makes another */
        open_to_group(w, name);
    } else if (strcmp(name, w->name) == 0) {
        w->look = true;
    }
}

static void on_check(uv_check_t *check)
{
    struct wal_watch *w = container_of(check, struct wal_watch, check);

    if (w->closing)
        return;
    if (w->look) {
        w->look = false;
        look(w); /* may close us */
    }
    if (w->changed && !w->closing && !w->replaced) {
        w->changed = false;
        w->events.on_changed(w->events.ctx);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct wal_watch *w = container_of(timer, struct wal_watch, timer);

    look(w);
    if (!w->closing && !w->replaced)
        w->events.on_changed(w->events.ctx);
}

static void wal_watch_free(struct wal_watch *w)
{
    free(w->path);
    free(w->folder);
    free(w->wal);
    free(w->shm);
    free(w);
}

static char *joined(const char *a, const char *b)
{
    size_t n = strlen(a) + strlen(b) + 1;
    char *out = malloc(n);

    if (out) {
        strcpy(out, a);
        strcat(out, b);
    }
    return out;
}

enum perche_rc wal_watch_new(uv_loop_t *loop, const char *path,
                             const struct wal_watch_events *events, struct wal_watch **out,
                             struct perche_err *err)
{
    struct wal_watch *w = calloc(1, sizeof(*w));
    const char *slash = strrchr(path, '/');
    enum perche_rc rc;
    int failed;

    if (!w)
        return perche_err_set(err, PERCHE_NOMEM, "no memory for the watch");
    w->events = *events;
    w->path = strdup(path);
    w->folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (w->path) {
        w->name = slash ? w->path + (slash + 1 - path) : w->path;
        w->wal = joined(w->name, "-wal");
        w->shm = joined(w->name, "-shm");
    }
    if (!w->path || !w->folder || !w->wal || !w->shm)
        rc = perche_err_set(err, PERCHE_NOMEM, "no memory for the watch");
    else
        rc = file_id_of(path, &w->id, err);
    if (rc != PERCHE_OK) {
        wal_watch_free(w);
        return rc;
    }
    open_to_group(w, w->wal);
    open_to_group(w, w->shm);
    (void)uv_fs_event_init(loop, &w->watch); /* these three always succeed */
    (void)uv_check_init(loop, &w->check);
    (void)uv_timer_init(loop, &w->timer);
    failed = uv_fs_event_start(&w->watch, on_folder, w->folder, 0);
    if (failed != 0)
        log_warn("watch.missing", "folder=%s err=\"%s\": changes are found each second", w->folder,
                 uv_strerror(failed));
    (void)uv_check_start(&w->check, on_check);
    (void)uv_timer_start(&w->timer, on_timer, WAL_WATCH_TIMER_MS, WAL_WATCH_TIMER_MS);
    *out = w;
    return PERCHE_OK;
}

static void handle_gone(struct wal_watch *w)
{
    void *ctx = w->closed_ctx;
    void (*on_closed)(void *ctx) = w->on_closed;

    if (--w->handles_open > 0)
        return;
    wal_watch_free(w);
    on_closed(ctx);
}

static void on_watch_closed(uv_handle_t *handle)
{
    handle_gone(container_of((uv_fs_event_t *)handle, struct wal_watch, watch));
}

static void on_check_closed(uv_handle_t *handle)
{
    handle_gone(container_of((uv_check_t *)handle, struct wal_watch, check));
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_gone(container_of((uv_timer_t *)handle, struct wal_watch, timer));
}

void wal_watch_close(struct wal_watch *w, void *ctx, void (*on_closed)(void *ctx))
{
    assert(!w->closing);
    w->closing = true;
    w->closed_ctx = ctx;
    w->on_closed = on_closed;
    w->handles_open = 3;
    uv_close((uv_handle_t *)&w->watch, on_watch_closed);
    uv_close((uv_handle_t *)&w->check, on_check_closed);
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}
