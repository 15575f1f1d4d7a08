/* perche-sim: plays stories drawn from seeds, and says what went wrong.
 *
 *   perche-sim [--seeds N] [--from S] [--jobs J] [--verbose] [--shrink] [--lie] [--strict] [--backups] [--narrow] [--sites N] [--first]
 *              [--full] [--bypass] [--twins] [--moves] [--schema]
 *
 * --first ends with the first story that fails, and tells none. perche-sim-rules also
 * knows --without NAME, which takes a rule of daemon/rule_switch.h away, and --rules,
 * which lists them.
 *
 * --lie tells the oracle something false at the end of each story: it has to fail
 * every one, and the program's result is turned round. The last line is
 * "N passed, N failed"; the exit status is 0 when none failed. */
#include "sim.h"

#include "rule_switch.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST_FROM 1500     /* seeds from which on everything in the mix must have happened */
#define SHOWN_MAX 3        /* failing stories that are told */
#define FAILED_MAX 64      /* that a worker remembers */
#define SAYS_EVERY 5000    /* stories, a worker says how far it is */
#define TIDY_EVERY 32      /* stories after which everything is freed: what leaks is seen */
#define LUCKS 3            /* each shorter story is tried with as much other luck */
#define TRIES_MAX 1500     /* stories played to make one shorter */
#define LIES 20            /* stories of an ordinary run that are told to the oracle with a lie */
#define NEEDLESS_PERMILLE 5 /* needless questions a thousand stories may have */

struct arguments {
    uint64_t seeds, from;
    uint32_t jobs;
    bool verbose, shrink, all, first;
    struct options options;
};

struct failed {
    uint64_t seed;
    char kind[48], text[400];
};

struct result { /* in memory that all processes share */
    bool ended;
    uint64_t passed, failed_count, events, lies, lies_found;
    uint64_t counts[COUNTS], stories[COUNTS]; /* how often, and in how many stories */
    struct failed failed[FAILED_MAX];
};

static bool take_number(const char *name, const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || *text == '\0' || *end != '\0' || errno != 0) {
        (void)fprintf(stderr, "perche-sim: %s wants a whole number\n", name);
        return false;
    }
    return true;
}

static bool take_extra(struct options *o, const char *text)
{
    static const char *const names[EXTRAS] = {
#define X(NAME, name, word, permille) "--" #name,
        EXTRA_MAP(X)
#undef X
    };

    for (int i = 0; i < EXTRAS; i++)
        if (strcmp(text, names[i]) == 0)
            return o->extra[i] = true;
    return false;
}

static bool arguments_read(struct arguments *a, int argc, char **argv)
{
    uint64_t x;

    *a = (struct arguments){.seeds = 500, .from = 1};
    a->options.backups = -1;
    a->jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--seeds") == 0 && ++i) {
            if (!take_number("--seeds", next, &a->seeds))
                return false;
        } else if (strcmp(argv[i], "--from") == 0 && ++i) {
            if (!take_number("--from", next, &a->from))
                return false;
        } else if (strcmp(argv[i], "--jobs") == 0 && ++i) {
            if (!take_number("--jobs", next, &x))
                return false;
            a->jobs = (uint32_t)x;
        } else if (strcmp(argv[i], "--sites") == 0 && ++i) {
            if (!take_number("--sites", next, &x) || x < 1 || x > SITES_MAX)
                return false;
            a->options.sites = (int)x;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            a->verbose = true;
        } else if (strcmp(argv[i], "--shrink") == 0) {
            a->shrink = true;
        } else if (strcmp(argv[i], "--lie") == 0) {
            a->options.lie = true;
        } else if (strcmp(argv[i], "--first") == 0) {
            a->first = true;
#ifdef PERCHE_SWITCHES
        } else if (strcmp(argv[i], "--rules") == 0) {
            rule_list();
            exit(0);
        } else if (strcmp(argv[i], "--without") == 0 && ++i) {
            if (next == NULL || !rule_take_away(next)) {
                (void)fprintf(stderr, "perche-sim: there is no rule '%s'; --rules lists them\n", next != NULL ? next : "");
                return false;
            }
#endif
        } else if (strcmp(argv[i], "--strict") == 0) {
            a->options.strict = true;
        } else if (strcmp(argv[i], "--backups") == 0) {
            a->options.backups = 1;
        } else if (strcmp(argv[i], "--narrow") == 0) {
            a->options.narrow = true;
        } else if (take_extra(&a->options, argv[i])) {
            /* every story has it */
        } else {
            static const char extras[] =
#define X(NAME, name, word, permille) " [--" #name "]"
                EXTRA_MAP(X)
#undef X
                ;

            (void)fprintf(stderr, "perche-sim: '%s' is not known\n"
                                  "usage: perche-sim [--seeds N] [--from S] [--jobs J] [--verbose] [--shrink] [--lie] [--strict] [--backups] [--narrow] [--sites N] [--first]%s\n",
                          argv[i], extras);
            return false;
        }
    }
    if (a->jobs < 1)
        a->jobs = 1;
    if (a->jobs > a->seeds)
        a->jobs = a->seeds > 0 ? (uint32_t)a->seeds : 1;
    return true;
}

static void merge_counts(struct result *to, const struct result *from)
{
    to->events += from->events;
    for (int i = 0; i < COUNTS; i++) {
        to->counts[i] += from->counts[i];
        to->stories[i] += from->stories[i];
    }
}

static void add_counts(struct result *r, const struct world *w)
{
    for (int i = 0; i < COUNTS; i++) {
        r->counts[i] += w->counts[i];
        r->stories[i] += w->counts[i] > 0;
    }
    r->events += w->events;
}

/* What became of one story. */
struct end {
    bool ended, passed;
    char kind[48], text[400];
};

/* A stage is a process that has made the beginning for one number of sites, once, and
 * plays each story in a copy of itself: all of a story is in memory, disks too. Each
 * number of sites has a stage of its own, so that a copy holds one beginning alone. */
struct stage {
    pid_t pid; /* 0 = none yet */
    int ask, answer;
};
static struct stage stages[SITES_MAX + 1];

static struct { /* in memory that this process and its stages share: one story at a time */
    struct plan plan;
    struct options options;
    struct result counts;
    struct end end;
} *shared;

static void play_here(struct world *w)
{
    struct end *e = &shared->end;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would hear of what it finds */
    w->tidy = shared->plan.seed % TIDY_EVERY == 0;
    e->passed = world_play(w, &shared->plan, &shared->options);
    (void)snprintf(e->kind, sizeof e->kind, "%s", w->failure_kind);
    (void)snprintf(e->text, sizeof e->text, "%s", w->failure);
    add_counts(&shared->counts, w);
    (void)fflush(stdout);
    e->ended = true;
    if (!w->tidy || !e->passed)
        _exit(0);
    world_free(w); /* now and then everything is given back, so that a sanitizer can tell what was not */
    perche_wire_thread_end();
    exit(0);
}

static void stage_run(uint8_t sites, int asked, int answer)
{
    struct world *w = world_new();
    char byte = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    w->tidy = true;
    if (!world_prepare(w, sites))
        exit(1);
    (void)fflush(stdout);
    while (read(asked, &byte, 1) == 1) {
        pid_t child = fork();
        int status = 1;

        if (child == 0)
            play_here(w);
        if (child > 0)
            (void)waitpid(child, &status, 0);
        if (status != 0)
            shared->end.ended = false;
        if (write(answer, &byte, 1) != 1)
            break;
    }
    world_free(w);
    perche_wire_thread_end();
    exit(0);
}

static void stages_begin(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
}

static void stages_end(void)
{
    for (int i = 0; i <= SITES_MAX; i++)
        if (stages[i].pid > 0) {
            (void)close(stages[i].ask);
            (void)close(stages[i].answer);
            (void)waitpid(stages[i].pid, NULL, 0);
        }
}

static void stage_start(uint8_t sites)
{
    struct stage *s = &stages[sites];
    int there[2], back[2];

    if (pipe(there) != 0 || pipe(back) != 0)
        abort();
    (void)fflush(stdout);
    s->pid = fork();
    if (s->pid == 0) {
        for (int i = 0; i <= SITES_MAX; i++) /* else those would not see the end */
            if (stages[i].pid > 0) {
                (void)close(stages[i].ask);
                (void)close(stages[i].answer);
            }
        (void)close(there[1]);
        (void)close(back[0]);
        stage_run(sites, there[0], back[1]);
    }
    if (s->pid < 0)
        abort();
    (void)close(there[0]);
    (void)close(back[1]);
    s->ask = there[1];
    s->answer = back[0];
}

/* @r: counts go there, NULL = nowhere. */
static struct end play(const struct plan *p, const struct options *o, struct result *r)
{
    struct stage *s = &stages[p->mix.sites];
    char byte = 1;

    if (s->pid == 0)
        stage_start(p->mix.sites);
    shared->plan = *p;
    shared->options = *o;
    memset(&shared->counts, 0, sizeof shared->counts);
    memset(&shared->end, 0, sizeof shared->end);
    (void)fflush(stdout);
    if (write(s->ask, &byte, 1) != 1 || read(s->answer, &byte, 1) != 1)
        return (struct end){.kind = "no beginning"};
    if (!shared->end.ended) {
        shared->end.passed = false;
        (void)snprintf(shared->end.kind, sizeof shared->end.kind, "died");
        (void)snprintf(shared->end.text, sizeof shared->end.text, "an assertion or a sanitizer ended the process");
    }
    if (r != NULL)
        merge_counts(r, &shared->counts);
    return shared->end;
}

/* ---- a failing story, made shorter ---------------------------------------- */

struct shortening {
    struct plan *plan;      /* the shortest so far that fails as the first did */
    struct options options;
    char kind[48];
    uint32_t tries;
};

/* Takes @trial when it fails in the same way. What is left out shifts what lines and delays draw for the rest, so it is
 * tried with other luck as well. */
static bool take_shorter(struct shortening *s, struct plan *trial)
{
    for (uint32_t i = 0; i < LUCKS && s->tries < TRIES_MAX; i++) {
        struct end e;

        trial->luck = i == 0 ? s->plan->luck : s->tries;
        s->tries++;
        e = play(trial, &s->options, NULL);
        if (!e.passed && strcmp(e.kind, s->kind) == 0) {
            *s->plan = *trial;
            return true;
        }
    }
    return false;
}

static bool fewer_steps(struct shortening *s)
{
    static struct plan trial;
    bool any = false, again = true;

    for (uint32_t chunk = (s->plan->count + 1) / 2; chunk > 1 || again; chunk = chunk > 1 ? (chunk + 1) / 2 : 1) {
        again = false;
        for (uint32_t at = 0; at < s->plan->count;) {
            uint32_t n = chunk < s->plan->count - at ? chunk : s->plan->count - at;

            trial = *s->plan;
            trial.count -= n;
            memmove(trial.steps + at, trial.steps + at + n, (trial.count - at) * sizeof *trial.steps);
            if (take_shorter(s, &trial))
                any = again = true;
            else
                at += n;
        }
        if (s->plan->count == 0 || s->tries == TRIES_MAX)
            break;
    }
    return any;
}

static void rename_site(struct plan *p, uint8_t from, uint8_t to)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->steps[i].node == from)
            p->steps[i].node = to;
    p->skew_ms[to] = p->skew_ms[from];
    if (p->mix.wild == from)
        p->mix.wild = to;
}

/* What a story is said to have, after steps were taken out. */
static void say_what_is_left(struct plan *p)
{
    p->mix.faults = p->mix.clocks = p->mix.backups = false;
    for (uint32_t i = 0; i < p->count; i++)
        switch (p->steps[i].kind) {
        case STEP_CUT:
        case STEP_QUALITY:
        case STEP_CRASH:
        case STEP_STOP: p->mix.faults = true; break;
        case STEP_CLOCK: p->mix.clocks = true; break;
        case STEP_COPY: p->mix.backups = true; break;
        default: break;
        }
    for (uint8_t i = 0; i <= p->mix.sites; i++)
        p->mix.clocks |= p->skew_ms[i] != 0;
    if (p->mix.wild > p->mix.sites || p->skew_ms[p->mix.wild] == 0)
        p->mix.wild = 0;
}

/* Without those to whom nothing happens; then what one does is given to another. */
static bool fewer_sites(struct shortening *s)
{
    static struct plan trial;
    bool used[NODES_MAX] = {false};
    uint8_t first = s->plan->mix.sites, count = 0;

    trial = *s->plan;
    for (uint32_t i = 0; i < trial.count; i++)
        used[trial.steps[i].node] = true;
    for (uint8_t i = 1; i <= first; i++)
        if (used[i])
            rename_site(&trial, i, ++count);
    for (uint8_t n = count > 0 ? count : 1; n < first; n++) {
        trial.mix.sites = n;
        if (take_shorter(s, &trial))
            break;
    }
    for (uint8_t site = s->plan->mix.sites; site > 1 && s->tries < TRIES_MAX; site--)
        for (uint8_t other = 1; other < site; other++) {
            trial = *s->plan;
            rename_site(&trial, site, other);
            trial.skew_ms[other] = s->plan->skew_ms[other];
            for (uint8_t i = site; i < trial.mix.sites; i++)
                rename_site(&trial, i + 1, i);
            trial.mix.sites--;
            if (take_shorter(s, &trial))
                break;
        }
    return s->plan->mix.sites < first;
}

static bool plainer(struct shortening *s)
{
    static struct plan trial;
    bool any = false;

    for (uint8_t i = 0; i <= s->plan->mix.sites; i++) /* right clocks */
        if (s->plan->skew_ms[i] != 0) {
            trial = *s->plan;
            trial.skew_ms[i] = 0;
            if (trial.mix.wild == i)
                trial.mix.wild = 0;
            any |= take_shorter(s, &trial);
        }
    if (s->plan->mix.scratch) { /* with everybody joined already */
        trial = *s->plan;
        trial.mix.scratch = false;
        any |= take_shorter(s, &trial);
    }
    if (s->plan->mix.keep_deleted_ms != 0 || s->plan->mix.silent_ms != 0) { /* with a hub that forgets and retires nobody */
        trial = *s->plan;
        trial.mix.keep_deleted_ms = trial.mix.silent_ms = 0;
        any |= take_shorter(s, &trial);
    }
    trial = *s->plan; /* and mended as soon as nothing more is to come */
    trial.end_ms = trial.count > 0 ? trial.steps[trial.count - 1].at_ms + 1 : 1;
    if (trial.end_ms < s->plan->end_ms)
        any |= take_shorter(s, &trial);
    return any;
}

/* Leaves out steps, sites and wrong clocks as long as the story fails in the same way, and says what is left. */
static void shrink(struct plan *p, const struct options *o)
{
    struct shortening s = {.plan = p, .options = *o};
    uint32_t steps = p->count, sites = p->mix.sites;
    struct end e;
    bool any = true;

    s.options.verbose = false;
    e = play(p, &s.options, NULL);
    if (e.passed) {
        (void)printf("it passes: there is nothing to make shorter\n");
        return;
    }
    (void)snprintf(s.kind, sizeof s.kind, "%s", e.kind);
    while (any && s.tries < TRIES_MAX) {
        any = fewer_steps(&s);
        any |= fewer_sites(&s);
        any |= plainer(&s);
    }
    say_what_is_left(p);
    (void)printf("made shorter: %u of %u steps and %u of %u sites are needed (%u tries%s)\n", p->count, steps, p->mix.sites, sites, s.tries,
                 s.tries == TRIES_MAX ? ", no more were made" : "");
    for (uint32_t i = 0; i < p->count; i++) {
        char text[200];

        plan_say(&p->steps[i], text, sizeof text);
        (void)printf("  %s\n", text);
    }
    for (uint8_t i = 0; i <= p->mix.sites; i++)
        if (p->skew_ms[i] != 0)
            (void)printf("  the clock of %s is %+.1f s off\n", i == HUB ? "the hub" : (char[]){(char)('A' + i - 1), '\0'}, (double)p->skew_ms[i] / 1000.0);
    (void)printf("how it went:\n");
}

static bool play_one(const struct arguments *a, uint64_t seed, struct result *r)
{
    static struct plan plan;
    struct end e;

    plan_draw(&plan, seed, &a->options);
    e = play(&plan, &a->options, r);
    if (e.passed) {
        r->passed++;
    } else {
        if (r->failed_count < sizeof r->failed / sizeof r->failed[0]) {
            struct failed *f = &r->failed[r->failed_count];

            f->seed = seed;
            (void)snprintf(f->kind, sizeof f->kind, "%s", e.kind);
            (void)snprintf(f->text, sizeof f->text, "%s", e.text);
        }
        r->failed_count++;
    }
    return e.passed;
}

static _Atomic uint64_t *stories_begun; /* in memory that all workers share */

/* The next story that no worker has begun, until there is none: so they end together. */
static void worker(const struct arguments *a, uint32_t number, struct result *r)
{
    static struct result lie;
    struct arguments lying = *a;

    lying.options.lie = true;
    for (uint64_t i, played = 1; !(a->first && r->failed_count > 0) && (i = atomic_fetch_add(stories_begun, 1)) < a->seeds; played++) {
        bool passed = play_one(a, a->from + i, r);

        if (passed && !a->first && !a->options.lie && i < LIES) { /* and is the oracle awake? */
            r->lies++;
            r->lies_found += !play_one(&lying, a->from + i, &lie);
        }
        if (!passed && r->failed_count <= FAILED_MAX) /* at once: a long run may be ended before its report */
            (void)printf("not ok seed %llu: %s: %s\n", (unsigned long long)(a->from + i), r->failed[r->failed_count - 1].kind, r->failed[r->failed_count - 1].text);
        if (played % SAYS_EVERY == 0)
            (void)printf("... seed %llu, %llu failed of the %llu that worker %u has played\n", (unsigned long long)(a->from + i), (unsigned long long)r->failed_count,
                         (unsigned long long)played, number);
        (void)fflush(stdout);
    }
}

/* Tells the story of one seed. */
static void tell(const struct arguments *a, uint64_t seed)
{
    static struct plan plan;
    struct options o = a->options;
    struct end e;

    plan_draw(&plan, seed, &o);
    if (a->shrink)
        shrink(&plan, &o);
    o.verbose = true;
    e = play(&plan, &o, NULL);
    (void)printf("seed %llu: %s%s%s\n", (unsigned long long)seed, e.passed ? "passed" : e.kind, e.passed ? "" : ": ", e.text);
}

static pid_t start(const struct arguments *a, uint32_t number, struct result *r)
{
    pid_t child;

    (void)fflush(stdout);
    child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        stages_begin();
        worker(a, number, r);
        stages_end();
        (void)fflush(stdout);
        r->ended = true;
        exit(0);
    }
    if (child < 0)
        perror("perche-sim");
    return child;
}

static void merge_results(struct result *to, const struct result *from)
{
    to->passed += from->passed;
    merge_counts(to, from);
    to->lies += from->lies;
    to->lies_found += from->lies_found;
    for (uint64_t i = 0; i < from->failed_count && i < FAILED_MAX; i++)
        if (to->failed_count + i < FAILED_MAX)
            to->failed[to->failed_count + i] = from->failed[i];
    to->failed_count += from->failed_count;
}

static void report(const struct arguments *a, struct result *r, double seconds)
{
    bool never = false;

    for (int i = 0; i < COUNTS; i++) {
        bool bad = r->counts[i] == 0 && count_musts[i] && a->seeds >= MUST_FROM && !a->options.lie;

        (void)printf("%9llu  in %6llu stories  %s%s\n", (unsigned long long)r->counts[i], (unsigned long long)r->stories[i], count_names[i],
                     bad ? "  NEVER HAPPENED" : "");
        never |= bad;
    }
    if (never) {
        (void)printf("failed: something of the mix never happened in %llu stories\n", (unsigned long long)a->seeds);
        r->failed_count++;
    }
    if (a->seeds >= MUST_FROM && !a->options.lie && r->counts[COUNT_NEEDLESS] * 1000 > a->seeds * NEEDLESS_PERMILLE) {
        (void)printf("failed: %llu needless questions in %llu stories\n", (unsigned long long)r->counts[COUNT_NEEDLESS], (unsigned long long)a->seeds);
        r->failed_count++;
    }
    if (r->lies > 0) {
        (void)printf("lies told to the oracle: %llu, found: %llu\n", (unsigned long long)r->lies, (unsigned long long)r->lies_found);
        if (r->lies_found < r->lies)
            r->failed_count++;
    }
    (void)printf("%llu events in %.1f s, %.0f stories/s\n", (unsigned long long)r->events, seconds, (double)a->seeds / (seconds > 0 ? seconds : 1));
}

int main(int argc, char **argv)
{
    struct arguments a;
    static struct result total;
    struct timespec begin, end;
    struct result *results;
    pid_t children[64];

    if (!arguments_read(&a, argc, argv))
        return 2;
    (void)signal(SIGPIPE, SIG_IGN); /* a stage that is gone: no beginning */
    memory_begin();
    if (a.verbose || (a.shrink && a.seeds == 1)) {
        stages_begin();
        for (uint64_t i = 0; i < a.seeds; i++)
            tell(&a, a.from + i);
        stages_end();
        return 0;
    }
    if (a.jobs > 64)
        a.jobs = 64;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    (void)fflush(stdout);
    results = mmap(NULL, a.jobs * sizeof *results, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    stories_begun = mmap(NULL, sizeof *stories_begun, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED || stories_begun == MAP_FAILED) {
        perror("perche-sim");
        return 1;
    }
    for (uint32_t j = 0; j < a.jobs; j++)
        children[j] = start(&a, j, &results[j]);
    for (uint32_t j = 0; j < a.jobs; j++) {
        if (children[j] > 0)
            (void)waitpid(children[j], NULL, 0);
        if (!results[j].ended) {
            (void)printf("worker %u ended early\n", j);
            total.failed_count++;
        }
        merge_results(&total, &results[j]);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    stages_begin();
    if (!a.options.lie && !a.first)
        for (uint64_t i = 0; i < total.failed_count && i < SHOWN_MAX; i++)
            if (total.failed[i].kind[0] != '\0') {
                struct arguments one = a;

                one.shrink = true;
                (void)printf("\nthe story of seed %llu (again: --from %llu --seeds 1 --verbose)\n", (unsigned long long)total.failed[i].seed,
                             (unsigned long long)total.failed[i].seed);
                tell(&one, total.failed[i].seed);
            }
    stages_end();
    if (!a.first)
        report(&a, &total, (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    if (a.options.lie) { /* every story must have failed */
        (void)printf("%llu passed, %llu failed\n", (unsigned long long)total.failed_count, (unsigned long long)total.passed);
        return total.passed == 0 && total.failed_count > 0 ? 0 : 1;
    }
    (void)printf("%llu passed, %llu failed\n", (unsigned long long)total.passed, (unsigned long long)total.failed_count);
    return total.failed_count == 0 ? 0 : 1;
}
