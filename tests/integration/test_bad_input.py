#!/usr/bin/env python3
"""Bad input: configurations, replicas, tables, frames. Each is refused in one clear line, and everything else goes on."""
import contextlib
import hashlib
import os
import random
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network(scheme="tcp")  # frames are made by hand here; TLS would only hide them
MARK = "0639987654"  # a telephone number that no log may show
PERCHED = os.path.join(perche_net.BUILD, "perched")


def build():
    global hub, llp, chr_
    hub = net.add_hub()
    llp = net.add_site("la-loupe")
    chr_ = net.add_site("chartres")
    net.cohort("la-loupe")
    net.proven()


# ------------------------------------------------------------ configuration


def perched(*args, seconds=10):
    return subprocess.run([PERCHED, *args], text=True, capture_output=True, timeout=seconds * perche_net.SLOW, stdin=subprocess.DEVNULL)


def configuration(text):
    path = os.path.join(net.folder, "bad.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


GOOD = "[node]\nrole = site\ndata = {0}/new\n[control]\nsocket = {0}/new.sock\n"


@case("a second daemon on the same data folder, with another socket: it says who has it, and the first goes on")
def _():
    other = os.path.join(net.folder, "other.conf")
    with open(llp.conf, encoding="utf-8") as f, open(other, "w", encoding="utf-8") as to:
        to.write(f.read().replace(llp.socket, llp.socket + "2"))
    p = perched("--config", other)
    expect_in("what it says", f"is in use by another perched, process {llp.process.pid}", p.stderr)
    if p.returncode == 0:
        raise Failure("it ended well")
    net.proven(llp)
    llp.kill()  # a lock that a killed daemon held is no lock
    llp.start()
    net.proven(llp)


@case("join by an address that is none: it says what is wrong with it")
def _():
    guest = net.add("stranger", name="Stranger").start()
    line = net.invite("stranger") + "\n"
    expect_in("what it says", "tls+tcp://", guest.run("join", "--url", "127.0.0.1:1", "-", stdin=line).stderr)
    guest.stop()


@case("a configuration that cannot be: one line with file, line and key, exit 2, and nothing was made")
def _():
    bad = [("[node]\nrole = site\nnmae = x\n", 3, "[node] nmae", "no such key"),
           ("[nodes]\nrole = site\n", 1, "[nodes]", "no such section"),
           ("[node]\nrole = hub\n[hub]\nlisten = tls+tcp://127.0.0.1:seven\n", 4, "[hub] listen", "port"),
           ("[node]\nrole = hub\n[hub]\nlisten = tls+tcp://127.0.0.1:70000\n", 4, "[hub] listen", "port"),
           ("[node]\nrole = hub\n[hub]\nlisten = tls+tcp://127.0.0.1\n", 4, "[hub] listen", "port"),
           ("[node]\nrole = hub\n[hub]\nlisten = http://127.0.0.1:1\n", 4, "[hub] listen", "tls+tcp://"),
           ("[node]\nrole = hub\n[upstream]\nurl = tls+tcp://hub:7447\n", 4, "[upstream]", "hub"),
           ("[node]\nrole = school\n", 2, "[node] role", "site or hub"),
           ("[node]\ndata = /nowhere/at/all/perche\n", 2, "[node] data", "does not exist"),
           (f"[node]\ndata = {__file__}\n", 2, "[node] data", "not a folder"),
           ("[node]\ndata = here\n", 2, "[node] data", "whole path"),
           ("[node]\nname = a\nname = b\n", 3, "[node] name", "second time"),
           ("[sync]\ninterval = soon\n", 2, "[sync] interval", "30s"),
           ("[sync]\nmax_rate = -1\n", 2, "[sync] max_rate", "number"),
           ("[control]\nsocket = /nowhere/at/all/sock\n", 2, "[control] socket", "does not exist"),
           ("[control]\nsocket = /" + "x" * 120 + "\n", 2, "[control] socket", "107"),
           ("[node]\nname = a\n  name = b\n", 3, "[node] name", "second time"),
           ("[node]\nname = a\0b\n", 2, "", "zero byte"),
           ("[hub]\nretire_after = 213503982335d\n", 2, "[hub] retire_after", "36600d"),
           ("[node]\nrole\n", 2, "", "key = value")]
    for text, line, key, why in bad:
        path = configuration(text)
        for args in ((), ("--check",)):
            p = perched("--config", path, *args)
            said = p.stderr.strip()
            expect(f"exit status of {text!r}", p.returncode, 2)
            expect(f"lines said of {text!r}", len(said.splitlines()), 1)
            for word in (f"{path}:{line}:", key, why):
                expect_in(f"what is said of {text!r}", word, said)
    p = perched("--config", os.path.join(net.folder, "none.conf"))
    expect("without the file", (p.returncode, len(p.stderr.strip().splitlines())), (2, 1))
    expect_in("without the file", "none.conf", p.stderr)
    p = perched("--config", "/proc/self/mem")  # reads as a bad sector does: systemd is to try again
    expect("of a disk that fails", (p.returncode, len(p.stderr.strip().splitlines())), (1, 1))
    expect_in("of a disk that fails", "/proc/self/mem: cannot be read: Input/output error", p.stderr)


@case("--check says what a good configuration would do, and does nothing")
def _():
    path = configuration(GOOD.format(net.folder))
    p = perched("--config", path, "--check")
    expect("exit status", p.returncode, 0)
    for word in ("site", f"{net.folder}/new"):
        expect_in("what it says", word, p.stdout)
    expect("the folder is there", os.path.exists(f"{net.folder}/new"), False)
    expect("exit status of an unknown option", perched("--chekc").returncode, 2)
    expect("exit status of --version", perched("--version").returncode, 0)


@case("a start that is refused has made nothing, and the next one with a right configuration is a first start")
def _():
    folder = os.path.join(net.folder, "first")
    os.makedirs(folder)
    conf, data, sock = (os.path.join(folder, n) for n in ("conf", "data", "sock"))

    def configure(role, listen, sock=sock):
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"[node]\nrole = {role}\ndata = {data}\n[hub]\nlisten = {listen}\n[control]\nsocket = {sock}\n")

    def refused(what, *words):
        before = sorted(os.listdir(data)) if os.path.exists(data) else None
        p = perched("--config", conf)
        expect(f"{what}: lines said", len(p.stderr.strip().splitlines()), 1)
        for word in words:
            expect_in(f"{what}: what it says", word, p.stderr)
        expect(f"{what}: exit status", p.returncode in (1, 2), True)
        expect(f"{what}: the data folder", sorted(os.listdir(data)) if os.path.exists(data) else None, before)

    configure("hub", net.url)
    refused("a port that is taken", net.url, "Address in use", "[hub] listen")
    configure("hub", "tls+tcp://192.0.2.1:7447")  # of no machine
    refused("an address of another machine", "192.0.2.1", "0.0.0.0", "[hub] listen")
    configure("site", net.url, sock=llp.socket)
    refused("the socket of another daemon", llp.socket, "another perched answers")
    configure("site", net.url, sock=conf)
    refused("a file as socket", conf, "is not a socket")
    configure("hub", f"tls+tcp://{net.host}:{net.free_port()}")
    os.makedirs(data)
    other_program(os.path.join(data, "replica.db"))
    refused("a database of another program", "another program", "notes")
    os.unlink(os.path.join(data, "replica.db"))
    expect("what --check says of it", "replica.db, would be made" in perched("--config", conf, "--check").stdout, True)
    for role, is_a in (("hub", "of a hub"), ("site", "of a site that has not joined a hub")):
        shutil.rmtree(data)
        node = net.add("first", role=role, data=data)  # makes the folder
        configure("hub", net.url)
        refused("a port that is taken", "Address in use")
        node.conf = conf
        configure(role, f"tls+tcp://{net.host}:{net.free_port()}", sock=node.socket)
        node.start().stop()
        files = sorted(os.listdir(data))
        p = perched("--config", conf, "--check")
        expect("--check", (p.returncode, p.stderr), (0, ""))
        expect_in("what --check says", f"{data}/replica.db, {is_a}\n", p.stdout)
        configure("site" if role == "hub" else "hub", f"tls+tcp://{net.host}:{net.free_port()}", sock=node.socket)
        p = perched("--config", conf, "--check")
        expect("--check of the other role", p.returncode, 1)
        expect_in("what --check says of the other role", f"the replica of a {role}", p.stderr)
        expect("what --check leaves", sorted(os.listdir(data)), files)


@case("SIGHUP takes a changed configuration over, and keeps the old one when the new one cannot be")
def _():
    mark = chr_.log_size()
    chr_.sync = {"interval": "7s"}
    chr_.configure()
    chr_.process.send_signal(signal.SIGHUP)
    net.wait_for("the reload in the log", lambda: "reload.done" in chr_.log_text(mark))
    with open(chr_.conf, "a", encoding="utf-8") as f:
        f.write("max_raet = 1\n")
    chr_.process.send_signal(signal.SIGHUP)
    net.wait_for("the refusal in the log", lambda: "reload.refused" in chr_.log_text(mark) and "max_raet" in chr_.log_text(mark))
    chr_.name, was = "Chartres-Nord", chr_.name
    chr_.configure()
    chr_.process.send_signal(signal.SIGHUP)
    net.wait_for("what needs a restart in the log", lambda: "reload.part" in chr_.log_text(mark) and "[node] name" in chr_.log_text(mark))
    chr_.name, chr_.sync = was, {}
    chr_.configure()
    chr_.process.send_signal(signal.SIGHUP)
    chr_.sync_wait()
    expect("it runs on", chr_.status()["state"], "live")


# ----------------------------------------------------------------- replicas


def refused_replica(what, make, words, role="site"):
    """Starts on a replica that @make has changed: refused, told, and untouched."""
    folder = os.path.join(net.folder, "refused")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "data"))
    path = os.path.join(folder, "data", "replica.db")
    db = sqlite3.connect(path)
    source = sqlite3.connect(f"file:{llp.db}?mode=ro", uri=True)
    source.backup(db)
    source.close()
    make(db, path)
    db.close()
    before = digest(path)
    conf = os.path.join(folder, "conf")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"[node]\nrole = {role}\ndata = {folder}/data\n[hub]\nlisten = {net.url}\n[control]\nsocket = {folder}/sock\n")
    p = perched("--config", conf)
    said = p.stderr.strip()
    expect(f"exit status with {what}", p.returncode, 1)
    last = said.splitlines()[-1]
    for word in (path, *words):
        expect_in(f"what is said of {what}", word, last)
    expect(f"the bytes of {what}", digest(path), before)
    left = sorted(f for f in os.listdir(os.path.join(folder, "data")) if f.startswith("replica.db") and os.path.getsize(
        os.path.join(folder, "data", f)) > 0 and f != "replica.db-shm")
    expect(f"files beside {what}", left, ["replica.db"])


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def overwrite(path, at, data, size=None):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)
        if size is not None:
            f.truncate(size)


def other_program(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    db = sqlite3.connect(path)
    db.executescript("PRAGMA journal_mode = wal; CREATE TABLE notes (id INTEGER PRIMARY KEY, text); INSERT INTO notes (text) VALUES ('a')")
    db.close()


@case("a replica that is not SQLite, is damaged, cut short, another program's, of a newer program or of the other role: refused, told, and untouched")
def _():
    def closed(then):
        def make(db, path):
            db.execute("PRAGMA journal_mode = delete")
            db.close()
            then(path)
        return make

    def sql(text):
        def make(db, _path):
            db.execute("PRAGMA journal_mode = delete")
            db.executescript(text)
        return make

    refused_replica("a file that is not SQLite", closed(lambda p: overwrite(p, 0, b"This is a letter, not a database. " * 30)),
                    ["is not an SQLite database", "Nothing was changed", "backup"])
    refused_replica("a damaged replica", closed(lambda p: overwrite(p, 4096 * 3, b"\xff" * 4096 * 3)),
                    ["damaged", "Nothing was changed", "backup"])
    refused_replica("a replica that is cut short", closed(lambda p: overwrite(p, 0, b"", os.path.getsize(p) // 2 // 4096 * 4096)),
                    ["damaged", "Nothing was changed"])
    refused_replica("a replica of a newer format", sql("UPDATE perche_node SET format = 99"), ["newer program", "Nothing was changed", "Install"])
    refused_replica("a replica of a newer schema", sql("INSERT INTO perche_migration VALUES (77, 'x', '', NULL, 0)"),
                    ["newer program", "Nothing was changed", "Install"])
    refused_replica("a site's replica at a hub", sql(""), ["role"], role="hub")
    refused_replica("a database of another program", closed(other_program), ["another program", "notes", "Nothing was changed", "[node] data"])
    refused_replica("a replica without its own row", sql("DELETE FROM perche_node"), ["damaged"])


@case("a replica that is replaced under the running daemon: it says so, acknowledges nothing more and ends")
def _():
    site = net.add_site("dreux")
    site.sync_wait()
    mark = site.log_size()
    copy = site.db + ".copy"
    site.sql(f"VACUUM INTO '{copy}'")
    os.replace(copy, site.db)
    site.run("sync")
    code = site.process.wait(10 * perche_net.SLOW)
    site.process = None
    expect("exit status", code, 1)
    expect_in("its log", "node.ended", site.log_text(mark))
    expect_in("its log", "replaced", site.log_text(mark))


# ------------------------------------------------------------------- tables


@case("a table that cannot be replicated is refused with the reason, and the hub stays as it was")
def _():
    tables = [("no_key", "a TEXT, site TEXT", "no primary key"),
              ("null_key", "a TEXT PRIMARY KEY, site TEXT", "may be NULL"),
              ("rowid_key", "a INTEGER PRIMARY KEY, site TEXT", "rowid"),
              ("auto_key", "a INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT", "AUTOINCREMENT"),
              ("unique_column", "a TEXT NOT NULL PRIMARY KEY, b TEXT UNIQUE, site TEXT", "UNIQUE"),
              ("nocase_key", "a TEXT NOT NULL COLLATE NOCASE PRIMARY KEY, site TEXT", "NOCASE"),
              ("untyped_key", "a NOT NULL PRIMARY KEY, site TEXT", "no type"),
              ("made_column", "a TEXT NOT NULL PRIMARY KEY, b TEXT AS (a || 'x') STORED, site TEXT", "generated"),
              ("five_keys", "a TEXT NOT NULL, b TEXT NOT NULL, c TEXT NOT NULL, d TEXT NOT NULL, e TEXT NOT NULL, site TEXT, PRIMARY KEY (a, b, c, d, e)", "at most 4"),
              ("wide", "a TEXT NOT NULL PRIMARY KEY, site TEXT, " + ", ".join(f"c{i} TEXT" for i in range(70)), "at most 63"),
              ("perche_own", "a TEXT NOT NULL PRIMARY KEY, site TEXT", "perche_")]
    before = hub.sql("SELECT * FROM perche_table; SELECT * FROM perche_column; SELECT number FROM perche_migration")
    for name, columns, why in tables:
        hub.sql(f"CREATE TABLE {name} ({columns})")
    hub.sql("INSERT INTO null_key VALUES (NULL, ''), (NULL, '')")
    hub.sql("CREATE TABLE unique_index (a TEXT NOT NULL PRIMARY KEY, b TEXT, site TEXT); CREATE UNIQUE INDEX one_b ON unique_index (b);"
            "CREATE VIEW a_view AS SELECT * FROM site; CREATE VIRTUAL TABLE words USING fts5(w)")
    for name, _columns, why in tables + [("unique_index", "", "one_b"), ("a_view", "", "view"), ("words", "", "ordinary table"),
                                         ("nothing", "", "no table")]:
        p = hub.run("replicate", name, "--scope", "site")
        said = p.stderr.strip()
        if p.returncode not in (1, 2):
            raise Failure(f"replicate {name}: exit {p.returncode}: {said}")
        expect_in(f"what is said of {name}", why, said)
        expect_in(f"what is said of {name}", name, said)
    hub.sql("CREATE TABLE fine (a TEXT NOT NULL PRIMARY KEY, site TEXT)")
    for scope in ("nowhere", "a; b", ""):
        p = hub.run("replicate", "fine", "--scope", scope)
        if p.returncode not in (1, 2):
            raise Failure(f"--scope {scope!r}: exit {p.returncode}: {p.stderr}")
    llp.says_no("replicate", "fine", "--scope", "site")
    expect("the hub's registry", hub.sql("SELECT * FROM perche_table; SELECT * FROM perche_column; SELECT number FROM perche_migration"), before)
    net.proven(llp, chr_)


# ------------------------------------------------------------------- frames


def counted():
    return hub.status()["bad_messages"]


def hello():
    return perche_net.pack([1, 0, [llp.id, 1, 1, 0]])


def drops(what, speak, greet=True, counts=True):
    """Speaks to the hub: the line drops, is counted and logged; two sites go on meanwhile."""
    before, mark = counted(), hub.log_size()
    line = perche_net.RawLine(net)
    if greet:
        line.greet()
    speak(line)
    if not line.ended():
        raise Failure(f"{what}: the hub keeps the line")
    line.close()
    if counts:
        net.wait_for(f"{what} to be logged and counted", lambda: "bad_message" in hub.log_text(mark) and counted() > before, seconds=5)
        expect(f"messages counted after {what}", counted(), before + 1)


@case("a message that does not decode, or lies about its lengths: the line drops, is counted and logged")
def _():
    bombs = {"5 bytes that claim 268 million items": b"\xdd\x0f\xff\xff\xff", "a map": b"\x81\x01\x02", "nothing": b"",
             "text": b"GET / HTTP/1.1\r\n\r\n" + MARK.encode(), "an op of no one": perche_net.pack([99, 0, []]),
             "a list inside that claims 268 million items": b"\x93\x02\x00\x9e\xdd\x0f\xff\xff\xff",
             "a text that claims 4 GiB": b"\x93\x01\x00\x94\xdb\xff\xff\xff\xff" + MARK.encode(),
             "a blob that claims 4 GiB": b"\x93\x08\x00\x94\xc6\xff\xff\xff\xff", "a field too many": perche_net.pack([7, 0, [1, 0, 0, 0, 0]]),
             "a field too few": perche_net.pack([1, 0, [llp.id, 1, 1]]), "bytes behind it": hello() + b"\0",
             "lists in lists": b"\x91" * 3000, "5,000 bytes": hello() + bytes(5000)}
    for what, body in bombs.items():
        drops(what, lambda line, body=body: line.send(body))
        drops(what + " after a hello", lambda line, body=body: (line.send(hello()), line.receive(), line.send(body)))
    llp.sql(f"INSERT INTO learner_contact (learner_id, kind, value) SELECT min(id), 'PHONE', '{MARK}' FROM learner")
    llp.sync_wait()
    chr_.sync_wait()


@case("an answer that nobody asked for: the line drops, is counted and logged")
def _():
    drops("an answer to hello", lambda line: line.send(perche_net.pack([1, 1, [bytes(32), 0, "x", 1, 1]])))


@case("a frame that claims more than a message may have: the line drops, is counted and logged")
def _():
    for claim in (1 << 63, 1 << 40, (16 << 20) + 5):
        drops(f"a frame that claims {claim} bytes", lambda line, claim=claim: line.send(b"", claim))
    llp.sync_wait()


@case("noise instead of nng's framing, and lines that say nothing or half of something, hold nobody up")
def _():
    noise = random.Random(7)
    for i in range(20):
        drops(f"noise {i}", lambda line: line.sock.sendall(bytes(noise.randrange(256) for _ in range(64))), greet=False, counts=False)
    drops("another protocol of nng", lambda line: line.sock.sendall(b"\0SP\0\x00\x20\x00\x00"), greet=False, counts=False)
    silent = [perche_net.RawLine(net) for _ in range(20)] + [perche_net.RawLine(net).greet() for _ in range(20)]
    for line in silent[30:]:
        line.sock.sendall(struct.pack(">Q", 100) + b"\x80\x00\x00\x01" + hello()[:10])  # half a frame
    llp.sql("UPDATE learner SET call_name = 'silent' WHERE id = (SELECT min(id) FROM learner)")
    llp.sync_wait()
    expect("the edit at the hub", hub.count("learner", "call_name = 'silent'"), 1)
    chr_.sync_wait()
    for line in silent:
        line.close()


@case("a thousand messages of noise: each line drops, the hub stays small and the sites go on")
def _():
    noise = random.Random(11)
    good = [hello(), perche_net.pack([8, 0, [bytes(16), bytes(32), bytes(32), "x"]]), perche_net.pack([4, 0, [1, 0, 0, 0, 65536, True, 0, []]]),
            perche_net.pack([2, 0, [llp.id, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, [[1, 1]], [[1, 1, 1, 1, 1]], bytes(64)]])]
    before = counted()
    for _ in range(1000 if perche_net.SLOW == 1 else 200):
        body = bytearray(noise.choice(good))
        for _ in range(noise.randint(1, 4)):
            body[noise.randrange(len(body))] = noise.randrange(256)
        line = perche_net.RawLine(net).greet()
        line.send(bytes(body))
        try:
            line.receive()  # an answer or a refusal; a line that drops is fine as well
        except (EOFError, ConnectionError):
            pass
        line.close()
    if counted() <= before:
        raise Failure("no message was counted")
    with open(f"/proc/{hub.process.pid}/status", encoding="utf-8") as f:
        peak_kb = int(next(s for s in f if s.startswith("VmHWM")).split()[1])
    if perche_net.SLOW == 1 and peak_kb > 100 * 1024:
        raise Failure(f"the hub has had {peak_kb // 1024} MB")
    net.proven(llp, chr_)


class Tamper(threading.Thread):
    """Stands in the line of a site and changes one message: @change gets (is it the site's, body), gives the new body or None."""

    def __init__(self):
        super().__init__(daemon=True)
        self.change = None
        self.changed = threading.Event()
        self.server = socket.create_server((net.host, 0))
        self.url = f"tcp://{net.host}:{self.server.getsockname()[1]}"
        self.ends = []

    def run(self):
        while True:
            try:
                site, _ = self.server.accept()
                up = socket.create_connection((net.host, net.port))
            except OSError:
                return
            self.ends += [site, up]
            threading.Thread(target=self.forward, args=(site, up), daemon=True).start()

    def forward(self, site, up):
        waiting = {site: b"", up: b""}
        greeted = {site: False, up: False}
        try:
            while True:
                for end in select.select([site, up], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    waiting[end] += data
                    if not greeted[end] and len(waiting[end]) >= 8:
                        (up if end is site else site).sendall(waiting[end][:8])
                        waiting[end] = waiting[end][8:]
                        greeted[end] = True
                    while greeted[end] and len(waiting[end]) >= 8:
                        n = struct.unpack(">Q", waiting[end][:8])[0]
                        if len(waiting[end]) < 8 + n:
                            break
                        head, body = waiting[end][8:12], waiting[end][12:8 + n]
                        waiting[end] = waiting[end][8 + n:]
                        fresh = self.change(end is site, body) if self.change else None
                        if fresh is not None:
                            self.change = None
                            body = fresh
                            self.changed.set()
                        (up if end is site else site).sendall(struct.pack(">Q", 4 + len(body)) + head + body)
        except OSError:
            return
        finally:
            site.close()
            up.close()

    def stop(self):
        self.server.close()
        for end in self.ends:
            end.close()


def tampered(of_site, op, make):
    """The next message of that side with that op, and with a batch of some rows if it has one, as @make changes it."""
    def change(is_site, body):
        if is_site != of_site or len(body) < 12 or body[1] != op or body[2] != (0 if of_site else 1):
            return None
        if op in (3, 4) and len(perche_net.unpack(body)[2][-1]) < 100:
            return None
        return make(body)
    return change


def cut(body):
    return body[:len(body) // 2]


def garbage(body):
    """The batch in a push or in an answer to pull, its bytes all ones."""
    message = perche_net.unpack(body)
    message[2][-1] = b"\xff" * len(message[2][-1])
    return perche_net.pack(message)


def bomb(body):
    """A batch that says that it holds 8 GiB."""
    message = perche_net.unpack(body)
    message[2][-1] = b"\x02\x28\xb5\x2f\xfd\xe0" + (8 << 30).to_bytes(8, "little") + b"\x01\x00\x00"
    return perche_net.pack(message)


def guest_on_a_line():
    global tamper, guest, batches
    tamper = Tamper()
    tamper.start()
    net.at_close.append(tamper.stop)
    guest = net.add("guest", name="Guest").start()
    guest.perche("join", "--url", tamper.url, "-", stdin=net.invite("guest") + "\n")
    guest.sql("INSERT INTO learner (id, home_site_id) SELECT '01487832-4000-7000-8001-000000003001', site_id FROM perche_self")
    guest.sync_wait()
    batches = 0


def goes_on_after(of_site, op, make):
    """One message of the line is changed: counted and logged where it came, others go on, and the line comes back in step."""
    global batches
    heard = hub if of_site else guest
    before, mark = heard.status()["bad_messages"], heard.log_size()
    tamper.changed.clear()
    tamper.change = tampered(of_site, op, make)
    batches += 1
    rows = " UNION ALL ".join(f"SELECT 'PHONE', '06{batches}{i:02d}{MARK[5:]}'" for i in range(40))
    (hub if op == 4 else guest).sql(
        f"INSERT INTO learner_contact (learner_id, kind, value) SELECT '01487832-4000-7000-8001-000000003001', * FROM ({rows})")
    guest.run("sync")
    if not tamper.changed.wait(20 * perche_net.SLOW):
        raise Failure(f"no message of op {op} came by")
    llp.sync_wait()  # another site goes on
    guest.sync_wait()
    expect("contacts at the hub", hub.count("learner_contact", "learner_id LIKE '%3001'"), 40 * batches)
    expect_in(f"the log of {heard.key}", "bad_", heard.log_text(mark))
    expect(f"messages counted at {heard.key}", heard.status()["bad_messages"], before + 1)


@case("a push that is cut short: the line drops, is counted, and begins anew")
def _():
    guest_on_a_line()
    goes_on_after(True, 3, cut)


@case("a push whose batch does not decode: the line drops, is counted, and begins anew")
def _():
    goes_on_after(True, 3, garbage)
    goes_on_after(True, 3, bomb)


@case("an answer to pull that is cut short: the line drops, is counted, and begins anew")
def _():
    goes_on_after(False, 4, cut)


@case("an answer to pull whose batch does not decode: the line drops, is counted, and begins anew")
def _():
    goes_on_after(False, 4, garbage)
    goes_on_after(False, 4, bomb)


@case("a comparison that is cut short, at either end: the line drops, is counted, and begins anew")
def _():
    goes_on_after(True, 6, cut)
    goes_on_after(False, 6, cut)
    net.proven(guest, llp)


@case("no log shows what was in a message or a row")
def _():
    for node in net.nodes.values():
        for secret in (MARK, MARK[5:], "Rousseau", "camille.rousseau"):
            if secret in node.log_text():
                raise Failure(f"the log of {node.key} shows {secret!r}")


@case("SIGTERM ends hub and sites within 5 s, also with open lines and people who watch")
def _():
    watcher = subprocess.Popen([os.path.join(perche_net.BUILD, "perche"), "--socket", hub.socket, "watch"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    watcher.stdout.readline()
    lines = [perche_net.RawLine(net).greet() for _ in range(5)]
    llp.sql("UPDATE learner SET call_name = 'last'")
    for node in (llp, hub, chr_):
        node.stop(seconds=5)
        if node.stop_s > 5 * perche_net.SLOW:
            raise Failure(f"{node.key} took {node.stop_s:.1f} s")
    watcher.wait(5)
    watcher.stdout.close()
    for line in lines:
        line.close()
    for node in (hub, llp, chr_):
        node.start()
    net.proven(llp, chr_)
    expect("the last edit at the hub", hub.count("learner", "call_name = 'last'"), 28)


if __name__ == "__main__":
    perche_net.main(build, [net])
