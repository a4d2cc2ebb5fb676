/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_tcp.h"

#include "hf_bytes.h"

#include "tcp_priv.h"

enum opt_kind { OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2, OPT_WSCALE = 3 };

#define OPT_WSCALE_MAX 14 /* RFC 7323 §2.3 */

/* One option with its length byte checked; false when its kind has another length. */
static bool opt_take(const uint8_t *opt, uint8_t len, struct tcp_opts *opts)
{
	switch (opt[0]) {
	case OPT_MSS:
		if (len != 4)
			return false;
		opts->has_mss = true;
		opts->mss = hf_load_be16(opt + 2);
		return true;
	case OPT_WSCALE:
		if (len != 3)
			return false;
		opts->has_wscale = true;
		opts->wscale = opt[2] > OPT_WSCALE_MAX ? OPT_WSCALE_MAX : opt[2];
		return true;
	default:
		return true; /* RFC 9293 §3.1: unknown ones are ignored */
	}
}

bool tcp_opt_parse(const uint8_t *opt, uint32_t len, struct tcp_opts *ret_opts)
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
	*ret_opts = opts;
	return true;
}

uint8_t tcp_opt_synack(const struct hf_tcp_conn *conn, uint8_t *ret_opt)
{
	ret_opt[0] = OPT_MSS;
	ret_opt[1] = 4;
	hf_store_be16(ret_opt + 2, conn->rcv_mss);
	if (!tcp_has(conn, TCP_F_WSCALE))
		return 4;
	ret_opt[4] = OPT_NOP;
	ret_opt[5] = OPT_WSCALE;
	ret_opt[6] = 3;
	ret_opt[7] = conn->rcv_shift;
	return 8;
}
