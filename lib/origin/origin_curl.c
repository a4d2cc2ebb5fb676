/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One transfer: its easy handle, and what curl calls for it. The multi handle drives it (origin_multi.c).
 */
#include "hf_origin.h"

#include <errno.h>
#include <string.h>

#include "hf_wipe.h"

#include "origin_answer.h"
#include "origin_choice.h"
#include "origin_priv.h"
#include "origin_wire.h"

static uint64_t curl_between_us(const struct hf_origin *origin)
{
	return origin->conf->origin.between_bytes_timeout_ms * 1000ULL;
}

/* ---- callbacks ---- */

static int curl_head_append(struct origin_fetch *fetch, const char *data, size_t len)
{
	if (len > ORIGIN_HEAD_MAX - fetch->head_len)
		return -EMSGSIZE;
	if (fetch->head_len + len > fetch->head_cap) {
		uint32_t cap = (uint32_t)hf_pow2_ceil(hf_max_u64(fetch->head_len + len, 1024));
		char *head = hf_wipe_realloc(fetch->head, cap);

		if (!head)
			return -ENOMEM;
		fetch->head = head;
		fetch->head_cap = cap;
	}
	memcpy(fetch->head + fetch->head_len, data, len);
	fetch->head_len += (uint32_t)len;
	return 0;
}

/* By curl's own reading: it is curl that goes on to the next head. We never ask for an upgrade. */
static bool curl_head_is_interim(const struct origin_fetch *fetch)
{
	long status = 0;

	(void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	return status >= 100 && status < 200 && status != 101;
}

/* RFC 9110 §15.2: to be forwarded. 100 is about the body, for which we asked and were asked ourselves. */
static void curl_head_interim(struct hf_origin *origin, struct origin_fetch *fetch)
{
	struct hf_http_resp resp;

	if (!fetch->leader || fetch->leader->answered || fetch->leader->xchg->background ||
		hf_http_resp_parse(fetch->head, fetch->head_len, &resp) != HF_PARSE_DONE ||
		resp.status <= 101 || resp.status >= 200)
		return;
	origin_reader_interim(origin, fetch->leader, &resp);
}

bool origin_curl_head(struct hf_origin *origin, struct origin_fetch *fetch)
{
	enum origin_store verdict;
	long status = 0;

	if (curl_head_is_interim(fetch)) {
		curl_head_interim(origin, fetch);
		fetch->head_len = fetch->head_kept;
		return true;
	}
	hf_timer_del(origin->wheel, &fetch->timer);
	hf_timer_del(origin->wheel, &fetch->patience);
	(void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	if (fetch->state == ORIGIN_RESUME) {
		origin_health_answer(origin, fetch, (uint16_t)status);
		if (!origin_resume_head(origin, fetch))
			return false;
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
		return true;
	}
	fetch->status = (uint16_t)status;
	origin_slot_sample(origin, fetch, status == 429 || (status >= 502 && status <= 504));
	verdict = origin_store_head(origin, fetch);
	if (verdict != ORIGIN_STORE_RETRY)
		origin_health_answer(origin, fetch, (uint16_t)status);
	switch (verdict) {
	case ORIGIN_STORE_DONE:
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
		return true;
	case ORIGIN_STORE_NO_MEMORY:
		fetch->state = ORIGIN_ADMIT;
		origin_flow_memory_wait(origin, fetch);
		return true;
	case ORIGIN_STORE_WAIT:
		fetch->state = ORIGIN_ADMIT;
		return true;
	case ORIGIN_STORE_OVER:
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
		return true;
	case ORIGIN_STORE_UNWANTED:
		fetch->unwanted = true;
		return false;
	case ORIGIN_STORE_RETRY:
		return true;
	case ORIGIN_STORE_BAD:
		break;
	}
	if (!fetch->fail_text)
		fetch->fail_text = "malformed head";
	return false;
}

static size_t curl_on_head(char *data, size_t size, size_t count, void *arg)
{
	struct origin_fetch *fetch = arg;
	size_t len = size * count;

	origin_health_heard(fetch->origin, fetch);
	if (fetch->state != ORIGIN_SENT && fetch->state != ORIGIN_RESUME)
		return len; /* trailers */
	if (curl_head_append(fetch, data, len)) {
		fetch->fail_text = "head too large";
		return 0;
	}
	if ((len == 2 && memcmp(data, "\r\n", 2) == 0) || (len == 1 && data[0] == '\n'))
		return origin_curl_head(fetch->origin, fetch) ? len : 0;
	return len;
}

/* What is not taken curl hands over again, from the start of this block: `taken` bytes of it are in
 * the object already. */
static size_t curl_on_body(char *data, size_t size, size_t count, void *arg)
{
	struct origin_fetch *fetch = arg;
	struct hf_origin *origin = fetch->origin;
	size_t len = size * count;
	size_t got = hf_min_size(fetch->taken, len);

	origin_health_heard(origin, fetch);
	if (fetch->state == ORIGIN_OVER || fetch->state == ORIGIN_RETRY) {
		/* a short rest is read for the sake of the connection */
		fetch->taken += len;
		return fetch->taken > ORIGIN_OVER_MAX ? 0 : len;
	}
	if (fetch->state < ORIGIN_ADMIT) {
		fetch->fail_text = "a body without a head";
		return 0;
	}
	if (fetch->state == ORIGIN_ADMIT) {
		fetch->recv_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	fetch->taken -= got;
	if (got < len)
		got += origin_flow_fill(origin, fetch, data + got, len - got);
	if (fetch->unwanted)
		return 0;
	if (got < len) {
		fetch->taken += got;
		fetch->recv_paused = true;
		if (hf_list_empty(&fetch->memory_link))
			origin_flow_stand(origin, fetch);
		return CURL_WRITEFUNC_PAUSE;
	}
	origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
	return len;
}

static size_t curl_on_read(char *buf, size_t size, size_t count, void *arg)
{
	struct origin_fetch *fetch = arg;

	if (!fetch->leader || !fetch->leader->xchg->has_body)
		return 0;
	return origin_body_read(fetch->origin, fetch, buf, size * count);
}

/* curl would send the body again: what was given back to the worker is gone. */
static int curl_on_seek(void *arg, curl_off_t offset, int whence)
{
	const struct origin_fetch *fetch = arg;

	if (fetch->leader && !fetch->leader->xchg->has_body && offset == 0 && whence == SEEK_SET)
		return CURL_SEEKFUNC_OK;
	return CURL_SEEKFUNC_FAIL;
}

/* Connected; the request goes out now. */
static int curl_on_connected(
	void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct origin_fetch *fetch = arg;
	struct hf_origin *origin = fetch->origin;

	/* curl sends once more what a reused connection lost */
	if (fetch->local_port != 0 && fetch->leader &&
		!origin_request_is_repeatable(fetch->leader->xchg)) {
		fetch->fail_text = "connection lost";
		return CURL_PREREQFUNC_ABORT;
	}
	fetch->local_port = local_port;
	fetch->remote_port = remote_port;
	if (fetch->leader && fetch->leader->xchg->has_body)
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
	else
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_FIRST_BYTE,
			origin_retry_left_us(origin, fetch,
				origin_health_timeout_ms(origin, fetch->health,
					origin->conf->origin.first_byte_timeout_ms)));
	return CURL_PREREQFUNC_OK;
}

/* ---- the handle ---- */

static CURLcode curl_set_callbacks(CURL *easy, struct origin_fetch *fetch)
{
	CURLcode code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, curl_on_head);
	code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, curl_on_body);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, curl_on_read);
	code |= curl_easy_setopt(easy, CURLOPT_READDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, curl_on_seek);
	code |= curl_easy_setopt(easy, CURLOPT_SEEKDATA, fetch);
	code |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, curl_on_connected);
	code |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
	return code;
}

void origin_curl_adopt(struct origin_fetch *fetch)
{
	HF_ASSERT(curl_set_callbacks(fetch->easy, fetch) == CURLE_OK); /* pointers only */
}

static CURLcode curl_set_rules(struct hf_origin *origin, const struct origin_fetch *fetch)
{
	CURL *easy = fetch->easy;
	uint64_t connect_ms = origin_retry_left_us(origin, fetch,
				      origin_health_timeout_ms(origin, fetch->health,
					      origin->conf->origin.connect_timeout_ms)) /
			      1000;
	long keep_s = (long)(origin->conf->origin.keepalive_ms / 1000);
	CURLcode code = origin_rules_set(origin, easy, fetch->target->url);

	/* without it curl parses CURLOPT_URL, and writes it anew */
	code |= curl_easy_setopt(easy, CURLOPT_CURLU, origin_view_url(fetch));
	code |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)ORIGIN_READ_LEN);
	code |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)hf_max_u64(connect_ms, 1));
	code |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, keep_s > 0 ? keep_s : 1L);
	return code;
}

/* No handle is used for two fetches: one keeps the fields of its last answer until its next. */
int origin_curl_start(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(!fetch->easy && !fetch->lines);
	fetch->easy = curl_easy_init();
	if (!fetch->easy)
		return -ENOMEM;
	if (curl_set_rules(origin, fetch) == CURLE_OK &&
		curl_set_callbacks(fetch->easy, fetch) == CURLE_OK &&
		origin_request_set(origin, fetch) == 0 &&
		curl_multi_add_handle(origin->multi, fetch->easy) == CURLM_OK)
		return 0;
	curl_easy_cleanup(fetch->easy);
	fetch->easy = NULL;
	curl_slist_free_all(fetch->lines);
	fetch->lines = NULL;
	return -ENOMEM;
}

void origin_curl_stop(struct hf_origin *origin, struct origin_fetch *fetch)
{
	if (!fetch->easy)
		return;
	if (!fetch->cut)
		HF_ASSERT(curl_multi_remove_handle(origin->multi, fetch->easy) == CURLM_OK);
	curl_easy_cleanup(fetch->easy);
	fetch->easy = NULL;
	curl_slist_free_all(fetch->lines);
	fetch->lines = NULL;
}

void origin_curl_cut(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(fetch->easy && !fetch->cut);
	HF_ASSERT(curl_multi_remove_handle(origin->multi, fetch->easy) == CURLM_OK);
	fetch->recv_paused = false;
	fetch->cut = true;
}

int origin_curl_again(struct hf_origin *origin, struct origin_fetch *fetch)
{
	HF_ASSERT(fetch->easy && fetch->cut);
	if (curl_multi_add_handle(origin->multi, fetch->easy) != CURLM_OK)
		return -ENOMEM;
	fetch->cut = false;
	return 0;
}

void origin_curl_resume(struct hf_origin *origin, struct origin_fetch *fetch)
{
	int mask = (fetch->recv_paused ? CURLPAUSE_RECV : 0) |
		   (fetch->send_paused ? CURLPAUSE_SEND : 0);
	CURLcode code;

	if (!fetch->easy)
		return;
	if (fetch->state == ORIGIN_BODY && !fetch->recv_paused &&
		hf_list_empty(&fetch->memory_link))
		origin_fetch_timer(origin, fetch, ORIGIN_TIMER_BETWEEN, curl_between_us(origin));
	code = curl_easy_pause(fetch->easy, mask);
	/* curl calls the write function from within; an answer that is over already needs nothing */
	if (code != CURLE_OK && code != CURLE_BAD_FUNCTION_ARGUMENT)
		origin_fetch_done(origin, fetch, code);
}
