#!/usr/bin/env python3
"""Programs beside the daemon: a Python writer during a load, the sqlite3 shell while the daemon is dead, every way of writing a
row that SQLite has, triggers and tables of a program's own. What they commit arrives; what the daemon applies is not theirs."""
import os
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect

net = perche_net.Network()
ROWS = 60_000 if perche_net.SLOW == 1 else 15_000
LEARNER = "01487832-4000-7000-8001-0000000000%02d"
ENROLMENT = "01487832-4000-7000-8002-0000000000%02d"


def build():
    global hub, llp, chr_
    hub = net.add_hub()
    llp = net.add_site("la-loupe")
    chr_ = net.add_site("chartres")
    net.cohort("la-loupe")
    hub.sql("""CREATE TABLE load (id TEXT NOT NULL PRIMARY KEY, v INTEGER, site TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE kinds (id TEXT NOT NULL PRIMARY KEY, v, n TEXT COLLATE NOCASE, r REAL, i INTEGER, site TEXT NOT NULL)""")
    for table in ("load", "kinds"):
        hub.perche("replicate", table, "--scope", "site")
        net.wait_for("the table at the site", lambda table=table: llp.sql(f"SELECT count(*) FROM perche_table WHERE name = '{table}'") == "1")
    net.proven()


def same(table, where="1", sites=None):
    """The rows and the types of a table, at La Loupe and at the hub."""
    columns = llp.sql(f"SELECT group_concat('quote(\"' || name || '\"), typeof(\"' || name || '\")', ', ') FROM pragma_table_info('{table}')")
    query = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY 1"
    expect(f"{table} at the hub", hub.sql(query), llp.sql(query))


class Writer(threading.Thread):
    """A program of its own: one row a transaction, as fast as it may, until it is told to stop."""

    def __init__(self, node, prefix):
        super().__init__()
        self.node, self.prefix = node, prefix
        self.stop = threading.Event()
        self.times, self.failures = [], []

    def run(self):
        db = self.node.connect()
        site = db.execute("SELECT site_id FROM perche_self").fetchone()[0]
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                db.execute("BEGIN IMMEDIATE")
                db.execute("INSERT INTO load VALUES (?, ?, ?)", (f"{self.prefix}-{len(self.times):06d}", len(self.times), site))
                db.execute("COMMIT")
            except Exception as e:  # every failure is one too many
                self.failures.append(repr(e))
                if db.in_transaction:
                    db.execute("ROLLBACK")
            self.times.append(time.monotonic() - began)
            self.stop.wait(0.005)
        db.close()


def beside_a_load(make_load, node, prefix):
    writer = Writer(node, prefix)
    writer.start()
    try:
        make_load()
    finally:
        writer.stop.set()
        writer.join()
    times = sorted(writer.times)
    print(f"#   {len(times)} transactions at {node.key}: median {times[len(times) // 2] * 1000:.1f} ms, 99 % "
          f"{times[len(times) * 99 // 100] * 1000:.1f} ms, longest {times[-1] * 1000:.1f} ms")
    expect("failures of the writer", writer.failures, [])
    if len(times) < 10:
        raise Failure(f"only {len(times)} transactions beside the load: it was no load")
    return len(times)


def load_sql(prefix, n):
    return f"""WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < {n})
        INSERT INTO load SELECT printf('{prefix}%08d', i), i, site_id FROM i, perche_self"""


@case("a Python writer with a busy time-out of 5 s beside a load that the site takes over and sends: no failure")
def _():
    llp.stop()
    llp.sql(load_sql("a", ROWS))  # one transaction; it waits to be taken over
    llp.start()
    n = beside_a_load(lambda: net.wait_for("the load at the hub", lambda: hub.count("load", "id LIKE 'a0%'") == ROWS, seconds=120), llp, "w")
    llp.sync_wait()
    expect("rows of the writer at the hub", hub.count("load", "id LIKE 'w-%'"), n)
    net.proven(llp)


@case("the same at the hub, while a load comes in")
def _():
    llp.stop()
    llp.sql(load_sql("b", ROWS))
    llp.start()
    n = beside_a_load(lambda: net.wait_for("the load at the hub", lambda: hub.count("load", "id LIKE 'b0%'") == ROWS, seconds=120), hub, "h")
    net.proven(llp)
    expect("rows of the writer at the hub", hub.count("load", "id LIKE 'h-%'"), n)


@case("the daemon is killed; a week of changes by the sqlite3 shell is at the hub after its start")
def _():
    llp.kill()
    for day in range(1, 8):
        llp.sql(f"""BEGIN;
            INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)
              SELECT h.id, e.id, 'PRESENT', 210, 'PAPER_SCAN', h.day || 'T12:00:00Z', s.site_id
              FROM (SELECT * FROM half_day ORDER BY day, half LIMIT 1 OFFSET {day}) h, enrolment e, perche_self s;
            UPDATE learner SET call_name = 'day {day}' WHERE id LIKE '%{day}';
            INSERT INTO project (id, site_id, title, kind) SELECT 'project {day}', site_id, 'week', 'REAL_CLIENT' FROM perche_self;
            DELETE FROM project WHERE id = 'project {day - 1}';
            COMMIT""")
        llp.sql(f"UPDATE project SET title = 'week, day {day}' WHERE id = 'project {day}'")
    llp.start()
    llp.sync_wait()
    expect("marks at the hub", hub.count("attendance"), 7 * 28)
    for table in ("attendance", "learner", "project"):
        same(table)
    expect("captured rows that are left", llp.count("perche_capture"), 0)
    net.proven()


@case("INSERT, REPLACE, UPSERT, OR IGNORE, OR REPLACE, delete and insert again: the hub has what the site has")
def _():
    site = llp.sql("SELECT site_id FROM perche_self")

    def write(text):
        llp.sql(text.replace("@", f"'{site}'"))
        llp.sync_wait()
        same("kinds")

    write("INSERT INTO kinds VALUES ('a', 1, 'one', 1.5, 1, @), ('b', 2, 'two', 2.5, 2, @), ('c', 3, 'three', 3.5, 3, @)")
    write("REPLACE INTO kinds VALUES ('a', 'replaced', NULL, NULL, NULL, @)")
    write("INSERT OR REPLACE INTO kinds (id, site) VALUES ('b', @)")
    write("INSERT INTO kinds VALUES ('a', 10, 'ten', 10, 10, @) ON CONFLICT (id) DO UPDATE SET v = excluded.v, n = 'upserted'")
    write("INSERT INTO kinds VALUES ('a', 11, 'no', 11, 11, @) ON CONFLICT DO NOTHING")
    write("INSERT OR IGNORE INTO kinds VALUES ('a', 12, 'no', 12, 12, @), ('d', 4, 'four', 4, 4, @)")
    write("UPDATE OR REPLACE kinds SET v = 'or replace' WHERE id = 'd'")
    write("UPDATE OR IGNORE kinds SET v = 'or ignore' WHERE id IN ('c', 'd')")
    write("BEGIN; DELETE FROM kinds WHERE id = 'c'; INSERT INTO kinds (id, v, site) VALUES ('c', 'again', @); COMMIT")
    write("DELETE FROM kinds WHERE id = 'c'; INSERT INTO kinds (id, v, site) VALUES ('c', 'and again', @)")
    write("BEGIN; INSERT INTO kinds (id, site) VALUES ('e', @); DELETE FROM kinds WHERE id = 'e'; COMMIT")
    write("BEGIN; UPDATE kinds SET v = 'rolled back'; ROLLBACK")
    write("BEGIN; UPDATE kinds SET v = 'kept' WHERE id = 'a'; SAVEPOINT s; DELETE FROM kinds; ROLLBACK TO s; COMMIT")
    write("REPLACE INTO kinds SELECT * FROM kinds")
    write("PRAGMA recursive_triggers = ON; REPLACE INTO kinds (id, v, site) VALUES ('a', 'recursive', @)")
    said = llp.sql_fails("UPDATE kinds SET id = 'z' WHERE id = 'a'")
    perche_net.expect_in("what is said of a key that changes", "a key does not change", said)
    llp.sql_fails("UPDATE OR REPLACE kinds SET id = 'b' WHERE id = 'a'")
    net.proven(llp)


@case("changes that = does not see: case of letters, integer and real, minus zero, empty and NULL, blob and text")
def _():
    site = llp.sql("SELECT site_id FROM perche_self")
    llp.sql(f"INSERT INTO kinds (id, v, n, r, i, site) VALUES ('n', 1, 'abc', 0.0, 7, '{site}')")
    llp.sync_wait()
    for change in ("n = 'ABC'", "v = 1.0", "v = 1", "v = '1'", "v = x'31'", "v = 0.0", "v = -0.0", "r = -0.0", "v = ''", "v = NULL", "v = x''",
                   "v = 9223372036854775807", "v = 9.2233720368547758e18", "v = 'é' || char(0) || 'x'", "i = '8'", "r = 5", "v = 1e308 * 10"):
        llp.sql(f"UPDATE kinds SET {change} WHERE id = 'n'")
        llp.sync_wait()
        same("kinds", "id = 'n'")
    net.proven(llp)


@case("a program's full-text index on names is kept right by its own triggers on applied rows, and nothing is captured again")
def _():
    llp.sql("""CREATE VIRTUAL TABLE names USING fts5(id UNINDEXED, name);
        INSERT INTO names SELECT id, birth_family_name FROM learner;
        CREATE TRIGGER names_insert AFTER INSERT ON learner BEGIN INSERT INTO names VALUES (NEW.id, NEW.birth_family_name); END;
        CREATE TRIGGER names_update AFTER UPDATE ON learner BEGIN UPDATE names SET name = NEW.birth_family_name WHERE id = NEW.id; END;
        CREATE TRIGGER names_delete AFTER DELETE ON learner BEGIN DELETE FROM names WHERE id = OLD.id; END""")
    llp.sync_wait()
    before, mark = llp.status(), int(llp.sql("SELECT lsn FROM perche_node"))
    hub.sql(f"""UPDATE learner SET birth_family_name = 'Zephyr' WHERE id = '{LEARNER % 1}';
        INSERT INTO learner (id, home_site_id, birth_family_name) VALUES ('01487832-4000-7000-8001-000000004001', '{llp.id}', 'Zenith');
        DELETE FROM learner_contact WHERE learner_id = '{LEARNER % 2}'""")
    llp.sync_wait()
    expect("the index at the site", llp.sql("SELECT id FROM names WHERE names MATCH 'zephyr OR zenith' ORDER BY 1"),
           f"{LEARNER % 1}\n01487832-4000-7000-8001-000000004001")
    expect("captured rows", llp.count("perche_capture"), 0)
    expect("rows that the site has sent for it", llp.status()["rows_out"] - before["rows_out"], 0)
    expect("values that the site takes for its own", int(llp.sql(f"SELECT count(*) FROM perche_row WHERE first > {mark}")), 0)
    llp.sql(f"UPDATE learner SET birth_family_name = 'Azimuth' WHERE id = '{LEARNER % 1}'")
    llp.sync_wait()
    expect("an edit of the site's own at the hub", hub.count("learner", "birth_family_name = 'Azimuth'"), 1)
    expect("the index after it", llp.sql("SELECT count(*) FROM names WHERE names MATCH 'azimuth'"), "1")
    net.proven()


@case("another process checkpoints, vacuums and reads for long: nothing is lost")
def _():
    reader = llp.connect()
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM learner").fetchone()
    llp.sql("UPDATE learner SET call_name = 'while read'")
    llp.sync_wait()
    expect("edits at the hub", hub.count("learner", "call_name = 'while read'"), llp.count("learner", "call_name = 'while read'"))
    reader.execute("COMMIT")
    reader.close()
    llp.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    llp.sql("VACUUM")
    llp.sql("UPDATE learner SET call_name = 'after'")
    llp.kill()
    llp.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    llp.sql("VACUUM")
    llp.sql("UPDATE learner SET ine = id")
    llp.start()
    llp.sync_wait()
    same("learner")
    net.proven()


@case("a program that reads and does not end: status names it while the WAL grows, and nobody once it has ended")
def _():
    expect("who is named before", llp.status()["wal_held"], None)
    shell = subprocess.Popen(["sqlite3", "-batch", llp.db], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        shell.stdin.write("BEGIN;\nSELECT 'reads' FROM learner LIMIT 1;\n")
        shell.stdin.flush()
        expect("the shell", shell.stdout.readline(), "reads\n")
        llp.sql("CREATE TABLE local (bytes); WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 24) INSERT INTO local SELECT randomblob(1048576) FROM i")
        held = net.wait_for("status to name the shell", lambda: llp.status()["wal_held"])
        expect("who is named", (held["pid"], held["name"]), (shell.pid, "sqlite3"))
        perche_net.expect_in("perche status", f"sqlite3 (process {shell.pid})", " ".join(llp.perche("status").split()))
    finally:
        shell.stdin.close()
        shell.wait(10)
        shell.stdout.close()
    net.wait_for("status to name nobody", lambda: llp.status()["wal_held"] is None)
    llp.sql("DROP TABLE local")
    net.proven(llp)


@case("the daemon has opened the replica's files through SQLite alone: any other descriptor, once closed, drops its locks")
def _():
    llp.json("verify")
    llp.sync_wait()
    files = {"": [], "-wal": [], "-shm": []}
    for fd in os.listdir(f"/proc/{llp.process.pid}/fd"):
        try:
            path = os.readlink(f"/proc/{llp.process.pid}/fd/{fd}")
            with open(f"/proc/{llp.process.pid}/fdinfo/{fd}", encoding="ascii") as f:
                flags = int(next(line for line in f if line.startswith("flags:")).split()[1], 8)
        except OSError:
            continue  # closed meanwhile
        for end, found in files.items():
            if path == llp.db + end:
                found.append(flags & os.O_ACCMODE)
    connections = 1 + 3  # the writer and the readers
    expect("descriptors of replica.db, each to read and write", files[""], [os.O_RDWR] * connections)
    expect("of its WAL", files["-wal"], [os.O_RDWR] * connections)
    expect("of its shared memory, one for the process", files["-shm"], [os.O_RDWR])


@case("a table that a program rebuilds, with what it changes before the daemon looks: its triggers are back and the changes arrive")
def _():
    declared = llp.sql("SELECT sql FROM sqlite_schema WHERE name = 'project'")
    fresh = declared.replace("CREATE TABLE project", "CREATE TABLE project_new", 1)
    expect("the declaration is found", fresh != declared, True)
    for down in (False, True):
        if down:
            llp.kill()
        # legacy_alter_table: else SQLite looks at every view while the table is gone
        llp.sql(f"""PRAGMA legacy_alter_table = ON; BEGIN; {fresh}; INSERT INTO project_new SELECT * FROM project; DROP TABLE project; ALTER TABLE project_new RENAME TO project;
            UPDATE project SET title = 'rebuilt {down}' WHERE id = 'project 7';
            INSERT INTO project (id, site_id, title, kind) SELECT 'rebuilt {down}', site_id, 'x', 'REAL_CLIENT' FROM perche_self;
            DELETE FROM project WHERE id = 'project 6'; COMMIT""")
        if down:
            llp.start()
        net.wait_for("the triggers to be back", lambda: int(llp.sql("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'project' AND name LIKE 'perche_%'")) >= 3)
        llp.sync_wait()
        same("project")
        llp.sql(f"UPDATE project SET title = 'after {down}' WHERE id = 'project 7'")
        llp.sync_wait()
        same("project")
    net.proven()


@case("triggers that are dropped, and an edit behind their back: found, and an edit like any other")
def _():
    llp.sql("DROP TRIGGER perche_project_update; UPDATE project SET title = 'unseen' WHERE id = 'project 7'")
    net.wait_for("the trigger to be back", lambda: llp.sql("SELECT count(*) FROM sqlite_schema WHERE name = 'perche_project_update'") == "1")
    llp.sync_wait()
    expect("the edit at the hub", hub.count("project", "title = 'unseen'"), 1)
    net.proven()


@case("a program's trigger that writes into a replicated table when rows are applied: what it writes is never lost silently")
def _():
    llp.sql("""CREATE TRIGGER follow AFTER UPDATE OF call_name ON learner BEGIN
        INSERT OR REPLACE INTO project (id, site_id, title, kind) SELECT 'followed', site_id, NEW.call_name, 'REAL_CLIENT' FROM perche_self; END""")
    llp.sync_wait()
    hub.sql(f"UPDATE learner SET call_name = 'by the hub' WHERE id = '{LEARNER % 7}'")
    llp.sync_wait()
    expect("what the trigger wrote", llp.sql("SELECT title FROM project WHERE id = 'followed'"), "by the hub")
    answer = llp.json("verify")
    expect("verify at the site, which takes it over and sends it", answer["equal"], True)
    expect("what verify has found", [(t["table"], t["added"]) for t in answer["tables"] if t["added"]], [("project", 1)])
    expect("what the trigger wrote, at the hub", hub.sql("SELECT title FROM project WHERE id = 'followed'"), "by the hub")
    net.proven(llp)


if __name__ == "__main__":
    perche_net.main(build, [net])
