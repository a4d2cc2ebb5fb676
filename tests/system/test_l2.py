# SPDX-License-Identifier: BSD-3-Clause
"""The second tier: real redis-servers, two Holdfasts that share them."""
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import harness
from plane import ControlPlane, document

FRESH = ["Cache-Control: max-age=600"]


class Redis:
    """A server of its own port, which may be killed and come back."""

    def __init__(self, directory, name):
        self.name, self.port, self.process = name, harness.free_port(), None
        self.dir = directory / f"redis-{name}"
        self.dir.mkdir()
        self.begin()

    def begin(self):
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
             "--dir", str(self.dir), "--requirepass", "open-sesame"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def listens():
            with contextlib.suppress(OSError):
                return self.ask("PING") == "PONG"
        harness.wait_until(listens, what="redis-server")

    def ask(self, *words):
        """A command's reply that is of one line."""
        with socket_to(self.port) as (conn, stream):
            for command in (("AUTH", "open-sesame"), words):
                conn.sendall(b"*%d\r\n" % len(command) + b"".join(
                    b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in command))
                line = stream.readline().decode().strip()
            return line[1:]

    def responses(self):
        """How many it has, without marks of purges, which are 36 bytes long."""
        return int(self.ask("EVAL", """
            local count = 0
            for _, key in ipairs(redis.call('KEYS', '*')) do
                if redis.call('TYPE', key).ok == 'string' and redis.call('STRLEN', key) > 36 then
                    count = count + 1
                end
            end
            return count""", "0"))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, on):
        os.kill(self.process.pid, signal.SIGSTOP if on else signal.SIGCONT)

    def deaf(self, on):
        """Nobody may listen to what it tells."""
        assert self.ask("ACL", "SETUSER", "default", f"{'-' if on else '+'}subscribe") == "OK"
        if on:
            self.ask("CLIENT", "KILL", "TYPE", "pubsub")


class Wire:
    """In front of a server (wire.py)."""

    def __init__(self, to):
        self.process = subprocess.Popen([sys.executable, harness.ROOT / "tests/system/wire.py", str(to)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def slow(self, delay):
        print(delay, file=self.process.stdin, flush=True)

    def close(self):
        self.process.communicate()


@contextlib.contextmanager
def socket_to(port):
    with harness.connect("127.0.0.1", port) as conn, conn.makefile("rb") as stream:
        yield conn, stream


def cut(server, on):
    """Nothing reaches it, and nobody is told."""
    rules = f"table ip l2cut {{ chain in {{ type filter hook input priority 0; " \
            f"tcp dport {server.port} drop; }}; }}"
    harness.sh("nft", f"add table ip l2cut; delete table ip l2cut;{rules if on else ''}")


def get(hf, path, *options):
    """From that one: both have the same addresses."""
    return harness.curl(harness.url(path), "--interface", f"if!{hf.device.kernel}", *options)


@contextlib.contextmanager
def fleet(start, tmp_path, nodes=3, edges=2, timeout="10s", origin=None, wire=None, **l2):
    """So many Holdfasts that share so many servers; all go by one document. timeout: the servers', which a busy
    machine must not bring about where nothing is to fail. wire: what is in front of the first server."""
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(origin or harness.Origin())
        servers = []
        stack.callback(lambda: [server.kill() for server in servers])
        for i in range(nodes):
            servers.append(Redis(tmp_path, f"n{i}"))
        ports = [server.port for server in servers]
        if wire:
            ports[0] = stack.enter_context(contextlib.closing(wire(ports[0]))).port
        secret = tmp_path / "secret"
        secret.write_text("open-sesame\n")
        tier = {"nodes": [{"id": server.name, "url": f"redis://127.0.0.1:{port}"}
                          for server, port in zip(servers, ports)], **l2}
        plane = stack.enter_context(
            ControlPlane(tmp_path, document("v1", origin.url, l2=tier)))
        plane.tier = tier
        holdfasts = [start(origin.url, control_plane={**plane.config, "state_file": ""},
                           cache={"memory": "32MiB"},  # a purge's walk waits after each step
                           l2={"secret_file": str(secret), "connect_timeout": timeout,
                               "read_timeout": timeout, "write_timeout": timeout},
                           bootstrap=False) for _ in range(edges)]
        for hf in holdfasts:
            harness.wait_until(lambda hf=hf: hf.stat("l2_shards") == nodes, what="the ring")
        yield origin, servers, plane, holdfasts


def test_what_one_fetched_another_has_from_l2(start, tmp_path):
    with fleet(start, tmp_path) as (origin, servers, plane, (a, b)):
        origin.on("*", harness.answer(b"x" * 5000, FRESH))
        for i in range(10):
            assert get(a, f"/{i}").length == 5000
        harness.wait_until(lambda: sum(int(server.ask("DBSIZE")) for server in servers) == 10,
                           what="all in L2")
        assert len([server for server in servers if server.ask("DBSIZE") != "0"]) > 1
        for i in range(10):
            reply = get(b, f"/{i}")
            assert reply.length == 5000 and harness.is_hit(reply)
        assert len(origin.seen) == 10
        stats = b.stats()
        assert [stats[name] for name in ("l2_hit_total", "l2_miss_total", "valkey_miss_total",
                                         "l2_get_error_total", "storage_error_total")] == [
            10, 0, 0, 0, 0]
        assert a.stat("valkey_miss_total") == 10
        assert 'holdfast_l2_seconds_count{op="get"} 10' in b.ask("/metrics")[1]
        assert harness.is_hit(get(b, "/0")) and b.stat("l1_hit_total") == 1

        a.ctl("purge", harness.url("/0"))
        harness.wait_until(lambda: sum(server.responses() for server in servers) == 9,
                           what="purged in L2")
        harness.wait_until(lambda: all(int(server.ask("HLEN", "holdfast:1:purges")) > 0
                                       for server in servers), what="told by each server")
        for path in ("/0", "/1"):  # the other one stored both
            harness.wait_until(lambda path=path: not harness.is_hit(get(b, path)), timeout=5,
                               what="purged at the other one")
            a.ctl("purge", "--prefix", "/1")
        assert len(origin.seen) == 12

        rows = b.ctl("l2", "status")["rows"]
        assert [row[0] for row in rows] == ["n0", "n1", "n2"]
        assert {row[5] for row in rows} == {"closed"}
        assert "open-sesame" not in "".join(a.lines + b.lines)


def test_cold_nodes_ask_for_a_popular_key_once_with_a_lease(start, tmp_path):
    with fleet(start, tmp_path, nodes=1, edges=4) as (origin, _, plane, edges):
        def popular(path):
            """Two clients at each edge want it at once, and no edge has it: how often the origin was asked, and
            how many edges had it from L2."""
            gate, body = threading.Event(), os.urandom(5000)

            def held(conn, request):
                assert gate.wait(30)
                harness.say(conn, request, body, FRESH)
                return True
            origin.on(path, held)
            replies, missed, found = [], *([hf.stat(name) for hf in edges]
                                           for name in ("l2_miss_total", "l2_hit_total"))
            clients = [threading.Thread(target=lambda hf=hf: replies.append(get(hf, path).body))
                       for hf in edges for _ in range(2)]
            for client in clients:
                client.start()
            try:
                for hf, before in zip(edges, missed):
                    harness.wait_until(lambda hf=hf, before=before: hf.stat("l2_miss_total") > before,
                                       what="a miss at each")
            finally:
                gate.set()
                for client in clients:
                    client.join()
            assert replies == [body] * len(clients)
            return origin.count(path), sum(hf.stat("l2_hit_total") for hf in edges) - sum(found)
        assert popular("/each") == (len(edges), 0)
        plane.state(document("v2", origin.url, l2={**plane.tier, "lease_ms": 60000}))
        for hf in edges:
            hf.wait_log('state "v2" is in force')
        assert popular("/leased") == (1, len(edges) - 1)


def test_what_nobody_could_tell_is_not_served_for_longer_than_l1_ttl(start, tmp_path):
    with fleet(start, tmp_path, nodes=2, l1_ttl=1) as (origin, servers, plane, (a, b)):
        for server in servers:
            server.deaf(True)
        origin.on("/a", harness.answer(b"old", FRESH))
        assert get(a, "/a").body == b"old"
        assert get(b, "/a").body == b"old"
        stored = time.monotonic()
        origin.on("/a", harness.answer(b"new", FRESH))
        a.ctl("purge", harness.url("/a"))
        assert get(a, "/a").body == b"new"

        def asked():
            """When it was asked for what it has still."""
            before = time.monotonic()
            return before if get(b, "/a").body == b"old" else None
        last = stored
        while now := asked():
            last = now
        assert last - stored <= 1 + 1  # whole seconds, of which the first one has begun
        for server in servers:
            server.deaf(False)


def test_no_request_fails_whatever_servers_do(start, tmp_path):
    with fleet(start, tmp_path, timeout="25ms") as (origin, servers, plane, (a, b)):
        origin.on("*", harness.answer(b"x" * 2000, ["Cache-Control: max-age=1"]))
        took, failed, done = [], [], threading.Event()

        def load(hf, begin):
            i = begin
            while not done.is_set():
                before = time.monotonic()
                reply = get(hf, f"/{i % 50}-{begin}")
                took.append(time.monotonic() - before)
                if reply.status != 200 or reply.length != 2000:
                    failed.append(reply)
                i += 1
        clients = [threading.Thread(target=load, args=(hf, begin))
                   for hf in (a, b) for begin in (0, 1)]
        for client in clients:
            client.start()
        try:
            def more(count):
                until = len(took) + count
                harness.wait_until(lambda: len(took) >= until, timeout=30, what="load")
            more(40)
            servers[0].kill()
            servers[1].stop(True)
            more(40)

            def dead(hf):
                """How often those two were asked in vain, once it is not by every request any more."""
                rows = [row for row in hf.ctl("l2", "status")["rows"] if row[0] in ("n0", "n1")]
                return all(row[5] != "closed" for row in rows) and sum(row[9] for row in rows)
            for hf in (a, b):
                before, since = harness.wait_until(lambda hf=hf: dead(hf), 30), time.monotonic()
                more(20)
                probes = 2 * (1 + (time.monotonic() - since) / 0.25)
                after = dead(hf)
                assert after and after - before <= probes + len(clients)
            servers[2].ask("FLUSHALL")
            servers[2].ask("CONFIG", "SET", "maxmemory", "1")  # it takes no more
            more(40)
            servers[2].ask("CONFIG", "SET", "maxmemory", "0")
            servers[1].stop(False)
            servers[0].begin()
            servers[0].ask("CLIENT", "PAUSE", "200")
            cut(servers[1], True)
            more(60)
        finally:
            servers[1].stop(False)
            cut(servers[1], False)
            done.set()
            for client in clients:
                client.join()
        assert not failed
        stats = a.stats()
        assert stats["l2_get_error_total"] > 0
        assert stats["valkey_get_fallback_total"] >= stats["l2_get_error_total"]
        assert a.stat("valkey_set_fallback_total") + b.stat("valkey_set_fallback_total") > 0
        for hf in (a, b):  # by itself: a probe goes with a request
            def closed(hf=hf):
                get(hf, f"/{time.monotonic()}")
                return {row[5] for row in hf.ctl("l2", "status")["rows"]} == {"closed"}
            harness.wait_until(closed, timeout=30, what="all nodes back")


# ---- figures ----

class Load(harness.Clients):
    """Requests at a constant rate, whatever becomes of them: of what both have in L1, of what the other one
    fetched a second ago, of what nobody has."""
    KINDS, RATE, EACH = ("hit", "L2", "miss"), 20, 3  # a second and connection; connections of a kind

    def __init__(self, edges):
        self.took, self.failed = [], []
        self.fetched, self.number = {hf: [] for hf in edges}, itertools.count()
        other = dict(zip(edges, reversed(edges)))
        super().__init__(self._client, [(hf, other[hf], kind)
                                        for hf in edges for kind in self.KINDS for _ in range(self.EACH)])

    def _path(self, hf, other, kind):
        if kind == "hit":
            return "/mix/0"
        ready = self.fetched[other]
        if kind == "L2" and ready and time.monotonic() - ready[0][0] > 1:
            with contextlib.suppress(IndexError):  # another thread's
                return ready.pop(0)[1]
        return f"/mix/{next(self.number)}3"

    def _client(self, hf, other, kind):
        with harness.Conn(socket.AF_INET) as conn:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, hf.device.kernel.encode())
            conn.settimeout(10)
            conn.connect((harness.V4, 80))
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream, due = conn.makefile("rb"), time.monotonic()
            while not self.stop.is_set():
                due += 1 / self.RATE
                time.sleep(max(0, due - time.monotonic()))
                path = self._path(hf, other, kind)
                conn.sendall(f"GET {path} HTTP/1.1\r\nHost: {harness.V4}\r\n\r\n".encode())
                reply = harness.read_answer(stream)
                now = time.monotonic()
                if reply.status != 200 or reply.length not in harness.Nginx.MIX:
                    self.failed.append(reply)
                    return
                self.took.append((now, kind, now - due))  # from when it was to be sent
                if kind == "miss":
                    self.fetched[hf].append((now, path))

    def figures(self, since):
        """Of each kind: p50, p99, the longest, ms."""
        rows = {}
        for kind in self.KINDS:
            took = sorted(1000 * t for at, of, t in self.took if of == kind and at >= since)
            assert len(took) > 50
            rows[kind] = [took[len(took) // 2], took[len(took) * 99 // 100], took[-1]]
        return rows


@pytest.mark.skipif(not os.environ.get("HF_LONG"), reason="figures: set HF_LONG=1, HF_TIMEOUT=600")
def test_what_an_ill_server_costs(start, tmp_path):
    wires = []

    def wire(port):
        wires.append(Wire(port))
        return wires[0]
    (tmp_path / "nginx").mkdir()
    with fleet(start, tmp_path, timeout="25ms", origin=harness.Nginx(tmp_path / "nginx"),
               wire=wire) as (_, (server, *_), plane, both):
        faults = {
            "killed": (server.kill, server.begin),
            "hung": (lambda: server.stop(True), lambda: server.stop(False)),
            "slow, 10 ms": (lambda: wires[0].slow(0.010), lambda: wires[0].slow(0)),
            "slow, 100 ms": (lambda: wires[0].slow(0.100), lambda: wires[0].slow(0)),
            "cut": (lambda: cut(server, True), lambda: cut(server, False)),
            "full": (lambda: server.ask("CONFIG", "SET", "maxmemory", "1"),
                     lambda: server.ask("CONFIG", "SET", "maxmemory", "0")),
            "flushed": (lambda: server.ask("FLUSHALL"), lambda: None)}

        def closed():
            return all(row[5] == "closed" for hf in both for row in hf.ctl("l2", "status")["rows"])

        def failures():
            return sum(row[9] for hf in both for row in hf.ctl("l2", "status")["rows"])
        with Load(both) as load:
            time.sleep(3)
            for fault, (begin, end) in faults.items():
                found, failed = {}, {}
                for when, change in ("before", lambda: None), ("during", begin), ("after", end):
                    change()
                    since = time.monotonic()
                    if when != "during":
                        harness.wait_until(closed, timeout=30, what="all nodes back")
                    back, failed[when] = time.monotonic() - since, -failures()
                    time.sleep(8)
                    found[when] = load.figures(since)
                    failed[when] += failures()
                    figures = ", ".join(
                        f"{kind} {p50:.1f}/{p99:.1f}/{most:.1f}"
                        for kind, (p50, p99, most) in found[when].items())
                    print(f"{fault:12} {when:6} p50/p99/max ms: {figures}; "
                          f"failed questions: {failed[when]}" +
                          (f"; all back after {1000 * back:.0f} ms" if when == "after" else ""))
                assert failed["before"] == failed["after"] == 0
                assert not load.failed
                for kind in load.KINDS:  # L2's timeout, twice, beside what the machine does
                    assert found["during"][kind][1] <= found["before"][kind][1] + 60
        purged = []
        for i in range(100):
            for hf in both:
                get(hf, f"/mix/{i}4")
            before = time.monotonic()
            both[0].ctl("purge", harness.url(f"/mix/{i}4"))
            harness.wait_until(lambda i=i: not harness.is_hit(get(both[1], f"/mix/{i}4")))
            purged.append(1000 * (time.monotonic() - before))
        purged.sort()
        print(f"purged at the other one after p50 {purged[50]:.0f}, p99 {purged[98]:.0f} ms")
        assert purged[98] < 1000
