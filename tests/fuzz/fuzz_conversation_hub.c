/* A peer that says anything at any time to a hub: before and after it has proven itself, on
 * several lines, with delays, failures of the hub's own disk, and power cuts. The hub is the
 * real conversation on the real replica, in memory. The peer has the key of site A and an
 * invitation for site E; it knows the ids of everything, also of what is B's.
 *
 * At each step: nothing is done for a site before its proof; no answer has a row of B (P7);
 * what was acknowledged is in the file, also after a power cut (P2); what the hub needs is
 * bounded (P10). At the end the file is whole and its digests are those of its rows. */
#include "conversation.h"
#include "unit/wire_messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIPES 6u
#define EPOCH_A 77u
#define SECRET "SECRET"
#define BYTES_MAX ((size_t)96 << 20) /* beside what was there before: messages of 16 MiB are in it */

static struct node *node;
static char hub_id[37], site[5][37]; /* A to D have joined, E is invited */
static const char *site_names[6];
static uint8_t keys[5][32], invitation[16], secret[32];
static uint8_t digests[8][16]; /* of B's rows, as the hub has them */
static uint32_t digests_count;
static struct perche_batch *batch;

struct pipe {
    uint64_t id;      /* 0 = not open */
    uint64_t session; /* that the hub gave on it last, 0 = none */
    bool challenged;
    uint8_t challenge[32];
};

static struct talk {
    struct input in;
    uint32_t restarts;
    uint8_t how;
    struct sync_hub *hub;
    struct pipe pipes[PIPES];
    uint64_t pipes_opened, requests, epoch;
    uint64_t have, full, scan, hub_lsn, stamps;
    struct perche_pos asof;
    bool hold;          /* works wait until they are told to go on */
    uint32_t signed_as; /* bit of each site that was ever proven with the right key */
    bool enrolled;      /* E: with keys[0] or keys[2] */
    uint8_t enrolled_key; /* which of them */
    uint64_t acked; /* the hub has said that it has so much of A */
    uint64_t acked_epoch;
    struct words words;
    struct { /* of a push: what has to be in the file once it is acknowledged */
        uint64_t request;
        uint32_t count;
        char table[8][24];
        uint8_t key[8][16];
    } pushes[16];
    uint32_t pushes_next;
    uint32_t kept; /* rows that were acknowledged and taken */
    char kept_table[64][24];
    uint8_t kept_key[64][16];
} t;

/* ---- once ---------------------------------------------------------------------- */

static void unhex(const char *json, const char *name, uint8_t *out, size_t n)
{
    char quoted[40];
    const char *p;

    (void)snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
    p = strstr(json, quoted);
    if (p == NULL)
        BROKEN("no %s in %s", name, json);
    p += strlen(quoted);
    for (size_t i = 0; i < n; i++) {
        unsigned x = 0;

        (void)sscanf(p + 2 * i, "%2x", &x);
        out[i] = (uint8_t)x;
    }
}

static void invite(uint32_t i, bool join)
{
    static const char *const names[] = {"La Loupe", "Chartres", "Dreux", "Verdun", "Lens"};
    struct work w = {.kind = WORK_COMMAND, .name = "invite"};
    struct outcome o;
    char args[80];
    const char *p;

    (void)snprintf(args, sizeof args, "{\"name\":\"%s\"}", names[i]);
    w.args = strdup(args);
    o = node_work(node, &w);
    p = o.rc == PERCHE_OK ? strstr(o.json, "\"site\":\"") : NULL;
    if (p == NULL)
        BROKEN("invite: %s", o.err.text);
    memcpy(site[i], p + 8, 36);
    unhex(o.json, "invitation", invitation, 16);
    unhex(o.json, "secret", secret, 32);
    outcome_free(&o);
    work_free(&w);
    memset(keys[i], (int)i + 1, 32);
    if (!join)
        return;
    w = (struct work){.kind = WORK_ENROL};
    w.message.op = PERCHE_OP_ENROL;
    memcpy(w.message.u.enrol.invitation, invitation, 16);
    memcpy(w.message.u.enrol.secret, secret, 32);
    memcpy(w.message.u.enrol.public_key, keys[i], 32);
    w.message.u.enrol.name = "host";
    node_must_work(node, w);
    w = (struct work){.kind = WORK_PROVE_JUDGE, .session = i + 1};
    memcpy(w.site, site[i], 37);
    w.message.op = PERCHE_OP_PROVE;
    w.message.u.prove = (struct perche_prove){.site = site[i], .epoch = EPOCH_A + i};
    node_must_work(node, w);
}

static void learner(uint32_t id, uint32_t of, const char *name)
{
    char sql[400], learner_id[37], contact[37];

    id_text(id, learner_id);
    id_text(id + 3, contact);
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO learner (id, home_site_id, call_name) VALUES ('%s', '%s', '%s');"
                   "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('%s', '%s', 'PHONE', '%s')",
                   learner_id, site[of], name, contact, learner_id, name);
    node_must(node, sql);
}

static bool is_secret(const char *table, struct perche_bytes key)
{
    uint8_t low = key.n == 16 ? key.p[15] : 0;
    uint8_t id[16];
    char text[37];

    id_text(low, text);
    if (key.n != 16 || !perche_uuid_parse((const uint8_t *)text, 36, id) || memcmp(id, key.p, 16) != 0)
        return false;
    return (strcmp(table, "learner") == 0 && (low == 8 || low == 9)) ||
           (strcmp(table, "learner_contact") == 0 && (low == 11 || low == 12));
}

static void prepare(void)
{
    sqlite3_stmt *s;

    node = node_new(REPLICA_HUB);
    memcpy(hub_id, replica_site_id(node->writer), 37);
    for (uint32_t i = 0; i < 5; i++)
        invite(i, i < 4);
    for (uint32_t i = 0; i < 5; i++)
        site_names[i] = site[i];
    site_names[5] = hub_id;
    node_must(node, "INSERT INTO organisation (name) VALUES ('Everybody''s')");
    learner(1, 0, "ours");
    learner(2, 0, "ours too");
    learner(8, 1, SECRET " 8");
    learner(9, 1, SECRET " 9");
    node_harvest(node);
    if (sqlite3_prepare_v2(node_db(node), "SELECT p.name, r.key, substr(clock, 1, 16) FROM perche_row r JOIN perche_tab p"
                                          " ON p.num = r.tab", -1, &s, NULL) != SQLITE_OK)
        BROKEN("%s", sqlite3_errmsg(node->db));
    while (sqlite3_step(s) == SQLITE_ROW) {
        struct perche_bytes key = {sqlite3_column_blob(s, 1), (uint32_t)sqlite3_column_bytes(s, 1)};

        if (is_secret((const char *)sqlite3_column_text(s, 0), key))
            memcpy(digests[digests_count++], sqlite3_column_blob(s, 2), 16);
    }
    sqlite3_finalize(s);
    if (digests_count != 4)
        BROKEN("B has %u rows", digests_count);
    node_keep(node);
    batch = perche_batch_new();
}

/* ---- what the hub may do and say --------------------------------------------------- */

static uint32_t site_bit(const char *id)
{
    for (uint32_t i = 0; i < 5; i++)
        if (strcmp(site[i], id) == 0)
            return 1u << i;
    return 0;
}

static void look_at_work(const struct work *w)
{
    switch (w->kind) {
    case WORK_STATE:
    case WORK_HARVEST:
    case WORK_SITE_KEY:
    case WORK_ENROL:
    case WORK_PEER_NOTE: return; /* of a session that has ended */
    default:
        if (!(t.signed_as & site_bit(w->site)) || (strcmp(w->site, site[4]) == 0 && !(t.enrolled && t.enrolled_key == 0)))
            BROKEN("%s for %s, which has proven nothing", work_name(w->kind), w->site);
    }
}

static void look_at_batch(struct perche_bytes bytes)
{
    struct perche_err err;

    perche_batch_clear(batch);
    if (bytes.n == 0)
        return;
    if (perche_batch_decode(bytes, batch, &err) != PERCHE_OK)
        BROKEN("the hub sends a batch that does not decode: %s", err.text);
    for (uint32_t p = 0; p < batch->parts_count; p++) {
        const struct perche_part *part = &batch->parts[p];

        for (uint32_t i = 0; i < part->rows_count; i++)
            if (is_secret(part->table, part->rows[i].key))
                BROKEN("P7: a row of %s that is B's", part->table);
        for (uint32_t i = 0; i < part->cells_count; i++) {
            const struct perche_value *v = &part->cells[i].value;

            if (v->type == PERCHE_TEXT && v->n > 6 && memcmp(v->p, SECRET, 6) == 0)
                BROKEN("P7: a value that is B's, in %s", part->table);
        }
    }
}

static void look_at_sums(const struct perche_digest_reply *reply)
{
    for (uint32_t i = 0; i < reply->sums_count; i++)
        for (uint32_t k = 0; k < digests_count; k++)
            if (reply->sums[i].key.n > 0 && memcmp(reply->sums[i].sum, digests[k], 16) == 0)
                BROKEN("P7: the digest of a row that is B's");
}

static struct pipe *pipe_of(uint64_t id)
{
    for (uint32_t i = 0; i < PIPES; i++)
        if (t.pipes[i].id == id && id != 0)
            return &t.pipes[i];
    return NULL;
}

/* What was taken stays; what was not has its reason. */
static void acknowledged(uint64_t request, uint64_t have)
{
    t.have = have;
    if (t.signed_as != 1)
        return; /* it may be E's, whose numbers are not A's */
    if (t.acked_epoch != t.epoch || have > t.acked)
        t.acked = have;
    t.acked_epoch = t.epoch;
    for (uint32_t i = 0; i < 16; i++) {
        if (t.pushes[i].request != request)
            continue;
        for (uint32_t k = 0; k < t.pushes[i].count; k++) {
            struct perche_bytes key = {t.pushes[i].key[k], 16};
            const char *table = t.pushes[i].table[k];

            if (node_asks(node, "SELECT 1 FROM perche_row WHERE key = ?1 AND tab = (SELECT num FROM perche_tab WHERE name = ?2)",
                          key, table) > 0) {
                if (t.kept < 64) {
                    memcpy(t.kept_key[t.kept], key.p, 16);
                    memcpy(t.kept_table[t.kept++], table, 24);
                }
            } else if (node_asks(node, "SELECT 1 FROM perche_refusal WHERE key = ?1 AND tab = (SELECT num FROM perche_tab WHERE name = ?2)",
                                 key, table) < 0 &&
                       node_asks(node, "SELECT 1 FROM perche_parked WHERE key = ?1 AND tab = ?2", key, table) < 0) {
                BROKEN("P2: a row of %s was acknowledged, and is nowhere", table);
            }
        }
    }
}

static void still_there(void)
{
    char sql[200];
    struct perche_bytes none = {(const uint8_t *)"", 0};
    int64_t have;

    for (uint32_t i = 0; i < t.kept; i++)
        if (node_asks(node, "SELECT 1 FROM perche_row WHERE key = ?1 AND tab = (SELECT num FROM perche_tab WHERE name = ?2)",
                      (struct perche_bytes){t.kept_key[i], 16}, t.kept_table[i]) < 0)
            BROKEN("P2: a row of %s that was taken is gone", t.kept_table[i]);
    (void)snprintf(sql, sizeof sql, "SELECT have FROM perche_peer WHERE epoch = %llu AND ?1 IS NOT NULL AND site ="
                   " (SELECT num FROM perche_name WHERE text = ?2)", (unsigned long long)t.acked_epoch);
    have = node_asks(node, sql, none, site[0]);
    if (t.acked_epoch != 0 && have >= 0 && (uint64_t)have < t.acked)
        BROKEN("P2: acknowledged up to %llu, the file says %lld", (unsigned long long)t.acked, (long long)have);
}

static void look_at_reply(struct sync_action *a)
{
    struct pipe *pipe = pipe_of(a->pipe);
    const struct perche_message *m = &a->message;

    if (pipe == NULL)
        BROKEN("an answer to a line that is closed");
    if (!m->reply)
        BROKEN("a hub asks nothing");
    sent(m);
    if (m->refused)
        return;
    if (m->op != PERCHE_OP_HELLO && m->op != PERCHE_OP_PROVE && m->op != PERCHE_OP_ENROL && pipe->session == 0)
        BROKEN("op %u is answered to somebody without a session", m->op);
    switch (m->op) {
    case PERCHE_OP_HELLO:
        memcpy(pipe->challenge, m->u.hello_reply.challenge, 32);
        pipe->challenged = true;
        break;
    case PERCHE_OP_PROVE:
        if (t.signed_as == 0)
            BROKEN("a verdict without a signature");
        if (m->u.prove_reply.verdict != PERCHE_RESTORED) /* what it had before it showed an older copy is its own until it ends */
            pipe->session = m->u.prove_reply.session;
        t.have = m->u.prove_reply.have;
        t.hub_lsn = m->u.prove_reply.asof.lsn;
        if (m->u.prove_reply.verdict == PERCHE_PROVEN || m->u.prove_reply.verdict == PERCHE_GO_BACK) {
            t.acked = t.have; /* a new epoch has less */
            t.acked_epoch = m->u.prove_reply.epoch;
        }
        break;
    case PERCHE_OP_PUSH: acknowledged(a->request, m->u.push_reply.have); break;
    case PERCHE_OP_PULL:
        look_at_batch(m->u.pull_reply.batch);
        t.full = m->u.pull_reply.full;
        t.scan = m->u.pull_reply.scan;
        t.asof = m->u.pull_reply.asof;
        break;
    case PERCHE_OP_ROWS: look_at_batch(m->u.rows_reply.batch); break;
    case PERCHE_OP_DIGEST: look_at_sums(&m->u.digest_reply); break;
    case PERCHE_OP_ENROL:
        if (!t.enrolled)
            BROKEN("E hears that it is a member, and is none");
        break;
    default: break;
    }
}

/* ---- events and works ------------------------------------------------------------------ */

static void step(struct sync_event *ev);

/* Whether its answer is heard or not. */
static void look_at_enrol(const struct work *w, const struct outcome *o)
{
    uint8_t key = memcmp(w->message.u.enrol.public_key, keys[0], 32) == 0 ? 0 : 2;

    if (o->rc != PERCHE_OK || o->message.refused)
        return;
    if (t.enrolled && t.enrolled_key != key)
        BROKEN("an invitation was used twice");
    t.enrolled = true;
    t.enrolled_key = key;
}

static void go_on(uint32_t count)
{
    while (count-- > 0 && node->lane_count > 0) {
        struct work w = node->lane[0];
        struct sync_event ev = {.kind = SYNC_EV_OUTCOME};
        struct outcome o = {0};

        memmove(node->lane, node->lane + 1, --node->lane_count * sizeof w);
        if (t.hold && in_rarely(&t.in, 8)) { /* it fails, for a reason that is not the peer's */
            static const enum perche_rc rcs[] = {PERCHE_BUSY, PERCHE_DISK, PERCHE_FULL, PERCHE_NOMEM, PERCHE_CORRUPT, PERCHE_INTERNAL};

            o.kind = w.kind;
            o.rc = perche_err_set(&o.err, rcs[in_below(&t.in, 6)], "as it may happen");
        } else {
            o = node_work(node, &w);
            if (o.rc == PERCHE_INTERNAL || o.rc == PERCHE_CORRUPT || o.rc == PERCHE_DISK || o.rc == PERCHE_NOMEM)
                BROKEN("%s: %s: %s", work_name(w.kind), perche_rc_name(o.rc), o.err.text);
            if (w.kind == WORK_ENROL)
                look_at_enrol(&w, &o);
        }
        o.tag = w.tag;
        ev.outcome = &o;
        step(&ev);
        outcome_free(&o);
        work_free(&w);
    }
}

static void do_actions(struct sync_actions *actions)
{
    for (uint32_t i = 0; i < actions->count; i++) {
        struct sync_action *a = &actions->items[i];
        struct pipe *pipe;

        switch (a->kind) {
        case SYNC_SEND: look_at_reply(a); break;
        case SYNC_WORK:
            look_at_work(&a->work);
            if (node->lane_count == LANE_MAX)
                BROKEN("P10: %u works under way for one peer", LANE_MAX);
            node->lane[node->lane_count++] = a->work;
            memset(&a->work, 0, sizeof a->work);
            break;
        case SYNC_DISCONNECT:
            pipe = pipe_of(a->pipe);
            if (pipe != NULL)
                memset(pipe, 0, sizeof *pipe);
            break;
        default: break;
        }
    }
}

static void step(struct sync_event *ev)
{
    struct sync_actions actions = {0};

    ev->now_ms = node->now_ms;
    ev->mono_ms = node->mono_ms;
    sync_hub_step(t.hub, ev, &actions);
    if (actions.nomem)
        BROKEN("an action is missing");
    do_actions(&actions);
    sync_actions_free(&actions);
}

static void start(void)
{
    struct sync_hub_config config = {.hub = hub_id, .epoch = 5, .sessions_max = 2, .ops = {node, node_random, NULL, node_verify}};
    struct sync_event ev = {.kind = SYNC_EV_START};

    t.hub = sync_hub_new(&config);
    memset(t.pipes, 0, sizeof t.pipes);
    step(&ev);
}

static struct pipe *some_pipe(void)
{
    struct pipe *p = &t.pipes[in_below(&t.in, PIPES)];

    if (p->id == 0)
        p->id = ++t.pipes_opened;
    return p;
}

static void say(struct pipe *p, struct perche_message *m)
{
    struct sync_event ev = {.kind = SYNC_EV_REQUEST, .pipe = p->id, .request = ++t.requests, .address = "peer"};
    struct perche_message decoded;

    if (word_line(m, &t.in, &decoded, &ev.bytes))
        ev.message = &decoded;
    else
        ev.kind = SYNC_EV_BAD;
    step(&ev);
    sync_message_drop(&decoded);
}

/* ---- what the peer says ------------------------------------------------------------------ */

/* False: it has a number that cannot be said. */
static bool sign(struct perche_prove *prove, const struct pipe *p, const uint8_t key[32])
{
    struct perche_buf buf = {0};
    bool said = perche_prove_signed(prove, p->challenge, hub_id, &buf) == PERCHE_OK;

    if (said)
        mix(key, buf.p, buf.n, prove->signature);
    perche_buf_free(&buf);
    return said;
}

static uint64_t mark(uint64_t lsn)
{
    return lsn == 0 ? 0 : lsn * 7 + 1; /* 0 has none */
}

static void say_prove(struct pipe *p, struct perche_message *m, bool right)
{
    struct perche_prove *prove = &m->u.prove;
    uint32_t who = right ? 0 : (uint32_t[]){0, 0, 0, 1, 4}[in_below(&t.in, 5)];
    bool said;

    m->op = PERCHE_OP_PROVE;
    *prove = (struct perche_prove){.site = site[who], .epoch = t.epoch, .lsn = t.have, .full = t.full, .scan = t.scan,
                                   .done = t.full, .asof = t.asof, .acked = t.have, .epoch_acked = t.have,
                                   .marks = {{t.have, mark(t.have)}}, .marks_count = 1};
    if (who == 4)
        prove->epoch = 99;
    if (!right && in_bit(&t.in)) {
        if (in_below(&t.in, 4) == 0) {
            prove->prev_epoch = t.epoch;
            prove->epoch = ++t.epoch;
        }
        prove->epoch = in_number(&t.in, prove->epoch);
        prove->lsn = in_number(&t.in, prove->lsn);
        prove->full = in_number(&t.in, prove->full);
        prove->scan = in_number(&t.in, prove->scan);
        prove->done = in_number(&t.in, prove->done);
        prove->asof.lsn = in_number(&t.in, prove->asof.lsn);
        prove->asof.mark = in_number(&t.in, prove->asof.mark);
        prove->acked = in_number(&t.in, prove->acked);
        prove->epoch_acked = in_number(&t.in, prove->epoch_acked);
        prove->relays = in_below(&t.in, 4) == 0;
        prove->schema = in_number(&t.in, 1000);
        prove->list_count = in_below(&t.in, 3);
        for (uint32_t i = 0; i < prove->list_count; i++)
            prove->list[i] = (struct perche_pull_entry){in_number(&t.in, t.full), in_number(&t.in, t.scan), t.asof,
                                                        in_number(&t.in, 1), in_number(&t.in, t.have)};
    }
    said = sign(prove, p, right || who == 0 || who == 4 ? keys[0] : keys[2]); /* not B's key: that it does not have */
    if (!right && in_below(&t.in, 8) == 0)
        prove->signature[in_below(&t.in, 64)] ^= 1;
    else if (said && p->challenged && (who == 0 || who == 4)) /* E may be enrolled before this is judged */
        t.signed_as |= 1u << who;
}

static void handshake(struct pipe *p)
{
    struct perche_message m = {.op = PERCHE_OP_HELLO};

    m.u.hello = (struct perche_hello){site[0], 1, 1, node->now_ms};
    say(p, &m);
    go_on(UINT32_MAX);
    if (p->id == 0)
        return;
    memset(&m, 0, sizeof m);
    say_prove(p, &m, true);
    say(p, &m);
    go_on(UINT32_MAX);
}

static void remember_push(uint64_t request)
{
    uint32_t at = t.pushes_next++ % 16;

    t.pushes[at].request = request;
    t.pushes[at].count = 0;
    for (uint32_t p = 0; p < batch->parts_count; p++)
        for (uint32_t i = 0; i < batch->parts[p].rows_count && t.pushes[at].count < 8; i++) {
            const struct perche_row *row = &batch->parts[p].rows[i];

            if (row->key.n != 16 || strcmp(batch->parts[p].table, "learner") != 0)
                continue;
            (void)snprintf(t.pushes[at].table[t.pushes[at].count], 24, "%s", batch->parts[p].table);
            memcpy(t.pushes[at].key[t.pushes[at].count++], row->key.p, 16);
        }
}

static void say_something(struct pipe *p)
{
    static const uint8_t ops[] = {1, 2, 3, 3, 3, 4, 4, 5, 6, 6, 7, 8, 3, 4, 6, 9};
    static struct perche_want wants[8];
    static struct perche_sum sums[16];
    struct perche_message m = {.op = ops[in_below(&t.in, 16)]};
    struct perche_buf body = {0};
    uint64_t session = in_rarely(&t.in, 16) ? in_u64(&t.in) : p->session;
    uint32_t count = in_below(&t.in, 4) == 0 ? in_below(&t.in, 8) : 0;

    for (uint32_t i = 0; i < count; i++)
        wants[i] = (struct perche_want){the_tables[in_below(&t.in, 16)], word_key(&t.in, &t.words)};
    switch (m.op) {
    case PERCHE_OP_HELLO:
        m.u.hello = (struct perche_hello){site_names[in_below(&t.in, 6)], in_below(&t.in, 3), in_below(&t.in, 3),
                                          in_number(&t.in, node->now_ms)};
        break;
    case PERCHE_OP_PROVE: say_prove(p, &m, false); break;
    case PERCHE_OP_PUSH:
        if (in_below(&t.in, 8) != 0)
            word_batch(&t.in, &t.words, site_names, 6, 0, node->now_ms, batch, &body);
        m.u.push.session = session;
        m.u.push.from = in_number(&t.in, t.have);
        m.u.push.to = in_number(&t.in, m.u.push.from + 1);
        m.u.push.asof.lsn = in_number(&t.in, m.u.push.to);
        m.u.push.asof.mark = mark(m.u.push.asof.lsn);
        m.u.push.full = in_number(&t.in, t.full);
        m.u.push.scan = in_number(&t.in, t.scan);
        m.u.push.done = in_number(&t.in, t.full);
        m.u.push.pending = in_number(&t.in, 1);
        m.u.push.batch = (struct perche_bytes){body.p, (uint32_t)body.n};
        /* Of two that say one position the hub takes the first, and says to both that it has it. */
        if (body.n > 0 && m.u.push.from == t.have && node->lane_count == 0 && t.signed_as == 1)
            remember_push(t.requests + 1);
        break;
    case PERCHE_OP_PULL:
        m.u.pull = (struct perche_pull){.session = session, .wants = wants, .wants_count = count};
        m.u.pull.full = in_number(&t.in, t.full);
        m.u.pull.scan = in_number(&t.in, t.scan);
        m.u.pull.done = in_number(&t.in, t.full);
        m.u.pull.bytes_max = (uint32_t)in_number(&t.in, 65536);
        m.u.pull.compare = in_below(&t.in, 2) != 0;
        m.u.pull.proven_ms = in_number(&t.in, t.full);
        break;
    case PERCHE_OP_ROWS: m.u.rows = (struct perche_rows){session, wants, count}; break;
    case PERCHE_OP_DIGEST:
        m.u.digest = (struct perche_digest){.session = session, .scan = in_number(&t.in, t.scan), .acked = in_number(&t.in, t.have),
                                            .done = in_number(&t.in, t.full), .level = (uint32_t)in_number(&t.in, in_below(&t.in, 4)), .finer = in_below(&t.in, PERCHE_FINER_MAX + 1),
                                            .sums = sums};
        m.u.digest.sums_count = in_below(&t.in, 16);
        for (uint32_t i = 0; i < m.u.digest.sums_count; i++) {
            sums[i] = (struct perche_sum){.scope = word_text(&t.in, &t.words, site_names, 6), .table = the_tables[in_below(&t.in, 16)],
                                          .bucket = in_byte(&t.in) * (in_bit(&t.in) ? 1 : 257), .rows = in_byte(&t.in)};
            if (in_below(&t.in, 4) == 0)
                sums[i].scope = sums[i].table = "";
            in_bytes(&t.in, sums[i].sum, 2);
            if (m.u.digest.level == PERCHE_LEVEL_ROWS && in_bit(&t.in))
                sums[i].key = word_key(&t.in, &t.words);
        }
        break;
    case PERCHE_OP_WATCH:
        m.u.watch = (struct perche_watch){session, in_number(&t.in, t.full), in_number(&t.in, t.scan), in_number(&t.in, t.full)};
        break;
    case PERCHE_OP_LEAVE:
        m.u.leave = (struct perche_leave){session, in_number(&t.in, t.have), in_number(&t.in, t.full), in_number(&t.in, t.scan), in_number(&t.in, t.full)};
        break;
    default:
        m.op = PERCHE_OP_ENROL;
        memcpy(m.u.enrol.invitation, invitation, 16);
        memcpy(m.u.enrol.secret, secret, 32);
        memcpy(m.u.enrol.public_key, keys[in_below(&t.in, 3) == 0 ? 2 : 0], 32);
        m.u.enrol.name = "peer";
        if (in_below(&t.in, 4) == 0)
            m.u.enrol.secret[0] ^= 1;
        if (in_below(&t.in, 4) == 0)
            m.u.enrol.invitation[0] ^= 1;
    }
    if (in_rarely(&t.in, 32))
        m = sample_message(m.op, MESSAGE_REPLY + (int)in_below(&t.in, 2)); /* an answer, unasked */
    say(p, &m);
    perche_buf_free(&body);
}

static void say_bytes(struct pipe *p)
{
    struct sync_event ev = {.kind = SYNC_EV_REQUEST, .pipe = p->id, .request = ++t.requests};
    struct perche_message m = {0};
    uint32_t n = in_byte(&t.in);

    if (n > (size_t)(t.in.end - t.in.p))
        n = (uint32_t)(t.in.end - t.in.p);
    if (perche_message_decode((struct perche_bytes){t.in.p, n}, &m, NULL) == PERCHE_OK)
        ev.message = &m;
    else
        ev.kind = SYNC_EV_BAD;
    t.in.p += n;
    ev.bytes = in_below(&t.in, 8) == 0 ? in_number(&t.in, 5000) : n;
    step(&ev);
    sync_message_drop(&m);
}

static void program(void)
{
    static const char *const writes[] = {
        "UPDATE organisation SET name = 'x' || abs(random() % 1000)",
        "INSERT INTO organisation (name) VALUES ('new')",
        "UPDATE learner SET call_name = 'changed' WHERE call_name NOT LIKE 'SECRET%'",
        "DELETE FROM learner WHERE id LIKE '%02'",
        "UPDATE learner SET use_family_name = 'SECRET name' WHERE call_name LIKE 'SECRET%'",
        "DELETE FROM learner_contact WHERE value NOT LIKE 'SECRET%'",
    };
    struct sync_event ev = {.kind = SYNC_EV_CHANGED};

    (void)node_sql(node, writes[in_below(&t.in, 6)]);
    step(&ev);
}

static void revoke(void)
{
    struct sync_event ev = {.kind = SYNC_EV_REVOKED, .site = site[0]};
    struct work w = {.kind = WORK_COMMAND, .name = "revoke"};
    struct outcome o;
    char args[80];

    (void)snprintf(args, sizeof args, "{\"site\":\"%s\"}", site[0]);
    w.args = strdup(args);
    o = node_work(node, &w);
    outcome_free(&o);
    work_free(&w);
    step(&ev);
    t.signed_as &= ~1u; /* from here on it gets nothing */
}

static void take_command(void)
{
    struct sync_event ev = {0};
    struct pipe *p;

    switch (in_below(&t.in, 20)) {
    case 0: handshake(some_pipe()); break;
    case 1: say_bytes(some_pipe()); break;
    case 2:
        ev.kind = SYNC_EV_TIME;
        node->mono_ms += (uint64_t[]){0, 1, 100, 1000, 5000, 60000, 3600000}[in_below(&t.in, 7)];
        node->now_ms += in_below(&t.in, 8) == 0 ? in_number(&t.in, 0) % 100000000 : 1000;
        step(&ev);
        break;
    case 3:
        p = some_pipe();
        ev.kind = SYNC_EV_PIPE_GONE;
        ev.pipe = p->id;
        memset(p, 0, sizeof *p);
        step(&ev);
        break;
    case 4: go_on(1 + in_below(&t.in, 4)); break;
    case 5: program(); break;
    case 6:
        if (!(t.how & HOW_RESTARTS) || t.restarts++ >= RESTARTS_MAX)
            break;
        sync_hub_free(t.hub);
        node_end(node, in_bit(&t.in));
        node_open(node);
        still_there();
        start();
        break;
    case 7:
        if (in_below(&t.in, 8) == 0) {
            revoke();
        } else {
            ev.kind = SYNC_EV_SCHEMA;
            step(&ev);
        }
        break;
    default: say_something(some_pipe());
    }
    if (!t.hold)
        go_on(UINT32_MAX);
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
    t.epoch = EPOCH_A;
    before = __sanitizer_get_current_allocated_bytes();
    t.how = in_byte(&t.in);
    t.hold = t.how & HOW_HOLDS;
    start();
    if (t.how & HOW_SHAKEN)
        handshake(some_pipe());
    for (uint32_t i = 0; i < STEPS_MAX && rest.p < rest.end; i++) {
        t.in = record_next(&rest);
        take_command();
        if (__sanitizer_get_current_allocated_bytes() > before + BYTES_MAX)
            BROKEN("P10: the hub has taken %zu MiB", (__sanitizer_get_current_allocated_bytes() - before) >> 20);
    }
    t.hold = false;
    t.in = rest; /* empty, or too long */
    go_on(UINT32_MAX);
    sync_hub_free(t.hub);
    still_there();
    node_check(node);
    node_gone(node, data, size);
    return 0;
}
