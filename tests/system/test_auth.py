# SPDX-License-Identifier: BSD-3-Clause
"""Protected routes: an auth service over HTTP, its decisions, and who never gets what is stored."""
import hashlib
import json
import subprocess
import threading

import pytest

from harness import HOLDFASTCTL, Holdfast, Origin, answer, curl, is_hit, say, url, wait_until
from plane import ControlPlane, document

PUBLIC = ["Cache-Control: public, max-age=600"]


class Service(Origin):
    """Allows those in `allowed`; `how` stands for that, where it is set."""

    def __init__(self):
        super().__init__()
        self.allowed, self.how, self.gate = {"good"}, None, threading.Event()
        self.gate.set()
        self.on("*", self.check)

    def check(self, conn, request):
        self.gate.wait(10)
        if self.how:
            return self.how(conn, request)
        key = dict(request.headers)["x-key"]
        if key in self.allowed:
            say(conn, request, b"", [f"X-User: user-{key}"])
        else:
            say(conn, request, b"who are you?", ["Content-Type: text/x-no"], "403 No")
        return True


def flow(**changes):
    return {"id": "keys", "cache": "agent_api_key", "share": "explicit",
            "credential": {"in": "header", "name": "x-key"}, "negative_ttl": 60,
            "allow": {"add": ["x-user"], "remove": ["x-key"]},
            "service": {"group": "authz", "path": "/check", "timeout_ms": 10000}, **changes}


def protected(version, origin, service, **changes):
    state = document(version, origin.url, auth_flows=[flow(**changes)])
    state["origins"].append({"group": "authz", "id": "a1", "url": service.url})
    state["routes"][0]["auth"] = "keys"
    state["routes"].append({"id": "open", "host": "*", "path": "/open", "group": "demo"})
    return state


@pytest.fixture
def service():
    with Service() as service:
        yield service


@pytest.fixture
def holdfast(tmp_path, origin, service):
    origin.on("*", answer(b"secret", PUBLIC))
    with ControlPlane(tmp_path, protected("1", origin, service)) as plane:
        holdfast = Holdfast(tmp_path, origin.url, workers=2, control_plane=plane.config)
        holdfast.plane = plane
        try:
            yield holdfast.start()
        finally:
            service.gate.set()
            holdfast.stop()


def get(key, path="/a", **options):
    return curl(url(path), *([] if key is None else ["-H", f"X-Key: {key}"]), **options)


def accesses(holdfast):
    stats = holdfast.stats()
    return {result: stats[f'auth_cache_access_total{{cache="agent_api_key",result="{result}"}}']
            for result in ("hit", "hit_negative", "miss_expired", "miss_absent")}


def test_decisions_are_asked_for_once_kept_revoked_and_told(holdfast, origin, service):
    # nobody asks about nothing; what is stored is for who is allowed only
    missing = get(None)
    assert missing.status == 401 and missing.headers["www-authenticate"] == "Bearer"
    assert get("good").status == 200 and is_hit(get("good"))
    assert origin.seen[-1].target == "/a"
    fields = dict(origin.seen[-1].headers)
    assert fields["x-user"] == "user-good" and "x-key" not in fields
    denied = get("bad")
    assert (denied.status, denied.body) == (403, b"who are you?")
    assert denied.headers["content-type"] == "text/x-no"
    assert get("bad").status == 403 and get(None, "/open").status == 200
    assert accesses(holdfast) == {"hit": 1, "hit_negative": 1, "miss_expired": 0, "miss_absent": 2}
    assert len(service.seen) == 2
    # one question for all who wait, on whichever worker
    service.gate.clear()
    service.allowed.add("many")
    threads = [threading.Thread(target=lambda: statuses.append(get("many").status))
               for _ in range(8)]
    statuses = []
    for thread in threads:
        thread.start()
    wait_until(lambda: accesses(holdfast)["miss_absent"] == 10)
    service.gate.set()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8 and len(service.seen) == 3
    # revoked: no later request goes by what was decided
    service.allowed.clear()
    assert get("good").status == 200
    done = subprocess.run([HOLDFASTCTL, "-s", holdfast.socket, "--json", "auth", "revoke", "-"],
                          input="good\n", capture_output=True, text=True)
    assert json.loads(done.stdout) == {"revoked": 1}
    assert get("good").status == 403 and get("many").status == 200
    assert holdfast.ctl("auth", "revoke", hashlib.sha256(b"many").hexdigest(),
                        "--cache=auth_gateway") == {"revoked": 0}
    assert holdfast.ctl("auth", "revoke", "--all")["revoked"] == 3
    assert get("many").status == 403
    holdfast.ctl("auth", "revoke", "good", code=1)
    status = holdfast.ctl("auth", "status")
    rows = [dict(zip(status["caches"]["columns"], row)) for row in status["caches"]["rows"]]
    assert [row["deny"] for row in rows if row["cache"] == "agent_api_key"] == [1]
    assert "good" not in json.dumps(status)
    assert 'holdfast_auth_cache_access_total{cache="agent_api_key",result="hit"}' in \
        holdfast.ask("/metrics")[1]


def test_a_service_that_fails_lets_nobody_in_but_in_fallback_who_was_allowed(
        holdfast, origin, service):
    state = protected("2", origin, service, ttl=1, on_error={"fallback_ttl": 3600})
    state["auth_flows"][0]["service"]["timeout_ms"] = 2000
    holdfast.plane.state(state)
    holdfast.plane.wait_ack("2")
    assert get("good").status == 200
    for how in (lambda conn, request: conn.recv(1) and False, lambda conn, request: False,
                answer(b"", [], "500 No")):
        service.how = how
        assert get("new").status == 503
    wait_until(lambda: get("good").status == 503, what="the decision expires")
    holdfast.ctl("fallback", "on")
    assert get("good").status == 200 and get("new").status == 503
    assert holdfast.stat("auth_fallback_allowed_total") > 0
    holdfast.ctl("fallback", "auto")
    service.how = None
    assert wait_until(lambda: get("good").status == 200)
    # revoked by a document, and protected by one, at once
    revoked = protected("3", origin, service)
    revoked["auth_revoked"] = [hashlib.sha256(b"good").hexdigest()]
    revoked["routes"][1]["auth"] = "keys"
    assert get(None, "/open").status == 200
    holdfast.plane.state(revoked)
    holdfast.plane.wait_ack("3")
    assert get("good").status == 401 and get(None, "/open").status == 401
