# SPDX-License-Identifier: BSD-3-Clause
"""What another implementation thinks of our TCP: on a link without a fault, Wireshark's analysis
finds nothing that only a fault explains."""
import collections
import contextlib
import json
import re
import signal
import subprocess

import pytest
from harness import SANITIZED, V4, V6, blocks, body_hash, curl, sh, url
from impair import serve

MIB = 1 << 20
# Wireshark's names, as tcp.analysis.NAME. A window update or a keep-alive is no fault.
FAULTS = ["retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order",
          "lost_segment", "ack_lost_segment", "duplicate_ack", "zero_window", "zero_window_probe",
          "zero_window_probe_ack", "window_full"]
FRAMES_MAX = 30_000  # of a capture, from its start: tshark takes a second for them


@contextlib.contextmanager
def capture(interface, path):
    """All of TCP on the interface, or the test fails: a frame that tcpdump missed looks like a
    fault of TCP."""
    with subprocess.Popen(["tcpdump", "-ni", interface, "-s", "128", "-B", "65536", "-w", path,
                           "tcp"], stderr=subprocess.PIPE, text=True) as process:
        said = process.stderr.readline()
        while "listening on" not in said:
            assert said, "tcpdump ended"
            said = process.stderr.readline()
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
    assert re.search(r"^0 packets dropped by kernel", said, re.M), said


def analysed(path):
    """How often which fault was found with whom, and the number of connections and frames."""
    fields = ["tcp.stream", "ip.src", "ipv6.src"] + [f"tcp.analysis.{name}" for name in FAULTS]
    out = sh("tshark", "-n", "-r", path, "-c", FRAMES_MAX, "--disable-protocol", "http",
             "-T", "fields",
             *[word for field in fields for word in ("-e", field)])
    found, streams, frames = collections.Counter(), set(), 0
    for line in out.splitlines():
        stream, source4, source6, *flags = line.split("\t")
        streams.add(stream)
        frames += 1
        found.update((name, source4 or source6) for name, flag in zip(FAULTS, flags) if flag)
    return dict(found), len(streams), frames


@pytest.fixture
def hf(start, origin):
    origin.on("*", serve)
    return start(origin.url)


@pytest.mark.parametrize("host", [V4, V6])
def test_downloads(hf, tmp_path, host):
    sizes = [1000, 100_000, 10 * MIB]
    for size in sizes:
        assert curl(url(f"/length/{size}", host)).sha256 == body_hash(size)
    with capture(hf.device.kernel, tmp_path / "pcap"):
        out = sh("curl", "-sS", "-g", "-w", "%{size_download} %{num_connects}\n",
                 *[word for size in sizes * 2
                   for word in ("-o", "/dev/null", url(f"/length/{size}", host))])
    assert out.split() == [word for at, size in enumerate(sizes * 2)
                           for word in (str(size), str(int(at == 0)))]
    faults, streams, frames = analysed(tmp_path / "pcap")
    # we may be faster than curl reads: then its window is full, but never closed
    faults.pop(("window_full", host), None)
    assert not faults and streams == 1 and frames > 2 * sum(sizes) / 1460


def test_an_upload(hf, tmp_path):
    """Slower than the origin takes it, so that no window of ours need stop it."""
    body = tmp_path / "body"
    body.write_bytes(b"".join(blocks(10 * MIB)))
    with capture(hf.device.kernel, tmp_path / "pcap"):
        out = sh("curl", "-sS", "-X", "POST", "-T", body, "-H", "Expect:", "--limit-rate",
                 "5M" if SANITIZED else "20M", url("/post"))
    assert json.loads(out) == [10 * MIB, body_hash(10 * MIB)]
    faults, streams, frames = analysed(tmp_path / "pcap")
    assert not faults and streams == 1 and frames > 10 * MIB / 1460


def test_many_small_requests(hf, tmp_path):
    curl(url("/length/1000"))
    with capture(hf.device.kernel, tmp_path / "pcap"):
        out = sh("wrk", "-t1", "-c16", "-d1", url("/length/1000"))
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    faults, streams, frames = analysed(tmp_path / "pcap")
    assert not faults and 16 <= streams <= 18 and frames > 1000
