/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_bytes.h"
#include "l2_priv.h"

#define S     1000000L
#define ASKED (1800000000L * S)

#define HEAD                                                                                       \
	"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"      \
	"Surrogate-Key: a b\r\n"
#define URL  "http://a.test/x"
#define VARY HF_SPAN("accept\0+text/html\0accept-encoding\0-\0")

static const struct hf_l2_codec_cfg cfg = { .value_max = 1 << 20, .zstd_min = 1024 };
static struct hf_l2_codec *writer, *reader;
static char copy[2 << 20];
static struct hf_span value;

static void open_with(struct hf_l2_codec_cfg with)
{
	writer = hf_l2_codec_new(&with);
	reader = hf_l2_codec_new(&with);
	cr_assert(writer && reader);
}

static void open_codecs(void)
{
	open_with(cfg);
}

static void close_codecs(void)
{
	hf_l2_codec_free(writer);
	hf_l2_codec_free(reader);
}

static struct hf_cache_record record_of(const char *head, size_t length)
{
	return (struct hf_cache_record){ .age_us = 7 * S,
		.length = length,
		.life = { .lifetime_s = 100,
			.swr_s = 10,
			.sie_s = 50,
			.date_s = 5,
			.has_validator = true },
		.status = 200,
		.flags = HF_CACHE_RECORD_AUTH_OK,
		.key = HF_SPAN(URL),
		.head = { head, strlen(head) } };
}

static char body_byte(size_t at, bool random)
{
	return (char)(random ? at * 2654435761U >> 11 ^ (at * at >> 7) * 40503U : at / 100);
}

static enum hf_l2_verdict encoded(const struct hf_cache_record *record, bool random)
{
	enum hf_l2_verdict verdict;
	char *body = NULL;

	verdict = hf_l2_encode_begin(writer, record, ASKED, &body);
	if (verdict != HF_L2_GOOD)
		return verdict;
	for (size_t i = 0; i < record->length; i++)
		body[i] = body_byte(i, random);
	value = hf_l2_encode_end(writer);
	memcpy(copy, value.ptr, value.len);
	value.ptr = copy;
	return HF_L2_GOOD;
}

static struct hf_l2_want want_of(struct hf_span vary)
{
	return (struct hf_l2_want){ .url = HF_SPAN(URL), .vary = vary, .now_us = ASKED };
}

static struct hf_l2_value got;

static enum hf_l2_verdict decoded_at(int64_t after_us)
{
	struct hf_l2_want want = want_of((struct hf_span){ NULL, 0 });

	want.now_us += after_us;
	return hf_l2_decode(reader, value, &want, &got);
}

static void expect_same(const struct hf_cache_record *record, bool random)
{
	cr_assert_eq(decoded_at(0), HF_L2_GOOD);
	cr_expect_eq(got.kind, HF_L2_RESPONSE);
	cr_expect_eq(got.asked_us, ASKED);
	cr_expect_eq(got.record.age_us, record->age_us);
	cr_expect_eq(memcmp(&got.record.life, &record->life, sizeof(record->life)), 0);
	cr_expect_eq(got.record.status, record->status);
	cr_expect_eq(got.record.flags, record->flags);
	cr_expect(hf_span_eq(got.record.key, record->key));
	cr_expect(hf_span_eq(got.record.head, record->head), "validators and tags");
	cr_assert_eq(got.body.len, record->length);
	for (size_t i = 0; i < got.body.len; i++)
		cr_assert_eq(got.body.ptr[i], body_byte(i, random), "%zu", i);
}

TestSuite(l2_value, .init = open_codecs, .fini = close_codecs);

Test(l2_value, comes_back_as_it_was)
{
	static const size_t lengths[] = { 0, 1, 800, 5000, 300000 };

	for (size_t i = 0; i < 2 * HF_ARRAY_LEN(lengths); i++) {
		struct hf_cache_record record = record_of(HEAD, lengths[i / 2]);

		cr_assert_eq(encoded(&record, i % 2), HF_L2_GOOD);
		expect_same(&record, i % 2);
	}
}

Test(l2_value, is_documented_byte_by_byte)
{
	struct hf_cache_record record = record_of(HEAD, 3);

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_assert_eq(value.len, 28 + 48 + strlen(URL) + strlen(HEAD) + 3);
	cr_expect_eq(memcmp(copy, "hfL2\1\1\0\0", 8), 0);
	cr_expect_eq(hf_load_be64(copy + 16), ASKED);
	cr_expect_eq(hf_load_be32(copy + 24), value.len - 28);
	cr_expect_eq(hf_load_be64(copy + 28), 7 * S);
	cr_expect_eq(hf_load_be64(copy + 36), 3);
	cr_expect_eq(hf_load_be32(copy + 44), 100);
	cr_expect_eq(hf_load_be32(copy + 28 + 36), strlen(URL));
	cr_expect_eq(memcmp(copy + 76, URL HEAD, strlen(URL HEAD)), 0);
}

/* What this version wrote once: every later one has to read it. */
Test(l2_value, a_value_of_version_1_is_read_for_ever)
{
	static const unsigned char always[] = {
#include "value_v1.h"
	};

	value = (struct hf_span){ (const char *)always, sizeof(always) };
	cr_assert_eq(decoded_at(0), HF_L2_GOOD);
	cr_expect_eq(got.record.age_us, 7 * S);
	cr_expect(hf_span_eq(got.record.head, HF_SPAN(HEAD)));
	cr_assert_eq(got.body.len, 2000);
	for (size_t i = 0; i < got.body.len; i++)
		cr_assert_eq(got.body.ptr[i], body_byte(i, false));
}

Test(l2_value, long_ones_are_compressed_when_that_helps)
{
	struct hf_cache_record record = record_of(HEAD, 100000);

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_expect_lt(value.len, 5000);
	cr_assert_eq(encoded(&record, true), HF_L2_GOOD);
	cr_expect_gt(value.len, 100000);
	record = record_of(HEAD "Content-Encoding: gzip\r\n", 100000);
	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_expect_gt(value.len, 100000, "what is already");
	record = record_of(HEAD, cfg.zstd_min - 300);
	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_expect_gt(value.len, record.length, "short");
}

Test(l2_value, none_is_compressed_without_zstd_min_or_beyond_the_most)
{
	struct hf_cache_record record = record_of(HEAD, 100000);

	close_codecs();
	open_with((struct hf_l2_codec_cfg){ .value_max = 1 << 20 });
	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_expect_gt(value.len, 100000);
	close_codecs();
	open_with((struct hf_l2_codec_cfg){ .value_max = 2 << 20, .zstd_min = 1 });
	record.length = HF_L2_ZSTD_MAX;
	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_expect_gt(value.len, HF_L2_ZSTD_MAX);
}

Test(l2_value, the_largest_fits_and_one_byte_more_does_not)
{
	struct hf_cache_record record = record_of(HEAD, 0);

	record.length = cfg.value_max - 28 - hf_cache_record_len(&record);
	cr_assert_eq(encoded(&record, true), HF_L2_GOOD);
	cr_expect_eq(value.len, cfg.value_max);
	expect_same(&record, true);
	record.length++;
	cr_expect_eq(encoded(&record, true), HF_L2_TOO_LARGE);
	record.length = INT64_MAX;
	cr_expect_eq(encoded(&record, true), HF_L2_TOO_LARGE);
}

Test(l2_value, of_an_edge_with_another_maximum_is_too_large)
{
	struct hf_cache_record record = record_of(HEAD, 5000);
	struct hf_l2_codec *small;
	struct hf_l2_codec_cfg little = { .value_max = 5000 };
	struct hf_l2_want want = want_of((struct hf_span){ NULL, 0 });

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	small = hf_l2_codec_new(&little);
	cr_expect_eq(hf_l2_decode(small, value, &want, &got), HF_L2_TOO_LARGE, "compressed or not");
	hf_l2_codec_free(small);
}

Test(l2_value, L3_time_in_L2_counts_for_its_age)
{
	struct hf_cache_record record = record_of(HEAD, 10);

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_assert_eq(decoded_at(80 * S), HF_L2_GOOD);
	cr_expect_eq(got.record.age_us, 87 * S);
	cr_expect_eq(got.record.life.lifetime_s, 100, "which is judged against the age");
	cr_assert_eq(decoded_at(140 * S), HF_L2_GOOD, "within a window");
	cr_expect_eq(decoded_at(160 * S), HF_L2_EXPIRED);
	cr_expect_eq(decoded_at(INT64_MAX / 2 - ASKED), HF_L2_EXPIRED);
}

Test(l2_value, L3_in_fallback_what_is_older_is_good)
{
	struct hf_cache_record record = record_of(HEAD, 10);
	struct hf_l2_want want = want_of((struct hf_span){ NULL, 0 });

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	want.now_us += 1000 * S;
	want.max_stale_s = 3600;
	cr_expect_eq(hf_l2_decode(reader, value, &want, &got), HF_L2_GOOD);
}

Test(l2_value, L3_from_the_future_it_is_no_hit_but_clocks_differ_a_little)
{
	struct hf_cache_record record = record_of(HEAD, 10);

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_assert_eq(decoded_at(-HF_L2_SKEW_US), HF_L2_GOOD);
	cr_expect_eq(got.record.age_us, 7 * S, "never younger than it was");
	cr_expect_eq(decoded_at(-HF_L2_SKEW_US - 1), HF_L2_FUTURE);
}

Test(l2_value, L3_of_another_url_or_variant_it_is_of_no_use)
{
	struct hf_cache_record record = record_of(HEAD, 10);
	struct hf_l2_want want = want_of(VARY);

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_expect_eq(hf_l2_decode(reader, value, &want, &got), HF_L2_OTHER);
	want = want_of((struct hf_span){ NULL, 0 });
	want.url = HF_SPAN("http://a.test/y");
	cr_expect_eq(hf_l2_decode(reader, value, &want, &got), HF_L2_OTHER);
	record.vary = VARY;
	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_expect_eq(decoded_at(0), HF_L2_OTHER);
	want = want_of(VARY);
	cr_expect_eq(hf_l2_decode(reader, value, &want, &got), HF_L2_GOOD);
	want = want_of(HF_SPAN("accept\0+text/plain\0accept-encoding\0-\0"));
	cr_expect_eq(hf_l2_decode(reader, value, &want, &got), HF_L2_OTHER);
}

static enum hf_l2_verdict secret(struct hf_cache_record record)
{
	return encoded(&record, false);
}

Test(l2_value, L4_nothing_with_a_credential_is_encoded)
{
	struct hf_names none = { 0 }, own = { 1, { "x-own-token" } };
	struct hf_cache_record record = record_of(HEAD, 10);

	record.key = HF_SPAN("http://a.test/x?token=abc");
	cr_expect_eq(secret(record), HF_L2_SECRET);
	cr_expect_eq(secret(record_of(HEAD "Set-Cookie: a=b\r\n", 10)), HF_L2_CORRUPT);
	cr_expect_eq(secret(record_of(HEAD "X-Own-Token: a\r\n", 10)), HF_L2_GOOD);
	cr_expect_eq(decoded_at(0), HF_L2_GOOD);
	hf_http_secrets_set(&own, &none);
	cr_expect_eq(decoded_at(0), HF_L2_SECRET, "what an edge with other names stored");
	cr_expect_eq(secret(record_of(HEAD "X-Own-Token: a\r\n", 10)), HF_L2_SECRET);
	record = record_of(HEAD, 10);
	record.vary = HF_SPAN("x-own-token\0+abc\0");
	cr_expect_eq(secret(record), HF_L2_SECRET);
	record.vary = HF_SPAN("x-own-token\0-\0");
	cr_expect_eq(secret(record), HF_L2_GOOD);
}

Test(l2_value, what_could_not_have_been_stored_is_not_encoded)
{
	struct hf_cache_record record = record_of(HEAD, 10);

	record.status = 404;
	cr_expect_eq(secret(record), HF_L2_CORRUPT, "not that of the head");
	record = record_of(HEAD, 10);
	record.key = HF_SPAN("ftp://x/");
	cr_expect_eq(secret(record), HF_L2_CORRUPT);
	record = record_of(HEAD, 10);
	record.vary = HF_SPAN("accept");
	cr_expect_eq(secret(record), HF_L2_CORRUPT);
	cr_expect_eq(secret(record_of(HEAD "Content-Length: 3\r\n", 10)), HF_L2_CORRUPT);
	record = record_of(HEAD, 10);
	record.flags |= HF_CACHE_RECORD_TOUCHED;
	cr_expect_eq(secret(record), HF_L2_GOOD);
	cr_expect_eq(decoded_at(0), HF_L2_GOOD);
	cr_expect_eq(
		got.record.flags, HF_CACHE_RECORD_AUTH_OK, "who asked for it here is nobody there");
}

/* With another byte there, under a right checksum. */
static enum hf_l2_verdict resealed(size_t at, char byte)
{
	char was = copy[at];
	enum hf_l2_verdict verdict;

	copy[at] = byte;
	l2_value_seal(copy, value.len);
	verdict = decoded_at(0);
	copy[at] = was;
	return verdict;
}

/* ---- names ---- */

Test(l2_value, names_of_vary_come_back_without_values)
{
	struct hf_l2_want want = want_of((struct hf_span){ NULL, 0 });
	struct hf_span names;

	cr_assert_eq(hf_l2_encode_names(writer, HF_SPAN(URL), VARY, 0xabcdef, ASKED, &names),
		HF_L2_GOOD);
	cr_assert_eq(hf_l2_decode(reader, names, &want, &got), HF_L2_GOOD);
	cr_expect_eq(got.kind, HF_L2_NAMES);
	cr_expect_eq(got.epoch, 0xabcdef);
	cr_expect(hf_span_eq(got.vary, HF_SPAN("accept\0-\0accept-encoding\0-\0")));
	cr_expect_eq(memmem(names.ptr, names.len, "text/html", 9), NULL);
	want.url = HF_SPAN("http://a.test/y");
	cr_expect_eq(hf_l2_decode(reader, names, &want, &got), HF_L2_OTHER);
	want = want_of(VARY);
	cr_expect_eq(
		hf_l2_decode(reader, names, &want, &got), HF_L2_OTHER, "under a variant's key");
}

Test(l2_value, names_with_values_or_without_names_are_none)
{
	struct hf_span names;
	char *block;

	cr_assert_eq(hf_l2_encode_names(writer, HF_SPAN(URL), VARY, 1, ASKED, &names), HF_L2_GOOD);
	memcpy(copy, names.ptr, names.len);
	value = (struct hf_span){ copy, names.len };
	block = copy + 28 + 16 + strlen(URL);
	cr_assert_eq(memcmp(block, "accept\0-", 8), 0);
	cr_expect_eq(resealed(0, 'h'), HF_L2_GOOD);
	cr_expect_eq(resealed((size_t)(block - copy) + 7, '+'), HF_L2_CORRUPT);
	cr_expect_eq(resealed((size_t)(block - copy), ' '), HF_L2_CORRUPT);
	cr_expect_eq(resealed(28 + 11, 1), HF_L2_CORRUPT, "length of the URL");
	value.len = (size_t)(block - copy);
	hf_store_be32(copy + 24, (uint32_t)value.len - 28);
	hf_store_be32(copy + 28 + 12, 0);
	cr_expect_eq(resealed(0, 'h'), HF_L2_CORRUPT, "no names");
}

/* ---- marks ---- */

Test(l2_value, a_mark_is_36_bytes_that_come_back)
{
	struct hf_l2_want want = want_of((struct hf_span){ NULL, 0 });

	value = (struct hf_span){ copy, HF_L2_MARK_LEN };
	hf_l2_encode_mark(0x0102030405060708, ASKED, copy);
	cr_expect_eq(memcmp(copy, "hfL2\1\3\0\0", 8), 0);
	cr_expect_eq(memcmp(copy + 24, "\0\0\0\10\1\2\3\4\5\6\7\10", 12), 0);
	cr_assert_eq(hf_l2_decode(reader, value, &want, &got), HF_L2_GOOD);
	cr_expect_eq(got.kind, HF_L2_PURGED);
	cr_expect_eq(got.mark, 0x0102030405060708);
	cr_expect_eq(got.asked_us, ASKED);
	want = want_of(VARY);
	cr_expect_eq(hf_l2_decode(reader, value, &want, &got), HF_L2_OTHER);
	cr_expect_eq(resealed(35, 0), HF_L2_GOOD);
	cr_expect_eq(resealed(27, 7), HF_L2_CORRUPT);
	hf_store_be64(copy + 28, 0);
	cr_expect_eq(resealed(0, 'h'), HF_L2_CORRUPT, "no mark");
}

/* ---- damage ---- */

Test(l2_value, every_flipped_bit_is_seen)
{
	for (uint32_t random = 0; random < 2; random++) {
		struct hf_cache_record record = record_of(HEAD, 2000);

		cr_assert_eq(encoded(&record, random), HF_L2_GOOD);
		for (size_t bit = 0; bit < 8 * value.len; bit++) {
			enum hf_l2_verdict verdict;

			copy[bit / 8] ^= (char)(1 << bit % 8);
			verdict = decoded_at(0);
			copy[bit / 8] ^= (char)(1 << bit % 8);
			cr_assert(verdict == HF_L2_CORRUPT ||
					  (bit / 8 == 4 && verdict == HF_L2_VERSION),
				"bit %zu: %s", bit, hf_l2_verdict_name(verdict));
		}
		cr_expect_eq(decoded_at(0), HF_L2_GOOD);
	}
}

Test(l2_value, every_length_but_the_right_one_is_seen)
{
	struct hf_cache_record record = record_of(HEAD, 2000);
	size_t len;

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	len = value.len;
	for (value.len = 0; value.len < len; value.len++)
		cr_assert_eq(decoded_at(0), HF_L2_CORRUPT, "%zu", value.len);
	value.len = len + 1;
	cr_expect_eq(decoded_at(0), HF_L2_CORRUPT);
	value = (struct hf_span){ NULL, 0 };
	cr_expect_eq(decoded_at(0), HF_L2_CORRUPT);
}

Test(l2_value, what_is_wrong_under_a_right_checksum_is_seen)
{
	struct hf_cache_record record = record_of(HEAD, 500);

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	cr_assert_eq(resealed(4, 1), HF_L2_GOOD);
	cr_expect_eq(resealed(4, 2), HF_L2_VERSION);
	cr_expect_eq(resealed(5, 0), HF_L2_VERSION, "kind");
	cr_expect_eq(resealed(5, 4), HF_L2_VERSION, "kind");
	cr_expect_eq(resealed(5, HF_L2_PURGED), HF_L2_CORRUPT);
	cr_expect_eq(resealed(5, HF_L2_NAMES), HF_L2_CORRUPT);
	cr_expect_eq(resealed(6, 2), HF_L2_VERSION, "coding");
	cr_expect_eq(resealed(6, 1), HF_L2_CORRUPT, "no zstd");
	cr_expect_eq(resealed(7, 1), HF_L2_VERSION);
	cr_expect_eq(resealed(16, 1), HF_L2_FUTURE);
	cr_expect_eq(resealed(16, (char)0x80), HF_L2_FUTURE);
	cr_expect_eq(resealed(24, 1), HF_L2_TOO_LARGE);
	cr_expect_eq(resealed(26, 0), HF_L2_CORRUPT, "length of the payload");
	cr_expect_eq(resealed(28, 1), HF_L2_CORRUPT, "age");
	cr_expect_eq(resealed(42, 0), HF_L2_CORRUPT, "length of the body");
	cr_expect_eq(resealed(28 + 36, 1), HF_L2_CORRUPT, "of the key");
	cr_expect_eq(resealed(28 + 48, 'f'), HF_L2_CORRUPT, "key");
	cr_expect_eq(resealed(28 + 48 + sizeof(URL) - 1, 'h'), HF_L2_CORRUPT, "head");
	cr_expect_eq(resealed(28 + 48 + sizeof(URL) - 2, 'y'), HF_L2_OTHER);
}

Test(l2_value, zstd_that_is_more_or_other_than_one_frame_is_seen)
{
	struct hf_cache_record record = record_of(HEAD, 5000);
	size_t len;

	cr_assert_eq(encoded(&record, false), HF_L2_GOOD);
	len = value.len;
	cr_assert_eq(copy[6], 1);
	cr_expect_eq(
		resealed(27, (char)(copy[27] ^ 1)), HF_L2_CORRUPT, "another length than it says");
	memcpy(copy + len, copy + 28, len - 28);
	value.len = len + len - 28;
	cr_expect_eq(resealed(0, 'h'), HF_L2_CORRUPT, "two frames");
	memcpy(copy + len, "\x50\x2a\x4d\x18\0\0\0\0", 8);
	value.len = len + 8;
	cr_expect_eq(resealed(0, 'h'), HF_L2_CORRUPT, "and one to be skipped");
	memcpy(copy + 28, "\x50\x2a\x4d\x18\0\0\0\0", 8);
	value.len = 36;
	cr_expect_eq(resealed(27, 0), HF_L2_CORRUPT, "a frame to be skipped");
}

Test(l2_value, which_ones_are_to_be_deleted)
{
	for (uint32_t i = 0; i < HF_L2_VERDICTS; i++)
		cr_expect_eq(hf_l2_verdict_deletes((enum hf_l2_verdict)i),
			i == HF_L2_CORRUPT || i == HF_L2_SECRET, "%s",
			hf_l2_verdict_name((enum hf_l2_verdict)i));
}
