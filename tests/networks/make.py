#!/usr/bin/env python3
"""Prints a network of tests/networks as SQL for its hub: make.py FOLDER.

network.sql as it is, then the rows that the .csv files count: sites, cohorts, and for each cohort so many people with
their enrolments. Who the people are is drawn from the folder's name. Ids are made of it, a kind and a number: the same
folder always gives the same text.
"""
import csv
import datetime
import os
import random
import sys
import zlib

GIVEN_F = "Alice Amina Anaïs Camille Chloé Clara Djamila Élise Emma Fanny Hélène Inès Jeanne Julie Khadija Laura Léa Lina Louise Manon Marie Maëlle Nadia Noémie Océane Pauline Sarah Solène Yasmine Zoé".split()
GIVEN_M = "Adrien Alexis Antoine Baptiste Benoît Clément Damien David Enzo Étienne Florian Gaël Hugo Idriss Jérémy Julien Karim Kévin Loïc Lucas Mathis Mehdi Nicolas Omar Paul Quentin Romain Samuel Théo Yann".split()
FAMILY = ("Abadie Alonso Barthe Bazin Benoist Bertin Blanc Bonnet Boyer Calvet Carrié Castel Cazaux Colas Cros Dedieu Delmas Dupuy Durand "
          "Escande Fabre Faure Ferrand Galy Garcia Gayraud Gomez Guiraud Hamdi Jourdan Lacaze Lacoste Laffont Laurens Lopez Maurel Mazars Medina "
          "Molinier Nait Pagès Pélissier Pons Pujol Rey Rouquette Sabatier Salles Sanchez Ségala Soulié Tessier Vaillant Vidal Viguier Yildiz").split()

STAFF = 1  # the one member of staff who decides
KINDS = {"site": 0xa, "cohort": 0xc, "learner": 1, "enrolment": 2, "application": 3, "observation": 4, "cost": 5, "attempt": 6, "staff": 7, "score": 8}


def quoted(value):
    if value is None or value == "":
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


class Network:
    def __init__(self, folder):
        self.folder = folder
        self.name = os.path.basename(os.path.normpath(folder))
        self.random = random.Random(self.name)
        self.number = zlib.crc32(self.name.encode()) & 0xffff
        self.counts = {}
        self.sites = {}
        self.cohorts = {}   # code -> (id, row, enrolments)
        self.sets = {}      # set -> enrolments of its cohorts, in their order

    def id(self, kind, n):
        return f"0155{self.number:04x}-{KINDS[kind]:04x}-7000-8000-{n:012d}"

    def next(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.id(kind, self.counts[kind])

    def rows(self, name):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            return
        with open(path, encoding="utf-8", newline="") as f:
            yield from csv.DictReader(line for line in f if not line.startswith("#"))

    def insert(self, table, **columns):
        columns = {name: value for name, value in columns.items() if value not in (None, "")}
        print(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(quoted(v) for v in columns.values())});")

    # ---- people ----

    def person(self, site):
        sex = self.random.choice("FM")
        born = datetime.date(1998, 1, 1) - datetime.timedelta(days=self.random.randrange(25 * 365))
        learner = self.next("learner")
        self.insert("learner", id=learner, home_site_id=site, given_names=self.random.choice(GIVEN_F if sex == "F" else GIVEN_M),
                    birth_family_name=self.random.choice(FAMILY), birth_date=born.isoformat(), sex=sex, birth_country="FR")
        return learner

    def enrol(self, learner, cohort, row, site):
        enrolment = self.next("enrolment")
        ended = row["status"] == "ENDED"
        self.insert("enrolment", id=enrolment, learner_id=learner, cohort_id=cohort, site_id=site, planned_start=row["starts_on"],
                    planned_end=row["ends_on"], actual_start=row["starts_on"], actual_end=row["ends_on"] if ended else None,
                    exit_reason="COMPLETION" if ended else None)
        if row.get("certified") == "1":
            self.insert("cert_attempt", id=self.next("attempt"), enrolment_id=enrolment, rncp_code=row["rncp"], jury_on=row["ends_on"], result="FULL")
        return enrolment

    # ---- files ----

    def make_sites(self):
        for row in self.rows("sites.csv"):
            site = self.sites[row["code"]] = self.next("site")
            print("INSERT INTO site (id, network_id, code, name, kind, commune_insee, rural, opened_on, status)"
                  f" SELECT {quoted(site)}, id, {quoted(row['code'])}, {quoted(row['name'])}, {quoted(row['kind'])}, {quoted(row['commune_insee'])},"
                  f" {quoted(int(row['rural'])) if row['rural'] else 'NULL'}, {quoted(row['opened_on'])}, {quoted(row['status'])} FROM network;")

    def make_cohorts(self):
        for row in self.rows("cohorts.csv"):
            site = self.sites[row["site"]]
            cohort = self.next("cohort")
            self.insert("cohort", id=cohort, site_id=site, training_id=row["training_id"], code=row["code"], starts_on=row["starts_on"],
                        ends_on=row["ends_on"], capacity=int(row["capacity"]), hours_centre=int(row["hours_centre"] or 0) or None,
                        hours_company=int(row["hours_company"] or 0) or None, mode=row["mode"], rhythm=row.get("rhythm"), operator_org_id=row.get("operator_org_id"),
                        status=row["status"])
            admitted = list(self.admit(row["code"], cohort, site))
            people = admitted or [self.person(site) for _ in range(int(row["learners"]))]
            enrolments = [self.enrol(learner, cohort, row, site) for learner in people[:int(row["learners"])]]
            self.cohorts[row["code"]] = (cohort, row, enrolments)
            self.sets.setdefault(row.get("set") or row["code"], []).extend((e, row, site) for e in enrolments)
            self.make_costs(row, cohort, site)

    def make_costs(self, row, cohort, site):
        total = int(row.get("cost_cents") or 0)
        if total == 0:
            return
        parts = {"PREMISES": total * 15 // 100, "EQUIPMENT": total * 5 // 100, "SUPPORT": total * 10 // 100}
        parts["TEACHING"] = total - sum(parts.values())
        for kind, cents in parts.items():
            self.insert("cost_item", id=self.next("cost"), cohort_id=cohort, site_id=site, kind=kind, on_date=row["ends_on"], cents=cents)

    def admit(self, code, cohort, site):
        """Applications of a cohort; gives the people who were admitted. Who came to an interview was scored there."""
        for row in self.rows("applications.csv"):
            if row["cohort"] != code:
                continue
            received, interviewed, admitted = (int(row[k]) for k in ("received", "interviewed", "admitted"))
            for i in range(received):
                learner = self.person(site)
                application = self.next("application")
                stage = "ENROLLED" if i < admitted else "REFUSED"
                self.insert("application", id=application, site_id=site, cohort_id=cohort, learner_id=learner, received_on=row["received_on"],
                            channel=self.random.choice(["ONLINE", "PRESCRIBER", "EVENT"]), stage=stage, decided_on=row["decided_on"],
                            decided_by=self.id("staff", STAFF))
                if i < interviewed:
                    for criterion in row["criteria"].split():
                        self.insert("application_score", id=self.next("score"), application_id=application, criterion=criterion,
                                    score=self.random.randint(3, 5) if i < admitted else self.random.randint(0, 3),
                                    assessor=self.id("staff", STAFF), at=row["decided_on"] + "T10:00:00Z")
                if i < admitted:
                    yield learner

    def make_outcomes(self):
        left = {}
        for row in self.rows("outcomes.csv"):
            key = (row["set"], row["milestone"])
            if key not in left:
                left[key] = list(self.sets[row["set"]])
                self.random.shuffle(left[key])
            for _ in range(int(row["learners"])):
                enrolment, cohort, site = left[key].pop()
                observation = self.next("observation")
                at = row["decided_on"] + "T09:00:00Z"
                self.insert("outcome_observation", id=observation, enrolment_id=enrolment, milestone=row["milestone"], as_of=row["as_of"],
                            situation=row["situation"], source="LEARNER_CALL", proof="DECLARED", recorded_at=at, recorded_site=site,
                            recorded_by=self.id("staff", STAFF))
                if row["decided"] == "1":
                    self.insert("outcome_decision", enrolment_id=enrolment, milestone=row["milestone"], situation=row["situation"],
                                observation_id=observation, rule="ONLY_ONE", decided_by=self.id("staff", STAFF), decided_at=at)

    def make(self):
        print("PRAGMA busy_timeout = 10000;\nBEGIN IMMEDIATE;")
        with open(os.path.join(self.folder, "network.sql"), encoding="utf-8") as f:
            print(f.read())
        self.make_sites()
        self.insert_staff()
        self.make_cohorts()
        self.make_outcomes()
        print("COMMIT;")

    def insert_staff(self):
        if self.sites:
            self.insert("staff_account", id=self.id("staff", STAFF), site_id=next(iter(self.sites.values())), display_name="Claude Martin", role="SITE_ADMIN", valid_from="2014-01-01")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not os.path.isdir(sys.argv[1]):
        sys.exit(__doc__)
    Network(sys.argv[1]).make()
