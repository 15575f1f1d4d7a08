/* A hub and sites that have joined it, and the works of the conversation by hand.
 * Messages go through their bytes, as on the line. */
#ifndef TESTS_REPLICA_PAIR_H
#define TESTS_REPLICA_PAIR_H

#include "replica_fixture.h"

#include "sync/work.h"

#define PAIR_SITES 2

struct pair {
    struct fixture *hub, *sites[PAIR_SITES];
    uint64_t now;
    uint32_t drawn; /* works so far: each has other random bytes */
};

static inline void pair_random(struct pair *p, uint8_t random[32])
{
    p->drawn++;
    for (int i = 0; i < 32; i++)
        random[i] = (uint8_t)(p->drawn * 31 + (uint32_t)i * 7 + (p->drawn >> 3) * 13);
}

/* Carries out one work; it is freed, the outcome is the caller's. */
static inline struct outcome pair_try(struct pair *p, struct fixture *f, struct work *w)
{
    struct outcome o;

    w->now_ms = p->now;
    pair_random(p, w->random);
    replica_perform(f->r, w, &o, 1);
    work_free(w);
    return o;
}

static inline struct outcome pair_do(struct pair *p, struct fixture *f, struct work w)
{
    enum work_kind kind = w.kind;
    const char *name = w.name;
    struct outcome o = pair_try(p, f, &w);

    if (o.rc != PERCHE_OK)
        fixture_fail(work_name(kind), o.err.text, name != NULL ? name : "");
    return o;
}

/* The same on a reader, as the daemon has them: open as long as the replica is. */
static inline struct outcome pair_read_try(struct pair *p, struct fixture *f, struct work w)
{
    struct replica *writer = f->r;
    struct outcome o;

    if (f->reader == NULL && replica_open_reader(&f->config, &f->reader, &f->err) != PERCHE_OK)
        fixture_fail("replica_open_reader", f->err.text, f->path);
    f->r = f->reader;
    o = pair_try(p, f, &w);
    f->r = writer;
    return o;
}

static inline struct outcome pair_read(struct pair *p, struct fixture *f, struct work w)
{
    enum work_kind kind = w.kind;
    const char *name = w.name;
    struct outcome o = pair_read_try(p, f, w);

    if (o.rc != PERCHE_OK)
        fixture_fail(work_name(kind), o.err.text, name != NULL ? name : "");
    return o;
}

/* Takes the message out of an outcome, through its bytes. */
static inline struct perche_message pair_line(struct outcome *o)
{
    struct perche_buf buf = {0};
    struct perche_message m = {0};
    struct perche_err err = {0};

    if (perche_message_encode(&o->message, &buf, &err) != PERCHE_OK ||
        perche_message_decode((struct perche_bytes){buf.p, (uint32_t)buf.n}, &m, &err) != PERCHE_OK)
        fixture_fail("message", err.text, work_name(o->kind));
    perche_buf_free(&buf);
    outcome_free(o);
    return m;
}

static inline struct work pair_work(enum work_kind kind, struct fixture *about)
{
    struct work w = {.kind = kind};

    if (about != NULL)
        snprintf(w.site, sizeof w.site, "%s", replica_site_id(about->r));
    return w;
}

static inline struct work pair_args(enum work_kind kind, const char *name, const char *args)
{
    struct work w = {.kind = kind, .name = name, .args = strdup(args)};

    return w;
}

/* WORK_QUERY on a reader: the document, free() ends it. */
static inline char *pair_query(struct pair *p, struct fixture *f, const char *name,
                               const char *args)
{
    struct outcome o = pair_read(p, f, pair_args(WORK_QUERY, name, args));
    char *json = o.json;

    assert_non_null(json);
    o.json = NULL;
    outcome_free(&o);
    return json;
}

static inline char *pair_command(struct pair *p, struct fixture *f, const char *name,
                                 const char *args)
{
    struct outcome o = pair_do(p, f, pair_args(WORK_COMMAND, name, args));
    char *json = o.json;

    assert_non_null(json);
    o.json = NULL;
    outcome_free(&o);
    return json;
}

/* A query or command that has to fail with @rc; its words are in p->hub->err. */
static inline void pair_refuses(struct pair *p, struct fixture *f, enum work_kind kind,
                                const char *name, const char *args, enum perche_rc rc)
{
    struct work w = pair_args(kind, name, args);
    struct outcome o = kind == WORK_QUERY ? pair_read_try(p, f, w) : pair_try(p, f, &w);

    f->err = o.err;
    if (o.rc != rc)
        fixture_fail(perche_rc_name(o.rc), o.err.text, args);
    assert_null(o.json);
    outcome_free(&o);
}

/* A value of a JSON document, as SQLite says it. */
static inline const char *json_at(const char *json, const char *path)
{
    static char text[8][8192];
    static int next;
    char *out = text[next++ % 8];
    sqlite3 *db;
    sqlite3_stmt *s;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, "SELECT json_extract(?1, ?2)", -1, &s, NULL) != SQLITE_OK)
        fixture_fail("json", sqlite3_errmsg(db), json);
    sqlite3_bind_text(s, 1, json, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, path, -1, SQLITE_STATIC);
    if (sqlite3_step(s) != SQLITE_ROW)
        fixture_fail("json", sqlite3_errmsg(db), json);
    snprintf(out, 8192, "%s",
             sqlite3_column_type(s, 0) == SQLITE_NULL ? "null"
                                                      : (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    sqlite3_close(db);
    return out;
}

/* `replicate` at the hub, signed as its owner would; the answer, free() ends it. */
static inline char *pair_replicate(struct pair *p, const char *args)
{
    char *json = pair_command(p, p->hub, "replicate", args), sign[200];

    snprintf(sign, sizeof sign, "{\"number\": %s, \"signature\": \"%0128d\"}", json_at(json, "$.number"), 5);
    free(pair_command(p, p->hub, "migration_signature", sign));
    return json;
}

static inline void harvest_here(struct pair *p, struct fixture *f)
{
    bool more = true;

    while (more) {
        struct outcome o = pair_do(p, f, pair_work(WORK_HARVEST, NULL));

        more = o.more;
        outcome_free(&o);
    }
}

/* Another program writes at p->now + @after_ms of its clock, and it is harvested. */
static inline void pair_edit(struct pair *p, struct fixture *f, uint64_t after_ms, const char *sql)
{
    char at[100];

    p->now += after_ms;
    program(f, sql);
    snprintf(at, sizeof at, "UPDATE perche_capture SET at = %llu", (unsigned long long)p->now);
    program(f, at);
    harvest_here(p, f);
}

/* Are there more migrations than the answer had? */
static inline bool pair_prove(struct pair *p, struct fixture *site)
{
    struct outcome o = pair_do(p, site, pair_work(WORK_PROVE_BUILD, NULL));
    struct work w = pair_work(WORK_PROVE_JUDGE, site);
    bool more;

    w.message = pair_line(&o);
    w.session = ++p->drawn;
    o = pair_do(p, p->hub, w);
    w = pair_work(WORK_PROVED, NULL);
    w.message = pair_line(&o);
    assert_false(w.message.refused);
    o = pair_do(p, site, w);
    more = o.more;
    outcome_free(&o);
    return more;
}

/* Pushes to the end; also the empty push after a pull that moves the hub's record on. */
static inline void pair_push(struct pair *p, struct fixture *site)
{
    bool more = true;

    harvest_here(p, site);
    while (more) {
        struct outcome o = pair_do(p, site, pair_work(WORK_STATE, NULL));
        struct work w = pair_work(WORK_PUSH_BUILD, NULL), apply = pair_work(WORK_PUSH_APPLY, site),
                    acked = pair_work(WORK_PUSH_ACKED, NULL);

        w.from = acked.from = o.state.acked;
        w.bytes_max = 1 << 20;
        outcome_free(&o);
        o = pair_read(p, site, w);
        more = o.more;
        apply.message = pair_line(&o);
        acked.to = apply.message.u.push.to;
        acked.asof_lsn = apply.message.u.push.asof.lsn;
        o = pair_do(p, p->hub, apply);
        acked.message = pair_line(&o);
        if (acked.message.refused)
            fixture_fail("push", acked.message.u.no.text, "");
        o = pair_do(p, site, acked);
        outcome_free(&o);
    }
}

static inline void pair_pull(struct pair *p, struct fixture *site)
{
    bool more = true;

    harvest_here(p, p->hub);
    while (more) {
        struct outcome o = pair_read(p, site, pair_work(WORK_PULL_BUILD, NULL));
        struct work w = pair_work(WORK_PULL_ANSWER, site), apply = pair_work(WORK_PULL_APPLY, NULL);

        w.message = pair_line(&o);
        w.bytes_max = 1 << 20;
        o = pair_read(p, p->hub, w);
        apply.message = pair_line(&o);
        more = apply.message.u.pull_reply.more;
        o = pair_do(p, site, apply);
        outcome_free(&o);
    }
}

static inline void pair_sync(struct pair *p, struct fixture *site)
{
    p->now += 1000;
    pair_push(p, site);
    pair_pull(p, site);
    pair_push(p, site);
    pair_pull(p, site);
}

/* Invites @name at the hub, enrols and joins the site. */
static inline void pair_join(struct pair *p, struct fixture *site, const char *name)
{
    char args[512], hub_key[65];
    char *json, *joined;
    struct work w = pair_work(WORK_ENROL, NULL);
    struct outcome o;

    snprintf(args, sizeof args, "{\"name\": \"%s\"}", name);
    json = pair_command(p, p->hub, "invite", args);
    w.message.op = PERCHE_OP_ENROL;
    w.message.u.enrol.name = "host";
    memcpy(w.message.u.enrol.public_key, site->config.signer.public_key, 32);
    for (int i = 0; i < 16; i++)
        sscanf(json_at(json, "$.invitation") + 2 * i, "%2hhx", &w.message.u.enrol.invitation[i]);
    for (int i = 0; i < 32; i++)
        sscanf(json_at(json, "$.secret") + 2 * i, "%2hhx", &w.message.u.enrol.secret[i]);
    o = pair_do(p, p->hub, w);
    assert_false(o.message.refused);
    for (int i = 0; i < 32; i++)
        snprintf(hub_key + 2 * i, 3, "%02x", p->hub->config.signer.public_key[i]);
    snprintf(args, sizeof args,
             "{\"site\": \"%s\", \"code\": \"%s\", \"name\": \"%s\", \"hub\": \"%s\", \"hub_key\": \"%s\"}",
             o.message.u.enrol_reply.site, o.message.u.enrol_reply.code,
             o.message.u.enrol_reply.name, replica_site_id(p->hub->r), hub_key);
    outcome_free(&o);
    joined = pair_command(p, site, "joined", args);
    assert_string_equal(replica_site_id(site->r), json_at(json, "$.site"));
    free(joined);
    free(json);
}

static inline struct fixture *pair_open(enum replica_role role, const char *name, uint8_t salt)
{
    struct fixture *f = fixture_folder();

    f->config.role = role;
    f->config.name = name;
    f->config.random[0] = salt;
    fixture_open(f);
    fixture_program(f);
    return f;
}

/* A hub and two sites, La Loupe and Chartres, that have joined and hold the reference data. */
static inline int pair_setup(void **state)
{
    static const char *const names[PAIR_SITES] = {"La Loupe", "Chartres"};
    struct pair *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->now = FIXTURE_NOW + 3600000;
    p->hub = pair_open(REPLICA_HUB, "hub", 1);
    harvest_here(p, p->hub);
    for (int i = 0; i < PAIR_SITES; i++) {
        p->sites[i] = pair_open(REPLICA_SITE, i == 0 ? "la-loupe" : "chartres", (uint8_t)(i + 2));
        pair_join(p, p->sites[i], names[i]);
        pair_prove(p, p->sites[i]);
        pair_sync(p, p->sites[i]);
    }
    *state = p;
    return 0;
}

static inline int pair_teardown(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < PAIR_SITES; i++)
        fixture_end(p->sites[i]);
    fixture_end(p->hub);
    free(p);
    return 0;
}

/* One question of proof at @level; the answer to the level above goes in and is freed. comparable = false: no message. */
static inline struct perche_message pair_ask_digest(struct pair *p, struct fixture *site,
                                                    uint32_t level, struct perche_message above,
                                                    bool *comparable)
{
    struct work w = pair_work(WORK_DIGEST_BUILD, NULL);
    struct perche_message m = {0};
    struct outcome o;

    w.level = level;
    w.message = above;
    o = pair_read(p, site, w);
    *comparable = o.comparable;
    if (o.comparable)
        m = pair_line(&o);
    else
        outcome_free(&o);
    return m;
}

/* A whole pass of proof, with repair at its end. Returns the answer of level 0; *level: how deep it went. */
static inline int pair_compare(struct pair *p, struct fixture *site, uint32_t *level,
                               uint64_t *repaired)
{
    struct perche_message above = {0};
    int first = 0;

    *repaired = 0;
    for (*level = 0;; ++*level) {
        struct work w = pair_work(WORK_DIGEST_ANSWER, site);
        struct perche_buf again = {0};
        bool comparable;
        struct outcome o;
        int answer;

        w.message = pair_ask_digest(p, site, *level, above, &comparable);
        if (!comparable)
            return 0;
        *level = w.message.u.digest.level; /* the parts may be left out */
        assert_int_equal(perche_message_encode(&w.message, &again, NULL),
                         PERCHE_OK); /* a repair is asked with the same */
        o = pair_read(p, p->hub, w);
        above = pair_line(&o);
        answer = above.u.digest_reply.answer;
        if (*level == 0)
            first = answer;
        w = pair_work(WORK_DIGEST_TAKE, NULL);
        w.level = *level;
        if (answer == PERCHE_DIFFERS && *level < PERCHE_LEVEL_ROWS) {
            perche_buf_free(&again);
            continue;
        }
        w.message = above;
        if (answer == PERCHE_DIFFERS) {
            struct work repair = pair_work(WORK_REPAIR, site);

            assert_int_equal(
                perche_message_decode((struct perche_bytes){again.p, (uint32_t)(again.n)},
                                      &repair.message, NULL),
                PERCHE_OK);
            o = pair_do(p, p->hub, repair);
            *repaired += o.rows;
            outcome_free(&o);
        }
        perche_buf_free(&again);
        o = pair_do(p, site, w);
        *repaired += o.rows;
        outcome_free(&o);
        return first;
    }
}

#endif
