/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Invalidation (RFC 9111 §4.4): what a successful unsafe request was about, and what its answer names in
 * Location and Content-Location, where that is of the same origin. Keys of other origin threads are
 * theirs to purge: the answer waits until they have done it.
 */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>

#include "hf_wipe.h"

#include "origin_answer.h"
#include "origin_l2.h"
#include "origin_priv.h"

#define INVALID_KEY_MAX 16384

static struct hf_span invalid_until(struct hf_span text, const char *stops)
{
	size_t len = 0;

	while (len < text.len && !strchr(stops, text.ptr[len]))
		len++;
	return (struct hf_span){ text.ptr, len };
}

static struct hf_span invalid_behind(struct hf_span text, size_t len)
{
	return (struct hf_span){ text.ptr + len, text.len - len };
}

/* Scheme and authority of a key, "http://host". */
static struct hf_span invalid_origin_of(struct hf_span key)
{
	const char *at = memchr(key.ptr, ':', key.len);
	const char *end;

	HF_ASSERT(at && key.ptr + key.len - at > 3);
	end = memchr(at + 3, '/', (size_t)(key.ptr + key.len - at - 3));
	return (struct hf_span){ key.ptr, end ? (size_t)(end - key.ptr) : key.len };
}

/* A reference in its parts (RFC 3986 §4.1), those of the base where it has none. */
struct invalid_ref {
	struct hf_span scheme, authority, path; /* path: with the query */
	bool relative;                          /* the path begins in the base's directory */
};

/* "scheme:" in front; false: there is none. */
static bool invalid_scheme(struct hf_span text, struct hf_span *ret_scheme)
{
	struct hf_span scheme = invalid_until(text, ":/?");

	if (scheme.len == 0 || scheme.len == text.len || text.ptr[scheme.len] != ':')
		return false;
	*ret_scheme = scheme;
	return true;
}

/* False: another kind of URI. */
static bool invalid_split(struct hf_span base, struct hf_span text, struct invalid_ref *ret)
{
	struct hf_span origin = invalid_origin_of(base);
	struct hf_span path = invalid_behind(base, origin.len);
	struct invalid_ref ref;

	ref.scheme = invalid_until(base, ":");
	ref.authority = invalid_behind(origin, ref.scheme.len + 3);
	ref.relative = false;
	text = invalid_until(text, "#");
	if (invalid_scheme(text, &ref.scheme)) {
		text = invalid_behind(text, ref.scheme.len + 1);
		if (text.len < 2 || memcmp(text.ptr, "//", 2) != 0)
			return false;
	}
	if (text.len >= 2 && memcmp(text.ptr, "//", 2) == 0) {
		text = invalid_behind(text, 2);
		ref.authority = invalid_until(text, "/?");
		ref.path = invalid_behind(text, ref.authority.len);
	} else if (text.len == 0) {
		ref.path = path;
	} else {
		ref.path = text;
		ref.relative = text.ptr[0] != '/';
	}
	*ret = ref;
	return true;
}

/* The reference's key. False: it is of another origin, or none. */
static bool invalid_resolve(struct hf_origin *origin, struct hf_span base, struct hf_span text,
	char *buf, struct hf_key *ret_key)
{
	struct hf_span own = invalid_origin_of(base);
	struct hf_span dir = invalid_until(invalid_behind(base, own.len), "?");
	char *path = origin->scratch;
	struct invalid_ref ref;
	size_t len = 0;
	int key_len;

	if (!invalid_split(base, text, &ref))
		return false;
	if (!ref.relative)
		dir.len = 0;
	else if (ref.path.ptr[0] != '?')
		while (dir.len > 0 && dir.ptr[dir.len - 1] != '/')
			dir.len--;
	if (dir.len == 0 && (ref.path.len == 0 || ref.path.ptr[0] != '/'))
		path[len++] = '/';
	if (dir.len + ref.path.len + len > INVALID_KEY_MAX)
		return false;
	memcpy(path + len, dir.ptr, dir.len);
	memcpy(path + len + dir.len, ref.path.ptr, ref.path.len);
	len += dir.len + ref.path.len;
	key_len = hf_http_key_build(
		buf, INVALID_KEY_MAX, ref.scheme, ref.authority, (struct hf_span){ path, len });
	hf_wipe(path, len);
	if (key_len < 0 ||
		!hf_span_eq(own, invalid_origin_of((struct hf_span){ buf, (size_t)key_len })))
		return false;
	ret_key->ptr = buf;
	ret_key->len = (uint32_t)key_len;
	ret_key->hash = hf_cache_hash(origin->cache, buf, ret_key->len);
	return true;
}

void hf_origin_invalidated_set(
	struct hf_origin *origin, void (*fn)(void *arg, struct hf_span key), void *arg)
{
	origin->l2.invalidated = fn;
	origin->l2.arg = arg;
}

/* Other edges have it from L2, or stored it themselves. */
static void invalid_tell(const struct hf_origin *origin, const struct hf_key *key)
{
	if (origin->l2.invalidated && origin_l2_set(origin))
		origin->l2.invalidated(origin->l2.arg, (struct hf_span){ key->ptr, key->len });
}

static void invalid_key(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_key *key)
{
	uint32_t owner = hf_cache_shard_index(origin->cache, key->hash);
	struct hf_errand *errand;

	invalid_tell(origin, key);
	if (owner == origin->index) {
		(void)origin_purge_key(origin, key, /* soft= */ false);
		return;
	}
	errand = hf_errand_new(key, origin->index);
	if (!errand) {
		hf_stat_inc(HF_STAT_INTERNAL_ERRORS_MEMORY);
		return;
	}
	errand->asker = fetch;
	hf_list_add_tail(&fetch->errands, &errand->asker_link);
	hf_errand_post(origin->net, owner, errand);
}

bool origin_invalid_begin(
	struct hf_origin *origin, struct origin_fetch *fetch, const struct hf_http_resp *resp)
{
	static const enum hf_http_field named[] = { HF_HTTP_FIELD_LOCATION,
		HF_HTTP_FIELD_CONTENT_LOCATION };
	const struct hf_span base = { fetch->key.ptr, fetch->key.len };
	char buf[INVALID_KEY_MAX];
	struct hf_key key;

	if (fetch->invalidated || hf_http_method_is_safe(fetch->method) || resp->status < 200 ||
		resp->status >= 400)
		return false;
	fetch->invalidated = true;
	invalid_key(origin, fetch, &fetch->key);
	for (size_t i = 0; i < HF_ARRAY_LEN(named); i++) {
		const struct hf_http_line *line = hf_http_fields_find(&resp->fields, named[i]);

		if (line && invalid_resolve(origin, base, line->value, buf, &key))
			invalid_key(origin, fetch, &key);
	}
	return !hf_list_empty(&fetch->errands);
}

void origin_invalid_end(struct origin_fetch *fetch)
{
	struct hf_list *it;

	while ((it = hf_list_first(&fetch->errands)) != NULL) {
		hf_list_del(it);
		HF_CONTAINER_OF(it, struct hf_errand, asker_link)->asker = NULL;
	}
}

static void invalid_returned(struct hf_origin *origin, struct hf_errand *errand)
{
	struct origin_fetch *fetch = errand->asker;

	hf_list_del(&errand->asker_link);
	hf_errand_free(errand);
	if (fetch && hf_list_empty(&fetch->errands) && fetch->state == ORIGIN_ADMIT)
		origin_flow_admit(origin, fetch);
}

bool origin_invalid_run(struct hf_origin *origin)
{
	struct hf_errand *errand;
	bool busy = false;

	while ((errand = hf_errand_take(origin->net, origin->index)) != NULL) {
		busy = true;
		if (errand->done) {
			HF_ASSERT(errand->from == origin->index);
			invalid_returned(origin, errand);
			continue;
		}
		(void)origin_purge_key(origin, &errand->key, /* soft= */ false);
		errand->done = true;
		hf_errand_post(origin->net, errand->from, errand);
	}
	return busy;
}
