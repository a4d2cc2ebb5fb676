# SPDX-License-Identifier: BSD-3-Clause
"""Attackers with connections of their own, that send or take their part of it as nobody does."""
import pytest
from attack import (LONG, MIB, RATE, RSS_GROWTH, SECONDS, SHORT, attack, connections_go, harmless,
                    served_at_once, warm)
from harness import SANITIZED, SLOW, Holdfast, wait_until

SMALL, LARGE = "/mix/9", f"/length/{4 * MIB}"  # 16 KiB; more than a send queue holds
MANY = 100 if SANITIZED else 1000


@pytest.fixture(scope="module")
def strict(tmp_path_factory, nginx):
    """With short timeouts, and an object to be asked for that fills every send queue."""
    hf = Holdfast(tmp_path_factory.mktemp("strict"), nginx.url,
                  runtime=SHORT,
                  http={"header_timeout": "1s", "idle_timeout": "2s", "body_rate": "64KiB"}).start()
    nginx.file(4 * MIB)
    warm(hf, SMALL, LARGE)
    yield hf
    hf.stop()


def test_tiny_segments(strict):
    with harmless(strict):
        said = attack(strict, "tinysegs", count=50, seconds=5 * SLOW, inflight=8)
    assert said["answered"] == 50, said


def test_option_lies_on_open_connections(strict):
    with harmless(strict) as growth:
        said = attack(strict, "lies", count=50, seconds=5 * SLOW, inflight=8)
    assert said["answered"] == 50, said
    assert growth["drops"]["tcp_bad_option"] >= 50 * 8, growth


@pytest.mark.parametrize("mode", ["mss0", "mss1"])
def test_mss_of_nothing(strict, mode):
    """The answer comes in segments worth sending."""
    with harmless(strict):
        said = attack(strict, mode, count=20, seconds=5 * SLOW, path=SMALL)
    assert said["answered"] == 20 and said["smallest"] >= 64, said


def test_holes_in_what_is_sent(strict):
    """Thousands of them: what is kept of it is bounded."""
    with harmless(strict) as growth:
        said = attack(strict, "holes", count=8, seconds=SECONDS)
    assert said["opened"] == 8 and said["sent"] > 2000, said
    assert growth["drops"]["tcp_ooo_full"] + growth["drops"]["tcp_no_rxbuf"] > 0, growth


def test_holes_of_many_use_up_all_buffers(strict):
    """Others go on, and so do all once the attackers ran into their timeout."""
    with harmless(strict, seconds=SECONDS + 1, rss=RSS_GROWTH + 64 * MIB):
        said = attack(strict, "holes", count=5 * MANY, seconds=SECONDS + 1)
    assert said["opened"] >= 4 * MANY, said
    wait_until(lambda: strict.drops()["conn_idle"] >= said["opened"], what="all thrown out")
    # which takes out-of-order buffers
    said = attack(strict, "tinysegs", count=50, seconds=5 * SLOW, inflight=8)
    assert said["answered"] == 50, said


def test_sack_flood(strict):
    with harmless(strict):
        said = attack(strict, "sackflood", count=4, seconds=SECONDS, path=LARGE)
    assert said["opened"] == 4 and said["sent"] > 500 * SECONDS, said


def test_ack_division(strict):
    """RFC 3465: what is sent follows the bytes acknowledged, not the number of ACKs."""
    with harmless(strict):
        said = attack(strict, "ackdivision", count=4, seconds=SECONDS, rate=RATE,
                      path=LARGE)
    assert said["opened"] == 4 and said["bytes"] > 0, said
    assert said["excess"] <= 10 * 1460, said


def test_optimistic_acks(strict):
    with harmless(strict) as growth:
        said = attack(strict, "optimistic", count=8, seconds=SECONDS, path=LARGE)
    assert said["opened"] == 8, said
    assert growth["drops"]["tcp_bad_ack"] > 0, growth


@pytest.mark.parametrize("mode", ["deaf", "narrow"])
def test_all_of_a_flight_lost(strict, mode):
    """And again nothing but in order: the transfer goes on at speed, not a segment a timeout."""
    with harmless(strict, seconds=SECONDS + 1):
        said = attack(strict, mode, count=2, seconds=3, path=LARGE)
    assert said["bytes"] >= 2 * 4 * MIB, said


def test_too_big_lies(strict):
    """A quote of what is not in flight changes nothing; a right one is believed, within reason."""
    with harmless(strict, seconds=SECONDS + 1) as growth:
        said = attack(strict, "fragneeded", count=16, seconds=SECONDS + 1,
                      path=LARGE, inflight=4)
    assert all(lies == 2 and largest >= 1400 for lies, largest in said["wrong"].values()), said
    assert all(lies == 2 and largest >= 400 for lies, largest in said["right"].values()), said
    assert said["right"]["552"][1] <= 552 - 40 and said["right"]["1400"][1] <= 1400 - 40, said
    assert growth["stats"]["tcp_pmtu_reduced_total"] >= 4, growth
    assert growth["drops"]["icmp_bad_quote"] >= 8, growth


READERS = ["sockstress", "slowread", "noack"]


@pytest.mark.parametrize("mode", READERS)
def test_readers_that_do_not_read(strict, mode):
    with harmless(strict, seconds=SECONDS + 1):
        said = attack(strict, mode, count=MANY, seconds=SECONDS + 1,
                      path=LARGE)
    assert said["opened"] == MANY, said


def test_the_readers_are_thrown_out(strict):
    """The least rate is measured over ten seconds."""
    wait_until(lambda: sum(strict.drops()[reason] for reason in ("conn_send_slow", "conn_idle"))
               >= len(READERS) * MANY, 20, "all out")
    assert strict.drops()["conn_send_slow"] > 0
    served_at_once(strict)
    if LONG:
        connections_go(strict, timeout=130)  # RFC 9293's user timeout, for those that are not there
