/* Messages: what goes in comes out, and what is no message is refused without harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire_messages.h"

static struct perche_buf encoded(const struct perche_message *m)
{
    struct perche_buf out = {0};
    struct perche_err err;

    if (perche_message_encode(m, &out, &err) != PERCHE_OK)
        fail_msg("%s", err.text);
    return out;
}

static enum perche_rc decodes(const void *p, size_t n, struct perche_err *err)
{
    struct perche_message m;
    uint8_t *exact = malloc(n + 1); /* so that reading beyond the end is seen */
    enum perche_rc rc;

    memcpy(exact, p, n);
    memset(&m, 0x5a, sizeof(m));
    rc = perche_message_decode((struct perche_bytes){exact, (uint32_t)n}, &m, err);
    free(exact);
    if (rc == PERCHE_OK)
        perche_message_free(&m);
    else
        assert_int_equal(m.op, 0x5a); /* left alone */
    return rc;
}
#define DECODES(literal) decodes(literal, sizeof(literal) - 1, NULL)

#define FOR_EACH_MESSAGE(op, what)                                  \
    for (uint8_t op = PERCHE_OP_HELLO; op <= PERCHE_OP_LEAVE; op++) \
        for (int what = 0; what < MESSAGE_WHATS; what++)

static void every_message_comes_back_as_it_was(void **unused)
{
    (void)unused;
    FOR_EACH_MESSAGE(op, what)
    {
        struct perche_message m = sample_message(op, what), back;
        struct perche_buf out = encoded(&m), again;

        assert_int_equal(
            perche_message_decode((struct perche_bytes){out.p, (uint32_t)out.n}, &back, NULL),
            PERCHE_OK);
        memset(out.p, 0xee, out.n); /* it may go */
        assert_int_equal(back.op, op);
        assert_int_equal(back.reply, what != MESSAGE_ASK);
        assert_int_equal(back.refused, what == MESSAGE_NO);
        perche_buf_free(&out);
        out = encoded(&m);
        again = encoded(&back);
        assert_int_equal(again.n, out.n);
        assert_memory_equal(again.p, out.p, out.n);
        perche_buf_free(&again);
        perche_buf_free(&out);
        perche_message_free(&back);
    }
}

static void fields_come_back_in_their_own_place(void **unused)
{
    struct perche_message m = sample_message(PERCHE_OP_PROVE, MESSAGE_ASK), back;
    const struct perche_prove *p = &back.u.prove;
    struct perche_buf out = encoded(&m);

    (void)unused;
    assert_int_equal(
        perche_message_decode((struct perche_bytes){out.p, (uint32_t)out.n}, &back, NULL),
        PERCHE_OK);
    assert_string_equal(p->site, SAMPLE_SITE);
    assert_true(p->epoch == 0x0102030405060708 && p->prev_epoch == 0);
    assert_true(p->lsn == 4120 && p->full == 9000 && p->scan == 9000 && p->done == 8990 &&
                p->schema == 6 && p->acked == 4100);
    assert_true(p->asof.lsn == 9010 && p->asof.mark == 0xfedcba9876543210);
    assert_int_equal(p->marks_count, 2);
    assert_true(p->marks[1].lsn == 4100 && p->marks[1].mark == 0x2222222222222222);
    assert_int_equal(p->list_count, 1);
    assert_true(p->list[0].full == 9000 && p->list[0].asof.lsn == 9010 &&
                p->list[0].own_lsn == 4100);
    assert_memory_equal(p->signature, m.u.prove.signature, 64);
    perche_message_free(&back);
    perche_buf_free(&out);

    m = sample_message(PERCHE_OP_DIGEST, MESSAGE_ASK);
    out = encoded(&m);
    assert_int_equal(
        perche_message_decode((struct perche_bytes){out.p, (uint32_t)out.n}, &back, NULL),
        PERCHE_OK);
    assert_int_equal(back.u.digest.sums_count, 2);
    assert_int_equal(back.u.digest.finer, 5);
    assert_string_equal(back.u.digest.sums[0].scope, SAMPLE_SITE);
    assert_string_equal(back.u.digest.sums[0].table, "learner");
    assert_string_equal(back.u.digest.sums[1].table, "");
    assert_true(back.u.digest.sums[1].rows == 0 && back.u.digest.sums[1].bucket == 8191 &&
                back.u.digest.sums[1].key.n == 0);
    assert_memory_equal(back.u.digest.sums[1].sum, m.u.digest.sums[1].sum, 16);
    perche_message_free(&back);
    perche_buf_free(&out);
}

static void a_message_cut_short_at_any_byte_is_refused(void **unused)
{
    (void)unused;
    FOR_EACH_MESSAGE(op, what)
    {
        struct perche_message m = sample_message(op, what);
        struct perche_buf out = encoded(&m);

        for (size_t n = 0; n < out.n; n++)
            assert_int_equal(decodes(out.p, n, NULL), PERCHE_CORRUPT);
        perche_buf_free(&out);
    }
}

static void a_byte_behind_the_end_is_refused(void **unused)
{
    (void)unused;
    FOR_EACH_MESSAGE(op, what)
    {
        struct perche_message m = sample_message(op, what);
        struct perche_buf out = encoded(&m);
        uint8_t *more = malloc(out.n + 1);

        memcpy(more, out.p, out.n);
        more[out.n] = 0xc0;
        assert_int_equal(decodes(more, out.n + 1, NULL), PERCHE_CORRUPT);
        free(more);
        perche_buf_free(&out);
    }
}

static void a_flipped_bit_never_does_harm(void **unused)
{
    (void)unused;
    FOR_EACH_MESSAGE(op, what)
    {
        struct perche_message m = sample_message(op, what), back;
        struct perche_buf out = encoded(&m), again = {0};

        for (size_t bit = 0; bit < out.n * 8; bit++) {
            out.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (perche_message_decode((struct perche_bytes){out.p, (uint32_t)out.n}, &back, NULL) ==
                PERCHE_OK) {
                assert_int_equal(perche_message_encode(&back, &again, NULL), PERCHE_OK);
                perche_message_free(&back);
            }
            out.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        perche_buf_free(&out);
        perche_buf_free(&again);
    }
}

static void lying_counts_and_lengths_are_refused_before_memory_is_asked_for(void **unused)
{
    (void)unused;
    assert_int_equal(DECODES("\xdd\x0f\xff\xff\xff"),
                     PERCHE_CORRUPT); /* what made msgpack-c reserve 8 GiB */
    assert_int_equal(DECODES("\x93\x05\x00\xdd\x0f\xff\xff\xff"), PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x93\x05\x00\x92\x01\xdd\x0f\xff\xff\xff"), PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x93\x05\x00\x92\x01\xdc\x03\xe9"), PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x93\x01\x00\x94\xdb\xff\xff\xff\xff"), PERCHE_CORRUPT);
    assert_int_equal(DECODES("\x93\x05\x01\x92\x01\xc6\xff\xff\xff\xff"), PERCHE_CORRUPT);
    /* sums, which have no bound of their own: 17 GB */
    assert_int_equal(DECODES("\x93\x06\x01\x95\x01\x01\x01\x01\xdd\x0f\xff\xff\xff"), PERCHE_CORRUPT);
    /* a later version's hello whose new field is an array of arrays without end */
    assert_int_equal(DECODES("\x93\x01\x00\x95\xa1s\x01\x01\x00\xdd\xff\xff\xff\xff"),
                     PERCHE_CORRUPT);
    assert_int_equal(
        DECODES("\x93\x01\x00\x95\xa1s\x01\x01\x00\x91\x91\x91\x91\x91\x91\x91\x91\x91"),
        PERCHE_CORRUPT);
}

static void keys_beyond_a_thousand_are_refused_in_one_message(void **unused)
{
    static struct perche_want wants[PERCHE_KEYS_MAX + 1];
    struct perche_message m = sample_message(PERCHE_OP_ROWS, MESSAGE_ASK);
    struct perche_buf out;
    struct perche_err err;
    uint8_t *count;

    (void)unused;
    for (size_t i = 0; i <= PERCHE_KEYS_MAX; i++)
        wants[i] = (struct perche_want){"t", {(const uint8_t *)"\x01\x02", 2}};
    m.u.rows.wants = wants;
    m.u.rows.wants_count = PERCHE_KEYS_MAX;
    out = encoded(&m);
    assert_int_equal(decodes(out.p, out.n, NULL), PERCHE_OK);
    /* One more, by hand. */
    count = memmem(out.p, out.n, "\xdc\x03\xe8", 3);
    assert_non_null(count);
    count[2]++;
    out.p = realloc(out.p, out.n + 8);
    memcpy(out.p + out.n, "\x92\xa1t\xc4\x02\x01\x02", 7);
    assert_int_equal(decodes(out.p, out.n + 7, &err), PERCHE_CORRUPT);
    assert_non_null(strstr(err.text, "too long"));
    perche_buf_free(&out);
    m.u.rows.wants_count++;
    assert_int_equal(perche_message_encode(&m, &out, &err), PERCHE_INTERNAL);
    assert_non_null(strstr(err.text, "wants"));
    assert_int_equal(out.n, 0);
    perche_buf_free(&out);
}

static void fields_out_of_their_range_are_refused(void **unused)
{
    (void)unused;
    assert_int_equal(DECODES("\x93\x00\x00\x90"), PERCHE_CORRUPT); /* op 0 */
    assert_int_equal(DECODES("\x93\x09\x00\x90"), PERCHE_CORRUPT); /* op 9 */
    assert_int_equal(DECODES("\x93\x07\x03\x94\x01\x01\x01\x01"),
                     PERCHE_CORRUPT); /* neither question nor answer */
    assert_int_equal(DECODES("\x93\x07\x00\x94\x01\x01\x01\x01"), PERCHE_OK);  /* watch */
    assert_int_equal(DECODES("\x93\x07\x00\x93\x01\x01\x01"), PERCHE_CORRUPT); /* a field too few */
    assert_int_equal(DECODES("\x93\x07\x00\x95\x01\x01\x01\x01\x01"),
                     PERCHE_CORRUPT); /* a field too many */
    assert_int_equal(DECODES("\x93\x07\x00\x94\x01\xff\x01\x01"), PERCHE_CORRUPT); /* -1 */
    assert_int_equal(DECODES("\x93\x07\x00\x94\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x01"),
                     PERCHE_OK); /* any session */
    assert_int_equal(DECODES("\x93\x07\x00\x94\x01\xcf\x80\x00\x00\x00\x00\x00\x00\x00\x01\x01"),
                     PERCHE_CORRUPT); /* no position */
    assert_int_equal(DECODES("\x93\x07\x01\x93\x01\x01\x01"),
                     PERCHE_CORRUPT); /* news is true or false */
    assert_int_equal(DECODES("\x93\x07\x01\x93\xc3\x01\x01"), PERCHE_OK);
    assert_int_equal(DECODES("\x93\x01\x00\x94\xa0\x01\x01\x00"),
                     PERCHE_CORRUPT); /* a site without an id */
    assert_int_equal(DECODES("\x93\x01\x00\x94\xa3"
                             "a\0b"
                             "\x01\x01\x00"),
                     PERCHE_CORRUPT); /* a zero byte in a text */
    assert_int_equal(DECODES("\x93\x01\x00\x94\xc4\x01s\x01\x01\x00"),
                     PERCHE_CORRUPT); /* bytes for a text */
    assert_int_equal(DECODES("\x93\x05\x00\x92\x01\x91\x92\xa1t\xc4\x02\x01\x02"), PERCHE_OK);
    assert_int_equal(DECODES("\x93\x05\x00\x92\x01\x91\x92\xa1t\xc4\x03\x01\x80\x00"),
                     PERCHE_CORRUPT); /* a malformed key */
    assert_int_equal(DECODES("\x93\x05\x00\x92\x01\x91\x92\xa1t\xc4\x00"),
                     PERCHE_CORRUPT); /* an empty one */
}

static void numbers_may_come_in_a_longer_form(void **unused)
{
    (void)unused;
    assert_int_equal(
        DECODES(
            "\x93\xcc\x07\xcd\x00\x00\xdc\x00\x04\xce\x00\x00\x00\x01\x01\xcf\x00\x00\x00\x00\x00\x00\x00\x01\x01"),
        PERCHE_OK);
}

static void a_later_version_may_add_to_hello_its_reply_and_a_refusal(void **unused)
{
    static const uint8_t extra[] = "\x82\xa1"
                                   "a\x93\x01\xc0\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xa1"
                                   "b\xc7\x02\x05xy";
    static const struct {
        uint8_t op;
        int what;
        bool open;
    } cases[] = {
        {PERCHE_OP_HELLO, MESSAGE_ASK, true},  {PERCHE_OP_HELLO, MESSAGE_REPLY, true},
        {PERCHE_OP_PUSH, MESSAGE_NO, true},    {PERCHE_OP_PUSH, MESSAGE_REPLY, false},
        {PERCHE_OP_ENROL, MESSAGE_ASK, false},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct perche_message m = sample_message(cases[i].op, cases[i].what);
        struct perche_buf out = encoded(&m);
        uint8_t *more = malloc(out.n + sizeof(extra));

        memcpy(more, out.p, out.n);
        memcpy(more + out.n, extra, sizeof(extra) - 1);
        more[3]++; /* one field more */
        assert_int_equal(decodes(more, out.n + sizeof(extra) - 1, NULL),
                         cases[i].open ? PERCHE_OK : PERCHE_CORRUPT);
        free(more);
        perche_buf_free(&out);
    }
}

static void a_reason_of_a_later_version_is_kept_as_a_number(void **unused)
{
    struct perche_message back;

    (void)unused;
    assert_int_equal(
        perche_message_decode(
            (struct perche_bytes){(const uint8_t *)"\x93\x03\x02\x94\xcc\xc8\xa0\x00\x00", 9},
            &back, NULL),
        PERCHE_OK);
    assert_int_equal(back.u.no.why, 200);
    assert_string_equal(perche_refusal_name((enum perche_refusal)back.u.no.why), "unknown_reason");
    assert_string_equal(perche_refusal_name(PERCHE_NO_LATER), "later");
    perche_message_free(&back);
}

static void what_a_node_says_before_prove_fits_into_4_KiB(void **unused)
{
    struct perche_message m = sample_message(PERCHE_OP_PROVE, MESSAGE_ASK);
    struct perche_prove *p = &m.u.prove;
    static char name[PERCHE_NAME_BYTES_MAX + 1];
    struct perche_buf out;

    (void)unused;
    p->epoch = p->prev_epoch = p->lsn = p->full = p->scan = p->done = p->schema = INT64_MAX;
    p->acked = p->epoch_acked = INT64_MAX;
    p->marks_count = PERCHE_MARKS_MAX;
    p->list_count = PERCHE_LIST_MAX;
    for (size_t i = 0; i < PERCHE_MARKS_MAX; i++)
        p->marks[i] = (struct perche_pos){INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < PERCHE_LIST_MAX; i++)
        p->list[i] = (struct perche_pull_entry){
            INT64_MAX, INT64_MAX, {INT64_MAX, UINT64_MAX}, INT64_MAX, INT64_MAX};
    out = encoded(&m);
    printf("# the largest prove takes %zu bytes\n", out.n);
    assert_true(out.n <= PERCHE_MESSAGE_BYTES_UNPROVEN);
    assert_int_equal(decodes(out.p, out.n, NULL), PERCHE_OK);
    perche_buf_free(&out);
    m = sample_message(PERCHE_OP_ENROL, MESSAGE_ASK);
    memset(name, 'n', PERCHE_NAME_BYTES_MAX);
    m.u.enrol.name = name;
    out = encoded(&m);
    assert_true(out.n <= PERCHE_MESSAGE_BYTES_UNPROVEN);
    perche_buf_free(&out);
}

static void a_message_beyond_its_bound_is_refused_at_both_ends(void **unused)
{
    struct perche_message m = sample_message(PERCHE_OP_ROWS, MESSAGE_REPLY);
    uint8_t *large = calloc(1, PERCHE_MESSAGE_BYTES_MAX + 1);
    struct perche_buf out = {0};
    struct perche_err err;

    (void)unused;
    m.u.rows_reply.batch = (struct perche_bytes){large, PERCHE_MESSAGE_BYTES_MAX};
    assert_int_equal(perche_message_encode(&m, &out, &err), PERCHE_TOO_LARGE);
    assert_int_equal(out.n, 0);
    assert_int_equal(decodes(large, PERCHE_MESSAGE_BYTES_MAX + 1, &err), PERCHE_TOO_LARGE);
    m.u.rows_reply.batch.n -= 20;
    assert_int_equal(perche_message_encode(&m, &out, &err), PERCHE_OK);
    assert_int_equal(decodes(out.p, out.n, NULL), PERCHE_OK);
    perche_buf_free(&out);
    free(large);
}

static void a_message_that_its_maker_got_wrong_is_not_sent(void **unused)
{
    struct perche_message m = sample_message(PERCHE_OP_PROVE, MESSAGE_REPLY);
    struct perche_buf out = {0};
    struct perche_err err;

    (void)unused;
    m.u.prove_reply.verdict = 0;
    assert_int_equal(perche_message_encode(&m, &out, &err), PERCHE_INTERNAL);
    assert_non_null(strstr(err.text, "verdict"));
    m = sample_message(PERCHE_OP_PULL, MESSAGE_ASK);
    m.u.pull.scan = UINT64_MAX;
    assert_int_equal(perche_message_encode(&m, &out, &err), PERCHE_INTERNAL);
    assert_non_null(strstr(err.text, "scan"));
    m.op = 0;
    assert_int_equal(perche_message_encode(&m, &out, &err), PERCHE_INTERNAL);
    perche_buf_free(&out);
}

static void texts_that_are_missing_are_sent_empty(void **unused)
{
    struct perche_message m = {.op = PERCHE_OP_ENROL,
                               .reply = true,
                               .u.enrol_reply = {.site = "s"}},
                          back;
    struct perche_buf out = encoded(&m);

    (void)unused;
    assert_int_equal(
        perche_message_decode((struct perche_bytes){out.p, (uint32_t)out.n}, &back, NULL),
        PERCHE_OK);
    assert_string_equal(back.u.enrol_reply.name, "");
    perche_message_free(&back);
    perche_buf_free(&out);
}

/* Signed bytes of the sample, after @change. */
static struct perche_buf signed_after(void (*change)(struct perche_prove *, uint8_t *,
                                                     const char **))
{
    struct perche_message m = sample_message(PERCHE_OP_PROVE, MESSAGE_ASK);
    const char *hub = SAMPLE_HUB;
    uint8_t challenge[32] = {0};
    struct perche_buf out = {0};

    if (change != NULL)
        change(&m.u.prove, challenge, &hub);
    assert_int_equal(perche_prove_signed(&m.u.prove, challenge, hub, &out), PERCHE_OK);
    return out;
}

#define CHANGE(name, expression)                                                            \
    static void change_##name(struct perche_prove *p, uint8_t *challenge, const char **hub) \
    {                                                                                       \
        (void)p, (void)challenge, (void)hub;                                                \
        expression;                                                                         \
    }
CHANGE(challenge, challenge[31] = 1)
CHANGE(hub, *hub = SAMPLE_SITE)
CHANGE(site, p->site = SAMPLE_HUB)
CHANGE(epoch, p->epoch++)
CHANGE(prev_epoch, p->prev_epoch++)
CHANGE(lsn, p->lsn++)
CHANGE(full, p->full++)
CHANGE(scan, p->scan++)
CHANGE(done, p->done++)
CHANGE(asof, p->asof.mark++)
CHANGE(schema, p->schema++)
CHANGE(acked, p->acked++)
CHANGE(epoch_acked, p->epoch_acked++)
CHANGE(relays, p->relays = false)
CHANGE(marks, p->marks[1].mark++)
CHANGE(marks_count, p->marks_count--)
CHANGE(list, p->list[0].own_lsn++)
CHANGE(signature, p->signature[0]++)

static void the_signed_bytes_of_prove_cover_everything_but_the_signature(void **unused)
{
    static void (*const changes[])(struct perche_prove *, uint8_t *, const char **) = {
        change_challenge, change_hub,   change_site,  change_epoch,       change_prev_epoch,
        change_lsn,       change_full,  change_scan,  change_done,        change_asof,
        change_schema,    change_acked, change_epoch_acked, change_relays, change_marks, change_marks_count,
        change_list,
    };
    struct perche_buf plain = signed_after(NULL), other = signed_after(change_signature);

    (void)unused;
    assert_int_equal(plain.n, other.n);
    assert_memory_equal(plain.p, other.p, plain.n);
    assert_non_null(memmem(plain.p, plain.n, "perche-prove-1", 14));
    perche_buf_free(&other);
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        other = signed_after(changes[i]);
        assert_true(plain.n != other.n || memcmp(plain.p, other.p, plain.n) != 0);
        perche_buf_free(&other);
    }
    perche_buf_free(&plain);
}

static void the_signed_bytes_of_a_migration_cover_number_name_and_statements(void **unused)
{
    struct perche_migration m = {.number = 7, .name = "ab", .sql = "c"},
                            moved = {.number = 7, .name = "a", .sql = "bc"};
    struct perche_buf a = {0}, b = {0};

    (void)unused;
    assert_int_equal(perche_migration_signed(&m, &a), PERCHE_OK);
    assert_int_equal(perche_migration_signed(&moved, &b), PERCHE_OK);
    assert_int_equal(a.n, b.n);
    assert_memory_not_equal(a.p, b.p, a.n); /* nothing can move from one field to the next */
    b.n = 0;
    m.number = 8;
    assert_int_equal(perche_migration_signed(&m, &b), PERCHE_OK);
    assert_memory_not_equal(a.p, b.p, a.n);
    b.n = 0;
    m.number = 7;
    memset(m.signature, 1, sizeof(m.signature));
    assert_int_equal(perche_migration_signed(&m, &b), PERCHE_OK);
    assert_memory_equal(a.p, b.p, a.n);
    perche_buf_free(&a);
    perche_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_as_it_was),
        cmocka_unit_test(fields_come_back_in_their_own_place),
        cmocka_unit_test(a_message_cut_short_at_any_byte_is_refused),
        cmocka_unit_test(a_byte_behind_the_end_is_refused),
        cmocka_unit_test(a_flipped_bit_never_does_harm),
        cmocka_unit_test(lying_counts_and_lengths_are_refused_before_memory_is_asked_for),
        cmocka_unit_test(keys_beyond_a_thousand_are_refused_in_one_message),
        cmocka_unit_test(fields_out_of_their_range_are_refused),
        cmocka_unit_test(numbers_may_come_in_a_longer_form),
        cmocka_unit_test(a_later_version_may_add_to_hello_its_reply_and_a_refusal),
        cmocka_unit_test(a_reason_of_a_later_version_is_kept_as_a_number),
        cmocka_unit_test(what_a_node_says_before_prove_fits_into_4_KiB),
        cmocka_unit_test(a_message_beyond_its_bound_is_refused_at_both_ends),
        cmocka_unit_test(a_message_that_its_maker_got_wrong_is_not_sent),
        cmocka_unit_test(texts_that_are_missing_are_sent_empty),
        cmocka_unit_test(the_signed_bytes_of_prove_cover_everything_but_the_signature),
        cmocka_unit_test(the_signed_bytes_of_a_migration_cover_number_name_and_statements),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
