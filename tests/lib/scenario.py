"""Scenarios: stories of a network of schools, each by its name. A hub and its sites, every site on a line of its own (perche-relay) that the
story cuts and opens; what is written goes through the sqlite3 shell at the node, in the order of the story.

    story = scenario.Story({"LLP": "La Loupe", "CHR": "Chartres", "PLC": ("Bureau", "PLACEMENT_OFFICE")})
    @scenario.scenario("WCS-A", "a learner moves while the old school is offline")
    def _(): ...
    scenario.main(story, build)

Run with names, only these are played: test_scenario_wcs.py WCS-A WCS-C.
"""
import os
import sys

import perche_net
from perche_net import Failure, case, expect

os.environ["COLUMNS"] = "160"


def id(kind, n):
    """A key that a test can name: LEARNER 17 is id(LEARNER, 17)."""
    return f"0198f3a0-0000-7000-8{kind:03d}-{n:012d}"


LEARNER, ENROLMENT, COHORT, HALF_DAY, UNIT, PHONE, EMAIL, TRANSFER, TRAINING, OBSERVATION, LEASE, EVENT, VENTURE, ORGANISATION, AGREEMENT, APPLICATION = range(1, 17)


class Story(perche_net.Network):
    """sites: code -> name, or (name, kind). The nodes are story.LLP and so on."""

    def __init__(self, sites):
        super().__init__()
        self.places = {code: (site, "SCHOOL") if isinstance(site, str) else site for code, site in sites.items()}
        self.SITES = {code: (name, code) for code, (name, _) in self.places.items()}
        self.lines = {}

    def begin(self):
        self.add_hub()
        for code, (name, kind) in self.places.items():
            self.join(code, kind)
        self.hub.sql(f"INSERT INTO training (id, network_id, title) SELECT '{id(TRAINING, 1)}', id, 'Développeur web' FROM network")
        self.together()

    def join(self, code, kind="SCHOOL", **kw):
        self.lines[code] = self.relay(code)
        node = self.add(code, **kw).start()
        node.perche("join", "--url", self.lines[code].url, "-", stdin=self.invite(code, "--kind", kind) + "\n")
        setattr(self, code, node)
        return node

    def cut(self, *codes):
        for code in codes if not CUTS_LEFT_OUT else ():
            self.lines[code].cut()
        if CUTS_LEFT_OUT:
            self.uncut = codes

    def offline(self, what, found, wanted):
        """What cannot have come, as the line is cut. With the cuts left out it has, at the latest when everybody has been asked."""
        if CUTS_LEFT_OUT:
            for code in self.uncut:
                self.nodes[code].sync_wait()
        expect(what, found(), wanted)

    def heal(self, *codes):
        for code in codes:
            self.lines[code].open()
        for code in codes:
            self.nodes[code].sync_wait()

    def together(self):
        """What everybody has written has arrived everywhere."""
        for _ in range(2):
            for code in self.places:
                self.nodes[code].sync_wait()

    def readers(self, reader, area, may_write=1):
        self.hub.sql("INSERT INTO site_reader (site_id, reader_id, area, may_write) SELECT s.id, p.id, "
                     f"'{area}', {may_write} FROM site s, site p WHERE p.code = '{reader}' AND s.kind = 'SCHOOL'")

    def site_id(self, code):
        return self.hub.sql(f"SELECT id FROM site WHERE code = '{code}'")

    def cohort(self, node, n, code, starts_on, ends_on, capacity=30, mode="ON_SITE"):
        node.sql(f"INSERT INTO cohort (id, site_id, training_id, code, starts_on, ends_on, capacity, mode, status) SELECT '{id(COHORT, n)}', site_id,"
                 f" '{id(TRAINING, 1)}', '{code}', '{starts_on}', '{ends_on}', {capacity}, '{mode}', 'RUNNING' FROM perche_self")

    def half_days(self, node, cohort, days, mode="ON_SITE"):
        listed = " UNION ALL ".join(f"SELECT '{day}' AS day" for day in days)
        node.sql(f"INSERT INTO half_day (cohort_id, day, half, mode) SELECT '{id(COHORT, cohort)}', day, half, '{mode}' FROM ({listed}), (SELECT 'AM' AS half UNION ALL SELECT 'PM')")

    def learner(self, node, n, cohort=None, start="2016-03-07", end="2016-08-05", family=None, given="Camille", born=None):
        """A learner, with an enrolment of the same number in the cohort, a telephone and an e-mail."""
        node.sql(f"INSERT INTO learner (id, home_site_id, birth_family_name, given_names, birth_date) SELECT '{id(LEARNER, n)}', site_id, '{family or 'Famille%d' % n}', '{given}',"
                 f" '{born or '1990-01-%02d' % (n % 28 + 1)}' FROM perche_self",
                 f"INSERT INTO learner_contact (id, learner_id, kind, value) VALUES ('{id(PHONE, n)}', '{id(LEARNER, n)}', 'PHONE', '06000000{n:02d}'), ('{id(EMAIL, n)}', '{id(LEARNER, n)}', 'EMAIL', 'a{n}@example.org')")
        if cohort:
            node.sql(f"INSERT INTO enrolment (id, learner_id, cohort_id, site_id, name_at_entry, planned_start, planned_end, actual_start) SELECT '{id(ENROLMENT, n)}', '{id(LEARNER, n)}',"
                     f" '{id(COHORT, cohort)}', site_id, '{given} {family or 'Famille%d' % n}', '{start}', '{end}', '{start}' FROM perche_self")

    def mark(self, node, when, enrolment, mark, minutes, proof="PAPER_SCAN", voids=None):
        """@when: "2016-04-12 AM"."""
        node.sql(f"INSERT INTO attendance (half_day_id, enrolment_id, mark, minutes, proof, recorded_at, recorded_site, voids) SELECT h.id, '{enrolment}', '{mark}', {minutes}, '{proof}',"
                 f" '{when[:10]}T18:00:00Z', site_id, {voids or 'NULL'} FROM half_day h, perche_self WHERE h.day || ' ' || h.half = '{when}'"
                 f" AND h.cohort_id = (SELECT cohort_id FROM enrolment WHERE id = '{enrolment}')")

    def conflicts(self, node, kind=None):
        return [c for c in node.json("conflicts")["conflicts"] if kind in (None, c["kind"])]

    def take(self, node, conflict, value, reason):
        """Decides for the side that has @value."""
        sides = [s for s in "ab" if conflict[s]["value"] == value]
        expect(f"sides of {conflict['column']} that say {value}", len(sides), 1)
        node.perche("conflicts", "resolve", conflict["id"], "--take", sides[0], "--reason", reason)

    def figure(self, name, *options, part=None, node=None):
        """numerator, denominator, contested of the row of all"""
        rows = [r for f in (node or self.hub).json("report", name, *options)["figures"] for r in f["rows"] if r["part"] == part and not r["group"]]
        return (rows[0]["numerator"], rows[0]["denominator"], rows[0]["contested"]) if rows else (0, 0, 0)


CUTS_LEFT_OUT = os.environ.get("PERCHE_TEST_NO_CUTS") == "1"  # every story that cuts a line has to fail then
_asked = [a for a in sys.argv[1:] if not a.startswith("-")]
_names = []


def scenario(name, title):
    def register(run):
        _names.append(name)
        return case(f"{name}: {title}")(run) if not _asked or name in _asked else run
    return register


def main(story, build):
    unknown = [name for name in _asked if name not in _names]
    if unknown:
        print(f"there is no scenario {' '.join(unknown)} here: {' '.join(_names)}", file=sys.stderr)
        sys.exit(2)

    def begin():
        story.begin()
        build()
    perche_net.main(begin, [story])
