/* A hub and its sites as whole nodes on one loop: real replicas, real TLS over loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <uv.h>

#include "log.h"
#include "loop.h"
#include "net/node.h"
#include "net/node_own.h"

struct party { /* a node and what it said */
    struct node *node;
    char data[96];
    char name[16];
    bool ended, closed;
    char why[300];
};

struct reply {
    bool done;
    unsigned count;
    enum perche_rc rc;
    char text[400];
    json_t *json; /* owned */
};

struct world {
    uv_loop_t loop;
    char dir[64];
    struct party hub, site, other;
};

static void no_log(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    if (getenv("PERCHE_TEST_LOG"))
        fprintf(stderr, "%d %s\n", (int)level, line);
}

static void on_event(void *ctx, enum node_event event, const char *text)
{
    struct party *p = ctx;

    if (event != NODE_ENDED)
        return;
    p->ended = true;
    (void)snprintf(p->why, sizeof(p->why), "%s", text);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void on_answer(void *ctx, const char *json, const struct perche_err *err)
{
    struct reply *r = ctx;

    r->done = true;
    r->count++;
    r->rc = err ? err->rc : PERCHE_OK;
    (void)snprintf(r->text, sizeof(r->text), "%s", err ? err->text : "");
    json_decref(r->json);
    r->json = json ? json_loads(json, 0, NULL) : NULL;
    if (json && !r->json)
        fail_msg("not JSON: %s", json);
}

static void reply_clear(struct reply *r)
{
    json_decref(r->json);
    memset(r, 0, sizeof(*r));
}

static enum perche_rc start(struct world *w, struct party *p, enum replica_role role,
                            const char *name, struct perche_err *err)
{
    struct node_config config = {.role = role,
                                 .name = p->name,
                                 .data = p->data,
                                 .listen = role == REPLICA_HUB ? "tls+tcp://127.0.0.1:0" : NULL,
                                 .interval_ms = 30000,
                                 .seeds = false};

    (void)snprintf(p->name, sizeof(p->name), "%s", name);
    (void)snprintf(p->data, sizeof(p->data), "%s/%s", w->dir, name);
    p->ended = p->closed = false;
    return node_new(&w->loop, &config, p, on_event, &p->node, err);
}

static void must_start(struct world *w, struct party *p, enum replica_role role, const char *name)
{
    struct perche_err err = {0};
    char url[64], note[300];

    if (start(w, p, role, name, &err) != PERCHE_OK)
        fail_msg("%s", err.text);
    if (role == REPLICA_HUB) { /* the port is known now */
        struct node_config config = {.role = role,
                                     .name = p->name,
                                     .data = p->data,
                                     .listen = "tls+tcp://127.0.0.1:0",
                                     .advertise = url,
                                     .interval_ms = 30000};

        (void)snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%u", (unsigned)node_port(p->node));
        assert_int_equal(node_reload(p->node, &config, note, sizeof(note), NULL), PERCHE_OK);
        assert_string_equal(note, "");
    }
}

static void stop(struct world *w, struct party *p)
{
    if (!p->node)
        return;
    node_close(p->node, &p->closed, on_closed);
    p->node = NULL;
    assert_true(loop_until(&w->loop, &p->closed));
}

static void wait_reply(struct world *w, struct reply *r)
{
    assert_false(r->done); /* never inside the call */
    assert_true(loop_until(&w->loop, &r->done));
}

static void invite(struct world *w, struct party *hub, const char *name, char *line, size_t line_n)
{
    struct reply r = {0};
    char args[200];

    (void)snprintf(args, sizeof(args), "{\"name\":\"%s\",\"code\":\"%.3s\",\"expires_ms\":%llu}",
                   name, name, (unsigned long long)node_wall_ms() + 3600000u);
    node_invite(hub->node, args, &r, on_answer);
    wait_reply(w, &r);
    if (r.rc != PERCHE_OK)
        fail_msg("%s", r.text);
    (void)snprintf(line, line_n, "%s", json_string_value(json_object_get(r.json, "line")));
    assert_int_equal(strncmp(line, "perche1:", 8), 0);
    assert_null(strchr(line, '\n'));
    reply_clear(&r);
}

static void join(struct world *w, struct party *site, const char *line, const char *url,
                 struct reply *r)
{
    reply_clear(r);
    node_join(site->node, line, url, r, on_answer);
    wait_reply(w, r);
}

static void joined(struct world *w)
{
    struct reply r = {0};
    char line[2048];

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->site, REPLICA_SITE, "site");
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    join(w, &w->site, line, NULL, &r);
    if (r.rc != PERCHE_OK)
        fail_msg("%s", r.text);
    reply_clear(&r);
}

/* Until the status of @p has @key = @value; the loop runs between two looks. */
static void until(struct world *w, struct party *p, const char *key, const char *value)
{
    uint64_t limit = node_mono_ms() + LOOP_LIMIT_MS;
    struct reply r = {0};
    const char *got = "";

    while (node_mono_ms() < limit) {
        reply_clear(&r);
        node_status(p->node, &r, on_answer);
        wait_reply(w, &r);
        got = json_string_value(json_object_get(r.json, key));
        if (got && strcmp(got, value) == 0) {
            reply_clear(&r);
            return;
        }
        loop_for(&w->loop, 10);
    }
    fail_msg("%s is \"%s\", not \"%s\"", key, got ? got : "null", value);
}

static void sync_wait(struct world *w, struct party *p)
{
    struct reply r = {0};

    node_sync(p->node, true, 15000, &r, on_answer);
    wait_reply(w, &r);
    if (r.rc != PERCHE_OK || !json_is_true(json_object_get(r.json, "done")))
        fail_msg("%s %s", r.text, json_string_value(json_object_get(r.json, "missing")));
    assert_true(json_is_null(json_object_get(r.json, "missing")));
    reply_clear(&r);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    log_set_sink(NULL, no_log);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/perche-node-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(uv_loop_init(&w->loop), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    char command[128];

    stop(w, &w->site);
    stop(w, &w->other);
    stop(w, &w->hub);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
    assert_int_equal(system(command), 0);
    log_set_sink(NULL, NULL);
    free(w);
    return 0;
}

/* ---- joining -------------------------------------------------------------------- */

static void a_site_joins_syncs_and_is_proven_equal(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    char line[2048];

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->site, REPLICA_SITE, "site");
    assert_false(node_joined(w->site.node));
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    join(w, &w->site, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_OK);
    assert_string_equal(json_string_value(json_object_get(r.json, "hub")),
                        node_site_id(w->hub.node));
    assert_string_equal(json_string_value(json_object_get(r.json, "site")),
                        node_site_id(w->site.node));
    assert_string_equal(json_string_value(json_object_get(r.json, "name")), "La Loupe");
    assert_true(json_is_null(json_object_get(r.json, "warning")));
    assert_true(node_joined(w->site.node));
    reply_clear(&r);
    sync_wait(w, &w->site);
    until(w, &w->site, "state", "live");

    node_status(w->site.node, &r, on_answer);
    wait_reply(w, &r);
    assert_string_equal(json_string_value(json_object_get(r.json, "role")), "site");
    assert_true(json_is_string(json_object_get(r.json, "epoch")));
    assert_int_equal(json_integer_value(json_object_get(r.json, "pending")), 0);
    assert_true(json_is_string(json_object_get(r.json, "last_contact")));
    assert_true(json_is_string(json_object_get(r.json, "proven_equal_at")));
    assert_true(json_is_integer(json_object_get(r.json, "clock_offset_ms")));
    assert_string_equal(json_string_value(json_object_get(r.json, "version")), PERCHE_VERSION);
    reply_clear(&r);

    for (unsigned i = 0; i < 200; i++) { /* the hub keeps its turn for a moment */
        const json_t *site;

        reply_clear(&r);
        node_sites(w->hub.node, &r, on_answer);
        wait_reply(w, &r);
        assert_int_equal(json_array_size(json_object_get(r.json, "sites")), 1);
        site = json_array_get(json_object_get(r.json, "sites"), 0);
        assert_string_equal(json_string_value(json_object_get(site, "name")), "La Loupe");
        if (strcmp(json_string_value(json_object_get(site, "state")), "live") == 0)
            break;
        assert_true(i < 199);
        loop_for(&w->loop, 10);
    }
    reply_clear(&r);
}

static void before_it_joins_a_site_says_that_it_is_unjoined_and_knows_no_times(void **state)
{
    struct world *w = *state;
    struct reply r = {0};

    must_start(w, &w->site, REPLICA_SITE, "site");
    node_status(w->site.node, &r, on_answer);
    wait_reply(w, &r);
    assert_string_equal(json_string_value(json_object_get(r.json, "state")), "unjoined");
    assert_true(json_is_null(json_object_get(r.json, "last_contact")));
    assert_true(json_is_null(json_object_get(r.json, "proven_equal_at")));
    assert_true(json_is_null(json_object_get(r.json, "clock_offset_ms")));
    assert_true(json_is_null(json_object_get(r.json, "hub")));
    reply_clear(&r);
    node_sync(w->site.node, true, 0, &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_STATE);
    reply_clear(&r);
}

static void after_a_restart_a_site_goes_on_without_joining_again(void **state)
{
    struct world *w = *state;
    char id[PERCHE_ID_BYTES_MAX];

    joined(w);
    sync_wait(w, &w->site);
    (void)snprintf(id, sizeof(id), "%s", node_site_id(w->site.node));
    stop(w, &w->site);
    must_start(w, &w->site, REPLICA_SITE, "site");
    assert_true(node_joined(w->site.node));
    assert_string_equal(node_site_id(w->site.node), id);
    sync_wait(w, &w->site);
}

static void a_site_stopped_between_enrol_and_its_new_id_takes_it_at_the_next_start(void **state)
{
    struct world *w = *state;
    char id[PERCHE_ID_BYTES_MAX], command[200];

    joined(w);
    (void)snprintf(id, sizeof(id), "%s", node_site_id(w->site.node));
    stop(w, &w->site);
    (void)snprintf(command, sizeof(command), "rm -f '%s'/replica.db*", w->site.data);
    assert_int_equal(system(command), 0);
    must_start(w, &w->site, REPLICA_SITE, "site");
    for (unsigned i = 0; i < 1000 && !node_joined(w->site.node); i++)
        loop_for(&w->loop, 10);
    assert_true(node_joined(w->site.node));
    assert_string_equal(node_site_id(w->site.node), id);
}

static void an_altered_invitation_is_told_from_a_wrong_one(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    char line[2048];

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->site, REPLICA_SITE, "site");
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    line[40] = line[40] == 'A' ? 'B' : 'A';
    join(w, &w->site, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_CORRUPT);
    join(w, &w->site, "bonjour", NULL, &r);
    assert_int_not_equal(r.rc, PERCHE_OK);
    assert_false(node_joined(w->site.node));
    reply_clear(&r);
}

static void a_used_invitation_is_refused_to_another_machine(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    char line[2048];

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->site, REPLICA_SITE, "site");
    must_start(w, &w->other, REPLICA_SITE, "other");
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    join(w, &w->site, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_OK);
    join(w, &w->other, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_REFUSED);
    assert_non_null(strstr(r.text, "another machine"));
    assert_false(node_joined(w->other.node));
    join(w, &w->site, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_STATE); /* has joined already */
    reply_clear(&r);
}

static void another_hub_at_the_address_is_refused_for_its_certificate(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    char line[2048], url[64];

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->other, REPLICA_HUB, "other");
    must_start(w, &w->site, REPLICA_SITE, "site");
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    (void)snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%u", (unsigned)node_port(w->other.node));
    join(w, &w->site, line, url, &r);
    assert_int_equal(r.rc, PERCHE_AUTH);
    assert_non_null(strstr(r.text, "certificate"));
    join(w, &w->site, line, NULL, &r); /* and nothing is spoilt by it */
    assert_int_equal(r.rc, PERCHE_OK);
    reply_clear(&r);
}

static void a_hub_that_is_down_is_told_with_its_address(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    char line[2048];

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->site, REPLICA_SITE, "site");
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    stop(w, &w->hub);
    join(w, &w->site, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_NET);
    assert_non_null(strstr(r.text, "tls+tcp://127.0.0.1:"));
    reply_clear(&r);
}

static void leaving_ends_the_conversation_and_keeps_the_rows(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    struct stat st;
    char path[128];

    joined(w);
    sync_wait(w, &w->site);
    node_leave(w->site.node, &r, on_answer);
    wait_reply(w, &r);
    if (r.rc != PERCHE_OK)
        fail_msg("%s", r.text);
    assert_true(json_is_true(json_object_get(r.json, "left")));
    assert_false(node_joined(w->site.node));
    (void)snprintf(path, sizeof(path), "%s/upstream.conf", w->site.data);
    assert_int_not_equal(stat(path, &st), 0);
    until(w, &w->site, "state", "unjoined");
    reply_clear(&r);
    stop(w, &w->site);
    must_start(w, &w->site, REPLICA_SITE, "site");
    assert_false(node_joined(w->site.node));
}

static void leave(struct world *w, struct reply *r)
{
    reply_clear(r);
    node_leave(w->site.node, r, on_answer);
    wait_reply(w, r);
}

static void a_site_that_never_joined_has_nothing_to_leave(void **state)
{
    struct world *w = *state;
    struct reply r = {0};

    must_start(w, &w->site, REPLICA_SITE, "site");
    leave(w, &r);
    assert_int_equal(r.rc, PERCHE_STATE);
    assert_non_null(strstr(r.text, "not a member"));
    reply_clear(&r);
}

static void verify_without_a_line_says_so_at_once(void **state)
{
    struct world *w = *state;
    struct reply r = {0};

    joined(w);
    sync_wait(w, &w->site);
    node_query(w->site.node, "verify", "{}", &r, on_answer);
    wait_reply(w, &r);
    assert_true(json_is_true(json_object_get(r.json, "equal")));
    assert_string_equal(json_string_value(json_object_get(r.json, "hub")), "equal");
    reply_clear(&r);
    stop(w, &w->hub);
    until(w, &w->site, "state", "offline");
    node_query(w->site.node, "verify", "{}", &r, on_answer);
    wait_reply(w, &r); /* 60 s and more, would it wait for the line */
    assert_true(json_is_null(json_object_get(r.json, "equal")));
    assert_string_equal(json_string_value(json_object_get(r.json, "hub")), "offline");
    assert_string_not_equal(json_string_value(json_object_get(r.json, "reason")), "");
    reply_clear(&r);
}

static void a_site_does_not_leave_a_hub_that_is_down(void **state)
{
    struct world *w = *state;
    struct reply r = {0};

    joined(w);
    sync_wait(w, &w->site);
    stop(w, &w->hub);
    leave(w, &r);
    assert_int_equal(r.rc, PERCHE_NET);
    assert_non_null(strstr(r.text, "the hub has to know"));
    assert_true(node_joined(w->site.node));
    reply_clear(&r);
}

/* And one that the hub has put out needs none of it: the new line takes the place of the old one. */
static void a_revoked_site_has_nothing_to_leave_and_joins_anew(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    char line[2048];

    joined(w);
    sync_wait(w, &w->site);
    invite(w, &w->hub, "Chartres", line, sizeof(line));
    join(w, &w->site, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_STATE); /* a member in good standing */
    reply_clear(&r);
    node_revoke(w->hub.node, "{\"site\":\"La Loupe\"}", &r, on_answer);
    wait_reply(w, &r);
    until(w, &w->site, "reason", "revoked");
    leave(w, &r);
    assert_int_equal(r.rc, PERCHE_REFUSED);
    assert_non_null(strstr(r.text, "nothing to leave"));
    join(w, &w->site, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_STATE); /* not as another site */
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    join(w, &w->site, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_OK);
    reply_clear(&r);
    sync_wait(w, &w->site);
}

static void a_node_that_closes_answers_who_wanted_to_join_or_to_leave(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    char line[2048];

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->site, REPLICA_SITE, "site");
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    node_join(w->site.node, line, NULL, &r, on_answer);
    stop(w, &w->site); /* before the replica was asked */
    assert_int_equal(r.rc, PERCHE_STATE);
    reply_clear(&r);
    must_start(w, &w->site, REPLICA_SITE, "site");
    join(w, &w->site, line, NULL, &r);
    assert_int_equal(r.rc, PERCHE_OK);
    sync_wait(w, &w->site);
    reply_clear(&r);
    node_leave(w->site.node, &r, on_answer);
    stop(w, &w->site);
    assert_int_equal(r.rc, PERCHE_STATE);
    reply_clear(&r);
}

static void a_revoked_site_loses_its_line_and_gets_no_other(void **state)
{
    struct world *w = *state;
    struct reply r = {0};

    joined(w);
    sync_wait(w, &w->site);
    node_revoke(w->hub.node, "{\"site\":\"La Loupe\"}", &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_OK);
    assert_string_equal(json_string_value(json_object_get(r.json, "site")),
                        node_site_id(w->site.node));
    reply_clear(&r);
    until(w, &w->site, "state", "refused");
    until(w, &w->site, "reason", "revoked");
}

/* ---- what is asked ----------------------------------------------------------------- */

static void what_nobody_knows_is_answered_with_an_error_later(void **state)
{
    struct world *w = *state;
    struct reply r = {0};

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    node_query(w->hub.node, "no such question", NULL, &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_USAGE);
    reply_clear(&r);
    node_command(w->hub.node, "no such command", "{}", &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_USAGE);
    reply_clear(&r);
    node_query(w->hub.node, "state", "this is no JSON", &r, on_answer);
    wait_reply(w, &r);
    assert_int_not_equal(r.rc, PERCHE_OK);
    reply_clear(&r);
}

static void a_command_of_the_other_role_is_refused(void **state)
{
    struct world *w = *state;
    struct reply r = {0};

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->site, REPLICA_SITE, "site");
    node_sync(w->hub.node, true, 0, &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_STATE);
    reply_clear(&r);
    node_join(w->hub.node, "perche1:x", NULL, &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_STATE);
    reply_clear(&r);
    node_invite(w->site.node, "{\"name\":\"x\"}", &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_STATE);
    reply_clear(&r);
    node_sites(w->site.node, &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_STATE);
    reply_clear(&r);
}

static void a_sync_whose_hub_is_away_ends_in_time_and_says_what_is_missing(void **state)
{
    struct world *w = *state;
    struct reply r = {0};

    joined(w);
    sync_wait(w, &w->site);
    stop(w, &w->hub);
    node_sync(w->site.node, true, 300, &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_OK);
    assert_true(json_is_false(json_object_get(r.json, "done")));
    assert_string_equal(json_string_value(json_object_get(r.json, "missing")), "offline");
    assert_string_not_equal(json_string_value(json_object_get(r.json, "reason")), ""); /* "lost" or "refused" */
    reply_clear(&r);
    node_sync(w->site.node, false, 0, &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_OK);
    assert_string_not_equal(json_string_value(json_object_get(r.json, "state")), "live");
    assert_string_not_equal(json_string_value(json_object_get(r.json, "reason")), "");
    reply_clear(&r);
}

static void a_sync_that_is_waited_for_outlives_a_reload(void **state)
{
    struct world *w = *state;
    struct node_config config = {
        .role = REPLICA_SITE, .name = "site", .data = w->site.data, .interval_ms = 5000};
    struct reply r = {0};
    char note[300];

    joined(w);
    node_sync(w->site.node, true, 15000, &r, on_answer);
    assert_int_equal(node_reload(w->site.node, &config, note, sizeof(note), NULL), PERCHE_OK);
    wait_reply(w, &r);
    assert_true(json_is_true(json_object_get(r.json, "done")));
    reply_clear(&r);
}

static void a_close_answers_everything_once(void **state)
{
    enum { CALLS = 40 };
    struct world *w = *state;
    struct reply *replies = calloc(CALLS, sizeof(*replies));

    assert_non_null(replies);
    joined(w);
    for (unsigned i = 0; i < CALLS; i++)
        switch (i % 4) {
        case 0: node_status(w->site.node, &replies[i], on_answer); break;
        case 1: node_query(w->site.node, "tables", NULL, &replies[i], on_answer); break;
        case 2: node_command(w->site.node, "no such command", NULL, &replies[i], on_answer); break;
        default: node_sync(w->site.node, true, 0, &replies[i], on_answer); break;
        }
    stop(w, &w->site);
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(replies[i].count, 1);
        reply_clear(&replies[i]);
    }
    free(replies);
}

static void a_close_in_the_middle_of_a_join_answers_it(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    char line[2048];

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->site, REPLICA_SITE, "site");
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    node_join(w->site.node, line, NULL, &r, on_answer);
    stop(w, &w->site);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.rc, PERCHE_STATE);
    reply_clear(&r);
}

/* ---- bad peers, bad files ------------------------------------------------------------- */

struct peer {
    bool up, down;
};

static void on_peer_up(void *ctx)
{
    ((struct peer *)ctx)->up = true;
}

static void on_peer_down(void *ctx, const char *reason, const char *detail)
{
    (void)reason;
    (void)detail;
    ((struct peer *)ctx)->down = true;
}

static void on_peer_reply(void *ctx, uint32_t channel, struct perche_bytes body, uint64_t line_ms)
{
    (void)ctx;
    (void)channel;
    (void)body;
    (void)line_ms;
}

static void a_message_that_does_not_decode_drops_that_line_alone(void **state)
{
    static const char *const garbage[] = {"", "x", "\xdd\x0f\xff\xff\xff", "\x93\x01\x02",
                                          "GET / HTTP/1.1\r\n\r\n"};
    struct world *w = *state;
    struct reply r = {0};
    char url[64];
    bool closed;

    joined(w);
    sync_wait(w, &w->site);
    (void)snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%u", (unsigned)node_port(w->hub.node));
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        struct peer peer = {0};
        struct uplink *u = NULL;
        struct uplink_config config = {.url = url,
                                       .ca_pem = (const char *)w->hub.node->tls.certificate_pem,
                                       .server_name = node_site_id(w->hub.node)};
        struct uplink_events events = {
            .ctx = &peer, .on_up = on_peer_up, .on_down = on_peer_down, .on_reply = on_peer_reply};
        struct perche_bytes body = {(const uint8_t *)garbage[i], (uint32_t)strlen(garbage[i])};

        assert_int_equal(uplink_new(&w->loop, &config, &events, &u, NULL), PERCHE_OK);
        assert_int_equal(uplink_dial(u, NULL), PERCHE_OK);
        assert_true(loop_until(&w->loop, &peer.up));
        assert_int_equal(uplink_send(u, 0, body, NULL), PERCHE_OK);
        assert_true(loop_until(&w->loop, &peer.down));
        closed = false;
        uplink_close(u, &closed, on_closed);
        assert_true(loop_until(&w->loop, &closed));
    }
    node_status(w->hub.node, &r, on_answer);
    wait_reply(w, &r);
    assert_int_equal(json_integer_value(json_object_get(r.json, "bad_messages")),
                     sizeof(garbage) / sizeof(garbage[0]));
    reply_clear(&r);
    sync_wait(w, &w->site);
}

static void a_replaced_replica_ends_the_node_which_acknowledges_nothing_more(void **state)
{
    struct world *w = *state;
    char command[600];

    joined(w);
    sync_wait(w, &w->site);
    (void)snprintf(command, sizeof(command),
                   "cp '%s'/replica.db '%s'/x && mv '%s'/x '%s'/replica.db", w->hub.data,
                   w->hub.data, w->hub.data, w->hub.data);
    assert_int_equal(system(command), 0);
    assert_true(loop_until(&w->loop, &w->hub.ended));
    assert_non_null(strstr(w->hub.why, "replica.db was replaced"));
    until(w, &w->site, "state", "offline");
    assert_int_equal(node_port(w->hub.node), 0); /* it does not even listen */
}

static void a_replica_that_is_none_is_not_touched_and_its_path_is_told(void **state)
{
    struct world *w = *state;
    struct perche_err err = {0};
    char path[128], text[64] = "";
    FILE *f;

    (void)snprintf(w->site.data, sizeof(w->site.data), "%s/site", w->dir);
    assert_int_equal(mkdir(w->site.data, 0770), 0);
    (void)snprintf(path, sizeof(path), "%s/replica.db", w->site.data);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("this is a shopping list, and longer than a header would be, I dare say", f);
    assert_int_equal(fclose(f), 0);
    assert_int_not_equal(start(w, &w->site, REPLICA_SITE, "site", &err), PERCHE_OK);
    w->site.node = NULL;
    assert_non_null(strstr(err.text, path));
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof(text), f));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(strncmp(text, "this is a shopping list", 23), 0);
}

static void the_replica_is_writable_for_the_group_whatever_the_umask(void **state)
{
    static const char *const names[] = {"replica.db", "replica.db-wal", "replica.db-shm"};
    struct world *w = *state;
    mode_t old = umask(0077);

    must_start(w, &w->site, REPLICA_SITE, "site");
    umask(old);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        struct stat st;

        (void)snprintf(path, sizeof(path), "%s/%s", w->site.data, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0660);
    }
}

static void a_port_that_is_taken_stops_the_start_with_its_address(void **state)
{
    struct world *w = *state;
    struct perche_err err = {0};
    char listen[64];
    struct node_config config = {.role = REPLICA_HUB,
                                 .name = "other",
                                 .data = w->other.data,
                                 .listen = listen,
                                 .interval_ms = 30000};

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    (void)snprintf(w->other.data, sizeof(w->other.data), "%s/other", w->dir);
    (void)snprintf(listen, sizeof(listen), "tls+tcp://127.0.0.1:%u",
                   (unsigned)node_port(w->hub.node));
    assert_int_equal(node_new(&w->loop, &config, &w->other, on_event, &w->other.node, &err),
                     PERCHE_NET);
    w->other.node = NULL;
    assert_non_null(strstr(err.text, listen));
}

static void a_reload_says_what_needs_a_restart(void **state)
{
    struct world *w = *state;
    char note[300];
    struct node_config config = {
        .role = REPLICA_SITE, .name = "anders", .data = w->site.data, .interval_ms = 5000};

    must_start(w, &w->site, REPLICA_SITE, "site");
    assert_int_equal(node_reload(w->site.node, &config, note, sizeof(note), NULL), PERCHE_OK);
    assert_non_null(strstr(note, "[node] name"));
    assert_null(strstr(note, "data"));
    config.name = "site";
    assert_int_equal(node_reload(w->site.node, &config, note, sizeof(note), NULL), PERCHE_OK);
    assert_string_equal(note, "");
}

static void a_reload_at_a_hub_names_the_ages_too(void **state)
{
    struct world *w = *state;
    char note[300];
    struct node_config config = {.role = REPLICA_HUB,
                                 .name = "hub",
                                 .data = w->hub.data,
                                 .listen = "tls+tcp://127.0.0.1:0",
                                 .interval_ms = 30000};

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    config.retire_after_ms = 86400000;
    assert_int_equal(node_reload(w->hub.node, &config, note, sizeof(note), NULL), PERCHE_OK);
    assert_string_equal(note, "[hub] retire_after changed: that needs a restart");
    config.keep_deleted_ms = 86400000;
    assert_int_equal(node_reload(w->hub.node, &config, note, sizeof(note), NULL), PERCHE_OK);
    assert_string_equal(note, "[hub] retire_after [hub] keep_deleted changed: that needs a restart");
}

static void a_reload_during_a_join_says_what_waits_and_the_next_one_takes_it_over(void **state)
{
    struct world *w = *state;
    struct reply r = {0};
    char line[2048], note[300];
    struct node_config config = {.role = REPLICA_SITE,
                                 .name = "site",
                                 .data = w->site.data,
                                 .upstream_url = "tls+tcp://127.0.0.1:1",
                                 .interval_ms = 30000};

    must_start(w, &w->hub, REPLICA_HUB, "hub");
    must_start(w, &w->site, REPLICA_SITE, "site");
    invite(w, &w->hub, "La Loupe", line, sizeof(line));
    node_join(w->site.node, line, NULL, &r, on_answer);
    assert_int_equal(node_reload(w->site.node, &config, note, sizeof(note), NULL), PERCHE_OK);
    assert_string_equal(note, "[upstream] url changed during a join or leave: reload again after it");
    config.interval_ms = 5000;
    config.name = "anders";
    assert_int_equal(node_reload(w->site.node, &config, note, sizeof(note), NULL), PERCHE_OK);
    assert_string_equal(note, "[node] name changed: that needs a restart; "
                              "[upstream] url [sync] changed during a join or leave: reload again after it");
    wait_reply(w, &r);
    assert_int_equal(r.rc, PERCHE_OK);
    reply_clear(&r);
    sync_wait(w, &w->site);
    config.name = "site";
    assert_int_equal(node_reload(w->site.node, &config, note, sizeof(note), NULL), PERCHE_OK);
    assert_string_equal(note, "");
    until(w, &w->site, "hub_url", "tls+tcp://127.0.0.1:1");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_site_joins_syncs_and_is_proven_equal),
        CASE(before_it_joins_a_site_says_that_it_is_unjoined_and_knows_no_times),
        CASE(after_a_restart_a_site_goes_on_without_joining_again),
        CASE(a_site_stopped_between_enrol_and_its_new_id_takes_it_at_the_next_start),
        CASE(an_altered_invitation_is_told_from_a_wrong_one),
        CASE(a_used_invitation_is_refused_to_another_machine),
        CASE(another_hub_at_the_address_is_refused_for_its_certificate),
        CASE(a_hub_that_is_down_is_told_with_its_address),
        CASE(leaving_ends_the_conversation_and_keeps_the_rows),
        CASE(a_revoked_site_loses_its_line_and_gets_no_other),
        CASE(what_nobody_knows_is_answered_with_an_error_later),
        CASE(a_command_of_the_other_role_is_refused),
        CASE(a_sync_whose_hub_is_away_ends_in_time_and_says_what_is_missing),
        CASE(a_sync_that_is_waited_for_outlives_a_reload),
        CASE(a_close_answers_everything_once),
        CASE(a_close_in_the_middle_of_a_join_answers_it),
        CASE(a_site_does_not_leave_a_hub_that_is_down),
        CASE(a_site_that_never_joined_has_nothing_to_leave),
        CASE(verify_without_a_line_says_so_at_once),
        CASE(a_revoked_site_has_nothing_to_leave_and_joins_anew),
        CASE(a_node_that_closes_answers_who_wanted_to_join_or_to_leave),
        CASE(a_message_that_does_not_decode_drops_that_line_alone),
        CASE(a_replaced_replica_ends_the_node_which_acknowledges_nothing_more),
        CASE(a_replica_that_is_none_is_not_touched_and_its_path_is_told),
        CASE(the_replica_is_writable_for_the_group_whatever_the_umask),
        CASE(a_port_that_is_taken_stops_the_start_with_its_address),
        CASE(a_reload_says_what_needs_a_restart),
        CASE(a_reload_at_a_hub_names_the_ages_too),
        CASE(a_reload_during_a_join_says_what_waits_and_the_next_one_takes_it_over),
    };

    return cmocka_run_group_tests_name("net_node", tests, NULL, NULL);
}
