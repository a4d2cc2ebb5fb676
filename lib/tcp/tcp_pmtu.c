/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The largest packet that the path takes (RFC 1191, RFC 8201), per connection.
 *
 * What      ICMP messages make it smaller, if they quote a segment that is in flight and was larger than
 *           what they say fits (RFC 5927 §7): whoever does not see our segments cannot do that. Never below
 *           TCP_PMTU_MIN4 (then IPv4 may fragment) or TCP_PMTU_MIN6. Where routers say nothing, timeouts
 *           of large segments do (RFC 4821 §7.7). After TCP_PMTU_KEEP_MS the port's MTU is tried again.
 */
#include "hf_tcp.h"

#include "tcp_conn.h"
#include "tcp_loss.h"
#include "tcp_open.h"
#include "tcp_priv.h"
#include "tcp_send.h"

#define HEADERS4 40 /* IP and TCP without options */
#define HEADERS6 60
#define TS_LEN   12 /* timestamps on each segment, padded */
#define MTU_MIN4 68 /* RFC 791: nothing true is below */

static uint32_t pmtu_headers(const struct hf_ip *peer)
{
	return hf_ip_is4(peer) ? HEADERS4 : HEADERS6;
}

static uint32_t pmtu_min(const struct hf_ip *peer)
{
	return hf_ip_is4(peer) ? TCP_PMTU_MIN4 : TCP_PMTU_MIN6;
}

/* Of a segment with so many bytes. */
static uint32_t pmtu_packet(const struct hf_tcp_conn *conn, uint32_t len)
{
	return len + pmtu_headers(&conn->peer) + (tcp_has(conn, TCP_F_TS) ? TS_LEN : 0);
}

/* RFC 9293 §3.7.1 */
uint16_t tcp_pmtu_mss(const struct hf_ip *peer, uint32_t mtu)
{
	uint32_t headers = pmtu_headers(peer);

	return (uint16_t)hf_max_u32(mtu > headers ? mtu - headers : 0, TCP_MSS_FLOOR);
}

/* RFC 6691 §2: the announced size counts no options, a segment's payload must make room for them. */
void tcp_pmtu_resize(struct hf_tcp_conn *conn)
{
	uint32_t mtu = conn->path.mtu;
	uint32_t mss;

	if (tcp_has(conn, TCP_F_PMTU))
		mtu = hf_min_u32(mtu, conn->pmtu);
	mss = hf_min_u32(conn->peer_mss, tcp_pmtu_mss(&conn->peer, mtu));
	conn->mss = (uint16_t)(tcp_has(conn, TCP_F_TS) ? mss - TS_LEN : mss);
	/* of smaller segments, it may be less than one of these: nothing could ever be sent */
	conn->cwnd = hf_max_u32(conn->cwnd, conn->mss);
	if (conn->tx)
		conn->tx->cc.cwnd = hf_max_u32(conn->tx->cc.cwnd, conn->mss);
}

void tcp_pmtu_path(struct hf_tcp *tcp, struct hf_tcp_conn *conn, const struct hf_path *path)
{
	uint16_t mtu = conn->path.mtu;

	conn->path = *path;
	if (hf_likely(path->mtu == mtu))
		return;
	tcp_pmtu_resize(conn);
	tcp_recovery_resegment(tcp, conn);
}

void tcp_pmtu_retry(const struct hf_tcp *tcp, struct hf_tcp_conn *conn)
{
	if (!tcp_has(conn, TCP_F_PMTU) || tcp_now_ms(tcp) - conn->pmtu_ms < TCP_PMTU_KEEP_MS)
		return;
	conn->flags &= ~(uint32_t)(TCP_F_PMTU | TCP_F_MAY_FRAGMENT);
	tcp_pmtu_resize(conn);
}

static void pmtu_set(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t mtu)
{
	uint32_t least = pmtu_min(&conn->peer);

	if (mtu < least && hf_ip_is4(&conn->peer))
		conn->flags |= TCP_F_MAY_FRAGMENT;
	conn->pmtu = (uint16_t)hf_max_u32(mtu, least);
	conn->pmtu_ms = tcp_now_ms(tcp);
	conn->flags |= TCP_F_PMTU;
	tcp_pmtu_resize(conn);
	tcp_recovery_resegment(tcp, conn);
	tcp_conn_ready(tcp, conn);
}

/* RFC 1191 §5: a router that does not say; the plateau below what it dropped (§7.1): what it quotes tells
 * whether that was sent before or after the last reduction. */
static uint32_t pmtu_plateau(uint32_t ip_len)
{
	static const uint16_t plateau[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296 };

	for (size_t i = 0; i < HF_ARRAY_LEN(plateau); i++) {
		if (plateau[i] < ip_len)
			return plateau[i];
	}
	return MTU_MIN4;
}

/* Than what we send already: segments that small, or such as may be cut. */
static bool pmtu_is_less(const struct hf_tcp_conn *conn, uint32_t mtu)
{
	uint32_t least = pmtu_min(&conn->peer);

	if (mtu < least && !tcp_has(conn, TCP_F_MAY_FRAGMENT))
		return true;
	return pmtu_packet(conn, conn->mss) > hf_max_u32(mtu, least);
}

int hf_tcp_icmp(struct hf_tcp *tcp, const struct hf_tcp_icmp *icmp, uint64_t now_us)
{
	struct hf_tcp_conn *conn =
		tcp_demux_find(tcp, &icmp->peer, &icmp->local, icmp->peer_port, icmp->local_port);
	const struct tcp_sent *sent;
	uint32_t mtu, packet;

	HF_ASSERT(!tcp->in_input);
	tcp_now_set(tcp, now_us);
	if (!conn && icmp->elsewhere)
		return HF_DROP_NONE;
	if (!conn || tcp_seq_lt(icmp->seq, conn->snd_una) || tcp_seq_ge(icmp->seq, conn->snd_nxt))
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	if (!icmp->too_big) {
		tcp_trace(tcp, conn, HF_TCP_TRACE_SOFT_ERROR, 0);
		return HF_DROP_NONE;
	}
	sent = conn->tx ? tcp_flight_find(&conn->tx->flight, icmp->seq) : NULL;
	if (!sent)
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	packet = hf_min_u32(pmtu_packet(conn, sent->len), conn->path.mtu);
	mtu = icmp->mtu ? icmp->mtu : pmtu_plateau(hf_min_u32(packet, icmp->ip_len));
	/* RFC 8201 §4: below what every link must take, a lie or of no use */
	if (mtu >= packet || mtu < MTU_MIN4 || (!hf_ip_is4(&conn->peer) && mtu < TCP_PMTU_MIN6) ||
		!pmtu_is_less(conn, mtu))
		return hf_drop(HF_DROP_ICMP_BAD_QUOTE);
	pmtu_set(tcp, conn, mtu);
	tcp_trace(tcp, conn, HF_TCP_TRACE_PMTU, conn->pmtu);
	hf_stat_inc(HF_STAT_TCP_PMTU_REDUCED);
	return HF_DROP_NONE;
}

void tcp_pmtu_black_hole(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t len)
{
	static const uint16_t steps4[] = { 1400, 1064, TCP_PMTU_MIN4 };
	static const uint16_t steps6[] = { 1400, TCP_PMTU_MIN6 };
	bool is4 = hf_ip_is4(&conn->peer);
	const uint16_t *step = is4 ? steps4 : steps6;
	size_t count = is4 ? HF_ARRAY_LEN(steps4) : HF_ARRAY_LEN(steps6);
	uint32_t mtu = pmtu_packet(conn, hf_min_u32(len, conn->mss));

	for (size_t i = 0; i < count; i++) {
		if (step[i] >= mtu)
			continue;
		pmtu_set(tcp, conn, step[i]);
		tcp_trace(tcp, conn, HF_TCP_TRACE_BLACK_HOLE, conn->mss);
		hf_stat_inc(HF_STAT_TCP_BLACK_HOLES);
		return;
	}
}
