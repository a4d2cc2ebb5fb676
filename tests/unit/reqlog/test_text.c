/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "reqlog_rig.h"

static char line[REQLOG_LINE_MAX + 1];

static const char *text_of(enum hf_reqlog_format format, const struct hf_reqlog_record *record)
{
	size_t len = reqlog_text(format, record, RIG_REAL_US, line);

	cr_assert_lt(len, REQLOG_LINE_MAX);
	line[len] = '\0';
	cr_expect_eq(line[len - 1], '\n');
	cr_expect_eq(strchr(line, '\n') - line, (long)len - 1, "one line");
	return line;
}

Test(reqlog_text, json)
{
	struct hf_reqlog_record record = rig_record("h", "/a?b=1");

	memcpy(record.origin, "www/o1", 7);
	cr_expect_str_eq(text_of(HF_REQLOG_JSON, &record),
		"{\"time\":\"2026-11-20T18:40:00.123456Z\",\"client\":\"192.0.2.1\",\"port\":4711,"
		"\"method\":\"GET\",\"host\":\"h\",\"target\":\"/"
		"a?b=1\",\"status\":200,\"bytes\":5,"
		"\"duration_us\":60,\"cache\":\"hit\",\"origin\":\"www/o1\",\"agent\":\"curl/8\","
		"\"complete\":true,\"cut\":false}\n");
}

Test(reqlog_text, combined)
{
	struct hf_reqlog_record record = rig_record("h", "/a?b=1");

	cr_expect_str_eq(text_of(HF_REQLOG_COMBINED, &record),
		"192.0.2.1 - - [20/Nov/2026:18:40:00 +0000] \"GET /a?b=1 HTTP/1.1\" 200 5 \"-\" "
		"\"curl/8\"\n");
}

Test(reqlog_text, combined_of_what_was_no_request)
{
	struct hf_ip client = { .b = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
	struct hf_reqlog_record record;

	hf_reqlog_record_init(&record, &client, 1, 123456);
	cr_expect_str_eq(text_of(HF_REQLOG_COMBINED, &record),
		"2001:db8::1 - - [20/Nov/2026:18:40:00 +0000] \"-\" 000 0 \"-\" \"-\"\n");
}

/* What stands between the quotes from AT on, with the formats' escapes undone; returns its length. */
static size_t text_unescape(const char *at, char *ret_bytes)
{
	size_t n = 0;
	unsigned code;

	while (*at != '"') {
		if (at[0] != '\\') {
			ret_bytes[n++] = *at++;
		} else if (at[1] == 'u' || at[1] == 'x') {
			int digits = at[1] == 'u' ? 4 : 2;

			cr_assert_eq(sscanf(at + 2, digits == 4 ? "%4x" : "%2x", &code), 1);
			ret_bytes[n++] = (char)code;
			at += 2 + digits;
		} else {
			ret_bytes[n++] = at[1];
			at += 2;
		}
	}
	return n;
}

Test(reqlog_text, L5_every_byte_stays_within_its_string_and_comes_back)
{
	for (int format = HF_REQLOG_JSON; format <= HF_REQLOG_COMBINED; format++) {
		struct hf_reqlog_record record = rig_record("h", "/");
		char bytes[HF_REQLOG_TEXT_MAX];
		const char *at;
		size_t n;

		record.host_len = 0;
		record.target_len = 0;
		record.agent_len = 255;
		for (int i = 0; i < 255; i++)
			record.text[i] = (char)i;
		at = text_of((enum hf_reqlog_format)format, &record);
		for (const char *c = at; *c != '\n'; c++)
			cr_assert(*c >= 0x20 && *c < 0x7f);
		at = format == HF_REQLOG_JSON ? strstr(at, "\"agent\":\"") + 9
					      : strstr(at, "\"-\" \"") + 5;
		n = text_unescape(at, bytes);
		cr_expect_eq(n, 255);
		cr_expect_eq(memcmp(bytes, record.text, 255), 0);
	}
}

Test(reqlog_text, the_longest_record_fits_a_line)
{
	struct hf_reqlog_record record = rig_record("h", "/");

	record.begun_us = record.duration_us = record.bytes = UINT64_MAX / 2 / 1000;
	record.method_len = HF_REQLOG_METHOD_MAX;
	memset(record.method, 0xff, sizeof(record.method));
	memset(record.origin, 0xff, sizeof(record.origin) - 1);
	memset(record.text, 0xff, sizeof(record.text));
	memset(&record.client, 0xfe, sizeof(record.client));
	record.host_len = 0;
	record.agent_len = HF_REQLOG_AGENT_MAX;
	record.target_len = HF_REQLOG_TEXT_MAX - HF_REQLOG_AGENT_MAX;
	record.cache = HF_REQLOG_UNCACHEABLE;
	for (int format = HF_REQLOG_JSON; format <= HF_REQLOG_COMBINED; format++)
		(void)text_of((enum hf_reqlog_format)format, &record);
}

Test(reqlog_text, L4_values_of_secret_parameters_are_in_no_record)
{
	struct hf_reqlog_record record =
		rig_record("h", "/a?access_token=canary&b=1&X-Amz-Signature=canary");

	cr_expect(!memmem(&record, sizeof(record), "canary", 6));
	cr_expect(strstr(text_of(HF_REQLOG_JSON, &record),
		"\"/a?access_token=***&b=1&X-Amz-Signature=***\""));
}

Test(reqlog_text, L4_no_other_field_is_in_a_record)
{
	static const char head[] =
		"GET / HTTP/1.1\r\nHost: h\r\nCookie: canary\r\nReferer: canary\r\n"
		"Authorization: canary\r\nX-Any: canary\r\n\r\n";
	struct hf_reqlog_record record = rig_record_of(head, sizeof(head) - 1);

	cr_expect(!memmem(&record, sizeof(record), "canary", 6));
}

Test(reqlog_text, what_is_too_long_is_cut_and_told)
{
	char target[2000] = "/", host[200] = "";
	struct hf_reqlog_record record = rig_record("h", "/");

	cr_expect(!record.cut);
	memset(target + 1, 'x', sizeof(target) - 2);
	record = rig_record("h", target);
	cr_expect(record.cut);
	cr_expect_eq(record.target_len, HF_REQLOG_TEXT_MAX - 1 - strlen("curl/8"));
	cr_expect(strstr(text_of(HF_REQLOG_JSON, &record), "\"agent\":\"curl/8\""));
	memset(host, 'h', sizeof(host) - 1);
	record = rig_record(host, "/a");
	cr_expect(record.cut);
	cr_expect_eq(record.host_len, HF_REQLOG_HOST_MAX);
	cr_expect(strstr(text_of(HF_REQLOG_JSON, &record), "\"target\":\"/a\""));
}
