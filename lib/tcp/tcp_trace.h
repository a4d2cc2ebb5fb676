/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_trace - a record of the trace, where it is inlined: what each segment of a request and of its
 * answer leaves. All else calls tcp_trace (tcp_conn.h).
 *
 * Picture   conn->trace is a ring; trace_at is where the latest record is:
 *              |  (0)  | first | ... | trace_at | oldest | ...
 *           0 is written last, when the ring is full for the first time: as long as there is none, the
 *           latest and the one before are zeroes, of no kind that is summed.
 */
#ifndef TCP_TRACE_H
#define TCP_TRACE_H

#ifndef HF_PRIV_TCP
#error "tcp_trace.h is private to lib/tcp"
#endif

#include "tcp_priv.h"

#define TCP_TRACE_UNIT_SHIFT 7 /* 128 us */
#define TCP_TRACE_WHEN_MASK  0xffffffU
#define TCP_TRACE_KIND_SHIFT 24

static inline uint32_t tcp_trace_kind(const struct tcp_record *record)
{
	return record->what >> TCP_TRACE_KIND_SHIFT;
}

static inline uint32_t tcp_trace_when(uint64_t now_us)
{
	return (uint32_t)(now_us >> TCP_TRACE_UNIT_SHIFT) & TCP_TRACE_WHEN_MASK;
}

/* Bytes that take turns with those of the other way. */
static inline bool tcp_trace_flows(uint32_t kind)
{
	return kind == HF_TCP_TRACE_OUT || kind == HF_TCP_TRACE_ACKED;
}

static inline uint32_t tcp_trace_before(uint32_t at)
{
	return at > 0 ? at - 1 : HF_TCP_TRACE_MAX - 1;
}

/* The latest record, or of what flows the one before it, takes these bytes. */
static inline bool tcp_trace_is_more(const struct hf_tcp_conn *conn, uint32_t kind)
{
	uint32_t at = conn->trace_at, last = tcp_trace_kind(&conn->trace[at]);

	if (tcp_trace_flows(kind))
		return last == kind ||
		       (tcp_trace_flows(last) &&
			       tcp_trace_kind(&conn->trace[tcp_trace_before(at)]) == kind);
	return kind == HF_TCP_TRACE_IN && last == kind;
}

/* tcp_trace.c: they do, as the latest record then. */
void tcp_trace_sum(struct hf_tcp_conn *conn, uint32_t what, uint32_t arg);

static inline void tcp_trace_inline(const struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	enum hf_tcp_trace_kind kind, uint32_t arg)
{
	uint32_t what = tcp_trace_when(tcp->now_us) | (uint32_t)kind << TCP_TRACE_KIND_SHIFT;
	uint32_t at = conn->trace_at + 1U;

	if (tcp_trace_is_more(conn, kind)) {
		tcp_trace_sum(conn, what, arg);
		return;
	}
	if (at == HF_TCP_TRACE_MAX) {
		at = 0;
		conn->trace_full = true;
	}
	conn->trace[at] = (struct tcp_record){ what, arg };
	conn->trace_at = (uint8_t)at;
}

#endif
