#!/usr/bin/env python3
"""Nodes that are not what they were: a site and a hub put back to an older copy, a site's folder on a second machine.

Each case is a story, told line by line; nothing but the copies is done by hand."""
import contextlib
import os
import shutil
import sqlite3
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()
LEARNER = "01487832-4000-7000-8001-0000000000%02d"


def tell(text):
    print("#   " + text)


def build():
    global hub, llp, chr_
    hub = net.add_hub()
    llp = net.add_site("la-loupe")
    chr_ = net.add_site("chartres")
    net.cohort("la-loupe")
    chr_.sync_wait()


def copy_of(node):
    """A consistent copy, as .backup makes it while the daemon runs."""
    path = os.path.join(net.folder, node.key + ".copy")
    if os.path.exists(path):
        os.unlink(path)
    node.sql(f".backup {path}")
    return path


def put_back(node, path):
    node.stop()
    for end in ("", "-wal", "-shm"):
        if os.path.exists(node.db + end):
            os.unlink(node.db + end)
    shutil.copy(path, node.db)
    node.start()


def called(node, n):
    return node.sql(f"SELECT call_name FROM learner WHERE id = '{LEARNER % n}'")


def call(node, n, name):
    node.sql(f"UPDATE learner SET call_name = '{name}' WHERE id = '{LEARNER % n}'")


def site_seen_by_hub(name):
    return next(s for s in hub.json("sites")["sites"] if s["name"] == name)


def chain_of_positions(node):
    """Epochs that the hub knows of a site: its present one, and how many came before."""
    return hub.sql(f"""SELECT p.epoch, (SELECT count(*) FROM perche_peer_epoch e WHERE e.site = p.site) FROM perche_peer p
                       JOIN perche_name n ON n.num = p.site WHERE n.text = '{node.id}'""").split("|")


@case("a site whose replica was replaced by last week's copy heals by itself")
def _():
    net.proven()
    old = copy_of(llp)
    tell(f"last week's copy of La Loupe is made; learner 1 is called {called(llp, 1)!r}")
    call(llp, 1, "Ada")
    llp.sql(f"DELETE FROM learner_contact WHERE learner_id = '{LEARNER % 2}'")
    llp.sync_wait()
    call(hub, 3, "Emmy")
    llp.sync_wait()
    before = llp.status()
    tell("this week La Loupe calls learner 1 Ada and deletes the contacts of learner 2; the hub calls learner 3 Emmy")
    put_back(llp, old)
    tell(f"the old copy is put back: here learner 1 is called {called(llp, 1)!r} again")
    call(llp, 4, "Grace")
    tell("and before anybody has noticed somebody calls learner 4 Grace")
    net.proven(llp)
    after = llp.status()
    expect("learners 1, 3 and 4 at La Loupe", [called(llp, n) for n in (1, 3, 4)], ["Ada", "Emmy", "Grace"])
    expect("learner 4 at the hub", called(hub, 4), "Grace")
    expect("contacts of learner 2", llp.count("learner_contact", f"learner_id = '{LEARNER % 2}'"), 0)
    if before["epoch"] == after["epoch"]:
        raise Failure("positions of one epoch were given out twice")
    expect("epochs as the hub knows them", chain_of_positions(llp), [after["epoch"], "1"])
    expect("questions that were asked", hub.status()["conflicts_open"], 0)
    tell(f"La Loupe is proven equal with the hub, in a new epoch; Ada, Emmy and Grace are at both ends")
    log = llp.log_text()
    expect_in("the log of La Loupe", "sync.restored", log)


def second_machine():
    """La Loupe's folder, copied to a machine of its own that has not started yet."""
    llp.stop()
    twin = net.add("twin", name="La Loupe", data=os.path.join(net.folder, "twin-data"))
    shutil.rmtree(twin.data)
    shutil.copytree(llp.data, twin.data)
    os.chmod(twin.data, 0o2770)
    llp.start()
    llp.sync_wait()
    return twin


@case("a site folder that was copied to a second machine is noticed; both are held, and both addresses named")
def _():
    net.proven()
    twin = second_machine()
    tell("La Loupe's disk is copied, and the copy is started on a second machine")
    twin.start()
    net.wait_for("both machines to be held", lambda: all(n.status()["state"] == "held" and n.status()["reason"] == "two_machines"
                                                          for n in (llp, twin)), seconds=60)
    seen = site_seen_by_hub("La Loupe")
    expect("its state at the hub", seen["state"], "held")
    said = hub.perche("sites")
    for address in (seen["address"], seen["second_address"]):
        if not address.startswith("127."):
            raise Failure(f"no address: {seen}")
        expect_in("perche sites", address, said)
    if seen["address"] == seen["second_address"]:
        raise Failure(f"the same address twice: {seen['address']}")
    for line in said.splitlines()[-3:]:
        tell(line)
    call(llp, 1, "Alma")
    expect_in("perche status", "two machines", llp.perche("status"))
    expect("learner 1 at the hub meanwhile", called(hub, 1), "Ada")
    twin.stop()
    hub.perche("recover", "LLP")
    tell("the copy is switched off, and the operator says: perche recover LLP")
    llp.stop()
    llp.start()  # rather than waiting for its next try
    net.proven(llp)
    expect("learner 1 at the hub", called(hub, 1), "Alma")
    tell("what La Loupe wrote while it was held has arrived")
    hub.says_no("recover", "LLP", words=["not held"])
    del net.nodes["twin"]


@case("a hub whose database was replaced by yesterday's copy is made whole by its sites")
def _():
    net.proven()
    old = copy_of(hub)
    tell("yesterday's copy of the hub is made")
    call(llp, 5, "Lise")
    call(hub, 6, "Marie")
    hub.sql("INSERT INTO code_list (list, code, label_fr) VALUES ('site_kind', 'ATELIER', 'Atelier')")
    llp.sql(f"DELETE FROM learner_contact WHERE learner_id = '{LEARNER % 7}'")
    net.proven()
    tell("today La Loupe calls learner 5 Lise and deletes contacts, the hub calls learner 6 Marie and adds a code")
    with contextlib.closing(sqlite3.connect(f"file:{old}?immutable=1", uri=True)) as db:  # the hub itself may be whole again at once
        names = {name for (name,) in db.execute("SELECT call_name FROM learner")}
    if names & {"Lise", "Marie"}:
        raise Failure("the copy is not older")
    put_back(hub, old)
    tell("yesterday's copy is put back at the hub, and it knows nothing of all that")
    net.proven()
    expect("learners 5 and 6 at the hub", [called(hub, n) for n in (5, 6)], ["Lise", "Marie"])
    expect("the code at the hub", hub.count("code_list", "code = 'ATELIER'"), 1)
    expect("contacts of learner 7 at the hub", hub.count("learner_contact", f"learner_id = '{LEARNER % 7}'"), 0)
    expect("sites that still have to show what they have", [s["name"] for s in hub.json("sites")["sites"] if s["recovery"]], [])
    tell(f"its two sites have shown it everything; {hub.count('perche_recovered')} rows came from sites that had not written them")
    expect("questions that were asked", hub.status()["conflicts_open"], 0)
    hub.says_no("recover", "--now", words=["no recovery"])


@case("reference rows that a site has shown to a hub that was put back are not held against it when it sends them once more")
def _():
    net.proven(llp, chr_)
    before = llp.status()["refused"]
    twin = second_machine()
    call(llp, 8, "Rosa")
    net.proven(llp, chr_)
    old = copy_of(hub)
    hub.sql("INSERT INTO code_list (list, code, label_fr) VALUES ('site_kind', 'FERME', 'Ferme')")
    net.proven(llp, chr_)
    put_back(hub, old)
    net.proven(llp, chr_)
    expect("the code at the hub, shown by its sites", hub.count("code_list", "code = 'FERME'"), 1)
    tell("the hub is put back, and its sites give it back its own code; then La Loupe's copied disk is started")
    twin.start()
    net.wait_for("La Loupe to be held", lambda: llp.status()["reason"] == "two_machines", seconds=60)
    twin.stop()
    hub.perche("recover", "LLP")
    epoch = llp.status()["epoch"]
    llp.stop()
    llp.start()  # a new epoch, which begins before what it had shown
    net.proven(llp)
    if llp.status()["epoch"] == epoch:
        raise Failure("it sends nothing again")
    expect("writes that are listed as refused at La Loupe", llp.status()["refused"], before)
    expect("the code at both", (hub.count("code_list", "code = 'FERME'"), llp.count("code_list", "code = 'FERME'")), (1, 1))
    tell("it goes on in a new epoch; nothing is listed as refused")
    del net.nodes["twin"]


@case("a hub that was put back without hub.crt does not start, keeps its key, and goes on with the file of a site")
def _():
    crt, key = os.path.join(hub.data, "hub.crt"), os.path.join(hub.data, "keys", "hub.key")
    with open(key, encoding="ascii") as f:
        text = f.read()
    hub.stop()
    os.unlink(crt)
    said = hub.start_fails()
    for word in (crt, key, "upstream.crt"):
        expect_in("what it says", word, said)
    with open(key, encoding="ascii") as f:
        expect("its key", f.read(), text)
    shutil.copy(os.path.join(llp.data, "upstream.crt"), crt)
    hub.start()
    tell("with upstream.crt of La Loupe as hub.crt it starts, and both sites know it")
    net.proven(llp, chr_)
    expect("new certificates that the log tells of", hub.log_text().count("hub.certificate"), 1)


@case("a machine that was revoked stays out of a hub that is put back to before that")
def _():
    old = copy_of(hub)
    hub.perche("revoke", "CHR")
    net.wait_for("Chartres to be refused", lambda: chr_.status()["reason"] == "revoked")
    put_back(hub, old)
    expect("the log says so", hub.log_text().count("hub.revoked_again"), 1)
    seen = site_seen_by_hub("Chartres")
    if not seen["revoked_at"]:
        raise Failure("it is not revoked: " + str(seen))
    chr_.stop()
    chr_.start()
    net.wait_for("Chartres to be refused once more", lambda: chr_.status()["reason"] == "revoked")
    tell("its key stands in keys/revoked, which no copy of the database takes away")
    llp.sync_wait()


perche_net.main(build, [net])
