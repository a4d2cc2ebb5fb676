/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What leaves the table by name: one key, or all that a prefix or a tag names.
 *
 * An object never moves from one slot to another, so a walk from the first slot to the last meets
 * each one that was there when it began and is there still.
 */
#include "hf_cache.h"

#include <string.h>

#include "hf_stat.h"

#include "cache_priv.h"

#define PURGE_PREFETCH_LINES 6

/* ---- tags ---- */

/* Takes the next field line off the head. False at the end. The status line has no name. */
static bool purge_next_line(struct hf_span *head, struct hf_span *ret_line)
{
	const char *end;

	if (head->len == 0)
		return false;
	end = memchr(head->ptr, '\n', head->len);
	ret_line->ptr = head->ptr;
	ret_line->len = end ? (size_t)(end - head->ptr) : head->len;
	head->ptr += ret_line->len + (end != NULL);
	head->len -= ret_line->len + (end != NULL);
	if (ret_line->len > 0 && ret_line->ptr[ret_line->len - 1] == '\r')
		ret_line->len--;
	return true;
}

/* What stands between the tags of a field of that name; 0: it is none of tags. */
static char purge_separator(struct hf_span name)
{
	static const struct {
		struct hf_span name;
		char separator;
	} fields[] = {
		{ { "surrogate-key", 13 }, ' ' },
		{ { "cache-tag", 9 }, ',' },
	};

	for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++)
		if (hf_span_caseeq(name, fields[i].name))
			return fields[i].separator;
	return 0;
}

/* A line of tags: takes its name off, and says what stands between the tags. False: another
 * line. */
static bool purge_is_tags(struct hf_span *line, char *ret_separator)
{
	const char *colon = line->len > 0 ? memchr(line->ptr, ':', line->len) : NULL;
	size_t name_len = colon ? (size_t)(colon - line->ptr) : 0;
	char separator = purge_separator((struct hf_span){ line->ptr, name_len });

	if (separator == 0)
		return false;
	line->ptr += name_len + 1;
	line->len -= name_len + 1;
	*ret_separator = separator;
	return true;
}

static bool purge_is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes the next tag off a field value; empty ones too. */
static bool purge_next_tag(struct hf_span *list, char separator, struct hf_span *ret_tag)
{
	size_t begin = 0, end, next;

	while (begin < list->len && purge_is_space(list->ptr[begin]))
		begin++;
	if (begin == list->len)
		return false;
	for (next = begin; next < list->len; next++) {
		char c = list->ptr[next];

		if (c == separator || (separator == ' ' && c == '\t'))
			break;
	}
	for (end = next; end > begin && purge_is_space(list->ptr[end - 1]); end--)
		;
	*ret_tag = (struct hf_span){ list->ptr + begin, end - begin };
	next += next < list->len; /* the separator */
	list->ptr += next;
	list->len -= next;
	return true;
}

static bool purge_line_has(struct hf_span line, char separator, struct hf_span tag)
{
	struct hf_span one;

	while (purge_next_tag(&line, separator, &one)) {
		if (hf_span_eq(one, tag))
			return true;
	}
	return false;
}

bool cache_head_is_tagged(struct hf_span head)
{
	struct hf_span line;
	char separator;

	while (purge_next_line(&head, &line)) {
		if (purge_is_tags(&line, &separator))
			return true;
	}
	return false;
}

static bool purge_head_has(struct hf_span head, struct hf_span tag)
{
	struct hf_span line;
	char separator;

	while (purge_next_line(&head, &line)) {
		if (purge_is_tags(&line, &separator) && purge_line_has(line, separator, tag))
			return true;
	}
	return false;
}

void hf_obj_each_tag(const struct hf_obj *obj, void (*fn)(void *arg, struct hf_span tag), void *arg)
{
	struct hf_span head = { obj->head, obj->head_len }, line, tag;
	char separator;

	while (purge_next_line(&head, &line)) {
		if (!purge_is_tags(&line, &separator))
			continue;
		while (purge_next_tag(&line, separator, &tag))
			if (tag.len > 0)
				fn(arg, tag);
	}
}

bool hf_purge_fields_have(const struct hf_http_fields *fields, struct hf_span tag)
{
	for (uint32_t i = 0; tag.len > 0 && i < fields->count; i++) {
		const struct hf_http_line *line = &fields->lines[i];
		char separator = purge_separator(line->name);

		if (separator != 0 && purge_line_has(line->value, separator, tag))
			return true;
	}
	return false;
}

/* ---- what a purge names ---- */

static bool purge_begins_with(struct hf_span text, struct hf_span prefix)
{
	return text.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

/* From the third '/' on: behind scheme and authority. */
static struct hf_span purge_path(struct hf_span key)
{
	const char *end = key.ptr + key.len, *at = key.ptr;

	for (int slashes = 0; slashes < 3; slashes++) {
		at = memchr(at, '/', (size_t)(end - at));
		if (!at)
			return (struct hf_span){ end, 0 };
		at++;
	}
	return (struct hf_span){ at - 1, (size_t)(end - at) + 1 };
}

bool hf_purge_names_key(const struct hf_purge_walk *walk, struct hf_span key)
{
	switch (walk->kind) {
	case HF_PURGE_ALL:
		return true;
	case HF_PURGE_PREFIX:
		return purge_begins_with(key, walk->text);
	case HF_PURGE_PATH:
		return purge_begins_with(purge_path(key), walk->text);
	case HF_PURGE_TAG:
		break;
	}
	return false;
}

bool hf_purge_matches(const struct hf_purge_walk *walk, const struct hf_obj *obj)
{
	if (walk->kind != HF_PURGE_TAG)
		return hf_purge_names_key(walk, (struct hf_span){ obj->key, obj->key_len });
	if (walk->text.len == 0 ||
		!(atomic_load_explicit(&obj->flags, memory_order_relaxed) & HF_OBJ_TAGGED))
		return false;
	return purge_head_has((struct hf_span){ obj->head, obj->head_len }, walk->text);
}

/* ---- what is purged ---- */

static bool purge_walk_names(const struct hf_purge_walk *walk, const struct hf_obj *obj)
{
	return obj->serial <= walk->serial && hf_purge_matches(walk, obj);
}

bool cache_purge_names(const struct hf_shard *shard, const struct hf_obj *obj)
{
	const struct hf_list *link;

	hf_list_for_each (link, &shard->walks) {
		const struct hf_purge_walk *walk =
			HF_CONTAINER_OF(link, const struct hf_purge_walk, link);

		/* What is not in the table yet is the caller's to find. */
		if (!walk->soft && obj->serial > 0 && purge_walk_names(walk, obj))
			return true;
	}
	return false;
}

static void purge_one(struct hf_shard *shard, struct hf_obj *obj, bool soft)
{
	if (soft) {
		hf_obj_make_stale(obj, shard->now_us);
	} else {
		obj->purged = true;
		cache_unlink(shard, obj);
	}
	hf_stat_inc(HF_STAT_CACHE_PURGED);
}

uint32_t hf_shard_purge(struct hf_shard *shard, const struct hf_key *key, bool soft)
{
	uint32_t count = 0;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	for (uint32_t i = 0; i < CACHE_WORDS; i++) {
		struct hf_obj *obj = cache_at(shard, cache_slot(shard, key->hash, i));

		if (!obj || !cache_key_is(obj, key))
			continue;
		purge_one(shard, obj, soft);
		count++;
	}
	return count;
}

bool hf_shard_remove(struct hf_shard *shard, struct hf_obj *obj)
{
	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(obj->shard == shard->index && obj->owner_refs > 0);
	if (obj->place != CACHE_LINKED)
		return false;
	purge_one(shard, obj, /* soft= */ false);
	return true;
}

void hf_shard_purge_begin(struct hf_shard *shard, struct hf_purge_walk *walk)
{
	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	walk->serial = shard->serial;
	walk->slot = 0;
	walk->count = 0;
	hf_list_add_tail(&shard->walks, &walk->link);
}

/* What the walk will look at a bucket from here comes from memory meanwhile. */
static void purge_prefetch(const struct hf_shard *shard, uint64_t slot, enum hf_purge kind)
{
	const char *obj;

	if (slot / CACHE_BUCKET_WORDS > shard->bucket_mask)
		return;
	obj = (const char *)cache_at(shard, (uint32_t)slot);
	if (!obj)
		return;
	__builtin_prefetch(obj + HF_CACHE_LINE);
	for (int i = 0; i < PURGE_PREFETCH_LINES && kind == HF_PURGE_TAG; i++)
		__builtin_prefetch(obj + sizeof(struct hf_obj) + i * HF_CACHE_LINE);
}

static uint64_t purge_slots(const struct hf_shard *shard)
{
	return (shard->bucket_mask + 1) * CACHE_BUCKET_WORDS;
}

bool hf_shard_purge_step(struct hf_shard *shard, struct hf_purge_walk *walk)
{
	uint64_t slots = purge_slots(shard);
	uint64_t end = hf_min_u64(walk->slot + HF_PURGE_STEP, slots);

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	HF_ASSERT(walk->slot < slots && walk->serial <= shard->serial);
	for (; walk->slot < end; walk->slot++) {
		struct hf_obj *obj = cache_at(shard, (uint32_t)walk->slot);

		purge_prefetch(shard, walk->slot + CACHE_BUCKET_WORDS, walk->kind);
		if (!obj || !purge_walk_names(walk, obj))
			continue;
		purge_one(shard, obj, walk->soft);
		walk->count++;
	}
	if (end < slots)
		return false;
	hf_list_del(&walk->link);
	return true;
}

bool hf_shard_list_step(struct hf_shard *shard, const struct hf_purge_walk *filter, uint64_t *slot,
	bool (*fn)(void *arg, const struct hf_obj *obj), void *arg)
{
	uint64_t slots = purge_slots(shard), end = hf_min_u64(*slot + HF_PURGE_STEP, slots);
	bool more = true;

	HF_ASSERT_THREAD(HF_THREAD_ORIGIN);
	while (more && *slot < end) {
		const struct hf_obj *obj = cache_at(shard, (uint32_t)*slot);

		purge_prefetch(shard, *slot + CACHE_BUCKET_WORDS, filter->kind);
		(*slot)++;
		if (obj && hf_purge_matches(filter, obj))
			more = fn(arg, obj);
	}
	return *slot == slots;
}
