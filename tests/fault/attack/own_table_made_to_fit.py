#!/usr/bin/env python3
"""P4: a site's own table stands in the way of one that the hub replicates, and its administrator does what operations.md says: makes it as the
hub's and starts perched again. "A site that has a table of this name already brings its rows in": the hub's rows, which waited (parked), must
not overwrite the site's own rows of the same keys unseen."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case

net = perche_net.Network()


def build():
    global hub, drx
    hub = net.add_hub()
    drx = net.add_site("dreux")
    drx.sync_wait()


def story(table, scope, make_it_fit):
    hub.sql(f"CREATE TABLE {table} (id INT NOT NULL PRIMARY KEY, site_id TEXT, v TEXT, extra TEXT)")
    drx.sql(f"CREATE TABLE {table} (id INT NOT NULL PRIMARY KEY, site_id TEXT, v TEXT)")
    for node in (hub, drx):
        node.sql(f"INSERT INTO {table} (id, site_id, v) VALUES " + ", ".join(f"({i}, '{drx.id}', '{node.key} {i}.')" for i in range(1, 6)))
    hub.perche("replicate", table, "--scope", scope, "--level", "P0")
    net.wait_for("the rows to be parked", lambda: drx.status()["parked"] == 5)
    drx.sql(make_it_fit)
    drx.stop()
    drx.start()
    net.wait_for("the table to be in step", lambda: drx.status()["parked"] == 0 and drx.count("perche_table", f"name = '{table}'") == 1)
    for _ in range(2):
        drx.sync_wait()
    text = "".join(n.sql(f"SELECT v FROM {table}") + n.sql(f"SELECT a_value, b_value FROM perche_conflict WHERE tab = '{table}'")
                   + n.sql(f"SELECT image FROM perche_refused WHERE tab = '{table}'") for n in (hub, drx))
    lost = [i for i in range(1, 6) if f"dreux {i}." not in text]
    if lost:
        history = sum(f"dreux {i}." in n.run("history", table, str(i)).stdout for n in (hub, drx) for i in lost)
        raise Failure(f"{len(lost)} of 5 values of the site are in no table, no conflict and not refused, at no node; in a history: {history}; "
                      f"verify: equal {drx.json('verify')['equal']}; the site now has {drx.sql(f'SELECT v FROM {table}').splitlines()}")


case("ALTER TABLE ... ADD COLUMN, --scope site_id")(lambda: story("own1", "site_id", "ALTER TABLE own1 ADD COLUMN extra TEXT"))
case("ALTER TABLE ... ADD COLUMN, --scope all")(lambda: story("own2", "all", "ALTER TABLE own2 ADD COLUMN extra TEXT"))
case("renamed, made anew as the hub's, its rows copied, in one transaction")(lambda: story(
    "own3", "site_id", """BEGIN IMMEDIATE; ALTER TABLE own3 RENAME TO old3; CREATE TABLE own3 (id INT NOT NULL PRIMARY KEY, site_id TEXT, v TEXT, extra TEXT);
        INSERT INTO own3 SELECT id, site_id, v, NULL FROM old3; COMMIT"""))

perche_net.main(build, [net])
