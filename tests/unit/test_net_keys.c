/* Keys and certificates: what is in them, who may read them, what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/file.h"
#include "net/identity.h"
#include "net/node.h"
#include "net/tls.h"
#include "net/upstream.h"

#define HUB   "018f0000-0000-7000-8000-00000000000a"
#define OTHER "018f0000-0000-7000-8000-00000000000b"

struct place {
    char dir[64], crt[96], key[96], node_key[96];
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/perche-keys-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->crt, sizeof(p->crt), "%s/hub.crt", p->dir);
    (void)snprintf(p->key, sizeof(p->key), "%s/hub.key", p->dir);
    (void)snprintf(p->node_key, sizeof(p->node_key), "%s/node.key", p->dir);
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

static int mkdir_errno; /* 0: folders are made */

int mkdir(const char *path, mode_t mode) /* takes the place of the C library's */
{
    errno = mkdir_errno;
    return errno != 0 ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void the_hubs_certificate_bears_its_id_and_outlives_every_wrong_clock(void **state)
{
    struct tls_identity t = {0};
    struct tls_facts facts;

    (void)state;
    assert_int_equal(tls_identity_make(HUB, &t, NULL), PERCHE_OK);
    assert_int_equal(tls_certificate_facts(t.certificate_pem, &facts, NULL), PERCHE_OK);
    assert_string_equal(facts.name, HUB);
    assert_string_equal(facts.from, "1970-01-01T00:00:00Z");
    assert_string_equal(facts.to, "9999-12-31T23:59:59Z");
    tls_identity_free(&t);
}

static void the_hubs_certificate_is_made_once_and_its_key_is_its_owners_alone(void **state)
{
    struct place *p = *state;
    struct tls_identity first = {0}, second = {0};
    mode_t old = umask(0);

    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &first, NULL), PERCHE_OK);
    umask(old);
    assert_int_equal(mode_of(p->key), 0600);
    assert_int_equal(mode_of(p->crt), 0644);
    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &second, NULL), PERCHE_OK);
    assert_string_equal((char *)first.certificate_pem, (char *)second.certificate_pem);
    assert_string_equal((char *)first.key_pem, (char *)second.key_pem);
    tls_identity_free(&first);
    tls_identity_free(&second);
}

static void a_certificate_of_another_hub_is_refused_with_what_to_do(void **state)
{
    struct place *p = *state;
    struct tls_identity t = {0};
    struct perche_err err = {0};

    assert_int_equal(tls_identity_load(p->crt, p->key, OTHER, &t, NULL), PERCHE_OK);
    tls_identity_free(&t);
    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &t, &err), PERCHE_AUTH);
    assert_non_null(strstr(err.text, p->crt));
    assert_non_null(strstr(err.text, OTHER));
    assert_non_null(strstr(err.text, "restore"));
}

static void a_certificate_without_its_key_is_refused_and_so_is_a_key_alone_which_stays(void **state)
{
    struct place *p = *state;
    struct tls_identity t = {0}, back = {0};
    struct perche_err err = {0};

    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &t, NULL), PERCHE_OK);
    assert_true(t.made);
    assert_int_equal(unlink(p->crt), 0);
    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &back, &err), PERCHE_AUTH);
    assert_non_null(strstr(err.text, p->crt));
    assert_non_null(strstr(err.text, "upstream.crt"));
    assert_int_equal(file_write(p->crt, 0644, t.certificate_pem, t.certificate_pem_n, NULL), PERCHE_OK);
    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &back, NULL), PERCHE_OK);
    assert_string_equal((char *)back.key_pem, (char *)t.key_pem);
    assert_false(back.made);
    tls_identity_free(&back);
    tls_identity_free(&t);
    assert_int_equal(unlink(p->key), 0);
    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &t, &err), PERCHE_AUTH);
    assert_non_null(strstr(err.text, p->key));
}

static void a_crash_while_key_and_certificate_are_made_is_made_good(void **state)
{
    struct place *p = *state;
    struct tls_identity made = {0}, other = {0}, t = {0};
    struct perche_err err = {0};
    char first[112];

    (void)snprintf(first, sizeof(first), "%s.first", p->key);
    assert_int_equal(tls_identity_make(HUB, &made, NULL), PERCHE_OK);
    assert_int_equal(tls_identity_make(HUB, &other, NULL), PERCHE_OK);
    /* before the certificate: nobody has seen that key */
    assert_int_equal(file_write(first, 0600, other.key_pem, other.key_pem_n, NULL), PERCHE_OK);
    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &t, NULL), PERCHE_OK);
    assert_true(t.made);
    assert_int_not_equal(access(first, F_OK), 0);
    tls_identity_free(&t);
    /* behind it */
    assert_int_equal(unlink(p->key), 0);
    assert_int_equal(file_write(first, 0600, made.key_pem, made.key_pem_n, NULL), PERCHE_OK);
    assert_int_equal(file_write(p->crt, 0644, made.certificate_pem, made.certificate_pem_n, NULL), PERCHE_OK);
    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &t, NULL), PERCHE_OK);
    assert_true(t.made);
    assert_string_equal((char *)t.key_pem, (char *)made.key_pem);
    assert_int_equal(mode_of(p->key), 0600);
    assert_int_not_equal(access(first, F_OK), 0);
    tls_identity_free(&t);
    /* no crash of ours: the key that is missing is another one */
    assert_int_equal(unlink(p->key), 0);
    assert_int_equal(file_write(first, 0600, other.key_pem, other.key_pem_n, NULL), PERCHE_OK);
    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &t, &err), PERCHE_AUTH);
    assert_non_null(strstr(err.text, "not its key"));
    assert_int_not_equal(access(p->key, F_OK), 0);
    tls_identity_free(&made);
    tls_identity_free(&other);
}

static void a_key_that_is_not_the_certificates_is_refused(void **state)
{
    struct place *p = *state;
    struct tls_identity t = {0}, other = {0};
    struct perche_err err = {0};

    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &t, NULL), PERCHE_OK);
    tls_identity_free(&t);
    assert_int_equal(tls_identity_make(HUB, &other, NULL), PERCHE_OK);
    assert_int_equal(file_write(p->key, 0600, other.key_pem, other.key_pem_n, NULL), PERCHE_OK);
    tls_identity_free(&other);
    assert_int_equal(tls_identity_load(p->crt, p->key, HUB, &t, &err), PERCHE_AUTH);
    assert_non_null(strstr(err.text, "not the key"));
}

static void the_certificate_of_an_invitation_is_the_one_of_the_hub(void **state)
{
    struct tls_identity t = {0};
    uint8_t *pem = NULL;
    size_t n = 0;
    struct perche_err err = {0};

    (void)state;
    assert_int_equal(tls_identity_make(HUB, &t, NULL), PERCHE_OK);
    assert_int_equal(tls_pem_of_der(t.certificate_der, t.certificate_der_n, &pem, &n, NULL),
                     PERCHE_OK);
    assert_string_equal((char *)pem, (char *)t.certificate_pem);
    assert_int_equal(n, t.certificate_pem_n);
    free(pem);
    t.certificate_der[0] ^= 1;
    assert_int_equal(tls_pem_of_der(t.certificate_der, t.certificate_der_n, &pem, &n, &err),
                     PERCHE_CORRUPT);
    tls_identity_free(&t);
}

static void the_nodes_key_is_made_once_and_is_its_owners_alone(void **state)
{
    struct place *p = *state;
    struct identity *first = NULL, *second = NULL;
    mode_t old = umask(0);

    assert_int_equal(identity_load(p->node_key, &first, NULL), PERCHE_OK);
    umask(old);
    assert_int_equal(mode_of(p->node_key), 0600);
    assert_int_equal(identity_load(p->node_key, &second, NULL), PERCHE_OK);
    assert_memory_equal(identity_public_key(first), identity_public_key(second), 32);
    identity_free(first);
    identity_free(second);
}

static void what_a_node_signs_others_verify_with_its_public_key_alone(void **state)
{
    struct place *p = *state;
    struct identity *i = NULL;
    struct sync_ops ops;
    uint8_t signature[64], other[32];

    assert_int_equal(identity_load(p->node_key, &i, NULL), PERCHE_OK);
    ops = identity_ops(i);
    ops.sign(ops.ctx, (const uint8_t *)"prove", 5, signature);
    assert_true(
        ops.verify(ops.ctx, identity_public_key(i), (const uint8_t *)"prove", 5, signature));
    assert_false(
        ops.verify(ops.ctx, identity_public_key(i), (const uint8_t *)"prowe", 5, signature));
    ops.random(ops.ctx, other, sizeof(other));
    assert_false(ops.verify(ops.ctx, other, (const uint8_t *)"prove", 5, signature));
    signature[0] ^= 1;
    assert_false(
        ops.verify(ops.ctx, identity_public_key(i), (const uint8_t *)"prove", 5, signature));
    identity_free(i);
}

static void a_node_key_that_others_may_read_is_refused(void **state)
{
    struct place *p = *state;
    struct identity *i = NULL;
    struct perche_err err = {0};

    assert_int_equal(identity_load(p->node_key, &i, NULL), PERCHE_OK);
    identity_free(i);
    assert_int_equal(chmod(p->node_key, 0640), 0);
    assert_int_equal(identity_load(p->node_key, &i, &err), PERCHE_AUTH);
    assert_non_null(strstr(err.text, "0600"));
}

static void a_file_that_is_no_node_key_is_refused_and_left_alone(void **state)
{
    static const char *const contents[] = {"", "perche-node-key-1 ", "hello",
                                           "perche-node-key-1 00ff\n", "perche-node-key-1 zz"};
    struct place *p = *state;

    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        struct identity *identity = NULL;
        struct perche_err err = {0};
        uint8_t *still = NULL;
        size_t n = 0;

        assert_int_equal(file_write(p->node_key, 0600, contents[i], strlen(contents[i]), NULL),
                         PERCHE_OK);
        assert_int_equal(identity_load(p->node_key, &identity, &err), PERCHE_CORRUPT);
        assert_non_null(strstr(err.text, p->node_key));
        assert_int_equal(file_read(p->node_key, 1000, &still, &n, NULL), PERCHE_OK);
        assert_string_equal((char *)still, contents[i]);
        free(still);
    }
}

static void the_first_start_makes_the_folders_with_their_modes(void **state)
{
    struct place *p = *state;
    char data[96], keys[128], note[300];
    struct node_config config = {.role = REPLICA_SITE, .name = "x", .data = data};
    mode_t old = umask(0077);

    (void)snprintf(data, sizeof(data), "%s/data", p->dir);
    (void)snprintf(keys, sizeof(keys), "%s/keys", data);
    assert_int_equal(node_prepare(&config, note, sizeof(note), NULL), PERCHE_OK);
    umask(old);
    assert_int_equal(mode_of(data), 02770);
    assert_int_equal(mode_of(keys) & 0777, 0700);
    assert_string_equal(note, "");
    assert_int_equal(chmod(data, 0770), 0); /* a folder that is there is the administrator's, */
    assert_int_equal(chmod(keys, 0755), 0); /* but keys/ is nobody else's */
    assert_int_equal(node_prepare(&config, note, sizeof(note), NULL), PERCHE_OK);
    assert_int_equal(mode_of(data), 0770);
    assert_int_equal(mode_of(keys) & 0777, 0700);
    assert_non_null(strstr(note, "setgid"));
}

/* systemd tries a start again that failed for the disk, and none that failed for the configuration. */
static void a_folder_that_cannot_be_made_is_configuration_only_when_a_person_has_to_change_it(void **state)
{
    static const struct {
        int number;
        enum perche_rc rc;
    } cases[] = {{EACCES, PERCHE_CONFIG}, {ENOENT, PERCHE_CONFIG}, {ENOSPC, PERCHE_FULL},
                 {EDQUOT, PERCHE_FULL},   {ENOMEM, PERCHE_NOMEM},  {EIO, PERCHE_DISK}};
    struct place *p = *state;
    struct perche_err err = {0};
    char data[96], lock[128], note[300];
    struct node_config config = {.role = REPLICA_SITE, .name = "x", .data = data};
    struct node *n = NULL;

    (void)snprintf(data, sizeof(data), "%s/data", p->dir);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mkdir_errno = cases[i].number;
        assert_int_equal(node_prepare(&config, note, sizeof(note), &err), cases[i].rc);
        assert_int_equal(err.rc, cases[i].rc);
        assert_non_null(strstr(err.text, data));
    }
    mkdir_errno = 0;
    assert_int_equal(node_prepare(&config, note, sizeof(note), &err), PERCHE_OK);
    (void)snprintf(lock, sizeof(lock), "%s/perched.lock", data);
    assert_int_equal(mkdir(lock, 0700), 0);
    assert_int_equal(node_new(NULL, &config, NULL, NULL, &n, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, lock));
}

static void what_join_wrote_is_read_back_and_leave_removes_it(void **state)
{
    struct place *p = *state;
    struct upstream u = {.url = "tls+tcp://hub.example.org:7447",
                         .hub = HUB,
                         .site = OTHER,
                         .code = "LLP",
                         .name = "La Loupe = école"};
    struct upstream back = {0};
    struct tls_identity t = {0};

    assert_int_equal(tls_identity_make(HUB, &t, NULL), PERCHE_OK);
    u.certificate_pem = t.certificate_pem;
    u.certificate_pem_n = t.certificate_pem_n;
    memset(u.hub_key, 0xa5, sizeof(u.hub_key));
    assert_int_equal(upstream_read(p->dir, &back, NULL), PERCHE_NOT_FOUND);
    assert_int_equal(upstream_write(p->dir, &u, NULL), PERCHE_OK);
    assert_int_equal(upstream_read(p->dir, &back, NULL), PERCHE_OK);
    assert_string_equal(back.url, u.url);
    assert_string_equal(back.hub, u.hub);
    assert_string_equal(back.site, u.site);
    assert_string_equal(back.code, u.code);
    assert_string_equal(back.name, u.name);
    assert_memory_equal(back.hub_key, u.hub_key, sizeof(u.hub_key));
    assert_string_equal((char *)back.certificate_pem, (char *)u.certificate_pem);
    upstream_clear(&back);
    assert_int_equal(upstream_remove(p->dir, NULL), PERCHE_OK);
    assert_int_equal(upstream_remove(p->dir, NULL), PERCHE_OK);
    assert_int_equal(upstream_read(p->dir, &back, NULL), PERCHE_NOT_FOUND);
    tls_identity_free(&t);
}

static void a_name_with_a_newline_cannot_write_a_key_of_its_own(void **state)
{
    struct place *p = *state;
    struct upstream u = {
        .url = "tls+tcp://h:1", .hub = HUB, .site = OTHER, .name = "x\nurl = tcp://evil:1"};

    assert_int_equal(upstream_write(p->dir, &u, NULL), PERCHE_CORRUPT);
    assert_int_equal(upstream_read(p->dir, &u, NULL), PERCHE_NOT_FOUND);
}

static void a_damaged_upstream_file_is_refused_with_file_and_line(void **state)
{
    struct place *p = *state;
    struct upstream u = {0};
    struct perche_err err = {0};
    char path[96];
    static const char text[] = "[upstream]\nurl = tls+tcp://h:1\nhubb = x\n";
    static const char no_key[] = "[upstream]\nurl = tls+tcp://h:1\nhub = x\nhub_key = 00zz\n";

    (void)snprintf(path, sizeof(path), "%s/upstream.conf", p->dir);
    assert_int_equal(file_write(path, 0640, text, strlen(text), NULL), PERCHE_OK);
    assert_int_equal(upstream_read(p->dir, &u, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, "upstream.conf:3:"));
    assert_int_equal(file_write(path, 0640, no_key, strlen(no_key), NULL), PERCHE_OK);
    assert_int_equal(upstream_read(p->dir, &u, &err), PERCHE_CONFIG);
    assert_non_null(strstr(err.text, "upstream.conf:4:"));
}

static void a_certificate_that_cannot_be_read_now_is_no_mistake_of_the_configuration(void **state)
{
    struct place *p = *state;
    struct upstream u = {.url = "tls+tcp://h:1", .hub = HUB, .site = OTHER}, back = {0};
    struct perche_err err = {0};
    struct tls_identity t = {0};
    char crt[96];

    (void)snprintf(crt, sizeof(crt), "%s/upstream.crt", p->dir);
    assert_int_equal(tls_identity_make(HUB, &t, NULL), PERCHE_OK);
    u.certificate_pem = t.certificate_pem;
    u.certificate_pem_n = t.certificate_pem_n;
    assert_int_equal(upstream_write(p->dir, &u, NULL), PERCHE_OK);
    tls_identity_free(&t);
    assert_int_equal(unlink(crt), 0);
    assert_int_equal(upstream_read(p->dir, &back, &err), PERCHE_CONFIG);
    assert_int_equal(err.rc, PERCHE_CONFIG);
    assert_non_null(strstr(err.text, "put it back"));
    assert_int_equal(symlink("/proc/self/mem", crt), 0); /* reads as a bad sector does: EIO */
    assert_int_equal(upstream_read(p->dir, &back, &err), PERCHE_DISK);
    assert_int_equal(err.rc, PERCHE_DISK);
    assert_non_null(strstr(err.text, crt));
    assert_null(strstr(err.text, "put it back"));
}

static void a_file_is_replaced_whole_or_not_at_all(void **state)
{
    struct place *p = *state;
    uint8_t *text = NULL;
    size_t n = 0;

    mode_t old = umask(0077);

    assert_int_equal(file_write(p->crt, 0640, "old", 3, NULL), PERCHE_OK);
    umask(old);
    assert_int_equal(mode_of(p->crt), 0640);
    assert_int_equal(file_write(p->crt, 0600, "new one", 7, NULL), PERCHE_OK);
    assert_int_equal(file_read(p->crt, 100, &text, &n, NULL), PERCHE_OK);
    assert_string_equal((char *)text, "new one");
    assert_int_equal(n, 7);
    assert_int_equal(mode_of(p->crt), 0600);
    free(text);
    assert_int_equal(file_read(p->crt, 6, &text, &n, NULL), PERCHE_TOO_LARGE);
    assert_int_equal(file_write("/nonexistent/folder/file", 0600, "x", 1, NULL), PERCHE_NOT_FOUND);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_hubs_certificate_bears_its_id_and_outlives_every_wrong_clock),
        CASE(the_hubs_certificate_is_made_once_and_its_key_is_its_owners_alone),
        CASE(a_certificate_of_another_hub_is_refused_with_what_to_do),
        CASE(a_certificate_without_its_key_is_refused_and_so_is_a_key_alone_which_stays),
        CASE(a_crash_while_key_and_certificate_are_made_is_made_good),
        CASE(a_key_that_is_not_the_certificates_is_refused),
        CASE(the_certificate_of_an_invitation_is_the_one_of_the_hub),
        CASE(the_nodes_key_is_made_once_and_is_its_owners_alone),
        CASE(what_a_node_signs_others_verify_with_its_public_key_alone),
        CASE(a_node_key_that_others_may_read_is_refused),
        CASE(a_file_that_is_no_node_key_is_refused_and_left_alone),
        CASE(the_first_start_makes_the_folders_with_their_modes),
        CASE(a_folder_that_cannot_be_made_is_configuration_only_when_a_person_has_to_change_it),
        CASE(what_join_wrote_is_read_back_and_leave_removes_it),
        CASE(a_name_with_a_newline_cannot_write_a_key_of_its_own),
        CASE(a_damaged_upstream_file_is_refused_with_file_and_line),
        CASE(a_certificate_that_cannot_be_read_now_is_no_mistake_of_the_configuration),
        CASE(a_file_is_replaced_whole_or_not_at_all),
    };

    return cmocka_run_group_tests_name("net_keys", tests, NULL, NULL);
}
