#!/usr/bin/env python3
"""École régionale du numérique, Occitanie: sixteen schools and the Region."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import NETWORKS, Failure, expect, expect_in
from scenario import COHORT, LEARNER, Story, id, main, scenario

CODES = ["ALB", "AUC", "CAH", "CCS", "CST", "FIG", "FOI", "LAN", "LOD", "MEN", "MIL", "MTB", "NAR", "NIM", "TLS", "CRB"]
story = Story({code: f"ERN {code}" for code in CODES})


def build():
    global hub
    hub = story.hub


@scenario("ERN-A", "half of the network is cut off for days and comes back at once: the same state everywhere, and nobody is left behind")
def _():
    off, on = CODES[:8], CODES[8:]
    for k, code in enumerate(CODES):
        story.learner(story.nodes[code], k + 1)
    story.together()
    story.cut(*off)
    for k, code in enumerate(off):
        rows = 4000 if k == 0 else 40  # one of them has a whole archive to send
        story.nodes[code].sql(f"INSERT INTO learner (home_site_id, birth_family_name) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows}) SELECT site_id, 'Été ' || n FROM n, perche_self")
    hub.sql("INSERT INTO organisation (name) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200) SELECT 'Entreprise ' || n FROM n")
    for code in on:
        story.nodes[code].sync_wait()
    story.offline("offline", lambda: (hub.count("learner", "birth_family_name LIKE 'Été %'"), story.nodes[off[0]].count("organisation")), (0, 0))
    story.lines[off[0]].ask("rate 6000")
    for code in off:
        story.lines[code].open()
    asked = {code: subprocess.Popen([os.path.join(perche_net.BUILD, "perche"), "--socket", story.nodes[code].socket, "sync", "--wait", "--timeout", "120s"],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for code in off}
    slow = story.lines[off[0]]
    for code in off[1:] + off[:1]:
        if code == off[0]:  # the others have not waited for it
            expect("the one with an archive, when all others have ended", asked[code].poll(), None)
            archive = lambda: hub.count("learner", f"home_site_id = '{story.site_id(code)}'")
            story.wait_for("some of the archive", lambda: archive() > 1)
            sent = slow.ask("stats")["up_bytes"]
            slow.ask("drop")
            there = archive()
            expect("a part of the archive, when its line breaks", 1 < there < 4001, True)
            slow.ask("rate 0")
        said, _ = asked[code].communicate(timeout=180)
        if asked[code].returncode != 0:
            raise Failure(f"sync of {code}: {said.decode()[-300:]}")
    story.together()
    again = slow.ask("stats")["up_bytes"] - sent
    expect(f"{again} bytes after the break, {sent} before it: what had arrived is not sent again", again < 45000 * (4001 - there) / 4001 + 8000, True)
    learners = 16 + 4000 + 7 * 40
    expect("learners at the hub", hub.count("learner"), learners)
    expect("each has its own and no other's", [story.nodes[code].count("learner") for code in CODES], [4001] + [41] * 7 + [1] * 8)
    expect("the reference data, everywhere", {story.nodes[code].count("organisation") for code in CODES}, {200})
    for code in CODES:
        expect(f"{code} is proven equal", story.nodes[code].json("verify")["equal"], True)


@scenario("ERN-B", "a funder is renamed and a code closed while a school is away: what it still enters is accepted, valid at its day, and old papers keep the old label")
def _():
    node = story.nodes["CRB"]
    story.together()
    story.cut("CRB")
    hub.sql("UPDATE code_list SET label_fr = 'France Travail (ex Pôle emploi)', valid_from = '2024-01-01' WHERE list = 'programme' AND code = 'FRANCE_TRAVAIL'",
            "INSERT INTO code_list (list, code, label_fr, label_en, valid_to, replaced_by) VALUES ('programme', 'OPCA', 'OPCA', 'OPCA', '2019-03-31', 'OPCO')",
            "INSERT INTO organisation (id, name) VALUES ('0198f3a0-0000-7000-8014-000000000009', 'Uniformation')")
    node.sql("INSERT INTO funding_agreement (id, site_id, funder_org_id, programme, level, level_id, state, granted_cents, eligible_total_cents, starts_on)"
             " SELECT '0198f3a0-0000-7000-8015-000000000009', site_id, '0198f3a0-0000-7000-8014-000000000009', 'OPCA', 'SITE', site_id, 'GRANTED', 100, 200, '2018-09-01' FROM perche_self")
    story.offline("offline", lambda: (node.count("code_list", "code = 'OPCA'"), hub.count("funding_agreement")), (0, 0))
    story.heal("CRB")
    story.together()
    expect("accepted", hub.sql("SELECT programme FROM funding_agreement"), "OPCA")
    for n in (hub, node):
        expect(f"nothing of it is invalid at {n.key}", n.count("perche_invalid", "tab = 'funding_agreement'"), 0)
    expect("valid on its day, and what it is called now", hub.sql("SELECT c.valid_to >= f.starts_on, c.replaced_by FROM funding_agreement f JOIN code_list c ON c.list = 'programme' AND c.code = f.programme"), "1|OPCO")
    expect("counted", story.figure("co_funding", part="OPCA"), (100, 200, 0))
    label = [e["value"] for e in hub.json("history", "code_list", "programme,FRANCE_TRAVAIL")["entries"] if e["column"] == "label_fr"]
    expect("the label that old papers have", (len(label), label[-1]), (2, "France Travail (ex Pôle emploi)"))
    expect("and it is not the new one", label[0] != label[-1], True)


def load():
    made = subprocess.run([os.path.join(NETWORKS, "make.py"), os.path.join(NETWORKS, "ern-occitanie")], capture_output=True, text=True, timeout=60)
    text = "\n".join(line for line in made.stdout.splitlines() if line not in ("BEGIN IMMEDIATE;", "COMMIT;"))
    for code in CODES:  # the schools are here: their rows are those of the data
        text = text.replace(next(line for line in text.splitlines() if line.startswith("INSERT INTO site ") and f"'{code}'" in line), "")
    ids = {f"0155{zlib_number():04x}-000a-7000-8000-{n + 1:012d}": story.site_id(code) for n, code in enumerate(CODES)}
    for old, new in ids.items():
        text = text.replace(old, new)
    hub.sql_text("ern-occitanie", text)


def zlib_number():
    import zlib
    return zlib.crc32(b"ern-occitanie") & 0xffff


@scenario("ERN-D", "the published 80 %: 64 / 4 / 10 / other 2 of 50, and with figures cut off 64 / 4 / 10 of 65; a reader can add up")
def _():
    if hub.count("indicator_definition", "id = 'REGION_POS_CUT'") == 0:
        load()
    of_50, of_65 = ("--from", "2017-01-01", "--to", "2017-12-31", "--as-of", "2018-12-31"), ("--from", "2018-01-01", "--to", "2018-12-31", "--as-of", "2019-12-31")
    values = lambda name, period: [r["value"] for part in ("EMPLOYEE", "ENTREPRENEUR", "STUDIES", "OTHER_POSITIVE", "POSITIVE") for f in hub.json("report", name, *period)["figures"] for r in f["rows"] if r["part"] == part]
    expect("of 50", values("REGION_POS", of_50), ["64", "4", "10", "2", "80"])
    expect("of 65", values("REGION_POS_CUT", of_65), ["64", "4", "10", "0", "80"])
    expect_in("the fourth class is printed", "other positive", hub.perche("report", "REGION_POS", *of_50))
    expect_in("or the rounding", "cut off", hub.perche("report", "REGION_POS_CUT", *of_65))


@scenario("ERN-E", "small schools: Carbonne's 17 are withheld, and the Region's figure does not give them back")
def _():
    if hub.count("indicator_definition", "id = 'REGION_POS_CUT'") == 0:
        load()
    rows = lambda *options: [(r["group"] and r["group"]["name"], r["suppressed"], r["denominator"]) for f in hub.json("report", "INSERJEUNES", *options)["figures"] for r in f["rows"] if r["part"] == "POSITIVE"]
    period = ("--from", "2018-01-01", "--to", "2019-12-31", "--as-of", "2019-12-31")
    expect("Carbonne alone", rows(*period, "--site", "CRB"), [(None, "small", None)])
    expect("the Region", [r for r in rows(*period, "--by", "site") if r[0] is None], [(None, None, 75)])
    expect("no school is given back", {s for name, s, _ in rows(*period, "--by", "site") if name}, {"small"})


main(story, build)
