/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Origin answers; what parses means the same when its parts are written again.
 * Needs: http.
 */
#include <stdint.h>
#include <stdio.h>
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

static size_t put(char *out, size_t at, struct hf_span text)
{
	if (text.len > 0)
		memcpy(out + at, text.ptr, text.len);
	return at + text.len;
}

/* `room`: of what it was read from; a line end of one byte becomes one of two, a version one of 1.1. */
static void check_again(const struct hf_http_resp *resp, size_t room)
{
	static struct hf_http_resp again;
	char *out = malloc(2 * room + 16);
	size_t at = put(out, 0, resp->minor == 0 ? HF_SPAN("HTTP/1.0 ") : HF_SPAN("HTTP/1.1 "));
	enum hf_parse verdict;

	at += (size_t)sprintf(out + at, "%u ", resp->status);
	at = put(out, at, resp->reason);
	at = put(out, at, HF_SPAN("\r\n"));
	for (uint32_t i = 0; i < resp->fields.count; i++) {
		at = put(out, at, resp->fields.lines[i].name);
		at = put(out, at, HF_SPAN(":"));
		at = put(out, at, resp->fields.lines[i].value);
		at = put(out, at, HF_SPAN("\r\n"));
	}
	at = put(out, at, HF_SPAN("\r\n"));
	verdict = hf_http_resp_parse(out, at, &again);
	HF_ASSERT(verdict == HF_PARSE_DONE && again.head_len == at);
	HF_ASSERT(again.status == resp->status && again.minor == resp->minor);
	HF_ASSERT(again.chunked == resp->chunked && again.keep_alive == resp->keep_alive);
	HF_ASSERT(again.has_content_length == resp->has_content_length);
	HF_ASSERT(again.content_length == resp->content_length);
	HF_ASSERT(
		again.fields.count == resp->fields.count && again.fields.have == resp->fields.have);
	free(out);
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
	if (whole == HF_PARSE_DONE) {
		check(&resp, buf, size);
		check_again(&resp, size);
	}
	free(buf);
	return 0;
}
