#!/usr/bin/env python3
"""P4, P7, P8: a write that the hub refuses is listed at its site with its values. Each write here has to be found somewhere:
in a table, in the list of refused ones, in a history or in a conflict, at any node."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()

ORG = "01487832-4000-7000-8006-0000000001%02d"
PROJECT = "01487832-4000-7000-8005-0000000001%02d"


def build():
    global hub, chr_, llp
    hub = net.add_hub()
    chr_ = net.add_site("chartres")
    llp = net.add_site("la-loupe")
    for i in range(1, 9):
        hub.sql(f"INSERT INTO organisation (id, name, siret) VALUES ('{ORG % i}', 'base', '{i}')")
        llp.sql(f"INSERT INTO project (id, site_id, title, kind) VALUES ('{PROJECT % i}', '{llp.id}', 'of La Loupe', 'CLIENT')")
    hub.sql("CREATE TABLE file (id TEXT NOT NULL PRIMARY KEY, note TEXT, body BLOB)")
    hub.sql("CREATE TABLE measure (at NUMERIC NOT NULL PRIMARY KEY, note TEXT)")
    hub.sql("CREATE TABLE survey (id TEXT NOT NULL PRIMARY KEY, " + ", ".join(f"answer_{i:02d}_{'x' * 50} TEXT" for i in range(60)) + ")")
    for table in ("file", "measure", "survey"):
        hub.perche("replicate", table, "--scope", "all", "--level", "P0")
    for site in (llp, chr_):
        site.sync_wait()
        net.wait_for("the tables", lambda site=site: site.count("perche_table", "name IN ('file', 'measure', 'survey')") == 3)
        site.sync_wait()


def listed():
    return chr_.sql("SELECT tab || ' ' || key || ' ' || columns || ' ' || coalesce(image, '') FROM perche_refused ORDER BY n")


def kept(value, table, key):
    """Where @value of that record still is."""
    places = [("refused", listed())]
    for node in net.nodes.values():
        places.append((f"{table} at {node.key}", node.sql(f"SELECT * FROM {table}")))
        places.append((f"history at {node.key}", node.run("--json", "history", table, key).stdout))
        places.append((f"conflicts of {node.key}", node.run("--json", "conflicts", "--all").stdout))
    return [name for name, text in places if value in text]


def wait_refused(n):
    net.wait_for("the refusal", lambda: chr_.count("perche_refused") > n)


@case("a row that was refused and is written again before it was put back: the second value is listed")
def _():
    lost = []
    for i in range(1, 9):
        before = chr_.count("perche_refused")
        db = chr_.connect()
        db.execute("INSERT INTO project (id, site_id, title, kind) VALUES (?, ?, ?, 'CLIENT')", (PROJECT % i, chr_.id, f"first {i}."))
        while db.execute("SELECT count(*) FROM perche_refused").fetchone()[0] == before:
            pass  # the window is some 100 ms on a quick line, days on a line that is cut then
        wrote = db.execute("UPDATE project SET title = ? WHERE id = ? AND site_id = ?", (f"second {i}.", PROJECT % i, chr_.id)).rowcount
        db.close()
        chr_.sync_wait()
        if wrote and not kept(f"second {i}.", "project", PROJECT % i):
            lost.append(i)
    expect("second values that are nowhere", lost, [])


@case("the same of a value in a row of the hub's")
def _():
    lost = []
    db = chr_.connect()
    for i in range(8):
        before = chr_.count("perche_refused")
        db.execute("UPDATE organisation SET name = ? WHERE id = ?", (f"one {i}.", ORG % 8))
        while db.execute("SELECT count(*) FROM perche_refused").fetchone()[0] == before:
            pass
        db.execute("UPDATE organisation SET name = ? WHERE id = ?", (f"two {i}.", ORG % 8))
        chr_.sync_wait()
        if not kept(f"two {i}.", "organisation", ORG % 8):
            lost.append(i)
    db.close()
    expect("second values that are nowhere", lost, [])


@case("one write of a cell that the hub wrote later, before the two met: the refused value is listed")
def _():
    chr_.stop()
    chr_.sql(f"UPDATE organisation SET name = 'site, earlier' WHERE id = '{ORG % 1}'")
    chr_.sql(f"UPDATE organisation SET name = 'site, row deleted' WHERE id = '{ORG % 2}'")
    chr_.sql(f"INSERT OR REPLACE INTO organisation (id, name, siret) VALUES ('{ORG % 3}', 'site, replaced', '3')")
    hub.sql(f"UPDATE organisation SET name = 'hub, later' WHERE id = '{ORG % 1}'")
    hub.sql(f"DELETE FROM organisation WHERE id = '{ORG % 2}'")
    hub.sql(f"DELETE FROM organisation WHERE id = '{ORG % 3}'")
    hub.sql(f"INSERT INTO organisation (id, name, siret) VALUES ('{ORG % 3}', 'hub, replaced', '3')")
    chr_.start()
    chr_.sync_wait()
    expect("values that are nowhere", [v for i, v in ((1, "site, earlier"), (2, "site, row deleted"), (3, "site, replaced"))
                                       if not kept(v, "organisation", ORG % i)], [])


@case("a BLOB that was refused is listed")
def _():
    chr_.sql("INSERT INTO file VALUES ('f1', 'a note', x'C0FFEE')")
    chr_.sync_wait()
    expect_in("the list", "a note", listed())
    if not (kept("C0FFEE", "file", "f1") or kept("c0ffee", "file", "f1")):
        raise Failure(f"the BLOB is nowhere; the list says {listed().splitlines()[-1]}")


@case("a refused row whose key is a number with a point is listed with its key")
def _():
    chr_.sql("INSERT INTO measure VALUES (36.75, 'a fever')")
    chr_.sync_wait()
    expect_in("the entry", "36.75", listed().splitlines()[-1])


@case("a refused row of a table with long column names is listed")
def _():
    before = chr_.count("perche_refused")
    chr_.sql("INSERT INTO survey VALUES ('s1', " + ", ".join(f"'reply {i}'" for i in range(60)) + ")")
    chr_.sync_wait()
    expect("rows of it at the site, put back", chr_.count("survey"), 0)
    if chr_.count("perche_refused") == before:
        raise Failure("60 values were taken away, and nothing is listed")


@case("a refused write of a column with an apostrophe (l'outil) sets one row aside, and all else goes on")
def _():
    hub.sql("""CREATE TABLE loan (id TEXT NOT NULL PRIMARY KEY, "l'outil" TEXT); INSERT INTO loan VALUES ('1', 'a saw')""")
    hub.perche("replicate", "loan", "--scope", "all", "--level", "P0")
    net.wait_for("the table", lambda: chr_.count("perche_table", "name = 'loan'") == 1)
    chr_.sync_wait()
    chr_.sql("""UPDATE loan SET "l'outil" = 'a plane'""")
    net.wait_for("the site to push it", lambda: chr_.status()["pending"] == 0)
    hub.sql("INSERT INTO organisation (name) VALUES ('after the refusal')")
    try:
        chr_.sync_wait(10)
    except Failure as e:
        raise Failure(f"nothing comes in any more: {e}; {chr_.log_tail(1)}") from None
    expect("what the hub wrote later, at the site", chr_.count("organisation", "name = 'after the refusal'"), 1)
    expect_in("the list", "a plane", listed())


perche_net.main(build, [net])
