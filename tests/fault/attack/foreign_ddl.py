#!/usr/bin/env python3
"""P8, P5: what a program adds to the file for its own use (an index with its own collation, a trigger with its own function)
stops neither the records of other tables nor the daemon; what a trigger kept out is not held for equal; and the rows of a
table that it makes anew with another key are not taken for those of the hub."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()


def build():
    global hub, drx
    hub = net.add_hub()
    drx = net.add_site("dreux")
    drx.sync_wait()


def program(ddl):
    """A Python program with a collation and a function of its own."""
    db = drx.connect()
    db.create_collation("french", lambda a, b: (a > b) - (a < b))
    db.create_function("fold", 1, lambda x: x, deterministic=True)
    db.execute(ddl)
    db.close()


def goes_on(undo):
    """A record of another table arrives while the program's object is there."""
    n = hub.count("organisation")
    hub.sql(f"""INSERT INTO project (site_id, title, kind) VALUES ('{drx.id}', 'p{n}', 'CLIENT');
        INSERT INTO organisation (name) VALUES ('o{n}')""")
    try:
        drx.sync_wait(6)
    except Failure:
        pass  # the project may be set aside
    found, status = drx.count("organisation", f"name = 'o{n}'"), drx.status()
    said = drx.log_tail(1)
    drx.stop()
    why = ""
    try:
        drx.start()
    except Failure as e:
        why = str(e)[-300:]
        drx.process = None
    drx.sql(undo)
    if drx.process is None:
        drx.start()
    drx.sync_wait()
    if why:
        raise Failure(f"perched starts no more: {why}")
    if found != 1:
        raise Failure(f"a record of another table has not arrived; state {status['state']} ({status['reason']}); {said}")


@case("an index with a collation of the program's")
def _():
    program("CREATE INDEX own ON project (title COLLATE french)")
    goes_on("DROP INDEX own")


@case("a trigger with a function of the program's")
def _():
    program("CREATE TRIGGER own AFTER INSERT ON project BEGIN SELECT fold(NEW.title); END")
    goes_on("DROP TRIGGER own")


@case("a partial index with a function of the program's")
def _():
    program("CREATE INDEX own ON project (title) WHERE fold(title) = 'x'")
    goes_on("DROP INDEX own")


@case("a trigger that writes to a table which is gone")
def _():
    program("CREATE TRIGGER own AFTER INSERT ON project BEGIN INSERT INTO gone VALUES (NEW.title); END")
    goes_on("DROP TRIGGER own")


@case("a trigger that rolls back")
def _():
    program("CREATE TRIGGER own BEFORE INSERT ON project BEGIN SELECT RAISE(ROLLBACK, 'not here'); END")
    goes_on("DROP TRIGGER own")


@case("a user_version of the program's")
def _():
    drx.stop()
    drx.sql("PRAGMA user_version = 7")
    try:
        drx.start()
    except Failure as e:
        drx.process = None
        raise Failure(str(e)[-260:]) from None
    finally:
        drx.sql("PRAGMA user_version = 1")
        if drx.process is None:
            drx.start()


@case("a row that a trigger kept out of the site's table is not proven equal, and verify does not delete it everywhere")
def _():
    drx.sql("CREATE TRIGGER own BEFORE INSERT ON project WHEN NEW.title = 'unwanted' BEGIN SELECT RAISE(IGNORE); END")
    drx.sync_wait()
    before = drx.status()["proven_equal_at"]
    hub.sql(f"INSERT INTO project (site_id, title, kind) VALUES ('{drx.id}', 'unwanted', 'CLIENT')")
    try:
        drx.sync_wait(5)
    except Failure:
        pass
    equal = drx.status()["proven_equal_at"] not in (before, None) and drx.count("project", "title = 'unwanted'") == 0
    drx.sql("DROP TRIGGER own")
    drx.run("verify")
    drx.sync_wait()
    left = hub.count("project", "title = 'unwanted'")
    if equal or left != 1:
        raise Failure(f"the site lacks the row and says that it is proven equal: {equal}; rows at the hub after verify at the site: {left} of 1")


@case("a table that a program rebuilds with another key is set aside: no record of the hub's is taken for another")
def _():
    for i in (3, 4):
        drx.sql(f"INSERT INTO project (site_id, title, client_name, kind) VALUES ('{drx.id}', 'title {i}', 'client {i}', 'CLIENT')")
    drx.sync_wait()
    before = hub.sql("SELECT id, title, client_name FROM project WHERE title LIKE 'title %' ORDER BY 1")
    drx.sql("""PRAGMA legacy_alter_table = ON; BEGIN;
        CREATE TABLE anew (n INTEGER PRIMARY KEY, id TEXT, site_id TEXT, title TEXT, kind TEXT);
        INSERT INTO anew SELECT NULL, id, site_id, title, kind FROM project WHERE title LIKE 'title %'; DROP TABLE project; ALTER TABLE anew RENAME TO project; COMMIT""")
    hub.sql("INSERT INTO organisation (name) VALUES ('later')")
    net.wait_for("what the hub wrote later", lambda: drx.count("organisation", "name = 'later'") == 1)
    net.wait_for("status to say so", lambda: drx.status()["reason"] == "obstacle")
    said = drx.run("verify").stdout
    expect_in("what to do", "Rename it", said)
    expect("that it was dropped", "somebody has dropped" in said, False)
    expect("the records at the hub", hub.sql("SELECT id, title, client_name FROM project WHERE title LIKE 'title %' ORDER BY 1"), before)
    drx.sql("ALTER TABLE project RENAME TO project_own")
    net.wait_for("the table to be back", lambda: drx.status()["reason"] != "obstacle" and drx.status()["tables_gone"] == 0)
    drx.sync_wait()
    for node in (hub, drx):
        expect(f"the records at {node.key}", node.sql("SELECT id, title, client_name FROM project WHERE title LIKE 'title %' ORDER BY 1"), before)


perche_net.main(build, [net])
