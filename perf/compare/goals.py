# SPDX-License-Identifier: BSD-3-Clause
"""What is aimed at, and how far it is: from the medians of one run. Pure."""
import collections

Goal = collections.namedtuple("Goal", "what figure aim met")  # figure and aim: text
MIB = 1 << 20


def at_least(what, figure, aim, unit=""):
    return Goal(what, f"{figure:.3g}{unit}", f">= {aim}{unit}", figure >= aim)


def at_most(what, figure, aim, unit=""):
    return Goal(what, f"{figure:.3g}{unit}", f"<= {aim}{unit}", figure <= aim)


def case(size, kind=""):
    return f"{size} {kind}".strip()


def per_cpu_s(record):
    return 1e6 / record["cpu_us"]


def best(medians, kernel, name):
    """Requests for a second of CPU time, of the server over the kernel that gives most."""
    found = {peer: per_cpu_s(medians[peer][name]) for peer in kernel if name in medians.get(peer, {})}
    return max(found.values(), default=None)


def against_limit(own, limit):
    small, large = case(64), case(MIB)
    if small in own and "64" in limit:
        yield at_least("64 B hits/s, of the frames/s that testpmd gives back (64 bytes)",
                       100 * own[small]["requests_s"] / limit["64"], 25, " %")
    if large in own and "1518" in limit:
        yield at_least("1 MiB, bytes/s, of those that testpmd moves in frames of 1518",
                       100 * own[large]["bytes_s"] / (1518 * limit["1518"]), 70, " %")


def against_kernel(own, medians, kernel, sizes):
    for size in sizes:
        theirs = best(medians, kernel, case(size))
        if theirs and case(size) in own:
            yield at_least(f"{size} B, requests a second of CPU time, by those of the best of the kernel's servers",
                           per_cpu_s(own[case(size)]) / theirs, 20 if size <= 16384 else 5, " x")


def connections(own, medians):
    name = case(64, "connection a request")
    if name in own and name in medians.get("nginx", {}):
        rate = own[name]["requests_s"]
        ratio = rate / medians["nginx"][name]["requests_s"]
        yield Goal("64 B, a connection a request: a second, and by nginx's", f"{rate:.0f}, {ratio:.3g} x",
                   ">= 300000 or >= 10 x", rate >= 300000 or ratio >= 10)


def own_only(own):
    if case(64, "pipelined 16") in own:
        yield at_least("64 B, pipelined by 16: requests/s, by those one at a time",
                       own[case(64, "pipelined 16")]["requests_s"] / own[case(64)]["requests_s"], 3, " x")
    if case(64, "half of its maximum") in own:
        yield at_most("64 B, p99.9 at half of its maximum",
                      own[case(64, "half of its maximum")]["p99.9"], 100, " us")
    for size in (64, 16384):
        if case(size, "misses") in own:
            yield at_least(f"{size} B, misses a second of an origin thread's CPU time",
                           1e6 / own[case(size, "misses")]["origin_cpu_us"], 25000)
    if case(64, "idle") in own:
        yield at_most("nothing to do (adaptive): of a core", 100 * own[case(64, "idle")]["core"], 2, " %")
        yield at_most("p99 of 1000 requests a second, each of which wakes it",
                      own[case(64, "1000 a second")]["p99"], 100, " us")


def goals(medians, limit, kernel, sizes):
    own = medians.get("holdfast", {})
    return [*against_limit(own, limit), *against_kernel(own, medians, kernel, sizes),
            *connections(own, medians), *own_only(own)]
