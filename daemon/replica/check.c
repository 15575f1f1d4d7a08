/* May a table be replicated? Every "no" says why and what to do. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "replica/internal.h"

#define KEY_ADVICE "give it a key of text with a UUIDv7 as DEFAULT, as the school's tables have"
#define KEY_RETYPE "make the table again with it as TEXT or INTEGER"

/* Ends the check with a text of sqlite3_mprintf. */
static enum perche_rc refuse(struct perche_err *err, char *text)
{
    (void)perche_err_set(err, PERCHE_REFUSED, "%s", text != NULL ? text : "out of memory");
    sqlite3_free(text);
    return PERCHE_REFUSED;
}

static sqlite3_stmt *about(struct replica *r, const char *query, const char *table)
{
    sqlite3_stmt *s = prepare(r, query);

    if (s != NULL)
        (void)sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC); /* a failed bind finds nothing */
    return s;
}

struct form {
    bool without_rowid, strict;
    int keys;
};

/* Each of these returns NULL when it finds nothing, else the refusal; a failure is in r->fail. */

static char *check_kind(struct replica *r, const char *name, struct form *form)
{
    sqlite3_stmt *s = about(r, "SELECT type, name, wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE", name);
    char *why = NULL;
    int rc;

    if (s == NULL)
        return NULL;
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(s, 0), *exact = (const char *)sqlite3_column_text(s, 1);

        form->without_rowid = sqlite3_column_int(s, 2) != 0;
        form->strict = sqlite3_column_int(s, 3) != 0;
        if (strcmp(type, "table") != 0)
            why = sqlite3_mprintf("%s is a %s%s; only an ordinary table can be replicated", name, type,
                                  strcmp(type, "virtual") == 0 || strcmp(type, "shadow") == 0 ? " table" : "");
        else if (strcmp(exact, name) != 0)
            why = sqlite3_mprintf("the table is called %s: write it that way", exact);
    } else if (rc == SQLITE_DONE) {
        why = sqlite3_mprintf("there is no table %s in this file", name);
    } else {
        (void)fail_sqlite(r, rc, name);
    }
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return why;
}

/* The one of the PRIMARY KEY clause, which may differ from the column's. NULL: it has none of its own. */
static char *key_collation(struct replica *r, const char *name, const char *column)
{
    sqlite3_stmt *s = about(r, "SELECT x.coll FROM pragma_index_list(?1) l JOIN pragma_index_xinfo(l.name) x"
                               " WHERE l.origin = 'pk' AND x.key AND x.name = ?2", name);
    char *found = NULL;
    int rc;

    if (s == NULL)
        return NULL;
    (void)sqlite3_bind_text(s, 2, column, -1, SQLITE_STATIC); /* a failed bind finds nothing, and the column's own is looked at all the same */
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW && (found = sqlite3_mprintf("%s", (const char *)sqlite3_column_text(s, 0))) == NULL)
        (void)fail(r, PERCHE_NOMEM, "no memory to check %s", name);
    else if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, name);
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return found;
}

static char *collated(const char *name, const char *column, const char *collation)
{
    if (collation == NULL || strcasecmp(collation, "BINARY") == 0)
        return NULL;
    return sqlite3_mprintf("the key column %s of %s is COLLATE %s: two spellings would be one row here and two elsewhere;"
                           " make the table again without it", column, name, collation);
}

static char *check_key_column(struct replica *r, const char *name, const char *column, const char *type, const struct form *form)
{
    const char *collation = NULL;
    char *of_key, *why;
    int notnull = 0, automatic = 0, rc;

    rc = sqlite3_table_column_metadata(r->db, "main", name, column, NULL, &collation, &notnull, NULL, &automatic);
    if (rc != SQLITE_OK) {
        (void)fail_sqlite(r, rc, name);
        return NULL;
    }
    if (automatic)
        return sqlite3_mprintf("the key %s of %s is AUTOINCREMENT: two sites would give one number to two rows; " KEY_ADVICE, column, name);
    if (form->keys == 1 && !form->without_rowid && strcasecmp(type, "INTEGER") == 0)
        return sqlite3_mprintf("the key %s of %s is the rowid: two sites would give one number to two rows; " KEY_ADVICE, column, name);
    if (!notnull) {
        char *query = sqlite3_mprintf("SELECT count(*) FROM \"%w\" WHERE \"%w\" IS NULL", name, column);
        sqlite3_stmt *s = query != NULL ? prepare(r, query) : NULL;
        int64_t rows = s != NULL && sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;

        (void)sqlite3_finalize(s); /* the number is a courtesy */
        sqlite3_free(query);
        return sqlite3_mprintf("the key column %s of %s may be NULL (it is in %lld rows), and any number of rows may share that:"
                               " make the table again with %s NOT NULL", column, name, (long long)rows, column);
    }
    of_key = key_collation(r, name, column);
    why = collated(name, column, of_key != NULL ? of_key : collation);
    sqlite3_free(of_key);
    if (why != NULL || r->fail != PERCHE_OK)
        return why;
    switch (registry_affinity(type, form->strict)) {
    case 'A':
    case 'B':
        if (form->strict && strcasecmp(type, "BLOB") == 0)
            return sqlite3_mprintf("the key column %s of %s is a BLOB: people are asked about a record by its key, as text; " KEY_RETYPE, column, name);
        return sqlite3_mprintf("the key column %s of %s has %s: 1 and 1.0 would be one row here and two elsewhere; " KEY_RETYPE, column, name,
                               strcasecmp(type, "BLOB") == 0 ? "the type BLOB, which takes any value" : "no type");
    case 'R':
        return sqlite3_mprintf("the key column %s of %s is %s: two numbers that look the same would be two rows; " KEY_RETYPE, column, name, type);
    default: return NULL;
    }
}

/* The delete trigger's old values are found by it. */
static bool hides_rowid(const char *column)
{
    return strcasecmp(column, "rowid") == 0 || strcasecmp(column, "oid") == 0 || strcasecmp(column, "_rowid_") == 0;
}

static char *check_columns(struct replica *r, const char *name, struct form *form)
{
    sqlite3_stmt *s = about(r, "SELECT name, type, pk, hidden, sum(pk > 0) OVER () FROM pragma_table_xinfo(?1) ORDER BY cid", name);
    char *why = NULL;
    int columns = 0, rc = SQLITE_DONE;

    if (s == NULL)
        return NULL;
    while (why == NULL && r->fail == PERCHE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const char *column = (const char *)sqlite3_column_text(s, 0), *type = (const char *)sqlite3_column_text(s, 1);

        form->keys = sqlite3_column_int(s, 4);
        if (sqlite3_column_int(s, 3) != 0)
            why = sqlite3_mprintf("column %s of %s is generated: every node computes it anew; keep it in an ordinary column, or make a view of it", column, name);
        else if (hides_rowid(column))
            why = sqlite3_mprintf("%s has a column called %s, which is SQLite's own name for the number of a row; rename it"
                                  " (ALTER TABLE ... RENAME COLUMN)", name, column);
        else if (strlen(column) >= PERCHE_NAME_BYTES_MAX)
            why = sqlite3_mprintf("a column of %s has a name of more than %d bytes; shorten it", name, PERCHE_NAME_BYTES_MAX - 1);
        else if (sqlite3_column_int(s, 2) > 0)
            why = check_key_column(r, name, column, type != NULL ? type : "", form);
        else
            columns++;
    }
    if (why == NULL && r->fail == PERCHE_OK && rc != SQLITE_DONE)
        (void)fail_sqlite(r, rc, name);
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    if (why != NULL || r->fail != PERCHE_OK)
        return why;
    if (form->keys == 0)
        return sqlite3_mprintf("table %s has no primary key, so that a row cannot be told from another; " KEY_ADVICE, name);
    if (form->keys > PERCHE_KEY_COLUMNS_MAX)
        return sqlite3_mprintf("the key of %s has %d columns; at most %d are possible: " KEY_ADVICE, name, form->keys, PERCHE_KEY_COLUMNS_MAX);
    if (columns > PERCHE_COLUMNS_MAX)
        return sqlite3_mprintf("%s has %d columns beside its key; at most %d are possible: part it in two", name, columns, PERCHE_COLUMNS_MAX);
    return NULL;
}

static char *check_indexes(struct replica *r, const char *name)
{
    sqlite3_stmt *s = about(r, "SELECT name, origin FROM pragma_index_list(?1) WHERE \"unique\" AND origin <> 'pk'", name);
    char *why = NULL;
    int rc;

    if (s == NULL)
        return NULL;
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        const char *index = (const char *)sqlite3_column_text(s, 0), *origin = (const char *)sqlite3_column_text(s, 1);

        if (strcmp(origin, "c") == 0)
            why = sqlite3_mprintf("%s has the UNIQUE index %s: two sites may use one value, and INSERT OR REPLACE removes rows unseen;"
                                  " drop it and make it again without UNIQUE", name, index);
        else
            why = sqlite3_mprintf("%s has a UNIQUE constraint besides its key: two sites may use one value, and INSERT OR REPLACE removes rows"
                                  " unseen; make the table again without it", name);
    } else if (rc != SQLITE_DONE) {
        (void)fail_sqlite(r, rc, name);
    }
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return why;
}

enum perche_rc registry_check_table(struct replica *r, const char *name, struct perche_err *err)
{
    struct form form = {0};
    char *why = NULL;

    if (name[0] == '\0' || strlen(name) >= PERCHE_NAME_BYTES_MAX)
        return refuse(err, sqlite3_mprintf("a table's name has 1 to %d bytes", PERCHE_NAME_BYTES_MAX - 1));
    if (strncasecmp(name, "perche_", 7) == 0 || strncasecmp(name, "sqlite_", 7) == 0)
        return refuse(err, sqlite3_mprintf("%s: names that begin with perche_ or sqlite_ are taken; rename the table", name));
    why = check_kind(r, name, &form);
    if (why == NULL && r->fail == PERCHE_OK)
        why = check_columns(r, name, &form);
    if (why == NULL && r->fail == PERCHE_OK)
        why = check_indexes(r, name);
    if (why != NULL)
        return refuse(err, why);
    return r->fail == PERCHE_OK ? PERCHE_OK : fail_tell(r, err);
}
