#!/usr/bin/env python3
"""Pop School: Lens, and the finance office of the agglomeration."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import shutil
from perche_net import expect, expect_in
from scenario import AGREEMENT, COHORT, ENROLMENT, LEARNER, ORGANISATION, PHONE, Story, id, main, scenario

story = Story({"LNS": "Lens", "FIN": ("Finances", "FINANCE_OFFICE")})


def build():
    global hub, lns, fin
    hub, lns, fin = story.hub, story.LNS, story.FIN
    story.readers("FIN", "finance")
    story.cohort(lns, 1, "P1", "2017-06-06", "2017-12-01", 24)
    story.cohort(lns, 2, "P2", "2017-11-06", "2018-05-04", 24)
    story.half_days(lns, 1, ["2017-11-29", "2017-11-30"])
    story.half_days(lns, 2, ["2017-11-29", "2017-11-30"])
    for n in (15, 16):
        story.learner(lns, n, cohort=1, start="2017-06-06", end="2017-12-01")
    hub.sql(f"INSERT INTO organisation (id, name) VALUES ('{id(ORGANISATION, 1)}', 'FEDER')")
    hub.sql("INSERT INTO funding_agreement (id, site_id, funder_org_id, programme, level, level_id, state, granted_cents, eligible_total_cents)"
            f" VALUES ('{id(AGREEMENT, 1)}', '{story.site_id('LNS')}', '{id(ORGANISATION, 1)}', 'FEDER', 'SITE', '{story.site_id('LNS')}', 'GRANTED', 128095500, 200000000)")
    story.together()


@scenario("POP-B", "two totals of one grant: a conflict; the rate is one or the other, never a mix, and the grant is untouched")
def _():
    expect("the office sees what it pays for, and nobody's learners", (fin.count("funding_agreement"), fin.count("learner")), (1, 0))
    story.cut("LNS")
    fin.sql(f"UPDATE funding_agreement SET eligible_total_cents = 213492500 WHERE id = '{id(AGREEMENT, 1)}'")
    lns.sql(f"UPDATE funding_agreement SET eligible_total_cents = 210000000 WHERE id = '{id(AGREEMENT, 1)}'")
    fin.sync_wait()
    story.offline("offline", lambda: hub.sql("SELECT eligible_total_cents FROM funding_agreement"), "213492500")
    story.heal("LNS")
    story.together()
    asked = story.conflicts(hub, "review")
    expect("the question", [(c["column"], {c["a"]["value"], c["b"]["value"]}) for c in asked], [("eligible_total_cents", {213492500, 210000000})])
    expect("while it is open the agreement counts neither way", story.figure("co_funding", part="FEDER"), (0, 0, 1))
    for total, rate in ((213492500, "6000"), (210000000, "6099")):
        hub.sql(f"UPDATE funding_agreement SET eligible_total_cents = {total}")
        for c in story.conflicts(hub, "review"):
            hub.perche("conflicts", "resolve", c["id"], "--value", str(total), "--reason", "the convention says so")
        row = [r for f in hub.json("report", "co_funding")["figures"] for r in f["rows"] if not r["group"]][0]
        expect(f"the rate of {total}", (row["value"], row["numerator"], row["denominator"]), (rate, 128095500, total))
    story.together()
    expect("at the school", lns.sql("SELECT granted_cents || ' of ' || eligible_total_cents FROM funding_agreement"), "128095500 of 210000000")


@scenario("POP-C", "a disk image three weeks old is put back, and the school goes on writing: no number twice, what was lost comes back, what was written since survives")
def _():
    lns.stop()
    kept = os.path.join(story.folder, "image")
    shutil.copytree(lns.data, kept)
    lns.start()
    story.learner(lns, 61)
    lns.sql(f"UPDATE learner_contact SET value = '0321000061' WHERE id = '{id(PHONE, 15)}'")
    story.together()
    epoch = lns.status()["epoch"]
    lns.stop()
    story.cut("LNS")
    for name in os.listdir(lns.data):
        if name.startswith("replica.db"):
            os.unlink(os.path.join(lns.data, name))
    for name in os.listdir(kept):
        if name.startswith("replica.db"):
            shutil.copy2(os.path.join(kept, name), os.path.join(lns.data, name))
    lns.start()
    expect("three weeks are gone", lns.count("learner", f"id = '{id(LEARNER, 61)}'"), 0)
    story.learner(lns, 62)
    story.offline("offline", lambda: hub.count("learner", f"id = '{id(LEARNER, 62)}'"), 0)
    story.heal("LNS")
    story.together()
    expect("a new incarnation", lns.status()["epoch"] != epoch, True)
    for node in (hub, lns):
        expect(f"learners at {node.key}", node.count("learner", f"id IN ('{id(LEARNER, 61)}', '{id(LEARNER, 62)}')"), 2)
        expect(f"the edit at {node.key}", node.sql(f"SELECT value FROM learner_contact WHERE id = '{id(PHONE, 15)}'"), "0321000061")
    expect("proven equal", lns.json("verify")["equal"], True)


@scenario("POP-E", "a learner who moves house: the contact changes, where he lived at entry does not")
def _():
    lns.sql(f"INSERT INTO entry_profile (enrolment_id, labour_status, commune_insee, recorded_at) VALUES ('{id(ENROLMENT, 15)}', 'UNEMPLOYED', '62498', '2017-06-06T09:00:00Z')",
            f"INSERT INTO learner_contact (id, learner_id, kind, value, postcode, commune_insee, valid_from) VALUES ('{id(20, 15)}', '{id(LEARNER, 15)}', 'ADDRESS', '1 rue de la Gare', '62300', '62498', '2017-06-06')")
    story.together()
    story.cut("LNS")
    lns.sql(f"UPDATE learner_contact SET value = '2 rue de Lille', postcode = '59000', commune_insee = '59350', valid_from = '2017-07-06' WHERE id = '{id(20, 15)}'")
    story.offline("offline", lambda: hub.sql(f"SELECT commune_insee FROM learner_contact WHERE id = '{id(20, 15)}'"), "62498")
    story.heal("LNS")
    expect("now and at entry", hub.sql(f"SELECT c.commune_insee || ' ' || p.commune_insee FROM learner_contact c, entry_profile p WHERE c.id = '{id(20, 15)}' AND p.enrolment_id = '{id(ENROLMENT, 15)}'"), "59350 62498")
    expect("who was eligible stays so", hub.count("entry_profile", "commune_insee = '62498'"), 1)


@scenario("POP-F", "cohorts that overlap: the two enrolments of one person never add their minutes for one half-day")
def _():
    lns.sql(f"INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end, actual_start) SELECT '{id(ENROLMENT, 116)}', '{id(LEARNER, 16)}', '{id(COHORT, 2)}', site_id, '2017-11-06', '2018-05-04', '2017-11-06' FROM perche_self")
    for enrolment in (id(ENROLMENT, 16), id(ENROLMENT, 116)):
        story.mark(lns, "2017-11-29 AM", enrolment, "PRESENT", 210)
    story.together()
    day = ("--from", "2017-11-29", "--to", "2017-11-29")
    expect("each cohort has its own sheet", [r["numerator"] for f in hub.json("report", "attendance", *day, "--by", "cohort")["figures"] for r in f["rows"] if r["group"] and r["part"] == "GROSS"], [210, 210])
    expect("the school counts the person once", story.figure("attendance", *day, part="GROSS")[0], 210)


main(story, build)
