# SPDX-License-Identifier: BSD-3-Clause
"""Origins that die or dawdle between answers; within one: test_origin_malformed.py."""
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from harness import Origin, answer, cache_status, curl, free_port, is_hit, url, wait_until

GOOD = answer(b"good")
TIMEOUTS = {"first_byte_timeout": "300ms", "between_bytes_timeout": "300ms",
            "connect_timeout": "500ms"}


def hang(before=b""):
    """Says something and then nothing more until the other side has had enough."""
    def script(conn, request):
        conn.sendall(before)
        while conn.recv(1):
            pass
        return False
    return script


def test_refused_connection(start):
    port = free_port()
    hf = start(f"http://127.0.0.1:{port}", origin=TIMEOUTS)
    assert curl(url("/x")).status == 502
    assert hf.drops()["req_origin_failed"] == 1
    assert hf.stat("cache_objects") == 0


def test_reused_connection_that_the_origin_closed(start, origin):
    """RFC 9112 §9.3.1: an idempotent request on a connection that died is sent again."""
    closed = threading.Event()

    def last(conn, request):
        GOOD(conn, request)
        conn.shutdown(socket.SHUT_WR)  # without Connection: close
        closed.set()
        return False

    origin.on("/last", last)
    origin.on("/next", GOOD)
    start(origin.url)
    for _ in range(5):
        assert curl(url("/last"), "-H", "Cache-Control: no-cache").status == 200
        assert closed.wait(10)
        closed.clear()
        assert curl(url("/next"), "-H", "Cache-Control: no-cache").status == 200


def test_reused_connection_closed_on_the_request(start, origin):
    """The origin closes at the very moment it gets the second request: retried for GET."""
    seen = {}

    def second_time_close(conn, request):
        seen[conn] = seen.get(conn, 0) + 1
        return seen[conn] == 1 and GOOD(conn, request)

    origin.on("*", second_time_close)
    start(origin.url)
    for i in range(6):
        assert curl(url(f"/{i}")).status == 200


def test_hit_does_not_need_the_origin(start):
    with Origin() as origin:
        origin.on("/kept", GOOD)
        hf = start(origin.url, origin=TIMEOUTS)
        assert cache_status(curl(url("/kept"))) == "holdfast; fwd=miss; stored"
    assert is_hit(curl(url("/kept")))
    assert curl(url("/other")).status == 502
    assert hf.stat("cache_objects") == 1


def test_slow_origin_does_not_hold_up_others(start, origin):
    origin.on("/slow", hang())
    origin.on("/quick", GOOD)
    start(origin.url, origin={"first_byte_timeout": "20s"})
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(curl, url("/slow"), "--max-time", "2", code=1)
        wait_until(lambda: origin.count("/slow"), what="slow request")
        for i in range(20):
            assert curl(url("/quick")).status == 200
        assert not slow.done()
        slow.result()
