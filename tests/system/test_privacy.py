# SPDX-License-Identifier: BSD-3-Clause
"""No user's session ever leaks: two clients, answers that differ by client, no byte of one at the
other. (product.md §4, RFC 9111 §3)"""
import itertools
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import plane
import pytest
from harness import SLOW, V4, answer, cache_status, connect, curl, is_hit, url
from test_reload import reload

MIB = 1 << 20

UNSHARED = {  # response headers, request options
    "private": (["Cache-Control: private, max-age=60"], []),
    "private-upper-case": (["CACHE-CONTROL: Max-Age=60, PRIVATE"], []),
    "private-field": (['Cache-Control: private="content-type", max-age=60'], []),
    "no-store": (["Cache-Control: no-store"], []),
    "no-store-beside-public": (["Cache-Control: public, max-age=60", "Cache-Control: no-store"],
                               []),
    "set-cookie": (["Cache-Control: max-age=60", "Set-Cookie: sid=SECRET"], []),
    "set-cookie-no-freshness": (["Set-Cookie: sid=SECRET"], []),
    "vary-any": (["Cache-Control: max-age=60", "Vary: *"], []),
    "no-freshness": ([], []),
    "request-no-store": (["Cache-Control: max-age=60"], ["-H", "Cache-Control: no-store"]),
    "authorization": (["Cache-Control: max-age=60"], ["-H", "Authorization: Bearer SECRET"]),
    "token-in-url": (["Cache-Control: max-age=60"], ["?access_token=SECRET"]),
    "cdn-no-store": (["Cache-Control: max-age=60", "CDN-Cache-Control: no-store"], []),
}


def numbered(headers):
    """Each answer says which it is."""
    lock, numbers = threading.Lock(), itertools.count()

    def script(conn, request):
        with lock:
            body = b"answer-%d" % next(numbers)
        return answer(body, headers)(conn, request)
    return script


@pytest.mark.parametrize("name", UNSHARED)
def test_not_shared(start, origin, name):
    headers, options = UNSHARED[name]
    path = "/own" + (options.pop() if options and options[0][0] == "?" else "")
    origin.on(path, numbered(headers))
    hf = start(origin.url)
    for i in range(3):
        reply = curl(url(path), *options)
        assert reply.body == b"answer-%d" % i and not is_hit(reply)
    # and a stranger without the first one's headers
    assert curl(url(path)).body == b"answer-3"
    assert hf.stat("cache_objects") == ("-H" in options)  # the stranger's own may be stored


@pytest.mark.parametrize("control", ["public, max-age=60", "s-maxage=60"])
def test_set_cookie_is_scrubbed_from_what_is_stored(start, origin, control):
    origin.on("/c", answer(b"x", [f"Cache-Control: {control}", "Set-Cookie: sid=SECRET",
                                  "X-Auth-Token: SECRET", "Set-Cookie2: sid=SECRET",
                                  "Authentication-Info: SECRET", "X-CSRF-Token: SECRET"]))
    start(origin.url)
    first, second = curl(url("/c")), curl(url("/c"))
    assert first.headers["set-cookie"] == "sid=SECRET"  # its own
    assert is_hit(second) and "SECRET" not in str(second.headers)
    assert origin.count("/c") == 1


def test_what_is_for_one_alone_ends_with_the_daemon(start, origin):
    """The sanitizer's build tells what was not freed."""
    origin.on("/c", answer(b"x" * 8 * MIB, ["Cache-Control: public, max-age=60", "Set-Cookie: sid=SECRET"]))
    hf = start(origin.url, runtime={"drain_timeout": "0ms"})
    with connect() as conn:
        conn.sendall(f"GET /c HTTP/1.1\r\nHost: {V4}\r\n\r\n".encode())
        assert conn.recv(1) == b"H"  # and no more
        hf.stop()


@pytest.mark.parametrize("control,shared", [("max-age=60", False), ("public, max-age=60", True),
                                            ("s-maxage=60", True),
                                            ("must-revalidate, max-age=60", True)])
def test_authorization(start, origin, control, shared):
    """RFC 9111 §3.5"""
    origin.on("/a", numbered([f"Cache-Control: {control}"]))
    start(origin.url)
    mine = ["-H", "Authorization: Bearer mine"]
    first = curl(url("/a"), *mine)
    assert first.body == b"answer-0" and ("stored" in cache_status(first)) == shared
    # stored for everybody where the origin allows it, else never the first one's answer
    other = curl(url("/a"), "-H", "Authorization: Bearer other")
    assert other.body == (b"answer-0" if shared else b"answer-1")
    stranger = curl(url("/a"))
    assert stranger.body == (b"answer-0" if shared else b"answer-2")
    # what a stranger stored is for those with credentials only if §3.5 says so
    assert is_hit(curl(url("/a"), *mine)) == shared
    assert origin.count("/a") == (1 if shared else 4)


def test_clients_with_credentials_do_not_wait_for_one_another(start, origin):
    """RFC 9111 §3.5: whose answer it is only its head tells, so each asks; none is served in turn."""
    clients = 20
    together = threading.Barrier(clients, timeout=30 * SLOW)

    def each(conn, request):
        together.wait()  # all of them are being asked at once
        who = dict(request.headers)["authorization"].encode()
        return answer(who, ["Cache-Control: private, max-age=60"])(conn, request)

    origin.on("/own", each)
    start(origin.url, workers=2)
    names = [f"Bearer {i}" for i in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        bodies = list(pool.map(lambda n: curl(url("/own"), "-H", f"Authorization: {n}").body, names))
    assert bodies == [name.encode() for name in names]


def test_vary_keeps_languages_apart(start, origin):
    def script(conn, request):
        language = dict(request.headers).get("accept-language", "none")
        return answer(language.encode(), ["Cache-Control: max-age=60", "Vary: Accept-Language"])(
            conn, request)
    origin.on("/v", script)
    start(origin.url)
    for hit in (False, True):
        for language in ("de", "fr"):
            reply = curl(url("/v"), "-H", f"Accept-Language: {language}")
            assert reply.body == language.encode() and is_hit(reply) == hit
    assert origin.count("/v") == 2


def test_vary_cookie_keeps_users_apart(start, origin):
    def script(conn, request):
        cookie = dict(request.headers).get("cookie", "none")
        return answer(cookie.encode(), ["Cache-Control: max-age=60", "Vary: Cookie"])(
            conn, request)
    origin.on("/v", script)
    start(origin.url)
    for user in ("u=1", "u=2", "u=1", "none", "u=2"):
        options = [] if user == "none" else ["-H", f"Cookie: {user}"]
        assert curl(url("/v"), *options).body == user.encode()


def test_secrets_are_redacted_in_cli_and_log(start, origin):
    origin.on("*", answer(b"x"))
    hf = start(origin.url)
    curl(url("/p?id_token=SECRET&a=b"), "-H", "Authorization: Bearer SECRET")
    shown = hf.ctl("cache", "show", url("/p?id_token=SECRET&a=b"), as_json=False)
    assert "SECRET" not in shown and "a=b" in shown
    hf.stop()
    assert not re.search("SECRET", "".join(hf.lines))


def test_the_operators_secrets_and_a_routes_leave(start, origin, tmp_path):
    origin.on("*", numbered(["Cache-Control: max-age=60", "X-Session-Id: SECRET"]))
    document = plane.document("1", origin.url)
    pin = url("/p?user_pin=SECRET")
    with plane.ControlPlane(tmp_path, document) as control:
        hf = start(origin.url, control_plane={**control.config, "state_file": ""},
                   cache={"scrub_fields": ["X-Session-ID"], "secret_parameters": ["*-PIN"]})
        assert curl(url("/s")).headers["x-session-id"] == "SECRET"  # its own
        scrubbed = curl(url("/s"))
        assert is_hit(scrubbed) and "x-session-id" not in scrubbed.headers
        for _ in range(2):
            assert cache_status(curl(pin)) == "holdfast; fwd=request"
        told = hf.ctl("cache", "show", pin)
        assert told["key"].endswith("user_pin=***") and "token-like" in told["reason"]
        # a name that becomes a secret: what was stored is nobody's any more
        assert "stored" in cache_status(curl(url("/q?who=SECRET")))
        assert is_hit(curl(url("/q?who=SECRET")))
        assert reload(hf, cache={"secret_parameters": ["*-pin", "who"]}) == {
            "cache.secret_parameters": ('["*-pin"]', '["*-pin", "who"]', "live")}
        assert cache_status(curl(url("/q?who=SECRET"))) == "holdfast; fwd=request"
        # the route's leave
        document["routes"][0]["store_secret_query"] = True
        control.state({**document, "version": "2"})
        control.wait_ack("2")
        for target in (pin, url("/q?who=SECRET")):
            assert "stored" in cache_status(curl(target)) and is_hit(curl(target))
        assert not is_hit(curl(url("/p?user_pin=OTHER")))
        shown = hf.ctl("cache", "list", as_json=False) + hf.ctl("cache", "show", pin, as_json=False)
        assert "SECRET" not in shown and "user_pin=***" in shown
        hf.stop()
        assert not re.search("SECRET", "".join(hf.lines))


@pytest.mark.parametrize("other", ["/x?q=2", "/X?q=1", "/x?q=1&", "/x", "/x/?q=1"])
def test_keys_that_differ_do_not_meet(start, origin, other):
    origin.on("*", lambda conn, request: answer(request.target.encode())(conn, request))
    start(origin.url)
    assert curl(url("/x?q=1")).body == b"/x?q=1"
    assert curl(url(other)).body == other.encode()
    assert curl(url("/x?q=1"), "-H", "Host: other").headers["cache-status"].startswith(
        "holdfast; fwd=miss")


@pytest.mark.parametrize("same", ["/%7Eu/x", "/%7eu/x"])
def test_spellings_of_one_key_meet(start, origin, same):
    origin.on("*", lambda conn, request: answer(request.target.encode())(conn, request))
    start(origin.url)
    first = curl(url("/~u/x"), "-H", "Host: Example.ORG:80")
    assert first.body == b"/~u/x"
    assert is_hit(curl(url(same), "-H", "Host: example.org"))
