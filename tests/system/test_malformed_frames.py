# SPDX-License-Identifier: BSD-3-Clause
"""A table of malformed frames, put on the wire behind the kernel's back: each is dropped for the
reason that the table names, and the program still serves."""
import random
import socket

import pytest
from frames import TABLE, aim
from harness import V4, V6, Holdfast, curl, sh, url, wait_until

COPIES = 3


@pytest.fixture(scope="module", params=["tap", "af_packet"])
def wire(tmp_path_factory, nginx, request):
    """TAP's driver checks sums for us, AF_PACKET's does not: both ways must agree."""
    hf = Holdfast(tmp_path_factory.mktemp("frames"), nginx.url, device=request.param).start()
    name = hf.device.kernel
    # the port's own MAC address is what the kernel learnt for it
    curl(url("/hello"))
    neighbours = sh("ip", "neigh", "show", V4, "dev", name).split()
    aim(bytes.fromhex(neighbours[neighbours.index("lladdr") + 1].replace(":", "")))
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((name, 0))
    yield hf, raw
    raw.close()
    hf.stop()


def test_the_table_is_long_and_names_are_unique():
    assert len(TABLE) >= 50 and len({name for name, *_ in TABLE}) == len(TABLE)


@pytest.mark.parametrize("name,make,reason", TABLE, ids=[name for name, *_ in TABLE])
def test_frame(wire, name, make, reason):
    hf, raw = wire
    if hf.device.kind == "af_packet" and name in (
            "vlan-cut", "ip-first-fragment", "ip-later-fragment"):
        pytest.skip("the kernel keeps this from a packet socket")
    before = hf.drops()[reason]
    for _ in range(COPIES):
        raw.send(make())
    wait_until(lambda: hf.drops()[reason] >= before + COPIES, 3, f"drop for {reason}")
    assert curl(url("/hello")).status == 200


def test_random_frames(wire):
    """20 000 frames of the table with bytes flipped: nothing falls, everything still works."""
    hf, raw = wire
    seed = 7
    dice, frames = random.Random(seed), [make() for _, make, _ in TABLE]
    received = hf.stat("rx_packets_total")
    for _ in range(20000):
        frame = bytearray(dice.choice(frames))
        for _ in range(dice.randint(1, 4)):
            frame[dice.randrange(12, len(frame))] = dice.randrange(256)
        raw.send(frame[:dice.randint(14, len(frame))])
    assert hf.stat("rx_packets_total") > received, f"seed {seed}"
    assert sh("ping", "-n", "-c1", "-W5", V6) and curl(url("/hello", V6)).status == 200
