/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_hist.h"
#include "sync_priv.h"

#define HTTP_ALL_TIMEOUTS 10 /* the whole question may take so many times the timeout */

static uint64_t http_timeout_us(const struct hf_sync *sync)
{
	return sync->cfg.conf->control_plane.timeout_ms * 1000ULL;
}

/* ---- callbacks ---- */

static int http_on_connected(
	void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct hf_sync *sync = arg;

	sync->progress_us = hf_clock_us();
	return CURL_PREREQFUNC_OK;
}

static size_t http_on_head(char *data, size_t size, size_t count, void *arg)
{
	static const char name[] = "etag:";
	struct hf_sync *sync = arg;
	struct sync_answer *answer = &sync->answer;
	size_t len = size * count, at = sizeof(name) - 1;

	sync->progress_us = hf_clock_us();
	if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) { /* an interim answer's do not count */
		answer->etag[0] = '\0';
		return len;
	}
	if (len < at || !hf_span_caseeq((struct hf_span){ data, at }, HF_SPAN(name)))
		return len;
	while (at < len && (data[at] == ' ' || data[at] == '\t'))
		at++;
	while (len > at && (unsigned char)data[len - 1] <= ' ')
		len--;
	if (len - at < sizeof(answer->etag)) {
		memcpy(answer->etag, data + at, len - at);
		answer->etag[len - at] = '\0';
	}
	return size * count;
}

static size_t http_on_body(char *data, size_t size, size_t count, void *arg)
{
	struct hf_sync *sync = arg;
	struct sync_answer *answer = &sync->answer;
	size_t len = size * count;

	sync->progress_us = hf_clock_us();
	if (len > SYNC_DOCUMENT_MAX - answer->len) {
		answer->too_large = true;
		return 0;
	}
	if (answer->len + len > answer->cap) {
		size_t cap = hf_pow2_ceil(answer->len + len);
		char *body = realloc(answer->body, cap);

		if (!body)
			return 0;
		answer->body = body;
		answer->cap = cap;
	}
	memcpy(answer->body + answer->len, data, len);
	answer->len += len;
	return len;
}

static size_t http_on_nothing(char *data, size_t size, size_t count, void *arg)
{
	return size * count;
}

/* ---- one transfer ---- */

/* No redirects, no cookies, no proxy of the environment: curl's defaults, and never switched on. */
static CURLcode http_rules(struct hf_sync *sync, CURL *easy)
{
	CURLcode code = CURLE_OK;

	curl_easy_reset(easy); /* keeps connections */
	code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	code |= curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	code |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "holdfastd/" HF_VERSION);
	code |= curl_easy_setopt(
		easy, CURLOPT_CONNECTTIMEOUT_MS, (long)sync->cfg.conf->control_plane.timeout_ms);
	code |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, http_on_connected);
	code |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, sync);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_on_head);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, sync);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_on_body);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, sync);
	return code;
}

static CURLcode http_url(const struct hf_sync *sync, CURL *easy, const char *what)
{
	const struct hf_conf *conf = sync->cfg.conf;
	char url[SYNC_URL_MAX];

	/* a node's name needs no escaping */
	(void)snprintf(
		url, sizeof(url), "%s/v1/nodes/%s/%s", conf->control_plane.url, conf->node, what);
	return curl_easy_setopt(easy, CURLOPT_URL, url);
}

/* How a transfer ended that is over. */
static CURLcode http_result(struct hf_sync *sync)
{
	const struct CURLMsg *msg;
	int left;

	msg = curl_multi_info_read(sync->multi, &left);
	return msg && msg->msg == CURLMSG_DONE ? msg->data.result : CURLE_RECV_ERROR;
}

/* Each phase has the timeout for itself: to connect, to the first byte, between bytes. */
static CURLcode http_wait(struct hf_sync *sync)
{
	uint64_t begin_us = hf_clock_us(), timeout_us = http_timeout_us(sync);
	int running = 1;

	sync->progress_us = begin_us;
	for (;;) {
		uint64_t now_us, due_us;

		if (curl_multi_perform(sync->multi, &running) != CURLM_OK)
			return CURLE_FAILED_INIT;
		if (running == 0)
			return http_result(sync);
		now_us = hf_clock_us();
		due_us = hf_min_u64(
			sync->progress_us + timeout_us, begin_us + HTTP_ALL_TIMEOUTS * timeout_us);
		if (now_us >= due_us)
			return CURLE_OPERATION_TIMEDOUT;
		if (atomic_load(&sync->stop))
			return CURLE_ABORTED_BY_CALLBACK;
		(void)sync_conf_adopt(sync); /* this question keeps to its timeouts */
		(void)curl_multi_poll(
			sync->multi, NULL, 0, (int)((due_us - now_us) / 1000 + 1), NULL);
	}
}

static CURLcode http_transfer(struct hf_sync *sync, struct curl_slist *lines, long *ret_status)
{
	CURLcode code = curl_easy_setopt(sync->easy, CURLOPT_HTTPHEADER, lines);

	sync->answer.len = 0;
	sync->answer.etag[0] = '\0';
	sync->answer.too_large = false;
	*ret_status = 0;
	if (code == CURLE_OK && curl_multi_add_handle(sync->multi, sync->easy) == CURLM_OK) {
		code = http_wait(sync);
		(void)curl_easy_getinfo(sync->easy, CURLINFO_RESPONSE_CODE, ret_status);
		(void)curl_multi_remove_handle(sync->multi, sync->easy);
	} else {
		code = CURLE_FAILED_INIT;
	}
	curl_slist_free_all(lines);
	return code;
}

/* ---- what it means ---- */

static enum sync_outcome http_failed(struct hf_sync *sync, enum hf_fallback_trigger trigger)
{
	sync->trigger = trigger;
	return SYNC_FAILED;
}

enum sync_outcome sync_http_get(struct hf_sync *sync)
{
	struct curl_slist *lines = NULL;
	char condition[SYNC_ETAG_MAX + 32];
	curl_off_t took_us = 0;
	long status;
	CURLcode code = http_rules(sync, sync->easy);

	hf_stat_inc(HF_STAT_SYNC_POLLS);
	if (sync->etag[0]) {
		(void)snprintf(condition, sizeof(condition), "If-None-Match: %s", sync->etag);
		lines = curl_slist_append(NULL, condition);
	}
	code |= http_url(sync, sync->easy, "state");
	HF_ASSERT(code == CURLE_OK);
	code = http_transfer(sync, lines, &status);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return SYNC_NONE;
	if (code == CURLE_OK &&
		curl_easy_getinfo(sync->easy, CURLINFO_TOTAL_TIME_T, &took_us) == CURLE_OK)
		hf_hist_add(HF_HIST_SYNC, (uint64_t)took_us * 1000);
	if (sync->answer.too_large)
		return SYNC_REFUSED;
	if (code != CURLE_OK)
		return http_failed(sync, hf_fallback_trigger_of_curl((int)code));
	if (status >= 500)
		return http_failed(sync, HF_FALLBACK_BY_5XX);
	if (status == 304 && sync->etag[0])
		return SYNC_SAME;
	return status == 200 ? SYNC_DOCUMENT : SYNC_REFUSED;
}

void sync_http_ack(struct hf_sync *sync)
{
	CURLcode code;
	long status;

	if (!sync->ack)
		return;
	code = http_rules(sync, sync->easy);
	code |= curl_easy_setopt(sync->easy, CURLOPT_WRITEFUNCTION, http_on_nothing);
	code |= curl_easy_setopt(
		sync->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(sync->ack));
	code |= curl_easy_setopt(sync->easy, CURLOPT_POSTFIELDS, sync->ack);
	code |= http_url(sync, sync->easy, "ack");
	HF_ASSERT(code == CURLE_OK);
	code = http_transfer(
		sync, curl_slist_append(NULL, "Content-Type: application/json"), &status);
	if (code == CURLE_OK && status >= 200 && status <= 299) {
		free(sync->ack);
		sync->ack = NULL;
	} else if (code != CURLE_ABORTED_BY_CALLBACK) {
		hf_stat_inc(HF_STAT_SYNC_ACKS_FAILED); /* the next question brings it again */
	}
}

void sync_http_sleep(struct hf_sync *sync, uint64_t us)
{
	(void)curl_multi_poll(sync->multi, NULL, 0, (int)hf_min_u64(us / 1000 + 1, 60000), NULL);
}

void sync_http_wake(struct hf_sync *sync)
{
	(void)curl_multi_wakeup(sync->multi);
}

int sync_http_init(struct hf_sync *sync, struct hf_err *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return hf_err_set(err, -ENOMEM, "sync: libcurl does not initialise");
	sync->multi = curl_multi_init();
	sync->easy = curl_easy_init();
	if (sync->multi && sync->easy)
		return 0;
	sync_http_fini(sync);
	return hf_err_set(err, -ENOMEM, "sync: libcurl has no memory");
}

void sync_http_fini(struct hf_sync *sync)
{
	curl_easy_cleanup(sync->easy);
	if (sync->multi)
		(void)curl_multi_cleanup(sync->multi);
	free(sync->answer.body);
	curl_global_cleanup();
}
