#!/usr/bin/env python3
"""P4, P6: a copy of a replica that holds what its daemon had not yet looked at (written while it was down) is put back after
the same rows were written on, sent and acknowledged. What was acknowledged is current, in a history or in a conflict."""
import os
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case

ID = "01487832-4000-7000-8005-0000000001%02d"


def insert(site, n, title):
    return f"INSERT INTO project (id, site_id, title, kind) VALUES ('{ID % n}', '{site.id}', '{title}', 'CLIENT')"


def story(at_hub, first, second, insert_first=True, behind_s=0):
    """@first was in the copy, @second came later: is @second kept? @behind_s: the machine's clock was set back before that."""
    net = perche_net.Network()
    try:
        hub = net.add_hub()
        sites = [net.add_site("dreux"), net.add_site("la-loupe")]
        for s in sites:
            s.sync_wait()
        drx = sites[0]
        node = hub if at_hub else drx
        if not insert_first:
            node.sql(insert(drx, 1, "base"))
            drx.sync_wait()
        node.stop()
        node.ahead_s = -behind_s
        update = f"UPDATE project SET title = '%s' WHERE id = '{ID % 1}'"
        node.sql(insert(drx, 1, first) if insert_first else update % first)
        copy = os.path.join(net.folder, "copy")
        node.sql(f".backup {copy}")
        node.sql(update % second)
        node.start()
        drx.sync_wait()
        if drx.sql("SELECT title FROM project") != second or hub.sql("SELECT title FROM project") != second:
            raise Failure("the second value has not arrived")
        node.stop()
        for end in ("", "-wal", "-shm"):
            if os.path.exists(node.db + end):
                os.unlink(node.db + end)
        shutil.copy(copy, node.db)
        node.start()
        if at_hub:
            net.wait_for("the sites to have shown what they have", lambda: all(
                s["state"] == "live" and s["recovery"] is None for s in hub.json("sites")["sites"]), seconds=60)
        for s in sites:
            s.sync_wait()
        title = {n.key: n.sql("SELECT title FROM project") for n in (hub, drx)}
        kept = [n.key for n in (hub, drx) if second in n.perche("history", "project", ID % 1) + n.sql("SELECT * FROM perche_conflict")]
        if second not in title.values() and not kept:
            raise Failure(f"{second!r}, which both had, is in no table, history or conflict; now {title}")
    finally:
        net.close()


for hub_or_site in ("hub", "site"):
    for behind_s in (0, 3600):
        for first, second in (("1 older", "2 newer"), ("2 older", "1 newer")):
            def run(hub_or_site=hub_or_site, behind_s=behind_s, first=first, second=second):
                story(hub_or_site == "hub", first, second, True, behind_s)
            case(f"the {hub_or_site}, whose clock is {behind_s} s behind, is put back to an unharvested '{first}', after '{second}' was acknowledged")(run)

perche_net.main(lambda: None, [])
