#!/usr/bin/env python3
"""P5, 4.10: a column that the hub adds to a replicated table and registers (perche replicate, once more) is in step from then on."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case



def add(table, column, at_site_first=None):
    """In a network of its own: what goes wrong here stays wrong."""
    net = perche_net.Network()
    try:
        hub = net.add_hub()
        drx = net.add_site("dreux")
        drx.sync_wait()
        tried(net, hub, drx, table, column, at_site_first)
    finally:
        net.close()


def tried(net, hub, drx, table, column, at_site_first):
    hub.sql(f"CREATE TABLE {table} (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, name TEXT)")
    hub.perche("replicate", table, "--scope", "site_id", "--level", "P0")
    net.wait_for("the table", lambda: drx.count("perche_table", f"name = '{table}'") == 1)
    drx.sync_wait()
    drx.sql(f"INSERT INTO {table} VALUES ('1', '{drx.id}', 'one')")
    drx.sync_wait()
    if at_site_first:
        drx.sql(at_site_first)
    hub.sql(f"ALTER TABLE {table} ADD COLUMN {column}")
    hub.perche("replicate", table, "--scope", "site_id", "--level", "P0")
    net.wait_for("the column", lambda: drx.count(f"pragma_table_info('{table}')", "name = 'note'") == 1)
    drx.sync_wait()
    hub.sql(f"INSERT INTO {table} VALUES ('2', '{drx.id}', 'two', 'of the hub')")
    drx.sql(f"UPDATE {table} SET note = 'of the site' WHERE id = '1'")
    try:
        drx.sync_wait(8)
    except Failure:
        pass
    notes = "SELECT id || ' ' || coalesce(note, '-') FROM " + table + " ORDER BY id"
    at = {n.key: n.sql(notes).splitlines() for n in (hub, drx)}
    if at["hub"] != at["dreux"] or at["hub"] != ["1 of the site", "2 of the hub"]:
        where = {n.key: n.count("perche_column", f"tab = '{table}' AND col = 'note'") for n in (hub, drx)}
        raise Failure(f"the column is {at}; registered {where}; proven equal at {drx.status()['proven_equal_at']}, parked at the hub {hub.status()['parked']}")


@case("a column with a DEFAULT")
def _():
    add("a", "note TEXT DEFAULT '-'")


@case("a column without one")
def _():
    add("b", "note TEXT")


@case("a column whose DEFAULT has a semicolon")
def _():
    add("c", "note TEXT DEFAULT 'none; yet'")


@case("a column without DEFAULT that the site has already")
def _():
    add("d", "note TEXT", "ALTER TABLE d ADD COLUMN note TEXT")


perche_net.main(lambda: None, [])
