/* Each work of a replica when memory ends at any moment of it, in SQLite too. Either it is as if nothing had happened:
 * NOMEM, nothing is committed, no lock is held, and the same work again is carried out; or SQLite could do without that
 * block, and what came out is right. Nothing in between, and no block is left at the end. */
#include "heap.h"

#include "unit/replica_steps.h"

#define LEARNER ID(1)
#define wrong(...) do { print_error("ERROR: " __VA_ARGS__); print_error("\n"); _fail(__FILE__, __LINE__); } while (0)

static unsigned turn; /* counts what is made up */

/* ---- one work, at every allocation ----------------------------------------- */

struct story {
    const char *what;
    struct fixture *f;
    bool reads;
    void (*prepare)(struct pair *p);             /* something to do; not for reads */
    struct work (*make)(struct pair *p);         /* the same each time */
    void (*check)(struct pair *p, struct outcome *o); /* it was done, and is right */
};

/* What is committed, as another program reads it. Not PRAGMA data_version: that moves as well when the WAL begins anew. */
static uint64_t committed(struct fixture *f)
{
    const char *text = asked(f->program,
                             "SELECT ifnull((SELECT group_concat(n) FROM perche_capture), '') || ' ' ||"
                             " (SELECT lsn || ' ' || mark || ' ' || stamp || ' ' || acked || ' ' || full || ' ' || scan || ' ' || done || ' ' || proven_ms FROM perche_node) || ' ' ||"
                             " (SELECT count(*) || ' ' || total(lsn) FROM perche_row) || ' ' || (SELECT count(*) FROM perche_history) || ' ' ||"
                             " (SELECT count(*) FROM perche_parked) || ' ' || (SELECT count(*) FROM perche_conflict) || ' ' || (SELECT count(*) FROM perche_wanted)");
    uint64_t x = UINT64_C(0xcbf29ce484222325);

    assert_true(*text != '\0');
    for (; *text != '\0'; text++)
        x = (x ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return x;
}

/* @n 0: with all the memory there is. */
static struct outcome perform(struct pair *p, const struct story *s, unsigned long n, bool on, bool *hit)
{
    struct work w = s->make(p);
    struct outcome o;

    w.now_ms = p->now;
    memset(w.random, 7, sizeof w.random);
    if (!s->reads) /* ids are made of it: none twice */
        memcpy(w.random, &(uint32_t){++p->drawn}, 4);
    if (n > 0)
        heap_fail(n, on);
    replica_perform(s->reads ? s->f->reader : s->f->r, &w, &o, 1);
    if (n > 0)
        *hit = heap_off();
    work_free(&w);
    return o;
}

/* What the writer says of the node is what a reader finds there. */
static void state_is_true(struct pair *p, const struct story *s, const struct state *said)
{
    struct outcome o = pair_read(p, s->f, pair_work(WORK_STATE, NULL));

    if (said->lsn != o.state.lsn || said->acked != o.state.acked || said->scan != o.state.scan || said->pending != o.state.pending ||
        said->conflicts_open != o.state.conflicts_open || said->parked != o.state.parked)
        wrong("%s: the state that it told is not the node's: lsn %llu %llu, pending %llu %llu, conflicts %llu %llu, parked %llu %llu", s->what,
                 (unsigned long long)said->lsn, (unsigned long long)o.state.lsn, (unsigned long long)said->pending, (unsigned long long)o.state.pending,
                 (unsigned long long)said->conflicts_open, (unsigned long long)o.state.conflicts_open, (unsigned long long)said->parked,
                 (unsigned long long)o.state.parked);
    outcome_free(&o);
}

/* Each row's digest and their sums are what the tables say: nothing was written beside the transaction. */
static void rows_are_true(struct pair *p, const struct story *s, unsigned long n)
{
    char *json = pair_query(p, s->f, "verify", "{}");

    if (strstr(json, "\"sums_differ\":true") != NULL || strstr(json, "\"differs\":0") == NULL)
        wrong("%s, allocation %lu: verify finds a difference", s->what, n);
    free(json);
}

static void was_as_nothing(const struct story *s, unsigned long n, const struct outcome *o, uint64_t before)
{
    if (o->message.op != 0 || o->json != NULL || o->woken != NULL || o->woken_all || o->rows != 0)
        wrong("%s, allocation %lu: failed, and says something all the same: op %u, rows %llu, json %d, woken %d", s->what, n, o->message.op, (unsigned long long)o->rows,
              o->json != NULL, o->woken != NULL || o->woken_all);
    if (o->err.text[0] == '\0')
        wrong("%s, allocation %lu: does not say why", s->what, n);
    if (committed(s->f) != before)
        wrong("%s, allocation %lu: %s, and yet something was committed: %s", s->what, n, perche_rc_name(o->rc), o->err.text);
    (void)sqlite3_busy_timeout(s->f->program, 0);
    program(s->f, "BEGIN IMMEDIATE; ROLLBACK"); /* the lock is free */
    (void)sqlite3_busy_timeout(s->f->program, 5000);
}

static void done(struct pair *p, const struct story *s, struct outcome *o, const char *when, unsigned long n)
{
    if (o->rc != PERCHE_OK)
        wrong("%s, %s allocation %lu: %s: %s", s->what, when, n, perche_rc_name(o->rc), o->err.text);
    s->check(p, o);
    if (!s->reads)
        state_is_true(p, s, &o->state);
    if (!s->reads && n % 4 == 1)
        rows_are_true(p, s, n);
    outcome_free(o);
}

static void every_allocation_fails(struct pair *p, const struct story *s)
{
    for (int on = 0; on < 2; on++)
        for (unsigned long n = 1;; n = heap_next(n)) {
            uint64_t before;
            struct outcome o;
            bool hit;

            if (s->prepare != NULL)
                s->prepare(p);
            before = committed(s->f);
            o = perform(p, s, n, on, &hit);
            if (o.rc == PERCHE_NOMEM && hit) {
                was_as_nothing(s, n, &o, before);
                outcome_free(&o);
                o = perform(p, s, 0, false, NULL);
                done(p, s, &o, "again after", n);
            } else {
                done(p, s, &o, on ? "from" : "at", n);
            }
            if (!hit) {
                assert_true(n > 1);
                break;
            }
        }
}

/* A message as it came out the first time: it is the same ever after. */
static struct perche_buf first;

static void same_message(struct outcome *o, const char *what)
{
    struct perche_buf buf = {0};

    assert_int_equal(perche_message_encode(&o->message, &buf, NULL), PERCHE_OK);
    if (first.p == NULL) {
        first = buf;
        return;
    }
    if (buf.n != first.n || memcmp(buf.p, first.p, buf.n) != 0)
        wrong("%s, allocation %lu: %zu bytes that are not the %zu that were expected", what, heap.at, buf.n, first.n);
    perche_buf_free(&buf);
}

static void forget_first(void)
{
    perche_buf_free(&first);
}

/* Opens the reader, and keeps what the work says for the others to be compared with. */
static void read_once(struct pair *p, const struct story *s)
{
    struct outcome o = pair_read(p, s->f, pair_work(WORK_STATE, NULL));

    outcome_free(&o);
    o = perform(p, s, 0, false, NULL);
    done(p, s, &o, "without a failed", 0);
}

/* ---- the rows ---------------------------------------------------------------- */

static struct fixture *hub(struct pair *p) { return p->hub; }
static struct fixture *site(struct pair *p) { return p->sites[0]; }

/* A learner of both sites, with a contact; nothing is waited for. Nothing here is about durability. */
static int network(void **state)
{
    struct pair *p;

    if (pair_setup(state) != 0)
        return -1;
    p = *state;
    turn = 0;
    learner(p, hub(p), LEARNER, SITE_ID(p, 0));
    cohort(p, hub(p), ID(2), SITE_ID(p, 1));
    enrolment(p, hub(p), ID(3), LEARNER, ID(2), SITE_ID(p, 1));
    contact(p, hub(p), ID(4), LEARNER, "first@example.org");
    for (int i = 0; i < PAIR_SITES; i++) {
        pair_sync(p, p->sites[i]);
        assert_int_equal(exec(p->sites[i]->r, "PRAGMA synchronous = OFF"), PERCHE_OK);
        program(p->sites[i], "PRAGMA synchronous = OFF");
    }
    assert_int_equal(exec(hub(p)->r, "PRAGMA synchronous = OFF"), PERCHE_OK);
    program(hub(p), "PRAGMA synchronous = OFF");
    return 0;
}

/* An edit, an insert of a text that is on several pages, and a delete, not harvested: three rows. */
static void three_changes(struct fixture *f)
{
    turn++;
    written(f, "BEGIN IMMEDIATE; UPDATE learner SET call_name = 'Camille %u' WHERE id = '%s';"
               "INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('0198f3a0-0000-7000-8001-%012x', '%s', 'MAIL', printf('%%9000d', %u));"
               "DELETE FROM learner_contact WHERE id = '0198f3a0-0000-7000-8001-%012x'; COMMIT",
            turn, LEARNER, turn, LEARNER, turn, turn - 1);
}

static void is_at(struct fixture *f)
{
    char text[40];

    snprintf(text, sizeof text, "Camille %u|1|0", turn);
    says(f, text, "SELECT call_name || '|' || (SELECT count(*) FROM learner_contact WHERE id = '0198f3a0-0000-7000-8001-%012x' AND value = printf('%%9000d', %u)) || '|' ||"
                  " (SELECT count(*) FROM learner_contact WHERE id = '0198f3a0-0000-7000-8001-%012x') FROM learner WHERE id = '%s'",
         turn, turn, turn - 1, LEARNER);
}

static void ends_equal(struct pair *p)
{
    for (int i = 0; i < PAIR_SITES; i++)
        pair_sync(p, p->sites[i]);
    for (int i = 0; i < PAIR_SITES; i++)
        equal(p, p->sites[i]);
    forget_first();
}

/* ---- harvest ------------------------------------------------------------------ */

static void harvest_prepare(struct pair *p)
{
    p->now += 1000;
    three_changes(site(p));
}

static struct work harvest_make(struct pair *p)
{
    (void)p;
    return pair_work(WORK_HARVEST, NULL);
}

static void harvest_check(struct pair *p, struct outcome *o)
{
    assert_int_equal(o->rows, turn == 1 ? 2 : 3);
    assert_false(o->more);
    says(site(p), "0", "SELECT count(*) FROM perche_capture");
    is_at(site(p));
}

static void a_harvest(void **state)
{
    struct pair *p = *state;
    struct story s = {"harvest", site(p), false, harvest_prepare, harvest_make, harvest_check};

    every_allocation_fails(p, &s);
    ends_equal(p);
}

/* ---- push ----------------------------------------------------------------------- */

static uint64_t push_from;

static struct work push_build_make(struct pair *p)
{
    struct work w = pair_work(WORK_PUSH_BUILD, NULL);

    (void)p;
    w.from = push_from;
    w.bytes_max = 1 << 20;
    return w;
}

static void push_build_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_int_equal(o->message.op, PERCHE_OP_PUSH);
    assert_true(o->rows >= 2);
    same_message(o, "push build");
}

static void building_a_push(void **state)
{
    struct pair *p = *state;
    struct story s = {"push build", site(p), true, NULL, push_build_make, push_build_check};
    struct state now;

    three_changes(site(p));
    now = state_of(p, site(p));
    push_from = now.acked;
    read_once(p, &s);
    every_allocation_fails(p, &s);
    ends_equal(p);
}

static struct parcel parcel;
static struct perche_message reply;
static bool conflicting;

/* A batch of the site's, and at the hub, if @conflicting, an edit of the same cells that the site has not seen. */
static void push_apply_prepare(struct pair *p)
{
    if (reply.op != 0) { /* of the turn before */
        push_told(p, site(p), &parcel, reply);
        parcel_end(&parcel);
        memset(&reply, 0, sizeof reply);
        pair_pull(p, site(p));
        pair_pull(p, site(p)); /* the row in the place of what was refused */
    }
    p->now += 1000;
    if (conflicting)
        edit(p, hub(p), "UPDATE learner SET call_name = 'hub %u', given_names = 'hub %u' WHERE id = '%s'", turn, turn, LEARNER);
    p->now += 1000;
    three_changes(site(p));
    if (conflicting)
        written(site(p), "UPDATE learner SET given_names = 'site %u', nir_seen = 1 WHERE id = '%s'", turn, LEARNER); /* the latter is refused */
    harvest_here(p, site(p));
    parcel = push_all(p, site(p));
}

static struct work push_apply_make(struct pair *p)
{
    struct work w = pair_work(WORK_PUSH_APPLY, site(p));

    w.message = message_copy(&parcel.message);
    return w;
}

static void push_apply_check(struct pair *p, struct outcome *o)
{
    assert_int_equal(o->message.op, PERCHE_OP_PUSH);
    assert_false(o->message.refused);
    assert_true(o->message.u.push_reply.have == parcel.to);
    assert_true(o->woken_all || o->woken_count > 0);
    perche_message_free(&reply);
    reply = message_copy(&o->message);
    is_at(hub(p));
    says(hub(p), "0", "SELECT count(*) FROM perche_parked");
    if (conflicting)
        says(hub(p), "1", "SELECT count(*) FROM perche_refusal WHERE columns = 'nir_seen'");
    if (conflicting)
        says(hub(p), "1", "SELECT count(*) > 0 FROM perche_conflict WHERE kind = 'lww' AND (a_value = 'hub %u' OR b_value = 'hub %u')", turn - 1, turn - 1);
}

static void applying_a_push(void **state)
{
    struct pair *p = *state;
    struct story s = {"push apply", hub(p), false, push_apply_prepare, push_apply_make, push_apply_check};

    conflicting = false;
    every_allocation_fails(p, &s);
    push_apply_prepare(p);
    parcel_end(&parcel);
    ends_equal(p);
}

static void applying_a_push_with_conflicts(void **state)
{
    struct pair *p = *state;
    struct story s = {"push apply with conflicts", hub(p), false, push_apply_prepare, push_apply_make, push_apply_check};

    conflicting = true;
    every_allocation_fails(p, &s);
    conflicting = false;
    push_apply_prepare(p);
    parcel_end(&parcel);
    ends_equal(p);
}

static void push_acked_prepare(struct pair *p)
{
    conflicting = false;
    push_apply_prepare(p);
    reply = push_taken(p, site(p), &parcel);
}

static struct work push_acked_make(struct pair *p)
{
    struct work w = pair_work(WORK_PUSH_ACKED, NULL);

    (void)p;
    w.from = parcel.from;
    w.to = parcel.to;
    w.asof_lsn = parcel.asof;
    w.message = message_copy(&reply);
    return w;
}

static void push_acked_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_true(o->state.acked == parcel.to);
    assert_true(o->state.pending == 0);
    parcel_end(&parcel);
    perche_message_free(&reply);
}

static void an_acknowledgement(void **state)
{
    struct pair *p = *state;
    struct story s = {"push acked", site(p), false, push_acked_prepare, push_acked_make, push_acked_check};

    every_allocation_fails(p, &s);
    ends_equal(p);
}

/* ---- pull -------------------------------------------------------------------------- */

static struct work pull_build_make(struct pair *p)
{
    (void)p;
    return pair_work(WORK_PULL_BUILD, NULL);
}

static void pull_build_check(struct pair *p, struct outcome *o)
{
    (void)p;
    same_message(o, "pull build");
}

static struct perche_message question;

static struct work pull_answer_make(struct pair *p)
{
    struct work w = pair_work(WORK_PULL_ANSWER, site(p));

    w.message = message_copy(&question);
    w.bytes_max = 1 << 20;
    return w;
}

static void pull_answer_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_false(o->message.refused);
    assert_true(o->message.u.pull_reply.batch.n > 0);
    same_message(o, "pull answer");
}

static void asking_and_answering_a_pull(void **state)
{
    struct pair *p = *state;
    struct story build = {"pull build", site(p), true, NULL, pull_build_make, pull_build_check},
                 answers = {"pull answer", hub(p), true, NULL, pull_answer_make, pull_answer_check};

    three_changes(hub(p));
    harvest_here(p, hub(p));
    read_once(p, &build);
    every_allocation_fails(p, &build);
    forget_first();
    question = pull_asked(p, site(p));
    read_once(p, &answers);
    every_allocation_fails(p, &answers);
    perche_message_free(&question);
    ends_equal(p);
}

static struct perche_message answer;
static bool answered;

static void pull_apply_prepare(struct pair *p)
{
    if (answered)
        perche_message_free(&answer);
    p->now += 1000;
    three_changes(hub(p));
    p->now += 1000;
    written(site(p), "UPDATE learner_contact SET value = 'here%u@example.org' WHERE id = '%s'", turn, ID(4)); /* harvested along */
    answer = pull_made(p, site(p), 1 << 20);
    answered = true;
}

static struct work pull_apply_make(struct pair *p)
{
    struct work w = pair_work(WORK_PULL_APPLY, NULL);

    (void)p;
    w.message = message_copy(&answer);
    return w;
}

static void pull_apply_check(struct pair *p, struct outcome *o)
{
    assert_false(o->more);
    assert_true(o->state.scan == answer.u.pull_reply.scan);
    is_at(site(p));
    says(site(p), "0", "SELECT count(*) FROM perche_parked");
    says(site(p), "0", "SELECT count(*) FROM perche_capture");
}

static void applying_a_pull(void **state)
{
    struct pair *p = *state;
    struct story s = {"pull apply", site(p), false, pull_apply_prepare, pull_apply_make, pull_apply_check};

    answered = false;
    every_allocation_fails(p, &s);
    perche_message_free(&answer);
    ends_equal(p);
}

/* ---- proof --------------------------------------------------------------------------- */

static struct perche_message digest_asked, digest_said;

static struct work digest_build_make(struct pair *p)
{
    (void)p;
    return pair_work(WORK_DIGEST_BUILD, NULL);
}

static void digest_build_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_true(o->comparable);
    same_message(o, "digest build");
}

static struct work digest_answer_make(struct pair *p)
{
    struct work w = pair_work(WORK_DIGEST_ANSWER, site(p));

    w.message = message_copy(&digest_asked);
    return w;
}

static void digest_answer_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_int_equal(o->message.u.digest_reply.answer, PERCHE_EQUAL);
    same_message(o, "digest answer");
}

static void digest_parts_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_int_equal(o->message.u.digest_reply.answer, PERCHE_DIFFERS);
    assert_true(o->message.u.digest_reply.sums_count > 0);
    same_message(o, "digest answer of parts");
}

static struct work digest_take_make(struct pair *p)
{
    struct work w = pair_work(WORK_DIGEST_TAKE, NULL);

    (void)p;
    w.message = message_copy(&digest_said);
    return w;
}

static void digest_take_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_true(o->state.proven_ms == digest_said.u.digest_reply.clock_ms);
}

static void a_comparison(void **state)
{
    struct pair *p = *state;
    struct story build = {"digest build", site(p), true, NULL, digest_build_make, digest_build_check},
                 answers = {"digest answer", hub(p), true, NULL, digest_answer_make, digest_answer_check},
                 parts = {"digest answer of parts", hub(p), true, NULL, digest_answer_make, digest_parts_check},
                 take = {"digest take", site(p), false, NULL, digest_take_make, digest_take_check};
    struct perche_sum sums[256]; /* as of a site that has no row */
    char scope[PERCHE_SCOPE_BYTES_MAX + 1];
    bool comparable;
    struct outcome o;

    pair_sync(p, site(p));
    digest_asked = pair_ask_digest(p, site(p), 0, (struct perche_message){0}, &comparable);
    assert_true(comparable);
    read_once(p, &build);
    every_allocation_fails(p, &build);
    forget_first();
    o = pair_read(p, hub(p), digest_answer_make(p));
    digest_said = pair_line(&o);
    read_once(p, &answers);
    every_allocation_fails(p, &answers);
    forget_first();
    every_allocation_fails(p, &take);
    forget_first();
    (void)snprintf(scope, sizeof scope, "%s", asked(hub(p)->program,
                                                    "SELECT n.text FROM perche_digest d JOIN perche_name n ON n.num = d.scope"
                                                    " JOIN perche_tab t ON t.num = d.tab WHERE t.name = 'learner' AND d.rows > 0"));
    for (uint32_t i = 0; i < 256; i++)
        sums[i] = (struct perche_sum){.scope = i == 0 ? scope : "", .table = i == 0 ? "learner" : "", .bucket = i};
    digest_asked.u.digest.level = PERCHE_LEVEL_PARTS;
    digest_asked.u.digest.finer = PERCHE_FINER_MAX;
    digest_asked.u.digest.sums = sums;
    digest_asked.u.digest.sums_count = 256;
    read_once(p, &parts);
    every_allocation_fails(p, &parts);
    perche_message_free(&digest_asked);
    perche_message_free(&digest_said);
    ends_equal(p);
}

/* ---- the handshake --------------------------------------------------------------------- */

static struct perche_message shown, judged;

static struct work prove_build_make(struct pair *p)
{
    (void)p;
    return pair_work(WORK_PROVE_BUILD, NULL);
}

static void prove_build_check(struct pair *p, struct outcome *o)
{
    (void)p;
    same_message(o, "prove build");
}

static struct work prove_judge_make(struct pair *p)
{
    struct work w = pair_work(WORK_PROVE_JUDGE, site(p));

    w.message = message_copy(&shown);
    w.session = ++p->drawn;
    return w;
}

static void prove_judge_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_false(o->message.refused);
    assert_int_equal(o->message.u.prove_reply.verdict, PERCHE_PROVEN);
}

static struct work proved_make(struct pair *p)
{
    struct work w = pair_work(WORK_PROVED, NULL);

    (void)p;
    w.message = message_copy(&judged);
    w.offset_ms = 5000;
    return w;
}

/* Unpushed stamps are shifted: something to write each time. */
static void proved_prepare(struct pair *p)
{
    p->now += 60000;
    three_changes(site(p));
    harvest_here(p, site(p));
}

static void proved_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_true(o->state.pending > 0);
}

static void a_handshake(void **state)
{
    struct pair *p = *state;
    struct story build = {"prove build", site(p), true, NULL, prove_build_make, prove_build_check},
                 judge = {"prove judge", hub(p), false, NULL, prove_judge_make, prove_judge_check},
                 take = {"proved", site(p), false, proved_prepare, proved_make, proved_check};
    struct outcome o;

    three_changes(site(p));
    harvest_here(p, site(p));
    read_once(p, &build);
    every_allocation_fails(p, &build);
    forget_first();
    o = pair_do(p, site(p), pair_work(WORK_PROVE_BUILD, NULL));
    shown = pair_line(&o);
    every_allocation_fails(p, &judge);
    o = pair_do(p, hub(p), prove_judge_make(p));
    judged = pair_line(&o);
    every_allocation_fails(p, &take);
    perche_message_free(&shown);
    perche_message_free(&judged);
    ends_equal(p);
}

/* ---- people ------------------------------------------------------------------------------- */

static struct state told;
static bool told_once;

static struct work state_make(struct pair *p)
{
    (void)p;
    return pair_work(WORK_STATE, NULL);
}

static void state_check(struct pair *p, struct outcome *o)
{
    (void)p;
    if (!told_once)
        told = o->state;
    told_once = true;
    assert_memory_equal(&told, &o->state, sizeof told);
}

static char *said_once;

static struct work query_make(struct pair *p)
{
    (void)p;
    return pair_args(WORK_QUERY, "history", "{\"table\": \"learner\", \"id\": \"" LEARNER "\"}");
}

static void query_check(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_non_null(o->json);
    if (said_once == NULL)
        said_once = strdup(o->json);
    assert_string_equal(said_once, o->json);
}

static struct work command_make(struct pair *p)
{
    char args[64];

    (void)p;
    turn++;
    snprintf(args, sizeof args, "{\"name\": \"School %u\", \"code\": \"S%u\"}", turn, turn);
    return pair_args(WORK_COMMAND, "invite", args);
}

static void command_check(struct pair *p, struct outcome *o)
{
    assert_non_null(o->json);
    says(hub(p), "1", "SELECT count(*) FROM perche_member WHERE name = 'School %u'", turn);
}

static void what_people_ask(void **state)
{
    struct pair *p = *state;
    struct story numbers = {"state", site(p), true, NULL, state_make, state_check},
                 history = {"a query", site(p), true, NULL, query_make, query_check},
                 invites = {"a command", hub(p), false, NULL, command_make, command_check};

    three_changes(site(p));
    harvest_here(p, site(p));
    three_changes(site(p)); /* some that are not harvested */
    told_once = false;
    read_once(p, &numbers);
    every_allocation_fails(p, &numbers);
    assert_true(told.pending == 2 && told.captured > 0);
    read_once(p, &history);
    every_allocation_fails(p, &history);
    free(said_once);
    said_once = NULL;
    every_allocation_fails(p, &invites);
    ends_equal(p);
}

/* ---- the chain -------------------------------------------------------------------------------- */

#define DECISION "enrolment_id = '0198f3a0-0000-7000-8001-000000000009'"

static void decided(struct pair *p)
{
    turn++;
    p->now += 1000;
    written(hub(p), "UPDATE outcome_decision SET situation = 'turn %u' WHERE " DECISION, turn);
}

static void signed_check(struct pair *p, struct outcome *o)
{
    assert_int_equal(o->rows, 1);
    says(hub(p), "1", "SELECT count(*) FROM perche_chain_head");
    says(hub(p), "1", "SELECT count(*) = %u FROM perche_chain", turn);
}

static struct work chain_make(struct pair *p)
{
    (void)p;
    return pair_args(WORK_QUERY, "verify", "{\"chain\": true}");
}

static char *chain_once;

static void chain_checked(struct pair *p, struct outcome *o)
{
    (void)p;
    assert_non_null(o->json);
    if (chain_once == NULL)
        chain_once = strdup(o->json);
    assert_string_equal(o->json, chain_once);
}

static struct work entries_make(struct pair *p)
{
    struct work w = pair_work(WORK_PUSH_APPLY, site(p));

    w.message = message_copy(&parcel.message);
    return w;
}

static void entries_prepare(struct pair *p)
{
    if (reply.op != 0) {
        push_told(p, site(p), &parcel, reply);
        parcel_end(&parcel);
        memset(&reply, 0, sizeof reply);
    }
    turn++;
    p->now += 1000;
    written(site(p), "UPDATE outcome_decision SET rule = 'turn %u' WHERE " DECISION, turn);
    harvest_here(p, site(p));
    parcel = push_all(p, site(p));
}

static void entries_check(struct pair *p, struct outcome *o)
{
    perche_message_free(&reply);
    reply = message_copy(&o->message);
    says(hub(p), "1", "SELECT rule = 'turn %u' FROM outcome_decision WHERE " DECISION, turn);
    says(hub(p), "0", "SELECT count(*) FROM perche_refusal");
    says(hub(p), "1", "SELECT count(*) = %u FROM perche_chain", turn);
}

static void what_is_signed(void **state)
{
    struct pair *p = *state;
    struct story signs = {"a harvest that signs", hub(p), false, decided, harvest_make, signed_check},
                 reads = {"verify --chain", hub(p), true, NULL, chain_make, chain_checked},
                 takes = {"taking entries", hub(p), false, entries_prepare, entries_make, entries_check};

    turn = 1;
    written(hub(p), "INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end) VALUES"
                    " ('0198f3a0-0000-7000-8001-000000000009', '%s', 'c', '%s', '2026-01-05', '2026-06-30');"
                    "INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
                    " VALUES ('0198f3a0-0000-7000-8001-000000000009', 'W4', 'JOBSEEKING', 'o', 'LATEST', 'Zoe', '2026-07-28')",
            LEARNER, SITE_ID(p, 0));
    harvest_here(p, hub(p));
    every_allocation_fails(p, &signs);
    for (int i = 0; i < PAIR_SITES; i++)
        pair_sync(p, p->sites[i]);
    every_allocation_fails(p, &takes);
    entries_prepare(p);
    parcel_end(&parcel);
    ends_equal(p);
    for (int k = 0; k < 2; k++) { /* all is well; then every kind of finding's words */
        read_once(p, &reads);
        assert_true((strstr(chain_once, "\"altered\":0,") != NULL) == (k == 0));
        every_allocation_fails(p, &reads);
        free(chain_once);
        chain_once = NULL;
        program(hub(p), "UPDATE perche_chain SET signature = zeroblob(64)");
    }
    program(hub(p), "DELETE FROM perche_chain");
}

/* ---- opening --------------------------------------------------------------------------------- */

static void opening(void **state)
{
    struct pair *p = *state;
    struct fixture *f = site(p);

    three_changes(f);
    for (int reader = 0; reader < 2; reader++)
        for (unsigned long n = 1;; n = heap_next(n)) {
            struct replica *r = NULL;
            struct perche_err err = {0};
            enum perche_rc rc;
            bool hit;

            if (!reader)
                fixture_close(f);
            else if (f->r == NULL)
                fixture_open(f);
            heap_fail(n, false);
            rc = reader ? replica_open_reader(&f->config, &r, &err) : replica_open(&f->config, &r, &err);
            hit = heap_off();
            if (rc != PERCHE_OK && (rc != PERCHE_NOMEM || !hit))
                wrong("opening%s, allocation %lu: %s: %s", reader ? " a reader" : "", n, perche_rc_name(rc), err.text);
            if (rc == PERCHE_NOMEM && err.text[0] == '\0')
                wrong("opening, allocation %lu: does not say why", n);
            replica_free(r);
            if (!hit)
                break;
        }
    if (f->r == NULL)
        fixture_open(f);
    assert_int_equal(exec(f->r, "PRAGMA synchronous = OFF"), PERCHE_OK);
    ends_equal(p);
}

/* ---- no block is left ------------------------------------------------------------------------- */

#define KEPT_MAX 4 /* what a library keeps for good at its first use */

static long live_before;

static int network_counted(void **state)
{
    forget_first();
    memset(&parcel, 0, sizeof parcel);
    memset(&reply, 0, sizeof reply);
    perche_wire_thread_end();
    live_before = heap.live;
    return network(state);
}

static int network_gone(void **state)
{
    long left;

    (void)pair_teardown(state);
    perche_wire_thread_end();
    left = heap.live - live_before;
    if (left > KEPT_MAX)
        print_error("%ld blocks are left\n", left);
    return left > KEPT_MAX ? -1 : 0;
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, network_counted, network_gone)

/* Most of what SQLite and libc keep for good is there before the first count. */
static int warm_up(void **state)
{
    return network(state) == 0 ? pair_teardown(state) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_harvest),
        TEST(building_a_push),
        TEST(applying_a_push),
        TEST(applying_a_push_with_conflicts),
        TEST(an_acknowledgement),
        TEST(asking_and_answering_a_pull),
        TEST(applying_a_pull),
        TEST(a_comparison),
        TEST(a_handshake),
        TEST(what_people_ask),
        TEST(what_is_signed),
        TEST(opening),
    };

    if (getenv("ONLY")) cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
