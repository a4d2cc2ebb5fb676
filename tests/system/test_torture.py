# SPDX-License-Identifier: BSD-3-Clause
"""Race torture: two workers and two origin threads at the smallest cache, 10 000 keys that are asked for
as in the world (the n-th about 1/n as often as the first), and everything at once: plain requests,
pipelines, ranges, conditions, no-cache, credentials, clients that stall or leave; versions that change
at the origin, bodies that break off, POSTs and purges. Each body carries its key, version and checksum. No
wrong byte ever."""
import collections
import itertools
import json
import os
import random
import re
import socket
import struct
import threading
import time
import zlib

from harness import SEED, SLOW, Conn, Control, answer, connect, read_answer, read_body, say, wait_until

MIB = 1 << 20
KEYS, CLIENTS = 10_000, 8
SECONDS = 60 if os.environ.get("HF_LONG") else 6
HEAD = struct.Struct("!QQQI")
LENGTHS = [HEAD.size + 1, 500, 1000, 1400, 4000, 9000, 20000, 70000]
nonces = itertools.count()


def body_of(key, version):
    """Its length differs from version to version, too. One in 200 is too large to be stored."""
    dice = random.Random(key << 32 | version)
    length = 400_000 if dice.randrange(200) == 0 else dice.choice(LENGTHS)
    at = dice.randrange(MIB - length)
    text = SEED[at:at + length - HEAD.size]
    return HEAD.pack(key, version, length, zlib.crc32(text)) + text


def any_key(dice):
    return dice.randrange(max(KEYS >> dice.randrange(12), 8))


class World:
    """The origin, and what may be seen of it: no answer to a request that was sent after a purge or a
    POST was over may have a version from before it."""
    TAGS = 7

    def __init__(self):
        self.version, self.floor = [1] * KEYS, [0] * KEYS
        self.lock, self.fetches, self.cut = threading.Lock(), 0, {}

    def bump(self, key):
        with self.lock:
            self.version[key] += 1
            return self.version[key]

    def passed(self, key, version):
        with self.lock:
            self.floor[key] = max(self.floor[key], version)

    @staticmethod
    def is_private(key):
        return key % 10 == 8

    @staticmethod
    def is_served_stale(key):
        return key % 10 == 7

    def headers(self, key, version, request):
        control = "no-store" if self.is_private(key) else \
            "max-age=1, stale-while-revalidate=5" if self.is_served_stale(key) else "max-age=60"
        nonce = dict(request.headers).get("x-nonce", "none")
        return [f"Cache-Control: {control}", f'ETag: "{key}-{version}"', f"X-Nonce: {nonce}",
                f"Cache-Tag: any, t{key % self.TAGS}"]

    def part(self, conn, request, key):
        """Some bodies break off, and their rest comes when it is asked for, though there is a new version.
        None: this one shall not."""
        fields, version = dict(request.headers), self.version[key]
        nonce = fields.get("x-nonce")
        if "range" in fields and nonce in self.cut:
            version, first = self.cut.pop(nonce), int(fields["range"].strip("bytes=-"))
            headers, body = self.headers(key, version, request), body_of(key, version)
            headers.append(f"Content-Range: bytes {first}-{len(body) - 1}/{len(body)}")
            say(conn, request, body[first:], headers, "206 Partial Content")
            return True
        if random.randrange(20) or request.method != "GET" or self.is_private(key) or \
                {"authorization", "range", "if-none-match"} & fields.keys():
            return None
        headers, body = self.headers(key, version, request), body_of(key, version)
        head = ["HTTP/1.1 200 OK", *headers, f"Content-Length: {len(body)}", "", ""]
        self.cut[nonce] = version
        conn.sendall("\r\n".join(head).encode() + body[:random.randrange(1, len(body))])
        return False

    def __call__(self, conn, request):
        self.fetches += 1
        key = int(request.target[2:])
        read_body(request.stream, request.headers)
        if request.method == "POST":
            return answer(b"%d" % self.bump(key), ["Cache-Control: no-store"])(conn, request)
        kept = self.part(conn, request, key)
        if kept is not None:
            return kept
        version = self.version[key]
        headers = self.headers(key, version, request)
        if dict(request.headers).get("if-none-match") == f'"{key}-{version}"':
            conn.sendall("\r\n".join(["HTTP/1.1 304 Not Modified", *headers, "", ""]).encode())
        elif key % 10 == 9 and request.method == "GET":
            head = ["HTTP/1.1 200 OK", *headers, "Transfer-Encoding: chunked", "", ""]
            body = body_of(key, version)
            conn.sendall("\r\n".join(head).encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        else:
            say(conn, request, body_of(key, version), headers)
        return True


class Cut(Exception):
    """What is not stored, for want of memory or for a purge, breaks off with the origin's body."""


class Client(threading.Thread):
    def __init__(self, world, seed, stop):
        super().__init__()
        self.world, self.dice, self.stop = world, random.Random(seed), stop
        self.seen, self.count, self.error = {}, collections.Counter(), None
        self.stalls = 10 if seed == 0 else 0  # several could hold all of so small a cache
        self.conn = self.stream = self.stalled = None

    def run(self):
        try:
            while not self.stop.is_set():
                try:
                    self.step()
                except Cut:
                    self.count["cut"] += 1
                    self.start_over()
        except Exception as error:  # told by the test
            self.error = error
            self.stop.set()
        self.start_over()

    def start_over(self):
        for conn in (self.conn, self.stalled and self.stalled[0]):
            if conn:
                Conn.__exit__(conn)
        self.conn = self.stalled = None

    def connect(self):
        self.conn = connect()
        self.stream = self.conn.makefile("rb")

    def close(self):
        Conn.__exit__(self.conn)
        self.conn = None

    def send(self, key, method="GET", *fields):
        """What must be known of a request before it is sent."""
        nonce, floor = f"n{next(nonces)}", self.world.floor[key]
        lines = [f"{method} /k{key} HTTP/1.1", "Host: x", f"X-Nonce: {nonce}", *fields, "", ""]
        if not self.conn:
            self.connect()
        self.conn.sendall("\r\n".join(lines).encode())
        return key, method, nonce, floor

    def step(self):
        key, dice = any_key(self.dice), self.dice
        kind = dice.choices(["get", "range", "condition", "head", "no-cache", "auth", "post", "pipeline",
                             "leave", "stall"], [50, 12, 10, 5, 4, 3, 3, 6, 2, self.stalls])[0]
        self.count[kind] += 1
        getattr(self, kind.replace("-", "_"))(key)

    def get(self, key, *fields):
        self.take(self.send(key, "GET", *fields))

    def head(self, key):
        self.take(self.send(key, "HEAD"))

    def no_cache(self, key):
        self.get(key, "Cache-Control: no-cache")

    def auth(self, key):
        self.get(key, "Authorization: Basic eDp5")

    def range(self, key):
        first, length = self.dice.randrange(20), self.dice.randrange(1, 30000)
        wanted = self.dice.choice([f"{first}-{first + length}", f"{first}-", f"-{length}",
                                   f"0-0,{first + 1}-{first + 3}"])
        fields = [f"Range: bytes={wanted}"]
        if key in self.seen and self.dice.randrange(2):
            fields.append(f"If-Range: {self.seen[key]}")
        self.get(key, *fields)

    def condition(self, key):
        self.get(key, f"If-None-Match: {self.seen.get(key, chr(34) + 'none' + chr(34))}")

    def post(self, key):
        key, *rest = self.send(key, "POST", "Content-Length: 0")
        reply = read_answer(self.stream)
        assert reply.status == 200, reply
        self.world.passed(key, int(reply.body))

    def pipeline(self, key):
        sent = [self.send(any_key(self.dice)) for _ in range(self.dice.randrange(2, 6))]
        for one in sent:
            self.take(one)

    def leave(self, key):
        self.send(key)
        self.conn.recv(self.dice.randrange(1, 600))
        self.close()

    def stall(self, key):
        """What is on its way on another connection is held there until this comes up again."""
        mine, self.conn = (self.conn, self.stream), None
        if self.stalled:
            self.conn, self.stream, sent = self.stalled
            for one in sent:
                self.take(one)
            self.close()
        sent = [self.send(any_key(self.dice)) for _ in range(6)]
        self.stalled = self.conn, self.stream, sent
        self.conn, self.stream = mine

    def take(self, sent):
        key, method, nonce, floor = sent
        reply = read_answer(self.stream, method)
        length = int(reply.headers.get("content-length", 0))
        if reply.status in (0, 502) or method == "GET" and len(reply.body) < length:
            raise Cut
        self.count[reply.status] += 1
        told = f"{method} {key}, at least version {floor}: {reply.status} {reply.headers}"
        assert reply.status in (200, 206, 304), told
        of, version = map(int, reply.headers["etag"].strip('"').split("-"))
        assert of == key, "another key's answer to " + told
        assert version >= floor, "an old version to " + told
        if World.is_private(key) and reply.status != 304:
            assert reply.headers["x-nonce"] == nonce, "another one's answer to " + told
        self.seen[key] = reply.headers["etag"]
        if method == "GET" and reply.status != 304:
            assert check_body(reply, body_of(key, version)), "wrong bytes in " + told


def check_body(reply, whole):
    if reply.status == 200:
        return reply.body == whole
    if "content-range" in reply.headers:
        return is_part(reply.headers["content-range"], reply.body, whole)
    boundary = re.search("boundary=(.*)", reply.headers["content-type"])[1].encode()
    parts = reply.body.split(b"--" + boundary)[1:-1]
    for part in parts:
        head, body = part.removesuffix(b"\r\n").split(b"\r\n\r\n", 1)
        where = re.search(r"(?i)content-range: *(.*)", head.decode())[1].strip()
        if not is_part(where, body, whole):
            return False
    return len(parts) > 0


def is_part(where, body, whole):
    first, last, length = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", where).groups())
    return length == len(whole) and body == whole[first:last + 1]


class Purger(Control):
    def purge(self, world, dice):
        """New versions, then a purge: from its answer on nobody may see the old ones."""
        key = any_key(dice)
        kind = dice.choices(["url", "soft", "tag", "prefix", "all"], [80, 10, 5, 5, 1])[0]
        keys, args = {
            "url": ([key], {"url": f"http://x/k{key}"}),
            "soft": ([key], {"url": f"http://x/k{key}", "soft": True}),
            "tag": (range(key % world.TAGS, KEYS, world.TAGS), {"tag": f"t{key % world.TAGS}"}),
            "prefix": ([k for k in range(KEYS) if f"{k}".startswith(f"{key}")],
                       {"prefix": f"http://x/k{key}"}),
            "all": (range(KEYS), {"all": True}),
        }[kind]
        for bumped in {key, keys[dice.randrange(len(keys))]}:
            world.bump(bumped)
        before = world.version.copy()
        self.call("purge", **args)
        for purged in keys:
            if kind != "soft" or not world.is_served_stale(purged):
                world.passed(purged, before[purged])


def test_no_wrong_byte_ever(start, origin):
    world, stop = World(), threading.Event()
    origin.on("*", world)
    hf = start(origin.url, workers=2, cache={"memory": "1MiB"}, origin={"threads": 2})
    clients = [Client(world, seed, stop) for seed in range(CLIENTS)]
    control, dice, purges = Purger(hf), random.Random(99), 0
    for client in clients:
        client.start()
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end and not stop.is_set():
            control.purge(world, dice)
            assert control.call("stats", pattern="cache_used_bytes")["rows"][0][1] <= MIB
            purges += 1
            stop.wait(dice.random() / 50)
    finally:
        stop.set()
        for client in clients:
            client.join()
    errors = [client.error for client in clients if client.error]
    if errors:
        raise errors[0]
    count = sum((client.count for client in clients), collections.Counter())
    wait_until(lambda: (now := hf.stats())["cache_used_bytes"] == now["cache_stored_bytes"],
               what="what nobody reads any more to be freed")
    stats = hf.stats()
    assert purges > 10 and all(count[status] > 10 for status in (200, 206, 304))
    assert count["cut"] <= CLIENTS * len(world.cut)
    assert stats["origin_resumes_total"] > 5 * count["cut"]
    for name in ("cache_hits", "cache_evictions", "cache_purged", "origin_coalesced"):
        assert stats[f"{name}_total"] > 0, name
