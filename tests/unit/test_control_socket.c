/* The server of the control socket, with a node that answers when the test says so. Clients
 * are plain sockets of this thread; the loop turns while they wait. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <uv.h>

#include "control/control.h"
#include "log.h"
#include "net/node.h"
#include "perche/control.h"

/* ------------------------------------------------------------------ the node */

struct call {       /* one that waits for its answer */
    char what[160]; /* "query list {...}" */
    void *ctx;
    node_answer_cb on_answer;
};

static struct call calls[256];
static int calls_count; /* waiting */
static int calls_ever;
static char last_call[4096];
static const char *at_once; /* JSON that every call gets in the next turn; NULL: the test answers */
static uv_timer_t ticker;
static uv_loop_t loop;

static void remember(const char *kind, const char *name, const char *args, void *ctx,
                     node_answer_cb on_answer)
{
    struct call *c = &calls[calls_count++];

    calls_ever++;
    assert_true(calls_count < 256);
    snprintf(last_call, sizeof(last_call), "%s%s%s%s%s", kind, *name ? " " : "", name,
             *args ? " " : "", args);
    snprintf(c->what, sizeof(c->what), "%.159s", last_call);
    c->ctx = ctx;
    c->on_answer = on_answer;
}

/* Answers the oldest. */
static void answer(const char *json, enum perche_rc rc, const char *text)
{
    struct call c = calls[0];
    struct perche_err err = {.rc = rc};

    assert_true(calls_count > 0);
    memmove(calls, calls + 1, (size_t)--calls_count * sizeof(calls[0]));
    snprintf(err.text, sizeof(err.text), "%s", text ? text : "");
    c.on_answer(c.ctx, json, json ? NULL : &err);
}

void node_query(struct node *n, const char *name, const char *args, void *ctx, node_answer_cb cb)
{
    (void)n;
    remember("query", name, args, ctx, cb);
}
void node_command(struct node *n, const char *name, const char *args, void *ctx, node_answer_cb cb)
{
    (void)n;
    remember("command", name, args, ctx, cb);
}
void node_status(struct node *n, void *ctx, node_answer_cb cb)
{
    (void)n;
    remember("status", "", "", ctx, cb);
}
void node_sites(struct node *n, void *ctx, node_answer_cb cb)
{
    (void)n;
    remember("sites", "", "", ctx, cb);
}
void node_sync(struct node *n, bool wait, uint64_t timeout_ms, void *ctx, node_answer_cb cb)
{
    char args[64];

    (void)n;
    snprintf(args, sizeof(args), "%s %llu", wait ? "wait" : "go", (unsigned long long)timeout_ms);
    remember("sync", "", args, ctx, cb);
}
void node_invite(struct node *n, const char *args, void *ctx, node_answer_cb cb)
{
    (void)n;
    remember("invite", "", args, ctx, cb);
}
void node_revoke(struct node *n, const char *args, void *ctx, node_answer_cb cb)
{
    (void)n;
    remember("revoke", "", args, ctx, cb);
}
void node_join(struct node *n, const char *line, const char *url, void *ctx, node_answer_cb cb)
{
    (void)n;
    remember("join", line, url ? url : "", ctx, cb);
}
void node_leave(struct node *n, void *ctx, node_answer_cb cb)
{
    (void)n;
    remember("leave", "", "", ctx, cb);
}
const char *node_site_id(const struct node *n)
{
    (void)n;
    return "01990c5e-0000-7000-8000-000000000001";
}
const char *node_name(const struct node *n)
{
    (void)n;
    return "La \"Loupe\"";
}

/* ----------------------------------------------------------------- the stage */

static char folder[64], path[96];
static struct control *control;
static bool closed;

static void on_tick(uv_timer_t *t) /* so that a turn of the loop ends */
{
    (void)t;
}

static void turn(void)
{
    uv_run(&loop, UV_RUN_ONCE);
    while (at_once && calls_count > 0)
        answer(at_once, PERCHE_OK, NULL);
}

static void turn_ms(uint64_t ms)
{
    uint64_t until;

    uv_update_time(&loop);
    until = uv_now(&loop) + ms;
    while (uv_now(&loop) < until)
        turn();
}

static void on_closed(void *ctx)
{
    (void)ctx;
    assert_false(closed);
    closed = true;
}

static void log_nothing(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static int set_up(void **state)
{
    struct perche_err err;

    (void)state;
    log_set_sink(NULL, log_nothing);
    strcpy(folder, "/tmp/perche-control.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/s", folder);
    calls_count = calls_ever = 0;
    last_call[0] = '\0';
    at_once = NULL;
    closed = false;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &ticker);
    uv_timer_start(&ticker, on_tick, 2, 2);
    if (control_new(&loop, NULL, &(struct control_config){.socket = path}, &control, &err) !=
        PERCHE_OK)
        fail_msg("%s", err.text);
    return 0;
}

static void shut(void)
{
    control_close(control, NULL, on_closed);
    control = NULL;
    for (int i = 0; i < 100 && !closed; i++)
        turn();
    assert_true(closed);
}

static int tear_down(void **state)
{
    (void)state;
    if (control)
        shut();
    while (calls_count > 0) /* the node answers late, and nobody is there */
        answer(calls_count % 2 ? "{}" : NULL, PERCHE_STATE, "closing");
    uv_close((uv_handle_t *)&ticker, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    unlink(path);
    rmdir(folder);
    return 0;
}

static int dial(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    strcpy(to.sun_path, path);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static void say_n(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN) {
            turn();
        } else {
            return; /* it has hung up; what it said can be read */
        }
    }
}

static void say(int fd, const char *text)
{
    say_n(fd, text, strlen(text));
}

static char heard_text[1 << 16];

/* The next line, or "" when it has hung up; NULL when nothing comes within a while. */
static const char *hear_for(int fd, uint64_t ms)
{
    uint64_t until;
    size_t n = 0;

    uv_update_time(&loop);
    until = uv_now(&loop) + ms;
    for (;;) {
        ssize_t got = recv(fd, heard_text + n, 1, 0);

        if (got == 1) {
            if (heard_text[n] == '\n') {
                heard_text[n] = '\0';
                return heard_text;
            }
            assert_true(++n < sizeof(heard_text));
        } else if (got == 0 || errno != EAGAIN) {
            heard_text[n] = '\0';
            assert_int_equal(n, 0);
            return heard_text;
        } else {
            if (uv_now(&loop) >= until)
                return NULL;
            turn();
        }
    }
}

static const char *hear(int fd)
{
    const char *line = hear_for(fd, 5000);

    assert_non_null(line);
    return line;
}

static void wait_for_call(int n)
{
    for (int i = 0; i < 1000 && calls_ever < n; i++)
        turn();
    assert_int_equal(calls_ever, n);
}

/* -------------------------------------------------------------------- asking */

static void each_command_reaches_its_call_of_the_node(void **state)
{
    static const struct {
        const char *request, *call;
    } all[] = {
        {"{\"command\":\"status\"}", "status"},
        {"{\"command\":\"sites\",\"args\":{}}", "sites"},
        {"{\"command\":\"tables\"}", "query tables {}"},
        {"{\"command\":\"state\"}", "query state {}"},
        {"{\"command\":\"list\",\"args\":{\"table\":\"t\",\"limit\":3}}",
         "query list {\"table\":\"t\",\"limit\":3}"},
        {"{\"command\":\"show\",\"args\":{\"table\":\"t\",\"id\":[\"a\",\"b\"]}}",
         "query show {\"table\":\"t\",\"id\":[\"a\",\"b\"]}"},
        {"{\"command\":\"history\",\"args\":{\"table\":\"t\",\"id\":[\"a\"]}}",
         "query history {\"table\":\"t\",\"id\":[\"a\"]}"},
        {"{\"command\":\"conflicts\",\"args\":{\"all\":true}}", "query conflicts {\"all\":true}"},
        {"{\"command\":\"conflict\",\"args\":{\"id\":\"7f3a9c11d2e4f60718293a4b5c6d7e8f\"}}",
         "query conflict {\"id\":\"7f3a9c11d2e4f60718293a4b5c6d7e8f\"}"},
        {"{\"command\":\"verify\"}", "query verify {}"},
        {"{\"command\":\"sync\",\"args\":{\"wait\":true,\"timeout_ms\":60000}}", "sync wait 60000"},
        {"{\"command\":\"sync\"}", "sync go 0"},
        {"{\"command\":\"revoke\",\"args\":{\"site\":\"LLP\"}}", "revoke {\"site\":\"LLP\"}"},
        {"{\"command\":\"join\",\"args\":{\"line\":\"perche1:x\"}}", "join perche1:x"},
        {"{\"command\":\"join\",\"args\":{\"line\":\"perche1:x\",\"url\":\"u\"}}",
         "join perche1:x u"},
        {"{\"command\":\"leave\"}", "leave"},
        {"{\"command\":\"replicate\",\"args\":{\"table\":\"t\",\"scope\":\"all\"}}",
         "command replicate {\"table\":\"t\",\"scope\":\"all\"}"},
    };
    int fd = dial();

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) { /* all on one connection */
        say(fd, all[i].request);
        say(fd, "\n");
        wait_for_call((int)i + 1);
        assert_string_equal(last_call, all[i].call);
        answer("{\"n\":1}", PERCHE_OK, NULL);
        if (strstr(all[i].call, "query conflicts"))
            assert_non_null(strstr(hear(fd), "\"n\":1"));
        else
            assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{\"n\":1}}");
    }
    close(fd);
}

static void a_refusal_of_the_node_comes_with_code_and_sentence(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"status\"}\n");
    wait_for_call(1);
    answer(NULL, PERCHE_NOT_FOUND, "no table \"élève\"");
    assert_string_equal(hear(fd), "{\"ok\":false,\"code\":\"not_found\","
                                  "\"text\":\"no table \\\"élève\\\"\"}");
    /* half a character, or a path in Latin-1, takes nothing else of the sentence away */
    say(fd, "{\"command\":\"status\"}\n");
    wait_for_call(2);
    answer(NULL, PERCHE_DISK, "/caf\xe9: it failed\xc3");
    assert_string_equal(hear(fd), "{\"ok\":false,\"code\":\"disk\",\"text\":\"/caf\xef\xbf\xbd: it failed\xef\xbf\xbd\"}");
    say(fd, "{\"command\":\"" "x\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
            "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9" "\"}\n"); /* cut at 40 bytes */
    assert_non_null(strstr(hear(fd), "knows no command"));
    close(fd);
}

static void the_version_is_answered_without_the_node(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"version\",\"args\":{},\"client\":\"9\"}\n");
    assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{\"version\":\"" PERCHE_VERSION "\"}}");
    assert_int_equal(calls_ever, 0);
    close(fd);
}

static void an_answer_of_several_lines_goes_out_as_one(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"status\"}\n");
    wait_for_call(1);
    answer("{\n  \"n\": 1\n}\n", PERCHE_OK, NULL);
    assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{   \"n\": 1 } }");
    close(fd);
}

static void requests_sent_at_once_are_answered_one_after_the_other(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"status\"}\n{\"command\":\"sites\"}\n{\"command\":\"version\"}\n");
    wait_for_call(1);
    turn_ms(20);
    assert_int_equal(calls_ever, 1); /* the second waits for the first */
    answer("{\"n\":1}", PERCHE_OK, NULL);
    assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{\"n\":1}}");
    wait_for_call(2);
    assert_string_equal(last_call, "sites");
    answer("{\"n\":2}", PERCHE_OK, NULL);
    assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{\"n\":2}}");
    assert_non_null(strstr(hear(fd), "version"));
    close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char line[] = "{\"command\":\"status\"}\n";
    int fd = dial();

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(line); i++) {
        assert_int_equal(calls_ever, 0);
        say_n(fd, line + i, 1);
        turn_ms(3);
    }
    wait_for_call(1);
    answer("{}", PERCHE_OK, NULL);
    assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{}}");
    close(fd);
}

/* ----------------------------------------------------------------- bad input */

static void what_is_no_request_is_refused_and_the_next_one_served(void **state)
{
    static const char *const bad[] = {
        "hello\n",
        "\n",
        "[]\n",
        "{}\n",
        "{\"command\":7}\n",
        "{\"command\":\"status\",\"args\":[]}\n",
        "{\"command\":\"status\",\"command\":\"leave\"}\n",
        "{\"command\":\"status\"} x\n",
        "{\"command\":\"stat\xe9\"}\n",
        "GET / HTTP/1.1\r\n",
    };
    int fd = dial();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        say(fd, bad[i]);
        assert_non_null(strstr(hear(fd), "{\"ok\":false,\"code\":\"usage\""));
    }
    assert_int_equal(calls_ever, 0);
    say(fd, "{\"command\":\"version\"}\n");
    assert_non_null(strstr(hear(fd), "{\"ok\":true"));
    close(fd);
}

static void an_unknown_command_is_refused_by_name(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"erase\",\"client\":\"9.1\"}\n");
    assert_non_null(strstr(hear(fd), "knows no command \\\"erase\\\"; the client is 9.1"));
    say(fd, "{\"command\":\"\"}\n");
    assert_non_null(strstr(hear(fd), "knows no command"));
    close(fd);
}

static void wrong_arguments_are_refused_before_the_node_hears_of_them(void **state)
{
    static const char *const bad[] = {
        "{\"command\":\"sync\",\"args\":{\"timeout_ms\":-1}}\n",
        "{\"command\":\"sync\",\"args\":{\"timeout_ms\":86400001}}\n",
        "{\"command\":\"sync\",\"args\":{\"timeout_ms\":\"60s\"}}\n",
        "{\"command\":\"invite\",\"args\":{\"name\":\"x\",\"expires_in_ms\":0}}\n",
        "{\"command\":\"invite\",\"args\":{\"name\":\"x\",\"expires_in_ms\":9223372036854775807}}\n",
        "{\"command\":\"join\"}\n",
        "{\"command\":\"join\",\"args\":{\"line\":7}}\n",
    };
    int fd = dial();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        say(fd, bad[i]);
        assert_non_null(strstr(hear(fd), "{\"ok\":false,\"code\":\"usage\""));
    }
    assert_int_equal(calls_ever, 0);
    close(fd);
}

static void a_line_beyond_the_bound_is_refused_and_the_connection_ends(void **state)
{
    size_t n = PERCHE_CONTROL_REQUEST_MAX + 1000;
    char *line = malloc(n);
    int fd = dial();

    (void)state;
    memset(line, 'x', n);
    say_n(fd, line, n);
    assert_non_null(strstr(hear(fd), "{\"ok\":false,\"code\":\"too_large\""));
    assert_string_equal(hear(fd), "");
    close(fd);
    free(line);
}

static void a_line_of_just_the_bound_is_taken(void **state)
{
    size_t n = PERCHE_CONTROL_REQUEST_MAX;
    char *line = malloc(n);
    int fd = dial();

    (void)state;
    memset(line, ' ', n);
    memcpy(line, "{\"command\":\"version\"}", 21);
    line[n - 1] = '\n';
    say_n(fd, line, n);
    assert_non_null(strstr(hear(fd), "{\"ok\":true"));
    close(fd);
    free(line);
}

static void who_sends_without_end_while_it_waits_is_cut_off(void **state)
{
    char *lines = malloc(PERCHE_CONTROL_REQUEST_MAX * 2);
    int fd = dial();

    (void)state;
    memset(lines, '\n', PERCHE_CONTROL_REQUEST_MAX * 2);
    say(fd, "{\"command\":\"status\"}\n");
    wait_for_call(1);
    say_n(fd, lines, PERCHE_CONTROL_REQUEST_MAX * 2);
    assert_string_equal(hear(fd), "");
    answer("{}", PERCHE_OK, NULL); /* finds nobody */
    close(fd);
    free(lines);
}

static void half_a_line_and_the_end_is_refused(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"leave\"}");
    shutdown(fd, SHUT_WR);
    assert_non_null(strstr(hear(fd), "in the middle of its line"));
    assert_string_equal(hear(fd), "");
    assert_int_equal(calls_ever, 0);
    close(fd);
}

static void an_answer_beyond_the_bound_is_a_refusal(void **state)
{
    size_t n = PERCHE_CONTROL_ANSWER_MAX;
    char *json = malloc(n + 1);
    int fd = dial();

    (void)state;
    memset(json, 'x', n);
    json[0] = json[n - 1] = '"';
    json[n] = '\0';
    say(fd, "{\"command\":\"status\"}\n");
    wait_for_call(1);
    answer(json, PERCHE_OK, NULL);
    assert_non_null(strstr(hear(fd), "{\"ok\":false,\"code\":\"too_large\""));
    close(fd);
    free(json);
}

/* ------------------------------------------------------------------- leaving */

static void a_client_that_goes_away_frees_its_request(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"verify\"}\n");
    wait_for_call(1);
    close(fd);
    turn_ms(20);
    answer("{}", PERCHE_OK, NULL); /* the sanitizer sees to it that nobody is touched */
    fd = dial();
    say(fd, "{\"command\":\"version\"}\n");
    assert_non_null(strstr(hear(fd), "true"));
    close(fd);
}

static void a_client_that_only_stops_sending_gets_its_answers(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"status\"}\n{\"command\":\"version\"}\n");
    shutdown(fd, SHUT_WR); /* as `nc -N` does */
    wait_for_call(1);
    turn_ms(20);
    answer("{\"n\":1}", PERCHE_OK, NULL);
    assert_string_equal(hear(fd), "{\"ok\":true,\"result\":{\"n\":1}}");
    assert_non_null(strstr(hear(fd), "version"));
    assert_string_equal(hear(fd), "");
    close(fd);
}

static void an_answer_to_a_client_that_has_gone_meanwhile_ends_nobody_else(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"status\"}\n");
    shutdown(fd, SHUT_WR); /* so that the daemon no longer looks whether it is there */
    wait_for_call(1);
    turn_ms(10);
    close(fd);
    answer("{}", PERCHE_OK, NULL); /* SIGPIPE, if it were not ignored */
    turn_ms(10);
    fd = dial();
    say(fd, "{\"command\":\"version\"}\n");
    assert_non_null(strstr(hear(fd), "true"));
    close(fd);
}

static void more_programs_than_are_served_are_told_so_and_the_others_go_on(void **state)
{
    int fds[48], served = 0, refused = 0, fd;

    (void)state;
    at_once = "{}";
    for (int i = 0; i < 48; i++)
        fds[i] = dial();
    turn_ms(50);
    for (int i = 0; i < 48; i++) {
        const char *line;

        say(fds[i], "{\"command\":\"version\"}\n");
        line = hear(fds[i]);
        if (strstr(line, "\"ok\":true"))
            served++;
        else if (strstr(line, "\"busy\""))
            refused++;
    }
    assert_int_equal(served, 32);
    assert_int_equal(refused, 16);
    for (int i = 0; i < 48; i++)
        close(fds[i]);
    turn_ms(20);
    fd = dial();
    say(fd, "{\"command\":\"version\"}\n");
    assert_non_null(strstr(hear(fd), "true"));
    close(fd);
}

static void closing_with_everything_under_way_frees_everything(void **state)
{
    int a = dial(), b = dial(), c = dial();

    (void)state;
    say(a, "{\"command\":\"status\"}\n");
    wait_for_call(1);
    say(b, "{\"command\":\"watch\"}\n");
    wait_for_call(2);
    say(c, "{\"comm");
    turn_ms(10);
    shut(); /* the node answers both after it, in tear_down() */
    assert_int_equal(access(path, F_OK), -1);
    assert_string_equal(hear(a), "");
    assert_string_equal(hear(b), "");
    close(a);
    close(b);
    close(c);
}

/* ----------------------------------------------------------------- conflicts */

#define ID1 "7f3a9c11d2e4f60718293a4b5c6d7e8f"

static void who_decides_is_what_the_kernel_says_and_not_the_client(void **state)
{
    struct passwd *me = getpwuid(geteuid());
    char expected[256], name[64];
    int fd = dial();

    (void)state;
    if (me)
        snprintf(name, sizeof(name), "%s", me->pw_name);
    else
        snprintf(name, sizeof(name), "uid %u", (unsigned)geteuid());
    say(fd, "{\"command\":\"resolve\",\"args\":{\"id\":\"" ID1 "\",\"take\":\"a\",\"reason\":\"r\","
            "\"by\":\"somebody\"}}\n");
    wait_for_call(1);
    snprintf(expected, sizeof(expected),
             "command resolve {\"id\":\"" ID1 "\",\"take\":\"a\",\"reason\":\"r\",\"by\":\"%s\"}",
             name);
    assert_string_equal(last_call, expected);
    answer("{}", PERCHE_OK, NULL);
    hear(fd);
    close(fd);
}

static void the_list_of_conflicts_says_whose_it_is(void **state)
{
    static const char self[] = "{\"ok\":true,\"result\":{\"self\":{"
                               "\"id\":\"01990c5e-0000-7000-8000-000000000001\","
                               "\"name\":\"La \\\"Loupe\\\"\"}";
    char line[400];
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"conflicts\"}\n");
    wait_for_call(1);
    answer("{\"conflicts\":[],\"x\":0.1}", PERCHE_OK, NULL);
    snprintf(line, sizeof(line), "%s,\"conflicts\":[],\"x\":0.1}}", self);
    assert_string_equal(hear(fd), line);
    say(fd, "{\"command\":\"conflicts\"}\n");
    wait_for_call(2);
    answer("{}", PERCHE_OK, NULL);
    snprintf(line, sizeof(line), "%s}}", self);
    assert_string_equal(hear(fd), line);
    close(fd);
}

static void an_invitation_ends_at_a_time_of_the_daemons_clock(void **state)
{
    uint64_t now = (uint64_t)time(NULL) * 1000, at;
    json_t *args;
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"invite\",\"args\":{\"name\":\"x\",\"expires_in_ms\":3600000}}\n");
    wait_for_call(1);
    args = json_loads(last_call + strlen("invite "), 0, NULL);
    at = (uint64_t)json_integer_value(json_object_get(args, "expires_ms"));
    assert_in_range(at, now + 3600000, now + 3610000);
    assert_null(json_object_get(args, "expires_in_ms"));
    assert_string_equal(json_string_value(json_object_get(args, "name")), "x");
    json_decref(args);
    answer("{}", PERCHE_OK, NULL);
    hear(fd);
    close(fd);
}

/* ------------------------------------------------------------------- watching */

static void a_watch_begins_with_the_state_and_tells_each_change(void **state)
{
    int fd = dial();

    (void)state;
    at_once = "{\"state\":\"live\",\"pending\":0,\"works\":1}";
    say(fd, "{\"command\":\"watch\"}\n");
    assert_string_equal(hear(fd), "{\"event\":{\"state\":\"live\",\"pending\":0,\"works\":1}}");
    at_once = "{\"state\":\"live\",\"pending\":7,\"works\":2}";
    control_wake(control);
    assert_non_null(strstr(hear_for(fd, 500), "\"pending\":7"));
    /* counters that move by themselves are no change */
    at_once = "{\"state\":\"live\",\"pending\":7,\"works\":9}";
    control_wake(control);
    assert_null(hear_for(fd, 300));
    close(fd);
}

static void a_change_that_nobody_woke_us_for_is_seen_within_a_second(void **state)
{
    int fd = dial();

    (void)state;
    at_once = "{\"pending\":0}";
    say(fd, "{\"command\":\"watch\"}\n");
    hear(fd);
    at_once = "{\"pending\":1}";
    assert_non_null(strstr(hear_for(fd, 1500), "\"pending\":1"));
    close(fd);
}

static void a_watch_gets_five_lines_a_second_at_most(void **state)
{
    static char now[64];
    uint64_t until;
    int lines = 0, fd = dial();

    (void)state;
    at_once = "{\"pending\":0}";
    say(fd, "{\"command\":\"watch\"}\n");
    hear(fd);
    until = uv_now(&loop) + 1000;
    for (int i = 1; uv_now(&loop) < until; i++) {
        snprintf(now, sizeof(now), "{\"pending\":%d}", i);
        at_once = now;
        control_wake(control);
        if (hear_for(fd, 5))
            lines++;
    }
    assert_in_range(lines, 3, 5);
    close(fd);
}

static void who_does_not_watch_costs_no_look_at_the_state(void **state)
{
    int before, fd = dial();

    (void)state;
    for (int i = 0; i < 10; i++) {
        control_wake(control);
        turn_ms(5);
    }
    assert_int_equal(calls_ever, 0);
    at_once = "{}";
    say(fd, "{\"command\":\"watch\"}\n");
    hear(fd);
    close(fd);
    turn_ms(20);
    before = calls_ever;
    for (int i = 0; i < 60; i++) {
        control_wake(control);
        turn_ms(5);
    }
    assert_in_range(calls_ever, before, before + 1); /* the one that was due already */
}

static void a_watcher_that_does_not_read_gets_the_newest_state_later(void **state)
{
    char *big = malloc(3u << 20);
    int fd = dial(), n = 0;
    char last[8] = "";

    (void)state;
    /* larger than what the kernel holds for a reader, so that lines wait here */
    for (int i = 0; i < 4; i++) {
        memset(big, ' ', 3u << 20);
        n = sprintf(big, "{\"pending\":%d", i);
        big[n] = ' ';
        big[(3u << 20) - 2] = '}';
        big[(3u << 20) - 1] = '\0';
        at_once = big;
        if (i == 0)
            say(fd, "{\"command\":\"watch\"}\n");
        control_wake(control);
        turn_ms(250);
    }
    at_once = "{\"pending\":9}";
    for (n = 0; n < 100 &&
                strcmp(last, "9") != 0;) { /* read on: only what was under way, then the newest */
        char buf[65536];
        ssize_t got = recv(fd, buf, sizeof(buf) - 1, 0);

        if (got > 0) {
            char *p;

            buf[got] = '\0';
            for (p = buf; (p = strstr(p, "\"pending\":")); p++)
                snprintf(last, sizeof(last), "%.1s", p + 10);
        } else {
            turn();
            n += errno != EAGAIN;
        }
        assert_true(strcmp(last, "2") != 0); /* never queued */
    }
    assert_string_equal(last, "9");
    close(fd);
    turn_ms(10);
    at_once = NULL;
    free(big);
}

/* ------------------------------------------------------------ the socket file */

static void the_socket_is_for_owner_and_group_alone(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0660);
}

/* Runs as another user in a child: what it hears, in its exit status. */
static int as_nobody(void)
{
    pid_t pid;
    int status;

    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        char text[400] = "";
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        size_t n = 0;
        ssize_t got;

        strcpy(to.sun_path, path);
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(9);
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
            _exit(errno == EACCES ? 1 : 8);
        (void)!send(fd, "{\"command\":\"version\"}\n", 22, MSG_NOSIGNAL);
        while (n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
            if (memchr(text, '\n', n += (size_t)got))
                break;
        _exit(strstr(text, "\"ok\":true") ? 0 : strstr(text, "\"code\":\"auth\"") ? 2 : 7);
    }
    for (int i = 0; i < 5000; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        turn();
    }
    return -2;
}

static void a_user_outside_the_group_is_kept_out_twice(void **state)
{
    (void)state;
    if (geteuid() != 0) { /* no other user to be: then at least the own one gets in */
        int fd = dial();

        say(fd, "{\"command\":\"version\"}\n");
        assert_non_null(strstr(hear(fd), "true"));
        close(fd);
        return;
    }
    chmod(folder, 0755);
    assert_int_equal(as_nobody(), 1); /* by the rights of the file */
    chmod(path, 0666);
    assert_int_equal(as_nobody(), 2); /* and, were they wrong, by who it is */
}

static void a_member_of_the_group_gets_in(void **state)
{
    struct control_config config = {.socket = path, .group = "nogroup"};
    struct perche_err err;

    (void)state;
    if (geteuid() != 0)
        return; /* see above */
    shut();
    closed = false;
    assert_int_equal(control_new(&loop, NULL, &config, &control, &err), PERCHE_OK);
    chmod(folder, 0755);
    assert_int_equal(as_nobody(), 0);
}

static void a_socket_that_was_left_behind_is_replaced(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct control_config config = {.socket = path};
    struct perche_err err;
    int fd;

    (void)state;
    shut();
    closed = false;
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(at.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    close(fd); /* as after kill -9: the file stays, nobody answers */
    assert_int_equal(control_new(&loop, NULL, &config, &control, &err), PERCHE_OK);
    fd = dial();
    say(fd, "{\"command\":\"version\"}\n");
    assert_non_null(strstr(hear(fd), "true"));
    close(fd);
}

static void a_socket_where_another_answers_is_left_alone(void **state)
{
    struct control *second = NULL;
    struct control_config config = {.socket = path};
    struct perche_err err;
    int fd;

    (void)state;
    assert_int_equal(control_new(&loop, NULL, &config, &second, &err), PERCHE_BUSY);
    assert_null(second);
    assert_non_null(strstr(err.text, path));
    fd = dial();
    say(fd, "{\"command\":\"version\"}\n");
    assert_non_null(strstr(hear(fd), "true"));
    close(fd);
}

static void a_path_that_cannot_be_a_socket_is_a_mistake_of_the_configuration(void **state)
{
    struct control *c = NULL;
    struct control_config config = {0};
    struct perche_err err;
    char file[96], missing[96], longer[200];
    int fd;

    (void)state;
    snprintf(file, sizeof(file), "%s/file", folder);
    fd = open(file, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "mine", 4), 4);
    close(fd);
    config.socket = file;
    assert_int_equal(control_new(&loop, NULL, &config, &c, &err), PERCHE_CONFIG);
    assert_int_equal(access(file, F_OK), 0); /* a file of somebody's is never removed */
    unlink(file);

    snprintf(missing, sizeof(missing), "%s/missing/s", folder);
    config.socket = missing;
    assert_int_equal(control_new(&loop, NULL, &config, &c, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, "folder does not exist"));

    memset(longer, 'a', sizeof(longer) - 1);
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    config.socket = longer;
    assert_int_equal(control_new(&loop, NULL, &config, &c, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, "longer than 107 bytes"));
    assert_null(c);
}

/* systemd tries a start again that failed for the system, and none that failed for the configuration. */
static void a_socket_that_the_system_refuses_now_is_no_mistake_of_the_configuration(void **state)
{
    struct control *c = NULL;
    struct control_config config = {0};
    struct rlimit files, none;
    struct perche_err err;
    char other[96];
    enum perche_rc rc;

    (void)state;
    snprintf(other, sizeof(other), "%s/other", folder);
    config.socket = other;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = (struct rlimit){0, files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rc = control_new(&loop, NULL, &config, &c, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(rc, PERCHE_DISK);
    assert_int_equal(err.rc, PERCHE_DISK);
    assert_non_null(strstr(err.text, "Too many open files"));
    assert_null(c);
}

static void closing_leaves_a_socket_that_is_no_longer_ours(void **state)
{
    struct stat st;
    int fd;

    (void)state;
    unlink(path);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    shut();
    assert_int_equal(stat(path, &st), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_command_reaches_its_call_of_the_node),
        CASE(a_refusal_of_the_node_comes_with_code_and_sentence),
        CASE(the_version_is_answered_without_the_node),
        CASE(an_answer_of_several_lines_goes_out_as_one),
        CASE(requests_sent_at_once_are_answered_one_after_the_other),
        CASE(a_request_may_come_byte_by_byte),
        CASE(what_is_no_request_is_refused_and_the_next_one_served),
        CASE(an_unknown_command_is_refused_by_name),
        CASE(wrong_arguments_are_refused_before_the_node_hears_of_them),
        CASE(a_line_beyond_the_bound_is_refused_and_the_connection_ends),
        CASE(a_line_of_just_the_bound_is_taken),
        CASE(who_sends_without_end_while_it_waits_is_cut_off),
        CASE(half_a_line_and_the_end_is_refused),
        CASE(an_answer_beyond_the_bound_is_a_refusal),
        CASE(a_client_that_goes_away_frees_its_request),
        CASE(a_client_that_only_stops_sending_gets_its_answers),
        CASE(an_answer_to_a_client_that_has_gone_meanwhile_ends_nobody_else),
        CASE(more_programs_than_are_served_are_told_so_and_the_others_go_on),
        CASE(closing_with_everything_under_way_frees_everything),
        CASE(who_decides_is_what_the_kernel_says_and_not_the_client),
        CASE(the_list_of_conflicts_says_whose_it_is),
        CASE(an_invitation_ends_at_a_time_of_the_daemons_clock),
        CASE(a_watch_begins_with_the_state_and_tells_each_change),
        CASE(a_change_that_nobody_woke_us_for_is_seen_within_a_second),
        CASE(a_watch_gets_five_lines_a_second_at_most),
        CASE(who_does_not_watch_costs_no_look_at_the_state),
        CASE(a_watcher_that_does_not_read_gets_the_newest_state_later),
        CASE(the_socket_is_for_owner_and_group_alone),
        CASE(a_user_outside_the_group_is_kept_out_twice),
        CASE(a_member_of_the_group_gets_in),
        CASE(a_socket_that_was_left_behind_is_replaced),
        CASE(a_socket_where_another_answers_is_left_alone),
        CASE(a_path_that_cannot_be_a_socket_is_a_mistake_of_the_configuration),
        CASE(a_socket_that_the_system_refuses_now_is_no_mistake_of_the_configuration),
        CASE(closing_leaves_a_socket_that_is_no_longer_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
