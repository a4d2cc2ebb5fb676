/* SPDX-License-Identifier: BSD-3-Clause
 *
 * xchg, inside: the letter box of an origin thread for errands of the others.
 */
#ifndef HF_PRIV_XCHG
#error "xchg_priv.h is private to lib/xchg"
#endif
#ifndef XCHG_PRIV_H
#define XCHG_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "hf_list.h"

#include "hf_xchg.h"

struct xchg_box {
	pthread_mutex_t mutex;
	struct hf_list errands; /* under the mutex */
	_Atomic bool waiting;   /* there are some; written under the mutex */
};

void xchg_box_init(struct xchg_box *box);
void xchg_box_fini(struct xchg_box *box);
struct xchg_box *xchg_net_box(struct hf_xchg_net *net, uint32_t origin);

#endif
