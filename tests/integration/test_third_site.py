#!/usr/bin/env python3
"""A site has its own records and no other's: what two schools wrote is looked for in every file of the third one, in each form that
Perche keeps values in. The search is first shown to find each value, in each form, where it is."""
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect
from scenario import COHORT, ENROLMENT, LEARNER, Story, id

story = Story({"LLP": "La Loupe", "CHR": "Chartres", "DRX": "Dreux"})
OPENER = os.path.join(perche_net.BUILD, "perche-opener")


class Secret:
    """What one learner's records say, and nobody else's."""

    def __init__(self, n, family, born, phone, note):
        self.learner, self.enrolment, self.n = id(LEARNER, n), id(ENROLMENT, n), n
        self.family, self.born, self.phone, self.note = family, born, phone, note

    def texts(self):
        return {"the id": self.learner, "the name": self.family, "the date of birth": self.born, "the telephone": self.phone, "the note": self.note}


SECRETS = {"LLP": Secret(41, "Quenouillère", "1923-05-17", "0698765401", "né à Brunelles"),
           "CHR": Secret(42, "Trottignon-Vaux", "1931-09-28", "0697531246", "vient de Béville")}
GIVEN = ("Aurélienne", "Aurélien Bastien")  # what La Loupe and the hub disagree about


def write(node, s):
    story.learner(node, s.n, cohort=1 if node.key == "LLP" else 2, family=s.family, born=s.born)
    node.sql(f"UPDATE learner_contact SET value = '{s.phone}' WHERE learner_id = '{s.learner}' AND kind = 'PHONE'",
             f"UPDATE learner SET call_name = '{s.note}' WHERE id = '{s.learner}'")


def build():
    global hub, llp, chr_, drx
    hub, llp, chr_, drx = story.hub, story.LLP, story.CHR, story.DRX
    for node, n in ((llp, 1), (chr_, 2), (drx, 3)):
        story.cohort(node, n, "P%d" % n, "2016-03-07", "2016-08-05")
        story.half_days(node, n, ("2016-04-12", "2016-04-13"))
    write(llp, SECRETS["LLP"])
    write(chr_, SECRETS["CHR"])
    story.learner(drx, 43, cohort=3)
    story.together()
    # a question, a refused image and a parked row that say something of La Loupe's learner
    s = SECRETS["LLP"]
    story.cut("LLP")
    llp.sql(f"UPDATE learner SET given_names = 'Aurélienne' WHERE id = '{s.learner}'")
    hub.sql(f"UPDATE learner SET given_names = 'Aurélien Bastien' WHERE id = '{s.learner}'")
    story.heal("LLP")
    llp.sql(f"INSERT INTO organisation (name) VALUES ('{s.family} et fils')")
    story.together()
    llp.sql("ALTER TABLE learner_contact RENAME TO contact_away")
    hub.sql(f"UPDATE learner_contact SET value = '{s.phone}' || '77' WHERE learner_id = '{s.learner}' AND kind = 'PHONE'")
    story.wait_for("the row whose table is away to be set aside", lambda: llp.count("perche_parked") == 1)


def places(node):
    """[(place, kind, what is found there)] of everything in the file; its daemon does not run."""
    p = subprocess.run([OPENER, node.db], capture_output=True, timeout=120 * perche_net.SLOW, check=False)
    if p.returncode != 0:
        raise Failure(f"perche-opener: {p.stderr.decode(errors='replace')}")
    found = []
    for line in p.stdout.decode("utf-8").splitlines():
        place = json.loads(line)
        body = bytes.fromhex(place["found"]) if place["kind"] in ("plain", "unzipped") else place["found"].encode()
        found.append((place["where"], place["kind"], body))
    return found


def forms_of(text):
    """How a text may stand in bytes that nobody decodes."""
    forms = {"text": text.encode(), "UTF-16": text.encode("utf-16-le")}
    if len(text) == 36:
        forms["16 bytes"] = bytes.fromhex(text.replace("-", ""))
        forms["hexadecimal"] = text.replace("-", "").encode()
    return forms


def found_at(node, text):
    """{kind or file: place} of each place at @node that says @text."""
    found = {}
    for where, kind, body in opened[node.key]:
        if text.encode() in body:
            found.setdefault(kind, []).append(where)
        elif len(text) == 36 and forms_of(text)["16 bytes"] in body:
            found.setdefault(kind + ", 16 bytes", []).append(where)
    for file, body in files[node.key].items():
        for form, part in forms_of(text).items():
            if part in body:
                found.setdefault(f"bytes of a file, {form}", []).append(file)
    return found


def read_all():
    global opened, files
    opened, files = {}, {}
    for node in (llp, chr_, drx):
        node.stop()
        files[node.key] = {}
        for folder, _, names in os.walk(os.path.dirname(node.db)):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        files[node.key][os.path.relpath(path, os.path.dirname(node.db))] = f.read()
        opened[node.key] = places(node)


def packed_at(node, text):
    """Where decoding alone finds it: the body that it is in does not have its text."""
    return [where for where, kind, body in opened[node.key] if kind == "packed" and body == text.encode() and
            not any(w == where and k in ("plain", "unzipped") and text.encode() in b for w, k, b in opened[node.key])]


@case("where the values are, the search finds each of them: as text, as 16 bytes, as a day's number, as digits, zipped, in blocks, a question, a refusal and parked")
def _():
    read_all()
    for key, s in SECRETS.items():
        node = story.nodes[key]
        for what, text in s.texts().items():
            found = found_at(node, text)
            for kind in ("text", "bytes of a file, text") + (("key",) if text == s.learner else ("packed",)):
                expect(f"{what} at {key} as {kind}: found", bool(found.get(kind)), True)
        expect(f"the id at {key} in 16 bytes", bool(found_at(node, s.learner).get("bytes of a file, 16 bytes")), True)
        for what, text in (("the date of birth", s.born), ("the telephone", s.phone), ("the id", s.learner)):
            expect(f"{what} at {key} packed: found only by decoding", bool(packed_at(node, text)), True)
        expect(f"the name at {key} in a zipped block", bool(found_at(node, s.family).get("unzipped")), True)
    s = SECRETS["LLP"]
    everywhere = [w for text in (*s.texts().values(), *GIVEN) for at in found_at(llp, text).values() for w in at]
    for place in ("perche_history.body", "perche_conflict.", "perche_refused.image", "perche_parked.body"):
        expect(f"something of it in {place}", any(w.startswith(place) for w in everywhere), True)


@case("the third school's files have none of them, in no form, and none of them names the others' learners")
def _():
    for key, s in SECRETS.items():
        for what, text in (*s.texts().items(), ("the enrolment", s.enrolment), *(("a given name", given) for given in GIVEN)):
            expect(f"{what} of {key} at DRX", found_at(drx, text), {})
            if key == "LLP":
                expect(f"{what} of {key} at CHR", found_at(chr_, text), {})
    expect("what DRX has of its own", bool(found_at(drx, id(LEARNER, 43)).get("text")), True)


@case("a school that names another's learner, in an enrolment, a contact or a transfer, is told nothing of that learner")
def _():
    s = SECRETS["CHR"]
    for node in (llp, chr_, drx):
        node.start()
    drx.sql(f"INSERT INTO enrolment (id, learner_id, cohort_id, site_id, name_at_entry, planned_start, planned_end) SELECT '{id(ENROLMENT, 90)}', '{s.learner}', '{id(COHORT, 3)}', site_id, 'X',"
            " '2016-03-07', '2016-08-05' FROM perche_self",
            f"INSERT INTO learner_contact (learner_id, kind, value) VALUES ('{s.learner}', 'PHONE', '0600000000')",
            "INSERT INTO transfer (learner_id, enrolment_id, from_site, to_site, to_cohort_id, asked_on, effective_on, state)"
            f" SELECT '{s.learner}', '{s.enrolment}', '{story.site_id('CHR')}', site_id, '{id(COHORT, 3)}', '2016-04-01', '2016-04-12', 'ASKED' FROM perche_self")
    for _ in range(3):
        drx.sync_wait()
        chr_.sync_wait()
    read_all()
    for what, text in s.texts().items():
        if what != "the id":  # it wrote that itself
            expect(f"{what} of CHR at DRX", found_at(drx, text), {})
    expect("CHR still has it all", all(found_at(chr_, text) for text in s.texts().values()), True)


def begin():
    story.begin()
    build()


perche_net.main(begin, [story])
