/* Threads that read the replica, each with a connection of its own, side by side.
 *
 * What the conversation asks goes first; questions of people (WORK_QUERY), which may
 * take seconds, never hold the last thread. */
#ifndef NET_READERS_H
#define NET_READERS_H

#include "net/job.h"

#define READERS_COUNT    3u    /* one for a long report, one for a long pull, one for the rest */
#define READERS_JOBS_MAX 8192u /* as the writer's */

struct reader_ops { /* called on the readers' threads; open also on the loop, before they start */
    void *ctx;
    enum perche_rc (*open)(void *ctx, void **out, struct perche_err *err);
    void (*close)(void *ctx, void *reader);
    void (*perform)(void *ctx, void *reader, const struct work *work, struct outcome *outcome);
};

struct readers;

/* Opens every connection first: on failure nothing is left. */
enum perche_rc readers_new(uv_loop_t *loop, const struct reader_ops *ops, struct readers **out,
                           struct perche_err *err);
/* Takes @job on success. BUSY: too many wait; STATE: closing. */
enum perche_rc readers_put(struct readers *r, struct job *job, struct perche_err *err);
/* Each thread opens its connection anew before its next job: the node's identity changed. */
void readers_reopen(struct readers *r);
/* Lets the works under way end; those that wait come back with STATE. Frees @r. */
void readers_close(struct readers *r, void *ctx, void (*on_closed)(void *ctx));

#endif
