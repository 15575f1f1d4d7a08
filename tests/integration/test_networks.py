#!/usr/bin/env python3
"""The four networks of tests/networks, each in a hub of its own (La Loupe's first cohort at its own site), and what `perche report`
says of them: every line of their figures.csv, what was known before, what is another now and why, what is withheld."""
import csv
import os
import shlex
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import NETWORKS, Failure, case, expect, expect_in

os.environ["COLUMNS"] = "160"
MADE = ("ern-occitanie", "pop-school", "webogreen")
nets = {name: perche_net.Network() for name in (*MADE, "wild-code-school")}
hubs = {}


def make(network):
    made = subprocess.run([os.path.join(NETWORKS, "make.py"), os.path.join(NETWORKS, network)], capture_output=True, text=True, timeout=60)
    if made.returncode != 0:
        raise Failure(f"make.py {network}: {made.stderr}")
    return made.stdout


def build():
    global llp
    for network in MADE:
        hubs[network] = nets[network].add_hub()
        hubs[network].sql_text(network, "\n".join(line for line in make(network).splitlines() if line not in ("BEGIN IMMEDIATE;", "COMMIT;")))
    net = nets["wild-code-school"]
    hubs["wild-code-school"] = net.add_hub()
    llp = net.add_site("la-loupe")
    net.cohort()
    for name in ("site-LLP-2.sql", "site-LLP-3.sql"):
        llp.sql_file(f"wild-code-school/{name}")
    net.hub.sql_file("wild-code-school/network-later.sql")
    llp.sync_wait()


def rows(doc, group=None, part=None):
    return [r for f in doc["figures"] for r in f["rows"] if (r["group"] or {}).get("name") == group and r["part"] == part]


def one(node, figure, *options, group=None, part=None):
    found = rows(node.json("report", figure, *options), group, part)
    expect(f"rows of {figure} {' '.join(options)} for {group}, {part}", len(found), 1)
    return found[0]


def check_figures(network):
    with open(os.path.join(NETWORKS, network, "figures.csv"), encoding="utf-8", newline="") as f:
        lines = list(csv.DictReader(f))
    if not lines:
        raise Failure(f"{network}: figures.csv is empty")
    for line in lines:
        found = one(hubs[network], line["figure"], *shlex.split(line["options"]), group=line["group"] or None, part=line["part"] or None)
        wanted = {"value": line["value"] or None, "numerator": int(line["numerator"]) if line["numerator"] else None,
                  "denominator": int(line["denominator"]) if line["denominator"] else None}
        expect(" ".join(line.values()), {k: found[k] for k in wanted}, wanted)


def figures_case(network):
    @case(f"{network}: its figures are those that were published")
    def _():
        check_figures(network)


for each in nets:
    figures_case(each)


@case("ern-occitanie: the 16 schools, a rate with its class and its definition in words, and as CSV")
def _():
    hub = hubs["ern-occitanie"]
    expect("schools", hub.count("site", "kind = 'SCHOOL'"), 16)
    said = hub.perche("report", "REGION_POS", "--from", "2017-01-01", "--to", "2017-12-31")
    for word in ("80 %", "64 %", "other positive", "2 %", "all leavers", "rounded half up", "From 2017-01-01 to 2017-12-31", "answered"):
        expect_in("perche report", word, said)
    table = list(csv.DictReader(hub.perche("report", "REGION_POS", "--from", "2017-01-01", "--to", "2017-12-31", "--format", "csv").splitlines()))
    expect("the row of all", [(r["value"], r["numerator"], r["denominator"], r["milestone"]) for r in table if r["part"] == "POSITIVE"], [("80", "40", "50", "M6")])


@case("ern-occitanie: below 20 no rate is published, and none that the sum would give back")
def _():
    hub = hubs["ern-occitanie"]
    period = ("--from", "2019-01-01", "--to", "2019-12-31", "--as-of", "2019-12-31")
    row = one(hub, "INSERJEUNES", *period, part="POSITIVE")
    expect("17 of Carbonne", (row["suppressed"], row["value"], row["numerator"], row["denominator"]), ("small", None, None, None))
    both = ("--from", "2018-01-01", "--to", "2019-12-31", "--as-of", "2019-12-31", "--by", "site")
    found = rows(hub.json("report", "INSERJEUNES", *both), None, "POSITIVE")
    expect("all schools together", (found[0]["suppressed"], found[0]["denominator"]), (None, 58 + 17))
    expect("of the schools", {r["suppressed"] for f in hub.json("report", "INSERJEUNES", *both)["figures"] for r in f["rows"] if r["group"] and r["part"] == "POSITIVE"},
           {"small"})


@case("webogreen: a milestone that is to come is not due, and counts neither way")
def _():
    row = one(hubs["webogreen"], "REGION_POS", "--as-of", "2016-12-01", part="POSITIVE")
    expect("before six months are over", (row["numerator"], row["denominator"], row["waiting"], row["value"]), (0, 0, 20, None))


@case("pop-school: an exit that is changed later: the figure as it was known, and the row that makes the difference")
def _():
    hub = hubs["pop-school"]
    nets["pop-school"].wait_for("what was loaded to be harvested", lambda: hub.count("perche_capture") == 0)
    before = hub.json("report", "drop_outs")["known_at"]
    who = hub.sql("SELECT id FROM enrolment WHERE actual_end IS NOT NULL ORDER BY id LIMIT 1")
    hub.sql(f"UPDATE enrolment SET exit_reason = 'DROPOUT_FINANCIAL' WHERE id = '{who}'; DELETE FROM enrolment WHERE id ="
            " (SELECT id FROM enrolment WHERE actual_end IS NULL ORDER BY id LIMIT 1)")
    expect("now", [one(hub, "drop_outs")[k] for k in ("numerator", "denominator")], [1, 47])
    nets["pop-school"].wait_for("the change to be harvested", lambda: len(hub.json("report", "drop_outs", "--since", before)["rows"]) == 2)
    expect("as it was known", [one(hub, "drop_outs", "--known-at", before)[k] for k in ("numerator", "denominator")], [0, 48])
    changed = {r["id"]: ((r["then"] or {}).get("says"), (r["now"] or {}).get("says")) for r in hub.json("report", "drop_outs", "--since", before)["rows"]}
    expect("the row that was changed", changed.pop(who), ("COMPLETION", "DROPOUT_FINANCIAL"))
    expect("the row that was deleted", list(changed.values()), [("still there", None)])
    expect("afterwards a report is of now again", [one(hub, "drop_outs")[k] for k in ("numerator", "denominator")], [1, 47])
    said = hub.perche("report", "drop_outs", "--since", before)
    for word in ("COMPLETION", "DROPOUT_FINANCIAL", "not there"):
        expect_in("perche report --since", word, said)


@case("ern-occitanie: a published figure stays as it was, and what changed since is told row by row")
def _():
    hub = hubs["ern-occitanie"]
    period = ("--from", "2017-01-01", "--to", "2017-12-31", "--as-of", "2018-12-31")
    published = {p["part"]: p for p in hub.json("report", "REGION_POS", *period, "--publish")["published"]}
    expect("published", (published["POSITIVE"]["value"], len(published)), ("80", 8))
    who = hub.sql("SELECT enrolment_id FROM outcome_decision WHERE situation = 'STUDIES' AND milestone = 'M6' ORDER BY 1 LIMIT 1")
    hub.sql(f"UPDATE outcome_decision SET situation = 'JOBSEEKING' WHERE enrolment_id = '{who}' AND milestone = 'M6'")
    id = published["POSITIVE"]["id"]
    expect("in the table", hub.sql(f"SELECT value_text || ' ' || numerator || '/' || denominator FROM report_snapshot WHERE id = '{id}'"), "80 40/50")
    expect("now", one(hub, "REGION_POS", *period, part="POSITIVE")["value"], "78")
    doc = hub.json("report", "--since", id)
    expect("what was published", (doc["published"], doc["figure"]), ("80", "REGION_POS"))
    expect("whose row is another", {(r["id"], r["then"]["says"], r["now"]["says"]) for r in doc["rows"]}, {(who, "STUDIES: STUDIES", "NOT_POSITIVE: JOBSEEKING")})
    said = hub.perche("report", "--since", id)
    for word in ("was published as 80", "STUDIES: STUDIES", "NOT_POSITIVE: JOBSEEKING"):
        expect_in("perche report --since", word, said)
    expect_in("at a site", "publish is a command of the hub", llp.run("report", "entries", "--publish").stderr)


@case("wild-code-school: what the school wrote at its site is counted at the hub: rents, founders, the event, nothing granted yet")
def _():
    hub = hubs["wild-code-school"]
    expect("rent of five months, cents", hub.sql("SELECT DISTINCT 5 * rent_cents FROM housing_lease"), "125000")
    expect("founders", hub.count("venture_founder"), 2)
    expect("free months", hub.sql("SELECT free_months FROM incubation"), "6")
    expect("participants of the hackathon", hub.count("event_participant"), 4)
    expect("granted of the PIA", hub.sql("SELECT state || coalesce(granted_cents, ' nothing') FROM funding_agreement"), "UNDER_REVIEW nothing")
    expect("co-funding", rows(hub.json("report", "co_funding")), [])


@case("a report that cannot be made says why")
def _():
    hub = hubs["webogreen"]
    for args, word in ((("nothing",), "there is no figure nothing"), (("entries", "--from", "2015-02-30"), "is no day"),
                       (("entries", "--by", "moon"), 'by is "site" or "cohort"'), (("entries", "--site", "Atlantis"), 'no site "Atlantis"'),
                       (("entries", "--from", "2016-01-01", "--to", "2015-01-01"), "the period ends"), (("entries", "--known-at", "yesterday"), "known_at is an instant"),
                       (("entries", "--known-at", "2100-01-01T00:00:00Z"), "is to come")):
        p = hub.run("report", *args)
        expect(f"exit of {args}", p.returncode in (1, 2), True)
        expect_in(f"what is said of {args}", word, p.stderr)


perche_net.main(build, list(nets.values()))
