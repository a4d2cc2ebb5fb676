# SPDX-License-Identifier: BSD-3-Clause
"""wrk, h2load and ab: many connections, no error, and their counts agree with ours."""
import re

import pytest
from harness import SLOW, V4, curl, is_hit, sh, url


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("device", ["tap", "af_xdp"])
def test_wrk_256_connections(start, nginx, device, workers):
    hf = start(nginx.url, device=device, workers=workers)
    curl(url("/hello"))
    out = sh("wrk", "-t2", "-c256", "-d3s", "--timeout", str(2 * SLOW), url("/hello"))
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    done = int(re.search(r"(\d+) requests in", out)[1])
    stats = hf.stats()
    assert done > 1000, out
    # wrk leaves with requests on the way
    assert done <= stats["cache_hits_total"] <= done + 256
    assert stats["http_responses_total"] == stats['http_responses_total{class="2xx"}']


@pytest.mark.parametrize("device", ["tap", "af_xdp"])
def test_h2load_and_ab_agree(start, nginx, device):
    hf = start(nginx.url, device=device)
    curl(url("/hello"))
    hits = hf.stat("cache_hits_total")
    out = sh("h2load", "--h1", "-n20000", "-c64", "-t1", url("/hello"))
    assert re.search(r"20000 succeeded, 0 failed, 0 errored, 0 timeout", out), out
    assert "20000 2xx" in out
    assert hf.stat("cache_hits_total") - hits == 20000
    out = sh("ab", "-q", "-k", "-n20000", "-c64", url("/hello"))
    assert re.search(r"Complete requests:\s+20000\n", out), out
    assert re.search(r"Failed requests:\s+0\n", out) and "Non-2xx" not in out, out
    assert hf.stat("cache_hits_total") - hits == 40000


def test_a_connection_a_request(start, nginx):
    """No keep-alive: opening, closing and TIME_WAIT at speed."""
    hf = start(nginx.url)
    assert not is_hit(curl(url("/hello")))
    out = sh("ab", "-q", "-n5000", "-c32", url("/hello"))
    assert re.search(r"Failed requests:\s+0\n", out) and "Non-2xx" not in out, out
    stats = hf.stats()
    assert stats["cache_hits_total"] == 5000
    assert stats["tcp_connections_opened_total"] >= 5001
    assert stats["internal_errors_total"] == 0
    assert V4 in out
