/* SPDX-License-Identifier: BSD-3-Clause
 *
 * net - between frames and TCP segments: Ethernet, 802.1Q, ARP, IPv4, IPv6, NDP, ICMP, checksums.
 *
 * What      One instance per worker. hf_net_rx polls this worker's queues, answers ARP, NDP and
 *           echo itself, and turns TCP packets into hf_tcp_seg, ICMP errors about ours into
 *           hf_tcp_icmp (copied: their frames are freed at once). hf_net_tx turns emit descriptors
 *           into packets: header and small pieces copied, zero-copy pieces attached as external
 *           buffers.
 * Picture
 *      port queue -> frame -> [ours?] -> ARP/NDP/ICMP -> answer
 *                               |  \-> flow of another worker -> its ring (ports without RSS)
 *                               v
 *           hf_tcp_seg[], hf_tcp_icmp[] -> (serve, tcp) -> hf_tcp_emit[] -> packets -> port queue
 *                                                    (ports owned by another worker: its ring)
 *           An ICMP error belongs to the worker that has the flow it quotes: on ports without RSS
 *           the flow's hash tells which; with RSS only the device knows, so the error is handed to
 *           one worker after the other, each offers it to its TCP.
 *           Next hop: an on-link peer, and everybody where no gateway is set, is answered the way
 *           its frame came. Behind a gateway the gateway's address is resolved (ARP, NDP) and
 *           refreshed by one worker and shared in one atomic word; until it is known, the way the
 *           frame came.
 * Threads   new, free: boot. The rest: the worker.
 * Promises  N1 no received mbuf outlives hf_net_rx_done.  N2 an mbuf with an external buffer counts
 *           one reference on its owner, put on this worker when the device is done with it; where
 *           another worker transmits, bytes are copied.  N3 every frame not served is counted with
 *           one reason.  N4 nothing a frame says is believed without a length check.
 * Limits    HF_NET_BURST frames a queue and turn, HF_NET_SEGS segments and HF_NET_ICMPS errors a
 *           turn.
 */
#ifndef HF_NET_H
#define HF_NET_H

#include "hf_base.h"
#include "hf_conf.h"
#include "hf_port.h"
#include "hf_tcp.h"

#define HF_NET_BURST 32
#define HF_NET_SEGS  1024
#define HF_NET_ICMPS 64

struct hf_waker;
struct hf_net;        /* of one worker */
struct hf_net_shared; /* of all workers: addresses, rings between them, gateways */

/* boot: after the ports are open. `ports` (conf->port_count of them) stay the caller's. */
int hf_net_shared_new(const struct hf_conf *conf, struct hf_port *const *ports, uint32_t workers,
	struct hf_err *err, struct hf_net_shared **ret_shared) HF_MUST_CHECK;
void hf_net_shared_free(struct hf_net_shared *shared);
/* Wakes this worker when another one passes packets to it. boot; not needed if it never sleeps. */
void hf_net_shared_waker_set(struct hf_net_shared *shared, uint32_t worker, struct hf_waker *waker);
int hf_net_new(struct hf_net_shared *shared, uint32_t worker, struct hf_err *err,
	struct hf_net **ret_net) HF_MUST_CHECK;
/* After every port was stopped: puts what references are left. */
void hf_net_free(struct hf_net *net);

/* Polls; returns frames received. Worker 0 announces our addresses at its first turn (gratuitous
 * ARP, unsolicited neighbour advertisement). The segments are valid until hf_net_rx_done. */
uint32_t hf_net_rx(struct hf_net *net, uint64_t now_us);
uint32_t hf_net_segs(const struct hf_net *net, const struct hf_tcp_seg **ret_segs);
/* ICMP errors that quote a segment from an address of ours: is it in flight? Valid as the
 * segments. */
uint32_t hf_net_icmps(const struct hf_net *net, const struct hf_tcp_icmp **ret_icmps);
void hf_net_rx_done(struct hf_net *net);
/* For hf_tcp_connect: the way out of the first port to a peer whose next hop is its gateway (which
 * may be the peer itself). False while the gateway has not said where it is, or none is set. */
bool hf_net_path(const struct hf_net *net, const struct hf_ip *peer, struct hf_path *ret_path);
/* Packs; the caller keeps its own references on the pieces until this returns. */
void hf_net_tx(struct hf_net *net, const struct hf_tcp_emit *emits, uint32_t count);
/* Hands to the devices what was packed, here and by other workers for ports this one owns. */
void hf_net_flush(struct hf_net *net, uint64_t now_us);
/* May this worker sleep: nothing is queued towards a device. */
bool hf_net_idle(const struct hf_net *net);
/* Descriptors that are readable while there is a frame for this worker. Returns how many; 0: it has
 * to poll, for a device of its own has none, or other workers pass frames on to it. Once the
 * devices are started. */
uint32_t hf_net_rx_fds(const struct hf_net *net, int ret_fds[HF_CONF_PORTS_MAX]);

#endif
