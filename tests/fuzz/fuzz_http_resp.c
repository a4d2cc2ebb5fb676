/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Origin answers.
 * Needs: http.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hf_http_resp *resp, const char *buf, size_t len)
{
	struct hf_http_cc cc;

	HF_ASSERT(resp->head_len <= len && resp->status >= 100 && resp->status <= 999);
	HF_ASSERT(resp->has_content_length || resp->content_length == 0);
	for (uint32_t i = 0; i < resp->fields.count; i++) {
		const struct hf_http_line *line = &resp->fields.lines[i];

		HF_ASSERT(line->name.ptr >= buf && line->name.len > 0);
		HF_ASSERT(line->value.ptr + line->value.len <= buf + resp->head_len);
		HF_ASSERT(hf_http_fields_have(&resp->fields, line->id));
		HF_ASSERT(memchr(line->value.ptr, '\r', line->value.len) == NULL);
	}
	hf_http_cc_from_fields(&resp->fields, &cc);
	(void)hf_http_cc_from_cdn(&resp->fields, &cc);
	(void)hf_http_via_has(&resp->fields, HF_SPAN("x"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hf_http_resp resp;
	char *buf = malloc(size > 0 ? size : 1);
	size_t cut = size > 0 ? data[size - 1] % size : 0;
	enum hf_parse whole, part;

	memcpy(buf, data, size);
	part = hf_http_resp_parse(buf, cut, &resp);
	whole = hf_http_resp_parse(buf, size, &resp);
	HF_ASSERT(part == HF_PARSE_MORE || part == whole);
	if (whole == HF_PARSE_DONE)
		check(&resp, buf, size);
	free(buf);
	return 0;
}
