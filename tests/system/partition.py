# SPDX-License-Identifier: BSD-3-Clause
"""A node is cut off from its control plane and its origins during a rolling deployment, while clients ask at a
constant rate. Used by test_partition.py, and by hand:

    HF_BUILD=build /usr/bin/python3 tests/system/partition.py OUT [RATE [HEALTHY CUT FLAPPING HEALED]]

writes OUT.json and OUT.png (gnuplot): rate, latency, mode and misses over time."""
import http.client
import json
import pathlib
import subprocess
import sys
import threading
import time

if __name__ == "__main__":
    import conftest  # noqa: F401  (a network namespace of its own)

import harness
from plane import ControlPlane, document

KEYS, MAX_AGE, MAX_STALE = 300, 2, 30


class Origins:
    """Two nginx that tell the time of each answer's birth."""

    def __init__(self, directory):
        self.dir, self.ports = directory, [harness.free_port(), harness.free_port()]
        servers = "".join(f"""
  server {{ listen 127.0.0.1:{port}; add_header Cache-Control max-age={MAX_AGE};
            location / {{ return 200 "$msec\\n"; }} }}""" for port in self.ports)
        (directory / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log; user root;
events {{ worker_connections 2048; }}
http {{ access_log off; keepalive_requests 1000000; default_type text/plain;
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2;
  fastcgi_temp_path {directory}/t3; uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
{servers} }}
""")

    def __enter__(self):
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", self.dir, "-c", self.dir / "nginx.conf"],
            stderr=subprocess.DEVNULL)
        harness.wait_until(lambda: (self.dir / "pid").exists(), what="nginx")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def state(self, version, which):
        return document(version, "", origins=[
            {"group": "demo", "id": f"o{i}", "url": f"http://127.0.0.1:{self.ports[i]}"}
            for i in which])


def cut(ports):
    """Nothing to these ports of this machine, or from them, arrives any more."""
    rules = "".join(f"tcp {side} {{ {', '.join(map(str, ports))} }} drop; "
                    for side in ("dport", "sport"))
    heal()
    subprocess.run(["nft", f"table inet partition {{ chain c {{ type filter hook output priority 0; "
                    f"{rules}}}; }};"], check=True)


def heal():
    subprocess.run(["nft", "delete table inet partition"], stderr=subprocess.DEVNULL, check=False)


class Watch(threading.Thread):
    """Mode and misses of the node, some times a second."""

    def __init__(self, holdfast):
        super().__init__()
        self.holdfast, self.samples, self.end = holdfast, [], threading.Event()
        self.begin = time.monotonic()

    def run(self):
        while not self.end.wait(0.25):
            stats, status = self.holdfast.stats(), self.holdfast.ctl("status")
            self.samples.append({
                "at": round(time.monotonic() - self.begin, 2), "mode": status["mode"],
                "misses": stats["cache_misses_total"],
                "stale": sum(value for name, value in stats.items()
                             if name.startswith("cache_stale_served")),
                "activations": stats["fallback_activations_total"]})


def roll(plane, origins, end):
    """A rolling deployment: another version each half second, origins in turns."""
    number = 0
    while not end.wait(0.5):
        number += 1
        plane.state(origins.state(f"v{number}", [[0, 1], [0], [1]][number % 3]))


def warm():
    """Every key is asked for once."""
    client = http.client.HTTPConnection(harness.V4, timeout=10)
    for key in range(KEYS):
        client.request("GET", f"/k{key}", headers={"Host": "a.test"})
        assert client.getresponse().read()
    client.close()


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def run(holdfast, plane, origins, rate, phases):
    """Phases: seconds of healthy, cut, flapping, healed. Returns what was measured."""
    healthy, silent, flapping, healed = phases
    warm()
    end = threading.Event()
    watch, rolling = Watch(holdfast), threading.Thread(target=roll, args=(plane, origins, end))
    plane_port = int(plane.url.rsplit(":", 1)[1])
    cpu = cpu_s(holdfast.process.pid)
    client = subprocess.Popen(
        [harness.BUILD / "tests/system/tools/hf-rate", "--to", f"{harness.V4}:80", "--rate",
         str(rate), "--seconds", str(sum(phases)), "--keys", str(KEYS), "--max-age", str(MAX_AGE),
         "--path", "/k"], stdout=subprocess.PIPE, text=True)
    try:
        watch.start()
        rolling.start()
        time.sleep(healthy)  # phases of a timetable: time is what they are
        cut([*origins.ports, plane_port])
        time.sleep(silent)
        plane.mode("flap")
        for second in range(flapping):
            heal() if second % 2 else cut(origins.ports)
            time.sleep(1)
        heal()
        plane.mode("ok")
        lines = client.communicate(timeout=healed + 60)[0].splitlines()
    finally:
        heal()
        end.set()
        watch.end.set()
        rolling.join()
        watch.join()
        client.kill()
    *seconds, summary = map(json.loads, lines)
    return {"rate": rate, "phases": phases, "seconds": seconds, "summary": summary,
            "server_cpu_s": round(cpu_s(holdfast.process.pid) - cpu, 2), "samples": watch.samples}


def plot(result, path):
    """PNG: latency, rate, misses and mode over time."""
    times = [sample["at"] for sample in result["samples"]]

    def block(rows):
        return "\n".join(" ".join(map(str, row)) for row in rows) + "\ne\n"

    seconds = result["seconds"]
    latency = [[(s["second"] + 0.5, s[q] / 1000) for s in seconds]
               for q in ("p50_us", "p99_us", "p999_us")]
    mode = [(s["at"], int(s["mode"] == "fallback")) for s in result["samples"]]
    misses = [(b["at"], (b["misses"] - a["misses"]) / (b["at"] - a["at"]))
              for a, b in zip(result["samples"], result["samples"][1:])]
    rate = [(s["second"] + 0.5, s["ok"]) for s in seconds]
    script = f"""
set terminal png size 1000,900
set output "{path}"
set multiplot layout 3,1 title "control plane and origins: healthy, cut, flapping, healed"
set xrange [0:{max(times[-1], seconds[-1]["second"] + 1)}]
set logscale y
set ylabel "ms"
plot "-" with lines title "p50", "-" with lines title "p99", "-" with lines title "p99.9", \
50 with lines dashtype 2 title "50 ms"
{"".join(map(block, latency))}unset logscale y
set ylabel "1/s"
set offsets 0, 0, graph 0.1, 0
plot "-" with lines title "answers", "-" with lines title "misses"
{block(rate)}{block(misses)}set yrange [-0.1:1.1]
set ylabel ""
plot "-" with steps title "local cache mode"
{block(mode)}unset multiplot
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def config(plane, state_file):
    return {"control_plane": {**plane.config, "interval": "200ms", "timeout": "200ms",
                              "max_stale": f"{MAX_STALE}s", "state_file": str(state_file)},
            "cache": {"stale_if_error": f"{MAX_STALE}s"}, "origin": {"patience": "20ms"}}


def main(out, rate=10000, *phases):
    import tempfile
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        (directory / "origins").mkdir()
        with Origins(directory / "origins") as origins, \
                ControlPlane(directory, origins.state("v0", [0, 1])) as plane:
            holdfast = harness.Holdfast(directory, "", bootstrap=False,
                                        **config(plane, directory / "kept.json")).start()
            try:
                result = run(holdfast, plane, origins, int(rate),
                             [int(p) for p in phases] or [15, 20, 10, 15])
            finally:
                holdfast.stop()
    pathlib.Path(out + ".json").write_text(json.dumps(result, indent=1))
    plot(result, out + ".png")
    print(json.dumps({**result["summary"], "server_cpu_s": result["server_cpu_s"],
                      "worst_p99_us": max(s["p99_us"] for s in result["seconds"])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
