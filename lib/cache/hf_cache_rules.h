/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cache rules - may it be stored, may it be used: RFC 9111 for a shared cache, as pure functions.
 *
 * What      admit: request and response -> store or not, why, and the object's life. fresh: life,
 *           age and the request's directives -> use, revalidate or not. vary: the selecting fields.
 * Picture
 *      response --admit--> verdict.life ---(kept with the object)---> fresh_for(life, request, age)
 *      response + request --vary_build--> block --(kept)--> vary_matches(block, request)
 * Threads   any; pure.
 * Promises  When in doubt: not stored, or revalidated. `private` and `no-store` are never stored,
 *           where they are in force: a valid CDN-Cache-Control stands for Cache-Control and Expires
 *           as a whole (RFC 9213 §2.2), and must-understand lifts no-store for the statuses that
 *           are known here (RFC 9111 §5.2.2.3). Set-Cookie only with explicit public or s-maxage,
 *           and never its own bytes (verdict.scrub).
 * Files     cache_admit.c cache_fresh.c cache_vary.c tbl/admit.h
 * Tests     tests/unit/cache/test_cache_{admit,fresh,vary}.c
 */
#ifndef HF_CACHE_RULES_H
#define HF_CACHE_RULES_H

#include "hf_base.h"
#include "hf_http.h"

/* ---- the request's side ---- */

/* What the rules want to know of a request; a few bytes that can travel with a fetch. */
struct hf_cache_req {
	enum hf_http_method method;
	bool cacheable; /* GET or HEAD without body: the cache may be looked at */
	bool has_authorization;
	bool has_cookie;
	bool has_secret_query;
	/* Cache-Control; Pragma: no-cache when there is none (RFC 9111 §5.4) */
	struct hf_http_cc cc;
};

void hf_cache_req_init(const struct hf_http_req *req, struct hf_cache_req *ret_req);
/* May this request be answered from the cache, and its answer shared? False: pass it through
 * (method, body, no-store). Of a secret in the URL HF_OBJ_SECRET_OK and admission judge. */
bool hf_cache_req_allows(const struct hf_cache_req *req);
/* Does it take nothing that was not validated for it, however fresh: no-cache, max-age=0? */
bool hf_cache_req_validates(const struct hf_cache_req *req);

/* ---- life of an object ---- */

/* What is kept with an object. */
struct hf_cache_life {
	uint32_t lifetime_s;   /* freshness lifetime (RFC 9111 §4.2.1) */
	uint32_t swr_s, sie_s; /* RFC 5861 windows past freshness; 0 when stale is forbidden */
	uint32_t date_s; /* Unix seconds: Date, or the arrival if that was before (RFC 9111 §4) */
	bool stale_forbidden; /* must-revalidate, proxy-revalidate, s-maxage or no-cache (§4.2.4) */
	bool must_validate;   /* no-cache: never used without validation */
	bool immutable;       /* RFC 8246 */
	bool has_validator;   /* ETag or Last-Modified */
};

enum hf_cache_use {
	HF_CACHE_USE_FRESH,
	HF_CACHE_USE_STALE,      /* stale, and the client said max-stale */
	HF_CACHE_USE_STALE_SWR,  /* stale-while-revalidate: serve, and refresh in the background */
	HF_CACHE_USE_REVALIDATE, /* not without asking the origin; only-if-cached: 504 */
};

/* age_s: the verdict's initial_age_s plus the time since it was received. req may be NULL: no
 * directives. */
enum hf_cache_use hf_cache_fresh_for(
	const struct hf_cache_life *life, const struct hf_http_cc *req, uint32_t age_s);
/* "Stale-but-valid": may it be served at that age because the origin cannot be asked? window_s is
 * the larger of what applies (life->sie_s, or the fallback's max_stale). Never when stale is
 * forbidden or the client asked for no-cache; max-age and min-fresh are overruled, as the
 * alternative is an error. */
bool hf_cache_stale_is_valid(const struct hf_cache_life *life, const struct hf_http_cc *req,
	uint32_t age_s, uint32_t window_s);

/* Is it fresh at that age, or stale within one of its windows? max_stale_s: the fallback's. */
bool hf_cache_life_is_useful(
	const struct hf_cache_life *life, uint32_t age_s, uint32_t max_stale_s);

/* ---- admission ---- */

struct hf_cache_policy {
	/* 200, 203, 204, 300, 301, 308 without any freshness; 0: not stored */
	uint32_t default_ttl_s;
	uint32_t negative_ttl_s; /* 404, 410 without explicit freshness; 0: not stored */
	uint32_t swr_s, sie_s;   /* where the response names none */
	uint64_t object_max;     /* bytes of body; 0: no limit */
	bool store_secret_query; /* the route says so: secrets in the URL are no reason */
};

struct hf_cache_times {
	int64_t response_s;        /* wall clock, Unix seconds, when the head arrived */
	uint32_t response_delay_s; /* response_time - request_time (§4.2.3) */
};

enum hf_cache_reason {
#define X(id, name, text) HF_CACHE_WHY_##id,
#include "tbl/admit.h"
#undef X
	HF_CACHE_WHY_COUNT
};

struct hf_cache_verdict {
	bool store;
	enum hf_cache_reason reason; /* HF_CACHE_WHY_STORED when store */
	bool scrub;      /* credentials must be left out of the stored copy; always with store */
	bool leaves_out; /* so must the fields that private="..." and no-cache="..." name */
	bool auth_ok;    /* may answer requests with Authorization too (§3.5) */
	bool secret_ok;  /* the policy's store_secret_query */
	bool heuristic;
	uint32_t initial_age_s; /* corrected_initial_age (§4.2.3) */
	struct hf_cache_life life;
};

void hf_cache_admit(const struct hf_cache_req *req, const struct hf_http_resp *resp,
	const struct hf_cache_policy *policy, const struct hf_cache_times *times,
	struct hf_cache_verdict *ret_verdict);
/* "set-cookie": for counters and Cache-Status detail. */
const char *hf_cache_reason_name(enum hf_cache_reason reason);
/* A sentence part for `cache show`. */
const char *hf_cache_reason_text(enum hf_cache_reason reason);
/* Only the initial age and the life of a response: for freshening by a 304 (§4.3.4). */
void hf_cache_life_of(const struct hf_http_resp *resp, const struct hf_cache_policy *policy,
	const struct hf_cache_times *times, struct hf_cache_verdict *ret_verdict);

/* ---- Vary (RFC 9111 §4.1) ---- */

/* Writes the selecting fields of the request: records of name, 0, '+' value or '-' for an absent
 * field, 0; names in lower case, sorted, once each. Returns the length (0: no Vary), -ENOSPC, or
 * -EINVAL for Vary: * or a name that is no token. */
int hf_cache_vary_build(char *buf, size_t cap, const struct hf_http_resp *resp,
	const struct hf_http_req *req) HF_MUST_CHECK;
/* Would this request have given the same block? True for an empty one. */
bool hf_cache_vary_matches(const char *block, size_t len, const struct hf_http_req *req);
/* The same names with another request's values: how a lookup finds its variant. Returns the length,
 * -ENOSPC, or -EINVAL for what is no block. */
int hf_cache_vary_rebuild(char *buf, size_t cap, const char *block, size_t len,
	const struct hf_http_req *req) HF_MUST_CHECK;
/* Is it what hf_cache_vary_build writes, as far as one can see? */
bool hf_cache_vary_is_block(const char *block, size_t len);
/* Does a block hold the value of a credential? */
bool hf_cache_vary_has_secret(const char *block, size_t len);

#endif
