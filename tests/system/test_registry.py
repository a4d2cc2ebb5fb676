# SPDX-License-Identifier: BSD-3-Clause
"""Origins say themselves where they are (lib/registry): a rolling restart that needs nobody, and what is no
message."""
import collections
import contextlib
import http.client
import json
import signal

import pytest

import harness
from harness import wait_until
from plane import ControlPlane, document

URL = f"http://{harness.V4}"
SECRET = "a secret for tests".replace(" ", "-")


class Registry:
    """The admin listener, as an origin uses it: a connection a message, for idle ones are closed after 10 s."""

    def __init__(self, holdfast):
        self.holdfast = holdfast

    def ask(self, method, path="", body=None, secret=SECRET, raw=None):
        data = raw if body is None else json.dumps(body).encode()
        conn = http.client.HTTPConnection(self.holdfast.admin, timeout=10 * harness.SLOW)
        with contextlib.closing(conn):
            conn.request(method, "/v1/origins" + path, data, {"Authorization": f"Bearer {secret}"})
            answer = conn.getresponse()
            text = answer.read()
        return answer.status, json.loads(text) if text else None

    def put(self, name, url, ttl=300):
        return self.ask("PUT", f"/demo/{name}", {"url": url, "ttl": ttl})[0]

    def wait(self, expected):
        def asked():
            return harness.table(self.holdfast.ctl("origin", "list"), "id", "url") == expected
        wait_until(asked, what=f"{expected} in force")


@pytest.fixture
def node(start, tmp_path):
    """A node whose only group has no origin in the document."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    state = document("v1", "", origins=[], groups=[{"id": "demo"}])
    with ControlPlane(tmp_path, state) as plane:
        config = {**plane.config, "state_file": str(tmp_path / "state.json")}
        holdfast = start("", control_plane=config, bootstrap=False,
                         registry={"secret_file": str(secret)})
        holdfast.secret = secret
        yield holdfast


def get(path):
    return harness.curl(URL + path).status


class Load(harness.Clients):
    """Requests, each for something else, one after the other on each connection, until the end."""

    def __init__(self, conns, path=b"/%d/%d"):
        super().__init__(self.run, [(i,) for i in range(conns)])
        self.path, self.statuses = path, [[] for _ in range(conns)]

    def run(self, index):
        with harness.connect() as conn, conn.makefile("rb") as stream:
            statuses = self.statuses[index]
            while not self.stop.is_set():
                path = self.path % (index, len(statuses))
                conn.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                statuses.append(harness.read_answer(stream).status)

    def wait_more(self):
        """Until every request that is under way now has ended, and some more on each connection."""
        counts = [len(statuses) + 5 for statuses in self.statuses]
        wait_until(lambda: all(len(statuses) >= count for statuses, count in
                               zip(self.statuses, counts)), what="more answers")


def test_a_rolling_restart_by_the_registry_fails_no_request(node):
    registry, places = Registry(node), {}

    with contextlib.ExitStack() as running:
        def begin(name, ttl=300):
            origin = harness.Origin()
            origin.on("*", harness.answer(b"body", ["Cache-Control: no-store"]))
            places[name] = origin, running.enter_context(contextlib.ExitStack())
            places[name][1].enter_context(origin)
            status, told = registry.ask("PUT", f"/demo/{name}", {"url": origin.url, "ttl": ttl})
            assert status == 201 and told["in_force"], "answered when it is"

        assert get("/none") == 503
        begin("o1")
        assert get("/one") == 200, "nobody had to do anything else"
        begin("o2")
        begin("o3")
        with Load(4) as load:
            load.wait_more()
            for name in ["o1", "o2", "o3"]:
                assert registry.ask("DELETE", f"/demo/{name}")[0] == 204
                old, stop = places.pop(name)
                assert {get(f"/after/{name}/{i}") for i in range(4)} == {200}
                assert not [asked for asked in old.seen if asked.target.startswith(f"/after/{name}")]
                load.wait_more()
                count = len(old.seen)
                load.wait_more()
                assert len(old.seen) == count
                stop.close()
                begin(name)
                load.wait_more()
        assert {status for statuses in load.statuses for status in statuses} == {200}
        assert all(origin.seen for origin, _ in places.values())
        rows = node.ctl("origin", "list")
        assert harness.table(rows, "id", "from") == {name: "registry" for name in places}
        assert all(0 < left <= 300 for left in harness.table(rows, "id", "left").values())
        for name, (origin, _) in places.items():
            assert registry.put(name, origin.url, ttl=1) == 200
        registry.wait({})
        assert get("/gone") == 503
        name, (origin, _) = places.popitem()
        assert registry.put(name, origin.url) == 201
        registry.wait({name: origin.url})
        assert get("/back") == 200
        row = registry.ask("GET")[1]["origins"][0]
        assert (row["id"], row["in_force"], row["drained"]) == (name, True, False)
        stats = node.stats()
        assert [stats[f'registry_changes_total{{change="{change}"}}'] for change in
                ("registered", "renewed", "deregistered", "expired")] == [7, 3, 3, 3]
        assert stats["registry_origins"] == 1
        assert stats["client_errors_total"] == 0 and stats["internal_errors_total"] == 0


def test_eight_real_origins_that_restart_one_by_one_fail_no_request(node, tmp_path):
    """Every other one says goodbye, and ends what it has begun; the others do neither."""
    registry = Registry(node)
    with contextlib.ExitStack() as running:
        servers = {}
        for name in (f"n{i}" for i in range(8)):
            (tmp_path / name).mkdir()
            servers[name] = running.enter_context(harness.Nginx(tmp_path / name))
            assert registry.put(name, servers[name].url) == 201
        with Load(8, b"/mix/%d%d") as load:
            load.wait_more()
            for i, (name, server) in enumerate(servers.items()):
                if i % 2:
                    assert registry.ask("DELETE", f"/demo/{name}")[0] == 204
                server.process.send_signal(signal.SIGQUIT if i % 2 else signal.SIGTERM)
                server.process.wait()
                load.wait_more()
                server.start()
                assert registry.put(name, server.url) == (201 if i % 2 else 200)
                load.wait_more()
        statuses = [status for each in load.statuses for status in each]
    assert set(statuses) == {200}, collections.Counter(statuses)
    stats = node.stats()
    assert stats["http_requests_total"] == stats["origin_fetches_total"] == len(statuses)
    assert stats["origin_fetch_retries_total"] > 0


def test_what_is_no_message_is_refused_by_name_and_changes_nothing(node):
    good, registry = {"url": "http://127.0.0.1:9"}, Registry(node)
    bad = [
        (401, "Authorization: found another one", "PUT", "/demo/a", {"body": good, "secret": "x" * 18}),
        (404, '$.group: found "none"; allowed: a group', "PUT", "/none/a", {"body": good}),
        (404, "path: found another number of segments", "PUT", "/demo", {"body": good}),
        (404, "path: found another number of segments", "PUT", "/demo/a/b", {"body": good}),
        (400, "path: found no name", "PUT", "/demo/%zz", {"body": good}),
        (400, "path: found a query", "PUT", "/demo/a?x=1", {"body": good}),
        (405, "allowed: GET, HEAD, PUT, DELETE", "POST", "/demo/a", {"body": good}),
        (400, "$: found an array", "PUT", "/demo/a", {"body": [good]}),
        (400, "$.url: found nothing", "PUT", "/demo/a", {"body": {"ttl": 5}}),
        (400, '$: found "tll"; allowed: url, weight and ttl', "PUT", "/demo/a",
         {"body": {**good, "tll": 5}}),
        (400, '$.ttl: found "5"; allowed: 1 to 86400 seconds', "PUT", "/demo/a",
         {"body": {**good, "ttl": "5"}}),
        (400, "duplicate object key", "PUT", "/demo/a",
         {"raw": b'{"url":"http://a","url":"http://b"}'}),
        (400, "found ", "PUT", "/demo/a", {"raw": b"\xff\x00{"}),
        (400, "found ", "PUT", "/demo/a", {"raw": b" " * 65536}),
        (404, "$.id: found one that is not registered", "DELETE", "/demo/a", {})]
    for status, reason, method, path, keys in bad:
        got, answer = registry.ask(method, path, **keys)
        assert got == status and reason in answer["error"]["message"], (path, keys, got, answer)
        assert answer["error"]["type"] == "client_error"
    for headers in ["Content-Length: 65537", "Transfer-Encoding: chunked"]:
        request = (f"PUT /v1/origins/demo/a HTTP/1.1\r\nHost: a\r\nAuthorization: bearer {SECRET}\r\n"
                   f"{headers}\r\n\r\n" + ("10001\r\n" + "x" * 65537 + "\r\n0\r\n\r\n") * ("T" in headers))
        host, port = node.admin.split(":")
        with harness.connect(host, int(port)) as conn, conn.makefile("rb") as stream:
            conn.sendall(request.encode())
            assert harness.read_answer(stream).status == 413
    assert registry.ask("GET") == (200, {"origins": []})
    assert node.stat('client_errors_total{reason="registry"}') == len(bad) + 2
    node.wait_log('WARN registry: error_type=client_error message_type=register peer=127.0.0.1:[0-9]+ '
                  'reason="..url: found nothing; allowed: ')
    assert SECRET not in "".join(node.lines)


def test_drains_hold_and_the_secret_is_read_again_at_a_reload(node):
    registry = Registry(node)
    with harness.Origin() as origin:
        origin.on("*", harness.answer(b"body", ["Cache-Control: no-store"]))
        assert registry.put("o1", origin.url) == 201
        registry.wait({"o1": origin.url})
        node.ctl("origin", "drain", "demo", "o1")
        assert get("/a") == 503
        assert registry.ask("DELETE", "/demo/o1")[0] == 204
        registry.wait({})
        assert registry.put("o1", origin.url) == 201
        registry.wait({"o1": origin.url})
        assert get("/b") == 503, "another generation, still drained"
        node.ctl("origin", "resume", "demo", "o1")
        assert get("/c") == 200
        node.secret.write_text("short")
        assert "its first line must be of 16" in node.ctl("config", "reload", as_json=False, code=1)
        assert registry.put("o1", origin.url) == 200, "the one before"
        node.secret.write_text("another-secret-of-ours")
        node.ctl("config", "reload")
        assert registry.put("o1", origin.url) == 401
        assert registry.ask("GET", secret="another-secret-of-ours")[0] == 200
        config = json.loads(node.config.read_text())
        del config["registry"]
        node.config.write_text(json.dumps(config))
        node.ctl("config", "reload")
        status, answer = registry.ask("GET")
        assert status == 403 and "the registry is off" in answer["error"]["message"]
