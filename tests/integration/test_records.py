#!/usr/bin/env python3
"""Records by hand and by file: perche add, set, mark, import, export, as a secretary of a school uses them."""
import csv
import io
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

os.environ["COLUMNS"] = "200"
net = perche_net.Network()


def build():
    global hub, llp
    hub = net.add_hub()
    llp = net.add_site("la-loupe")
    net.cohort()


def imported(node, text, *args, code=0, name="file.csv"):
    path = os.path.join(net.folder, name)
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return json.loads(node.perche("--json", "import", path, *args, code=code))


def counts(doc):
    return tuple(doc[k] for k in ("new", "changed", "same", "asked")) + (len(doc["refused"]),)


def no(*args, words):
    """It has to be refused, as wrong (2) or as not possible (1), and to say each of @words."""
    p = llp.run(*args)
    expect(f"perche {' '.join(args)}: refused", p.returncode in (1, 2), True)
    for word in words:
        expect_in(f"what perche {args[0]} says", word, p.stderr)


@case("a learner, an enrolment and a week of marks by hand: names for ids, labels for codes, French dates, the row printed back")
def _():
    said = llp.perche("add", "learner", "birth_family_name=Le Goff", "given_names=Aurélie", "birth_date=03/02/1991", "sex=femme", "birth_country=FR")
    for word in ("Aurélie Le Goff", "1991-02-03", "La Loupe", "sex", "F"):
        expect_in("what is printed back", word, said)
    expect("home", llp.sql("SELECT home_site_id = (SELECT site_id FROM perche_self) FROM learner WHERE birth_family_name = 'Le Goff'"), "1")
    doc = llp.json("add", "enrolment", "learner_id=aurélie le goff", "cohort_id=p1", "planned_start=2014-10-06", "planned_end=30/04/2015", "actual_start=2014-10-06", "name_at_entry=Aurélie Le Goff")
    expect("its columns", {c["name"]: c["value"] for c in doc["columns"]}["planned_end"], "2015-04-30")
    who = doc["key"][0]
    doc = llp.json("mark", "P1", "06/10/2014", "am", "--all", "present", "Aurélie Le Goff=late:180", "Camille R.=absent_excused")
    marks = {r["learner"]: (r["mark"], r["minutes"]) for r in doc["rows"]}
    expect("marks", (len(marks), marks["Aurélie Le Goff"], marks["Camille Rousseau"], marks["Karim Haddad"]), (29, ("LATE", 180), ("ABSENT_EXCUSED", 0), ("PRESENT", 210)))
    expect("marked", (doc["marked"], doc["corrected"], doc["same"]), (29, 0, 0))
    doc = llp.json("mark", "P1", "2014-10-06", "AM", "--all", "present", "Aurélie Le Goff=late:180")
    expect("again, one of them corrected", (doc["marked"], doc["corrected"], doc["same"]), (0, 1, 28))
    expect("the wrong mark stays and is voided", llp.count("attendance"), 30)
    expect("minutes", llp.sql(f"SELECT attended FROM indicator_half_day WHERE enrolment_id = '{who}' AND day = '2014-10-06' AND half = 'AM'"), "180")
    said = llp.perche("set", "enrolment", who, "exit_reason=COMPLETION", "actual_end=30/04/2015")
    expect_in("set", "2015-04-30", said)
    llp.sync_wait()
    expect("at the hub", hub.sql(f"SELECT exit_reason FROM enrolment WHERE id = '{who}'"), "COMPLETION")


@case("a mark, a result and an observation are taken back: the row stays and counts no more, with the reason; nothing is taken back twice")
def _():
    at = "enrolment_id = (SELECT id FROM enrolment WHERE name_at_entry = 'Aurélie Le Goff') AND half_day_id = (SELECT id FROM half_day WHERE day = '2014-10-06' AND half = 'AM')"
    late = llp.sql(f"SELECT id FROM attendance WHERE {at} AND mark = 'LATE' AND voids IS NULL")
    attended = f"SELECT attended, unmarked FROM indicator_half_day WHERE {at}"
    right = llp.sql(f"SELECT id FROM attendance WHERE {at} AND mark = 'LATE' ORDER BY recorded_at DESC, id DESC LIMIT 1")
    expect("before", llp.sql(attended), "180|0")
    before = llp.count("attendance")
    no("void", "learner", llp.sql("SELECT min(id) FROM learner"), "--reason", "x", words=("perche set",))
    expect("no reason", llp.run("void", "attendance", right).returncode, 2)
    said = llp.perche("void", "attendance", right, "--reason", "saisi pour une autre")
    for word in ("saisi pour une autre", right):
        expect_in("what is printed", word, said)
    expect("it counts no more", llp.sql(attended), "0|1")
    expect("rows", llp.count("attendance"), before + 1)
    no("void", "attendance", right, "--reason", "encore", words=("taken back already", "saisi pour une autre"))
    back = llp.sql("SELECT id FROM attendance WHERE void_reason IS NOT NULL")
    no("void", "attendance", back, "--reason", "non", words=("add the right row",))
    if late and late != right:
        no("void", "attendance", late, "--reason", "non", words=("corrected already",))
    llp.sync_wait()
    expect("at the hub", hub.sql("SELECT void_reason, voids FROM attendance WHERE void_reason IS NOT NULL"), f"saisi pour une autre|{right}")
    doc = llp.json("mark", "P1", "2014-10-06", "AM", "Aurélie Le Goff=present")
    expect("marked anew", (doc["marked"], doc["corrected"], llp.sql(attended)), (1, 0, "210|0"))
    who = llp.sql("SELECT id FROM enrolment WHERE name_at_entry = 'Aurélie Le Goff'")
    seen = llp.json("add", "outcome_observation", f"enrolment_id={who}", "milestone=M6", "as_of=2015-10-30", "situation=CDI", "source=LEARNER_CALL", "recorded_by=ET")["key"][0]
    llp.sync_wait()
    decided = "SELECT situation FROM outcome_decision WHERE enrolment_id = '%s'" % who
    net.wait_for("the hub to decide", lambda: hub.sql(decided) == "EMP_PERMANENT")
    llp.perche("void", "outcome_observation", seen, "--reason", "c'était une homonyme")
    llp.sync_wait()
    net.wait_for("the hub to take its decision back", lambda: hub.sql(decided) == "")


@case("what is typed wrong is said: what, where, what to do; and nothing is written")
def _():
    named = {"Nobody At-All=present": "nobody in this cohort", "Camille Rousseau=late:abc": "after the colon stand minutes", "Camille Rousseau=late:999": "of which this half-day has 210",
             "Camille Rousseau=gone": "is not in the list"}
    for word, why in named.items():
        no("mark", "P1", "2014-10-06", "PM", word, words=(why,))
    llp.sql("UPDATE enrolment SET actual_end = '2014-10-05' WHERE learner_id = (SELECT learner_id FROM learner_name WHERE name = 'Camille Rousseau')")
    no("mark", "P1", "2014-10-06", "PM", "--all", "present", "Camille Rousseau=present", words=("was not here on 2014-10-06",))
    llp.sql("UPDATE enrolment SET actual_end = NULL WHERE learner_id = (SELECT learner_id FROM learner_name WHERE name = 'Camille Rousseau')")
    namesake = [llp.json("add", "learner", "birth_family_name=Pareil", f"given_names={given}", f"birth_date=1990-01-0{n}")["key"][0] for n, given in ((1, "Anne"), (2, "Anne"))]
    for n in namesake:
        llp.perche("add", "enrolment", f"learner_id={n}", "cohort_id=P1", "planned_start=2014-10-06", "planned_end=2015-04-30", "actual_start=2014-10-06")
    no("mark", "P1", "2014-10-06", "PM", "Anne Pareil=present", words=("2 people", "the id of the enrolment"))
    no("mark", "P1", "2014-10-06", "PM", "Karim Haddad=present", "karim haddad=absent", words=("named twice",))
    expect("no mark of that afternoon", llp.sql("SELECT count(*) FROM attendance WHERE half_day_id = (SELECT id FROM half_day WHERE day = '2014-10-06' AND half = 'PM')"), "0")
    llp.sql(f"DELETE FROM enrolment WHERE learner_id IN ('{namesake[0]}', '{namesake[1]}')", f"DELETE FROM learner WHERE id IN ('{namesake[0]}', '{namesake[1]}')")
    before = llp.count("learner"), llp.count("attendance"), llp.count("enrolment")
    for args, word in (
        (("add", "learner", "name=X"), "learner has no such column; it has id, home_site_id"),
        (("add", "learner", "birth_date=31/02/1991"), "is no day: write 2016-04-13 or 13/04/2016"),
        (("add", "learner", "sex=Q"), "is not in the list sex: F, M, U, X"),
        (("add", "enrolment", "learner_id=Nobody At All", "cohort_id=P1"), "no row of learner is called"),
        (("add", "enrolment", "learner_id=Camille Rousseau", "cohort_id=P1", "planned_start=2014-10-06"), "missing: planned_end"),
        (("add", "organisation", "name=New"), "only the hub writes organisation."),
        (("add", "housing_unit", "label=X", "rent_cents=250,00"), "write cents, 25000 for 250,00 euros"),
        (("set", "learner", "ffffffff", "call_name=X"), "no"),
        (("set", "attendance", "ffffffff", "minutes=3"), "is never changed"),
        (("set", "learner", "01487832-4000-7000-8001-000000000005", "id=x"), "a key is never changed"),
        (("mark", "P1", "2014-10-07", "AM", "Nobody=PRESENT"), "nobody in this cohort is called \"Nobody\"; nothing was written"),
        (("mark", "P1", "2014-10-07", "AM", "--all", "there"), 'mark: "there" is not in the list'),
        (("mark", "P1", "2014-10-25", "AM", "--all", "present"), "no half-day is planned"),
        (("mark", "P1", "2014-10-24", "AM", "--all", "present"), "was cancelled"),
        (("mark", "P1", "2014-10-07", "AM", "--all", "late:300"), "of which this half-day has 210"),
        (("add", "nothing", "a=b"), "nothing"),
        (("add", "learner", "call_name"), "is not COLUMN=VALUE"),
    ):
        p = llp.run(*args)
        expect(f"exit of {args}", p.returncode in (1, 2), True)
        expect_in(f"{args}", word, p.stderr)
    expect("what is there", (llp.count("learner"), llp.count("attendance"), llp.count("enrolment")), before)


@case("a French spreadsheet: semicolons, Windows-1252, days with slashes, leading zeros; the same file twice has no effect")
def _():
    text = "Nom;Prénom;Né le;CP;Téléphone;id\r\nÉvrard;Zoé;07/09/1995;01000;0102;A1\r\n\"D'Œuvre; fils\";Jean;1/2/1990;02000;;A2\r\n".encode("cp1252")
    names = ("--table", "learner", "--map", "Nom=birth_family_name,Prénom=given_names,Né le=birth_date,CP=birth_commune_insee,Téléphone=ft_identifier")
    expect("dry run", counts(imported(llp, text, *names, "--dry-run")), (2, 0, 0, 0, 0))
    expect("nothing was written", llp.count("learner", "birth_family_name = 'Évrard'"), 0)
    expect("taken in", counts(imported(llp, text, *names)), (2, 0, 0, 0, 0))
    expect("as written", llp.sql("SELECT given_names || birth_date || birth_commune_insee || ft_identifier FROM learner WHERE birth_family_name = 'Évrard'"), "Zoé1995-09-07010000102")
    expect("the other", llp.sql("SELECT birth_date FROM learner WHERE birth_family_name = 'D''Œuvre; fils'"), "1990-02-01")
    expect("its own ids are kept, and are no keys", llp.sql("SELECT group_concat(external, ' ') FROM (SELECT external FROM external_id ORDER BY 1)"), "A1 A2")
    expect("keys", llp.count("learner", "id IN ('A1', 'A2')"), 0)
    again = imported(llp, text, *names)
    expect("the same file", (counts(again), again["before"] is not None), ((0, 0, 0, 0, 0), True))
    expect("once more, row by row", counts(imported(llp, text, *names, "--again")), (0, 0, 2, 0, 0))
    rows = llp.count("learner")
    expect("a file without one of them deletes nobody, and changes what is the school's to change",
           counts(imported(llp, "id,call_name\nA1,Zouzou\n", "--table", "learner")), (0, 1, 0, 0, 0))
    expect("learners", (llp.count("learner"), llp.sql("SELECT call_name FROM learner WHERE birth_family_name = 'Évrard'")), (rows, "Zouzou"))


@case("what contradicts a record becomes a conflict that a person decides; the record stays")
def _():
    text = "id,birth_family_name,call_name\nA1,Evrard,Zoz\n"
    expect("taken in", counts(imported(llp, text, "--table", "learner")), (0, 1, 0, 1, 0))
    asked = llp.json("conflicts")["conflicts"]
    expect("asked", [(c["column"], {c["a"]["value"], c["b"]["value"]}) for c in asked], [("birth_family_name", {"Évrard", "Evrard"})])
    expect("the record stays", llp.sql("SELECT birth_family_name || ' ' || call_name FROM learner WHERE ft_identifier = '0102'"), "Évrard Zoz")
    expect("again, nobody is asked twice", counts(imported(llp, text, "--table", "learner", "--again")), (0, 0, 1, 0, 0))
    llp.perche("conflicts", "resolve", asked[0]["id"], "--take", "a" if asked[0]["a"]["value"] == "Evrard" else "b", "--reason", "as on the card")
    llp.sync_wait()
    expect("at the hub", hub.sql("SELECT birth_family_name FROM learner WHERE ft_identifier = '0102'"), "Evrard")
    expect("conflicts", (llp.json("conflicts")["conflicts"], hub.json("conflicts")["conflicts"]), ([], []))


@case("a file with 20 defects takes in what is right and names the 20, by line and column")
def _():
    head = "id,learner_id,cohort_id,site_id,planned_start,planned_end,actual_start,exit_reason,pay_scheme\n"
    good = ["Camille Rousseau", "P1", "", "2014-10-06", "2015-04-30", "2014-10-06", "", ""]
    lines, wanted = [], []

    def line(column, **other):
        row = dict(zip(("learner_id", "cohort_id", "site_id", "planned_start", "planned_end", "actual_start", "exit_reason", "pay_scheme"), good))
        row.update(other)
        lines.append(",".join(f"B{len(lines)}" if k == "id" else row[k] for k in ("id", *row)))
        if column is not None:
            wanted.append((len(lines) + 1, column))

    line(None)
    for column, value in (("learner_id", "Nobody"), ("learner_id", ""), ("cohort_id", "P9"), ("cohort_id", ""), ("site_id", "Atlantis"),
                          ("planned_start", ""), ("planned_start", "2014-13-06"), ("planned_start", "06-10-2014"), ("planned_start", "soon"), ("planned_end", "30/02/2015"),
                          ("planned_end", ""), ("planned_end", "2015-04-31"), ("actual_start", "2014/10/06"), ("actual_start", "6 octobre"), ("exit_reason", "BORED"),
                          ("exit_reason", "COMPLETED"), ("exit_reason", "-")):
        line(column, **{column: value})
    line(None, pay_scheme="'=AREF")
    lines.append("B90,too,few")
    wanted.append((len(lines) + 1, None))
    lines.append(",".join(["B91", *good, "one more"]))
    wanted.append((len(lines) + 1, None))
    line("planned_end", planned_end="2015-02-29")
    line(None)
    doc = imported(llp, head + "\n".join(lines) + "\n", "--table", "enrolment", code=1)
    expect("the 20", sorted((f["line"], f["column"] or "") for f in doc["refused"]), sorted((n, c or "") for n, c in wanted))
    expect("how many", (len(wanted), doc["new"]), (20, 3))
    expect("each with its reason", all(f["why"] for f in doc["refused"]), True)
    expect("a cell that our own export has marked", llp.count("enrolment", "pay_scheme = '=AREF'"), 1)


@case("a file that cannot be read says why: no such column, an open quote, two columns of one name, nothing in it")
def _():
    for text, word in (("nom\nX\n", 'column "nom": learner has no such column'), ("call_name\n\"X\n", "line 2: a quote is opened"), ("call_name,CALL_NAME\nX,Y\n", "two columns of the file"), ("", "the file is empty")):
        path = os.path.join(net.folder, "bad.csv")
        with open(path, "w") as f:
            f.write(text)
        p = llp.run("import", path, "--table", "learner")
        expect(f"exit of {text!r}", p.returncode in (1, 2), True)
        expect_in(f"what is said of {text!r}", word, p.stderr)


@case("JSON Lines, in and out, and a table through CSV and back")
def _():
    doc = imported(llp, '{"external_id":"J1","call_name":"Élo","nir_seen":null}\n\n{"external_id":"J2","call_name":"=1+1"}\n[1]\nno json\n', "--table", "learner", "--source", "json", name="x.jsonl", code=1)
    expect("taken in", (counts(doc)[:4], [f["line"] for f in doc["refused"]]), ((2, 0, 0, 0), [4, 5]))
    out = llp.perche("export", "learner", "--where", "call_name IN ('Élo', '=1+1')", "--format", "jsonl")
    expect("out", sorted(json.loads(line)["call_name"] for line in out.splitlines()), ["=1+1", "Élo"])
    out = llp.run("export", "learner", "--where", "call_name IN ('Élo', '=1+1')").stdout
    expect("no formula", sorted(r["call_name"] for r in csv.DictReader(io.StringIO(out))), ["'=1+1", "Élo"])
    expect("back again, nothing is new", counts(imported(llp, out, "--table", "learner")), (0, 0, 2, 0, 0))
    out = llp.run("export", "cohort", "--excel").stdout
    expect("for a French spreadsheet", (out[0], ";" in out, "\r\n" in out or "\n" in out), ("\ufeff", True, True))


@case("a file and its lines: equal ones are rows of their own, unlike ones of one row are told, empty ones and empty cells say nothing, and a table is a table")
def _():
    costs = "site_id;kind;on_date;cents\nLLP;MATERIAL;05/01/2015;1200\nLLP;MATERIAL;05/01/2015;1200\n;;;\n"
    kind = llp.sql("SELECT code FROM code_list WHERE list = (SELECT code_list FROM perche_column WHERE tab = 'cost_item' AND col = 'kind') ORDER BY code LIMIT 1") or "MATERIAL"
    costs = costs.replace("MATERIAL", kind)
    expect("two equal costs and an empty line", counts(imported(llp, costs, "--table", "cost_item")), (2, 0, 0, 0, 0))
    expect("once more", counts(imported(llp, costs, "--table", "cost_item", "--again")), (0, 0, 2, 0, 0))
    doc = imported(llp, "external_id;call_name;ine\nD1;Un;\nD1;Deux;\n", "--table", "learner", code=1)
    expect("one row twice", (counts(doc), doc["refused"][0]["line"], "line 2 is about the same row" in doc["refused"][0]["why"]), ((1, 0, 0, 0, 1), 3, True))
    expect("the first line counts", llp.count("learner", "call_name = 'Un'"), 1)
    expect("an empty cell takes nothing away", counts(imported(llp, "external_id;call_name\nD1;\n", "--table", "learner")), (0, 0, 1, 0, 0))
    expect("it is there", llp.count("learner", "call_name = 'Un'"), 1)
    imported(llp, "external_id,call_name\nE9,Neuf\n", "--table", "learner", name="t.csv")
    expect("the same bytes for another table are looked at", llp.run("import", os.path.join(net.folder, "t.csv"), "--table", "learner_contact").returncode != 0, True)
    llp.sql("DELETE FROM learner WHERE call_name = 'Un'")
    doc = imported(llp, "external_id;call_name\nD1;Trois\n", "--table", "learner", code=1)
    expect_in("a row that is gone", "is not here any more", doc["refused"][0]["why"])


@case("what cannot be is not written: days out of order or to come, nobody's name, an id that is no row's, minutes of an absence")
def _():
    for words, why in ((("add", "learner", "sex=F"), "a learner has a name"), (("add", "learner", "call_name=X", "birth_date=2091-01-01"), "is a day to come"),
                       (("add", "enrolment", "learner_id=01990c5e-7d1a-7000-8000-000000000000", "cohort_id=P1", "planned_start=2014-10-06", "planned_end=2015-04-30"), "no row of learner has the id"),
                       (("add", "enrolment", "learner_id=Karim Haddad", "cohort_id=P1", "planned_start=2015-10-06", "planned_end=2015-04-30"), "is before planned_start"),
                       (("mark", "P1", "2014-10-06", "PM", "Karim Haddad=absent:100"), "who was absent has no minutes"),
                       (("mark", "P1", "2014-10-06", "PM", "Karim Haddad=present", "--proof", "PAPIER"), "is not in the list"),
                       (("add", "attendance", "voids=01990c5e"), "no row of attendance")):
        no(*words, words=(why,))
    said = llp.perche("mark", "P1", "6/10/2014", "après-midi", "KARIM HADDAD=Présent")
    expect_in("labels and capitals", "PRESENT", said)


@case("what decides a question is checked as any value, and what a person has decided the hub leaves alone")
def _():
    who = llp.sql("SELECT id FROM enrolment ORDER BY id DESC LIMIT 1")
    learner = llp.sql(f"SELECT learner_id FROM enrolment WHERE id = '{who}'")
    line = llp.sql(f"SELECT birth_date FROM learner WHERE id = '{learner}'") or "1990-01-01"
    llp.sql(f"UPDATE learner SET birth_date = '{line}' WHERE id = '{learner}'")
    imported(llp, f"id;birth_date\n{learner};1993-02-03\n", "--table", "learner", name="asks.csv")
    asked = [c for c in llp.json("conflicts")["conflicts"] if c["column"] == "birth_date"][0]["id"]
    no("conflicts", "resolve", asked, "--value", "31/02/1991", "--reason", "acte", words=("is no day",))
    llp.perche("conflicts", "resolve", asked, "--value", "03/02/1991", "--reason", "acte")
    expect("as days are stored", llp.sql(f"SELECT birth_date FROM learner WHERE id = '{learner}'"), "1991-02-03")
    decided = f"SELECT situation || ' ' || rule FROM outcome_decision WHERE enrolment_id = '{who}'"
    see = ("add", "outcome_observation", f"enrolment_id={who}", "milestone=M6", "source=LEARNER_CALL", "recorded_by=ET")
    llp.perche(*see, "as_of=2015-10-30", "situation=JOBSEEKING")
    llp.sync_wait()
    net.wait_for("the hub to decide", lambda: hub.sql(decided) == "JOBSEEKING ONLY_ONE")
    llp.perche(*see, "as_of=2015-10-30", "situation=EMP_PERMANENT")
    llp.sync_wait()
    net.wait_for("a contradiction that comes second to be asked about", lambda: [c for c in hub.json("conflicts")["conflicts"] if c["kind"] == "rule" and c["table"] == "outcome_observation"] != [])
    llp.sync_wait()
    llp.perche("set", "outcome_decision", who, "M6", "situation=EMP_PERMANENT")
    llp.sync_wait()
    llp.perche(*see, "as_of=2015-11-02", "situation=JOBSEEKING")
    llp.sync_wait()
    hub.sql("INSERT INTO organisation (name) VALUES ('something is written at the hub')")
    net.wait_for("the hub's chores to have run again", lambda: hub.sql("SELECT count(*) FROM perche_conflict WHERE kind = 'rule' AND tab = 'outcome_observation' AND state = 'moot'") != "0")
    expect("the person's decision", hub.sql(decided), "EMP_PERMANENT MANUAL")


perche_net.main(build, [net])
