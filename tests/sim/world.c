/* Nodes, and events in the order of virtual time.
 *
 * A node is a process (conversation and replica) beside a file that local programs
 * write with connections of their own. The conversation's actions are carried out in
 * order; works run on one writer and on readers beside it, each takes a while before it
 * begins and before its outcome is told; a crash may come between any two of these. */
#include "sim.h"
#include "tables.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"

#define LOOK_MS 20000u   /* net looks now and then whether anybody wrote */
#define GROUP_MAX 6

void world_fail(struct world *w, const char *kind, const char *fmt, ...)
{
    va_list args;

    if (w->failure[0] != '\0')
        return;
    va_start(args, fmt);
    (void)vsnprintf(w->failure, sizeof w->failure, fmt, args);
    va_end(args);
    (void)snprintf(w->failure_kind, sizeof w->failure_kind, "%s", kind);
    STORY(w, NULL, "FAILED: %s: %s", kind, w->failure);
}

uint64_t world_wall(const struct world *w, const struct node *n)
{
    return (uint64_t)((int64_t)(EPOCH_MS + w->now_ms) + n->skew_ms);
}

/* ---- events ------------------------------------------------------------- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->seq < b->seq;
}

struct event *world_at(struct world *w, uint64_t in_ms, enum event_kind kind, const struct node *n)
{
    struct event *e = calloc(1, sizeof *e);
    uint32_t i;

    if (w->heap_count == w->heap_cap) {
        w->heap_cap = w->heap_cap ? 2 * w->heap_cap : 256;
        w->heap = realloc(w->heap, w->heap_cap * sizeof(struct event *));
    }
    if (e == NULL || w->heap == NULL)
        abort();
    *e = (struct event){.at_ms = w->now_ms + in_ms, .seq = ++w->seq, .kind = kind};
    if (n != NULL) {
        e->node = n->index;
        e->life = n->life;
    }
    for (i = w->heap_count++; i > 0 && before(e, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = e;
    return e;
}

static struct event *next_event(struct world *w)
{
    struct event *first, *last;
    uint32_t i = 0;

    if (w->heap_count == 0)
        return NULL;
    first = w->heap[0];
    last = w->heap[--w->heap_count];
    for (uint32_t k = 1; k < w->heap_count; k = 2 * i + 1) {
        if (k + 1 < w->heap_count && before(w->heap[k + 1], w->heap[k]))
            k++;
        if (!before(w->heap[k], last))
            break;
        w->heap[i] = w->heap[k];
        i = k;
    }
    if (w->heap_count > 0)
        w->heap[i] = last;
    return first;
}

static void work_end(struct work *work)
{
    if (work != NULL)
        work_free(work);
    free(work);
}

static void event_free(struct event *e)
{
    perche_buf_free(&e->bytes);
    work_end(e->work);
    if (e->outcome != NULL)
        outcome_free(e->outcome);
    free(e->outcome);
    free(e);
}

/* ---- what the conversation is given ---------------------------------------- */

static void ops_random(void *ctx, uint8_t *out, size_t n)
{
    chance_bytes(&((struct node *)ctx)->chance, out, n);
}

/* Not a signature: enough to tell whether both ends speak of the same bytes and key. */
static void mix(const uint8_t key[32], const uint8_t *p, size_t n, uint8_t signature[64])
{
    uint64_t x = UINT64_C(0x243f6a8885a308d3);

    for (size_t i = 0; i < 32 + n; i++)
        x = (x ^ (i < 32 ? key[i] : p[i - 32])) * UINT64_C(0x100000001b3) ^ x >> 29;
    for (size_t i = 0; i < 64; i++)
        signature[i] = (uint8_t)(chance_splitmix(&x) >> 17);
}

static void ops_sign(void *ctx, const uint8_t *p, size_t n, uint8_t signature[64])
{
    mix(((struct node *)ctx)->key, p, n, signature);
}

static bool ops_verify(void *ctx, const uint8_t public_key[32], const uint8_t *p, size_t n, const uint8_t signature[64])
{
    uint8_t right[64];

    (void)ctx;
    mix(public_key, p, n, right);
    return memcmp(right, signature, sizeof right) == 0;
}

static struct replica_signer signer_of(struct node *n)
{
    struct replica_signer s = {.ctx = n, .sign = ops_sign, .verify = ops_verify};

    memcpy(s.public_key, n->key, sizeof s.public_key);
    return s;
}

static void events_done(struct world *w, struct node *n, struct sync_actions *actions);

void node_event(struct world *w, struct node *n, struct sync_event *ev)
{
    struct sync_actions actions = {0};

    assert(n->up);
    ev->now_ms = world_wall(w, n);
    ev->mono_ms = w->now_ms;
    if (n->hub != NULL)
        sync_hub_step(n->hub, ev, &actions);
    else
        sync_site_step(n->site, ev, &actions);
    events_done(w, n, &actions);
    sync_actions_free(&actions);
}

static void push(struct lane *l, const struct work *work)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 8;
        l->items = realloc(l->items, l->cap * sizeof *l->items);
        if (l->items == NULL)
            abort();
    }
    l->items[l->count++] = *work;
}

static void lane_clear(struct lane *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        work_free(&l->items[i]);
    for (uint32_t i = 0; i < l->done_count; i++) {
        work_free(&l->done[i]);
        outcome_free(&l->outcomes[i]);
    }
    free(l->items);
    free(l->done);
    free(l->outcomes);
    memset(l, 0, sizeof *l);
}

static uint64_t work_ms(struct world *w)
{
    uint32_t x = chance_below(&w->work_chance, 100);

    return x < 70 ? chance_below(&w->work_chance, 3) : x < 97 ? chance_below(&w->work_chance, 30) : chance_below(&w->work_chance, 2500);
}

static void writes_go(struct world *w, struct node *n)
{
    if (n->writes.busy || n->writes.count == 0)
        return;
    n->writes.busy = true;
    (void)world_at(w, work_ms(w), EV_WRITES, n);
}

static void do_work(struct world *w, struct node *n, struct work *work) /* takes what is in it */
{
    uint32_t narrow = w->plan != NULL ? w->plan->mix.narrow : 0;

    if (narrow > 0 && (work->kind == WORK_PUSH_BUILD || work->kind == WORK_PULL_ANSWER)) { /* a few rows at a time */
        work->rows_max = narrow;
        work->bytes_max = narrow * 40;
    }
    if (work_writes(work->kind)) {
        push(&n->writes, work);
        writes_go(w, n);
    } else {
        struct event *e = world_at(w, work_ms(w), EV_READ, n);

        e->work = malloc(sizeof *e->work);
        if (e->work == NULL)
            abort();
        *e->work = *work;
    }
    memset(work, 0, sizeof *work);
}

void node_command(struct world *w, struct node *n, const char *name, char *args)
{
    struct work work = {.kind = WORK_COMMAND, .now_ms = world_wall(w, n), .name = name, .args = args};

    chance_bytes(&n->chance, work.random, sizeof work.random);
    do_work(w, n, &work);
}

static void set_state(struct world *w, struct node *n)
{
    struct sync_site_view view;

    if (n->site == NULL)
        return;
    sync_site_view(n->site, &view);
    if (view.state != n->state)
        STORY(w, n, "is %s%s%s", sync_state_name(view.state), view.reason[0] != '\0' ? ", " : "", view.reason);
    if (view.state == SYNC_LIVE && n->state != SYNC_LIVE)
        n->live_ms = w->now_ms;
    if (view.state != SYNC_LIVE)
        n->live_ms = 0;
    n->state = view.state;
}

/* Carries the actions out, in order; the process may end in between. */
static void events_done(struct world *w, struct node *n, struct sync_actions *actions)
{
    uint32_t life = n->life;

    if (actions->nomem)
        world_fail(w, "memory", "an action is missing");
    for (uint32_t i = 0; i < actions->count && n->up && n->life == life; i++) {
        struct sync_action *a = &actions->items[i];

        if (n->crash_in > 0 && n->crash == CRASH_ACTION && --n->crash_in == 0) {
            w->counts[COUNT_KILL_ACTION]++;
            STORY(w, n, "dies before action %u of %u", i + 1, actions->count);
            node_crash(w, n, n->crash_power, n->crash_down_ms);
            return;
        }
        switch (a->kind) {
        case SYNC_SEND:
            if (n->hub != NULL)
                line_reply(w, a->request, &a->message);
            else
                line_send(w, n, a->channel, a->tag, &a->message);
            break;
        case SYNC_WORK:
            do_work(w, n, &a->work);
            break;
        case SYNC_TIMER: {
            struct event *e;

            n->timer_ms = a->at_ms;
            e = world_at(w, a->at_ms > w->now_ms ? a->at_ms - w->now_ms : 0, EV_TIMER, n);
            e->a = a->at_ms;
            break;
        }
        case SYNC_CONNECT: line_connect(w, n); break;
        case SYNC_DISCONNECT:
            STORY(w, n, "hangs up: %s", a->reason != NULL ? a->reason : "");
            if (n->hub != NULL)
                line_close_pipe(w, a->pipe);
            else
                line_disconnect(w, n);
            break;
        case SYNC_LOG: STORY(w, n, "log %s %s", a->reason, a->text); break;
        case SYNC_STATE: set_state(w, n); break;
        case SYNC_LEFT: break; /* nobody leaves here */
        case SYNC_SYNCED:
            STORY(w, n, "sync --wait: %s", a->reason == NULL ? "done and equal" : a->reason);
            n->synced = true;
            n->synced_ok = a->reason == NULL;
            n->synced_missing = a->reason;
            break;
        }
    }
    if (n->up && n->life == life)
        set_state(w, n);
}

/* ---- works ---------------------------------------------------------------- */

/* The hub says so: is it? */
static void two_machines(struct world *w, const char *id)
{
    w->counts[COUNT_TWIN_SAID]++;
    for (uint32_t i = 1; i < w->nodes_count; i++) {
        struct node *n = &w->nodes[i];

        if (strcmp(n->id, id) != 0)
            continue;
        if (!n->twins)
            world_fail(w, "P6 false alarm", "%s is taken for two machines", n->name);
        n->noticed = true;
    }
}

static void look_at_outcome(struct world *w, struct node *n, const struct work *work, const struct outcome *o)
{
    if (o->rc == PERCHE_BUSY)
        w->counts[COUNT_BUSY]++;
    else if (o->rc == PERCHE_FULL && disk_bounded(n->disk))
        w->counts[COUNT_FULL_WORK]++;
    else if (o->rc == PERCHE_INTERNAL && n->dropped != 0 && strstr(o->err.text, "no such table") != NULL)
        STORY(w, n, "%s waits for a table that is gone", work_name(work->kind));
    else if (o->rc == PERCHE_FULL || o->rc == PERCHE_INTERNAL || o->rc == PERCHE_CORRUPT || o->rc == PERCHE_DISK || o->rc == PERCHE_NOMEM)
        world_fail(w, "work failed", "%s: %s: %s: %s", n->name, work_name(work->kind), perche_rc_name(o->rc), o->err.text);
    if (w->verbose) {
        if (o->rc != PERCHE_OK)
            story(w, n, "work %s: %s: %s", work_name(work->kind), perche_rc_name(o->rc), o->err.text);
        else if (o->rows > 0 && work->kind != WORK_PUSH_BUILD)
            story(w, n, "work %s: %llu rows", work_name(work->kind), (unsigned long long)o->rows);
        else if (o->rc == PERCHE_OK && work->kind == WORK_PROVED)
            story(w, n, "work proved: acked %llu", (unsigned long long)o->state.acked);
    }
    if (o->rc != PERCHE_OK)
        return;
    w->counts[n->index == HUB ? COUNT_FORGOTTEN_HUB : COUNT_FORGOTTEN_SITE] += o->forgotten;
    w->counts[COUNT_RETIRED] += o->retired;
    if (work->kind == WORK_COMMAND && strcmp(work->name, "recover") == 0)
        for (uint32_t i = 1; i < w->nodes_count; i++)
            if (strstr(work->args, w->nodes[i].id) != NULL && w->nodes[i].twins) {
                w->nodes[i].twins = w->nodes[i].noticed = false;
                w->counts[COUNT_RECOVER]++;
            }
    actor_found(w, n, o);
    if (work->kind == WORK_HARVEST)
        actor_harvested(w, n, o);
    if (work->kind == WORK_COMMAND && strcmp(work->name, "audit") == 0)
        n->unseen_off = false; /* every table is listed to be compared */
    if (work->kind == WORK_PROVE_JUDGE && o->message.op == PERCHE_OP_PROVE && !o->message.refused) {
        w->counts[COUNT_RESTORED_SAID] += o->message.u.prove_reply.verdict == PERCHE_RESTORED;
        w->counts[COUNT_RETURNED] += o->message.u.prove_reply.floor > o->message.u.prove_reply.scan;
        w->counts[COUNT_GO_BACK_SAID] += o->message.u.prove_reply.verdict == PERCHE_GO_BACK;
        if (o->message.u.prove_reply.verdict == PERCHE_TWO_MACHINES)
            two_machines(w, work->site);
        else if (o->message.u.prove_reply.verdict == PERCHE_GO_BACK && !w->put_back)
            world_fail(w, "P6 false alarm", "the hub takes itself for an older copy");
    }
    if (work->kind == WORK_PROVED && work->message.u.prove_reply.verdict == PERCHE_RESTORED && o->asof_lsn == 0 && !w->put_back)
        world_fail(w, "P6 false alarm", "%s is taken for an older copy", n->name);
    if (work_writes(work->kind) && (o->rows > 0 || work->kind == WORK_PUSH_APPLY || work->kind == WORK_REPAIR ||
                                    work->kind == WORK_COMMAND || o->woken_count > 0 || o->woken_all))
        w->moved_ms = w->now_ms;
    if (n->index != HUB && work_writes(work->kind)) {
        if (o->state.acked < n->acked && work->kind != WORK_PROVED)
            world_fail(w, "P2 acknowledged", "%s: acknowledged up to %llu, now %llu", n->name, (unsigned long long)n->acked,
                       (unsigned long long)o->state.acked);
        n->acked = o->state.acked;
    }
    if (work->kind == WORK_DIGEST_TAKE && work->message.u.digest_reply.answer == PERCHE_EQUAL)
        n->said_equal_ms = w->now_ms;
    if (work->kind == WORK_DIGEST_BUILD && o->comparable && work->level == 0)
        oracle_built(w, n, &o->message);
    if (work->kind == WORK_DIGEST_ANSWER && o->message.op == PERCHE_OP_DIGEST && !o->message.refused &&
        o->message.u.digest_reply.answer == PERCHE_EQUAL && work->level == 0)
        oracle_equal(w, n, &work->message);
    if (work->kind == WORK_PULL_ANSWER && o->message.op == PERCHE_OP_PULL && !o->message.refused && o->message.u.pull_reply.root_ms != 0)
        oracle_given(w, n, work->site, &o->message.u.pull_reply);
    if (work->kind == WORK_PULL_APPLY && o->equal) {
        n->said_equal_ms = w->now_ms;
        oracle_taken(w, n, &work->message.u.pull_reply);
    }
    if (work->kind == WORK_PULL_APPLY && work->message.u.pull_reply.batch.n > 0) {
        struct perche_batch *b = perche_batch_new();
        struct perche_err err;

        if (b != NULL && perche_batch_decode(work->message.u.pull_reply.batch, b, &err) == PERCHE_OK)
            for (uint32_t i = 0; i < b->notices_count; i++) {
                if (b->notices[i].kind == PERCHE_REFUSAL)
                    w->counts[COUNT_REFUSED]++;
                if (b->notices[i].kind == PERCHE_LEFT)
                    w->counts[COUNT_LEFT]++;
                if (b->notices[i].kind == PERCHE_REFUSAL && !w->plan->mix.unlawful && !w->plan->mix.moves)
                    world_fail(w, "lawful write refused", "%s: %s, %s %s", n->name, b->notices[i].table,
                               b->notices[i].reason != NULL ? b->notices[i].reason : "",
                               b->notices[i].columns != NULL ? b->notices[i].columns : "");
            }
        perche_batch_free(b);
    }
}

/* What goes in and comes out is gone when it is killed in the middle. */
static bool died_writing(struct world *w, struct node *n)
{
    if (!disk_frozen(n->disk))
        return false;
    w->counts[COUNT_KILL_WRITE]++;
    STORY(w, n, "dies in the middle of a write");
    node_crash(w, n, n->crash_power, n->crash_down_ms);
    return true;
}

static void perform_writes(struct world *w, struct node *n)
{
    struct lane *l = &n->writes;
    uint32_t count = 1;

    while (count < l->count && count < GROUP_MAX && l->items[count].kind == WORK_PUSH_APPLY && l->items[0].kind == WORK_PUSH_APPLY)
        count++;
    if (count > 1)
        w->counts[COUNT_GROUP]++;
    l->done = calloc(count, sizeof *l->done);
    l->outcomes = calloc(count, sizeof *l->outcomes);
    if (l->done == NULL || l->outcomes == NULL)
        abort();
    memcpy(l->done, l->items, count * sizeof *l->done);
    l->count -= count;
    memmove(l->items, l->items + count, l->count * sizeof *l->items);
    l->done_count = count;
    for (uint32_t i = 0; i < count; i++)
        if (l->done[i].kind == WORK_COMMAND)
            actor_resolving(w, n, &l->done[i]);
    disk_run_as(n->disk, DISK_DAEMON);
    replica_perform(n->writer, l->done, l->outcomes, count);
    if (died_writing(w, n))
        return;
    for (uint32_t i = 0; i < count; i++) {
        look_at_outcome(w, n, &l->done[i], &l->outcomes[i]);
        if (l->done[i].kind == WORK_COMMAND)
            actor_resolved(w, n, &l->done[i], &l->outcomes[i]);
    }
    if (n->crash_in > 0 && n->crash == CRASH_OUTCOME && --n->crash_in == 0) {
        w->counts[COUNT_KILL_OUTCOME]++;
        STORY(w, n, "dies after %s, before anybody hears of it", work_name(l->done[0].kind));
        node_crash(w, n, n->crash_power, n->crash_down_ms);
        return;
    }
    (void)world_at(w, work_ms(w), EV_WRITES_DONE, n);
}

static void tell_outcome(struct world *w, struct node *n, struct work *work, struct outcome *o)
{
    struct sync_event ev = {.kind = SYNC_EV_OUTCOME, .outcome = o};

    o->tag = work->tag;
    if (work->kind == WORK_COMMAND) { /* net's own: tells the conversation what changed */
        if (n->hub != NULL)
            ev.kind = SYNC_EV_WOKEN;
        else
            ev.kind = SYNC_EV_CHANGED;
    }
    node_event(w, n, &ev);
}

static void writes_done(struct world *w, struct node *n)
{
    struct work *works = n->writes.done;
    struct outcome *outcomes = n->writes.outcomes;
    uint32_t count = n->writes.done_count, life = n->life;

    n->writes.done = NULL;
    n->writes.outcomes = NULL;
    n->writes.done_count = 0;
    n->writes.busy = false;
    for (uint32_t i = 0; i < count; i++) {
        if (n->up && n->life == life)
            tell_outcome(w, n, &works[i], &outcomes[i]);
        work_free(&works[i]);
        outcome_free(&outcomes[i]);
    }
    free(works);
    free(outcomes);
    if (n->up && n->life == life)
        writes_go(w, n);
}

static bool reader_open(struct world *w, struct node *n)
{
    struct replica_config config = {.path = FILE_NAME, .role = n->index == HUB ? REPLICA_HUB : REPLICA_SITE, .name = n->name,
                                    .now_ms = world_wall(w, n), .vfs = disk_vfs(n->disk), .signer = signer_of(n)};
    struct perche_err err;

    if (n->reader != NULL)
        return true;
    config.schema = tables_of_tests(&config.schema_count);
    disk_run_as(n->disk, DISK_DAEMON);
    chance_bytes(&n->chance, config.random, sizeof config.random);
    if (replica_open_reader(&config, &n->reader, &err) != PERCHE_OK) {
        if (err.rc == PERCHE_BUSY || (err.rc == PERCHE_FULL && disk_bounded(n->disk)))
            return false;
        world_fail(w, "open", "%s cannot open a reader: %s", n->name, err.text);
        return false;
    }
    lock_never_wait(n->reader);
    return true;
}

static void perform_read(struct world *w, struct node *n, struct event *e)
{
    struct event *done;
    struct outcome *o = calloc(1, sizeof *o);

    if (o == NULL)
        abort();
    disk_run_as(n->disk, DISK_DAEMON);
    if (reader_open(w, n))
        replica_perform(n->reader, e->work, o, 1);
    else
        o->rc = perche_err_set(&o->err, PERCHE_BUSY, "no reader");
    look_at_outcome(w, n, e->work, o);
    if (died_writing(w, n)) {
        outcome_free(o);
        free(o);
        return;
    }
    done = world_at(w, work_ms(w), EV_READ_DONE, n);
    done->work = e->work;
    done->outcome = o;
    e->work = NULL;
}

/* ---- life of a process ------------------------------------------------------- */

static bool node_open(struct world *w, struct node *n)
{
    struct replica_config config = {.path = FILE_NAME, .role = n->index == HUB ? REPLICA_HUB : REPLICA_SITE, .name = n->name,
                                    .now_ms = world_wall(w, n), .keep_deleted_ms = w->plan->mix.keep_deleted_ms,
                                    .silent_ms_max = w->plan->mix.silent_ms, .vfs = disk_vfs(n->disk), .signer = signer_of(n)};
    struct perche_err err;

    disk_run_as(n->disk, DISK_DAEMON);
    chance_bytes(&n->chance, config.random, sizeof config.random);
    config.schema = tables_of_tests(&config.schema_count);
    if (replica_open(&config, &n->writer, &err) != PERCHE_OK) {
        if (err.rc == PERCHE_BUSY) {
            w->counts[COUNT_BUSY]++;
            STORY(w, n, "finds the lock taken at its start, and tries again");
            (void)world_at(w, 1000, EV_START, n);
            return false;
        }
        if (err.rc == PERCHE_FULL && disk_bounded(n->disk)) {
            w->counts[COUNT_FULL_WORK]++;
            STORY(w, n, "finds no room at its start, and tries again");
            (void)world_at(w, 2000, EV_START, n);
            return false;
        }
        world_fail(w, "open", "%s cannot open its replica: %s: %s", n->name, perche_rc_name(err.rc), err.text);
        return false;
    }
    lock_never_wait(n->writer);
    (void)snprintf(n->id, sizeof n->id, "%s", replica_site_id(n->writer));
    return true;
}

static void node_start(struct world *w, struct node *n)
{
    struct sync_ops ops = {n, ops_random, ops_sign, ops_verify};
    struct sync_event ev = {.kind = SYNC_EV_START};

    assert(!n->up);
    if (!node_open(w, n))
        return;
    n->up = true;
    n->life++;
    n->timer_ms = UINT64_MAX;
    n->state = SYNC_STATE_COUNT;
    n->live_ms = 0;
    if (n->index == HUB) {
        struct sync_hub_config config = {.hub = n->id, .epoch = n->epoch, .watch_ms = 45000, .sessions_max = 3, .ops = ops};
        struct work work = {.kind = WORK_STATE, .now_ms = world_wall(w, n)};
        struct outcome o;

        replica_perform(n->writer, &work, &o, 1);
        config.epoch = n->epoch = o.state.epoch;
        outcome_free(&o);
        n->hub = sync_hub_new(&config);
    } else {
        struct sync_site_config config = {.site = n->id, .hub = n->hub_id[0] != '\0' ? n->hub_id : NULL, .interval_ms = 30000, .ops = ops};

        n->site = sync_site_new(&config);
    }
    if (n->hub == NULL && n->site == NULL)
        abort();
    STORY(w, n, "starts");
    node_event(w, n, &ev);
    if (n->up)
        (void)world_at(w, LOOK_MS, EV_LOOK, n);
}

/* The process is gone; its file stays as it is. */
static void process_end(struct node *n)
{
    disk_run_as(n->disk, DISK_DAEMON);
    replica_free(n->reader);
    replica_free(n->writer);
    sync_site_free(n->site);
    sync_hub_free(n->hub);
    lane_clear(&n->writes);
    lane_clear(&n->reads);
    n->reader = n->writer = NULL;
    n->site = NULL;
    n->hub = NULL;
    n->up = false;
    n->life++;
    n->crash_in = 0;
}

/* Who is killed closes nothing, and its memory is gone: to close its connections and take it all back costs time and changes nothing.
 * A sanitizer is to see what becomes of a connection in any state, and what leaks: there it is closed, and so it is on a disk that may
 * get full, as a close takes of the room, or makes some. */
static bool closes_nothing(const struct node *n)
{
    return !memory_watched && !n->world->tidy && !disk_bounded(n->disk);
}

static void process_killed(struct node *n)
{
    if (closes_nothing(n)) {
        disk_drop(n->disk, DISK_DAEMON);
        n->reader = n->writer = NULL;
    }
    process_end(n);
}

static void programs_killed(struct node *n)
{
    if (closes_nothing(n))
        programs_drop(n);
    else
        programs_end(n);
}

void node_crash(struct world *w, struct node *n, bool power, uint64_t down_ms)
{
    uint64_t before, after;
    bool clean = !disk_frozen(n->disk) && !n->slow;
    struct dump *d;

    if (!n->up)
        return;
    w->counts[n->index == HUB ? COUNT_CRASH_HUB : COUNT_CRASH_SITE]++;
    STORY(w, n, "is gone (%s), back in %.1f s", power ? "power cut" : "killed", (double)down_ms / 1000.0);
    d = clean ? dump_take(w, n, NULL) : NULL;
    before = d != NULL ? dump_hash(d) : 0;
    dump_free(d);
    disk_freeze_at(n->disk, 0);
    disk_freeze(n->disk);
    process_killed(n);
    if (power) {
        programs_killed(n);
        if (n->slow) { /* its transaction has never been */
            for (uint32_t i = n->slow_first; i <= w->writes_count; i++)
                if (w->writes[i].node == n->index)
                    w->writes[i].dead = true;
            n->slow = false;
        }
    }
    disk_settle(n->disk);
    if (power) {
        w->counts[COUNT_POWER]++;
        if (disk_unsynced(n->disk) > 0)
            w->counts[COUNT_POWER_UNSYNCED]++;
        disk_power_cut(n->disk);
    }
    line_node_died(w, n);
    if (d != NULL && w->failure[0] == '\0') { /* P1: what was committed is there, whatever is killed */
        d = dump_take(w, n, NULL);
        after = d != NULL ? dump_hash(d) : 0;
        dump_free(d);
        if (after != before)
            world_fail(w, "P1 committed", "%s: after it was %s its tables are not what they were", n->name,
                       power ? "cut off from power" : "killed");
    }
    (void)world_at(w, down_ms, EV_START, n);
}

static void node_stop(struct world *w, struct node *n, uint64_t down_ms)
{
    if (!n->up)
        return;
    w->counts[COUNT_STOP]++;
    STORY(w, n, "stops in order, back in %.1f s", (double)down_ms / 1000.0);
    disk_freeze_at(n->disk, 0);
    process_end(n);
    line_node_died(w, n);
    (void)world_at(w, down_ms, EV_START, n);
}

/* Ends all that writes the file, also a program in the middle of a transaction. */
static void everybody_out(struct world *w, struct node *n)
{
    disk_freeze_at(n->disk, 0);
    disk_freeze(n->disk);
    process_killed(n);
    if (n->slow || disk_bounded(n->disk))
        programs_killed(n);
    if (n->slow) { /* its transaction has never been */
        for (uint32_t i = n->slow_first; i <= w->writes_count; i++)
            if (w->writes[i].node == n->index)
                w->writes[i].dead = true;
        n->slow = false;
    }
    disk_settle(n->disk);
    line_node_died(w, n);
}

/* ---- second machines ------------------------------------------------------ */

static struct node *twin_of(struct world *w, const struct node *n)
{
    for (uint32_t i = NODES_MAX; i < MACHINES_MAX; i++)
        if (n->index != HUB && w->nodes[i].twin_of == n->index)
            return &w->nodes[i];
    return NULL;
}

/* The copy speaks as the site does; line, clock and programs are its own. */
static void twin_begin(struct world *w, struct node *n, uint64_t down_ms)
{
    struct disk_copy *copy;
    struct node *t = NULL;

    for (uint32_t i = NODES_MAX; i < MACHINES_MAX && t == NULL; i++)
        if (w->nodes[i].twin_of == 0)
            t = &w->nodes[i];
    if (t == NULL || n->id[0] == '\0' || disk_frozen(n->disk))
        return;
    w->counts[twin_of(w, n) != NULL ? COUNT_TWIN_TWICE : COUNT_TWIN]++;
    STORY(w, n, "its disk is copied; the copy starts as a second machine in %.1f s", (double)down_ms / 1000.0);
    copy = disk_copy(n->disk);
    disk_put_back(t->disk, copy);
    disk_copy_free(copy);
    t->index = (uint8_t)(t - w->nodes);
    t->twin_of = n->index;
    t->twin_from = n->slow ? n->slow_first - 1 : w->writes_count; /* what is not committed yet is not in a copy */
    (void)snprintf(t->name, sizeof t->name, "%.1s%s", n->name, t->index == NODES_MAX ? "'" : "\"");
    memcpy(t->id, n->id, sizeof t->id);
    memcpy(t->hub_id, n->hub_id, sizeof t->hub_id);
    memcpy(t->key, n->key, sizeof t->key);
    t->joined = n->joined;
    t->club = false;
    t->skew_ms = n->skew_ms;
    t->acked = 0;
    t->life++;
    t->state = SYNC_STATE_COUNT;
    n->twins = true;
    n->noticed = false;
    w->put_back = true; /* so it is, for one of the two */
    (void)world_at(w, down_ms, EV_START, t);
}

static struct node *other_twin(struct world *w, const struct node *n, const struct node *t)
{
    for (uint32_t i = NODES_MAX; i < MACHINES_MAX; i++)
        if (&w->nodes[i] != t && w->nodes[i].twin_of == n->index)
            return &w->nodes[i];
    return NULL;
}

/* Each has the other's disk, and its programs go with it. Both are down. What a third machine has of the first one's it has alone
 * now, and with the second, which takes the first one's place, no more in common than the first had. */
static void exchange(struct world *w, struct node *n, struct node *t)
{
    struct disk_copy *a = disk_copy(n->disk), *b = disk_copy(t->disk);
    struct node *third = other_twin(w, n, t);

    programs_killed(n); /* after the copies: a close writes the WAL back */
    programs_killed(t);
    disk_put_back(n->disk, b);
    disk_put_back(t->disk, a);
    disk_copy_free(a);
    disk_copy_free(b);
    disk_copy_free(n->copy); /* of the other one */
    n->copy = NULL;
    for (uint32_t i = t->twin_from + 1; i <= w->writes_count; i++) {
        struct write *x = &w->writes[i];

        if (x->node == n->index)
            x->node = third != NULL && i <= third->twin_from ? third->index : t->index;
        else if (x->node == t->index)
            x->node = n->index;
    }
    if (third != NULL && third->twin_from > t->twin_from)
        third->twin_from = t->twin_from;
    n->club = t->club = false; /* looked for again in what each has now */
    n->acked = 0;
}

/* One of the two is never seen again: what only it had is lost. */
static void twin_end(struct world *w, struct node *n, bool first, uint64_t down_ms)
{
    struct node *t = twin_of(w, n);
    struct held *before;

    if (t == NULL)
        return;
    w->counts[COUNT_TWIN_OFF]++;
    w->counts[COUNT_TWIN_STAYS] += first;
    w->counts[COUNT_TWIN_UNSEEN] += !n->noticed;
    STORY(w, first ? n : t, "is switched off for good%s", n->noticed ? "" : ", and nobody has noticed that there were two");
    everybody_out(w, t);
    if (first) {
        everybody_out(w, n);
        exchange(w, n, t);
        (void)world_at(w, 1000, EV_START, n);
    }
    before = held_take(w, t, NULL);
    programs_killed(t);
    disk_clear(t->disk);
    t->twin_of = 0;
    held_lost(w, t, before, held_take(w, t, before));
    line_free(&w->lines[t->index]);
    world_at(w, down_ms, EV_OPERATOR, NULL)->node = n->index;
}

static bool is_held(struct world *w, const struct node *n)
{
    struct node *hub = &w->nodes[HUB];
    sqlite3_stmt *s = program_ask(w, hub, "SELECT 1 FROM perche_peer p JOIN perche_name a ON a.num = p.site WHERE p.held_ms <> 0 AND a.text = ?1");
    bool held = false;

    if (s != NULL) {
        sqlite3_bind_text(s, 1, n->id, -1, SQLITE_STATIC);
        held = sqlite3_step(s) == SQLITE_ROW;
    }
    program_done(w, hub, s);
    return held;
}

/* perche recover SITE, when only one of its machines is left. */
static bool let_go_on(struct world *w, struct node *n)
{
    char *args;

    if (!w->nodes[HUB].up || twin_of(w, n) != NULL || !is_held(w, n))
        return false;
    args = malloc(100);
    if (args == NULL)
        abort();
    (void)snprintf(args, 100, "{\"site\":\"%s\"}", n->id);
    STORY(w, &w->nodes[HUB], "perche recover %s", n->name);
    node_command(w, &w->nodes[HUB], "recover", args);
    return true;
}

/* Who it is that a step is about: both machines have programs and a line. */
static struct node *machine(struct world *w, const struct step *s)
{
    struct node *n = &w->nodes[s->node], *t = twin_of(w, n);
    uint64_t x = s->a ^ s->b ^ s->c ^ s->d ^ s->at_ms;

    if (t == NULL || (x ^ x >> 7 ^ x >> 13) % 2 == 0)
        return n;
    w->counts[COUNT_TWIN_WRITE]++;
    return t;
}

static void put_back(struct world *w, struct node *n, uint64_t down_ms)
{
    struct held *before;

    if (n->copy == NULL || n->twin_of != 0 || n->twins)
        return;
    w->counts[n->index == HUB ? COUNT_BACK_HUB : COUNT_BACK_SITE]++;
    STORY(w, n, "its older copy is put back, it starts again in %.1f s", (double)down_ms / 1000.0);
    everybody_out(w, n);
    before = held_take(w, n, NULL);
    programs_killed(n);
    disk_put_back(n->disk, n->copy);
    actor_put_back(w, n);
    held_lost(w, n, before, held_take(w, n, before));
    w->put_back = true;
    n->acked = 0;
    (void)world_at(w, down_ms, EV_START, n);
}

void node_changed(struct world *w, struct node *n)
{
    w->moved_ms = w->now_ms;
    if (chance_below(&w->work_chance, 20) == 0)
        return; /* the event was missed: it is time to look now and then */
    (void)world_at(w, chance_below(&w->work_chance, 30), EV_CHANGED, n);
}

/* ---- steps -------------------------------------------------------------------- */

static void arm(struct world *w, struct node *n, const struct step *s)
{
    if (!n->up)
        return;
    n->crash = (enum crash_when)s->a;
    n->crash_power = s->d != 0;
    n->crash_down_ms = s->b;
    if (n->crash == CRASH_NOW) {
        w->counts[COUNT_KILL]++;
        node_crash(w, n, n->crash_power, s->b);
    } else if (n->crash == CRASH_WRITE) {
        disk_freeze_at(n->disk, (uint32_t)s->c);
    } else {
        n->crash_in = (uint32_t)s->c;
    }
}

/* The number and the text of a migration that the hub answered, signed. NULL: it answered something else. */
static char *signature_of(struct world *w, struct node *hub, const char *json)
{
    struct perche_migration m = {0};
    struct perche_buf buf = {0};
    sqlite3_stmt *s = NULL;
    uint8_t signature[64];
    char hex[129], *args = NULL;

    if (sqlite3_prepare_v2(node_db(w, hub), "SELECT json_extract(?1, '$.number'), json_extract(?1, '$.name'), json_extract(?1, '$.sql')", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_bind_text(s, 1, json, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) == SQLITE_INTEGER) {
        m.number = (uint64_t)sqlite3_column_int64(s, 0);
        m.name = (const char *)sqlite3_column_text(s, 1);
        m.sql = (const char *)sqlite3_column_text(s, 2);
        if (perche_migration_signed(&m, &buf) != PERCHE_OK)
            abort();
        mix(hub->key, buf.p, buf.n, signature);
        for (int i = 0; i < 64; i++)
            (void)snprintf(hex + 2 * i, 3, "%02x", signature[i]);
        args = malloc(250);
        if (args == NULL)
            abort();
        (void)snprintf(args, 250, "{\"number\":%llu,\"signature\":\"%s\"}", (unsigned long long)m.number, hex);
    }
    perche_buf_free(&buf);
    sqlite3_finalize(s);
    return args;
}

/* One command, at once. false: another time. */
static bool command_now(struct world *w, struct node *n, const char *name, char *args, struct outcome *o)
{
    struct work work = {.kind = WORK_COMMAND, .name = name, .now_ms = world_wall(w, n), .args = args};

    chance_bytes(&n->chance, work.random, sizeof work.random);
    disk_run_as(n->disk, DISK_DAEMON);
    replica_perform(n->writer, &work, o, 1);
    free(args);
    if (died_writing(w, n))
        return false;
    if (o->rc != PERCHE_OK && o->rc != PERCHE_BUSY && o->rc != PERCHE_FULL && o->rc != PERCHE_STATE)
        world_fail(w, "schema", "%s: %s: %s", n->name, name, o->err.text);
    return o->rc == PERCHE_OK;
}

/* The table is the hub's own until it says perche replicate; what that answers is signed, and handed out. A crash in
 * between leaves one without its signature: it is signed when somebody comes by again. */
static bool schema_step(struct world *w, struct node *hub)
{
    static const char *const sql = "CREATE TABLE IF NOT EXISTS club (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, name TEXT NOT NULL, note TEXT) STRICT";
    struct sync_event ev = {.kind = SYNC_EV_SCHEMA};
    struct outcome o = {0}, done = {0};
    char *args = NULL;
    bool handed = false;

    if (!hub->up || hub->slow || sqlite3_exec(node_db(w, hub), sql, NULL, NULL, NULL) != SQLITE_OK)
        return false;
    if (command_now(w, hub, "replicate", strdup("{\"table\":\"club\",\"scope\":\"site_id\"}"), &o)) {
        STORY(w, hub, "perche replicate club");
        w->counts[COUNT_SCHEMA]++;
        args = signature_of(w, hub, o.json);
    } else if (hub->up) {
        outcome_free(&o);
        memset(&o, 0, sizeof o);
        if (command_now(w, hub, "migration_unsigned", strdup("{}"), &o))
            args = signature_of(w, hub, o.json);
    }
    if (args != NULL && hub->up)
        handed = command_now(w, hub, "migration_signature", args, &done);
    else
        free(args);
    outcome_free(&o);
    outcome_free(&done);
    if (handed) {
        w->moved_ms = w->now_ms;
        node_event(w, hub, &ev);
        node_changed(w, hub);
    }
    return handed;
}

static void take_step(struct world *w, const struct step *s)
{
    struct node *n = s->kind >= STEP_COPY ? &w->nodes[s->node] : machine(w, s);
    struct sync_event ev = {.kind = SYNC_EV_SYNC_NOW};

    switch (s->kind) {
    case STEP_WRITE: actor_write(w, n, s); break;
    case STEP_RESOLVE: actor_resolve(w, n, s); break;
    case STEP_CUT: line_cut(w, n, s->a != 0, s->b); break;
    case STEP_QUALITY: line_quality(w, n, (uint32_t)s->a); break;
    case STEP_CRASH: arm(w, n, s); break;
    case STEP_STOP: node_stop(w, n, s->b); break;
    case STEP_CLOCK:
        w->counts[COUNT_TRUE_AGAIN] += n->index != HUB && n->index == w->plan->mix.wild && (n->skew_ms > 600000 || n->skew_ms < -600000);
        n->skew_ms += (int64_t)s->b;
        if (n->skew_ms > 600000 || n->skew_ms < -600000)
            n->skew_ms = 0;
        w->counts[COUNT_CLOCK]++;
        STORY(w, n, "its clock is set: %+.1f s off now", (double)n->skew_ms / 1000.0);
        break;
    case STEP_COPY:
        w->counts[COUNT_COPY]++;
        STORY(w, n, "its disk is copied");
        disk_copy_free(n->copy);
        n->copy = disk_copy(n->disk);
        n->copy_writes = n->slow ? n->slow_first - 1 : w->writes_count; /* what is not committed yet is not in a copy */
        n->copy_ms = w->now_ms;
        break;
    case STEP_BACK: put_back(w, n, s->b); break;
    case STEP_BYPASS: actor_bypass(w, n, s); break;
    case STEP_VERIFY:
        if (n->up)
            actor_verify(w, n);
        break;
    case STEP_SCHEMA: (void)schema_step(w, n); break;
    case STEP_TWIN: twin_begin(w, n, s->b); break;
    case STEP_TWIN_OFF: twin_end(w, n, s->a % 2, s->b); break;
    case STEP_FULL:
        w->counts[COUNT_FULL]++;
        STORY(w, n, "its disk has room for %llu bytes, for %.1f s", (unsigned long long)s->a, (double)s->b / 1000.0);
        disk_room(n->disk, (int64_t)s->a);
        world_at(w, s->b, EV_ROOM, n)->a = ++n->fulls;
        break;
    case STEP_SYNC:
        if (!n->up)
            break;
        STORY(w, n, "perche sync");
        node_event(w, n, &ev);
        break;
    }
}

static void take_event(struct world *w, struct event *e)
{
    struct node *n = &w->nodes[e->node];
    struct sync_event ev = {0};

    switch (e->kind) {
    case EV_STEP: take_step(w, &w->plan->steps[e->a]); return;
    case EV_REQUEST: line_request_arrives(w, e); return;
    case EV_REPLY: line_reply_arrives(w, e); return;
    case EV_DOWN: line_down(w, e); return;
    case EV_PIPE_GONE: line_pipe_gone(w, e); return;
    case EV_HEAL:
        if (w->lines[e->node].cuts == e->a)
            line_heal(w, n);
        return;
    case EV_COMMIT:
        if (n->slow && n->slow_life == e->a)
            actor_commit_slow(w, n);
        return;
    case EV_OPERATOR: (void)let_go_on(w, n); return;
    case EV_ROOM:
        if (n->fulls == e->a) {
            STORY(w, n, "there is room on its disk again");
            disk_room(n->disk, -1);
        }
        return;
    case EV_START:
        if (!n->up && n->life == e->life)
            node_start(w, n);
        return;
    default: break;
    }
    if (!n->up || e->life != n->life)
        return;
    switch (e->kind) {
    case EV_TIMER:
        if (e->a != n->timer_ms)
            return;
        n->timer_ms = UINT64_MAX;
        ev.kind = SYNC_EV_TIME;
        node_event(w, n, &ev);
        break;
    case EV_WRITES: perform_writes(w, n); break;
    case EV_WRITES_DONE: writes_done(w, n); break;
    case EV_READ: perform_read(w, n, e); break;
    case EV_READ_DONE: tell_outcome(w, n, e->work, e->outcome); break;
    case EV_LOOK:
        (void)world_at(w, LOOK_MS, EV_LOOK, n);
        ev.kind = SYNC_EV_CHANGED;
        node_event(w, n, &ev);
        break;
    case EV_CHANGED:
        ev.kind = SYNC_EV_CHANGED;
        node_event(w, n, &ev);
        break;
    case EV_DIALLED: line_dialled(w, e); break;
    default: break;
    }
}

/* ---- the story ------------------------------------------------------------------ */

static void run_until(struct world *w, uint64_t until_ms)
{
    while (w->failure[0] == '\0' && !w->ended && w->heap_count > 0 && w->heap[0]->at_ms <= until_ms) {
        struct event *e = next_event(w);

        w->now_ms = e->at_ms;
        w->events++;
        take_event(w, e);
        event_free(e);
    }
    if (w->now_ms < until_ms)
        w->now_ms = until_ms;
}

static void heal(struct world *w)
{
    STORY(w, NULL, "everything is mended");
    w->healed = true;
    for (uint32_t i = 0; i < MACHINES_MAX; i++) {
        struct node *n = &w->nodes[i];

        if (i >= w->nodes_count && n->twin_of == 0)
            continue;
        n->crash_in = 0;
        disk_freeze_at(n->disk, 0);
        disk_room(n->disk, -1);
        if (n->slow)
            actor_commit_slow(w, n);
        if (i != HUB) {
            line_heal(w, n);
            line_quality(w, n, 0);
        }
        if (!n->up)
            node_start(w, n);
    }
}

/* Is everybody live, and has nothing moved for a while? */
static bool at_rest(const struct world *w)
{
    for (uint32_t i = 1; i < w->nodes_count; i++)
        if (w->nodes[i].state != SYNC_LIVE || w->now_ms < w->nodes[i].live_ms + 3000)
            return false;
    return w->now_ms > w->moved_ms + 25000; /* longer than it takes to look */
}

/* Few sites say that the hub was put back: a person says that it is so. */
static bool operator_needed(struct world *w)
{
    struct node *hub = &w->nodes[HUB];
    sqlite3_stmt *s;
    bool needed = false;

    for (uint32_t i = 1; i < w->nodes_count; i++)
        if (w->nodes[i].twins && let_go_on(w, &w->nodes[i])) {
            run_until(w, w->now_ms + 60000);
            return true;
        }
    s = program_ask(w, hub, "SELECT EXISTS (SELECT 1 FROM perche_peer WHERE recovery = 2)");
    needed = s != NULL && sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) != 0;
    program_done(w, hub, s);
    if (!needed || !hub->up)
        return false;
    w->counts[COUNT_OPERATOR]++;
    STORY(w, hub, "perche recover --begin");
    node_command(w, hub, "recover", strdup("{\"begin\": true}"));
    run_until(w, w->now_ms + 60000);
    return true;
}

/* Runs until everybody says that they are in step. */
static bool converge(struct world *w)
{
    uint64_t limit = w->now_ms + CONVERGE_MS_MAX;

    for (;;) {
        uint64_t asked_ms;
        uint32_t good = 0;

        while (w->failure[0] == '\0' && !at_rest(w) && w->now_ms < limit && !operator_needed(w))
            run_until(w, w->now_ms + 1000);
        if (w->failure[0] != '\0' || w->ended)
            return false;
        if (operator_needed(w))
            continue;
        asked_ms = w->now_ms;
        for (uint32_t i = 1; i < w->nodes_count; i++) {
            struct sync_event ev = {.kind = SYNC_EV_SYNC_NOW, .wait = true, .tag = i, .timeout_ms = 300000};

            w->nodes[i].synced = false;
            node_event(w, &w->nodes[i], &ev);
        }
        while (w->failure[0] == '\0' && good < w->nodes_count - 1 && w->now_ms < asked_ms + 400000) {
            run_until(w, w->now_ms + 500);
            good = 0;
            for (uint32_t i = 1; i < w->nodes_count; i++)
                good += w->nodes[i].synced;
        }
        good = 0;
        for (uint32_t i = 1; i < w->nodes_count; i++)
            good += w->nodes[i].synced && w->nodes[i].synced_ok;
        if (w->failure[0] != '\0')
            return false;
        if (good == w->nodes_count - 1 && w->moved_ms <= asked_ms)
            return true;
        if (w->now_ms >= limit) {
            char text[300] = "";
            size_t at = 0;

            for (uint32_t i = 1; i < w->nodes_count; i++) {
                const struct node *n = &w->nodes[i];

                at += (size_t)snprintf(text + at, sizeof text - at, " %s is %s%s%s", n->name, sync_state_name(n->state),
                                       n->synced && n->synced_missing != NULL ? ", sync --wait misses " : "",
                                       n->synced && n->synced_missing != NULL ? n->synced_missing : "");
            }
            world_fail(w, "never in step", "an hour after everything was mended:%s", text);
            return false;
        }
    }
}

/* Both are well connected: the hub must see that there are two, and take nothing from either until one is switched off. */
static bool machines_all(struct world *w)
{
    for (uint32_t i = 1; i < w->nodes_count; i++) {
        struct node *n = &w->nodes[i], *t = twin_of(w, n);
        uint64_t until = w->now_ms + 900000;

        if (t == NULL)
            continue;
        w->counts[COUNT_TWIN_END]++;
        while (w->failure[0] == '\0' && w->now_ms < until && !(n->state == SYNC_HELD && t->state == SYNC_HELD))
            run_until(w, w->now_ms + 1000);
        if (w->failure[0] == '\0' && w->now_ms >= until)
            world_fail(w, "P6 two machines", "%s is %s and %s is %s, a quarter of an hour after both had a good line", n->name,
                       sync_state_name(n->state), t->name, sync_state_name(t->state));
        for (uint64_t k = w->plan->seed; w->failure[0] == '\0' && twin_of(w, n) != NULL; k /= 2)
            twin_end(w, n, k % 2, 20000);
        run_until(w, w->now_ms + 30000);
    }
    return w->failure[0] == '\0';
}

/* Somebody adds what a program has dropped. False: nothing is missing. */
static bool columns_missing(struct world *w)
{
    bool any = false;

    for (uint32_t i = 0; i < MACHINES_MAX; i++)
        if (i < w->nodes_count || w->nodes[i].twin_of != 0)
            any |= actor_column_back(w, &w->nodes[i]);
    return any;
}

/* What went past the triggers is found at the latest when somebody looks. */
static bool verify_all(struct world *w)
{
    uint64_t until = w->now_ms + 600000;
    bool any = false;

    for (uint32_t i = 0; i < w->nodes_count; i++) {
        struct node *n = &w->nodes[i];

        while (w->failure[0] == '\0' && !n->up && w->now_ms < until)
            run_until(w, w->now_ms + 1000);
        if (n->unseen_off && n->up)
            actor_verify(w, n);
    }
    do {
        any = columns_missing(w);
        for (uint32_t i = 0; i < w->nodes_count; i++)
            any |= w->nodes[i].unseen;
        if (any)
            run_until(w, w->now_ms + 1000);
    } while (any && w->failure[0] == '\0' && w->now_ms < until);
    if (any && w->failure[0] == '\0')
        world_fail(w, "P1 bypassed", "nobody has compared the tables in ten minutes");
    return w->failure[0] == '\0';
}

/* A hub that died between `replicate` and the signature signs at its next start; here somebody does it. */
static bool schema_rest(struct world *w)
{
    struct node *hub = &w->nodes[HUB];

    return hub->up && w->counts[COUNT_SCHEMA] > 0 && schema_step(w, hub);
}

/* What is held waits for a person; here he comes at last. */
static bool settle(struct world *w)
{
    bool any;

    if (w->plan->mix.extra[EXTRA_SCHEMA])
        run_until(w, w->now_ms + 20000); /* everybody has started */
    (void)schema_rest(w);
    if (!machines_all(w) || !verify_all(w) || !converge(w))
        return false;
    do {
        any = false;
        for (uint32_t i = 0; i < w->nodes_count; i++)
            any |= actor_decide_all(w, &w->nodes[i]);
        if (any) {
            run_until(w, w->now_ms + 5000);
            if (!converge(w))
                return false;
        }
    } while (any);
    return true;
}

static uint64_t clock_of(void *ctx)
{
    const struct node *n = ctx;

    return world_wall(n->world, n);
}

struct world *world_new(void)
{
    static int number;
    struct world *w = calloc(1, sizeof *w);

    if (w == NULL)
        abort();
    number++;
    w->writes = calloc(WRITES_MAX, sizeof *w->writes);
    w->rows = calloc(ROWS_MAX, sizeof *w->rows);
    if (w->writes == NULL || w->rows == NULL)
        abort();
    for (uint8_t i = 0; i < MACHINES_MAX; i++) {
        char name[24];

        w->nodes[i].world = w;
        (void)snprintf(name, sizeof name, "sim-%d-%u", number, i);
        w->nodes[i].disk = disk_new(name, clock_of, &w->nodes[i]);
    }
    return w;
}

static void world_clear(struct world *w)
{
    for (uint32_t i = 0; i < MACHINES_MAX; i++) {
        struct node *n = &w->nodes[i];
        struct disk *disk = n->disk;

        disk_freeze(disk);
        process_killed(n);
        programs_killed(n);
        disk_settle(disk);
        disk_clear(disk);
        disk_copy_free(n->copy);
        memset(n, 0, sizeof *n);
        n->disk = disk;
        n->world = w;
        line_free(&w->lines[i]);
        for (int k = 0; i < NODES_MAX && k < 4; k++) {
            dump_free(w->built[i][k].dump);
            dump_free(w->given[i][k].dump);
            w->built[i][k].dump = NULL;
            w->given[i][k].dump = NULL;
            w->built_n[i] = 0;
            w->given_n[i] = 0;
        }
    }
    for (uint32_t i = 0; i < w->heap_count; i++)
        event_free(w->heap[i]);
    w->heap_count = 0;
    w->pipes_count = w->requests_count = 0;
    w->now_ms = w->seq = w->moved_ms = w->events = 0;
    w->writes_count = w->rows_count = 0;
    w->healed = w->ended = w->put_back = false;
    w->failure[0] = w->failure_kind[0] = '\0';
    memset(w->counts, 0, sizeof w->counts);
}

void world_free(struct world *w)
{
    if (w == NULL)
        return;
    world_clear(w);
    for (uint32_t i = 0; i < MACHINES_MAX; i++)
        disk_free(w->nodes[i].disk);
    free(w->heap);
    free(w->pipes);
    free(w->requests);
    free(w->writes);
    free(w->rows);
    free(w);
}

/* ---- the first start ---------------------------------------------------------------- */

static void name_nodes(struct world *w, uint32_t count)
{
    w->nodes_count = count;
    for (uint8_t i = 0; i < count; i++) {
        struct node *n = &w->nodes[i];

        n->index = i;
        if (i == HUB)
            (void)snprintf(n->name, sizeof n->name, "hub");
        else
            (void)snprintf(n->name, sizeof n->name, "%c", 'A' + i - 1);
    }
}

/* One work at once, outside of the story. */
static struct outcome now(struct world *w, struct node *n, struct work *work)
{
    struct outcome o = {0};

    work->now_ms = world_wall(w, n);
    chance_bytes(&n->chance, work->random, sizeof work->random);
    disk_run_as(n->disk, DISK_DAEMON);
    replica_perform(n->writer, work, &o, 1);
    if (o.rc != PERCHE_OK)
        world_fail(w, "setup", "%s: %s %s: %s", n->name, work_name(work->kind), work->name != NULL ? work->name : "", o.err.text);
    return o;
}

/* The text of member @name in flat JSON; "" when it is not there. */
static void member_text(const char *json, const char *name, char *out, size_t n)
{
    char quoted[64];
    const char *p, *end;

    out[0] = '\0';
    (void)snprintf(quoted, sizeof quoted, "\"%s\":", name);
    p = json != NULL ? strstr(json, quoted) : NULL;
    if (p == NULL)
        return;
    p += strlen(quoted);
    p += strspn(p, " \"");
    end = p + strcspn(p, "\",}");
    if ((size_t)(end - p) < n) {
        memcpy(out, p, (size_t)(end - p));
        out[end - p] = '\0';
    }
}

static void unhex(const char *text, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned x = 0;

        if (sscanf(text + 2 * i, "%2x", &x) == 1)
            out[i] = (uint8_t)x;
    }
}

/* Opens the hub and the sites for the first time, invites and joins them. */
static bool first_start(struct world *w, bool seeds)
{
    static const char *const names[SITES_MAX] = {"La Loupe", "Chartres", "Dreux", "Verdun", "Lens", "Roubaix", "Saint-Denis", "Auxerre", "Nevers",
                                                 "Toulon", "Laval", "Rodez"};
    static const char *const codes[SITES_MAX] = {"LLP", "CHR", "DRX", "VRD", "LNS", "RBX", "STD", "AUX", "NVR", "TLN", "LVL", "RDZ"};

    for (uint32_t i = 0; i < w->nodes_count; i++) {
        struct node *n = &w->nodes[i];
        struct replica_config config = {.path = FILE_NAME, .role = i == HUB ? REPLICA_HUB : REPLICA_SITE, .name = i == HUB ? "Hub" : names[i - 1],
                                        .now_ms = world_wall(w, n), .vfs = disk_vfs(n->disk), .seeds = i == HUB && seeds};
        struct perche_err err;
        struct work work = {0};
        struct outcome o;
        char site[PERCHE_ID_BYTES_MAX], id[64], secret[128], hex[65];

        chance_bytes(&n->chance, n->key, sizeof n->key);
        chance_bytes(&n->chance, config.random, sizeof config.random);
        config.signer = signer_of(n);
        config.schema = tables_of_tests(&config.schema_count);
        disk_run_as(n->disk, DISK_DAEMON);
        if (replica_open(&config, &n->writer, &err) != PERCHE_OK) {
            world_fail(w, "setup", "%s cannot be made: %s", n->name, err.text);
            return false;
        }
        lock_never_wait(n->writer);
        (void)snprintf(n->id, sizeof n->id, "%s", replica_site_id(n->writer));
        if (i == HUB)
            continue;
        work = (struct work){.kind = WORK_COMMAND, .name = "invite"};
        work.args = sqlite3_mprintf("{\"name\":\"%s\",\"code\":\"%s\",\"kind\":\"SCHOOL\"}", names[i - 1], codes[i - 1]);
        o = now(w, &w->nodes[HUB], &work);
        sqlite3_free(work.args);
        member_text(o.json, "site", site, sizeof site);
        member_text(o.json, "invitation", id, sizeof id);
        member_text(o.json, "secret", secret, sizeof secret);
        outcome_free(&o);

        work = (struct work){.kind = WORK_ENROL};
        work.message.op = PERCHE_OP_ENROL;
        unhex(id, work.message.u.enrol.invitation, 16);
        unhex(secret, work.message.u.enrol.secret, 32);
        memcpy(work.message.u.enrol.public_key, n->key, 32);
        work.message.u.enrol.name = names[i - 1];
        o = now(w, &w->nodes[HUB], &work);
        if (o.rc != PERCHE_OK || o.message.op != PERCHE_OP_ENROL || o.message.refused) {
            world_fail(w, "setup", "%s is not enrolled: %s", n->name, o.message.refused && o.message.u.no.text != NULL ? o.message.u.no.text : "");
            outcome_free(&o);
            return false;
        }
        outcome_free(&o);

        for (int k = 0; k < 32; k++)
            (void)snprintf(hex + 2 * k, 3, "%02x", w->nodes[HUB].key[k]);
        work = (struct work){.kind = WORK_COMMAND, .name = "joined"};
        work.args = sqlite3_mprintf("{\"site\":\"%s\",\"code\":\"%s\",\"name\":\"%s\",\"hub\":\"%s\",\"hub_key\":\"%s\"}", site, codes[i - 1],
                                    names[i - 1], w->nodes[HUB].id, hex);
        o = now(w, n, &work);
        sqlite3_free(work.args);
        outcome_free(&o);
        (void)snprintf(n->id, sizeof n->id, "%s", replica_site_id(n->writer));
        (void)snprintf(n->hub_id, sizeof n->hub_id, "%s", w->nodes[HUB].id);
        if (w->failure[0] == '\0' && strcmp(n->id, site) != 0)
            world_fail(w, "setup", "%s joined as %s, its id is %s", n->name, site, n->id);
    }
    for (uint32_t i = 0; i < w->nodes_count; i++) {
        replica_free(w->nodes[i].writer);
        w->nodes[i].writer = NULL;
    }
    return w->failure[0] == '\0';
}

static void seed_chances(struct world *w, uint64_t seed)
{
    chance_seed(&w->line_chance, seed, 2 + 1000 * (uint64_t)w->plan->luck);
    chance_seed(&w->work_chance, seed, 3 + 1000 * (uint64_t)w->plan->luck);
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        chance_seed(&w->nodes[i].chance, seed, 10 + i);
        disk_seed(w->nodes[i].disk, seed * NODES_MAX + i);
    }
    for (uint32_t i = NODES_MAX; i < MACHINES_MAX; i++) {
        chance_seed(&w->nodes[i].chance, seed, 1000 + i);
        disk_seed(w->nodes[i].disk, ~seed - i);
    }
    disk_standard(w->nodes[HUB].disk);
    sqlite3_randomness(0, NULL); /* what was drawn before this story is forgotten */
}

static void begin(struct world *w, const struct plan *p, const struct options *o)
{
    w->plan = p;
    w->options = o;
    w->verbose = o->verbose;
    seed_chances(w, p->seed);
    memset(w->counts, 0, sizeof w->counts);
    w->events = 0;
}

bool world_prepare(struct world *w, uint8_t sites)
{
    static const struct plan none;
    static const struct options quiet;

    world_clear(w);
    begin(w, &none, &quiet);
    name_nodes(w, sites + 1u);
    if (first_start(w, false)) {
        for (uint32_t i = 0; i < w->nodes_count; i++)
            node_start(w, &w->nodes[i]);
        actors_fill(w);
        if (converge(w))
            run_until(w, 600000);
    }
    for (uint32_t i = 0; i < w->nodes_count && w->failure[0] == '\0'; i++)
        actors_ask_ahead(w, &w->nodes[i]);
    if (w->failure[0] == '\0')
        oracle_ask_ahead(w);
    if (w->failure[0] != '\0')
        (void)printf("the beginning of every story failed: %s: %s\n", w->failure_kind, w->failure);
    return w->failure[0] == '\0';
}

bool world_play(struct world *w, const struct plan *p, const struct options *o)
{
    static const char *const words[EXTRAS] = {
#define X(NAME, name, word, permille) word,
        EXTRA_MAP(X)
#undef X
    };
    char extras[200] = "";

    if (p->mix.scratch) {
        world_clear(w);
        name_nodes(w, p->mix.sites + 1u);
        w->now_ms = 600000;
    }
    begin(w, p, o);
    for (int i = 0, at = 0; i < EXTRAS; i++)
        if (p->mix.extra[i])
            at += snprintf(extras + at, sizeof extras - (size_t)at, ", %s", words[i]);
    STORY(w, NULL, "seed %llu: a hub and %u site%s%s%s%s%s%s%s%s%s", (unsigned long long)p->seed, p->mix.sites, p->mix.sites > 1 ? "s" : "", p->mix.faults ? ", faults" : "",
          p->mix.clocks ? ", wrong clocks" : "", p->mix.unlawful ? ", unlawful writes" : "",
          p->mix.scratch ? ", from the first start on" : "", p->mix.backups ? ", backups" : "", p->mix.narrow ? ", narrow" : "", p->mix.wild ? ", a clock off by years" : "", extras);
    for (uint32_t i = 0; i < w->nodes_count; i++)
        w->nodes[i].skew_ms = p->skew_ms[i];
    w->counts[COUNT_WILD] += p->mix.wild != 0;
    w->counts[COUNT_MANY_SITES] += p->mix.sites > FEW_SITES;
    if (p->mix.scratch) {
        w->counts[COUNT_SCRATCH]++;
        (void)first_start(w, p->seed % 4 == 0);
        for (uint32_t i = 0; i < w->nodes_count && w->failure[0] == '\0'; i++)
            node_start(w, &w->nodes[i]);
        if (w->failure[0] == '\0')
            actors_fill(w);
    }
    for (uint32_t i = 0; i < w->nodes_count && w->failure[0] == '\0'; i++)
        STORY(w, &w->nodes[i], "is %s", w->nodes[i].id);
    for (uint32_t i = 0; i < p->count; i++)
        world_at(w, 1000 + p->steps[i].at_ms, EV_STEP, NULL)->a = i;
    run_until(w, w->now_ms + 1000 + p->end_ms);
    if (w->failure[0] == '\0')
        heal(w);
    if (w->failure[0] == '\0' && settle(w))
        oracle_end(w);
    return w->failure[0] == '\0';
}
