#!/usr/bin/env python3
"""A site that is silent beyond the limit and returns after the floor has passed it: nothing that was deleted comes to life, no
edit is lost.

A story, told line by line. The months that the site is away are put into what the hub remembers."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

net = perche_net.Network()
LEARNER = "01487832-4000-7000-8001-0000000000%02d"
DEAD = "SELECT count(*) FROM perche_row r JOIN perche_tab t ON t.num = r.tab WHERE t.name = 'learner_contact' AND gen % 2 = 0"


def tell(text):
    print("#   " + text)


def build():
    global hub, llp, chr_
    hub = net.add_hub(hub={"keep_deleted": "2s"})
    llp = net.add_site("la-loupe", sync={"interval": "1s"})
    chr_ = net.add_site("chartres", sync={"interval": "1s"})
    net.cohort("la-loupe")
    chr_.sync_wait()


def seen(name):
    return next(s for s in hub.json("sites")["sites"] if s["name"] == name)


def of(node, n):
    return node.sql(f"SELECT group_concat(value) FROM learner_contact WHERE learner_id = '{LEARNER % n}'")


@case("what was deleted is forgotten at the hub and at the sites once all have heard of it, and not before")
def _():
    net.proven()
    llp.sql(f"DELETE FROM learner_contact WHERE learner_id = '{LEARNER % 1}'")
    llp.sync_wait()
    expect("tombstones at the hub", hub.sql(DEAD) != "0", True)
    net.wait_for("the hub to forget", lambda: hub.sql(DEAD) == "0", 40)
    for name in ("Ada", "Grace", "Emmy"):  # it hears of the floor when there is something for it
        hub.sql(f"UPDATE learner SET call_name = '{name}' WHERE id = '{LEARNER % 4}'")
        llp.sync_wait()
        expect("the name", llp.sql(f"SELECT call_name FROM learner WHERE id = '{LEARNER % 4}'"), name)
        net.wait_for("the floor to pass it", lambda: hub.sql("SELECT floor = lsn FROM perche_node") == "1", 40)
    net.wait_for("La Loupe to forget", lambda: llp.sql(DEAD) == "0", 40)
    net.proven()


@case("a site silent for months is retired, and the floor passes it")
def _():
    tell(f"La Loupe goes away; there learner 2 has {of(llp, 2)}, learner 3 {of(llp, 3)}, learner 4 {of(llp, 4)}")
    llp.stop()
    hub.sql(f"DELETE FROM learner_contact WHERE learner_id IN ('{LEARNER % 2}', '{LEARNER % 3}')")
    tell("the hub deletes the contacts of learners 2 and 3")
    hub.sql(f"""UPDATE perche_peer SET contact_ms = contact_ms - 86400000 * 250
                WHERE site = (SELECT num FROM perche_name WHERE text = '{llp.id}')""")
    hub.perche("retire", "La Loupe")
    expect("retired", seen("La Loupe")["retired_at"] is not None, True)
    expect_in("perche sites", "retired", hub.perche("sites"))
    net.wait_for("the hub to forget", lambda: hub.sql(DEAD) == "0", 60)
    tell("the hub has retired it and has forgotten what was deleted")


@case("it returns: what was deleted stays deleted, the edit of such a row is asked about, its other edits and its new rows arrive")
def _():
    llp.sql(f"UPDATE learner_contact SET value = '06 99' WHERE learner_id = '{LEARNER % 3}'")
    llp.sql(f"UPDATE learner_contact SET value = '06 44' WHERE learner_id = '{LEARNER % 4}'")
    llp.sql(f"INSERT INTO learner_contact (learner_id, kind, value) VALUES ('{LEARNER % 5}', 'phone', '06 55')")
    tell("away, La Loupe edits the contacts of learners 3 and 4 and gives learner 5 another one")
    llp.start()
    llp.sync_wait()
    expect("retired", seen("La Loupe")["retired_at"], None)
    for node in (hub, llp):
        expect(f"contacts of learner 2, {node.key}", of(node, 2), "")
        expect(f"contacts of learner 3, {node.key}", of(node, 3), "")
        expect_in(f"contacts of learner 4, {node.key}", "06 44", of(node, 4))
        expect_in(f"contacts of learner 5, {node.key}", "06 55", of(node, 5))
        asked = [c for c in node.json("conflicts")["conflicts"] if "06 99" in (c["a"]["value"], c["b"]["value"])]
        expect(f"questions about it, {node.key}", len(asked) > 0, True)
        expect(f"the state of the first, {node.key}", asked[0]["state"], "open")
    net.proven()
    net.wait_for("the hub to note it", lambda: not seen("La Loupe")["returning"])
    tell("at both ends: nothing of learners 2 and 3, a question about 06 99, and the edits of 4 and 5")


@case("perche retire: only a site that stays silent, by a person")
def _():
    chr_.stop()
    hub.says_no("retire", "Chartres", words=["less than an hour"])
    hub.says_no("retire", "nobody", words=["invited"])


perche_net.main(build, [net])
