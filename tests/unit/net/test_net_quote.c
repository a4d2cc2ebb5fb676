/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ICMP errors: what they quote becomes a message to TCP, or a drop; and which worker hears of it.
 */
#include "net_fixture.h"

enum base {
	UNREACH4, /* outer 14, ICMP 34, quote 42, quoted TCP 62, 8 bytes of it */
	UNREACH6, /* outer 14, ICMP 54, quote 62, quoted TCP 102 */
};

#define QUOTED_SEQ 0xa1b2c3d4u

static void quote_icmp(uint8_t *icmp, uint8_t type, uint8_t code, uint32_t mtu)
{
	icmp[0] = type;
	icmp[1] = code;
	mtu = htonl(mtu); /* IPv4: the lower half, below 16 unused bits */
	memcpy(icmp + 4, &mtu, 4);
}

static void quote_tcp(uint8_t *tcp, uint16_t peer_port)
{
	struct hf_pkt_tcp quoted = {
		.sport_be = htons(80), .dport_be = htons(peer_port), .seq_be = htonl(QUOTED_SEQ)
	};

	memcpy(tcp, &quoted, 8);
}

/* A router's word about a packet of ours to `peer`. */
static void frame_error4(struct fx_frame *f, const struct fx *fx, uint8_t code, uint16_t mtu,
	const char *peer, uint16_t peer_port)
{
	struct fx_frame quote = { .len = 0 };
	uint8_t *icmp;

	quote_tcp(fx_ip4(&quote, "192.0.2.10", peer, 6, 1480), peer_port);
	fx_eth(f, fx, HF_PKT_TYPE_IP4);
	icmp = fx_ip4(f, "198.51.100.1", "192.0.2.10", 1, 8 + 28);
	quote_icmp(icmp, 3, code, mtu);
	memcpy(icmp + 8, quote.b, 28);
	((struct hf_pkt_icmp *)icmp)->csum = (uint16_t)~hf_pkt_sum(0, icmp, 36);
}

static void frame_error6(struct fx_frame *f, const struct fx *fx, uint8_t type, uint32_t mtu,
	const char *peer, uint16_t peer_port)
{
	struct fx_frame quote = { .len = 0 };
	uint8_t *icmp;

	quote_tcp(fx_ip6(&quote, "2001:db8::10", peer, 6, 1460), peer_port);
	fx_eth(f, fx, HF_PKT_TYPE_IP6);
	icmp = fx_ip6(f, "2001:db8:1::1", "2001:db8::10", 58, 8 + 48);
	quote_icmp(icmp, type, 0, mtu);
	memcpy(icmp + 8, quote.b, 48);
	fx_csum6(f, 54);
}

/* The one message of a turn of worker 0; false: there is none. */
static bool turn(struct fx *fx, const struct fx_frame *f, struct hf_tcp_icmp *ret_icmp)
{
	const struct hf_tcp_icmp *icmps;
	struct fx_frame out;
	uint32_t n;

	fx_feed(fx, f->b, f->len);
	(void)hf_net_rx(fx->net[0], fx->now_us);
	n = hf_net_icmps(fx->net[0], &icmps);
	cr_assert_leq(n, 1);
	if (n == 1)
		*ret_icmp = icmps[0];
	hf_net_rx_done(fx->net[0]);
	cr_assert_eq(hf_net_icmps(fx->net[0], &icmps), 0);
	hf_net_flush(fx->net[0], fx->now_us);
	cr_assert_eq(fx_take(fx, out.b, sizeof(out.b)), 0, "an error was answered");
	return n == 1;
}

Test(net_quote, fragmentation_needed_tells_the_flow_and_the_mtu_rfc1191)
{
	struct hf_ip peer = fx_ip("203.0.113.5"), local = fx_ip("192.0.2.10");
	struct hf_tcp_icmp icmp;
	struct fx_frame f;
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	frame_error4(&f, &fx, 4, 1400, "203.0.113.5", 4321);
	cr_assert(turn(&fx, &f, &icmp));
	cr_assert(net_ip_eq(&icmp.peer, &peer) && net_ip_eq(&icmp.local, &local));
	cr_assert_eq(icmp.peer_port, 4321);
	cr_assert_eq(icmp.local_port, 80);
	cr_assert_eq(icmp.seq, QUOTED_SEQ);
	cr_assert_eq(icmp.mtu, 1400);
	cr_assert_eq(icmp.ip_len, 1500);
	cr_assert(icmp.too_big);
	/* from a router that is too old to say */
	frame_error4(&f, &fx, 4, 0, "203.0.113.5", 4321);
	cr_assert(turn(&fx, &f, &icmp));
	cr_assert(icmp.too_big && icmp.mtu == 0);
	fx_fini(&fx);
}

Test(net_quote, packet_too_big_tells_the_flow_and_the_mtu_rfc8201)
{
	struct hf_ip peer = fx_ip("2001:db8:2::5"), local = fx_ip("2001:db8::10");
	struct hf_tcp_icmp icmp;
	struct fx_frame f;
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	frame_error6(&f, &fx, 2, 1280, "2001:db8:2::5", 4321);
	cr_assert(turn(&fx, &f, &icmp));
	cr_assert(net_ip_eq(&icmp.peer, &peer) && net_ip_eq(&icmp.local, &local));
	cr_assert_eq(icmp.peer_port, 4321);
	cr_assert_eq(icmp.local_port, 80);
	cr_assert_eq(icmp.seq, QUOTED_SEQ);
	cr_assert_eq(icmp.mtu, 1280);
	cr_assert_eq(icmp.ip_len, 1500);
	cr_assert(icmp.too_big);
	/* RFC 4443 §3.2: the code is ignored. */
	f.b[55] = 7;
	fx_csum6(&f, 54);
	cr_assert(turn(&fx, &f, &icmp));
	fx_fini(&fx);
}

Test(net_quote, every_other_unreachable_is_a_soft_error_rfc5927_5_2)
{
	struct hf_tcp_icmp icmp;
	struct fx_frame f;
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	for (uint8_t code = 0; code <= 15; code++) {
		frame_error4(&f, &fx, code, 1400, "203.0.113.5", 4321);
		cr_assert(turn(&fx, &f, &icmp));
		cr_assert_eq(icmp.too_big, code == 4);
		cr_assert_eq(icmp.mtu, code == 4 ? 1400 : 0, "unused bytes are not an MTU");
	}
	frame_error6(&f, &fx, 1, 1400, "2001:db8:2::5", 4321);
	cr_assert(turn(&fx, &f, &icmp));
	cr_assert(!icmp.too_big && icmp.mtu == 0);
	fx_fini(&fx);
}

Test(net_quote, options_and_extensions_of_the_quote_are_stepped_over)
{
	static const uint8_t extensions[] = { 43, 0, 1, 4, 0, 0, 0, 0, /* hop-by-hop: padding */
		60, 0, 4, 0, 0, 0, 0, 0,                               /* routing */
		44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,      /* destination options */
		6, 0, 0, 1, 1, 2, 3, 4 };                              /* first fragment */
	struct hf_tcp_icmp icmp;
	struct fx_frame f;
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	frame_error4(&f, &fx, 4, 1400, "203.0.113.5", 4321);
	memmove(f.b + 42 + 60, f.b + 42 + 20, 8);
	memset(f.b + 42 + 20, 1, 40);
	f.b[42] = 0x4f;
	f.b[17] += 40;
	f.len += 40;
	fx_sums4(&f);
	cr_assert(turn(&fx, &f, &icmp));
	cr_assert_eq(icmp.peer_port, 4321);
	cr_assert_eq(icmp.seq, QUOTED_SEQ);
	frame_error6(&f, &fx, 2, 1400, "2001:db8:2::5", 4321);
	memmove(f.b + 102 + sizeof(extensions), f.b + 102, 8);
	memcpy(f.b + 102, extensions, sizeof(extensions));
	f.b[62 + 6] = 0;
	f.b[19] += sizeof(extensions);
	f.len += sizeof(extensions);
	fx_csum6(&f, 54);
	cr_assert(turn(&fx, &f, &icmp));
	cr_assert_eq(icmp.peer_port, 4321);
	cr_assert_eq(icmp.seq, QUOTED_SEQ);
	/* a later fragment has no TCP header, whatever it begins with */
	f.b[102 + sizeof(extensions) - 8 + 3] = 9;
	fx_csum6(&f, 54);
	cr_assert_not(turn(&fx, &f, &icmp));
	cr_assert_eq(hf_drop_sum(HF_DROP_ICMP_BAD_QUOTE), 1);
	fx_fini(&fx);
}

struct bad {
	const char *name;
	enum base base;
	size_t at;
	uint8_t count, bytes[16];
	uint8_t cut; /* bytes that the packet is shorter */
	enum hf_drop want;
};

static const struct bad bads[] = {
	{ "4: no quote", UNREACH4, 0, 0, { 0 }, 28, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quote ends in its header", UNREACH4, 0, 0, { 0 }, 9, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: seven bytes of tcp", UNREACH4, 0, 0, { 0 }, 1, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: no place for the mtu", UNREACH4, 0, 0, { 0 }, 30, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: not even a checksum", UNREACH4, 0, 0, { 0 }, 33, HF_DROP_ICMP_BAD },
	{ "4: code beyond any", UNREACH4, 35, 1, { 16 }, 0, HF_DROP_ICMP_TYPE },
	{ "4: source quench", UNREACH4, 34, 1, { 4 }, 0, HF_DROP_ICMP_TYPE },
	{ "4: time exceeded", UNREACH4, 34, 1, { 11 }, 0, HF_DROP_ICMP_TYPE },
	{ "4: parameter problem", UNREACH4, 34, 1, { 12 }, 0, HF_DROP_ICMP_TYPE },
	{ "4: mtu 67", UNREACH4, 40, 2, { 0, 67 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quote of version 6", UNREACH4, 42, 1, { 0x65 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quoted header of 16", UNREACH4, 42, 1, { 0x44 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quoted header beyond", UNREACH4, 42, 1, { 0x46 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quoted length 39", UNREACH4, 44, 2, { 0, 39 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quoted fragment", UNREACH4, 48, 2, { 0, 1 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quoted udp", UNREACH4, 51, 1, { 17 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quoted source is not ours", UNREACH4, 57, 1, { 11 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quoted source port 0", UNREACH4, 62, 2, { 0 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "4: quoted destination port 0", UNREACH4, 64, 2, { 0 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: no quote", UNREACH6, 0, 0, { 0 }, 48, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quote ends in its header", UNREACH6, 0, 0, { 0 }, 9, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: seven bytes of tcp", UNREACH6, 0, 0, { 0 }, 1, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: no place for the mtu", UNREACH6, 0, 0, { 0 }, 50, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: time exceeded", UNREACH6, 54, 1, { 3 }, 0, HF_DROP_ICMP_TYPE },
	{ "6: parameter problem", UNREACH6, 54, 1, { 4 }, 0, HF_DROP_ICMP_TYPE },
	{ "6: mtu 1279", UNREACH6, 58, 4, { 0, 0, 4, 255 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: mtu 0", UNREACH6, 58, 4, { 0 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quote of version 4", UNREACH6, 62, 1, { 0x45 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quoted length 19", UNREACH6, 66, 2, { 0, 19 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quoted length 65535", UNREACH6, 66, 2, { 255, 255 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quoted udp", UNREACH6, 68, 1, { 17 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quoted extension beyond", UNREACH6, 68, 1, { 60 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quoted source is not ours", UNREACH6, 85, 1, { 0x11 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quoted source is mapped", UNREACH6, 70, 16, { [10] = 0xff, 0xff, 192, 0, 2, 10 }, 0,
		HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quoted destination is mapped", UNREACH6, 86, 16, { [10] = 0xff, 0xff, 192, 0, 2, 99 },
		0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: sent to all nodes", UNREACH6, 38, 16, { 0xff, 2, [15] = 1 }, 0,
		HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quoted source port 0", UNREACH6, 102, 2, { 0 }, 0, HF_DROP_ICMP_BAD_QUOTE },
	{ "6: quoted destination port 0", UNREACH6, 104, 2, { 0 }, 0, HF_DROP_ICMP_BAD_QUOTE },
};

static void quote_base(struct fx_frame *f, const struct fx *fx, enum base base)
{
	if (base == UNREACH4)
		frame_error4(f, fx, 4, 1400, "203.0.113.5", 4321);
	else
		frame_error6(f, fx, 2, 1400, "2001:db8:2::5", 4321);
}

Test(net_quote, each_malformed_quote_is_dropped_under_its_reason_rfc5927_4_1)
{
	struct hf_tcp_icmp icmp;
	struct fx_frame f;
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	for (size_t i = 0; i < HF_ARRAY_LEN(bads); i++) {
		const struct bad *bad = &bads[i];
		uint64_t before = hf_drop_sum(bad->want);

		quote_base(&f, &fx, bad->base);
		memcpy(f.b + bad->at, bad->bytes, bad->count);
		f.len -= bad->cut;
		f.b[bad->base == UNREACH4 ? 17 : 19] -= bad->cut;
		if (bad->base == UNREACH4)
			fx_sums4(&f);
		else
			fx_csum6(&f, 54);
		cr_expect_not(turn(&fx, &f, &icmp), "%s: taken", bad->name);
		cr_expect_eq(hf_drop_sum(bad->want), before + 1, "%s: not counted as %s", bad->name,
			hf_drop_infos[bad->want].name);
	}
	fx_fini(&fx);
}

Test(net_quote, quote_for_another_of_our_addresses_than_it_was_sent_to_is_refused)
{
	struct hf_tcp_icmp icmp;
	struct fx_frame f;
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	frame_error6(&f, &fx, 2, 1400, "2001:db8:2::5", 4321);
	memcpy(f.b + 38, fx.shared->port[0].link_local.b, 16);
	fx_csum6(&f, 54);
	cr_assert_not(turn(&fx, &f, &icmp));
	cr_assert_eq(hf_drop_sum(HF_DROP_ICMP_BAD_QUOTE), 1);
	fx_fini(&fx);
}

Test(net_quote, checksum_is_verified_before_anything_is_believed)
{
	struct hf_tcp_icmp icmp;
	struct fx_frame f;
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	for (enum base base = UNREACH4; base <= UNREACH6; base++) {
		quote_base(&f, &fx, base);
		f.b[f.len - 1] ^= 1;
		cr_assert_not(turn(&fx, &f, &icmp));
	}
	cr_assert_eq(hf_drop_sum(HF_DROP_ICMP_BAD), 2);
	fx_fini(&fx);
}

Test(net_quote, every_prefix_is_harmless)
{
	struct hf_tcp_icmp icmp;
	struct fx_frame f;
	struct fx fx;

	fx_init(&fx, 1, 0, false);
	for (enum base base = UNREACH4; base <= UNREACH6; base++) {
		size_t l4_at = base == UNREACH4 ? 34 : 54;

		for (size_t cut = 0; cut <= 60; cut++) {
			quote_base(&f, &fx, base);
			if (f.len - cut < l4_at)
				break;
			f.len -= cut;
			f.b[base == UNREACH4 ? 17 : 19] -= (uint8_t)cut;
			if (base == UNREACH4)
				fx_sums4(&f);
			else
				fx_csum6(&f, 54);
			cr_assert_eq(turn(&fx, &f, &icmp), cut == 0);
		}
	}
	fx_fini(&fx);
}

Test(net_quote, a_turn_takes_no_more_than_its_array)
{
	const struct hf_tcp_icmp *icmps;
	struct fx_frame f;
	struct fx fx;

	fx_init(&fx, 2, 0, false);
	fx.shared->workers = 1; /* the second one has a ring to the first */
	frame_error4(&f, &fx, 4, 1400, "203.0.113.5", 4321);
	fx.shared->rx_ring[0] = hf_ring_new(NET_RING_COUNT);
	for (int i = 0; i < 2 * HF_NET_BURST; i++) {
		struct hf_msg msg = { .ptr = fx_mbuf(&fx, f.b, f.len) };

		fx_feed(&fx, f.b, f.len);
		cr_assert(hf_ring_post(fx.shared->rx_ring[0], msg));
	}
	for (int i = 0; i < 2; i++) {
		(void)hf_net_rx(fx.net[0], fx.now_us);
		cr_assert_eq(hf_net_icmps(fx.net[0], &icmps), HF_NET_ICMPS);
		hf_net_rx_done(fx.net[0]);
	}
	cr_assert_eq(hf_drop_sum(HF_DROP_ICMP_RATE), 0);
	for (int i = 0; i < HF_NET_ICMPS + 1; i++)
		(void)net_in_frame(fx.net[0], &fx.shared->port[0], fx_mbuf(&fx, f.b, f.len),
			/* spread= */ false, /* hops= */ 0);
	cr_assert_eq(hf_net_icmps(fx.net[0], &icmps), HF_NET_ICMPS);
	cr_assert_eq(hf_drop_sum(HF_DROP_ICMP_RATE), 1);
	hf_net_rx_done(fx.net[0]);
	fx.shared->workers = 2;
	fx_fini(&fx);
}

/* Two workers on a device with one queue: worker 0 receives. */
Test(net_quote, without_rss_the_error_goes_where_the_segments_of_its_flow_go)
{
	struct fx fx;
	struct fx_frame f;
	const struct hf_tcp_seg *seg;
	const struct hf_tcp_icmp *icmp;
	uint32_t at[2] = { 0, 0 };

	fx_init(&fx, 2, 0, false);
	for (uint16_t port = 1000; port < 1100; port++) {
		uint32_t segs[2], icmps[2];

		fx_eth(&f, &fx, port % 2 ? HF_PKT_TYPE_IP4 : HF_PKT_TYPE_IP6);
		if (port % 2)
			fx_tcp(&f, "203.0.113.5", "192.0.2.10", port, HF_TCP_ACK, "x");
		else
			fx_tcp(&f, "2001:db8:2::5", "2001:db8::10", port, HF_TCP_ACK, "x");
		fx_feed(&fx, f.b, f.len);
		if (port % 2)
			frame_error4(&f, &fx, 4, 1400, "203.0.113.5", port);
		else
			frame_error6(&f, &fx, 2, 1400, "2001:db8:2::5", port);
		fx_feed(&fx, f.b, f.len);
		for (uint32_t worker = 0; worker < 2; worker++) {
			segs[worker] = fx_rx(&fx, worker, &seg);
			icmps[worker] = hf_net_icmps(fx.net[worker], &icmp);
			cr_assert(icmps[worker] == 0 ||
				  (icmp->peer_port == port && !icmp->elsewhere));
			at[worker] += icmps[worker];
			hf_net_rx_done(fx.net[worker]);
		}
		cr_assert_eq(segs[0] + segs[1], 1);
		cr_assert(segs[0] == icmps[0] && segs[1] == icmps[1]);
	}
	cr_assert_eq(at[0] + at[1], 100);
	cr_assert(at[0] > 10 && at[1] > 10);
	fx_fini(&fx);
}

/* The device's hash is unknown: each worker is asked, once. */
Test(net_quote, with_rss_the_error_goes_round_all_workers_once)
{
	struct fx fx;
	struct fx_frame f;
	const struct hf_tcp_icmp *icmp;

	fx_init(&fx, 2, 0, false);
	fx.shared->port[0].info.rss = true;
	cr_assert_null(fx.shared->rx_ring[1 * 2 + 0]);
	fx.shared->rx_ring[1 * 2 + 0] = hf_ring_new(NET_RING_COUNT);
	for (int i = 0; i < 5; i++) {
		frame_error4(&f, &fx, 4, 1400, "203.0.113.5", (uint16_t)(1000 + i));
		fx_feed(&fx, f.b, f.len);
	}
	for (uint32_t turns = 0; turns < 3; turns++) {
		for (uint32_t worker = 0; worker < 2; worker++) {
			/* the test's device has no queue for worker 1 */
			fx.shared->port[0].info.rss = worker == 0;
			(void)hf_net_rx(fx.net[worker], fx.now_us);
			cr_assert_eq(hf_net_icmps(fx.net[worker], &icmp), turns == 0 ? 5 : 0);
			cr_assert(turns > 0 || icmp[4].peer_port == 1004);
			cr_assert(turns > 0 || worker > 0 || icmp[4].elsewhere);
			hf_net_rx_done(fx.net[worker]);
		}
	}
	cr_assert(hf_net_idle(fx.net[0]) && hf_net_idle(fx.net[1]));
	fx_fini(&fx);
}

Test(net_quote, a_full_ring_to_the_next_worker_drops_and_counts)
{
	struct fx fx;
	struct fx_frame f;
	struct hf_tcp_icmp icmp;
	uint16_t count = 0;

	fx_init(&fx, 2, 0, false);
	fx.shared->port[0].info.rss = true;
	frame_error4(&f, &fx, 4, 1400, "203.0.113.5", 4321);
	while (hf_drop_sum(HF_DROP_SPREAD_FULL) == 0 && ++count < 4 * NET_RING_COUNT)
		cr_assert(turn(&fx, &f, &icmp), "this worker hears of it all the same");
	cr_assert_geq(count, NET_RING_COUNT);
	cr_assert_eq(hf_drop_sum(HF_DROP_SPREAD_FULL), 1);
	fx.shared->port[0].info.rss = false;
	while (hf_net_rx(fx.net[1], fx.now_us) > 0)
		hf_net_rx_done(fx.net[1]);
	fx_fini(&fx);
}
