/* One message of each kind with every field set, for the tests and fuzzers of the wire.
 * They are the examples of PROTOCOL.md too. Everything in them is static. */
#ifndef PERCHE_TESTS_WIRE_MESSAGES_H
#define PERCHE_TESTS_WIRE_MESSAGES_H

#include <stdbool.h>
#include <string.h>

#include "perche/wire.h"

enum { MESSAGE_ASK, MESSAGE_REPLY, MESSAGE_NO, MESSAGE_WHATS };

#define SAMPLE_SITE "018f3c1e-7a20-7c4d-9b1a-2f6d8e0c5a11"
#define SAMPLE_HUB  "018f3c1e-0000-7000-8000-00000000cafe"

static inline void count_up(uint8_t *p, size_t n, uint8_t from)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(from + i);
}

static inline struct perche_message sample_message(uint8_t op, int what)
{
    static const uint8_t id[16] = {0x01, 0x8f, 0x3c, 0x1e, 0x7a, 0x20, 0x7c, 0x4d,
                                   0x9b, 0x1a, 0x2f, 0x6d, 0x8e, 0x0c, 0x5a, 0x12};
    static const uint8_t batch[] = {1, 0xc4, 3, 0, 0, 0}; /* an empty one */
    static struct perche_want wants[2] = {
        {"learner", {id, 16}},
        {"enrolment_code",
         {(const uint8_t *)"\x03\x03"
                           "fr1\x01\x0c",
          7}},
    };
    static struct perche_sum sums[2], rows[1];
    static struct perche_migration migrations[1];
    struct perche_message m;

    memset(&m, 0, sizeof(m));
    m.op = op;
    m.reply = what != MESSAGE_ASK;
    m.refused = what == MESSAGE_NO;
    sums[0] = (struct perche_sum){.scope = SAMPLE_SITE, .table = "learner", .bucket = 255};
    sums[1] = (struct perche_sum){.scope = "", .table = "", .bucket = 8191};
    count_up(sums[0].sum, 16, 0x10);
    count_up(sums[1].sum, 16, 0x20);
    rows[0] =
        (struct perche_sum){.scope = SAMPLE_SITE, .table = "learner", .bucket = 7, .key = {id, 16}};
    count_up(rows[0].sum, 16, 0x30);
    migrations[0] = (struct perche_migration){
        .number = 7, .name = "add_phone", .sql = "ALTER TABLE learner ADD COLUMN phone TEXT"};
    count_up(migrations[0].signature, 64, 0);
    if (what == MESSAGE_NO) {
        m.u.no = (struct perche_no){.why = PERCHE_NO_POSITION,
                                    .text = "The batch does not begin at 4100.",
                                    .have = 4100,
                                    .retry_ms = 0};
        if (op == PERCHE_OP_PULL)
            m.u.no = (struct perche_no){.why = PERCHE_NO_LATER,
                                        .text = "It is not your turn yet.",
                                        .have = 0,
                                        .retry_ms = 45000};
        return m;
    }
    switch (op * 2 + what) {
    case PERCHE_OP_HELLO * 2:
        m.u.hello = (struct perche_hello){
            .site = SAMPLE_SITE, .lowest = 1, .highest = 1, .clock_ms = 1760000000000};
        break;
    case PERCHE_OP_HELLO * 2 + 1:
        m.u.hello_reply = (struct perche_hello_reply){.clock_ms = 1760000000250,
                                                      .hub = SAMPLE_HUB,
                                                      .epoch = 0x1122334455667788,
                                                      .version = 1};
        count_up(m.u.hello_reply.challenge, 32, 0x40);
        break;
    case PERCHE_OP_PROVE * 2:
        m.u.prove = (struct perche_prove){
            .site = SAMPLE_SITE,
            .epoch = 0x0102030405060708,
            .prev_epoch = 0,
            .lsn = 4120,
            .full = 9000,
            .scan = 9000,
            .done = 8990,
            .asof = {9010, 0xfedcba9876543210},
            .schema = 6,
            .acked = 4100,
            .epoch_acked = 4000,
            .relays = true,
            .marks = {{4120, 0x1111111111111111}, {4100, 0x2222222222222222}},
            .marks_count = 2,
            .list = {{9000, 9000, {9010, 0xfedcba9876543210}, 0x0a0b0c0d0e0f1011, 4100}},
            .list_count = 1,
        };
        count_up(m.u.prove.signature, 64, 0x80);
        break;
    case PERCHE_OP_PROVE * 2 + 1:
        m.u.prove_reply = (struct perche_prove_reply){
            .verdict = PERCHE_PROVEN,
            .session = 0x8877665544332211,
            .epoch = 0x0102030405060708,
            .have = 4100,
            .have_asof = {4110, 0x3333333333333333},
            .stamp = UINT64_C(1759999999000) << 16 | 2,
            .full = 9000,
            .scan = 9000,
            .asof = {9050, 0x4444444444444444},
            .floor = 120,
            .clock_ms = 1760000000300,
            .name = "Marseille",
            .migrations = migrations,
            .migrations_count = 1,
        };
        break;
    case PERCHE_OP_PUSH * 2:
        m.u.push = (struct perche_push){
            .session = 0x8877665544332211,
            .from = 4100,
            .to = 4120,
            .asof = {4120, 0x1111111111111111},
            .full = 9000,
            .scan = 9000,
            .done = 8990,
            .pending = 20,
            .batch = {batch, sizeof(batch)},
        };
        break;
    case PERCHE_OP_PUSH * 2 + 1:
        m.u.push_reply = (struct perche_push_reply){.have = 4120, .wants = wants, .wants_count = 2};
        break;
    case PERCHE_OP_PULL * 2:
        m.u.pull = (struct perche_pull){
            .session = 0x8877665544332211,
            .full = 9000,
            .scan = 9040,
            .done = 8990,
            .bytes_max = 65536,
            .compare = true,
            .proven_ms = 1760000000200,
            .wants = wants,
            .wants_count = 1,
        };
        break;
    case PERCHE_OP_PULL * 2 + 1:
        m.u.pull_reply = (struct perche_pull_reply){
            .from_full = 9000,
            .from_scan = 9040,
            .full = 9050,
            .scan = 9050,
            .more = false,
            .asof = {9050, 0x4444444444444444},
            .life = 0x0a0b0c0d0e0f1011,
            .have = 4120,
            .floor = 120,
            .root_ms = 1760000000350,
            .batch = {batch, sizeof(batch)},
        };
        count_up(m.u.pull_reply.root, 16, 0xb0);
        break;
    case PERCHE_OP_ROWS * 2:
        m.u.rows =
            (struct perche_rows){.session = 0x8877665544332211, .wants = wants, .wants_count = 2};
        break;
    case PERCHE_OP_ROWS * 2 + 1:
        m.u.rows_reply = (struct perche_rows_reply){.have = 4120, .batch = {batch, sizeof(batch)}};
        break;
    case PERCHE_OP_DIGEST * 2:
        m.u.digest = (struct perche_digest){
            .session = 0x8877665544332211,
            .scan = 9050,
            .acked = 4120,
            .done = 9050,
            .level = 2,
            .finer = 5,
            .sums = sums,
            .sums_count = 2,
        };
        count_up(m.u.digest.root, 16, 0xa0);
        break;
    case PERCHE_OP_DIGEST * 2 + 1:
        m.u.digest_reply = (struct perche_digest_reply){
            .answer = PERCHE_DIFFERS,
            .clock_ms = 1760000000400,
            .lsn = 9050,
            .finer = 5,
            .sums = rows,
            .sums_count = 1,
        };
        break;
    case PERCHE_OP_WATCH * 2:
        m.u.watch = (struct perche_watch){
            .session = 0x8877665544332211, .full = 9050, .scan = 9050, .done = 9050};
        break;
    case PERCHE_OP_WATCH * 2 + 1:
        m.u.watch_reply = (struct perche_watch_reply){.news = true, .lsn = 9061, .have = 4120};
        break;
    case PERCHE_OP_ENROL * 2:
        m.u.enrol = (struct perche_enrol){.name = "srv-marseille"};
        count_up(m.u.enrol.invitation, 16, 0x01);
        count_up(m.u.enrol.secret, 32, 0x50);
        count_up(m.u.enrol.public_key, 32, 0x70);
        break;
    case PERCHE_OP_ENROL * 2 + 1:
        m.u.enrol_reply =
            (struct perche_enrol_reply){.site = SAMPLE_SITE, .code = "MRS", .name = "Marseille"};
        break;
    case PERCHE_OP_LEAVE * 2:
        m.u.leave = (struct perche_leave){.session = 0x8877665544332211,
                                          .acked = 4120,
                                          .full = 9050,
                                          .scan = 9050,
                                          .done = 9050};
        break;
    case PERCHE_OP_LEAVE * 2 + 1:
        m.u.leave_reply = (struct perche_leave_reply){.clock_ms = 1760000000500};
        break;
    }
    return m;
}

static inline const char *message_name(uint8_t op)
{
    static const char *const names[] = {"",     "hello",  "prove", "push", "pull",
                                        "rows", "digest", "watch", "enrol", "leave"};

    return names[op];
}

/* The batch of PROTOCOL.md: an insert, a changed cell with its base, a refusal. False: out of memory. */
static inline bool sample_batch(struct perche_batch *b)
{
    static const char *const columns[] = {"family", "born", "points"};
    static const uint8_t ids[2][16] = {
        {0x01, 0x9a, 0x00, 0x00, 0x00, 0x01, 0x70, 0x11, 0x80, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
         0x88},
        {0x01, 0x9a, 0x00, 0x00, 0x00, 0x02, 0x7a, 0xaa, 0xbb, 0xbb, 0xcc, 0xcc, 0xdd, 0xdd, 0xee,
         0xee},
    };
    const uint64_t stamp = UINT64_C(1760000000000) << 16;
    const struct perche_value values[] = {
        {.type = PERCHE_TEXT, .n = 6, .p = (const uint8_t *)"Martin"},
        {.type = PERCHE_TEXT, .n = 10, .p = (const uint8_t *)"2003-04-05"},
        {.type = PERCHE_TEXT, .n = 7, .p = (const uint8_t *)"Bernard"},
    };
    const struct perche_notice notice = {
        .kind = PERCHE_REFUSAL,
        .lsn = 9055,
        .table = "learner",
        .key = {ids[1], 16},
        .reason = "hub_column",
        .columns = "points",
    };
    uint32_t site = perche_batch_name(b, SAMPLE_SITE),
             part = perche_batch_part(b, "learner", columns, 3);
    struct perche_cell *cell;
    struct perche_row *row;

    if (site == UINT32_MAX || part == UINT32_MAX)
        return false;
    row = perche_batch_row(b, part, (struct perche_bytes){ids[0], 16});
    if (row == NULL)
        return false;
    row->gen = 1;
    row->flags = PERCHE_ROW_WHOLE | PERCHE_ROW_GEN;
    row->scope = row->gen_origin = site;
    row->gen_stamp = stamp;
    for (uint16_t col = 0; col < 2; col++) {
        cell = perche_batch_cell(b, part, col, &values[col]);
        if (cell == NULL)
            return false;
        cell->stamp = stamp;
        cell->origin = site;
    }
    row = perche_batch_row(b, part, (struct perche_bytes){ids[1], 16});
    if (row == NULL)
        return false;
    row->gen = 3;
    row->scope = site;
    cell = perche_batch_cell(b, part, 0, &values[2]);
    if (cell == NULL)
        return false;
    cell->stamp = stamp + (UINT64_C(60000) << 16) + 1;
    cell->origin = site;
    return perche_batch_base(b, part, stamp, site) && perche_batch_notice(b, &notice);
}

static inline struct perche_invitation sample_invitation(void)
{
    static const uint8_t certificate[] = {0x30, 0x0a, 0x02, 0x01, 0x01, 0x02, 0x05,
                                          0x00, 0x9a, 0xbc, 0xde, 0xf0}; /* DER, if a short one */
    struct perche_invitation i = {
        .url = "tls+tcp://hub.example.org:7447",
        .hub = SAMPLE_HUB,
        .certificate = {certificate, sizeof(certificate)},
        .expires_ms = 1760600000000,
        .site = SAMPLE_SITE,
        .name = "Marseille",
    };

    count_up(i.hub_key, 32, 0x11);
    count_up(i.id, 16, 0x01);
    count_up(i.secret, 32, 0x50);
    return i;
}

#endif
