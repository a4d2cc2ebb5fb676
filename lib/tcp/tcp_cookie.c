/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SYN cookies: a handshake that needs no memory until its last ACK (RFC 4987 §3.6, appendix A).
 *
 * Picture   ISS    | MAC of flow, irs, period, index: 28 | index of MSS: 3 | period modulo 2: 1 |
 *           TSval  | milliseconds: 26                    | ECN: 1 | SACK: 1 | window scale: 4   |
 * Promises  A cookie is good in the 64 s in which it was made and in the next: one bit tells which.
 *           So each value of the four low bits has exactly one MAC that is taken at a time, and a
 *           blind ACK is taken with a chance of 16 in 2^32, or 2^-28, whatever flow and irs it
 *           claims: of a million in a second, one in 4.5 minutes. What that gains is a connection
 *           from an address that the sender cannot hear.
 *           The MAC stands in the high bits: a window full of sequence numbers is as hard to guess
 *           as any other connection's.
 * Limits    TSecr is not covered by the MAC: of several SYN-ACKs to one SYN, any may be echoed. A
 *           peer that invents one only chooses how it is spoken to itself: scale of its own window,
 *           SACK, ECN. Without timestamps there is none of the three.
 *           An ISS does not grow from one period to the next: old duplicates of a former connection
 *           of the same addresses are for its TIME_WAIT and for timestamps to keep off.
 */
#include "hf_tcp.h"

#include "tcp_open.h"
#include "tcp_opt.h"
#include "tcp_priv.h"

#define COOKIE_PERIOD_US     64000000ULL
#define COOKIE_LOW_BITS      4 /* index and period */
#define COOKIE_TS_MASK       63U
#define COOKIE_TS_SACK       (1U << 4)
#define COOKIE_TS_ECN        (1U << 5)
#define COOKIE_WSCALE_ABSENT 15U

/* What peers announce: tunnels, PPPoE, IPv6 and Ethernet, jumbo frames. Ascending. */
static const uint16_t cookie_mss[8] = { TCP_MSS_FLOOR, 536, 1220, 1360, 1400, 1440, 1460, 8940 };

/* One key, several uses: no two of them ever hash the same bytes. The ISN's hash has no such tag,
 * and another length. */
enum cookie_use {
	COOKIE_USE_ISS = 0x69737321,
	COOKIE_USE_TS_OFF = 0x74736f66,
};

uint32_t tcp_cookie_ts_off(const struct hf_sipkey *key, const struct tcp_flow *flow)
{
	/* a function of the flow alone: the next connection of the same addresses continues the
	 * same clock (RFC 7323 §5.4, RFC 6191), other flows do not learn the uptime from it (§7.1) */
	const struct {
		struct tcp_flow flow;
		uint32_t use;
	} what = { *flow, COOKIE_USE_TS_OFF };

	HF_STATIC_ASSERT(sizeof(what) == 40, "no padding is hashed");
	return (uint32_t)hf_siphash(key, &what, sizeof(what));
}

static uint32_t cookie_iss(const struct hf_sipkey *key, const struct tcp_flow *flow, uint32_t irs,
	uint64_t period, uint32_t index)
{
	const struct {
		struct tcp_flow flow;
		uint32_t use, irs, index;
		uint64_t period;
	} what = { *flow, COOKIE_USE_ISS, irs, index, period };
	uint32_t low = index << 1 | (uint32_t)(period & 1);

	HF_STATIC_ASSERT(sizeof(what) == 56, "no padding is hashed");
	HF_ASSERT(index < HF_ARRAY_LEN(cookie_mss));
	return (uint32_t)hf_siphash(key, &what, sizeof(what)) << COOKIE_LOW_BITS | low;
}

uint32_t tcp_cookie_make(const struct hf_sipkey *key, const struct tcp_flow *flow, uint32_t irs,
	uint64_t now_us, uint16_t *mss)
{
	uint32_t index = HF_ARRAY_LEN(cookie_mss) - 1;

	while (index > 0 && cookie_mss[index] > *mss)
		index--;
	*mss = cookie_mss[index]; /* above it only when it was below TCP_MSS_FLOOR */
	return cookie_iss(key, flow, irs, now_us / COOKIE_PERIOD_US, index);
}

bool tcp_cookie_check(const struct hf_sipkey *key, const struct tcp_flow *flow, uint32_t irs,
	uint32_t iss, uint64_t now_us, uint16_t *ret_mss)
{
	uint64_t period = now_us / COOKIE_PERIOD_US;
	uint32_t index = iss >> 1 & (HF_ARRAY_LEN(cookie_mss) - 1);

	HF_STATIC_ASSERT(HF_ARRAY_LEN(cookie_mss) == 1 << (COOKIE_LOW_BITS - 1), "all are valid");
	period -= (period ^ iss) & 1; /* this one or the one before, as the cookie says */
	if (cookie_iss(key, flow, irs, period, index) != iss)
		return false;
	*ret_mss = cookie_mss[index];
	return true;
}

uint32_t tcp_cookie_ts_make(uint32_t ts_val, const struct tcp_opts *opts, bool ecn)
{
	uint32_t low = opts->has_wscale ? opts->wscale : COOKIE_WSCALE_ABSENT;

	HF_ASSERT(!opts->has_wscale || opts->wscale < COOKIE_WSCALE_ABSENT);
	low |= opts->sack_permitted ? COOKIE_TS_SACK : 0;
	low |= ecn ? COOKIE_TS_ECN : 0;
	/* never ahead of the clock: the next TSval must not be older (RFC 7323 §5.4) */
	return ts_val - ((ts_val - low) & COOKIE_TS_MASK);
}

void tcp_cookie_ts_read(uint32_t ts_ecr, struct tcp_opts *ret_opts, bool *ret_ecn)
{
	uint32_t wscale = ts_ecr & COOKIE_WSCALE_ABSENT;

	ret_opts->has_wscale = wscale != COOKIE_WSCALE_ABSENT;
	ret_opts->wscale = ret_opts->has_wscale ? (uint8_t)wscale : 0;
	ret_opts->sack_permitted = (ts_ecr & COOKIE_TS_SACK) != 0;
	*ret_ecn = (ts_ecr & COOKIE_TS_ECN) != 0;
}
