/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The link: a queue and a wire for each direction, and all that can go wrong on the way.
 *
 * Picture   sim_post -> too large for the MTU? -> lost? -> twin -> bytes flipped -> queue (rate, marks)
 *                    -> delay, jitter, reordering -> heap by time of arrival -> sim_link_next
 */
#include "tcp_sim.h"

#include <stdlib.h>
#include <string.h>

#define FLIPS_MAX 3

static bool link_before(const struct sim_pkt *a, const struct sim_pkt *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void link_swap(struct sim_link *link, uint32_t a, uint32_t b)
{
	struct sim_pkt *pkt = link->heap[a];

	link->heap[a] = link->heap[b];
	link->heap[b] = pkt;
}

static void link_push(struct sim_link *link, struct sim_pkt *pkt)
{
	uint32_t i = link->heap_len++;

	if (link->heap_len > link->heap_max) {
		link->heap_max = link->heap_len * 2;
		link->heap = realloc(link->heap, link->heap_max * sizeof(struct sim_pkt *));
		HF_ASSERT(link->heap);
	}
	pkt->order = link->orders++;
	link->heap[i] = pkt;
	for (; i > 0 && link_before(link->heap[i], link->heap[(i - 1) / 2]); i = (i - 1) / 2)
		link_swap(link, i, (i - 1) / 2);
}

static struct sim_pkt *link_pop(struct sim_link *link)
{
	struct sim_pkt *first = link->heap[0];
	uint32_t i = 0;

	link->heap[0] = link->heap[--link->heap_len];
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= link->heap_len)
			return first;
		if (child + 1 < link->heap_len &&
			link_before(link->heap[child + 1], link->heap[child]))
			child++;
		if (!link_before(link->heap[child], link->heap[i]))
			return first;
		link_swap(link, i, child);
		i = child;
	}
}

void sim_link_fini(struct sim_link *link)
{
	while (link->heap_len > 0)
		free(link_pop(link));
	free(link->heap);
}

uint64_t sim_link_next_us(const struct sim_link *link)
{
	return link->heap_len > 0 ? link->heap[0]->at_us : SIM_NEVER;
}

struct sim_pkt *sim_link_next(struct sim *sim)
{
	if (sim_link_next_us(&sim->link) > sim->now_us)
		return NULL;
	return link_pop(&sim->link);
}

static void link_draw_mtu(struct sim *sim, struct sim_link *link)
{
	static const uint32_t sizes[] = { 576, 1006, 1280, 1400, 1492, SIM_MTU };
	bool ip6 = sim->flow_count > 1; /* every second flow */

	for (uint32_t end = 0; end < 2; end++) {
		uint32_t size = sizes[sim_rand(sim, HF_ARRAY_LEN(sizes))];

		if (!sim_chance(sim, 500))
			continue;
		link->mtu_next[end] = ip6 ? hf_max_u32(size, 1280) : size;
		link->mtu_at_us[end] = sim->now_us + sim_rand(sim, 1000000);
	}
	link->black_hole = sim_chance(sim, 300);
	link->old_router = sim_chance(sim, 300);
}

static void link_draw_queue(struct sim *sim, struct sim_link *link)
{
	link->rate_bps = 500000 + sim_next(sim) % (sim_chance(sim, 500) ? 5000000 : 100000000);
	link->queue_max = 10000 + sim_rand(sim, 200000);
	link->marks = sim_chance(sim, 500);
}

void sim_link_draw(struct sim *sim)
{
	struct sim_link *link = &sim->link;

	*link = (struct sim_link){ .mtu = { SIM_MTU, SIM_MTU },
		.mtu_at_us = { SIM_NEVER, SIM_NEVER } };
	link->delay_us = 50 + sim_rand(sim, 40000);
	if (sim->clean)
		return;
	link->loss = sim_chance(sim, 600) ? sim_rand(sim, sim_chance(sim, 300) ? 200 : 40) : 0;
	link->dup = sim_chance(sim, 300) ? sim_rand(sim, 60) : 0;
	link->reorder = sim_chance(sim, 300) ? sim_rand(sim, 200) : 0;
	link->corrupt = sim_chance(sim, 200) ? sim_rand(sim, 40) : 0;
	link->forge = sim_chance(sim, 200) ? sim_rand(sim, 50) : 0;
	link->ce = sim_chance(sim, 200) ? sim_rand(sim, 200) : 0;
	link->jitter_us = sim_chance(sim, 400) ? sim_rand(sim, 20000) : 0;
	link->jitter_in_order = sim_chance(sim, 500);
	if (sim_chance(sim, 150)) {
		link->burst_start = 1 + sim_rand(sim, 10);
		link->burst_us = 1000 + sim_rand(sim, 300000);
	}
	if (sim_chance(sim, 250))
		link_draw_queue(sim, link);
	if (sim_chance(sim, 150))
		link_draw_mtu(sim, link);
}

static bool link_loses(struct sim *sim, uint32_t from)
{
	struct sim_link *link = &sim->link;

	if (sim_chance(sim, link->burst_start))
		link->burst_until_us[from] = sim->now_us + sim_rand(sim, link->burst_us);
	if (sim->now_us < link->burst_until_us[from] && sim_chance(sim, 500))
		return true;
	return sim_chance(sim, link->loss);
}

/* In one or more places, and so that the checksum shows it: what it does not show is another
 * protocol's matter. */
static void link_corrupt(struct sim *sim, struct sim_pkt *pkt)
{
	uint32_t flips = 1 + sim_rand(sim, FLIPS_MAX);

	for (; flips > 0 || sim_pkt_intact(pkt); flips -= flips > 0)
		pkt->wire[sim_rand(sim, pkt->len)] ^= (uint8_t)(1 + sim_rand(sim, 255));
}

/* When the last bit is on the wire; SIM_NEVER: the queue was full. */
static uint64_t link_queue(struct sim *sim, struct sim_pkt *pkt, uint32_t from)
{
	struct sim_link *link = &sim->link;
	uint64_t begin, waiting;

	if (link->rate_bps == 0)
		return sim->now_us;
	begin = hf_max_u64(sim->now_us, link->free_us[from]);
	waiting = (begin - sim->now_us) * link->rate_bps / 8000000;
	if (waiting + pkt->ip_len > link->queue_max)
		return SIM_NEVER;
	if (link->marks && pkt->ecn != HF_TCP_ECN_NOT_ECT && waiting > link->queue_max / 2)
		pkt->ecn = HF_TCP_ECN_CE;
	link->free_us[from] = begin + pkt->ip_len * 8000000ULL / link->rate_bps;
	return link->free_us[from];
}

static void link_carry(struct sim *sim, struct sim_pkt *pkt)
{
	struct sim_link *link = &sim->link;
	uint32_t from = 1U - pkt->to;
	uint64_t at = link_queue(sim, pkt, from);

	if (at == SIM_NEVER) {
		sim_pkt_print(sim, pkt, "queue full");
		free(pkt);
		return;
	}
	if (pkt->ecn != HF_TCP_ECN_NOT_ECT && sim_chance(sim, link->ce))
		pkt->ecn = HF_TCP_ECN_CE;
	at += link->delay_us + sim_rand(sim, link->jitter_us + 1);
	if (link->jitter_in_order)
		at = hf_max_u64(at, link->last_us[from]);
	link->last_us[from] = at;
	if (sim_chance(sim, link->reorder))
		at += sim_rand(sim, 3 * link->delay_us + 1);
	pkt->at_us = at;
	link_push(link, pkt);
}

static void link_twin(struct sim *sim, const struct sim_pkt *pkt)
{
	struct sim_pkt *twin = malloc(sizeof(*pkt) + pkt->len);

	HF_ASSERT(twin);
	memcpy(twin, pkt, sizeof(*pkt) + pkt->len);
	link_carry(sim, twin);
}

/* A packet without bytes of its own. */
static struct sim_pkt *link_note(
	struct sim *sim, uint32_t kind, uint32_t flow, uint32_t to, uint32_t delay_us)
{
	struct sim_pkt *pkt = calloc(1, sizeof(*pkt));

	HF_ASSERT(pkt);
	pkt->kind = (uint8_t)kind;
	pkt->flow = (uint8_t)flow;
	pkt->to = (uint8_t)to;
	pkt->at_us = sim->now_us + delay_us;
	return pkt;
}

/* True: it is too large, and gone. */
static bool link_too_big(struct sim *sim, struct sim_pkt *pkt, uint32_t from)
{
	struct sim_link *link = &sim->link;
	struct sim_pkt *note;
	struct sim_seg seg;

	if (sim->now_us >= link->mtu_at_us[from]) {
		link->mtu[from] = link->mtu_next[from];
		/* some routes come back to what they were */
		link->mtu_next[from] = SIM_MTU;
		link->mtu_at_us[from] =
			sim_chance(sim, 300) ? sim->now_us + sim_rand(sim, 3000000) : SIM_NEVER;
	}
	if (pkt->ip_len <= link->mtu[from] || pkt->may_fragment)
		return false;
	sim_pkt_print(sim, pkt, "too big");
	if (!link->black_hole && !sim_chance(sim, link->loss) && sim_pkt_open(pkt, &seg)) {
		note = link_note(sim, SIM_TOO_BIG, pkt->flow, from, 2 * link->delay_us / 3);
		note->seq = seg.seq;
		note->ip_len = pkt->ip_len;
		note->mtu = link->old_router && !sim->flow[pkt->flow].ip6 ? 0 : link->mtu[from];
		link_push(link, note);
	}
	free(pkt);
	return true;
}

void sim_post(struct sim *sim, struct sim_pkt *pkt)
{
	struct sim_link *link = &sim->link;
	uint32_t from = 1U - pkt->to;

	sim->segments++;
	if (sim_chance(sim, link->forge))
		link_push(link, link_note(sim, SIM_FORGED, pkt->flow, pkt->to,
					sim_rand(sim, 2 * link->delay_us)));
	if (link_too_big(sim, pkt, from))
		return;
	if (sim_chance(sim, link->dup))
		link_twin(sim, pkt);
	if (link_loses(sim, from)) {
		sim_pkt_print(sim, pkt, "lost");
		free(pkt);
		return;
	}
	sim_pkt_print(sim, pkt, "sent");
	if (sim_chance(sim, link->corrupt))
		link_corrupt(sim, pkt);
	link_carry(sim, pkt);
}
