/* A site joins its hub and leaves it.
 *
 * Happy path: parse the line; dial its hub with the certificate that is in it; enrol;
 * write upstream.conf; let the replica take the id that the hub gave; begin the
 * conversation. A stop after the file is made good at the next start, as the file holds
 * all that the replica is to be told, again and again while it cannot be written; a stop
 * before it leaves a used invitation, which the hub honours again for the same key.
 * Failures: each is told to the person who asked, with what to do. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "log.h"
#include "net/container_of.h"
#include "net/node_own.h"

#define ENROL_MS_MAX 30000u

struct join {
    struct node *n; /* NULL: answered */
    void *ctx;
    node_answer_cb on_answer;
    struct perche_invitation invitation;
    struct perche_arena *arena; /* of the invitation */
    struct upstream upstream;   /* as it comes together */
    struct uplink *uplink;
    uv_timer_t timer;
    char warning[200];
    unsigned handles_open;
};

/* ---- the end of a join -------------------------------------------------------- */

static void join_gone(struct join *join)
{
    if (--join->handles_open > 0)
        return;
    upstream_clear(&join->upstream);
    perche_arena_free(join->arena);
    free(join);
}

static void on_line_gone(void *ctx)
{
    join_gone(ctx);
}

static void on_timer_gone(uv_handle_t *handle)
{
    join_gone(container_of((uv_timer_t *)handle, struct join, timer));
}

/* The line is done with; the rest goes when both handles are closed. */
static void hang_up(struct join *join)
{
    if (!join->uplink) { /* nothing was dialled yet */
        join->handles_open = 1;
        join_gone(join);
        return;
    }
    join->handles_open = 2;
    uplink_close(join->uplink, join, on_line_gone);
    join->uplink = NULL;
    uv_close((uv_handle_t *)&join->timer, on_timer_gone);
}

static void fail(struct join *join, enum perche_rc rc, const char *text)
{
    struct node *n = join->n;
    struct perche_err err = {0};

    (void)perche_err_set(&err, rc, "%s", text);
    log_warn("join.failed", "rc=%s err=\"%s\"", perche_rc_name(rc), text);
    n->join = NULL;
    join->n = NULL;
    join->on_answer(join->ctx, NULL, &err);
    hang_up(join);
}

void node_join_fail(struct node *n)
{
    if (n->join)
        fail(n->join, PERCHE_STATE, "the daemon is stopping");
}

/* ---- the replica takes the new id ------------------------------------------------ */

static json_t *joined_args(const struct upstream *u)
{
    char key[65];

    sodium_bin2hex(key, sizeof(key), u->hub_key, sizeof(u->hub_key));
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "site", u->site, "code", u->code, "name", u->name,
                     "hub", u->hub, "hub_key", key);
}

/* WORK_COMMAND "joined" of n->upstream; false: out of memory. */
static bool tell_replica(struct node *n, void (*on_done)(struct job *job))
{
    json_t *args = joined_args(&n->upstream);
    struct job *job = job_new(WORK_COMMAND, n, on_done);

    if (job && args)
        job->work.args = json_dumps(args, JSON_COMPACT);
    json_decref(args);
    if (!job || !job->work.args) {
        job_free(job);
        return false;
    }
    (void)snprintf(job->name, sizeof(job->name), "joined");
    job->work.name = job->name;
    identity_random(job->work.random, sizeof(job->work.random));
    node_run(n, job);
    return true;
}

static enum perche_rc begin(struct node *n, struct perche_err *err)
{
    enum perche_rc rc;

    (void)snprintf(n->site, sizeof(n->site), "%s", n->upstream.site);
    readers_reopen(n->readers); /* they know the node by its old id */
    n->joined = true;
    rc = node_uplink(n, err);
    if (rc == PERCHE_OK)
        rc = node_converse(n, err);
    return rc;
}

static void on_resumed(struct job *job);

static void resume(struct node *n)
{
    n->resume.under_way = true;
    if (!tell_replica(n, on_resumed))
        node_end(n, "out of memory");
}

static void on_resume_timer(uv_timer_t *timer)
{
    struct node *n = container_of(timer, struct node, resume.timer);

    if (!n->closing && !n->ended)
        resume(n);
}

/* A program holds the file's lock, or the disk is full: that passes. */
static bool passes(enum perche_rc rc)
{
    return rc == PERCHE_BUSY || rc == PERCHE_FULL || rc == PERCHE_DISK || rc == PERCHE_NOMEM;
}

static void resume_later(struct node *n, enum perche_rc rc, const char *text)
{
    const struct sync_ops ops = identity_ops(n->identity);
    uint64_t ms = backoff_next_ms(&n->resume.waits, &ops);

    log_warn("join.waits", "hub=%s site=%s rc=%s err=\"%s\" retry_ms=%" PRIu64, n->upstream.hub, n->upstream.site,
             perche_rc_name(rc), text, ms);
    (void)uv_timer_start(&n->resume.timer, on_resume_timer, ms, 0); /* not closing: 0 */
}

static void on_resumed(struct job *job)
{
    struct node *n = job->ctx;
    struct perche_err err = job->outcome.err;
    enum perche_rc rc = job->outcome.rc;
    bool later = passes(rc);

    job_free(job);
    if (n->closing || n->ended)
        return;
    n->resume.under_way = later;
    if (rc == PERCHE_OK)
        rc = begin(n, &err);
    if (rc == PERCHE_OK)
        return;
    if (later)
        resume_later(n, rc, err.text);
    else
        log_error("join.not_resumed",
                  "hub=%s site=%s rc=%s err=\"%s\": this site works alone until it "
                  "joins again",
                  n->upstream.hub, n->upstream.site, perche_rc_name(rc), err.text);
    n->joined = false;
    if ((!later || !n->sync_site) && node_converse(n, &err) != PERCHE_OK) /* alone, so that what programs write is harvested */
        node_end(n, "%s", err.text);
}

void node_join_resume(struct node *n)
{
    log_notice("join.resumed", "hub=%s site=%s", n->upstream.hub, n->upstream.site);
    resume(n);
}

static void succeed(struct join *join)
{
    struct node *n = join->n;
    json_t *answer =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "site", n->upstream.site, "code", n->upstream.code,
                  "name", n->upstream.name, "hub", n->upstream.hub, "url", node_upstream_url(n));
    char *text;

    json_object_set_new(answer, "warning",
                        *join->warning ? json_string(join->warning) : json_null());
    text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    log_notice("join.done", "hub=%s site=%s", n->upstream.hub, n->upstream.site);
    n->join = NULL;
    join->n = NULL;
    join->on_answer(join->ctx, text ? text : "{}", NULL);
    free(text);
    hang_up(join);
}

static void on_joined(struct job *job)
{
    struct node *n = job->ctx;
    struct join *join = n->join;
    struct perche_err err = job->outcome.err;
    enum perche_rc rc = job->outcome.rc;

    job_free(job);
    if (!join || n->closing || n->ended) /* answered already */
        return;
    if (rc == PERCHE_OK)
        rc = begin(n, &err);
    if (rc == PERCHE_OK) {
        succeed(join);
        return;
    }
    (void)upstream_remove(n->data,
                          NULL); /* what is left of it fails at the next start, and says so */
    upstream_clear(&n->upstream);
    n->joined = false;
    (void)node_converse(n, NULL); /* alone; without memory the old one goes on, which nobody answers */
    perche_err_wrap(&err, "the hub has taken this site, but its replica has not");
    fail(join, rc, err.text);
}

/* ---- the line to the hub ------------------------------------------------------------ */

static void on_up(void *ctx)
{
    struct join *join = ctx;
    struct perche_message m = {.op = PERCHE_OP_ENROL};
    struct perche_buf buf = {0};
    struct perche_err err = {0};
    enum perche_rc rc;

    memcpy(m.u.enrol.invitation, join->invitation.id, sizeof(m.u.enrol.invitation));
    memcpy(m.u.enrol.secret, join->invitation.secret, sizeof(m.u.enrol.secret));
    memcpy(m.u.enrol.public_key, identity_public_key(join->n->identity),
           sizeof(m.u.enrol.public_key));
    m.u.enrol.name = join->n->name;
    rc = perche_message_encode(&m, &buf, &err);
    if (rc == PERCHE_OK)
        rc = uplink_send(join->uplink, 0, (struct perche_bytes){buf.p, (uint32_t)buf.n}, &err);
    if (buf.p)
        sodium_memzero(buf.p, buf.n);
    perche_buf_free(&buf);
    sodium_memzero(&m, sizeof(m));
    if (rc != PERCHE_OK)
        fail(join, rc, err.text);
}

static void on_down(void *ctx, const char *reason, const char *detail)
{
    static const struct {
        const char *reason;
        enum perche_rc rc;
        const char *words;
    } kinds[] = {
        {"refused", PERCHE_NET,
         "nobody listens there: is the hub up, and is the port right? "
         "--url says another address"},
        {"certificate", PERCHE_AUTH,
         "another hub answers there than the one that invited: its "
         "certificate is not the invitation's"},
        {"timeout", PERCHE_TIMEOUT,
         "no answer in time: is the hub up, and does a firewall let "
         "this through?"},
        {"name", PERCHE_NET,
         "the name is not known here, or no name service answers: --url "
         "says another address"},
        {"route", PERCHE_NET, "there is no way to this address from here"},
    };
    struct join *join = ctx;
    char text[400];

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].reason, reason) == 0) {
            (void)snprintf(text, sizeof(text), "%s: %s", uplink_url(join->uplink), kinds[i].words);
            fail(join, kinds[i].rc, text);
            return;
        }
    (void)snprintf(text, sizeof(text), "%s: the line was lost (%s)", uplink_url(join->uplink),
                   detail);
    fail(join, PERCHE_NET, text);
}

static void refused(struct join *join, const struct perche_no *no)
{
    char text[400];

    switch (no->why) {
    case PERCHE_NO_INVITATION_USED:
        fail(join, PERCHE_REFUSED,
             "this invitation has been used by another machine: ask the hub for a new one");
        return;
    case PERCHE_NO_INVITATION_EXPIRED:
        fail(join, PERCHE_REFUSED, "this invitation has expired: ask the hub for a new one");
        return;
    case PERCHE_NO_INVITATION_UNKNOWN:
        fail(join, PERCHE_REFUSED,
             "the hub does not know this invitation: it was withdrawn, or the "
             "hub was restored; ask for a new one");
        return;
    default:
        (void)snprintf(text, sizeof(text), "the hub refuses: %s%s%.200s",
                       perche_refusal_name(no->why), no->text && *no->text ? ", " : "",
                       no->text ? no->text : "");
        fail(join, PERCHE_REFUSED, text);
    }
}

static void enrolled(struct join *join, const struct perche_enrol_reply *reply)
{
    struct node *n = join->n;
    struct upstream *u = &join->upstream;
    struct perche_err err = {0};
    enum perche_rc rc;

    if (strcmp(reply->site, join->invitation.site) != 0 || strlen(reply->site) >= sizeof(u->site) ||
        strlen(reply->code) >= sizeof(u->code) || strlen(reply->name) >= sizeof(u->name)) {
        fail(join, PERCHE_CORRUPT, "the hub's answer does not fit the invitation");
        return;
    }
    (void)snprintf(u->site, sizeof(u->site), "%s", reply->site);
    (void)snprintf(u->code, sizeof(u->code), "%s", reply->code);
    (void)snprintf(u->name, sizeof(u->name), "%s", reply->name);
    uv_timer_stop(&join->timer); /* from here on it ends by itself */
    rc = upstream_write(n->data, u, &err);
    if (rc != PERCHE_OK) {
        perche_err_wrap(&err, "the hub has taken this site, but that cannot be written down");
        fail(join, rc, err.text);
        return;
    }
    upstream_clear(&n->upstream);
    n->upstream = *u;
    memset(u, 0, sizeof(*u)); /* the node's now */
    uplink_drop(join->uplink);
    if (!tell_replica(n, on_joined))
        fail(join, PERCHE_NOMEM, "out of memory");
}

static void on_reply(void *ctx, uint32_t channel, struct perche_bytes body, uint64_t line_ms)
{
    struct join *join = ctx;
    struct perche_message m = {0};
    struct perche_err err = {0};

    (void)channel;
    (void)line_ms;
    if (!join->n)
        return;
    if (perche_message_decode(body, &m, &err) != PERCHE_OK) {
        fail(join, PERCHE_CORRUPT, "what answers there is no hub of this kind");
        return;
    }
    if (!m.reply || (m.op != PERCHE_OP_ENROL && !m.refused))
        fail(join, PERCHE_CORRUPT, "the hub answers to something else");
    else if (m.refused)
        refused(join, &m.u.no);
    else
        enrolled(join, &m.u.enrol_reply);
    perche_message_free(&m);
}

static void on_timer(uv_timer_t *timer)
{
    struct join *join = container_of(timer, struct join, timer);

    if (join->n)
        fail(join, PERCHE_TIMEOUT, "the hub took the line but gave no answer in time");
}

/* ---- join ------------------------------------------------------------------------------ */

bool node_may_join_anew(const char *reason)
{
    static const char *const reasons[] = {"revoked", "left", "unknown_site", "signature", "certificate"};

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (strcmp(reasons[i], reason) == 0)
            return true;
    return false;
}

/* The hub that it had joined lets it in no more: a new invitation takes the place of the old one. */
static bool is_out(struct node *n)
{
    struct sync_site_view view;

    node_site_view(n, &view); /* also while it dials once more */
    return node_may_join_anew(view.reason);
}

static enum perche_rc prepare(struct join *join, const char *line, const char *url,
                              struct perche_err *err)
{
    struct perche_invitation *i = &join->invitation;
    struct upstream *u = &join->upstream;
    uint64_t now = node_wall_ms();
    enum perche_rc rc = perche_invitation_parse(line, i, &join->arena, err);

    if (rc != PERCHE_OK)
        return rc;
    if (!url || !*url)
        url = i->url;
    if (strlen(url) >= sizeof(u->url) || strlen(i->hub) >= sizeof(u->hub))
        return perche_err_set(err, PERCHE_TOO_LARGE, "the address of the hub is too long");
    if (i->expires_ms < now) /* this clock may be wrong: the hub decides */
        (void)snprintf(join->warning, sizeof(join->warning),
                       "by this machine's clock the invitation expired %" PRIu64 " minutes ago",
                       (now - i->expires_ms) / 60000u);
    (void)snprintf(u->url, sizeof(u->url), "%s", url);
    (void)snprintf(u->hub, sizeof(u->hub), "%s", i->hub);
    memcpy(u->hub_key, i->hub_key, sizeof(u->hub_key));
    return tls_pem_of_der(i->certificate.p, i->certificate.n, &u->certificate_pem,
                          &u->certificate_pem_n, err);
}

static enum perche_rc call_hub(struct join *join, struct perche_err *err)
{
    struct uplink_config config = {.url = join->upstream.url,
                                   .ca_pem = (const char *)join->upstream.certificate_pem,
                                   .server_name = join->upstream.hub,
                                   .bytes_max = 64u << 10};
    struct uplink_events events = {
        .ctx = join, .on_up = on_up, .on_down = on_down, .on_reply = on_reply};
    struct node *n = join->n;
    enum perche_rc rc = uplink_new(n->loop, &config, &events, &join->uplink, err);

    if (rc == PERCHE_CONFIG)
        rc = err->rc = PERCHE_USAGE; /* the address was given, not configured; the text stays */
    if (rc != PERCHE_OK)
        return rc;
    (void)uv_timer_init(n->loop, &join->timer); /* always 0 */
    rc = uplink_dial(join->uplink, err);
    if (rc == PERCHE_OK)
        (void)uv_timer_start(&join->timer, on_timer, ENROL_MS_MAX, 0); /* not closing: 0 */
    return rc;
}

/* The replica has said whether it may belong to that hub, before the hub is asked: an invitation is good once. */
static void on_may_join(struct job *job)
{
    struct node *n = job->ctx;
    struct join *join = n->join;
    struct perche_err err = job->outcome.err;
    enum perche_rc rc = job->outcome.rc;

    job_free(job);
    if (!join || n->closing || n->ended) /* answered already */
        return;
    if (rc == PERCHE_OK)
        rc = call_hub(join, &err);
    if (rc == PERCHE_OK)
        return;
    fail(join, rc, err.text);
}

static enum perche_rc ask_replica(struct join *join, struct perche_err *err)
{
    json_t *args = json_pack("{s:s, s:s}", "site", join->invitation.site, "hub", join->invitation.hub);
    struct job *job = job_new(WORK_QUERY, join->n, on_may_join);

    if (job && args)
        job->work.args = json_dumps(args, JSON_COMPACT);
    json_decref(args);
    if (!job || !job->work.args) {
        job_free(job);
        return perche_err_set(err, PERCHE_NOMEM, "out of memory");
    }
    (void)snprintf(job->name, sizeof(job->name), "may_join");
    job->work.name = job->name;
    join->n->join = join;
    node_run(join->n, job);
    return PERCHE_OK;
}

void node_join(struct node *n, const char *line, const char *url, void *ctx,
               node_answer_cb on_answer)
{
    bool busy = n->join || n->leaving || n->resume.under_way;
    struct perche_err err = {0};
    struct join *join;
    enum perche_rc rc;

    if (n->role == REPLICA_HUB || busy || (n->joined && !is_out(n))) {
        node_answer_later(
            n, ctx, on_answer, n->role != REPLICA_HUB && busy ? PERCHE_BUSY : PERCHE_STATE,
            n->role == REPLICA_HUB ? "this is a hub; a hub below another hub is for later"
            : n->resume.under_way  ? "an earlier join is still under way: it ends by itself as soon as replica.db can be written"
            : busy                 ? "a join or leave is under way"
                                   : "this site has joined a hub already: perche leave first");
        return;
    }
    join = calloc(1, sizeof(*join));
    if (!join) {
        node_answer_later(n, ctx, on_answer, PERCHE_NOMEM, "out of memory");
        return;
    }
    join->n = n;
    join->ctx = ctx;
    join->on_answer = on_answer;
    rc = prepare(join, line, url, &err);
    if (rc == PERCHE_OK)
        rc = ask_replica(join, &err);
    if (rc == PERCHE_OK)
        return;
    log_warn("join.failed", "rc=%s err=\"%s\"", perche_rc_name(rc), err.text);
    node_answer_later(n, ctx, on_answer, rc, err.text);
    join->n = NULL;
    join->handles_open = 1;
    join_gone(join);
}

/* ---- leave ------------------------------------------------------------------------------- */

static void end_leave(struct node *n, const char *json, enum perche_rc rc, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void end_leave(struct node *n, const char *json, enum perche_rc rc, const char *fmt, ...)
{
    node_answer_cb on_answer = n->leave.on_answer;
    struct perche_err err = {0};
    char text[400];
    va_list args;

    n->leaving = false;
    n->leave.on_answer = NULL;
    if (!on_answer)
        return;
    if (json) {
        on_answer(n->leave.ctx, json, NULL);
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)perche_err_set(&err, rc, "%s", text);
    on_answer(n->leave.ctx, NULL, &err);
}

static void on_left(struct job *job)
{
    struct node *n = job->ctx;

    if (job->outcome.rc == PERCHE_OK)
        end_leave(n, "{\"left\":true}", PERCHE_OK, " ");
    else
        end_leave(n, NULL, job->outcome.rc, "%s", job->outcome.err.text);
    job_free(job);
}

/* WORK_COMMAND "left"; false: out of memory. */
static bool tell_left(struct node *n)
{
    struct job *job = job_new(WORK_COMMAND, n, on_left);

    if (job)
        job->work.args = strdup("{}");
    if (!job || !job->work.args) {
        job_free(job);
        return false;
    }
    (void)snprintf(job->name, sizeof(job->name), "left");
    job->work.name = job->name;
    identity_random(job->work.random, sizeof(job->work.random));
    n->leaving = true;
    node_run(n, job);
    return true;
}

void node_leave_resume(struct node *n)
{
    log_notice("leave.resumed", "hub=%s site=%s", n->hub, n->site);
    if (!tell_left(n))
        log_warn("leave.resumed", "err=\"out of memory\": the next start tries again");
}

static void on_uplink_gone(void *ctx)
{
    (void)ctx; /* nobody waits for it */
}

/* The hub has answered, or knows of nobody here. The file first: a stop in between leaves a site that is not joined, and
 * its next start tells the replica. */
static void forget_hub(struct node *n)
{
    struct perche_err err = {0};
    enum perche_rc rc = upstream_remove(n->data, &err);

    if (rc == PERCHE_OK && n->joined) {
        n->joined = false;
        if (n->uplink)
            uplink_close(n->uplink, NULL, on_uplink_gone);
        n->uplink = NULL;
        rc = node_converse(n, &err); /* alone: what programs write is harvested all the same */
    }
    if (rc != PERCHE_OK) {
        end_leave(n, NULL, rc, "the hub has let this site go, but here it is not done: %s; say leave again", err.text);
        return;
    }
    log_notice("leave.done", "hub=%s site=%s", n->upstream.hub, n->site);
    upstream_clear(&n->upstream);
    if (!tell_left(n))
        end_leave(n, NULL, PERCHE_NOMEM, "out of memory");
}

static const char *and_why(const char *text, char *out, size_t out_n)
{
    (void)snprintf(out, out_n, "%s%s%s", *text ? " (" : "", text, *text ? ")" : "");
    return out;
}

static void on_leave_told(struct inbox_item *item)
{
    struct node *n = container_of(item, struct node, leave.item);
    const char *why = n->leave.why, *text = n->leave.text;
    char brackets[170];

    if (!n->leaving || n->closing)
        return;
    if (!*why) {
        forget_hub(n);
        return;
    }
    log_notice("leave.refused", "why=%s", why);
    if (strcmp(why, "waiting") == 0)
        end_leave(n, NULL, PERCHE_STATE, "this site does not leave while something waits here: %s; \"perche sync --wait\" first", text);
    else if (strcmp(why, "offline") == 0 || strcmp(why, "timeout") == 0)
        end_leave(n, NULL, strcmp(why, "offline") == 0 ? PERCHE_NET : PERCHE_TIMEOUT,
                  "the hub has to know, and %s%s: say leave again when it can be reached",
                  strcmp(why, "offline") == 0 ? "there is no line to it" : "gave no answer in time",
                  and_why(text, brackets, sizeof(brackets)));
    else if (node_may_join_anew(why))
        end_leave(n, NULL, PERCHE_REFUSED,
                  "the hub does not let this site in (%s), so that there is nothing to leave: ask it for a new invitation, and \"perche"
                  " join\" that line here", why);
    else
        end_leave(n, NULL, PERCHE_REFUSED, "the hub does not talk with this site (%s)%s%s: put that right first, see \"perche status\"",
                  why, *text ? ", " : "", text);
}

void node_leave_init(struct node *n)
{
    n->leave.item.on_taken = on_leave_told;
}

void node_leave_told(struct node *n, const char *why, const char *text)
{
    if (!n->leaving)
        return;
    (void)snprintf(n->leave.why, sizeof(n->leave.why), "%s", why ? why : "");
    (void)snprintf(n->leave.text, sizeof(n->leave.text), "%s", text);
    inbox_put(&n->inbox, &n->leave.item);
}

void node_leave_fail(struct node *n)
{
    if (n->leave.on_answer)
        end_leave(n, NULL, PERCHE_STATE, "the daemon is stopping");
}

void node_leave(struct node *n, void *ctx, node_answer_cb on_answer)
{
    struct sync_event ev = {.kind = SYNC_EV_LEAVE};

    if (n->role == REPLICA_HUB || n->join || n->leaving || n->resume.under_way) {
        node_answer_later(n, ctx, on_answer, n->role == REPLICA_HUB ? PERCHE_STATE : PERCHE_BUSY,
                          n->role == REPLICA_HUB ? "this is a hub: it has nothing to leave"
                                                 : "a join or leave is under way");
        return;
    }
    n->leave.ctx = ctx;
    n->leave.on_answer = on_answer;
    n->leaving = true;
    if (n->joined)
        node_step(n, &ev); /* answers through node_leave_told() */
    else
        node_leave_told(n, NULL, "");
}
