/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP options in and out. What is sent looks like Linux's, byte for byte: devices on the way have
 * seen these layouts before, and the other end has a fast path for them.
 */
#include "hf_tcp.h"

#include "hf_bytes.h"

#include "tcp_opt.h"
#include "tcp_priv.h"

enum opt_kind {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACK_OK = 4,
	OPT_SACK = 5,
	OPT_TS = 8,
};

#define OPT_MSS_LEN     4
#define OPT_WSCALE_LEN  3
#define OPT_SACK_OK_LEN 2
#define OPT_TS_LEN      10
#define OPT_SACK_HEAD   2
#define OPT_SACK_BLOCK  8

#define OPT_WSCALE_MAX 14 /* RFC 7323 §2.3 */

/* RFC 2018 §3: eight bytes a block, at least one. */
static bool opt_take_sack(const uint8_t *opt, uint8_t len, struct tcp_opts *opts)
{
	uint32_t count = (len - OPT_SACK_HEAD) / OPT_SACK_BLOCK;

	if (count == 0 || count > TCP_SACKS_MAX || len != OPT_SACK_HEAD + count * OPT_SACK_BLOCK)
		return false;
	if (opts->sack_count > 0)
		return true;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *block = opt + OPT_SACK_HEAD + i * OPT_SACK_BLOCK;

		opts->sack[i] =
			(struct tcp_sack_block){ hf_load_be32(block), hf_load_be32(block + 4) };
	}
	opts->sack_count = (uint8_t)count;
	return true;
}

/* One option whose length lies within the list; false when its kind has another length. Of a
 * repeated one the first counts: whoever appends to somebody's segment does not overrule what
 * stands there, and padding with garbage changes nothing. */
static bool opt_take(const uint8_t *opt, uint8_t len, struct tcp_opts *opts)
{
	switch (opt[0]) {
	case OPT_MSS:
		if (len == OPT_MSS_LEN && !opts->has_mss) {
			opts->has_mss = true;
			opts->mss = hf_load_be16(opt + 2);
		}
		return len == OPT_MSS_LEN;
	case OPT_WSCALE:
		if (len == OPT_WSCALE_LEN && !opts->has_wscale) {
			opts->has_wscale = true;
			opts->wscale = opt[2] > OPT_WSCALE_MAX ? OPT_WSCALE_MAX : opt[2];
		}
		return len == OPT_WSCALE_LEN;
	case OPT_SACK_OK:
		opts->sack_permitted |= len == OPT_SACK_OK_LEN;
		return len == OPT_SACK_OK_LEN;
	case OPT_SACK:
		return opt_take_sack(opt, len, opts);
	case OPT_TS:
		if (len == OPT_TS_LEN && !opts->has_ts)
			tcp_opt_take_ts(opt, opts);
		return len == OPT_TS_LEN;
	default:
		return true; /* RFC 9293 §3.1, MUST-6: unknown ones are ignored */
	}
}

bool tcp_opt_parse_list(const uint8_t *opt, uint32_t len, struct tcp_opts *ret_opts)
{
	struct tcp_opts opts = { 0 };
	uint32_t at = 0;

	HF_ASSERT(len <= HF_TCP_OPT_MAX);
	while (at < len && opt[at] != OPT_END) {
		if (opt[at] == OPT_NOP) {
			at++;
			continue;
		}
		/* a length below 2 would never advance */
		if (len - at < 2 || opt[at + 1] < 2 || opt[at + 1] > len - at)
			return false;
		if (!opt_take(opt + at, opt[at + 1], &opts))
			return false;
		at += opt[at + 1];
	}
	HF_ASSERT_HOT(at <= len);
	*ret_opts = opts;
	return true;
}

uint8_t tcp_opt_build_ts(uint32_t ts_val, uint32_t ts_ecr, uint8_t *ret_opt)
{
	hf_store_be32(ret_opt, TCP_OPT_TS_ALONE);
	hf_store_be32(ret_opt + 4, ts_val);
	hf_store_be32(ret_opt + 8, ts_ecr);
	return 12;
}

static uint8_t *opt_put_4(uint8_t *at, uint8_t b0, uint8_t b1, uint8_t b2, uint8_t b3)
{
	at[0] = b0;
	at[1] = b1;
	at[2] = b2;
	at[3] = b3;
	return at + 4;
}

/* SACK-permitted takes the place of the timestamps' padding. */
static uint8_t *opt_put_ts(uint8_t *at, const struct tcp_opts *opts)
{
	if (opts->sack_permitted)
		at = opt_put_4(at, OPT_SACK_OK, OPT_SACK_OK_LEN, OPT_TS, OPT_TS_LEN);
	else
		at = opt_put_4(at, OPT_NOP, OPT_NOP, OPT_TS, OPT_TS_LEN);
	hf_store_be32(at, opts->ts_val);
	hf_store_be32(at + 4, opts->ts_ecr);
	return at + 8;
}

/* The first ones that fit: three beside timestamps (RFC 2018 §3). */
static uint8_t *opt_put_sack(uint8_t *at, const struct tcp_opts *opts)
{
	uint32_t fit = opts->has_ts ? TCP_SACKS_MAX - 1 : TCP_SACKS_MAX;
	uint32_t count = hf_min_u32(opts->sack_count, fit);

	HF_ASSERT(opts->sack_count <= TCP_SACKS_MAX);
	if (count == 0)
		return at;
	at = opt_put_4(
		at, OPT_NOP, OPT_NOP, OPT_SACK, (uint8_t)(OPT_SACK_HEAD + count * OPT_SACK_BLOCK));
	for (uint32_t i = 0; i < count; i++) {
		hf_store_be32(at, opts->sack[i].start);
		hf_store_be32(at + 4, opts->sack[i].end);
		at += OPT_SACK_BLOCK;
	}
	return at;
}

uint8_t tcp_opt_build(const struct tcp_opts *opts, uint8_t *ret_opt)
{
	uint8_t *at = ret_opt;

	HF_ASSERT(!opts->has_wscale || opts->wscale <= OPT_WSCALE_MAX);
	if (opts->has_mss) {
		at[0] = OPT_MSS;
		at[1] = OPT_MSS_LEN;
		hf_store_be16(at + 2, opts->mss);
		at += OPT_MSS_LEN;
	}
	if (opts->has_ts)
		at = opt_put_ts(at, opts);
	else if (opts->sack_permitted)
		at = opt_put_4(at, OPT_NOP, OPT_NOP, OPT_SACK_OK, OPT_SACK_OK_LEN);
	if (opts->has_wscale)
		at = opt_put_4(at, OPT_NOP, OPT_WSCALE, OPT_WSCALE_LEN, opts->wscale);
	if (!opts->has_mss && !opts->has_wscale) /* a SYN has none */
		at = opt_put_sack(at, opts);
	HF_ASSERT(at <= ret_opt + HF_TCP_OPT_MAX && (at - ret_opt) % 4 == 0);
	return (uint8_t)(at - ret_opt);
}
