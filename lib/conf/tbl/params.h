/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every key of the configuration file that holds one value, or a list of names. The schema, the checks, the defaults and
 * `config show` follow from a line here.
 *
 *      ROOT(key, WHEN, member, TYPE, min, max, words, default, help)         top level
 *      PORT(key, member, TYPE, min, max, words, default, help)               an element of ports
 *      X(section, key, WHEN, member, TYPE, min, max, words, default, help)   within SECTION .. END
 *      LIST(... as X ...)                                                    a struct hf_names: at most max entries
 *      UNSUPPORTED(key)                                                      known, refused by name
 *
 * WHEN: LIVE, a reload changes it, or BOOT, it takes a restart; ports and listen do, too. member: of struct hf_conf (PORT: of struct hf_conf_port). words: for a number the word that means
 * 0; for ENUM its values in the order 0, 1; for FIELDS what is refused; for
 * other texts what they may be besides. default: text as in the file; NULL:
 * required; a LIST is empty.
 */
#ifndef ROOT
#ifdef X
#define ROOT(...) X(root, __VA_ARGS__)
#else
#define ROOT(...)
#endif
#endif
#ifndef X
#define X(...)
#endif
#ifndef LIST
#define LIST(...) X(__VA_ARGS__)
#endif
#ifndef PORT
#define PORT(...)
#endif
#ifndef SECTION
#define SECTION(section)
#endif
#ifndef END
#define END
#endif
#ifndef UNSUPPORTED
#define UNSUPPORTED(key)
#endif
#define KIB 1024ULL
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)
#define DAY_S 86400ULL
#define DAY_MS (1000 * DAY_S)
/* clang-format off */
ROOT(node,            BOOT, node,            NAME, 1, 63, NULL, "edge-1",   "Name of this node; in a chain of nodes each needs its own, for Via")
ROOT(workers,         BOOT, workers,         UINT, 1, HF_CONF_WORKERS_MAX, "auto", "auto", "Threads that poll; auto: all cores but one")
ROOT(idle,            BOOT, idle,            ENUM, 0, 1, "busy|adaptive", "adaptive", "What a worker does without packets: poll on, or sleep a little")
ROOT(bootstrap_state, BOOT, bootstrap_state, FILE, 0, 4095, NULL, "", "State document (origins and routes) to start with; empty: none")

PORT(device, device, DEVICE, 1, 1023, NULL, NULL, "PCI address or vdev with arguments")
PORT(vlan,   vlan,   UINT, 1, 4094, "none", "none", "802.1Q tag of all frames")
PORT(mtu,    mtu,    UINT, 1280, 9216, "auto", "auto", "Largest IP packet; auto: the driver's")

SECTION(cache)
X(cache, memory,                 BOOT, cache.memory,                   SIZE,    MIB, 64 * TIB, NULL, "1GiB", "Hard cap on the memory of stored responses")
X(cache, max_object,             LIVE, cache.max_object,               SIZE,    KIB, 32 * TIB, NULL, "64MiB", "Larger responses are not stored; at most half of memory")
X(cache, snapshot,               BOOT, cache.snapshot,                 FILE,    0, 4000, NULL, "", "Where the cache is kept over a restart; empty: nowhere")
X(cache, snapshot_max,           LIVE, cache.snapshot_max,             SIZE,    MIB, 64 * TIB, NULL, "1GiB", "Largest such file; what is worth most comes first")
X(cache, default_ttl,            LIVE, cache.default_ttl_s,            SECONDS, 0, 365 * DAY_S, NULL, "0s", "Lifetime of a response that names none")
X(cache, negative_ttl,           LIVE, cache.negative_ttl_s,           SECONDS, 0, 365 * DAY_S, NULL, "5s", "Lifetime of an error response that names none")
X(cache, stale_while_revalidate, LIVE, cache.stale_while_revalidate_s, SECONDS, 0, 365 * DAY_S, NULL, "0s", "How long past its lifetime a response is served while it is fetched anew")
X(cache, stale_if_error,         LIVE, cache.stale_if_error_s,         SECONDS, 0, 365 * DAY_S, NULL, "0s", "How long past its lifetime a response is served when its origin fails")
LIST(cache, scrub_fields,        LIVE, cache.scrub_fields,             FIELDS,     0, HF_NAMES_MAX, "cache-control|content-encoding|content-type|date|etag|expires|last-modified|vary", NULL, "Further response fields that hold a session or a credential: not in stored copies")
LIST(cache, secret_parameters,   LIVE, cache.secret_parameters,        PARAMETERS, 0, HF_NAMES_MAX, NULL, NULL, "Further query parameters that hold a credential: not stored, redacted in logs and CLI")
END

SECTION(http)
X(http, connections_max,         BOOT, http.connections_max,         UINT,   16, 16777216, NULL, "65536", "Connections of one worker")
X(http, connections_per_address, LIVE, http.connections_per_address, UINT,   0, 16777216, NULL, "0", "Connections of one client address at one worker, further ones are reset; 0: no limit")
X(http, header_bytes,            BOOT, http.header_bytes,            SIZE,   KIB, 64 * KIB, NULL, "16KiB", "Request line and fields; more: 431")
X(http, header_count,            LIVE, http.header_count,            UINT,   1, 128, NULL, "100", "Fields of a request; more: 431")
X(http, uri_bytes,               LIVE, http.uri_bytes,               SIZE,   64, 64 * KIB, NULL, "8KiB", "Request target; at most header_bytes; longer: 414")
X(http, header_timeout,          LIVE, http.header_timeout_ms,       MILLIS, 10, DAY_MS, NULL, "10s", "First byte to end of the request head; later: 408")
X(http, idle_timeout,            LIVE, http.idle_timeout_ms,         MILLIS, 10, DAY_MS, NULL, "60s", "Between two requests of a connection; then it is closed")
X(http, body_rate,               LIVE, http.body_rate,               SIZE,   0, 1024 * MIB, NULL, "240B", "Bytes a second, over 10 s, that a client must send (or 408) or take (or reset); 0: any")
END

SECTION(origin)
X(origin, threads,               BOOT, origin.threads,                  UINT,   1, 32, NULL, "1", "Threads that fetch from origins")
X(origin, max_in_flight,         LIVE, origin.max_in_flight,            UINT,   0, 1000000, NULL, "0", "Fetches of safe methods under way at a time, over all threads; 0: no limit")
X(origin, adaptive_limit,        LIVE, origin.adaptive_limit,           ENUM,   0, 1, "off|on", "off", "Ask an origin for as much at a time as it answers without delay: learnt for each from how long it takes, within adaptive_min and adaptive_max and what its group allows")
X(origin, adaptive_min,          LIVE, origin.adaptive_min,             UINT,   1, 1000000, NULL, "4", "Least adaptive limit, the one that is begun with")
X(origin, adaptive_max,          LIVE, origin.adaptive_max,             UINT,   1, 1000000, NULL, "1000", "Largest adaptive limit")
X(origin, max_queue,             LIVE, origin.max_queue,                UINT,   0, 1000000, NULL, "1024", "Fetches that wait for their turn, then 503")
X(origin, exchanges_max,         BOOT, origin.exchanges_max,            UINT,   1, 1000000, NULL, "1024", "Requests of one worker at origin threads")
X(origin, queue_timeout,         LIVE, origin.queue_timeout_ms,         MILLIS, 0, DAY_MS, NULL, "2s", "Longest wait for a turn, then 503")
X(origin, connect_timeout,       LIVE, origin.connect_timeout_ms,       MILLIS, 1, DAY_MS, NULL, "3s", "Name look-up and connection")
X(origin, first_byte_timeout,    LIVE, origin.first_byte_timeout_ms,    MILLIS, 1, DAY_MS, NULL, "30s", "Request sent to first byte of the answer")
X(origin, between_bytes_timeout, LIVE, origin.between_bytes_timeout_ms, MILLIS, 1, DAY_MS, NULL, "30s", "Silence within an answer")
X(origin, keepalive,             LIVE, origin.keepalive_ms,             MILLIS, 0, DAY_MS, NULL, "60s", "How long an idle connection to an origin is kept")
X(origin, patience,              LIVE, origin.patience_ms,              MILLIS, 1, DAY_MS, NULL, "50ms", "A group of origins that is silent for so long is suspected: what stale_if_error allows is served")
X(origin, total_timeout,         LIVE, origin.total_timeout_ms,         MILLIS, 1, DAY_MS, NULL, "60s", "First request sent to the answer's head, over all tries")
X(origin, retries,               LIVE, origin.retries,                  UINT,   0, 3, NULL, "3", "Further tries after one that failed, of requests that may be repeated")
X(origin, retry_budget,          LIVE, origin.retry_budget,             UINT,   0, 100, NULL, "20", "Retries for each hundred fetches; one a second and thread is always allowed")
X(origin, fallback_timeout,      LIVE, origin.fallback_timeout_ms,      MILLIS, 1, DAY_MS, NULL, "1s", "In fallback: longest connect_timeout and first_byte_timeout")
X(origin, hedge_after,           LIVE, origin.hedge_after_ms,           MILLIS, 0, DAY_MS, NULL, "0ms", "A GET that has no answer for so long is sent to another origin of its group too, within retry_budget: the first answer counts; 0: never")
X(origin, resolve_interval,      LIVE, origin.resolve_interval_s,       SECONDS, 1, DAY_S, NULL, "60s", "How long the addresses that an origin's name has are used, and a connection for further requests")
X(origin, ca_file,               LIVE, origin.ca_file,                  FILE,   0, 4095, NULL, "", "PEM file of the authorities whose word on an origin's certificate counts, and no other's; empty: the system's")
END

SECTION(tunnel)
LIST(tunnel, allow,       LIVE, tunnel.allow,            TARGETS, 0, HF_NAMES_MAX, NULL, NULL, "HOST:PORT that clients may reach by CONNECT; none: CONNECT is refused")
X(tunnel, max,            LIVE, tunnel.max,              UINT,    1, 1000000, NULL, "64", "Tunnels of one origin thread at a time, then 503")
X(tunnel, idle_timeout,   LIVE, tunnel.idle_timeout_ms,  MILLIS,  10, DAY_MS, NULL, "60s", "Silence both ways; then a tunnel is cut")
X(tunnel, total_timeout,  LIVE, tunnel.total_timeout_ms, MILLIS,  10, DAY_MS, NULL, "1h", "From CONNECT on; then a tunnel is cut")
END

SECTION(control_plane)
X(control_plane, url,              BOOT, control_plane.url,              URL,     0, 1023, NULL, "", "Control plane, http:// or https://; empty: none")
X(control_plane, interval,         LIVE, control_plane.interval_ms,      MILLIS, 10, DAY_MS, NULL, "1s", "Between two questions for the state, give or take a tenth")
X(control_plane, timeout,          LIVE, control_plane.timeout_ms,       MILLIS, 10, DAY_MS, NULL, "500ms", "To connect, to the first byte, and between bytes; all of it at most ten times that")
X(control_plane, failures,         LIVE, control_plane.failures,         UINT,    1, 1000, NULL, "3", "Failures in a row that begin fallback")
X(control_plane, successes,        LIVE, control_plane.successes,        UINT,    1, 1000, NULL, "2", "Good answers in a row that end it")
X(control_plane, max_stale,        LIVE, control_plane.max_stale_s,      SECONDS, 0, 365 * DAY_S, NULL, "30s", "How long past its lifetime a response is served in fallback")
X(control_plane, state_max_age,    LIVE, control_plane.state_max_age_ms, MILLIS, 100, 365 * DAY_MS, NULL, "30s", "Without a good answer for this long the state is expired")
X(control_plane, on_state_expired, LIVE, control_plane.state_expired,    ENUM,    0, 1, "latch|reject", "latch", "With an expired state: route as before, or answer misses by 503")
X(control_plane, state_file,       BOOT, control_plane.state_file,       FILE,    0, 4000, NULL, "/var/lib/holdfast/state.json", "Where the last good state is kept; empty: nowhere")
END

SECTION(registry)
X(registry, secret_file, LIVE, registry.secret_file, FILE, 0, 4095, NULL, "", "File whose first line origins must say to register at metrics.listen, read again at every reload; empty: none may")
END

SECTION(l2)
X(l2, secret_file,     LIVE, l2.secret_file,        FILE,   0, 4095, NULL, "", "File whose first line, [USER ]PASSWORD, is what connections to L2 nodes begin with, read again at every reload; empty: none")
X(l2, ca_file,         BOOT, l2.ca_file,            FILE,   0, 4095, NULL, "", "Certificates that L2 nodes with rediss:// are checked by; empty: the system's")
X(l2, connect_timeout, LIVE, l2.connect_timeout_ms, MILLIS, 1, 60000, NULL, "25ms", "Longest wait for a connection to an L2 node")
X(l2, read_timeout,    LIVE, l2.read_timeout_ms,    MILLIS, 1, 60000, NULL, "25ms", "Longest that a request waits for L2, all in all; then the origin is asked")
X(l2, write_timeout,   LIVE, l2.write_timeout_ms,   MILLIS, 1, 60000, NULL, "25ms", "Added to that for what is written to L2, for which nobody waits")
X(l2, keepalive,       LIVE, l2.keepalive_ms,       MILLIS, 1000, DAY_MS, NULL, "15s", "Silence after which TCP asks an L2 node whether it is there")
X(l2, lifetime,        LIVE, l2.lifetime_ms,        MILLIS, 100, DAY_MS, NULL, "5m", "A connection to an L2 node is replaced after so long")
X(l2, connections,     LIVE, l2.connections,        UINT,   1, 8, NULL, "2", "Most connections of an origin thread to an L2 node for questions; there is one more for what is written")
END

SECTION(ctl)
X(ctl, socket, BOOT, ctl.socket, SOCKET, 1, 107, NULL, "/run/holdfast/holdfast.sock", "Unix socket for holdfastctl")
X(ctl, mode,   BOOT, ctl.mode,   MODE,   0, 0777, NULL, "0660", "Permissions of the socket")
X(ctl, group,  BOOT, ctl.group,  GROUP,  0, 31, NULL, "holdfast", "Group of the socket, if there is such a group")
END

SECTION(log)
X(log, requests, LIVE, log.requests, FILE, 0, 4095, NULL, "", "File to which each request is appended as a line, opened again at every reload; empty: none")
X(log, format,   LIVE, log.format,   ENUM, 0, 1, "json|combined", "json", "Its lines: JSON objects, or the combined format of other web servers")
END

SECTION(runtime)
X(runtime, hugepages,     BOOT, runtime.hugepages,        ENUM,   0, 1, "off|auto", "auto", "auto: hugepages if there are any")
X(runtime, drain_timeout, LIVE, runtime.drain_timeout_ms, MILLIS, 0, DAY_MS, NULL, "30s", "How long open connections may go on after drain")
X(runtime, watchdog,      LIVE, runtime.watchdog_ms,      MILLIS, 100, DAY_MS, NULL, "2s", "A worker that stands still this long is reported")
END

SECTION(trace)
X(trace, sample, LIVE, trace.sample, UINT, 0, 1000000, NULL, "0", "Of a million requests that come without a trace so many begin one, if traces are exported; 0: none")
END

SECTION(metrics)
X(metrics, listen,   BOOT, metrics.listen,      ENDPOINT, 0, 63, NULL, "127.0.0.1:9145", "Where /metrics, /healthz, /readyz, /dashboard and /v1/origins are; empty: nowhere")
X(metrics, statsd,   BOOT, metrics.statsd,      HOSTPORT, 1, 260, "env|off", "env", "StatsD server; env: DD_AGENT_HOST, if that is set")
X(metrics, otlp,     BOOT, metrics.otlp,        URL,      1, 1023, "env|off", "env", "OpenTelemetry receiver (OTLP/HTTP, without /v1/metrics); env: OTEL_EXPORTER_OTLP_ENDPOINT, if that is set")
X(metrics, interval, BOOT, metrics.interval_ms, MILLIS,   100, DAY_MS, NULL, "10s", "Between two reports to StatsD and OTLP")
END

UNSUPPORTED(auth)
/* clang-format on */
#undef KIB
#undef MIB
#undef TIB
#undef DAY_S
#undef DAY_MS
#undef ROOT
#undef LIST
#undef PORT
#undef X
#undef SECTION
#undef END
#undef UNSUPPORTED
