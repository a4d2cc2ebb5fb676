# SPDX-License-Identifier: BSD-3-Clause
"""System tests: the real program, real peers. The whole session lives in its own network and mount
namespace, so nothing of the host is touched and the kernel removes every interface at the end."""
import ctypes
import os
import pathlib
import signal
import subprocess

import pytest

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000


def isolate():
    if os.geteuid() != 0:
        pytest.exit("tests/system need root", returncode=2)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for command in ("mount --make-rprivate /", "mount -t sysfs sysfs /sys", "ip link set lo up"):
        subprocess.run(command.split(), check=True)


isolate()

import harness  # noqa: E402  (after isolate: its threads must be born inside)


def too_long(*_):
    raise AssertionError("the test takes too long")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A hang fails one test, not the run."""
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(os.environ.get("HF_TIMEOUT", 90)) * harness.SLOW)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    """The end of each holdfastd log of a failed test."""
    report = (yield).get_result()
    if report.failed and report.when in ("call", "teardown"):
        for holdfast in harness.Holdfast.of_test:
            report.sections.append(("holdfastd", "".join(holdfast.lines[-60:])))


@pytest.fixture(autouse=True)
def fresh_logs():
    harness.Holdfast.of_test.clear()


@pytest.fixture(scope="session")
def nginx(tmp_path_factory):
    with harness.Nginx(tmp_path_factory.mktemp("nginx")) as server:
        yield server


@pytest.fixture
def origin():
    with harness.Origin() as server:
        yield server


@pytest.fixture
def start(tmp_path):
    """start(origin_url, ...) -> a running Holdfast; stopped, and searched for leaks, at the end."""
    running = []

    def start_one(url, **options):
        directory = tmp_path / f"hf{len(running)}"
        directory.mkdir()
        running.append(harness.Holdfast(directory, url, **options))
        return running[-1].start()

    yield start_one
    errors = []
    for holdfast in running:
        try:
            holdfast.stop()
        except Exception as error:  # the others must be stopped too
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture
def hugepages():
    """Hugepages for one test, if the machine has room for them."""
    control = pathlib.Path("/proc/sys/vm/nr_hugepages")
    before = int(control.read_text())
    control.write_text(str(before + 256))
    if harness.meminfo("HugePages_Free") < 256:
        control.write_text(str(before))
        pytest.skip("the machine has no 256 hugepages to spare")
    free = harness.meminfo("HugePages_Free")
    yield
    left = harness.meminfo("HugePages_Free")
    control.write_text(str(before))
    assert left == free, "hugepages were left behind"
