/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Frames: Ethernet, IP of both families, TCP and ICMP, with right checksums.
 */
#include <arpa/inet.h>
#include <string.h>

#include "attack.h"

#define ETH_BYTES 14
#define TCP_BYTES 20
#define PROTO_TCP 6

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

static uint64_t sum_add(uint64_t sum, const uint8_t *data, uint32_t len)
{
	for (; len > 1; data += 2, len -= 2)
		sum += get16(data);
	return len ? sum + ((uint64_t)data[0] << 8) : sum;
}

static uint16_t sum_end(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint64_t sum_pseudo(
	const struct atk_ip *src, const struct atk_ip *dst, uint8_t protocol, uint32_t len)
{
	return sum_add(sum_add(len + protocol, src->b, src->len), dst->b, dst->len);
}

static uint32_t frame_head(const struct atk_wire *wire, const struct atk_ip *src,
	const struct atk_ip *dst, uint8_t protocol, uint16_t fragment, uint32_t len, uint8_t *to)
{
	uint8_t *ip = to + ETH_BYTES;

	memcpy(to, wire->mac_it, 6);
	memcpy(to + 6, wire->mac_me, 6);
	if (src->len == 16) {
		put16(to + 12, 0x86dd);
		put32(ip, 6U << 28);
		put16(ip + 4, len);
		ip[6] = protocol;
		ip[7] = 64;
		memcpy(ip + 8, src->b, 16);
		memcpy(ip + 24, dst->b, 16);
		return ETH_BYTES + 40;
	}
	put16(to + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, 20 + len);
	put16(ip + 4, 1);
	put16(ip + 6, fragment);
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, src->b, 4);
	memcpy(ip + 16, dst->b, 4);
	put16(ip + 10, sum_end(sum_add(0, ip, 20)));
	return ETH_BYTES + 20;
}

uint32_t frame_ip(const struct atk_wire *wire, const struct atk_ip *src, const struct atk_ip *dst,
	uint8_t protocol, uint16_t fragment, const void *payload, uint32_t len, uint8_t *to)
{
	uint32_t head = frame_head(wire, src, dst, protocol, fragment, len, to);

	memcpy(to + head, payload, len);
	return head + len;
}

static uint32_t tcp_head(const struct atk_seg *seg, uint8_t *tcp)
{
	put16(tcp, seg->sport);
	put16(tcp + 2, seg->dport);
	put32(tcp + 4, seg->seq);
	put32(tcp + 8, seg->ack);
	tcp[12] = (uint8_t)((TCP_BYTES + seg->opt_len) / 4 << 4);
	tcp[13] = seg->flags;
	put16(tcp + 14, seg->wnd);
	put32(tcp + 16, 0);
	if (seg->opt_len)
		memcpy(tcp + TCP_BYTES, seg->opt, seg->opt_len);
	if (seg->len)
		memcpy(tcp + TCP_BYTES + seg->opt_len, seg->data, seg->len);
	return TCP_BYTES + seg->opt_len + seg->len;
}

uint32_t frame_tcp(const struct atk_wire *wire, const struct atk_seg *seg, uint8_t *to)
{
	uint32_t len = TCP_BYTES + seg->opt_len + seg->len;
	uint32_t head = frame_head(
		wire, &seg->src, &seg->dst, PROTO_TCP, seg->src.len == 4 ? 0x4000 : 0, len, to);
	uint8_t *tcp = to + head;

	tcp_head(seg, tcp);
	put16(tcp + 16,
		sum_end(sum_add(sum_pseudo(&seg->src, &seg->dst, PROTO_TCP, len), tcp, len)));
	return head + len;
}

uint32_t frame_too_big(const struct atk_wire *wire, const struct atk_ip *from,
	const struct atk_seg *quoted, uint32_t mtu, uint8_t *to)
{
	bool v6 = from->len == 16;
	uint8_t protocol = v6 ? 58 : 1, message[8 + 40 + TCP_BYTES] = { 0 };
	uint8_t frame[ATK_FRAME_MAX];
	uint32_t quote, head;

	head = frame_head(wire, &quoted->src, &quoted->dst, PROTO_TCP, v6 ? 0 : 0x4000,
		quoted->len + TCP_BYTES, frame);
	quote = head - ETH_BYTES + TCP_BYTES;
	tcp_head(&(struct atk_seg){ .sport = quoted->sport,
			 .dport = quoted->dport,
			 .seq = quoted->seq,
			 .flags = ATK_ACK },
		frame + head);
	memcpy(message + 8, frame + ETH_BYTES, quote);
	message[0] = v6 ? 2 : 3;
	message[1] = v6 ? 0 : 4;
	put32(message + 4, mtu);
	put16(message + 2,
		sum_end(sum_add(v6 ? sum_pseudo(from, &quoted->src, protocol, 8 + quote) : 0,
			message, 8 + quote)));
	return frame_ip(wire, from, &quoted->src, protocol, 0, message, 8 + quote, to);
}

static bool parse_ip(const uint8_t *ip, uint32_t len, struct atk_seg *seg, uint32_t *ret_head,
	uint32_t *ret_total)
{
	if (len >= 40 && ip[0] >> 4 == 6 && ip[6] == PROTO_TCP) {
		seg->src.len = seg->dst.len = 16;
		memcpy(seg->src.b, ip + 8, 16);
		memcpy(seg->dst.b, ip + 24, 16);
		*ret_head = 40;
		*ret_total = 40 + get16(ip + 4);
	} else if (len >= 20 && ip[0] == 0x45 && ip[9] == PROTO_TCP) {
		seg->src.len = seg->dst.len = 4;
		memcpy(seg->src.b, ip + 12, 4);
		memcpy(seg->dst.b, ip + 16, 4);
		*ret_head = 20;
		*ret_total = get16(ip + 2);
	} else {
		return false;
	}
	return *ret_total <= len && *ret_total >= *ret_head + TCP_BYTES;
}

bool frame_parse(const uint8_t *frame, uint32_t len, struct atk_seg *ret_seg)
{
	uint32_t head, total, tcp_len;
	const uint8_t *tcp;
	struct atk_seg seg = { 0 };

	if (len < ETH_BYTES || !parse_ip(frame + ETH_BYTES, len - ETH_BYTES, &seg, &head, &total))
		return false;
	tcp = frame + ETH_BYTES + head;
	tcp_len = (uint32_t)(tcp[12] >> 4) * 4;
	if (tcp_len < TCP_BYTES || head + tcp_len > total)
		return false;
	seg.sport = (uint16_t)get16(tcp);
	seg.dport = (uint16_t)get16(tcp + 2);
	seg.seq = get32(tcp + 4);
	seg.ack = get32(tcp + 8);
	seg.flags = tcp[13];
	seg.wnd = (uint16_t)get16(tcp + 14);
	seg.opt = tcp + TCP_BYTES;
	seg.opt_len = (uint8_t)(tcp_len - TCP_BYTES);
	seg.data = tcp + tcp_len;
	seg.len = total - head - tcp_len;
	*ret_seg = seg;
	return true;
}

const uint8_t *frame_opt(const struct atk_seg *seg, uint8_t kind)
{
	for (uint32_t at = 0; at < seg->opt_len;) {
		uint32_t left = seg->opt_len - at;

		if (seg->opt[at] == 0)
			return NULL;
		if (seg->opt[at] == 1) {
			at++;
			continue;
		}
		if (left < 2 || seg->opt[at + 1] < 2 || seg->opt[at + 1] > left)
			return NULL;
		if (seg->opt[at] == kind)
			return seg->opt + at;
		at += seg->opt[at + 1];
	}
	return NULL;
}
