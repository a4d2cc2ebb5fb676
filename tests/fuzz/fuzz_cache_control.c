/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Field values: Cache-Control, CDN-Cache-Control, numbers, secrets.
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

static struct hf_http_fields fields;

/* One line as a field of its own, so that spans end where the value ends. */
static void one_line(enum hf_http_field id, struct hf_span value)
{
	fields.count = 1;
	fields.have = 1ULL << id;
	fields.lines[0] =
		(struct hf_http_line){ .name = hf_http_field_name(id), .value = value, .id = id };
}

static void targeted(struct hf_span value)
{
	struct hf_http_cc cc;

	one_line(HF_HTTP_FIELD_CDN_CACHE_CONTROL, value);
	if (hf_http_cc_from_cdn(&fields, &cc))
		check_cc(&cc);
}

/* A field is left out by a directive that names some, and never one that the content needs. */
static void left_out(struct hf_span value)
{
	struct hf_http_cc cc;

	one_line(HF_HTTP_FIELD_CACHE_CONTROL, value);
	hf_http_cc_from_fields(&fields, &cc);
	if (hf_http_cc_leaves_out(&fields, HF_SPAN("x")))
		HF_ASSERT(cc.private_fields || cc.no_cache_fields);
	HF_ASSERT(!hf_http_cc_leaves_out(&fields, HF_SPAN("etag")));
}

static void redact(struct hf_span value)
{
	static const struct hf_names none, own = { 3, { "a-b", "*z", "y*" } };
	char *out = malloc(4 * value.len + 4);
	size_t len;

	hf_http_secrets_set(&none, &own);
	len = hf_http_redact(value, out, 4 * value.len + 4);

	HF_ASSERT(hf_http_query_has_secret(value) ==
		  hf_http_query_has_secret((struct hf_span){ out, len }));
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *buf = malloc(size > 0 ? size : 1);
	struct hf_span value = { buf, size };
	struct hf_http_cc cc;

	memcpy(buf, data, size);
	hf_http_cc_init(&cc);
	hf_http_cc_parse(&cc, value);
	check_cc(&cc);
	targeted(value);
	left_out(value);
	redact(value);
	(void)hf_http_authority_is_valid(value);
	free(buf);
	return 0;
}
