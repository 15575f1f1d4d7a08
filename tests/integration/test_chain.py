#!/usr/bin/env python3
"""History that can be trusted: an outcome that was altered in the file, at a site or at the hub, is named by `perche verify --chain`."""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

net = perche_net.Network()
TRIGGERS = ("key", "insert", "update", "delete")


def build():
    global hub, llp, chr_, enrolment, row
    hub = net.add_hub()
    llp, chr_ = net.add_site("la-loupe"), net.add_site("chartres")
    net.cohort()
    chr_.sync_wait()
    llp.sql("""INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)
        SELECT id, 'W4', 'JOBSEEKING', 'o', 'LATEST', 'Zoe', '2015-06-01' FROM enrolment ORDER BY id LIMIT 3""")
    net.proven()
    enrolment = llp.sql("SELECT min(enrolment_id) FROM outcome_decision WHERE decided_by = 'Zoe'")
    row = json.dumps([enrolment, "W4"], separators=(",", ":"))


def past(node, statements):
    """Writes as a file that was edited elsewhere has it: no trigger has fired, and the schema is as it was."""
    node.sql("BEGIN IMMEDIATE; UPDATE perche_flag SET applying = 1; " + statements + "; UPDATE perche_flag SET applying = 0; COMMIT")


def decide(node, situation):
    node.sql(f"UPDATE outcome_decision SET situation = '{situation}' WHERE enrolment_id = '{enrolment}' AND milestone = 'W4'")


def clean(node):
    chain = node.json("verify", "--chain")["chain"]
    expect(f"what {node.name} finds", (chain["records"], chain["altered"], chain["broken"]), ([], 0, None))
    return chain["entries"]


def named(node, why, column="situation"):
    record = node.json("verify", "--chain", code=1)["chain"]["records"][0]
    expect(f"what {node.name} names", (record["table"], record["row"], record["column"], record["why"]), ("outcome_decision", row, column, why))
    said = node.says_no("verify", "--chain", words=["Not as signed: outcome_decision", why])
    expect_in("the words name the record", enrolment, said)


def settle(node):
    """The value is written again by somebody who answers for it."""
    decide(node, "JOBSEEKING")
    decide(node, "EMP_PERMANENT")
    net.proven()


@case("outcomes are signed where they are written, and checked where they are; no other site hears of them")
def _():
    expect("entries at the site, three and its cohort's", clean(llp) >= 3, True)
    expect("at the hub", clean(hub), clean(llp))
    expect("at a site that holds none", (clean(chr_), chr_.count("perche_chain")), (0, 0))
    expect("keys of the hub and both sites", chr_.count("site_key"), 3)


@case("an outcome altered with the sqlite3 shell is named, at the site and at the hub, until somebody writes it again")
def _():
    for node in (llp, hub):
        past(node, f"UPDATE outcome_decision SET situation = 'EMP_FIXED_TERM' WHERE enrolment_id = '{enrolment}'")
        named(node, "it was written behind Perche's back")
        net.proven()
        for other in (llp, hub): # what was taken over travels, and says what it is
            named(other, "it was written behind Perche's back")
        settle(llp)
        clean(llp), clean(hub)


@case("the same with the triggers dropped and made again, the daemon up or down: it finds the edit by itself, and that is named")
def _():
    for down in (False, True):
        if down:
            hub.kill()
        made = hub.sql("SELECT group_concat(sql || ';', '') FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'outcome_decision'")
        hub.sql("BEGIN; " + "".join(f"DROP TRIGGER IF EXISTS perche_outcome_decision_{t}; " for t in TRIGGERS) +
                f"UPDATE outcome_decision SET situation = 'TRAINING' WHERE enrolment_id = '{enrolment}'; {made} COMMIT")
        if down:
            hub.start()
        named(hub, "it was written behind Perche's back")
        net.proven()
        settle(llp)
        clean(hub)


@case("who alters the digest with the value, an entry or its signature is named too")
def _():
    hub.sql("CREATE TABLE kept AS SELECT * FROM perche_chain")
    hub.sql("UPDATE perche_chain SET signature = zeroblob(64) WHERE key = '" + row + "'")
    named(hub, "an entry of its chain is not signed by its author", None)
    hub.sql("UPDATE perche_chain SET signature = (SELECT signature FROM kept WHERE kept.id = perche_chain.id)")
    clean(hub)
    heads = llp.sql("SELECT quote(lower(hex(id))) FROM perche_chain_head").split()  # the newest of each row: its values stand
    hub.sql("DELETE FROM perche_chain WHERE key = '" + row + "' AND replace(id, '-', '') IN (" + ", ".join(heads) + ")")
    expect("entries that are gone", int(hub.sql("SELECT (SELECT count(*) FROM kept) - (SELECT count(*) FROM perche_chain)")), 1)
    expect("exit with one entry less", hub.json("verify", "--chain", code=1)["chain"]["altered"], 1)
    hub.sql("DELETE FROM perche_chain; INSERT INTO perche_chain SELECT * FROM kept; DROP TABLE kept")
    # an edit past the triggers, then an ordinary one of another column: the row's digest covers both
    past(hub, f"UPDATE outcome_decision SET decided_by = 'nobody' WHERE enrolment_id = '{enrolment}'")
    hub.sql(f"UPDATE outcome_decision SET rule = 'REVIEW' WHERE enrolment_id = '{enrolment}'")
    net.wait_for("the edit to be harvested", lambda: hub.count("perche_capture") == 0)
    named(hub, "it is not what was written", "decided_by")
    hub.sql(f"UPDATE outcome_decision SET decided_by = 'Ann' WHERE enrolment_id = '{enrolment}'")
    net.wait_for("the edit to be harvested", lambda: hub.count("perche_capture") == 0)
    net.proven()
    clean(hub), clean(llp)


@case("a row that moves takes its chain along")
def _():
    site = chr_.sql("SELECT site_id FROM perche_self")
    before = clean(llp)
    hub.sql(f"UPDATE enrolment SET site_id = '{site}' WHERE id = '{enrolment}'")
    net.proven()
    moved = clean(chr_)
    expect("entries that moved", (moved >= 5, clean(llp)), (True, before - moved))
    decide(chr_, "TRAINING")
    net.proven()
    expect("one more", (clean(chr_), clean(hub)), (moved + 1, before + 1))


if __name__ == "__main__":
    perche_net.main(build, [net])
