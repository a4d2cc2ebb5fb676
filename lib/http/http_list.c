/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Character classes, tokens, comma lists, numbers.
 */
#include "hf_http.h"

#include <errno.h>

#include "http_priv.h"

#define HTTP_ALNUM (HTTP_TCHAR | HTTP_VALUE | HTTP_URI | HTTP_UNRESERVED | HTTP_HOST)
#define HTTP_VIS   (HTTP_VALUE | HTTP_URI)

const uint8_t http_class[256] = {
	['\t'] = HTTP_VALUE,
	[' '] = HTTP_VALUE,
	['!'] = HTTP_VIS | HTTP_TCHAR | HTTP_HOST,
	['"'] = HTTP_VIS,
	['#'] = HTTP_VALUE | HTTP_TCHAR,
	['$'] = HTTP_VIS | HTTP_TCHAR | HTTP_HOST,
	['%'] = HTTP_VIS | HTTP_TCHAR, /* in a host only as an escape */
	['&' ... '\''] = HTTP_VIS | HTTP_TCHAR | HTTP_HOST,
	['(' ... ')'] = HTTP_VIS | HTTP_HOST,
	['*' ... '+'] = HTTP_VIS | HTTP_TCHAR | HTTP_HOST,
	[','] = HTTP_VIS | HTTP_HOST,
	['-' ... '.'] = HTTP_ALNUM,
	['/'] = HTTP_VIS,
	['0' ... '9'] = HTTP_ALNUM | HTTP_HEX | HTTP_DIGIT,
	[':'] = HTTP_VIS,
	[';'] = HTTP_VIS | HTTP_HOST,
	['<'] = HTTP_VIS,
	['='] = HTTP_VIS | HTTP_HOST,
	['>' ... '@'] = HTTP_VIS,
	['A' ... 'F'] = HTTP_ALNUM | HTTP_HEX,
	['G' ... 'Z'] = HTTP_ALNUM,
	['[' ... ']'] = HTTP_VIS,
	['^'] = HTTP_VIS | HTTP_TCHAR,
	['_'] = HTTP_ALNUM,
	['`'] = HTTP_VIS | HTTP_TCHAR,
	['a' ... 'f'] = HTTP_ALNUM | HTTP_HEX,
	['g' ... 'z'] = HTTP_ALNUM,
	['{'] = HTTP_VIS,
	['|'] = HTTP_VIS | HTTP_TCHAR,
	['}'] = HTTP_VIS,
	['~'] = HTTP_ALNUM,
	[0x80 ... 0xff] = HTTP_VALUE,
};

/* Sixteen bytes at once; the zero behind the last one stands in no run. */
const char *http_skip_value(const char *p, const char *end)
{
	const __m128i ctl_max = _mm_set1_epi8(0x1f);
	const __m128i del = _mm_set1_epi8(0x7f);
	const __m128i tab = _mm_set1_epi8('\t');
	int mask;

	for (;; p += 16) {
		__m128i v = http_load(p, end);
		__m128i bad = _mm_andnot_si128(
			_mm_cmpeq_epi8(v, tab), _mm_cmpeq_epi8(_mm_min_epu8(v, ctl_max), v));

		mask = _mm_movemask_epi8(_mm_or_si128(bad, _mm_cmpeq_epi8(v, del)));
		if (mask != 0)
			return p + __builtin_ctz((unsigned)mask);
	}
}

/* A character is one where bit h of the entry of its lower half is set, h being its upper half. */
const char *http_skip_token(const char *p, const char *end)
{
	const __m128i by_low = _mm_setr_epi8((char)0xe8, (char)0xfc, (char)0xf8, (char)0xfc,
		(char)0xfc, (char)0xfc, (char)0xfc, (char)0xfc, (char)0xf8, (char)0xf8, (char)0xf4,
		0x54, (char)0xd0, 0x54, (char)0xf4, 0x70);
	const __m128i by_high =
		_mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, (char)128, 0, 0, 0, 0, 0, 0, 0, 0);
	const __m128i half = _mm_set1_epi8(0x0f);
	int mask;

	for (;; p += 16) {
		__m128i v = http_load(p, end);
		__m128i low = _mm_shuffle_epi8(by_low, _mm_and_si128(v, half));
		__m128i high = _mm_shuffle_epi8(by_high, _mm_and_si128(_mm_srli_epi16(v, 4), half));

		mask = _mm_movemask_epi8(
			_mm_cmpeq_epi8(_mm_and_si128(low, high), _mm_setzero_si128()));
		if (mask != 0)
			return p + __builtin_ctz((unsigned)mask);
	}
}

const char *http_skip_uri(const char *p, const char *end, struct http_uri_has *ret_has)
{
	const __m128i space = _mm_set1_epi8(' ');
	const __m128i del = _mm_set1_epi8(0x7f);
	const __m128i hash = _mm_set1_epi8('#');
	const __m128i question = _mm_set1_epi8('?');
	const __m128i percent = _mm_set1_epi8('%');
	const __m128i slash = _mm_set1_epi8('/');
	const __m128i dot = _mm_set1_epi8('.');
	__m128i query = _mm_setzero_si128(), escape = query, slashes = query;

	for (;; p += 16) {
		__m128i v = http_load(p, end);
		/* signed: bytes from 0x80 on are below the space too */
		__m128i bad = _mm_or_si128(_mm_cmpeq_epi8(v, del), _mm_cmpeq_epi8(v, hash));
		unsigned run = (unsigned)_mm_movemask_epi8(
			_mm_andnot_si128(bad, _mm_cmpgt_epi8(v, space)));
		__m128i before = slashes; /* the sixteen before these */

		/* behind the run too, in its last sixteen: they are looked at for nothing then */
		slashes = _mm_cmpeq_epi8(v, slash);
		query = _mm_or_si128(query, _mm_cmpeq_epi8(v, question));
		escape = _mm_or_si128(escape, _mm_cmpeq_epi8(v, percent));
		escape = _mm_or_si128(escape, _mm_and_si128(_mm_cmpeq_epi8(v, dot),
						      _mm_alignr_epi8(slashes, before, 15)));
		if (run != 0xffff) {
			ret_has->query = _mm_movemask_epi8(query) != 0;
			ret_has->escape = _mm_movemask_epi8(escape) != 0;
			return p + __builtin_ctz(~run);
		}
	}
}

bool hf_http_is_token(struct hf_span text)
{
	HF_ASSERT_HOT(text.len == 0 || text.ptr != NULL);
	for (size_t i = 0; i < text.len; i++)
		if (!http_is(text.ptr[i], HTTP_TCHAR))
			return false;
	return text.len > 0;
}

struct hf_span hf_http_trim(struct hf_span text)
{
	while (text.len > 0 && http_is_ws(text.ptr[0])) {
		text.ptr++;
		text.len--;
	}
	while (text.len > 0 && http_is_ws(text.ptr[text.len - 1]))
		text.len--;
	return text;
}

/* The length of the element at the front: to the next comma outside quotes. */
static size_t list_item_len(struct hf_span list)
{
	bool quoted = false;

	for (size_t i = 0; i < list.len; i++) {
		char c = list.ptr[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (c == ',' && !quoted)
			return i;
	}
	return list.len;
}

bool hf_http_list_next(struct hf_span *list, struct hf_span *ret_item)
{
	HF_ASSERT_HOT(list->len == 0 || list->ptr != NULL);
	while (list->len > 0) {
		size_t n = list_item_len(*list);
		struct hf_span item = hf_http_trim((struct hf_span){ list->ptr, n });
		size_t taken = n < list->len ? n + 1 : n;

		HF_ASSERT_HOT(taken > 0);
		list->ptr += taken;
		list->len -= taken;
		if (item.len > 0) {
			*ret_item = item;
			return true;
		}
	}
	return false;
}

int hf_http_parse_u64(struct hf_span text, uint64_t *ret_value)
{
	uint64_t v = 0;
	bool over = false;

	HF_ASSERT_HOT(ret_value != NULL);
	if (text.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)(text.ptr[i] - '0');

		if (!http_is(text.ptr[i], HTTP_DIGIT))
			return -EINVAL;
		over = over || v > ((uint64_t)INT64_MAX - digit) / 10;
		v = over ? 0 : v * 10 + digit;
	}
	if (over)
		return -ERANGE;
	*ret_value = v;
	return 0;
}

int hf_http_parse_delta(struct hf_span text, uint32_t *ret_s)
{
	uint64_t v;
	int err = hf_http_parse_u64(text, &v);

	if (err == -EINVAL)
		return err;
	if (err == -ERANGE || v > HF_HTTP_DELTA_MAX)
		v = HF_HTTP_DELTA_MAX;
	*ret_s = (uint32_t)v;
	return 0;
}
