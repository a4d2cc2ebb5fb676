# SPDX-License-Identifier: BSD-3-Clause
"""origin.max_in_flight: the origin never sees more, the rest waits its turn or is told when to come back."""
import collections
import contextlib
import threading

from harness import SLOW, answer, connect, curl, is_hit, read_answer, url, wait_until

LIMIT, QUEUE, KEYS, CLIENTS = 8, 20, 50, 200


class Slow:
    """A script that answers when it may, and knows how many it was asked at a time."""

    def __init__(self):
        self.lock, self.may = threading.Lock(), threading.Event()
        self.now = self.most = 0

    def __call__(self, conn, request):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.may.wait(60 * SLOW)
        with self.lock:  # before the last byte: the next one may come at once
            self.now -= 1
        return answer(request.target.encode())(conn, request)


GAUGES = ('origin_in_flight{group="demo",origin="o1"}', 'origin_group_queued{group="demo"}',
          'origin_active{group="demo",origin="o1"}', "routing_active_origins")


def told(hf):
    """What /metrics says of the origin."""
    samples = dict(line.rsplit(" ", 1) for line in hf.ask("/metrics")[1].splitlines())
    return [int(samples[f"holdfast_{name}"]) for name in GAUGES]


def test_200_clients_on_50_cold_keys_and_8_slots(start, origin):
    slow = Slow()
    origin.on("*", slow)
    origin.on("/warm", answer(b"warm"))
    origin.on("/post", answer(b"posted"))
    hf = start(origin.url, workers=2, origin={
        "threads": 2, "max_in_flight": LIMIT, "max_queue": QUEUE, "queue_timeout": "5m"})
    assert curl(url("/warm")).status == 200

    with contextlib.ExitStack() as stack:
        streams = []
        for i in range(CLIENTS):
            conn = stack.enter_context(connect(timeout=60))
            conn.sendall(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % (i % KEYS))
            streams.append((b"/%d" % (i % KEYS), conn.makefile("rb")))
        wait_until(lambda: hf.stat('http_responses_total{class="5xx"}') ==
                   CLIENTS - (LIMIT + QUEUE) * (CLIENTS // KEYS), 30 * SLOW, "503 for the others")
        stats = hf.stats()
        assert (stats["origin_fetches_in_flight"], stats["origin_fetches_queued"]) == (LIMIT, QUEUE)
        assert told(hf) == [LIMIT, QUEUE, 1, 1]
        assert is_hit(curl(url("/warm")))
        assert curl(url("/post"), "--data", "x").body == b"posted"
        slow.may.set()
        answers = [(target, read_answer(stream)) for target, stream in streams]

    refused = {target for target, got in answers if got.status == 503}
    assert len(refused) == KEYS - LIMIT - QUEUE
    for target, got in answers:
        if target in refused:
            assert (got.status, got.headers["retry-after"]) == (503, "1")
        else:
            assert (got.status, got.body) == (200, target)
    assert slow.most == LIMIT
    asked = collections.Counter(request.target for request in origin.seen)
    assert set(asked.values()) == {1} and len(asked) == LIMIT + QUEUE + len({"/warm", "/post"})
    wait_until(lambda: hf.stat("origin_fetches_in_flight") == 0)
    stats = hf.stats()
    assert stats["origin_fetches_queued"] == 0 and told(hf) == [0, 0, 1, 1]
    assert stats["origin_requests_total"] == sum(asked.values())
    waits = {row[0]: row[1] for row in hf.ctl("stats", "origin_fetch_queue_wait*")["histograms"]["rows"]}
    assert waits['origin_fetch_queue_wait_seconds{outcome="admitted"}'] == QUEUE
    assert sum(waits.values()) == QUEUE
    assert curl(url(refused.pop().decode())).status == 200  # nothing of it was stored
