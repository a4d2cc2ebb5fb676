#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Hits while many are purged: latency of one keep-alive client of the real program, before and during.

  perf/purge/purge.py [--objects N]    as root; HF_BUILD names another build directory

Between "before" and the purges stands a row with a process that only burns the time of one CPU: what a thread
that walks costs others when CPUs are few."""
import argparse
import multiprocessing
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/system"))
import conftest  # noqa: F401, E402  (a network namespace of our own)
from harness import V4, Holdfast, connect, curl, free_port, is_hit, read_answer, url  # noqa: E402

HOT = f"GET /hot HTTP/1.1\r\nHost: {V4}\r\n\r\n".encode()


def nginx(directory, port):
    """Objects /o/N with the tags "many" and the last digit of N."""
    config = directory / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log; user root;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_requests 100000000;
  server {{
    listen 127.0.0.1:{port};
    add_header Cache-Control max-age=36000;
    location ~ ^/o/\\d*(\\d)$ {{ add_header Cache-Control max-age=36000;
                              add_header Surrogate-Key "many t$1"; return 200 "a short body\\n"; }}
    location / {{ return 200 "hot\\n"; }}
  }}
}}
""")
    return subprocess.Popen(["/usr/sbin/nginx", "-p", directory, "-c", config],
                            stderr=subprocess.DEVNULL)


def fill(hf, directory, objects):
    """Asks for /o/1, /o/2, ... until so many are stored."""
    script, first = directory / "fill.lua", 0
    while (there := hf.stat("cache_objects")) < objects:
        print(f"\r{there} of {objects} stored", end="", file=sys.stderr)
        script.write_text(f"local n = {first}\nrequest = function() n = n + 1; "
                          'return wrk.format("GET", "/o/" .. n) end')
        seconds = 1 + (objects - there) // 50000
        out = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", script, url("")],
                             check=True, capture_output=True, text=True).stdout
        first += int(re.search(r"(\d+) requests in", out)[1])
    print(file=sys.stderr)


def probe(pipe):
    """Hits one after the other until told to stop; answers with when and how long."""
    samples = []
    with connect() as conn, conn.makefile("rb") as stream:
        while not pipe.poll():
            for _ in range(50):
                begin = time.monotonic()
                conn.sendall(HOT)
                reply = read_answer(stream)
                samples.append((begin, time.monotonic() - begin))
                assert is_hit(reply), reply
    pipe.send(samples)


def probed(action):
    """Latencies of hits while the action goes on, and how long it took."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.Process(target=probe, args=(its,))
    process.start()
    time.sleep(0.3)
    begin = time.monotonic()
    result = action()
    end = time.monotonic()
    ours.send(None)
    samples = ours.recv()
    process.join()
    return [took for at, took in samples if at + took > begin and at < end], end - begin, result


def burn():
    while True:
        pass


def beside(action):
    process = multiprocessing.Process(target=burn)
    process.start()
    action()
    process.terminate()
    process.join()


class Report:
    def __init__(self):
        self.base = None
        print(f"{'':34} {'times':>5} {'each ms':>8} {'purged':>8} {'hits':>7} "
              f"{'p50 us':>7} {'p99 us':>7} {'max us':>7}  p99 of before's")

    def row(self, what, actions):
        runs = [probed(action) for action in actions]
        took = sorted(t for samples, _, _ in runs for t in samples)
        purged = sum((result or {}).get("purged", 0) for _, _, result in runs)
        p50, p99, most = (round(took[min(int(len(took) * q), len(took) - 1)] * 1e6)
                          for q in (0.5, 0.99, 1))
        self.base = self.base or p99
        print(f"{what:34} {len(runs):5} {sum(t for _, t, _ in runs) / len(runs) * 1e3:8.1f} "
              f"{purged:8} {len(took):7} {p50:7} {p99:7} {most:7}  {p99 / self.base:.2f}",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1000000)
    objects = parser.parse_args().objects
    with tempfile.TemporaryDirectory() as name:
        directory, port = pathlib.Path(name), free_port()
        origin = nginx(directory, port)
        hf = Holdfast(directory, f"http://127.0.0.1:{port}",
                      cache={"memory": f"{max(64, objects * 2 // 1024)}MiB"}).start()
        try:
            curl(url("/hot"))
            fill(hf, directory, objects)
            measure(hf)
        finally:
            hf.stop()
            origin.terminate()
            origin.wait()


def measure(hf):
    def purge(*words):
        return lambda: hf.ctl("purge", *words)

    report = Report()
    report.row("before", [lambda: time.sleep(5)] * 2)
    report.row("beside a busy process", [lambda: beside(lambda: time.sleep(5))] * 2)
    report.row("nothing has the tag", [purge("--tag", "none")] * 5)
    report.row("tag of all, soft", [purge("--tag", "many", "--soft")] * 5)
    report.row("prefix of all, soft", [purge("--prefix", "/o/", "--soft")] * 5)
    report.row("tag of a tenth", [purge("--tag", f"t{i}") for i in range(4)])
    report.row("prefix of all that is left", [purge("--prefix", url("/o/"))])


if __name__ == "__main__":
    main()
