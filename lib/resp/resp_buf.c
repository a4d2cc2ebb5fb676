/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The bounded buffer that all builders write to.
 */
#include "hf_resp.h"

#include <string.h>

#include "resp_priv.h"

#define RESP_VIA_MAX 80

/* clang-format off */
const char resp_digits[100][2] = {
	"00", "01", "02", "03", "04", "05", "06", "07", "08", "09",
	"10", "11", "12", "13", "14", "15", "16", "17", "18", "19",
	"20", "21", "22", "23", "24", "25", "26", "27", "28", "29",
	"30", "31", "32", "33", "34", "35", "36", "37", "38", "39",
	"40", "41", "42", "43", "44", "45", "46", "47", "48", "49",
	"50", "51", "52", "53", "54", "55", "56", "57", "58", "59",
	"60", "61", "62", "63", "64", "65", "66", "67", "68", "69",
	"70", "71", "72", "73", "74", "75", "76", "77", "78", "79",
	"80", "81", "82", "83", "84", "85", "86", "87", "88", "89",
	"90", "91", "92", "93", "94", "95", "96", "97", "98", "99",
};
/* clang-format on */

void resp_put_line(struct resp_buf *out, struct hf_span name, struct hf_span value)
{
	HF_ASSERT_HOT(name.len > 0);
	resp_put(out, name);
	resp_put(out, HF_SPAN(": "));
	resp_put(out, value);
	resp_put(out, HF_SPAN("\r\n"));
}

size_t resp_done(const struct resp_buf *out)
{
	HF_ASSERT(out->len <= out->cap);
	return out->full ? 0 : out->len;
}

void resp_put_appended(struct resp_buf *out, const struct hf_http_fields *fields,
	enum hf_http_field id, struct hf_span name, struct hf_span own)
{
	HF_ASSERT(id != HF_HTTP_FIELD_OTHER && own.len > 0);
	resp_put(out, name);
	resp_put(out, HF_SPAN(": "));
	for (uint32_t i = 0; hf_http_fields_have(fields, id) && i < fields->count; i++) {
		const struct hf_http_line *line = &fields->lines[i];

		if (line->id != id || line->value.len == 0)
			continue;
		resp_put(out, line->value);
		resp_put(out, HF_SPAN(", "));
	}
	resp_put(out, own);
	resp_put(out, HF_SPAN("\r\n"));
}

void resp_put_via(
	struct resp_buf *out, const struct hf_http_fields *fields, uint8_t minor, struct hf_span by)
{
	char text[RESP_VIA_MAX];
	struct resp_buf own = { .ptr = text, .cap = sizeof(text) };

	HF_ASSERT(by.len > 0 && by.len < RESP_VIA_MAX - 4);
	resp_put(&own, minor == 0 ? HF_SPAN("1.0 ") : HF_SPAN("1.1 "));
	resp_put(&own, by);
	resp_put_appended(out, fields, HF_HTTP_FIELD_VIA, HF_SPAN("Via"),
		(struct hf_span){ text, resp_done(&own) });
}
