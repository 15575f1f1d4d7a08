#!/usr/bin/env python3
"""P5, P4: a key too long for the line is refused to the program that writes it. Where a program went past the triggers the row stays at its site
alone, and then nobody says "equal"; and a value too large that a program of the hub wrote is counted by the hub's `perche status`."""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

net = perche_net.Network()


def build():
    global hub, drx
    hub = net.add_hub()
    drx = net.add_site("dreux")
    hub.sql("CREATE TABLE file (id TEXT NOT NULL PRIMARY KEY, site_id TEXT, body TEXT)")
    hub.perche("replicate", "file", "--scope", "site_id", "--level", "P0")
    net.wait_for("the table", lambda: drx.count("perche_table", "name = 'file'") == 1)
    drx.sync_wait()


@case("a key of 200,000 letters: the program is told, and nothing is written")
def _():
    expect_in("what the program hears", "a key is 1,021 bytes long at most",
              drx.sql_fails(f"INSERT INTO file VALUES (printf('%.*c', 200000, 'k'), '{drx.id}', 'with a long key')"))
    expect("rows", drx.count("file"), 0)
    drx.sync_wait()


@case("the same past the triggers: it is listed, and nobody says that all is equal until it is gone")
def _():
    drx.sql(".dbconfig enable_trigger off", f"INSERT INTO file VALUES (printf('%.*c', 200000, 'k'), '{drx.id}', 'with a long key')")
    expect("equal, says verify", json.loads(drx.run("--json", "verify").stdout)["equal"], False)
    net.wait_for("it to be listed", lambda: drx.status()["kept_here"] == 1)
    listed = json.loads(drx.perche("--json", "refused"))["refused"][0]
    expect("listed", (listed["table"], listed["row"], listed["reason"], listed["image"][:21]), ("file", 200 * "k", "key", "a key of 200000 bytes"))
    said = drx.perche("status")
    expect_in("status", "1 row on this machine only", said)
    expect_in("status", "but for what is kept here", " ".join(said.split()))
    asked = drx.run("sync", "--wait", "--timeout", "20s")
    expect("exit status of sync", asked.returncode, 1)
    expect_in("sync", "rows that cannot travel", " ".join(asked.stderr.split()))
    drx.sql("DELETE FROM file WHERE length(id) = 200000")
    drx.sync_wait()
    expect("kept here", drx.status()["kept_here"], 0)


@case("a value of 9 MB, written at the hub")
def _():
    hub.sql(f"INSERT INTO file VALUES ('big', '{drx.id}', printf('%.*c', 9000000, 'v'))")
    net.wait_for("it to be refused", lambda: hub.count("perche_refused") == 1)
    expect("rows at the hub, emptied", hub.count("file", "id = 'big' AND body IS NULL"), 1)
    expect("refused, in the hub's status", hub.status()["refused"], 1)


perche_net.main(build, [net])
