# SPDX-License-Identifier: BSD-3-Clause
"""Attackers that fill a table: of handshakes, of answers under way. An instance a test, as each
leaves its table full."""
import contextlib
import statistics

import pytest
from attack import (HIT, LONG, MIB, RSS_GROWTH, SECONDS, SHORT, SYN_QUEUE, Attack, attack,
                    beside_wrk, connections_go, harmless, warm, wrk)
from harness import SANITIZED, SLOW, V4, V6, body_hash, curl, sh, url


@pytest.mark.parametrize("host", [V4, V6])
def test_syn_flood(start, nginx, host):
    """At the highest rate of this host. What does not fit the SYN queue is answered by cookies."""
    hf = start(nginx.url, runtime=SHORT)
    warm(hf)
    with harmless(hf, host, SECONDS + 1) as growth:
        said = attack(hf, "synflood", host, seconds=SECONDS)
        # new connections while the queue is full
        for _ in range(3):
            assert curl(url(HIT, host)).status == 200
    stats = growth["stats"]
    assert said["sent"] > 2 * SYN_QUEUE, said
    assert stats["tcp_syn_cookies_sent_total"] > 0, stats
    assert stats["tcp_syn_cookies_accepted_total"] > 0, stats
    assert hf.stat("tcp_connections") <= SYN_QUEUE + 64
    if LONG:
        connections_go(hf, timeout=60)


def test_cookies(start, nginx):
    """With the queue full, a handshake by cookie keeps window scale, timestamps and SACK; a cookie
    that we never gave out makes no connection."""
    hf = start(nginx.url, runtime=SHORT)
    warm(hf)
    count = 200
    with harmless(hf, seconds=3) as growth:
        said = attack(hf, "cookiecheck", count=count, seconds=2 * SLOW + 2)
    assert said["opened"] == said["answered"] == count, said
    assert said["wscale"] == said["timestamps"] == said["sack"] == count, said
    assert said["strays"] == count, said  # a RST for each forgery
    assert growth["stats"]["tcp_syn_cookies_accepted_total"] >= count, growth
    assert growth["drops"]["tcp_bad_cookie"] >= count, growth
    # our own, wrk's and curl's; none for a forgery
    assert growth["stats"]["tcp_connections_opened_total"] <= count + 16, growth


@contextlib.contextmanager
def sink():
    """A wire to nobody."""
    sh("ip", "link", "add", "sink0", "type", "veth", "peer", "name", "sink1")
    for end in ("sink0", "sink1"):
        sh("ip", "link", "set", end, "up")
    try:
        yield "sink0"
    finally:
        sh("ip", "link", "del", "sink0")


@pytest.mark.skipif(not LONG, reason="a timed test")
@pytest.mark.parametrize("device,rate", [("tap", 10000), ("af_xdp", 50000)])
def test_goodput_in_a_syn_flood(start, nginx, device, rate):
    """Goodput >= 80 % of undisturbed, the median of five rounds. Both figures are taken with the
    flooder at work, once into a wire that leads nowhere: what it takes of the cores is not our
    loss. At higher rates the kernel's queue before us overflows, and takes wrk's packets with it:
    that figure is shown only."""
    hf = start(nginx.url, device=device, runtime=SHORT)
    warm(hf)
    rounds = {rate: [], 0: []}
    with sink() as nowhere:
        for _ in range(5):
            for speed, found in rounds.items():
                with beside_wrk(HIT, 3) as undisturbed:
                    attack(hf, "synflood", seconds=3, rate=speed, iface=nowhere)
                with beside_wrk(HIT, 3) as flooded:
                    said = attack(hf, "synflood", seconds=3, rate=speed)
                found.append(flooded["rate"] / undisturbed["rate"])
                print(f"{device}: {said['sent'] / 3:.0f} SYN/s, {said['refused']} lost before us, "
                      f"{flooded['rate']:.0f} of {undisturbed['rate']:.0f} requests/s")
    assert statistics.median(rounds[rate]) >= 0.8, rounds


def test_all_send_memory_in_use(start, nginx):
    """More unacknowledged answers than there is room for: the rest waits or is refused, what is
    small is still served, and all is back when they are gone. 800 hold all but the reserve; how
    many of the others come while it lasts is the machine's speed."""
    hf = start(nginx.url, runtime=SHORT, http={"body_rate": "64KiB", "idle_timeout": "2s"})
    path = f"/length/{nginx.file(4 * MIB)}"
    warm(hf, path)
    count = 500 if SANITIZED else 8000
    with Attack(hf, "noack", count=count, seconds=4, path=path, inflight=256) as run:
        with harmless(hf, seconds=3, rss=RSS_GROWTH + 128 * MIB) as growth:
            pass
    assert run.said["opened"] >= 0.25 * count, run.said
    assert SANITIZED or growth["stats"]["tcp_shed_total"] > 0, "there was room for all"
    connections_go(hf, timeout=60)
    assert curl(url(path)).sha256 == body_hash(4 * MIB)
    rate, errors = wrk(HIT, seconds=1)
    assert rate > 0 and not errors
