# SPDX-License-Identifier: BSD-3-Clause
"""The state comes from the control plane, the last good one stays, and when it falls silent the node lives
on what it has."""
import concurrent.futures
import json
import os
import random
import re
import subprocess
import threading
import time

import pytest

import harness
from harness import wait_until
from plane import ControlPlane, document

URL = f"http://{harness.V4}"


@pytest.fixture
def plane(tmp_path, origin):
    with ControlPlane(tmp_path, document("v1", origin.url)) as control_plane:
        yield control_plane


@pytest.fixture
def node(start, plane, origin, tmp_path):
    """Starts a Holdfast that asks the plane."""
    def start_node(**keys):
        control = {**plane.config, "state_file": str(tmp_path / "state.json"), **keys}
        return start(origin.url, control_plane=control, bootstrap=False)
    return start_node


def text(body, control="max-age=60", **fields):
    """An origin script: 200 with that body."""
    def script(conn, request):
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        conn.sendall(f"HTTP/1.1 200 OK\r\nCache-Control: {control}\r\n{lines}"
                     f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        return True
    return script


def curl(path, *options):
    done = subprocess.run(["curl", "-sS", "-i", "--max-time", str(10 * harness.SLOW), "--noproxy", "*", *options,
                           URL + path], capture_output=True, check=True)
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def test_the_state_is_applied_and_acknowledged(node, plane, origin):
    origin.on("/a", text("one"))
    holdfast = node()
    assert curl("/a")[::2] == (200, "one")
    assert plane.wait_ack("v1") == {"version": "v1", "status": "applied", "errors": []}
    assert holdfast.ctl("status")["state_version"] == "v1"
    shown = holdfast.ctl("state", "show")
    assert shown["document"]["version"] == "v1" and not shown["sync"]["local_cache_mode"]


def test_a_new_version_moves_what_is_asked_next_and_nothing_under_way(node, plane, origin):
    asked, go_on = threading.Event(), threading.Event()

    def slow(conn, request):
        asked.set()
        go_on.wait(60)
        return text("first")(conn, request)

    with harness.Origin() as other, concurrent.futures.ThreadPoolExecutor() as pool:
        other.on("*", text("other"))
        origin.on("/slow", slow)
        node()
        under_way = pool.submit(curl, "/slow")
        asked.wait(10)
        plane.state(document("v2", other.url))
        plane.wait_ack("v2")
        assert curl("/a")[2] == "other"
        go_on.set()
        assert under_way.result()[::2] == (200, "first")


def test_a_bad_document_changes_nothing_and_is_told_why(node, plane, origin):
    origin.on("/a", text("one", "no-store"))
    holdfast = node()
    plane.state({**document("v2", "ftp://x"), "routes": [{"id": "r"}]})
    ack = plane.wait_ack("v2", "rejected")
    assert any(error.startswith('$.origins[0].url: found "ftp://x"') for error in ack["errors"])
    assert any(error.startswith("$.routes[0].host: found nothing") for error in ack["errors"])
    assert curl("/a")[2] == "one"
    plane.wait_polls(5)
    assert holdfast.ctl("status")["mode"] == "normal", "bad documents are no failures"
    assert holdfast.stat("fallback_activations_total") == 0


@pytest.mark.parametrize("mode,kind", [("503", "5xx"), ("hang", "timeout"), ("refuse", "refused"),
                                       ("cut", "reset"), ("garbage", "reset")])
def test_fallback_begins_and_ends_by_itself(node, plane, origin, mode, kind):
    holdfast = node(max_stale="30s", **({"timeout": "200ms"} if mode == "hang" else {}))
    origin.on("/a", text("one", "max-age=1"))
    assert curl("/a")[2] == "one"
    plane.mode(mode)
    holdfast.wait_log("Switching to local cache mode")
    assert holdfast.ctl("status")["mode"] == "fallback"
    assert holdfast.stat("edge_fallback_triggered") == 1
    assert holdfast.stat("fallback_activations_total") == 1
    # who refuses from now on cuts the open connection first, which is a reset
    assert holdfast.stat(f'sync_failures_total{{reason="{kind}"}}') >= (2 if mode == "refuse" else 3)
    plane.mode("ok")
    holdfast.wait_log("Leaving local cache mode")
    assert holdfast.stat("edge_fallback_triggered") == 0
    assert holdfast.ctl("status")["mode"] == "normal"


def test_a_plane_that_flaps_does_not_flap_the_mode(node, plane):
    holdfast = node()
    plane.mode("flap")
    plane.wait_polls(20)
    assert holdfast.stat("fallback_activations_total") == 0
    plane.mode("503")
    holdfast.wait_log("Switching to local cache mode")
    plane.mode("flap")
    plane.wait_polls(20)
    assert holdfast.ctl("status")["mode"] == "fallback"
    assert holdfast.stat("fallback_activations_total") == 1


def test_in_fallback_what_expired_is_served_at_once(node, plane, origin):
    """The origin does not answer; max-age=1, and the age it was sent with makes it expire without a wait."""
    origin.on("/a", text("one", "max-age=100", Age=99))
    holdfast = node(max_stale="30s")
    assert curl("/a")[2] == "one"
    leave = threading.Event()
    origin.on("/a", lambda conn, request: leave.wait(60) and False)
    holdfast.ctl("fallback", "on")
    wait_until(lambda: int(re.search("Age: ([0-9]+)", curl("/a")[1])[1]) > 100,
               what="the end of its lifetime")
    assert holdfast.stat('cache_stale_served_total{reason="fallback"}') > 0
    leave.set()


def test_the_operator_rolls_back_and_a_newer_state_wins(node, plane, origin):
    with harness.Origin() as other:
        origin.on("/a", text("first", "no-store"))
        other.on("/a", text("other", "no-store"))
        holdfast = node()
        plane.state(document("v2", other.url))
        plane.wait_ack("v2")
        assert holdfast.ctl("state", "rollback", "v1")["version"] == "v1"
        assert curl("/a")[2] == "first"
        plane.wait_polls(3)
        assert curl("/a")[2] == "first"
        rows = holdfast.ctl("state", "history")["rows"]
        assert [(row[0], row[1]) for row in rows] == [("v2", False), ("v1", True)]
        plane.state(document("v3", other.url))
        plane.wait_ack("v3")
        assert curl("/a")[2] == "other"
        assert "not among" in holdfast.ctl("state", "rollback", "v9", as_json=False, code=1)


def table(answer, *names):
    """Rows of a table, some columns of each."""
    places = [answer["columns"].index(name) for name in names]
    return [tuple(row[place] for place in places) for row in answer["rows"]]


def test_the_operator_drains_adds_and_removes_origins(node, plane, origin):
    asked, go_on = threading.Event(), threading.Event()

    def slow(conn, request):
        asked.set()
        go_on.wait(60)
        return text("slow")(conn, request)

    with harness.Origin() as other, concurrent.futures.ThreadPoolExecutor() as pool:
        origin.on("*", text("first", "no-store"))
        origin.on("/slow", slow)
        other.on("*", text("other", "no-store"))
        holdfast = node()
        columns = ["group", "id", "state", "from", "pending"]
        document_row = ("demo", "o1", "up", "document", 0)
        assert table(holdfast.ctl("origin", "list"), *columns) == [document_row]
        under_way = pool.submit(curl, "/slow")
        asked.wait(10)
        assert table(holdfast.ctl("origin", "drain", "demo", "o1"), *columns) == [
            ("demo", "o1", "draining", "document", 1)]
        assert curl("/a")[0] == 503
        rows = table(holdfast.ctl("origin", "add", "demo", other.url + "/"), *columns)
        assert rows[1] == ("demo", other.url, "up", "operator", 0)
        assert {curl("/a")[2] for _ in range(4)} == {"other"}
        go_on.set()
        assert under_way.result()[2] == "slow"
        plane.state(document("v2", origin.url))
        plane.wait_ack("v2")
        assert {curl("/a")[2] for _ in range(4)} == {"other"}, "another state, the same origins"
        assert table(holdfast.ctl("origin", "resume", "demo", "o1"), "state", "fetches") == [
            ("up", 1), ("up", 8)]
        assert {curl("/a")[2] for _ in range(4)} == {"first", "other"}
        assert len(holdfast.ctl("origin", "remove", "demo", other.url)["rows"]) == 1
        assert {curl("/a")[2] for _ in range(4)} == {"first"}
        for words, reason in [
                (["add", "demo", "ftp://x"], 'origin.url: found "ftp://x"; allowed: http://HOST'),
                (["add", "none", "http://x"], 'origin.group: found "none"; allowed: a group'),
                (["drain", "demo", "o9"], 'origin.id: found "o9"; allowed: the id or URL'),
                (["remove", "demo", origin.url], "allowed: one that was added")]:
            assert reason in holdfast.ctl("origin", *words, as_json=False, code=1)


def test_a_document_s_policies_and_purges_are_carried_out(node, plane, origin):
    asked = []

    def script(conn, request):
        asked.append(request.target)
        return text("body", "max-age=60" if request.target == "/a" else "public")(conn, request)

    def get(path):
        before = len(asked)
        assert curl(path)[0] == 200
        return len(asked) - before

    origin.on("*", script)
    state = document("v1", origin.url, policies=[{"id": "long", "default_ttl": 60}])
    state["routes"].append({**state["routes"][0], "id": "long", "path": "/long", "policy": "long"})
    plane.state(state)
    holdfast = node()
    plane.wait_ack("v1")
    assert [get(path) for path in ["/a", "/b", "/long"] * 2] == [1, 1, 1, 0, 1, 0]
    purges = [{"id": "p1", "url": URL + "/a"}, {"id": "p2", "prefix": "/long", "soft": True}]
    plane.state({**state, "version": "v2", "purges": purges})
    plane.wait_ack("v2")
    assert [get(path) for path in ["/a", "/long"] * 2] == [1, 1, 0, 0]
    plane.state({**state, "version": "v3", "purges": purges + [{"id": "p3", "tag": "none"}]})
    plane.wait_ack("v3")
    assert holdfast.stat("state_purges_total") == 3
    assert [get(path) for path in ["/a", "/long"]] == [0, 0], "once for each id"


def test_a_silent_plane_at_start_the_last_good_state_is_used(node, plane, origin, tmp_path):
    origin.on("/a", text("one", "no-store"))
    first = node()
    plane.wait_ack("v1")
    first.stop()
    plane.mode("refuse")
    second = node()
    assert second.wait_log("state \"v1\" is in force, from the state file")
    assert curl("/a")[2] == "one"
    second.stop()
    (tmp_path / "state.json").write_text("damaged")
    third = node()
    third.wait_log("no state: every miss is answered 503")
    assert curl("/a")[0] == 503
    plane.state(document("v2", origin.url))
    plane.mode("ok")
    plane.wait_ack("v2")
    assert curl("/a")[2] == "one"


def test_many_states_a_second_under_load(node, plane, nginx, origin):
    """Each poll has another version: 1000 of them within 10 s when HF_LONG asks for it."""
    states, seconds = (1000, 12) if os.environ.get("HF_LONG") else (150, 3)
    plane.state(document("v1", nginx.url))
    holdfast = node(interval="10ms")
    wait_until(lambda: holdfast.stat("state_applied_total") > 0, what="the first state")
    plane.mode("roll")
    wait_until(lambda: holdfast.stat("state_applied_total") > 20, what="some states")
    rss, applied = holdfast.rss(), holdfast.stat("state_applied_total")
    rate = subprocess.run([harness.BUILD / "tests/system/tools/hf-rate", "--to", f"{harness.V4}:80",
                           "--rate", "200", "--seconds", str(seconds), "--path", "/hello?"],
                          capture_output=True, text=True, check=True)
    summary = json.loads(rate.stdout.splitlines()[-1])
    assert summary["asked"] == 200 * seconds and summary["errors"] == 0, summary
    wait_until(lambda: holdfast.stat("state_applied_total") - applied >= states, 30, "states")
    if not harness.SANITIZED:  # which keeps what was freed for a while
        assert holdfast.rss() - rss < 16 << 20
    assert holdfast.stat("fallback_activations_total") == 0


# ---- bad documents ----

def mutations(seed, count):
    """Documents that are wrong in one way each, from a good one."""
    rand = random.Random(seed)
    good = document("", "http://127.0.0.1:1",
                    policies=[{"id": "p", "default_ttl": 60, "max_object": 1 << 20}],
                    purges=[{"id": "1", "prefix": "/img/", "soft": True},
                            {"id": "2", "tag": "t", "issued_at": 1}])
    good["routes"][0]["policy"] = "p"
    good["routes"].append({"id": "other", "host": "a.test", "path": "/x", "group": "demo"})

    def places(value, path=()):
        yield path
        items = value.items() if isinstance(value, dict) else \
            enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            yield from places(inner, path + (key,))

    def at(value, path):
        for key in path:
            value = value[key]
        return value

    checked = [path for path in places(good) if path]
    optional = {"issued_at", "weight", "default_ttl", "max_object", "soft", "policy", "purges"}

    def missing(text):
        path = rand.choice([p for p in checked if isinstance(p[-1], str) and
                            p[-1] not in optional])
        del at(text, path[:-1])[path[-1]]

    def wrong_type(text):
        path = rand.choice(checked)
        wrong = [None, 1.5, -1, {}, [[]], "", 1 << 62]
        at(text, path[:-1])[path[-1]] = rand.choice(
            [value for value in wrong if value != 1 << 62 or path[-1] != "issued_at"])

    def dangling(text):
        text["routes"][0][rand.choice(["group", "policy"])] = f"no-{rand.random()}"

    def duplicate(text):
        key = rand.choice(["origins", "routes", "policies", "purges"])
        text[key] = text[key] * 2

    def too_many(text):
        key, limit = rand.choice([("origins", 4096), ("policies", 1024), ("purges", 1024)])
        text[key] = [{**text[key][0], "id": str(i)} for i in range(limit + 1)]

    def too_long(text):
        path = rand.choice([p for p in checked if isinstance(at(text, p), str) and
                            p[-1] != "issued_at"])
        at(text, path[:-1])[path[-1]] = "x" * rand.randrange(8193, 100000)

    def too_deep(text):
        text[rand.choice(["policies", "more"])] = json.loads("[" * 40 + "]" * 40)

    def ambiguous(text):
        text["purges"][0].update(rand.choice([{"tag": "t"}, {"all": True}, {"all": False}]))

    def other_schema(text):
        text.clear()
        text.update({"apiVersion": "v1", "kind": rand.choice("ABC"), "items": []})

    kinds = [missing, wrong_type, dangling, duplicate, too_many, too_long, too_deep, ambiguous,
             other_schema]
    for i in range(count):
        good["version"] = f"bad{i}"
        broken = json.loads(json.dumps(good))
        kind = rand.randrange(len(kinds) + 3)
        if kind < len(kinds):
            kinds[kind](broken)
            yield json.dumps(broken).encode()
            continue
        raw = json.dumps(good).encode()
        if kind == len(kinds):
            yield raw[:rand.randrange(len(raw))]
        elif kind == len(kinds) + 1:
            cut = raw.index(b"demo") + 1
            yield raw[:cut] + rand.choice([b"\xff", b"\xc0\x80", b"\xed\xa0\x80"]) + raw[cut:]
        else:
            yield raw.replace(b'"weight": 1', b'"weight": ' + b"9" * rand.randrange(3, 400))


def test_200_bad_documents_are_refused_with_reasons_and_nothing_changes(node, plane, origin):
    origin.on("/a", text("one", "no-store"))
    holdfast = node(interval="10ms")
    plane.wait_ack("v1")
    before = holdfast.ctl("state", "show")["document"]
    for number, raw in enumerate(mutations(seed=5, count=200)):
        rejected = holdfast.stat("state_rejected_total")
        plane.state(raw)
        wait_until(lambda: holdfast.stat("state_rejected_total") > rejected,
                   what=f"refusal of document {number}: {raw[:300]!r}")
        if number % 20 == 0:
            assert curl("/a")[2] == "one"
            wait_until(lambda: plane.acks()[-1]["status"] == "rejected", what="NACK")
            assert plane.acks()[-1]["errors"]
    assert holdfast.ctl("state", "show")["document"] == before
    assert holdfast.stat("state_applied_total") == 1
    assert holdfast.stat("fallback_activations_total") == 0


# ---- killed ----

@pytest.mark.skipif(harness.SANITIZED, reason="an address sanitizer is slow to start")
def test_killed_at_any_moment_it_starts_with_a_good_state(plane, origin, tmp_path):
    """The state rolls at every poll, so that a kill finds the file being written."""
    rounds = 100 if os.environ.get("HF_LONG") else 10
    rand = random.Random(7)
    file = tmp_path / "state.json"
    for number in range(rounds):
        directory = tmp_path / f"kill{number}"
        directory.mkdir()
        plane.mode("roll")
        control = {**plane.config, "interval": "10ms", "state_file": str(file)}
        holdfast = harness.Holdfast(directory, origin.url, control_plane=control, bootstrap=False)
        holdfast.start()
        time.sleep(rand.random() / 20)  # the moment is what is tested
        holdfast.kill()
        with pytest.raises(AssertionError, match="ended with -9"):
            holdfast.stop()
        plane.mode("refuse")
        directory = tmp_path / f"again{number}"
        directory.mkdir()
        again = harness.Holdfast(directory, origin.url, control_plane=control, bootstrap=False)
        again.start()
        again.wait_log('is in force, from the state file')
        again.stop()
