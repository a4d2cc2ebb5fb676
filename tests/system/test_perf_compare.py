# SPDX-License-Identifier: BSD-3-Clause
"""perf/compare and perf/turns: what they make of the figures of a run, and that the first runs."""
import importlib.machinery
import importlib.util
import json
import subprocess
import sys

from harness import ROOT

sys.path.append(str(ROOT / "perf/compare"))
import goals  # noqa: E402
import report  # noqa: E402


def record(requests_s=1000.0, cpu_us=1.0, **fields):
    return {"requests_s": requests_s, "bytes_s": 64 * requests_s, "cpu_us": cpu_us, "p50": 1.0, "p99": 2.0,
            "p99.9": 3.0, "memory": 1 << 20, "errors": 0, **fields}


def by_what(medians, limit, sizes=(64, 16384, 1 << 20)):
    return {goal.what: goal for goal in goals.goals(medians, limit, ["nginx", "varnish"], sizes)}


def test_the_best_of_the_kernels_servers_counts():
    medians = {"holdfast": {"64": record(cpu_us=0.5)}, "holdfast-af_packet": {"64": record(cpu_us=0.1)},
               "nginx": {"64": record(cpu_us=20.0)}, "varnish": {"64": record(cpu_us=8.0)}}
    goal, = by_what(medians, {}).values()
    assert goal.figure == "16 x" and goal.aim == ">= 20 x" and not goal.met


def test_large_objects_have_another_aim():
    medians = {"holdfast": {"1048576": record(cpu_us=100)}, "nginx": {"1048576": record(cpu_us=500)}}
    goal, = by_what(medians, {}).values()
    assert goal.figure == "5 x" and goal.aim == ">= 5 x" and goal.met


def test_frames_are_the_limit():
    medians = {"holdfast": {"64": record(250.0), "1048576": record(bytes_s=0.6 * 1518 * 100)}}
    small, large = by_what(medians, {"64": 1000, "1518": 100}).values()
    assert small.figure == "25 %" and small.met
    assert large.figure == "60 %" and not large.met


def test_a_connection_a_request_has_two_ways_to_be_met():
    name = "64 connection a request"
    for own, others, met in ((300000, 200000, True), (1000, 100, True), (1000, 101, False)):
        goal, = by_what({"holdfast": {name: record(own)}, "nginx": {name: record(others)}}, {}).values()
        assert goal.met is met


def test_its_own_goals():
    own = {"64": record(1000), "64 pipelined 16": record(2900), "64 half of its maximum": record(),
           "64 misses": {"requests_s": 1, "bytes_s": 1, "errors": 0, "origin_cpu_us": 40.0},
           "64 idle": {"core": 0.021}, "64 1000 a second": record(p99=100.0)}
    met = [goal.met for goal in by_what({"holdfast": own}, {}).values()]
    assert met == [False, True, True, False, True]


def test_medians_tables_and_json(tmp_path):
    rounds = {"nginx": {"64": [record(1), record(3, p99=9.0), record(100)], "64 idle": [{"core": 0.1}]}}
    found, best = report.over_rounds(rounds), report.over_rounds(rounds, report.best)
    assert found["nginx"]["64"]["requests_s"] == 3
    assert best["nginx"]["64"]["requests_s"] == 100 and best["nginx"]["64"]["p99"] == 2
    assert report.limits([{"64": 1}, {"64": 5}, {"64": 3}]) == {"64": 3} and report.limits([]) == {}
    result = {"medians": found, "limit": {"1518": 1e6}, "goals": [], "goals_at_best": []}
    lines = "\n".join(report.text(json.loads(json.dumps(result))))
    assert "| 64 | nginx | 3 | 0.0 | 1.00 | 1 | 2 | 3 | 1 | 0 |" in lines
    assert "1000000 frames/s of 1518 bytes, 1518.0 MB/s" in lines and "idle" not in lines


def test_turns_are_the_loops_own_where_it_had_its_cpu():
    loader = importlib.machinery.SourceFileLoader("turns", str(ROOT / "perf/turns"))
    turns = importlib.util.module_from_spec(importlib.util.spec_from_loader("turns", loader))
    loader.exec_module(turns)
    inf = float("inf")

    def sample(waited_ms, short, all_turns):
        waited_ns = waited_ms * 1_000_000
        return waited_ns, {5e-4: short, 1.048e-3: short, 8e-3: all_turns, inf: all_turns}, waited_ns
    # the third interval lost its CPU and had a long turn; the one after it may have the rest of that turn
    samples = [sample(*seen) for seen in ((0, 0, 0), (0, 10, 10), (0, 20, 20), (5, 29, 30), (5, 39, 40), (5, 49, 50))]
    assert turns.judged(samples) == ((50, 1, 8e-3), (20, 0, 5e-4), 0.5)
    assert turns.judged(samples[:1]) == ((0, 0, 0), (0, 0, 0), 0)


def test_it_runs(tmp_path):
    """The server of the kernel's and the product at its place, each over a wire of its own."""
    out = tmp_path / "out.json"
    subprocess.run([ROOT / "perf/compare/run", "--peers", "holdfast-af_packet,nginx", "--sizes", "1024",
                    "--rounds", "1", "--wire", "frames", "--hugepages", "off",  # those of the machine are not a test's
                    "--json", out, "--plot", tmp_path / "out.png"], check=True)
    result = json.loads(out.read_text())
    for peer in ("holdfast-af_packet", "nginx"):
        record, = result["rounds"][peer]["1024"]
        assert record["responses"] > 0 and record["errors"] == 0 and record["cpu_us"] > 0, record
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
