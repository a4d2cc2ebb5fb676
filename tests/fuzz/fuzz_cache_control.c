/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Field values: Cache-Control, CDN-Cache-Control, dates, quoted strings, numbers, secrets.
 * Needs: http.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_cc(const struct hf_http_cc *cc)
{
	HF_ASSERT(cc->max_age_s <= HF_HTTP_DELTA_MAX && cc->s_maxage_s <= HF_HTTP_DELTA_MAX);
	HF_ASSERT(cc->min_fresh_s <= HF_HTTP_DELTA_MAX && cc->max_stale_s <= HF_HTTP_DELTA_MAX);
	HF_ASSERT(cc->has_max_age || cc->max_age_s == 0);
}

/* One line as a field of its own, so that spans end where the value ends. */
static void targeted(struct hf_span value)
{
	static struct hf_http_fields fields;
	struct hf_http_cc cc;

	fields.count = 1;
	fields.have = 1ULL << HF_HTTP_FIELD_CDN_CACHE_CONTROL;
	fields.lines[0] = (struct hf_http_line){ .name = HF_SPAN("CDN-Cache-Control"),
		.value = value,
		.id = HF_HTTP_FIELD_CDN_CACHE_CONTROL };
	if (hf_http_cc_from_cdn(&fields, &cc))
		check_cc(&cc);
}

static void dates(struct hf_span value)
{
	char text[HF_HTTP_DATE_LEN];
	int64_t s, again;

	if (hf_http_date_parse(value, 1760000000, &s) != 0 || s < 0)
		return;
	if (s >= 253402300800)
		return; /* a leap second at the end of time */
	hf_http_date_format(s, text);
	HF_ASSERT(hf_http_date_parse((struct hf_span){ text, sizeof(text) }, 1760000000, &again) ==
		  0);
	HF_ASSERT(s == again);
}

static void redact(struct hf_span value)
{
	char *out = malloc(4 * value.len + 4);
	size_t len = hf_http_redact(value, out, 4 * value.len + 4);

	HF_ASSERT(hf_http_query_has_secret(value) ==
		  hf_http_query_has_secret((struct hf_span){ out, len }));
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *buf = malloc(size > 0 ? size : 1);
	struct hf_span value = { buf, size };
	char unquoted[64];
	struct hf_http_cc cc;

	memcpy(buf, data, size);
	hf_http_cc_init(&cc);
	hf_http_cc_parse(&cc, value);
	check_cc(&cc);
	targeted(value);
	dates(value);
	redact(value);
	HF_ASSERT(hf_http_unquote(value, unquoted, sizeof(unquoted)) <= (int)sizeof(unquoted));
	(void)hf_http_authority_is_valid(value);
	free(buf);
	return 0;
}
