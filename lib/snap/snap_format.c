/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_snap.h"

#include <errno.h>
#include <string.h>

#include "hf_bytes.h"
#include "hf_http.h"
#include "hf_siphash.h"

#include "snap_priv.h"

#define FORMAT_AGE_MAX_US (UINT32_MAX * 1000000ULL)

static const char format_magic[8] = "hfsnap\r\n";

/* By kind; the most and the least that a payload may have. */
static const struct {
	char name[4];
	size_t least, most;
} format_kinds[] = {
	[HF_SNAP_HEAD] = { "head", SNAP_HEAD_LEN, SNAP_HEAD_LEN },
	[HF_SNAP_OBJECT] = { "objt", SNAP_OBJECT_LEN, HF_SNAP_FRAME_MAX },
	[HF_SNAP_BODY] = { "body", 1, HF_SNAP_BODY_MAX },
	[HF_SNAP_END] = { "end.", SNAP_END_LEN, SNAP_END_LEN },
};

void snap_put_preamble(char *buf)
{
	memcpy(buf, format_magic, sizeof(format_magic));
	hf_store_be32(buf + sizeof(format_magic), HF_SNAP_VERSION);
}

int snap_check_preamble(const char *buf, struct hf_err *err)
{
	uint32_t version = hf_load_be32(buf + sizeof(format_magic));

	if (memcmp(buf, format_magic, sizeof(format_magic)) != 0)
		return hf_err_set(err, -EBADMSG, "no snapshot");
	if (version != HF_SNAP_VERSION)
		return hf_err_set(err, -EBADMSG, "a snapshot of version %u; known: %u", version,
			HF_SNAP_VERSION);
	return 0;
}

static uint64_t format_checksum(const char *buf, size_t len, const struct snap_seal *seal)
{
	struct hf_sipkey key = { (uint64_t)seal->saved_us, seal->number };

	return hf_siphash(&key, buf, len);
}

size_t snap_put_frame(char *buf, enum hf_snap_kind kind, size_t len, const struct snap_seal *seal)
{
	HF_ASSERT(len >= format_kinds[kind].least && len <= format_kinds[kind].most);
	hf_store_be32(buf, (uint32_t)len);
	memcpy(buf + 4, format_kinds[kind].name, 4);
	len += SNAP_FRAME_HEAD;
	hf_store_be64(buf + len, format_checksum(buf, len, seal));
	return len + SNAP_FRAME_TAIL;
}

bool snap_get_frame_head(const char *buf, size_t *ret_len, enum hf_snap_kind *ret_kind)
{
	size_t len = hf_load_be32(buf);

	for (size_t kind = 0; kind < HF_ARRAY_LEN(format_kinds); kind++) {
		if (memcmp(buf + 4, format_kinds[kind].name, 4) != 0)
			continue;
		*ret_len = len;
		*ret_kind = (enum hf_snap_kind)kind;
		return len >= format_kinds[kind].least && len <= format_kinds[kind].most;
	}
	return false;
}

bool snap_check_frame(const char *buf, size_t len, const struct snap_seal *seal)
{
	size_t sealed = SNAP_FRAME_HEAD + len;

	return hf_load_be64(buf + sealed) == format_checksum(buf, sealed, seal);
}

/* ---- objects ---- */

static uint8_t format_life_flags(const struct hf_cache_life *life)
{
	return (uint8_t)(life->stale_forbidden | life->must_validate << 1 | life->immutable << 2 |
			 life->has_validator << 3);
}

size_t snap_put_object(char *buf, const struct snap_object *object)
{
	size_t len = SNAP_OBJECT_LEN + object->key.len + object->vary.len + object->head.len;
	char *at = buf + SNAP_OBJECT_LEN;

	if (len > HF_SNAP_FRAME_MAX)
		return 0;
	hf_store_be64(buf, object->age_us);
	hf_store_be64(buf + 8, object->length);
	hf_store_be32(buf + 16, object->life.lifetime_s);
	hf_store_be32(buf + 20, object->life.swr_s);
	hf_store_be32(buf + 24, object->life.sie_s);
	hf_store_be32(buf + 28, object->life.date_s);
	hf_store_be16(buf + 32, object->status);
	buf[34] = (char)object->flags;
	buf[35] = (char)format_life_flags(&object->life);
	hf_store_be32(buf + 36, (uint32_t)object->key.len);
	hf_store_be32(buf + 40, (uint32_t)object->vary.len);
	hf_store_be32(buf + 44, (uint32_t)object->head.len);
	memcpy(at, object->key.ptr, object->key.len);
	at += object->key.len;
	if (object->vary.len > 0)
		memcpy(at, object->vary.ptr, object->vary.len);
	at += object->vary.len;
	memcpy(at, object->head.ptr, object->head.len);
	return len;
}

static bool format_get_life(const char *buf, struct hf_cache_life *life)
{
	uint8_t flags = (uint8_t)buf[35];

	*life = (struct hf_cache_life){
		.lifetime_s = hf_load_be32(buf + 16),
		.swr_s = hf_load_be32(buf + 20),
		.sie_s = hf_load_be32(buf + 24),
		.date_s = hf_load_be32(buf + 28),
		.stale_forbidden = flags & 1,
		.must_validate = flags & 2,
		.immutable = flags & 4,
		.has_validator = flags & 8,
	};
	return flags == format_life_flags(life);
}

/* What the rules of lib/cache take for granted. */
static bool format_life_is_good(const struct hf_cache_life *life)
{
	if (life->lifetime_s > HF_HTTP_DELTA_MAX || life->swr_s > HF_HTTP_DELTA_MAX ||
		life->sie_s > HF_HTTP_DELTA_MAX)
		return false;
	return life->stale_forbidden ? life->swr_s == 0 && life->sie_s == 0 : !life->must_validate;
}

/* A normalised URL. */
static bool format_key_is_good(struct hf_span key)
{
	if (key.len < 4 || memcmp(key.ptr, "http", 4) != 0)
		return false;
	for (size_t i = 0; i < key.len; i++)
		if ((unsigned char)key.ptr[i] <= ' ' || key.ptr[i] == 0x7f)
			return false;
	return true;
}

/* The status line of that status, and fields that hf_resp_store_head would leave in. */
static bool format_head_is_good(struct hf_span head, uint16_t status)
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

bool snap_get_object(struct hf_span payload, struct snap_object *ret_object)
{
	const char *buf = payload.ptr, *text = buf + SNAP_OBJECT_LEN;
	size_t key_len = hf_load_be32(buf + 36), vary_len = hf_load_be32(buf + 40);
	size_t head_len = hf_load_be32(buf + 44);

	HF_ASSERT(payload.len >= SNAP_OBJECT_LEN);
	if (SNAP_OBJECT_LEN + key_len + vary_len + head_len != payload.len)
		return false;
	*ret_object = (struct snap_object){
		.age_us = hf_load_be64(buf),
		.length = hf_load_be64(buf + 8),
		.status = hf_load_be16(buf + 32),
		.flags = (uint8_t)buf[34],
		.key = { text, key_len },
		.vary = { text + key_len, vary_len },
		.head = { text + key_len + vary_len, head_len },
	};
	return format_get_life(buf, &ret_object->life);
}

bool snap_object_is_good(const struct snap_object *object)
{
	const uint8_t known = SNAP_AUTH_OK | SNAP_NO_BODY | SNAP_TOUCHED;

	if (object->age_us > FORMAT_AGE_MAX_US || object->length > INT64_MAX ||
		object->status < 200 || object->status > 599 || (object->flags & ~known) ||
		((object->flags & SNAP_NO_BODY) && object->length > 0))
		return false;
	return format_life_is_good(&object->life) && format_key_is_good(object->key) &&
	       hf_cache_vary_is_block(object->vary.ptr, object->vary.len) &&
	       format_head_is_good(object->head, object->status);
}

bool snap_object_has_secret(const struct snap_object *object)
{
	struct hf_http_fields fields;

	if (hf_http_query_has_secret(object->key) || !hf_http_stored_parse(object->head, &fields))
		return true;
	for (uint32_t i = 0; i < fields.count; i++)
		if (hf_http_field_is_secret(fields.lines[i].id, fields.lines[i].name))
			return true;
	return false;
}
