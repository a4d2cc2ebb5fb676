# SPDX-License-Identifier: BSD-3-Clause
"""A load of known composition: every counter is the number that it must be, wherever it is read."""
import json
import re
import socket

from harness import SLOW, answer, curl, free_port, url, wait_until

STALE = "Age: 1000"
COUNTS = {
    "http_requests_total": 19,
    'http_responses_total{class="2xx"}': 18,
    'http_responses_total{class="3xx"}': 0,
    'http_responses_total{class="4xx"}': 1,
    'http_responses_total{class="5xx"}': 1,
    "cache_hits_total": 5,
    'cache_misses_total{class="absent"}': 6,
    'cache_misses_total{class="expired"}': 3,
    'cache_misses_total{class="vary"}': 1,
    'cache_misses_total{class="uncacheable"}': 2,
    'cache_misses_total{class="bypass"}': 2,
    'cache_stale_served_total{reason="while_revalidate"}': 1,
    'cache_stale_served_total{reason="if_error_status"}': 1,
    'cache_stale_served_total{reason="if_error_no_answer"}': 1,
    'cache_stale_served_total{reason="max_stale"}': 0,
    'cache_stale_served_total{reason="latched"}': 0,
    'cache_stale_served_total{reason="fallback"}': 0,
    "cache_refreshes_total": 1,
    "cache_evictions_total": 0,
    "cache_expired_total": 0,
    "cache_purged_total": 0,
    "origin_requests_total": 18,
    'origin_fetches_total{outcome="success"}': 12,
    'origin_fetches_total{outcome="http_error"}': 1,
    'origin_fetches_total{outcome="canceled"}': 0,
    'origin_fetches_total{outcome="timeout"}': 0,
    'origin_fetches_total{outcome="error"}': 2,
    'origin_fetch_retries_total{reason="unexpected_eof"}': 3,
    "origin_coalesced_total": 0,
    "origin_errors_total": 2,
    'origin_failures_total{reason="5xx"}': 1,
    'origin_failures_total{reason="reset"}': 5,
    'origin_failures_total{reason="timeout"}': 0,
    'client_errors_total{reason="request"}': 1,
    'internal_errors_total{reason="command"}': 0,
}


def breaks(conn, request):
    return False


def load(origin):
    def get(path, *options):
        return curl(url(path), *options).status

    for path, fields in {"/a": [], "/v": ["Vary: Accept"], "/e": ['ETag: "e"', STALE]}.items():
        origin.on(path, answer(b"x", ["Cache-Control: max-age=60", *fields]))
    for path, directive in {"/s": "stale-if-error", "/w": "stale-while-revalidate"}.items():
        origin.on(path, answer(b"x", [f"Cache-Control: max-age=60, {directive}=10000", STALE]))
    origin.on("/n", answer(b"x", ["Cache-Control: no-store"]))
    origin.on("/post", answer(b"x"))
    origin.on("/f", breaks)
    good = [get(path) for path in ("/a", "/a", "/a", "/a", "/a", "/e", "/e", "/n", "/n", "/s", "/w")]
    good += [get("/v", "-H", "Accept: a"), get("/v", "-H", "Accept: b")]
    origin.on("/s", answer(b"x", [], "503 Oops"))
    good += [get("/s"), get("/post", "-X", "POST")]
    origin.on("/s", breaks)
    good += [get("/s"), get("/a", "-H", "Cache-Control: no-cache"), get("/w")]
    assert set(good) == {200}
    assert get("/f") == 502
    assert get("/a", "-H", "Content-Length: x") == 400


def of_telemetry(hf):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as conn:
        conn.settimeout(10 * SLOW)
        conn.connect(f"/var/run/dpdk/hf-{hf.process.pid}/dpdk_telemetry.v2")
        greeting = json.loads(conn.recv(1024))
        conn.send(b"/holdfast/stats")
        told = json.loads(conn.recv(greeting["max_output_len"]))["/holdfast/stats"]
    return {title: told[re.sub(r'{.*"(.*)"}', r"_\1", title)] for title in COUNTS}


def of_prometheus(hf):
    status, text = hf.ask("/metrics")
    assert status == 200
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    return {title: float(samples["holdfast_" + title]) for title in COUNTS}


def of_statsd(server):
    """All that was sent; what is 0 is not."""
    server.setblocking(False)
    totals = dict.fromkeys(COUNTS, 0)
    try:
        while True:
            for line in server.recv(2048).decode().split("\n"):
                found = re.fullmatch(r"holdfast_(\w+):([\d.e+-]+)\|c\|#node:[\w-]+,?(\S*)", line)
                title = found and found[1] + re.sub(r"(\w+):(\S+)", r'{\1="\2"}', found[3])
                if title in totals:
                    totals[title] += float(found[2])
    except BlockingIOError:
        return totals


def test_every_counter_is_the_known_number_wherever_it_is_read(start, origin):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        admin = f"127.0.0.1:{free_port()}"
        hf = start(origin.url, workers=2, metrics={
            "listen": admin, "statsd": f"127.0.0.1:{server.getsockname()[1]}", "interval": "60s"})
        hf.admin = admin
        load(origin)
        wait_until(lambda: origin.count("/w") == 2 and hf.stat("origin_fetches_in_flight") == 0,
                   what="the refresh")
        stats = hf.stats()
        assert {title: stats[title] for title in COUNTS} == COUNTS
        assert of_prometheus(hf) == COUNTS
        assert of_telemetry(hf) == COUNTS
        hf.stop()
        assert of_statsd(server) == COUNTS
