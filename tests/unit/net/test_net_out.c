/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Emit descriptors become packets; references are put when the device is done.
 */
#include "net_fixture.h"

static uint8_t body[70000];
static struct hf_ref body_ref;
static int body_released;

static void body_release(struct hf_ref *ref)
{
	(void)ref;
	body_released++;
}

static void body_init(void)
{
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 31 + (i >> 8));
	hf_ref_init(&body_ref, body_release);
	body_released = 0;
}

static struct hf_tcp_emit emit_to(const char *src, const char *dst)
{
	struct hf_tcp_emit emit = {
		.src = fx_ip(src),
		.dst = fx_ip(dst),
		.sport = 80,
		.dport = 4000,
		.seq = 100,
		.ack = 200,
		.wnd = 300,
		.flags = HF_TCP_ACK,
		.mss = 1400,
	};

	memcpy(emit.path.mac, fx_peer_mac, 6);
	return emit;
}

static void emit_piece(struct hf_tcp_emit *emit, size_t at, uint32_t len, bool zero_copy)
{
	emit->piece[emit->piece_count++] = (struct hf_tcp_piece){
		.data = body + at, .len = len, .zero_copy = zero_copy, .ref = &body_ref
	};
	emit->len += len;
}

/* A packet of ours in all its fields; returns its payload's length. */
static size_t check_packet(const uint8_t *frame, size_t len, const struct hf_tcp_emit *emit,
	uint32_t seq, const uint8_t *payload)
{
	bool is4 = hf_ip_is4(&emit->dst);
	const struct hf_pkt_ip4 *ip4 = (const void *)(frame + 14);
	const struct hf_pkt_ip6 *ip6 = (const void *)(frame + 14);
	size_t l4_at = is4 ? 34 : 54, l4_len = len - l4_at;
	const struct hf_pkt_tcp *tcp = (const void *)(frame + l4_at);
	size_t header = sizeof(*tcp) + emit->opt_len;

	cr_assert_eq(memcmp(frame, fx_peer_mac, 6), 0);
	if (is4) {
		cr_assert_eq(ip4->version_ihl, 0x45);
		cr_assert_eq(ntohs(ip4->len_be), len - 14);
		cr_assert_eq(ntohs(ip4->frag_be), HF_PKT_IP4_DF);
		cr_assert_eq(hf_pkt_sum(0, ip4, 20), 0xffff);
	} else {
		cr_assert_eq(ntohs(ip6->len_be), l4_len);
	}
	cr_assert_eq(fx_l4_sum(&emit->src, &emit->dst, 6, (const void *)tcp, l4_len), 0xffff,
		"TCP checksum");
	cr_assert_eq(ntohs(tcp->sport_be), emit->sport);
	cr_assert_eq(ntohs(tcp->dport_be), emit->dport);
	cr_assert_eq(ntohl(tcp->seq_be), seq);
	cr_assert_eq(ntohl(tcp->ack_be), emit->ack);
	cr_assert_eq(ntohs(tcp->wnd_be), emit->wnd);
	cr_assert_eq((tcp->off >> 4) * 4u, header);
	cr_assert_eq(memcmp(tcp + 1, emit->opt, emit->opt_len), 0);
	cr_assert_eq(memcmp(frame + l4_at + header, payload, l4_len - header), 0, "payload");
	return l4_len - header;
}

Test(net_out, segment_is_packed_with_software_checksums, .init = body_init)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit;

	fx_init(&fx, 1, 0, false);
	for (int v6 = 0; v6 < 2; v6++) {
		emit = v6 ? emit_to("2001:db8::10", "2001:db8::99")
			  : emit_to("192.0.2.10", "192.0.2.99");
		emit.opt_len = 12;
		memcpy(emit.opt,
			"\x01\x01\x08\x0a"
			"12345678",
			12);
		emit_piece(&emit, 0, 7, false); /* odd: checksums must be put together rightly */
		emit_piece(&emit, 7, 700, true);
		emit_piece(&emit, 707, 255, true);
		hf_net_tx(fx.net[0], &emit, 1);
		hf_net_flush(fx.net[0], fx.now_us);
		out.len = fx_take(&fx, out.b, sizeof(out.b));
		cr_assert_eq(check_packet(out.b, out.len, &emit, 100, body), 962);
	}
	cr_assert_eq(hf_stat_sum(HF_STAT_TX_PACKETS), 2);
	cr_assert_eq(body_ref.count, 1);
	fx_fini(&fx);
}

static void take_one(struct fx *fx, const struct hf_tcp_emit *emit, struct fx_frame *ret_out)
{
	hf_net_tx(fx->net[0], emit, 1);
	hf_net_flush(fx->net[0], fx->now_us);
	ret_out->len = fx_take(fx, ret_out->b, sizeof(ret_out->b));
	cr_assert_gt(ret_out->len, 0);
}

Test(net_out, ecn_goes_into_both_headers_rfc3168)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit;

	fx_init(&fx, 1, 0, false);
	for (uint8_t ecn = 0; ecn <= HF_TCP_ECN_CE; ecn++) {
		emit = emit_to("192.0.2.10", "192.0.2.99");
		emit.ecn = ecn;
		take_one(&fx, &emit, &out);
		cr_assert_eq(out.b[15], ecn);
		cr_assert_eq(hf_pkt_sum(0, out.b + 14, 20), 0xffff);
		emit = emit_to("2001:db8::10", "2001:db8::99");
		emit.ecn = ecn;
		take_one(&fx, &emit, &out);
		cr_assert_eq(out.b[14], 0x60);
		cr_assert_eq(out.b[15] >> 4, ecn);
	}
	fx_fini(&fx);
}

/* Options of each length with pieces of odd ones; then the headers byte for byte, but for the
 * checksums. */
Test(net_out, headers_are_as_rfc791_and_rfc9293_draw_them, .init = body_init)
{
	static const uint8_t want[44] = { 0x45, 2, 0, 44, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 10,
		192, 0, 2, 99, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
		0xcc, 0x60, 0xd5, 0xdd, 0xee, 0, 0, 0, 0, 5, 6, 7, 8 };
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit = emit_to("192.0.2.10", "192.0.2.99");

	fx_init(&fx, 1, 0, false);
	emit.sport = 0x1122;
	emit.dport = 0x3344;
	emit.seq = 0x55667788;
	emit.ack = 0x99aabbcc;
	emit.wnd = 0xddee;
	emit.flags = 0xd5;
	emit.ecn = 2;
	for (uint8_t i = 0; i < HF_TCP_OPT_MAX; i++)
		emit.opt[i] = i + 5;
	for (emit.opt_len = 0; emit.opt_len <= HF_TCP_OPT_MAX; emit.opt_len += 4) {
		emit.piece_count = 0;
		emit.len = 0;
		emit_piece(&emit, 3, 5, false);
		emit_piece(&emit, 8, 301, true);
		take_one(&fx, &emit, &out);
		cr_assert_eq(check_packet(out.b, out.len, &emit, emit.seq, body + 3), 306);
	}
	emit.opt_len = 4;
	emit.piece_count = 0;
	emit.len = 0;
	take_one(&fx, &emit, &out);
	cr_assert_eq(check_packet(out.b, out.len, &emit, emit.seq, body), 0);
	memset(out.b + 14 + 10, 0, 2);
	memset(out.b + 34 + 16, 0, 2);
	cr_assert_eq(memcmp(out.b + 14, want, sizeof(want)), 0);
	fx_fini(&fx);
}

static uint16_t ip4_id(const struct fx_frame *f)
{
	return ntohs(((const struct hf_pkt_ip4 *)(f->b + 14))->id_be);
}

Test(net_out, what_may_be_fragmented_has_no_df_and_an_own_number_rfc6864)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit, other;
	uint8_t *seen = calloc(1, 65536);
	uint16_t first = 0, first_other;

	fx_init(&fx, 1, 0, false);
	emit = emit_to("192.0.2.10", "192.0.2.99");
	take_one(&fx, &emit, &out);
	cr_assert_eq(memcmp(out.b + 18, "\0\0\x40\0", 4), 0, "DF and no number");
	emit.may_fragment = true;
	for (uint32_t i = 0; i < 65536; i++) {
		take_one(&fx, &emit, &out);
		cr_assert_eq(memcmp(out.b + 20, "\0\0", 2), 0);
		cr_assert_not(seen[ip4_id(&out)]++, "number %u comes again", i);
		if (i == 0)
			first = ip4_id(&out);
	}
	cr_assert_eq(hf_pkt_sum(0, out.b + 14, 20), 0xffff);
	/* 65536 numbers later: the start of another peer is another one */
	for (int i = 0, same = 0; i < 3; i++) {
		static const char *const peer[] = { "192.0.2.98", "192.0.2.97", "192.0.2.96" };

		fx.net[0]->ip4_id = 0;
		other = emit_to("192.0.2.10", peer[i]);
		other.may_fragment = true;
		take_one(&fx, &other, &out);
		first_other = ip4_id(&out);
		same += first_other == first;
		cr_assert_lt(same, 3);
	}
	free(seen);
	fx_fini(&fx);
}

Test(net_out, workers_do_not_use_the_same_numbers_rfc6864)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit;
	uint8_t *seen = calloc(1, 65536);

	fx_init(&fx, 2, 0, false);
	emit = emit_to("192.0.2.10", "192.0.2.99");
	emit.may_fragment = true;
	for (uint32_t i = 0; i < 2000; i++) {
		hf_net_tx(fx.net[i % 2], &emit, 1);
		hf_net_flush(fx.net[0], fx.now_us);
		cr_assert_gt(fx_take(&fx, out.b, sizeof(out.b)), 0);
		cr_assert_not(seen[ip4_id(&out)]++);
	}
	free(seen);
	fx_fini(&fx);
}

Test(net_out, run_that_may_be_fragmented_is_cut_here_with_a_number_each, .init = body_init)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit;
	uint16_t last = 0;

	fx_init(&fx, 1, 0, false);
	fx.shared->port[0].info.csum_ip4 = fx.shared->port[0].info.csum_tcp = true;
	fx.shared->port[0].info.tso_max = 64512;
	emit = emit_to("192.0.2.10", "192.0.2.99");
	emit.may_fragment = true;
	emit_piece(&emit, 0, 2800, false);
	take_one(&fx, &emit, &out);
	cr_assert_eq(out.len, 54 + 1400);
	last = ip4_id(&out);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 54 + 1400);
	cr_assert_eq(ip4_id(&out), (uint16_t)(last + 1), "%u behind %u", ip4_id(&out), last);
	fx_fini(&fx);
}

static uint32_t ip6_label(const struct fx_frame *f)
{
	return ntohl(((const struct hf_pkt_ip6 *)(f->b + 14))->vtf_be) & 0xfffff;
}

Test(net_out, flow_label_is_the_flows_rfc6437)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit;
	uint32_t label, same = 0, low[16] = { 0 };

	fx_init(&fx, 1, 0, false);
	emit = emit_to("2001:db8::10", "2001:db8::99");
	take_one(&fx, &emit, &out);
	label = ip6_label(&out);
	emit.seq += 1000;
	emit.flags = HF_TCP_ACK | HF_TCP_FIN;
	emit.ecn = HF_TCP_ECN_ECT0;
	take_one(&fx, &emit, &out);
	cr_assert_eq(ip6_label(&out), label);
	for (uint16_t port = 1000; port < 2600; port++) {
		emit.dport = port;
		take_one(&fx, &emit, &out);
		same += ip6_label(&out) == label;
		low[ip6_label(&out) % 16]++;
	}
	cr_assert_leq(same, 2);
	for (int i = 0; i < 16; i++)
		cr_assert(low[i] > 30 && low[i] < 300, "label %% 16 = %d: %u", i, low[i]);
	fx_fini(&fx);
}

Test(net_out, large_pieces_are_attached_and_hold_a_reference_until_sent, .init = body_init)
{
	struct fx fx;
	struct rte_mbuf *mbuf;
	struct hf_tcp_emit emit;

	fx_init(&fx, 1, 0, false);
	emit = emit_to("192.0.2.10", "192.0.2.99");
	emit_piece(&emit, 0, 255, true);
	emit_piece(&emit, 255, 256, true);
	emit_piece(&emit, 511, 400, false);
	emit_piece(&emit, 911, 489, true);
	hf_net_tx(fx.net[0], &emit, 1);
	hf_net_flush(fx.net[0], fx.now_us);
	cr_assert_eq(rte_ring_dequeue(fx.ring, (void **)&mbuf), 0);
	cr_assert_eq(mbuf->nb_segs, 4);
	cr_assert_eq(mbuf->data_len, 54 + 255);
	cr_assert(RTE_MBUF_HAS_EXTBUF(mbuf->next));
	cr_assert_eq(rte_pktmbuf_mtod(mbuf->next, uint8_t *), body + 255, "not copied");
	cr_assert_not(RTE_MBUF_HAS_EXTBUF(mbuf->next->next));
	cr_assert(RTE_MBUF_HAS_EXTBUF(mbuf->next->next->next));
	cr_assert_eq(body_ref.count, 3);
	hf_ref_put(&body_ref); /* the sender is through; the device is not */
	cr_assert_eq(body_released, 0);
	rte_pktmbuf_free(mbuf);
	cr_assert_eq(body_released, 1);
	fx_fini(&fx);
}

Test(net_out, without_multi_seg_everything_is_one_buffer, .init = body_init)
{
	struct fx fx;
	struct rte_mbuf *mbuf;
	struct hf_tcp_emit emit;

	fx_init(&fx, 1, 0, false);
	fx.shared->port[0].info.multi_seg = false;
	fx.shared->port[0].info.segs_max = 1;
	emit = emit_to("192.0.2.10", "192.0.2.99");
	emit_piece(&emit, 0, 1400, true);
	hf_net_tx(fx.net[0], &emit, 1);
	hf_net_flush(fx.net[0], fx.now_us);
	cr_assert_eq(rte_ring_dequeue(fx.ring, (void **)&mbuf), 0);
	cr_assert_eq(mbuf->nb_segs, 1);
	cr_assert_eq(mbuf->pkt_len, 54 + 1400);
	cr_assert_eq(body_ref.count, 1);
	rte_pktmbuf_free(mbuf);
	fx_fini(&fx);
}

Test(net_out, more_parts_than_the_device_takes_are_copied, .init = body_init)
{
	struct fx fx;
	struct rte_mbuf *mbuf;
	struct hf_tcp_emit emit;

	fx_init(&fx, 1, 0, false);
	fx.shared->port[0].info.segs_max = 3;
	emit = emit_to("192.0.2.10", "192.0.2.99");
	for (int i = 0; i < 5; i++)
		emit_piece(&emit, (size_t)i * 280, 280, true);
	hf_net_tx(fx.net[0], &emit, 1);
	hf_net_flush(fx.net[0], fx.now_us);
	cr_assert_eq(rte_ring_dequeue(fx.ring, (void **)&mbuf), 0);
	cr_assert_eq(mbuf->nb_segs, 1);
	cr_assert_eq(body_ref.count, 1);
	rte_pktmbuf_free(mbuf);
	fx_fini(&fx);
}

Test(net_out, run_is_cut_in_software_where_the_device_cannot, .init = body_init)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit;
	uint32_t at = 0, count = 0;

	fx_init(&fx, 1, 0, false);
	emit = emit_to("192.0.2.10", "192.0.2.99");
	emit.flags = HF_TCP_ACK | HF_TCP_PSH | HF_TCP_FIN | HF_TCP_CWR;
	emit_piece(&emit, 0, 1399, true);
	emit_piece(&emit, 1399, 2, false);
	emit_piece(&emit, 1401, 5000, true);
	hf_net_tx(fx.net[0], &emit, 1);
	hf_net_flush(fx.net[0], fx.now_us);
	while ((out.len = fx_take(&fx, out.b, sizeof(out.b))) > 0) {
		size_t n = check_packet(out.b, out.len, &emit, 100 + at, body + at);
		uint8_t flags = out.b[34 + 13];

		cr_assert_leq(n, 1400);
		cr_assert_eq((flags & HF_TCP_CWR) != 0, at == 0);
		at += (uint32_t)n;
		cr_assert_eq((flags & (HF_TCP_PSH | HF_TCP_FIN)) != 0, at == emit.len);
		count++;
	}
	cr_assert_eq(at, 6401);
	cr_assert_eq(count, 5);
	cr_assert_eq(body_ref.count, 1);
	fx_fini(&fx);
}

Test(net_out, run_is_one_packet_with_marks_where_the_device_can_cut, .init = body_init)
{
	struct fx fx;
	struct rte_mbuf *mbuf;
	struct hf_tcp_emit emit;
	struct hf_port_info *info;
	struct hf_pkt_tcp *tcp;
	uint64_t wanted = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IP_CKSUM |
			  RTE_MBUF_F_TX_IPV4;

	fx_init(&fx, 1, 5, false);
	info = &fx.shared->port[0].info;
	info->csum_ip4 = info->csum_tcp = true;
	info->tso_max = 64512;
	info->tso_segs_max = 40;
	emit = emit_to("192.0.2.10", "192.0.2.99");
	emit_piece(&emit, 0, 64512, true);
	hf_net_tx(fx.net[0], &emit, 1);
	hf_net_flush(fx.net[0], fx.now_us);
	cr_assert_eq(rte_ring_dequeue(fx.ring, (void **)&mbuf), 0);
	cr_assert_eq(mbuf->ol_flags & wanted, wanted);
	cr_assert_eq(mbuf->l2_len, 18);
	cr_assert_eq(mbuf->l3_len, 20);
	cr_assert_eq(mbuf->l4_len, 20);
	cr_assert_eq(mbuf->tso_segsz, 1400);
	cr_assert_eq(mbuf->pkt_len, 58 + 64512);
	cr_assert_eq(mbuf->nb_segs, 3, "header, and the 60 KiB that an mbuf counts twice");
	tcp = rte_pktmbuf_mtod_offset(mbuf, struct hf_pkt_tcp *, 38);
	cr_assert_eq(tcp->csum, hf_pkt_sum_pseudo4(emit.src.b + 12, emit.dst.b + 12, 6, 0));
	cr_assert_eq(body_ref.count, 3, "one for each mbuf");
	rte_pktmbuf_free(mbuf);
	cr_assert_eq(body_ref.count, 1);
	fx_fini(&fx);
}

Test(net_out, checksum_offload_leaves_the_pseudo_header_sum, .init = body_init)
{
	struct fx fx;
	struct rte_mbuf *mbuf;
	struct hf_tcp_emit emit;
	struct hf_pkt_tcp *tcp;

	fx_init(&fx, 1, 0, false);
	fx.shared->port[0].info.csum_tcp = true;
	emit = emit_to("2001:db8::10", "2001:db8::99");
	emit_piece(&emit, 0, 300, true);
	hf_net_tx(fx.net[0], &emit, 1);
	hf_net_flush(fx.net[0], fx.now_us);
	cr_assert_eq(rte_ring_dequeue(fx.ring, (void **)&mbuf), 0);
	cr_assert_eq(mbuf->ol_flags & (RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6),
		RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6);
	tcp = rte_pktmbuf_mtod_offset(mbuf, struct hf_pkt_tcp *, 54);
	cr_assert_eq(tcp->csum, hf_pkt_sum_pseudo6(emit.src.b, emit.dst.b, 6, 320));
	rte_pktmbuf_free(mbuf);
	fx_fini(&fx);
}

Test(net_out, through_another_worker_bytes_are_copied, .init = body_init)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit;

	fx_init(&fx, 2, 0, false);
	emit = emit_to("192.0.2.10", "192.0.2.99");
	emit_piece(&emit, 0, 1400, true);
	hf_net_tx(fx.net[1], &emit, 1);
	cr_assert_eq(body_ref.count, 1, "nothing of worker 1 may be put by worker 0");
	hf_net_flush(fx.net[1], fx.now_us);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 0);
	cr_assert_not(hf_net_idle(fx.net[0]));
	hf_net_flush(fx.net[0], fx.now_us);
	out.len = fx_take(&fx, out.b, sizeof(out.b));
	cr_assert_eq(check_packet(out.b, out.len, &emit, 100, body), 1400);
	cr_assert(hf_net_idle(fx.net[0]));
	fx_fini(&fx);
}

Test(net_out, without_buffers_packets_are_dropped_and_counted_and_nothing_leaks, .init = body_init)
{
	struct fx fx;
	struct hf_tcp_emit emit;
	struct rte_mbuf **all;
	struct rte_mempool *pools[2];

	fx_init(&fx, 1, 0, false);
	pools[0] = fx.pool;
	pools[1] = fx.net[0]->ext_pool;
	all = calloc(fx.pool->size, sizeof(*all));
	for (int i = 0; i < 2; i++) {
		unsigned int n = 0;

		while (n < fx.pool->size && rte_mempool_get(pools[i], (void **)&all[n]) == 0)
			n++;
		emit = emit_to("192.0.2.10", "192.0.2.99");
		emit_piece(&emit, 0, 1000, true);
		hf_net_tx(fx.net[0], &emit, 1);
		cr_assert_eq(hf_drop_sum(HF_DROP_NO_MBUF), (uint64_t)i + 1);
		cr_assert_eq(body_ref.count, 1);
		rte_mempool_put_bulk(pools[i], (void **)all, n);
	}
	free(all);
	fx_fini(&fx);
}

Test(net_out, unknown_next_hop_is_a_drop, .init = body_init)
{
	struct fx fx;
	struct hf_tcp_emit emit;

	fx_init(&fx, 1, 0, false);
	emit = emit_to("192.0.2.10", "192.0.2.99");
	memset(emit.path.mac, 0, 6);
	hf_net_tx(fx.net[0], &emit, 1);
	cr_assert_eq(hf_drop_sum(HF_DROP_NO_NEIGHBOUR), 1);
	fx_fini(&fx);
}

/* Packets are taken from the pool for many descriptors at once. */
Test(net_out, of_many_descriptors_as_many_are_sent_as_there_are_packets, .init = body_init)
{
	static struct hf_tcp_emit emits[80];
	struct fx fx;
	struct fx_frame out;
	struct rte_mbuf *all[8192];
	unsigned int n = 0;

	fx_init(&fx, 1, 0, false);
	for (size_t i = 0; i < HF_ARRAY_LEN(emits); i++) {
		emits[i] = emit_to("192.0.2.10", "192.0.2.99");
		emit_piece(&emits[i], i, 100, false);
	}
	cr_assert_leq(fx.pool->size, HF_ARRAY_LEN(all));
	while (rte_mempool_get(fx.pool, (void **)&all[n]) == 0)
		n++;
	rte_mempool_put_bulk(fx.pool, (void **)all, 40);
	hf_net_tx(fx.net[0], emits, HF_ARRAY_LEN(emits));
	hf_net_flush(fx.net[0], fx.now_us);
	for (size_t i = 0; i < 40; i++) {
		out.len = fx_take(&fx, out.b, sizeof(out.b));
		cr_assert_eq(check_packet(out.b, out.len, &emits[i], 100, body + i), 100);
	}
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 0);
	cr_assert_eq(hf_drop_sum(HF_DROP_NO_MBUF), 40);
	rte_mempool_put_bulk(fx.pool, (void **)(all + 40), n - 40);
	fx_fini(&fx);
}

Test(net_out, packets_that_descriptors_did_not_need_go_back, .init = body_init)
{
	static struct hf_tcp_emit emits[70];
	struct fx fx;
	struct fx_frame out;

	fx_init(&fx, 1, 0, false);
	for (size_t i = 0; i < HF_ARRAY_LEN(emits); i++) {
		emits[i] = emit_to("192.0.2.10", "192.0.2.99");
		if (i % 3 != 0)
			memset(emits[i].path.mac, 0, 6);
	}
	hf_net_tx(fx.net[0], emits, HF_ARRAY_LEN(emits));
	hf_net_flush(fx.net[0], fx.now_us);
	cr_assert_eq(hf_drop_sum(HF_DROP_NO_NEIGHBOUR), 46);
	for (int i = 0; i < 24; i++)
		cr_assert_gt(fx_take(&fx, out.b, sizeof(out.b)), 0);
	fx_fini(&fx);
}

/* Copied, attached, copied again, and more than the last buffer has room for. */
Test(net_out, pieces_of_all_kinds_follow_each_other, .init = body_init)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_tcp_emit emit;

	fx_init(&fx, 1, 0, false);
	for (int multi_seg = 0; multi_seg < 2; multi_seg++) {
		fx.shared->port[0].info.multi_seg = multi_seg == 1;
		fx.shared->port[0].info.segs_max = multi_seg ? 8 : 1;
		emit = emit_to("192.0.2.10", "192.0.2.99");
		emit_piece(&emit, 0, 13, false);
		emit_piece(&emit, 13, 301, false);
		emit_piece(&emit, 314, 401, true);
		emit_piece(&emit, 715, 255, true);
		emit_piece(&emit, 970, 257, true);
		emit_piece(&emit, 1227, 3, false);
		take_one(&fx, &emit, &out);
		cr_assert_eq(check_packet(out.b, out.len, &emit, 100, body), 1230);
		cr_assert_eq(body_ref.count, 1);
	}
	fx_fini(&fx);
}

Test(net_out, references_of_packets_no_device_returned_are_put_at_free, .init = body_init)
{
	struct fx fx;
	struct rte_mbuf *mbuf;
	struct hf_tcp_emit emit;

	fx_init(&fx, 1, 0, false);
	emit = emit_to("192.0.2.10", "192.0.2.99");
	emit_piece(&emit, 0, 1000, true);
	hf_net_tx(fx.net[0], &emit, 1);
	hf_net_flush(fx.net[0], fx.now_us);
	cr_assert_eq(rte_ring_dequeue(fx.ring, (void **)&mbuf), 0);
	cr_assert_eq(body_ref.count, 2);
	hf_port_stop(fx.port[0]);
	hf_net_free(fx.net[0]);
	cr_assert_eq(body_ref.count, 1);
	rte_pktmbuf_free(mbuf); /* as a driver does when it closes */
	cr_assert_eq(body_ref.count, 1);
	hf_net_shared_free(fx.shared);
	hf_port_close(fx.port[0]);
	hf_port_eal_fini();
}
