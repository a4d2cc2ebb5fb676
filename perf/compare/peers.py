# SPDX-License-Identifier: BSD-3-Clause
"""Who is asked. Each is begun anew for each round, has one CPU, and the same origin behind it; all are tuned for
one core and objects in memory, as their manuals tell."""
import collections
import contextlib
import pathlib
import shutil
import string
import subprocess
import tempfile
import time

from clients import Load, Wrk, measured
from harness import HF_LOAD, V4, Holdfast, Memif
from place import SERVER, Meter, Wire, bound, named_ns, process, wait_port

Peer = collections.namedtuple("Peer", "program command files")

NGINX = """
daemon off; worker_processes 1; pid $dir/pid; error_log $dir/error.log; user root;
events { worker_connections 8192; multi_accept on; }
http {
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 600; keepalive_requests 1000000000;
  open_file_cache max=1000 inactive=600s; open_file_cache_valid 600s;
  client_body_temp_path $dir/t1; proxy_temp_path $dir/t2;
  fastcgi_temp_path $dir/t3; uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
  proxy_cache_path $dir/cache keys_zone=cache:64m use_temp_path=off;
  server {
    listen $address:80 reuseport backlog=4096;
    location / {
      proxy_pass http://127.0.0.1:$origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache cache;
    }
  }
}
"""

VARNISH = """
vcl 4.1;
backend origin { .host = "127.0.0.1"; .port = "$origin"; }
"""

HAPROXY = """
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
cache objects
  total-max-size 512
  max-object-size 4194304
  max-age 86400
frontend all
  bind $address:80 backlog 4096
  http-request cache-use objects
  http-response cache-store objects
  default_backend origin
backend origin
  server o1 127.0.0.1:$origin
"""

TRAFFIC_RECORDS = """
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.admin.user_id STRING #-1
CONFIG proxy.config.http.server_ports STRING $address:80
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 600
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.cache.ram_cache.size INT 512M
CONFIG proxy.config.cache.ram_cache_cutoff INT 4194304
CONFIG proxy.config.cache.threads_per_disk INT 1
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.reverse_proxy.enabled INT 1
"""

TRAFFIC_ROOT = "prefix: $dir\nsysconfdir: $dir\nlocalstatedir: $dir\nruntimedir: $dir\nlogdir: $dir\ncachedir: $dir\n"

TRAFFIC_ALLOW = "ip_allow: [{apply: in, ip_addrs: 0/0, action: allow, methods: ALL}]\n"

# over the kernel: which program, how it begins, its configuration
KERNEL = {
    "nginx": Peer("nginx", "nginx -p $dir -c $dir/nginx.conf", {"nginx.conf": NGINX}),
    "varnish": Peer("varnishd", "varnishd -F -j none -n $dir/work -a $address:80 -T none "
                    "-f $dir/default.vcl -s malloc,512m -p thread_pools=1 -p thread_pool_min=200 "
                    "-p listen_depth=4096", {"default.vcl": VARNISH}),
    "haproxy": Peer("haproxy", "haproxy -db -f $dir/haproxy.cfg", {"haproxy.cfg": HAPROXY}),
    "trafficserver": Peer("traffic_server", "traffic_server --run-root=$dir/runroot.yaml", {
        "runroot.yaml": TRAFFIC_ROOT, "records.config": TRAFFIC_RECORDS, "ip_allow.yaml": TRAFFIC_ALLOW,
        "remap.config": "map / http://127.0.0.1:$origin/\n", "storage.config": "$dir 256M\n"}),
}


class Kernel:
    """A server over the kernel's TCP, at the other end of a veth pair."""

    def __init__(self, name, options):
        self.peer, self.options = KERNEL[name], options

    @contextlib.contextmanager
    def running(self, origin, sizes):
        with tempfile.TemporaryDirectory() as directory, \
                Wire(addressed=True, frames=self.options.wire == "frames") as wire:
            pathlib.Path(directory).chmod(0o755)
            names = {"dir": directory, "origin": origin, "address": V4}
            for name, template in self.peer.files.items():
                pathlib.Path(directory, name).write_text(string.Template(template).substitute(names))
            command = string.Template(self.peer.command).substitute(names).split()
            log = pathlib.Path(directory, "said")
            with log.open("w") as said, process(SERVER, *command, stdout=said, stderr=said) as server:
                wait_port(V4, 80, server, log)
                self.begin(wire, server.pid, sizes)
                yield self

    def begin(self, wire, pid, sizes):
        self.client, self.meter = Wrk(wire.client, self.options.connections), Meter(pid, softirqs=True)
        self.client.fill(sizes)

    def measure(self, size):
        return measured(self.meter, lambda: self.client.ask(size, self.options.seconds))

    def more(self, size):
        """What only counts for the smallest objects."""
        ask = lambda: self.client.ask(size, self.options.seconds, close=True)  # noqa: E731
        yield size, "connection a request", measured(self.meter, ask)

    def missing(self):
        return None if shutil.which(self.peer.program) else self.peer.program


class Socket(Kernel):
    """Holdfast at the place of the kernel's servers, over AF_PACKET or AF_XDP."""

    def __init__(self, kind, options):
        self.kind, self.options = kind, options

    @contextlib.contextmanager
    def running(self, origin, sizes):
        with tempfile.TemporaryDirectory() as directory, Wire(addressed=False) as wire:
            device = Memif(directory)  # what nobody has to set up
            device.string = f"net_{self.kind}0,iface={wire.END}"
            if self.kind == "af_packet":
                device.string += ",qpairs=1,blocksz=4096,framesz=2048,framecnt=512"
            with holdfast(directory, origin, device, self.options) as hf:
                self.begin(wire, hf.process.pid, sizes)
                yield self

    def missing(self):
        return None


@contextlib.contextmanager
def holdfast(directory, origin, device, options):
    hf = Holdfast(pathlib.Path(directory), f"http://127.0.0.1:{origin}", device=device, cache={"memory": "1GiB"},
                  runtime={"drain_timeout": "0s", "hugepages": options.hugepages})
    try:
        with bound(SERVER):
            hf.start()
        yield hf
    finally:
        hf.stop()


class Shared:
    """Holdfast over memif, asked by hf-load."""

    def __init__(self, options):
        self.options = options

    def missing(self):
        return None

    @contextlib.contextmanager
    def running(self, origin, sizes):
        with tempfile.TemporaryDirectory() as directory:
            wire = Memif(directory)
            with holdfast(directory, origin, wire, self.options) as hf:
                self.hf, self.meter = hf, Meter(hf.process.pid)
                self.client = Load(wire.ends["client"], self.options.connections, self.options.hugepages)
                for size in sizes:
                    self.client.fill(size, V4)
                yield self

    def measure(self, size, *how):
        return measured(self.meter, lambda: self.client.ask(size, self.options.seconds, *how))

    def more(self, size):
        full = self.measure(size)
        yield size, "pipelined 16", self.measure(size, "--pipeline", 16)
        yield size, "connection a request", self.measure(size, "--requests-per-connection", 1)
        yield size, "half of its maximum", self.measure(size, "--rate", full["requests_s"] / 2)
        for one in size, 1024:  # as the kernel's servers are asked
            yield one, "one object", self.measure(one, "--keys", 1)
        yield size, "1000 a second", self.measure(size, "--rate", 1000, "--connections", 1)
        yield size, "misses", self.misses(size)
        yield 16384, "misses", self.misses(16384)
        yield size, "idle", self.idle()

    def misses(self, size):
        """Objects that nobody asked for before: those of another host."""
        before = named_ns(self.hf.process.pid, "origin")
        count, rate, errors = self.client.fill(size, f"m{time.monotonic_ns()}")
        origin_ns = named_ns(self.hf.process.pid, "origin") - before
        return {"requests_s": rate, "bytes_s": rate * size, "errors": errors,
                "origin_cpu_us": origin_ns / 1e3 / count}

    def idle(self):
        """Nobody asks: the share of a core that it takes all the same."""
        begin, before = time.monotonic_ns(), self.meter.ns()
        time.sleep(self.options.seconds)
        return {"core": (self.meter.ns() - before) / (time.monotonic_ns() - begin)}


class Stub:
    """hf-load's own ceiling: what it asks answers without looking."""

    def __init__(self, options):
        self.options = options

    def missing(self):
        return None

    @contextlib.contextmanager
    def running(self, _origin, _sizes):
        yield self

    def measure(self, size, *how):
        with tempfile.TemporaryDirectory() as directory:
            wire = Memif(directory)
            command = [HF_LOAD, "--stub", "--cpu", SERVER, "--device", wire.ends["server"], "--hugepages",
                       self.options.hugepages, "--address", f"{V4}/24", "--sizes", size]
            with process(SERVER, *command, stderr=subprocess.PIPE) as stub:
                assert stub.stderr.readline() == b"hf-load: ready\n"
                # what it sends for all of them must fit in the ring: it sends nothing again
                connections = max(1, min(self.options.connections, (1 << 20) // size))
                client = Load(wire.ends["client"], connections, self.options.hugepages)
                return measured(Meter(stub.pid), lambda: client.ask(
                    size, self.options.seconds, "--verify", 0, *how))

    def more(self, size):
        full = self.measure(size)
        yield size, "half of its maximum", self.measure(size, "--rate", full["requests_s"] / 2)
        yield size, "pipelined 16", self.measure(size, "--pipeline", 16)
        yield size, "connection a request", self.measure(size, "--requests-per-connection", 1)


def all_peers(options):
    return {"holdfast": Shared(options), "stub": Stub(options),
            "holdfast-af_packet": Socket("af_packet", options), "holdfast-af_xdp": Socket("af_xdp", options),
            **{name: Kernel(name, options) for name in KERNEL}}
