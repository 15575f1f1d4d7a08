#!/usr/bin/env python3
"""Takes the rules of daemon/rule_switch.h away one at a time, and says what finds it.

usage: rules.py BUILD [--seeds N] [--seconds M] [--short] [--stories | --units] [--write] [NAME...]

For each rule the simulator plays stories from seed 1 on, without the rule, until
one fails that does not fail with it, or N seeds are through, or M seconds. What no
story shows is given to the unit tests of daemon/replica and daemon/sync. A rule
whose absence neither shows has to stand in DISCUSSED. --units asks the unit tests
about every rule, --stories about none; --write puts the table into docs/rules.md; --short plays a handful
of rules that are found soon. BUILD holds perche-sim-rules and tests/rules, which
`cmake --build BUILD --target rules` makes.

The last line is "N passed, N failed", a case for each rule.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCUMENT = os.path.join(ROOT, "docs", "rules.md")
STORY_S_MAX = 60   # a story that has not ended by then never will
UNIT_S_MAX = 120
AGAIN_MAX = 5      # seeds that fail with the rule as well

# Found within a few seeds, each by another check: what ./run test plays.
SHORT = ["A1_PULL_PAIR", "A3_SITE_CLEAN", "A28_OWN_LSN", "B9_IMAGE", "B12_TOMBSTONES", "D6_NO_MARK", "D9_HARVEST_FIRST"]

# Which program is asked first, by the beginning of a rule's name: the others take long.
FIRST = {
    "A0": "merge pull", "A1_": "pull", "A2_": "push", "A3": "pull", "A4": "push", "A5": "pull push", "A6": "push", "A7": "apply",
    "A8": "pull push", "A9": "conflict", "A10": "conflict apply", "A11": "position prove", "A12": "position prove", "A13": "position",
    "A14": "position", "A15": "position", "A16": "prove", "A17": "prove", "A18": "push", "A19": "push", "A20": "conflict push",
    "A22": "history position", "A23": "apply", "A24": "conflict apply", "A25": "conflict", "A26": "harvest", "A27": "harvest",
    "A28": "harvest", "B2_": "position", "B3": "pull", "B4": "pull", "B5": "pull", "B6": "pull scope", "B7": "push", "B8": "pull", "B9": "pull",
    "B10": "rights pull", "B11": "pull", "B12": "digest", "B14": "pull push", "B15": "conflict apply", "B18": "pull", "B20": "scope pull apply",
    "B21": "pull", "B22": "rights", "B23": "digest", "B24": "conflict", "C1_": "pull push", "C2": "position", "C3": "pull push", "C4": "push",
    "C5": "push", "C6": "pull", "C7": "position", "C8": "position", "C9": "position", "C10": "position", "C14": "rights position",
    "CT": "rights position history", "D1_": "merge", "D2": "open", "D3": "digest", "D4": "digest harvest", "D5": "push", "D6": "open position",
    "D7": "harvest", "D8": "conflict", "D9": "pull push", "D10": "open harvest", "D11": "harvest", "D12": "apply", "D13": "open digest",
}

# Nothing shows that these are gone. Why, and what would be needed, is in docs/rules.md.
DISCUSSED = set()


class Rule:
    def __init__(self, line):
        self.name, self.reference, self.options, self.text = line.split("\t")
        self.seed = None         # first story that fails for its absence
        self.played = 0
        self.by = ""             # what found it
        self.units = []          # (program, test)

    def options_list(self):
        return self.options.split()


class Runner:
    def __init__(self, build, seeds, seconds, units):
        self.sim = os.path.join(build, "perche-sim-rules")
        folder = os.path.join(build, "tests", "rules")
        self.programs = []
        if units != "none":
            self.programs = [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if n.startswith("test_")]
        self.seeds, self.seconds, self.units = seeds, seconds, units

    def rules(self):
        out = subprocess.run([self.sim, "--rules"], check=True, capture_output=True, text=True)
        return [Rule(line) for line in out.stdout.splitlines()]

    def play(self, rule, without, first, count, seconds):
        """Plays stories until one fails. (seed, kind: text) or None, and how many were played."""
        command = [self.sim, "--first", "--jobs", "1", "--from", str(first), "--seeds", str(count)] + rule.options_list()
        if without:
            command += ["--without", rule.name]
        try:
            out = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds).stdout
        except subprocess.TimeoutExpired:
            return None, 0
        failed = re.search(r"^not ok seed (\d+): (.*)$", out, re.M)
        if failed:
            return (int(failed.group(1)), failed.group(2)), int(failed.group(1)) - first + 1
        if not re.search(r"^%d passed, 0 failed$" % count, out, re.M):
            return (first, "the simulator itself: " + (out.strip().splitlines() or ["no word"])[-1]), 1
        return None, count

    def search(self, rule):
        """A few seeds at a time, so that a story that never ends is told from a slow machine."""
        end, seed, step, again = time.monotonic() + self.seconds, 1, 4, 0
        while seed <= self.seeds and time.monotonic() < end:
            count = min(step, self.seeds - seed + 1)
            found, played = self.play(rule, True, seed, count, STORY_S_MAX * 2 if count > 1 else STORY_S_MAX)
            if found is None and played == 0:
                if count == 1:
                    found, played = (seed, "no end: the story was still going on after %d s" % STORY_S_MAX), 1
                else:
                    step = 1
                    continue
            rule.played += played
            if found is None:
                seed, step = seed + played, min(2 * step, 32)
                continue
            same, _ = self.play(rule, False, found[0], 1, STORY_S_MAX)
            if same is None:
                rule.seed, rule.by = found
                return
            again += 1
            if again >= AGAIN_MAX:
                rule.by = "(seeds fail with the rule as well)"
                return
            seed = found[0] + 1

    def unit_order(self, rule):
        first = ["test_replica_merge", "test_sync_site", "test_sync_hub", "test_sync_parts"]
        for begin, names in FIRST.items():
            if rule.name.startswith(begin):
                first += ["test_replica_" + name for name in names.split()]
        return sorted(self.programs, key=lambda p: first.index(os.path.basename(p)) if os.path.basename(p) in first else len(first))

    def unit_tests(self, rule):
        for program in self.unit_order(rule):
            try:
                run = subprocess.run([program], env=dict(os.environ, PERCHE_WITHOUT=rule.name), cwd=ROOT, capture_output=True,
                                     text=True, errors="replace", timeout=UNIT_S_MAX)
                out, status = run.stdout + run.stderr, run.returncode
            except subprocess.TimeoutExpired:
                out, status = "", -1
            if status == 0:
                continue
            names = [n for n in re.findall(r"^\[  FAILED  \] (\w+)$", out, re.M)]
            self.units_add(rule, program, names or ["the program itself"])
            if self.units == "rest":
                return

    @staticmethod
    def units_add(rule, program, names):
        for name in dict.fromkeys(names):
            rule.units.append((os.path.basename(program), name))

    def examine(self, rule):
        began = time.monotonic()
        self.search(rule)
        if self.units == "all" or (rule.seed is None and self.units == "rest"):
            self.unit_tests(rule)
        rule.took = time.monotonic() - began
        return rule


def plain(text, most=90):
    """What kind of failure it was, with the beginning of what was said about it."""
    text = re.sub(r'\[?"[0-9a-f]{8}-[0-9a-f-]{27}"\]?', "…", text).replace("|", "/")
    return text if len(text) <= most else text[:most].rstrip() + " …"


def finders(rule):
    words = []
    if rule.seed is not None:
        words.append("simulator: " + plain(rule.by))
    if rule.units:
        program, name = rule.units[0]
        more = len(rule.units) - 1
        words.append("`%s`: `%s`%s" % (program, name, " and %d more" % more if more else ""))
    if not words:
        words.append("nothing, see below" if rule.name in DISCUSSED else "nothing")
    return "; ".join(words)


def table(rules):
    lines = ["| rule | MODEL.md | without it | options | seeds until found | what found it |", "| --- | --- | --- | --- | --- | --- |"]
    for r in rules:
        seeds = str(r.seed) if r.seed is not None else "none of %d" % r.played
        lines.append("| `%s` | %s | %s | %s | %s | %s |" % (r.name, r.reference, r.text, "`%s`" % r.options if r.options else "", seeds, finders(r)))
    return lines


def write(rules, command):
    with open(DOCUMENT, encoding="utf-8") as f:
        text = f.read()
    begin, end = "<!-- table -->\n", "<!-- end of table -->"
    head, rest = text.split(begin)
    found = sum(1 for r in rules if r.seed is not None)
    by_units = sum(1 for r in rules if r.seed is None and r.units)
    words = ["", "`%s`: %d rules and defects; the simulator finds %d, unit tests %d of the others, nothing %d." %
             (command, len(rules), found, by_units, len(rules) - found - by_units), ""]
    with open(DOCUMENT, "w", encoding="utf-8") as f:
        f.write(head + begin + "\n".join(words + table(rules)) + "\n\n" + end + rest.split(end)[1])


def main():
    args, seeds, seconds, names, flags = sys.argv[1:], 200, 120, [], set()
    if not args:
        print(__doc__)
        return 2
    build = os.path.abspath(args.pop(0))
    while args:
        word = args.pop(0)
        if word in ("--seeds", "--seconds") and args and args[0].isdigit():
            value = int(args.pop(0))
            seeds, seconds = (value, seconds) if word == "--seeds" else (seeds, value)
        elif word in ("--short", "--stories", "--units", "--write"):
            flags.add(word)
        elif word.startswith("-"):
            print("rules: '%s' is not known" % word, file=sys.stderr)
            return 2
        else:
            names.append(word)
    units = "all" if "--units" in flags else "none" if flags & {"--short", "--stories"} else "rest"
    runner = Runner(build, seeds, seconds, units)
    rules = runner.rules()
    known = {r.name for r in rules}
    wanted = SHORT if "--short" in flags else names
    for name in list(wanted) + sorted(DISCUSSED):
        if name not in known:
            print("rules: there is no rule '%s'" % name, file=sys.stderr)
            return 2
    if wanted:
        rules = [r for r in rules if r.name in wanted]
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for r in pool.map(runner.examine, rules):
            good = r.seed is not None or bool(r.units) or (r.name in DISCUSSED and "--short" not in flags)
            passed, failed = passed + good, failed + (not good)
            print("%s %s: %s, %s (%d s)" % ("ok" if good else "not ok", r.name, "seed %d" % r.seed if r.seed is not None else
                                            "none of %d seeds" % r.played, finders(r) + (" " + r.by if r.seed is None and r.by else ""), r.took), flush=True)
            if r.name in DISCUSSED and (r.seed is not None or r.units):
                print("# %s is found: it need not be discussed any more" % r.name)
    if "--write" in flags:
        write(rules, "./run rules --seeds %d --seconds %d%s" % (seeds, seconds, " --units" if "--units" in flags else ""))
    print("%d passed, %d failed" % (passed, failed))
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
