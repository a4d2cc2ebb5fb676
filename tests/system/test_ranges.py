# SPDX-License-Identifier: BSD-3-Clause
"""Ranges of what is stored, being filled, or too large to be stored (RFC 9110 section 14)."""
import concurrent.futures
import email
import hashlib
import random
import threading

import pytest
from harness import (answer, blocks, body_hash, cache_status, connect, curl, is_hit, read_answer,
                     url, wait_until)

BODY = bytes(random.Random(1).randbytes(100000))
HEADERS = ("Cache-Control: max-age=600", 'ETag: "v1"', "Content-Type: text/plain",
           "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")


def get(path, value, *options):
    return curl(url(path), "-H", f"Range: {value}", *options)


def parts(reply):
    """[(content-range, bytes)] of a multipart answer, as Python's own parser reads it."""
    head = f"Content-Type: {reply.headers['content-type']}\r\n\r\n".encode("latin-1")
    message = email.message_from_bytes(head + reply.body)
    assert message.is_multipart() and not message.defects
    return [(part["Content-Range"], part.get_payload(decode=True)) for part in
            message.get_payload()]


def test_rfc9110_s14_one_range_is_what_nginx_sends(start, nginx):
    """The same ranges of the same file from nginx and from the cache: no freedom is left."""
    start(nginx.url)
    path, rng = f"/length/{nginx.file(100000)}", random.Random(14)
    assert curl(url(path)).status == 200
    for _ in range(150):
        begin, end = sorted(rng.randrange(100100) for _ in range(2))
        value = rng.choice([f"bytes={begin}-{end}", f"bytes={begin}-", f"bytes=-{begin}"])
        direct = curl(nginx.url + path, "-H", f"Range: {value}")
        reply = get(path, value)
        assert is_hit(reply), value
        assert reply.status == direct.status, value
        assert reply.headers.get("content-range") == direct.headers.get("content-range"), value
        if reply.status == 206:
            assert (reply.length, reply.sha256) == (direct.length, direct.sha256), value
            for name in ("etag", "last-modified", "content-type"):
                assert reply.headers[name] == direct.headers[name]


def test_rfc9110_s15_3_7_2_parts(start, origin):
    body = bytes(range(32, 127)) * 100
    origin.on("/a", answer(body, HEADERS))
    start(origin.url)
    for hit in (False, True):
        reply = get("/a", "bytes=5000-5099, 0-9, -7, 90000-")
        assert (reply.status, is_hit(reply)) == (206, hit)
        got = parts(reply)
        assert sorted(got) == sorted([
            ("bytes 5000-5099/9500", body[5000:5100]), ("bytes 0-9/9500", body[:10]),
            ("bytes 9493-9499/9500", body[-7:])])
        assert not hit or got[0][0] == "bytes 5000-5099/9500"
    assert origin.count("/a") == 1


@pytest.mark.parametrize("value,status", [
    ("bytes=5-2", 200), ("lines=0-1", 200), ("bytes=", 200), ("bytes=0-1,x", 200),
    ("bytes=" + ",".join(f"{n * 1000}-{n * 1000}" for n in range(20)), 200),
    ("bytes=" + ",".join(["0-"] * 1000), 206), ("bytes=-0", 416), ("bytes=100000-", 416)])
def test_rfc9110_s14_2_odd_ranges(start, origin, value, status):
    origin.on("/a", answer(BODY, HEADERS))
    start(origin.url)
    for hit in (False, True):
        reply = get("/a", value)
        assert (reply.status, is_hit(reply)) == (status, hit)
        assert reply.length == (0 if status == 416 else len(BODY))
        if status == 416:
            assert reply.headers["content-range"] == "bytes */100000"


def test_rfc9110_s13_1_5_a_resumed_download_is_whole_or_begins_again(start, origin, tmp_path):
    out = tmp_path / "out"
    origin.on("/a", answer(BODY, HEADERS))
    start(origin.url)
    for tag, status in (('"v1"', 206), ('"v0"', 200), ('W/"v1"', 200)):
        reply = get("/a", "bytes=40000-", "-H", f"If-Range: {tag}")
        assert reply.status == status
        assert reply.sha256 == hashlib.sha256(BODY[40000 if status == 206 else 0:]).hexdigest()
    out.write_bytes(BODY[:40000])
    curl(url("/a"), "-C", "-", "-o", out)
    # -i writes the head of the answer where the rest goes
    assert out.read_bytes().endswith(BODY[40000:])


def test_a_range_of_what_is_being_filled_does_not_wait_for_the_rest(start, origin):
    """Two clients and a slow origin: each has its bytes when they are there."""
    go = threading.Event()

    def script(conn, request):
        conn.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n"
                     b"Content-Length: 100000\r\n\r\n" + BODY[:60000])
        go.wait(30)
        conn.sendall(BODY[60000:])
        return True

    origin.on("/slow", script)
    hf = start(origin.url)
    ask = b"GET /slow HTTP/1.1\r\nHost: x\r\nRange: bytes=%b\r\n\r\n"
    with connect() as first, connect() as second:
        first.sendall(ask % b"50000-50999")
        reply = read_answer(first.makefile("rb"))
        assert (reply.status, reply.body) == (206, BODY[50000:51000])
        second.sendall(ask % b"-10,0-9")
        stream = second.makefile("rb")
        assert stream.peek(1)  # its head: in what order the parts come is settled
        go.set()
        reply = read_answer(stream)
        assert [data for _, data in parts(reply)] == [BODY[:10], BODY[-10:]]
    assert origin.count("/slow") == 1
    wait_until(lambda: hf.stat("cache_objects") == 1, what="the whole is stored")
    assert is_hit(curl(url("/slow"), "-H", "Host: x"))


def test_many_clients_put_a_file_together(start, nginx):
    start(nginx.url, workers=2)
    length, step = 64 << 20, 5 << 20
    path = f"/length/{nginx.file(length)}"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        begins = range(0, length, step)
        replies = list(pool.map(lambda at: get(path, f"bytes={at}-{at + step - 1}"), begins))
    want, pending = [], b""
    for block in blocks(length):
        pending += block
        while len(pending) >= step:
            want.append(hashlib.sha256(pending[:step]).hexdigest())
            pending = pending[step:]
    want.append(hashlib.sha256(pending).hexdigest())
    assert [reply.status for reply in replies] == [206] * len(want)
    assert [reply.sha256 for reply in replies] == want


@pytest.mark.parametrize("value", ["bytes=60000000-60000999", "bytes=-5000000",
                                   "bytes=0-99999,30000000-30099999,67000000-"])
def test_ranges_of_what_is_too_large_to_be_stored(start, nginx, value):
    """The whole comes by, in bounded memory."""
    hf = start(nginx.url, cache={"memory": "32MiB", "max_object": "1MiB"})
    length = 64 << 20
    path = f"/length/{nginx.file(length)}"
    direct = curl(nginx.url + path, "-H", f"Range: {value}")
    reply = get(path, value)
    assert reply.status == direct.status == 206
    assert "stored" not in cache_status(reply)
    if "," not in value:
        assert (reply.length, reply.sha256) == (direct.length, direct.sha256)
    else:
        assert reply.length == int(reply.headers["content-length"])
    assert hf.stat("cache_used_bytes") <= 32 << 20
    if value == "bytes=60000000-60000999":  # nothing near the beginning: the origin skips to it
        assert hf.stat("origin_body_bytes_total") == 1000
        assert get(path, value).sha256 == direct.sha256
        assert hf.stat("origin_body_bytes_total") == 2000
    assert curl(url(path)).sha256 == body_hash(length)


def test_rfc9110_s15_5_17_a_416_of_the_origin_is_passed(start, origin):
    """Of what is known not to be stored the origin gets the range, and tells what it thinks of it."""
    origin.on("/a", answer(b"x" * 10, ["Cache-Control: no-store"]))
    start(origin.url)
    curl(url("/a"))
    origin.on("/a", answer(b"no", ["Content-Range: bytes */10"], "416 Range Not Satisfiable"))
    reply = get("/a", "bytes=20-", "-H", 'If-Range: "e"')
    assert (reply.status, reply.body, reply.headers["content-range"]) == (416, b"no", "bytes */10")
    asked = dict(origin.seen[-1].headers)
    assert (asked["range"], asked["if-range"]) == ("bytes=20-", '"e"')
