/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hf_log.h"
#include "hf_stat.h"
#include "hf_state_file.h"
#include "sync_priv.h"

static const enum hf_stat sync_failures[] = {
#define X(id, name) [HF_FALLBACK_BY_##id] = HF_STAT_SYNC_FAILED_##id,
#include "tbl/fallback_triggers.h"
#undef X
};

static const char *sync_last_name(const struct hf_sync *sync)
{
	switch (sync->last) {
	case SYNC_NONE:
		return "none";
	case SYNC_DOCUMENT:
		return "new state";
	case SYNC_SAME:
		return "unchanged";
	case SYNC_REFUSED:
		return "refused";
	case SYNC_FAILED:
		break;
	}
	return hf_fallback_trigger_name(sync->trigger);
}

static bool sync_has_peer(const struct hf_sync *sync)
{
	return *sync->cfg.conf->control_plane.url;
}

int hf_sync_new(const struct hf_sync_cfg *cfg, struct hf_err *err, struct hf_sync **ret_sync)
{
	struct hf_sync *sync = calloc(1, sizeof(*sync));
	int rc;

	if (!sync)
		return hf_err_set(err, -ENOMEM, "sync: no memory");
	sync->cfg = *cfg;
	sync->overlay = hf_state_overlay_new();
	sync->purged = json_object();
	rc = sync->overlay && sync->purged ? sync_http_init(sync, err)
					   : hf_err_set(err, -ENOMEM, "sync: no memory");
	if (rc) {
		hf_state_overlay_free(sync->overlay);
		json_decref(sync->purged);
		free(sync);
		return rc;
	}
	(void)pthread_mutex_init(&sync->lock, NULL); /* never fails with defaults */
	hf_random_fill(&sync->rand, sizeof(sync->rand));
	hf_fallback_init(&sync->fallback, cfg->conf->control_plane.failures,
		cfg->conf->control_plane.successes, hf_clock_us());
	*ret_sync = sync;
	return 0;
}

void hf_sync_free(struct hf_sync *sync)
{
	if (!sync)
		return;
	sync_take_free_all(sync);
	sync_http_fini(sync);
	hf_state_overlay_free(sync->overlay);
	json_decref(sync->purged);
	(void)pthread_mutex_destroy(&sync->lock);
	free(sync);
}

/* ---- mode ---- */

static void sync_mode_set(struct hf_sync *sync, uint32_t bit, bool on)
{
	if (on)
		atomic_fetch_or(sync->cfg.mode, bit);
	else
		atomic_fetch_and(sync->cfg.mode, ~bit);
}

/* When the state expires; UINT64_MAX: never. What was loaded from a file has no age and is
 * expired. */
static uint64_t sync_expires_us(const struct hf_sync *sync)
{
	if (!sync_has_peer(sync))
		return UINT64_MAX;
	if (sync->good_us == 0)
		return 0;
	return sync->good_us + sync->cfg.conf->control_plane.state_max_age_ms * 1000;
}

static void sync_expire(struct hf_sync *sync, uint64_t now_us)
{
	bool was = atomic_load(sync->cfg.mode) & HF_MODE_EXPIRED;
	bool is = now_us >= sync_expires_us(sync) || (was && sync_purge_is_left(sync));

	if (is == was)
		return;
	sync_mode_set(sync, HF_MODE_EXPIRED, is);
	hf_log(is ? HF_LOG_WARN : HF_LOG_INFO, "sync", "the state is %s",
		is ? "expired: no good answer of the control plane for state_max_age"
		   : "up to date");
}

static void sync_event(struct hf_sync *sync, enum hf_fallback_event event, const char *why)
{
	enum hf_fallback_action action = hf_fallback_step(&sync->fallback, event, hf_clock_us());

	if (action == HF_FALLBACK_NONE)
		return;
	sync_mode_set(sync, HF_MODE_FALLBACK, action == HF_FALLBACK_ENTER);
	if (action == HF_FALLBACK_ENTER) {
		hf_stat_inc(HF_STAT_FALLBACK_ACTIVATIONS);
		hf_stat_add(HF_STAT_FALLBACK_TRIGGERED, 1);
		hf_log(HF_LOG_WARN, "sync", "Switching to local cache mode (%s)", why);
	} else {
		hf_stat_sub(HF_STAT_FALLBACK_TRIGGERED, 1);
		hf_log(HF_LOG_INFO, "sync", "Leaving local cache mode (%s)", why);
	}
}

/* ---- asking ---- */

/* What the next question is conditional on. */
static void sync_etag_set(struct hf_sync *sync, const char *etag)
{
	size_t len = strlen(etag);
	bool is_etag = len >= 2 && etag[len - 1] == '"' &&
		       (etag[0] == '"' || (len >= 4 && memcmp(etag, "W/\"", 3) == 0));

	sync->etag[0] = '\0';
	if (is_etag)
		(void)snprintf(sync->etag, sizeof(sync->etag), "%s", etag);
	else if (!sync->refused)
		(void)snprintf(
			sync->etag, sizeof(sync->etag), "\"%s\"", sync->kept[0].state->version);
}

/* What came, under the lock. */
static enum sync_outcome sync_judge(struct hf_sync *sync, enum sync_outcome outcome)
{
	const struct sync_answer *answer = &sync->answer;

	if (outcome == SYNC_SAME)
		return sync->refused ? SYNC_REFUSED : SYNC_SAME;
	if (outcome == SYNC_DOCUMENT)
		outcome = sync_take(sync, answer->body ? answer->body : "", answer->len,
			"the control plane", answer->etag);
	else if (answer->too_large)
		sync_take_refuse(sync, answer->etag,
			"$: found a larger document; allowed: at most 8388608 bytes");
	else
		return outcome;
	sync->refused = outcome == SYNC_REFUSED;
	sync_etag_set(sync, answer->etag);
	return outcome;
}

static void sync_count(struct hf_sync *sync, enum sync_outcome outcome)
{
	switch (outcome) {
	case SYNC_NONE:
		return;
	case SYNC_DOCUMENT:
	case SYNC_SAME:
		sync->good_us = hf_clock_us();
		sync_event(sync, HF_FALLBACK_GOOD, "the control plane answers again");
		return;
	case SYNC_REFUSED:
		sync_event(sync, HF_FALLBACK_REFUSED, "");
		return;
	case SYNC_FAILED:
		hf_stat_inc(sync_failures[sync->trigger]);
		sync_event(sync, HF_FALLBACK_FAILED, hf_fallback_trigger_name(sync->trigger));
	}
}

void sync_ask(struct hf_sync *sync)
{
	enum sync_outcome outcome = sync_http_get(sync);

	(void)pthread_mutex_lock(&sync->lock);
	outcome = sync_judge(sync, outcome);
	if (outcome != SYNC_NONE)
		sync->last = outcome;
	sync_count(sync, outcome);
	sync_expire(sync, hf_clock_us());
	(void)pthread_mutex_unlock(&sync->lock);
}

void sync_settle(struct hf_sync *sync, uint64_t until_us)
{
	if (sync_purge_run(sync, until_us) && sync_has_peer(sync))
		sync_http_ack(sync);
}

/* ---- the first state ---- */

static void sync_boot_file(struct hf_sync *sync)
{
	const char *file = sync->cfg.conf->control_plane.state_file;
	char *text = NULL;
	size_t len = 0;
	struct hf_err err = { "" };
	int rc = hf_state_file_load(file, &text, &len, &err);

	if (rc == 0) {
		if (sync_take(sync, text, len, "the state file", "") == SYNC_DOCUMENT)
			sync_etag_set(sync, "");
	} else if (rc != -ENOENT) {
		hf_stat_inc(HF_STAT_STATE_FILE_ERRORS);
		hf_log(HF_LOG_ERROR, "sync", "%s", err.text);
	}
	free(text);
}

static void sync_boot_bootstrap(struct hf_sync *sync)
{
	const char *file = sync->cfg.conf->bootstrap_state;
	char *text = NULL;
	size_t len = 0;
	int rc = hf_state_read(file, &text, &len);

	if (rc == 0)
		(void)sync_take(sync, text, len, "bootstrap_state", "");
	else
		hf_log(HF_LOG_ERROR, "sync", "%s: %s", file, strerror(-rc));
	free(text);
}

void hf_sync_boot(struct hf_sync *sync)
{
	const struct hf_conf *conf = sync->cfg.conf;

	if (sync_has_peer(sync))
		sync_ask(sync);
	(void)pthread_mutex_lock(&sync->lock);
	if (sync->kept_count == 0 && sync_has_peer(sync) && *conf->control_plane.state_file)
		sync_boot_file(sync);
	if (sync->kept_count == 0 && *conf->bootstrap_state)
		sync_boot_bootstrap(sync);
	if (sync->kept_count == 0)
		hf_log(HF_LOG_WARN, "sync",
			"no state: every miss is answered 503 until there is one");
	sync_expire(sync, hf_clock_us());
	(void)pthread_mutex_unlock(&sync->lock);
}

/* ---- the thread ---- */

/* A tenth more or less, so that a thousand nodes do not ask at once. */
static uint64_t sync_interval_us(struct hf_sync *sync)
{
	uint64_t interval_us = sync->cfg.conf->control_plane.interval_ms * 1000ULL;

	sync->rand = sync->rand * 6364136223846793005 + 1442695040888963407; /* Knuth's MMIX */
	return interval_us - interval_us / 10 + (sync->rand >> 33) % (interval_us / 5 + 1);
}

static uint64_t sync_due_us(struct hf_sync *sync, uint64_t begin_us)
{
	return sync_has_peer(sync) || sync_purge_is_left(sync) ? begin_us + sync_interval_us(sync)
							       : UINT64_MAX;
}

/* Until the interval that began then has passed, or somebody asks or stops. */
static void sync_sleep(struct hf_sync *sync, uint64_t begin_us)
{
	uint64_t now_us = hf_clock_us();
	uint64_t due_us = sync_due_us(sync, begin_us);

	while (now_us < due_us && !atomic_load(&sync->stop) &&
		!atomic_exchange(&sync->asked, false)) {
		uint64_t until_us;

		if (sync_conf_adopt(sync))
			due_us = sync_due_us(sync, begin_us);
		(void)pthread_mutex_lock(&sync->lock);
		sync_expire(sync, now_us);
		(void)pthread_mutex_unlock(&sync->lock);
		until_us = sync_expires_us(sync);
		if (until_us <= now_us)
			until_us = UINT64_MAX; /* it is expired */
		until_us = hf_max_u64(hf_min_u64(until_us, due_us), now_us);
		sync_http_sleep(sync, until_us - now_us);
		now_us = hf_clock_us();
	}
}

void hf_sync_run(struct hf_sync *sync)
{
	for (;;) {
		uint64_t begin_us = hf_clock_us();

		sync_settle(sync, begin_us + sync->cfg.conf->control_plane.interval_ms * 1000ULL);
		sync_sleep(sync, begin_us);
		if (atomic_load(&sync->stop))
			return;
		if (sync_has_peer(sync))
			sync_ask(sync);
	}
}

bool sync_conf_adopt(struct hf_sync *sync)
{
	const struct hf_conf *conf = atomic_exchange(&sync->conf_next, NULL);

	if (!conf)
		return false;
	(void)pthread_mutex_lock(&sync->lock);
	sync->cfg.conf = conf;
	hf_fallback_limits_set(
		&sync->fallback, conf->control_plane.failures, conf->control_plane.successes);
	(void)pthread_mutex_unlock(&sync->lock);
	return true;
}

void hf_sync_stop(struct hf_sync *sync)
{
	atomic_store(&sync->stop, true);
	sync_http_wake(sync);
}

/* ---- the operator ---- */

void hf_sync_conf_set(struct hf_sync *sync, const struct hf_conf *conf)
{
	HF_ASSERT(!atomic_load(&sync->conf_next));
	atomic_store(&sync->conf_next, conf);
	sync_http_wake(sync);
}

bool hf_sync_conf_is(struct hf_sync *sync, const struct hf_conf *conf)
{
	bool is;

	(void)pthread_mutex_lock(&sync->lock);
	is = sync->cfg.conf == conf;
	(void)pthread_mutex_unlock(&sync->lock);
	return is;
}

void hf_sync_now(struct hf_sync *sync)
{
	atomic_store(&sync->asked, true);
	sync_http_wake(sync);
}

void hf_sync_hold(struct hf_sync *sync, enum hf_fallback_event event)
{
	HF_ASSERT(event >= HF_FALLBACK_ON);
	(void)pthread_mutex_lock(&sync->lock);
	if (event == HF_FALLBACK_AUTO && !sync_has_peer(sync)) /* no answer would ever end it */
		sync_event(sync, HF_FALLBACK_OFF, "by the operator");
	sync_event(sync, event, "by the operator");
	(void)pthread_mutex_unlock(&sync->lock);
}

int hf_sync_rollback(struct hf_sync *sync, const char *version, struct hf_err *err)
{
	uint32_t i;

	(void)pthread_mutex_lock(&sync->lock);
	for (i = 0; i < sync->kept_count; i++)
		if (strcmp(sync->kept[i].state->version, version) == 0)
			break;
	if (i < sync->kept_count)
		sync_take_again(sync, i);
	else
		(void)hf_err_set(err, -ENOENT, "version \"%s\" is not among the last %u", version,
			sync->kept_count);
	i = i < sync->kept_count;
	(void)pthread_mutex_unlock(&sync->lock);
	return i ? 0 : -ENOENT;
}

int hf_sync_origin_change(struct hf_sync *sync, enum hf_state_change change, const char *group,
	const char *origin, FILE *errors)
{
	int rc = -EINVAL;

	(void)pthread_mutex_lock(&sync->lock);
	if (sync->in_force)
		rc = hf_state_overlay_change(
			sync->overlay, change, sync->in_force, group, origin, errors);
	else
		fprintf(errors, "state: found none; allowed: one that is in force\n");
	if (rc == 0)
		sync_take_publish(sync);
	(void)pthread_mutex_unlock(&sync->lock);
	return rc;
}

uint64_t hf_sync_tick(struct hf_sync *sync, uint64_t now_us)
{
	uint64_t begin_us = hf_clock_us();

	if (!sync->cfg.registry || !hf_registry_changed(sync->cfg.registry, now_us))
		return UINT64_MAX;
	if (now_us < sync->tick_due_us)
		return sync->tick_due_us;
	(void)pthread_mutex_lock(&sync->lock);
	if (sync->in_force) {
		sync_take_publish(sync);
		sync->tick_due_us =
			now_us + hf_max_u64(SYNC_TICK_US, 4 * (hf_clock_us() - begin_us));
	}
	(void)pthread_mutex_unlock(&sync->lock);
	return UINT64_MAX;
}

struct hf_state *hf_sync_state(struct hf_sync *sync)
{
	struct hf_state *state;

	(void)pthread_mutex_lock(&sync->lock);
	state = sync->in_force ? hf_state_ref(sync->in_force) : NULL;
	(void)pthread_mutex_unlock(&sync->lock);
	return state;
}

static void sync_info_version(
	const struct hf_sync *sync, uint32_t i, struct hf_sync_version *ret_version)
{
	const struct sync_kept *kept = &sync->kept[i];

	*ret_version = (struct hf_sync_version){
		.source = kept->source,
		.applied_s = kept->applied_s,
		.routes = kept->state->route_count,
		.current = i == sync->current,
	};
	for (uint32_t g = 0; g < kept->state->group_count; g++)
		ret_version->origins += kept->state->group[g].origin_count;
	(void)snprintf(
		ret_version->version, sizeof(ret_version->version), "%s", kept->state->version);
}

void hf_sync_info(struct hf_sync *sync, struct hf_sync_info *ret_info)
{
	uint64_t now_us = hf_clock_us();

	(void)pthread_mutex_lock(&sync->lock);
	ret_info->fallback = hf_fallback_name(sync->fallback.state);
	ret_info->mode = atomic_load(sync->cfg.mode);
	ret_info->fallback_us = hf_fallback_spent_us(&sync->fallback, now_us);
	ret_info->good_age_ms = sync->good_us ? (int64_t)((now_us - sync->good_us) / 1000) : -1;
	ret_info->last = sync_last_name(sync);
	ret_info->version_count = sync->kept_count;
	for (uint32_t i = 0; i < sync->kept_count; i++)
		sync_info_version(sync, i, &ret_info->version[i]);
	(void)pthread_mutex_unlock(&sync->lock);
}

char *hf_sync_document(struct hf_sync *sync)
{
	char *text = NULL;

	(void)pthread_mutex_lock(&sync->lock);
	if (sync->kept_count > 0)
		text = strdup(sync->kept[sync->current].text);
	(void)pthread_mutex_unlock(&sync->lock);
	return text;
}
