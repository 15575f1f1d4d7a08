#!/usr/bin/env python3
"""A site that joins a hub with many small rows on a fast line: an answer has room for more of them than a batch may have."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import case, expect

ROWS = 90000
net = perche_net.Network()


def build():
    global hub, llp
    hub = net.add_hub()
    hub.sql(f"""WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
        INSERT INTO code_list (list, code, label_fr) SELECT 'many', i, 'x' FROM n""")
    net.wait_for("the hub has numbered them", lambda: hub.sql("SELECT count(*) FROM perche_capture") == "0", 120)
    llp = net.add_site("la-loupe")


@case(f"{ROWS} small rows come to a site that joins, and both are proven equal")
def _():
    llp.sync_wait(120)
    expect("rows here", llp.count("code_list", "list = 'many'"), ROWS)
    net.proven(llp)


@case("and all of them once more, when each has changed")
def _():
    hub.sql("UPDATE code_list SET label_en = 'y' WHERE list = 'many'")
    net.wait_for("the hub has numbered them", lambda: hub.sql("SELECT count(*) FROM perche_capture") == "0", 120)
    llp.sync_wait(120)
    expect("rows here", llp.count("code_list", "list = 'many' AND label_en = 'y'"), ROWS)
    net.proven(llp)


if __name__ == "__main__":
    perche_net.main(build, [net])
