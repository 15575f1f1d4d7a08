#!/usr/bin/env python3
"""Files of records, both ways: what goes out comes back as it was; spreadsheets; OneRoster archives; and files that mean no good."""
import csv
import io
import json
import os
import pty
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import xml.etree.ElementTree as xml
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect, expect_in

os.environ["COLUMNS"] = "200"
net = perche_net.Network()
other = perche_net.Network()

# As the specification of OneRoster 1.1 lists them (CSV tables, final release).
COLUMNS = {
    "academicSessions.csv": "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear",
    "classes.csv": "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods",
    "courses.csv": "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes",
    "demographics.csv": "sourcedId,status,dateLastModified,birthDate,sex,americanIndianOrAlaskaNative,asian,blackOrAfricanAmerican,nativeHawaiianOrOtherPacificIslander,white,"
                        "demographicRaceTwoOrMoreRaces,hispanicOrLatinoEthnicity,countryOfBirthCode,stateOfBirthAbbreviation,cityOfBirth,publicSchoolResidenceStatus",
    "enrollments.csv": "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate",
    "orgs.csv": "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId",
    "users.csv": "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,"
                 "grades,password",
}
ABSENT = ("categories", "classResources", "courseResources", "lineItems", "resources", "results")
ETHNIC = ("americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican", "nativeHawaiianOrOtherPacificIslander", "white", "demographicRaceTwoOrMoreRaces",
          "hispanicOrLatinoEthnicity")


def build():
    global hub, llp, chr_, alone
    hub = net.add_hub()
    llp = net.add_site("la-loupe")
    net.cohort()
    chr_ = net.add_site("chartres")
    chr_.sync_wait()
    alone = other.add("alone").start()  # a node of nobody: it has no row yet


def path(name):
    return os.path.join(net.folder, name)


def imported(node, file, *args, code=0):
    return json.loads(node.perche("--json", "import", file, *args, code=code))


def counts(doc):
    return tuple(doc[k] for k in ("new", "changed", "same", "asked")) + (len(doc["refused"]),)


def exported(node, *args):
    """The bytes that perche writes to its standard output."""
    p = subprocess.run([os.path.join(perche_net.BUILD, "perche"), "--socket", node.socket, "export", *args], capture_output=True, timeout=60 * perche_net.SLOW)
    expect(f"export {args}: {p.stderr.decode()}", p.returncode, 0)
    return p.stdout


# ------------------------------------------------------------------ there and back

ODD = ["", " ", "  ", "\t", " kept ", "before ", " after", "\tx", "x\t", "'", "''", "'''", "' ", "'' ", "'=x", "''=x", "'' x", "=1+1", "=1+1 ", "+33612345678", "-", "-2", "@SUM(A1)", "'@x",
       "a\nb", "\n", "\r\n", "\nx", "a\r", '"', '""', 'say "x"', "a,b", "a;b", "a\tb", ",", ";", "'s-Gravenhage", "'s-Gravenhage ", "0612", "1e5", "NULL", "null", "2016-04-13", "été",
       "\u00a0nbsp\u00a0", "\ufeffmark", "x" * 5000, "é" * 3000, "\x01\x1f\x7f", "\u2028", "\U0001f600", "\\", "\\n", "{}", "[1]", "#N/A", "a\u0000".replace("\u0000", "")]


def fill():
    pick = random.Random(1)
    some = [*ODD, *("".join(pick.choice(" \t'\"=+-@;,\n\rxé") for _ in range(pick.randint(1, 6))) for _ in range(300))]
    db = llp.connect()
    home = db.execute("SELECT site_id FROM perche_self").fetchone()[0]
    db.execute("BEGIN IMMEDIATE")
    for n, text in enumerate(some):
        learner = db.execute("INSERT INTO learner (home_site_id, birth_family_name, call_name) VALUES (?, 'Odd', ?) RETURNING id", (home, text)).fetchone()[0]
        db.execute("INSERT INTO learner_contact (learner_id, kind, value, postcode, verified_at) VALUES (?, 'EMAIL', ?, '01000', ?)",
                   (learner, text, "2015-01-02T03:04:05." + ("%03d" % n if n % 2 else "1") + "Z"))
    db.execute("COMMIT")
    db.close()
    return len(some)


def rows(node, table, where):
    db = node.connect()
    found = db.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY id").fetchall()
    db.close()
    return found


@case("what goes out as CSV, for a French spreadsheet or as JSON Lines comes back as no change, and is the same rows in a file that has none")
def _():
    n = fill()
    theirs = {"learner": "birth_family_name = 'Odd'", "learner_contact": "learner_id IN (SELECT id FROM learner WHERE birth_family_name = 'Odd')"}
    for way, args in (("csv", ()), ("csv", ("--excel",)), ("jsonl", ("--format", "jsonl"))):
        for table, where in theirs.items():
            file = path(f"{table}.{way}")
            with open(file, "wb") as f:
                f.write(exported(llp, table, "--where", where, *args))
            before = rows(llp, table, where)
            expect(f"{table} as {way} {args}, where it came from", counts(imported(llp, file, "--table", table)), (0, 0, n, 0, 0))
            expect("rows that changed", rows(llp, table, where) == before, True)
            doc = imported(alone, file, "--table", table)
            expect(f"{table} as {way} {args}, where there is none of it", (counts(doc), doc["refused"][:2]), ((n, 0, 0, 0, 0), []))
            found = rows(alone, table, "1")
            expect(f"{table} as {way} {args}, elsewhere", [(a, b) for a, b in zip(found, before) if a != b][:2], [])
            expect("how many", len(found), len(before))
        for table in reversed(theirs):
            db = alone.connect()
            db.execute(f"DELETE FROM {table}")
            db.close()
    db = llp.connect()
    db.execute(f"DELETE FROM learner_contact WHERE {theirs['learner_contact']}")
    db.execute("DELETE FROM learner WHERE birth_family_name = 'Odd'")
    db.close()


@case("what a program has put into a record that no person could is no change when it comes back: a bad day, an unknown code, an id in capitals or of its own")
def _():
    llp.sql("INSERT INTO learner (id, home_site_id, birth_family_name, birth_date, sex) SELECT id, site_id, 'Bad', '1990-02-31', 'Q' FROM perche_self,"
            " (SELECT '0148AAAA-4000-7000-8001-00000000ABCD' AS id UNION ALL SELECT 'L99' UNION ALL SELECT 'l99')")
    file = path("bad.csv")
    with open(file, "wb") as f:
        f.write(exported(llp, "learner", "--where", "birth_family_name = 'Bad'"))
    expect("as it is", counts(imported(llp, file, "--table", "learner")), (0, 0, 3, 0, 0))
    with open(file, encoding="utf-8") as f:
        text = f.read().replace("1990-02-31", "1990-02-30", 1)
    with open(file, "w", encoding="utf-8") as f:
        f.write(text)
    doc = imported(llp, file, "--table", "learner", code=1)
    expect("another bad day is one", (counts(doc), doc["refused"][0]["column"]), ((0, 0, 2, 0, 1), "birth_date"))
    llp.sql("DELETE FROM learner WHERE birth_family_name = 'Bad'")


@case("an empty text of a file of another program takes nothing away and is nobody's number")
def _():
    lines = '{"external_id": "Z1", "birth_family_name": "Vide", "ine": "", "sex": "", "birth_date": ""}\n{"external_id": "Z2", "birth_family_name": "Vide", "ine": ""}\n'
    with open(path("v.jsonl"), "w", encoding="utf-8") as f:
        f.write(lines)
    expect("two people", counts(imported(llp, path("v.jsonl"), "--table", "learner")), (2, 0, 0, 0, 0))
    expect("no number", llp.count("learner", "birth_family_name = 'Vide' AND ine IS NULL AND sex IS NULL AND birth_date IS NULL"), 2)
    with open(path("v.jsonl"), "w", encoding="utf-8") as f:
        f.write('{"external_id": "Z1", "birth_family_name": ""}\n')
    expect("nothing is taken away", counts(imported(llp, path("v.jsonl"), "--table", "learner")), (0, 0, 1, 0, 0))
    expect("the name", llp.count("learner", "birth_family_name = 'Vide'"), 2)
    llp.sql("DELETE FROM learner WHERE birth_family_name = 'Vide'")


@case("a table that is written meanwhile goes out with each untouched row exactly once")
def _():
    db = llp.connect()
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO learner_contact (id, learner_id, kind, value) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)"
               " SELECT printf('01487832-4000-7000-9000-%012d', i), (SELECT min(id) FROM learner), 'EMAIL', 'p' || i FROM n")
    db.execute("COMMIT")
    reading = subprocess.Popen([os.path.join(perche_net.BUILD, "perche"), "--socket", llp.socket, "export", "learner_contact"], stdout=subprocess.PIPE)
    head = reading.stdout.read(1000)  # the first page is there; the second is asked for when this pipe is empty
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM learner_contact WHERE id BETWEEN '01487832-4000-7000-9000-000000000101' AND '01487832-4000-7000-9000-000000000200'")
    db.execute("INSERT INTO learner_contact (id, learner_id, kind, value) SELECT printf('01487832-4000-7000-8fff-%012d', substr(value, 2)), learner_id, kind, 'new' FROM learner_contact"
               " WHERE value IN ('p1', 'p2', 'p3')")
    db.execute("COMMIT")
    db.close()
    out = (head + reading.stdout.read()).decode()
    expect("exit", reading.wait(), 0)
    found = [r["id"] for r in csv.DictReader(io.StringIO(out)) if r["id"].startswith("01487832-4000-7000-9000-")]
    untouched = [f"01487832-4000-7000-9000-{i:012d}" for i in range(1, 12001) if not 101 <= i <= 200]
    expect("twice", len(found) - len(set(found)), 0)
    expect("missed", sorted(set(untouched) - set(found))[:3], [])
    llp.sql("DELETE FROM learner_contact WHERE id LIKE '01487832-4000-7000-9000-%' OR id LIKE '01487832-4000-7000-8fff-%'")


@case("a file that --output names is there whole or not at all")
def _():
    file = path("out.csv")
    with open(file, "w", encoding="utf-8") as f:
        f.write("older")
    before = sorted(os.listdir(net.folder))
    p = llp.run("export", "learner", "--where", "no_such_column = 1", "--output", file)
    expect("a bad condition", p.returncode, 2)
    with open(file, encoding="utf-8") as f:
        expect("the older file", f.read(), "older")
    expect("what else is there", sorted(os.listdir(net.folder)), before)
    expect("in a folder that is not there", llp.run("export", "learner", "--output", path("none/x.csv")).returncode, 1)
    expect("a device that is full", llp.run("export", "learner", "--output", "/dev/full").returncode, 1)
    for name, begin in (("a.jsonl", b"{"), ("a.xlsx", b"PK"), ("a.csv", b"id,")):
        llp.perche("export", "cohort", "--output", path(name))
        with open(path(name), "rb") as f:
            expect(f"the ending of {name} says what it is", f.read(4).startswith(begin), True)
    for args in (("export",), ("export", "learner", "--format", "oneroster"), ("export", "learner", "--format", "xml"), ("export", "learner", "--format", "xlsx", "--excel"),
                 ("export", "entry_sensitive"), ("export", "--format", "oneroster", "--where", "1")):
        expect(f"{args}", llp.run(*args).returncode, 2)


def ask(node, command, **args):
    """What the daemon answers a program."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as c:
        c.settimeout(30 * perche_net.SLOW)
        c.connect(node.socket)
        c.sendall(json.dumps({"command": command, "args": args}).encode() + b"\n")
        return json.loads(c.makefile().readline())


@case("a program that asks the daemon wrongly is told, and rows that a trial stands on leave nothing behind")
def _():
    row = {"table": "learner", "columns": ["external_id", "birth_family_name"], "rows": [[1, "Y1", "Essai"]]}
    for args, word in (({"rows": [[1, {"odd": "a"}, "x"]]}, "a cell is a text"), ({"rows": [[1, {}, "x"]]}, "a cell is a text"),
                       ({"rows": [[1, "Y1", {"external": "x"}]]}, "refers to no table"), ({"by": ["no_such"]}, "no_such"), ({"columns": ["external_id", "no|birth_family_name"]}, "no such column"),
                       ({"columns": ["birth_family_name", "call_name|birth_family_name"]}, "two columns"), ({"before": [row]}, "goes with `dry` alone"),
                       ({"dry": True, "before": [{"table": "nothing"}]}, "nothing"), ({"dry": True, "before": ["x"]}, "no JSON object")):
        answer = ask(llp, "import", **{**row, "dry": True, "source": "asks", **({"dry": False} if args.get("before") == [row] else {}), **args})
        expect(f"{args}", (answer["ok"], answer.get("code")), (False, "not_found" if "nothing" in word else "usage"))
        expect_in(f"{args}", word, answer["text"])
    enrolment = {"table": "enrolment", "source": "asks", "dry": True, "columns": ["external_id", "learner_id", "cohort_id", "planned_start", "planned_end"],
                 "rows": [[1, "E", {"external": "Y1"}, "P1", {"new": "2014-10-06"}, "30/04/2015"]]}
    answer = ask(llp, "import", **enrolment)["result"]
    expect("a learner that is not known", (answer["new"], answer["refused"][0]["column"]), (0, "learner_id"))
    answer = ask(llp, "import", **enrolment, before=[row])["result"]
    expect("with the row that it stands on, which is not told", (answer["new"], answer["refused"]), (1, []))
    expect("nothing is left", (llp.count("learner", "birth_family_name = 'Essai'"), llp.count("external_id", "source = 'asks'")), (0, 0))
    kinds = {c["name"]: (c["kind"], c["code_list"], c["key"]) for c in ask(llp, "columns", table="learner")["result"]["columns"]}
    expect("columns", [kinds[k] for k in ("id", "birth_date", "erased_at", "restricted", "sex")],
           [("text", None, True), ("day", None, False), ("instant", None, False), ("yes_no", None, False), ("text", "sex", False)])


# ------------------------------------------------------------------ spreadsheets

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheet(data):
    """The rows of the first sheet, each a list of (kind, value), and the parts of the file."""
    z = zipfile.ZipFile(io.BytesIO(data))
    expect("a part of the file that is damaged", z.testzip(), None)
    root = xml.fromstring(z.read("xl/worksheets/sheet1.xml"))
    days = [i for i, x in enumerate(xml.fromstring(z.read("xl/styles.xml")).find(f"{MAIN}cellXfs")) if int(x.get("numFmtId")) >= 164]
    found = []
    for row in root.find(f"{MAIN}sheetData"):
        cells = {}
        for c in row:
            at = re.match("[A-Z]+", c.get("r"))[0]
            if c.get("t") == "inlineStr":
                cells[at] = ("text", "".join(t.text or "" for t in c.iter(f"{MAIN}t")))
            else:
                cells[at] = ("day" if int(c.get("s", 0)) in days else "number", float(c.find(f"{MAIN}v").text))
        found.append(cells)
    return found, root, z


@case("a spreadsheet: text is text, with its zeros and never a formula; a day is a day, a number a number; the first row stays in sight; one without room for it is none")
def _():
    llp.sql("INSERT INTO learner (id, home_site_id, birth_family_name, use_family_name, given_names, call_name, birth_date, ft_identifier, ine) SELECT '01487832-4000-7000-a000-000000000001',"
            " site_id, '=HYPERLINK(\"http://x\")', '+33', '_x0041_', 'a' || char(1, 10) || 'b<&>', '1992-03-14', '0012', '2016-04-13' FROM perche_self",
            "INSERT INTO learner (id, home_site_id, birth_family_name, birth_date) SELECT '01487832-4000-7000-a000-000000000002', site_id, char(65534) || 'x', '1899-12-31' FROM perche_self")
    data = exported(llp, "learner", "--where", "id LIKE '01487832-4000-7000-a%'", "--format", "xlsx")
    found, root, z = sheet(data)
    heads = {value: at for at, (_, value) in found[0].items()}
    first = {name: found[1].get(at) for name, at in heads.items()}
    expect("no formula in the file", list(root.iter(f"{MAIN}f")), [])
    expect("nothing that runs", [n for n in z.namelist() if "vba" in n.lower() or "external" in n.lower() or "calc" in n.lower()], [])
    expect("text", [first[k] for k in ("birth_family_name", "use_family_name", "ft_identifier", "ine")],
           [("text", '=HYPERLINK("http://x")'), ("text", "+33"), ("text", "0012"), ("text", "2016-04-13")])
    expect("what a spreadsheet would read as another", [first["given_names"], first["call_name"]], [("text", "_x005F_x0041_"), ("text", "a_x0001_\nb<&>")])
    expect("a day, counted from 1900", first["birth_date"], ("day", 33677.0))
    expect("a number", first["restricted"], ("number", 0.0))
    expect("nothing", first["sex"], None)
    second = {name: found[2].get(at) for name, at in heads.items()}
    expect("before a spreadsheet's calendar, and no XML", [second["birth_date"], second["birth_family_name"]], [("text", "1899-12-31"), ("text", "\ufffdx")])
    pane = root.find(f"{MAIN}sheetViews/{MAIN}sheetView/{MAIN}pane")
    expect("the first row is frozen", (pane.get("ySplit"), pane.get("state")), ("1", "frozen"))
    llp.sql("UPDATE learner SET call_name = substr(replace(hex(zeroblob(20000)), '00', 'xx'), 1, 32768) WHERE id = '01487832-4000-7000-a000-000000000001'")
    p = llp.run("export", "learner", "--output", path("long.xlsx"))
    expect("a text that no cell holds", (p.returncode, os.path.exists(path("long.xlsx"))), (1, False))
    for word in ("column call_name", "32,767", "--format csv"):
        expect_in("what is said", word, p.stderr)
    llp.sql("DELETE FROM learner WHERE id LIKE '01487832-4000-7000-a%'")
    db = llp.connect()
    db.execute("INSERT INTO learner_contact (id, learner_id, kind, value) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
               " SELECT printf('01487832-4000-7000-9000-%012d', i), (SELECT min(id) FROM learner), 'EMAIL', 'p' || i FROM n")

    def short_of_room():  # a file of more than 1 MB ends there, as on a disk that is full
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    p = subprocess.run([os.path.join(perche_net.BUILD, "perche"), "--socket", llp.socket, "export", "learner_contact", "--output", path("room.xlsx")], preexec_fn=short_of_room,
                       capture_output=True, text=True, timeout=60 * perche_net.SLOW)
    expect("no room for temporary files", (p.returncode, os.path.exists(path("room.xlsx"))), (1, False))
    expect_in("what is said", "could not be written", p.stderr)
    expect("with room", len(sheet(exported(llp, "learner_contact", "--where", "id LIKE '01487832-4000-7000-9000-%'", "--format", "xlsx"))[0]), 5001)
    db.execute("DELETE FROM learner_contact WHERE id LIKE '01487832-4000-7000-9000-%'")
    db.close()
    master, terminal = pty.openpty()
    p = subprocess.run([os.path.join(perche_net.BUILD, "perche"), "--socket", llp.socket, "export", "learner", "--format", "xlsx"], stdout=terminal, stderr=subprocess.PIPE, timeout=30)
    os.close(terminal)
    os.close(master)
    expect("to a terminal", p.returncode, 2)
    expect_in("to a terminal", "--output FILE", p.stderr.decode())


# ------------------------------------------------------------------ OneRoster, out


def roster(file):
    z = zipfile.ZipFile(file)
    expect("a file of the archive that is damaged", z.testzip(), None)
    return {n: list(csv.DictReader(io.StringIO(z.read(n).decode()))) for n in z.namelist()}, z


@case("a OneRoster archive has the files and columns of 1.1 and our ids; no ethnic column, nobody who is not to be used; and comes back as no change")
def _():
    llp.sql("UPDATE learner SET use_family_name = 'Épouse', call_name = 'Tom' WHERE id = '01487832-4000-7000-8001-000000000001'",
            "UPDATE enrolment SET actual_end = '2015-02-28' WHERE id = '01487832-4000-7000-8002-000000000002'",
            "INSERT INTO cohort (site_id, training_id, code, starts_on, ends_on, capacity, mode, status) SELECT site_id, training_id, 'PX', '2016-01-01', '2016-02-01', 1, 'ON_SITE', 'CANCELLED'"
            " FROM cohort WHERE code = 'P1'")
    llp.sync_wait()
    hub.sql("UPDATE learner SET restricted = 1 WHERE id = '01487832-4000-7000-8001-000000000005'")
    llp.sync_wait()
    p = llp.run("export", "--format", "oneroster", "--output", path("out.zip"))
    expect("exit", p.returncode, 0)
    for word in ("1 learners who are restricted", "1 cohorts that were cancelled", "1 enrolments whose"):
        expect_in("what was left out is said", word, p.stderr)
    files, z = roster(path("out.zip"))
    expect("files", sorted(files), sorted([*COLUMNS, "manifest.csv"]))
    for name, columns in COLUMNS.items():
        expect(name, z.read(name).decode().split("\r\n")[0], columns)
        expect(f"{name}: a bulk file says nothing of status", {(r["status"], r["dateLastModified"]) for r in files[name]} - {("", "")}, set())
        expect(f"{name}: ids", len({r["sourcedId"] for r in files[name]}), len(files[name]))
    manifest = {r["propertyName"]: r["value"] for r in files["manifest.csv"]}
    expect("manifest", manifest, {"manifest.version": "1.0", "oneroster.version": "1.1", "source.systemName": "Perche", "source.systemCode": "perche",
                                  **{f"file.{n[:-4]}": "bulk" for n in COLUMNS}, **{f"file.{n}": "absent" for n in ABSENT}})
    expect("ethnic columns", {r[c] for r in files["demographics.csv"] for c in ETHNIC}, {""})
    users = {r["sourcedId"]: r for r in files["users.csv"]}
    expect("users", sorted(users), sorted(llp.sql("SELECT id FROM learner WHERE restricted = 0").splitlines()))
    expect("one of them", [users["01487832-4000-7000-8001-000000000001"][k] for k in ("role", "enabledUser", "givenName", "familyName", "username")],
           ["student", "true", "Tom", "Épouse", "01487832-4000-7000-8001-000000000001"])
    born = {r["sourcedId"]: (r["birthDate"], r["sex"]) for r in files["demographics.csv"]}
    expect("born", born["01487832-4000-7000-8001-000000000001"], ("1992-03-14", "male"))
    orgs = {r["sourcedId"]: r["type"] for r in files["orgs.csv"]}
    expect("schools", orgs[llp.id], "school")
    for name, column, whose in (("users.csv", "orgSourcedIds", orgs), ("classes.csv", "schoolSourcedId", orgs), ("classes.csv", "courseSourcedId", None), ("enrollments.csv", "userSourcedId", users),
                                ("enrollments.csv", "classSourcedId", None), ("classes.csv", "termSourcedIds", None), ("courses.csv", "orgSourcedId", orgs), ("demographics.csv", "sourcedId", users)):
        known = whose if whose is not None else {r["sourcedId"] for n in ("courses.csv", "classes.csv", "academicSessions.csv") for r in files[n]}
        expect(f"{name}: {column} that is not there", [r for r in files[name] for i in r[column].split(",") if i not in known], [])
    ended = {r["sourcedId"]: (r["beginDate"], r["endDate"], r["role"]) for r in files["enrollments.csv"]}
    expect("an end is the day after the last one", ended["01487832-4000-7000-8002-000000000002"], ("2014-10-06", "2015-03-01", "student"))
    term = files["academicSessions.csv"][0]
    expect("a term", (term["startDate"], term["endDate"], term["schoolYear"], term["type"]), ("2014-10-06", "2015-05-01", "2015", "term"))
    for node in (llp, hub):
        doc = imported(node, path("out.zip"), "--dry-run")
        expect(f"back at {node.key}", (counts(doc)[:2], counts(doc)[3:], doc["left"]), ((0, 0), (0, 0), []))
    shutil.copy(path("out.zip"), path("again.zip"))
    llp.perche("export", "--format", "oneroster", "--output", path("again.zip"))
    expect("once more", {n: z.read(n) for n in z.namelist()} == {n: zipfile.ZipFile(path("again.zip")).read(n) for n in z.namelist()}, True)
    with open(path("piped.zip"), "wb") as f:
        f.write(exported(llp, "--format", "oneroster"))
    expect("through a pipe", sorted(roster(path("piped.zip"))[0]), sorted(files))
    hub.sql("UPDATE learner SET restricted = 0")
    llp.sync_wait()


@case("a learner of two schools is of both, at the hub; the archive has each school's classes")
def _():
    hub.sql("INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)"
            f" SELECT '01487832-4000-7000-8003-00000000000c', '{chr_.id}', training_id, 'C1', '2015-09-01', '2016-02-01', 10, 'ON_SITE', 'RUNNING' FROM cohort WHERE code = 'P1'",
            "INSERT INTO enrolment (learner_id, cohort_id, site_id, planned_start, planned_end)"
            f" VALUES ('01487832-4000-7000-8001-000000000003', '01487832-4000-7000-8003-00000000000c', '{chr_.id}', '2015-09-01', '2016-02-01')")
    hub.perche("export", "--format", "oneroster", "--output", path("hub.zip"))
    files, _ = roster(path("hub.zip"))
    users = {r["sourcedId"]: r for r in files["users.csv"]}
    expect("his schools", users["01487832-4000-7000-8001-000000000003"]["orgSourcedIds"], f"{llp.id},{chr_.id}")
    expect("classes", sorted((r["classCode"], r["schoolSourcedId"]) for r in files["classes.csv"]), sorted([("P1", llp.id), ("C1", chr_.id)]))
    hub.sql("DELETE FROM enrolment WHERE cohort_id = '01487832-4000-7000-8003-00000000000c'", "DELETE FROM cohort WHERE code = 'C1'")


# ------------------------------------------------------------------ OneRoster, in


def table(name, rows_):
    columns = COLUMNS[name].split(",")
    out = io.StringIO()
    w = csv.DictWriter(out, columns, restval="", lineterminator="\r\n")
    w.writeheader()
    w.writerows(rows_)
    return out.getvalue()


def archive(file, manifest=None, raw=None, compression=zipfile.ZIP_DEFLATED, **files):
    """What another program would send: @files by name without .csv, rows as dicts; @raw: by name, as they are."""
    said = {"manifest.version": "1.0", "oneroster.version": "1.1", **{f"file.{n[:-4]}": "bulk" if n[:-4] in files else "absent" for n in COLUMNS}, **{f"file.{n}": "absent" for n in ABSENT}}
    said.update(manifest or {})
    with zipfile.ZipFile(path(file), "w", compression) as z:
        if manifest is not False:
            z.writestr("manifest.csv", "propertyName,value\r\n" + "".join(f"{k},{v}\r\n" for k, v in said.items() if v is not None))
        for name, rows_ in files.items():
            z.writestr(name + ".csv", table(name + ".csv", rows_))
        for name, text in (raw or {}).items():
            z.writestr(name, text)
    return path(file)


def foreign(**change):
    files = {
        "orgs": [{"sourcedId": "D", "name": "Académie", "type": "district"}, {"sourcedId": "S1", "name": "la loupe", "type": "school", "parentSourcedId": "D"},
                 {"sourcedId": "S2", "name": "École de Chartres", "type": "school", "identifier": "chr"}],
        "academicSessions": [{"sourcedId": "T1", "title": "2015-2016", "type": "term", "startDate": "2015-09-01", "endDate": "2016-07-02", "schoolYear": "2016"}],
        "courses": [{"sourcedId": "C1", "title": "Développeur web et mobile", "orgSourcedId": "S1"}],
        "classes": [{"sourcedId": "K1", "title": "Promo du soir", "courseSourcedId": "C1", "classCode": "SOIR", "classType": "scheduled", "schoolSourcedId": "S1", "termSourcedIds": "T1"}],
        "users": [{"sourcedId": "U1", "enabledUser": "true", "orgSourcedIds": "S1,D", "role": "student", "username": "u1", "givenName": "Léa", "familyName": "Ferrand", "middleName": "Rose"},
                  {"sourcedId": "U2", "enabledUser": "true", "orgSourcedIds": "S1", "role": "student", "username": "u2", "givenName": "=Tom", "familyName": "Ngo"},
                  {"sourcedId": "P1", "enabledUser": "true", "orgSourcedIds": "S1", "role": "teacher", "username": "p1", "givenName": "Paul", "familyName": "Prof"}],
        "demographics": [{"sourcedId": "U1", "birthDate": "1999-05-04", "sex": "female", "white": "true"}],
        "enrollments": [{"sourcedId": "E1", "classSourcedId": "K1", "schoolSourcedId": "S1", "userSourcedId": "U1", "role": "student", "beginDate": "2015-09-02", "endDate": "2016-03-01"},
                        {"sourcedId": "E2", "classSourcedId": "K1", "schoolSourcedId": "S1", "userSourcedId": "U2", "role": "student"},
                        {"sourcedId": "E3", "classSourcedId": "K1", "schoolSourcedId": "S1", "userSourcedId": "P1", "role": "teacher", "primary": "true"}],
    }
    files.update(change)
    return {k: v for k, v in files.items() if v is not None}


def of_source(node, source="oneroster"):
    return dict(line.split("|") for line in node.sql(f"SELECT external, row_id FROM external_id WHERE source = '{source}'").splitlines())


@case("an archive of another program at a site: students, classes and enrollments become ours, its ids are kept beside ours; the same file twice has no effect")
def _():
    file = archive("in.zip", **foreign())
    before = llp.count("learner"), llp.count("cohort"), llp.count("enrolment"), llp.count("external_id")
    doc = imported(llp, file, "--format", "oneroster", "--dry-run")
    expect("a trial", counts(doc), (5, 0, 0, 0, 0))
    expect("it writes nothing", (llp.count("learner"), llp.count("cohort"), llp.count("enrolment"), llp.count("external_id")), before)
    said = llp.perche("import", file, "--dry-run")
    for word in ("It would be: 5 new", "users.csv: 1 rows of another role", "enrollments.csv: 1 rows of another role"):
        expect_in("what it says", word, said)
    expect("taken in", counts(imported(llp, file)), (5, 0, 0, 0, 0))
    ids = of_source(llp)
    expect("ids", (sorted(ids), [i for i in ids.values() if i in ids]), (["E1", "E2", "K1", "U1", "U2"], []))
    expect("a learner", llp.sql(f"SELECT birth_family_name, given_names, birth_date, sex, home_site_id = (SELECT site_id FROM perche_self) FROM learner WHERE id = '{ids['U1']}'"),
           "Ferrand|Léa Rose|1999-05-04|F|1")
    expect("a name that looks like a formula", llp.sql(f"SELECT given_names FROM learner WHERE id = '{ids['U2']}'"), "=Tom")
    expect("a cohort", llp.sql(f"SELECT code, starts_on, ends_on, capacity, mode, status, training_id FROM cohort WHERE id = '{ids['K1']}'"),
           "SOIR|2015-09-01|2016-07-01|2|ON_SITE|ENDED|01487832-4000-7000-8008-000000000001")
    expect("enrolments", llp.sql(f"SELECT learner_id = '{ids['U1']}', actual_start, actual_end, planned_start, planned_end FROM enrolment WHERE id IN ('{ids['E1']}', '{ids['E2']}') ORDER BY 1 DESC"),
           "1|2015-09-02|2016-02-29|2015-09-02|2016-02-29\n0|||2015-09-01|2016-07-01")
    again = imported(llp, file)
    expect("the same file", (counts(again), again["before"] is not None), ((0, 0, 0, 0, 0), True))
    expect("row by row", counts(imported(llp, file, "--again")), (0, 0, 5, 0, 0))
    llp.sync_wait()
    expect("at the hub", hub.count("learner", "birth_family_name = 'Ferrand'"), 1)
    expect("the hub refuses none of it", llp.json("refused")["refused"], [])


@case("what a later archive says otherwise is written or asked about; what it leaves out stays, and what is to be deleted is listed and stays")
def _():
    ids = of_source(llp)
    change = foreign(users=[{"sourcedId": "U1", "enabledUser": "true", "orgSourcedIds": "S1", "role": "student", "username": "u1", "givenName": "Léa Rose", "familyName": "Durand", "status": "active"},
                            {"sourcedId": "U2", "enabledUser": "true", "orgSourcedIds": "S1", "role": "student", "username": "u2", "givenName": "Tom", "familyName": "Ngo", "status": "tobedeleted"}],
                     demographics=None, courses=None, classes=None, academicSessions=None,
                     enrollments=[{"sourcedId": "E1", "classSourcedId": "K1", "schoolSourcedId": "S1", "userSourcedId": "U1", "role": "student", "beginDate": "2015-09-02", "status": "tobedeleted"}])
    file = archive("delta.zip", manifest={"file.users": "delta", "file.enrollments": "delta"}, **change)
    doc = imported(llp, file, "--dry-run")
    expect("a trial", (counts(doc), [(x["file"], x["line"]) for x in doc["left"]]), ((0, 0, 0, 1, 0), [("users.csv", 3), ("enrollments.csv", 2)]))
    before = llp.count("learner"), llp.count("enrolment")
    expect("taken in", counts(imported(llp, file)), (0, 0, 0, 1, 0))
    expect("nobody is gone", (llp.count("learner"), llp.count("enrolment")), before)
    asked = [c for c in llp.json("conflicts")["conflicts"] if c["column"] == "birth_family_name"]
    expect("asked", [{c["a"]["value"], c["b"]["value"]} for c in asked], [{"Ferrand", "Durand"}])
    expect("the record stays", llp.sql(f"SELECT birth_family_name FROM learner WHERE id = '{ids['U1']}'"), "Ferrand")
    llp.perche("conflicts", "resolve", asked[0]["id"], "--value", "Ferrand", "--reason", "as on the card")
    llp.sql(f"UPDATE learner SET use_family_name = 'Durand' WHERE id = '{ids['U1']}'")
    expect("now the record says it, as the name in use", counts(imported(llp, file, "--again")), (0, 0, 1, 0, 0))


@case("defects of an archive are named by file, line and column, the rest is taken in; what is of another school is left to it")
def _():
    good = foreign()
    users = [*good["users"][:2],
             {"sourcedId": "U3", "orgSourcedIds": "S9", "role": "student", "givenName": "A", "familyName": "B"},
             {"sourcedId": "U4", "orgSourcedIds": "S2", "role": "student", "givenName": "C", "familyName": "D"},
             {"sourcedId": "", "orgSourcedIds": "S1", "role": "student", "givenName": "E", "familyName": "F"},
             {"sourcedId": "U1", "orgSourcedIds": "S1", "role": "student", "givenName": "G", "familyName": "H"},
             {"sourcedId": "U6", "orgSourcedIds": "S1", "role": "student", "status": "inactive", "givenName": "I", "familyName": "J"},
             {"sourcedId": "U7", "orgSourcedIds": "S1", "role": "student", "givenName": "", "familyName": ""},
             {"sourcedId": "U8", "orgSourcedIds": "S1", "role": "student", "givenName": "K", "familyName": "L"},
             {"sourcedId": "U9", "orgSourcedIds": "S1", "role": "student", "givenName": "M", "familyName": "x" * 1001},
             {"sourcedId": "U10", "orgSourcedIds": "S1", "role": "student", "givenName": "N", "familyName": "O"}]
    demographics = [*good["demographics"], {"sourcedId": "U8", "birthDate": "2091-01-01"}, {"sourcedId": "U10", "birthDate": "1.2.1999"}]
    classes = [*good["classes"], {**good["classes"][0], "sourcedId": "K2", "courseSourcedId": "C9"}, {**good["classes"][0], "sourcedId": "K3", "schoolSourcedId": "S2"},
               {**good["classes"][0], "sourcedId": "K4", "classCode": "NUIT", "termSourcedIds": "T9"}]
    enrollments = [*good["enrollments"][:2], {**good["enrollments"][0], "sourcedId": "E4", "userSourcedId": "U99"}, {**good["enrollments"][0], "sourcedId": "E5", "classSourcedId": "K2"},
                   {**good["enrollments"][1], "sourcedId": "E6", "beginDate": "2015-13-01"}, {**good["enrollments"][1], "sourcedId": "E7", "userSourcedId": "U8"}]
    orgs = [*good["orgs"], {"sourcedId": "S9", "name": "Ailleurs", "type": "school"}]
    file = archive("bad.zip", **{**good, "users": users, "demographics": demographics, "classes": classes, "enrollments": enrollments, "orgs": orgs})
    wanted = sorted([("users.csv", 4, "orgSourcedIds"), ("users.csv", 6, "sourcedId"), ("users.csv", 7, "sourcedId"), ("users.csv", 8, "status"), ("users.csv", 9, "birth_family_name"),
                     ("demographics.csv", 3, "birthDate"), ("users.csv", 11, "familyName"), ("demographics.csv", 4, "birthDate"), ("classes.csv", 3, "courseSourcedId"),
                     ("classes.csv", 5, "termSourcedIds"), ("enrollments.csv", 4, "userSourcedId"), ("enrollments.csv", 5, "classSourcedId"), ("enrollments.csv", 6, "beginDate"),
                     ("enrollments.csv", 7, "userSourcedId")])
    wanted = [(f, n, "familyName" if c == "birth_family_name" else c) for f, n, c in wanted]
    left = [("orgs.csv", 5), ("classes.csv", None), ("users.csv", None)]
    for args in (("--dry-run",), ()):
        doc = imported(llp, file, *args, code=1)
        expect(f"refused {args}", sorted((x["file"], x["line"], x["column"]) for x in doc["refused"]), sorted(wanted))
        expect("each with its reason", [x for x in doc["refused"] if len(x["why"]) < 10], [])
        expect("left", [(x["file"], x["line"]) for x in doc["left"]], left)
        expect_in("whose it is", "of other schools", doc["left"][1]["why"])
        expect("the rest", counts(doc)[0], 1)  # U10, whose day of birth alone was wrong
    said = llp.run("import", file, "--again").stdout
    for word in ("demographics.csv", "birthDate", "it is no day: OneRoster writes 2016-04-13", "1.2.1999"):
        expect_in("what a person reads", word, said)


@case("at the hub courses become trainings, and each school's classes come in at once; a site cannot add a training")
def _():
    second = foreign(courses=[{"sourcedId": "C1", "title": "Développeur web et mobile"}, {"sourcedId": "C2", "title": "Coach numérique"}],
                     classes=[{**foreign()["classes"][0], "sourcedId": "K8", "classCode": "COACH", "courseSourcedId": "C2", "schoolSourcedId": "S2"},
                              {**foreign()["classes"][0], "sourcedId": "K9", "classCode": "P1", "termSourcedIds": "T0"}],
                     academicSessions=[*foreign()["academicSessions"], {"sourcedId": "T0", "title": "0", "type": "term", "startDate": "2014-10-06", "endDate": "2015-05-01", "schoolYear": "2015"}],
                     users=[{"sourcedId": "H1", "enabledUser": "true", "orgSourcedIds": "S2", "role": "student", "username": "h1", "givenName": "Zoé", "familyName": "Hub"}],
                     demographics=None,
                     enrollments=[{"sourcedId": "E8", "classSourcedId": "K8", "schoolSourcedId": "S2", "userSourcedId": "H1", "role": "student"}])
    file = archive("two.zip", **second)
    doc = imported(llp, file, "--dry-run", code=0)
    expect("a site", [(x["file"], x["line"]) for x in doc["left"] if x["line"]], [("courses.csv", 3)])
    before = hub.count("training"), hub.count("cohort")
    expect("a trial at the hub", counts(imported(hub, file, "--dry-run")), (4, 0, 2, 0, 0))
    expect("it writes nothing", (hub.count("training"), hub.count("cohort")), before)
    expect("at the hub", counts(imported(hub, file)), (4, 0, 2, 0, 0))
    expect("P1 was there, and the training as well", (hub.count("cohort", "code = 'P1'"), hub.count("training"), hub.count("cohort")), (1, before[0] + 1, before[1] + 1))
    ids = of_source(hub)
    expect("whose learner", hub.sql(f"SELECT home_site_id FROM learner WHERE id = '{ids['H1']}'"), chr_.id)
    expect("in which training", hub.sql(f"SELECT title FROM training t JOIN cohort c ON c.training_id = t.id WHERE c.id = '{ids['K8']}'"), "Coach numérique")
    expect("again", counts(imported(hub, file, "--again")), (0, 0, 6, 0, 0))
    more = archive("more.zip", **{**second, "enrollments": [*second["enrollments"], {**second["enrollments"][0], "sourcedId": "E9"}]})
    expect("who comes a second time is enrolled a second time", counts(imported(hub, more)), (1, 0, 6, 0, 0))
    expect("and known from then on", counts(imported(hub, more, "--again")), (0, 0, 7, 0, 0))
    chr_.sync_wait()
    expect("at its site", chr_.count("enrolment"), 2)


@case("what is no OneRoster 1.1 archive is refused whole, with what is wrong, and writes nothing")
def _():
    good = foreign()

    def broken(name, data):
        with open(path(name), "wb") as f:
            f.write(data)
        return path(name)

    with open(archive("good.zip", **good), "rb") as f:
        whole = f.read()
    stored = archive("stored.zip", compression=zipfile.ZIP_STORED, **good)
    with open(stored, "rb") as f:
        damaged = f.read().replace(b"Ferrand", b"Ferrant", 1)
    with zipfile.ZipFile(path("twice.zip"), "w") as z:
        z.writestr("manifest.csv", "propertyName,value\nmanifest.version,1.0\n")
        import warnings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            z.writestr("manifest.csv", "propertyName,value\nmanifest.version,1.0\n")
    folder = path("folder.zip")
    with zipfile.ZipFile(folder, "w") as z:
        z.writestr("export/manifest.csv", "x")
        z.writestr("../../../../../tmp/perche-escaped.csv", "x")
        z.writestr("/etc/perche-escaped", "x")
    many = path("many.zip")
    with zipfile.ZipFile(many, "w") as z:
        for i in range(1500):
            z.writestr(f"{i}.txt", "")
    encrypted = bytearray(whole)
    at = 0
    while (at := encrypted.find(b"PK\x01\x02", at)) >= 0:
        encrypted[at + 8] |= 1
        local = struct.unpack_from("<I", encrypted, at + 42)[0]
        encrypted[local + 6] |= 1
        at += 4
    bomb = archive("bomb.zip", raw={"users.csv": "x" * (200 << 20)}, manifest={"file.users": "bulk"})
    expect("the bomb is small", os.path.getsize(bomb) < 1 << 20, True)
    before = llp.count("learner"), llp.count("cohort"), llp.count("external_id")
    for what, file, word in (
        ("no zip", broken("no.zip", b"sourcedId,status\n"), "no zip archive"),
        ("nothing", broken("empty.zip", b""), "no zip archive"),
        ("cut short", broken("short.zip", whole[:-30]), "cut short"),
        ("cut in half", broken("half.zip", whole[:len(whole) // 2]), "cut short"),
        ("a byte is another", broken("damaged.zip", damaged), "users.csv: it is damaged"),
        ("a password", broken("locked.zip", bytes(encrypted)), "encrypted"),
        ("a file twice", path("twice.zip"), "manifest.csv: it stands in the archive twice"),
        ("a folder", folder, "no manifest.csv at its top"),
        ("1,500 files", many, "more files than any such archive"),
        ("a bomb", bomb, "users.csv: it unpacks to more"),
        ("no manifest", archive("m.zip", manifest=False, **good), "no manifest.csv"),
        ("1.2", archive("v.zip", manifest={"oneroster.version": "1.2"}, **good), "oneroster.version is 1.2"),
        ("no version", archive("v0.zip", manifest={"manifest.version": None}, **good), "manifest.version is missing"),
        ("a file that is promised", archive("p.zip", manifest={"file.courses": "bulk"}, **foreign(courses=None)), "the archive has no such file"),
        ("a word", archive("w.zip", manifest={"file.users": "some"}, **good), "file.users is some: it is bulk, delta or absent"),
        ("a column", archive("c.zip", raw={"users.csv": "sourcedId,role\nU1,student\n"}, manifest={"file.users": "bulk"}, **foreign(users=None)), "users.csv, line 1: there is no column orgSourcedIds"),
        ("a column twice", archive("cc.zip", raw={"users.csv": "sourcedId,role,role\n"}, manifest={"file.users": "bulk"}, **foreign(users=None)), "two columns are called role"),
        ("an open quote", archive("q.zip", raw={"users.csv": COLUMNS["users.csv"] + '\nU1,"x\n'}, manifest={"file.users": "bulk"}, **foreign(users=None)), "users.csv, line 2: a quote is opened"),
        ("a zero byte", archive("z.zip", raw={"orgs.csv": COLUMNS["orgs.csv"] + "\nS1\0,,\n"}, manifest={"file.orgs": "bulk"}, **foreign(orgs=None)), "it is no text"),
    ):
        p = llp.run("import", file, "--format", "oneroster")
        expect(f"{what}: exit", p.returncode, 1)
        expect_in(what, word, p.stderr)
    expect("nothing was written", (llp.count("learner"), llp.count("cohort"), llp.count("external_id")), before)
    expect("and nothing beside", (os.path.exists("/tmp/perche-escaped.csv"), os.path.exists("/etc/perche-escaped")), (False, False))
    for args in (("--table", "learner"), ("--map", "a=b")):
        expect(f"{args}", llp.run("import", path("good.zip"), *args).returncode, 2)


@case("a large archive, and one that unpacks to the most that it may, are read in bounded memory")
def _():
    rows_ = "".join(f"{i},,,true,S1,student,u,,,,,,,,,,,\n" for i in range(300001))
    file = archive("rows.zip", raw={"users.csv": COLUMNS["users.csv"] + "\n" + rows_}, manifest={"file.users": "bulk"}, **foreign(users=None))
    expect_in("300,001 rows", "more than 300000 rows", llp.run("import", file).stderr)
    commas = archive("commas.zip", raw={"users.csv": COLUMNS["users.csv"] + "\n" + "," * (30 << 20)}, manifest={"file.users": "bulk"}, **foreign(users=None))
    p = subprocess.run(["/usr/bin/env", "python3", "-c",
                        "import resource, subprocess, sys; p = subprocess.run(sys.argv[1:], capture_output=True); print(p.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
                        os.path.join(perche_net.BUILD, "perche"), "--socket", llp.socket, "import", commas, "--dry-run"], capture_output=True, text=True, timeout=60 * perche_net.SLOW)
    code, kilobytes = p.stdout.split()
    expect("30 MB of commas are one bad row", code, "1")
    if perche_net.BUILD_NAME == "release":
        expect(f"memory, {kilobytes} KB", int(kilobytes) < 300 << 10, True)


# ------------------------------------------------------------------ help


@case("the examples of perche help import and export run as they are written")
def _():
    folder = path("examples")
    os.makedirs(folder)
    with open(os.path.join(folder, "eleves.csv"), "w", encoding="utf-8") as f:
        f.write("Nom;Prénom\nExemple;Anne\n")
    who, half = llp.sql("SELECT e.id, h.id FROM enrolment e, half_day h WHERE e.cohort_id = h.cohort_id AND h.cancelled = 0 ORDER BY 1, 2 LIMIT 1").split("|")
    with open(os.path.join(folder, "marks.jsonl"), "w", encoding="utf-8") as f:
        f.write(json.dumps({"enrolment_id": who, "half_day_id": half, "mark": "PRESENT", "minutes": 210, "proof": "TRAINER_ONLY"}) + "\n")
    shutil.copy(path("good.zip"), os.path.join(folder, "roster.zip"))
    env = dict(os.environ, PATH=perche_net.BUILD + ":" + os.environ["PATH"], PERCHE_SOCKET=llp.socket)
    for command, least in (("import", 3), ("export", 4)):
        text = llp.perche("help", command).replace("\\\n", " ")
        examples = [line.strip() for line in text.splitlines() if line.startswith("  perche ")]
        expect(f"examples of {command}", len(examples) >= least, True)
        for line in examples:
            p = subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=60 * perche_net.SLOW)
            expect(f"{line}: {p.stderr or p.stdout}", p.returncode, 0)
    for name, least in (("cohorts.csv", 50), ("presents.csv", 50), ("learners.xlsx", 2000), ("roster.zip", 2000)):
        expect(f"{name} is there", os.path.getsize(os.path.join(folder, name)) > least, True)


perche_net.main(build, [net, other])
