/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The heads of origin answers, as libcurl hands them over.
 */
#include "hf_http.h"

#include <string.h>

#include "http_priv.h"

/* "HTTP/1.1 200", "HTTP/2 200": the version's end, or NULL. 2 and 3 count as 1.1: libcurl has
 * undone their framing. */
static const char *resp_version(const char *at, const char *end, uint8_t *ret_minor)
{
	if (end - at < 7 || memcmp(at, "HTTP/", 5) != 0)
		return NULL;
	at += 5;
	if (*at == '2' || *at == '3') {
		*ret_minor = 1;
		at++;
		return end - at >= 2 && at[0] == '.' && at[1] == '0' ? at + 2 : at;
	}
	if (end - at < 3 || at[0] != '1' || at[1] != '.' || !http_is(at[2], HTTP_DIGIT))
		return NULL;
	*ret_minor = at[2] == '0' ? 0 : 1;
	return at + 3;
}

/* line: the status line without its end. */
static int resp_status_line(struct hf_span line, struct hf_http_resp *resp)
{
	const char *end = line.ptr + line.len;
	const char *at = resp_version(line.ptr, end, &resp->minor);

	if (at == NULL || end - at < 4 || at[0] != ' ')
		return -1;
	for (unsigned i = 1; i <= 3; i++)
		if (!http_is(at[i], HTTP_DIGIT))
			return -1;
	resp->status = (uint16_t)((at[1] - '0') * 100 + (at[2] - '0') * 10 + (at[3] - '0'));
	at += 4;
	if (resp->status < 100 || (at < end && *at != ' '))
		return -1;
	resp->reason = hf_http_trim((struct hf_span){ at, (size_t)(end - at) });
	return 0;
}

/* One length, said once (RFC 9110 §8.6 would let us take "5, 5"). Of codings nothing but chunked
 * was asked for (TE), and from a 1.0 server none at all (RFC 9112 §6.1). */
static int resp_framing(struct hf_http_resp *resp)
{
	const struct hf_http_line *length =
		hf_http_fields_find(&resp->fields, HF_HTTP_FIELD_CONTENT_LENGTH);
	enum http_coding coding = http_fields_coding(&resp->fields);

	resp->chunked = coding == HTTP_CODING_CHUNKED;
	resp->has_content_length = false;
	resp->content_length = 0;
	if (coding != HTTP_CODING_NONE && (!resp->chunked || resp->minor == 0))
		return -1;
	if (length == NULL)
		return 0;
	if (hf_http_parse_u64(length->value, &resp->content_length) != 0)
		return -1;
	/* RFC 9112 §6.3: Transfer-Encoding overrides. */
	resp->has_content_length = !resp->chunked;
	if (!resp->has_content_length)
		resp->content_length = 0;
	return 0;
}

/* Moves *p behind the status line. */
static enum hf_parse resp_first_line(const char **p, const char *end, struct hf_http_resp *resp)
{
	const char *start = *p;
	const char *at = http_skip_value(start, end);
	struct hf_span line = { start, (size_t)(at - start) };

	if (at == end)
		return HF_PARSE_MORE;
	if (*at == '\r' && at + 1 == end)
		return HF_PARSE_MORE;
	if (*at == '\r')
		at++;
	if (*at != '\n' || resp_status_line(line, resp) != 0)
		return HF_PARSE_BAD;
	*p = at + 1;
	return HF_PARSE_DONE;
}

enum hf_parse hf_http_resp_parse(const char *buf, size_t len, struct hf_http_resp *ret_resp)
{
	const char *p = buf;
	const char *end = buf + len;
	enum hf_parse verdict = len == 0 ? HF_PARSE_MORE : resp_first_line(&p, end, ret_resp);

	if (verdict != HF_PARSE_DONE)
		return verdict;
	switch (http_lines_parse(
		&p, end, HF_HTTP_LINES_MAX, /* repair= */ true, &ret_resp->fields)) {
	case HTTP_LINES_DONE:
		break;
	case HTTP_LINES_MORE:
		return HF_PARSE_MORE;
	case HTTP_LINES_BAD:
	case HTTP_LINES_TOO_MANY:
		return HF_PARSE_BAD;
	}
	if (resp_framing(ret_resp) != 0 || !http_fields_mark_hops(&ret_resp->fields))
		return HF_PARSE_BAD;
	ret_resp->keep_alive = http_fields_keep_alive(&ret_resp->fields, ret_resp->minor);
	ret_resp->head_len = (size_t)(p - buf);
	HF_ASSERT_HOT(ret_resp->head_len <= len);
	HF_ASSERT_HOT(ret_resp->status >= 100 && ret_resp->status <= 999);
	return HF_PARSE_DONE;
}

bool hf_http_stored_parse(struct hf_span head, struct hf_http_fields *ret_fields)
{
	const char *p = head.len > 0 ? memchr(head.ptr, '\n', head.len) : NULL;
	const char *end = head.ptr + head.len;

	if (p == NULL || end[-1] != '\n')
		return false;
	p++;
	/* MORE: every line was one, only the empty one is not there. */
	return http_lines_parse(&p, end, HF_HTTP_LINES_MAX, /* repair= */ false, ret_fields) ==
	       HTTP_LINES_MORE;
}
