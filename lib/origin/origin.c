/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_origin.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_l2.h"
#include "origin_priv.h"
#include "origin_wire.h"

static uint32_t origin_exchanges_max(const struct hf_origin *origin)
{
	return origin->conf->origin.exchanges_max * origin->workers;
}

/* What follows from the configuration. */
static void origin_conf_take(struct hf_origin *origin, const struct hf_conf *conf)
{
	uint64_t object_max = hf_shard_object_max(origin->shard);
	uint32_t exchanges;

	origin->conf = conf;
	exchanges = origin_exchanges_max(origin);
	HF_ASSERT(exchanges > 0);
	origin->object_max = conf->cache.max_object ? hf_min_u64(conf->cache.max_object, object_max)
						    : object_max;
	origin->slots_max = exchanges;
}

void hf_origin_conf_set(struct hf_origin *origin, const struct hf_conf *conf)
{
	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(conf->origin.exchanges_max == origin->conf->origin.exchanges_max);
	origin_conf_take(origin, conf);
	origin_l2_limits(origin);
	origin_view_limits(origin);
}

static int origin_links_init(struct hf_origin *origin, struct hf_xchg_net *net)
{
	origin->link = calloc(origin->workers, sizeof(struct hf_link *));
	if (!origin->link)
		return -ENOMEM;
	for (uint32_t i = 0; i < origin->workers; i++) {
		origin->link[i] = hf_xchg_link(net, i, origin->index);
		origin->link[i]->origin_waker = &origin->waker;
	}
	return 0;
}

static int origin_memory_init(struct hf_origin *origin, uint32_t exchanges)
{
	/* one fetch each exchange may lead, and those that go on without readers: they hold slots, of which
	 * there are never more than exchanges */
	uint32_t fetches = 2 * exchanges;
	int rc;

	hf_list_init(&origin->all);
	hf_list_init(&origin->reading);
	hf_list_init(&origin->direct);
	hf_list_init(&origin->memory);
	hf_list_init(&origin->checking);
	hf_list_init(&origin->hedges);
	hf_list_init(&origin->tunnels);
	hf_list_init(&origin->asks);
	rc = hf_pool_init(&origin->readers, sizeof(struct origin_reader), exchanges);
	if (rc == 0)
		rc = hf_pool_init(&origin->fetches, sizeof(struct origin_fetch), fetches);
	if (rc == 0)
		rc = origin_map_init(origin, fetches);
	if (rc)
		return rc;
	origin->scratch = malloc(ORIGIN_SCRATCH_LEN);
	origin->wheel = hf_wheel_new(4096, origin->now_us);
	return origin->scratch && origin->wheel ? 0 : -ENOMEM;
}

static int origin_fill(struct hf_origin *origin, struct hf_xchg_net *net, struct hf_err *err)
{
	uint32_t exchanges = origin_exchanges_max(origin);
	int rc = hf_waker_init(&origin->waker);

	if (rc)
		return hf_err_set(err, rc, "origin thread %u: no eventfd", origin->index);
	rc = origin_memory_init(origin, exchanges);
	if (rc == 0)
		rc = origin_links_init(origin, net);
	if (rc == 0)
		rc = origin_call_init(origin);
	if (rc)
		return hf_err_set(err, rc, "origin thread %u: no memory for %u exchanges",
			origin->index, exchanges);
	rc = origin_l2_init(origin, err);
	return rc ? rc : origin_multi_init(origin, err);
}

int hf_origin_new(const struct hf_conf *conf, uint32_t index, struct hf_cache *cache,
	struct hf_xchg_net *net, struct hf_origin_slots *slots, struct hf_err *err,
	struct hf_origin **ret_origin)
{
	struct hf_origin *origin = calloc(1, sizeof(*origin));
	int rc;

	if (!origin)
		return hf_err_set(err, -ENOMEM, "origin thread %u: no memory", index);
	origin->index = index;
	origin->workers = hf_xchg_workers(net);
	origin->net = net;
	origin->cache = cache;
	origin->shard = hf_cache_shard(cache, index);
	origin->now_us = hf_clock_us();
	origin->memory_wait_us = ORIGIN_MEMORY_WAIT_US;
	origin->store_wait_us = ORIGIN_STORE_WAIT_US;
	origin->lag_us = ORIGIN_LAG_US;
	origin->resume_pause_us = ORIGIN_RESUME_PAUSE_US;
	origin->retry_pause_us = ORIGIN_RETRY_PAUSE_US;
	origin->threads_max = ORIGIN_THREADS_MAX;
	origin_retry_init(&origin->retries, origin->now_us);
	origin->epoll_fd = -1;
	origin->waker.fd = -1;
	HF_ASSERT(origin->shard);
	origin->slots = slots;
	origin_slots_join(origin);
	origin_conf_take(origin, conf);
	rc = origin_fill(origin, net, err);
	if (rc) {
		hf_origin_free(origin);
		return rc;
	}
	hf_shard_waker_set(origin->shard, &origin->waker);
	*ret_origin = origin;
	return 0;
}

void hf_origin_free(struct hf_origin *origin)
{
	if (!origin)
		return;
	if (origin->all.next) {
		origin_fetch_free_all(origin);
		origin_reader_fini_all(origin);
	}
	origin_check_fini_all(origin);
	origin_tunnel_fini_all(origin);
	if (origin->asks.next)
		origin_auth_fini(origin);
	origin_view_drop(origin);
	origin_multi_fini(origin);
	origin_l2_fini(origin);
	origin_call_fini(origin);
	origin_purge_fini(origin);
	origin_warm_fini(origin);
	for (uint32_t i = 0; origin->link && i < origin->workers; i++)
		if (origin->link[i])
			origin->link[i]->origin_waker = NULL;
	hf_state_unref(atomic_load(&origin->state_next));
	origin_slots_part(origin);
	free(origin->link);
	origin_map_fini(origin);
	hf_wheel_free(origin->wheel);
	free(origin->scratch);
	hf_pool_fini(&origin->fetches);
	hf_pool_fini(&origin->readers);
	hf_waker_fini(&origin->waker);
	free(origin);
}

/* Milliseconds until `due_us`, rounded up so that it has come by then. */
static uint32_t origin_wait_until(const struct hf_origin *origin, uint64_t due_us, uint32_t wait_ms)
{
	uint64_t ms;

	if (due_us == UINT64_MAX)
		return wait_ms;
	ms = due_us <= origin->now_us ? 0 : (due_us - origin->now_us + 999) / 1000;
	return (uint32_t)hf_min_u64(ms, wait_ms);
}

static void origin_sleep(struct hf_origin *origin, uint32_t wait_ms)
{
	wait_ms = origin_wait_until(origin, origin->curl_due_us, wait_ms);
	wait_ms = origin_wait_until(origin, hf_wheel_next_us(origin->wheel), wait_ms);
	wait_ms = origin_wait_until(origin, hf_l2_due_us(origin->l2.client), wait_ms);
	hf_waker_sleep_begin(&origin->waker);
	if (!origin_inbox_empty(origin) || atomic_load(&origin->call_waiting) ||
		atomic_load(&origin->purge.busy) || atomic_load(&origin->state_next) ||
		atomic_load(&origin->slots_signal) || hf_l2_has_work(origin->l2.client) ||
		hf_errand_waits(origin->net, origin->index) || hf_shard_has_work(origin->shard))
		wait_ms = 0;
	(void)origin_multi_run(origin, wait_ms); /* what came is the next turn's too */
	hf_waker_sleep_end(&origin->waker);
	origin->now_us = hf_clock_us();
}

void hf_origin_step(struct hf_origin *origin, uint32_t wait_ms)
{
	bool busy, in_bulk;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	origin->now_us = hf_clock_us();
	origin_view_adopt(origin);
	in_bulk = origin_purge_run(origin);
	busy = in_bulk;
	busy |= origin_fetch_launch(origin); /* who waited goes before who comes */
	busy |= origin_inbox_run(origin);
	busy |= origin_call_run(origin);
	busy |= origin_invalid_run(origin);
	busy |= origin_l2_run(origin);
	busy |= origin_fetch_launch(origin);
	if (origin->in_flight + origin->tunnel_count + origin->ask_count > 0)
		busy |= origin_multi_run(origin, 0);
	busy |= origin_hedge_run(origin);
	busy |= origin_fetch_timers(origin);
	if (hf_shard_work(origin->shard, origin->now_us)) {
		origin_flow_memory(origin);
		busy = true;
	}
	busy |= origin_inbox_recalls(origin);
	/* callbacks and timers may have queued more */
	busy |= origin_fetch_launch(origin);
	in_bulk |= hf_shard_has_work(origin->shard);
	if (in_bulk)
		(void)sched_yield(); /* whoever waits for this CPU does not wait for the end */
	if (!busy)
		origin_sleep(origin, wait_ms);
}

void hf_origin_auth_set(struct hf_origin *origin, struct hf_auth *auth)
{
	origin->auth = auth;
}

void hf_origin_mode_set(struct hf_origin *origin, uint32_t mode)
{
	origin->mode = mode;
}

void hf_origin_wake(struct hf_origin *origin)
{
	hf_waker_wake(&origin->waker);
}

uint32_t hf_origin_in_flight(const struct hf_origin *origin)
{
	return origin->in_flight;
}
