/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Errands between origin threads. The mutex is held for a few instructions.
 */
#include "hf_xchg.h"

#include <stdlib.h>
#include <string.h>

#include "hf_wipe.h"

#include "xchg_priv.h"

struct hf_errand *hf_errand_new(const struct hf_key *key, uint32_t from)
{
	struct hf_errand *errand = malloc(sizeof(*errand) + key->len);

	if (!errand)
		return NULL;
	hf_list_init(&errand->link);
	hf_list_init(&errand->asker_link);
	errand->from = from;
	errand->done = false;
	errand->asker = NULL;
	memcpy(errand->buf, key->ptr, key->len);
	errand->key = (struct hf_key){ errand->buf, key->len, key->hash };
	return errand;
}

void hf_errand_free(struct hf_errand *errand)
{
	hf_wipe_free(errand); /* X4 */
}

void hf_errand_post(struct hf_xchg_net *net, uint32_t to, struct hf_errand *errand)
{
	struct xchg_box *box = xchg_net_box(net, to);
	struct hf_waker *waker = hf_xchg_link(net, 0, to)->origin_waker;

	HF_ASSERT(hf_list_empty(&errand->link));
	(void)pthread_mutex_lock(&box->mutex);
	hf_list_add_tail(&box->errands, &errand->link);
	atomic_store(&box->waiting, true);
	(void)pthread_mutex_unlock(&box->mutex);
	if (waker)
		hf_waker_wake(waker);
}

bool hf_errand_waits(struct hf_xchg_net *net, uint32_t own)
{
	return atomic_load(&xchg_net_box(net, own)->waiting);
}

struct hf_errand *hf_errand_take(struct hf_xchg_net *net, uint32_t own)
{
	struct xchg_box *box = xchg_net_box(net, own);
	struct hf_list *first;

	if (!atomic_load_explicit(&box->waiting, memory_order_acquire))
		return NULL;
	(void)pthread_mutex_lock(&box->mutex);
	first = hf_list_first(&box->errands);
	if (first)
		hf_list_del(first);
	atomic_store(&box->waiting, !hf_list_empty(&box->errands));
	(void)pthread_mutex_unlock(&box->mutex);
	return first ? HF_CONTAINER_OF(first, struct hf_errand, link) : NULL;
}

void xchg_box_init(struct xchg_box *box)
{
	(void)pthread_mutex_init(&box->mutex, NULL); /* never fails with defaults */
	hf_list_init(&box->errands);
}

void xchg_box_fini(struct xchg_box *box)
{
	struct hf_list *first;

	while ((first = hf_list_first(&box->errands)) != NULL) {
		hf_list_del(first);
		hf_errand_free(HF_CONTAINER_OF(first, struct hf_errand, link));
	}
	(void)pthread_mutex_destroy(&box->mutex);
}
