/* SPDX-License-Identifier: BSD-3-Clause
 *
 * MISS and WAIT: a request on its way to an origin thread. Refreshes, that no client waits for.
 */
#include "hf_serve.h"

#include <string.h>

#include "serve_priv.h"

/* The last holder let go: the origin thread hears FINISH, once. */
static void xchg_release(struct hf_ref *ref)
{
	struct hf_xchg *xchg = HF_CONTAINER_OF(ref, struct hf_xchg, ref);

	HF_ASSERT(!xchg->finished);
	HF_ASSERT(xchg->owner == NULL);
	xchg->finished = true;
	hf_xchg_to_origin(xchg->to, HF_XCHG_FINISH, xchg);
}

bool serve_ref_is_xchg(const struct hf_ref *ref)
{
	return ref->release == xchg_release;
}

void serve_miss_count(struct serve_req *req)
{
	static const enum hf_stat by_cause[] = {
		[HF_XCHG_MISS_ABSENT] = HF_STAT_CACHE_MISS_ABSENT,
		[HF_XCHG_MISS_EXPIRED] = HF_STAT_CACHE_MISS_EXPIRED,
		[HF_XCHG_MISS_REFUSED] = HF_STAT_CACHE_MISS_BYPASS,
		[HF_XCHG_MISS_VARY] = HF_STAT_CACHE_MISS_VARY,
		[HF_XCHG_BYPASS_METHOD] = HF_STAT_CACHE_MISS_BYPASS,
		[HF_XCHG_BYPASS_REQUEST] = HF_STAT_CACHE_MISS_BYPASS,
	};
	const struct hf_xchg *xchg = req->xchg;

	if (req->miss_counted)
		return;
	req->miss_counted = true;
	if (xchg->shared && req->cause <= HF_XCHG_MISS_VARY && xchg->obj && !xchg->stored)
		hf_stat_inc(HF_STAT_CACHE_MISS_UNCACHEABLE);
	else
		hf_stat_inc(by_cause[req->cause]);
}

void serve_xchg_drop(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_xchg *xchg = req->xchg;

	(void)serve;
	if (!xchg)
		return;
	serve_miss_count(req);
	if (hf_unlikely(req->log != NULL))
		serve_log_miss(req);
	req->xchg = NULL;
	req->obj = NULL;
	xchg->owner = NULL;
	hf_ref_put(&xchg->ref);
}

/* Appends bytes to the exchange's buffer; false when it is full. */
static bool miss_keep(
	struct hf_xchg *xchg, uint32_t *used, struct hf_span from, struct hf_span *ret)
{
	if (from.len > xchg->buf_len - *used)
		return false;
	memcpy(xchg->buf + *used, from.ptr, from.len);
	*ret = (struct hf_span){ xchg->buf + *used, from.len };
	*used += (uint32_t)from.len;
	return true;
}

/* Host and target as the key spells them. An answer that many may share is asked for by that, so that no
 * client stores another spelling's answer under the key. */
void serve_key_parts(
	const struct hf_key *key, struct hf_span *ret_authority, struct hf_span *ret_target)
{
	static const size_t scheme_len = sizeof("http://") - 1;
	const char *host = key->ptr + scheme_len;
	const char *slash = memchr(host, '/', key->len - scheme_len);

	HF_ASSERT(slash != NULL && slash > host);
	*ret_authority = (struct hf_span){ host, (size_t)(slash - host) };
	*ret_target = (struct hf_span){ slash, (size_t)(key->ptr + key->len - slash) };
}

/* May the answer be stored and shared, if it allows? With credentials (RFC 9111 §3.5) it mostly does not:
 * then the origin shall have the client's own condition or range, and the spelling that it may have signed. With
 * a secret in the URL the route decides; the spelling may be signed too. */
static bool miss_is_shared(const struct hf_serve *serve, enum hf_xchg_cause cause)
{
	const struct hf_http_req *http = &serve->http;
	struct hf_span authority, target;

	if (cause > HF_XCHG_MISS_VARY || http->method != HF_HTTP_GET)
		return false;
	if (http->has_authorization && (http->has_conditional || http->has_range))
		return false;
	if (!http->has_authorization && !hf_http_query_has_secret(http->path_query))
		return true;
	serve_key_parts(&serve->key, &authority, &target);
	return hf_span_eq(http->path_query, target);
}

/* "http://h?q" has no path to begin with (RFC 9112 §3.2.1). */
static bool miss_keep_target(struct hf_xchg *xchg, uint32_t *used, struct hf_span target)
{
	struct hf_span slash = { NULL, 0 };

	if (target.ptr[0] == '?' && !miss_keep(xchg, used, HF_SPAN("/"), &slash))
		return false;
	if (!miss_keep(xchg, used, target, &xchg->path_query))
		return false;
	xchg->path_query.ptr -= slash.len;
	xchg->path_query.len += slash.len;
	return true;
}

/* The request's head, to be parsed again. What its credential is, is the flow's word: its answer is one to
 * Authorization (RFC 9111 §3.5), wherever it came. */
static bool miss_keep_head(struct hf_serve *serve, struct hf_xchg *xchg, uint32_t *used)
{
	struct hf_span head = serve->head, at;
	size_t end = head.len > 1 && head.ptr[head.len - 2] == '\r' ? 2 : 1;

	if (!serve->http.has_authorization ||
		hf_http_fields_have(&serve->http.fields, HF_HTTP_FIELD_AUTHORIZATION))
		return miss_keep(xchg, used, head, &xchg->head);
	head.len -= end;
	if (!miss_keep(xchg, used, head, &xchg->head) ||
		!miss_keep(xchg, used, HF_SPAN("Authorization: *\r\n\r\n"), &at))
		return false;
	xchg->head.len += at.len;
	return true;
}

/* In Via (RFC 9110 §7.6.3). */
static struct hf_span miss_own_name(const struct hf_serve *serve)
{
	const char *node = serve->conf->node;

	return (struct hf_span){ node, strlen(node) };
}

/* Everything the origin thread reads, copied out of the connection's bytes; `used` of the buffer are, and
 * xchg->head is set. False: does not fit. Of a protected route the origin is asked for what was allowed, not for
 * another spelling of it. */
static bool miss_fill(struct hf_serve *serve, const struct serve_req *req, struct hf_xchg *xchg,
	struct hf_http_req *http, uint32_t used)
{
	char peer[SERVE_IP_LEN];
	struct hf_resp_forward forward = { .whole = xchg->shared, .proto = HF_SPAN("http") };
	struct hf_http_trace trace;
	struct hf_span key, target, added = { 0 };
	size_t lines_len;

	if (!miss_keep(xchg, &used, (struct hf_span){ serve->key.ptr, serve->key.len }, &key) ||
		!miss_keep(xchg, &used, http->method_text, &xchg->method_text))
		return false;
	xchg->key = (struct hf_key){ key.ptr, (uint32_t)key.len, serve->key.hash };
	serve_key_parts(&xchg->key, &xchg->authority, &target);
	if (!miss_keep_target(xchg, &used, xchg->shared || serve->flow ? target : http->path_query))
		return false;
	forward.authority = xchg->authority;
	forward.via = miss_own_name(serve);
	/* a refresh is no part of the request that caused it */
	if (hf_unlikely(req->log != NULL) && !xchg->background && serve_log_trace(req, &trace)) {
		forward.trace = &trace;
		forward.trace_begins = !req->log->trace.has_parent;
	}
	serve_ip_text(hf_tcp_peer(req->conn->tcp), peer);
	forward.client = (struct hf_span){ peer, strlen(peer) };
	if (serve->flow)
		serve_auth_fields(serve, &http->fields);
	lines_len = hf_resp_request_head(xchg->buf + used, xchg->buf_len - used, http, &forward);
	xchg->lines = (struct hf_span){ xchg->buf + used, lines_len };
	used += (uint32_t)lines_len;
	if (lines_len == 0 ||
		(serve->flow && !miss_keep(xchg, &used, serve->allowed->lines, &added)))
		return false;
	xchg->lines.len += added.len;
	return true;
}

static struct hf_xchg *miss_xchg(struct hf_serve *serve, enum hf_xchg_cause cause)
{
	const struct hf_http_req *http = &serve->http;
	struct hf_xchg *xchg = hf_xchg_get(serve->xchgs, serve->worker);

	if (!xchg)
		return NULL;
	hf_ref_init(&xchg->ref, xchg_release);
	xchg->shard = (uint16_t)hf_cache_shard_index(serve->cache, serve->key.hash);
	xchg->to = hf_xchg_link(serve->xchgs, serve->worker, xchg->shard);
	xchg->cause = cause;
	xchg->method = http->method;
	xchg->has_authorization = http->has_authorization;
	xchg->auth = serve->flow ? serve->flow->digest : 0;
	xchg->shared = miss_is_shared(serve, cause);
	xchg->has_body = http->body != HF_HTTP_BODY_NONE;
	xchg->body_length_known = http->body != HF_HTTP_BODY_CHUNKED;
	xchg->body_length = http->content_length;
	xchg->started_us = serve->now_us;
	return xchg;
}

enum serve_go serve_miss(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_xchg *xchg;
	uint32_t used = 0;

	if (hf_http_via_has(&serve->http.fields, miss_own_name(serve)))
		return serve_fail(req, 508, HF_DROP_REQ_LOOP);
	xchg = miss_xchg(serve, req->cause);
	if (!xchg)
		return serve_fail(req, 503, HF_DROP_REQ_OVERLOAD);
	if (!miss_keep_head(serve, xchg, &used) ||
		!miss_fill(serve, req, xchg, &serve->http, used)) {
		hf_xchg_put(serve->xchgs, xchg);
		return serve_fail(req, 431, HF_DROP_REQ_HEAD_LARGE);
	}
	req->asks_part = (serve->http.fields.have & SERVE_PART_FIELDS) != 0;
	serve_head_done(serve, req);
	req->obj = NULL; /* a stale one was borrowed */
	req->xchg = xchg;
	xchg->owner = req;
	hf_xchg_to_origin(xchg->to, HF_XCHG_START, xchg);
	req->step = SERVE_WAIT;
	if (req->upload_done)
		return SERVE_STAY;
	if (req->method ==
		HF_HTTP_CONNECT) /* how long it may be silent is the origin thread's to time */
		return SERVE_GO;
	req->conn->rate_mark = 0;
	serve_timer_set(serve, req->conn, SERVE_TIMER_UPLOAD, SERVE_RATE_PERIOD_US);
	if (req->expect_continue && !serve_send(serve, req, HF_RESP_CONTINUE,
					    sizeof(HF_RESP_CONTINUE) - 1, NULL, false))
		return serve_conn_abort(serve, req->conn, HF_DROP_REQ_CUT);
	return SERVE_GO;
}

/* Interim answers that came; never to a 1.0 client (RFC 9110 §15.2). False: they cannot be queued. */
static bool wait_interim(struct hf_serve *serve, struct serve_req *req)
{
	struct hf_xchg *xchg = req->xchg;
	uint32_t len = atomic_load_explicit(&xchg->interim_len, memory_order_acquire);
	const char *at = hf_xchg_interim(xchg) + req->interim_sent;
	uint32_t more = len - req->interim_sent;

	req->interim_sent = len;
	return req->minor == 0 || serve_send(serve, req, at, more, &xchg->ref, false);
}

enum serve_go serve_wait(struct hf_serve *serve, struct serve_req *req)
{
	struct serve_conn *conn = req->conn;

	if (!wait_interim(serve, req))
		return serve_conn_abort(serve, conn, HF_DROP_REQ_CUT);
	if (req->upload_done)
		return SERVE_STAY;
	switch (serve_upload(serve, req)) {
	case SERVE_UPLOAD_BAD:
		return serve_fail(req, 400, HF_DROP_REQ_BODY_BAD);
	case SERVE_UPLOAD_DONE:
		serve_timer_stop(serve, conn);
		break;
	case SERVE_UPLOAD_MORE:
		if (serve_upload_cut(req))
			return serve_conn_close(serve, conn);
		break;
	}
	return SERVE_STAY;
}

/* ---- stale-while-revalidate ---- */

/* What a refresh takes of the hit's request: no wish about caching, and nothing that is its client's alone
 * but credentials, without which there may be no answer (RFC 9111 §3.5 judges it). */
static bool refresh_takes(const struct hf_state_flow *flow, const struct hf_http_line *line)
{
	if (line->id == HF_HTTP_FIELD_AUTHORIZATION)
		return true;
	if (flow && flow->in == HF_STATE_HEADER &&
		hf_span_caseeq(line->name, (struct hf_span){ flow->name, strlen(flow->name) }))
		return true;
	return !line->hop && !(hf_http_field_flags(line->id) & HF_HTTP_FIELD_COND) &&
	       !hf_http_field_is_secret(line->id, line->name) && line->id != HF_HTTP_FIELD_COOKIE &&
	       line->id != HF_HTTP_FIELD_CACHE_CONTROL && line->id != HF_HTTP_FIELD_PRAGMA;
}

static void refresh_fields(const struct hf_state_flow *flow, const struct hf_http_fields *from,
	struct hf_http_fields *ret_fields)
{
	ret_fields->count = 0;
	ret_fields->have = 0;
	for (uint32_t i = 0; i < from->count; i++) {
		if (!refresh_takes(flow, &from->lines[i]))
			continue;
		ret_fields->lines[ret_fields->count++] = from->lines[i];
		ret_fields->have |= 1ULL << from->lines[i].id;
	}
}

/* The request's head, to be parsed again; 0: does not fit. */
static uint32_t refresh_head(struct hf_xchg *xchg, const struct hf_http_req *http)
{
	uint32_t used = 0;
	struct hf_span at;
	bool fits = miss_keep(xchg, &used, http->method_text, &at) &&
		    miss_keep(xchg, &used, HF_SPAN(" "), &at) &&
		    miss_keep(xchg, &used, http->target, &at) &&
		    miss_keep(xchg, &used, HF_SPAN(" HTTP/1.1\r\n"), &at);

	for (uint32_t i = 0; fits && i < http->fields.count; i++)
		fits = miss_keep(xchg, &used, http->fields.lines[i].name, &at) &&
		       miss_keep(xchg, &used, HF_SPAN(": "), &at) &&
		       miss_keep(xchg, &used, http->fields.lines[i].value, &at) &&
		       miss_keep(xchg, &used, HF_SPAN("\r\n"), &at);
	if (fits && http->has_authorization &&
		!hf_http_fields_have(&http->fields, HF_HTTP_FIELD_AUTHORIZATION))
		fits = miss_keep(xchg, &used, HF_SPAN("Authorization: *\r\n"), &at);
	fits = fits && miss_keep(xchg, &used, HF_SPAN("\r\n"), &at);
	xchg->head = (struct hf_span){ xchg->buf, used };
	return fits ? used : 0;
}

static bool refresh_start(struct hf_serve *serve, const struct serve_req *req)
{
	struct hf_http_req http = serve->http;
	struct hf_xchg *xchg;
	uint32_t used;

	/* clients who wait go first */
	if (hf_xchg_out_count(serve->xchgs, serve->worker) >= serve->conf->origin.exchanges_max / 2)
		return false;
	xchg = miss_xchg(serve, HF_XCHG_MISS_EXPIRED);
	if (!xchg)
		return false;
	HF_ASSERT(xchg->shared && !xchg->has_body && !xchg->owner);
	xchg->background = true;
	refresh_fields(serve->flow, &serve->http.fields, &http.fields);
	used = refresh_head(xchg, &http);
	if (used == 0 || !miss_fill(serve, req, xchg, &http, used)) {
		hf_xchg_put(serve->xchgs, xchg);
		return false;
	}
	hf_xchg_to_origin(xchg->to, HF_XCHG_START, xchg);
	return true;
}

void serve_refresh(struct hf_serve *serve, const struct serve_req *req)
{
	struct hf_obj *obj = req->obj;

	if (!miss_is_shared(serve, HF_XCHG_MISS_EXPIRED))
		return; /* nothing that may be stored would come of it */
	if (!hf_obj_refresh_take(obj, serve->now_us))
		return;
	if (refresh_start(serve, req)) {
		hf_stat_inc(HF_STAT_CACHE_REFRESHES);
		return;
	}
	hf_stat_inc(HF_STAT_CACHE_REFRESHES_SHED);
	hf_obj_refresh_put(obj, serve->now_us);
}
