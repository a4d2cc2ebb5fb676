/* SPDX-License-Identifier: BSD-3-Clause
 *
 * sync_peer - a control plane of a few lines: a thread that gives one prepared answer a request, in order,
 * and keeps what it was asked.
 */
#ifndef SYNC_PEER_H
#define SYNC_PEER_H

#include <stdbool.h>
#include <stdint.h>

#define PEER_ASKED_MAX 32

/* An answer, or one of these. */
#define PEER_HANG  "hang"  /* says nothing until the other end leaves */
#define PEER_CLOSE "close" /* closes without a word */

struct peer;

struct peer *peer_new(void);
void peer_free(struct peer *peer);
uint16_t peer_port(const struct peer *peer);
/* What the next requests get; beyond them 204. */
void peer_says(struct peer *peer, const char *answer);
/* The i-th request, head and body. NULL: not that many yet. */
const char *peer_asked(struct peer *peer, uint32_t i);
uint32_t peer_asked_count(struct peer *peer);

#endif
