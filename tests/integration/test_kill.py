#!/usr/bin/env python3
"""kill -9 of a site and of the hub in the middle of a load: it ends complete and proven equal, and no batch that was
acknowledged is sent again, counted from the frames on the line.

Alone it loads 60,000 rows with 4 kills; with PERCHE_LONG=1 in a build without sanitizers, or by arguments, 1,000,000
rows with 20:

    test_kill.py [--rows N] [--kills N] [--seed S]"""
import argparse
import os
import random
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect

options = argparse.ArgumentParser()
options.add_argument("--rows", type=int, default=20_000 if perche_net.SLOW > 1 else 1_000_000 if perche_net.LONG else 60_000)
options.add_argument("--kills", type=int, default=20 if perche_net.LONG and perche_net.SLOW == 1 else 4)
options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
options = options.parse_args()

net = perche_net.Network(scheme="tcp")  # inside TLS nobody sees frames
TRANSACTION_ROWS = 5000
BATCH_ROWS = 2000  # a batch has no more, so the share that is acknowledged moves in such steps
SECONDS = 60 + options.rows // 2000


def build():
    global hub, site, line
    hub = net.add_hub()
    line = net.relay("la-loupe", "--decode")
    site = net.add_site("la-loupe", relay=line)
    site.sync_wait()
    hub.sql("""CREATE TABLE load (id TEXT NOT NULL PRIMARY KEY, label TEXT, place TEXT, day TEXT, mail TEXT, phone TEXT, status TEXT,
        site TEXT NOT NULL, updated TEXT) WITHOUT ROWID""")
    hub.perche("replicate", "load", "--scope", "site")
    net.wait_for("the table at the site", lambda: site.sql("SELECT count(*) FROM perche_table WHERE name = 'load'") == "1")
    site.sync_wait()


def writer():
    """The load: a sqlite3 shell of its own, which knows nothing of any daemon."""
    script = [".timeout 60000"]
    for first in range(0, options.rows, TRANSACTION_ROWS):
        last = min(first + TRANSACTION_ROWS, options.rows) - 1
        script.append(f"""WITH RECURSIVE i(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM i WHERE i < {last})
            INSERT INTO load SELECT printf('%08x-%04x-7%03x-8%03x-%012x', 1700000000 + i / 97, i % 65536, abs(random()) % 4096,
            abs(random()) % 4096, abs(random()) % 281474976710656), 'row ' || abs(random()) % 74000,
            'place ' || abs(random()) % 40, date('2000-01-01', (abs(random()) % 9000) || ' days'),
            'l' || abs(random()) % 1000000 || '@example.org', printf('06%08d', abs(random()) % 100000000),
            substr('ACTIVE    CANDIDATE FINISHED  ', 1 + 10 * (abs(random()) % 3), 10), site_id,
            strftime('%Y-%m-%dT%H:%M:%fZ') FROM i, perche_self;""")
    path = os.path.join(net.folder, "load.sql")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(script))
    with open(path, encoding="utf-8") as f:
        return subprocess.Popen(["sqlite3", "-batch", "-bail", site.db], stdin=f, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Frames:
    """What goes over the line, read as it comes: which batches were acknowledged, and which came again."""

    def __init__(self, base):
        self.acked = base
        self.batch = (base, base)  # the newest push
        self.again = []
        self.pushes = self.replies = 0

    def take(self, lines):
        for m in lines:
            if m.get("op") != "push" or "refused" in m or m.get("batch", 1) == 0:
                continue
            if m["dir"] == "up":
                self.pushes += 1
                self.batch = (m["from"], m["to"])
                if m["from"] < self.acked:
                    self.again.append(f"{m['from']}..{m['to']}, when {self.acked} was acknowledged")
            else:
                self.replies += 1
                self.acked = max(self.acked, m["have"])


def plan():
    """(share, process) in the order of shares; each process at least a quarter of the kills."""
    draw = random.Random(options.seed)
    highest = 0.97 - min(0.3, 3 * BATCH_ROWS / options.rows)  # one batch more, and the load must not be over
    if options.rows >= 1_000_000:
        highest = 0.97
    least = max(1, options.kills // 4)
    which = ["site", "hub"] * least
    which += [draw.choice(("site", "hub")) for _ in range(options.kills - len(which))]
    draw.shuffle(which)
    return list(zip(sorted(draw.uniform(0.03, highest) for _ in which), which))


@case(f"{options.kills} times kill -9 within a load of {options.rows} rows, seed {options.seed}: it ends complete and proven equal")
def _():
    global frames
    base = int(site.sql("SELECT acked FROM perche_node"))
    frames = Frames(base)
    line.lines()
    load = writer()
    net.at_close.append(lambda: load.poll() is None and load.kill())
    print(f"#   {'drawn':>6} {'acknowledged':>12} {'killed':>6}  batch under way")
    for share, process in plan():
        target = base + share * options.rows

        def reached():
            frames.take(line.lines())
            return frames.acked >= target

        net.wait_for(f"{share:.1%} of the rows to be acknowledged", reached, seconds=SECONDS)
        node = site if process == "site" else hub
        node.kill()
        frames.take(line.lines())
        done = (frames.acked - base) / options.rows
        print(f"#   {share:6.1%} {done:12.1%} {process:>6}  {frames.batch[0]}..{frames.batch[1]}")
        if done >= 1:
            raise Failure("the load was over before the last kill")
        node.start()
        if process == "hub":
            site.run("sync")  # there is no need to wait for its next try
    said = load.communicate(timeout=SECONDS * perche_net.SLOW)[1].decode()
    expect("what the writer said", (load.returncode, said), (0, ""))
    site.sync_wait(SECONDS)
    frames.take(line.lines())
    for node in (site, hub):
        expect(f"rows at {node.key}", node.count("load"), options.rows)
    net.proven(site)
    expect("bad frames on the line", line.ask("stats")["bad_frames"], 0)
    print(f"#   {frames.pushes} batches sent, {frames.replies} answered")


@case("no batch that was acknowledged was sent again")
def _():
    expect("batches sent again", frames.again, [])
    if frames.pushes < options.rows // BATCH_ROWS:
        raise Failure(f"only {frames.pushes} batches were seen on the line")


@case("the count finds a batch that is sent again")
def _():
    f = Frames(10)
    push = {"op": "push", "dir": "up", "from": 10, "to": 20}
    f.take([push, dict(push, **{"from": 20, "to": 30}), {"op": "push", "dir": "down", "have": 20}])
    expect("two under way, one acknowledged", f.again, [])
    f.take([dict(push, **{"from": 20, "to": 25})])
    expect("one that was not acknowledged", f.again, [])
    f.take([push])
    expect("one that was", len(f.again), 1)


@case("an edit after all that is one batch")
def _():
    frames.take(line.lines())
    before = frames.pushes
    site.sql("UPDATE load SET label = 'after' WHERE id = (SELECT min(id) FROM load)")
    net.wait_for("the edit at the hub", lambda: hub.count("load", "label = 'after'") == 1)
    site.sync_wait()
    frames.take(line.lines())
    expect("batches of one edit", frames.pushes - before, 1)
    net.proven(site)


if __name__ == "__main__":
    perche_net.main(build, [net])
