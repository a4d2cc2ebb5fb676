# SPDX-License-Identifier: BSD-3-Clause
"""hf-load against holdfastd: no error, every body right, and both count the same."""
import contextlib
import json
import os
import subprocess

import pytest
from harness import HF_LOAD, PEER4, PEER6, SLOW, V4, V6, Memif, free_port, names, sh, wait_until

CPU = min(os.sched_getaffinity(0))  # a worker of holdfastd's has the last one

SHORT = {"drain_timeout": "2s"}  # a memif end that left cannot tell that a FIN arrived


@pytest.fixture
def objects():
    """The origin of hf-load's objects; its URL."""
    port = free_port()
    origin = subprocess.Popen([HF_LOAD, "--origin", f"127.0.0.1:{port}"], stderr=subprocess.PIPE)
    assert origin.stderr.readline() == b"hf-load: ready\n"
    yield f"http://127.0.0.1:{port}"
    origin.terminate()
    assert origin.communicate()[1] == b"" and origin.returncode == 0


class Load:
    def __init__(self, hf, device):
        self.hf, self.device, self.asked, self.connections = hf, device, 0, 0

    @contextlib.contextmanager
    def running(self, *options):
        command = [HF_LOAD, "--device", self.device, "--address", f"{PEER4}/24", "--target", f"{V4}:80",
                   "--hugepages", "off", "--cpu", CPU, "--timeout", 30 * SLOW, "--warmup", 0,
                   "--connections", 8, "--keys", 200, "--sizes", "64:8,20000:1", "--verify", 1,
                   "--json", "-", *options]
        with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr.readline() == "hf-load: ready\n", process.stderr.read()
                yield process
            finally:
                process.kill()

    def result(self, process):
        out, said = process.communicate(timeout=60 * SLOW)
        assert process.returncode == 0, said + out
        told = json.loads(out)
        assert told["errors"] == 0 and told["responses"] == told["requests"] == told["verified"]
        assert told["responses_per_s"] > 0 and 0 < told["latency_ns"]["p50"] <= told["latency_ns"]["max"]
        self.asked += told["responses"]
        self.connections += told["connections"]
        stats = self.hf.stats()
        assert stats["http_responses_total"] == stats['http_responses_total{class="2xx"}'] == self.asked
        assert stats["cache_hits_total"] == self.asked - 200
        assert stats['cache_misses_total{class="absent"}'] == 200
        assert stats["tcp_connections_opened_total"] == self.connections
        return told

    def run(self, *options):
        with self.running(*options) as process:
            return self.result(process)


def test_over_memif(start, objects, tmp_path):
    wire = Memif(tmp_path)
    load = Load(start(objects, device=wire, runtime=SHORT), wire.ends["client"])
    told = load.run("--requests", 800)
    assert told["requests"] == 1000 and told["connections"] == 8 and told["latency_ns"]["count"] == 800
    told = load.run("--no-fill", "--requests", 640, "--pipeline", 16)
    assert told["requests"] == 640
    told = load.run("--no-fill", "--requests", 100, "--requests-per-connection", 1)
    assert told["connections"] >= 100
    told = load.run("--no-fill", "--duration", 0.3, "--rate", 1000)
    assert told["requests"] == told["latency_ns"]["count"] == 300


def test_large_objects_by_its_own_tcp(start, objects, tmp_path):
    """Small and large ones over IPv4 without lib/tcp, one by one, pipelined and at a rate."""
    wire = Memif(tmp_path)
    load = Load(start(objects, device=wire, runtime=SHORT), wire.ends["client"])
    large = "--sizes", "64:20,20000:2,1000000:1"
    told = load.run(*large, "--requests", 800)
    assert told["requests"] == 1000 and told["connections"] == 8 and told["latency_ns"]["count"] == 800
    load.run(*large, "--no-fill", "--requests", 640, "--pipeline", 16)
    load.run(*large, "--no-fill", "--duration", 0.3, "--rate", 100)
    assert load.hf.stats()["tcp_resets_received_total"] == 0


def test_lib_tcp_over_ipv6(start, objects, tmp_path):
    """Where its own TCP is not enough."""
    wire = Memif(tmp_path)
    load = Load(start(objects, device=wire, runtime=SHORT), wire.ends["client"])
    told = load.run("--address", f"{PEER6}/64", "--target", f"[{V6}]:80", "--requests", 800, "--pipeline", 4)
    assert told["requests"] == 1000 and told["connections"] == 8


def test_over_tap(start, objects):
    """Two TAP devices on a bridge of the kernel."""
    hf, bridge, tap = start(objects, runtime=SHORT), f"br{next(names)}", f"hfl{os.getpid() % 10000}"
    load = Load(hf, f"net_tap0,iface={tap}")
    sh("ip", "link", "add", bridge, "type", "bridge", "forward_delay", "0")
    sh("ip", "link", "set", bridge, "up")
    with load.running("--requests", 500) as process:
        wait_until(lambda: tap in os.listdir("/sys/class/net"), what="hf-load's interface")
        for end in (hf.device.kernel, tap):
            sh("ip", "link", "set", end, "up", "master", bridge)
        assert load.result(process)["requests"] == 700
    sh("ip", "link", "del", bridge)
