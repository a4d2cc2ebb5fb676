/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Values of L2 (hf_l2.h, Format), written and read in one place.
 */
#include "hf_l2.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "hf_bytes.h"
#include "hf_siphash.h"

#include "l2_priv.h"

#define VALUE_VERSION    1
#define VALUE_PLAIN      0
#define VALUE_ZSTD       1
#define VALUE_NAMES_HEAD 16
#define VALUE_AGE_MAX_US (UINT32_MAX * 1000000ULL)
#define VALUE_ZSTD_LEVEL 1

static const char value_magic[4] = "hfL2";

struct value_buf {
	char *ptr;
	size_t cap;
};

struct hf_l2_codec {
	struct hf_l2_codec_cfg cfg;
	struct value_buf plain;  /* the value as it is built, or a payload as it was */
	struct value_buf packed; /* the same value with its payload compressed */
	size_t len;              /* of the payload that is being built */
	bool pack;
	ZSTD_CCtx *out;
	ZSTD_DCtx *in;
};

/* What the buffer held is gone. */
static bool value_buf_grow(struct value_buf *buf, size_t len)
{
	size_t cap = hf_pow2_ceil(hf_max_u64(len, 4096));

	if (len <= buf->cap)
		return true;
	free(buf->ptr);
	buf->ptr = malloc(cap);
	buf->cap = buf->ptr ? cap : 0;
	return buf->ptr;
}

struct hf_l2_codec *hf_l2_codec_new(const struct hf_l2_codec_cfg *cfg)
{
	struct hf_l2_codec *codec = calloc(1, sizeof(*codec));

	HF_ASSERT(cfg->value_max > L2_VALUE_HEAD && cfg->value_max <= HF_L2_VALUE_MAX);
	if (!codec)
		return NULL;
	codec->cfg = *cfg;
	codec->out = ZSTD_createCCtx();
	codec->in = ZSTD_createDCtx();
	if (codec->out && codec->in)
		return codec;
	hf_l2_codec_free(codec);
	return NULL;
}

void hf_l2_codec_free(struct hf_l2_codec *codec)
{
	if (!codec)
		return;
	(void)ZSTD_freeCCtx(codec->out);
	(void)ZSTD_freeDCtx(codec->in);
	free(codec->plain.ptr);
	free(codec->packed.ptr);
	free(codec);
}

static uint64_t value_checksum(const char *bytes, size_t len)
{
	static const struct hf_sipkey head = { 0, 0 };
	/* the eight bytes before the checksum are the key of the rest */
	struct hf_sipkey rest = { hf_siphash(&head, bytes, 8), 0 };

	return hf_siphash(&rest, bytes + 16, len - 16);
}

void l2_value_seal(char *bytes, size_t len)
{
	hf_store_be64(bytes + 8, value_checksum(bytes, len));
}

/* ---- encode ---- */

/* Without the checksum. */
static void value_head(char *head, enum hf_l2_kind kind, uint32_t len, int64_t asked_us)
{
	HF_ASSERT(asked_us >= 0);
	memset(head, 0, L2_VALUE_HEAD);
	memcpy(head, value_magic, sizeof(value_magic));
	head[4] = VALUE_VERSION;
	head[5] = (char)kind;
	hf_store_be64(head + 16, (uint64_t)asked_us);
	hf_store_be32(head + 24, len);
}

/* Room for a payload of LEN bytes behind its head; NULL: no memory, or too large. */
static enum hf_l2_verdict value_begin(struct hf_l2_codec *codec, enum hf_l2_kind kind, uint64_t len,
	int64_t asked_us, char **ret_payload)
{
	char *head;

	if (len > codec->cfg.value_max - L2_VALUE_HEAD)
		return HF_L2_TOO_LARGE;
	if (!value_buf_grow(&codec->plain, L2_VALUE_HEAD + len))
		return HF_L2_NO_MEMORY;
	head = codec->plain.ptr;
	value_head(head, kind, (uint32_t)len, asked_us);
	codec->len = len;
	codec->pack = false;
	*ret_payload = head + L2_VALUE_HEAD;
	return HF_L2_GOOD;
}

/* Not what is compressed already. */
static bool value_packs(const struct hf_l2_codec *codec, const struct hf_cache_record *record)
{
	struct hf_http_fields fields;

	if (codec->cfg.zstd_min == 0 || codec->len < codec->cfg.zstd_min ||
		codec->len > HF_L2_ZSTD_MAX)
		return false;
	return hf_http_stored_parse(record->head, &fields) &&
	       !hf_http_fields_have(&fields, HF_HTTP_FIELD_CONTENT_ENCODING);
}

enum hf_l2_verdict hf_l2_encode_begin(struct hf_l2_codec *codec,
	const struct hf_cache_record *record, int64_t asked_us, char **ret_body)
{
	struct hf_cache_record kept = *record;
	enum hf_l2_verdict verdict;
	char *payload;

	kept.flags &= (uint8_t)~HF_CACHE_RECORD_TOUCHED; /* here, not everywhere */
	if (!hf_cache_record_is_good(&kept))
		return HF_L2_CORRUPT;
	if (hf_cache_record_has_secret(&kept))
		return HF_L2_SECRET;
	verdict = value_begin(codec, HF_L2_RESPONSE, hf_cache_record_len(&kept) + kept.length,
		asked_us, &payload);
	if (verdict != HF_L2_GOOD)
		return verdict;
	hf_cache_record_put(payload, &kept);
	codec->pack = value_packs(codec, &kept);
	*ret_body = payload + hf_cache_record_len(&kept);
	return HF_L2_GOOD;
}

/* The length of the packed payload; 0: it is better left as it is. */
static size_t value_pack(struct hf_l2_codec *codec)
{
	size_t len = codec->len, bound = ZSTD_compressBound(len);

	if (!value_buf_grow(&codec->packed, L2_VALUE_HEAD + bound))
		return 0;
	bound = ZSTD_compressCCtx(codec->out, codec->packed.ptr + L2_VALUE_HEAD, bound,
		codec->plain.ptr + L2_VALUE_HEAD, len, VALUE_ZSTD_LEVEL);
	return ZSTD_isError(bound) || bound > len - len / 8 ? 0 : bound;
}

struct hf_span hf_l2_encode_end(struct hf_l2_codec *codec)
{
	struct hf_span value = { codec->plain.ptr, L2_VALUE_HEAD + codec->len };
	size_t packed = codec->pack ? value_pack(codec) : 0;

	HF_ASSERT(codec->len > 0);
	if (packed > 0) {
		memcpy(codec->packed.ptr, codec->plain.ptr, L2_VALUE_HEAD);
		codec->packed.ptr[6] = VALUE_ZSTD;
		value = (struct hf_span){ codec->packed.ptr, L2_VALUE_HEAD + packed };
	}
	codec->len = 0;
	l2_value_seal((char *)value.ptr, value.len);
	return value;
}

/* A request of which no Vary value remains. */
static const struct hf_http_req value_nobody;

enum hf_l2_verdict hf_l2_encode_names(struct hf_l2_codec *codec, struct hf_span url,
	struct hf_span vary, uint64_t epoch, int64_t asked_us, struct hf_span *ret_value)
{
	enum hf_l2_verdict verdict;
	char *payload;
	int len;

	HF_ASSERT(vary.len > 0);
	verdict = value_begin(
		codec, HF_L2_NAMES, VALUE_NAMES_HEAD + url.len + vary.len, asked_us, &payload);
	if (verdict != HF_L2_GOOD)
		return verdict;
	len = hf_cache_vary_rebuild(
		payload + VALUE_NAMES_HEAD + url.len, vary.len, vary.ptr, vary.len, &value_nobody);
	HF_ASSERT(len > 0);
	hf_store_be64(payload, epoch);
	hf_store_be32(payload + 8, (uint32_t)url.len);
	hf_store_be32(payload + 12, (uint32_t)len);
	memcpy(payload + VALUE_NAMES_HEAD, url.ptr, url.len);
	codec->len = VALUE_NAMES_HEAD + url.len + (size_t)len;
	hf_store_be32(codec->plain.ptr + 24, (uint32_t)codec->len);
	*ret_value = hf_l2_encode_end(codec);
	return HF_L2_GOOD;
}

HF_STATIC_ASSERT(HF_L2_MARK_LEN == L2_VALUE_HEAD + sizeof(uint64_t), "the format");

void hf_l2_encode_mark(uint64_t mark, int64_t at_us, char ret_value[HF_L2_MARK_LEN])
{
	HF_ASSERT(mark != 0);
	value_head(ret_value, HF_L2_PURGED, sizeof(mark), at_us);
	hf_store_be64(ret_value + L2_VALUE_HEAD, mark);
	l2_value_seal(ret_value, HF_L2_MARK_LEN);
}

/* ---- decode ---- */

static enum hf_l2_verdict value_check_head(
	const struct hf_l2_codec *codec, struct hf_span bytes, const struct hf_l2_want *want)
{
	const char *at = bytes.ptr;
	uint64_t asked_us;

	if (bytes.len < L2_VALUE_HEAD || memcmp(at, value_magic, sizeof(value_magic)) != 0)
		return HF_L2_CORRUPT;
	if (at[4] != VALUE_VERSION)
		return HF_L2_VERSION;
	if (hf_load_be64(at + 8) != value_checksum(at, bytes.len))
		return HF_L2_CORRUPT;
	if (at[5] < HF_L2_RESPONSE || at[5] > HF_L2_PURGED ||
		(at[6] != VALUE_PLAIN && at[6] != VALUE_ZSTD) || at[7] != 0)
		return HF_L2_VERSION;
	if (hf_load_be32(at + 24) > codec->cfg.value_max - L2_VALUE_HEAD)
		return HF_L2_TOO_LARGE;
	asked_us = hf_load_be64(at + 16);
	HF_ASSERT(want->now_us >= 0 && want->now_us <= INT64_MAX - HF_L2_SKEW_US);
	return asked_us > (uint64_t)want->now_us + HF_L2_SKEW_US ? HF_L2_FUTURE : HF_L2_GOOD;
}

/* One frame, and nothing but it. */
static enum hf_l2_verdict value_unpack(
	struct hf_l2_codec *codec, struct hf_span packed, size_t len, struct hf_span *ret_payload)
{
	if (ZSTD_findFrameCompressedSize(packed.ptr, packed.len) != packed.len)
		return HF_L2_CORRUPT;
	if (!value_buf_grow(&codec->plain, len))
		return HF_L2_NO_MEMORY;
	if (ZSTD_decompressDCtx(codec->in, codec->plain.ptr, len, packed.ptr, packed.len) != len)
		return HF_L2_CORRUPT;
	*ret_payload = (struct hf_span){ codec->plain.ptr, len };
	return HF_L2_GOOD;
}

static enum hf_l2_verdict value_payload(
	struct hf_l2_codec *codec, struct hf_span bytes, struct hf_span *ret_payload)
{
	struct hf_span payload = { bytes.ptr + L2_VALUE_HEAD, bytes.len - L2_VALUE_HEAD };
	size_t len = hf_load_be32(bytes.ptr + 24);

	if (bytes.ptr[6] == VALUE_ZSTD)
		return value_unpack(codec, payload, len, ret_payload);
	*ret_payload = payload;
	return payload.len == len ? HF_L2_GOOD : HF_L2_CORRUPT;
}

static enum hf_l2_verdict value_get_response(
	struct hf_span payload, const struct hf_l2_want *want, struct hf_l2_value *value)
{
	struct hf_cache_record *record = &value->record;
	size_t len = hf_cache_record_get(payload, record);

	if (len == 0 || !hf_cache_record_is_good(record) || record->length != payload.len - len)
		return HF_L2_CORRUPT;
	if (!hf_span_eq(record->key, want->url) || !hf_span_eq(record->vary, want->vary))
		return HF_L2_OTHER;
	if (hf_cache_record_has_secret(record))
		return HF_L2_SECRET;
	if (want->now_us > value->asked_us)
		record->age_us =
			hf_min_u64(record->age_us + (uint64_t)(want->now_us - value->asked_us),
				VALUE_AGE_MAX_US);
	value->body = (struct hf_span){ payload.ptr + len, payload.len - len };
	return hf_cache_life_is_useful(
		       &record->life, (uint32_t)(record->age_us / 1000000), want->max_stale_s)
		       ? HF_L2_GOOD
		       : HF_L2_EXPIRED;
}

static enum hf_l2_verdict value_get_names(
	struct hf_span payload, const struct hf_l2_want *want, struct hf_l2_value *value)
{
	size_t url_len, vary_len;
	struct hf_span url;

	if (payload.len < VALUE_NAMES_HEAD)
		return HF_L2_CORRUPT;
	url_len = hf_load_be32(payload.ptr + 8);
	vary_len = hf_load_be32(payload.ptr + 12);
	if (vary_len == 0 || VALUE_NAMES_HEAD + url_len + vary_len != payload.len)
		return HF_L2_CORRUPT;
	url = (struct hf_span){ payload.ptr + VALUE_NAMES_HEAD, url_len };
	value->vary = (struct hf_span){ url.ptr + url_len, vary_len };
	value->epoch = hf_load_be64(payload.ptr);
	if (!hf_cache_vary_is_block(value->vary.ptr, vary_len) ||
		!hf_cache_vary_matches(value->vary.ptr, vary_len, &value_nobody))
		return HF_L2_CORRUPT;
	return hf_span_eq(url, want->url) && want->vary.len == 0 ? HF_L2_GOOD : HF_L2_OTHER;
}

static enum hf_l2_verdict value_get_mark(struct hf_span payload, bool plain,
	const struct hf_l2_want *want, struct hf_l2_value *value)
{
	if (payload.len != sizeof(value->mark) || !plain)
		return HF_L2_CORRUPT;
	value->mark = hf_load_be64(payload.ptr);
	if (value->mark == 0)
		return HF_L2_CORRUPT;
	return want->vary.len == 0 ? HF_L2_GOOD : HF_L2_OTHER;
}

enum hf_l2_verdict hf_l2_decode(struct hf_l2_codec *codec, struct hf_span bytes,
	const struct hf_l2_want *want, struct hf_l2_value *ret_value)
{
	enum hf_l2_verdict verdict = value_check_head(codec, bytes, want);
	struct hf_l2_value value = { .kind = HF_L2_RESPONSE };
	struct hf_span payload;

	if (verdict == HF_L2_GOOD)
		verdict = value_payload(codec, bytes, &payload);
	if (verdict != HF_L2_GOOD)
		return verdict;
	value.kind = (enum hf_l2_kind)bytes.ptr[5];
	value.asked_us = (int64_t)hf_load_be64(bytes.ptr + 16);
	switch (value.kind) {
	case HF_L2_RESPONSE:
		verdict = value_get_response(payload, want, &value);
		break;
	case HF_L2_NAMES:
		verdict = value_get_names(payload, want, &value);
		break;
	case HF_L2_PURGED:
		verdict = value_get_mark(payload, bytes.ptr[6] == VALUE_PLAIN, want, &value);
		break;
	}
	if (verdict == HF_L2_GOOD)
		*ret_value = value;
	return verdict;
}

const char *hf_l2_verdict_name(enum hf_l2_verdict verdict)
{
	static const char *const names[HF_L2_VERDICTS] = { "good", "corrupt", "unknown version",
		"of another key", "expired", "from the future", "with a credential", "too large",
		"no memory" };

	HF_ASSERT(verdict < HF_L2_VERDICTS);
	return names[verdict];
}

bool hf_l2_verdict_deletes(enum hf_l2_verdict verdict)
{
	return verdict == HF_L2_CORRUPT || verdict == HF_L2_SECRET;
}
