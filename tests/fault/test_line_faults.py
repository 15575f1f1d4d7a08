#!/usr/bin/env python3
"""The lines of two sites stall, break, slow down and come back, as a seed draws it, under programs that write at all three:
a site never holds more for acknowledged than the hub has, and in the end every row is everywhere, proven equal.

    test_line_faults.py [--steps N] [--seed S]

30 steps, 500 with PERCHE_LONG=1."""
import argparse
import os
import random
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import fault
import perche_net
from perche_net import Failure, case

options = argparse.ArgumentParser()
options.add_argument("--steps", type=int, default=(150 if perche_net.SLOW > 1 else 500) if perche_net.LONG else 30)
options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
options = options.parse_args()

net = perche_net.Network()
draw = random.Random(options.seed)
pause = threading.Event()  # never set: a step lasts as long as it was drawn


def build():
    global lines, programs, promise
    net.add_hub()
    lines = {}
    for i, key in enumerate(("la-loupe", "chartres")):
        lines[key] = net.relay(key, "--seed", str(options.seed + i))
        net.add_site(key, relay=lines[key])
    fault.shared_learner(net)
    promise = fault.Promise(net)
    programs = [fault.Program(n, options.seed) for n in net.nodes.values()]


def step(line):
    """What is said to the relay, and what ends it again."""
    what = draw.choice(("cut", "drop", "hold", "delay", "rate", "storm", "open"))
    if what == "cut":
        return ("cut",)
    if what == "delay":
        return (f"delay {draw.choice((0, 5, 40, 150))} {draw.choice((0, 10, 100))}",)
    if what == "rate":
        return (f"rate {draw.choice((0, 2000, 20000, 200000))}",)
    if what == "storm":
        low = draw.choice((1, 20, 100))
        return (f"storm {low} {low * 10}",)
    if what == "open":
        return ("open", "resume", "storm 0 0", "delay 0", "rate 0")
    return (what,)


def heal(line):
    for words in ("storm 0 0", "delay 0", "rate 0", "resume", "open"):
        line.ask(words)


@case(f"{options.steps} faults of two lines, seed {options.seed}: nothing is lost, nothing doubled, proven equal")
def _():
    said = {}
    for p in programs:
        p.start()
    try:
        for i in range(1, options.steps + 1):
            key = draw.choice(list(lines))
            for words in step(lines[key]):
                said[words.split()[0]] = said.get(words.split()[0], 0) + 1
                lines[key].ask(words)
            pause.wait(draw.uniform(0.02, 0.5))
            if draw.random() < 0.4:
                net.nodes[key].run("sync")
            if i % 10 == 0:  # they have to get on at times, or nothing is ever under way
                for key, line in lines.items():
                    heal(line)
                    net.nodes[key].run("sync")
            net.check_alive()
            try:
                promise.check()
            except Failure as e:
                raise Failure(f"step {i}: {e}") from e
    finally:
        for p in programs:
            p.ending.set()
        for line in lines.values():
            heal(line)
    for p in programs:
        p.stop()
    for _ in range(2):
        for key in lines:
            net.nodes[key].sync_wait(90)
    promise.check()
    fault.all_there(net, programs)
    net.proven()
    print(f"#   {', '.join(f'{n} {what}' for what, n in sorted(said.items()))}; {sum(p.commits for p in programs)} transactions, "
          f"{len(fault.written(programs))} rows at the end")


if __name__ == "__main__":
    perche_net.main(build, [net])
