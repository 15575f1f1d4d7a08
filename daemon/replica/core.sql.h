/* The tables of the replica itself, beside the school's. Run once when the file is made; what a file of an earlier format
 * lacks of them, upgrade.c adds: each change here is a step there, and another REPLICA_FORMAT once a release has this one. */
#ifndef REPLICA_CORE_SQL_H
#define REPLICA_CORE_SQL_H

#define REPLICA_FORMAT 4 /* perche_node.format; a higher one is of a newer program. PRAGMA user_version is the programs' own */

static const char *const core_sql =
    "CREATE TABLE perche_node (id INTEGER PRIMARY KEY CHECK (id = 1), site TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL,"
    " hub TEXT NOT NULL DEFAULT '', hub_was TEXT NOT NULL DEFAULT '', hub_key BLOB, joined_ms INTEGER NOT NULL DEFAULT 0, epoch INTEGER NOT NULL, prev_epoch INTEGER NOT NULL DEFAULT 0,"
    " lsn INTEGER NOT NULL DEFAULT 0, mark INTEGER NOT NULL DEFAULT 0, stamp INTEGER NOT NULL DEFAULT 0, good_ms INTEGER NOT NULL DEFAULT 0, wild_ms INTEGER NOT NULL DEFAULT 0, life INTEGER NOT NULL DEFAULT 0,"
    " acked INTEGER NOT NULL DEFAULT 0, full INTEGER NOT NULL DEFAULT 0, scan INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0,"
    " had INTEGER NOT NULL DEFAULT 0, heard INTEGER NOT NULL DEFAULT 0, acked_asof INTEGER NOT NULL DEFAULT 0, epoch_acked INTEGER NOT NULL DEFAULT 9223372036854775807, must INTEGER NOT NULL DEFAULT 0, relays INTEGER NOT NULL DEFAULT 0, unshifted INTEGER NOT NULL DEFAULT 0, cut_block INTEGER NOT NULL DEFAULT 0, shifted INTEGER NOT NULL DEFAULT 0,"
    " asof_lsn INTEGER NOT NULL DEFAULT 0, asof_mark INTEGER NOT NULL DEFAULT 0, hub_stamp INTEGER NOT NULL DEFAULT 0,"
    " floor INTEGER NOT NULL DEFAULT 0, floor_done INTEGER NOT NULL DEFAULT 0, returns INTEGER NOT NULL DEFAULT 0,"
    " proven_ms INTEGER NOT NULL DEFAULT 0, schema INTEGER NOT NULL DEFAULT 0, offset_ms INTEGER NOT NULL DEFAULT 0,"
    " format INTEGER NOT NULL DEFAULT 1) STRICT;"
    /* each transaction that allots an lsn: its last lsn and a random mark */
    "CREATE TABLE perche_mark (lsn INTEGER PRIMARY KEY, mark INTEGER NOT NULL) STRICT;"
    /* a hub: each opening of its replica, and where its positions stood then. A site: what it had from the hub when (position.c) */
    "CREATE TABLE perche_life (n INTEGER PRIMARY KEY, life INTEGER NOT NULL UNIQUE, lsn INTEGER NOT NULL) STRICT;"
    "CREATE TABLE perche_pulled (scan INTEGER NOT NULL, full INTEGER NOT NULL, asof_lsn INTEGER NOT NULL, asof_mark INTEGER NOT NULL, life INTEGER NOT NULL,"
    " own_lsn INTEGER NOT NULL, acked INTEGER NOT NULL, PRIMARY KEY (scan, full)) STRICT, WITHOUT ROWID;"
    /* a hub: what every active site had acknowledged then (floor.c) */
    "CREATE TABLE perche_floor (at_ms INTEGER PRIMARY KEY, lsn INTEGER NOT NULL) STRICT;"
    "CREATE TABLE perche_forgotten (hash INTEGER PRIMARY KEY) STRICT;" /* keys whose tombstones were dropped: XXH3-64 of table and key */
    "CREATE TABLE perche_name (num INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;" /* 1 is kept for VIA_HUB */
    "CREATE TABLE perche_tab (num INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE perche_scope_site (site INTEGER NOT NULL, scope INTEGER NOT NULL, PRIMARY KEY (site, scope)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE perche_row (tab INTEGER NOT NULL, key BLOB NOT NULL, scope INTEGER NOT NULL, lsn INTEGER NOT NULL,"
    " entered INTEGER NOT NULL, first INTEGER, gen INTEGER NOT NULL, flags INTEGER NOT NULL, block INTEGER, clock BLOB NOT NULL,"
    " PRIMARY KEY (tab, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX perche_row_scope ON perche_row (scope, lsn);"
    "CREATE INDEX perche_row_first ON perche_row (first) WHERE first IS NOT NULL;"
    "CREATE INDEX perche_row_dead ON perche_row (lsn) WHERE gen % 2 = 0;"
    /* a hub: tombstones by the parents that their kept cells name, for they are in no table. More than those that do so now may be there */
    "CREATE TABLE perche_dead_child (parent_tab INTEGER NOT NULL, parent_key BLOB NOT NULL, tab INTEGER NOT NULL, key BLOB NOT NULL,"
    " PRIMARY KEY (parent_tab, parent_key, tab, key)) STRICT, WITHOUT ROWID;"
    /* a hub's record of each site: have = its changes are here up to, asof = its newest when that batch was built, eplsn = our lsn when its present epoch began */
    "CREATE TABLE perche_peer (site INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, prev_epoch INTEGER NOT NULL DEFAULT 0, eplsn INTEGER NOT NULL DEFAULT 0,"
    " have INTEGER NOT NULL DEFAULT 0, asof_lsn INTEGER NOT NULL DEFAULT 0, asof_mark INTEGER NOT NULL DEFAULT 0, stamp INTEGER NOT NULL DEFAULT 0,"
    " full INTEGER NOT NULL DEFAULT 0, scan INTEGER NOT NULL DEFAULT 0, done INTEGER NOT NULL DEFAULT 0, session INTEGER NOT NULL DEFAULT 0,"
    " pending INTEGER NOT NULL DEFAULT 0, contact_ms INTEGER NOT NULL DEFAULT 0, proven_ms INTEGER NOT NULL DEFAULT 0, offset_ms INTEGER NOT NULL DEFAULT 0,"
    " version TEXT NOT NULL DEFAULT '', address TEXT NOT NULL DEFAULT ''," /* where it proved itself last */
    " life INTEGER NOT NULL DEFAULT 0, recovery INTEGER NOT NULL DEFAULT 0," /* proved itself in this life of ours; recovery 1: it has not shown yet what a restored hub lost; 2: it says that the hub lost something */
    " retired_ms INTEGER NOT NULL DEFAULT 0, returns INTEGER NOT NULL DEFAULT 0, returns_stamp INTEGER NOT NULL DEFAULT 0, stands INTEGER NOT NULL DEFAULT 0," /* silent for too long; 1: came back from below the floor, and nothing has said equal yet, 2: and in a new epoch; highest stamp that we had of it then; there was nothing for it up to there (floor.c) */
    " held_ms INTEGER NOT NULL DEFAULT 0, held_address TEXT NOT NULL DEFAULT '') STRICT;" /* two machines speak as this site: the other's address */
    "CREATE INDEX perche_peer_recovery ON perche_peer (site) WHERE recovery = 1;"
    /* superseded epochs of a site, and what we had of it when the next one began */
    "CREATE TABLE perche_peer_epoch (n INTEGER PRIMARY KEY, site INTEGER NOT NULL, epoch INTEGER NOT NULL, asof_lsn INTEGER NOT NULL, asof_mark INTEGER NOT NULL,"
    " scan INTEGER NOT NULL, UNIQUE (site, epoch)) STRICT;"
    /* what a restored hub took from a site that had not written it */
    "CREATE TABLE perche_recovered (site INTEGER NOT NULL, tab INTEGER NOT NULL, key BLOB NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (site, tab, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE perche_member (site TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, code TEXT NOT NULL, public_key BLOB, host TEXT,"
    " invited_ms INTEGER NOT NULL, joined_ms INTEGER, revoked_ms INTEGER, left_ms INTEGER) STRICT, WITHOUT ROWID;"
    "CREATE TABLE perche_invitation (id BLOB NOT NULL PRIMARY KEY, secret_hash BLOB NOT NULL, site TEXT NOT NULL, expires_ms INTEGER NOT NULL,"
    " used_ms INTEGER, public_key BLOB) STRICT, WITHOUT ROWID;"
    /* marks that a row has left a site's scopes, and refusals: entries with a position for one site until its `done` passes them; stays: it
     * only reads the row from then on and is not told to drop it; ended: how far the hub was when that passed it, 0: not yet. The mark is kept
     * for copies of the site from before that, which may be of any age. writes: how far the hub was when the right to write it ended that marks
     * have given the site, 9223372036854775807: not yet; 0: none has, as it only read the row before */
    "CREATE TABLE perche_left (site INTEGER NOT NULL, tab INTEGER NOT NULL, key BLOB NOT NULL, lsn INTEGER NOT NULL, stays INTEGER NOT NULL,"
    " ended INTEGER NOT NULL DEFAULT 0, writes INTEGER NOT NULL DEFAULT 9223372036854775807, PRIMARY KEY (site, tab, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX perche_left_open ON perche_left (site, lsn) WHERE ended = 0;"
    /* a hub: site_reader as the scopes are made of it, NULL: not yet; next: may_write as they are to be made of it, -1: it reads no more */
    "CREATE TABLE perche_reader (n INTEGER PRIMARY KEY, site_id TEXT NOT NULL, reader_id TEXT NOT NULL, area TEXT NOT NULL, may_write INTEGER, next INTEGER NOT NULL,"
    " UNIQUE (site_id, reader_id, area)) STRICT;"
    /* rows that a site was let write though a row that they name was not here: judged when it arrives; shown: while this hub recovered */
    "CREATE TABLE perche_named (tab INTEGER NOT NULL, key BLOB NOT NULL, by_tab INTEGER NOT NULL, by_key BLOB NOT NULL, shown INTEGER NOT NULL,"
    " PRIMARY KEY (tab, key, by_tab, by_key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE perche_refusal (site INTEGER NOT NULL, tab INTEGER NOT NULL, key BLOB NOT NULL, lsn INTEGER NOT NULL, columns TEXT NOT NULL,"
    " reason TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (site, tab, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX perche_refusal_lsn ON perche_refusal (site, lsn);"
    /* a site: marks heard and not carried out, images wanted (refusals heard), rows wanted whole */
    "CREATE TABLE perche_leaving (tab INTEGER NOT NULL, key BLOB NOT NULL, lsn INTEGER NOT NULL, PRIMARY KEY (tab, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX perche_leaving_lsn ON perche_leaving (lsn);"
    "CREATE TABLE perche_wanted (tab INTEGER NOT NULL, key BLOB NOT NULL, kind INTEGER NOT NULL, lsn INTEGER NOT NULL," /* kind 1 image after a refusal, 2 row that came without itself, 3 (hub asked) send whole */
    " PRIMARY KEY (tab, key, kind)) STRICT, WITHOUT ROWID;"
    /* a site: what the hub did not take, with its values, for people */
    "CREATE TABLE perche_refused (n INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, tab TEXT NOT NULL, key TEXT NOT NULL, columns TEXT NOT NULL, reason TEXT NOT NULL, image TEXT,"
    " block INTEGER, cells INTEGER) STRICT;" /* where in the history the values stand: each is listed once */
    "CREATE INDEX perche_refused_row ON perche_refused (tab, key, block);"
    /* cells that wait for a table, a column or their row: one encoded single-row batch each */
    "CREATE TABLE perche_parked (n INTEGER PRIMARY KEY, tab TEXT NOT NULL, key BLOB NOT NULL, via INTEGER NOT NULL, reason TEXT NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL,"
    " epoch INTEGER NOT NULL DEFAULT 0, shown INTEGER NOT NULL DEFAULT 0) STRICT;" /* at a hub: the site's, when it came; to a hub that recovered */
    "CREATE INDEX perche_parked_row ON perche_parked (tab, key);"
    "CREATE INDEX perche_parked_via ON perche_parked (via, reason);"
    "CREATE TABLE perche_conflict (id TEXT NOT NULL PRIMARY KEY, tab TEXT NOT NULL, key TEXT NOT NULL, col TEXT NOT NULL, kind TEXT NOT NULL,"
    " a_value ANY, a_site TEXT, a_at INTEGER, b_value ANY, b_site TEXT, b_at INTEGER,"
    " state TEXT NOT NULL, value ANY, resolved_by TEXT, resolved_at INTEGER, reason TEXT) STRICT, WITHOUT ROWID;"
    "CREATE INDEX perche_conflict_row ON perche_conflict (tab, key);"
    "CREATE INDEX perche_conflict_open ON perche_conflict (state) WHERE state = 'open';"
    /* what the nodes sign of outcomes and funding: an entry for each row that one wrote, see chain.c. A row's newest own entry */
    "CREATE TABLE perche_chain (id TEXT NOT NULL PRIMARY KEY, tab TEXT NOT NULL, key TEXT NOT NULL, entry BLOB NOT NULL, signature BLOB NOT NULL,"
    " salts BLOB) STRICT, WITHOUT ROWID;"
    "CREATE INDEX perche_chain_row ON perche_chain (tab, key);"
    "CREATE TABLE perche_chain_head (tab INTEGER NOT NULL, key BLOB NOT NULL, epoch INTEGER NOT NULL, n INTEGER NOT NULL, id BLOB NOT NULL,"
    " PRIMARY KEY (tab, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE perche_history (block INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, via INTEGER NOT NULL, n INTEGER NOT NULL, prev BLOB NOT NULL, body BLOB NOT NULL,"
    " content BLOB NOT NULL, chain BLOB NOT NULL) STRICT;" /* hashes: of prev and body; of the block before and this one */
    "CREATE TABLE perche_digest (scope INTEGER NOT NULL, tab INTEGER NOT NULL, rows INTEGER NOT NULL, sums BLOB NOT NULL, PRIMARY KEY (scope, tab)) STRICT, WITHOUT ROWID;"
    /* mass deletions that wait for a person: a set for each harvest and table. upto: it is being filled from capture rows up to
     * there; wish: 1 release, 2 undo. The rows live on in perche_row, where the values are as well. */
    "CREATE TABLE perche_held_set (id INTEGER PRIMARY KEY AUTOINCREMENT, tab INTEGER NOT NULL, at_ms INTEGER NOT NULL, live INTEGER NOT NULL,"
    " upto INTEGER NOT NULL DEFAULT 0, wish INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE perche_held (tab INTEGER NOT NULL, key BLOB NOT NULL, held INTEGER NOT NULL, PRIMARY KEY (tab, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX perche_held_of ON perche_held (held);"
    /* held rows by the rows that they name where scopes are made of that, for they are in no table. More than those that name them now may be there */
    "CREATE TABLE perche_held_child (parent_tab INTEGER NOT NULL, parent_key BLOB NOT NULL, tab INTEGER NOT NULL, key BLOB NOT NULL,"
    " PRIMARY KEY (parent_tab, parent_key, tab, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX perche_held_child_row ON perche_held_child (tab, key);"
    "CREATE TABLE perche_migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, sql TEXT NOT NULL, signature BLOB, applied_ms INTEGER NOT NULL) STRICT;"
    /* the capture log: no constraint, so that no conflict clause of a program can touch it */
    "CREATE TABLE perche_capture (n INTEGER PRIMARY KEY, tab, mask, at, k1, k2, k3, k4);"
    "CREATE TABLE perche_flag (applying INTEGER NOT NULL) STRICT;"
    "INSERT INTO perche_flag VALUES (0);"
    "INSERT INTO perche_name (num, text) VALUES (1, '#hub');"
    "CREATE VIEW perche_contested (tab, key, col) AS SELECT DISTINCT tab, key, col FROM perche_conflict WHERE state = 'open';";

#endif
