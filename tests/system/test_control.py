# SPDX-License-Identifier: BSD-3-Clause
"""holdfastctl, --check, signals, the watchdog: what an operator touches."""
import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import pytest
from harness import (HOLDFASTCTL, HOLDFASTD, PEER4, SLOW, V4, answer, blocks, body_hash, connect,
                     curl, is_hit, read_answer, table, url, wait_until)

COMMANDS = ["status", "stats", "lcores", "conns", "drops", "config show", "version"]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_human_and_json(start, nginx, command):
    hf = start(nginx.url, workers=2)
    with connect() as conn:
        conn.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        read_answer(conn.makefile("rb"))
        as_json, human = hf.ctl(*command.split()), hf.ctl(*command.split(), as_json=False)
    assert human.strip() and not human.startswith("{")
    text = json.dumps(as_json)
    for word in {"status": ["uptime_s", "workers"], "stats": ["cache_hits_total", 1],
                 "lcores": ["turns"], "conns": [PEER4, V4, "ESTABLISHED"], "drops": ["reason"],
                 "config show": ["listen", "256MiB"], "version": ["0."]}[command]:
        assert str(word).lower() in text.lower() and str(word).lower() in human.lower() \
            or isinstance(word, int)


def test_stats_pattern_and_agreement(start, nginx):
    hf = start(nginx.url)
    for _ in range(5):
        curl(url("/hello"))
    names = [row[0] for row in hf.ctl("stats", "cache_*")["rows"]]
    assert names and all(name.startswith("cache_") for name in names)
    stats = hf.stats()
    assert (stats["cache_hits_total"], stats['cache_misses_total{class="absent"}']) == (4, 1)
    assert stats["http_requests_total"] == stats['http_responses_total{class="2xx"}'] == 5
    rows = hf.ctl("lcores")
    assert sum(row[rows["columns"].index("hits")] for row in rows["rows"]) == 4
    histograms = hf.ctl("stats", "*_seconds")["histograms"]
    counts = table(histograms, "name", "count")
    assert counts["hit_seconds"] == 4
    for name in ("miss", "origin_connect", "origin_first_byte", "origin_fetch"):
        assert counts[name + "_seconds"] == 1, name
    for row in histograms["rows"]:
        assert 0 <= row[2] <= row[3] <= row[4] <= row[5] <= row[6] < 10 * SLOW, row
    assert 0 < hf.ctl("status")["hit_p99_us"] < 1e6 * SLOW


def telemetry(path, command):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as conn:
        conn.settimeout(10 * SLOW)
        conn.connect(str(path))
        greeting = json.loads(conn.recv(1024))
        conn.send(command.encode())
        return json.loads(conn.recv(greeting["max_output_len"]))[command]


def test_telemetry_of_dpdk_tells_the_same(start, nginx):
    hf = start(nginx.url)
    path = pathlib.Path(f"/var/run/dpdk/hf-{hf.process.pid}/dpdk_telemetry.v2")
    assert path.parent.stat().st_mode & 0o077 == 0, "others may come near"
    for target in ("/hello", "/hello", "/hello"):
        curl(url(target))
    told = telemetry(path, "/holdfast/stats")
    assert (told["cache_hits_total"], told["cache_misses_total_absent"]) == (2, 1)
    assert set(hf.drops()) <= set(telemetry(path, "/holdfast/drops"))
    hit = telemetry(path, "/holdfast/histograms")["hit_seconds"]
    assert hit["count"] == 2 and 0 < hit["p50"] <= hit["p999"] <= hit["max"]
    done = subprocess.run(["dpdk-telemetry.py", "-f", f"hf-{hf.process.pid}"], text=True,
                          input="/holdfast/stats\nquit\n", capture_output=True, timeout=10 * SLOW)
    assert '"cache_hits_total": 2' in done.stdout, done
    hf.stop()
    assert not path.parent.exists(), "left behind"


def test_cache_show_and_purge(start, origin):
    origin.on("/p", answer(b"body", ["Cache-Control: max-age=100", "Vary: Accept"]))
    hf = start(origin.url)
    curl(url("/p"))
    shown = hf.ctl("cache", "show", url("/p"))
    variant = shown["variants"][0]
    assert (variant["status"], variant["length"]) == (200, 4) and 90 < variant["ttl_s"] <= 100
    assert hf.ctl("purge", url("/p"))["purged"] == 1
    assert hf.ctl("purge", url("/p"))["purged"] == 0
    assert hf.ctl("cache", "show", url("/p"))["variants"] == []
    assert not is_hit(curl(url("/p"))) and is_hit(curl(url("/p")))
    assert origin.count("/p") == 2


def test_cache_show_says_why_not(start, origin):
    origin.on("/q", answer(b"x", ["Cache-Control: private"]))
    hf = start(origin.url)
    curl(url("/q"))
    assert "private" in hf.ctl("cache", "show", url("/q"), as_json=False)


def test_config_show_loads_again(start, nginx, tmp_path):
    hf = start(nginx.url)
    shown = tmp_path / "shown.yaml"
    shown.write_text(hf.ctl("config", "show", as_json=False))
    done = subprocess.run([HOLDFASTD, "-c", shown, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_exit_codes(start, nginx, tmp_path):
    hf = start(nginx.url)
    hf.ctl("version", code=0)
    assert "refused" in hf.ctl("purge", "no-url", as_json=False, code=1)
    for words in (["nonsense"], ["purge"], ["purge", "a", "b"], ["cache"], ["--no-such-option"]):
        hf.ctl(*words, as_json=False, code=2)
    done = subprocess.run([HOLDFASTCTL, "-s", tmp_path / "none", "status"], capture_output=True,
                          text=True)
    assert done.returncode == 3 and "holdfastd running?" in done.stderr


BAD_LINES = {
    b"nonsense": "invalid JSON", b"{": "invalid JSON", b"[]": "object", b"1": "",
    b"\xff\xfe": "invalid JSON", b'{"command":"status","command":"drain"}': "invalid JSON",
    b'{"id":1}': "command", b'{"id":1,"command":5}': "command",
    b'{"id":1,"command":"nonsense"}': "unknown command",
    b'{"id":1,"command":"purge"}': "missing",
    b'{"id":1,"command":"purge","args":{"url":5}}': "string",
    b'{"id":1,"command":"purge","args":{"url":""}}': "string",
    b'{"id":1,"command":"status","args":{"x":1}}': "unknown argument",
    b'{"id":1,"command":"status","args":[]}': "args",
    b'{"id":1,"command":"stat\\u0000us"}': "",
    b"[" * 5000: "invalid JSON", b"x" * 70000: "longer",
}


def test_bad_lines_on_the_socket(start, nginx):
    hf = start(nginx.url)
    with socket.socket(socket.AF_UNIX) as conn:
        conn.settimeout(10 * SLOW)
        conn.connect(str(hf.socket))
        stream = conn.makefile("rb")
        for line, part in BAD_LINES.items():
            conn.sendall(line + b"\n")
            told = json.loads(stream.readline())
            assert told["ok"] is False and told["error"]["type"] == "client_error", line[:80]
            assert part in told["error"]["message"], (line[:80], told)
        conn.sendall(b'\n\r\n{"id":"x","command":"version"}\r\n')
        assert json.loads(stream.readline())["id"] == "x"
    assert hf.stat("client_errors_total") >= len(BAD_LINES)


def test_client_that_never_reads_does_not_hold_up_others(start, nginx):
    hf = start(nginx.url)
    with socket.socket(socket.AF_UNIX) as conn:
        conn.connect(str(hf.socket))
        conn.settimeout(5)
        with contextlib.suppress(OSError):  # until it is cut off, or its buffer is full
            for _ in range(20000):
                conn.sendall(b'{"id":1,"command":"stats"}\n')
        assert hf.ctl("version")
    assert curl(url("/hello")).status == 200


def test_check_tells_every_error_with_its_line(tmp_path, nginx):
    config = tmp_path / "bad.yaml"
    config.write_text("""node: edge-1
workers: many
colour: blue
ports:
  - device: "net_tap0,iface=x"
    addresses: [192.0.2.300/24]
listen: [80, 70000]
cache:
  memory: 1023KiB
  max_objects: 4
http: {header_timeout: 10}
auth: {flows: []}
""")
    done = subprocess.run([HOLDFASTD, "-c", config, "--check"], capture_output=True, text=True)
    assert done.returncode == 2
    lines = {int(n) for n in re.findall(rf"^{re.escape(str(config))}:(\d+): ", done.stderr, re.M)}
    assert lines >= {2, 3, 6, 7, 9, 10, 11, 12}, done.stderr
    assert done.stderr.count("; allowed: ") >= 8
    # and it does not start with it either
    assert subprocess.run([HOLDFASTD, "-c", config], capture_output=True).returncode == 2


def test_check_tells_what_is_wrong_with_the_state_document(tmp_path):
    state, config = tmp_path / "state.json", tmp_path / "c.yaml"
    config.write_text('ports: [{device: "net_tap0,iface=x", addresses: [192.0.2.10/24]}]\n'
                      f"bootstrap_state: {state}\n")
    good = {"schema": 1, "version": "1", "issued_at": "2026-01-01T00:00:00Z",
            "origins": [{"group": "g", "id": "o", "url": "http://127.0.0.1:1", "weight": 1}],
            "routes": [{"id": "r", "host": "*", "path": "/", "group": "g"}]}
    for change, code in (({}, 0), ({"schema": 2}, 2), ({"routes": [{"id": "r"}]}, 2)):
        state.write_text(json.dumps({**good, **change}))
        done = subprocess.run([HOLDFASTD, "-c", config, "--check"], capture_output=True, text=True)
        assert done.returncode == code and bool(done.stderr) == bool(code), done.stderr
    state.write_text("{")
    assert subprocess.run([HOLDFASTD, "-c", config, "--check"],
                          capture_output=True).returncode == 2


def test_the_log_level_can_be_set(start, nginx):
    hf = start(nginx.url)
    assert hf.ctl("loglevel") == {"loglevel": "info"}
    assert hf.ctl("loglevel", "error") == {"loglevel": "error"}
    hf.ctl("purge", "nonsense", code=1)  # a client_error is a warning
    assert hf.ctl("loglevel", "info") == {"loglevel": "info"}
    assert "error" in hf.ctl("loglevel", "loud", as_json=False, code=1)
    assert "client_error" in hf.wait_log("loud|LEVEL is")
    assert not any("nonsense" in line or "URL must" in line for line in hf.lines)


def test_version_and_usage():
    assert re.match(r"holdfastd \d", subprocess.run([HOLDFASTD, "--version"], capture_output=True,
                                                    text=True).stdout)
    for options, code in ((["--help"], 0), (["--nonsense"], 2), (["x"], 2), (["-c", "/none"], 2)):
        assert subprocess.run([HOLDFASTD, *options], capture_output=True).returncode == code


def test_second_instance_on_the_same_socket_says_so(start, nginx):
    hf = start(nginx.url)
    done = subprocess.run([HOLDFASTD, "-c", hf.config], capture_output=True, text=True,
                          timeout=60 * SLOW)
    assert done.returncode == 1 and "already running" in done.stderr
    assert curl(url("/hello")).status == 200


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "drain"])
def test_drain_lets_a_download_finish(start, origin, how):
    gate, half = threading.Event(), 4 << 20

    def slow(conn, request):
        body = b"".join(blocks(2 * half))
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:half])
        gate.wait(30 * SLOW)
        conn.sendall(body[half:])
        return True

    origin.on("/slow", slow)
    hf = start(origin.url)
    with connect() as conn, connect() as idle:
        conn.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        stream = conn.makefile("rb")
        first = stream.read(1000)
        if how == "drain":
            hf.ctl("drain")
        else:
            hf.process.send_signal(signal.Signals[how])
            hf.wait_log(" draining")
        assert idle.recv(1) == b""  # who waits for nothing is let go
        with pytest.raises(OSError):
            connect(timeout=2).close()
        gate.set()
        body = (first + stream.read()).split(b"\r\n\r\n", 1)[1]
    assert len(body) == 2 * half
    hf.process.wait(20 * SLOW)
    assert hashlib.sha256(body).hexdigest() == body_hash(2 * half)
    hf.stop()


def test_drain_timeout_cuts_those_who_never_end(start, origin):
    gate = threading.Event()

    def never(conn, request):
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123")
        gate.wait(60 * SLOW)
        return False

    origin.on("/never", never)
    hf = start(origin.url, runtime={"drain_timeout": "500ms"})
    with connect() as conn:
        conn.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        assert conn.recv(4)
        hf.process.terminate()
        hf.wait_log("connections cut")
        hf.process.wait(20 * SLOW)
    gate.set()
    hf.stop()


def test_shutdown_command(start, nginx):
    hf = start(nginx.url)
    with connect() as conn:
        conn.sendall(b"GET / HT")
        hf.ctl("shutdown")
        hf.process.wait(10 * SLOW)
    hf.stop()


def test_second_sigterm_ends_at_once(start, origin):
    origin.on("/never", lambda conn, request: conn.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123") or conn.recv(1))
    hf = start(origin.url, runtime={"drain_timeout": "1h"})
    with connect() as conn:
        conn.sendall(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        assert conn.recv(4)
        hf.process.terminate()
        hf.wait_log(" draining")
        hf.process.terminate()
        hf.process.wait(10 * SLOW)
    hf.stop()


def tasks(hf):
    """Its threads by their names."""
    return {path.joinpath("comm").read_text().strip(): int(path.name)
            for path in pathlib.Path(f"/proc/{hf.process.pid}/task").iterdir()}


@contextlib.contextmanager
def frozen(tid):
    """Holds one thread of another process, as a hypervisor or a fault would."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    seize, interrupt, detach, wall = 0x4206, 0x4207, 17, 0x40000000
    assert libc.ptrace(seize, tid, None, None) == 0, os.strerror(ctypes.get_errno())
    assert libc.ptrace(interrupt, tid, None, None) == 0
    os.waitpid(tid, wall)
    yield
    assert libc.ptrace(detach, tid, None, None) == 0


@pytest.mark.parametrize("thread,told", [("worker", "worker 0"), ("origin", "origin thread 0")])
def test_watchdog_tells_of_a_stuck_thread(start, nginx, thread, told):
    hf = start(nginx.url, runtime={"watchdog": "1s"})
    tid = next(tid for name, tid in tasks(hf).items() if thread in name)
    with frozen(tid):
        hf.wait_log(rf"ERROR watchdog: {told} is stuck")
        assert hf.ctl("version")  # the control thread is not
        # another one may be as late for a moment, for want of a core
        wait_until(lambda: hf.ask("/healthz") == (503, "not healthy: 1 thread takes no turns\n"),
                   what="one that is stuck")
    hf.wait_log(rf"WARN watchdog: {told} goes on")
    assert curl(url("/hello")).status == 200
    wait_until(lambda: hf.ask("/healthz") == (200, "ok\n"), what="health")
    wait_until(lambda: hf.stat("internal_errors_total") ==
               len([line for line in hf.lines if re.search("watchdog: .* is stuck", line)]),
               what="as many counted as told")
