#!/usr/bin/env python3
"""Hundreds of connections that say nothing, or a byte a second, before TLS, within it, and before they prove anything, and
some that go in the middle of it: a site that is joined goes on, one that comes back and one that joins get in, and the
hub's memory stays bounded."""
import contextlib
import os
import resource
import select
import socket
import ssl
import struct
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import fault
import perche_net
from perche_net import Failure, case, expect, now

net = perche_net.Network()
EACH = 200 if perche_net.LONG else 60  # of each of five kinds
CROWD = 160  # likewise: below the 1024 descriptors that select() takes in this process
LARGE = 10
GONE = 2000 if perche_net.LONG else 500
SECONDS = 30 if perche_net.LONG else 12  # within the 30 s that the hub gives a greeting
HELD_KB = 100  # for each, with TLS; beside it what any load takes:
SPARE_KB = 24 * 1024 * perche_net.SLOW


def client_hello():
    out = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


class Stranger:
    """One connection of a kind; opened again when the hub has closed it."""

    def __init__(self, kind):
        self.kind = kind
        self.closed = 0
        self.open()

    def open(self):
        self.sock = socket.create_connection((net.host, net.port), timeout=20 * perche_net.SLOW)
        self.to_say = b""
        if self.kind == "hello of TLS":
            self.to_say = client_hello()
        elif self.kind != "nothing":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
            greeting = b"\0SP\0\x00\x30\x00\x00"
            if self.kind == "greeting":
                self.to_say = greeting
            elif self.kind in ("no request", "request"):
                self.sock.sendall(greeting)
            if self.kind == "request":  # as large as a message of theirs may be
                self.sock.sendall(struct.pack(">Q", 4100))
                self.to_say = bytes(1000)
        self.sock.setblocking(False)

    def ended(self):
        try:
            return self.sock.recv(4096) == b""
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            return True

    def turn(self):
        try:
            if select.select([self.sock], [], [], 0)[0] and self.ended():
                raise ConnectionResetError
            if self.to_say:
                self.sock.send(self.to_say[:1])
                self.to_say = self.to_say[1:]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.sock.close()
            self.closed += 1
            self.open()


class Crowd(threading.Thread):
    KINDS = ("nothing", "hello of TLS", "greeting", "no request", "request")

    def __init__(self, each=EACH):
        super().__init__(daemon=True)
        self.ending = threading.Event()
        self.failure = None
        self.strangers = [Stranger(kind) for _ in range(each) for kind in self.KINDS]

    def run(self):
        try:
            while not self.ending.wait(1):
                for s in self.strangers:
                    s.turn()
        except Exception as e:  # told by stop()
            self.failure = e

    def stop(self):
        self.ending.set()
        self.join(60)
        for s in self.strangers:
            s.sock.close()
        if self.failure:
            raise Failure(f"a stranger could not come back: {self.failure!r}")


def rss_kb():
    with open(f"/proc/{net.hub.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def descriptors():
    return len(os.listdir(f"/proc/{net.hub.process.pid}/fd"))


def build():
    global site, other, mute
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    net.add_hub()
    site = net.add_site("la-loupe")
    other = net.add_site("chartres")
    fault.shared_learner(net)
    mute = (now(), [Stranger("nothing"), Stranger("hello of TLS")])
    mute[1][1].sock.sendall(mute[1][1].to_say[:100])


@case(f"{GONE} strangers who say hello and go: whoever comes next is served")
def _():
    hello = client_hello()
    for _ in range(GONE // 20):
        crowd = [socket.create_connection((net.host, net.port), timeout=20 * perche_net.SLOW) for _ in range(20)]
        for s in crowd:
            s.sendall(hello)
        for s in crowd:  # while the hub answers: an end, and a reset
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_WR)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
    other.kill()
    other.start()
    other.sync_wait()


@case(f"{5 * EACH} slow strangers for {SECONDS} s: those who are joined go on, and others come in")
def _():
    before, open_before = rss_kb(), descriptors()
    began = now()
    crowd = Crowd()
    print(f"#   they stood there after {now() - began:.1f} s")
    crowd.start()
    rows, highest, slowest, joined = 0, 0, 0, False
    try:
        end = now() + SECONDS
        while now() < end:
            rows += 1
            at = now()
            site.sql(f"INSERT INTO learner_contact (learner_id, kind, value) VALUES ('{fault.LEARNER}', 'PHONE', 'w {rows}')")
            net.wait_for("an edit of the first site at the second", lambda: other.count("learner_contact", f"value = 'w {rows}'") == 1, seconds=10)
            slowest = max(slowest, now() - at)
            highest = max(highest, rss_kb())
            if rows % 3 == 0:
                other.kill()
                other.start()
            if not joined and now() > end - SECONDS / 2:
                net.add_site("dreux").sync_wait()
                joined = True
            crowd.ending.wait(0.5)
        expect("one joined in between", joined, True)
        lines = net.hub.status()["lines"]
    finally:
        crowd.stop()
    closed = sum(s.closed for s in crowd.strangers)
    print(f"#   {rows} edits, {slowest:.2f} s at most; {lines} lines open, {closed} closed by the hub; memory {before} kB, {highest} kB at most")
    if highest > before + len(crowd.strangers) * HELD_KB + SPARE_KB:
        raise Failure(f"the hub's memory went from {before} to {highest} kB")
    net.wait_for("their descriptors to be closed", lambda: descriptors() <= open_before + 4)
    net.proven()


@case(f"{LARGE} strangers who send all but the end of a message of 16 MiB: the hub's memory stays bounded, and the log tells of it")
def _():
    before, since = rss_kb(), net.hub.log_size()
    strangers, highest = [], 0
    for _ in range(LARGE):
        s = perche_net.RawLine(net).greet()
        strangers.append(s)
        with contextlib.suppress(OSError):
            s.sock.sendall(struct.pack(">QI", 16 << 20, 0x80000001))
            for _ in range(15):
                s.sock.sendall(b"x" * (1 << 20))
        highest = max(highest, rss_kb())
    site.sync_wait()
    highest = max(highest, rss_kb())
    for s in strangers:
        s.close()
    print(f"#   memory {before} kB, {highest} kB at most")
    if highest > before + LARGE * HELD_KB + SPARE_KB:
        raise Failure(f"the hub's memory went from {before} to {highest} kB")
    net.wait_for("the log to tell of it", lambda: net.hub.log_text(since).count("downlink.bad_message") == LARGE)


@case("a connection that says nothing, or stops in the middle of TLS, is closed after 30 s")
def _():
    since, strangers = mute
    for s in strangers:
        s.sock.setblocking(True)
        s.sock.settimeout(40 * perche_net.SLOW)
        with contextlib.suppress(ConnectionResetError):
            while s.sock.recv(4096):
                pass
        s.sock.close()
    lasted = now() - since
    if lasted < 30:
        raise Failure(f"they were closed after {lasted:.1f} s, which a site on a slow line may need")
    net.wait_for("the log to tell of it", lambda: "downlink.silent" in net.hub.log_text())


@case(f"{5 * CROWD} of them at a hub that has 400 descriptors: whoever belongs to it is served")
def _():
    net.hub.stop()
    net.hub.descriptors = 400
    net.hub.start()
    site.sync_wait()
    crowd = Crowd(CROWD)
    crowd.start()
    highest = descriptors()
    try:
        end, round = now() + 6, 0
        while now() < end:  # they come back every second
            round += 1
            other.kill()
            other.start()
            other.sync_wait()
            site.sql(f"INSERT INTO learner_contact (learner_id, kind, value) VALUES ('{fault.LEARNER}', 'PHONE', 'full {round}')")
            net.wait_for("an edit of the first site at the second", lambda: other.count("learner_contact", f"value = 'full {round}'") == 1, seconds=20)
            highest = max(highest, descriptors())
    finally:
        crowd.stop()
    closed = sum(s.closed for s in crowd.strangers)
    print(f"#   {closed} closed by the hub, which had {highest} descriptors at most; {round} times a site came back and was served")
    if closed < CROWD:
        raise Failure(f"of {5 * CROWD} only {closed} were closed")
    if highest > 350:
        raise Failure(f"the hub had {highest} descriptors open")
    net.proven()


if __name__ == "__main__":
    perche_net.main(build, [net])
