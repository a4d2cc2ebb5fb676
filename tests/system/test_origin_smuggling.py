# SPDX-License-Identifier: BSD-3-Clause
"""Origins that say more than one answer, or an answer that two readers understand differently
(RFC 9112 §6.3, §11.1): nobody gets what was not meant for him, and nothing of it is stored."""
import threading

import pytest
from harness import answer, curl, exchange, is_hit, read_answer, url, connect

GOOD = answer(b"good")
EVIL = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nEVIL"
HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
H = b"Host: x\r\n"

LONGER = {  # method, what is said -> what of it is the answer
    "behind-length": ("GET", HEAD + b"Content-Length: 2\r\n\r\nok", b"ok"),
    "behind-no-body": ("GET", HEAD + b"Content-Length: 0\r\n\r\n", b""),
    "behind-chunked": ("GET", HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
    "behind-length-and-chunked": ("GET", HEAD + b"Content-Length: 99\r\nTransfer-Encoding: chunked"
                                  b"\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
    "behind-204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "behind-204-with-length": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 67\r\n\r\n", b""),
    "behind-head": ("HEAD", HEAD + b"Content-Length: 67\r\n\r\n", b""),
    "behind-head-chunked": ("HEAD", HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b""),
}


@pytest.mark.parametrize("late", [False, True], ids=["at-once", "late"])
@pytest.mark.parametrize("name", LONGER)
def test_what_follows_an_answer_is_nobodys(start, origin, name, late):
    """In the same segment, or when the connection waits for its next request."""
    method, text, body = LONGER[name]
    answered, said = threading.Event(), threading.Event()

    def script(conn, request):
        conn.sendall(text if late else text + EVIL)
        if late:
            assert answered.wait(20)
            conn.sendall(EVIL)
        said.set()
        return True

    origin.on("/longer", script)
    origin.on("/next", GOOD)
    hf = start(origin.url)
    reply, _ = exchange(f"{method} /longer HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"x\"\r\n\r\n".encode(), method=method)
    assert reply.body == body, reply
    answered.set()
    assert said.wait(20)
    for _ in range(3):
        reply = curl(url("/next"), "-H", "Cache-Control: no-cache")
        assert (reply.status, reply.body) == (200, b"good")
    assert is_hit(curl(url("/next")))
