/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A POST at a time to an OTLP receiver, tried again while it says so or says nothing.
 *
 *      sending -> under way -> 2xx                              taken
 *         ^          |  \---> 429, 502, 503, 504, no answer    failed: again, after a pause
 *         '----------'   \---> any other status                refused
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hf_log.h"
#include "metrics_priv.h"

#define SENDER_BACKOFF_US     1000000 /* doubled with each failure */
#define SENDER_BACKOFF_MAX_US 30000000
#define SENDER_RETRY_AFTER_US 300000000 /* the longest that is honoured */
#define SENDER_TIMEOUT_MS     10000
#define SENDER_FINISH_US      1000000
#define SENDER_DAY_MS         86400000

/* ---- the environment ---- */

static int sender_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes; false: what a field may not have. */
static bool sender_decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		int c = (unsigned char)*text;

		if (c == '%') {
			int high = sender_hex(text[1]), low = high < 0 ? -1 : sender_hex(text[2]);

			if (low < 0)
				return false;
			c = high * 16 + low;
			text += 2;
		}
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
		*out++ = (char)c;
	}
	*out = '\0';
	return true;
}

static char *sender_trim(char *text)
{
	size_t len;

	while (*text == ' ' || *text == '\t')
		text++;
	len = strlen(text);
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		text[--len] = '\0';
	return text;
}

/* A pair as a line, to be freed; NULL: it is none. */
static char *sender_header(char *pair)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char *value = strchr(pair, '='), *name, *line = NULL;

	if (!value)
		return NULL;
	*value++ = '\0';
	name = sender_trim(pair);
	value = sender_trim(value);
	if (!*name || !sender_decode(name) || name[strspn(name, token)] || !sender_decode(value))
		return NULL;
	/* curl takes a line without a value for an order to send no such field */
	return asprintf(&line, *value ? "%s: %s" : "%s;", name, value) < 0 ? NULL : line;
}

bool metrics_otlp_headers(const char *pairs, struct curl_slist **lines)
{
	char *copy = strdup(pairs), *rest = copy, *pair;
	struct curl_slist *added = NULL, *end;
	bool ok = copy != NULL;

	while (ok && (pair = strsep(&rest, ",")) != NULL) {
		char *line;

		if (!*sender_trim(pair))
			continue;
		line = sender_header(pair);
		end = line ? curl_slist_append(added, line) : NULL;
		free(line);
		ok = end != NULL;
		added = ok ? end : added;
	}
	free(copy);
	if (!ok) {
		curl_slist_free_all(added);
		return false;
	}
	for (end = added; end && end->next; end = end->next)
		;
	if (end) {
		end->next = *lines;
		*lines = added;
	}
	return true;
}

uint32_t metrics_env_ms(const char *name, uint32_t def)
{
	const char *text = getenv(name);
	char *end;
	unsigned long value;

	if (!text || !*text)
		return def;
	value = strtoul(text, &end, 10);
	if (isdigit((unsigned char)*text) && *end == '\0' && value > 0 && value <= SENDER_DAY_MS)
		return (uint32_t)value;
	hf_log(HF_LOG_WARN, "metrics", "%s is no time in milliseconds; it is %u", name, def);
	return def;
}

bool metrics_otlp_url(const char *target, const char *own, const char *path, char *ret_url)
{
	const char *all = getenv(own);
	const char *base = getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
	bool whole = false;
	size_t len;

	if (strcmp(target, "off") == 0)
		return false;
	if (strcmp(target, "env") != 0) {
		base = target;
	} else if (all && *all) {
		base = all;
		whole = true;
	}
	if (!base || !*base)
		return false;
	len = strlen(base);
	while (!whole && base[len - 1] == '/' && len > 1)
		len--;
	if (strncmp(base, "http", 4) == 0 && len < METRICS_URL_MAX &&
		snprintf(ret_url, METRICS_URL_MAX, "%.*s%s", (int)len, base, whole ? "" : path) <
			METRICS_URL_MAX)
		return true;
	hf_log(HF_LOG_WARN, "metrics", "no OTLP: its endpoint is no http:// or https:// URL");
	return false;
}

/* ---- a transfer ---- */

static size_t sender_on_body(char *data, size_t size, size_t count, void *arg)
{
	return size * count; /* what it says is of no use, and is bounded by the timeout */
}

/* No redirects, no cookies, no proxy of the environment: curl's defaults, and never switched on. */
static CURLcode sender_rules(struct metrics_sender *sender, const char *url)
{
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(sender->easy, CURLOPT_URL, url);
	code |= curl_easy_setopt(sender->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	code |= curl_easy_setopt(sender->easy, CURLOPT_HTTP09_ALLOWED, 0L);
	code |= curl_easy_setopt(sender->easy, CURLOPT_PROXY, "");
	code |= curl_easy_setopt(sender->easy, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(
		sender->easy, CURLOPT_QUICK_EXIT, 1L); /* from a look-up of a name */
	code |= curl_easy_setopt(sender->easy, CURLOPT_USERAGENT, "holdfastd/" HF_VERSION);
	code |= curl_easy_setopt(sender->easy, CURLOPT_HTTPHEADER, sender->lines);
	code |= curl_easy_setopt(sender->easy, CURLOPT_TIMEOUT_MS, (long)sender->timeout_ms);
	code |= curl_easy_setopt(sender->easy, CURLOPT_WRITEFUNCTION, sender_on_body);
	code |= curl_easy_setopt(sender->easy, CURLOPT_PRIVATE, sender);
	return code;
}

static bool sender_begin(struct metrics_sender *sender)
{
	CURLcode code = curl_easy_setopt(
		sender->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(sender->sending));

	code |= curl_easy_setopt(sender->easy, CURLOPT_POSTFIELDS, sender->sending);
	return code == CURLE_OK && curl_multi_add_handle(sender->multi, sender->easy) == CURLM_OK;
}

/* Drives all transfers of the thread; each learns how its own ended. */
static void sender_drive(struct metrics_sender *sender)
{
	const struct CURLMsg *msg;
	int running, left;

	if (curl_multi_perform(sender->multi, &running) != CURLM_OK) {
		sender->ended = true;
		sender->code = CURLE_FAILED_INIT;
	}
	while ((msg = curl_multi_info_read(sender->multi, &left)) != NULL) {
		struct metrics_sender *of = NULL;

		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &of);
		HF_ASSERT(of && of->under_way);
		of->ended = true;
		of->code = msg->data.result;
		if (of != sender) /* whose turn may be over */
			(void)curl_multi_wakeup(sender->multi);
	}
}

/* ---- what it means ---- */

static void sender_failed(
	struct metrics_sender *sender, CURLcode code, long status, const char *then)
{
	if (sender->failures++ > 0)
		return;
	if (code != CURLE_OK)
		hf_log(HF_LOG_WARN, "metrics", "OTLP, %s: %s; %s", sender->what,
			curl_easy_strerror(code), then);
	else
		hf_log(HF_LOG_WARN, "metrics", "OTLP, %s: status %ld; %s", sender->what, status,
			then);
}

static void sender_done(struct metrics_sender *sender)
{
	free(sender->sending);
	sender->sending = NULL;
}

/* Doubled each time, half of it by chance; or what the receiver asks for. */
static uint64_t sender_backoff_us(struct metrics_sender *sender)
{
	uint64_t wait_us = (uint64_t)SENDER_BACKOFF_US << hf_min_u32(sender->failures - 1, 5);
	curl_off_t after_s = 0;

	(void)curl_easy_getinfo(sender->easy, CURLINFO_RETRY_AFTER, &after_s);
	if (after_s > 0)
		return hf_min_u64((uint64_t)after_s, SENDER_RETRY_AFTER_US / 1000000) * 1000000;
	wait_us = hf_min_u64(wait_us, SENDER_BACKOFF_MAX_US);
	sender->rand = sender->rand * 6364136223846793005 + 1442695040888963407; /* Knuth's MMIX */
	return wait_us / 2 + (sender->rand >> 33) % (wait_us / 2);
}

static enum metrics_sent sender_judge(struct metrics_sender *sender, uint64_t now_us)
{
	CURLcode code = sender->code;
	long status = 0;

	(void)curl_easy_getinfo(sender->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && status >= 200 && status <= 299) {
		if (sender->failures > 0)
			hf_log(HF_LOG_INFO, "metrics", "OTLP: the receiver takes %s again",
				sender->what);
		sender->failures = 0;
		sender_done(sender);
		return METRICS_SENT_TAKEN;
	}
	if (code != CURLE_OK || status == 429 || (status >= 502 && status <= 504)) {
		sender_failed(sender, code, status, "tried again until it answers");
		sender->retry_us = now_us + sender_backoff_us(sender);
		return METRICS_SENT_FAILED;
	}
	sender_failed(sender, code, status, "they are dropped");
	sender_done(sender);
	return METRICS_SENT_REFUSED;
}

bool metrics_sender_ready(const struct metrics_sender *sender, uint64_t now_us)
{
	return !sender->under_way && now_us >= sender->retry_us;
}

enum metrics_sent metrics_sender_step(struct metrics_sender *sender, uint64_t now_us)
{
	if (!sender->under_way) {
		if (!sender->sending || now_us < sender->retry_us)
			return METRICS_SENT_NOTHING;
		sender->under_way = true;
		sender->ended = !sender_begin(sender);
		sender->code = CURLE_FAILED_INIT;
	}
	if (!sender->ended)
		sender_drive(sender);
	if (!sender->ended)
		return METRICS_SENT_NOTHING;
	sender->under_way = false;
	(void)curl_multi_remove_handle(sender->multi, sender->easy);
	return sender_judge(sender, now_us);
}

void metrics_sender_finish(
	struct metrics_sender *sender, bool (*step)(void *arg, uint64_t now_us), void *arg)
{
	uint64_t now_us = hf_clock_us(), end_us = now_us + SENDER_FINISH_US;

	while (sender->failures == 0 && now_us < end_us && step(arg, now_us)) {
		if (sender->under_way)
			(void)curl_multi_poll(
				sender->multi, NULL, 0, (int)((end_us - now_us) / 1000 + 1), NULL);
		now_us = hf_clock_us();
	}
}

/* ---- its life ---- */

bool metrics_sender_init(
	struct metrics_sender *sender, CURLM *multi, const char *url, const char *what)
{
	const char *pairs = getenv("OTEL_EXPORTER_OTLP_HEADERS");
	const char *protocol = getenv("OTEL_EXPORTER_OTLP_PROTOCOL");

	sender->multi = multi;
	sender->what = what;
	sender->timeout_ms = metrics_env_ms("OTEL_EXPORTER_OTLP_TIMEOUT", SENDER_TIMEOUT_MS);
	hf_random_fill(&sender->rand, sizeof(sender->rand));
	sender->lines = curl_slist_append(NULL, "Content-Type: application/json");
	if (protocol && *protocol && strcmp(protocol, "http/json") != 0)
		hf_log(HF_LOG_WARN, "metrics", "OTLP: http/json is what is spoken, not %s",
			protocol);
	if (pairs && !metrics_otlp_headers(pairs, &sender->lines))
		hf_log(HF_LOG_WARN, "metrics",
			"OTLP: OTEL_EXPORTER_OTLP_HEADERS is not name=value,... and is not used");
	sender->easy = curl_easy_init();
	return sender->lines && sender->easy && sender_rules(sender, url) == CURLE_OK;
}

void metrics_sender_fini(struct metrics_sender *sender)
{
	if (sender->under_way)
		(void)curl_multi_remove_handle(sender->multi, sender->easy);
	curl_easy_cleanup(sender->easy);
	curl_slist_free_all(sender->lines);
	free(sender->sending);
}
