#!/usr/bin/env python3
"""What is done behind Perche's back: edits past the triggers, dropped and emptied tables, a history that was tampered with."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

net = perche_net.Network()
TRIGGERS = ("key", "insert", "update", "delete")


def build():
    global hub, llp, chr_
    hub = net.add_hub()
    llp, chr_ = net.add_site("la-loupe"), net.add_site("chartres")
    net.cohort()
    chr_.sync_wait()
    llp.sql("""INSERT INTO project (id, site_id, title, kind) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
        SELECT 'project ' || i, (SELECT site_id FROM perche_self), 'title ' || i, 'REAL_CLIENT' FROM n""")
    net.proven()


def found(answer):
    return {t["table"]: {k: t[k] for k in ("changed", "added", "removed", "restored", "lost") if t[k]}
            for t in answer["tables"] if any(t[k] for k in ("changed", "added", "removed", "restored", "lost"))}


def past(node, statements):
    """Writes as a file that was edited elsewhere has it: no trigger has fired, and the schema is as it was."""
    node.sql("BEGIN IMMEDIATE; UPDATE perche_flag SET applying = 1; " + statements + "; UPDATE perche_flag SET applying = 0; COMMIT")


@case("rows edited, added and removed past the triggers are found by verify, which says how many, and reach the hub")
def _():
    past(llp, """UPDATE project SET title = 'unseen' WHERE id IN ('project 1', 'project 2', 'project 3'); DELETE FROM project WHERE id = 'project 4';
        INSERT INTO project (id, site_id, title, kind) SELECT 'unseen', site_id, 'x', 'REAL_CLIENT' FROM perche_self""")
    llp.sync_wait()
    expect("edits at the hub before anybody verifies", hub.count("project", "title = 'unseen'"), 0)
    answer = llp.json("verify")
    expect("what verify has found", found(answer), {"project": {"changed": 3, "added": 1, "removed": 1}})
    expect("equal, with the hub as well", answer["equal"], True)
    expect("edits at the hub", hub.count("project", "title = 'unseen'"), 3)
    expect("the row removed", hub.count("project", "id = 'project 4'"), 0)
    expect("the row added", hub.count("project", "id = 'unseen'"), 1)
    expect("what a second one finds", found(llp.json("verify")), {})
    net.proven()


@case("verify says it to people")
def _():
    past(llp, "UPDATE project SET title = 'again' WHERE id = 'project 1'")
    p = llp.run("verify")
    expect("exit", p.returncode, 0)
    expect_in("the table", "1 changed", p.stdout)
    expect_in("the words", "1 row had been written behind Perche's back", p.stderr)
    net.proven(llp)


@case("at the hub likewise: what is found there goes to the sites")
def _():
    past(hub, "UPDATE project SET title = 'unseen at the hub' WHERE id = 'project 5'")
    expect("what verify has found", found(hub.json("verify")), {"project": {"changed": 1}})
    llp.sync_wait()
    expect("the edit at the site", llp.sql("SELECT title FROM project WHERE id = 'project 5'"), "unseen at the hub")
    net.proven()


@case("triggers dropped and rows edited, the daemon up or down: found without being asked, and edits of these columns alone")
def _():
    for down in (False, True):
        if down:
            llp.kill()
        hub.sql("UPDATE project SET kind = 'EXERCISE' WHERE id = 'project 6'")
        llp.sql("BEGIN; " + "".join(f"DROP TRIGGER perche_project_{t}; " for t in TRIGGERS) +
                f"UPDATE project SET title = 'without triggers {down}' WHERE id = 'project 6'; COMMIT")
        if down:
            llp.start()
        net.wait_for("the triggers to be back", lambda: llp.sql(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'project' AND name LIKE 'perche_%'") == "4")
        llp.sync_wait()
        expect("title and kind at the hub", hub.sql("SELECT title, kind FROM project WHERE id = 'project 6'"), f"without triggers {down}|EXERCISE")
        net.proven()
    expect_in("the log", "replica.bypassed", llp.log_text())


@case("a table dropped at a site, the daemon up or down, is told of, is equal to nothing, and comes back with its rows")
def _():
    for down in (False, True):
        rows = llp.sql("SELECT * FROM project ORDER BY id")
        if down:
            llp.stop()
        llp.sql("DROP TABLE project")
        if down:
            llp.start()
        net.wait_for("status to say so", lambda: llp.status()["reason"] == "table" and llp.status()["tables_gone"] == 1)
        net.wait_for("the rows to be back", lambda: llp.status()["tables_gone"] == 0 and llp.count("project") == len(rows.splitlines()))
        expect("the rows", llp.sql("SELECT * FROM project ORDER BY id"), rows)
        llp.sql("UPDATE project SET title = 'after' WHERE id = 'project 7'")
        expect("verify", found(llp.json("verify")), {"project": {"restored": len(rows.splitlines())}})
        expect("rows at the hub", hub.count("project"), len(rows.splitlines()))
        net.proven()


@case("a table dropped and made again empty is no deletion: its rows come back, and the hub keeps all")
def _():
    rows = llp.sql("SELECT * FROM project ORDER BY id")
    declared = llp.sql("SELECT sql FROM sqlite_schema WHERE name = 'project'")
    llp.sql(f"BEGIN; DROP TABLE project; {declared}; COMMIT")
    net.wait_for("the rows to be back", lambda: llp.count("project") == len(rows.splitlines()))
    expect("the rows", llp.sql("SELECT * FROM project ORDER BY id"), rows)
    net.proven()
    expect("rows at the hub", hub.sql("SELECT * FROM project ORDER BY id"), rows)


@case("a table dropped at the hub comes back as well, and no site loses a row")
def _():
    rows = hub.sql("SELECT * FROM learner ORDER BY id")
    hub.sql("DROP TABLE learner")
    net.wait_for("the rows to be back", lambda: hub.status()["tables_gone"] == 0 and hub.count("learner") == len(rows.splitlines()), seconds=30)
    expect("the rows", hub.sql("SELECT * FROM learner ORDER BY id"), rows)
    net.proven()


@case("a history that somebody has tampered with is found, and the first block that is not as it was written is named")
def _():
    chain = llp.json("verify", "--chain")["chain"]
    expect("the chain before", (chain["broken"], chain["blocks"]), (None, llp.count("perche_history")))
    llp.sql("CREATE TABLE kept AS SELECT * FROM perche_history WHERE block = 5; UPDATE perche_history SET at_ms = at_ms + 1 WHERE block = 5")
    said = llp.says_no("verify", "--chain", words=["The history is broken at block 5"])
    expect_in("what it says", "The 4 before it are as written", said)
    expect("the chain in JSON", llp.json("verify", "--chain", code=1)["chain"]["broken"], 5)
    expect("without --chain", "chain" in llp.json("verify"), False)
    llp.sql("DELETE FROM perche_history WHERE block = 5")
    llp.says_no("verify", "--chain", words=["block 5: it is missing"])
    llp.sql("INSERT INTO perche_history SELECT * FROM kept; DROP TABLE kept")
    expect("the chain after it was put right", llp.json("verify", "--chain")["chain"]["broken"], None)
    expect("the hub's", hub.json("verify", "--chain")["chain"]["broken"], None)


if __name__ == "__main__":
    perche_net.main(build, [net])
