/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP option lists: never read outside of the list; what was understood is built again and understood
 * the same; padding, which keeps the list from the fast path, changes nothing.
 * Needs: tcp.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tcp_opt.h"
#include "tcp_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of exactly this size. */
static bool parse(const uint8_t *data, uint32_t len, struct tcp_opts *ret_opts)
{
	uint8_t *list = malloc(len ? len : 1);
	bool ok;

	memcpy(list, data, len);
	ok = tcp_opt_parse(list, len, ret_opts);
	free(list);
	return ok;
}

static void same(const struct tcp_opts *a, const struct tcp_opts *b)
{
	HF_ASSERT(a->has_mss == b->has_mss && a->mss == b->mss);
	HF_ASSERT(a->has_wscale == b->has_wscale && a->wscale == b->wscale);
	HF_ASSERT(a->has_ts == b->has_ts && a->ts_val == b->ts_val && a->ts_ecr == b->ts_ecr);
	HF_ASSERT(a->sack_permitted == b->sack_permitted && a->sack_count == b->sack_count);
	for (uint32_t i = 0; i < a->sack_count; i++)
		HF_ASSERT(a->sack[i].start == b->sack[i].start && a->sack[i].end == b->sack[i].end);
}

static void build_again(const struct tcp_opts *opts)
{
	uint8_t *list = malloc(HF_TCP_OPT_MAX);
	uint8_t len = tcp_opt_build(opts, list);
	struct tcp_opts want = *opts, got;

	HF_ASSERT(len <= HF_TCP_OPT_MAX && len % 4 == 0);
	HF_ASSERT(parse(list, len, &got));
	if (want.has_mss || want.has_wscale) /* a SYN has none */
		want.sack_count = 0;
	else if (want.has_ts)
		want.sack_count = (uint8_t)hf_min_u32(want.sack_count, 3);
	same(&want, &got);
	free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = (uint32_t)hf_min_size(size, HF_TCP_OPT_MAX);
	uint8_t padded[HF_TCP_OPT_MAX] = { 1 };
	struct tcp_opts opts, other;

	if (!parse(data, len, &opts))
		return 0;
	HF_ASSERT(opts.wscale <= 14 && opts.sack_count <= TCP_SACKS_MAX);
	HF_ASSERT((opts.has_mss || opts.mss == 0) && (opts.has_wscale || opts.wscale == 0));
	HF_ASSERT(opts.has_ts || (opts.ts_val == 0 && opts.ts_ecr == 0));
	if (len < HF_TCP_OPT_MAX) {
		memcpy(padded + 1, data, len);
		HF_ASSERT(parse(padded, len + 1, &other));
		same(&opts, &other);
	}
	build_again(&opts);
	return 0;
}
