/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Just enough of a response: where its head ends, its status, how long its body is.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "load.h"

static int resp_status(struct load_resp *resp, const char *line, size_t len)
{
	static const char version[] = "HTTP/1.1 ";
	const char *code = line + sizeof(version) - 1;

	if (len < sizeof(version) - 1 + 4 || memcmp(line, version, sizeof(version) - 1) != 0)
		return -EPROTO;
	resp->status = 0;
	for (uint32_t i = 0; i < 3; i++) {
		if (code[i] < '0' || code[i] > '9')
			return -EPROTO;
		resp->status = (uint16_t)(resp->status * 10 + code[i] - '0');
	}
	return code[3] == ' ' ? 0 : -EPROTO;
}

static void resp_shape_keep(
	struct load_resp *resp, const char *head, uint32_t head_len, const char *line, uint32_t len)
{
	struct load_shape *shape = resp->shape;

	if (!shape || resp->status != 200 || len > sizeof(shape->line))
		return;
	shape->head_len = head_len;
	shape->at = (uint32_t)(line - head);
	shape->len = len;
	shape->length = resp->length;
	memcpy(shape->line, line, len);
}

/* The status, the length and the end of the head are where they were, and the same: no need to look for
 * them. */
static bool resp_is_alike(const struct load_resp *resp, const char *head, size_t len)
{
	const struct load_shape *shape = resp->shape;

	return shape && shape->head_len > 0 && shape->head_len <= len &&
	       memcmp(head, "HTTP/1.1 200 ", 13) == 0 &&
	       memcmp(head + shape->head_len - 4, "\r\n\r\n", 4) == 0 &&
	       memcmp(head + shape->at, shape->line, shape->len) == 0;
}

static int resp_length(struct load_resp *resp, const char *at, const char *end)
{
	uint64_t length = 0;

	while (at < end && *at == ' ')
		at++;
	if (at == end || resp->length != UINT64_MAX)
		return -EPROTO;
	for (; at < end; at++) {
		if (*at < '0' || *at > '9' || length > UINT32_MAX)
			return -EPROTO;
		length = length * 10 + (uint64_t)(*at - '0');
	}
	resp->length = length;
	return 0;
}

static int resp_field(struct load_resp *resp, const char *line, size_t len)
{
	static const char length[] = "content-length:", coding[] = "transfer-encoding:";
	const char first = (char)(line[0] | 0x20);

	if (first == 'c' && len >= sizeof(length) - 1 &&
		strncasecmp(line, length, sizeof(length) - 1) == 0)
		return resp_length(resp, line + sizeof(length) - 1, line + len);
	if (first == 't' && len >= sizeof(coding) - 1 &&
		strncasecmp(line, coding, sizeof(coding) - 1) == 0)
		return -EPROTO;
	return 0;
}

/* Bytes of a complete head, 0: it is not, -EPROTO. */
static int resp_head(struct load_resp *resp, const char *head, size_t len)
{
	const char *line = head, *end = head + len, *lf, *length = NULL;
	uint32_t length_len = 0;

	if (resp_is_alike(resp, head, len)) {
		resp->status = 200;
		resp->length = resp->shape->length;
		return (int)resp->shape->head_len;
	}
	resp->length = UINT64_MAX;
	while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		size_t line_len = (size_t)(lf - line);
		int rc;

		if (line_len == 0 || lf[-1] != '\r')
			return -EPROTO;
		line_len--;
		if (line_len == 0 && !length)
			return -EPROTO;
		if (line_len == 0) {
			resp_shape_keep(resp, head, (uint32_t)(lf + 1 - head), length, length_len);
			return (int)(lf + 1 - head);
		}
		rc = line == head ? resp_status(resp, line, line_len)
				  : resp_field(resp, line, line_len);
		if (rc < 0)
			return rc;
		if (!length && resp->length != UINT64_MAX) {
			length = line - 1; /* from the end of the line before it */
			length_len = (uint32_t)(lf + 1 - length);
		}
		line = lf + 1;
	}
	return 0;
}

/* The head is in this piece, or is gathered from several. */
static int resp_feed_head(struct load_resp *resp, const uint8_t *data, uint32_t len)
{
	uint32_t had = resp->head_len;
	uint32_t n = hf_min_u32(len, LOAD_HEAD_MAX - had);
	int head_len;

	if (had == 0) {
		head_len = resp_head(resp, (const char *)data, len);
		if (head_len != 0)
			return head_len > LOAD_HEAD_MAX ? -EPROTO : head_len;
	}
	if (n == 0)
		return -EPROTO;
	memcpy(resp->head + had, data, n);
	resp->head_len = had + n;
	head_len = had == 0 ? 0 : resp_head(resp, resp->head, resp->head_len);
	if (head_len == 0)
		return n == len ? -EAGAIN : -EPROTO;
	return head_len < 0 ? head_len : head_len - (int)had;
}

int load_resp_feed(struct load_resp *resp, const uint8_t *data, uint32_t len)
{
	uint32_t used = 0;

	resp->whole = false;
	resp->body_len = 0;
	if (!resp->in_body) {
		int rc = resp_feed_head(resp, data, len);

		if (rc == -EAGAIN)
			return (int)len;
		if (rc < 0)
			return rc;
		used = (uint32_t)rc;
		resp->head_len = 0;
		resp->in_body = true;
		resp->left = resp->length;
	}
	resp->body = data + used;
	resp->body_len = (uint32_t)hf_min_u64(len - used, resp->left);
	resp->left -= resp->body_len;
	resp->whole = resp->left == 0;
	resp->in_body = !resp->whole;
	return (int)(used + resp->body_len);
}
