/* SPDX-License-Identifier: BSD-3-Clause
 *
 * May a response be stored, and how long does it live: RFC 9111 §3, §4.2; RFC 9213. The order of
 * the tests is the order of the reasons that an operator is told.
 */
#include "hf_cache_rules.h"

#include <string.h>

#define ADMIT_HEURISTIC_MAX_S 86400

static const struct {
	const char *name, *text;
} admit_reasons[HF_CACHE_WHY_COUNT] = {
#define X(id, name, text) [HF_CACHE_WHY_##id] = { name, text },
#include "tbl/admit.h"
#undef X
};

const char *hf_cache_reason_name(enum hf_cache_reason reason)
{
	HF_ASSERT(reason < HF_CACHE_WHY_COUNT);
	return admit_reasons[reason].name;
}

const char *hf_cache_reason_text(enum hf_cache_reason reason)
{
	HF_ASSERT(reason < HF_CACHE_WHY_COUNT);
	return admit_reasons[reason].text;
}

/* What the response says of itself, each field read once. */
struct admit_facts {
	const struct hf_http_resp *resp;
	struct hf_http_cc cc; /* CDN-Cache-Control's, else Cache-Control's */
	bool targeted;        /* CDN-Cache-Control: Expires does not count (RFC 9213 §2.2) */
	int64_t now_s, date_s;
};

static bool admit_date(const struct admit_facts *facts, enum hf_http_field id, int64_t *ret_s)
{
	const struct hf_http_line *line = hf_http_fields_find(&facts->resp->fields, id);

	return line != NULL && hf_http_date_parse(line->value, facts->now_s, ret_s) == 0;
}

static void admit_read(const struct hf_http_resp *resp, const struct hf_cache_times *times,
	struct admit_facts *ret_facts)
{
	struct admit_facts *f = ret_facts;

	HF_ASSERT(resp->status >= 100 && resp->status <= 999);
	f->resp = resp;
	f->now_s = times->response_s;
	f->targeted = hf_http_cc_from_cdn(&resp->fields, &f->cc);
	if (!f->targeted)
		hf_http_cc_from_fields(&resp->fields, &f->cc);
	/* no-store is for caches that do not know must-understand (§5.2.2.3); see admit_status */
	if (f->cc.must_understand)
		f->cc.no_store = false;
	/* Without a Date the moment of arrival stands for it (RFC 9110 §6.6.1). */
	f->date_s = f->now_s;
	(void)admit_date(f, HF_HTTP_FIELD_DATE, &f->date_s); /* arrival, when there is none */
}

/* ---- how old, how long ---- */

/* The first member of the first Age line (RFC 9111 §5.1); nonsense counts as 0. */
static uint32_t admit_age_value(const struct hf_http_resp *resp)
{
	const struct hf_http_line *line = hf_http_fields_find(&resp->fields, HF_HTTP_FIELD_AGE);
	struct hf_span list, first;
	uint32_t age_s = 0;

	if (line == NULL)
		return 0;
	list = line->value;
	if (!hf_http_list_next(&list, &first) || hf_http_parse_delta(first, &age_s) != 0)
		return 0;
	return age_s;
}

static uint32_t admit_clamp(int64_t s)
{
	if (s < 0)
		return 0;
	return s > HF_HTTP_DELTA_MAX ? HF_HTTP_DELTA_MAX : (uint32_t)s;
}

/* corrected_initial_age of §4.2.3. */
static uint32_t admit_initial_age(
	const struct admit_facts *facts, const struct hf_cache_times *times)
{
	uint32_t apparent_s = admit_clamp(times->response_s - facts->date_s);
	uint32_t corrected_s =
		admit_clamp((int64_t)admit_age_value(facts->resp) + times->response_delay_s);

	return hf_max_u32(apparent_s, corrected_s);
}

/* Date; one that is still to come is a wrong clock's. */
static uint32_t admit_made(const struct admit_facts *facts)
{
	int64_t s = facts->date_s < facts->now_s ? facts->date_s : facts->now_s;

	return s < 0 ? 0 : (uint32_t)s;
}

/* RFC 9110 §15.1; 206 is never stored. */
static bool admit_is_heuristic_status(uint16_t status)
{
	switch (status) {
	case 200:
	case 203:
	case 204:
	case 300:
	case 301:
	case 308:
	case 404:
	case 405:
	case 410:
	case 414:
	case 501:
		return true;
	default:
		return false;
	}
}

/* What the origin said. False: nothing. Of several Expires the first counts (§4.2.1); one that is
 * no date has passed (§5.3). */
static bool admit_explicit(const struct admit_facts *facts, uint32_t *ret_lifetime_s)
{
	const struct hf_http_cc *cc = &facts->cc;
	int64_t expires_s;

	if (cc->has_s_maxage) {
		*ret_lifetime_s = cc->s_maxage_s;
		return true;
	}
	if (cc->has_max_age) {
		*ret_lifetime_s = cc->max_age_s;
		return true;
	}
	if (facts->targeted || !hf_http_fields_have(&facts->resp->fields, HF_HTTP_FIELD_EXPIRES))
		return false;
	*ret_lifetime_s = 0;
	if (admit_date(facts, HF_HTTP_FIELD_EXPIRES, &expires_s))
		*ret_lifetime_s = admit_clamp(expires_s - facts->date_s);
	return true;
}

/* §4.2.2: a tenth of the time since the last change, at most a day. */
static bool admit_heuristic(const struct admit_facts *facts, uint32_t *ret_lifetime_s)
{
	int64_t modified_s;
	uint32_t tenth_s;

	if (!admit_is_heuristic_status(facts->resp->status) && !facts->cc.is_public)
		return false;
	if (!admit_date(facts, HF_HTTP_FIELD_LAST_MODIFIED, &modified_s))
		return false;
	tenth_s = admit_clamp((facts->date_s - modified_s) / 10);
	*ret_lifetime_s = hf_min_u32(tenth_s, ADMIT_HEURISTIC_MAX_S);
	return tenth_s > 0;
}

/* What the operator says when the origin is silent. Errors that pass (405, 414, 501) get
 * nothing. */
static uint32_t admit_default(const struct admit_facts *facts, const struct hf_cache_policy *policy)
{
	uint16_t status = facts->resp->status;

	if (status == 404 || status == 410)
		return policy->negative_ttl_s;
	if (!admit_is_heuristic_status(status) || status >= 400)
		return 0;
	return policy->default_ttl_s;
}

/* Where a lifetime comes from. */
enum admit_source {
	ADMIT_SAID,
	ADMIT_GUESSED,
	ADMIT_DEFAULT,
	ADMIT_NONE,
};

static enum admit_source admit_lifetime(const struct admit_facts *facts,
	const struct hf_cache_policy *policy, struct hf_cache_life *life)
{
	uint16_t status = facts->resp->status;
	bool negative = status == 404 || status == 410;

	life->lifetime_s = 0;
	if (admit_explicit(facts, &life->lifetime_s))
		return ADMIT_SAID;
	/* How long something was gone says nothing about how long it stays so: negative_ttl
	 * rules. */
	if (!negative && admit_heuristic(facts, &life->lifetime_s))
		return ADMIT_GUESSED;
	life->lifetime_s = hf_min_u32(admit_default(facts, policy), HF_HTTP_DELTA_MAX);
	return life->lifetime_s > 0 ? ADMIT_DEFAULT : ADMIT_NONE;
}

static enum admit_source admit_life(const struct admit_facts *facts,
	const struct hf_cache_policy *policy, struct hf_cache_life *life)
{
	const struct hf_http_cc *cc = &facts->cc;
	const struct hf_http_fields *fields = &facts->resp->fields;
	enum admit_source source = admit_lifetime(facts, policy, life);

	life->date_s = admit_made(facts);
	life->must_validate = cc->no_cache;
	life->stale_forbidden = cc->no_cache || cc->no_store || cc->must_revalidate ||
				cc->proxy_revalidate || cc->has_s_maxage;
	life->immutable = cc->immutable;
	life->has_validator = hf_http_fields_have(fields, HF_HTTP_FIELD_ETAG) ||
			      hf_http_fields_have(fields, HF_HTTP_FIELD_LAST_MODIFIED);
	life->swr_s = cc->has_stale_while_revalidate ? cc->stale_while_revalidate_s : policy->swr_s;
	life->sie_s = cc->has_stale_if_error ? cc->stale_if_error_s : policy->sie_s;
	if (life->stale_forbidden) {
		life->swr_s = 0;
		life->sie_s = 0;
	}
	HF_ASSERT(life->lifetime_s <= HF_HTTP_DELTA_MAX);
	return source;
}

void hf_cache_life_of(const struct hf_http_resp *resp, const struct hf_cache_policy *policy,
	const struct hf_cache_times *times, struct hf_cache_verdict *ret_verdict)
{
	struct admit_facts facts;

	admit_read(resp, times, &facts);
	ret_verdict->initial_age_s = admit_initial_age(&facts, times);
	(void)admit_life(&facts, policy, &ret_verdict->life); /* the source is admission's matter */
}

/* ---- the tests ---- */

/* A code that this cache knows well enough to keep to what must-understand asks (§5.2.2.3). */
static bool admit_is_understood(uint16_t status)
{
	return admit_is_heuristic_status(status) || status == 302 || status == 307 ||
	       status == 403 || status == 451;
}

static enum hf_cache_reason admit_status(const struct admit_facts *facts)
{
	uint16_t status = facts->resp->status;

	if (status == 206)
		return HF_CACHE_WHY_PARTIAL;
	if (status < 200 || status == 304)
		return HF_CACHE_WHY_STATUS;
	if (facts->cc.must_understand && !admit_is_understood(status))
		return HF_CACHE_WHY_STATUS;
	return HF_CACHE_WHY_STORED;
}

/* §3.5 */
static bool admit_auth_ok(const struct hf_http_cc *cc)
{
	return cc->is_public || cc->has_s_maxage || cc->must_revalidate;
}

/* The origin is told the client's address in these. */
static bool admit_is_address(struct hf_span name)
{
	enum hf_http_field id = hf_http_field_lookup(name);

	return id == HF_HTTP_FIELD_FORWARDED || id == HF_HTTP_FIELD_X_FORWARDED_FOR;
}

/* A response that differs by who asks is one client's alone, unless nobody was named. */
static bool admit_is_credential(const struct hf_cache_req *req, struct hf_span name)
{
	enum hf_http_field id = hf_http_field_lookup(name);

	switch (id) {
	case HF_HTTP_FIELD_COOKIE:
		return req->has_cookie;
	case HF_HTTP_FIELD_AUTHORIZATION:
		return req->has_authorization;
	default:
		return hf_http_field_is_secret(id, name);
	}
}

static enum hf_cache_reason admit_vary(
	const struct hf_cache_req *req, const struct hf_http_fields *fields)
{
	struct hf_span name;

	for (uint32_t i = 0; i < fields->count; i++) {
		struct hf_span list = fields->lines[i].value;

		if (fields->lines[i].id != HF_HTTP_FIELD_VARY)
			continue;
		while (hf_http_list_next(&list, &name)) {
			/* What is no field name cannot be matched either. */
			if (hf_span_eq(name, HF_SPAN("*")) || !hf_http_is_token(name) ||
				admit_is_address(name))
				return HF_CACHE_WHY_VARY_ANY;
			if (admit_is_credential(req, name))
				return HF_CACHE_WHY_VARY_CREDENTIAL;
		}
	}
	return HF_CACHE_WHY_STORED;
}

static enum hf_cache_reason admit_req(
	const struct hf_cache_req *req, const struct hf_cache_policy *policy)
{
	if (req->method != HF_HTTP_GET || !req->cacheable)
		return HF_CACHE_WHY_METHOD;
	if (req->cc.no_store)
		return HF_CACHE_WHY_REQ_NO_STORE;
	if (req->has_secret_query && !policy->store_secret_query)
		return HF_CACHE_WHY_SECRET_QUERY;
	return HF_CACHE_WHY_STORED;
}

/* Nobody's private thing. */
static enum hf_cache_reason admit_privacy(
	const struct hf_cache_req *req, const struct admit_facts *facts)
{
	const struct hf_http_cc *cc = &facts->cc;
	const struct hf_http_fields *fields = &facts->resp->fields;
	bool cookie = hf_http_fields_have(fields, HF_HTTP_FIELD_SET_COOKIE) ||
		      hf_http_fields_have(fields, HF_HTTP_FIELD_SET_COOKIE2);

	if (cc->no_store)
		return HF_CACHE_WHY_NO_STORE;
	if (cc->is_private)
		return HF_CACHE_WHY_PRIVATE;
	if (req->has_authorization && !admit_auth_ok(cc))
		return HF_CACHE_WHY_AUTHORIZATION;
	if (cookie && !cc->is_public && !cc->has_s_maxage)
		return HF_CACHE_WHY_SET_COOKIE;
	return admit_vary(req, fields);
}

static enum hf_cache_reason admit_use(
	const struct admit_facts *facts, enum admit_source source, const struct hf_cache_verdict *v)
{
	const struct hf_cache_life *life = &v->life;
	bool leave = facts->cc.no_cache || facts->cc.is_public;
	bool fresh = life->lifetime_s > v->initial_age_s && !life->must_validate;
	uint64_t usable_s = (uint64_t)life->lifetime_s + hf_max_u32(life->swr_s, life->sie_s);

	/* Silence is no leave to store; without a lifetime each use is validated. */
	if (source == ADMIT_NONE && !(leave && life->has_validator))
		return HF_CACHE_WHY_NO_FRESHNESS;
	if (fresh || life->has_validator)
		return HF_CACHE_WHY_STORED;
	return usable_s > v->initial_age_s && !life->must_validate ? HF_CACHE_WHY_STORED
								   : HF_CACHE_WHY_EXPIRED;
}

void hf_cache_admit(const struct hf_cache_req *req, const struct hf_http_resp *resp,
	const struct hf_cache_policy *policy, const struct hf_cache_times *times,
	struct hf_cache_verdict *ret_verdict)
{
	struct hf_cache_verdict v = { .reason = HF_CACHE_WHY_STORED, .scrub = true };
	struct admit_facts facts;
	enum admit_source source;

	admit_read(resp, times, &facts);
	source = admit_life(&facts, policy, &v.life);
	v.initial_age_s = admit_initial_age(&facts, times);
	v.heuristic = source == ADMIT_GUESSED;
	v.auth_ok = admit_auth_ok(&facts.cc);
	v.secret_ok = policy->store_secret_query;
	v.leaves_out = facts.cc.private_fields || facts.cc.no_cache_fields;
	v.reason = admit_req(req, policy);
	if (v.reason == HF_CACHE_WHY_STORED)
		v.reason = admit_status(&facts);
	if (v.reason == HF_CACHE_WHY_STORED)
		v.reason = admit_privacy(req, &facts);
	if (v.reason == HF_CACHE_WHY_STORED)
		v.reason = admit_use(&facts, source, &v);
	if (v.reason == HF_CACHE_WHY_STORED && policy->object_max > 0 && resp->has_content_length &&
		resp->content_length > policy->object_max)
		v.reason = HF_CACHE_WHY_TOO_LARGE;
	v.store = v.reason == HF_CACHE_WHY_STORED;
	HF_ASSERT(!v.store || !(facts.cc.no_store || facts.cc.is_private));
	*ret_verdict = v;
}
