# SPDX-License-Identifier: BSD-3-Clause
"""scripts/run, as somebody types it on a fresh machine."""
import contextlib
import os
import pathlib
import signal
import subprocess

import pytest
from harness import BUILD, ROOT, SLOW, meminfo, sh, wait_until

RUN = ROOT / "scripts/run"
pytestmark = pytest.mark.skipif(BUILD != ROOT / "build", reason="scripts/run builds into build/")


def leftovers():
    """Of scripts/run: interfaces of this namespace, directories, hugepages."""
    links = {p.name for p in pathlib.Path("/sys/class/net").iterdir()}
    return links, set(pathlib.Path("/tmp").glob("holdfast-run.*")), meminfo("HugePages_Total")


@pytest.mark.parametrize("options", [[], ["--no-hugepages"]])
def test_once_shows_a_miss_and_a_hit_and_leaves_nothing(options):
    before = leftovers()
    for _ in range(2):  # and again, at once
        done = subprocess.run([RUN, "--once", *options], capture_output=True, text=True,
                              timeout=300 * SLOW)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "first fetch:   holdfast; fwd=miss" in done.stdout
        assert "second fetch:  holdfast; hit" in done.stdout
        assert leftovers() == before


@contextlib.contextmanager
def running(*options):
    # who ran us in the background may have had SIGINT ignored, and no shell can trap that
    process = subprocess.Popen([RUN, *options], stdout=subprocess.PIPE, text=True,
                               start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        text = []
        for line in process.stdout:
            text.append(line)
            if "Ctrl-C ends it" in line:
                break
        yield process, "".join(text)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stays_up_until_it_is_told_to_end(number):
    before = leftovers()
    with running() as (process, text):
        url = next(word for word in text.split() if word.startswith("http://192.0.2."))
        assert "holdfast; hit" in sh("curl", "-sSi", url)
        socket = next(w for w in text.split() if w.startswith("HOLDFAST_SOCKET=")).split("=")[1]
        assert "cache" in sh(BUILD / "app/holdfastctl/holdfastctl", "-s", socket, "status")
        os.killpg(process.pid, number)  # as the terminal does
        assert process.wait(30 * SLOW) == 0
    wait_until(lambda: leftovers() == before, what="cleaning up")


def test_two_at_once_have_networks_of_their_own():
    with running() as (_, first), running("--no-hugepages") as (_, second):
        assert "http://192.0.2.10/" in first and "http://198.51.100.10/" in second


def test_network_that_is_taken_already_is_told():
    sh("ip", "link", "add", "taken", "type", "veth", "peer", "name", "taken2")
    try:
        sh("ip", "link", "set", "taken", "up")
        for net in ("192.0.2", "198.51.100", "203.0.113"):
            sh("ip", "addr", "add", f"{net}.1/24", "dev", "taken")
        done = subprocess.run([RUN, "--once"], capture_output=True, text=True, timeout=300 * SLOW)
        assert done.returncode == 1 and "routed here already" in done.stderr, done.stderr
    finally:
        sh("ip", "link", "del", "taken")


def test_setup_says_nothing_when_all_is_there():
    done = subprocess.run([ROOT / "scripts/setup"], capture_output=True, text=True,
                          env={**os.environ, "http_proxy": "http://127.0.0.1:1"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_usage():
    for script in ("run", "test", "pgo"):
        done = subprocess.run([ROOT / "scripts" / script, "--nonsense"], capture_output=True,
                              text=True)
        assert done.returncode == 2 and "usage" in done.stderr


@pytest.mark.skipif("HF_LONG" not in os.environ, reason="two builds; scripts/test --long does it")
def test_a_trained_build_takes_fewer_instructions_for_a_hit(tmp_path):
    build, most = tmp_path / "pgo", tmp_path / "most"
    signal.alarm(1800)  # instead of conftest's
    sh(ROOT / "scripts/pgo", build)
    assert "holdfastd" in sh(build / "app/holdfastd/holdfastd", "--version")
    lines = (ROOT / "perf/micro/hit-instructions.most").read_text().splitlines()
    bounds = [line.split() for line in lines if line[0] != "#"]
    most.write_text("".join(f"{pipeline} {int(bound) * 0.93 / 1.05}\n" for pipeline, bound in bounds))
    sh(ROOT / "perf/micro/hit-instructions", build / "perf/bench_hit", "--check", most)
    again = subprocess.run([ROOT / "scripts/pgo", build], capture_output=True, text=True)
    assert again.returncode == 1 and "is there already" in again.stderr
