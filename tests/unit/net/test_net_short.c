/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The short way of a frame takes none that the long one refuses, and makes the same segment of it.
 */
#include "net_fixture.h"

#define SHORT_FRAMES 40000

/* What is in front of the payload: Ethernet, IPv4, TCP. */
#define SHORT_HEADERS 54

static struct hf_pkt_ip4 *short_ip(struct fx_frame *f)
{
	return (void *)(f->b + sizeof(struct hf_pkt_eth));
}

static struct hf_pkt_tcp *short_tcp(struct fx_frame *f)
{
	return (void *)(short_ip(f) + 1);
}

/* Right again, as far as lengths let them be. */
static void short_sums(struct fx_frame *f)
{
	struct hf_pkt_ip4 *ip = short_ip(f);
	struct hf_ip src = net_ip_from4(ip->src), dst = net_ip_from4(ip->dst);
	size_t len = ntohs(ip->len_be);

	ip->csum = 0;
	ip->csum = (uint16_t)~hf_pkt_sum(0, ip, sizeof(*ip));
	if (len < SHORT_HEADERS - sizeof(struct hf_pkt_eth) || 14 + len > f->len)
		return;
	short_tcp(f)->csum = 0;
	short_tcp(f)->csum =
		(uint16_t)~fx_l4_sum(&src, &dst, 6, (const void *)short_tcp(f), len - sizeof(*ip));
}

/* A segment with options and a payload of any length, bytes of it changed; padding behind it. */
static void short_frame(struct fx_frame *f, const struct fx *fx)
{
	static const uint8_t value[] = { 0, 1, 0x45, 0x46, 0x50, 6, 17, 64, 127, 128, 224, 255 };
	/* what no host may be: ourselves, everybody on the link */
	static const uint8_t nobody[2][4] = { { 192, 0, 2, 10 }, { 192, 0, 2, 255 } };
	static const uint8_t far[4] = { 198, 51, 100, 7 }; /* behind the gateway */
	static const char text[] = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
	size_t opt_len = (size_t)random() % 11 * 4, len = (size_t)random() % sizeof(text);

	fx_eth(f, fx, HF_PKT_TYPE_IP4);
	fx_tcp(f, "192.0.2.99", "192.0.2.10", 4000, HF_TCP_ACK, text + sizeof(text) - 1 - len);
	if (opt_len <= len)
		short_tcp(f)->off = (uint8_t)((20 + opt_len) / 4 << 4);
	short_ip(f)->tos = (uint8_t)random();
	for (long n = random() % 8; n > 4; n--) {
		size_t at = (size_t)random() % SHORT_HEADERS;

		f->b[at] = random() % 2 ? value[(size_t)random() % sizeof(value)]
					: (uint8_t)(f->b[at] ^ 1u << random() % 8);
	}
	if (random() % 16 == 0)
		memset(f->b + 6, 0, 6); /* the source's MAC address */
	if (random() % 16 == 0)
		short_tcp(f)->sport_be = 0;
	if (random() % 4 == 0)
		memcpy(short_ip(f)->src, far, 4);
	if (random() % 8 == 0)
		memcpy(short_ip(f)->src, nobody[random() % 2], 4);
	if (random() % 8 != 0)
		short_sums(f);
	if (random() % 8 == 0)
		f->len -= (size_t)random() % f->len;
	else
		f->len += (size_t)random() % 8;
}

struct short_outcome {
	int verdict;
	uint32_t segs, held;
	struct hf_tcp_seg seg;
	size_t opt_at, payload_at;
};

static struct short_outcome short_outcome(struct fx *fx, struct rte_mbuf *mbuf, bool whole)
{
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	struct net_port *port = &fx->shared->port[0];
	struct hf_net *net = fx->net[0];
	struct short_outcome out = { 0 };

	memset(&net->seg[0], 0, sizeof(net->seg[0]));
	out.verdict = whole ? net_in_frame(net, port, mbuf, /* spread= */ false, /* hops= */ 0)
			    : net_in_long(net, port, mbuf, /* spread= */ false, /* hops= */ 0);
	out.segs = net->seg_count;
	out.held = net->held_count;
	if (out.segs > 0) {
		memcpy(&out.seg, &net->seg[0], sizeof(out.seg));
		out.opt_at = (size_t)(out.seg.opt - frame);
		out.payload_at = (size_t)(out.seg.payload - frame);
		out.seg.opt = out.seg.payload = NULL;
	}
	hf_net_rx_done(net);
	hf_net_flush(net, fx->now_us);
	return out;
}

/* How many were taken. */
static uint32_t short_compare(struct fx *fx)
{
	static const uint64_t flags[] = { 0, RTE_MBUF_F_RX_VLAN_STRIPPED,
		RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD,
		RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD,
		RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_GOOD,
		RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_NONE,
		RTE_MBUF_F_RX_IP_CKSUM_GOOD };
	uint32_t taken = 0;

	for (int i = 0; i < SHORT_FRAMES; i++) {
		struct short_outcome way[2];
		struct fx_frame f, sent;
		uint64_t flag = flags[random() % 2 ? 0 : (size_t)random() % HF_ARRAY_LEN(flags)];

		short_frame(&f, fx);
		for (int k = 0; k < 2; k++) {
			struct rte_mbuf *mbuf = fx_mbuf(fx, f.b, f.len);

			mbuf->ol_flags |= flag;
			mbuf->vlan_tci = (uint16_t)(i % 3 == 0 ? 5 : 0);
			way[k] = short_outcome(fx, mbuf, k == 1);
			while (fx_take(fx, sent.b, sizeof(sent.b)) > 0)
				;
		}
		cr_assert_eq(way[0].verdict, way[1].verdict, "frame %d: %d, %d", i, way[0].verdict,
			way[1].verdict);
		cr_assert_eq(memcmp(&way[0], &way[1], sizeof(way[0])), 0, "frame %d", i);
		taken += way[0].segs;
	}
	return taken;
}

Test(net_short, agrees_with_the_long_way)
{
	struct fx fx;
	uint32_t taken;

	srandom(1);
	fx_init(&fx, 1, 0, /* gateway= */ true);
	for (int nic = 0; nic < 2; nic++) {
		fx.shared->port[0].info.rx_csum = nic == 1;
		fx.shared->port[0].gateway6.set = nic == 1;
		taken = short_compare(&fx);
		cr_assert(taken > SHORT_FRAMES / 8 && taken < SHORT_FRAMES / 8 * 7, "%u", taken);
	}
	fx.shared->port[0].vlan = 5; /* of frames whose tag the NIC took off, of few */
	taken = short_compare(&fx);
	cr_assert(taken > 0 && taken < SHORT_FRAMES / 8, "%u", taken);
	fx_fini(&fx);
}

Test(net_short, agrees_with_the_long_way_where_other_workers_have_flows)
{
	struct fx fx;
	struct fx_frame f;
	struct rte_mbuf *mbuf;
	uint32_t passed = 0;

	fx_init(&fx, 2, 0, false);
	for (uint16_t i = 0; i < 200; i++) {
		fx_eth(&f, &fx, HF_PKT_TYPE_IP4);
		fx_tcp(&f, "192.0.2.99", "192.0.2.10", 1000 + i, HF_TCP_ACK, "x");
		mbuf = fx_mbuf(&fx, f.b, f.len);
		cr_assert_eq(
			net_in_frame(fx.net[0], &fx.shared->port[0], mbuf, false, 0), NET_HELD);
		passed += 1 - fx.net[0]->seg_count;
		hf_net_rx_done(fx.net[0]);
		(void)hf_net_rx(fx.net[1], fx.now_us);
		hf_net_rx_done(fx.net[1]);
	}
	cr_assert(passed > 20 && passed < 180, "%u", passed);
	cr_assert_eq(hf_stat_sum(HF_STAT_SPREAD_PACKETS), passed);
	fx_fini(&fx);
}
