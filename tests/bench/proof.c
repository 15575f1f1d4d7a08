/* What it costs to prove that two nodes hold the same rows, and to find and mend ten that differ: the messages of the
 * conversation between the two replicas that the load has left, counted as they would go over the line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "replica/apply.h"

struct talk {
    struct replica *hub, *site;
    double bytes;
    uint32_t trips;
};

static struct replica *open_of(const struct bench_node *n, enum replica_role role)
{
    struct replica_config config = {.path = n->db, .role = role, .name = n->name, .now_ms = (uint64_t)time(NULL) * 1000, .random = {1}};
    struct perche_err err;
    struct replica *r;

    if (replica_open(&config, &r, &err) != PERCHE_OK)
        die("%s: %s", n->db, err.text);
    return r;
}

static struct outcome work(struct replica *r, struct work w)
{
    struct outcome o;

    w.now_ms = (uint64_t)time(NULL) * 1000;
    w.random[0] = 1;
    replica_perform(r, &w, &o, 1);
    if (o.rc != PERCHE_OK)
        die("%s: %s", work_name(w.kind), o.err.text);
    work_free(&w);
    return o;
}

/* The outcome's message, through its bytes. */
static struct perche_message sent(struct talk *t, struct outcome *o)
{
    struct perche_message m;
    struct perche_buf buf = {0};

    if (perche_message_encode(&o->message, &buf, NULL) != PERCHE_OK ||
        perche_message_decode((struct perche_bytes){buf.p, (uint32_t)buf.n}, &m, NULL) != PERCHE_OK)
        die("%s: its message cannot be sent", work_name(o->kind));
    t->bytes += (double)buf.n;
    perche_buf_free(&buf);
    outcome_free(o);
    return m;
}

/* One question of the site and the hub's answer. */
static struct perche_message ask(struct talk *t, struct outcome *question, enum work_kind answer, struct perche_message *kept)
{
    struct work w = {.kind = answer, .bytes_max = 1u << 20};
    struct outcome o;

    (void)snprintf(w.site, sizeof w.site, "%s", replica_site_id(t->site));
    w.message = sent(t, question);
    if (kept != NULL) {
        struct perche_buf buf = {0};

        if (perche_message_encode(&w.message, &buf, NULL) != PERCHE_OK ||
            perche_message_decode((struct perche_bytes){buf.p, (uint32_t)buf.n}, kept, NULL) != PERCHE_OK)
            die("a question cannot be kept");
        perche_buf_free(&buf);
    }
    o = work(t->hub, w);
    t->trips++;
    return sent(t, &o);
}

/* A whole comparison, with the repair at its end. True: equal at once. */
static bool compare(struct talk *t)
{
    struct perche_message above = {0}, question = {0};

    for (uint32_t level = 0;; level++) {
        struct work w = {.kind = WORK_DIGEST_BUILD, .level = level, .message = above};
        struct outcome o = work(t->site, w);
        struct work take = {.kind = WORK_DIGEST_TAKE};
        int answer;

        if (!o.comparable)
            die("the site is not at rest");
        take.level = level = o.message.u.digest.level; /* the parts may be left out */
        above = ask(t, &o, WORK_DIGEST_ANSWER, level == PERCHE_LEVEL_ROWS ? &question : NULL);
        answer = above.u.digest_reply.answer;
        if (answer == PERCHE_LATER)
            die("the hub is not at rest");
        if (answer == PERCHE_DIFFERS && level < PERCHE_LEVEL_ROWS)
            continue;
        if (answer == PERCHE_DIFFERS) {
            struct work repair = {.kind = WORK_REPAIR, .message = question};

            (void)snprintf(repair.site, sizeof repair.site, "%s", replica_site_id(t->site));
            o = work(t->hub, repair);
            outcome_free(&o);
        }
        take.message = above;
        o = work(t->site, take);
        outcome_free(&o);
        return answer == PERCHE_EQUAL && level == 0;
    }
}

static void pull(struct talk *t)
{
    bool more = true;

    while (more) {
        struct outcome o = work(t->site, (struct work){.kind = WORK_PULL_BUILD});
        struct work apply = {.kind = WORK_PULL_APPLY};

        apply.message = ask(t, &o, WORK_PULL_ANSWER, NULL);
        more = apply.message.u.pull_reply.more;
        o = work(t->site, apply);
        outcome_free(&o);
    }
}

/* Loses every @every-th row at the site without deleting it, as a bug or a lost page would. */
static uint32_t lose(struct replica *r, uint64_t every)
{
    struct { uint8_t key[PERCHE_KEY_BYTES_MAX]; uint32_t n; } keys[10];
    sqlite3_stmt *s;
    uint32_t count = 0;
    struct table *t;

    if (tx_begin(r, true) != PERCHE_OK || applying_begin(r) != PERCHE_OK)
        die("the site's file: %s", r->fail_err.text);
    t = registry_table(r, "bench");
    if (t == NULL || sqlite3_prepare_v2(r->db, "SELECT key FROM (SELECT key, row_number() OVER (ORDER BY key) AS n FROM perche_row WHERE tab = ?1)"
                                               " WHERE n % ?2 = 0 LIMIT 10", -1, &s, NULL) != SQLITE_OK)
        die("%s", sqlite3_errmsg(r->db));
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)every);
    while (sqlite3_step(s) == SQLITE_ROW) {
        keys[count].n = (uint32_t)sqlite3_column_bytes(s, 0);
        memcpy(keys[count].key, sqlite3_column_blob(s, 0), keys[count].n);
        count++;
    }
    sqlite3_finalize(s);
    for (uint32_t i = 0; i < count; i++) {
        struct meta m;

        if (meta_load(r, t, (struct perche_bytes){keys[i].key, keys[i].n}, &m) != PERCHE_OK || row_drop(r, &m) != PERCHE_OK)
            die("%s", r->fail_err.text);
        meta_clear(&m);
    }
    if (applying_end(r) != PERCHE_OK || tx_commit(r) != PERCHE_OK)
        die("%s", r->fail_err.text);
    return count;
}

void bench_proof(const struct bench_node *hub, const struct bench_node *site, uint64_t rows)
{
    struct talk t = {.hub = open_of(hub, REPLICA_HUB), .site = open_of(site, REPLICA_SITE)};
    double began;

    pull(&t); /* whatever is still on its way */
    t.bytes = t.trips = 0;
    began = now_s();
    if (!compare(&t))
        die("hub and site differ after the load");
    remark("%llu rows compared in %.1f ms", (unsigned long long)rows, (now_s() - began) * 1000);
    figure("proof that hub and site hold the same rows: bytes, both ways", t.bytes, "B", 1024, true);
    figure("proof that hub and site hold the same rows: round trips", t.trips, "", 1, true);
    if (lose(t.site, rows / 10) != 10)
        die("there were no ten rows to lose");
    t.bytes = t.trips = 0;
    if (compare(&t))
        die("ten lost rows were not found");
    pull(&t);
    figure("ten rows that differ, found and mended: bytes, both ways", t.bytes, "B", 65536, true);
    figure("ten rows that differ, found and mended: round trips", t.trips, "", -1, false);
    if (!compare(&t))
        die("hub and site differ after the repair");
    replica_free(t.site);
    replica_free(t.hub);
}
