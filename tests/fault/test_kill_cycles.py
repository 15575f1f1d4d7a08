#!/usr/bin/env python3
"""kill -9, again and again: a hub and two sites over TLS, a program writing beside each of the three daemons, and in each
cycle one daemon, or two, or all, killed: at some moment, or at its Nth write or sync, N = 1, 2, 3, ... for each daemon, before
it, in the middle of it, or between it and what would have been told. At the end every row that a program has
committed is at the hub and at both sites as it was committed last, there is no other, and all is proven equal.

    test_kill_cycles.py [--cycles N] [--seed S]

20 cycles, 300 with PERCHE_LONG=1. The seed draws who is killed and when; how far the others are then is the machine's."""
import argparse
import os
import random
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import fault
import perche_net
from perche_net import Failure, case, expect, now

options = argparse.ArgumentParser()
options.add_argument("--cycles", type=int, default=(100 if perche_net.SLOW > 1 else 300) if perche_net.LONG else 20)
options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
options = options.parse_args()

net = perche_net.Network()
draw = random.Random(options.seed)
ARRIVE_EVERY = 10  # cycles; between two of these nobody waits for anything to arrive
MODES = {fault.KILL_BEFORE: "before", fault.KILL_HALF: "within", fault.KILL_AFTER: "after"}


def build():
    global plans
    net.add_hub()
    net.add_site("la-loupe")
    net.add_site("chartres")
    fault.shared_learner(net)
    plans = {}
    for node in net.nodes.values():
        node.stop()
        plans[node.key] = fault.Plan(node)
        node.start()


class Cycles:
    def __init__(self):
        self.reached = {key: 0 for key in net.nodes}  # N of each daemon
        self.at_commit = self.at_moment = 0
        self.promise = fault.Promise(net)
        self.programs = [fault.Program(node, options.seed) for node in net.nodes.values()]

    def victims(self):
        keys = list(net.nodes)
        n = draw.choices((1, 2, 3), (6, 3, 1))[0]
        return draw.sample(keys, n)

    def strike(self, key, kinds):
        """At its next boundary; whoever kills reaches it soon, as programs write all the time."""
        self.reached[key] += 1
        mode = draw.choice(list(MODES))
        plans[key].arm(mode, self.reached[key], kinds=kinds, files=fault.WAL | fault.DB)
        return f"{key} {MODES[mode]} {'sync' if kinds == fault.SYNCS else 'write or sync'} {self.reached[key]}"

    def one(self):
        victims = self.victims()
        said = []
        if draw.random() < 0.7:
            for key in victims:
                # every fourth time the syncs alone are counted: so many writes are between two of them
                said.append(self.strike(key, fault.SYNCS if draw.random() < 0.25 else fault.WRITES | fault.SYNCS))
            for key in victims:
                node = net.nodes[key]
                if not fault.wait_dead(node, 60):  # with the others dead its own program alone gives it something to write
                    raise Failure(f"{key} has not come to its write {self.reached[key]} in 60 s: it has stopped working")
                expect(f"what happened at {key}", plans[key].struck, 1)
            self.at_commit += len(victims)
        else:
            self.programs[0].ending.wait(draw.uniform(0, 0.3))  # "some moment": it is not set before the end
            for key in victims:
                net.nodes[key].kill()
            self.at_moment += len(victims)
            said = [f"{key} at some moment" for key in victims]
        for key in victims:
            plans[key].disarm()
        draw.shuffle(victims)
        for key in victims:
            net.nodes[key].start()
        net.check_alive()
        for site in net.nodes.values():
            if site.role == "site":
                site.run("sync")  # there is no need to wait for its next try
        self.promise.check()
        return said

    def arrived(self):
        """What has been committed last is at all three before long, whatever comes next."""
        latest = [(p, row, value) for p in self.programs for row, value in list(p.rows.items())[-20:]]

        def missing(found):
            return any(p.rows.get(row) == value != found.get(row) for p, row, value in latest)

        net.wait_for("what was written to be at all three, between two kills",
                     lambda: not any(missing(fault.held(node)) for node in net.nodes.values()), seconds=30)


@case(f"{options.cycles} cycles of kill -9, seed {options.seed}: nothing that was committed is lost, nothing comes back, all proven equal")
def _():
    cycles = Cycles()
    for p in cycles.programs:
        p.start()
    began, slowest = now(), 0
    try:
        for i in range(1, options.cycles + 1):
            at = now()
            try:
                said = cycles.one()
                if i % ARRIVE_EVERY == 0:
                    cycles.arrived()
            except Failure as e:
                raise type(e)(f"cycle {i}: {e}") from e
            slowest = max(slowest, now() - at)
            if perche_net.LONG or i <= 5:
                print(f"#   {i:4} {now() - at:5.2f} s  {'; '.join(said)}")
    finally:
        for p in cycles.programs:
            p.ending.set()
        for plan in plans.values():
            plan.disarm()
    took = now() - began
    for p in cycles.programs:
        p.stop()
    for site in net.nodes.values():
        if site.role == "site":
            site.sync_wait(90)
    for site in net.nodes.values():  # what the one pushed since the other's turn
        if site.role == "site":
            site.sync_wait(90)
    cycles.promise.check()
    fault.all_there(net, cycles.programs)
    net.proven()
    cycles.promise.close()
    print(f"#   {took / options.cycles:.2f} s a cycle, {slowest:.2f} s at most; {cycles.at_commit} daemons killed at a write or sync "
          f"(up to number {max(cycles.reached.values())}), {cycles.at_moment} at some moment")
    print(f"#   {sum(p.commits for p in cycles.programs)} transactions, {len(fault.written(cycles.programs))} rows at the end, "
          f"{sum(p.gone for p in cycles.programs)} deleted")


@case("the ledger finds a row that is lost, one that is back, and another value")
def _():
    class Once:
        rows = fault.held(net.hub)

    row, value = next(iter(Once.rows.items()))
    for wrong in ({**Once.rows, "019a0000-0000-7000-8000-000000000000": "w lost"}, {k: v for k, v in Once.rows.items() if k != row},
                  {**Once.rows, row: value + "?"}):
        holder = type("Wrong", (), {"rows": wrong})
        try:
            fault.all_there(net, [holder])
        except Failure:
            continue
        raise Failure("it has not seen it")


if __name__ == "__main__":
    perche_net.main(build, [net])
