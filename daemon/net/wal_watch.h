/* Notices that another program wrote the replica, and that its file was replaced.
 *
 * It watches the folder (inotify, by path) and never opens replica.db, -wal or -shm: a
 * close() of these would drop SQLite's locks. The WAL's event may come before the
 * commit is visible; whoever is told waits for the lock, not for the event. A slow
 * timer is the net under it. On the loop's thread. */
#ifndef NET_WAL_WATCH_H
#define NET_WAL_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

#include <uv.h>

#include "perche/rc.h"

#define WAL_WATCH_TIMER_MS 1000u

struct file_id { /* which file a path leads to */
    dev_t dev;
    ino_t ino;
};
/* NOT_FOUND, or DISK. */
enum perche_rc file_id_of(const char *path, struct file_id *out, struct perche_err *err);
/* Does @path still lead to it? Any thread. A passing failure counts as yes: it is asked again. */
bool file_id_is(const char *path, const struct file_id *id);

struct wal_watch;

struct wal_watch_events {
    void *ctx;
    /* The WAL was written, at most once each turn of the loop; or the timer went by. */
    void (*on_changed)(void *ctx);
    void (*on_replaced)(void *ctx); /* the file is another, or gone; once */
    /* Are the files the ones that are open? Asked when one has come or gone, at once, and each time
     * that the timer goes by. NULL: replica.db is looked at, alone. */
    bool (*stand)(void *ctx);
};

/* @path is that of replica.db, which exists. Copied. */
enum perche_rc wal_watch_new(uv_loop_t *loop, const char *path,
                             const struct wal_watch_events *events, struct wal_watch **out,
                             struct perche_err *err);
void wal_watch_close(struct wal_watch *w, void *ctx, void (*on_closed)(void *ctx));

#endif
