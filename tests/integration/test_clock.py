#!/usr/bin/env python3
"""Servers whose calendar is wrong, the programs on them too: no edit is lost because of it, and none wins."""
import calendar
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import perche_net
from perche_net import Failure, case, expect

net = perche_net.Network()
LEARNER = "01487832-4000-7000-8001-0000000000%02d"


def tell(text):
    print("#   " + text)


def ahead(date):
    """Seconds from now to the morning of that day."""
    return int(calendar.timegm(time.strptime(date + " 08:00", "%Y-%m-%d %H:%M")) - time.time())


def build():
    global hub, llp, chr_, line
    hub = net.add_hub()
    line = net.relay("la-loupe")
    llp = net.add_site("la-loupe", relay=line)
    chr_ = net.add_site("chartres")
    net.cohort("la-loupe")
    chr_.sync_wait()


def call(node, n, name):
    node.sql(f"UPDATE learner SET call_name = '{name}' WHERE id = '{LEARNER % n}'")


def called(node, n):
    return node.sql(f"SELECT call_name FROM learner WHERE id = '{LEARNER % n}'")


def cut():
    line.cut()
    net.wait_for("the site to see that the line is gone", lambda: llp.status()["state"] in ("offline", "connecting"))


def harvested(node):
    net.wait_for(f"{node.key} to take over what was written", lambda: node.count("perche_capture") == 0)


def is_off(date):
    """La Loupe's server comes up with that date; everything else is on time."""
    llp.stop()
    llp.ahead_s = ahead(date)
    llp.start()
    expect("the year on La Loupe's server", llp.sql("SELECT strftime('%Y', 'now')"), date[:4])


def edits_in_order(first, date):
    """Four edits whose true order is known, with the server of La Loupe off by years."""
    is_off(date)
    llp.sync_wait()
    n = first
    call(hub, n, "early")
    llp.sync_wait()
    call(llp, n, "late")  # had seen it
    llp.sync_wait()
    expect("who knew the other value wins, at the hub", called(hub, n), "late")
    tell(f"{date}: an edit made there over the hub's value stays")
    call(hub, n, "latest")
    llp.sync_wait()
    expect("and is replaced by who knew it, at the site", called(llp, n), "latest")
    tell(f"{date}: an edit of the hub over that one stays as well")
    n += 1
    cut()
    call(llp, n, "first")
    harvested(llp)
    call(hub, n, "second")  # later in truth, and unknowing
    harvested(hub)
    line.open()
    llp.sync_wait()
    expect("the later of two edits that did not know each other", (called(hub, n), called(llp, n)), ("second", "second"))
    tell(f"{date}: written there first, at the hub second, neither knowing: the second one stays")
    n += 1
    cut()
    call(hub, n, "first")
    harvested(hub)
    call(llp, n, "second")
    harvested(llp)
    line.open()
    llp.sync_wait()
    expect("the same the other way round", (called(hub, n), called(llp, n)), ("second", "second"))
    tell(f"{date}: written at the hub first, there second: the second one stays")
    net.proven()
    for node in (hub, llp):
        expect(f"values that lost and are kept, at {node.key}",
               int(node.sql(f"SELECT count(*) FROM perche_conflict WHERE a_value = 'first' OR b_value = 'first'")), 2 * (first // 5 + 1))
    far = int(hub.sql("SELECT count(*) FROM (SELECT a_at AS at FROM perche_conflict UNION ALL SELECT b_at FROM perche_conflict)"
                      f" WHERE at > {int(time.time() * 1000) + 60000} OR at < {int(time.time() * 1000) - 3600000}"))
    expect("conflicts that show a time of another year", far, 0)


@case("a site whose clock says 2000-01-01 loses no edit because of it, and wins none")
def _():
    edits_in_order(1, "2000-01-01")


@case("a site whose clock says 2038 wins no edit because of it, and loses none")
def _():
    edits_in_order(6, "2038-01-19")


@case("a clock that is put right, forwards and back, while the site runs")
def _():
    for at, (date, name) in enumerate((("2000-01-01", "Ada"), ("2038-01-19", "Grace"), (None, "Emmy"))):
        llp.stop()
        llp.ahead_s = ahead(date) if date else 0
        call(llp, 11, name)  # written while the daemon is down, under that clock
        llp.start()
        llp.sync_wait()
        expect(f"what was written under {date or 'the true clock'} has arrived", called(hub, 11), name)
    net.proven()
    tell("2000, 2038 and today: each edit stood until the next one")


@case("perche status has one clock, that of its machine, and says so: also of what the hub's clock says")
def _():
    def said():
        """Two times of the text, in seconds of the day, as a person on that machine reads them."""
        p = subprocess.run([os.path.join(perche_net.BUILD, "perche"), "--socket", llp.socket, "status"], text=True, capture_output=True,
                           stdin=subprocess.DEVNULL, env=llp.environment(), timeout=60 * perche_net.SLOW)
        expect("status", p.returncode, 0)
        expect("the clock that it names", "UTC, by this machine's clock" in p.stdout, True)
        found = re.findall(r"(?:equal with the hub at|last contact) +(\d\d):(\d\d):(\d\d)", " ".join(p.stdout.split()))
        return [int(h) * 3600 + int(m) * 60 + int(s) for h, m, s in found], p.stdout

    def a_moment_ago(at, text):
        now = int(time.time()) + llp.ahead_s
        if not -2 <= (now - at + 43200) % 86400 - 43200 <= 120:
            raise Failure(f"that is no time of a moment ago at {time.strftime('%H:%M:%S', time.gmtime(now))}: {text}")

    # some hours, and on the same day: another day is written otherwise
    llp.stop()
    llp.ahead_s = 5 * 3600 if time.gmtime().tm_hour < 12 else -5 * 3600
    llp.start()
    llp.sync_wait()
    times, text = said()
    expect("times in the text", len(times), 2)
    for at in times:
        a_moment_ago(at, text)
    cut()
    llp.stop()
    llp.start()  # and where the hub has not been heard of since
    times, text = said()
    expect("times in the text", len(times), 1)
    a_moment_ago(times[0], text)
    tell("proven equal and last contact are times of one clock, with the hub's off by five hours")
    line.open()
    llp.stop()
    llp.ahead_s = 0
    llp.start()
    llp.sync_wait()


perche_net.main(build, [net])
