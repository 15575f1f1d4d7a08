"""The other end of preload_fault.so: what goes wrong at the Nth write or sync of a node's daemon, and local programs that
write meanwhile and know what they have committed."""
import errno
import mmap
import os
import random
import select
import sqlite3
import struct
import threading

import perche_net
from perche_net import Failure, expect

NOTHING, KILL_BEFORE, KILL_HALF, KILL_AFTER, FAIL_ONCE, FAIL_ON = range(6)
WRITES, SYNCS = 1, 2
WAL, DB, SHM, JOURNAL, OTHER = 1, 2, 4, 8, 16
REPLICA = WAL | DB | SHM | JOURNAL
LIBRARY = os.path.join(perche_net.BUILD, "preload_fault.so")


class Plan:
    """Of one daemon, which is started with it in its environment and may be started again."""

    def __init__(self, node):
        self.node = node
        path = os.path.join(node.folder, "fault")
        with open(path, "wb") as f:
            f.write(bytes(56))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 56)
        asan = os.environ.get("ASAN_OPTIONS", "")
        node.env.update(LD_PRELOAD=LIBRARY, PERCHE_FAULT=path,
                        ASAN_OPTIONS=asan + (":" if asan else "") + "verify_asan_link_order=0")

    def arm(self, action, at, kinds=WRITES | SYNCS, files=REPLICA, error=errno.EIO):
        self.disarm()
        self.map[8:56] = struct.pack("<6Q", error, at, kinds, files, 0, 0)
        self.map[0:8] = struct.pack("<Q", action)

    def disarm(self):
        self.map[0:8] = bytes(8)

    def _get(self, i):
        return struct.unpack_from("<Q", self.map, 8 * i)[0]

    @property
    def armed(self):
        return self._get(0) != NOTHING

    @property
    def seen(self):
        return self._get(5)

    @property
    def struck(self):
        return self._get(6)


def wait_dead(node, seconds):
    """True: the daemon has ended. The caller starts it again."""
    if node.process is None:
        return True
    fd = os.pidfd_open(node.process.pid)
    try:
        if not select.select([fd], [], [], seconds * perche_net.SLOW)[0]:
            return False
    finally:
        os.close(fd)
    node.process.wait()
    node.process = None
    return True


LEARNER = "01487832-4000-7000-8001-000000000001"


def shared_learner(net):
    """A learner whom both sites hold, and so may have contacts written: home at the first, enrolled at the second."""
    first, second = (n for n in net.nodes.values() if n.role == "site")
    net.hub.sql(f"""BEGIN IMMEDIATE;
        INSERT INTO learner (id, home_site_id, given_names, birth_family_name) VALUES ('{LEARNER}', '{first.id}', 'Thomas', 'Lefèvre');
        INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)
            VALUES ('01487832-4000-7000-8003-000000000001', '{second.id}', 'none', 'P1', '2026-01-05', '2026-06-30', 12, 'ON_SITE', 'RUNNING');
        INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)
            VALUES ('01487832-4000-7000-8002-000000000001', '{LEARNER}', '01487832-4000-7000-8003-000000000001', '{second.id}', '2026-01-05', '2026-06-30');
        COMMIT""")
    for site in (first, second):
        net.wait_for(f"the learner at {site.key}", lambda site=site: site.count("learner", f"id = '{LEARNER}'") == 1)
        site.sync_wait()


class Program(threading.Thread):
    """Adds, changes and deletes contacts of that learner at one node, as fast as @pace says, until stop(). `rows` is what it
    has committed, by id, and nothing else; a row is written at one node alone, so there is nothing to decide."""

    def __init__(self, node, seed, pace=0.02):
        super().__init__(daemon=True)
        self.node, self.pace = node, pace
        self.draw = random.Random(f"{seed} {node.key}")
        self.rows, self.commits, self.gone = {}, 0, 0
        self.failure = None
        self.ending = threading.Event()

    def changes(self):
        """Of one transaction: (id, value or None)."""
        out = {}
        for _ in range(self.draw.randint(1, 6)):
            what = self.draw.random()
            if what < 0.6 or len(self.rows) < 20:
                row = "%08x-%04x-7%03x-8%03x-%012x" % (0x19a00000 + self.commits, self.draw.getrandbits(16), self.draw.getrandbits(12),
                                                       self.draw.getrandbits(12), self.draw.getrandbits(48))
            else:
                row = self.draw.choice(list(self.rows)[-200:])
            out[row] = None if what > 0.92 and row in self.rows else f"w {self.node.key} {self.draw.getrandbits(40):x}"
        return out

    def run(self):
        try:
            db = sqlite3.connect(self.node.db, isolation_level=None)
            db.execute("PRAGMA busy_timeout = 20000")
            while not self.ending.wait(self.pace):
                self.commit(db)
            db.close()
        except Exception as e:  # told by stop()
            self.failure = e

    def commit(self, db):
        changes = self.changes()
        try:
            db.execute("BEGIN IMMEDIATE")
            for row, value in changes.items():
                if value is None:
                    db.execute("DELETE FROM learner_contact WHERE id = ?", (row,))
                elif row in self.rows:
                    db.execute("UPDATE learner_contact SET value = ? WHERE id = ?", (value, row))
                else:
                    db.execute("INSERT INTO learner_contact (id, learner_id, kind, value) VALUES (?, ?, 'MAIL', ?)", (row, LEARNER, value))
            db.execute("COMMIT")
        except sqlite3.OperationalError as e:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if "locked" in str(e) or "busy" in str(e):
                return  # nothing of it was committed
            raise
        for row, value in changes.items():
            if value is None:
                del self.rows[row]
                self.gone += 1
            else:
                self.rows[row] = value
        self.commits += 1

    def stop(self):
        self.ending.set()
        self.join(60 * perche_net.SLOW)
        if self.failure:
            raise Failure(f"the program at {self.node.key}: {self.failure!r}")


def written(programs):
    out = {}
    for p in programs:
        out.update(p.rows)
    return out


def held(node):
    rows = node.sql("SELECT id || '|' || value FROM learner_contact WHERE value LIKE 'w %'")
    return dict(line.split("|", 1) for line in rows.splitlines())


def all_there(net, programs):
    """Every row that was committed is at every node as it was committed last, and there is no other."""
    wanted = written(programs)
    for node in net.nodes.values():
        found = held(node)
        lost = [r for r in wanted if r not in found]
        more = [r for r in found if r not in wanted]
        other = [r for r in wanted if r in found and found[r] != wanted[r]]
        if lost or more or other:
            raise Failure(f"at {node.key}: {len(lost)} of {len(wanted)} rows lost {lost[:3]}, {len(more)} that should be gone {more[:3]}, "
                          f"{len(other)} of another value {other[:3]}")
    asked = net.hub.sql("SELECT * FROM perche_conflict ORDER BY id LIMIT 3")
    expect("questions raised by rows that one program alone writes" + (f" ({asked})" if asked else ""), net.hub.count("perche_conflict"), 0)


class Promise:
    """P2, read from the files: a site holds nothing for acknowledged that the hub has not got, and nothing for pulled that
    the hub has not numbered."""

    def __init__(self, net):
        self.hub = net.hub.connect()
        self.sites = [(n, n.connect()) for n in net.nodes.values() if n.role == "site"]

    def check(self):
        for site, db in self.sites:
            acked, scan = db.execute("SELECT acked, scan FROM perche_node").fetchone()
            lsn, have = self.hub.execute("""SELECT lsn, (SELECT have FROM perche_peer p JOIN perche_name n ON n.num = p.site WHERE n.text = ?)
                FROM perche_node""", (site.id,)).fetchone()
            if acked > have:
                raise Failure(f"{site.key} holds {acked} for acknowledged, the hub has {have}")
            if scan > lsn:
                raise Failure(f"{site.key} has pulled to {scan}, the hub is at {lsn}")

    def close(self):
        self.hub.close()
        for _, db in self.sites:
            db.close()
