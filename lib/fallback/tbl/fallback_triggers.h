/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How the other end can fail: X(id, name). Each counts towards fallback, and has a statistic
 * SYNC_FAILED_id (control plane) and ORIGIN_FAILED_id.
 */
/* clang-format off */
X(5XX,     "5xx")     /* it answers, and cannot */
X(TIMEOUT, "timeout")
X(REFUSED, "refused") /* nobody takes the connection, or there is no way */
X(RESET,   "reset")   /* cut, or no HTTP */
X(DNS,     "dns")
X(TLS,     "tls")
/* clang-format on */
