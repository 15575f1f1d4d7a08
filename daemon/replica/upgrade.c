/* A file that an earlier program made gets the replica's own tables and columns that it lacks when it is opened, once, and
 * perche_node.format says so; a program of before refuses it from then on. The school's tables have their migrations
 * (daemon/schema), which are numbered for all nodes; these are this file's alone.
 *
 * First the tables, in the transaction that opens the file; then, with the statements that need them, the rows that are made
 * from what is there, and the format with them: a start that is cut in between begins anew, as tables that are there stay. */
#include <stdlib.h>
#include <string.h>

#include "replica/apply.h"
#include "replica/ask.h"
#include "replica/core.sql.h"
#include "replica/statements.h"

/* To 2: tombstones are found by their parent's key. */
static enum perche_rc dead_children(struct replica *r)
{
    struct meta *m = malloc(sizeof *m);
    enum perche_rc rc = m == NULL ? fail(r, PERCHE_NOMEM, "no memory for an older file's tombstones") : PERCHE_OK;

    for (uint32_t i = 0; rc == PERCHE_OK && r->hub && registry_at(r, i) != NULL; i++) {
        struct table *t = registry_at(r, i);
        uint8_t key[PERCHE_KEY_BYTES_MAX];
        uint32_t key_n = 0;

        while (rc == PERCHE_OK && scope_dead_next(r, t, key, &key_n)) {
            rc = meta_load(r, t, (struct perche_bytes){key, key_n}, m);
            if (rc == PERCHE_OK)
                rc = scope_dead_put(r, m);
            meta_clear(m);
        }
    }
    free(m);
    return rc != PERCHE_OK ? rc : r->fail;
}

/* To 4: who reads along, and may write. */
static enum perche_rc readers(struct replica *r)
{
    struct table *t = registry_table(r, "site_reader");
    const struct column *may = t == NULL || !t->present ? NULL : table_column(t, "may_write");

    if (!r->hub || may == NULL || may->absent)
        return PERCHE_OK;
    return exec(r, "INSERT OR IGNORE INTO perche_reader (site_id, reader_id, area, may_write, next)"
                   " SELECT site_id, reader_id, area, may_write = 1, may_write = 1 FROM site_reader");
}

static const struct step {
    int64_t to;
    const char *tables;                   /* only adds, but for an index */
    enum perche_rc (*rows)(struct replica *r); /* may run again; NULL = they are as they have to be */
} steps[] = {
    {2,
     "ALTER TABLE perche_node ADD COLUMN format INTEGER NOT NULL DEFAULT 1;"
     "ALTER TABLE perche_peer ADD COLUMN returns_stamp INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE perche_left ADD COLUMN stays INTEGER NOT NULL DEFAULT 0;"
     "CREATE TABLE IF NOT EXISTS perche_forgotten (hash INTEGER PRIMARY KEY) STRICT;"
     "CREATE TABLE IF NOT EXISTS perche_named (tab INTEGER NOT NULL, key BLOB NOT NULL, by_tab INTEGER NOT NULL, by_key BLOB NOT NULL, shown INTEGER NOT NULL,"
     " PRIMARY KEY (tab, key, by_tab, by_key)) STRICT, WITHOUT ROWID;"
     "CREATE TABLE IF NOT EXISTS perche_dead_child (parent_tab INTEGER NOT NULL, parent_key BLOB NOT NULL, tab INTEGER NOT NULL, key BLOB NOT NULL,"
     " PRIMARY KEY (parent_tab, parent_key, tab, key)) STRICT, WITHOUT ROWID;",
     dead_children},
    {3,
     "ALTER TABLE perche_left ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE perche_parked ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;"
     "DROP INDEX IF EXISTS perche_left_lsn;"
     "CREATE INDEX IF NOT EXISTS perche_left_open ON perche_left (site, lsn) WHERE ended = 0;",
     NULL},
    {4,
     "ALTER TABLE perche_node ADD COLUMN shifted INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE perche_node ADD COLUMN cut_block INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE perche_parked ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;"
     "CREATE INDEX IF NOT EXISTS perche_parked_via ON perche_parked (via, reason);"
     "CREATE INDEX IF NOT EXISTS perche_leaving_lsn ON perche_leaving (lsn);"
     "CREATE TABLE IF NOT EXISTS perche_held_child (parent_tab INTEGER NOT NULL, parent_key BLOB NOT NULL, tab INTEGER NOT NULL, key BLOB NOT NULL,"
     " PRIMARY KEY (parent_tab, parent_key, tab, key)) STRICT, WITHOUT ROWID;"
     "CREATE INDEX IF NOT EXISTS perche_held_child_row ON perche_held_child (tab, key);" /* each start sees to the rows: held_link_all() */
     "ALTER TABLE perche_left ADD COLUMN writes INTEGER NOT NULL DEFAULT 9223372036854775807;"
     "UPDATE perche_left SET writes = ended WHERE ended > 0;"
     "CREATE TABLE IF NOT EXISTS perche_reader (n INTEGER PRIMARY KEY, site_id TEXT NOT NULL, reader_id TEXT NOT NULL, area TEXT NOT NULL, may_write INTEGER, next INTEGER NOT NULL,"
     " UNIQUE (site_id, reader_id, area)) STRICT;",
     readers},
};
enum { STEPS = sizeof steps / sizeof steps[0] };
_Static_assert(REPLICA_FORMAT == 1 + STEPS, "each format has its step");

static int64_t format_of(struct replica *r)
{
    if (ask_number(r, "SELECT count(*) FROM pragma_table_info('perche_node') WHERE name = 'format'", 0, NULL) == 0)
        return 1; /* of before it was noted */
    return (int64_t)ask_number(r, "SELECT format FROM perche_node WHERE id = 1", 0, NULL);
}

enum perche_rc upgrade_tables(struct replica *r)
{
    int64_t format = format_of(r);

    for (int i = 0; i < STEPS && r->fail == PERCHE_OK; i++)
        if (format < steps[i].to)
            (void)run_additive(r, steps[i].tables);
    return r->fail;
}

bool upgrade_due(struct replica *r)
{
    return format_of(r) < REPLICA_FORMAT;
}

enum perche_rc upgrade_rows(struct replica *r)
{
    int64_t format = format_of(r);
    sqlite3_stmt *s;

    for (int i = 0; i < STEPS && r->fail == PERCHE_OK; i++)
        if (format < steps[i].to && steps[i].rows != NULL)
            (void)steps[i].rows(r);
    if (r->fail != PERCHE_OK)
        return r->fail;
    s = prepare(r, "UPDATE perche_node SET format = ?1");
    if (s == NULL)
        return r->fail;
    sqlite3_bind_int64(s, 1, REPLICA_FORMAT);
    (void)sql_run(r, s, "note the format");
    (void)sqlite3_finalize(s); /* its error was seen by the step */
    return r->fail;
}
