# SPDX-License-Identifier: BSD-3-Clause
"""Every byte arrives: sizes around each boundary, as miss and as hit, both framings, both families."""
import pytest
from harness import SANITIZED, V4, V6, body_hash, cache_status, chunked, curl, is_hit, url

SIZES = [0, 1, 1460, 1461, 65535, 65536, 1 << 20, 64 << 20]
GIB = 1 << 30


def fetch_equal(path, host, length, sha256):
    reply = curl(url(path, host), timeout=120)
    assert (reply.status, reply.length, reply.sha256) == (200, length, sha256)
    return reply


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("device", ["tap", "af_xdp"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bodies_equal_what_nginx_serves(start, nginx, framing, device, workers):
    hf = start(nginx.url, device=device, workers=workers)
    for length in SIZES:
        if length > 1 << 20 and device != "tap":
            continue
        path = f"/{framing}/{nginx.file(length)}"
        direct = curl(nginx.url + path)
        assert direct.length == length
        assert ("content-length" in direct.headers) == (framing == "length" or length == 0)
        for host in (V4, V6):
            miss = fetch_equal(path, host, length, direct.sha256)
            hit = fetch_equal(path, host, length, direct.sha256)
            assert "fwd=miss" in cache_status(miss) and is_hit(hit), (length, host)
            assert hit.headers["content-length"] == str(length)
    assert hf.stat("cache_objects") == 2 * sum(n <= 1 << 20 or device == "tap" for n in SIZES)


@pytest.mark.parametrize("host", [V4, V6])
def test_odd_chunks(start, origin, host):
    """Chunk borders anywhere: not where buffers end, as nginx has them."""
    hf = start(origin.url)
    for length in (1, 70001, 3 * (1 << 20) + 7):
        origin.on(f"/{length}", chunked(length))
        fetch_equal(f"/{length}", host, length, body_hash(length))
        assert is_hit(fetch_equal(f"/{length}", host, length, body_hash(length)))
    assert hf.stat("origin_requests_total") == 3


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_over_max_object_is_streamed_and_not_stored(start, nginx, framing):
    hf = start(nginx.url, cache={"memory": "32MiB", "max_object": "1MiB"})
    length = 64 << 20
    path = f"/{framing}/{nginx.file(length)}"
    for _ in range(2):
        reply = fetch_equal(path, V4, length, body_hash(length))
        # without a length it is not known when the head is sent
        assert not is_hit(reply) and (framing == "chunked" or "stored" not in cache_status(reply))
    assert hf.stat("cache_objects") == 0
    assert hf.stat("cache_used_bytes") <= 32 << 20


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_more_than_memory_is_streamed(start, nginx, framing, workers):
    """A GiB, once."""
    length = GIB if (framing, workers) == ("chunked", 1) else GIB // 4
    hf = start(nginx.url, workers=workers, cache={"memory": "128MiB"})
    path = f"/{framing}/{nginx.file(length)}"
    direct = curl(nginx.url + path)
    assert direct.length == length
    rss = hf.rss()
    for host in (V4, V6):
        for _ in range(1 + (host == V4)):  # a second time, to see that it did not stay
            assert not is_hit(fetch_equal(path, host, length, direct.sha256))
    assert SANITIZED or hf.rss() - rss < 160 << 20
    assert hf.stat("cache_objects") == 0
