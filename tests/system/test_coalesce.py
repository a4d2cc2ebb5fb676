# SPDX-License-Identifier: BSD-3-Clause
"""One fetch a key, whoever asks and however many; what may not be shared is not."""
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import SLOW, V4, answer, connect, curl, is_hit, read_answer, url, wait_until

CLIENTS = 100
PART = 40000


@pytest.mark.parametrize("workers", [1, 2])
def test_100_clients_one_cold_key_one_fetch(start, origin, workers):
    asked, first, rest = threading.Event(), threading.Event(), threading.Event()

    def slow(conn, request):
        asked.set()
        conn.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                     b"Content-Length: %d\r\n\r\n" % (2 * PART))
        first.wait(30 * SLOW)
        conn.sendall(b"a" * PART)
        rest.wait(30 * SLOW)
        conn.sendall(b"b" * PART)
        return True

    origin.on("/cold", slow)
    hf = start(origin.url, workers=workers)
    together = threading.Barrier(CLIENTS + 1, timeout=60 * SLOW)

    def client(_):
        with connect() as conn:
            together.wait()
            conn.sendall(b"GET /cold HTTP/1.1\r\nHost: x\r\n\r\n")
            stream = conn.makefile("rb")
            while stream.readline() != b"\r\n":
                pass
            assert stream.read(PART) == b"a" * PART
            together.wait()  # all have the first bytes, and the origin has not finished
            return stream.read(PART)

    with ThreadPoolExecutor(CLIENTS) as pool:
        bodies = [pool.submit(client, i) for i in range(CLIENTS)]
        together.wait()
        assert asked.wait(10 * SLOW)
        first.set()
        together.wait()
        rest.set()
        assert all(body.result() == b"b" * PART for body in bodies)
    assert origin.count("/cold") == 1
    stats = hf.stats()
    assert stats["origin_requests_total"] == 1
    assert stats["origin_coalesced_total"] + stats["cache_hits_total"] == CLIENTS - 1
    assert is_hit(curl(url("/cold"), "-H", "Host: x"))


def test_client_that_leaves_does_not_end_the_fetch_of_others(start, origin):
    asked, go = threading.Event(), threading.Event()

    def slow(conn, request):
        asked.set()
        go.wait(30 * SLOW)
        return answer(b"x" * 100)(conn, request)

    origin.on("/left", slow)
    hf = start(origin.url)
    request = b"GET /left HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect() as leader:
        leader.sendall(request)
        assert asked.wait(10 * SLOW)
        other = connect()
        other.sendall(request)
        wait_until(lambda: hf.stat("http_requests_total") == 2, what="second request")
    with other:
        go.set()
        reply = read_answer(other.makefile("rb"))
    assert (reply.status, reply.body) == (200, b"x" * 100)
    assert origin.count("/left") == 1


@pytest.mark.parametrize("header", ["Cache-Control: private", "Cache-Control: no-store"])
def test_answers_that_may_not_be_shared_are_fetched_for_each(start, origin, header):
    """RFC 9111 §4: a waiter that joined must not get a private answer meant for the first."""
    lock, number = threading.Lock(), iter(range(1000))

    def each_his_own(conn, request):
        with lock:
            mine = next(number)
        return answer(b"%d" % mine, [header])(conn, request)

    origin.on("/own", each_his_own)
    start(origin.url)
    with ThreadPoolExecutor(16) as pool:
        bodies = list(pool.map(lambda _: curl(url("/own", V4)).body, range(16)))
    assert len(set(bodies)) == 16 and origin.count("/own") == 16
