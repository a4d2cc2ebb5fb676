/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Emit descriptors to packets, and their way to the device. Bytes are copied behind the headers
 * (net_head.h) or attached to the chain; what the device cannot do (checksums, cutting) is done here.
 */
#include "hf_net.h"

#include <errno.h>
#include <string.h>

#include "net_head.h"
#include "net_priv.h"

struct out_chain {
	struct hf_net *net;
	const struct net_port *port;
	struct rte_mbuf *head, *tail;
	bool tail_is_ours; /* not an attached one: bytes may be copied behind it */
	bool may_attach;
	uint16_t segs_max;
	uint64_t sum; /* of the pieces, where the device makes no checksums */
};

/* An empty packet: of those that hf_net_tx took together, or of the pool. */
static inline struct rte_mbuf *out_mbuf(struct hf_net *net)
{
	struct rte_mbuf *mbuf;

	if (hf_likely(net->stock_count > 0))
		mbuf = net->stock[--net->stock_count];
	else
		mbuf = rte_mbuf_raw_alloc(net->pool);
	if (hf_likely(mbuf))
		rte_pktmbuf_reset(mbuf);
	return mbuf;
}

static inline struct rte_mbuf *out_frame(struct hf_net *net, const struct net_port *port,
	uint64_t dst, uint16_t type, uint32_t len, uint8_t **ret_l3)
{
	uint32_t l2_len = port->l2_len;
	struct rte_mbuf *mbuf;
	struct hf_pkt_eth *eth;

	if (len > port->info.mtu) {
		(void)hf_drop(HF_DROP_ETH_LONG);
		return NULL;
	}
	mbuf = out_mbuf(net);
	if (!mbuf) {
		(void)hf_drop(HF_DROP_NO_MBUF);
		return NULL;
	}
	eth = (struct hf_pkt_eth *)rte_pktmbuf_append(mbuf, (uint16_t)(l2_len + len));
	HF_ASSERT(eth); /* lib/port makes the buffers as large as the MTU */
	net_mac_store(eth->dst, dst);
	memcpy(eth->src, port->info.mac, 6);
	eth->type_be = __builtin_bswap16(type);
	if (port->vlan) {
		struct hf_pkt_vlan *tag = (struct hf_pkt_vlan *)(eth + 1);

		eth->type_be = __builtin_bswap16(HF_PKT_TYPE_VLAN);
		tag->tci_be = __builtin_bswap16(port->vlan);
		tag->type_be = __builtin_bswap16(type);
	}
	mbuf->tx_offload = rte_mbuf_tx_offload(l2_len, 0, 0, 0, 0, 0, 0);
	*ret_l3 = (uint8_t *)eth + l2_len;
	return mbuf;
}

struct rte_mbuf *net_out_new(struct hf_net *net, const struct net_port *port, const uint8_t dst[6],
	uint16_t type, uint32_t len, uint8_t **ret_l3)
{
	return out_frame(net, port, net_mac_load(dst), type, len, ret_l3);
}

void net_out_stage_flush(struct hf_net *net, const struct net_port *port)
{
	struct net_stage *stage = &net->stage[port->index];

	if (stage->count > 0)
		hf_port_tx(port->port, net_queue(net, port), stage->mbuf, stage->count);
	stage->count = 0;
}

static void out_pass(struct hf_net *net, const struct net_port *port, struct rte_mbuf *mbuf)
{
	struct hf_net_shared *shared = net->shared;
	struct hf_ring *ring = shared->tx_ring[net->worker * shared->workers + port->owner];

	HF_ASSERT_HOT(ring);
	if (!hf_ring_post(ring, (struct hf_msg){ .ptr = mbuf, .arg = port->index })) {
		rte_pktmbuf_free(mbuf);
		(void)hf_drop(HF_DROP_TX_FULL);
		return;
	}
	if (shared->waker[port->owner])
		hf_waker_wake(shared->waker[port->owner]);
}

static inline void out_stage(struct hf_net *net, const struct net_port *port, struct rte_mbuf *mbuf)
{
	struct net_stage *stage = &net->stage[port->index];

	if (!net_is_mine(net, port)) {
		out_pass(net, port, mbuf);
		return;
	}
	stage->mbuf[stage->count++] = mbuf;
	if (stage->count == NET_STAGE)
		net_out_stage_flush(net, port);
}

void net_out_stage(struct hf_net *net, const struct net_port *port, struct rte_mbuf *mbuf)
{
	out_stage(net, port, mbuf);
}

static void out_chain_add(struct out_chain *chain, struct rte_mbuf *mbuf, bool ours)
{
	chain->tail->next = mbuf;
	chain->tail = mbuf;
	chain->tail_is_ours = ours;
	chain->head->nb_segs++;
}

/* 0, -ENOBUFS, or -E2BIG when the packet would have more parts than the device takes. */
static int out_copy(struct out_chain *chain, const uint8_t *data, uint32_t len)
{
	while (len > 0) {
		uint32_t room = chain->tail_is_ours ? rte_pktmbuf_tailroom(chain->tail) : 0;
		uint32_t n = hf_min_u32(room, len);

		if (n == 0) {
			struct rte_mbuf *mbuf;

			if (chain->head->nb_segs >= chain->segs_max)
				return -E2BIG;
			mbuf = out_mbuf(chain->net);
			if (!mbuf)
				return -ENOBUFS;
			out_chain_add(chain, mbuf, /* ours= */ true);
			continue;
		}
		memcpy(rte_pktmbuf_mtod_offset(chain->tail, uint8_t *, chain->tail->data_len), data,
			n);
		chain->tail->data_len = (uint16_t)(chain->tail->data_len + n);
		chain->head->pkt_len += n;
		data += n;
		len -= n;
	}
	return 0;
}

static int out_attach(struct out_chain *chain, const struct hf_tcp_piece *piece)
{
	const uint8_t *data = piece->data;
	uint32_t len = piece->len;

	while (len > 0) {
		uint64_t iova = 0;
		size_t n = hf_port_iova_run(data, hf_min_u32(len, NET_ATTACH_MAX), &iova);
		struct net_attach *attach;
		struct rte_mbuf *mbuf;

		if (n == 0)
			return out_copy(chain, data, len);
		if (chain->head->nb_segs >= chain->segs_max)
			return -E2BIG;
		mbuf = rte_pktmbuf_alloc(chain->net->ext_pool);
		if (!mbuf)
			return -ENOBUFS;
		attach = rte_mbuf_to_priv(mbuf);
		HF_ASSERT_HOT(attach->ref == NULL);
		attach->ref = piece->ref;
		if (piece->ref)
			hf_ref_get(piece->ref);
		attach->shinfo.free_cb = net_attach_release;
		attach->shinfo.fcb_opaque = attach;
		rte_mbuf_ext_refcnt_set(&attach->shinfo, 1);
		rte_pktmbuf_attach_extbuf(
			mbuf, (void *)(uintptr_t)data, iova, (uint16_t)n, &attach->shinfo);
		mbuf->data_len = (uint16_t)n;
		out_chain_add(chain, mbuf, /* ours= */ false);
		chain->head->pkt_len += (uint32_t)n;
		data += n;
		len -= (uint32_t)n;
	}
	return 0;
}

/* Behind what the last buffer has, if there is room. */
static inline bool out_copy_fits(struct out_chain *chain, const struct hf_tcp_piece *piece)
{
	struct rte_mbuf *tail = chain->tail;

	if (!chain->tail_is_ours || rte_pktmbuf_tailroom(tail) < piece->len)
		return false;
	memcpy(rte_pktmbuf_mtod_offset(tail, uint8_t *, tail->data_len), piece->data, piece->len);
	tail->data_len = (uint16_t)(tail->data_len + piece->len);
	chain->head->pkt_len += piece->len;
	return true;
}

static inline bool out_attaches(
	const struct hf_net *net, const struct net_port *port, const struct hf_tcp_piece *piece)
{
	return piece->zero_copy && piece->len >= NET_COPY_BELOW && port->info.multi_seg &&
	       net_is_mine(net, port);
}

static int out_pieces(struct out_chain *chain, const struct hf_tcp_emit *emit)
{
	bool sums = !chain->port->info.csum_tcp;
	size_t offset = 0; /* behind the headers, whose length is even */
	int rc = 0;

	HF_ASSERT_HOT(emit->piece_count <= HF_TCP_EMIT_PIECES);
	for (uint16_t i = 0; i < emit->piece_count && rc == 0; i++) {
		const struct hf_tcp_piece *piece = &emit->piece[i];

		if (chain->may_attach && out_attaches(chain->net, chain->port, piece))
			rc = out_attach(chain, piece);
		else if (!out_copy_fits(chain, piece))
			rc = out_copy(chain, piece->data, piece->len);
		if (sums)
			chain->sum =
				hf_pkt_sum_wide_at(chain->sum, offset, piece->data, piece->len);
		offset += piece->len;
	}
	return rc;
}

/* 0, -ENOBUFS, -E2BIG; the packet is staged on 0. */
static int out_packet(struct hf_net *net, const struct net_port *port, uint64_t mac,
	const struct hf_tcp_emit *emit, bool tso, bool may_attach)
{
	bool is4 = hf_ip_is4(&emit->dst);
	uint32_t l3_len = is4 ? sizeof(struct hf_pkt_ip4) : sizeof(struct hf_pkt_ip6);
	uint32_t header_len = l3_len + (uint32_t)sizeof(struct hf_pkt_tcp) + emit->opt_len;
	struct out_chain chain = {
		.net = net,
		.port = port,
		.tail_is_ours = true,
		.may_attach = may_attach,
		.segs_max = tso ? port->info.tso_segs_max : port->info.segs_max,
	};
	uint8_t *l3;
	int rc;

	chain.head = chain.tail =
		out_frame(net, port, mac, is4 ? HF_PKT_TYPE_IP4 : HF_PKT_TYPE_IP6, header_len, &l3);
	if (!chain.head)
		return 0; /* counted */
	rc = out_pieces(&chain, emit);
	if (rc < 0) {
		rte_pktmbuf_free(chain.head);
		return rc;
	}
	HF_ASSERT_HOT(chain.head->pkt_len == chain.head->l2_len + header_len + emit->len);
	net_head_all(net, port, chain.head, emit, is4, tso, chain.sum, l3);
	out_stage(net, port, chain.head);
	return 0;
}

static void out_one(struct hf_net *net, const struct net_port *port, uint64_t mac,
	const struct hf_tcp_emit *emit)
{
	int rc = out_packet(net, port, mac, emit, /* tso= */ false, /* may_attach= */ true);

	if (rc == -E2BIG) /* too many small parts: as one */
		rc = out_packet(net, port, mac, emit, /* tso= */ false, /* may_attach= */ false);
	if (rc < 0)
		(void)hf_drop(rc == -E2BIG ? HF_DROP_ETH_LONG : HF_DROP_NO_MBUF);
}

/* A place in the pieces of a run. */
struct out_cursor {
	const struct hf_tcp_piece *piece;
	uint32_t off;
};

/* The next `len` bytes of the run. Moves the cursor. */
static void out_slice_pieces(struct hf_tcp_emit *slice, struct out_cursor *at, uint32_t len)
{
	slice->len = len;
	slice->piece_count = 0;
	while (len > 0) {
		struct hf_tcp_piece *piece = &slice->piece[slice->piece_count++];

		HF_ASSERT_HOT(slice->piece_count <= HF_TCP_EMIT_PIECES);
		*piece = *at->piece;
		piece->data += at->off;
		piece->len = hf_min_u32(piece->len - at->off, len);
		len -= piece->len;
		at->off += piece->len;
		if (at->off == at->piece->len) {
			at->piece++;
			at->off = 0;
		}
	}
}

/* A segment each, as TSO does it. */
static void out_cut(struct hf_net *net, const struct net_port *port, uint64_t mac,
	const struct hf_tcp_emit *emit)
{
	const uint8_t first = HF_TCP_CWR, last = HF_TCP_FIN | HF_TCP_PSH;
	struct out_cursor at = { emit->piece, 0 };
	struct hf_tcp_emit slice = *emit;
	uint32_t left = emit->len;

	slice.flags &= (uint8_t)~last;
	while (left > emit->mss) {
		out_slice_pieces(&slice, &at, emit->mss);
		out_one(net, port, mac, &slice);
		slice.flags &= (uint8_t)~first;
		slice.seq += emit->mss;
		left -= emit->mss;
	}
	slice.flags |= emit->flags & last;
	out_slice_pieces(&slice, &at, left);
	out_one(net, port, mac, &slice);
}

/* More than a segment: by the device, or here. */
static HF_NOINLINE void out_run(struct hf_net *net, const struct net_port *port, uint64_t mac,
	const struct hf_tcp_emit *emit)
{
	int rc;

	HF_ASSERT(emit->mss > 0);
	/* Devices number the packets they cut by themselves: not so that they are unlike the next's. */
	if (port->info.tso_max < emit->len || emit->may_fragment) {
		out_cut(net, port, mac, emit);
		return;
	}
	HF_ASSERT_HOT(
		!(emit->flags & HF_TCP_CWR)); /* lib/tcp: on one segment, not on each of a run */
	rc = out_packet(net, port, mac, emit, /* tso= */ true, /* may_attach= */ true);
	if (rc == -E2BIG)
		out_cut(net, port, mac, emit);
	else if (rc < 0)
		(void)hf_drop(HF_DROP_NO_MBUF);
}

/* To the gateway, or the way the peer's frame came; 0: neither is known. */
static inline uint64_t out_mac(const struct net_port *port, const struct hf_tcp_emit *emit)
{
	uint64_t mac = 0;

	if (emit->path.flags & NET_PATH_GATEWAY)
		mac = net_gateway_load(hf_ip_is4(&emit->dst) ? &port->gateway4 : &port->gateway6);
	return mac != 0 ? mac : net_mac_load(emit->path.mac);
}

/* Is it a segment of IPv4 whose bytes are all copied into one buffer? */
static inline bool out_is_flat(
	const struct hf_net *net, const struct net_port *port, const struct hf_tcp_emit *emit)
{
	const struct hf_tcp_piece *piece = emit->piece, *end = piece + emit->piece_count;
	uint32_t room = NET_FLAT_MAX;

	HF_ASSERT_HOT(emit->piece_count <= HF_TCP_EMIT_PIECES);
	for (; piece < end; piece++) {
		if (piece->len > room || out_attaches(net, port, piece))
			return false;
		room -= piece->len;
	}
	return hf_ip_is4(&emit->dst);
}

/* out_packet for these: nearly every answer of a keep-alive client is one. */
static inline void out_flat(struct hf_net *net, const struct net_port *port, uint64_t mac,
	const struct hf_tcp_emit *emit)
{
	const uint32_t header_len =
		(uint32_t)(sizeof(struct hf_pkt_ip4) + sizeof(struct hf_pkt_tcp));
	const struct hf_tcp_piece *piece = emit->piece, *end = piece + emit->piece_count;
	bool sums = !port->info.csum_tcp;
	struct rte_mbuf *head;
	uint32_t len = 0; /* of the payload so far, behind headers of an even length */
	uint64_t sum = 0;
	uint8_t *l3, *to;

	head = out_frame(net, port, mac, HF_PKT_TYPE_IP4, header_len + emit->opt_len, &l3);
	if (!head)
		return; /* counted */
	HF_ASSERT(rte_pktmbuf_tailroom(head) >= NET_FLAT_MAX);
	to = rte_pktmbuf_mtod_offset(head, uint8_t *, head->data_len);
	for (; piece < end; piece++) {
		memcpy(to + len, piece->data, piece->len);
		if (sums)
			sum = hf_pkt_sum_wide_at(sum, len, piece->data, piece->len);
		len += piece->len;
	}
	HF_ASSERT_HOT(len == emit->len);
	head->data_len = (uint16_t)(head->data_len + len);
	head->pkt_len += len;
	net_head_all(net, port, head, emit, /* is4= */ true, /* tso= */ false, sum, l3);
	out_stage(net, port, head);
}

static inline void out_emit(struct hf_net *net, const struct hf_tcp_emit *emit)
{
	const struct net_port *port = &net->shared->port[emit->path.port];
	uint64_t mac;

	HF_ASSERT_HOT(emit->path.port < net->shared->port_count && emit->opt_len % 4 == 0);
	mac = out_mac(port, emit);
	if (mac == 0)
		(void)hf_drop(HF_DROP_NO_NEIGHBOUR);
	else if (emit->len > emit->mss)
		out_run(net, port, mac, emit);
	else if (hf_likely(out_is_flat(net, port, emit)))
		out_flat(net, port, mac, emit);
	else
		out_one(net, port, mac, emit);
}

/* Packets for as many descriptors, together. Where the pool has not so many, each takes its own as
 * long as there are any. */
static void out_stock_fill(struct hf_net *net, uint32_t count)
{
	HF_ASSERT_HOT(net->stock_count == 0 && count <= NET_STOCK);
	if (rte_mempool_get_bulk(net->pool, (void **)net->stock, count) == 0)
		net->stock_count = count;
}

/* What descriptors without a packet left over. */
static void out_stock_return(struct hf_net *net)
{
	if (hf_unlikely(net->stock_count > 0))
		rte_mempool_put_bulk(net->pool, (void **)net->stock, net->stock_count);
	net->stock_count = 0;
}

void hf_net_tx(struct hf_net *net, const struct hf_tcp_emit *emits, uint32_t count)
{
	for (uint32_t at = 0; at < count; at += NET_STOCK) {
		uint32_t end = hf_min_u32(at + NET_STOCK, count);

		out_stock_fill(net, end - at);
		for (uint32_t i = at; i < end; i++)
			out_emit(net, &emits[i]);
		out_stock_return(net);
	}
}
