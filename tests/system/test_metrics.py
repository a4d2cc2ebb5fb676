# SPDX-License-Identifier: BSD-3-Clause
"""The admin listener and the exporters, with their real peers: promtool, a UDP socket, npm's statsd, an OTLP
receiver."""
import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest
from harness import ROOT, SLOW, V4, curl, free_port, url, wait_until

import plane
from otlp import points


SO_RCVBUFFORCE = 33  # of Linux; Python does not name it


def scrape(hf):
    """{"name{labels}": value}"""
    status, text = hf.ask("/metrics")
    assert status == 200
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines() if not line.startswith("#")}


def load(hits=3):
    for _ in range(hits + 1):
        assert curl(url("/hello")).status == 200


def test_promtool_finds_nothing_to_complain_of_and_counters_are_those_of_the_cli(start, nginx):
    admin = f"[::1]:{free_port()}"
    hf = start(nginx.url, workers=2, metrics={"listen": admin})
    hf.admin = admin
    load()
    done = subprocess.run(["promtool", "check", "metrics"], input=hf.ask("/metrics")[1],
                          capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr
    samples = scrape(hf)
    assert samples["holdfast_cache_hits_total"] == 3
    assert samples['holdfast_cache_misses_total{class="absent"}'] == 1
    assert samples["edge_fallback_triggered"] == 0 and 0 <= samples["cache_miss_rate"] <= 1
    assert samples["holdfast_hit_seconds_count"] == 3
    assert samples['holdfast_worker_http_requests_total{worker="0"}'] + \
        samples['holdfast_worker_http_requests_total{worker="1"}'] == 4
    rows = hf.ctl("stats", "http_*")["rows"]
    assert rows and all(samples[f"holdfast_{row[0]}"] == row[1] for row in rows)


def test_health_and_readiness_over_a_lifetime(start, tmp_path, origin):
    with plane.ControlPlane(tmp_path, plane.document("1", origin.url)) as control:
        control.mode("503")
        hf = start(origin.url, bootstrap=False,
                   control_plane={**control.config, "state_file": ""})
        assert hf.ask("/healthz") == (200, "ok\n")
        assert hf.ask("/readyz") == (503, "not ready: no state: no origins and routes are known\n")
        assert scrape(hf)["holdfast_state_loaded"] == 0
        control.mode("ok")
        wait_until(lambda: hf.ask("/readyz") == (200, "ok\n"), what="readiness")
        with socket.create_connection((V4, 80)) as conn:  # the drain waits for it
            conn.sendall(b"GET / HTTP/1.1\r\n")
            wait_until(lambda: hf.stat("tcp_connections"), what="connection")
            hf.ctl("drain")
            assert hf.ask("/readyz") == (503, "not ready: draining\n")
            assert hf.ask("/healthz")[0] == 200


def test_fifty_scrapers_that_do_not_read_are_harmless(start, nginx):
    hf = start(nginx.url)
    host, port = hf.admin.split(":")
    slow = []
    for i in range(50):
        conn = socket.socket()
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        conn.connect((host, int(port)))
        conn.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"\r\n" * (i % 2))
        slow.append(conn)
    load()
    assert scrape(hf)["holdfast_cache_hits_total"] == 3
    assert hf.ask("/readyz")[0] == 200
    for conn in slow:
        conn.close()


def test_statsd_gets_every_count_once_also_the_last(start, nginx):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)  # nothing is lost for want of room
    server.bind(("127.0.0.1", 0))
    server.settimeout(10)
    totals, gauges = {}, set()

    def take(packet):
        assert len(packet) <= 1432
        for line in packet.decode().split("\n"):
            name, value, kind, tags = re.fullmatch(r"(\w+):([\d.e+-]+)\|([cg])\|#(.+)", line).groups()
            assert tags.startswith("node:")
            if kind == "c":
                totals[name, tags] = totals.get((name, tags), 0) + float(value)
            else:
                gauges.add(name)

    hf = start(nginx.url,
               metrics={"statsd": f"127.0.0.1:{server.getsockname()[1]}", "interval": "100ms"})
    load(2)
    while ("holdfast_cache_hits_total", "node:edge-1") not in totals:
        take(server.recv(2048))
    load(2)
    hf.stop()
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            take(server.recv(2048))
    server.close()
    assert totals["holdfast_cache_hits_total", "node:edge-1"] == 5
    assert totals["holdfast_http_requests_total", "node:edge-1"] == 6
    assert totals["holdfast_cache_misses_total", "node:edge-1,class:absent"] == 1
    assert totals["holdfast_hit_seconds_count", "node:edge-1"] == 5
    assert {"edge_fallback_triggered", "cache_miss_rate", "holdfast_hit_seconds_p99"} <= gauges


@pytest.fixture
def npm_statsd(tmp_path):
    """npm's StatsD server: its two ports. From here nobody can fetch it: scripts/test has, or says why not."""
    if not os.environ.get("HF_NPM"):
        pytest.skip("HF_NPM names no modules of npm")
    port, admin = free_port(), free_port()
    config = tmp_path / "statsd.js"
    config.write_text(json.dumps({  # it forgets with a flush: there is none
        "port": port, "address": "127.0.0.1", "mgmt_port": admin, "mgmt_address": "127.0.0.1",
        "flushInterval": 3600000, "backends": []}))
    with subprocess.Popen(["node", f"{os.environ['HF_NPM']}/statsd/stats.js", config],
                          stdout=subprocess.DEVNULL) as server:
        yield port, admin
        server.terminate()


def ask_statsd(admin):
    with socket.create_connection(("127.0.0.1", admin), 5) as conn:
        conn.sendall(b"counters\n")
        text = b""
        while b"END\n" not in text:
            text += conn.recv(1 << 16)
    return {name: float(count) for name, count in re.findall(r"([\w.;=-]+)'?: ([\d.]+)", text.decode())}


def test_a_real_statsd_server_has_every_count_once(start, nginx, npm_statsd):
    port, admin = npm_statsd

    def is_there():
        with contextlib.suppress(OSError):
            return ask_statsd(admin) is not None

    wait_until(is_there, what="statsd")
    hf = start(nginx.url, metrics={"statsd": f"127.0.0.1:{port}", "interval": "100ms"})
    load(4)
    hf.stop()
    wait_until(lambda: ask_statsd(admin).get("holdfast_http_requests_total;node=edge-1") == 5,
               what="the last packet")
    counts = ask_statsd(admin)
    assert counts["statsd.bad_lines_seen"] == 0
    assert counts["holdfast_cache_hits_total;node=edge-1"] == 4
    assert counts["holdfast_cache_misses_total;node=edge-1;class=absent"] == 1


class Receiver(http.server.ThreadingHTTPServer):
    """OTLP/HTTP: first 503, then 200. Keeps each report as {(name, label values): data point}."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ReceiverRequest)
        self.reports, self.asked, self.more = [], 0, threading.Condition()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def wait(self, good):
        with self.more:
            assert self.more.wait_for(lambda: any(map(good, self.reports)), 20)


class ReceiverRequest(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/metrics" and self.headers["Content-Type"] == "application/json"
        assert self.headers["api-key"] == "a b"
        with self.server.more:
            self.server.asked += 1
            busy = self.server.asked == 1
            if not busy:
                self.server.reports.append(points(json.loads(body)))
                self.server.more.notify_all()
        self.send_response(503 if busy else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_otlp_gets_the_counters_also_after_it_was_busy(start, nginx, monkeypatch):
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT",
                           f"http://127.0.0.1:{receiver.server_address[1]}/")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b")
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
        hf = start(nginx.url)
        load()

        def complete(report):
            hits = report["holdfast_hit_seconds", ()]
            return (report["holdfast_cache_hits_total", ()]["asInt"] == "3"
                    and report["holdfast_cache_misses_total", ("absent",)]["asInt"] == "1"
                    and hits["count"] == "3" and sum(map(int, hits["bucketCounts"])) == 3)
        receiver.wait(complete)
        assert scrape(hf)['holdfast_otlp_reports_total{result="failed"}'] == 1
        hf.stop()
    assert not any("api-key" in line or "a b" in line for line in hf.lines)


def test_receivers_that_hang_or_are_not_there_hold_up_nothing(start, nginx):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        hf = start(nginx.url, metrics={
            "otlp": f"http://127.0.0.1:{silent.getsockname()[1]}", "interval": "100ms",
            "statsd": f"127.0.0.1:{free_port()}"})

        def failing():
            return scrape(hf)['holdfast_statsd_packets_total{result="failed"}'] > 1
        load(20)
        wait_until(failing, what="failures")
        load(20)
        assert silent.accept()
        before = time.monotonic()
        hf.stop()
        assert time.monotonic() - before < 4 * SLOW


def test_nothing_listens_and_nothing_is_sent_unless_asked_for(start, nginx, monkeypatch):
    for name in ("DD_AGENT_HOST", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    hf = start(nginx.url, metrics={"listen": ""})
    assert hf.ask("/metrics")[0] == 0
    threads = subprocess.run(["ps", "-L", "-o", "comm=", "-p", str(hf.process.pid)],
                             capture_output=True, text=True).stdout
    assert "metrics" not in threads and "MHD" not in threads


# ---- rules and dashboard ----

RULES = ROOT / "scripts/monitoring/holdfast.rules.yml"
GRAFANA = ROOT / "scripts/monitoring/holdfast.grafana.json"


def test_each_alert_fires_in_a_provoked_case_and_rates_are_what_they_say():
    for words in (["check", "rules", RULES],
                  ["test", "rules", ROOT / "tests/system/monitoring.test.yml"]):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    alerts = re.findall(r"alert: (\w+)", RULES.read_text())
    tested = (ROOT / "tests/system/monitoring.test.yml").read_text()
    assert alerts and all(f"alertname: {alert}\n" in tested for alert in alerts)


class Prometheus:
    def __init__(self, directory, hf):
        self.port = free_port()
        (directory / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "holdfast",
                                "static_configs": [{"targets": [hf.admin]}]}]}))
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={directory}/prometheus.yml",
             f"--storage.tsdb.path={directory}/tsdb", "--log.level=error",
             f"--web.listen-address=127.0.0.1:{self.port}"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def query(self, expr):
        """What it finds; None while it does not answer."""
        with contextlib.suppress(urllib.error.URLError):
            where = f"http://127.0.0.1:{self.port}/api/v1/query?query={urllib.parse.quote(expr)}"
            with urllib.request.urlopen(where, timeout=10) as answer:
                return json.load(answer)["data"]["result"]


def test_a_prometheus_scrapes_it_and_every_panel_and_rule_has_data(start, origin, tmp_path):
    hf = start(origin.url)
    panels = json.loads(GRAFANA.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    with Prometheus(tmp_path, hf) as server:
        wait_until(lambda: server.query('up{job="holdfast"} == 1'), what="first scrape")
        for _ in range(3):
            curl(url("/x"))
        wait_until(lambda: server.query("rate(holdfast_http_requests_total[5s]) > 0"),
                   what="a rate of requests")
        for expr in queries:
            expr = expr.replace("$instance", ".*").replace("$__rate_interval", "10s")
            assert server.query(expr), expr
        for record in re.findall(r"record: (\S+)", RULES.read_text()):
            wait_until(lambda: server.query(record), what=record)
        assert not server.query('ALERTS{alertstate="firing"}')
