/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How the cache stood to a request: X(id, "name"). Logged, and what `cache=` of a filter takes besides
 * "miss", which is all from ABSENT to UNCACHEABLE.
 */
/* clang-format off */
X(NONE,        "none")        /* the cache was not asked: refusals, OPTIONS * */
X(HIT,         "hit")
X(STALE,       "stale")       /* a hit past its lifetime, for whatever reason */
X(ABSENT,      "absent")
X(EXPIRED,     "expired")
X(VARY,        "vary")
X(UNCACHEABLE, "uncacheable") /* nothing was stored, and the answer may not be */
X(BYPASS,      "bypass")      /* the request may not be answered from a cache, or wants it younger */
/* clang-format on */
