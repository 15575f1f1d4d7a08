#!/usr/bin/env python3
"""The Nth write or sync of a daemon fails, N = 1, 2, 3, ... until a run comes to its end without: EIO once, ENOSPC once, ENOSPC
from then on until there is room. At the hub and at a site, which run on real files, at work and while they start. The
daemon says why, holds nothing for acknowledged that is not on the other's disk, and goes on by itself or ends with a
clear line; when the fault has gone everything arrives.

Every N with PERCHE_LONG=1, else the first ones and then fewer and fewer: test_disk_faults.py [--all] [--seed S]"""
import argparse
import errno
import os
import random
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import fault
import perche_net
from perche_net import Failure, case, expect, now

options = argparse.ArgumentParser()
options.add_argument("--all", action="store_true", default=perche_net.LONG and perche_net.SLOW == 1)
options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
options = options.parse_args()

net = perche_net.Network()
draw = random.Random(options.seed)
FAULTS = [("EIO once", fault.FAIL_ONCE, errno.EIO), ("ENOSPC once", fault.FAIL_ONCE, errno.ENOSPC),
          ("ENOSPC from then on", fault.FAIL_ON, errno.ENOSPC)]


def numbers():
    n = 1
    while True:
        yield n
        n += 1 if options.all else draw.randint(1, 1 + n // 5)


def build():
    global hub, site, other, plans, programs, promise, dbs
    hub = net.add_hub()
    site = net.add_site("la-loupe")
    other = net.add_site("chartres")
    fault.shared_learner(net)
    plans = {}
    for node in (hub, site):
        node.stop()
        plans[node.key] = fault.Plan(node)
        node.start()
    # not started: each turn writes when it is told to
    programs = {n.key: fault.Program(n, options.seed) for n in net.nodes.values()}
    dbs = {n.key: n.connect() for n in net.nodes.values()}
    promise = fault.Promise(net)


def write():
    for key, p in programs.items():
        p.commit(dbs[key])


def arrived():
    wanted = fault.written(programs.values())
    for db in dbs.values():
        found = dict(db.execute("SELECT id, value FROM learner_contact WHERE value LIKE 'w %'").fetchall())
        if found != wanted:
            return False
    return True


def nudge():
    """Nobody waits for a next try that is seconds away."""
    for n in (site, other):
        if n.running():
            n.run("sync")
    return True


def ended(node, since):
    """A daemon that has ended by itself: with a status, and words about the disk. It is started again."""
    code = node.process.wait()
    node.process = None
    said = node.log_text(since)
    if code < 0:
        raise Failure(f"{node.key} was ended by signal {-code}: {said[-500:]}")
    if not re.search("disk|space|I/O", said):
        raise Failure(f"{node.key} ended with {code} and does not say why: {said[-500:]}")
    plans[node.key].disarm()
    node.start()


def wait(what, done, node, since, seconds=30):
    """As net.wait_for(), but the daemon under test may end: then it is started again, without its fault."""

    def look():
        if not node.running():
            ended(node, since)
        return done() or (nudge() and done())

    end = now() + seconds * perche_net.SLOW
    watch = perche_net.Inotify([n.data for n in net.nodes.values()])
    try:
        while not look():
            if now() > end:
                raise Failure(f"waited {seconds * perche_net.SLOW} s for {what}")
            watch.wait(0.2)
    finally:
        watch.close()


def turn(node, action, number, n):
    """True: the fault was met."""
    plan = plans[node.key]
    since = node.log_size()
    plan.arm(action, n, error=number)
    write()
    wait("the rows, or the fault", lambda: plan.struck or arrived(), node, since)
    met = plan.struck > 0
    promise.check()
    if met and plan.armed and action == fault.FAIL_ON:
        write()  # programs go on: they have their own descriptors, which know of no fault
        wait(f"{node.key} to say that the disk is full", lambda: not plan.armed or node.status()["reason"] == "disk", node, since)
        promise.check()
        # of a sync that finds no room SQLite says that it failed, of a write that the disk is full
        if plan.armed and not re.search("replica.failed.*(full|space|I/O)", node.log_text(since)):
            raise Failure(f"nothing of the disk in the log: {node.log_text(since)[-400:]}")
    plan.disarm()
    wait("the rows at all three, once the fault had gone", arrived, node, since)
    promise.check()
    return met


def at_work(node, name, action, number):
    @case(f"{name} at each write and sync of the {node} in turn: it is told, nothing is lost, all goes on")
    def _():
        n = tried = 0
        at = hub if node == "hub" else site
        for n in numbers():
            try:
                if not turn(at, action, number, n):
                    break
            except Failure as e:
                plans[at.key].disarm()  # or it is the next case's as well
                raise type(e)(f"write or sync {n} (seed {options.seed}): {e}") from e
            tried += 1
        if tried == 0:
            raise Failure("no fault was met")
        if node == "site" or perche_net.LONG:  # a hub tries some of it again half a minute later
            write()
            nudge()
            net.wait_for("no reason to be left", lambda: at.status()["reason"] is None, seconds=60)
        at.kill()  # what was told to others is in the files
        at.start()
        promise.check()
        nudge()
        net.proven()
        fault.all_there(net, programs.values())
        print(f"#   {tried} faults; a run makes less than {n} writes and syncs")


for role in ("hub", "site"):
    for fault_name, fault_action, fault_errno in FAULTS:
        at_work(role, fault_name, fault_action, fault_errno)


def starts(node, plan):
    """True: it is ready; else it has said why not, in words about the disk, and that nothing is damaged."""
    since = node.log_size()
    try:
        node.start()
        return True
    except Failure:
        if node.running():
            raise
    code = node.process.returncode
    node.process = None
    said = node.log_text(since)
    if code not in (1, 2) or not re.search("disk|space|I/O|Input/output", said) or "is damaged" in said:
        raise Failure(f"{node.key} does not start, with {code} and these words: {said[-500:]!r}")
    return False


@case("a start fails at each write and sync in turn: it says why, and the next one is as if nothing had happened")
def _():
    for node in (hub, site):
        for name, action, number in FAULTS:
            refused = met = 0
            for n in numbers():
                node.kill()  # so that there is a WAL to recover
                plans[node.key].arm(action, n, files=fault.REPLICA | fault.OTHER, error=number)
                ready = starts(node, plans[node.key])
                struck = plans[node.key].struck
                plans[node.key].disarm()
                refused += not ready
                met += struck > 0
                if not ready:
                    node.start()
                if not struck:
                    break
            print(f"#   {node.key}, {name}: {met} faults, {refused} refused to start")
    nudge()
    net.proven()
    fault.all_there(net, programs.values())


@case("a first start fails at each write and sync in turn: the next one makes what is missing")
def _():
    for name, action, number in FAULTS[:1] + FAULTS[2:]:
        refused = met = 0
        for i, n in enumerate(numbers()):
            node = net.add(f"new-{action}-{i}", name="New")
            plan = fault.Plan(node)
            plan.arm(action, n, files=fault.REPLICA | fault.OTHER, error=number)
            ready = starts(node, plan)
            struck = plan.struck
            plan.disarm()
            refused += not ready
            met += struck > 0
            if not ready:
                node.start()
            expect("its answer", node.status()["role"], "site")
            node.stop()
            del net.nodes[node.key]
            if not struck:
                break
        print(f"#   {name}: {met} faults, {refused} refused to start")


@case("a join that was cut short before its replica knew: whatever fails at the next start, it is ended when the disk has room")
def _():
    node = net.add("dreux").start()
    node.perche("join", "-", stdin=net.invite("dreux") + "\n")
    node.sync_wait()
    plan = plans[node.key] = fault.Plan(node)
    refused = waited = met = 0
    for n in numbers():
        node.stop()
        node.sql("UPDATE perche_node SET hub_was = hub, hub = ''")
        since = node.log_size()
        plan.arm(fault.FAIL_ON, n, error=errno.ENOSPC)
        ready = starts(node, plan)
        if ready:
            net.wait_for("it to be joined, or to say why not",
                         lambda: node.status()["state"] not in ("unjoined", "offline") or "join.waits" in node.log_text(since))
            if "join.waits" in node.log_text(since):
                waited += 1
                node.says_no("join", "-", stdin=net.invite("dreux", "--replace") + "\n", words=["as soon as"])
        struck = plan.struck
        plan.disarm()
        refused += not ready
        met += struck > 0
        if not ready:
            node.start()
        net.wait_for("it to be joined", lambda: node.status()["state"] != "unjoined")
        if not struck:
            break
    node.sync_wait()
    print(f"#   {met} faults, {refused} refused to start, {waited} times it waited for room")
    expect("it has waited", waited > 0, True)


if __name__ == "__main__":
    perche_net.main(build, [net])
