/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_ooo - what tcp_rx.c needs of tcp_ooo.c beyond tcp_priv.h.
 */
#ifndef TCP_OOO_H
#define TCP_OOO_H

#ifndef HF_PRIV_TCP
#error "tcp_ooo.h is private to lib/tcp"
#endif

#include "tcp_priv.h"

/* If they fit, moves the bytes of *head behind those of the buffer that is to stand in front of it
 * and frees it; *head is its successor then. So two neighbours hold more than one buffer full. */
bool tcp_rxbuf_pack(struct hf_tcp *tcp, struct tcp_rxbuf *buf, struct tcp_rxbuf **head);
/* A list of tcp_ooo_take goes back, unchanged, in front of all ranges; seq: of its first byte.
 * Always succeeds: what is in the way is forgotten, be it some of the list. */
void tcp_ooo_put_back(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	struct tcp_rxbuf *head, struct tcp_rxbuf *tail, uint32_t len);

#endif
