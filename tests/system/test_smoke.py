# SPDX-License-Identifier: BSD-3-Clause
"""A miss, then a hit by an lcore: every port kind, both families, with and without hugepages."""
import pathlib

import pytest
from harness import HOLDFASTD, V4, V6, cache_status, curl, is_hit, meminfo, sh, url


def miss_then_hit(hf):
    before = hf.stat("cache_hits_total")
    for host, path in ((V4, "/hello?4"), (V6, "/hello?6")):
        miss, hit = curl(url(path, host)), curl(url(path, host))
        assert (miss.status, miss.body, cache_status(miss)) == \
            (200, b"hello\n", "holdfast; fwd=miss; stored")
        assert (hit.status, hit.body) == (200, b"hello\n") and is_hit(hit)
        assert "age" in hit.headers
    assert hf.stat("cache_hits_total") - before == 2


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("device", ["tap", "af_xdp", "af_packet"])
def test_miss_then_hit(start, nginx, device, workers):
    hf = start(nginx.url, device=device, workers=workers)
    miss_then_hit(hf)


def test_ping(start, nginx):
    start(nginx.url)
    for host in (V4, V6):
        for size in (0, 56, 1400):
            # one: of several it waits for the later ones no longer than twice what the first took
            assert " 0% packet loss" in sh("ping", "-n", "-c1", "-W5", f"-s{size}", host)


@pytest.mark.parametrize("device", ["tap", "af_xdp"])
def test_hugepages_are_used_and_given_back(hugepages, start, nginx, device):
    free = meminfo("HugePages_Free")
    hf = start(nginx.url, device=device, hugepages="auto")
    miss_then_hit(hf)
    assert meminfo("HugePages_Free") < free
    hf.stop()
    assert meminfo("HugePages_Free") == free


def test_restarts_at_once_on_the_same_port(start, nginx):
    hf = start(nginx.url)
    curl(url("/hello"))
    hf.stop()
    hf.start()
    miss_then_hit(hf)


def test_stale_socket_of_a_killed_process_is_replaced(start, nginx):
    hf = start(nginx.url)
    hf.kill()
    assert pathlib.Path(hf.socket).exists()
    hf.start()
    miss_then_hit(hf)


def test_the_program_is_linked_hardened():
    """Position-independent; what the linker fills in is read-only from the start; no stack is executable."""
    found = sh("readelf", "-hldW", HOLDFASTD)
    assert "DYN (Position-Independent" in found and "GNU_RELRO" in found and "BIND_NOW" in found
    stack, = (line for line in found.splitlines() if "GNU_STACK" in line)
    assert " RW " in stack and "RWE" not in stack
    assert "__stack_chk_fail" in sh("readelf", "-W", "--dyn-syms", HOLDFASTD)
