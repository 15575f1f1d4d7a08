#!/usr/bin/env python3
"""The disk is full, at the hub and at a site: nothing is acknowledged that is not on it, status says why nothing moves, and
all goes on by itself when there is room. Each data folder is a small file system of its own, which takes root."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()
SIZE_MB = 48
LEARNER = "01487832-4000-7000-8001-0000000000%02d"


def small_disk(key):
    """A folder for a node's data that holds SIZE_MB."""
    folder = os.path.join(net.folder, key + ".disk")
    os.mkdir(folder)
    p = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0755", "perche-test", folder], text=True, capture_output=True)
    if p.returncode != 0:
        raise Failure(f"this test mounts file systems of {SIZE_MB} MB, which takes root (CAP_SYS_ADMIN): {p.stderr.strip()}")
    net.at_close.append(lambda: subprocess.run(["umount", "-l", folder], capture_output=True))
    return os.path.join(folder, "data")


SPARE = 1 << 20  # some commits still fit


def fill(node):
    """Takes the room that is left beside the node's files but SPARE. The WAL is cut first: what it has is room as well."""
    if node.running():
        net.wait_for("the WAL to be cut", lambda: node.sql("PRAGMA wal_checkpoint(TRUNCATE)").startswith("0|"))
    with open(os.path.join(os.path.dirname(node.data), "filler"), "wb", buffering=0) as f:
        for size in (1 << 20, 4096):
            try:
                while True:
                    f.write(b"\1" * size)
            except OSError:
                pass
        f.truncate(max(0, f.tell() - (SPARE if node.running() else 0)))


def make_room(node):
    os.unlink(os.path.join(os.path.dirname(node.data), "filler"))


def build():
    global hub, llp, chr_
    hub = net.add_hub(data=small_disk("hub"))
    llp = net.add_site("la-loupe", data=small_disk("la-loupe"))
    chr_ = net.add_site("chartres")
    net.cohort("la-loupe")
    net.proven()


def contacts(node, first, n, learner=5):
    node.sql(f"""WITH RECURSIVE i(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM i WHERE i < {first + n - 1})
        INSERT INTO learner_contact (learner_id, kind, value) SELECT '{LEARNER % learner}', 'PHONE', printf('07%08d', i) FROM i""")


def count(node):
    return node.count("learner_contact", "value LIKE '07%'")


def acknowledged():
    return int(llp.sql("SELECT acked FROM perche_node"))


def have():
    return int(hub.sql(f"SELECT have FROM perche_peer p JOIN perche_name n ON n.num = p.site WHERE n.text = '{llp.id}'"))


@case("the hub's disk is full: the site is told why, nothing is acknowledged that the hub has not got, others go on reading")
def _():
    fill(hub)
    contacts(llp, 0, 5000)
    net.wait_for("the site to say that the disk is full", lambda: llp.status()["reason"] == "disk", seconds=40)
    said = llp.says_no("sync", "--wait", "--timeout", "2s")
    expect_in("what sync says", "not everything that was written here has reached the hub", said)
    net.wait_for("the hub to say so too", lambda: hub.status()["reason"] == "disk")
    status = llp.status()
    if status["pending"] == 0:
        raise Failure("the site has nothing to send any more")
    if acknowledged() > have():
        raise Failure(f"acknowledged up to {acknowledged()}, but the hub has {have()}")
    expect("rows at the hub, read by the shell", hub.count("learner"), 28)
    expect("the hub runs", hub.running(), True)


@case("the hub is killed while its disk is full: what it had acknowledged is there")
def _():
    acked = acknowledged()
    hub.kill()
    if have() < acked:
        raise Failure(f"the site holds {acked} for acknowledged, the hub has {have()}")
    make_room(hub)
    hub.start()
    llp.sync_wait(60)
    expect("rows at the hub", count(hub), 5000)
    net.proven(llp, chr_)


@case("room at the hub again: all goes on by itself")
def _():
    fill(hub)
    contacts(llp, 5000, 5000)
    net.wait_for("the site to say that the disk is full", lambda: llp.status()["reason"] == "disk", seconds=40)
    make_room(hub)
    net.wait_for("the rows at the hub", lambda: count(hub) == 10000, seconds=60)
    net.wait_for("the reason to go", lambda: llp.status()["reason"] is None and hub.status()["reason"] is None)
    net.proven(llp)


@case("the site's disk is full: a program is told by SQLite, the hub's rows wait at the hub, and status says why")
def _():
    fill(llp)
    hub.sql(f"""WITH RECURSIVE i(i) AS (SELECT 10000 UNION ALL SELECT i + 1 FROM i WHERE i < 14999)
        INSERT INTO learner_contact (learner_id, kind, value) SELECT '{LEARNER % 6}', 'PHONE', printf('07%08d', i) FROM i""")
    chr_.sync_wait()  # a hub looks for what was written beside it when a site asks
    net.wait_for("the site to say that the disk is full", lambda: llp.status()["reason"] == "disk", seconds=40)
    llp.says_no("sync", "--wait", "--timeout", "2s")
    said = llp.sql_fails("""WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 10000)
        INSERT INTO project (site_id, title, kind) SELECT site_id, printf('%0500d', i), 'REAL_CLIENT' FROM i, perche_self""")
    expect_in("what SQLite says", "full", said)
    site = [s for s in hub.json("sites")["sites"] if s["id"] == llp.id][0]
    if site["behind"] == 0:
        raise Failure("the hub takes the site for up to date")
    expect("the site runs", llp.running(), True)


@case("room at the site again: all goes on by itself")
def _():
    make_room(llp)
    net.wait_for("the rows at the site", lambda: count(llp) == 15000, seconds=60)
    net.wait_for("the reason to go", lambda: llp.status()["reason"] is None)
    net.proven(llp, chr_)


@case("a site that is started on a full disk says so and changes nothing; with room it starts")
def _():
    llp.stop()
    fill(llp)
    expect_in("what perched says", "the disk is full", llp.start_fails())
    make_room(llp)
    llp.start()
    net.proven(llp, chr_)


if __name__ == "__main__":
    perche_net.main(build, [net])
