/* A hub and some sites, both real, over lines that lose, delay, repeat and cut,
 * with replicas that only count and programs that die: whatever happens, once the
 * lines are whole everything has arrived, nothing acknowledged was sent twice, and
 * everybody is live and proven equal. The seed is printed when a run fails. */
#include "sync_script.h"

#define SITES      3
#define EVENTS_MAX 8192
#define LOG_MAX    20000

enum what { TIMER, WORKED, TO_HUB, TO_SITE, LINE };

struct event {
    uint64_t at, order;
    enum what what;
    int node;      /* SITES = the hub */
    uint32_t life; /* of the node: what an earlier life asked for is nobody's */
    uint64_t pipe;
    uint32_t channel;
    uint64_t tag, request, sent_at;
    bool up;
    struct perche_buf bytes; /* a message on its way */
    struct outcome *outcome;
};

struct node {
    struct sync_site *site;
    uint32_t life;
    uint64_t timer;
    struct work writes[64]; /* the writer takes them in order */
    uint32_t writes_count;
    bool writing;
    /* the replica of a site */
    struct state st;
    uint64_t captured, heard; /* rows of others that are here */
    bool wants;
    uint64_t pipe;    /* 0 = no line */
    uint64_t session; /* as the hub stores it */
    uint64_t have;    /* the hub's, of this site */
    uint64_t synced;
    bool synced_yes;
};

struct world {
    uint64_t seed, draw, mono, order, pipes, requests;
    struct node node[SITES + 1];
    struct sync_hub *hub;
    uint8_t log[LOG_MAX]; /* whose row has this position at the hub; SITES = its own */
    uint64_t lsn;         /* the hub's newest */
    uint64_t hub_captured;
    struct event events[EVENTS_MAX];
    uint32_t events_count;
    bool rough; /* lines lose and programs die */
    struct {
        uint64_t request, pipe, tag;
        int site;
        uint32_t channel;
        uint64_t sent_at;
    } asked[4096];
    struct sync_actions out;
};

static uint32_t draw(struct world *w, uint32_t n)
{
    w->draw = w->draw * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->draw >> 33) % n;
}

static const char *name_of(int site)
{
    static const char *const names[SITES] = {"s0", "s1", "s2"};

    return names[site];
}

static struct event *plan(struct world *w, uint64_t in_ms, enum what what, int node)
{
    struct event *e;

    assert_true(w->events_count < EVENTS_MAX);
    e = &w->events[w->events_count++];
    memset(e, 0, sizeof *e);
    e->at = w->mono + in_ms;
    e->order = w->order++;
    e->what = what;
    e->node = node;
    e->life = w->node[node].life;
    return e;
}

/* ---- replicas ------------------------------------------------------------------- */

static uint64_t rows_for(const struct world *w, int site, uint64_t from, uint64_t to)
{
    uint64_t n = 0;

    for (uint64_t lsn = from + 1; lsn <= to; lsn++)
        n += w->log[lsn] != site;
    return n;
}

static void hub_takes(struct world *w, int origin, uint64_t rows, struct outcome *o)
{
    for (uint64_t i = 0; i < rows; i++) {
        assert_true(w->lsn + 1 < LOG_MAX);
        w->log[++w->lsn] = (uint8_t)origin;
    }
    if (rows == 0)
        return;
    o->woken = calloc(SITES, sizeof *o->woken);
    for (int i = 0; i < SITES; i++) {
        if (i != origin)
            (void)snprintf(o->woken[o->woken_count++], PERCHE_ID_BYTES_MAX, "%s", name_of(i));
    }
}

static void perform_hub(struct world *w, struct work *work, struct outcome *o)
{
    struct perche_message *m = &o->message;
    const struct perche_message *asked = &work->message;
    int site = work->site[0] == 's' ? work->site[1] - '0' : -1;
    struct node *n = site >= 0 ? &w->node[site] : NULL;

    m->op = asked->op;
    m->reply = asked->op != 0;
    switch (work->kind) {
    case WORK_HARVEST:
        o->rows = w->hub_captured < 3 ? w->hub_captured : 3;
        w->hub_captured -= o->rows;
        o->more = w->hub_captured > 0;
        hub_takes(w, SITES, o->rows, o);
        o->state.lsn = w->lsn;
        break;
    case WORK_STATE: o->state.lsn = w->lsn; break;
    case WORK_SITE_KEY:
        o->member.known = true;
        o->member.public_key[0] = 1;
        break;
    case WORK_PROVE_JUDGE:
        n->session = work->session;
        m->u.prove_reply.verdict = PERCHE_PROVEN;
        m->u.prove_reply.have = n->have;
        m->u.prove_reply.asof.lsn = w->lsn;
        m->u.prove_reply.name = "x";
        assert_true(asked->u.prove.acked <= n->have); /* acknowledged means durable */
        break;
    case WORK_PUSH_APPLY:
        if (work->session != n->session || asked->u.push.from != n->have) {
            m->refused = true;
            m->u.no.why = work->session != n->session ? PERCHE_NO_SESSION : PERCHE_NO_POSITION;
            m->u.no.text = "";
            m->u.no.have = n->have;
            break;
        }
        o->rows = asked->u.push.to - asked->u.push.from;
        hub_takes(w, site, o->rows, o);
        n->have = asked->u.push.to;
        m->u.push_reply.have = n->have;
        break;
    case WORK_PULL_ANSWER: {
        uint64_t to = asked->u.pull.scan + 1 + draw(w, 8);

        if (to > w->lsn)
            to = w->lsn;
        m->u.pull_reply.from_full = asked->u.pull.full;
        m->u.pull_reply.from_scan = asked->u.pull.scan;
        m->u.pull_reply.scan = to;
        m->u.pull_reply.more = to < w->lsn;
        m->u.pull_reply.full = m->u.pull_reply.more ? asked->u.pull.full : to;
        m->u.pull_reply.asof.lsn = w->lsn;
        m->u.pull_reply.have = n->have;
        break;
    }
    case WORK_DIGEST_ANSWER:
        m->u.digest_reply.clock_ms = work->now_ms;
        if (n->have < asked->u.digest.acked || rows_for(w, site, asked->u.digest.scan, w->lsn) > 0)
            m->u.digest_reply.answer = PERCHE_LATER;
        else if (w->rough && draw(w, 4) == 0)
            m->u.digest_reply.answer = PERCHE_DIFFERS;
        else
            m->u.digest_reply.answer = PERCHE_EQUAL;
        break;
    case WORK_NEWS:
        m->op = 0;
        m->reply = false;
        o->news = rows_for(w, site, work->scan, w->lsn) > 0;
        break;
    default: break; /* rows, note, repair: nothing to count */
    }
}

static void perform_site(struct world *w, int site, struct work *work, struct outcome *o)
{
    struct node *n = &w->node[site];
    struct state *st = &n->st;
    struct perche_message *m = &o->message;
    const struct perche_message *got = &work->message;
    uint64_t rows;

    switch (work->kind) {
    case WORK_HARVEST:
        rows = n->captured < 7 ? n->captured : 7;
        n->captured -= rows;
        st->lsn += rows;
        o->rows = rows;
        o->more = n->captured > 0;
        break;
    case WORK_PROVE_BUILD:
        m->op = PERCHE_OP_PROVE;
        m->u.prove.lsn = st->lsn;
        m->u.prove.acked = st->acked;
        break;
    case WORK_PROVED:
        assert_true(got->u.prove_reply.have >= st->acked);
        st->acked = got->u.prove_reply.have;
        break;
    case WORK_PUSH_BUILD:
        if (work->from >= st->lsn)
            break;
        rows = 1 + draw(w, 6);
        rows = rows < st->lsn - work->from ? rows : st->lsn - work->from;
        m->op = PERCHE_OP_PUSH;
        m->u.push.from = work->from;
        m->u.push.to = work->from + rows;
        m->u.push.asof.lsn = st->lsn;
        m->u.push.pending = st->lsn - st->acked;
        o->rows = rows;
        o->more = work->from + rows < st->lsn;
        o->pipelined = draw(w, 4) != 0;
        break;
    case WORK_PUSH_ACKED:
        assert_true(work->from == st->acked); /* in order, each once */
        assert_true(work->to <= n->have);
        st->acked = work->to;
        break;
    case WORK_PULL_BUILD:
        m->op = PERCHE_OP_PULL;
        m->u.pull.full = st->full;
        m->u.pull.scan = st->scan;
        break;
    case WORK_PULL_APPLY:
        assert_true(got->u.pull_reply.from_scan == st->scan &&
                    got->u.pull_reply.from_full == st->full);
        o->rows = rows_for(w, site, st->scan, got->u.pull_reply.scan);
        n->heard += o->rows;
        st->scan = got->u.pull_reply.scan;
        st->full = got->u.pull_reply.full;
        o->more = got->u.pull_reply.more;
        if (w->rough && draw(w, 6) == 0)
            n->wants = true;
        break;
    case WORK_ROWS_APPLY:
        o->rows = n->wants;
        n->wants = false;
        break;
    case WORK_DIGEST_BUILD:
        o->comparable =
            st->acked == st->lsn && n->captured == 0 && !n->wants && st->full == st->scan;
        m->op = PERCHE_OP_DIGEST;
        m->u.digest.scan = st->scan;
        m->u.digest.acked = st->acked;
        m->u.digest.level = work->level;
        break;
    case WORK_DIGEST_TAKE:
        if (work->level == 0) {
            assert_int_equal(n->heard, rows_for(w, site, 0, st->scan));
            st->proven_ms = got->u.digest_reply.clock_ms;
        }
        break;
    default: break;
    }
    if (n->wants && (work->kind == WORK_PROVED || work->kind == WORK_PULL_APPLY)) {
        static const struct perche_want want = {.table = "t",
                                                .key = {(const uint8_t *)"0123456789abcdef", 16}};

        m->op = PERCHE_OP_ROWS;
        m->u.rows.wants = (struct perche_want *)&want;
        m->u.rows.wants_count = 1;
    }
    st->pending = st->lsn - st->acked;
    o->state = *st;
}

static void perform(struct world *w, int node, struct work *work)
{
    struct outcome *o = calloc(1, sizeof *o);
    struct event *e;

    o->kind = work->kind;
    o->tag = work->tag;
    if (w->rough && draw(w, 60) == 0 && work->kind != WORK_SITE_KEY)
        o->rc = draw(w, 2) != 0 ? PERCHE_FULL : PERCHE_BUSY;
    else if (node == SITES)
        perform_hub(w, work, o);
    else
        perform_site(w, node, work, o);
    work_free(work);
    e = plan(w, draw(w, 20), WORKED, node);
    e->outcome = o;
    e->tag = work_writes(o->kind);
}

static void write_next(struct world *w, int node)
{
    struct node *n = &w->node[node];
    struct work work;

    if (n->writing || n->writes_count == 0)
        return;
    work = n->writes[0];
    n->writes_count--;
    memmove(&n->writes[0], &n->writes[1], n->writes_count * sizeof n->writes[0]);
    n->writing = true;
    perform(w, node, &work);
}

/* ---- nodes -------------------------------------------------------------------------- */

static void carry_out(struct world *w, int node);

static void site_step(struct world *w, int site, struct sync_event ev)
{
    ev.mono_ms = w->mono;
    ev.now_ms = CLOCK + w->mono;
    sync_site_step(w->node[site].site, &ev, &w->out);
    carry_out(w, site);
}

static void hub_step(struct world *w, struct sync_event ev)
{
    ev.mono_ms = w->mono;
    ev.now_ms = CLOCK + w->mono;
    sync_hub_step(w->hub, &ev, &w->out);
    carry_out(w, SITES);
}

static void cut(struct world *w, int site, bool site_knows)
{
    uint64_t pipe = w->node[site].pipe;
    struct event *e;

    if (pipe == 0)
        return;
    w->node[site].pipe = 0;
    e = plan(w, 1 + draw(w, 50), LINE, SITES);
    e->pipe = pipe;
    if (site_knows) {
        e = plan(w, 1 + draw(w, 50), LINE, site);
        e->up = false;
    }
}

static void send_bytes(struct world *w, enum what what, int node, uint64_t pipe, uint32_t channel,
                       uint64_t tag, uint64_t request, uint64_t sent_at,
                       const struct perche_message *m)
{
    unsigned copies = 1;

    if (w->rough && draw(w, 25) == 0)
        copies = draw(w, 2) * 2; /* lost, or twice */
    for (unsigned i = 0; i < copies; i++) {
        struct event *e = plan(w, 5 + draw(w, 120), what, node);

        e->pipe = pipe;
        e->channel = channel;
        e->tag = tag;
        e->request = request;
        e->sent_at = sent_at;
        assert_int_equal(perche_message_encode(m, &e->bytes, NULL), PERCHE_OK);
    }
}

static void carry_out(struct world *w, int node)
{
    struct sync_actions actions = w->out;
    struct node *n = &w->node[node];
    int site = node;

    memset(&w->out, 0, sizeof w->out);
    for (uint32_t i = 0; i < actions.count; i++) {
        struct sync_action *a = &actions.items[i];

        switch (a->kind) {
        case SYNC_SEND:
            if (node == SITES) {
                for (unsigned k = 0; k < 4096; k++) {
                    if (w->asked[k].request == a->request) {
                        send_bytes(w, TO_SITE, w->asked[k].site, a->pipe, w->asked[k].channel,
                                   w->asked[k].tag, 0, w->asked[k].sent_at, &a->message);
                        break;
                    }
                }
                break;
            }
            if (a->message.op == PERCHE_OP_PUSH)
                assert_true(a->message.u.push.from >=
                            n->st.acked); /* what is acknowledged is not sent again */
            if (n->pipe != 0)
                send_bytes(w, TO_HUB, SITES, n->pipe, a->channel, a->tag, (uint64_t)site, w->mono,
                           &a->message);
            break;
        case SYNC_WORK:
            if (work_writes(a->work.kind)) {
                assert_true(n->writes_count < 64);
                n->writes[n->writes_count++] = a->work;
                memset(&a->work, 0, sizeof a->work);
                write_next(w, node);
            } else {
                perform(w, node, &a->work);
            }
            break;
        case SYNC_TIMER: {
            struct event *e = plan(w, a->at_ms > w->mono ? a->at_ms - w->mono : 0, TIMER, node);

            n->timer = a->at_ms;
            e->tag = a->at_ms;
            break;
        }
        case SYNC_CONNECT: {
            struct event *e = plan(w, 5 + draw(w, 300), LINE, site);

            e->up = !(w->rough && draw(w, 4) == 0);
            e->pipe = ++w->pipes;
            break;
        }
        case SYNC_DISCONNECT:
            if (node == SITES) {
                for (int k = 0; k < SITES; k++) {
                    if (w->node[k].pipe == a->pipe)
                        cut(w, k, true);
                }
            } else {
                cut(w, site, false);
            }
            break;
        case SYNC_SYNCED:
            n->synced = a->tag;
            n->synced_yes = a->reason == NULL;
            break;
        case SYNC_LOG:
        case SYNC_LEFT:
        case SYNC_STATE: break;
        }
    }
    sync_actions_free(&actions);
}

static struct sync_ops ops_of(struct world *w)
{
    return (struct sync_ops){
        .ctx = &w->draw, .random = script_random, .sign = script_sign, .verify = script_verify};
}

static void start(struct world *w, int node)
{
    struct node *n = &w->node[node];

    n->life++;
    if (node == SITES) {
        struct sync_hub_config config = {
            .hub = HUB, .epoch = 1, .watch_ms = 45000, .sessions_max = 2};

        config.ops = ops_of(w);
        w->hub = sync_hub_new(&config);
        hub_step(w, (struct sync_event){.kind = SYNC_EV_START});
    } else {
        struct sync_site_config config = {.site = name_of(node), .hub = HUB, .interval_ms = 30000};

        config.ops = ops_of(w);
        n->site = sync_site_new(&config);
        site_step(w, node, (struct sync_event){.kind = SYNC_EV_START});
    }
}

/* The process dies between any two steps: what the writer had under way is done or not. */
static void die(struct world *w, int node)
{
    struct node *n = &w->node[node];

    for (uint32_t i = 0; i < n->writes_count; i++)
        work_free(&n->writes[i]);
    n->writes_count = 0;
    n->writing = false;
    if (node == SITES) {
        sync_hub_free(w->hub);
        for (int i = 0; i < SITES; i++)
            cut(w, i, true);
    } else {
        cut(w, node, false);
        sync_site_free(n->site);
    }
}

/* ---- the run ----------------------------------------------------------------------------- */

static void happen(struct world *w, struct event *e)
{
    struct node *n = &w->node[e->node];
    struct perche_message m = {0};

    if (e->what == TO_HUB || e->what == TO_SITE)
        assert_int_equal(perche_message_decode(
                             (struct perche_bytes){e->bytes.p, (uint32_t)e->bytes.n}, &m, NULL),
                         PERCHE_OK);
    switch (e->what) {
    case TIMER:
        if (e->life != n->life || e->tag != n->timer)
            break;
        if (e->node == SITES)
            hub_step(w, (struct sync_event){.kind = SYNC_EV_TIME});
        else
            site_step(w, e->node, (struct sync_event){.kind = SYNC_EV_TIME});
        break;
    case WORKED:
        if (e->life == n->life) {
            if (e->tag != 0)
                n->writing = false;
            write_next(w, e->node);
            if (e->node == SITES)
                hub_step(w, (struct sync_event){.kind = SYNC_EV_OUTCOME, .outcome = e->outcome});
            else
                site_step(w, e->node,
                          (struct sync_event){.kind = SYNC_EV_OUTCOME, .outcome = e->outcome});
        }
        if (e->outcome->message.arena == NULL)
            memset(&e->outcome->message, 0, sizeof e->outcome->message);
        outcome_free(e->outcome);
        free(e->outcome);
        break;
    case TO_HUB: {
        int site = (int)e->request;
        unsigned slot;

        if (w->node[site].pipe != e->pipe && draw(w, 4) != 0)
            break; /* mostly lost with the line; sometimes it was there already */
        slot = (unsigned)(++w->requests % 4096);
        w->asked[slot].request = w->requests;
        w->asked[slot].pipe = e->pipe;
        w->asked[slot].tag = e->tag;
        w->asked[slot].site = site;
        w->asked[slot].channel = e->channel;
        w->asked[slot].sent_at = e->sent_at;
        hub_step(w, (struct sync_event){.kind = SYNC_EV_REQUEST,
                                        .pipe = e->pipe,
                                        .request = w->requests,
                                        .message = &m,
                                        .bytes = e->bytes.n});
        if (w->node[site].pipe !=
            e->pipe) /* the hub does not hear of the end before what came before it */
            hub_step(w, (struct sync_event){.kind = SYNC_EV_PIPE_GONE, .pipe = e->pipe});
        break;
    }
    case TO_SITE:
        /* also from a line that is gone: the tag tells */
        if (w->node[e->node].life == e->life)
            site_step(w, e->node,
                      (struct sync_event){.kind = SYNC_EV_REPLY,
                                          .channel = e->channel,
                                          .tag = e->tag,
                                          .message = &m,
                                          .bytes = e->bytes.n,
                                          .line_ms = w->mono - e->sent_at});
        break;
    case LINE:
        if (e->node == SITES) {
            hub_step(w, (struct sync_event){.kind = SYNC_EV_PIPE_GONE, .pipe = e->pipe});
        } else if (e->life == n->life) {
            if (e->up)
                n->pipe = e->pipe;
            site_step(w, e->node,
                      (struct sync_event){.kind = e->up ? SYNC_EV_LINE_UP : SYNC_EV_LINE_DOWN,
                                          .reason = draw(w, 2) != 0 ? "refused" : "lost"});
        }
        break;
    }
    perche_message_free(&m);
    perche_buf_free(&e->bytes);
}

static void until(struct world *w, uint64_t end)
{
    for (;;) {
        struct event e;
        uint32_t first = UINT32_MAX;

        for (uint32_t i = 0; i < w->events_count; i++) {
            if (first == UINT32_MAX || w->events[i].at < w->events[first].at ||
                (w->events[i].at == w->events[first].at &&
                 w->events[i].order < w->events[first].order))
                first = i;
        }
        if (first == UINT32_MAX || w->events[first].at > end)
            break;
        e = w->events[first];
        w->events[first] = w->events[--w->events_count];
        w->mono = e.at;
        happen(w, &e);
    }
    w->mono = end;
}

static void edit(struct world *w, int node, uint64_t rows)
{
    if (node == SITES) {
        w->hub_captured += rows;
        hub_step(w, (struct sync_event){.kind = SYNC_EV_CHANGED});
    } else {
        w->node[node].captured += rows;
        site_step(w, node, (struct sync_event){.kind = SYNC_EV_CHANGED});
    }
}

static bool in_step(struct world *w)
{
    for (int i = 0; i < SITES; i++) {
        struct sync_site_view view;
        const struct node *n = &w->node[i];

        sync_site_view(n->site, &view);
        if (view.state != SYNC_LIVE || n->captured > 0 || n->st.acked != n->st.lsn ||
            n->have != n->st.lsn || n->heard != rows_for(w, i, 0, w->lsn))
            return false;
    }
    return w->hub_captured == 0;
}

static void one_run(uint64_t seed, bool rough)
{
    struct world *w = calloc(1, sizeof *w);
    uint64_t end;

    w->seed = seed;
    w->draw = seed * 2 + 1;
    w->mono = 1000;
    w->rough = rough;
    for (int i = 0; i < 20; i++)
        (void)draw(w, 2);
    for (int i = SITES; i >= 0; i--)
        start(w, i);
    for (unsigned n = 0; n < 60; n++) {
        int node = (int)draw(w, SITES + 1);

        until(w, w->mono + draw(w, draw(w, 10) == 0 ? 60000 : 1500));
        edit(w, node, 1 + draw(w, draw(w, 5) == 0 ? 40 : 3));
        if (!rough)
            continue;
        if (draw(w, 6) == 0)
            cut(w, (int)draw(w, SITES), draw(w, 2) != 0);
        if (draw(w, 12) == 0) {
            node = (int)draw(w, SITES + 1);
            die(w, node);
            start(w, node);
        }
        if (draw(w, 6) == 0)
            site_step(w, (int)draw(w, SITES),
                      (struct sync_event){.kind = SYNC_EV_SYNC_NOW,
                                          .tag = 1,
                                          .wait = draw(w, 2) != 0,
                                          .timeout_ms = 5000});
    }
    w->rough = false; /* the lines are whole from now on */
    end = w->mono + 3600000;
    while (!in_step(w) && w->mono < end)
        until(w, w->mono + 1000);
    if (!in_step(w)) {
        for (int i = 0; i < SITES; i++) {
            struct sync_site_view v;

            sync_site_view(w->node[i].site, &v);
            print_error("seed %" PRIu64 " site %d: %s %s lsn=%" PRIu64 " acked=%" PRIu64
                        " have=%" PRIu64 " scan=%" PRIu64 " hub=%" PRIu64 " captured=%" PRIu64
                        " pipe=%" PRIu64 "\n",
                        seed, i, sync_state_name(v.state), v.reason, v.lsn, v.acked,
                        w->node[i].have, v.scan, w->lsn, w->node[i].captured, w->node[i].pipe);
        }
        fail_msg("seed %" PRIu64 " does not end in step", seed);
    }
    for (int i = 0; i < SITES; i++)
        site_step(w, i, (struct sync_event){.kind = SYNC_EV_SYNC_NOW, .tag = 77, .wait = true});
    until(w, w->mono + 60000);
    for (int i = 0; i < SITES; i++) {
        if (w->node[i].synced != 77 || !w->node[i].synced_yes)
            fail_msg("seed %" PRIu64 ": site %d is not proven equal", seed, i);
    }
    for (int i = 0; i <= SITES; i++)
        die(w, i);
    while (w->events_count > 0) { /* what is still on its way */
        struct event *e = &w->events[--w->events_count];

        perche_buf_free(&e->bytes);
        if (e->outcome != NULL) {
            outcome_free(e->outcome);
            free(e->outcome);
        }
    }
    free(w);
}

static void test_over_whole_lines_everybody_ends_in_step(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++)
        one_run(seed, false);
}

static void test_over_bad_lines_and_with_deaths_everybody_ends_in_step(void **state)
{
    const char *from = getenv("SYNC_PAIR_FROM"), *seeds = getenv("SYNC_PAIR_SEEDS");
    uint64_t first = from != NULL ? strtoull(from, NULL, 10) : 1;
    uint64_t count = seeds != NULL ? strtoull(seeds, NULL, 10) : 400;

    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++)
        one_run(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_over_whole_lines_everybody_ends_in_step),
        cmocka_unit_test(test_over_bad_lines_and_with_deaths_everybody_ends_in_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
