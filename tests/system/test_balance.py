# SPDX-License-Identifier: BSD-3-Clause
"""Which origin of a group a request goes to, and how that is explained."""
import contextlib

import harness
from plane import ControlPlane, document


def asked(origins):
    return [len(origin.seen) for origin in origins]


def put(plane, version, origins, **group):
    """Each of an id that stays."""
    plane.state(document(version, "", groups=[{"id": "demo", **group}], origins=[
        {"group": "demo", "id": name, "url": origin.url} for name, origin in origins.items()]))
    plane.wait_ack(version)


def post(path, prompt):
    return harness.curl(harness.url(path), "-H", "Expect:", "--data-binary", prompt)


def test_requests_go_where_their_prefix_is_and_it_is_explained(start, tmp_path):
    with contextlib.ExitStack() as stack:
        origins = [stack.enter_context(harness.Origin()) for _ in range(3)]
        named = {f"o{i}": origin for i, origin in enumerate(origins)}
        plane = stack.enter_context(ControlPlane(tmp_path, document("v1", origins[0].url)))
        for origin in origins:
            origin.on("*", harness.answer(b"x", ["Cache-Control: no-store"]))
        hf = start(origins[0].url, control_plane={**plane.config, "interval": "50ms"},
                   bootstrap=False)
        plane.wait_ack("v1")

        put(plane, "paths", named, balance="prefix_affinity")
        for i in range(4):
            harness.curl(harness.url(f"/video/7/{i}?token={i}"))
        assert asked(origins) == [4, 0, 0]
        assert [hf.stat(f"routing_cache_{what}_total") for what in ("hit", "miss")] == [3, 1]
        told = hf.ctl("origin", "explain", harness.url("/video/7/new?token=secret"))
        assert "secret" not in str(told)
        assert [told[key] for key in ("group", "balance", "blocks", "mean_pending")] == [
            "demo", "prefix_affinity", 3, 0.0]
        rows = [dict(zip(told["candidates"]["columns"], row)) for row in told["candidates"]["rows"]]
        assert [row["origin"] for row in rows if row["chosen"]] == ["o0"]
        assert [row["depth"] for row in rows] == [2, 0, 0]
        assert abs(rows[0]["score"] - 2 / 3) < 1e-9
        assert "o0" in hf.ctl("origin", "explain", harness.url("/"), as_json=False)

        put(plane, "left", {name: named[name] for name in ("o1", "o2")}, balance="prefix_affinity")
        harness.curl(harness.url("/video/7/5"))
        assert asked(origins) == [4, 1, 0]
        assert hf.stat("routing_stale_detected_total") == 2, "of /video and /video/7"

        put(plane, "hash", named, balance="hash")
        before = asked(origins)
        for _ in range(4):
            harness.curl(harness.url("/one"))
        assert sorted(b - a for a, b in zip(before, asked(origins))) == [0, 0, 4]
        told = hf.ctl("origin", "explain", harness.url("/one"))["candidates"]
        chosen = [row[-1] for row in told["rows"]].index(True)
        assert asked(origins)[chosen] - before[chosen] == 4
        for i in range(20):
            harness.curl(harness.url(f"/{i}"))
        assert all(b > a for a, b in zip(before, asked(origins)))

        put(plane, "bodies", named, balance="prefix_affinity", affinity={"by": "body"})
        before = asked(origins)
        for i in range(3):
            post("/v1/chat", "You are a helpful assistant. " * 600 + str(i))
        post("/v1/chat", "short")
        assert [b - a for a, b in zip(before, asked(origins))] == [4, 0, 0]
        assert [hf.stat(f"routing_cache_{what}_total") for what in ("hit", "miss")] == [5, 4]

        plane.state(document("bad", "", origins=[], groups=[
            {"id": "demo", "balance": "prefix_affinity", "affinity": {"alpha": -1}}]))
        errors = plane.wait_ack("bad", "rejected")["errors"]
        assert "$.groups[0].affinity.alpha: found -1; allowed: 0 to 100" in errors
        assert "allowed" not in hf.ctl("origin", "explain", "http://", code=1)
