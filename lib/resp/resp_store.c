/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What of an origin's answer is stored and forwarded, and what is its first client's alone.
 */
#include "hf_resp.h"

#include <errno.h>

#include "resp_priv.h"

/* A credential; what the origin wants left out. */
static bool store_is_private(const struct hf_http_fields *fields, const struct hf_http_line *line,
	const struct hf_resp_store *store)
{
	return hf_http_field_is_secret(line->id, line->name) ||
	       (store->leave_out && hf_http_cc_leaves_out(fields, line->name));
}

/* Neither ours to write nor for this hop only. */
static bool store_is_forwarded(const struct hf_http_line *line)
{
	return !line->hop && line->id != HF_HTTP_FIELD_CONTENT_LENGTH &&
	       line->id != HF_HTTP_FIELD_AGE && line->id != HF_HTTP_FIELD_VIA;
}

static void store_put_status(struct resp_buf *out, const struct hf_http_resp *resp)
{
	resp_put(out, HF_SPAN("HTTP/1.1 "));
	resp_put_u64(out, resp->status);
	resp_put(out, HF_SPAN(" "));
	/* HTTP/2 has no reason phrase. */
	if (resp->reason.len > 0)
		resp_put(out, resp->reason);
	else
		resp_put_text(out, hf_resp_status_text(resp->status));
	resp_put(out, HF_SPAN("\r\n"));
}

size_t hf_resp_store_head(
	char *buf, size_t cap, const struct hf_http_resp *resp, const struct hf_resp_store *store)
{
	struct resp_buf out = { .ptr = buf, .cap = cap };

	HF_ASSERT(resp->status >= 100 && resp->status <= 999);
	store_put_status(&out, resp);
	for (uint32_t i = 0; i < resp->fields.count; i++) {
		const struct hf_http_line *line = &resp->fields.lines[i];

		if (!store_is_forwarded(line) ||
			(store->scrub && store_is_private(&resp->fields, line, store)))
			continue;
		resp_put_line(&out, line->name, line->value);
	}
	if (store->date.len > 0 && !hf_http_fields_have(&resp->fields, HF_HTTP_FIELD_DATE))
		resp_put_line(&out, HF_SPAN("Date"), store->date);
	resp_put_via(&out, &resp->fields, resp->minor, HF_SPAN("holdfast"));
	return resp_done(&out);
}

int hf_resp_private_fields(
	char *buf, size_t cap, const struct hf_http_resp *resp, const struct hf_resp_store *store)
{
	struct resp_buf out = { .ptr = buf, .cap = hf_min_size(cap, INT32_MAX) };

	HF_ASSERT(resp->fields.count <= HF_HTTP_LINES_MAX);
	for (uint32_t i = 0; i < resp->fields.count; i++) {
		const struct hf_http_line *line = &resp->fields.lines[i];

		if (store_is_forwarded(line) && store_is_private(&resp->fields, line, store))
			resp_put_line(&out, line->name, line->value);
	}
	return out.full ? -ENOSPC : (int)out.len;
}
