/* SPDX-License-Identifier: BSD-3-Clause
 *
 * TCP segments as bytes (RFC 9293 §3.1), their checksum and options; nothing of lib/tcp in it.
 */
#include "tcp_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 20

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* RFC 1071: in the machine's byte order, eight bytes at a time. */
static uint16_t wire_sum(const uint8_t *p, uint32_t len)
{
	uint64_t sum = 0, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		sum += word;
		sum += sum < word;
	}
	word = 0;
	memcpy(&word, p, len);
	sum += word;
	sum += sum < word;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

struct sim_pkt *sim_pkt_new(
	const struct sim *sim, uint32_t flow, uint32_t end, const struct sim_seg *seg)
{
	uint32_t head = HEADER + seg->opt_len;
	struct sim_pkt *pkt = malloc(sizeof(*pkt) + head + seg->len);
	uint8_t *w;

	HF_ASSERT(pkt && seg->opt_len % 4 == 0 && seg->opt_len <= HF_TCP_OPT_MAX);
	*pkt = (struct sim_pkt){
		.flow = (uint8_t)flow,
		.to = (uint8_t)(1 - end),
		.kind = SIM_SEGMENT,
		.ecn = seg->ecn,
		.may_fragment = seg->may_fragment,
		.ip_len = (sim->flow[flow].ip6 ? 40 : 20) + head + seg->len,
		.len = head + seg->len,
	};
	w = pkt->wire;
	put16(w, seg->sport);
	put16(w + 2, seg->dport);
	put32(w + 4, seg->seq);
	put32(w + 8, seg->ack);
	w[12] = (uint8_t)(head / 4 << 4);
	w[13] = seg->flags;
	put16(w + 14, seg->wnd);
	put32(w + 16, 0);
	memcpy(w + HEADER, seg->opt, seg->opt_len);
	return pkt;
}

uint8_t *sim_pkt_data(struct sim_pkt *pkt)
{
	return pkt->wire + (pkt->wire[12] >> 4) * 4;
}

void sim_pkt_seal(struct sim_pkt *pkt)
{
	uint16_t sum = (uint16_t)~wire_sum(pkt->wire, pkt->len);

	memcpy(pkt->wire + 16, &sum, 2);
}

bool sim_pkt_intact(const struct sim_pkt *pkt)
{
	return wire_sum(pkt->wire, pkt->len) == 0xffff;
}

bool sim_pkt_open(const struct sim_pkt *pkt, struct sim_seg *ret_seg)
{
	const uint8_t *w = pkt->wire;
	uint32_t head = (w[12] >> 4) * 4U;

	if (!sim_pkt_intact(pkt))
		return false;
	HF_ASSERT(head >= HEADER && head <= pkt->len);
	*ret_seg = (struct sim_seg){
		.sport = get16(w),
		.dport = get16(w + 2),
		.seq = get32(w + 4),
		.ack = get32(w + 8),
		.wnd = get16(w + 14),
		.flags = w[13],
		.ecn = pkt->ecn,
		.opt_len = (uint8_t)(head - HEADER),
		.may_fragment = pkt->may_fragment,
		.data = w + head,
		.len = pkt->len - head,
	};
	memcpy(ret_seg->opt, w + HEADER, ret_seg->opt_len);
	return true;
}

static bool opts_one(const uint8_t *opt, uint32_t len, struct sim_opts *ret)
{
	switch (opt[0]) {
	case 2:
		ret->mss = get16(opt + 2);
		return len == 4;
	case 3:
		ret->wscale = opt[2];
		return len == 3 && opt[2] <= 14;
	case 4:
		ret->sack_ok = true;
		return len == 2;
	case 5:
		ret->block_count = (len - 2) / 8;
		for (uint32_t i = 0; i < hf_min_u32(ret->block_count, SIM_BLOCKS); i++) {
			ret->block[i].start = get32(opt + 2 + 8 * i);
			ret->block[i].end = get32(opt + 6 + 8 * i);
		}
		return len == 2 + 8 * ret->block_count && len > 2 && len <= 34;
	case 8:
		ret->ts = true;
		ret->ts_val = get32(opt + 2);
		ret->ts_ecr = get32(opt + 6);
		return len == 10;
	default:
		return true;
	}
}

bool sim_opts_parse(const uint8_t *opt, uint32_t len, struct sim_opts *ret_opts)
{
	uint8_t padded[HF_TCP_OPT_MAX + 16] = { 0 };
	uint32_t i = 0;

	memcpy(padded, opt, len);
	*ret_opts = (struct sim_opts){ .wscale = -1 };
	while (i < len && padded[i] != 0) {
		if (padded[i] == 1) {
			i++;
			continue;
		}
		if (padded[i + 1] < 2 || i + padded[i + 1] > len ||
			!opts_one(padded + i, padded[i + 1], ret_opts))
			return false;
		i += padded[i + 1];
	}
	return true;
}

uint8_t sim_opts_build(const struct sim_opts *opts, uint8_t ret_opt[HF_TCP_OPT_MAX])
{
	uint8_t *p = ret_opt;
	uint32_t blocks;

	if (opts->mss) {
		memcpy(p, (uint8_t[]){ 2, 4, (uint8_t)(opts->mss >> 8), (uint8_t)opts->mss }, 4);
		p += 4;
	}
	if (opts->sack_ok) {
		memcpy(p, (uint8_t[]){ 1, 1, 4, 2 }, 4);
		p += 4;
	}
	if (opts->ts) {
		memcpy(p, (uint8_t[]){ 1, 1, 8, 10 }, 4);
		put32(p + 4, opts->ts_val);
		put32(p + 8, opts->ts_ecr);
		p += 12;
	}
	if (opts->wscale >= 0) {
		memcpy(p, (uint8_t[]){ 1, 3, 3, (uint8_t)opts->wscale }, 4);
		p += 4;
	}
	blocks = hf_min_u32(opts->block_count, (uint32_t)(ret_opt + HF_TCP_OPT_MAX - p) / 8);
	if (blocks > 0 && p + 4 + 8 * blocks > ret_opt + HF_TCP_OPT_MAX)
		blocks--;
	if (blocks > 0) {
		memcpy(p, (uint8_t[]){ 1, 1, 5, (uint8_t)(2 + 8 * blocks) }, 4);
		p += 4;
	}
	for (uint32_t i = 0; i < blocks; i++, p += 8) {
		put32(p, opts->block[i].start);
		put32(p + 4, opts->block[i].end);
	}
	return (uint8_t)(p - ret_opt);
}

void sim_pkt_print(const struct sim *sim, const struct sim_pkt *pkt, const char *fate)
{
	static const char names[] = "FSRPAUEC";
	const uint8_t *w = pkt->wire;
	struct sim_opts opts;
	uint32_t head;
	char flags[9];
	uint32_t n = 0;

	if (!sim->verbose)
		return;
	printf("%10.3f flow %u to %u ", (double)sim->now_us / 1000, pkt->flow, pkt->to);
	if (pkt->kind != SIM_SEGMENT || !sim_pkt_intact(pkt)) {
		printf("seq %u mtu %u: %s\n", pkt->seq, pkt->mtu, fate);
		return;
	}
	for (uint32_t i = 0; i < 8; i++) {
		if (w[13] & (1U << i))
			flags[n++] = names[i];
	}
	flags[n] = '\0';
	head = (w[12] >> 4) * 4U;
	printf("%s seq %u len %u ack %u wnd %u", flags, get32(w + 4), pkt->len - head, get32(w + 8),
		get16(w + 14));
	if (sim_opts_parse(w + HEADER, head - HEADER, &opts)) {
		if (opts.mss)
			printf(" mss %u%s", opts.mss, opts.sack_ok ? " sack-ok" : "");
		if (opts.wscale >= 0)
			printf(" ws %d", opts.wscale);
		if (opts.ts)
			printf(" ts %u %u", opts.ts_val, opts.ts_ecr);
		for (uint32_t i = 0; i < opts.block_count; i++)
			printf(" [%u %u)", opts.block[i].start, opts.block[i].end);
	}
	printf("%s: %s\n", pkt->ecn == HF_TCP_ECN_CE ? " CE" : pkt->ecn ? " ECT" : "", fate);
}
