/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames with one thing wrong, and the reason under which each must be counted.
 */
#include "net_fixture.h"

enum base {
	TCP4,     /* Ethernet 0, IPv4 14, TCP 34, 5 bytes of payload */
	TCP4_OPT, /* 8 bytes of IPv4 options at 34, TCP at 42 */
	TCP6,     /* IPv6 14, TCP 54 */
	TCP6_EXT, /* hop-by-hop header of 8 bytes at 54, TCP 62 */
	ARP,      /* 14 */
	ECHO4,    /* ICMP 34 */
	ECHO6,    /* ICMPv6 54 */
	NS,       /* ICMPv6 54, target 62, option 78 */
	PROBE,    /* the same without source and option */
	NA,
};

enum fix { FIX_IP4 = 1, FIX_TCP4 = 2, FIX_ICMP4 = 4, FIX_ICMP6 = 8 };

struct bad {
	const char *name;
	enum base base;
	size_t at;
	uint8_t count, bytes[16];
	size_t len; /* of the frame; 0: unchanged */
	unsigned int fix;
	enum hf_drop want;
};

static const struct bad bads[] = {
	{ "empty", TCP4, 0, 0, { 0 }, SIZE_MAX, 0, HF_DROP_ETH_SHORT },
	{ "one byte", TCP4, 0, 0, { 0 }, 1, 0, HF_DROP_ETH_SHORT },
	{ "ends within ethernet", TCP4, 0, 0, { 0 }, 13, 0, HF_DROP_ETH_SHORT },
	{ "tag cut", TCP4, 12, 2, { 0x81, 0 }, 17, 0, HF_DROP_ETH_SHORT },
	{ "source multicast", TCP4, 6, 1, { 0x03 }, 0, 0, HF_DROP_ETH_BAD_SOURCE },
	{ "source zero", TCP4, 6, 6, { 0 }, 0, 0, HF_DROP_ETH_BAD_SOURCE },
	{ "to another mac", TCP4, 5, 1, { 0xee }, 0, 0, HF_DROP_ETH_NOT_OURS },
	{ "tagged", TCP4, 12, 4, { 0x81, 0, 0, 5 }, 0, 0, HF_DROP_ETH_VLAN },
	{ "unknown type", TCP4, 12, 2, { 0x88, 0xcc }, 0, 0, HF_DROP_ETH_TYPE },
	{ "802.3 length", TCP4, 12, 2, { 0, 40 }, 0, 0, HF_DROP_ETH_TYPE },
	{ "double tag", TCP4, 12, 6, { 0x81, 0, 0, 0, 0x81, 0 }, 0, 0, HF_DROP_ETH_TYPE },

	{ "arp cut", ARP, 0, 0, { 0 }, 41, 0, HF_DROP_ARP_BAD },
	{ "arp hardware type", ARP, 15, 1, { 6 }, 0, 0, HF_DROP_ARP_BAD },
	{ "arp protocol", ARP, 16, 2, { 0x86, 0xdd }, 0, 0, HF_DROP_ARP_BAD },
	{ "arp hardware length", ARP, 18, 1, { 8 }, 0, 0, HF_DROP_ARP_BAD },
	{ "arp protocol length", ARP, 19, 1, { 16 }, 0, 0, HF_DROP_ARP_BAD },
	{ "arp operation 0", ARP, 21, 1, { 0 }, 0, 0, HF_DROP_ARP_BAD },
	{ "arp operation 3", ARP, 21, 1, { 3 }, 0, 0, HF_DROP_ARP_BAD },
	{ "arp from group address", ARP, 22, 1, { 0xff }, 0, 0, HF_DROP_ARP_BAD },
	{ "arp from zero address", ARP, 22, 6, { 0 }, 0, 0, HF_DROP_ARP_BAD },
	{ "arp for somebody else", ARP, 41, 1, { 77 }, 0, 0, HF_DROP_ARP_NOT_OURS },
	{ "arp answer unasked", ARP, 21, 1, { 2 }, 0, 0, HF_DROP_ARP_NOT_OURS },

	{ "ip4 cut", TCP4, 0, 0, { 0 }, 33, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip4 nothing", TCP4, 0, 0, { 0 }, 14, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip4 version 6", TCP4, 14, 1, { 0x65 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },
	{ "ip4 header of 16", TCP4, 14, 1, { 0x44 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },
	{ "ip4 header of 0", TCP4, 14, 1, { 0x40 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },
	{ "ip4 header beyond frame", TCP4, 14, 1, { 0x4f }, 40, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip4 total below header", TCP4, 16, 2, { 0, 19 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },
	{ "ip4 total beyond frame", TCP4, 16, 2, { 0, 46 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },
	{ "ip4 total 65535", TCP4, 16, 2, { 255, 255 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },
	{ "ip4 checksum", TCP4, 24, 1, { 0x5a }, 0, 0, HF_DROP_IP_BAD_CHECKSUM },
	{ "ip4 first fragment", TCP4, 20, 2, { 0x20, 0 }, 0, FIX_IP4, HF_DROP_IP_FRAGMENT },
	{ "ip4 later fragment", TCP4, 20, 2, { 0, 3 }, 0, FIX_IP4, HF_DROP_IP_FRAGMENT },
	{ "ip4 to another", TCP4, 33, 1, { 11 }, 0, FIX_IP4, HF_DROP_IP_NOT_OURS },
	{ "ip4 to broadcast", TCP4, 30, 4, { 255, 255, 255, 255 }, 0, FIX_IP4,
		HF_DROP_IP_NOT_OURS },
	{ "ip4 in a broadcast frame", TCP4, 0, 6, { 255, 255, 255, 255, 255, 255 }, 0, 0,
		HF_DROP_IP_NOT_OURS },
	{ "ip4 from 0.0.0.0", TCP4, 26, 4, { 0 }, 0, FIX_IP4, HF_DROP_IP_BAD_SOURCE },
	{ "ip4 from loopback", TCP4, 26, 1, { 127 }, 0, FIX_IP4, HF_DROP_IP_BAD_SOURCE },
	{ "ip4 from multicast", TCP4, 26, 1, { 224 }, 0, FIX_IP4, HF_DROP_IP_BAD_SOURCE },
	{ "ip4 from 255.255.255.255", TCP4, 26, 4, { 255, 255, 255, 255 }, 0, FIX_IP4,
		HF_DROP_IP_BAD_SOURCE },
	{ "ip4 from the prefix's broadcast", TCP4, 29, 1, { 255 }, 0, FIX_IP4,
		HF_DROP_IP_BAD_SOURCE },
	{ "ip4 from ourselves", TCP4, 29, 1, { 10 }, 0, FIX_IP4, HF_DROP_IP_BAD_SOURCE },
	{ "ip4 udp", TCP4, 23, 1, { 17 }, 0, FIX_IP4, HF_DROP_IP_PROTOCOL },
	{ "ip4 loose source route", TCP4_OPT, 34, 3, { 131, 7, 4 }, 0, FIX_IP4,
		HF_DROP_IP_OPTIONS },
	{ "ip4 strict source route", TCP4_OPT, 35, 3, { 137, 7, 4 }, 0, FIX_IP4,
		HF_DROP_IP_OPTIONS },
	{ "ip4 option of length 0", TCP4_OPT, 34, 2, { 7, 0 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },
	{ "ip4 option of length 1", TCP4_OPT, 34, 2, { 7, 1 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },
	{ "ip4 option too long", TCP4_OPT, 34, 2, { 7, 9 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },
	{ "ip4 option without length", TCP4_OPT, 41, 1, { 7 }, 0, FIX_IP4, HF_DROP_IP_BAD_HEADER },

	{ "tcp4 cut", TCP4, 16, 2, { 0, 39 }, 0, FIX_IP4, HF_DROP_TCP_BAD_HEADER },
	{ "tcp4 nothing", TCP4, 16, 2, { 0, 20 }, 0, FIX_IP4, HF_DROP_TCP_BAD_HEADER },
	{ "tcp4 header of 16", TCP4, 46, 1, { 0x40 }, 0, FIX_TCP4, HF_DROP_TCP_BAD_HEADER },
	{ "tcp4 header of 0", TCP4, 46, 1, { 0 }, 0, FIX_TCP4, HF_DROP_TCP_BAD_HEADER },
	{ "tcp4 header beyond packet", TCP4, 46, 1, { 0x70 }, 0, FIX_TCP4, HF_DROP_TCP_BAD_HEADER },
	{ "tcp4 source port 0", TCP4, 34, 2, { 0 }, 0, FIX_TCP4, HF_DROP_TCP_BAD_PORT },
	{ "tcp4 destination port 0", TCP4, 36, 2, { 0 }, 0, FIX_TCP4, HF_DROP_TCP_BAD_PORT },
	{ "tcp4 checksum", TCP4, 50, 1, { 0x5a }, 0, 0, HF_DROP_TCP_BAD_CHECKSUM },
	{ "tcp4 payload", TCP4, 58, 1, { 'O' }, 0, 0, HF_DROP_TCP_BAD_CHECKSUM },

	{ "icmp4 cut", ECHO4, 16, 2, { 0, 23 }, 0, FIX_IP4, HF_DROP_ICMP_BAD },
	{ "icmp4 echo cut", ECHO4, 16, 2, { 0, 27 }, 0, FIX_IP4 | FIX_ICMP4, HF_DROP_ICMP_BAD },
	{ "icmp4 checksum", ECHO4, 45, 1, { 'Z' }, 0, 0, HF_DROP_ICMP_BAD },
	{ "icmp4 echo code", ECHO4, 35, 1, { 1 }, 0, FIX_ICMP4, HF_DROP_ICMP_BAD },
	{ "icmp4 echo answer", ECHO4, 34, 1, { 0 }, 0, FIX_ICMP4, HF_DROP_ICMP_TYPE },
	{ "icmp4 redirect", ECHO4, 34, 1, { 5 }, 0, FIX_ICMP4, HF_DROP_ICMP_TYPE },

	{ "ip6 cut", TCP6, 0, 0, { 0 }, 53, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip6 nothing", TCP6, 0, 0, { 0 }, 14, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip6 version 4", TCP6, 14, 1, { 0x40 }, 0, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip6 payload beyond frame", TCP6, 18, 2, { 0, 26 }, 0, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip6 jumbogram", TCP6, 18, 2, { 255, 255 }, 0, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip6 to another", TCP6, 53, 1, { 0x77 }, 0, 0, HF_DROP_IP_NOT_OURS },
	{ "ip6 to ipv4-mapped ours", TCP6, 38, 16, { [10] = 0xff, 0xff, 192, 0, 2, 10 }, 0, 0,
		HF_DROP_IP_NOT_OURS },
	{ "ip6 tcp to all nodes", TCP6, 38, 16, { 0xff, 2, [15] = 1 }, 0, 0, HF_DROP_IP_NOT_OURS },
	{ "ip6 in a group frame", TCP6, 0, 6, { 0x33, 0x33, 0, 0, 0, 1 }, 0, 0,
		HF_DROP_IP_NOT_OURS },
	{ "ip6 from ::", TCP6, 22, 16, { 0 }, 0, 0, HF_DROP_IP_BAD_SOURCE },
	{ "ip6 from loopback", TCP6, 22, 16, { [15] = 1 }, 0, 0, HF_DROP_IP_BAD_SOURCE },
	{ "ip6 from multicast", TCP6, 22, 1, { 0xff }, 0, 0, HF_DROP_IP_BAD_SOURCE },
	{ "ip6 from ipv4-mapped", TCP6, 22, 16, { [10] = 0xff, 0xff, 192, 0, 2, 9 }, 0, 0,
		HF_DROP_IP_BAD_SOURCE },
	{ "ip6 from ourselves", TCP6, 37, 1, { 0x10 }, 0, 0, HF_DROP_IP_BAD_SOURCE },
	{ "ip6 udp", TCP6, 20, 1, { 17 }, 0, 0, HF_DROP_IP_PROTOCOL },
	{ "ip6 no next header", TCP6, 20, 1, { 59 }, 0, 0, HF_DROP_IP_PROTOCOL },
	{ "ip6 fragment", TCP6, 20, 1, { 44 }, 0, 0, HF_DROP_IP_FRAGMENT },
	{ "ip6 routing header", TCP6, 20, 1, { 43 }, 0, 0, HF_DROP_IP_OPTIONS },
	{ "ip6 extension beyond packet", TCP6_EXT, 55, 1, { 200 }, 0, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip6 extension cut", TCP6_EXT, 18, 2, { 0, 7 }, 0, 0, HF_DROP_IP_BAD_HEADER },
	{ "ip6 hop-by-hop twice", TCP6_EXT, 54, 1, { 0 }, 0, 0, HF_DROP_IP_OPTIONS },
	{ "ip6 option beyond extension", TCP6_EXT, 56, 2, { 1, 5 }, 0, 0, HF_DROP_IP_OPTIONS },
	{ "ip6 option to be refused", TCP6_EXT, 56, 2, { 0x80, 4 }, 0, 0, HF_DROP_IP_OPTIONS },
	{ "ip6 router behind hop-by-hop", TCP6_EXT, 54, 1, { 43 }, 0, 0, HF_DROP_IP_OPTIONS },
	{ "tcp6 cut", TCP6, 18, 2, { 0, 19 }, 0, 0, HF_DROP_TCP_BAD_HEADER },
	{ "tcp6 checksum", TCP6, 70, 1, { 0x5a }, 0, 0, HF_DROP_TCP_BAD_CHECKSUM },

	{ "icmp6 cut", ECHO6, 18, 2, { 0, 3 }, 0, 0, HF_DROP_ICMP_BAD },
	{ "icmp6 checksum", ECHO6, 63, 1, { 'Z' }, 0, 0, HF_DROP_ICMP_BAD },
	{ "icmp6 echo code", ECHO6, 55, 1, { 2 }, 0, FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "icmp6 echo to all nodes", ECHO6, 38, 16, { 0xff, 2, [15] = 1 }, 0, FIX_ICMP6,
		HF_DROP_IP_NOT_OURS },
	{ "icmp6 echo from ::", ECHO6, 22, 16, { 0 }, 0, FIX_ICMP6, HF_DROP_IP_BAD_SOURCE },
	{ "icmp6 echo from ourselves", ECHO6, 37, 1, { 0x10 }, 0, FIX_ICMP6,
		HF_DROP_IP_BAD_SOURCE },
	{ "ns from ourselves", NS, 37, 1, { 0x10 }, 0, FIX_ICMP6, HF_DROP_IP_BAD_SOURCE },
	{ "icmp6 router advertisement", ECHO6, 54, 1, { 134 }, 0, FIX_ICMP6, HF_DROP_ICMP_TYPE },
	{ "ns passed a router", NS, 21, 1, { 254 }, 0, 0, HF_DROP_ICMP_BAD },
	{ "ns checksum", NS, 56, 1, { 0x5a }, 0, 0, HF_DROP_ICMP_BAD },
	{ "ns code", NS, 55, 1, { 1 }, 0, FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "ns cut", NS, 18, 2, { 0, 23 }, 77, FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "ns for a group", NS, 62, 1, { 0xff }, 0, FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "ns for another", NS, 77, 1, { 0x11 }, 0, FIX_ICMP6, HF_DROP_IP_NOT_OURS },
	{ "ns option of length 0", NS, 79, 1, { 0 }, 0, FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "ns option too long", NS, 79, 1, { 2 }, 0, FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "ns option of one byte", NS, 18, 2, { 0, 25 }, 79, FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "ns option with group mac", NS, 80, 1, { 0x33 }, 0, FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "ns from :: with option", NS, 22, 16, { 0 }, 0, FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "probe sent to us alone", PROBE, 38, 16, { 0x20, 1, 0x0d, 0xb8, [15] = 0x10 }, 0,
		FIX_ICMP6, HF_DROP_ICMP_BAD },
	{ "probe sent to all nodes", PROBE, 38, 16, { 0xff, 2, [15] = 1 }, 0, FIX_ICMP6,
		HF_DROP_ICMP_BAD },
	{ "na from ::", NA, 22, 16, { 0 }, 0, FIX_ICMP6, HF_DROP_IP_BAD_SOURCE },
	{ "na solicited to a group", NA, 38, 16, { 0xff, 2, [15] = 1 }, 0, FIX_ICMP6,
		HF_DROP_ICMP_BAD },
	{ "na of a stranger", NA, 77, 1, { 0x50 }, 0, FIX_ICMP6, HF_DROP_ICMP_TYPE },
};

static void bad_base(struct fx_frame *f, const struct fx *fx, enum base base)
{
	static const uint8_t options[8] = { 1, 1, 7, 3, 4, 1, 1, 1 };
	static const uint8_t extension[8] = { 6, 0, 1, 4 };
	const char *group = "ff02::1:ff00:10";

	switch (base) {
	case TCP4:
	case TCP4_OPT:
		fx_frame_tcp4(f, fx);
		break;
	case TCP6:
	case TCP6_EXT:
		fx_frame_tcp6(f, fx);
		break;
	case ARP:
		fx_frame_arp(f, fx, 1, "192.0.2.99", "192.0.2.10");
		break;
	case ECHO4:
		fx_frame_echo4(f, fx);
		break;
	case ECHO6:
		fx_frame_echo6(f, fx);
		break;
	case NS:
		fx_frame_nd(f, fx, HF_PKT_ICMP6_NS, "2001:db8::99", group, "2001:db8::10", 0,
			fx_peer_mac);
		break;
	case PROBE:
		fx_frame_nd(f, fx, HF_PKT_ICMP6_NS, "::", group, "2001:db8::10", 0, NULL);
		break;
	case NA:
		fx_frame_nd(f, fx, HF_PKT_ICMP6_NA, "2001:db8::1", "2001:db8::10", "2001:db8::1",
			HF_PKT_NA_SOLICITED, fx_peer_mac);
		break;
	}
	if (base == TCP4_OPT) {
		memmove(f->b + 42, f->b + 34, f->len - 34);
		memcpy(f->b + 34, options, 8);
		f->len += 8;
		f->b[14] = 0x47;
		f->b[17] += 8;
	} else if (base == TCP6_EXT) {
		memmove(f->b + 62, f->b + 54, f->len - 54);
		memcpy(f->b + 54, extension, 8);
		f->len += 8;
		f->b[19] += 8;
		f->b[20] = 0;
	}
}

static void bad_fix(struct fx_frame *f, unsigned int fix)
{
	struct hf_pkt_ip4 *ip = (void *)(f->b + 14);
	size_t ihl = (ip->version_ihl & 15u) * 4u;
	uint8_t *l4 = f->b + 34;
	size_t l4_len = ntohs(ip->len_be) - ihl;

	if (fix & FIX_TCP4) {
		struct hf_ip src = net_ip_from4(ip->src), dst = net_ip_from4(ip->dst);

		l4[16] = l4[17] = 0;
		((struct hf_pkt_tcp *)l4)->csum = (uint16_t)~fx_l4_sum(&src, &dst, 6, l4, l4_len);
	}
	if (fix & FIX_ICMP4) {
		l4[2] = l4[3] = 0;
		((struct hf_pkt_icmp *)l4)->csum = (uint16_t)~hf_pkt_sum(0, l4, l4_len);
	}
	if (fix & FIX_ICMP6)
		fx_csum6(f, 54);
	if (fix & FIX_IP4) {
		ip->csum = 0;
		ip->csum = (uint16_t)~hf_pkt_sum(0, ip, ihl);
	}
}

static uint64_t bad_drops(void)
{
	uint64_t sum = 0;

	for (int i = 1; i < HF_DROP_COUNT; i++)
		sum += hf_drop_sum((enum hf_drop)i);
	return sum;
}

Test(net_malformed, bases_are_served_before_anything_is_wrong_with_them)
{
	struct fx fx;
	struct fx_frame f;

	fx_init(&fx, 1, 0, /* gateway= */ true);
	for (enum base base = TCP4; base <= NA; base++) {
		bool tcp = base <= TCP6_EXT;

		bad_base(&f, &fx, base);
		bad_fix(&f, base == TCP4_OPT ? FIX_IP4 : 0);
		cr_assert_eq(fx_turn(&fx, f.b, f.len), tcp ? 1 : 0, "base %d", (int)base);
		cr_assert_eq(bad_drops(), 0, "base %d", (int)base);
		if (!tcp && base != NA)
			cr_assert_gt(fx_take(&fx, f.b, sizeof(f.b)), 0, "base %d", (int)base);
		cr_assert_eq(fx_take(&fx, f.b, sizeof(f.b)), 0, "base %d", (int)base);
	}
	fx_fini(&fx);
}

Test(net_malformed, each_is_dropped_under_its_own_reason_and_not_answered)
{
	struct fx fx;
	struct fx_frame f;

	cr_assert_geq(HF_ARRAY_LEN(bads), 50);
	fx_init(&fx, 1, 0, /* gateway= */ true);
	for (size_t i = 0; i < HF_ARRAY_LEN(bads); i++) {
		const struct bad *bad = &bads[i];
		uint64_t before = hf_drop_sum(bad->want), all = bad_drops();

		bad_base(&f, &fx, bad->base);
		if (bad->base == TCP4_OPT)
			bad_fix(&f, FIX_IP4);
		memcpy(f.b + bad->at, bad->bytes, bad->count);
		if (bad->len)
			f.len = bad->len == SIZE_MAX ? 0 : bad->len;
		bad_fix(&f, bad->fix);
		cr_expect_eq(fx_turn(&fx, f.b, f.len), 0, "%s: taken", bad->name);
		cr_expect_eq(hf_drop_sum(bad->want), before + 1, "%s: not counted as %s", bad->name,
			hf_drop_infos[bad->want].name);
		cr_expect_eq(bad_drops(), all + 1, "%s: counted otherwise", bad->name);
		cr_expect_eq(fx_take(&fx, f.b, sizeof(f.b)), 0, "%s: answered", bad->name);
	}
	fx_fini(&fx);
}

Test(net_malformed, every_prefix_of_every_base_is_harmless)
{
	struct fx fx;
	struct fx_frame f, out;

	fx_init(&fx, 1, 0, /* gateway= */ true);
	for (enum base base = TCP4; base <= NA; base++) {
		bad_base(&f, &fx, base);
		for (size_t len = 0; len < f.len; len++) {
			(void)fx_turn(&fx, f.b, len);
			while (fx_take(&fx, out.b, sizeof(out.b)) > 0)
				;
		}
	}
	fx_fini(&fx);
}

Test(net_malformed, random_changes_are_harmless)
{
	struct fx fx;
	struct fx_frame f, out;

	fx_init(&fx, 1, 0, /* gateway= */ true);
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		bad_base(&f, &fx, (enum base)(random() % (NA + 1)));
		for (long n = random() % 4; n >= 0; n--)
			f.b[12 + (size_t)random() % (f.len - 12)] ^= (uint8_t)random();
		bad_fix(&f, (unsigned int)random() & FIX_IP4);
		(void)fx_turn(&fx, f.b, f.len);
		while (fx_take(&fx, out.b, sizeof(out.b)) > 0)
			;
	}
	fx_fini(&fx);
}
