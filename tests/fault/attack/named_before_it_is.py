#!/usr/bin/env python3
"""P7, 4.6: naming an id opens no door. A site that names, in an enrolment or a transfer of its own, a learner whom the hub does not know
(yet, or any more) must not be given that learner once another school's row of it arrives."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case, expect, expect_in

net = perche_net.Network()
LEARNER = "01487832-4000-7000-8001-0000000001%02d"
CHILD = "01487832-4000-7000-8002-0000000001%02d"


def build():
    global hub, thief, owner
    hub = net.add_hub()
    thief = net.add_site("dreux")
    owner = net.add_site("la-loupe")
    settle()


def settle():
    for site in (thief, owner, thief, owner):
        site.sync_wait()


def learner(n):
    return f"INSERT INTO learner (id, given_names, home_site_id) VALUES ('{LEARNER % n}', 'Secret{n}', '{owner.id}')"


def enrolment(n):
    return f"""INSERT INTO enrolment (id, learner_id, cohort_id, site_id, planned_start, planned_end)
        VALUES ('{CHILD % n}', '{LEARNER % n}', 'c', '{thief.id}', '2026-01-05', '2026-06-30')"""


def seen(n):
    said = thief.sql(f"SELECT given_names FROM learner WHERE id = '{LEARNER % n}'")
    refused = thief.sql(f"SELECT tab || ' ' || reason FROM perche_refused WHERE key LIKE '%{CHILD % n}%'")
    if said:
        raise Failure(f"Dreux, which only named the id, has La Loupe's learner: {said!r}; refused there: {refused or 'nothing'}; "
                      f"enrolments at the hub: {hub.count('enrolment', f'''id = '{CHILD % n}' ''')}")


@case("control: the hub has the learner before Dreux names it")
def _():
    owner.sql(learner(1))
    settle()
    thief.sql(enrolment(1))
    settle()
    seen(1)


@case("La Loupe's learner arrives at the hub after Dreux named its id (La Loupe's line was down)")
def _():
    owner.stop()
    owner.sql(learner(2))
    thief.sql(enrolment(2))
    thief.sync_wait()
    owner.start()
    settle()
    seen(2)
    expect("the enrolment at the hub and at Dreux", (hub.count("enrolment"), thief.count("enrolment")), (0, 0))
    expect_in("what was refused, with its values", LEARNER % 2, thief.sql("SELECT image FROM perche_refused WHERE tab = 'enrolment' AND reason = 'member'"))


@case("the learner was deleted when Dreux named it; La Loupe inserts it again")
def _():
    owner.sql(learner(3))
    settle()
    owner.sql(f"DELETE FROM learner WHERE id = '{LEARNER % 3}'")
    settle()
    thief.sql(enrolment(3))
    settle()
    owner.sql(learner(3))
    settle()
    seen(3)


@case("a transfer that Dreux asks for, of a learner who arrives later")
def _():
    columns = thief.sql("SELECT group_concat(name) FROM pragma_table_info('transfer') WHERE \"notnull\" AND dflt_value IS NULL AND NOT pk")
    values = {"learner_id": LEARNER % 4, "from_site": owner.id, "to_site": thief.id, "state": "ASKED"}
    names = sorted(set(columns.split(",")) | set(values))
    thief.sql(f"INSERT INTO transfer ({', '.join(names)}) VALUES ({', '.join(chr(39) + values.get(c, '2026-01-05') + chr(39) for c in names)})")
    thief.sync_wait()
    owner.sql(learner(4))
    settle()
    seen(4)
    expect("the transfer at the hub and at Dreux", (hub.count("transfer"), thief.count("transfer")), (0, 0))
    expect_in("what was refused, with its values", LEARNER % 4, thief.sql("SELECT image FROM perche_refused WHERE tab = 'transfer' AND reason = 'member'"))


@case("the learner's contact follows it")
def _():
    thief.sql(enrolment(5))
    thief.sync_wait()
    owner.sql(learner(5) + f"; INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('{CHILD % 55}', '{LEARNER % 5}', 'MAIL', 'secret@example.org')")
    settle()
    expect("contacts of La Loupe's learner at Dreux", thief.sql("SELECT value FROM learner_contact"), "")


def contact(n, learner_n):
    return f"""INSERT INTO learner_contact (id, learner_id, kind, value)
        VALUES ('{CHILD % n}', '{LEARNER % learner_n}', 'MAIL', 'planted@example.org')"""


@case("a contact that Dreux adds below a learner who arrives later, and one that it gives to him")
def _():
    own = learner(6).replace(owner.id, thief.id)
    thief.sql(own + ";" + contact(61, 6))
    settle()
    thief.sql(contact(62, 7) + f"; UPDATE learner_contact SET learner_id = '{LEARNER % 7}' WHERE id = '{CHILD % 61}'")
    thief.sync_wait()
    owner.sql(learner(7))
    settle()
    expect("contacts below La Loupe's learner, at the hub, at La Loupe and at Dreux",
           tuple(n.count("learner_contact", f"learner_id = '{LEARNER % 7}'") for n in (hub, owner, thief)), (0, 0, 0))
    expect("the one that was there before is below its own learner again", thief.sql(f"SELECT learner_id FROM learner_contact WHERE id = '{CHILD % 61}'"), LEARNER % 6)
    expect_in("what was refused, with its values", LEARNER % 7, thief.sql("SELECT image FROM perche_refused WHERE tab = 'learner_contact' AND reason = 'parent' AND columns = ''"))


perche_net.main(build, [net])
