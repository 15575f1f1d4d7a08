/* The wire when memory ends at any moment: NOMEM and nothing else, no block is left, the next try is as the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heap.h"
#include "unit/wire_batches.h"
#include "unit/wire_messages.h"

/* Whatever @body makes it frees; what it returns is what the wire did. */
typedef enum perche_rc (*body_cb)(void *ctx, struct perche_err *err);

static void every_allocation_fails(const char *what, body_cb body, void *ctx)
{
    for (int on = 0; on < 2; on++)
        for (unsigned long n = 1;; n++) {
            struct perche_err err = {0};
            long before = heap.live;
            enum perche_rc rc;
            bool hit;

            heap_fail(n, on);
            rc = body(ctx, &err);
            hit = heap_off();
            perche_wire_thread_end(); /* the next one begins without contexts again */
            if (rc != (hit ? PERCHE_NOMEM : PERCHE_OK))
                fail_msg("%s, allocation %lu%s: %s (%s)", what, n, on ? " and all after it" : "", perche_rc_name(rc), err.text);
            if (heap.live != before)
                fail_msg("%s, allocation %lu%s: %ld blocks are left", what, n, on ? " and all after it" : "", heap.live - before);
            if (!hit) {
                assert_true(n > 1); /* it met one at least */
                break;
            }
        }
}

static struct perche_bytes bytes_of(const struct perche_buf *buf)
{
    return (struct perche_bytes){buf->p, (uint32_t)buf->n};
}

/* ---- messages ------------------------------------------------------------ */

struct message_case {
    struct perche_message m;
    struct perche_buf bytes;
};

static enum perche_rc message_encodes(void *ctx, struct perche_err *err)
{
    struct message_case *c = ctx;
    struct perche_buf out = {0};
    enum perche_rc rc = perche_message_encode(&c->m, &out, err);

    if (rc == PERCHE_OK) {
        assert_int_equal(out.n, c->bytes.n);
        assert_memory_equal(out.p, c->bytes.p, out.n);
    } else {
        assert_int_equal(out.n, 0);
        assert_int_equal(err->rc, rc);
    }
    perche_buf_free(&out);
    return rc;
}

static enum perche_rc message_decodes(void *ctx, struct perche_err *err)
{
    struct message_case *c = ctx;
    struct perche_message back;
    enum perche_rc rc;

    memset(&back, 0x5a, sizeof(back));
    rc = perche_message_decode(bytes_of(&c->bytes), &back, err);
    if (rc == PERCHE_OK) {
        perche_message_free(&back);
    } else {
        assert_int_equal(back.op, 0x5a); /* left alone */
        assert_int_equal(err->rc, rc);
    }
    return rc;
}

static void messages(void **unused)
{
    (void)unused;
    for (uint8_t op = PERCHE_OP_HELLO; op <= PERCHE_OP_LEAVE; op++)
        for (int what = 0; what < MESSAGE_WHATS; what++) {
            struct message_case c = {.m = sample_message(op, what)};

            assert_int_equal(perche_message_encode(&c.m, &c.bytes, NULL), PERCHE_OK);
            every_allocation_fails(message_name(op), message_encodes, &c);
            every_allocation_fails(message_name(op), message_decodes, &c);
            perche_buf_free(&c.bytes);
        }
}

static enum perche_rc signs(void *ctx, struct perche_err *err)
{
    static const uint8_t challenge[32] = {7};
    struct message_case *c = ctx;
    struct perche_buf out = {0};
    enum perche_rc rc;

    (void)err;
    rc = perche_prove_signed(&c->m.u.prove, challenge, SAMPLE_HUB, &out);
    if (rc != PERCHE_OK)
        assert_int_equal(out.n, 0);
    perche_buf_free(&out);
    return rc;
}

static void what_is_signed(void **unused)
{
    struct message_case c = {.m = sample_message(PERCHE_OP_PROVE, MESSAGE_ASK)};

    (void)unused;
    every_allocation_fails("what is signed", signs, &c);
}

/* ---- invitations --------------------------------------------------------- */

static enum perche_rc invitation_formats(void *ctx, struct perche_err *err)
{
    struct perche_invitation i = sample_invitation();
    struct perche_buf out = {0};
    enum perche_rc rc = perche_invitation_format(&i, &out, err);

    (void)ctx;
    if (rc != PERCHE_OK)
        assert_int_equal(out.n, 0);
    perche_buf_free(&out);
    return rc;
}

static enum perche_rc invitation_parses(void *ctx, struct perche_err *err)
{
    const struct perche_buf *line = ctx;
    struct perche_arena *arena = NULL;
    struct perche_invitation i;
    enum perche_rc rc = perche_invitation_parse((const char *)line->p, &i, &arena, err);

    if (rc != PERCHE_OK)
        assert_null(arena);
    perche_arena_free(arena);
    return rc;
}

static void invitations(void **unused)
{
    struct perche_invitation i = sample_invitation();
    struct perche_buf line = {0};

    (void)unused;
    assert_int_equal(perche_invitation_format(&i, &line, NULL), PERCHE_OK);
    every_allocation_fails("an invitation's line", invitation_formats, NULL);
    every_allocation_fails("an invitation", invitation_parses, &line);
    perche_buf_free(&line);
}

/* ---- batches ------------------------------------------------------------- */

struct batch_case {
    uint64_t seed;
    uint32_t rows_max;
    int level;
    struct perche_batch *b;
    struct perche_buf bytes;
};

static enum perche_rc batch_builds(void *ctx, struct perche_err *err)
{
    const struct batch_case *c = ctx;
    struct dice d = {c->seed};
    struct perche_batch *b = perche_batch_new();
    bool whole = b != NULL && random_batch(&d, b, c->rows_max);

    (void)err;
    if (whole)
        assert_int_equal(perche_batch_rows(b), perche_batch_rows(c->b));
    perche_batch_free(b);
    return whole ? PERCHE_OK : PERCHE_NOMEM; /* a builder says no more than that */
}

static enum perche_rc batch_encodes(void *ctx, struct perche_err *err)
{
    const struct batch_case *c = ctx;
    struct perche_buf out = {0};
    enum perche_rc rc = perche_batch_encode(c->b, c->level, &out, err);

    if (rc == PERCHE_OK) {
        assert_int_equal(out.n, c->bytes.n);
        assert_memory_equal(out.p, c->bytes.p, out.n);
    } else {
        assert_int_equal(out.n, 0);
        assert_int_equal(err->rc, rc);
    }
    perche_buf_free(&out);
    return rc;
}

static enum perche_rc batch_decodes(void *ctx, struct perche_err *err)
{
    const struct batch_case *c = ctx;
    struct perche_batch *back = perche_batch_new();
    enum perche_rc rc = back == NULL ? PERCHE_NOMEM : perche_batch_decode(bytes_of(&c->bytes), back, err);

    if (rc == PERCHE_OK)
        assert_null(batch_differs(c->b, back));
    else if (back != NULL)
        assert_true(back->parts_count == 0 && back->names_count == 0 && back->notices_count == 0);
    perche_batch_free(back);
    return rc;
}

static void batches(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct batch_case c = {.seed = seed, .rows_max = seed % 10 == 0 ? 800 : 30, .level = seed % 3 == 0 ? 0 : 3};
        struct dice d = {seed};

        c.b = perche_batch_new();
        assert_true(random_batch(&d, c.b, c.rows_max));
        assert_int_equal(perche_batch_encode(c.b, c.level, &c.bytes, NULL), PERCHE_OK);
        perche_wire_thread_end();
        every_allocation_fails("building a batch", batch_builds, &c);
        every_allocation_fails("encoding a batch", batch_encodes, &c);
        every_allocation_fails("decoding a batch", batch_decodes, &c);
        perche_buf_free(&c.bytes);
        perche_batch_free(c.b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(what_is_signed),
        cmocka_unit_test(invitations),
        cmocka_unit_test(batches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
