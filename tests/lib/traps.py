#!/usr/bin/env python3
"""Holds tests/traps.md against the tests: traps.py tests|ids|rows|open [FILE].

tests  a line for each test that the list names and that does not exist, or that nothing runs
ids    a line for each id that is there twice or is none
rows   a line when there are fewer traps, or more open ones, than the head of the list says
open   what is still open, for whoever reads the output

A test is `PATH: NAME`, by the kind of PATH: of a C file the function, which main() has to list; of a Python file the text
of its @case; of a shell script the text of its case; of tests/sim/sim.h the text of a count that must happen."""
import ast
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
HEAD = re.compile(r"^(\d+) traps, (\d+) of them open\.$", re.M)
ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")


def rows(text):
    """(line, id, trap, [test], open reason or None) of each row; a row that is none has id None."""
    for n, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|") or re.fullmatch(r"\|[ -]+\|[ -]+\|[ -]+\|", line) or line == "| id | trap | test |":
            continue
        cells = [c.strip() for c in line.strip("|").split(" | ")]
        if len(cells) != 3:
            yield n, None, line, [], None
            continue
        tests, reason = [], None
        for part in cells[2].split("<br>"):
            part = part.strip()
            if part.startswith("open: "):
                reason = part[6:]
            else:
                tests.append(part.strip("`"))
        yield n, cells[0], cells[1], tests, reason


def case_text(node):
    """The text of a @case; what an f-string puts in is written {}."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
    return None


def names_of(path, text):
    """What can be named in the file."""
    if path == "tests/sim/sim.h":
        return set(re.findall(r'X\(\w+, "([^"]+)", 1\)', text))
    if path.endswith(".c"):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)  # what is commented out is not run
        defined = set(re.findall(r"^static void (\w+)\(void \*\*\w+\)$", text, re.M))
        listed = re.search(r"struct CMUnitTest tests\[\] = \{(.*?)\n    \};", text, re.S)
        named = set(re.findall(r"\w+\(\s*(\w+)\s*[,)]", listed.group(1) if listed else ""))
        if "(test_##name" in text:
            named = {"test_" + n for n in named}
        return defined & named
    if path.endswith(".py"):
        return {case_text(d.args[0]) for f in ast.walk(ast.parse(text)) if isinstance(f, ast.FunctionDef) for d in f.decorator_list
                if isinstance(d, ast.Call) and getattr(d.func, "id", getattr(d.func, "attr", "")) == "case" and d.args}
    if path.endswith(".sh"):
        return set(re.findall(r'^case_(?:holds|is) "([^"]+)"', text, re.M))
    return set()


def missing(list_path, text):
    known = {}
    for n, name, trap, tests, reason in rows(text):
        where = f"{list_path}:{n}: {name}"
        if name is None:
            yield f"{list_path}:{n}: a row has three cells: id, trap, test"
            continue
        if not tests and reason is None:
            yield f"{where}: names no test and is not open"
        if len(trap) < 10:
            yield f"{where}: says not what the trap is"
        if reason is not None and len(reason) < 10:
            yield f"{where}: says not why it is open"
        for test in tests:
            path, colon, wanted = test.partition(": ")
            if not colon:
                yield f"{where}: '{test}' is no test: PATH: NAME"
                continue
            if path not in known:
                try:
                    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
                        known[path] = names_of(path, f.read())
                except OSError as e:
                    known[path] = set()
                    yield f"{where}: {path}: {e.strerror}"
                    continue
            if wanted not in known[path]:
                yield f"{where}: {path} has no case '{wanted}'"


def ids(list_path, text):
    seen = {}
    for n, name, _, _, _ in rows(text):
        if name is None:
            continue
        if not ID.fullmatch(name):
            yield f"{list_path}:{n}: '{name}' is no id: small letters and digits with hyphens between"
        if name in seen:
            yield f"{list_path}:{n}: {name} stands in line {seen[name]} already"
        seen.setdefault(name, n)


def fewer(list_path, text):
    head = HEAD.findall(text)
    found = [r for r in rows(text) if r[1] is not None]
    still = sum(1 for r in found if r[4] is not None)
    if len(head) != 1:
        yield f"{list_path}: its head does not say 'N traps, N of them open.' once"
        return
    said, said_open = map(int, head[0])
    if len(found) < said:
        yield f"{list_path}: {said} traps are said, {len(found)} are there: a trap does not go"
    if len(found) > said:
        yield f"{list_path}: {said} traps are said, {len(found)} are there: say so in the head"
    if still != said_open:
        yield f"{list_path}: {said_open} open ones are said, {still} are there"


def still_open(_, text):
    for _, name, _, _, reason in rows(text):
        if reason is not None:
            yield f"open: {name}: {reason}"


def main():
    checks = {"tests": missing, "ids": ids, "rows": fewer, "open": still_open}
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in checks:
        sys.exit(__doc__)
    path = sys.argv[2] if len(sys.argv) == 3 else os.path.join(ROOT, "tests", "traps.md")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for line in checks[sys.argv[1]](os.path.relpath(path, ROOT) if len(sys.argv) == 2 else path, text):
        print(line)


if __name__ == "__main__":
    main()
