/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The head of an answer: may it be stored (RFC 9111 §3), who may have it, the object made of it.
 */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>

#include "hf_wipe.h"

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_l2.h"
#include "origin_priv.h"

static bool origin_store_is_fresh(enum hf_cache_use use)
{
	return use == HF_CACHE_USE_FRESH || use == HF_CACHE_USE_STALE;
}

bool origin_store_suits(const struct hf_origin *origin, const struct hf_obj *obj,
	const struct hf_http_req *req, const struct hf_cache_req *cache_req, bool pending)
{
	/* who asks for validation and waited while the origin was asked has got it */
	const struct hf_http_cc *cc =
		pending && hf_cache_req_validates(cache_req) ? NULL : &cache_req->cc;

	if (obj->flags & HF_OBJ_STREAM)
		return false;
	if (!hf_obj_is_open_to(obj, cache_req))
		return false;
	return hf_cache_vary_matches(obj->vary, obj->vary_len, req) &&
	       origin_store_is_fresh(hf_obj_use(obj, cc, origin->now_us));
}

struct hf_span origin_store_request(const struct origin_fetch *fetch)
{
	if (fetch->leader)
		return fetch->leader->xchg->head;
	HF_ASSERT(fetch->req_head);
	return (struct hf_span){ fetch->req_head, fetch->req_head_len };
}

static uint32_t store_seconds(uint32_t of_route, uint32_t of_node)
{
	return of_route == HF_STATE_SECONDS_NONE ? of_node : of_route;
}

uint64_t origin_store_object_max(const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	const struct hf_state_policy *own = fetch->route->policy;

	return own && own->max_object != HF_STATE_BYTES_NONE
		       ? hf_min_u64(own->max_object, hf_shard_object_max(origin->shard))
		       : origin->object_max;
}

/* The node's, but for what the route's says. */
static struct hf_cache_policy store_policy(
	const struct hf_origin *origin, const struct origin_fetch *fetch)
{
	const struct hf_conf *conf = origin->conf;
	const struct hf_state_policy *own = fetch->route->policy;
	struct hf_cache_policy policy = {
		.default_ttl_s = conf->cache.default_ttl_s,
		.negative_ttl_s = conf->cache.negative_ttl_s,
		.swr_s = conf->cache.stale_while_revalidate_s,
		.sie_s = conf->cache.stale_if_error_s,
		.object_max = origin_store_object_max(origin, fetch),
		.store_secret_query = fetch->route->store_secret_query,
	};

	if (!own)
		return policy;
	policy.default_ttl_s = store_seconds(own->default_ttl_s, policy.default_ttl_s);
	policy.negative_ttl_s = store_seconds(own->negative_ttl_s, policy.negative_ttl_s);
	policy.swr_s = store_seconds(own->stale_while_revalidate_s, policy.swr_s);
	policy.sie_s = store_seconds(own->stale_if_error_s, policy.sie_s);
	return policy;
}

void origin_store_judge(struct hf_origin *origin, struct origin_fetch *fetch,
	const struct hf_http_resp *resp, struct origin_answer *answer)
{
	const struct hf_cache_policy policy = store_policy(origin, fetch);
	const struct hf_cache_times times = {
		.response_s = hf_clock_unix_s(),
		.response_delay_s = (uint32_t)((origin->now_us - fetch->sent_us) / 1000000),
	};
	struct hf_cache_verdict *verdict = &answer->verdict;
	int vary_len;

	answer->store = false;
	answer->share = false;
	hf_cache_life_of(resp, &policy, &times, verdict);
	if (!fetch->shared && fetch->method != HF_HTTP_HEAD)
		return;
	if (!origin_reader_parse_head(origin_store_request(fetch), &answer->req))
		return;
	hf_cache_req_init(&answer->req, &answer->cache_req);
	answer->cache_req.method = HF_HTTP_GET; /* as which it is stored */
	hf_cache_admit(&answer->cache_req, resp, &policy, &times, verdict);
	if (!verdict->store)
		return;
	vary_len = hf_cache_vary_build(answer->vary, sizeof(answer->vary), resp, &answer->req);
	if (vary_len < 0) {
		verdict->store = false;
		verdict->reason = HF_CACHE_WHY_VARY_ANY;
		return;
	}
	answer->vary_len = (uint32_t)vary_len;
	answer->store = true;
	answer->share = origin_store_is_fresh(
		hf_cache_fresh_for(&verdict->life, NULL, verdict->initial_age_s));
}

bool origin_store_is_lasting(const struct origin_answer *answer)
{
	if (answer->cache_req.has_authorization)
		return false;
	switch (answer->verdict.reason) {
	case HF_CACHE_WHY_METHOD:
	case HF_CACHE_WHY_REQ_NO_STORE:
	case HF_CACHE_WHY_SECRET_QUERY:
	case HF_CACHE_WHY_AUTHORIZATION:
	case HF_CACHE_WHY_VARY_CREDENTIAL:
		return false;
	default:
		return true;
	}
}

void origin_store_remember(struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct origin_answer *answer)
{
	if (!fetch->shared || fetch->refused)
		return;
	if (answer->share)
		origin_memo_clear(origin, fetch->key.hash);
	else if (answer->store)
		origin_memo_set(origin, fetch->key.hash, HF_CACHE_WHY_EXPIRED);
	else if (origin_store_is_lasting(answer))
		origin_memo_set(origin, fetch->key.hash, answer->verdict.reason);
}

/* What is stored can be had in ranges (RFC 9110 §14.3), whatever its origin can. Behind the head in scratch;
 * the head's new length. */
static size_t origin_store_ranges(
	struct hf_origin *origin, const struct hf_http_resp *resp, size_t head_len)
{
	static const char line[] = "Accept-Ranges: bytes\r\n";
	const size_t len = sizeof(line) - 1;

	if (resp->status != 200 || head_len == 0 || len > ORIGIN_SCRATCH_LEN - head_len ||
		hf_http_fields_have(&resp->fields, HF_HTTP_FIELD_ACCEPT_RANGES))
		return head_len;
	memcpy(origin->scratch + head_len, line, len);
	return head_len + len;
}

size_t origin_store_spec(struct hf_origin *origin, const struct hf_http_resp *resp,
	const struct origin_answer *answer, bool scrub, struct hf_obj_spec *ret_spec)
{
	const struct hf_cache_life *life = &answer->verdict.life;
	char date[HF_HTTP_DATE_LEN];
	struct hf_resp_store store = { .scrub = scrub,
		.leave_out = answer->verdict.leaves_out,
		.date = { date, sizeof(date) } };
	size_t head_len;

	hf_http_date_format(hf_clock_unix_s(), date);
	head_len = hf_resp_store_head(origin->scratch, ORIGIN_SCRATCH_LEN, resp, &store);
	if (answer->store)
		head_len = origin_store_ranges(origin, resp, head_len);
	*ret_spec = (struct hf_obj_spec){ .status = resp->status,
		.life = origin_l2_life(origin, life, answer->verdict.initial_age_s) };
	ret_spec->head = (struct hf_span){ origin->scratch, head_len };
	ret_spec->born_us = (int64_t)origin->now_us - ORIGIN_CLOCK_LAG_US -
			    (int64_t)answer->verdict.initial_age_s * 1000000;
	if (answer->verdict.auth_ok)
		ret_spec->flags |= HF_OBJ_AUTH_OK;
	if (answer->verdict.secret_ok)
		ret_spec->flags |= HF_OBJ_SECRET_OK;
	return head_len;
}

static struct hf_obj *origin_store_object(
	struct hf_origin *origin, struct origin_fetch *fetch, struct origin_answer *answer)
{
	const struct hf_http_resp *resp = &answer->resp;
	struct hf_obj_spec spec;
	struct hf_obj *obj;
	size_t head_len;

	head_len = origin_store_spec(origin, resp, answer, /* scrub= */ answer->store, &spec);
	HF_ASSERT(head_len > 0); /* there is room for twice the largest that was let in */
	spec.length = resp->has_content_length && !resp->chunked ? resp->content_length
								 : HF_OBJ_LENGTH_UNKNOWN;
	if (answer->no_body && fetch->method != HF_HTTP_HEAD)
		spec.length = 0;
	if (answer->no_body)
		spec.flags |= HF_OBJ_NO_BODY;
	if (answer->store) {
		spec.key = fetch->key;
		spec.vary = (struct hf_span){ answer->vary, answer->vary_len };
	} else {
		spec.flags |= HF_OBJ_STREAM;
	}
	fetch->l2.life = answer->verdict.life;
	obj = hf_shard_obj_new(origin->shard, &spec);
	hf_wipe(origin->scratch, head_len);
	return obj;
}

void origin_store_private(struct origin_fetch *fetch, const struct origin_answer *answer)
{
	const struct hf_resp_store store = { .scrub = true,
		.leave_out = answer->verdict.leaves_out };
	struct origin_reader *leader = fetch->leader;
	int len;

	if (!leader || leader->xchg->background)
		return;
	leader->extra = malloc(fetch->head_len + 1);
	if (!leader->extra)
		return;
	len = hf_resp_private_fields(leader->extra, fetch->head_len, &answer->resp, &store);
	if (len > 0) {
		leader->xchg->extra = (struct hf_span){ leader->extra, (size_t)len };
		return;
	}
	free(leader->extra);
	leader->extra = NULL;
}

static bool origin_store_reader_suits(const struct hf_origin *origin,
	const struct origin_fetch *fetch, const struct origin_reader *reader)
{
	struct hf_http_req req;
	struct hf_cache_req cache_req;

	return origin_reader_parse(reader, &req, &cache_req) &&
	       origin_store_suits(origin, fetch->obj, &req, &cache_req, /* pending= */ true);
}

/* Of a list of their own: a reader that looks again may join the fetch that it left. */
static void origin_store_resubmit(struct hf_origin *origin, struct hf_list *again)
{
	struct hf_list *it;

	while ((it = hf_list_first(again)) != NULL) {
		hf_list_del(it);
		origin_fetch_submit(origin, HF_CONTAINER_OF(it, struct origin_reader, link));
	}
}

void origin_store_settle(struct hf_origin *origin, struct origin_fetch *fetch, bool share)
{
	struct hf_list again, *it, *after;

	hf_list_init(&again);
	hf_list_for_each_safe (it, after, &fetch->readers) {
		struct origin_reader *reader = HF_CONTAINER_OF(it, struct origin_reader, link);
		bool leads = reader == fetch->leader;

		if (leads || (share && origin_store_reader_suits(origin, fetch, reader))) {
			reader->xchg->fwd_status = fetch->fwd_status;
			origin_reader_attach(origin, reader, fetch->obj, fetch->stored_told,
				/* collapsed= */ !leads);
			continue;
		}
		hf_list_del(it);
		reader->fetch = NULL;
		hf_list_add_tail(&again, it);
	}
	origin_store_resubmit(origin, &again);
}

void origin_store_again(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_list again, *it;

	HF_ASSERT(!fetch->joinable);
	hf_list_init(&again);
	while ((it = hf_list_first(&fetch->readers)) != NULL) {
		hf_list_del(it);
		HF_CONTAINER_OF(it, struct origin_reader, link)->fetch = NULL;
		hf_list_add_tail(&again, it);
	}
	fetch->leader = NULL;
	origin_store_resubmit(origin, &again);
}

void origin_store_over(struct origin_fetch *fetch)
{
	HF_ASSERT(!fetch->obj);
	origin_fetch_answered(fetch);
	fetch->state = ORIGIN_OVER;
	fetch->joinable = false;
	fetch->taken = 0;
	hf_list_del(&fetch->map_link);
}

bool origin_store_is_kept(const struct origin_fetch *fetch)
{
	return fetch->shared && !(fetch->obj->flags & HF_OBJ_STREAM) && !fetch->purged;
}

/* Answers to earlier questions for the key shall not replace this one. */
static void origin_store_overtake(struct hf_origin *origin, const struct origin_fetch *fetch)
{
	struct origin_fetch *other = NULL;

	while ((other = origin_map_next(origin, &fetch->key, other)) != NULL)
		other->purged |= other->state >= ORIGIN_SENT && other->sent_us < fetch->sent_us;
}

void origin_store_whole(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_obj *obj = fetch->obj;

	HF_ASSERT(!origin_store_is_whole(fetch));
	if (origin_store_is_kept(fetch)) {
		if (fetch->head_kept > 0)
			origin_resume_publish(origin, fetch);
		else
			origin_l2_publish(origin, fetch, obj);
		origin_store_overtake(origin, fetch);
	}
	if (!hf_obj_is_ready(obj))
		hf_shard_fill_end(origin->shard, obj);
}

bool origin_store_is_failure(uint16_t status)
{
	return status == 500 || status == 502 || status == 503 || status == 504;
}

/* The origin failed, and what is stored stands for its answer with some of those who wait: what it said is
 * then for the others alone. True: there are none. */
static bool origin_store_stale(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct origin_answer *answer)
{
	if (!origin_store_is_failure(answer->resp.status))
		return false;
	/* also when nobody who waits takes the stale one: others will */
	if (fetch->shared && origin_stale_stands(origin, fetch))
		fetch->refused = true;
	if (origin_stale_serve_all(origin, fetch, HF_STAT_CACHE_STALE_ERROR, answer->resp.status) ==
		0)
		return false;
	fetch->refused = true;
	if (fetch->leader && fetch->leader->xchg->background)
		origin_reader_drop(origin, fetch->leader);
	if (fetch->leader)
		return false;
	origin_store_over(fetch);
	origin_store_again(origin, fetch);
	return true;
}

static void origin_store_verdict(
	struct hf_origin *origin, struct origin_fetch *fetch, struct origin_answer *answer)
{
	origin_store_judge(origin, fetch, &answer->resp, answer);
	if (origin_purge_tagged(origin, fetch, &answer->resp.fields, NULL)) {
		fetch->purged = true;
		fetch->refused = true;
	}
	if (fetch->refused || !fetch->shared) {
		answer->store = false;
		answer->share = false;
	}
	fetch->joinable = answer->share && !fetch->purged;
	if (!answer->store && fetch->shared && answer->resp.status < 500)
		origin_reval_superseded(origin, fetch, answer);
	/* nobody waits for a refresh that is not stored */
	if (!answer->store && fetch->leader && fetch->leader->xchg->background)
		origin_reader_drop(origin, fetch->leader);
}

/* Does the leader want only what stands far into a body that is not stored? */
static bool origin_store_is_far(
	const struct origin_fetch *fetch, const struct origin_answer *answer)
{
	const struct hf_http_resp *resp = &answer->resp;
	struct hf_http_range range[HF_HTTP_RANGES_MAX];
	uint64_t begin = UINT64_MAX;
	uint32_t count;

	if (answer->store || !fetch->shared || !fetch->leader || fetch->leader->passes ||
		resp->status != 200 || !resp->has_content_length || resp->chunked)
		return false;
	if (hf_http_ranges_of(&answer->req, &resp->fields, resp->content_length, hf_clock_unix_s(),
		    range, &count) != HF_HTTP_RANGES_SOME)
		return false;
	for (uint32_t i = 0; i < count; i++)
		begin = hf_min_u64(begin, range[i].begin);
	return begin > ORIGIN_OVER_MAX;
}

/* Then the origin shall skip to it, instead of all of us: the leader asks again, as it was asked. */
static void origin_store_skip(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct origin_answer *answer)
{
	fetch->leader->passes = true;
	origin_store_remember(origin, fetch, answer);
	origin_store_over(fetch);
	origin_store_again(origin, fetch);
}

static enum origin_store origin_store_answer(
	struct hf_origin *origin, struct origin_fetch *fetch, struct origin_answer *answer)
{
	uint16_t status = answer->resp.status;

	if (status == 304 && fetch->shared)
		return origin_reval_answer(origin, fetch, answer);
	if (origin_store_stale(origin, fetch, answer))
		return ORIGIN_STORE_OVER;
	if (origin_retry_head(origin, fetch, &answer->resp))
		return ORIGIN_STORE_RETRY;
	if (origin_invalid_begin(origin, fetch, &answer->resp))
		return ORIGIN_STORE_WAIT;
	if (fetch->method == HF_HTTP_HEAD && status == 200)
		origin_reval_head(origin, fetch, answer);
	answer->no_body = fetch->method == HF_HTTP_HEAD || status == 204 || status == 304;
	origin_store_verdict(origin, fetch, answer);
	if (!answer->store && !fetch->leader) {
		/* it was for the one who left; the others ask for themselves */
		origin_store_remember(origin, fetch, answer);
		origin_store_settle(origin, fetch, /* share= */ false);
		return ORIGIN_STORE_UNWANTED;
	}
	if (origin_store_is_far(fetch, answer)) {
		origin_store_skip(origin, fetch, answer);
		return ORIGIN_STORE_OVER;
	}
	fetch->obj = origin_store_object(origin, fetch, answer);
	if (!fetch->obj)
		return ORIGIN_STORE_NO_MEMORY;
	fetch->state = ORIGIN_BODY;
	fetch->stored_told = answer->store && !fetch->purged;
	if (answer->store)
		origin_store_private(fetch, answer);
	origin_store_remember(origin, fetch, answer);
	if (fetch->obj->length == 0 && origin_store_is_kept(fetch))
		origin_store_whole(origin, fetch);
	origin_store_settle(origin, fetch, answer->share);
	hf_wipe_free(fetch->head);
	fetch->head = NULL;
	fetch->head_len = 0;
	fetch->head_cap = 0;
	return ORIGIN_STORE_DONE;
}

enum origin_store origin_store_head(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct origin_answer answer;

	HF_ASSERT(fetch->state == ORIGIN_SENT || fetch->state == ORIGIN_ADMIT);
	HF_ASSERT(!fetch->obj && fetch->head);
	answer.store = false;
	answer.share = false;
	answer.vary_len = 0;
	memset(&answer.cache_req, 0, sizeof(answer.cache_req));
	memset(&answer.verdict, 0, sizeof(answer.verdict));
	if (hf_http_resp_parse(fetch->head, fetch->head_len, &answer.resp) != HF_PARSE_DONE)
		return ORIGIN_STORE_BAD;
	if (answer.resp.status < 200 || answer.resp.status > 599)
		return ORIGIN_STORE_BAD;
	return origin_store_answer(origin, fetch, &answer);
}
