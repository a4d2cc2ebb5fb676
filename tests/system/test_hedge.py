# SPDX-License-Identifier: BSD-3-Clause
"""Hedging: of two origins one falls silent now and then, and no client notices."""
import json

from harness import Holdfast, Origin, answer, curl, url, wait_until


def hang(conn, request):
    conn.recv(1)  # until it is cut
    return False


def test_who_is_slow_is_asked_beside_another_and_it_is_one_fetch(tmp_path, origin):
    with Origin() as well:
        hf = Holdfast(tmp_path, origin.url, origin={"hedge_after": "20ms"})
        (tmp_path / "state.json").write_text(json.dumps({
            "schema": 1, "version": "1", "issued_at": "2026-01-01T00:00:00Z",
            "origins": [{"group": "demo", "id": id, "url": each.url}
                        for id, each in (("a", origin), ("b", well))],
            "routes": [{"id": "r", "host": "*", "path": "/", "group": "demo"}]}))
        origin.on("*", hang)
        well.on("*", answer(b"well"))
        try:
            hf.start()
            for i in range(6):
                assert curl(url(f"/{i}"), timeout=10).body == b"well"
            stats = hf.stats()
            # they take turns; on a busy machine the one that is well may be late, too, and the other one is asked
            assert stats['origin_hedges_total{outcome="won"}'] > 0
            assert stats['origin_fetches_total{outcome="success"}'] == stats["origin_fetches_total"] == 6
            assert stats["origin_requests_total"] == 6 + stats["origin_hedges_total"]
            assert 0 < len(origin.seen) <= stats["origin_hedges_total"]
            wait_until(lambda: hf.stat("origin_fetches_in_flight") == 0)
        finally:
            hf.stop()
