# SPDX-License-Identifier: BSD-3-Clause
"""Origins that say more than one answer, or an answer that two readers understand differently
(RFC 9112 §6.3, §11.1): nobody gets what was not meant for him, and nothing of it is stored."""
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import answer, connect, curl, exchange, is_hit, read_answer, url

GOOD = answer(b"good")
EVIL = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nEVIL"
HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"

LONGER = {  # method, what is said -> what of it is the answer
    "behind-length": ("GET", HEAD + b"Content-Length: 2\r\n\r\nok", b"ok"),
    "behind-no-body": ("GET", HEAD + b"Content-Length: 0\r\n\r\n", b""),
    "behind-chunked": ("GET", HEAD + CHUNKED, b"ok"),
    "behind-length-and-chunked": ("GET", HEAD + b"Content-Length: 99\r\n" + CHUNKED, b"ok"),
    "behind-204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "behind-204-with-length":
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 67\r\n\r\n", b""),
    "behind-head": ("HEAD", HEAD + b"Content-Length: 67\r\n\r\n", b""),
    "behind-head-chunked": ("HEAD", HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b""),
}


def say(text, evil, late=None):
    """A script; late: a barrier before and behind what is said unasked."""
    def script(conn, request):
        conn.sendall(text if late else text + evil)
        if late:
            late.wait()
            conn.sendall(evil)
            late.wait()
        return True
    return script


@pytest.mark.parametrize("how", ["at-once", "much-at-once", "late"])
@pytest.mark.parametrize("name", LONGER)
def test_what_follows_an_answer_is_nobodys(start, origin, name, how):
    """In the same segment, more than one read takes, or when its connection waits for a request."""
    method, text, body = LONGER[name]
    late = threading.Barrier(2, timeout=20) if how == "late" else None
    origin.on("/longer", say(text, EVIL * (3000 if how == "much-at-once" else 1), late))
    origin.on("/next", GOOD)
    start(origin.url)
    reply, _ = exchange(f"{method} /longer HTTP/1.1\r\nHost: x\r\n\r\n".encode(), method=method)
    assert reply.body == body, reply
    for _ in range(2 if late else 0):
        late.wait()
    for _ in range(3):
        reply = curl(url("/next"), "-H", "Cache-Control: no-cache")
        assert (reply.status, reply.body) == (200, b"good")
    assert is_hit(curl(url("/next")))


@pytest.mark.parametrize("name", ["behind-length", "behind-head", "behind-204"])
def test_among_many(start, origin, name):
    """Fetches of many clients that take their connections from each other all the time."""
    method, text, _ = LONGER[name]
    origin.on("/longer", say(text, EVIL * 500))
    origin.on("*", GOOD)
    start(origin.url)

    def client(number):
        with connect() as conn:
            stream = conn.makefile("rb")
            for i in range(40):
                evil = (i + number) % 3 == 0
                target, how = ("/longer?", method) if evil else (f"/{number}/{i}?", "GET")
                conn.sendall(f"{how} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                reply = read_answer(stream, how)
                if not evil:
                    assert (reply.status, reply.body) == (200, b"good")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))


ASKED = {  # what a client sends -> how the origin is to be told where the body ends, and the body
    "get": (b"GET /asked HTTP/1.1\r\nHost: x\r\n\r\n", {}, b""),
    "get-with-body": (b"GET /asked HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
                      {"content-length": "3"}, b"abc"),
    "length-zeros": (b"POST /asked HTTP/1.1\r\nHost: x\r\nContent-Length: 0003\r\n\r\nabc",
                     {"content-length": "3"}, b"abc"),
    "no-body": (b"POST /asked HTTP/1.1\r\nHost: x\r\n\r\n", {"content-length": "0"}, b""),
    "chunked": (b"POST /asked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: , ChunkeD\r\n\r\n"
                b"0001;a=\"b\"\r\na\r\n2\r\nbc\r\n00\r\nContent-Length: 9\r\nX-Gone: t\r\n\r\n",
                {"transfer-encoding": "chunked"}, b"abc"),
    "chunked-get": (b"GET /asked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"3\r\nabc\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}, b"abc"),
    "chunked-head": (b"HEAD /asked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"3\r\nabc\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}, b"abc"),
    "connection-names-framing": (b"POST /asked HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                                 b"Connection: content-length, host, x-gone\r\n"
                                 b"X-Gone: 1\r\n\r\nabc",
                                 {"content-length": "3"}, b"abc"),
    "underscores": (b"POST /asked HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent_Length: 9\r\n"
                    b"Transfer_Encoding: chunked\r\n\r\nabc", {"content-length": "3"}, b"abc"),
    "hops": (b"GET /asked HTTP/1.1\r\nHost: x\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\n"
             b"HTTP2-Settings: AAMAAABk\r\nConnection: upgrade, http2-settings\r\nTrailer: y\r\n"
             b"Keep-Alive: 5\r\nProxy-Connection: close\r\nProxy-Authorization: z\r\n\r\n",
             {}, b""),
    "absolute-form": (b"GET http://x/asked HTTP/1.1\r\nHost: wrong\r\n\r\n", {}, b""),
    "other-spelling": (b"GET /%61sked HTTP/1.1\r\nHost: X:80\r\n\r\n", {}, b""),
    "1.0": (b"GET /asked HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", {}, b""),
}
FRAMING = {"content-length", "transfer-encoding"}
NEVER = {"te", "upgrade", "http2-settings", "trailer", "keep-alive", "proxy-connection", "expect",
         "proxy-authorization", "x-gone", "connection", "content_length", "transfer_encoding"}


@pytest.mark.parametrize("name", ASKED)
def test_requests_are_rebuilt(start, origin, name):
    """One host, one framing, nothing of the client's hop (RFC 9110 §7.6.1, RFC 9112 §3.2.2)."""
    raw, framing, body = ASKED[name]
    start(origin.url)
    method, got = raw.split()[0].decode(), []

    def script(conn, request):
        got.append(read_whole(request))
        return answer(b"good")(conn, request._replace(headers=[]))

    origin.on("*", script)
    assert exchange(raw, method=method)[0].status == 200
    request, = origin.seen
    fields = dict(request.headers)
    assert (request.method, request.target, request.version) == (method, "/asked", "HTTP/1.1")
    assert len(fields) == len(request.headers), "a field twice"
    assert {key: fields[key] for key in FRAMING & set(fields)} == framing and got == [body]
    assert fields["host"] == "x" and not NEVER & set(fields)


def read_whole(request):
    fields, body = dict(request.headers), b""
    if "transfer-encoding" not in fields:
        return request.stream.read(int(fields.get("content-length", 0)))
    while length := int(request.stream.readline(), 16):
        body += request.stream.read(length)
        assert request.stream.readline() == b"\r\n"
    assert request.stream.readline() == b"\r\n", "trailers"
    return body
