/* The messages of the conversation. Each is [op, what, [fields]]; the tables below are
 * those of PROTOCOL.md. */
#include <string.h>

#include "arena.h"
#include "shape.h"

/* Second element of a message. */
enum { WHAT_ASK = 0, WHAT_REPLY = 1, WHAT_NO = 2, WHAT_COUNT };

enum { REFUSAL_TEXT_MAX = 1024 };

static const struct shape pos_shape =
    SHAPE(perche_pos, POSITION(perche_pos, lsn), U64(perche_pos, mark));

static const struct shape pull_entry_shape =
    SHAPE(perche_pull_entry, POSITION(perche_pull_entry, full), POSITION(perche_pull_entry, scan),
          PLACE(perche_pull_entry, asof), POSITION(perche_pull_entry, life),
          POSITION(perche_pull_entry, own_lsn));

static const struct shape want_shape = SHAPE(
    perche_want, TEXT(perche_want, table, 1, PERCHE_NAME_BYTES_MAX), KEY(perche_want, key, 1));

/* No table: the pair of the sum before. */
static const struct shape sum_shape =
    SHAPE(perche_sum, TEXT(perche_sum, scope, 0, PERCHE_SCOPE_BYTES_MAX),
          TEXT(perche_sum, table, 0, PERCHE_NAME_BYTES_MAX), U32(perche_sum, bucket, 0, 65535),
          POSITION(perche_sum, rows), FIXED(perche_sum, sum), KEY(perche_sum, key, 0));

static const struct shape migration_shape = SHAPE(
    perche_migration, POSITION(perche_migration, number),
    TEXT(perche_migration, name, 1, PERCHE_NAME_BYTES_MAX),
    TEXT(perche_migration, sql, 0, PERCHE_MESSAGE_BYTES_MAX), FIXED(perche_migration, signature));

/* Open: whatever version a peer has, it can read these three. */
static const struct shape hello_shape =
    OPEN_SHAPE(perche_hello, TEXT(perche_hello, site, 1, PERCHE_ID_BYTES_MAX),
               U32(perche_hello, lowest, 0, UINT32_MAX), U32(perche_hello, highest, 0, UINT32_MAX),
               POSITION(perche_hello, clock_ms));

static const struct shape hello_reply_shape = OPEN_SHAPE(
    perche_hello_reply, FIXED(perche_hello_reply, challenge),
    POSITION(perche_hello_reply, clock_ms), TEXT(perche_hello_reply, hub, 1, PERCHE_ID_BYTES_MAX),
    POSITION(perche_hello_reply, epoch), U32(perche_hello_reply, version, 0, UINT32_MAX));

static const struct shape no_shape = OPEN_SHAPE(
    perche_no, U8(perche_no, why, 1, UINT8_MAX), TEXT(perche_no, text, 0, REFUSAL_TEXT_MAX),
    POSITION(perche_no, have), POSITION(perche_no, retry_ms));

static const struct shape prove_shape = SHAPE(
    perche_prove, TEXT(perche_prove, site, 1, PERCHE_ID_BYTES_MAX), POSITION(perche_prove, epoch),
    POSITION(perche_prove, prev_epoch), POSITION(perche_prove, lsn), POSITION(perche_prove, full),
    POSITION(perche_prove, scan), POSITION(perche_prove, done), PLACE(perche_prove, asof),
    POSITION(perche_prove, schema), POSITION(perche_prove, acked),
    POSITION(perche_prove, epoch_acked), BOOL(perche_prove, relays),
    INLINE(perche_prove, marks, marks_count, &pos_shape, PERCHE_MARKS_MAX),
    INLINE(perche_prove, list, list_count, &pull_entry_shape, PERCHE_LIST_MAX),
    FIXED(perche_prove, signature) /* the last: perche_prove_signed() leaves it out */);

static const struct shape prove_reply_shape =
    SHAPE(perche_prove_reply, U8(perche_prove_reply, verdict, PERCHE_PROVEN, PERCHE_TWO_MACHINES),
          U64(perche_prove_reply, session), POSITION(perche_prove_reply, epoch),
          POSITION(perche_prove_reply, have), PLACE(perche_prove_reply, have_asof),
          U64(perche_prove_reply, stamp), POSITION(perche_prove_reply, full),
          POSITION(perche_prove_reply, scan), PLACE(perche_prove_reply, asof),
          POSITION(perche_prove_reply, floor), POSITION(perche_prove_reply, clock_ms),
          TEXT(perche_prove_reply, name, 0, PERCHE_NAME_BYTES_MAX),
          LIST(perche_prove_reply, migrations, &migration_shape, PERCHE_MIGRATIONS_MAX));

static const struct shape push_shape =
    SHAPE(perche_push, U64(perche_push, session), POSITION(perche_push, from),
          POSITION(perche_push, to), PLACE(perche_push, asof), POSITION(perche_push, full),
          POSITION(perche_push, scan), POSITION(perche_push, done), POSITION(perche_push, pending),
          BYTES(perche_push, batch, 0, PERCHE_MESSAGE_BYTES_MAX));

static const struct shape push_reply_shape =
    SHAPE(perche_push_reply, POSITION(perche_push_reply, have),
          LIST(perche_push_reply, wants, &want_shape, PERCHE_KEYS_MAX));

static const struct shape pull_shape =
    SHAPE(perche_pull, U64(perche_pull, session), POSITION(perche_pull, full),
          POSITION(perche_pull, scan), POSITION(perche_pull, done),
          U32(perche_pull, bytes_max, 0, UINT32_MAX), BOOL(perche_pull, compare),
          POSITION(perche_pull, proven_ms),
          LIST(perche_pull, wants, &want_shape, PERCHE_KEYS_MAX));

static const struct shape pull_reply_shape =
    SHAPE(perche_pull_reply, POSITION(perche_pull_reply, from_full),
          POSITION(perche_pull_reply, from_scan), POSITION(perche_pull_reply, full),
          POSITION(perche_pull_reply, scan), BOOL(perche_pull_reply, more),
          PLACE(perche_pull_reply, asof), POSITION(perche_pull_reply, life),
          POSITION(perche_pull_reply, have),
          POSITION(perche_pull_reply, floor), POSITION(perche_pull_reply, root_ms),
          FIXED(perche_pull_reply, root),
          BYTES(perche_pull_reply, batch, 0, PERCHE_MESSAGE_BYTES_MAX));

static const struct shape rows_shape = SHAPE(
    perche_rows, U64(perche_rows, session), LIST(perche_rows, wants, &want_shape, PERCHE_KEYS_MAX));

static const struct shape rows_reply_shape =
    SHAPE(perche_rows_reply, POSITION(perche_rows_reply, have),
          BYTES(perche_rows_reply, batch, 0, PERCHE_MESSAGE_BYTES_MAX));

/* Sums have no bound of their own but the message's. */
static const struct shape digest_shape = SHAPE(
    perche_digest, U64(perche_digest, session), POSITION(perche_digest, scan),
    POSITION(perche_digest, acked), POSITION(perche_digest, done), U32(perche_digest, level, 0, PERCHE_LEVEL_ROWS),
    U32(perche_digest, finer, 0, PERCHE_FINER_MAX),
    FIXED(perche_digest, root), LIST(perche_digest, sums, &sum_shape, UINT32_MAX));

static const struct shape digest_reply_shape =
    SHAPE(perche_digest_reply, U8(perche_digest_reply, answer, PERCHE_EQUAL, PERCHE_DIFFERS),
          POSITION(perche_digest_reply, clock_ms), POSITION(perche_digest_reply, lsn),
          U32(perche_digest_reply, finer, 0, PERCHE_FINER_MAX),
          LIST(perche_digest_reply, sums, &sum_shape, UINT32_MAX));

static const struct shape watch_shape =
    SHAPE(perche_watch, U64(perche_watch, session), POSITION(perche_watch, full),
          POSITION(perche_watch, scan), POSITION(perche_watch, done));

static const struct shape watch_reply_shape =
    SHAPE(perche_watch_reply, BOOL(perche_watch_reply, news), POSITION(perche_watch_reply, lsn),
          POSITION(perche_watch_reply, have));

static const struct shape enrol_shape =
    SHAPE(perche_enrol, FIXED(perche_enrol, invitation), FIXED(perche_enrol, secret),
          FIXED(perche_enrol, public_key), TEXT(perche_enrol, name, 0, PERCHE_NAME_BYTES_MAX));

static const struct shape enrol_reply_shape =
    SHAPE(perche_enrol_reply, TEXT(perche_enrol_reply, site, 1, PERCHE_ID_BYTES_MAX),
          TEXT(perche_enrol_reply, code, 0, PERCHE_NAME_BYTES_MAX),
          TEXT(perche_enrol_reply, name, 0, PERCHE_NAME_BYTES_MAX));

static const struct shape leave_shape =
    SHAPE(perche_leave, U64(perche_leave, session), POSITION(perche_leave, acked),
          POSITION(perche_leave, full), POSITION(perche_leave, scan), POSITION(perche_leave, done));

static const struct shape leave_reply_shape =
    SHAPE(perche_leave_reply, POSITION(perche_leave_reply, clock_ms));

static const struct message_kind {
    const char *name;
    const struct shape *shapes[WHAT_COUNT];
} kinds[] = {
    [PERCHE_OP_HELLO] = {"hello", {&hello_shape, &hello_reply_shape, &no_shape}},
    [PERCHE_OP_PROVE] = {"prove", {&prove_shape, &prove_reply_shape, &no_shape}},
    [PERCHE_OP_PUSH] = {"push", {&push_shape, &push_reply_shape, &no_shape}},
    [PERCHE_OP_PULL] = {"pull", {&pull_shape, &pull_reply_shape, &no_shape}},
    [PERCHE_OP_ROWS] = {"rows", {&rows_shape, &rows_reply_shape, &no_shape}},
    [PERCHE_OP_DIGEST] = {"digest", {&digest_shape, &digest_reply_shape, &no_shape}},
    [PERCHE_OP_WATCH] = {"watch", {&watch_shape, &watch_reply_shape, &no_shape}},
    [PERCHE_OP_ENROL] = {"enrol", {&enrol_shape, &enrol_reply_shape, &no_shape}},
    [PERCHE_OP_LEAVE] = {"leave", {&leave_shape, &leave_reply_shape, &no_shape}},
};

const char *perche_refusal_name(enum perche_refusal r)
{
    switch (r) {
#define X(name, value, text) \
    case PERCHE_NO_##name: return text;
        PERCHE_REFUSAL_MAP(X)
#undef X
    }
    return "unknown_reason"; /* of a later version */
}

enum perche_rc perche_message_encode(const struct perche_message *m, struct perche_buf *out,
                                     struct perche_err *err)
{
    int what = !m->reply ? WHAT_ASK : m->refused ? WHAT_NO : WHAT_REPLY;
    const size_t start = out->n;
    struct packer k;
    size_t n;

    if (m->op < PERCHE_OP_HELLO || m->op > PERCHE_OP_LEAVE)
        return perche_err_set(err, PERCHE_INTERNAL, "There is no message of kind %u to send.",
                              m->op);
    packer_init(&k, out);
    pack_array(&k, 3);
    pack_uint(&k, m->op);
    pack_uint(&k, (uint64_t)what);
    pack_shape(&k, kinds[m->op].shapes[what], &m->u);
    n = out->n - start;
    if (k.rc == PERCHE_OK && n <= PERCHE_MESSAGE_BYTES_MAX)
        return PERCHE_OK;
    out->n = start;
    if (k.rc == PERCHE_OK)
        return perche_err_set(err, PERCHE_TOO_LARGE,
                              "A message %s of %zu bytes is too large to send.", kinds[m->op].name,
                              n);
    if (k.rc == PERCHE_NOMEM)
        return perche_err_set(err, k.rc, "There is no memory to encode a message %s.",
                              kinds[m->op].name);
    return perche_err_set(err, k.rc, "A message %s to send has a field out of its range: %s.",
                          kinds[m->op].name, k.wrong);
}

enum perche_rc perche_message_decode(struct perche_bytes in, struct perche_message *m,
                                     struct perche_err *err)
{
    struct unpacker u = {.p = in.p, .end = in.p + in.n, .wrong = ""};
    struct perche_message got;
    uint64_t what;

    if (in.n > PERCHE_MESSAGE_BYTES_MAX)
        return perche_err_set(err, PERCHE_TOO_LARGE, "A message of %u bytes is too large.", in.n);
    memset(&got, 0, sizeof(got));
    if (unpack_array(&u) != 3)
        unpack_fail(&u, PERCHE_CORRUPT, "it is no array of three");
    got.op = (uint8_t)unpack_uint(&u, PERCHE_OP_HELLO, PERCHE_OP_LEAVE);
    what = unpack_uint(&u, WHAT_ASK, WHAT_NO);
    got.reply = what != WHAT_ASK;
    got.refused = what == WHAT_NO;
    if (u.rc == PERCHE_OK) {
        u.arena = got.arena = arena_new();
        if (u.arena == NULL)
            unpack_fail(&u, PERCHE_NOMEM, "out of memory");
        else
            unpack_shape(&u, kinds[got.op].shapes[what], &got.u);
    }
    if (u.rc == PERCHE_OK && u.p != u.end)
        unpack_fail(&u, PERCHE_CORRUPT, "bytes follow its end");
    if (u.rc == PERCHE_OK) {
        *m = got;
        return PERCHE_OK;
    }
    perche_arena_free(got.arena);
    return perche_err_set(err, u.rc, "A message (%s) did not decode: %s.",
                          got.op == 0 ? "of no known kind" : kinds[got.op].name, u.wrong);
}

void perche_message_free(struct perche_message *m)
{
    perche_arena_free(m->arena);
    memset(m, 0, sizeof(*m));
}

/* ---- what is signed ------------------------------------------------------ */

/* The name in front keeps a signature for one purpose from serving another. */
enum perche_rc perche_prove_signed(const struct perche_prove *p, const uint8_t challenge[32],
                                   const char *hub, struct perche_buf *out)
{
    const size_t start = out->n;
    struct packer k;

    packer_init(&k, out);
    pack_array(&k, 3 + elements_count(&prove_shape) - 1);
    pack_text(&k, "perche-prove-1");
    pack_bytes(&k, challenge, 32);
    pack_text(&k, hub);
    pack_fields(&k, &prove_shape, p, prove_shape.fields_count - 1);
    if (k.rc != PERCHE_OK)
        out->n = start;
    return k.rc;
}

enum perche_rc perche_migration_signed(const struct perche_migration *m, struct perche_buf *out)
{
    const size_t start = out->n;
    struct packer k;

    packer_init(&k, out);
    pack_array(&k, 1 + elements_count(&migration_shape) - 1);
    pack_text(&k, "perche-migration-1");
    pack_fields(&k, &migration_shape, m, migration_shape.fields_count - 1);
    if (k.rc != PERCHE_OK)
        out->n = start;
    return k.rc;
}
