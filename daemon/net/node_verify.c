/* `perche verify`.
 *
 * Happy path: every table is listed to be compared (the command "audit"); harvests, a
 * chunk each, compare them and take over what they find; then a reader reads the tables
 * and their digests; at a site the rest is the hub's word, asked like `sync --wait`.
 * Failures are the answer. A chunk that was too large comes again by itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "net/node_own.h"

struct verify {
    struct node *n;
    void *ctx;
    node_answer_cb on_answer;
    char *args;
    json_t *answer;
    uint64_t found, restored;
    uint32_t busy; /* chunks in a row that have to come again */
};

#define VERIFY_BUSY_MAX 20u

static void verify_end(struct verify *v, const char *json, const struct perche_err *err)
{
    v->on_answer(v->ctx, json, err);
    json_decref(v->answer);
    free(v->args);
    free(v);
}

static void verify_fail(struct verify *v, enum perche_rc rc, const char *text)
{
    struct perche_err err;

    (void)perche_err_set(&err, rc, "%s", text);
    verify_end(v, NULL, &err);
}

static struct job *verify_job(enum work_kind kind, const char *name, const char *args, void *ctx,
                              void (*on_done)(struct job *job))
{
    struct job *job = job_new(kind, ctx, on_done);

    if (!job || !(job->work.args = strdup(args))) {
        job_free(job);
        return NULL;
    }
    (void)snprintf(job->name, sizeof(job->name), "%s", name);
    job->work.name = job->name;
    job->work.rows_max = PERCHE_HARVEST_CHUNK_ROWS;
    identity_random(job->work.random, sizeof(job->work.random));
    return job;
}

static void verify_run(struct verify *v, enum work_kind kind, void (*on_done)(struct job *job))
{
    struct job *job = verify_job(kind, "verify", v->args, v, on_done);

    if (job)
        node_run(v->n, job);
    else
        verify_fail(v, PERCHE_NOMEM, "out of memory");
}

static void on_told(struct job *job)
{
    job_free(job); /* one that failed is told again */
}

static void on_compared(void *ctx, const char *json, const struct perche_err *err)
{
    struct verify *v = ctx;
    json_t *said = json ? json_loads(json, 0, NULL) : NULL;
    const char *missing = json_string_value(json_object_get(said, "missing"));
    char *text;

    if (json_is_true(json_object_get(said, "done"))) {
        json_object_set_new(v->answer, "hub", json_string("equal"));
    } else {
        bool differs = missing && strcmp(missing, "not_equal") == 0;

        json_object_set_new(v->answer, "equal", differs ? json_false() : json_null());
        json_object_set_new(
            v->answer, "hub",
            json_string(missing ? missing : perche_rc_name(err ? err->rc : PERCHE_TIMEOUT)));
        json_object_set(v->answer, "state", json_object_get(said, "state")); /* of the line; not there: nothing is set */
        json_object_set(v->answer, "reason", json_object_get(said, "reason"));
    }
    json_decref(said);
    text = json_dumps(v->answer, JSON_COMPACT);
    if (text)
        verify_end(v, text, NULL);
    else
        verify_fail(v, PERCHE_NOMEM, "out of memory");
    free(text);
}

/* What waits here for a column, a table or a trigger to go is in no digest: nothing is comparable before that, and the
 * warnings have said it. */
static const char *never_comparable(const json_t *answer)
{
    json_t *warning;
    size_t i;

    json_array_foreach(json_object_get(answer, "warnings"), i, warning)
    {
        const char *reason = json_string_value(json_object_get(warning, "reason"));

        if (reason && strcmp(reason, "parked") == 0)
            return "{\"done\":false,\"missing\":\"parked\"}";
        if (reason && strcmp(reason, "table") == 0)
            return "{\"done\":false,\"missing\":\"table\"}";
    }
    return NULL;
}

/* There is no line, and why is known: nobody waits for one. False: it may be asked. */
static bool no_line(struct node *n, char *out, size_t out_n)
{
    struct sync_site_view view;

    node_site_view(n, &view);
    (void)snprintf(out, out_n, "{\"done\":false,\"missing\":\"offline\",\"state\":\"%s\",\"reason\":\"%s\"}",
                   sync_state_name(view.state), view.reason);
    return view.state == SYNC_OFFLINE || view.state == SYNC_REFUSED || view.state == SYNC_HELD ||
           (view.state == SYNC_CONNECTING && *view.reason);
}

static void on_verified(struct job *job)
{
    struct verify *v = job->ctx;
    struct node *n = v->n;
    struct job *told;
    char line[200];

    if (job->outcome.rc != PERCHE_OK) {
        verify_end(v, NULL, &job->outcome.err);
        job_free(job);
        return;
    }
    told = verify_job(WORK_COMMAND, "audit", "{\"told\":true}", n, on_told);
    if (told)
        node_run(n, told);
    v->answer = json_loads(job->outcome.json ? job->outcome.json : "{}", JSON_ALLOW_NUL, NULL);
    if (n->role == REPLICA_HUB || n->closing || !v->answer ||
        !json_is_true(json_object_get(v->answer, "equal"))) /* unequal already, whatever the hub has */
        verify_end(v, job->outcome.json ? job->outcome.json : "{}", NULL);
    else if (n->joined && never_comparable(v->answer))
        on_compared(v, never_comparable(v->answer), NULL);
    else if (n->joined && no_line(n, line, sizeof(line)))
        on_compared(v, line, NULL);
    else if (n->joined)
        node_sync(n, true, 0, v, on_compared);
    else
        on_compared(v, "{\"done\":false,\"missing\":\"unjoined\"}", NULL);
    job_free(job);
}

static void on_audited(struct job *job)
{
    struct verify *v = job->ctx;
    struct node *n = v->n;
    bool again = job->outcome.rc == PERCHE_BUSY && v->busy++ < VERIFY_BUSY_MAX;
    bool more = job->work.kind == WORK_COMMAND || job->outcome.more;

    if ((job->outcome.rc != PERCHE_OK && !again) || n->closing) {
        if (job->outcome.rc != PERCHE_OK)
            verify_end(v, NULL, &job->outcome.err);
        else
            verify_fail(v, PERCHE_STATE, "the daemon is stopping");
    } else if (again) {
        verify_run(v, WORK_HARVEST, on_audited);
    } else {
        v->busy = 0;
        v->found += job->outcome.found;
        v->restored += job->outcome.restored;
        if (!more && v->found + v->restored > 0)
            log_warn("replica.bypassed", "found=%" PRIu64 " restored=%" PRIu64, v->found, v->restored);
        node_woken(n, &job->outcome);
        verify_run(v, more ? WORK_HARVEST : WORK_QUERY, more ? on_audited : on_verified);
    }
    job_free(job);
}

void node_verify(struct node *n, const char *args_json, void *ctx, node_answer_cb on_answer)
{
    struct verify *v = calloc(1, sizeof(*v));
    struct job *job;

    if (v)
        v->args = strdup(args_json ? args_json : "{}");
    job = v && v->args ? verify_job(WORK_COMMAND, "audit", v->args, v, on_audited) : NULL;
    if (!job) {
        if (v)
            free(v->args);
        free(v);
        node_answer_later(n, ctx, on_answer, PERCHE_NOMEM, "out of memory");
        return;
    }
    v->n = n;
    v->ctx = ctx;
    v->on_answer = on_answer;
    node_run(n, job);
}
