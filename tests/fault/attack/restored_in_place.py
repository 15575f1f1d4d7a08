#!/usr/bin/env python3
"""P1, P2, P4: somebody writes an older copy into replica.db while perched runs (.restore of the shell, backup() of a program), which no look at
the file's name or inode shows. The daemon ends and says why; started again it takes the file as one that was put back: what had been acknowledged
is there, and a hub's value is not overwritten without a word."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

net = perche_net.Network()


def build():
    global hub, site
    hub = net.add_hub()
    site = net.add_site("la-loupe")
    insert(site, "one")
    insert(site, "two")
    site.sync_wait()


def insert(node, title):
    node.sql(f"INSERT INTO project (site_id, title, kind) VALUES ('{site.id}', '{title}', 'CLIENT')")


def rename(node, old, new):
    node.sql(f"UPDATE project SET title = '{new}' WHERE title = '{old}'")


def titles(node):
    return node.sql("SELECT group_concat(title) FROM (SELECT title FROM project ORDER BY title)")


def copy_of(node):
    path = os.path.join(net.folder, node.key + ".copy")
    node.sql(f".backup {path}")
    return path


def restore(node, path, then):
    """And a program goes on writing; perched ends by itself."""
    node.sql(f".restore {path}")
    then()
    net.wait_for(f"the end of perched of {node.key}", lambda: not node.running())
    expect_in("the log says why", "written into it", node.log_tail(3))
    node.process = None
    node.start() # as systemd does
    net.wait_for("the line", lambda: site.status()["state"] == "live")
    site.sync_wait()
    site.sync_wait()
    net.proven(site)


@case("at a site: what it lacks comes again, and what the hub wrote meanwhile is asked about")
def _():
    old = copy_of(site)
    rename(site, "one", "one, later")
    insert(site, "three")
    site.sync_wait()
    rename(hub, "two", "two, by the hub")
    site.sync_wait()
    restore(site, old, lambda: rename(site, "two", "two, by the site"))
    expect("at the hub", titles(hub), "one, later,three,two, by the site")
    expect("here", titles(site), titles(hub))
    expect("kept", hub.sql("SELECT a_value || '/' || b_value FROM perche_conflict WHERE col = 'title'"), "two, by the hub/two, by the site")


@case("at the hub: what it had acknowledged comes back from the site")
def _():
    old = copy_of(hub)
    insert(site, "four")
    rename(site, "three", "three, later")
    site.sync_wait()
    restore(hub, old, lambda: hub.sql("INSERT INTO organisation (name) VALUES ('x')"))
    expect("at the hub", titles(hub), "four,one, later,three, later,two, by the site")
    expect("and its own", site.sql("SELECT count(*) FROM organisation WHERE name = 'x'"), "1")


if __name__ == "__main__":
    perche_net.main(build, [net])
