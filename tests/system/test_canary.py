# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of clients, each with canaries of its own in all that may be secret, through all that the cache
can do. Nobody gets another's, and when they have left none is anywhere. (product.md §4)"""
import asyncio
import collections
import contextlib
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from canary import CANARY, PUBLIC, Script, canaries, drive, every_path, files_of, memory_of
from harness import HOLDFASTCTL, SANITIZED, connect, url, wait_until

CLIENTS, AT_ONCE = (1000, 50) if SANITIZED else (3000, 150)
SEED = 4


def say(hf, said, *words):
    """A command as an operator gives it; it may be refused when the machine is busy."""
    done = subprocess.run([HOLDFASTCTL, "-s", hf.socket, *words], capture_output=True, check=False)
    assert done.stdout or done.stderr
    said.append((words, done.stdout + done.stderr))


def operate(hf, said, stop):
    """What is done and looked at while clients come and go."""
    paths, i = every_path(), 0
    while not stop.wait(0.03):
        i += 1
        target = url(paths[i * 7 % len(paths)], "canary")
        say(hf, said, *[["purge", target], ["conns", "--trace"], ["purge", "--soft", target],
                        ["cache", "show", target], ["purge", "--prefix=/lang/"], ["stats"],
                        ["purge", "--tag=red"], ["cache", "list", "/s"],
                        ["purge", "--soft", "--all"], ["fallback", "on"], ["drops"],
                        ["fallback", "off"], ["config", "reload"]][i % 13])


def say_all(hf, said):
    """Every command that changes nothing, as text and as JSON."""
    for words in (["status"], ["stats"], ["drops"], ["lcores"], ["conns"], ["conns", "--trace"],
                  ["config", "show"], ["config", "check"], ["fallback"], ["state", "show"],
                  ["state", "history"], ["version"], ["cache", "list"],
                  ["cache", "show", url("/secret/1?access_token=cAnArYq000001234abcd", "canary")],
                  *(["cache", "show", url(path, "canary")] for path in every_path())):
        say(hf, said, *words)
        say(hf, said, "--json", *words)


def in_memory(hf, pattern):
    """{mapping: what stands around each}, and how many bytes were searched."""
    found, total = collections.defaultdict(list), 0
    for mapping, data in memory_of(hf.process.pid):
        total += len(data)
        for match in pattern.finditer(data):
            found[mapping].append(data[max(match.start() - 60, 0):match.end()])
    return found, total


def no_canary_in_memory(hf):
    """Some of it is let go a moment after the last client."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not in_memory(hf, CANARY)[0], timeout=3)
    for mapping, texts in in_memory(hf, CANARY)[0].items():
        raise AssertionError(f"{len(texts)} canaries in {mapping}: {texts[:5]}")


@contextlib.contextmanager
def held(script):
    """A client in the middle of a private answer."""
    with connect() as conn:
        conn.sendall(b"GET /no-store/3 HTTP/1.1\r\nHost: canary\r\nX-Hold: 1\r\n"
                     b"X-Client: cAnArYi999991234abcd\r\nConnection: close\r\n\r\n")
        assert script.held.wait(30)
        assert conn.recv(1000)
        yield
        script.go.set()
        while conn.recv(1 << 20):
            pass


def test_no_canary_is_with_another_client_or_left_behind(start, origin, tmp_path):
    script, said = Script(), []
    origin.on("*", script)
    hf = start(origin.url, workers=2, cache={"memory": "16MiB"}, origin={"threads": 2},
               http={"idle_timeout": "5s"},  # for those whose reset was lost
               log={"requests": str(tmp_path / "requests")})
    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        operator = pool.submit(operate, hf, said, stop)
        try:
            clients = asyncio.run(drive(CLIENTS, SEED, AT_ONCE))
        finally:
            stop.set()
        operator.result()
    asked, answered, own, left = (sum(getattr(client, what) for client in clients)
                                  for what in ("asked", "answered", "own", "left"))
    stats = hf.stats()

    # it was all there
    assert answered > 2.5 * CLIENTS and own > CLIENTS and left > CLIENTS / 20
    for name in ("cache_hits", "origin_coalesced", "cache_revalidated", "cache_partial",
                 "cache_not_modified", "cache_refreshes", "cache_purged"):
        assert stats[name + "_total"] > 0, name
    for reason in ("while_revalidate", "if_error_status", "fallback"):
        assert stats[f'cache_stale_served_total{{reason="{reason}"}}'] > 0, reason
    for why in ("vary", "uncacheable", "bypass"):
        assert stats[f'cache_misses_total{{class="{why}"}}'] > 0, why
    # credentials for a proxy are for us, who want none (RFC 9110 §11.7.2)
    assert script.proxy_authorizations == 0

    wait_until(lambda: hf.ctl("status")["connections"] == 0, 30, "all connections closed")
    wait_until(lambda: hf.stat("origin_fetches_in_flight") == 0, what="all fetches ended")
    searched = 0
    if not SANITIZED:  # there memory that was freed is kept for a while
        with held(script):
            assert in_memory(hf, CANARY)[0], "what is under way must be found, or nothing would be"
        wait_until(lambda: hf.ctl("status")["connections"] == 0, what="that one closed")
        no_canary_in_memory(hf)
        found, searched = in_memory(hf, PUBLIC)
        assert max(map(len, found.values())) > 10000, "this is the cache"
    say_all(hf, said)
    files = list(files_of(hf.process.pid, [hf.dir, f"/run/dpdk/hf-{hf.process.pid}"]))
    hf.stop()
    log = "".join(hf.lines).encode()
    requests = (tmp_path / "requests").read_bytes()
    assert requests.count(b"\n") > answered / 2 and b"access_token=***" in requests
    for what, text in [*said, *files, *files_of(None, [hf.dir]), ("log", log),
                       ("requests", requests)]:
        assert not canaries(text), (what, text[:2000])
    assert b"access_token=***" in b"".join(text for _, text in said)
    print(f"{len(clients)} clients, {asked} requests, {script.requests} at the origin: searched "
          f"{answered} answers, {own} of them with canaries of their own client; "
          f"{searched >> 20} MiB of memory, {len(said)} outputs of commands, {len(files)} files, "
          f"{len(log)} bytes of log")


def test_a_head_that_repeats_is_kept_no_longer_than_its_client(start, origin):
    if SANITIZED:
        pytest.skip("there memory that was freed is kept for a while")
    hf = start(origin.url)
    request = (b"GET /a HTTP/1.1\r\nHost: canary\r\nX-Client: cAnArYi000001234abcd\r\nAccept: */*\r\n\r\n")
    with connect() as conn:
        for _ in range(4):
            conn.sendall(request)
            assert conn.recv(1 << 16)
    wait_until(lambda: hf.ctl("status")["connections"] == 0, what="all connections closed")
    no_canary_in_memory(hf)
