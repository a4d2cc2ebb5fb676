/* SPDX-License-Identifier: BSD-3-Clause
 *
 * traceparent (W3C Trace Context, level 1 and 2): "00-" trace id "-" span id "-" flags, in
 * lower-case hex.
 */
#include "hf_http.h"

#include <string.h>

#include "http_priv.h"

#define TRACE_FLAGS_KNOWN                                                                          \
	3 /* of version 00: sampled, and, of level 2, random; others are sent as 0 */

/* Lower-case hex only. False: it is not. */
static bool trace_hex(const char *text, uint8_t *ret, size_t len)
{
	for (size_t i = 0; i < 2 * len; i++)
		if (!http_is(text[i], HTTP_HEX) || text[i] != http_lower(text[i]))
			return false;
	for (size_t i = 0; i < len; i++)
		ret[i] = (uint8_t)(http_hex_value(text[2 * i]) << 4 |
				   http_hex_value(text[2 * i + 1]));
	return true;
}

static bool trace_is_zero(const uint8_t *id, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= id[i];
	return any == 0;
}

bool hf_http_trace_parse(struct hf_span text, struct hf_http_trace *ret_trace)
{
	const char *at = text.ptr;
	struct hf_http_trace trace;
	uint8_t version;

	if (text.len < HF_HTTP_TRACE_LEN || !trace_hex(at, &version, 1) || version == 0xff)
		return false;
	/* what a later version adds begins with a dash */
	if (text.len > HF_HTTP_TRACE_LEN && (version == 0 || at[HF_HTTP_TRACE_LEN] != '-'))
		return false;
	if (at[2] != '-' || at[35] != '-' || at[52] != '-')
		return false;
	if (!trace_hex(at + 3, trace.id, sizeof(trace.id)) ||
		!trace_hex(at + 36, trace.span, sizeof(trace.span)) ||
		!trace_hex(at + 53, &trace.flags, 1))
		return false;
	if (trace_is_zero(trace.id, sizeof(trace.id)) ||
		trace_is_zero(trace.span, sizeof(trace.span)))
		return false;
	trace.flags &= TRACE_FLAGS_KNOWN;
	*ret_trace = trace;
	return true;
}

bool hf_http_trace_of(const struct hf_http_fields *fields, struct hf_http_trace *ret_trace)
{
	const struct hf_http_line *line = http_fields_sole(fields, HF_HTTP_FIELD_TRACEPARENT);

	return line && hf_http_trace_parse(line->value, ret_trace);
}

static char *trace_put(char *at, const uint8_t *from, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*at++ = digits[from[i] >> 4];
		*at++ = digits[from[i] & 15];
	}
	return at;
}

void hf_http_trace_format(const struct hf_http_trace *trace, char ret_text[HF_HTTP_TRACE_LEN])
{
	static const uint8_t version;
	char *at = trace_put(ret_text, &version, 1);

	*at++ = '-';
	at = trace_put(at, trace->id, sizeof(trace->id));
	*at++ = '-';
	at = trace_put(at, trace->span, sizeof(trace->span));
	*at++ = '-';
	at = trace_put(at, &trace->flags, 1);
	HF_ASSERT(at == ret_text + HF_HTTP_TRACE_LEN);
}
