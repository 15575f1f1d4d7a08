#!/usr/bin/env python3
"""P4, P5: a key whose PRIMARY KEY clause (not its column) says COLLATE NOCASE is refused by perche replicate like one whose column
says so, or two sites' rows 'abc' and 'ABC' stay two rows: they become one at the hub, and all are "proven equal"."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case

net = perche_net.Network()


def build():
    global hub, drx, llp
    hub = net.add_hub()
    drx = net.add_site("dreux")
    llp = net.add_site("la-loupe")
    for site in (drx, llp):
        site.sync_wait()


def story(table, ddl, one, two):
    hub.sql(ddl)
    p = hub.run("replicate", table, "--scope", "site_id", "--level", "P0")
    if p.returncode == 1:
        return  # refused: right
    for site in (drx, llp):
        net.wait_for("the table", lambda: site.count("perche_table", f"name = '{table}'") == 1)
    drx.sql(f"INSERT INTO {table} VALUES ({one}, '{drx.id}', 'of dreux')")
    llp.sql(f"INSERT INTO {table} VALUES ({two}, '{llp.id}', 'of la-loupe')")
    for site in (drx, llp, drx):
        site.sync_wait()
    at_hub = hub.sql(f"SELECT id || ' ' || v FROM {table}").splitlines()
    equal = [s.json("verify")["equal"] for s in (drx, llp)]
    hub.run("verify")
    for site in (drx, llp, drx):
        site.sync_wait()
    after = {n.key: n.sql(f"SELECT id || ' ' || v FROM {table}").splitlines() for n in (hub, drx, llp)}
    if len(at_hub) != 2 or len(after["hub"]) != 2:
        raise Failure(f"at the hub {at_hub} while both sites say equal {equal}; after verify at the hub: {after}")


case("PRIMARY KEY (id COLLATE NOCASE)")(lambda: story(
    "badge", "CREATE TABLE badge (id TEXT NOT NULL, site_id TEXT, v TEXT, PRIMARY KEY (id COLLATE NOCASE))", "'abc'", "'ABC'"))
case("the same, WITHOUT ROWID")(lambda: story(
    "tag", "CREATE TABLE tag (id TEXT NOT NULL, site_id TEXT, v TEXT, PRIMARY KEY (id COLLATE NOCASE)) WITHOUT ROWID", "'abc'", "'ABC'"))
case("PRIMARY KEY (id COLLATE RTRIM)")(lambda: story(
    "room", "CREATE TABLE room (id TEXT NOT NULL, site_id TEXT, v TEXT, PRIMARY KEY (id COLLATE RTRIM))", "'abc'", "'abc '"))

perche_net.main(build, [net])
