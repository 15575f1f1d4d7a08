/* A hub that answers anything to a site: right answers, right ones with wrong numbers, refusals,
 * bytes, late and repeated ones; lines that go and come, programs that write, a disk that
 * fails, power cuts. The site is the real conversation on the real replica, in memory.
 *
 * At each step: before a handshake is done on this line nothing goes out but hello and prove,
 * and nothing that came is applied; what was acknowledged is not more than there is; what the
 * site needs is bounded (P10). At the end the file is whole, its digests are those of its rows,
 * and what programs wrote that nobody answered to is there (P1). */
#include "conversation.h"
#include "unit/wire_messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HUB_EPOCH 5u
#define BYTES_MAX ((size_t)96 << 20)
#define HUB "01890000-0000-7000-8000-0000000000f0"
#define SITE "01890000-0000-7000-8000-0000000000f1"
#define OTHER "01890000-0000-7000-8000-0000000000f2"

static struct node *node;
static const char *const names[] = {SITE, HUB, OTHER, SITE};
static struct perche_batch *batch;
static uint8_t own_key[32];

struct asked {
    bool waits;
    uint64_t tag;
    struct perche_message message;
};

static struct talk {
    struct input in;
    uint32_t restarts;
    uint8_t how;
    struct sync_site *site;
    struct asked channels[SYNC_CHANNELS];
    uint64_t last_tag[SYNC_CHANNELS];
    bool dialling, up;
    bool shaken; /* hands, on this line */
    bool hold;
    uint64_t hub_lsn, syncs;
    uint32_t written; /* rows by a program that nothing of the hub's can have touched */
    struct words words;
} t;

static void prepare(void)
{
    struct work w = {.kind = WORK_COMMAND, .name = "joined"};

    node = node_new(REPLICA_SITE);
    w.args = strdup("{\"site\":\"" SITE "\",\"code\":\"LLP\",\"name\":\"La Loupe\",\"hub\":\"" HUB "\"}");
    node_must_work(node, w);
    for (uint32_t i = 1; i < 4; i++) {
        char sql[400], learner[37], contact[37];

        id_text(i, learner);
        id_text(i + 4, contact);
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO learner (id, home_site_id, call_name) VALUES ('%s', '" SITE "', 'ours');"
                       "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('%s', '%s', 'PHONE', '1')",
                       learner, contact, learner);
        node_must(node, sql);
    }
    node_harvest(node);
    node_keep(node);
    batch = perche_batch_new();
}

/* ---- what the site may do and say --------------------------------------------- */

static void look_at_work(const struct work *w)
{
    switch (w->kind) {
    case WORK_STATE:
    case WORK_HARVEST:
    case WORK_PROVE_BUILD:
    case WORK_PROVED: return;
    default:
        if (!t.shaken)
            BROKEN("%s before the handshake", work_name(w->kind));
    }
}

static void look_at_request(struct sync_action *a)
{
    struct asked *c = &t.channels[a->channel];

    if (!t.up)
        BROKEN("a request without a line");
    if (a->message.reply)
        BROKEN("a site answers nothing");
    if (!t.shaken && a->message.op != PERCHE_OP_HELLO && a->message.op != PERCHE_OP_PROVE)
        BROKEN("op %u before the handshake", a->message.op);
    sent(&a->message);
    c->waits = true;
    c->tag = a->tag;
    t.last_tag[a->channel] = a->tag;
    sync_message_move(&c->message, &a->message);
}

static void line_ends(void)
{
    for (uint32_t i = 0; i < SYNC_CHANNELS; i++) {
        sync_message_drop(&t.channels[i].message);
        t.channels[i].waits = false;
    }
    t.dialling = t.up = t.shaken = false;
}

/* ---- events and works ----------------------------------------------------------- */

static void step(struct sync_event *ev)
{
    struct sync_actions actions = {0};

    ev->now_ms = node->now_ms;
    ev->mono_ms = node->mono_ms;
    sync_site_step(t.site, ev, &actions);
    if (actions.nomem)
        BROKEN("an action is missing");
    for (uint32_t i = 0; i < actions.count; i++) {
        struct sync_action *a = &actions.items[i];

        switch (a->kind) {
        case SYNC_SEND: look_at_request(a); break;
        case SYNC_WORK:
            look_at_work(&a->work);
            if (node->lane_count == LANE_MAX)
                BROKEN("P10: %u works under way", LANE_MAX);
            node->lane[node->lane_count++] = a->work;
            memset(&a->work, 0, sizeof a->work);
            break;
        case SYNC_CONNECT: t.dialling = true; break;
        case SYNC_DISCONNECT: line_ends(); break;
        default: break;
        }
    }
    sync_actions_free(&actions);
}

static bool hubs_fault(enum work_kind kind, enum perche_rc rc)
{
    if (rc == PERCHE_CORRUPT || rc == PERCHE_TOO_LARGE || rc == PERCHE_STALE || rc == PERCHE_STATE || rc == PERCHE_REFUSED ||
        rc == PERCHE_NEWER || rc == PERCHE_AUTH)
        return kind == WORK_PULL_APPLY || kind == WORK_ROWS_APPLY || kind == WORK_PROVED || kind == WORK_PUSH_ACKED ||
               kind == WORK_DIGEST_TAKE || kind == WORK_DIGEST_BUILD || (kind == WORK_LEAVE_BUILD && rc == PERCHE_STATE);
    return rc == PERCHE_OK || rc == PERCHE_BUSY;
}

static void go_on(uint32_t count)
{
    while (count-- > 0 && node->lane_count > 0) {
        struct work w = node->lane[0];
        struct sync_event ev = {.kind = SYNC_EV_OUTCOME};
        struct outcome o = {0};

        memmove(node->lane, node->lane + 1, --node->lane_count * sizeof w);
        if (t.hold && in_rarely(&t.in, 8)) {
            static const enum perche_rc rcs[] = {PERCHE_BUSY, PERCHE_DISK, PERCHE_FULL, PERCHE_NOMEM, PERCHE_CORRUPT, PERCHE_INTERNAL};

            o.kind = w.kind;
            o.rc = perche_err_set(&o.err, rcs[in_below(&t.in, 6)], "as it may happen");
        } else {
            o = node_work(node, &w);
            if (!hubs_fault(w.kind, o.rc))
                BROKEN("%s: %s: %s", work_name(w.kind), perche_rc_name(o.rc), o.err.text);
            if (o.rc == PERCHE_OK && work_writes(w.kind) && o.state.acked > o.state.lsn)
                BROKEN("acknowledged up to %llu of %llu", (unsigned long long)o.state.acked, (unsigned long long)o.state.lsn);
            if (o.rc == PERCHE_OK && w.kind == WORK_PROVED && w.message.u.prove_reply.verdict != PERCHE_RESTORED)
                t.shaken = t.up;
        }
        o.tag = w.tag;
        ev.outcome = &o;
        step(&ev);
        outcome_free(&o);
        work_free(&w);
    }
}

static void sign(void *ctx, const uint8_t *p, size_t n, uint8_t signature[64])
{
    (void)ctx;
    mix(own_key, p, n, signature);
}

static void start(void)
{
    struct sync_site_config config = {.site = SITE, .hub = HUB, .ops = {node, node_random, sign, NULL}};
    struct sync_event ev = {.kind = SYNC_EV_START};

    t.site = sync_site_new(&config);
    step(&ev);
}

/* ---- what the hub says -------------------------------------------------------------- */

static void word_wants(struct perche_want *wants, uint32_t *count)
{
    *count = in_below(&t.in, 4) == 0 ? in_below(&t.in, 6) : 0;
    for (uint32_t i = 0; i < *count; i++)
        wants[i] = (struct perche_want){the_tables[in_below(&t.in, 16)], word_key(&t.in, &t.words)};
}

static void word_sums(struct perche_sum *sums, uint32_t *count)
{
    *count = in_below(&t.in, 12);
    for (uint32_t i = 0; i < *count; i++) {
        sums[i] = (struct perche_sum){.scope = word_text(&t.in, &t.words, names, 4), .table = the_tables[in_below(&t.in, 16)],
                                      .bucket = in_byte(&t.in) * (in_bit(&t.in) ? 1 : 257), .rows = in_below(&t.in, 3)};
        if (in_below(&t.in, 4) == 0)
            sums[i].scope = sums[i].table = "";
        in_bytes(&t.in, sums[i].sum, 2);
        if (in_bit(&t.in))
            sums[i].key = word_key(&t.in, &t.words);
    }
}

/* The answer to @q, as a hub might give it. */
static void word_reply(const struct perche_message *q, struct perche_message *m, struct perche_buf *body)
{
    static struct perche_want wants[8];
    static struct perche_sum sums[16];
    static struct perche_migration migration;

    m->op = q->op;
    m->reply = true;
    switch (q->op) {
    case PERCHE_OP_HELLO:
        in_bytes(&t.in, m->u.hello_reply.challenge, 4);
        m->u.hello_reply.clock_ms = in_number(&t.in, node->now_ms);
        m->u.hello_reply.hub = in_rarely(&t.in, 8) ? OTHER : HUB;
        m->u.hello_reply.epoch = HUB_EPOCH;
        m->u.hello_reply.version = (uint32_t)in_number(&t.in, 1);
        break;
    case PERCHE_OP_PROVE:
        m->u.prove_reply = (struct perche_prove_reply){
            .verdict = in_below(&t.in, 4) == 0 ? (uint8_t)(1 + in_below(&t.in, 4)) : PERCHE_PROVEN,
            .session = 9, .epoch = in_number(&t.in, q->u.prove.epoch), .have = in_number(&t.in, q->u.prove.acked),
            .stamp = in_number(&t.in, 0), .full = in_number(&t.in, q->u.prove.full), .scan = in_number(&t.in, q->u.prove.scan),
            .asof = {in_number(&t.in, t.hub_lsn), 3}, .floor = in_number(&t.in, 0), .clock_ms = in_number(&t.in, node->now_ms),
            .name = "La Loupe", .migrations = &migration};
        if (q->u.prove.marks_count > 0)
            m->u.prove_reply.have_asof = q->u.prove.marks[in_below(&t.in, q->u.prove.marks_count)];
        m->u.prove_reply.have_asof.lsn = in_number(&t.in, m->u.prove_reply.have_asof.lsn);
        if (in_below(&t.in, 8) == 0 && (t.how & HOW_MIGRATES)) {
            migration = (struct perche_migration){.number = in_number(&t.in, 1000), .name = "m",
                                                  .sql = (const char *[]){"ALTER TABLE learner ADD COLUMN phone TEXT", "CREATE INDEX i ON learner (ine)",
                                                                          "CREATE TABLE t (a TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID",
                                                                          "SELECT", "", "COMMIT"}[in_below(&t.in, 6)]};
            m->u.prove_reply.migrations_count = 1;
        }
        break;
    case PERCHE_OP_PUSH:
        m->u.push_reply.have = in_number(&t.in, q->u.push.to);
        m->u.push_reply.wants = wants;
        word_wants(wants, &m->u.push_reply.wants_count);
        break;
    case PERCHE_OP_PULL:
        t.hub_lsn += in_below(&t.in, 4);
        if (in_below(&t.in, 4) != 0)
            word_batch(&t.in, &t.words, names, 4, 1, node->now_ms, batch, body);
        m->u.pull_reply = (struct perche_pull_reply){
            .from_full = in_number(&t.in, q->u.pull.full), .from_scan = in_number(&t.in, q->u.pull.scan),
            .full = in_number(&t.in, t.hub_lsn), .scan = in_number(&t.in, t.hub_lsn), .more = in_rarely(&t.in, 8),
            .asof = {in_number(&t.in, t.hub_lsn), 3}, .life = 1, .have = in_number(&t.in, 0), .batch = {body->p, (uint32_t)body->n}};
        break;
    case PERCHE_OP_ROWS:
        word_batch(&t.in, &t.words, names, 4, 1, node->now_ms, batch, body);
        m->u.rows_reply = (struct perche_rows_reply){.have = in_number(&t.in, 0), .batch = {body->p, (uint32_t)body->n}};
        break;
    case PERCHE_OP_DIGEST:
        m->u.digest_reply = (struct perche_digest_reply){.answer = in_bit(&t.in) ? PERCHE_EQUAL : (uint8_t)(1 + in_below(&t.in, 3)),
                                                         .clock_ms = in_number(&t.in, node->now_ms), .lsn = in_number(&t.in, t.hub_lsn),
                                                         .finer = in_below(&t.in, PERCHE_FINER_MAX + 1), .sums = sums};
        if (m->u.digest_reply.answer == PERCHE_DIFFERS)
            word_sums(sums, &m->u.digest_reply.sums_count);
        break;
    case PERCHE_OP_WATCH:
        m->u.watch_reply = (struct perche_watch_reply){in_bit(&t.in), in_number(&t.in, t.hub_lsn), in_number(&t.in, 0)};
        break;
    case PERCHE_OP_LEAVE: m->u.leave_reply.clock_ms = in_number(&t.in, node->now_ms); break;
    default: BROKEN("a site asks op %u", q->op);
    }
}

static void hear(uint32_t channel, uint64_t tag, struct perche_message *m)
{
    struct sync_event ev = {.kind = SYNC_EV_REPLY, .channel = channel, .tag = tag, .line_ms = in_byte(&t.in)};
    struct perche_message decoded;

    if (word_line(m, &t.in, &decoded, &ev.bytes))
        ev.message = &decoded;
    else
        ev.kind = SYNC_EV_BAD;
    step(&ev);
    sync_message_drop(&decoded);
}

static void answer(void)
{
    uint32_t channel = in_below(&t.in, SYNC_CHANNELS);
    struct perche_buf body = {0};
    struct perche_message m = {0}, q = {0};
    uint32_t how = in_below(&t.in, 16);

    for (uint32_t i = 0; i < SYNC_CHANNELS && !t.channels[channel].waits; i++)
        channel = (channel + 1) % SYNC_CHANNELS;
    if (!t.channels[channel].waits)
        return;
    if (how == 15) { /* one that nobody asked for, late or of another op */
        m = sample_message((uint8_t)(1 + in_below(&t.in, 8)), (int)in_below(&t.in, 3));
        hear(channel, in_bit(&t.in) ? t.last_tag[channel] : in_byte(&t.in), &m);
        return;
    }
    if (how == 1) {
        t.channels[channel].waits = false;
        m.op = t.channels[channel].message.op;
        m.reply = m.refused = true;
        m.u.no = (struct perche_no){(uint8_t)in_below(&t.in, 18), "no", in_number(&t.in, 1), in_number(&t.in, 1000)};
        hear(channel, t.last_tag[channel], &m);
        return;
    }
    sync_message_move(&q, &t.channels[channel].message);
    t.channels[channel].waits = false;
    word_reply(&q, &m, &body);
    hear(channel, t.last_tag[channel], &m);
    if (how == 2) /* once more */
        hear(channel, t.last_tag[channel], &m);
    perche_buf_free(&body);
    sync_message_drop(&q);
}

static void program(void)
{
    static const char *const writes[] = {
        "UPDATE learner SET call_name = 'n' || abs(random() % 1000)",
        "INSERT INTO learner_contact (learner_id, kind, value) SELECT min(id), 'PHONE', '2' FROM learner",
        "DELETE FROM learner_contact WHERE rowid IN (SELECT min(rowid) FROM learner_contact)",
        "DELETE FROM learner WHERE id = (SELECT max(id) FROM learner WHERE birth_country IS NULL)",
        "UPDATE learner SET birth_date = '2001-01-01', sex = 'F' WHERE id = (SELECT min(id) FROM learner)",
        "INSERT INTO organisation (name) VALUES ('unlawful')",
    };
    struct sync_event ev = {.kind = SYNC_EV_CHANGED};
    char sql[200];

    if (in_below(&t.in, 4) == 0) {
        (void)snprintf(sql, sizeof sql, "INSERT INTO learner (home_site_id, birth_country) VALUES ('" SITE "', 'kept %u')", t.written);
        t.written += node_sql(node, sql);
    } else {
        (void)node_sql(node, writes[in_below(&t.in, 6)]);
    }
    step(&ev);
}

static void settle(void)
{
    struct sync_event ev = {.kind = SYNC_EV_LINE_UP};

    if (t.dialling) {
        t.dialling = false;
        t.up = true;
        step(&ev);
    }
    if (!t.hold)
        go_on(UINT32_MAX);
}

/* The hub says the right things until hands are shaken. */
static void handshake(void)
{
    bool hold = t.hold;

    t.hold = false;
    for (int i = 0; i < 8 && !t.shaken; i++) {
        struct sync_event ev = {.kind = SYNC_EV_TIME};

        settle();
        answer();
        if (!t.up) {
            node->mono_ms += 5000; /* it dials when its turn has come */
            step(&ev);
        }
    }
    settle();
    t.hold = hold;
}

static void take_command(void)
{
    struct sync_event ev = {0};

    switch (in_below(&t.in, 20)) {
    case 0:
        ev.kind = SYNC_EV_TIME;
        node->mono_ms += (uint64_t[]){0, 1, 100, 1000, 5000, 60000, 3600000}[in_below(&t.in, 7)];
        node->now_ms += in_below(&t.in, 8) == 0 ? in_number(&t.in, 0) % 100000000 : 1000;
        step(&ev);
        break;
    case 1:
        if (!t.up && !t.dialling)
            break;
        line_ends();
        ev.kind = SYNC_EV_LINE_DOWN;
        ev.reason = (const char *[]){"refused", "certificate", "lost", "clock"}[in_below(&t.in, 4)];
        step(&ev);
        break;
    case 2: go_on(1 + in_below(&t.in, 4)); break;
    case 3: program(); break;
    case 4:
        if (!(t.how & HOW_RESTARTS) || t.restarts++ >= RESTARTS_MAX)
            break;
        sync_site_free(t.site);
        line_ends();
        node_end(node, in_bit(&t.in));
        node_open(node);
        start();
        break;
    case 5:
        ev.kind = in_rarely(&t.in, 8) ? SYNC_EV_LEAVE : SYNC_EV_SYNC_NOW;
        ev.tag = ++t.syncs;
        ev.wait = in_bit(&t.in);
        step(&ev);
        break;
    case 6: ev.kind = SYNC_EV_BAD; step(&ev); break;
    default: answer();
    }
    settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input rest;
    size_t before;

    if (node == NULL)
        prepare();
    node_again(node);
    memset(&t, 0, sizeof t);
    rest = (struct input){data, data + size};
    t.in = (struct input){data, data + (size > 0)};
    rest.p = t.in.end;
    t.hub_lsn = 10;
    before = __sanitizer_get_current_allocated_bytes();
    t.how = in_byte(&t.in);
    t.hold = t.how & HOW_HOLDS;
    start();
    if (t.how & HOW_SHAKEN)
        handshake();
    for (uint32_t i = 0; i < STEPS_MAX && rest.p < rest.end; i++) {
        t.in = record_next(&rest);
        take_command();
        if (__sanitizer_get_current_allocated_bytes() > before + BYTES_MAX)
            BROKEN("P10: the site has taken %zu MiB", (__sanitizer_get_current_allocated_bytes() - before) >> 20);
    }
    t.hold = false;
    t.in = rest; /* empty, or too long */
    go_on(UINT32_MAX);
    sync_site_free(t.site);
    line_ends();
    node_check(node);
    for (uint32_t i = 0; i < t.written; i++) { /* its key was drawn here: the hub cannot have named it */
        char text[40];

        (void)snprintf(text, sizeof text, "kept %u", i);
        if (node_asks(node, "SELECT 1 FROM learner WHERE ?1 IS NOT NULL AND birth_country = ?2", (struct perche_bytes){(const uint8_t *)"", 0}, text) < 0)
            BROKEN("P1: '%s' is gone", text);
    }
    node_gone(node, data, size);
    return 0;
}
