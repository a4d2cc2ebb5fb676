# SPDX-License-Identifier: BSD-3-Clause
"""The floods of perf/pktgen: their captures hold what they say, and each scenario runs beside HTTP traffic."""
import collections
import json
import subprocess
import sys

import frames
from harness import ROOT, Device, sh, wait_until

sys.path.append(str(ROOT / "perf/pktgen"))
from floods import SCENARIOS, write_pcap  # noqa: E402

DRIVERS_MAC = bytes.fromhex("027063617000")  # "pcap", and 0 for the first


class Capture(Device):
    """No wire, but what a capture holds, read by DPDK, once."""

    def __init__(self, path):
        self.kind, self.string = "pcap", f"net_pcap0,rx_pcap={path},tx_pcap=/dev/null"

    def before(self):
        pass

    after = remove = before


def test_what_captures_hold_is_dropped_for_the_reasons_that_they_tell_to_the_frame(start, tmp_path):
    frames.aim(DRIVERS_MAC)
    held = [pair for name in sorted(SCENARIOS, key="syn".__eq__)  # SYNs last: cookies give ACKs another reason
            for pair in SCENARIOS[name][0]()]
    write_pcap(tmp_path / "all.pcap", [frame for frame, _ in held])
    assert f"Number of packets:   {len(held)}\n" in sh("capinfos", "-M", "-c", tmp_path / "all.pcap")
    hf = start("http://127.0.0.1:1", device=Capture(tmp_path / "all.pcap"))
    wait_until(lambda: hf.stat("rx_packets_total") == len(held), what="frames")
    told = collections.Counter(reason for _, reason in held)
    good = told.pop(None)
    # a frame is received before it is dropped
    wait_until(lambda: sum(hf.drops().values()) >= sum(told.values()), what="drops")
    assert {reason: count for reason, count in hf.drops().items() if count} == told
    assert sum(told.values()) + good == len(held) and hf.stat("tcp_connections") <= 4096


def test_each_scenario_runs_beside_http_traffic(tmp_path):
    path = tmp_path / "found.json"
    done = subprocess.run([ROOT / "perf/pktgen/run", "all", "--fallback", "--seconds", "0.2", "--json", path],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(path.read_text())
    assert set(found) == {"alone", *SCENARIOS}
    for name, result in found.items():
        assert result["rate"] > 0 and result["p99_ms"] > 0 and not result["errors"], (name, result)
    for name in SCENARIOS:
        assert found[name]["sent"] > 100 and (found[name]["drops"] or name == "syn"), (name, found[name])
