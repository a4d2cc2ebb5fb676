/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What comes: whose it is, whether it is the next one, and what it answers.
 */
#include "client.h"
#include "hf_stat.h"

#define LEAN_ACK_BYTES (2 * FRAME_MSS) /* RFC 9293 §3.8.6.3 */
#define LEAN_OLD_ACK   UINT16_MAX      /* bytes; RFC 5961 §5.2 */
#define LEAN_SHIFT_MAX 14              /* RFC 7323 §2.3 */

struct lean_seg {
	const struct rte_mbuf *mbuf;
	const struct frame *frame;
	uint32_t seq, ack, ts_val, len;
	uint32_t at; /* of the payload, in the frame */
	uint8_t flags;
	bool has_ts;
};

/* Of a SYN-ACK. */
struct lean_offer {
	uint16_t mss;
	uint8_t shift;
	bool scales;
};

/* An answer to what belongs to no connection (RFC 9293 §3.10.7.1). */
static void lean_refuse(struct load_client *client, const struct lean_seg *seg)
{
	const struct frame *in = seg->frame;
	bool acks = seg->flags & HF_TCP_ACK;
	struct rte_mbuf *mbuf = seg->flags & HF_TCP_RST ? NULL : lean_take(client->lean);
	struct frame *out;

	(void)hf_drop(HF_DROP_TCP_NO_LISTENER);
	if (!mbuf)
		return;
	out = rte_pktmbuf_mtod(mbuf, struct frame *);
	memcpy(out, &client->lean->head, FRAME_HEAD);
	memcpy(out->eth.dst, in->eth.src, 6);
	memcpy(out->ip.src, in->ip.dst, 4);
	out->tcp.sport_be = in->tcp.dport_be;
	out->tcp.flags = acks ? HF_TCP_RST : HF_TCP_RST | HF_TCP_ACK;
	out->tcp.seq_be = acks ? in->tcp.ack_be : 0;
	out->tcp.ack_be =
		acks ? 0
		     : __builtin_bswap32(seg->seq + seg->len + ((seg->flags & HF_TCP_SYN) != 0) +
					 ((seg->flags & HF_TCP_FIN) != 0));
	frame_finish(out, 0, 0, 0);
	lean_give(client->lean, mbuf, FRAME_HEAD);
}

static struct lean_offer lean_offer_of(const struct frame *frame)
{
	uint32_t len = (frame->tcp.off >> 4) * 4u - (uint32_t)sizeof(frame->tcp);
	struct lean_offer offer = { .mss = 536 }; /* RFC 9293 §3.7.1 */

	for (uint32_t at = 0; at + 1 < len && frame->opt[at] != 0;) {
		const uint8_t *opt = frame->opt + at;

		if (opt[0] == 1) {
			at++;
			continue;
		}
		if (opt[0] == 2 && opt[1] == 4 && at + 4 <= len)
			offer.mss = (uint16_t)(opt[2] << 8 | opt[3]);
		if (opt[0] == 3 && opt[1] == 3 && at + 3 <= len) {
			offer.scales = true;
			offer.shift = (uint8_t)hf_min_u32(opt[2], LEAN_SHIFT_MAX);
		}
		at += hf_max_u32(opt[1], 2);
	}
	return offer;
}

static void lean_syn_answer(
	struct load_client *client, struct client_conn *conn, const struct lean_seg *seg)
{
	struct lean_conn *lean = &conn->lean;
	struct lean_offer offer;
	uint32_t mss;

	if (!(seg->flags & HF_TCP_ACK) || seg->ack != lean->end) {
		/* Of an older connection: it ends, and ours is tried elsewhere. */
		lean_refuse(client, seg);
		lean_gone(lean);
		client_elsewhere(client, conn);
		return;
	}
	if (seg->flags & HF_TCP_RST) {
		lean_gone(lean);
		client_closed(client, conn);
		return;
	}
	if (!(seg->flags & HF_TCP_SYN)) {
		(void)hf_drop(HF_DROP_TCP_BAD_FLAGS);
		return;
	}
	offer = lean_offer_of(seg->frame);
	lean->state = LEAN_OPEN;
	lean->tries = 0;
	lean->una = seg->ack;
	lean->rcv_nxt = seg->seq + 1;
	lean->rcv_acked = seg->seq;
	lean->wnd = __builtin_bswap16(seg->frame->tcp.wnd_be);
	lean->has_ts = seg->has_ts;
	lean->ts_recent = seg->ts_val;
	lean_scale(client->lean, lean, offer.scales, offer.shift);
	mss = hf_min_u32(offer.mss, client->path.mtu - 40u);
	mss -= hf_min_u32(lean_opt_len(lean), mss);
	lean->most = (uint16_t)hf_max_u32(mss / client->request_len, 1);
	client_opened(client, conn);
	client_heard(client, conn, /* fin= */ false);
	if (lean->rcv_acked != lean->rcv_nxt)
		lean_ack(client, lean);
}

/* RFC 9293 §3.10.7.4, the steps before the payload's. False: it is not the next one. */
static bool lean_is_next(
	struct load_client *client, struct client_conn *conn, const struct lean_seg *seg)
{
	struct lean_conn *lean = &conn->lean;
	enum hf_drop why = HF_DROP_NONE;

	if (hf_unlikely(
		    lean->has_ts && seg->has_ts && (int32_t)(seg->ts_val - lean->ts_recent) < 0))
		why = HF_DROP_TCP_PAWS;
	else if (hf_unlikely(seg->seq != lean->rcv_nxt))
		why = HF_DROP_TCP_OUT_OF_WINDOW;
	else if (hf_unlikely((seg->flags & (HF_TCP_SYN | HF_TCP_RST | HF_TCP_ACK)) != HF_TCP_ACK))
		why = HF_DROP_TCP_BAD_FLAGS;
	else if (hf_unlikely(seg->ack - lean->una > lean->end - lean->una &&
			     lean->una - seg->ack > LEAN_OLD_ACK))
		why = HF_DROP_TCP_BAD_ACK;
	if (hf_likely(why == HF_DROP_NONE))
		return true;
	if (why == HF_DROP_TCP_BAD_FLAGS && seg->flags & HF_TCP_RST) {
		client->lean->closing -= lean->state == LEAN_FIN_SENT;
		if (lean->state == LEAN_OPEN)
			client_closed(client, conn);
		lean_gone(lean);
		return false;
	}
	(void)hf_drop(why);
	if (!(seg->flags & HF_TCP_RST))
		lean_ack(client, lean);
	return false;
}

static void lean_acked(
	struct load_client *client, struct client_conn *conn, const struct lean_seg *seg)
{
	struct lean_conn *lean = &conn->lean;

	if (seg->has_ts && lean->rcv_acked == lean->rcv_nxt)
		lean->ts_recent = seg->ts_val; /* RFC 7323 §4.3 */
	lean->wnd = (uint32_t)__builtin_bswap16(seg->frame->tcp.wnd_be) << lean->wnd_shift;
	if (seg->ack - lean->una - 1 < lean->end - lean->una) {
		lean->una = seg->ack;
		if (hf_unlikely(lean->end - lean->nxt > lean->end - lean->una)) {
			lean->nxt = lean->una; /* it had what was about to be sent again */
			lean->unsent = (lean->end - lean->nxt) / client->request_len;
		}
		lean->tries = 0;
		lean_resend_later(client, lean);
	}
	if (hf_unlikely(lean->unsent > 0))
		lean_push(client, conn);
}

static void lean_owe(struct load_client *client, struct lean_conn *conn)
{
	if (conn->state == LEAN_CLOSED || conn->rcv_acked == conn->rcv_nxt)
		return;
	if (conn->rcv_nxt - conn->rcv_acked >= LEAN_ACK_BYTES) {
		hf_list_del(&conn->owes);
		hf_list_add_tail(&client->lean->owes_now, &conn->owes);
	} else if (hf_list_empty(&conn->owes)) {
		conn->owes_ns = client->now_ns;
		hf_list_add_tail(&client->lean->owes, &conn->owes);
	}
}

/* Both FINs are acknowledged. */
static void lean_settle(struct load_client *client, struct lean_conn *conn)
{
	if (conn->una == conn->end && conn->heard_fin) {
		lean_gone(conn);
		client->lean->closing--;
	}
}

/* The payload, wherever it lies. False: it was wrong, the connection is gone. */
static bool lean_bytes(
	struct load_client *client, struct client_conn *conn, const struct lean_seg *seg)
{
	const struct rte_mbuf *mbuf = seg->mbuf;
	uint32_t at = seg->at, left = seg->len;

	while (left > 0) {
		uint32_t n = hf_min_u32(left, mbuf->data_len - at);
		struct hf_span span = { rte_pktmbuf_mtod_offset(mbuf, const char *, at), n };

		if (!client_bytes(client, conn, span))
			return false;
		left -= n;
		mbuf = mbuf->next;
		at = 0;
	}
	return true;
}

static void lean_segment(
	struct load_client *client, struct client_conn *conn, const struct lean_seg *seg)
{
	const uint64_t answered = client->result.responses;
	struct lean_conn *lean = &conn->lean;
	bool fin = seg->flags & HF_TCP_FIN;

	if (hf_unlikely(lean->state == LEAN_CLOSED)) {
		if (!lean->heard_fin)
			lean_refuse(client, seg);
		else if (fin)
			lean_ack(client, lean); /* it has not heard our last one */
		return;
	}
	if (hf_unlikely(lean->state == LEAN_SYN_SENT)) {
		lean_syn_answer(client, conn, seg);
		return;
	}
	if (!lean_is_next(client, conn, seg))
		return;
	lean_acked(client, conn, seg);
	lean->rcv_nxt += seg->len;
	if (hf_likely(lean->state == LEAN_OPEN)) {
		if (!lean_bytes(client, conn, seg))
			return;
		lean->rcv_nxt += fin;
		lean->heard_fin = fin;
		if (fin || client->result.responses != answered)
			client_heard(client, conn, fin);
	} else if (fin) {
		lean->rcv_nxt++;
		lean->heard_fin = true;
		lean_ack(client, lean);
	}
	if (hf_unlikely(lean->state == LEAN_FIN_SENT))
		lean_settle(client, lean);
	lean_owe(client, lean);
}

/* Which address of ours; address_count: none. */
static uint32_t lean_own(const struct load_client *client, const uint8_t ip[4])
{
	const struct hf_conf_port *port = &client->opts->conf.port[0];
	uint32_t i = 0;

	while (i < port->address_count && memcmp(lean_address(client, i), ip, 4) != 0)
		i++;
	return i;
}

static void lean_other(struct load_client *client, const struct rte_mbuf *mbuf)
{
	const uint8_t *asked = frame_arp_asked(mbuf);
	struct rte_mbuf *reply;

	if (!asked || lean_own(client, asked) == client->opts->conf.port[0].address_count) {
		(void)hf_drop(asked ? HF_DROP_ARP_NOT_OURS : HF_DROP_ETH_TYPE);
		return;
	}
	reply = lean_take(client->lean);
	if (reply) {
		frame_arp_reply(mbuf, client->lean->head.eth.src, reply);
		client->lean->wire->filled++;
	}
}

/* TCP's header and payload, LEN bytes of a frame, against the checksum. */
static bool lean_sum_is_right(const struct rte_mbuf *mbuf, uint32_t len)
{
	const struct frame *frame = rte_pktmbuf_mtod(mbuf, const struct frame *);
	uint32_t n = hf_min_u32(len, mbuf->data_len - (uint32_t)offsetof(struct frame, tcp));
	uint64_t sum = hf_pkt_sum_wide_pseudo4(
		frame->ip.src, frame->ip.dst, HF_PKT_PROTO_TCP, (uint16_t)len);

	sum = hf_pkt_sum_wide(sum, &frame->tcp, n);
	for (uint32_t done = n; done < len; done += n) {
		mbuf = mbuf->next;
		n = hf_min_u32(len - done, mbuf->data_len);
		sum = hf_pkt_sum_wide_at(sum, done, rte_pktmbuf_mtod(mbuf, void *), n);
	}
	return hf_pkt_sum_fold(sum) == 0xffff;
}

/* Nothing but bytes of a body at which nobody looks. CONN: NULL for none. */
static bool lean_is_plain(const struct client_conn *conn, uint32_t len)
{
	return conn && conn->lean.state == LEAN_OPEN && conn->resp.in_body &&
	       conn->resp.left >= len && !conn->slot[conn->head].verify;
}

static bool lean_is_summed(
	struct lean *lean, const struct client_conn *conn, const struct lean_seg *seg)
{
	if (!lean_is_plain(conn, seg->len))
		return true;
	if (--lean->sum_in > 0)
		return false;
	lean->sum_in = LEAN_SUM_EVERY;
	return true;
}

static void lean_in(struct load_client *client, const struct rte_mbuf *mbuf)
{
	const struct frame *frame = rte_pktmbuf_mtod(mbuf, const struct frame *);
	const struct frame *head = &client->lean->head;
	uint32_t len, off = frame_tcp_off(mbuf, &len), address, by;
	struct client_conn *conn;
	struct lean_seg seg;
	const uint8_t *time;

	if (hf_unlikely(off == 0)) {
		lean_other(client, mbuf);
		return;
	}
	address = lean_own(client, frame->ip.dst);
	if (hf_unlikely(address == client->opts->conf.port[0].address_count ||
			memcmp(frame->ip.src, head->ip.dst, 4) != 0 ||
			frame->tcp.sport_be != head->tcp.dport_be)) {
		(void)hf_drop(HF_DROP_TCP_BAD_PORT);
		return;
	}
	time = frame_time(frame->opt, off - (uint32_t)sizeof(frame->tcp));
	seg = (struct lean_seg){ .mbuf = mbuf,
		.frame = frame,
		.seq = __builtin_bswap32(frame->tcp.seq_be),
		.ack = __builtin_bswap32(frame->tcp.ack_be),
		.ts_val = time ? frame_be32(time) : 0,
		.has_ts = time != NULL,
		.flags = frame->tcp.flags,
		.at = (uint32_t)offsetof(struct frame, tcp) + off,
		.len = len - off };
	by = *lean_by_port(client, address, __builtin_bswap16(frame->tcp.dport_be));
	conn = by > 0 ? &client->conn[by - 1] : NULL;
	if (lean_is_summed(client->lean, conn, &seg) && !lean_sum_is_right(mbuf, len))
		(void)hf_drop(HF_DROP_TCP_BAD_CHECKSUM);
	else if (hf_likely(conn))
		lean_segment(client, conn, &seg);
	else
		lean_refuse(client, &seg);
}

void load_client_frames(
	struct load_client *client, struct rte_mbuf *const *frames, uint32_t count, uint64_t now_ns)
{
	client->now_ns = now_ns;
	if (count > 0)
		client->heard_ns = now_ns;
	for (uint32_t i = 0; i < count; i++)
		lean_in(client, frames[i]);
	lean_ack_now(client);
}
