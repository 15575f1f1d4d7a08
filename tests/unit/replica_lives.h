/* Nodes that are put back, copied or away for long: copies of files, and the handshake as the conversation leads it. */
#ifndef TESTS_REPLICA_LIVES_H
#define TESTS_REPLICA_LIVES_H

#include "replica_steps.h"

/* ---- copies of a node's file ---- */

static inline void copied(const char *from, const char *to)
{
    sqlite3 *a, *b;
    sqlite3_backup *copy;

    assert_int_equal(sqlite3_open(from, &a), SQLITE_OK);
    assert_int_equal(sqlite3_open(to, &b), SQLITE_OK);
    copy = sqlite3_backup_init(b, "main", a, "main");
    assert_non_null(copy);
    assert_int_equal(sqlite3_backup_step(copy, -1), SQLITE_DONE);
    sqlite3_backup_finish(copy);
    sqlite3_close(b);
    sqlite3_close(a);
}

static inline void reopened(struct pair *p, struct fixture *f)
{
    pair_random(p, f->config.random);
    fixture_open(f);
    fixture_program(f);
}

static inline void shut(struct fixture *f)
{
    sqlite3_close(f->program);
    f->program = NULL;
    fixture_close(f);
}

/* Outside the folder, which fixture_end() takes away. */
static inline const char *backup_path(struct fixture *f, char out[128])
{
    snprintf(out, 128, "%s.backup", f->folder);
    return out;
}

static inline void back_up(struct fixture *f)
{
    char path[128];

    unlink(backup_path(f, path));
    copied(f->path, path);
}

/* The backup is gone afterwards. */
static inline void put_back(struct pair *p, struct fixture *f)
{
    char path[128];

    shut(f);
    unlink(f->path);
    copied(backup_path(f, path), f->path);
    unlink(path);
    reopened(p, f);
}

/* A second machine with the folder of @f. */
static inline struct fixture *cloned(struct pair *p, struct fixture *f)
{
    struct fixture *c = fixture_folder();

    copied(f->path, c->path);
    c->config.role = f->config.role;
    reopened(p, c);
    return c;
}

/* ---- the handshake as the conversation leads it ---- */

static int64_t measured_ms; /* the offset of the site's clock that its handshakes find */

struct hands {
    int verdicts[8], count;
    struct perche_prove_reply last; /* its pointers are gone */
};

static inline struct hands shake_from(struct pair *p, struct fixture *site, const char *address)
{
    struct hands h = {0};
    uint64_t mark = 0;
    bool again = true;

    harvest_here(p, site);
    while (again && h.count < 8) {
        struct work w = pair_work(WORK_PROVE_BUILD, NULL);
        struct outcome o;

        w.asof_lsn = mark;
        o = pair_do(p, site, w);
        w = pair_work(WORK_PROVE_JUDGE, site);
        w.message = pair_line(&o);
        w.session = ++p->drawn;
        w.args = strdup(address);
        o = pair_do(p, p->hub, w);
        w = pair_work(WORK_PROVED, NULL);
        w.offset_ms = measured_ms;
        w.message = pair_line(&o);
        assert_false(w.message.refused);
        h.last = w.message.u.prove_reply;
        h.verdicts[h.count++] = h.last.verdict;
        again = h.last.verdict == PERCHE_RESTORED;
        o = pair_try(p, site, &w);
        if (h.last.verdict == PERCHE_TWO_MACHINES)
            assert_int_equal(o.rc, PERCHE_STATE);
        else if (o.rc != PERCHE_OK)
            fixture_fail("proved", o.err.text, "");
        mark = o.asof_lsn;
        outcome_free(&o);
    }
    return h;
}

static inline struct hands shake(struct pair *p, struct fixture *site)
{
    return shake_from(p, site, "");
}

#define VERDICTS(h, ...)                                                                          \
    do {                                                                                          \
        static const int wanted[] = {__VA_ARGS__};                                                \
        struct hands got = (h);                                                                   \
                                                                                                  \
        assert_int_equal(got.count, sizeof wanted / sizeof wanted[0]);                            \
        for (int v = 0; v < got.count; v++)                                                       \
            assert_int_equal(got.verdicts[v], wanted[v]);                                         \
    } while (0)

/* As after any handshake: all of one's own first, then pulls. */
static inline void settled(struct pair *p, struct fixture *site)
{
    struct state s;

    pair_push(p, site);
    s = state_of(p, site);
    assert_false(s.must);
    pair_sync(p, site);
}

static inline void all_equal(struct pair *p)
{
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < PAIR_SITES; i++)
            pair_sync(p, p->sites[i]);
    for (int i = 0; i < PAIR_SITES; i++)
        equal(p, p->sites[i]);
}

#endif
