/* The connection that a node's programs have, and the oracle with them, and its statements: stories ask for the same ones
 * again and again, so each is kept after its use, those of the beginning for all stories. */
#include "sim.h"

#include <string.h>

sqlite3 *node_db(struct world *w, struct node *n)
{
    disk_run_as(n->disk, DISK_PROGRAM);
    if (n->db == NULL) {
        if (sqlite3_open_v2(FILE_NAME, &n->db, SQLITE_OPEN_READWRITE, disk_vfs(n->disk)) != SQLITE_OK ||
            sqlite3_exec(n->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL) != SQLITE_OK)
            world_fail(w, "program", "%s: a program cannot open the file: %s", n->name, sqlite3_errmsg(n->db));
    }
    return n->db;
}

static struct asked *asked_of(struct node *n, const sqlite3_stmt *s)
{
    for (uint32_t i = 0; i < n->asked_count; i++)
        if (n->asked[i].s == s)
            return &n->asked[i];
    return NULL;
}

static struct asked *asked_before(struct node *n, const char *sql, uint32_t bytes)
{
    for (uint32_t i = 0; i < n->asked_count; i++)
        if (n->asked[i].bytes == bytes && !n->asked[i].lent && memcmp(sqlite3_sql(n->asked[i].s), sql, bytes) == 0)
            return &n->asked[i];
    return NULL;
}

/* A place for one more: the one whose last use is longest ago goes. NULL: all are lent. */
static struct asked *asked_room(struct node *n)
{
    struct asked *oldest = NULL;

    if (n->asked_count < ASKED_MAX)
        return &n->asked[n->asked_count++];
    for (uint32_t i = 0; i < ASKED_MAX; i++)
        if (!n->asked[i].lent && (oldest == NULL || n->asked[i].used < oldest->used))
            oldest = &n->asked[i];
    if (oldest != NULL)
        (void)sqlite3_finalize(oldest->s); /* its last error was looked at in program_done() */
    return oldest;
}

sqlite3_stmt *program_ask(struct world *w, struct node *n, const char *sql)
{
    sqlite3 *db = node_db(w, n);
    uint32_t bytes = (uint32_t)strlen(sql) + 1;
    struct asked *a = asked_before(n, sql, bytes);
    sqlite3_stmt *s = NULL;

    if (a == NULL) {
        if (sqlite3_prepare_v2(db, sql, (int)bytes, &s, NULL) != SQLITE_OK)
            return NULL;
        a = asked_room(n);
        if (a == NULL)
            return s;
        *a = (struct asked){.s = s, .bytes = bytes};
    }
    a->lent = true;
    a->used = ++n->asked_now;
    return a->s;
}

void program_done(struct world *w, struct node *n, sqlite3_stmt *s)
{
    struct asked *a = s != NULL ? asked_of(n, s) : NULL;

    if (s == NULL)
        return;
    if ((sqlite3_reset(s) & 0xff) == SQLITE_ERROR) /* prepared anew, as the schema is another, it asks for what is not there */
        world_fail(w, "program", "%s: %s: %s", n->name, sqlite3_sql(s), sqlite3_errmsg(n->db));
    if (a == NULL) {
        (void)sqlite3_finalize(s); /* its error was seen by the reset */
        return;
    }
    (void)sqlite3_clear_bindings(s); /* always SQLITE_OK */
    a->lent = false;
}

static void forget(struct node *n)
{
    memset(n->dumps, 0, sizeof n->dumps);
    n->asked_count = 0;
    n->db = NULL;
}

void programs_end(struct node *n)
{
    for (size_t i = 0; i < 2 * sizeof n->dumps[0] / sizeof n->dumps[0][0]; i++)
        (void)sqlite3_finalize(n->dumps[i % 2][i / 2]);
    for (uint32_t i = 0; i < n->asked_count; i++)
        (void)sqlite3_finalize(n->asked[i].s);
    disk_run_as(n->disk, DISK_PROGRAM);
    (void)sqlite3_close_v2(n->db); /* rolls back what it had open */
    forget(n);
}

void programs_drop(struct node *n)
{
    disk_drop(n->disk, DISK_PROGRAM);
    forget(n);
}
