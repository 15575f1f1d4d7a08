#include "replica/query.h"
#include "replica/pack.h"
#include "replica/statements.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- state, tables -------------------------------------------------------------------- */

static void number(struct json *j, const char *name, uint64_t v)
{
    out_key(j, name);
    out_int(j, (int64_t)v);
}

static void text(struct json *j, const char *name, const char *v)
{
    out_key(j, name);
    out_text(j, v);
}

static void time_ms(struct json *j, const char *name, uint64_t ms)
{
    out_key(j, name);
    out_time(j, ms);
}

static void boolean(struct json *j, const char *name, bool v)
{
    out_key(j, name);
    out_bool(j, v);
}

static enum perche_rc query_state(struct replica *r, struct args *a, struct json *j)
{
    struct state s;
    char epoch[24];

    (void)a;
    state_fill(r, &s);
    (void)snprintf(epoch, sizeof epoch, "%" PRIu64, s.epoch);
    text(j, "role", r->hub ? "hub" : "site");
    text(j, "id", r->node.site);
    text(j, "name", r->node.name);
    text(j, "hub", *r->node.hub != '\0' ? r->node.hub : NULL);
    text(j, "epoch", epoch);
    number(j, "lsn", s.lsn);
    number(j, "acked", s.acked);
    number(j, "full", s.full);
    number(j, "scan", s.scan);
    number(j, "done", s.done);
    number(j, "pending", s.pending);
    number(j, "captured", (uint64_t)ask_number(r, "SELECT count(*) FROM perche_capture", 0, NULL));
    number(j, "conflicts_open", s.conflicts_open);
    number(j, "parked", s.parked);
    number(j, "held", (uint64_t)ask_number(r, "SELECT count(*) FROM perche_held", 0, NULL));
    number(j, "refused", (uint64_t)ask_number(r, "SELECT count(*) FROM perche_refused", 0, NULL));
    number(j, "schema", s.schema);
    time_ms(j, "joined_at", r->node.joined_ms);
    time_ms(j, "proven_equal_at", s.proven_ms);
    out_key(j, "clock_offset_ms");
    out_int(j, r->node.offset_ms);
    return r->fail;
}

static enum perche_rc table_columns(struct replica *r, const struct table *t, struct json *j)
{
    sqlite3_stmt *s = ask(
        r,
        "SELECT col, num, policy, level, on_erase, code_list, refers, taken_with FROM perche_column WHERE tab = ?1 ORDER BY num = 0 DESC, num, col");

    ask_bind_text(s, 1, t->name);
    out_key(j, "columns");
    out_open(j, '[');
    while (ask_row(r, s, "read the columns")) {
        static const char *const names[] = {"policy",    "level",  "on_erase",
                                            "code_list", "refers", "taken_with"};

        out_open(j, '{');
        text(j, "name", ask_text(s, 0));
        boolean(j, "key", sqlite3_column_int(s, 1) == 0);
        for (int i = 0; i < 6; i++)
            text(j, names[i], (const char *)sqlite3_column_text(s, i + 2));
        out_close(j, '}');
    }
    out_close(j, ']');
    sqlite3_finalize(s);
    return r->fail;
}

static enum perche_rc query_tables(struct replica *r, struct args *a, struct json *j)
{
    struct table *t;

    (void)a;
    out_key(j, "tables");
    out_open(j, '[');
    for (uint32_t i = 0; (t = registry_at(r, i)) != NULL && r->fail == PERCHE_OK; i++) {
        sqlite3_stmt *s;

        if (t->is_system)
            continue;
        out_open(j, '{');
        text(j, "table", t->name);
        number(j, "rows",
               (uint64_t)ask_number(
                   r, "SELECT coalesce(sum(rows), 0) FROM perche_digest WHERE tab = ?1", t->num,
                   NULL));
        boolean(j, "present", t->present);
        boolean(j, "school", registry_is_school(t->name));
        s = ask(r, "SELECT rule, area, mover, policy FROM perche_table WHERE name = ?1");
        ask_bind_text(s, 1, t->name);
        if (ask_row(r, s, "read the registry")) {
            text(j, "rule", ask_text(s, 0));
            text(j, "area", (const char *)sqlite3_column_text(s, 1));
            text(j, "mover", ask_text(s, 2));
            text(j, "policy", ask_text(s, 3));
        }
        sqlite3_finalize(s);
        (void)table_columns(r, t, j);
        out_close(j, '}');
    }
    out_close(j, ']');
    return r->fail;
}

/* ---- conflicts --------------------------------------------------------------------------- */

#define CONFLICT_COLUMNS \
    "id, kind, tab, key, col, state, a_value, a_site, a_at, b_value, b_site, b_at, value, resolved_by, resolved_at, reason"

/* Three values of a conflict go into what a list leaves for its last entry (out_full). */
#define CONFLICT_VALUE_MOST (JSON_BYTES_MAX / 2 / 3 - 10000)
#define REFUSED_IMAGE_MOST  (JSON_BYTES_MAX / 2 - 10000)

static void value(struct replica *r, struct json *j, const char *name, sqlite3_stmt *s, int column, size_t most)
{
    struct perche_value v;

    column_read(r, s, column, &v);
    out_bounded(j, name, &v, most);
}

static void write_side(struct replica *r, struct json *j, struct ask_sites *sites, const char *name,
                       sqlite3_stmt *s, int column)
{
    const char *site = (const char *)sqlite3_column_text(s, column + 1);

    out_key(j, name);
    out_open(j, '{');
    value(r, j, "value", s, column, CONFLICT_VALUE_MOST);
    text(j, "site", ask_site(r, sites, site));
    text(j, "site_id", site);
    time_ms(j, "at", (uint64_t)sqlite3_column_int64(s, column + 2));
    out_close(j, '}');
}

static void write_row(struct replica *r, struct json *j, sqlite3_stmt *s)
{
    char *key = strdup(ask_text(s, 3));
    struct table *t = registry_table(r, ask_text(s, 2));
    uint8_t encoded[PERCHE_KEY_BYTES_MAX];
    uint32_t n;

    out_key(j, "row");
    if (key != NULL && ask_number(r, "SELECT json_valid(?2) AND ?1", 1, key))
        out_raw(j, key);
    else
        out_text(j, key);
    out_key(j, "label");
    if (key != NULL && t != NULL && t->present && ask_key_parse(r, t, key, encoded, &n))
        ask_label(r, j, t, (struct perche_bytes){encoded, n});
    else
        out_null(j);
    free(key);
}

static void write_conflict(struct replica *r, struct json *j, struct ask_sites *sites,
                           sqlite3_stmt *s)
{
    bool settled = strcmp(ask_text(s, 5), "open") != 0;

    out_open(j, '{');
    text(j, "id", ask_text(s, 0));
    text(j, "kind", ask_text(s, 1));
    text(j, "table", ask_text(s, 2));
    write_row(r, j, s);
    text(j, "column", ask_text(s, 4));
    text(j, "state", ask_text(s, 5));
    write_side(r, j, sites, "a", s, 6);
    write_side(r, j, sites, "b", s, 9);
    out_key(j, "resolved");
    if (settled) {
        out_open(j, '{');
        value(r, j, "value", s, 12, CONFLICT_VALUE_MOST);
        text(j, "by", (const char *)sqlite3_column_text(s, 13));
        time_ms(j, "at", (uint64_t)sqlite3_column_int64(s, 14));
        text(j, "reason", (const char *)sqlite3_column_text(s, 15));
        out_close(j, '}');
    } else {
        out_null(j);
    }
    if (sqlite3_column_count(s) >
        16) /* how many of this cell are open: the queue shows the cell once */
        number(j, "open", (uint64_t)sqlite3_column_int64(s, 16));
    out_close(j, '}');
}

/* The row that argument "row" names, as perche_conflict.key has it: NULL = none is named, or r->fail. malloc. */
static char *only_row(struct replica *r, struct args *a, struct table *t)
{
    struct arg row = args_find(r, a, "row");
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    struct perche_bytes encoded = {.p = key};

    if (row.kind == 0 || row.kind == 'n' || r->fail != PERCHE_OK)
        return NULL;
    if (t == NULL) {
        (void)fail(r, PERCHE_USAGE, "a row is one of a table: say which");
        return NULL;
    }
    return ask_key(r, a, "row", t, key, &encoded.n) == PERCHE_OK ? ask_key_json(r, encoded) : NULL;
}

static enum perche_rc query_conflicts(struct replica *r, struct args *a, struct json *j)
{
    struct ask_sites sites = {0};
    bool more = false, all = args_true(r, a, "all");
    struct arg only = args_find(r, a, "table");
    struct table *t = only.kind != 0 && only.kind != 'n' ? ask_table(r, a) : NULL;
    char *key = only_row(r, a, t);
    sqlite3_stmt *s = r->fail != PERCHE_OK ? NULL :
        ask(r, all ? "SELECT " CONFLICT_COLUMNS
                     " FROM perche_conflict WHERE (?1 IS NULL OR tab = ?1) AND (?2 IS NULL OR key = ?2) ORDER BY max(a_at, b_at), tab, key, col, id"
                   : "SELECT " CONFLICT_COLUMNS
                     ", count(*), max(b_at) FROM perche_conflict WHERE state = 'open' AND (?1 IS NULL OR tab = ?1) AND (?2 IS NULL OR key = ?2)"
                     " GROUP BY tab, key, col ORDER BY 18, tab, key, col");

    if (t != NULL)
        ask_bind_text(s, 1, t->name);
    ask_bind_text(s, 2, key);

    out_key(j, "conflicts");
    out_open(j, '[');
    while (!more && ask_row(r, s, "read the conflicts")) {
        more = out_full(j);
        if (!more)
            write_conflict(r, j, &sites, s);
    }
    out_close(j, ']');
    boolean(j, "more", more);
    sqlite3_finalize(s);
    free(key);
    return r->fail;
}

static enum perche_rc query_conflict(struct replica *r, struct args *a, struct json *j)
{
    struct ask_sites sites = {0};
    char id[PERCHE_ID_BYTES_MAX];
    sqlite3_stmt *s;
    bool found;

    if (args_need(r, a, "id", id, sizeof id) != PERCHE_OK)
        return r->fail;
    if (strlen(id) < ASK_PREFIX_MIN)
        return fail(r, PERCHE_USAGE, "give at least %d characters of the conflict's id",
                    ASK_PREFIX_MIN);
    s = ask(
        r,
        "SELECT " CONFLICT_COLUMNS
        " FROM perche_conflict WHERE substr(id, 1, length(?1)) = ?1 ORDER BY state <> 'open', id LIMIT 2");
    ask_bind_text(s, 1, id);
    found = ask_row(r, s, "look for a conflict");
    if (found) {
        bool open = strcmp(ask_text(s, 5), "open") == 0;

        out_key(j, "conflict");
        write_conflict(r, j, &sites, s);
        if (ask_row(r, s, "look for a conflict") && (!open || strcmp(ask_text(s, 5), "open") == 0))
            (void)fail(r, PERCHE_USAGE, "several conflicts begin like that: give more of the id");
    }
    sqlite3_finalize(s);
    return found || r->fail != PERCHE_OK
               ? r->fail
               : fail(r, PERCHE_NOT_FOUND, "there is no such conflict here");
}

/* ---- refused ------------------------------------------------------------------------------- */

static enum perche_rc query_refused(struct replica *r, struct args *a, struct json *j)
{
    int64_t limit = args_number(r, a, "limit", 1000), n = 0;
    bool more = false;
    sqlite3_stmt *s = ask(
        r,
        "SELECT n, at_ms, tab, key, columns, reason, image FROM perche_refused ORDER BY n DESC LIMIT ?1");

    if (s != NULL)
        sqlite3_bind_int64(s, 1, limit < 0 || limit == INT64_MAX ? -1 : limit + 1);
    out_key(j, "refused");
    out_open(j, '[');
    while (!more && ask_row(r, s, "read what was refused")) {
        more = n++ == limit || out_full(j);
        if (more)
            break;
        out_open(j, '{');
        number(j, "n", (uint64_t)sqlite3_column_int64(s, 0));
        time_ms(j, "at", (uint64_t)sqlite3_column_int64(s, 1));
        text(j, "table", ask_text(s, 2));
        text(j, "row", ask_text(s, 3));
        text(j, "columns", ask_text(s, 4));
        text(j, "reason", ask_text(s, 5));
        value(r, j, "image", s, 6, REFUSED_IMAGE_MOST);
        out_close(j, '}');
    }
    out_close(j, ']');
    boolean(j, "more", more);
    sqlite3_finalize(s);
    return r->fail;
}

/* ---- members --------------------------------------------------------------------------------- */

#define BEHIND_LOOKED_MAX 20000    /* index entries of a site; beyond, each further one counts as a row */
#define BEHIND_STEPS_MAX  4000000u /* index entries of all sites together: some seconds ... */
#define BEHIND_STEPS_MIN  1000u    /* ... and of each at least; what is beyond is not counted */

/* Rows that the site would be sent: of its scopes, above its position, and not what it sent itself. @more: there are more than
 * the *steps allow, which are taken from. */
static uint64_t behind(struct replica *r, int64_t site, uint64_t scan, uint64_t *steps, bool *more)
{
    sqlite3_stmt *s = ask(
        r,
        "SELECT r.tab, r.key, " META_COLUMNS " FROM (SELECT num AS held FROM perche_name WHERE text = '*' UNION"
        " SELECT scope FROM perche_scope_site WHERE site = ?1) CROSS JOIN perche_row r INDEXED BY perche_row_scope"
        " WHERE r.scope = held AND r.lsn > ?2");
    uint64_t n = 0, looked = 0;

    if (s != NULL) {
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)scan);
    }
    while (ask_row(r, s, "count the rows that wait")) {
        struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 0));
        struct meta m;

        *more = looked >= BEHIND_STEPS_MIN && looked >= *steps;
        if (*more)
            break;
        if (looked++ >= BEHIND_LOOKED_MAX) {
            n++;
            continue;
        }
        if (t == NULL || meta_unpack(r, t, s, 2, &m) != PERCHE_OK)
            continue;
        n += pull_would_send(r, (uint32_t)site, &m, scan);
        meta_clear(&m);
    }
    sqlite3_finalize(s);
    *steps -= looked < *steps ? looked : *steps;
    return n;
}

static enum perche_rc members(struct replica *r, struct json *j, bool contract)
{
    uint64_t steps = BEHIND_STEPS_MAX;
    sqlite3_stmt *s;

    if (!r->hub)
        return fail(r, PERCHE_STATE, "only the hub knows the sites");
    s = ask(
        r,
        "SELECT m.site, m.name, m.code, m.joined_ms, m.revoked_ms, m.invited_ms, m.host, p.site, p.have, p.scan, p.done, p.pending,"
        " p.contact_ms, p.proven_ms, p.offset_ms, p.version, EXISTS (SELECT 1 FROM perche_invitation i WHERE i.site = m.site AND i.used_ms IS NULL),"
        " p.address, p.held_ms, p.held_address, p.recovery, p.retired_ms, p.returns, m.left_ms, coalesce(c.n, 0)"
        " FROM perche_member m LEFT JOIN perche_name n ON n.text = m.site LEFT JOIN perche_peer p ON p.site = n.num"
        " LEFT JOIN (SELECT site, count(*) AS n FROM" /* open conflicts of what was written there: in one walk for all */
        " (SELECT a_site AS site FROM perche_conflict WHERE state = 'open'"
        " UNION ALL SELECT b_site FROM perche_conflict WHERE state = 'open' AND b_site <> a_site) GROUP BY site) c ON c.site = m.site"
        " ORDER BY m.name, m.site");
    out_key(j, contract ? "sites" : "members");
    out_open(j, '[');
    while (ask_row(r, s, "read the members")) {
        bool left = sqlite3_column_int64(s, 23) != 0, more = false;
        bool member = sqlite3_column_int64(s, 3) != 0 && !left; /* for others nothing waits */
        uint64_t waits = member ? behind(r, sqlite3_column_int64(s, 7), (uint64_t)sqlite3_column_int64(s, 9), &steps, &more) : 0;

        out_open(j, '{');
        text(j, contract ? "id" : "site", ask_text(s, 0));
        text(j, "name", ask_text(s, 1));
        text(j, "code", ask_text(s, 2));
        time_ms(j, contract ? "joined_at" : "joined", (uint64_t)sqlite3_column_int64(s, 3));
        time_ms(j, contract ? "revoked_at" : "revoked", (uint64_t)sqlite3_column_int64(s, 4));
        time_ms(j, contract ? "left_at" : "left", (uint64_t)sqlite3_column_int64(s, 23));
        time_ms(j, "invited_at", (uint64_t)sqlite3_column_int64(s, 5));
        boolean(j, "invited", sqlite3_column_int(s, 16) != 0);
        text(j, "host", (const char *)sqlite3_column_text(s, 6));
        number(j, "have", (uint64_t)sqlite3_column_int64(s, 8));
        number(j, "scan", (uint64_t)sqlite3_column_int64(s, 9));
        number(j, "done", (uint64_t)sqlite3_column_int64(s, 10));
        number(j, "pending", (uint64_t)sqlite3_column_int64(s, 11));
        number(j, "behind", waits);
        boolean(j, "behind_more", more);
        number(j, "conflicts_open", (uint64_t)sqlite3_column_int64(s, 24));
        if (contract) {
            text(j, "state",
                 sqlite3_column_int64(s, 3) == 0    ? "unjoined"
                 : sqlite3_column_int64(s, 4) != 0  ? "refused"
                 : left                             ? "unjoined"
                 : sqlite3_column_int64(s, 18) != 0 ? "held"
                                                    : "offline");
            text(j, "address", *ask_text(s, 17) != '\0' ? ask_text(s, 17) : NULL);
            time_ms(j, "held_at", (uint64_t)sqlite3_column_int64(s, 18));
            text(j, "second_address", *ask_text(s, 19) != '\0' ? ask_text(s, 19) : NULL);
            text(j, "recovery", sqlite3_column_int(s, 20) == 1 ? "shows" : sqlite3_column_int(s, 20) == 2 ? "claims" : NULL);
            time_ms(j, "retired_at", (uint64_t)sqlite3_column_int64(s, 21));
            boolean(j, "returning", sqlite3_column_int(s, 22) != 0);
            time_ms(j, "last_contact", (uint64_t)sqlite3_column_int64(s, 12));
            time_ms(j, "proven_equal_at", (uint64_t)sqlite3_column_int64(s, 13));
            out_key(j, "clock_offset_ms");
            out_int(j, sqlite3_column_int64(s, 14));
        } else {
            number(j, "contact_ms", (uint64_t)sqlite3_column_int64(s, 12));
            number(j, "proven_ms", (uint64_t)sqlite3_column_int64(s, 13));
            out_key(j, "offset_ms");
            out_int(j, sqlite3_column_int64(s, 14));
        }
        text(j, "version", *ask_text(s, 15) != '\0' ? ask_text(s, 15) : NULL);
        out_close(j, '}');
    }
    out_close(j, ']');
    sqlite3_finalize(s);
    return r->fail;
}

static enum perche_rc query_members(struct replica *r, struct args *a, struct json *j)
{
    (void)a;
    return members(r, j, false);
}

/* The same under the names of `perche sites`; who runs the line puts its state in. */
static enum perche_rc query_sites(struct replica *r, struct args *a, struct json *j)
{
    (void)a;
    return members(r, j, true);
}

static enum perche_rc query_sites_count(struct replica *r, struct args *a, struct json *j)
{
    (void)a;
    number(j, "sites", (uint64_t)ask_number(r, "SELECT count(*) FROM perche_member", 0, NULL));
    return r->fail;
}

/* ---- which -------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    query_cb run;
} queries[] = {
    {"state", query_state},       {"tables", query_tables},   {"list", query_list},
    {"show", query_show},         {"history", query_history}, {"conflicts", query_conflicts},
    {"conflict", query_conflict}, {"verify", query_verify},   {"warnings", query_warnings},
    {"members", query_members},   {"sites", query_sites},     {"refused", query_refused},
    {"held", query_held},         {"may_join", query_may_join}, {"sites_count", query_sites_count},
};

static query_cb find(const struct replica *r, const char *name)
{
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        if (strcmp(queries[i].name, name) == 0)
            return queries[i].run;
    for (size_t i = 0; i < r->config.questions_count; i++)
        if (strcmp(r->config.questions[i].name, name) == 0)
            return r->config.questions[i].run;
    return NULL;
}

enum perche_rc query(struct replica *r, const struct work *w, struct outcome *o)
{
    struct args a = {0};
    struct json j = {0};
    query_cb run = find(r, w->name);
    enum perche_rc rc;

    if (run == NULL)
        return fail(r, PERCHE_USAGE, "there is no question %s", w->name);
    rc = args_parse(r, w->args, &a);
    out_open(&j, '{');
    if (rc == PERCHE_OK)
        rc = run(r, &a, &j);
    out_close(&j, '}');
    if (rc == PERCHE_OK)
        rc = json_done(r, &j, o);
    out_free(&j);
    args_free(&a);
    return rc;
}
