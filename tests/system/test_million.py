# SPDX-License-Identifier: BSD-3-Clause
"""What an idle connection costs, how many there may be, and what happens at the limit."""
import signal

import pytest
from attack import LONG, MIB, SHORT, Attack, mac_of, served_at_once, wrk
from harness import SANITIZED, SLOW, curl, url, wait_until

CACHE = 64 * MIB


def hold(start, nginx, device="tap", **http):
    hf = start(nginx.url, device=device, cache={"memory": CACHE}, runtime=SHORT,
               http={"idle_timeout": "1h", **http})
    mac_of(hf)
    return hf


def limit(seconds):
    """In place of the 90 seconds of any other test."""
    signal.alarm(seconds * SLOW)


@pytest.mark.skipif(SANITIZED, reason="measures memory, and the sanitizer has its own")
def test_fifty_thousand(start, nginx):
    """At most 600 bytes each, of everything that is there only because there are so many."""
    count, few = 50000, 1024
    small = hold(start, nginx, connections_max=few)
    wrk(seconds=1)  # every packet buffer was in use once
    base = small.rss()
    small.stop()
    hf = hold(start, nginx, connections_max=51200)
    with Attack(hf, "open", count=count, seconds=60) as run:
        assert run.next()["opened"] == count, run.said
        wait_until(lambda: hf.stat("tcp_connections") >= count, what="all open")
        each = (hf.rss() - base) / count
        said = run.command("ask 1000")
        assert said["served"] == said["asked"] == 1000, said
        run.command("reset")
    assert each <= 600, f"{each} bytes a connection"
    wait_until(lambda: hf.stat("tcp_connections") <= 8, 20, "connections gone")
    served_at_once(hf)


@pytest.mark.skipif(not LONG or SANITIZED, reason="a million connections take minutes")
def test_a_million(start, nginx):
    """Held at once by one process within 1 GiB beside the cache, and every one is served."""
    limit(900)
    count = 1000000
    hf = hold(start, nginx, "af_xdp", connections_max=1 << 20)
    with Attack(hf, "open", count=count, seconds=600) as run:
        assert run.next()["opened"] == count, run.said
        print(run.said)
        wait_until(lambda: hf.stat("tcp_connections") >= count, what="all open")
        rss = hf.rss()
        assert rss - hf.stat("cache_used_bytes") <= 1 << 30, f"{rss / MIB} MiB"
        said = run.command("ask 1000")
        assert said["served"] == said["asked"] == 1000, said
        assert said["reset"] == said["closed"] == said["refused"] == 0, said
        rate, errors = wrk(seconds=2)
        assert rate > 0 and not errors
        run.command("reset")
    print(f"{rss / MIB} MiB for {count} connections, {rss / count} bytes each")
    served_at_once(hf)


def test_idle_ones_make_room(start, nginx):
    """At connections_max the longest idle connections go for new ones."""
    most = 500 if SANITIZED else 2000
    hf = hold(start, nginx, connections_max=most)
    with Attack(hf, "open", count=2 * most, seconds=20) as run:
        assert run.next()["opened"] == 2 * most, run.said
        assert most * 0.9 <= hf.stat("tcp_connections") <= most
        assert hf.stat("tcp_shed_total") >= most
        for _ in range(10):
            assert curl(url("/hello")).status == 200
        rate, errors = wrk(connections=64, seconds=1)
        assert rate > 0 and not errors
        said = run.command("report")
        assert said["reset"] + said["closed"] >= most, said
        # those that were not shed are still served
        said = run.command("ask 100")
        assert said["served"] == said["asked"] == 100, said
    served_at_once(hf)
