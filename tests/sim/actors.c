/* The programs of a school: each writes its node's file with plain SQL through a
 * connection of its own, and knows nothing of Perche.
 *
 * Every value that is written has a name of its own ("w17" is write 17, and so is
 * 1000017 in an integer column), so that whoever finds it knows who wrote it, where,
 * and what that author had seen: what the file showed at that moment, and what the
 * authors of that had seen. The oracle needs no more. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

/* ---- tables ------------------------------------------------------------- */

/* Sites whose rows site ?1 holds in the area `placement`: its own, and those it reads. */
#define HELD "(SELECT ?1 UNION ALL SELECT r.site_id FROM site_reader r WHERE r.reader_id = ?1 AND r.area = 'placement')"
#define LEARNER_OF(id)                                                                                            \
    "EXISTS (SELECT 1 FROM learner l WHERE l.id = " id " AND (l.home_site_id IN " HELD                             \
    " OR EXISTS (SELECT 1 FROM enrolment e WHERE e.learner_id = l.id AND coalesce(e.exit_reason, '') <> 'TRANSFER'" \
    " AND e.site_id IN " HELD ")))"
#define CHILD(parent, column, condition)                                                                      \
    "CASE WHEN EXISTS (SELECT 1 FROM " parent " p WHERE p.id = t." column ") THEN EXISTS (SELECT 1 FROM " parent \
    " p WHERE p.id = t." column " AND " condition ") END"

#define CLUB_REVIEW false /* what perche replicate makes of a column about which nothing else is said */

const struct table_spec specs[] = {
    [T_LEARNER] = {.name = "learner", .keys = {"id"}, .weight = 22, .scope = LEARNER_OF("t.id"),
        .columns = {{"home_site_id", LINK, true, true}, {"birth_family_name", TOKEN, false, true}, {"use_family_name", TOKEN, false, false},
                    {"given_names", TOKEN, false, true}, {"call_name", TOKEN, false, false}, {"birth_date", TOKEN, false, true}}},
    [T_CONTACT] = {.name = "learner_contact", .keys = {"id"}, .weight = 12,
        .scope = "CASE WHEN EXISTS (SELECT 1 FROM learner p WHERE p.id = t.learner_id) THEN " LEARNER_OF("t.learner_id") " END",
        .columns = {{"learner_id", LINK, true, false}, {"kind", TOKEN, true, false}, {"value", TOKEN, false, false}, {"postcode", TOKEN, false, false}}},
    [T_ENROLMENT] = {.name = "enrolment", .keys = {"id"}, .weight = 12, .scope = "t.site_id IN " HELD,
        .columns = {{"learner_id", LINK, true, true}, {"site_id", LINK, true, true}, {"cohort_id", TOKEN, true, true}, {"name_at_entry", TOKEN, false, true},
                    {"planned_start", TOKEN, true, true}, {"planned_end", TOKEN, true, true}, {"actual_start", TOKEN, false, true},
                    {"bpf_trainee_type", TOKEN, false, false}, {"pay_scheme", TOKEN, false, false}}},
    [T_STATUS] = {.name = "enrolment_status_event", .keys = {"id"}, .weight = 3, .append = true, .scope = CHILD("enrolment", "enrolment_id", "p.site_id IN " HELD),
        .columns = {{"enrolment_id", LINK, true, false}, {"status", TOKEN, true, false}, {"effective_on", TOKEN, true, false}, {"recorded_at", TOKEN, true, false},
                    {"recorded_site", TOKEN, true, false}, {"note", TOKEN, false, false}}},
    [T_COHORT] = {.name = "cohort", .keys = {"id"}, .weight = 6, .scope = "t.site_id = ?1",
        .columns = {{"site_id", LINK, true, false}, {"training_id", TOKEN, true, false}, {"code", TOKEN, true, false}, {"starts_on", TOKEN, true, false},
                    {"ends_on", TOKEN, true, false}, {"capacity", NUMBER, true, true}, {"mode", TOKEN, true, false}, {"status", TOKEN, true, false}, {"rhythm", TOKEN, false, false}}},
    [T_HALF_DAY] = {.name = "half_day", .keys = {"id"}, .weight = 8, .scope = CHILD("cohort", "cohort_id", "p.site_id = ?1"),
        .columns = {{"cohort_id", LINK, true, false}, {"day", TOKEN, true, false}, {"half", TOKEN, true, false}, {"mode", TOKEN, true, false},
                    {"minutes", NUMBER, true, false}, {"module", TOKEN, false, false}, {"trainer", TOKEN, false, false}}},
    [T_ATTENDANCE] = {.name = "attendance", .keys = {"id"}, .weight = 8, .append = true, .scope = CHILD("enrolment", "enrolment_id", "p.site_id = ?1"),
        .columns = {{"enrolment_id", LINK, true, false}, {"half_day_id", TOKEN, true, false}, {"mark", TOKEN, true, false}, {"minutes", NUMBER, true, false},
                    {"proof", TOKEN, true, false}, {"recorded_at", TOKEN, true, false}, {"recorded_site", TOKEN, true, false}}},
    [T_PROJECT] = {.name = "project", .keys = {"id"}, .weight = 12, .scope = "t.site_id = ?1",
        .columns = {{"site_id", LINK, true, false}, {"title", TOKEN, true, false}, {"kind", TOKEN, true, false}, {"client_name", TOKEN, false, false},
                    {"price_cents", NUMBER, false, false}, {"delivered_url", TOKEN, false, false}}},
    [T_DECISION] = {.name = "outcome_decision", .keys = {"enrolment_id", "milestone"}, .weight = 18, .scope = CHILD("enrolment", "enrolment_id", "p.site_id IN " HELD),
        .columns = {{"situation", TOKEN, true, true}, {"observation_id", TOKEN, true, false}, {"rule", TOKEN, true, false}, {"decided_by", TOKEN, true, false},
                    {"decided_at", TOKEN, true, false}}},
    [T_OBSERVATION] = {.name = "outcome_observation", .keys = {"id"}, .weight = 3, .append = true, .scope = CHILD("enrolment", "enrolment_id", "p.site_id IN " HELD),
        .columns = {{"enrolment_id", LINK, true, false}, {"milestone", TOKEN, true, false}, {"as_of", TOKEN, true, false}, {"situation", TOKEN, true, false},
                    {"source", TOKEN, true, false}, {"recorded_at", TOKEN, true, false}, {"recorded_site", TOKEN, true, false}, {"recorded_by", TOKEN, true, false}}},
    [T_UNIT] = {.name = "housing_unit", .keys = {"id"}, .weight = 3, .scope = "t.site_id = ?1",
        .columns = {{"site_id", LINK, true, false}, {"label", TOKEN, true, false}, {"beds", NUMBER, true, false}, {"rent_cents", NUMBER, true, false}}},
    [T_LEASE] = {.name = "housing_lease", .keys = {"id"}, .weight = 5, .scope = CHILD("housing_unit", "unit_id", "p.site_id = ?1"),
        .columns = {{"unit_id", LINK, true, true}, {"enrolment_id", TOKEN, true, true}, {"starts_on", TOKEN, true, true}, {"ends_on", TOKEN, true, true},
                    {"rent_cents", NUMBER, true, true}, {"deposit_cents", NUMBER, false, true}, {"state", TOKEN, true, true}}},
    [T_CODE] = {.name = "code_list", .keys = {"list", "code"}, .weight = 8, .reference = true, .scope = "1",
        .columns = {{"label_fr", TOKEN, true, false}, {"label_en", TOKEN, false, false}, {"valid_from", TOKEN, false, false}}},
    [T_ORGANISATION] = {.name = "organisation", .keys = {"id"}, .weight = 6, .reference = true, .scope = "1",
        .columns = {{"name", TOKEN, true, false}, {"siret", TOKEN, false, false}, {"nda", TOKEN, false, false}}},
    [T_READER] = {.name = "site_reader", .keys = {"site_id", "reader_id", "area"}, .weight = 0, .reference = true, .scope = "1",
        .columns = {{"may_write", PLAIN, true, false}}},
    [T_SITE] = {.name = "site", .keys = {"id"}, .weight = 0, .reference = true, .scope = "1", .columns = {{"premises", TOKEN, false, false}}},
    [T_NETWORK] = {.name = "network", .keys = {"id"}, .weight = 0, .reference = true, .scope = "1", .columns = {{"name", PLAIN, true, false}}},
    [T_CLUB] = {.name = "club", .keys = {"id"}, .weight = 0, .scope = "t.site_id = ?1",
        .columns = {{"site_id", LINK, true, CLUB_REVIEW}, {"name", TOKEN, true, CLUB_REVIEW}, {"note", TOKEN, false, CLUB_REVIEW}}},
    [T_TRAINING] = {.name = "training", .keys = {"id"}, .weight = 0, .reference = true, .scope = "1", .columns = {{"title", PLAIN, true, false}}},
};
const int specs_count = TABLES;

static int keys_of(const struct table_spec *t)
{
    return t->keys[1] == NULL ? 1 : t->keys[2] == NULL ? 2 : 3;
}

static int columns_of(const struct table_spec *t)
{
    int n = 0;

    while (n < 10 && t->columns[n].name != NULL)
        n++;
    return n;
}

/* ---- what is known ------------------------------------------------------- */

static void bit_set(uint64_t *set, uint32_t n)
{
    set[n / 64] |= UINT64_C(1) << n % 64;
}

static void bits_add(uint64_t *set, const uint64_t *more)
{
    for (int i = 0; i < WRITES_MAX / 64; i++)
        set[i] |= more[i];
}

uint32_t writes_add(struct world *w, uint8_t node, uint32_t row, int col)
{
    struct write *x;

    if (w->writes_count + 1 >= WRITES_MAX) {
        world_fail(w, "simulator", "more than %d writes", WRITES_MAX);
        return 0;
    }
    x = &w->writes[++w->writes_count];
    memset(x, 0, sizeof *x);
    x->node = node;
    x->row = (uint16_t)row;
    x->col = (int8_t)col;
    x->at_ms = w->now_ms;
    x->value_of = w->writes_count;
    return w->writes_count;
}

int row_find(const struct world *w, int table, const char *json)
{
    for (uint32_t i = 0; i < w->rows_count; i++)
        if (w->rows[i].table == table && strcmp(w->rows[i].json, json) == 0)
            return (int)i;
    return -1;
}

static int row_note(struct world *w, int table, const char *const *key)
{
    struct row_note *r;
    char json[136];
    size_t at = 0;
    int found;

    for (int i = 0; i < keys_of(&specs[table]); i++)
        at += (size_t)snprintf(json + at, sizeof json - at, "%s\"%s\"", i ? "," : "[", key[i]);
    (void)snprintf(json + at, sizeof json - at, "]");
    found = row_find(w, table, json);
    if (found >= 0)
        return found;
    if (w->rows_count == ROWS_MAX) {
        world_fail(w, "simulator", "more than %d rows", ROWS_MAX);
        return 0;
    }
    r = &w->rows[w->rows_count];
    memset(r, 0, sizeof *r);
    r->table = (uint8_t)table;
    (void)snprintf(r->json, sizeof r->json, "%s", json);
    for (int i = 0; i < keys_of(&specs[table]); i++)
        (void)snprintf(r->key[i], sizeof r->key[i], "%s", key[i]);
    return (int)w->rows_count++;
}

/* Number of the write whose value this is, 0 = none. */
static uint32_t token_of(sqlite3_stmt *s, int column)
{
    if (sqlite3_column_type(s, column) == SQLITE_INTEGER) {
        sqlite3_int64 n = sqlite3_column_int64(s, column);

        return n > TOKEN_NUMBER && n < TOKEN_NUMBER + WRITES_MAX ? (uint32_t)(n - TOKEN_NUMBER) : 0;
    }
    if (sqlite3_column_type(s, column) == SQLITE_TEXT) {
        const char *p = (const char *)sqlite3_column_text(s, column);

        return p[0] == 'w' ? (uint32_t)strtoul(p + 1, NULL, 10) : 0;
    }
    return 0;
}

/* What the node's file shows of a row now. */
struct shown {
    bool there;
    uint32_t tokens[10];
    char texts[10][48];
    bool null[10];
};

/* It comes with a migration, or goes with an older copy. Without triggers it is the hub's own: it died before it replicated it. */
static bool has_club(struct world *w, struct node *n)
{
    sqlite3_stmt *s;

    if (n->club || !w->plan->mix.extra[EXTRA_SCHEMA])
        return n->club;
    s = program_ask(w, n, "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'club'");
    n->club = s != NULL && sqlite3_step(s) == SQLITE_ROW;
    program_done(w, n, s);
    return n->club;
}

/* A column that a program may drop: no key, no scope, no other table's. NULL: none of this table. */
static const char *loose_column(int table)
{
    return table == T_CONTACT ? "postcode" : table == T_PROJECT ? "price_cents" : NULL;
}

static bool column_lost(struct world *w, struct node *n, int table)
{
    sqlite3_stmt *s = program_ask(w, n, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)"
                                        " AND NOT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)");
    bool lost = false;

    if (s != NULL && sqlite3_bind_text(s, 1, specs[table].name, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_text(s, 2, loose_column(table), -1, SQLITE_STATIC) == SQLITE_OK)
        lost = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) != 0;
    program_done(w, n, s);
    return lost;
}

/* A column that is back is empty until the daemon has looked. */
static bool refilling(struct world *w, struct node *n, int table)
{
    sqlite3_stmt *s;
    bool waits = true;

    if (n->refilling != table + 1)
        return false;
    s = program_ask(w, n, "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 AND instr(sql, ?2) > 0)"
                          " OR EXISTS (SELECT 1 FROM perche_rescan JOIN perche_tab ON num = tab WHERE name = ?1)");
    if (s != NULL && sqlite3_bind_text(s, 1, specs[table].name, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_text(s, 2, loose_column(table), -1, SQLITE_STATIC) == SQLITE_OK)
        waits = sqlite3_step(s) != SQLITE_ROW || sqlite3_column_int(s, 0) != 0;
    program_done(w, n, s);
    if (!waits)
        n->refilling = 0;
    return waits;
}

static bool column_away(struct world *w, struct node *n, int table)
{
    return w->columns_lost && loose_column(table) != NULL && (column_lost(w, n, table) || refilling(w, n, table));
}

bool table_gone(struct world *w, struct node *n, int table)
{
    sqlite3_stmt *s;

    if (table == T_CLUB && !has_club(w, n))
        return true;
    if (column_away(w, n, table))
        return true;
    if (n->dropped == 0)
        return false;
    s = program_ask(w, n, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1");
    if (s == NULL) {
        world_fail(w, "program", "%s: %s", n->name, sqlite3_errmsg(n->db));
        return false;
    }
    sqlite3_bind_text(s, 1, specs[n->dropped - 1].name, -1, SQLITE_STATIC);
    if (sqlite3_step(s) == SQLITE_ROW) {
        STORY(w, n, "%s is there again", specs[n->dropped - 1].name);
        n->dropped = 0;
    }
    program_done(w, n, s);
    return n->dropped == table + 1;
}

static sqlite3_stmt *prepared(struct world *w, struct node *n, const char *sql)
{
    sqlite3_stmt *s = program_ask(w, n, sql);

    if (s == NULL)
        world_fail(w, "program", "%s: %s: %s", n->name, sql, sqlite3_errmsg(n->db));
    return s;
}

#define SQL_BYTES 2400

static void show_text(const struct table_spec *t, char sql[SQL_BYTES])
{
    size_t at = (size_t)snprintf(sql, SQL_BYTES, "SELECT 1");

    for (int i = 0; i < columns_of(t); i++)
        at += (size_t)snprintf(sql + at, SQL_BYTES - at, ", %s", t->columns[i].name);
    at += (size_t)snprintf(sql + at, SQL_BYTES - at, " FROM %s WHERE ", t->name);
    for (int i = 0; i < keys_of(t); i++)
        at += (size_t)snprintf(sql + at, SQL_BYTES - at, "%s%s = ?%d", i ? " AND " : "", t->keys[i], i + 1);
}

static void show(struct world *w, struct node *n, int row, struct shown *out)
{
    const struct row_note *r = &w->rows[row];
    const struct table_spec *t = &specs[r->table];
    char sql[SQL_BYTES];
    sqlite3_stmt *s;

    memset(out, 0, sizeof *out);
    if (table_gone(w, n, r->table))
        return;
    show_text(t, sql);
    s = prepared(w, n, sql);
    if (s == NULL)
        return;
    for (int i = 0; i < keys_of(t); i++)
        sqlite3_bind_text(s, i + 1, r->key[i], -1, SQLITE_STATIC);
    if (sqlite3_step(s) == SQLITE_ROW) {
        out->there = true;
        for (int i = 0; i < columns_of(t); i++) {
            out->tokens[i] = token_of(s, i + 1);
            out->null[i] = sqlite3_column_type(s, i + 1) == SQLITE_NULL;
            if (!out->null[i])
                (void)snprintf(out->texts[i], sizeof out->texts[i], "%s", (const char *)sqlite3_column_text(s, i + 1));
        }
    }
    program_done(w, n, s);
}

/* What the author of write @x sees of column @col (-1: of all of the row). */
static void see(struct world *w, struct write *x, const struct shown *shown, int col)
{
    for (int i = 0; i < 10; i++)
        if (shown->tokens[i] != 0 && shown->tokens[i] <= w->writes_count && (col < 0 || col == i)) {
            bit_set(x->seen, shown->tokens[i]);
            bits_add(x->seen, w->writes[shown->tokens[i]].seen);
            bits_add(x->knew, w->writes[shown->tokens[i]].knew);
        }
    bits_add(x->knew, x->seen);
    for (uint32_t i = 1; i <= w->writes_count; i++) { /* and what was seen here before */
        const struct write *o = &w->writes[i];

        if (o != x && o->row == x->row && !o->dead && !o->former &&
            (o->node == x->node || (w->nodes[x->node].twin_of == o->node && i <= w->nodes[x->node].twin_from && o->node != HUB))) {
            bits_add(x->knew, o->knew);
            bit_set(x->knew, i);
        }
    }
}

/* A program that meets a lock or a full disk has written nothing. */
static bool put_off(struct world *w, struct node *n, int rc)
{
    if ((rc & 0xff) == SQLITE_FULL && disk_bounded(n->disk)) {
        w->counts[COUNT_FULL_PROGRAM]++;
        STORY(w, n, "a program finds no room on the disk");
        return true;
    }
    return (rc & 0xff) == SQLITE_BUSY;
}

/* ---- one statement -------------------------------------------------------- */

enum how { HOW_INSERT, HOW_REPLACE, HOW_UPSERT, HOW_UPDATE };

static void bind_value_of(sqlite3_stmt *s, int i, const struct column_spec *c, uint32_t write, const char *text)
{
    char token[24];

    if (write == 0 && text == NULL) {
        sqlite3_bind_null(s, i);
    } else if (write == 0) {
        sqlite3_bind_text(s, i, text, -1, SQLITE_TRANSIENT); /* STRICT: an integer column takes its digits */
    } else if (c->kind == NUMBER) {
        sqlite3_bind_int64(s, i, TOKEN_NUMBER + write);
    } else {
        (void)snprintf(token, sizeof token, "w%u", write);
        sqlite3_bind_text(s, i, token, -1, SQLITE_TRANSIENT);
    }
}

struct statement {
    struct world *w;
    struct node *n;
    int row;
    enum how how;
    uint16_t mask;        /* columns that are named */
    bool null[10];        /* ... and get NULL */
    bool keep[10];        /* ... and get what is there */
    uint32_t equal[10];   /* ... and get another write's value */
    bool default_key;     /* the file makes the key */
    bool unlawful;
    bool quiet;           /* the first rows: values without names */
};

static void run_text(enum how how, const struct table_spec *t, uint16_t mask, char sql[SQL_BYTES])
{
    size_t at = 0;
    int n = keys_of(t);

    if (how != HOW_UPDATE) {
        at = (size_t)snprintf(sql, SQL_BYTES, "INSERT %sINTO %s (", how == HOW_REPLACE ? "OR REPLACE " : "", t->name);
        for (int i = 0; i < n; i++)
            at += (size_t)snprintf(sql + at, SQL_BYTES - at, "%s%s", i ? ", " : "", t->keys[i]);
        for (int i = 0; i < columns_of(t); i++)
            if (mask >> i & 1)
                at += (size_t)snprintf(sql + at, SQL_BYTES - at, ", %s", t->columns[i].name);
        at += (size_t)snprintf(sql + at, SQL_BYTES - at, ") VALUES (?1");
        for (int i = 2; i <= n + __builtin_popcount(mask); i++)
            at += (size_t)snprintf(sql + at, SQL_BYTES - at, ", ?%d", i);
        at += (size_t)snprintf(sql + at, SQL_BYTES - at, ")");
        if (how == HOW_UPSERT) {
            at += (size_t)snprintf(sql + at, SQL_BYTES - at, " ON CONFLICT (");
            for (int i = 0; i < n; i++)
                at += (size_t)snprintf(sql + at, SQL_BYTES - at, "%s%s", i ? ", " : "", t->keys[i]);
            at += (size_t)snprintf(sql + at, SQL_BYTES - at, ") DO UPDATE SET ");
            for (int i = 0, some = 0; i < columns_of(t); i++)
                if (mask >> i & 1)
                    at += (size_t)snprintf(sql + at, SQL_BYTES - at, "%s%s = excluded.%s", some++ ? ", " : "", t->columns[i].name, t->columns[i].name);
        }
    } else {
        at = (size_t)snprintf(sql, SQL_BYTES, "UPDATE %s SET ", t->name);
        for (int i = 0, some = 0; i < columns_of(t); i++)
            if (mask >> i & 1) {
                at += (size_t)snprintf(sql + at, SQL_BYTES - at, "%s%s = ?%d", some ? ", " : "", t->columns[i].name, n + 1 + some);
                some++;
            }
        for (int i = 0; i < n; i++)
            at += (size_t)snprintf(sql + at, SQL_BYTES - at, "%s%s = ?%d", i ? " AND " : " WHERE ", t->keys[i], i + 1);
    }
}

/* Runs it; false: the file did not take it. */
static bool run(struct statement *st)
{
    struct world *w = st->w;
    struct row_note *r = &w->rows[st->row];
    const struct table_spec *t = &specs[r->table];
    struct shown shown;
    uint32_t first = w->writes_count;
    char sql[SQL_BYTES];
    int n = keys_of(t), bound = 0, rc;
    sqlite3_stmt *s;
    bool insert = st->how != HOW_UPDATE;

    if (table_gone(w, st->n, r->table))
        return false;
    show(w, st->n, st->row, &shown);
    if (insert && !shown.there && !st->quiet) { /* REPLACE and UPSERT of a row that is there are updates */
        struct write *x = &w->writes[writes_add(w, st->n->index, (uint32_t)st->row, COL_INSERT)];

        see(w, x, &shown, -1);
        x->unlawful = st->unlawful;
    }
    run_text(st->how, t, st->mask, sql);
    s = prepared(w, st->n, sql);
    if (s == NULL)
        return false;
    for (int i = 0; i < n; i++)
        sqlite3_bind_text(s, ++bound, r->key[i], -1, SQLITE_STATIC);
    for (int i = 0; i < columns_of(t); i++) {
        const struct column_spec *c = &t->columns[i];
        struct write *x;

        if (!(st->mask >> i & 1))
            continue;
        bound++;
        if (c->kind == LINK || c->kind == PLAIN) {
            int link = 0;

            for (int k = 0; k < i; k++)
                link += t->columns[k].kind == LINK;
            bind_value_of(s, bound, c, 0, c->kind == PLAIN ? (st->equal[i] != 0 ? "1" : "0") : link < 2 ? r->links[link] : NULL);
            continue;
        }
        if (st->keep[i] && shown.there) {
            bind_value_of(s, bound, c, 0, shown.null[i] ? NULL : shown.texts[i]);
            if (st->quiet)
                continue;
            w->counts[COUNT_SAME]++;
            if (st->how == HOW_REPLACE && shown.tokens[i] != 0) { /* every column is written: nobody can see that it is the same */
                x = &w->writes[writes_add(w, st->n->index, (uint32_t)st->row, i)];
                x->again = true;
                x->value_of = shown.tokens[i];
                x->unlawful = st->unlawful;
                see(w, x, &shown, i);
            }
            continue;
        }
        if (st->quiet) {
            char plain[32];

            (void)snprintf(plain, sizeof plain, "%d", 100 + st->row);
            bind_value_of(s, bound, c, 0, plain);
            continue;
        }
        if (st->equal[i] != 0) { /* what somebody else has written into this very cell */
            bind_value_of(s, bound, c, st->equal[i], NULL);
            x = &w->writes[writes_add(w, st->n->index, (uint32_t)st->row, i)];
            x->again = true;
            x->value_of = st->equal[i];
            w->counts[COUNT_EQUAL]++;
            r->equal = true;
        } else {
            x = &w->writes[writes_add(w, st->n->index, (uint32_t)st->row, i)];
            x->null = st->null[i] && !c->notnull;
            if (x->null) {
                bind_value_of(s, bound, c, 0, NULL);
                w->counts[COUNT_SET_NULL]++;
            } else {
                bind_value_of(s, bound, c, w->writes_count, NULL);
            }
        }
        x->unlawful = st->unlawful;
        see(w, x, &shown, shown.there ? i : -1);
    }
    rc = sqlite3_step(s);
    if (st->how == HOW_REPLACE && rc == SQLITE_DONE && shown.there) {
        for (int i = 0; i < columns_of(t); i++) /* what is not named gets its default */
            if (!(st->mask >> i & 1) && !shown.null[i]) {
                struct write *x = &w->writes[writes_add(w, st->n->index, (uint32_t)st->row, i)];

                x->null = true;
                x->unlawful = st->unlawful;
                see(w, x, &shown, i);
            }
    }
    program_done(w, st->n, s);
    if (rc != SQLITE_DONE) {
        w->writes_count = first;
        if (!put_off(w, st->n, rc))
            world_fail(w, "program", "%s: %s: %s", st->n->name, sql, sqlite3_errmsg(st->n->db));
        return false;
    }
    if (w->verbose && !st->quiet) {
        char what[300] = "";
        size_t k = 0;

        for (uint32_t i = first + 1; i <= w->writes_count; i++)
            if (w->writes[i].col >= 0 && k < sizeof what - 40)
                k += (size_t)snprintf(what + k, sizeof what - k, " %s=%s%u", t->columns[w->writes[i].col].name, w->writes[i].null ? "NULL/" : "w",
                                      w->writes[i].value_of);
        story(w, st->n, "writes%s: %s %s%s %s%s%s %s%s", st->unlawful ? " unlawfully" : "",
              st->how == HOW_INSERT ? "insert" : st->how == HOW_REPLACE ? "replace" : st->how == HOW_UPSERT ? "upsert" : "update",
              t->name, r->json, "", "", "", what, st->n->slow ? " (not committed yet)" : "");
    }
    return true;
}

static void note_links(struct row_note *r, const struct shown *shown)
{
    const struct table_spec *t = &specs[r->table];
    int link = 0;

    for (int i = 0; i < columns_of(t); i++)
        if (t->columns[i].kind == LINK && link < 2)
            (void)snprintf(r->links[link++], PERCHE_ID_BYTES_MAX, "%s", shown->texts[i]);
}

static void delete_text(const struct table_spec *t, char sql[SQL_BYTES])
{
    size_t at = (size_t)snprintf(sql, SQL_BYTES, "DELETE FROM %s", t->name);

    for (int i = 0; i < keys_of(t); i++)
        at += (size_t)snprintf(sql + at, SQL_BYTES - at, "%s%s = ?%d", i ? " AND " : " WHERE ", t->keys[i], i + 1);
}

static bool run_delete(struct world *w, struct node *n, int row, bool unlawful)
{
    struct row_note *r = &w->rows[row];
    const struct table_spec *t = &specs[r->table];
    struct shown shown;
    struct write *x;
    char sql[SQL_BYTES];
    sqlite3_stmt *s;
    int rc;

    show(w, n, row, &shown);
    if (!shown.there)
        return false;
    delete_text(t, sql);
    s = prepared(w, n, sql);
    if (s == NULL)
        return false;
    for (int i = 0; i < keys_of(t); i++)
        sqlite3_bind_text(s, i + 1, r->key[i], -1, SQLITE_STATIC);
    rc = sqlite3_step(s);
    program_done(w, n, s);
    if (rc != SQLITE_DONE) {
        if (!put_off(w, n, rc))
            world_fail(w, "program", "%s: %s: %s", n->name, sql, sqlite3_errmsg(n->db));
        return false;
    }
    x = &w->writes[writes_add(w, n->index, (uint32_t)row, COL_DELETE)];
    x->unlawful = unlawful;
    see(w, x, &shown, -1);
    note_links(r, &shown); /* whoever inserts it again does so where it was */
    w->counts[COUNT_DELETE]++;
    STORY(w, n, "writes%s: delete %s %s (w%u)", unlawful ? " unlawfully" : "", t->name, r->json, w->writes_count);
    return true;
}

#define CROWD "title = 'crowd'" /* projects by the dozen: do_crowd() */

#define SQL_CROWD_COUNT "SELECT count(*) FROM project WHERE " CROWD
#define SQL_HELD_FIRST "SELECT coalesce(min(id), 0) FROM perche_held_set WHERE wish = 0"
#define SQL_HELD_COUNT "SELECT count(*) FROM perche_held_set"
#define SQL_OPEN_CONFLICTS "SELECT id FROM perche_conflict WHERE state = 'open' ORDER BY id"

/* ---- choosing --------------------------------------------------------------- */

static void uuid(struct chance *c, uint64_t ms, char out[40])
{
    uint8_t id[16];

    chance_bytes(c, id, sizeof id);
    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(ms >> (40 - 8 * i));
    id[6] = (uint8_t)((id[6] & 15) | 0x70);
    id[8] = (uint8_t)((id[8] & 63) | 0x80);
    perche_uuid_format(id, out);
}

static void choose_text(const struct node *n, int table, bool foreign, char sql[SQL_BYTES])
{
    const struct table_spec *t = &specs[table];
    size_t at = (size_t)snprintf(sql, SQL_BYTES, "SELECT ");

    for (int i = 0; i < keys_of(t); i++)
        at += (size_t)snprintf(sql + at, SQL_BYTES - at, "%st.%s", i ? ", " : "", t->keys[i]);
    at += (size_t)snprintf(sql + at, SQL_BYTES - at, " FROM %s t", t->name);
    if (n->index != HUB && !t->reference && !foreign) {
        /* as the rules say, but not what it only reads */
        at += (size_t)snprintf(sql + at, SQL_BYTES - at, " WHERE (%s) = 1", t->scope);
    }
    if (table == T_CODE)
        at += (size_t)snprintf(sql + at, SQL_BYTES - at, " WHERE t.list = 'sim'");
    if (table == T_PROJECT) /* nobody tells the rows of a crowd from one another */
        at += (size_t)snprintf(sql + at, SQL_BYTES - at, " %s NOT t." CROWD, strstr(sql, " WHERE ") != NULL ? "AND" : "WHERE");
    (void)snprintf(sql + at, SQL_BYTES - at, " ORDER BY 1, 2");
    if (keys_of(t) == 1)
        sql[strlen(sql) - 3] = '\0';
}

/* Rows of @table at @n that its site may write (all at the hub); the one that @pick falls on, noted. -1: none. */
static int choose(struct world *w, struct node *n, int table, uint64_t pick, bool foreign)
{
    const struct table_spec *t = &specs[table];
    char sql[SQL_BYTES];
    const char *key[3] = {0};
    sqlite3_stmt *s;
    uint32_t count = 0;
    int found = -1;

    if (table_gone(w, n, table))
        return -1;
    choose_text(n, table, foreign, sql);
    s = prepared(w, n, sql);
    if (s == NULL)
        return -1;
    if (sqlite3_bind_parameter_count(s) > 0)
        sqlite3_bind_text(s, 1, n->id, -1, SQLITE_STATIC);
    while (sqlite3_step(s) == SQLITE_ROW)
        count++;
    sqlite3_reset(s);
    for (uint64_t i = 0; count > 0 && i <= pick % count; i++)
        (void)sqlite3_step(s);
    if (count > 0) {
        for (int i = 0; i < keys_of(t); i++)
            key[i] = (const char *)sqlite3_column_text(s, i);
        found = row_note(w, table, key);
        if (found >= 0 && w->rows[found].links[0][0] == '\0') { /* made by somebody else: learn its links */
            struct shown shown;

            show(w, n, found, &shown);
            note_links(&w->rows[found], &shown);
        }
    }
    program_done(w, n, s);
    return found;
}

static int table_of(struct world *w, const struct node *n, uint64_t pick)
{
    uint32_t total = 0, x;

    (void)w;
    for (int i = 0; i < TABLES; i++)
        total += n->index != HUB && specs[i].reference ? 0 : specs[i].weight;
    x = (uint32_t)(pick % total);
    for (int i = 0; i < TABLES; i++) {
        uint32_t weight = n->index != HUB && specs[i].reference ? 0 : specs[i].weight;

        if (x < weight)
            return i;
        x -= weight;
    }
    return T_PROJECT;
}

/* Whether a site still has the row that this one hangs below: what left it with that is no more its to write. */
static bool has_parent(struct world *w, struct node *n, const struct row_note *r)
{
    static const int above[TABLES] = {[T_CONTACT] = T_LEARNER + 1, [T_ENROLMENT] = T_LEARNER + 1, [T_STATUS] = T_ENROLMENT + 1,
                                      [T_ATTENDANCE] = T_ENROLMENT + 1, [T_OBSERVATION] = T_ENROLMENT + 1, [T_DECISION] = T_ENROLMENT + 1,
                                      [T_HALF_DAY] = T_COHORT + 1, [T_LEASE] = T_UNIT + 1};

    if (n->index == HUB || !w->plan->mix.moves || above[r->table] == 0)
        return true;
    for (uint32_t i = 0; i < w->rows_count; i++) {
        struct shown shown;

        if (w->rows[i].table != above[r->table] - 1 || strcmp(w->rows[i].key[0], r->links[0]) != 0)
            continue;
        show(w, n, (int)i, &shown);
        return shown.there;
    }
    return false;
}

int row_gen(struct world *w, struct node *n, const struct row_note *r)
{
    struct perche_value v[PERCHE_KEY_COLUMNS_MAX];
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n, count = (uint32_t)keys_of(&specs[r->table]);
    sqlite3_stmt *s;
    int gen;

    for (uint32_t i = 0; i < count; i++)
        v[i] = (struct perche_value){.type = PERCHE_TEXT, .p = (const uint8_t *)r->key[i], .n = (uint32_t)strlen(r->key[i])};
    if (perche_key_encode(v, count, key, &key_n) != PERCHE_OK)
        return 0;
    s = prepared(w, n, "SELECT gen FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = ?1) AND key = ?2");
    if (s == NULL)
        return 0;
    sqlite3_bind_text(s, 1, specs[r->table].name, -1, SQLITE_STATIC);
    sqlite3_bind_blob(s, 2, key, (int)key_n, SQLITE_STATIC);
    gen = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int(s, 0) : 0;
    program_done(w, n, s);
    return gen;
}

/* Has a row that was deleted here not left this site since? With it its tombstone goes, and the key is another school's. */
static bool tombstone_stays(struct world *w, struct node *n, const struct row_note *r)
{
    return n->index == HUB || !w->plan->mix.moves || row_gen(w, n, r) > 0;
}

/* A row of @table that this node's file does not have now, but that was there once, with its links. */
static int choose_gone(struct world *w, struct node *n, int table, uint64_t pick)
{
    int found[ROWS_MAX], count = 0;

    for (uint32_t i = 0; i < w->rows_count; i++) {
        bool mine = false;

        if (w->rows[i].table != table || w->rows[i].tainted || !has_parent(w, n, &w->rows[i]))
            continue;
        for (uint32_t k = 1; k <= w->writes_count; k++) /* deleted here, and that was the last of it: it has not left since */
            if (w->writes[k].row == i && w->writes[k].node == n->index && !w->writes[k].dead &&
                (w->writes[k].col == COL_DELETE || w->writes[k].col == COL_INSERT))
                mine = w->writes[k].col == COL_DELETE;
        if (mine && tombstone_stays(w, n, &w->rows[i]))
            found[count++] = (int)i;
    }
    for (int i = 0; i < count; i++) {
        int row = found[(pick + (uint64_t)i) % (uint64_t)count];
        struct shown shown;

        show(w, n, row, &shown);
        if (!shown.there)
            return row;
    }
    return -1;
}

/* Is the enrolment another school's, by what this one has heard? */
static bool only_reads(struct world *w, struct node *n, int enrolment)
{
    struct shown shown;

    if (n->index == HUB)
        return false;
    show(w, n, enrolment, &shown);
    return strcmp(shown.texts[1], n->id) != 0; /* its site_id */
}

/* Where a new row of @table belongs: its key and links. -1: there is no place for one here. */
static int new_row(struct world *w, struct node *n, int table, const struct step *st, struct chance *c)
{
    const struct table_spec *t = &specs[table];
    const char *key[3];
    char id[40];
    char links[2][PERCHE_ID_BYTES_MAX] = {"", ""};
    const struct node *owner = n->index != HUB ? n : &w->nodes[1 + st->d % (w->nodes_count - 1)];
    int parent, row;

    uuid(c, world_wall(w, n), id);
    key[0] = id;
    switch (table) {
    case T_LEARNER:
    case T_COHORT:
    case T_PROJECT:
    case T_CLUB:
    case T_UNIT: (void)snprintf(links[0], sizeof links[0], "%s", owner->id); break;
    case T_CONTACT:
    case T_ENROLMENT:
        parent = choose(w, n, T_LEARNER, st->c, false);
        if (parent < 0)
            return -1;
        (void)snprintf(links[0], sizeof links[0], "%s", w->rows[parent].key[0]);
        if (table == T_ENROLMENT) {
            (void)snprintf(links[1], sizeof links[1], "%s", owner->id);
            w->counts[COUNT_SHARE] += n->index == HUB && strcmp(w->rows[parent].links[0], owner->id) != 0;
        }
        break;
    case T_STATUS:
    case T_ATTENDANCE:
    case T_OBSERVATION:
    case T_DECISION:
        parent = choose(w, n, T_ENROLMENT, st->c, false);
        if (parent < 0)
            return -1;
        if (table == T_ATTENDANCE && only_reads(w, n, parent))
            return -1; /* marks are in no area */
        (void)snprintf(links[0], sizeof links[0], "%s", w->rows[parent].key[0]);
        if (table == T_DECISION) {
            key[0] = w->rows[parent].key[0];
            key[1] = st->d % 3 == 0 ? "M6" : "W4";
            w->counts[COUNT_COMPOSITE]++;
        }
        break;
    case T_HALF_DAY:
    case T_LEASE:
        parent = choose(w, n, table == T_LEASE ? T_UNIT : T_COHORT, st->c, false);
        if (parent < 0)
            return -1;
        (void)snprintf(links[0], sizeof links[0], "%s", w->rows[parent].key[0]);
        break;
    case T_CODE:
        key[0] = "sim";
        key[1] = (const char *[]){"ONE", "TWO", "THREE", "FOUR"}[st->d % 4];
        break;
    default: break;
    }
    row = row_note(w, table, key);
    if (row < 0)
        return -1;
    if (w->rows[row].links[0][0] == '\0')
        memcpy(w->rows[row].links, links, sizeof links);
    (void)t;
    return row;
}

static uint16_t all_columns(const struct table_spec *t)
{
    return (uint16_t)((1u << columns_of(t)) - 1);
}

/* ---- what a program does ------------------------------------------------------- */

/* Somebody's committed value of this cell, to be written a second time. One that is rolled back later would be
 * taken for the rolled-back write wherever it is found. */
static uint32_t somebodys(struct world *w, uint32_t row, int col, uint8_t not_node)
{
    for (uint32_t i = w->writes_count; i > 0; i--) {
        const struct write *x = &w->writes[i];
        const struct node *author = &w->nodes[x->node];

        if (author->slow && i >= author->slow_first)
            continue;
        if (x->row == row && x->col == col && x->node != not_node && !x->dead && !x->null && !x->again && !x->unlawful)
            return i;
    }
    return 0;
}

static bool do_insert(struct world *w, struct node *n, int table, const struct step *st, struct chance *c)
{
    struct statement s = {.w = w, .n = n, .how = HOW_INSERT, .mask = all_columns(&specs[table])};
    struct shown shown;

    s.row = st->b % 4 == 0 ? choose_gone(w, n, table, st->c) : -1;
    if (s.row >= 0)
        w->counts[COUNT_REINSERT]++;
    else
        s.row = new_row(w, n, table, st, c);
    if (s.row < 0)
        return false;
    for (int i = 0; i < columns_of(&specs[table]); i++)
        if (specs[table].columns[i].kind != LINK && !specs[table].columns[i].notnull && chance_below(c, 6) == 0)
            s.mask &= (uint16_t)~(1u << i); /* left at its default */
    show(w, n, s.row, &shown);
    if (shown.there) { /* a composite key that is taken: say it as an UPSERT */
        s.how = HOW_UPSERT;
        w->counts[COUNT_UPSERT]++;
        for (int i = 0; i < columns_of(&specs[table]); i++)
            s.keep[i] = chance_below(c, 3) == 0;
    } else {
        w->counts[COUNT_INSERT]++;
    }
    return run(&s);
}

static bool do_update(struct world *w, struct node *n, int table, const struct step *st, struct chance *c)
{
    const struct table_spec *t = &specs[table];
    struct statement s = {.w = w, .n = n, .how = HOW_UPDATE};
    uint32_t wanted = chance_below(c, 4) == 0 ? 2 + chance_below(c, 3) : 1, some = 0;

    s.row = choose(w, n, table, st->c, false);
    if (s.row < 0)
        return false;
    for (uint32_t tries = 0; some < wanted && tries < 12; tries++) {
        /* the first columns are written more often: that is where programs meet */
        int i = (int)(chance_below(c, 2) == 0 ? (uint32_t)(st->d % 3) : chance_below(c, (uint32_t)columns_of(t)));

        if (i >= columns_of(t) || t->columns[i].kind == LINK || t->columns[i].kind == PLAIN || s.mask >> i & 1)
            continue;
        s.mask |= (uint16_t)(1u << i);
        some++;
        if (!t->columns[i].notnull && chance_below(c, 10) == 0)
            s.null[i] = true;
        else if (chance_below(c, 15) == 0)
            s.keep[i] = true;
        else if (chance_below(c, 15) == 0)
            s.equal[i] = somebodys(w, (uint32_t)s.row, i, n->index);
    }
    if (s.mask == 0)
        return false;
    w->counts[some > 1 ? COUNT_UPDATE_MANY : COUNT_UPDATE]++;
    if (t->reference)
        w->counts[COUNT_REFERENCE]++;
    return run(&s);
}

static bool do_replace(struct world *w, struct node *n, int table, const struct step *st, struct chance *c)
{
    const struct table_spec *t = &specs[table];
    struct statement s = {.w = w, .n = n, .how = chance_below(c, 2) ? HOW_REPLACE : HOW_UPSERT, .mask = all_columns(t)};

    /* REPLACE names every column, else a `hub` column would go back to its default */
    if (table == T_LEARNER)
        s.how = HOW_UPSERT;
    s.row = choose(w, n, table, st->c, false);
    if (s.row < 0)
        return false;
    for (int i = 0; i < columns_of(t); i++)
        s.keep[i] = chance_below(c, 3) != 0;
    w->counts[s.how == HOW_REPLACE ? COUNT_REPLACE : COUNT_UPSERT]++;
    return run(&s);
}

/* A change that moves a row from one site to another, or gives it a reader. */
static bool do_move(struct world *w, struct node *n, const struct step *st)
{
    const struct node *to = &w->nodes[1 + st->d % (w->nodes_count - 1)];
    const char *sql;
    sqlite3_stmt *s;
    int row = -1, rc;

    if (n->index == HUB && st->b % 4 == 0) {
        const struct node *from = &w->nodes[1 + st->c % (w->nodes_count - 1)];
        bool give = st->b % 3 != 0;

        if (from == to)
            return false;
        s = prepared(w, n, give ? "INSERT OR IGNORE INTO site_reader (site_id, reader_id, area, may_write) VALUES (?1, ?2, 'placement', 1)"
                                : "DELETE FROM site_reader WHERE site_id = ?1 AND reader_id = ?2");
        sqlite3_bind_text(s, 1, from->id, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, to->id, -1, SQLITE_STATIC);
        rc = sqlite3_step(s);
        program_done(w, n, s);
        w->counts[COUNT_READER]++;
        STORY(w, n, "writes: %s reads what is placement's of %s: %s", to->name, from->name, give ? "yes" : "no more");
        return rc == SQLITE_DONE;
    }
    if (n->index == HUB && st->b % 4 == 1) {
        row = choose(w, n, T_LEARNER, st->c, false);
        sql = "UPDATE learner SET home_site_id = ?2 WHERE id = ?1";
    } else if (n->index == HUB && st->b % 4 == 3 && st->b % 3 != 0) { /* with all that hangs on it */
        static const uint8_t tables[] = {T_ENROLMENT, T_COHORT, T_UNIT};
        static const char *const moves[] = {"UPDATE enrolment SET site_id = ?2 WHERE id = ?1", "UPDATE cohort SET site_id = ?2 WHERE id = ?1",
                                            "UPDATE housing_unit SET site_id = ?2 WHERE id = ?1"};
        uint32_t which = (uint32_t)(st->b / 12 % 3);

        row = choose(w, n, tables[which], st->c, false);
        sql = moves[which];
        w->counts[COUNT_MOVE_FAMILY] += row >= 0;
    } else if (st->b % 4 == 2) {
        row = choose(w, n, T_ENROLMENT, st->c, false);
        sql = "UPDATE enrolment SET exit_reason = CASE WHEN exit_reason IS NULL THEN 'TRANSFER' END WHERE id = ?1 AND ?2";
    } else {
        row = choose(w, n, T_PROJECT, st->c, false);
        sql = "UPDATE project SET site_id = ?2 WHERE id = ?1";
    }
    if (row < 0)
        return false;
    s = prepared(w, n, sql);
    sqlite3_bind_text(s, 1, w->rows[row].key[0], -1, SQLITE_STATIC);
    if (strstr(sql, "TRANSFER") != NULL)
        sqlite3_bind_int(s, 2, 1);
    else
        sqlite3_bind_text(s, 2, to->id, -1, SQLITE_STATIC);
    rc = sqlite3_step(s);
    program_done(w, n, s);
    w->counts[COUNT_MOVE]++;
    STORY(w, n, "writes: moves %s %s to %s", specs[w->rows[row].table].name, w->rows[row].json, to->name);
    return rc == SQLITE_DONE;
}

static bool do_unlawful(struct world *w, struct node *n, const struct step *st, struct chance *c)
{
    struct statement s = {.w = w, .n = n, .how = HOW_UPDATE, .unlawful = true};
    const struct table_spec *t;
    int table = st->b % 3 == 0 ? T_ORGANISATION : st->b % 3 == 1 ? T_CODE : T_LEARNER;

    if (n->index == HUB)
        return false;
    t = &specs[table];
    if (table == T_LEARNER) { /* a learner of another site, made here */
        const struct node *other = &w->nodes[1 + st->d % (w->nodes_count - 1)];
        char id[40];
        const char *key[1] = {id};

        if (strcmp(other->id, n->id) == 0 || w->plan->mix.moves) /* a reader may be allowed to */
            return false;
        uuid(c, world_wall(w, n), id);
        s.row = row_note(w, table, key);
        (void)snprintf(w->rows[s.row].links[0], PERCHE_ID_BYTES_MAX, "%s", other->id);
        s.how = HOW_INSERT;
        s.mask = all_columns(t);
    } else if (st->d % 3 == 0) { /* a row of its own in reference data */
        char id[40];
        const char *key[2] = {table == T_CODE ? "sim" : id, id};

        uuid(c, world_wall(w, n), id);
        s.row = row_note(w, table, key);
        s.how = HOW_INSERT;
        s.mask = all_columns(t);
    } else {
        s.row = choose(w, n, table, st->c, true);
        if (s.row < 0)
            return false;
        if (st->d % 3 == 1) {
            w->rows[s.row].tainted = true;
            w->counts[COUNT_UNLAWFUL]++;
            return run_delete(w, n, s.row, true);
        }
        s.mask = (uint16_t)(1u << chance_below(c, (uint32_t)columns_of(t)));
    }
    w->rows[s.row].tainted = true;
    w->counts[COUNT_UNLAWFUL]++;
    return run(&s);
}

static bool do_one(struct world *w, struct node *n, const struct step *st, struct chance *c)
{
    int table = table_of(w, n, st->a / 1000);
    uint64_t x = st->a % 1000;

    if (w->plan->mix.extra[EXTRA_SCHEMA] && st->a / 1000 % 4 == 1 && !table_gone(w, n, T_CLUB)) {
        table = T_CLUB;
        w->counts[COUNT_CLUB]++;
    }
    if (w->plan->mix.moves && x < 80)
        return do_move(w, n, st);
    if (w->plan->mix.unlawful && x >= 900)
        return do_unlawful(w, n, st, c);
    if (specs[table].append)
        return do_insert(w, n, table, st, c);
    if (x < 500)
        return do_update(w, n, table, st, c) || do_insert(w, n, table, st, c);
    if (x < 690)
        return do_insert(w, n, table, st, c);
    if (x < 800) {
        int row = choose(w, n, table, st->c, false);

        if (table == T_ENROLMENT && row >= 0 && !w->plan->mix.moves) {
            /* an enrolment that makes its site a member: its end moves the learner away */
            int learner = -1;
            char json[80];

            (void)snprintf(json, sizeof json, "[\"%s\"]", w->rows[row].links[0]);
            learner = row_find(w, T_LEARNER, json);
            if (learner < 0 || strcmp(w->rows[learner].links[0], w->rows[row].links[1]) != 0)
                return do_update(w, n, table, st, c);
        }
        /* learners and enrolments have relatives: seldom */
        if (row < 0 || ((table == T_LEARNER || table == T_ENROLMENT || table == T_COHORT || table == T_UNIT) && st->d % 4 != 0))
            return do_update(w, n, table, st, c);
        return run_delete(w, n, row, false);
    }
    return do_replace(w, n, table, st, c);
}

static bool exec(struct world *w, struct node *n, const char *sql)
{
    int rc = sqlite3_exec(node_db(w, n), sql, NULL, NULL, NULL);

    if (rc != SQLITE_OK && !put_off(w, n, rc))
        world_fail(w, "program", "%s: %s: %s", n->name, sql, sqlite3_errmsg(n->db));
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(n->db) && (rc & 0xff) == SQLITE_FULL)
        (void)sqlite3_exec(n->db, "ROLLBACK", NULL, NULL, NULL); /* as a program does that meets an error */
    return rc == SQLITE_OK;
}

/* Marks of a whole term, loaded at once: too many for one batch. Their values have no names; what becomes of them is
 * seen by comparing the replicas. */
static bool do_bulk(struct world *w, struct node *n, const struct step *st, struct chance *c)
{
    int enrolment = choose(w, n, T_ENROLMENT, st->c, false), rc;
    uint32_t rows = 300 + chance_below(c, 900);
    sqlite3_stmt *s;

    if (enrolment < 0 || only_reads(w, n, enrolment))
        return false;
    s = prepared(w, n, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"
                       " INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site, proof_sha256)"
                       " SELECT 'half ' || i, ?1, 'PRESENT', 210, hex(randomblob(8)), 'day ' || i, ?1, hex(randomblob(24)) FROM n");
    if (s == NULL)
        return false;
    sqlite3_bind_text(s, 1, w->rows[enrolment].key[0], -1, SQLITE_STATIC);
    sqlite3_bind_int(s, 2, (int)rows);
    rc = sqlite3_step(s);
    program_done(w, n, s);
    w->counts[COUNT_BULK]++;
    STORY(w, n, "loads %u rows of attendance", rows);
    return rc == SQLITE_DONE;
}

/* ---- by the dozen ----------------------------------------------------------------- */

static int number(struct world *w, struct node *n, const char *sql)
{
    sqlite3_stmt *s = prepared(w, n, sql);
    int x = s != NULL && sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int(s, 0) : 0;

    program_done(w, n, s);
    return x;
}

/* Projects without a name of their own, which nobody judges one by one: made, edited, and deleted all at once. */
static bool do_crowd(struct world *w, struct node *n, struct chance *c)
{
    int there = table_gone(w, n, T_PROJECT) ? -1 : number(w, n, SQL_CROWD_COUNT);
    uint32_t what = chance_below(c, 4);
    char sql[400];
    bool done;

    if (there < 0)
        return false;
    if (there < 25) {
        (void)snprintf(sql, sizeof sql, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %u)"
                       " INSERT INTO project (site_id, title, kind, price_cents) SELECT '%s', 'crowd', 'a', i FROM n",
                       25 + chance_below(c, 30), w->nodes[n->index != HUB ? n->index : 1 + chance_below(c, w->nodes_count - 1)].id);
    } else if (what == 0) {
        (void)snprintf(sql, sizeof sql, "UPDATE project SET client_name = 'edit %u' WHERE " CROWD " AND price_cents %% 5 = %u",
                       chance_below(c, 100000), chance_below(c, 5));
    } else {
        (void)snprintf(sql, sizeof sql, "%sDELETE FROM project WHERE " CROWD " AND price_cents %% 12 <> %u",
                       what == 1 ? "UPDATE project SET client_name = 'last' WHERE " CROWD " AND price_cents % 3 = 0; " : "", chance_below(c, 14));
    }
    done = exec(w, n, "BEGIN IMMEDIATE") && exec(w, n, sql) && exec(w, n, "COMMIT");
    if (done)
        w->counts[there >= 25 && what > 0 ? COUNT_SWEEP : COUNT_CROWD]++;
    STORY(w, n, "%s of %d: %s", sqlite3_changes(n->db) > 0 ? "a crowd" : "nothing", there, sql);
    return done;
}

static void writes_dead(struct world *w, uint32_t from, uint8_t node)
{
    for (uint32_t i = from; i <= w->writes_count; i++)
        if (w->writes[i].node == node)
            w->writes[i].dead = true;
}

static void commit_failed(struct world *w, struct node *n, uint32_t first)
{
    if (!disk_bounded(n->disk))
        world_fail(w, "program", "%s: a transaction that holds the lock cannot commit", n->name);
    writes_dead(w, first, n->index);
}

static void write_some(struct world *w, struct node *n, const struct step *st)
{
    struct chance c;
    uint32_t first = w->writes_count + 1, several;

    if (n->slow || n->id[0] == '\0')
        return;
    chance_seed(&c, st->a ^ st->d << 32, 9);
    if (chance_below(&c, 60) == 0) {
        w->counts[COUNT_CHECKPOINT]++;
        STORY(w, n, "a program checkpoints the WAL");
        (void)exec(w, n, chance_below(&c, 2) ? "PRAGMA wal_checkpoint(TRUNCATE)" : "PRAGMA wal_checkpoint(PASSIVE)");
        return;
    }
    if (chance_below(&c, 1500) == 0) {
        if (do_bulk(w, n, st, &c))
            node_changed(w, n);
        return;
    }
    if (chance_below(&c, 14) == 0) {
        if (do_crowd(w, n, &c))
            node_changed(w, n);
        return;
    }
    several = chance_below(&c, 5) == 0 ? 2 + chance_below(&c, 4) : 1;
    if (several == 1) {
        if (do_one(w, n, st, &c))
            node_changed(w, n);
        return;
    }
    if (!exec(w, n, "BEGIN IMMEDIATE"))
        return;
    n->slow = true; /* for the story's sake */
    for (uint32_t i = 0; i < several; i++) {
        struct step one = {.node = st->node, .a = chance_u64(&c) >> 32, .b = chance_u64(&c) >> 32,
                           .c = chance_below(&c, 2) ? st->c : chance_u64(&c) >> 32, .d = chance_u64(&c) >> 32};

        (void)do_one(w, n, &one, &c);
        if (sqlite3_get_autocommit(n->db)) { /* SQLite has ended it, for want of room */
            n->slow = false;
            writes_dead(w, first, n->index);
            return;
        }
    }
    n->slow = false;
    w->counts[COUNT_TRANSACTION]++;
    if (chance_below(&c, 8) == 0) {
        w->counts[COUNT_ROLLBACK]++;
        STORY(w, n, "rolls back");
        (void)exec(w, n, "ROLLBACK");
        writes_dead(w, first, n->index);
    } else if (chance_below(&c, 5) == 0 && w->failure[0] == '\0') {
        w->counts[COUNT_SLOW]++;
        n->slow = true;
        n->slow_first = first;
        n->slow_life++;
        world_at(w, 10 + chance_below(&c, 4000), EV_COMMIT, n)->a = n->slow_life;
        STORY(w, n, "keeps the lock");
    } else {
        STORY(w, n, "commits");
        if (exec(w, n, "COMMIT"))
            node_changed(w, n);
        else
            commit_failed(w, n, first);
    }
}

/* Capture is what programs do not know of: a row that waits there is harvested with what the table holds by then. */
static bool all_harvested(struct world *w, struct node *n)
{
    return number(w, n, "SELECT NOT EXISTS (SELECT 1 FROM perche_capture)") == 1;
}

/* Where a program has dropped the triggers, and no daemon has made them again yet, every program writes past them. */
static void note_bypass(struct world *w, struct node *n, uint32_t first)
{
    char sql[160];

    for (uint32_t i = first; i <= w->writes_count && n->unseen; i++) {
        struct row_note *row = &w->rows[w->writes[i].row];

        (void)snprintf(sql, sizeof sql, "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '%s')", specs[row->table].name);
        if (table_gone(w, n, row->table) || number(w, n, sql) != 1)
            continue;
        w->writes[i].bypass = true;
        row->tainted |= !all_harvested(w, n);
    }
}

void actor_write(struct world *w, struct node *n, const struct step *st)
{
    uint32_t first = w->writes_count + 1;

    write_some(w, n, st);
    note_bypass(w, n, first);
}

void actor_commit_slow(struct world *w, struct node *n)
{
    n->slow = false;
    STORY(w, n, "commits what it kept the lock for");
    if (exec(w, n, "COMMIT"))
        node_changed(w, n);
    else
        commit_failed(w, n, n->slow_first);
}

/* ---- past the triggers --------------------------------------------------------------- */

/* The triggers of a replicated table, as a program that knows of none drops them. */
static bool drop_triggers(struct world *w, struct node *n, const char *table)
{
    sqlite3_stmt *s = prepared(w, n, "SELECT group_concat('DROP TRIGGER \"' || name || '\";', ' ') FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1");
    char *sql = NULL;
    bool done;

    if (s == NULL)
        return false;
    sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL)
        sql = strdup((const char *)sqlite3_column_text(s, 0));
    program_done(w, n, s);
    done = sql == NULL || exec(w, n, sql);
    free(sql);
    return done;
}

/* As the manual of SQLite says it: a new table, the rows, the old one away, the new one in its place. */
static bool rebuild(struct world *w, struct node *n, const char *table)
{
    sqlite3_stmt *s = prepared(w, n, "SELECT replace(sql, name, name || '_new') FROM sqlite_schema WHERE type = 'table' AND name = ?1");
    char *sql = NULL;
    bool done;

    if (s == NULL)
        return false;
    sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    if (sqlite3_step(s) == SQLITE_ROW)
        sql = sqlite3_mprintf("PRAGMA legacy_alter_table = ON; %s; INSERT INTO %s_new SELECT * FROM %s; DROP TABLE %s; ALTER TABLE %s_new RENAME TO %s;"
                              " PRAGMA legacy_alter_table = OFF",
                              (const char *)sqlite3_column_text(s, 0), table, table, table, table, table);
    program_done(w, n, s);
    done = sql != NULL && exec(w, n, sql);
    sqlite3_free(sql);
    return done;
}

static bool drop_column(struct world *w, struct node *n, int table)
{
    char sql[120];

    (void)snprintf(sql, sizeof sql, "ALTER TABLE %s DROP COLUMN %s", specs[table].name, loose_column(table));
    return drop_triggers(w, n, specs[table].name) && exec(w, n, sql);
}

bool actor_column_back(struct world *w, struct node *n)
{
    static const uint8_t tables[] = {T_CONTACT, T_PROJECT};
    bool lost = false;

    for (uint32_t i = 0; w->columns_lost && i < sizeof tables; i++) {
        const char *name = specs[tables[i]].name, *column = loose_column(tables[i]);
        char sql[200];

        if (!column_lost(w, n, tables[i]))
            continue;
        lost = true;
        /* the last one, dropped and added at one look, is as if somebody had emptied it (docs/architecture.md) */
        (void)snprintf(sql, sizeof sql, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '%s')", name);
        if (number(w, n, sql) != 1)
            continue;
        STORY(w, n, "a program adds the column %s to %s again", column, name);
        w->counts[COUNT_COLUMN_BACK]++;
        (void)snprintf(sql, sizeof sql, "ALTER TABLE %s ADD COLUMN %s %s", name, column, tables[i] == T_PROJECT ? "INTEGER" : "TEXT");
        if (!exec(w, n, sql))
            continue;
        n->refilling = (uint8_t)(tables[i] + 1);
        node_changed(w, n);
    }
    return lost;
}

void actor_bypass(struct world *w, struct node *n, const struct step *st)
{
    static const uint8_t tables[] = {T_CONTACT, T_PROJECT, T_DECISION, T_LEASE, T_UNIT, T_CODE, T_ORGANISATION};
    enum { OFF, DROPPED, REBUILT, GONE } how = st->b % 8 < 3 ? OFF : st->b % 8 < 6 ? DROPPED : st->b % 8 == 6 ? REBUILT : GONE;
    uint32_t first = w->writes_count + 1, some = 1;
    struct chance c;
    int table, rows;
    bool off = how == OFF, harvested;
    char sql[100];

    if (n->slow || n->id[0] == '\0' || actor_column_back(w, n))
        return;
    chance_seed(&c, st->a ^ st->d << 32, 10);
    table = tables[chance_below(&c, n->index == HUB ? sizeof tables : sizeof tables - 2)];
    if (how == GONE && table == T_UNIT) /* which site a lease is of is seen there */
        table = T_LEASE;
    if (table_gone(w, n, table) || n->dropped != 0 || !exec(w, n, "BEGIN IMMEDIATE"))
        return;
    harvested = all_harvested(w, n);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", specs[table].name);
    rows = number(w, n, sql);
    if (off) {
        (void)sqlite3_db_config(n->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    } else if (how == GONE) { /* what waits to be harvested would go with it, and nobody could tell */
        bool column = loose_column(table) != NULL && st->b / 8 % 2 == 0;

        (void)snprintf(sql, sizeof sql, "DROP TABLE %s", specs[table].name);
        if (!harvested || (column && n->unseen) || !(column ? drop_column(w, n, table) : exec(w, n, sql)) || !exec(w, n, "COMMIT")) {
            (void)exec(w, n, sqlite3_get_autocommit(n->db) ? "SELECT 1" : "ROLLBACK");
            return;
        }
        w->counts[column ? COUNT_COLUMN : COUNT_DROP]++;
        w->columns_lost |= column;
        n->dropped = column ? 0 : (uint8_t)(table + 1);
        for (uint32_t i = 1; i <= w->writes_count; i++) /* nobody had seen these yet */
            if (w->writes[i].bypass && w->writes[i].node == n->index && w->writes[i].found_ms == 0)
                w->rows[w->writes[i].row].tainted = true;
        n->unseen = true;
        STORY(w, n, "a program drops %s of the table %s, with %d rows", column ? loose_column(table) : "all", specs[table].name, rows);
        node_changed(w, n);
        return;
    } else if (!(how == REBUILT ? rebuild(w, n, specs[table].name) : drop_triggers(w, n, specs[table].name))) {
        (void)exec(w, n, sqlite3_get_autocommit(n->db) ? "SELECT 1" : "ROLLBACK");
        return;
    }
    STORY(w, n, "a program %s %s", off ? "switches the triggers off and writes" : how == DROPPED ? "drops the triggers and writes" : "rebuilds and writes",
          specs[table].name);
    n->slow = true; /* for the story's sake */
    some += chance_below(&c, 3);
    for (uint32_t i = 0; i < some; i++) {
        struct step one = {.node = st->node, .a = chance_u64(&c) >> 32, .b = 1 + 4 * (chance_u64(&c) >> 36), .c = chance_u64(&c) >> 32, .d = chance_u64(&c) >> 32};
        uint32_t what = chance_below(&c, 10);
        int row;

        if (what < 5) {
            (void)do_update(w, n, table, &one, &c);
        } else if (what < 7) {
            (void)do_insert(w, n, table, &one, &c);
        } else if (what < 8) {
            (void)do_replace(w, n, table, &one, &c);
        } else if (table != T_UNIT) { /* it has relatives */
            row = choose(w, n, table, one.c, false);
            if (row >= 0)
                (void)run_delete(w, n, row, false);
        }
    }
    n->slow = false;
    if (off)
        (void)sqlite3_db_config(n->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
    if (sqlite3_get_autocommit(n->db) || !exec(w, n, "COMMIT")) {
        commit_failed(w, n, first);
        return;
    }
    for (uint32_t i = first; i <= w->writes_count; i++) {
        w->writes[i].bypass = true;
        if (!harvested) /* a captured row takes what was written past the triggers along unseen */
            w->rows[w->writes[i].row].tainted = true;
    }
    w->counts[how == REBUILT ? COUNT_REBUILD : off ? COUNT_BYPASS_OFF : COUNT_BYPASS_DROP]++;
    n->unseen = true;
    n->unseen_off |= off;
    node_changed(w, n);
}

void actor_verify(struct world *w, struct node *n)
{
    w->counts[COUNT_VERIFY]++;
    STORY(w, n, "perche verify");
    node_command(w, n, "audit", strdup("{}"));
    node_changed(w, n);
}

void actor_put_back(struct world *w, struct node *n)
{
    for (uint32_t i = 1; i <= w->writes_count; i++) {
        if (w->writes[i].node == n->index && i > n->copy_writes) /* what a row was then and became is told by the hub alone */
            w->writes[i].former = true;
        if (!w->writes[i].bypass || w->writes[i].node != n->index)
            continue;
        if (i <= n->copy_writes && w->writes[i].undone_ms > n->copy_ms) /* there it had not been put back */
            w->writes[i].dead = false;
        w->writes[i].found_ms = 0;
        n->unseen = n->unseen_off = true;
    }
    n->dropped = n->refilling = 0;
    n->club = false;
    for (uint8_t table = 0; table < T_CLUB && n->dropped == 0; table++) { /* the copy may be of a file without it */
        n->dropped = (uint8_t)(table + 1);
        n->unseen |= table_gone(w, n, table);
    }
}

void actor_found(struct world *w, struct node *n, const struct outcome *o)
{
    w->counts[COUNT_FOUND] += o->found;
    w->counts[COUNT_MADE_AGAIN] += o->restored;
    if (o->found + o->restored > 0)
        STORY(w, n, "finds %llu rows that were changed unseen, puts %llu back", (unsigned long long)o->found, (unsigned long long)o->restored);
    for (uint32_t i = 1; o->restored > 0 && i <= w->writes_count; i++) { /* so many were missing that nobody can have deleted them, or an edit came for the row */
        const struct write *gone = &w->writes[i];
        struct shown shown;

        if (!gone->bypass || gone->former || gone->node != n->index || gone->found_ms != 0 || gone->col != COL_DELETE)
            continue;
        show(w, n, gone->row, &shown);
        for (uint32_t k = 1; shown.there && k <= i; k++) { /* with what was written to the row before, in the same go, and is not there again */
            struct write *x = &w->writes[k];

            if (x->bypass && !x->former && x->node == n->index && x->row == gone->row && x->found_ms == 0 &&
                (x->col < 0 || (x->null ? !shown.null[x->col] : shown.tokens[x->col] != k))) {
                x->dead = true;
                x->undone_ms = w->now_ms;
            }
        }
    }
}

void actor_harvested(struct world *w, struct node *n, const struct outcome *o)
{
    if (!n->unseen || n->unseen_off || o->more || (n->dropped != 0 && table_gone(w, n, n->dropped - 1)) || column_away(w, n, T_CONTACT) ||
        column_away(w, n, T_PROJECT))
        return;
    n->unseen = false;
    for (uint32_t i = 1; i <= w->writes_count; i++)
        if (w->writes[i].bypass && w->writes[i].node == n->index && w->writes[i].found_ms == 0)
            w->writes[i].found_ms = w->now_ms;
}

/* ---- resolving ------------------------------------------------------------------ */

bool held_json(const void *key, int n, char out[48])
{
    char id[37];

    if (n != 16)
        return false;
    perche_uuid_format(key, id);
    (void)snprintf(out, 48, "[\"%.36s\"]", id);
    return true;
}

/* The first set that waits for a decision here; 0 = none. */
static int held_first(struct world *w, struct node *n)
{
    return number(w, n, SQL_HELD_FIRST);
}

static void decide(struct world *w, struct node *n, int id, bool release)
{
    char *args = malloc(32);

    if (args == NULL)
        abort();
    (void)snprintf(args, 32, "{\"id\":%d}", id);
    STORY(w, n, "decides what is held: %s %d", release ? "release" : "undo", id);
    node_command(w, n, release ? "release" : "undo", args);
}

bool actor_decide_all(struct world *w, struct node *n)
{
    int id = held_first(w, n);

    if (id != 0)
        decide(w, n, id, (w->plan->seed + (uint64_t)id) % 2 == 0);
    return id != 0 || number(w, n, SQL_HELD_COUNT) > 0;
}

/* Undone: somebody decided that these live, also the last ones of the set, which the decision itself harvests. */
static void undoing(struct world *w, struct node *n, const char *args)
{
    sqlite3_stmt *s = prepared(w, n, "SELECT t.name, NULL, h.key FROM perche_held h JOIN perche_tab t ON t.num = h.tab"
                                     " WHERE h.held = json_extract(?1, '$.id')"
                                     " UNION ALL SELECT t.name, '[\"' || c.k1 || '\"]', NULL FROM perche_held_set s"
                                     " JOIN perche_capture c ON c.tab = s.tab AND c.mask = 0 AND c.n <= s.upto JOIN perche_tab t ON t.num = s.tab"
                                     " WHERE s.id = json_extract(?1, '$.id')");

    if (s == NULL)
        return;
    sqlite3_bind_text(s, 1, args, -1, SQLITE_STATIC);
    while (sqlite3_step(s) == SQLITE_ROW)
        for (int i = 0; i < TABLES; i++) {
            const char *captured = (const char *)sqlite3_column_text(s, 1);
            char json[48];
            int row;

            if (strcmp(specs[i].name, (const char *)sqlite3_column_text(s, 0)) != 0 ||
                (captured == NULL && !held_json(sqlite3_column_blob(s, 2), sqlite3_column_bytes(s, 2), json)))
                continue;
            row = row_find(w, i, captured != NULL ? captured : json);
            if (row >= 0)
                w->rows[row].resolved = true;
        }
    program_done(w, n, s);
}

void actor_resolve(struct world *w, struct node *n, const struct step *st)
{
    sqlite3_stmt *s;
    uint32_t count = 0;
    char *args;

    if (!n->up)
        return;
    if (st->d % 2 && held_first(w, n) != 0) {
        decide(w, n, held_first(w, n), st->c % 2);
        return;
    }
    s = prepared(w, n, SQL_OPEN_CONFLICTS);
    if (s == NULL)
        return;
    while (sqlite3_step(s) == SQLITE_ROW)
        count++;
    sqlite3_reset(s);
    for (uint64_t i = 0; count > 0 && i <= st->b % count; i++)
        (void)sqlite3_step(s);
    if (count > 0) {
        args = malloc(256);
        if (args == NULL)
            abort();
        (void)snprintf(args, 256, "{\"id\":\"%s\",\"take\":\"%s\",\"reason\":\"as the file says\",\"by\":\"somebody\"}",
                       (const char *)sqlite3_column_text(s, 0), st->c % 2 ? "a" : "b");
        STORY(w, n, "resolves conflict %s: %s", (const char *)sqlite3_column_text(s, 0), st->c % 2 ? "a" : "b");
        node_command(w, n, "resolve", args);
    }
    program_done(w, n, s);
}

static struct {
    uint32_t first, count;
} resolving;

void actor_resolving(struct world *w, struct node *n, const struct work *work)
{
    const char *args = work->args != NULL ? work->args : "", *p = strstr(args, "\"id\":\"");
    bool a = strstr(args, "\"take\":\"a\"") != NULL;
    sqlite3_stmt *s;

    resolving.first = w->writes_count + 1;
    if (strcmp(work->name, "undo") == 0)
        undoing(w, n, args);
    if (p == NULL)
        return;
    s = prepared(w, n, "SELECT tab, key, col, a_value, b_value FROM perche_conflict WHERE id = substr(?1, 1, 36) AND state = 'open'");
    if (s == NULL)
        return;
    sqlite3_bind_text(s, 1, p + 6, -1, SQLITE_TRANSIENT);
    if (sqlite3_step(s) == SQLITE_ROW) {
        int table = -1, row;

        for (int i = 0; i < TABLES; i++)
            if (strcmp(specs[i].name, (const char *)sqlite3_column_text(s, 0)) == 0)
                table = i;
        row = table >= 0 ? row_find(w, table, (const char *)sqlite3_column_text(s, 1)) : -1;
        if (row >= 0) {
            uint32_t side_a = token_of(s, 3), side_b = token_of(s, 4), taken = a ? side_a : side_b;
            struct shown shown;
            struct write *x;
            int col = COL_INSERT;

            for (int i = 0; i < columns_of(&specs[table]); i++)
                if (strcmp(specs[table].columns[i].name, (const char *)sqlite3_column_text(s, 2)) == 0)
                    col = i;
            show(w, n, row, &shown);
            x = &w->writes[writes_add(w, n->index, (uint32_t)row, col)];
            x->again = true;
            if (taken != 0)
                x->value_of = taken;
            for (int i = 0; i < 2; i++) {
                uint32_t side = i ? side_b : side_a;

                if (side == 0 || side > w->writes_count)
                    continue;
                bit_set(x->seen, side);
                bits_add(x->knew, w->writes[side].knew);
            }
            see(w, x, &shown, -1);
            w->rows[row].resolved = true;
        }
    }
    program_done(w, n, s);
}

void actor_resolved(struct world *w, struct node *n, const struct work *work, const struct outcome *o)
{
    bool release = strcmp(work->name, "release") == 0;

    if (release || strcmp(work->name, "undo") == 0)
        w->counts[o->rc != PERCHE_OK ? COUNT_DECIDE_MISSED : release ? COUNT_RELEASE : COUNT_UNDO]++;
    if (strcmp(work->name, "resolve") != 0)
        return;
    if (o->rc == PERCHE_OK) {
        w->counts[COUNT_RESOLVE]++;
        return;
    }
    (void)n;
    w->counts[COUNT_RESOLVE_MISSED]++;
    for (uint32_t i = resolving.first; i <= w->writes_count; i++)
        w->writes[i].dead = true;
}

/* ---- the beginning ---------------------------------------------------------------- */

/* At each site a learner with an enrolment, a cohort, a project; some learners shared. The hub writes them. */
void actors_fill(struct world *w)
{
    struct node *hub = &w->nodes[HUB];
    struct chance c;
    int shared = -1;

    chance_seed(&c, 1, 1);
    (void)exec(w, hub, "BEGIN IMMEDIATE");
    for (uint32_t i = 1; i < w->nodes_count; i++) {
        static const int tables[] = {T_LEARNER, T_COHORT, T_PROJECT, T_UNIT, T_ENROLMENT, T_CONTACT, T_HALF_DAY, T_DECISION};
        int learner = -1, enrolment = -1, cohort = -1;

        for (size_t k = 0; k < sizeof tables / sizeof *tables; k++) {
            struct statement s = {.w = w, .n = hub, .how = HOW_INSERT, .mask = all_columns(&specs[tables[k]]), .quiet = true};
            char id[40];
            const char *key[2] = {id, "W4"};

            uuid(&c, EPOCH_MS, id);
            if (tables[k] == T_DECISION)
                key[0] = w->rows[enrolment].key[0];
            s.row = row_note(w, tables[k], key);
            switch (tables[k]) {
            case T_LEARNER: learner = s.row; break;
            case T_COHORT: cohort = s.row; break;
            case T_ENROLMENT: enrolment = s.row; break;
            default: break;
            }
            (void)snprintf(w->rows[s.row].links[0], PERCHE_ID_BYTES_MAX, "%s",
                           tables[k] == T_CONTACT || tables[k] == T_ENROLMENT ? w->rows[learner].key[0]
                           : tables[k] == T_HALF_DAY                          ? w->rows[cohort].key[0]
                           : tables[k] == T_DECISION                          ? w->rows[enrolment].key[0]
                                                                              : w->nodes[i].id);
            if (tables[k] == T_ENROLMENT)
                (void)snprintf(w->rows[s.row].links[1], PERCHE_ID_BYTES_MAX, "%s", w->nodes[i].id);
            (void)run(&s);
        }
        for (int other = 0; other < 2; other++) { /* the learner of the site before is enrolled here, too; everybody shares one */
            struct statement s = {.w = w, .n = hub, .how = HOW_INSERT, .mask = all_columns(&specs[T_ENROLMENT]), .quiet = true};
            char id[40];
            const char *key[1] = {id};

            if (other == 0 && shared < 0)
                shared = learner;
            if (other == 1 || i == 1)
                continue;
            uuid(&c, EPOCH_MS, id);
            s.row = row_note(w, T_ENROLMENT, key);
            (void)snprintf(w->rows[s.row].links[0], PERCHE_ID_BYTES_MAX, "%s", w->rows[shared].key[0]);
            (void)snprintf(w->rows[s.row].links[1], PERCHE_ID_BYTES_MAX, "%s", w->nodes[i].id);
            (void)run(&s);
        }
    }
    for (int k = 0; k < 3; k++) {
        struct statement s = {.w = w, .n = hub, .how = HOW_INSERT, .mask = all_columns(&specs[k ? T_CODE : T_ORGANISATION]), .quiet = true};
        char id[40];
        const char *key[2] = {k ? "sim" : id, k == 1 ? "ONE" : "TWO"};

        uuid(&c, EPOCH_MS, id);
        s.row = row_note(w, k ? T_CODE : T_ORGANISATION, key);
        (void)run(&s);
    }
    (void)exec(w, hub, "COMMIT");
    node_changed(w, hub);
}

static void ask_ahead(struct world *w, struct node *n, const char *sql)
{
    program_done(w, n, prepared(w, n, sql));
}

/* Every story writes with these: compiled here, they are compiled once for all stories. */
void actors_ask_ahead(struct world *w, struct node *n)
{
    char sql[SQL_BYTES];

    for (int table = 0; table < T_CLUB; table++) {
        const struct table_spec *t = &specs[table];

        choose_text(n, table, false, sql);
        ask_ahead(w, n, sql);
        show_text(t, sql);
        ask_ahead(w, n, sql);
        if (t->weight == 0 || (t->reference && n->index != HUB))
            continue;
        run_text(HOW_INSERT, t, all_columns(t), sql);
        ask_ahead(w, n, sql);
        if (t->append)
            continue;
        delete_text(t, sql);
        ask_ahead(w, n, sql);
        for (int i = 0; i < columns_of(t); i++) {
            run_text(HOW_UPDATE, t, (uint16_t)(1u << i), sql);
            if (t->columns[i].kind == TOKEN || t->columns[i].kind == NUMBER)
                ask_ahead(w, n, sql);
        }
    }
    ask_ahead(w, n, SQL_HELD_FIRST);
    ask_ahead(w, n, SQL_HELD_COUNT);
    ask_ahead(w, n, SQL_CROWD_COUNT);
    ask_ahead(w, n, SQL_OPEN_CONFLICTS);
}
