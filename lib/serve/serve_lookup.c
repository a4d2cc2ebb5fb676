/* SPDX-License-Identifier: BSD-3-Clause
 *
 * LOOKUP and HIT: who answers this request, and the answer when it is the cache.
 */
#include "hf_serve.h"

#include <stdio.h>

#include "hf_fallback.h"

#include "serve_priv.h"

/* GET or HEAD of a path, and no expectation that is not known: nothing of lookup_own. */
static bool lookup_is_usual(const struct hf_http_req *http)
{
	return (http->method == HF_HTTP_GET || http->method == HF_HTTP_HEAD) &&
	       http->form == HF_HTTP_FORM_ORIGIN && !http->expect_unknown;
}

/* Requests that this node answers or refuses whatever is stored. True: *ret_go says how. */
HF_NOINLINE static bool lookup_own(
	struct hf_serve *serve, struct serve_req *req, enum serve_go *ret_go)
{
	const struct hf_http_req *http = &serve->http;

	if (http->expect_unknown) {
		*ret_go = serve_fail(req, 417, HF_DROP_REQ_EXPECTATION);
		return true;
	}
	/* RFC 9110 §7.4: it did not come over a secured connection. */
	if (hf_span_caseeq(http->scheme, HF_SPAN("https"))) {
		*ret_go = serve_fail(req, 421, HF_DROP_REQ_NO_ROUTE);
		return true;
	}
	if (http->method == HF_HTTP_CONNECT)
		return serve_tunnel_refuses(serve, req, ret_go);
	if (http->method == HF_HTTP_TRACE) {
		*ret_go = serve_fail(req, 405, HF_DROP_REQ_METHOD_NOT_ALLOWED);
		return true;
	}
	if (http->method == HF_HTTP_OPTIONS &&
		(http->form == HF_HTTP_FORM_ASTERISK || http->max_forwards == 0)) {
		*ret_go = serve_fail(req, 204, HF_DROP_NONE);
		return true;
	}
	return false;
}

/* A 1.0 request may name no host (RFC 9112 §3.3): it means whom it was sent to. */
HF_NOINLINE static struct hf_span lookup_local(struct hf_serve *serve, const struct serve_req *req)
{
	size_t cap = sizeof(serve->local);
	struct hf_tcp_info info;
	char ip[SERVE_IP_LEN];
	const char *format;

	hf_tcp_info(serve->tcp, req->conn->tcp, &info);
	serve_ip_text(&info.local, ip);
	format = hf_ip_is4(&info.local) ? "%s:%u" : "[%s]:%u";
	return (struct hf_span){ serve->local,
		(size_t)snprintf(serve->local, cap, format, ip, info.local_port) };
}

static bool lookup_key(struct hf_serve *serve, const struct serve_req *req)
{
	const struct hf_http_req *http = &serve->http;
	struct hf_span authority = http->authority;
	int len;

	if (serve_ahead_take(serve))
		return true;
	if (hf_unlikely(authority.len == 0))
		authority = lookup_local(serve, req);
	len = hf_http_memo_key(&serve->memo, serve->key_buf, serve->key_cap, http, authority);
	if (len < 0)
		return false;
	serve->key = (struct hf_key){ .ptr = serve->key_buf, .len = (uint32_t)len };
	serve->key.hash = hf_cache_hash(serve->cache, serve->key.ptr, serve->key.len);
	return true;
}

/* In fallback what is stale by no more than max_stale answers where nothing forbids it. */
static bool lookup_stands_in(
	const struct hf_serve *serve, const struct hf_obj *obj, const struct hf_cache_req *facts)
{
	uint32_t window_s = hf_max_u32(serve->conf->control_plane.max_stale_s, obj->life.sie_s);

	return (serve->mode & HF_MODE_FALLBACK) &&
	       hf_cache_stale_is_valid(
		       &obj->life, &facts->cc, hf_obj_life_age_s(obj, serve->now_us), window_s);
}

/* It is stored, and not fresh to this request: may it answer all the same, and if not, why not? */
HF_NOINLINE static enum hf_xchg_cause lookup_judge_old(struct hf_serve *serve,
	struct serve_req *req, const struct hf_cache_req *facts, enum hf_cache_use use)
{
	struct hf_obj *obj = req->obj;

	switch (use) {
	case HF_CACHE_USE_FRESH:
		break;
	case HF_CACHE_USE_STALE:
		hf_stat_inc(HF_STAT_CACHE_STALE_CLIENT);
		break;
	case HF_CACHE_USE_STALE_SWR:
		hf_stat_inc(HF_STAT_CACHE_STALE_SWR);
		serve_refresh(serve, req);
		break;
	case HF_CACHE_USE_REVALIDATE:
		if (hf_obj_use(obj, NULL, serve->now_us) == HF_CACHE_USE_FRESH)
			return HF_XCHG_MISS_REFUSED;
		if (!lookup_stands_in(serve, obj, facts))
			return HF_XCHG_MISS_EXPIRED;
		hf_stat_inc(HF_STAT_CACHE_STALE_FALLBACK);
		serve_refresh(serve, req);
		break;
	}
	req->stale = use != HF_CACHE_USE_FRESH;
	req->step = SERVE_HIT;
	return HF_XCHG_MISS_ABSENT; /* of no meaning on a hit */
}

/* What is stored: may it answer, and if not, why not? */
static enum hf_xchg_cause lookup_judge(struct hf_serve *serve, struct serve_req *req,
	const struct hf_cache_req *facts, enum hf_lookup verdict)
{
	struct hf_obj *obj = req->obj;
	enum hf_cache_use use;

	if (!obj)
		return verdict == HF_LOOKUP_VARY ? HF_XCHG_MISS_VARY : HF_XCHG_MISS_ABSENT;
	/* of a secret in the URL the origin thread judges: it knows the route */
	if (!hf_obj_is_open_to(obj, facts))
		return facts->has_authorization ? HF_XCHG_BYPASS_REQUEST : HF_XCHG_MISS_ABSENT;
	use = hf_obj_use(obj, &facts->cc, serve->now_us);
	if (hf_unlikely(use != HF_CACHE_USE_FRESH))
		return lookup_judge_old(serve, req, facts, use);
	req->step = SERVE_HIT;
	return HF_XCHG_MISS_ABSENT; /* of no meaning on a hit */
}

/* Is nothing of its route for more than one? */
static bool lookup_is_private(const struct hf_serve *serve)
{
	return serve->flow && serve->flow->share == HF_STATE_SHARE_NONE;
}

enum serve_go serve_lookup(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_cache_req facts;
	enum hf_lookup verdict;
	enum serve_go go;

	if (!lookup_is_usual(&serve->http) && lookup_own(serve, req, &go))
		return go;
	if (!lookup_key(serve, req))
		return serve_fail(req, 400, HF_DROP_REQ_MALFORMED);
	if (hf_unlikely(req->log != NULL))
		req->log->trace.key_hash = serve->key.hash;
	serve->flow = NULL;
	if (serve->state && serve->state->flow_count > 0 && !serve_auth_allows(serve, req, &go))
		return go;
	hf_cache_req_init(&serve->http, &facts);
	req->step = SERVE_MISS;
	if (!facts.cacheable) {
		req->cause = HF_XCHG_BYPASS_METHOD;
		return SERVE_GO;
	}
	if (!hf_cache_req_allows(&facts) || lookup_is_private(serve)) {
		req->cause = HF_XCHG_BYPASS_REQUEST;
	} else {
		req->obj = hf_cache_lookup(serve->cache, &serve->key, &serve->http, &verdict);
		req->cause = lookup_judge(serve, req, &facts, verdict);
	}
	if (req->step == SERVE_MISS && facts.cc.only_if_cached)
		return serve_fail(req, 504, HF_DROP_NONE); /* RFC 9111 §5.2.1.7 */
	return SERVE_GO;
}

/* A body that fits behind its head in the send buffer: one copy, nothing to hold on to. */
static bool hit_small(struct hf_serve *serve, struct serve_req *req)
{
	uint64_t len = req->obj->head_len + HF_RESP_OWN_MAX + req->obj->length;

	return len <= SERVE_TXBUF_CAP && serve_txbuf_room(serve, req, (uint32_t)len);
}

/* Takes hold of the object for as long as its bytes are under way. False: too many are. */
static bool hit_lease(struct hf_serve *serve, struct serve_req *req)
{
	req->lease = hf_reader_lease(serve->reader, req->obj);
	if (!req->lease)
		return false;
	serve_send_watch(serve, req->conn);
	return true;
}

/* The client has it already, or wants a part of it. */
static enum serve_go hit_part(struct hf_serve *serve, struct serve_req *req)
{
	if (!serve_part_small(req) && !hit_lease(serve, req))
		return serve_fail(req, 503, HF_DROP_REQ_OVERLOAD);
	hf_obj_touch(req->obj);
	hf_stat_inc(HF_STAT_CACHE_HITS);
	hf_stat_inc(HF_STAT_L1_HIT);
	serve_head_done(serve, req);
	return serve_part_head(serve, req);
}

enum serve_go serve_hit(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_obj *obj = req->obj;

	HF_ASSERT_HOT(obj->length != HF_OBJ_LENGTH_UNKNOWN);
	if (hf_unlikely(req->log != NULL))
		serve_log_obj(serve, req);
	if (hf_unlikely(serve->http.fields.have & SERVE_PART_FIELDS) &&
		serve_part_begin(serve, req, "hit"))
		return hit_part(serve, req);
	if (!hit_small(serve, req) && !hit_lease(serve, req))
		return serve_fail(req, 503, HF_DROP_REQ_OVERLOAD);
	hf_obj_touch(obj);
	hf_stat_inc(HF_STAT_CACHE_HITS);
	hf_stat_inc(HF_STAT_L1_HIT);
	serve_head_done(serve, req);
	req->framing =
		obj->status == 204 || obj->status == 304 ? HF_RESP_BODY_NONE : HF_RESP_BODY_LENGTH;
	if (!serve_send_hit(serve, req))
		return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	req->step = req->lease ? SERVE_BODY : SERVE_DONE; /* a small body went out with its head */
	return SERVE_GO;
}
