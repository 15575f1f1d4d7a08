/* What tx.c, node.c, wal.c and replica.c share of a connection. */
#ifndef REPLICA_TX_H
#define REPLICA_TX_H

#include "replica/internal.h"

#define BUSY_STEPS_MAX 25000 /* of 200 us, 5 s: after that somebody is holding the lock, and status says so */
#define MARKS_THIN_EVERY 1024u /* transactions: thinning reads all old marks, about 64 remain */

enum tx_sql {
    TX_BEGIN_WRITE, TX_BEGIN_READ, TX_COMMIT, TX_ROLLBACK, TX_SAVEPOINT, TX_RELEASE, TX_BACK,
    TX_ROW, TX_ROW_RELEASE, TX_ROW_BACK,
    TX_TRIAL, TX_TRIAL_RELEASE, TX_TRIAL_BACK,
    TX_SCHEMA_VERSION, TX_DATA_VERSION, TX_SQL_COUNT
};

struct tx {
    sqlite3_stmt *sql[TX_SQL_COUNT];
    sqlite3_stmt *node_load, *node_store, *node_stands, *mark_put; /* prepared at first use: their tables may be new */
    struct saved begun, saved, tried;
    struct { struct note all[NOTES_MAX]; uint32_t count; uint64_t left; } tried_notes;
    struct perche_err lost;  /* why SQLite ended the transaction */
    uint32_t marks;          /* written since the last thinning */
    bool write;
    bool reloaded;           /* the registry was read in this transaction */
    bool saved_stands;       /* between savepoint() and its end */
    bool settled;            /* the failure in r->fail was rolled back to its savepoint */
    int64_t data_version;    /* replica_others_wrote */
};

enum perche_rc tx_open(struct replica *r);
void tx_free(struct replica *r);
/* Did SQLite roll the transaction back by itself? */
bool tx_lost(const struct replica *r);
/* Is the file where this connection left it? Else an older one was written into it (.restore of the shell, backup()): what is
 * in memory belongs to another history, and no transaction of this connection begins any more. */
bool node_stands(struct replica *r);
/* Around one statement on a table with a program's triggers: what they have done goes with it when it fails. Nothing of ours in memory
 * moves meanwhile. row_back() keeps the failure; one of its own loses the transaction, which its end finds. */
enum perche_rc row_savepoint(struct replica *r);
enum perche_rc row_release(struct replica *r);
void row_back(struct replica *r);
/* Around one row of a batch or of a harvest, and all that follows from it: what cannot be known before it was done can be taken back, here
 * and in memory. trial_rollback() is for a failure that was dealt with. The digests are written: not for every row. */
enum perche_rc trial(struct replica *r);
enum perche_rc trial_release(struct replica *r);
enum perche_rc trial_rollback(struct replica *r);
/* Before each write: no statement has a commit of its own in the place of a transaction that is no more. */
enum perche_rc tx_stands(struct replica *r);
enum perche_rc tx_pragma(struct replica *r, enum tx_sql id, int64_t *out);
/* marks_thin() with what every peer has. */
enum perche_rc marks_thin_known(struct replica *r);
bool registry_foreign_triggers(const struct replica *r); /* on any registered table */

void capture_stale(struct replica *r); /* the registry is new: the next capture_install looks at every trigger */

/* wal.c: how large the WAL may become */
void wal_open(struct replica *r);
void wal_committed(struct replica *r); /* after each commit of the writer */

#endif
