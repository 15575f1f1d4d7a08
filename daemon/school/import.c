/* Rows of a file, a batch at a time: each is new, there already, or says something else.
 *
 * Which row it is: that of its key; of the id that the other program has for it
 * (external_id), as no file's id becomes a key of ours; of its declared unique values; of those that the request
 * names (`by`), if they are one row's alone; or the one that says all the same. A row that is not in the file is left
 * alone, always.
 * A cell that says what an export writes of the record changes nothing, and is not even judged: a file of ours that
 * comes back has no effect, whatever programs have put into the records.
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

/* A cell as the file has it. */
enum cell_kind {
    CELL_NONE,     /* says nothing */
    CELL_TEXT,     /* "" is an empty cell */
    CELL_EXACT,    /* the text as it stands, also an empty one */
    CELL_NEW,      /* of a new row alone */
    CELL_EXTERNAL, /* the other program's id of the row that it refers to */
};
struct cell {
    enum cell_kind kind;
    char *text; /* owned */
};

struct import {
    struct replica *r;
    struct json *j;
    struct entry_table e;
    char source[PERCHE_NAME_BYTES_MAX];
    int map[CELLS_MAX + 1]; /* of the file's columns: which of the table's */
    int first[CELLS_MAX + 1]; /* of a column with a bar: the one that counts where the record has it, else -1 */
    uint32_t columns;
    struct cell *cells;      /* of the row at hand, by the file's columns */
    bool by[CELLS_MAX];      /* columns that tell a row */
    bool any_by;
    struct entry_value *values;
    char *external; /* the id that the file has, owned; NULL = none */
    struct taken {
        char *key; /* owned */
        int64_t line;
    } *taken; /* rows that lines of this batch were about */
    uint32_t taken_count, taken_cap;
    int64_t line, added, changed, same, asked, refused;
    bool dry;    /* all is undone again: nobody is asked */
    bool silent; /* what others of this batch stand on: told by the batch that it was of */
};

static void turn_down(struct import *m, const struct entry_fault *fault, const char *value)
{
    if (m->r->fail != PERCHE_OK)
        return;
    m->refused++;
    if (m->silent)
        return;
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

static bool take_key(struct import *m, const char *key)
{
    free(m->values[0].text);
    m->values[0] = (struct entry_value){.given = true, .kind = 't', .text = strdup(key)};
    return m->values[0].text != NULL || fail(m->r, PERCHE_NOMEM, "no memory for a key") == PERCHE_OK;
}

enum which {
    FIRST,
    UNNAMED, /* the first that no line before was about: a line that says the same is another row */
    ALONE,   /* the only one */
};

/* Takes the one value of the key that the query finds. */
static bool found_key(struct import *m, sqlite3_stmt *s, const char *what, enum which which)
{
    bool found;

    do {
        found = ask_row(m->r, s, what);
    } while (found && which == UNNAMED && line_before(m, ask_text(s, 0)) != 0);
    found = found && take_key(m, ask_text(s, 0));
    if (found && which == ALONE)
        found = !ask_row(m->r, s, what);
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
    return found_key(m, s, "look for the other program's id", FIRST);
}

static void append_is(sqlite3_str *text, const struct entry_value *v, const char *name, int *n)
{
    sqlite3_str_appendf(text, "%s\"%w\" %s ?", (*n)++ > 0 ? " AND " : " WHERE ", name, v->kind == 'n' ? "IS" : "="); /* an index is used for = alone */
}

/* The row whose given columns @mask says are the same. */
static bool by_columns(struct import *m, const bool *mask, enum which which)
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
    return found_key(m, s, "look for a record", which);
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
        if (all && by_columns(m, mask, FIRST))
            return true;
    }
    return false;
}

static bool by_all(struct import *m)
{
    bool mask[CELLS_MAX] = {false}, any = false;

    for (uint32_t i = 0; i < m->e.count; i++)
        any |= mask[i] = m->values[i].given && !m->e.columns[i].is_key;
    return any && by_columns(m, mask, UNNAMED);
}

static void forget_keys(struct import *m)
{
    for (uint32_t i = 0; i < m->e.count && m->e.columns[i].is_key; i++) {
        free(m->values[i].text);
        m->values[i] = (struct entry_value){0};
    }
}

/* By the values that the request names, if they are one row's alone and the other program has no other id for that one. */
static bool by_named(struct import *m)
{
    sqlite3_stmt *s;
    bool other;

    for (uint32_t i = 0; i < m->e.count; i++)
        if (m->by[i] && (!m->values[i].given || m->values[i].kind == 'n'))
            return false;
    if (!m->any_by)
        return false;
    if (!by_columns(m, m->by, ALONE)) {
        forget_keys(m);
        return false;
    }
    s = entry_statement(m->r, &m->e, sqlite3_mprintf("SELECT 1 FROM external_id WHERE source = ?1 AND tab = ?2 AND row_id = ?3 AND site_id = (SELECT site_id FROM perche_self)"));
    ask_bind_text(s, 1, m->source);
    ask_bind_text(s, 2, m->e.t->name);
    ask_bind_text(s, 3, m->values[0].text);
    other = ask_row(m->r, s, "look for another id of the other program");
    entry_done(s);
    if (other)
        forget_keys(m); /* one more of them */
    return !other && m->r->fail == PERCHE_OK;
}

/* The other program's id is one of ours: the file is an export that comes back. */
static bool by_own_id(struct import *m)
{
    if (m->external == NULL || !entry_is_uuid(m->external) || !take_key(m, m->external))
        return false;
    if (entry_exists(m->r, &m->e, m->values)) {
        free(m->external);
        m->external = NULL;
        return true;
    }
    forget_keys(m);
    return false;
}

/* A key as it is written in the records, whatever would be made of it otherwise: an id in capitals, or none of the usual form. */
static bool by_raw_key(struct import *m)
{
    uint32_t keys = 0;
    char *end;

    for (uint32_t i = 0; i < m->columns; i++) {
        int at = m->map[i];

        if (at < 0 || !m->e.columns[at].is_key || m->cells[i].text == NULL || (*m->cells[i].text == '\0' && m->cells[i].kind != CELL_EXACT))
            continue;
        m->values[at] = (struct entry_value){.given = true, .kind = 't', .text = strdup(m->cells[i].text)};
        if (m->values[at].text == NULL)
            return fail(m->r, PERCHE_NOMEM, "no memory for a key") == PERCHE_OK;
        if (m->e.columns[at].kind == ENTRY_INTEGER || m->e.columns[at].kind == ENTRY_YES_NO) {
            m->values[at].kind = 'i';
            m->values[at].i = strtoll(m->values[at].text, &end, 10);
            if (*end != '\0' || end == m->values[at].text) {
                forget_keys(m);
                return false;
            }
        }
        keys++;
    }
    if (keys > 0 && key_given(m) && entry_exists(m->r, &m->e, m->values))
        return true;
    forget_keys(m);
    return false;
}

/* Is it there, by what tells a row at once? Its key then stands in the values. */
static bool is_known(struct import *m)
{
    if (key_given(m))
        return entry_exists(m->r, &m->e, m->values);
    return m->e.key_minted && m->external != NULL && (by_external(m) || (m->r->fail == PERCHE_OK && by_own_id(m)));
}

/* Is it there, by what its values say? All of them were read. */
static bool is_told(struct import *m)
{
    if (key_given(m) || !m->e.key_minted)
        return false;
    return by_unique(m) || (m->r->fail == PERCHE_OK && by_named(m)) || (m->r->fail == PERCHE_OK && m->external == NULL && by_all(m));
}

/* ---- cells ------------------------------------------------------------------------------- */

/* Does a text column of the table take any text? */
static bool is_plain(const struct import *m, int at)
{
    const struct entry_column *c = &m->e.columns[at];

    return c->kind == ENTRY_TEXT && c->code_list == NULL && c->refers == NULL && !c->is_key;
}

/* An empty text tells nobody from anybody else. */
static bool is_unique(const struct import *m, int at)
{
    const struct table *t = m->e.t;

    for (uint32_t u = 0; u < t->uniques_count; u++)
        for (uint32_t k = 0; k < t->uniques[u].n; k++)
            if (t->uniques[u].nums[k] == m->e.columns[at].num)
                return true;
    return false;
}

static bool take_text(struct import *m, struct entry_value *v, const char *text)
{
    free(v->text);
    *v = (struct entry_value){.given = true, .kind = 't', .text = strdup(text)};
    return v->text != NULL || fail(m->r, PERCHE_NOMEM, "no memory for a value") == PERCHE_OK;
}

/* A reference that is the other program's id, or one of ours. */
static bool read_external(struct import *m, int at, const char *text, struct entry_fault *fault)
{
    char table[PERCHE_NAME_BYTES_MAX] = "", column[PERCHE_NAME_BYTES_MAX] = "", found[PERCHE_ID_BYTES_MAX] = "";
    const struct entry_column *c = &m->e.columns[at];
    sqlite3_stmt *s;

    if (c->refers == NULL || sscanf(c->refers, "%127[^(](%127[^)])", table, column) != 2)
        return fail(m->r, PERCHE_USAGE, "%s refers to no table: it takes no id of another program", c->name) == PERCHE_OK;
    s = entry_statement(m->r, &m->e, sqlite3_mprintf("SELECT t.\"%w\" FROM external_id x JOIN \"%w\" t ON t.\"%w\" = x.row_id WHERE x.source = ?2 AND x.tab = ?3 AND x.external = ?1"
                                                     " AND x.site_id = (SELECT site_id FROM perche_self) UNION ALL SELECT \"%w\" FROM \"%w\" WHERE \"%w\" = ?1",
                                                     column, table, column, column, table, column));
    ask_bind_text(s, 1, text);
    ask_bind_text(s, 2, m->source);
    ask_bind_text(s, 3, table);
    if (ask_row(m->r, s, "look for the other program's id"))
        (void)snprintf(found, sizeof found, "%s", ask_text(s, 0));
    entry_done(s);
    if (*found != '\0')
        return take_text(m, &m->values[at], found);
    (void)snprintf(fault->column, sizeof fault->column, "%s", c->name);
    (void)snprintf(fault->why, sizeof fault->why, "no row of %s is known here by the id \"%.60s\" of the other program: take that one in first", table, text);
    return false;
}

/* What the cell @i means in column @at; false: the row is refused for it. */
static bool read_cell(struct import *m, uint32_t i, int at)
{
    const struct cell *cell = &m->cells[i];
    struct entry_fault fault = {"", ""};
    bool good;

    if (cell->kind == CELL_EXTERNAL)
        good = read_external(m, at, cell->text, &fault);
    else if (cell->kind == CELL_EXACT && m->e.columns[at].is_key && *cell->text == '\0')
        good = take_text(m, &m->values[at], "");
    else if (is_plain(m, at) && (*cell->text != '\0' || (cell->kind == CELL_EXACT && !is_unique(m, at))))
        good = take_text(m, &m->values[at], cell->text);
    else
        good = entry_read(m->r, &m->e, (uint32_t)at, cell->text, &m->values[at], &fault);
    if (!good)
        turn_down(m, &fault, cell->text);
    return good;
}

/* A row that has our key may have the other program's id as well. */
static bool read_external_id(struct import *m)
{
    for (uint32_t i = 0; i < m->columns; i++)
        if (m->map[i] == EXTERNAL && m->cells[i].text != NULL && *m->cells[i].text != '\0' && (m->external = strdup(m->cells[i].text)) == NULL)
            return fail(m->r, PERCHE_NOMEM, "no memory for a row") == PERCHE_OK;
    return true;
}

/* The cells of the key, and the other program's id. */
static bool read_keys(struct import *m)
{
    for (uint32_t i = 0; i < m->columns; i++) {
        const char *text = m->cells[i].text;
        int at = m->map[i];

        if (text == NULL || (*text == '\0' && m->cells[i].kind != CELL_EXACT) || (at >= 0 && !m->e.columns[at].is_key))
            continue;
        if (at == EXTERNAL || (at == 0 && m->e.key_minted && !entry_is_uuid(text))) {
            free(m->external);
            m->external = strdup(text);
            if (m->external == NULL)
                return fail(m->r, PERCHE_NOMEM, "no memory for a row") == PERCHE_OK;
        } else if (!read_cell(m, i, at)) {
            return false;
        }
    }
    return true;
}

/* All others, as of a new row. */
static bool read_values(struct import *m)
{
    for (uint32_t i = 0; i < m->columns; i++) {
        int at = m->map[i];

        if (at >= 0 && !m->e.columns[at].is_key && m->cells[i].text != NULL && !read_cell(m, i, at))
            return false;
    }
    return true;
}

static void forget_values(struct import *m)
{
    for (uint32_t i = 0; i < m->e.count; i++)
        if (!m->e.columns[i].is_key) {
            free(m->values[i].text);
            m->values[i] = (struct entry_value){0};
        }
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

/* Text as JSON has it: what is no UTF-8 is U+FFFD there, and in every export. */
static bool same_json(struct import *m, const struct perche_value *there, const char *text)
{
    struct json a = {0}, b = {0};
    bool same;

    out_value(&a, there);
    out_text(&b, text);
    if (a.failed || b.failed)
        (void)fail(m->r, PERCHE_NOMEM, "no memory for a value");
    same = !a.failed && !b.failed && strcmp(a.p, b.p) == 0;
    out_free(&a);
    out_free(&b);
    return same;
}

/* Is @text what an export writes of the value? */
static bool as_exported(struct import *m, const struct perche_value *there, const char *text)
{
    char digits[32], *end;

    switch (there->type) {
    case PERCHE_INTEGER:
        (void)snprintf(digits, sizeof digits, "%lld", (long long)there->i);
        return strcmp(digits, text) == 0;
    case PERCHE_REAL: return strtod(text, &end) == there->r && end != text && *end == '\0';
    case PERCHE_TEXT:
        return (there->n == strlen(text) && memcmp(there->p, text, there->n) == 0) || (strstr(text, "\xef\xbf\xbd") != NULL && same_json(m, there, text));
    case PERCHE_BLOB: return strlen(text) == 2 * (size_t)there->n && same_json(m, there, text);
    default: return false;
    }
}

static bool says_something(sqlite3_stmt *s, int column)
{
    const char *text = ask_text(s, column);

    return sqlite3_column_type(s, column) != SQLITE_NULL && text[strspn(text, " \t")] != '\0';
}

/* Of each cell that says otherwise than the record: the column in *about, else -1. False: the record is not there. */
static bool look(struct import *m, int *about)
{
    sqlite3_stmt *s = entry_present(m->r, &m->e, m->values);
    bool there = ask_row(m->r, s, "read a record");

    for (uint32_t i = 0; i < m->columns && there; i++) {
        struct cell *cell = &m->cells[i];
        struct perche_value v;
        int at = m->map[i];

        about[i] = -1;
        if (at < 0 || cell->text == NULL || cell->kind == CELL_NEW || *cell->text == '\0') /* an empty cell says nothing */
            continue;
        if (m->first[i] >= 0 && says_something(s, m->first[i]))
            at = m->first[i];
        if (m->e.columns[at].is_key)
            continue;
        column_read(m->r, s, at, &v);
        if (cell->kind == CELL_EXTERNAL || !as_exported(m, &v, cell->text))
            about[i] = at;
    }
    entry_done(s);
    return there;
}

/* Reads the cells that say otherwise; no statement of the table is open meanwhile, as reading a cell needs others. */
static bool read_others(struct import *m, const int *about)
{
    for (uint32_t i = 0; i < m->columns; i++)
        if (about[i] >= 0 && !read_cell(m, i, about[i]))
            return false;
    return true;
}

/* What is given, judged against the record that @s is at. False: the row is refused. */
static bool compare(struct import *m, sqlite3_stmt *s, int64_t before, bool *writes)
{
    struct entry_fault fault = {"", ""};

    for (uint32_t i = 0; m->r->fail == PERCHE_OK && i < m->e.count; i++) {
        struct perche_value there;

        if (m->e.columns[i].is_key || !m->values[i].given)
            continue;
        column_read(m->r, s, (int)i, &there);
        if (m->values[i].kind == 'n' || equals(&there, &m->values[i])) {
            m->values[i].given = false;
            continue;
        }
        if (before != 0)
            (void)snprintf(fault.why, sizeof fault.why, "line %lld is about the same row and says something else", (long long)before);
        else if (m->e.append)
            (void)snprintf(fault.why, sizeof fault.why, "this row is recorded with another value, and rows of %s are never changed: add the right one with the id of this one as `voids`",
                           m->e.t->name);
        else if (there.type == PERCHE_BLOB)
            (void)snprintf(fault.why, sizeof fault.why, "the record has bytes here that no file carries: a program has to write them");
        if (*fault.why != '\0') {
            (void)snprintf(fault.column, sizeof fault.column, "%s", m->e.columns[i].name);
            turn_down(m, &fault, m->values[i].text);
            return false;
        }
        if (m->e.columns[i].review && there.type != PERCHE_NULL) {
            m->values[i].given = false;
            (void)ask_person(m, i, &there);
        } else {
            *writes = true;
        }
    }
    return m->r->fail == PERCHE_OK;
}

static bool is_gone(struct import *m)
{
    struct entry_fault fault = {"", "the row that this id stands for is not here any more: it was deleted, or has left this site"};

    if (m->r->fail == PERCHE_OK)
        turn_down(m, &fault, m->external);
    return false;
}

/* Reads, compares and writes; false: the row is refused, or r->fail. */
static bool change_known(struct import *m, const int *about, int64_t before, bool *writes)
{
    struct entry_fault fault = {"", ""};
    sqlite3_stmt *s;
    bool holds;

    if (!read_others(m, about))
        return false;
    s = entry_present(m->r, &m->e, m->values);
    if (!ask_row(m->r, s, "read a record") || !compare(m, s, before, writes)) {
        entry_done(s);
        return false;
    }
    holds = !*writes || entry_plausible(&m->e, m->values, s, &fault);
    entry_done(s);
    if (*writes && (!holds || !entry_lawful(m->r, &m->e, m->values, &fault) || !entry_update(m->r, &m->e, m->values, &fault))) {
        turn_down(m, &fault, NULL);
        return false;
    }
    return true;
}

static void take_known(struct import *m)
{
    int about[CELLS_MAX + 1];
    char key[KEY_TEXT_MAX];
    int64_t asked = m->asked, before;
    bool writes = false, differs = false;

    if (!look(m, about)) { /* the other program's id is known here, and its row is not */
        (void)is_gone(m);
        return;
    }
    key_text(m, key, sizeof key);
    before = line_before(m, key);
    is_named(m, key);
    for (uint32_t i = 0; i < m->columns; i++)
        differs |= about[i] >= 0;
    if (m->r->fail != PERCHE_OK || (differs && !change_known(m, about, before, &writes)))
        return;
    if (writes)
        m->changed++;
    else if (m->asked == asked)
        m->same++;
    if (m->values[0].kind == 't')
        keep_external(m, m->values[0].text);
}

/* What only the hub writes, and is what a new row has anyway, says nothing. */
static void drop_defaults(struct import *m)
{
    for (uint32_t i = 0; !m->r->hub && i < m->e.count && m->r->fail == PERCHE_OK; i++) {
        const struct column *c = table_column(m->e.t, m->e.columns[i].name);
        struct perche_value v;
        sqlite3_stmt *s;
        char *text;

        if (!m->values[i].given || !m->e.columns[i].hub_alone || c == NULL || c->default_sql == NULL)
            continue;
        text = sqlite3_mprintf("SELECT %s\n", c->default_sql);
        s = entry_statement(m->r, &m->e, text);
        if (ask_row(m->r, s, "read a default")) {
            column_read(m->r, s, 0, &v);
            m->values[i].given = !equals(&v, &m->values[i]);
        }
        entry_done(s);
    }
}

static void take_new(struct import *m)
{
    struct entry_fault fault = {"", ""};
    char *key = NULL, text[KEY_TEXT_MAX];

    drop_defaults(m);
    if (m->r->fail != PERCHE_OK)
        return;
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

static void take_row(struct import *m)
{
    if (by_raw_key(m)) {
        if (read_external_id(m))
            take_known(m);
        return;
    }
    if (m->r->fail != PERCHE_OK || !read_keys(m))
        return;
    if (is_known(m)) {
        take_known(m);
        return;
    }
    if (m->r->fail != PERCHE_OK || !read_values(m))
        return;
    if (is_told(m)) {
        forget_values(m);
        take_known(m);
    } else if (m->r->fail == PERCHE_OK) {
        if (!key_given(m))
            forget_keys(m);
        take_new(m);
    }
}

static void end_row(struct import *m)
{
    if (m->r->fail == PERCHE_OK)
        take_row(m);
    for (uint32_t i = 0; i < m->e.count; i++) {
        free(m->values[i].text);
        memset(&m->values[i], 0, sizeof m->values[i]);
    }
    for (uint32_t i = 0; i < m->columns; i++) {
        free(m->cells[i].text);
        m->cells[i] = (struct cell){0};
    }
    free(m->external);
    m->external = NULL;
}

/* @kind: the member of a cell that is an object, "" of one that is a text. */
static bool take_cell(struct import *m, uint32_t column, const char *kind, const char *text)
{
    static const char *const kinds[] = {[CELL_TEXT] = "", [CELL_EXACT] = "text", [CELL_NEW] = "new", [CELL_EXTERNAL] = "external"};
    struct cell *cell = &m->cells[column];

    for (int i = CELL_TEXT; i <= CELL_EXTERNAL; i++)
        if (strcmp(kind, kinds[i]) == 0)
            cell->kind = (enum cell_kind)i;
    if (cell->kind == CELL_NONE)
        return fail(m->r, PERCHE_USAGE, "a cell is a text, null, or an object of one member: text, new or external") == PERCHE_OK;
    free(cell->text);
    cell->text = strdup(text);
    return cell->text != NULL || fail(m->r, PERCHE_NOMEM, "no memory for a row") == PERCHE_OK;
}

/* The cells of all rows, one after the other: row, cell, text. Cell 0 is the line. */
static void take_rows(struct import *m, const char *args)
{
    sqlite3_stmt *s = ask(m->r, "SELECT r.key, c.key, iif(c.type = 'object', (SELECT o.value FROM json_each(c.value) o LIMIT 1), c.value),"
                                " iif(c.type = 'object', coalesce((SELECT o.key FROM json_each(c.value) o LIMIT 1), '?'), '')"
                                " FROM json_each(?1, '$.rows') r, json_each(r.value) c ORDER BY r.key, c.key");
    int64_t row = -1;

    ask_bind_text(s, 1, args);
    while (ask_row(m->r, s, "read the rows")) {
        int64_t cell = sqlite3_column_int64(s, 1);

        if (sqlite3_column_int64(s, 0) != row) {
            if (row >= 0)
                end_row(m);
            row = sqlite3_column_int64(s, 0);
        }
        if (m->r->fail != PERCHE_OK)
            break;
        if (cell == 0)
            m->line = sqlite3_column_int64(s, 2);
        else if (cell <= (int64_t)m->columns && (sqlite3_column_type(s, 2) != SQLITE_NULL || *ask_text(s, 3) != '\0'))
            (void)take_cell(m, (uint32_t)cell - 1, ask_text(s, 3), ask_text(s, 2));
    }
    if (row >= 0)
        end_row(m);
    sqlite3_finalize(s);
}

/* ---- what the file has ------------------------------------------------------------------- */

/* -1: there is no such column, which is r->fail, or it stands in the file before. */
static int table_has(struct import *m, const char *name)
{
    struct entry_fault fault = {"", ""};
    int at = sqlite3_stricmp(name, "external_id") == 0 && m->e.key_minted ? EXTERNAL : entry_column(&m->e, name, &fault);

    if (at == -1)
        (void)fail(m->r, PERCHE_USAGE, "column \"%s\": %s", name, fault.why);
    for (uint32_t i = 0; i < m->columns && at != -1; i++)
        if (m->map[i] == at || (at >= 0 && m->first[i] == at)) {
            (void)fail(m->r, PERCHE_USAGE, "two columns of the file are \"%s\"", name);
            at = -1;
        }
    return at;
}

/* Which of the table's columns each of the file's is. One that is called external_id is the other program's id; "a|b" is a, where the
 * record says something there, else b. */
static enum perche_rc take_columns(struct import *m, const char *args)
{
    sqlite3_stmt *s = ask(m->r, "SELECT value FROM json_each(?1, '$.columns') ORDER BY key");

    ask_bind_text(s, 1, args);
    while (m->r->fail == PERCHE_OK && ask_row(m->r, s, "read the columns")) {
        char first[PERCHE_NAME_BYTES_MAX];
        const char *name = ask_text(s, 0), *bar = strchr(name, '|');
        int at;

        if (m->columns == CELLS_MAX + 1) {
            (void)fail(m->r, PERCHE_USAGE, "the file has more than %u columns", (unsigned)CELLS_MAX);
            break;
        }
        m->first[m->columns] = -1;
        if (bar != NULL) {
            (void)snprintf(first, sizeof first, "%.*s", (int)(bar - name), name);
            m->first[m->columns] = table_has(m, first);
        }
        at = m->r->fail == PERCHE_OK ? table_has(m, bar != NULL ? bar + 1 : name) : -1;
        if (m->r->fail == PERCHE_OK)
            m->map[m->columns++] = at;
    }
    sqlite3_finalize(s);
    return m->r->fail;
}

static enum perche_rc take_by(struct import *m, const char *args)
{
    sqlite3_stmt *s = ask(m->r, "SELECT value FROM json_each(?1, '$.by')");
    struct entry_fault fault = {"", ""};

    ask_bind_text(s, 1, args);
    while (m->r->fail == PERCHE_OK && ask_row(m->r, s, "read what tells a row")) {
        int at = entry_column(&m->e, ask_text(s, 0), &fault);

        if (at < 0)
            (void)fail(m->r, PERCHE_USAGE, "by \"%s\": %s", ask_text(s, 0), fault.why);
        else
            m->any_by = m->by[at] = true;
    }
    sqlite3_finalize(s);
    return m->r->fail;
}

/* The rows of one table: @m is filled but for what is the table's. */
static enum perche_rc take_table(struct import *m, struct args *a)
{
    struct table *t = ask_table(m->r, a);

    if (t == NULL || unique_read(m->r, t) != PERCHE_OK)
        return m->r->fail;
    if (entry_open(m->r, t, &m->e) == PERCHE_OK) {
        m->values = calloc(m->e.count, sizeof *m->values);
        m->cells = calloc(CELLS_MAX + 1, sizeof *m->cells);
        if (m->values == NULL || m->cells == NULL)
            (void)fail(m->r, PERCHE_NOMEM, "no memory for a row");
    }
    if (m->r->fail == PERCHE_OK && take_columns(m, a->text) == PERCHE_OK && take_by(m, a->text) == PERCHE_OK)
        take_rows(m, a->text);
    for (uint32_t i = 0; i < m->taken_count; i++)
        free(m->taken[i].key);
    free(m->taken);
    free(m->cells);
    entry_values_free(m->values, m->e.count);
    entry_close(&m->e);
    return m->r->fail;
}

/* Of a trial: rows of other tables that the batch stands on, each as a request of its own would have them. */
static enum perche_rc take_before(struct replica *r, const struct import *of, const char *args)
{
    sqlite3_stmt *s = ask(r, "SELECT value FROM json_each(?1, '$.before')");

    ask_bind_text(s, 1, args);
    while (r->fail == PERCHE_OK && ask_row(r, s, "read what comes before")) {
        struct import m = {.r = r, .j = of->j, .dry = true, .silent = true};
        struct args a = {0};

        if (!of->dry) {
            (void)fail(r, PERCHE_USAGE, "`before` goes with `dry` alone");
            break;
        }
        (void)snprintf(m.source, sizeof m.source, "%s", of->source);
        if (args_parse(r, ask_text(s, 0), &a) == PERCHE_OK)
            (void)take_table(&m, &a);
        args_free(&a);
    }
    sqlite3_finalize(s);
    return r->fail;
}

enum perche_rc command_import(struct replica *r, const struct work *w, struct args *a, struct json *j)
{
    struct import m = {.r = r, .j = j};

    (void)w;
    if (args_text(r, a, "source", m.source, sizeof m.source) != PERCHE_OK)
        return r->fail;
    if (*m.source == '\0')
        (void)snprintf(m.source, sizeof m.source, "file");
    m.dry = args_true(r, a, "dry");
    if (harvest_all(r) != PERCHE_OK)
        return r->fail;
    if (m.dry)
        (void)exec(r, "SAVEPOINT school_import");
    out_key(j, "refused");
    out_open(j, '[');
    if (r->fail == PERCHE_OK && take_before(r, &m, a->text) == PERCHE_OK)
        (void)take_table(&m, a);
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

enum perche_rc query_columns(struct replica *r, struct args *a, struct json *j)
{
    static const char *const kinds[] = {[ENTRY_TEXT] = "text", [ENTRY_INTEGER] = "integer", [ENTRY_REAL] = "real",
                                        [ENTRY_DAY] = "day",   [ENTRY_INSTANT] = "instant", [ENTRY_YES_NO] = "yes_no"};
    struct table *t = ask_table(r, a);
    struct entry_table e = {0};

    if (t == NULL || entry_open(r, t, &e) != PERCHE_OK)
        return r->fail;
    out_key(j, "table");
    out_text(j, t->name);
    out_key(j, "columns");
    out_open(j, '[');
    for (uint32_t i = 0; i < e.count; i++) {
        out_open(j, '{');
        out_key(j, "name");
        out_text(j, e.columns[i].name);
        out_key(j, "kind");
        out_text(j, kinds[e.columns[i].kind]);
        out_key(j, "code_list");
        out_text(j, e.columns[i].code_list);
        out_key(j, "refers");
        out_text(j, e.columns[i].refers);
        out_key(j, "key");
        out_bool(j, e.columns[i].is_key);
        out_close(j, '}');
    }
    out_close(j, ']');
    entry_close(&e);
    return r->fail;
}
