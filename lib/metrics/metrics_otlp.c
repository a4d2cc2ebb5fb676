/* SPDX-License-Identifier: BSD-3-Clause
 *
 * OTLP over HTTP with JSON: a report each interval, tried again while the receiver says so or says nothing.
 *
 *      due -> waiting -> sending -> 2xx                              gone
 *                          |  \---> 429, 502, 503, 504, no answer    later, by then the newest one
 *                          \------> any other status                 gone, counted
 *
 * Reports are cumulative, so of two that wait the older is dropped.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hf_log.h"
#include "metrics_priv.h"

#define OTLP_URL_MAX        2048
#define OTLP_BACKOFF_US     1000000 /* doubled with each failure */
#define OTLP_BACKOFF_MAX_US 30000000
#define OTLP_RETRY_AFTER_US 300000000 /* the longest that is honoured */
#define OTLP_TIMEOUT_MS     10000
#define OTLP_FINISH_MS      1000
#define OTLP_DAY_MS         86400000

struct metrics_otlp {
	const struct hf_metrics_cfg *cfg;
	CURLM *multi; /* the thread's */
	CURL *easy;
	struct curl_slist *lines;
	uint32_t interval_ms, timeout_ms;
	uint64_t start_time_ns;
	uint64_t due_us, retry_us;
	char *sending; /* NULL: nothing to send */
	char *waiting; /* a later one; NULL: none */
	bool under_way;
	uint32_t failures; /* in a row */
	uint64_t rand;
};

/* ---- the environment ---- */

static int otlp_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes; false: what a field may not have. */
static bool otlp_decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		int c = (unsigned char)*text;

		if (c == '%') {
			int high = otlp_hex(text[1]), low = high < 0 ? -1 : otlp_hex(text[2]);

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

static char *otlp_trim(char *text)
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
static char *otlp_header(char *pair)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char *value = strchr(pair, '='), *name, *line = NULL;

	if (!value)
		return NULL;
	*value++ = '\0';
	name = otlp_trim(pair);
	value = otlp_trim(value);
	if (!*name || !otlp_decode(name) || name[strspn(name, token)] || !otlp_decode(value))
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

		if (!*otlp_trim(pair))
			continue;
		line = otlp_header(pair);
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

/* Milliseconds from NAME, or DEF. */
static uint32_t otlp_env_ms(const char *name, uint32_t def)
{
	const char *text = getenv(name);
	char *end;
	unsigned long value;

	if (!text || !*text)
		return def;
	value = strtoul(text, &end, 10);
	if (isdigit((unsigned char)*text) && *end == '\0' && value > 0 && value <= OTLP_DAY_MS)
		return (uint32_t)value;
	hf_log(HF_LOG_WARN, "metrics", "%s is no time in milliseconds; it is %u", name, def);
	return def;
}

/* False: there is no receiver. */
static bool otlp_url(const char *target, char *ret_url)
{
	const char *all = getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
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
	if (len + sizeof("/v1/metrics") <= OTLP_URL_MAX && strncmp(base, "http", 4) == 0) {
		(void)snprintf(ret_url, OTLP_URL_MAX, "%.*s%s", (int)len, base,
			whole ? "" : "/v1/metrics");
		return true;
	}
	hf_log(HF_LOG_WARN, "metrics", "no OTLP: its endpoint is no http:// or https:// URL");
	return false;
}

/* ---- a transfer ---- */

static size_t otlp_on_body(char *data, size_t size, size_t count, void *arg)
{
	return size * count; /* what it says is of no use, and is bounded by the timeout */
}

/* No redirects, no cookies, no proxy of the environment: curl's defaults, and never switched on. */
static CURLcode otlp_rules(struct metrics_otlp *otlp, const char *url)
{
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(otlp->easy, CURLOPT_URL, url);
	code |= curl_easy_setopt(otlp->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	code |= curl_easy_setopt(otlp->easy, CURLOPT_HTTP09_ALLOWED, 0L);
	code |= curl_easy_setopt(otlp->easy, CURLOPT_PROXY, "");
	code |= curl_easy_setopt(otlp->easy, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(otlp->easy, CURLOPT_QUICK_EXIT, 1L); /* from a look-up of a name */
	code |= curl_easy_setopt(otlp->easy, CURLOPT_USERAGENT, "holdfastd/" HF_VERSION);
	code |= curl_easy_setopt(otlp->easy, CURLOPT_HTTPHEADER, otlp->lines);
	code |= curl_easy_setopt(otlp->easy, CURLOPT_TIMEOUT_MS, (long)otlp->timeout_ms);
	code |= curl_easy_setopt(otlp->easy, CURLOPT_WRITEFUNCTION, otlp_on_body);
	return code;
}

static bool otlp_begin(struct metrics_otlp *otlp)
{
	CURLcode code = curl_easy_setopt(
		otlp->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(otlp->sending));

	code |= curl_easy_setopt(otlp->easy, CURLOPT_POSTFIELDS, otlp->sending);
	return code == CURLE_OK && curl_multi_add_handle(otlp->multi, otlp->easy) == CURLM_OK;
}

/* How a transfer ended; false: it did not yet. */
static bool otlp_ended(struct metrics_otlp *otlp, CURLcode *ret_code)
{
	const struct CURLMsg *msg;
	int running, left;

	if (curl_multi_perform(otlp->multi, &running) != CURLM_OK) {
		*ret_code = CURLE_FAILED_INIT;
		return true;
	}
	msg = curl_multi_info_read(otlp->multi, &left);
	if (!msg)
		return false;
	*ret_code = msg->data.result;
	return true;
}

/* ---- what it means ---- */

static void otlp_failed(struct metrics_otlp *otlp, CURLcode code, long status, const char *then)
{
	if (otlp->failures++ > 0)
		return;
	if (code != CURLE_OK)
		hf_log(HF_LOG_WARN, "metrics", "OTLP: %s; %s", curl_easy_strerror(code), then);
	else
		hf_log(HF_LOG_WARN, "metrics", "OTLP: status %ld; %s", status, then);
}

static void otlp_done(struct metrics_otlp *otlp)
{
	free(otlp->sending);
	otlp->sending = NULL;
}

/* Doubled each time, half of it by chance; or what the receiver asks for. */
static uint64_t otlp_backoff_us(struct metrics_otlp *otlp)
{
	uint64_t wait_us = (uint64_t)OTLP_BACKOFF_US << hf_min_u32(otlp->failures - 1, 5);
	curl_off_t after_s = 0;

	(void)curl_easy_getinfo(otlp->easy, CURLINFO_RETRY_AFTER, &after_s);
	if (after_s > 0)
		return hf_min_u64((uint64_t)after_s, OTLP_RETRY_AFTER_US / 1000000) * 1000000;
	wait_us = hf_min_u64(wait_us, OTLP_BACKOFF_MAX_US);
	otlp->rand = otlp->rand * 6364136223846793005 + 1442695040888963407; /* Knuth's MMIX */
	return wait_us / 2 + (otlp->rand >> 33) % (wait_us / 2);
}

static void otlp_judge(struct metrics_otlp *otlp, CURLcode code, uint64_t now_us)
{
	long status = 0;

	(void)curl_easy_getinfo(otlp->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && status >= 200 && status <= 299) {
		hf_stat_inc(HF_STAT_OTLP_TAKEN);
		if (otlp->failures > 0)
			hf_log(HF_LOG_INFO, "metrics", "OTLP: the receiver takes reports again");
		otlp->failures = 0;
		otlp_done(otlp);
	} else if (code != CURLE_OK || status == 429 || (status >= 502 && status <= 504)) {
		hf_stat_inc(HF_STAT_OTLP_FAILED);
		otlp_failed(otlp, code, status, "tried again until it answers");
		otlp->retry_us = now_us + otlp_backoff_us(otlp);
	} else {
		hf_stat_inc(HF_STAT_OTLP_REFUSED);
		otlp_failed(otlp, code, status, "the report is dropped");
		otlp_done(otlp);
	}
}

static void otlp_report(struct metrics_otlp *otlp)
{
	struct hf_metrics_snap *snap = metrics_snap_take(otlp->cfg);
	char *text =
		snap ? metrics_otlp_json(snap, otlp->cfg->conf->node, otlp->start_time_ns) : NULL;

	free(snap);
	if (!text)
		hf_log(HF_LOG_WARN, "metrics", "OTLP: no memory for a report");
	if (!text || otlp->waiting)
		hf_stat_inc(HF_STAT_OTLP_DROPPED);
	if (!text)
		return;
	free(otlp->waiting);
	otlp->waiting = text;
}

/* The newest there is. */
static void otlp_next(struct metrics_otlp *otlp)
{
	if (!otlp->waiting)
		return;
	if (otlp->sending)
		hf_stat_inc(HF_STAT_OTLP_DROPPED);
	free(otlp->sending);
	otlp->sending = otlp->waiting;
	otlp->waiting = NULL;
}

/* One step of a transfer: begins, goes on, ends. */
static void otlp_transfer(struct metrics_otlp *otlp, uint64_t now_us)
{
	CURLcode code = CURLE_FAILED_INIT;

	if (!otlp->under_way) {
		if (now_us < otlp->retry_us)
			return;
		otlp_next(otlp);
		if (!otlp->sending)
			return;
		otlp->under_way = otlp_begin(otlp);
	}
	if (otlp->under_way && !otlp_ended(otlp, &code))
		return;
	otlp->under_way = false;
	(void)curl_multi_remove_handle(otlp->multi, otlp->easy);
	otlp_judge(otlp, code, now_us);
}

uint64_t metrics_otlp_step(struct metrics_otlp *otlp, uint64_t now_us)
{
	if (now_us >= otlp->due_us) {
		otlp_report(otlp);
		otlp->due_us = now_us + otlp->interval_ms * 1000ULL;
	}
	otlp_transfer(otlp, now_us);
	if (otlp->under_way || !(otlp->sending || otlp->waiting))
		return otlp->due_us; /* libcurl's poll ends when it has work */
	return hf_min_u64(otlp->due_us, hf_max_u64(otlp->retry_us, now_us));
}

void metrics_otlp_finish(struct metrics_otlp *otlp)
{
	uint64_t now_us = hf_clock_us(), end_us = now_us + OTLP_FINISH_MS * 1000;

	if (otlp->failures > 0)
		return;
	otlp_report(otlp);
	while (otlp->failures == 0 && (otlp->sending || otlp->waiting) && now_us < end_us) {
		otlp_transfer(otlp, now_us);
		if (otlp->under_way)
			(void)curl_multi_poll(
				otlp->multi, NULL, 0, (int)((end_us - now_us) / 1000 + 1), NULL);
		now_us = hf_clock_us();
	}
}

/* ---- its life ---- */

static bool otlp_init(struct metrics_otlp *otlp, const char *url)
{
	const char *pairs = getenv("OTEL_EXPORTER_OTLP_HEADERS");
	const char *protocol = getenv("OTEL_EXPORTER_OTLP_PROTOCOL");
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	otlp->start_time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	otlp->timeout_ms = otlp_env_ms("OTEL_EXPORTER_OTLP_TIMEOUT", OTLP_TIMEOUT_MS);
	otlp->interval_ms =
		otlp_env_ms("OTEL_METRIC_EXPORT_INTERVAL", otlp->cfg->conf->metrics.interval_ms);
	otlp->due_us = hf_clock_us() + otlp->interval_ms * 1000ULL;
	hf_random_fill(&otlp->rand, sizeof(otlp->rand));
	otlp->lines = curl_slist_append(NULL, "Content-Type: application/json");
	if (protocol && *protocol && strcmp(protocol, "http/json") != 0)
		hf_log(HF_LOG_WARN, "metrics", "OTLP: http/json is what is spoken, not %s",
			protocol);
	if (pairs && !metrics_otlp_headers(pairs, &otlp->lines))
		hf_log(HF_LOG_WARN, "metrics",
			"OTLP: OTEL_EXPORTER_OTLP_HEADERS is not name=value,... and is not used");
	otlp->easy = curl_easy_init();
	return otlp->lines && otlp->easy && otlp_rules(otlp, url) == CURLE_OK;
}

int metrics_otlp_new(const struct hf_metrics_cfg *cfg, CURLM *multi, struct metrics_otlp **ret_otlp)
{
	char url[OTLP_URL_MAX];
	struct metrics_otlp *otlp;

	if (!otlp_url(cfg->conf->metrics.otlp, url))
		return 0;
	otlp = calloc(1, sizeof(*otlp));
	if (!otlp)
		return -ENOMEM;
	otlp->cfg = cfg;
	otlp->multi = multi;
	if (!otlp_init(otlp, url)) {
		metrics_otlp_free(otlp);
		return -ENOMEM;
	}
	*ret_otlp = otlp;
	return 0;
}

void metrics_otlp_free(struct metrics_otlp *otlp)
{
	if (!otlp)
		return;
	if (otlp->under_way)
		(void)curl_multi_remove_handle(otlp->multi, otlp->easy);
	curl_easy_cleanup(otlp->easy);
	curl_slist_free_all(otlp->lines);
	free(otlp->sending);
	free(otlp->waiting);
	free(otlp);
}
