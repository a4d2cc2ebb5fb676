# SPDX-License-Identifier: BSD-3-Clause
"""Purges by URL, prefix, tag and of all, hard and soft; cache show and cache list."""
import functools
import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import (SLOW, V4, answer, cache_status, connect, curl, exchange, is_hit, read_answer,
                     say, url, wait_until)
from test_control import frozen, tasks

PATHS = ["/img/1", "/img/2", "/img", "/css", "/css?x=/img/"]
TAGS = {"/img/1": "Surrogate-Key: s t", "/img/2": "Cache-Tag: a b, t", "/img": "Cache-Tag: tt"}


def stored(path):
    return is_hit(curl(url(path), "-H", "Cache-Control: only-if-cached"))


@pytest.fixture
def start(start):
    """With a small table: who walks it gives way after each step, and on a busy machine has to wait for the next."""
    return functools.partial(start, cache={"memory": "32MiB"})


@pytest.fixture
def full(start, origin):
    """Two workers, two origin threads, and PATHS stored."""
    hf = start(origin.url, workers=2, origin={"threads": 2})
    for path in PATHS:
        origin.on(path, answer(path.encode(), ["Cache-Control: max-age=600",
                                               TAGS.get(path, "X: y")]))
        assert curl(url(path)).status == 200
    return hf


@pytest.mark.parametrize("words,gone", [
    ([url("/img/1")], {"/img/1"}),
    ([f"HTTP://{V4}:80/x/../%69mg/1"], {"/img/1"}),
    (["--prefix", url("/img/")], {"/img/1", "/img/2"}),
    (["--prefix", url("/i%6Dg")], {"/img/1", "/img/2", "/img"}),
    (["--prefix", url("/css?")], {"/css?x=/img/"}),
    (["--prefix", url("")], set(PATHS)),
    (["--prefix", url("")[:-1]], set()),
    (["--prefix", url("/img/.")], set()),
    (["--prefix", "/css/%2e%2E"], set()),
    (["--prefix", "/css/../im%6"], set()),
    (["--prefix", "/css/../im"], {"/img/1", "/img/2", "/img"}),
    (["--prefix", "/img/"], {"/img/1", "/img/2"}),
    (["--prefix=/"], set(PATHS)),
    (["--tag", "t"], {"/img/1", "/img/2"}),
    (["--tag", "a b"], {"/img/2"}),
    (["--tag", "T"], set()),
    (["--all"], set(PATHS))])
def test_what_is_named_is_gone_and_the_rest_stays(full, words, gone):
    assert full.ctl("purge", *words) == {"purged": len(gone)}
    assert {path for path in PATHS if not stored(path)} == gone
    assert full.ctl("purge", *words) == {"purged": 0}


def test_soft_ones_are_validated_first(start, origin):
    asked = []

    def script(conn, request):
        asked.append(dict(request.headers).get("if-none-match"))
        fields = ["Cache-Control: max-age=600", 'ETag: "a"', "Cache-Tag: t"]
        say(conn, request, b"" if asked[-1] else b"body", fields,
            "304 Not Modified" if asked[-1] else "200 OK")
        return True

    origin.on("/a", script)
    hf = start(origin.url)
    curl(url("/a"))
    for words in ([url("/a")], ["--prefix", "/"], ["--tag", "t"], ["--all"]):
        assert is_hit(curl(url("/a")))
        assert hf.ctl("purge", "--soft", *words) == {"purged": 1}
        variant = hf.ctl("cache", "show", url("/a"))["variants"][0]
        assert variant["soft_purged"] and not variant["fresh"] and variant["ttl_s"] <= 0
        reply = curl(url("/a"))
        assert reply.body == b"body" and not is_hit(reply)
    assert asked == [None, '"a"', '"a"', '"a"', '"a"']
    hf.ctl("purge", "--soft", "--all")
    origin.on("/a", answer(b"", (), "500 No"))
    assert curl(url("/a")).status == 500


class Gated:
    """Answers with its body in two halves; the second waits for the gate."""

    def __init__(self, body, *fields):
        self.body, self.fields, self.gate = body, fields, threading.Event()
        self.asked, self.halfway = threading.Event(), threading.Event()
        self.head_gate = threading.Event()
        self.head_gate.set()

    def __call__(self, conn, request):
        body, fields = self.body, self.fields
        self.asked.set()
        self.head_gate.wait(30 * SLOW)
        head = "\r\n".join(["HTTP/1.1 200 OK", *fields, f"Content-Length: {len(body)}", "", ""])
        conn.sendall(head.encode() + body[:len(body) // 2])
        self.halfway.set()
        self.gate.wait(30 * SLOW)
        conn.sendall(body[len(body) // 2:])
        return True


NAMING = [[url("/a")], ["--prefix", "/a"], ["--tag", "t"], ["--all"], ["--all", "--soft"],
          ["--tag", "t", "--soft"], [url("/a"), "--soft"]]


@pytest.mark.parametrize("words", NAMING, ids=" ".join)
def test_what_is_being_filled_is_neither_stored_nor_joined(start, origin, words):
    old = Gated(b"old" * 1000, "Cache-Control: max-age=600", "Cache-Tag: t")
    origin.on("/a", old)
    hf = start(origin.url)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(curl, url("/a"))
        assert old.halfway.wait(10 * SLOW)
        hf.ctl("purge", *words)
        origin.on("/a", answer(b"new"))
        assert curl(url("/a")).body == b"new"
        old.gate.set()
        assert reader.result().body == b"old" * 1000
    wait_until(lambda: not hf.ctl("cache", "show", url("/a"))["in_flight"])
    reply = curl(url("/a"))
    assert reply.body == b"new" and is_hit(reply)


@pytest.mark.parametrize("words", NAMING, ids=" ".join)
def test_what_was_asked_for_before_is_not_stored(start, origin, words):
    old = Gated(b"old", "Cache-Control: max-age=600", "Cache-Tag: t")
    old.head_gate.clear()
    old.gate.set()
    origin.on("/a", old)
    hf = start(origin.url)
    with ThreadPoolExecutor(2) as pool:
        reader = pool.submit(curl, url("/a"))
        assert old.asked.wait(10 * SLOW)
        hf.ctl("purge", *words)
        origin.on("/a", answer(b"new"))
        later = pool.submit(curl, url("/a"))
        time.sleep(0.2)  # by tag it waits with the first, until that one's tags are known
        old.head_gate.set()
        assert reader.result().body == b"old"
        assert later.result().body == b"new"
    reply = curl(url("/a"))
    assert reply.body == b"new" and is_hit(reply)


@pytest.mark.parametrize("words", NAMING, ids=" ".join)
def test_a_validation_under_way_confirms_nothing(start, origin, words):
    asked, gate = threading.Event(), threading.Event()
    state = {"body": b"old", "tag": '"1"'}

    def script(conn, request):
        want = dict(request.headers).get("if-none-match")
        same = want == state["tag"]
        fields = ["Cache-Control: max-age=1", f"ETag: {state['tag']}", "Cache-Tag: t"]
        body = b"" if same else state["body"]
        if want:
            asked.set()
            gate.wait(30 * SLOW)
        say(conn, request, body, fields, "304 Not Modified" if same else "200 OK")
        return True

    origin.on("/a", script)
    hf = start(origin.url)
    curl(url("/a"))
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(curl, url("/a"), "-H", "Cache-Control: max-age=0")
        assert asked.wait(10 * SLOW)
        hf.ctl("purge", *words)
        state.update(body=b"new", tag='"2"')
        gate.set()
        assert reader.result().body == b"new"


@pytest.mark.parametrize("kind", ["url", "prefix", "tag", "all", "soft"])
def test_after_the_answer_nobody_gets_the_old_one(start, origin, kind):
    """Keep-alive clients without pause; an origin whose answers are late; versions in bodies."""
    paths, version, floor = [f"/h/{i}" for i in range(8)], itertools.count(1), [0]
    now, stop, errors, served = [next(version)], threading.Event(), [], []

    def script(conn, request):
        told = now[0]
        time.sleep(random.choice([0, 0.002, 0.02]))
        say(conn, request, b"%d" % told, ["Cache-Control: max-age=600", "Cache-Tag: t"])
        return True

    def client(seed):
        choose, count, hits = random.Random(seed), 0, 0
        with connect() as conn, conn.makefile("rb") as stream:
            while not stop.is_set():
                path, least = choose.choice(paths), floor[0]
                conn.sendall(f"GET {path} HTTP/1.1\r\nHost: {V4}\r\n\r\n".encode())
                reply = read_answer(stream)
                count += 1
                hits += is_hit(reply)
                if reply.status != 200 or int(reply.body) < least:
                    errors.append((path, least, reply.status, reply.body, cache_status(reply)))
                    return
        served.append((count, hits))

    origin.on("*", script)
    hf = start(origin.url, workers=2, origin={"threads": 2})
    words = {"prefix": ["--prefix", url("/h/")], "tag": ["--tag", "t"], "all": ["--all"],
             "soft": ["--tag", "t", "--soft"]}
    threads = [threading.Thread(target=client, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(25):
        time.sleep(random.random() / 10)
        now[0] = next(version)
        for each in [[url(path)] for path in paths] if kind == "url" else [words[kind]]:
            hf.ctl("purge", *each)
        floor[0] = now[0]
        if errors:
            break
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum(hits for _, hits in served) > 100, "it was not idle"


def test_a_thread_that_stands_still_is_told_and_the_purge_goes_on_later(full):
    with frozen(tasks(full)["origin1"]):
        told = full.ctl("purge", "--all", as_json=False, code=1)
        assert "origin thread 1 is not done within 10 s" in told
        assert "still busy" in full.ctl("purge", "--tag", "t", as_json=False, code=1)
        replies = {path: curl(url(path)) for path in PATHS}
        assert all(reply.status == 200 for reply in replies.values()), "workers go on"
        kept = [path for path, reply in replies.items() if is_hit(reply)]
    wait_until(lambda: "still busy" not in full.ctl("purge", "--tag", "of-none", as_json=False,
                                                    code=None))
    assert not any(map(stored, kept))
    assert full.ctl("purge", "--all") == {"purged": len(PATHS) - len(kept)}


def test_clients_cannot_purge(start, origin):
    """PURGE and its like are methods that we do not know: the origin's matter."""
    hf = start(origin.url)
    origin.on("/a", answer(b"body"))
    curl(url("/a"))
    origin.on("/a", answer(b"no", (), "405 Method Not Allowed"))
    for method in ("PURGE", "BAN", "REFRESH", "FASTLYPURGE", "PURGEKEYS"):
        reply, _ = exchange(f"{method} /a HTTP/1.1\r\nHost: {V4}\r\nFastly-Soft-Purge: 1\r\n"
                            "Surrogate-Key: t\r\nContent-Length: 0\r\n\r\n".encode())
        assert reply.status == 405, method
        assert origin.seen[-1].method == method, "it went to the origin"
    for fields in (["-H", "X-Purge: 1"], ["-H", "Cache-Control: no-store"]):
        curl(url("/a"), *fields)
    assert stored("/a")
    assert hf.stat("cache_purged_total") == 0


@pytest.mark.parametrize("words,told,code", [
    ([], "one of", 2), (["a", "b"], "too many", 2), ([url("/a"), "--all"], "only one of", 2),
    (["--tag", "t", "--prefix", "/"], "only one of", 2), (["--soft"], "is missing", 2),
    (["--trace", "--all"], "unknown argument", 2), (["--tag"], "requires an argument", 2),
    (["--tag", ""], "at least one character", 2), (["--tag", b"\xff"], "UTF-8", 2),
    (["/img/"], "http://", 1), (["https://x/"], "http://", 1), (["http://"], "malformed", 1),
    (["--prefix", "img/"], "a path", 1), (["--prefix", "https://x/"], "http://", 1),
    (["--prefix", "http://x y/"], "malformed", 1), (["--prefix", "/" + "x" * 20000], "long", 1),
    (["--tag", "x" * 1025], "1025 bytes", 1), (["--tag", " t"], "blank", 1),
    (["--tag", "a\tb"], "control", 1)], ids=str)
def test_wrong_use_is_told_and_purges_nothing(full, words, told, code):
    assert told in full.ctl("purge", *words, as_json=False, code=code)
    assert full.stat("cache_purged_total") == 0


def test_show_tells_all_of_each_variant(start, origin):
    def script(conn, request):
        fields = dict(request.headers)
        say(conn, request, b"x" * len(fields["accept"]), [
            "Cache-Control: public, max-age=100, stale-while-revalidate=20, stale-if-error=30",
            "Vary: Accept, Cookie, Accept-Language", "Cache-Tag: one, two words"])
        return True

    origin.on("/a?session=canary", answer(b"x"))
    origin.on("/a", script)
    hf = start(origin.url)
    curl(url("/a"), "-H", "Accept: a/b")
    curl(url("/a"), "-H", "Accept: c/dd")
    curl(url("/a"), "-H", "Accept: e/fff", "-H", b"Accept-Language: \xc3\xff".decode("latin-1"))
    shown = hf.ctl("cache", "show", url("/a"))
    assert (shown["key"], shown["in_flight"], shown["reason"]) == (url("/a"), False, "")
    assert sorted(variant["length"] for variant in shown["variants"]) == [3, 4, 5]
    for variant in shown["variants"]:
        assert variant["status"] == 200 and variant["fresh"] and variant["with_authorization"]
        assert not variant["soft_purged"] and not variant["always_validated"]
        assert 90 < variant["ttl_s"] <= 100 and variant["ttl_s"] + variant["age_s"] == 100
        assert variant["stale_while_revalidate_s"] == 20 and variant["stale_if_error_s"] == 30
        assert variant["tags"] == "one, two words"
    assert "accept=a/b" in {v["vary"].split(",")[0] for v in shown["variants"]}
    human = hf.ctl("cache", "show", url("/a"), as_json=False)
    assert "two words" in human and human.count("fresh:") == 3


def test_show_says_why_nothing_is_stored(start, origin):
    gated = Gated(b"x" * 10, "Cache-Control: max-age=600")
    for path, control in (("/p", "private"), ("/n", "no-store"), ("/a?token=canary", "max-age=9")):
        origin.on(path, answer(b"x", [f"Cache-Control: {control}"]))
    origin.on("/slow", gated)
    hf = start(origin.url)

    def reason(path):
        shown = hf.ctl("cache", "show", url(path))
        assert shown["variants"] == []
        return shown["reason"]

    assert "never asked for" in reason("/p")
    for path in ("/p", "/n", "/a?token=canary"):
        curl(url(path))
    assert "private" in reason("/p") and "no-store" in reason("/n")
    assert "token-like" in reason("/a?token=canary")
    assert "canary" not in hf.ctl("cache", "show", url("/a?token=canary"), as_json=False)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(curl, url("/slow"))
        assert gated.asked.wait(10 * SLOW)
        assert "under way" in reason("/slow")
        gated.gate.set()
        reader.result()
    wait_until(lambda: hf.ctl("cache", "show", url("/slow"))["variants"])
    hf.ctl("purge", url("/slow"))
    assert "purged" in reason("/slow")


def test_list_tells_what_is_stored(full):
    listed = full.ctl("cache", "list")
    at = listed["columns"].index
    assert not listed["cut"]
    assert {row[at("url")] for row in listed["rows"]} == {url(path) for path in PATHS}
    for row in listed["rows"]:
        assert row[at("status")] == 200 and row[at("fresh")] is True
    under = {prefix: {row[0] for row in full.ctl("cache", "list", prefix)["rows"]}
             for prefix in ("/img", url("/css"), "/none")}
    assert under["/img"] == {url(path) for path in PATHS if path.startswith("/img")}
    assert under[url("/css")] == {url("/css"), url("/css?x=/img/")} and not under["/none"]
    assert "two" not in full.ctl("cache", "list", as_json=False)
    full.ctl("purge", "--soft", "--tag", "t")
    soft = {row[0] for row in full.ctl("cache", "list")["rows"] if row[at("soft_purged")]}
    assert soft == {url("/img/1"), url("/img/2")}
    full.ctl("cache", "list", "nonsense", as_json=False, code=1)


def test_a_long_list_is_cut(start, origin):
    origin.on("*", answer(b"x"))
    hf = start(origin.url, origin={"threads": 2})
    with connect() as conn, conn.makefile("rb") as stream:
        for i in range(1010):
            conn.sendall(f"GET /{i} HTTP/1.1\r\nHost: {V4}\r\n\r\n".encode())
            assert read_answer(stream).status == 200
    listed = hf.ctl("cache", "list")
    assert listed["cut"] and len(listed["rows"]) == 1000
    assert "and more" in hf.ctl("cache", "list", as_json=False)
    assert hf.ctl("purge", "--all")["purged"] <= 1010
    assert hf.ctl("cache", "list") == {"columns": listed["columns"], "rows": [], "cut": False}
