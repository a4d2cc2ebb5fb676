# SPDX-License-Identifier: BSD-3-Clause
"""What the system tests stand on: holdfastd on a port of its own, origins, and clients."""
import collections
import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("HF_BUILD", ROOT / "build")).resolve()
HOLDFASTD = BUILD / "app/holdfastd/holdfastd"
HOLDFASTCTL = BUILD / "app/holdfastctl/holdfastctl"
HF_LOAD = BUILD / "perf/hf-load"
LSAN = ROOT / "tests/system/lsan.supp"
SANITIZED = "asan" in BUILD.name
SLOW = 5 if SANITIZED else 1  # deadlines only; nothing waits that long when all is well
V4, V6 = "192.0.2.10", "2001:db8::10"
PEER4, PEER6 = "192.0.2.1", "2001:db8::1"
names = itertools.count()


def sh(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True,
                          **options).stdout


def wait_until(condition, timeout=10, what="condition"):
    """Polls what cannot be waited on. For state of the kernel and of holdfastd, never for time."""
    end = time.monotonic() + timeout * SLOW
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} not within {timeout * SLOW} s"
        time.sleep(0.005)
    return value


def meminfo(key):
    return int(re.search(rf"^{key}:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)[1])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# ---- holdfastd ----

class Device:
    """The port of a Holdfast and the kernel's end of its wire."""

    def __init__(self, kind):
        self.kind, self.kernel = kind, f"hf{os.getpid() % 10000}x{next(names)}"
        if kind == "tap":
            self.string = f"net_tap0,iface={self.kernel}"
        else:
            self.inner = "v" + self.kernel[2:]
            self.string = f"net_{kind}0,iface={self.inner}"
            if kind == "af_packet":
                self.string += ",qpairs=1,blocksz=4096,framesz=2048,framecnt=512"

    def before(self):
        if self.kind != "tap":
            # one queue: an AF_XDP socket hears one, and the kernel would spread over more
            one = "numtxqueues", "1", "numrxqueues", "1"
            sh("ip", "link", "add", self.kernel, *one, "type", "veth", "peer", "name", self.inner,
               *one)
            # the inner end has no kernel stack: what comes in is holdfastd's alone
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{self.inner}/disable_ipv6").write_text("1")
            for end in (self.kernel, self.inner):
                sh("ethtool", "-K", end, "tx", "off")
                sh("ip", "link", "set", end, "up")

    def after(self):
        """When holdfastd serves: the kernel's addresses."""
        pathlib.Path(f"/proc/sys/net/ipv6/conf/{self.kernel}/accept_dad").write_text("0")
        sh("ip", "addr", "add", f"{PEER4}/24", "dev", self.kernel)
        sh("ip", "-6", "addr", "add", f"{PEER6}/64", "dev", self.kernel, "nodad")
        sh("ip", "link", "set", self.kernel, "up")

    def remove(self):
        if self.kind != "tap":
            sh("ip", "link", "del", self.kernel)

    def exists(self):
        return pathlib.Path(f"/sys/class/net/{self.kernel}").exists()


class Memif(Device):
    """No kernel at the other end, but another DPDK program."""

    def __init__(self, directory):
        self.kind = "memif"
        self.ends = {role: f"net_memif0,role={role},socket={directory}/memif.sock,socket-abstract=no"
                     for role in ("server", "client")}
        self.string = self.ends["server"]

    def before(self):
        pass

    after = remove = before


class Control:
    """Commands over one connection: a process for each would be too slow for a race."""

    def __init__(self, hf):
        self.conn = socket.socket(socket.AF_UNIX)
        self.conn.settimeout(10 * SLOW)
        self.conn.connect(str(hf.socket))
        self.stream = self.conn.makefile("rb")

    def call(self, command, **args):
        self.conn.sendall(json.dumps({"id": 1, "command": command, "args": args}).encode() + b"\n")
        told = json.loads(self.stream.readline())
        assert told["ok"], told
        return told["result"]


class Holdfast:
    of_test = []  # for the report of a failed test

    def __init__(self, directory, url, device="tap", workers=1, hugepages="off", bootstrap=True,
                 **sections):
        self.dir, self.process = directory, None
        self.device = Device(device) if isinstance(device, str) else device
        self.socket, self.lines, self.log = directory / "ctl.sock", [], threading.Condition()
        self.name, self.admin = f"{os.getpid()}-{next(names)}", f"127.0.0.1:{free_port()}"
        state = directory / "state.json"
        state.write_text(json.dumps({
            "schema": 1, "version": "1", "issued_at": "2026-01-01T00:00:00Z",
            "origins": [{"group": "demo", "id": "o1", "url": url, "weight": 1}],
            "routes": [{"id": "default", "host": "*", "path": "/", "group": "demo"}]}))
        config = {
            "workers": workers,
            "ports": [{"device": self.device.string, "addresses": [f"{V4}/24", f"{V6}/64"]}],
            "listen": [80],
            "cache": {"memory": "256MiB"},
            "bootstrap_state": str(state) if bootstrap else "",
            "ctl": {"socket": str(self.socket)},
            "origin": {"patience": "30s"},  # an origin of ours is late on a busy machine, and not silent
            "metrics": {"listen": self.admin},
            "runtime": {"hugepages": hugepages}}
        for section, keys in sections.items():
            config[section] = {**config.get(section, {}), **keys}
        self.config = directory / "holdfast.yaml"
        self.config.write_text(json.dumps(config, indent=1))  # JSON is YAML

    def start(self):
        Holdfast.of_test.append(self)
        self.lines.clear()
        self.device.before()
        self.process = subprocess.Popen(
            [HOLDFASTD, "-c", self.config], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace",
            env={**os.environ, "HF_TEST": self.name,
                 "LSAN_OPTIONS": f"print_suppressions=0:suppressions={LSAN}"})
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.wait_log(r" INFO holdfastd: ready", 30)
        self.device.after()
        return self

    def _read(self):
        for line in self.process.stderr:
            with self.log:
                self.lines.append(line)
                self.log.notify_all()
        with self.log:
            self.lines.append("")  # end of file
            self.log.notify_all()

    def wait_log(self, pattern, timeout=10):
        def found():
            return [line for line in self.lines if re.search(pattern, line)] or \
                (self.lines and self.lines[-1] == "")
        with self.log:
            assert self.log.wait_for(found, timeout * SLOW), f"no log line like {pattern!r}"
            hits = [line for line in self.lines if re.search(pattern, line)]
        assert hits, "holdfastd ended:\n" + "".join(self.lines[-30:])
        return hits[-1]

    def stop(self, timeout=40):
        """SIGTERM unless it is gone already; then nothing may be left."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise AssertionError("holdfastd did not end after SIGTERM") from None
        finally:
            self.reader.join()
            leaked_tap = self.device.kind == "tap" and self.device.exists()
            self.device.remove()
        log = "".join(self.lines)
        assert process.returncode == 0, f"holdfastd ended with {process.returncode}:\n{log[-4000:]}"
        for word in ("panic", "Sanitizer", "runtime error:"):
            assert word not in log, f"{word} in the log:\n{log[-4000:]}"
        assert not leaked_tap, "TAP left behind"
        assert not self.socket.exists(), "socket left behind"
        assert not self.family(), "processes left behind"

    def kill(self):
        """SIGKILL, and what EAL leaves behind then goes."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        shutil.rmtree(f"/var/run/dpdk/hf-{self.process.pid}")

    def family(self):
        """Every process that carries our mark."""
        mark = f"HF_TEST={self.name}\0".encode()
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes() + b"\0":
                    found.append(int(path.parent.name))
        return found

    def ctl(self, *words, as_json=True, code=0):
        """What holdfastctl prints; it must end with the code, if not None."""
        command = [HOLDFASTCTL, "-s", self.socket] + ["--json"] * as_json + list(words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30 * SLOW)
        assert code in (None, done.returncode), f"{words}: {done.returncode} {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if as_json and code == 0 else done.stdout + done.stderr

    def ask(self, path):
        """Status and body of a resource of the admin listener; 0 without an answer."""
        done = subprocess.run(["curl", "-s", "-m", str(10 * SLOW), "-w", "%{http_code}",
                               f"http://{self.admin}{path}"], capture_output=True, text=True)
        return int(done.stdout[-3:]), done.stdout[:-3]

    def stat(self, name):
        return self.stats()[name]

    def stats(self):
        """By name{labels}; the sum over a family also by its name."""
        found = dict(table(self.ctl("stats"), "name", "value"))
        for title in [title for title in found if "{" in title]:
            name = title.split("{")[0]
            found[name] = found.get(name, 0) + found[title]
        return found

    def drops(self):
        return table(self.ctl("drops"), "reason", "count")

    def rss(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def table(result, key, value):
    """{"columns": [...], "rows": [...]} as a dict of two of its columns."""
    columns = result["columns"]
    return collections.defaultdict(
        int, {row[columns.index(key)]: row[columns.index(value)] for row in result["rows"]})


# ---- bodies ----

SEED = random.Random(2).randbytes(1 << 20)


def blocks(length):
    """A body whose every MiB differs, so that nothing lost, doubled or moved has the same hash."""
    for i in range(0, length, 1 << 20):
        yield (i.to_bytes(8, "big") + SEED)[:min(1 << 20, length - i)]


def body_hash(length):
    digest = hashlib.sha256()
    for block in blocks(length):
        digest.update(block)
    return digest.hexdigest()


# ---- origins ----

class Nginx:
    MIX = [50, 100, 200, 300, 500, 1000, 2000, 4000, 8000, 16384]

    def __init__(self, directory):
        self.dir, self.port = directory, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (directory / "data").mkdir()
        os.chmod(directory, 0o755)
        for i, length in enumerate(self.MIX):
            (directory / f"data/mix{i}").write_bytes(SEED[:length])
        (directory / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log; user root;
events {{ worker_connections 2048; }}
http {{
  access_log off; default_type application/octet-stream; sendfile on;
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2;
  fastcgi_temp_path {directory}/t3; uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  client_max_body_size 0; keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{self.port};
    add_header Cache-Control max-age=600;
    location /hello {{ return 200 "hello\\n"; }}
    location /length/ {{ alias {directory}/data/; }}
    location /chunked/ {{ alias {directory}/data/; ssi on; ssi_types *; ssi_min_file_chunk 64k; }}
    location ~ ^/mix/\\d*(\\d)$ {{ alias {directory}/data/mix$1; }}
    location /upload/ {{ dav_methods PUT; root {directory}; create_full_put_path on; }}
  }}
}}
""")

    def file(self, length):
        path = self.dir / f"data/{length}"
        if not path.exists():
            with path.open("wb") as out:
                for block in blocks(length):
                    out.write(block)
        return path.name

    def start(self):
        """Again, too, after it ended."""
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-p", self.dir,
                                         "-c", self.dir / "nginx.conf"], stderr=subprocess.DEVNULL)

        def listens():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return True
        wait_until(listens, what="nginx")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir)  # there may be a GiB in it


Request = collections.namedtuple("Request", "method target version headers stream")


class Origin:
    """A scripted origin: on(path, fn); fn(conn, request) says and does what it likes on the socket,
    and returns True to keep the connection. A thread a connection."""

    def __init__(self):
        self.seen, self.scripts, self.lock = [], {}, threading.Lock()
        self.conns = set()
        self.server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.server.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def on(self, path, script):
        self.scripts[path] = script

    def count(self, path):
        with self.lock:
            return sum(request.target == path for request in self.seen)

    def __enter__(self):
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.server.close()
        with self.lock:
            conns = list(self.conns)
        for conn in conns:
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.server.accept()
                conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with self.lock:
            self.conns.add(conn)
        with conn, conn.makefile("rb") as stream, contextlib.suppress(OSError, ValueError):
            while line := stream.readline():
                method, target, version = line.decode("latin-1").split()
                request = Request(method, target, version, read_headers(stream), stream)
                with self.lock:
                    self.seen.append(request)
                script = self.scripts.get(target, self.scripts.get("*"))
                if not script or not script(conn, request):
                    break
        with self.lock:
            self.conns.discard(conn)


def read_headers(stream):
    headers = []
    while (line := stream.readline().rstrip(b"\r\n")):
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name.lower(), value.strip()))
    return headers


def read_body(stream, headers):
    """Length and sha256 of a request's or response's body."""
    digest, total, fields = hashlib.sha256(), 0, dict(headers)

    def take(length):
        nonlocal total
        while length:
            part = stream.read(min(length, 1 << 20))
            if not part:
                raise EOFError(f"{length} bytes missing")
            digest.update(part)
            total += len(part)
            length -= len(part)

    if fields.get("transfer-encoding") == "chunked":
        while length := int(stream.readline().split(b";")[0], 16):
            take(length)
            assert stream.readline() == b"\r\n"
        read_headers(stream)
    else:
        take(int(fields.get("content-length", 0)))
    return total, digest.hexdigest()


def answer(body=b"", headers=("Cache-Control: max-age=600",), status="200 OK"):
    """A script: a plain answer with Content-Length, the connection stays."""
    def script(conn, request):
        read_body(request.stream, request.headers)
        say(conn, request, body, headers, status)
        return True
    return script


def say(conn, request, body, headers, status="200 OK"):
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""])
    conn.sendall(head.encode() + (b"" if request.method == "HEAD" else body))


def chunked(length, headers=("Cache-Control: max-age=600",)):
    """A script: a chunked answer of chunks that fit no buffer evenly."""
    head = "\r\n".join(["HTTP/1.1 200 OK", *headers, "Transfer-Encoding: chunked", "", ""])

    def script(conn, request):
        conn.sendall(head.encode())
        for block in blocks(length):
            for at in range(0, len(block), 70001):
                part = block[at:at + 70001]
                conn.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        conn.sendall(b"0\r\n\r\n")
        return True
    return script


# ---- clients ----

# lines: the headers in their order, each of equal ones; from raw connections only
Answer = collections.namedtuple("Answer", "status headers length sha256 body code lines",
                                defaults=[0, ()])


def url(path, host=V4):
    return f"http://[{host}]{path}" if ":" in host else f"http://{host}{path}"


def curl(target, *options, timeout=60, code=0):
    """GET with curl. The answer's header names are in lower case, the last of equal ones wins.
    code: 0 or 1: curl must succeed or fail; None: either."""
    done = subprocess.Popen(
        ["curl", "-sS", "-g", "-i", "--max-time", str(timeout * SLOW), *map(str, options), target],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    status, headers = 100, []
    while status < 200:
        line = done.stdout.readline().split()
        if not line:
            break
        status, headers = int(line[1]), read_headers(done.stdout)
    digest, length, body = hashlib.sha256(), 0, b""
    while part := done.stdout.read(1 << 20):
        digest.update(part)
        length += len(part)
        if length <= 1 << 16:
            body += part
    error = done.stderr.read().decode()
    exit_code = done.wait()
    assert code is None or (exit_code == 0) == (code == 0), f"curl {target}: {exit_code} {error}"
    return Answer(status, dict(headers), length, digest.hexdigest(), body, exit_code)


def cache_status(reply):
    return reply.headers.get("cache-status", "")


def is_hit(reply):
    return cache_status(reply) == "holdfast; hit"


class Conn(socket.socket):
    """Closes at the end of its `with`, whatever files were made of it."""
    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        self.close()


class Clients:
    """Threads that RUN, one for each of ARGS, from the beginning of `with` to its end, which sets `stop`."""

    def __init__(self, run, args):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=run, args=each) for each in args]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def connect(host=V4, port=80, timeout=15):
    conn = Conn(socket.AF_INET6 if ":" in host else socket.AF_INET)
    conn.settimeout(timeout * SLOW)
    conn.connect((host, port))
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return conn


def read_answer(stream, method="GET"):
    """One response from a raw connection; status 0 when it was closed instead."""
    line = stream.readline().split()
    if not line:
        return Answer(0, {}, 0, "", b"")
    status, headers = int(line[1]), read_headers(stream)
    body = b""
    if method != "HEAD" and status >= 200 and status not in (204, 304):
        body = read_payload(stream, headers)
    return Answer(status, dict(headers), len(body), hashlib.sha256(body).hexdigest(), body,
                  lines=headers)


def read_payload(stream, headers):
    """The bytes of a body."""
    fields, body = dict(headers), b""
    if fields.get("transfer-encoding") == "chunked":
        while length := int(stream.readline(), 16):
            body += stream.read(length)
            stream.readline()
        read_headers(stream)
    elif "content-length" in fields:
        body = stream.read(int(fields["content-length"]))
    else:
        body = stream.read()
    return body


def exchange(raw, host=V4, method="GET"):
    """Sends bytes on a new connection, reads one answer and whether the server closed after it."""
    with connect(host) as conn:
        stream = conn.makefile("rb")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            conn.sendall(raw)
        try:
            reply = read_answer(stream, method)
            while 101 < reply.status < 200:  # the origin's interim ones
                reply = read_answer(stream, method)
            says = reply.headers.get("connection", "close" if b" HTTP/1.0\r\n" in raw else "")
            if says != "close":
                conn.settimeout(0.3)  # for what is not to come
            closed = stream.read(1) == b""
        except ConnectionResetError:
            return Answer(0, {}, 0, "", b""), True
        except TimeoutError:
            closed = False
    return reply, closed


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
