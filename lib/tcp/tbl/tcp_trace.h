/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a connection's trace can hold: X(id, name, what the argument is). Records of IN, OUT or ACKED
 * that follow each other are one, with the sum of bytes and the last one's time; OUT and ACKED that
 * take turns are two.
 */
/* clang-format off */
X(OPEN,        "open",         "mss")
X(COOKIE,      "open-cookie",  "mss")
X(IN,          "in",           "bytes")
X(OUT,         "out",          "bytes")
X(ACKED,       "acked",        "bytes")
X(DROP,        "drop",         "reason")
X(HOLE,        "hole",         "bytes ahead")
X(RECOVERY,    "recovery",     "cwnd")
X(RECOVERED,   "recovered",    "cwnd")
X(UNDO,        "undo",         "cwnd")
X(RESENT,      "resent",       "bytes")
X(RTO,         "rto",          "ms")
X(TLP,         "tail-probe",   "bytes")
X(WINDOW_SHUT, "window-shut",  "")
X(WINDOW_OPEN, "window-open",  "bytes")
X(PROBE,       "window-probe", "")
X(KEEPALIVE,   "keepalive",    "unanswered")
X(CHALLENGE,   "challenge",    "")
X(ECN,         "ecn-reduced",  "cwnd")
X(PMTU,        "path-mtu",     "bytes")
X(BLACK_HOLE,  "black-hole",   "mss")
X(SOFT_ERROR,  "unreachable",  "")
X(FIN_IN,      "fin-in",       "")
X(FIN_OUT,     "fin-out",      "")
X(CLOSE,       "close",        "")
/* clang-format on */
