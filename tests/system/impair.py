# SPDX-License-Identifier: BSD-3-Clause
"""A client behind a bad wire: to holdfastd, and through the same kind of wire to nginx beside it.

      a network namespace of its own    |            the namespace of the session
                                        |
        curl -- c0 192.0.2.1 ========= hf-impair ========= holdfastd's TAP ----+
          |                             |                                      +-- origin
          +---- c1 198.51.100.1 ====== hf-impair ========= n1 198.51.100.10 ---+
                                        |                      nginx on the kernel

Both wires get the same parameters and the same seed. All kernel ends are TAPs: no offload, so every
checksum on the wire is a real one. The kernel's TCP is Linux's own default: CUBIC, with nothing
remembered from one connection to the next."""
import collections
import contextlib
import hashlib
import ipaddress
import json
import os
import pathlib
import re
import signal
import subprocess
import threading

from harness import BUILD, PEER4, PEER6, SLOW, V4, V6, Holdfast, Origin, blocks, body_hash, names, \
    read_body, say, sh, wait_until

TOOL = BUILD / "tests/system/tools/hf-impair"
NGINX4, NGINX_PEER4 = "198.51.100.10", "198.51.100.1"


class Namespace:
    """Another network. It lasts as long as a process that waits for the end of our pipe."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        self.net = f"/proc/{self.process.pid}/ns/net"
        ours = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(self.net) != ours, what="namespace")
        self.sh("ip", "link", "set", "lo", "up")

    def command(self, *words):
        return ["nsenter", f"--net={self.net}", *map(str, words)]

    def sh(self, *words):
        return sh(*self.command(*words))

    def take(self, interface):
        sh("ip", "link", "set", interface, "netns", self.process.pid)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Impair:
    """One hf-impair between two ends."""

    def __init__(self, a, b):
        self.process = subprocess.Popen([TOOL, a, b], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ok\n"

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def set(self, way, **link):
        """Everything about one way, "ab" or "ba"; what is not named is off."""
        line = " ".join([way, *(f"{key}={value}" for key, value in link.items())])
        assert self.ask(line) == "ok\n", line

    def stats(self):
        return json.loads(self.ask("stats"))

    def close(self):
        self.process.terminate()
        counters = json.loads(self.process.communicate()[0])
        assert self.process.returncode == 0
        for way in counters.values():
            # what no parameter asked for, and a measurement could not be trusted with
            assert not way["missed"] and not way["pool_full"] and not way["too_long"], counters
        return counters


def link(loss=0, delay=1, reorder=0, dup=0, corrupt=0, burst=0, jitter=0, rate=200, queue=None,
         reorder_by=None):
    """The parameters of hf-impair for either way. delay: there and back, ms. rate: Mbit/s, and
    0 is without limit. queue: bytes; one bandwidth-delay product unless said. Shares in percent.
    reorder_by: ms that such a packet is late; a quarter of the delay unless said."""
    if queue is None:
        queue = max(256 << 10, int(rate * delay * 125))
    if reorder_by is None:
        reorder_by = max(0.3, delay / 4)
    return {"loss": loss, "burst": burst, "dup": dup, "corrupt": corrupt, "reorder": reorder,
            "reorder_ms": reorder_by, "delay_ms": delay / 2, "jitter_ms": jitter,
            "rate_mbit": rate, "queue_bytes": queue}


@contextlib.contextmanager
def capture(interface, path):
    """All of TCP on the interface, or the test fails: a frame that tcpdump missed looks like a
    fault of TCP."""
    with subprocess.Popen(["tcpdump", "-ni", interface, "-s", "128", "-B", "65536", "-w", path,
                           "tcp"], stderr=subprocess.PIPE, text=True) as process:
        said = process.stderr.readline()
        while "listening on" not in said:
            assert said, "tcpdump ended"
            said = process.stderr.readline()

        def counts():
            process.send_signal(signal.SIGUSR1)
            return [int(count) for count in re.findall(r"\d+", process.stderr.readline())]
        try:
            yield
            # what the kernel still keeps for it would be lost with the signal to end
            def all_there():
                captured, received, dropped = counts()
                return captured == received and [dropped]
            assert wait_until(all_there, what="tcpdump") == [0]
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()


Transfer = collections.namedtuple("Transfer", "status length sha256 body seconds")


def mac_of(interface):
    return pathlib.Path(f"/sys/class/net/{interface}/address").read_text().strip()


class Late(AssertionError):
    """A transfer took longer than it was given."""


class Bench:
    """Client, wires, holdfastd, nginx (unless alone) and their origin, which serves /length/N and
    tells of a POST what it got."""

    def __init__(self, directory, nginx=True, congestion="cubic", memory="512MiB"):
        self.dir, self.undo = directory, contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            self._start(undo, nginx, congestion, memory)
            self.undo = undo.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.impair(rate=0)  # what connections still have to say gets through
        self.undo.close()

    def _start(self, undo, nginx, congestion, memory):
        (self.dir / "nginx/length").mkdir(parents=True)
        self.client, self.congestion = Namespace(), congestion
        undo.callback(self.client.close)
        for run in (sh, self.client.sh):
            run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")
        self.origin = undo.enter_context(Origin())
        self.origin.on("*", serve)
        self.holdfast = Holdfast(self.dir, self.origin.url,
                                 cache={"memory": memory, "max_object": "128MiB"},
                                 http={"body_rate": "0B", "header_timeout": "600s"},
                                 origin={"first_byte_timeout": "600s"})
        undo.callback(self.holdfast.stop)
        self.holdfast.start()
        self.wires = {"holdfast": self._wire_holdfast(undo)}
        self.hosts = {"holdfast": V4, "holdfast6": V6, "nginx": NGINX4}
        if nginx:
            self.wires["nginx"] = self._wire_nginx(undo)
            self._nginx(undo)
        undo.callback(self.holdfast.stop)  # before its wire goes; above: if it comes to no wire

    def _kernel_end(self, run, interface, address, peer, mac):
        """Addresses are known, not asked for: a damaged ARP answer would stop more than a packet.
        Congestion control comes with the route: a namespace may not choose it otherwise."""
        net = str(ipaddress.ip_interface(address).network)
        run("ip", "link", "set", interface, "up")
        run("ip", "addr", "add", address, "dev", interface, "noprefixroute", "nodad")
        run("ip", "route", "add", net, "dev", interface, "congctl", self.congestion)
        run("ip", "neigh", "replace", peer, "lladdr", mac, "dev", interface, "nud", "permanent")

    def _wire_holdfast(self, undo):
        device, near = self.holdfast.device.kernel, f"c0x{next(names)}"
        # the kernel's end is a socket's of the bridge, and none of the kernel's own
        sh("ip", "addr", "flush", "dev", device)
        pathlib.Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
        wire = Impair(f"tap:{near}", f"packet:{device}")
        undo.callback(wire.close)
        self.client.take(near)
        mac = self.holdfast.ctl("status")["ports"][0]["mac"]  # not that of its kernel's end
        for address, peer in ((f"{PEER4}/24", V4), (f"{PEER6}/64", V6)):
            self._kernel_end(self.client.sh, near, address, peer, mac)
        return wire

    def _wire_nginx(self, undo):
        near, far = f"c1x{next(names)}", f"n1x{next(names)}"
        wire = Impair(f"tap:{near}", f"tap:{far}")
        undo.callback(wire.close)
        macs = mac_of(near), mac_of(far)
        self.client.take(near)
        self._kernel_end(self.client.sh, near, f"{NGINX_PEER4}/24", NGINX4, macs[1])
        self._kernel_end(sh, far, f"{NGINX4}/24", NGINX_PEER4, macs[0])
        return wire

    def _nginx(self, undo):
        """As its users have it: files by sendfile, uploads passed on as they come."""
        root = self.dir / "nginx"
        (root / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log; user root;
events {{ worker_connections 1024; }}
http {{
  access_log off; default_type application/octet-stream; sendfile on; tcp_nopush on;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
  uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  client_max_body_size 0; client_body_timeout 600s; send_timeout 600s; proxy_read_timeout 600s;
  server {{
    listen {NGINX4}:80;
    location /length/ {{ root {root}; }}
    location /post {{
      proxy_pass {self.origin.url}; proxy_http_version 1.1; proxy_request_buffering off;
    }}
  }}
}}
""")
        server = subprocess.Popen(["/usr/sbin/nginx", "-p", root, "-c", root / "nginx.conf"],
                                  stderr=subprocess.DEVNULL)
        undo.callback(server.wait)
        undo.callback(server.terminate)
        wait_until((root / "pid").exists, what="nginx")

    # ---- what tests do ----

    def impair(self, seed=1, **parameters):
        """Both ways of each wire, see link()."""
        for wire in self.wires.values():
            for way in ("ab", "ba"):
                wire.set(way, seed=seed, **link(**parameters))

    def body(self, size):
        """The file that nginx serves and that is posted; the one before it goes."""
        path = self.dir / f"nginx/length/{size}"
        if not path.exists():
            for old in path.parent.iterdir():
                old.unlink()
            with path.open("wb") as out:
                for block in blocks(size):
                    out.write(block)
        return path

    def prepare(self, size):
        """Stores the body of that size in holdfastd, by wires without a fault."""
        self.impair(rate=0)
        got = self.get("holdfast", size)  # a miss, unless it has it already
        assert (got.status, got.length, got.sha256) == (200, size, body_hash(size))

    def get(self, server, size, timeout=60):
        self.body(size)
        return self._curl(server, f"/length/{size}", timeout)

    def post(self, server, size, timeout=60):
        return self._curl(server, "/post", timeout, "-X", "POST", "-T", self.body(size),
                          "-H", "Expect:")

    def _curl(self, server, path, timeout, *options):
        host = self.hosts[server]
        url = f"http://[{host}]{path}" if ":" in host else f"http://{host}{path}"
        errors = []  # read aside: neither pipe may fill up
        with subprocess.Popen(
                self.client.command("curl", "-sS", "-g", "--max-time", timeout * SLOW, *options,
                                    "-w", "%{stderr}%{http_code} %{time_total}", url),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE) as curl:
            reader = threading.Thread(target=lambda: errors.append(curl.stderr.read().decode()))
            reader.start()
            digest, length, body = hashlib.sha256(), 0, b""
            try:
                while part := curl.stdout.read1(1 << 20):
                    digest.update(part)
                    length += len(part)
                    body = (body + part)[:4096]
            except BaseException:
                curl.kill()
                raise
            finally:
                reader.join()
        if curl.returncode == 28:
            raise Late(f"curl {url}: {errors[0]}")
        assert curl.returncode == 0, f"curl {url}: {errors[0]}"
        status, seconds = errors[0].split()
        return Transfer(int(status), length, digest.hexdigest(), body, float(seconds))

    def resent(self, server, direction):
        """TCP segments that the sender of such transfers has sent again up to now."""
        if direction == "get" and server != "nginx":
            return self.holdfast.stat("tcp_retransmits_total")
        where = "self" if direction == "get" else self.client.process.pid
        head, values = [line.split() for line in pathlib.Path(f"/proc/{where}/net/snmp")
                        .read_text().splitlines() if line.startswith("Tcp:")]
        return int(values[head.index("RetransSegs")])


def serve(conn, request):
    """The origin's script."""
    if request.method == "POST":
        length, sha256 = read_body(request.stream, request.headers)
        say(conn, request, json.dumps([length, sha256]).encode(), ["Cache-Control: no-store"])
        return True
    length = int(request.target.rpartition("/")[2])
    conn.sendall(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=86400\r\nContent-Length: %d\r\n\r\n"
                 % length)
    for block in blocks(length):
        conn.sendall(block)
    return True
