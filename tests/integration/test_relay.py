#!/usr/bin/env python3
"""perche-relay itself: what it forwards, cuts, holds, delays, slows down and counts. No daemon: an echo server behind it."""
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

BUILD = os.environ.get("PERCHE_BUILD") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")
LIMIT = 10
passed = failed = 0


def case(name):
    def run(f):
        global passed, failed
        began = time.monotonic()
        try:
            f()
            print(f"ok {name} # {time.monotonic() - began:.1f} s")
            passed += 1
        except Exception as e:  # a failed case does not stop the others
            print(f"not ok {name} # {time.monotonic() - began:.1f} s\n#   {type(e).__name__}: {e}")
            failed += 1
    return run


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: expected {wanted!r}, got {got!r}")


class Echo:
    """Sends back whatever comes, and counts connections."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.taken = 0
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    @staticmethod
    def serve(s):
        try:
            while data := s.recv(65536):
                s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Relay:
    def __init__(self, folder, *args):
        self.path = os.path.join(folder, "control")
        self.process = subprocess.Popen([os.path.join(BUILD, "perche-relay"), "--listen", "0", "--to", f"127.0.0.1:{echo.port}",
                                         "--control", self.path, *args], stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(LIMIT)
        self.control.connect(self.path)
        self.answers = self.control.makefile()

    def say(self, words):
        self.control.sendall((words + "\n").encode())
        return json.loads(self.answers.readline())

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def end(self):
        self.say("quit")
        expect("exit status", self.process.wait(LIMIT), 0)
        self.process.stdout.close()
        self.control.close()


def receive(s, n):
    out = b""
    while len(out) < n:
        data = s.recv(n - len(out))
        if not data:
            raise AssertionError(f"the line ended after {len(out)} of {n} bytes")
        out += data
    return out


def ended(s):
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True


echo = Echo()
with tempfile.TemporaryDirectory() as folder:
    relay = Relay(folder, "--seed", "7")

    @case("bytes go through and come back, and are counted")
    def _():
        data = os.urandom(3000000)
        with relay.connect() as s:
            threading.Thread(target=s.sendall, args=(data,), daemon=True).start()
            expect("what comes back", receive(s, len(data)) == data, True)
            s.shutdown(socket.SHUT_WR)
            expect("the other end's end", s.recv(1), b"")
        stats = relay.say("stats")
        expect("bytes up", stats["up_bytes"], len(data))
        expect("bytes down", stats["down_bytes"], len(data))

    @case("drop closes the present connections and takes new ones")
    def _():
        with relay.connect() as s:
            s.sendall(b"x")
            receive(s, 1)
            expect("closed", relay.say("drop")["closed"], 1)
            expect("the line has ended", ended(s), True)
        with relay.connect() as s:
            s.sendall(b"x")
            expect("echo", receive(s, 1), b"x")

    @case("cut closes them and refuses new ones until open")
    def _():
        with relay.connect() as s:
            s.sendall(b"x")
            receive(s, 1)
            relay.say("cut")
            expect("the line has ended", ended(s), True)
        try:
            relay.connect()
            raise AssertionError("taken while the line is cut")
        except ConnectionRefusedError:
            pass
        port = relay.port
        relay.say("open")
        expect("port", relay.port, port)
        with relay.connect() as s:
            s.sendall(b"y")
            expect("echo", receive(s, 1), b"y")

    @case("hold keeps what comes, and resume lets it go on")
    def _():
        with relay.connect() as s:
            s.sendall(b"x")
            receive(s, 1)
            relay.say("hold")
            s.sendall(b"held")
            s.settimeout(0.2)
            try:
                raise AssertionError(f"{s.recv(10)!r} came through")
            except TimeoutError:
                pass
            s.settimeout(LIMIT)
            relay.say("resume")
            expect("echo", receive(s, 4), b"held")

    @case("delay holds each piece back, in both directions and in order")
    def _():
        relay.say("delay 100 50")
        with relay.connect() as s:
            began = time.monotonic()
            for i in range(50):
                s.sendall(b"%03d" % i)
            expect("order", receive(s, 150), b"".join(b"%03d" % i for i in range(50)))
            took = time.monotonic() - began
            if took < 0.2:
                raise AssertionError(f"there and back in {took:.3f} s")
        relay.say("delay 0")

    @case("rate bounds the bytes of a second")
    def _():
        relay.say("rate 100000")
        with relay.connect() as s:
            began = time.monotonic()
            s.sendall(bytes(60000))
            receive(s, 60000)
            took = time.monotonic() - began
            if not 0.35 < took < 3:
                raise AssertionError(f"60,000 bytes in {took:.3f} s")
        relay.say("rate 0")

    @case("storm drops the connections again and again, and 0 0 ends it")
    def _():
        relay.say("storm 5 20")
        for _ in range(3):
            with relay.connect() as s:
                expect("the line has ended", ended(s), True)
        relay.say("storm 0 0")
        with relay.connect() as s:
            s.sendall(b"x")
            expect("echo", receive(s, 1), b"x")

    @case("a command of nobody is told so")
    def _():
        expect("answer", relay.say("dance"), {"error": "no such command"})

    relay.end()

    @case("with --decode each frame of nng is a line, and a frame that is none is counted")
    def _():
        relay = Relay(folder, "--decode")
        watch = bytes([0x93, 7, 0, 0x94, 1, 2, 3, 4])  # op 7, no reply: session, full, scan, done
        request = struct.pack(">I", 0x80000001)
        with relay.connect() as s:
            for piece in (b"\0SP\0\0\x30\0\0", struct.pack(">Q", len(request) + len(watch)), request, watch[:3], watch[3:],
                          struct.pack(">Q", 7) + request + b"\x93\1\2"):
                s.sendall(piece)
                receive(s, len(piece))
        lines = [json.loads(relay.process.stdout.readline()) for _ in range(4)]
        expect("directions", sorted(line["dir"] for line in lines), ["down", "down", "up", "up"])
        up = [line for line in lines if line["dir"] == "up"]
        expect("op", (up[0]["op"], up[0]["reply"], up[0]["bytes"]), ("watch", False, 8 + len(request) + len(watch)))
        expect("the second", (up[1]["op"], up[1]["bytes"]), ("bad", 15))
        stats = relay.say("stats")
        expect("frames", stats["frames"]["watch"]["up"], 1)
        expect("bad frames", stats["bad_frames"], 2)
        relay.end()

print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
