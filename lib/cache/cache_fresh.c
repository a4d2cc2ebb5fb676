/* SPDX-License-Identifier: BSD-3-Clause
 *
 * May a stored response be used for this request: RFC 9111 §4.2, §5.2.1; RFC 5861.
 */
#include "hf_cache_rules.h"

#include <string.h>

void hf_cache_req_init(const struct hf_http_req *req, struct hf_cache_req *ret_req)
{
	bool read = req->method == HF_HTTP_GET || req->method == HF_HTTP_HEAD;

	HF_ASSERT_HOT(req->method < HF_HTTP_METHOD_COUNT);
	ret_req->method = req->method;
	ret_req->cacheable = read && req->body == HF_HTTP_BODY_NONE;
	ret_req->has_authorization = req->has_authorization;
	ret_req->has_cookie = hf_http_fields_have(&req->fields, HF_HTTP_FIELD_COOKIE);
	ret_req->has_secret_query = !req->no_query && hf_http_query_has_secret(req->path_query);
	hf_http_cc_from_fields(&req->fields, &ret_req->cc);
	if (ret_req->cc.no_cache_fields) /* a request's has no argument (§5.2.1.4) */
		ret_req->cc.no_cache = true;
	/* A 1.0 cache's only word, heeded when there is no newer one (§5.4). */
	if (!ret_req->cc.present && hf_http_fields_have(&req->fields, HF_HTTP_FIELD_PRAGMA) &&
		hf_http_fields_list_has(&req->fields, HF_HTTP_FIELD_PRAGMA, HF_SPAN("no-cache")))
		ret_req->cc.no_cache = true;
}

bool hf_cache_req_allows(const struct hf_cache_req *req)
{
	HF_ASSERT_HOT(req->method < HF_HTTP_METHOD_COUNT);
	return req->cacheable && !req->cc.no_store;
}

bool hf_cache_req_validates(const struct hf_cache_req *req)
{
	return req->cc.no_cache || (req->cc.has_max_age && req->cc.max_age_s == 0);
}

/* Nothing is 0 s old: ages are cut to whole seconds. */
static bool fresh_is_too_old(const struct hf_http_cc *req, uint32_t age_s)
{
	return req->has_max_age && (age_s > req->max_age_s || req->max_age_s == 0);
}

/* Does the client refuse what is fresh by the response's own measure (§5.2.1)? */
static bool fresh_is_refused(
	const struct hf_cache_life *life, const struct hf_http_cc *req, uint32_t age_s)
{
	if (req->no_cache || fresh_is_too_old(req, age_s))
		return true;
	return req->has_min_fresh && life->lifetime_s - age_s < req->min_fresh_s;
}

/* Does the client accept what is stale by `past_s`? It must say so, and nothing may speak against
 * it. */
static bool fresh_stale_is_accepted(const struct hf_http_cc *req, uint32_t age_s, uint32_t past_s)
{
	if (req->no_cache || req->has_min_fresh || !req->has_max_stale)
		return false;
	if (fresh_is_too_old(req, age_s))
		return false;
	return past_s <= req->max_stale_s;
}

enum hf_cache_use hf_cache_fresh_for(
	const struct hf_cache_life *life, const struct hf_http_cc *req, uint32_t age_s)
{
	static const struct hf_http_cc none;
	uint32_t past_s;

	HF_ASSERT_HOT(!life->stale_forbidden || (life->swr_s == 0 && life->sie_s == 0));
	HF_ASSERT_HOT(life->lifetime_s <= HF_HTTP_DELTA_MAX);
	if (req == NULL)
		req = &none;
	if (life->must_validate)
		return HF_CACHE_USE_REVALIDATE;
	/* §4.2: fresh while the lifetime exceeds the age. */
	if (age_s < life->lifetime_s)
		return fresh_is_refused(life, req, age_s) ? HF_CACHE_USE_REVALIDATE
							  : HF_CACHE_USE_FRESH;
	if (life->stale_forbidden)
		return HF_CACHE_USE_REVALIDATE;
	past_s = age_s - life->lifetime_s;
	if (fresh_stale_is_accepted(req, age_s, past_s))
		return HF_CACHE_USE_STALE;
	/* A client that limits age or freshness does not want stale ones (§5.2.1.1). */
	if (req->no_cache || req->has_max_age || req->has_min_fresh)
		return HF_CACHE_USE_REVALIDATE;
	return past_s < life->swr_s ? HF_CACHE_USE_STALE_SWR : HF_CACHE_USE_REVALIDATE;
}

bool hf_cache_stale_is_valid(const struct hf_cache_life *life, const struct hf_http_cc *req,
	uint32_t age_s, uint32_t window_s)
{
	HF_ASSERT_HOT(life->lifetime_s <= HF_HTTP_DELTA_MAX);
	HF_ASSERT_HOT(!life->must_validate || life->stale_forbidden);
	if (life->stale_forbidden || (req != NULL && req->no_cache))
		return false;
	return age_s < life->lifetime_s || age_s - life->lifetime_s <= window_s;
}

bool hf_cache_life_is_useful(const struct hf_cache_life *life, uint32_t age_s, uint32_t max_stale_s)
{
	uint32_t window_s = hf_max_u32(hf_max_u32(life->swr_s, life->sie_s), max_stale_s);

	return hf_cache_stale_is_valid(life, NULL, age_s, window_s) ||
	       (life->stale_forbidden && age_s < life->lifetime_s);
}
