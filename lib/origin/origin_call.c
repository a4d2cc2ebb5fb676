/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Questions of the control thread, answered between two turns. The mutex is held for one answer.
 */
#include "hf_origin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_priv.h"

int origin_call_init(struct hf_origin *origin)
{
	pthread_condattr_t attr;
	int rc;

	rc = pthread_condattr_init(&attr);
	if (rc)
		return -rc;
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	rc = pthread_cond_init(&origin->call_done, &attr);
	(void)pthread_condattr_destroy(&attr);
	if (rc)
		return -rc;
	(void)pthread_mutex_init(&origin->call_serial, NULL); /* never fails with defaults */
	(void)pthread_mutex_init(&origin->call_mutex, NULL);
	return 0;
}

void origin_call_fini(struct hf_origin *origin)
{
	HF_ASSERT(!origin->call);
}

struct call_show {
	const struct hf_origin *origin;
	struct hf_origin_call *call;
};

static bool call_is_secret(struct hf_span name)
{
	enum hf_http_field id = hf_http_field_lookup(name);

	return id == HF_HTTP_FIELD_COOKIE || hf_http_field_is_secret(id, name);
}

/* "name=value, name", from hf_cache_vary_build's records. */
static void call_show_vary(const struct hf_obj *obj, char *buf, size_t cap)
{
	const char *at = obj->vary, *end = at + obj->vary_len;
	size_t len = 0;

	buf[0] = '\0';
	while (at < end && len < cap - 1) {
		struct hf_span name = { at, strlen(at) };
		const char *value = at + name.len + 1;
		int n;

		n = snprintf(buf + len, cap - len, "%s%s%s%s", len ? ", " : "", name.ptr,
			*value == '+' ? "=" : "",
			*value != '+'          ? ""
			: call_is_secret(name) ? "***"
					       : value + 1);
		len = hf_min_size(len + (size_t)n, cap - 1);
		at = value + strlen(value) + 1;
	}
}

/* "one, two"; what does not fit is left off whole. */
static void call_add_tag(void *arg, struct hf_span tag)
{
	struct hf_origin_variant *variant = arg;
	size_t len = strlen(variant->tags);

	if (len + 2 + tag.len < sizeof(variant->tags))
		(void)snprintf(variant->tags + len, sizeof(variant->tags) - len, "%s%.*s",
			len ? ", " : "", (int)tag.len, tag.ptr);
}

static void call_variant(
	const struct hf_origin *origin, const struct hf_obj *obj, struct hf_origin_variant *variant)
{
	unsigned flags = atomic_load_explicit(&obj->flags, memory_order_relaxed);
	size_t len = hf_http_redact(
		(struct hf_span){ obj->key, obj->key_len }, variant->key, sizeof(variant->key) - 1);

	variant->key[len] = '\0';
	variant->length = obj->length;
	variant->cost = obj->cost;
	variant->age_s = hf_obj_age_s(obj, origin->now_us);
	variant->ttl_s = (int64_t)obj->life.lifetime_s - hf_obj_life_age_s(obj, origin->now_us);
	variant->swr_s = obj->life.swr_s;
	variant->sie_s = obj->life.sie_s;
	variant->status = obj->status;
	variant->fresh = hf_obj_use(obj, NULL, origin->now_us) == HF_CACHE_USE_FRESH;
	variant->soft_purged = flags & HF_OBJ_STALE;
	variant->validated = obj->life.must_validate;
	variant->auth_ok = flags & HF_OBJ_AUTH_OK;
	call_show_vary(obj, variant->vary, sizeof(variant->vary));
	variant->tags[0] = '\0';
	hf_obj_each_tag(obj, call_add_tag, variant);
}

static void call_show_variant(void *arg, const struct hf_obj *obj)
{
	struct call_show *show = arg;
	uint32_t at = show->call->count++;

	if (at < HF_ORIGIN_VARIANTS_MAX)
		call_variant(show->origin, obj, &show->call->variant[at]);
}

/* False: that was the last one that there is room for. */
static bool call_list_variant(void *arg, const struct hf_obj *obj)
{
	struct call_show *show = arg;

	call_show_variant(arg, obj);
	return show->call->count < HF_ORIGIN_VARIANTS_MAX;
}

/* Why its answers are not stored, as far as one knows before they come; "". */
static const char *call_reason(
	const struct hf_origin *origin, const struct hf_key *key, const struct origin_memo *memo)
{
	const struct hf_state_route *route = origin->view ? origin_view_route(origin, key) : NULL;

	if (memo)
		return hf_cache_reason_text(memo->reason);
	if (hf_http_query_has_secret((struct hf_span){ key->ptr, key->len }) &&
		!(route && route->store_secret_query))
		return hf_cache_reason_text(HF_CACHE_WHY_SECRET_QUERY);
	return "";
}

static void call_show(struct hf_origin *origin, struct hf_origin_call *call)
{
	const struct origin_memo *memo = origin_memo_find(origin, call->key.hash);
	struct call_show show = { origin, call };

	call->in_flight = origin_map_next(origin, &call->key, NULL) != NULL;
	call->uncacheable = memo != NULL;
	(void)snprintf(
		call->reason, sizeof(call->reason), "%s", call_reason(origin, &call->key, memo));
	hf_shard_each_variant(origin->shard, &call->key, call_show_variant, &show);
}

static void call_answer(struct hf_origin *origin, struct hf_origin_call *call)
{
	struct call_show show = { origin, call };

	call->count = 0;
	switch (call->what) {
	case HF_ORIGIN_PURGE:
		call->count = origin_purge_key(origin, &call->key, call->soft);
		return;
	case HF_ORIGIN_SHOW:
		call_show(origin, call);
		return;
	case HF_ORIGIN_LIST:
		call->end = hf_shard_list_step(
			origin->shard, &call->filter, &call->slot, call_list_variant, &show);
		return;
	case HF_ORIGIN_LOADS:
		origin_view_loads(origin, call);
		return;
	case HF_ORIGIN_WARM:
		origin_warm_take(origin, call);
		return;
	case HF_ORIGIN_EXPLAIN:
		origin_balance_explain(origin, call);
		return;
	case HF_ORIGIN_L2:
		call->count = hf_l2_tell(origin->l2.client, call->l2, call->l2_cap);
		return;
	}
}

bool origin_call_run(struct hf_origin *origin)
{
	if (!atomic_load_explicit(&origin->call_waiting, memory_order_acquire))
		return false;
	(void)pthread_mutex_lock(&origin->call_mutex);
	if (origin->call)
		call_answer(origin, origin->call);
	origin->call = NULL; /* or the caller gave up */
	atomic_store(&origin->call_waiting, false);
	(void)pthread_cond_signal(&origin->call_done);
	(void)pthread_mutex_unlock(&origin->call_mutex);
	return true;
}

int hf_origin_call(struct hf_origin *origin, struct hf_origin_call *call)
{
	struct timespec until;
	int rc = 0;

	HF_ASSERT(hf_thread_own != HF_THREAD_LCORE && hf_thread_own != HF_THREAD_ORIGIN);
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += 1;
	(void)pthread_mutex_lock(&origin->call_serial);
	(void)pthread_mutex_lock(&origin->call_mutex);
	HF_ASSERT(!origin->call);
	origin->call = call;
	atomic_store(&origin->call_waiting, true);
	hf_origin_wake(origin);
	while (rc == 0 && origin->call)
		rc = pthread_cond_timedwait(&origin->call_done, &origin->call_mutex, &until);
	rc = origin->call ? -ETIMEDOUT : 0;
	origin->call = NULL;
	(void)pthread_mutex_unlock(&origin->call_mutex);
	(void)pthread_mutex_unlock(&origin->call_serial);
	return rc;
}
