# SPDX-License-Identifier: BSD-3-Clause
"""A load of known composition: every counter is the number that it must be, wherever it is read."""
import collections
import json
import re
import socket
import threading

from harness import SLOW, Origin, answer, connect, curl, free_port, read_answer, say, url, wait_until
from otlp import points

STALE = "Age: 1000"
BIG, BIGS = 256 << 10, 24  # of these a cache of 4 MiB holds some
COUNTS = {
    "http_requests_total": 30 + BIGS,
    'http_responses_total{class="2xx"}': 26 + BIGS,
    'http_responses_total{class="3xx"}': 1,
    'http_responses_total{class="4xx"}': 2,
    'http_responses_total{class="5xx"}': 2,
    "cache_hits_total": 10,
    'cache_misses_total{class="absent"}': 11 + BIGS,
    'cache_misses_total{class="expired"}': 3,
    'cache_misses_total{class="vary"}': 1,
    'cache_misses_total{class="uncacheable"}': 2,
    'cache_misses_total{class="bypass"}': 2,
    'cache_stale_served_total{reason="while_revalidate"}': 1,
    'cache_stale_served_total{reason="if_error_status"}': 1,
    'cache_stale_served_total{reason="if_error_no_answer"}': 1,
    'cache_stale_served_total{reason="max_stale"}': 1,
    'cache_stale_served_total{reason="latched"}': 0,
    'cache_stale_served_total{reason="fallback"}': 1,
    "cache_refreshes_total": 2,
    "cache_not_modified_total": 1,
    "cache_partial_total": 1,
    "cache_range_refused_total": 1,
    "cache_revalidated_total": 1,
    "cache_inserts_total": 14 + BIGS,
    "cache_replaced_total": 4,
    "cache_expired_total": 0,
    "cache_purged_total": 1,
    "fallback_activations_total": 1,
    "origin_requests_total": 23 + BIGS,
    'origin_fetches_total{outcome="success"}': 17 + BIGS,
    'origin_fetches_total{outcome="http_error"}': 1,
    'origin_fetches_total{outcome="canceled"}': 0,
    'origin_fetches_total{outcome="timeout"}': 0,
    'origin_fetches_total{outcome="error"}': 2,
    'origin_fetch_retries_total{reason="unexpected_eof"}': 3,
    "origin_coalesced_total": 1,
    "origin_errors_total": 2,
    'origin_failures_total{reason="5xx"}': 1,
    'origin_failures_total{reason="reset"}': 5,
    'origin_failures_total{reason="timeout"}': 0,
    'client_errors_total{reason="request"}': 1,
    'internal_errors_total{reason="command"}': 0,
}


def get(path, *options):
    return curl(url(path), *[word for line in options for word in ("-H", line)]).status


def breaks(conn, request):
    return False


def load(hf, origin):
    """How many responses it leaves in the cache."""
    for path, fields in {"/a": [], "/p": [], "/v": ["Vary: Accept"], "/t": ['ETag: "t"'],
                         "/e": ['ETag: "e"', STALE]}.items():
        origin.on(path, answer(b"x", ["Cache-Control: max-age=60", *fields]))
    stored = {path: answer(b"x", [f"Cache-Control: max-age=60, {directive}=10000", STALE])
              for path, directive in {"/s": "stale-if-error", "/w": "stale-while-revalidate"}.items()}
    origin.scripts.update(stored)
    origin.on("/n", answer(b"x", ["Cache-Control: no-store"]))
    origin.on("/post", answer(b"x"))
    origin.on("/f", breaks)
    good = [get(path) for path in ("/a", "/a", "/a", "/a", "/a", "/e", "/n", "/n", "/s", "/w", "/p", "/t")]
    good += [get("/v", "Accept: a"), get("/v", "Accept: b")]
    origin.on("/s", answer(b"x", [], "503 Oops"))
    good += [get("/s"), curl(url("/post"), "-X", "POST").status]
    origin.on("/s", breaks)
    good += [get("/s"), get("/a", "Cache-Control: no-cache"), get("/w")]
    origin.on("/e", answer(b"", ["Cache-Control: max-age=60", 'ETag: "e"', STALE], "304 Not Modified"))
    good += [get("/e"), get("/e", "Cache-Control: max-stale")]
    origin.on("/s", stored["/s"])
    hf.ctl("fallback", "on")
    good += [get("/s")]
    hf.ctl("fallback", "auto")
    assert hf.ctl("purge", url("/p"))["purged"] == 1
    good += [get("/p")]
    assert set(good) == {200}
    assert get("/t", 'If-None-Match: "t"') == 304
    assert get("/t", "Range: bytes=0-0") == 206
    assert get("/t", "Range: bytes=9-") == 416
    assert get("/f") == 502
    assert get("/none", "Cache-Control: only-if-cached") == 504
    assert get("/a", "Content-Length: x") == 400
    load_together(hf, origin)
    load_too_much(origin)
    return 9 + BIGS  # /a /p /v /v /t /e /s /w /joined


def load_together(hf, origin):
    """Two who want the same."""
    gate = threading.Event()

    def slow(conn, request):
        gate.wait(20)
        return answer(b"x")(conn, request)
    origin.on("/joined", slow)
    threads = [threading.Thread(target=get, args=("/joined",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: hf.stat("origin_coalesced_total") == 1, what="follower")
    gate.set()
    for thread in threads:
        thread.join()


def load_too_much(origin):
    """More than the cache holds, once each."""
    origin.on("*", answer(bytes(BIG)))
    with connect() as conn:
        stream = conn.makefile("rb")
        for i in range(BIGS):
            conn.sendall(b"GET /big/%d HTTP/1.1\r\nHost: a\r\n\r\n" % i)
            assert read_answer(stream).length == BIG


def of_telemetry(hf, counts):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as conn:
        conn.settimeout(10 * SLOW)
        conn.connect(f"/var/run/dpdk/hf-{hf.process.pid}/dpdk_telemetry.v2")
        greeting = json.loads(conn.recv(1024))
        conn.send(b"/holdfast/stats")
        told = json.loads(conn.recv(greeting["max_output_len"]))["/holdfast/stats"]
    return {title: told[re.sub(r'{.*"(.*)"}', r"_\1", title)] for title in counts}


def of_prometheus(hf, counts):
    status, text = hf.ask("/metrics")
    assert status == 200
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    return {title: float(samples["holdfast_" + title]) for title in counts}


def of_statsd(server, counts):
    """All that was sent; what is 0 is not."""
    server.setblocking(False)
    totals = dict.fromkeys(counts, 0)
    try:
        while True:
            for line in server.recv(2048).decode().split("\n"):
                found = re.fullmatch(r"holdfast_(\w+):([\d.e+-]+)\|c\|#node:[\w-]+,?(\S*)", line)
                title = found and found[1] + re.sub(r"(\w+):(\S+)", r'{\1="\2"}', found[3])
                if title in totals:
                    totals[title] += float(found[2])
    except BlockingIOError:
        return totals


def of_otlp(report, counts):
    found = points(report)
    return {title: int(found["holdfast_" + title.split("{")[0], tuple(re.findall('"(.*)"', title))]["asInt"])
            for title in counts}


def test_every_counter_is_the_known_number_wherever_it_is_read(start, origin):
    reports = collections.deque(maxlen=1)

    def take(conn, request):
        reports.append(json.loads(request.stream.read(int(dict(request.headers)["content-length"]))))
        say(conn, request, b"{}", ())
        return True
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, Origin() as receiver:
        server.bind(("127.0.0.1", 0))
        receiver.on("/v1/metrics", take)
        admin = f"127.0.0.1:{free_port()}"
        hf = start(origin.url, workers=2, cache={"memory": "4MiB"}, metrics={
            "listen": admin, "statsd": f"127.0.0.1:{server.getsockname()[1]}", "otlp": receiver.url,
            "interval": "60s"})
        hf.admin = admin
        stored = load(hf, origin)
        wait_until(lambda: hf.stat("cache_inserts_total") == COUNTS["cache_inserts_total"]
                   and hf.stat("origin_fetches_in_flight") == 0, what="the refreshes")
        left = len(hf.ctl("cache", "list")["rows"])
        counts = {**COUNTS, "cache_evictions_total": stored - left}
        assert 0 < left < stored - BIGS // 4
        stats = hf.stats()
        assert {title: stats[title] for title in counts} == counts
        assert of_prometheus(hf, counts) == counts
        assert of_telemetry(hf, counts) == counts
        hf.stop()
        assert of_statsd(server, counts) == counts
        assert of_otlp(reports[-1], counts) == counts
