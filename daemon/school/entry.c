/* A row as it is entered: its table's columns, what may be left out, and the statements that write it. */
#include "school/entry.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "replica/ask.h"
#include "replica/tx.h"

bool entry_fault_is(struct entry_fault *fault, const char *column, const char *fmt, ...)
{
    va_list ap;

    (void)snprintf(fault->column, sizeof fault->column, "%s", column);
    va_start(ap, fmt);
    (void)vsnprintf(fault->why, sizeof fault->why, fmt, ap); /* cut short it still says what */
    va_end(ap);
    return false;
}

enum perche_rc entry_failed(struct replica *r, const struct entry_fault *fault)
{
    if (r->fail != PERCHE_OK)
        return r->fail;
    return *fault->column != '\0' && strstr(fault->why, fault->column) == NULL ? fail(r, PERCHE_USAGE, "%s: %s", fault->column, fault->why)
                                                                               : fail(r, PERCHE_USAGE, "%s", fault->why);
}

/* ---- the table ------------------------------------------------------------------ */

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), k = strlen(with);

    return n >= k && strcmp(name + n - k, with) == 0;
}

/* A column of text is a day or an instant by its name: SQLite has no type for them, nor has the registry. */
static enum entry_kind kind_of(const char *name, const char *type, const char *made)
{
    static const char *const days[] = {"day", "as_of", "until", "on_date", "planned_start", "planned_end", "actual_start", "actual_end", "valid_from", "valid_to",
                                       "expires_on"};
    char check[PERCHE_NAME_BYTES_MAX + 32];

    if (strcasecmp(type, "INTEGER") == 0) {
        (void)snprintf(check, sizeof check, "CHECK (%s IN (0,1))", name);
        return strstr(made, check) != NULL ? ENTRY_YES_NO : ENTRY_INTEGER;
    }
    if (strcasecmp(type, "REAL") == 0)
        return ENTRY_REAL;
    for (size_t i = 0; i < sizeof days / sizeof *days; i++)
        if (strcmp(days[i], name) == 0)
            return ENTRY_DAY;
    if (ends(name, "_on") || ends(name, "_date"))
        return ENTRY_DAY;
    return strcmp(name, "at") == 0 || ends(name, "_at") ? ENTRY_INSTANT : ENTRY_TEXT;
}

static char *copied(struct replica *r, sqlite3_stmt *s, int column)
{
    char *copy;

    if (sqlite3_column_type(s, column) == SQLITE_NULL)
        return NULL;
    copy = strdup(ask_text(s, column));
    if (copy == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a table's columns");
    return copy;
}

static enum perche_rc take_time(struct replica *r, struct entry_table *e)
{
    sqlite3_stmt *s = ask(r, "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', ?1 / 1000, 'unixepoch')");

    if (s != NULL)
        (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms); /* a failed bind gives no time, and no column takes none */
    if (ask_row(r, s, "tell the time"))
        (void)snprintf(e->now, sizeof e->now, "%s", ask_text(s, 0));
    sqlite3_finalize(s);
    return r->fail;
}

/* Is the row the site's that stands in this column, and only the hub's to move? */
static bool places_row(const struct table *t, uint16_t num)
{
    bool own = t->rule == RULE_OWN || t->rule == RULE_MEMBERS, found = false;

    for (uint32_t p = 0; own && !t->mover_holder && p < t->parts_count; p++)
        found |= t->parts[p].child_site == NULL && t->parts[p].key_index < 0 && t->parts[p].num == num;
    return found;
}

enum perche_rc entry_open(struct replica *r, struct table *t, struct entry_table *e)
{
    sqlite3_stmt *s = ask(r, "SELECT x.name, x.type, x.\"notnull\", x.dflt_value IS NOT NULL, x.pk, p.code_list, p.refers, p.policy = 'hub', m.sql"
                             " FROM pragma_table_info(?1) x JOIN perche_column p ON p.tab = ?1 AND p.col = x.name JOIN sqlite_schema m ON m.type = 'table' AND m.name = ?1"
                             " ORDER BY x.pk = 0, x.pk, x.cid");

    memset(e, 0, sizeof *e);
    (void)take_time(r, e);
    e->t = t;
    e->append = t->policy == POLICY_APPEND;
    e->hub = r->hub;
    e->columns = calloc(PERCHE_KEY_COLUMNS_MAX + PERCHE_COLUMNS_MAX, sizeof *e->columns);
    if (e->columns == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a table's columns");
    ask_bind_text(s, 1, t->name);
    while (r->fail == PERCHE_OK && e->count < PERCHE_KEY_COLUMNS_MAX + PERCHE_COLUMNS_MAX && ask_row(r, s, "read a table's columns")) {
        struct entry_column *c = &e->columns[e->count++];

        (void)snprintf(c->name, sizeof c->name, "%s", ask_text(s, 0));
        c->kind = sqlite3_column_type(s, 5) != SQLITE_NULL ? ENTRY_TEXT : kind_of(c->name, ask_text(s, 1), ask_text(s, 8)); /* a code is no day, whatever its name */
        c->notnull = sqlite3_column_int(s, 2) != 0;
        c->has_default = sqlite3_column_int(s, 3) != 0;
        c->is_key = sqlite3_column_int(s, 4) > 0;
        c->code_list = copied(r, s, 5);
        c->refers = copied(r, s, 6);
        c->hub_alone = sqlite3_column_int(s, 7) != 0;
        c->own_site = c->notnull && (strcmp(c->name, "site_id") == 0 || strcmp(c->name, "home_site_id") == 0 || strcmp(c->name, "recorded_site") == 0);
        c->now = c->notnull && !c->is_key && (strcmp(c->name, "recorded_at") == 0 || strcmp(c->name, "decided_at") == 0 || strcmp(c->name, "at") == 0);
        e->key_minted |= c->is_key && c->has_default;
        if (!c->is_key) {
            const struct column *known = table_column(t, c->name);

            c->num = known != NULL ? known->num : 0;
            c->review = known != NULL && known->policy == POLICY_REVIEW;
            c->places = known != NULL && places_row(t, known->num);
        }
    }
    sqlite3_finalize(s);
    if (r->fail != PERCHE_OK)
        entry_close(e);
    return r->fail;
}

void entry_close(struct entry_table *e)
{
    for (uint32_t i = 0; i < ENTRY_KEPT; i++) {
        sqlite3_finalize(e->kept[i].s);
        sqlite3_free(e->kept[i].text);
    }
    for (uint32_t i = 0; e->columns != NULL && i < e->count; i++) {
        free(e->columns[i].code_list);
        free(e->columns[i].refers);
    }
    free(e->columns);
    memset(e, 0, sizeof *e);
}

int entry_column(const struct entry_table *e, const char *name, struct entry_fault *fault)
{
    char names[ENTRY_WHY_MAX - 100] = "";
    size_t n = 0;

    for (uint32_t i = 0; i < e->count; i++)
        if (strcasecmp(e->columns[i].name, name) == 0)
            return (int)i;
    for (uint32_t i = 0; i < e->count && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i > 0 ? ", " : "", e->columns[i].name);
    (void)entry_fault_is(fault, name, "%s has no such column; it has %s", e->t->name, names);
    return -1;
}

void entry_values_free(struct entry_value *values, uint32_t count)
{
    for (uint32_t i = 0; values != NULL && i < count; i++)
        free(values[i].text);
    free(values);
}

bool entry_set_text(struct replica *r, struct entry_value *out, const char *text)
{
    free(out->text);
    out->text = strdup(text);
    out->kind = 't';
    return out->text != NULL || fail(r, PERCHE_NOMEM, "no memory for a value") == PERCHE_OK;
}

/* ---- a row ------------------------------------------------------------------------------- */

bool entry_lawful(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault)
{
    for (uint32_t i = 0; !r->hub && i < e->count; i++)
        if (values[i].given && e->columns[i].hub_alone && (e->t->policy == POLICY_HUB || !e->columns[i].is_key))
            return entry_fault_is(fault, e->columns[i].name, "only the hub writes %s.%s", e->t->name, e->columns[i].name);
    return true;
}

/* One more that is missing, with the codes that it may have; the first is the fault's column. */
static void add_missing(struct replica *r, const struct entry_column *c, struct entry_fault *fault)
{
    sqlite3_stmt *s = c->code_list != NULL ? ask(r, "SELECT group_concat(code, ', ') FROM (SELECT code FROM code_list WHERE list = ?1 ORDER BY code LIMIT 8)") : NULL;
    bool first = *fault->column == '\0';
    size_t n = first ? 0 : strlen(fault->why);
    const char *codes;

    ask_bind_text(s, 1, c->code_list);
    codes = ask_row(r, s, "read a code list") ? ask_text(s, 0) : "";
    if (first)
        (void)snprintf(fault->column, sizeof fault->column, "%s", c->name);
    (void)snprintf(fault->why + n, sizeof fault->why - n, "%s%s%s%s%s", first ? "missing: " : ", ", c->name, *codes != '\0' ? " (" : "", codes, *codes != '\0' ? ")" : "");
    sqlite3_finalize(s);
}

/* The network of a hub is the only one there is. */
static bool only_network(struct replica *r, const struct entry_column *c, struct entry_value *out)
{
    sqlite3_stmt *s = c->refers != NULL && strcmp(c->refers, "network(id)") == 0 ? ask(r, "SELECT min(id) FROM network HAVING count(*) = 1") : NULL;
    bool is = ask_row(r, s, "look for the network") && entry_set_text(r, out, ask_text(s, 0));

    sqlite3_finalize(s);
    out->given = is;
    return is;
}

bool entry_complete(struct replica *r, struct entry_table *e, struct entry_value *values, struct entry_fault *fault)
{
    bool missing = false;

    for (uint32_t i = 0; i < e->count; i++) {
        const struct entry_column *c = &e->columns[i];

        if (values[i].given)
            continue;
        if (c->own_site && !r->hub) {
            if (!entry_set_text(r, &values[i], r->node.site))
                return false;
            values[i].given = true;
        } else if (c->now) {
            if (!entry_set_text(r, &values[i], e->now))
                return false;
            values[i].given = true;
        } else if (c->notnull && !c->has_default && !only_network(r, c, &values[i])) {
            add_missing(r, c, fault);
            missing = true;
        }
    }
    return !missing && r->fail == PERCHE_OK;
}

void entry_bind(sqlite3_stmt *s, int i, const struct entry_value *v)
{
    switch (v->kind) { /* a failed bind leaves NULL there: only for want of memory, which the step finds too */
    case 'i': (void)sqlite3_bind_int64(s, i, v->i); break;
    case 'r': (void)sqlite3_bind_double(s, i, v->r); break;
    case 't': (void)sqlite3_bind_text(s, i, v->text, -1, SQLITE_STATIC); break;
    default: (void)sqlite3_bind_null(s, i); break;
    }
}

sqlite3_stmt *entry_statement(struct replica *r, struct entry_table *e, char *text)
{
    struct entry_kept *k;

    if (text == NULL) {
        (void)fail(r, PERCHE_NOMEM, "no memory for a statement");
        return NULL;
    }
    for (uint32_t i = 0; i < ENTRY_KEPT; i++)
        if (e->kept[i].s != NULL && strcmp(e->kept[i].text, text) == 0) {
            sqlite3_free(text);
            return e->kept[i].s;
        }
    k = &e->kept[e->kept_next++ % ENTRY_KEPT];
    sqlite3_finalize(k->s);
    sqlite3_free(k->text);
    *k = (struct entry_kept){text, ask(r, text)};
    return k->s;
}

void entry_done(sqlite3_stmt *s)
{
    if (s == NULL)
        return;
    (void)sqlite3_reset(s); /* its error was seen by the step */
    (void)sqlite3_clear_bindings(s);
}

/* A constraint or a trigger of the file is the row's fault. */
static bool stepped(struct replica *r, sqlite3_stmt *s, char **key, struct entry_fault *fault)
{
    int rc = s != NULL ? sqlite3_step(s) : SQLITE_NOMEM;
    bool ok = rc == SQLITE_ROW || rc == SQLITE_DONE;

    if (rc == SQLITE_ROW && key != NULL && (*key = sqlite3_mprintf("%s", sqlite3_column_text(s, 0))) == NULL)
        ok = fail(r, PERCHE_NOMEM, "no memory for a key") == PERCHE_OK;
    if (s != NULL && !ok && r->fail == PERCHE_OK) {
        if ((rc & 0xff) == SQLITE_CONSTRAINT && !tx_lost(r)) /* RAISE(ROLLBACK) has ended all of it */
            (void)entry_fault_is(fault, "", "%s", rc == SQLITE_CONSTRAINT_PRIMARYKEY ? "a row with this key is there already" : sqlite3_errmsg(r->db));
        else
            (void)fail_sqlite(r, rc, "write a record");
    }
    entry_done(s);
    return ok;
}

bool entry_insert(struct replica *r, struct entry_table *e, const struct entry_value *values, char **key, struct entry_fault *fault)
{
    sqlite3_str *text = sqlite3_str_new(r->db), *marks = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    char *all;
    int n = 0;

    *key = NULL;
    sqlite3_str_appendf(text, "INSERT INTO \"%w\" (", e->t->name);
    for (uint32_t i = 0; i < e->count; i++)
        if (values[i].given) {
            sqlite3_str_appendf(text, "%s\"%w\"", n > 0 ? ", " : "", e->columns[i].name);
            sqlite3_str_appendall(marks, n++ > 0 ? ", ?" : "?");
        }
    all = sqlite3_str_finish(marks);
    if (n > 0)
        sqlite3_str_appendf(text, ") VALUES (%s) RETURNING json_array(", all != NULL ? all : "");
    sqlite3_free(all);
    for (uint32_t i = 0, k = 0; i < e->count; i++)
        if (e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\"", k++ > 0 ? ", " : "", e->columns[i].name);
    sqlite3_str_appendall(text, ")");
    if (n == 0) {
        sqlite3_free(sqlite3_str_finish(text));
        return entry_fault_is(fault, "", "nothing is given");
    }
    s = entry_statement(r, e, sqlite3_str_finish(text));
    n = 0;
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (values[i].given)
            entry_bind(s, ++n, &values[i]);
    return s != NULL && stepped(r, s, key, fault);
}

/* What the row that takes another one back has in a column: ?1 = the key of that one, ?2 = why, ?3 = this site. */
static const char *void_value(const struct entry_column *c)
{
    return strcmp(c->name, "voids") == 0            ? "?1"
           : strcmp(c->name, "void_reason") == 0    ? "?2"
           : strcmp(c->name, "recorded_site") == 0  ? "?3"
           : strcmp(c->name, "recorded_at") == 0    ? "strftime('%Y-%m-%dT%H:%M:%SZ', ?4 / 1000, 'unixepoch')"
                                                    : NULL;
}

bool entry_void(struct replica *r, struct entry_table *e, const struct entry_value *values, const char *reason, char **key, struct entry_fault *fault)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s;

    *key = NULL;
    sqlite3_str_appendf(text, "INSERT INTO \"%w\" (", e->t->name);
    for (uint32_t i = 1; i < e->count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i > 1 ? ", " : "", e->columns[i].name);
    sqlite3_str_appendall(text, ") SELECT ");
    for (uint32_t i = 1; i < e->count; i++) {
        const char *value = void_value(&e->columns[i]);

        if (value != NULL)
            sqlite3_str_appendf(text, "%s%s", i > 1 ? ", " : "", value);
        else
            sqlite3_str_appendf(text, "%s\"%w\"", i > 1 ? ", " : "", e->columns[i].name);
    }
    sqlite3_str_appendf(text, " FROM \"%w\" WHERE \"%w\" = ?1 RETURNING json_array(\"%w\")", e->t->name, e->columns[0].name, e->columns[0].name);
    s = entry_statement(r, e, sqlite3_str_finish(text));
    if (s == NULL)
        return false;
    entry_bind(s, 1, &values[0]);
    ask_bind_text(s, 2, reason);
    ask_bind_text(s, 3, r->node.site);
    (void)sqlite3_bind_int64(s, 4, (sqlite3_int64)r->now_ms); /* a failed bind shows in the step: NOT NULL */
    return stepped(r, s, key, fault);
}

bool entry_exists(struct replica *r, struct entry_table *e, const struct entry_value *values)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    int keys = 0;
    bool there;

    sqlite3_str_appendf(text, "SELECT 1 FROM \"%w\" WHERE ", e->t->name);
    for (uint32_t i = 0; i < e->count; i++)
        if (e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\" = ?", keys++ > 0 ? " AND " : "", e->columns[i].name);
    s = entry_statement(r, e, sqlite3_str_finish(text));
    keys = 0;
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (e->columns[i].is_key)
            entry_bind(s, ++keys, &values[i]);
    there = ask_row(r, s, "look for a record");
    entry_done(s);
    return there;
}

sqlite3_stmt *entry_present(struct replica *r, struct entry_table *e, const struct entry_value *values)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    int n = 0;

    for (uint32_t i = 0; i < e->count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i > 0 ? ", " : "SELECT ", e->columns[i].name);
    sqlite3_str_appendf(text, " FROM \"%w\"", e->t->name);
    for (uint32_t i = 0; i < e->count; i++)
        if (e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\" IS ?", n++ > 0 ? " AND " : " WHERE ", e->columns[i].name);
    s = entry_statement(r, e, sqlite3_str_finish(text));
    n = 0;
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (e->columns[i].is_key)
            entry_bind(s, ++n, &values[i]);
    return s;
}

bool entry_update(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    int n = 0, keys = 0;

    sqlite3_str_appendf(text, "UPDATE \"%w\" SET ", e->t->name);
    for (uint32_t i = 0; i < e->count; i++)
        if (values[i].given && !e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\" = ?", n++ > 0 ? ", " : "", e->columns[i].name);
    sqlite3_str_appendall(text, " WHERE ");
    for (uint32_t i = 0; i < e->count; i++)
        if (e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\" = ?", keys++ > 0 ? " AND " : "", e->columns[i].name);
    if (n == 0) {
        sqlite3_free(sqlite3_str_finish(text));
        return true;
    }
    s = entry_statement(r, e, sqlite3_str_finish(text));
    n = 0;
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (values[i].given && !e->columns[i].is_key)
            entry_bind(s, ++n, &values[i]);
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (e->columns[i].is_key)
            entry_bind(s, ++n, &values[i]);
    return s != NULL && stepped(r, s, NULL, fault);
}

bool entry_delete(struct replica *r, struct entry_table *e, const struct entry_value *values, struct entry_fault *fault)
{
    sqlite3_str *text = sqlite3_str_new(r->db);
    sqlite3_stmt *s;
    int n = 0;

    sqlite3_str_appendf(text, "DELETE FROM \"%w\"", e->t->name);
    for (uint32_t i = 0; i < e->count; i++)
        if (e->columns[i].is_key)
            sqlite3_str_appendf(text, "%s\"%w\" = ?", n++ > 0 ? " AND " : " WHERE ", e->columns[i].name);
    s = entry_statement(r, e, sqlite3_str_finish(text));
    n = 0;
    for (uint32_t i = 0; s != NULL && i < e->count; i++)
        if (e->columns[i].is_key)
            entry_bind(s, ++n, &values[i]);
    return s != NULL && stepped(r, s, NULL, fault);
}
