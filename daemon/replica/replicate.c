/* Migrations that a hub hands out: another table becomes a replicated one.
 *
 * A migration is plain SQL (the table if it is missing, its rows of the registry),
 * numbered from MIGRATION_DISTRIBUTED_FROM, signed by the hub. A site applies it
 * as it came; one that its file does not take is listed, and its cells stay parked.
 *
 * A number names one migration for ever, so each is a random step above the last: a
 * hub that was put back to before one does not give its number to another. A site
 * says the newest that it has; when the hub does not know that number, the site had
 * it of a life of the hub that is no more, and gets all that this one has. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "replica/command.h"
#include "replica/pack.h"
#include "replica/statements.h"

#define REPLICATE "replicate " /* a migration's name, before the table's */
#define STEP_BITS 24           /* that two lives of a hub give out one number: 1 to 16 million */

/* ---- existing rows ----------------------------------------------------------------- */

/* Rows that stood in the table before it was replicated are inserts for the next harvest. */
static enum perche_rc capture_existing(struct replica *r, const struct table *t)
{
    sqlite3_str *s = sqlite3_str_new(r->db);
    char *text;
    enum perche_rc rc;

    sqlite3_str_appendall(s, "INSERT INTO perche_capture (tab, mask, at");
    for (uint32_t i = 1; i <= t->keys_count; i++)
        sqlite3_str_appendf(s, ", k%u", i);
    sqlite3_str_appendf(s, ") SELECT %u, -1, %llu", t->num, (unsigned long long)r->now_ms);
    for (uint32_t i = 0; i < t->keys_count; i++)
        sqlite3_str_appendf(s, ", \"%w\"", t->keys[i].name);
    sqlite3_str_appendf(s, " FROM \"%w\"", t->name);
    text = sqlite3_str_finish(s);
    rc = text == NULL ? fail(r, PERCHE_NOMEM, "no memory for a statement") : exec(r, text);
    sqlite3_free(text);
    return rc == PERCHE_OK ? capture_scanned(r, t->num) : rc;
}

/* Of each table that is registered now and has no metadata yet. */
static enum perche_rc capture_new(struct replica *r)
{
    struct table *t;
    enum perche_rc rc = PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && (t = registry_at(r, i)) != NULL; i++) {
        if (!capture_waits(r, t) || t->is_system || !t->present || registry_is_school(t->name) ||
            ask_number(
                r,
                "SELECT EXISTS (SELECT 1 FROM perche_row WHERE tab = ?1) OR EXISTS (SELECT 1 FROM perche_capture WHERE tab = ?1)",
                t->num, NULL) != 0)
            continue;
        rc = r->fail != PERCHE_OK ? r->fail : capture_existing(r, t);
    }
    return rc;
}

/* ---- making one ----------------------------------------------------------------------- */

struct plan {
    char table[PERCHE_NAME_BYTES_MAX], scope[PERCHE_NAME_BYTES_MAX], level[8];
    char rule[PERCHE_NAME_BYTES_MAX + 8];
    const char *mover, *policy;
};

static bool is_level(const char *text)
{
    return text[0] == 'P' && text[1] >= '0' && text[1] <= '3' && text[2] == '\0';
}

static enum perche_rc plan_rule(struct replica *r, struct plan *p)
{
    sqlite3_stmt *s;
    bool found;

    p->mover = "hub";
    p->policy = strcmp(p->scope, "all") == 0 ? "hub" : "lww"; /* what all have, the hub writes */
    if (strcmp(p->scope, "hub") == 0 || strcmp(p->scope, "all") == 0) {
        (void)snprintf(p->rule, sizeof p->rule, "%s", p->scope[0] == 'h' ? "hub" : "*");
        return PERCHE_OK;
    }
    s = ask(r, "SELECT name FROM pragma_table_xinfo(?1) WHERE name = ?2");
    ask_bind_text(s, 1, p->table);
    ask_bind_text(s, 2, p->scope);
    found = ask_row(r, s, "look for a column");
    sqlite3_finalize(s);
    if (r->fail != PERCHE_OK)
        return r->fail;
    if (!found ||
        strspn(p->scope, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") !=
            strlen(p->scope))
        return fail(r, PERCHE_USAGE,
                    "scope is hub, all, or a column of %s that names the site of each row",
                    p->table);
    (void)snprintf(p->rule, sizeof p->rule, "own %s", p->scope);
    p->mover = "holder";
    return PERCHE_OK;
}

/* CREATE TABLE as it stands in the file, harmless where the table is there. */
static enum perche_rc plan_create(struct replica *r, const struct plan *p, sqlite3_str *sql)
{
    static const char head[] = "CREATE TABLE ";
    sqlite3_stmt *s = ask(r, "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1");
    enum perche_rc rc = PERCHE_OK;

    ask_bind_text(s, 1, p->table);
    if (ask_row(r, s, "read a table's declaration") &&
        strncasecmp(ask_text(s, 0), head, sizeof head - 1) == 0)
        sqlite3_str_appendf(sql, "CREATE TABLE IF NOT EXISTS %s;\n",
                            ask_text(s, 0) + sizeof head - 1);
    else
        rc = r->fail != PERCHE_OK
                 ? r->fail
                 : fail(r, PERCHE_REFUSED, "the declaration of %s cannot be read", p->table);
    sqlite3_finalize(s);
    return rc;
}

/* Its number is the next one of the file that it is registered in: a site may have had another table of that name from a life of the hub
 * that is no more. */
static enum perche_rc plan_column(struct replica *r, const struct plan *p, sqlite3_stmt *s, bool key,
                                  const char *level, sqlite3_str *sql)
{
    const char *name = ask_text(s, 0), *type = ask_text(s, 1), *on_erase = "keep";
    bool notnull = sqlite3_column_int(s, 2) != 0;

    if (!is_level(level))
        return fail(r, PERCHE_USAGE, "%s is no level of %s: write P0, P1, P2 or P3", level, name);
    if (level[1] == '1' || level[1] == '3') {
        if (key)
            return fail(
                r, PERCHE_REFUSED,
                "the key column %s cannot be of level %s: a key is kept when a person is erased",
                name, level);
        on_erase = !notnull ? "null" : strcasecmp(type, "TEXT") == 0 ? "'(effacé)'" : NULL;
        if (on_erase == NULL)
            return fail(
                r, PERCHE_REFUSED,
                "%s is of level %s and NOT NULL, so it could not be erased: make the table again without NOT NULL",
                name, level);
    }
    sqlite3_str_appendf(
        sql,
        "INSERT INTO perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with)"
        " VALUES (%Q, %Q, ", p->table, name);
    if (key)
        sqlite3_str_appendall(sql, "0");
    else
        sqlite3_str_appendf(sql, "(SELECT coalesce(max(num), 0) + 1 FROM perche_column WHERE tab = %Q)", p->table);
    sqlite3_str_appendf(sql, ", %Q, %Q, %Q, NULL, %Q, NULL) ON CONFLICT DO NOTHING;\n", p->policy, level, on_erase,
                        strcmp(name, p->scope) == 0 ? "site(id)" : NULL);
    return PERCHE_OK;
}

static enum perche_rc plan_columns(struct replica *r, struct args *a, const struct plan *p,
                                   sqlite3_str *sql)
{
    struct arg levels = args_find(r, a, "levels");
    char *json = levels.kind == 'o' ? strdup(ask_text(a->stmt, 1)) : strdup("{}");
    sqlite3_stmt *s = ask(
        r,
        "SELECT x.name, x.type, x.\"notnull\" OR x.pk, x.pk, coalesce((SELECT value FROM json_each(?2) WHERE key = x.name), ?3)"
        " FROM pragma_table_xinfo(?1) x WHERE x.hidden = 0 ORDER BY x.cid");
    enum perche_rc rc = json != NULL ? r->fail : fail(r, PERCHE_NOMEM, "no memory for the levels");

    ask_bind_text(s, 1, p->table);
    ask_bind_text(s, 2, json);
    ask_bind_text(s, 3, p->level);
    while (rc == PERCHE_OK && ask_row(r, s, "read a table's columns"))
        rc = plan_column(r, p, s, sqlite3_column_int(s, 3) > 0, ask_text(s, 4), sql);
    sqlite3_finalize(s);
    free(json);
    return rc != PERCHE_OK ? rc : r->fail;
}

/* Can a table that has rows get this column? The hub's may have none, those of the sites have. */
static enum perche_rc rows_take(struct replica *r, const char *table, const char *declared)
{
    sqlite3 *db = NULL;
    char *text = sqlite3_mprintf("CREATE TABLE t (x); INSERT INTO t VALUES (1); ALTER TABLE t ADD COLUMN %s", declared), *why = NULL;
    enum perche_rc rc = PERCHE_OK;

    if (text == NULL || sqlite3_open(":memory:", &db) != SQLITE_OK)
        rc = fail(r, PERCHE_NOMEM, "no memory for a column");
    else if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        rc = fail(r, PERCHE_REFUSED, "%s: a table that has rows, as those of the sites may, cannot get the column %.200s (%s): make it again, with a constant"
                                     " DEFAULT or without NOT NULL", table, declared, why != NULL ? why : "?");
    sqlite3_free(why);
    sqlite3_free(text);
    (void)sqlite3_close(db); /* has no statement left */
    return rc;
}

/* The column that a row of name, type, NOT NULL and DEFAULT says, for ALTER TABLE; NULL: r->fail. sqlite3_free() ends it. */
static char *declaration(struct replica *r, sqlite3_stmt *s)
{
    const char *value = sqlite3_column_type(s, 3) == SQLITE_NULL ? NULL : ask_text(s, 3);
    /* it is told without its parentheses; those of a name would make it a column's */
    bool computed = value != NULL && strpbrk(value, " \t\r\n(+-*/|") != NULL && strchr("\"`[", value[0]) == NULL;
    char *declared = sqlite3_mprintf("\"%w\" %s%s%s%s%s%s", ask_text(s, 0), ask_text(s, 1), sqlite3_column_int(s, 2) ? " NOT NULL" : "",
                                     value != NULL ? " DEFAULT " : "", computed ? "(" : "", value != NULL ? value : "", computed ? "\n)" : "");

    if (declared == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a column");
    return declared;
}

/* The table of a site may be from before this hub was put back, and lack columns: it gets those that one with rows can get. */
static enum perche_rc plan_missing(struct replica *r, const struct plan *p, sqlite3_str *sql)
{
    sqlite3_stmt *s = ask(r, "SELECT name, type, \"notnull\", dflt_value FROM pragma_table_xinfo(?1) WHERE hidden = 0 AND pk = 0 ORDER BY cid");

    ask_bind_text(s, 1, p->table);
    while (r->fail == PERCHE_OK && ask_row(r, s, "read a table's columns")) {
        char *declared = declaration(r, s);

        if (declared != NULL && rows_take(r, p->table, declared) == PERCHE_OK)
            sqlite3_str_appendf(sql, "ALTER TABLE \"%w\" ADD COLUMN %s;\n", p->table, declared);
        else
            (void)refused_here(r);
        sqlite3_free(declared);
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* The migration's text; NULL: r->fail. Ended with sqlite3_free(). */
static char *plan_text(struct replica *r, struct args *a, const struct plan *p)
{
    sqlite3_str *sql = sqlite3_str_new(r->db);
    enum perche_rc rc = plan_create(r, p, sql);
    char *text;

    if (rc == PERCHE_OK)
        rc = plan_missing(r, p, sql);
    sqlite3_str_appendf(
        sql,
        "INSERT INTO perche_table (name, rule, area, mover, policy, label) VALUES (%Q, %Q, NULL, %Q, %Q, NULL)"
        " ON CONFLICT DO NOTHING;\n",
        p->table, p->rule, p->mover, p->policy);
    if (rc == PERCHE_OK)
        rc = plan_columns(r, a, p, sql);
    text = sqlite3_str_finish(sql);
    if (rc == PERCHE_OK && text == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory for a migration");
    if (r->fail != PERCHE_OK) {
        sqlite3_free(text);
        return NULL;
    }
    return text;
}

/* Columns that a registered table has got since: added to every node's, with the next numbers. NULL with r->fail clear: none. */
static char *plan_added(struct replica *r, const struct plan *p)
{
    sqlite3_str *sql = sqlite3_str_new(r->db);
    sqlite3_stmt *s = ask(
        r,
        "SELECT x.name, x.type, x.\"notnull\", x.dflt_value FROM pragma_table_xinfo(?1) x WHERE x.hidden = 0 AND x.pk = 0 AND NOT EXISTS"
        " (SELECT 1 FROM perche_column c WHERE c.tab = ?1 AND c.col = x.name COLLATE NOCASE) ORDER BY x.cid");
    uint32_t added = 0;
    char *text;

    ask_bind_text(s, 1, p->table);
    while (r->fail == PERCHE_OK && ask_row(r, s, "look for new columns")) {
        char *declared = declaration(r, s);

        if (declared != NULL && rows_take(r, p->table, declared) == PERCHE_OK)
            sqlite3_str_appendf(sql, "ALTER TABLE \"%w\" ADD COLUMN %s;\n", p->table, declared);
        sqlite3_free(declared);
        if (r->fail != PERCHE_OK || plan_column(r, p, s, false, p->level, sql) != PERCHE_OK)
            break;
        added++;
    }
    sqlite3_finalize(s);
    text = sqlite3_str_finish(sql);
    if (r->fail == PERCHE_OK && added > 0)
        return text;
    sqlite3_free(text);
    return NULL;
}

enum perche_rc command_replicate(struct replica *r, const struct work *w, struct args *a,
                                 struct json *j)
{
    struct plan p = {.mover = NULL};
    struct perche_err err = {0};
    char name[PERCHE_NAME_BYTES_MAX + 16], *text = NULL;
    int64_t number = 0;
    struct table *t;
    enum perche_rc rc = args_need(r, a, "table", p.table, sizeof p.table);

    (void)w;
    if (rc == PERCHE_OK)
        rc = args_need(r, a, "scope", p.scope, sizeof p.scope);
    if (rc == PERCHE_OK)
        rc = args_text(r, a, "level", p.level, sizeof p.level);
    if (rc != PERCHE_OK)
        return rc;
    if (*p.level == '\0')
        (void)snprintf(p.level, sizeof p.level, "P2");
    if (registry_is_school(p.table))
        return fail(r, PERCHE_STATE, "%s is one of the school's tables: it is replicated already",
                    p.table);
    rc = registry_check_table(r, p.table, &err);
    if (rc != PERCHE_OK)
        return fail(r, rc, "%s", err.text);
    if (strlen(p.table) + sizeof REPLICATE - 1 >= PERCHE_NAME_BYTES_MAX)
        return fail(r, PERCHE_REFUSED, "the name of a table that is replicated has at most %d bytes",
                    (int)(PERCHE_NAME_BYTES_MAX - sizeof REPLICATE));
    rc = plan_rule(r, &p);
    if (rc != PERCHE_OK)
        return rc;
    if (registry_table(r, p.table) != NULL) {
        text = plan_added(r, &p);
        if (text == NULL)
            return r->fail != PERCHE_OK
                       ? r->fail
                       : fail(r, PERCHE_STATE,
                              "%s is replicated already, with every column that it has", p.table);
    } else {
        rc = (text = plan_text(r, a, &p)) == NULL ? r->fail : PERCHE_OK;
    }
    if (rc == PERCHE_OK) {
        number = ask_number(r, "SELECT max(coalesce(max(number), 0) + 1, ?1) FROM perche_migration",
                            MIGRATION_DISTRIBUTED_FROM, NULL) +
                 (int64_t)(random_u64(r) >> (64 - STEP_BITS));
        (void)snprintf(name, sizeof name, REPLICATE "%s", p.table);
        rc = r->fail;
    }
    if (rc == PERCHE_OK)
        rc = migration_run(r, number, name, text, NULL);
    if (rc == PERCHE_OK && ((t = registry_table(r, p.table)) == NULL || !t->present))
        rc = fail(r, PERCHE_REFUSED, "%s cannot be replicated: perche verify says why", p.table);
    if (rc == PERCHE_OK)
        rc = capture_new(r);
    if (rc == PERCHE_OK) {
        r->node.schema = (uint64_t)number;
        r->node_dirty = true;
        out_key(j, "number");
        out_int(j, number);
        out_key(j, "name");
        out_text(j, name);
        out_key(j, "table");
        out_text(j, p.table);
        out_key(j, "rule");
        out_text(j, p.rule);
        out_key(j, "rows");
        out_int(j, ask_number(r, "SELECT count(*) FROM perche_capture WHERE tab = ?1",
                              registry_table(r, p.table)->num, NULL));
        out_key(j, "sql");
        out_text(j, text);
    }
    sqlite3_free(text);
    return rc;
}

/* The hub's key is not here: its owner signs what `replicate` answered, and only then it is handed out. */
enum perche_rc command_migration_signature(struct replica *r, const struct work *w, struct args *a,
                                           struct json *j)
{
    char text[129];
    uint8_t signature[64];
    int64_t number = args_number(r, a, "number", 0);
    sqlite3_stmt *s;
    enum perche_rc rc = args_need(r, a, "signature", text, sizeof text);

    (void)w;
    if (rc != PERCHE_OK)
        return rc;
    if (!hex_parse(text, signature, sizeof signature))
        return fail(r, PERCHE_USAGE, "a signature has 64 bytes in hexadecimal");
    s = ask(r, "UPDATE perche_migration SET signature = ?2 WHERE number = ?1");
    if (s != NULL)
        sqlite3_bind_int64(s, 1, number);
    ask_bind_bytes(s, 2, (struct perche_bytes){signature, sizeof signature});
    rc = ask_run(r, s, "sign a migration");
    if (rc == PERCHE_OK && (number < MIGRATION_DISTRIBUTED_FROM || sqlite3_changes(r->db) != 1))
        rc = fail(r, PERCHE_NOT_FOUND, "there is no migration %lld to sign", (long long)number);
    r->woken->all =
        rc == PERCHE_OK || r->woken->all; /* those that watch shake hands again sooner */
    out_key(j, "number");
    out_int(j, number);
    return rc;
}

/* The oldest that waits for its signature (a crash came between it and `migration_signature`), or nothing. */
enum perche_rc command_migration_unsigned(struct replica *r, const struct work *w, struct args *a,
                                          struct json *j)
{
    sqlite3_stmt *s = ask(r, "SELECT number, name, sql FROM perche_migration"
                             " WHERE number >= ?1 AND signature IS NULL ORDER BY number LIMIT 1");

    (void)w;
    (void)a;
    if (s != NULL)
        sqlite3_bind_int64(s, 1, MIGRATION_DISTRIBUTED_FROM);
    if (ask_row(r, s, "look for a migration to sign")) {
        out_key(j, "number");
        out_int(j, sqlite3_column_int64(s, 0));
        out_key(j, "name");
        out_text(j, ask_text(s, 1));
        out_key(j, "sql");
        out_text(j, ask_text(s, 2));
    }
    sqlite3_finalize(s);
    return r->fail;
}

/* ---- handing out and applying ------------------------------------------------------------ */

enum perche_rc migrations_since(struct replica *r, uint64_t number, struct outcome *o,
                                struct perche_migration **out, uint32_t *count)
{
    sqlite3_stmt *s;
    struct perche_migration *all;

    *out = NULL;
    *count = 0;
    number = (uint64_t)ask_number(
        r, "SELECT coalesce(max(number), 0) FROM perche_migration WHERE number = ?1",
        (int64_t)number, NULL); /* 0: not one of ours */
    if ((uint64_t)ask_number(r, "SELECT max(number) FROM perche_migration", 0, NULL) <= number ||
        r->fail != PERCHE_OK)
        return r->fail; /* the rule: nothing is new */
    all = perche_message_alloc(&o->message, PERCHE_MIGRATIONS_MAX * sizeof *all);
    if (all == NULL)
        return fail(r, PERCHE_NOMEM, "no memory for migrations");
    s = ask(
        r,
        "SELECT number, name, sql, signature FROM perche_migration WHERE number > ?1 AND number >= ?2 ORDER BY number");
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)number);
        sqlite3_bind_int64(s, 2, MIGRATION_DISTRIBUTED_FROM);
    }
    while (*count < PERCHE_MIGRATIONS_MAX && ask_row(r, s, "read the migrations")) {
        struct perche_migration *m = &all[*count];

        if (sqlite3_column_bytes(s, 3) != (int)sizeof m->signature)
            break; /* not signed yet, and they go in order */
        m->number = (uint64_t)sqlite3_column_int64(s, 0);
        m->name = message_text(&o->message, ask_text(s, 1));
        m->sql = message_text(&o->message, ask_text(s, 2));
        memcpy(m->signature, sqlite3_column_blob(s, 3), sizeof m->signature);
        if (m->name == NULL || m->sql == NULL) {
            (void)fail(r, PERCHE_NOMEM, "no memory for migrations");
            break;
        }
        ++*count;
    }
    sqlite3_finalize(s);
    *out = all;
    return r->fail;
}

/* What the file did not take is told to people, once; nothing else waits for it (P8). */
static enum perche_rc note_refused(struct replica *r, const struct perche_migration *m,
                                   const char *why)
{
    char number[24];
    sqlite3_stmt *s;

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)m->number);
    s = ask(
        r,
        "INSERT INTO perche_refused (at_ms, tab, key, columns, reason, image) SELECT ?1, 'perche_migration', ?2, ?3, 'schema', ?4"
        " WHERE NOT EXISTS (SELECT 1 FROM perche_refused WHERE tab = 'perche_migration' AND key = ?2)");
    if (s != NULL)
        sqlite3_bind_int64(s, 1, (sqlite3_int64)r->now_ms);
    ask_bind_text(s, 2, number);
    ask_bind_text(s, 3, m->name);
    ask_bind_text(s, 4, why);
    return ask_run(r, s, "note a migration that failed");
}

/* It was taken after all: it is not listed any longer. */
static enum perche_rc forget_refused(struct replica *r, const struct perche_migration *m)
{
    char number[24];
    sqlite3_stmt *s =
        ask(r, "DELETE FROM perche_refused WHERE tab = 'perche_migration' AND key = ?1");

    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)m->number);
    ask_bind_text(s, 1, number);
    return ask_run(r, s, "note a migration that was taken");
}

/* The table that @m replicates, if something of that name is here that is not registered; else NULL. */
static const char *own_table(struct replica *r, const struct perche_migration *m)
{
    const char *table = m->name + sizeof REPLICATE - 1;

    if (strncmp(m->name, REPLICATE, sizeof REPLICATE - 1) != 0)
        return NULL;
    return ask_number(r,
                      "SELECT ?1 AND EXISTS (SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?2 COLLATE NOCASE)"
                      " AND NOT EXISTS (SELECT 1 FROM perche_table WHERE name = ?2)",
                      1, table) != 0
               ? table
               : NULL;
}

/* What of a table's declaration says which row a key means, and which values it takes. */
struct shape {
    uint32_t count;
    bool strict;
    struct { char name[PERCHE_NAME_BYTES_MAX]; uint8_t affinity; bool notnull; int key; } columns[PERCHE_COLUMNS_MAX + PERCHE_KEY_COLUMNS_MAX];
};

static enum perche_rc shape_read(struct replica *r, sqlite3 *db, const char *table, struct shape *out)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT x.name, x.type, x.\"notnull\", x.pk, l.strict FROM pragma_table_list l, pragma_table_xinfo(?1) x"
                                    " WHERE l.schema = 'main' AND l.name = ?1 ORDER BY x.cid", -1, &s, NULL);

    out->count = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW && out->count < sizeof out->columns / sizeof out->columns[0]) {
        out->strict = sqlite3_column_int(s, 4) != 0;
        (void)snprintf(out->columns[out->count].name, sizeof out->columns[0].name, "%s", ask_text(s, 0));
        out->columns[out->count].affinity = registry_affinity(ask_text(s, 1), out->strict);
        out->columns[out->count].notnull = sqlite3_column_int(s, 2) != 0;
        out->columns[out->count++].key = sqlite3_column_int(s, 3);
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? PERCHE_OK : fail_sqlite(r, rc, table);
}

static int shape_column(const struct shape *f, const char *name)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (strcmp(f->columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Columns of @a that @b has not, "a, b", behind what @names has. */
static void others(const struct shape *a, const struct shape *b, char *names, size_t size)
{
    for (uint32_t i = 0; i < a->count; i++) {
        size_t used = strlen(names);

        if (shape_column(b, a->columns[i].name) < 0)
            (void)snprintf(names + used, size - used, "%s%s", used ? ", " : "", a->columns[i].name); /* cut short, it still says some */
    }
}

/* In what @own differs from the table of the hub, for people. False: in nothing. */
static bool differs(const struct shape *own, const struct shape *hubs, struct perche_err *why)
{
    char names[200] = "";

    others(own, hubs, names, sizeof names);
    others(hubs, own, names, sizeof names);
    if (names[0] != '\0')
        return perche_err_set(why, PERCHE_REFUSED, "it has other columns (%s)", names) != PERCHE_OK;
    for (uint32_t i = 0; i < own->count; i++)
        if (own->columns[i].key != hubs->columns[shape_column(hubs, own->columns[i].name)].key)
            return perche_err_set(why, PERCHE_REFUSED, "the columns of its key are others, or in another order") != PERCHE_OK;
    if (own->strict != hubs->strict)
        return perche_err_set(why, PERCHE_REFUSED, "%s STRICT", own->strict ? "it is" : "the hub's is") != PERCHE_OK;
    for (uint32_t i = 0; i < own->count; i++) {
        const char *name = own->columns[i].name;
        int at = shape_column(hubs, name);

        if (own->columns[i].affinity != hubs->columns[at].affinity)
            return perche_err_set(why, PERCHE_REFUSED, "its column %s is of another type", name) != PERCHE_OK;
        if (own->columns[i].notnull != hubs->columns[at].notnull)
            return perche_err_set(why, PERCHE_REFUSED, "%s column %s is NOT NULL", own->columns[i].notnull ? "its" : "the hub's", name) != PERCHE_OK;
    }
    return false;
}

/* Is @own as @m makes it where there is none, or as one of the @later ones leaves it? */
static enum perche_rc compare_made(struct replica *r, const char *table, const struct shape *own, const struct perche_migration *m,
                                   uint32_t later, bool *other, struct perche_err *why)
{
    static const char registry[] = "CREATE TABLE perche_table (name, rule, area, mover, policy, label);"
                                   "CREATE TABLE perche_column (tab, col, num, policy, level, on_erase, code_list, refers, taken_with)";
    struct shape hubs;
    sqlite3 *db = NULL;
    enum perche_rc rc = PERCHE_OK;
    int ran = sqlite3_open(":memory:", &db);

    if (ran == SQLITE_OK)
        ran = sqlite3_exec(db, registry, NULL, NULL, NULL);
    *other = true;
    for (uint32_t i = 0; rc == PERCHE_OK && ran == SQLITE_OK && *other && i <= later; i++) {
        if (strcmp(m[i].name, m->name) != 0)
            continue;
        ran = run_each(r, db, m[i].sql);
        if (ran == SQLITE_OK)
            rc = shape_read(r, db, table, &hubs);
        if (ran == SQLITE_OK && rc == PERCHE_OK)
            *other = differs(own, &hubs, why);
    }
    if (ran == SQLITE_NOMEM)
        rc = fail(r, PERCHE_NOMEM, "no memory for the hub's table");
    else if (ran != SQLITE_OK)
        (void)perche_err_set(why, PERCHE_REFUSED, "the hub's cannot be made: %s", sqlite3_errmsg(db));
    (void)sqlite3_close(db); /* has no statement left */
    return rc;
}

/* A table of the site's own that has the name of one of the hub's: its rows are taken over if it is the same
 * table, else it is left alone with all that is in it, until a person has decided. @m is followed by @later others, which may add columns. */
static enum perche_rc is_the_hubs(struct replica *r, const char *table, const struct perche_migration *m, uint32_t later)
{
    struct perche_err err = {0};
    struct shape own;
    bool other = true;

    if (registry_check_table(r, table, &err) != PERCHE_OK) {
        if (err.rc != PERCHE_REFUSED)
            return r->fail;
    } else if (shape_read(r, r->db, table, &own) != PERCHE_OK || compare_made(r, table, &own, m, later, &other, &err) != PERCHE_OK) {
        return r->fail;
    }
    if (!other)
        return r->fail;
    return fail(r, PERCHE_REFUSED,
                "this site has a table %s of its own, which is left as it is: rename it (ALTER TABLE ... RENAME TO ...) or make it"
                " as the hub's is, then start perched again; %s",
                table, err.text);
}

static enum perche_rc run_one(struct replica *r, const struct perche_migration *m)
{
    struct perche_bytes signature = {m->signature, sizeof m->signature};

    return migration_run(r, (int64_t)m->number, m->name, m->sql, &signature);
}

/* @m is followed by @later others. */
static enum perche_rc apply_one(struct replica *r, const struct perche_migration *m, uint32_t later,
                                bool *taken)
{
    struct perche_err err = {0};
    uint64_t names = names_mark(r);
    const char *own = own_table(r, m);
    enum perche_rc rc = r->fail != PERCHE_OK ? r->fail : exec(r, "SAVEPOINT migration");

    *taken = false;
    if (rc != PERCHE_OK)
        return rc;
    if (own != NULL)
        rc = is_the_hubs(r, own, m, later);
    if (rc == PERCHE_OK)
        rc = run_one(r, m);
    for (uint32_t i = 1; rc == PERCHE_OK && own != NULL && i <= later; i++)
        if (strcmp(m[i].name, m->name) == 0) /* columns that the hub has added since */
            rc = run_one(r, &m[i]);
    if (rc == PERCHE_OK)
        rc = capture_new(r);
    if (rc == PERCHE_OK)
        rc = forget_refused(r, m);
    if (rc == PERCHE_OK) {
        *taken = true;
        return exec(r, "RELEASE migration");
    }
    if (sqlite3_get_autocommit(r->db) != 0)
        return rc; /* SQLite has ended all of it: the disk, not the migration */
    err = r->fail_err;
    fail_clear(r);
    rc = exec(r, "ROLLBACK TO migration; RELEASE migration");
    if (rc != PERCHE_OK)
        return rc;
    names_cut(r, names);
    r->schema_version = -1;
    rc = registry_load(r, &r->fail_err);
    if (rc != PERCHE_OK)
        return fail(r, rc, "the registry does not load");
    rc = capture_read(r);
    return rc == PERCHE_OK ? note_refused(r, m, err.text) : rc;
}

enum perche_rc migrations_apply(struct replica *r, const struct perche_migration *m, uint32_t n)
{
    enum perche_rc rc = capturing(r); /* what a migration writes is a change of this node */
    bool taken[PERCHE_MIGRATIONS_MAX], all = true;

    assert(n <= PERCHE_MIGRATIONS_MAX); /* the message's bound */
    for (uint32_t i = 0; rc == PERCHE_OK && i < n; i++) {
        taken[i] = true;
        if (m[i].number < MIGRATION_DISTRIBUTED_FROM)
            continue;
        for (uint32_t j = 0; taken[i] && j < i; j++) /* those of one table build on one another */
            taken[i] = taken[j] || strcmp(m[j].name, m[i].name) != 0;
        if (taken[i])
            rc = apply_one(r, &m[i], n - i - 1, &taken[i]);
        all &= taken[i];
        if (rc == PERCHE_OK && all && r->node.schema != m[i].number) {
            r->node.schema = m[i].number; /* those behind one that failed come again with it, and are noted by then */
            r->node_dirty = true;
        }
    }
    return rc;
}
