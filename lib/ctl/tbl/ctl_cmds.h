/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every command of the socket and of holdfastctl: X(id, name, arguments, help). Of the arguments, URL
 * must be there, [PATTERN] may, --prefix=PREFIX is an option with a value, --flag is true or false, of
 * A|B|C there must be one, and [FILTER...] is one argument of all the words that are left.
 */
/* clang-format off */
X(STATUS,      "status",      "",          "Mode, uptime, workers, ports, cache and origins in one view")
X(STATS,       "stats",       "[PATTERN]", "Every statistic and histogram, summed over threads; PATTERN is a shell pattern on names")
X(LCORES,      "lcores",      "",          "Each worker: turns, idle share, packets, connections, last sign of life")
X(CONNS,       "conns",       "[--trace]", "TCP connections: peer, state, queues, timing; --trace: and what happened last")
X(DROPS,       "drops",       "",          "What arrived and was not served, by reason")
X(TOP,         "top",         "[KIND]",    "What weighs most in the last seconds: KIND keys, clients or origins; goes on, --once: one table")
X(LOG,         "log",         "[FILTER...]", "Requests as they end; FILTER: status=5xx method=GET host=*.example.com path=/img/* client=192.0.2.0/24 cache=miss slow=50ms")
X(CACHE_SHOW,  "cache show",  "URL",       "What is stored for a URL: variants, age, lifetime, tags, or why nothing is")
X(CACHE_LIST,  "cache list",  "[PREFIX]",  "What is stored under a URL prefix, or a path prefix of every host: at most 1000 responses")
X(PURGE,       "purge",       "URL|--prefix=PREFIX|--tag=TAG|--all [--soft]",
                                           "Remove what is stored, --soft: make it stale; no worker serves it after the answer")
X(FALLBACK,       "fallback",       "[MODE]",  "Local cache mode: how it stands; MODE on or off holds it, auto lets it follow the control plane")
X(STATE_SHOW,     "state show",     "",        "The state in force: where it stands with the control plane, and the document")
X(STATE_SYNC,     "state sync",     "",        "Ask the control plane now")
X(STATE_HISTORY,  "state history",  "",        "The last states that were applied")
X(STATE_ROLLBACK, "state rollback", "VERSION", "Return to a state of the history until the control plane has a newer one")
X(ORIGIN_LIST,   "origin list",   "",             "Each origin: state, where it comes from, weight, fetches under way, in all and failed")
X(ORIGIN_EXPLAIN, "origin explain", "URL",        "Which origin of its group a GET of URL would go to now, and why")
X(ORIGIN_DRAIN,  "origin drain",  "GROUP ORIGIN", "Begin no more fetches to an origin (its id or URL); those under way finish")
X(ORIGIN_RESUME, "origin resume", "GROUP ORIGIN", "End that")
X(ORIGIN_ADD,    "origin add",    "GROUP URL",    "One more origin in a group of the state, until a restart")
X(ORIGIN_REMOVE, "origin remove", "GROUP URL",    "Take away an origin that was added")
X(AUTH_STATUS,   "auth status",   "",             "Decisions of auth services: each cache, each flow, what was asked")
X(AUTH_REVOKE,   "auth revoke",   "SHA256|--all [--cache=CACHE]", "Forget what was decided about a credential, by its SHA-256; - reads the credential from standard input and sends that")
X(L2_STATUS,   "l2 status",   "",          "Each node of L2, as each origin thread sees it: ring, breaker, connections, commands and failures")
X(LOGLEVEL,    "loglevel",    "[LEVEL]",   "The least level of lines that are logged: debug, info, warn or error; with LEVEL it is set")
X(CONFIG_SHOW, "config show", "",          "The effective configuration with defaults")
X(CONFIG_CHECK,  "config check",  "[FILE]", "Read the configuration file again, or another one: every error, or what it would change")
X(CONFIG_RELOAD, "config reload", "",       "Read the configuration file again and apply what a running server can; lists what needs a restart")
X(DRAIN,       "drain",       "",          "Accept no more connections, finish the open ones, exit")
X(SHUTDOWN,    "shutdown",    "",          "Exit now")
X(VERSION,     "version",     "",          "Version of the server")
