#include "net/job.h"

#include <stdlib.h>
#include <string.h>

struct job *job_new(enum work_kind kind, void *ctx, void (*on_done)(struct job *job))
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->work.kind = kind;
    job->ctx = ctx;
    job->on_done = on_done;
    return job;
}

void job_free(struct job *job)
{
    if (!job)
        return;
    work_free(&job->work);
    outcome_free(&job->outcome);
    free(job);
}

void job_fail(struct job *job, enum perche_rc rc, const char *text)
{
    memset(&job->outcome, 0, sizeof(job->outcome));
    job->outcome.kind = job->work.kind;
    job->outcome.tag = job->work.tag;
    job->outcome.owner = job->work.owner;
    job->outcome.rc = perche_err_set(&job->outcome.err, rc, "%s", text);
}
