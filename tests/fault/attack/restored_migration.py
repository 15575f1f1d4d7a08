#!/usr/bin/env python3
"""P5, P8: a hub that was put back to a copy from before a `perche replicate` gives the number of that migration to the next
one; the sites, who know the number, have to get the new table all the same."""
import os
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case, expect

net = perche_net.Network()


def build():
    global hub, drx, llp
    hub = net.add_hub()
    drx = net.add_site("dreux")
    llp = net.add_site("la-loupe")
    for site in (drx, llp):
        site.sync_wait()


def replicate(table):
    hub.sql(f"CREATE TABLE {table} (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, name TEXT)")
    hub.perche("replicate", table, "--scope", "site_id", "--level", "P0")


@case("replicate tool, put the hub back, replicate other, replicate tool again")
def _():
    copy = os.path.join(net.folder, "hub.copy")
    hub.sql(f".backup {copy}")
    replicate("tool")
    for site in (drx, llp):
        net.wait_for("the table", lambda site=site: site.count("perche_table", "name = 'tool'") == 1)
        site.sync_wait()
        site.sql(f"INSERT INTO tool VALUES ('{site.key}', '{site.id}', 'of {site.key}')")
        site.sync_wait()
    hub.stop()
    for end in ("", "-wal", "-shm"):
        if os.path.exists(hub.db + end):
            os.unlink(hub.db + end)
    shutil.copy(copy, hub.db)
    hub.start()
    net.wait_for("both sites to have shown what they have", lambda: all(
        s["state"] == "live" and s["recovery"] is None for s in hub.json("sites")["sites"]), seconds=60)
    replicate("other")
    hub.sql(f"INSERT INTO other VALUES ('o', '{drx.id}', 'of the hub')")
    replicate("tool")
    for site in (drx, llp):
        try:
            site.sync_wait(15)
        except Failure:
            pass
    numbers = {n.key: n.sql("SELECT group_concat(number || ' ' || name, ', ') FROM perche_migration WHERE number >= 1000") for n in net.nodes.values()}
    expect("tool at the hub", hub.sql("SELECT name FROM tool ORDER BY id"), "of dreux\nof la-loupe")
    there = drx.count("sqlite_master", "name = 'other'")
    if there != 1 or drx.sql("SELECT name FROM other") != "of the hub":
        raise Failure(f"the site has no table 'other', parked {drx.status()['parked']}; migrations {numbers}")


perche_net.main(build, [net])
