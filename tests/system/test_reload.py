# SPDX-License-Identifier: BSD-3-Clause
"""config reload, SIGHUP and config check: what can change live does, at once and for both sides; the rest is
listed; a bad file changes nothing; nobody notices."""
import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading

from harness import HOLDFASTCTL, SANITIZED, answer, connect, curl, is_hit, read_answer, url, wait_until
from plane import ControlPlane, document
from test_control import frozen


def change(hf, **sections):
    """Writes these keys into the configuration file; None takes one out."""
    config = json.loads(hf.config.read_text())
    for section, keys in sections.items():
        if isinstance(keys, dict):
            config[section] = {**config.get(section, {}), **keys}
        else:
            config[section] = keys
    hf.config.write_text(json.dumps(config, indent=1))


def differences(result):
    """{key: (running, file, change)}"""
    assert result["columns"] == ["key", "running", "file", "change"]
    return {row[0]: tuple(row[1:]) for row in result["rows"]}


def reload(hf, **sections):
    change(hf, **sections)
    return differences(hf.ctl("config", "reload"))


def running(hf):
    return hf.ctl("config", "show")["text"]


def ask(stream, conn, head):
    conn.sendall(head)
    return read_answer(stream)


def test_client_limits_change_for_the_next_request_of_an_open_connection(start, nginx):
    hf = start(nginx.url, workers=2)
    many = b"GET /hello HTTP/1.1\r\nHost: x\r\n" + b"".join(
        b"X-%d: y\r\n" % i for i in range(20)) + b"\r\n"
    with connect() as conn:
        stream = conn.makefile("rb")
        assert ask(stream, conn, many).status == 200
        assert reload(hf, http={"header_count": 10}) == {"http.header_count": ("100", "10", "live")}
        assert ask(stream, conn, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        assert ask(stream, conn, many).status == 431
    long = "/hello?" + "x" * 200
    assert curl(url(long)).status == 200
    reload(hf, http={"header_count": 100, "uri_bytes": "100B"})
    assert curl(url(long)).status == 414
    with connect() as conn:
        stream = conn.makefile("rb")
        assert ask(stream, conn, many).status == 200
        reload(hf, http={"uri_bytes": "8KiB", "idle_timeout": "500ms"})
        assert ask(stream, conn, many).status == 200
        assert stream.read() == b""  # closed


def test_connections_of_one_address_are_limited_once_that_is_asked_for(start, nginx):
    hf = start(nginx.url)
    request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect() as first, connect() as second:
        for conn in (first, second):
            assert ask(conn.makefile("rb"), conn, request).status == 200
        reload(hf, http={"connections_per_address": 2})
        with contextlib.suppress(ConnectionError), connect() as third:
            assert ask(third.makefile("rb"), third, request).status == 0
        assert hf.drops()["conn_per_address"] == 1
        for conn in (first, second):
            assert ask(conn.makefile("rb"), conn, request).status == 200


def test_what_is_stored_and_for_how_long_changes_for_the_next_answer(start, origin):
    origin.on("*", answer(b"x" * 5000, headers=()))
    hf = start(origin.url)
    for _ in range(2):
        assert not is_hit(curl(url("/a")))
    reload(hf, cache={"default_ttl": "1h"})
    assert [is_hit(curl(url("/b"))) for _ in range(2)] == [False, True]
    reload(hf, cache={"max_object": "4KiB"})
    assert is_hit(curl(url("/b")))  # what is stored, is
    assert [is_hit(curl(url("/c"))) for _ in range(2)] == [False, False]


def test_an_origin_timeout_changes_for_the_next_fetch(start, origin):
    release = threading.Event()

    def silent(conn, request):
        release.wait(60)
        return answer(b"late")(conn, request)

    origin.on("/silent", silent)
    hf = start(origin.url)
    reload(hf, origin={"first_byte_timeout": "100ms"})
    assert curl(url("/silent")).status == 504
    release.set()


def test_the_control_plane_is_asked_as_often_as_it_says_now(start, tmp_path, origin):
    with ControlPlane(tmp_path, document("v1", origin.url)) as plane:
        hf = start(origin.url, bootstrap=False, control_plane={
            "url": plane.url, "interval": "1h", "state_file": str(tmp_path / "s.json"),
            "failures": 1000})
        polls = plane.seen()["polls"]
        reload(hf, control_plane={"interval": "20ms", "failures": 2, "timeout": "100ms"})
        plane.wait_polls(3)
        assert plane.seen()["polls"] >= polls + 3
        plane.mode("500")
        hf.wait_log("Switching to local cache mode")
        # a question that hangs holds up no reload
        reload(hf, control_plane={"timeout": "1h"})
        polls = plane.seen()["polls"]
        plane.mode("hang")
        wait_until(lambda: plane.seen()["polls"] > polls, what="that question")
        reload(hf, control_plane={"timeout": "100ms"})


def test_a_bad_file_changes_nothing_and_every_error_is_told(start, origin):
    hf = start(origin.url)
    before = running(hf)
    change(hf, cache={"default_ttl": "7s", "negative_ttl": "soon"}, http={"header_count": 0},
           colour="red")
    for command in ("reload", "check"):
        text = hf.ctl("config", command, as_json=False, code=1)
        for key in ("cache.negative_ttl", "http.header_count", "colour"):
            assert re.search(rf"holdfast.yaml:\d+: {key}: found .*; allowed: ", text), text
        assert "errors in" in text
        shown = json.loads(hf.ctl("config", command, code=1).splitlines()[0])
        assert shown["error"]["type"] == "client_error" and len(shown["error"]["errors"]) == 3
    assert running(hf) == before
    hf.config.write_text("")
    assert "ports" in hf.ctl("config", "reload", as_json=False, code=1)
    hf.config.unlink()
    assert "No such file" in hf.ctl("config", "reload", as_json=False, code=1)
    os.mkfifo(hf.config)  # nobody writes to it
    assert "regular file" in hf.ctl("config", "reload", as_json=False, code=1)
    assert running(hf) == before


def test_what_needs_a_restart_is_listed_and_stays(start, nginx):
    hf = start(nginx.url)
    told = reload(hf, cache={"memory": "512MiB", "negative_ttl": "9s"}, listen=[80, 81],
                  workers=2, node="edge-2")
    assert told == {"cache.negative_ttl": ("5s", "9s", "live"),
                    "cache.memory": ("256MiB", "512MiB", "restart"),
                    "listen": ("[80]", "[80, 81]", "restart"),
                    "workers": ("1", "2", "restart"),
                    "node": ('"edge-1"', '"edge-2"', "restart")}
    assert re.search(r"memory: 256MiB\n", running(hf)) and "negative_ttl: 9s" in running(hf)
    hf.wait_log("WARN config: cache.memory: 256MiB -> 512MiB: after a restart")
    assert set(differences(hf.ctl("config", "reload"))) == set(told) - {"cache.negative_ttl"}
    assert hf.ctl("status")["node"] == "edge-1"
    assert "negative_ttl" not in hf.ctl("config", "reload", as_json=False)


def test_check_says_what_a_reload_would_do_and_does_nothing(start, origin, tmp_path):
    hf = start(origin.url)
    before = running(hf)
    assert differences(hf.ctl("config", "check")) == {}
    change(hf, cache={"default_ttl": "7s"}, node="other")
    told = {"cache.default_ttl": ("0s", "7s", "live"), "node": ('"edge-1"', '"other"', "restart")}
    assert differences(hf.ctl("config", "check")) == told
    copy = tmp_path / "copy.yaml"
    copy.write_text(hf.config.read_text())
    assert differences(hf.ctl("config", "check", str(copy))) == told
    # a state document that would not start
    config = {**json.loads(copy.read_text()), "bootstrap_state": str(tmp_path / "none.json")}
    copy.write_text(json.dumps(config))
    assert "none.json" in hf.ctl("config", "check", str(copy), as_json=False, code=1)
    assert running(hf) == before


def test_only_who_may_read_what_the_server_may_names_a_file_to_check(start, origin):
    hf = start(origin.url)
    os.chmod(hf.socket, 0o666)
    for path in hf.socket.parents:
        if path.stat().st_uid == 0 and path.is_relative_to("/tmp") and path.name:
            os.chmod(path, 0o755)
    # a copy: nobody may not look into the folder that the build is in
    command = [shutil.copy(HOLDFASTCTL, hf.socket.parent), "-s", hf.socket, "config", "check"]
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    done = subprocess.run([*command, "/etc/shadow"], capture_output=True, text=True, **nobody)
    assert done.returncode == 1 and "only root" in done.stderr, done
    done = subprocess.run(command, capture_output=True, text=True, **nobody)
    assert done.returncode == 0, done


def test_sighup_reloads_and_logs(start, origin):
    hf = start(origin.url)
    change(hf, cache={"default_ttl": "7s"})
    hf.process.send_signal(signal.SIGHUP)
    hf.wait_log(" INFO config: cache.default_ttl: 0s -> 7s")
    hf.wait_log(" INFO config: reloaded: 1 keys differ")
    assert "default_ttl: 7s" in running(hf)
    change(hf, cache={"default_ttl": "never"})
    hf.process.send_signal(signal.SIGHUP)
    hf.wait_log(r" WARN config: client_error: .*cache.default_ttl: found \"never\"")
    hf.wait_log(" WARN config: client_error: SIGHUP: errors in .*: 1")
    assert "default_ttl: 7s" in running(hf)


def test_the_log_has_every_change_and_every_error(start, origin):
    hf = start(origin.url)
    keys = "connect_timeout first_byte_timeout between_bytes_timeout keepalive patience".split()
    more = "header_timeout idle_timeout".split()
    change(hf, origin={key: "7s" for key in keys}, http={key: "7s" for key in more}, cache={
        key: "7s" for key in
        "default_ttl negative_ttl stale_while_revalidate stale_if_error".split()})
    hf.process.send_signal(signal.SIGHUP)
    hf.wait_log("reloaded: 11 keys differ")
    assert len([line for line in hf.lines if re.search("config: .* -> 7s$", line)]) == 11
    change(hf, origin={key: "soon" for key in keys}, http={key: "soon" for key in more}, cache={
        key: "soon" for key in
        "default_ttl negative_ttl stale_while_revalidate stale_if_error".split()})
    hf.process.send_signal(signal.SIGHUP)
    hf.wait_log("SIGHUP: errors in .*: 11")
    assert len([line for line in hf.lines if 'found "soon"' in line]) == 11


def test_a_thread_that_stands_still_is_told_and_nothing_it_reads_is_freed(start, nginx):
    hf = start(nginx.url, runtime={"watchdog": "1h"})
    tid = next(int(path.name) for path in pathlib.Path(f"/proc/{hf.process.pid}/task").iterdir()
               if "worker" in path.joinpath("comm").read_text())
    change(hf, cache={"default_ttl": "1s"})
    with frozen(tid):
        for _ in range(2):
            text = hf.ctl("config", "reload", as_json=False, code=1)
            assert "worker 0 has not taken the last reload yet" in text
    assert curl(url("/hello")).status == 200
    assert reload(hf, cache={"default_ttl": "2s"}) == {"cache.default_ttl": ("1s", "2s", "live")}


def load(stop, path, failures, counts, close=False):
    """Requests one after the other over a kept connection, and what went wrong."""
    done = 0
    try:
        with connect() as conn:
            stream = conn.makefile("rb")
            for i in itertools.count():
                if stop.is_set():
                    break
                got = ask(stream, conn, b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
                          % path(i).encode())
                if got.status != 200:
                    failures.append((path(i), got.status))
                done += 1
    except Exception as error:  # any is a lost request
        failures.append((path(done), repr(error)))
    counts.append(done)


def test_200_reloads_under_load_lose_no_request_and_no_memory(start, nginx):
    """Clients that keep their connections, half with hits, half with misses."""
    hf = start(nginx.url, workers=2, origin={"threads": 2}, cache={"memory": "64MiB"})
    stop, failures, counts = threading.Event(), [], []
    paths = [lambda i: "/hello", lambda i: "/mix/0",
             lambda i: f"/mix/{i}1?a", lambda i: f"/mix/{i}2?b"]
    clients = [threading.Thread(target=load, args=(stop, path, failures, counts))
               for path in paths]
    for client in clients:
        client.start()

    def reloads(first, last):
        for i in range(first, last):
            told = reload(hf, cache={"default_ttl": f"{i % 7}s"},
                          http={"header_count": 50 + i % 3, "idle_timeout": f"{30 + i % 5}s"},
                          origin={"connect_timeout": f"{1 + i % 4}s", "max_in_flight": i % 2 * 8})
            assert all(row[2] == "live" for row in told.values()), told

    try:
        reloads(0, 100)
        half = hf.rss()
        reloads(100, 200)
        growth = hf.rss() - half
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert not failures, failures[:5]
    assert min(counts) > 200, counts
    if not SANITIZED:  # 100 configurations of 20 KiB would be 2 MiB; what is stored grows, too
        assert growth < hf.stat("cache_used_bytes") + (8 << 20), growth
    stats = hf.stats()
    assert stats["internal_errors_total"] == stats['http_responses_total{class="5xx"}'] == 0
