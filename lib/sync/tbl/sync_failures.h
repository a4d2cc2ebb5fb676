/* SPDX-License-Identifier: BSD-3-Clause
 *
 * How the control plane can fail: X(id, name, statistic). Each counts towards fallback.
 */
/* clang-format off */
X(5XX,     "5xx",     SYNC_FAILED_5XX)
X(TIMEOUT, "timeout", SYNC_FAILED_TIMEOUT)
X(REFUSED, "refused", SYNC_FAILED_REFUSED)
X(RESET,   "reset",   SYNC_FAILED_RESET)
X(DNS,     "dns",     SYNC_FAILED_DNS)
X(TLS,     "tls",     SYNC_FAILED_TLS)
/* clang-format on */
