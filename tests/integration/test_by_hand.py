#!/usr/bin/env python3
"""What a secretary types without knowing an id: names, a week to be planned and marked, what is refused at once, what may be deleted."""
import json
import os
import re
import shlex
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

os.environ["COLUMNS"] = "160"
net = perche_net.Network()
new = perche_net.Network()  # nobody has written anything there


def build():
    global hub, llp, chartres, school
    office = new.add_hub()
    school = new.add_site("la-loupe")
    office.perche("add", "training", "title=Développeur web")
    school.sync_wait()
    hub = net.add_hub()
    llp = net.add_site("la-loupe")
    chartres = net.add_site("chartres")
    net.cohort()


def no(*args, words, node=None):
    """It has to be refused, as wrong (2) or as not possible (1), and to say each of @words; returns what it said."""
    p = (node or llp).run(*args)
    expect(f"perche {' '.join(args)}: refused", p.returncode in (1, 2), True)
    for word in words:
        expect_in(f"what perche {args[0]} says", word, p.stderr)
    return p.stderr


def columns(doc):
    return {c["name"]: c for c in doc["columns"]}


def enrolled(given, family, born, **more):
    who = llp.json("add", "learner", f"birth_family_name={family}", f"given_names={given}", f"birth_date={born}", *(f"{k}={v}" for k, v in more.items()))["key"][0]
    return who, llp.json("add", "enrolment", f"learner_id={who}", "cohort_id=P1", "planned_start=06/10/2014", "planned_end=30/04/2015", "actual_start=06/10/2014",
                         f"name_at_entry={given} {family}")["key"][0]


@case("show, history and set take a name, capitals and accents or not; of a name that several have the ids are told, and a key of two parts is named in parts")
def _():
    who, e = enrolled("Aurélie", "Le Goff", "03/02/1991")
    for said in ("Aurélie Le Goff", "AURELIE LE GOFF", "aurelie legoff", who, who[:18], who.upper()):
        expect(f"shown by {said}", llp.json("show", "learner", said)["key"], [who])
    expect("set", columns(llp.json("set", "learner", "aurelie le goff", "call_name=Lili"))["call_name"]["value"], "Lili")
    expect("its history", [x["value"] for x in llp.json("history", "learner", "Aurelie Le Goff")["entries"] if x["column"] == "call_name"][-1], "Lili")
    doc = llp.json("show", "enrolment", "Aurélie Le Goff")
    expect("an enrolment by the learner's name", doc["key"], [e])
    expect("what it names", (columns(doc)["cohort_id"]["called"], columns(doc)["learner_id"]["called"], columns(doc)["site_id"]["called"]), ("P1", "Lili Le Goff", "La Loupe"))
    expect_in("for people", "P1 (", llp.perche("show", "enrolment", "Aurélie Le Goff"))
    expect("a half-day", columns(llp.json("show", "half_day", "p1 2014-10-06 am"))["half"]["value"], "AM")
    first, second = (enrolled("Anne", "Pareil", f"0{n}/01/1990")[0] for n in (1, 2))
    said = no("show", "learner", "anne pareil", words=("2 rows of learner are called", first, second))
    no("set", "enrolment", "Anne Pareil", "pay_scheme=X", words=("2 rows of enrolment are called",))
    expect("no exit 3", "reached" in said, False)
    no("show", "learner", "Personne Ici", words=("no such row",))
    no("show", "learner", "Anne", "Pareil", words=("a name of several words stands in quotes",))
    expect("nothing is guessed", llp.run("show", "learner", "ffffffff-0000-7000-8000-000000000000").returncode, 1)


@case("an outcome is recorded by name after the person has left, and decided by name")
def _():
    llp.perche("set", "enrolment", "Aurélie Le Goff", "actual_end=30/04/2015", "exit_reason=fin normale de la formation")
    doc = llp.json("add", "outcome_observation", "enrolment_id=aurelie le goff", "milestone=W4", "as_of=28/05/2015", "situation=CDI", "source=LEARNER_CALL", "recorded_by=ET")
    expect("of whom", columns(doc)["enrolment_id"]["called"], "Lili Le Goff")
    llp.sync_wait()
    e = columns(doc)["enrolment_id"]["value"]
    net.wait_for("the hub to decide", lambda: hub.sql(f"SELECT situation FROM outcome_decision WHERE enrolment_id = '{e}'") == "EMP_PERMANENT")
    llp.sync_wait()
    expect("the decision, by name and label", columns(llp.json("show", "outcome_decision", "Aurélie Le Goff", "W4"))["situation"]["value"], "EMP_PERMANENT")
    expect("and set", columns(llp.json("set", "outcome_decision", "Aurelie Le Goff", "W4", "situation=emp_fixed_ge6"))["situation"]["value"], "EMP_FIXED_GE6")
    llp.perche("set", "enrolment", "Aurélie Le Goff", "actual_end=", "exit_reason=")


@case("a week is planned once: what is missing is made, what is there stays and is said; days in French; what is wrong is said")
def _():
    before = llp.count("half_day")
    doc = llp.json("plan", "p1", "--from", "13/04/2015", "--to", "17/04/2015")
    there = len([r for r in doc["rows"] if r["was"]])
    expect("half-days", (len(doc["rows"]), doc["planned"] + there, doc["same"]), (10, 10, there))
    llp.perche("set", "cohort", "P1", "ends_on=29/05/2015")
    doc = llp.json("plan", "P1", "--from", "2015-05-18", "--to", "22/05/2015", "--minutes", "200", "--mode", "à distance", "--weekdays", "lun,Tuesday,ven")
    expect("new ones", [(r["day"], r["half"], r["mode"], r["minutes"], r["was"], r["state"]) for r in doc["rows"]][:3],
           [("2015-05-18", "AM", "DISTANCE", 200, None, "planned"), ("2015-05-18", "PM", "DISTANCE", 200, None, "planned"), ("2015-05-19", "AM", "DISTANCE", 200, None, "planned")])
    expect("how many", (doc["planned"], doc["same"]), (6, 0))
    doc = llp.json("plan", "P1", "--from", "18/05/2015", "--to", "22/05/2015", "--minutes", "210")
    expect("the rest of that week", (doc["planned"], doc["same"], doc["unlike"]), (4, 6, 6))
    doc = llp.json("plan", "P1", "--from", "18/05/2015", "--to", "24/05/2015")
    expect("again", (doc["planned"], doc["same"], len(doc["rows"])), (0, 10, 10))
    expect("none twice", llp.sql("SELECT count(*) FROM (SELECT 1 FROM half_day GROUP BY cohort_id, day, half HAVING count(*) > 1)"), "0")
    expect("in the table", llp.count("half_day") > before, True)
    llp.sync_wait()
    expect("at the hub", hub.count("half_day", "day BETWEEN '2015-05-18' AND '2015-05-22' AND minutes = 200"), 6)
    for words, why in ((("--from", "22/05/2015", "--to", "18/05/2015"), "is after"), (("--from", "31/02/2015"), "is no day"), (("--from", "2015-05-18", "--to", "2017-05-18"), "366 are the most"),
                       (("--from", "2016-05-18"), "put it right first: perche set cohort P1"), (("--from", "2015-05-18", "--weekdays", "mon,foo"), "is no day of the week"),
                       (("--from", "2015-05-18", "--half", "noon"), "is not in the list"), (("--from", "2015-05-18", "--minutes", "5000"), "1 to 720 minutes"), ((), "--from is missing")):
        no("plan", "P1", *words, words=(why,))
    no("plan", "P9", "--from", "2015-05-18", words=("no row of cohort is called",))
    no("mark", "P1", "2015-05-25", "AM", "--all", "present", words=("no half-day is planned", "perche plan"))


@case("half-days are cancelled with what was marked on them, and planned again")
def _():
    marked = llp.json("mark", "P1", "18/05/2015", "matin", "--all", "présent")["marked"]
    doc = llp.json("plan", "P1", "--from", "18/05/2015", "--cancel")
    expect("cancelled", (doc["cancelled"], doc["marks"], [(r["half"], r["was"], r["state"], r["marks"]) for r in doc["rows"]]),
           (2, marked, [("AM", "planned", "cancelled", marked), ("PM", "planned", "cancelled", 0)]))
    expect("no mark is lost", llp.count("attendance", "half_day_id IN (SELECT id FROM half_day WHERE day = '2015-05-18')"), marked)
    expect("it counts no more", llp.sql("SELECT count(*) FROM indicator_half_day WHERE day = '2015-05-18'"), "0")
    expect("nothing there: nothing cancelled", llp.json("plan", "P1", "--from", "2015-05-25", "--cancel")["rows"], [])
    no("mark", "P1", "18/05/2015", "AM", "--all", "present", words=("was cancelled", "--restore"))
    p = llp.run("plan", "P1", "--from", "18/05/2015", "--to", "19/05/2015")
    expect_in("planned over it", "2 of these stay cancelled: --restore plans them again", p.stderr)
    expect("they stay so", llp.count("half_day", "cancelled AND day = '2015-05-18'"), 2)
    doc = llp.json("plan", "P1", "--from", "18/05/2015", "--to", "24/05/2015", "--half", "AM", "--restore")
    expect("restored, and no more", (doc["restored"], doc["planned"], llp.count("half_day", "cancelled AND day = '2015-05-18'")), (1, 0, 1))
    expect("it counts again", llp.sql("SELECT sum(attended > 0) FROM indicator_half_day WHERE day = '2015-05-18'"), str(marked))


@case("mark knows people without accents, and voids all marks that count: of two that contradict one another none is left beside it")
def _():
    llp.sync_wait()
    e = llp.json("show", "enrolment", "Aurélie Le Goff")["key"][0]
    h = llp.json("show", "half_day", "P1 2015-05-19 AM")["key"][0]
    live = f"SELECT count(*) FROM attendance WHERE half_day_id = '{h}' AND enrolment_id = '{e}' AND void_reason IS NULL AND id NOT IN (SELECT voids FROM attendance WHERE voids IS NOT NULL)"
    put = (f"INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site) SELECT '{h}', '{e}', '%s', %d, 'PAPER_SCAN', '2015-05-19T1%d:00:00Z', site_id"
           " FROM perche_self")
    llp.sql(put % ("PRESENT", 200, 1), put % ("ABSENT", 0, 2), put % ("LATE", 90, 3))
    attended = f"SELECT contested, attended, mark FROM indicator_half_day WHERE half_day_id = '{h}' AND enrolment_id = '{e}'"
    expect("contested", llp.sql(attended), "1|0|")
    doc = llp.json("mark", "P1", "19/05/2015", "AM", "aurelie LE GOFF=late:100")
    expect("corrected", (doc["corrected"], doc["rows"][0]["was"]), (1, "ABSENT"))
    expect("one counts", (llp.sql(live), llp.sql(attended)), ("1", "0|100|LATE"))
    llp.sql(put % ("ABSENT", 0, 4))
    doc = llp.json("mark", "P1", "19/05/2015", "AM", "aurelie le goff=late:100")
    expect("one of two said so: the other goes", (doc["corrected"], doc["same"], llp.sql(live), llp.sql(attended)), (1, 0, "1", "0|100|LATE"))
    expect("again", llp.json("mark", "P1", "19/05/2015", "AM", "AURÉLIE LE GOFF=late:100")["same"], 1)
    expect("all stay", llp.count("attendance", f"half_day_id = '{h}' AND enrolment_id = '{e}' AND void_reason IS NULL"), 5)
    no("mark", "P1", "19/05/2015", "AM", "anne pareil=present", words=("2 people", "the id of the enrolment"))
    llp.sync_wait()
    expect("at the hub", hub.sql(attended), "0|100|LATE")


@case("a list says what records are called, and cuts no code; what is empty in all of them is told")
def _():
    p = llp.run("list", "enrolment", "--where", "actual_end IS NULL", "--limit", "3")
    for word in ("P1", "Empty in all of these: ", "exit_reason"):
        expect_in("what list says", word, p.stdout + p.stderr)
    site = llp.sql("SELECT site_id FROM perche_self")
    expect("no id of the site", site in p.stdout, False)
    out = llp.perche("list", "attendance", "--where", "mark = 'PRESENT'", "--limit", "2")
    for word in ("P1 2015-05-1", "PRESENT", "TRAINER_ONLY"):
        expect_in("marks", word, out)
    doc = llp.json("list", "enrolment", "--limit", "1")
    expect("ids for programs", dict(zip(doc["columns"], doc["rows"][0]))["site_id"], site)
    hub.sql("UPDATE organisation SET successor_id = (SELECT max(id) FROM organisation) WHERE id = (SELECT min(id) FROM organisation)")
    other = hub.sql("SELECT name FROM organisation WHERE id = (SELECT max(id) FROM organisation)")
    expect_in("of a table that names itself", other, hub.perche("list", "organisation", "--where", "successor_id IS NOT NULL"))


@case("what the hub would refuse later is refused at once, with what to do: another site for a learner, rows of others, reference data")
def _():
    before = llp.sql("SELECT group_concat(home_site_id) FROM learner")
    no("set", "learner", "Aurélie Le Goff", "home_site_id=CHR", words=("ask for a transfer", "perche add transfer"))
    no("set", "enrolment", "Aurélie Le Goff", "site_id=Chartres", words=("ask for a transfer",))
    no("add", "learner", "birth_family_name=Loin", "given_names=Jean", "home_site_id=CHR", words=("another site's", "nothing was written"))
    no("add", "organisation", "name=X", words=("only the hub writes organisation.",))
    no("set", "site", "La Loupe", "premises=X", words=("only the hub writes site.",))
    no("set", "learner", "Aurélie Le Goff", "restricted=oui", words=("only the hub writes learner.restricted",))
    expect("nothing changed", (llp.sql("SELECT group_concat(home_site_id) FROM learner"), llp.count("learner", "birth_family_name = 'Loin'")), (before, 0))
    expect("the same site is no move", llp.run("set", "learner", "Aurélie Le Goff", "home_site_id=LLP", "call_name=Lili").returncode, 0)
    expect("a transfer is asked for by names", llp.run("add", "transfer", "learner_id=Aurélie Le Goff", "enrolment_id=Aurélie Le Goff", "from_site=LLP", "to_site=CHR",
                                                      "to_cohort_id=01487832-4000-7000-8003-00000000ffff", "asked_on=1/4/2015", "effective_on=1/5/2015", "state=ASKED").returncode, 0)
    llp.sync_wait()
    expect("no write was refused later", llp.json("refused")["refused"], [])
    expect("the hub may", hub.run("set", "learner", "Aurélie Le Goff", "home_site_id=chartres").returncode, 0)
    hub.perche("set", "learner", "Aurélie Le Goff", "home_site_id=LLP")
    llp.sync_wait()


@case("a transfer leads to another school and not back in time; who is named in a table without rows is no id")
def _():
    who, e = enrolled("Odette", "Toutain", "07/04/1990")
    asked = ["add", "transfer", f"learner_id={who}", f"enrolment_id={e}", "from_site=La Loupe", "to_cohort_id=01487832-4000-7000-8003-000000000009", "asked_on=2014-11-03", "state=ASKED"]
    no(*asked, "to_site=La Loupe", "effective_on=2014-12-01", words=("leads to another one",))
    no(*asked, "to_site=Chartres", "effective_on=2014-11-02", words=("before the day on which it is asked for",))
    llp.perche(*asked, "to_site=Chartres", "effective_on=2014-11-03")
    no("add", "training", "title=Pâtisserie", "pedagogy_org_id=Personne", node=new.hub, words=('no row of organisation is called "Personne"',))


@case("a site that only reads the records of another is told so at once, and writes them once it may")
def _():
    hub.sql("INSERT INTO site_reader (site_id, reader_id, area, may_write) SELECT a.id, b.id, 'placement', 0 FROM site a, site b WHERE a.code = 'LLP' AND b.code = 'CHR'")
    net.wait_for("the records to come", lambda: (chartres.sync_wait(), chartres.count("enrolment"))[1] > 0)
    see = ("add", "outcome_observation", "enrolment_id=Karim Haddad", "milestone=W4", "as_of=28/05/2015", "situation=STUDIES", "source=LEARNER_CALL", "recorded_by=PL")
    no(*see, node=chartres, words=("this one may only read", "nothing was written"))
    no("set", "enrolment", "Karim Haddad", "pay_scheme=X", node=chartres, words=("another site's", "nothing was written"))
    mine = llp.json(*see)["key"][0]
    llp.sync_wait()
    chartres.sync_wait()
    no("void", "outcome_observation", mine, "--reason", "x", node=chartres, words=("this one may only read",))
    expect("nothing is there", (chartres.count("outcome_observation", "recorded_by = 'PL'"), chartres.json("refused")["refused"]), (1, []))
    hub.sql("UPDATE site_reader SET may_write = 1")
    net.wait_for("the right to come", lambda: (chartres.sync_wait(), chartres.count("site_reader", "may_write = 1"))[1] > 0)
    chartres.perche("void", "outcome_observation", mine, "--reason", "une homonyme")
    chartres.sync_wait()
    expect("taken", (hub.count("outcome_observation", f"voids = '{mine}'"), chartres.json("refused")["refused"]), (1, []))


@case("somebody of the same name and day of birth is not added a second time without being told to")
def _():
    who = llp.json("show", "learner", "Aurélie Le Goff")["key"][0]
    before = llp.count("learner")
    for words in (("birth_family_name=LE GOFF", "given_names=Aurelie"), ("birth_family_name=Le-Goff", "given_names=Aurélie Jeanne"), ("use_family_name=le goff", "call_name=aurélie")):
        said = no("add", "learner", *words, "birth_date=03/02/1991", words=("is here already", who, "--anyway", "nothing was written"))
        expect("exit", (llp.run("add", "learner", *words, "birth_date=1991-02-03").returncode, "1991-02-03" in said), (1, True))
    expect("code for programs", json.loads(llp.run("--json", "add", "learner", "birth_family_name=le goff", "given_names=aurélie", "birth_date=1991-02-03").stdout)["error"]["code"], "state")
    expect("nobody was added", llp.count("learner"), before)
    llp.perche("add", "learner", "birth_family_name=Le Goff", "given_names=Aurélie", "birth_date=04/02/1991")
    llp.perche("add", "learner", "birth_family_name=Le Goff", "given_names=Jean-Paul", "birth_date=03/02/1991")
    llp.perche("add", "learner", "birth_family_name=Le Goff", "given_names=Jean-Marie", "birth_date=03/02/1991")
    llp.perche("add", "learner", "birth_family_name=Le Goff", "given_names=Aurélie", "birth_date=03/02/1991", "--anyway")
    expect("others were, and one anyway", llp.count("learner"), before + 4)


@case("of two records with one value a decision for one empties it in the other, and says so")
def _():
    first, second = (llp.json("add", "learner", f"birth_family_name=Double{n}", "given_names=Nul", f"birth_date=05/05/198{n}", "ine=123456789AB")["key"][0] for n in (1, 2))
    llp.sync_wait()
    asked = lambda: [c for c in llp.json("conflicts")["conflicts"] if c["column"] == "ine"]
    net.wait_for("both to be asked about", lambda: len(asked()) == 2)
    mine = next(c for c in asked() if c["row"] == [first])
    p = llp.run("conflicts", "resolve", mine["id"], "--take", "a" if mine["a"]["value"] else "b", "--reason", "seen on the card")
    expect("exit", p.returncode, 0)
    expect_in("what is said", f"ine is empty now in learner {second} (Nul Double2), which had the same value", p.stderr)
    expect("the values", llp.sql("SELECT group_concat(coalesce(ine, '-'), ' ') FROM (SELECT ine FROM learner WHERE birth_family_name LIKE 'Double%' ORDER BY birth_family_name)"), "123456789AB -")
    expect("nothing is open", asked(), [])
    llp.sync_wait()
    expect("at the hub", (hub.sql(f"SELECT ine IS NULL FROM learner WHERE id = '{second}'"), [c for c in hub.json("conflicts")["conflicts"] if c["column"] == "ine"]), ("1", []))
    h = llp.json("show", "half_day", "P1 2015-05-20 AM")["key"][0]
    llp.sql(f"INSERT INTO half_day (cohort_id, day, half, mode, minutes) SELECT cohort_id, day, half, mode, minutes FROM half_day WHERE id = '{h}'")
    llp.sync_wait()
    twice = lambda: [c for c in llp.json("conflicts", "--table", "half_day")["conflicts"] if c["row"] == [h]]
    net.wait_for("a half-day that is there twice to be asked about", lambda: twice() != [])
    p = llp.run("conflicts", "resolve", twice()[0]["id"], "--take", "a", "--reason", "one is enough")
    expect_in("what is to be done", "The records stay as they are: both have the same cohort_id,day,half", p.stderr)
    llp.perche("delete", "half_day", llp.sql(f"SELECT id FROM half_day WHERE day = '2015-05-20' AND half = 'AM' AND id <> '{h}'"))
    llp.sync_wait()
    net.wait_for("nothing to be open", lambda: llp.json("conflicts", "--table", "half_day")["conflicts"] == [])


@case("a record that no other names is deleted by hand where that may be; where not, what is done instead is said")
def _():
    llp.perche("add", "event", "title=Hackathon", "kind=" + llp.sql("SELECT code FROM code_list WHERE list = 'event_kind' LIMIT 1"), "starts_on=12/06/2015")
    llp.perche("add", "event_participant", "event_id=Hackathon", "learner_id=Karim Haddad")
    llp.sync_wait()
    no("delete", "event", "Hackathon", words=("1 row of event_participant name it (event_id)", "nothing was deleted"))
    doc = llp.json("delete", "event_participant", "hackathon", "karim haddad")
    expect("what it was", (doc["deleted"], doc["was"]["table"], "Hackathon" in doc["was"]["label"]), (True, "event_participant", True))
    llp.perche("delete", "event", "Hackathon")
    llp.sync_wait()
    expect("at the hub", (hub.count("event", "title = 'Hackathon'"), hub.count("event_participant", f"event_id = '{doc['was']['key'][0]}'")), (0, 0))
    no("delete", "event_participant", *doc["was"]["key"], words=("no such row",))
    llp.perche("delete", "half_day", "P1 2015-05-22 PM")
    no("delete", "half_day", "P1 2015-05-19 AM", words=("of attendance name it", "--cancel"))
    for table, key, word in (("learner", "Karim Haddad", "a person is never deleted"), ("enrolment", "Karim Haddad", "an enrolment is ended"), ("cohort", "P1", "they go first"),
                             ("attendance", llp.sql("SELECT min(id) FROM attendance"), "perche void"), ("organisation", hub.sql("SELECT min(id) FROM organisation"), "reference data is closed"),
                             ("perche_conflict", "x", "the daemon's own")):
        no("delete", table, key, words=(word,))
    no("delete", "outcome_decision", "Aurélie Le Goff", "W4", words=("perche set",))
    no("delete", "organisation", hub.sql("SELECT min(id) FROM organisation"), node=hub, words=("reference data is closed",))
    expect("all are there", (llp.count("learner", "birth_family_name = 'Haddad'"), llp.json("refused")["refused"]), (1, []))


@case("a school's day as the README has it, word for word")
def _():
    with open(os.path.join(perche_net.HERE, "..", "..", "README.md"), encoding="utf-8") as f:
        day = f.read().split("## Records by hand")[1].split("\n## ")[0]
    said = ""
    for line in re.sub(r"\\\n", " ", "\n".join(re.findall(r"```sh\n(.*?)```", day, re.S))).splitlines():
        words = shlex.split(line)
        if words and "7f3a" not in words:  # there is no conflict
            said += school.perche(*words[1:])
    for word in ("10 half-days planned", "1 marked, 0 corrected", "EMP_PERMANENT", "entries: people", "COMPLETION"):
        expect_in("what it says", word, said)


@case("a report takes the days that are typed everywhere else")
def _():
    a, b = (llp.json("report", "entries", "--from", x, "--to", y, "--as-of", z)["figures"][0]["rows"] for x, y, z in (("01/09/2014", "31.12.2014", "1/1/2016"), ("2014-09-01", "2014-12-31", "2016-01-01")))
    expect("the same", (a, a[0]["value"] not in (None, "0")), (b, True))
    no("report", "entries", "--from", "31/02/2014", words=("--from", "is no day"))


perche_net.main(build, [net, new])
