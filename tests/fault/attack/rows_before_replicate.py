#!/usr/bin/env python3
"""P4: a site has a table of the same form with rows of its own, the hub registers it (perche replicate) and both have rows under some of
the same keys. Each value of the site has to be in a table, a conflict, or the list of refused ones: none is overwritten unseen
because the hub's rows come before the site has looked at all of its own."""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case

net = perche_net.Network()
N = 1500  # more than one batch


def build():
    global hub, drx
    hub = net.add_hub()
    drx = net.add_site("dreux")
    drx.sync_wait()


def story(table, scope, busy):
    """@busy: a program of the site holds SQLite's lock when the site is told of the table; else the hub's program goes on writing in it."""
    for node in (hub, drx):
        node.sql(f"CREATE TABLE {table} (id INT NOT NULL PRIMARY KEY, site_id TEXT, v TEXT)",
                 f"""WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {N})
                     INSERT INTO {table} SELECT i, '{drx.id}', '{node.key} ' || i || '.' FROM c""")
    drx.sync_wait()
    if busy:
        db = drx.connect()
        db.execute("BEGIN IMMEDIATE")
    before = hub.log_size()
    hub.perche("replicate", table, "--scope", scope, "--level", "P0")
    if busy:
        net.wait_for("the site to be told", lambda: "hub.schema" in hub.log_text(before))
        db.execute("COMMIT")
        db.close()
    else:
        for j in range(1, 6):
            hub.sql(f"UPDATE {table} SET v = 'hub again {j}.' WHERE id = {j}")
    net.wait_for("the table", lambda: drx.count("perche_table", f"name = '{table}'") == 1)
    for _ in range(2):
        drx.sync_wait(60)
    text = "".join(n.sql(f"SELECT v FROM {table}") + n.sql(f"SELECT a_value, b_value FROM perche_conflict WHERE tab = '{table}'")
                   + n.sql(f"SELECT image FROM perche_refused WHERE tab = '{table}'") for n in (hub, drx))
    found = {int(i) for i in re.findall(r"dreux (\d+)\.", text)}
    lost = [i for i in range(1, N + 1) if i not in found]
    if lost:
        history = sum("dreux" in n.run("history", table, str(lost[0])).stdout for n in (hub, drx))
        raise Failure(f"{len(lost)} of {N} values of the site are in no table, no conflict and not refused, at no node; "
                      f"histories that know the first: {history}; verify: equal {drx.json('verify')['equal']}; proven equal at {drx.status()['proven_equal_at']}")


for i in range(3):
    case(f"--scope site_id, a program of the site is in a transaction ({i})")(lambda i=i: story(f"busy{i}", "site_id", True))
for i in range(3):
    case(f"--scope site_id, the hub goes on writing ({i})")(lambda i=i: story(f"own{i}", "site_id", False))
for i in range(3):
    case(f"--scope all, the hub goes on writing ({i})")(lambda i=i: story(f"all{i}", "all", False))

perche_net.main(build, [net])
