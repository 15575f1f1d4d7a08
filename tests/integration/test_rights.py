#!/usr/bin/env python3
"""What a site may not write, and who gets nothing at all: refused writes, invitations, keys, revoked sites, strangers."""
import os
import shutil
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()
other = perche_net.Network()  # another hub
LEARNER = "01487832-4000-7000-8001-0000000000%02d"
ENROLMENT = "01487832-4000-7000-8002-0000000000%02d"
HELLO, PROVE, PUSH, PULL, ROWS, DIGEST, WATCH, ENROL = range(1, 9)
UNKNOWN_SITE, REVOKED, SIGNATURE, VERSION, SESSION, BAD, TOO_LARGE, INVITATION_UNKNOWN = 1, 2, 3, 4, 5, 8, 9, 15


def build():
    global hub, llp, chr_
    hub = net.add_hub()
    llp = net.add_site("la-loupe")
    chr_ = net.add_site("chartres")
    net.cohort("la-loupe")
    chr_.sync_wait()
    chr_.sql("""INSERT INTO learner (id, home_site_id) SELECT '01487832-4000-7000-8001-000000002001', site_id FROM perche_self;
        INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status)
        SELECT '01487832-4000-7000-8003-000000000002', site_id, (SELECT id FROM training), 'C1', '2015-05-04', '2015-09-30', 12,
               'ON_SITE', 'PLANNED' FROM perche_self""")
    chr_.sync_wait()


def refusals(site):
    """{(table, columns): reason} of what the hub did not take."""
    return dict((tuple(row.split("|")[:2]), row.split("|")[2])
                for row in site.sql("SELECT tab, columns, reason FROM perche_refused ORDER BY n").splitlines())


@case("what is put back is counted by status and listed by refused, with its reason and what was written")
def _():
    before = llp.status()["refused"]
    llp.sql("INSERT INTO learner (id, home_site_id, call_name) VALUES ('01487832-4000-7000-8001-000000003001', 'LLP', 'By code')")
    llp.sync_wait()
    expect("rows of it here", llp.count("learner", "call_name = 'By code'"), 0)
    expect("the count", llp.status()["refused"], before + 1)
    newest = llp.json("refused")["refused"][0]
    expect("the table", newest["table"], "learner")
    expect_in("what was written", "By code", newest["image"])
    expect_in("status", "perche refused", llp.perche("status"))
    expect_in("refused", "not this site's", llp.perche("refused"))
    net.proven(llp)


def rolled_back(site, sql, table, want, columns=None):
    """Writes @sql at the site; it has to be refused for a reason of @want, listed, and undone; everything else goes on."""
    before = {t: site.sql(f"SELECT * FROM {t}") for t in (table, "learner")}
    at_hub = hub.sql(f"SELECT * FROM {table}")
    listed = site.count("perche_refused")
    site.sql("BEGIN;" + sql + f"; UPDATE learner SET call_name = 'n{listed}' WHERE id = (SELECT min(id) FROM learner); COMMIT")
    site.sync_wait()
    rows = site.sql(f"SELECT tab, columns, reason, key FROM perche_refused ORDER BY n LIMIT -1 OFFSET {listed}").splitlines()
    if not rows or any(r.split("|")[0] != table or r.split("|")[2] not in want for r in rows):
        raise Failure(f"perche_refused lists {rows!r}, expected {table} for a reason of {want}")
    if columns is not None:
        expect("the columns refused", rows[0].split("|")[1], columns)
    if table != "learner":
        expect(f"{table} at {site.key}, taken back", site.sql(f"SELECT * FROM {table}"), before[table])
        expect(f"{table} at the hub", hub.sql(f"SELECT * FROM {table}"), at_hub)
    expect("a lawful edit of the same transaction, at the hub", hub.count("learner", f"call_name = 'n{listed}'"), 1)
    net.proven(site)
    return rows


# ------------------------------------------------------------ unlawful writes


@case("an insert of reference data is refused, listed and taken back; a lawful edit of the same transaction arrives")
def _():
    rolled_back(llp, "INSERT INTO organisation (name) VALUES ('not ours to write')", "organisation", {"hub_table"})


@case("an update of reference data is refused, listed and taken back")
def _():
    rolled_back(llp, "UPDATE organisation SET siret = '12345678901234' WHERE name = 'Caisse des dépôts'", "organisation", {"hub_table"})


@case("a delete of reference data is refused, listed and taken back")
def _():
    rolled_back(llp, "DELETE FROM code_list WHERE list = 'sex'", "code_list", {"hub_table"})


@case("a column of the hub's in a site's own row is refused as a cell: the rest of the row is taken")
def _():
    rows = rolled_back(llp, f"UPDATE learner SET erased_at = '2015-01-01', ine = '0123456789A' WHERE id = '{LEARNER % 3}'", "learner",
                       {"hub_column"}, "erased_at")
    expect("rows refused", len(rows), 1)
    for node in (llp, hub):
        expect(f"the row at {node.key}", node.sql(f"SELECT erased_at IS NULL, ine FROM learner WHERE id = '{LEARNER % 3}'"), "1|0123456789A")


@case("a row that belongs to another site, written here under its key, is refused and dropped; the other's row stays as it was")
def _():
    rolled_back(llp, "INSERT INTO learner (id, home_site_id, ine) SELECT '01487832-4000-7000-8001-000000002001', site_id, 'taken' FROM perche_self",
                "learner", {"scope"})
    expect("it is gone here", llp.count("learner", "ine = 'taken'"), 0)
    expect("the learner of Chartres at the hub", hub.sql("SELECT home_site_id, ine IS NULL FROM learner WHERE id LIKE '%2001'"), f"{chr_.id}|1")
    chr_.sync_wait()
    expect("the learner at Chartres", chr_.sql("SELECT home_site_id, ine IS NULL FROM learner"), f"{chr_.id}|1")


@case("an enrolment that names another site is refused and dropped")
def _():
    rolled_back(llp, f"""INSERT INTO enrolment (learner_id, cohort_id, site_id, planned_start, planned_end)
        VALUES ('{LEARNER % 3}', '01487832-4000-7000-8003-000000000002', '{chr_.id}', '2015-05-04', '2015-09-30')""", "enrolment", {"scope"})


@case("a child of a row that this site does not hold is refused and dropped")
def _():
    rolled_back(llp, """INSERT INTO half_day (cohort_id, day, half, mode)
        VALUES ('01487832-4000-7000-8003-000000000002', '2015-05-04', 'AM', 'ON_SITE')""", "half_day", {"parent", "scope"})


@case("naming a learner of another school in a transfer opens no door")
def _():
    rolled_back(llp, f"""INSERT INTO transfer (learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)
        SELECT '01487832-4000-7000-8001-000000002001', 'none', '{chr_.id}', site_id, 'P1', '2015-03-02', '2015-03-09', 'ASKED'
        FROM perche_self""", "transfer", {"member"})
    expect("the learner of Chartres at La Loupe", llp.count("learner", "id LIKE '%2001'"), 0)


@case("moving a learner to another site is the hub's: refused and taken back")
def _():
    rolled_back(llp, f"UPDATE enrolment SET site_id = '{chr_.id}' WHERE id = '{ENROLMENT % 4}'", "enrolment", {"move"}, "site_id")


@case("a mark of attendance that the hub has is only added to")
def _():
    llp.sql(f"""INSERT INTO attendance (id, half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site)
        SELECT '01487832-4000-7000-800a-000000000001', h.id, '{ENROLMENT % 4}', 'PRESENT', 210, 'PAPER_SCAN', '2014-10-06T12:00:00Z', s.site_id
        FROM (SELECT id FROM half_day ORDER BY day LIMIT 1) h, perche_self s""")
    llp.sync_wait()
    rolled_back(llp, "UPDATE attendance SET mark = 'ABSENT', minutes = 0", "attendance", {"append"})


@case("what was refused does not come again, and La Loupe is told nothing of Chartres by it")
def _():
    listed = llp.count("perche_refused")
    llp.stop()
    llp.start()
    llp.sync_wait()
    expect("entries of perche_refused", llp.count("perche_refused"), listed)
    expect("marks of Chartres in La Loupe's file", llp.count("cohort", f"site_id = '{chr_.id}'"), 0)
    net.proven()


# --------------------------------------------------------------- invitations


@case("an invitation that was altered, cut, or is none: says so")
def _():
    site = net.add("guest", name="Guest").start()
    line = net.invite("guest")
    for what, bad in (("altered", line[:60] + ("A" if line[60] != "A" else "B") + line[61:]), ("cut", line[:-9]), ("cut", line[:40])):
        said = site.says_no("join", "-", stdin=bad + "\n")
        if "altered" not in said and "cut" not in said:
            raise Failure(f"an invitation that was {what}: {said!r}")
    site.says_no("join", "-", stdin="come in\n", words=["no invitation"])
    site.says_no("join", "-", stdin=line.replace("perche1:", "perche9:") + "\n", words=["version"])
    expect("state of the site", site.status()["state"], "unjoined")


@case("an invitation that has expired: says so, whatever this machine's clock says")
def _():
    line = net.invite("guest", "--expires", "300ms")
    expires = perche_net.invitation_open(line)[6]
    net.wait_for("the invitation to expire", lambda: time.time() * 1000 > expires)
    net.nodes["guest"].says_no("join", "-", stdin=line + "\n", words=["expired"])
    fields = perche_net.invitation_open(line)
    fields[6] += 10**9  # what the site reads; the hub knows better
    net.nodes["guest"].says_no("join", "-", stdin=perche_net.invitation_close(fields) + "\n", words=["expired"])


@case("an invitation that was used by another machine: says so")
def _():
    line = net.invite("guest")
    first = net.nodes["guest"]
    first.perche("join", "-", stdin=line + "\n")
    first.sync_wait()
    second = net.add("second", name="Guest").start()
    second.says_no("join", "-", stdin=line + "\n", words=["used"])
    expect("state of the second", second.status()["state"], "unjoined")
    hub.says_no("invite", "Guest", words=["living"])


@case("an older invitation, which a newer one took the place of: says that the hub does not know it")
def _():
    net.nodes["second"].name = "Late"
    old, _new = net.invite("second"), net.invite("second")
    net.nodes["second"].says_no("join", "-", stdin=old + "\n", words=["does not know"])


@case("an invitation of another hub, and one with another hub's certificate: says so, and nothing was told there")
def _():
    global other_hub
    other_hub = other.add_hub()
    site = net.nodes["second"]
    theirs = other.invite("chartres")
    said = site.says_no("join", "--url", net.url, "-", stdin=theirs + "\n", words=["another hub"])
    fields = perche_net.invitation_open(net.invite("second"))
    fields[2] = perche_net.invitation_open(theirs)[2]  # certificate
    site.says_no("join", "-", stdin=perche_net.invitation_close(fields) + "\n", words=["certificate"])
    fields = perche_net.invitation_open(net.invite("second"))
    fields[1] = other_hub.status()["id"]  # the hub's id, which its certificate has to name
    site.says_no("join", "-", stdin=perche_net.invitation_close(fields) + "\n", words=["another hub"])
    expect("state of the site", site.status()["state"], "unjoined")
    expect("learners there", site.count("learner"), 0)


@case("an invitation with a wrong secret: the hub does not know it")
def _():
    fields = perche_net.invitation_open(net.invite("second"))
    fields[5] = bytes(32)
    net.nodes["second"].says_no("join", "-", stdin=perche_net.invitation_close(fields) + "\n", words=["does not know"])


@case("a site that has joined does not join again, and a hub not at all")
def _():
    line = net.invite("second")
    llp.says_no("join", "-", stdin=line + "\n", words=["joined"])
    other_hub.says_no("join", "-", stdin=line + "\n", words=["hub"])


# ------------------------------------------------------------------ strangers


@case("a stranger gets a challenge and nothing else: no row, no watch, no digest, however it asks")
def _():
    for op, fields in ((PULL, [1, 0, 0, 0, 65536, False, 0, []]), (PUSH, [1, 0, 1, 1, 1, 0, 0, 0, 1, b""]), (ROWS, [1, [["learner", bytes(16)]]]),
                       (DIGEST, [1, 0, 0, 0, 0, 0, bytes(16), []]), (WATCH, [1, 0, 0, 0]), (PROVE, prove(llp.id))):
        line = perche_net.RawLine(net).greet()
        expect(f"the answer to op {op} without hello", line.ask(op, fields)[0], 2)
        line.close()
    line = perche_net.RawLine(net).greet()
    what, fields = line.ask(HELLO, [llp.id, 1, 1, 0])
    expect("the answer to hello", (what, len(fields), fields[2]), (1, 5, hub.status()["id"]))
    for op, fields in ((PULL, [1, 0, 0, 0, 65536, False, 0, []]), (WATCH, [1, 0, 0, 0])):
        what, fields = line.ask(op, fields)
        expect(f"the answer to op {op}", (what, fields[0]), (2, SESSION))
    what, fields = line.ask(PROVE, prove(llp.id))
    expect("the answer to a wrong signature", (what, fields[0]), (2, SIGNATURE))
    what, fields = line.ask(PROVE, prove(llp.id))
    expect("the answer to a second try with one challenge", (what, fields[0]), (2, SESSION))
    line.close()


def prove(site):
    return [site, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, False, [], [], bytes(64)]


@case("a stranger that names no site, or another version, is told which")
def _():
    line = perche_net.RawLine(net).greet()
    line.ask(HELLO, ["01487832-4000-7000-8001-00000000ffff", 1, 1, 0])
    what, fields = line.ask(PROVE, prove("01487832-4000-7000-8001-00000000ffff"))
    expect("the answer to a site that nobody knows", (what, fields[0]), (2, UNKNOWN_SITE))
    what, fields = line.ask(HELLO, [llp.id, 200, 201, 0])
    expect("the answer to another version", (what, fields[0]), (2, VERSION))
    what, fields = line.ask(ENROL, [bytes(16), bytes(32), bytes(32), "nobody"])
    expect("the answer to an invitation that nobody sent", (what, fields[0]), (2, INVITATION_UNKNOWN))
    line.close()


@case("before it has proven itself a peer says no more than 4 KiB: the line drops")
def _():
    line = perche_net.RawLine(net).greet()
    line.send(perche_net.pack([HELLO, 0, [llp.id, 1, 1, 0]]) + bytes(5000))
    if not line.ended():
        raise Failure("a hello of 5,000 bytes: the hub goes on listening")
    line.close()
    llp.sync_wait()


@case("plain TCP at a TLS port gets nothing")
def _():
    net.scheme, was = "tcp", net.scheme
    line = perche_net.RawLine(net)
    net.scheme = was
    line.sock.sendall(b"\0SP\0\x00\x30\x00\x00" + bytes(64))
    if not line.ended():
        raise Failure("the hub goes on listening")
    line.close()
    llp.sync_wait()


@case("a site with another key is refused at prove, gets nothing and is shown as refused")
def _():
    guest = net.nodes["guest"]
    guest.stop()
    key = os.path.join(guest.data, "keys", "node.key")
    shutil.move(key, key + ".away")
    guest.start()
    net.wait_for("the guest to be refused", lambda: guest.status()["state"] == "refused")
    expect("the reason", guest.status()["reason"], "signature")
    hub.sql("UPDATE network SET kind = 'x'")
    guest.says_no("sync", "--wait", "--timeout", "5s")
    expect("what it was told since", guest.sql("SELECT kind IS NULL FROM network"), "1")
    guest.stop()
    os.replace(key + ".away", key)
    guest.start()
    guest.sync_wait()
    expect("with its own key", guest.sql("SELECT kind FROM network"), "x")


@case("revoke ends the open line of a site, and prove is refused from then on")
def _():
    guest = net.nodes["guest"]
    guest.sync_wait()
    expect("its state", guest.status()["state"], "live")
    mark = guest.log_size()
    hub.perche("revoke", "Guest")
    net.wait_for("the guest to be refused", lambda: guest.status()["state"] == "refused")
    expect("the reason", guest.status()["reason"], "revoked")
    expect("the hub's view", [s["state"] for s in hub.json("sites")["sites"] if s["id"] == guest.id], ["refused"])
    hub.sql("UPDATE network SET kind = 'y'")
    guest.says_no("sync", "--wait", "--timeout", "5s")
    expect("what it was told since", guest.sql("SELECT kind FROM network"), "x")
    line = perche_net.RawLine(net).greet()
    line.ask(HELLO, [guest.id, 1, 1, 0])
    what, fields = line.ask(PROVE, prove(guest.id))
    expect("the answer to its prove", (what, fields[0]), (2, REVOKED))
    line.close()
    guest.stop()
    guest.start()
    net.wait_for("the guest to be refused after a restart too", lambda: guest.status()["state"] == "refused")
    for site in (llp, chr_):
        site.sync_wait()
        expect(f"the others go on: {site.key}", site.sql("SELECT kind FROM network"), "y")


@case("a site that was revoked is let in by a new invitation alone, which says that it replaces")
def _():
    guest = net.nodes["guest"]
    guest.stop()
    hub.says_no("revoke", "nobody", words=["invited"])
    fresh = net.add("fresh", name="Guest").start()
    line = net.invite("fresh", "--replace")
    fresh.perche("join", "-", stdin=line + "\n")
    fresh.sync_wait()
    expect("its rows of *", fresh.sql("SELECT kind FROM network"), "y")
    net.proven(fresh, llp, chr_)


if __name__ == "__main__":
    perche_net.main(build, [net, other])
