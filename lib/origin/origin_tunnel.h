/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Tunnels, for the rest of lib/origin: see origin_tunnel.c. No tunnel is a fetch.
 */
#ifndef HF_PRIV_ORIGIN
#error "origin_tunnel.h is private to lib/origin"
#endif
#ifndef ORIGIN_TUNNEL_H
#define ORIGIN_TUNNEL_H

#include "hf_timer.h"

struct origin_reader;
struct origin_tunnel;

/* CONNECT of a target that is allowed: HEAD when it is open, or FAIL. */
void origin_tunnel_start(struct hf_origin *origin, struct origin_reader *reader);
/* curl is done with EASY. False: it is no tunnel's. */
bool origin_tunnel_connected(struct hf_origin *origin, CURL *easy, CURLcode code);
/* Something happened to that socket, or to what the client sent, took, or to memory. May end the tunnel. */
void origin_tunnel_ready(struct hf_origin *origin, int fd);
void origin_tunnel_go_on(struct origin_tunnel *tunnel);
void origin_tunnel_memory(struct hf_origin *origin);
void origin_tunnel_due(struct hf_timer *timer);
/* Its client has left. */
void origin_tunnel_leave(struct origin_tunnel *tunnel);
void origin_tunnel_fini_all(struct hf_origin *origin);

#endif
