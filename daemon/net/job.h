/* A work on its way: made on the loop, carried out on a worker, taken back on the loop. */
#ifndef NET_JOB_H
#define NET_JOB_H

#include "net/inbox.h"
#include "sync/work.h"

struct job {
    struct inbox_item item; /* the runner's */
    struct job *next;       /* the runner's */
    struct work work;       /* owned */
    struct outcome outcome; /* owned, once on_done is called */
    void *ctx;
    /* On the loop, exactly once. Owns the job: ends with job_free(). */
    void (*on_done)(struct job *job);
    char name[64]; /* what work.name points to, for queries and commands */
};

struct job *job_new(enum work_kind kind, void *ctx,
                    void (*on_done)(struct job *job)); /* NULL: out of memory */
void job_free(struct job *job);
/* Logs what its outcome says that somebody may have to look at. */
void job_tell(const struct job *job);
/* Fills the outcome of a job that was not carried out. */
void job_fail(struct job *job, enum perche_rc rc, const char *text);

#endif
