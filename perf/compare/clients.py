# SPDX-License-Identifier: BSD-3-Clause
"""Who asks, and what came of it: wrk over the kernel, hf-load over memif."""
import json
import pathlib
import subprocess
import tempfile

from harness import HF_LOAD, PEER4, V4, sh
from place import CLIENT, SERVER, on_cpu, process

KEYS, KEY_BYTES = 100_000, 32 << 20  # at most, but at least 64
WRK_SCRIPT = """
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\n{"responses":%d,"us":%d,"p50":%.1f,"p99":%.1f,"p99.9":%.1f,"errors":%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def keys(size):
    """Objects of that size that hf-load asks for."""
    return max(64, min(KEYS, KEY_BYTES // size))


def measured(meter, ask):
    """What a client saw, and what it cost the server."""
    before = meter.ns()
    seen = ask()
    cpu_us = (meter.ns() - before) / 1e3 / max(1, seen["responses"])
    return {**seen, "cpu_us": cpu_us, "memory": meter.memory()}


class Wrk:
    """One thread, one hot object: the best case for who is asked."""

    def __init__(self, client, connections):
        self.client, self.connections = client, connections

    def ask(self, size, seconds, close=False):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(WRK_SCRIPT)
            script.flush()
            said = sh(*self.client, *on_cpu(CLIENT, "wrk", "-t1", f"-c{self.connections}",
                      f"-d{max(1, round(seconds))}s", "-s", script.name, *["-H", "Connection: close"] * close),
                      f"http://{V4}{self.path(size)}")
        seen = json.loads(said.splitlines()[-1])
        rate = seen["responses"] * 1e6 / seen.pop("us")
        return {"requests_s": rate, "bytes_s": rate * size, **seen}

    @staticmethod
    def path(size):
        return f"/hf/{0:010}/{size:08}"

    def fill(self, sizes):
        """Each answer must be the whole object, and be it again from the cache."""
        for size in sizes * 2:
            got = sh(*self.client, "curl", "-sf", "-o", "/dev/null", "-w", "%{size_download}",
                     f"http://{V4}{self.path(size)}")
            assert int(got) == size, f"{got} bytes instead of {size}"


class Load:
    """hf-load, Zipf 0.99 over keys(size) objects."""

    def __init__(self, device, connections, hugepages="off"):
        self.device, self.connections, self.hugepages = device, connections, hugepages

    def run(self, size, *options):
        command = [HF_LOAD, "--cpu", CLIENT, "--device", self.device, "--address", f"{PEER4}/24",
                   "--target", f"{V4}:80", "--hugepages", self.hugepages, "--connections",
                   self.connections, "--keys", keys(size), "--sizes", size, "--json", "-", *options]
        done = subprocess.run(on_cpu(CLIENT, *command), capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def fill(self, size, host):
        """Every object once: misses. How many a second."""
        told = self.run(size, "--host", host, "--warmup", 0, "--requests", 1)
        return keys(size), keys(size) / told["fill_s"], told["errors"]

    def ask(self, size, seconds, *options):
        told = self.run(size, "--no-fill", "--warmup", 0.2, "--duration", seconds, *options)
        latency = {q: told["latency_ns"][q] / 1e3 for q in ("p50", "p99", "p99.9")}
        return {"requests_s": told["responses_per_s"], "bytes_s": told["body_bytes_per_s"],
                "responses": told["responses"], "errors": told["errors"], **latency}


def limit(frames, seconds, hugepages):
    """Frames a second that testpmd macswap gives back, each second of them, by size."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory, "limit.json")
        command = [pathlib.Path(__file__).parents[1] / "packet-limit", "--frames", ",".join(map(str, frames)),
                   "--seconds", max(1, round(seconds)), "--cpus", f"{CLIENT},{SERVER}", "--hugepages", hugepages,
                   "--json", out]
        with process(None, *command, stdout=subprocess.DEVNULL) as limited:
            assert limited.wait() == 0
        return {size: told["pps"] for size, told in json.loads(out.read_text()).items()}
