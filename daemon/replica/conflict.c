/* Conflicts: rows of perche_conflict, replicated like any other (DESIGN 4.4).
 *
 * Two nodes that find the same conflict make the same row: its id and its cells
 * come from the two sides alone. Resolving is an ordinary write of the value and
 * of the conflict's own columns, all with one stamp. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/ask.h"
#include "replica/digest.h"
#include "replica/statements.h"

/* ---- raising ------------------------------------------------------------------------ */

/* In order of stamp, then id, then value. */
static bool is_higher(struct replica *r, const struct conflict_side *a,
                      const struct conflict_side *b)
{
    int c;

    if (a->stamp != b->stamp)
        return a->stamp > b->stamp;
    c = a->origin == b->origin ? 0 : strcmp(name_text(r, a->origin), name_text(r, b->origin));
    return c != 0 ? c > 0 : perche_value_compare(&a->value, &b->value) > 0;
}

struct id_text {
    uint8_t p[2 * PERCHE_KEY_BYTES_MAX + 6 * PERCHE_NAME_BYTES_MAX + 2 * (PERCHE_ID_BYTES_MAX + 8) +
              32];
    size_t n;
};

static void id_add(struct id_text *t, const void *p, size_t n)
{
    assert(n <= sizeof t->p - t->n);
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void id_add_number(struct id_text *t, uint64_t v)
{
    uint8_t p[8];

    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
    id_add(t, p, 8);
}

static void id_add_text(struct id_text *t, const char *text)
{
    id_add(t, text, strlen(text) + 1);
}

/* XXH3-128 of table, key, column, second key (none), lower side, higher side. */
static void conflict_id(struct replica *r, const struct meta *row, const char *column,
                        const struct conflict_side *low, const struct conflict_side *high,
                        uint8_t id[16])
{
    struct id_text t = {.n = 0};

    id_add_text(&t, row->table->name);
    id_add_number(&t, row->key_n);
    id_add(&t, row->key, row->key_n);
    id_add_text(&t, column);
    id_add_number(&t, 0);
    id_add_number(&t, low->stamp);
    id_add_text(&t, name_text(r, low->origin));
    id_add_number(&t, high->stamp);
    id_add_text(&t, name_text(r, high->origin));
    digest_hash(t.p, t.n, id);
}

/* Of two rows: the key of the other one is part of the question's identity. */
static void conflict_id_pair(struct replica *r, const struct meta *row, const char *what,
                             struct perche_bytes other, const struct conflict_side *low,
                             const struct conflict_side *high, uint8_t id[16])
{
    struct id_text t = {.n = 0};

    id_add_text(&t, row->table->name);
    id_add_number(&t, row->key_n);
    id_add(&t, row->key, row->key_n);
    id_add_text(&t, what);
    id_add_number(&t, other.n);
    id_add(&t, other.p, other.n);
    id_add_number(&t, low->stamp);
    id_add_text(&t, name_text(r, low->origin));
    id_add_number(&t, high->stamp);
    id_add_text(&t, name_text(r, high->origin));
    digest_hash(t.p, t.n, id);
}

static struct perche_value text_value(const char *text)
{
    return (struct perche_value){
        .type = PERCHE_TEXT, .n = (uint32_t)strlen(text), .p = (const uint8_t *)text};
}

static struct perche_value number_value(uint64_t i)
{
    return (struct perche_value){.type = PERCHE_INTEGER, .i = (int64_t)i};
}

/* Puts a value under the column's number; false when perche_conflict has no such column. */
static bool set(struct table *t, struct perche_value *values, uint64_t *mask, const char *name,
                struct perche_value v)
{
    struct column *c = table_column(t, name);

    if (c == NULL)
        return false;
    values[c->num] = v;
    *mask |= UINT64_C(1) << (c->num - 1);
    return true;
}

static struct table *conflict_table(struct replica *r)
{
    struct table *t = registry_table(r, "perche_conflict");

    if (t == NULL || !t->present) {
        (void)fail(r, PERCHE_CORRUPT, "the table perche_conflict is gone: put a backup back");
        return NULL;
    }
    return t;
}

/* Writes columns of a conflict; the table takes them from nobody but us (capture.c, guard_texts), and a harvest or a
 * command may have triggers on. Not applying_begin(): who looks for questions is in the middle of a statement, and turning
 * triggers off expires it. A failure ends the work, and the flag goes back with it. */
static enum perche_rc write_row(struct replica *r, struct meta *m, uint64_t mask, const struct perche_value *values)
{
    bool flagged = !r->applying && !r->triggers_off;
    enum perche_rc rc = flagged ? exec(r, "UPDATE perche_flag SET applying = 1") : PERCHE_OK;

    if (rc == PERCHE_OK)
        rc = data_upsert(r, m->table, (struct perche_bytes){m->key, m->key_n}, mask, values);
    if (rc == PERCHE_OK && flagged)
        rc = exec(r, "UPDATE perche_flag SET applying = 0");
    return rc;
}

/* A conflict row as it is made: every cell with stamp and origin of the later side. */
static enum perche_rc conflict_insert(struct replica *r, struct meta *m, uint32_t scope, const struct conflict_side *high,
                                      const struct perche_value *values, uint64_t mask)
{
    struct clock_cell cell = {
        .stamp = WITHOUT(B24_LATER_STAMP) ? next_stamp(r, r->now_ms) : high->stamp,
        .origin = WITHOUT(B24_LATER_STAMP) ? r->node.site_num : high->origin, .via = VIA_LOCAL, .written = true};
    enum perche_rc rc;

    m->lsn = m->entered = cell.lsn = next_lsn(r);
    m->first = r->hub ? 0 : m->lsn;
    m->gen = 1;
    m->flags = r->hub ? 0 : META_FRESH;
    m->scope = scope;
    for (uint32_t num = 0; num < m->count; num++)
        if (num == 0 || mask >> (num - 1) & 1)
            m->cells[num] = cell;
    rc = write_row(r, m, mask, values);
    if (rc != PERCHE_OK)
        return rc;
    digest_row(r, m, values, m->digest);
    if (r->fail != PERCHE_OK)
        return r->fail;
    rc = meta_save(r, m);
    return rc == PERCHE_OK ? scope_woken(r, scope, 0) : rc;
}

static enum perche_rc note(struct replica *r, const char *table, const char *kind, const uint8_t id[16])
{
    char text[37];

    perche_uuid_format(id, text);
    return note_add(r, NOTE_CONFLICT, table, kind, text, 1);
}

/* Is the text of a column of a conflict that came one of these? NULL: no. What a peer writes there is not repeated otherwise. */
static const char *one_of(struct table *t, const struct perche_value *values, uint64_t there, const char *name, const char *const *texts)
{
    const struct column *c = table_column(t, name);

    if (c == NULL || !(there >> (c->num - 1) & 1) || values[c->num].type != PERCHE_TEXT)
        return NULL;
    while (*texts != NULL && !(strlen(*texts) == values[c->num].n && memcmp(*texts, values[c->num].p, values[c->num].n) == 0))
        texts++;
    return *texts;
}

enum perche_rc conflict_came(struct replica *r, const struct meta *m, const struct perche_value *values, uint64_t there)
{
    static const char *const open[] = {"open", NULL}, *const kinds[] = {"review", "deleted", "unique", "rule", NULL};
    const struct column *tab = table_column(m->table, "tab");
    const char *kind = one_of(m->table, values, there, "kind", kinds);
    char name[PERCHE_NAME_BYTES_MAX] = "";

    if (m->key_n != 16 || one_of(m->table, values, there, "state", open) == NULL)
        return PERCHE_OK;
    if (tab != NULL && there >> (tab->num - 1) & 1 && values[tab->num].type == PERCHE_TEXT && values[tab->num].n < sizeof name)
        memcpy(name, values[tab->num].p, values[tab->num].n);
    return note(r, registry_table(r, name) != NULL ? name : "?", kind != NULL ? kind : "?", m->key);
}

/* Writes the row of this question unless it is there: the other node, or an earlier batch, may have found it too. */
static enum perche_rc ask_once(struct replica *r, const struct meta *row, const char *column,
                               const char *kind, const struct conflict_side *low,
                               const struct conflict_side *high, const uint8_t id[16])
{
    bool open = strcmp(kind, "lww") != 0;
    struct table *t = conflict_table(r);
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    uint32_t scope = row->scope;
    uint64_t mask = 0;
    struct meta m;
    char *key;
    enum perche_rc rc;

    if (t == NULL)
        return r->fail;
    if (row->table->is_system || row->flags & META_ERASED || (WITHOUT(D8_SAME_TIME) && low->stamp >> 16 == high->stamp >> 16))
        return PERCHE_OK;
    rc = meta_load(r, t, (struct perche_bytes){id, 16}, &m);
    if (rc != PERCHE_OK || m.stored) {
        if (rc == PERCHE_OK)
            meta_clear(&m);
        return rc;
    }
    if (scope == 0)
        scope = name_number(r, "");
    key = ask_key_json(r, (struct perche_bytes){row->key, row->key_n});
    if (scope == 0 || key == NULL) {
        free(key);
        return r->fail;
    }
    if (set(t, values, &mask, "tab", text_value(row->table->name)) &&
        set(t, values, &mask, "key", text_value(key)) &&
        set(t, values, &mask, "col", text_value(column)) &&
        set(t, values, &mask, "kind", text_value(kind)) &&
        set(t, values, &mask, "a_value", low->value) &&
        set(t, values, &mask, "a_site", text_value(name_text(r, low->origin))) &&
        set(t, values, &mask, "a_at", number_value(low->stamp >> 16)) &&
        set(t, values, &mask, "b_value", high->value) &&
        set(t, values, &mask, "b_site", text_value(name_text(r, high->origin))) &&
        set(t, values, &mask, "b_at", number_value(high->stamp >> 16)) &&
        set(t, values, &mask, "state", text_value(open ? "open" : "resolved")) &&
        set(t, values, &mask, "value", open ? (struct perche_value){0} : high->value) &&
        set(t, values, &mask, "resolved_by", (struct perche_value){0}) &&
        set(t, values, &mask, "resolved_at",
            open ? (struct perche_value){0} : number_value(high->stamp >> 16)) &&
        set(t, values, &mask, "reason", open ? (struct perche_value){0} : text_value("latest"))) {
        rc = conflict_insert(r, &m, scope, high, values, mask);
        if (rc == PERCHE_OK && open)
            rc = note(r, row->table->name, kind, id);
    } else {
        rc = fail(r, PERCHE_CORRUPT, "perche_conflict lacks a column: put a backup back");
    }
    free(key);
    meta_clear(&m);
    return rc;
}

enum perche_rc conflict_raise(struct replica *r, const struct meta *row, uint16_t num,
                              const char *kind, const struct conflict_side *a,
                              const struct conflict_side *b)
{
    const struct conflict_side *low = is_higher(r, a, b) ? b : a, *high = low == a ? b : a;
    const char *column = num == 0 ? "" : row->table->columns[num - 1].name;
    uint8_t id[16];

    conflict_id(r, row, column, low, high, id);
    return ask_once(r, row, column, kind, low, high, id);
}

enum perche_rc conflict_raise_pair(struct replica *r, const struct meta *row, const char *kind, const char *what,
                                   const struct conflict_side *own, struct perche_bytes other_key,
                                   const struct conflict_side *other, uint8_t id[16])
{
    const struct conflict_side *low = is_higher(r, own, other) ? other : own,
                               *high = low == own ? other : own;

    conflict_id_pair(r, row, what, other_key, low, high, id);
    return ask_once(r, row, what, kind, low, high, id);
}

/* As conflict_insert(): no history, which keeps what people and programs wrote. Stamped before the write that has made it so: a
 * person's answer has the stamp of its value, and stands when it arrives behind that. */
static enum perche_rc restate(struct replica *r, struct table *t, struct meta *m, const char *state, struct perche_value at, struct perche_value reason, uint64_t stamp)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    struct clock_cell cell = {.stamp = stamp - 1, .origin = r->node.site_num, .via = VIA_LOCAL, .written = true};
    uint64_t mask = 0;
    enum perche_rc rc;

    if (!set(t, values, &mask, "state", text_value(state)) || !set(t, values, &mask, "resolved_at", at) || !set(t, values, &mask, "reason", reason))
        return fail(r, PERCHE_CORRUPT, "perche_conflict lacks a column: put a backup back");
    for (uint32_t num = 1; num < m->count; num++)
        if (mask >> (num - 1) & 1 && m->cells[num].written && m->cells[num].stamp >= cell.stamp)
            cell.stamp = m->cells[num].stamp + 1;
    m->lsn = cell.lsn = next_lsn(r);
    for (uint32_t num = 1; num < m->count; num++)
        if (mask >> (num - 1) & 1)
            m->cells[num] = cell;
    rc = write_row(r, m, mask, values);
    if (rc == PERCHE_OK)
        rc = row_values(r, m, values);
    if (rc == PERCHE_OK) {
        digest_row(r, m, values, m->digest);
        rc = meta_save(r, m);
    }
    return rc == PERCHE_OK ? scope_woken(r, m->scope, 0) : rc;
}

enum perche_rc conflict_moot(struct replica *r, const uint8_t id[16], const char *reason, uint64_t stamp)
{
    struct table *t = conflict_table(r);
    struct meta m;
    enum perche_rc rc = t != NULL ? meta_load(r, t, (struct perche_bytes){id, 16}, &m) : r->fail;

    if (rc != PERCHE_OK)
        return rc;
    if (meta_alive(&m))
        rc = restate(r, t, &m, "moot", number_value(r->now_ms), text_value(reason), stamp);
    meta_clear(&m);
    return rc != PERCHE_OK ? rc : r->fail;
}

enum perche_rc conflict_open_again(struct replica *r, const uint8_t id[16], uint64_t stamp)
{
    struct table *t = conflict_table(r);
    const struct column *state = t != NULL ? table_column(t, "state") : NULL;
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    struct meta m;
    enum perche_rc rc = t != NULL ? meta_load(r, t, (struct perche_bytes){id, 16}, &m) : r->fail;

    if (rc != PERCHE_OK)
        return rc;
    if (meta_alive(&m) && state != NULL && (rc = row_values(r, &m, values)) == PERCHE_OK && values[state->num].type == PERCHE_TEXT &&
        values[state->num].n == 4 && memcmp(values[state->num].p, "moot", 4) == 0)
        rc = restate(r, t, &m, "open", (struct perche_value){0}, (struct perche_value){0}, stamp);
    meta_clear(&m);
    return rc != PERCHE_OK ? rc : r->fail;
}

/* ---- scope ----------------------------------------------------------------------------- */

bool conflict_subject(struct replica *r, struct table *conflicts, const struct perche_value *values, struct meta *m)
{
    const struct column *tab = table_column(conflicts, "tab"),
                        *key = table_column(conflicts, "key");
    char name[PERCHE_NAME_BYTES_MAX], *json;
    uint8_t encoded[PERCHE_KEY_BYTES_MAX];
    uint32_t encoded_n;
    struct table *t;
    bool found = false;

    if (tab == NULL || key == NULL || values[tab->num].type != PERCHE_TEXT ||
        values[key->num].type != PERCHE_TEXT || values[tab->num].n >= sizeof name)
        return false;
    memcpy(name, values[tab->num].p, values[tab->num].n);
    name[values[tab->num].n] = '\0';
    t = registry_table(r, name);
    json = strndup((const char *)values[key->num].p, values[key->num].n);
    if (t != NULL && !t->is_system && json != NULL &&
        ask_key_parse(r, t, json, encoded, &encoded_n) &&
        meta_load(r, t, (struct perche_bytes){encoded, encoded_n}, m) == PERCHE_OK) {
        found = m->stored;
        if (!found)
            meta_clear(m);
    }
    free(json);
    return found;
}

uint32_t conflict_scope(struct replica *r, struct table *conflicts,
                        const struct perche_value *values)
{
    struct meta m;

    if (!conflict_subject(r, conflicts, values, &m))
        return 0;
    meta_clear(&m);
    return m.scope;
}

bool conflict_left(struct replica *r, struct table *conflicts, const struct perche_value *values, uint32_t site)
{
    struct meta m;

    if (!conflict_subject(r, conflicts, values, &m))
        return false;
    meta_clear(&m);
    return rights_left(r, site, m.table->num, m.key, m.key_n);
}

/* Sites that had the conflict and have it no more get a mark, those that have it now lose theirs. */
static enum perche_rc mark(struct replica *r, const struct meta *m, uint32_t old)
{
    const uint32_t *sites;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && i < scope_sites(r, old, &sites); i++) {
        uint32_t site = sites[i];
        sqlite3_stmt *s;

        if (site == r->node.site_num || scope_holds(r, m->scope, site))
            continue;
        s = sql(r, SQL_LEFT_PUT);
        sqlite3_bind_int64(s, 1, site);
        sqlite3_bind_int64(s, 2, m->table->num);
        sqlite3_bind_blob(s, 3, m->key, (int)m->key_n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 4, (sqlite3_int64)m->lsn);
        sqlite3_bind_int(s, 5, 0);
        rc = sql_run(r, s, "mark a conflict as left");
        if (rc == PERCHE_OK)
            rc = woken_add(r, site);
    }
    for (uint32_t i = 0; rc == PERCHE_OK && i < scope_sites(r, m->scope, &sites); i++) {
        sqlite3_stmt *s = sql(r, SQL_LEFT_END);

        sqlite3_bind_int64(s, 1, sites[i]);
        sqlite3_bind_int64(s, 2, m->table->num);
        sqlite3_bind_blob(s, 3, m->key, (int)m->key_n, SQLITE_STATIC);
        rc = sql_run(r, s, "end a mark");
    }
    return rc;
}

static enum perche_rc rescope_one(struct replica *r, struct table *t, const char *id,
                                  uint32_t scope)
{
    struct perche_value v = text_value(id);
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n, old;
    struct meta m;
    enum perche_rc rc;

    if (perche_key_encode(&v, 1, key, &key_n) != PERCHE_OK)
        return PERCHE_OK; /* not one of ours */
    rc = meta_load(r, t, (struct perche_bytes){key, key_n}, &m);
    if (rc != PERCHE_OK)
        return rc;
    old = m.scope;
    if (m.stored && old != scope) {
        m.scope = scope;
        if (r->hub) {
            m.lsn = m.entered = next_lsn(r);
            m.flags &= ~(uint32_t)META_AGREED;
        }
        rc = meta_save(r, &m);
        if (rc == PERCHE_OK && r->hub)
            rc = mark(r, &m, old);
        if (rc == PERCHE_OK && r->hub)
            rc = scope_woken(r, scope, 0);
    }
    meta_clear(&m);
    return rc;
}

static enum perche_rc rescope_all(struct replica *r, const struct meta *row, struct table *t,
                                  enum statement_id of, const char *key)
{
    sqlite3_stmt *s = sql(r, of);
    enum perche_rc rc = PERCHE_OK;

    sqlite3_bind_text(s, 1, row->table->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, key, -1, SQLITE_STATIC);
    while (rc == PERCHE_OK && ask_row(r, s, "find what names a row"))
        rc = rescope_one(r, t, ask_text(s, 0), row->scope);
    sql_done(s);
    return rc != PERCHE_OK ? rc : r->fail;
}

enum perche_rc conflict_rescope(struct replica *r, const struct meta *row)
{
    struct table *t = conflict_table(r), *chain = registry_table(r, "perche_chain");
    char *key = t != NULL ? ask_key_json(r, (struct perche_bytes){row->key, row->key_n}) : NULL;
    enum perche_rc rc = r->fail;

    if (key != NULL)
        rc = rescope_all(r, row, t, SQL_CONFLICTS_OF, key);
    if (rc == PERCHE_OK && key != NULL && row->table->chained && chain != NULL && chain->present)
        rc = rescope_all(r, row, chain, SQL_CHAIN_OF, key);
    free(key);
    return rc;
}

/* ---- resolving ----------------------------------------------------------------------------- */

struct side {
    struct perche_value value;
    uint8_t *bytes; /* owned, behind a text or blob */
    char site[PERCHE_ID_BYTES_MAX];
    uint64_t at;
};

struct question {
    sqlite3_stmt *stmt;
    char id[PERCHE_ID_BYTES_MAX];
    struct table *table;
    const struct column *column;      /* NULL: about no single cell */
    char name[PERCHE_NAME_BYTES_MAX]; /* perche_conflict.col */
    char *json;                       /* the row's key */
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n;
    char kind[16];
    bool deleted; /* kind: edit of a deleted row */
    bool unique;  /* kind: other rows bear the value too */
    struct side sides[2];
    char *typed;                      /* what the given value means */
};

static void question_free(struct question *q)
{
    sqlite3_finalize(q->stmt);
    free(q->json);
    free(q->sides[0].bytes);
    free(q->sides[1].bytes);
    free(q->typed);
}

/* The table is written while the question is at hand, so its values are copies. */
static enum perche_rc side_read(struct replica *r, sqlite3_stmt *s, int column, struct side *side)
{
    struct perche_value *v = &side->value;

    column_read(r, s, column, v);
    if (v->type == PERCHE_TEXT || v->type == PERCHE_BLOB) {
        side->bytes = malloc((size_t)v->n + 1);
        if (side->bytes == NULL)
            return fail(r, PERCHE_NOMEM, "no memory for a conflict");
        if (v->n > 0)
            memcpy(side->bytes, v->p, v->n);
        v->p = side->bytes;
    }
    (void)snprintf(side->site, sizeof side->site, "%s",
                   ask_text(s, column + 1)); /* ids are no longer */
    side->at = (uint64_t)sqlite3_column_int64(s, column + 2);
    return PERCHE_OK;
}

static enum perche_rc question_find(struct replica *r, const char *id, struct question *q)
{
    bool open;

    memset(q, 0, sizeof *q);
    if (strlen(id) < ASK_PREFIX_MIN)
        return fail(r, PERCHE_USAGE, "give at least %d characters of the conflict's id",
                    ASK_PREFIX_MIN);
    q->stmt = ask(
        r,
        "SELECT id, tab, key, col, kind, state, a_value, a_site, a_at, b_value, b_site, b_at FROM perche_conflict"
        " WHERE substr(id, 1, length(?1)) = ?1 ORDER BY state = 'open', id");
    ask_bind_text(q->stmt, 1, id);
    /* Open ones come last, so that the statement can rest on the one that counts. */
    open = false;
    for (int matches = 0; ask_row(r, q->stmt, "look for a conflict");) {
        open = strcmp(ask_text(q->stmt, 5), "open") == 0;
        if (open && ++matches > 1)
            return fail(r, PERCHE_USAGE,
                        "several open conflicts begin like that: give more of the id");
        (void)snprintf(q->id, sizeof q->id, "%s", ask_text(q->stmt, 0));
    }
    if (r->fail != PERCHE_OK)
        return r->fail;
    if (*q->id == '\0')
        return fail(r, PERCHE_NOT_FOUND, "there is no such conflict here");
    if (!open)
        return fail(r, PERCHE_STATE, "this conflict is settled already");
    sqlite3_reset(q->stmt);
    ask_bind_text(q->stmt, 1, q->id);
    if (!ask_row(r, q->stmt, "look for a conflict"))
        return r->fail != PERCHE_OK ? r->fail
                                    : fail(r, PERCHE_NOT_FOUND, "there is no such conflict here");
    q->table = registry_table(r, ask_text(q->stmt, 1));
    q->json = strdup(ask_text(q->stmt, 2));
    if (q->json == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a conflict");
    (void)snprintf(q->name, sizeof q->name, "%s", ask_text(q->stmt, 3));
    (void)snprintf(q->kind, sizeof q->kind, "%s", ask_text(q->stmt, 4));
    q->deleted = strcmp(q->kind, "deleted") == 0;
    q->unique = strcmp(q->kind, "unique") == 0;
    for (int i = 0; i < 2; i++)
        if (side_read(r, q->stmt, 6 + 3 * i, &q->sides[i]) != PERCHE_OK)
            return r->fail;
    sqlite3_reset(q->stmt);
    if (q->table == NULL || !q->table->present)
        return fail(r, PERCHE_STATE, "the conflict's table is not known here yet");
    q->column = table_column(q->table, q->name);
    if (!ask_key_parse(r, q->table, q->json, q->key, &q->key_n))
        return r->fail != PERCHE_OK ? r->fail
                                    : fail(r, PERCHE_CORRUPT, "the conflict's key does not decode");
    return PERCHE_OK;
}

/* What the history has of a row: a copy of the newest value of each column that was asked for. */
struct past {
    struct replica *r;
    struct table *table;
    const struct column
        *column; /* with @side: take what was written with this value of the column ... */
    const struct side *side;
    uint32_t gen;  /* ... without: take the newest of this generation */
    uint64_t mask; /* columns found */
    uint64_t stamps[PERCHE_COLUMNS_MAX + 1];
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint8_t *bytes[PERCHE_COLUMNS_MAX + 1];
};

static void past_free(struct past *p)
{
    for (uint32_t num = 0; num <= PERCHE_COLUMNS_MAX; num++)
        free(p->bytes[num]);
}

static void past_keep(struct past *p, const struct column *c, const struct perche_cell *cell)
{
    uint64_t bit = UINT64_C(1) << (c->num - 1);
    struct perche_value v = cell->value;
    uint8_t *copy = NULL;

    if (p->mask & bit && p->stamps[c->num] >= cell->stamp)
        return;
    if (v.type == PERCHE_TEXT || v.type == PERCHE_BLOB) {
        copy = malloc((size_t)v.n + 1);
        if (copy == NULL) {
            (void)fail(p->r, PERCHE_NOMEM, "no memory for a row's history");
            return;
        }
        if (v.n > 0)
            memcpy(copy, v.p, v.n);
        v.p = copy;
    }
    free(p->bytes[c->num]);
    p->bytes[c->num] = copy;
    p->values[c->num] = v;
    p->stamps[c->num] = cell->stamp;
    p->mask |= bit;
}

/* Is this cell the conflict's side? Of its stamp the conflict keeps the milliseconds. */
static bool is_side(const struct past *p, const struct perche_batch *b,
                    const struct perche_part *part, const struct perche_cell *c)
{
    return strcmp(part->columns[c->col], p->column->name) == 0 && c->stamp >> 16 == p->side->at &&
           strcmp(b->names[c->origin], p->side->site) == 0 &&
           perche_value_compare(&c->value, &p->side->value) == 0;
}

static bool past_row(void *ctx, const struct perche_batch *b, const struct perche_part *part,
                     const struct perche_row *row, uint64_t block, uint64_t at_ms, uint32_t via)
{
    struct past *p = ctx;
    const struct perche_cell *cells = &part->cells[row->cells_first];
    const struct perche_cell *with = NULL;

    (void)block, (void)at_ms, (void)via;
    for (uint32_t i = 0; p->side != NULL && with == NULL && i < row->cells_count; i++)
        if (is_side(p, b, part, &cells[i]))
            with = &cells[i];
    if (p->side != NULL ? with == NULL : row->gen != p->gen)
        return true;
    for (uint32_t i = 0; i < row->cells_count; i++) {
        const struct column *c = table_column(p->table, part->columns[cells[i].col]);

        if (c == NULL)
            continue;
        if (with == NULL || (c->taken_with == p->column->num && cells[i].stamp == with->stamp &&
                             cells[i].origin == with->origin))
            past_keep(p, c, &cells[i]);
    }
    return p->side == NULL; /* one block has the side with what went along */
}

/* The value goes into the cell, with what is taken along; a deleted row comes back as it was. */
static enum perche_rc write_value(struct replica *r, struct question *q,
                                  const struct perche_value *value, const struct side *side,
                                  uint64_t stamp)
{
    struct past p = {.r = r, .table = q->table, .column = q->column, .side = side};
    struct perche_bytes key = {q->key, q->key_n};
    uint64_t bit = UINT64_C(1) << (q->column->num - 1);
    struct meta m;
    enum perche_rc rc = meta_load(r, q->table, key, &m);

    if (rc != PERCHE_OK)
        return rc;
    if (!m.stored || m.flags & META_ERASED) {
        rc = fail(r, PERCHE_STATE, "the conflict's row is not here any more");
    } else if (!meta_alive(&m)) {
        p.side = NULL;
        p.gen = m.gen - 1;
        rc = history_walk(r, &m, past_row, &p);
        for (uint32_t i = 0; !r->hub && i < q->table->columns_count; i++)
            if (q->table->columns[i].policy == POLICY_HUB) /* not a site's to write: they begin at their default */
                p.mask &= ~(UINT64_C(1) << i);
        if (rc == PERCHE_OK && ((p.mask | bit) & q->table->required) != q->table->required)
            rc = fail(r, PERCHE_STATE,
                      "the row was deleted and its history does not have all of it: add it anew");
    } else if (side != NULL) {
        rc = history_walk(r, &m, past_row, &p);
    }
    for (uint32_t i = 0; rc == PERCHE_OK && i < q->table->columns_count; i++)
        if ((p.mask | bit) & q->table->absent & UINT64_C(1) << i)
            rc = fail(r, PERCHE_STATE, "the table %s here has no column %s: add it again, or decide at another site", q->table->name, q->table->columns[i].name);
    if (rc == PERCHE_OK) {
        p.values[q->column->num] = *value;
        rc = write_local(r, q->table, key, p.mask | bit, p.values, stamp);
        if (rc == PERCHE_NOT_FOUND) /* no failure is remembered for it */
            rc = fail(r, PERCHE_STATE, "the conflict's row is not here any more");
    }
    past_free(&p);
    meta_clear(&m);
    return rc;
}

/* Closes every open conflict of the cell that is here. */
static enum perche_rc close_all(struct replica *r, const struct question *q,
                                const struct perche_value *value, const char *by,
                                const char *reason, uint64_t stamp, int64_t *closed)
{
    struct table *t = conflict_table(r);
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    uint8_t(*ids)[16] = NULL;
    uint32_t count = 0, cap = 0;
    uint64_t mask = 0;
    sqlite3_stmt *s;
    enum perche_rc rc = PERCHE_OK;

    *closed = 0;
    if (t == NULL)
        return r->fail;
    if (!set(t, values, &mask, "state", text_value("resolved")) ||
        !set(t, values, &mask, "value", *value) ||
        !set(t, values, &mask, "resolved_by", text_value(by)) ||
        !set(t, values, &mask, "resolved_at", number_value(r->now_ms)) ||
        !set(t, values, &mask, "reason",
             *reason != '\0' ? text_value(reason) : (struct perche_value){0}))
        return fail(r, PERCHE_CORRUPT, "perche_conflict lacks a column: put a backup back");
    s = ask(
        r,
        "SELECT id FROM perche_conflict WHERE tab = ?1 AND key = ?2 AND col = ?3 AND state = 'open'");
    ask_bind_text(s, 1, q->table->name);
    ask_bind_text(s, 2, q->json);
    ask_bind_text(s, 3, q->name);
    while (ask_row(r, s, "look for a cell's conflicts")) {
        if (count == cap) {
            void *more = realloc(ids, (cap + 16) * sizeof *ids);

            if (more == NULL) {
                (void)fail(r, PERCHE_NOMEM, "no memory for a cell's conflicts");
                break;
            }
            ids = more;
            cap += 16;
        }
        count += perche_uuid_parse(sqlite3_column_text(s, 0), (uint32_t)sqlite3_column_bytes(s, 0),
                                   ids[count]);
    }
    sqlite3_finalize(s);
    rc = r->fail;
    if (WITHOUT(A25_CLOSES_ALL) && count > 1)
        count = 1;
    for (uint32_t i = 0; rc == PERCHE_OK && i < count; i++) {
        rc = write_local(r, t, (struct perche_bytes){ids[i], 16}, mask, values, WITHOUT(B24_ONE_STAMP) ? 0 : stamp);
        *closed += rc == PERCHE_OK;
    }
    free(ids);
    return rc;
}

#define OTHERS_MAX 16u /* rows that one decision empties */

struct others { /* rows that bear a value which a decision has given to one of them */
    struct json cleared; /* an array: they bear it no more */
    int64_t kept;        /* they do, as it is never empty, or as there are too many */
    int64_t foreign;     /* and those that another site writes: what is asked about them stays open */
};

/* Empties the column in one of them, and answers what is asked about it with the same decision. */
static enum perche_rc clear_other(struct replica *r, const struct question *q, struct perche_bytes key, const char *by, const char *reason, uint64_t stamp,
                                  struct others *others)
{
    struct perche_value values[PERCHE_COLUMNS_MAX + 1] = {{0}};
    struct question other = {.table = q->table, .column = q->column};
    struct meta m;
    int64_t closed;
    bool ours;
    enum perche_rc rc = meta_load(r, q->table, key, &m);

    if (rc != PERCHE_OK)
        return rc;
    rc = row_values(r, &m, values);
    ours = rc == PERCHE_OK && rights_here(r, &m, values);
    meta_clear(&m);
    if (rc != PERCHE_OK || r->fail != PERCHE_OK)
        return rc != PERCHE_OK ? rc : r->fail;
    others->foreign += !ours;
    others->kept += ours && q->column->notnull;
    if (!ours || q->column->notnull)
        return PERCHE_OK;
    memset(values, 0, sizeof values);
    (void)snprintf(other.name, sizeof other.name, "%s", q->name);
    other.json = ask_key_json(r, key);
    if (other.json != NULL && write_local(r, q->table, key, UINT64_C(1) << (q->column->num - 1), values, stamp) == PERCHE_OK &&
        close_all(r, &other, &values[0], by, reason, stamp, &closed) == PERCHE_OK) {
        out_open(&others->cleared, '{');
        out_key(&others->cleared, "row");
        out_raw(&others->cleared, other.json);
        out_key(&others->cleared, "label");
        ask_label(r, &others->cleared, q->table, key);
        out_close(&others->cleared, '}');
    }
    free(other.json);
    return r->fail;
}

/* The value is this row's: it goes from the other rows that bear it, are here and are written here. */
static enum perche_rc clear_others(struct replica *r, const struct question *q, const struct perche_value *value, const char *by, const char *reason, uint64_t stamp,
                                   struct others *others)
{
    uint8_t keys[OTHERS_MAX][PERCHE_KEY_BYTES_MAX];
    uint32_t lengths[OTHERS_MAX], count = 0;
    sqlite3_str *text = sqlite3_str_new(r->db);
    char *query;
    sqlite3_stmt *s;

    for (uint32_t i = 0; i < q->table->keys_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i > 0 ? ", " : "SELECT ", q->table->keys[i].name);
    sqlite3_str_appendf(text, " FROM \"%w\" WHERE \"%w\" = ?1", q->table->name, q->column->name);
    query = sqlite3_str_finish(text);
    if (query == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a statement");
    s = ask(r, query);
    sqlite3_free(query);
    if (s != NULL)
        bind_value(s, 1, value);
    while (ask_row(r, s, "look for a value used twice")) {
        struct perche_value key[PERCHE_KEY_COLUMNS_MAX];
        uint8_t encoded[PERCHE_KEY_BYTES_MAX];
        uint32_t n;

        for (uint32_t i = 0; i < q->table->keys_count; i++)
            column_read(r, s, (int)i, &key[i]);
        if (perche_key_encode(key, q->table->keys_count, encoded, &n) != PERCHE_OK || (n == q->key_n && memcmp(encoded, q->key, n) == 0))
            continue;
        if (count == OTHERS_MAX) {
            others->kept++;
            continue;
        }
        memcpy(keys[count], encoded, n);
        lengths[count++] = n;
    }
    sqlite3_finalize(s);
    for (uint32_t i = 0; r->fail == PERCHE_OK && i < count; i++)
        (void)clear_other(r, q, (struct perche_bytes){keys[i], lengths[i]}, by, reason, stamp, others);
    return r->fail;
}

/* Is this side the deletion itself? */
static bool is_deletion(struct replica *r, const struct question *q, const struct side *side)
{
    const struct side *other = side == &q->sides[0] ? &q->sides[1] : &q->sides[0];
    struct meta m;
    bool yes;

    if (!q->deleted || side->value.type != PERCHE_NULL)
        return false;
    if (other->value.type != PERCHE_NULL)
        return true;
    if (meta_load(r, q->table, (struct perche_bytes){q->key, q->key_n}, &m) != PERCHE_OK)
        return false;
    yes = m.stored && !meta_alive(&m) && m.cells[0].stamp >> 16 == side->at &&
          strcmp(name_text(r, m.cells[0].origin), side->site) == 0;
    meta_clear(&m);
    return yes;
}

static bool is_alive(struct replica *r, const struct question *q)
{
    struct meta m;
    bool yes;

    if (meta_load(r, q->table, (struct perche_bytes){q->key, q->key_n}, &m) != PERCHE_OK)
        return false;
    yes = m.stored && meta_alive(&m);
    meta_clear(&m);
    return yes;
}

/* Decides which value it is to be: take a or b, or the text that was given. */
static enum perche_rc choose(struct replica *r, struct args *a, struct question *q,
                             struct perche_value *value, const struct side **side)
{
    struct arg given = args_find(r, a, "take");
    const char *take = given.kind == 't' ? ask_text(a->stmt, 1) : "";

    if (given.kind != 0 && given.kind != 'n') {
        if (strcmp(take, "a") != 0 && strcmp(take, "b") != 0)
            return fail(r, PERCHE_USAGE, "take is a or b");
        *side = &q->sides[take[0] == 'b'];
        *value = (*side)->value;
        if (q->unique && q->column != NULL && q->column->notnull && value->type == PERCHE_NULL)
            return fail(r, PERCHE_USAGE, "%s.%s is never empty: give this record a value of its own, or take the other side for it", q->table->name, q->column->name);
        return r->fail;
    }
    given = args_find(
        r, a, "value"); /* its text is the statement's, which nobody else steps until the end */
    if (given.kind == 0)
        return fail(r, PERCHE_USAGE, "say which: take a or b, or a value");
    if (given.kind == 'a' || given.kind == 'o')
        return fail(r, PERCHE_USAGE, "a value is a text or a number");
    if (q->column == NULL)
        return fail(r, PERCHE_USAGE, "this conflict is about no single value: take a or b");
    *side = NULL;
    if (given.kind == 't' && r->config.reader != NULL) {
        q->typed = r->config.reader(r, q->table, q->name, ask_text(a->stmt, 1));
        if (r->fail != PERCHE_OK)
            return r->fail;
        if (q->typed != NULL)
            given.value = (struct perche_value){.type = PERCHE_TEXT, .n = (uint32_t)strlen(q->typed), .p = (const uint8_t *)q->typed};
    }
    *value = ask_settled(q->column, given.value);
    if (!data_accepts(q->column, value))
        return fail(r, PERCHE_USAGE, "%s.%s does not take this value", q->table->name,
                    q->column->name);
    return r->fail;
}

enum perche_rc conflict_resolve(struct replica *r, const struct work *w, struct outcome *o)
{
    char id[PERCHE_ID_BYTES_MAX], by[PERCHE_NAME_BYTES_MAX], reason[1024];
    struct args a = {0};
    struct question q = {0};
    struct perche_value value = {0};
    const struct side *side = NULL;
    struct json j = {0};
    struct others others = {0};
    int64_t closed = 0;
    bool more = true, was_alive;
    uint64_t rows, stamp;
    enum perche_rc rc = args_parse(r, w->args, &a);

    while (rc == PERCHE_OK && more) /* what programs wrote came before */
        rc = harvest(r, PERCHE_HARVEST_CHUNK_ROWS, &rows, &more);
    if (rc == PERCHE_OK)
        rc = args_need(r, &a, "id", id, sizeof id);
    if (rc == PERCHE_OK)
        rc = args_text(r, &a, "by", by, sizeof by);
    if (rc == PERCHE_OK)
        rc = args_text(r, &a, "reason", reason, sizeof reason);
    if (rc == PERCHE_OK)
        rc = question_find(r, id, &q);
    if (rc == PERCHE_OK)
        rc = choose(r, &a, &q, &value, &side);
    if (rc == PERCHE_OK && q.column != NULL && q.column->policy == POLICY_HUB && !r->hub)
        rc = fail(r, PERCHE_REFUSED, "only the hub decides %s.%s", q.table->name, q.column->name);
    if (rc != PERCHE_OK)
        goto out;
    was_alive = is_alive(r, &q);
    stamp = next_stamp(r, w->now_ms);
    rc = applying_begin(r);
    if (rc != PERCHE_OK)
        goto out;
    /* The value first: were they parted, an open question is better than a closed one without its answer. */
    r->deciding = true;
    if (q.column != NULL && !(side != NULL && is_deletion(r, &q, side)))
        rc = write_value(r, &q, &value, side, stamp);
    if (rc == PERCHE_OK)
        rc = close_all(r, &q, &value, *by != '\0' ? by : r->node.name, reason, stamp, &closed);
    out_open(&others.cleared, '[');
    if (rc == PERCHE_OK && q.unique && q.column != NULL && side != NULL && value.type != PERCHE_NULL)
        rc = clear_others(r, &q, &value, *by != '\0' ? by : r->node.name, reason, stamp, &others);
    out_close(&others.cleared, ']');
    r->deciding = false;
    if (rc == PERCHE_OK && others.cleared.failed)
        rc = fail(r, PERCHE_NOMEM, "no memory for the rows of a decision");
    if (rc == PERCHE_OK)
        rc = applying_end(r);
    if (rc != PERCHE_OK)
        goto out;
    out_open(&j, '{');
    out_key(&j, "id");
    out_text(&j, q.id);
    out_key(&j, "table");
    out_text(&j, q.table->name);
    out_key(&j, "row");
    out_raw(&j, q.json);
    out_key(&j, "column");
    out_text(&j, q.name);
    out_key(&j, "value");
    out_value(&j, &value);
    out_key(&j, "closed");
    out_int(&j, closed);
    out_key(&j, "kind");
    out_text(&j, q.kind);
    out_key(&j, "cleared"); /* of two rows that bore one value: those that bear it no more */
    out_raw(&j, others.cleared.p);
    out_key(&j, "left"); /* and those that do */
    out_int(&j, others.kept);
    out_key(&j, "foreign");
    out_int(&j, others.foreign);
    out_key(&j, "brought_back"); /* it had been deleted, and the decision for a value makes it live again */
    out_bool(&j, !was_alive && is_alive(r, &q));
    out_close(&j, '}');
    rc = r->fail == PERCHE_OK ? json_done(r, &j, o) : r->fail;
out:
    out_free(&j);
    out_free(&others.cleared);
    question_free(&q);
    args_free(&a);
    return rc;
}
