# SPDX-License-Identifier: BSD-3-Clause
"""Fuzzes some seconds from a copy of the corpus: smoke.py TARGET CORPUS ok|crash"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

target, corpus, expected = sys.argv[1:]
seconds = os.environ.get("HF_FUZZ_SECONDS", "8")
with tempfile.TemporaryDirectory() as scratch:
    copy = pathlib.Path(scratch, "corpus")
    if os.path.isdir(corpus):
        shutil.copytree(corpus, copy)
    else:
        copy.mkdir()
    done = subprocess.run(
        [os.path.abspath(target), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
         "-print_final_stats=1", f"-artifact_prefix={scratch}/", str(copy)],
        capture_output=True, text=True, errors="replace", cwd=scratch)
    if (done.returncode != 0) == (expected == "crash"):
        sys.exit(0)
    print(done.stderr[-6000:])
    for found in pathlib.Path(scratch).glob("*-*"):
        print(found.name, found.read_bytes()[:4096].hex())
    sys.exit(f"{target}: exit code {done.returncode}, expected: {expected}")
