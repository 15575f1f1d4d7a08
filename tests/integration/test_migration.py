#!/usr/bin/env python3
"""The hub adds tables and columns: sites apply them by themselves, and what came too early or cannot be placed is kept."""
import contextlib
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()


def build():
    global hub, llp, chr_, drx
    hub = net.add_hub()
    llp, chr_, drx = (net.add_site(key) for key in net.SITES)
    for site in (llp, chr_, drx):
        site.sync_wait()


def registered(site, table):
    return site.sql(f"SELECT rule FROM perche_table WHERE name = '{table}'")


def get(*sites):
    for site in sites or (llp, chr_, drx):
        site.sync_wait()


@case("a table of the hub's, with the rows that it has, is at every site that is live, and its later rows too")
def _():
    hub.sql("""CREATE TABLE opening_hours (id TEXT NOT NULL PRIMARY KEY, day TEXT NOT NULL, opens TEXT, minutes INTEGER DEFAULT 210, note ANY) STRICT, WITHOUT ROWID;
        INSERT INTO opening_hours VALUES ('mon', 'Monday', '09:00', 480, x'00ff'), ('tue', 'Tuesday', NULL, 0, 1.5)""")
    hub.perche("replicate", "opening_hours", "--scope", "all", "--level", "P0")
    for site in (llp, chr_, drx):
        net.wait_for(f"the table at {site.key}", lambda site=site: registered(site, "opening_hours") == "*")
    hub.sql("INSERT INTO opening_hours (id, day) VALUES ('wed', 'Wednesday')")
    get()
    for site in (llp, chr_, drx):
        expect(f"its declaration at {site.key}", site.sql("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('opening_hours')"),
               hub.sql("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('opening_hours')"))
        expect(f"its rows at {site.key}", site.sql("SELECT id, day, opens, minutes, quote(note) FROM opening_hours"),
               "mon|Monday|09:00|480|X'00FF'\ntue|Tuesday||0|1.5\nwed|Wednesday||210|NULL")
        expect(f"parked at {site.key}", site.status()["parked"], 0)
    net.proven()


@case("a table of --scope all is the hub's to write: a site's row is refused and taken back")
def _():
    llp.sql("INSERT INTO opening_hours (id, day) VALUES ('thu', 'Thursday')")
    get()
    expect("the row at the hub", hub.count("opening_hours", "id = 'thu'"), 0)
    expect("the row at La Loupe", llp.count("opening_hours", "id = 'thu'"), 0)
    net.proven()


@case("a table of --scope COLUMN: each site has and writes its own rows, the hub all")
def _():
    hub.sql(f"""CREATE TABLE equipment (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, what TEXT, bought TEXT);
        INSERT INTO equipment VALUES ('e1', '{llp.id}', 'projector', '2014-09-01'), ('e2', '{chr_.id}', 'printer', '2014-10-01')""")
    hub.perche("replicate", "equipment", "--scope", "site_id")
    for site in (llp, chr_, drx):
        net.wait_for(f"the table at {site.key}", lambda site=site: registered(site, "equipment") == "own site_id")
    get()
    expect("rows at La Loupe", llp.sql("SELECT id FROM equipment"), "e1")
    expect("rows at Chartres", chr_.sql("SELECT id FROM equipment"), "e2")
    expect("rows at Dreux", drx.sql("SELECT id FROM equipment"), "")
    drx.sql("INSERT INTO equipment (id, site_id, what) SELECT 'e3', site_id, 'desk' FROM perche_self; ")
    llp.sql("UPDATE equipment SET what = 'beamer'; DELETE FROM opening_hours WHERE 0")
    get()
    expect("rows at the hub", hub.sql("SELECT id, what FROM equipment ORDER BY 1"), "e1|beamer\ne2|printer\ne3|desk")
    net.proven()


@case("a table of --scope hub: its rows are at no site")
def _():
    hub.sql("CREATE TABLE ledger (id TEXT NOT NULL PRIMARY KEY, amount INTEGER); INSERT INTO ledger VALUES ('l1', 100)")
    hub.perche("replicate", "ledger", "--scope", "hub")
    get()
    for site in (llp, chr_, drx):
        if site.sql("SELECT count(*) FROM sqlite_schema WHERE name = 'ledger'") == "1":
            expect(f"rows at {site.key}", site.count("ledger"), 0)
    net.proven()


@case("a site that was away applies what came meanwhile when it is back, and a new site has all from the start")
def _():
    chr_.stop()
    hub.sql("CREATE TABLE first (id TEXT NOT NULL PRIMARY KEY, v TEXT); CREATE TABLE second (id TEXT NOT NULL PRIMARY KEY, v TEXT)")
    for table in ("first", "second"):
        hub.perche("replicate", table, "--scope", "all")
        hub.sql(f"INSERT INTO {table} VALUES ('a', '{table}')")
    chr_.start()
    get()
    late = net.add("late", name="Late").start()
    late.perche("join", "-", stdin=net.invite("late") + "\n")
    get(late)
    for site in (llp, chr_, drx, late):
        expect(f"rows at {site.key}", site.sql("SELECT v FROM first UNION ALL SELECT v FROM second"), "first\nsecond")
    net.proven(late, chr_)


@case("a hub that is killed between a migration and its signature signs it at its start")
def _():
    hub.sql("CREATE TABLE third (id TEXT NOT NULL PRIMARY KEY, v TEXT); INSERT INTO third VALUES ('a', 'third')")
    chr_.stop()
    hub.perche("replicate", "third", "--scope", "all")
    hub.kill()
    hub.sql("UPDATE perche_migration SET signature = NULL WHERE number = (SELECT max(number) FROM perche_migration)")
    hub.start()
    chr_.start()
    net.wait_for("the table at Chartres", lambda: registered(chr_, "third") == "*")
    get()
    expect("its rows at Chartres", chr_.sql("SELECT v FROM third"), "third")
    net.proven(chr_)


@case("a migration that no hub has signed is not applied: only the hub replicates tables")
def _():
    llp.sql("CREATE TABLE mine (id TEXT NOT NULL PRIMARY KEY, v TEXT)")
    llp.says_no("replicate", "mine", "--scope", "all", words=["hub"])
    net.proven(llp)


# Each of these in a network of its own: one that is off would keep the others from being proven.

networks = [net]


@contextlib.contextmanager
def small_network():
    """A hub and two sites with a table of --scope all, in step."""
    small = perche_net.Network()
    networks.append(small)
    hub = small.add_hub()
    hub.sql("CREATE TABLE opening_hours (id TEXT NOT NULL PRIMARY KEY, day TEXT NOT NULL, opens TEXT); INSERT INTO opening_hours VALUES ('mon', 'Monday', '09:00'), ('tue', 'Tuesday', NULL)")
    hub.perche("replicate", "opening_hours", "--scope", "all", "--level", "P0")
    sites = [small.add_site("la-loupe"), small.add_site("dreux")]
    get(*sites)
    yield small, hub, *sites
    networks.remove(small)
    small.close()


@case("a column that the hub adds is at every site, with its default, and then with what is written in it; the rows are not sent again")
def _():
    with small_network() as (small, hub, llp, drx):
        sent = {site.key: site.status()["rows_in"] for site in (llp, drx)}
        hub.sql("ALTER TABLE opening_hours ADD COLUMN closes TEXT DEFAULT '17:00'")
        hub.perche("replicate", "opening_hours", "--scope", "all", "--level", "P0")
        for site in (llp, drx):
            small.wait_for(f"the column at {site.key}", lambda site=site: site.sql(
                "SELECT count(*) FROM pragma_table_info('opening_hours') WHERE name = 'closes'") == "1")
        get(llp, drx)
        for site in (llp, drx):
            expect(f"rows sent to {site.key} for it", site.status()["rows_in"] - sent[site.key], 0)
        hub.sql("UPDATE opening_hours SET closes = '18:30' WHERE id = 'mon'")
        get(llp, drx)
        for site in (llp, drx):
            expect(f"the column at {site.key}", site.sql("SELECT id, closes FROM opening_hours ORDER BY id"), "mon|18:30\ntue|17:00")
        small.proven()


@case("a column that the hub adds without saying so to perche: nothing that was in step falls out of it")
def _():
    with small_network() as (small, hub, llp, drx):
        hub.sql("ALTER TABLE opening_hours ADD COLUMN closes TEXT")
        get(llp, drx)
        hub.sql("INSERT INTO opening_hours (id, day, closes) VALUES ('wed', 'Wednesday', '17:00'); UPDATE network SET kind = 'x'")
        for site in (llp, drx):
            small.wait_for(f"all else at {site.key}", lambda site=site: site.sql("SELECT kind FROM network") == "x")
            small.wait_for(f"what is known of the row at {site.key}", lambda site=site: site.sql("SELECT day FROM opening_hours WHERE id = 'wed'") == "Wednesday")
            site.sync_wait()


@case("a column that a program adds to a replicated table at its own site stays there, and capture goes on")
def _():
    with small_network() as (small, hub, llp, drx):
        hub.sql(f"CREATE TABLE equipment (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, what TEXT, bought TEXT); INSERT INTO equipment VALUES ('e3', '{drx.id}', 'desk', '2014-09-01')")
        hub.perche("replicate", "equipment", "--scope", "site_id")
        small.wait_for("the table at Dreux", lambda: registered(drx, "equipment") == "own site_id" and drx.count("equipment") == 1)
        drx.sql("ALTER TABLE equipment ADD COLUMN shelf TEXT; UPDATE equipment SET what = 'table', shelf = 'B2' WHERE id = 'e3'")
        get(drx)
        expect("the edit at the hub", hub.sql("SELECT what FROM equipment"), "table")
        hub.sql("UPDATE equipment SET bought = '2015-02-02'")
        get(drx, llp)
        expect("the row at Dreux", drx.sql("SELECT what, bought, shelf FROM equipment"), "table|2015-02-02|B2")
        expect("verify at Dreux", drx.json("verify")["equal"], True)


@case("a table of a site's own that the hub replicates with other columns stays as it is, with its rows, and so does all else; renamed, the hub's comes")
def _():
    with small_network() as (small, hub, llp, drx):
        llp.sql("CREATE TABLE tool (id TEXT NOT NULL PRIMARY KEY, label TEXT); INSERT INTO tool VALUES ('own', 'the site''s own')")
        hub.sql(f"CREATE TABLE tool (id TEXT NOT NULL PRIMARY KEY, site_id TEXT NOT NULL, name TEXT); INSERT INTO tool VALUES ('h', '{llp.id}', 'hub')")
        hub.perche("replicate", "tool", "--scope", "site_id", "--level", "P0")
        small.wait_for("the migration to be listed", lambda: "rename it" in llp.perche("refused", "--json"))
        small.wait_for("the hub's row to be set aside", lambda: llp.status()["parked"] > 0)
        hub.sql("CREATE TABLE later (id TEXT NOT NULL PRIMARY KEY, v TEXT)")
        hub.perche("replicate", "later", "--scope", "all", "--level", "P0")
        small.wait_for("a table that is replicated later", lambda: registered(llp, "later") == "*")
        expect("the site's rows", llp.sql("SELECT * FROM tool"), "own|the site's own")
        expect_in("what status says", "was not taken", llp.perche("status"))
        llp.sql("ALTER TABLE tool RENAME TO tool_own")
        llp.stop()
        llp.start()
        get(llp)
        expect("the hub's rows", llp.sql("SELECT id, name FROM tool"), "h|hub")
        expect("the site's rows", llp.sql("SELECT * FROM tool_own"), "own|the site's own")
        expect("parked and refused", (llp.status()["parked"], llp.json("refused")["refused"]), (0, []))
        small.proven()


@case("a table of a site's own stands in the way: its cells are parked and shown, all else goes on; once it fits, they are applied")
def _():
    with small_network() as (small, hub, llp, drx):
        llp.sql("CREATE TABLE visits (id TEXT NOT NULL PRIMARY KEY, who TEXT)")  # of a program that knows nothing of the hub
        hub.sql("CREATE TABLE visits (id TEXT NOT NULL PRIMARY KEY, day TEXT, who TEXT); INSERT INTO visits VALUES ('v1', '2015-01-05', 'staff')")
        hub.perche("replicate", "visits", "--scope", "all")
        hub.sql("INSERT INTO visits VALUES ('v2', '2015-01-06', 'staff'); INSERT INTO opening_hours (id, day) VALUES ('fri', 'Friday')")
        small.wait_for("the table at Dreux", lambda: drx.sql("SELECT count(*) FROM sqlite_schema WHERE name = 'visits'") == "1" and drx.count("visits") == 2)
        small.wait_for("the cells to be parked at La Loupe", lambda: llp.status()["parked"] > 0)
        small.wait_for("all else at La Loupe", lambda: llp.count("opening_hours", "id = 'fri'") == 1)
        expect("the program's table", llp.sql("SELECT name FROM pragma_table_info('visits')"), "id\nwho")
        llp.sql("INSERT INTO cohort (site_id, training_id, code, starts_on, ends_on, capacity, mode, status) SELECT site_id, 't', 'P9', '2015-01-05', '2015-06-30', 9, 'ON_SITE', 'PLANNED' FROM perche_self")
        small.wait_for("what La Loupe writes meanwhile, at the hub", lambda: hub.count("cohort", "code = 'P9'") == 1)
        llp.sql("ALTER TABLE visits ADD COLUMN day TEXT")
        llp.stop()
        llp.start()
        get(llp)
        expect("parked", llp.status()["parked"], 0)
        expect("the rows", llp.sql("SELECT id, day, who FROM visits ORDER BY id"), "v1|2015-01-05|staff\nv2|2015-01-06|staff")
        small.proven()


if __name__ == "__main__":
    perche_net.main(build, networks)
