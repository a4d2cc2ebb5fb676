/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Validation of what is stored (RFC 9111 §4.3): the question, and a 304's answer to it.
 */
#include "hf_origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "origin_answer.h"
#include "origin_l2.h"
#include "origin_priv.h"

/* ---- the question (§4.3.1) ---- */

static struct hf_span reval_value(const struct hf_http_fields *fields, enum hf_http_field id)
{
	const struct hf_http_line *line = hf_http_fields_find(fields, id);

	return line ? line->value : (struct hf_span){ NULL, 0 };
}

static bool reval_is_weak(struct hf_span tag)
{
	return tag.len > 2 && tag.ptr[0] == 'W' && tag.ptr[1] == '/';
}

/* Without the W/. */
static struct hf_span reval_opaque(struct hf_span tag)
{
	return reval_is_weak(tag) ? (struct hf_span){ tag.ptr + 2, tag.len - 2 } : tag;
}

/* RFC 9110 §8.8.3: what is no entity tag cannot stand in If-None-Match. */
static bool reval_is_tag(struct hf_span tag)
{
	tag = reval_opaque(tag);
	return tag.len >= 2 && tag.ptr[0] == '"' &&
	       memchr(tag.ptr + 1, '"', tag.len - 1) == tag.ptr + tag.len - 1;
}

static bool reval_is_date(struct hf_span text)
{
	int64_t s;

	return text.len > 0 && hf_http_date_parse(text, hf_clock_unix_s(), &s) == 0;
}

/* Heap; NULL: no validator, or no memory. */
static char *reval_conditions(const struct hf_obj *obj)
{
	struct hf_http_fields fields;
	struct hf_span tag, modified;
	size_t cap;
	char *text;

	if (!hf_http_stored_parse((struct hf_span){ obj->head, obj->head_len }, &fields))
		return NULL;
	tag = reval_value(&fields, HF_HTTP_FIELD_ETAG);
	modified = reval_value(&fields, HF_HTTP_FIELD_LAST_MODIFIED);
	tag.len = reval_is_tag(tag) ? tag.len : 0;
	modified.len = reval_is_date(modified) ? modified.len : 0;
	if (tag.len == 0 && modified.len == 0)
		return NULL;
	cap = tag.len + modified.len + sizeof("If-None-Match: \r\nIf-Modified-Since: \r\n");
	text = malloc(cap);
	if (!text)
		return NULL;
	(void)snprintf(text, cap, "%s%.*s%s%s%.*s%s", tag.len ? "If-None-Match: " : "",
		(int)tag.len, tag.len ? tag.ptr : "", tag.len ? "\r\n" : "",
		modified.len ? "If-Modified-Since: " : "", (int)modified.len,
		modified.len ? modified.ptr : "", modified.len ? "\r\n" : "");
	return text;
}

/* A 304 speaks of what a 200 would have carried (RFC 9110 §15.4.5). One to credentials says nothing of what
 * they may not have (RFC 9111 §3.5). */
static bool reval_can_ask(const struct hf_obj *obj, const struct hf_http_req *req)
{
	if (req->has_authorization && !(obj->flags & HF_OBJ_AUTH_OK))
		return false;
	return obj->life.has_validator && (obj->status == 200 || obj->status == 203);
}

void origin_reval_begin(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_http_req req;
	struct hf_obj *obj;

	HF_ASSERT(fetch->leader && !fetch->stale && !fetch->conditions);
	if (!fetch->shared || !fetch->known || fetch->leader->whole ||
		!origin_reader_parse_head(fetch->leader->xchg->head, &req))
		return;
	obj = hf_shard_lookup(origin->shard, &fetch->key, &req);
	if (!obj || !reval_can_ask(obj, &req))
		return;
	fetch->conditions = reval_conditions(obj);
	if (!fetch->conditions)
		return;
	hf_shard_obj_ref(origin->shard, obj);
	fetch->stale = obj;
	fetch->asked_soft = obj->flags & HF_OBJ_STALE;
}

void origin_reval_forget(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (fetch->stale)
		hf_shard_obj_unref(origin->shard, fetch->stale);
	fetch->stale = NULL;
	free(fetch->conditions);
	fetch->conditions = NULL;
}

/* ---- what a 304 is about (§4.3.4) ---- */

/* Strong validators must be the same ones, weak ones must correspond. A 304 without any is about the one
 * response that was asked about. */
static bool reval_identifies(
	const struct hf_http_fields *answer, const struct hf_http_fields *stored)
{
	struct hf_span tag = reval_value(answer, HF_HTTP_FIELD_ETAG);
	struct hf_span own_tag = reval_value(stored, HF_HTTP_FIELD_ETAG);
	struct hf_span modified = reval_value(answer, HF_HTTP_FIELD_LAST_MODIFIED);
	struct hf_span own_modified = reval_value(stored, HF_HTTP_FIELD_LAST_MODIFIED);

	if (tag.len > 0 && (own_tag.len > 0 || !reval_is_weak(tag)))
		return hf_span_eq(reval_opaque(tag), reval_opaque(own_tag)) &&
		       (reval_is_weak(tag) || !reval_is_weak(own_tag));
	if (modified.len > 0 && own_modified.len > 0)
		return hf_span_eq(modified, own_modified);
	return true;
}

static bool reval_obj_is_meant(const struct hf_obj *obj, const struct hf_http_fields *answer)
{
	struct hf_http_fields stored;

	return hf_http_stored_parse((struct hf_span){ obj->head, obj->head_len }, &stored) &&
	       reval_identifies(answer, &stored);
}

/* What is to be updated: what was asked about, or what came in its place and is the same. NULL: neither is
 * stored any more, or it was purged, softly perhaps, after the question (G3). */
static struct hf_obj *reval_base(const struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct origin_answer *answer)
{
	struct hf_http_req req;
	struct hf_obj *obj;

	if (fetch->purged || !origin_reader_parse_head(origin_store_request(fetch), &req))
		return NULL;
	obj = hf_shard_lookup(origin->shard, &fetch->key, &req);
	if (!obj || ((obj->flags & HF_OBJ_STALE) && !fetch->asked_soft))
		return NULL;
	if (obj == fetch->stale)
		return obj;
	return reval_can_ask(obj, &req) && reval_obj_is_meant(obj, &answer->resp.fields) ? obj
											 : NULL;
}

/* ---- the updated head (§3.2) ---- */

/* Everything but what belongs to the connection, and what the stored bytes are as they are. */
static bool reval_updates(const struct hf_http_line *line)
{
	return !line->hop && line->id != HF_HTTP_FIELD_CONTENT_LENGTH &&
	       line->id != HF_HTTP_FIELD_CONTENT_RANGE &&
	       line->id != HF_HTTP_FIELD_CONTENT_ENCODING;
}

/* Date and Via are the message's that came last, also when it has none (RFC 9110 §6.6.1, §7.6.3). */
static bool reval_is_replaced(const struct hf_http_line *line, const struct hf_http_fields *by)
{
	if (line->id == HF_HTTP_FIELD_DATE || line->id == HF_HTTP_FIELD_VIA)
		return true;
	for (uint32_t i = 0; hf_http_fields_have(by, line->id) && i < by->count; i++)
		if (by->lines[i].id == line->id && reval_updates(&by->lines[i]) &&
			hf_span_caseeq(by->lines[i].name, line->name))
			return true;
	return false;
}

static bool reval_add(struct hf_http_fields *fields, const struct hf_http_line *line)
{
	if (fields->count == HF_HTTP_LINES_MAX)
		return false;
	fields->lines[fields->count++] = *line;
	fields->have |= 1ULL << line->id;
	return true;
}

bool origin_reval_merge(const struct hf_http_fields *stored, uint16_t status,
	const struct hf_http_resp *answer, struct hf_http_resp *ret_resp)
{
	bool fits = true;

	memset(ret_resp, 0, sizeof(*ret_resp));
	ret_resp->status = status;
	ret_resp->minor = answer->minor;
	for (uint32_t i = 0; fits && i < stored->count; i++)
		if (!reval_is_replaced(&stored->lines[i], &answer->fields))
			fits = reval_add(&ret_resp->fields, &stored->lines[i]);
	for (uint32_t i = 0; fits && i < answer->fields.count; i++)
		if (reval_updates(&answer->fields.lines[i]))
			fits = reval_add(&ret_resp->fields, &answer->fields.lines[i]);
	return fits;
}

/* ---- the answer ---- */

/* The stored body under the updated head. NULL: no memory for it, or too much of a head. */
static struct hf_obj *reval_freshen(struct hf_origin *origin, struct hf_obj *base,
	const struct hf_http_resp *resp, const struct origin_answer *answer)
{
	struct hf_obj_spec spec;
	size_t head_len = origin_store_spec(origin, resp, answer, /* scrub= */ true, &spec);

	/* many updates must not make it grow and grow */
	if (head_len == 0 || head_len > ORIGIN_HEAD_MAX)
		return NULL;
	return hf_shard_obj_freshen(origin->shard, base, &spec);
}

struct hf_obj *origin_reval_update(struct hf_origin *origin, struct origin_fetch *fetch,
	struct hf_obj *base, struct origin_answer *answer)
{
	struct hf_http_fields stored;
	struct hf_http_resp merged;
	struct hf_obj *obj;
	bool same_variant;

	if (!hf_http_stored_parse((struct hf_span){ base->head, base->head_len }, &stored) ||
		!origin_reval_merge(&stored, base->status, &answer->resp, &merged))
		return NULL;
	origin_store_judge(origin, fetch, &merged, answer);
	same_variant = answer->store && answer->vary_len == base->vary_len &&
		       memcmp(answer->vary, base->vary, base->vary_len) == 0;
	obj = reval_freshen(origin, base, &merged, answer);
	if (!same_variant) {
		/* not to be stored any more, or not for the requests that it was stored for */
		origin_reval_superseded(origin, fetch, answer);
		answer->store = false;
	} else if (obj) {
		hf_shard_publish(origin->shard, obj);
		fetch->l2.life = answer->verdict.life;
		origin_l2_store(origin, fetch, obj);
	}
	return obj;
}

/* The one that was asked about is good still. */
static void reval_confirm(struct hf_origin *origin, struct origin_fetch *fetch, struct hf_obj *base,
	struct origin_answer *answer)
{
	hf_shard_obj_ref(origin->shard, base);
	fetch->obj = origin_reval_update(origin, fetch, base, answer);
	if (fetch->obj) {
		hf_shard_obj_unref(origin->shard, base);
	} else {
		fetch->obj = base;
		answer->store = false;
	}
	answer->share = answer->share && answer->store;
	fetch->stored_told = answer->store;
	fetch->fwd_status = 304;
	hf_obj_touch(fetch->obj);
	hf_stat_inc(HF_STAT_CACHE_REVALIDATED);
	origin_store_private(fetch, answer);
	if (answer->store || answer->verdict.reason != HF_CACHE_WHY_STORED)
		origin_store_remember(origin, fetch, answer);
	origin_store_settle(origin, fetch, answer->share);
	hf_shard_obj_unref(origin->shard, fetch->obj);
	fetch->obj = NULL;
}

static void reval_ask_whole(struct origin_fetch *fetch)
{
	struct hf_list *it;

	hf_list_for_each (it, &fetch->readers)
		HF_CONTAINER_OF(it, struct origin_reader, link)->whole = true;
}

enum origin_store origin_reval_answer(
	struct hf_origin *origin, struct origin_fetch *fetch, struct origin_answer *answer)
{
	struct hf_obj *base;
	bool meant;

	if (!fetch->stale) {
		fetch->fail_text = "304 without a question";
		return ORIGIN_STORE_BAD;
	}
	meant = reval_obj_is_meant(fetch->stale, &answer->resp.fields);
	base = meant ? reval_base(origin, fetch, answer) : NULL;
	if (base && origin_purge_tagged(origin, fetch, &answer->resp.fields, base))
		base = NULL;
	origin_store_over(fetch);
	if (base) {
		reval_confirm(origin, fetch, base, answer);
		return ORIGIN_STORE_OVER;
	}
	if (!meant)
		reval_ask_whole(fetch);
	origin_store_again(origin, fetch);
	return ORIGIN_STORE_OVER;
}

/* ---- freshening with HEAD (§4.3.5) ---- */

enum reval_head { REVAL_HEAD_SAME, REVAL_HEAD_OTHER, REVAL_HEAD_UNKNOWN };

static bool reval_differs(const struct hf_http_fields *a, const struct hf_http_fields *b,
	enum hf_http_field id, bool *validated)
{
	struct hf_span value = reval_value(a, id);

	*validated |= value.len > 0;
	return value.len > 0 && !hf_span_eq(value, reval_value(b, id));
}

/* Is what a GET would have brought the stored one? Without any validator that is not known. */
static enum reval_head reval_head_compare(const struct hf_obj *obj, const struct hf_http_resp *resp)
{
	struct hf_http_fields stored;
	bool validated = false;

	if (!hf_http_stored_parse((struct hf_span){ obj->head, obj->head_len }, &stored))
		return REVAL_HEAD_UNKNOWN;
	if (resp->has_content_length && resp->content_length != obj->length)
		return REVAL_HEAD_OTHER;
	if (reval_differs(&resp->fields, &stored, HF_HTTP_FIELD_ETAG, &validated) ||
		reval_differs(&resp->fields, &stored, HF_HTTP_FIELD_LAST_MODIFIED, &validated))
		return REVAL_HEAD_OTHER;
	return validated ? REVAL_HEAD_SAME : REVAL_HEAD_UNKNOWN;
}

/* What was answered to credentials, or to a request that wanted no caching, says nothing of what all
 * others may have. */
static struct hf_obj *reval_head_stored(const struct hf_origin *origin,
	const struct origin_fetch *fetch, struct origin_answer *answer)
{
	struct hf_obj *obj;

	if (!fetch->leader ||
		!origin_reader_parse(fetch->leader, &answer->req, &answer->cache_req) ||
		answer->cache_req.has_authorization || !hf_cache_req_allows(&answer->cache_req))
		return NULL;
	obj = hf_shard_lookup(origin->shard, &fetch->key, &answer->req);
	return obj && reval_can_ask(obj, &answer->req) ? obj : NULL;
}

void origin_reval_head(
	struct hf_origin *origin, struct origin_fetch *fetch, struct origin_answer *answer)
{
	struct hf_obj *base = reval_head_stored(origin, fetch, answer);
	struct hf_obj *obj;

	/* what a purge came after says nothing */
	if (!base || fetch->purged ||
		origin_purge_tagged(origin, fetch, &answer->resp.fields, base))
		return;
	switch (reval_head_compare(base, &answer->resp)) {
	case REVAL_HEAD_SAME:
		/* a purge came after the question: then a GET has to ask */
		if (base->flags & HF_OBJ_STALE)
			return;
		hf_shard_obj_ref(origin->shard, base);
		obj = origin_reval_update(origin, fetch, base, answer);
		hf_shard_obj_unref(origin->shard, base);
		if (obj)
			hf_shard_obj_unref(origin->shard, obj);
		return;
	case REVAL_HEAD_OTHER:
		hf_obj_make_stale(base, origin->now_us);
		return;
	case REVAL_HEAD_UNKNOWN:
		return;
	}
}

void origin_reval_superseded(struct hf_origin *origin, const struct origin_fetch *fetch,
	const struct origin_answer *answer)
{
	struct hf_http_req req;
	struct hf_obj *obj;
	bool removed;

	if (fetch->purged || !origin_store_is_lasting(answer) ||
		!origin_reader_parse_head(origin_store_request(fetch), &req))
		return;
	while ((obj = hf_shard_lookup(origin->shard, &fetch->key, &req)) != NULL) {
		removed = hf_shard_remove(origin->shard, obj);
		HF_ASSERT(removed);
	}
}
