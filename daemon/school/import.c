/* Rows of a file, a batch at a time: each is new, there already, or says something else.
 *
 * Which row it is: that of its key; of the id that the other program has for it
 * (external_id), as no file's id becomes a key of ours; of its declared unique values; or the one
 * that says all the same. A row that is not in the file is left alone, always.
 * What it changes: a value that is not there yet or that is `lww` is written; where a
 * person is to be asked (`review`) the value that is there stays and the file's becomes a question;
 * a row of an `append` table is never changed.
 * A row that is not right is refused with its line, column and reason; the others go on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/pack.h"
#include "replica/statements.h"
#include "school/by_hand.h"
#include "school/entry.h"

#define CELLS_MAX (PERCHE_KEY_COLUMNS_MAX + PERCHE_COLUMNS_MAX)
#define KEY_TEXT_MAX (PERCHE_KEY_BYTES_MAX + PERCHE_KEY_COLUMNS_MAX)
#define EXTERNAL (-2) /* a column of the file that is the other program's id alone */

struct import {
    struct replica *r;
    struct json *j;
    struct entry_table e;
    char source[PERCHE_NAME_BYTES_MAX];
    int map[CELLS_MAX + 1]; /* of the file's columns: which of the table's */
    uint32_t columns;
    struct entry_value *values;
    char *external; /* the id that the file has, owned; NULL = none */
    struct taken {
        char *key; /* owned */
        int64_t line;
    } *taken; /* rows that lines of this batch were about */
    uint32_t taken_count, taken_cap;
    int64_t line, added, changed, same, asked, refused;
    bool dry; /* all is undone again: nobody is asked */
};

static void turn_down(struct import *m, const struct entry_fault *fault, const char *value)
{
    if (m->r->fail != PERCHE_OK)
        return;
    m->refused++;
    out_open(m->j, '{');
    out_key(m->j, "line");
    out_int(m->j, m->line);
    out_key(m->j, "column");
    out_text(m->j, *fault->column != '\0' ? fault->column : NULL);
    out_key(m->j, "why");
    out_text(m->j, fault->why);
    out_key(m->j, "value");
    out_text(m->j, value);
    out_close(m->j, '}');
}

/* ---- rows that were named ------------------------------------------------------------- */

/* The key that stands in the values, as one text; cut it is still the same for the same row. */
static void key_text(const struct import *m, char *out, size_t size)
{
    size_t n = 0;

    *out = '\0';
    for (uint32_t i = 0; i < m->e.count && m->e.columns[i].is_key && n < size; i++)
        n += (size_t)(m->values[i].kind == 't' ? snprintf(out + n, size - n, "%s%s", i > 0 ? "\x1f" : "", m->values[i].text)
                                               : snprintf(out + n, size - n, "%s%lld", i > 0 ? "\x1f" : "", (long long)m->values[i].i));
}

/* The line before that was about this row, 0 = none. */
static int64_t line_before(const struct import *m, const char *key)
{
    for (uint32_t i = 0; i < m->taken_count; i++)
        if (strcmp(m->taken[i].key, key) == 0)
            return m->taken[i].line;
    return 0;
}

static void is_named(struct import *m, const char *key)
{
    if (m->r->fail != PERCHE_OK || line_before(m, key) != 0)
        return;
    if (m->taken_count == m->taken_cap) {
        uint32_t cap = m->taken_cap * 2 + 64;
        struct taken *more = realloc(m->taken, cap * sizeof *more);

        if (more == NULL) {
            (void)fail(m->r, PERCHE_NOMEM, "no memory for the rows of a file");
            return;
        }
        m->taken = more;
        m->taken_cap = cap;
    }
    m->taken[m->taken_count] = (struct taken){strdup(key), m->line};
    if (m->taken[m->taken_count].key == NULL)
        (void)fail(m->r, PERCHE_NOMEM, "no memory for the rows of a file");
    else
        m->taken_count++;
}

/* ---- which row ---------------------------------------------------------------------- */

static struct entry_value *key_values(struct import *m, uint32_t *count)
{
    *count = 0;
    while (*count < m->e.count && m->e.columns[*count].is_key)
        ++*count;
    return m->values;
}

static bool key_given(struct import *m)
{
    uint32_t n;
    const struct entry_value *keys = key_values(m, &n);

    for (uint32_t i = 0; i < n; i++)
        if (!keys[i].given || keys[i].kind == 'n')
            return false;
    return n > 0;
}

/* Takes the one value of the key that the query finds. */
static bool found_key(struct import *m, sqlite3_stmt *s, const char *what, bool unnamed)
{
    bool found;

    do {
        found = ask_row(m->r, s, what);
    } while (found && unnamed && line_before(m, ask_text(s, 0)) != 0); /* a line that says the same is another row */

    if (found) {
        free(m->values[0].text);
        m->values[0] = (struct entry_value){.given = true, .kind = 't', .text = strdup(ask_text(s, 0))};
        if (m->values[0].text == NULL)
            (void)fail(m->r, PERCHE_NOMEM, "no memory for a key");
    }
    entry_done(s);
    return found && m->r->fail == PERCHE_OK;
}

static bool by_external(struct import *m)
{
    sqlite3_stmt *s = entry_statement(m->r, &m->e, sqlite3_mprintf("SELECT row_id FROM external_id WHERE source = ?1 AND tab = ?2 AND external = ?3"
                                                                   " AND site_id = (SELECT site_id FROM perche_self) ORDER BY id LIMIT 1"));

    ask_bind_text(s, 1, m->source);
    ask_bind_text(s, 2, m->e.t->name);
    ask_bind_text(s, 3, m->external);
    return found_key(m, s, "look for the other program's id", false);
}

static void append_is(sqlite3_str *text, const struct entry_value *v, const char *name, int *n)
{
    sqlite3_str_appendf(text, "%s\"%w\" %s ?", (*n)++ > 0 ? " AND " : " WHERE ", name, v->kind == 'n' ? "IS" : "="); /* an index is used for = alone */
}

/* The row whose given columns @mask says are the same; of several the first, @unnamed: that no line before was about. */
static bool by_columns(struct import *m, const bool *mask, bool unnamed)
{
    sqlite3_str *text = sqlite3_str_new(m->r->db);
    sqlite3_stmt *s;
    int n = 0;

    sqlite3_str_appendf(text, "SELECT \"%w\" FROM \"%w\"", m->e.columns[0].name, m->e.t->name);
    for (uint32_t i = 0; i < m->e.count; i++)
        if (mask[i])
            append_is(text, &m->values[i], m->e.columns[i].name, &n);
    sqlite3_str_appendf(text, " ORDER BY \"%w\"", m->e.columns[0].name);
    s = entry_statement(m->r, &m->e, sqlite3_str_finish(text));
    n = 0;
    for (uint32_t i = 0; s != NULL && i < m->e.count; i++)
        if (mask[i])
            entry_bind(s, ++n, &m->values[i]);
    return found_key(m, s, "look for a record", unnamed);
}

/* By a set of values that is declared unique and is all there. */
static bool by_unique(struct import *m)
{
    struct table *t = m->e.t;

    if (unique_read(m->r, t) != PERCHE_OK)
        return false;
    for (uint32_t u = 0; u < t->uniques_count; u++) {
        bool mask[CELLS_MAX] = {false}, all = true;

        for (uint32_t k = 0; k < t->uniques[u].n; k++)
            for (uint32_t i = 0; i < m->e.count; i++)
                if (m->e.columns[i].num == t->uniques[u].nums[k]) {
                    mask[i] = true;
                    all &= m->values[i].given && m->values[i].kind != 'n';
                }
        if (all && by_columns(m, mask, false))
            return true;
    }
    return false;
}

static bool by_all(struct import *m)
{
    bool mask[CELLS_MAX] = {false}, any = false;

    for (uint32_t i = 0; i < m->e.count; i++)
        any |= mask[i] = m->values[i].given && !m->e.columns[i].is_key;
    return any && by_columns(m, mask, true);
}

/* Is it there? Its key then stands in the values. */
static bool is_there(struct import *m)
{
    if (key_given(m))
        return entry_exists(m->r, &m->e, m->values);
    if (!m->e.key_minted)
        return false;
    if (m->external != NULL && (by_external(m) || m->r->fail != PERCHE_OK))
        return m->r->fail == PERCHE_OK;
    if (m->external != NULL)
        return by_unique(m);
    return by_unique(m) || (m->r->fail == PERCHE_OK && by_all(m));
}

/* ---- what it changes ------------------------------------------------------------------- */

/* Has somebody been asked about this value of the cell before? */
static bool asked_before(struct import *m, const char *key, const char *column, const struct entry_value *v)
{
    sqlite3_stmt *s = ask(m->r, "SELECT 1 FROM perche_conflict WHERE tab = ?1 AND key = ?2 AND col = ?3 AND (a_value IS ?4 OR b_value IS ?4)");
    bool yes;

    ask_bind_text(s, 1, m->e.t->name);
    ask_bind_text(s, 2, key);
    ask_bind_text(s, 3, column);
    if (s != NULL)
        entry_bind(s, 4, v);
    yes = ask_row(m->r, s, "look for a question");
    sqlite3_finalize(s);
    return yes;
}

/* What is there stays; the file's value is the other side of a question. */
static enum perche_rc ask_person(struct import *m, uint32_t column, const struct perche_value *there)
{
    const struct entry_column *c = &m->e.columns[column];
    const struct entry_value *v = &m->values[column];
    struct perche_value keys[PERCHE_KEY_COLUMNS_MAX] = {{0}}, file = {.type = PERCHE_NULL};
    uint8_t key[PERCHE_KEY_BYTES_MAX];
    uint32_t n, key_n;
    struct meta meta;
    char *json;

    (void)key_values(m, &n);
    for (uint32_t i = 0; i < n && i < PERCHE_KEY_COLUMNS_MAX; i++)
        keys[i] = m->values[i].kind == 'i' ? (struct perche_value){.type = PERCHE_INTEGER, .i = m->values[i].i}
                                           : (struct perche_value){.type = PERCHE_TEXT, .n = (uint32_t)strlen(m->values[i].text), .p = (const uint8_t *)m->values[i].text};
    if (perche_key_encode(keys, n, key, &key_n) != PERCHE_OK)
        return fail(m->r, PERCHE_INTERNAL, "a key does not encode");
    if (v->kind == 'i')
        file = (struct perche_value){.type = PERCHE_INTEGER, .i = v->i};
    else if (v->kind == 'r')
        file = (struct perche_value){.type = PERCHE_REAL, .r = v->r};
    else if (v->kind == 't')
        file = (struct perche_value){.type = PERCHE_TEXT, .n = (uint32_t)strlen(v->text), .p = (const uint8_t *)v->text};
    json = ask_key_json(m->r, (struct perche_bytes){key, key_n});
    if (json == NULL)
        return m->r->fail;
    if (asked_before(m, json, c->name, v)) {
        free(json);
        return m->r->fail;
    }
    free(json);
    if (meta_load(m->r, m->e.t, (struct perche_bytes){key, key_n}, &meta) != PERCHE_OK)
        return m->r->fail;
    if (m->dry) {
        m->asked++;
    } else if (meta.stored && c->num > 0) {
        struct conflict_side here = {.stamp = meta.cells[c->num].stamp, .origin = meta.cells[c->num].origin, .value = *there};
        struct conflict_side other = {.stamp = next_stamp(m->r, m->r->now_ms), .origin = m->r->node.site_num, .value = file};

        if (conflict_raise(m->r, &meta, c->num, "review", &here, &other) == PERCHE_OK)
            m->asked++;
    }
    meta_clear(&meta);
    return m->r->fail;
}

static bool equals(const struct perche_value *there, const struct entry_value *v)
{
    switch (v->kind) {
    case 'i': return there->type == PERCHE_INTEGER && there->i == v->i;
    case 'r': return there->type == PERCHE_REAL && there->r == v->r;
    case 't': return there->type == PERCHE_TEXT && there->n == strlen(v->text) && memcmp(there->p, v->text, there->n) == 0;
    default: return there->type == PERCHE_NULL;
    }
}

/* The other program's id of the row, unless it is kept already. */
static void keep_external(struct import *m, const char *id)
{
    sqlite3_stmt *s;

    if (m->external == NULL || m->r->fail != PERCHE_OK)
        return;
    s = entry_statement(m->r, &m->e, sqlite3_mprintf("INSERT INTO external_id (site_id, source, tab, row_id, external) SELECT site_id, ?1, ?2, ?3, ?4 FROM perche_self"
                                                     " WHERE NOT EXISTS (SELECT 1 FROM external_id x WHERE x.source = ?1 AND x.tab = ?2 AND x.external = ?4"
                                                     " AND x.site_id = perche_self.site_id)"));
    ask_bind_text(s, 1, m->source);
    ask_bind_text(s, 2, m->e.t->name);
    ask_bind_text(s, 3, id);
    ask_bind_text(s, 4, m->external);
    (void)ask_row(m->r, s, "keep the other program's id"); /* it returns none */
    entry_done(s);
}

static void take_known(struct import *m)
{
    struct entry_fault fault = {"", ""};
    sqlite3_stmt *s = entry_present(m->r, &m->e, m->values);
    char key[KEY_TEXT_MAX];
    int64_t asked = m->asked, before;
    bool writes = false, holds;

    if (!ask_row(m->r, s, "read a record")) { /* the other program's id is known here, and its row is not */
        entry_done(s);
        (void)snprintf(fault.why, sizeof fault.why, "the row that this id stands for is not here any more: it was deleted, or has left this site");
        turn_down(m, &fault, m->external);
        return;
    }
    key_text(m, key, sizeof key);
    before = line_before(m, key);
    is_named(m, key);
    for (uint32_t i = 0; m->r->fail == PERCHE_OK && i < m->e.count; i++) {
        struct perche_value there;

        if (m->e.columns[i].is_key || !m->values[i].given)
            continue;
        if (m->values[i].kind == 'n') { /* an empty cell says nothing */
            m->values[i].given = false;
            continue;
        }
        column_read(m->r, s, (int)i, &there);
        if (equals(&there, &m->values[i])) {
            m->values[i].given = false;
            continue;
        }
        if (before != 0) {
            (void)snprintf(fault.column, sizeof fault.column, "%s", m->e.columns[i].name);
            (void)snprintf(fault.why, sizeof fault.why, "line %lld is about the same row and says something else", (long long)before);
            entry_done(s);
            turn_down(m, &fault, m->values[i].text);
            return;
        }
        if (m->e.append) {
            (void)snprintf(fault.column, sizeof fault.column, "%s", m->e.columns[i].name);
            (void)snprintf(fault.why, sizeof fault.why, "this row is recorded with another value, and rows of %s are never changed: add the right one with the id of this one as `voids`",
                           m->e.t->name);
            entry_done(s);
            turn_down(m, &fault, m->values[i].text);
            return;
        }
        if (m->e.columns[i].review && there.type != PERCHE_NULL) {
            m->values[i].given = false;
            (void)ask_person(m, i, &there);
        } else {
            writes = true;
        }
    }
    holds = !writes || entry_plausible(&m->e, m->values, s, &fault);
    entry_done(s);
    if (m->r->fail != PERCHE_OK)
        return;
    if (writes && (!holds || !entry_lawful(m->r, &m->e, m->values, &fault) || !entry_update(m->r, &m->e, m->values, &fault)))
        turn_down(m, &fault, NULL);
    else if (writes)
        m->changed++;
    else if (m->asked == asked)
        m->same++;
    if (m->values[0].kind == 't')
        keep_external(m, m->values[0].text);
}

static void take_new(struct import *m)
{
    struct entry_fault fault = {"", ""};
    char *key = NULL, text[KEY_TEXT_MAX];

    if (!entry_lawful(m->r, &m->e, m->values, &fault) || !entry_complete(m->r, &m->e, m->values, &fault) ||
        !entry_plausible(&m->e, m->values, NULL, &fault) || !entry_insert(m->r, &m->e, m->values, &key, &fault)) {
        turn_down(m, &fault, NULL);
        return;
    }
    m->added++;
    if (m->values[0].given) {
        key_text(m, text, sizeof text);
    } else { /* ["..."], and minted */
        (void)snprintf(text, sizeof text, "%s", key + 2);
        text[strcspn(text, "\"")] = '\0';
    }
    is_named(m, text);
    keep_external(m, text);
    sqlite3_free(key);
}

/* ---- a row of the file ------------------------------------------------------------------- */

/* @column of the file: false when the row is refused for it. */
static bool take_cell(struct import *m, uint32_t column, const char *text)
{
    struct entry_fault fault = {"", ""};
    int at = m->map[column];

    if (*text != '\0' && (at == EXTERNAL || (at == 0 && m->e.key_minted && m->e.columns[0].is_key && !entry_is_uuid(text)))) {
        free(m->external);
        m->external = strdup(text);
        return m->external != NULL || fail(m->r, PERCHE_NOMEM, "no memory for a row") == PERCHE_OK;
    }
    if (at < 0 || (*text == '\0' && m->e.columns[at].is_key))
        return true;
    if (entry_read(m->r, &m->e, (uint32_t)at, text, &m->values[at], &fault))
        return true;
    turn_down(m, &fault, text);
    return false;
}

static void end_row(struct import *m, bool good)
{
    if (m->r->fail == PERCHE_OK && good) {
        bool there = is_there(m);

        if (m->r->fail == PERCHE_OK && there)
            take_known(m);
        else if (m->r->fail == PERCHE_OK)
            take_new(m);
    }
    for (uint32_t i = 0; i < m->e.count; i++) {
        free(m->values[i].text);
        memset(&m->values[i], 0, sizeof m->values[i]);
    }
    free(m->external);
    m->external = NULL;
}

/* The cells of all rows, one after the other: row, cell, text. Cell 0 is the line. */
static void take_rows(struct import *m, const char *args)
{
    sqlite3_stmt *s = ask(m->r, "SELECT r.key, c.key, c.value FROM json_each(?1, '$.rows') r, json_each(r.value) c ORDER BY r.key, c.key");
    int64_t row = -1;
    bool good = true;

    ask_bind_text(s, 1, args);
    while (ask_row(m->r, s, "read the rows")) {
        int64_t cell = sqlite3_column_int64(s, 1);

        if (sqlite3_column_int64(s, 0) != row) {
            if (row >= 0)
                end_row(m, good);
            row = sqlite3_column_int64(s, 0);
            good = true;
        }
        if (m->r->fail != PERCHE_OK)
            break;
        if (cell == 0)
            m->line = sqlite3_column_int64(s, 2);
        else if (good && cell <= (int64_t)m->columns && sqlite3_column_type(s, 2) != SQLITE_NULL)
            good = take_cell(m, (uint32_t)cell - 1, ask_text(s, 2));
    }
    if (row >= 0)
        end_row(m, good);
    sqlite3_finalize(s);
}

/* Which of the table's columns each of the file's is. One that is called external_id is the other program's id. */
static enum perche_rc take_columns(struct import *m, const char *args)
{
    sqlite3_stmt *s = ask(m->r, "SELECT value FROM json_each(?1, '$.columns') ORDER BY key");
    struct entry_fault fault = {"", ""};

    ask_bind_text(s, 1, args);
    while (ask_row(m->r, s, "read the columns")) {
        const char *name = ask_text(s, 0);
        int at = sqlite3_stricmp(name, "external_id") == 0 && m->e.key_minted ? EXTERNAL : entry_column(&m->e, name, &fault);

        if (m->columns == CELLS_MAX + 1) {
            (void)fail(m->r, PERCHE_USAGE, "the file has more than %u columns", (unsigned)CELLS_MAX);
        } else if (at == -1) {
            (void)fail(m->r, PERCHE_USAGE, "column \"%s\": %s", name, fault.why);
        } else {
            for (uint32_t i = 0; i < m->columns; i++)
                if (m->map[i] == at)
                    (void)fail(m->r, PERCHE_USAGE, "two columns of the file are \"%s\"", name);
            m->map[m->columns++] = at;
        }
        if (m->r->fail != PERCHE_OK)
            break;
    }
    sqlite3_finalize(s);
    return m->r->fail;
}

enum perche_rc command_import(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct import m = {.r = r, .j = j};
    struct table *t = ask_table(r, a);

    (void)w;
    if (t == NULL || args_text(r, a, "source", m.source, sizeof m.source) != PERCHE_OK || entry_open(r, t, &m.e) != PERCHE_OK)
        return r->fail;
    if (*m.source == '\0')
        (void)snprintf(m.source, sizeof m.source, "file");
    m.dry = args_true(r, a, "dry");
    m.values = calloc(m.e.count, sizeof *m.values);
    if (m.values == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a row");
    if (r->fail == PERCHE_OK && harvest_all(r) == PERCHE_OK && take_columns(&m, a->text) == PERCHE_OK) {
        if (m.dry)
            (void)exec(r, "SAVEPOINT school_import");
        out_key(j, "refused");
        out_open(j, '[');
        take_rows(&m, a->text);
        out_close(j, ']');
        if (m.dry && r->fail == PERCHE_OK)
            (void)exec(r, "ROLLBACK TO school_import; RELEASE school_import");
        out_key(j, "new");
        out_int(j, m.added);
        out_key(j, "changed");
        out_int(j, m.changed);
        out_key(j, "same");
        out_int(j, m.same);
        out_key(j, "asked");
        out_int(j, m.asked);
    }
    for (uint32_t i = 0; i < m.taken_count; i++)
        free(m.taken[i].key);
    free(m.taken);
    entry_values_free(m.values, m.e.count);
    entry_close(&m.e);
    return r->fail;
}

enum perche_rc command_imported(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    char sha256[80], format[PERCHE_NAME_BYTES_MAX], table[PERCHE_NAME_BYTES_MAX];
    sqlite3_stmt *s;

    (void)w;
    if (args_need(r, a, "sha256", sha256, sizeof sha256) != PERCHE_OK || args_need(r, a, "format", format, sizeof format) != PERCHE_OK ||
        args_need(r, a, "table", table, sizeof table) != PERCHE_OK)
        return r->fail;
    s = ask(r, "INSERT INTO import_batch (at, actor, site_id, format, sha256, rows_ok, rows_error, rows_missing)"
               " SELECT strftime('%Y-%m-%dT%H:%M:%SZ', ?1 / 1000, 'unixepoch'), site_id, site_id, ?2 || ' ' || ?6, ?3, ?4, ?5, 0 FROM perche_self RETURNING id");
    if (s == NULL)
        return r->fail;
    (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms); /* a failed bind shows in the step: NOT NULL */
    ask_bind_text(s, 2, format);
    ask_bind_text(s, 3, sha256);
    ask_bind_text(s, 6, table);
    (void)sqlite3_bind_int64(s, 4, args_number(r, a, "ok", 0));
    (void)sqlite3_bind_int64(s, 5, args_number(r, a, "refused", 0));
    if (ask_row(r, s, "note a file that was taken in")) {
        out_key(j, "id");
        out_text(j, ask_text(s, 0));
    }
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc query_import_before(struct replica *r, struct args *a, struct json *j)
{
    struct table *t = ask_table(r, a);
    char sha256[80];
    sqlite3_stmt *s;

    if (t == NULL || args_need(r, a, "sha256", sha256, sizeof sha256) != PERCHE_OK)
        return r->fail;
    s = ask(r, "SELECT b.at FROM import_batch b JOIN perche_self s ON s.site_id = b.site_id WHERE b.sha256 = ?1 AND b.rows_error = 0"
               " AND substr(b.format, -1 - length(?2)) = ' ' || ?2 ORDER BY b.at DESC LIMIT 1");
    ask_bind_text(s, 1, sha256);
    ask_bind_text(s, 2, t->name);
    out_key(j, "at");
    out_text(j, ask_row(r, s, "look for a file") ? ask_text(s, 0) : NULL);
    sqlite3_finalize(s);
    return r->fail;
}
