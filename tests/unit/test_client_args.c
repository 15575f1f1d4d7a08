/* The command line: what is understood, and what is a mistake (exit 2, nobody asked). */
#include "client_fake.h"

#include <locale.h>

#include "perche/control.h"

#define NOBODY "/nowhere/perched.sock"

static void each_mistake_is_explained_and_exits_with_2(void **state)
{
    static const struct {
        const char *line, *says;
    } mistakes[] = {
        {"", "usage: perche"},
        {"frobnicate", "there is no command \"frobnicate\""},
        {"--frob status", "there is no option --frob"},
        {"--socket", "--socket needs a path"},
        {"--socket= status", "--socket needs a path"},
        {"--json", "usage: perche"},
        {"--jsonx status", "there is no option --jsonx"},
        {"--json=yes status", "there is no option --json=yes"},
        {"status now", "\"now\" is one word too many"},
        {"status --wait", "there is no option --wait"},
        {"status -x", "there is no option -x"},
        {"sync please", "one word too many"},
        {"sync --timeout", "--timeout needs a value"},
        {"sync --timeout soon", "not \"soon\""},
        {"sync --timeout 0s", "not \"0s\""},
        {"sync --timeout 25h", "at most 24h"},
        {"sync --wait=yes", "--wait takes no value"},
        {"sites all", "one word too many"},
        {"watch --every 5s", "there is no option --every"},
        {"list learner extra", "\"extra\" is one word too many"},
        {"list learner --limit none", "wants a whole number"},
        {"list learner --limit 0", "wants a whole number"},
        {"list --where 1=1", "--where needs a TABLE"},
        {"show", "words are missing"},
        {"show learner", "words are missing"},
        {"show learner ''", "a part of the ID is empty"},
        {"show t a b c d e", "\"e\" is one word too many"},
        {"history learner", "words are missing"},
        {"history learner a,,b", "a part of the ID is empty"},
        {"conflicts now", "\"now\" is one word too many"},
        {"conflicts --row 7", "--row needs --table"},
        {"conflicts --table t --row ,", "a part of --row is empty"},
        {"conflicts show", "one word is missing"},
        {"conflicts show a b", "one word too many"},
        {"conflicts show 7f3a --all", "there is no option --all"},
        {"conflicts resolve", "one word is missing"},
        {"conflicts resolve 7f3a", "--take or --value is needed"},
        {"conflicts resolve 7f3a --take a --value x --reason r", "not both"},
        {"conflicts resolve 7f3a --take c --reason r", "--take is a or b, not \"c\""},
        {"conflicts resolve 7f3a --take a", "--reason is needed"},
        {"conflicts resolve 7f3a --take a --reason ''", "--reason is needed"},
        {"conflicts resolve 7f3a --value x", "--reason is needed"},
        {"invite", "one word is missing"},
        {"invite a b", "\"b\" is one word too many"},
        {"invite a --expires tomorrow", "not \"tomorrow\""},
        {"invite a --expires", "--expires needs a value"},
        {"join", "one word is missing"},
        {"join ''", "no line of an invitation"},
        {"join a b", "one word too many"},
        {"revoke", "one word is missing"},
        {"leave now", "one word too many"},
        {"verify --deep", "there is no option --deep"},
        {"replicate", "one word is missing"},
        {"replicate t", "--scope is needed"},
        {"replicate t --scope ''", "--scope is needed"},
        {"help frob", "there is no command \"frob\""},
        {"version 2", "one word too many"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct ran *r = run_at(NOBODY, mistakes[i].line, 80, NULL);

        if (r->status != CLIENT_USAGE || !strstr(r->err, mistakes[i].says) || *r->out)
            fail_msg("perche %s: exit %d, out \"%s\", err \"%s\"", mistakes[i].line, r->status,
                     r->out, r->err);
        ran_free(r);
    }
}

static void a_word_or_a_value_that_is_not_utf8_is_a_mistake(void **state)
{
    static const char *const lines[] = {"list \xe9t\xe9", "list t --where \xe9=1",
                                        "conflicts resolve 7f --value \xe9 --reason r"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct ran *r = run_at(NOBODY, lines[i], 80, NULL);

        assert_int_equal(r->status, CLIENT_USAGE);
        assert_non_null(strstr(r->err, "not UTF-8"));
        ran_free(r);
    }
}

static void a_mistake_in_a_command_shows_how_it_is_used(void **state)
{
    struct ran *r = run_at(NOBODY, "list t --limit x", 80, NULL);

    (void)state;
    assert_string_equal(r->err, "perche list: --limit wants a whole number from 1, not \"x\".\n"
                                "usage: perche list [TABLE] [--where SQL] [--limit N]\n"
                                "\"perche help list\" says more.\n");
    ran_free(r);
}

static void each_command_has_help_with_usage_and_needs_no_daemon(void **state)
{
    (void)state;
    for (const struct command *const *cmd = commands; *cmd; cmd++) {
        char line[64], usage[64];
        struct ran *dashed, *worded;

        snprintf(line, sizeof(line), "%s --help", (*cmd)->name);
        dashed = run_at(NOBODY, line, 80, NULL);
        snprintf(line, sizeof(line), "help %s", (*cmd)->name);
        worded = run_at(NOBODY, line, 80, NULL);
        snprintf(usage, sizeof(usage), "usage: perche %s", (*cmd)->name);
        assert_int_equal(dashed->status, CLIENT_DONE);
        assert_string_equal(dashed->out, worded->out);
        assert_string_equal(dashed->err, "");
        assert_true(strncmp(dashed->out, usage, strlen(usage)) == 0);
        assert_true((*cmd)->help[strlen((*cmd)->help) - 1] == '\n');
        ran_free(dashed);
        ran_free(worded);
    }
}

static void each_line_of_the_help_fits_90_columns(void **state)
{
    (void)state;
    for (const struct command *const *cmd = commands; *cmd; cmd++) {
        char *help = strdup((*cmd)->help);

        assert_non_null(help);
        for (char *line = strtok(help, "\n"); line; line = strtok(NULL, "\n"))
            if (strlen(line) > 90)
                fail_msg("perche help %s: \"%s\"", (*cmd)->name, line);
        free(help);
    }
}

static void help_lists_every_command_with_its_summary(void **state)
{
    struct ran *r = run_at(NOBODY, "help", 80, NULL);
    struct ran *dashed = run_at(NOBODY, "--help", 80, NULL);

    (void)state;
    assert_int_equal(r->status, CLIENT_DONE);
    assert_string_equal(r->out, dashed->out);
    for (const struct command *const *cmd = commands; *cmd; cmd++) {
        assert_non_null(strstr(r->out, (*cmd)->name));
        assert_non_null(strstr(r->out, (*cmd)->summary));
    }
    ran_free(r);
    ran_free(dashed);
}

static void global_options_may_stand_before_and_behind_the_command(void **state)
{
    static const char *const lines[] = {"--json --socket %s status", "status --json --socket=%s",
                                        "--socket=%s status --json", "status --socket %s --json"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct fake f;
        struct ran *r;
        char line[200];

        fake_start(&f, "{\"ok\":true,\"result\":{\"n\":7}}\n");
        strcpy(line, lines[i]);
        char *at = strstr(line, "%s");
        char rest[100];

        strcpy(rest, at + 2);
        snprintf(at, sizeof(line) - (size_t)(at - line), "%s%s", f.path, rest);
        r = run_at(NOBODY, line, 80, NULL);
        assert_int_equal(r->status, CLIENT_DONE);
        assert_string_equal(r->out, "{\n  \"n\": 7\n}\n");
        ran_free(r);
        fake_stop(&f);
    }
}

static void two_dashes_end_the_options(void **state)
{
    struct ran *r = run_answered("show t -- --json", 80, NULL, "{\"ok\":true,\"result\":{}}\n");

    (void)state;
    assert_non_null(strstr(r->asked, "\"id\":\"--json\""));
    ran_free(r);
}

static void a_value_may_look_like_an_option(void **state)
{
    struct ran *r = run_answered("conflicts resolve 7f3a --value --take --reason=--", 80, NULL,
                                 "{\"ok\":true,\"result\":{}}\n");

    (void)state;
    assert_int_equal(r->status, CLIENT_DONE);
    assert_non_null(strstr(r->asked, "\"value\":\"--take\",\"reason\":\"--\""));
    ran_free(r);
}

static void nobody_at_the_socket_exits_with_3_and_says_what_to_do(void **state)
{
    static const char *const lines[] = {
        "status",
        "sync",
        "sync --wait",
        "sites",
        "watch",
        "list",
        "list t",
        "show t 1",
        "history t 1",
        "conflicts",
        "conflicts show 7",
        "invite a",
        "conflicts resolve 7 --take a --reason r",
        "join l",
        "revoke a",
        "leave",
        "verify",
        "replicate t --scope all",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct ran *r = run_at(NOBODY, lines[i], 80, NULL);

        assert_int_equal(r->status, CLIENT_UNREACHABLE);
        assert_string_equal(r->out, "");
        assert_non_null(strstr(r->err, "systemctl start perched"));
        ran_free(r);
    }
}

static void with_json_a_failure_is_a_document_too(void **state)
{
    struct ran *r = run_at(NOBODY, "--json status", 80, NULL);
    json_t *doc = json_loads(r->out, 0, NULL);

    (void)state;
    assert_int_equal(r->status, CLIENT_UNREACHABLE);
    assert_string_equal(json_string_value(json_object_get(json_object_get(doc, "error"), "code")),
                        "unreachable");
    json_decref(doc);
    ran_free(r);

    r = run_answered("--json status", 80, NULL,
                     "{\"ok\":false,\"code\":\"too_large\",\"text\":\"é\"}\n");
    assert_int_equal(r->status, CLIENT_NO);
    assert_string_equal(r->out, "{\n  \"error\": {\n    \"code\": \"too_large\",\n"
                                "    \"text\": \"é\"\n  }\n}\n");
    ran_free(r);
}

static void the_daemons_no_exits_with_1_and_a_question_it_does_not_understand_with_2(void **state)
{
    struct ran *r = run_answered(
        "show t 1", 80, NULL, "{\"ok\":false,\"code\":\"not_found\",\"text\":\"no such row\"}\n");

    (void)state;
    assert_int_equal(r->status, CLIENT_NO);
    assert_string_equal(r->err, "perche: no such row\n");
    ran_free(r);
    r = run_answered("list t --where x=", 80, NULL,
                     "{\"ok\":false,\"code\":\"usage\",\"text\":\"incomplete input\"}\n");
    assert_int_equal(r->status, CLIENT_USAGE);
    ran_free(r);
}

static void a_daemon_that_hangs_up_in_the_middle_exits_with_3(void **state)
{
    struct ran *r = run_answered("list t", 80, NULL, "{\"ok\":true,\"res");

    (void)state;
    assert_int_equal(r->status, CLIENT_UNREACHABLE);
    assert_string_equal(r->out, "");
    ran_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_explained_and_exits_with_2),
        cmocka_unit_test(a_word_or_a_value_that_is_not_utf8_is_a_mistake),
        cmocka_unit_test(a_mistake_in_a_command_shows_how_it_is_used),
        cmocka_unit_test(each_command_has_help_with_usage_and_needs_no_daemon),
        cmocka_unit_test(each_line_of_the_help_fits_90_columns),
        cmocka_unit_test(help_lists_every_command_with_its_summary),
        cmocka_unit_test(global_options_may_stand_before_and_behind_the_command),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_value_may_look_like_an_option),
        cmocka_unit_test(nobody_at_the_socket_exits_with_3_and_says_what_to_do),
        cmocka_unit_test(with_json_a_failure_is_a_document_too),
        cmocka_unit_test(the_daemons_no_exits_with_1_and_a_question_it_does_not_understand_with_2),
        cmocka_unit_test(a_daemon_that_hangs_up_in_the_middle_exits_with_3),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
