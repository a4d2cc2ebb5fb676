#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Hits while many are purged: latency of one keep-alive client of the real program, in the second before and during.

  perf/purge/purge.py [--objects N]    as root; HF_BUILD names another build directory

The first row is no purge but a process that burns one CPU: what any thread that runs costs others when CPUs are
few."""
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
from harness import V4, Control, Holdfast, connect, curl, free_port, is_hit, read_answer, url  # noqa: E402

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
    """Latencies of hits in the second before an action, and while it goes on; how long it took; its result."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.Process(target=probe, args=(its,))
    process.start()
    time.sleep(1.2)
    begin = time.monotonic()
    result = action()
    end = time.monotonic()
    ours.send(None)
    samples = ours.recv()
    process.join()
    return ([took for at, took in samples if at + took > begin - 1 and at < begin],
            [took for at, took in samples if at + took > begin and at < end], end - begin, result)


def burn():
    while True:
        pass


def beside(action):
    process = multiprocessing.Process(target=burn)
    process.start()
    action()
    process.terminate()
    process.join()


def quantiles(samples):
    samples = sorted(samples)
    return [round(samples[min(int(len(samples) * q), len(samples) - 1)] * 1e6)
            for q in (0.5, 0.99, 1)]


def row(what, actions):
    runs = [probed(action) for action in actions]
    before, during = (quantiles([t for run in runs for t in run[i]]) for i in (0, 1))
    each_ms = sum(run[2] for run in runs) / len(runs) * 1e3
    purged = sum((run[3] or {}).get("purged", 0) for run in runs)
    print(f"{what:27} {len(runs):5} {each_ms:8.1f} {purged:8} {sum(len(run[1]) for run in runs):7}"
          "  " + "".join(f"{us:8}" for us in (*before, *during)) +
          f"  {during[1] / before[1]:.2f}", flush=True)


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
    ctl = Control(hf)  # not holdfastctl: a process that starts costs others as much as what it asks for

    def purge(**what):
        return lambda: ctl.call("purge", **what)

    print(f"{'':60}  us before:             during:\n{'':27} times  each ms   purged    hits  "
          + f"{'p50':>8}{'p99':>8}{'max':>8}" * 2 + "  during/before, p99")
    row("a busy process beside", [lambda: beside(lambda: time.sleep(1))] * 5)
    row("tag of none", [purge(tag="none")] * 5)
    row("tag of all, soft", [purge(tag="many", soft=True)] * 5)
    row("prefix of all, soft", [purge(prefix="/o/", soft=True)] * 5)
    row("tag of a tenth", [purge(tag=f"t{i}") for i in range(5)])
    row("prefix of all that is left", [purge(prefix=url("/o/"))])


if __name__ == "__main__":
    main()
