# SPDX-License-Identifier: BSD-3-Clause
"""Origins that die or dawdle between answers; within one: test_origin_malformed.py."""
import hashlib
import random
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

from harness import (SLOW, Origin, answer, blocks, body_hash, cache_status, curl, free_port, is_hit,
                     url, wait_until)

GOOD = answer(b"good")


def test_refused_connection(start):
    port = free_port()
    hf = start(f"http://127.0.0.1:{port}")
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
        hf = start(origin.url)
        assert cache_status(curl(url("/kept"))) == "holdfast; fwd=miss; stored"
    assert is_hit(curl(url("/kept")))
    assert curl(url("/other")).status == 502
    assert hf.stat("cache_objects") == 1


def test_slow_origin_does_not_hold_up_others(start, origin):
    go = threading.Event()
    origin.on("/slow", lambda conn, request: go.wait(30 * SLOW) and GOOD(conn, request))
    origin.on("/quick", GOOD)
    start(origin.url)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(curl, url("/slow"))
        wait_until(lambda: origin.count("/slow"), what="slow request")
        for i in range(20):
            assert curl(url("/quick")).status == 200
        assert not slow.done()
        go.set()
        assert slow.result().body == b"good"


class Cutting:
    """Breaks off three times at random places, at times with a reset; what If-Range still names goes on
    from there. Versions differ in every byte."""

    def __init__(self, length, seed):
        self.dice, self.version, self.cuts = random.Random(seed), 0, 3
        self.bodies = [b"".join(blocks(length))]
        self.bodies.append(bytes(byte ^ 1 for byte in self.bodies[0]))

    def __call__(self, conn, request):
        fields, body = dict(request.headers), self.bodies[self.version]
        tag, first = f'"{self.version}"', 0
        if fields.get("if-range") == tag:
            first = int(fields["range"].removeprefix("bytes=").removesuffix("-"))
        head = ["HTTP/1.1 206 Partial Content" if first else "HTTP/1.1 200 OK", f"ETag: {tag}",
                "Cache-Control: max-age=600", f"Content-Length: {len(body) - first}", "", ""]
        if first:
            head.insert(1, f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}")
        end = self.dice.randrange(first + 1, len(body)) if self.cuts else len(body)
        conn.sendall("\r\n".join(head).encode() + body[first:end])
        if end == len(body):
            return True
        self.cuts -= 1
        if self.dice.randrange(3) == 0:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


def test_what_breaks_off_goes_on_from_there_and_nobody_notices(start, origin):
    """RFC 9111 §3.4."""
    lengths = {f"/{i}": 100_003 * (i + 1) for i in range(6)}
    for seed, (path, length) in enumerate(lengths.items()):
        origin.on(path, Cutting(length, seed))
    hf = start(origin.url)
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda path: (path, curl(url(path))), [*lengths, *lengths]))
    replies += [(path, curl(url(path))) for path in lengths]
    for path, reply in replies:
        assert (reply.status, reply.length, reply.sha256) == (200, lengths[path], body_hash(lengths[path]))
    assert all(is_hit(reply) for _, reply in replies[-len(lengths):])
    assert hf.stat("cache_objects") == len(lengths)
    assert hf.stat("origin_resumes_total") == 3 * len(lengths)
    assert hf.stat("origin_errors_total") == 0


def test_what_changes_meanwhile_is_cut_and_never_a_mix(start, origin):
    """RFC 9110 §13.1.5, RFC 9111 §3.3."""
    script = Cutting(300_000, 1)

    def changes(conn, request):
        keep = script(conn, request)
        script.version = 1
        script.cuts = 0
        return keep

    origin.on("/x", changes)
    hf = start(origin.url)
    reply = curl(url("/x"), code=1)
    assert 0 < reply.length < 300_000
    assert reply.sha256 == hashlib.sha256(script.bodies[0][:reply.length]).hexdigest()
    assert hf.stat("cache_objects") == 0
    assert hf.stat("origin_resumes_total") == 1
    assert hf.stat("origin_errors_total") == 1
    reply = curl(url("/x"))
    assert (reply.length, origin.count("/x")) == (300_000, 3) and not is_hit(reply)
