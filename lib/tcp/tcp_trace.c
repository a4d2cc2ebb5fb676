/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The last things that happened on a connection. Runs for each segment: a few ns, on cache lines
 * that the segment's counters have warmed.
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_priv.h"
#include "tcp_trace.h"

static const struct {
	const char *name, *arg;
} trace_kinds[HF_TCP_TRACE_COUNT] = {
#define X(id, name_, arg_) [HF_TCP_TRACE_##id] = { .name = name_, .arg = arg_ },
#include "tbl/tcp_trace.h"
#undef X
};
HF_STATIC_ASSERT(HF_TCP_TRACE_MAX <= UINT8_MAX, "fits trace_at");

void tcp_trace_sum(struct hf_tcp_conn *conn, uint32_t what, uint32_t arg)
{
	struct tcp_record *last = &conn->trace[conn->trace_at];
	uint32_t sum = last->arg;

	if (tcp_trace_kind(last) != what >> TCP_TRACE_KIND_SHIFT) {
		/* a transfer is two records however long it is, or nothing would be left of its past */
		struct tcp_record *prev = &conn->trace[tcp_trace_before(conn->trace_at)];

		sum = prev->arg;
		*prev = *last;
	}
	*last = (struct tcp_record){ what, arg > UINT32_MAX - sum ? UINT32_MAX : sum + arg };
}

void tcp_trace(const struct hf_tcp *tcp, struct hf_tcp_conn *conn, enum hf_tcp_trace_kind kind,
	uint32_t arg)
{
	HF_ASSERT_HOT(kind < HF_TCP_TRACE_COUNT);
	HF_ASSERT_HOT(conn->trace_at < HF_TCP_TRACE_MAX);
	tcp_trace_inline(tcp, conn, kind, arg);
}

uint32_t tcp_trace_copy(const struct hf_tcp_conn *conn, struct hf_tcp_trace *ret_trace)
{
	uint32_t at = conn->trace_at, count = conn->trace_full ? HF_TCP_TRACE_MAX : at;
	uint32_t from = conn->trace_full ? at + 1 : 1; /* slot of the oldest */

	HF_ASSERT(at < HF_TCP_TRACE_MAX);
	for (uint32_t i = 0; i < count; i++) {
		const struct tcp_record *record = &conn->trace[(from + i) % HF_TCP_TRACE_MAX];

		ret_trace[i] = (struct hf_tcp_trace){ .when = record->what & TCP_TRACE_WHEN_MASK,
			.kind = tcp_trace_kind(record),
			.arg = record->arg };
	}
	return count;
}

const char *hf_tcp_trace_name(uint32_t kind)
{
	HF_ASSERT(kind < HF_TCP_TRACE_COUNT);
	return trace_kinds[kind].name;
}

const char *hf_tcp_trace_arg(uint32_t kind)
{
	HF_ASSERT(kind < HF_TCP_TRACE_COUNT);
	return trace_kinds[kind].arg;
}

uint64_t hf_tcp_trace_ago_us(const struct hf_tcp_trace *trace, uint64_t now_us)
{
	uint32_t units = (tcp_trace_when(now_us) - trace->when) & TCP_TRACE_WHEN_MASK;

	return (uint64_t)units << TCP_TRACE_UNIT_SHIFT;
}
