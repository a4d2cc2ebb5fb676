/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames from the wire, up to segments and answers: a whole worker on a ring device, set up once a
 * process. The input's first byte says how the frame came (chained, tagged by the NIC, checksums
 * repaired or not); the rest is the frame behind the destination address, in a buffer of exactly its
 * length, so that the address sanitizer sees every byte read beyond.
 */
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "hf_net.h"
#include "hf_pkt.h"
#include "hf_port.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_FRAME_MAX 2000

static struct {
	struct hf_conf conf;
	struct hf_port *port;
	struct hf_net *net;
	struct hf_port_info info;
	struct rte_ring *ring;
	struct rte_mempool *pool;
	unsigned int avail;
	uint64_t now_us;
} fuzz;

static void fuzz_address(struct hf_conf_address *address, const uint8_t ip[16], uint8_t prefix)
{
	memcpy(address->ip, ip, 16);
	address->prefix = prefix;
}

/* A turn; what was sent is read byte by byte, so that uninitialised or freed memory shows. */
static void fuzz_turn(void)
{
	const struct hf_tcp_seg *segs;
	struct rte_mbuf *mbuf;
	uint32_t n, sum = 0;

	(void)hf_net_rx(fuzz.net, fuzz.now_us);
	n = hf_net_segs(fuzz.net, &segs);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < segs[i].payload_len; k++)
			sum += segs[i].payload[k];
		for (uint32_t k = 0; k < segs[i].opt_len; k++)
			sum += segs[i].opt[k];
		HF_ASSERT(segs[i].opt_len <= HF_TCP_OPT_MAX && segs[i].sport && segs[i].dport);
	}
	hf_net_rx_done(fuzz.net);
	hf_net_flush(fuzz.net, fuzz.now_us);
	while (rte_ring_dequeue(fuzz.ring, (void **)&mbuf) == 0) {
		HF_ASSERT(mbuf->pkt_len >= 14 && mbuf->pkt_len <= 14u + fuzz.info.mtu);
		for (uint32_t k = 0; k < mbuf->data_len; k++)
			sum += rte_pktmbuf_mtod(mbuf, const uint8_t *)[k];
		rte_pktmbuf_free(mbuf);
	}
	__asm__ volatile("" : : "r"(sum));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const uint8_t ip4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 10 };
	static const uint8_t gateway4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	static const uint8_t ip6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x10 };
	static const uint8_t gateway6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	static char device[] = "net_ring0";
	struct hf_net_shared *shared;
	struct hf_err err;

	(void)argc, (void)argv;
	fuzz.conf.workers = 1;
	fuzz.conf.port_count = 1;
	fuzz.conf.port[0].device = device;
	fuzz.conf.port[0].address_count = 2;
	fuzz_address(&fuzz.conf.port[0].address[0], ip4, 24);
	fuzz_address(&fuzz.conf.port[0].address[1], ip6, 64);
	fuzz_address(&fuzz.conf.port[0].gateway4, gateway4, 0);
	fuzz_address(&fuzz.conf.port[0].gateway6, gateway6, 0);
	HF_ASSERT(hf_port_eal_init(&fuzz.conf, &err) == 0);
	HF_ASSERT(hf_port_open(&fuzz.conf, 0, &err, &fuzz.port) == 0);
	HF_ASSERT(hf_net_shared_new(&fuzz.conf, &fuzz.port, 1, &err, &shared) == 0);
	HF_ASSERT(hf_net_new(shared, 0, &err, &fuzz.net) == 0);
	HF_ASSERT(hf_port_start(fuzz.port, &err) == 0);
	hf_port_info(fuzz.port, &fuzz.info);
	fuzz.ring = rte_ring_lookup("ETH_RXTX0_net_ring0");
	fuzz.pool = hf_port_mempool(fuzz.port, 0);
	HF_ASSERT(fuzz.ring && fuzz.pool);
	for (int i = 0; i < 10; i++, fuzz.now_us += 1000000)
		fuzz_turn(); /* announcements */
	fuzz.avail = rte_mempool_avail_count(fuzz.pool);
	return 0;
}

static void fuzz_free(void *addr, void *opaque)
{
	(void)addr;
	free(opaque);
}

static struct rte_mbuf *fuzz_mbuf(const uint8_t *data, size_t len)
{
	struct rte_mbuf_ext_shared_info *shinfo = malloc(sizeof(*shinfo) + len);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(fuzz.pool);

	HF_ASSERT(shinfo && mbuf);
	if (len > 0)
		memcpy(shinfo + 1, data, len);
	shinfo->free_cb = fuzz_free;
	shinfo->fcb_opaque = shinfo;
	rte_mbuf_ext_refcnt_set(shinfo, 1);
	rte_pktmbuf_attach_extbuf(mbuf, shinfo + 1, 0, (uint16_t)len, shinfo);
	mbuf->data_len = (uint16_t)len;
	mbuf->pkt_len = (uint32_t)len;
	return mbuf;
}

/* Right checksums, as far as the lengths allow: a fuzzer does not guess them. */
static void fuzz_repair_l4(uint8_t *l4, size_t len, uint8_t proto, uint16_t pseudo)
{
	size_t at = proto == HF_PKT_PROTO_TCP ? 16 : 2;
	uint16_t sum;

	if ((proto != HF_PKT_PROTO_TCP && proto != HF_PKT_PROTO_ICMP &&
		    proto != HF_PKT_PROTO_ICMP6) ||
		len < at + 2)
		return;
	l4[at] = l4[at + 1] = 0;
	sum = (uint16_t)~hf_pkt_sum(proto == HF_PKT_PROTO_ICMP ? 0 : pseudo, l4, len);
	memcpy(l4 + at, &sum, 2);
}

static void fuzz_repair(uint8_t *frame, size_t len)
{
	struct hf_pkt_ip4 *ip4 = (struct hf_pkt_ip4 *)(frame + 14);
	struct hf_pkt_ip6 *ip6 = (struct hf_pkt_ip6 *)(frame + 14);
	size_t l3_len = len - 14;

	if (len >= 34 && frame[12] == 0x08 && frame[13] == 0) {
		size_t ihl = (ip4->version_ihl & 15u) * 4u;
		size_t total = __builtin_bswap16(ip4->len_be);

		if (ihl < 20 || ihl > l3_len || total > l3_len || total < ihl)
			return;
		fuzz_repair_l4(frame + 14 + ihl, total - ihl, ip4->proto,
			hf_pkt_sum_pseudo4(
				ip4->src, ip4->dst, ip4->proto, (uint16_t)(total - ihl)));
		ip4->csum = 0;
		ip4->csum = (uint16_t)~hf_pkt_sum(0, ip4, ihl);
	} else if (len >= 54 && frame[12] == 0x86 && frame[13] == 0xdd) {
		size_t total = __builtin_bswap16(ip6->len_be);

		if (total <= l3_len - 40)
			fuzz_repair_l4(frame + 54, total, ip6->next,
				hf_pkt_sum_pseudo6(ip6->src, ip6->dst, ip6->next, (uint32_t)total));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t frame[6 + FUZZ_FRAME_MAX];
	size_t len, cut;
	struct rte_mbuf *mbuf;

	if (size < 1 || size - 1 > FUZZ_FRAME_MAX)
		return 0;
	memcpy(frame, fuzz.info.mac, 6);
	memcpy(frame + 6, data + 1, size - 1);
	len = size - 1 + 6;
	if (data[0] & 1) /* to a group */
		frame[0] |= 1;
	if (data[0] & 8)
		fuzz_repair(frame, len);
	cut = data[0] & 2 ? len / 2 : len;
	mbuf = fuzz_mbuf(frame, cut);
	if (cut < len)
		HF_ASSERT(rte_pktmbuf_chain(mbuf, fuzz_mbuf(frame + cut, len - cut)) == 0);
	if (data[0] & 4)
		mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	HF_ASSERT(rte_ring_enqueue(fuzz.ring, mbuf) == 0);
	fuzz.now_us += 1000; /* one echo a millisecond is within the rate */
	fuzz_turn();
	HF_ASSERT(rte_mempool_avail_count(fuzz.pool) == fuzz.avail);
	return 0;
}
