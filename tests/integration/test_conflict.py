#!/usr/bin/env python3
"""Two offices write the same without knowing of each other, over a line that is cut: nothing is lost, and a person decides."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect

os.environ["COLUMNS"] = "160"  # a wide terminal: perche cuts what does not fit
net = perche_net.Network()
LEARNER = "01487832-4000-7000-8001-0000000000%02d"
ENROLMENT = "01487832-4000-7000-8002-0000000000%02d"


def build():
    global hub, llp, drx, line
    hub = net.add_hub()
    line = net.relay("la-loupe")
    llp = net.add_site("la-loupe", relay=line)
    drx = net.add_site("dreux")
    net.cohort("la-loupe")


def apart(at_site, at_hub):
    """The line is cut; both write; it is back, and both have everything."""
    line.cut()
    net.wait_for("the site to see that the line is gone", lambda: llp.status()["state"] in ("offline", "connecting"))
    if at_site:
        llp.sql(at_site)
    if at_hub:
        hub.sql(at_hub)
    llp.says_no("sync", "--wait", "--timeout", "500ms", words=["no line"])
    line.open()
    llp.sync_wait()


def conflicts(node, *args):
    return node.json("conflicts", *args)["conflicts"]


def decision(n, situation, by, at):
    return f"""INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)
        VALUES ('{ENROLMENT % n}', 'W4', '{situation}', '01487832-4000-7000-8009-0000000{by}{n:02d}', 'ONLY_ONE', 'staff-{by}', '{at}')"""


def open_conflict(n):
    """The same decision is taken at both ends; returns the conflict, as both ends show it."""
    began = hub.sql("SELECT strftime('%Y-%m-%dT%H:%M:%fZ')")
    apart(decision(n, "JOBSEEKING", "00001", "2015-05-28T09:05:00Z"), decision(n, "EMP_PERMANENT", "00002", "2015-05-28T10:05:00Z"))
    seen = []
    for node in (llp, hub):
        found = [c for c in conflicts(node) if c["row"] == [ENROLMENT % n, "W4"]]
        expect(f"open conflicts of the row at {node.key}", len(found), 1)
        c = found[0]
        expect(f"the conflict at {node.key}", (c["table"], c["column"], c["state"], c["resolved"]),
               ("outcome_decision", "situation", "open", None))
        sides = {s["value"]: s for s in (c["a"], c["b"])}
        expect(f"its values at {node.key}", sorted(sides), ["EMP_PERMANENT", "JOBSEEKING"])
        expect(f"who wrote them, at {node.key}", (sides["JOBSEEKING"]["site"], sides["EMP_PERMANENT"]["site"]), ("La Loupe", hub.name))
        for s in sides.values():
            if not began <= s["at"] <= hub.sql("SELECT strftime('%Y-%m-%dT%H:%M:%fZ')"):
                raise Failure(f"{s['value']} was written at {s['at']}, after {began}")
        seen.append(c)
    expect("the conflict at both ends", seen[0], seen[1])
    said = llp.perche("conflicts")
    for word in ("EMP_PERMANENT", "JOBSEEKING", "La Loupe", hub.name, "at 4 weeks", seen[0]["id"][:4]):
        perche_net.expect_in("perche conflicts", word, said)
    said = hub.perche("conflicts", "show", seen[0]["id"])
    for word in ("EMP_PERMANENT", "JOBSEEKING", "La Loupe", hub.name, "situation", began[:4], seen[0]["id"]):
        perche_net.expect_in("perche conflicts show", word, said)
    return seen[0]


def resolve(at, c, value, reason):
    side = "a" if c["a"]["value"] == value else "b"
    at.perche("conflicts", "resolve", c["id"], "--take", side, "--reason", reason)


def resolved(node, c, value, reason):
    expect(f"open conflicts at {node.key}", [x for x in conflicts(node) if x["id"] == c["id"]], [])
    after = [x for x in conflicts(node, "--all") if x["id"] == c["id"]]
    expect(f"the conflict at {node.key}", [(x["state"], x["resolved"]["value"], x["resolved"]["reason"]) for x in after],
           [("resolved", value, reason)])
    return after[0]["resolved"]


@case("a review column written at both ends: one open conflict at both, with both values, sites and times; the hub decides, the site has it")
def _():
    c = open_conflict(5)
    expect("open conflicts in status", (llp.status()["conflicts_open"], hub.status()["conflicts_open"]), (1, 1))
    resolve(hub, c, "EMP_PERMANENT", "work contract seen")
    net.wait_for("the decision at the site", lambda: not conflicts(llp))
    expect("who decided, and when, at both", resolved(llp, c, "EMP_PERMANENT", "work contract seen"),
           resolved(hub, c, "EMP_PERMANENT", "work contract seen"))
    for node in (hub, llp):
        expect(f"the outcome at {node.key}", node.sql(f"SELECT situation, observation_id FROM outcome_decision WHERE enrolment_id = '{ENROLMENT % 5}'"),
               "EMP_PERMANENT|01487832-4000-7000-8009-00000000000205")
    net.proven()


@case("the same, decided at the site, for the value that had lost: the hub has it")
def _():
    c = open_conflict(6)
    held = llp.sql(f"SELECT situation FROM outcome_decision WHERE enrolment_id = '{ENROLMENT % 6}'")
    expect("the value at both ends until then", hub.sql(f"SELECT situation FROM outcome_decision WHERE enrolment_id = '{ENROLMENT % 6}'"), held)
    other = "JOBSEEKING" if held == "EMP_PERMANENT" else "EMP_PERMANENT"
    resolve(llp, c, other, "the learner called")
    net.wait_for("the decision at the hub", lambda: not conflicts(hub))
    resolved(hub, c, other, "the learner called")
    for node in (hub, llp):
        expect(f"the outcome at {node.key}", node.sql(f"SELECT situation FROM outcome_decision WHERE enrolment_id = '{ENROLMENT % 6}'"), other)
    net.proven()


@case("the same, decided for neither: the third value is at both ends")
def _():
    c = open_conflict(7)
    llp.perche("conflicts", "resolve", c["id"][:8], "--value", "QUALIFYING_TRAINING", "--reason", "enrolled elsewhere")
    net.wait_for("the decision at the hub", lambda: not conflicts(hub))
    resolved(hub, c, "QUALIFYING_TRAINING", "enrolled elsewhere")
    for node in (hub, llp):
        expect(f"the outcome at {node.key}", node.sql(f"SELECT situation FROM outcome_decision WHERE enrolment_id = '{ENROLMENT % 7}'"), "QUALIFYING_TRAINING")
    net.proven()


@case("an lww column written at both ends: the later value is at both, the other in a closed conflict")
def _():
    phone = llp.sql(f"SELECT id FROM learner_contact WHERE learner_id = '{LEARNER % 8}' AND kind = 'PHONE'")
    edit = f"UPDATE learner_contact SET value = '%s' WHERE id = '{phone}'"
    apart(edit % "0639980881", edit % "0639980882")  # the hub's is the later one
    for node in (hub, llp):
        expect(f"the number at {node.key}", node.sql(f"SELECT value FROM learner_contact WHERE id = '{phone}'"), "0639980882")
        expect(f"open conflicts at {node.key}", [c for c in conflicts(node) if c["table"] == "learner_contact"], [])
        kept = [c for c in conflicts(node, "--all") if c["table"] == "learner_contact"]
        expect(f"closed conflicts at {node.key}", [(c["column"], c["state"] != "open", sorted((c["a"]["value"], c["b"]["value"]))) for c in kept],
               [("value", True, ["0639980881", "0639980882"])])
    net.proven()


@case("different columns of one row, and the same value twice, are no conflict: both edits hold")
def _():
    before = len(conflicts(hub, "--all"))
    apart(f"UPDATE learner SET birth_country = 'FR', ine = '0000000009A' WHERE id = '{LEARNER % 9}'",
          f"UPDATE learner SET birth_country = 'FR', sex = 'X' WHERE id = '{LEARNER % 9}'")
    for node in (hub, llp):
        expect(f"the row at {node.key}", node.sql(f"SELECT birth_country, ine, sex FROM learner WHERE id = '{LEARNER % 9}'"), "FR|0000000009A|X")
        expect(f"conflicts at {node.key}", len(conflicts(node, "--all")), before)
    net.proven()


@case("an edit at the hub of a row that the site deletes: the row is gone, the edit is kept and a person is asked at both ends")
def _():
    row = llp.sql(f"SELECT id FROM learner_contact WHERE learner_id = '{LEARNER % 10}' AND kind = 'EMAIL'")
    apart(f"DELETE FROM learner_contact WHERE id = '{row}'", f"UPDATE learner_contact SET value = 'l10@example.org' WHERE id = '{row}'")
    for node in (hub, llp):
        expect(f"the row at {node.key}", node.count("learner_contact", f"id = '{row}'"), 0)
        found = [c for c in conflicts(node) if c["row"] in (row, [row])]
        expect(f"open conflicts at {node.key}", [(c["column"], c["kind"]) for c in found], [("value", "deleted")])
        if "l10@example.org" not in (found[0]["a"]["value"], found[0]["b"]["value"]):
            raise Failure(f"the edit is not kept: {found[0]}")
    net.proven()


@case("an edit at the site of a row that the hub deletes: the same")
def _():
    row = llp.sql(f"SELECT id FROM learner_contact WHERE learner_id = '{LEARNER % 11}' AND kind = 'EMAIL'")
    apart(f"UPDATE learner_contact SET value = 'l11@example.org' WHERE id = '{row}'", f"DELETE FROM learner_contact WHERE id = '{row}'")
    for node in (hub, llp):
        expect(f"the row at {node.key}", node.count("learner_contact", f"id = '{row}'"), 0)
        found = [c for c in conflicts(node) if c["row"] in (row, [row])]
        expect(f"open conflicts at {node.key}", [(c["column"], c["kind"]) for c in found], [("value", "deleted")])
        if "l11@example.org" not in (found[0]["a"]["value"], found[0]["b"]["value"]):
            raise Failure(f"the edit is not kept: {found[0]}")
    net.proven()


@case("history shows each value, where it was written and when, the one that lost and the decision, at both ends")
def _():
    for node in (hub, llp):
        entries = [e for e in node.json("history", "outcome_decision", f"{ENROLMENT % 6},W4")["entries"] if e["column"] == "situation"]
        expect(f"values and sites at {node.key}", {(e["value"], e["site"]) for e in entries} >= {("JOBSEEKING", "La Loupe"), ("EMP_PERMANENT", hub.name)},
               True)
        if not any(e["kind"] == "resolve" for e in entries):
            raise Failure(f"history at {node.key} does not show the decision: {entries}")
        if any(not e["at"] for e in entries):
            raise Failure(f"history at {node.key} has an entry without a time: {entries}")
    phone = llp.sql(f"SELECT id FROM learner_contact WHERE learner_id = '{LEARNER % 8}' AND kind = 'PHONE'")
    values = [e["value"] for e in llp.json("history", "learner_contact", phone)["entries"] if e["column"] == "value"]
    expect("values of the number at the site", [v for v in values if v in ("0639980008", "0639980881", "0639980882")][0], "0639980008")
    for value in ("0639980881", "0639980882"):
        if value not in values:
            raise Failure(f"history lacks {value}: {values}")
    said = llp.perche("history", "outcome_decision", f"{ENROLMENT % 5},W4")
    for word in ("JOBSEEKING", "EMP_PERMANENT", "La Loupe"):
        perche_net.expect_in("perche history", word, said)


@case("a site that shares nothing of it knows of none of these conflicts")
def _():
    drx.sync_wait()
    expect("conflicts at Dreux", conflicts(drx, "--all"), [])


@case("what was decided stays decided after a restart of both")
def _():
    for node in (hub, llp):
        node.stop()
        node.start()
    llp.sync_wait()
    expect("open conflicts", len(conflicts(hub)), len(conflicts(llp)))
    expect("all conflicts", conflicts(hub, "--all"), conflicts(llp, "--all"))
    net.proven()


if __name__ == "__main__":
    perche_net.main(build, [net])
