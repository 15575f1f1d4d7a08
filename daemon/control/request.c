/* What can be asked: one table, and for most of it the node does the rest. */
#include "control/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"

struct kind;

struct request {
    struct client *client;   /* NULL: has gone, or was told that it takes too long */
    struct control *control; /* valid while client is set */
    const struct kind *kind;
    json_t *args; /* owned */
    unsigned uid; /* who asked, also after the client has gone */
    int pid;
};

struct kind {
    const char *name;
    bool changes; /* something: logged with the user */
    uint64_t limit_ms;
    void (*start)(struct request *r);
};

/* -------------------------------------------------------------------- ends */

static void request_free(struct request *r)
{
    if (!r)
        return;
    json_decref(r->args);
    free(r);
}

void request_forget(struct request *r)
{
    r->client = NULL;
    r->control = NULL;
}

/* The request is over; its client, NULL when it has gone. */
static struct client *finish(struct request *r)
{
    struct client *client = r->client;

    if (client)
        client->request = NULL;
    request_free(r);
    return client;
}

/* A command that changes something: who asked for it, and what came of it. */
static void log_command(const struct request *r, enum perche_rc rc)
{
    if (r->kind->changes)
        log_notice("control.command", "name=%s uid=%u pid=%d rc=%s", r->kind->name, r->uid, r->pid, perche_rc_name(rc));
}

static void refuse(struct request *r, enum perche_rc rc, const char *text)
{
    struct client *client;

    log_command(r, rc);
    client = finish(r);

    if (client)
        client_refuse(client, rc, text);
}

static void on_answer(void *ctx, const char *json, const struct perche_err *err)
{
    struct client *client;

    log_command(ctx, json ? PERCHE_OK : err->rc);
    client = finish(ctx);
    if (!client)
        return;
    if (json)
        client_result(client, json);
    else
        client_refuse(client, err->rc, err->text);
}

/* ------------------------------------------------------------------ helpers */

static char *args_text(const struct request *r)
{
    return json_dumps(r->args, JSON_COMPACT);
}

typedef void (*node_call)(struct node *n, const char *name, const char *args_json, void *ctx,
                          node_answer_cb on_answer);

static void call(struct request *r, node_call ask, const char *name, node_answer_cb then)
{
    char *args = args_text(r);

    if (args)
        ask(r->control->node, name, args, r, then);
    else
        refuse(r, PERCHE_NOMEM, perche_rc_text(PERCHE_NOMEM));
    free(args);
}

static const char *arg_text(const struct request *r, const char *name)
{
    return json_string_value(json_object_get(r->args, name));
}

/* A whole number from 0 to @max; @otherwise when it is not given. false = it is no such. */
static bool arg_number(const struct request *r, const char *name, uint64_t otherwise, uint64_t max,
                       uint64_t *out)
{
    json_t *value = json_object_get(r->args, name);

    *out = otherwise;
    if (!value || json_is_null(value))
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > max)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* ------------------------------------------------------- questions as such */

static void start_query(struct request *r)
{
    call(r, node_query, r->kind->name, on_answer);
}

static void start_command(struct request *r)
{
    call(r, node_command, r->kind->name, on_answer);
}

static void start_status(struct request *r)
{
    node_status(r->control->node, r, on_answer);
}

static void start_sites(struct request *r)
{
    node_sites(r->control->node, r, on_answer);
}

static void start_leave(struct request *r)
{
    node_leave(r->control->node, r, on_answer);
}

static void start_version(struct request *r)
{
    struct client *client = finish(r);

    client_result(client, "{\"version\":\"" PERCHE_VERSION "\"}");
}

static void start_watch(struct request *r)
{
    watch_begin(finish(r));
}

static void start_sync(struct request *r)
{
    const json_t *wait = json_object_get(r->args, "wait");
    uint64_t timeout_ms;

    if (!arg_number(r, "timeout_ms", 0, CONTROL_SYNC_MS_MAX, &timeout_ms)) {
        refuse(r, PERCHE_USAGE, "timeout_ms is a number of milliseconds, one day at most");
        return;
    }
    if (wait && !json_is_boolean(wait) && !json_is_null(wait)) {
        refuse(r, PERCHE_USAGE, "wait is true or false");
        return;
    }
    if (timeout_ms > 0)
        client_limit(r->client, timeout_ms + CONTROL_MARGIN_MS);
    node_sync(r->control->node, json_is_true(wait), timeout_ms, r,
              on_answer);
}

/* -------------------------------------------------------------- membership */

static void start_invite(struct request *r)
{
    struct timespec now;
    uint64_t in_ms;
    char *args;

    if (!arg_number(r, "expires_in_ms", UINT64_C(7) * 86400000, UINT64_C(3653) * 86400000,
                    &in_ms) ||
        in_ms == 0) {
        refuse(r, PERCHE_USAGE, "expires_in_ms is a number of milliseconds, ten years at most");
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    json_object_del(r->args, "expires_in_ms");
    if (json_object_set_new(r->args, "expires_ms",
                            json_integer((json_int_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + in_ms))) != 0) {
        refuse(r, PERCHE_NOMEM, perche_rc_text(PERCHE_NOMEM));
        return;
    }
    args = args_text(r);
    if (args)
        node_invite(r->control->node, args, r, on_answer);
    else
        refuse(r, PERCHE_NOMEM, perche_rc_text(PERCHE_NOMEM));
    free(args);
}

static void start_revoke(struct request *r)
{
    char *args = args_text(r);

    if (args)
        node_revoke(r->control->node, args, r, on_answer);
    else
        refuse(r, PERCHE_NOMEM, perche_rc_text(PERCHE_NOMEM));
    free(args);
}

static void start_join(struct request *r)
{
    const char *line = arg_text(r, "line");

    if (!line)
        refuse(r, PERCHE_USAGE, "join needs the line of an invitation");
    else
        node_join(r->control->node, line, arg_text(r, "url"), r, on_answer);
}

/* --------------------------------------------------------------- conflicts */

/* The list says whose it is, so that the reader knows which side is here. Put in front of the
 * text: parsing would write every real number anew. */
static void on_conflicts(void *ctx, const char *json, const struct perche_err *err)
{
    struct request *r = ctx;
    struct client *client;
    json_t *self;
    char *whose = NULL, *text = NULL;

    if (!json || !r->client || json[0] != '{') {
        on_answer(r, json, err);
        return;
    }
    self = json_pack("{s:s, s:s}", "id", node_site_id(r->control->node), "name",
                     node_name(r->control->node));
    whose = self ? json_dumps(self, JSON_COMPACT) : NULL;
    json_decref(self);
    if (whose &&
        asprintf(&text, "{\"self\":%s%s%s", whose, json[1] == '}' ? "" : ",", json + 1) < 0)
        text = NULL;
    free(whose);
    client = finish(r);
    client_result(client, text ? text : json);
    free(text);
}

static void start_conflicts(struct request *r)
{
    call(r, node_query, "conflicts", on_conflicts);
}

/* Who decided is what the kernel says, not the client. */
static void start_resolve(struct request *r)
{
    char by[64];

    peer_name(&r->client->peer, by, sizeof(by));
    if (json_object_set_new(r->args, "by", json_string(by)) == 0)
        start_command(r);
    else
        refuse(r, PERCHE_INTERNAL, "the name of the user is no UTF-8");
}

/* --------------------------------------------------------------- the table */

/* clang-format off */
static const struct kind kinds[] = {
    /* name      changes limit              start */
    {"status",    false, CONTROL_ANSWER_MS, start_status},
    {"watch",     false, CONTROL_ANSWER_MS, start_watch},
    {"version",   false, CONTROL_ANSWER_MS, start_version},
    {"sites",     false, CONTROL_ANSWER_MS, start_sites},
    {"tables",    false, CONTROL_ANSWER_MS, start_query},
    {"state",     false, CONTROL_ANSWER_MS, start_query},
    {"list",      false, CONTROL_ANSWER_MS, start_query},
    {"show",      false, CONTROL_ANSWER_MS, start_query},
    {"history",   false, CONTROL_ANSWER_MS, start_query},
    {"conflicts", false, CONTROL_ANSWER_MS, start_conflicts},
    {"conflict",  false, CONTROL_ANSWER_MS, start_query},
    {"refused",   false, CONTROL_ANSWER_MS, start_query},
    {"held",      false, CONTROL_ANSWER_MS, start_query},
    {"verify",    false, CONTROL_LONG_MS,   start_query},
    {"report",    false, CONTROL_LONG_MS,   start_query},
    {"changes",   false, CONTROL_LONG_MS,   start_query},
    {"sync",      false, CONTROL_LONG_MS,   start_sync},
    {"resolve",   true,  CONTROL_ANSWER_MS, start_resolve},
    {"release",   true,  CONTROL_ANSWER_MS, start_command},
    {"undo",      true,  CONTROL_ANSWER_MS, start_command},
    {"invite",    true,  CONTROL_ANSWER_MS, start_invite},
    {"join",      true,  CONTROL_ANSWER_MS, start_join},
    {"revoke",    true,  CONTROL_ANSWER_MS, start_revoke},
    {"retire",    true,  CONTROL_ANSWER_MS, start_command},
    {"publish",   true,  CONTROL_LONG_MS,   start_command},
    {"add",       true,  CONTROL_ANSWER_MS, start_command},
    {"set",       true,  CONTROL_ANSWER_MS, start_command},
    {"void",      true,  CONTROL_ANSWER_MS, start_command},
    {"delete",    true,  CONTROL_ANSWER_MS, start_command},
    {"plan",      true,  CONTROL_ANSWER_MS, start_command},
    {"mark",      true,  CONTROL_ANSWER_MS, start_command},
    {"import",    true,  CONTROL_LONG_MS,   start_command},
    {"imported",  true,  CONTROL_ANSWER_MS, start_command},
    {"import_before", false, CONTROL_ANSWER_MS, start_query},
    {"columns",   false, CONTROL_ANSWER_MS, start_query},
    {"duplicates", false, CONTROL_ANSWER_MS, start_query},
    {"link",      true,  CONTROL_ANSWER_MS, start_resolve},
    {"recover",   true,  CONTROL_ANSWER_MS, start_command},
    {"leave",     true,  CONTROL_ANSWER_MS, start_leave},
    {"replicate", true,  CONTROL_LONG_MS,   start_command},
};
/* clang-format on */

static const struct kind *find(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

void request_start(struct client *client, const char *line, size_t n)
{
    json_t *doc = json_loadb(line, n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(doc, "command"));
    const char *version = json_string_value(json_object_get(doc, "client"));
    json_t *args = json_object_get(doc, "args");
    const struct kind *kind;
    struct request *r;
    char text[160];

    if (!name || (args && !json_is_object(args))) {
        json_decref(doc);
        client_refuse(client, PERCHE_USAGE,
                      "a request is a line {\"command\": TEXT, \"args\": {...}}");
        return;
    }
    kind = find(name);
    if (!kind) {
        (void)snprintf(text, sizeof(text),
                       "perched " PERCHE_VERSION " knows no command \"%.40s\"%s%.20s%s", name,
                       version ? "; the client is " : "", version ? version : "",
                       version ? ", perhaps newer" : "");
        json_decref(doc);
        client_refuse(client, PERCHE_USAGE, text);
        return;
    }
    r = calloc(1, sizeof(*r));
    if (!r) {
        json_decref(doc);
        client_refuse(client, PERCHE_NOMEM, perche_rc_text(PERCHE_NOMEM));
        return;
    }
    r->client = client;
    r->control = client->control;
    r->kind = kind;
    r->args = args ? json_incref(args) : json_object();
    json_decref(doc);
    client->request = r;
    r->uid = (unsigned)client->peer.uid;
    r->pid = (int)client->peer.pid;
    client_limit(client, kind->limit_ms);
    kind->start(r);
}
