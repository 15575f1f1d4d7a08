/* Whether replica.db, -wal and -shm are still the files that SQLite has open here.
 *
 * SQLite deletes -wal and -shm with the last connection, so never while the daemon has its
 * own. Somebody else may: two wal-indexes, or two WALs, are then in use at once, and one
 * program's commits overwrite the other's. So each of the two has a second name (a hard link
 * in the data folder's .open), under which it outlives its removal: as long as nobody has made
 * another one it gets its first name back, and no program has noticed anything. Beyond that
 * nothing is written any more through the old files, closing them included.
 *
 * A descriptor of replica.db or -shm is never opened here: its close() would drop SQLite's locks. */
#ifndef NET_WAL_FILES_H
#define NET_WAL_FILES_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/wal_watch.h"

#define WAL_FILES_FOLDER     ".open"
#define WAL_FILES_LOST       "replica.db-wal.lost-" /* and a time: a WAL that was set aside */
#define WAL_FILES_RESTORE_MS 60000u /* replica.db replaced so soon after: -wal and -shm were removed for that */

enum wal_files_state {
    WAL_FILES_SAME,
    WAL_FILES_REPLACED,    /* -wal or -shm is another file */
    WAL_FILES_DB_REPLACED, /* replica.db is */
};

struct wal_file {
    char path[PATH_MAX + 8];
    char kept[PATH_MAX + 32]; /* "": it has no second name here */
    struct file_id id;
    _Atomic uint64_t put_back_ms; /* wall clock; 0 = never */
};

struct wal_files {
    char data[PATH_MAX], folder[PATH_MAX + 8];
    struct file_id db;
    char db_path[PATH_MAX];
    struct wal_file wal, shm;
    _Atomic int state; /* once not SAME it stays so */
    bool open;
};

/* @data: the folder of @db, whose -wal and -shm SQLite has made. */
enum perche_rc wal_files_open(struct wal_files *f, const char *data, const char *db, struct perche_err *err);
/* Any thread, cheap. Puts a file back that was only removed. */
enum wal_files_state wal_files_look(struct wal_files *f);
/* The one that was put back last, and when; NULL: none was. */
const char *wal_files_put_back(const struct wal_files *f, uint64_t *at_ms);
/* What was replaced, in a sentence for a person. */
const char *wal_files_why(const struct wal_files *f);
/* After WAL_FILES_REPLACED, when no thread has the replica any more and before it is closed: what
 * the old -wal has and replica.db has not is put into the new one, as far as that continues it,
 * else set aside as a file WAL_FILES_LOST. Says in the log what it did. */
void wal_files_rescue(struct wal_files *f);
/* A WAL that was set aside in @data, by an earlier run too: the name of one, "" = none. */
void wal_files_lost(const char *data, char *out, size_t out_n);
/* After the replica was closed: takes the second names away. */
void wal_files_close(struct wal_files *f);

#endif
