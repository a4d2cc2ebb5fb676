/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What good frames become: segments, answers, or another worker's business.
 */
#include "net_fixture.h"

Test(net_in, ip4_segment_carries_every_field_and_no_padding)
{
	struct fx fx;
	struct fx_frame f;
	const struct hf_tcp_seg *seg;
	struct hf_ip src = fx_ip("192.0.2.99"), dst = fx_ip("192.0.2.10");

	fx_init(&fx, 1, 0, false);
	fx_frame_tcp4(&f, &fx);
	memset(f.b + f.len, 0xee, 7); /* as a short frame is padded on the wire */
	fx_feed(&fx, f.b, f.len + 7);
	cr_assert_eq(fx_rx(&fx, 0, &seg), 1);
	cr_assert(net_ip_eq(&seg->src, &src) && net_ip_eq(&seg->dst, &dst));
	cr_assert_eq(seg->sport, 4000);
	cr_assert_eq(seg->dport, 80);
	cr_assert_eq(seg->seq, 0x01020304);
	cr_assert_eq(seg->ack, 0x05060708);
	cr_assert_eq(seg->wnd, 1234);
	cr_assert_eq(seg->flags, HF_TCP_ACK | HF_TCP_PSH);
	cr_assert_eq(seg->opt_len, 0);
	cr_assert_eq(seg->payload_len, 5);
	cr_assert_eq(memcmp(seg->payload, "hello", 5), 0);
	cr_assert_eq(memcmp(seg->path.mac, fx_peer_mac, 6), 0);
	cr_assert_eq(seg->path.port, 0);
	cr_assert_eq(seg->path.mtu, fx.shared->port[0].info.mtu);
	cr_assert_eq(seg->path.flags, 0);
	cr_assert(seg->path.cut && seg->path.tso_max == NET_RUN_MAX);
	hf_net_rx_done(fx.net[0]);
	fx_fini(&fx);
}

/* Are segments of this peer taken, where ours is 192.0.2.10 with this prefix? */
static bool takes_from(struct fx *fx, const char *peer)
{
	uint64_t bad = hf_drop_sum(HF_DROP_IP_BAD_SOURCE);
	struct fx_frame f;
	uint32_t n;

	fx_eth(&f, fx, HF_PKT_TYPE_IP4);
	fx_tcp(&f, peer, "192.0.2.10", 4000, HF_TCP_ACK, "");
	n = fx_turn(fx, f.b, f.len);
	cr_assert_eq(n + hf_drop_sum(HF_DROP_IP_BAD_SOURCE), bad + 1);
	return n == 1;
}

Test(net_in, broadcast_of_a_prefix_of_30_bits_is_no_source)
{
	struct fx fx;

	fx_init_prefix(&fx, 1, 0, false, 30);
	cr_assert(takes_from(&fx, "192.0.2.9"));
	cr_assert(takes_from(&fx, "192.0.2.255"), "of another prefix");
	cr_assert_not(takes_from(&fx, "192.0.2.10"), "ours");
	cr_assert_not(takes_from(&fx, "192.0.2.11"), "the broadcast address");
	fx_fini(&fx);
}

Test(net_in, both_addresses_of_a_prefix_of_31_bits_are_hosts_rfc3021)
{
	struct fx fx;

	fx_init_prefix(&fx, 1, 0, false, 31);
	cr_assert(takes_from(&fx, "192.0.2.11"));
	cr_assert_not(takes_from(&fx, "192.0.2.10"), "ours");
	fx_fini(&fx);
}

Test(net_in, a_prefix_of_32_bits_has_no_broadcast_address)
{
	struct fx fx;

	fx_init_prefix(&fx, 1, 0, false, 32);
	cr_assert(takes_from(&fx, "192.0.2.11"));
	cr_assert_not(takes_from(&fx, "192.0.2.10"), "ours");
	fx_fini(&fx);
}

Test(net_in, ecn_bits_are_handed_on_rfc3168)
{
	struct fx fx;
	struct fx_frame f;
	const struct hf_tcp_seg *seg;

	fx_init(&fx, 1, 0, false);
	for (uint8_t ecn = 0; ecn <= HF_TCP_ECN_CE; ecn++) {
		fx_frame_tcp4(&f, &fx);
		f.b[15] = 0xb8 | ecn; /* beside a DSCP */
		fx_sums4(&f);
		fx_feed(&fx, f.b, f.len);
		cr_assert_eq(fx_rx(&fx, 0, &seg), 1);
		cr_assert_eq(seg->ecn, ecn);
		hf_net_rx_done(fx.net[0]);
		fx_frame_tcp6(&f, &fx);
		f.b[14] = 0x6b;
		f.b[15] = (uint8_t)(0x8f | ecn << 4); /* and a flow label */
		fx_feed(&fx, f.b, f.len);
		cr_assert_eq(fx_rx(&fx, 0, &seg), 1);
		cr_assert_eq(seg->ecn, ecn);
		hf_net_rx_done(fx.net[0]);
	}
	fx_fini(&fx);
}

Test(net_in, echo_answers_keep_the_dscp_and_not_the_ecn)
{
	struct fx fx;
	struct fx_frame f, out;

	fx_init(&fx, 1, 0, false);
	fx_frame_echo4(&f, &fx);
	f.b[15] = 0xbb;
	fx_sums4(&f);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), f.len);
	cr_assert_eq(out.b[15], 0xb8);
	fx_fini(&fx);
}

/* Extension headers of 8 bytes each, given as their bytes; the last one's next is TCP. */
static uint32_t turn_with_extensions(
	struct fx *fx, uint8_t first, const uint8_t *extensions, size_t len)
{
	struct fx_frame f;

	fx_frame_tcp6(&f, fx);
	memmove(f.b + 54 + len, f.b + 54, f.len - 54);
	memcpy(f.b + 54, extensions, len);
	f.b[19] += (uint8_t)len;
	f.b[20] = first;
	return fx_turn(fx, f.b, f.len + len);
}

Test(net_in, atomic_fragments_are_whole_packets_rfc6946)
{
	static const uint8_t atomic[8] = { 6, 0, 0, 0, 1, 2, 3, 4 };
	static const uint8_t reserved[8] = { 6, 0xff, 0, 6, 1, 2, 3, 4 };
	static const uint8_t first[8] = { 6, 0, 0, 1, 1, 2, 3, 4 };
	static const uint8_t last[8] = { 6, 0, 0, 8, 1, 2, 3, 4 };
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	cr_assert_eq(turn_with_extensions(&fx, 44, atomic, 8), 1);
	cr_assert_eq(turn_with_extensions(&fx, 44, reserved, 8), 1, "reserved bits are ignored");
	cr_assert_eq(turn_with_extensions(&fx, 44, first, 8), 0);
	cr_assert_eq(turn_with_extensions(&fx, 44, last, 8), 0);
	cr_assert_eq(hf_drop_sum(HF_DROP_IP_FRAGMENT), 2);
	fx_fini(&fx);
}

Test(net_in, routing_headers_end_with_us_or_are_refused_rfc5095)
{
	uint8_t routing[8] = { 6, 0, 0, 0 };
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	for (uint8_t type = 0; type <= 5; type++) {
		routing[2] = type;
		routing[3] = 0;
		cr_assert_eq(turn_with_extensions(&fx, 43, routing, 8), 1);
		routing[3] = 1;
		cr_assert_eq(turn_with_extensions(&fx, 43, routing, 8), 0);
		cr_assert_eq(hf_drop_sum(HF_DROP_IP_OPTIONS), type + 1u);
	}
	fx_fini(&fx);
}

Test(net_in, more_extension_headers_than_anybody_needs_are_refused_rfc8504_5_3)
{
	uint8_t options[8 * NET_EXT_MAX];
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	memset(options, 0, sizeof(options));
	for (size_t i = 0; i < sizeof(options); i += 8) {
		options[i] = 60;
		options[i + 2] = 1;
		options[i + 3] = 4;
	}
	options[sizeof(options) - 16] = 6;
	cr_assert_eq(turn_with_extensions(&fx, 60, options, sizeof(options) - 8), 1);
	options[sizeof(options) - 16] = 60;
	options[sizeof(options) - 8] = 6;
	cr_assert_eq(turn_with_extensions(&fx, 60, options, sizeof(options)), 0);
	cr_assert_eq(hf_drop_sum(HF_DROP_IP_OPTIONS), 1);
	fx_fini(&fx);
}

Test(net_in, neighbour_discovery_in_a_fragment_is_refused_rfc6980)
{
	static const uint8_t atomic[8] = { 58, 0, 0, 0, 1, 2, 3, 4 };
	struct fx fx;
	struct fx_frame f;

	fx_init(&fx, 1, 0, false);
	fx_frame_nd(&f, &fx, HF_PKT_ICMP6_NS, "2001:db8::99", "2001:db8::10", "2001:db8::10", 0,
		fx_peer_mac);
	memmove(f.b + 62, f.b + 54, f.len - 54);
	memcpy(f.b + 54, atomic, 8);
	f.b[19] += 8;
	f.b[20] = 44;
	(void)fx_turn(&fx, f.b, f.len + 8);
	cr_assert_eq(hf_drop_sum(HF_DROP_IP_FRAGMENT), 1);
	cr_assert_eq(fx_take(&fx, f.b, sizeof(f.b)), 0);
	fx_fini(&fx);
}

Test(net_in, tcp_options_are_handed_on_unread)
{
	struct fx fx;
	struct fx_frame f;
	const struct hf_tcp_seg *seg;
	struct hf_ip src = fx_ip("2001:db8::99"), dst = fx_ip("2001:db8::10");
	struct hf_pkt_tcp *tcp;

	fx_init(&fx, 1, 0, false);
	fx_eth(&f, &fx, HF_PKT_TYPE_IP6);
	fx_tcp(&f, "2001:db8::99", "2001:db8::10", 4000, HF_TCP_SYN, "12345678x");
	tcp = (void *)(f.b + 54);
	tcp->off = 0x70;
	tcp->csum = 0;
	tcp->csum = (uint16_t)~fx_l4_sum(&src, &dst, 6, f.b + 54, f.len - 54);
	fx_feed(&fx, f.b, f.len);
	cr_assert_eq(fx_rx(&fx, 0, &seg), 1);
	cr_assert_eq(seg->opt_len, 8);
	cr_assert_eq(memcmp(seg->opt, "12345678", 8), 0);
	cr_assert_eq(seg->payload_len, 1);
	hf_net_rx_done(fx.net[0]);
	fx_fini(&fx);
}

Test(net_in, checksums_the_nic_verified_are_believed_and_only_then)
{
	struct fx fx;
	struct fx_frame f;
	struct rte_mbuf *mbuf;
	const struct hf_tcp_seg *seg;

	fx_init(&fx, 1, 0, false);
	fx_frame_tcp4(&f, &fx);
	f.b[50] ^= 1;
	for (int nic = 0; nic < 2; nic++) {
		fx.shared->port[0].info.rx_csum = nic == 1;
		mbuf = fx_mbuf(&fx, f.b, f.len);
		mbuf->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		cr_assert_eq(rte_ring_enqueue(fx.ring, mbuf), 0);
		cr_assert_eq(fx_rx(&fx, 0, &seg), (uint32_t)nic);
		hf_net_rx_done(fx.net[0]);
	}
	f.b[50] ^= 1;
	mbuf = fx_mbuf(&fx, f.b, f.len);
	mbuf->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD;
	cr_assert_eq(rte_ring_enqueue(fx.ring, mbuf), 0);
	cr_assert_eq(fx_rx(&fx, 0, &seg), 0);
	hf_net_rx_done(fx.net[0]);
	cr_assert_eq(hf_drop_sum(HF_DROP_TCP_BAD_CHECKSUM), 2);
	fx_fini(&fx);
}

Test(net_in, received_chains_are_put_together)
{
	struct fx fx;
	struct fx_frame f;
	struct rte_mbuf *head, *tail;
	const struct hf_tcp_seg *seg;

	fx_init(&fx, 1, 0, false);
	fx_frame_tcp4(&f, &fx);
	for (size_t cut = 0; cut <= f.len; cut++) {
		head = fx_mbuf(&fx, f.b, cut);
		tail = fx_mbuf(&fx, f.b + cut, f.len - cut);
		cr_assert_eq(rte_pktmbuf_chain(head, tail), 0);
		cr_assert_eq(rte_ring_enqueue(fx.ring, head), 0);
		cr_assert_eq(fx_rx(&fx, 0, &seg), 1, "cut at %zu", cut);
		cr_assert_eq(memcmp(seg->payload, "hello", 5), 0);
		hf_net_rx_done(fx.net[0]);
	}
	fx_fini(&fx);
}

Test(net_in, chain_longer_than_a_buffer_is_dropped)
{
	struct fx fx;
	struct fx_frame f;
	struct rte_mbuf *head;

	fx_init(&fx, 1, 0, false);
	fx_frame_tcp4(&f, &fx);
	head = fx_mbuf(&fx, f.b, sizeof(f.b));
	cr_assert_eq(rte_pktmbuf_chain(head, fx_mbuf(&fx, f.b, sizeof(f.b))), 0);
	cr_assert_eq(rte_ring_enqueue(fx.ring, head), 0);
	(void)hf_net_rx(fx.net[0], fx.now_us);
	hf_net_rx_done(fx.net[0]);
	cr_assert_eq(hf_drop_sum(HF_DROP_ETH_LONG), 1);
	fx_fini(&fx);
}

static void tag(struct fx_frame *f, uint16_t tci)
{
	memmove(f->b + 16, f->b + 12, f->len - 12);
	f->b[12] = 0x81;
	f->b[13] = 0;
	f->b[14] = (uint8_t)(tci >> 8);
	f->b[15] = (uint8_t)tci;
	f->len += 4;
}

Test(net_in, vlan_of_the_port_is_required_and_put_on_answers)
{
	struct fx fx;
	struct fx_frame f;
	struct rte_mbuf *mbuf;

	fx_init(&fx, 1, 7, false);
	fx_frame_arp(&f, &fx, 1, "192.0.2.99", "192.0.2.10");
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(hf_drop_sum(HF_DROP_ETH_VLAN), 1);
	tag(&f, 0x6000 | 7);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(fx_take(&fx, f.b, sizeof(f.b)), 14 + 4 + 28);
	cr_assert_eq(memcmp(f.b + 12, "\x81\x00\x00\x07\x08\x06", 6), 0);
	fx_frame_tcp4(&f, &fx);
	tag(&f, 8);
	cr_assert_eq(fx_turn(&fx, f.b, f.len), 0);
	cr_assert_eq(hf_drop_sum(HF_DROP_ETH_VLAN), 2);
	/* The NIC took the tag off. */
	fx_frame_tcp4(&f, &fx);
	mbuf = fx_mbuf(&fx, f.b, f.len);
	mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	mbuf->vlan_tci = 7;
	cr_assert_eq(rte_ring_enqueue(fx.ring, mbuf), 0);
	cr_assert_eq(hf_net_rx(fx.net[0], fx.now_us), 1);
	cr_assert_eq(fx.net[0]->seg_count, 1);
	hf_net_rx_done(fx.net[0]);
	fx_fini(&fx);
}

Test(net_in, priority_tag_is_no_vlan)
{
	struct fx fx;
	struct fx_frame f;

	fx_init(&fx, 1, 0, false);
	fx_frame_tcp4(&f, &fx);
	tag(&f, 0xe000);
	cr_assert_eq(fx_turn(&fx, f.b, f.len), 1);
	fx_fini(&fx);
}

Test(net_in, echo_is_answered_with_the_same_bytes_rfc792)
{
	struct fx fx;
	struct fx_frame f, out;
	struct hf_pkt_ip4 *ip = (void *)(out.b + 14);

	fx_init(&fx, 1, 0, false);
	fx_frame_echo4(&f, &fx);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), f.len);
	cr_assert_eq(memcmp(out.b, fx_peer_mac, 6), 0);
	cr_assert_eq(memcmp(ip->src, f.b + 30, 4), 0);
	cr_assert_eq(memcmp(ip->dst, f.b + 26, 4), 0);
	cr_assert_eq(hf_pkt_sum(0, ip, 20), 0xffff);
	cr_assert_eq(out.b[34], 0);
	cr_assert_eq(hf_pkt_sum(0, out.b + 34, f.len - 34), 0xffff);
	cr_assert_eq(memcmp(out.b + 38, f.b + 38, f.len - 38), 0);
	fx_fini(&fx);
}

Test(net_in, echo_over_ip6_is_answered_rfc4443)
{
	struct fx fx;
	struct fx_frame f, out;

	fx_init(&fx, 1, 0, false);
	fx_frame_echo6(&f, &fx);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), f.len);
	cr_assert_eq(memcmp(out.b + 22, f.b + 38, 16), 0);
	cr_assert_eq(memcmp(out.b + 38, f.b + 22, 16), 0);
	cr_assert_eq(out.b[54], 129);
	out.len = f.len;
	fx_csum6(&f, 54);
	memcpy(f.b, out.b, f.len);
	fx_csum6(&f, 54);
	cr_assert_eq(memcmp(f.b, out.b, f.len), 0, "checksum");
	fx_fini(&fx);
}

Test(net_in, echo_is_limited_to_its_rate_and_recovers)
{
	struct fx fx;
	struct fx_frame f, out;
	int answered = 0;

	fx_init(&fx, 1, 0, false);
	fx_frame_echo4(&f, &fx);
	for (int i = 0; i < NET_ICMP_RATE + 50; i++) {
		(void)fx_turn(&fx, f.b, f.len);
		answered += fx_take(&fx, out.b, sizeof(out.b)) > 0;
	}
	cr_assert_eq(answered, NET_ICMP_RATE);
	cr_assert_eq(hf_drop_sum(HF_DROP_ICMP_RATE), 50);
	fx.now_us += FX_SECOND;
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_gt(fx_take(&fx, out.b, sizeof(out.b)), 0);
	fx_fini(&fx);
}

/* Two workers on a device with one queue: worker 0 receives. */
Test(net_in, without_rss_a_flow_goes_to_one_worker_and_flows_to_all)
{
	struct fx fx;
	struct fx_frame f;
	const struct hf_tcp_seg *seg;
	uint32_t at[2] = { 0, 0 }, worker_of_first = 2;

	fx_init(&fx, 2, 0, false);
	for (uint16_t i = 0; i < 200; i++) {
		fx_eth(&f, &fx, HF_PKT_TYPE_IP4);
		fx_tcp(&f, "192.0.2.99", "192.0.2.10", i % 2 ? (uint16_t)(1000 + i) : 999, 16, "x");
		fx_feed(&fx, f.b, f.len);
		for (uint32_t worker = 0; worker < 2; worker++) {
			uint32_t n = fx_rx(&fx, worker, &seg);

			at[worker] += n;
			cr_assert_leq(n, 1);
			if (n == 1 && i % 2 == 0) {
				cr_assert(worker_of_first == 2 || worker_of_first == worker);
				worker_of_first = worker;
			}
			hf_net_rx_done(fx.net[worker]);
		}
	}
	cr_assert_eq(at[0] + at[1], 200);
	cr_assert_gt(at[0], 20);
	cr_assert_gt(at[1], 20);
	cr_assert_eq(hf_stat_sum(HF_STAT_SPREAD_PACKETS), at[1]);
	fx_fini(&fx);
}

Test(net_in, full_ring_to_a_worker_drops_and_counts)
{
	struct fx fx;
	struct fx_frame f;
	const struct hf_tcp_seg *seg;
	uint64_t spread;
	uint32_t n = 0, taken;

	fx_init(&fx, 2, 0, false);
	for (uint32_t i = 0; i < 8 * NET_RING_COUNT && hf_drop_sum(HF_DROP_SPREAD_FULL) < 5; i++) {
		fx_eth(&f, &fx, HF_PKT_TYPE_IP4);
		fx_tcp(&f, "192.0.2.99", "192.0.2.10", (uint16_t)(1 + i), 16, "");
		(void)fx_turn(&fx, f.b, f.len);
	}
	cr_assert_eq(hf_drop_sum(HF_DROP_SPREAD_FULL), 5);
	spread = hf_stat_sum(HF_STAT_SPREAD_PACKETS);
	cr_assert_geq(spread, NET_RING_COUNT);
	cr_assert_not(hf_net_idle(fx.net[1]));
	do {
		taken = fx_rx(&fx, 1, &seg);
		n += taken;
		hf_net_rx_done(fx.net[1]);
	} while (taken > 0);
	cr_assert_eq(n, spread);
	cr_assert(hf_net_idle(fx.net[1]));
	fx_fini(&fx);
}

Test(net_in, a_turn_never_yields_more_segments_than_its_array)
{
	struct fx fx;
	struct fx_frame f;
	const struct hf_tcp_seg *seg;
	uint32_t n = 0, taken;

	fx_init(&fx, 1, 0, false);
	fx_frame_tcp4(&f, &fx);
	for (int i = 0; i < 100; i++)
		fx_feed(&fx, f.b, f.len);
	while ((taken = fx_rx(&fx, 0, &seg)) > 0) {
		cr_assert_leq(taken, HF_NET_BURST);
		n += taken;
		hf_net_rx_done(fx.net[0]);
	}
	cr_assert_eq(n, 100);
	cr_assert_eq(hf_stat_sum(HF_STAT_RX_PACKETS), 100);
	cr_assert_eq(hf_stat_sum(HF_STAT_RX_BYTES), 100 * f.len);
	fx_fini(&fx);
}

/* A burst whose packets are of several pools. */
Test(net_in, packets_go_back_to_their_own_pools)
{
	struct fx fx;
	struct fx_frame f;
	struct rte_mempool *pool[2];
	struct rte_mbuf *mbuf;
	const struct hf_tcp_seg *segs;
	unsigned int avail[2];

	fx_init(&fx, 2, 0, false);
	fx.shared->port[0].info.rss = true; /* all are worker 0's */
	for (uint32_t k = 0; k < 2; k++) {
		pool[k] = hf_port_mempool(fx.port[0], k);
		avail[k] = rte_mempool_avail_count(pool[k]);
	}
	fx_frame_tcp4(&f, &fx);
	for (uint32_t i = 0; i < HF_NET_BURST; i++) {
		mbuf = rte_pktmbuf_alloc(pool[i / 3 % 2]);
		cr_assert_not_null(mbuf);
		memcpy(rte_pktmbuf_append(mbuf, (uint16_t)f.len), f.b, f.len);
		if (i == 7) /* somebody else has it too */
			rte_mbuf_refcnt_update(mbuf, 1);
		cr_assert_eq(rte_ring_enqueue(fx.ring, mbuf), 0);
	}
	cr_assert_eq(fx_rx(&fx, 0, &segs), HF_NET_BURST);
	mbuf = fx.net[0]->held[7];
	hf_net_rx_done(fx.net[0]);
	cr_assert_eq(rte_mbuf_refcnt_read(mbuf), 1);
	rte_pktmbuf_free(mbuf);
	for (uint32_t k = 0; k < 2; k++)
		cr_assert_eq(rte_mempool_avail_count(pool[k]), avail[k], "pool %u", k);
	fx.shared->port[0].info.rss = false;
	fx_fini(&fx);
}
