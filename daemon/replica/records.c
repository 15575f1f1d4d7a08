/* Records as people ask for them: a table's rows, one row with where each value
 * came from, and all that ever happened to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/query.h"
#include "replica/statements.h"

#define LIST_ROWS     1000      /* without a limit ... */
#define LIST_ROWS_MAX 100000    /* ... and with one */
#define STEPS_EACH    1000      /* of SQLite's machine, between two looks at the bound */
#define STEPS_MAX     200000000 /* a list takes a few seconds at most */
#define ENTRIES_MAX   5000u     /* of one row's history ... */
#define ENTRIES_BYTES (12u << 20) /* ... and of their values together */
#define SHOW_REST     (1u << 20)  /* of an answer's bytes, for what is not a value */

/* ---- list ------------------------------------------------------------------------------ */

/* A condition reads replicated tables and views; it writes nothing and leaves the daemon's own tables alone. */
static int on_authorize(void *ctx, int action, const char *first, const char *second,
                        const char *database, const char *inner)
{
    (void)second, (void)database, (void)inner;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_FUNCTION:
        return second != NULL && strcmp(second, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_READ:
        if (first == NULL || sqlite3_strnicmp(first, "perche_", 7) != 0)
            return SQLITE_OK;
        return strcmp(first, (const char *)ctx) == 0 || strcmp(first, "perche_contested") == 0 ||
                       strcmp(first, "perche_conflict") == 0 ||
                       sqlite3_strnicmp(first, "perche_invalid", 14) == 0 ||
                       strcmp(first, "perche_self") == 0 || strcmp(first, "perche_node") == 0
                   ? SQLITE_OK
                   : SQLITE_DENY;
    default: return SQLITE_DENY;
    }
}

static int on_progress(void *ctx)
{
    int *left = ctx;

    return --*left < 0;
}

/* The column, or with @names what people call the row that it names. */
static void append_column(struct replica *r, sqlite3_str *s, struct table *t, const struct column *c, bool names)
{
    const char *query = names && r->config.naming.query != NULL ? r->config.naming.query(r, t, c->name) : NULL;

    if (query != NULL)
        sqlite3_str_appendf(s, "coalesce((%s\"%w\".\"%w\"), \"%w\".\"%w\")", query, t->name, c->name, t->name, c->name);
    else
        append_name(s, c->name);
}

static void append_keys(sqlite3_str *s, const struct table *t)
{
    for (uint32_t i = 0; i < t->keys_count; i++) {
        if (i > 0)
            sqlite3_str_appendall(s, ", ");
        append_name(s, t->keys[i].name);
    }
}

/* @after: only rows behind the key that the statement's parameters are. */
static char *list_text(struct replica *r, struct table *t, const char *where, bool after,
                       int64_t limit, int64_t offset, bool names)
{
    sqlite3_str *s = sqlite3_str_new(r->db);

    sqlite3_str_appendall(s, "SELECT ");
    for (uint32_t i = 0; i < t->keys_count + t->columns_count; i++) {
        const struct column *c = i < t->keys_count ? &t->keys[i] : &t->columns[i - t->keys_count];

        if (i > 0)
            sqlite3_str_appendall(s, ", ");
        if (c->absent)
            sqlite3_str_appendall(s, "NULL");
        else
            append_column(r, s, t, c, names);
    }
    sqlite3_str_appendall(s, " FROM ");
    append_name(s, t->name);
    if (where != NULL && *where != '\0')
        sqlite3_str_appendf(s, " WHERE (%s\n)",
                            where); /* a comment at its end would take the bracket along */
    if (after) {
        sqlite3_str_appendall(s, where != NULL && *where != '\0' ? " AND (" : " WHERE (");
        append_keys(s, t);
        sqlite3_str_appendall(s, ") > (");
        for (uint32_t i = 0; i < t->keys_count; i++)
            sqlite3_str_appendall(s, i > 0 ? ", ?" : "?");
        sqlite3_str_appendall(s, ")");
    }
    sqlite3_str_appendall(s, " ORDER BY ");
    append_keys(s, t);
    sqlite3_str_appendf(s, " LIMIT %lld OFFSET %lld", (long long)limit, (long long)offset);
    return sqlite3_str_finish(s);
}

/* The columns that hold a code of a list: what is typed in again, and not to be cut. */
static void write_codes(struct replica *r, struct json *j, const struct table *t)
{
    sqlite3_stmt *s = ask(r, "SELECT col FROM perche_column WHERE tab = ?1 AND code_list IS NOT NULL ORDER BY num");

    ask_bind_text(s, 1, t->name);
    out_key(j, "codes");
    out_open(j, '[');
    while (ask_row(r, s, "look for columns of codes"))
        out_text(j, ask_text(s, 0));
    out_close(j, ']');
    sqlite3_finalize(s);
}

/* The key of the row that @s is at, encoded; *n = 0: it has none that could be told, such as NULL. */
static void row_key(struct replica *r, const struct table *t, sqlite3_stmt *s, uint8_t key[PERCHE_KEY_BYTES_MAX], uint32_t *n)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];

    for (uint32_t i = 0; i < t->keys_count; i++)
        column_read(r, s, (int)i, &values[i]);
    if (perche_key_encode(values, t->keys_count, key, n) != PERCHE_OK)
        *n = 0;
}

/* @names: its first columns may be what people call the key, which is no key. */
static void write_list(struct replica *r, struct json *j, struct table *t, sqlite3_stmt *s,
                       int64_t limit, bool names)
{
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t key_n = 0;
    bool more = false;
    int64_t rows = 0;
    int rc;

    out_key(j, "table");
    out_text(j, t->name);
    out_key(j, "columns");
    out_open(j, '[');
    for (uint32_t i = 0; i < t->keys_count; i++)
        out_text(j, t->keys[i].name);
    for (uint32_t i = 0; i < t->columns_count; i++)
        out_text(j, t->columns[i].name);
    out_close(j, ']');
    out_key(j, "rows");
    out_open(j, '[');
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (rows++ == limit || out_full(j)) {
            more = true;
            break;
        }
        if (!names)
            row_key(r, t, s, key, &key_n);
        out_open(j, '[');
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            struct perche_value v;

            column_read(r, s, i, &v);
            out_value(j, &v);
        }
        out_close(j, ']');
    }
    if (rc == SQLITE_INTERRUPT)
        (void)fail(r, PERCHE_USAGE, "the list takes too long: narrow the condition");
    else if (rc == SQLITE_ERROR || rc == SQLITE_MISMATCH || rc == SQLITE_TOOBIG)
        (void)fail(r, PERCHE_USAGE, "%s", sqlite3_errmsg(r->db)); /* of the condition */
    else if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "list");
    out_close(j, ']');
    out_key(j, "more");
    out_bool(j, more);
    out_key(j, "next");
    if (more && key_n > 0)
        out_hex(j, key, key_n);
    else
        out_null(j);
}

/* Bytes of @hex into @key; 0: it is none, or too long. */
static uint32_t unhex(const char *hex, uint8_t key[PERCHE_KEY_BYTES_MAX])
{
    static const char digits[] = "0123456789abcdef";
    uint32_t n = 0;

    for (; *hex != '\0'; hex += 2) {
        const char *high = strchr(digits, hex[0]), *low = hex[1] != '\0' ? strchr(digits, hex[1]) : NULL;

        if (high == NULL || low == NULL || n == PERCHE_KEY_BYTES_MAX)
            return 0;
        key[n++] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return n;
}

/* Binds the key that @hex is. False: r->fail says why not. */
static bool bind_after(struct replica *r, const struct table *t, const char *hex, sqlite3_stmt *s)
{
    struct perche_value values[PERCHE_KEY_COLUMNS_MAX];
    char scratch[37 * PERCHE_KEY_COLUMNS_MAX];
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t n = unhex(hex, key), count = 0;
    int rc = SQLITE_OK;

    if (n == 0 || perche_key_decode((struct perche_bytes){key, n}, values, &count, scratch) != PERCHE_OK || count != t->keys_count)
        return fail(r, PERCHE_USAGE, "after is no `next` of a list of %s", t->name) == PERCHE_OK;
    for (uint32_t i = 0; i < count && rc == SQLITE_OK; i++) /* copied: the texts are this function's */
        switch (values[i].type) {
        case PERCHE_INTEGER: rc = sqlite3_bind_int64(s, (int)i + 1, values[i].i); break;
        case PERCHE_REAL: rc = sqlite3_bind_double(s, (int)i + 1, values[i].r); break;
        case PERCHE_BLOB: rc = sqlite3_bind_blob(s, (int)i + 1, values[i].p, (int)values[i].n, SQLITE_TRANSIENT); break;
        default: rc = sqlite3_bind_text(s, (int)i + 1, (const char *)values[i].p, (int)values[i].n, SQLITE_TRANSIENT); break;
        }
    return rc == SQLITE_OK || fail_sqlite(r, rc, "list from a key on") == PERCHE_OK; /* unbound it would be the end of the list */
}

enum perche_rc query_list(struct replica *r, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    int64_t limit = args_number(r, a, "limit", LIST_ROWS), offset = args_number(r, a, "offset", 0);
    bool names = args_true(r, a, "names");
    char after[2 * PERCHE_KEY_BYTES_MAX + 1] = "";
    int left = STEPS_MAX / STEPS_EACH, rc;
    const char *tail = NULL;
    sqlite3_stmt *s = NULL;
    struct arg where;
    char *sql_text;

    if (t == NULL || args_text(r, a, "after", after, sizeof after) != PERCHE_OK)
        return r->fail;
    where = args_find(r, a, "where"); /* the last: its text is the statement's */
    if (r->fail != PERCHE_OK)
        return r->fail;
    if (where.kind != 0 && where.kind != 'n' && where.kind != 't')
        return fail(r, PERCHE_USAGE, "where is a condition in SQL");
    if (limit < 0 || limit > LIST_ROWS_MAX)
        limit = LIST_ROWS_MAX;
    sql_text = list_text(r, t, where.kind == 't' ? ask_text(a->stmt, 1) : NULL, *after != '\0', limit + 1,
                         offset < 0 ? 0 : offset, names);
    if (sql_text == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for a list");
    (void)sqlite3_set_authorizer(r->db, on_authorize, t->name); /* fails for no database only */
    rc = sqlite3_prepare_v2(r->db, sql_text, -1, &s, &tail);
    (void)sqlite3_set_authorizer(r->db, NULL, NULL);
    if (rc != SQLITE_OK)
        (void)fail(r, rc == SQLITE_NOMEM ? PERCHE_NOMEM : PERCHE_USAGE, "%s",
                   sqlite3_errmsg(r->db));
    else if (s == NULL || tail[strspn(tail, " \t\r\n;")] != '\0' || !sqlite3_stmt_readonly(s) ||
             sqlite3_bind_parameter_count(s) != (*after != '\0' ? (int)t->keys_count : 0))
        (void)fail(r, PERCHE_USAGE, "where is one condition, without parameters");
    if (r->fail == PERCHE_OK && (*after == '\0' || bind_after(r, t, after, s))) {
        sqlite3_progress_handler(r->db, STEPS_EACH, on_progress, &left);
        write_list(r, j, t, s, limit, names);
        sqlite3_progress_handler(r->db, 0, NULL, NULL);
        if (names && r->fail == PERCHE_OK)
            write_codes(r, j, t);
    }
    sqlite3_finalize(s);
    sqlite3_free(sql_text);
    return r->fail;
}

/* ---- show -------------------------------------------------------------------------------- */

static void write_key(struct replica *r, struct json *j, struct table *t, struct perche_bytes key)
{
    char *text = ask_key_json(r, key);

    out_key(j, "table");
    out_text(j, t->name);
    out_key(j, "key");
    out_raw(j, text != NULL ? text : "null");
    free(text);
    out_key(j, "label");
    ask_label(r, j, t, key);
}

static void write_scope(struct replica *r, struct json *j, struct ask_sites *sites, uint32_t scope)
{
    const char *text = scope != 0 ? name_text(r, scope) : NULL;

    out_key(j, "scope");
    out_open(j, '[');
    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, ",");
        char id[PERCHE_ID_BYTES_MAX];

        (void)snprintf(id, sizeof id, "%.*s", (int)n, text);
        out_text(j, strcmp(id, "*") == 0 ? id : ask_site(r, sites, id));
        text += n + (text[n] == ',');
    }
    out_close(j, ']');
}

static const char *policy_name(uint8_t policy)
{
    static const char *const names[] = {[POLICY_LWW] = "lww",
                                        [POLICY_REVIEW] = "review",
                                        [POLICY_APPEND] = "append",
                                        [POLICY_HUB] = "hub"};

    return policy >= POLICY_LWW && policy <= POLICY_HUB ? names[policy] : NULL;
}

static bool contested(struct replica *r, const struct table *t, const char *key, const char *column)
{
    sqlite3_stmt *s = ask(
        r,
        "SELECT 1 FROM perche_conflict WHERE tab = ?1 AND key = ?2 AND col = ?3 AND state = 'open'");
    bool yes;

    ask_bind_text(s, 1, t->name);
    ask_bind_text(s, 2, key);
    ask_bind_text(s, 3, column);
    yes = ask_row(r, s, "look for a cell's conflicts");
    sqlite3_finalize(s);
    return yes;
}

/* Of a value that names a row: what people call that. */
static void write_called(struct replica *r, struct json *j, struct table *t, const char *column, const struct perche_value *v)
{
    const char *query = v->type == PERCHE_TEXT && r->config.naming.query != NULL ? r->config.naming.query(r, t, column) : NULL;
    char *text = query != NULL ? sqlite3_mprintf("%s?1", query) : NULL;
    sqlite3_stmt *s = text != NULL ? ask(r, text) : NULL;

    if (query != NULL && text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a name");
    if (s != NULL)
        bind_value(s, 1, v);
    if (ask_row(r, s, "look for a name") && *ask_text(s, 0) != '\0') {
        out_key(j, "called");
        out_text(j, ask_text(s, 0));
    }
    sqlite3_finalize(s);
    sqlite3_free(text);
}

enum perche_rc query_show(struct replica *r, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    struct perche_bytes key;
    uint8_t encoded[PERCHE_KEY_BYTES_MAX];
    struct ask_sites sites = {0};
    struct meta m;
    char *json;
    bool alive;
    enum perche_rc rc = t == NULL ? r->fail : ask_key(r, a, "id", t, encoded, &key.n);

    if (rc != PERCHE_OK)
        return rc;
    key.p = encoded;
    json = ask_key_json(r, key);
    rc = meta_load(r, t, key, &m);
    if (rc != PERCHE_OK || json == NULL) {
        free(json);
        return r->fail;
    }
    write_key(r, j, t, key);
    rc = data_load(r, t, key, values);
    alive = rc == PERCHE_OK;
    write_scope(r, j, &sites, m.scope);
    out_key(j, "deleted");
    out_bool(j, !alive);
    out_key(j, "held");
    out_bool(j, m.flags & META_HELD);
    out_key(j, "columns");
    out_open(j, '[');
    for (uint32_t num = 1; num < m.count; num++) {
        const struct column *c = &t->columns[num - 1];
        const struct clock_cell *cell = &m.cells[num];
        const struct perche_value *v = alive                          ? &values[num]
                                       : m.kept_mask >> (num - 1) & 1 ? &m.kept[num]
                                                                      : NULL;

        if (v == NULL || c->absent)
            continue;
        out_open(j, '{');
        out_key(j, "name");
        out_text(j, c->name);
        out_bounded(j, "value", v, j->n < JSON_BYTES_MAX - SHOW_REST ? JSON_BYTES_MAX - SHOW_REST - j->n : 0);
        write_called(r, j, t, c->name, v);
        out_key(j, "at");
        out_time(j, cell->written ? cell->stamp >> 16 : 0);
        out_key(j, "site");
        out_text(j, cell->written ? ask_site(r, &sites, name_text(r, cell->origin)) : NULL);
        out_key(j, "policy");
        out_text(j, policy_name(c->policy));
        out_key(j, "contested");
        out_bool(j, contested(r, t, json, c->name));
        out_close(j, '}');
    }
    out_close(j, ']');
    free(json);
    meta_clear(&m);
    return r->fail;
}

/* ---- history ----------------------------------------------------------------------------------- */

enum entry_kind { ENTRY_EDIT, ENTRY_INSERT, ENTRY_DELETE, ENTRY_RESOLVE, ENTRY_CONFLICT };

struct entry {
    uint64_t stamp; /* 0 in the low bits where only the milliseconds are known */
    uint16_t num;   /* 0 = the row itself */
    enum entry_kind kind;
    bool exact;
    uint32_t via; /* the link that it came over, of the oldest block that has it */
    char site[PERCHE_ID_BYTES_MAX];
    struct perche_value value; /* with a copy of its bytes behind it, owned */
};

struct entries {
    struct replica *r;
    const struct meta *m;
    struct entry *items;
    uint32_t count, cap;
    size_t bytes; /* of the values, as they are written; of one that is too large for that as it is */
    bool more;
};

/* The entry of this change, made when it is not there. NULL: no more room, or r->fail. */
static struct entry *entry(struct entries *e, uint16_t num, uint64_t stamp, bool exact,
                           const char *site, const struct perche_value *v)
{
    struct entry *it;
    uint8_t *copy = NULL;
    size_t size;

    for (uint32_t i = 0; i < e->count; i++) {
        it = &e->items[i];
        if (it->num == num && strcmp(it->site, site) == 0 &&
            (exact && it->exact ? it->stamp == stamp : it->stamp >> 16 == stamp >> 16) &&
            (exact || perche_value_compare(&it->value, v) == 0))
            return it;
    }
    size = out_size(v);
    if (size > ENTRIES_BYTES)
        size = v->n;
    if (e->count == ENTRIES_MAX || e->bytes + size > ENTRIES_BYTES) {
        e->more = true;
        return NULL;
    }
    if (e->count == e->cap) {
        uint32_t cap = e->cap == 0 ? 64 : e->cap * 2;
        struct entry *more = realloc(e->items, cap * sizeof *more);

        if (more == NULL)
            return (void)fail(e->r, PERCHE_NOMEM, "no memory for a row's history"), NULL;
        e->items = more;
        e->cap = cap;
    }
    it = &e->items[e->count];
    *it = (struct entry){.stamp = stamp, .num = num, .exact = exact, .value = *v};
    (void)snprintf(it->site, sizeof it->site, "%s", site);
    if (v->type == PERCHE_TEXT || v->type == PERCHE_BLOB) {
        copy = malloc((size_t)v->n + 1);
        if (copy == NULL)
            return (void)fail(e->r, PERCHE_NOMEM, "no memory for a row's history"), NULL;
        if (v->n > 0)
            memcpy(copy, v->p, v->n);
        it->value.p = copy;
    }
    e->count++;
    e->bytes += size;
    return it;
}

static void entries_free(struct entries *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (e->items[i].value.type == PERCHE_TEXT || e->items[i].value.type == PERCHE_BLOB)
            free((uint8_t *)(uintptr_t)e->items[i].value.p);
    free(e->items);
}

static bool take_block(void *ctx, const struct perche_batch *b, const struct perche_part *part,
                       const struct perche_row *row, uint64_t block, uint64_t at_ms, uint32_t via)
{
    static const struct perche_value none;
    struct entries *e = ctx;
    bool gen = row->flags & PERCHE_ROW_GEN;

    (void)block, (void)at_ms;
    if (gen) {
        struct entry *it = entry(e, 0, row->gen_stamp, true, b->names[row->gen_origin], &none);

        if (it != NULL) {
            it->kind = row->gen % 2 == 1 ? ENTRY_INSERT : ENTRY_DELETE;
            it->via = via;
        }
    }
    for (uint32_t i = 0; i < row->cells_count && e->r->fail == PERCHE_OK; i++) {
        const struct perche_cell *c = &part->cells[row->cells_first + i];
        const struct column *column = table_column(e->m->table, part->columns[c->col]);
        struct entry *it =
            column == NULL ? NULL
                           : entry(e, column->num, c->stamp, true, b->names[c->origin], &c->value);

        if (it != NULL)
            it->via = via;
        if (it != NULL && gen && row->gen % 2 == 1 && c->stamp == row->gen_stamp &&
            c->origin == row->gen_origin)
            it->kind = ENTRY_INSERT;
    }
    return !e->more && e->r->fail == PERCHE_OK;
}

/* What stands there now, should the history have been pruned. */
static void take_present(struct entries *e, const struct perche_value *values)
{
    static const struct perche_value none;
    const struct meta *m = e->m;

    for (uint32_t num = 0; num < m->count && e->r->fail == PERCHE_OK; num++) {
        const struct clock_cell *c = &m->cells[num];
        uint32_t before = e->count;
        struct entry *it;

        if (!c->written || (num > 0 && values == NULL))
            continue;
        it = entry(e, (uint16_t)num, c->stamp, true, name_text(e->r, c->origin),
                   num > 0 ? &values[num] : &none);
        if (it == NULL || e->count == before)
            continue;
        if (num == 0)
            it->kind = meta_alive(m) ? ENTRY_INSERT : ENTRY_DELETE;
        else if (c->stamp == m->cells[0].stamp && c->origin == m->cells[0].origin)
            it->kind = ENTRY_INSERT;
    }
}

/* A resolution has the stamp of the conflict's own `state`. */
static void take_resolution(struct entries *e, const char *id, uint16_t num)
{
    struct table *t = registry_table(e->r, "perche_conflict");
    const struct column *state = t != NULL ? table_column(t, "state") : NULL;
    uint8_t key[16];
    struct meta m;

    if (state == NULL || !perche_uuid_parse((const uint8_t *)id, (uint32_t)strlen(id), key) ||
        meta_load(e->r, t, (struct perche_bytes){key, 16}, &m) != PERCHE_OK)
        return;
    for (uint32_t i = 0; m.stored && i < e->count; i++)
        if (e->items[i].num == num && e->items[i].exact &&
            e->items[i].stamp == m.cells[state->num].stamp &&
            m.cells[state->num].stamp != m.cells[0].stamp &&
            strcmp(e->items[i].site, name_text(e->r, m.cells[state->num].origin)) == 0)
            e->items[i].kind = ENTRY_RESOLVE;
    meta_clear(&m);
}

/* Values that lost are kept with their conflicts, also where this node never had them. */
static void take_conflicts(struct entries *e, const char *key)
{
    sqlite3_stmt *s = ask(
        e->r,
        "SELECT id, col, kind, a_value, a_site, a_at, b_value, b_site, b_at FROM perche_conflict WHERE tab = ?1 AND key = ?2");

    ask_bind_text(s, 1, e->m->table->name);
    ask_bind_text(s, 2, key);
    while (ask_row(e->r, s, "read a row's conflicts")) {
        const struct column *c = table_column(e->m->table, ask_text(s, 1));
        bool deleted = strcmp(ask_text(s, 2), "deleted") == 0, unique = strcmp(ask_text(s, 2), "unique") == 0;

        for (int i = 0; c != NULL && i < 2; i++) {
            struct perche_value v;
            uint32_t before = e->count;
            struct entry *it;

            column_read(e->r, s, 3 + 3 * i, &v);
            if ((deleted || unique) && v.type == PERCHE_NULL)
                continue; /* the deletion has an entry of its own; of two records with one value, the other is not this one */
            it = entry(e, c->num, (uint64_t)sqlite3_column_int64(s, 5 + 3 * i) << 16, false,
                       ask_text(s, 4 + 3 * i), &v);
            if (it != NULL && (i == 0 || deleted || e->count > before))
                it->kind = ENTRY_CONFLICT; /* side a is the earlier one: it has lost */
        }
        if (c != NULL)
            take_resolution(e, ask_text(s, 0), c->num);
    }
    sqlite3_finalize(s);
}

static int by_time(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    int c;

    if (a->stamp != b->stamp)
        return a->stamp < b->stamp ? -1 : 1;
    c = strcmp(a->site, b->site);
    return c != 0 ? c : (int)a->num - (int)b->num;
}

static void write_entries(struct replica *r, struct json *j, struct entries *e)
{
    static const char *const kinds[] = {[ENTRY_EDIT] = "edit",
                                        [ENTRY_INSERT] = "insert",
                                        [ENTRY_DELETE] = "delete",
                                        [ENTRY_RESOLVE] = "resolve",
                                        [ENTRY_CONFLICT] = "conflict"};
    struct ask_sites sites = {0};

    if (e->count > 0)
        qsort(e->items, e->count, sizeof *e->items, by_time);
    out_key(j, "entries");
    out_open(j, '[');
    for (uint32_t i = 0; i < e->count; i++) { /* they fit */
        const struct entry *it = &e->items[i];

        out_open(j, '{');
        out_key(j, "at");
        out_time(j, it->stamp >> 16);
        out_key(j, "site");
        out_text(j, ask_site(r, &sites, it->site));
        out_key(j, "column");
        out_text(j, it->num == 0 ? NULL : e->m->table->columns[it->num - 1].name);
        out_bounded(j, "value", &it->value, ENTRIES_BYTES);
        out_key(j, "kind");
        out_text(j, kinds[it->kind]);
        out_key(j, "via");
        out_text(
            j, it->via == VIA_LOCAL
                   ? NULL
                   : ask_site(r, &sites, it->via == VIA_HUB ? r->node.hub : name_text(r, it->via)));
        out_close(j, '}');
    }
    out_close(j, ']');
    out_key(j, "more");
    out_bool(j, e->more);
}

enum perche_rc query_history(struct replica *r, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    struct perche_value values[PERCHE_COLUMNS_MAX + 1];
    uint8_t encoded[PERCHE_KEY_BYTES_MAX];
    struct perche_bytes key = {.p = encoded};
    struct entries e = {.r = r};
    struct meta m;
    char *json = NULL;
    enum perche_rc rc = t == NULL ? r->fail : ask_key(r, a, "id", t, encoded, &key.n);

    if (rc == PERCHE_OK)
        rc = meta_load(r, t, key, &m);
    if (rc != PERCHE_OK)
        return rc;
    e.m = &m;
    rc = history_walk(r, &m, take_block, &e);
    if (rc == PERCHE_OK && m.stored) {
        rc = data_load(r, t, key, values);
        take_present(&e, rc == PERCHE_OK ? values : NULL);
        rc = r->fail;
    }
    if (rc == PERCHE_OK)
        json = ask_key_json(r, key);
    if (json != NULL) {
        take_conflicts(&e, json);
        write_key(r, j, t, key);
        write_entries(r, j, &e);
    }
    free(json);
    entries_free(&e);
    meta_clear(&m);
    return r->fail;
}
