/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What lies behind holes, as sorted ranges of bytes; and what SACK and DSACK say about it.
 *
 * Picture   rcv_nxt           range[0]                     range[1]
 *              |     hole    | buf -> buf |      hole     | buf -> buf -> buf |
 *
 *           A segment's new bytes are the gaps between ranges. They go to the tail of the range on
 *           their left, else into new buffers; ranges that touch are one from then on, their chains
 *           are linked. Two neighbours in a chain hold more than one buffer full.
 * Cost      A segment: O(ranges). Buffers are walked only to be freed, and by tcp_ooo_check: how
 *           many a range has is kept in the seq of its first one (the range knows where it stands).
 * Limits    A connection: TCP_RANGES_MAX ranges, tcp->ooo_max buffers. All of them: three quarters
 *           of the pool, so that bytes in order always find some. Beyond: HF_DROP_TCP_OOO_FULL.
 */
#include "hf_tcp.h"

#include <string.h>

#include "hf_wipe.h"

#include "tcp_conn.h"
#include "tcp_opt.h"
#include "tcp_priv.h"
#include "tcp_recv.h"

HF_STATIC_ASSERT(TCP_RANGES_MAX < 64, "a bit for each range");

struct tcp_rxbuf *tcp_rxbuf_new(struct hf_tcp *tcp)
{
	struct tcp_rxbuf *buf = hf_pool_get(&tcp->rxbufs);

	if (!buf)
		return NULL;
	buf->next = NULL;
	buf->off = 0;
	buf->end = 0;
	return buf;
}

uint32_t tcp_rxbuf_fill(struct tcp_rxbuf *buf, const uint8_t *data, uint32_t len)
{
	uint32_t n = hf_min_u32(len, TCP_RXBUF_BYTES - buf->end);

	memcpy(buf->data + buf->end, data, n);
	buf->end = (uint16_t)(buf->end + n);
	return n;
}

void tcp_rxbuf_free(struct hf_tcp *tcp, struct tcp_rxbuf *buf)
{
	hf_wipe(buf->data, buf->end); /* a request may have waited in it */
	hf_pool_put(&tcp->rxbufs, buf);
}

void tcp_rxbuf_free_list(struct hf_tcp *tcp, struct tcp_rxbuf *buf)
{
	while (buf) {
		struct tcp_rxbuf *next = buf->next;

		tcp_rxbuf_free(tcp, buf);
		buf = next;
	}
}

bool tcp_rxbuf_pack(struct hf_tcp *tcp, struct tcp_rxbuf *buf, struct tcp_rxbuf **head)
{
	struct tcp_rxbuf *from = *head;
	uint32_t len = (uint32_t)from->end - from->off;

	if (len > (uint32_t)TCP_RXBUF_BYTES - buf->end)
		return false;
	(void)tcp_rxbuf_fill(buf, from->data + from->off, len);
	*head = from->next;
	tcp_rxbuf_free(tcp, from);
	return true;
}

static uint32_t ooo_buf_len(const struct tcp_rxbuf *buf)
{
	return (uint32_t)buf->end - buf->off;
}

/* Bytes out of order may take one more element of the pool. */
static bool ooo_pool_has(const struct hf_tcp *tcp)
{
	return hf_pool_free_count(&tcp->rxbufs) > tcp->rxbufs.count / 4;
}

/* conn->ooo, made if there is none. */
static struct tcp_ooo *ooo_new(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_ooo *ooo = hf_pool_get(&tcp->rxbufs);

	HF_ASSERT(!conn->ooo);
	if (!ooo)
		return NULL;
	ooo->count = 0;
	ooo->bufs = 0;
	ooo->stamp = 0;
	conn->ooo = ooo;
	return ooo;
}

static void ooo_free_if_empty(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (conn->ooo->count > 0)
		return;
	HF_ASSERT(conn->ooo->bufs == 0);
	hf_pool_put(&tcp->rxbufs, conn->ooo);
	conn->ooo = NULL;
}

static void ooo_insert(struct tcp_ooo *ooo, uint32_t at, const struct tcp_range *range)
{
	HF_ASSERT(at <= ooo->count && ooo->count < TCP_RANGES_MAX);
	memmove(&ooo->range[at + 1], &ooo->range[at], (ooo->count - at) * sizeof(struct tcp_range));
	ooo->range[at] = *range;
	ooo->count++;
}

static void ooo_remove(struct tcp_ooo *ooo, uint32_t at, uint32_t n)
{
	HF_ASSERT(at + n <= ooo->count);
	memmove(&ooo->range[at], &ooo->range[at + n],
		(ooo->count - at - n) * sizeof(struct tcp_range));
	ooo->count -= n;
}

/* The first range that ends at or behind seq; ooo->count: there is none. */
static uint32_t ooo_find(const struct tcp_ooo *ooo, uint32_t seq)
{
	uint32_t at = ooo->count;

	while (at > 0 && tcp_seq_ge(ooo->range[at - 1].end, seq))
		at--;
	return at;
}

/* At the end of a range, which may be an empty one; returns how many of them. */
static uint32_t ooo_append(struct hf_tcp *tcp, struct tcp_ooo *ooo, struct tcp_range *range,
	const uint8_t *data, uint32_t len)
{
	uint32_t done = range->tail ? tcp_rxbuf_fill(range->tail, data, len) : 0;

	while (done < len && ooo->bufs < tcp->ooo_max && ooo_pool_has(tcp)) {
		struct tcp_rxbuf *buf = tcp_rxbuf_new(tcp);

		HF_ASSERT(buf);
		if (range->tail)
			range->tail->next = buf;
		else
			range->head = buf;
		range->tail = buf;
		range->bufs++;
		ooo->bufs++;
		done += tcp_rxbuf_fill(buf, data + done, len - done);
	}
	range->end += done;
	return done;
}

/* Two ranges that touch become the left one. */
static void ooo_join(struct hf_tcp *tcp, struct tcp_ooo *ooo, struct tcp_range *left,
	const struct tcp_range *right)
{
	struct tcp_rxbuf *head = right->head;

	HF_ASSERT(left->end == right->start);
	left->bufs += right->bufs;
	if (tcp_rxbuf_pack(tcp, left->tail, &head)) {
		left->bufs--;
		ooo->bufs--;
	}
	left->tail->next = head;
	if (head)
		left->tail = right->tail;
	left->end = right->end;
}

/* The bytes in front of range `at`, which touch nothing on their left. Returns how many it took: if
 * any then range `at` begins with them. */
static uint32_t ooo_open(struct hf_tcp *tcp, struct tcp_ooo *ooo, uint32_t at, uint32_t seq,
	const uint8_t *data, uint32_t end)
{
	struct tcp_range piece = { .start = seq, .end = seq };
	bool reaches = at < ooo->count && tcp_seq_ge(end, ooo->range[at].start);
	uint32_t len = (reaches ? ooo->range[at].start : end) - seq;
	uint32_t done;

	if (!reaches && ooo->count == TCP_RANGES_MAX)
		return 0;
	done = ooo_append(tcp, ooo, &piece, data, len);
	if (reaches && done == len) {
		ooo_join(tcp, ooo, &piece, &ooo->range[at]);
		ooo->range[at] = piece;
		return done;
	}
	if (done > 0 && ooo->count < TCP_RANGES_MAX) {
		ooo_insert(ooo, at, &piece);
		return done;
	}
	ooo->bufs -= piece.bufs;
	tcp_rxbuf_free_list(tcp, piece.head);
	return 0;
}

/* The bytes from seq on, which stands in range `at` or at its end. Returns how many it took. */
static uint32_t ooo_extend(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t at, uint32_t seq,
	const uint8_t *data, uint32_t len)
{
	struct tcp_range *range = &conn->ooo->range[at];
	uint32_t done = 0;

	while (done < len) {
		const struct tcp_range *next =
			at + 1 < conn->ooo->count ? &conn->ooo->range[at + 1] : NULL;
		uint32_t left = len - done;
		uint32_t n;

		if (tcp_seq_lt(seq + done, range->end)) {
			n = hf_min_u32(left, range->end - (seq + done));
			tcp_rx_duplicate(conn, seq + done, n);
			done += n;
			continue;
		}
		if (next)
			left = hf_min_u32(left, next->start - range->end);
		n = ooo_append(tcp, conn->ooo, range, data + done, left);
		done += n;
		if (n < left)
			break;
		if (next && range->end == next->start) {
			ooo_join(tcp, conn->ooo, range, next);
			ooo_remove(conn->ooo, at + 1, 1);
		}
	}
	return done;
}

enum hf_drop tcp_ooo_store(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	const uint8_t *data, uint32_t len)
{
	struct tcp_ooo *ooo = conn->ooo;
	bool first = !ooo;
	uint32_t done = 0, at;

	HF_ASSERT(len > 0 && tcp_seq_gt(seq, conn->rcv_nxt));
	if (first)
		ooo = ooo_pool_has(tcp) ? ooo_new(tcp, conn) : NULL;
	if (!ooo)
		return hf_drop(HF_DROP_TCP_OOO_FULL);
	at = ooo_find(ooo, seq);
	if (at == ooo->count || tcp_seq_gt(ooo->range[at].start, seq)) {
		done = ooo_open(tcp, ooo, at, seq, data, seq + len);
		if (done == 0) {
			ooo_free_if_empty(tcp, conn);
			return hf_drop(HF_DROP_TCP_OOO_FULL);
		}
	}
	if (done < len)
		done += ooo_extend(tcp, conn, at, seq + done, data + done, len - done);
	ooo->range[at].stamp = ++ooo->stamp;
	if (first)
		tcp_trace(tcp, conn, HF_TCP_TRACE_HOLE, seq - conn->rcv_nxt);
	return done == len ? HF_DROP_NONE : hf_drop(HF_DROP_TCP_OOO_FULL);
}

/* Off the front of a range until it begins at seq. */
static void ooo_cut(struct hf_tcp *tcp, struct tcp_range *range, uint32_t seq)
{
	HF_ASSERT(tcp_seq_ge(seq, range->start) && tcp_seq_lt(seq, range->end));
	while (seq - range->start >= ooo_buf_len(range->head)) {
		struct tcp_rxbuf *buf = range->head;

		range->start += ooo_buf_len(buf);
		range->head = buf->next;
		tcp_rxbuf_free(tcp, buf);
		range->bufs--;
	}
	range->head->off = (uint16_t)(range->head->off + (seq - range->start));
	range->start = seq;
}

struct tcp_rxbuf *tcp_ooo_take(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	struct tcp_rxbuf **ret_tail, uint32_t *ret_len)
{
	struct tcp_ooo *ooo = conn->ooo;
	struct tcp_rxbuf *head = NULL;
	uint32_t n = 0;

	if (!ooo)
		return NULL;
	while (!head && n < ooo->count && tcp_seq_le(ooo->range[n].start, seq)) {
		struct tcp_range *range = &ooo->range[n++];
		uint32_t len = range->end - range->start;

		ooo->bufs -= range->bufs;
		tcp_rx_duplicate(conn, range->start, hf_min_u32(len, seq - range->start));
		if (tcp_seq_le(range->end, seq)) {
			tcp_rxbuf_free_list(tcp, range->head);
			continue;
		}
		ooo_cut(tcp, range, seq);
		head = range->head;
		*ret_tail = range->tail;
		*ret_len = range->end - seq;
	}
	ooo_remove(ooo, 0, n);
	ooo_free_if_empty(tcp, conn);
	return head;
}

/* The first buffer of a range goes. Returns false when it was the last one. */
static bool ooo_shorten(struct hf_tcp *tcp, struct tcp_range *range)
{
	struct tcp_rxbuf *buf = range->head;

	range->start += ooo_buf_len(buf);
	range->head = buf->next;
	range->bufs--;
	HF_ASSERT(!range->head == (range->bufs == 0));
	tcp_rxbuf_free(tcp, buf);
	return range->bufs > 0;
}

void tcp_ooo_put_back(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	struct tcp_rxbuf *head, struct tcp_rxbuf *tail, uint32_t len)
{
	struct tcp_range range = { .start = seq, .end = seq + len, .head = head, .tail = tail };

	HF_ASSERT(len > 0);
	HF_ASSERT(!conn->ooo || tcp_seq_lt(range.end, conn->ooo->range[0].start));
	for (const struct tcp_rxbuf *buf = head; buf; buf = buf->next)
		range.bufs++;
	while (!conn->ooo && !ooo_new(tcp, conn)) {
		if (!ooo_shorten(tcp, &range))
			return;
	}
	range.stamp = ++conn->ooo->stamp;
	conn->ooo->bufs += range.bufs;
	ooo_insert(conn->ooo, 0, &range); /* there is room: it was one of them */
}

/* Its front, which is found at once; as much must be sent again whichever buffer it is. */
bool tcp_ooo_evict(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	struct tcp_ooo *ooo = conn->ooo;

	if (!ooo)
		return false;
	HF_ASSERT(ooo->count > 0);
	if (!ooo_shorten(tcp, &ooo->range[ooo->count - 1]))
		ooo->count--;
	ooo->bufs--;
	conn->flags &= ~(uint32_t)TCP_F_DSACK; /* it may name what is no more */
	ooo_free_if_empty(tcp, conn);
	return true;
}

void tcp_ooo_drop_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!conn->ooo)
		return;
	for (uint32_t i = 0; i < conn->ooo->count; i++)
		tcp_rxbuf_free_list(tcp, conn->ooo->range[i].head);
	hf_pool_put(&tcp->rxbufs, conn->ooo);
	conn->ooo = NULL;
}

/* The range of which a DSACK tells a part: RFC 2883 §4 (4). UINT32_MAX: it is acknowledged. */
static uint32_t ooo_enclosing(const struct tcp_ooo *ooo, const struct tcp_sack_block *block)
{
	for (uint32_t i = 0; ooo && i < ooo->count; i++) {
		if (tcp_seq_le(ooo->range[i].start, block->start) &&
			tcp_seq_ge(ooo->range[i].end, block->end))
			return i;
	}
	return UINT32_MAX;
}

/* The range with the latest segment of those whose bit is not set. */
static uint32_t ooo_latest(const struct tcp_ooo *ooo, uint64_t told)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; ooo && i < ooo->count; i++) {
		if ((told >> i & 1) == 0 && (best == UINT32_MAX || tcp_seq_gt(ooo->range[i].stamp,
									   ooo->range[best].stamp)))
			best = i;
	}
	return best;
}

uint32_t tcp_ooo_sacks(struct hf_tcp_conn *conn, struct tcp_sack_block *ret_blocks, uint32_t max)
{
	const struct tcp_ooo *ooo = conn->ooo;
	uint32_t at = UINT32_MAX, n = 0;
	uint64_t told = 0;

	if (tcp_has(conn, TCP_F_DSACK) && max > 0) {
		conn->flags &= ~(uint32_t)TCP_F_DSACK;
		ret_blocks[n] = (struct tcp_sack_block){ conn->dsack_start, conn->dsack_end };
		at = ooo_enclosing(ooo, &ret_blocks[n++]);
	}
	if (at == UINT32_MAX)
		at = ooo_latest(ooo, told);
	while (n < max && at != UINT32_MAX) {
		ret_blocks[n++] =
			(struct tcp_sack_block){ ooo->range[at].start, ooo->range[at].end };
		told |= 1ULL << at;
		at = ooo_latest(ooo, told);
	}
	return n;
}

static void ooo_check_range(const struct tcp_range *range)
{
	const struct tcp_rxbuf *last = NULL;
	uint32_t bufs = 0, len = 0;

	HF_ASSERT(tcp_seq_lt(range->start, range->end));
	for (const struct tcp_rxbuf *buf = range->head; buf; buf = buf->next) {
		HF_ASSERT(buf->off < buf->end && buf->end <= TCP_RXBUF_BYTES);
		len += ooo_buf_len(buf);
		bufs++;
		last = buf;
	}
	HF_ASSERT(last && last == range->tail);
	HF_ASSERT(bufs == range->bufs);
	HF_ASSERT(len == range->end - range->start);
}

void tcp_ooo_check(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	const struct tcp_ooo *ooo = conn->ooo;
	uint32_t end = conn->rcv_nxt;
	uint32_t bufs = 0;

	if (!ooo)
		return;
	HF_ASSERT(!tcp_has(conn, TCP_F_RCV_FIN_DONE));
	HF_ASSERT(ooo->count > 0 && ooo->count <= TCP_RANGES_MAX);
	for (uint32_t i = 0; i < ooo->count; i++) {
		const struct tcp_range *range = &ooo->range[i];

		HF_ASSERT(tcp_seq_gt(range->start, end)); /* a hole in front of each */
		ooo_check_range(range);
		HF_ASSERT(tcp_seq_le(range->stamp, ooo->stamp));
		for (uint32_t other = 0; other < i; other++)
			HF_ASSERT(range->stamp != ooo->range[other].stamp);
		end = range->end;
		bufs += range->bufs;
	}
	HF_ASSERT(tcp_seq_le(end, conn->rcv_adv));
	HF_ASSERT(bufs == ooo->bufs && bufs <= tcp->ooo_max);
}
