#!/usr/bin/env python3
"""WebOgreen: Verdun, the Numéripôle, and the desks of two prescribers."""
import json
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from perche_net import expect, expect_in
from scenario import APPLICATION, COHORT, ENROLMENT, LEARNER, ORGANISATION, PHONE, Story, id, main, scenario

story = Story({"VRD": "Verdun", "NUM": "Numéripôle", "ML": ("Mission locale", "PARTNER_DESK"), "E2C": ("École de la 2e chance", "PARTNER_DESK")})
WEEKS = [f"2015-12-{d:02d}" for d in (7, 8, 9, 10, 11, 14, 15, 16, 17, 18)]


def build():
    global hub, vrd, num, ml, e2c
    hub, vrd, num, ml, e2c = story.hub, story.VRD, story.NUM, story.ML, story.E2C
    story.cohort(vrd, 1, "P1", "2015-11-30", "2016-06-24", mode="MIXED")
    story.half_days(vrd, 1, WEEKS, mode="DISTANCE")
    for n in (3, 9):
        story.learner(vrd, n, cohort=1, start="2015-11-30", end="2016-06-24")
    story.together()


@scenario("WBO-A", "three weeks at a distance: what was sent as absent by default is corrected by the traces that come at once, and the statement has a new version")
def _():
    story.cut("VRD")
    traces = "INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site, voids) SELECT h.id, '{e}', '{m}', {n}, '{p}', '{at}', site_id, {v} FROM half_day h, perche_self WHERE h.cohort_id = '{c}'"
    learner, cohort = id(ENROLMENT, 3), id(COHORT, 1)
    hub.sql(traces.format(e=learner, m="ABSENT", n=0, p="TRAINER_ONLY", at="2015-12-20T08:00:00Z", v="NULL", c=cohort))
    month = ("--cohort", "P1", "--from", "2015-12-01", "--to", "2015-12-31")
    expect("the month as it was sent", story.figure("attendance", *month, part="GROSS")[:2], (0, 2 * 20 * 210))
    sent = [p["id"] for p in hub.json("report", "attendance", *month, "--publish")["published"] if p["part"] == "GROSS"][0]
    rows = "half_day_id,enrolment_id,mark,minutes,proof,recorded_at\n" + "".join(
        f"{h},{learner},DISTANCE_DONE,210,LMS_TRACE,2015-12-28T09:00:00Z\n" for h in vrd.sql(f"SELECT id FROM half_day WHERE cohort_id = '{cohort}' ORDER BY day, half").split())
    path = os.path.join(story.folder, "lms.csv")
    with open(path, "w") as f:
        f.write(rows)
    expect("the upload", json.loads(vrd.perche("--json", "import", path, "--table", "attendance"))["new"], 20)
    expect("the upload, repeated", json.loads(vrd.perche("--json", "import", path, "--table", "attendance", "--again"))["new"], 0)
    story.offline("nothing of it has come while the line was cut", lambda: hub.count("attendance"), 20)
    story.heal("VRD")
    vrd.sql(f"INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site, voids) SELECT a.half_day_id, a.enrolment_id, 'DISTANCE_DONE', 210, 'LMS_TRACE', '2015-12-28T10:00:00Z', site_id, a.id"
            f" FROM attendance a, perche_self WHERE a.mark = 'ABSENT' AND a.enrolment_id = '{learner}'")
    story.together()
    expect("marks, none of them lost", hub.count("attendance"), 60)
    expect("minutes of who was followed", hub.sql(f"SELECT sum(attended) || ' of ' || sum(planned) FROM indicator_half_day WHERE enrolment_id = '{learner}' AND NOT contested"), "4200 of 4200")
    expect("the month now", story.figure("attendance", *month, part="GROSS")[:2], (4200, 2 * 20 * 210))
    again = [p["id"] for p in hub.json("report", "attendance", *month, "--publish")["published"] if p["part"] == "GROSS"][0]
    expect("two versions", hub.sql(f"SELECT group_concat(value_text, ' then ') FROM (SELECT value_text FROM report_snapshot WHERE id IN ('{sent}', '{again}') ORDER BY id)"), "0.00 then 50.00")
    changed = hub.json("report", "--since", sent)["rows"]
    expect("whom the correction is about", {r["id"] for r in changed}, {learner})


@scenario("WBO-B", "a clock that says 2000: the marks keep their day, the edit neither wins nor loses by it, and the operator sees the skew")
def _():
    vrd.sql(f"UPDATE learner_contact SET value = '0329000001' WHERE id = '{id(PHONE, 9)}'")
    story.learner(num, 41)
    story.cohort(num, 4, "N1", "2016-01-04", "2016-06-24")
    story.half_days(num, 4, ["2016-01-04"])
    num.sql(f"INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end, actual_start) SELECT '{id(ENROLMENT, 41)}', '{id(LEARNER, 41)}', '{id(COHORT, 4)}', site_id, '2016-01-04', '2016-06-24', '2016-01-04' FROM perche_self")
    story.together()
    num.stop()
    story.cut("NUM")
    num.ahead_s = 946684800 - int(time.time())  # 2000-01-01
    num.start()
    story.mark(num, "2016-01-04 AM", id(ENROLMENT, 41), "PRESENT", 210)
    num.sql(f"UPDATE learner_contact SET value = '0329111111' WHERE id = '{id(PHONE, 41)}'")
    story.offline("nothing has come while the line was cut", lambda: hub.count("attendance", f"enrolment_id = '{id(ENROLMENT, 41)}'"), 0)
    story.heal("NUM")
    story.together()
    expect("the mark and its day", hub.sql(f"SELECT day || ' ' || mark FROM indicator_half_day WHERE enrolment_id = '{id(ENROLMENT, 41)}' AND NOT unmarked"), "2016-01-04 PRESENT")
    expect("the edit was the last one", hub.sql(f"SELECT value FROM learner_contact WHERE id = '{id(PHONE, 41)}'"), "0329111111")
    offset = [s["clock_offset_ms"] for s in hub.json("sites")["sites"] if s["name"] == "Numéripôle"][0]
    expect("the skew is reported, years of it", abs(offset) > 10 * 365 * 86400 * 1000, True)
    expect("no date of 2000 in a statement", hub.count("indicator_half_day", "day < '2015-01-01'"), 0)
    num.stop()
    num.ahead_s = 0
    num.start()
    story.together()


@scenario("WBO-E", "two desks send the same person to the school: it sees both, each desk only its own, and one application is entered")
def _():
    story.learner(ml, 51, family="Dupont", given="Léa", born="1995-05-05")
    story.learner(e2c, 52, family="Dupont", given="Lea", born="1995-05-05")
    hub.sql(f"INSERT INTO organisation (id, name) VALUES ('{id(ORGANISATION, 5)}', 'Mission locale'), ('{id(ORGANISATION, 6)}', 'E2C')")
    story.together()
    for node, n, org in ((ml, 51, 5), (e2c, 52, 6)):
        node.sql("INSERT INTO referral (site_id, desk_site_id, learner_id, cohort_id, prescriber_org_id, referred_on)"
                 f" SELECT (SELECT id FROM site WHERE code = 'VRD'), site_id, '{id(LEARNER, n)}', '{id(COHORT, 1)}', '{id(ORGANISATION, org)}', '2015-10-20' FROM perche_self")
    story.together()
    both = f"id IN ('{id(LEARNER, 51)}', '{id(LEARNER, 52)}')"
    expect("who sees whom", [n.count("learner", both) for n in (vrd, ml, e2c, num)], [2, 1, 1, 0])
    story.wait_for("the pair to be found", lambda: hub.count("duplicate_candidate", f"learner_a = '{id(LEARNER, 51)}' AND learner_b = '{id(LEARNER, 52)}'") == 1, seconds=60)
    hub.sql(f"INSERT INTO learner_link (learner_a, learner_b, decision, survivor, decided_by, decided_at) VALUES ('{id(LEARNER, 51)}', '{id(LEARNER, 52)}', 'SAME', '{id(LEARNER, 51)}', 'x', '2015-10-21T10:00:00Z')")
    story.together()
    vrd.sql(f"INSERT INTO application (id, site_id, cohort_id, learner_id, received_on, channel, stage) SELECT '{id(APPLICATION, 1)}', site_id, '{id(COHORT, 1)}', '{id(LEARNER, 51)}', '2015-10-22', 'PRESCRIBER', 'RECEIVED' FROM perche_self")
    story.together()
    expect("two referrals, one application", (hub.count("referral"), hub.count("application")), (2, 1))
    expect("one person", hub.sql(f"SELECT count(DISTINCT person_id) FROM learner_person WHERE learner_{both}"), "1")
    expect("each desk has its own referral alone", [n.count("referral") for n in (ml, e2c, vrd)], [1, 1, 2])


@scenario("WBO-F", "the funnel: 64 applications, 32 interviews, 20 admitted; who was refused stays with nobody but the hub's own school")
def _():
    vrd.sql(f"""INSERT INTO learner (id, home_site_id, birth_family_name) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 64)
            SELECT printf('0198f3a0-0000-7000-8090-%012d', n), site_id, 'Candidat ' || n FROM n, perche_self""",
            f"""INSERT INTO application (id, site_id, cohort_id, learner_id, received_on, stage) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 64)
            SELECT printf('0198f3a0-0000-7000-8091-%012d', n), site_id, '{id(COHORT, 1)}', printf('0198f3a0-0000-7000-8090-%012d', n), '2015-11-01', CASE WHEN n <= 20 THEN 'ADMITTED' ELSE 'REFUSED' END FROM n, perche_self""",
            """INSERT INTO application_score (application_id, criterion, score, assessor, at) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 32)
            SELECT printf('0198f3a0-0000-7000-8091-%012d', n), 'MOTIVATION', 3, 'x', '2015-11-10T10:00:00Z' FROM n""")
    story.together()
    period = ("--from", "2015-11-01", "--to", "2015-11-30")
    expect("interviews", story.figure("selection", *period, part="INTERVIEWED"), (32, 64, 0))
    expect("admitted", story.figure("selection", *period, part="ADMITTED"), (20, 64, 0))
    expect("no other site has any of them", [n.count("learner", "id LIKE '%-8090-%'") for n in (num, ml, e2c)], [0, 0, 0])


main(story, build)
