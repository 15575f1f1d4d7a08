#!/usr/bin/env python3
"""P1, P8: a hub is put back to a copy from before one of its sites was invited. It knows neither the site nor its key, and the
site holds everything: there is a way back, which is told to whoever looks for it, and nothing of the site's is lost."""
import os
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

PROJECT = "INSERT INTO project (site_id, title, kind) VALUES ('%s', '%s', 'CLIENT')"


def put_back(node, path):
    node.stop()
    for end in ("", "-wal", "-shm"):
        if os.path.exists(node.db + end):
            os.unlink(node.db + end)
    shutil.copy(path, node.db)
    node.start()


def way_back(before, invited_first):
    """@before: the sites that are in the copy. @invited_first: the operator does what is obvious, and invites by name alone."""
    net = perche_net.Network()
    try:
        hub = net.add_hub()
        others = [net.add_site(name) for name in before]
        for s in others:
            s.sync_wait()
        copy = os.path.join(net.folder, "copy")
        hub.sql(f".backup {copy}")
        drx = net.add_site("dreux")
        drx.sync_wait()
        drx.sql(PROJECT % (drx.id, "acknowledged"))
        drx.sync_wait()
        hub.sql("INSERT INTO organisation (name) VALUES ('of the hub')")
        drx.sync_wait()
        put_back(hub, copy)
        expect("what the hub has of it", hub.count("project"), 0)
        net.wait_for("the site to hear that it is not known", lambda: drx.status()["state"] == "refused")
        drx.sql(PROJECT % (drx.id, "written since"))
        own = drx.id
        expect_in("perche status", f"--site {own}", drx.perche("status"))
        if invited_first:
            line = net.invite("dreux")
            drx.id = own
            drx.says_no("join", line, words=[f"perche invite NAME --site {own}"])
            hub.sql("INSERT INTO project (site_id, title, kind) SELECT id, 'of the hub', 'CLIENT' FROM site WHERE code = 'DRX'")
        line = net.invite("dreux", "--site", own)
        expect("sites of that code at the hub", hub.sql("SELECT id FROM site WHERE code = 'DRX'"), own)
        drx.perche("join", "-", stdin=line + "\n")
        net.wait_for("the hub to be whole", lambda: hub.count("project", "title <> 'of the hub'") == 2 and not any(
            s["recovery"] for s in hub.json("sites")["sites"]), seconds=60)
        net.proven()
        for node in (hub, drx):
            expect(f"projects at {node.key}", node.sql("SELECT title FROM project WHERE title <> 'of the hub' ORDER BY 1"), "acknowledged\nwritten since")
            expect(f"what the hub had written, at {node.key}", node.count("organisation", "name = 'of the hub'"), 1)
            if invited_first:
                expect(f"what named the site as it was first invited, at {node.key}", node.sql("SELECT site_id FROM project WHERE title = 'of the hub'"), own)
        expect("its id", drx.status()["id"], own)
        expect("conflicts", hub.status()["conflicts_open"], 0)
        hub.says_no("invite", "Dreux", "--site", own, words=["living node"])
    finally:
        net.close()


@case("its only site comes back with a new invitation for its own id")
def _():
    way_back([], False)


@case("also when it was invited anew by its name first")
def _():
    way_back([], True)


@case("one of two sites comes back, when the other is in the copy")
def _():
    way_back(["chartres"], False)


perche_net.main(lambda: None, [])
