# SPDX-License-Identifier: BSD-3-Clause
"""A table of malformed requests (RFC 9112): each gets its status, and the program still serves."""
import pytest
from harness import V4, V6, Holdfast, answer, connect, curl, exchange, read_answer, url

H = b"Host: x\r\n"
GET = b"GET / HTTP/1.1\r\n"
END = b"\r\n"
MANY = b"".join(b"x-%d: y\r\n" % i for i in range(120))
HELLO = b"GET /hello HTTP/1.1\r\n"
POST = b"POST /hello HTTP/1.1\r\n" + H
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

TABLE = [  # name, bytes, status
    ("no-host", GET + END, 400),
    ("two-hosts", GET + H + H + END, 400),
    ("host-with-space", GET + b"Host: a b\r\n\r\n", 400),
    ("host-with-slash", GET + b"Host: a/b\r\n\r\n", 400),
    ("host-with-userinfo", GET + b"Host: u@x\r\n\r\n", 400),
    ("host-port-no-number", GET + b"Host: x:y\r\n\r\n", 400),
    ("host-empty", GET + b"Host:\r\n\r\n", 400),
    ("host-list", GET + b"Host: a,b\r\n\r\n", 400),
    ("host-port-zero", GET + b"Host: x:0\r\n\r\n", 400),
    ("host-port-large", GET + b"Host: x:65536\r\n\r\n", 400),
    ("host-not-ascii", GET + b"Host: \xc3\xa4\r\n\r\n", 400),
    ("host-with-nul", GET + b"Host: a\0b\r\n\r\n", 400),
    ("host-bad-beside-absolute-form", b"GET http://x/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("no-host-beside-absolute-form", b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
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
    ("absolute-userinfo", b"GET http://u:p@x/ HTTP/1.1\r\n" + H + END, 400),
    ("absolute-https", b"GET https://x/ HTTP/1.1\r\n" + H + END, 421),
    ("authority-with-get", b"GET x:80 HTTP/1.1\r\n" + H + END, 400),
    ("fragment", b"GET /a#b HTTP/1.1\r\n" + H + END, 400),
    ("target-not-ascii", b"GET /\xc3\xa4 HTTP/1.1\r\n" + H + END, 400),
    ("nul-in-target", b"GET /\0 HTTP/1.1\r\n" + H + END, 400),
    ("connect-no-port", b"CONNECT x HTTP/1.1\r\n" + H + END, 400),
    ("connect", b"CONNECT x:80 HTTP/1.1\r\n" + H + END, 405),
    ("trace", b"TRACE / HTTP/1.1\r\n" + H + END, 405),
    ("version-missing", b"GET /\r\n" + H + END, 400),
    ("version-lower-case", b"GET / http/1.1\r\n" + H + END, 400),
    ("version-leading-zeros", b"GET / HTTP/01.01\r\n" + H + END, 400),
    ("version-with-space", b"GET / HTTP/ 1.1\r\n" + H + END, 400),
    ("version-space-behind", b"GET / HTTP/1.1 \r\n" + H + END, 400),
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
    ("coding-smuggled", POST + b"Transfer-Encoding: xchunked\r\n\r\n", 400),
    ("coding-identity", POST + b"Transfer-Encoding: identity\r\n\r\n", 400),
    ("coding-empty", POST + b"Transfer-Encoding:\r\n\r\n", 400),
    ("coding-with-parameter", POST + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 400),
    ("coding-quoted", POST + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("coding-behind-vt", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    ("coding-before-nul", POST + b"Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n", 400),
    ("coding-space-before-colon", POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("coding-folded", POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    ("coding-in-two-lines", POST + b"Transfer-Encoding: chunked\r\n"
     b"Transfer-Encoding: x\r\n\r\n", 400),
    ("coding-behind-bare-cr", POST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked-and-length", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
     b"0\r\n\r\n", 400),
    ("two-equal-lengths", POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
    ("length-equal-list", POST + b"Content-Length: 1, 1\r\n\r\na", 400),
    ("length-empty", POST + b"Content-Length:\r\n\r\n", 400),
    ("length-with-space", POST + b"Content-Length: 1 1\r\n\r\n", 400),
    ("length-minus-nothing", POST + b"Content-Length: -0\r\n\r\n", 400),
    ("length-fraction", POST + b"Content-Length: 1.0\r\n\r\na", 400),
    ("length-of-get", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
    ("chunked-in-1.0-kept-alive", b"POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked-in-1.0", b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400),
    ("chunk-size-no-hex", CHUNKED + b"zz\r\n", 400),
    ("chunk-size-overflow", CHUNKED + b"fffffffffffffffff\r\n", 400),
    ("chunk-size-negative", CHUNKED + b"-1\r\n", 400),
    ("chunk-bare-lf", CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400),
    ("chunk-data-too-long", CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", 400),
    ("chunk-data-too-short", CHUNKED + b"3\r\nab\r\n0\r\n\r\n", 400),
    ("chunk-size-0x", CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-size-plus", CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-size-underscore", CHUNKED + b"1_0\r\n", 400),
    ("chunk-size-behind-space", CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-size-before-space", CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-size-missing", CHUNKED + b"\r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-size-bare-cr", CHUNKED + b"3\rabc\r\n0\r\n\r\n", 400),
    ("chunk-data-bare-lf", CHUNKED + b"3\r\nabc\n0\r\n\r\n", 400),
    ("chunk-ext-missing", CHUNKED + b"3;\r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-ext-bare-lf", CHUNKED + b"3;a\nabc\r\n0\r\n\r\n", 400),
    ("chunk-ext-bare-cr", CHUNKED + b"3;a\rb\r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-ext-nul", CHUNKED + b"3;a\0\r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-ext-quote-open", CHUNKED + b"3;a=\"\r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-ext-endless", CHUNKED + b"3;a=" + b"b" * 9000 + b"\r\nabc\r\n0\r\n\r\n", 400),
    ("chunk-last-bare-lf", CHUNKED + b"0\r\n\n", 400),
    ("trailer-folded", CHUNKED + b"0\r\nA: b\r\n c\r\n\r\n", 400),
    ("trailer-space-before-colon", CHUNKED + b"0\r\nA : b\r\n\r\n", 400),
    ("trailer-bare-lf", CHUNKED + b"0\r\nA: b\n\r\n", 400),
    ("trailer-is-a-request", CHUNKED + b"0\r\nGET / HTTP/1.1\r\n\r\n", 400),
    ("trailers-endless", CHUNKED + b"0\r\n" + b"A: b\r\n" * 3000, 400),
    ("expectation-unknown", GET + H + b"Expect: magic\r\n\r\n", 417),
    ("expectation-unknown-beside-known", GET + H + b"Expect: 100-continue, magic\r\n\r\n", 417),
]
STAYS = {"trace", "absolute-https", "expectation-unknown", "expectation-unknown-beside-known"}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + H + END

TAKEN = [  # name, bytes: one request each
    ("empty-line-before", b"\r\n" + HELLO + H + END),
    ("absolute-form", b"GET http://x/hello HTTP/1.1\r\n" + H + END),
    ("absolute-form-no-path", b"GET http://x?hello HTTP/1.1\r\n" + H + END),
    ("absolute-form-other-host", b"GET http://y/hello HTTP/1.1\r\n" + H + END),
    ("options-of-an-authority", b"OPTIONS http://x HTTP/1.1\r\n" + H + END),
    ("options-asterisk", b"OPTIONS * HTTP/1.1\r\n" + H + END),
    ("version-1.2", b"GET /hello HTTP/1.2\r\n" + H + END),
    ("host-in-any-case", HELLO + b"hOsT:X:80\r\n\r\n"),
    ("value-not-ascii", HELLO + H + b"A: \xc3\xa4\r\n\r\n"),
    ("value-empty", HELLO + H + b"A:\r\n\r\n"),
    ("length-leading-zeros", POST + b"Content-Length: 0003\r\n\r\nabc"),
    ("length-tab-before", POST + b"Content-Length:\t3\r\n\r\nabc"),
    ("length-zero", POST + b"Content-Length: 0\r\n\r\n"),
    ("no-length", POST + b"\r\n"),
    ("length-of-get", HELLO + H + b"Content-Length: 3\r\n\r\nabc"),
    ("length-of-delete", b"DELETE /hello HTTP/1.1\r\n" + H + b"Content-Length: 3\r\n\r\nabc"),
    ("chunked-of-get", HELLO + H + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ("chunked-in-any-case", POST + b"transfer-encoding: ChUnKeD\r\n\r\n0\r\n\r\n"),
    ("chunked-empty-elements", POST + b"Transfer-Encoding: , chunked,\r\n\r\n0\r\n\r\n"),
    ("chunk-sizes", CHUNKED + b"0003\r\nabc\r\nA\r\n0123456789\r\n000\r\n\r\n"),
    ("chunk-exts", CHUNKED + b"3;a;b=c ; d = \"e;\\\"\"\r\nabc\r\n0;f\r\n\r\n"),
    ("trailers", CHUNKED + b"0\r\nA: b\r\nContent-Length: 99\r\nTransfer-Encoding: x\r\n"
     b"Host: y\r\n\r\n"),
    ("underscores", POST + b"Content-Length: 3\r\nTransfer_Encoding: chunked\r\n\r\nabc"),
    ("connection-names-the-length", POST + b"Connection: content-length\r\n"
     b"Content-Length: 3\r\n\r\nabc"),
    ("upgrade", HELLO + H + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"),
    ("target-of-8000-bytes", b"GET /hello?" + b"a" * 7993 + b" HTTP/1.1\r\n" + H + END),
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
        assert reply.status == status and closed == (name not in STAYS)
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
        # an origin that does not wait for the body may answer before that is seen to be bad
        assert reply == status or (reply == 200 and raw.startswith(CHUNKED)), name


def test_counted_and_told(served):
    before = served.drops()
    for raw in (TABLE[0][1], dict((n, r) for n, r, _ in TABLE)["uri-over-limit"]):
        exchange(raw)
    drops = served.drops()
    assert drops["req_malformed"] == before["req_malformed"] + 1
    assert drops["req_uri_long"] == before["req_uri_long"] + 1


@pytest.mark.parametrize("name,raw", TAKEN, ids=[name for name, *_ in TAKEN])
def test_taken(served, name, raw):
    """And its end is where we think it is: what follows is the next request, and the only one that
    counts (RFC 9112 §9.6: none behind a close)."""
    with connect() as conn:
        conn.sendall(raw + HELLO + H + b"Connection: close\r\n\r\n" + SMUGGLED)
        stream = conn.makefile("rb")
        assert read_answer(stream).status in (200, 204, 404, 405)  # the origin's word
        assert read_answer(stream).body == b"hello\n"
        assert stream.read() == b""


def test_nothing_reached_the_origin_smuggled(start, origin):
    """Whatever the table sends, the origin sees no request that we refused, nor one behind it."""
    origin.on("*", answer(b"ok"))
    start(origin.url)
    for name, raw, _ in TABLE:
        if name not in STAYS and not raw.startswith(CHUNKED):
            exchange(raw + SMUGGLED)
    assert origin.seen == []
    for name, raw, _ in TABLE:
        if raw.startswith(CHUNKED):
            exchange(raw + SMUGGLED)
    assert origin.count("/smuggled") == 0
