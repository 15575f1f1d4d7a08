#!/usr/bin/env python3
"""A program deletes most of a table: the deletion waits for a person, and nothing else does."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

os.environ["COLUMNS"] = "160"  # a wide terminal: perche cuts what does not fit
net = perche_net.Network()
ID = "0198f3a0-0000-7000-8000-%012d"


def build():
    global hub, llp
    hub = net.add_hub()
    llp = net.add_site("la-loupe")
    llp.sql(f"""INSERT INTO learner (id, home_site_id, birth_family_name, call_name)
        SELECT printf('{ID}', value), (SELECT site_id FROM perche_self), 'Martin', 'Camille ' || value FROM generate_series(1, 50)""")
    llp.sync_wait()
    expect("learners at the hub", hub.count("learner"), 50)


def delete(node, low, high):
    node.sql(f"DELETE FROM learner WHERE id BETWEEN '{ID % low}' AND '{ID % high}'")


def call_name(node, n):
    return node.sql(f"SELECT call_name FROM learner WHERE id = '{ID % n}'")


def held(node):
    return [(h["id"], h["table"], h["rows"], h["of"], h["state"]) for h in node.json("held")["held"]]


@case("40 of 50 learners deleted by plain SQL: the hub keeps them, status says what is held and since when, both are proven equal")
def _():
    expect("what is held before", held(llp), [])
    expect("what perche held says of nothing", llp.run("held").stderr, "No deletion waits for a person.\n")
    delete(llp, 1, 40)
    net.wait_for("the deletion to be held", lambda: llp.status()["held"] == 40)
    expect("learners at the site", llp.count("learner"), 10)
    net.proven()
    expect("learners at the hub", hub.count("learner"), 50)
    status = llp.status()
    expect("rows to send", status["pending"], 0)
    expect("since when", bool(status["held_since"]), True)
    said = llp.perche("status")
    for word in ("40 deletions wait for a person, since ", "perche held", "proven equal with the hub"):
        expect_in("perche status", word, said)
    expect("what is held", held(llp), [(1, "learner", 40, 50, "waiting")])
    expect("what is held at the hub", held(hub), [])
    for word in ("learner", "40 of 50", "waiting"):
        expect_in("perche held", word, llp.perche("held"))
    said = llp.perche("held", "show", "1")
    for word in (ID % 1, ID % 40, "call_name Camille 7", "birth_family_name Martin"):
        expect_in("perche held show", word, said)
    expect("rows in JSON", len(llp.json("held", "show", "1")["entries"]), 40)


@case("meanwhile everything else flows, both ways, and what the hub changes in a held row is merged unseen")
def _():
    llp.sql(f"UPDATE learner SET call_name = 'Anna' WHERE id = '{ID % 45}'")
    hub.sql(f"UPDATE learner SET call_name = 'of the hub' WHERE id = '{ID % 7}'",
            f"UPDATE learner SET call_name = 'Zoé' WHERE id = '{ID % 46}'")
    llp.sync_wait()
    expect("an edit of the site at the hub", call_name(hub, 45), "Anna")
    expect("an edit of the hub at the site", call_name(llp, 46), "Zoé")
    expect("a held row at the site", call_name(llp, 7), "")
    expect("learners at both", (llp.count("learner"), hub.count("learner")), (10, 50))
    expect_in("the held row", "of the hub", llp.perche("held", "show", "1"))
    net.proven()


@case("a wrong or missing number is refused with what to do")
def _():
    llp.says_no("held", "undo", "9", words=["perche held"])
    for args in (("release",), ("undo", "x"), ("show", "1", "2")):
        llp.perche("held", *args, code=2)
    expect("what is held", held(llp), [(1, "learner", 40, 50, "waiting")])


@case("over a kill and a restart it goes on waiting; undo brings all back, with the hub's edit, and both are proven equal")
def _():
    llp.kill()
    llp.start()
    llp.sync_wait()
    expect("what is held", held(llp), [(1, "learner", 40, 50, "waiting")])
    expect_in("what undo says", "40 rows of learner back as before", llp.run("held", "undo", "1").stderr)
    expect("learners at the site", llp.count("learner"), 50)
    expect("the row that the hub changed", call_name(llp, 7), "of the hub")
    expect("what is held", (held(llp), llp.status()["held"]), ([], 0))
    net.proven()
    expect("learners that differ", hub.sql("SELECT * FROM learner ORDER BY id") == llp.sql("SELECT * FROM learner ORDER BY id"), True)


@case("release deletes them everywhere")
def _():
    delete(llp, 1, 40)
    net.wait_for("the deletion to be held", lambda: llp.status()["held"] == 40)
    expect("its number is a new one", held(llp), [(2, "learner", 40, 50, "waiting")])
    answer = llp.json("held", "release", "2")
    expect("what release answers", (answer["table"], answer["rows"], answer["left"], answer["refused"]), ("learner", 40, 0, 0))
    net.proven()
    expect("learners at both", (llp.count("learner"), hub.count("learner")), (10, 10))
    expect("conflicts", hub.json("conflicts", "--all")["conflicts"], [])


@case("the hub's own program is held in the same way; a key that it inserts again waits no longer")
def _():
    site = hub.sql("SELECT home_site_id FROM learner LIMIT 1")
    hub.sql(f"""INSERT INTO learner (id, home_site_id, birth_family_name)
        SELECT printf('{ID}', value), '{site}', 'Petit' FROM generate_series(101, 130)""")
    llp.sync_wait()
    expect("learners at the site", llp.count("learner"), 40)
    delete(hub, 101, 130)
    net.wait_for("the deletion to be held", lambda: hub.status()["held"] == 30)
    llp.sync_wait()
    expect("verify at both", (llp.json("verify")["equal"], hub.json("verify")["equal"]), (True, True))
    expect("learners at both", (llp.count("learner"), hub.count("learner")), (40, 10))
    hub.sql(f"INSERT INTO learner (id, home_site_id, birth_family_name) VALUES ('{ID % 101}', '{site}', 'Grand')")
    net.wait_for("one row to wait no longer", lambda: hub.status()["held"] == 29)
    llp.sync_wait()
    expect("its name at the site", llp.sql(f"SELECT birth_family_name FROM learner WHERE id = '{ID % 101}'"), "Grand")
    hub.perche("held", "release", "1")
    net.proven()
    expect("learners at both", (llp.count("learner"), hub.count("learner")), (11, 11))


if __name__ == "__main__":
    perche_net.main(build, [net])
