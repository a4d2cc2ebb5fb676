# SPDX-License-Identifier: BSD-3-Clause
"""Exporters whose receivers fail, under load: no request suffers, and memory stays. HF_LONG=1: each way for 60 s."""
import json
import os
import socket
import struct
import subprocess

import pytest
from harness import BUILD, SANITIZED, V4, Origin, answer, read_body, say

LONG = "HF_LONG" in os.environ
SECONDS = 60 if LONG else 3
WAYS = ["hang"], ["reset"], ["500"]
RATE = 300 if SANITIZED else 1500


class Failing(Origin):
    """An OTLP receiver that fails, each time in the next of these ways."""

    def __init__(self, ways):
        super().__init__()
        self.ways = ways
        self.on("*", self.fail)

    def fail(self, conn, request):
        with self.lock:
            way = self.ways[(len(self.seen) - 1) % len(self.ways)]
        if way == "500":
            read_body(request.stream, request.headers)
            say(conn, request, b"", (), "500 No")
            return True
        if way == "hang":
            while conn.recv(65536):  # until the other end has had enough
                pass
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


def load(seconds):
    """The summary of hits at a constant rate."""
    done = subprocess.run(
        [BUILD / "tests/system/tools/hf-rate", "--to", f"{V4}:80", "--rate", str(RATE), "--conns", "16",
         "--seconds", str(seconds), "--keys", "1", "--path", "/k", "--max-age", "1000000"],
        capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("ways", WAYS if LONG else [sum(WAYS, [])], ids="-".join)
def test_receivers_that_fail_cost_no_request_and_no_memory(start, origin, monkeypatch, ways):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    origin.on("*", answer(b"0"))
    with Failing(ways) as failing, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))  # takes datagrams until its buffer is full, and never reads one
        hf = start(origin.url, trace={"sample": 1000000}, metrics={
            "otlp": failing.url, "statsd": f"127.0.0.1:{nobody.getsockname()[1]}", "interval": "100ms"})
        load(max(1, SECONDS // 10))
        before = hf.rss()
        told = load(SECONDS)
        assert told["status"] == told["broken"] == 0 and told["ok"] >= 0.99 * told["asked"], told
        if not SANITIZED:  # whose quarantine grows
            assert hf.rss() - before < 4 << 20
        stats = hf.stats()
        assert {request.target for request in failing.seen} == {"/v1/traces", "/v1/metrics"}
        assert stats["trace_spans_total"] > 0, stats
        assert stats['otlp_reports_total{result="taken"}'] == 0
