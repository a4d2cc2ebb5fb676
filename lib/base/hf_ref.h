/* SPDX-License-Identifier: BSD-3-Clause
 *
 * ref - who still reads these bytes, counted on one thread.
 *
 * What      A span that is queued for sending points into memory with an owner: a lease on a cached
 *           object, an exchange with an origin, or a send buffer. The owner embeds a hf_ref; each
 *           holder (send queue, emit descriptor, packet in the NIC) counts one.
 * Threads   One lcore, from first to last; no atomics. Cross-thread lifetime is the owner's matter.
 * Lifetime  The owner starts it at 1. The last hf_ref_put calls release(), once; the owner then may
 *           be reused at once.
 */
#ifndef HF_REF_H
#define HF_REF_H

#include "hf_base.h"

struct hf_ref {
	uint32_t count;
	void (*release)(struct hf_ref *ref);
};

static inline void hf_ref_init(struct hf_ref *ref, void (*release)(struct hf_ref *))
{
	ref->count = 1;
	ref->release = release;
}

static inline void hf_ref_get(struct hf_ref *ref)
{
	HF_ASSERT_HOT(ref->count > 0 && ref->count < UINT32_MAX);
	ref->count++;
}

static inline void hf_ref_put(struct hf_ref *ref)
{
	HF_ASSERT_HOT(ref->count > 0);
	if (--ref->count == 0)
		ref->release(ref);
}

#endif
