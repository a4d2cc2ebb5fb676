# SPDX-License-Identifier: BSD-3-Clause
"""Generated cases (what an origin says, what a client asks, one to three times), an origin that
plays them, other caches from Debian, and a client that shows a case to a cache."""
import collections
import contextlib
import os
import random
import socket
import subprocess
import threading
import time

import cache_judge
from harness import Conn, Origin, free_port, read_headers, read_payload, wait_until

Reply = collections.namedtuple("Reply", "status headers version size chunked ranges")
Step = collections.namedtuple("Step", "method headers body reply")
Seen = collections.namedtuple("Seen", "status headers body contacts began ended")
Contact = collections.namedtuple("Contact", "serial asked sent method status headers body when")

STATUSES = [203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 429,
            451, 500, 501, 502, 503, 504, 599]


# ---- a case from its seed ----

class Maker:
    """Times in headers are "@format@offset", against the moment of the case. Lifetimes and ages are
    so far apart that a machine that stalls for some seconds changes nothing."""

    def __init__(self, seed, number):
        self.random = random.Random(f"{seed}/{number}")

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def pick(self, *choices):
        return self.random.choice(choices)

    def case(self):
        count = self.pick(2, 2, 2, 3, 3)
        first, steps = self.reply(), []
        for i in range(count):
            reply = first if i == 0 else self.later(steps[-1].reply, first)
            steps.append(self.step(i, reply))
        # a refresh in the background ends when it likes: nothing may come behind it
        refreshes = "stale-while-revalidate" in str(steps).lower()
        return steps[:2] if refreshes else steps

    # -- what the origin says --

    def delta(self):
        good = self.pick("0", "100", "1000", "1000", "100000", "100000")
        if self.chance(75):
            return good
        return self.pick('"1000"', "0100", "2147483648", "99999999999999999999", "-1", "1.5", "1e3",
                         "abc", "", '""', '"abc"')

    def lifetime(self, name):
        if self.chance(3):
            return self.pick(name + "= 1000", name + " =1000", name)
        return f"{name}={self.delta()}"

    def directive(self):
        name = self.random.choices(
            ["max-age", "s-maxage", "public", "private", "no-cache", "no-store", "must-revalidate",
             "proxy-revalidate", "must-understand", "immutable", "no-transform", "swr", "sie",
             "fields", "other"], [30, 12, 10, 4, 5, 4, 6, 3, 2, 3, 2, 6, 6, 3, 6])[0]
        if name in ("max-age", "s-maxage"):
            return self.lifetime(name)
        if name == "fields":
            return self.pick('private="X-Priv"', 'no-cache="X-Priv"', 'no-cache="x-priv, x-none"')
        if name == "other":
            return self.pick("foo", "foo=bar", 'foo="a, no-store"', 'community="max-age=0"',
                             "nostore", "x-max-age=5", "max-agex=5")
        return {"swr": "stale-while-revalidate=", "sie": "stale-if-error="}.get(name, name) + \
            ("" if name not in ("swr", "sie") else self.pick("0", "100000", "100000"))

    def spelt(self, text):
        """The same directive as nobody writes it."""
        name, equals, value = text.partition("=")
        if self.chance(20):
            name = self.pick(name.upper(), name.title(), name.swapcase())
        return name + equals + value

    def cache_control(self):
        values = []
        for _ in range(self.pick(1, 1, 1, 2)):
            items = [self.spelt(self.directive()) for _ in range(self.pick(1, 1, 2, 2, 3))]
            if self.chance(10):
                items.insert(self.random.randrange(len(items) + 1), "")
            values.append(self.pick(", ", ", ", ",", " ,  ", ",\t").join(items))
        return [(self.pick("Cache-Control", "Cache-Control", "cache-control"), value)
                for value in values]

    def date(self, offset):
        return f"@{self.pick('imf', 'imf', 'imf', '850', 'asc')}@{offset}"

    def reply(self):
        headers, status = [], 200
        if self.chance(25):
            status = self.random.choice(STATUSES)
        if self.chance(25):
            headers.append(("Cache-Control", "max-age=100000"))
        elif self.chance(85):
            headers += self.cache_control()
        if self.chance(85):
            headers.append(("Date", self.date(self.pick(0, 0, 0, 0, -500, -50000, 500))
                            if self.chance(97) else "yesterday"))
        for _ in range(self.chance(25) + self.chance(3)):
            headers.append(("Expires", self.date(self.pick(-1000, -60, 1000, 100000))
                            if self.chance(85)
                            else self.pick("0", "-1", "never", "@imf@1000 or so")))
        if self.chance(20):
            headers.append(("Age", self.pick("0", "50", "500", "5000", "200000", "-1", "abc",
                                             "50, 5000", "1.5", "99999999999")))
        headers += self.extras(status)
        return Reply(status, headers, 1, 0 if status == 204 else self.pick(0, 1, 30, 700, 20000),
                     chunked=self.chance(25), ranges=self.chance(50))

    def extras(self, status):
        headers = []
        if self.chance(55):
            headers.append(("ETag", self.pick('"v{}"', '"v{}"', 'W/"v{}"')))
        if self.chance(50):
            headers.append(("Last-Modified", self.date(self.pick(-100000, -100000, -1000000, 0))
                            if self.chance(95) else "@imf@-100 sharp"))
        for _ in range(self.chance(20) + self.chance(3)):
            headers.append(("Vary", self.pick("X-V", "x-v", "Accept-Language",
                                              "Accept-Language, X-V", "*", "X-V, *", "X-None")))
        if self.chance(7):
            headers.append(("Set-Cookie", "sid=canary"))
        if self.chance(5):
            headers.append(("Pragma", "no-cache"))
        if self.chance(6):
            headers += [("Connection", "X-Hop"), ("X-Hop", "1")]
        if self.chance(15):
            headers.append(("X-Priv", "mine"))
        if self.chance(5):
            headers.append(("CDN-Cache-Control", self.pick(
                "max-age=100000", "max-age=0", "no-store", "private", "max-age=1000, no-cache")))
        if 300 <= status < 400:
            headers.append(("Location", "/elsewhere"))
        headers.append(("Content-Type", self.pick("text/plain", "image/x-icon")))
        return headers

    def later(self, last, first):
        """What the origin says when it is asked again: mostly the same."""
        if self.chance(60):
            return last
        if self.chance(40):
            return last._replace(version=last.version + 1)
        if self.chance(40):
            return last._replace(status=self.pick(500, 502, 503, 504, 404))
        return self.reply()._replace(version=last.version + 1)

    # -- what the client asks --

    def step(self, number, reply):
        method = self.random.choices(
            ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"],
            [92, 3, 2, 1, 1, 1, 0] if number == 0 else [74, 8, 6, 4, 3, 3, 2])[0]
        headers = [("Host", "differs.test")]
        if self.chance(12):
            headers.append(("Cache-Control", self.request_control()))
        if self.chance(2):
            headers.append(("Pragma", "no-cache"))
        if self.chance(50):
            headers.append(("X-V", self.pick("1", "1", "1", "2")))
        if self.chance(50):
            headers.append(("Accept-Language", self.pick("en", "en", "de, en")))
        if self.chance(6):
            headers.append(("Authorization", "Basic Y2FuYXJ5"))
        if self.chance(4):
            headers.append(("Cookie", "sid=mine"))
        if self.chance(4):
            headers += [("Connection", "X-Mine"), ("X-Mine", "1")]
        if method in ("GET", "HEAD"):
            headers += self.conditions(reply)
        body = self.pick(b"", b"some text") if method in ("POST", "PUT", "PATCH") else b""
        if method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(body))))
        return Step(method, headers, body, reply)

    def request_control(self):
        return self.spelt(self.pick(
            "no-cache", "no-store", "max-age=0", "max-age=10000", "max-age=abc", "max-stale",
            "max-stale=100", "max-stale=100000000", "min-fresh=10", "min-fresh=10000000",
            "only-if-cached", "no-transform", "foo", 'foo="no-store"'))

    def conditions(self, reply):
        headers, when = [], self.pick(-1000000, -100001, -100000, -99999, -1000)
        tags = ['"v1"', 'W/"v1"', '"v2"', "*", '"a", "v1"', 'W/"x,y", "v1"', '"none"']
        if self.chance(13):
            headers.append(("If-None-Match", self.random.choice(tags)))
        if self.chance(10):
            headers.append(("If-Modified-Since",
                            self.date(when) if self.chance(90) else "some day"))
        if self.chance(3):
            headers.append(("If-Match", self.random.choice(tags)))
        if self.chance(3):
            headers.append(("If-Unmodified-Since", self.date(when)))
        if self.chance(15):
            headers.append(("Range", self.pick(
                "bytes=0-9", "bytes=5-", "bytes=-7", "bytes=0-0,10-20", "bytes=25-1000000",
                "bytes=30-", "bytes=-0", "bytes=9-5", "Bytes=0-9", "lines=1-2",
                "bytes=0-5,3-9", "bytes=2-3, -2",
                "bytes=100000-,0-1")))
        if self.chance(5):
            modified = [value for name, value in reply.headers if name == "Last-Modified"]
            headers.append(("If-Range", self.pick('"v1"', 'W/"v1"', '"none"',
                                                  *(modified or [self.date(-100000)]) * 2)))
        return headers


def at_time(headers, now, version=1):
    """The headers of a case at a moment."""
    def value(text):
        if text.startswith("@"):
            form, _, rest = text[1:].partition("@")
            offset, _, more = rest.partition(" ")
            return cache_judge.date_text(now + int(offset), form) + (more and " " + more)
        return text.replace("{}", str(version)) if '"v{}' in text else text
    return [(name, value(text)) for name, text in headers]


# ---- an origin that plays it ----

class Stage:
    """What one cache does with the case at hand: the origin asks it what to say, and tells it what
    it was asked."""

    def __init__(self):
        self.origin = Origin()
        self.origin.on("*", self._play)
        self.lock, self.path = threading.Lock(), None

    def begin(self, path, steps, now):
        with self.lock:
            self.path, self.steps, self.now, self.at, self.contacts = path, steps, now, -1, []

    def next(self):
        with self.lock:
            self.at, self.contacts = self.at + 1, []

    def _play(self, conn, request):
        fields = dict(request.headers)
        sent = read_payload(request.stream, request.headers) if \
            {"content-length", "transfer-encoding"} & fields.keys() else b""
        with self.lock:
            if request.target != self.path:  # a late refresh of a case before
                return False
            reply = self.steps[self.at].reply
            contact = self._contact(reply, request, sent)
            self.contacts.append(contact)
        text = contact.body if contact.status not in (204, 304) else b""
        if contact.status == 206:
            first, last = cache_judge.ranges(request.headers, len(text))[0]
            text = text[first:last + 1]
        head = [f"HTTP/1.1 {contact.status} Said"] + [f"{k}: {v}" for k, v in contact.headers]
        if reply.chunked and contact.status not in (204, 304):
            head.append("Transfer-Encoding: chunked")
            text = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in
                            (text[:100], text[100:]) if part) + b"0\r\n\r\n"
        elif contact.status not in (204, 304):
            head.append(f"Content-Length: {len(text)}")
        conn.sendall("\r\n".join(head + ["", ""]).encode() +
                     (b"" if request.method == "HEAD" else text))
        return True

    def _contact(self, reply, request, sent):
        serial = f"{self.at}.{len(self.contacts)}"
        headers = [("X-Serial", serial)] + at_time(reply.headers, self.now, reply.version)
        body = (f"version {reply.version} " * (reply.size // 10 + 1)).encode()[:reply.size]
        when = time.time()
        said = cache_judge.Response(serial, request.method, request.headers, reply.status, headers,
                                    body, when)
        status = reply.status
        best = cache_judge.outcomes(said, request.method, request.headers)[0]
        if request.method in ("GET", "HEAD") and 200 <= status < 300 and \
                cache_judge.not_modified(said, request.headers):
            status = 304
            headers = [(k, v) for k, v in headers if k not in ("Content-Type", "X-Priv")]
        elif reply.ranges and best == 206:
            parts = cache_judge.ranges(request.headers, reply.size)
            if len(parts) == 1:
                status = 206
                headers.append(("Content-Range", f"bytes {parts[0][0]}-{parts[0][1]}/{reply.size}"))
        return Contact(serial, request.headers, sent, request.method, status, headers, body, when)


# ---- a client ----

class Client:
    """One connection, kept as long as the server does."""

    def __init__(self, address):
        self.address, self.conn, self.stream = address, None, None

    def ask(self, path, step):
        lines = [f"{step.method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in step.headers]
        raw = "\r\n".join(lines + ["", ""]).encode() + step.body
        for _ in range(2):  # a kept connection may have gone
            fresh = self.conn is None
            if fresh:
                self.conn = Conn(socket.AF_INET)
                self.conn.settimeout(30)
                self.conn.connect(self.address)
                self.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.stream = self.conn.makefile("rb")
            with contextlib.suppress(ConnectionError):
                self.conn.sendall(raw)
                line = self.stream.readline().split()
                if line:
                    return self._read(step.method, int(line[1]))
            self.close()
            assert not fresh, "the connection was closed instead of an answer"
        raise AssertionError("unreachable")

    def _read(self, method, status):
        headers = read_headers(self.stream)
        body = b""
        if method != "HEAD" and status not in (204, 304):
            body = read_payload(self.stream, headers)
        if "close" in (cache_judge.combined(headers, "connection") or "").lower():
            self.close()
        return status, headers, body

    def close(self):
        if self.conn:
            with contextlib.suppress(OSError):
                self.stream.close()
                self.conn.close()
        self.conn = None


def show(stage, client, path, steps):
    """One case to one cache: (step, Seen) for each step. The moment is the same for all of it."""
    now, shown = int(time.time()), []
    stage.begin(path, steps, now)
    for step in steps:
        stage.next()
        step = step._replace(headers=at_time(step.headers, now))
        began = time.time()
        status, headers, body = client.ask(path, step)
        with stage.lock:
            contacts = list(stage.contacts)
        shown.append((step, Seen(status, headers, body, contacts, began, time.time())))
    return shown


def tell(shown):
    """A case as it went, for people. shown: of each cache, its [(step, Seen)]."""
    told = []
    for i, (step, _) in enumerate(shown["holdfast"]):
        told += [f"{i}: {step.method} {step.headers} {step.body}",
                 f"   origin: {step.reply.status} {step.reply.headers} version "
                 f"{step.reply.version}, {step.reply.size} bytes{', chunked' * step.reply.chunked}"]
        for name, steps in shown.items():
            seen = steps[i][1]
            told.append(f"   {name}: {seen.status} {seen.headers} {seen.body[:30]}")
            told += [f"      asked: {c.method} {c.asked} -> {c.status}" for c in seen.contacts]
    return "\n".join(told)


# ---- the others ----

class Peer:
    def __init__(self, directory, origin_port):
        self.dir, self.port = directory, free_port()
        os.chmod(directory, 0o755)
        self.process = subprocess.Popen(self.command(origin_port), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def listens():
            assert self.process.poll() is None, f"{self.command(origin_port)} ended"
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return True
        wait_until(listens, what="a peer")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class NginxCache(Peer):
    def command(self, origin_port):
        d = self.dir
        (d / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {d}/pid; error_log {d}/error.log; user root;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 1000000; max_ranges 100;
  client_body_temp_path {d}/t1; proxy_temp_path {d}/t2; fastcgi_temp_path {d}/t3;
  uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5;
  proxy_cache_path {d}/cache keys_zone=all:16m inactive=1d use_temp_path=off;
  upstream origin {{ server 127.0.0.1:{origin_port}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{self.port};
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_pass_header Date; proxy_pass_header Server;
      proxy_cache all; proxy_cache_key $request_uri; proxy_cache_revalidate on;
      proxy_cache_background_update on; proxy_next_upstream off;
    }}
  }}
}}
""")
        return ["/usr/sbin/nginx", "-p", d, "-c", d / "nginx.conf"]


class Varnish(Peer):
    def command(self, origin_port):
        return ["/usr/sbin/varnishd", "-F", "-j", "none", "-T", "none", "-n", self.dir / "v",
                "-a", f"127.0.0.1:{self.port}", "-b", f"127.0.0.1:{origin_port}",
                "-s", "malloc,64m", "-p", "default_ttl=0", "-p", "default_grace=0",
                "-p", "default_keep=3600",
                "-p", "http_gzip_support=off", "-p", "thread_pools=1", "-p", "thread_pool_min=10"]
