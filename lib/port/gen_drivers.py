#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""drivers-config/*.conf -> C initialisers of struct port_driver. Usage: gen_drivers.py OUT CONF..."""
import os
import re
import sys

DESC_MAX = 2048  # PORT_DESC_MAX in port_priv.h


def number(low, high):
    def parse(text):
        if not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a number from {low} to {high}")
        return str(int(text))
    return parse


def yes_no(text):
    if text not in ("yes", "no"):
        raise ValueError("yes or no")
    return "true" if text == "yes" else "false"


def tso(text):
    if text in ("yes", "no"):
        return "PORT_TSO_MAX" if text == "yes" else "0"
    return number(1, 64512)(text)


def rss(text):
    words = text.split()
    if words == ["none"]:
        return "0"
    if not words or not set(words) <= {"ip", "tcp"}:
        raise ValueError("none, or words out of: ip tcp")
    return " | ".join("PORT_RSS_" + w.upper() for w in words)


def names(text):
    words = text.split()
    if not 1 <= len(words) <= 4 or not all(re.fullmatch(r"[a-z0-9_]{1,31}", w) for w in words):
        raise ValueError("1 to 4 DPDK driver names")
    return "{ " + ", ".join(f'"{w}"' for w in words) + " }"


def note(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


KEYS = {
    "driver": names, "rx_desc": number(64, DESC_MAX), "tx_desc": number(64, DESC_MAX),
    "max_queues": number(1, 63), "queues_pow2": yes_no, "tso": tso, "multi_seg": yes_no,
    "rss_fields": rss, "segs_max": number(1, 64), "tso_segs_max": number(1, 64),
    "tx_csum": yes_no, "own_mac": yes_no, "rx_fd": yes_no, "note": note,
}
NEEDED = set(KEYS) - {"queues_pow2", "tso_segs_max", "tx_csum", "own_mac", "rx_fd", "note"}


def read(path):
    values = {}
    with open(path, encoding="ascii") as lines:
        for count, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            key, equals, text = (part.strip() for part in line.partition("="))
            if not equals or key not in KEYS or key in values:
                sys.exit(f"{path}:{count}: expected one of: {' '.join(KEYS)}, once, and =")
            try:
                values[key] = KEYS[key](text)
            except ValueError as allowed:
                sys.exit(f"{path}:{count}: {key}: found {text!r}; allowed: {allowed}")
    if NEEDED - set(values):
        sys.exit(f"{path}: missing: {' '.join(sorted(NEEDED - set(values)))}")
    values.setdefault("tso_segs_max", values["segs_max"])
    values.setdefault("tx_csum", "true")
    return values


def main():
    with open(sys.argv[1], "w", encoding="ascii") as out:
        for path in sorted(sys.argv[2:]):
            name = os.path.splitext(os.path.basename(path))[0]
            fields = "".join(f"\n\t.{k} = {v}," for k, v in read(path).items())
            out.write(f'{{\n\t.name = "{name}",{fields}\n}},\n')


main()
