# SPDX-License-Identifier: BSD-3-Clause
"""Clients that carry canaries, an origin that puts the asking client's into what is private and nobody's
into what is public, and where canaries are looked for."""
import array
import asyncio
import collections
import contextlib
import functools
import itertools
import os
import pathlib
import random
import re
import resource
import stat
import threading
import time

from harness import V4, read_headers

CANARY = re.compile(rb"cAnArY([a-z])(\d{5})[0-9a-f]{8}")  # of which place, of which client
PUBLIC = re.compile(rb"pUbLiC")
PAGE = os.sysconf("SC_PAGESIZE")
LENGTHS = [60, 3000, 40000, 300000]
# place in the request -> the field line it is in
FIELDS = {"a": "Authorization: Bearer %s", "c": "Cookie: lang=de; sid=%s", "t": "X-Auth-Token: %s",
          "x": "X-CSRF-Token: %s", "p": "Proxy-Authorization: Basic %s", "i": "X-Client: %s"}
# q: a parameter of the target, b: the request's body. By "i" the origin knows who has no credentials.
WHO = {"anonymous": "i", "cookie": "ci", "authorization": "ai", "token": "tpi", "all": "actxpi"}


def canaries(data):
    """{client: {place, ...}}"""
    found = collections.defaultdict(set)
    for place, client in CANARY.findall(data):
        found[int(client)].add(place.decode())
    return found


def fill(text, length):
    return (text + b"\n") * (length // (len(text) + 1)) + b"." * (length % (len(text) + 1))


def body_length(path):
    return LENGTHS[int(path.rsplit("/", 1)[1]) % len(LENGTHS)]


@functools.cache
def public_body(path):
    return fill(b"pUbLiC " + path.encode(), body_length(path))


def own_body(path, texts):
    """What an origin says to who sent these texts: every canary in them."""
    own = sorted({match[0] for text in texts for match in CANARY.finditer(text)})
    return fill(b"own " + path.encode() + b" " + b" ".join(own), max(body_length(path), 600))


# ---- the origin ----

# What an answer says to all; whether it has the asking client's canaries in fields that a cache has to leave
# out; whether in its body: then there is exactly one reason not to store it; and what is special.
Kind = collections.namedtuple("Kind", "fields credentials own special", defaults=[False, False, ""])
FRESH = "Cache-Control: max-age=600"
PUBLIC_FRESH = "Cache-Control: public, max-age=600"
KINDS = {
    "plain": Kind([FRESH]),
    "chunked": Kind([FRESH], special="chunked"),
    "hints": Kind([FRESH], special="hints"),
    "tagged": Kind([FRESH, "Cache-Tag: red, green"]),
    "scrub": Kind([PUBLIC_FRESH], credentials=True),
    "scrub-chunked": Kind(["Cache-Control: s-maxage=600"], credentials=True, special="chunked"),
    "field": Kind(['Cache-Control: public, private="x-own, x-other", max-age=600'],
                  credentials=True, special="field"),
    "no-cache-field": Kind(['Cache-Control: no-cache="X-Own", max-age=600'], special="field"),
    "field-etag": Kind(['Cache-Control: public, max-age=1, private="x-own"'], special="field etag"),
    "validate": Kind(["Cache-Control: public, no-cache"], credentials=True, special="etag"),
    "expired": Kind(["Cache-Control: public, max-age=1"], credentials=True, special="etag"),
    "lang": Kind([PUBLIC_FRESH, "Vary: Accept-Language"], credentials=True),
    "swr": Kind(["Cache-Control: public, max-age=10, stale-while-revalidate=600", "Age: 20"],
                credentials=True),
    "swr-flip": Kind(["Cache-Control: public, max-age=10, stale-while-revalidate=600", "Age: 20"],
                     credentials=True, special="flip"),
    "sie": Kind(["Cache-Control: public, max-age=10, stale-if-error=600", "Age: 20"],
                credentials=True, special="fail"),
    "auth-must": Kind(["Cache-Control: must-revalidate, max-age=600"]),
    "flip": Kind([FRESH], special="flip"),
    "no-store-asked": Kind([FRESH], own=True, special="no-store"),
    "private": Kind(["Cache-Control: private, max-age=600"], own=True),
    "private-etag": Kind(["Cache-Control: private, no-cache", 'ETag: "x"'], own=True),
    "no-store": Kind(["Cache-Control: no-store, max-age=600"], own=True),
    "no-store-cookie": Kind(["Cache-Control: no-store"], credentials=True, own=True,
                            special="chunked"),
    "set-cookie": Kind([FRESH], credentials=True, own=True),
    "silent": Kind([], own=True),
    "cut": Kind(["Cache-Control: private, max-age=600"], own=True, special="cut"),
    "vary-any": Kind([FRESH, "Vary: *"], own=True),
    "vary-token": Kind([FRESH, "Vary: X-Auth-Token"], own=True),
    "vary-cookie": Kind([FRESH, "Vary: Cookie"], own="cookie"),
    "vary-flip": Kind([FRESH, "Vary: Accept-Language"], special="vary"),
    "auth": Kind([FRESH], own="authorization"),
    "redirect": Kind(["Cache-Control: private, max-age=600"], own=True, special="redirect"),
    "secret": Kind([PUBLIC_FRESH], credentials=True, own=True, special="query"),
    "post": Kind([FRESH], own=True, special="post"),
}
EACH = 4  # paths of a kind, one of each length


def take_body(request):
    fields = dict(request.headers)
    if fields.get("transfer-encoding") != "chunked":
        return request.stream.read(int(fields.get("content-length", 0)))
    body = b""
    while length := int(request.stream.readline(), 16):
        body += request.stream.read(length)
        request.stream.readline()
    read_headers(request.stream)
    return body


class Script:
    def __init__(self):
        self.counts, self.lock = collections.Counter(), threading.Lock()
        self.held, self.go = threading.Event(), threading.Event()
        self.requests = self.proxy_authorizations = 0

    def number(self, path, fields):
        with self.lock:
            self.requests += 1
            self.proxy_authorizations += "proxy-authorization" in fields
            self.counts[path] += 1
            return self.counts[path]

    def __call__(self, conn, request):
        path, fields = request.target.split("?")[0], dict(request.headers)
        texts = [request.target.encode(), take_body(request),
                 *(value.encode() for _, value in request.headers)]
        kind, number = KINDS[path.split("/")[1]], self.number(path, fields)
        if number % 3 == 1:
            time.sleep(0.01)  # others come meanwhile
        said, status, credentials = list(kind.fields), "200 OK", kind.credentials
        own = kind.own if isinstance(kind.own, bool) else kind.own in fields
        own = own or request.method not in ("GET", "HEAD")
        if kind.special == "flip" and number % 2 == 0:
            own, credentials, said = True, False, ["Cache-Control: private, max-age=600"]
        if kind.special == "vary" and number % 2 == 0:
            own, said = own or "cookie" in fields, [FRESH, "Vary: Cookie, Accept-Language"]
        if kind.special == "fail" and number % 3 != 1:
            own, credentials, said, status = True, True, [], "503 Service Unavailable"
        mine = own_body(path, texts)
        token = " ".join(match[0].decode() for match in CANARY.finditer(mine[:600]))
        if credentials and token:
            said += [f"{name}: {token}" for name in (
                "Set-Cookie", "Set-Cookie2", "X-Auth-Token", "X-CSRF-Token", "Authentication-Info",
                "Proxy-Authentication-Info", "Authorization")]
        if "field" in kind.special:
            said.append(f"X-Own: {token}")
        if kind.special == "hints":
            conn.sendall(f"HTTP/1.1 103 Early Hints\r\nX-Own: {token}\r\n\r\n".encode())
        if kind.special == "redirect":
            status = "303 See Other" if request.method == "POST" else "302 Found"
            said.append(f"Location: /plain/1?access_token={token.split()[0]}")
        body = mine if own else public_body(path)
        if "etag" in kind.special and not own:
            said.append(f'ETag: "{path}"')
            if fields.get("if-none-match") == f'"{path}"':
                status, body = "304 Not Modified", b""
                if number % 2:  # what is stored has it still
                    said = [line for line in said if not line.startswith("Cache-Control")]
        return self.say(conn, request, kind, status, said, body, token)

    def say(self, conn, request, kind, status, said, body, token):
        head = "\r\n".join([f"HTTP/1.1 {status}", *said, "Content-Type: text/plain", ""]).encode()
        if request.method == "HEAD" or status.startswith("304"):
            conn.sendall(head + b"\r\n")
            return True
        if kind.special == "chunked":
            conn.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(body), 70001):
                part = body[at:at + 70001]
                conn.sendall(b"%x\r\n%b\r\n" % (len(part), part))
            conn.sendall(b"0\r\nX-Own: %b\r\n\r\n" % token.encode())
            return True
        head += b"Content-Length: %d\r\n\r\n" % len(body)
        if kind.special == "cut":
            conn.sendall(head + body[:len(body) // 2])
            return False
        if "x-hold" in dict(request.headers):
            conn.sendall(head + body[:-1])
            self.held.set()
            self.go.wait(60)
            body, head = body[-1:], b""
        conn.sendall(head + body)
        return True


# ---- clients ----

Reply = collections.namedtuple("Reply", "status head body whole")


class Client:
    def __init__(self, number, rng):
        self.number, self.rng = number, rng
        self.who = rng.choice(list(WHO))
        self.asked = self.answered = self.left = self.own = 0
        self.stream = None

    def canary(self, place):
        return f"cAnArY{place}{self.number:05d}{self.rng.getrandbits(32):08x}"

    def request(self, path):
        """(method, target, field lines, body) for a path, with more or less of everything."""
        rng, special = self.rng, KINDS[path.split("/")[1]].special
        lines = [FIELDS[place] % self.canary(place) for place in WHO[self.who]]
        method, body, target = "GET", b"", path
        if special == "query":
            target += rng.choice(["?access_token=", "?a=b&session=", "?sig="]) + self.canary("q")
        if special == "post" or rng.random() < 0.03:
            method = rng.choice(["POST", "PUT", "DELETE"])
        elif rng.random() < 0.04:
            method = "HEAD"
        if special == "no-store":
            lines.append("Cache-Control: no-store")
        elif method == "GET" and rng.random() < 0.2:
            lines.append(rng.choice([
                "Cache-Control: no-cache", "Cache-Control: max-age=0", "Cache-Control: max-stale",
                "Cache-Control: only-if-cached", f'If-None-Match: "{path}"', "Range: bytes=10-29",
                "Range: bytes=-300", "Range: bytes=0-9,500-509", "If-None-Match: *"]))
        lines.append("Accept-Language: " + rng.choice(["de", "fr", "en"]))
        if method in ("POST", "PUT"):
            body = fill(self.canary("b").encode(), rng.choice([60, 40000]))
        return method, target, lines, body

    @staticmethod
    def text(method, target, lines, body, chunked):
        framing = b""
        if body and chunked:
            framing = b"Transfer-Encoding: chunked\r\n"
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        elif method in ("POST", "PUT"):
            framing = b"Content-Length: %d\r\n" % len(body)
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: canary", *lines, ""])
        return head.encode() + framing + b"\r\n" + body

    async def ask(self, path, check):
        method, target, lines, body = asked = self.request(path)
        early = self.rng.random() < 0.05
        self.asked += 1
        if self.stream and self.rng.random() < 0.3:
            self.close()
        try:
            if not self.stream:
                self.stream = await asyncio.open_connection(V4, 80, limit=1 << 20)
            reader, writer = self.stream
            writer.write(self.text(*asked, chunked=self.rng.random() < 0.5))
            if early:
                await reader.read(self.rng.choice([1, 1000, 100000]))
                self.left += 1
                self.close()
                return
            reply = await read_reply(reader, method)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.close()
            return
        self.answered += 1
        if not reply.whole or b"connection: close" in reply.head.lower():
            self.close()
        texts = [target.encode(), body, *(line.encode() for line in lines
                                          if not line.startswith("Proxy-Auth"))]
        self.own += check(self, method, path, lines, reply, own_body(path, texts))

    def close(self):
        if self.stream:
            self.stream[1].transport.abort() if self.rng.random() < 0.2 else self.stream[1].close()
        self.stream = None


async def read_reply(reader, method):
    said, head = b"", b"HTTP/1.1 1"
    while head.startswith(b"HTTP/1.1 1"):
        head = await reader.readuntil(b"\r\n\r\n")
        said += head
    status, fields = int(head[9:12]), {}
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip()
    if method == "HEAD" or status in (204, 304):
        return Reply(status, said, b"", True)
    body = bytearray()
    try:
        if fields.get(b"transfer-encoding") == b"chunked":
            while length := int(await reader.readuntil(b"\r\n"), 16):
                body += await reader.readexactly(length)
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
        else:
            body += await reader.readexactly(int(fields[b"content-length"]))
    except asyncio.IncompleteReadError as error:
        return Reply(status, said, bytes(body) + error.partial, False)
    return Reply(status, said, bytes(body), True)


def check(client, method, path, lines, reply, own):
    """No byte of another client's; all of one's own. Says whether there was any."""
    kind = KINDS[path.split("/")[1]]
    complete = reply.whole and reply.status == 200 and method != "HEAD"
    may = [own] if kind.own is True or method != "GET" else [own, public_body(path)]
    expected = complete and reply.body in may
    # what is as expected is the same line over and over
    text = reply.head + (reply.body[:1000] if expected else reply.body)
    asked, found = f"client {client.number} asked {method} {path} {lines}", canaries(text)
    assert found.keys() <= {client.number}, f"{asked} and got what is of {found}: {text[:2000]}"
    assert expected or not complete, f"{asked} and got {text[:2000]}"
    return client.number in found


def every_path():
    return [f"/{kind}/{i}" for kind in KINDS for i in range(EACH)]


async def drive(count, seed, at_once):
    """COUNT clients, AT_ONCE at a time; in each wave many ask for the same path."""
    rng, gate = random.Random(seed), asyncio.Semaphore(at_once)
    paths = every_path()
    waves = [rng.choice(paths) for _ in range(count // 40 + 1)]
    clients = [Client(i, random.Random(seed * 100003 + i)) for i in range(count)]

    async def run(client):
        async with gate:
            for _ in range(client.rng.randint(1, 5)):
                wave = waves[client.number // 40]
                await client.ask(wave if client.rng.random() < 0.5 else client.rng.choice(paths),
                                 check)
            client.close()

    await asyncio.gather(*map(run, clients))
    return clients


# ---- where to look ----

def mappings_of(pid):
    """(line, begin, end) of the writable memory of a process, but its stacks (above a guard page each) and
    DPDK's memory, in which packets are: both are used again and again, and not wiped."""
    limit = resource.getrlimit(resource.RLIMIT_STACK)[0]
    stack = limit if limit != resource.RLIM_INFINITY else 2 << 20
    guarded = None
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        addresses, modes = line.split()[:2]
        begin, end = (int(text, 16) for text in addresses.split("-"))
        if modes.startswith("---"):
            guarded = end if end - begin == PAGE else None
        elif "w" in modes and "/memfd:nohuge" not in line and "[stack]" not in line:
            begin = min(begin + stack, end) if begin == guarded else begin
            if begin < end:
                yield line, begin, end


def memory_of(pid):
    """(mapping, bytes) of what is there of that memory. Pieces overlap, so that nothing is cut."""
    with open(f"/proc/{pid}/mem", "rb", 0) as mem, open(f"/proc/{pid}/pagemap", "rb", 0) as pages:
        for line, begin, end in mappings_of(pid):
            entries = array.array("Q", os.pread(pages.fileno(), (end - begin) // PAGE * 8,
                                                begin // PAGE * 8))
            at = begin
            for there, run in itertools.groupby(entries, lambda entry: entry >> 62 != 0):
                stop = at + PAGE * sum(1 for _ in run)
                while there and at < stop:
                    data = os.pread(mem.fileno(), min(stop - at, 1 << 24), at)
                    yield line, data
                    at += len(data) if at + len(data) == stop else len(data) - 256
                at = stop


def files_of(pid, directories):
    """Every regular file that the process has open, or that lies in one of the directories."""
    paths = {path for directory in directories for path in pathlib.Path(directory).rglob("*")}
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir() if pid else ():
        with contextlib.suppress(OSError):
            if not os.readlink(link).startswith("/memfd:"):  # memory
                paths.add(link)
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile, or gone
            if stat.S_ISREG(path.stat().st_mode):
                yield path, path.read_bytes()
