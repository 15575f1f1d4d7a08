/* What people ask of a node, by way of the control socket and the page. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "log.h"
#include "net/container_of.h"
#include "net/node_own.h"

#define TROUBLE_TOLD_MS 600000u

/* ---- answers ---------------------------------------------------------------- */

struct later {
    struct inbox_item item;
    void *ctx;
    node_answer_cb on_answer;
    struct perche_err err;
    char json[200]; /* "" = the error */
};

static void on_later(struct inbox_item *item)
{
    struct later *later = container_of(item, struct later, item);

    if (*later->json)
        later->on_answer(later->ctx, later->json, NULL);
    else
        later->on_answer(later->ctx, NULL, &later->err);
    free(later);
}

static void answer_later(struct node *n, void *ctx, node_answer_cb on_answer, const char *json,
                         enum perche_rc rc, const char *text)
{
    struct later *later = calloc(1, sizeof(*later));

    if (!later) { /* the promise "exactly once" is worth more than "later" */
        struct perche_err err;

        (void)perche_err_set(&err, PERCHE_NOMEM, "out of memory");
        on_answer(ctx, NULL, &err);
        return;
    }
    later->item.on_taken = on_later;
    later->ctx = ctx;
    later->on_answer = on_answer;
    if (json)
        (void)snprintf(later->json, sizeof(later->json), "%s", json);
    else
        (void)perche_err_set(&later->err, rc, "%s", text);
    inbox_put(&n->inbox, &later->item);
}

void node_answer_later(struct node *n, void *ctx, node_answer_cb on_answer, enum perche_rc rc,
                       const char *text)
{
    answer_later(n, ctx, on_answer, NULL, rc, text);
}

void call_end(struct job *job, const char *json)
{
    struct call *call = job->ctx;

    if (job->outcome.rc != PERCHE_OK)
        call->on_answer(call->ctx, NULL, &job->outcome.err);
    else
        call->on_answer(call->ctx,
                        json                ? json
                        : job->outcome.json ? job->outcome.json
                                            : "{}",
                        NULL);
    free(call);
    job_free(job);
}

void call_fail(struct job *job, enum perche_rc rc, const char *fmt, ...)
{
    char text[300];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    job->outcome.rc = perche_err_set(&job->outcome.err, rc, "%s", text);
    call_end(job, NULL);
}

void call_end_with(struct job *job, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (text)
        call_end(job, text);
    else
        call_fail(job, PERCHE_NOMEM, "out of memory");
    free(text);
}

void node_ask(struct node *n, enum work_kind kind, const char *name, const char *args_json,
              void *ctx, node_answer_cb on_answer, void (*on_done)(struct job *job))
{
    struct call *call = malloc(sizeof(*call));
    struct job *job = job_new(kind, call, on_done);

    if (job)
        job->work.args = strdup(args_json ? args_json : "{}");
    if (!call || !job || !job->work.args) {
        job_free(job);
        free(call);
        node_answer_later(n, ctx, on_answer, PERCHE_NOMEM, "out of memory");
        return;
    }
    *call = (struct call){.n = n, .ctx = ctx, .on_answer = on_answer};
    (void)snprintf(job->name, sizeof(job->name), "%s", name);
    job->work.name = job->name;
    identity_random(job->work.random, sizeof(job->work.random));
    node_run(n, job);
}

static void on_asked(struct job *job)
{
    struct call *call = job->ctx;

    if (job->outcome.rc == PERCHE_OK)
        node_woken(call->n, &job->outcome);
    call_end(job, NULL);
}

void node_query(struct node *n, const char *name, const char *args_json, void *ctx,
                node_answer_cb on_answer)
{
    if (strcmp(name, "verify") == 0)
        node_verify(n, args_json, ctx, on_answer);
    else
        node_ask(n, WORK_QUERY, name, args_json, ctx, on_answer, on_asked);
}

/* ---- commands ------------------------------------------------------------------ */

void node_woken(struct node *n, struct outcome *outcome)
{
    struct sync_event ev = {.kind = SYNC_EV_WOKEN, .outcome = outcome};

    if (n->sync_hub) {
        node_step(n, &ev);
    } else if (work_writes(outcome->kind)) { /* a site's own change: to be harvested */
        ev = (struct sync_event){.kind = SYNC_EV_CHANGED};
        node_step(n, &ev);
    }
}

static void on_signed(struct job *job)
{
    struct call *call = job->ctx;
    char *json = job->work.owner; /* what `replicate` answered, kept there meanwhile */

    if (job->outcome.rc == PERCHE_OK) {
        struct sync_event ev = {.kind = SYNC_EV_SCHEMA};

        node_woken(call->n, &job->outcome);
        node_step(call->n, &ev);
        call_end(job, json);
    } else {
        call_end(job, NULL);
    }
    free(json);
}

/* The job that stores the signature of the migration in @json; NULL with err->rc OK when it holds none. */
static struct job *signing_job(struct node *n, const char *json, void *ctx, void (*on_done)(struct job *),
                               struct perche_err *err)
{
    json_t *answer = json_loads(json, 0, NULL);
    struct perche_migration migration = {
        .number = (uint64_t)json_integer_value(json_object_get(answer, "number")),
        .name = json_string_value(json_object_get(answer, "name")),
        .sql = json_string_value(json_object_get(answer, "sql"))};
    struct sync_ops ops = identity_ops(n->identity);
    struct perche_buf buf = {0};
    struct job *job = NULL;
    uint8_t signature[64];
    char hex[129], args[200];

    *err = (struct perche_err){.rc = PERCHE_OK};
    if (migration.name && migration.sql && perche_migration_signed(&migration, &buf) == PERCHE_OK) {
        ops.sign(ops.ctx, buf.p, buf.n, signature);
        sodium_bin2hex(hex, sizeof(hex), signature, sizeof(signature));
        (void)snprintf(args, sizeof(args), "{\"number\":%" PRIu64 ",\"signature\":\"%s\"}",
                       migration.number, hex);
        job = job_new(WORK_COMMAND, ctx, on_done);
        if (job)
            job->work.args = strdup(args);
        if (!job || !job->work.args) {
            job_free(job);
            job = NULL;
            (void)perche_err_set(err, PERCHE_NOMEM, "out of memory");
        } else {
            (void)snprintf(job->name, sizeof(job->name), "migration_signature");
            job->work.name = job->name;
            identity_random(job->work.random, sizeof(job->work.random));
        }
    }
    perche_buf_free(&buf);
    json_decref(answer);
    return job;
}

/* A migration goes out once it is signed, and the key is the node's, not the replica's. */
static void on_replicated(struct job *job)
{
    struct call *call = job->ctx;
    struct perche_err err;
    struct job *next;

    if (job->outcome.rc != PERCHE_OK) {
        call_end(job, NULL);
        return;
    }
    node_woken(call->n, &job->outcome);
    next = signing_job(call->n, job->outcome.json, call, on_signed, &err);
    if (!next && err.rc == PERCHE_OK) {
        call_end(job, NULL); /* a replica that has nothing to sign */
        return;
    }
    if (!next) {
        call_fail(job, PERCHE_NOMEM,
                  "out of memory: the table is replicated, but not signed for the sites yet");
        return;
    }
    next->work.owner = job->outcome.json;
    job->outcome.json = NULL;
    job_free(job);
    node_run(call->n, next);
}

/* ---- migrations that a crash left without their signature ------------------------- */

static void on_signed_late(struct job *job)
{
    struct node *n = job->ctx;

    if (job->outcome.rc == PERCHE_OK) {
        struct sync_event ev = {.kind = SYNC_EV_SCHEMA};

        node_woken(n, &job->outcome);
        node_step(n, &ev);
        node_sign_rest(n);
    }
    job_free(job);
}

static void on_unsigned(struct job *job)
{
    struct node *n = job->ctx;
    struct perche_err err;
    struct job *next = NULL;

    if (job->outcome.rc == PERCHE_OK)
        next = signing_job(n, job->outcome.json, n, on_signed_late, &err);
    else if (job->outcome.rc != PERCHE_STATE) /* else it is stopping */
        log_warn("node.unsigned", "err=\"%s\"", job->outcome.err.text);
    job_free(job);
    if (next)
        node_run(n, next);
}

void node_sign_rest(struct node *n)
{
    struct job *job = job_new(WORK_COMMAND, n, on_unsigned);

    if (!job || !(job->work.args = strdup("{}"))) {
        job_free(job); /* the next start tries again */
        return;
    }
    (void)snprintf(job->name, sizeof(job->name), "migration_unsigned");
    job->work.name = job->name;
    identity_random(job->work.random, sizeof(job->work.random));
    node_run(n, job);
}

void node_command(struct node *n, const char *name, const char *args_json, void *ctx,
                  node_answer_cb on_answer)
{
    node_ask(n, WORK_COMMAND, name, args_json, ctx, on_answer,
             n->role == REPLICA_HUB && strcmp(name, "replicate") == 0 ? on_replicated : on_asked);
}

/* ---- status ---------------------------------------------------------------------- */

json_t *node_json_time(uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000u);
    char text[40], whole[48];
    struct tm tm;

    if (ms == 0 || !gmtime_r(&seconds, &tm) ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return json_null();
    (void)snprintf(whole, sizeof(whole), "%s.%03uZ", text, (unsigned)(ms % 1000u));
    return json_string(whole);
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

/* A program that keeps the WAL from beginning anew, or null. Whole MiB: who watches needs no line for each commit. */
static json_t *wal_held(const struct node *n)
{
    struct wal_held held;
    json_t *j;

    if (!wal_readers_held(&n->wal_readers, node_mono_ms(), &held))
        return json_null();
    j = json_object();
    json_object_set_new(j, "bytes", number(held.bytes >> 20 << 20));
    json_object_set_new(j, "pid", held.pid > 0 ? number((uint64_t)held.pid) : json_null());
    json_object_set_new(j, "name", text_or_null(held.name));
    json_object_set_new(j, "since", node_json_time((node_wall_ms() - held.ms) / 1000u * 1000u));
    return j;
}

/* A file of SQLite's that somebody removed since the start, or null. */
static json_t *put_back(const struct node *n)
{
    uint64_t at_ms;
    const char *name = wal_files_put_back(&n->files, &at_ms);
    json_t *j;

    if (!name)
        return json_null();
    j = json_object();
    json_object_set_new(j, "file", json_string(name));
    json_object_set_new(j, "at", node_json_time(at_ms));
    return j;
}

static json_t *wal_lost(const struct node *n)
{
    char name[NAME_MAX + 1];

    wal_files_lost(n->data, name, sizeof(name));
    return text_or_null(name);
}

static json_t *status_of_state(const struct node *n, const struct state *state)
{
    json_t *j = json_object();
    char epoch[24];

    (void)snprintf(epoch, sizeof(epoch), "%" PRIu64, state->epoch);
    json_object_set_new(j, "role", json_string(n->role == REPLICA_HUB ? "hub" : "site"));
    json_object_set_new(j, "name", json_string(node_name(n)));
    json_object_set_new(j, "id", json_string(n->site));
    json_object_set_new(j, "epoch", json_string(epoch));
    json_object_set_new(j, "lsn", number(state->lsn));
    json_object_set_new(j, "pending", number(state->pending + state->captured)); /* written is to be sent */
    json_object_set_new(j, "proven_equal_at", node_json_time(state->proven_ms));
    json_object_set_new(j, "conflicts_open", number(state->conflicts_open));
    json_object_set_new(j, "parked", number(state->parked));
    json_object_set_new(j, "held", number(state->held));
    json_object_set_new(j, "held_since", node_json_time(state->held_ms));
    json_object_set_new(j, "tables_gone", number(state->tables_gone));
    json_object_set_new(j, "obstacles", number(state->obstacles));
    json_object_set_new(j, "refused", number(state->refused));
    json_object_set_new(j, "kept_here", number(state->kept_here));
    json_object_set_new(j, "wal_held", wal_held(n));
    json_object_set_new(j, "wal_lost", wal_lost(n));
    json_object_set_new(j, "put_back", put_back(n));
    json_object_set_new(j, "version", json_string(PERCHE_VERSION));
    json_object_set_new(j, "bad_messages", number(n->bad_messages));
    json_object_set_new(j, "works", number(n->works));
    return j;
}

static void status_of_site(struct node *n, const struct state *state, json_t *j)
{
    struct sync_site_view view;
    bool met;

    node_site_view(n, &view);
    met = view.last_contact_ms != 0;
    json_object_set_new(j, "state", json_string(sync_state_name(view.state)));
    json_object_set_new(j, "reason", text_or_null(view.reason));
    json_object_set_new(j, "last_contact", node_json_time(view.last_contact_ms));
    json_object_set_new(j, "clock_offset_ms", met ? json_integer(view.offset_ms) : state->proven_ms != 0 ? json_integer(state->offset_ms) : json_null());
    json_object_set_new(j, "rtt_ms", met ? number(view.rtt_ms) : json_null());
    json_object_set_new(j, "next_try", node_json_time(view.next_try_ms));
    json_object_set_new(j, "hub", text_or_null(n->joined ? n->upstream.hub : NULL));
    json_object_set_new(j, "hub_url", text_or_null(n->joined ? node_upstream_url(n) : NULL));
    json_object_set_new(j, "bytes_out", number(view.bytes_out));
    json_object_set_new(j, "bytes_in", number(view.bytes_in));
    json_object_set_new(j, "rows_out", number(view.rows_out));
    json_object_set_new(j, "rows_in", number(view.rows_in));
}

/* The live part of every site, malloc; NULL with *count 0 when there is none. */
static struct sync_peer_view *peers_of(const struct node *n, uint32_t *count)
{
    struct sync_peer_view *peers = NULL;

    *count = n->sync_hub ? sync_hub_peers(n->sync_hub, NULL, 0) : 0;
    if (*count > 0)
        peers = calloc(*count, sizeof(*peers));
    if (peers)
        (void)sync_hub_peers(n->sync_hub, peers, *count); /* none comes or goes in between */
    else
        *count = 0;
    return peers;
}

/* Sites try again within minutes: a trouble that is older was theirs, or nobody has one any more. */
static const char *trouble_of(const struct node *n)
{
    if (n->trouble.kinds == 0 || node_mono_ms() - n->trouble.at_ms > TROUBLE_TOLD_MS)
        return NULL;
    return n->trouble.rc == PERCHE_FULL ? "disk" : perche_rc_name(n->trouble.rc);
}

static void status_of_hub(const struct node *n, json_t *j)
{
    uint32_t count, live = 0;
    struct sync_peer_view *peers = peers_of(n, &count);
    uint64_t contact = 0;

    for (uint32_t i = 0; i < count; i++) {
        live += peers[i].state == SYNC_LIVE || peers[i].state == SYNC_SYNCING;
        if (peers[i].last_contact_ms > contact)
            contact = peers[i].last_contact_ms;
    }
    free(peers);
    json_object_set_new(j, "state", json_string(n->downlink ? "live" : "offline"));
    json_object_set_new(j, "reason", text_or_null(trouble_of(n)));
    json_object_set_new(j, "last_contact", node_json_time(contact));
    json_object_set_new(j, "clock_offset_ms", json_null());
    json_object_set_new(j, "rtt_ms", json_null());
    json_object_set_new(j, "next_try", json_null());
    json_object_set_new(j, "hub", json_null());
    json_object_set_new(j, "hub_url", json_null());
    json_object_set_new(j, "sites_connected", number(live));
    json_object_set_new(j, "lines", number(n->downlink ? downlink_lines(n->downlink) : 0));
    json_object_set_new(j, "requests", number(n->downlink ? downlink_requests(n->downlink) : 0));
    json_object_set_new(j, "listen", text_or_null(n->listen));
    json_object_set_new(j, "port", number(node_port(n)));
}

static void on_state(struct job *job)
{
    struct call *call = job->ctx;
    json_t *j;

    if (job->outcome.rc != PERCHE_OK) {
        call_end(job, NULL);
        return;
    }
    j = status_of_state(call->n, &job->outcome.state);
    if (call->n->role == REPLICA_HUB) {
        status_of_hub(call->n, j);
        json_object_set_new(j, "sites", number(call->n->sites_count));
    } else {
        status_of_site(call->n, &job->outcome.state, j);
    }
    if (!json_is_null(json_object_get(j, "wal_lost")) && json_is_null(json_object_get(j, "reason")))
        json_object_set_new(j, "reason", json_string("wal_lost"));
    if (job->outcome.state.tables_gone > 0 && json_is_null(json_object_get(j, "reason")))
        json_object_set_new(j, "reason", json_string("table"));
    if (job->outcome.state.obstacles > 0 && json_is_null(json_object_get(j, "reason")))
        json_object_set_new(j, "reason", json_string("obstacle"));
    call_end_with(job, j);
}

/* How many sites there are, those that never called too: counted at most every ten seconds. */
static void on_sites_counted(struct job *job)
{
    struct call *call = job->ctx;
    json_t *answer;

    if (job->outcome.rc != PERCHE_OK) {
        call_end(job, NULL);
        return;
    }
    answer = json_loads(job->outcome.json ? job->outcome.json : "{}", 0, NULL);
    call->n->sites_count = (uint64_t)json_integer_value(json_object_get(answer, "sites"));
    call->n->sites_counted_ms = node_mono_ms();
    json_decref(answer);
    node_ask(call->n, WORK_STATE, "state", NULL, call->ctx, call->on_answer, on_state);
    free(call); /* the new work has one of its own */
    job_free(job);
}

void node_status(struct node *n, void *ctx, node_answer_cb on_answer)
{
    bool count = n->role == REPLICA_HUB &&
                 (n->sites_counted_ms == 0 || node_mono_ms() - n->sites_counted_ms > 10000u);

    if (count)
        node_ask(n, WORK_QUERY, "sites_count", NULL, ctx, on_answer, on_sites_counted);
    else
        node_ask(n, WORK_STATE, "state", NULL, ctx, on_answer, on_state);
}

/* ---- sites -------------------------------------------------------------------------- */

static void put_live_part(json_t *site, const struct sync_peer_view *peer)
{
    json_object_set_new(site, "state", json_string(sync_state_name(peer->state)));
    json_object_set_new(site, "pending", number(peer->pending));
    json_object_set_new(site, "clock_offset_ms", json_integer(peer->offset_ms));
    if (peer->last_contact_ms != 0)
        json_object_set_new(site, "last_contact", node_json_time(peer->last_contact_ms));
    if (peer->proven_ms != 0)
        json_object_set_new(site, "proven_equal_at", node_json_time(peer->proven_ms));
}

static int by_site(const void *a, const void *b)
{
    const struct sync_peer_view *left = a, *right = b;

    return strcmp(left->site, right->site);
}

static void on_sites(struct job *job)
{
    struct call *call = job->ctx;
    struct sync_peer_view *peers;
    json_t *answer, *site;
    uint32_t count;
    size_t i;

    if (job->outcome.rc != PERCHE_OK) {
        call_end(job, NULL);
        return;
    }
    answer = json_loads(job->outcome.json ? job->outcome.json : "{}", 0, NULL);
    peers = peers_of(call->n, &count);
    if (count > 0)
        qsort(peers, count, sizeof(*peers), by_site);
    json_array_foreach(json_object_get(answer, "sites"), i, site)
    {
        struct sync_peer_view wanted = {.site = ""}, *peer;

        (void)snprintf(wanted.site, sizeof(wanted.site), "%s",
                       json_is_string(json_object_get(site, "id"))
                           ? json_string_value(json_object_get(site, "id"))
                           : "");
        peer = count > 0 ? bsearch(&wanted, peers, count, sizeof(*peers), by_site) : NULL;
        /* What the replica knows of one that was revoked, held, has left or never joined is truer. */
        if (peer && json_is_null(json_object_get(site, "revoked_at")) &&
            json_is_null(json_object_get(site, "left_at")) &&
            json_is_null(json_object_get(site, "held_at")))
            put_live_part(site, peer);
    }
    free(peers);
    call->n->sites_count = json_array_size(json_object_get(answer, "sites"));
    call->n->sites_counted_ms = node_mono_ms();
    call_end_with(job, answer);
}

void node_sites(struct node *n, void *ctx, node_answer_cb on_answer)
{
    if (n->role != REPLICA_HUB)
        node_answer_later(n, ctx, on_answer, PERCHE_STATE,
                          "this is a site: its hub knows the sites");
    else
        node_ask(n, WORK_QUERY, "sites", NULL, ctx, on_answer, on_sites);
}

/* ---- sync --------------------------------------------------------------------------- */

/* How the line is, for an answer that says that there is none. Codes need no escaping. */
static void line_text(struct node *n, char *out, size_t out_n)
{
    struct sync_site_view view;

    node_site_view(n, &view);
    (void)snprintf(out, out_n, ",\"state\":\"%s\",\"reason\":\"%s\"", sync_state_name(view.state), view.reason);
}

void node_waiter_done(struct node *n, uint64_t tag, const char *missing)
{
    for (size_t i = 0; i < NODE_WAITERS_MAX; i++) {
        struct waiter *w = &n->waiters[i];
        char json[200], line[120];

        if (w->tag != tag || tag == 0)
            continue;
        w->tag = 0;
        line_text(n, line, sizeof(line));
        if (missing) /* a reason code: needs no escaping */
            (void)snprintf(json, sizeof(json), "{\"done\":false,\"missing\":\"%s\"%s}", missing, line);
        else
            (void)snprintf(json, sizeof(json), "{\"done\":true,\"missing\":null}");
        answer_later(n, w->ctx, w->on_answer, json, PERCHE_OK, NULL);
    }
}

void node_waiters_again(struct node *n)
{
    uint64_t now = node_mono_ms();

    for (size_t i = 0; i < NODE_WAITERS_MAX; i++) {
        struct waiter *w = &n->waiters[i];
        struct sync_event ev = {.kind = SYNC_EV_SYNC_NOW, .tag = w->tag, .wait = true};

        if (w->tag == 0)
            continue;
        if (w->limit != 0)
            ev.timeout_ms = w->limit > now ? w->limit - now : 1;
        node_step(n, &ev); /* may answer it */
    }
}

void node_waiters_fail(struct node *n)
{
    for (size_t i = 0; i < NODE_WAITERS_MAX; i++) {
        struct waiter *w = &n->waiters[i];

        if (w->tag != 0)
            node_answer_later(n, w->ctx, w->on_answer, PERCHE_STATE, "the daemon is stopping");
        w->tag = 0;
    }
}

void node_sync(struct node *n, bool wait, uint64_t timeout_ms, void *ctx, node_answer_cb on_answer)
{
    struct sync_event ev = {.kind = SYNC_EV_SYNC_NOW, .wait = wait, .timeout_ms = timeout_ms};
    struct waiter *w = NULL;
    char json[200], line[120];

    if (n->role == REPLICA_HUB || !n->joined) {
        node_answer_later(n, ctx, on_answer, PERCHE_STATE,
                          n->role == REPLICA_HUB
                              ? "this is a hub: its sites call when they have something"
                              : "this site has not joined a hub: perche join LINE");
        return;
    }
    for (size_t i = 0; wait && i < NODE_WAITERS_MAX && !w; i++)
        if (n->waiters[i].tag == 0)
            w = &n->waiters[i];
    if (wait && !w) {
        node_answer_later(n, ctx, on_answer, PERCHE_BUSY,
                          "too many are waiting for a sync already");
        return;
    }
    ev.tag = ++n->waiter_tags;
    if (w) {
        *w = (struct waiter){.tag = ev.tag,
                             .limit = timeout_ms > 0 ? node_mono_ms() + timeout_ms : 0,
                             .ctx = ctx,
                             .on_answer = on_answer};
    } else {
        line_text(n, line, sizeof(line)); /* as it was before this try */
        (void)snprintf(json, sizeof(json), "{\"done\":null,\"missing\":null%s}", line);
        answer_later(n, ctx, on_answer, json, PERCHE_OK, NULL);
    }
    node_step(n, &ev); /* may have answered already, and that comes later too */
}

/* ---- invite, revoke --------------------------------------------------------------------- */

static bool hex(const json_t *answer, const char *name, uint8_t *out, size_t n)
{
    const char *text = json_string_value(json_object_get(answer, name));
    size_t got = 0;

    return text && sodium_hex2bin(out, n, text, strlen(text), NULL, &got, NULL) == 0 && got == n;
}

/* The invitation is one line, whether or not it ends in a newline or a zero. */
static size_t line_length(const struct perche_buf *buf)
{
    size_t n = 0;

    while (n < buf->n && buf->p[n] != '\n' && buf->p[n] != '\0')
        n++;
    return n;
}

static void on_invited(struct job *job)
{
    struct call *call = job->ctx;
    struct node *n = call->n;
    struct perche_invitation invitation = {0};
    struct perche_err err = {0};
    struct perche_buf line = {0};
    json_t *answer, *out;

    if (job->outcome.rc != PERCHE_OK) {
        call_end(job, NULL);
        return;
    }
    node_woken(n, &job->outcome);
    n->sites_counted_ms = 0;
    answer = json_loads(job->outcome.json ? job->outcome.json : "{}", 0, NULL);
    invitation.url = n->advertise ? n->advertise : n->listen;
    invitation.hub = n->site;
    invitation.certificate =
        (struct perche_bytes){n->tls.certificate_der, (uint32_t)n->tls.certificate_der_n};
    memcpy(invitation.hub_key, identity_public_key(n->identity), sizeof(invitation.hub_key));
    invitation.expires_ms = (uint64_t)json_integer_value(json_object_get(answer, "expires_ms"));
    invitation.site = json_string_value(json_object_get(answer, "site"));
    invitation.name = json_string_value(json_object_get(answer, "name"));
    if (!hex(answer, "invitation", invitation.id, sizeof(invitation.id)) ||
        !hex(answer, "secret", invitation.secret, sizeof(invitation.secret)) || !invitation.site ||
        !invitation.name)
        (void)perche_err_set(&err, PERCHE_INTERNAL, "the replica's invitation lacks something");
    else
        (void)perche_invitation_format(&invitation, &line, &err);
    sodium_memzero(invitation.secret, sizeof(invitation.secret));
    if (err.rc != PERCHE_OK) {
        call_fail(job, err.rc, "%s", err.text);
    } else {
        out = json_object();
        json_object_set_new(out, "line", json_stringn((const char *)line.p, line_length(&line)));
        json_object_set_new(out, "site", json_string(invitation.site));
        json_object_set_new(out, "name", json_string(invitation.name));
        json_object_set(out, "code", json_object_get(answer, "code"));
        json_object_set_new(out, "expires", node_json_time(invitation.expires_ms));
        json_object_set(out, "withdrawn", json_object_get(answer, "withdrawn"));
        log_notice("node.invited", "site=%s expires_ms=%llu", invitation.site, (unsigned long long)invitation.expires_ms);
        call_end_with(job, out);
    }
    perche_buf_free(&line);
    json_decref(answer);
}

void node_invite(struct node *n, const char *args_json, void *ctx, node_answer_cb on_answer)
{
    if (n->role != REPLICA_HUB)
        node_answer_later(n, ctx, on_answer, PERCHE_STATE, "this is a site: the hub invites");
    else if (!n->tls.certificate_der)
        node_answer_later(n, ctx, on_answer, PERCHE_STATE, "this hub has no certificate");
    else
        node_ask(n, WORK_COMMAND, "invite", args_json, ctx, on_answer, on_invited);
}

static void on_revoked(struct job *job)
{
    struct call *call = job->ctx;
    struct sync_event ev = {.kind = SYNC_EV_REVOKED};
    json_t *answer;

    if (job->outcome.rc == PERCHE_OK) {
        node_woken(call->n, &job->outcome);
        answer = json_loads(job->outcome.json ? job->outcome.json : "{}", 0, NULL);
        ev.site = json_string_value(json_object_get(answer, "site"));
        if (ev.site)
            node_step(call->n, &ev);
        node_revoked_keep(call->n, json_object_get(answer, "revoked"));
        (void)json_object_del(answer, "revoked"); /* not there only where there is nothing to keep */
        call_end_with(job, answer);
        return;
    }
    call_end(job, NULL);
}

void node_revoke(struct node *n, const char *args_json, void *ctx, node_answer_cb on_answer)
{
    if (n->role != REPLICA_HUB)
        node_answer_later(n, ctx, on_answer, PERCHE_STATE, "this is a site: the hub revokes");
    else
        node_ask(n, WORK_COMMAND, "revoke", args_json, ctx, on_answer, on_revoked);
}
