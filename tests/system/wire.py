#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""In front of a server of this machine: each piece of what goes to it and comes back may take a while. It is a
process of its own, in which nothing else makes anything late.

wire.py PORT    prints the port that it listens on; each line of its input is the time there and back from
                now on, in seconds; it ends with its input"""
import collections
import contextlib
import os
import selectors
import socket
import sys
import time

BUSY_S = 0.001  # until one that takes nothing now is tried again


class End:
    """Of a connection, and what is to go out of it: when, and what; nothing: the end."""

    def __init__(self, conn):
        conn.setblocking(False)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.conn, self.out, self.other = conn, collections.deque(), None

    def read(self):
        """None: nothing is there."""
        try:
            return self.conn.recv(1 << 16)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def write(self, now):
        """False: it has ended."""
        while self.out and self.out[0][0] <= now:
            part = self.out.popleft()[1]
            try:
                sent = self.conn.send(part) if part else -1
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = -1
            if sent < 0:
                return False
            if sent < len(part):
                self.out.appendleft((now + BUSY_S * (sent == 0), part[sent:]))
        return True


class Wire:
    def __init__(self, to):
        self.to, self.delay, self.ends = to, 0.0, set()
        self.server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.server, selectors.EVENT_READ, self.join)
        self.selector.register(0, selectors.EVENT_READ, self.told)

    def told(self):
        line = os.read(0, 4096)
        if not line:
            sys.exit()
        self.delay = float(line.split()[-1])

    def join(self):
        near, far = End(self.server.accept()[0]), End(socket.socket())
        far.conn.connect_ex(("127.0.0.1", self.to))
        near.other, far.other = far, near
        for end in near, far:
            self.ends.add(end)
            self.selector.register(end.conn, selectors.EVENT_READ, lambda end=end: self.carry(end))

    def carry(self, end):
        part = end.read() if end in self.ends else None
        if part is not None:
            end.other.out.append((time.monotonic() + self.delay / 2, part))
        if part == b"":
            self.selector.unregister(end.conn)

    def part(self, end):
        for one in end, end.other:
            self.ends.discard(one)
            with contextlib.suppress(KeyError):
                self.selector.unregister(one.conn)
            one.conn.close()

    def run(self):
        while True:
            due = min((end.out[0][0] for end in self.ends if end.out), default=None)
            wait = None if due is None else max(0, due - time.monotonic())
            for key, _ in self.selector.select(wait):
                key.data()
            now = time.monotonic()
            for end in list(self.ends):
                if end in self.ends and not end.write(now):
                    self.part(end)


if __name__ == "__main__":
    wire = Wire(int(sys.argv[1]))
    print(wire.server.getsockname()[1], flush=True)
    wire.run()
