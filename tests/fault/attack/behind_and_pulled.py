#!/usr/bin/env python3
"""P4 and operations.md, "What was changed behind Perche's back (triggers dropped or switched off, the file edited elsewhere) becomes an edit of
this node like any other": also when a change of the other end for the same row comes before anybody has compared. The edit has to be
in a table, a conflict, a history or refused somewhere."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case, expect

net = perche_net.Network()
ID = "01487832-4000-7000-8005-0000000001%02d"
OFF = ".dbconfig enable_trigger off"


def build():
    global hub, drx
    hub = net.add_hub()
    drx = net.add_site("dreux")
    for i in range(1, 9):
        drx.sql(f"INSERT INTO project (id, site_id, title, kind) VALUES ('{ID % i}', '{drx.id}', 'base {i}.', 'CLIENT')")
    drx.sync_wait()


def story(n, at, other, change):
    word = f"behind {n}."
    at.sql(OFF, f"UPDATE project SET title = '{word}' WHERE id = '{ID % n}'")
    other.sql(change % (ID % n))
    drx.sync_wait()
    for node in (hub, drx):
        node.run("verify")
    for _ in range(2):
        drx.sync_wait()
    text = "".join(x.sql("SELECT title FROM project") + x.sql("SELECT a_value, b_value FROM perche_conflict") + x.sql("SELECT image FROM perche_refused")
                   + x.run("history", "project", ID % n).stdout for x in (hub, drx))
    if word not in text:
        raise Failure(f"{word!r}, committed at {at.key}, is in no table, conflict, history and not refused; the row is now "
                      f"{[x.sql(f'''SELECT title, client_name FROM project WHERE id = '{ID % n}' ''') for x in (hub, drx)]}")


@case("control: nobody else writes the row")
def _():
    story(1, drx, hub, "SELECT '%s'")


SAME = "UPDATE project SET title = 'other' WHERE id = '%s'"
COLUMN = "UPDATE project SET client_name = 'other' WHERE id = '%s'"
case("at the site; the hub writes another column of the row")(lambda: story(2, drx, hub, COLUMN))
case("at the site; the hub writes the same column")(lambda: story(3, drx, hub, SAME))
case("at the site; the hub deletes the row")(lambda: story(4, drx, hub, "DELETE FROM project WHERE id = '%s'"))
case("at the hub; the site writes another column of the row")(lambda: story(5, hub, drx, COLUMN))
case("at the hub; the site writes the same column")(lambda: story(6, hub, drx, SAME))
case("at the hub; the site deletes the row")(lambda: story(7, hub, drx, "DELETE FROM project WHERE id = '%s'"))



@case("at the site, perched down, a trigger dropped; the hub writes another column; perched starts")
def _():
    drx.stop()
    drx.sql(f"DROP TRIGGER perche_project_update; UPDATE project SET title = 'dropped 8.' WHERE id = '{ID % 8}'")
    hub.sql(COLUMN % (ID % 8))
    drx.start()
    for _ in range(2):
        drx.sync_wait()
    drx.run("verify")
    drx.sync_wait()
    expect("the row at hub and site", [x.sql(f"SELECT title FROM project WHERE id = '{ID % 8}'") for x in (hub, drx)], ["dropped 8."] * 2)


perche_net.main(build, [net])
