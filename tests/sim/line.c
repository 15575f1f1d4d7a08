/* The lines between the sites and the hub. What is sent is encoded, and what arrives
 * is decoded, by the real wire library.
 *
 * A line that is merely bad delays, loses, repeats and lets one message overtake
 * another; TCP does none of this, but a relay, a proxy or a mistake of ours may. An old
 * message may come again at any time: requests at the hub over the present pipe, and
 * answers to `push` and `pull` at the site, unnamed (tag 0).
 * A line that is cut lets nothing through; it may be noticed at once, or never. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    uint32_t delay_ms, jitter_ms, lose, twice, old, overtake, broken; /* permille */
} qualities[] = {
    {2, 5, 0, 0, 0, 0, 0},
    {40, 60, 0, 10, 10, 10, 0},
    {300, 500, 25, 40, 40, 40, 3},
    {800, 3000, 90, 80, 80, 120, 8},
};

static void keep(struct perche_buf *ring, uint32_t *n, const struct perche_buf *b)
{
    struct perche_buf *slot = &ring[(*n)++ % 8];

    slot->n = 0;
    if (slot->cap < b->n) {
        free(slot->p);
        slot->p = malloc(b->n);
        slot->cap = slot->p != NULL ? b->n : 0;
    }
    if (slot->p != NULL) {
        memcpy(slot->p, b->p, b->n);
        slot->n = b->n;
    }
}

static struct perche_buf copy(const struct perche_buf *b)
{
    struct perche_buf out = {malloc(b->n + 1), b->n, b->n + 1};

    if (out.p == NULL)
        abort();
    memcpy(out.p, b->p, b->n);
    return out;
}

void line_free(struct line *l)
{
    for (int i = 0; i < 8; i++) {
        perche_buf_free(&l->old_requests[i]);
        perche_buf_free(&l->old_replies[i]);
    }
    memset(l, 0, sizeof *l);
}

static struct line *line_of(struct world *w, uint8_t site)
{
    return &w->lines[site];
}

static struct pipe *pipe_of(struct world *w, uint64_t id)
{
    return id == 0 || id > w->pipes_count ? NULL : &w->pipes[id - 1];
}

/* When does it arrive? @last keeps the order. */
static uint64_t arrival(struct world *w, struct line *l, uint64_t *last)
{
    struct chance *c = &w->line_chance;
    uint64_t at = w->now_ms + qualities[l->quality].delay_ms / 2 + chance_below(c, qualities[l->quality].jitter_ms + 1);

    if (at < *last) {
        if (chance_permille(c, qualities[l->quality].overtake))
            w->counts[COUNT_OVERTAKEN]++;
        else
            at = *last;
    }
    if (at > *last)
        *last = at;
    return at - w->now_ms;
}

static struct event *carry(struct world *w, enum event_kind kind, uint8_t site, uint64_t in_ms, struct perche_buf bytes)
{
    struct event *e = world_at(w, in_ms, kind, NULL);

    e->node = site;
    e->bytes = bytes;
    return e;
}

/* ---- requests ------------------------------------------------------------- */

static uint64_t request_new(struct world *w, struct request r)
{
    if (w->requests_count == w->requests_cap) {
        w->requests_cap = w->requests_cap ? 2 * w->requests_cap : 256;
        w->requests = realloc(w->requests, w->requests_cap * sizeof *w->requests);
        if (w->requests == NULL)
            abort();
    }
    w->requests[w->requests_count++] = r;
    return w->requests_count;
}

void line_send(struct world *w, struct node *site, uint32_t channel, uint64_t tag, const struct perche_message *m)
{
    struct line *l = line_of(w, site->index);
    struct pipe *p = pipe_of(w, l->pipe);
    struct perche_buf buf = {0};
    struct perche_err err;
    struct chance *c = &w->line_chance;
    struct perche_message sent = *m;
    struct event *e;

    if (m->op == PERCHE_OP_PULL && tag % 3 == 0)
        sent.u.pull.compare = true; /* as after three times "later", which hubs here are too idle to say */
    if (perche_message_encode(&sent, &buf, &err) != PERCHE_OK) {
        world_fail(w, "encode", "%s cannot encode a request: %s", site->name, err.text);
        perche_buf_free(&buf);
        return;
    }
    if (buf.n > PERCHE_MESSAGE_BYTES_UNPROVEN && m->op != PERCHE_OP_PUSH && p != NULL && !p->proven)
        world_fail(w, "prove too large", "%s sends %zu bytes before it is proven", site->name, buf.n);
    if (m->op == PERCHE_OP_PUSH) {
        w->counts[COUNT_PUSH]++;
        if (channel == 1)
            w->counts[COUNT_PUSH_PIPELINED]++;
    }
    story_message(w, site, ">", m, buf.n);
    if (p == NULL || !p->site_open || l->cut) {
        STORY(w, site, "  lost: %s", l->cut ? "the line is cut" : "no line");
        perche_buf_free(&buf);
        return;
    }
    keep(l->old_requests, &l->old_requests_n, &buf);
    if (chance_permille(c, qualities[l->quality].lose)) {
        w->counts[COUNT_LOST_REQUEST]++;
        STORY(w, site, "  lost on the way");
        perche_buf_free(&buf);
        return;
    }
    if (chance_permille(c, qualities[l->quality].broken) && buf.n > 2) {
        w->counts[COUNT_BROKEN]++;
        buf.n = 1 + chance_below(c, (uint32_t)buf.n - 1);
    }
    if (chance_permille(c, qualities[l->quality].twice)) {
        e = carry(w, EV_REQUEST, site->index, arrival(w, l, &l->up_ms) + chance_below(c, 2000), copy(&buf));
        e->a = request_new(w, (struct request){l->pipe, tag, (uint8_t)channel, true});
        w->counts[COUNT_TWICE_REQUEST]++;
    }
    if (l->old_requests_n > 2 && chance_permille(c, qualities[l->quality].old)) {
        struct perche_buf *old = &l->old_requests[chance_below(c, l->old_requests_n < 8 ? l->old_requests_n : 8)];

        if (old->n > 0) {
            e = carry(w, EV_REQUEST, site->index, arrival(w, l, &l->up_ms) + chance_below(c, 1000), copy(old));
            e->a = request_new(w, (struct request){l->pipe, 0, (uint8_t)channel, true});
            w->counts[COUNT_OLD_REQUEST]++;
        }
    }
    e = carry(w, EV_REQUEST, site->index, arrival(w, l, &l->up_ms), buf);
    e->a = request_new(w, (struct request){l->pipe, tag, (uint8_t)channel, false});
}

void line_request_arrives(struct world *w, struct event *e)
{
    const struct request *r = &w->requests[e->a - 1];
    struct pipe *p = pipe_of(w, r->pipe);
    struct node *hub = &w->nodes[HUB];
    struct perche_message m = {0};
    struct perche_err err;
    struct sync_event ev = {.request = e->a, .pipe = r->pipe, .bytes = e->bytes.n};

    if (!hub->up || p == NULL || !p->hub_open || line_of(w, e->node)->cut)
        return;
    if (perche_message_decode((struct perche_bytes){e->bytes.p, (uint32_t)e->bytes.n}, &m, &err) != PERCHE_OK) {
        STORY(w, hub, "< a request that does not decode: %s", err.text);
        ev.kind = SYNC_EV_BAD;
        node_event(w, hub, &ev);
        return;
    }
    if (r->copy)
        STORY(w, hub, "< again, from %s:", w->nodes[e->node].name);
    else
        STORY(w, hub, "< from %s:", w->nodes[e->node].name);
    ev.kind = SYNC_EV_REQUEST;
    ev.message = &m;
    node_event(w, hub, &ev);
    perche_message_free(&m);
}

/* ---- replies ---------------------------------------------------------------- */

void line_reply(struct world *w, uint64_t request, const struct perche_message *m)
{
    const struct request *r = request == 0 || request > w->requests_count ? NULL : &w->requests[request - 1];
    struct pipe *p = r != NULL ? pipe_of(w, r->pipe) : NULL;
    struct node *hub = &w->nodes[HUB];
    struct perche_buf buf = {0};
    struct perche_err err;
    struct chance *c = &w->line_chance;
    struct line *l;
    struct event *e;
    bool may_repeat = (m->op == PERCHE_OP_PUSH || m->op == PERCHE_OP_PULL) && !m->refused;

    if (r == NULL || p == NULL) {
        world_fail(w, "reply", "the hub answers request %llu, which nobody sent", (unsigned long long)request);
        return;
    }
    if (perche_message_encode(m, &buf, &err) != PERCHE_OK) {
        world_fail(w, "encode", "the hub cannot encode a reply: %s", err.text);
        perche_buf_free(&buf);
        return;
    }
    if (m->refused) {
        switch (m->u.no.why) {
        case PERCHE_NO_SESSION: w->counts[COUNT_NO_SESSION]++; break;
        case PERCHE_NO_POSITION: w->counts[COUNT_NO_POSITION]++; break;
        case PERCHE_NO_CLOCK: w->counts[COUNT_NO_CLOCK]++; break;
        default: w->counts[COUNT_NO_OTHER]++; break;
        }
    } else {
        if (m->op == PERCHE_OP_PROVE)
            p->proven = true;
        if (m->op == PERCHE_OP_PULL) {
            w->counts[COUNT_PULL]++;
            if (m->u.pull_reply.more)
                w->counts[COUNT_PULL_CUT]++;
        }
        if (m->op == PERCHE_OP_PUSH && m->u.push_reply.wants_count > 0)
            w->counts[COUNT_WANT]++;
        if (m->op == PERCHE_OP_WATCH && m->u.watch_reply.news)
            w->counts[COUNT_WATCH_NEWS]++;
        if (m->op == PERCHE_OP_DIGEST)
            w->counts[m->u.digest_reply.answer == PERCHE_EQUAL   ? COUNT_EQUAL_SAID
                      : m->u.digest_reply.answer == PERCHE_LATER ? COUNT_LATER_SAID
                                                                 : COUNT_DIFFERS_SAID]++;
    }
    if (w->verbose) {
        char word[16];

        (void)snprintf(word, sizeof word, "> to %s%s", w->nodes[p->site].name, r->copy ? " (again)" : "");
        story_message(w, hub, word, m, buf.n);
    }
    l = line_of(w, p->site);
    if (!p->hub_open || l->cut) {
        perche_buf_free(&buf);
        return;
    }
    if (chance_permille(c, qualities[l->quality].lose)) {
        w->counts[COUNT_LOST_REPLY]++;
        STORY(w, hub, "  lost on the way");
        perche_buf_free(&buf);
        return;
    }
    if (r->copy && !may_repeat) {
        perche_buf_free(&buf);
        return; /* the answer to a repetition goes nowhere */
    }
    if (may_repeat) {
        l->old_reply_channels[l->old_replies_n % 8] = r->channel;
        keep(l->old_replies, &l->old_replies_n, &buf);
        if (chance_permille(c, qualities[l->quality].twice)) {
            e = carry(w, EV_REPLY, p->site, arrival(w, l, &l->down_ms) + chance_below(c, 2000), copy(&buf));
            e->a = r->pipe;
            e->b = r->channel;
            w->counts[COUNT_TWICE_REPLY]++;
        }
        if (l->old_replies_n > 2 && chance_permille(c, qualities[l->quality].old)) {
            uint32_t k = chance_below(c, l->old_replies_n < 8 ? l->old_replies_n : 8);

            if (l->old_replies[k].n > 0) {
                e = carry(w, EV_REPLY, p->site, arrival(w, l, &l->down_ms), copy(&l->old_replies[k]));
                e->a = r->pipe;
                e->b = l->old_reply_channels[k];
                w->counts[COUNT_OLD_REPLY]++;
            }
        }
    }
    e = carry(w, EV_REPLY, p->site, arrival(w, l, &l->down_ms), buf);
    e->a = r->pipe;
    e->b = r->channel;
    e->c = r->copy ? 0 : r->tag;
}

void line_reply_arrives(struct world *w, struct event *e)
{
    struct node *site = &w->nodes[e->node];
    struct line *l = line_of(w, e->node);
    struct pipe *p = pipe_of(w, e->a);
    struct perche_message m = {0};
    struct perche_err err;
    struct sync_event ev = {.channel = (uint32_t)e->b, .tag = e->c, .bytes = e->bytes.n};

    if (!site->up || p == NULL || !p->site_open || l->pipe != e->a || l->cut)
        return;
    if (perche_message_decode((struct perche_bytes){e->bytes.p, (uint32_t)e->bytes.n}, &m, &err) != PERCHE_OK) {
        world_fail(w, "decode", "a reply does not decode at %s: %s", site->name, err.text);
        return;
    }
    ev.kind = SYNC_EV_REPLY;
    ev.message = &m;
    if (e->c == 0)
        STORY(w, site, "< an old answer to %s", m.op == PERCHE_OP_PUSH ? "push" : "pull");
    node_event(w, site, &ev);
    perche_message_free(&m);
}

/* ---- pipes -------------------------------------------------------------------- */

void line_connect(struct world *w, struct node *site)
{
    struct line *l = line_of(w, site->index);
    struct event *e;

    l->dial = ++l->dials;
    e = world_at(w, l->cut ? 20000 : 2 + qualities[l->quality].delay_ms, EV_DIALLED, site);
    e->a = l->dial;
}

void line_dialled(struct world *w, struct event *e)
{
    struct node *site = &w->nodes[e->node];
    struct line *l = line_of(w, e->node);
    struct sync_event ev = {.kind = SYNC_EV_LINE_DOWN};

    if (!site->up || l->dial != e->a)
        return;
    l->dial = 0;
    if (l->cut) {
        ev.reason = "timeout";
        w->counts[COUNT_DIAL_TIMEOUT]++;
    } else if (!w->nodes[HUB].up) {
        ev.reason = "refused";
        w->counts[COUNT_DIAL_REFUSED]++;
    } else {
        if (w->pipes_count == w->pipes_cap) {
            w->pipes_cap = w->pipes_cap ? 2 * w->pipes_cap : 16;
            w->pipes = realloc(w->pipes, w->pipes_cap * sizeof *w->pipes);
            if (w->pipes == NULL)
                abort();
        }
        w->pipes[w->pipes_count++] = (struct pipe){e->node, true, true, false};
        l->pipe = w->pipes_count;
        ev.kind = SYNC_EV_LINE_UP;
    }
    STORY(w, site, "dials: %s", ev.kind == SYNC_EV_LINE_UP ? "the line is up" : ev.reason);
    node_event(w, site, &ev);
}

/* The site's end hears that the pipe is gone. */
static void tell_site(struct world *w, uint64_t pipe, uint64_t in_ms)
{
    struct event *e = world_at(w, in_ms, EV_DOWN, NULL);

    e->node = pipe_of(w, pipe)->site;
    e->a = pipe;
}

static void tell_hub(struct world *w, uint64_t pipe, uint64_t in_ms)
{
    struct event *e = world_at(w, in_ms, EV_PIPE_GONE, &w->nodes[HUB]);

    e->a = pipe;
}

void line_down(struct world *w, struct event *e)
{
    struct node *site = &w->nodes[e->node];
    struct line *l = line_of(w, e->node);
    struct pipe *p = pipe_of(w, e->a);
    struct sync_event ev = {.kind = SYNC_EV_LINE_DOWN, .reason = "lost"};

    if (!p->site_open)
        return;
    p->site_open = false;
    if (l->pipe == e->a)
        l->pipe = 0;
    if (!site->up)
        return;
    STORY(w, site, "notices that the line is gone");
    node_event(w, site, &ev);
}

void line_pipe_gone(struct world *w, struct event *e)
{
    struct pipe *p = pipe_of(w, e->a);
    struct sync_event ev = {.kind = SYNC_EV_PIPE_GONE, .pipe = e->a};

    if (!p->hub_open)
        return;
    p->hub_open = false;
    if (!w->nodes[HUB].up)
        return;
    STORY(w, &w->nodes[HUB], "notices that the line of %s is gone", w->nodes[p->site].name);
    node_event(w, &w->nodes[HUB], &ev);
}

void line_disconnect(struct world *w, struct node *site)
{
    struct line *l = line_of(w, site->index);
    struct pipe *p = pipe_of(w, l->pipe);

    l->dial = 0;
    l->pipe = 0;
    if (p == NULL || !p->site_open)
        return;
    p->site_open = false;
    if (!l->cut)
        tell_hub(w, (uint64_t)(p - w->pipes) + 1, 1 + qualities[l->quality].delay_ms);
}

void line_close_pipe(struct world *w, uint64_t pipe)
{
    struct pipe *p = pipe_of(w, pipe);
    struct line *l;

    if (p == NULL || !p->hub_open)
        return;
    p->hub_open = false;
    l = line_of(w, p->site);
    if (!l->cut)
        tell_site(w, pipe, (l->down_ms > w->now_ms ? l->down_ms - w->now_ms : 0) + 1 + qualities[l->quality].delay_ms);
}

void line_cut(struct world *w, struct node *site, bool silent, uint64_t for_ms)
{
    struct line *l = line_of(w, site->index);
    struct chance *c = &w->line_chance;
    struct event *e;

    STORY(w, site, "the line is cut%s for %.1f s", silent ? " without a word" : "", (double)for_ms / 1000.0);
    w->counts[COUNT_CUT]++;
    if (silent)
        w->counts[COUNT_CUT_SILENT]++;
    l->cut = true;
    l->cuts++;
    if (!silent && l->pipe != 0) {
        tell_site(w, l->pipe, chance_below(c, 50));
        tell_hub(w, l->pipe, chance_below(c, 2) == 0 ? chance_below(c, 50) : 60000 + chance_below(c, 60000));
    }
    e = world_at(w, for_ms, EV_HEAL, NULL);
    e->node = site->index;
    e->a = l->cuts;
}

void line_heal(struct world *w, struct node *site)
{
    struct line *l = line_of(w, site->index);

    if (l->cut)
        STORY(w, site, "the line is back");
    l->cut = false;
    l->up_ms = l->down_ms = 0;
}

void line_quality(struct world *w, struct node *site, uint32_t quality)
{
    static const char *const words[] = {"good", "fair", "bad", "very bad"};
    struct line *l = line_of(w, site->index);

    if (l->quality != quality)
        STORY(w, site, "the line is %s now", words[quality]);
    l->quality = quality;
}

void line_node_died(struct world *w, struct node *n)
{
    struct chance *c = &w->line_chance;

    for (uint64_t id = 1; id <= w->pipes_count; id++) {
        struct pipe *p = &w->pipes[id - 1];
        struct line *l = line_of(w, p->site);

        if (n->index == HUB && p->hub_open) {
            p->hub_open = false;
            if (p->site_open && !l->cut && chance_below(c, 4) != 0)
                tell_site(w, id, chance_below(c, 100));
        } else if (n->index == p->site && p->site_open) {
            p->site_open = false;
            if (p->hub_open && !l->cut)
                tell_hub(w, id, chance_below(c, 3) != 0 ? chance_below(c, 100) : 60000 + chance_below(c, 60000));
        }
    }
    if (n->index != HUB) {
        line_of(w, n->index)->pipe = 0;
        line_of(w, n->index)->dial = 0;
    }
}
