# SPDX-License-Identifier: BSD-3-Clause
"""hf-attack beside wrk: starts both, waits for both, and reads what they say."""
import collections
import contextlib
import itertools
import json
import os
import re
import socket
import subprocess
import time

from harness import BUILD, SANITIZED, SLOW, V4, curl, is_hit, sh, url, wait_until

HF_ATTACK = BUILD / "tests/system/attack/hf-attack"
LONG = "HF_LONG" in os.environ
MIB = 1 << 20
SECONDS = 5 if LONG else 1
RATE = 4000 if SANITIZED else 20000  # frames a second that the TAP carries beside wrk's
HIT = "/mix/5"                       # 1000 bytes
RSS_GROWTH = (1024 if SANITIZED else 48) * MIB
SYN_QUEUE = 4096
nets = itertools.count(16)
SHORT = {"drain_timeout": "1s"}  # attackers do not say goodbye


def mac_of(hf):
    """The port's MAC address, as the kernel learnt it; known from before the flood."""
    if not hasattr(hf, "mac"):
        curl(url("/hello"))
        words = sh("ip", "neigh", "show", V4, "dev", hf.device.kernel).split()
        hf.mac = words[words.index("lladdr") + 1]
    return hf.mac


class Attack:
    """A hf-attack that runs. Used in a `with`; what it said is in `lines` and, the last, `said`."""

    def __init__(self, hf, mode, host=V4, **options):
        options.setdefault("iface", hf.device.kernel)
        # addresses of its own: the last attacker's connections may still be there
        options.setdefault("src", f"10.{next(nets)}.0.1" if host == V4 else
                           f"2001:db8:0:{next(nets):x}::1")
        command = [HF_ATTACK, mode, "--dst", host, "--mac", mac_of(hf)]
        for name, value in options.items():
            command += [f"--{name}", value]
        self.lines, self.seconds = [], float(options.get("seconds", 2))
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0]:
            self.process.kill()
        self.process.stdin.close()
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
        self.process.stdout.close()
        code = self.process.wait(self.seconds + 30 * SLOW)
        assert error[0] or code == 0, f"hf-attack ended with {code}"

    @property
    def said(self):
        return self.lines[-1]

    def next(self):
        """The next line of a mode that takes commands."""
        self.lines.append(json.loads(self.process.stdout.readline()))
        return self.said

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.next()


def attack(hf, mode, host=V4, **options):
    with Attack(hf, mode, host, **options) as run:
        pass
    return run.said


def wrk_begin(target, connections=4, seconds=2, **options):
    return subprocess.Popen(
        ["wrk", "-t1", "--latency", f"-c{connections}", f"-d{seconds}s", "--timeout", str(2 * SLOW),
         target], stdout=subprocess.PIPE, text=True, **options)


def wrk_end(process, seconds=2):
    """Requests a second, the 99th percentile, and what must not be in wrk's report."""
    out = process.communicate(timeout=seconds + 30 * SLOW)[0]
    p99 = re.search(r" 99%\s+([\d.]+)(us|ms|s|m)\n", out)
    assert p99, out
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "p99_ms": float(p99[1]) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[p99[2]],
            "errors": [line.strip() for line in out.splitlines()
                       if "Socket errors" in line or "Non-2xx" in line]}


def wrk(path="/hello", connections=4, seconds=2, host=V4):
    """Requests a second, and what must not be in wrk's report."""
    report = wrk_end(wrk_begin(url(path, host), connections, seconds), seconds)
    return report["rate"], report["errors"]


@contextlib.contextmanager
def beside_wrk(path="/hello", seconds=2, connections=4, host=V4):
    """wrk while the block runs: yields what `wrk_end` gives, filled in at the end."""
    process, report = wrk_begin(url(path, host), connections, seconds), {}
    try:
        yield report
    finally:
        report.update(wrk_end(process, seconds))


# ---- a victim: a connection of the kernel's whose numbers we know ----

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21


def numbers(conn):
    """--src, --sport, --seq and --ack of a connection, as hf-attack takes them."""
    def repair(value):
        conn.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, value)
    found = {"src": conn.getsockname()[0], "sport": conn.getsockname()[1]}
    repair(1)
    for queue, name in ((2, "seq"), (1, "ack")):
        conn.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        found[name] = conn.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xffffffff
    repair(-1)  # off, without a window probe
    return found


# ---- what must be so after any attack ----

def served_at_once(hf, host=V4):
    start = time.monotonic()
    assert curl(url("/hello", host)).status == 200
    assert time.monotonic() - start < (1 if LONG else 3) * SLOW, "not served at once"
    assert hf.ctl("status")
    assert hf.stat("internal_errors_total") == 0


def connections_go(hf, most=8, timeout=10):
    wait_until(lambda: hf.stat("tcp_connections") <= most, timeout, "attackers' connections gone")


def warm(hf, *paths):
    for path in (HIT, "/hello") + paths:
        curl(url(path))
        assert is_hit(curl(url(path)))


@contextlib.contextmanager
def harmless(hf, host=V4, seconds=SECONDS, rss=RSS_GROWTH):
    """wrk's traffic goes on while the block attacks, memory is bounded, and all is well after it.
    Yields the growth of drops and stats, filled in at the end."""
    growth = {"drops": collections.Counter(), "stats": collections.Counter()}
    before, drops, stats = hf.rss(), hf.drops(), hf.stats()
    with beside_wrk(HIT, seconds, host=host) as traffic:
        # what it needs to begin must not get lost in the flood: a SYN is sent again after a second only
        wait_until(lambda: hf.stat("http_requests_total") > stats["http_requests_total"], what="wrk")
        yield growth
    served_at_once(hf, host)
    assert not traffic["errors"] and traffic["rate"] > 0, traffic
    assert hf.rss() - before < rss, "memory grew"
    for name, now, then in (("drops", hf.drops(), drops), ("stats", hf.stats(), stats)):
        growth[name].update({key: now[key] - then[key] for key in now})
