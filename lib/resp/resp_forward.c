/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The field lines that an origin is sent (RFC 9110 §7.6, RFC 7239).
 */
#include "hf_resp.h"

#include <string.h>

#include "resp_priv.h"

#define FORWARD_OWN_MAX  512
#define FORWARD_NAME_MAX 64 /* longer than any known name */

/* "Content_Length", "X_Forwarded_For": what runs behind a gateway interface (RFC 3875 §4.1.18)
 * cannot tell it from a name that we answer for. */
static bool forward_is_disguised(struct hf_span name)
{
	char plain[FORWARD_NAME_MAX];

	if (name.len > sizeof(plain) || memchr(name.ptr, '_', name.len) == NULL)
		return false;
	for (size_t i = 0; i < name.len; i++)
		plain[i] = name.ptr[i] == '_' ? '-' : name.ptr[i];
	return hf_http_field_lookup((struct hf_span){ plain, name.len }) != HF_HTTP_FIELD_OTHER;
}

static bool forward_is_sent(const struct hf_http_line *line, const struct hf_resp_forward *forward)
{
	unsigned flags = hf_http_field_flags(line->id);

	if (forward->trace &&
		(line->id == HF_HTTP_FIELD_TRACEPARENT || line->id == HF_HTTP_FIELD_TRACESTATE))
		return false;
	if (line->hop || (flags & HF_HTTP_FIELD_OURS) || line->id == HF_HTTP_FIELD_CONTENT_LENGTH)
		return false;
	if (line->id == HF_HTTP_FIELD_OTHER && forward_is_disguised(line->name))
		return false;
	return !(forward->whole && (flags & HF_HTTP_FIELD_COND));
}

/* A token as it is, anything else (an IPv6 address, host:port) quoted. */
static void forward_put_value(struct resp_buf *out, struct hf_span value)
{
	bool quoted = !hf_http_is_token(value);

	resp_put(out, quoted ? HF_SPAN("\"") : HF_SPAN(""));
	resp_put(out, value);
	resp_put(out, quoted ? HF_SPAN("\"") : HF_SPAN(""));
}

/* for=192.0.2.1;proto=http;host="a.example:81", for="[2001:db8::1]" (RFC 7239 §4, §6) */
static void forward_put_forwarded(struct resp_buf *out, const struct hf_http_req *req,
	const struct hf_resp_forward *forward, struct hf_span authority)
{
	char text[FORWARD_OWN_MAX];
	struct resp_buf own = { .ptr = text, .cap = sizeof(text) };
	bool ip6 = memchr(forward->client.ptr, ':', forward->client.len) != NULL;

	resp_put(&own, HF_SPAN("for="));
	resp_put(&own, ip6 ? HF_SPAN("\"[") : HF_SPAN(""));
	resp_put(&own, forward->client);
	resp_put(&own, ip6 ? HF_SPAN("]\"") : HF_SPAN(""));
	resp_put(&own, HF_SPAN(";proto="));
	resp_put(&own, forward->proto);
	/* A host that is left out says nothing wrong; a longer one than this resolves nowhere. */
	if (authority.len > 0 && authority.len < FORWARD_OWN_MAX / 2) {
		resp_put(&own, HF_SPAN(";host="));
		forward_put_value(&own, authority);
	}
	HF_ASSERT(!own.full);
	resp_put_appended(out, &req->fields, HF_HTTP_FIELD_FORWARDED, HF_SPAN("Forwarded"),
		(struct hf_span){ text, own.len });
}

/* Only OPTIONS and TRACE count (RFC 9110 §7.6.2); with other methods it is not ours to read. */
static void forward_put_max_forwards(struct resp_buf *out, const struct hf_http_req *req)
{
	if (req->max_forwards <= 0)
		return;
	resp_put(out, HF_SPAN("Max-Forwards: "));
	resp_put_u64(out, (uint64_t)req->max_forwards - 1);
	resp_put(out, HF_SPAN("\r\n"));
}

/* Of a list in TEXT, the members at its front that end within `max` bytes. */
static struct hf_span forward_members(struct hf_span text, size_t max)
{
	const char *comma;

	if (text.len <= max)
		return text;
	comma = memrchr(text.ptr, ',', max + 1);
	return (struct hf_span){ text.ptr, comma ? (size_t)(comma - text.ptr) : 0 };
}

/* Our traceparent, and what came of tracestate (W3C Trace Context, section 3.3.1.5). */
static void forward_put_trace(
	struct resp_buf *out, const struct hf_http_req *req, const struct hf_resp_forward *forward)
{
	size_t room = forward->trace_begins ? 0 : HF_HTTP_TRACESTATE_MAX;
	char text[HF_HTTP_TRACE_LEN];

	hf_http_trace_format(forward->trace, text);
	resp_put_line(out, HF_SPAN("traceparent"), (struct hf_span){ text, sizeof(text) });
	for (uint32_t i = 0; i < req->fields.count && room > 0; i++) {
		const struct hf_http_line *line = &req->fields.lines[i];
		struct hf_span members;

		if (line->id != HF_HTTP_FIELD_TRACESTATE)
			continue;
		members = forward_members(line->value, room);
		if (members.len > 0)
			resp_put_line(out, HF_SPAN("tracestate"), members);
		room = members.len < line->value.len ? 0 : room - members.len;
	}
}

size_t hf_resp_request_head(
	char *buf, size_t cap, const struct hf_http_req *req, const struct hf_resp_forward *forward)
{
	struct resp_buf out = { .ptr = buf, .cap = cap };
	struct hf_span authority = forward->authority.len > 0 ? forward->authority : req->authority;

	HF_ASSERT(forward->client.len > 0 && forward->client.len < 64);
	HF_ASSERT(forward->proto.len > 0 && forward->proto.len < 16);
	if (authority.len > 0)
		resp_put_line(&out, HF_SPAN("Host"), authority);
	for (uint32_t i = 0; i < req->fields.count; i++) {
		const struct hf_http_line *line = &req->fields.lines[i];

		if (forward_is_sent(line, forward))
			resp_put_line(&out, line->name, line->value);
	}
	if (forward->trace)
		forward_put_trace(&out, req, forward);
	forward_put_max_forwards(&out, req);
	resp_put_via(&out, &req->fields, req->minor, forward->via);
	resp_put_appended(&out, &req->fields, HF_HTTP_FIELD_X_FORWARDED_FOR,
		HF_SPAN("X-Forwarded-For"), forward->client);
	resp_put_line(&out, HF_SPAN("X-Forwarded-Proto"), forward->proto);
	forward_put_forwarded(&out, req, forward, authority);
	return resp_done(&out);
}
