/* The conversation of a site, event by event. */
#include "sync_script.h"

#define REQUESTS 3

struct script {
    struct sync_site *site;
    struct sync_actions out;
    struct trace trace;
    uint64_t mono, seed;
    uint64_t timer;
    bool hold; /* works wait for script_works() */
    struct work works[16];
    uint32_t works_count;
    uint64_t tags[REQUESTS]; /* of the latest request on each channel */
    uint64_t sessions;
    bool session_may_be_any;

    /* a replica that counts */
    struct state st;
    uint64_t captured;
    uint64_t batch_rows; /* cut of a batch */
    bool pipelined;
    enum perche_rc fails[WORK_COMMAND + 1]; /* the next work of this kind answers so */
    bool asks_root; /* the latest pull does */
    bool unlike;    /* what a pull brings is not what is here */
    bool waits;                             /* something waits that the hub lacks */
    uint32_t rows_wanted;                   /* the next apply asks for so many rows */
    uint64_t restored;                      /* the next apply puts so many back that were taken out unseen */
    uint64_t full_rounds;
    bool few_rows; /* no parts are asked for */
    bool rows_apply_nothing;
    struct perche_want wants[4];
    uint32_t bytes_max, rows_max; /* of the latest build */
    int64_t offset_ms;            /* of the latest WORK_PROVED */
    bool more_migrations;         /* what WORK_PROVED says */
    uint64_t mark_needed;         /* the next WORK_PROVED asks to show it */
    bool empty_pushes;            /* a push of nothing asks whether the hub wants something */
};

static void run(struct script *sc);

#define expect(sc, wanted) expect_at(&(sc)->trace, wanted, __FILE__, __LINE__)

/* ---- the replica --------------------------------------------------------------- */

static void perform(struct script *sc, struct work *w, struct outcome *o)
{
    const struct perche_message *m = &w->message;
    struct state *st = &sc->st;
    uint64_t n;

    o->kind = w->kind;
    o->tag = w->tag;
    o->rc = sc->fails[w->kind];
    sc->fails[w->kind] = PERCHE_OK;
    if (o->rc != PERCHE_OK) {
        (void)snprintf(o->err.text, sizeof o->err.text, "told to fail");
        return;
    }
    switch (w->kind) {
    case WORK_HARVEST:
        n = sc->captured < w->rows_max ? sc->captured : w->rows_max;
        sc->captured -= n;
        st->lsn += n;
        o->rows = n;
        o->more = sc->captured > 0;
        break;
    case WORK_PROVE_BUILD:
        if (w->asof_lsn != 0)
            note(&sc->trace, "   mark %llu\n", (unsigned long long)w->asof_lsn);
        o->message.op = PERCHE_OP_PROVE;
        o->message.u.prove.epoch = 7;
        o->message.u.prove.lsn = st->lsn;
        break;
    case WORK_PROVED:
        st->acked = m->u.prove_reply.have;
        o->asof_lsn = sc->mark_needed;
        sc->mark_needed = 0;
        o->more = sc->more_migrations;
        sc->offset_ms = w->offset_ms;
        break;
    case WORK_PUSH_BUILD:
        sc->bytes_max = w->bytes_max;
        sc->rows_max = w->rows_max;
        if (w->from >= st->lsn && !(sc->empty_pushes && w->from == st->lsn))
            break;
        n = st->lsn - w->from < sc->batch_rows ? st->lsn - w->from : sc->batch_rows;
        o->message.op = PERCHE_OP_PUSH;
        o->message.u.push.from = w->from;
        o->message.u.push.to = w->from + n;
        o->message.u.push.asof.lsn = st->lsn;
        o->message.u.push.pending = st->lsn - st->acked;
        o->message.u.push.batch.n = (uint32_t)(n * 1000);
        o->rows = n;
        o->more = w->from + n < st->lsn;
        o->pipelined = sc->pipelined;
        break;
    case WORK_PUSH_ACKED:
        assert_true(w->from == st->acked);
        if (w->asof_lsn == 0)
            note(&sc->trace, "   of which batch is not known\n");
        st->acked = w->to;
        break;
    case WORK_PULL_BUILD:
        o->message.op = PERCHE_OP_PULL;
        o->message.u.pull.full = st->full;
        o->message.u.pull.scan = st->scan;
        o->message.u.pull.done = st->done;
        break;
    case WORK_PULL_APPLY:
        o->rows = m->u.pull_reply.scan - st->scan;
        st->full = m->u.pull_reply.full;
        st->scan = m->u.pull_reply.scan;
        st->done = st->full;
        o->more = m->u.pull_reply.more;
        o->comparable = m->u.pull_reply.root_ms != 0 && sc->captured == 0 && st->acked >= st->lsn;
        o->equal = o->comparable && !sc->unlike;
        if (o->equal)
            st->proven_ms = m->u.pull_reply.root_ms;
        o->full_rounds = sc->full_rounds;
        break;
    case WORK_ROWS_APPLY: o->rows = !sc->rows_apply_nothing; break;
    case WORK_DIGEST_BUILD:
        o->comparable = st->acked >= st->lsn && sc->captured == 0;
        o->message.op = PERCHE_OP_DIGEST;
        o->message.u.digest.level = w->level == PERCHE_LEVEL_PARTS && sc->few_rows ? PERCHE_LEVEL_ROWS : w->level;
        assert_true(w->level == 0 || m->op == PERCHE_OP_DIGEST);
        break;
    case WORK_DIGEST_TAKE:
        if (w->level == 0)
            st->proven_ms = m->u.digest_reply.clock_ms;
        break;
    case WORK_LEAVE_BUILD:
        o->message.op = PERCHE_OP_LEAVE;
        o->message.u.leave.acked = st->acked;
        if (sc->waits)
            o->rc = perche_err_set(&o->err, PERCHE_STATE, "3 rows wait");
        break;
    default: break;
    }
    if (w->kind == WORK_PULL_APPLY) {
        o->restored = sc->restored;
        sc->restored = 0;
    }
    if ((w->kind == WORK_PULL_APPLY || w->kind == WORK_ROWS_APPLY) && sc->rows_wanted > 0) {
        o->message.op = PERCHE_OP_ROWS;
        o->message.u.rows.wants = sc->wants;
        o->message.u.rows.wants_count = sc->rows_wanted;
        sc->rows_wanted = 0;
    }
    st->pending = st->lsn - st->acked;
    o->state = *st;
}

/* ---- events and actions ---------------------------------------------------------- */

static void step(struct script *sc, struct sync_event ev)
{
    ev.now_ms = CLOCK + sc->mono;
    ev.mono_ms = sc->mono;
    sync_site_step(sc->site, &ev, &sc->out);
    run(sc);
}

static void works(struct script *sc)
{
    while (sc->works_count > 0) {
        struct work w = sc->works[0];
        struct outcome o = {0};

        sc->works_count--;
        memmove(&sc->works[0], &sc->works[1], sc->works_count * sizeof sc->works[0]);
        perform(sc, &w, &o);
        step(sc, (struct sync_event){.kind = SYNC_EV_OUTCOME, .outcome = &o});
        work_free(&w);
        outcome_free(&o);
    }
}

static void run(struct script *sc)
{
    struct sync_actions actions = sc->out;

    memset(&sc->out, 0, sizeof sc->out);
    assert_false(actions.nomem);
    for (uint32_t i = 0; i < actions.count; i++) {
        struct sync_action *a = &actions.items[i];
        struct sync_site_view view;

        switch (a->kind) {
        case SYNC_SEND:
            note(&sc->trace, "%u> ", a->channel);
            note_message(&sc->trace, &a->message);
            note(&sc->trace, "\n");
            sc->tags[a->channel] = a->tag;
            if (a->message.op == PERCHE_OP_PULL)
                sc->asks_root = a->message.u.pull.compare;
            if (a->message.op == PERCHE_OP_HELLO)
                assert_true(a->message.u.hello.clock_ms == CLOCK + sc->mono);
            if ((a->message.op >= PERCHE_OP_PUSH && a->message.op <= PERCHE_OP_WATCH) || a->message.op == PERCHE_OP_LEAVE)
                assert_true(sc->session_may_be_any ||
                            a->message.u.pull.session ==
                                sc->sessions); /* `session` stands first in all of them */
            break;
        case SYNC_WORK:
            note(&sc->trace, "   %s", work_name(a->work.kind));
            if (a->work.kind == WORK_PUSH_BUILD)
                note(&sc->trace, " from %" PRIu64, a->work.from);
            if (a->work.kind == WORK_PUSH_ACKED)
                note(&sc->trace, " %" PRIu64 "..%" PRIu64, a->work.from, a->work.to);
            note(&sc->trace, "\n");
            assert_true(sc->works_count < 16);
            assert_true(a->tag == a->work.tag && memcmp(a->work.random, "\0\0\0\0\0\0\0", 8) != 0);
            sc->works[sc->works_count++] = a->work;
            memset(&a->work, 0, sizeof a->work);
            break;
        case SYNC_TIMER:
            assert_true(a->at_ms > sc->mono);
            sc->timer = a->at_ms;
            if (sc->trace.timers)
                note(&sc->trace, "timer +%" PRIu64 "\n", a->at_ms - sc->mono);
            break;
        case SYNC_CONNECT: note(&sc->trace, "connect\n"); break;
        case SYNC_DISCONNECT: note(&sc->trace, "disconnect %s\n", a->reason); break;
        case SYNC_LOG: note(&sc->trace, "log %s\n", a->reason); break;
        case SYNC_STATE:
            sync_site_view(sc->site, &view);
            note(&sc->trace, "state %s%s%s\n", sync_state_name(view.state),
                 view.reason[0] != '\0' ? " " : "", view.reason);
            break;
        case SYNC_SYNCED:
            note(&sc->trace, "synced %" PRIu64 " %s\n", a->tag,
                 a->reason != NULL ? a->reason : "yes");
            break;
        case SYNC_LEFT:
            note(&sc->trace, "left %" PRIu64 " %s%s%s\n", a->tag, a->reason != NULL ? a->reason : "yes",
                 a->text[0] != '\0' ? ": " : "", a->text);
            break;
        }
    }
    sync_actions_free(&actions);
    if (!sc->hold)
        works(sc);
}

static void plain(struct script *sc, enum sync_event_kind kind)
{
    step(sc, (struct sync_event){.kind = kind});
}

static void wait_ms(struct script *sc, uint64_t ms)
{
    sc->mono += ms;
    plain(sc, SYNC_EV_TIME);
}

/* To the time that was last asked for; returns how long that was. */
static uint64_t wait_timer(struct script *sc)
{
    uint64_t ms = sc->timer - sc->mono;

    assert_true(sc->timer > sc->mono);
    wait_ms(sc, ms);
    return ms;
}

static void down(struct script *sc, const char *reason)
{
    step(sc, (struct sync_event){.kind = SYNC_EV_LINE_DOWN, .reason = reason});
}

static void edit(struct script *sc, uint64_t rows)
{
    sc->captured += rows;
    plain(sc, SYNC_EV_CHANGED);
}

static void sync_now(struct script *sc, uint64_t tag, uint64_t timeout_ms)
{
    step(sc, (struct sync_event){
                 .kind = SYNC_EV_SYNC_NOW, .tag = tag, .wait = true, .timeout_ms = timeout_ms});
}

static void leave(struct script *sc, uint64_t tag)
{
    step(sc, (struct sync_event){.kind = SYNC_EV_LEAVE, .tag = tag});
}

static void answer_line(struct script *sc, uint32_t channel, struct perche_message *m,
                        uint64_t line_ms)
{
    m->reply = true;
    step(sc, (struct sync_event){.kind = SYNC_EV_REPLY,
                                 .channel = channel,
                                 .tag = sc->tags[channel],
                                 .message = m,
                                 .bytes = 200,
                                 .line_ms = line_ms});
}

static void answer(struct script *sc, uint32_t channel, struct perche_message m)
{
    answer_line(sc, channel, &m, 40);
}

static void hub_hello(struct script *sc)
{
    struct perche_message m = {.op = PERCHE_OP_HELLO};

    m.u.hello_reply.hub = HUB;
    m.u.hello_reply.version = 1;
    m.u.hello_reply.clock_ms = CLOCK + sc->mono + 5000;
    answer(sc, 0, m);
}

static void hub_prove_says(struct script *sc, uint8_t verdict, uint64_t have, uint64_t lsn)
{
    struct perche_message m = {.op = PERCHE_OP_PROVE};

    m.u.prove_reply.verdict = verdict;
    m.u.prove_reply.session = ++sc->sessions;
    m.u.prove_reply.have = have;
    m.u.prove_reply.asof.lsn = lsn;
    answer(sc, 0, m);
}

static void hub_prove(struct script *sc, uint64_t have, uint64_t lsn)
{
    hub_prove_says(sc, PERCHE_PROVEN, have, lsn);
}

static void hub_push(struct script *sc, uint32_t channel, uint64_t have)
{
    struct perche_message m = {.op = PERCHE_OP_PUSH};

    m.u.push_reply.have = have;
    answer(sc, channel, m);
}

static void hub_pull(struct script *sc, uint64_t from_full, uint64_t from_scan, uint64_t full,
                     uint64_t scan)
{
    struct perche_message m = {.op = PERCHE_OP_PULL};

    m.u.pull_reply.from_full = from_full;
    m.u.pull_reply.from_scan = from_scan;
    m.u.pull_reply.full = full;
    m.u.pull_reply.scan = scan;
    m.u.pull_reply.more = full != scan;
    answer(sc, 0, m);
}

/* The last answer of a pull, with the root of the hub's snapshot. */
static void hub_pull_root(struct script *sc, uint64_t from, uint64_t to)
{
    struct perche_message m = {.op = PERCHE_OP_PULL};

    m.u.pull_reply.from_full = m.u.pull_reply.from_scan = from;
    m.u.pull_reply.full = m.u.pull_reply.scan = to;
    m.u.pull_reply.root_ms = CLOCK + sc->mono;
    answer(sc, 0, m);
}

static void hub_rows(struct script *sc)
{
    answer(sc, 0, (struct perche_message){.op = PERCHE_OP_ROWS});
}

static void hub_digest(struct script *sc, uint8_t says)
{
    struct perche_message m = {.op = PERCHE_OP_DIGEST};

    m.u.digest_reply.answer = says;
    m.u.digest_reply.clock_ms = CLOCK + sc->mono;
    answer(sc, 0, m);
}

static void hub_watch(struct script *sc, bool news)
{
    struct perche_message m = {.op = PERCHE_OP_WATCH};

    m.u.watch_reply.news = news;
    answer(sc, 2, m);
}

static void hub_no(struct script *sc, uint32_t channel, uint8_t op, uint8_t why)
{
    struct perche_message m = {.op = op, .refused = true};

    m.u.no.why = why;
    m.u.no.retry_ms = 700;
    answer(sc, channel, m);
}

/* ---- beginnings --------------------------------------------------------------------- */

static struct script *script_new(const char *hub, uint64_t max_rate)
{
    struct script *sc = calloc(1, sizeof *sc);
    struct sync_site_config config = {
        .site = SITE, .hub = hub, .interval_ms = 30000, .max_rate = max_rate};

    sc->mono = 1000000;
    sc->batch_rows = 10;
    config.ops = (struct sync_ops){.ctx = &sc->seed, .random = script_random, .sign = script_sign};
    sc->site = sync_site_new(&config);
    assert_non_null(sc->site);
    for (unsigned i = 0; i < 4; i++) {
        sc->wants[i].table = "learner";
        sc->wants[i].key = (struct perche_bytes){(const uint8_t *)"0123456789abcdef", 16};
    }
    return sc;
}

static void script_free(struct script *sc)
{
    for (uint32_t i = 0; i < sc->works_count; i++)
        work_free(&sc->works[i]);
    sync_site_free(sc->site);
    sync_actions_free(&sc->out);
    free(sc);
}

/* Started and dialled. */
static struct script *started(void)
{
    struct script *sc = script_new(HUB, 0);

    plain(sc, SYNC_EV_START);
    expect(sc, "   state\nstate offline\n   harvest\nconnect\nstate connecting\n");
    return sc;
}

/* The line is up and the hub knows who is there; nothing has been sent yet. */
static struct script *greeted(uint64_t lsn)
{
    struct script *sc = script_new(HUB, 0);

    sc->st.lsn = lsn;
    plain(sc, SYNC_EV_START);
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    trace_clear(&sc->trace);
    return sc;
}

static struct script *live(void)
{
    struct script *sc = greeted(0);

    hub_prove(sc, 0, 0);
    hub_digest(sc, PERCHE_EQUAL);
    assert_non_null(strstr(sc->trace.text, "state live\n"));
    sc->mono += 60000; /* beyond every settling */
    trace_clear(&sc->trace);
    return sc;
}

/* ---- the happy path -------------------------------------------------------------------- */

static void test_a_site_greets_proves_pushes_pulls_compares_and_is_live(void **state)
{
    struct script *sc = script_new(HUB, 0);

    (void)state;
    sc->captured = 15;
    plain(sc, SYNC_EV_START);
    expect(sc, "   state\n"
               "state offline\n"
               "   harvest\n"
               "connect\n"
               "state connecting\n");
    plain(sc, SYNC_EV_LINE_UP);
    expect(sc, "log uplink.up\n"
               "0> hello\n");
    hub_hello(sc);
    expect(sc, "   prove_build\n"
               "0> prove\n");
    hub_prove(sc, 0, 9);
    expect(sc, "   proved\n"
               "log sync.proven\n"
               "   push_build from 0\n"
               "state syncing\n"
               "0> push 0..10\n");
    hub_push(sc, 0, 10);
    expect(sc, "   push_acked 0..10\n"
               "   push_build from 10\n"
               "0> push 10..15\n");
    hub_push(sc, 0, 15);
    expect(sc, "   push_acked 10..15\n"
               "   pull_build\n"
               "0> pull 0/0\n");
    hub_pull(sc, 0, 0, 0, 5);
    expect(sc, "   pull_apply\n"
               "   pull_build\n"
               "0> pull 0/5\n");
    hub_pull(sc, 0, 5, 9, 9);
    expect(sc, "   pull_apply\n"
               "   digest_build\n"
               "0> digest 0\n");
    hub_digest(sc, PERCHE_EQUAL);
    expect(sc, "   digest_take\n"
               "log sync.live\n"
               "2> watch 9/9\n"
               "state live\n");
    script_free(sc);
}

static void test_the_offset_of_the_clock_is_measured_from_half_the_round_trip(void **state)
{
    struct script *sc = started();
    struct sync_site_view view;

    (void)state;
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc); /* 5 s ahead, 40 ms there and back */
    hub_prove(sc, 0, 0);
    assert_int_equal(sc->offset_ms, 5020);
    sync_site_view(sc->site, &view);
    assert_int_equal(view.offset_ms, 5020);
    assert_int_equal(view.rtt_ms, 40);
    script_free(sc);
}

static void test_with_nothing_to_say_and_nothing_new_the_digest_follows_prove_at_once(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    sc->st.full = sc->st.scan = 40;
    sc->fails[WORK_PROVED] = PERCHE_OK;
    hub_prove(sc, 0, 40);
    expect(sc, "   proved\n"
               "log sync.proven\n"
               "   push_build from 0\n"
               "state syncing\n"
               "   digest_build\n"
               "0> digest 0\n");
    script_free(sc);
}

static void test_a_sync_with_nothing_to_send_costs_one_round_trip(void **state)
{
    struct script *sc = live();

    (void)state;
    sync_now(sc, 5, 0);
    expect(sc, "   harvest\n"
               "   digest_build\n"
               "0> digest 0\n");
    hub_digest(sc, PERCHE_EQUAL);
    expect(sc, "   digest_take\n"
               "synced 5 yes\n"
               "state live\n"); /* proven equal at a later time */
    script_free(sc);
}

static void test_a_local_change_is_pushed_at_once_when_live_and_compared_when_edits_have_settled(
    void **state)
{
    struct script *sc = live();

    (void)state;
    edit(sc, 1);
    expect(sc, "   harvest\n"
               "   push_build from 0\n"
               "0> push 0..1\n");
    hub_push(sc, 0, 1);
    expect(sc, "   push_acked 0..1\n");
    assert_int_equal(wait_timer(sc), 1000);
    expect(sc, "   digest_build\n"
               "0> digest 0\n");
    script_free(sc);
}

static void test_a_comparison_is_not_put_off_for_ever_by_edits(void **state)
{
    struct script *sc = live();
    unsigned n;

    (void)state;
    for (n = 0; n < 100; n++) {
        edit(sc, 1);
        hub_push(sc, 0, sc->st.lsn);
        wait_ms(sc, 500);
        if (strstr(sc->trace.text, "digest 0") != NULL)
            break;
        hub_watch(sc, false); /* the line is alive */
    }
    assert_in_range(n, 58, 61); /* 30 s, the interval */
    script_free(sc);
}

static void test_a_harvest_is_repeated_while_there_is_more(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->batch_rows = 5000;
    edit(sc, 2500);
    expect(sc, "   harvest\n"
               "   harvest\n"
               "   push_build from 0\n"
               "   harvest\n"
               "0> push 0..2000\n");
    hub_push(sc, 0, 2000);
    expect(sc, "   push_acked 0..2000\n"
               "   push_build from 2000\n"
               "0> push 2000..2500\n");
    script_free(sc);
}

static void test_a_site_that_is_offline_or_unjoined_harvests_all_the_same(void **state)
{
    struct script *sc = script_new(NULL, 0);

    (void)state;
    sc->captured = 3;
    plain(sc, SYNC_EV_START);
    expect(sc, "   state\nstate unjoined\n   harvest\n");
    edit(sc, 1);
    expect(sc, "   harvest\n");
    sync_now(sc, 9, 0);
    expect(sc, "synced 9 offline\n   harvest\n");
    plain(sc, SYNC_EV_LINE_UP);
    expect(sc, "disconnect unjoined\n");
    script_free(sc);
}

static void test_news_is_pulled_at_once_and_the_watch_parked_again(void **state)
{
    struct script *sc = live();

    (void)state;
    hub_watch(sc, true);
    expect(sc, "   pull_build\n"
               "0> pull 0/0\n");
    hub_pull(sc, 0, 0, 3, 3);
    expect(sc, "   pull_apply\n"
               "2> watch 3/3\n");
    script_free(sc);
}

static void test_what_an_answer_puts_back_is_logged(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->restored = 1;
    hub_watch(sc, true);
    expect(sc, "   pull_build\n"
               "0> pull 0/0\n");
    hub_pull(sc, 0, 0, 3, 3);
    expect(sc, "   pull_apply\n"
               "log replica.bypassed\n"
               "2> watch 3/3\n");
    script_free(sc);
}

static void test_a_watch_that_ends_without_news_is_parked_again(void **state)
{
    struct script *sc = live();

    (void)state;
    hub_watch(sc, false);
    expect(sc, "2> watch 0/0\n");
    hub_watch(sc, false); /* at once: a hub that does not park */
    expect(sc, "");
    assert_int_equal(wait_timer(sc), 1000);
    expect(sc, "2> watch 0/0\n");
    script_free(sc);
}

static void test_news_that_brings_nothing_is_asked_for_ever_less_often(void **state)
{
    struct script *sc = live();
    uint64_t began;

    (void)state;
    hub_watch(sc, true);
    hub_pull(sc, 0, 0, 0, 0);
    expect(sc, "   pull_build\n0> pull 0/0\n   pull_apply\n2> watch 0/0\n");
    began = sc->mono;
    for (unsigned i = 0; i < 4; i++) {
        hub_watch(sc, true);
        hub_pull(sc, 0, 0, 0, 0);
        wait_timer(sc);
    }
    assert_int_equal(sc->mono - began, 1000 + 2000 + 4000 + 8000);
    script_free(sc);
}

static void test_rows_that_came_without_themselves_are_asked_for_before_the_next_pull(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->rows_wanted = 2;
    hub_watch(sc, true);
    hub_pull(sc, 0, 0, 0, 5);
    expect(sc, "   pull_build\n0> pull 0/0\n   pull_apply\nstate syncing\n"
               "0> rows 2\n");
    hub_rows(sc);
    expect(sc, "   rows_apply\n"
               "   pull_build\n"
               "0> pull 0/5\n");
    script_free(sc);
}

static void test_rows_that_are_asked_for_again_though_nothing_came_wait(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->rows_wanted = 2;
    hub_watch(sc, true);
    hub_pull(sc, 0, 0, 5, 5);
    sc->rows_wanted = 2;
    sc->rows_apply_nothing = true;
    trace_clear(&sc->trace);
    hub_rows(sc);
    expect(sc, "   rows_apply\nlog sync.circle\nstate live wants\n");
    wait_timer(sc);
    wait_timer(sc);
    assert_non_null(strstr(sc->trace.text, "0> rows 2\n"));
    script_free(sc);
}

static void test_images_that_are_wanted_are_pulled_once_and_then_wait(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->full_rounds = 2;
    hub_watch(sc, true);
    hub_pull(sc, 0, 0, 4, 4);
    expect(sc, "   pull_build\n0> pull 0/0\n   pull_apply\n"
               "   pull_build\n0> pull 4/4\n");
    hub_pull(sc, 4, 4, 4, 4); /* they have not come: something of theirs is unpushed, say */
    expect(sc, "   pull_apply\n2> watch 4/4\n");
    script_free(sc);
}

/* ---- two batches under way ----------------------------------------------------------------- */

static struct script *bulk(void)
{
    struct script *sc = greeted(45);

    sc->pipelined = true;
    hub_prove(sc, 0, 0);
    expect(sc, "   proved\n"
               "log sync.proven\n"
               "   push_build from 0\n"
               "state syncing\n"
               "0> push 0..10\n"
               "   push_build from 10\n"
               "1> push 10..20\n");
    return sc;
}

static void test_a_bulk_load_has_two_batches_under_way(void **state)
{
    struct script *sc = bulk();

    (void)state;
    hub_push(sc, 0, 10);
    expect(sc, "   push_acked 0..10\n"
               "   push_build from 20\n"
               "0> push 20..30\n");
    assert_int_equal(sc->bytes_max, 4 * 65536); /* measured though another one is on the line */
    hub_push(sc, 1, 20);
    assert_int_equal(sc->bytes_max, 16 * 65536);
    expect(sc, "   push_acked 10..20\n"
               "   push_build from 30\n"
               "1> push 30..40\n");
    hub_push(sc, 0, 30);
    hub_push(sc, 1, 40);
    hub_push(sc, 0, 45);
    expect(sc, "   push_acked 20..30\n"
               "   push_build from 40\n"
               "0> push 40..45\n"
               "   push_acked 30..40\n"
               "   push_acked 40..45\n"
               "   digest_build\n"
               "0> digest 0\n");
    script_free(sc);
}

static void test_the_acknowledgement_of_the_second_batch_waits_for_the_first(void **state)
{
    struct script *sc = bulk();

    (void)state;
    hub_push(sc, 1, 20);
    expect(sc, "");
    assert_int_equal(sc->st.acked, 0);
    hub_push(sc, 0, 10);
    expect(sc, "   push_acked 0..10\n"
               "   push_acked 10..20\n"
               "   push_build from 20\n"
               "0> push 20..30\n"
               "   push_build from 30\n"
               "1> push 30..40\n");
    script_free(sc);
}

static void test_a_refusal_of_the_second_batch_waits_for_the_acknowledgement_of_the_first(
    void **state)
{
    struct script *sc = bulk();

    (void)state;
    hub_no(sc, 1, PERCHE_OP_PUSH, PERCHE_NO_POSITION);
    expect(sc, "");
    hub_push(sc, 0, 10);
    expect(sc, "   push_acked 0..10\n"
               "log sync.refused\n"
               "0> hello\n"
               "state connecting position\n");
    script_free(sc);
}

static void test_when_the_first_batch_is_refused_the_second_is_forgotten(void **state)
{
    struct script *sc = bulk();

    (void)state;
    hub_no(sc, 0, PERCHE_OP_PUSH, PERCHE_NO_POSITION);
    expect(sc, "log sync.refused\n"
               "0> hello\n"
               "state connecting position\n");
    hub_push(sc, 1, 20); /* the answer to what no longer matters */
    expect(sc, "");
    hub_hello(sc);
    hub_prove(sc, 20, 0);
    expect(sc, "   prove_build\n0> prove\n"
               "   proved\nlog sync.proven\n"
               "   push_build from 20\n"
               "state syncing\n"
               "0> push 20..30\n"
               "   push_build from 30\n"
               "1> push 30..40\n");
    script_free(sc);
}

/* The second one may come to the hub after the first was sent once more: what the hub then says of that range is said of a batch
 * that was made earlier, and lacks what was written meanwhile. */
static void test_what_is_acknowledged_of_a_range_that_was_sent_before_is_not_known(void **state)
{
    struct script *sc = bulk();

    (void)state;
    hub_no(sc, 0, PERCHE_OP_PUSH, PERCHE_NO_DISK);
    assert_in_range(wait_timer(sc), 1000, 2000);
    trace_clear(&sc->trace);
    hub_push(sc, 0, 10);
    hub_push(sc, 0, 20);
    hub_push(sc, 0, 30);
    expect(sc, "   push_acked 0..10\n"
               "   push_build from 10\n"
               "   of which batch is not known\n"
               "state syncing\n"
               "0> push 10..20\n"
               "   push_acked 10..20\n"
               "   push_build from 20\n"
               "   of which batch is not known\n"
               "0> push 20..30\n"
               "   push_acked 20..30\n"
               "   push_build from 30\n"
               "0> push 30..40\n");
    script_free(sc);
}

static void test_without_leave_to_pipeline_one_batch_is_under_way(void **state)
{
    struct script *sc = greeted(45);

    (void)state;
    hub_prove(sc, 0, 0);
    hub_push(sc, 0, 10);
    expect(sc, "   proved\nlog sync.proven\n   push_build from 0\nstate syncing\n"
               "0> push 0..10\n"
               "   push_acked 0..10\n   push_build from 10\n"
               "0> push 10..20\n");
    script_free(sc);
}

/* ---- what is lost ------------------------------------------------------------------------------ */

static void test_after_a_cut_nothing_acknowledged_is_sent_again(void **state)
{
    struct script *sc = bulk();

    (void)state;
    hub_push(sc, 0, 10);
    down(sc, "lost");
    expect(sc, "   push_acked 0..10\n   push_build from 20\n0> push 20..30\n"
               "log uplink.lost\n"
               "state offline lost\n");
    assert_in_range(wait_timer(sc), 1000, 2000);
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    hub_prove(sc, 20, 0); /* the second batch had arrived, its answer had not */
    expect(sc, "connect\nstate connecting\nlog uplink.up\n0> hello\n   prove_build\n0> prove\n"
               "   proved\nlog sync.proven\n"
               "   push_build from 20\n"
               "state syncing\n"
               "0> push 20..30\n"
               "   push_build from 30\n"
               "1> push 30..40\n");
    script_free(sc);
}

static void lose_the_reply(struct script *sc)
{
    uint64_t waited = wait_timer(sc);

    if (waited == 1000) /* the time to compare */
        waited += wait_timer(sc);
    assert_in_range(waited, 30000, 30000 + 400000);
    expect(sc, "log uplink.timeout\n"
               "disconnect timeout\n"
               "log uplink.lost\n"
               "state offline timeout\n");
    assert_in_range(wait_timer(sc), 1000, 2000);
    expect(sc, "connect\nstate connecting\n");
    plain(sc, SYNC_EV_LINE_UP);
    expect(sc, "log uplink.up\n0> hello\n");
}

static void test_a_lost_reply_to_hello_is_asked_for_again(void **state)
{
    struct script *sc = started();

    (void)state;
    plain(sc, SYNC_EV_LINE_UP);
    trace_clear(&sc->trace);
    lose_the_reply(sc);
    script_free(sc);
}

static void test_a_lost_reply_to_prove_is_asked_for_again(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    lose_the_reply(sc);
    hub_hello(sc);
    expect(sc, "   prove_build\n0> prove\n");
    script_free(sc);
}

static void test_a_lost_reply_to_push_repeats_from_what_the_hub_has(void **state)
{
    struct script *sc = greeted(10);

    (void)state;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    lose_the_reply(sc);
    hub_hello(sc);
    hub_prove(sc, 10, 0); /* it had arrived */
    expect(sc, "   prove_build\n0> prove\n   proved\nlog sync.proven\n"
               "   push_build from 10\n"
               "state syncing\n"
               "   digest_build\n"
               "0> digest 0\n");
    script_free(sc);
}

static void test_a_lost_reply_to_pull_is_pulled_again_from_the_same_position(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    hub_prove(sc, 0, 8);
    trace_clear(&sc->trace);
    lose_the_reply(sc);
    hub_hello(sc);
    hub_prove(sc, 0, 8);
    expect(
        sc,
        "   prove_build\n0> prove\n   proved\nlog sync.proven\n   push_build from 0\nstate syncing\n"
        "   pull_build\n"
        "0> pull 0/0\n");
    script_free(sc);
}

static void test_a_lost_reply_to_rows_is_asked_for_again(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->rows_wanted = 2;
    hub_watch(sc, true);
    hub_pull(sc, 0, 0, 5, 5);
    trace_clear(&sc->trace);
    lose_the_reply(sc);
    hub_hello(sc);
    hub_prove(sc, 0, 5);
    expect(sc, "   prove_build\n0> prove\n   proved\nlog sync.proven\n"
               "0> rows 2\n"
               "state syncing\n");
    script_free(sc);
}

static void test_a_lost_reply_to_digest_is_compared_again(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    lose_the_reply(sc);
    hub_hello(sc);
    hub_prove(sc, 0, 0);
    expect(
        sc,
        "   prove_build\n0> prove\n   proved\nlog sync.proven\n   push_build from 0\nstate syncing\n"
        "   digest_build\n0> digest 0\n");
    script_free(sc);
}

static void test_a_lost_watch_gives_the_line_up_after_two_minutes(void **state)
{
    struct script *sc = live();

    (void)state;
    assert_int_equal(wait_timer(sc) + 60000, 120000); /* live() let a minute go by */
    expect(sc, "log uplink.timeout\ndisconnect timeout\nlog uplink.lost\nstate offline timeout\n");
    script_free(sc);
}

static void test_a_time_out_allows_for_the_size_and_for_a_line_that_has_become_slower(void **state)
{
    struct script *sc = greeted(10);
    uint64_t first, second;

    (void)state;
    hub_prove(sc, 0, 0);
    first = wait_timer(sc); /* 10 kB and no measurement yet: 1 kB/s is assumed */
    assert_in_range(first, 40000, 41000);
    wait_timer(sc);
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    hub_prove(sc, 0, 0);
    second = wait_timer(sc);
    assert_in_range(second, 90000, 92000);
    script_free(sc);
}

/* Until the time-out of what was asked last; the line is up again then. */
static uint64_t time_out(struct script *sc)
{
    uint64_t waited = 0;

    trace_clear(&sc->trace);
    while (strstr(sc->trace.text, "uplink.timeout") == NULL) {
        assert_true(waited < UINT64_C(40) * 60000);
        waited += wait_timer(sc);
    }
    wait_timer(sc);
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    return waited;
}

/* One row may be so large that a slow line takes half an hour for it, and nobody is told before. What comes easily in each
 * session is no reason to wait less for it. */
static void test_a_pull_that_did_not_come_in_time_is_given_more_until_one_does(void **state)
{
    struct script *sc = greeted(10);
    uint64_t waited = 0, before;

    (void)state;
    for (int i = 0; i < 7; i++) {
        hub_prove(sc, sc->st.acked, 8);
        hub_push(sc, 0, sc->st.lsn);
        before = waited;
        waited = time_out(sc);
        assert_true(waited + 2000 >= before);
        edit(sc, 10);
    }
    assert_true(waited > UINT64_C(30) * 60000);
    hub_prove(sc, sc->st.acked, 8);
    hub_push(sc, 0, sc->st.lsn);
    hub_pull(sc, 0, 0, 4, 8); /* there it is */
    assert_in_range(time_out(sc), 30000, 120000);
    script_free(sc);
}

/* The migrations of years come with one answer. */
static void test_a_proof_that_did_not_come_in_time_is_given_more(void **state)
{
    struct script *sc = greeted(10);
    uint64_t waited = 0;

    (void)state;
    for (int i = 0; i < 8; i++)
        waited = time_out(sc);
    assert_true(waited > UINT64_C(30) * 60000);
    hub_prove(sc, 0, 0);
    down(sc, "lost");
    wait_timer(sc);
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    assert_in_range(time_out(sc), 30000, 31000);
    script_free(sc);
}

/* Sessions with nothing to send are no circle. */
static void test_empty_pushes_of_many_sessions_are_no_circle(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    sc->empty_pushes = true;
    for (int i = 0; i < 12; i++) {
        hub_prove(sc, 0, 0);
        hub_push(sc, 0, 0);
        down(sc, "lost");
        while (strstr(sc->trace.text, "connect\nstate connecting") == NULL)
            wait_timer(sc);
        assert_null(strstr(sc->trace.text, "sync.circle"));
        trace_clear(&sc->trace);
        plain(sc, SYNC_EV_LINE_UP);
        hub_hello(sc);
    }
    script_free(sc);
}

static void test_a_late_answer_to_a_pull_is_not_applied(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    sc->st.full = 2;
    sc->st.scan = 5;
    hub_prove(sc, 0, 8);
    trace_clear(&sc->trace);
    hub_pull(sc, 2, 2, 2, 7);
    expect(sc, "log sync.late_reply\n");
    hub_pull(sc, 0, 5, 7, 7);
    expect(sc, "log sync.late_reply\n");
    hub_pull(sc, 2, 5, 8, 8); /* the true one */
    expect(sc, "   pull_apply\n   digest_build\n0> digest 0\n");
    script_free(sc);
}

static void test_an_acknowledgement_of_less_than_the_batch_acknowledges_nothing(void **state)
{
    struct script *sc = greeted(10);

    (void)state;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    hub_push(sc, 0, 9);
    expect(sc, "log sync.late_reply\n");
    assert_int_equal(sc->st.acked, 0);
    hub_push(sc, 0, 10);
    expect(sc, "   push_acked 0..10\n   digest_build\n0> digest 0\n");
    script_free(sc);
}

static void test_an_answer_with_the_number_of_an_earlier_request_is_ignored(void **state)
{
    struct script *sc = greeted(10);
    uint64_t tag;

    (void)state;
    tag = sc->tags[0];
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    sc->tags[0] = tag;
    hub_push(sc, 0, 10);
    expect(sc, "log sync.late_reply\n");
    hub_watch(sc, true); /* on a channel that waits for nothing */
    expect(sc, "log sync.late_reply\n");
    script_free(sc);
}

static void test_an_answer_to_something_else_drops_the_line(void **state)
{
    struct script *sc = greeted(10);

    (void)state;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    hub_pull(sc, 0, 0, 1, 1);
    expect(
        sc,
        "log sync.bad_reply\ndisconnect bad_message\nlog uplink.lost\nstate offline bad_message\n");
    script_free(sc);
}

static void test_an_answer_that_does_not_decode_drops_the_line(void **state)
{
    struct script *sc = live();

    (void)state;
    plain(sc, SYNC_EV_BAD);
    expect(
        sc,
        "log sync.bad_reply\ndisconnect bad_message\nlog uplink.lost\nstate offline bad_message\n");
    plain(sc, SYNC_EV_BAD); /* the line is gone */
    expect(sc, "");
    script_free(sc);
}

static void test_a_pull_that_says_more_and_does_not_move_drops_the_line(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    hub_prove(sc, 0, 8);
    hub_pull(sc, 0, 0, 0, 3);
    trace_clear(&sc->trace);
    struct perche_message m = {.op = PERCHE_OP_PULL};
    m.u.pull_reply.from_scan = m.u.pull_reply.scan = 3;
    m.u.pull_reply.more = true;
    answer(sc, 0, m);
    expect(
        sc,
        "log sync.bad_reply\ndisconnect bad_message\nlog uplink.lost\nstate offline bad_message\n");
    script_free(sc);
}

static void test_the_outcome_of_a_work_that_was_cut_off_is_kept_and_not_acted_upon(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    hub_prove(sc, 0, 8);
    sc->hold = true;
    sc->rows_wanted = 1;
    hub_pull(sc, 0, 0, 8, 8);
    down(sc, "lost");
    wait_timer(sc);
    plain(sc, SYNC_EV_LINE_UP);
    trace_clear(&sc->trace);
    plain(sc, SYNC_EV_CHANGED); /* the greeting waits for what the replica is still at */
    expect(sc, "   harvest\n");
    works(sc);
    expect(sc, "0> hello\n");
    sc->hold = false;
    works(sc);
    hub_hello(sc);
    hub_prove(sc, 0, 8);
    expect(sc, "   prove_build\n0> prove\n   proved\nlog sync.proven\n"
               "0> rows 1\n" /* asked for by the apply that nobody waited for */
               "state syncing\n");
    script_free(sc);
}

/* ---- dialling ---------------------------------------------------------------------------------- */

static void test_waits_between_dials_are_random_and_grow_to_five_minutes(void **state)
{
    struct script *sc = started();
    uint64_t longest = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        uint64_t bound = i < 8 ? 2000u << i : 300000u, waited;

        down(sc, "lost");
        waited = wait_timer(sc);
        assert_in_range(waited, 1000, bound);
        longest = waited > longest ? waited : longest;
        trace_clear(&sc->trace);
    }
    assert_true(longest > 200000);
    script_free(sc);
}

static void test_after_a_refused_connection_the_wait_is_fifteen_seconds_at_most_however_often(
    void **state)
{
    struct script *sc = started();
    uint64_t longest = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        uint64_t before = sc->mono;

        down(sc, "refused");
        if (sc->timer > sc->mono)
            wait_timer(sc);
        assert_true(sc->mono - before <= 15000);
        longest = sc->mono - before > longest ? sc->mono - before : longest;
        trace_clear(&sc->trace);
    }
    assert_true(longest > 12000);
    script_free(sc);
}

static void test_a_proven_session_resets_the_wait(void **state)
{
    struct script *sc = started();

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        down(sc, "lost");
        wait_timer(sc);
    }
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    hub_prove(sc, 0, 0);
    down(sc, "lost");
    assert_in_range(wait_timer(sc), 1000, 2000);
    script_free(sc);
}

static void test_a_dial_that_nobody_reports_on_is_given_up(void **state)
{
    struct script *sc = started();

    (void)state;
    assert_int_equal(wait_timer(sc), 60000);
    expect(sc, "disconnect timeout\nlog uplink.lost\nstate offline timeout\n");
    down(sc, "lost"); /* late: already known */
    expect(sc, "");
    script_free(sc);
}

static void test_why_a_line_was_lost_is_shown_by_its_reason_code(void **state)
{
    struct script *sc = started();

    (void)state;
    down(sc, "certificate");
    expect(sc, "log uplink.lost\nstate offline certificate\n");
    wait_timer(sc);
    trace_clear(&sc->trace);
    down(sc, "anything else");
    expect(sc, "log uplink.lost\nstate offline lost\n");
    script_free(sc);
}

static void test_sync_now_dials_at_once(void **state)
{
    struct script *sc = started();

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        down(sc, "lost");
        wait_timer(sc);
    }
    down(sc, "lost");
    trace_clear(&sc->trace);
    sync_now(sc, 1, 0);
    expect(sc, "   harvest\nconnect\nstate connecting\n");
    script_free(sc);
}

/* ---- the hub says no ----------------------------------------------------------------------------- */

static void refused_for_good(uint8_t why, const char *reason)
{
    struct script *sc = greeted(0);
    char wanted[256];
    uint64_t waited;

    hub_no(sc, 0, PERCHE_OP_PROVE, why);
    (void)snprintf(wanted, sizeof wanted,
                   "log sync.refused\ndisconnect %s\nlog sync.given_up\nstate refused %s\n", reason,
                   reason);
    expect(sc, wanted);
    waited = wait_timer(sc);
    assert_in_range(waited, 150000, 300000);
    expect(sc, "connect\nstate connecting\n");
    script_free(sc);
}

static void test_revoked_unknown_signature_and_version_are_states_with_a_reason_and_retried_slowly(
    void **state)
{
    (void)state;
    refused_for_good(PERCHE_NO_REVOKED, "revoked");
    refused_for_good(PERCHE_NO_UNKNOWN, "unknown_site");
    refused_for_good(PERCHE_NO_SIGNATURE, "signature");
    refused_for_good(PERCHE_NO_VERSION, "version");
}

static void test_a_revocation_while_live_comes_by_the_watch(void **state)
{
    struct script *sc = live();

    (void)state;
    hub_no(sc, 2, PERCHE_OP_WATCH, PERCHE_NO_REVOKED);
    expect(sc, "log sync.refused\ndisconnect revoked\nlog sync.given_up\nstate refused revoked\n");
    script_free(sc);
}

static void test_another_hub_than_the_one_joined_is_refused(void **state)
{
    struct script *sc = started();
    struct perche_message m = {.op = PERCHE_OP_HELLO};

    (void)state;
    plain(sc, SYNC_EV_LINE_UP);
    trace_clear(&sc->trace);
    m.u.hello_reply.hub = OTHER;
    m.u.hello_reply.version = 1;
    answer(sc, 0, m);
    expect(sc, "disconnect identity\nlog sync.given_up\nstate refused identity\n");
    script_free(sc);
}

static void test_a_hub_that_says_a_time_that_no_clock_says_is_no_hub(void **state)
{
    static const char refused[] = "log sync.bad_reply\ndisconnect bad_message\nlog uplink.lost\nstate offline bad_message\n";
    struct script *sc = started();
    struct perche_message m = {.op = PERCHE_OP_HELLO};

    (void)state;
    plain(sc, SYNC_EV_LINE_UP);
    trace_clear(&sc->trace);
    m.u.hello_reply.hub = HUB;
    m.u.hello_reply.version = 1;
    m.u.hello_reply.clock_ms = UINT64_C(1) << 47;
    answer(sc, 0, m);
    expect(sc, refused);
    script_free(sc);

    sc = started();
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    trace_clear(&sc->trace);
    m = (struct perche_message){.op = PERCHE_OP_PROVE};
    m.u.prove_reply.verdict = PERCHE_PROVEN;
    m.u.prove_reply.session = 1;
    m.u.prove_reply.clock_ms = UINT64_C(1) << 47;
    answer(sc, 0, m);
    expect(sc, refused);
    script_free(sc);
}

static void test_a_version_that_nobody_offered_is_refused(void **state)
{
    struct script *sc = started();
    struct perche_message m = {.op = PERCHE_OP_HELLO};

    (void)state;
    plain(sc, SYNC_EV_LINE_UP);
    trace_clear(&sc->trace);
    m.u.hello_reply.hub = HUB;
    m.u.hello_reply.version = 2;
    answer(sc, 0, m);
    expect(sc, "disconnect version\nlog sync.given_up\nstate refused version\n");
    script_free(sc);
}

static void test_no_session_shakes_hands_again_on_the_same_line(void **state)
{
    struct script *sc = live();

    (void)state;
    sync_now(sc, 1, 0);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_DIGEST, PERCHE_NO_SESSION);
    expect(sc, "log sync.refused\n0> hello\nstate connecting session\n");
    hub_no(sc, 2, PERCHE_OP_WATCH, PERCHE_NO_SESSION); /* the watch of the same session */
    expect(sc, "");
    hub_hello(sc);
    hub_prove(sc, 0, 0);
    expect(
        sc,
        "   prove_build\n0> prove\n   proved\nlog sync.proven\n   push_build from 0\nstate syncing\n"
        "   digest_build\n0> digest 0\n");
    hub_digest(sc, PERCHE_EQUAL);
    expect(sc, "   digest_take\nsynced 1 yes\nlog sync.live\n2> watch 0/0\nstate live\n");
    script_free(sc);
}

static void test_a_watch_that_ends_with_its_session_shakes_hands_again(void **state)
{
    struct script *sc = live();

    (void)state;
    hub_no(sc, 2, PERCHE_OP_WATCH, PERCHE_NO_SESSION);
    expect(sc, "0> hello\nstate connecting session\n");
    script_free(sc);
}

static void test_a_site_whose_sessions_end_again_and_again_waits(void **state)
{
    struct script *sc = live();

    (void)state;
    edit(sc, 1);
    for (unsigned i = 0; i < 3; i++) {
        hub_no(sc, 0, PERCHE_OP_PUSH, PERCHE_NO_SESSION);
        hub_hello(sc);
        hub_prove(sc, 0, 0);
    }
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_PUSH, PERCHE_NO_SESSION);
    expect(sc, "log sync.refused\nstate connecting session\n");
    assert_in_range(wait_timer(sc), 1000, 2000);
    expect(sc, "0> hello\n");
    script_free(sc);
}

static void test_no_position_takes_what_the_hub_has_from_a_new_prove(void **state)
{
    struct script *sc = greeted(30);

    (void)state;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_PUSH, PERCHE_NO_POSITION);
    hub_hello(sc);
    hub_prove(sc, 20, 0);
    expect(sc,
           "log sync.refused\n0> hello\nstate connecting position\n   prove_build\n0> prove\n"
           "   proved\nlog sync.proven\n   push_build from 20\nstate syncing\n0> push 20..30\n");
    script_free(sc);
}

static void test_no_clock_measures_the_offset_again(void **state)
{
    struct script *sc = greeted(10);

    (void)state;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_PUSH, PERCHE_NO_CLOCK);
    expect(sc, "log sync.refused\n0> hello\nstate connecting clock\n");
    sc->offset_ms = 0;
    hub_hello(sc);
    hub_prove(sc, 0, 0);
    assert_int_equal(sc->offset_ms, 5020);
    script_free(sc);
}

static void test_later_comes_back_at_its_turn_and_with_little(void **state)
{
    struct script *sc = greeted(100);

    (void)state;
    sc->pipelined = true;
    sc->batch_rows = 90;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_PUSH, PERCHE_NO_LATER);
    hub_no(sc, 1, PERCHE_OP_PUSH, PERCHE_NO_LATER);
    expect(sc, "state syncing later\n");
    sync_now(sc, 1, 0); /* does not jump the queue */
    expect(sc, "   harvest\n");
    assert_int_equal(wait_timer(sc), 700);
    expect(sc, "   push_build from 0\n0> push 0..90\n"); /* no second batch behind it */
    assert_int_equal(sc->bytes_max, PERCHE_BATCH_BYTES_MIN);
    assert_int_equal(sc->rows_max, 100);
    hub_push(sc, 0, 90);
    expect(sc, "   push_acked 0..90\n   of which batch is not known\n   push_build from 90\nstate syncing\n0> push 90..100\n");
    assert_true(sc->bytes_max > PERCHE_BATCH_BYTES_MIN);
    script_free(sc);
}

static void test_a_disk_error_of_the_hub_waits_on_the_line(void **state)
{
    struct script *sc = greeted(10);

    (void)state;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    for (unsigned i = 0; i < 5; i++) {
        hub_no(sc, 0, PERCHE_OP_PUSH, i % 2 == 0 ? PERCHE_NO_DISK : PERCHE_NO_INTERNAL);
        assert_in_range(wait_timer(sc), 1000, 2000u << i);
    }
    assert_null(strstr(sc->trace.text, "disconnect"));
    assert_non_null(strstr(sc->trace.text, "state syncing disk\n"));
    trace_clear(&sc->trace);
    hub_push(sc, 0, 10);
    expect(sc, "   push_acked 0..10\n   digest_build\nstate syncing\n0> digest 0\n");
    script_free(sc);
}

static void test_too_large_makes_the_batches_smaller(void **state)
{
    struct script *sc = greeted(10);

    (void)state;
    hub_prove(sc, 0, 0);
    for (unsigned i = 1; i <= 4; i++) {
        hub_no(sc, 0, PERCHE_OP_PUSH, PERCHE_NO_TOO_LARGE);
        assert_int_equal(sc->bytes_max, 65536u >> i);
    }
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_PUSH, PERCHE_NO_TOO_LARGE); /* no smaller one: one row is too large */
    expect(sc, "log sync.refused\nstate syncing too_large\n");
    assert_in_range(wait_timer(sc), 1000, 2000);
    script_free(sc);
}

static void test_a_message_that_the_hub_cannot_read_drops_the_line(void **state)
{
    struct script *sc = greeted(10);

    (void)state;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_HELLO, PERCHE_NO_BAD); /* it cannot say what it was */
    expect(
        sc,
        "log sync.refused\ndisconnect bad_message\nlog uplink.lost\nstate offline bad_message\n");
    script_free(sc);
}

static void test_every_refusal_of_every_request_ends_in_a_new_try(void **state)
{
    (void)state;
    for (uint8_t op = PERCHE_OP_HELLO; op <= PERCHE_OP_WATCH; op++) {
        for (uint8_t why = 0; why < 30; why++) { /* numbers that nobody has given yet too */
            struct script *sc =
                op <= PERCHE_OP_PROVE ? script_new(HUB, 0) : greeted(op == PERCHE_OP_PUSH ? 10 : 0);
            unsigned tries = 0;

            if (op <= PERCHE_OP_PROVE) {
                plain(sc, SYNC_EV_START);
                plain(sc, SYNC_EV_LINE_UP);
                if (op == PERCHE_OP_PROVE)
                    hub_hello(sc);
            } else {
                sc->rows_wanted = op == PERCHE_OP_ROWS;
                hub_prove(sc, 0, op == PERCHE_OP_PULL || op == PERCHE_OP_ROWS ? 5 : 0);
                if (op == PERCHE_OP_ROWS)
                    hub_pull(sc, 0, 0, 5, 5);
                if (op == PERCHE_OP_WATCH)
                    hub_digest(sc, PERCHE_EQUAL);
            }
            trace_clear(&sc->trace);
            hub_no(sc, op == PERCHE_OP_WATCH ? 2 : 0, op, why);
            while (strstr(sc->trace.text, "> ") == NULL &&
                   strstr(sc->trace.text, "connect\nstate connecting") == NULL) {
                assert_true(++tries < 5);
                wait_timer(sc);
            }
            script_free(sc);
        }
    }
}

static void verdict_held(uint8_t verdict, const char *reason)
{
    struct script *sc = greeted(0);
    char wanted[256];

    sc->fails[WORK_PROVED] = PERCHE_STATE;
    hub_prove_says(sc, verdict, 0, 0);
    (void)snprintf(wanted, sizeof wanted,
                   "   proved\ndisconnect %s\nlog sync.held\nstate held %s\n", reason, reason);
    expect(sc, wanted);
    assert_in_range(wait_timer(sc), 150000, 300000);
    expect(sc, "connect\nstate connecting\n");
    script_free(sc);
}

static void test_verdicts_that_the_replica_does_not_take_hold_the_site(void **state)
{
    (void)state;
    verdict_held(PERCHE_GO_BACK, "hub_restored");
    verdict_held(PERCHE_TWO_MACHINES, "two_machines");
    verdict_held(PERCHE_RESTORED, "restored");
}

static void test_a_site_that_got_as_many_migrations_as_an_answer_may_have_asks_for_the_rest(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    sc->more_migrations = true;
    hub_prove_says(sc, PERCHE_PROVEN, 0, 0);
    expect(sc, "   proved\n0> hello\n");
    sc->more_migrations = false;
    hub_hello(sc);
    trace_clear(&sc->trace);
    hub_prove_says(sc, PERCHE_PROVEN, 0, 0);
    expect(sc, "   proved\nlog sync.proven\n   push_build from 0\nstate syncing\n   digest_build\n0> digest 0\n");
    script_free(sc);
}

static void test_a_full_disk_at_the_verdict_does_not_hold_the_site(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    sc->fails[WORK_PROVED] = PERCHE_FULL;
    hub_prove_says(sc, PERCHE_GO_BACK, 0, 0);
    expect(sc, "   proved\nlog replica.failed\nstate connecting disk\n");
    assert_in_range(wait_timer(sc), 1000, 2000);
    expect(sc, "0> hello\n");
    script_free(sc);
}

static void test_a_restored_site_announces_its_new_epoch(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    hub_prove_says(sc, PERCHE_RESTORED, 0, 0);
    expect(sc, "   proved\nlog sync.restored\n0> hello\nstate connecting restored\n");
    for (int i = 0; i < 2; i++) { /* each time a new epoch: nothing is pushed or pulled before one is taken */
        hub_hello(sc);
        trace_clear(&sc->trace);
        hub_prove_says(sc, PERCHE_RESTORED, 0, 0);
        expect(sc, "   proved\nlog sync.restored\n0> hello\n");
    }
    hub_hello(sc);
    trace_clear(&sc->trace);
    hub_prove_says(sc, PERCHE_RESTORED, 0, 0); /* a hub that goes on saying so does not make a fast circle */
    expect(sc, "   proved\nlog sync.restored\n");
    assert_in_range(wait_timer(sc), 1000, 2000);
    expect(sc, "0> hello\n");
    hub_hello(sc);
    trace_clear(&sc->trace);
    hub_prove_says(sc, PERCHE_PROVEN, 0, 0);
    expect(
        sc,
        "   proved\nlog sync.proven\n   push_build from 0\nstate syncing\n   digest_build\n0> digest 0\n");
    script_free(sc);
}

static void test_a_mark_that_the_hub_did_not_see_is_shown(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    sc->mark_needed = 7;
    hub_prove_says(sc, PERCHE_RESTORED, 0, 0);
    expect(sc, "   proved\n0> hello\n");
    trace_clear(&sc->trace);
    hub_hello(sc);
    expect(sc, "   prove_build\n   mark 7\n0> prove\n");
    script_free(sc);
}

/* ---- works that fail ----------------------------------------------------------------------------------- */

static void test_a_full_disk_is_shown_and_tried_again(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    hub_prove(sc, 0, 5);
    trace_clear(&sc->trace);
    sc->fails[WORK_PULL_APPLY] = PERCHE_FULL;
    hub_pull(sc, 0, 0, 5, 5);
    expect(sc, "   pull_apply\nlog replica.failed\nstate syncing disk\n");
    assert_in_range(wait_timer(sc), 1000, 2000);
    expect(sc, "   pull_build\n0> pull 0/0\n");
    hub_pull(sc, 0, 0, 5, 5);
    expect(sc, "   pull_apply\n   digest_build\nstate syncing\n0> digest 0\n");
    script_free(sc);
}

static void test_an_acknowledgement_that_cannot_be_stored_is_taken_again_later(void **state)
{
    struct script *sc = greeted(10);

    (void)state;
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    sc->fails[WORK_PUSH_ACKED] = PERCHE_DISK;
    hub_push(sc, 0, 10);
    expect(sc, "   push_acked 0..10\nlog replica.failed\nstate connecting disk\n");
    wait_timer(sc); /* no push from 0: prove will say 10 */
    hub_hello(sc);
    hub_prove(sc, 10, 0);
    hub_digest(sc, PERCHE_EQUAL);
    assert_non_null(strstr(sc->trace.text, "state live\n"));
    script_free(sc);
}

static void test_a_harvest_that_fails_is_tried_again_with_a_growing_wait(void **state)
{
    struct script *sc = live();

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        sc->fails[WORK_HARVEST] = PERCHE_FULL;
        if (i == 0)
            edit(sc, 1);
        if (i < 3)
            sc->fails[WORK_HARVEST] = PERCHE_FULL;
        assert_in_range(wait_timer(sc), 1000, 2000u << i);
        hub_watch(sc, false);
    }
    wait_timer(sc);
    assert_non_null(strstr(sc->trace.text, "state live disk\n"));
    assert_non_null(strstr(sc->trace.text, "0> push 0..1\n"));
    script_free(sc);
}

static void test_a_replica_that_cannot_be_read_at_the_start_is_tried_again(void **state)
{
    struct script *sc = script_new(HUB, 0);

    (void)state;
    sc->fails[WORK_STATE] = PERCHE_BUSY;
    plain(sc, SYNC_EV_START);
    expect(sc, "   state\nstate offline\nlog replica.failed\nstate offline busy\n");
    wait_timer(sc);
    expect(sc, "   state\n   harvest\nconnect\nstate connecting\n");
    script_free(sc);
}

static void test_an_outcome_that_says_stale_shakes_hands_again(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    hub_prove(sc, 0, 5);
    trace_clear(&sc->trace);
    sc->fails[WORK_PULL_APPLY] = PERCHE_STALE;
    hub_pull(sc, 0, 0, 5, 5);
    expect(sc, "   pull_apply\nlog replica.failed\n0> hello\nstate connecting stale\n");
    script_free(sc);
}

/* ---- leaving --------------------------------------------------------------------------------------------------- */

static void test_a_site_leaves_once_the_hub_has_answered(void **state)
{
    struct script *sc = live();

    (void)state;
    leave(sc, 4);
    expect(sc, "   leave_build\n0> leave\n");
    answer(sc, 0, (struct perche_message){.op = PERCHE_OP_LEAVE});
    expect(sc, "disconnect left\nlog sync.given_up\nleft 4 yes\nstate refused left\n");
    script_free(sc);
}

static void test_a_site_does_not_leave_while_something_waits(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->waits = true;
    leave(sc, 4);
    expect(sc, "   leave_build\nleft 4 waiting: 3 rows wait\n");
    sc->waits = false;
    sc->fails[WORK_LEAVE_BUILD] = PERCHE_DISK;
    leave(sc, 5);
    expect(sc, "   leave_build\nleft 5 disk: told to fail\n");
    edit(sc, 1); /* and everything goes on */
    expect(sc, "   harvest\n   push_build from 0\n0> push 0..1\n");
    leave(sc, 6); /* in its turn: when the push is answered */
    expect(sc, "");
    hub_push(sc, 0, 1);
    expect(sc, "   push_acked 0..1\n   leave_build\n0> leave\n");
    script_free(sc);
}

static void test_a_lost_answer_to_leave_is_heard_at_the_next_proof(void **state)
{
    struct script *sc = live();

    (void)state;
    leave(sc, 4);
    trace_clear(&sc->trace);
    down(sc, "lost");
    expect(sc, "log uplink.lost\nstate offline lost\n"); /* who asked waits on */
    wait_timer(sc);
    expect(sc, "connect\nstate connecting\n");
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_PROVE, PERCHE_NO_LEFT);
    expect(sc, "log sync.refused\ndisconnect left\nlog sync.given_up\nleft 4 yes\nstate refused left\n");
    leave(sc, 5); /* and asked once more it looks once more */
    expect(sc, "connect\nstate connecting\n");
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_PROVE, PERCHE_NO_LEFT);
    expect(sc, "log sync.refused\ndisconnect left\nlog sync.given_up\nleft 5 yes\nstate refused left\n");
    script_free(sc);
}

static void test_without_a_line_nobody_leaves(void **state)
{
    struct script *sc = started();

    (void)state;
    leave(sc, 4);
    down(sc, "refused");
    expect(sc, "log uplink.lost\nleft 4 offline: refused\nstate offline refused\n");
    wait_timer(sc);
    leave(sc, 5);
    trace_clear(&sc->trace);
    wait_ms(sc, 20000); /* nothing at all is heard */
    expect(sc, "left 5 offline\n");
    script_free(sc);
}

static void test_a_site_that_is_refused_or_held_is_told_why_it_cannot_leave(void **state)
{
    struct script *sc = greeted(0);

    (void)state;
    leave(sc, 4);
    hub_no(sc, 0, PERCHE_OP_PROVE, PERCHE_NO_REVOKED);
    expect(sc, "log sync.refused\ndisconnect revoked\nlog sync.given_up\nleft 4 revoked\nstate refused revoked\n");
    script_free(sc);
    sc = greeted(0);
    leave(sc, 4);
    sc->fails[WORK_PROVED] = PERCHE_STATE;
    hub_prove_says(sc, PERCHE_TWO_MACHINES, 0, 0);
    expect(sc, "   proved\ndisconnect two_machines\nlog sync.held\nleft 4 two_machines\nstate held two_machines\n");
    script_free(sc);
}

static void test_what_the_hub_does_not_take_as_a_leave_is_asked_again_until_the_time_is_up(void **state)
{
    struct script *sc = live();

    (void)state;
    leave(sc, 4);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_LEAVE, PERCHE_NO_POSITION);
    expect(sc, "log sync.refused\n0> hello\nstate connecting position\n");
    hub_hello(sc);
    hub_prove(sc, 0, 0);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_LEAVE, PERCHE_NO_LATER);
    expect(sc, "state syncing later\n");
    wait_ms(sc, 700);
    expect(sc, "   leave_build\n0> leave\n");
    wait_ms(sc, 20000);
    expect(sc, "left 4 timeout: later\n");
    answer(sc, 0, (struct perche_message){.op = PERCHE_OP_LEAVE}); /* it did all the same: seen by its state */
    expect(sc, "disconnect left\nlog sync.given_up\nstate refused left\n");
    script_free(sc);
}

static void test_a_site_that_has_not_joined_has_left(void **state)
{
    struct script *sc = script_new(NULL, 0);

    (void)state;
    plain(sc, SYNC_EV_START);
    trace_clear(&sc->trace);
    leave(sc, 4);
    expect(sc, "left 4 yes\n");
    script_free(sc);
}

/* ---- comparing ---------------------------------------------------------------------------------------------- */

static void test_later_pulls_first_and_compares_again(void **state)
{
    struct script *sc = live();

    (void)state;
    sync_now(sc, 1, 0);
    trace_clear(&sc->trace);
    hub_digest(sc, PERCHE_LATER);
    expect(sc, "   pull_build\n0> pull 0/0\n");
    hub_pull(sc, 0, 0, 4, 4);
    expect(sc, "   pull_apply\n   digest_build\n0> digest 0\n");
    hub_digest(sc, PERCHE_EQUAL);
    expect(sc, "   digest_take\nsynced 1 yes\nstate live\n");
    script_free(sc);
}

static void test_later_again_and_again_compares_ever_less_often_and_is_live_all_the_same(
    void **state)
{
    struct script *sc = greeted(0);
    uint64_t scan = 0, began;

    (void)state;
    hub_prove(sc, 0, 1);
    hub_pull(sc, 0, 0, 1, 1);
    scan = 1;
    began = sc->mono;
    for (unsigned i = 0; i < 5; i++) {
        hub_digest(sc, PERCHE_LATER);
        hub_pull(sc, scan, scan, scan + 1, scan + 1);
        scan++;
        if (i > 0)
            wait_timer(sc);
    }
    assert_int_equal(sc->mono - began, 250 + 500 + 1000 + 2000);
    assert_non_null(strstr(sc->trace.text, "state live\n"));
    script_free(sc);
}

/* As far as the pull that asks for the root; its position is 3. @waiter: somebody waits. */
static struct script *busy(bool waiter)
{
    struct script *sc = live();

    if (waiter) {
        sync_now(sc, 1, 10000);
    } else { /* by itself, an edit later */
        edit(sc, 1);
        hub_push(sc, 0, 1);
        wait_timer(sc);
    }
    for (uint64_t i = 0; i < 3; i++) {
        assert_false(sc->asks_root);
        hub_digest(sc, PERCHE_LATER);
        if (i < 2)
            hub_pull(sc, i, i, i + 1, i + 1);
        if (i == 1)
            wait_timer(sc);
    }
    trace_clear(&sc->trace);
    return sc;
}

static void test_after_three_times_later_the_pull_brings_the_proof(void **state)
{
    for (unsigned waiter = 0; waiter < 2; waiter++) {
        struct script *sc = busy(waiter);
        struct sync_site_view view;

        (void)state;
        assert_true(sc->asks_root);
        hub_pull_root(sc, 2, 5);
        expect(sc, waiter ? "   pull_apply\nsynced 1 yes\nstate live\n" : "   pull_apply\nstate live\n");
        sync_site_view(sc->site, &view);
        assert_true(view.proven_ms == CLOCK + sc->mono);
        edit(sc, 1); /* the next comparison is an ordinary one */
        hub_push(sc, 0, sc->st.lsn);
        wait_timer(sc);
        hub_digest(sc, PERCHE_LATER);
        assert_false(sc->asks_root);
        script_free(sc);
    }
}

static void test_a_pull_that_brings_no_root_is_asked_again(void **state)
{
    struct script *sc = busy(true);

    (void)state;
    hub_pull(sc, 2, 2, 3, 3);
    expect(sc, "   pull_apply\n");
    wait_timer(sc);
    expect(sc, "   digest_build\n0> digest 0\n");
    hub_digest(sc, PERCHE_LATER);
    expect(sc, "   pull_build\n0> pull 3/3\n");
    assert_true(sc->asks_root);
    hub_pull(sc, 3, 3, 3, 9); /* not the last answer */
    expect(sc, "   pull_apply\nstate syncing\n   pull_build\n0> pull 3/9\n");
    assert_true(sc->asks_root);
    script_free(sc);
}

static void test_who_asks_while_a_pull_is_under_way_is_not_answered_by_it(void **state)
{
    struct script *sc = busy(true);

    (void)state;
    sync_now(sc, 2, 0); /* what the hub has by now may be more than what it has answered from */
    expect(sc, "   harvest\n");
    hub_pull_root(sc, 2, 5);
    expect(sc, "   pull_apply\nsynced 1 yes\n   digest_build\nstate live\n0> digest 0\n");
    hub_digest(sc, PERCHE_EQUAL);
    expect(sc, "   digest_take\nsynced 2 yes\n");
    script_free(sc);
}

static void test_an_edit_while_a_pull_is_under_way_is_compared_after_it_is_sent(void **state)
{
    struct script *sc = busy(true);

    (void)state;
    edit(sc, 1);
    hub_pull_root(sc, 2, 5); /* not comparable here */
    expect(sc, "   harvest\n   pull_apply\n   push_build from 0\n0> push 0..1\n");
    script_free(sc);
}

static void test_a_difference_in_a_snapshot_is_told_and_never_equal(void **state)
{
    struct script *sc = busy(true);

    (void)state;
    sc->unlike = true;
    hub_pull_root(sc, 2, 5);
    expect(sc, "   pull_apply\nlog sync.differs\nstate live differs\n");
    wait_timer(sc);
    expect(sc, "   digest_build\n0> digest 0\n");
    hub_digest(sc, PERCHE_LATER);
    hub_pull_root(sc, 5, 6);
    expect(sc, "   pull_build\n0> pull 5/5\n   pull_apply\n");
    sc->mono += 11000; /* and who waits hears that this is missing */
    plain(sc, SYNC_EV_TIME);
    expect(sc, "synced 1 not_equal\n   digest_build\n0> digest 0\n");
    script_free(sc);
}

static void test_what_differs_is_narrowed_down_repaired_and_compared_again(void **state)
{
    struct script *sc = live();

    (void)state;
    sync_now(sc, 1, 0);
    trace_clear(&sc->trace);
    hub_digest(sc, PERCHE_DIFFERS);
    expect(sc, "   digest_build\n0> digest 1\n");
    hub_digest(sc, PERCHE_DIFFERS);
    expect(sc, "   digest_build\n0> digest 2\n");
    hub_digest(sc, PERCHE_DIFFERS);
    expect(sc, "   digest_build\n0> digest 3\n");
    hub_digest(sc, PERCHE_DIFFERS);
    expect(sc,
           "   digest_take\nlog sync.differs\n   pull_build\nstate live differs\n0> pull 0/0\n");
    hub_pull(sc, 0, 0, 6, 6);
    expect(sc, "   pull_apply\n   push_build from 0\n   digest_build\n0> digest 0\n");
    hub_digest(sc, PERCHE_EQUAL);
    expect(sc, "   digest_take\nsynced 1 yes\nstate live\n");
    script_free(sc);
}

static void test_where_a_bucket_has_few_rows_its_parts_are_not_asked_for(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->few_rows = true;
    sync_now(sc, 1, 0);
    hub_digest(sc, PERCHE_DIFFERS);
    trace_clear(&sc->trace);
    hub_digest(sc, PERCHE_DIFFERS);
    expect(sc, "   digest_build\n0> digest 3\n");
    hub_digest(sc, PERCHE_DIFFERS);
    expect(sc,
           "   digest_take\nlog sync.differs\n   pull_build\nstate live differs\n0> pull 0/0\n");
    script_free(sc);
}

static void test_what_still_differs_after_three_repairs_waits_for_the_interval(void **state)
{
    struct script *sc = live();

    (void)state;
    edit(sc, 1);
    hub_push(sc, 0, 1);
    wait_timer(sc);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned level = 0; level <= PERCHE_LEVEL_ROWS; level++)
            hub_digest(sc, PERCHE_DIFFERS);
        trace_clear(&sc->trace);
        hub_pull(sc, sc->st.full, sc->st.scan, sc->st.scan + 1, sc->st.scan + 1);
    }
    expect(sc, "   pull_apply\n   push_build from 1\n");
    assert_true(wait_timer(sc) >= 30000);
    expect(sc, "   digest_build\n0> digest 0\n");
    script_free(sc);
}

static void test_a_node_that_cannot_compare_now_does_so_later(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->hold = true;
    sync_now(sc, 1, 0);
    sc->hold = false;
    sc->captured = 1; /* another program writes while the harvest is done */
    works(sc);        /* takes it */
    expect(sc, "   harvest\n   push_build from 0\n0> push 0..1\n");
    sc->captured = 2;
    hub_push(sc, 0, 1);
    expect(
        sc,
        "   push_acked 0..1\n   digest_build\n   pull_build\n0> pull 0/0\n"); /* not comparable */
    plain(sc, SYNC_EV_CHANGED);
    hub_pull(sc, 0, 0, 0, 0);
    expect(sc, "   harvest\n   pull_apply\n   push_build from 1\n0> push 1..3\n");
    hub_push(sc, 0, 3);
    hub_digest(sc, PERCHE_EQUAL);
    expect(
        sc,
        "   push_acked 1..3\n   digest_build\n0> digest 0\n   digest_take\nsynced 1 yes\nstate live\n");
    script_free(sc);
}

/* ---- sync --wait --------------------------------------------------------------------------------------------------- */

static void test_sync_wait_is_done_when_all_has_arrived_and_is_equal(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->captured = 1;
    sync_now(sc, 3, 0);
    expect(sc, "   harvest\n   push_build from 0\n0> push 0..1\n");
    hub_push(sc, 0, 1);
    expect(sc, "   push_acked 0..1\n   digest_build\n0> digest 0\n"); /* nobody is kept waiting */
    hub_digest(sc, PERCHE_EQUAL);
    expect(sc, "   digest_take\nsynced 3 yes\nstate live\n");
    script_free(sc);
}

static void test_a_comparison_begun_before_the_command_does_not_answer_it(void **state)
{
    struct script *sc = live();

    (void)state;
    sync_now(sc, 3, 0);
    sync_now(sc, 4, 0); /* while the digest is on its way */
    trace_clear(&sc->trace);
    hub_digest(sc, PERCHE_EQUAL);
    expect(sc, "   digest_take\nsynced 3 yes\n   digest_build\nstate live\n0> digest 0\n");
    hub_digest(sc, PERCHE_EQUAL);
    expect(sc, "   digest_take\nsynced 4 yes\n");
    script_free(sc);
}

static void test_a_harvest_begun_before_the_command_does_not_count_for_it(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->hold = true;
    plain(sc, SYNC_EV_CHANGED);
    sync_now(sc, 3, 0);
    expect(sc, "   harvest\n");
    sc->hold = false;
    works(sc);
    expect(sc, "   harvest\n   digest_build\n0> digest 0\n");
    script_free(sc);
}

static void test_sync_wait_says_offline(void **state)
{
    struct script *sc = started();

    (void)state;
    down(sc, "lost");
    trace_clear(&sc->trace);
    sync_now(sc, 3, 500);
    expect(sc, "   harvest\nconnect\nstate connecting\n");
    wait_timer(sc);
    expect(sc, "synced 3 offline\n");
    script_free(sc);
}

static void test_sync_wait_says_not_pushed(void **state)
{
    struct script *sc = live();

    (void)state;
    sc->captured = 1;
    sync_now(sc, 3, 500);
    trace_clear(&sc->trace);
    wait_timer(sc);
    expect(sc, "synced 3 not_pushed\n");
    script_free(sc);
}

static void test_sync_wait_says_not_pulled(void **state)
{
    struct script *sc = live();

    (void)state;
    sync_now(sc, 3, 500);
    hub_digest(sc, PERCHE_LATER);
    trace_clear(&sc->trace);
    wait_timer(sc);
    expect(sc, "synced 3 not_pulled\n");
    script_free(sc);
}

static void test_sync_wait_says_not_equal(void **state)
{
    struct script *sc = live();

    (void)state;
    sync_now(sc, 3, 500);
    hub_digest(sc, PERCHE_LATER);
    hub_pull(sc, 0, 0, 1, 1);
    trace_clear(&sc->trace);
    wait_timer(sc);
    expect(sc, "synced 3 not_equal\n");
    script_free(sc);
}

static void test_those_who_wait_hear_at_once_that_the_hub_refuses(void **state)
{
    struct script *sc = live();

    (void)state;
    sync_now(sc, 3, 0);
    sync_now(sc, 4, 0);
    trace_clear(&sc->trace);
    hub_no(sc, 0, PERCHE_OP_DIGEST, PERCHE_NO_REVOKED);
    expect(
        sc,
        "log sync.refused\ndisconnect revoked\nlog sync.given_up\nsynced 3 offline\nsynced 4 offline\n"
        "state refused revoked\n");
    script_free(sc);
}

static void test_more_who_wait_than_there_is_room_for_are_told_so(void **state)
{
    struct script *sc = live();

    (void)state;
    for (unsigned i = 0; i < 33; i++)
        sync_now(sc, i, 0);
    assert_non_null(strstr(sc->trace.text, "synced 32 busy\n"));
    assert_null(strstr(sc->trace.text, "synced 31 "));
    script_free(sc);
}

/* ---- size and rate ----------------------------------------------------------------------------------------------------- */

static void test_batches_grow_on_a_fast_line_and_shrink_on_a_slow_one(void **state)
{
    struct script *sc = greeted(1000000);

    (void)state;
    hub_prove(sc, 0, 0);
    assert_int_equal(sc->bytes_max, 64 << 10);
    assert_int_equal(sc->rows_max, 2000);
    for (unsigned i = 0; i < 3; i++)
        hub_push(sc, 0, sc->st.acked + 10); /* 10 kB in 40 ms */
    assert_int_equal(sc->bytes_max, 1 << 20);
    assert_int_equal(sc->rows_max, 2000);
    for (unsigned i = 0; i < 6; i++) {
        struct perche_message m = {.op = PERCHE_OP_PUSH};

        m.u.push_reply.have = sc->st.acked + 10;
        sc->mono += 20000;
        answer_line(sc, 0, &m, 20000);
    }
    assert_int_equal(sc->bytes_max, 4 << 10);
    script_free(sc);
}

static void test_a_cut_under_a_batch_makes_the_next_one_smaller(void **state)
{
    struct script *sc = greeted(1000);

    (void)state;
    hub_prove(sc, 0, 0);
    down(sc, "lost");
    wait_timer(sc);
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    hub_prove(sc, 0, 0);
    assert_int_equal(sc->bytes_max, 32 << 10);
    script_free(sc);
}

static void test_max_rate_keeps_the_average_below(void **state)
{
    struct script *sc = script_new(HUB, 2000);
    uint64_t began;

    (void)state;
    sc->st.lsn = 100;
    plain(sc, SYNC_EV_START);
    plain(sc, SYNC_EV_LINE_UP);
    hub_hello(sc);
    hub_prove(sc, 0, 0);
    assert_int_equal(sc->bytes_max, 10000); /* 5 s at that rate */
    began = sc->mono;
    for (unsigned i = 1; i <= 10; i++) {
        sc->mono += 40;
        hub_push(sc, 0, i * 10);
        if (i < 10)
            wait_timer(sc);
    }
    /* 9 batches of 10,256 bytes went before the last one */
    assert_in_range(sc->mono - began, 9 * 10256 / 2, 9 * 10256 / 2 + 1000);
    assert_null(strstr(sc->trace.text, "timeout"));
    script_free(sc);
}

static void test_a_pull_that_waits_goes_before_the_next_push(void **state)
{
    struct script *sc = live();

    (void)state;
    edit(sc, 1);
    hub_watch(sc, true);
    edit(sc, 1);
    trace_clear(&sc->trace);
    hub_push(sc, 0, 1);
    hub_push(sc, 0, 2);
    expect(sc, "   push_acked 0..1\n   push_build from 1\n0> push 1..2\n"
               "   push_acked 1..2\n   pull_build\n0> pull 0/0\n");
    script_free(sc);
}

static void test_the_view_counts_what_went_and_came(void **state)
{
    struct script *sc = live();
    struct sync_site_view before, view;

    (void)state;
    sync_site_view(sc->site, &before);
    edit(sc, 3);
    hub_push(sc, 0, 3);
    hub_watch(sc, true);
    hub_pull(sc, 0, 0, 5, 5);
    sync_site_view(sc->site, &view);
    assert_int_equal(view.state, SYNC_LIVE);
    assert_int_equal(view.rows_out - before.rows_out, 3);
    assert_int_equal(view.rows_in - before.rows_in, 5);
    assert_int_equal(view.bytes_out - before.bytes_out, 3256);
    assert_int_equal(view.bytes_in - before.bytes_in, 600);
    assert_true(view.last_contact_ms == CLOCK + sc->mono);
    assert_true(view.lsn == 3 && view.acked == 3 && view.scan == 5 && view.full == 5 &&
                view.pending == 0);
    assert_int_equal(view.next_try_ms, 0);
    down(sc, "lost");
    sync_site_view(sc->site, &view);
    assert_in_range(view.next_try_ms - CLOCK - sc->mono, 1000, 2000);
    script_free(sc);
}

/* A load of @verdict with news at the hub, 15 s for each batch: after how many batches is it pulled? */
static unsigned batches_before_the_pull(uint8_t verdict)
{
    struct script *sc = greeted(100);
    unsigned batches = 0;

    sc->pipelined = true;
    hub_prove_says(sc, verdict, 0, 5);
    if (verdict == PERCHE_RESTORED) {
        sc->st.must = true;
        hub_hello(sc);
        hub_prove(sc, 0, 5);
    }
    while (strstr(sc->trace.text, "pull 0/0") == NULL) {
        trace_clear(&sc->trace);
        sc->mono += 15000;
        hub_push(sc, batches % 2, sc->st.acked + 10);
        batches++;
    }
    if (batches < 10) {
        hub_pull(sc, 0, 0, 5, 5);
        assert_non_null(strstr(sc->trace.text, "0> push 50..60\n")); /* and on with the load */
    }
    script_free(sc);
    return batches;
}

static void test_a_long_load_lets_a_pull_in_unless_the_site_was_restored(void **state)
{
    (void)state;
    assert_int_equal(batches_before_the_pull(PERCHE_PROVEN), 5); /* 60 s, and the one under way */
    assert_int_equal(batches_before_the_pull(PERCHE_RESTORED), 10); /* all of them */
}

static void test_any_answer_in_any_state_leaves_the_site_in_order(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 400; seed++) {
        struct script *sc = greeted(20);

        sc->seed = seed;
        for (unsigned n = 0; n < 200; n++) {
            struct perche_message m = {0};
            uint8_t r[12];

            script_random(&sc->seed, r, sizeof r);
            sc->hold = r[0] % 3 == 0;
            sc->pipelined = r[0] % 2;
            sc->rows_wanted = r[1] % 8 == 0;
            sc->fails[1 + r[2] % WORK_DIGEST_TAKE] =
                r[3] < 30 ? (enum perche_rc) - (1 + r[4] % 17) : PERCHE_OK;
            m.op = 1 + r[5] % 8;
            m.refused = r[6] < 40;
            if (m.refused) {
                m.u.no.why = r[7] % 18;
                m.u.no.retry_ms = r[8] * 100u;
            } else if (m.op == PERCHE_OP_HELLO) {
                m.u.hello_reply.hub = r[7] < 250 ? HUB : NULL;
                m.u.hello_reply.version = r[8] < 250;
            } else if (m.op == PERCHE_OP_PROVE) {
                m.u.prove_reply.verdict = r[7] % 6;
                m.u.prove_reply.have = sc->st.acked;
                m.u.prove_reply.session = sc->sessions;
                m.u.prove_reply.asof.lsn = r[8];
            } else if (m.op == PERCHE_OP_PUSH) {
                m.u.push_reply.have = r[7] % 4 == 0 ? r[8] : sc->st.lsn;
            } else if (m.op == PERCHE_OP_PULL) {
                m.u.pull_reply.from_full = sc->st.full;
                m.u.pull_reply.from_scan = sc->st.scan;
                m.u.pull_reply.scan = sc->st.scan + r[7] % 3;
                m.u.pull_reply.full = m.u.pull_reply.scan;
                m.u.pull_reply.more = r[8] % 3 == 0;
            } else if (m.op == PERCHE_OP_DIGEST) {
                m.u.digest_reply.answer = r[7] % 5;
            } else if (m.op == PERCHE_OP_WATCH) {
                m.u.watch_reply.news = r[7] % 2;
            }
            switch (r[9] % 12) {
            case 0: down(sc, r[10] % 2 != 0 ? "refused" : "lost"); break;
            case 1: plain(sc, SYNC_EV_LINE_UP); break;
            case 2: wait_ms(sc, r[10] * 300u); break;
            case 3: edit(sc, r[10] % 4); break;
            case 4: sync_now(sc, n, r[10] * 50u); break;
            case 5:
                if (r[10] < 60)
                    plain(sc, SYNC_EV_BAD);
                break;
            default: /* mostly one that is waited for */
                if (r[10] < 200)
                    answer(sc,
                           m.op == PERCHE_OP_WATCH  ? 2
                           : m.op == PERCHE_OP_PUSH ? r[11] % 2
                                                    : 0,
                           m);
                else
                    answer(sc, r[11] % 5 < 3 ? r[11] % 3 : 0, m);
            }
            sc->session_may_be_any = true;
            if (sc->works_count > 8)
                works(sc);
            trace_clear(&sc->trace);
        }
        memset(sc->fails, 0, sizeof sc->fails);
        sc->rows_wanted = 0;
        sc->hold = false;
        works(sc);
        down(sc, "lost"); /* and from a hub that knows the manners everything is taken */
        sync_now(sc, 999, 0);
        plain(sc, SYNC_EV_LINE_UP);
        wait_ms(sc, 1); /* works are done: the greeting goes out */
        hub_hello(sc);
        hub_prove(sc, sc->st.lsn, sc->st.scan);
        for (unsigned i = 0; i < 50; i++) {
            struct sync_site_view view;

            sync_site_view(sc->site, &view);
            if (view.state == SYNC_LIVE && view.proven_ms == CLOCK + sc->mono)
                break;
            assert_true(i < 49);
            if (strstr(sc->trace.text, "0> rows") != NULL) {
                trace_clear(&sc->trace);
                hub_rows(sc);
            } else if (strstr(sc->trace.text, "0> pull") != NULL) {
                trace_clear(&sc->trace);
                hub_pull(sc, sc->st.full, sc->st.scan, sc->st.scan, sc->st.scan);
            } else if (strstr(sc->trace.text, "0> digest") != NULL) {
                trace_clear(&sc->trace);
                hub_digest(sc, PERCHE_EQUAL);
            } else {
                trace_clear(&sc->trace);
                wait_timer(sc);
            }
        }
        script_free(sc);
    }
}

static void test_events_of_a_hub_mean_nothing_to_a_site(void **state)
{
    struct script *sc = live();

    (void)state;
    plain(sc, SYNC_EV_REQUEST);
    plain(sc, SYNC_EV_PIPE_GONE);
    plain(sc, SYNC_EV_WOKEN);
    plain(sc, SYNC_EV_REVOKED);
    expect(sc, "");
    script_free(sc);
}

int main(void)
{
#define T(name) cmocka_unit_test(test_##name)
    const struct CMUnitTest tests[] = {
        T(a_site_greets_proves_pushes_pulls_compares_and_is_live),
        T(the_offset_of_the_clock_is_measured_from_half_the_round_trip),
        T(with_nothing_to_say_and_nothing_new_the_digest_follows_prove_at_once),
        T(a_sync_with_nothing_to_send_costs_one_round_trip),
        T(a_local_change_is_pushed_at_once_when_live_and_compared_when_edits_have_settled),
        T(a_comparison_is_not_put_off_for_ever_by_edits),
        T(a_harvest_is_repeated_while_there_is_more),
        T(a_site_that_is_offline_or_unjoined_harvests_all_the_same),
        T(news_is_pulled_at_once_and_the_watch_parked_again),
        T(what_an_answer_puts_back_is_logged),
        T(a_watch_that_ends_without_news_is_parked_again),
        T(news_that_brings_nothing_is_asked_for_ever_less_often),
        T(rows_that_came_without_themselves_are_asked_for_before_the_next_pull),
        T(rows_that_are_asked_for_again_though_nothing_came_wait),
        T(images_that_are_wanted_are_pulled_once_and_then_wait),
        T(a_bulk_load_has_two_batches_under_way),
        T(the_acknowledgement_of_the_second_batch_waits_for_the_first),
        T(a_refusal_of_the_second_batch_waits_for_the_acknowledgement_of_the_first),
        T(when_the_first_batch_is_refused_the_second_is_forgotten),
        T(what_is_acknowledged_of_a_range_that_was_sent_before_is_not_known),
        T(without_leave_to_pipeline_one_batch_is_under_way),
        T(after_a_cut_nothing_acknowledged_is_sent_again),
        T(a_lost_reply_to_hello_is_asked_for_again),
        T(a_lost_reply_to_prove_is_asked_for_again),
        T(a_lost_reply_to_push_repeats_from_what_the_hub_has),
        T(a_lost_reply_to_pull_is_pulled_again_from_the_same_position),
        T(a_lost_reply_to_rows_is_asked_for_again),
        T(a_lost_reply_to_digest_is_compared_again),
        T(a_lost_watch_gives_the_line_up_after_two_minutes),
        T(a_time_out_allows_for_the_size_and_for_a_line_that_has_become_slower),
        T(a_pull_that_did_not_come_in_time_is_given_more_until_one_does),
        T(a_proof_that_did_not_come_in_time_is_given_more),
        T(empty_pushes_of_many_sessions_are_no_circle),
        T(a_late_answer_to_a_pull_is_not_applied),
        T(an_acknowledgement_of_less_than_the_batch_acknowledges_nothing),
        T(an_answer_with_the_number_of_an_earlier_request_is_ignored),
        T(an_answer_to_something_else_drops_the_line),
        T(an_answer_that_does_not_decode_drops_the_line),
        T(a_pull_that_says_more_and_does_not_move_drops_the_line),
        T(the_outcome_of_a_work_that_was_cut_off_is_kept_and_not_acted_upon),
        T(waits_between_dials_are_random_and_grow_to_five_minutes),
        T(after_a_refused_connection_the_wait_is_fifteen_seconds_at_most_however_often),
        T(a_proven_session_resets_the_wait),
        T(a_dial_that_nobody_reports_on_is_given_up),
        T(why_a_line_was_lost_is_shown_by_its_reason_code),
        T(sync_now_dials_at_once),
        T(revoked_unknown_signature_and_version_are_states_with_a_reason_and_retried_slowly),
        T(a_revocation_while_live_comes_by_the_watch),
        T(another_hub_than_the_one_joined_is_refused),
        T(a_hub_that_says_a_time_that_no_clock_says_is_no_hub),
        T(a_version_that_nobody_offered_is_refused),
        T(no_session_shakes_hands_again_on_the_same_line),
        T(a_watch_that_ends_with_its_session_shakes_hands_again),
        T(a_site_whose_sessions_end_again_and_again_waits),
        T(no_position_takes_what_the_hub_has_from_a_new_prove),
        T(no_clock_measures_the_offset_again),
        T(later_comes_back_at_its_turn_and_with_little),
        T(a_disk_error_of_the_hub_waits_on_the_line),
        T(too_large_makes_the_batches_smaller),
        T(a_message_that_the_hub_cannot_read_drops_the_line),
        T(every_refusal_of_every_request_ends_in_a_new_try),
        T(verdicts_that_the_replica_does_not_take_hold_the_site),
        T(a_site_that_got_as_many_migrations_as_an_answer_may_have_asks_for_the_rest),
        T(a_full_disk_at_the_verdict_does_not_hold_the_site),
        T(a_restored_site_announces_its_new_epoch),
        T(a_mark_that_the_hub_did_not_see_is_shown),
        T(a_full_disk_is_shown_and_tried_again),
        T(an_acknowledgement_that_cannot_be_stored_is_taken_again_later),
        T(a_harvest_that_fails_is_tried_again_with_a_growing_wait),
        T(a_replica_that_cannot_be_read_at_the_start_is_tried_again),
        T(an_outcome_that_says_stale_shakes_hands_again),
        T(a_site_leaves_once_the_hub_has_answered),
        T(a_site_does_not_leave_while_something_waits),
        T(a_lost_answer_to_leave_is_heard_at_the_next_proof),
        T(without_a_line_nobody_leaves),
        T(a_site_that_is_refused_or_held_is_told_why_it_cannot_leave),
        T(what_the_hub_does_not_take_as_a_leave_is_asked_again_until_the_time_is_up),
        T(a_site_that_has_not_joined_has_left),
        T(later_pulls_first_and_compares_again),
        T(later_again_and_again_compares_ever_less_often_and_is_live_all_the_same),
        T(what_differs_is_narrowed_down_repaired_and_compared_again),
        T(what_still_differs_after_three_repairs_waits_for_the_interval),
        T(where_a_bucket_has_few_rows_its_parts_are_not_asked_for),
        T(after_three_times_later_the_pull_brings_the_proof),
        T(a_pull_that_brings_no_root_is_asked_again),
        T(who_asks_while_a_pull_is_under_way_is_not_answered_by_it),
        T(an_edit_while_a_pull_is_under_way_is_compared_after_it_is_sent),
        T(a_difference_in_a_snapshot_is_told_and_never_equal),
        T(a_node_that_cannot_compare_now_does_so_later),
        T(sync_wait_is_done_when_all_has_arrived_and_is_equal),
        T(a_comparison_begun_before_the_command_does_not_answer_it),
        T(a_harvest_begun_before_the_command_does_not_count_for_it),
        T(sync_wait_says_offline),
        T(sync_wait_says_not_pushed),
        T(sync_wait_says_not_pulled),
        T(sync_wait_says_not_equal),
        T(those_who_wait_hear_at_once_that_the_hub_refuses),
        T(more_who_wait_than_there_is_room_for_are_told_so),
        T(batches_grow_on_a_fast_line_and_shrink_on_a_slow_one),
        T(a_cut_under_a_batch_makes_the_next_one_smaller),
        T(max_rate_keeps_the_average_below),
        T(a_pull_that_waits_goes_before_the_next_push),
        T(the_view_counts_what_went_and_came),
        T(a_long_load_lets_a_pull_in_unless_the_site_was_restored),
        T(any_answer_in_any_state_leaves_the_site_in_order),
        T(events_of_a_hub_mean_nothing_to_a_site),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
