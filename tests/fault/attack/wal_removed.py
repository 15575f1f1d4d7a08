#!/usr/bin/env python3
"""P1, P4: somebody removes replica.db-shm or -wal under a running daemon. It puts the file back before a program makes another; where a program
was faster it ends and says so. What a program commits (without an error) is at the hub, or `perche sync --wait` does not say "done"; nothing that
was committed is gone without a word."""
import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()


def build():
    global hub
    hub = net.add_hub()


def site(key):
    s = net.add_site(key)
    s.sync_wait()
    insert(s, "before")
    s.sync_wait()
    return s


def insert(s, title):
    s.sql(f"INSERT INTO project (site_id, title, kind) VALUES ('{s.id}', '{title}', 'CLIENT')")


def titles(node, s):
    return set(node.sql(f"SELECT title FROM project WHERE site_id = '{s.id}'").splitlines())


def inode(path):
    return os.stat(path).st_ino


def started_again(s):
    """As systemd does when it has ended by itself."""
    if s.running():
        s.kill()
    s.process = None
    s.start()
    net.wait_for("its hub", lambda: s.status()["state"] == "live")
    s.sync_wait()


def removed(key, ends):
    s = site(key)
    files = {end: inode(s.db + end) for end in ("-wal", "-shm")}
    for end in ends:
        os.unlink(s.db + end)
    committed = {"before"}
    for i in range(4):
        try:
            insert(s, f"after {i}")
            committed.add(f"after {i}")
        except Failure:
            pass  # the program was told
    if s.running():
        done = s.run("sync", "--wait", "--timeout", "20s").returncode == 0
        expect("rows at the hub, of a site that says done", done and committed - titles(hub, s), set())
        if {end: inode(s.db + end) for end in files} == files:
            expect_in("status", "somebody removed", s.perche("status"))
    else:
        expect_in("the log", "node.ended", s.log_text())
    started_again(s)
    expect("what is nowhere any more", committed - titles(s, s), set())
    expect("what the hub lacks", committed - titles(hub, s), set())
    expect("quick_check", s.sql("PRAGMA quick_check"), "ok")


case("-shm is removed")(lambda: removed("anet", ("-shm",)))
case("-wal is removed")(lambda: removed("brou", ("-wal",)))
case("both are removed")(lambda: removed("cloyes", ("-wal", "-shm")))


@case("both are removed and nobody writes: they are back within a second, the same ones")
def _():
    s = site("dreux")
    files = {end: inode(s.db + end) for end in ("-wal", "-shm")}
    for end in files:
        os.unlink(s.db + end)
    net.wait_for("the files", lambda: all(os.path.exists(s.db + end) for end in files), seconds=2)
    expect("the files", {end: inode(s.db + end) for end in files}, files)
    expect("put back, in status", s.status()["put_back"]["file"] in ("replica.db-wal", "replica.db-shm"), True)
    insert(s, "after")
    s.sync_wait()
    s.stop()
    expect("files of a stopped daemon", sorted(f for f in os.listdir(s.data) if f.startswith("replica.db") or f == ".open"), ["replica.db"])
    s.start()


def too_late(key, ends, *statements):
    """The daemon stands still while the files are removed and a program makes others."""
    s = site(key)
    s.process.send_signal(signal.SIGSTOP)
    for end in ends:
        os.unlink(s.db + end)
    committed = {"before"}
    try:
        for i in range(3):
            insert(s, f"after {i}")
            committed.add(f"after {i}")
    except Failure:
        pass  # the program was told
    s.process.send_signal(signal.SIGCONT)
    try:
        code = s.process.wait(10)
    except subprocess.TimeoutExpired:
        raise Failure("the daemon goes on with files that are another program's") from None
    expect("exit status", code, 1)
    expect_in("the log", "has another -wal or -shm than the daemon has open", s.log_text())
    started_again(s)
    return s, committed


@case("a program makes another -shm first: the daemon ends, and all is there")
def _():
    s, committed = too_late("epernon", ("-shm",))
    expect("committed", len(committed), 4)
    expect("what is nowhere any more", committed - titles(s, s), set())
    expect("what the hub lacks", committed - titles(hub, s), set())


@case("a program makes another -wal first: the daemon ends, and what the old one held is in the new one")
def _():
    s, committed = too_late("gallardon", ("-wal",))
    expect("what is nowhere any more", committed - titles(s, s), set())
    expect("what the hub lacks", committed - titles(hub, s), set())
    expect("quick_check", s.sql("PRAGMA quick_check"), "ok")


@case("a program makes both anew first: what it commits stays, and what replica.db had not got yet is set aside and named")
def _():
    s, committed = too_late("illiers", ("-wal", "-shm"))
    lost = [f for f in os.listdir(s.data) if f.startswith("replica.db-wal.lost-")]
    expect("what is nowhere any more", committed - titles(s, s), set())
    if lost:
        expect("wal_lost, in status", s.status()["wal_lost"], lost[0])
        expect_in("status", lost[0], s.perche("status"))


@case("replica.db is replaced next, as for a restore: no file of the old one comes back beside it")
def _():
    s = site("janville")
    s.sql(f".backup '{s.folder}/copy.db'")
    insert(s, "after")
    for end in ("-wal", "-shm"):
        os.unlink(s.db + end)
    os.rename(s.folder + "/copy.db", s.db)
    expect("exit status", s.process.wait(10), 1)
    expect_in("the log", "was replaced or removed", s.log_text())
    expect("quick_check", s.sql("PRAGMA quick_check"), "ok")
    started_again(s)
    expect("what came back from the hub", "before" in titles(s, s), True)


perche_net.main(build, [net])
