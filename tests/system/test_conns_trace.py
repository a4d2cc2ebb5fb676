# SPDX-License-Identifier: BSD-3-Clause
"""holdfastctl conns --trace: what happened last on each connection."""
import json

from harness import PEER4, answer, connect, read_answer, wait_until

REQUEST = b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n"


def trace_of(hf, conn):
    """The records of the connection that `conn` is the other end of."""
    peer = f"{PEER4}:{conn.getsockname()[1]}"
    shown = hf.ctl("conns", "--trace")
    assert shown["columns"][-1] == "trace"
    rows = [row for row in shown["rows"] if row[shown["columns"].index("peer")] == peer]
    assert len(rows) == 1, shown
    return rows[0][-1]


def sums(trace, event):
    return sum(record["value"] for record in trace if record["event"] == event)


def test_a_request_is_seen_from_open_to_acknowledgement(start, origin):
    origin.on("/t", answer(b"x" * 3000))
    hf = start(origin.url)
    with connect() as conn:
        stream = conn.makefile("rb")
        conn.sendall(REQUEST)
        assert read_answer(stream).status == 200
        trace = wait_until(lambda: (t := trace_of(hf, conn)) and sums(t, "acked") > 3000 and t)
        events = [record["event"] for record in trace]
        assert events[0] == "open" and set(events) == {"open", "in", "out", "acked"}, trace
        assert trace[0]["arg"] == "mss" and 1300 < trace[0]["value"] <= 1460
        assert sums(trace, "in") == len(REQUEST)
        assert sums(trace, "out") == sums(trace, "acked"), trace
        assert {record["arg"] for record in trace[1:]} == {"bytes"}
        ages = [record["ago_us"] for record in trace]
        assert ages == sorted(ages, reverse=True) and ages[0] < 60_000_000, "oldest first"


def test_only_the_last_records_are_kept(start, origin):
    origin.on("/t", answer(b"x"))
    hf = start(origin.url)
    with connect() as conn:
        stream = conn.makefile("rb")
        for _ in range(20):
            conn.sendall(REQUEST)
            assert read_answer(stream).status == 200
        trace = trace_of(hf, conn)
        assert len(trace) == 10 and "open" not in [record["event"] for record in trace]


def test_a_dropped_segment_names_its_reason(start, origin):
    """Data behind our FIN's acknowledgement: the peer speaks on after the server closed."""
    origin.on("/t", answer(b"x"))
    hf = start(origin.url)
    with connect() as conn:
        stream = conn.makefile("rb")
        conn.sendall(b"nonsense\r\n\r\n")
        assert read_answer(stream).status == 400
        assert stream.read() == b""
        conn.sendall(b"more")
        trace = wait_until(lambda: [r for r in trace_of(hf, conn) if r["event"] == "drop"])
        assert trace[0]["arg"] == "reason" and trace[0]["value"] in hf.drops(), trace


def test_people_see_the_records_below_their_connection(start, origin):
    origin.on("/t", answer(b"x"))
    hf = start(origin.url)
    with connect() as conn:
        conn.sendall(REQUEST)
        assert read_answer(conn.makefile("rb")).status == 200
        lines = hf.ctl("conns", "--trace", as_json=False).splitlines()
        assert "trace" not in lines[0] and PEER4 in lines[1]
        assert lines[2].split() == ["ago_us", "event", "arg", "value"]
        assert lines[3].split()[1:3] == ["open", "mss"]
        assert json.dumps(hf.ctl("conns")).count("ago_us") == 0, "only when it is asked for"
        hf.ctl("status", "--trace", as_json=False, code=2)
