/* The brake: what looks like a slip waits for a person.
 *
 * Before a harvest begins, what it would delete is counted, table by table, net: a
 * key that is deleted and inserted again is no deletion. Above the bound the
 * deletions of that table are held. A held row is alive for everybody else: its
 * metadata and its digest stay, its image stands in perche_row beside its clock
 * (META_HELD), and what comes for it is merged into that. Only the table lacks it.
 * So proof, push and pull need not know; whoever finds rows by a statement about
 * the table itself asks held_next() too, or held_child_next() where it looks for the children of one row.
 *
 * A program that inserts the key again ends the waiting (harvest.c), and so does a
 * deletion that comes from elsewhere (apply.c). A person releases a set, which
 * deletes its rows as of now, or undoes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/command.h"
#include "replica/pack.h"
#include "replica/query.h"
#include "replica/statements.h"

#define SHOWN_ROWS_MAX 200   /* of a set, unless more are asked for */
#define SHOWN_COLUMNS 4      /* of a row ... */
#define SHOWN_BYTES   100000 /* ... with no more each */

/* ---- entries -------------------------------------------------------------------- */

/* Gives the statement back; the first number of its first row, 0 = there is none. */
static int64_t first_number(struct replica *r, sqlite3_stmt *s)
{
    int step = sqlite3_step(s);
    int64_t n = step == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;

    if (step != SQLITE_ROW && step != SQLITE_DONE)
        (void)fail_sqlite(r, step, "look at what is held");
    sql_done(s);
    return n;
}

static int64_t number_of(struct replica *r, enum statement_id id, int64_t with)
{
    sqlite3_stmt *s = sql(r, id);

    if (sqlite3_bind_parameter_count(s) > 0)
        sqlite3_bind_int64(s, 1, with);
    return first_number(r, s);
}

void held_look(struct replica *r)
{
    r->holding = r->sql != NULL && number_of(r, SQL_HELD_ANY, 0) != 0; /* NULL while the file is made */
}

int64_t held_in(struct replica *r, const struct table *t, struct perche_bytes key)
{
    sqlite3_stmt *s;

    if (!r->holding)
        return 0;
    s = sql(r, SQL_HELD_GET);
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
    return first_number(r, s);
}

enum perche_rc held_put(struct replica *r, struct meta *m, int64_t set)
{
    sqlite3_stmt *s = sql(r, SQL_HELD_PUT);

    m->flags |= META_HELD;
    r->holding = true;
    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, set);
    return sql_run(r, s, "hold a deletion");
}

static enum perche_rc end_sets(struct replica *r)
{
    return sql_run(r, sql(r, SQL_HELD_SETS_END), "end what was held");
}

enum perche_rc held_end(struct replica *r, struct meta *m)
{
    sqlite3_stmt *s = sql(r, SQL_HELD_END);
    enum perche_rc rc;

    m->flags &= ~(uint32_t)META_HELD;
    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    rc = sql_run(r, s, "end a held deletion");
    if (rc != PERCHE_OK)
        return rc;
    s = sql(r, SQL_HELD_CHILD_END);
    sqlite3_bind_int64(s, 1, m->table->num);
    sqlite3_bind_blob(s, 2, m->key, (int)m->key_n, SQLITE_STATIC);
    rc = sql_run(r, s, "end a held deletion");
    return rc == PERCHE_OK ? end_sets(r) : rc;
}

bool held_next(struct replica *r, const struct table *t, uint8_t *key, uint32_t *key_n)
{
    sqlite3_stmt *s;

    if (!r->holding || r->fail != PERCHE_OK)
        return false;
    s = sql(r, SQL_HELD_TABLE);
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, key, (int)*key_n, SQLITE_STATIC);
    return sql_key(r, s, key, key_n);
}

/* ---- whom they name ------------------------------------------------------------- */

static enum perche_rc link_to(struct replica *r, const struct meta *m, const struct table *parent, struct perche_bytes key)
{
    sqlite3_stmt *s = sql(r, SQL_HELD_CHILD_PUT);

    sqlite3_bind_int64(s, 1, parent->num);
    sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, m->table->num);
    sqlite3_bind_blob(s, 4, m->key, (int)m->key_n, SQLITE_STATIC);
    return sql_run(r, s, "remember whom a held row names");
}

/* The rows of @t, of a `members` rule, whose set this one has a part in. */
static enum perche_rc link_members(struct replica *r, const struct meta *m, const struct perche_value *values, const struct table *t)
{
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && i < t->parts_count; i++) {
        const struct rule_part *part = &t->parts[i];
        struct perche_value via, keys[PERCHE_KEY_COLUMNS_MAX];
        char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n;

        if (part->child_site != NULL && strcmp(part->table, m->table->name) == 0 && scope_named_value(m, values, part->child_via, &via, keys, scratch) &&
            perche_key_encode(&via, 1, key, &key_n) == PERCHE_OK)
            rc = link_to(r, m, t, (struct perche_bytes){key, key_n});
    }
    return rc;
}

enum perche_rc held_link(struct replica *r, struct meta *m)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    enum perche_rc rc = row_values(r, m, values);

    for (uint32_t i = 0; rc == PERCHE_OK && m->table->rule == RULE_PARENT && i < m->table->parts_count; i++) {
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        struct table *parent;
        uint32_t key_n;

        if (scope_parent_key(r, m, values, i, &parent, key, &key_n))
            rc = link_to(r, m, parent, (struct perche_bytes){key, key_n});
    }
    for (uint32_t i = 0; rc == PERCHE_OK && m->table->member_child && registry_at(r, i) != NULL; i++)
        if (registry_at(r, i)->rule == RULE_MEMBERS)
            rc = link_members(r, m, values, registry_at(r, i));
    return rc;
}

enum perche_rc held_link_all(struct replica *r)
{
    struct table *t;

    for (uint32_t i = 0; r->holding && r->fail == PERCHE_OK && (t = registry_at(r, i)) != NULL; i++) {
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n = 0;

        while (held_next(r, t, key, &key_n)) {
            struct meta *m = malloc(sizeof *m);

            if (m == NULL)
                return fail(r, PERCHE_NOMEM, "no memory for a held row");
            if (meta_load(r, t, (struct perche_bytes){key, key_n}, m) == PERCHE_OK && m->stored && m->flags & META_HELD)
                (void)held_link(r, m);
            meta_clear(m);
            free(m);
        }
    }
    return r->fail;
}

bool held_child_next(struct replica *r, const struct table *parent, struct perche_bytes parent_key, const struct table *t,
                     uint8_t *key, uint32_t *key_n)
{
    sqlite3_stmt *s;

    if (!r->holding || r->fail != PERCHE_OK)
        return false;
    s = sql(r, SQL_HELD_CHILD_NEXT);
    sqlite3_bind_int64(s, 1, parent->num);
    sqlite3_bind_blob(s, 2, parent_key.p, (int)parent_key.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, t->num);
    sqlite3_bind_blob(s, 4, key, (int)*key_n, SQLITE_STATIC);
    return sql_key(r, s, key, key_n);
}

bool held_wishes(struct replica *r)
{
    return r->holding && number_of(r, SQL_HELD_WISHES, 0) != 0;
}

enum perche_rc brake_tell(struct replica *r, enum note_kind kind, uint32_t tab, int64_t set, int64_t rows)
{
    const char *table = tab_name(r, tab);
    char id[24];

    (void)snprintf(id, sizeof id, "%lld", (long long)set); /* fits */
    return note_add(r, kind, table != NULL ? table : "", "", id, (uint64_t)rows);
}

/* ---- the judgement ------------------------------------------------------------------ */

/* Does the row live, and stand in its table no more? Held ones are counted with their set. */
static bool goes(struct replica *r, struct table *t, struct perche_bytes key)
{
    sqlite3_stmt *s = sql(r, SQL_META_GET);
    int step;
    bool alive;

    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_blob(s, 2, key.p, (int)key.n, SQLITE_STATIC);
    step = sqlite3_step(s);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        (void)fail_sqlite(r, step, "read a row's metadata");
    alive = step == SQLITE_ROW && sqlite3_column_int64(s, 4) % 2 == 1 && !(sqlite3_column_int64(s, 5) & META_HELD);
    sql_done(s);
    return alive && data_exists(r, t, key) == PERCHE_NOT_FOUND;
}

/* Would more than @limit rows of the table be gone? Looks no further than that. */
static bool deletes_more(struct replica *r, struct table *t, uint64_t limit)
{
    sqlite3_stmt *s = ask(r, "SELECT DISTINCT k1, k2, k3, k4 FROM perche_capture WHERE tab = ?1 AND mask = 0");
    uint64_t gone = 0;

    if (s != NULL)
        sqlite3_bind_int64(s, 1, t->num);
    while (gone <= limit && ask_row(r, s, "count what a program deleted")) {
        struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t n;

        for (uint32_t i = 0; i < t->keys_count; i++)
            column_read(r, s, (int)i, &values[i]);
        if (perche_key_encode(values, t->keys_count, key, &n) == PERCHE_OK)
            gone += goes(r, t, (struct perche_bytes){key, n});
    }
    sqlite3_finalize(s);
    return r->fail == PERCHE_OK && gone > limit;
}

/* Who reads along is a right, and rights count as they stand: a held one would be in force for some records and not for others.
 * What it opened comes back when it is written again. */
static bool is_braked(const struct table *t)
{
    return t != NULL && t->present && strcmp(t->name, "site_reader") != 0;
}

static enum perche_rc judge_table(struct replica *r, struct table *t, uint64_t operations)
{
    int64_t live, limit;
    sqlite3_stmt *s;
    enum perche_rc rc = digests_store(r); /* they know how many rows live */

    if (rc != PERCHE_OK)
        return rc;
    live = ask_number(r, "SELECT coalesce(sum(rows), 0) FROM perche_digest WHERE tab = ?1", t->num, NULL) -
           ask_number(r, "SELECT count(*) FROM perche_held WHERE tab = ?1", t->num, NULL);
    limit = live * (int64_t)PERCHE_BRAKE_PERCENT / 100;
    if (limit < (int64_t)PERCHE_BRAKE_ROWS)
        limit = PERCHE_BRAKE_ROWS;
    if (r->fail != PERCHE_OK || operations <= (uint64_t)limit || !deletes_more(r, t, (uint64_t)limit))
        return r->fail;
    s = sql(r, SQL_HELD_SET_PUT);
    sqlite3_bind_int64(s, 1, t->num);
    sqlite3_bind_int64(s, 2, (sqlite3_int64)r->now_ms);
    sqlite3_bind_int64(s, 3, live);
    sqlite3_bind_int64(s, 4, r->judged);
    r->holding = true;
    return sql_run(r, s, "hold deletions");
}

/* Sets whose last deletion was harvested just now: they are whole, and people hear of them. */
static enum perche_rc tell_filled(struct replica *r)
{
    sqlite3_stmt *s = ask(r, "SELECT s.tab, s.id, count(*) FROM perche_held_set s JOIN perche_held h ON h.held = s.id WHERE s.upto > 0 GROUP BY s.id");
    enum perche_rc rc = PERCHE_OK;

    while (rc == PERCHE_OK && ask_row(r, s, "count what is held"))
        rc = brake_tell(r, NOTE_HELD, (uint32_t)sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2));
    sqlite3_finalize(s);
    return rc == PERCHE_OK ? r->fail : rc;
}

/* A crash may have left a range that was judged and only half harvested: its verdict stands. */
static int64_t judged_before(struct replica *r)
{
    int64_t upto = r->holding ? number_of(r, SQL_HELD_UPTO, 0) : 0;

    if (upto == 0 || number_of(r, SQL_CAPTURE_AT, upto) != 0)
        return upto;
    if (tell_filled(r) == PERCHE_OK)
        (void)sql_run(r, sql(r, SQL_HELD_FILLED), "end a set");
    return 0;
}

enum perche_rc brake_judge(struct replica *r)
{
    sqlite3_stmt *s;

    if (r->judged != 0 && number_of(r, SQL_CAPTURE_AT, r->judged) != 0)
        return r->fail;
    r->judged = judged_before(r);
    if (r->fail != PERCHE_OK || r->judged != 0)
        return r->fail;
    r->judged = number_of(r, SQL_CAPTURE_NEWEST, 0);
    if ((!r->hub && r->node.joined_ms == 0) || /* nobody else has ever had these rows */
        number_of(r, SQL_CAPTURE_GONE, PERCHE_BRAKE_ROWS + 1) <= (int64_t)PERCHE_BRAKE_ROWS)
        return r->fail;
    s = ask(r, "SELECT tab, count(*) FROM perche_capture WHERE mask = 0"
               " GROUP BY tab HAVING count(*) > ?1");
    if (s != NULL)
        sqlite3_bind_int64(s, 1, PERCHE_BRAKE_ROWS);
    while (ask_row(r, s, "count what programs deleted")) {
        struct table *t = registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 0));

        if (is_braked(t))
            (void)judge_table(r, t, (uint64_t)sqlite3_column_int64(s, 1));
    }
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc brake_judged(struct replica *r)
{
    enum perche_rc rc;

    r->judged = 0;
    if (!r->holding)
        return PERCHE_OK;
    rc = tell_filled(r);
    if (rc == PERCHE_OK)
        rc = sql_run(r, sql(r, SQL_HELD_FILLED), "end a set");
    return rc == PERCHE_OK ? end_sets(r) : rc;
}

int64_t brake_set(struct replica *r, const struct meta *m)
{
    if (!r->holding)
        return 0;
    if (m->flags & META_HELD)
        return held_in(r, m->table, (struct perche_bytes){m->key, m->key_n});
    return number_of(r, SQL_HELD_FILLING, m->table->num);
}

/* ---- people --------------------------------------------------------------------------- */

#define SETS "SELECT s.id, s.tab, s.at_ms, s.live, s.wish, (SELECT count(*) FROM perche_held h WHERE h.held = s.id) FROM perche_held_set s"

static void write_number(struct json *j, const char *name, int64_t v)
{
    out_key(j, name);
    out_int(j, v);
}

static void write_text(struct json *j, const char *name, const char *v)
{
    out_key(j, name);
    out_text(j, v);
}

/* Members of a set, from a row of SETS. */
static void write_set(struct replica *r, struct json *j, sqlite3_stmt *s)
{
    static const char *const states[] = {"waiting", "releasing", "undoing"};

    write_number(j, "id", sqlite3_column_int64(s, 0));
    write_text(j, "table", tab_name(r, (uint32_t)sqlite3_column_int64(s, 1)));
    out_key(j, "at");
    out_time(j, (uint64_t)sqlite3_column_int64(s, 2));
    write_number(j, "rows", sqlite3_column_int64(s, 5));
    write_number(j, "of", sqlite3_column_int64(s, 3));
    write_text(j, "state", states[sqlite3_column_int(s, 4) % 3]);
}

static void write_held_row(struct replica *r, struct json *j, struct table *t, struct perche_bytes key)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct meta m;
    char *json = ask_key_json(r, key);

    out_open(j, '{');
    out_key(j, "key");
    if (json != NULL)
        out_raw(j, json);
    else
        out_null(j);
    out_key(j, "columns");
    out_open(j, '{');
    if (meta_load(r, t, key, &m) == PERCHE_OK && row_values(r, &m, values) == PERCHE_OK)
        for (uint32_t num = 1, shown = 0; num < m.count && shown < SHOWN_COLUMNS; num++) {
            if (values[num].type == PERCHE_NULL || out_size(&values[num]) > SHOWN_BYTES)
                continue;
            out_key(j, t->columns[num - 1].name);
            out_value(j, &values[num]);
            shown++;
        }
    out_close(j, '}');
    out_close(j, '}');
    meta_clear(&m);
    free(json);
}

static void write_held_rows(struct replica *r, struct json *j, int64_t set, struct table *t, int64_t limit)
{
    sqlite3_stmt *s = ask(r, "SELECT key FROM perche_held WHERE held = ?1 ORDER BY key LIMIT ?2");
    int64_t n = 0;
    bool more = false;

    if (s != NULL) {
        sqlite3_bind_int64(s, 1, set);
        sqlite3_bind_int64(s, 2, limit + 1);
    }
    out_key(j, "entries");
    out_open(j, '[');
    while (!more && ask_row(r, s, "read what is held")) {
        struct perche_bytes key = {sqlite3_column_blob(s, 0), (uint32_t)sqlite3_column_bytes(s, 0)};

        more = n++ == limit || out_full(j);
        if (!more && t != NULL && key.n <= PERCHE_KEY_BYTES_MAX)
            write_held_row(r, j, t, key);
    }
    out_close(j, ']');
    out_key(j, "more");
    out_bool(j, more);
    sqlite3_finalize(s);
}

/* The set that argument "id" names, in @s, a row of SETS. */
static enum perche_rc find_set(struct replica *r, struct args *a, sqlite3_stmt **s)
{
    int64_t id = args_number(r, a, "id", 0);

    *s = NULL;
    if (r->fail != PERCHE_OK)
        return r->fail;
    *s = ask(r, SETS " WHERE s.id = ?1");
    if (*s != NULL)
        sqlite3_bind_int64(*s, 1, id);
    if (ask_row(r, *s, "look for what is held"))
        return PERCHE_OK;
    sqlite3_finalize(*s);
    *s = NULL;
    return r->fail != PERCHE_OK ? r->fail : fail(r, PERCHE_NOT_FOUND, "nothing is held under this number: perche held lists what is");
}

enum perche_rc query_held(struct replica *r, struct args *a, struct json *j)
{
    int64_t limit = args_number(r, a, "limit", SHOWN_ROWS_MAX);
    sqlite3_stmt *s;
    bool more = false;

    if (args_find(r, a, "id").kind != 0 && args_find(r, a, "id").kind != 'n') {
        if (find_set(r, a, &s) != PERCHE_OK)
            return r->fail;
        write_set(r, j, s);
        write_held_rows(r, j, sqlite3_column_int64(s, 0), registry_table_num(r, (uint32_t)sqlite3_column_int64(s, 1)),
                        limit < 0 ? 0 : limit);
        sqlite3_finalize(s);
        return r->fail;
    }
    s = ask(r, SETS " ORDER BY s.id");
    out_key(j, "held");
    out_open(j, '[');
    while (!more && ask_row(r, s, "read what is held")) {
        more = out_full(j);
        if (more)
            break;
        out_open(j, '{');
        write_set(r, j, s);
        out_close(j, '}');
    }
    out_close(j, ']');
    out_key(j, "more");
    out_bool(j, more);
    sqlite3_finalize(s);
    return r->fail;
}

/* The first rows at once, further ones with the next harvests, so that no transaction is longer than a chunk. */
static enum perche_rc decide(struct replica *r, struct args *a, struct json *j, int wish)
{
    sqlite3_stmt *s;
    int64_t id, waiting, left;
    uint64_t rows = 0, refused = 0;
    char table[PERCHE_NAME_BYTES_MAX];
    const char *name;
    uint32_t tab;
    bool more = false;
    enum perche_rc rc = harvest_all(r); /* a row that a program inserted again waits no longer */

    if (rc == PERCHE_OK)
        rc = find_set(r, a, &s);
    if (rc != PERCHE_OK)
        return rc;
    id = sqlite3_column_int64(s, 0);
    tab = (uint32_t)sqlite3_column_int64(s, 1);
    name = tab_name(r, tab);
    (void)snprintf(table, sizeof table, "%s", name != NULL ? name : "");
    waiting = sqlite3_column_int64(s, 5);
    if (sqlite3_column_int(s, 4) != 0)
        rc = fail(r, PERCHE_STATE, "this was decided already and is being carried out");
    else if (registry_table(r, table) == NULL || !registry_table(r, table)->present)
        rc = fail(r, PERCHE_STATE, "the table %s is not in the file any more: make it again first", table);
    sqlite3_finalize(s);
    s = rc == PERCHE_OK ? ask(r, "UPDATE perche_held_set SET wish = ?2 WHERE id = ?1") : NULL;
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, id);
        sqlite3_bind_int(s, 2, wish);
    }
    if (rc == PERCHE_OK)
        rc = ask_run(r, s, "note a decision");
    if (rc == PERCHE_OK)
        rc = brake_tell(r, wish == HELD_RELEASE ? NOTE_RELEASED : NOTE_UNDONE, tab, id, waiting);
    if (rc == PERCHE_OK)
        rc = held_carry_out(r, PERCHE_HARVEST_CHUNK_ROWS, &rows, &refused, &more);
    if (rc != PERCHE_OK)
        return rc;
    left = ask_number(r, "SELECT count(*) FROM perche_held WHERE held = ?1", id, NULL);
    write_number(j, "id", id);
    write_text(j, "table", table);
    write_number(j, "rows", waiting);
    write_number(j, "left", left);
    write_number(j, "refused", (int64_t)refused);
    return r->fail;
}

enum perche_rc command_release(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    (void)w;
    return decide(r, a, j, HELD_RELEASE);
}

enum perche_rc command_undo(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    (void)w;
    return decide(r, a, j, HELD_UNDO);
}
