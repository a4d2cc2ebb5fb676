/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Auth services are asked whether a credential may have what it wants: one question at a time for what is decided
 * together, whichever workers wait for it.
 *
 *      ASK -> revoked by the state? -> deny
 *          -> the same is asked already? -> wait with it
 *          -> a service of the group --2xx--> allow, 401, 403--> deny --> lib/auth -> GONE to all who wait
 *                   ^ \--anything else, or late--> error
 *                   '---- the next one, while there is time, then GONE with `failed`
 *
 * No fetches: they take no slot, and nothing of them is stored but the decision.
 */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hf_wipe.h"

#include "origin_priv.h"
#include "origin_wire.h"

#define AUTH_ASKS_MAX   512 /* of a thread; one more is an error */
#define AUTH_HEAD_MAX   16384
#define AUTH_BODY_MAX   (64 * 1024) /* that is read and left */
#define AUTH_ATTEMPT_MS 10          /* the least that is worth another try */

struct origin_ask {
	struct hf_list link; /* in origin->asks */
	struct hf_xchg *waiting;
	struct hf_state *state; /* a reference */
	const struct hf_state_flow *flow;
	struct hf_auth_id id;
	uint8_t who[HF_SHA256_LEN];
	uint64_t epoch, begun_us;
	uint32_t tried, at; /* services of the group: how many were asked, the next one */
	CURL *easy;
	struct curl_slist *lines;
	size_t head_len, body_len;
	bool whole; /* the head is */
	char head[AUTH_HEAD_MAX];
	char body[HF_AUTH_BODY_MAX];
};

/* ---- what comes ---- */

static size_t auth_on_head(char *data, size_t size, size_t count, void *arg)
{
	struct origin_ask *ask = arg;
	size_t len = size * count;

	if (ask->whole && len > 5 && memcmp(data, "HTTP/", 5) == 0) {
		ask->head_len = 0; /* the one before was an interim answer's */
		ask->whole = false;
	}
	if (ask->whole)
		return len; /* trailers */
	if (len > sizeof(ask->head) - ask->head_len)
		return 0;
	memcpy(ask->head + ask->head_len, data, len);
	ask->head_len += len;
	ask->whole = (len == 2 && data[0] == '\r') || (len == 1 && data[0] == '\n');
	return len;
}

static size_t auth_on_body(char *data, size_t size, size_t count, void *arg)
{
	struct origin_ask *ask = arg;
	size_t len = size * count;

	if (ask->body_len + len <= sizeof(ask->body))
		memcpy(ask->body + ask->body_len, data, len);
	ask->body_len += len;
	return ask->body_len <= AUTH_BODY_MAX ? len : 0;
}

/* ---- one question ---- */

static bool ask_line(struct origin_ask *ask, const char *line)
{
	struct curl_slist *longer = curl_slist_append(ask->lines, line);

	if (longer)
		ask->lines = longer;
	return longer != NULL;
}

/* As the worker wrote them, "Name: value\r\n" each; no value is empty. */
static bool ask_lines(struct hf_origin *origin, struct origin_ask *ask)
{
	static const char *const without[] = { "Accept:", "Expect:", "Content-Type:" };
	struct hf_span rest = ask->waiting->lines;
	bool good = true;

	while (good && rest.len > 0) {
		size_t len = (size_t)((const char *)memchr(rest.ptr, '\r', rest.len) - rest.ptr);

		HF_ASSERT(len > 0 && len + 2 <= rest.len && len < ORIGIN_SCRATCH_LEN);
		memcpy(origin->scratch, rest.ptr, len);
		origin->scratch[len] = '\0';
		good = ask_line(ask, origin->scratch);
		hf_wipe(origin->scratch, len);
		rest.ptr += len + 2;
		rest.len -= len + 2;
	}
	for (size_t i = 0; good && i < HF_ARRAY_LEN(without); i++)
		good = ask_line(ask, without[i]);
	return good;
}

static CURLcode ask_set_method(struct origin_ask *ask)
{
	if (strcmp(ask->flow->method, "HEAD") == 0)
		return curl_easy_setopt(ask->easy, CURLOPT_NOBODY, 1L);
	if (strcmp(ask->flow->method, "GET") == 0)
		return curl_easy_setopt(ask->easy, CURLOPT_HTTPGET, 1L);
	HF_ASSERT(strcmp(ask->flow->method, "POST") == 0);
	return curl_easy_setopt(ask->easy, CURLOPT_POSTFIELDSIZE, 0L) |
	       curl_easy_setopt(ask->easy, CURLOPT_POSTFIELDS, "");
}

static bool ask_set(struct hf_origin *origin, struct origin_ask *ask, const char *url, uint32_t ms)
{
	CURL *easy = ask->easy;
	CURLcode code = origin_rules_set(origin, easy, url);

	code |= curl_easy_setopt(easy, CURLOPT_PRIVATE, origin);
	code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "holdfast");
	code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)ms);
	code |= ask_set_method(ask);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, auth_on_head);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, ask);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, auth_on_body);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, ask);
	if (code != CURLE_OK || !ask_lines(origin, ask))
		return false;
	return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, ask->lines) == CURLE_OK &&
	       curl_multi_add_handle(origin->multi, easy) == CURLM_OK;
}

static void ask_stop(struct hf_origin *origin, struct origin_ask *ask)
{
	if (ask->easy) {
		(void)curl_multi_remove_handle(origin->multi, ask->easy);
		curl_easy_cleanup(ask->easy);
	}
	curl_slist_free_all(ask->lines);
	ask->easy = NULL;
	ask->lines = NULL;
}

/* The next service of the group that is not drained; NULL: each was asked. */
static const struct hf_state_origin *ask_next(struct origin_ask *ask)
{
	const struct hf_state_group *group = ask->flow->group;

	while (ask->tried < group->origin_count) {
		const struct hf_state_origin *service = &group->origin[ask->at];

		ask->at = (ask->at + 1) % group->origin_count;
		ask->tried++;
		if (!service->drained)
			return service;
	}
	return NULL;
}

/* Of the time that is left each service that is left has its part, so that one that hangs leaves some. False: there
 * is none, or no time. */
static bool ask_begin(struct hf_origin *origin, struct origin_ask *ask)
{
	const struct hf_state_origin *service = ask_next(ask);
	uint32_t left = ask->flow->group->origin_count - ask->tried + 1;
	uint64_t spent_ms = (hf_clock_us() - ask->begun_us) / 1000;
	char url[2 * HF_STATE_URL_MAX + 1];
	uint32_t ms;

	if (!service || spent_ms + AUTH_ATTEMPT_MS > ask->flow->timeout_ms)
		return false;
	ms = hf_max_u32((ask->flow->timeout_ms - (uint32_t)spent_ms) / left, AUTH_ATTEMPT_MS);
	HF_ASSERT(snprintf(url, sizeof(url), "%s%s", service->url, ask->flow->path) <
		  (int)sizeof(url));
	ask->head_len = ask->body_len = 0;
	ask->whole = false;
	ask->easy = curl_easy_init();
	if (ask->easy && ask_set(origin, ask, url, ms))
		return true;
	ask_stop(origin, ask);
	return false;
}

/* ---- who waits ---- */

static void ask_tell(struct hf_origin *origin, struct hf_xchg *xchg, bool failed)
{
	xchg->ask.failed = failed;
	xchg->ask.next = NULL;
	hf_xchg_to_worker(origin->link[xchg->worker], HF_XCHG_GONE, xchg);
}

static void ask_free(struct hf_origin *origin, struct origin_ask *ask)
{
	ask_stop(origin, ask);
	hf_list_del(&ask->link);
	hf_state_unref(ask->state);
	HF_ASSERT(origin->ask_count > 0);
	origin->ask_count--;
	hf_wipe_free(ask);
}

static void ask_end(struct hf_origin *origin, struct origin_ask *ask, bool failed)
{
	hf_hist_add(HF_HIST_AUTH_ASK, (hf_clock_us() - ask->begun_us) * 1000);
	while (ask->waiting) {
		struct hf_xchg *xchg = ask->waiting;

		ask->waiting = xchg->ask.next;
		ask_tell(origin, xchg, failed);
	}
	ask_free(origin, ask);
}

/* ---- what it means ---- */

static bool answer_put(char *buf, size_t *len, struct hf_span name, struct hf_span value)
{
	int more = snprintf(buf + *len, HF_AUTH_LINES_MAX - *len, "%.*s: %.*s\r\n", (int)name.len,
		name.ptr, (int)value.len, value.ptr);

	if (more < 0 || (size_t)more >= HF_AUTH_LINES_MAX - *len)
		return false;
	*len += (size_t)more;
	return true;
}

/* What an allow has for the origin. False: more than is kept. */
static bool answer_added(
	const struct origin_ask *ask, const struct hf_http_fields *fields, char *buf, size_t *len)
{
	for (uint32_t i = 0; i < ask->flow->add.count; i++) {
		struct hf_span name = { ask->flow->add.name[i], strlen(ask->flow->add.name[i]) };

		for (uint32_t j = 0; j < fields->count; j++)
			if (!fields->lines[j].hop && fields->lines[j].value.len > 0 &&
				hf_span_caseeq(fields->lines[j].name, name) &&
				!answer_put(buf, len, name, fields->lines[j].value))
				return false;
	}
	return true;
}

/* Of a deny the client learns how to do better (RFC 9110 §11.6.1), when, and in what the body is written. What
 * does not fit is left out. */
static void answer_told(const struct origin_ask *ask, const struct hf_http_fields *fields,
	uint16_t status, char *buf, size_t *len)
{
	static const char *const told[] = { "WWW-Authenticate", "Retry-After", "Content-Type",
		"Content-Encoding" };
	bool challenged = false;

	for (size_t i = 0; i < HF_ARRAY_LEN(told); i++) {
		struct hf_span name = { told[i], strlen(told[i]) };

		for (uint32_t j = 0; fields && j < fields->count; j++)
			if (hf_span_caseeq(fields->lines[j].name, name) &&
				fields->lines[j].value.len > 0)
				challenged |= answer_put(buf, len, name, fields->lines[j].value) &&
					      i == 0;
		if (i == 0 && status == 401 && !challenged)
			(void)answer_put(buf, len, name,
				(struct hf_span){
					ask->flow->challenge, strlen(ask->flow->challenge) });
	}
}

/* Nothing is kept when it was revoked meanwhile: who waits finds that, and asks again. */
static void answer_keep(
	struct hf_origin *origin, struct origin_ask *ask, struct hf_auth_decision *decision)
{
	uint32_t ttl_s = decision->allow ? ask->flow->ttl_s : ask->flow->negative_ttl_s;

	decision->decided_us = ask->begun_us;
	decision->ttl_us = ttl_s * 1000000ULL;
	(void)hf_auth_put(origin->auth, ask->flow->cache, &ask->id, ask->who, ask->epoch, decision);
	hf_stat_inc(decision->allow ? HF_STAT_AUTH_ASKED_ALLOW : HF_STAT_AUTH_ASKED_DENY);
}

/* A head that says no is a no, whatever becomes of its body. */
static void answer_deny(struct hf_origin *origin, struct origin_ask *ask,
	const struct hf_http_resp *resp, uint16_t status, bool whole)
{
	struct hf_auth_decision decision = { .allow = false, .status = status };
	char lines[HF_AUTH_LINES_MAX];
	size_t len = 0;

	answer_told(ask, resp ? &resp->fields : NULL, status, lines, &len);
	decision.lines = (struct hf_span){ lines, len };
	if (whole && ask->body_len <= sizeof(ask->body))
		decision.body = (struct hf_span){ ask->body, ask->body_len };
	answer_keep(origin, ask, &decision);
}

/* False: it may not count. */
static bool answer_allow(
	struct hf_origin *origin, struct origin_ask *ask, const struct hf_http_resp *resp)
{
	struct hf_auth_decision decision = { .allow = true, .status = resp->status };
	char lines[HF_AUTH_LINES_MAX];
	size_t len = 0;

	if (!answer_added(ask, &resp->fields, lines, &len))
		return false;
	decision.lines = (struct hf_span){ lines, len };
	answer_keep(origin, ask, &decision);
	return true;
}

/* False: it is an error. */
static bool answer_judge(struct hf_origin *origin, struct origin_ask *ask, CURLcode code)
{
	struct hf_http_resp resp;
	bool parsed =
		ask->whole && hf_http_resp_parse(ask->head, ask->head_len, &resp) == HF_PARSE_DONE;
	long status = 0;

	(void)curl_easy_getinfo(ask->easy, CURLINFO_RESPONSE_CODE, &status);
	if (ask->whole && (status == 401 || status == 403)) {
		answer_deny(origin, ask, parsed ? &resp : NULL, (uint16_t)status, code == CURLE_OK);
		return true;
	}
	return code == CURLE_OK && parsed && resp.status >= 200 && resp.status < 300 &&
	       resp.status == status && answer_allow(origin, ask, &resp);
}

void origin_auth_done(struct hf_origin *origin, CURL *easy, CURLcode code)
{
	struct origin_ask *ask = NULL;
	struct hf_list *it;
	bool decided;

	hf_list_for_each (it, &origin->asks)
		if (HF_CONTAINER_OF(it, struct origin_ask, link)->easy == easy)
			ask = HF_CONTAINER_OF(it, struct origin_ask, link);
	HF_ASSERT(ask);
	decided = answer_judge(origin, ask, code);
	ask_stop(origin, ask);
	if (!decided && ask_begin(origin, ask))
		return;
	if (!decided)
		hf_stat_inc(HF_STAT_AUTH_ASKED_ERROR);
	ask_end(origin, ask, !decided);
}

/* ---- a question comes ---- */

static struct origin_ask *ask_find(const struct hf_origin *origin, const struct hf_xchg *xchg)
{
	struct hf_list *it;

	hf_list_for_each (it, &origin->asks) {
		struct origin_ask *ask = HF_CONTAINER_OF(it, struct origin_ask, link);

		if (ask->flow->cache == xchg->ask.flow->cache &&
			hf_auth_id_eq(&ask->id, &xchg->ask.id))
			return ask;
	}
	return NULL;
}

/* Takes the exchange's reference of the state. */
static struct origin_ask *ask_new(struct hf_origin *origin, struct hf_xchg *xchg)
{
	struct origin_ask *ask = origin->ask_count < AUTH_ASKS_MAX ? malloc(sizeof(*ask)) : NULL;
	const struct hf_state_flow *flow = xchg->ask.flow;

	if (!ask)
		return NULL;
	memset(ask, 0, offsetof(struct origin_ask, head));
	ask->flow = flow;
	ask->state = xchg->ask.state;
	ask->id = xchg->ask.id;
	ask->begun_us = hf_clock_us();
	ask->epoch = hf_auth_epoch(origin->auth, flow->cache);
	hf_sha256(xchg->ask.credential.ptr, xchg->ask.credential.len, ask->who);
	if (flow->group->origin_count > 0)
		ask->at = origin->ask_turn++ % flow->group->origin_count;
	ask->waiting = xchg;
	hf_list_add_tail(&origin->asks, &ask->link);
	origin->ask_count++;
	return ask;
}

void origin_auth_take(struct hf_origin *origin, struct hf_xchg *xchg)
{
	struct origin_ask *ask = ask_find(origin, xchg);

	HF_ASSERT(xchg->ask.flow && xchg->ask.state && !xchg->ask.next);
	if (ask) {
		hf_state_unref(xchg->ask.state);
		xchg->ask.next = ask->waiting;
		ask->waiting = xchg;
		return;
	}
	ask = ask_new(origin, xchg);
	if (!ask) {
		hf_state_unref(xchg->ask.state);
		hf_stat_inc(HF_STAT_AUTH_ASKED_ERROR);
		ask_tell(origin, xchg, /* failed= */ true);
		return;
	}
	if (hf_state_is_revoked(ask->state, ask->who)) {
		answer_deny(origin, ask, NULL, 401, /* whole= */ true);
		ask_end(origin, ask, /* failed= */ false);
	} else if (!ask_begin(origin, ask)) {
		hf_stat_inc(HF_STAT_AUTH_ASKED_ERROR);
		ask_end(origin, ask, /* failed= */ true);
	}
}

void origin_auth_fini(struct hf_origin *origin)
{
	struct hf_msg msg;

	while (!hf_list_empty(&origin->asks))
		ask_free(origin,
			HF_CONTAINER_OF(hf_list_first(&origin->asks), struct origin_ask, link));
	for (uint32_t worker = 0; origin->link && worker < origin->workers; worker++)
		while (hf_ring_drain(origin->link[worker]->to_origin, &msg, 1) > 0)
			if (msg.kind == HF_XCHG_ASK)
				hf_state_unref(((struct hf_xchg *)msg.ptr)->ask.state);
}

/* ---- what was allowed ---- */

static uint64_t auth_digest(const struct hf_state_route *route)
{
	return route && route->flow ? route->flow->digest : 0;
}

bool origin_auth_fits(const struct hf_origin *origin, const struct hf_xchg *xchg)
{
	uint64_t needed;

	if (origin->view->state->flow_count == 0)
		return true;
	needed = auth_digest(origin_view_route(origin, &xchg->key));
	return needed == 0 || needed == xchg->auth;
}

bool origin_auth_same(const struct hf_state_route *a, const struct hf_state_route *b)
{
	return auth_digest(a) == auth_digest(b);
}
