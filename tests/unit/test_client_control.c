/* The control client against a daemon that does everything wrong. */
#include "client_fake.h"

#include <poll.h>
#include <time.h>

#include "perche/control.h"

/* Connects to a fake daemon with @answer, asks "status", and reads once. */
static enum perche_rc ask_once(const char *answer, size_t n, int timeout_ms,
                               struct perche_control_answer *out, struct perche_err *err)
{
    struct perche_control *c = NULL;
    struct fake f;
    enum perche_rc rc;

    memset(out, 0, sizeof(*out));
    memset(&f, 0, sizeof(f));
    f.answer = answer;
    f.answer_n = n ? n : strlen(answer);
    fake_run_with(&f);
    rc = perche_control_connect(f.path, &c, err);
    assert_int_equal(rc, PERCHE_OK);
    assert_true(perche_control_fd(c) >= 0);
    assert_int_equal(perche_control_ask(c, "status", NULL, err), PERCHE_OK);
    rc = perche_control_next(c, timeout_ms, out, err);
    perche_control_free(c);
    fake_stop(&f);
    return rc;
}

static void a_request_is_one_line_with_command_arguments_and_the_clients_version(void **state)
{
    struct perche_control *c = NULL;
    struct perche_err err;
    struct fake f;
    json_t *args = json_pack("{s:s}", "text", "two\nlines");

    (void)state;
    fake_start(&f, "{\"ok\":true,\"result\":{}}\n");
    assert_int_equal(perche_control_connect(f.path, &c, &err), PERCHE_OK);
    assert_int_equal(perche_control_ask(c, "list", args, &err), PERCHE_OK);
    json_decref(args);
    fake_stop(&f);
    perche_control_free(c);
    assert_string_equal(f.asked, "{\"command\":\"list\",\"client\":\"" PERCHE_VERSION
                                 "\",\"args\":{\"text\":\"two\\nlines\"}}\n");
}

static void a_result_comes_with_its_value(void **state)
{
    struct perche_control_answer a;
    struct perche_err err;

    (void)state;
    assert_int_equal(ask_once("{\"ok\":true,\"result\":{\"n\":7}}\n", 0, 5000, &a, &err),
                     PERCHE_OK);
    assert_int_equal(a.kind, PERCHE_CONTROL_DONE);
    assert_int_equal(json_integer_value(json_object_get(a.value, "n")), 7);
    perche_control_answer_clear(&a);
}

static void a_refusal_comes_with_code_and_sentence(void **state)
{
    struct perche_control_answer a;
    struct perche_err err;

    (void)state;
    assert_int_equal(ask_once("{\"ok\":false,\"code\":\"not_found\",\"text\":\"no such table\"}\n",
                              0, 5000, &a, &err),
                     PERCHE_OK);
    assert_int_equal(a.kind, PERCHE_CONTROL_REFUSED);
    assert_int_equal(a.no.rc, PERCHE_NOT_FOUND);
    assert_string_equal(a.no.text, "no such table");
    perche_control_answer_clear(&a);
}

static void a_code_of_a_newer_daemon_is_a_refusal(void **state)
{
    struct perche_control_answer a;
    struct perche_err err;

    (void)state;
    assert_int_equal(ask_once("{\"ok\":false,\"code\":\"moon_phase\"}\n", 0, 5000, &a, &err),
                     PERCHE_OK);
    assert_int_equal(a.no.rc, PERCHE_REFUSED);
    assert_true(strlen(a.no.text) > 0);
    /* "ok" is a code of the table, but no reason to refuse */
    assert_int_equal(ask_once("{\"ok\":false,\"code\":\"ok\"}\n", 0, 5000, &a, &err), PERCHE_OK);
    assert_int_equal(a.no.rc, PERCHE_REFUSED);
}

static void events_come_one_by_one_before_the_answer(void **state)
{
    struct perche_control *c = NULL;
    struct perche_control_answer a;
    struct perche_err err;
    struct fake f;

    (void)state;
    fake_start(&f, "{\"event\":{\"n\":1}}\n{\"event\":{\"n\":2}}\n{\"ok\":true,\"result\":{}}\n");
    assert_int_equal(perche_control_connect(f.path, &c, &err), PERCHE_OK);
    assert_int_equal(perche_control_ask(c, "watch", NULL, &err), PERCHE_OK);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(perche_control_next(c, 5000, &a, &err), PERCHE_OK);
        assert_int_equal(a.kind, PERCHE_CONTROL_EVENT);
        assert_int_equal(json_integer_value(json_object_get(a.value, "n")), i);
        perche_control_answer_clear(&a);
    }
    assert_int_equal(perche_control_next(c, 5000, &a, &err), PERCHE_OK);
    assert_int_equal(a.kind, PERCHE_CONTROL_DONE);
    perche_control_answer_clear(&a);
    assert_int_equal(perche_control_next(c, 5000, &a, &err), PERCHE_NET); /* it hung up */
    perche_control_free(c);
    fake_stop(&f);
}

static void what_is_no_json_is_no_answer(void **state)
{
    static const char *const bad[] = {
        "hello\n",
        "\n",
        "[1]\n",
        "{\"ok\":1}\n",
        "{}\n",
        "{\"ok\":true\n",
        "HTTP/1.1 400 Bad Request\r\n",
        "{\"ok\":true,\"result\":{}} and more\n",
        "{\"ok\":true,\"result\":\"\xff\"}\n",
    };
    struct perche_control_answer a;
    struct perche_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ask_once(bad[i], 0, 5000, &a, &err), PERCHE_CORRUPT);
        assert_int_equal(err.rc, PERCHE_CORRUPT);
        assert_null(a.value);
    }
}

static void json_nested_beyond_reason_is_refused_and_not_followed(void **state)
{
    size_t n = 1u << 20;
    char *deep = malloc(n + 1);
    struct perche_control_answer a;
    struct perche_err err;

    (void)state;
    memset(deep, '[', n);
    deep[n] = '\n';
    assert_int_equal(ask_once(deep, n + 1, 20000, &a, &err), PERCHE_CORRUPT);
    free(deep);
}

static void a_daemon_that_hangs_up_is_told_from_one_that_answers(void **state)
{
    struct perche_control_answer a;
    struct perche_err err;

    (void)state;
    assert_int_equal(ask_once("", 0, 5000, &a, &err), PERCHE_NET);
    assert_non_null(strstr(err.text, "hung up without an answer"));
}

static void half_an_answer_is_none(void **state)
{
    struct perche_control_answer a;
    struct perche_err err;

    (void)state;
    assert_int_equal(ask_once("{\"ok\":true,\"result\":{}}", 0, 5000, &a, &err), PERCHE_NET);
    assert_non_null(strstr(err.text, "in the middle"));
}

static void a_line_that_does_not_end_is_read_to_the_bound_and_no_further(void **state)
{
    size_t n = PERCHE_CONTROL_ANSWER_MAX + 4096;
    char *line = malloc(n);
    struct perche_control_answer a;
    struct perche_err err;

    (void)state;
    memset(line, ' ', n);
    assert_int_equal(ask_once(line, n, 60000, &a, &err), PERCHE_TOO_LARGE);
    free(line);
}

static void an_answer_of_just_the_bound_is_read(void **state)
{
    static const char head[] = "{\"ok\":true,\"result\":{}}";
    size_t n = PERCHE_CONTROL_ANSWER_MAX;
    char *line = malloc(n);
    struct perche_control_answer a;
    struct perche_err err;

    (void)state;
    memset(line, ' ', n);
    memcpy(line, head, sizeof(head) - 1);
    line[n - 1] = '\n';
    assert_int_equal(ask_once(line, n, 60000, &a, &err), PERCHE_OK);
    perche_control_answer_clear(&a);
    free(line);
}

static void a_request_beyond_the_bound_is_not_sent(void **state)
{
    struct perche_control *c = NULL;
    struct perche_control_answer a;
    struct perche_err err;
    struct fake f;
    char *text = calloc(1, PERCHE_CONTROL_REQUEST_MAX + 1);
    json_t *args;

    (void)state;
    memset(text, 'x', PERCHE_CONTROL_REQUEST_MAX);
    args = json_pack("{s:s}", "text", text);
    fake_start(&f, "{\"ok\":true,\"result\":{}}\n");
    assert_int_equal(perche_control_connect(f.path, &c, &err), PERCHE_OK);
    assert_int_equal(perche_control_ask(c, "resolve", args, &err), PERCHE_TOO_LARGE);
    /* and the connection is still good for one that is not */
    assert_int_equal(perche_control_ask(c, "status", NULL, &err), PERCHE_OK);
    assert_int_equal(perche_control_next(c, 5000, &a, &err), PERCHE_OK);
    perche_control_answer_clear(&a);
    perche_control_free(c);
    fake_stop(&f);
    json_decref(args);
    free(text);
}

static void a_refusal_that_comes_before_the_request_was_read_is_heard(void **state)
{
    struct perche_control *c = NULL;
    struct perche_control_answer a;
    struct perche_err err;
    struct fake f;

    (void)state;
    for (int early = 0; early < 2; early++) {
        memset(&f, 0, sizeof(f));
        f.answer = "{\"ok\":false,\"code\":\"busy\",\"text\":\"too many\"}\n";
        f.answer_n = strlen(f.answer);
        f.before_request = true;
        fake_run_with(&f);
        assert_int_equal(perche_control_connect(f.path, &c, &err), PERCHE_OK);
        if (early) { /* it has answered and hung up: the request cannot even be sent */
            struct pollfd p = {.fd = perche_control_fd(c)};

            assert_int_equal(poll(&p, 1, 5000), 1);
            assert_true(p.revents & POLLHUP);
        }
        assert_int_equal(perche_control_ask(c, "status", NULL, &err), PERCHE_OK);
        assert_int_equal(perche_control_next(c, 5000, &a, &err), PERCHE_OK);
        assert_int_equal(a.kind, PERCHE_CONTROL_REFUSED);
        assert_int_equal(a.no.rc, PERCHE_BUSY);
        perche_control_answer_clear(&a);
        perche_control_free(c);
        fake_stop(&f);
    }
}

static void a_silent_daemon_is_waited_for_as_long_as_was_said(void **state)
{
    struct perche_control *c = NULL;
    struct perche_control_answer a;
    struct perche_err err;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/perche-client.XXXXXX";
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    time_t began = time(NULL);

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", folder);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0); /* the kernel takes the connection; nobody reads */
    assert_int_equal(perche_control_connect(at.sun_path, &c, &err), PERCHE_OK);
    assert_int_equal(perche_control_ask(c, "status", NULL, &err), PERCHE_OK);
    assert_int_equal(perche_control_next(c, 20, &a, &err), PERCHE_TIMEOUT);
    assert_int_equal(perche_control_next(c, 0, &a, &err), PERCHE_TIMEOUT);
    assert_true(time(NULL) - began < 3);
    perche_control_free(c);
    close(listener);
    unlink(at.sun_path);
    rmdir(folder);
}

/* ---- nobody there: each way has its sentence, and each says what to do ---- */

static void no_socket_says_how_to_start_the_daemon(void **state)
{
    struct perche_control *c = NULL;
    struct perche_err err;

    (void)state;
    assert_int_equal(perche_control_connect("/nowhere/at/all", &c, &err), PERCHE_NET);
    assert_non_null(strstr(err.text, "systemctl start perched"));
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    assert_null(c);
}

static void a_socket_that_was_left_behind_says_so(void **state)
{
    struct perche_control *c = NULL;
    struct perche_err err;
    struct fake f;

    (void)state;
    fake_start(&f, "");
    shutdown(f.listener, SHUT_RDWR);
    pthread_join(f.thread, NULL);
    close(f.listener); /* the file stays */
    assert_int_equal(perche_control_connect(f.path, &c, &err), PERCHE_NET);
    assert_non_null(strstr(err.text, "journalctl -u perched"));
    unlink(f.path);
    rmdir(f.folder);
}

static void a_path_that_is_too_long_is_not_cut(void **state)
{
    char path[200];
    struct perche_control *c = NULL;
    struct perche_err err;

    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(perche_control_connect(path, &c, &err), PERCHE_NET);
    assert_non_null(strstr(err.text, "longer than 107 bytes"));
}

static void a_file_that_is_no_socket_is_not_called_a_daemon(void **state)
{
    char path[] = "/tmp/perche-client.XXXXXX";
    struct perche_control *c = NULL;
    struct perche_err err;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(perche_control_connect(path, &c, &err), PERCHE_NET);
    assert_null(c);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_one_line_with_command_arguments_and_the_clients_version),
        cmocka_unit_test(a_result_comes_with_its_value),
        cmocka_unit_test(a_refusal_comes_with_code_and_sentence),
        cmocka_unit_test(a_code_of_a_newer_daemon_is_a_refusal),
        cmocka_unit_test(events_come_one_by_one_before_the_answer),
        cmocka_unit_test(what_is_no_json_is_no_answer),
        cmocka_unit_test(json_nested_beyond_reason_is_refused_and_not_followed),
        cmocka_unit_test(a_daemon_that_hangs_up_is_told_from_one_that_answers),
        cmocka_unit_test(half_an_answer_is_none),
        cmocka_unit_test(a_line_that_does_not_end_is_read_to_the_bound_and_no_further),
        cmocka_unit_test(an_answer_of_just_the_bound_is_read),
        cmocka_unit_test(a_request_beyond_the_bound_is_not_sent),
        cmocka_unit_test(a_refusal_that_comes_before_the_request_was_read_is_heard),
        cmocka_unit_test(a_silent_daemon_is_waited_for_as_long_as_was_said),
        cmocka_unit_test(no_socket_says_how_to_start_the_daemon),
        cmocka_unit_test(a_socket_that_was_left_behind_says_so),
        cmocka_unit_test(a_path_that_is_too_long_is_not_cut),
        cmocka_unit_test(a_file_that_is_no_socket_is_not_called_a_daemon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
