/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every command of the socket and of holdfastctl: X(id, name, arguments, help). Of the arguments, URL
 * must be there, [PATTERN] may, and [--flag] is true or false.
 */
/* clang-format off */
X(STATUS,      "status",      "",          "Mode, uptime, workers, ports, cache and origins in one view")
X(STATS,       "stats",       "[PATTERN]", "Every statistic, summed over threads; PATTERN is a shell pattern on names")
X(LCORES,      "lcores",      "",          "Each worker: turns, idle share, packets, connections, last sign of life")
X(CONNS,       "conns",       "[--trace]", "TCP connections: peer, state, queues, timing; --trace: and what happened last")
X(DROPS,       "drops",       "",          "What arrived and was not served, by reason")
X(CACHE_SHOW,  "cache show",  "URL",       "What is stored for a URL: variants, age, lifetime, or why nothing is")
X(PURGE,       "purge",       "URL",       "Remove what is stored for a URL; no worker serves it after the answer")
X(CONFIG_SHOW, "config show", "",          "The effective configuration with defaults")
X(DRAIN,       "drain",       "",          "Accept no more connections, finish the open ones, exit")
X(SHUTDOWN,    "shutdown",    "",          "Exit now")
X(VERSION,     "version",     "",          "Version of the server")
