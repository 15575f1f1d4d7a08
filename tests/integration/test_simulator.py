#!/usr/bin/env python3
"""The simulator itself: a seed's story is the same each time, and one that fails is made short enough to be read."""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect


def sim(*words):
    return subprocess.run([os.path.join(perche_net.BUILD, "perche-sim"), *words], stdout=subprocess.PIPE, text=True,
                          timeout=60 * perche_net.SLOW).stdout


@case("a seed tells the same story each time, byte for byte")
def _():
    once = sim("--from", "21", "--seeds", "3", "--verbose")
    expect("stories told", len(re.findall(r"^seed \d+: passed$", once, re.M)), 3)
    if once != sim("--from", "21", "--seeds", "3", "--verbose"):
        raise Failure("a seed told two stories")


@case("a story that fails is made shorter: what a lie breaks needs no step and no second site")
def _():
    told = sim("--from", "5", "--seeds", "1", "--lie", "--shrink")
    left = re.search(r"^made shorter: (\d+) of (\d+) steps and (\d+) of (\d+) sites", told, re.M)
    if left is None or not re.search(r"^\[.*FAILED: ", told, re.M):
        raise Failure("the story was not made shorter:\n" + told[-2000:])
    steps, of_steps, sites, of_sites = map(int, left.groups())
    if of_steps < 20 or of_sites < 2:
        raise Failure("seed 5 is short already: the test wants another")
    expect("steps and sites that are left", (steps, sites), (0, 1))


perche_net.main(lambda: None, [])
