# SPDX-License-Identifier: BSD-3-Clause
"""What another implementation thinks of our TCP: on a link without a fault, Wireshark's analysis
finds nothing that only a fault explains."""
import collections
import json

import pytest
from harness import PEER4, PEER6, SANITIZED, V4, V6, blocks, body_hash, curl, sh, url
from impair import capture, serve

MIB = 1 << 20
# Wireshark's names, as tcp.analysis.NAME. A window update or a keep-alive is no fault.
RESENT = {"retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order"}
FAULTS = sorted(RESENT) + ["lost_segment", "ack_lost_segment", "duplicate_ack", "zero_window",
                           "zero_window_probe", "zero_window_probe_ack", "window_full"]
FIELDS = {"stream": "tcp.stream", "source4": "ip.src", "source6": "ipv6.src",
          "seconds": "frame.time_relative", "seq": "tcp.seq", "next": "tcp.nxtseq",
          "ack": "tcp.ack", "left": "tcp.options.sack_le", "right": "tcp.options.sack_re",
          "clock": "tcp.options.timestamp.tsval", "echo": "tcp.options.timestamp.tsecr"}
FRAMES_MAX = 30_000  # of a capture, from its start: tshark takes a second for them
LATE_S = 0.001  # an answer takes a tenth of it, unless a busy machine lets its sender wait
PROBE_MS = 2    # RFC 8985 §7.2: until a probe, at least; by its sender's clock, for a segment takes a while to the wire


class Frame:
    def __init__(self, line):
        texts = line.split("\t")
        text = dict(zip(FIELDS, texts))
        self.stream, self.source = text["stream"], text["source4"] or text["source6"]
        self.seconds = float(text["seconds"])
        self.seq, self.next, self.ack, left, right, self.clock_ms, self.echo_ms = (
            int(text[name].split(",")[0] or 0)
            for name in ("seq", "next", "ack", "left", "right", "clock", "echo"))
        # RFC 2883 §4: the first block is below the acknowledgment: arrived twice
        self.twice = range(left, right) if right <= self.ack else range(0)
        self.faults = {name for name, flag in zip(FAULTS, texts[len(FIELDS):]) if flag}


def frames_of(path):
    out = sh("tshark", "-n", "-r", path, "-c", FRAMES_MAX, "--disable-protocol", "http",
             "-T", "fields",
             *[word for field in [*FIELDS.values(), *(f"tcp.analysis.{name}" for name in FAULTS)]
               for word in ("-e", field)])
    return [Frame(line) for line in out.splitlines()]


class End:
    """One end of a connection, and what it resent only because the other one was late: of that it
    had heard nothing for LATE_S, when PROBE_MS had passed, and then was told that both had arrived.
    What is on the wire is heard when the end is awake: its timestamps tell up to where it did."""

    def __init__(self):
        self.sent, self.heard, self.resent = {}, [], []

    def sends(self, frame):
        """True: not again, or with reason."""
        first_ms = self.sent.setdefault(frame.seq, frame.clock_ms)
        if not frame.faults & RESENT:
            return True
        heard = next((seconds for clock_ms, seconds in reversed(self.heard)
                      if clock_ms <= frame.echo_ms), 0)
        if frame.seconds - heard < LATE_S or frame.clock_ms - first_ms < PROBE_MS:
            return False
        self.resent.append(frame)
        return True

    def hears(self, frame):
        """True: the other end says that something arrived twice that was resent with reason."""
        self.heard.append((frame.clock_ms, frame.seconds))
        told = [old for old in self.resent if old.seq in frame.twice]
        self.resent = [old for old in self.resent if old not in told]
        return bool(told)


def unjustified(frames):
    """How often which fault was found with whom, less what a late answer justifies."""
    ends, found = collections.defaultdict(End), collections.Counter()
    for frame in frames:
        faults = set(frame.faults)
        if ends[frame.stream, frame.source].sends(frame):
            faults -= RESENT
        for (stream, source), end in ends.items():
            if stream == frame.stream and source != frame.source and end.hears(frame):
                faults.discard("duplicate_ack")
        found.update((name, frame.source) for name in faults)
    found.update(("lost", source) for (_, source), end in ends.items() for _ in end.resent)
    return dict(found)


@pytest.fixture
def hf(start, origin):
    """At real-time priority: a program that gets its core late lets its window fill."""
    origin.on("*", serve)
    holdfast = start(origin.url)
    sh("chrt", "--all-tasks", "--rr", "--pid", "1", holdfast.process.pid)
    return holdfast


def captured(hf, path, allowed, *command):
    """What the command says, its connections and frames, when only allowed faults were found."""
    with capture(hf.device.kernel, path):
        out = sh(*command)
    frames = frames_of(path)
    faults = unjustified(frames)
    assert not faults.keys() - set(allowed), faults
    return out, len({frame.stream for frame in frames}), len(frames)


PEER = {V4: PEER4, V6: PEER6}


def not_read(sender, reader):
    """It may be faster than the other one reads, and fill its window: that closes it, and is probed."""
    return [("window_full", sender), ("zero_window", reader), ("zero_window_probe", sender),
            ("zero_window_probe_ack", reader)]


@pytest.mark.parametrize("host", [V4, V6])
def test_downloads(hf, tmp_path, host):
    sizes = [1000, 100_000, 10 * MIB]
    for size in sizes:
        assert curl(url(f"/length/{size}", host)).sha256 == body_hash(size)
    out, streams, frames = captured(
        hf, tmp_path / "pcap", not_read(host, PEER[host]),
        "curl", "-sS", "-g", "-w", "%{size_download} %{num_connects}\n",
        *[word for size in sizes * 2
          for word in ("-o", "/dev/null", url(f"/length/{size}", host))])
    assert out.split() == [word for at, size in enumerate(sizes * 2)
                           for word in (str(size), str(int(at == 0)))]
    assert streams == 1 and frames > 2 * sum(sizes) / 1460


def test_an_upload(hf, tmp_path):
    """Slower than the origin takes it, so that no window of ours stops it unless a busy machine makes that late."""
    body = tmp_path / "body"
    body.write_bytes(b"".join(blocks(10 * MIB)))
    out, streams, frames = captured(
        hf, tmp_path / "pcap", not_read(PEER4, V4), "curl", "-sS", "-X", "POST", "-T", body, "-H", "Expect:",
        "--limit-rate", "5M" if SANITIZED else "20M", url("/post"))
    assert json.loads(out) == [10 * MIB, body_hash(10 * MIB)]
    assert streams == 1 and frames > 10 * MIB / 1460


def test_many_small_requests(hf, tmp_path):
    curl(url("/length/1000"))
    out, streams, frames = captured(hf, tmp_path / "pcap", [], "wrk", "-t1", "-c16", "-d1",
                                    url("/length/1000"))
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    assert 16 <= streams <= 18 and frames > 1000
