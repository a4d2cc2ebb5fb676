/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_cache_record.h"

#include <string.h>

#include "hf_bytes.h"

#define RECORD_AGE_MAX_US (UINT32_MAX * 1000000ULL)

struct hf_cache_record hf_cache_record_of(const struct hf_obj *obj, uint64_t now_us)
{
	unsigned flags = atomic_load(&obj->flags);
	int64_t age_us = (int64_t)now_us - obj->born_us;

	return (struct hf_cache_record){
		.age_us = age_us > 0 ? (uint64_t)age_us : 0,
		.length = atomic_load(&obj->filled),
		.life = obj->life,
		.status = obj->status,
		.flags = (uint8_t)((flags & HF_OBJ_AUTH_OK ? HF_CACHE_RECORD_AUTH_OK : 0) |
				   (flags & HF_OBJ_NO_BODY ? HF_CACHE_RECORD_NO_BODY : 0) |
				   (obj->past.touches > 0 ? HF_CACHE_RECORD_TOUCHED : 0)),
		.key = { obj->key, obj->key_len },
		.vary = { obj->vary, obj->vary_len },
		.head = { obj->head, obj->head_len },
	};
}

struct hf_obj_spec hf_cache_record_spec(
	const struct hf_cache *cache, const struct hf_cache_record *record, int64_t at_us)
{
	struct hf_key key = { record->key.ptr, (uint32_t)record->key.len,
		hf_cache_hash(cache, record->key.ptr, (uint32_t)record->key.len) };

	return (struct hf_obj_spec){
		.key = key,
		.vary = record->vary,
		.head = record->head,
		.length = record->length,
		.born_us = at_us - (int64_t)record->age_us,
		.life = record->life,
		.status = record->status,
		.flags = (uint16_t)((record->flags & HF_CACHE_RECORD_AUTH_OK ? HF_OBJ_AUTH_OK : 0) |
				    (record->flags & HF_CACHE_RECORD_NO_BODY ? HF_OBJ_NO_BODY : 0)),
	};
}

static uint8_t record_life_flags(const struct hf_cache_life *life)
{
	return (uint8_t)(life->stale_forbidden | life->must_validate << 1 | life->immutable << 2 |
			 life->has_validator << 3);
}

size_t hf_cache_record_len(const struct hf_cache_record *record)
{
	return HF_CACHE_RECORD_LEN + record->key.len + record->vary.len + record->head.len;
}

static char *record_put_text(char *to, struct hf_span text)
{
	if (text.len > 0)
		memcpy(to, text.ptr, text.len);
	return to + text.len;
}

void hf_cache_record_put(char *buf, const struct hf_cache_record *record)
{
	char *at = buf + HF_CACHE_RECORD_LEN;

	HF_ASSERT(hf_cache_record_len(record) <= UINT32_MAX);
	hf_store_be64(buf, record->age_us);
	hf_store_be64(buf + 8, record->length);
	hf_store_be32(buf + 16, record->life.lifetime_s);
	hf_store_be32(buf + 20, record->life.swr_s);
	hf_store_be32(buf + 24, record->life.sie_s);
	hf_store_be32(buf + 28, record->life.date_s);
	hf_store_be16(buf + 32, record->status);
	buf[34] = (char)record->flags;
	buf[35] = (char)record_life_flags(&record->life);
	hf_store_be32(buf + 36, (uint32_t)record->key.len);
	hf_store_be32(buf + 40, (uint32_t)record->vary.len);
	hf_store_be32(buf + 44, (uint32_t)record->head.len);
	at = record_put_text(at, record->key);
	at = record_put_text(at, record->vary);
	(void)record_put_text(at, record->head);
}

static struct hf_cache_life record_get_life(const char *buf)
{
	uint8_t flags = (uint8_t)buf[35];

	return (struct hf_cache_life){
		.lifetime_s = hf_load_be32(buf + 16),
		.swr_s = hf_load_be32(buf + 20),
		.sie_s = hf_load_be32(buf + 24),
		.date_s = hf_load_be32(buf + 28),
		.stale_forbidden = flags & 1,
		.must_validate = flags & 2,
		.immutable = flags & 4,
		.has_validator = flags & 8,
	};
}

size_t hf_cache_record_get(struct hf_span bytes, struct hf_cache_record *ret_record)
{
	const char *buf = bytes.ptr, *text;
	size_t key_len, vary_len, head_len;
	struct hf_cache_life life;

	if (bytes.len < HF_CACHE_RECORD_LEN)
		return 0;
	key_len = hf_load_be32(buf + 36);
	vary_len = hf_load_be32(buf + 40);
	head_len = hf_load_be32(buf + 44);
	if (key_len + vary_len + head_len > bytes.len - HF_CACHE_RECORD_LEN)
		return 0;
	life = record_get_life(buf);
	if ((uint8_t)buf[35] != record_life_flags(&life))
		return 0;
	text = buf + HF_CACHE_RECORD_LEN;
	*ret_record = (struct hf_cache_record){
		.age_us = hf_load_be64(buf),
		.length = hf_load_be64(buf + 8),
		.life = life,
		.status = hf_load_be16(buf + 32),
		.flags = (uint8_t)buf[34],
		.key = { text, key_len },
		.vary = { text + key_len, vary_len },
		.head = { text + key_len + vary_len, head_len },
	};
	return hf_cache_record_len(ret_record);
}

/* What the rules of lib/cache take for granted. */
static bool record_life_is_good(const struct hf_cache_life *life)
{
	if (life->lifetime_s > HF_HTTP_DELTA_MAX || life->swr_s > HF_HTTP_DELTA_MAX ||
		life->sie_s > HF_HTTP_DELTA_MAX)
		return false;
	return life->stale_forbidden ? life->swr_s == 0 && life->sie_s == 0 : !life->must_validate;
}

/* A normalised URL. */
static bool record_key_is_good(struct hf_span key)
{
	if (key.len < 4 || memcmp(key.ptr, "http", 4) != 0)
		return false;
	for (size_t i = 0; i < key.len; i++)
		if ((unsigned char)key.ptr[i] <= ' ' || key.ptr[i] == 0x7f)
			return false;
	return true;
}

/* The status line of that status, and fields that hf_resp_store_head would leave in. */
static bool record_head_is_good(struct hf_span head, uint16_t status)
{
	static const char version[9] = "HTTP/1.1 ";
	struct hf_http_fields fields;
	uint64_t told;

	if (head.len < sizeof(version) + 3 || memcmp(head.ptr, version, sizeof(version)) != 0 ||
		hf_http_parse_u64((struct hf_span){ head.ptr + sizeof(version), 3 }, &told) != 0 ||
		told != status || !hf_http_stored_parse(head, &fields))
		return false;
	for (uint32_t i = 0; i < fields.count; i++) {
		const struct hf_http_line *line = &fields.lines[i];

		if (line->hop || line->id == HF_HTTP_FIELD_CONTENT_LENGTH ||
			line->id == HF_HTTP_FIELD_AGE ||
			(hf_http_field_flags(line->id) & HF_HTTP_FIELD_SCRUB))
			return false;
	}
	return true;
}

bool hf_cache_record_is_good(const struct hf_cache_record *record)
{
	const uint8_t known =
		HF_CACHE_RECORD_AUTH_OK | HF_CACHE_RECORD_NO_BODY | HF_CACHE_RECORD_TOUCHED;

	if (record->age_us > RECORD_AGE_MAX_US || record->length > INT64_MAX ||
		record->status < 200 || record->status > 599 || (record->flags & ~known) ||
		((record->flags & HF_CACHE_RECORD_NO_BODY) && record->length > 0))
		return false;
	return record_life_is_good(&record->life) && record_key_is_good(record->key) &&
	       hf_cache_vary_is_block(record->vary.ptr, record->vary.len) &&
	       record_head_is_good(record->head, record->status);
}

bool hf_cache_record_has_secret(const struct hf_cache_record *record)
{
	struct hf_http_fields fields;

	if (hf_http_query_has_secret(record->key) ||
		hf_cache_vary_has_secret(record->vary.ptr, record->vary.len) ||
		!hf_http_stored_parse(record->head, &fields))
		return true;
	for (uint32_t i = 0; i < fields.count; i++)
		if (hf_http_field_is_secret(fields.lines[i].id, fields.lines[i].name))
			return true;
	return false;
}
