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

/* Moves the bytes of *head behind those of the buffer that will stand in front of it, if they fit, and
 * frees it: of two neighbours in a list, more than one buffer full. *head is its successor then. */
bool tcp_rxbuf_pack(struct hf_tcp *tcp, struct tcp_rxbuf *buf, struct tcp_rxbuf **head);
/* A list of tcp_ooo_take goes back, unchanged, in front of all ranges; seq is that of its first byte.
 * Always succeeds: what is in the way is forgotten, be it some of the list. */
void tcp_ooo_put_back(struct hf_tcp *tcp, struct hf_tcp_conn *conn, uint32_t seq,
	struct tcp_rxbuf *head, struct tcp_rxbuf *tail, uint32_t len);

#endif
