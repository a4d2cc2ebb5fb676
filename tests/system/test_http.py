# SPDX-License-Identifier: BSD-3-Clause
"""HTTP/1.1 as clients speak it: uploads, pipelining, HEAD, 1.0, Expect, hop-by-hop fields."""
import hashlib
import threading

import pytest
from harness import (SLOW, V4, V6, answer, blocks, body_hash, cache_status, connect, curl, exchange,
                     is_hit, read_answer, read_body, say, url, wait_until)
from test_reload import reload

H = b"Host: x\r\n"


@pytest.fixture
def echo(origin):
    """Says what it got: method, body length and sha256, hop-by-hop fields."""
    def script(conn, request):
        if ("expect", "100-continue") in request.headers:
            conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length, sha256 = read_body(request.stream, request.headers)
        say(conn, request, f"{request.method} {length} {sha256}".encode(), [])
        return True
    origin.on("*", script)
    return origin


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_uploads_stream_through(start, echo, tmp_path, method, framing, workers):
    hf = start(echo.url, workers=workers, cache={"memory": "32MiB", "max_object": "1MiB"})
    for length, host in ((0, V4), (1, V6), (1 << 20, V4), (64 << 20, V6)):
        if framing == "chunked" and length == 0:
            continue  # curl forgets the last chunk then
        path = tmp_path / "body"
        with path.open("wb") as out:
            for block in blocks(length):
                out.write(block)
        options = ["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else []
        reply = curl(url("/up", host), "-X", method, "-T", path, *options, timeout=120)
        assert reply.body == f"{method} {length} {body_hash(length)}".encode()
        assert cache_status(reply) == "holdfast; fwd=method"
    assert hf.stat("cache_used_bytes") <= 32 << 20 and hf.stat("cache_objects") == 0


def test_upload_and_download_at_once(start, origin):
    """The origin answers while it still reads: both ways flow."""
    def script(conn, request):
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (8 << 20))
        for block in blocks(8 << 20):
            conn.sendall(block)
            request.stream.read(1 << 20)
        return True
    origin.on("/both", script)
    start(origin.url)
    with connect() as conn:
        conn.sendall(b"POST /both HTTP/1.1\r\n" + H + b"Content-Length: %d\r\n\r\n" % (8 << 20))
        sender = threading.Thread(target=lambda: [conn.sendall(b) for b in blocks(8 << 20)])
        sender.start()
        reply = read_answer(conn.makefile("rb"))
        sender.join()
    assert reply.sha256 == body_hash(8 << 20)


def test_early_answer_to_an_upload(start, origin):
    """413 before the body is read: the client gets it, the next connection works."""
    def script(conn, request):
        conn.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n"
                     b"Connection: close\r\n\r\n")
        return False
    origin.on("/no", script)
    origin.on("/yes", answer(b"yes"))
    start(origin.url)
    with connect() as conn:
        conn.sendall(b"POST /no HTTP/1.1\r\n" + H + b"Content-Length: 1000000\r\n\r\n" + b"x" * 999)
        assert read_answer(conn.makefile("rb")).status == 413
    assert curl(url("/yes")).body == b"yes"


@pytest.mark.parametrize("cut", [None, 1, 5])
def test_pipelining(start, origin, cut):
    """Many requests in one segment, or in tiny ones: answers in order, hits and misses mixed."""
    origin.on("*", lambda conn, request: answer(request.target.encode() * 9)(conn, request))
    start(origin.url)
    paths = [f"/{i % 7}" for i in range(40)]
    raw = b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths)
    with connect() as conn:
        for at in range(0, len(raw), cut or len(raw)):
            conn.sendall(raw[at:at + (cut or len(raw))])
        stream = conn.makefile("rb")
        for path in paths:
            assert read_answer(stream).body == path.encode() * 9


@pytest.mark.parametrize("length", [1500, 2500, 5000, 30000])
def test_large_heads(start, origin, length):
    """An answer's head is as large as the origin makes it; ours fits a send buffer no more."""
    origin.on("*", answer(b"x" * 3000, ["Cache-Control: max-age=60", f"X-Large: {'y' * length}"]))
    hf = start(origin.url)
    for hit in (False, True):
        reply = curl(url("/"))
        assert (reply.status, reply.body, is_hit(reply)) == (200, b"x" * 3000, hit)
        assert reply.headers["x-large"] == "y" * length
    assert hf.process.poll() is None


def test_pipelined_large_bodies(start, nginx):
    """Hits larger than any send window, one behind the other."""
    start(nginx.url)
    lengths = [1 << 20, 0, 65536, 1461, 1 << 20]
    names = [nginx.file(length) for length in lengths]
    for _ in range(2):
        with connect() as conn:
            for name in names:
                conn.sendall(b"GET /length/%b HTTP/1.1\r\n%b\r\n" % (name.encode(), H))
            stream = conn.makefile("rb")
            for length in lengths:
                assert read_answer(stream).sha256 == body_hash(length)


def test_post_pipelined_behind_get(start, echo):
    start(echo.url)
    empty = hashlib.sha256(b"").hexdigest()
    raw = b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert exchange(raw)[0].body == f"POST 0 {empty}".encode()
    with connect() as conn:
        conn.sendall(b"POST /a HTTP/1.1\r\n" + H + b"Content-Length: 3\r\n\r\nabc"
                     b"POST /b HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n"
                     b"2\r\nab\r\n0\r\nTrailer: x\r\n\r\nGET /c HTTP/1.1\r\n" + H + b"\r\n")
        stream = conn.makefile("rb")
        sha = [hashlib.sha256(body).hexdigest() for body in (b"abc", b"ab", b"")]
        assert read_answer(stream).body == f"POST 3 {sha[0]}".encode()
        assert read_answer(stream).body == f"POST 2 {sha[1]}".encode()
        assert read_answer(stream).body == f"GET 0 {sha[2]}".encode()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_the_body_of_a_request_for_a_stored_path_is_no_request(start, origin, method, framing):
    """A cache that answers a hit and leaves the body unread takes it for the next request."""
    def script(conn, request):
        length, _ = read_body(request.stream, request.headers)
        say(conn, request, f"{request.target} {length}".encode(), ["Cache-Control: max-age=60"])
        return True

    origin.on("*", script)
    start(origin.url)
    assert curl(url("/a"), "-H", "Host: x").body == b"/a 0"
    inner = b"GET /inner HTTP/1.1\r\n" + H + b"\r\n"
    body = (b"Content-Length: %d\r\n\r\n%b" % (len(inner), inner) if framing == "length" else
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner))
    with connect() as conn:
        conn.sendall(method + b" /a HTTP/1.1\r\n" + H + body
                     + b"GET /a HTTP/1.1\r\n" + H + b"\r\n")
        stream = conn.makefile("rb")
        first = read_answer(stream, method.decode())
        assert "hit" not in first.headers["cache-status"]
        assert first.body == (b"/a %d" % len(inner) if method == b"GET" else b"")
        second = read_answer(stream)
        assert is_hit(second) and second.body == b"/a 0", "what a body asked for is not stored"
    assert origin.count("/inner") == 0


def test_head(start, nginx):
    start(nginx.url)
    path = f"/length/{nginx.file(1461)}"
    for _ in range(2):  # a HEAD that misses, a GET that may fill, a HEAD that hits
        reply, closed = exchange(b"HEAD %b HTTP/1.1\r\n%b\r\n" % (path.encode(), H), method="HEAD")
        assert (reply.status, reply.headers["content-length"]) == (200, "1461") and not closed
        assert curl(url(path), "-H", "Host: x").sha256 == body_hash(1461)
    assert is_hit(reply)


def test_options_asterisk_and_not_allowed(start, echo):
    start(echo.url)
    reply, closed = exchange(b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n")
    assert reply.status == 204 and "GET" in reply.headers["allow"] and not closed
    reply, _ = exchange(b"TRACE / HTTP/1.1\r\n" + H + b"\r\n")
    assert reply.status == 405 and "GET" in reply.headers["allow"]
    assert echo.seen == []


def test_http_1_0(start, nginx):
    start(nginx.url)
    for options, ends in ((b"", True), (b"Connection: keep-alive\r\n", False)):
        reply, closed = exchange(b"GET /hello HTTP/1.0\r\n" + H + options + b"\r\n")
        assert reply.body == b"hello\n" and closed == ends
    # of a body whose length is not known: its end is the connection's
    path = f"/chunked/{nginx.file(65536)}".encode()
    reply, closed = exchange(b"GET %b HTTP/1.0\r\n%b\r\n" % (path, H))
    assert reply.sha256 == body_hash(65536) and closed
    assert "transfer-encoding" not in reply.headers


@pytest.mark.parametrize("host,name", [(V4, V4), (V6, f"[{V6}]")])
def test_http_1_0_without_host(start, origin, host, name):
    """RFC 9112 §3.3: it means whom it was sent to; an empty Host says no more."""
    origin.on("/old", answer(b"old"))
    start(origin.url)
    for i, fields in enumerate((b"", b"Host:\r\n", b"Host: " + name.encode() + b"\r\n")):
        reply, closed = exchange(b"GET /old HTTP/1.0\r\n" + fields + b"\r\n", host)
        assert reply.body == b"old" and closed and is_hit(reply) == (i > 0)
    assert dict(origin.seen[0].headers)["host"] == name


def test_keep_alive_and_close(start, nginx):
    hf = start(nginx.url)
    with connect() as conn:
        stream = conn.makefile("rb")
        for _ in range(100):
            conn.sendall(b"GET /hello HTTP/1.1\r\n" + H + b"\r\n")
            assert read_answer(stream).status == 200
        conn.sendall(b"GET /hello HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
        reply = read_answer(stream)
        assert reply.headers["connection"] == "close" and stream.read() == b""
    assert hf.stat("tcp_connections_opened_total") == 1


def test_expect_100_continue(start, echo):
    start(echo.url)
    with connect() as conn:
        conn.sendall(b"POST /e HTTP/1.1\r\n" + H + b"Expect: 100-continue\r\n"
                     b"Content-Length: 3\r\n\r\n")
        stream = conn.makefile("rb")
        assert read_answer(stream).status == 100  # before a byte of the body
        conn.sendall(b"abc")
        assert read_answer(stream).body.startswith(b"POST 3 ")


def test_rfc9110_s15_2_interim_answers_come_through(start, origin):
    gate = threading.Event()

    def script(conn, request):
        conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n"
                     b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        gate.wait(30 * SLOW)
        return answer(b"final")(conn, request)

    origin.on("/a", script)
    start(origin.url)
    request = b"GET /a HTTP/1.%d\r\n" + H + b"Connection: keep-alive\r\n\r\n"
    with connect() as conn, connect() as old:
        conn.sendall(request % 1)
        stream = conn.makefile("rb")
        hint = read_answer(stream)  # while the origin thinks
        assert (hint.status, hint.headers["link"]) == (103, "</x>")
        old.sendall(request % 0)
        gate.set()
        assert read_answer(stream).body == b"final"
        assert read_answer(old.makefile("rb")).body == b"final"
        conn.sendall(request % 1)
        reply = read_answer(stream)
        assert is_hit(reply) and "link" not in reply.headers


def test_hop_by_hop_fields_stay_on_their_hop(start, origin):
    """RFC 9110 §7.6.1"""
    origin.on("/h", answer(b"x", ["Connection: x-mine", "X-Mine: 1", "Keep-Alive: 5",
                                  "Proxy-Authenticate: Basic", "X-Yours: 2",
                                  "Cache-Control: max-age=60"]))
    start(origin.url)
    for _ in range(2):
        reply = curl(url("/h"), "-H", "Connection: x-hop", "-H", "X-Hop: 1", "-H", "TE: gzip",
                     "-H", "X-End: 2", "-H", "Keep-Alive: 9")
        assert "x-mine" not in reply.headers and "keep-alive" not in reply.headers
        assert reply.headers["x-yours"] == "2" and "via" in reply.headers
    fields = dict(origin.seen[0].headers)
    assert not {"x-hop", "te", "keep-alive"} & set(fields)
    assert fields["x-end"] == "2" and "via" in fields
    assert "192.0.2.1" in fields.get("x-forwarded-for", "") + fields.get("forwarded", "")


def test_absolute_form_names_the_host(start, origin):
    """RFC 9112 §3.2.2: the target's authority wins over Host."""
    origin.on("/abs", answer(b"x"))
    start(origin.url)
    raw = b"GET http://right.example/abs HTTP/1.1\r\nHost: wrong.example\r\n\r\n"
    assert exchange(raw)[0].status == 200
    assert dict(origin.seen[0].headers)["host"] == "right.example"
    assert is_hit(curl(url("/abs"), "-H", "Host: right.example"))
    assert not is_hit(curl(url("/abs"), "-H", "Host: wrong.example"))


@pytest.mark.parametrize("status", ["204 No Content", "301 Moved Permanently", "404 Not Found",
                                    "500 Internal Server Error"])
def test_statuses_pass_through(start, origin, status):
    def script(conn, request):
        if status[:3] == "204":
            conn.sendall(b"HTTP/1.1 204 No Content\r\nCache-Control: max-age=9\r\n\r\n")
            return True
        return answer(b"body", ["Cache-Control: max-age=9", "Location: /y"], status)(conn, request)
    origin.on("/s", script)
    start(origin.url)
    for _ in range(2):
        reply = curl(url("/s"))
        assert reply.status == int(status[:3])
        assert reply.body == (b"" if status[:3] == "204" else b"body")


def test_no_cache_is_revalidated_with_the_origin(start, origin):
    origin.on("/n", answer(b"x"))
    start(origin.url)
    for i in range(1, 4):
        assert not is_hit(curl(url("/n"), "-H", "Cache-Control: no-cache"))
        assert origin.count("/n") == i
    assert curl(url("/zz"), "-H", "Cache-Control: only-if-cached").status == 504


def dribble(conn, text, then):
    """Sends a byte again and again until there is an answer; what comes, to its end."""
    conn.sendall(text)
    conn.settimeout(0.02)
    while True:
        try:
            return conn.recv(1 << 16)
        except TimeoutError:
            conn.sendall(then)


@pytest.mark.parametrize("text", [b"\r\n", b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nA: ",
                                  b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nA: "])
def test_slow_request_head_times_out(start, nginx, text):
    """Of the head as a whole, however often a byte of it comes (RFC 9110 §15.5.9)."""
    hf = start(nginx.url, http={"header_timeout": "200ms", "idle_timeout": "20s"})
    with connect() as conn:
        assert b" 408 " in dribble(conn, text, b"" if text == b"\r\n" else b"a")
    assert hf.drops()["conn_head_timeout"] == 1
    assert curl(url("/hello")).status == 200


def test_idle_connections_are_closed(start, nginx):
    """Without a word: before the first request, and after one."""
    hf = start(nginx.url)
    with connect() as conn:
        stream = conn.makefile("rb")
        for timeout in ("60s", "300ms"):  # for what comes behind the request
            reload(hf, http={"idle_timeout": timeout})
            conn.sendall(b"GET /hello HTTP/1.1\r\n" + H + b"\r\n")
            assert read_answer(stream).status == 200
        assert stream.read() == b""
    with connect() as conn:
        assert conn.recv(1) == b""
    assert hf.drops()["conn_idle"] == 2


def test_slow_request_body_is_told(start, nginx):
    """http.body_rate, measured over ten seconds: 408, and the origin's fetch ends."""
    hf = start(nginx.url, http={"body_rate": "1KiB"})
    with connect(timeout=30) as conn:
        head = b"PUT /upload/x HTTP/1.1\r\n" + H + b"Content-Length: 9999\r\n\r\n"
        said = dribble(conn, head, b"a")
        assert said.startswith(b"HTTP/1.1 408 ") and b"Connection: close" in said
    assert hf.drops()["conn_body_slow"] == 1
    wait_until(lambda: hf.stat("origin_fetches_in_flight") == 0)
    assert curl(url("/hello")).status == 200


def test_connections_of_one_address_are_limited(start, nginx):
    hf = start(nginx.url, http={"connections_per_address": 8})
    conns = [connect() for _ in range(8)]
    for conn in conns:  # established for the server too
        conn.sendall(b"GET /hello HTTP/1.1\r\n" + H + b"\r\n")
        assert read_answer(conn.makefile("rb")).status == 200
    with pytest.raises((ConnectionError, TimeoutError)):
        with connect(timeout=3) as conn:
            conn.sendall(b"GET /hello HTTP/1.1\r\n" + H + b"\r\n")
            conn.settimeout(3 * SLOW)
            if not conn.recv(1):
                raise ConnectionResetError
    assert hf.drops()["conn_per_address"] >= 1
    for conn in conns:
        conn.close()
    assert curl(url("/hello"), "--retry", "5", "--retry-all-errors").status == 200
