/* SPDX-License-Identifier: BSD-3-Clause
 *
 * l2 spread - what is purged at one edge is purged at all: by pub/sub over the nodes of L2.
 *
 * What      A client (hf_l2_client.h) of its own, with one connection more to each node. What is told goes to every
 *           node, so that a dead one keeps nobody from hearing it.
 * Picture
 *      edge: tell --EVAL--> node: n = n + 1; PUBLISH "n TEXT" --> every edge: heard(TEXT)
 *                                 walked = WALK_US
 * Format    of a node's: a hash NAMESPACE ":1:purges" with n, how many were told, and walked, the latest WALK_US; and a
 *           channel of the same name.
 * Threads   its client's.
 * Promises  P1 what was told on a node while it was listened to is heard, at least once. P2 a message that a node
 *           counted and that did not come leads to missed(), unless another node was listened to all the while; so
 *           does a node that was away and has counted from the beginning again. P3 before anything of a node counts as
 *           heard, walked() tells what it says.
 * Tests     tests/unit/l2/test_l2_spread.c
 */
#ifndef HF_L2_SPREAD_H
#define HF_L2_SPREAD_H

#include "hf_l2_client.h"

#define HF_L2_SPREAD_TEXT_MAX 32768

struct hf_l2_spread {
	/* Ours comes back, too. */
	void (*heard)(void *arg, struct hf_span text);
	void (*missed)(void *arg);
	/* The last purge of many was then, Unix, us; at the beginning, and after a pause. */
	void (*walked)(void *arg, int64_t at_us);
	void *arg;
};

/* NAME: the namespace. SPREAD stays. Again when the name changes. */
void hf_l2_spread_begin(struct hf_l2 *l2, const struct hf_l2_spread *spread, const char *name);
/* Listens to nodes that are not listened to; once a second or so. */
void hf_l2_spread_run(struct hf_l2 *l2, uint64_t now_us);
/* How many nodes are listened to. */
uint32_t hf_l2_spread_count(const struct hf_l2 *l2);

/* WALK_US: of a purge of many, Unix; 0: of one key. DONE is called once, in run, with whether any node has it; not when it
 * is cancelled by the end of the client. False: no node can be asked. */
bool hf_l2_spread_tell(struct hf_l2 *l2, struct hf_span text, int64_t walk_us, uint64_t now_us,
	void (*done)(void *arg, bool told), void *arg) HF_MUST_CHECK;

#endif
