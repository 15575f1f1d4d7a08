#!/usr/bin/env python3
"""P1, P4, P8: a program changes the columns of a replicated table at a site while the daemon is down. A column that was dropped
and made again has lost its values there, and nowhere else; one that was renamed is set aside, said, and loses nothing."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

net = perche_net.Network()
ALL = "SELECT group_concat(title || ':' || coalesce(client_name, '-') || ':' || coalesce(delivered_url, '-'), ' ') FROM (SELECT * FROM project ORDER BY title)"


def build():
    global hub, drx
    hub = net.add_hub()
    drx = net.add_site("dreux")
    for i in range(5):
        drx.sql(f"INSERT INTO project (site_id, title, client_name, delivered_url, kind) VALUES ('{drx.id}', 't{i}', 'c{i}', 'b{i}', 'CLIENT')")
    drx.sync_wait()


def without_triggers(*statements):
    """The triggers name every column: nothing is dropped as long as they stand."""
    names = drx.sql("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'project'").splitlines()
    drx.stop()
    drx.sql("BEGIN; " + "".join(f'DROP TRIGGER "{n}"; ' for n in names) + "; ".join(statements) + "; COMMIT")
    drx.start()


@case("DROP COLUMN and ADD COLUMN of the same name: the values come back")
def _():
    before = hub.sql(ALL)
    without_triggers("ALTER TABLE project DROP COLUMN client_name", "ALTER TABLE project ADD COLUMN client_name TEXT",
                     "UPDATE project SET client_name = 'since' WHERE title = 't3'", "UPDATE project SET delivered_url = 'new' WHERE title = 't2'")
    drx.sync_wait()
    after = before.replace("t3:c3", "t3:since").replace(":b2", ":new")
    for node in (hub, drx):
        expect(f"the projects at {node.key}", node.sql(ALL), after)
    said = drx.json("verify")
    expect("verify", said["equal"], True)


@case("RENAME COLUMN: it is said, the others keep their values, and renamed back it is in step")
def _():
    before = hub.sql(ALL)
    drx.stop()
    drx.sql("ALTER TABLE project RENAME COLUMN client_name TO customer")
    drx.start()
    hub.sql("UPDATE project SET client_name = 'of the hub' WHERE title = 't0'")
    hub.sql("UPDATE project SET delivered_url = 'too' WHERE title = 't4'")
    drx.sql("UPDATE project SET customer = 'of the site', delivered_url = 'of the site' WHERE title = 't1'")
    net.wait_for("what the hub wrote", lambda: drx.sql("SELECT delivered_url FROM project WHERE title = 't4'") == "too")
    net.wait_for("what has no column to be parked", lambda: drx.status()["parked"] > 0)
    net.wait_for("what the site wrote", lambda: hub.sql("SELECT delivered_url FROM project WHERE title = 't1'") == "of the site")
    expect("the column at the hub", hub.sql("SELECT client_name FROM project WHERE title = 't1'"), "c1")
    expect_in("perche verify, which does not wait for what cannot come", "customer", drx.run("verify", seconds=20).stdout)
    drx.stop()
    drx.sql("ALTER TABLE project RENAME COLUMN customer TO client_name")
    drx.start()
    drx.sync_wait()
    after = before.replace("t0:c0:", "t0:of the hub:").replace(":b4", ":too").replace("t1:c1:b1", "t1:of the site:of the site")
    for node in (hub, drx):
        expect(f"the projects at {node.key}", node.sql(ALL), after)


perche_net.main(build, [net])
