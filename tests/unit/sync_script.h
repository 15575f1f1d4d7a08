/* A script for the conversation: events go in one by one, and what comes out is
 * written down as a trace of one line for each action. Time stands still unless
 * the script moves it. Works are carried out at once by a replica that only
 * counts, unless the script holds them back. */
#ifndef TESTS_SYNC_SCRIPT_H
#define TESTS_SYNC_SCRIPT_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/sync.h"

#define SITE  "0190f3a0-0000-7000-8000-000000000001"
#define OTHER "0190f3a0-0000-7000-8000-000000000002"
#define HUB   "0190f3a0-0000-7000-8000-0000000000ff"
#define CLOCK 1750000000000u /* wall clock of a script's start */

/* ---- chance and keys that repeat -------------------------------------------- */

static inline void script_random(void *ctx, uint8_t *out, size_t n)
{
    uint64_t *seed = ctx;

    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(*seed >> 56);
    }
}

static inline void script_sign_as(uint8_t key, const uint8_t *p, size_t n, uint8_t signature[64])
{
    uint64_t sum = 14695981039346656037u ^ key;

    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * 1099511628211u;
    for (unsigned i = 0; i < 64; i++)
        signature[i] = (uint8_t)(sum >> (i % 8 * 8));
}

static inline void script_sign(void *ctx, const uint8_t *p, size_t n, uint8_t signature[64])
{
    (void)ctx;
    script_sign_as(1, p, n, signature);
}

static inline bool script_verify(void *ctx, const uint8_t public_key[32], const uint8_t *p,
                                 size_t n, const uint8_t signature[64])
{
    uint8_t right[64];

    (void)ctx;
    script_sign_as(public_key[0], p, n, right);
    return memcmp(right, signature, sizeof right) == 0;
}

/* ---- the trace ----------------------------------------------------------------- */

struct trace {
    char text[1 << 16];
    size_t n;
    bool timers; /* write timers down too */
};

static inline void note(struct trace *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static inline void note(struct trace *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(t->text + t->n, sizeof t->text - t->n, fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && t->n + (size_t)n < sizeof t->text);
    t->n += (size_t)n;
}

static inline void trace_clear(struct trace *t)
{
    t->n = 0;
    t->text[0] = '\0';
}

static inline void expect_at(struct trace *t, const char *wanted, const char *file, int line)
{
    if (strcmp(t->text, wanted) != 0) {
        fprintf(stderr, "--- wanted\n%s--- got\n%s---\n", wanted, t->text);
        _fail(file, line);
    }
    trace_clear(t);
}

static inline const char *op_name(uint8_t op)
{
    static const char *const names[] = {"none", "hello",  "prove", "push", "pull",
                                        "rows", "digest", "watch", "enrol", "leave"};

    return op < sizeof names / sizeof *names ? names[op] : "?";
}

static inline void note_message(struct trace *t, const struct perche_message *m)
{
    if (m->reply && m->refused) {
        note(t, "%s no %s", op_name(m->op), perche_refusal_name((enum perche_refusal)m->u.no.why));
        if (m->u.no.why == PERCHE_NO_POSITION)
            note(t, " have=%" PRIu64, m->u.no.have);
        if (m->u.no.why == PERCHE_NO_LATER)
            note(t, " in %" PRIu64, m->u.no.retry_ms);
        return;
    }
    note(t, "%s", op_name(m->op));
    if (m->reply) {
        if (m->op == PERCHE_OP_WATCH)
            note(t, " %s", m->u.watch_reply.news ? "news" : "nothing");
        if (m->op == PERCHE_OP_PUSH)
            note(t, " have=%" PRIu64, m->u.push_reply.have);
        if (m->op == PERCHE_OP_DIGEST)
            note(t, " %s",
                 m->u.digest_reply.answer == PERCHE_EQUAL   ? "equal"
                 : m->u.digest_reply.answer == PERCHE_LATER ? "later"
                                                            : "differs");
        return;
    }
    switch (m->op) {
    case PERCHE_OP_PUSH: note(t, " %" PRIu64 "..%" PRIu64, m->u.push.from, m->u.push.to); break;
    case PERCHE_OP_PULL: note(t, " %" PRIu64 "/%" PRIu64, m->u.pull.full, m->u.pull.scan); break;
    case PERCHE_OP_ROWS: note(t, " %u", m->u.rows.wants_count); break;
    case PERCHE_OP_DIGEST: note(t, " %u", m->u.digest.level); break;
    case PERCHE_OP_WATCH: note(t, " %" PRIu64 "/%" PRIu64, m->u.watch.full, m->u.watch.scan); break;
    default: break;
    }
}

#endif
