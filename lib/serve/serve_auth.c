/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Routes with an auth flow: the credential is looked up, or an auth service is asked about it. A request goes on
 * by what the table of decisions holds in that turn, and by nothing else; so who was asked about, and what was
 * revoked or evicted meanwhile, is looked up again.
 *
 *      LOOKUP --credential--> id --allow--> go on        deny --> 401, 403
 *                              \--miss--> ASK (exchange) ... GONE --> the head is parsed again --> LOOKUP
 */
#include "hf_serve.h"

#include <string.h>

#include "hf_fallback.h"
#include "hf_wipe.h"

#include "serve_priv.h"

#define AUTH_CREDENTIAL_MAX 4096

/* ---- where the credential is ---- */

/* There is one, and only one? Who sends two means that we and the origin see different ones. */
struct auth_find {
	struct hf_span value;
	uint32_t count;
};

static void find_add(struct auth_find *find, struct hf_span value)
{
	find->value = value;
	find->count++;
}

static void find_field(
	const struct hf_http_fields *fields, struct hf_span name, struct auth_find *find)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (hf_span_caseeq(fields->lines[i].name, name))
			find_add(find, fields->lines[i].value);
}

/* NAME=VALUE among what SEPARATOR keeps apart. */
static void find_pair(
	struct hf_span text, char separator, struct hf_span name, struct auth_find *find)
{
	while (text.len > 0) {
		const char *end = memchr(text.ptr, separator, text.len);
		struct hf_span pair = { text.ptr, end ? (size_t)(end - text.ptr) : text.len };
		size_t skip = hf_min_size(pair.len + 1, text.len);

		text = (struct hf_span){ text.ptr + skip, text.len - skip };
		pair = hf_http_trim(pair);
		if (pair.len > name.len && pair.ptr[name.len] == '=' &&
			memcmp(pair.ptr, name.ptr, name.len) == 0)
			find_add(find, (struct hf_span){
					       pair.ptr + name.len + 1, pair.len - name.len - 1 });
	}
}

static void find_cookie(
	const struct hf_http_fields *fields, struct hf_span name, struct auth_find *find)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (fields->lines[i].id == HF_HTTP_FIELD_COOKIE)
			find_pair(fields->lines[i].value, ';', name, find);
}

static void find_parameter(struct hf_span target, struct hf_span name, struct auth_find *find)
{
	const char *query = memchr(target.ptr, '?', target.len);

	if (query)
		find_pair((struct hf_span){ query + 1,
				  (size_t)(target.ptr + target.len - query - 1) },
			'&', name, find);
}

/* False: none, or none that counts. */
static bool auth_credential(const struct hf_serve *serve, const struct serve_req *req,
	const struct hf_state_flow *flow, struct hf_span target, struct hf_span *ret_credential)
{
	const struct hf_http_fields *fields = &serve->http.fields;
	const struct hf_span name = { flow->name, strlen(flow->name) };
	struct auth_find find = { .count = 0 };

	switch (flow->in) {
	case HF_STATE_MTLS:
		if (!hf_state_flow_trusts(flow, hf_tcp_peer(req->conn->tcp)->b))
			return false;
		find_field(fields, name, &find);
		break;
	case HF_STATE_HEADER:
		find_field(fields, name, &find);
		break;
	case HF_STATE_COOKIE:
		find_cookie(fields, name, &find);
		break;
	case HF_STATE_QUERY:
		find_parameter(target, name, &find);
		break;
	}
	*ret_credential = find.value;
	return find.count == 1 && find.value.len > 0 && find.value.len <= AUTH_CREDENTIAL_MAX;
}

/* ---- what the service is told: the decision is kept under these very bytes ---- */

struct auth_text {
	char *ptr;
	size_t cap, len;
	bool full;
};

static void text_put(struct auth_text *text, struct hf_span from)
{
	if (text->full || from.len > text->cap - text->len) {
		text->full = true;
		return;
	}
	memcpy(text->ptr + text->len, from.ptr, from.len);
	text->len += from.len;
}

static void text_line(struct auth_text *text, const char *name, struct hf_span value)
{
	if (value.len == 0)
		return;
	text_put(text, (struct hf_span){ name, strlen(name) });
	text_put(text, HF_SPAN(": "));
	text_put(text, value);
	text_put(text, HF_SPAN("\r\n"));
}

/* X-Forwarded-Uri: the path, and the query, or one of them. */
static struct hf_span auth_uri(const struct hf_state_flow *flow, struct hf_span target)
{
	const char *query = memchr(target.ptr, '?', target.len);
	size_t path_len = query ? (size_t)(query - target.ptr) : target.len;

	if (!(flow->tell & HF_STATE_TELL_QUERY))
		target.len = path_len;
	if (!(flow->tell & HF_STATE_TELL_PATH))
		target = (struct hf_span){ target.ptr + path_len, target.len - path_len };
	return flow->tell & (HF_STATE_TELL_PATH | HF_STATE_TELL_QUERY) ? target
								       : (struct hf_span){ 0 };
}

/* In serve->ask_buf: the flow's digest, then field lines, the credential first. False: too long. */
static bool auth_facts(struct hf_serve *serve, const struct hf_state_flow *flow,
	struct hf_span credential, struct auth_text *text)
{
	const struct hf_http_fields *fields = &serve->http.fields;
	struct hf_span authority, target;

	serve_key_parts(&serve->key, &authority, &target);
	text_put(text, (struct hf_span){ (const char *)&flow->digest, sizeof(flow->digest) });
	text_line(text, flow->send_as, credential);
	if (flow->tell & HF_STATE_TELL_METHOD)
		text_line(text, "X-Forwarded-Method", serve->http.method_text);
	if (flow->tell & HF_STATE_TELL_HOST)
		text_line(text, "X-Forwarded-Host", authority);
	text_line(text, "X-Forwarded-Uri", auth_uri(flow, target));
	for (uint32_t i = 0; i < flow->headers.count; i++) {
		const char *name = flow->headers.name[i];

		for (uint32_t j = 0; j < fields->count; j++)
			if (hf_span_caseeq(
				    fields->lines[j].name, (struct hf_span){ name, strlen(name) }))
				text_line(text, name, fields->lines[j].value);
	}
	return !text->full;
}

/* ---- a question ---- */

static struct hf_xchg *ask_xchg(struct hf_serve *serve, const struct hf_state_flow *flow,
	const struct hf_auth_id *id, const struct auth_text *text, size_t credential_len)
{
	struct hf_span lines = { text->ptr + sizeof(flow->digest),
		text->len - sizeof(flow->digest) };
	struct hf_xchg *xchg = NULL;

	/* a service that hangs leaves exchanges to all that does not need it */
	if (serve->asks_out < hf_max_u32(serve->conf->origin.exchanges_max / 2, 1))
		xchg = hf_xchg_get(serve->xchgs, serve->worker);
	if (!xchg)
		return NULL;
	if (lines.len > xchg->buf_len) {
		hf_xchg_put(serve->xchgs, xchg);
		return NULL;
	}
	memcpy(xchg->buf, lines.ptr, lines.len);
	xchg->lines = (struct hf_span){ xchg->buf, lines.len };
	xchg->shard =
		(uint16_t)(flow->cache % serve->origins); /* which asks once for all workers */
	xchg->to = hf_xchg_link(serve->xchgs, serve->worker, xchg->shard);
	xchg->started_us = serve->now_us;
	xchg->ask.flow = flow;
	xchg->ask.state = hf_state_ref(serve->state);
	xchg->ask.id = *id;
	xchg->ask.credential =
		(struct hf_span){ xchg->buf + strlen(flow->send_as) + 2, credential_len };
	return xchg;
}

static enum serve_go auth_ask(struct hf_serve *serve, struct serve_req *req, struct hf_xchg *xchg)
{
	if (!xchg)
		return serve_fail(req, 503, HF_DROP_REQ_OVERLOAD);
	xchg->owner = req;
	req->ask = xchg;
	req->asks++;
	serve->asks_out++;
	req->ask_failed = false;
	req->step = SERVE_AUTH;
	serve_head_leave(serve);
	hf_xchg_to_origin(xchg->to, HF_XCHG_ASK, xchg);
	return SERVE_STAY;
}

void serve_auth_forget(struct serve_req *req)
{
	if (req->ask)
		req->ask->owner = NULL;
	req->ask = NULL;
}

void serve_auth_told(struct hf_serve *serve, struct hf_xchg *xchg)
{
	struct serve_req *req = xchg->owner;
	bool failed = xchg->ask.failed;

	xchg->owner = NULL;
	HF_ASSERT(serve->asks_out > 0);
	serve->asks_out--;
	hf_xchg_put(serve->xchgs, xchg);
	if (!req)
		return;
	HF_ASSERT(req->step == SERVE_AUTH && req->ask == xchg);
	req->ask = NULL;
	req->ask_failed = failed;
	serve_run(serve, req->conn);
}

enum serve_go serve_auth(struct hf_serve *serve, struct serve_req *req)
{
	if (req->ask)
		return SERVE_STAY;
	if (!serve_read_again(serve, req)) {
		req->keep_alive = false;
		return serve_fail(req, 400, HF_DROP_REQ_MALFORMED);
	}
	req->step = SERVE_LOOKUP;
	return SERVE_GO;
}

/* ---- the answer ---- */

static void auth_count_age(const struct hf_serve *serve, const struct hf_auth_decision *decision)
{
	uint64_t now_us = hf_max_u64(serve->now_us, decision->decided_us);

	hf_hist_add(HF_HIST_AUTH_AGE, (now_us - decision->decided_us) * 1000);
}

/* The service gave no answer, and the node lives on what it knows: an allow that is not too old. */
static bool auth_stands_in(const struct hf_serve *serve, const struct serve_req *req,
	const struct hf_state_flow *flow, const struct hf_auth_decision *decision)
{
	uint64_t window_us = flow->fallback_ttl_s * 1000000ULL;

	if (!req->ask_failed || !(serve->mode & HF_MODE_FALLBACK) || !decision->allow ||
		serve->now_us > decision->decided_us + window_us)
		return false;
	hf_stat_inc(HF_STAT_AUTH_FALLBACK_ALLOWED);
	return true;
}

/* The route's; NULL: everybody may. By the key, as the origin thread finds it. */
static const struct hf_state_flow *auth_flow(
	const struct hf_serve *serve, struct hf_span target, struct hf_span authority)
{
	const struct hf_state_route *route = hf_state_route_of_key(serve->state, authority, target);

	return route ? route->flow : NULL;
}

/* Would an origin that reads the path in another way give what stands behind another flow? */
static bool auth_is_ambiguous(struct hf_serve *serve, const struct hf_state_flow *flow,
	struct hf_span target, struct hf_span authority)
{
	const char *query = memchr(target.ptr, '?', target.len);
	struct hf_span path = { target.ptr, query ? (size_t)(query - target.ptr) : target.len };
	struct hf_span read;
	bool ambiguous;

	HF_ASSERT_HOT(path.len < serve->ask_cap);
	read = serve_auth_path(path, serve->ask_buf);
	ambiguous = !hf_span_eq(read, path) && auth_flow(serve, read, authority) != flow;
	hf_wipe(serve->ask_buf, read.len);
	return ambiguous;
}

/* True: allowed. */
static bool auth_judge(struct hf_serve *serve, struct serve_req *req,
	const struct hf_state_flow *flow, const struct hf_auth_id *id, bool *ret_ask,
	enum serve_go *ret_go)
{
	const struct hf_auth_decision *decision = NULL;
	enum hf_auth_result result =
		hf_auth_lookup(serve->auth, flow->cache, id, serve->now_us, &decision);
	bool is_hit = result == HF_AUTH_HIT || result == HF_AUTH_HIT_NEGATIVE;

	if (req->asks == 0)
		hf_auth_count(flow->cache, result);
	is_hit |= result == HF_AUTH_MISS_EXPIRED && auth_stands_in(serve, req, flow, decision);
	*ret_ask = !is_hit && !req->ask_failed && req->asks < SERVE_ASKS_MAX;
	if (*ret_ask)
		return false;
	if (!is_hit) {
		*ret_go = serve_fail(req, flow->error_status, HF_DROP_REQ_AUTH_ERROR);
		return false;
	}
	auth_count_age(serve, decision);
	if (!decision->allow) {
		*ret_go = serve_auth_denied(serve, req, decision);
		return false;
	}
	serve->flow = flow;
	serve->allowed = decision;
	/* RFC 9111 §3.5 counts for it as if that was its credential */
	serve->http.has_authorization |= flow->share == HF_STATE_SHARE_EXPLICIT;
	return true;
}

bool serve_auth_allows(struct hf_serve *serve, struct serve_req *req, enum serve_go *ret_go)
{
	struct auth_text text = { .ptr = serve->ask_buf, .cap = serve->ask_cap };
	struct hf_span authority, target, credential;
	const struct hf_state_flow *flow;
	struct hf_auth_id id;
	bool ask = false, allowed = false;

	serve_key_parts(&serve->key, &authority, &target);
	flow = auth_flow(serve, target, authority);
	if (auth_is_ambiguous(serve, flow, target, authority)) {
		*ret_go = serve_fail(req, 400, HF_DROP_REQ_MALFORMED);
		return false;
	}
	if (!flow)
		return true;
	if (!auth_credential(serve, req, flow, target, &credential) ||
		!auth_facts(serve, flow, credential, &text)) {
		serve->flow = flow;
		*ret_go = serve_auth_missing(serve, req);
	} else {
		id = hf_auth_id(serve->auth, text.ptr, text.len);
		allowed = auth_judge(serve, req, flow, &id, &ask, ret_go);
		if (ask)
			*ret_go = auth_ask(
				serve, req, ask_xchg(serve, flow, &id, &text, credential.len));
	}
	hf_wipe(text.ptr, text.len);
	return allowed;
}

/* ---- to the origin ---- */

/* Names that differ in '-' and '_' alone are one to what runs behind a gateway (RFC 3875 §4.1.18). */
static bool auth_is_name(struct hf_span field, const char *name)
{
	size_t i = 0;

	for (; i < field.len && name[i]; i++) {
		char a = field.ptr[i] == '_' ? '-' : field.ptr[i];
		char b = name[i] == '_' ? '-' : name[i];

		if (!hf_span_caseeq((struct hf_span){ &a, 1 }, (struct hf_span){ &b, 1 }))
			return false;
	}
	return i == field.len && !name[i];
}

static bool auth_is_among(struct hf_span field, const struct hf_state_names *names)
{
	for (uint32_t i = 0; i < names->count; i++)
		if (auth_is_name(field, names->name[i]))
			return true;
	return false;
}

void serve_auth_fields(const struct hf_serve *serve, struct hf_http_fields *fields)
{
	uint32_t count = 0;

	fields->have = 0;
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct hf_http_line *line = &fields->lines[i];

		if (auth_is_among(line->name, &serve->flow->add) ||
			auth_is_among(line->name, &serve->flow->remove))
			continue;
		fields->have |= 1ULL << line->id;
		fields->lines[count++] = *line;
	}
	fields->count = count;
}
