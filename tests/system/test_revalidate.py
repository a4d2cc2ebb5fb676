# SPDX-License-Identifier: BSD-3-Clause
"""Stale responses: validation (RFC 9111 section 4.3), stale-if-error and stale-while-revalidate
(RFC 5861), as clients and origins see them."""
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import SLOW, answer, cache_status, curl, is_hit, say, url, wait_until

TAG = 'ETag: "v1"'
STALE = "Age: 1000"  # on arrival, with a lifetime below that


def asked_for(request, name):
    return dict(request.headers).get(name)


class Validated:
    """A script: 200 first, 304 to whoever has that; counts both. Waits at the gate before a 304."""
    def __init__(self, body, first, then, tag='"v1"'):
        self.body, self.first, self.then, self.tag = body, first, then, tag
        self.lock, self.full, self.not_modified = threading.Lock(), 0, 0
        self.asked, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, conn, request):
        if asked_for(request, "if-none-match") == self.tag:
            with self.lock:
                self.not_modified += 1
            self.asked.set()
            self.gate.wait(30 * SLOW)
            head = "\r\n".join(["HTTP/1.1 304 Not Modified", f"ETag: {self.tag}", *self.then])
            conn.sendall(head.encode() + b"\r\n\r\n")
            return True
        with self.lock:
            self.full += 1
        say(conn, request, self.body, [f"ETag: {self.tag}", *self.first])
        return True


def becomes_stale(path):
    """Waits until what was stored with a lifetime of a second is not fresh any more."""
    wait_until(lambda: curl(url(path), "-H", "Cache-Control: only-if-cached").status == 504,
               what="the end of a lifetime")


def test_rfc9111_s4_3_a_304_freshens_for_everyone_who_waits(start, origin):
    script = Validated(b"body" * 5000, ["Cache-Control: max-age=1", "X-Old: 1"],
                       ["Cache-Control: max-age=600", "X-New: 1"])
    origin.on("/a", script)
    hf = start(origin.url)
    assert curl(url("/a")).status == 200
    becomes_stale("/a")
    script.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        replies = [pool.submit(curl, url("/a")) for _ in range(8)]
        assert script.asked.wait(10 * SLOW)
        wait_until(lambda: hf.stat("origin_coalesced_total") == 7, what="the others to wait")
        script.gate.set()
        replies = [reply.result() for reply in replies]
    for reply in replies:
        assert (reply.status, reply.body) == (200, b"body" * 5000)
        assert reply.headers["x-new"] == "1" and reply.headers["x-old"] == "1"
        assert int(reply.headers["content-length"]) == 20000
        assert cache_status(reply).startswith("holdfast; fwd=stale; fwd-status=304; ")
    assert sorted(cache_status(reply).split("; ")[-1] for reply in replies) == \
        ["collapsed"] * 7 + ["stored"]
    assert (script.full, script.not_modified) == (1, 1)
    assert is_hit(curl(url("/a")))
    assert hf.stat("cache_revalidated_total") == 1


def test_rfc9111_s4_3_2_a_client_s_condition_is_answered_with_what_was_validated(start, origin):
    script = Validated(b"body", ["Cache-Control: max-age=60", STALE], ["Cache-Control: max-age=60",
                                                                     "Age: 0"])
    origin.on("/a", script)
    start(origin.url)
    curl(url("/a"))
    reply = curl(url("/a"), "-H", 'If-None-Match: "v1"')
    assert (reply.status, reply.length) == (304, 0)
    assert cache_status(reply) == "holdfast; fwd=stale; fwd-status=304; stored"
    assert (script.full, script.not_modified) == (1, 1)
    reply = curl(url("/a"), "-H", "Range: bytes=1-2")
    assert (reply.status, reply.body) == (206, b"od") and is_hit(reply)


def test_rfc9111_s5_2_2_4_no_cache_is_validated_each_time_and_every_byte_is_right(start, origin):
    body = bytes(range(256)) * 4096  # 1 MiB: many chunks that old and new objects share
    script = Validated(body, ["Cache-Control: no-cache"], ["Cache-Control: no-cache"])
    origin.on("/a", script)
    hf = start(origin.url, workers=2, cache={"memory": "32MiB"})
    want = hashlib.sha256(body).hexdigest()
    assert curl(url("/a")).sha256 == want
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: curl(url("/a")), range(80)))
    assert all(reply.sha256 == want for reply in replies)
    assert not any(is_hit(reply) for reply in replies)
    assert script.full == 1 and script.not_modified == 80
    wait_until(lambda: hf.stat("cache_used_bytes") < 2 << 20, what="the memory of old objects")


@pytest.mark.parametrize("status", ["500 a", "502 b", "503 c", "504 d"])
def test_rfc5861_s4_an_error_answer(start, origin, status):
    headers = ["Cache-Control: max-age=60, stale-if-error=10000", TAG, STALE]
    origin.on("/a", answer(b"good", headers))
    hf = start(origin.url)
    curl(url("/a"))
    origin.on("/a", answer(b"bad", ["Cache-Control: max-age=60"], status))
    reply = curl(url("/a"))
    assert (reply.status, reply.body) == (200, b"good")
    assert cache_status(reply) == \
        f"holdfast; fwd=stale; fwd-status={status[:3]}; detail=stale-if-error"
    assert int(reply.headers["age"]) >= 1000
    assert hf.stat('cache_stale_served_total{reason="if_error_status"}') == 1
    reply = curl(url("/a"), "-H", "Cache-Control: no-cache")
    assert (reply.status, reply.body) == (int(status[:3]), b"bad")
    origin.on("/a", answer(b"new"))
    assert curl(url("/a")).body == b"new"


def test_rfc5861_s4_an_origin_that_is_gone(start, origin):
    origin.on("/a", answer(b"good", ["Cache-Control: max-age=60, stale-if-error=10000", STALE]))
    origin.on("/b", answer(b"good", ["Cache-Control: max-age=60, must-revalidate, "
                                     "stale-if-error=10000", TAG, STALE]))
    hf = start(origin.url)
    curl(url("/a"))
    curl(url("/b"))
    origin.scripts = {"*": lambda conn, request: False}  # breaks off before the head
    reply = curl(url("/a"))
    assert (reply.status, reply.body) == (200, b"good")
    assert cache_status(reply) == "holdfast; hit; detail=stale-if-error"
    assert curl(url("/b")).status == 504, "RFC 9111 section 5.2.2.2"
    assert hf.stat('cache_stale_served_total{reason="if_error_no_answer"}') == 1


def test_rfc5861_s3_stale_at_once_and_one_refresh(start, origin):
    script = Validated(b"body", ["Cache-Control: max-age=60, stale-while-revalidate=10000", STALE],
                       ["Cache-Control: max-age=60", "Age: 0", "X-New: 1"])
    origin.on("/a", script)
    hf = start(origin.url, workers=2)
    curl(url("/a"))
    script.gate.clear()
    for _ in range(20):  # nobody waits for the origin
        reply = curl(url("/a"), "-H", "Cookie: secret=1", "-H", "Range: bytes=0-1")
        assert (reply.status, reply.body) == (206, b"bo") and is_hit(reply)
    assert script.asked.wait(10 * SLOW)
    assert script.not_modified == 1
    refresh = origin.seen[-1]
    assert not {"cookie", "range", "cache-control"} & dict(refresh.headers).keys()
    script.gate.set()
    wait_until(lambda: curl(url("/a")).headers.get("x-new") == "1", what="the refreshed one")
    stats = hf.stats()
    assert stats["cache_refreshes_total"] == 1 and stats["cache_stale_served_total"] >= 20
    assert (script.full, script.not_modified) == (1, 1)


def test_rfc9111_s3_5_a_refresh_carries_the_credentials_of_the_hit(start, origin):
    script = Validated(b"body", ["Cache-Control: public, max-age=60, stale-while-revalidate=10000",
                                 STALE], ["Age: 0", "X-New: 1"])
    origin.on("/a", script)
    hf = start(origin.url)
    mine = ("-H", "Authorization: Basic c2VjcmV0")
    curl(url("/a"), *mine)
    for _ in range(5):
        assert is_hit(curl(url("/a"), *mine))
    wait_until(lambda: curl(url("/a")).headers.get("x-new") == "1", what="the refreshed one")
    assert dict(origin.seen[-1].headers)["authorization"] == "Basic c2VjcmV0"
    assert hf.stat("cache_refreshes_total") == 1 and (script.full, script.not_modified) == (1, 1)


def test_rfc5861_s3_the_window_of_a_soft_purged_one_begins_with_the_purge(start, origin):
    origin.on("/a", answer(b"old", ["Cache-Control: max-age=6000, stale-while-revalidate=5"]))
    hf = start(origin.url)
    curl(url("/a"))
    origin.on("/a", answer(b"no", [], "503 Service Unavailable"))
    hf.ctl("purge", "--soft", url("/a"))
    assert curl(url("/a")).body == b"old"
    wait_until(lambda: curl(url("/a")).status == 503, timeout=30,
               what="the end of the window, not of the lifetime")


def test_rfc5861_s3_a_refresh_that_fails_is_tried_again(start, origin):
    origin.on("/a", answer(b"old", ["Cache-Control: max-age=60, stale-while-revalidate=10000",
                                    STALE]))
    hf = start(origin.url)
    curl(url("/a"))
    origin.on("/a", answer(b"", (), "503 Later"))
    wait_until(lambda: curl(url("/a")).body == b"old" and hf.stat("cache_refreshes_total") >= 2,
               what="a second try")
    assert origin.count("/a") - 1 <= hf.stat("cache_refreshes_total")
    origin.on("/a", answer(b"new"))
    wait_until(lambda: curl(url("/a")).body == b"new", what="the refreshed one")


def test_rfc9111_s4_3_3_what_may_not_be_stored_any_more_is_gone(start, origin):
    origin.on("/a", answer(b"old", ["Cache-Control: max-age=60, stale-if-error=10000", TAG, STALE]))
    start(origin.url)
    curl(url("/a"))
    origin.on("/a", answer(b"mine", ["Cache-Control: private"]))
    assert curl(url("/a")).body == b"mine"
    origin.on("/a", answer(b"bad", (), "503 No"))
    assert curl(url("/a")).status == 503, "the old one does not come back"


def test_a_purge_wins_over_a_validation_under_way(start, origin):
    script = Validated(b"old", ["Cache-Control: max-age=60", STALE], ["Cache-Control: max-age=60"])
    origin.on("/a", script)
    hf = start(origin.url)
    curl(url("/a"))
    script.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(curl, url("/a"))
        assert script.asked.wait(10 * SLOW)
        hf.ctl("purge", url("/a"))
        script.body, script.tag = b"new", '"v2"'
        script.gate.set()
        assert reply.result().body == b"new"
    assert script.full == 2
