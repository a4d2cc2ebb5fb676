# SPDX-License-Identifier: BSD-3-Clause
"""One fetch a key, whoever asks and however many; what may not be shared is not."""
import os
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import SLOW, V4, answer, connect, curl, is_hit, read_answer, url, wait_until

CLIENTS = 100
PART = 40000


def leave(conn):
    """By a RST: a FIN only says that no further request comes."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(conn.detach())


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


@pytest.mark.parametrize("workers", [1, 2])
def test_no_store_waits_for_one_answer_and_never_again(start, origin, workers):
    """What may not be shared: a first burst is one fetch and then all the others at once, twice the
    origin's time; a later one all at once. Asserted by who is at the origin together, not by the clock."""
    together = {"leader": threading.Event()}

    def own(conn, request):
        who = dict(request.headers)["x-who"]
        with lock:
            place = len(asked)
            asked.append(who)
        if place == 0:
            assert together["leader"].wait(30 * SLOW)
        else:
            together["rest" if place < CLIENTS else "later"].wait()  # nobody is answered before all came
        return answer(who.encode(), ["Cache-Control: no-store"])(conn, request)

    lock, asked = threading.Lock(), []
    together["rest"] = threading.Barrier(CLIENTS - 1, timeout=30 * SLOW)
    together["later"] = threading.Barrier(CLIENTS, timeout=30 * SLOW)
    origin.on("/own", own)
    hf = start(origin.url, workers=workers)

    def burst(pool):
        conns = [connect() for _ in range(CLIENTS)]
        for i, conn in enumerate(conns):
            conn.sendall(b"GET /own HTTP/1.1\r\nHost: x\r\nX-Who: %d\r\n\r\n" % i)
        return [pool.submit(read_own, i, conn) for i, conn in enumerate(conns)]

    def read_own(i, conn):
        with conn:
            assert read_answer(conn.makefile("rb")).body == b"%d" % i

    with ThreadPoolExecutor(CLIENTS) as pool:
        first = burst(pool)
        wait_until(lambda: hf.stat("origin_coalesced_total") == CLIENTS - 1, what="all to wait")
        assert len(asked) == 1
        together["leader"].set()
        for client in first + burst(pool):
            client.result()
    assert len(asked) == 2 * CLIENTS


def test_one_who_waits_leaves(start, origin):
    """Who leaves takes nothing along, whether he was the first, waited, or had begun to read."""
    asked, head, rest = threading.Event(), threading.Event(), threading.Event()

    def slow(conn, request):
        asked.set()
        assert head.wait(30 * SLOW)
        conn.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                     b"Content-Length: %d\r\n\r\n" % (2 * PART) + b"a" * PART)
        assert rest.wait(30 * SLOW)
        conn.sendall(b"b" * PART)
        return True

    origin.on("/left", slow)
    hf = start(origin.url, workers=2)
    conns = [connect() for _ in range(10)]
    for i, conn in enumerate(conns):
        conn.sendall(b"GET /left HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asked.wait(10 * SLOW)  # the first one leads
        wait_until(lambda: hf.stat("http_requests_total") == i + 1, what="the request")
    for gone in conns[0], conns[3], conns[4]:
        leave(gone)
    wait_until(lambda: hf.stat("tcp_connections") == 7, what="three to be gone")
    head.set()
    streams = [conn.makefile("rb") for conn in conns]
    for i in 1, 2, 5, 6, 7, 8, 9:
        while streams[i].readline() != b"\r\n":
            pass
        assert streams[i].read(PART) == b"a" * PART
    for gone in conns[1], conns[9]:
        leave(gone)
    rest.set()
    for i in 2, 5, 6, 7, 8:
        assert streams[i].read(PART) == b"b" * PART
        conns[i].__exit__()
    assert origin.count("/left") == 1 and is_hit(curl(url("/left"), "-H", "Host: x"))


@pytest.mark.parametrize("leaves", [False, True])
def test_an_answer_for_the_first_is_handed_to_nobody(start, origin, leaves):
    """The first one's private answer comes when he has left, or not: each other asks for himself."""
    asked, go = threading.Event(), threading.Event()

    def own(conn, request):
        asked.set()
        assert go.wait(30 * SLOW)
        return answer(dict(request.headers)["x-who"].encode(),
                      ["Cache-Control: private, max-age=60"])(conn, request)

    origin.on("/own", own)
    hf = start(origin.url, workers=2)
    conns = [connect() for _ in range(6)]
    for i, conn in enumerate(conns):
        conn.sendall(b"GET /own HTTP/1.1\r\nHost: x\r\nX-Who: %d\r\n\r\n" % i)
        assert asked.wait(10 * SLOW)
        wait_until(lambda: hf.stat("http_requests_total") == i + 1, what="the request")
    if leaves:
        leave(conns[0])
        wait_until(lambda: hf.stat("tcp_connections") == 5, what="the first to be gone")
    go.set()
    for i, conn in enumerate(conns[leaves:], leaves):
        assert read_answer(conn.makefile("rb")).body == b"%d" % i
        conn.__exit__()
    assert origin.count("/own") == 6 and hf.stat("cache_objects") == 0
