/* The registry (perche_table, perche_column) joined with what the file says of
 * each table: keys, types, collations, triggers. Read again when the schema moved.
 *
 * Nothing here stops the rest: a table that is missing, or whose rule is of a
 * newer grammar, is left out or marked, with a warning for status and doctor. */
#include "replica/tx.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "replica/rule.h"

struct warning {
    const char *code; /* static */
    char *table, *text;
};

struct registry {
    struct table **tables; /* in order of name */
    uint32_t count, cap;
    uint32_t *slots; /* index + 1 by hash of the name; a power of two, at most half full */
    uint32_t slots_count;
    struct table **by_num;
    uint32_t by_num_count;
    bool foreign;
    struct warning *warnings;
    uint32_t warnings_count, warnings_cap;
};

/* ---- free ---------------------------------------------------------------- */

static void column_free(struct column *c)
{
    free(c->name);
    free(c->default_sql);
}

static void table_free(struct table *t)
{
    if (t == NULL)
        return;
    (void)sqlite3_finalize(t->select_row); /* its error was seen by the step */
    (void)sqlite3_finalize(t->delete_row);
    (void)sqlite3_finalize(t->exists_row);
    for (uint32_t i = 0; i < sizeof t->upsert / sizeof *t->upsert; i++) {
        (void)sqlite3_finalize(t->upsert[i].stmt);
        (void)sqlite3_finalize(t->update[i].stmt);
    }
    for (uint32_t i = 0; i < t->keys_count; i++)
        column_free(&t->keys[i]);
    for (uint32_t i = 0; t->columns != NULL && i < t->columns_count; i++)
        column_free(&t->columns[i]);
    rule_free(t);
    free(t->columns);
    free(t->by_name);
    free(t->name);
    free(t->area);
    free(t->label);
    free(t->triggers);
    free(t->obstacle);
    free(t);
}

static void free_all(struct registry *g)
{
    if (g == NULL)
        return;
    for (uint32_t i = 0; i < g->count; i++)
        table_free(g->tables[i]);
    for (uint32_t i = 0; i < g->warnings_count; i++) {
        free(g->warnings[i].table);
        free(g->warnings[i].text);
    }
    free(g->tables);
    free(g->slots);
    free(g->by_num);
    free(g->warnings);
    free(g);
}

void registry_free(struct replica *r)
{
    free_all(r->registry);
    r->registry = NULL;
}

/* ---- look-ups ------------------------------------------------------------ */

struct table *registry_table(struct replica *r, const char *name)
{
    const struct registry *g = r->registry;
    uint32_t mask;

    if (g == NULL || g->slots_count == 0)
        return NULL;
    mask = g->slots_count - 1;
    for (uint32_t i = (uint32_t)XXH3_64bits(name, strlen(name)) & mask; g->slots[i] != 0; i = (i + 1) & mask)
        if (strcmp(g->tables[g->slots[i] - 1]->name, name) == 0)
            return g->tables[g->slots[i] - 1];
    return NULL;
}

struct table *registry_table_num(struct replica *r, uint32_t num)
{
    const struct registry *g = r->registry;

    return g != NULL && num < g->by_num_count ? g->by_num[num] : NULL;
}

struct table *registry_at(struct replica *r, uint32_t i)
{
    return r->registry != NULL && i < r->registry->count ? r->registry->tables[i] : NULL;
}

struct column *table_column(struct table *t, const char *name)
{
    uint32_t low = 0, high = t->columns_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        struct column *c = &t->columns[t->by_name[middle] - 1];
        int order = strcmp(name, c->name);

        if (order == 0)
            return c;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool registry_foreign_triggers(const struct replica *r)
{
    return r->registry == NULL || r->registry->foreign;
}

uint32_t registry_obstacles(const struct replica *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; r->registry != NULL && i < r->registry->count; i++)
        n += r->registry->tables[i]->obstacle != NULL;
    return n;
}

uint32_t registry_other_keys(const struct replica *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; r->registry != NULL && i < r->registry->count; i++)
        n += r->registry->tables[i]->other_key;
    return n;
}

void registry_changed(struct replica *r)
{
    r->schema_version = -1;
}

bool registry_is_school(const char *name)
{
    char text[PERCHE_NAME_BYTES_MAX + 32];
    int n = snprintf(text, sizeof text, "CREATE TABLE %s (", name);

    if (n < 0 || (size_t)n >= sizeof text)
        return false;
    for (size_t i = 0; i < schema_files_count; i++)
        if (strstr(schema_files[i].sql, text) != NULL)
            return true;
    return false;
}

void registry_warnings(struct replica *r, registry_warning_cb cb, void *ctx)
{
    const struct registry *g = r->registry;

    for (uint32_t i = 0; g != NULL && i < g->warnings_count; i++)
        cb(ctx, g->warnings[i].code, g->warnings[i].table, g->warnings[i].text);
}

/* ---- building ------------------------------------------------------------ */

/* Failures meet in r->fail; registry_load turns them into *err. */

enum load_sql { LOAD_COLUMNS, LOAD_KEY, LOAD_MADE, LOAD_FILE, LOAD_INDEXES, LOAD_SQL_COUNT };

static const char *const load_texts[LOAD_SQL_COUNT] = {
    [LOAD_COLUMNS] = "SELECT col, num, policy, taken_with FROM perche_column WHERE tab = ?1 ORDER BY num",
    /* for the table whose keys do not look the same: a row when the file's key is not the registered one */
    [LOAD_KEY] = "SELECT f.cols, k.cols FROM (SELECT group_concat(col, ', ') AS cols, group_concat(lower(col)) AS low FROM"
                 " (SELECT col FROM perche_column WHERE tab = ?1 AND num = 0 ORDER BY lower(col))) k,"
                 " (SELECT group_concat(name, ', ') AS cols, group_concat(lower(name)) AS low FROM"
                 " (SELECT name FROM pragma_table_xinfo(?1) WHERE pk > 0 ORDER BY lower(name))) f WHERE f.low <> k.low",
    /* how it was made when it was last taken for the registered one, unless it is still made so (?2) */
    [LOAD_MADE] = "SELECT m.sql FROM perche_tab n JOIN perche_made m ON m.tab = n.num WHERE n.name = ?1 AND instr(m.sql, ?2) <> 1",
    [LOAD_FILE] = "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1) ORDER BY pk = 0, cid", /* the key first */
    [LOAD_INDEXES] = "SELECT name, \"unique\" FROM pragma_index_list(?1) WHERE origin <> 'pk'",
};

/* A load: its statements are prepared once for all tables. */
struct load {
    struct registry *g;
    sqlite3_stmt *sql[LOAD_SQL_COUNT];
    char *keys[PERCHE_KEY_COLUMNS_MAX]; /* registered of the present table; owned */
    uint32_t keys_count;                /* all of them */
    char *expression;                   /* the last DEFAULT that was tried and is one: most tables have the same; owned */
};

/* A statement about @table, ready to step. */
static sqlite3_stmt *about(struct load *l, enum load_sql id, const char *table)
{
    (void)sqlite3_reset(l->sql[id]); /* its error was seen by the step */
    (void)sqlite3_bind_text(l->sql[id], 1, table, -1, SQLITE_STATIC); /* a failed bind finds nothing */
    return l->sql[id];
}

static bool out_of_memory(struct replica *r)
{
    (void)fail(r, PERCHE_NOMEM, "no memory for the registry");
    return false;
}

static bool text_of(struct replica *r, sqlite3_stmt *s, int i, char **out)
{
    const char *text = (const char *)sqlite3_column_text(s, i);

    *out = NULL;
    if (text == NULL)
        return sqlite3_column_type(s, i) == SQLITE_NULL || out_of_memory(r);
    *out = strdup(text);
    return *out != NULL || out_of_memory(r);
}

static bool warn(struct replica *r, struct registry *g, const char *code, const char *table, char *text)
{
    struct warning *w;

    if (g->warnings_count == g->warnings_cap) {
        uint32_t cap = g->warnings_cap == 0 ? 8 : g->warnings_cap * 2;

        w = realloc(g->warnings, cap * sizeof *w);
        if (w == NULL) {
            sqlite3_free(text);
            return out_of_memory(r);
        }
        g->warnings = w;
        g->warnings_cap = cap;
    }
    w = &g->warnings[g->warnings_count];
    w->code = code;
    w->table = strdup(table);
    w->text = text != NULL ? strdup(text) : NULL;
    sqlite3_free(text);
    g->warnings_count++; /* also when half made: free_all ends it */
    return (w->table != NULL && w->text != NULL) || out_of_memory(r);
}

/* https://www.sqlite.org/datatype3.html 3.1 */
uint8_t registry_affinity(const char *type, bool strict)
{
    char upper[64];
    size_t n = 0;

    for (; type[n] != '\0' && n < sizeof upper - 1; n++)
        upper[n] = (char)toupper((unsigned char)type[n]);
    upper[n] = '\0';
    if (strict && strcmp(upper, "ANY") == 0)
        return 'A';
    if (strstr(upper, "INT") != NULL)
        return 'I';
    if (strstr(upper, "CHAR") != NULL || strstr(upper, "CLOB") != NULL || strstr(upper, "TEXT") != NULL)
        return 'T';
    if (n == 0 || strstr(upper, "BLOB") != NULL)
        return 'B';
    if (strstr(upper, "REAL") != NULL || strstr(upper, "FLOA") != NULL || strstr(upper, "DOUB") != NULL)
        return 'R';
    return 'N';
}

static bool policy_of(const char *text, uint8_t *out)
{
    static const char *const names[] = {[POLICY_LWW] = "lww", [POLICY_REVIEW] = "review", [POLICY_APPEND] = "append", [POLICY_HUB] = "hub"};

    for (uint8_t i = POLICY_LWW; i <= POLICY_HUB; i++)
        if (text != NULL && strcmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    return false;
}

/* Takes the next word of SQL at *p into @word (quotes off, a string is an empty one); false at the end. Comments are passed over. */
static bool sql_word(const char **p, char *word, size_t size, bool *identifier)
{
    const char *s = *p;
    size_t n = 0;

    for (;;) {
        if (isspace((unsigned char)*s)) {
            s++;
        } else if (s[0] == '-' && s[1] == '-') {
            while (*s != '\0' && *s != '\n')
                s++;
        } else if (s[0] == '/' && s[1] == '*') {
            s += 2;
            while (*s != '\0' && !(s[0] == '*' && s[1] == '/'))
                s++;
            if (*s != '\0')
                s += 2;
        } else {
            break;
        }
    }
    *identifier = true;
    if (*s == '\0')
        return false;
    if (*s == '"' || *s == '`' || *s == '[' || *s == '\'') {
        char end = *s == '[' ? ']' : *s;

        *identifier = *s != '\'';
        for (s++; *s != '\0'; s++) {
            if (*s == end && (end == ']' || *++s != end))
                break;
            if (*identifier && n < size - 1)
                word[n++] = *s;
        }
        if (end == ']' && *s != '\0')
            s++;
    } else if (isalnum((unsigned char)*s) || *s == '_' || *s == '$' || (unsigned char)*s >= 0x80) {
        for (; isalnum((unsigned char)*s) || *s == '_' || *s == '$' || (unsigned char)*s >= 0x80; s++)
            if (n < size - 1)
                word[n++] = *s;
    } else {
        *identifier = false;
        word[n++] = *s++;
    }
    word[n] = '\0';
    *p = s;
    return true;
}

/* What SQLite says of @text, which is not stepped. Twice, as a want of memory may look like a mistake. */
static int prepared(struct replica *r, const char *text)
{
    int rc = SQLITE_ERROR;

    for (int i = 0; i < 2 && (rc & 0xff) == SQLITE_ERROR; i++) {
        sqlite3_stmt *s = NULL;

        rc = sqlite3_prepare_v2(r->db, text, -1, &s, NULL);
        (void)sqlite3_finalize(s);
    }
    return rc;
}

/* The only word of @text, its quotes off; false: there are more, or it is none. */
static bool lone_word(const char *text, char *word, size_t size)
{
    char more[2];
    bool identifier, another;

    return sql_word(&text, word, size, &identifier) && identifier && !sql_word(&text, more, sizeof more, &another);
}

/* DEFAULT planned and DEFAULT "planned" are strings, which no other place of a statement takes them for. What is no expression here
 * but for functions of its program's has no value that is known: *unknown. */
static bool default_of(struct replica *r, struct load *l, const char *text, char **out, bool *unknown)
{
    size_t size = strlen(text) + 2; /* one for a single character */
    char *word = malloc(size), *tried = sqlite3_mprintf("SELECT (\n%s\n)", text), *form = NULL;
    bool lone = word != NULL && lone_word(text, word, size), seen = l->expression != NULL && strcmp(l->expression, text) == 0;
    int rc = word == NULL || tried == NULL ? SQLITE_NOMEM : lone && strchr("\"`[", text[0]) != NULL ? SQLITE_ERROR : seen ? SQLITE_OK : prepared(r, tried);

    if (rc == SQLITE_OK)
        form = sqlite3_mprintf("%s", text);
    else if ((rc & 0xff) == SQLITE_ERROR)
        form = lone ? sqlite3_mprintf("%Q", word) : sqlite3_mprintf("(NULL)"); /* of parentheses: not compared with every row */
    *unknown |= (rc & 0xff) == SQLITE_ERROR && !lone;
    if (rc == SQLITE_OK && !seen) {
        free(l->expression);
        l->expression = strdup(text); /* none: it is tried again */
    }
    if (form != NULL)
        *out = strdup(form);
    else if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_ERROR)
        (void)fail_sqlite(r, rc, "a column's DEFAULT");
    sqlite3_free(form);
    sqlite3_free(tried);
    free(word);
    return *out != NULL || out_of_memory(r);
}

/* A column as the file has it. @s: name, type, notnull, dflt_value, pk of pragma_table_xinfo. */
static bool read_column(struct replica *r, struct load *l, struct table *t, bool strict, sqlite3_stmt *s, struct column *c)
{
    const char *type = (const char *)sqlite3_column_text(s, 1), *collation = NULL;
    char *name = NULL, *text;

    if (c->name == NULL) {
        if (!text_of(r, s, 0, &name))
            return false;
        c->name = name;
    }
    free(c->default_sql);
    c->default_sql = NULL;
    if (!text_of(r, s, 3, &text))
        return false;
    c->has_default = text != NULL && strcasecmp(text, "NULL") != 0;
    if (text != NULL && !default_of(r, l, text, &c->default_sql, &t->suspect))
        return free(text), false;
    free(text);
    c->absent = false;
    c->strict = strict;
    c->affinity = registry_affinity(type != NULL ? type : "", strict);
    c->strict_any = c->affinity == 'A' || (c->affinity == 'B' && !strict);
    c->notnull = sqlite3_column_int(s, 2) != 0;
    c->hash = XXH3_64bits(c->name, strlen(c->name));
    if (sqlite3_table_column_metadata(r->db, "main", t->name, c->name, NULL, &collation, NULL, NULL, NULL) != SQLITE_OK) {
        (void)fail_sqlite(r, sqlite3_errcode(r->db), t->name);
        return false;
    }
    c->binary = collation == NULL || strcasecmp(collation, "BINARY") == 0;
    t->suspect |= !c->binary;
    return true;
}

static struct column *column_named(struct table *t, const char *name) /* before by_name is made */
{
    for (uint32_t i = 0; i < t->columns_count; i++)
        if (t->columns[i].name != NULL && strcasecmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

static void forget_keys(struct load *l)
{
    for (uint32_t i = 0; i < l->keys_count && i < PERCHE_KEY_COLUMNS_MAX; i++)
        free(l->keys[i]);
    l->keys_count = 0;
}

/* Columns of perche_column into t->columns: [i] has num i + 1, a number that is not given any more an empty name; those of the key have num 0. */
static bool read_registered(struct replica *r, struct load *l, struct table *t)
{
    sqlite3_stmt *s = about(l, LOAD_COLUMNS, t->name);
    int rc = SQLITE_DONE;
    bool ok = true;

    t->columns = calloc(PERCHE_COLUMNS_MAX, sizeof *t->columns);
    if (t->columns == NULL)
        ok = out_of_memory(r);
    forget_keys(l);
    while (ok && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        int num = sqlite3_column_int(s, 1);
        struct column *c;

        if (num == 0) {
            if (l->keys_count < PERCHE_KEY_COLUMNS_MAX)
                ok = text_of(r, s, 0, &l->keys[l->keys_count]);
            l->keys_count++;
            continue;
        }
        if (num > PERCHE_COLUMNS_MAX) {
            ok = warn(r, l->g, "column", t->name,
                      sqlite3_mprintf("%s has more than %d columns; the rest stay at this node", t->name, PERCHE_COLUMNS_MAX));
            continue;
        }
        c = &t->columns[num - 1];
        if (c->name != NULL)
            continue; /* two of one number: the first */
        t->columns_count = (uint32_t)num;
        c->num = (uint16_t)num;
        c->absent = true;
        c->policy = t->policy;
        (void)policy_of((const char *)sqlite3_column_text(s, 2), &c->policy); /* the CHECK of perche_column lets no other in */
        ok = text_of(r, s, 0, &c->name);
    }
    if (ok && rc != SQLITE_DONE) {
        (void)fail_sqlite(r, rc, "perche_column");
        ok = false;
    }
    for (uint32_t i = 0; ok && i < t->columns_count; i++) {
        struct column *c = &t->columns[i];

        if (c->name == NULL) {
            c->name = strdup("");
            ok = c->name != NULL || out_of_memory(r);
            c->absent = true;
            c->policy = t->policy;
        }
        c->num = (uint16_t)(i + 1);
        if (c->name != NULL)
            c->hash = XXH3_64bits(c->name, strlen(c->name));
    }
    (void)sqlite3_reset(s); /* its error was seen by the step */
    while (ok && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *with = (const char *)sqlite3_column_text(s, 3);
        struct column *a = column_named(t, (const char *)sqlite3_column_text(s, 0)), *b = with != NULL ? column_named(t, with) : NULL;

        if (a != NULL && b != NULL)
            a->taken_with = b->num;
    }
    if (ok && rc != SQLITE_DONE) {
        (void)fail_sqlite(r, rc, "perche_column");
        ok = false;
    }
    (void)sqlite3_reset(s); /* its error was seen by the step */
    return ok;
}

/* A table of rows that @made makes? Not asked of pragma_table_list, which expands every view of the file before it answers. */
static bool table_kind(const char *made, bool *strict, bool *replaces)
{
    char word[16];
    bool identifier, conflict = false;
    int depth = 0, words = 0;

    while (sql_word(&made, word, sizeof word, &identifier)) {
        if (++words == 2 && strcasecmp(word, "VIRTUAL") == 0)
            return false;
        if (!identifier)
            depth += (word[0] == '(') - (word[0] == ')');
        else if (depth == 0 && words > 3 && strcasecmp(word, "STRICT") == 0) /* CREATE TABLE name (...) STRICT */
            *strict = true;
        *replaces |= conflict && strcasecmp(word, "REPLACE") == 0; /* replace() of a CHECK is none */
        conflict = identifier && strcasecmp(word, "CONFLICT") == 0;
    }
    return true;
}

/* Surely the key that is registered? In whatever order. */
static bool same_key(const struct load *l, const struct table *t)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < t->keys_count && i < l->keys_count && l->keys_count <= PERCHE_KEY_COLUMNS_MAX; i++)
        for (uint32_t k = 0; k < l->keys_count; k++)
            found += t->keys[i].name != NULL && strcasecmp(t->keys[i].name, l->keys[k]) == 0;
    return found == t->keys_count && found == l->keys_count;
}

/* The key's columns in their order in @db, "a, b"; NULL: r->fail, or there is no such table. The caller's to free with sqlite3_free(). */
static char *key_order(struct replica *r, sqlite3 *db, const char *table)
{
    sqlite3_stmt *s = NULL;
    char *found = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk)", -1, &s, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC)) == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (sqlite3_column_type(s, 0) != SQLITE_NULL && (found = sqlite3_mprintf("%s", sqlite3_column_text(s, 0))) == NULL)
            (void)out_of_memory(r);
    } else {
        (void)fail_sqlite(r, rc, table);
    }
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return found;
}

/* The same, as @sql made it. One that another program's functions stand in tells nothing: NULL. */
static char *key_order_made(struct replica *r, const char *table, const char *sql)
{
    sqlite3 *was = NULL;
    char *found = NULL;
    int rc = sql != NULL ? sqlite3_open(":memory:", &was) : SQLITE_NOMEM;

    for (int i = 0; i < 2 && (i == 0 ? rc == SQLITE_OK : rc == SQLITE_ERROR); i++) /* as in prepared() */
        rc = sqlite3_exec(was, sql, NULL, NULL, NULL); /* the table comes first */
    if ((rc & 0xff) == SQLITE_NOMEM)
        (void)out_of_memory(r);
    else
        found = key_order(r, was, table);
    (void)sqlite3_close(was); /* no statement of it is left */
    return found;
}

static bool warn_key(struct replica *r, struct load *l, struct table *t, const char *now, const char *then)
{
    t->other_key = true;
    return warn(r, l->g, "missing", t->name,
                sqlite3_mprintf("table %s was made anew with the key (%s) instead of (%s): nothing of it goes out, and what comes for it is set"
                                " aside. Rename it: the table is then made again as it was, with its rows",
                                t->name, now, then));
}

/* Rows are known by their encoded keys, so the same columns in another order are another key. The registry does not have the order. */
static bool order_stands(struct replica *r, struct load *l, struct table *t, const char *made)
{
    sqlite3_stmt *s;
    char *now = NULL, *then = NULL;
    bool ok = true;
    int rc;

    if (t->keys_count < 2)
        return true;
    s = about(l, LOAD_MADE, t->name);
    (void)sqlite3_bind_text(s, 2, made, -1, SQLITE_STATIC); /* a failed bind finds nothing */
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        then = key_order_made(r, t->name, (const char *)sqlite3_column_text(s, 0));
    else if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, t->name);
    (void)sqlite3_reset(s); /* repeats the step's error */
    if (then != NULL && (now = key_order(r, r->db, t->name)) != NULL && strcasecmp(now, then) != 0)
        ok = warn_key(r, l, t, now, then);
    sqlite3_free(now);
    sqlite3_free(then);
    return ok && r->fail == PERCHE_OK;
}

/* A program that rebuilds a table may give it a key of its own: its rows are then none of those that the metadata speaks of. */
static bool key_stands(struct replica *r, struct load *l, struct table *t, const char *made)
{
    sqlite3_stmt *s;
    bool ok = true;
    int rc;

    if (t->is_system)
        return true;
    if (same_key(l, t))
        return order_stands(r, l, t, made);
    s = about(l, LOAD_KEY, t->name);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        ok = warn_key(r, l, t, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1));
    else if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, t->name);
    (void)sqlite3_reset(s); /* repeats the step's error */
    return ok && r->fail == PERCHE_OK;
}

/* The key's columns, which @s has first; returns what the last step said. More than PERCHE_KEY_COLUMNS_MAX: *many. */
static int read_keys(struct replica *r, struct load *l, struct table *t, bool strict, sqlite3_stmt *s, bool *ok, bool *many)
{
    int rc = SQLITE_DONE, pk;

    while (*ok && (rc = sqlite3_step(s)) == SQLITE_ROW && (pk = sqlite3_column_int(s, 4)) > 0) {
        if (pk > PERCHE_KEY_COLUMNS_MAX) {
            *many = true;
            continue;
        }
        if (t->keys_count < (uint32_t)pk)
            t->keys_count = (uint32_t)pk;
        t->keys[pk - 1].policy = t->policy;
        *ok = read_column(r, l, t, strict, s, &t->keys[pk - 1]);
    }
    return rc;
}

/* A column that is none of the key's, where @s stands. */
static bool read_other(struct replica *r, struct load *l, struct table *t, bool strict, sqlite3_stmt *s)
{
    const char *name = (const char *)sqlite3_column_text(s, 0);
    bool generated = sqlite3_column_int(s, 5) != 0;
    struct column *c;

    if (name == NULL)
        return out_of_memory(r);
    t->suspect |= generated;
    c = column_named(t, name);
    if (c == NULL && t->is_system) {
        c = &t->columns[t->columns_count++];
        c->num = (uint16_t)t->columns_count;
        c->policy = t->policy;
    }
    t->suspect |= c == NULL;
    if (c != NULL && generated) /* it stays absent */
        return warn(r, l->g, "column", t->name,
                    sqlite3_mprintf("column %s of %s was made anew as a generated one, which nobody can write: what comes for it is set aside; make the"
                                    " table again with it as an ordinary column", name, t->name));
    if (c != NULL)
        return read_column(r, l, t, strict, s, c);
    return generated || warn(r, l->g, "column", t->name, sqlite3_mprintf("column %s of %s is not registered: it stays at this node", name, t->name));
}

/* The table as the file has it; @made is its CREATE statement, NULL = there is none. */
static bool read_file(struct replica *r, struct load *l, struct table *t, const char *made)
{
    struct registry *g = l->g;
    sqlite3_stmt *s;
    bool ok = true, strict = false, many = false;
    int rc;

    t->present = made != NULL && table_kind(made, &strict, &t->replaces);
    if (!t->present)
        return warn(r, g, "missing", t->name, sqlite3_mprintf("table %s is registered but not in the file: what comes for it is set aside until it is there", t->name));
    s = about(l, LOAD_FILE, t->name);
    rc = read_keys(r, l, t, strict, s, &ok, &many);
    ok = ok && key_stands(r, l, t, made);
    if (ok && t->other_key) {
        for (; t->keys_count > 0; t->keys_count--)
            column_free(&t->keys[t->keys_count - 1]);
        memset(t->keys, 0, sizeof t->keys);
        t->present = false;
    } else if (ok && many) {
        t->present = false;
        ok = warn(r, g, "column", t->name, sqlite3_mprintf("the key of %s has more than %d columns: it is not replicated", t->name, PERCHE_KEY_COLUMNS_MAX));
    }
    for (; ok && t->present && rc == SQLITE_ROW; rc = sqlite3_step(s))
        ok = read_other(r, l, t, strict, s);
    if (ok && rc != SQLITE_DONE && rc != SQLITE_ROW) {
        (void)fail_sqlite(r, rc, t->name);
        ok = false;
    }
    (void)sqlite3_reset(s); /* its error was seen by the step */
    if (ok && t->present && t->keys_count == 0) {
        t->present = false;
        ok = warn(r, g, "missing", t->name, sqlite3_mprintf("table %s has no primary key any more: it is not replicated", t->name));
    }
    return ok;
}

/* A UNIQUE index besides the key deletes rows unseen (INSERT OR REPLACE) and makes two sites collide. */
static bool read_indexes(struct replica *r, struct load *l, struct table *t)
{
    sqlite3_stmt *s = about(l, LOAD_INDEXES, t->name);
    bool ok = true;
    int rc = SQLITE_DONE;

    while (ok && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        t->suspect = true;
        if (sqlite3_column_int(s, 1) != 0)
            ok = warn(r, l->g, "unique", t->name,
                      sqlite3_mprintf("%s has the UNIQUE index %s: rows of two sites can collide in it, and INSERT OR REPLACE removes rows unseen;"
                                      " drop it, or make it again without UNIQUE", t->name, (const char *)sqlite3_column_text(s, 0)));
    }
    if (ok && rc != SQLITE_DONE) {
        (void)fail_sqlite(r, rc, t->name);
        ok = false;
    }
    (void)sqlite3_reset(s); /* its error was seen by the step */
    return ok;
}

static bool sort_columns(struct replica *r, struct table *t)
{
    t->by_name = calloc(t->columns_count > 0 ? t->columns_count : 1, sizeof *t->by_name);
    if (t->by_name == NULL)
        return out_of_memory(r);
    for (uint32_t i = 0; i < t->columns_count; i++) {
        uint32_t k = i;

        for (; k > 0 && strcmp(t->columns[t->by_name[k - 1] - 1].name, t->columns[i].name) > 0; k--)
            t->by_name[k] = t->by_name[k - 1];
        t->by_name[k] = (uint16_t)(i + 1);
        if (t->columns[i].absent)
            t->absent |= UINT64_C(1) << i;
        else if (t->columns[i].notnull && !t->columns[i].has_default)
            t->required |= UINT64_C(1) << i;
    }
    return true;
}

static bool add_table(struct replica *r, struct registry *g, struct table *t)
{
    if (g->count == g->cap) {
        uint32_t cap = g->cap == 0 ? 32 : g->cap * 2;
        struct table **tables = realloc(g->tables, cap * sizeof(struct table *));

        if (tables == NULL)
            return out_of_memory(r);
        g->tables = tables;
        g->cap = cap;
    }
    g->tables[g->count++] = t;
    return true;
}

/* @s: name, rule, area, mover, policy, label of perche_table, how the file's table was made, chained, in order of name. */
static bool read_table(struct replica *r, struct load *l, sqlite3_stmt *s)
{
    struct registry *g = l->g;
    const char *rule = (const char *)sqlite3_column_text(s, 1), *mover = (const char *)sqlite3_column_text(s, 3), *made;
    struct table *t = calloc(1, sizeof *t);
    enum perche_rc rc;

    if (t == NULL)
        return out_of_memory(r);
    t->policy = POLICY_REVIEW;
    (void)policy_of((const char *)sqlite3_column_text(s, 4), &t->policy); /* the CHECK of perche_table lets no other in */
    t->mover_holder = mover != NULL && strcmp(mover, "holder") == 0;
    if (!text_of(r, s, 0, &t->name) || !text_of(r, s, 2, &t->area) || !text_of(r, s, 5, &t->label))
        goto fail;
    t->is_conflict = strcmp(t->name, "perche_conflict") == 0;
    t->is_chain = strcmp(t->name, "perche_chain") == 0;
    t->is_system = t->is_conflict || t->is_chain;
    t->chained = sqlite3_column_int(s, 7) != 0;
    if (strlen(t->name) >= PERCHE_NAME_BYTES_MAX) {
        if (!warn(r, g, "rule", t->name, sqlite3_mprintf("the name of table %s is too long: it is not replicated", t->name)))
            goto fail;
        table_free(t);
        return true;
    }
    t->num = tab_number(r, t->name);
    if (t->num == 0)
        goto fail;
    if (t->is_system) {
        t->columns = calloc(PERCHE_COLUMNS_MAX, sizeof *t->columns);
        if (t->columns == NULL) {
            (void)out_of_memory(r);
            goto fail;
        }
    } else if (!read_registered(r, l, t)) {
        goto fail;
    }
    made = (const char *)sqlite3_column_text(s, 6);
    if (made == NULL && sqlite3_column_type(s, 6) != SQLITE_NULL) { /* else a want of memory would be a missing table */
        (void)out_of_memory(r);
        goto fail;
    }
    if (!read_file(r, l, t, made) || !sort_columns(r, t))
        goto fail;
    if (t->is_system) {
        t->rule = RULE_CONFLICT;
        return add_table(r, g, t) || (table_free(t), false);
    }
    if (t->present && !read_indexes(r, l, t))
        goto fail;
    rc = rule_parse(t, rule != NULL ? rule : "");
    if (rc == PERCHE_NOMEM) {
        (void)out_of_memory(r);
        goto fail;
    }
    if (rc != PERCHE_OK) {
        if (!warn(r, g, "rule", t->name,
                  sqlite3_mprintf("the scope rule of table %s is not understood (of a newer version?): what comes for it is set aside", t->name)))
            goto fail;
        table_free(t);
        return true;
    }
    if (!add_table(r, g, t))
        goto fail;
    return true;

fail:
    table_free(t);
    return false;
}

static bool read_tables(struct replica *r, struct registry *g)
{
    struct load l = {.g = g};
    sqlite3_stmt *s = prepare(r, "SELECT p.name, p.rule, p.area, p.mover, p.policy, p.label, m.sql, p.chained FROM"
                                 " (SELECT name, rule, area, mover, policy, label, chained FROM perche_table"
                                 " UNION ALL SELECT 'perche_conflict', '', NULL, 'hub', 'lww', NULL, 0"
                                 " UNION ALL SELECT 'perche_chain', '', NULL, 'hub', 'lww', NULL, 0) p LEFT JOIN sqlite_schema m"
                                 " ON m.type = 'table' AND m.name = p.name COLLATE NOCASE ORDER BY p.name");
    bool ok = s != NULL;
    int rc = SQLITE_DONE;

    for (int i = 0; ok && i < LOAD_SQL_COUNT; i++)
        ok = (l.sql[i] = prepare(r, load_texts[i])) != NULL;
    while (ok && (rc = sqlite3_step(s)) == SQLITE_ROW)
        ok = read_table(r, &l, s);
    if (ok && rc != SQLITE_DONE) {
        (void)fail_sqlite(r, rc, "perche_table");
        ok = false;
    }
    for (int i = 0; i < LOAD_SQL_COUNT; i++)
        (void)sqlite3_finalize(l.sql[i]); /* its error was seen by the step */
    (void)sqlite3_finalize(s);
    forget_keys(&l);
    free(l.expression);
    return ok;
}

static bool make_index(struct replica *r, struct registry *g)
{
    uint32_t mask;

    for (g->slots_count = 64; g->slots_count < g->count * 2;)
        g->slots_count *= 2;
    for (uint32_t i = 0; i < g->count; i++)
        if (g->tables[i]->num < NAME_PASSING && g->tables[i]->num >= g->by_num_count)
            g->by_num_count = g->tables[i]->num + 1;
    g->slots = calloc(g->slots_count, sizeof *g->slots);
    g->by_num = calloc(g->by_num_count > 0 ? g->by_num_count : 1, sizeof *g->by_num);
    if (g->slots == NULL || g->by_num == NULL)
        return out_of_memory(r);
    mask = g->slots_count - 1;
    for (uint32_t i = 0; i < g->count; i++) {
        const char *name = g->tables[i]->name;
        uint32_t k = (uint32_t)XXH3_64bits(name, strlen(name)) & mask;

        while (g->slots[k] != 0)
            k = (k + 1) & mask;
        g->slots[k] = i + 1;
        if (g->tables[i]->num < NAME_PASSING)
            g->by_num[g->tables[i]->num] = g->tables[i];
    }
    return true;
}

static struct table *find(const struct registry *g, const char *name)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (strcmp(g->tables[i]->name, name) == 0)
            return g->tables[i];
    return NULL;
}

static void scope_cell(struct table *t, const char *column)
{
    struct column *c = t != NULL && column != NULL ? table_column(t, column) : NULL;

    if (c != NULL)
        c->scope_cell = true;
}

static void mark_scope_cells(const struct registry *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        struct table *t = g->tables[i];

        for (uint32_t k = 0; k < t->parts_count; k++) {
            struct rule_part *part = &t->parts[k];

            if (part->num > 0)
                t->columns[part->num - 1].scope_cell = true;
            if (part->child_site != NULL) {
                struct table *child = find(g, part->table);

                if (child != NULL)
                    child->member_child = true;
                scope_cell(child, part->child_site);
                scope_cell(child, part->child_via);
                scope_cell(child, part->cond_column);
            }
        }
    }
    for (uint32_t i = 0; i < g->count; i++) /* theirs is the scope of the row that they name */
        if (g->tables[i]->is_system) {
            scope_cell(g->tables[i], "tab");
            scope_cell(g->tables[i], "key");
        }
}

/* ---- triggers ------------------------------------------------------------ */

/* Does the trigger's body write @table? */
static bool trigger_writes(const char *sql, const char *table)
{
    char word[256], before[256] = "", before2[256] = "";
    bool identifier, body = false;

    while (sql_word(&sql, word, sizeof word, &identifier)) {
        if (!body) {
            body = identifier && strcasecmp(word, "BEGIN") == 0;
        } else if (identifier && strcasecmp(word, table) == 0) {
            if (strcasecmp(before, "INTO") == 0 || strcasecmp(before, "UPDATE") == 0 ||
                (strcasecmp(before, "FROM") == 0 && strcasecmp(before2, "DELETE") == 0) ||
                strcasecmp(before2, "OR") == 0) /* UPDATE OR IGNORE t */
                return true;
        }
        memcpy(before2, before, sizeof before2);
        memcpy(before, word, sizeof before);
    }
    return false;
}

static bool add_trigger(struct replica *r, struct table *t, const char *name)
{
    char *longer = NULL;

    t->foreign_triggers = true;
    if (asprintf(&longer, "%s%s%s", t->triggers != NULL ? t->triggers : "trigger ", t->triggers != NULL ? ", " : "", name) < 0)
        return out_of_memory(r);
    free(t->triggers);
    t->triggers = longer;
    return true;
}

static bool read_triggers(struct replica *r, struct registry *g)
{
    sqlite3_stmt *s = prepare(r, "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'");
    bool ok = s != NULL;
    int rc = SQLITE_DONE;

    while (ok && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(s, 0), *on = (const char *)sqlite3_column_text(s, 1),
                   *sql = (const char *)sqlite3_column_text(s, 2);

        if (name == NULL || on == NULL || sql == NULL || capture_ours(name, on))
            continue;
        for (uint32_t i = 0; ok && i < g->count; i++) {
            struct table *t = g->tables[i];

            if (strcasecmp(t->name, on) == 0) {
                g->foreign = true;
                ok = add_trigger(r, t, name);
            }
            if (!ok || !trigger_writes(sql, t->name))
                continue;
            t->trigger_writes = true;
            ok = warn(r, g, "trigger", t->name,
                      sqlite3_mprintf("the trigger %s on %s writes table %s: what it writes while changes of other sites are applied is not"
                                      " captured, `perche verify` finds it", name, on, t->name));
        }
    }
    if (ok && rc != SQLITE_DONE) {
        (void)fail_sqlite(r, rc, "sqlite_schema");
        ok = false;
    }
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return ok;
}

/* ---- obstacles ------------------------------------------------------------- */

/* An index or a trigger that needs a collation, a function or a table which its program alone has lets no statement be
 * prepared that writes the table. It is found here, once for each schema, so that the rows of that table are set aside and
 * everything else goes on. */

/* Does the text of an index or a trigger have this word? */
static bool mentions(const char *sql, const char *word)
{
    char one[256];
    bool identifier;

    while (sql_word(&sql, one, sizeof one, &identifier))
        if (strcasecmp(one, word) == 0)
            return true;
    return false;
}

/* What SQLite misses: the last word of "no such collation sequence: french", "unknown function: fold()", "no such table: main.gone". */
static void missed(const char *why, char *word, size_t size)
{
    const char *colon = strrchr(why, ':'), *dot = strrchr(why, '.');
    const char *from = dot != NULL && (colon == NULL || dot > colon) ? dot + 1 : colon != NULL ? colon + 1 : why;
    size_t n;

    while (*from == ' ')
        from++;
    n = strcspn(from, "( ");
    (void)snprintf(word, size, "%.*s", (int)(n < size ? n : size - 1), from); /* it fits */
}

/* "index own": those of the table that mention what is missed. */
static char *objects_named(struct replica *r, const struct table *t, const char *word)
{
    sqlite3_stmt *s = prepare(r, "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
                                 " AND tbl_name = ?1 COLLATE NOCASE ORDER BY type, name");
    sqlite3_str *found = s != NULL ? sqlite3_str_new(r->db) : NULL;
    int rc = SQLITE_DONE;

    if (s == NULL)
        return NULL;
    (void)sqlite3_bind_text(s, 1, t->name, -1, SQLITE_STATIC); /* a failed bind finds nothing */
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(s, 0), *name = (const char *)sqlite3_column_text(s, 1),
                   *sql = (const char *)sqlite3_column_text(s, 2);

        if (type != NULL && name != NULL && sql != NULL && !capture_ours(name, t->name) && mentions(sql, word))
            sqlite3_str_appendf(found, "%s%s %s", sqlite3_str_length(found) > 0 ? ", " : "", type, name);
    }
    if (rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, "sqlite_schema");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    if (sqlite3_str_length(found) == 0) /* the fault is in what one of them writes */
        sqlite3_str_appendall(found, t->triggers != NULL ? t->triggers : "an index");
    return sqlite3_str_finish(found);
}

static bool note_obstacle(struct replica *r, struct registry *g, struct table *t, const char *why)
{
    char word[256];
    char *objects;
    bool ok;

    missed(why, word, sizeof word);
    objects = objects_named(r, t, word);
    if (r->fail != PERCHE_OK || objects == NULL || asprintf(&t->obstacle, "%s: %s", objects, why) < 0) {
        sqlite3_free(objects);
        return out_of_memory(r);
    }
    sqlite3_free(objects);
    ok = warn(r, g, "obstacle", t->name,
              sqlite3_mprintf("what other sites write in %s is set aside: %s; drop it, or make it again without what only its program has",
                              t->name, t->obstacle));
    return ok;
}

/* Can it be prepared? @text is freed. */
static bool try_write(struct replica *r, struct registry *g, struct table *t, char *text)
{
    char *why = NULL;
    int rc = text != NULL ? prepared(r, text) : SQLITE_NOMEM;
    bool ok = true;

    if ((rc & 0xff) == SQLITE_ERROR) {
        why = sqlite3_mprintf("%s", sqlite3_errmsg(r->db));
        ok = why != NULL ? note_obstacle(r, g, t, why) : out_of_memory(r);
        sqlite3_free(why);
    } else if (rc != SQLITE_OK) {
        (void)fail_sqlite(r, rc, t->name);
        ok = false;
    }
    sqlite3_free(text);
    return ok;
}

static char *update_text(struct replica *r, const struct table *t)
{
    sqlite3_str *s = sqlite3_str_new(r->db);

    sqlite3_str_appendf(s, "UPDATE \"%w\" SET \"%w\" = \"%w\"", t->name, t->keys[0].name, t->keys[0].name);
    for (uint32_t i = 0; i < t->columns_count; i++)
        if (!t->columns[i].absent)
            sqlite3_str_appendf(s, ", \"%w\" = \"%w\"", t->columns[i].name, t->columns[i].name);
    return sqlite3_str_finish(s);
}

static bool find_obstacles(struct replica *r, struct registry *g)
{
    bool ok = true;

    if (g->foreign && r->triggers_off && !r->applying) /* else none of them would be looked at; applying turns them on, too */
        ok = capturing(r) == PERCHE_OK;
    for (uint32_t i = 0; ok && i < g->count; i++) {
        struct table *t = g->tables[i];

        if (!t->present || !(t->suspect || t->foreign_triggers))
            continue;
        ok = try_write(r, g, t, sqlite3_mprintf("INSERT INTO \"%w\" DEFAULT VALUES", t->name));
        if (ok && t->obstacle == NULL && t->foreign_triggers)
            ok = try_write(r, g, t, update_text(r, t));
        if (ok && t->obstacle == NULL && t->foreign_triggers)
            ok = try_write(r, g, t, sqlite3_mprintf("DELETE FROM \"%w\" WHERE 0", t->name));
    }
    return ok;
}

/* ---- load ---------------------------------------------------------------- */

enum perche_rc registry_load(struct replica *r, struct perche_err *err)
{
    struct registry *g;
    int64_t version;

    if (tx_pragma(r, TX_SCHEMA_VERSION, &version) != PERCHE_OK)
        goto fail;
    if (version == r->schema_version && r->registry != NULL)
        return PERCHE_OK;
    g = calloc(1, sizeof *g);
    if (g == NULL) {
        (void)out_of_memory(r);
        goto fail;
    }
    if (!read_tables(r, g) || !make_index(r, g) || !read_triggers(r, g) || !find_obstacles(r, g)) {
        free_all(g);
        goto fail;
    }
    mark_scope_cells(g);
    registry_free(r);
    r->registry = g;
    r->schema_version = version;
    if (r->thrown_version != version) /* a trigger may be gone or another */
        r->thrown_count = 0;
    r->thrown_version = version;
    r->tx->reloaded = true;
    capture_stale(r); /* also at the same schema version: a rollback, or rows of perche_table alone */
    return PERCHE_OK;

fail:
    return fail_tell(r, err);
}
