#!/usr/bin/env python3
"""P1, P4, P5: what programs do to the schema of a replica while perched runs, with a comparison in between. A column that is away at the hub, also
when rows are deleted and put back meanwhile, empties nobody's; a table that is away undoes no deletion and takes no record from a school; a
constraint that replaces takes no row away; a row whose school did not come along is listed."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

net = perche_net.Network()
ROWS = 30


def build():
    global hub, site
    hub = net.add_hub()
    site = net.add_site("la-loupe")
    site.sync_wait()


def table(name):
    """A table of the site's, at both: k1 to k30 with a value in a and in b."""
    hub.sql(f"CREATE TABLE {name} (id TEXT NOT NULL PRIMARY KEY, site_id TEXT, a TEXT, b TEXT)")
    hub.perche("replicate", name, "--scope", "site_id", "--level", "P0")
    hub.sql(f"""WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
        INSERT INTO {name} SELECT 'k' || i, '{site.id}', 'a' || i, 'b' || i FROM n""")
    net.wait_for("the table and its rows", lambda: site.count(name) == ROWS)
    site.sync_wait()


def looked_at(node, name):
    """perched has seen what the table is now: its triggers are of that."""
    columns = node.sql(f"SELECT name FROM pragma_table_info('{name}')").split("\n")
    net.wait_for("a look", lambda: all(f'"{c}"' in node.sql(f"SELECT sql FROM sqlite_schema WHERE name = 'perche_{name}_delete'") for c in columns) and
                 node.sql("SELECT count(*) FROM perche_rescan") == "0")


def rename_column(node, name, old, new):
    node.sql(f"ALTER TABLE {name} RENAME COLUMN {old} TO {new}")
    looked_at(node, name)


def both(sql, expected):
    site.sync_wait()
    net.proven(site)
    expect("the hub", hub.sql(sql), expected)
    expect("the site", site.sql(sql), expected)


@case("a column that is away at the hub is emptied nowhere")
def _():
    table("t1")
    rename_column(hub, "t1", "a", "a_new")
    hub.sql("UPDATE t1 SET b = 'meanwhile' WHERE id = 'k7'")
    site.sync_wait()
    expect("values at the site", site.count("t1", "a IS NOT NULL"), ROWS)
    rename_column(hub, "t1", "a_new", "a")
    both("SELECT count(a) || ' ' || (SELECT b FROM t1 WHERE id = 'k7') FROM t1", f"{ROWS} meanwhile")


@case("nor when rows are deleted and put back by a person meanwhile")
def _():
    table("t2")
    rename_column(hub, "t2", "a", "a_new")
    hub.sql("DELETE FROM t2 WHERE id <> 'k1'")
    net.wait_for("the deletions are held", lambda: hub.sql("SELECT count(*) FROM perche_held") == str(ROWS - 1))
    site.sync_wait()
    expect("values at the site", site.count("t2", "a IS NOT NULL"), ROWS)
    hub.perche("held", "undo", "1")
    net.wait_for("the rows", lambda: hub.count("t2") == ROWS)
    rename_column(hub, "t2", "a_new", "a")
    both("SELECT count(a) FROM t2", str(ROWS))


@case("a row that was deleted before its table was away stays deleted")
def _():
    table("t3")
    site.stop()
    site.sql("DELETE FROM t3 WHERE id = 'k2'; ALTER TABLE t3 RENAME TO other")
    site.start()
    net.wait_for("perched misses the table", lambda: site.status()["tables_gone"] == 1)
    net.wait_for("nothing is captured", lambda: site.sql("SELECT count(*) FROM perche_capture") == "0")
    site.sql("ALTER TABLE other RENAME TO t3")
    both("SELECT count(*) || ' ' || sum(id = 'k2') FROM t3", f"{ROWS - 1} 0")


@case("a constraint that replaces lets nothing that comes take a row away")
def _():
    table("t4")
    hub.sql("BEGIN IMMEDIATE; CREATE TABLE anew (id TEXT NOT NULL PRIMARY KEY, site_id TEXT, a TEXT UNIQUE ON CONFLICT REPLACE, b TEXT);"
            " INSERT INTO anew SELECT * FROM t4; DROP TABLE t4; ALTER TABLE anew RENAME TO t4; COMMIT")
    looked_at(hub, "t4")
    site.sql("UPDATE t4 SET a = 'a2' WHERE id = 'k1'")
    net.wait_for("what the hub cannot take", lambda: hub.status()["parked"] == 1)
    expect("rows at the hub", hub.count("t4"), ROWS)
    site.sql("UPDATE t4 SET a = 'other' WHERE id = 'k2'")
    net.wait_for("it is taken", lambda: hub.status()["parked"] == 0, 60)
    both("SELECT count(*) || ' ' || (SELECT a FROM t4 WHERE id = 'k1') FROM t4", f"{ROWS} a2")


@case("a row whose school did not come along is listed with what it held")
def _():
    table("t5")
    rename_column(site, "t5", "site_id", "school")
    site.sql(f"INSERT INTO t5 (id, school, a) VALUES ('k99', '{site.id}', 'kept in the list')")
    net.wait_for("it is listed", lambda: site.status()["refused"] == 1)
    expect_in("its values", "kept in the list", site.perche("refused"))
    net.wait_for("it goes", lambda: site.count("t5", "id = 'k99'") == 0)
    rename_column(site, "t5", "school", "site_id")
    both("SELECT count(*) FROM t5", str(ROWS))


if __name__ == "__main__":
    perche_net.main(build, [net])
