#!/usr/bin/env python3
"""Files of records, both ways: what goes out comes back as it was; and spreadsheets."""
import csv
import io
import json
import os
import pty
import random
import re
import resource
import signal
import socket
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


def build():
    global llp, alone
    net.add_hub()
    llp = net.add_site("la-loupe")
    net.cohort()
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
    for args in (("export",), ("export", "learner", "--format", "xml"), ("export", "learner", "--format", "xlsx", "--excel"), ("export", "entry_sensitive")):
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
    env = dict(os.environ, PATH=perche_net.BUILD + ":" + os.environ["PATH"], PERCHE_SOCKET=llp.socket)
    for command, least in (("import", 2), ("export", 3)):
        text = llp.perche("help", command).replace("\\\n", " ")
        examples = [line.strip() for line in text.splitlines() if line.startswith("  perche ")]
        expect(f"examples of {command}", len(examples) >= least, True)
        for line in examples:
            p = subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=60 * perche_net.SLOW)
            expect(f"{line}: {p.stderr or p.stdout}", p.returncode, 0)
    for name, least in (("cohorts.csv", 50), ("presents.csv", 50), ("learners.xlsx", 2000)):
        expect(f"{name} is there", os.path.getsize(os.path.join(folder, name)) > least, True)


perche_net.main(build, [net, other])
