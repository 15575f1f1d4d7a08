#!/usr/bin/env python3
"""A data folder that is a symbolic link (to a larger disk, say): perched starts in it, or `--check` and the message say that a link is the matter."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import perche_net
from perche_net import Failure, case, expect

net = perche_net.Network()


def build():
    global drx
    net.add_hub()
    drx = net.add_site("dreux")
    drx.sync_wait()


@case("the data folder is moved and a link put in its place")
def _():
    drx.stop()
    os.rename(drx.data, drx.folder + "/real")
    os.symlink(drx.folder + "/real", drx.data)
    expect("rows that a program finds", drx.count("site") > 0, True)
    try:
        drx.start()
    except Failure as e:
        drx.process = None
        said = str(e)
        if "link" not in said.splitlines()[-1]:
            raise Failure(f"it does not start, and says: {said.splitlines()[-1][-160:]}") from None


perche_net.main(build, [net])
