/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Neighbours: answers for our addresses, announcements, gateways.
 */
#include "net_fixture.h"

static const char *const group = "ff02::1:ff00:10";

Test(net_addr, arp_request_is_answered_rfc826)
{
	struct fx fx;
	struct fx_frame f, out;
	const uint8_t *mac;
	struct hf_pkt_arp *arp = (void *)(out.b + 14);

	fx_init(&fx, 1, 0, false);
	mac = fx.shared->port[0].info.mac;
	fx_frame_arp(&f, &fx, 1, "192.0.2.99", "192.0.2.10");
	memset(f.b, 0xff, 6);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 42);
	cr_assert_eq(memcmp(out.b, fx_peer_mac, 6), 0);
	cr_assert_eq(memcmp(out.b + 6, mac, 6), 0);
	cr_assert_eq(arp->op_be, htons(2));
	cr_assert_eq(memcmp(arp->sha, mac, 6), 0);
	cr_assert_eq(memcmp(arp->spa, "\xc0\x00\x02\x0a", 4), 0);
	cr_assert_eq(memcmp(arp->tha, fx_peer_mac, 6), 0);
	cr_assert_eq(memcmp(arp->tpa, "\xc0\x00\x02\x63", 4), 0);
	fx_fini(&fx);
}

Test(net_addr, arp_probe_for_our_address_is_answered_rfc5227)
{
	struct fx fx;
	struct fx_frame f, out;

	fx_init(&fx, 1, 0, false);
	fx_frame_arp(&f, &fx, 1, "0.0.0.0", "192.0.2.10");
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 42);
	cr_assert_eq(hf_drop_sum(HF_DROP_ARP_BAD), 0);
	fx_fini(&fx);
}

static uint32_t drain(struct fx *fx)
{
	struct fx_frame out;
	uint32_t count = 0;

	while (fx_take(fx, out.b, sizeof(out.b)) > 0)
		count++;
	return count;
}

Test(net_addr, claim_of_our_ip4_address_is_counted_and_answered_seldom_rfc5227_2_4)
{
	struct fx fx;
	struct fx_frame f, out;
	struct hf_pkt_arp *arp = (void *)(out.b + 14);

	fx_init(&fx, 1, 0, false);
	for (uint16_t op = 1; op <= 2; op++) {
		fx.now_us += 10 * FX_SECOND;
		fx_frame_arp(&f, &fx, op, "192.0.2.10", "192.0.2.10");
		memset(f.b, 0xff, 6);
		(void)fx_turn(&fx, f.b, f.len);
		cr_assert_eq(hf_drop_sum(HF_DROP_ADDR_CONFLICT), 2 * op - 1u);
		cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 42);
		cr_assert_eq(memcmp(out.b, "\xff\xff\xff\xff\xff\xff", 6), 0);
		cr_assert_eq(memcmp(arp->spa, "\xc0\x00\x02\x0a", 4), 0);
		cr_assert_eq(memcmp(arp->sha, fx.shared->port[0].info.mac, 6), 0);
		fx.now_us += 9 * FX_SECOND;
		(void)fx_turn(&fx, f.b, f.len);
		cr_assert_eq(hf_drop_sum(HF_DROP_ADDR_CONFLICT), 2u * op);
		cr_assert_eq(drain(&fx), 0, "two would provoke each other");
	}
	fx_fini(&fx);
}

Test(net_addr, claim_of_our_ip6_address_is_counted_and_answered_seldom_rfc4861_7_2_5)
{
	static const char *const source[] = { "2001:db8::10", "2001:db8::99" };
	struct fx fx;
	struct fx_frame f;

	fx_init(&fx, 1, 0, false);
	for (unsigned int i = 0; i < 2; i++) {
		fx.now_us += 10 * FX_SECOND;
		fx_frame_nd(&f, &fx, HF_PKT_ICMP6_NA, source[i], "ff02::1", "2001:db8::10",
			HF_PKT_NA_OVERRIDE, fx_peer_mac);
		(void)fx_turn(&fx, f.b, f.len);
		cr_assert_eq(hf_drop_sum(HF_DROP_ADDR_CONFLICT), 2 * i + 1);
		cr_assert_eq(drain(&fx), 2, "the configured and the link-local address");
		(void)fx_turn(&fx, f.b, f.len);
		cr_assert_eq(hf_drop_sum(HF_DROP_ADDR_CONFLICT), 2 * i + 2);
		cr_assert_eq(drain(&fx), 0);
	}
	fx_fini(&fx);
}

Test(net_addr, our_own_announcements_that_come_back_are_no_conflict)
{
	struct fx fx;
	struct fx_frame f;

	fx_init(&fx, 1, 0, false);
	memcpy(fx.shared->port[0].info.mac, fx_gateway_mac, 6); /* the ring device has none */
	fx_frame_arp(&f, &fx, 1, "192.0.2.10", "192.0.2.99");
	memcpy(f.b + 22, fx.shared->port[0].info.mac, 6);
	(void)fx_turn(&fx, f.b, f.len);
	fx_frame_nd(&f, &fx, HF_PKT_ICMP6_NA, "2001:db8::10", "ff02::1", "2001:db8::10",
		HF_PKT_NA_OVERRIDE, fx.shared->port[0].info.mac);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(hf_drop_sum(HF_DROP_ADDR_CONFLICT), 0);
	cr_assert_eq(hf_drop_sum(HF_DROP_ARP_NOT_OURS), 1);
	cr_assert_eq(hf_drop_sum(HF_DROP_IP_BAD_SOURCE), 1);
	cr_assert_eq(drain(&fx), 0);
	fx_fini(&fx);
}

Test(net_addr, gateway_is_not_learnt_from_who_has_our_address)
{
	struct fx fx;
	struct fx_frame f;

	fx_init(&fx, 1, 0, /* gateway= */ true);
	fx_frame_nd(&f, &fx, HF_PKT_ICMP6_NA, "2001:db8::10", "2001:db8::10", "2001:db8::1",
		HF_PKT_NA_SOLICITED, fx_peer_mac);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(hf_drop_sum(HF_DROP_IP_BAD_SOURCE), 1);
	cr_assert_eq(atomic_load(&fx.shared->port[0].gateway6.word), 0);
	fx_fini(&fx);
}

Test(net_addr, solicitation_is_answered_rfc4861_7_2_4)
{
	struct fx fx;
	struct fx_frame f, out;
	struct hf_pkt_ip6 *ip = (void *)(out.b + 14);
	struct hf_pkt_nd *nd = (void *)(out.b + 54);

	fx_init(&fx, 1, 0, false);
	fx_frame_nd(
		&f, &fx, HF_PKT_ICMP6_NS, "2001:db8::99", group, "2001:db8::10", 0, fx_peer_mac);
	memcpy(f.b, "\x33\x33\xff\x00\x00\x10", 6);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(out.len = fx_take(&fx, out.b, sizeof(out.b)), 86);
	cr_assert_eq(memcmp(out.b, fx_peer_mac, 6), 0);
	cr_assert_eq(ip->hops, 255);
	cr_assert_eq(memcmp(ip->dst, f.b + 22, 16), 0);
	cr_assert_eq(nd->icmp.type, 136);
	cr_assert_eq(ntohl(nd->flags_be), HF_PKT_NA_SOLICITED | HF_PKT_NA_OVERRIDE);
	cr_assert_eq(memcmp(nd->target, f.b + 62, 16), 0);
	cr_assert_eq(out.b[78], HF_PKT_ND_OPT_TARGET);
	cr_assert_eq(memcmp(out.b + 80, fx.shared->port[0].info.mac, 6), 0);
	memcpy(f.b, out.b, out.len);
	f.len = out.len;
	fx_csum6(&f, 54);
	cr_assert_eq(memcmp(f.b, out.b, out.len), 0, "checksum");
	fx_fini(&fx);
}

Test(net_addr, probe_of_another_for_our_address_is_told_to_all_rfc4862_5_4)
{
	struct fx fx;
	struct fx_frame f, out;
	struct hf_pkt_ip6 *ip = (void *)(out.b + 14);
	struct hf_pkt_nd *nd = (void *)(out.b + 54);

	fx_init(&fx, 1, 0, false);
	fx_frame_nd(&f, &fx, HF_PKT_ICMP6_NS, "::", group, "2001:db8::10", 0, NULL);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 86);
	cr_assert_eq(memcmp(out.b, "\x33\x33\x00\x00\x00\x01", 6), 0);
	cr_assert_eq(ip->dst[0], 0xff);
	cr_assert_eq(ip->dst[15], 1);
	cr_assert_eq(ntohl(nd->flags_be), HF_PKT_NA_OVERRIDE);
	fx_fini(&fx);
}

Test(net_addr, link_local_address_of_the_mac_is_ours_rfc4291)
{
	struct fx fx;
	struct fx_frame f, out;
	const uint8_t *mac;
	struct hf_ip ip;
	char text[64], solicited[64];

	fx_init(&fx, 1, 0, false);
	mac = fx.shared->port[0].info.mac;
	ip = fx.shared->port[0].link_local;
	cr_assert_eq(memcmp(ip.b, "\xfe\x80\0\0\0\0\0\0", 8), 0);
	cr_assert_eq(ip.b[8], mac[0] ^ 2);
	cr_assert_eq(memcmp(ip.b + 9, mac + 1, 2), 0);
	cr_assert_eq(memcmp(ip.b + 11, "\xff\xfe", 2), 0);
	cr_assert_eq(memcmp(ip.b + 13, mac + 3, 3), 0);
	cr_assert_not_null(inet_ntop(AF_INET6, ip.b, text, sizeof(text)));
	(void)snprintf(solicited, sizeof(solicited), "ff02::1:ff%02x:%02x%02x", ip.b[13], ip.b[14],
		ip.b[15]);
	fx_frame_nd(&f, &fx, HF_PKT_ICMP6_NS, "fe80::99", solicited, text, 0, fx_peer_mac);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 86);
	fx_fini(&fx);
}

/* As a querier sends it (RFC 3810 §5.1). */
static void frame_mld_query(struct fx_frame *f, const struct fx *fx, const char *src)
{
	uint8_t *l4;

	fx_eth(f, fx, HF_PKT_TYPE_IP6);
	l4 = fx_ip6(f, src, "ff02::1", 0, 8 + 28);
	memcpy(l4, "\x3a\x00\x05\x02\x00\x00\x01\x00", 8);
	l4[8] = 130;
	f->b[14 + 7] = 1; /* hop limit */
	fx_csum6(f, 62);
}

Test(net_addr, listener_query_is_answered_with_our_groups_rfc3810)
{
	struct fx fx;
	struct fx_frame f, out;

	fx_init(&fx, 1, 0, false);
	frame_mld_query(&f, &fx, "fe80::1");
	(void)fx_turn(&fx, f.b, f.len);
	out.len = fx_take(&fx, out.b, sizeof(out.b));
	cr_assert_eq(out.len, 14 + 40 + 8 + 8 + 2 * 20);
	cr_assert_eq(out.b[21], 1, "hop limit");
	cr_assert_eq(memcmp(out.b + 22, fx.shared->port[0].link_local.b, 16), 0);
	cr_assert_eq(out.b[62], 143);
	cr_assert_eq(out.b[69], 2, "records");
	cr_assert_eq(out.b[70], 2, "MODE_IS_EXCLUDE");
	cr_assert_eq(memcmp(out.b + 74, fx_ip(group).b, 16), 0);
	memcpy(f.b, out.b, out.len);
	f.len = out.len;
	fx_csum6(&f, 62);
	cr_assert_eq(memcmp(f.b, out.b, out.len), 0, "checksum");
	frame_mld_query(&f, &fx, "2001:db8::1");
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 0, "a querier's address is link-local");
	cr_assert_eq(hf_drop_sum(HF_DROP_ICMP_BAD), 1);
	fx_fini(&fx);
}

Test(net_addr, listener_query_of_version_1_is_answered_in_kind_rfc3810_8_2_1)
{
	struct fx fx;
	struct fx_frame f, out;

	fx_init(&fx, 1, 0, false);
	for (uint8_t len = 24; len <= 28; len++) {
		frame_mld_query(&f, &fx, "fe80::1");
		f.len = 62u + len;
		f.b[19] = (uint8_t)(8 + len);
		fx_csum6(&f, 62);
		(void)fx_turn(&fx, f.b, f.len);
		for (uint32_t i = 0; i < 2 && len == 24; i++) { /* configured, link-local */
			out.len = fx_take(&fx, out.b, sizeof(out.b));
			cr_assert_eq(out.len, 62 + 24);
			cr_assert_eq(memcmp(out.b, "\x33\x33\xff", 3), 0);
			cr_assert_eq(out.b[62], 131);
			cr_assert_eq(memcmp(out.b + 38, out.b + 70, 16), 0, "to the group itself");
			cr_assert(i > 0 || memcmp(out.b + 70, fx_ip(group).b, 16) == 0);
			memcpy(f.b, out.b, out.len);
			f.len = out.len;
			fx_csum6(&f, 62);
			cr_assert_eq(memcmp(f.b, out.b, out.len), 0, "checksum");
		}
		cr_assert_eq(drain(&fx), len == 28 ? 1 : 0);
	}
	cr_assert_eq(hf_drop_sum(HF_DROP_ICMP_BAD), 3);
	fx_fini(&fx);
}

static uint32_t count_frames(struct fx *fx, uint16_t type)
{
	struct fx_frame out;
	uint32_t n = 0;

	while (fx_take(fx, out.b, sizeof(out.b)) > 0)
		n += out.b[12] == type >> 8 && out.b[13] == (type & 0xff);
	return n;
}

static void turn(struct fx *fx)
{
	(void)hf_net_rx(fx->net[0], fx->now_us);
	hf_net_rx_done(fx->net[0]);
	hf_net_flush(fx->net[0], fx->now_us);
}

Test(net_addr, our_addresses_are_announced_three_times)
{
	struct fx fx;
	struct fx_frame out;
	struct hf_pkt_arp *arp = (void *)(out.b + 14);
	struct hf_pkt_nd *nd = (void *)(out.b + 54);

	fx_init(&fx, 1, 0, false);
	fx.shared->port[0].announced = 0;
	turn(&fx);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 42);
	cr_assert_eq(memcmp(out.b, "\xff\xff\xff\xff\xff\xff", 6), 0);
	cr_assert_eq(memcmp(arp->spa, arp->tpa, 4), 0);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 14 + 40 + 8 + 8 + 2 * 20);
	cr_assert_eq(memcmp(out.b, "\x33\x33\x00\x00\x00\x16", 6), 0);
	for (int i = 0; i < 2; i++) { /* global, link-local */
		cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 86);
		cr_assert_eq(memcmp(out.b, "\x33\x33\x00\x00\x00\x01", 6), 0);
		cr_assert_eq(ntohl(nd->flags_be), HF_PKT_NA_OVERRIDE);
	}
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 0);
	turn(&fx);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 0, "not before a second is over");
	for (int i = 0; i < 10; i++) {
		fx.now_us += FX_SECOND;
		turn(&fx);
		cr_assert_eq(count_frames(&fx, HF_PKT_TYPE_ARP), i < NET_ANNOUNCE - 1);
	}
	fx_fini(&fx);
}

static struct hf_path path_of(struct fx *fx, const char *peer)
{
	struct fx_frame f;
	const struct hf_tcp_seg *seg;
	struct hf_path path;

	fx_eth(&f, fx, strchr(peer, ':') ? HF_PKT_TYPE_IP6 : HF_PKT_TYPE_IP4);
	fx_tcp(&f, peer, strchr(peer, ':') ? "2001:db8::10" : "192.0.2.10", 4000, 16, "");
	fx_feed(fx, f.b, f.len);
	cr_assert_eq(fx_rx(fx, 0, &seg), 1);
	path = seg->path;
	hf_net_rx_done(fx->net[0]);
	return path;
}

/* Where a segment to this peer goes: the destination MAC. */
static void sent_to(struct fx *fx, const char *peer, const uint8_t mac[6])
{
	struct fx_frame out;
	struct hf_tcp_emit emit = {
		.dst = fx_ip(peer),
		.src = fx_ip(strchr(peer, ':') ? "2001:db8::10" : "192.0.2.10"),
		.sport = 80,
		.dport = 4000,
		.path = path_of(fx, peer),
	};

	hf_net_tx(fx->net[0], &emit, 1);
	hf_net_flush(fx->net[0], fx->now_us);
	do { /* a request for the gateway may be on its way too */
		cr_assert_gt(fx_take(fx, out.b, sizeof(out.b)), 0);
	} while (out.b[12] == HF_PKT_TYPE_ARP >> 8 && out.b[13] == (HF_PKT_TYPE_ARP & 0xff));
	cr_assert_eq(memcmp(out.b, mac, 6), 0, "%s", peer);
}

Test(net_addr, gateway_is_resolved_retried_refreshed_and_kept)
{
	struct fx fx;
	struct fx_frame f;
	struct net_gateway *gateway;

	fx_init(&fx, 1, 0, true);
	gateway = &fx.shared->port[0].gateway4;
	gateway->next_us = 0;
	for (int i = 0; i < 3; i++) { /* nobody answers */
		turn(&fx);
		cr_assert_eq(count_frames(&fx, HF_PKT_TYPE_ARP), 1);
		turn(&fx);
		cr_assert_eq(count_frames(&fx, HF_PKT_TYPE_ARP), 0);
		fx.now_us += NET_RETRY_US;
	}
	sent_to(&fx, "198.51.100.7", fx_peer_mac); /* the way it came */
	fx_frame_arp(&f, &fx, 2, "192.0.2.1", "192.0.2.10");
	memcpy(f.b + 22, fx_gateway_mac, 6);
	(void)fx_turn(&fx, f.b, f.len);
	turn(&fx);
	(void)count_frames(&fx, 0);
	sent_to(&fx, "198.51.100.7", fx_gateway_mac);
	sent_to(&fx, "192.0.2.99", fx_peer_mac); /* on the link */
	fx.now_us += NET_REFRESH_US - 1;
	turn(&fx);
	cr_assert_eq(count_frames(&fx, HF_PKT_TYPE_ARP), 0);
	fx.now_us += 1;
	turn(&fx);
	cr_assert_eq(count_frames(&fx, HF_PKT_TYPE_ARP), 1);
	fx.now_us += 100 * FX_SECOND;
	turn(&fx);
	cr_assert_eq(count_frames(&fx, HF_PKT_TYPE_ARP), 1);
	sent_to(&fx, "198.51.100.7", fx_gateway_mac); /* silent, but the last we know */
	fx_fini(&fx);
}

Test(net_addr, ip6_gateway_is_resolved_by_its_advertisement)
{
	struct fx fx;
	struct fx_frame f, out;

	fx_init(&fx, 1, 0, true);
	fx.shared->port[0].gateway6.next_us = 0;
	turn(&fx);
	cr_assert_eq(fx_take(&fx, out.b, sizeof(out.b)), 86);
	cr_assert_eq(memcmp(out.b, "\x33\x33\xff\x00\x00\x01", 6), 0);
	cr_assert_eq(out.b[54], 135);
	sent_to(&fx, "2001:db8:1::7", fx_peer_mac);
	fx_frame_nd(&f, &fx, HF_PKT_ICMP6_NA, "2001:db8::1", "2001:db8::10", "2001:db8::1",
		HF_PKT_NA_SOLICITED, fx_gateway_mac);
	(void)fx_turn(&fx, f.b, f.len);
	sent_to(&fx, "2001:db8:1::7", fx_gateway_mac);
	sent_to(&fx, "2001:db8::7", fx_peer_mac);
	sent_to(&fx, "fe80::7", fx_peer_mac);
	fx_fini(&fx);
}

Test(net_addr, a_path_for_an_active_open_is_known_with_the_gateway)
{
	struct fx fx;
	struct fx_frame f;
	struct hf_path path = { 0 };
	struct hf_ip peer;

	fx_init(&fx, 1, 0, true);
	peer = fx_ip("198.51.100.7");
	cr_assert_not(hf_net_path(fx.net[0], &peer, &path));
	fx_frame_arp(&f, &fx, 2, "192.0.2.1", "192.0.2.10");
	memcpy(f.b + 22, fx_gateway_mac, 6);
	(void)fx_turn(&fx, f.b, f.len);
	cr_assert(hf_net_path(fx.net[0], &peer, &path));
	cr_assert_eq(memcmp(path.mac, fx_gateway_mac, 6), 0);
	cr_assert(path.port == 0 && path.mtu == 1500 && path.flags == NET_PATH_GATEWAY);
	peer = fx_ip("2001:db8:1::7");
	cr_assert_not(hf_net_path(fx.net[0], &peer, &path));
	fx_fini(&fx);
}

Test(net_addr, without_a_gateway_everybody_is_answered_the_way_it_came)
{
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	sent_to(&fx, "198.51.100.7", fx_peer_mac);
	sent_to(&fx, "2001:db8:1::7", fx_peer_mac);
	fx_fini(&fx);
}

Test(net_addr, prefixes_match_by_bits)
{
	struct net_port port = { 0 };
	struct hf_ip ip = fx_ip("10.1.2.130");

	port.addr_count = 2;
	port.addr[0] = (struct net_addr){ .ip = ip, .prefix_bits = 96 + 25, .is4 = true };
	port.addr[1] = (struct net_addr){ .ip = fx_ip("2001:db8::"), .prefix_bits = 33 };
	cr_assert(net_addr_on_link(&port, (ip = fx_ip("10.1.2.255"), &ip)));
	cr_assert_not(net_addr_on_link(&port, (ip = fx_ip("10.1.2.127"), &ip)));
	cr_assert(net_addr_on_link(&port, (ip = fx_ip("2001:db8:7fff::1"), &ip)));
	cr_assert_not(net_addr_on_link(&port, (ip = fx_ip("2001:db8:8000::1"), &ip)));
	cr_assert_not(net_addr_on_link(&port, (ip = fx_ip("::ffff:10.1.3.1"), &ip)));
}
