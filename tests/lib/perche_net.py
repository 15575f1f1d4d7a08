"""Networks of real daemons for tests/integration: a hub, its sites, the line between them, and plain SQL.

Everything lives in one temporary folder and on one loopback address of this test's own. A daemon ends with its
network, and with the test that started it, however that ends. Nothing sleeps: who waits, waits for READY, for an
answer of the daemon, or for a file of a node to change, and no longer than is said.

A test is a list of cases:

    net = perche_net.Network()
    @case("a row that ...")
    def _(): ...
    perche_net.main(build, [net])
"""
import base64
import contextlib
import ctypes
import errno
import hashlib
import json
import os
import random
import resource
import select
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
NETWORKS = os.path.join(HERE, "..", "networks")
BUILD = os.environ.get("PERCHE_BUILD") or os.path.join(HERE, "..", "..", "build")
BUILD_NAME = os.environ.get("PERCHE_BUILD_NAME", "release")
LONG = os.environ.get("PERCHE_LONG") == "1"
SLOW = 3 if BUILD_NAME in ("asan", "tsan") else 1  # a sanitizer takes that much more time, and no limit is meant for it
os.environ["TZ"] = "UTC"

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """What a test expected and did not find; its text is all that a reader gets."""


class Died(Failure):
    """A daemon has ended: there is no use in going on."""


def expect(what, found, wanted):
    if found != wanted:
        raise Failure(f"{what}: expected {wanted!r}, found {found!r}")


def expect_in(what, part, text):
    if part not in text:
        raise Failure(f"{what}: expected {part!r} in {text!r}")


def now():
    return time.monotonic()


# ------------------------------------------------------------------ waiting


class Inotify:
    """Tells that something in some folders was written."""

    WRITTEN = 0x2 | 0x40 | 0x80 | 0x100 | 0x200  # modified, moved from and to, created, deleted

    def __init__(self, folders):
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        for folder in folders:
            libc.inotify_add_watch(self.fd, os.fsencode(folder), self.WRITTEN)  # a folder that is not there is not watched

    def wait(self, seconds):
        if select.select([self.fd], [], [], max(0, seconds))[0]:
            with contextlib.suppress(BlockingIOError):
                while os.read(self.fd, 65536):
                    pass

    def close(self):
        os.close(self.fd)


# -------------------------------------------------------------------- nodes


class Node:
    """A daemon, its folder, and the two ways in: perche and plain SQL."""

    def __init__(self, net, key, role, name, sync=None, data=None, hub=None):
        self.net = net
        self.key = key
        self.role = role
        self.name = name
        self.folder = os.path.join(net.folder, key)
        self.data = data or os.path.join(self.folder, "data")
        self.conf = os.path.join(self.folder, "conf")
        self.log = os.path.join(self.folder, "log")
        self.socket = os.path.join(self.folder, "sock")
        self.db = os.path.join(self.data, "replica.db")
        self.process = None
        self.id = None  # of a site: its id, once it was invited
        self.sync = dict(sync or {})
        self.hub_keys = dict(hub or {})  # more of [hub]
        self.upstream = None
        self.env = {}  # of the daemon alone
        self.descriptors = None  # of the daemon at most, instead of what the system gives
        self.shown = 0  # of the log
        self.ahead_s = 0  # of the clock of this machine: its daemon's and its programs'
        os.makedirs(self.folder, exist_ok=True)
        os.makedirs(self.data, exist_ok=True)
        os.chmod(self.data, 0o2770)  # as tmpfiles makes it
        self.configure()

    def configure(self):
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(f"[node]\nrole = {self.role}\nname = {self.name}\ndata = {self.data}\n")
            if self.role == "hub":
                f.write(f"[hub]\nlisten = {self.net.url}\nadvertise = {self.net.url}\n" + "".join(f"{k} = {v}\n" for k, v in self.hub_keys.items()))
            if self.upstream:
                f.write(f"[upstream]\nurl = {self.upstream}\n")
            f.write(f"[control]\nsocket = {self.socket}\n")
            if self.sync:
                f.write("[sync]\n" + "".join(f"{k} = {v}\n" for k, v in self.sync.items()))

    def environment(self):
        """Of this machine's processes: with a clock of its own when that is off."""
        if self.ahead_s == 0:
            return dict(os.environ)
        # only the calendar of the machine is wrong
        return dict(os.environ, LD_PRELOAD=os.path.join(BUILD, "preload_clock.so"), PERCHE_TEST_AHEAD_S=str(self.ahead_s),
                    ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")

    # ---- life

    def start(self, seconds=20):
        """Returns when the daemon has said READY, as systemd would see it."""
        path = os.path.join(self.folder, "ready")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(path)
        env = dict(self.environment(), NOTIFY_SOCKET=path, PERCHE_LOG=os.environ.get("PERCHE_LOG", "info"), **self.env)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, "perched"), "--config", self.conf], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env=env, start_new_session=True, preexec_fn=self.before_it_starts)
        pidfd = os.pidfd_open(self.process.pid)
        end = now() + seconds * SLOW
        try:
            while now() < end:
                heard, _, _ = select.select([ready, pidfd], [], [], end - now())
                if ready in heard and b"READY=1" in ready.recv(4096):
                    return self
                if pidfd in heard:
                    raise Failure(f"perched of {self.key} ended with {self.process.wait()}: {self.log_tail(3)}")
            raise Failure(f"perched of {self.key} was not ready in {seconds * SLOW} s: {self.log_tail(3)}")
        finally:
            os.close(pidfd)
            ready.close()

    def before_it_starts(self):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def start_fails(self):
        """What perched says when it may not start."""
        before = self.log_size()
        try:
            self.start()
        except Failure:
            if self.running():
                raise
            self.process = None
            return self.log_text(before)
        raise Failure(f"perched of {self.key} has started")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=5):
        """SIGTERM; it has to end by itself, in order and in time."""
        if self.process is None:
            return
        began = now()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.key} had not ended {seconds * SLOW} s after SIGTERM") from None
        self.process = None
        if code != 0:
            raise Failure(f"{self.key} ended with {code} after SIGTERM: {self.log_tail(3)}")
        self.stop_s = now() - began

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    # ---- perche

    def run(self, *args, seconds=60, stdin=None):
        return subprocess.run([os.path.join(BUILD, "perche"), "--socket", self.socket, *args], text=True,
                              input=stdin if stdin is not None else "", capture_output=True, timeout=seconds * SLOW)

    def perche(self, *args, code=0, seconds=60, stdin=None):
        """Standard output of perche, which has to exit with @code."""
        p = self.run(*args, seconds=seconds, stdin=stdin)
        if p.returncode != code:
            raise Failure(f"perche {' '.join(a[:40] for a in args)} at {self.key}: exit {p.returncode}, expected {code}: "
                          f"{(p.stderr or p.stdout).strip()[-600:]}")
        return p.stdout

    def json(self, *args, **kw):
        return json.loads(self.perche("--json", *args, **kw))

    def says_no(self, *args, words=(), **kw):
        """perche has to refuse (exit 1), and to say each of @words; returns what it said."""
        p = self.run(*args, **kw)
        if p.returncode != 1:
            raise Failure(f"perche {' '.join(a[:40] for a in args)} at {self.key}: exit {p.returncode}, expected 1: "
                          f"{(p.stderr or p.stdout).strip()[-600:]}")
        said = p.stderr + p.stdout
        for word in words:
            expect_in(f"what perche {args[0]} says", word, said)
        return said

    def status(self):
        return self.json("status")

    def sync_wait(self, seconds=30):
        """In step with the hub, or a Failure; at once when a daemon ends meanwhile."""
        with tempfile.TemporaryFile("w+") as said:
            p = subprocess.Popen([os.path.join(BUILD, "perche"), "--socket", self.socket, "sync", "--wait", "--timeout", f"{seconds * SLOW}s"],
                                 stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
            ends = [os.pidfd_open(q.pid) for q in (p, *(n.process for n in self.net.nodes.values() if n.running()))]
            try:
                select.select(ends, [], [], (seconds + 15) * SLOW)
                self.net.check_alive()
                p.wait(1)
            finally:
                for fd in ends:
                    os.close(fd)
                if p.poll() is None:
                    p.kill()
                    p.wait()
            said.seek(0)
            if p.returncode != 0:
                raise Failure(f"perche sync --wait at {self.key}: exit {p.returncode}: {said.read().strip()[-600:]}")

    # ---- plain SQL

    def sql(self, *statements):
        """The sqlite3 shell, as any program would; returns what it printed."""
        p = subprocess.run(["sqlite3", "-batch", "-bail", "-cmd", ".timeout 5000", self.db, *statements], text=True,
                           input="", capture_output=True, timeout=120 * SLOW, env=self.environment())
        if p.returncode != 0:
            raise Failure(f"sqlite3 at {self.key}: {p.stderr.strip() or p.returncode}: {statements[0][:200]}")
        return p.stdout.strip()

    def sql_fails(self, *statements):
        """What the sqlite3 shell says when it fails, as it has to."""
        p = subprocess.run(["sqlite3", "-batch", "-bail", "-cmd", ".timeout 5000", self.db, *statements], text=True,
                           input="", capture_output=True, timeout=120 * SLOW)
        if p.returncode == 0:
            raise Failure(f"sqlite3 at {self.key} did not fail: {statements[0][:200]}")
        return p.stderr.strip()

    def sql_file(self, name):
        """Reads a file of tests/networks as one local program's transaction."""
        with open(os.path.join(NETWORKS, name), encoding="utf-8") as f:
            self.sql_text(name, f.read())

    def sql_text(self, name, text):
        p = subprocess.run(["sqlite3", "-batch", "-bail", "-cmd", ".timeout 5000", self.db], text=True,
                           input="BEGIN IMMEDIATE;\n" + text + "\nCOMMIT;\n", capture_output=True, timeout=120 * SLOW)
        if p.returncode != 0:
            raise Failure(f"sqlite3 at {self.key}: {p.stderr.strip()}: {name}")

    def count(self, table, where="1"):
        return int(self.sql(f"SELECT count(*) FROM {table} WHERE {where}"))

    def connect(self):
        """A Python program's connection."""
        db = sqlite3.connect(self.db, timeout=5, isolation_level=None)
        db.execute("PRAGMA busy_timeout = 5000")
        return db

    # ---- log

    def log_text(self, since=0):
        with contextlib.suppress(FileNotFoundError):
            with open(self.log, encoding="utf-8", errors="replace") as f:
                f.seek(since)
                return f.read()
        return ""

    def log_size(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def log_tail(self, lines):
        return "\n".join(self.log_text().splitlines()[-lines:])


# ---------------------------------------------------------------- the relay


class Relay:
    """The line of a site: perche-relay forwards it, cuts it, and with --decode writes each frame as a line of JSON."""

    def __init__(self, net, key, *args):
        self.control = os.path.join(net.folder, key + ".relay")
        self.out = os.path.join(net.folder, key + ".lines")
        self.read_at = 0  # of self.out
        err = os.path.join(net.folder, key + ".relay.log")
        with open(self.out, "ab") as out, open(err, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, "perche-relay"), "--listen", "0", "--to", f"{net.host}:{net.port}", "--control", self.control, *args],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log, start_new_session=True,
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        try:
            first = net.wait_for("the relay to listen", lambda: self.lines() or self.process.poll() is not None, seconds=10)
            self.port = first[0]["port"]
        except (Failure, TypeError):
            self.stop()
            with open(err, encoding="utf-8", errors="replace") as f:
                raise Failure(f"perche-relay did not start: {f.read()[-500:]}") from None
        self.url = f"{net.scheme}://127.0.0.1:{self.port}"

    def lines(self):
        """What it has written since the last time, whole lines."""
        with open(self.out, "rb") as f:
            f.seek(self.read_at)
            data = f.read()
        data = data[:data.rfind(b"\n") + 1]
        self.read_at += len(data)
        return [json.loads(line) for line in data.splitlines()]

    def ask(self, words):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(10 * SLOW)
            s.connect(self.control)
            s.sendall(words.encode() + b"\n")
            said = b""
            while not said.endswith(b"\n"):
                chunk = s.recv(65536)
                if not chunk:
                    raise Failure(f"the relay hung up after {words!r}")
                said += chunk
        answer = json.loads(said)
        if "error" in answer:
            raise Failure(f"the relay, told {words!r}: {answer}")
        return answer

    def cut(self):
        self.ask("cut")

    def open(self):
        self.ask("open")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5 * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


# -------------------------------------------------------------- the network


class Network:
    SITES = {"la-loupe": ("La Loupe", "LLP"), "chartres": ("Chartres", "CHR"), "dreux": ("Dreux", "DRX")}

    def __init__(self, scheme="tls+tcp"):
        self.scheme = scheme
        self.folder = tempfile.mkdtemp(prefix="perche-net.")
        pick = random.Random(os.getpid() ^ time.time_ns())
        self.host = "127.%d.%d.%d" % (pick.randint(1, 250), pick.randint(1, 250), pick.randint(2, 250))
        self.port = self.free_port()
        self.nodes = {}
        self.relays = []
        self.at_close = []
        self.hub = None

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

    def free_port(self):
        with socket.socket() as s:
            s.bind((self.host, 0))
            return s.getsockname()[1]

    def add(self, key, role="site", name=None, **kw):
        node = Node(self, key, role, name or self.SITES.get(key, (key, None))[0], **kw)
        self.nodes[key] = node
        return node

    def add_hub(self, **kw):
        self.hub = self.add("hub", role="hub", name="Réseau Perche", **kw)
        return self.hub.start()

    def invite(self, key, *args):
        """The line, for a site of SITES or the node of another name."""
        name, code = self.SITES.get(key) or (self.nodes[key].name, None)
        answer = self.hub.json("invite", name, *(["--code", code] if code else []), *args)
        if key in self.nodes:
            self.nodes[key].id = answer["site"]
        return answer["line"]

    def add_site(self, key, relay=None, **kw):
        """A site that has joined; over @relay, a Relay, if there is one."""
        node = self.add(key, **kw).start()
        line = self.invite(key)
        node.perche("join", *(["--url", relay.url] if relay else []), "-", stdin=line + "\n")
        return node

    def relay(self, key, *args):
        r = Relay(self, key, *args)
        self.relays.append(r)
        return r

    def cohort(self, site="la-loupe"):
        """The reference rows of the network at the hub, La Loupe's first cohort at its site; both arrived."""
        self.hub.sql_file("wild-code-school/network.sql")
        self.nodes[site].sync_wait()
        self.nodes[site].sql_file("wild-code-school/site-LLP-1.sql")
        self.nodes[site].sync_wait()

    def check_alive(self):
        """A daemon that was started and not stopped has to run."""
        for n in self.nodes.values():
            if n.process is not None and n.process.poll() is not None:
                raise Died(f"perched of {n.key} has ended by itself, with {n.process.returncode}: {n.log_tail(2)}")

    def wait_for(self, what, predicate, seconds=20):
        """Returns the first true answer of @predicate, asked again whenever a node has written something. A Failure of
        @predicate is a "not yet"."""
        end = now() + seconds * SLOW
        watch = Inotify([self.folder] + [n.folder for n in self.nodes.values()] + [n.data for n in self.nodes.values()])
        said = None
        try:
            while True:
                try:
                    answer = predicate()
                    if answer:
                        return answer
                    said = answer
                except Failure as e:
                    said = e
                self.check_alive()
                left = end - now()
                if left <= 0:
                    raise Failure(f"waited {seconds * SLOW} s for {what}; last: {said!r}")
                watch.wait(min(left, 0.5))  # a state that is in no file shows by then
        finally:
            watch.close()

    def unlike_hub(self, site):
        """Rows of a site that the hub lacks or has otherwise, over every replicated table, by the sqlite3 shell."""
        rows = site.sql("""SELECT tab, group_concat('"' || col || '"') FROM perche_column JOIN perche_table ON name = tab GROUP BY tab""")
        query = " UNION ALL ".join(
            f"SELECT '{t}' AS t, count(*) AS n FROM (SELECT {c} FROM main.\"{t}\" EXCEPT SELECT {c} FROM hub.\"{t}\")"
            for t, c in (row.split("|") for row in rows.splitlines()))
        p = subprocess.run(["sqlite3", "-batch", "-bail", "-readonly", "-cmd", ".timeout 5000", site.db,
                            f"ATTACH 'file:{self.hub.db}?mode=ro' AS hub",
                            f"SELECT t || ': ' || n FROM ({query}) WHERE n > 0"], text=True, capture_output=True,
                           timeout=120 * SLOW)
        if p.returncode != 0:
            raise Failure(f"compare {site.key} with the hub: {p.stderr.strip()}")
        return p.stdout.strip()

    def proven(self, *sites):
        """In step, and equal by both ways: its own proof and the dumps."""
        for site in sites or [n for n in self.nodes.values() if n.role == "site"]:
            site.sync_wait()
            expect(f"rows of {site.key} that are not the hub's", self.unlike_hub(site), "")
            expect(f"verify at {site.key}", site.json("verify")["equal"], True)

    def close(self):
        for r in self.relays:
            r.stop()
        for n in self.nodes.values():
            if n.running():
                n.process.terminate()
        for n in self.nodes.values():
            if n.process is not None:
                try:
                    n.process.wait(10 * SLOW)
                except subprocess.TimeoutExpired:
                    n.kill()
        for then in reversed(self.at_close):
            then()
        if not os.environ.get("PERCHE_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def show_logs(self, lines=12):
        """What the nodes have said since the last time."""
        for n in self.nodes.values():
            text = n.log_text(n.shown).splitlines()[-lines:]
            n.shown = n.log_size()
            if text or not n.running():
                print(f"#   --- {n.key}" + ("" if n.running() else " (not running)"))
            for line in text:
                print("#   " + line[:300])


# ---------------------------------------------------------------- raw lines


class RawLine:
    """A line to a hub that no daemon of ours speaks on: nng's framing by hand, over TCP or TLS."""

    def __init__(self, net, timeout=10):
        sock = socket.create_connection((net.host, net.port), timeout=timeout * SLOW)
        if net.scheme.startswith("tls"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            sock = context.wrap_socket(sock)
        self.sock = sock
        self.requests = 0

    def greet(self):
        """The exchange of nng: we are a REQ socket, the other end a REP one."""
        self.sock.sendall(b"\0SP\0\x00\x30\x00\x00")
        expect("nng's greeting", self.take(8), b"\0SP\0\x00\x31\x00\x00")
        return self

    def take(self, n):
        data = b""
        while len(data) < n:
            chunk = self.sock.recv(n - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def send(self, body, claim=None):
        self.requests += 1
        frame = struct.pack(">I", 0x80000000 | self.requests) + body
        self.sock.sendall(struct.pack(">Q", len(frame) if claim is None else claim) + frame)

    def receive(self):
        n = struct.unpack(">Q", self.take(8))[0]
        if n > 1 << 24:
            raise Failure(f"the hub sends {n} bytes")
        return self.take(n)[4:]

    def ask(self, op, fields):
        """(what, fields) of the answer."""
        self.send(pack([op, 0, fields]))
        answer = unpack(self.receive())
        return answer[1], answer[2]

    def ended(self):
        """Has the hub hung up? What it still says is thrown away."""
        try:
            while True:
                if not self.sock.recv(65536):
                    return True
        except (ConnectionError, ssl.SSLError):
            return True
        except (TimeoutError, socket.timeout):
            return False

    def close(self):
        self.sock.close()


def pack(v):
    """The part of msgpack that the protocol uses."""
    if isinstance(v, bool):
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        if v < 128:
            return bytes([v])
        for code, size in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)):
            if v < 1 << 8 * size:
                return bytes([code]) + v.to_bytes(size, "big")
    if isinstance(v, str):
        b = v.encode()
        return (bytes([0xA0 | len(b)]) if len(b) < 32 else b"\xd9" + bytes([len(b)])) + b
    if isinstance(v, bytes):
        return (b"\xc4" + bytes([len(v)]) if len(v) < 256 else b"\xc5" + struct.pack(">H", len(v))) + v
    if isinstance(v, list):
        return (bytes([0x90 | len(v)]) if len(v) < 16 else b"\xdc" + struct.pack(">H", len(v))) + b"".join(map(pack, v))
    raise TypeError(v)


def unpack(data):
    value, at = _unpack(data, 0)
    expect("bytes behind a message", len(data) - at, 0)
    return value


def _unpack(d, at):
    c = d[at]
    at += 1
    if c < 0x80:
        return c, at
    if c in (0xC2, 0xC3):
        return c == 0xC3, at
    if 0xCC <= c <= 0xCF:
        n = 1 << (c - 0xCC)
        return int.from_bytes(d[at:at + n], "big"), at + n
    if 0xA0 <= c < 0xC0 or c in (0xD9, 0xDA):
        n, at = (c & 31, at) if c < 0xC0 else (d[at], at + 1) if c == 0xD9 else (struct.unpack_from(">H", d, at)[0], at + 2)
        return d[at:at + n].decode(), at + n
    if c in (0xC4, 0xC5, 0xC6):
        size = 1 << (c - 0xC4)
        n = int.from_bytes(d[at:at + size], "big")
        return d[at + size:at + size + n], at + size + n
    if 0x90 <= c < 0xA0 or c in (0xDC, 0xDD):
        n, at = (c & 15, at) if c < 0xA0 else (struct.unpack_from(">H", d, at)[0], at + 2) if c == 0xDC else (
            struct.unpack_from(">I", d, at)[0], at + 4)
        items = []
        for _ in range(n):
            item, at = _unpack(d, at)
            items.append(item)
        return items, at
    raise Failure(f"a byte {c:#x} that the protocol does not use")


# -------------------------------------------------------------- invitations


def invitation_open(line):
    """The fields of an invitation: url, hub, certificate, hub_key, id, secret, expires_ms, site, name."""
    text = line.strip().removeprefix("perche1:")
    body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    expect("the checksum of an invitation", hashlib.blake2b(body[:-8], digest_size=16).digest()[:8], body[-8:])
    return unpack(body[:-8])


def invitation_close(fields):
    body = pack(fields)
    body += hashlib.blake2b(body, digest_size=16).digest()[:8]
    return "perche1:" + base64.urlsafe_b64encode(body).decode().rstrip("=")


# -------------------------------------------------------------------- cases

_cases = []


def case(name):
    """A case of this test: a function without arguments that raises when something is off."""
    def register(run):
        _cases.append((name, run))
        return run
    return register


def _on_term(_signal, _frame):
    sys.exit(143)


def main(build, networks):
    """Runs @build, then the cases in order, prints a line for each, closes the networks, and exits. A case may add to them."""
    passed = failed = 0
    began = now()
    signal.signal(signal.SIGTERM, _on_term)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        for name, run in [("the network starts", build), *_cases]:
            at = now()
            try:
                run()
                for net in networks:
                    net.check_alive()
                if run is not build:
                    print(f"ok {name} # {now() - at:.1f} s")
                    passed += 1
                for net in networks:
                    for n in net.nodes.values():
                        n.shown = n.log_size()
                continue
            except Exception as e:  # a test reports whatever went wrong
                failed += 1
                print(f"not ok {name} # {now() - at:.1f} s")
                for line in str(e).splitlines() or [repr(e)]:
                    print("#   " + line)
                for line in traceback.format_exc().splitlines()[1 if isinstance(e, Failure) else 0:-1]:
                    if "File" in line and "perche_net.py" not in line:
                        print("#   " + line.strip())
                if not isinstance(e, Failure):
                    print(f"#   {e!r}")
                for net in networks:
                    net.show_logs()
                if run is build or any(n.process is not None and not n.running() for net in networks for n in net.nodes.values()):
                    print("# the rest was not run")
                    break
    finally:
        for net in networks:
            net.close()
    print(f"# took {now() - began:.1f} s")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
