#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holdfast and Linux TCP through a wire that loses, reorders, doubles, damages, delays. Each body
arrives equal, as a cached hit to curl and as a POST from curl to the origin.

Each run: that it works, with bodies that take a second or two. HF_LONG=1: also how long it takes,
beside nginx on the kernel through the same wire. One such comparison by hand:

    tests/system/test_interop.py --loss 1 --delay 50 --direction get --size 1048576 --runs 5
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import statistics
import sys
import tempfile

if __name__ == "__main__":
    import conftest  # noqa: F401  (a namespace of its own, before threads)

import pytest
from harness import BUILD, SANITIZED, body_hash
from impair import Bench, Late, capture

LONG = "HF_LONG" in os.environ and not SANITIZED  # times say nothing under sanitizers
KIB, MIB = 1 << 10, 1 << 20


def transfer(bench, server, direction, size, timeout=60):
    """One body, checked at its other end. Seconds, and segments that its sender sent again."""
    resent = bench.resent(server, direction)
    got = getattr(bench, direction)(server, size, timeout)
    assert got.status == 200
    whole = [got.length, got.sha256] if direction == "get" else json.loads(got.body)
    assert whole == [size, body_hash(size)]
    return got.seconds, bench.resent(server, direction) - resent


# ---- in each run ----

BAD = {"loss": 1, "reorder": 5, "dup": 2, "corrupt": 2, "jitter": 1}
POINTS = [  # a wire; what nginx moves through it in a second, more or less; under sanitizers, too?
    ({"delay": 1}, 10 * MIB, True),
    ({"delay": 1, "loss": 1}, 4 * MIB, True),
    ({"delay": 1, "loss": 5}, 512 * KIB, False),
    ({"delay": 1, "loss": 20}, 32 * KIB, True),
    ({"delay": 1, "loss": 2, "burst": 4}, 1 * MIB, False),
    ({"delay": 1, "reorder": 5}, 10 * MIB, False),
    ({"delay": 1, **BAD}, 1 * MIB, True),
    ({"delay": 50}, 10 * MIB, False),
    ({"delay": 50, "loss": 1}, 512 * KIB, False),
    ({"delay": 50, "loss": 5}, 128 * KIB, True),
    ({"delay": 50, "loss": 20}, 16 * KIB, False),
    ({"delay": 50, "reorder": 5}, 10 * MIB, False),
    ({"delay": 200}, 2 * MIB, False),
    ({"delay": 200, "loss": 1}, 128 * KIB, False),
    ({"delay": 200, "loss": 5}, 64 * KIB, False),
    ({"delay": 200, **BAD}, 32 * KIB, False),
]


def words(wire):
    return "-".join(f"{key}={value}" for key, value in wire.items())


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with Bench(tmp_path_factory.mktemp("interop"), nginx=LONG) as made:
        yield made


@pytest.mark.parametrize("wire,size", [
    pytest.param(wire, size, id=words(wire)) for wire, size, always in POINTS
    if always or not SANITIZED])
def test_bodies_survive(bench, wire, size):
    bench.prepare(size)
    for direction in ("get", "post"):
        bench.impair(**wire)
        seconds, resent = transfer(bench, "holdfast", direction, size)
        print(f"{direction} {size} {seconds:.2f} s {resent} resent")


@pytest.mark.parametrize("direction", ["get", "post"])
def test_bodies_survive_over_ipv6(bench, direction):
    bench.prepare(MIB)
    bench.impair(**{"delay": 2, **BAD})
    transfer(bench, "holdfast6", direction, MIB)


# ---- beside nginx ----

RATIO = 1.25
AIM_S, LATE_S, WHOLE = 15, 180, 100 * MIB
# Where losses decide it takes more transfers to tell; at one in five, where it is timeouts that double
# and times scatter by a hundred, many short ones. They take so little of the wire that they go side by
# side.
OFTEN = {0: {}, 1: {"runs": 9}, 5: {"runs": 15}, 20: {"runs": 8, "aim_s": 3, "late_s": 60, "beside": 32}}


def timed(bench, server, direction, size, late_s=LATE_S):
    """Seconds of a transfer. At one loss in five it now and then happens to any TCP that timeouts double until
    it is late, or, with Linux, that the connection is given up: then it took late_s at least."""
    try:
        return transfer(bench, server, direction, size, late_s)[0]
    except Late:
        return late_s
    except AssertionError:
        if server != "nginx":
            raise
        return late_s


def side_by_side(bench, server, direction, size, late_s, beside):
    with concurrent.futures.ThreadPoolExecutor(beside) as pool:
        return list(pool.map(lambda _: timed(bench, server, direction, size, late_s), range(beside)))


def size_for(bench, direction, aim_s, late_s, beside, **wire):
    """What nginx moves in about aim_s: 100 MiB, or less where no TCP could in that time. By trying
    ever larger bodies until they take long enough to tell, so many side by side as will be compared."""
    size = 32 * KIB
    while True:
        bench.impair(**wire)
        seconds = statistics.median(side_by_side(bench, "nginx", direction, size, late_s, beside))
        if size == WHOLE or seconds > aim_s / 2:
            break
        if seconds > aim_s / 5:
            size = int(size * aim_s / seconds)
        else:
            size *= 4
        size = min(size // KIB * KIB, WHOLE)
    return size


def compare(bench, direction, size=None, runs=5, seed=1, nginx=True, aim_s=AIM_S, late_s=LATE_S,
            beside=1, **wire):
    """Medians of interleaved transfers, so many at a time; both meet the same seeds. A row of the table."""
    size = size or size_for(bench, direction, aim_s, late_s, beside, **wire)
    row = {"direction": direction, "size": size, **wire}
    servers = ["holdfast", "nginx"] if nginx else ["holdfast"]
    seconds, resent = {name: [] for name in servers}, {name: 0 for name in servers}
    if direction == "get":
        bench.prepare(size)
    for run in range(runs):
        for name in servers:
            bench.impair(seed=seed + run, **wire)
            before = bench.resent(name, direction)
            seconds[name] += side_by_side(bench, name, direction, size, late_s, beside)
            resent[name] += bench.resent(name, direction) - before
        servers.reverse()
    for name in sorted(servers):
        row[f"{name}_s"] = round(statistics.median(seconds[name]), 3)
        row[f"{name}_range_s"] = [round(min(seconds[name]), 3), round(max(seconds[name]), 3)]
        row[f"{name}_resent"] = round(resent[name] / runs / beside)
    if nginx:
        row["ratio"] = round(row["holdfast_s"] / row["nginx_s"], 3)
    return row


if LONG:
    table = []

    @pytest.mark.parametrize("delay", [1, 50, 200])
    @pytest.mark.parametrize("fault", [{"loss": 0}, {"loss": 1}, {"loss": 5}, {"loss": 20},
                                       {"reorder": 5}], ids=words)
    @pytest.mark.parametrize("direction", ["get", "post"])
    def test_as_fast_as_nginx(bench, direction, fault, delay):
        signal.alarm(3600)  # instead of conftest's
        row = compare(bench, direction, delay=delay, **OFTEN[fault.get("loss", 0)], **fault)
        table.append(row)
        (BUILD / "interop.json").write_text(
            "[\n" + ",\n".join(json.dumps(line) for line in table) + "\n]\n")
        assert row["ratio"] <= RATIO, row


def by_hand():
    parser = argparse.ArgumentParser(
        description="Times of holdfastd and nginx through the same wire, as one row of JSON.",
        epilog="The build is $HF_BUILD, or build. Must be root.")
    parser.add_argument("--direction", choices=["get", "post"], default="get")
    parser.add_argument("--size", type=int, help="bytes; 100 MiB, or what nginx moves in 15 s")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--beside", type=int, default=1, help="transfers at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="without nginx (give a size)")
    parser.add_argument("--pcap", help="file for the frames at our end of our wire")
    parser.add_argument("--congestion", default="cubic", help="the kernel's, at both of its ends")
    for name, text in {
            "loss": "percent", "burst": "losses in a row", "dup": "percent",
            "corrupt": "percent", "reorder": "percent", "reorder_by": "ms; delay/4", "delay":
            "ms there and back; 1", "jitter": "ms", "rate": "Mbit/s; 200", "queue":
            "bytes; rate x delay, at least 256 KiB"}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, help=text,
                            default=argparse.SUPPRESS)
    wire = vars(parser.parse_args())
    options = {name: wire.pop(name) for name in ("direction", "size", "runs", "seed", "beside")}
    nginx, congestion, pcap = not wire.pop("alone"), wire.pop("congestion"), wire.pop("pcap")
    if not nginx and not options["size"]:
        parser.error("--alone needs --size")
    with tempfile.TemporaryDirectory() as directory, \
            Bench(pathlib.Path(directory), nginx=nginx, congestion=congestion) as bench, \
            capture(bench.holdfast.device.kernel, pcap) if pcap else contextlib.nullcontext():
        print(json.dumps(compare(bench, nginx=nginx, **options, **wire)))


if __name__ == "__main__":
    sys.exit(by_hand())
