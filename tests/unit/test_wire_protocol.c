/* The examples of PROTOCOL.md are what the code reads and writes: each is decoded, looked
 * at, encoded again and compared byte for byte. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire_batches.h"
#include "wire_messages.h"

#ifndef PERCHE_SOURCE_DIR
#define PERCHE_SOURCE_DIR "."
#endif

enum { EXAMPLES_MAX = 64, EXAMPLE_BYTES_MAX = 4096 };

static struct example {
    char name[40];
    bool hex, used;
    uint8_t bytes[EXAMPLE_BYTES_MAX];
    uint32_t n;
} examples[EXAMPLES_MAX];
static uint32_t examples_count;

/* Two digits make a byte; blanks and what follows a # say nothing. */
static void take_hex(struct example *e, const char *line)
{
    for (; *line != '\0' && *line != '#'; line++) {
        unsigned byte = 0;

        if (isspace((unsigned char)*line))
            continue;
        if (!isxdigit((unsigned char)line[0]) || !isxdigit((unsigned char)line[1]) ||
            sscanf(line, "%2x", &byte) != 1)
            fail_msg("%s: no hex: %s", e->name, line);
        assert_true(e->n < EXAMPLE_BYTES_MAX);
        e->bytes[e->n++] = (uint8_t)byte;
        line++;
    }
}

static int read_examples(void **unused)
{
    FILE *file = fopen(PERCHE_SOURCE_DIR "/proto/PROTOCOL.md", "r");
    struct example *e = NULL;
    char line[4096];

    (void)unused;
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof(line), file) != NULL) {
        char kind[8], name[40];

        if (e != NULL && strncmp(line, "```", 3) == 0) {
            e = NULL;
        } else if (e == NULL && sscanf(line, "```%7s name=%39s", kind, name) == 2) {
            if (examples_count == EXAMPLES_MAX)
                return -1;
            e = &examples[examples_count++];
            strcpy(e->name, name);
            e->hex = strcmp(kind, "hex") == 0;
        } else if (e != NULL && e->hex) {
            take_hex(e, line);
        } else if (e != NULL) {
            size_t n = strcspn(line, "\n");

            memcpy(e->bytes + e->n, line, n);
            e->n += (uint32_t)n;
        }
    }
    fclose(file);
    return 0;
}

static struct example *example(const char *name)
{
    for (uint32_t i = 0; i < examples_count; i++)
        if (strcmp(examples[i].name, name) == 0) {
            examples[i].used = true;
            return &examples[i];
        }
    fail_msg("PROTOCOL.md has no example %s", name);
    return NULL;
}

static void is_example(const char *name, const void *p, size_t n)
{
    struct example *e = example(name);

    if (n != e->n || memcmp(p, e->bytes, n) != 0) {
        printf("# %s is now:", name);
        for (size_t i = 0; i < n; i++)
            printf("%s%02x", i % 32 == 0 ? "\n# " : "", ((const uint8_t *)p)[i]);
        fail_msg("\n%s: the example and the code differ", name);
    }
}

static void every_message_is_as_its_example_says(void **unused)
{
    static const char *const endings[] = {"", "_reply", "_no"};

    (void)unused;
    for (uint8_t op = PERCHE_OP_HELLO; op <= PERCHE_OP_LEAVE; op++)
        for (int what = 0; what < MESSAGE_WHATS; what++) {
            struct perche_message sample = sample_message(op, what), m;
            struct perche_buf out = {0};
            struct perche_err err;
            struct example *e;
            char name[40];

            if (what == MESSAGE_NO && op != PERCHE_OP_PUSH && op != PERCHE_OP_PULL)
                continue; /* a refusal is the same for every op */
            sprintf(name, "%s%s", message_name(op), endings[what]);
            e = example(name);
            if (perche_message_decode((struct perche_bytes){e->bytes, e->n}, &m, &err) != PERCHE_OK)
                fail_msg("%s: %s", name, err.text);
            assert_int_equal(m.op, op);
            assert_int_equal(m.reply, what != MESSAGE_ASK);
            assert_int_equal(m.refused, what == MESSAGE_NO);
            assert_int_equal(perche_message_encode(&m, &out, NULL), PERCHE_OK);
            is_example(name, out.p, out.n);
            out.n = 0; /* and its fields are those of the sample */
            assert_int_equal(perche_message_encode(&sample, &out, NULL), PERCHE_OK);
            is_example(name, out.p, out.n);
            perche_buf_free(&out);
            perche_message_free(&m);
        }
}

/* Decodes the example @name. */
static struct perche_message decoded(const char *name)
{
    struct example *e = example(name);
    struct perche_message m;

    assert_int_equal(perche_message_decode((struct perche_bytes){e->bytes, e->n}, &m, NULL),
                     PERCHE_OK);
    return m;
}

static void the_fields_of_the_examples_are_those_that_their_comments_name(void **unused)
{
    struct perche_message m = decoded("hello");

    (void)unused;
    assert_string_equal(m.u.hello.site, "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a11");
    assert_true(m.u.hello.lowest == 1 && m.u.hello.highest == 1 &&
                m.u.hello.clock_ms == 1760000000000);
    perche_message_free(&m);
    m = decoded("prove_reply");
    assert_int_equal(m.u.prove_reply.verdict, PERCHE_PROVEN);
    assert_true(m.u.prove_reply.have == 4100 && m.u.prove_reply.have_asof.lsn == 4110 &&
                m.u.prove_reply.floor == 120);
    assert_string_equal(m.u.prove_reply.migrations[0].name, "add_phone");
    perche_message_free(&m);
    m = decoded("push");
    assert_true(m.u.push.from == 4100 && m.u.push.to == 4120 && m.u.push.full == 9000 &&
                m.u.push.done == 8990);
    assert_true(m.u.push.pending == 20 && m.u.push.batch.n == 6);
    perche_message_free(&m);
    m = decoded("pull_reply");
    assert_true(m.u.pull_reply.from_scan == 9040 && m.u.pull_reply.scan == 9050 &&
                !m.u.pull_reply.more && m.u.pull_reply.have == 4120);
    perche_message_free(&m);
    m = decoded("digest_reply");
    assert_int_equal(m.u.digest_reply.answer, PERCHE_DIFFERS);
    assert_true(m.u.digest_reply.sums[0].bucket == 7 && m.u.digest_reply.sums[0].key.n == 16);
    perche_message_free(&m);
    m = decoded("watch_reply");
    assert_true(m.u.watch_reply.news && m.u.watch_reply.lsn == 9061 &&
                m.u.watch_reply.have == 4120);
    perche_message_free(&m);
    m = decoded("pull_no");
    assert_int_equal(m.u.no.why, PERCHE_NO_LATER);
    assert_true(m.u.no.retry_ms == 45000);
    perche_message_free(&m);
}

static void what_is_signed_is_as_its_example_says(void **unused)
{
    struct perche_message m = sample_message(PERCHE_OP_PROVE, MESSAGE_ASK);
    struct perche_buf out = {0};
    uint8_t challenge[32];

    (void)unused;
    count_up(challenge, 32, 0x40);
    assert_int_equal(perche_prove_signed(&m.u.prove, challenge, SAMPLE_HUB, &out), PERCHE_OK);
    is_example("prove_signed", out.p, out.n);
    m = sample_message(PERCHE_OP_PROVE, MESSAGE_REPLY);
    out.n = 0;
    assert_int_equal(perche_migration_signed(&m.u.prove_reply.migrations[0], &out), PERCHE_OK);
    is_example("migration_signed", out.p, out.n);
    perche_buf_free(&out);
}

static void the_chain_is_as_its_examples_say(void **unused)
{
    struct perche_chain_cell cells[2] = {{.column = "situation", .stamp = UINT64_C(0x199c82cbc180002)}, {.column = "rule", .stamp = UINT64_C(0x199c82cbc180002)}};
    struct perche_chain_entry e = {.table = "outcome_decision", .origin = SAMPLE_SITE, .epoch = 5, .n = 3, .prev_epoch = 5, .prev_n = 2, .unseen = true,
                                   .gen = 1, .cells = cells, .cells_count = 2}, back;
    const struct perche_value values[] = {{.type = PERCHE_TEXT, .n = 13, .p = (const uint8_t *)"EMP_PERMANENT"}, {.type = PERCHE_INTEGER, .i = -2},
                                          {.type = PERCHE_REAL, .r = 0.5}, {.type = PERCHE_NULL}};
    struct perche_buf out = {0}, again = {0};
    struct perche_arena *arena;
    uint8_t key[16], salt[16], hashes[4][16], id[16];
    struct example *example_entry = example("chain_entry");

    (void)unused;
    count_up(key, 16, 0x10);
    count_up(salt, 16, 0x80);
    count_up(e.prev, 16, 0xb0);
    e.key = (struct perche_bytes){key, 16};
    for (int i = 0; i < 4; i++)
        perche_chain_hash(salt, &values[i], hashes[i]);
    memcpy(cells[0].hash, hashes[0], 16);
    memcpy(cells[1].hash, hashes[1], 16);
    assert_int_equal(perche_chain_encode(&e, &out), PERCHE_OK);
    is_example("chain_entry", out.p, out.n);
    is_example("chain_hashes", hashes[0], sizeof hashes);
    perche_chain_id((struct perche_bytes){out.p, (uint32_t)out.n}, id);
    is_example("chain_id", id, 16);

    assert_int_equal(perche_chain_decode((struct perche_bytes){example_entry->bytes, example_entry->n}, &back, &arena), PERCHE_OK);
    assert_string_equal(back.cells[1].column, "rule");
    assert_true(back.unseen && back.n == 3 && back.prev_n == 2 && back.key.n == 16 && back.cells[0].stamp == cells[0].stamp);
    assert_int_equal(perche_chain_encode(&back, &again), PERCHE_OK);
    assert_int_equal(again.n, out.n);
    assert_memory_equal(again.p, out.p, out.n);
    perche_arena_free(arena);
    for (uint32_t n = 0; n < out.n; n++) /* cut anywhere, it is none */
        assert_int_equal(perche_chain_decode((struct perche_bytes){out.p, n}, &back, &arena), PERCHE_CORRUPT);
    out.p[2] ^= 1; /* another form */
    assert_int_equal(perche_chain_decode((struct perche_bytes){out.p, (uint32_t)out.n}, &back, &arena), PERCHE_CORRUPT);
    perche_buf_free(&out);
    perche_buf_free(&again);
}

static void the_signed_key_of_a_site_is_as_its_example_says(void **unused)
{
    struct perche_buf out = {0};
    uint8_t key[32];

    (void)unused;
    count_up(key, 32, 0x20);
    assert_int_equal(perche_site_key_signed(SAMPLE_SITE, key, &out), PERCHE_OK);
    is_example("site_key_signed", out.p, out.n);
    perche_buf_free(&out);
}

static void batches_are_as_their_examples_say(void **unused)
{
    struct perche_batch *b = perche_batch_new(), *sample = perche_batch_new();
    struct example *e = example("batch");
    const struct perche_part *p;
    struct perche_buf out = {0};

    (void)unused;
    assert_int_equal(perche_batch_decode((struct perche_bytes){e->bytes, e->n}, b, NULL),
                     PERCHE_OK);
    assert_true(sample_batch(sample));
    assert_null(batch_differs(sample, b));
    p = &b->parts[0];
    assert_string_equal(p->table, "learner");
    assert_int_equal(p->rows_count, 2);
    assert_int_equal(p->rows[0].flags, PERCHE_ROW_WHOLE | PERCHE_ROW_GEN);
    assert_int_equal(p->rows[1].gen, 3);
    assert_memory_equal(p->cells[1].value.p, "2003-04-05", 10);
    assert_memory_equal(p->cells[2].value.p, "Bernard", 7);
    assert_true(p->cells[2].stamp - p->bases[0].stamp == (UINT64_C(60000) << 16) + 1);
    assert_string_equal(b->notices[0].reason, "hub_column");
    assert_true(b->notices[0].lsn == 9055);
    assert_int_equal(perche_batch_encode(b, 0, &out, NULL), PERCHE_OK);
    is_example("batch", out.p, out.n);
    perche_batch_clear(b);
    out.n = 0;
    assert_int_equal(perche_batch_encode(b, 0, &out, NULL), PERCHE_OK);
    is_example("empty_batch", out.p, out.n);
    perche_buf_free(&out);
    perche_batch_free(sample);
    perche_batch_free(b);
}

static void keys_are_as_their_examples_say(void **unused)
{
    static const char uuid[] = "019a0000-0001-7011-8022-334455667788";
    const struct perche_value single = text_value(uuid), padded = text_value("fourteen bytes");
    const struct perche_value record[] = {
        text_value("fr1"), {.type = PERCHE_INTEGER, .i = 6}, text_value(uuid)};
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t n;

    (void)unused;
    assert_int_equal(perche_key_encode(&single, 1, key, &n), PERCHE_OK);
    is_example("key_uuid", key, n);
    assert_int_equal(perche_key_encode(record, 3, key, &n), PERCHE_OK);
    is_example("key_record", key, n);
    assert_int_equal(perche_key_encode(&padded, 1, key, &n), PERCHE_OK);
    is_example("key_padded", key, n);
}

static void the_invitation_is_as_its_example_says(void **unused)
{
    struct perche_invitation i = sample_invitation(), back;
    struct example *e = example("invitation");
    struct perche_arena *arena;
    struct perche_buf out = {0};

    (void)unused;
    assert_int_equal(perche_invitation_parse((const char *)e->bytes, &back, &arena, NULL),
                     PERCHE_OK);
    assert_string_equal(back.url, "tls+tcp://hub.example.org:7447");
    perche_arena_free(arena);
    assert_int_equal(perche_invitation_format(&i, &out, NULL), PERCHE_OK);
    is_example("invitation", out.p, out.n);
    perche_buf_free(&out);
}

/* Runs last. */
static void no_example_is_left_over(void **unused)
{
    (void)unused;
    assert_true(examples_count >= 16 + 2 + 2 + 2 + 3 + 1);
    for (uint32_t i = 0; i < examples_count; i++)
        if (!examples[i].used)
            fail_msg("nobody looks at the example %s", examples[i].name);
    printf("# %u examples\n", examples_count);
}

/* The names in the document's table of refusals are the code's. */
static void every_reason_is_in_the_document(void **unused)
{
    FILE *file = fopen(PERCHE_SOURCE_DIR "/proto/PROTOCOL.md", "r");
    char line[4096], name[64];
    unsigned why, seen = 0;

    (void)unused;
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "| %u | %63s |", &why, name) == 2 && why == seen + 1 &&
            islower((unsigned char)name[0]) &&
            strcmp(perche_refusal_name((enum perche_refusal)why), name) == 0)
            seen++;
    fclose(file);
    assert_int_equal(seen, PERCHE_NO_LEFT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_as_its_example_says),
        cmocka_unit_test(the_fields_of_the_examples_are_those_that_their_comments_name),
        cmocka_unit_test(what_is_signed_is_as_its_example_says),
        cmocka_unit_test(the_chain_is_as_its_examples_say),
        cmocka_unit_test(the_signed_key_of_a_site_is_as_its_example_says),
        cmocka_unit_test(batches_are_as_their_examples_say),
        cmocka_unit_test(keys_are_as_their_examples_say),
        cmocka_unit_test(the_invitation_is_as_its_example_says),
        cmocka_unit_test(every_reason_is_in_the_document),
        cmocka_unit_test(no_example_is_left_over),
    };

    return cmocka_run_group_tests(tests, read_examples, NULL);
}
