#!/usr/bin/env python3
"""Learners who move: there and back while the first school is offline; what travels with them, and what does not."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from perche_net import expect
from scenario import COHORT, EMAIL, ENROLMENT, LEARNER, PHONE, TRANSFER, Story, id, main, scenario

story = Story({"LLP": "La Loupe", "CHR": "Chartres", "DRX": "Dreux"})


def build():
    global hub, llp, chr, drx
    hub, llp, chr, drx = story.hub, story.LLP, story.CHR, story.DRX
    for node, n, code in ((llp, 1, "P3"), (chr, 2, "P1")):
        story.cohort(node, n, code, "2016-03-07", "2016-08-05")
        story.half_days(node, n, ("2016-04-12", "2016-04-13"))
    story.learner(llp, 1, cohort=1)
    story.learner(llp, 2, cohort=1)
    story.together()


def transfer(n, learner, enrolment, source, target, cohort, day):
    hub.sql(f"INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state) VALUES ('{id(TRANSFER, n)}', '{learner}', '{enrolment}',"
            f" '{story.site_id(source)}', '{story.site_id(target)}', '{cohort}', '{day}', '{day}', 'ACCEPTED')")
    story.wait_for("the transfer to take effect", lambda: hub.sql(f"SELECT state FROM transfer WHERE id = '{id(TRANSFER, n)}'") == "DONE", seconds=60)


def enrol(node, n, learner, cohort, start, before):
    node.sql(f"INSERT INTO enrolment (id, learner_id, cohort_id, site_id, name_at_entry, planned_start, planned_end, actual_start, transferred_from) SELECT '{id(ENROLMENT, n)}', '{learner}', '{cohort}',"
             f" site_id, 'Camille', '{start}', '2016-08-05', '{start}', '{before}' FROM perche_self")


@scenario("A-B-A", "a learner who moves to another school and back while the first is offline ends with every row once, there, with every edit of both")
def _():
    who = id(LEARNER, 1)
    story.cut("LLP")
    llp.sql(f"UPDATE learner_contact SET value = '0611111111' WHERE id = '{id(PHONE, 1)}'", f"UPDATE learner SET call_name = 'Cam' WHERE id = '{who}'")
    story.mark(llp, "2016-04-12 AM", id(ENROLMENT, 1), "PRESENT", 210)
    transfer(1, who, id(ENROLMENT, 1), "LLP", "CHR", id(COHORT, 2), "2016-04-12")
    story.wait_for("Chartres to hold the learner", lambda: chr.count("learner", f"id = '{who}'") == 1)
    enrol(chr, 11, who, id(COHORT, 2), "2016-04-12", id(ENROLMENT, 1))
    chr.sql(f"UPDATE learner_contact SET value = 'chartres@example.org' WHERE id = '{id(EMAIL, 1)}'", f"UPDATE learner SET use_family_name = 'Chartrain' WHERE id = '{who}'")
    story.mark(chr, "2016-04-12 PM", id(ENROLMENT, 11), "PRESENT", 210)
    chr.sync_wait()
    transfer(2, who, id(ENROLMENT, 11), "CHR", "LLP", id(COHORT, 1), "2016-04-13")
    llp.sql(f"INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('{id(20, 1)}', '{who}', 'EMERGENCY', '0622222222')")
    story.offline("nothing of La Loupe has come while its line was cut", lambda: hub.sql(f"SELECT call_name FROM learner WHERE id = '{who}'"), "")
    story.heal("LLP")
    story.together()
    enrol(llp, 12, who, id(COHORT, 1), "2016-04-13", id(ENROLMENT, 11))
    story.together()
    expect("at home again", hub.sql(f"SELECT code FROM site WHERE id = (SELECT home_site_id FROM learner WHERE id = '{who}')"), "LLP")
    for node in (hub, llp):
        expect(f"the learner at {node.key}", node.sql(f"SELECT call_name || ' ' || use_family_name FROM learner WHERE id = '{who}'"), "Cam Chartrain")
        expect(f"contacts at {node.key}", node.sql(f"SELECT group_concat(value, ' ') FROM (SELECT value FROM learner_contact WHERE learner_id = '{who}' ORDER BY id)"), "0611111111 chartres@example.org 0622222222")
        expect(f"one row each at {node.key}", node.count("learner_contact", f"learner_id = '{who}'"), 3)
    expect("Chartres keeps its enrolment and its mark", (chr.count("enrolment", f"id = '{id(ENROLMENT, 11)}'"), chr.count("attendance")), (1, 1))
    expect("and holds the person no more", (chr.count("learner"), chr.count("learner_contact")), (0, 0))
    expect("entries", story.figure("entries")[:1], (2,))
    expect("nobody is asked anything", story.conflicts(hub), [])
    expect("proven equal", [n.json("verify")["equal"] for n in (llp, chr, drx)], [True] * 3)


@scenario("MOVE-500", "only the rows that hang on the learner travel: 500 marks of the old school stay where they are, at the position that they had")
def _():
    who = id(LEARNER, 2)
    llp.sql(f"INSERT INTO half_day (cohort_id, day, half, mode) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 250) SELECT '{id(COHORT, 1)}', date('2015-01-01', '+' || n || ' days'), half, 'ON_SITE'"
            " FROM n, (SELECT 'AM' AS half UNION ALL SELECT 'PM')",
            f"INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site) SELECT h.id, '{id(ENROLMENT, 2)}', 'PRESENT', 210, 'PAPER_SCAN', '2016-01-01T00:00:00Z', site_id"
            f" FROM half_day h, perche_self WHERE h.cohort_id = '{id(COHORT, 1)}' AND h.day < '2016-01-01'",
            f"INSERT INTO learner_contact (learner_id, kind, value) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500) SELECT '{who}', 'ADDRESS', 'ligne ' || n FROM n")
    story.together()
    marks = "SELECT count(*) || ' ' || max(lsn) FROM perche_row WHERE tab = (SELECT num FROM perche_tab WHERE name = 'attendance')"
    before = hub.sql(marks)
    transfer(3, who, id(ENROLMENT, 2), "LLP", "CHR", id(COHORT, 2), "2016-04-12")
    story.together()
    expect("what Chartres has", (chr.count("learner_contact", f"learner_id = '{who}'"), chr.count("attendance", f"enrolment_id = '{id(ENROLMENT, 2)}'")), (502, 0))
    expect("what La Loupe has", (llp.count("learner_contact", f"learner_id = '{who}'"), llp.count("attendance", f"enrolment_id = '{id(ENROLMENT, 2)}'")), (0, 500))
    expect("the marks at the hub have not moved", hub.sql(marks), before)
    expect("proven equal", [n.json("verify")["equal"] for n in (llp, chr)], [True] * 2)


main(story, build)
