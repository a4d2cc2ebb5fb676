# SPDX-License-Identifier: BSD-3-Clause
"""Medians, tables and the figure of a run."""
import os
import platform
import re
import statistics
import subprocess
import time
from pathlib import Path

from goals import case, per_cpu_s

FIELDS = (("requests_s", "requests/s", 1, ".0f"), ("bytes_s", "MB/s", 1e-6, ".1f"),
          ("cpu_us", "us of CPU each", 1, ".2f"), ("p50", "p50 us", 1, ".0f"), ("p99", "p99", 1, ".0f"),
          ("p99.9", "p99.9", 1, ".0f"), ("memory", "MiB", 1 / (1 << 20), ".0f"), ("errors", "errors", 1, ".0f"))


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {"cpu": model[1] if model else platform.machine(), "cpus": os.cpu_count(),
            "kernel": platform.release(), "load": os.getloadavg()[0],
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


MORE_IS_BETTER = "requests_s", "bytes_s", "responses"


def best(field):
    """Of several rounds, the one that others on the machine disturbed least."""
    return max if field in MORE_IS_BETTER else min


def over_rounds(rounds, pick=lambda _field: statistics.median):
    """Of each field one figure, over the rounds of each case of each peer."""
    return {peer: {name: {field: pick(field)([record[field] for record in records])
                          for field in records[0]} for name, records in cases.items()}
            for peer, cases in rounds.items()}


def limits(rounds, pick=statistics.median):
    return {size: pick([told[size] for told in rounds]) for size in (rounds or [{}])[0]}


def table(found, names):
    """The rows of these cases, peers under each other."""
    yield "| object | server | " + " | ".join(title for _, title, _, _ in FIELDS) + " |"
    yield "| --- " * (len(FIELDS) + 2) + "|"
    for name in names:
        for peer, cases in found.items():
            if name in cases:
                cells = [format(cases[name][field] * scale, form) if field in cases[name] else ""
                         for field, _, scale, form in FIELDS]
                yield f"| {name} | {peer} | " + " | ".join(cells) + " |"


def text(result):
    found = result["medians"]
    yield from table(found, dict.fromkeys(name for cases in found.values() for name in cases
                                          if not name.endswith("idle")))
    for size, pps in result["limit"].items():
        yield f"testpmd gives back {pps:.0f} frames/s of {size} bytes, {pps * int(size) / 1e6:.1f} MB/s"
    yield ""
    yield "| goal | figure | of the best rounds | aim | met |"
    yield "| --- | --- | --- | --- | --- |"
    for goal, at_best in zip(result["goals"], result["goals_at_best"]):
        yield (f"| {goal['what']} | {goal['figure']} | {at_best['figure']} | {goal['aim']} | "
               f"{'yes' if goal['met'] else 'no'} |")


def plot(result, path):
    """Requests a second of CPU time by size, as PNG."""
    curves = {}
    for peer, cases in result["medians"].items():
        rows = [f"{size} {per_cpu_s(cases[case(size)])}\n" for size in result["options"]["sizes"]
                if case(size) in cases]
        if rows:
            curves[peer] = "".join(rows)
    plots = ", ".join(f'"-" with linespoints title "{peer}"' for peer in curves)
    script = f"""set terminal pngcairo size 1000,600 noenhanced
set output "{path}"
set logscale xy
set grid
set key outside
set title "{result['machine']['cpu']}, medians of {result['options']['rounds']} rounds"
set xlabel "bytes of an object"
set ylabel "requests a second of the server's CPU time"
plot {plots}
""" + "".join(rows + "e\n" for rows in curves.values())
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
