#!/usr/bin/env python3
"""What the hub does by itself: it goes on when a program's trigger stands in its way, it ends, and it asks again about what is at odds again."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect
from scenario import COHORT, ENROLMENT, LEARNER, LEASE, TRANSFER, UNIT, Story, id

story = Story({"LLP": "La Loupe", "CHR": "Chartres"})


def build():
    global hub, llp, chr_
    hub, llp, chr_ = story.hub, story.LLP, story.CHR
    for node, n in ((llp, 1), (chr_, 2)):
        story.cohort(node, n, "P%d" % n, "2016-03-07", "2016-08-05")
    for n in range(1, 6):
        story.learner(llp, n, cohort=1)
    story.together()


def transfer(key, n, **changed):
    row = {"id": key, "learner_id": id(LEARNER, n), "enrolment_id": id(ENROLMENT, n), "from_site": story.site_id("LLP"), "to_site": story.site_id("CHR"), "to_cohort_id": id(COHORT, 2),
           "asked_on": "2016-04-01", "effective_on": "2016-04-12", "state": "ACCEPTED", **changed}
    hub.sql(f"INSERT INTO transfer ({', '.join(row)}) VALUES ({', '.join(repr(v) for v in row.values())})")


def state(key):
    return hub.sql(f"SELECT state FROM transfer WHERE id = '{key}'")


@case("a program's trigger keeps a transfer: it is said, what is written at the hub goes out all the same, and without the trigger the transfer is carried out")
def _():
    hub.sql("CREATE TRIGGER strict_dates BEFORE UPDATE OF actual_end ON enrolment BEGIN SELECT RAISE(ABORT, 'no end is set by hand'); END")
    since = hub.log_size()
    transfer(id(TRANSFER, 1), 1)
    story.wait_for("the log to say so", lambda: "chore.failed" in hub.log_text(since))
    hub.sql(f"UPDATE learner SET call_name = 'Written beside' WHERE id = '{id(LEARNER, 2)}'")
    story.wait_for("a change of the hub to arrive", lambda: llp.count("learner", "call_name = 'Written beside'") == 1)
    expect("the transfer waits", state(id(TRANSFER, 1)), "ACCEPTED")
    hub.sql("DROP TRIGGER strict_dates", f"UPDATE learner SET call_name = 'Written again' WHERE id = '{id(LEARNER, 2)}'")
    story.wait_for("the transfer to be carried out", lambda: state(id(TRANSFER, 1)) == "DONE", seconds=40)
    expect("the enrolment's end", hub.sql(f"SELECT actual_end, exit_reason FROM enrolment WHERE id = '{id(ENROLMENT, 1)}'"), "2016-04-11|TRANSFER")


@case("transfers with keys of any length are carried out; one that a program does not let be written ends the look for others, not the hub")
def _():
    transfer("t" * 200, 2)
    story.wait_for("the transfer with a long key", lambda: state("t" * 200) == "DONE", seconds=40)
    hub.sql("CREATE TRIGGER stays BEFORE UPDATE OF state ON transfer BEGIN SELECT RAISE(IGNORE); END")
    since = hub.log_size()
    transfer(id(TRANSFER, 3), 3)
    story.wait_for("the log to say so", lambda: "chore.failed" in hub.log_text(since))
    hub.sql("DROP TRIGGER stays", f"UPDATE learner SET call_name = 'Once more' WHERE id = '{id(LEARNER, 4)}'")
    story.wait_for("the transfer to be carried out", lambda: state(id(TRANSFER, 3)) == "DONE", seconds=40)
    expect("one end of the enrolment", hub.count("enrolment_status_event", f"enrolment_id = '{id(ENROLMENT, 3)}'"), 1)


@case("a transfer of an enrolment that is another learner's, or another school's, moves nobody")
def _():
    before = hub.sql("SELECT id, actual_end FROM enrolment ORDER BY 1"), hub.sql("SELECT id, home_site_id FROM learner ORDER BY 1")
    transfer(id(TRANSFER, 4), 4, enrolment_id=id(ENROLMENT, 5))
    transfer(id(TRANSFER, 5), 5, from_site=story.site_id("CHR"), to_site=story.site_id("CHR"))
    transfer("last", 4)  # in the order of their keys it comes after those two
    story.wait_for("the right one to be carried out", lambda: state("last") == "DONE", seconds=40)
    expect("the others", (state(id(TRANSFER, 4)), state(id(TRANSFER, 5))), ("ACCEPTED", "ACCEPTED"))
    after = hub.sql("SELECT id, actual_end FROM enrolment ORDER BY 1"), hub.sql("SELECT id, home_site_id FROM learner ORDER BY 1")
    unlike = [sum(a != b for a, b in zip(x.splitlines(), y.splitlines())) for x, y in zip(before, after)]
    expect("enrolments and learners that are others now", unlike, [1, 1])


@case("the school that a learner leaves cannot accept for the other: its acceptance is asked for again, and the other's is carried out")
def _():
    key = id(TRANSFER, 6)
    transfer(key, 5, state="ASKED")
    story.together()
    llp.sql(f"UPDATE transfer SET state = 'ACCEPTED' WHERE id = '{key}'")
    llp.sync_wait()
    story.wait_for("the hub to ask again", lambda: state(key) == "ASKED", seconds=40)
    story.together()
    expect("at the school that leaves", llp.sql(f"SELECT state FROM transfer WHERE id = '{key}'"), "ASKED")
    expect("its enrolment", hub.sql(f"SELECT actual_end IS NULL FROM enrolment WHERE id = '{id(ENROLMENT, 5)}'"), "1")
    chr_.sql(f"UPDATE transfer SET state = 'ACCEPTED' WHERE id = '{key}'")
    chr_.sync_wait()
    story.wait_for("the transfer to be carried out", lambda: state(key) == "DONE", seconds=40)
    hub.sql(f"UPDATE enrolment SET actual_end = NULL, exit_reason = NULL WHERE id = '{id(ENROLMENT, 5)}'")


@case("one bed let twice is a question; with a second bed it is none, and without it again it is one again")
def _():
    hub.sql(f"INSERT INTO housing_unit (id, site_id, label, beds, rent_cents) SELECT '{id(UNIT, 1)}', id, 'Studio', 1, 25000 FROM site WHERE code = 'LLP'")
    for n in (1, 2):
        hub.sql(f"INSERT INTO housing_lease (id, unit_id, enrolment_id, starts_on, ends_on, rent_cents, state) VALUES ('{id(LEASE, n)}', '{id(UNIT, 1)}', '{id(ENROLMENT, 5)}',"
                f" '2016-03-0{n}', '2016-06-30', 25000, 'BOOKED')")
    questions = "SELECT group_concat(DISTINCT state) FROM perche_conflict WHERE tab = 'housing_lease' AND kind = 'rule'"
    story.wait_for("the question", lambda: hub.sql(questions) == "open")
    asked = hub.count("perche_conflict", "tab = 'housing_lease'")
    hub.sql(f"UPDATE housing_unit SET beds = 2 WHERE id = '{id(UNIT, 1)}'")
    story.wait_for("it to be none", lambda: hub.sql(questions) == "moot")
    hub.sql(f"UPDATE housing_unit SET beds = 1 WHERE id = '{id(UNIT, 1)}'")
    story.wait_for("it to be one again", lambda: hub.sql(questions) == "open")
    expect("the same question", hub.count("perche_conflict", "tab = 'housing_lease'"), asked)
    story.together()
    expect("at the school", llp.sql(questions), "open")
    expect("proven equal", [n.json("verify")["equal"] for n in (llp, chr_)], [True] * 2)


def begin():
    story.begin()
    build()


perche_net.main(begin, [story])
