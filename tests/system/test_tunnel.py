# SPDX-License-Identifier: BSD-3-Clause
"""CONNECT through holdfastd to real targets: TLS end to end, both ways at once, limits."""
import socket
import threading

import pytest

from harness import V4, V6, answer, blocks, body_hash, connect, curl, free_port, url, wait_until
from test_origin_tls import servers  # noqa: F401  (a fixture)
from test_reload import reload


class Echo:
    """Sends back what comes; the end too."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self.server.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self.run, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def run(self):
        while True:
            try:
                conn = self.server.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.echo, args=(conn,), daemon=True).start()

    def echo(self, conn):
        with conn:
            while data := conn.recv(1 << 16):
                conn.sendall(data)


@pytest.fixture
def echo():
    with Echo() as echo:
        yield echo


def ask(conn, target):
    """CONNECT; its status."""
    conn.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += conn.recv(1)
    return int(head.split()[1])


def test_tls_through_a_tunnel_and_many_bytes_both_ways(start, origin, servers, echo):  # noqa: F811
    secure = f"localhost:{servers.ports['h1']}"
    nobody = f"127.0.0.1:{free_port()}"
    hf = start(origin.url, origin={"max_in_flight": 1, "retries": 0})
    origin.on("/hit", answer(b"hit"))
    assert curl(url("/hit")).status == 200
    with connect() as conn:
        assert ask(conn, echo.target) == 405, "off by default"
    reload(hf, tunnel={"allow": [secure, echo.target, nobody]})
    servers.file(8 << 20)
    for host in V4, f"[{V6}]":
        reply = curl(f"https://{secure}/length/{8 << 20}", "--proxytunnel", "-x", f"http://{host}:80",
                     "--suppress-connect-headers", "--cacert", servers.dir / "authority.pem",
                     "--http1.1")
        assert reply.sha256 == body_hash(8 << 20)
    with connect() as conn:
        assert ask(conn, "127.0.0.1:22") == 403
    with connect() as conn:
        assert ask(conn, nobody) == 502
    conns = [connect() for _ in range(4)]
    assert {ask(conn, echo.target) for conn in conns} == {200}
    # each has its own bytes, and the end of what it says is no end of what it is told
    sent, got = list(blocks(4 << 20)), {}

    def both_ways(conn):
        def send():
            for block in sent:
                conn.sendall(block)
            conn.shutdown(socket.SHUT_WR)
        thread = threading.Thread(target=send)
        thread.start()
        with conn.makefile("rb") as stream:
            got[conn] = stream.read()
        thread.join()

    threads = [threading.Thread(target=both_ways, args=(conn,)) for conn in conns]
    for thread in threads:
        thread.start()
    assert curl(url("/hit")).status == 200
    assert curl(url("/hit?miss")).status in (200, 502)
    for thread in threads:
        thread.join()
    assert set(got.values()) == {b"".join(sent)}
    for conn in conns:
        conn.close()
    wait_until(lambda: hf.stat("tunnels_open") == 0)
    assert hf.stat('tunnels_total{outcome="closed"}') == 6
    assert hf.stat('tunnels_total{outcome="failed"}') == 1
    assert hf.stat('tunnel_bytes_total{direction="up"}') > 16 << 20
    assert hf.stat('tunnel_bytes_total{direction="down"}') > 32 << 20
    assert hf.stat("origin_fetches_total") == hf.stat("origin_requests_total") == 2
    assert hf.drops()["req_tunnel"] == 1
    # one that is silent is cut, and its client told so by a reset
    reload(hf, tunnel={"idle_timeout": "100ms"})
    with connect() as conn:
        assert ask(conn, echo.target) == 200
        with pytest.raises(ConnectionResetError):
            while conn.recv(1):
                pass
            raise AssertionError("an end that looks like one")
    wait_until(lambda: hf.stat('tunnels_total{outcome="timeout"}') == 1)
    # who asks for more than there may be
    reload(hf, tunnel={"max": 1, "idle_timeout": "60s"})
    with connect() as conn, connect() as other:
        assert (ask(conn, echo.target), ask(other, echo.target)) == (200, 503)
