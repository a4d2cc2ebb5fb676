/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The wire: a packet socket, past the kernel's queueing discipline, a batch a system call.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

#define RECEIVE_BYTES (64 << 20)

static const uint8_t mac_me[6] = { 0x02, 0, 0, 0, 0xaa, 0x01 };

uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Only what is sent to our MAC address: another client's answers are not ours to copy. */
static void wire_filter(int fd, bool hears)
{
	struct sock_filter ours[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0000aa01, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, hears ? UINT16_MAX : 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = sizeof(ours) / sizeof(*ours), .filter = ours };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		err(1, "SO_ATTACH_FILTER");
}

void wire_open(struct atk_wire *wire, const char *iface, bool v6, bool hears)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(iface),
		.sll_protocol = hears ? htons(v6 ? ETH_P_IPV6 : ETH_P_IP) : 0,
	};
	int one = 1, bytes = RECEIVE_BYTES;

	if (!to.sll_ifindex)
		errx(1, "no interface %s", iface);
	wire->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (wire->fd < 0)
		err(1, "packet socket");
	wire_filter(wire->fd, hears);
	setsockopt(wire->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(wire->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(wire->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	if (bind(wire->fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "bind to %s", iface);
	memcpy(wire->mac_me, mac_me, 6);
	for (uint32_t i = 0; i < ATK_BATCH; i++) {
		wire->iov[i].iov_base = wire->frame[i];
		wire->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &wire->iov[i], .msg_iovlen = 1 };
		wire->in_iov[i] = (struct iovec){ wire->in[i], ATK_FRAME_MAX };
		wire->in_msg[i].msg_hdr =
			(struct msghdr){ .msg_iov = &wire->in_iov[i], .msg_iovlen = 1 };
	}
	wire->start_us = now_us();
	wire_rate(wire, wire->rate);
}

void wire_rate(struct atk_wire *wire, uint64_t rate)
{
	wire->rate = rate;
	wire->paced = 0;
	wire->paced_us = now_us();
}

/* Frames a second since wire_rate, in batches no larger than a millisecond's. */
static void wire_pace(struct atk_wire *wire)
{
	uint64_t due_us = wire->paced_us + wire->paced * 1000000 / wire->rate, now = now_us();

	if (due_us > now)
		usleep((useconds_t)(due_us - now));
}

void wire_flush(struct atk_wire *wire)
{
	uint32_t done = 0;

	while (done < wire->count) {
		int sent = sendmmsg(wire->fd, wire->msg + done, wire->count - done, 0);

		if (sent > 0) {
			wire->sent += (uint32_t)sent;
			done += (uint32_t)sent;
		} else if (errno == ENOBUFS || errno == EAGAIN) {
			wire->refused++;
			done++;
		} else if (errno != EINTR) {
			err(1, "send");
		}
	}
	wire->paced += wire->count;
	wire->count = 0;
}

uint8_t *wire_next(struct atk_wire *wire)
{
	uint32_t batch = ATK_BATCH;

	if (wire->rate && wire->rate / 1000 < batch)
		batch = wire->rate < 1000 ? 1 : (uint32_t)(wire->rate / 1000);
	if (wire->count >= batch) {
		wire_flush(wire);
		if (wire->rate)
			wire_pace(wire);
	}
	return wire->frame[wire->count];
}

void wire_add(struct atk_wire *wire, uint32_t len)
{
	wire->iov[wire->count++].iov_len = len;
}

void wire_seg(struct atk_wire *wire, const struct atk_seg *seg)
{
	uint8_t *to = wire_next(wire);

	wire_add(wire, frame_tcp(wire, seg, to));
}

uint32_t wire_receive(struct atk_wire *wire, struct atk_seg ret_segs[ATK_BATCH])
{
	uint32_t count = 0;
	int got = recvmmsg(wire->fd, wire->in_msg, ATK_BATCH, MSG_DONTWAIT, NULL);

	for (int i = 0; i < got; i++)
		count += frame_parse(wire->in[i], wire->in_msg[i].msg_len, &ret_segs[count]);
	wire->received += count;
	return count;
}
