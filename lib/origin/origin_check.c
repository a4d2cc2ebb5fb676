/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Origins are asked whether they are well, where their group says for what ("health").
 *
 *      every interval: GET path, on a connection of its own --2xx, 3xx in time--> good
 *                                                           \--anything else--> failed
 *      ORIGIN_CHECKS_BAD of the last ORIGIN_CHECKS_KNOWN failed --> unhealthy, until fewer are
 *
 * No fetches: no client waits, nothing is stored or counted with them. ORIGIN_CHECKS_MAX at a time.
 */
#include "hf_origin.h"

#include <stdlib.h>
#include <string.h>

#include "origin_choice.h"
#include "origin_priv.h"
#include "origin_wire.h"

#define CHECK_BODY_MAX (64 * 1024)
#define CHECK_LATER_US 100000 /* when there are enough under way */

/* ---- the last answers ---- */

bool origin_check_is_bad(const struct origin_check *check)
{
	return __builtin_popcount(check->failed) >= ORIGIN_CHECKS_BAD;
}

bool origin_check_note(struct origin_check *check, bool failed)
{
	bool before = origin_check_is_bad(check);

	HF_STATIC_ASSERT(ORIGIN_CHECKS_KNOWN == 8, "bits of `failed`");
	check->failed = (uint8_t)(check->failed << 1 | failed);
	return origin_check_is_bad(check) != before;
}

/* ---- one question ---- */

static size_t check_on_body(char *data, size_t size, size_t count, void *arg)
{
	struct origin_check *check = arg;

	(void)data;
	check->body_len += size * count;
	return check->body_len <= CHECK_BODY_MAX ? size * count : 0;
}

static CURLcode check_set(struct hf_origin *origin, CURL *easy, struct origin_check *check)
{
	CURLcode code = origin_rules_set(origin, easy, check->url);

	code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "holdfast");
	code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)check->timeout_ms);
	code |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, check_on_body);
	code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, check);
	return code;
}

static void check_stop(struct hf_origin *origin, struct origin_check *check)
{
	if (!check->easy)
		return;
	HF_ASSERT(curl_multi_remove_handle(origin->multi, check->easy) == CURLM_OK);
	curl_easy_cleanup(check->easy);
	check->easy = NULL;
	hf_list_del(&check->link);
	origin->checks--;
}

static void check_start(struct hf_origin *origin, struct origin_check *check)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		return; /* the next may find memory */
	if (check_set(origin, easy, check) != CURLE_OK ||
		curl_multi_add_handle(origin->multi, easy) != CURLM_OK) {
		curl_easy_cleanup(easy);
		return;
	}
	check->easy = easy;
	check->body_len = 0;
	hf_list_add_tail(&origin->checking, &check->link);
	origin->checks++;
}

void origin_check_due(struct hf_origin *origin, struct origin_check *check)
{
	HF_ASSERT(check->url);
	if (check->easy || origin->checks >= ORIGIN_CHECKS_MAX) {
		hf_timer_set(origin->wheel, &check->timer, origin->now_us + CHECK_LATER_US);
		return;
	}
	check->due_us = origin->now_us + check->interval_us;
	hf_timer_set(origin->wheel, &check->timer, check->due_us);
	check_start(origin, check);
}

void origin_check_done(struct hf_origin *origin, CURL *easy, CURLcode code)
{
	struct origin_check *check = NULL;
	struct hf_list *it;
	long status = 0;
	bool failed;

	hf_list_for_each (it, &origin->checking)
		if (HF_CONTAINER_OF(it, struct origin_check, link)->easy == easy)
			check = HF_CONTAINER_OF(it, struct origin_check, link);
	HF_ASSERT(check);
	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	check_stop(origin, check);
	failed = code != CURLE_OK || status < 200 || status >= 400;
	hf_stat_inc(failed ? HF_STAT_ORIGIN_CHECK_FAILED : HF_STAT_ORIGIN_CHECK_GOOD);
	if (origin_check_note(check, failed))
		hf_log(failed ? HF_LOG_WARN : HF_LOG_INFO, "origin", "%s: %s", check->url,
			failed ? "unhealthy" : "healthy again");
}

/* ---- which are asked ---- */

void origin_check_init(struct origin_check *check)
{
	hf_list_init(&check->link);
	hf_timer_init(&check->timer, ORIGIN_TIMER_CHECK);
}

static void check_rest(struct hf_origin *origin, struct origin_check *check)
{
	hf_timer_del(origin->wheel, &check->timer);
}

void origin_check_fini(struct hf_origin *origin, struct origin_check *check)
{
	check_rest(origin, check);
	check_stop(origin, check);
	free(check->url);
	check->url = NULL;
}

/* Another question: what was answered to the one before says nothing. */
static void check_ask(struct hf_origin *origin, struct origin_check *check, char *url,
	const struct hf_state_health *health)
{
	uint64_t random;

	origin_check_fini(origin, check);
	hf_random_fill(&random, sizeof(random));
	check->url = url;
	check->failed = 0;
	check->due_us = origin->now_us + random % (health->interval_s * 1000000ULL);
}

static void check_take(struct hf_origin *origin, struct origin_check *check, const char *origin_url,
	const struct hf_state_health *health)
{
	size_t len = strlen(origin_url) + 1;
	char *url;

	if (!health->path) {
		origin_check_fini(origin, check);
		check->failed = 0;
		return;
	}
	url = malloc(len + strlen(health->path));
	HF_ASSERT(url);
	memcpy(url, origin_url, len);
	strcat(url, health->path);
	if (check->url && strcmp(check->url, url) == 0)
		free(url);
	else
		check_ask(origin, check, url, health);
	check->interval_us = health->interval_s * 1000000ULL;
	check->timeout_ms = health->timeout_s * 1000;
	hf_timer_set(origin->wheel, &check->timer,
		hf_min_u64(check->due_us, origin->now_us + check->interval_us));
}

void origin_check_adopt(struct hf_origin *origin, const struct origin_view *next)
{
	const struct origin_view *view = origin->view;

	for (uint32_t i = 0; view && i < view->state->group_count; i++)
		for (uint32_t j = 0; j < view->state->group[i].origin_count; j++)
			check_rest(origin, &view->group[i].peer[j]->check);
	for (uint32_t i = 0; i < next->state->group_count; i++) {
		const struct hf_state_group *group = &next->state->group[i];

		for (uint32_t j = 0; j < group->origin_count; j++)
			check_take(origin, &next->group[i].peer[j]->check, group->origin[j].url,
				&group->health);
	}
}

void origin_check_fini_all(struct hf_origin *origin)
{
	struct hf_list *it;

	while (origin->checking.next && (it = hf_list_first(&origin->checking)) != NULL)
		check_stop(origin, HF_CONTAINER_OF(it, struct origin_check, link));
}
