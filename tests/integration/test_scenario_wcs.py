#!/usr/bin/env python3
"""Wild Code School: La Loupe, Chartres, Dreux and a placement office."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from perche_net import expect, expect_in
from scenario import (COHORT, EMAIL, ENROLMENT, EVENT, LEARNER, LEASE, OBSERVATION, ORGANISATION, PHONE, TRANSFER, TRAINING, UNIT, VENTURE, Story, id, main, scenario)

story = Story({"LLP": "La Loupe", "CHR": "Chartres", "DRX": "Dreux", "PLC": ("Bureau placement", "PLACEMENT_OFFICE")})
L05, L06, L17, L21 = 5, 6, 17, 21


def build():
    global hub, llp, chr, drx, plc
    hub, llp, chr, drx, plc = story.hub, story.LLP, story.CHR, story.DRX, story.PLC
    story.readers("PLC", "placement")
    story.together()
    for node, cohort, code in ((llp, 1, "P3"), (chr, 2, "P1")):
        story.cohort(node, cohort, code, "2016-03-07", "2016-08-05")
        story.half_days(node, cohort, ("2016-04-12", "2016-04-13", "2016-04-14"))
    for n in (L05, L06, L17, L21):
        story.learner(llp, n, cohort=1)
    story.together()


@scenario("WCS-A", "a learner moves to another school while the old one is offline: marks and edits of both survive, one question, nobody counted twice")
def _():
    entries = story.figure("entries")
    story.cut("LLP")
    hub.sql(f"INSERT INTO transfer (id, learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state) VALUES ('{id(TRANSFER, 1)}', '{id(LEARNER, L17)}',"
            f" '{id(ENROLMENT, L17)}', '{story.site_id('LLP')}', '{story.site_id('CHR')}', '{id(COHORT, 2)}', '2016-04-11', '2016-04-13', 'ASKED')")
    story.wait_for("Chartres to hold the learner from the asking on", lambda: chr.count("learner", f"id = '{id(LEARNER, L17)}'") == 1)
    chr.sql(f"INSERT INTO enrolment (id, learner_id, cohort_id, site_id, name_at_entry, planned_start, planned_end, actual_start, transferred_from) SELECT '{id(ENROLMENT, 117)}',"
            f" '{id(LEARNER, L17)}', '{id(COHORT, 2)}', site_id, 'Camille Famille17', '2016-04-13', '2016-08-05', '2016-04-13', '{id(ENROLMENT, L17)}' FROM perche_self",
            f"UPDATE transfer SET state = 'ACCEPTED' WHERE id = '{id(TRANSFER, 1)}'")
    for half in ("2016-04-12 AM", "2016-04-12 PM"):
        story.mark(llp, half, id(ENROLMENT, L17), "PRESENT", 210)
    llp.sql(f"UPDATE learner_contact SET value = '0611111111' WHERE id = '{id(PHONE, L17)}'")
    for half in ("2016-04-13 AM", "2016-04-13 PM", "2016-04-14 AM", "2016-04-14 PM"):
        story.mark(llp, half, id(ENROLMENT, L17), "ABSENT", 0)
    llp.sql("INSERT INTO enrolment_status_event (enrolment_id, status, effective_on, recorded_at, recorded_site)"
            f" SELECT '{id(ENROLMENT, L17)}', 'DROPPED_OUT', '2016-04-13', '2016-04-14T16:00:00Z', site_id FROM perche_self")
    for half in ("2016-04-13 AM", "2016-04-13 PM"):
        story.mark(chr, half, id(ENROLMENT, 117), "PRESENT", 210)
    chr.sql(f"UPDATE learner_contact SET value = 'chartres@example.org' WHERE id = '{id(EMAIL, L17)}'")
    story.wait_for("the transfer to take effect at the hub", lambda: hub.sql(f"SELECT state FROM transfer WHERE id = '{id(TRANSFER, 1)}'") == "DONE", seconds=60)
    expect("home", hub.sql(f"SELECT code FROM site WHERE id = (SELECT home_site_id FROM learner WHERE id = '{id(LEARNER, L17)}')"), "CHR")
    expect("the old enrolment", hub.sql(f"SELECT actual_end || ' ' || exit_reason FROM enrolment WHERE id = '{id(ENROLMENT, L17)}'"), "2016-04-12 TRANSFER")
    story.offline("nothing of La Loupe has come while its line was cut", lambda: hub.count("attendance", f"enrolment_id = '{id(ENROLMENT, L17)}'"), 0)
    story.heal("LLP")
    story.together()
    story.wait_for("the two statuses of one day to be asked about", lambda: len(story.conflicts(hub, "rule")) == 1, seconds=60)
    story.together()
    expect("marks that count for La Loupe", hub.sql(f"SELECT sum(attended) || ' of ' || sum(planned) FROM indicator_half_day WHERE enrolment_id = '{id(ENROLMENT, L17)}' AND NOT outside"), "420 of 420")
    expect("marks after the transfer, kept and shown", hub.count("indicator_half_day", f"enrolment_id = '{id(ENROLMENT, L17)}' AND outside"), 4)
    expect("marks of Chartres", hub.sql(f"SELECT sum(attended) FROM indicator_half_day WHERE enrolment_id = '{id(ENROLMENT, 117)}' AND NOT outside"), "420")
    expect("both contact edits", chr.sql(f"SELECT group_concat(value, ' ') FROM (SELECT value FROM learner_contact WHERE learner_id = '{id(LEARNER, L17)}' ORDER BY id)"), "0611111111 chartres@example.org")
    asked = story.conflicts(hub, "rule")[0]
    expect("the question", ({asked["a"]["value"], asked["b"]["value"]}, asked["state"]), ({"DROPPED_OUT on 2016-04-13", "TRANSFERRED_OUT on 2016-04-13"}, "open"))
    expect("entries of the network", story.figure("entries"), entries)
    expect("drop-outs", story.figure("drop_outs")[0], 0)
    expect("La Loupe holds neither the learner nor the contacts", (llp.count("learner", f"id = '{id(LEARNER, L17)}'"), llp.count("learner_contact", f"learner_id = '{id(LEARNER, L17)}'")), (0, 0))
    expect("but its enrolment, with the name, and its marks", (llp.sql(f"SELECT name_at_entry FROM enrolment WHERE id = '{id(ENROLMENT, L17)}'"), llp.count("attendance", f"enrolment_id = '{id(ENROLMENT, L17)}'")),
           ("Camille Famille17", 6))
    story.take(hub, asked, "TRANSFERRED_OUT on 2016-04-13", "moved, as agreed")
    story.together()
    expect("after the decision", (story.conflicts(hub, "rule"), story.conflicts(llp, "rule")), ([], []))


@scenario("WCS-B", "two offices on one exit: what they contradict each other in is contested until a person decides, what follows in time is not")
def _():
    for n in (L05, L06):
        llp.sql(f"UPDATE enrolment SET actual_end = '2016-08-05', exit_reason = 'COMPLETION' WHERE id = '{id(ENROLMENT, n)}'")
    story.together()
    story.cut("LLP", "PLC")
    observe = """INSERT INTO outcome_observation (id, enrolment_id, milestone, as_of, situation, source, recorded_at, recorded_site, recorded_by) SELECT '{0}', '{1}', 'W4', '{2}', '{3}', '{4}',
        '2016-09-01T10:00:00Z', site_id, 'x' FROM perche_self"""
    decide = "INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at) VALUES ('{1}', 'W4', '{2}', '{0}', 'MANUAL', 'x', '2016-09-01T10:00:00Z')"
    o = lambda n: id(OBSERVATION, n)
    llp.sql(observe.format(o(1), id(ENROLMENT, L05), "2016-08-31", "JOBSEEKING", "LEARNER_CALL"), decide.format(o(1), id(ENROLMENT, L05), "JOBSEEKING"),
            observe.format(o(2), id(ENROLMENT, L06), "2016-08-20", "JOBSEEKING", "LEARNER_CALL"))
    plc.sql(observe.format(o(3), id(ENROLMENT, L05), "2016-08-31", "EMP_PERMANENT", "EMPLOYER_DOC"), decide.format(o(3), id(ENROLMENT, L05), "EMP_PERMANENT"),
            observe.format(o(4), id(ENROLMENT, L06), "2016-08-31", "EMP_PERMANENT", "EMPLOYER_DOC"))
    story.offline("nothing has come while the lines were cut", lambda: hub.count("outcome_observation"), 0)
    story.heal("PLC")
    story.heal("LLP")
    story.together()
    story.wait_for("the hub to decide what follows in time", lambda: hub.sql(f"SELECT situation || ' ' || rule FROM outcome_decision WHERE enrolment_id = '{id(ENROLMENT, L06)}'") == "EMP_PERMANENT SUCCESSIVE", seconds=60)
    story.together()
    expect("observations, none lost", (hub.count("outcome_observation"), llp.count("outcome_observation")), (4, 4))
    asked = [c for c in story.conflicts(hub, "review") if c["table"] == "outcome_decision"]
    expect("the contradiction", [{c["a"]["value"], c["b"]["value"]} for c in asked], [{"JOBSEEKING", "EMP_PERMANENT"}])
    expect("the day's figure", story.figure("ESF_EMP_4W", part="POSITIVE"), (1, 1, 1))
    expect_in("perche report", "contested", hub.perche("report", "ESF_EMP_4W"))
    story.take(plc, asked[0], "EMP_PERMANENT", "contract seen")
    story.together()
    expect("once decided", story.figure("ESF_EMP_4W", part="POSITIVE"), (2, 2, 0))
    expect("which observation is taken", hub.sql(f"SELECT observation_id FROM outcome_decision WHERE enrolment_id = '{id(ENROLMENT, L05)}'"), o(3))
    llp.sql(observe.format(o(5), id(ENROLMENT, L05), "2016-09-10", "JOBSEEKING", "LEARNER_CALL").replace("'W4'", "'M3'"))
    story.together()
    expect("what comes later touches another milestone", story.figure("ESF_EMP_4W", part="POSITIVE"), (2, 2, 0))


@scenario("WCS-C", "one person, two registrations, and a namesake: candidates, links, a contradiction, undone; no id changes")
def _():
    people = ((91, llp, "LE GOFF-MARTIN", "Aurélie", "0612345678"), (92, chr, "Martin", "Aurelie", "06 12 34 56 78"), (93, llp, "Le Goff", "Aurélie", "0699999999"))
    for n, node, family, given, phone in people:
        story.learner(node, n, family=family, given=given, born="1991-02-03")
        node.sql(f"UPDATE learner_contact SET value = '{phone}' WHERE id = '{id(PHONE, n)}'")
    story.together()
    pairs = f"SELECT group_concat(substr(learner_a, -1) || substr(learner_b, -1) || ' ' || state, ', ') FROM (SELECT * FROM duplicate_candidate WHERE learner_a BETWEEN '{id(LEARNER, 91)}' AND '{id(LEARNER, 93)}' ORDER BY 2, 3)"
    people_now = f"SELECT count(DISTINCT person_id) FROM learner_person WHERE learner_id BETWEEN '{id(LEARNER, 91)}' AND '{id(LEARNER, 93)}'"
    story.wait_for("the candidates", lambda: hub.sql(pairs) == "12 OPEN, 13 OPEN", seconds=60)
    link = "INSERT INTO learner_link (learner_a, learner_b, decision, survivor, decided_by, decided_at) VALUES ('{}', '{}', '{}', {}, 'x', '{}')"
    one, two, three = (id(LEARNER, n) for n in (91, 92, 93))
    hub.sql(link.format(one, two, "SAME", f"'{one}'", "2016-05-01T10:00:00Z"), link.format(one, three, "DIFFERENT", "NULL", "2016-05-01T10:01:00Z"))
    story.wait_for("the links to be seen", lambda: hub.sql(pairs) == "12 SAME, 13 DIFFERENT", seconds=60)
    expect("people", hub.sql(people_now), "2")
    expect("perche duplicates", (hub.json("duplicates")["duplicates"], [p["state"] for p in hub.json("duplicates", "--all")["duplicates"]].count("SAME")), ([], 1))
    story.together()
    story.cut("PLC")
    plc.sql(link.format(one, two, "DIFFERENT", "NULL", "2016-05-02T10:00:00Z"))
    story.offline("offline", lambda: hub.count("learner_link"), 2)
    story.heal("PLC")
    story.together()
    story.wait_for("the contradiction to be asked about", lambda: [c["column"] for c in story.conflicts(hub, "rule")] == ["one person or two"], seconds=60)
    hub.sql(link.format(one, two, "UNDO", "NULL", "2016-05-03T10:00:00Z"))
    story.wait_for("what is undone is no question any more", lambda: story.conflicts(hub, "rule") == [] and hub.sql(pairs) == "12 OPEN, 13 DIFFERENT", seconds=60)
    expect("people again", hub.sql(people_now), "3")
    pair = hub.json("duplicates")["duplicates"][0]
    expect("the pair for people", {pair["a"]["name"], pair["b"]["name"]}, {"Aurélie LE GOFF-MARTIN", "Aurelie Martin"})
    expect_in("decided by one command", "one person now", hub.perche("duplicates", "same", pair["id"]))
    story.wait_for("that to be seen", lambda: hub.sql(people_now) == "2", seconds=60)
    expect("ids", hub.count("learner", f"id BETWEEN '{one}' AND '{three}'"), 3)


@scenario("WCS-D", "one bed, two leases: both are kept, and a person is asked")
def _():
    llp.sql(f"INSERT INTO housing_unit (id, site_id, label, beds, rent_cents) SELECT '{id(UNIT, 7)}', site_id, 'LLP-07', 1, 25000 FROM perche_self")
    story.together()
    story.cut("LLP")
    lease = "INSERT INTO housing_lease (id, unit_id, enrolment_id, starts_on, ends_on, rent_cents, state) VALUES ('{}', '{}', '{}', '{}', '{}', 25000, 'BOOKED')"
    llp.sql(lease.format(id(LEASE, 1), id(UNIT, 7), id(ENROLMENT, L21), "2016-03-01", "2016-08-01"))
    hub.sql(lease.format(id(LEASE, 2), id(UNIT, 7), id(ENROLMENT, L06), "2016-07-01", "2016-12-01"))
    story.offline("offline", lambda: hub.count("housing_lease"), 1)
    story.heal("LLP")
    story.wait_for("the bed to be asked about", lambda: [c["column"] for c in story.conflicts(hub, "rule")] == ["bed let twice"], seconds=60)
    story.together()
    expect("leases", (hub.count("housing_lease"), llp.count("housing_lease")), (2, 2))
    expect("states", hub.sql("SELECT group_concat(DISTINCT state) FROM housing_lease"), "BOOKED")
    expect("the rent of five months", hub.sql(f"SELECT 5 * rent_cents FROM housing_lease WHERE id = '{id(LEASE, 1)}'"), "125000")
    expect("the school is asked too", len(story.conflicts(llp, "rule")), 1)
    llp.sql(f"UPDATE housing_lease SET ends_on = '2016-07-01' WHERE id = '{id(LEASE, 1)}'")
    story.wait_for("a lease that ends earlier is no question any more", lambda: story.conflicts(hub, "rule") == [], seconds=60)
    story.together()
    expect("at the school", story.conflicts(llp, "rule"), [])


@scenario("WCS-F", "alumni and reference data: two edits of one stay are both kept, and a host that was merged is printed as it was called")
def _():
    org = "INSERT INTO organisation (id, name, valid_from, valid_to, successor_id) VALUES "
    hub.sql(org + f"('{id(ORGANISATION, 1)}', 'Portes du Perche', NULL, '2016-12-31', '{id(ORGANISATION, 2)}'), ('{id(ORGANISATION, 2)}', 'Terres de Perche', '2017-01-01', NULL, NULL), ('{id(ORGANISATION, 3)}', 'Pépinière', NULL, NULL, NULL)",
            f"UPDATE site SET host_org_id = '{id(ORGANISATION, 1)}' WHERE code = 'LLP'")
    llp.sql(f"INSERT INTO venture (id, site_id, name) SELECT '{id(VENTURE, 1)}', site_id, 'Atelier' FROM perche_self",
            f"INSERT INTO venture_founder (venture_id, learner_id) VALUES ('{id(VENTURE, 1)}', '{id(LEARNER, L05)}'), ('{id(VENTURE, 1)}', '{id(LEARNER, L06)}')",
            f"INSERT INTO incubation (id, venture_id, incubator_org_id, starts_on, free_months) VALUES ('{id(VENTURE, 2)}', '{id(VENTURE, 1)}', '{id(ORGANISATION, 3)}', '2015-05-04', 6)")
    story.cohort(llp, 3, "P4", "2017-03-06", "2017-08-04")
    story.together()
    story.cut("LLP")
    llp.sql(f"UPDATE incubation SET ends_on = '2015-11-03' WHERE id = '{id(VENTURE, 2)}'")
    hub.sql(f"UPDATE venture SET name = 'Atelier numérique du Perche' WHERE id = '{id(VENTURE, 1)}'")
    story.offline("offline", lambda: (hub.sql(f"SELECT ends_on FROM incubation WHERE id = '{id(VENTURE, 2)}'"), llp.sql(f"SELECT name FROM venture WHERE id = '{id(VENTURE, 1)}'")), ("", "Atelier"))
    story.heal("LLP")
    story.together()
    for node in (hub, llp):
        expect("both edits", node.sql(f"SELECT v.name || ', to ' || i.ends_on FROM venture v JOIN incubation i ON i.venture_id = v.id WHERE v.id = '{id(VENTURE, 1)}'"), "Atelier numérique du Perche, to 2015-11-03")
    expect("founders", llp.count("venture_founder"), 2)
    expect("what the cohorts print", llp.sql(f"SELECT group_concat(host, ', ') FROM (SELECT host FROM cohort_host WHERE cohort_id IN ('{id(COHORT, 1)}', '{id(COHORT, 3)}') ORDER BY starts_on)"), "Portes du Perche, Terres de Perche")


@scenario("WCS-G", "a hackathon of three schools: participants that they add and remove offline are all there, and nothing is silent")
def _():
    story.learner(chr, 31)
    story.learner(drx, 32)
    llp.sql(f"INSERT INTO event (id, site_id, kind, title, starts_on, days) SELECT '{id(EVENT, 1)}', site_id, 'HACKATHON', 'Comice', '2015-06-12', 2 FROM perche_self",
            f"INSERT INTO event_site (event_id, site_id) SELECT '{id(EVENT, 1)}', id FROM site WHERE code IN ('CHR', 'DRX')",
            f"INSERT INTO event_participant (event_id, learner_id) VALUES ('{id(EVENT, 1)}', '{id(LEARNER, L05)}'), ('{id(EVENT, 1)}', '{id(LEARNER, L06)}')")
    story.together()
    expect("the event is at all three", [n.count("event") for n in (llp, chr, drx)], [1, 1, 1])
    story.cut("LLP", "CHR", "DRX")
    add = f"INSERT INTO event_participant (event_id, learner_id) VALUES ('{id(EVENT, 1)}', '{{}}')"
    remove = f"DELETE FROM event_participant WHERE event_id = '{id(EVENT, 1)}' AND learner_id = '{{}}'"
    llp.sql(add.format(id(LEARNER, L21)))
    chr.sql(add.format(id(LEARNER, 31)), remove.format(id(LEARNER, L05)))
    drx.sql(add.format(id(LEARNER, 32)), remove.format(id(LEARNER, L06)), add.format(id(LEARNER, L06)))  # taken out by mistake, and put back
    story.offline("offline", lambda: hub.count("event_participant"), 2)
    story.heal("LLP", "CHR", "DRX")
    story.together()
    here = f"SELECT group_concat(CAST(substr(learner_id, -2) AS INTEGER), ' ') FROM (SELECT learner_id FROM event_participant WHERE event_id = '{id(EVENT, 1)}' ORDER BY 1)"
    for node in (hub, llp, chr, drx):
        expect(f"participants at {node.key}", node.sql(here), "6 21 31 32")


main(story, build)
