# SPDX-License-Identifier: BSD-3-Clause
"""Conditional requests, answered from the cache (RFC 9110 section 13, RFC 9111 section 4.3.2)."""
import pytest
from harness import answer, cache_status, connect, curl, is_hit, read_answer, url

MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
HEADERS = ("Cache-Control: max-age=600", 'ETag: "v1"', f"Last-Modified: {MODIFIED}",
           "Content-Type: text/plain", "Vary: Accept-Language", "X-Own: 1")
CONDITIONS = [
    ('If-None-Match: "v1"', 304), ('If-None-Match: W/"v1"', 304), ("If-None-Match: *", 304),
    ('If-None-Match: "v0", "v1"', 304), ('If-None-Match: "v0"', 200), ("If-None-Match: v1", 200),
    (f"If-Modified-Since: {MODIFIED}", 304), (f"If-Modified-Since: {LATER}", 304),
    (f"If-Modified-Since: {EARLIER}", 200), ("If-Modified-Since: 0", 200),
    ('If-Match: "v0"', 200),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_rfc9111_s4_3_2_what_is_stored_answers_conditions(start, origin, method):
    origin.on("/a", answer(b"body", HEADERS))
    hf = start(origin.url)
    assert curl(url("/a")).body == b"body"
    for condition, status in CONDITIONS:
        options = ["-I"] if method == "HEAD" else []
        reply = curl(url("/a"), "-H", condition, *options)
        assert (reply.status, is_hit(reply)) == (status, True), condition
        assert reply.body == (b"body" if status == 200 and method == "GET" else b"")
    assert origin.count("/a") == 1
    assert hf.stat("cache_not_modified_total") == sum(status == 304 for _, status in CONDITIONS)


def test_rfc9110_s15_4_5_fields_of_a_304(start, origin):
    origin.on("/a", answer(b"body", HEADERS))
    start(origin.url)
    curl(url("/a"))
    reply = curl(url("/a"), "-H", 'If-None-Match: "v1"')
    assert reply.status == 304
    assert {"etag", "cache-control", "vary", "date", "age", "via"} <= reply.headers.keys()
    assert not {"content-length", "content-type", "last-modified", "x-own"} & reply.headers.keys()


def test_rfc9111_s4_3_2_a_miss_is_fetched_whole_and_the_client_gets_304(start, origin):
    """The origin is not asked conditionally for what others will want whole."""
    origin.on("/a", answer(b"body", HEADERS))
    start(origin.url)
    reply = curl(url("/a"), "-H", 'If-None-Match: "v1"')
    assert reply.status == 304 and cache_status(reply) == "holdfast; fwd=miss; stored"
    assert not {"if-none-match"} & {name for name, _ in origin.seen[0].headers}
    reply = curl(url("/a"))
    assert is_hit(reply) and reply.body == b"body"
    assert origin.count("/a") == 1


def test_rfc9110_s13_2_1_who_is_not_shared_asks_the_origin(start, origin):
    origin.on("/a", answer(b"", ('ETag: "v1"',), "412 Precondition Failed"))
    start(origin.url)
    reply = curl(url("/a"), "-H", "Authorization: Basic Zm9v", "-H", 'If-None-Match: "v1"')
    assert reply.status == 412
    assert ("if-none-match", '"v1"') in origin.seen[0].headers


def test_a_connection_stays_in_step_over_many_304s(start, origin):
    origin.on("/a", answer(b"body", HEADERS))
    start(origin.url)
    ask = b"GET /a HTTP/1.1\r\nHost: x\r\n%b\r\n"
    with connect() as conn:
        stream = conn.makefile("rb")
        conn.sendall(b"".join(ask % (b'If-None-Match: "v1"\r\n' if n % 3 else b"")
                              for n in range(300)))
        for n in range(300):
            reply = read_answer(stream)
            assert (reply.status, reply.body) == ((304, b"") if n % 3 else (200, b"body"))


def test_curl_keeps_its_copy(start, nginx, tmp_path):
    """A client of others': what it saved is not sent again."""
    start(nginx.url)
    path, saved, out = f"/length/{nginx.file(100000)}", tmp_path / "etag", tmp_path / "out"
    reply = curl(url(path), "--etag-save", saved, "-o", out)
    reply = curl(url(path), "--etag-compare", saved)
    assert (reply.status, reply.length) == (304, 0)
    reply = curl(url(path), "-z", reply.headers["date"])
    assert (reply.status, reply.length) == (304, 0)
