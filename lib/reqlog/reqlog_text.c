/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A record as a line: a JSON object, or NCSA's combined format. What clients sent is escaped byte
 * by byte, so that it can neither end a string nor a line.
 */
#include "hf_reqlog.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "reqlog_priv.h"

struct text_line {
	char *buf;
	size_t len;
};

const char *reqlog_ip_text(const struct hf_ip *ip, char ret_text[REQLOG_IP_LEN])
{
	bool is4 = hf_ip_is4(ip);

	HF_ASSERT(inet_ntop(
		is4 ? AF_INET : AF_INET6, is4 ? ip->b + 12 : ip->b, ret_text, REQLOG_IP_LEN));
	return ret_text;
}

static void HF_PRINTF(2, 3) text_add(struct text_line *line, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->buf + line->len, REQLOG_LINE_MAX - line->len, format, args);
	va_end(args);
	HF_ASSERT(n >= 0 && (size_t)n < REQLOG_LINE_MAX - line->len);
	line->len += (size_t)n;
}

/* ESCAPE is the format of a byte that does not stand for itself. */
static void text_escape(struct text_line *line, struct hf_span text, const char *escape)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"' || c == '\\')
			text_add(line, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			text_add(line, escape, c);
		else
			line->buf[line->len++] = (char)c;
		HF_ASSERT(line->len < REQLOG_LINE_MAX);
	}
}

static struct tm text_time(int64_t us)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;

	HF_ASSERT(gmtime_r(&seconds, &tm));
	return tm;
}

/* A byte above 0x7e becomes the character of its number (Latin-1): nothing is lost, whatever it
 * was. */
static void text_json_string(struct text_line *line, const char *key, struct hf_span text)
{
	text_add(line, "\"%s\":\"", key);
	text_escape(line, text, "\\u%04x");
	text_add(line, "\",");
}

static void text_json(struct text_line *line, const struct hf_reqlog_record *record, int64_t us)
{
	struct tm tm = text_time(us);
	char ip[REQLOG_IP_LEN];

	text_add(line, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\",", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us % 1000000));
	text_add(line, "\"client\":\"%s\",\"port\":%u,", reqlog_ip_text(&record->client, ip),
		record->port);
	text_json_string(line, "method", (struct hf_span){ record->method, record->method_len });
	text_json_string(line, "host", reqlog_host(record));
	text_json_string(line, "target", hf_reqlog_target(record));
	text_add(line, "\"status\":%u,\"bytes\":%llu,\"duration_us\":%llu,\"cache\":\"%s\",",
		record->status, (unsigned long long)record->bytes,
		(unsigned long long)record->duration_us, hf_reqlog_cache_names[record->cache]);
	text_json_string(
		line, "origin", (struct hf_span){ record->origin, strlen(record->origin) });
	text_json_string(line, "agent", reqlog_agent(record));
	text_add(line, "\"complete\":%s,\"cut\":%s}\n", record->complete ? "true" : "false",
		record->cut ? "true" : "false");
}

/* A field that is not there is "-". Referer may hold what others keep secret in theirs: it is never
 * there. */
static void text_combined(struct text_line *line, const struct hf_reqlog_record *record, int64_t us)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = text_time(us);
	char ip[REQLOG_IP_LEN];

	text_add(line, "%s - - [%02d/%.3s/%04d:%02d:%02d:%02d +0000] \"",
		reqlog_ip_text(&record->client, ip), tm.tm_mday, months + (ptrdiff_t)tm.tm_mon * 3,
		tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (record->method_len > 0) {
		text_escape(
			line, (struct hf_span){ record->method, record->method_len }, "\\x%02x");
		text_add(line, " ");
		text_escape(line, hf_reqlog_target(record), "\\x%02x");
		text_add(line, " HTTP/1.%u", record->minor);
	} else {
		text_add(line, "-");
	}
	text_add(line, "\" %03u %llu \"-\" \"", record->status, (unsigned long long)record->bytes);
	text_escape(line, record->agent_len ? reqlog_agent(record) : HF_SPAN("-"), "\\x%02x");
	text_add(line, "\"\n");
}

size_t reqlog_text(enum hf_reqlog_format format, const struct hf_reqlog_record *record,
	int64_t real_us, char ret_line[REQLOG_LINE_MAX])
{
	struct text_line line = { .buf = ret_line };
	int64_t us = (int64_t)record->begun_us + real_us;

	HF_ASSERT(record->cache < HF_REQLOG_CACHE_COUNT);
	if (format == HF_REQLOG_JSON)
		text_json(&line, record, us);
	else
		text_combined(&line, record, us);
	return line.len;
}
