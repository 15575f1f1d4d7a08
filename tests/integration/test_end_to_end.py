#!/usr/bin/env python3
"""A hub and three sites over TLS: which site holds which row. Every row is written and read by the sqlite3 shell.

How sites come to share rows, a case each: a transfer that was asked, a reader of an area, enrolments at two sites."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

net = perche_net.Network()
LEARNER = "01487832-4000-7000-8001-0000000000%02d"
ENROLMENT = "01487832-4000-7000-8002-0000000000%02d"


def build():
    global hub, llp, chr_, drx
    hub = net.add_hub()
    llp, chr_, drx = (net.add_site(key) for key in net.SITES)
    net.cohort("la-loupe")


def ask_transfer(n, to, state="ASKED"):
    llp.sql(f"""INSERT INTO transfer (learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)
        SELECT '{LEARNER % n}', '{ENROLMENT % n}', site_id, '{to.id}', 'P1', '2015-03-02', '2015-03-09', '{state}'
        FROM perche_self""")


def in_step(*sites):
    for site in sites or (llp, chr_, drx):
        site.sync_wait()


def insert_contact(site, n, value):
    site.sql(f"INSERT INTO learner_contact (learner_id, kind, value) VALUES ('{LEARNER % n}', 'PHONE', '{value}')")


def contact(node, value):
    return node.sql(f"SELECT learner_id FROM learner_contact WHERE value = '{value}'")


@case("sites that have joined know themselves, the hub and the reference data, and nothing of each other")
def _():
    in_step()
    for site, code in ((llp, "LLP"), (chr_, "CHR"), (drx, "DRX")):
        expect(f"perche_self at {site.key}", site.sql("SELECT site_id, site_code, role, hub_site_id, joined FROM perche_self"),
               f"{site.id}|{code}|site|{hub.status()['id']}|1")
        for table in ("code_list", "organisation", "site", "training", "indicator_definition"):
            expect(f"{table} at {site.key}", site.sql(f"SELECT * FROM {table}"), hub.sql(f"SELECT * FROM {table}"))
        status = site.status()
        expect(f"state of {site.key}", (status["role"], status["state"], status["pending"]), ("site", "live", 0))
        if not status["proven_equal_at"]:
            raise perche_net.Failure(f"{site.key} is not proven equal")
    expect("learners at the hub", hub.count("learner"), 28)
    expect("learners at La Loupe", llp.count("learner"), 28)
    for site in (chr_, drx):
        for table in ("learner", "learner_contact", "enrolment", "cohort", "half_day", "housing_unit", "project"):
            expect(f"{table} at {site.key}", site.count(table), 0)
    def all_in_step():
        sites = hub.json("sites")["sites"]
        expect("the hub's sites", sorted(s["id"] for s in sites), sorted([llp.id, chr_.id, drx.id]))
        for s in sites:
            expect(f"state of {s['name']} at the hub", (s["state"], s["pending"], s["behind"], bool(s["proven_equal_at"])),
                   ("live", 0, 0, True))
        return True

    net.wait_for("the hub to show all in step", all_in_step, seconds=10)  # a site's position reaches it with the next request


@case("a row inserted at one site is read at the hub and at another that shares its scope, and not at a third, which has "
      "rows of its own and of *, shares a scope with the first for other rows, and is proven equal at that moment")
def _():
    ask_transfer(17, chr_)  # learner 17 is La Loupe's and Chartres'
    ask_transfer(5, drx)    # learner 5 is La Loupe's and Dreux'
    drx.sql("INSERT INTO cohort (site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
            " SELECT site_id, (SELECT id FROM training), 'D1', '2015-03-02', '2015-09-30', 12, 'ON_SITE', 'PLANNED' FROM perche_self")
    in_step(llp, drx, chr_, llp)
    expect("learners at Chartres", chr_.sql("SELECT id FROM learner"), LEARNER % 17)
    expect("learners at Dreux", drx.sql("SELECT id FROM learner"), LEARNER % 5)

    before = drx.status()["proven_equal_at"]
    insert_contact(llp, 17, "0639981701")
    net.wait_for("the row at the hub", lambda: contact(hub, "0639981701") == LEARNER % 17)
    net.wait_for("the row at Chartres", lambda: contact(chr_, "0639981701") == LEARNER % 17)

    drx.sync_wait()  # exit 0: what both ends had has arrived and a comparison has said equal
    after = drx.status()["proven_equal_at"]
    if not after or after <= (before or ""):
        raise perche_net.Failure(f"Dreux was proven equal at {before}, and then at {after}: not since the row was written")
    expect("the row at Dreux", contact(drx, "0639981701"), "")
    expect("rows of Dreux' own", drx.sql("SELECT code FROM cohort"), "D1")
    expect("rows of * at Dreux", drx.sql("SELECT * FROM organisation"), hub.sql("SELECT * FROM organisation"))
    shared = f"SELECT * FROM learner_contact WHERE learner_id = '{LEARNER % 5}' ORDER BY id"
    expect("rows that Dreux shares with La Loupe", drx.sql(shared), llp.sql(shared))
    expect("how many they are", drx.count("learner_contact"), 3)
    net.proven()


@case("the other way round: a row that the third site shares with the first is not at the second")
def _():
    insert_contact(drx, 5, "0639980501")  # written at Dreux, of a learner of La Loupe's
    net.wait_for("the row at La Loupe", lambda: contact(llp, "0639980501") == LEARNER % 5)
    expect("the row at the hub", contact(hub, "0639980501"), LEARNER % 5)
    chr_.sync_wait()
    expect("the row at Chartres", contact(chr_, "0639980501"), "")
    net.proven()


@case("rows of a learner follow when its scope widens: those that were there before, too")
def _():
    expect("contacts at Chartres", chr_.sql("SELECT id, value FROM learner_contact ORDER BY id"),
           llp.sql(f"SELECT id, value FROM learner_contact WHERE learner_id = '{LEARNER % 17}' ORDER BY id"))
    expect("the transfer at Chartres", chr_.sql("SELECT state FROM transfer"), "ASKED")
    expect("enrolments at Chartres, which are their own site's", chr_.count("enrolment"), 0)


@case("enrolments at two sites, the second written by the hub, make the learner both sites' and each enrolment its own site's")
def _():
    hub.sql(f"""INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)
        SELECT '01487832-4000-7000-8003-000000000002', '{chr_.id}', id, 'C1', '2015-05-04', '2015-09-30', 12, 'ON_SITE', 'PLANNED'
        FROM training;
        INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)
        VALUES ('01487832-4000-7000-8002-000000001020', '{LEARNER % 20}', '01487832-4000-7000-8003-000000000002', '{chr_.id}',
                '2015-05-04', '2015-09-30')""")
    net.wait_for("learner 20 at Chartres", lambda: chr_.count("learner", f"id = '{LEARNER % 20}'") == 1)
    in_step()
    expect("contacts of learner 20 at Chartres", chr_.count("learner_contact", f"learner_id = '{LEARNER % 20}'"), 3)
    expect("enrolments at Chartres", chr_.sql("SELECT id FROM enrolment"), "01487832-4000-7000-8002-000000001020")
    expect("enrolments of learner 20 at La Loupe", llp.sql(f"SELECT id FROM enrolment WHERE learner_id = '{LEARNER % 20}'"),
           ENROLMENT % 20)
    chr_.sql(f"UPDATE learner SET call_name = 'L20' WHERE id = '{LEARNER % 20}'")
    net.wait_for("the edit of Chartres at La Loupe", lambda: llp.count("learner", "call_name = 'L20'") == 1)
    net.proven()


@case("a reader of an area holds the rows of its tables and may write them, and gets no others")
def _():
    hub.sql(f"INSERT INTO site_reader (site_id, reader_id, area, may_write) VALUES ('{chr_.id}', '{drx.id}', 'placement', 1)")
    in_step(drx, chr_)
    chr_.sql("""INSERT INTO learner (id, home_site_id) SELECT '01487832-4000-7000-8001-000000002001', site_id FROM perche_self;
        INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)
        SELECT '01487832-4000-7000-8002-000000002001', '01487832-4000-7000-8001-000000002001', id, site_id, '2015-05-04', '2015-09-30'
        FROM cohort;
        INSERT INTO half_day (id, cohort_id, day, half, mode) SELECT '01487832-4000-7000-8007-000000002001', id, '2015-05-04', 'AM', 'ON_SITE'
        FROM cohort;
        INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)
        SELECT '01487832-4000-7000-8007-000000002001', '01487832-4000-7000-8002-000000002001', 'PRESENT', 210, 'PAPER_SCAN',
               '2015-05-04T12:00:00Z', site_id FROM perche_self;
        INSERT INTO outcome_observation (id, enrolment_id, milestone, as_of, situation, source, recorded_at, recorded_site, recorded_by)
        SELECT '01487832-4000-7000-8009-000000002001', '01487832-4000-7000-8002-000000002001', 'W4', '2015-10-28', 'JOBSEEKING',
               'LEARNER_CALL', '2015-10-28T09:00:00Z', site_id, 'staff' FROM perche_self""")
    net.wait_for("the observation at Dreux", lambda: drx.count("outcome_observation") == 1)
    in_step(drx)
    expect("the learner at Dreux", drx.count("learner", "id = '01487832-4000-7000-8001-000000002001'"), 1)
    expect("the enrolment at Dreux", drx.count("enrolment", "id = '01487832-4000-7000-8002-000000002001'"), 1)
    expect("attendance at Dreux, a table of no area", drx.count("attendance"), 0)
    in_step(llp)
    expect("the observation at La Loupe", llp.count("outcome_observation"), 0)
    # of a milestone that the hub does not decide by itself, as it may before this does
    drx.sql("""INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)
        VALUES ('01487832-4000-7000-8002-000000002001', 'M3', 'JOBSEEKING', '01487832-4000-7000-8009-000000002001', 'MANUAL', 'staff',
                '2015-10-28T09:05:00Z')""")
    net.wait_for("what the reader decided, at Chartres", lambda: chr_.sql("SELECT situation FROM outcome_decision WHERE milestone = 'M3'") == "JOBSEEKING")
    net.proven()


@case("a reader who comes later gets the rows that were there")
def _():
    hub.sql(f"INSERT INTO site_reader (site_id, reader_id, area) VALUES ('{llp.id}', '{drx.id}', 'placement')")
    in_step(drx)
    expect("learners of La Loupe at Dreux", drx.count("learner", "id LIKE '01487832-4000-7000-8001-0000000000%'"), 28)
    expect("attendance at Dreux, a table of no area", drx.count("attendance"), 0)


@case("a transfer that is refused takes the learner from the site that had asked, and from nobody else")
def _():
    hub.sql(f"UPDATE transfer SET state = 'REFUSED' WHERE learner_id = '{LEARNER % 17}'")
    net.wait_for("learner 17 to leave Chartres", lambda: chr_.count("learner", f"id = '{LEARNER % 17}'") == 0)
    in_step()
    expect("its contacts at Chartres", chr_.count("learner_contact", f"learner_id = '{LEARNER % 17}'"), 0)
    expect("learner 17 at La Loupe", llp.count("learner", f"id = '{LEARNER % 17}'"), 1)
    expect("its contacts at the hub", hub.count("learner_contact", f"learner_id = '{LEARNER % 17}'"), 4)
    net.proven()


@case("a row that is deleted at one site is deleted wherever it was")
def _():
    llp.sql("DELETE FROM learner_contact WHERE value = '0639980501'")
    net.wait_for("the row to go at Dreux", lambda: contact(drx, "0639980501") == "")
    expect("the row at the hub", contact(hub, "0639980501"), "")
    net.proven()


@case("edits, an insert, a delete and a replace of one transaction arrive together, with every kind of value")
def _():
    llp.sql("""BEGIN;
        UPDATE housing_unit SET label = 'ünïcode ''quoted'' "x" ' || char(10) || 'two lines', rent_cents = -9223372036854775808 WHERE label = 'LLP-01';
        UPDATE housing_unit SET label = '', rent_cents = 9223372036854775807 WHERE label = 'LLP-02';
        DELETE FROM housing_unit WHERE label = 'LLP-03';
        REPLACE INTO housing_unit SELECT * FROM housing_unit WHERE label = 'LLP-04';
        UPDATE project SET client_name = NULL WHERE client_name IS NOT NULL;
        COMMIT""")
    llp.sync_wait()
    for table in ("housing_unit", "project"):
        expect(f"{table} at the hub", hub.sql(f"SELECT id, quote(rent_cents), quote(label) FROM {table} ORDER BY id" if table == "housing_unit"
                                              else f"SELECT * FROM {table} ORDER BY id"),
               llp.sql(f"SELECT id, quote(rent_cents), quote(label) FROM {table} ORDER BY id" if table == "housing_unit"
                       else f"SELECT * FROM {table} ORDER BY id"))
    expect("rooms at the hub", hub.count("housing_unit"), 9)
    net.proven()


@case("all that was written while every daemon was down is everywhere after the start")
def _():
    for node in net.nodes.values():
        node.stop()
    insert_contact(llp, 5, "0639980502")
    hub.sql("UPDATE organisation SET name = name || ' (28)' WHERE name = 'Pôle emploi'")
    for node in net.nodes.values():
        node.start()
    in_step(llp, drx, chr_)
    expect("the contact at Dreux", contact(drx, "0639980502"), LEARNER % 5)
    expect("the organisation at Chartres", chr_.count("organisation", "name = 'Pôle emploi (28)'"), 1)
    net.proven()


if __name__ == "__main__":
    perche_net.main(build, [net])
