#include "net/job.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

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

void job_tell(const struct job *job)
{
    const struct outcome *o = &job->outcome;

    for (uint32_t i = 0; i < o->notes_count; i++) {
        const struct note *n = &o->notes[i];
        unsigned long long count = n->count;

        switch (n->kind) {
        case NOTE_CONFLICT: log_notice("conflict.opened", "table=%s kind=%s count=%llu id=%s", n->table, n->why, count, n->of); break;
        case NOTE_REFUSED:
            log_warn("write.refused", "table=%s reason=%s count=%llu%s%s", n->table, n->why, count, *n->of ? " site=" : "", n->of);
            break;
        case NOTE_HELD: log_warn("deletion.held", "table=%s rows=%llu id=%s", n->table, count, n->of); break;
        case NOTE_RELEASED: log_notice("deletion.released", "table=%s rows=%llu id=%s", n->table, count, n->of); break;
        case NOTE_CHORE: log_warn("chore.failed", "reason=\"%s\"", n->why); break;
        case NOTE_UNDONE: log_notice("deletion.undone", "table=%s rows=%llu id=%s", n->table, count, n->of); break;
        }
    }
    if (o->notes_left > 0)
        log_warn("replica.more", "count=%llu: conflicts, refusals and held deletions that are not named here", (unsigned long long)o->notes_left);
}

void job_fail(struct job *job, enum perche_rc rc, const char *text)
{
    memset(&job->outcome, 0, sizeof(job->outcome));
    job->outcome.kind = job->work.kind;
    job->outcome.tag = job->work.tag;
    job->outcome.owner = job->work.owner;
    job->outcome.rc = perche_err_set(&job->outcome.err, rc, "%s", text);
}
