/* perched.conf: defaults that serve, and one line for everything that cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"

struct place {
    char dir[64], path[96];
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/perche-config-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof(p->path), "%s/perched.conf", p->dir);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

/* @text with every "@" standing for the temporary folder. */
static void put(struct place *p, const char *text)
{
    FILE *f = fopen(p->path, "w");

    assert_non_null(f);
    for (; *text; text++)
        if (*text == '@')
            fputs(p->dir, f);
        else
            fputc(*text, f);
    assert_int_equal(fclose(f), 0);
}

#define PLACES "[control]\nsocket = @/s.sock\n[node]\ndata = @/data\n"

static void every_key_has_a_default(void **state)
{
    struct place *p = *state;
    struct config c;
    struct perche_err err = {0};

    put(p, PLACES);
    if (config_load(p->path, false, &c, &err) != PERCHE_OK)
        fail_msg("%s", err.text);
    assert_int_equal(c.role, REPLICA_SITE);
    assert_true(*c.name != '\0');
    assert_string_equal(c.listen, "tls+tcp://0.0.0.0:7447");
    assert_non_null(strstr(c.advertise, "tls+tcp://"));
    assert_non_null(strstr(c.advertise, ":7447"));
    assert_null(c.upstream_url);
    assert_string_equal(c.web, "http://127.0.0.1:7480");
    assert_int_equal(c.interval_ms, 30000);
    assert_int_equal(c.max_rate, 0);
    config_free(&c);
}

static void every_key_is_read(void **state)
{
    struct place *p = *state;
    struct config c;
    struct perche_err err = {0};
    struct node_config n;

    put(p,
        "; a comment\n"
        "[node]\nrole = hub ; and another\nname = le moyeu\ndata = @/data/\n"
        "[hub]\nlisten = tcp://127.0.0.1:1234\nadvertise = tls+tcp://hub.example.org:7447\n"
        "[control]\nsocket = @/s.sock\n[web]\nlisten = off\n[sync]\ninterval = 10m\nmax_rate = 16000\n");
    if (config_load(p->path, false, &c, &err) != PERCHE_OK)
        fail_msg("%s", err.text);
    assert_int_equal(c.role, REPLICA_HUB);
    assert_string_equal(c.name, "le moyeu");
    assert_string_equal(c.data + strlen(p->dir), "/data");
    assert_string_equal(c.listen, "tcp://127.0.0.1:1234");
    assert_string_equal(c.advertise, "tls+tcp://hub.example.org:7447");
    assert_string_equal(c.web, "");
    assert_int_equal(c.interval_ms, 600000);
    assert_int_equal(c.max_rate, 16000);
    n = config_node(&c);
    assert_true(n.seeds);
    assert_ptr_equal(n.name, c.name);
    config_free(&c);
}

static void a_file_that_is_not_there_is_all_defaults_only_when_nobody_named_it(void **state)
{
    struct place *p = *state;
    struct config c;
    struct perche_err err = {0};
    enum perche_rc rc;

    assert_int_equal(config_load(p->path, false, &c, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, p->path));
    assert_non_null(strstr(err.text, "cannot be read"));
    memset(&err, 0, sizeof(err));
    rc = config_load(p->path, true, &c, &err); /* /var/lib and /run/perche may lack here */
    if (rc == PERCHE_OK)
        config_free(&c);
    else
        assert_non_null(strstr(err.text, "not given, so"));
}

static void whatever_cannot_be_is_one_line_with_file_line_and_key(void **state)
{
    static const struct {
        const char *text, *at, *words;
    } cases[] = {
        {PLACES "nmae = x\n", ":5: [node] nmae:", "no such key; this section has role, name, data"},
        {PLACES "[nodes]\nname = x\n", ":5: [nodes]", "no such section"},
        {PLACES "[webb]\n", ":5: [webb]", "no such section"},
        {"name = x\n", ":1: name", "before the first section"},
        {PLACES "[hub\nname = x\n", ":5:", "write [hub]"},
        {PLACES "role = server\n", ":5: [node] role:", "site or hub"},
        {PLACES "name = a\nname = b\n", ":6: [node] name:", "second time"},
        {PLACES "this is not a line\n", ":5:", "key = value"},
        {PLACES "[hub]\nlisten = tls+tcp://0.0.0.0:99999\n", ":6: [hub] listen:", "1 to 65535"},
        {PLACES "[hub]\nlisten = 0.0.0.0:7447\n", ":6: [hub] listen:", "tls+tcp://"},
        {PLACES "[hub]\nadvertise = tls+tcp://:7447\n", ":6: [hub] advertise:", "no host"},
        {PLACES "[upstream]\nurl = tls+tcp://hub\n", ":6: [upstream] url:", "no port"},
        {PLACES "role = hub\n[upstream]\nurl = tls+tcp://h:7447\n",
         ":7: [upstream] url:", "until then role = hub with [upstream] is refused"},
        {PLACES "role = hub\n[upstream]\n", ":6: [upstream]:", "until then role = hub"},
        {PLACES "[web]\nlisten = http://127.0.0.1:x\n", ":6: [web] listen:", "0 to 65535"},
        {PLACES "[web]\nlisten = https://127.0.0.1:1\n", ":6: [web] listen:", "http://"},
        {PLACES "[sync]\ninterval = 30\n", ":6: [sync] interval:", "unit"},
        {PLACES "[sync]\ninterval = 5 fortnights\n", ":6: [sync] interval:", "unit"},
        {PLACES "[sync]\ninterval = 2d\n", ":6: [sync] interval:", "1s to 24h"},
        {PLACES "[hub]\nretire_after = 213503982335d\n", ":6: [hub] retire_after:", "at most 36600d"}, /* 2^64 ms and 3 h */
        {PLACES "[hub]\nkeep_deleted = 36601d\n", ":6: [hub] keep_deleted:", "at most 36600d"},
        {PLACES "name = Ch\xe2teau\n", ":5: [node] name:", "save the file as UTF-8"},
        {PLACES "name = a\033[2Jb\n", ":5: [node] name:", "a control character"},
        {PLACES "name = a\tb\n", ":5: [node] name:", "a control character"},
        {PLACES "name = a\xc2\x9b" "2Jb\n", ":5: [node] name:", "a control character"},
        {PLACES "name = a\xe2\x80\xa8" "b\n", ":5: [node] name:", "a control character"},
        {PLACES "  name = a\n\tname = b\n", ":6: [node] name:", "second time, first on line 5"},
        {PLACES "name = a\n  b\n", ":6:", "key = value"},
        {PLACES "  [webb]\n", ":5: [webb]", "no such section"},
        {"\xef\xbb\xbf[webb]\n", ":1: [webb]", "no such section"},
        {PLACES "[sync]\nmax_rate = fast\n", ":6: [sync] max_rate:", "bytes"},
        {PLACES "[sync]\nmax_rate = 5\n", ":6: [sync] max_rate:", "200"},
        {PLACES "[sync]\nmax_rate = -5\n", ":6: [sync] max_rate:", "bytes"},
        {"[node]\ndata = var/lib\n", ":2: [node] data:", "from / on"},
        {"[control]\nsocket = @/s\n[node]\ndata = @/no/such\n",
         ":4: [node] data:", "does not exist"},
        {"[control]\nsocket = @/s\n[node]\ndata = @/perched.conf\n",
         ":4: [node] data:", "not a folder"},
        {"[node]\ndata = @\n[control]\nsocket = @/no/s.sock\n",
         ":4: [control] socket:", "does not exist"},
        {"[node]\ndata = @\n[control]\nsocket = s.sock\n", ":4: [control] socket:", "from / on"},
        {"[node]\ndata = @\n[control]\nsocket = /"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
         ":4: [control] socket:", "107 bytes"},
    };
    struct place *p = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct perche_err err = {0};
        struct config c;
        char start[200];

        put(p, cases[i].text);
        if (config_load(p->path, false, &c, &err) != PERCHE_CONFIG)
            fail_msg("taken: %s", cases[i].text);
        (void)snprintf(start, sizeof(start), "%s%s", p->path, cases[i].at);
        if (strncmp(err.text, start, strlen(start)) != 0)
            fail_msg("\"%s\" does not begin with \"%s\"", err.text, start);
        if (!strstr(err.text, cases[i].words))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].words);
        assert_null(strchr(err.text, '\n'));
    }
}

static void put_bytes(struct place *p, const char *bytes, size_t n)
{
    FILE *f = fopen(p->path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void blanks_before_a_key_a_section_or_a_comment_mean_nothing(void **state)
{
    struct place *p = *state;
    struct perche_err err = {0};
    struct config c;

    put(p, "\xef\xbb\xbf  [control]\r\n  socket = @/s.sock\r\n\t[node]\n  ; name = no\n \t \n  role = hub\n"
           "\tname = Ch\xc3\xa2teau \xe2\x82\xac\n    data = @/data\n  [sync]\n  interval = 5s ; quick");
    if (config_load(p->path, false, &c, &err) != PERCHE_OK)
        fail_msg("%s", err.text);
    assert_int_equal(c.role, REPLICA_HUB);
    assert_string_equal(c.name, "Ch\xc3\xa2teau \xe2\x82\xac");
    assert_string_equal(c.data + strlen(p->dir), "/data");
    assert_string_equal(c.socket + strlen(p->dir), "/s.sock");
    assert_int_equal(c.interval_ms, 5000);
    config_free(&c);
}

/* A power cut leaves a file that was being written with its length, and zeros in it. */
static void a_zero_byte_is_told_with_its_line_and_nothing_is_read_past_it(void **state)
{
    static const char inside[] = "[node]\nname = a\0b\n", between[] = "[node]\n\0\0\0\nname = a\n", wide[] = "[\0n\0o\0";
    static const char zeros[5000];
    const struct {
        const char *bytes;
        size_t n;
        const char *at;
    } cases[] = {{inside, sizeof(inside) - 1, ":2: a zero byte"},
                 {between, sizeof(between) - 1, ":2: a zero byte"},
                 {wide, sizeof(wide) - 1, ":1: a zero byte"},
                 {zeros, 1, ":1: a zero byte"},
                 {zeros, sizeof(zeros), ":1: a zero byte"}};
    struct place *p = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct perche_err err = {0};
        struct config c;

        put_bytes(p, cases[i].bytes, cases[i].n);
        assert_int_equal(config_load(p->path, false, &c, &err), PERCHE_CONFIG);
        assert_memory_equal(err.text, p->path, strlen(p->path));
        assert_memory_equal(err.text + strlen(p->path), cases[i].at, strlen(cases[i].at));
        assert_non_null(strstr(err.text, "write it anew"));
    }
}

/* systemd tries a start again that failed for the disk, and none that failed for the configuration. */
static void a_file_that_cannot_be_read_now_is_no_mistake_of_the_configuration(void **state)
{
    struct place *p = *state;
    struct rlimit files, none;
    struct perche_err err = {0};
    struct config c;
    char below[128];
    enum perche_rc rc;

    assert_int_equal(config_load("/proc/self/mem", false, &c, &err), PERCHE_DISK); /* reads as a bad sector does: EIO */
    assert_non_null(strstr(err.text, "/proc/self/mem: cannot be read: Input/output error"));
    put(p, PLACES);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = (struct rlimit){0, files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rc = config_load(p->path, true, &c, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(rc, PERCHE_DISK);
    assert_int_equal(err.rc, PERCHE_DISK);
    (void)snprintf(below, sizeof(below), "%s/below", p->path);
    assert_int_equal(config_load(below, true, &c, &err), PERCHE_CONFIG); /* not a folder */
    assert_int_equal(unlink(p->path), 0);
    assert_int_equal(symlink(p->path, p->path), 0);
    assert_int_equal(config_load(p->path, true, &c, &err), PERCHE_CONFIG);
}

static void the_first_mistake_is_the_one_that_is_told(void **state)
{
    struct place *p = *state;
    struct perche_err err = {0};
    struct config c;

    put(p, PLACES "role = x\nname = a\nname = b\n[zzz]\n");
    assert_int_equal(config_load(p->path, false, &c, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, ":5: [node] role:"));
}

static void a_line_that_is_too_long_is_told(void **state)
{
    struct place *p = *state;
    struct perche_err err = {0};
    struct config c;
    FILE *f = fopen(p->path, "w");

    assert_non_null(f);
    fputs("[node]\nname = ", f);
    for (int i = 0; i < 5000; i++)
        fputc('x', f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(config_load(p->path, false, &c, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, ":2:"));
    assert_non_null(strstr(err.text, "longer than"));
}

static void durations_have_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {{"1s", 1000},     {"500ms", 500},    {"2m", 120000}, {"2min", 120000},
                 {"3h", 10800000}, {"7d", 604800000}, {"0s", 0}};
    static const char *const bad[] = {"",    "s",   "1",  "1.5s",
                                      "-1s", "1 s", "1w", "99999999999999999999s",
                                      "213503982335d", "1000000000000d"};
    uint64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(config_duration(cases[i].text, &ms));
        assert_int_equal(ms, cases[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(config_duration(bad[i], &ms));
}

static void check_refuses_a_data_folder_that_the_start_would_refuse(void **state)
{
    struct place *p = *state;
    struct config c = {0};
    struct perche_err err = {0};
    char path[128], replica[160];

    put(p, PLACES "role = site\n");
    assert_int_equal(config_load(p->path, false, &c, &err), PERCHE_OK);
    assert_int_equal(config_check_data(&c, &err), PERCHE_OK); /* nothing there yet */
    (void)snprintf(path, sizeof(path), "%s/data", p->dir);
    (void)snprintf(replica, sizeof(replica), "%s/replica.db", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mkdir(replica, 0700), 0);
    assert_int_equal(config_check_data(&c, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, "not a file"));
    assert_int_equal(rmdir(replica), 0);
    config_free(&c);
    assert_int_equal(config_load(p->dir, false, &c, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, "is a folder"));
}

static void described(struct config *c, const char *path, const struct replica_seen *seen, const char *word)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);

    assert_non_null(to);
    config_describe(c, path, seen, to);
    assert_int_equal(fclose(to), 0);
    if (!strstr(text, word))
        fail_msg("\"%s\" is not in:\n%s", word, text);
    free(text);
}

static void check_says_what_would_be_done(void **state)
{
    const struct {
        struct replica_seen seen;
        const char *word;
    } are[] = {
        {{.role = 0}, "replica.db, empty: would be made\n"},
        {{.role = REPLICA_HUB, .hub = "h1"}, "replica.db, of a hub\n"},
        {{.role = REPLICA_SITE}, "replica.db, of a site that has not joined a hub\n"},
        {{.role = REPLICA_SITE, .hub = "h1"}, "replica.db, of a site that belongs to the hub h1\n"},
        {{.unknown = true}, "which the start will undo\n"},
    };
    struct replica_seen none = {0};
    struct place *p = *state;
    struct config c;
    char path[160];
    FILE *f;

    put(p, PLACES "role = hub\n[hub]\nlisten = tls+tcp://127.0.0.1:7447\n");
    assert_int_equal(config_load(p->path, false, &c, NULL), PERCHE_OK);
    described(&c, p->path, &none, "role       hub");
    described(&c, p->path, &none, "tls+tcp://127.0.0.1:7447");
    described(&c, p->path, &none, "replica.db, would be made\n");
    assert_int_equal(mkdir(c.data, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/replica.db", c.data);
    f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    for (size_t i = 0; i < sizeof(are) / sizeof(are[0]); i++)
        described(&c, p->path, &are[i].seen, are[i].word);
    described(&c, p->path, NULL, "replica.db\n");
    config_free(&c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_key_has_a_default),
        CASE(every_key_is_read),
        CASE(a_file_that_is_not_there_is_all_defaults_only_when_nobody_named_it),
        CASE(whatever_cannot_be_is_one_line_with_file_line_and_key),
        CASE(blanks_before_a_key_a_section_or_a_comment_mean_nothing),
        CASE(a_zero_byte_is_told_with_its_line_and_nothing_is_read_past_it),
        CASE(a_file_that_cannot_be_read_now_is_no_mistake_of_the_configuration),
        CASE(the_first_mistake_is_the_one_that_is_told),
        CASE(a_line_that_is_too_long_is_told),
        CASE(durations_have_units),
        CASE(check_refuses_a_data_folder_that_the_start_would_refuse),
        CASE(check_says_what_would_be_done),
    };

    return cmocka_run_group_tests_name("settings_config", tests, NULL, NULL);
}
