# SPDX-License-Identifier: BSD-3-Clause
"""The second tier: real redis-servers, two Holdfasts that share them."""
import contextlib
import os
import signal
import subprocess
import threading
import time

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

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, on):
        os.kill(self.process.pid, signal.SIGSTOP if on else signal.SIGCONT)


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
def fleet(start, tmp_path, nodes=3, timeout="10s", **l2):
    """Two Holdfasts that share so many servers; both go by one document. timeout: the servers', which a busy
    machine must not bring about where nothing is to fail."""
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(harness.Origin())
        servers = []
        stack.callback(lambda: [server.kill() for server in servers])
        for i in range(nodes):
            servers.append(Redis(tmp_path, f"n{i}"))
        secret = tmp_path / "secret"
        secret.write_text("open-sesame\n")
        tier = {"nodes": [{"id": server.name, "url": f"redis://127.0.0.1:{server.port}"}
                          for server in servers], **l2}
        plane = stack.enter_context(
            ControlPlane(tmp_path, document("v1", origin.url, l2=tier)))
        plane.tier = tier
        both = [start(origin.url, control_plane={**plane.config, "state_file": ""},
                      l2={"secret_file": str(secret), "connect_timeout": timeout,
                          "read_timeout": timeout, "write_timeout": timeout},
                      bootstrap=False) for _ in range(2)]
        for hf in both:
            harness.wait_until(lambda hf=hf: hf.stat("l2_shards") == nodes, what="the ring")
        yield origin, servers, plane, both


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
        assert harness.is_hit(get(b, "/0")) and b.stat("l1_hit_total") == 1

        a.ctl("purge", harness.url("/0"))
        harness.wait_until(lambda: sum(int(server.ask("DBSIZE")) for server in servers) == 9 + 3,
                           what="deleted in L2, and told by each server")
        for path in ("/0", "/1"):  # the other one stored both
            harness.wait_until(lambda path=path: not harness.is_hit(get(b, path)), timeout=5,
                               what="purged at the other one")
            a.ctl("purge", "--prefix", "/1")
        assert len(origin.seen) == 12
        def slow(conn, request):
            conn.settimeout(10)
            time.sleep(0.3)  # so that the other asks meanwhile
            harness.say(conn, request, b"slow", FRESH)
            return True
        origin.on("/slow", slow)
        leased = document("v2", origin.url, l2={**plane.tier, "lease_ms": 10000})
        plane.state(leased)
        for hf in (a, b):
            hf.wait_log('state "v2" is in force')
        clients = [threading.Thread(target=get, args=(hf, "/slow")) for hf in (a, b)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert origin.count("/slow") == 1

        rows = b.ctl("l2", "status")["rows"]
        assert [row[0] for row in rows] == ["n0", "n1", "n2"]
        assert {row[5] for row in rows} == {"closed"}
        assert "open-sesame" not in "".join(a.lines + b.lines)


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
            more(80)
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
