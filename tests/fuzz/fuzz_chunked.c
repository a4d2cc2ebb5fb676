/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Chunked bodies: the first byte says how the rest is cut; the data must be the same as in one piece. And the
 * rest as a body, which is written in chunks: what is read must be that body.
 * Needs: http.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	enum hf_http_chunk verdict;
	size_t taken;
	uint64_t sum, len; /* of the data */
};

static enum hf_http_chunk feed(
	struct hf_http_chunked *ch, const uint8_t *data, size_t size, struct result *r)
{
	char *in = malloc(size > 0 ? size : 1);
	enum hf_http_chunk verdict;
	size_t at = 0, n;

	memcpy(in, data, size);
	do {
		struct hf_span out = { NULL, 0 };

		verdict = hf_http_chunked_next(ch, in + at, size - at, &n, &out);
		HF_ASSERT(n <= size - at);
		at += n;
		HF_ASSERT((verdict == HF_HTTP_CHUNK_DATA) == (out.len > 0));
		HF_ASSERT(out.len == 0 || (out.ptr >= in && out.ptr + out.len <= in + at));
		for (size_t i = 0; i < out.len; i++)
			r->sum = r->sum * 31 + (uint8_t)out.ptr[i];
		r->len += out.len;
	} while (verdict == HF_HTTP_CHUNK_DATA);
	HF_ASSERT(verdict != HF_HTTP_CHUNK_MORE || at == size);
	r->taken += at;
	free(in);
	return verdict;
}

static struct result decode(const uint8_t *data, size_t size, size_t step)
{
	struct hf_http_chunked ch;
	struct result r = { .verdict = HF_HTTP_CHUNK_MORE };

	hf_http_chunked_init(&ch);
	for (size_t at = 0; at < size && r.verdict == HF_HTTP_CHUNK_MORE; at += step)
		r.verdict = feed(&ch, data + at, hf_min_size(step, size - at), &r);
	HF_ASSERT(ch.body_len == r.len && r.len <= size);
	return r;
}

static uint64_t sum_of(const uint8_t *data, size_t size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = sum * 31 + data[i];
	return sum;
}

static void written(const uint8_t *data, size_t size, size_t step)
{
	static const char *const exts[] = { "", ";a", " ; a=b", ";a=\"\\\"\\;\" ;b" };
	static const char end[] = "0\r\nContent-Length: 1\r\n\r\n";
	char *out = malloc(40 * (size / step + 2) + size);
	size_t at = 0;
	struct result got;

	for (size_t i = 0, n; i < size; i += n) {
		n = hf_min_size(step + i % 3, size - i);
		at += (size_t)sprintf(out + at, "%zX%s\r\n", n, exts[(i + step) % 4]);
		memcpy(out + at, data + i, n);
		memcpy(out + at + n, "\r\n", 2);
		at += n + 2;
		if (at > 4000)
			size = i + n; /* extensions are bounded */
	}
	memcpy(out + at, end, sizeof(end) - 1);
	at += sizeof(end) - 1;
	got = decode((const uint8_t *)out, at, step + 1);
	HF_ASSERT(got.verdict == HF_HTTP_CHUNK_END && got.taken == at && got.len == size);
	HF_ASSERT(got.sum == sum_of(data, size));
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, cut;

	if (size < 2)
		return 0;
	whole = decode(data + 1, size - 1, size);
	cut = decode(data + 1, size - 1, data[0] % 16 + 1U);
	HF_ASSERT(whole.verdict == cut.verdict && whole.taken == cut.taken);
	HF_ASSERT(whole.sum == cut.sum && whole.len == cut.len);
	written(data + 1, size - 1, data[0] % 16 + 1U);
	return 0;
}
