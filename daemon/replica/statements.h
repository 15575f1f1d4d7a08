/* All fixed SQL of the replica in one place, prepared at open, so that a bad
 * statement stops the start. Statements made for a school table (by mask of
 * columns) are data.c's. Borrow one with sql(), give it back with sql_done(). */
#ifndef REPLICA_STATEMENTS_H
#define REPLICA_STATEMENTS_H

#include <assert.h>
#include <sqlite3.h>

#include "replica/internal.h"

#define META_COLUMNS "scope, lsn, entered, first, gen, flags, block, clock"
#define MAY_WRITE    "9223372036854775807" /* perche_left.writes: its right has not ended */

/* id, text. "W" statements are prepared by the writer alone, "R" by readers too. */
#define REPLICA_SQL(W, R)                                                                                              \
    R(META_GET, "SELECT " META_COLUMNS " FROM perche_row WHERE tab = ?1 AND key = ?2")                                 \
    W(META_INSERT, "INSERT INTO perche_row (tab, key, " META_COLUMNS ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")      \
    W(META_UPDATE, "UPDATE perche_row SET scope=?3, lsn=?4, entered=?5, first=?6, gen=?7, flags=?8, block=?9,"         \
                   " clock=?10 WHERE tab=?1 AND key=?2")                                                               \
    W(META_DELETE, "DELETE FROM perche_row WHERE tab = ?1 AND key = ?2")                                               \
    R(CAPTURE_READ, "SELECT n, tab, mask, at, k1, k2, k3, k4 FROM perche_capture WHERE n <= ?2 ORDER BY n LIMIT ?1")   \
    R(CAPTURE_ANY, "SELECT 1 FROM perche_capture LIMIT 1")                                                             \
    R(CAPTURE_AT, "SELECT 1 FROM perche_capture WHERE n = ?1")                                                         \
    R(CAPTURE_AFTER, "SELECT 1 FROM perche_capture WHERE n > ?1 LIMIT 1")                                              \
    R(CAPTURE_NEWEST, "SELECT coalesce(max(n), 0) FROM perche_capture")                                                \
    R(CAPTURE_GONE, "SELECT count(*) FROM (SELECT 1 FROM perche_capture WHERE mask = 0 LIMIT ?1)")         \
    R(HELD_ANY, "SELECT 1 FROM perche_held_set LIMIT 1")                                                               \
    R(HELD_COUNT, "SELECT (SELECT count(*) FROM perche_held), (SELECT min(at_ms) FROM perche_held_set)")               \
    R(HELD_GET, "SELECT held FROM perche_held WHERE tab = ?1 AND key = ?2")                                            \
    W(HELD_PUT, "INSERT INTO perche_held (tab, key, held) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET held = excluded.held") \
    W(HELD_END, "DELETE FROM perche_held WHERE tab = ?1 AND key = ?2")                                                 \
    W(DEAD_CHILD_PUT, "INSERT OR IGNORE INTO perche_dead_child (parent_tab, parent_key, tab, key) VALUES (?1,?2,?3,?4)") \
    W(DEAD_CHILD_END, "DELETE FROM perche_dead_child WHERE parent_tab = ?1 AND parent_key = ?2 AND tab = ?3 AND key = ?4") \
    W(DEAD_CHILD_NEXT, "SELECT key FROM perche_dead_child WHERE parent_tab = ?1 AND parent_key = ?2 AND tab = ?3"      \
                       " AND key > ?4 ORDER BY key LIMIT 1")                                                           \
    W(DEAD_NEXT, "SELECT key FROM perche_row WHERE tab = ?1 AND gen % 2 = 0 AND key > ?2 ORDER BY key LIMIT 1")        \
    R(HELD_TABLE, "SELECT key FROM perche_held WHERE tab = ?1 AND key > ?2 ORDER BY key LIMIT 1")                      \
    R(HELD_CHILD_NEXT, "SELECT key FROM perche_held_child WHERE parent_tab = ?1 AND parent_key = ?2 AND tab = ?3"      \
                       " AND key > ?4 ORDER BY key LIMIT 1")                                                           \
    W(HELD_CHILD_PUT, "INSERT OR IGNORE INTO perche_held_child (parent_tab, parent_key, tab, key) VALUES (?1,?2,?3,?4)") \
    W(HELD_CHILD_END, "DELETE FROM perche_held_child WHERE tab = ?1 AND key = ?2")                                     \
    R(HELD_FILLING, "SELECT id FROM perche_held_set WHERE tab = ?1 AND upto > 0")                                      \
    R(HELD_UPTO, "SELECT coalesce(max(upto), 0) FROM perche_held_set")                                                 \
    W(HELD_FILLED, "UPDATE perche_held_set SET upto = 0 WHERE upto > 0")                                               \
    W(HELD_SET_PUT, "INSERT INTO perche_held_set (tab, at_ms, live, upto) VALUES (?1, ?2, ?3, ?4)")                    \
    W(HELD_SETS_END, "DELETE FROM perche_held_set WHERE upto = 0 AND NOT EXISTS"                                       \
                     " (SELECT 1 FROM perche_held WHERE held = perche_held_set.id)")                                   \
    W(HELD_WISHED, "SELECT s.id, s.wish, h.tab, h.key FROM perche_held_set s JOIN perche_held h ON h.held = s.id"      \
                   " WHERE s.id = (SELECT min(id) FROM perche_held_set WHERE wish > 0) ORDER BY h.key LIMIT ?1")       \
    W(HELD_UNWISH, "UPDATE perche_held_set SET wish = 0 WHERE id = ?1")                                                \
    R(HELD_WISHES, "SELECT 1 FROM perche_held_set WHERE wish > 0 LIMIT 1")                                             \
    W(CAPTURE_PUT, "INSERT INTO perche_capture (tab, mask, at, k1, k2, k3, k4) VALUES (?1,?2,?3,?4,?5,?6,?7)")         \
    W(CAPTURE_DELETE, "DELETE FROM perche_capture WHERE n <= ?1")                                                      \
    R(PUSH_ROWS, "SELECT first, tab, key, " META_COLUMNS " FROM perche_row INDEXED BY perche_row_first"                \
                 " WHERE first > ?1 ORDER BY first")                                                                   \
    R(PUSH_ACKED_ROWS, "SELECT first, tab, key FROM perche_row INDEXED BY perche_row_first"                            \
                       " WHERE first > ?1 AND first <= ?2 ORDER BY first LIMIT ?3")                                    \
    R(PENDING, "SELECT count(*) FROM (SELECT 1 FROM perche_row INDEXED BY perche_row_first WHERE first > ?1 LIMIT ?2)") \
    R(SCOPE_ROWS, "SELECT lsn, tab, key, " META_COLUMNS " FROM perche_row INDEXED BY perche_row_scope"                 \
                  " WHERE scope = ?1 AND lsn > ?2 AND lsn <= ?3 ORDER BY lsn LIMIT ?4")                                \
    R(DEAD_ROWS, "SELECT lsn, tab, key FROM perche_row INDEXED BY perche_row_dead WHERE gen % 2 = 0 AND lsn > ?1 AND lsn <= ?2" \
                 " ORDER BY lsn LIMIT ?3")                                                                             \
    R(HUBS_ALONE, "SELECT tab FROM perche_row INDEXED BY perche_row_scope"                                             \
                  " WHERE scope = (SELECT num FROM perche_name WHERE text = '') LIMIT ?1")                             \
    R(SCOPES_OF, "SELECT scope FROM perche_scope_site WHERE site = ?1")                                                \
    W(SCOPE_NEXT, "SELECT scope FROM perche_scope_site WHERE site = ?1 AND scope > ?2 ORDER BY scope LIMIT 1")         \
    W(SCOPE_KEYS, "SELECT lsn, tab, key FROM perche_row INDEXED BY perche_row_scope WHERE scope = ?1 AND lsn > ?2 AND lsn <= ?3 ORDER BY lsn")\
    W(SCOPE_SITE_ADD, "INSERT INTO perche_scope_site (site, scope) VALUES (?1, ?2) ON CONFLICT DO NOTHING")            \
    R(LEFT_ROWS, "SELECT lsn, tab, key FROM perche_left WHERE site = ?1 AND lsn > ?2 AND ended = 0 AND NOT stays"    \
                 " ORDER BY lsn LIMIT ?3")                                                                             \
    R(LEFT_HAS, "SELECT writes = " MAY_WRITE " FROM perche_left WHERE site = ?1 AND tab = ?2 AND key = ?3 AND ended = 0")\
    /* ?6: could the site write the row? NULL: not known, or as it was */                                              \
    W(LEFT_PUT, "INSERT INTO perche_left (site, tab, key, lsn, stays, writes)"                                         \
                " VALUES (?1,?2,?3,?4,?5, CASE ?6 WHEN 0 THEN 0 ELSE " MAY_WRITE " END)"                               \
                " ON CONFLICT DO UPDATE SET lsn = excluded.lsn, stays = excluded.stays, ended = 0,"                    \
                " writes = CASE WHEN ?6 OR (?6 IS NULL AND writes) THEN " MAY_WRITE " ELSE writes END")                \
    W(LEFT_STAYS, "UPDATE perche_left SET stays = 1 WHERE site = ?1 AND tab = ?2 AND key = ?3")                        \
    W(LEFT_END, "DELETE FROM perche_left WHERE site = ?1 AND tab = ?2 AND key = ?3")                                   \
    W(LEFT_DONE, "UPDATE perche_left SET ended = ?3, writes = min(writes, ?3) WHERE site = ?1 AND lsn <= ?2 AND ended = 0"\
                 " AND NOT EXISTS (SELECT 1 FROM perche_parked WHERE via = ?1)")                                       \
    W(LEFT_AGAIN, "UPDATE perche_left SET ended = 0, lsn = ?3 + m.n, writes = CASE WHEN writes >= ?2 THEN " MAY_WRITE " ELSE writes END"\
                  " FROM (SELECT tab AS of_tab, key AS of_key, row_number() OVER (ORDER BY lsn) AS n"                  \
                  " FROM perche_left WHERE site = ?1 AND ended >= ?2) m WHERE site = ?1 AND tab = of_tab AND key = of_key")\
    R(READER_MAY, "SELECT may_write FROM perche_reader WHERE site_id = ?1 AND reader_id = ?2 AND area = ?3 AND may_write IS NOT NULL")\
    W(READER_PUT, "INSERT INTO perche_reader (site_id, reader_id, area, next) VALUES (?1,?2,?3,?4) ON CONFLICT DO UPDATE SET next = excluded.next")\
    W(READER_MOVED, "SELECT min(n), site_id, area FROM perche_reader WHERE next < 0 OR may_write IS NULL"              \
                    " GROUP BY site_id, area HAVING min(n) > ?1 ORDER BY min(n) LIMIT 1")                              \
    W(READER_END, "DELETE FROM perche_reader WHERE next < 0")                                                          \
    W(READER_MADE, "UPDATE perche_reader SET may_write = next WHERE may_write IS NOT next")                            \
    R(NAMED_ANY, "SELECT EXISTS (SELECT 1 FROM perche_named)")                                                         \
    R(NAMED_ROWS, "SELECT by_tab, by_key, shown FROM perche_named WHERE tab = ?1 AND key = ?2 AND (by_tab, by_key) > (?3, ?4)" \
                  " ORDER BY by_tab, by_key LIMIT ?5")                                                                 \
    R(NAMED_FIRST, "SELECT 1 FROM perche_named WHERE tab = ?1 AND key = ?2 LIMIT 1")                                   \
    R(NAMED_HAS, "SELECT shown FROM perche_named WHERE tab = ?1 AND key = ?2 AND by_tab = ?3 AND by_key = ?4")         \
    W(NAMED_PUT, "INSERT INTO perche_named (tab, key, by_tab, by_key, shown) VALUES (?1,?2,?3,?4,?5) ON CONFLICT DO NOTHING")\
    W(NAMED_END, "DELETE FROM perche_named WHERE tab = ?1 AND key = ?2")                                               \
    R(REFUSAL_ROWS, "SELECT lsn, tab, key, columns, reason FROM perche_refusal WHERE site = ?1 AND lsn > ?2"           \
                    " ORDER BY lsn LIMIT ?3")                                                                          \
    R(REFUSAL_HAS, "SELECT lsn, columns FROM perche_refusal WHERE site = ?1 AND tab = ?2 AND key = ?3")                         \
    W(REFUSAL_PUT, "INSERT INTO perche_refusal (site, tab, key, lsn, columns, reason, at_ms) VALUES (?1,?2,?3,?4,?5,?6,?7)" \
                   " ON CONFLICT DO UPDATE SET lsn = excluded.lsn, columns = excluded.columns,"                        \
                   " reason = excluded.reason, at_ms = excluded.at_ms")                                                \
    W(REFUSAL_DONE, "DELETE FROM perche_refusal WHERE site = ?1 AND lsn <= ?2")                                        \
    R(LEAVING_ROWS, "SELECT tab, key FROM perche_leaving INDEXED BY perche_leaving_lsn ORDER BY lsn LIMIT 1")          \
    W(LEAVING_PUT, "INSERT INTO perche_leaving (tab, key, lsn) VALUES (?1,?2,?3) ON CONFLICT DO UPDATE SET lsn = excluded.lsn") \
    W(LEAVING_END, "DELETE FROM perche_leaving WHERE tab = ?1 AND key = ?2")                                           \
    R(WANTED_ROWS, "SELECT tab, key, lsn FROM perche_wanted WHERE kind = ?1 ORDER BY lsn LIMIT ?2")                    \
    R(WANTED_HAS, "SELECT lsn FROM perche_wanted WHERE tab = ?1 AND key = ?2 AND kind = ?3")                           \
    W(WANTED_PUT, "INSERT INTO perche_wanted (tab, key, lsn, kind) VALUES (?1,?2,?3,?4)"                               \
                  " ON CONFLICT DO UPDATE SET lsn = excluded.lsn")                                                     \
    W(WANTED_END, "DELETE FROM perche_wanted WHERE tab = ?1 AND key = ?2 AND kind = ?3")                               \
    R(WAITS_ANY, "SELECT EXISTS (SELECT 1 FROM perche_leaving) OR EXISTS (SELECT 1 FROM perche_wanted WHERE kind < 3)") \
    R(PEER_GET, "SELECT epoch, prev_epoch, eplsn, have, asof_lsn, asof_mark, stamp, full, scan, done, session, returns, returns_stamp" \
                " FROM perche_peer WHERE site = ?1")                                                                   \
    W(PEER_PUT, "INSERT INTO perche_peer (site, epoch, prev_epoch, eplsn, have, asof_lsn, asof_mark, stamp, full, scan, done, session)" \
                " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12) ON CONFLICT DO UPDATE SET epoch=excluded.epoch,"     \
                " prev_epoch=excluded.prev_epoch, eplsn=max(eplsn, excluded.eplsn), have=excluded.have, asof_lsn=excluded.asof_lsn," \
                " asof_mark=excluded.asof_mark, stamp=excluded.stamp, full=excluded.full, scan=excluded.scan,"         \
                " done=excluded.done, session=excluded.session")                                                       \
    W(PEER_CONTACT, "UPDATE perche_peer SET contact_ms = ?2, pending = ?3, returns = CASE WHEN retired_ms <> 0 AND scan < ?4 THEN max(returns, 1) ELSE returns END," \
                    " retired_ms = 0 WHERE site = ?1")                            \
    R(MARKS, "SELECT lsn, mark FROM perche_mark ORDER BY lsn DESC")                                                    \
    R(MARK_AT, "SELECT lsn, mark FROM perche_mark WHERE lsn >= ?1 ORDER BY lsn LIMIT 1")                               \
    W(PULLED_PUT, "INSERT INTO perche_pulled (scan, full, asof_lsn, asof_mark, life, own_lsn, acked) VALUES (?1,?2,?3,?4,?5,?6,?7)" \
                  " ON CONFLICT DO UPDATE SET asof_lsn = excluded.asof_lsn, asof_mark = excluded.asof_mark,"           \
                  " life = excluded.life, own_lsn = excluded.own_lsn, acked = excluded.acked")                                                 \
    R(PULLED_LIST, "SELECT scan, full, asof_lsn, asof_mark, life, own_lsn FROM perche_pulled ORDER BY scan DESC, full DESC") \
    R(RECOVERING, "SELECT 1 FROM perche_peer INDEXED BY perche_peer_recovery WHERE recovery = 1 LIMIT 1")              \
    W(PARKED_PUT, "INSERT INTO perche_parked (tab, key, via, reason, at_ms, body, epoch, shown)"                       \
                  " VALUES (?1,?2,?3,?4,?5,?6, coalesce(nullif(?7, 0), (SELECT epoch FROM perche_peer WHERE site = ?3), 0), ?8)") \
    W(PARKED_RENEW, "UPDATE perche_parked SET reason = ?2, body = ?3 WHERE n = ?1")                                    \
    R(PARKED_NEXT, "SELECT n, via, epoch, reason, body, shown FROM perche_parked WHERE n > ?1 AND n <= ?2"             \
                   " AND (?3 OR reason NOT IN ('table', 'column', 'row', 'husk', 'type', 'key')) ORDER BY n LIMIT 1")  \
    R(PARKED_ROW, "SELECT n, via, epoch, reason, body, shown FROM perche_parked WHERE tab = ?1 AND key = ?2 AND n > ?3 ORDER BY n") \
    R(PARKED_LAST, "SELECT coalesce(max(n), 0) FROM perche_parked")                                                    \
    R(PARKED_ANY, "SELECT 1 FROM perche_parked LIMIT 1")                                                               \
    W(PARKED_END, "DELETE FROM perche_parked WHERE n = ?1")                                                            \
    R(PARKED_COUNT, "SELECT count(*) FROM perche_parked")                                                              \
    R(REFUSED_COUNT, "SELECT count(*) FROM perche_refused")                                                            \
    R(KEPT_HERE, "SELECT count(*) FROM perche_refused WHERE reason = 'key' OR (reason = 'too_large' AND image IS NULL)") \
    R(TABLES_GONE, "SELECT count(*) FROM perche_rescan WHERE gone_ms > 0")                                             \
    R(CAPTURED_COUNT, "SELECT count(*) FROM (SELECT 1 FROM perche_capture LIMIT 2000)")                                \
    R(SITE_KNOWN, "SELECT 1 FROM site WHERE id = ?1 UNION SELECT 1 FROM perche_member WHERE site = ?1")                \
    R(CONFLICTS_OPEN, "SELECT count(*) FROM perche_conflict WHERE state = 'open'")                                     \
    R(CONFLICTS_OF, "SELECT id FROM perche_conflict WHERE tab = ?1 AND key = ?2")                                      \
    R(UNIQUE_ASKED, "SELECT 1 FROM perche_conflict WHERE tab = ?1 AND key = ?2 AND col = ?3 AND kind = 'unique'"       \
                    " AND state = 'open' LIMIT 1")                                                                     \
    R(CHAIN_OF, "SELECT id FROM perche_chain WHERE tab = ?1 AND key = ?2")                                             \
    R(CHAIN_ROW, "SELECT id, entry, signature, salts FROM perche_chain WHERE tab = ?1 AND key = ?2 ORDER BY id")       \
    R(CHAIN_HEAD, "SELECT epoch, n, id FROM perche_chain_head WHERE tab = ?1 AND key = ?2")                            \
    W(CHAIN_HEAD_PUT, "INSERT INTO perche_chain_head (tab, key, epoch, n, id) VALUES (?1,?2,?3,?4,?5)"                 \
                      " ON CONFLICT DO UPDATE SET epoch = excluded.epoch, n = excluded.n, id = excluded.id")           \
    R(REFUSED_OF, "SELECT cells FROM perche_refused WHERE tab = ?1 AND key = ?2 AND block = ?3")                       \
    R(REFUSED_ANY, "SELECT 1 FROM perche_refused WHERE tab = ?1 AND key = ?2 AND block IS NOT NULL LIMIT 1")           \
    R(REFUSED_NEXT, "SELECT n, block, cells, columns <> '' FROM perche_refused WHERE tab = ?1 AND key = ?2 AND n > ?3 AND block IS NOT NULL ORDER BY n LIMIT 1") \
    W(REFUSED_LESS, "UPDATE perche_refused SET image = json_remove(image, ?2), cells = ?3, columns = ?4 WHERE n = ?1")  \
    W(REFUSED_END, "DELETE FROM perche_refused WHERE n = ?1")                                                          \
    W(KEPT_PUT, "INSERT INTO perche_refused (at_ms, tab, key, columns, reason, image)"                                 \
                " SELECT ?1, ?2, substr(?3, 1, 200), ?4, 'key', ?5 WHERE NOT EXISTS"                                   \
                " (SELECT 1 FROM perche_refused WHERE tab = ?2 AND key = substr(?3, 1, 200) AND reason = 'key' AND image = ?5)") \
    W(KEPT_END, "DELETE FROM perche_refused WHERE tab = ?1 AND key = substr(?2, 1, 200) AND reason = 'key' AND image = ?3") \
    R(LARGE_KEPT, "SELECT 1 FROM perche_refused WHERE tab = ?1 AND key = ?2 AND columns = ?3 AND reason = 'too_large' AND image IS NULL") \
    W(LARGE_END, "DELETE FROM perche_refused WHERE tab = ?1 AND key = ?2"                                              \
                 " AND ((reason = 'too_large' AND image IS NULL) OR reason = 'trigger')")                              \
    W(KEPT_AGAIN, "INSERT INTO perche_capture (tab, mask, at, k1) SELECT t.num, -1, ?1, f.key ->> '$[0]'"              \
                  " FROM perche_refused f JOIN perche_tab t ON t.name = f.tab WHERE f.reason = 'trigger'")             \
    W(REFUSED_PUT, "INSERT INTO perche_refused (at_ms, tab, key, columns, reason, image, block, cells)"                \
                   " VALUES (?1,?2,?3,?4,?5,?6,?7,?8)")

enum statement_id {
#define X(id, text) SQL_##id,
    REPLICA_SQL(X, X)
#undef X
    SQL_COUNT
};

struct statements {
    sqlite3_stmt *all[SQL_COUNT];
};

/* Prepares them all (a reader: its own); called by replica_open and replica_open_reader once the tables are there. */
enum perche_rc statements_prepare(struct replica *r);
void statements_free(struct replica *r); /* before sqlite3_close */

/* Borrows a statement that is idle. */
static inline sqlite3_stmt *sql(struct replica *r, enum statement_id id)
{
    sqlite3_stmt *s = r->sql->all[id];

    assert(s != NULL && !sqlite3_stmt_busy(s));
    return s;
}
static inline void sql_done(sqlite3_stmt *s)
{
    (void)sqlite3_reset(s); /* its error was seen by the step */
    (void)sqlite3_clear_bindings(s);
}
/* Steps: is there a row? An error is the work's failure (r->fail), so that it is never taken for the end of the rows. */
bool sql_row(struct replica *r, sqlite3_stmt *s);
/* Steps once and gives it back: the key in its first column, into @key (which may be bound to it); false: there is none, or r->fail. */
bool sql_key(struct replica *r, sqlite3_stmt *s, uint8_t *key, uint32_t *key_n);
/* Steps a statement that returns no row and gives it back. */
enum perche_rc sql_run(struct replica *r, sqlite3_stmt *s, const char *what);

#endif
