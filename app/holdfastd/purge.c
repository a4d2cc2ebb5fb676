/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A purge, by the operator or by a state document: carried out by the origin threads that own what
 * it names. One at a time: the control thread and the sync thread wait a moment for each other.
 */
#include <errno.h>
#include <time.h>

#include "app.h"
#include "hf_log.h"

#define PURGE_WAIT_MS 10000 /* of a purge of many, which then goes on by itself */
#define PURGE_TURN_S  1     /* for the one before it */

static pthread_mutex_t purge_lock = PTHREAD_MUTEX_INITIALIZER;

static int purge_key(
	struct app *app, const struct app_purge *what, uint64_t *ret_count, struct hf_err *err)
{
	struct hf_origin_call call = { .what = HF_ORIGIN_PURGE, .soft = what->soft };
	char buf[HF_PURGE_TEXT_MAX];
	int len = hf_purge_url(what->url, buf, sizeof(buf), err);
	uint32_t shard;

	if (len < 0)
		return len;
	call.key = (struct hf_key){ buf, (uint32_t)len,
		hf_cache_hash(app->cache, buf, (uint32_t)len) };
	shard = hf_cache_shard_index(app->cache, call.key.hash);
	if (hf_origin_call(app->origin[shard].origin, &call) != 0)
		return hf_err_set(err, -ETIMEDOUT, "origin thread %u does not answer", shard);
	*ret_count = call.count;
	return 0;
}

/* One of the origin threads that are not done; their number if all are. */
static uint32_t purge_unfinished(const struct app *app, uint64_t *ret_count)
{
	uint32_t i = 0;
	uint64_t count;

	*ret_count = 0;
	while (i < app->origins && hf_origin_purge_done(app->origin[i].origin, &count)) {
		*ret_count += count;
		i++;
	}
	return i;
}

/* All threads walk side by side. */
static int purge_walk(
	struct app *app, const struct hf_purge_walk *walk, uint64_t *ret_count, struct hf_err *err)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t end_us = hf_clock_us() + PURGE_WAIT_MS * 1000ULL;
	uint32_t busy = purge_unfinished(app, ret_count);

	if (busy < app->origins)
		return hf_err_set(err, -EBUSY,
			"origin thread %u is still busy with an earlier purge; try again", busy);
	for (uint32_t i = 0; i < app->origins; i++) {
		int failed = hf_origin_purge_begin(app->origin[i].origin, walk);

		HF_ASSERT(failed == 0); /* not busy, and the text was looked at */
	}
	while ((busy = purge_unfinished(app, ret_count)) < app->origins && hf_clock_us() < end_us)
		(void)nanosleep(&pause, NULL);
	if (busy < app->origins)
		return hf_err_set(err, -ETIMEDOUT,
			"origin thread %u is not done within %d s; the purge goes on by itself",
			busy, PURGE_WAIT_MS / 1000);
	return 0;
}

static int purge_many(
	struct app *app, const struct app_purge *what, uint64_t *ret_count, struct hf_err *err)
{
	struct hf_purge_walk walk = { .kind = HF_PURGE_ALL, .soft = what->soft };
	char buf[HF_PURGE_TEXT_MAX];
	int rc = 0;

	if (what->prefix)
		rc = hf_purge_prefix(what->prefix, buf, sizeof(buf), &walk, err);
	else if (what->tag)
		rc = hf_purge_tag(what->tag, &walk, err);
	return rc ? rc : purge_walk(app, &walk, ret_count, err);
}

int app_purge_unlink(
	struct app *app, const struct app_purge *what, uint64_t *ret_count, struct hf_err *err)
{
	struct timespec until;
	int rc;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PURGE_TURN_S;
	if (pthread_mutex_clocklock(&purge_lock, CLOCK_MONOTONIC, &until) != 0)
		return hf_err_set(err, -EBUSY, "other purges are under way; try again");
	rc = what->url ? purge_key(app, what, ret_count, err)
		       : purge_many(app, what, ret_count, err);
	(void)pthread_mutex_unlock(&purge_lock);
	return rc;
}

int app_purge(
	struct app *app, const struct app_purge *what, uint64_t *ret_count, struct hf_err *err)
{
	int rc = app_purge_unlink(app, what, ret_count, err);

	if (rc == 0)
		hf_rcu_synchronize(); /* nobody answers with it any more (C6) */
	return rc;
}

int app_purge_of_state(void *arg, const struct hf_state_purge *purge)
{
	const struct app_purge what = {
		.url = purge->url, .prefix = purge->prefix, .tag = purge->tag, .soft = purge->soft
	};
	struct hf_err err = { "" };
	uint64_t count = 0;
	int rc = app_purge(arg, &what, &count, &err);

	HF_ASSERT(rc != -EINVAL); /* the document was checked */
	if (rc != 0)
		hf_log(HF_LOG_ERROR, "purge", "internal_error: purge \"%s\" of the state: %s",
			purge->id, err.text);
	return rc;
}
