# SPDX-License-Identifier: BSD-3-Clause
"""The order of modules in lib/meson.build is the architecture: the build breaks when it is violated."""
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    return shutil.copytree(ROOT, tmp_path / "tree",
                           ignore=shutil.ignore_patterns(".git", "build*", "__pycache__"))


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def add(tree, module, line):
    with (tree / "lib" / module / "meson.build").open("a") as out:
        out.write(f"\n{line}\n")


@pytest.mark.parametrize("module,lower", [("http", "cache"), ("tcp", "net"), ("serve", "origin"),
                                          ("base", "mem")])
def test_naming_a_module_further_down_breaks_the_setup(tree, module, lower):
    add(tree, module, f"uses += ['{lower}']")
    code, out = run("meson", "setup", tree / "b", tree)
    assert code != 0 and f"lib/{module} uses {lower}, which stands below it" in out


def test_headers_that_are_not_declared_do_not_resolve(tree):
    """DPDK in a pure module, a lower module's header, a header of a module that is not in `uses`."""
    headers = {"a": "rte_mbuf.h", "b": "hf_cache.h", "c": "hf_timer.h"}
    for name, header in headers.items():
        (tree / f"lib/http/http_{name}.c").write_text(f"#include <{header}>\n")
    add(tree, "http", "sources += files('http_a.c', 'http_b.c', 'http_c.c')")
    code, out = run("meson", "setup", tree / "b", tree)
    assert code == 0, out
    code, out = run("ninja", "-k0", "-C", tree / "b", "lib/libhf_http.a")
    assert code != 0
    for header in headers.values():
        assert f"{header}: No such file" in out
    assert out.count("fatal error") == len(headers)
