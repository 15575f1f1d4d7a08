/* What will happen, drawn from the seed before anything does. */
#include "sim.h"

#include <string.h>

#define WILD_BEHIND_MS (-INT64_C(853000000000)) /* 27 years */
#define WILD_AHEAD_MS INT64_C(347000000000)     /* 11 years */
#define MANY_PERMILLE 20                        /* stories of more than FEW_SITES sites: they take long */

static const uint64_t stream_plan = 1, stream_backups = 4, stream_floor = 5, stream_sites = 6, stream_narrow = 11, stream_extras = 100;

static void add(struct plan *p, struct step s)
{
    uint32_t at = p->count;

    if (p->count == STEPS_MAX)
        return;
    while (at > 0 && p->steps[at - 1].at_ms > s.at_ms) {
        p->steps[at] = p->steps[at - 1];
        at--;
    }
    p->steps[at] = s;
    p->count++;
}

static uint8_t any_site(struct chance *c, const struct plan *p)
{
    return (uint8_t)(1 + chance_below(c, p->mix.sites));
}

static struct step fault(struct chance *c, const struct plan *p, uint64_t at_ms)
{
    struct step s = {.at_ms = at_ms};
    uint32_t x = chance_below(c, 100);

    if (x < 40) {
        s.kind = STEP_CUT;
        s.node = any_site(c, p);
        s.a = chance_below(c, 2);
        s.b = chance_below(c, 3) == 0 ? chance_between(c, 30000, 200000) : chance_between(c, 50, 20000);
    } else if (x < 60) {
        s.kind = STEP_QUALITY;
        s.node = any_site(c, p);
        s.a = chance_below(c, 4);
    } else if (x < 95) {
        s.kind = STEP_CRASH;
        s.node = chance_below(c, 3) == 0 ? HUB : any_site(c, p);
        s.a = chance_below(c, 4);
        s.b = chance_below(c, 4) == 0 ? chance_between(c, 10000, 90000) : chance_between(c, 10, 4000);
        s.c = 1 + chance_below(c, s.a == CRASH_WRITE ? 12 : 6);
        s.d = chance_below(c, 3) == 0;
    } else {
        s.kind = STEP_STOP;
        s.node = chance_below(c, 3) == 0 ? HUB : any_site(c, p);
        s.b = chance_between(c, 10, 30000);
    }
    return s;
}

/* A copy is made early, and put back later, once or twice. */
static void add_backups(struct plan *p, struct chance *c)
{
    uint32_t n = 1 + chance_below(c, 3);

    for (uint32_t i = 0; i < n; i++) {
        struct step s = {.kind = STEP_COPY, .node = chance_below(c, 3) == 0 ? HUB : any_site(c, p)};
        uint32_t times = 1 + chance_below(c, 2);

        s.at_ms = chance_below(c, (uint32_t)p->end_ms);
        add(p, s);
        for (uint32_t k = 0; k < times; k++) {
            s.kind = STEP_BACK;
            s.at_ms += chance_below(c, (uint32_t)(p->end_ms - s.at_ms) + 1);
            s.b = chance_between(c, 10, 30000);
            add(p, s);
        }
    }
}

/* The hub forgets what was deleted, soon; and sites that are cut off for a minute are retired. Not where an older copy of the hub is
 * put back: it would have to be younger than what it forgets. */
static void add_floor(struct plan *p, struct chance *c)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->steps[i].kind == STEP_BACK && p->steps[i].node == HUB)
            return;
    p->mix.keep_deleted_ms = chance_between(c, 1000, 30000);
    p->mix.silent_ms = chance_below(c, 2) == 0 ? chance_between(c, 60000, 200000) : 0;
    add(p, (struct step){.kind = STEP_STOP, .node = HUB, .at_ms = 0, .b = 10}); /* it is read at the start */
    if (p->mix.silent_ms != 0 && chance_below(c, 2) == 0) /* somebody is away for that long */
        add(p, (struct step){.kind = STEP_CUT, .node = any_site(c, p), .at_ms = chance_below(c, (uint32_t)p->end_ms), .b = p->mix.silent_ms + 60000});
}

/* One to three times a disk has no room, mostly for less than a minute. */
static void add_full(struct plan *p, struct chance *c)
{
    uint32_t n = 1 + chance_below(c, 3);

    for (uint32_t i = 0; i < n; i++) {
        struct step s = {.kind = STEP_FULL, .node = chance_below(c, 3) == 0 ? HUB : any_site(c, p)};

        s.at_ms = chance_below(c, (uint32_t)p->end_ms);
        s.a = chance_below(c, 3) == 0 ? 0 : chance_below(c, 60000);
        s.b = chance_below(c, 4) == 0 ? chance_between(c, 30000, 300000) : chance_between(c, 1000, 30000);
        add(p, s);
    }
}

/* Programs that know of no triggers, and now and then somebody who looks. */
static void add_bypass(struct plan *p, struct chance *c)
{
    uint32_t n = 1 + chance_below(c, 8);

    for (uint32_t i = 0; i < n; i++) {
        struct step s = {.kind = chance_below(c, 4) == 0 ? STEP_VERIFY : STEP_BYPASS,
                         .node = chance_below(c, 3) == 0 ? HUB : any_site(c, p)};

        s.at_ms = chance_below(c, (uint32_t)p->end_ms);
        s.a = chance_u64(c) >> 32;
        s.b = chance_u64(c) >> 32;
        s.c = chance_u64(c) >> 32;
        s.d = chance_u64(c) >> 32;
        add(p, s);
    }
}

/* A site's disk is copied and started elsewhere; one of the two is switched off later, or only at the end. */
static void add_twins(struct plan *p, struct chance *c)
{
    uint32_t n = 1 + chance_below(c, 2);
    uint8_t site = any_site(c, p);

    if (p->mix.backups || p->mix.extra[EXTRA_BYPASS]) { /* a copy of a copy: which of them a write is lost with nobody could tell */
        p->mix.extra[EXTRA_TWINS] = false;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct step s = {.kind = STEP_TWIN, .node = chance_below(c, 2) ? site : any_site(c, p)};

        s.at_ms = chance_below(c, (uint32_t)p->end_ms);
        s.b = chance_between(c, 10, 20000);
        add(p, s);
        if (chance_below(c, 5) < 2)
            continue;
        s.kind = STEP_TWIN_OFF;
        s.at_ms += chance_below(c, (uint32_t)(p->end_ms - s.at_ms) + 1);
        s.a = chance_below(c, 2);
        s.b = chance_between(c, 10, 60000);
        add(p, s);
    }
}

/* Rows change hands, there and back, and readers come and go: one write in twelve (actors.c, do_move). */
static void add_moves(struct plan *p, struct chance *c)
{
    (void)c;
    p->mix.moves = true;
}

/* One table more; said twice, so that one that a crash took is handed out after all. */
static void add_schema(struct plan *p, struct chance *c)
{
    struct step s = {.kind = STEP_SCHEMA, .node = HUB};

    if (p->mix.backups) { /* a migration that came after the backup is not brought back by the sites (docs/architecture.md) */
        p->mix.extra[EXTRA_SCHEMA] = false;
        return;
    }
    s.at_ms = chance_below(c, (uint32_t)p->end_ms / 2 + 1);
    add(p, s);
    s.at_ms += chance_below(c, (uint32_t)(p->end_ms - s.at_ms) + 1);
    add(p, s);
}

typedef void extra_cb(struct plan *p, struct chance *c);

static void add_extras(struct plan *p, uint64_t seed, const struct options *o)
{
    static const struct {
        uint32_t permille;
        extra_cb *add;
    } extras[EXTRAS] = {
#define X(NAME, name, word, permille) {permille, add_##name},
        EXTRA_MAP(X)
#undef X
    };
    struct chance c;

    for (uint32_t i = 0; i < EXTRAS; i++) {
        chance_seed(&c, seed, stream_extras + i);
        p->mix.extra[i] = chance_permille(&c, extras[i].permille) || o->extra[i];
        if (p->mix.scratch)
            p->mix.extra[i] = false;
        if (p->mix.extra[i])
            extras[i].add(p, &c);
    }
}

void plan_draw(struct plan *p, uint64_t seed, const struct options *o)
{
    static const uint8_t sites[] = {1, 2, 2, 2, 3, 3, 3, 3, 4, 5};
    /* As many defects are found in a given time by short stories as by long ones, and they read better. */
    static const uint32_t lengths[] = {8, 10, 12, 16, 16, 20, 20, 24, 24, 30, 30, 36, 40, 50, 60, 120};
    struct chance c, many;
    uint32_t length, pace;
    uint64_t t = 0;

    memset(p, 0, sizeof *p);
    chance_seed(&c, seed, stream_plan);
    p->seed = seed;
    p->mix.sites = sites[chance_below(&c, sizeof sites)];
    chance_seed(&many, seed, stream_sites);
    if (chance_permille(&many, MANY_PERMILLE))
        p->mix.sites = (uint8_t)(FEW_SITES + 1 + chance_below(&many, SITES_MAX - FEW_SITES));
    if (o->sites > 0)
        p->mix.sites = (uint8_t)o->sites;
    p->mix.faults = !chance_permille(&c, 150);
    p->mix.unlawful = chance_permille(&c, 120);
    p->mix.clocks = chance_permille(&c, 350);
    p->mix.scratch = chance_permille(&c, 20);
    for (int i = 0; p->mix.clocks && i < NODES_MAX; i++) {
        struct chance *by = i <= FEW_SITES ? &c : &many;

        if (chance_below(by, 2) == 0)
            p->skew_ms[i] = chance_below(by, 2) == 0 ? (int64_t)chance_between(by, 0, 10000) - 5000
                                                     : (int64_t)chance_between(by, 0, 600000) - 300000;
    }
    length = lengths[chance_below(&c, sizeof lengths / sizeof *lengths)];
    pace = chance_below(&c, 3) == 0 ? 200 : chance_below(&c, 2) == 0 ? 1500 : 8000;
    for (uint32_t i = 0; i < length; i++) {
        uint32_t x = chance_below(&c, 100);
        struct step s = {.kind = STEP_WRITE};

        t += chance_below(&c, 2) == 0 ? chance_below(&c, 30) : chance_below(&c, pace) + 1;
        s.at_ms = t;
        s.node = chance_below(&c, 10) < 3 ? HUB : any_site(&c, p);
        s.a = chance_u64(&c) >> 32;
        s.b = chance_u64(&c) >> 32;
        s.c = chance_u64(&c) >> 32;
        s.d = chance_u64(&c) >> 32;
        if (x < 4) {
            s.kind = STEP_RESOLVE;
        } else if (x < 6) {
            s.kind = STEP_SYNC;
            s.node = any_site(&c, p);
        } else if (x < 7 && p->mix.clocks) {
            s.kind = STEP_CLOCK;
            s.b = (uint64_t)((int64_t)chance_between(&c, 0, 240000) - 120000);
        } else if (x < 20 && p->mix.faults) {
            s = fault(&c, p, t);
        }
        add(p, s);
    }
    p->end_ms = t + 1;
    chance_seed(&c, seed, stream_backups); /* of its own: the rest of a story stays what it was */
    p->mix.backups = o->backups >= 0 ? o->backups > 0 : chance_permille(&c, 250);
    if (p->mix.scratch)
        p->mix.backups = false; /* who has not joined yet has nothing to put back */
    if (p->mix.backups)
        add_backups(p, &c);
    if (p->mix.clocks && chance_below(&c, 3) == 0) { /* a server that came up in 2000, or in 2038 */
        p->mix.wild = any_site(&c, p);
        p->skew_ms[p->mix.wild] = chance_below(&c, 2) == 0 ? WILD_BEHIND_MS : WILD_AHEAD_MS;
    }
    chance_seed(&c, seed, stream_floor);
    if (chance_permille(&c, 400))
        add_floor(p, &c);
    chance_seed(&c, seed, stream_narrow);
    if (chance_permille(&c, 250) || o->narrow)
        p->mix.narrow = (uint8_t)chance_between(&c, 1, 6);
    add_extras(p, seed, o);
}

void plan_say(const struct step *s, char *out, size_t n)
{
    static const char *const kinds[] = {"write", "resolve", "cut", "quality", "crash", "stop", "clock", "sync", "copy", "put back", "full", "bypass", "verify", "another table", "second machine", "switched off"};
    static const char *const qualities[] = {"good", "fair", "poor", "bad"};
    static const char *const moments[] = {[CRASH_NOW] = "at once", [CRASH_ACTION] = "before an action", [CRASH_OUTCOME] = "after a work, before anybody hears of it",
                                          [CRASH_WRITE] = "in the middle of a write"};
    char who[8] = "hub", more[96] = "";
    double back = (double)s->b / 1000.0;

    if (s->node != HUB)
        (void)snprintf(who, sizeof who, "%c", 'A' + s->node - 1);
    switch (s->kind) {
    case STEP_CUT: (void)snprintf(more, sizeof more, " %sfor %.1f s", s->a ? "without a word, " : "", back); break;
    case STEP_QUALITY: (void)snprintf(more, sizeof more, " of the line: %s", qualities[s->a & 3]); break;
    case STEP_CRASH:
        (void)snprintf(more, sizeof more, " %s%s, back in %.1f s", moments[s->a & 3], s->d ? ", with the power" : "", back);
        break;
    case STEP_STOP:
    case STEP_BACK: (void)snprintf(more, sizeof more, ", back in %.1f s", back); break;
    case STEP_CLOCK: (void)snprintf(more, sizeof more, " set by %+.1f s", (double)(int64_t)s->b / 1000.0); break;
    default: break;
    }
    (void)snprintf(out, n, "[%9.3f] %-3s %s%s", 601.0 + (double)s->at_ms / 1000.0, who, kinds[s->kind], more); /* as the trace has it */
}
