#!/usr/bin/env python3
"""A site takes its leave of the hub, and comes back: nothing lost, nothing doubled, and no state in between that stays."""
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import BUILD, SLOW, case, expect, expect_in

net = perche_net.Network()
other = perche_net.Network()  # another hub


def build():
    global hub, llp, chr_, relay
    hub = net.add_hub()
    relay = net.relay("la-loupe")
    llp = net.add_site("la-loupe", relay=relay)
    chr_ = net.add_site("chartres")
    net.cohort("la-loupe")
    net.proven()


def at_hub(site):
    return next(s for s in hub.json("sites")["sites"] if s["id"] == site.id)


def write(site, title):
    site.sql(f"INSERT INTO project (site_id, title, kind) SELECT site_id, '{title}', 'REAL_CLIENT' FROM perche_self")


def come_back(site, *args, relay=None):
    site.perche("join", *(["--url", relay.url] if relay else []), "-", stdin=net.invite(site.key, *args) + "\n")
    site.sync_wait()


@case("it is refused while something waits here, with how much, and nothing has changed")
def _():
    relay.cut()
    net.wait_for("the line to be down", lambda: llp.status()["state"] == "offline")
    write(llp, "unsent")
    net.wait_for("it to be harvested", lambda: llp.count("perche_capture") == 0)
    relay.ask("delay 400")  # the push does not come before the question
    relay.open()
    llp.says_no("leave", words=["1 row waits to be sent", "sync --wait"])
    relay.ask("delay 0")
    llp.sync_wait()
    expect("left, says the hub", at_hub(llp)["left_at"], None)
    expect("the row at the hub", hub.count("project", "title = 'unsent'"), 1)


@case("it is refused while deletions wait for a person")
def _():
    chr_.sql("""INSERT INTO project (id, site_id, title, kind) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
        SELECT 'project ' || i, (SELECT site_id FROM perche_self), 'title', 'REAL_CLIENT' FROM n""")
    chr_.sync_wait()
    chr_.sql("DELETE FROM project WHERE site_id = (SELECT site_id FROM perche_self)")
    net.wait_for("them to be held", lambda: chr_.status()["held"] == 60)
    chr_.says_no("leave", words=["60 deletions wait for a person"])
    chr_.perche("held", "undo", "1")
    net.proven(chr_)


@case("it is refused where the hub cannot be reached, and goes on when it can")
def _():
    relay.cut()
    net.wait_for("the line to be down", lambda: llp.status()["state"] == "offline")
    llp.says_no("leave", words=["the hub has to know", "no line"])
    relay.open()
    net.proven(llp)


def what_it_is(site):
    return site.sql("SELECT site, epoch, acked, full, scan FROM perche_node")


@case("leave: the hub knows it, with the date; the site keeps its records, id and epoch, and gets nothing any more")
def _():
    global kept
    kept = what_it_is(llp)
    rows = llp.sql("SELECT * FROM learner ORDER BY id")
    llp.perche("leave")
    expect("state", llp.status()["state"], "unjoined")
    expect("what it is", what_it_is(llp), kept)
    expect("its records", llp.sql("SELECT * FROM learner ORDER BY id"), rows)
    expect("joined, for programs", llp.sql("SELECT joined FROM perche_self"), "0")
    at = at_hub(llp)
    expect("its state at the hub", (at["state"], at["behind"], at["revoked_at"]), ("unjoined", 0, None))
    if not at["left_at"]:
        raise perche_net.Failure(f"the hub does not say since when: {at}")
    expect_in("sites, for people", "La Loupe left on ", hub.perche("sites"))
    hub.sql("UPDATE network SET kind = 'after it left'")
    chr_.sync_wait()
    expect("behind", at_hub(llp)["behind"], 0)
    llp.perche("leave")  # once more: it is so already
    llp.says_no("sync", "--wait", words=["has not joined"])


@case("its key is not accepted any more, and an older invitation does not let it in again")
def _():
    line = perche_net.RawLine(net).greet()
    line.ask(1, [llp.id, 1, 1, 0])
    what, fields = line.ask(2, [llp.id, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, False, [], [], bytes(64)])
    expect("the answer to its prove", (what, fields[0]), (2, 18))
    line.close()


@case("a new invitation, without replace, and join: it goes on from where it was, and what it wrote meanwhile is there, once")
def _():
    write(llp, "written alone")
    llp.sql("UPDATE learner SET call_name = 'Alone' WHERE id = (SELECT min(id) FROM learner)")
    net.wait_for("it to be harvested", lambda: llp.count("perche_capture") == 0)
    count = hub.count("project")
    come_back(llp, relay=relay)
    expect("id and epoch", what_it_is(llp).split("|")[:2], kept.split("|")[:2])
    expect("its edit at the hub", hub.count("learner", "call_name = 'Alone'"), 1)
    expect("its row at the hub", hub.count("project", "title = 'written alone'"), 1)
    expect("rows at the hub", hub.count("project"), count + 1)
    expect("what the hub wrote meanwhile", llp.sql("SELECT kind FROM network"), "after it left")
    expect("questions raised by it", hub.count("perche_conflict"), 0)
    expect("bytes: the rows of before were not sent again", llp.json("status")["rows_out"] < 20, True)
    expect("left, says the hub", at_hub(llp)["left_at"], None)
    net.proven()


@case("killed between the hub's commit and its own: refused as one that left, until it says leave again")
def _():
    llp.sync_wait()
    relay.ask("delay 1500")
    p = subprocess.Popen([os.path.join(BUILD, "perche"), "--socket", llp.socket, "leave"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    net.wait_for("the hub to know", lambda: at_hub(llp)["left_at"])
    llp.kill()
    expect("what the person was told", p.wait(20 * SLOW) != 0, True)
    relay.ask("delay 0")
    llp.start()
    net.wait_for("the hub to refuse it", lambda: (llp.status()["state"], llp.status()["reason"]) == ("refused", "left"))
    expect_in("status, for people", "left", llp.perche("status"))
    write(llp, "between the two")
    llp.perche("leave")
    expect("state", llp.status()["state"], "unjoined")
    come_back(llp, relay=relay)
    expect("what it wrote between the two", hub.count("project", "title = 'between the two'"), 1)
    net.proven()


@case("an answer that is lost with its line is made good by the same command, or by the next")
def _():
    relay.ask("delay 1500")
    p = subprocess.Popen([os.path.join(BUILD, "perche"), "--socket", llp.socket, "leave"], stdin=subprocess.DEVNULL)
    net.wait_for("the hub to know", lambda: at_hub(llp)["left_at"])
    relay.cut()
    relay.ask("delay 0")
    relay.open()
    p.wait(60 * SLOW)
    if p.returncode != 0:
        llp.perche("leave")
    expect("state", llp.status()["state"], "unjoined")


@case("killed between its file and its replica: the next start ends it; and the same for a join")
def _():
    come_back(llp, relay=relay)
    llp.stop()
    os.unlink(os.path.join(llp.data, "upstream.conf"))
    llp.start()
    net.wait_for("the replica to know", lambda: llp.sql("SELECT joined FROM perche_self") == "0")
    expect("state", llp.status()["state"], "unjoined")
    come_back(llp, "--replace", relay=relay)
    llp.stop()
    llp.sql("UPDATE perche_node SET hub_was = hub, hub = ''")
    llp.start()
    net.wait_for("it to be a member again", lambda: llp.status()["state"] != "unjoined")
    expect("joined, for programs", llp.sql("SELECT joined FROM perche_self"), "1")
    net.proven(llp)


@case("revoked, and dialling once more at the moment: a join is taken all the same")
def _():
    hub.perche("revoke", "La Loupe")
    net.wait_for("it to be refused", lambda: llp.status()["state"] == "refused")
    relay.ask("hold")  # a dial has no end
    llp.perche("sync")
    net.wait_for("it to dial", lambda: llp.status()["state"] == "connecting")
    line = net.invite("la-loupe", "--replace")
    llp.perche("join", "-", stdin=line + "\n")
    relay.ask("resume")
    net.proven(llp)


@case("its records do not join another hub, and are told what to do; the invitation stays good")
def _():
    other.add_hub()
    llp.perche("leave")
    line = other.invite("la-loupe")
    llp.says_no("join", "-", stdin=line + "\n", words=["another hub", "empty folder"])
    fresh = other.add("la-loupe").start()
    fresh.perche("join", "-", stdin=line + "\n")
    fresh.sync_wait()
    come_back(llp, relay=relay)
    net.proven()


@case("a join that was cut short and that its replica refuses is given up, and another one is taken")
def _():
    llp.perche("leave")
    llp.stop()
    fresh = other.nodes["la-loupe"]
    for name in ("upstream.conf", "upstream.crt"):
        shutil.copy(os.path.join(fresh.data, name), llp.data)
    since = llp.log_size()
    llp.start()
    net.wait_for("the log to tell of it", lambda: "join.not_resumed" in llp.log_text(since))
    expect("state", llp.status()["state"], "unjoined")
    come_back(llp, relay=relay)
    net.proven()


@case("one that was revoked has nothing to leave, and takes a new invitation as it is")
def _():
    hub.perche("revoke", "La Loupe")
    net.wait_for("it to be refused", lambda: llp.status()["state"] == "refused")
    llp.says_no("leave", words=["nothing to leave", "revoked"])
    write(llp, "while revoked")
    come_back(llp, relay=relay)
    expect("what it wrote meanwhile", hub.count("project", "title = 'while revoked'"), 1)
    expect("questions raised by it", hub.count("perche_conflict"), 0)
    net.proven()


if __name__ == "__main__":
    perche_net.main(build, [net, other])
