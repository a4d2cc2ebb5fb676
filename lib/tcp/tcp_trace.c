/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The last things that happened on a connection. Runs for each segment: a few ns, on cache lines
 * that the segment's counters have warmed.
 *
 * conn->trace_at counts records from 0 to HF_TCP_TRACE_MAX and then on a circle from there to twice
 * as many: so it says both where the next one goes and how many there are, and starts at 0 as all
 * else.
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_priv.h"

#define TRACE_UNIT_SHIFT 7 /* 128 us */
#define TRACE_WHEN_MASK  0xffffffU

static const struct {
	const char *name, *arg;
} trace_kinds[HF_TCP_TRACE_COUNT] = {
#define X(id, name_, arg_) [HF_TCP_TRACE_##id] = { .name = name_, .arg = arg_ },
#include "tbl/tcp_trace.h"
#undef X
};
HF_STATIC_ASSERT(2 * HF_TCP_TRACE_MAX <= UINT8_MAX, "fits trace_at");

static uint32_t trace_when(uint64_t now_us)
{
	return (uint32_t)(now_us >> TRACE_UNIT_SHIFT) & TRACE_WHEN_MASK;
}

/* Bytes that take turns with those of the other way. */
static bool trace_flows(uint32_t kind)
{
	return kind == HF_TCP_TRACE_OUT || kind == HF_TCP_TRACE_ACKED;
}

static struct hf_tcp_trace *trace_before(struct hf_tcp_conn *conn, uint32_t slot)
{
	return &conn->trace[slot > 0 ? slot - 1 : HF_TCP_TRACE_MAX - 1];
}

/* The record that takes these bytes, as the latest one. NULL: a new one must. Before the first
 * record all is zeroes: no kind that is summed. */
static struct hf_tcp_trace *trace_sum_to(
	struct hf_tcp_conn *conn, struct hf_tcp_trace *last, uint32_t kind)
{
	struct hf_tcp_trace *prev, swap;

	if (last->kind == kind)
		return trace_flows(kind) || kind == HF_TCP_TRACE_IN ? last : NULL;
	if (!trace_flows(kind) || !trace_flows(last->kind))
		return NULL;
	/* a transfer is two records however long it is, or nothing would be left of its past */
	prev = trace_before(conn, (uint32_t)(last - conn->trace));
	if (prev->kind != kind)
		return NULL;
	swap = *prev;
	*prev = *last;
	*last = swap;
	return last;
}

void tcp_trace(const struct hf_tcp *tcp, struct hf_tcp_conn *conn, enum hf_tcp_trace_kind kind,
	uint32_t arg)
{
	uint32_t at = conn->trace_at, slot = at < HF_TCP_TRACE_MAX ? at : at - HF_TCP_TRACE_MAX;
	struct hf_tcp_trace *same = trace_sum_to(conn, trace_before(conn, slot), kind);
	uint32_t when = trace_when(tcp->now_us);

	HF_ASSERT_HOT(kind < HF_TCP_TRACE_COUNT);
	HF_ASSERT_HOT(at < 2 * HF_TCP_TRACE_MAX);
	if (same) {
		same->when = when;
		same->arg = arg > UINT32_MAX - same->arg ? UINT32_MAX : same->arg + arg;
		return;
	}
	conn->trace[slot] = (struct hf_tcp_trace){ .when = when, .kind = kind, .arg = arg };
	at++;
	conn->trace_at = (uint8_t)(at < 2 * HF_TCP_TRACE_MAX ? at : HF_TCP_TRACE_MAX);
}

uint32_t tcp_trace_copy(const struct hf_tcp_conn *conn, struct hf_tcp_trace *ret_trace)
{
	uint32_t at = conn->trace_at, count = hf_min_u32(at, HF_TCP_TRACE_MAX);
	uint32_t from = at - count; /* slot of the oldest */

	HF_ASSERT(at < 2 * HF_TCP_TRACE_MAX);
	for (uint32_t i = 0; i < count; i++)
		ret_trace[i] = conn->trace[(from + i) % HF_TCP_TRACE_MAX];
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
	uint32_t units = (trace_when(now_us) - trace->when) & TRACE_WHEN_MASK;

	return (uint64_t)units << TRACE_UNIT_SHIFT;
}
