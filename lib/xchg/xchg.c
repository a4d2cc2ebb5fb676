/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_xchg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_wipe.h"

#include "xchg_priv.h"

struct xchg_worker {
	struct hf_pool exchanges;
	struct hf_pool bodies;
};

struct hf_xchg_net {
	uint32_t workers, origins;
	struct xchg_worker *worker;
	struct hf_link *link; /* [worker][origin] */
	struct xchg_box *box; /* [origin] */
};

/* Every message that can be under way at once in one direction (X2): a sum, one line per kind. */
static uint32_t xchg_ring_count(uint32_t exchanges_max)
{
	uint32_t per_exchange = 1                     /* START | HEAD or FAIL */
				+ 1                   /* FINISH | GONE */
				+ 1                   /* CREDIT | MORE */
				+ HF_XCHG_BODIES_MAX; /* BODY | BODY_DONE */

	return exchanges_max * per_exchange + HF_CACHE_RECALLS_MAX;
}

static int xchg_link_init(struct hf_link *link, uint32_t ring_count)
{
	link->to_origin = hf_ring_new(ring_count);
	link->to_worker = hf_ring_new(ring_count);
	return link->to_origin && link->to_worker ? 0 : -ENOMEM;
}

static int xchg_net_fill(struct hf_xchg_net *net, const struct hf_xchg_cfg *cfg)
{
	uint32_t bodies = hf_max_u32(4 * HF_XCHG_BODIES_MAX, cfg->exchanges_max / 4);
	int rc;

	for (uint32_t i = 0; i < cfg->workers; i++) {
		rc = hf_pool_init(&net->worker[i].exchanges, sizeof(struct hf_xchg) + cfg->buf_len,
			cfg->exchanges_max);
		if (rc == 0)
			rc = hf_pool_init(
				&net->worker[i].bodies, sizeof(struct hf_xchg_body), bodies);
		if (rc)
			return rc;
		hf_pool_no_dump(&net->worker[i].exchanges);
		hf_pool_no_dump(&net->worker[i].bodies);
	}
	for (uint32_t i = 0; i < cfg->workers * cfg->origins; i++) {
		rc = xchg_link_init(&net->link[i], xchg_ring_count(cfg->exchanges_max));
		if (rc)
			return rc;
	}
	return 0;
}

int hf_xchg_net_new(const struct hf_xchg_cfg *cfg, struct hf_err *err, struct hf_xchg_net **ret_net)
{
	struct hf_xchg_net *net = calloc(1, sizeof(*net));
	int rc = -ENOMEM;

	HF_ASSERT(cfg->workers > 0 && cfg->origins > 0);
	HF_ASSERT(cfg->exchanges_max > 0 && cfg->buf_len > 0);
	if (!net)
		goto fail;
	net->workers = cfg->workers;
	net->origins = cfg->origins;
	net->worker = calloc(cfg->workers, sizeof(*net->worker));
	net->link = calloc((size_t)cfg->workers * cfg->origins, sizeof(*net->link));
	net->box = calloc(cfg->origins, sizeof(*net->box));
	if (!net->worker || !net->link || !net->box)
		goto fail;
	for (uint32_t i = 0; i < cfg->origins; i++)
		xchg_box_init(&net->box[i]);
	rc = xchg_net_fill(net, cfg);
	if (rc)
		goto fail;
	*ret_net = net;
	return 0;
fail:
	hf_xchg_net_free(net);
	return hf_err_set(err, rc, "no memory for %u exchanges of %u workers", cfg->exchanges_max,
		cfg->workers);
}

void hf_xchg_net_free(struct hf_xchg_net *net)
{
	if (!net)
		return;
	for (uint32_t i = 0; net->link && i < net->workers * net->origins; i++) {
		hf_ring_free(net->link[i].to_origin);
		hf_ring_free(net->link[i].to_worker);
	}
	for (uint32_t i = 0; net->worker && i < net->workers; i++) {
		hf_pool_fini(&net->worker[i].exchanges);
		hf_pool_fini(&net->worker[i].bodies);
	}
	/* without all three the boxes were not made */
	for (uint32_t i = 0; net->worker && net->link && net->box && i < net->origins; i++)
		xchg_box_fini(&net->box[i]);
	free(net->box);
	free(net->link);
	free(net->worker);
	free(net);
}

struct hf_link *hf_xchg_link(struct hf_xchg_net *net, uint32_t worker, uint32_t origin)
{
	HF_ASSERT(worker < net->workers);
	HF_ASSERT(origin < net->origins);
	return &net->link[worker * net->origins + origin];
}

struct xchg_box *xchg_net_box(struct hf_xchg_net *net, uint32_t origin)
{
	HF_ASSERT(origin < net->origins);
	return &net->box[origin];
}

uint32_t hf_xchg_workers(const struct hf_xchg_net *net)
{
	return net->workers;
}

struct hf_xchg *hf_xchg_get(struct hf_xchg_net *net, uint32_t worker)
{
	struct hf_pool *pool = &net->worker[worker].exchanges;
	struct hf_xchg *xchg = hf_pool_get(pool);

	if (!xchg)
		return NULL;
	memset(xchg, 0, sizeof(*xchg));
	hf_list_init(&xchg->link);
	xchg->worker = (uint16_t)worker;
	xchg->buf_len = (uint32_t)(pool->elem_size - sizeof(*xchg));
	return xchg;
}

/* Bytes of buf that were written: lines and interim heads are the last of them. Without lines
 * nobody knows. */
static size_t xchg_used(const struct hf_xchg *xchg)
{
	if (xchg->lines.len == 0)
		return xchg->buf_len;
	return (size_t)(xchg->lines.ptr + xchg->lines.len - xchg->buf) + xchg->interim_len;
}

void hf_xchg_put(struct hf_xchg_net *net, struct hf_xchg *xchg)
{
	HF_ASSERT(xchg->bodies_out == 0);
	HF_ASSERT(hf_list_empty(&xchg->link));
	HF_ASSERT(xchg_used(xchg) <= xchg->buf_len);
	hf_wipe(xchg->buf, xchg_used(xchg)); /* X4 */
	hf_pool_put(&net->worker[xchg->worker].exchanges, xchg);
}

struct hf_xchg_body *hf_xchg_body_get(struct hf_xchg_net *net, struct hf_xchg *xchg)
{
	struct hf_xchg_body *body;

	if (xchg->bodies_out == HF_XCHG_BODIES_MAX)
		return NULL;
	body = hf_pool_get(&net->worker[xchg->worker].bodies);
	if (!body)
		return NULL;
	xchg->bodies_out++;
	body->xchg = xchg;
	body->len = 0;
	body->last = false;
	return body;
}

void hf_xchg_body_put(struct hf_xchg_net *net, struct hf_xchg_body *body)
{
	HF_ASSERT(body->xchg->bodies_out > 0);
	body->xchg->bodies_out--;
	hf_wipe(body->data, body->len); /* X4 */
	hf_pool_put(&net->worker[body->xchg->worker].bodies, body);
}

uint32_t hf_xchg_out_count(const struct hf_xchg_net *net, uint32_t worker)
{
	return net->worker[worker].exchanges.used;
}

void hf_xchg_to_origin(struct hf_link *link, enum hf_xchg_msg kind, void *ptr)
{
	struct hf_msg msg = { .ptr = ptr, .kind = kind };

	HF_ASSERT(hf_ring_post(link->to_origin, msg)); /* X2 */
	if (link->origin_waker)
		hf_waker_wake(link->origin_waker);
}

void hf_xchg_to_worker(struct hf_link *link, enum hf_xchg_msg kind, void *ptr)
{
	struct hf_msg msg = { .ptr = ptr, .kind = kind };

	HF_ASSERT(hf_ring_post(link->to_worker, msg)); /* X2 */
}
