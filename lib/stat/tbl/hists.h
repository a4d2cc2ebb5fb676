/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every histogram: X(id, name, unit, le_from, le_to, le_steps, help[, labels]). One line makes the
 * buckets in each thread's block, `holdfastctl stats`, and the exporters' text. unit: "seconds" holds
 * nanoseconds, any other holds itself. Prometheus' `le` bounds go from 2^le_from to 2^le_to of what is
 * held, le_steps (1 or 2) of them an octave. labels and families: as in stats.h.
 */
/* clang-format off */
X(HIT,               "hit_seconds",               "seconds",  9, 30, 2, "Hits: from the start of the turn that took the request up to the end of the turn, when its answer was with the NIC")
X(MISS,              "miss_seconds",              "seconds", 16, 36, 2, "Requests that an origin thread answered: from the turn that had the request's head to the one that queued the first byte of the answer")
X(ORIGIN_CONNECT,    "origin_connect_seconds",    "seconds", 14, 35, 2, "New connections to origins: name, TCP and TLS")
X(ORIGIN_FIRST_BYTE, "origin_first_byte_seconds", "seconds", 14, 36, 2, "Transfers from origins, also those that bring the rest of a body: from the start to the first byte")
X(ORIGIN_FETCH,      "origin_fetch_seconds",      "seconds", 14, 38, 2, "Transfers from origins that came to their end: from the start to the last byte, slow readers included")
F("origin_fetch_queue_wait_seconds", "How long fetches stood in the queue for a slot, of those that had to")
X(ORIGIN_QUEUE_ADMITTED, "origin_fetch_queue_wait_seconds", "seconds", 14, 36, 2, "Until they had one", "outcome=\"admitted\"")
X(ORIGIN_QUEUE_TIMEOUT,  "origin_fetch_queue_wait_seconds", "seconds", 14, 36, 2, "Until origin.queue_timeout was over", "outcome=\"timeout\"")
X(ORIGIN_QUEUE_CANCELED, "origin_fetch_queue_wait_seconds", "seconds", 14, 36, 2, "Until nobody wanted it any more", "outcome=\"canceled\"")
X(ORIGIN_QUEUE_ERROR,    "origin_fetch_queue_wait_seconds", "seconds", 14, 36, 2, "Until it failed otherwise", "outcome=\"error\"")
X(ROUTING,           "routing_seconds",           "seconds",  7, 25, 2, "Choices of the origin that gets a fetch, further tries too")
X(SYNC,              "sync_poll_seconds",         "seconds", 16, 37, 2, "Questions to the control plane that were answered: from the start to the last byte")
X(REGISTRY,          "registry_message_seconds",  "seconds", 10, 30, 2, "Messages to the registry of origins, but for those without the secret: from the last byte to the answer")
F("loop_seconds", "Turns of an lcore's poll loop, from start to start, sleep apart")
X(LOOP_BUSY,         "loop_seconds",              "seconds",  7, 30, 2, "Turns of the poll loop that found something to do", "work=\"busy\"")
X(LOOP_IDLE,         "loop_seconds",              "seconds",  7, 30, 2, "Turns of the poll loop that found nothing to do", "work=\"idle\"")
X(RX_BURST,          "rx_burst_packets",          "packets",  0,  9, 1, "Frames that one turn received, of turns that received any")
X(AUTH_ASK,          "auth_request_seconds",      "seconds", 14, 35, 2, "Questions to auth services: from the question to its end, further origins included")
X(AUTH_AGE,          "auth_decision_age_seconds", "seconds", 20, 38, 1, "How old the decisions were that requests went by")
F("l2_seconds", "Commands to L2, from when they are queued to the reply or the end of patience")
X(L2_GET,            "l2_seconds",                "seconds", 14, 31, 2, "Questions to L2", "op=\"get\"")
X(L2_SET,            "l2_seconds",                "seconds", 14, 31, 2, "Responses given to L2", "op=\"set\"")
/* clang-format on */
