#!/usr/bin/env python3
"""The log says what somebody may have to look at: deletions that wait, questions, refusals; once each, and without a record."""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect

net = perche_net.Network()
ID = "0198f3a0-0000-7000-8000-%012d"
SECRETS = ("Martin", "Durand", "Duval", "Petit", "0198f3a0-0000-7000-8000", "By code")


def build():
    global hub, llp, line
    hub = net.add_hub()
    line = net.relay("la-loupe")
    llp = net.add_site("la-loupe", relay=line)
    llp.sql(f"""INSERT INTO learner (id, home_site_id, birth_family_name, call_name)
        SELECT printf('{ID}', value), (SELECT site_id FROM perche_self), 'Martin', 'Camille' FROM generate_series(1, 50)""")
    llp.sync_wait()
    net.wait_for("the line to be live", lambda: llp.status()["state"] == "live")


def events(node, mark, *names):
    """[(level, event, its fields)] since @mark, from notice up."""
    found = []
    for text in node.log_text(mark).splitlines():
        parts = re.match(r"\S+ (error|warn|notice) +(\S+) ?(.*)", text)
        if parts and (not names or parts[2] in names):
            found.append((parts[1], parts[2], dict(re.findall(r'(\w+)=("[^"]*"|\S+)', parts[3]))))
    return found


def one(node, mark, level, name, **fields):
    """Exactly one such event, with these fields."""
    found = events(node, mark, name)
    if len(found) != 1:
        raise Failure(f"{name} at {node.key}: expected one, found {found}")
    expect(f"the level of {name}", found[0][0], level)
    expect(f"{name} at {node.key}", {k: found[0][2].get(k) for k in fields}, fields)
    return found[0][2]


def held_is(n):
    net.wait_for(f"{n} deletions to wait", lambda: llp.status()["held"] == n)


@case("a mass deletion that waits, one that is undone, one that is released: one line each, with table, rows and number")
def _():
    for number, word, event in ((1, "undo", "deletion.undone"), (2, "release", "deletion.released")):
        mark = llp.log_size()
        llp.sql(f"DELETE FROM learner WHERE id <= '{ID % 30}'")
        held_is(30)
        one(llp, mark, "warn", "deletion.held", table="learner", rows="30", id=str(number))
        mark = llp.log_size()
        llp.kill()
        llp.start()  # it waits on, and is no news
        llp.sync_wait()
        expect("what a start says of it", events(llp, mark, "deletion.held"), [])
        llp.perche("held", word, str(number))
        one(llp, mark, "notice", event, table="learner", rows="30", id=str(number))
        llp.sync_wait()


@case("questions that are new: one line for each exchange, at both ends, with their number; their answers are no news")
def _():
    line.cut()
    net.wait_for("the line to be down", lambda: llp.status()["state"] in ("offline", "connecting"))
    marks = {n: n.log_size() for n in (hub, llp)}
    hub.sql(f"UPDATE learner SET birth_family_name = 'Durand' WHERE id IN ('{ID % 41}', '{ID % 42}', '{ID % 43}')")
    llp.sql(f"UPDATE learner SET birth_family_name = 'Duval' WHERE id IN ('{ID % 41}', '{ID % 42}', '{ID % 43}')")
    line.open()
    llp.sync_wait()
    asked = hub.json("conflicts")["conflicts"]
    expect("open questions", len(asked), 3)
    for node, mark in marks.items():
        said = one(node, mark, "notice", "conflict.opened", table="learner", kind="review", count="3")
        expect(f"{said['id']} is one of them", said["id"] in [c["id"] for c in asked], True)
        marks[node] = node.log_size()
    for c in asked:
        hub.perche("conflicts", "resolve", c["id"], "--take", "a", "--reason", "seen")
    llp.sync_wait()
    for node, mark in marks.items():
        expect(f"what an answer says at {node.key}", events(node, mark, "conflict.opened"), [])


@case("what a site may not write: one line at each end, with table, reason and number")
def _():
    marks = {n: n.log_size() for n in (hub, llp)}
    llp.sql("INSERT INTO learner (home_site_id, call_name) VALUES ('LLP', 'By code'), ('LLP', 'By code')")
    llp.sync_wait()
    reason = llp.json("refused")["refused"][0]["reason"]
    one(hub, marks[hub], "warn", "write.refused", table="learner", reason=reason, count="2", site=llp.id)
    said = one(llp, marks[llp], "warn", "write.refused", table="learner", reason=reason, count="2")
    expect("the site of a site's own", said.get("site"), None)


@case("ordinary work says nothing, and nothing that was said has a record in it")
def _():
    net.wait_for("the line to be live", lambda: llp.status()["state"] == "live")
    marks = {n: n.log_size() for n in (hub, llp)}
    for n in range(31, 51):
        llp.sql(f"UPDATE learner SET call_name = 'Petit' WHERE id = '{ID % n}'")
        hub.sql(f"UPDATE learner SET use_family_name = 'Petit' WHERE id = '{ID % n}'")
    llp.sync_wait()
    for node, mark in marks.items():
        expect(f"events at {node.key}", events(node, mark), [])
        for secret in SECRETS:
            expect(f"{secret} in the log of {node.key}", secret in node.log_text(0), False)
    net.proven()


if __name__ == "__main__":
    perche_net.main(build, [net])
