/* The school's tables, their registry, code lists and views: the text of the
 * .sql files of this folder, compiled in. Nothing but constants; any thread
 * may read them, and nobody frees them.
 *
 * A migration runs once in a replica's life, in the order of its number,
 * inside a transaction of the caller. It is plain SQL of several statements,
 * without BEGIN or COMMIT, and needs no function that SQLite 3.40 lacks. What
 * was published is never edited: a change of the schema is a new file.
 *
 * Files from SCHEMA_VIEWS_FROM on hold views only. They drop and make them,
 * so they may run any number of times: the caller runs them whenever it has
 * run a migration, and leaves them out when it notes the schema's number. (If
 * it noted 90, the migration 7 of a later release would never run.) They are
 * made from tables that exist, so they go last.
 *
 * Seeds are rows, not schema: a hub loads them at its first start, after it
 * has begun to capture, and they reach the sites as any other row does. They
 * leave alone what is there, so a later start may load them again to add the
 * codes of a new release. A code list that the hub has changed stays changed. */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

#include <stddef.h>

#define SCHEMA_VIEWS_FROM 90

struct schema_file {
    int number;       /* of a migration: its place for ever; of a seed: 1, 2... */
    const char *name; /* the file's name without .sql, such as "001_reference" */
    const char *sql;  /* zero-terminated UTF-8 */
};

extern const struct schema_file schema_files[]; /* by number; 0 is the registry */
extern const size_t schema_files_count;

extern const struct schema_file schema_seeds[]; /* by name */
extern const size_t schema_seeds_count;

#endif
