# SPDX-License-Identifier: BSD-3-Clause
"""Attacks beside real traffic: each is counted, costs a bounded amount of memory, hurts nobody
else, and is over when it is over. Here: what needs no connection of the attacker's."""
import hashlib
import threading

import pytest
from attack import (HIT, LONG, MIB, RATE, SECONDS, SHORT, SYN_QUEUE, attack, harmless, numbers,
                    warm)
from harness import SANITIZED, SLOW, V4, V6, Holdfast, body_hash, connect, read_answer


@pytest.fixture(scope="module")
def plain(tmp_path_factory, nginx):
    hf = Holdfast(tmp_path_factory.mktemp("plain"), nginx.url, runtime=SHORT).start()
    warm(hf)
    yield hf
    hf.stop()


STATELESS = [  # mode, the reasons that its frames are dropped for, at least how much of them
    ("ackflood", ["tcp_no_listener", "tcp_bad_cookie"], 0.9),
    ("rstflood", ["tcp_no_listener"], 0.9),
    ("land", ["ip_bad_source"], 0.9),
    ("fragments", ["ip_fragment"], 0.9),
    ("options", ["tcp_bad_option", "tcp_no_listener", "tcp_bad_cookie"], 0.5),
    ("flags", ["tcp_bad_flags", "tcp_no_listener", "tcp_bad_cookie"], 0.9),
    ("badsum", ["ip_bad_checksum", "tcp_bad_checksum"], 0.9),
    ("icmp", ["icmp_bad_quote"], 0.9),
]


@pytest.mark.parametrize("host", [V4] if SANITIZED and not LONG else [V4, V6], ids=str)
@pytest.mark.parametrize("mode,reasons,part", STATELESS, ids=[row[0] for row in STATELESS])
def test_stateless(plain, mode, reasons, part, host):
    with harmless(plain, host) as growth:
        said = attack(plain, mode, host, seconds=SECONDS, rate=RATE)
    dropped = {reason: growth["drops"][reason] for reason in reasons}
    assert said["sent"] > 0.1 * RATE * SECONDS, said
    assert sum(dropped.values()) >= part * said["sent"], (dropped, said)
    assert plain.stat("tcp_connections") <= SYN_QUEUE + 64


def test_lies_in_options_are_named(plain):
    """Of each list of tbl/lies.h that is malformed, a SYN and an ACK."""
    with harmless(plain) as growth:
        said = attack(plain, "options", seconds=SECONDS, rate=RATE)
    assert growth["drops"]["tcp_bad_option"] >= said["sent"] / 6, (growth, said)


# ---- blind injection (RFC 5961) ----

def read_slowly(stream, length, stop):
    """The body's hash; taken a little at a time until `stop` is set."""
    digest = hashlib.sha256()
    while length:
        part = stream.read(min(length, 1 << 16))
        assert part, "cut"
        digest.update(part)
        length -= len(part)
        stop.wait(0.005)
    return digest.hexdigest()


@pytest.mark.parametrize("host", [V4, V6])
def test_blind_into_an_idle_connection(plain, host):
    """Whoever knows all but the exact numbers neither ends a connection nor speaks on it."""
    requests = plain.stat("http_requests_total")
    with connect(host) as conn:
        stream = conn.makefile("rb")
        ask = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % HIT.encode()
        conn.sendall(ask)
        assert read_answer(stream).status == 200
        with harmless(plain, host) as growth:
            said = attack(plain, "blind", host, seconds=SECONDS, rate=RATE, **numbers(conn))
        conn.sendall(ask)
        assert read_answer(stream).status == 200
    drops, sent = growth["drops"], said["sent"]
    refused = sum(drops[reason] for reason in (
        "tcp_out_of_window", "tcp_bad_ack", "tcp_bad_rst", "tcp_bad_syn", "tcp_bad_flags",
        "tcp_bad_option", "tcp_paws"))
    assert refused >= 0.9 * sent, (drops, said)
    assert min(drops["tcp_bad_rst"], drops["tcp_bad_syn"], drops["tcp_bad_ack"]) > 0, drops
    assert 0 < growth["stats"]["tcp_challenge_acks_total"] <= 1000 * (SECONDS * SLOW + 5), growth
    assert growth["stats"]['client_errors_total{reason="request"}'] == 0
    assert plain.stat("http_requests_total") > requests


@pytest.mark.parametrize("mode", ["blind", "icmp"])
def test_blind_into_a_download(plain, nginx, mode):
    length = 16 * MIB
    with connect() as conn:
        stream = conn.makefile("rb")
        conn.sendall(b"GET /length/%s HTTP/1.1\r\nHost: a\r\n\r\n" % nginx.file(length).encode())
        assert b"200" in stream.readline()
        known, over, result = numbers(conn), threading.Event(), []
        while stream.readline() != b"\r\n":
            pass
        reader = threading.Thread(
            target=lambda: result.append(read_slowly(stream, length, over)))
        reader.start()
        with harmless(plain):
            attack(plain, mode, seconds=SECONDS, rate=RATE, **known)
        over.set()
        reader.join(60 * SLOW)
    assert result == [body_hash(length)]
