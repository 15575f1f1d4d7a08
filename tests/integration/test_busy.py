#!/usr/bin/env python3
"""A hub where a program writes all the time: a site is proven equal all the same, and never of what is not."""
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()
EVERY_MS = 50
WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
db.execute("PRAGMA synchronous = FULL")
db.execute("CREATE TEMP TABLE n (i)")
i, due = 0, time.monotonic()
while True:
    i, due = i + 1, due + %f
    db.execute("UPDATE network SET name = ?", (f"busy {i}",))
    if i %% 10 == 0:
        db.execute("UPDATE learner SET call_name = ? WHERE id = (SELECT min(id) FROM learner)", (f"of the hub {i}",))
    time.sleep(max(0, due - time.monotonic()))
""" % (EVERY_MS / 1000)


class Writing:
    """A program that writes into the scopes of all sites every 50 ms, as long as this is open."""

    def __enter__(self):
        before = hub.sql("SELECT name FROM network")
        self.process = subprocess.Popen([sys.executable, "-c", WRITER, hub.db], stdin=subprocess.DEVNULL)
        net.wait_for("the program to write", lambda: hub.sql("SELECT name FROM network") != before)
        return self

    def __exit__(self, *args):
        ended = self.process.poll()
        if ended is None:
            self.process.kill()
            self.process.wait()
        if args[0] is None:
            expect("the program's end before its time", ended, None)


def build():
    global hub, llp
    hub = net.add_hub()
    relay = net.relay("la-loupe")
    llp = net.add_site("la-loupe", relay=relay)
    net.cohort("la-loupe")
    net.proven()
    relay.ask("delay 60")  # more than one write in each round trip: no digest finds the hub at rest


def wait_done(seconds=60):
    began = time.monotonic()
    llp.perche("sync", "--wait", "--timeout", f"{seconds}s", seconds=seconds + 20)
    return time.monotonic() - began


@case("sync --wait is done while the hub never rests, again and again, with what was written here and there before it")
def _():
    with Writing():
        for i in range(3):
            llp.sql(f"UPDATE learner SET use_family_name = 'family {i}' WHERE id = (SELECT max(id) FROM learner)")
            at_hub = int(hub.sql("SELECT name FROM network").split()[1])
            before = hub.json("status")["lsn"]
            print(f"# done after {wait_done():.1f} s")
            here = int(llp.sql("SELECT name FROM network").split()[1])
            if here < at_hub:
                raise Failure(f"the hub had {at_hub} when it was asked, and here is {here}")
            expect("the edit at the hub", hub.count("learner", f"use_family_name = 'family {i}'"), 1)
            if hub.json("status")["lsn"] <= before:
                raise Failure("the hub has been at rest")
    net.proven()


@case("status tells when, by the hub's clock, and so does the hub of it")
def _():
    with Writing():
        wait_done()
        first = llp.status()["proven_equal_at"]
        wait_done()
        second = llp.status()["proven_equal_at"]
        if not first < second:
            raise Failure(f"proven equal at {first}, then at {second}")
        net.wait_for("the hub to show it", lambda: [s for s in hub.json("sites")["sites"] if s["id"] == llp.id][0]["proven_equal_at"] >= second)


@case("edits past the triggers while the hub never rests: equal only once they are taken over and sent")
def _():
    with Writing():
        llp.sql("BEGIN; " + "".join(f"DROP TRIGGER perche_learner_{t}; " for t in ("key", "insert", "update", "delete")) +
                "UPDATE learner SET call_name = 'past the triggers' WHERE id = (SELECT max(id) FROM learner); COMMIT")
        wait_done()
        expect("the edit at the hub", hub.count("learner", "call_name = 'past the triggers'"), 1)
    net.proven()


@case("what really differs is not called equal while the hub never rests")
def _():
    last = "(SELECT max(id) FROM learner)"
    llp.stop()
    # the row, its digest and the sums of the table: as a lost block of the disk or a mistake of ours would leave them
    llp.sql(f"BEGIN; UPDATE perche_flag SET applying = 1; UPDATE learner SET call_name = 'unlike' WHERE id = {last}; UPDATE perche_flag SET applying = 0;"
            " UPDATE perche_digest SET sums = CAST(x'ff' || substr(sums, 2) AS BLOB) WHERE tab = (SELECT num FROM perche_tab WHERE name = 'learner'); COMMIT")
    llp.start()
    with Writing():
        llp.says_no("sync", "--wait", "--timeout", "8s", words=["no comparison has said equal"])
        expect("what status says", llp.status()["reason"], "differs")
    expect_in("the log", "sync.differs", llp.log_text())


if __name__ == "__main__":
    perche_net.main(build, [net])
