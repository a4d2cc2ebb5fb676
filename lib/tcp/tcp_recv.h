/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_recv - the receive side: a segment of a connection, what it acknowledges, what it brings, and
 * the window.
 *
 * Picture
 *      tcp_in -> tcp_ack -> tcp_recovery (tcp_loss.h), tcp_send (tcp_send.h)
 *         \----> tcp_rx  -> tcp_ooo behind a hole; tcp_wnd says how much more may come
 */
#ifndef TCP_RECV_H
#define TCP_RECV_H

#ifndef HF_PRIV_TCP
#error "tcp_recv.h is private to lib/tcp"
#endif

#include "tcp_priv.h"

struct tcp_opts;
struct tcp_sack_block;

/* tcp_in.c */
enum hf_drop tcp_in_conn(
	struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_tcp_seg *seg);
/* Asks for an ACK, if the second's limit of RFC 5961 §7 permits. */
void tcp_in_challenge(struct hf_tcp *tcp, struct hf_tcp_conn *conn);

/* tcp_ack.c: HF_DROP_NONE, or why the segment must be dropped */
enum hf_drop tcp_ack_input(struct hf_tcp *tcp, struct hf_tcp_conn *conn,
	const struct hf_tcp_seg *seg, const struct tcp_opts *opts);

/* tcp_rx.c */
/* What is next in sequence, and in the window. */
void tcp_rx_next(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const uint8_t *data, uint32_t len);
/* In window, front cut at rcv_nxt. Returns why not all of it was taken. */
enum hf_drop tcp_rx_payload(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	const uint8_t *data, uint32_t len);
/* What is left in place goes into buffers, or counts as never received. */
void tcp_rx_keep(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* Takes the peer's FIN if it is next and nothing before it can get lost any more. */
void tcp_rx_fin(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_rx_drop_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* `len` bytes are to be acknowledged: at the latest when tcp_output's timer says so. */
void tcp_rx_ack_later(struct hf_tcp_conn *conn, uint32_t len);
/* These were received before: the next ACK says so (RFC 2883 §4). */
void tcp_rx_duplicate(struct hf_tcp_conn *conn, uint32_t seq, uint32_t len);

/* tcp_ooo.c: what lies behind holes */
struct tcp_rxbuf *tcp_rxbuf_new(struct hf_tcp *tcp);
/* Appends what fits; returns how much. */
uint32_t tcp_rxbuf_fill(struct tcp_rxbuf *buf, const uint8_t *data, uint32_t len);
void tcp_rxbuf_free(struct hf_tcp *tcp, struct tcp_rxbuf *buf);
void tcp_rxbuf_free_list(struct hf_tcp *tcp, struct tcp_rxbuf *buf);
/* Bytes behind a hole; those that are new are kept. */
enum hf_drop tcp_ooo_store(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	const uint8_t *data, uint32_t len);
/* Takes out the first range if it begins at or before `seq`, without what lies before seq; NULL
 * when there is none. The list's bytes are contiguous from seq on. */
struct tcp_rxbuf *tcp_ooo_take(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	struct tcp_rxbuf **ret_tail, uint32_t *ret_len);
/* If they fit, moves the bytes of *head behind those of the buffer that is to stand in front of it
 * and frees it; *head is its successor then. So two neighbours hold more than one buffer full. */
bool tcp_rxbuf_pack(struct hf_tcp *tcp, struct tcp_rxbuf *buf, struct tcp_rxbuf **head);
/* A list of tcp_ooo_take goes back, unchanged, in front of all ranges; seq: of its first byte.
 * Always succeeds: what is in the way is forgotten, be it some of the list. */
void tcp_ooo_put_back(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	struct tcp_rxbuf *head, struct tcp_rxbuf *tail, uint32_t len);
/* Gives a buffer of the last range back to the pool; false when there is none. */
bool tcp_ooo_evict(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
void tcp_ooo_drop_all(struct hf_tcp *tcp, struct hf_tcp_conn *conn);
/* Blocks for an ACK sent now, the latest first (RFC 2018 §4), behind a DSACK that is due. */
uint32_t tcp_ooo_sacks(struct hf_tcp_conn *conn, struct tcp_sack_block *ret_blocks, uint32_t max);
void tcp_ooo_check(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn);

/* tcp_wnd.c */
uint8_t tcp_wnd_shift(uint32_t wnd_max);
/* How far the edge moves if it is announced with a segment sent now. */
uint32_t tcp_wnd_gain(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn);
/* It would move so far that the peer is to be told by a segment of its own. */
bool tcp_wnd_gain_due(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn);

/* The edge could move by less than a segment, and by less than half of the window, were there no unread
 * bytes and no pressure: as little as after a small request. Then it does not move. */
static inline bool tcp_wnd_is_near(const struct hf_tcp_conn *conn)
{
	int32_t most = (int32_t)(conn->rcv_nxt + conn->rcv_wnd - conn->rcv_adv);

	return most < (int32_t)hf_min_u32(conn->rcv_mss, conn->rcv_wnd / 2);
}

static inline bool tcp_wnd_update_due(const struct hf_tcp *tcp, const struct hf_tcp_conn *conn)
{
	return !tcp_wnd_is_near(conn) && tcp_wnd_gain_due(tcp, conn);
}

/* The window field of a segment sent now; moves rcv_adv. Rounded up where what is promised allows it. */
static inline uint16_t tcp_wnd_announce(const struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	uint32_t gain = hf_likely(tcp_wnd_is_near(conn)) ? 0 : tcp_wnd_gain(tcp, conn);
	uint32_t offer = conn->rcv_adv - conn->rcv_nxt;
	uint32_t unit = 1U << conn->rcv_shift;
	uint32_t window = (offer + gain) >> conn->rcv_shift;
	uint32_t up = (offer + unit - 1) >> conn->rcv_shift;

	HF_ASSERT(tcp_seq_ge(conn->rcv_adv, conn->rcv_nxt));
	HF_ASSERT(conn->rcv_shift <= 14);
	if (window < up && (uint64_t)conn->unread_len + up * unit < (uint64_t)conn->rcv_wnd + unit)
		window = up;
	window = hf_min_u32(window, UINT16_MAX);
	if (window * unit > offer)
		conn->rcv_adv = conn->rcv_nxt + window * unit;
	return (uint16_t)window;
}

/* The application consumed: once a round trip, rcv_wnd grows to what keeps the sender busy. */
void tcp_wnd_grow(const struct hf_tcp *tcp, struct hf_tcp_conn *conn);

#endif
