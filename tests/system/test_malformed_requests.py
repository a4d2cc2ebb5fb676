# SPDX-License-Identifier: BSD-3-Clause
"""A table of malformed requests (RFC 9112): each gets its status, and the program still serves."""
import itertools

import pytest
from harness import V4, V6, Holdfast, answer, connect, curl, exchange, read_answer, url

H = b"Host: x\r\n"
GET = b"GET / HTTP/1.1\r\n"
END = b"\r\n"
MANY = b"".join(b"x-%d: y\r\n" % i for i in range(120))
POST = b"POST / HTTP/1.1\r\n" + H
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

TABLE = [  # name, bytes, status
    ("no-host", GET + END, 400),
    ("two-hosts", GET + H + H + END, 400),
    ("host-with-space", GET + b"Host: a b\r\n\r\n", 400),
    ("host-with-slash", GET + b"Host: a/b\r\n\r\n", 400),
    ("host-with-userinfo", GET + b"Host: u@x\r\n\r\n", 400),
    ("host-port-no-number", GET + b"Host: x:y\r\n\r\n", 400),
    ("host-empty", GET + b"Host:\r\n\r\n", 400),
    ("space-before-colon", GET + H + b"A : b\r\n\r\n", 400),
    ("obs-fold", GET + H + b"A: b\r\n c\r\n\r\n", 400),
    ("fold-of-first-field", GET + b" " + H + END, 400),
    ("field-without-colon", GET + H + b"nonsense\r\n\r\n", 400),
    ("field-empty-name", GET + H + b": b\r\n\r\n", 400),
    ("field-name-with-control", GET + H + b"A\x01: b\r\n\r\n", 400),
    ("field-value-with-nul", GET + H + b"A: b\0c\r\n\r\n", 400),
    ("field-value-with-bare-cr", GET + H + b"A: b\rc\r\n\r\n", 400),
    ("bare-lf-in-head", b"GET / HTTP/1.1\n" + H + END, 400),
    ("bare-lf-after-field", GET + b"Host: x\n\r\n", 400),
    ("method-empty", b" / HTTP/1.1\r\n" + H + END, 400),
    ("method-with-control", b"G\x01T / HTTP/1.1\r\n" + H + END, 400),
    ("method-unknown-is-not-404", b"GE(T / HTTP/1.1\r\n" + H + END, 400),
    ("method-endless", b"A" * 40 + b" / HTTP/1.1\r\n" + H + END, 501),
    ("two-spaces", b"GET  / HTTP/1.1\r\n" + H + END, 400),
    ("tab-for-space", b"GET\t/ HTTP/1.1\r\n" + H + END, 400),
    ("space-in-target", b"GET /a b HTTP/1.1\r\n" + H + END, 400),
    ("control-in-target", b"GET /\x07 HTTP/1.1\r\n" + H + END, 400),
    ("target-no-slash", b"GET x HTTP/1.1\r\n" + H + END, 400),
    ("asterisk-with-get", b"GET * HTTP/1.1\r\n" + H + END, 400),
    ("absolute-bad-scheme", b"GET ftp://x/ HTTP/1.1\r\n" + H + END, 400),
    ("absolute-no-host", b"GET http:/// HTTP/1.1\r\n" + H + END, 400),
    ("connect-no-port", b"CONNECT x HTTP/1.1\r\n" + H + END, 400),
    ("connect", b"CONNECT x:80 HTTP/1.1\r\n" + H + END, 405),
    ("trace", b"TRACE / HTTP/1.1\r\n" + H + END, 405),
    ("version-missing", b"GET /\r\n" + H + END, 400),
    ("version-lower-case", b"GET / http/1.1\r\n" + H + END, 400),
    ("version-0.9", b"GET / HTTP/0.9\r\n" + H + END, 505),
    ("version-2.0", b"GET / HTTP/2.0\r\n" + H + END, 505),
    ("version-two-digits", b"GET / HTTP/1.11\r\n" + H + END, 400),
    ("h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("uri-over-limit", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + H + END, 414),
    ("head-over-limit", GET + H + b"A: " + b"b" * 17000 + b"\r\n\r\n", 431),
    ("fields-over-limit", GET + H + MANY + END, 431),
    ("endless-empty-lines", b"\r\n" * 100 + GET + H + END, 400),
    ("length-and-chunked", POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n", 400),
    ("two-lengths", POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    ("length-list", POST + b"Content-Length: 1, 2\r\n\r\nab", 400),
    ("length-negative", POST + b"Content-Length: -1\r\n\r\n", 400),
    ("length-plus", POST + b"Content-Length: +1\r\n\r\na", 400),
    ("length-hex", POST + b"Content-Length: 0x1\r\n\r\na", 400),
    ("length-overflow", POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    ("chunked-not-last", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    ("chunked-twice", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    ("coding-unknown", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("coding-smuggled", POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
    ("chunked-in-1.0", b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400),
    ("chunk-size-no-hex", CHUNKED + b"zz\r\n", 400),
    ("chunk-size-overflow", CHUNKED + b"fffffffffffffffff\r\n", 400),
    ("chunk-size-negative", CHUNKED + b"-1\r\n", 400),
    ("chunk-bare-lf", CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400),
    ("chunk-data-too-long", CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", 400),
    ("expectation-unknown", GET + H + b"Expect: magic\r\n\r\n", 417),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory, nginx):
    hf = Holdfast(tmp_path_factory.mktemp("malformed"), nginx.url).start()
    yield hf
    hf.stop()


def test_the_table_is_long_and_names_are_unique():
    assert len(TABLE) >= 50 and len({name for name, *_ in TABLE}) == len(TABLE)


@pytest.mark.parametrize("name,raw,status", TABLE, ids=[name for name, *_ in TABLE])
def test_request(served, name, raw, status):
    for host in (V4, V6):
        reply, closed = exchange(raw, host)
        # what is understood but not done leaves the connection in a known state
        assert reply.status == status and closed == (status not in (405, 417))
    assert curl(url("/hello")).status == 200


@pytest.mark.parametrize("cut", [1, 7])
def test_table_in_pieces(served, cut):
    """The same verdicts when every few bytes are a segment of their own."""
    for name, raw, status in TABLE:
        if len(raw) > 400:
            continue
        with connect() as conn:
            try:
                for at in range(0, len(raw), cut):
                    conn.sendall(raw[at:at + cut])
                reply = read_answer(conn.makefile("rb")).status
            except ConnectionError:  # the rest came after the verdict: a reset may overtake it
                continue
        assert reply == status, name


def test_counted_and_told(served):
    before = served.drops()
    for raw in (TABLE[0][1], dict((n, r) for n, r, _ in TABLE)["uri-over-limit"]):
        exchange(raw)
    drops = served.drops()
    assert drops["req_malformed"] == before["req_malformed"] + 1
    assert drops["req_uri_long"] == before["req_uri_long"] + 1


def test_nothing_reached_the_origin_smuggled(start, origin):
    """Whatever the table sends, the origin sees no request that we refused."""
    origin.on("*", answer(b"ok"))
    start(origin.url)
    for _, raw, _ in itertools.islice(TABLE, 43):
        exchange(raw)
    assert origin.seen == []
