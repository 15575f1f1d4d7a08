#!/usr/bin/env python3
"""A site that has joined and lies: about what is its own, its positions, stamps and names, with recorded words, another's
id, a used invitation, broken messages. Each lie is refused with a reason that the operator can see, nothing of it is
applied, nobody else's row is touched or told, and the other sites go on."""
import os
import random
import string
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import liar
import perche_net
from liar import DIGEST, ENROL, GEN, HELLO, PROVE, PULL, PUSH, ROWS, WATCH, Row
from perche_net import Failure, case, expect, expect_in, pack

net = perche_net.Network()
LEARNER = "01487832-4000-7000-8001-0000000000%02d"
OURS = "01487832-4000-7000-8001-00000000aa%02d"
SECRET = "Theirs-alone"
SIGNATURE, SESSION, POSITION, CLOCK, BAD, TOO_LARGE, INVITATION_USED = 3, 5, 6, 7, 8, 9, 13
TABLES = ("learner", "learner_contact", "enrolment", "organisation", "site", "transfer", "cohort")


def build():
    global hub, llp, chr_, mallory, line
    hub = net.add_hub()
    llp = net.add_site("la-loupe")
    chr_ = net.add_site("chartres")
    net.cohort("la-loupe")
    chr_.sync_wait()
    llp.sql(f"UPDATE learner SET call_name = '{SECRET}'")
    llp.sync_wait()
    mallory = net.add_site("dreux")
    mallory.sql(f"INSERT INTO learner (id, home_site_id, call_name) SELECT '{OURS % 1}', site_id, 'Own' FROM perche_self")
    mallory.sync_wait()
    mallory.stop()
    line = liar.Liar(net, mallory).proven()


def rss_kb():
    with open(f"/proc/{hub.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def stamp(ms=None):
    return int((time.time() * 1000 if ms is None else ms)) << 16


def rows_of_others():
    """All that is not the liar's, as the hub and its owners have it."""
    found = {}
    for node in (hub, llp, chr_):
        for table in TABLES:
            found[node.key, table] = "\n".join(r for r in node.sql(f"SELECT * FROM {table}").splitlines() if OURS[:34] not in r)
    return found


def unharmed(before):
    for site in (llp, chr_):
        site.sync_wait()
    after = rows_of_others()
    for where, rows in before.items():
        expect(f"rows of {where[1]} at {where[0]}", after[where], rows)


def refusals(since=0):
    """What the hub has not taken of the liar: (table, columns, reason, position), as the operator reads it."""
    return [tuple(r.split("|")) for r in hub.sql(
        "SELECT t.name, f.columns, f.reason, f.lsn FROM perche_refusal f JOIN perche_tab t ON t.num = f.tab JOIN perche_name n ON n.num = f.site"
        f" WHERE n.text = '{mallory.id}' AND f.lsn > {since} ORDER BY f.lsn").splitlines()]


def refused(what, rows, want):
    """The batch is acknowledged, the row is not taken, its reason is kept, and nobody else has lost or got anything."""
    before, since = rows_of_others(), hub.sql("SELECT lsn FROM perche_node")
    kind, answer = line.push(rows)
    expect(f"{what}: acknowledged", (kind, answer[0]), (1, line.have))
    new = refusals(since)
    if not new or any(r[2] not in want for r in new):
        raise Failure(f"{what}: refused {new}, expected a reason of {want}")
    unharmed(before)


# ----------------------------------------------------------------- what is own


@case("another site's row, named as the liar's own, is refused for its scope; so are its children and what would bring it here")
def _():
    theirs = LEARNER % 3
    refused("their learner", [Row("learner", theirs, {"home_site_id": mallory.id, "call_name": "taken"}, stamp(), mallory.id, mallory.id)], {"scope"})
    refused("their learner, a generation on", [Row("learner", theirs, {"home_site_id": mallory.id}, stamp(), mallory.id, mallory.id, gen=3)], {"scope"})
    refused("their learner, deleted", [Row("learner", theirs, {}, stamp(), mallory.id, gen=2)], {"scope"})
    refused("a contact of theirs", [Row("learner_contact", OURS % 11, {"learner_id": theirs, "kind": "PHONE", "value": "x"}, stamp(), mallory.id)],
            {"parent", "scope"})
    refused("an enrolment of theirs", [Row("enrolment", OURS % 12, {"learner_id": theirs, "cohort_id": "C", "site_id": mallory.id,
                                                                    "planned_start": "2015-01-01", "planned_end": "2015-02-01"}, stamp(), mallory.id)],
            {"member", "scope", "parent"})
    refused("a learner given to another", [Row("learner", OURS % 13, {"home_site_id": llp.id}, stamp(), mallory.id)], {"scope"})
    refused("a row of everybody's", [Row("organisation", OURS % 14, {"name": "liar"}, stamp(), mallory.id, "*")], {"hub_table"})


@case("nothing of another site's is told, however it is asked for: pull, rows, images, digests of its scope or of its keys")
def _():
    before = rows_of_others()
    secret = [SECRET.encode()] + [liar.uuid(LEARNER % n) for n in range(1, 29)]
    heard = []
    for full, scan in ((0, 0), (0, line.hub_lsn), (line.hub_lsn - 1, 1)):
        what, fields = line.pull(full, scan, [("learner", s) for s in secret[1:]])
        expect("a pull", what, 1)
        heard.append((liar.opened(fields[-1]), "a pull"))
    what, fields = line.ask(ROWS, [line.session, [["learner", s] for s in secret[1:]]])
    heard.append((liar.opened(fields[-1]), "rows"))
    for bytes_, of in heard:
        if SECRET.encode() in bytes_:
            raise Failure(f"{of}: a value of La Loupe's")
    what, fields = line.pull(0, 0)  # without naming the keys, which come back as absent ones
    for s in secret:  # but the one that it wrote under, and was refused
        if s in liar.opened(fields[-1]) and s != liar.uuid(LEARNER % 3):
            raise Failure("a pull: a key of La Loupe's")
    digest = bytes.fromhex(hub.sql("SELECT hex(substr(clock, 1, 16)) FROM perche_row r JOIN perche_tab t ON t.num = r.tab WHERE t.name = 'learner'"
                                   f" AND hex(key) = '{secret[1].hex().upper()}'"))
    hub_lsn = int(hub.sql("SELECT lsn FROM perche_node"))
    for level, finer, sums in ((0, 0, []), (1, 0, [[llp.id, "learner", b, 0, bytes(16), b""] for b in range(200)]),
                               (2, 8, [[llp.id, "learner", b, 0, bytes(16), b""] for b in range(0, 256)]),
                               (3, 0, [[llp.id, "learner", 0, 0, bytes(16), s] for s in secret[1:]]),
                               (3, 0, [[llp.id, "learner", 0, 0, digest, secret[1]]])):
        what, fields = line.ask(DIGEST, [line.session, hub_lsn, line.have, hub_lsn, level, finer, bytes(16), sums])
        expect(f"digests of level {level}", what, 1)
        if fields[0] == 3 and any(digest in s for s in fields[4] for s in s if isinstance(s, bytes)):
            raise Failure(f"digests of level {level}: that of a row of La Loupe's")
        if level == 0 and any(llp.id in s[0] for s in fields[4]):
            raise Failure("digests of level 0: a scope of La Loupe's")
    line.pull(0, 0)
    unharmed(before)


@case("a value in another site's name is refused as a cell, for its origin; a row that begins in another's name too")
def _():
    kept = hub.sql(f"SELECT call_name FROM learner WHERE id = '{OURS % 1}'")
    refused("a cell of Chartres", [Row("learner", OURS % 1, {"call_name": "by Chartres"}, stamp(), chr_.id, flags=0)], {"origin"})
    refused("a row of Chartres", [Row("learner", OURS % 1, {}, stamp(), chr_.id, gen=2)], {"origin"})
    expect("its own row", hub.sql(f"SELECT call_name FROM learner WHERE id = '{OURS % 1}'"), kept)


# -------------------------------------------------------------- positions, stamps


@case("positions that cannot be: a batch from nowhere, backwards, or one that says it has pulled what does not exist yet")
def _():
    global line
    before, have = rows_of_others(), line.have
    row = [Row("learner", OURS % 21, {"home_site_id": mallory.id}, stamp(), mallory.id)]
    for begin, end, asof in ((have + 1, have + 2, have + 2), (have + 1000, have + 1001, have + 1001), (have, have - 1, have), (have, have + 5, have + 1),
                             (have, 0, have)):
        what, fields = line.push(row, begin, end, asof=asof)
        expect(f"a batch {begin}..{end} where the hub has {have}", (what, fields[0], fields[2]), (2, POSITION, have))
    what, fields = line.push(row, have - 1, have)
    expect("a batch that begins before what the hub has", (what, fields[0]), (1, have))
    expect("its row", hub.count("learner", f"id = '{OURS % 21}'"), 0)
    far = int(hub.sql("SELECT lsn FROM perche_node")) + 1000
    for what_is, ask in (("a push", lambda l: l.push(row, full=far, scan=far, done=far)), ("a pull", lambda l: l.pull(far, far)),
                         ("a watch", lambda l: l.ask(WATCH, [l.session, far, far, far])),
                         ("a comparison", lambda l: l.ask(DIGEST, [l.session, far, l.have, far, 0, 0, bytes(16), []]))):
        mark = hub.log_size()
        what, fields = ask(line)
        expect(f"{what_is} at a position beyond the hub's", (what, fields[0]), (2, BAD))
        if not line.ended():
            raise Failure(f"{what_is}: the hub keeps the line")
        net.wait_for("the log", lambda mark=mark: "hub.bad_message" in hub.log_text(mark))
        line.close()
        line = liar.Liar(net, mallory).proven()
        expect("what the hub has", line.have, have)
    expect("its row", hub.count("learner", f"id = '{OURS % 21}'"), 0)
    unharmed(before)


@case("a prove of a position that the site never had, of another epoch, or of a hub that has lost something, moves nobody")
def _():
    before = rows_of_others()
    for wrong in ({"lsn": 1}, {"epoch": 12345, "prev": 999}, {"scan": 1 << 40, "full": 1 << 40}, {"asof_lsn": 1 << 40, "scan": 5},
                  {"acked": 1 << 40}, {"relays": True}, {"lsn": (1 << 63) - 1, "marks": []}, {"done": 1 << 50}):
        other = liar.Liar(net, mallory).hello()
        what, fields = other.prove(**wrong)
        recovering = hub.count("perche_peer", "recovery = 1")
        expect(f"after {wrong}, sites in a recovery", recovering, 0)
        other.close()
    unharmed(before)
    expect("sites taken for two machines", hub.count("perche_peer", "held_ms <> 0"), 0)


@case("stamps: far ahead the batch is refused for the clock, marked as fixed the cell is; one of zero loses")
def _():
    global line
    line.close()
    line = liar.Liar(net, mallory).proven()
    before, clock = rows_of_others(), hub.sql("SELECT stamp >> 16 FROM perche_node")
    own = lambda **kw: [Row("learner", OURS % 1, {"call_name": "from the future"}, origin=mallory.id, flags=0, **kw)]
    for ahead in (time.time() * 1000 + 3600e3, 1 << 46, (1 << 47) - 1):
        what, fields = line.push(own(stamp=stamp(ahead)))
        expect(f"{ahead} ms", (what, fields[0]), (2, CLOCK))
    refused("fixed, far ahead", own(stamp=stamp(1 << 46), fixed=True), {"clock"})
    what, fields = line.push(own(stamp=0))
    expect("a stamp of zero", what, 1)
    expect("its own row", hub.sql(f"SELECT call_name FROM learner WHERE id = '{OURS % 1}'"), "Own")
    if int(hub.sql("SELECT stamp >> 16 FROM perche_node")) > time.time() * 1000 + 120e3:
        raise Failure(f"the hub's clock has been moved from {clock}")
    unharmed(before)


# ---------------------------------------------------------------- other's words


@case("a conversation that was recorded is worth nothing on another line: neither its prove nor its session")
def _():
    global line
    line.close()
    first = liar.Liar(net, mallory).proven()
    first.push([Row("learner", OURS % 31, {"home_site_id": mallory.id}, stamp(), mallory.id)])
    expect("the row that was pushed", hub.count("learner", f"id = '{OURS % 31}'"), 1)
    before = rows_of_others()
    again = perche_net.RawLine(net).greet()
    answers = []
    for body in first.said:
        again.send(body)
        answers.append(perche_net.unpack(again.receive()))
    expect("the answers to hello, prove and push", [(a[0], a[1]) for a in answers], [(HELLO, 1), (PROVE, 2), (PUSH, 2)])
    expect("why", (answers[1][2][0], answers[2][2][0]), (SIGNATURE, SESSION))
    again.close()
    first.send(first.said[-1])  # on its own line: once more the same batch
    what = perche_net.unpack(first.receive())
    expect("the same batch again", (what[1], what[2][0]), (1, first.have))
    first.close()
    line = liar.Liar(net, mallory).proven()
    unharmed(before)


@case("a prove with another's id, or with the right id and another key, is refused for its signature, which the log says")
def _():
    before, mark = rows_of_others(), hub.log_size()
    for site, seed in ((llp.id, None), (hub.status()["id"], None), (mallory.id, bytes(32))):
        other = liar.Liar(net, mallory, seed).hello(site)
        what, fields = other.prove(site)
        if what != 2 or fields[0] not in (SIGNATURE, 1):
            raise Failure(f"a prove as {site}: {what} {fields}")
        what, fields = other.pull(session=line.session)
        expect("a pull in the session of another line", (what, fields[0]), (2, SESSION))
        other.close()
    expect_in("the hub's log", "hub.refused", hub.log_text(mark))
    expect_in("the hub's log", "signature", hub.log_text(mark))
    expect("the line that was there all the time", line.pull(0, 0)[0], 1)
    unharmed(before)


@case("an invitation that was used is not good for another key, and gives no key away")
def _():
    guest = net.add("guest", name="Guest").start()
    text = net.invite("guest")
    guest.perche("join", "-", stdin=text + "\n")
    guest.sync_wait()
    fields = perche_net.invitation_open(text)
    raw = perche_net.RawLine(net).greet()
    what, answer = raw.ask(ENROL, [fields[4], fields[5], liar.public_key(bytes(31) + b"x"), "again"])
    expect("the second use", (what, answer[0]), (2, INVITATION_USED))
    raw.close()
    guest.sync_wait()


# ------------------------------------------------------------- broken messages


@case("within a session: what does not decode, is cut, nested or too large ends the line, is counted and said, and nothing of it is taken")
def _():
    global line
    row = [Row("learner", OURS % 41, {"home_site_id": mallory.id, "call_name": "broken"}, stamp(), mallory.id)]
    whole = liar.batch(row)
    push = lambda l, body: perche_net.pack([PUSH, 0, [l.session, l.have, l.have + 1, l.have + 1, 1, 0, 0, 0, 1, body]])
    broken = {"a batch cut in the middle": lambda l: push(l, whole[:len(whole) // 2]),
              "a batch with bytes behind it": lambda l: push(l, whole + b"\0"),
              "a batch that is none": lambda l: push(l, b"\7" + whole[1:]),
              "a zstd frame that claims 1 TB": lambda l: push(l, b"\2" + bytes.fromhex("28b52ffde00000000000010000") + bytes(20)),
              "a message cut in the middle": lambda l: push(l, whole)[:-5],
              "lists in lists": lambda l: b"\x93\x03\x00" + b"\x91" * 100000,
              "a list that claims 268 million": lambda l: b"\x93\x05\x00\x92\x01\xdd\x0f\xff\xff\xff"}
    for what, make in broken.items():
        before, counted, mark = rows_of_others(), hub.status()["bad_messages"], hub.log_size()
        line.send(make(line))
        if not line.ended():
            raise Failure(f"{what}: the hub keeps the line")
        net.wait_for(f"{what} in the log and counted", lambda c=counted, m=mark: hub.status()["bad_messages"] > c and "hub.bad_message" in hub.log_text(m))
        expect(f"{what}: its row", hub.count("learner", f"id = '{OURS % 41}'"), 0)
        line.close()
        line = liar.Liar(net, mallory).proven()
        unharmed(before)
    line.send(b"", (16 << 20) + 5)
    if not line.ended():
        raise Failure("a frame of more than 16 MiB: the hub keeps the line")
    line.close()
    line = liar.Liar(net, mallory).proven()
    expect("afterwards the row is taken", line.push(row)[0], 1)
    expect("its row", hub.count("learner", f"id = '{OURS % 41}'"), 1)


@case("a row whose key or table is none is set aside, and what comes after it goes on")
def _():
    before = rows_of_others()
    waiting = hub.status()["parked"]
    line.push([Row("learner", b"\3\1a\3\1b", {"home_site_id": mallory.id}, stamp(), mallory.id),
               Row("nowhere", OURS % 51, {"a": "b"}, stamp(), mallory.id),
               Row("learner", OURS % 52, {"home_site_id": mallory.id}, stamp(), mallory.id)])
    expect("the good row", hub.count("learner", f"id = '{OURS % 52}'"), 1)
    expect("set aside, as status says", hub.status()["parked"], waiting + 2)
    unharmed(before)


@case("before it has proven anything a peer may ask little: then its line is closed, and the log says so")
def _():
    mark = hub.log_size()
    raw = perche_net.RawLine(net).greet()
    answered = 0
    try:
        for _ in range(100):
            raw.ask(HELLO, [mallory.id, 1, 1, 0])
            answered += 1
    except (EOFError, OSError):
        pass
    raw.close()
    if not 1 <= answered <= 32:
        raise Failure(f"{answered} questions of a stranger were answered")
    net.wait_for("the log", lambda: "hub.flood" in hub.log_text(mark))


@case("a line that asks and never reads is ended, and the log says so: the hub's memory stays bounded, and the others are served")
def _():
    keys = [OURS[:34] + "%02x" % n for n in range(0x80, 0xC0)]
    deaf = liar.Liar(net, mallory).proven()
    letters = string.ascii_letters + string.digits  # nothing that is packed to little
    for some in (keys[i:i + 7] for i in range(0, len(keys), 7)):
        what, _ = deaf.push([Row("learner", k, {"home_site_id": mallory.id, "call_name": "".join(random.choices(letters, k=8000))},
                                 stamp(), mallory.id, mallory.id) for k in some])
        expect("rows to ask for", what, 1)
    ask = b"\x93" + pack([ROWS, 0])[1:] + b"\x92" + pack(deaf.session) + liar.pack_long([["learner", liar.uuid(k)] for k in keys])
    perche_net.RawLine.send(deaf, ask)
    answer = len(deaf.receive())
    before, since, asked, highest = rss_kb(), hub.log_size(), 0, 0
    try:
        for asked in range(1, 500):  # the network takes some of the answers
            perche_net.RawLine.send(deaf, ask)
            highest = max(highest, rss_kb())
    except OSError:
        pass
    net.wait_for("the log to tell of it", lambda: "downlink.unread" in hub.log_text(since))
    llp.sql("UPDATE learner SET call_name = call_name || '.'")
    llp.sync_wait()
    print(f"#   {asked} requests for {answer} bytes each were sent; memory {before} kB, {highest} kB at most")
    if highest > before + 64 * 1024 * perche_net.SLOW:
        raise Failure(f"the hub's memory went from {before} to {highest} kB")
    expect("lines that were ended so", hub.log_text(since).count("downlink.unread"), 1)
    deaf.close()


@case("the others have never noticed: all is proven equal, and the hub's file is whole")
def _():
    line.close()
    net.proven(llp, chr_)
    expect("verify at the hub", hub.json("verify")["equal"], True)
    for table in ("learner", "learner_contact"):
        expect(f"{table} of La Loupe that the liar's site has", mallory.count(table, f"id LIKE '{LEARNER[:34]}%'"), 0)


if __name__ == "__main__":
    perche_net.main(build, [net])
