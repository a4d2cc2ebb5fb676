# SPDX-License-Identifier: BSD-3-Clause
"""Nobody notices the deployment: no failed request, nothing too stale, one activation, recovery by itself."""
import os

import pytest

import harness
import partition
from plane import ControlPlane

LONG = bool(os.environ.get("HF_LONG"))


@pytest.mark.skipif(harness.SANITIZED and LONG, reason="a rate is asked for")
def test_cut_off_during_a_rolling_deployment(start, tmp_path):
    rate, phases = (10000, [15, 20, 10, 15]) if LONG else (500, [3, 5, 3, 3])
    (tmp_path / "origins").mkdir()
    with partition.Origins(tmp_path / "origins") as origins, \
            ControlPlane(tmp_path, origins.state("v0", [0, 1])) as plane:
        holdfast = start("", bootstrap=False, **partition.config(plane, tmp_path / "kept.json"))
        result = partition.run(holdfast, plane, origins, rate, phases)
        harness.wait_until(lambda: holdfast.ctl("status")["mode"] == "normal", what="recovery")
        activations = holdfast.stat("fallback_activations_total")
    print(result["summary"])
    assert result["summary"]["asked"] == rate * sum(phases)
    assert result["summary"]["errors"] == 0, [s for s in result["seconds"] if s["errors"]]
    assert result["summary"]["stale_ms"] <= partition.MAX_STALE * 1000 + 1000, "Age has whole seconds"
    assert activations == 1
    assert any(sample["mode"] == "fallback" for sample in result["samples"])
    if LONG:
        late = [s for s in result["seconds"] if s["p99_us"] >= 50000]
        assert not late, late
