# SPDX-License-Identifier: BSD-3-Clause
"""Where it runs: two CPUs, a wire of the kernel between them, and what the processes there cost.

      client's CPU                           server's CPU
      wrk, in a namespace -- veth -- veth -- a server of the kernel's, or Holdfast on the device
      hf-load --------------- memif -------- Holdfast, or a stub"""
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

from harness import HF_LOAD, PEER4, V4, free_port, sh

CLIENT, SERVER = 0, 1  # CPUs


def on_cpu(cpu, *command):
    """A command on that CPU; None: where it likes."""
    return (["taskset", "-c", str(cpu)] if cpu is not None else []) + [str(word) for word in command]


@contextlib.contextmanager
def bound(cpu):
    """What is started in here stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def process(cpu, *command, **options):
    started = subprocess.Popen(on_cpu(cpu, *command), stdin=subprocess.DEVNULL, **options)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(60)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextlib.contextmanager
def objects():
    """Every object of hf-load's, over the kernel's loopback; its port. It has the client's CPU."""
    port = free_port()
    with process(CLIENT, HF_LOAD, "--origin", f"127.0.0.1:{port}", stderr=subprocess.PIPE) as origin:
        assert origin.stderr.readline() == b"hf-load: ready\n"
        yield port


@contextlib.contextmanager
def hugepages(count):
    """So many of 2 MiB more than the machine had, as an operator sets them aside; without them it goes on with less."""
    knob = pathlib.Path("/proc/sys/vm/nr_hugepages")
    before = int(knob.read_text())
    knob.write_text(f"{before + count}\n")
    if int(knob.read_text()) < before + count:
        print("compare: not enough memory in one piece for hugepages; drop caches, or reboot", file=sys.stderr)
    try:
        yield
    finally:
        knob.write_text(f"{before}\n")


class Wire:
    """A veth pair. What arrives at an end is worked on by the CPU of that end (RPS), as with a NIC's interrupts
    there; without that the sender's CPU would do it."""
    END, NAMESPACE = "hfcompare", "client"

    def __init__(self, addressed, frames=False):
        self.addressed = addressed  # the server's end has an address, and offloads
        self.frames = frames  # but none that makes several frames of one segment
        self.client = ["ip", "netns", "exec", self.NAMESPACE]

    def __enter__(self):
        queues = "numtxqueues", "1", "numrxqueues", "1"
        sh("ip", "netns", "add", self.NAMESPACE)
        sh("ip", "link", "add", self.END, *queues, "type", "veth", "peer", "name", self.END, *queues,
           "netns", self.NAMESPACE)
        if self.addressed:
            sh("ip", "addr", "add", f"{V4}/24", "dev", self.END)
            if self.frames:
                sh("ethtool", "-K", self.END, "tso", "off", "gso", "off")
        else:  # the kernel's checksums would not be there, its segments too long
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{self.END}/disable_ipv6").write_text("1")
            for end in ([], self.client):
                sh(*end, "ethtool", "-K", self.END, "tx", "off")
        sh(*self.client, "ip", "addr", "add", f"{PEER4}/24", "dev", self.END)
        for end, cpu in (([], SERVER), (self.client, CLIENT)):
            sh(*end, "sh", "-c", f"echo {1 << cpu:x} >/sys/class/net/{self.END}/queues/rx-0/rps_cpus")
            sh(*end, "ip", "link", "set", self.END, "up")
        return self

    def __exit__(self, *_):
        sh("ip", "link", "del", self.END)
        sh("ip", "netns", "del", self.NAMESPACE)


def isolate():
    """Into namespaces of our own: network, mounts, and the names of network namespaces. Who is terminated from now on
    ends what it began."""
    import conftest  # noqa: F401
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.makedirs("/run/netns", exist_ok=True)
    sh("mount", "-t", "tmpfs", "none", "/run/netns")


# ---- what it costs ----

def parents():
    """Of each process, its parent."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    return found


def family(pid):
    """A process and all below it."""
    found, above = [pid], parents()
    for one in found:
        found += [child for child, parent in above.items() if parent == one]
    return found


def threads_ns(pid):
    """CPU time so far, by thread: user's and kernel's, with the softirqs that ran in its turn."""
    spent = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            spent[int(task.name)] = int((task / "schedstat").read_text().split()[0])
    return spent


def softirq_thread(cpu):
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text() == f"ksoftirqd/{cpu}\n":
                return int(comm.parent.name)
    return None  # in a container it may be hidden


class Meter:
    """CPU time of a process with all below it; over a wire of the kernel's also of the thread that does its CPU's
    softirqs when they are many."""

    def __init__(self, pid, softirqs=False):
        self.pid, self.softirq = pid, softirq_thread(SERVER) if softirqs else None

    def ns(self):
        pids = family(self.pid) + ([self.softirq] if self.softirq else [])
        return sum(sum(threads_ns(pid).values()) for pid in pids)

    def memory(self):
        """Bytes, what is shared counted once."""
        return sum(int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(),
                                 re.M)[1]) * 1024 for pid in family(self.pid))


def named_ns(pid, name):
    """CPU time of the threads of that name."""
    return sum(spent for thread, spent in threads_ns(pid).items()
               if pathlib.Path(f"/proc/{pid}/task/{thread}/comm").read_text().startswith(name))


def wait_port(host, port, server, log):
    """Until the server listens; what it said when it does not."""
    end = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection((host, port), timeout=1).close()
            return
        assert server.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.05)
