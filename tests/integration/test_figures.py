#!/usr/bin/env python3
"""What a figure counts where that is not plain: days that are too far, results of two juries, what is contested now and was then, errors of somebody's hand."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in
from scenario import COHORT, ENROLMENT, OBSERVATION, Story, id

story = Story({"LLP": "La Loupe"})
NOT_DUE = ("--as-of", "2018-12-31")


def build():
    global hub, llp
    hub, llp = story.hub, story.LLP
    story.cohort(llp, 1, "P1", "2016-03-07", "2016-08-05")
    story.half_days(llp, 1, ("2016-03-07", "2016-03-08"))
    for n in range(1, 5):
        story.learner(llp, n, cohort=1)
    llp.sql("UPDATE enrolment SET actual_end = '2016-08-05', exit_reason = 'COMPLETION'")
    story.together()


def observe(n, enrolment, as_of, situation, milestone="M6"):
    llp.sql(f"INSERT INTO outcome_observation (id, enrolment_id, milestone, as_of, situation, source, recorded_at, recorded_site, recorded_by) SELECT '{id(OBSERVATION, n)}',"
            f" '{id(ENROLMENT, enrolment)}', '{milestone}', '{as_of}', '{situation}', 'LEARNER_CALL', '2017-04-01T10:00:00Z', site_id, 'x' FROM perche_self")


def decided(enrolment):
    return hub.sql(f"SELECT milestone || ' ' || situation FROM outcome_decision WHERE enrolment_id = '{id(ENROLMENT, enrolment)}'")


def parts(name, *options):
    return {r["part"]: r for f in hub.json("report", name, *options)["figures"] for r in f["rows"] if not r["group"]}


@case("an outcome that was seen too far from the day does not count by itself, and the report says that it was seen; an exit that is put right makes it count")
def _():
    observe(1, 1, "2017-02-01", "EMP_PERMANENT")
    observe(2, 2, "2017-03-20", "EMP_PERMANENT")
    story.together()
    story.wait_for("the hub to decide", lambda: decided(1) == "M6 EMP_PERMANENT", seconds=40)
    expect("at six months", [(r["numerator"], r["denominator"]) for p, r in parts("REGION_POS", *NOT_DUE).items() if p in ("POSITIVE", "ANSWERED")], [(1, 4), (1, 4)])
    before = hub.json("report", "REGION_POS")["known_at"]
    llp.sql(f"UPDATE enrolment SET actual_end = '2016-09-05' WHERE id = '{id(ENROLMENT, 2)}'")
    llp.sync_wait()
    story.wait_for("the hub to decide anew", lambda: decided(2) == "M6 EMP_PERMANENT", seconds=40)
    expect("once the exit is right", parts("REGION_POS", *NOT_DUE)["POSITIVE"]["numerator"], 2)
    story.wait_for("that to be harvested", lambda: hub.count("perche_capture") == 0)
    changes = {r["id"]: (r["then"]["says"], r["now"]["says"]) for r in hub.json("report", "REGION_POS", *NOT_DUE, "--since", before)["rows"] if r["part"] == "POSITIVE"}
    expect("what it says of that one", changes, {id(ENROLMENT, 2): ("NO_ANSWER: seen on 2017-03-20, not decided", "EMPLOYEE: EMP_PERMANENT")})
    llp.sql(f"UPDATE enrolment SET actual_end = '2016-08-05' WHERE id = '{id(ENROLMENT, 2)}'")
    llp.sync_wait()
    story.wait_for("the hub to take its decision back", lambda: decided(2) == "", seconds=40)


@case("a situation that a definition does not know is shown")
def _():
    expect("while there is none", "UNMAPPED" in parts("REGION_POS", *NOT_DUE), False)
    hub.sql("DELETE FROM outcome_mapping WHERE definition_id = 'REGION_POS' AND situation = 'EMP_PERMANENT'")
    rows = parts("REGION_POS", *NOT_DUE)
    expect("unmapped, positive", [(rows[p]["numerator"], rows[p]["denominator"]) for p in ("UNMAPPED", "POSITIVE")], [(1, 4), (0, 4)])
    expect_in("perche report", "UNMAPPED", hub.perche("report", "REGION_POS", *NOT_DUE))
    hub.sql("INSERT INTO outcome_mapping VALUES ('REGION_POS', 'EMP_PERMANENT', 'EMPLOYEE')")


@case("who came and left on one day has entered, but is no participant of the ESF")
def _():
    entries = lambda: [parts("entries", "--from", "2016-03-07", "--to", "2016-03-07")[p]["value"] for p in (None, "ESF")]
    expect("while all stay longer", entries(), ["4", "4"])
    before = hub.json("report", "entries")["known_at"]
    llp.sql(f"UPDATE enrolment SET actual_end = actual_start WHERE id = '{id(ENROLMENT, 4)}'")
    llp.sync_wait()
    expect("once one had left", entries(), ["4", "3"])
    expect("as it was known before", parts("entries", "--known-at", before)["ESF"]["value"], "4")
    llp.sql(f"UPDATE enrolment SET actual_end = '2016-08-05' WHERE id = '{id(ENROLMENT, 4)}'")
    llp.sync_wait()


@case("of a title that was tried twice the newest result of the period counts, and an earlier period keeps its own")
def _():
    attempt = "INSERT INTO cert_attempt (enrolment_id, rncp_code, jury_on, result) VALUES ('{}', 'RNCP1', '{}', '{}')"
    llp.sql(attempt.format(id(ENROLMENT, 1), "2016-08-01", "PARTIAL"), attempt.format(id(ENROLMENT, 1), "2017-01-10", "FULL"))
    story.together()
    two = lambda *period: [(parts("certification", *period)[p]["numerator"], parts("certification", *period)[p]["denominator"]) for p in ("FULL", "PARTIAL")]
    expect("2016", two("--from", "2016-01-01", "--to", "2016-12-31"), [(0, 1), (1, 1)])
    expect("2017", two("--from", "2017-01-01", "--to", "2017-12-31"), [(1, 1), (0, 1)])
    expect("both", two(), [(1, 1), (0, 1)])


@case("an enrolment that was closed as never started is in no half-day")
def _():
    gross = lambda: (parts("attendance")["GROSS"]["numerator"], parts("attendance")["GROSS"]["denominator"])
    story.mark(llp, "2016-03-07 AM", id(ENROLMENT, 1), "PRESENT", 210)
    llp.sync_wait()
    story.wait_for("attendance", lambda: gross() == (210, 16 * 210), seconds=40)
    llp.sql(f"INSERT INTO enrolment_status_event (enrolment_id, status, effective_on, recorded_at, recorded_site) SELECT '{id(ENROLMENT, 4)}', 'NEVER_STARTED', '2016-03-07',"
            " '2016-03-08T10:00:00Z', site_id FROM perche_self")
    llp.sync_wait()
    expect("without the one who never came", gross(), (210, 12 * 210))


@case("a cost or a grant that is no amount is in no sum, and the report goes on")
def _():
    cost = f"INSERT INTO cost_item (id, cohort_id, site_id, kind, on_date, cents) SELECT '{{}}', '{id(COHORT, 1)}', id, 'TEACHING', '2016-05-01', {{}} FROM site WHERE code = 'LLP'"
    hub.sql(cost.format("c1", 300000))
    entry = lambda: [parts("cost").get("ENTRY", {}).get(k) for k in ("value", "contested")]
    expect("cost of an entry", entry(), ["1000.00", 0])
    hub.sql(cost.format("c2", 9223372036854775807), cost.format("c3", 9223372036854775807))
    expect("contested", entry(), [None, 1])
    hub.sql("INSERT INTO funding_agreement (id, funder_org_id, programme, level, level_id, state, granted_cents, eligible_total_cents) SELECT 'f' || n, 'x', 'FSE', 'NETWORK', 'n', 'GRANTED',"
            " 9223372036854775807, 9223372036854775807 FROM (SELECT 1 AS n UNION ALL SELECT 2)")
    expect("all figures", len(hub.json("report")["figures"]) > 10, True)
    expect("the programme", parts("co_funding")["FSE"]["contested"], 2)


@case("what was contested at an instant is contested in the figure as it was known then, and a question that came later is in none before it")
def _():
    now = lambda: hub.json("report", "entries")["known_at"]
    drop = lambda *at: [parts("drop_outs", *at)[None][k] for k in ("numerator", "denominator", "contested")]
    story.together()
    story.wait_for("the hub to have harvested", lambda: hub.count("perche_capture") == 0)
    first = now()
    story.cut("LLP")
    hub.sql(f"UPDATE enrolment SET exit_reason = 'DROPOUT_FINANCIAL' WHERE id = '{id(ENROLMENT, 3)}'")
    llp.sql(f"UPDATE enrolment SET exit_reason = 'EXCLUSION' WHERE id = '{id(ENROLMENT, 3)}'")
    story.wait_for("the hub to have harvested", lambda: hub.count("perche_capture") == 0)
    second = now()
    story.heal("LLP")
    story.together()
    asked = [c for c in story.conflicts(hub, "review") if c["column"] == "exit_reason"]
    expect("the contradiction", len(asked), 1)
    third = now()
    story.take(hub, asked[0], "EXCLUSION", "the letter")
    story.wait_for("the hub to have harvested", lambda: hub.count("perche_capture") == 0)
    expect("now", drop(), [1, 3, 0])
    expect("before all that", drop("--known-at", first), [0, 3, 0])
    expect("when the hub knew of one side", drop("--known-at", second), [1, 3, 0])
    expect("while it was contested", drop("--known-at", third), [0, 2, 1])
    expect("all figures, as they were known then", len(hub.json("report", "--known-at", third)["figures"]), len(hub.json("report")["figures"]))
    expect("and as they are, afterwards", drop(), [1, 3, 0])


@case("who is asked which of two situations it was decides the outcome by the answer, at once or against what the hub had made of the first; a later decision by hand stands")
def _():
    def decision(n):
        return hub.sql(f"SELECT situation, rule, decided_by <> '', substr(observation_id, -2) FROM outcome_decision WHERE enrolment_id = '{id(ENROLMENT, n)}' AND milestone = 'M12'")

    def answer(n, situation, reason):
        story.wait_for("the question at the school", lambda: llp.count("perche_conflict", "col = 'two situations' AND state = 'open'") > 0, seconds=40)
        question, side = llp.sql(f"SELECT c.id, iif(a_value LIKE '{situation}%', 'a', 'b') FROM perche_conflict c JOIN outcome_observation o ON c.key = json_array(o.id)"
                                 f" WHERE c.state = 'open' AND c.col = 'two situations' AND o.enrolment_id = '{id(ENROLMENT, n)}'").split("|")
        said = llp.run("conflicts", "resolve", question, "--take", side, "--reason", reason).stderr
        expect_in("what that does", "The hub takes it for the outcome", said)
        llp.sync_wait()

    observe(41, 1, "2017-08-05", "EMP_PERMANENT", "M12")
    story.together()
    story.wait_for("the hub to decide", lambda: decision(1).startswith("EMP_PERMANENT|ONLY_ONE"), seconds=40)
    observe(42, 1, "2017-08-05", "JOBSEEKING", "M12")
    observe(43, 2, "2017-08-05", "EMP_PERMANENT", "M12")
    observe(44, 2, "2017-08-05", "STUDIES", "M12")
    story.together()
    answer(1, "JOBSEEKING", "the attestation")
    answer(2, "STUDIES", "the card")
    story.wait_for("the answers to be the outcomes", lambda: (decision(1), decision(2)) == ("JOBSEEKING|MANUAL|1|42", "STUDIES|MANUAL|1|44"), seconds=40)
    llp.sync_wait()
    llp.perche("set", "outcome_decision", f"{id(ENROLMENT, 2)},M12", "situation=EMP_PERMANENT")
    llp.sync_wait()
    observe(45, 2, "2017-08-06", "JOBSEEKING", "M12")
    story.together()
    expect("decided by hand since", decision(2).split("|")[0], "EMP_PERMANENT")
    expect("nothing waits", hub.sql("SELECT count(*) FROM decision_answered"), "0")


@case("two offices decide unlike: a question for a person, until the hub opens the rule that a document beats what was declared; of two documents none")
def _():
    decide = ("INSERT INTO outcome_observation (id, enrolment_id, milestone, as_of, situation, source, proof, recorded_at, recorded_site, recorded_by) SELECT '{0}', '{1}', 'M3', '2016-11-05', '{2}',"
              " 'LEARNER_CALL', '{3}', '2016-11-05T10:00:00Z', site_id, 'x' FROM perche_self; INSERT INTO outcome_decision (enrolment_id, milestone, situation, observation_id, rule, decided_by, decided_at)"
              " VALUES ('{1}', 'M3', '{2}', '{0}', 'MANUAL', 'x', '2016-11-05T10:00:00Z')")
    story.cut("LLP")
    for n, proof in ((1, "DOCUMENT"), (2, "DECLARED")):
        llp.sql(decide.format(id(OBSERVATION, 20 + n), id(ENROLMENT, n), "JOBSEEKING", proof))
        hub.sql(decide.format(id(OBSERVATION, 30 + n), id(ENROLMENT, n), "EMP_PERMANENT", "DOCUMENT"))
    story.heal("LLP")
    story.together()
    story.wait_for("two questions", lambda: hub.count("perche_conflict", "tab = 'outcome_decision' AND col = 'situation' AND state = 'open'") == 2)
    now = lambda n: hub.sql(f"SELECT situation || ' ' || (SELECT state FROM perche_conflict WHERE tab = 'outcome_decision' AND key = json_array(enrolment_id, milestone) AND col = 'situation') FROM outcome_decision"
                            f" WHERE enrolment_id = '{id(ENROLMENT, n)}' AND milestone = 'M3'")
    hub.perche("set", "code_list", "decision_rule", "DOCUMENT_BEATS_DECLARED", "valid_to=")
    story.wait_for("the document to decide", lambda: now(2) == "EMP_PERMANENT resolved", seconds=40)
    expect("of two documents none", now(1).endswith(" open"), True)
    story.together()
    expect("at the school", llp.sql(f"SELECT situation, observation_id FROM outcome_decision WHERE enrolment_id = '{id(ENROLMENT, 2)}' AND milestone = 'M3'"), "EMP_PERMANENT|" + id(OBSERVATION, 32))
    expect("why", hub.sql("SELECT reason FROM perche_conflict WHERE tab = 'outcome_decision' AND col = 'situation' AND state = 'resolved'"), "DOCUMENT_BEATS_DECLARED")
    expect("proven equal", llp.json("verify")["equal"], True)


def begin():
    story.begin()
    build()


perche_net.main(begin, [story])
