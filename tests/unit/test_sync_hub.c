/* The conversation of a hub, event by event. */
#include "sync_script.h"

struct script {
    struct sync_hub *hub;
    struct sync_actions out;
    struct trace trace;
    uint64_t mono, seed;
    uint64_t timer;
    bool hold;
    struct work works[64];
    uint32_t works_count;
    uint64_t request;      /* number of the latest request */
    uint8_t challenge[32]; /* of the latest hello */
    uint64_t session;      /* of the latest prove */

    /* a replica that counts */
    uint64_t lsn, have;
    bool revoked, left;
    bool two_machines; /* what the latest judge was told */
    bool news, woken_all;
    uint64_t captured, look_in_ms;
    uint64_t rows; /* what the next push says it held */
    bool more;     /* what the next pull says */
    uint8_t verdict, equal;
    const char *wakes[3];
    uint32_t wakes_count;
    enum perche_rc fails[WORK_COMMAND + 1];
    uint8_t says_no; /* the next push is refused so */
    uint64_t notes, first_pushes;
    struct work last_note;
    uint32_t bytes_max;
};

#define expect(sc, wanted) expect_at(&(sc)->trace, wanted, __FILE__, __LINE__)

static void run(struct script *sc);

static void perform(struct script *sc, struct work *w, struct outcome *o)
{
    struct perche_message *m = &o->message;
    const struct perche_message *asked = &w->message;

    o->kind = w->kind;
    o->tag = w->tag;
    o->rc = sc->fails[w->kind];
    sc->fails[w->kind] = PERCHE_OK;
    if (o->rc != PERCHE_OK)
        return;
    m->reply = true;
    m->op = asked->op;
    switch (w->kind) {
    case WORK_HARVEST:
        o->rows = sc->captured < w->rows_max ? sc->captured : w->rows_max;
        sc->captured -= o->rows;
        sc->lsn += o->rows;
        o->more = sc->captured > 0;
        o->look_in_ms = sc->look_in_ms;
        sc->look_in_ms = 0;
        o->state.lsn = sc->lsn;
        break;
    case WORK_STATE: o->state.lsn = sc->lsn; break;
    case WORK_SITE_KEY:
        o->member.known =
            strcmp(w->site, SITE) == 0 || strcmp(w->site, OTHER) == 0 || w->site[0] == 's';
        o->member.revoked = sc->revoked;
        o->member.left = sc->left;
        o->member.public_key[0] = 1;
        break;
    case WORK_PROVE_JUDGE:
        m->u.prove_reply.verdict = sc->verdict;
        m->u.prove_reply.have = sc->have;
        m->u.prove_reply.asof.lsn = sc->lsn;
        sc->session = w->session;
        sc->two_machines = w->two_machines;
        assert_true(w->session != 0);
        break;
    case WORK_PUSH_APPLY:
        assert_true(w->session == asked->u.push.session);
        sc->first_pushes += w->first_push;
        if (sc->says_no != 0 || asked->u.push.from != sc->have) {
            m->refused = true;
            m->u.no.why = sc->says_no != 0 ? sc->says_no : PERCHE_NO_POSITION;
            m->u.no.have = sc->have;
            sc->says_no = 0;
            break;
        }
        o->rows = sc->rows;
        sc->have = asked->u.push.to;
        sc->lsn += sc->rows;
        m->u.push_reply.have = sc->have;
        break;
    case WORK_PULL_ANSWER:
        sc->bytes_max = w->bytes_max;
        m->u.pull_reply.from_full = asked->u.pull.full;
        m->u.pull_reply.from_scan = asked->u.pull.scan;
        m->u.pull_reply.scan = sc->lsn;
        m->u.pull_reply.more = sc->more;
        break;
    case WORK_DIGEST_ANSWER:
        m->u.digest_reply.answer = sc->equal;
        m->u.digest_reply.clock_ms = w->now_ms;
        break;
    case WORK_LEAVE:
        assert_true(w->session == asked->u.leave.session);
        if (asked->u.leave.acked != sc->have) {
            m->refused = true;
            m->u.no.why = PERCHE_NO_POSITION;
            break;
        }
        sc->left = true;
        break;
    case WORK_REPAIR: /* the question, once more */
        assert_true(asked->op == PERCHE_OP_DIGEST && asked->u.digest.level == PERCHE_LEVEL_ROWS);
        break;
    case WORK_PEER_NOTE:
        m->op = 0;
        sc->notes++;
        sc->last_note = *w;
        break;
    case WORK_NEWS:
        m->op = 0;
        o->news = sc->news;
        break;
    default: break;
    }
    if (work_writes(w->kind) && w->kind != WORK_PEER_NOTE &&
        (sc->wakes_count > 0 || sc->woken_all)) {
        o->woken = calloc(3, sizeof *o->woken);
        o->woken_count = sc->wakes_count;
        for (uint32_t i = 0; i < sc->wakes_count; i++)
            (void)snprintf(o->woken[i], sizeof o->woken[i], "%s", sc->wakes[i]);
        o->woken_all = sc->woken_all;
        sc->wakes_count = 0;
        sc->woken_all = false;
    }
}

static void step(struct script *sc, struct sync_event ev)
{
    ev.now_ms = CLOCK + sc->mono;
    ev.mono_ms = sc->mono;
    sync_hub_step(sc->hub, &ev, &sc->out);
    run(sc);
}

static void one_work(struct script *sc)
{
    struct work w = sc->works[0];
    struct outcome o = {0};

    assert_true(sc->works_count > 0);
    sc->works_count--;
    memmove(&sc->works[0], &sc->works[1], sc->works_count * sizeof sc->works[0]);
    perform(sc, &w, &o);
    step(sc, (struct sync_event){.kind = SYNC_EV_OUTCOME, .outcome = &o});
    work_free(&w);
    outcome_free(&o);
}

static void works(struct script *sc)
{
    while (sc->works_count > 0)
        one_work(sc);
}

static void run(struct script *sc)
{
    struct sync_actions actions = sc->out;

    memset(&sc->out, 0, sizeof sc->out);
    assert_false(actions.nomem);
    for (uint32_t i = 0; i < actions.count; i++) {
        struct sync_action *a = &actions.items[i];

        switch (a->kind) {
        case SYNC_SEND:
            assert_true(a->message.reply);
            note(&sc->trace, "%" PRIu64 "< ", a->request);
            note_message(&sc->trace, &a->message);
            note(&sc->trace, "\n");
            if (a->message.op == PERCHE_OP_HELLO && !a->message.refused)
                assert_true(a->message.u.hello_reply.epoch == 1 &&
                            a->message.u.hello_reply.clock_ms == CLOCK + sc->mono);
            if (a->message.op == PERCHE_OP_HELLO && !a->message.refused)
                memcpy(sc->challenge, a->message.u.hello_reply.challenge, 32);
            if (a->message.op == PERCHE_OP_PROVE && !a->message.refused)
                assert_true(a->message.u.prove_reply.session == sc->session ||
                            a->message.u.prove_reply.verdict == PERCHE_TWO_MACHINES);
            break;
        case SYNC_WORK:
            note(&sc->trace, "   %s\n", work_name(a->work.kind));
            assert_true(sc->works_count < 64);
            assert_true(a->tag == a->work.tag && memcmp(a->work.random, "\0\0\0\0\0\0\0", 8) != 0);
            sc->works[sc->works_count++] = a->work;
            memset(&a->work, 0, sizeof a->work);
            break;
        case SYNC_TIMER: sc->timer = a->at_ms; break;
        case SYNC_DISCONNECT: note(&sc->trace, "close %" PRIu64 " %s\n", a->pipe, a->reason); break;
        case SYNC_LOG: note(&sc->trace, "log %s\n", a->reason); break;
        default: fail_msg("a hub does not do that: %d", a->kind);
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

/* Moves time on, with every timer that falls into it. */
static void wait_ms(struct script *sc, uint64_t ms)
{
    uint64_t end = sc->mono + ms;

    while (sc->timer != 0 && sc->timer <= end) {
        sc->mono = sc->timer > sc->mono ? sc->timer : sc->mono;
        sc->timer = 0;
        plain(sc, SYNC_EV_TIME);
    }
    sc->mono = end;
}

static uint64_t ask_bytes(struct script *sc, uint64_t pipe, struct perche_message *m,
                          uint64_t bytes)
{
    step(sc, (struct sync_event){.kind = SYNC_EV_REQUEST,
                                 .pipe = pipe,
                                 .request = ++sc->request,
                                 .message = m,
                                 .bytes = bytes});
    return sc->request;
}

static uint64_t ask(struct script *sc, uint64_t pipe, struct perche_message m)
{
    return ask_bytes(sc, pipe, &m, 300);
}

static void hello(struct script *sc, uint64_t pipe)
{
    struct perche_message m = {.op = PERCHE_OP_HELLO};

    m.u.hello.site = SITE;
    m.u.hello.lowest = m.u.hello.highest = 1;
    m.u.hello.clock_ms = CLOCK + sc->mono - 3000;
    ask(sc, pipe, m);
}

static struct perche_message proof(struct script *sc, const char *site, uint8_t key)
{
    struct perche_message m = {.op = PERCHE_OP_PROVE};
    struct perche_buf buf = {0};

    m.u.prove.site = site;
    m.u.prove.epoch = 7;
    assert_int_equal(perche_prove_signed(&m.u.prove, sc->challenge, HUB, &buf), PERCHE_OK);
    script_sign_as(key, buf.p, buf.n, m.u.prove.signature);
    perche_buf_free(&buf);
    return m;
}

static void prove(struct script *sc, uint64_t pipe, const char *site)
{
    ask(sc, pipe, proof(sc, site, 1));
}

static uint64_t push(struct script *sc, uint64_t pipe, uint64_t session, uint64_t from, uint64_t to)
{
    struct perche_message m = {.op = PERCHE_OP_PUSH};

    m.u.push.session = session;
    m.u.push.from = from;
    m.u.push.to = to;
    return ask(sc, pipe, m);
}

static uint64_t push_pending(struct script *sc, uint64_t pipe, uint64_t session, uint64_t from,
                             uint64_t to, uint64_t pending)
{
    struct perche_message m = {.op = PERCHE_OP_PUSH};

    m.u.push.session = session;
    m.u.push.from = from;
    m.u.push.to = to;
    m.u.push.pending = pending;
    return ask(sc, pipe, m);
}

static uint64_t pull(struct script *sc, uint64_t pipe, uint64_t session, uint64_t full,
                     uint64_t scan)
{
    struct perche_message m = {.op = PERCHE_OP_PULL};

    m.u.pull.session = session;
    m.u.pull.full = full;
    m.u.pull.scan = scan;
    m.u.pull.done = scan > 0 ? scan - 1 : 0;
    m.u.pull.bytes_max = 100000;
    return ask(sc, pipe, m);
}

static uint64_t digest(struct script *sc, uint64_t pipe, uint64_t session, uint32_t level)
{
    struct perche_message m = {.op = PERCHE_OP_DIGEST};

    m.u.digest.session = session;
    m.u.digest.level = level;
    return ask(sc, pipe, m);
}

static uint64_t watch(struct script *sc, uint64_t pipe, uint64_t session)
{
    struct perche_message m = {.op = PERCHE_OP_WATCH};

    m.u.watch.session = session;
    return ask(sc, pipe, m);
}

static void gone(struct script *sc, uint64_t pipe)
{
    step(sc, (struct sync_event){.kind = SYNC_EV_PIPE_GONE, .pipe = pipe});
}

static struct script *script_new(uint32_t sessions_max)
{
    struct script *sc = calloc(1, sizeof *sc);
    struct sync_hub_config config = {
        .hub = HUB, .epoch = 1, .watch_ms = 45000, .sessions_max = sessions_max};

    sc->mono = 1000000;
    sc->lsn = 5;
    sc->verdict = PERCHE_PROVEN;
    sc->equal = PERCHE_EQUAL;
    config.ops =
        (struct sync_ops){.ctx = &sc->seed, .random = script_random, .verify = script_verify};
    sc->hub = sync_hub_new(&config);
    assert_non_null(sc->hub);
    plain(sc, SYNC_EV_START);
    expect(sc, "   state\n   harvest\n");
    return sc;
}

static void script_free(struct script *sc)
{
    for (uint32_t i = 0; i < sc->works_count; i++)
        work_free(&sc->works[i]);
    sync_hub_free(sc->hub);
    sync_actions_free(&sc->out);
    free(sc);
}

/* A session of @site over @pipe; the trace begins after it. */
static uint64_t proven(struct script *sc, uint64_t pipe, const char *site)
{
    hello(sc, pipe);
    prove(sc, pipe, site);
    trace_clear(&sc->trace);
    sc->request = 100;
    return sc->session;
}

/* ---- who is there --------------------------------------------------------------- */

static void test_a_site_proves_itself_and_its_requests_are_answered(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s;

    (void)state;
    hello(sc, 11);
    expect(sc, "1< hello\n");
    prove(sc, 11, SITE);
    expect(sc, "   site_key\n   prove_judge\nlog hub.proven\n2< prove\n");
    s = sc->session;
    push(sc, 11, s, 0, 10);
    expect(sc, "   push_apply\n3< push have=10\n");
    pull(sc, 11, s, 0, 2);
    expect(sc, "   peer_note\n   pull_answer\n4< pull\n");
    assert_int_equal(sc->bytes_max, 100000);
    digest(sc, 11, s, 0);
    expect(sc, "   digest_answer\n5< digest equal\n");
    ask(sc, 11, (struct perche_message){.op = PERCHE_OP_ROWS, .u.rows.session = s});
    expect(sc, "   rows_answer\n6< rows\n");
    script_free(sc);
}

static void test_before_a_proof_nothing_but_hello_prove_and_enrol_is_answered(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    push(sc, 11, 0, 0, 10);
    pull(sc, 11, 0, 0, 0);
    digest(sc, 11, 77, 0);
    watch(sc, 11, 77);
    ask(sc, 11, (struct perche_message){.op = PERCHE_OP_ROWS});
    expect(sc, "1< push no session\n2< pull no session\n3< digest no session\n4< watch no session\n"
               "5< rows no session\n");
    script_free(sc);
}

static void test_an_unproven_peer_may_send_little(void **state)
{
    struct script *sc = script_new(8);
    struct perche_message m = {.op = PERCHE_OP_HELLO};

    (void)state;
    m.u.hello.site = SITE;
    m.u.hello.lowest = m.u.hello.highest = 1;
    ask_bytes(sc, 11, &m, PERCHE_MESSAGE_BYTES_UNPROVEN);
    expect(sc, "1< hello\n");
    ask_bytes(sc, 11, &m, PERCHE_MESSAGE_BYTES_UNPROVEN + 1);
    expect(sc, "log hub.bad_message\n2< hello no too_large\nclose 11 too_large\n");
    script_free(sc);
}

static void test_an_unproven_peer_may_ask_sixteen_times(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    for (unsigned i = 0; i < 16; i++)
        hello(sc, 11);
    assert_null(strstr(sc->trace.text, "close"));
    trace_clear(&sc->trace);
    hello(sc, 11);
    expect(sc, "log hub.flood\nclose 11 flood\n");
    script_free(sc);
}

static void test_a_proof_starts_the_count_again(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        hello(sc, 11);
        prove(sc, 11, SITE);
    }
    assert_null(strstr(sc->trace.text, "close"));
    script_free(sc);
}

static void test_of_too_many_unproven_pipes_the_oldest_go(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 1, SITE);

    (void)state;
    for (uint64_t pipe = 2; pipe < 2 + 1024; pipe++)
        hello(sc, pipe);
    assert_null(strstr(sc->trace.text, "close"));
    trace_clear(&sc->trace);
    hello(sc, 5000);
    assert_non_null(strstr(sc->trace.text, "close 2 crowd\n"));
    trace_clear(&sc->trace);
    sc->request = 200;
    push(sc, 1, s, 0, 10); /* who has proven something stays */
    expect(sc, "   push_apply\n201< push have=10\n");
    script_free(sc);
}

static void test_a_new_migration_asks_every_site_to_shake_hands_again_on_its_line(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = 0;
    char site[16];

    (void)state;
    for (unsigned i = 0; i < 1100; i++) { /* more than there may be strangers */
        (void)snprintf(site, sizeof site, "s%u", i);
        s = proven(sc, 1 + i, site);
    }
    watch(sc, 1100, s);
    trace_clear(&sc->trace);
    sc->hold = true;
    plain(sc, SYNC_EV_SCHEMA);
    assert_int_equal(sc->works_count, 64); /* notes, the first of many */
    assert_non_null(strstr(sc->trace.text, "101< watch no session\n"));
    assert_null(strstr(sc->trace.text, "close"));
    sc->hold = false;
    works(sc);
    wait_ms(sc, 1);
    assert_int_equal(sc->notes, 1100);
    trace_clear(&sc->trace);
    push(sc, 1, 1, 0, 1);
    hello(sc, 1100);
    expect(sc, "102< push no session\n103< hello\n");
    script_free(sc);
}

/* Its answer may have been made before the migration. */
static void test_so_it_asks_one_that_is_being_judged(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    sc->hold = true;
    hello(sc, 11);
    prove(sc, 11, SITE);
    one_work(sc); /* site_key */
    trace_clear(&sc->trace);
    plain(sc, SYNC_EV_SCHEMA);
    works(sc);
    expect(sc, "log hub.schema\nlog hub.refused\n2< prove no session\n");
    hello(sc, 11);
    prove(sc, 11, SITE);
    works(sc);
    expect(sc, "3< hello\n   site_key\n   prove_judge\nlog hub.proven\n4< prove\n");
    script_free(sc);
}

static void test_a_proof_without_a_challenge_is_refused(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    prove(sc, 11, SITE);
    expect(sc, "1< prove no session\n");
    script_free(sc);
}

static void test_a_replayed_proof_is_refused(void **state)
{
    struct script *sc = script_new(8);
    struct perche_message recorded;

    (void)state;
    hello(sc, 11);
    recorded = proof(sc, SITE, 1);
    ask(sc, 11, recorded);
    trace_clear(&sc->trace);
    ask(sc, 11, recorded); /* on the same pipe: its challenge is used up */
    expect(sc, "3< prove no session\n");
    hello(sc, 12);
    ask(sc, 12, recorded); /* on another: another challenge */
    expect(sc, "4< hello\n   site_key\nlog hub.refused\n5< prove no signature\n");
    push(sc, 11, sc->session, 0, 10); /* the true one goes on */
    expect(sc, "   push_apply\n6< push have=10\n");
    script_free(sc);
}

static void test_a_signature_of_another_key_is_refused(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    hello(sc, 11);
    ask(sc, 11, proof(sc, SITE, 2));
    expect(sc, "1< hello\n   site_key\nlog hub.refused\n2< prove no signature\n");
    script_free(sc);
}

static void test_an_unknown_and_a_revoked_site_are_refused(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    hello(sc, 11);
    prove(sc, 11, "nobody");
    expect(sc, "1< hello\n   site_key\nlog hub.refused\n2< prove no unknown_site\n");
    sc->revoked = true;
    hello(sc, 11);
    prove(sc, 11, SITE);
    expect(sc, "3< hello\n   site_key\nlog hub.refused\n4< prove no revoked\n");
    script_free(sc);
}

static void test_a_peer_of_another_version_or_without_a_name_is_refused(void **state)
{
    struct script *sc = script_new(8);
    struct perche_message m = {.op = PERCHE_OP_HELLO};
    char longname[100];

    (void)state;
    m.u.hello.site = SITE;
    m.u.hello.lowest = 2;
    m.u.hello.highest = 9;
    ask(sc, 11, m);
    m.u.hello.lowest = 0;
    m.u.hello.highest = 0;
    ask(sc, 11, m);
    m.u.hello.lowest = 9;
    m.u.hello.highest = 1;
    ask(sc, 11, m);
    m.u.hello.lowest = 0;
    m.u.hello.highest = 5;
    ask(sc, 11, m);
    m.u.hello.site = NULL;
    ask(sc, 11, m);
    m.u.hello.site = "";
    ask(sc, 11, m);
    memset(longname, 'x', sizeof longname - 1);
    longname[sizeof longname - 1] = '\0';
    m.u.hello.site = longname;
    ask(sc, 11, m);
    expect(sc, "1< hello no version\n2< hello no version\n3< hello no version\n4< hello\n"
               "5< hello no unknown_site\n6< hello no unknown_site\n7< hello no unknown_site\n");
    script_free(sc);
}

static void test_a_newer_session_ends_the_older_and_its_watch(void **state)
{
    struct script *sc = script_new(8);
    uint64_t older = proven(sc, 11, SITE), newer;

    (void)state;
    watch(sc, 11, older);
    push(sc, 11, older, 50, 60); /* held: nothing came in front of it */
    trace_clear(&sc->trace);
    hello(sc, 12);
    prove(sc, 12, SITE);
    newer = sc->session;
    expect(sc, "103< hello\n   site_key\n   prove_judge\n   peer_note\n"
               "101< watch no session\n102< push no session\nlog hub.proven\n104< prove\n");
    push(sc, 11, older, 0, 10);
    push(sc, 11, newer, 0, 10); /* the right number over the wrong pipe */
    expect(sc, "105< push no session\n106< push no session\n");
    push(sc, 12, newer, 0, 10);
    expect(sc, "   push_apply\n107< push have=10\n");
    script_free(sc);
}

static void test_an_answer_to_an_ended_session_is_not_given(void **state)
{
    struct script *sc = script_new(8);
    uint64_t older = proven(sc, 11, SITE);

    (void)state;
    sc->hold = true;
    pull(sc, 11, older, 0, 0);
    hello(sc, 12);
    prove(sc, 12, SITE);
    trace_clear(&sc->trace);
    struct work late = sc->works[0]; /* the pull is answered last */
    memmove(&sc->works[0], &sc->works[1], --sc->works_count * sizeof sc->works[0]);
    one_work(sc); /* site_key */
    one_work(sc); /* judge, or the note before it */
    while (sc->works_count > 0)
        one_work(sc);
    trace_clear(&sc->trace);
    sc->works[sc->works_count++] = late;
    one_work(sc);
    expect(sc, "101< pull no session\n");
    script_free(sc);
}

static void test_a_session_proven_again_on_its_own_pipe_goes_on(void **state)
{
    struct script *sc = script_new(8);
    uint64_t older = proven(sc, 11, SITE);

    (void)state;
    watch(sc, 11, older);
    hello(sc, 11);
    prove(sc, 11, SITE);
    trace_clear(&sc->trace);
    push(sc, 11, older, 0, 10);
    push(sc, 11, sc->session, 0, 10);
    expect(sc, "104< push no session\n   push_apply\n105< push have=10\n");
    script_free(sc);
}

static void test_another_site_over_the_same_pipe_ends_the_first(void **state)
{
    struct script *sc = script_new(8);
    uint64_t first = proven(sc, 11, SITE), second = proven(sc, 11, OTHER);

    (void)state;
    push(sc, 11, first, 0, 10);
    push(sc, 11, second, 0, 10);
    expect(sc, "101< push no session\n   push_apply\n102< push have=10\n");
    script_free(sc);
}

static void test_a_pipe_that_goes_while_it_is_judged_gets_no_session(void **state)
{
    struct script *sc = script_new(8);
    uint64_t older = proven(sc, 10, SITE);

    (void)state;
    sc->hold = true;
    hello(sc, 11);
    prove(sc, 11, SITE);
    gone(sc, 11);
    works(sc);
    expect(sc, "101< hello\n   site_key\n"); /* before the verdict: as if it had not asked */
    push(sc, 10, older, 0, 1);
    works(sc);
    expect(sc, "   push_apply\n103< push have=1\n");
    hello(sc, 11);
    prove(sc, 11, SITE);
    one_work(sc);
    gone(sc, 11);
    works(sc); /* after it: the stored session is one that nobody holds */
    trace_clear(&sc->trace);
    push(sc, 10, older, 1, 2);
    expect(sc, "106< push no session\n");
    script_free(sc);
}

/* Said before its process was killed, and brought by the line after the next process had proven itself. */
static void test_a_proof_that_comes_after_a_later_one_makes_no_second_machine(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct script *sc = script_new(8);
        uint8_t before[32];
        uint64_t newer;

        if (!first)
            (void)proven(sc, 10, SITE);
        hello(sc, 11);
        memcpy(before, sc->challenge, sizeof before);
        hello(sc, 12);
        sc->hold = first;
        prove(sc, 12, SITE);
        newer = sc->session;
        trace_clear(&sc->trace);
        memcpy(sc->challenge, before, sizeof before);
        prove(sc, 11, SITE);
        works(sc);
        if (first) { /* while the later one was being judged */
            sc->hold = false;
            assert_non_null(strstr(sc->trace.text, "log hub.proven\n3< prove\n"));
            assert_non_null(strstr(sc->trace.text, "log hub.refused\n4< prove no session\n"));
            assert_null(strstr(strstr(sc->trace.text, "hub.proven") + 1, "hub.proven"));
        } else {
            expect(sc, "   site_key\nlog hub.refused\n104< prove no session\n");
            push(sc, 12, newer, 0, 10);
            expect(sc, "   push_apply\n105< push have=10\n");
        }
        hello(sc, 12);
        prove(sc, 12, SITE);
        assert_false(sc->two_machines);
        push(sc, 12, sc->session, first ? 0 : 10, 20);
        assert_non_null(strstr(sc->trace.text, "< push have=20\n"));
        hello(sc, 11); /* it lives, after all: another machine */
        prove(sc, 11, SITE);
        trace_clear(&sc->trace);
        hello(sc, 12);
        prove(sc, 12, SITE);
        assert_true(sc->two_machines);
        script_free(sc);
    }
}

static void test_two_machines_stop_both(void **state)
{
    struct script *sc = script_new(8);
    uint64_t older = proven(sc, 10, SITE);

    (void)state;
    sc->verdict = PERCHE_TWO_MACHINES;
    hello(sc, 11);
    prove(sc, 11, SITE);
    trace_clear(&sc->trace);
    push(sc, 10, older, 0, 1);
    push(sc, 11, sc->session, 0, 1);
    expect(sc, "103< push no session\n104< push no session\n");
    script_free(sc);
}

static void test_one_proof_at_a_time_for_each_pipe(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    sc->hold = true;
    hello(sc, 11);
    prove(sc, 11, SITE);
    hello(sc, 11);
    prove(sc, 11, SITE);
    expect(sc, "1< hello\n   site_key\n3< hello\n4< prove no later in 1000\n");
    works(sc);
    expect(sc, "   prove_judge\nlog hub.proven\n2< prove\n");
    script_free(sc);
}

static void test_enrolling_is_one_work_and_its_answer(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    ask(sc, 11, (struct perche_message){.op = PERCHE_OP_ENROL});
    expect(sc, "   enrol\n1< enrol\n");
    sc->fails[WORK_ENROL] = PERCHE_FULL;
    ask(sc, 11, (struct perche_message){.op = PERCHE_OP_ENROL});
    expect(sc, "   enrol\nlog hub.refused\n2< enrol no disk\n");
    script_free(sc);
}

/* ---- revoking ------------------------------------------------------------------------ */

static void revoke(struct script *sc, const char *site)
{
    sc->revoked = true;
    step(sc, (struct sync_event){.kind = SYNC_EV_REVOKED, .site = site});
}

static void test_revoking_ends_the_session_and_the_pipe(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    watch(sc, 11, s);
    trace_clear(&sc->trace);
    revoke(sc, SITE);
    expect(sc, "   peer_note\n101< watch no revoked\nclose 11 revoked\nlog hub.revoked\n");
    hello(sc, 12);
    prove(sc, 12, SITE);
    expect(sc, "102< hello\n   site_key\nlog hub.refused\n103< prove no revoked\n");
    script_free(sc);
}

static void test_what_was_under_way_when_a_site_was_revoked_is_not_answered(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->hold = true;
    pull(sc, 11, s, 0, 0);
    revoke(sc, SITE);
    trace_clear(&sc->trace);
    works(sc);
    expect(sc, "");
    script_free(sc);
}

static void test_a_revocation_reaches_a_proof_that_is_being_judged(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    sc->hold = true;
    hello(sc, 11);
    prove(sc, 11, SITE);
    one_work(sc); /* the key was still good */
    step(sc, (struct sync_event){.kind = SYNC_EV_REVOKED, .site = SITE});
    works(sc);
    expect(
        sc,
        "1< hello\n   site_key\n   prove_judge\nlog hub.revoked\nlog hub.refused\n2< prove no revoked\n");
    push(sc, 11, sc->session, 0, 1);
    expect(sc, "3< push no session\n");
    script_free(sc);
}

/* A proof that the site found within a pull: it says so with the next. */
static void test_a_proof_that_a_pull_brought_is_noted_unless_it_lies_ahead(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE), began = CLOCK + sc->mono;
    struct sync_peer_view view;
    struct perche_message m = {.op = PERCHE_OP_PULL};

    (void)state;
    m.u.pull.session = s;
    m.u.pull.proven_ms = CLOCK + sc->mono + 1; /* nobody was proven equal in time to come */
    ask(sc, 11, m);
    assert_int_equal(sync_hub_peers(sc->hub, &view, 1), 1);
    assert_true(view.proven_ms == 0);
    m.u.pull.proven_ms = began - 1; /* nor is it news what was so before this session: it may have been away since */
    ask(sc, 11, m);
    (void)sync_hub_peers(sc->hub, &view, 1);
    assert_true(view.proven_ms == 0);
    wait_ms(sc, 1000);
    m.u.pull.proven_ms = began + 600;
    ask(sc, 11, m);
    m.u.pull.proven_ms = began + 100; /* an older one */
    ask(sc, 11, m);
    (void)sync_hub_peers(sc->hub, &view, 1);
    assert_true(view.proven_ms == began + 600);
    gone(sc, 11);
    assert_true(sc->last_note.proven_ms == view.proven_ms && sc->last_note.proven_now);
    wait_ms(sc, 1000);
    (void)proven(sc, 12, SITE);
    gone(sc, 12);
    assert_true(sc->last_note.proven_ms == view.proven_ms && !sc->last_note.proven_now); /* of the session before */
    script_free(sc);
}

/* ---- leaving ------------------------------------------------------------------------- */

static uint64_t leave(struct script *sc, uint64_t pipe, uint64_t session, uint64_t acked)
{
    struct perche_message m = {.op = PERCHE_OP_LEAVE};

    m.u.leave.session = session;
    m.u.leave.acked = acked;
    return ask(sc, pipe, m);
}

static void test_a_site_that_leaves_is_answered_and_let_in_no_more(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    watch(sc, 11, s);
    trace_clear(&sc->trace);
    leave(sc, 11, s, 0);
    expect(sc, "   leave\n102< leave\n   peer_note\n101< watch no left\nclose 11 left\nlog hub.left\n");
    hello(sc, 12);
    prove(sc, 12, SITE);
    expect(sc, "103< hello\n   site_key\nlog hub.refused\n104< prove no left\n");
    sc->left = false; /* it was invited anew, and has enrolled */
    hello(sc, 13);
    prove(sc, 13, SITE);
    expect(sc, "105< hello\n   site_key\n   prove_judge\nlog hub.proven\n106< prove\n");
    script_free(sc);
}

static void test_a_leave_that_is_refused_or_not_of_the_session_changes_nothing(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    trace_clear(&sc->trace);
    leave(sc, 11, s + 1, 0);
    expect(sc, "101< leave no session\n");
    leave(sc, 11, s, 9);
    expect(sc, "   leave\n102< leave no position have=0\n");
    sc->fails[WORK_LEAVE] = PERCHE_FULL;
    leave(sc, 11, s, 0);
    expect(sc, "   leave\nlog replica.failed\n103< leave no disk\n");
    pull(sc, 11, s, 0, 0); /* the session goes on */
    expect(sc, "   pull_answer\n104< pull\n");
    script_free(sc);
}

static void test_a_leave_reaches_a_proof_that_is_being_judged(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    trace_clear(&sc->trace);
    sc->hold = true;
    leave(sc, 11, s, 0); /* over the line of before, which is slow */
    hello(sc, 12);
    prove(sc, 12, SITE);
    struct work w = sc->works[0]; /* the key is looked up before the leave is on disk */
    sc->works[0] = sc->works[1];
    sc->works[1] = w;
    one_work(sc);
    trace_clear(&sc->trace);
    works(sc);
    expect(sc, "101< leave\n   peer_note\nclose 11 left\nlog hub.left\nlog hub.refused\n103< prove no left\n");
    script_free(sc);
}

/* ---- pushes in order ---------------------------------------------------------------------- */

static void test_the_second_batch_is_kept_until_the_first_is_applied(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->hold = true;
    push(sc, 11, s, 0, 10);
    push(sc, 11, s, 10, 20);
    expect(sc, "   push_apply\n");
    one_work(sc);
    expect(sc, "101< push have=10\n   push_apply\n");
    one_work(sc);
    expect(sc, "102< push have=20\n");
    script_free(sc);
}

static void test_the_second_batch_may_arrive_before_the_first(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    push(sc, 11, s, 10, 20);
    expect(sc, "");
    push(sc, 11, s, 0, 10);
    expect(sc, "   push_apply\n102< push have=10\n   push_apply\n101< push have=20\n");
    script_free(sc);
}

static void test_one_early_batch_is_kept_and_no_more(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    push(sc, 11, s, 10, 20);
    push(sc, 11, s, 20, 30);
    expect(sc, "102< push no position have=0\n");
    push(sc, 11, s, 0, 10);
    expect(sc, "   push_apply\n103< push have=10\n   push_apply\n101< push have=20\n");
    script_free(sc);
}

static void test_an_early_batch_whose_forerunner_never_comes_is_refused_by_its_position(
    void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    push(sc, 11, s, 10, 20);
    wait_ms(sc, 4999);
    expect(sc, "");
    wait_ms(sc, 1);
    expect(sc, "   push_apply\n101< push no position have=0\n");
    script_free(sc);
}

static void test_when_the_first_batch_is_refused_so_is_the_second(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->hold = true;
    push(sc, 11, s, 0, 10);
    push(sc, 11, s, 10, 20);
    sc->says_no = PERCHE_NO_CLOCK;
    works(sc);
    expect(sc, "   push_apply\n101< push no clock\n   push_apply\n102< push no position have=0\n");
    script_free(sc);
}

static void test_a_repeated_batch_is_judged_by_the_replica(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    push(sc, 11, s, 0, 10);
    push(sc, 11, s, 0, 10);
    expect(sc, "   push_apply\n101< push have=10\n   push_apply\n102< push no position have=10\n");
    script_free(sc);
}

/* So the replica asks once more for rows, as the answer that asked may have been lost with the session before. */
static void test_the_replica_is_told_which_push_is_the_first_of_a_session(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->fails[WORK_PUSH_APPLY] = PERCHE_FULL;
    push(sc, 11, s, 0, 10);
    assert_int_equal(sc->first_pushes, 0); /* the replica never saw it */
    push(sc, 11, s, 0, 10);
    assert_int_equal(sc->first_pushes, 1);
    push(sc, 11, s, 10, 10);
    assert_int_equal(sc->first_pushes, 1);
    s = proven(sc, 12, SITE);
    push(sc, 12, s, 10, 10);
    assert_int_equal(sc->first_pushes, 2);
    script_free(sc);
}

static void test_a_full_disk_acknowledges_nothing(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->fails[WORK_PUSH_APPLY] = PERCHE_FULL;
    push(sc, 11, s, 0, 10);
    push(sc, 11, s, 0, 10);
    expect(sc, "   push_apply\nlog replica.failed\n101< push no disk\n   push_apply\n102< push have=10\n");
    script_free(sc);
}

static void test_a_batch_that_does_not_decode_closes_that_pipe_and_no_other(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE), other = proven(sc, 12, OTHER);

    (void)state;
    sc->says_no = PERCHE_NO_BAD;
    push(sc, 11, s, 0, 10);
    expect(
        sc,
        "   push_apply\n101< push no bad_message\nlog hub.bad_message\n   peer_note\nclose 11 bad_message\n");
    push(sc, 12, other, 0, 10);
    expect(sc, "   push_apply\n102< push have=10\n");
    script_free(sc);
}

static void test_the_hubs_own_damaged_file_is_no_fault_of_the_sites(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->fails[WORK_PUSH_APPLY] = PERCHE_CORRUPT;
    push(sc, 11, s, 0, 10);
    expect(sc, "   push_apply\nlog replica.failed\n101< push no disk\n");
    push(sc, 11, s, 0, 10); /* the line is kept */
    expect(sc, "   push_apply\n102< push have=10\n");
    script_free(sc);
}

/* ---- digests ------------------------------------------------------------------------------ */

static void test_rows_that_differ_are_repaired_before_the_answer(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->equal = PERCHE_DIFFERS;
    digest(sc, 11, s, 0);
    digest(sc, 11, s, 1);
    digest(sc, 11, s, PERCHE_LEVEL_ROWS);
    expect(sc, "   digest_answer\n101< digest differs\n"
               "   digest_answer\n102< digest differs\n"
               "   digest_answer\n   repair\n103< digest differs\n");
    sc->fails[WORK_REPAIR] = PERCHE_DISK;
    digest(sc, 11, s, PERCHE_LEVEL_ROWS);
    expect(sc, "   digest_answer\n   repair\nlog replica.failed\n104< digest no disk\n");
    sc->equal = PERCHE_LATER;
    digest(sc, 11, s, PERCHE_LEVEL_ROWS);
    expect(sc, "   digest_answer\n105< digest later\n");
    script_free(sc);
}

/* ---- watches ---------------------------------------------------------------------------------- */

static void test_a_watch_is_parked_and_answered_when_an_outcome_names_its_site(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE), other = proven(sc, 12, OTHER);

    (void)state;
    watch(sc, 11, s);
    watch(sc, 12, other);
    expect(sc, "   news\n   news\n");
    sc->wakes[0] = SITE;
    sc->wakes[1] = "a site that was never here";
    sc->wakes_count = 2;
    push(sc, 12, other, 0, 10);
    expect(sc, "   push_apply\n103< push have=10\n101< watch news\n");
    script_free(sc);
}

static void test_a_watch_is_answered_at_once_when_there_is_news_already(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->news = true;
    watch(sc, 11, s);
    expect(sc, "   news\n101< watch news\n");
    script_free(sc);
}

static void test_news_between_parking_and_looking_is_not_missed_nor_told_twice(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);
    struct outcome o = {.woken_all = true};

    (void)state;
    sc->hold = true;
    sc->news = true;
    watch(sc, 11, s);
    step(sc, (struct sync_event){.kind = SYNC_EV_WOKEN, .outcome = &o});
    expect(sc, "   news\n101< watch news\n");
    works(sc);
    expect(sc, "");
    script_free(sc);
}

static void test_a_watch_without_news_ends_after_its_time(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    watch(sc, 11, s);
    wait_ms(sc, 44999);
    expect(sc, "   news\n");
    wait_ms(sc, 1);
    expect(sc, "101< watch nothing\n");
    script_free(sc);
}

static void test_a_second_watch_of_a_session_takes_the_place_of_the_first(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);
    struct outcome o = {.woken_all = true};

    (void)state;
    watch(sc, 11, s);
    watch(sc, 11, s);
    expect(sc, "   news\n101< watch nothing\n   news\n");
    step(sc, (struct sync_event){.kind = SYNC_EV_WOKEN, .outcome = &o});
    step(sc, (struct sync_event){.kind = SYNC_EV_WOKEN, .outcome = &o});
    expect(sc, "102< watch news\n");
    script_free(sc);
}

static void test_a_watch_whose_question_fails_is_refused(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->fails[WORK_NEWS] = PERCHE_DISK;
    watch(sc, 11, s);
    expect(sc, "   news\nlog replica.failed\n101< watch no disk\n");
    script_free(sc);
}

static void test_a_watch_goes_with_its_pipe(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);
    struct outcome o = {.woken_all = true};

    (void)state;
    watch(sc, 11, s);
    gone(sc, 11);
    expect(sc, "   news\nlog hub.gone\n   peer_note\n");
    step(sc, (struct sync_event){.kind = SYNC_EV_WOKEN, .outcome = &o});
    wait_ms(sc, 60000);
    expect(sc, "");
    script_free(sc);
}

static void test_many_watches_are_woken_in_portions_and_none_is_forgotten(void **state)
{
    struct script *sc = script_new(8);
    struct outcome o = {.woken_all = true};
    unsigned answers = 0;
    char site[32];

    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(site, sizeof site, "s%u", i);
        watch(sc, 100 + i, proven(sc, 100 + i, site));
    }
    trace_clear(&sc->trace);
    sc->hold = true;
    step(sc, (struct sync_event){.kind = SYNC_EV_WOKEN, .outcome = &o});
    gone(sc, 100); /* the first that came waits for its turn: newer ones are woken first */
    sc->hold = false;
    works(sc);
    for (unsigned portion = 0; portion < 4; portion++) {
        for (const char *p = sc->trace.text; (p = strstr(p, "watch news")) != NULL; p++)
            answers++;
        trace_clear(&sc->trace);
        plain(sc, SYNC_EV_TIME);
    }
    assert_int_equal(answers, 599);
    script_free(sc);
}

/* ---- own changes ---------------------------------------------------------------------------------- */

static void test_a_local_change_is_harvested_until_there_is_no_more_and_wakes(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    watch(sc, 11, s);
    trace_clear(&sc->trace);
    sc->captured = 1500;
    sc->wakes[0] = SITE;
    sc->wakes_count = 1;
    plain(sc, SYNC_EV_CHANGED);
    expect(sc, "   harvest\n101< watch news\n   harvest\n");
    script_free(sc);
}

static void test_a_harvest_that_fails_is_tried_again(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    sc->fails[WORK_HARVEST] = PERCHE_FULL;
    plain(sc, SYNC_EV_CHANGED);
    expect(sc, "   harvest\nlog replica.failed\n");
    wait_ms(sc, 1000);
    expect(sc, "   harvest\n");
    script_free(sc);
}

/* What the hub does by itself is looked at every other second at most: what was written in between does not wait for somebody to write again. */
static void test_a_hub_that_has_something_to_do_a_little_later_looks_by_itself(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    sc->look_in_ms = 1500;
    plain(sc, SYNC_EV_CHANGED);
    expect(sc, "   harvest\n");
    wait_ms(sc, 1499);
    expect(sc, "");
    wait_ms(sc, 1);
    expect(sc, "   harvest\n");
    sc->look_in_ms = 1500;
    plain(sc, SYNC_EV_CHANGED);
    expect(sc, "   harvest\n");
    wait_ms(sc, 1000);
    plain(sc, SYNC_EV_CHANGED); /* nor does what is written keep it back, or make it look twice */
    expect(sc, "   harvest\n");
    wait_ms(sc, 5000);
    expect(sc, "");
    script_free(sc);
}

/* ---- what sites say ---------------------------------------------------------------------------------- */

static void test_positions_go_to_disk_when_they_change_and_once_a_second_at_most(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s;

    (void)state;
    sc->lsn = 20;
    s = proven(sc, 11, SITE);
    for (uint64_t i = 1; i <= 20; i++) {
        pull(sc, 11, s, 0, i);
        sc->mono += 10;
    }
    assert_int_equal(sc->notes, 1);
    wait_ms(sc, 1000);
    assert_int_equal(sc->notes, 2);
    assert_int_equal(sc->last_note.scan, 20);
    pull(sc, 11, s, 0, 20);
    assert_true(sc->last_note.done == 19); /* what it has carried out */
    wait_ms(sc, 5000);
    assert_int_equal(sc->notes, 2); /* nothing new */
    script_free(sc);
}

static void test_who_says_to_have_pulled_what_does_not_exist_yet_is_told_and_dropped(void **state)
{
    static const uint8_t ops[] = {PERCHE_OP_PUSH, PERCHE_OP_PULL, PERCHE_OP_DIGEST, PERCHE_OP_WATCH};

    (void)state;
    for (int i = 0; i < 8; i++) {
        struct script *sc = script_new(8);
        struct perche_message m = {.op = ops[i / 2]};
        uint64_t s, at;

        sc->lsn = 20;
        s = proven(sc, 11, SITE);
        at = i % 2 == 0 ? 20 : 21;
        if (m.op == PERCHE_OP_PUSH)
            m.u.push = (struct perche_push){.session = s, .to = 1, .asof = {1, 1}, .full = 20, .scan = at};
        else if (m.op == PERCHE_OP_PULL)
            m.u.pull = (struct perche_pull){.session = s, .full = at, .scan = at};
        else if (m.op == PERCHE_OP_DIGEST)
            m.u.digest = (struct perche_digest){.session = s, .scan = at};
        else
            m.u.watch = (struct perche_watch){.session = s, .full = 20, .scan = at};
        ask(sc, 11, m);
        assert_int_equal(strstr(sc->trace.text, "no bad_message\n") != NULL, i % 2);
        assert_int_equal(strstr(sc->trace.text, "log hub.bad_message\n") != NULL, i % 2);
        assert_int_equal(strstr(sc->trace.text, "close 11 bad_message\n") != NULL, i % 2);
        script_free(sc);
    }
}

static void test_what_was_said_in_an_older_session_is_not_noted_for_the_newer(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s;

    (void)state;
    sc->lsn = 20;
    s = proven(sc, 11, SITE);
    pull(sc, 11, s, 20, 20);
    assert_true(sc->last_note.scan == 20 && sc->last_note.session == s);
    gone(sc, 11);
    s = proven(sc, 12, SITE); /* restored from a backup: it has not said yet how far it is */
    gone(sc, 12);
    assert_true(sc->last_note.scan == 0 && sc->last_note.full == 0 && sc->last_note.session == s);
    script_free(sc);
}

static void test_a_note_that_fails_is_written_later(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    sc->fails[WORK_PEER_NOTE] = PERCHE_DISK;
    pull(sc, 11, s, 1, 2);
    assert_int_equal(sc->notes, 0);
    wait_ms(sc, 30000);
    assert_int_equal(sc->notes, 1);
    script_free(sc);
}

static void test_the_end_of_a_session_writes_down_what_was_known(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);
    struct sync_peer_view view[2];

    (void)state;
    sc->rows = 4;
    push_pending(sc, 11, s, 0, 10, 9);
    digest(sc, 11, s, 0);
    assert_int_equal(sync_hub_peers(sc->hub, view, 2), 1);
    assert_string_equal(view[0].site, SITE);
    assert_int_equal(view[0].state, SYNC_LIVE);
    assert_int_equal(view[0].proven_ms, CLOCK + sc->mono);
    assert_int_equal(view[0].offset_ms, 3000);
    gone(sc, 11);
    assert_int_equal(sc->notes, 1);
    assert_true(sc->last_note.proven_ms == CLOCK + sc->mono && sc->last_note.offset_ms == 3000);
    assert_true(sc->last_note.session == s && sc->last_note.pending == 0);
    assert_int_equal(sync_hub_peers(sc->hub, NULL, 0), 1);
    sync_hub_peers(sc->hub, view, 2);
    assert_int_equal(view[0].state, SYNC_OFFLINE);
    script_free(sc);
}

/* ---- admission ---------------------------------------------------------------------------------------------- */

static void test_more_sessions_than_places_come_back_at_their_turn_oldest_first(void **state)
{
    struct script *sc = script_new(1);
    uint64_t a = proven(sc, 1, "sa"), b = proven(sc, 2, "sb"), c = proven(sc, 3, "sc");

    (void)state;
    sc->hold = true;
    pull(sc, 1, a, 0, 0);
    pull(sc, 2, b, 0, 0);
    pull(sc, 3, c, 0, 0);
    expect(sc, "   pull_answer\n102< pull no later in 250\n103< pull no later in 500\n");
    works(sc);
    expect(sc, "101< pull\n");
    pull(sc, 3, c, 0, 0); /* too soon: b is in front */
    expect(sc, "104< pull no later in 250\n");
    pull(sc, 2, b, 0, 0);
    expect(sc, "   pull_answer\n");
    works(sc);
    pull(sc, 3, c, 0, 0);
    expect(sc, "105< pull\n   pull_answer\n");
    script_free(sc);
}

static void test_a_site_that_misses_its_turn_is_not_waited_for(void **state)
{
    struct script *sc = script_new(1);
    uint64_t a = proven(sc, 1, "sa"), b = proven(sc, 2, "sb"), c = proven(sc, 3, "sc");

    (void)state;
    sc->hold = true;
    pull(sc, 1, a, 0, 0);
    pull(sc, 2, b, 0, 0);
    works(sc);
    trace_clear(&sc->trace);
    pull(sc, 3, c, 0, 0);
    expect(sc, "103< pull no later in 250\n");
    wait_ms(sc, 5500);
    pull(sc, 3, c, 0, 0);
    expect(sc, "   pull_answer\n");
    script_free(sc);
}

static void test_a_site_with_little_to_say_is_not_kept_behind_those_with_much(void **state)
{
    struct script *sc = script_new(4);
    uint64_t s[6];
    char site[8];

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        (void)snprintf(site, sizeof site, "s%u", i);
        s[i] = proven(sc, 1 + i, site);
    }
    sc->hold = true;
    for (unsigned i = 0; i < 4; i++)
        push_pending(sc, 1 + i, s[i], 0, 1, 1000000);
    expect(sc, "   push_apply\n   push_apply\n   push_apply\n104< push no later in 250\n");
    push_pending(sc, 5, s[4], 0, 1, 20);
    expect(sc, "   push_apply\n");
    push_pending(sc, 6, s[5], 0, 1, 20); /* in front of the large one that waits */
    expect(sc, "106< push no later in 250\n");
    script_free(sc);
}

static void test_of_two_places_one_is_kept_for_those_with_little_to_say(void **state)
{
    struct script *sc = script_new(2);
    uint64_t a = proven(sc, 1, "sa"), b = proven(sc, 2, "sb");

    (void)state;
    sc->hold = true;
    push_pending(sc, 1, a, 0, 1, 1000000);
    push_pending(sc, 2, b, 0, 1, 1000000);
    expect(sc, "   push_apply\n102< push no later in 250\n");
    push_pending(sc, 2, b, 0, 1, 1000);
    expect(sc, "   push_apply\n");
    works(sc);
    trace_clear(&sc->trace);
    script_free(sc);
}

static void test_a_place_is_kept_for_a_site_that_has_more_and_given_on_when_it_does_not_come(
    void **state)
{
    struct script *sc = script_new(1);
    uint64_t a = proven(sc, 1, "sa"), b = proven(sc, 2, "sb");

    (void)state;
    sc->more = true;
    pull(sc, 1, a, 0, 0);
    wait_ms(sc, 30000);
    trace_clear(&sc->trace);
    pull(sc, 2, b, 0, 0);
    expect(sc, "102< pull no later in 250\n");
    wait_ms(sc, 30001);
    trace_clear(&sc->trace);
    pull(sc, 2, b, 0, 0);
    expect(sc, "   pull_answer\n103< pull\n");
    script_free(sc);
}

static void test_a_site_that_has_worked_for_long_lets_the_others_in(void **state)
{
    struct script *sc = script_new(1);
    uint64_t a = proven(sc, 1, "sa"), b = proven(sc, 2, "sb");

    (void)state;
    push_pending(sc, 1, a, 0, 1, 1000000);
    for (uint64_t i = 1; i < 100; i++) {
        trace_clear(&sc->trace);
        sc->mono += 250;
        pull(sc, 2, b, 0, 0);
        if (strstr(sc->trace.text, "pull_answer") != NULL)
            break;
        push_pending(sc, 1, a, i, i + 1, 1000000);
    }
    assert_non_null(strstr(sc->trace.text, "pull_answer"));
    assert_in_range(sc->mono, 1010000, 1011000);
    script_free(sc);
}

static void test_a_parked_watch_takes_no_place(void **state)
{
    struct script *sc = script_new(1);
    uint64_t a = proven(sc, 1, "sa"), b = proven(sc, 2, "sb");

    (void)state;
    sc->more = true;
    pull(sc, 1, a, 0, 0);
    watch(sc, 1, a);
    trace_clear(&sc->trace);
    pull(sc, 2, b, 0, 0);
    expect(sc, "   pull_answer\n103< pull\n");
    script_free(sc);
}

static void test_a_watch_that_is_being_parked_does_not_keep_a_place(void **state)
{
    struct script *sc = script_new(1);
    uint64_t a = proven(sc, 1, "sa"), b = proven(sc, 2, "sb");

    (void)state;
    sc->hold = true;
    pull(sc, 1, a, 0, 0);
    watch(sc, 1, a);
    works(sc); /* the pull first, the question of the watch after it */
    trace_clear(&sc->trace);
    pull(sc, 2, b, 0, 0);
    expect(sc, "   pull_answer\n");
    script_free(sc);
}

static void test_a_session_has_few_works_at_once(void **state)
{
    struct script *sc = script_new(4);
    uint64_t a = proven(sc, 1, "sa");

    (void)state;
    sc->hold = true;
    for (unsigned i = 0; i < 6; i++)
        pull(sc, 1, a, 0, 0);
    expect(sc, "   pull_answer\n   pull_answer\n   pull_answer\n   pull_answer\n"
               "105< pull no later in 1000\n106< pull no later in 1000\n");
    script_free(sc);
}

/* ---- hostile -------------------------------------------------------------------------------------------------- */

static void test_a_message_that_does_not_decode_closes_the_pipe(void **state)
{
    struct script *sc = script_new(8);
    uint64_t s = proven(sc, 11, SITE);

    (void)state;
    watch(sc, 11, s);
    trace_clear(&sc->trace);
    step(sc, (struct sync_event){.kind = SYNC_EV_BAD, .pipe = 11, .request = 500});
    expect(
        sc,
        "log hub.bad_message\n500< hello no bad_message\n   peer_note\n101< watch no session\nclose 11 bad_message\n");
    push(sc, 11, s, 0, 10);
    expect(sc, "102< push no session\n");
    step(sc,
         (struct sync_event){.kind = SYNC_EV_BAD, .pipe = 99, .request = 501}); /* its first word */
    expect(sc, "log hub.bad_message\n501< hello no bad_message\nclose 99 bad_message\n");
    script_free(sc);
}

static void test_a_reply_or_an_unknown_op_is_a_bad_message(void **state)
{
    struct script *sc = script_new(8);

    (void)state;
    ask(sc, 11, (struct perche_message){.op = PERCHE_OP_PULL, .reply = true});
    expect(sc, "log hub.bad_message\n1< pull no bad_message\nclose 11 bad_message\n");
    ask(sc, 11, (struct perche_message){.op = 77});
    expect(sc, "log hub.bad_message\n2< ? no bad_message\nclose 11 bad_message\n");
    script_free(sc);
}

static void test_any_message_in_any_state_leaves_the_hub_in_order(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 300; seed++) {
        struct script *sc = script_new(1 + seed % 3);
        uint64_t session[5] = {0};

        sc->seed = seed;
        for (unsigned n = 0; n < 300; n++) {
            uint8_t r[12];
            uint64_t pipe;
            struct perche_message m = {0};

            script_random(&sc->seed, r, sizeof r);
            pipe = 1 + r[0] % 4;
            m.op = 1 + r[1] % 10; /* one that nobody knows, too */
            m.reply = r[2] < 4;
            m.u.pull.session =
                session[1 + r[3] % 4]; /* `session` stands first in all that have one */
            sc->hold = r[4] % 2;
            sc->equal = 1 + r[5] % 3;
            sc->news = r[6] % 4 == 0;
            sc->left &= r[6] % 5 != 0; /* invited anew */
            sc->more = r[6] % 3 == 0;
            sc->fails[1 + r[7] % WORK_NEWS] =
                r[8] < 40 ? (enum perche_rc) - (1 + r[9] % 17) : PERCHE_OK;
            if (m.op == PERCHE_OP_PUSH) {
                m.u.push.from = sc->have + r[9] % 3 - (sc->have > 0);
                m.u.push.to = m.u.push.from + r[10] % 3;
                m.u.push.pending = r[11] * 100;
            } else if (m.op == PERCHE_OP_DIGEST) {
                m.u.digest.level = r[9] % 4;
            } else if (m.op == PERCHE_OP_HELLO) {
                m.u.hello.site = r[9] == 0 ? NULL : SITE;
                m.u.hello.lowest = 1;
                m.u.hello.highest = r[9] % 2;
            } else if (m.op == PERCHE_OP_PROVE) {
                if (r[9] % 2 != 0)
                    hello(sc, pipe);
                m = proof(sc, r[10] % 2 != 0 ? SITE : OTHER, r[11] == 0 ? 2 : 1);
            } else if (m.op == PERCHE_OP_ROWS) {
                m.u.rows.wants_count = 0;
            }
            switch (r[8] % 16) {
            case 0: gone(sc, pipe); break;
            case 1: wait_ms(sc, r[9] * 50u); break;
            case 2:
                step(sc, (struct sync_event){
                             .kind = SYNC_EV_BAD, .pipe = pipe, .request = ++sc->request});
                break;
            case 3:
                step(sc, (struct sync_event){.kind = SYNC_EV_REVOKED,
                                             .site = r[9] % 2 != 0 ? SITE : OTHER});
                break;
            case 4: {
                struct outcome o = {.woken_all = true, .tag = r[9]};

                step(sc, (struct sync_event){.kind = SYNC_EV_WOKEN, .outcome = &o});
                break;
            }
            case 5:
                sc->captured += r[9];
                plain(sc, SYNC_EV_CHANGED);
                break;
            default: ask_bytes(sc, pipe, &m, r[9] == 1 ? 5000 : 200);
            }
            session[pipe] = sc->session;
            while (sc->works_count > 40)
                one_work(sc);
            trace_clear(&sc->trace);
        }
        sc->hold = false;
        works(sc);
        memset(sc->fails, 0, sizeof sc->fails);
        sc->left = false;
        proven(sc, 50, SITE); /* and somebody who knows the manners is served */
        sc->equal = PERCHE_EQUAL;
        wait_ms(sc, 200000);
        trace_clear(&sc->trace);
        digest(sc, 50, sc->session, 0);
        assert_non_null(strstr(sc->trace.text, "digest equal"));
        script_free(sc);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test(test_##name)
    const struct CMUnitTest tests[] = {
        T(a_site_proves_itself_and_its_requests_are_answered),
        T(before_a_proof_nothing_but_hello_prove_and_enrol_is_answered),
        T(an_unproven_peer_may_send_little),
        T(an_unproven_peer_may_ask_sixteen_times),
        T(a_proof_starts_the_count_again),
        T(of_too_many_unproven_pipes_the_oldest_go),
        T(a_new_migration_asks_every_site_to_shake_hands_again_on_its_line),
        T(so_it_asks_one_that_is_being_judged),
        T(a_proof_without_a_challenge_is_refused),
        T(a_replayed_proof_is_refused),
        T(a_signature_of_another_key_is_refused),
        T(an_unknown_and_a_revoked_site_are_refused),
        T(a_peer_of_another_version_or_without_a_name_is_refused),
        T(a_newer_session_ends_the_older_and_its_watch),
        T(an_answer_to_an_ended_session_is_not_given),
        T(a_session_proven_again_on_its_own_pipe_goes_on),
        T(another_site_over_the_same_pipe_ends_the_first),
        T(a_pipe_that_goes_while_it_is_judged_gets_no_session),
        T(a_proof_that_comes_after_a_later_one_makes_no_second_machine),
        T(two_machines_stop_both),
        T(one_proof_at_a_time_for_each_pipe),
        T(enrolling_is_one_work_and_its_answer),
        T(revoking_ends_the_session_and_the_pipe),
        T(what_was_under_way_when_a_site_was_revoked_is_not_answered),
        T(a_proof_that_a_pull_brought_is_noted_unless_it_lies_ahead),
        T(a_site_that_leaves_is_answered_and_let_in_no_more),
        T(a_leave_that_is_refused_or_not_of_the_session_changes_nothing),
        T(a_leave_reaches_a_proof_that_is_being_judged),
        T(a_revocation_reaches_a_proof_that_is_being_judged),
        T(the_second_batch_is_kept_until_the_first_is_applied),
        T(the_second_batch_may_arrive_before_the_first),
        T(one_early_batch_is_kept_and_no_more),
        T(an_early_batch_whose_forerunner_never_comes_is_refused_by_its_position),
        T(when_the_first_batch_is_refused_so_is_the_second),
        T(a_repeated_batch_is_judged_by_the_replica),
        T(the_replica_is_told_which_push_is_the_first_of_a_session),
        T(a_full_disk_acknowledges_nothing),
        T(a_batch_that_does_not_decode_closes_that_pipe_and_no_other),
        T(the_hubs_own_damaged_file_is_no_fault_of_the_sites),
        T(rows_that_differ_are_repaired_before_the_answer),
        T(a_watch_is_parked_and_answered_when_an_outcome_names_its_site),
        T(a_watch_is_answered_at_once_when_there_is_news_already),
        T(news_between_parking_and_looking_is_not_missed_nor_told_twice),
        T(a_watch_without_news_ends_after_its_time),
        T(a_second_watch_of_a_session_takes_the_place_of_the_first),
        T(a_watch_whose_question_fails_is_refused),
        T(a_watch_goes_with_its_pipe),
        T(many_watches_are_woken_in_portions_and_none_is_forgotten),
        T(a_local_change_is_harvested_until_there_is_no_more_and_wakes),
        T(a_harvest_that_fails_is_tried_again),
        T(a_hub_that_has_something_to_do_a_little_later_looks_by_itself),
        T(positions_go_to_disk_when_they_change_and_once_a_second_at_most),
        T(who_says_to_have_pulled_what_does_not_exist_yet_is_told_and_dropped),
        T(what_was_said_in_an_older_session_is_not_noted_for_the_newer),
        T(a_note_that_fails_is_written_later),
        T(the_end_of_a_session_writes_down_what_was_known),
        T(more_sessions_than_places_come_back_at_their_turn_oldest_first),
        T(a_site_that_misses_its_turn_is_not_waited_for),
        T(a_site_with_little_to_say_is_not_kept_behind_those_with_much),
        T(of_two_places_one_is_kept_for_those_with_little_to_say),
        T(a_place_is_kept_for_a_site_that_has_more_and_given_on_when_it_does_not_come),
        T(a_site_that_has_worked_for_long_lets_the_others_in),
        T(a_parked_watch_takes_no_place),
        T(a_watch_that_is_being_parked_does_not_keep_a_place),
        T(a_session_has_few_works_at_once),
        T(a_message_that_does_not_decode_closes_the_pipe),
        T(a_reply_or_an_unknown_op_is_a_bad_message),
        T(any_message_in_any_state_leaves_the_hub_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
