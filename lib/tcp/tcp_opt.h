/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_opt - the options of a segment, read and written.
 */
#ifndef TCP_OPT_H
#define TCP_OPT_H

#ifndef HF_PRIV_TCP
#error "tcp_opt.h is private to lib/tcp"
#endif

#include "hf_bytes.h"

#include "tcp_priv.h"

struct tcp_sack_block {
	uint32_t start, end;
};

#define TCP_SACKS_MAX    4
#define TCP_OPT_TS_ALONE 0x0101080aU /* nearly every segment's first four bytes: NOP, NOP, TS */

struct tcp_opts {
	bool has_mss, has_wscale, has_ts;
	bool sack_permitted;
	uint8_t wscale;
	uint8_t sack_count;
	uint16_t mss;
	uint32_t ts_val, ts_ecr;
	struct tcp_sack_block sack[TCP_SACKS_MAX]; /* as received: unverified */
};

/* opt: the timestamps option. */
static inline void tcp_opt_take_ts(const uint8_t *opt, struct tcp_opts *opts)
{
	opts->has_ts = true;
	opts->ts_val = hf_load_be32(opt + 2);
	opts->ts_ecr = hf_load_be32(opt + 6);
}

/* tcp_opt.c */
/* tcp_opt_parse of any list. */
bool tcp_opt_parse_list(const uint8_t *opt, uint32_t len, struct tcp_opts *ret_opts);
/* False for a malformed list. */
static inline bool tcp_opt_parse(const uint8_t *opt, uint32_t len, struct tcp_opts *ret_opts)
{
	if (hf_unlikely(len != 12 || hf_load_be32(opt) != TCP_OPT_TS_ALONE))
		return tcp_opt_parse_list(opt, len, ret_opts);
	*ret_opts = (struct tcp_opts){ 0 };
	tcp_opt_take_ts(opt + 2, ret_opts);
	return true;
}
/* Options as `opts` says, padded to a multiple of 4, HF_TCP_OPT_MAX bytes at most; returns their
 * length. SACK blocks stand on segments without MSS only, three of them beside timestamps. */
uint8_t tcp_opt_build(const struct tcp_opts *opts, uint8_t *ret_opt);
/* Timestamps alone, as on nearly every segment. */
uint8_t tcp_opt_build_ts(uint32_t ts_val, uint32_t ts_ecr, uint8_t *ret_opt);

#endif
