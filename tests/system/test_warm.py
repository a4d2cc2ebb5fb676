# SPDX-License-Identifier: BSD-3-Clause
"""A restart keeps the cache: what was stored is a hit again, as old as it is, and no secret came along."""
import json

from harness import connect, is_hit, read_answer, say, wait_until

COUNT = 200
PATHS = [f"/n/{i}" for i in range(COUNT)]
PURGED = PATHS[7]
SHARED = "Cache-Control: public, max-age=600", "Age: 100", "Set-Cookie: sid=CANARY-cookie"


def body_of(path):
    return (path.encode() + b" ") * (1 + 50 * int(path.rsplit("/", 1)[1]))


def script(conn, request):
    if request.target.startswith("/n/"):
        say(conn, request, body_of(request.target), SHARED)
    elif "?" in request.target:
        say(conn, request, b"CANARY-url", SHARED)
    else:
        say(conn, request, b"CANARY-private", ["Cache-Control: private, max-age=600"])
    return True


def get(*paths):
    """All over one connection."""
    replies = []
    with connect() as conn:
        stream = conn.makefile("rb")
        for path in paths:
            conn.sendall(f"GET {path} HTTP/1.1\r\nHost: a.test\r\nCookie: id=CANARY-id\r\n"
                         "\r\n".encode())
            replies.append(read_answer(stream))
    return replies


def warm(hf):
    """Started; its snapshot is loaded."""
    hf.start()
    return wait_until(lambda: (now := hf.ctl("status")["warm_start"])["state"] != "loading" and now)


def test_what_was_stored_is_stored_after_a_restart(start, origin, tmp_path):
    snapshot = tmp_path / "dir" / "snapshot"
    origin.on("*", script)
    hf = start(origin.url, cache={"snapshot": str(snapshot)}, origin={"threads": 1})
    wait_until(lambda: hf.ctl("status")["warm_start"]["state"] == "no snapshot")
    hf.wait_log("WARN warm: .*/dir/snapshot: cannot be written at the end: No such file")
    snapshot.parent.mkdir()
    get(*PATHS, "/x?access_token=CANARY-token", "/private")
    before = get(*PATHS)
    assert all(map(is_hit, before))
    assert hf.ctl("purge", f"http://a.test{PURGED}") == {"purged": 1}
    hf.stop()

    assert snapshot.stat().st_mode & 0o777 == 0o600
    assert b"CANARY" not in snapshot.read_bytes()

    hf.config.write_text(json.dumps({**json.loads(hf.config.read_text()), "origin": {"threads": 2}}))
    asked = len(origin.seen)
    assert (loaded := warm(hf))["state"] == "done" and loaded["loaded"] == COUNT - 1
    assert not snapshot.exists()
    for path, old, new in zip(PATHS, before, get(*PATHS)):
        assert new.body == body_of(path) and is_hit(new) == (path != PURGED), path
        assert path == PURGED or int(new.headers["age"]) >= int(old.headers["age"]) >= 100
    assert len(origin.seen) == asked + 1  # for what was purged
    hf.stop()

    whole = snapshot.read_bytes()
    snapshot.write_bytes(whole[:len(whole) // 2])
    loaded = warm(hf)
    assert loaded["state"] == "damaged" and 0 < loaded["loaded"] < COUNT
    assert hf.stat("cache_warm_damaged_total") == 1
    assert sum(map(is_hit, get(*PATHS))) == loaded["loaded"]
