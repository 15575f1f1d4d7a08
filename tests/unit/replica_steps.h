/* The conversation one message at a time: each may be kept, repeated, altered or lost. */
#ifndef TESTS_REPLICA_STEPS_H
#define TESTS_REPLICA_STEPS_H

#include "replica_pair.h"

#define HUB_ID(p) replica_site_id((p)->hub->r)
#define SITE_ID(p, i) replica_site_id((p)->sites[i]->r)
#define SECOND(ms) ((uint64_t)(ms) * 1000)

/* A program's statement, harvested, one second later; printf manner. */
__attribute__((format(printf, 3, 4))) static inline void edit(struct pair *p, struct fixture *f, const char *fmt, ...)
{
    va_list args;
    char *sql;

    va_start(args, fmt);
    sql = sqlite3_vmprintf(fmt, args);
    va_end(args);
    pair_edit(p, f, 1000, sql);
    sqlite3_free(sql);
}

/* Not harvested. */
__attribute__((format(printf, 2, 3))) static inline void written(struct fixture *f, const char *fmt, ...)
{
    va_list args;
    char *sql;

    va_start(args, fmt);
    sql = sqlite3_vmprintf(fmt, args);
    va_end(args);
    program(f, sql);
    sqlite3_free(sql);
}

/* The other way round: what @sql says, with the words in @fmt. */
__attribute__((format(printf, 3, 4))) static inline void says(struct fixture *f, const char *expected, const char *fmt, ...)
{
    va_list args;
    char *sql;

    va_start(args, fmt);
    sql = sqlite3_vmprintf(fmt, args);
    va_end(args);
    if (strcmp(asked(f->program, sql), expected) != 0)
        print_error("in: %s\n", sql);
    assert_string_equal(asked(f->program, sql), expected);
    sqlite3_free(sql);
}

static inline struct perche_message message_copy(const struct perche_message *m)
{
    struct perche_buf buf = {0};
    struct perche_message out = {0};

    assert_int_equal(perche_message_encode(m, &buf, NULL), PERCHE_OK);
    assert_int_equal(perche_message_decode((struct perche_bytes){buf.p, (uint32_t)buf.n}, &out, NULL), PERCHE_OK);
    perche_buf_free(&buf);
    return out;
}

static inline struct state state_of(struct pair *p, struct fixture *f)
{
    struct outcome o = pair_do(p, f, pair_work(WORK_HARVEST, NULL));
    struct state s = o.state;

    outcome_free(&o);
    return s;
}

/* ---- push ---- */

struct parcel {
    struct perche_message message;
    uint64_t from, to, asof, rows;
    bool more, pipelined;
};

static inline struct parcel push_made(struct pair *p, struct fixture *site, uint64_t from, uint32_t rows_max)
{
    struct work w = pair_work(WORK_PUSH_BUILD, NULL);
    struct parcel b = {.from = from};
    struct outcome o;

    w.from = from;
    w.rows_max = rows_max;
    w.bytes_max = 1 << 20;
    o = pair_read(p, site, w);
    b.rows = o.rows;
    b.more = o.more;
    b.pipelined = o.pipelined;
    b.message = pair_line(&o);
    b.to = b.message.u.push.to;
    b.asof = b.message.u.push.asof.lsn;
    assert_true(b.message.u.push.from == from);
    return b;
}

/* Everything that waits, in one batch. */
static inline struct parcel push_all(struct pair *p, struct fixture *site)
{
    struct state s = state_of(p, site);

    return push_made(p, site, s.acked, 10000);
}

/* The hub takes a copy of it; the reply. */
static inline struct perche_message push_taken(struct pair *p, struct fixture *site, const struct parcel *b)
{
    struct work w = pair_work(WORK_PUSH_APPLY, site);
    struct outcome o;

    w.message = message_copy(&b->message);
    o = pair_do(p, p->hub, w);
    return pair_line(&o);
}

/* The site hears the reply, which is freed. */
static inline void push_told(struct pair *p, struct fixture *site, const struct parcel *b, struct perche_message reply)
{
    struct work w = pair_work(WORK_PUSH_ACKED, NULL);
    struct outcome o;

    assert_false(reply.refused);
    w.from = b->from;
    w.to = b->to;
    w.asof_lsn = b->asof;
    w.message = reply;
    o = pair_do(p, site, w);
    outcome_free(&o);
}

static inline void parcel_end(struct parcel *b)
{
    perche_message_free(&b->message);
}

/* What the hub says to it: NONE = taken. */
static inline enum perche_refusal push_refused(struct pair *p, struct fixture *site, const struct parcel *b)
{
    struct perche_message reply = push_taken(p, site, b);
    enum perche_refusal why = reply.refused ? reply.u.no.why : PERCHE_NO_NONE;

    perche_message_free(&reply);
    return why;
}

/* Sent and taken; the reply is lost. */
static inline void push_unheard(struct pair *p, struct fixture *site)
{
    struct parcel b = push_all(p, site);

    assert_int_equal(push_refused(p, site, &b), PERCHE_NO_NONE);
    parcel_end(&b);
}

/* ---- pull ---- */

static inline struct perche_message pull_asked(struct pair *p, struct fixture *site)
{
    struct outcome o = pair_read(p, site, pair_work(WORK_PULL_BUILD, NULL));

    return pair_line(&o);
}

/* The hub's answer; the question is freed. */
static inline struct perche_message pull_answered(struct pair *p, struct fixture *site, struct perche_message question, uint32_t bytes)
{
    struct work w = pair_work(WORK_PULL_ANSWER, site);
    struct outcome o;

    w.message = question;
    w.bytes_max = bytes;
    o = pair_read(p, p->hub, w);
    return pair_line(&o);
}

static inline struct outcome pull_heard(struct pair *p, struct fixture *site, struct perche_message answer)
{
    struct work w = pair_work(WORK_PULL_APPLY, NULL);

    w.message = answer;
    return pair_do(p, site, w);
}

static inline struct perche_message pull_made(struct pair *p, struct fixture *site, uint32_t bytes)
{
    harvest_here(p, p->hub);
    return pull_answered(p, site, pull_asked(p, site), bytes);
}

/* One answer of about @bytes; is there more? */
static inline bool pull_once(struct pair *p, struct fixture *site, uint32_t bytes)
{
    struct outcome o = pull_heard(p, site, pull_made(p, site, bytes));
    bool more = o.more;

    outcome_free(&o);
    return more;
}

/* Rows asked for by the last pull, to the end; how many questions that took. */
static inline uint32_t rows_fetched(struct pair *p, struct fixture *site, struct perche_message question, uint32_t most)
{
    uint32_t n = 0;

    while (question.op == PERCHE_OP_ROWS && n < most) {
        struct work w = pair_work(WORK_ROWS_ANSWER, site), apply = pair_work(WORK_ROWS_APPLY, NULL);
        struct outcome o;

        n++;
        w.message = question;
        o = pair_read(p, p->hub, w);
        apply.message = pair_line(&o);
        o = pair_do(p, site, apply);
        if (o.message.op == PERCHE_OP_ROWS) {
            question = pair_line(&o);
        } else {
            memset(&question, 0, sizeof question);
            outcome_free(&o);
        }
    }
    perche_message_free(&question);
    return n;
}

/* ---- batches by hand ---- */

static inline struct perche_batch *batch_of(struct perche_bytes body)
{
    struct perche_batch *b = perche_batch_new();

    assert_non_null(b);
    if (body.n > 0)
        assert_int_equal(perche_batch_decode(body, b, NULL), PERCHE_OK);
    return b;
}

/* The batch's bytes in the message's memory; @b is freed. */
static inline struct perche_bytes batch_bytes(struct perche_message *m, struct perche_batch *b)
{
    struct perche_buf buf = {0};
    struct perche_err err = {0};
    struct perche_bytes out;
    uint8_t *copy;

    if (perche_batch_encode(b, 1, &buf, &err) != PERCHE_OK)
        fixture_fail("perche_batch_encode", err.text, "");
    copy = perche_message_alloc(m, buf.n + 1);
    assert_non_null(copy);
    memcpy(copy, buf.p, buf.n);
    out = (struct perche_bytes){copy, (uint32_t)buf.n};
    perche_batch_free(b);
    perche_buf_free(&buf);
    return out;
}

static inline struct perche_part *part_named(struct perche_batch *b, const char *table)
{
    for (uint32_t i = 0; i < b->parts_count; i++)
        if (strcmp(b->parts[i].table, table) == 0)
            return &b->parts[i];
    return NULL;
}

/* Rows of one table in the message's batch, or in all of them with NULL. */
static inline uint32_t rows_in(struct perche_bytes body, const char *table)
{
    struct perche_batch *b = batch_of(body);
    struct perche_part *part = table == NULL ? NULL : part_named(b, table);
    uint32_t n = table == NULL ? perche_batch_rows(b) : part == NULL ? 0 : part->rows_count;

    perche_batch_free(b);
    return n;
}

static inline uint32_t cells_in(struct perche_bytes body, const char *table)
{
    struct perche_batch *b = batch_of(body);
    struct perche_part *part = part_named(b, table);
    uint32_t n = part == NULL ? 0 : part->cells_count;

    perche_batch_free(b);
    return n;
}

static inline struct perche_value text_of(const char *text)
{
    return (struct perche_value){.type = PERCHE_TEXT, .n = (uint32_t)strlen(text), .p = (const uint8_t *)text};
}

static inline struct perche_value number_of(int64_t i)
{
    return (struct perche_value){.type = PERCHE_INTEGER, .i = i};
}

struct hand { /* a row made by hand */
    const char *table, *uuid;
    uint32_t gen, flags;
    uint64_t stamp;
    const char *origin, *scope;
    struct { const char *column; struct perche_value value; } cells[8];
};

/* Adds the row to the batch; its columns are declared as given. */
static inline void hand_in(struct perche_batch *b, const struct hand *h)
{
    const char *columns[8];
    uint8_t key[16];
    uint32_t n = 0, part, origin = perche_batch_name(b, h->origin), scope = h->scope != NULL ? perche_batch_name(b, h->scope) : PERCHE_NO_SCOPE;
    struct perche_row *row;

    while (n < 8 && h->cells[n].column != NULL) {
        columns[n] = h->cells[n].column;
        n++;
    }
    part = perche_batch_part(b, h->table, columns, n);
    assert_true(perche_uuid_parse((const uint8_t *)h->uuid, 36, key));
    row = perche_batch_row(b, part, (struct perche_bytes){key, 16});
    assert_non_null(row);
    row->gen = h->gen;
    row->flags = (uint16_t)h->flags;
    row->scope = scope;
    row->gen_stamp = h->flags & PERCHE_ROW_GEN ? h->stamp : 0;
    row->gen_origin = h->flags & PERCHE_ROW_GEN ? origin : 0;
    for (uint32_t i = 0; i < n; i++) {
        struct perche_cell *c = perche_batch_cell(b, part, (uint16_t)i, &h->cells[i].value);

        assert_non_null(c);
        c->stamp = h->stamp;
        c->origin = origin;
    }
}

/* Pulls an answer whose rows are @b (which is freed) instead of the hub's. */
static inline struct outcome pull_by_hand(struct pair *p, struct fixture *site, struct perche_batch *b)
{
    struct perche_message answer = pull_made(p, site, 1 << 20);

    answer.u.pull_reply.batch = batch_bytes(&answer, b);
    return pull_heard(p, site, answer);
}

/* Pushes @b (freed) as what the site sends next; the reply's refusal. */
static inline enum perche_refusal push_by_hand(struct pair *p, struct fixture *site, struct perche_batch *b)
{
    struct parcel parcel = push_all(p, site);
    enum perche_refusal why;

    parcel.message.u.push.batch = batch_bytes(&parcel.message, b);
    why = push_refused(p, site, &parcel);
    parcel_end(&parcel);
    return why;
}

/* Shakes hands with a clock that is @offset_ms behind the hub's (the site's works ran at now - offset). */
static inline void prove_offset(struct pair *p, struct fixture *site, int64_t offset_ms)
{
    struct outcome o = pair_do(p, site, pair_work(WORK_PROVE_BUILD, NULL));
    struct work w = pair_work(WORK_PROVE_JUDGE, site);

    w.message = pair_line(&o);
    w.session = ++p->drawn;
    o = pair_do(p, p->hub, w);
    w = pair_work(WORK_PROVED, NULL);
    w.message = pair_line(&o);
    w.offset_ms = offset_ms;
    p->now -= (uint64_t)offset_ms;
    o = pair_do(p, site, w);
    p->now += (uint64_t)offset_ms;
    outcome_free(&o);
}

/* A program at a machine whose clock is wrong by -@offset_ms writes, and it is harvested there. */
static inline void edit_offset(struct pair *p, struct fixture *f, int64_t offset_ms, const char *sql)
{
    p->now -= (uint64_t)offset_ms;
    pair_edit(p, f, 1000, sql);
    p->now += (uint64_t)offset_ms;
}

/* ---- the end of each story ---- */

/* Nothing is under way and both hold the same. */
static inline void equal(struct pair *p, struct fixture *site)
{
    uint32_t level;
    uint64_t repaired;
    int answer;

    pair_sync(p, site);
    answer = pair_compare(p, site, &level, &repaired);
    if (answer != PERCHE_EQUAL)
        print_error("compare: %d at level %u, %llu repaired\n", answer, level, (unsigned long long)repaired);
    assert_int_equal(answer, PERCHE_EQUAL);
}

/* What a row's metadata says, without SQL. @column NULL: the generation. */
static inline struct clock_cell cell_at(struct fixture *f, const char *table, const char *uuid, const char *column)
{
    struct clock_cell c = {0};
    struct meta m;
    uint8_t key[16];

    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_true(perche_uuid_parse((const uint8_t *)uuid, 36, key));
    assert_int_equal(meta_load(f->r, registry_table(f->r, table), (struct perche_bytes){key, 16}, &m), PERCHE_OK);
    if (m.stored)
        c = m.cells[column == NULL ? 0 : table_column(m.table, column)->num];
    meta_clear(&m);
    tx_rollback(f->r);
    return c;
}

struct header { bool stored; uint64_t lsn, entered, first, full, scan; uint32_t gen, flags; char scope[200]; };

static inline struct header header_at(struct fixture *f, const char *table, const char *uuid)
{
    struct header h = {0};
    struct meta m;
    uint8_t key[16];

    assert_int_equal(tx_begin(f->r, true), PERCHE_OK);
    assert_true(perche_uuid_parse((const uint8_t *)uuid, 36, key));
    assert_int_equal(meta_load(f->r, registry_table(f->r, table), (struct perche_bytes){key, 16}, &m), PERCHE_OK);
    h = (struct header){.stored = m.stored, .lsn = m.lsn, .entered = m.entered, .first = m.first, .gen = m.gen, .flags = m.flags, .full = m.full, .scan = m.scan};
    if (m.scope != 0)
        snprintf(h.scope, sizeof h.scope, "%s", name_text(f->r, m.scope));
    meta_clear(&m);
    tx_rollback(f->r);
    return h;
}

/* Text of the scope that holds these sites of the pair (bits). */
static inline const char *scope_text(struct pair *p, unsigned sites)
{
    static char text[200];
    const char *a = SITE_ID(p, 0), *b = SITE_ID(p, 1);

    if (sites == 3)
        snprintf(text, sizeof text, "%s,%s", strcmp(a, b) < 0 ? a : b, strcmp(a, b) < 0 ? b : a);
    else
        snprintf(text, sizeof text, "%s", sites == 1 ? a : sites == 2 ? b : "");
    return text;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

/* ---- rows of the school ---- */

#define ID(n) "0198f3a0-0000-7000-8000-00000000000" #n

static inline void learner(struct pair *p, struct fixture *at, const char *id, const char *home)
{
    edit(p, at, "INSERT INTO learner (id, home_site_id, birth_family_name, call_name) VALUES ('%s', '%s', 'Martin', 'Camille')", id, home);
}

static inline void cohort(struct pair *p, struct fixture *at, const char *id, const char *site)
{
    edit(p, at, "INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
                " VALUES ('%s', '%s', 't', 'P1', '2026-01-05', '2026-06-30', 12, 'SITE', 'PLANNED')", id, site);
}

static inline void enrolment(struct pair *p, struct fixture *at, const char *id, const char *learner_id, const char *cohort_id, const char *site)
{
    edit(p, at, "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)"
                " VALUES ('%s', '%s', '%s', '%s', '2026-01-05', '2026-06-30')", id, learner_id, cohort_id, site);
}

static inline void contact(struct pair *p, struct fixture *at, const char *id, const char *learner_id, const char *value)
{
    edit(p, at, "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('%s', '%s', 'MAIL', '%s')", id, learner_id, value);
}

#endif
