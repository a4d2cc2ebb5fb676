# SPDX-License-Identifier: BSD-3-Clause
"""Origins that die, dawdle and lie: 502, 504 or a cut connection, nothing partial stored, and the
next request works."""
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import Origin, answer, cache_status, curl, free_port, is_hit, url, wait_until

GOOD = answer(b"good")
TIMEOUTS = {"first_byte_timeout": "300ms", "between_bytes_timeout": "300ms",
            "connect_timeout": "500ms"}


def raw(text, reset=False):
    def script(conn, request):
        conn.sendall(text)
        if reset:  # RST instead of FIN
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    return script


def hang(before=b""):
    """Says something and then nothing more until the other side has had enough."""
    def script(conn, request):
        conn.sendall(before)
        while conn.recv(1):
            pass
        return False
    return script


LENGTH = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
FAULTS = {  # what the origin does -> status, whether the body is whole
    "close-before-head": (raw(b""), 502, True),
    "reset-before-head": (raw(b"", reset=True), 502, True),
    "half-a-head": (raw(b"HTTP/1.1 200 OK\r\nCache-Con"), 502, True),
    "no-http": (raw(b"\x16\x03\x01\x02\x00garbage\r\n\r\n"), 502, True),
    "smtp": (raw(b"220 mail.example.org ESMTP\r\n\r\n"), 502, True),
    "bad-status": (raw(b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"), 502, True),
    "two-lengths": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
                    502, True),
    "length-no-number": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), 502, True),
    "never-answers": (hang(), 504, True),
    "half-a-head-then-silence": (hang(b"HTTP/1.1 200 OK\r\nCac"), 504, True),
    "closed-mid-body": (raw(LENGTH + b"x" * 60), 200, False),
    "reset-mid-body": (raw(LENGTH + b"x" * 60, reset=True), 200, False),
    "closed-mid-chunk": (raw(CHUNKED + b"40\r\nxxx"), 200, False),
    "closed-before-last-chunk": (raw(CHUNKED + b"3\r\nxxx\r\n"), 200, False),
    "bad-chunk-size": (raw(CHUNKED + b"3\r\nxxx\r\nzz\r\nyyy\r\n0\r\n\r\n"), 200, False),
    "silence-mid-body": (hang(LENGTH + b"x" * 60), 200, False),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(start, origin, name):
    script, status, whole = FAULTS[name]
    origin.on("/fault", script)
    hf = start(origin.url, origin=TIMEOUTS)
    reply = curl(url("/fault"), code=0 if whole else None)
    # the fault may be known before our own head went out: then it is told by status, else by a cut
    assert (reply.status, reply.code == 0) in ((status, whole), (502, True), (504, True)), reply
    assert hf.stat("cache_objects") == 0, "something partial was stored"
    origin.on("/fault", GOOD)
    assert curl(url("/fault")).body == b"good"
    assert is_hit(curl(url("/fault")))
    assert hf.stat("origin_fetches_in_flight") == 0


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
