/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Values of L2: any bytes get a verdict, and what is good can be written again, to the same end. The first byte says
 * whether the checksum is made right before, so that what it guards is reached.
 * Needs: l2.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "l2_priv.h"

#define FUZZ_NOW 1800000000000000L

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hf_l2_codec *fuzz_reader, *fuzz_writer;

static void fuzz_open(void)
{
	const struct hf_l2_codec_cfg cfg = { .value_max = 1 << 20, .zstd_min = 256 };

	fuzz_reader = hf_l2_codec_new(&cfg);
	fuzz_writer = hf_l2_codec_new(&cfg);
	HF_ASSERT(fuzz_reader && fuzz_writer);
}

/* Of the age that it has now. */
static struct hf_span fuzz_encode(const struct hf_l2_value *value)
{
	struct hf_span again = { NULL, 0 };
	char *body;

	if (value->kind == HF_L2_PURGED) {
		static char mark[HF_L2_MARK_LEN];

		hf_l2_encode_mark(value->mark, FUZZ_NOW, mark);
		return (struct hf_span){ mark, sizeof(mark) };
	}
	if (value->kind == HF_L2_NAMES) {
		HF_ASSERT(hf_l2_encode_names(fuzz_writer, HF_SPAN("http://a/x"), value->vary,
				  value->epoch, FUZZ_NOW, &again) == HF_L2_GOOD);
		return again;
	}
	HF_ASSERT(hf_l2_encode_begin(fuzz_writer, &value->record, FUZZ_NOW, &body) == HF_L2_GOOD);
	memcpy(body, value->body.ptr, value->body.len);
	return hf_l2_encode_end(fuzz_writer);
}

static void fuzz_same(const struct hf_l2_value *a, const struct hf_l2_value *b)
{
	HF_ASSERT(a->kind == b->kind && a->epoch == b->epoch && a->mark == b->mark &&
		  hf_span_eq(a->vary, b->vary));
	HF_ASSERT(hf_span_eq(a->body, b->body) && hf_span_eq(a->record.head, b->record.head));
	HF_ASSERT(a->record.age_us == b->record.age_us && a->record.status == b->record.status);
	HF_ASSERT(memcmp(&a->record.life, &b->record.life, sizeof(a->record.life)) == 0);
}

static void fuzz_value(struct hf_span bytes)
{
	struct hf_l2_want want = { .url = HF_SPAN("http://a/x"), .now_us = FUZZ_NOW };
	struct hf_l2_value value, again;
	char *copy;

	if (hf_l2_decode(fuzz_reader, bytes, &want, &value) != HF_L2_GOOD)
		return;
	bytes = fuzz_encode(&value);
	copy = malloc(bytes.len);
	HF_ASSERT(copy);
	memcpy(copy, bytes.ptr, bytes.len);
	bytes.ptr = copy;
	HF_ASSERT(hf_l2_decode(fuzz_writer, bytes, &want, &again) == HF_L2_GOOD);
	fuzz_same(&value, &again);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes;

	if (size == 0)
		return 0;
	if (!fuzz_reader)
		fuzz_open();
	bytes = malloc(size - 1); /* its end is the end of what may be read */
	HF_ASSERT(bytes || size == 1);
	if (size > 1)
		memcpy(bytes, data + 1, size - 1);
	if (data[0] & 1 && size - 1 >= L2_VALUE_HEAD)
		l2_value_seal(bytes, size - 1);
	fuzz_value((struct hf_span){ bytes, size - 1 });
	free(bytes);
	return 0;
}
