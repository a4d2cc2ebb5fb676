# SPDX-License-Identifier: BSD-3-Clause
"""The cap on cache memory holds, and what stats say of it is what /proc says."""
import contextlib
import itertools
import subprocess
import time

from harness import (SANITIZED, SLOW, V4, Nginx, connect, curl, is_hit, read_answer, sh, url)
from test_million import limit

MIB = 1 << 20
CAP = 64 * MIB
# What holdfastd may grow by beside the cap: origin threads' buffers, libcurl's connections, stacks.
BESIDE = 32 * MIB
OBJECTS = 100_000
LOADERS = 4


def test_100_000_objects_through_64_mib(start, nginx, tmp_path):
    limit(300)  # it is more than any other one has to do
    hf = start(nginx.url, cache={"memory": "64MiB", "max_object": "1MiB"})
    curl(url("/mix/0"))  # the first fetch pays for libcurl
    rss = hf.rss()
    assert OBJECTS / 10 * sum(Nginx.MIX) > 4 * CAP
    each = OBJECTS // LOADERS  # h2load's connections all begin with the first URI of a file
    loaders = []
    for i in range(LOADERS):
        uris = tmp_path / f"uris{i}"
        uris.write_text("".join(f"http://{V4}/mix/{i * each + j}\n" for j in range(each)))
        loaders.append(subprocess.Popen(["h2load", "--h1", f"-n{each}", "-c1", "-m16", "-i", uris],
                                        stdout=subprocess.PIPE, text=True))
    for loader in loaders:
        out = loader.communicate()[0]
        assert f"{each} succeeded, 0 failed, 0 errored, 0 timeout" in out, out
        assert f"{each} 2xx, 0 3xx, 0 4xx, 0 5xx" in out, out
    stats, growth = hf.stats(), hf.rss() - rss
    assert stats["cache_inserts_total"] >= OBJECTS - 1
    assert stats["cache_evictions_total"] > OBJECTS / 2
    assert stats["cache_stored_bytes"] <= stats["cache_used_bytes"] <= CAP
    assert stats["cache_used_bytes"] > CAP / 2, "evicts much more than it must"
    if not SANITIZED:  # these bodies come from malloc with its red zones, and stay in quarantine
        assert growth <= CAP + BESIDE
        # /proc agrees: what is said to be used is really there
        assert growth + rss >= stats["cache_used_bytes"]
    # by the number of objects and their mean size: of what nobody asks for again the small stay longest
    mean = stats["cache_stored_bytes"] / stats["cache_objects"]
    assert sum(Nginx.MIX) / 10 * 0.2 < mean < sum(Nginx.MIX) / 10 * 3
    last = f"/mix/{OBJECTS - 1}"
    curl(url(last))
    assert is_hit(curl(url(last)))


def test_many_large_fills_at_once_stay_within_the_cap(start, nginx):
    """Fills in flight count too: 24 bodies of 8 MiB through a cache of 32 MiB, all at once."""
    hf = start(nginx.url, cache={"memory": "32MiB", "max_object": "8MiB"})
    curl(url("/hello"))
    rss, path = hf.rss(), f"/length/{nginx.file(8 * MIB)}"
    out = sh("curl", "-sS", "-Z", "--parallel-max", "24", "--parallel-immediate",
             "-o", "/dev/null", "-w", "%{http_code} %{size_download}\n",
             *[argument for i in range(24) for argument in ("-o", "/dev/null", url(f"{path}?{i}"))])
    # a body that finds no room to be stored goes through all the same
    assert out.split("\n")[:-1] == [f"200 {8 * MIB}"] * 24
    assert hf.stat("cache_used_bytes") <= 32 * MIB
    if not SANITIZED:
        assert hf.rss() - rss <= (32 + 32) * MIB
    assert curl(url("/hello")).status == 200


def test_clients_that_do_not_read_keep_nobody_from_new_answers(start, nginx):
    """They pipeline what is stored, a hundred MiB of it: who stalls longest goes, misses go on."""
    hf = start(nginx.url, cache={"memory": "64MiB"})
    large, small = (f"/length/{nginx.file(length)}?" for length in (MIB // 4, MIB // 16))

    def get(path):
        return f"GET {path} HTTP/1.1\r\nHost: {V4}\r\n\r\n".encode()

    with contextlib.ExitStack() as stack:
        for i in range(400):
            stalled = stack.enter_context(connect())
            stalled.sendall(get(f"{large}{i}") * 3)
        conn = stack.enter_context(connect())
        stream, end = conn.makefile("rb"), time.monotonic() + 20 * SLOW
        for i in itertools.count():
            conn.sendall(get(f"{small}{i}"))
            assert read_answer(stream).status == 200, i
            if i % 50 == 0:
                assert hf.stat("cache_used_bytes") <= CAP
                if i >= 500 and hf.drops()["conn_pressure"] > 0:
                    break
                assert time.monotonic() < end, hf.drops()
        drops = hf.drops()
    assert drops["conn_pressure"] < 400 and drops["req_no_memory"] == 0, drops
