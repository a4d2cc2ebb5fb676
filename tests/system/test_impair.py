# SPDX-License-Identifier: BSD-3-Clause
"""The wire that other tests trust: hf-impair does as it is told, the same for the same seed."""
import pathlib
import socket
import time

import pytest
from harness import names, sh, wait_until
from impair import Impair

KIND = 0x88b5  # for experiments: no kernel answers
SO_RCVBUFFORCE = 33  # of Linux; Python does not name it
HEAD = bytes.fromhex("02000000000b02000000000a88b5")


class Wire:
    """hf-impair between two TAPs, and a raw socket at the kernel's end of each."""

    def __init__(self):
        ends = [f"i{next(names)}x{side}" for side in "ab"]
        self.impair = Impair(*(f"tap:{end}" for end in ends))
        self.sockets = []
        for end in ends:
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{end}/disable_ipv6").write_text("1")
            sh("ip", "link", "set", end, "up")
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(KIND))
            raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
            raw.settimeout(5)
            raw.bind((end, KIND))
            self.sockets.append(raw)

    def run(self, count=2000, length=100, way="ab", **link):
        """Sends numbered frames. What arrived, in its order; the counters; seconds it took."""
        source, sink = self.sockets if way == "ab" else reversed(self.sockets)
        self.impair.set(way, **link)
        before, start = self.impair.stats()[way], time.monotonic()
        for number in range(count):
            source.send(HEAD + number.to_bytes(4, "big") * (length // 4))

        def through():
            now = self.impair.stats()[way]
            return now["read"] - before["read"] == count and not now["in_flight"] and now
        after = wait_until(through, what="the last frame")
        counters = {key: after[key] - before[key] for key in after}
        got = [sink.recv(2048)[len(HEAD):] for _ in range(counters["sent"])]
        assert count + counters["doubled"] == counters["sent"] + sum(
            counters[key] for key in ("lost", "queue_full", "pool_full", "too_long", "device_full"))
        return got, counters, time.monotonic() - start

    def close(self):
        for raw in self.sockets:
            raw.close()
        self.impair.close()


@pytest.fixture(scope="module")
def wire():
    made = Wire()
    yield made
    made.close()


def numbers(frames):
    return [int.from_bytes(frame[:4], "big") for frame in frames]


def test_a_wire_without_faults_changes_nothing(wire):
    for way in ("ab", "ba"):
        got, _, _ = wire.run(length=1400, way=way)
        assert got == [number.to_bytes(4, "big") * 350 for number in range(2000)]


def test_the_same_seed_has_the_same_victims(wire):
    faults = {"loss": 10, "dup": 5, "corrupt": 5}
    first, counters, _ = wire.run(seed=1, **faults)
    assert wire.run(seed=1, **faults)[0] == first
    assert wire.run(seed=2, **faults)[0] != first
    assert wire.run(seed=1, way="ba", **faults)[0] != first
    # three standard deviations from 200, and from 5 % of the 1800 that were not lost
    assert abs(counters["lost"] - 200) < 40
    assert abs(counters["doubled"] - 90) < 28 and abs(counters["damaged"] - 90) < 28


def test_one_fault_leaves_the_decisions_on_others_alone(wire):
    alone, _, _ = wire.run(seed=3, loss=10)
    also, _, _ = wire.run(seed=3, loss=10, dup=20)
    assert sorted(set(numbers(also))) == numbers(alone)


def test_damage_is_one_byte_behind_the_head(wire):
    got, counters, _ = wire.run(seed=4, corrupt=100)
    assert counters["damaged"] == 2000
    places = set()
    for number, frame in enumerate(got):
        intact = number.to_bytes(4, "big") * 25
        wrong = [at for at in range(100) if frame[at] != intact[at]]
        assert len(wrong) == 1
        places.update(wrong)
    assert places == set(range(100))


def test_losses_in_a_row(wire):
    got, counters, _ = wire.run(seed=5, loss=10, burst=4)
    arrived = numbers(got)
    runs = [b - a - 1 for a, b in zip(arrived, arrived[1:]) if b - a > 1]
    assert set(runs) <= {4, 8, 12} and runs.count(4) > 20
    assert abs(counters["lost"] - 200) < 100


def test_jitter_keeps_the_order_and_reordering_does_not(wire):
    assert numbers(wire.run(seed=6, delay_ms=5, jitter_ms=10)[0]) == list(range(2000))
    got, counters, _ = wire.run(seed=6, reorder=5, reorder_ms=1, rate_mbit=50)
    arrived = numbers(got)
    assert sorted(arrived) == list(range(2000)) != arrived
    late = [number for at, number in enumerate(arrived) if at and number < max(arrived[:at])]
    assert 0 < len(late) <= counters["reordered"] and abs(counters["reordered"] - 100) < 30


def test_delay_and_rate_take_their_time(wire):
    assert wire.run(count=1, delay_ms=100)[2] >= 0.1
    # 200 frames of 1014 bytes at 16 Mbit/s
    assert wire.run(count=200, length=1000, rate_mbit=16)[2] >= 200 * 1014 * 8 / 16e6


def test_a_full_queue_drops_what_comes_last(wire):
    got, counters, _ = wire.run(count=1000, length=1000, rate_mbit=1, queue_bytes=10140)
    assert numbers(got)[:10] == list(range(10)) and counters["queue_full"] > 900


@pytest.mark.parametrize("line", ["ab loss", "ab loss=x", "ab loss=-1", "ab losses=1", "cd loss=1",
                                  "", "ab loss=1 =2", "ab  loss=1"])
def test_a_line_that_is_not_understood_changes_nothing(wire, line):
    assert wire.impair.ask("ab loss=100") == "ok\n"
    assert wire.impair.ask(line) == "error\n"
    before = wire.impair.stats()["ab"]["lost"]
    wire.sockets[0].send(HEAD + bytes(50))
    wait_until(lambda: wire.impair.stats()["ab"]["lost"] == before + 1)
