# SPDX-License-Identifier: BSD-3-Clause
"""Origins that die, dawdle and lie in an answer: 502, 504 or a cut connection, nothing partial
stored, and the next request works; or what they say is repaired as RFC 9112 has it."""
import socket
import struct

import pytest
from harness import (Holdfast, Origin, connect, curl, exchange, is_hit, names, read_answer,
                     url)
from test_origin_faults import GOOD
from test_reload import reload


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


def endless(text, before=b"HTTP/1.1 200 OK\r\n"):
    def script(conn, request):
        conn.sendall(before)
        while True:  # until the other side has had enough
            conn.sendall(text * 100)
    return script


OK = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
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
    **{name: (raw(OK + fields + b"\r\nX: y\r\n\r\nabcde"), 502, True) for name, fields in {
        "obs-fold": b"A: b\r\n c",
        "obs-fold-of-a-length": b"Content-Length:\r\n 5",
        "fold-of-first-field": b" A: b",
        "field-without-colon": b"nonsense",
        "field-empty-name": b": b",
        "field-name-with-space": b"A b: c",
        "field-name-with-control": b"A\x01: b",
        "field-value-with-nul": b"A: b\0c",
        "field-value-with-control": b"A: b\x07",
        "field-value-with-bare-cr": b"A: b\rContent-Length: 0",
        "length-behind-space": b"Content-Length : 5",
        "length-list": b"Content-Length: 5, 5",
        "length-list-that-differs": b"Content-Length: 5, 6",
        "length-twice": b"Content-Length: 5\r\nContent-Length: 5",
        "length-plus": b"Content-Length: +5",
        "length-hex": b"Content-Length: 0x5",
        "length-empty": b"Content-Length:",
        "length-with-more": b"Content-Length: 5;",
        "length-overflow": b"Content-Length: 18446744073709551621",
        "coding-unknown": b"Transfer-Encoding: x",
        "coding-identity": b"Transfer-Encoding: identity",
        "coding-gzip": b"Transfer-Encoding: gzip\r\nContent-Length: 5",
        "coding-below-chunked": b"Transfer-Encoding: gzip, chunked",
        "coding-above-chunked": b"Transfer-Encoding: chunked, identity",
        "coding-twice": b"Transfer-Encoding: chunked, chunked",
        "coding-hidden": b"Transfer-Encoding: \x0bchunked",
        "coding-behind-space": b"Transfer-Encoding : chunked",
        "too-many-fields": b"A: b\r\n" * 128 + b"A: b",
        "head-too-large": b"A: " + b"b" * 100000}.items()},
    **{"status-line " + line.decode():
       (raw(line + b"\r\nContent-Length: 5\r\n\r\nabcde"), 502, True) for line in (
           b"HTTP/1.1 0 OK", b"HTTP/1.1 1 OK", b"HTTP/1.1 10 OK", b"HTTP/1.1 1x0 OK",
           b"HTTP/1.1 099 OK", b"HTTP/1.1 600 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 -20 OK",
           b"HTTP/1.1  200 OK", b"HTTP/1.1 200OK", b"HTTP/1.1 OK", b"HTTP/1.1", b"HTTP/ 200 OK",
           b"HTTP/1.x 200 OK", b"HTTP/0.9 200 OK", b"HTTP/4.0 200 OK", b"http/1.1 200 OK",
           b"HTTP 200 OK", b"ICY 200 OK", b"200 OK", b"HTTP/1.1 101 Switching Protocols")},
    "coding-of-1.0": (raw(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 502,
                      True),
    "http-0.9": (raw(b"hello\n"), 502, True),
    "interim-and-no-more": (raw(b"HTTP/1.1 100 Continue\r\n\r\n"), 502, True),
    "endless-fields": (endless(b"A: b\r\n"), 502, True),
    "endless-line": (endless(b"bbbbbbbb"), 502, True),
    "endless-interim": (endless(b"HTTP/1.1 102 Processing\r\n\r\n", b""), 502, True),
    "closed-mid-body": (raw(LENGTH + b"x" * 60), 200, False),
    "reset-mid-body": (raw(LENGTH + b"x" * 60, reset=True), 200, False),
    "closed-mid-chunk": (raw(CHUNKED + b"40\r\nxxx"), 200, False),
    "closed-before-last-chunk": (raw(CHUNKED + b"3\r\nxxx\r\n"), 200, False),
    **{"chunk " + text.decode().strip(): (raw(CHUNKED + b"3\r\nxxx\r\n" + text), 200, False)
       for text in (b"-1\r\n", b"0x3\r\nxxx\r\n0\r\n\r\n", b"fffffffffffffffff\r\nxxx", b"\r\n",
                    b"3\r\nxxxx\r\n", b"7fffffffffffffff\r\nxxx", b"3\r\nx\r\n0\r\n\r\n")},
    "bad-chunk-size": (raw(CHUNKED + b"3\r\nxxx\r\nzz\r\nyyy\r\n0\r\n\r\n"), 200, False),
}
SILENT = {
    "never-answers": (hang(), 504, True),
    "half-a-head-then-silence": (hang(b"HTTP/1.1 200 OK\r\nCac"), 504, True),
    "silence-mid-body": (hang(LENGTH + b"x" * 60), 200, False),
}
TIMEOUTS = "first_byte_timeout", "between_bytes_timeout"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Origin() as origin:
        hf = Holdfast(tmp_path_factory.mktemp("faults"), origin.url).start()
        yield hf, origin
        hf.stop()


@pytest.mark.parametrize("name", [*FAULTS, *SILENT])
def test_fault(served, name):
    (hf, origin), (script, status, whole) = served, {**FAULTS, **SILENT}[name]
    path, stored = f"/fault{next(names)}", hf.stat("cache_objects")
    origin.on(path, script)
    if name in SILENT:
        reload(hf, origin=dict.fromkeys(TIMEOUTS, "300ms"))
    reply = curl(url(path), code=0 if whole else None)
    if name in SILENT:  # who is well may be late on a busy machine
        reload(hf, origin=dict.fromkeys(TIMEOUTS, "30s"))
    # the fault may be known before our own head went out: then it is told by status, else by a cut
    assert (reply.status, reply.code == 0) in ((status, whole), (502, True), (504, True)), reply
    assert hf.stat("cache_objects") == stored, "something partial was stored"
    origin.on(path, GOOD)
    assert curl(url(path)).body == b"good"
    assert is_hit(curl(url(path)))
    assert hf.stat("origin_fetches_in_flight") == 0


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSet-Cookie: a=b\r\n\r\n"
REPAIRED = {  # what the origin says for "good"
    "bare-lf": b"HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Length: 4\n\ngood",
    "space-before-colon": OK + b"X-Y : z\r\nContent-Length: 4\r\n\r\ngood",
    "length-and-chunked": OK + b"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n"
                          b"4\r\ngood\r\n0\r\n\r\n",
    "chunked-and-length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"
                          b"4\r\ngood\r\n0\r\n\r\n",
    "chunk-exts-and-trailers": OK + b"Transfer-Encoding: chunked\r\n\r\n"
                               b"4;a=\"b;c\"\r\ngood\r\n0;d\r\nSet-Cookie: a=b\r\n"
                               b"Content-Length: 9\r\nX-Trailer: t\r\n\r\n",
    "until-close": OK + b"\r\ngood",
    "until-close-of-1.0": b"HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\n\r\ngood",
    "interim-before": INTERIM + OK + b"Content-Length: 4\r\n\r\ngood",
    "many-interim-before": INTERIM * 200 + OK + b"Content-Length: 4\r\n\r\ngood",
    "no-reason": b"HTTP/1.1 200\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\ngood",
    "reason-not-ascii": b"HTTP/1.1 200 \xc3\xa4\r\nCache-Control: max-age=60\r\n"
                        b"Content-Length: 4\r\n\r\ngood",
    "length-leading-zeros": OK + b"Content-Length: 0004\r\n\r\ngood",
    "more-than-the-length": OK + b"Content-Length: 4\r\n\r\ngood and evil",
}


@pytest.mark.parametrize("name", REPAIRED)
def test_repaired(served, name):
    """What RFC 9112 lets or makes us understand; one framing, ours, is sent on."""
    path = f"/odd{next(names)}"
    served[1].on(path, raw(REPAIRED[name]))
    for _ in range(2):
        reply, closed = exchange(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (reply.status, reply.body, closed) == (200, b"good", False), reply
        assert not {"set-cookie", "link", "x-trailer"} & set(reply.headers)
        assert len({"content-length", "transfer-encoding"} & set(reply.headers)) == 1
    assert is_hit(reply) and reply.headers["content-length"] == "4"
    if "colon" in name:
        assert reply.headers["x-y"] == "z"


def test_an_interim_answer_frames_nothing(served):
    """RFC 9112 §6.1: no body, whatever its fields say; and no field of the origin's hop."""
    path = f"/interim{next(names)}"
    served[1].on(path, raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 4\r\n"
                           b"Transfer-Encoding: chunked\r\nConnection: close, x-hop\r\n"
                           b"X-Hop: 1\r\n\r\n"
                           b"HTTP/1.1 102 a\rb\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                           + OK + b"Content-Length: 4\r\n\r\ngood"))
    with connect() as conn:
        conn.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        stream = conn.makefile("rb")
        interim = read_answer(stream)
        assert interim.status == 103 and set(interim.headers) <= {"link", "via"}, interim
        assert interim.headers["link"] == "</a>"
        assert read_answer(stream).body == b"good"
        conn.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert is_hit(read_answer(stream)) and stream.read() == b""
