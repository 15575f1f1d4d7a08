#!/usr/bin/env python3
"""P3, P5: rows end the same whatever the order. A child that the hub has before a site inserts its parent belongs to that
site as well, as it does when the parent came first."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()

ID = "01487832-4000-7000-80%02d-0000000000%02d"


def build():
    global hub, drx
    hub = net.add_hub()
    drx = net.add_site("dreux")
    drx.sync_wait()


def enrolment(n):
    return f"""INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)
        VALUES ('{ID % (2, n)}', 'l', 'c', '{drx.id}', '2026-01-05', '2026-06-30')"""


def decision(n):
    return f"""INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)
        VALUES ('{ID % (2, n)}', 'M6', 'JOBSEEKING', 'o', 'LAST', 'x', '2026-07-01')"""


def at_site(n):
    drx.sync_wait()
    drx.sync_wait()
    expect("the parent at the hub", hub.count("enrolment", f"id = '{ID % (2, n)}'"), 1)
    expect("the child at the hub", hub.count("outcome_decision", f"enrolment_id = '{ID % (2, n)}'"), 1)
    said = hub.perche("show", "outcome_decision", ID % (2, n) + ",M6").splitlines()[2]
    expect(f"the child at the site of its parent, which says that it is proven equal (the hub: {said})",
           drx.count("outcome_decision", f"enrolment_id = '{ID % (2, n)}'"), 1)


@case("parent first, then the child")
def _():
    drx.sql(enrolment(1))
    drx.sync_wait()
    hub.sql(decision(1))
    at_site(1)


@case("the child first at the hub, then the parent at a site that is live")
def _():
    hub.sql(decision(2))
    drx.sync_wait()
    drx.sql(enrolment(2))
    at_site(2)


@case("the same, both written while the other was away")
def _():
    drx.stop()
    drx.sql(enrolment(3))
    hub.sql(decision(3))
    drx.start()
    at_site(3)


@case("a learner's contact before the learner")
def _():
    hub.sql(f"INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('{ID % (4, 4)}', '{ID % (1, 4)}', 'MAIL', 'x@example.org')")
    drx.sync_wait()
    drx.sql(f"INSERT INTO learner (id, home_site_id) VALUES ('{ID % (1, 4)}', '{drx.id}')")
    drx.sync_wait()
    drx.sync_wait()
    expect("the contact at the hub", hub.count("learner_contact"), 1)
    expect("the contact at the learner's site", drx.count("learner_contact"), 1)


perche_net.main(build, [net])
