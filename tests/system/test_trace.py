# SPDX-License-Identifier: BSD-3-Clause
"""W3C Trace Context and spans over OTLP: what a receiver gets of a hit, a miss and a stale answer, and what the
origin sees."""
import json
import re
import threading

import pytest
from harness import Origin, answer, curl, is_hit, say, url, wait_until

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"traceparent: 00-{TRACE}-{CALLER}-01"


class Receiver(Origin):
    """An OTLP receiver: spans by their ids."""

    def __init__(self):
        super().__init__()
        self.spans, self.more = {}, threading.Condition()
        self.on("/v1/traces", self.take)
        self.on("/v1/metrics", self.take)

    def take(self, conn, request):
        fields = dict(request.headers)
        body = json.loads(request.stream.read(int(fields["content-length"])))
        for resource in body.get("resourceSpans", []):
            scope, = resource["scopeSpans"]
            with self.more:
                self.spans |= {span["spanId"]: read_span(span) for span in scope["spans"]}
                self.more.notify_all()
        say(conn, request, b"{}", ())
        return True

    def wait(self, count):
        with self.more:
            assert self.more.wait_for(lambda: len(self.spans) >= count, 20), self.spans
            return list(self.spans.values())


def read_span(span):
    """Checks what every span has; its attributes by name."""
    assert re.fullmatch("[0-9a-f]{32}", span["traceId"]) and re.fullmatch("[0-9a-f]{16}", span["spanId"])
    assert 0 < int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
    span["attributes"] = {pair["key"]: next(iter(pair["value"].values()))
                          for pair in span["attributes"]}
    return span


@pytest.fixture
def traced(start, origin, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    origin.on("*", answer(b"hi"))
    with Receiver() as receiver:
        hf = start(origin.url, metrics={"otlp": receiver.url}, trace={"sample": 0})
        hf.receiver = receiver
        yield hf


def sent(origin, target):
    """traceparent and tracestate of what the origin was asked."""
    request, = (request for request in origin.seen if request.target == target)
    fields = dict(request.headers)
    return fields.get("traceparent"), fields.get("tracestate")


def test_spans_of_a_miss_a_hit_and_a_stale_answer(traced, origin):
    origin.on("/stale", answer(b"hi", (
        "Age: 10", "Cache-Control: max-age=5, stale-while-revalidate=600")))
    for target in ("/x?token=canary", "/x?token=canary", "/page?b=1", "/page?b=1", "/stale", "/stale"):
        assert curl(url(target), "-H", SAMPLED, "-H", "tracestate: v=1").status == 200
        # who asks while it is being stored leads a fetch of what is stale, or joins one
        wait_until(lambda: traced.stat("origin_fetches_in_flight") == 0, what="the end of the fetch")
    assert curl(url("/page?b=1"), "-H", SAMPLED.replace("-01", "-00")).status == 200
    assert curl(url("/page?b=1"), "-H", "traceparent: 00-x").status == 200
    spans = traced.receiver.wait(10)  # six requests, four of them with a fetch
    assert len(spans) == 10 and {span["traceId"] for span in spans} == {TRACE}
    server = [span for span in spans if span["kind"] == 2]
    client = {span["parentSpanId"]: span for span in spans if span["kind"] == 3}
    assert all(span["parentSpanId"] == CALLER and span["name"] == "GET" for span in server)
    told = sorted((span["attributes"]["url.path"], span["attributes"]["holdfast.cache_status"])
                  for span in server)
    assert told == [("/page", "absent"), ("/page", "hit"), ("/stale", "absent"), ("/stale", "stale"),
                    ("/x", "bypass"), ("/x", "bypass")]
    assert "canary" not in json.dumps(spans)
    by = {(span["attributes"]["url.path"], span["attributes"]["holdfast.cache_status"]): span
          for span in server}
    miss, hit, stale = by["/page", "absent"], by["/page", "hit"], by["/stale", "stale"]
    assert 500000 < int(hit["attributes"]["holdfast.ttl_remaining_ms"]) <= 600000
    assert -60000 < int(stale["attributes"]["holdfast.ttl_remaining_ms"]) < -4000
    assert hit["attributes"]["http.response.status_code"] == "200"
    assert hit["attributes"]["holdfast.cache_key_hash"] == miss["attributes"]["holdfast.cache_key_hash"]
    assert hit["attributes"]["holdfast.cache_key_hash"] != stale["attributes"]["holdfast.cache_key_hash"]
    fetch = client[miss["spanId"]]
    assert fetch["attributes"]["holdfast.origin"] == "demo/o1"
    assert hit["spanId"] not in client and stale["spanId"] not in client
    assert sent(origin, "/page?b=1") == (f"00-{TRACE}-{fetch['spanId']}-01", "v=1")
    # counted when the receiver's answer is there
    wait_until(lambda: 'holdfast_trace_spans_total{result="taken"} 10\n' in traced.ask("/metrics")[1])


def test_a_fetch_that_two_wait_for_goes_out_with_its_leaders_trace(traced, origin):
    gate, other = threading.Event(), SAMPLED.replace(TRACE, TRACE[::-1])

    def slow(conn, request):
        gate.wait(20)
        say(conn, request, b"hi", ("Cache-Control: max-age=60",))
        return True
    origin.on("/slow", slow)
    threads = [threading.Thread(target=curl, args=(url("/slow"), "-H", line)) for line in (SAMPLED, other)]
    threads[0].start()
    wait_until(lambda: origin.count("/slow"), what="fetch")
    threads[1].start()
    wait_until(lambda: traced.stat("origin_coalesced_total") == 1, what="follower")
    gate.set()
    for thread in threads:
        thread.join()
    spans = traced.receiver.wait(3)
    client, = (span for span in spans if span["kind"] == 3)
    assert client["traceId"] == TRACE and {span["traceId"] for span in spans} == {TRACE, TRACE[::-1]}
    assert sent(origin, "/slow")[0] == f"00-{TRACE}-{client['spanId']}-01"


def test_what_is_not_sampled_goes_on_unchanged_and_what_is_stored_has_none(traced, origin):
    origin.on("/echo", answer(b"hi", ("Cache-Control: max-age=60", "traceparent: of-the-origin")))
    old = f"00-{TRACE}-{CALLER}-00"
    assert curl(url("/a"), "-H", f"traceparent: {old}", "-H", "tracestate: v=1").status == 200
    assert curl(url("/b"), "-H", "traceparent: 00-x").status == 200
    assert curl(url("/c")).status == 200
    assert sent(origin, "/a") == (old, "v=1")
    assert sent(origin, "/b") == ("00-x", None)
    assert sent(origin, "/c") == (None, None)
    assert curl(url("/echo")).status == 200
    stored = curl(url("/echo"))
    assert is_hit(stored) and "traceparent" not in stored.headers
    assert not traced.receiver.spans


def test_a_share_of_requests_begins_a_trace(start, origin, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    origin.on("*", answer(b"hi"))
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.url}/v1/traces")
        start(origin.url, trace={"sample": 1000000})
        assert curl(url("/a"), "-H", "tracestate: v=1").status == 200
        server, client = sorted(receiver.wait(2), key=lambda span: span["kind"])
        assert "parentSpanId" not in server and client["parentSpanId"] == server["spanId"]
        assert sent(origin, "/a") == (f"00-{server['traceId']}-{client['spanId']}-01", None)
        assert {request.target for request in receiver.seen} == {"/v1/traces"}
