# SPDX-License-Identifier: BSD-3-Clause
"""A group with an origin that fails in each way, beside one that is well: no client notices."""
import json
import socket
import struct

import pytest

from harness import Holdfast, Origin, answer, curl, free_port, url, wait_until
from test_reload import reload

GOOD = answer(b"good", ["Cache-Control: no-store"])


def reset(conn, request):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def half_a_head(conn, request):
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    return False


def hang(conn, request):
    conn.recv(1)
    return False


WAYS = {"http_503": answer(b"no", [], "503 No"), "connection_reset": reset,
        "unexpected_eof": half_a_head, "timeout": hang}


@pytest.fixture
def holdfast(tmp_path, origin):
    """`origin` fails, and `origin.well` does not; each host has a group of its own."""
    with Origin() as origin.well:
        holdfast = Holdfast(tmp_path, origin.url)
        origins = [("demo", "bad", origin.url), ("demo", "good", origin.well.url),
                   ("dead", "bad", f"http://127.0.0.1:{free_port()}"),
                   ("dead", "good", origin.well.url), ("checked", "bad", origin.url)]
        (tmp_path / "state.json").write_text(json.dumps({
            "schema": 1, "version": "1", "issued_at": "2026-01-01T00:00:00Z",
            "groups": [{"id": "checked", "health": {"path": "/up", "interval": 1}}],
            "origins": [dict(zip(("group", "id", "url"), each)) for each in origins],
            "routes": [{"id": group, "host": host, "path": "/", "group": group}
                       for host, group in (("*", "demo"), ("dead.test", "dead"))]}))
        try:
            yield holdfast.start()
        finally:
            holdfast.stop()


def of_list(holdfast):
    told = holdfast.ctl("origin", "list")
    return {(row["group"], row["id"]): row
            for row in (dict(zip(told["columns"], row)) for row in told["rows"])}


def test_each_failure_is_tried_elsewhere_and_ejects_in_the_end(holdfast, origin):
    def retries(reason):
        return holdfast.stat(f'origin_fetch_retries_total{{reason="{reason}"}}')

    origin.well.on("*", GOOD)
    for reason, fails in WAYS.items():
        origin.on(f"/{reason}", fails)
        # only where one hangs: for more than a busy machine makes the other one late
        reload(holdfast, origin={"first_byte_timeout": "1s" if reason == "timeout" else "30s"})
        while retries(reason) == 0:
            assert curl(url(f"/{reason}")).status == 200
    reload(holdfast, origin={"first_byte_timeout": "30s"})
    while retries("connection_refused") == 0:
        assert curl(url("/"), "-H", "Host: dead.test").status == 200
    while (bad := of_list(holdfast)["demo", "bad"])["state"] != "ejected":
        assert bad["state"] == "up" and bad["until"] == ""
        assert curl(url("/http_503")).status == 200
    assert bad["failures"] == 5 and bad["until"] > "2026"
    asked = len(origin.seen)
    assert {curl(url("/http_503")).status for _ in range(4)} == {200}
    assert sum(request.target != "/up" for request in origin.seen[asked:]) == 0
    assert holdfast.stat('origin_fetches_total{outcome="success"}') == \
        holdfast.stat("origin_fetches_total") == holdfast.stat("http_requests_total")
    wait_until(lambda: of_list(holdfast)["checked", "bad"]["state"] == "unhealthy")
    assert of_list(holdfast)["dead", "good"]["state"] == "up"
