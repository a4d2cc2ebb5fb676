/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The reference client's receiver: a window, a list of ranges behind holes, and what it tells of them.
 */
#include "sim_client.h"

#define BUF_LEAST    600
#define CWR_SEGMENTS 800 /* of new data, by which our ECE must have been answered */

static uint32_t client_mss(const struct sim_client *c)
{
	if (c->mss == 0)
		return c->flow->ip6 ? 1220 : 536;
	return hf_min_u32(hf_max_u32(c->mss, 88), c->flow->ip6 ? 1440 : 1460);
}

uint16_t sim_client_window(struct sim_client *c, uint32_t rcv)
{
	uint32_t right = c->read + c->buf_max;
	uint32_t window;

	if (right < c->right && c->shrink == 0)
		right = c->right;
	/* silly windows: RFC 9293 §3.8.6.2.2 */
	if (right < c->right + hf_min_u32(c->buf_max / 2, client_mss(c)) && right > c->right)
		right = c->right;
	window = right > rcv ? right - rcv : 0;
	window = hf_min_u32(window >> c->own_shift, UINT16_MAX);
	if (c->shrink > 0 || rcv + (window << c->own_shift) > c->right)
		c->right = rcv + (window << c->own_shift);
	c->edge = hf_max_u32(c->edge, c->right);
	return (uint16_t)window;
}

void sim_client_blocks(struct sim_client *c, struct sim_opts *opts)
{
	uint32_t last = UINT32_MAX;

	if (c->dsack && c->dup_end > c->dup_start) {
		opts->block[0].start = c->irs + 1 + c->dup_start;
		opts->block[0].end = c->irs + 1 + c->dup_end;
		opts->block_count = 1;
	}
	c->dup_start = c->dup_end = 0;
	while (opts->block_count < SIM_BLOCKS) {
		const struct client_range *best = NULL;

		for (uint32_t i = 0; i < c->range_count; i++) {
			const struct client_range *r = &c->range[i];

			if (r->stamp < last && (!best || r->stamp > best->stamp))
				best = r;
		}
		if (!best)
			return;
		last = best->stamp;
		opts->block[opts->block_count].start = c->irs + 1 + best->start;
		opts->block[opts->block_count++].end = c->irs + 1 + best->end;
	}
}

/* What is in order moves rcv; the rest becomes a range, or part of one. */
static void client_take(struct sim_client *c, uint32_t start, uint32_t end)
{
	uint32_t kept = 0;

	if (end <= c->rcv) {
		c->dup_start = start;
		c->dup_end = end;
		return;
	}
	for (uint32_t i = 0; i < c->range_count; i++) {
		struct client_range r = c->range[i];

		if (r.start <= start && end <= r.end) {
			c->dup_start = start;
			c->dup_end = end;
		}
		if (r.end < start || r.start > end) {
			c->range[kept++] = r;
			continue;
		}
		start = hf_min_u32(start, r.start);
		end = hf_max_u32(end, r.end);
	}
	c->range_count = kept;
	if (start <= c->rcv)
		c->rcv = end;
	else if (kept < CLIENT_RANGES_MAX)
		c->range[c->range_count++] = (struct client_range){ start, end, ++c->stamp };
}

/* Ranges that the last bytes reached. */
static void client_merge(struct sim_client *c)
{
	bool again = true;

	while (again) {
		again = false;
		for (uint32_t i = 0; i < c->range_count; i++) {
			struct client_range r = c->range[i];

			if (r.start > c->rcv)
				continue;
			c->rcv = hf_max_u32(c->rcv, r.end);
			c->range[i] = c->range[--c->range_count];
			again = true;
			break;
		}
	}
}

static void client_ecn(struct sim_client *c, const struct sim_seg *seg, bool fresh)
{
	if (!c->ecn) {
		if (seg->ecn != HF_TCP_ECN_NOT_ECT)
			sim_fail(c->sim, "ECT without ECN");
		return;
	}
	if (seg->flags & HF_TCP_CWR) {
		c->ece = false;
		c->ece_segments = 0;
	}
	if (seg->ecn == HF_TCP_ECN_CE)
		c->ece = true;
	c->ece_segments = c->ece ? c->ece_segments + fresh : 0;
	/* who reneges keeps the sender in one recovery for long */
	if (c->ece_segments > CWR_SEGMENTS && c->renege == 0)
		sim_fail(c->sim, "ECE is never answered by CWR (RFC 3168 §6.1.2)");
}

static bool client_data_wrong(struct sim_client *c, const struct sim_seg *seg, uint32_t off)
{
	struct sim *sim = c->sim;

	if (seg->len + seg->opt_len > client_mss(c))
		sim_fail(sim, "%u bytes in a segment", seg->len);
	else if (off + seg->len > c->flow->len[1])
		sim_fail(sim, "bytes behind the end: %u", off);
	else if (seg->len > 0 && off + seg->len > c->edge + 1)
		sim_fail(sim, "window ignored: %u > %u", off + seg->len, c->edge);
	else if (!sim_bytes_same(c->flow, 1, off, seg->data, seg->len))
		sim_fail(sim, "wrong bytes at %u", off);
	else if ((seg->flags & HF_TCP_FIN) && off + seg->len != c->flow->len[1])
		sim_fail(sim, "FIN at %u", off + seg->len);
	return sim->failed;
}

void sim_client_data(struct sim_client *c, const struct sim_seg *seg)
{
	uint32_t off = seg->seq - c->irs - 1;
	uint32_t before = c->rcv, end;
	uint32_t ranges = c->range_count;

	if (client_data_wrong(c, seg, off))
		return;
	client_ecn(c, seg, off >= c->rcv);
	end = hf_min_u32(off + seg->len, c->right);
	if (end > off)
		client_take(c, off, end);
	client_merge(c);
	if (seg->flags & HF_TCP_FIN)
		c->fin_at = off + seg->len;
	c->sim->bytes += hf_min_u32(c->rcv, c->flow->len[1]) - hf_min_u32(before, c->flow->len[1]);
	if (!c->read_per_ms && c->plan != PLAN_DEAF)
		c->read = c->rcv;
	if (c->rcv == c->fin_at)
		c->rcv++;
	if (c->range_count > 0 && sim_chance(c->sim, c->renege))
		c->range_count = 0; /* RFC 2018 §8 */
	c->ack_owed++;
	if (off != before || c->rcv == before || ranges > 0 || (seg->flags & HF_TCP_FIN))
		c->ack_owed = c->ack_every; /* something is out of order: at once */
	else if (c->divide > 1 && c->rcv > before + c->divide)
		for (uint32_t i = 1; i < c->divide; i++)
			sim_client_ack(c, before + (c->rcv - before) / c->divide * i);
}

void sim_client_read(struct sim_client *c)
{
	struct sim *sim = c->sim;
	uint32_t rcv = hf_min_u32(c->rcv, c->flow->len[1]);
	uint32_t gain;

	c->read = hf_min_u32(rcv, c->read + c->read_per_ms * (CLIENT_READ_US / 1000));
	c->read_at_us = sim->now_us + CLIENT_READ_US;
	if (sim_chance(sim, 10)) /* long enough for probes */
		c->read_at_us += sim_rand(sim, 5000000);
	if (sim_chance(sim, c->shrink))
		c->buf_max = hf_max_u32(
			c->buf_max / 2, hf_max_u32(BUF_LEAST, CLIENT_BUF_UNITS << c->own_shift));
	gain = c->read + c->buf_max > c->right ? c->read + c->buf_max - c->right : 0;
	if (gain >= hf_min_u32(c->buf_max / 2, 2 * client_mss(c)) && !c->done)
		sim_client_ack(c, c->rcv);
	if (c->done || (c->fin_at != CLIENT_NO_FIN && c->read == c->flow->len[1]))
		c->read_at_us = SIM_NEVER;
}
