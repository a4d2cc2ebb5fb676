# SPDX-License-Identifier: BSD-3-Clause
"""A large object flows to all who wait while it comes in, and who reads slowly holds up nobody: not the
others, nor the fill. HF_LONG=1: of a GiB."""
import contextlib
import hashlib
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import (SANITIZED, SEED, SLOW, V4, Conn, answer, blocks, body_hash, curl, read_headers, url,
                     wait_until)

MIB = 1 << 20
LENGTH = 1024 * MIB if "HF_LONG" in os.environ and not SANITIZED else 64 * MIB
FAST = 4
WINDOW = 768 * 1024  # HF_XCHG_WINDOW
PATIENT = {"body_rate": "0B"}  # the slow one is not cut for his slowness alone


class Slowly:
    """An origin that sends a MiB, and the rest when it may. `sent` has how far each answer is."""

    def __init__(self, framing):
        self.framing, self.rest, self.sent = framing, threading.Event(), []
        self.lock = threading.Lock()

    def __call__(self, conn, request):
        with self.lock:
            mine = len(self.sent)
            self.sent.append(0)
        conn.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n" +
                     (b"Content-Length: %d\r\n\r\n" % LENGTH if self.framing == "length" else
                      b"Transfer-Encoding: chunked\r\n\r\n"))
        for block in blocks(LENGTH):
            conn.sendall(block if self.framing == "length" else
                         b"%x\r\n%b\r\n" % (len(block), block))
            self.sent[mine] += len(block)
            assert self.rest.wait(60 * SLOW)
        if self.framing == "chunked":
            conn.sendall(b"0\r\n\r\n")
        return True


class Reader:
    """Has the first bytes when it is made."""

    def __init__(self):
        self.conn = Conn(socket.AF_INET)
        self.conn.settimeout(60 * SLOW)
        self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        self.conn.connect((V4, 80))
        self.conn.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        self.stream = self.conn.makefile("rb", buffering=1 << 16)
        assert self.stream.readline().split()[1] == b"200"
        self.chunked = "transfer-encoding" in dict(read_headers(self.stream))
        self.left = 0 if self.chunked else LENGTH
        self.first = self.read(100)
        assert len(self.first) == 100

    def read(self, most):
        if self.chunked and self.left == 0:
            self.left = int(self.stream.readline(), 16)
        part = self.stream.read(min(most, self.left))
        self.left -= len(part)
        if self.chunked and self.left == 0:
            self.stream.readline()
        return part

    def rest(self):
        digest = hashlib.sha256(self.first)
        while part := self.read(1 << 18):
            digest.update(part)
        Conn.__exit__(self.conn)
        return digest.hexdigest()


def all_but_one(script, fetches):
    """Everybody has first bytes; then all but one read to the end, and then that one."""
    with ThreadPoolExecutor(FAST + 1) as pool:
        readers = list(pool.map(lambda _: Reader(), range(FAST + 1)))
        wait_until(lambda: script.sent == [MIB] * fetches, what="the first MiB; the rest may not come")
        script.rest.set()
        slow, expected = readers.pop(), body_hash(LENGTH)
        assert list(pool.map(Reader.rest, readers)) == [expected] * FAST
    yield
    assert slow.rest() == expected
    yield


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_what_is_stored_flows_to_all_and_waits_for_nobody(start, origin, framing):
    script = Slowly(framing)
    origin.on("/large", script)
    hf = start(origin.url, workers=2, http=PATIENT,
               cache={"memory": f"{LENGTH // MIB * 5 // 2}MiB", "max_object": f"{LENGTH // MIB + 1}MiB"})
    clients = all_but_one(script, fetches=1)
    next(clients)
    wait_until(lambda: script.sent == [LENGTH] and hf.stat("cache_objects") == 1,
               what="the whole, before one has read it")
    next(clients)
    assert origin.count("/large") == 1


def test_what_is_too_large_flows_to_each_and_is_a_window_ahead(start, origin):
    script = Slowly("length")
    origin.on("/large", script)
    hf = start(origin.url, workers=2, http=PATIENT,
               cache={"memory": "64MiB", "max_object": "4MiB"})
    clients = all_but_one(script, fetches=FAST + 1)
    next(clients)
    wait_until(lambda: script.sent.count(LENGTH) == FAST, what="all but one answer")
    wait_until(lambda: hf.stat("cache_used_bytes") <= WINDOW + MIB // 4, what="memory of one window")
    assert script.sent.count(LENGTH) == FAST
    next(clients)


def test_a_window_that_is_full_at_once(start, origin):
    """The answer comes so fast, on a connection that was idle, that the transfer stands before it waits."""
    body = SEED[:400_000]
    origin.on("*", answer(body))
    hf = start(origin.url, cache={"memory": "1MiB", "max_object": "64KiB"})
    for i in range(60):
        assert curl(url(f"/{i}")).length == len(body)
    assert hf.stat("cache_objects") == 0


def test_many_who_do_not_read_leave_memory_for_others(start, origin):
    """The more streams there are, the less each is ahead of its reader."""
    origin.on("*", answer(bytes(4 * MIB), ["Cache-Control: no-store"]))
    origin.on("/other", answer(b"here"))
    hf = start(origin.url, cache={"memory": "64MiB"})
    with contextlib.ExitStack() as stack:
        for i in range(150):
            conn = stack.enter_context(Conn(socket.AF_INET))
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            conn.connect((V4, 80))
            conn.sendall(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % i)
        wait_until(lambda: len(origin.seen) == 150, what="all to be asked for")
        assert curl(url("/other")).body == b"here"
        assert hf.stat("cache_used_bytes") < 48 * MIB


def test_who_holds_up_the_others_of_a_stream_is_cut(start, origin):
    """A chunked body that outgrows what is stored is one stream for all who joined before; without room
    for all of it the last of them would set the pace."""
    script = Slowly("chunked")
    origin.on("/large", script)
    hf = start(origin.url, workers=2, http=PATIENT,
               cache={"memory": "64MiB", "max_object": "4MiB"})
    clients = all_but_one(script, fetches=1)
    next(clients)
    with pytest.raises(ConnectionResetError):
        next(clients)
    assert hf.drops()["conn_send_slow"] == 1 and origin.count("/large") == 1
