/* SPDX-License-Identifier: BSD-3-Clause
 *
 * traceparent: what counts has one written form, which is read as the same, and in version 00 is what came but
 * for flags that nobody knows.
 * Needs: http.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *buf = malloc(size > 0 ? size : 1); /* just its size: a byte read past it is seen */
	char text[HF_HTTP_TRACE_LEN];
	struct hf_http_trace trace, again;

	memcpy(buf, data, size);
	if (hf_http_trace_parse((struct hf_span){ buf, size }, &trace)) {
		HF_ASSERT(size == HF_HTTP_TRACE_LEN || memcmp(buf, "00", 2) != 0);
		hf_http_trace_format(&trace, text);
		HF_ASSERT(memcmp(text + 2, buf + 2, HF_HTTP_TRACE_LEN - 4) == 0);
		HF_ASSERT(hf_http_trace_parse((struct hf_span){ text, sizeof(text) }, &again));
		HF_ASSERT(memcmp(again.id, trace.id, sizeof(trace.id)) == 0);
		HF_ASSERT(memcmp(again.span, trace.span, sizeof(trace.span)) == 0);
		HF_ASSERT(again.flags == trace.flags && trace.flags <= 3);
	}
	free(buf);
	return 0;
}
