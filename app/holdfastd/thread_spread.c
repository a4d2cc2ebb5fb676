/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an operator purges here is purged at every edge that shares the second tier, and the other
 * way round.
 *
 *      control --app_spread_tell--> outbox --> nodes of L2 --> heard --app_purge_unlink--> origin threads
 *      state, configuration -------------------> which nodes
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "app.h"
#include "hf_http.h"
#include "hf_l2_spread.h"
#include "hf_log.h"
#include "hf_wipe.h"

#define SPREAD_TICK_MS    500
#define SPREAD_OUTBOX_MAX 256
#define SPREAD_TRIES      200

/* A purge on its way out. */
struct spread_message {
	struct hf_list link;
	struct app_spread *spread;
	char *text;
	int64_t walk_us;
	bool sent;   /* and nothing is known yet */
	bool failed; /* no node took it: at the next tick again */
};

struct app_spread {
	struct app *app;
	struct hf_l2 *l2;
	struct hf_l2_spread listener;
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	int wake_fd;
	char from[17]; /* this process, in messages */
	pthread_mutex_t lock;
	struct hf_list outbox;      /* under the lock */
	uint32_t count;             /* of it, and what is on its way */
	bool overflown;             /* under the lock; something found no room in it */
	struct hf_state *state;     /* the next one, a reference; under the lock */
	struct hf_l2_limits limits; /* under the lock */
	bool limits_new;
};

static void spread_wake(struct app_spread *spread)
{
	uint64_t one = 1;

	(void)!write(spread->wake_fd, &one, sizeof(one));
}

static void spread_message_free(struct spread_message *message)
{
	hf_list_del(&message->link);
	free(message->text);
	free(message);
}

/* ---- out ---- */

static int64_t spread_unix_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* NULL: it is no UTF-8. */
static char *spread_text(const struct app_spread *spread, const struct app_purge *what)
{
	json_t *message = json_pack("{s:s, s:b, s:s*, s:s*, s:s*}", "from", spread->from, "soft",
		what->soft, "url", what->url, "prefix", what->prefix, "tag", what->tag);
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	return text;
}

/* Freed by spread_message_free. */
static struct spread_message *spread_message_new(
	struct app_spread *spread, const struct app_purge *what)
{
	struct spread_message *message = calloc(1, sizeof(*message));

	HF_ASSERT(message);
	message->spread = spread;
	message->text = spread_text(spread, what);
	message->walk_us = what->url ? 0 : spread_unix_us();
	hf_list_init(&message->link);
	return message;
}

static void spread_add(struct app_spread *spread, struct spread_message *message)
{
	hf_list_add_tail(&spread->outbox, &message->link);
	spread->count++;
}

/* The same that waits to be told, or that is on its way; NULL: there is none. */
static struct spread_message *spread_same(
	const struct app_spread *spread, const char *text, bool sent)
{
	struct hf_list *it;

	hf_list_for_each (it, &spread->outbox) {
		struct spread_message *message = HF_CONTAINER_OF(it, struct spread_message, link);

		if (message->sent == sent && strcmp(message->text, text) == 0)
			return message;
	}
	return NULL;
}

/* Under the lock. False: there is no room for it. */
static bool spread_put(struct app_spread *spread, struct spread_message *message)
{
	struct spread_message *same;

	if (!message->text || strlen(message->text) > HF_L2_SPREAD_TEXT_MAX)
		return false;
	same = spread_same(spread, message->text, /* sent= */ false);
	if (same) {
		same->walk_us = message->walk_us;
		spread_message_free(message);
		return true;
	}
	if (spread->count >= SPREAD_OUTBOX_MAX)
		return false;
	spread_add(spread, message);
	return true;
}

void app_spread_tell(struct app *app, const struct app_purge *what)
{
	struct app_spread *spread = app->spread;
	struct spread_message *message;
	bool first = false;

	if (what->url && hf_http_query_has_secret((struct hf_span){ what->url, strlen(what->url) }))
		return; /* no credential leaves this node */
	message = spread_message_new(spread, what);
	(void)pthread_mutex_lock(&spread->lock);
	if (!spread_put(spread, message)) {
		spread_message_free(message);
		first = !spread->overflown;
		spread->overflown = true;
	}
	(void)pthread_mutex_unlock(&spread->lock);
	if (first)
		hf_log(HF_LOG_WARN, "l2",
			"internal_error: more purges than other edges can be told one by one");
	spread_wake(spread);
}

static void spread_told(void *arg, bool told)
{
	struct spread_message *message = arg;
	struct app_spread *spread = message->spread;

	(void)pthread_mutex_lock(&spread->lock);
	message->failed = !told;
	if (told) {
		spread->count--;
		spread_message_free(message);
	}
	(void)pthread_mutex_unlock(&spread->lock);
}

/* What found no room is told as if it was everything, when there is room again, and not for one
 * more place only. */
static void spread_lump(struct app_spread *spread)
{
	const struct app_purge all = { .soft = true };

	if (!spread->overflown || spread->count > SPREAD_OUTBOX_MAX / 2)
		return;
	spread->overflown = false;
	spread_add(spread, spread_message_new(spread, &all));
}

/* One that no node has, marked as sent; NULL: there is none. Without L2 nobody is to be told. */
static struct spread_message *spread_next(struct app_spread *spread, bool on)
{
	struct spread_message *next = NULL;
	struct hf_list *it, *after;

	(void)pthread_mutex_lock(&spread->lock);
	spread_lump(spread);
	hf_list_for_each_safe (it, after, &spread->outbox) {
		struct spread_message *message = HF_CONTAINER_OF(it, struct spread_message, link);

		if (message->sent)
			continue;
		/* behind the same: however often it is told, two have a place */
		if (on && spread_same(spread, message->text, /* sent= */ true))
			continue;
		if (on) {
			next = message;
			next->sent = true;
			break;
		}
		spread->count--;
		spread_message_free(message);
	}
	(void)pthread_mutex_unlock(&spread->lock);
	return next;
}

static void spread_send(struct app_spread *spread, uint64_t now_us)
{
	struct spread_message *message;

	while ((message = spread_next(spread, hf_l2_is_on(spread->l2))) != NULL) {
		struct hf_span text = { message->text, strlen(message->text) };

		if (!hf_l2_spread_tell(
			    spread->l2, text, message->walk_us, now_us, spread_told, message))
			message->failed = true;
	}
}

static void spread_again(struct app_spread *spread)
{
	struct hf_list *it;

	(void)pthread_mutex_lock(&spread->lock);
	hf_list_for_each (it, &spread->outbox) {
		struct spread_message *message = HF_CONTAINER_OF(it, struct spread_message, link);

		message->sent &= !message->failed;
		message->failed = false;
	}
	(void)pthread_mutex_unlock(&spread->lock);
}

/* ---- in ---- */

/* Others may be under way. Nobody waits for it: a grace period for each would let a thousand a second through. */
static void spread_purge(struct app_spread *spread, const struct app_purge *what)
{
	static const struct timespec pause = { .tv_nsec = 50000000 };
	struct hf_err err = { "" };
	uint64_t count = 0;
	int rc = -EBUSY;

	for (uint32_t i = 0; rc == -EBUSY && i < SPREAD_TRIES && !atomic_load(&spread->stop); i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		rc = app_purge_unlink(spread->app, what, &count, &err);
	}
	if (rc != 0)
		hf_log(HF_LOG_ERROR, "l2", "client_error: a purge of another edge: %s", err.text);
}

static void spread_heard(void *arg, struct hf_span text)
{
	struct app_spread *spread = arg;
	json_t *message = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	const char *from = json_string_value(json_object_get(message, "from"));
	const struct app_purge what = {
		.url = json_string_value(json_object_get(message, "url")),
		.prefix = json_string_value(json_object_get(message, "prefix")),
		.tag = json_string_value(json_object_get(message, "tag")),
		.soft = json_is_true(json_object_get(message, "soft")),
	};
	int named = !!what.url + !!what.prefix + !!what.tag;

	if (!from || !json_is_boolean(json_object_get(message, "soft")) || named > 1 ||
		named != (int)json_object_size(message) - 2)
		hf_log(HF_LOG_WARN, "l2", "client_error: a message that is no purge");
	else if (strcmp(from, spread->from) != 0)
		spread_purge(spread, &what);
	json_decref(message);
}

/* Whatever it was. */
static void spread_missed(void *arg)
{
	const struct app_purge all = { .soft = true };

	spread_purge(arg, &all);
}

static void spread_walked(void *arg, int64_t at_us)
{
	const struct app *app = ((struct app_spread *)arg)->app;

	for (uint32_t i = 0; i < app->origins; i++)
		hf_origin_l2_before(app->origin[i].origin, at_us);
}

/* ---- the thread ---- */

static void spread_adopt(struct app_spread *spread)
{
	struct hf_l2_limits limits;
	struct hf_state *state;
	bool limits_new;

	(void)pthread_mutex_lock(&spread->lock);
	state = spread->state;
	spread->state = NULL;
	limits = spread->limits;
	limits_new = spread->limits_new;
	spread->limits_new = false;
	(void)pthread_mutex_unlock(&spread->lock);
	if (limits_new)
		hf_l2_limits_set(spread->l2, &limits);
	if (!state)
		return;
	if (state->l2.on)
		hf_l2_spread_begin(spread->l2, &spread->listener, state->l2.name);
	hf_l2_nodes_set(spread->l2, &state->l2, hf_clock_us());
	hf_state_unref(state);
}

static void spread_wait(struct app_spread *spread)
{
	struct pollfd fds[] = { { .fd = hf_l2_fd(spread->l2), .events = POLLIN },
		{ .fd = spread->wake_fd, .events = POLLIN } };
	uint64_t now_us = hf_clock_us(), due_us = hf_l2_due_us(spread->l2), woken;
	uint64_t wait_ms = SPREAD_TICK_MS;

	if (due_us <= now_us || hf_l2_has_work(spread->l2))
		wait_ms = 0;
	else
		wait_ms = hf_min_u64(wait_ms, (due_us - now_us) / 1000 + 1);
	(void)poll(fds, HF_ARRAY_LEN(fds), (int)wait_ms);
	(void)!read(spread->wake_fd, &woken, sizeof(woken));
}

static void *spread_main(void *arg)
{
	struct app_spread *spread = arg;
	uint64_t tick_us = 0;

	(void)pthread_setname_np(pthread_self(), "spread");
	hf_thread_enter(HF_THREAD_SPREAD, "spread");
	while (!atomic_load(&spread->stop)) {
		uint64_t now_us = hf_clock_us();

		spread_adopt(spread);
		if (now_us >= tick_us) {
			hf_l2_spread_run(spread->l2, now_us);
			spread_again(spread);
			tick_us = now_us + SPREAD_TICK_MS * 1000;
		}
		spread_send(spread, now_us);
		if (!hf_l2_run(spread->l2, hf_clock_us()))
			spread_wait(spread);
	}
	return NULL;
}

/* ---- from other threads ---- */

void app_spread_state(struct app *app, struct hf_state *state)
{
	struct app_spread *spread = app->spread;
	struct hf_state *before;

	hf_state_ref(state);
	(void)pthread_mutex_lock(&spread->lock);
	before = spread->state;
	spread->state = state;
	(void)pthread_mutex_unlock(&spread->lock);
	if (before)
		hf_state_unref(before);
	spread_wake(spread);
}

void app_spread_invalidated(void *arg, struct hf_span key)
{
	char *url = strndup(key.ptr, key.len);

	HF_ASSERT(url);
	app_spread_tell(arg, &(struct app_purge){ .url = url });
	hf_wipe_free(url);
}

void app_spread_conf(struct app *app, const struct hf_conf *conf)
{
	struct app_spread *spread = app->spread;

	(void)pthread_mutex_lock(&spread->lock);
	spread->limits = hf_origin_l2_limits(conf);
	spread->limits.ca_file = app->conf_boot->l2.ca_file; /* which a reload leaves as it is */
	spread->limits_new = true;
	(void)pthread_mutex_unlock(&spread->lock);
	spread_wake(spread);
}

int app_spread_boot(struct app *app, struct hf_err *err)
{
	struct app_spread *spread = calloc(1, sizeof(*spread));
	const struct hf_l2_limits limits = hf_origin_l2_limits(app->conf);
	uint64_t from;
	int rc;

	HF_ASSERT(spread);
	spread->app = app;
	spread->listener = (struct hf_l2_spread){ .heard = spread_heard,
		.missed = spread_missed,
		.walked = spread_walked,
		.arg = spread };
	hf_list_init(&spread->outbox);
	(void)pthread_mutex_init(&spread->lock, NULL);
	hf_random_fill(&from, sizeof(from));
	(void)snprintf(spread->from, sizeof(spread->from), "%016" PRIx64, from);
	spread->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rc = spread->wake_fd < 0 ? -errno : hf_l2_new(&limits, err, &spread->l2);
	if (rc) {
		if (spread->wake_fd >= 0)
			(void)close(spread->wake_fd);
		free(spread);
		return hf_err_set(err, rc, "L2: no descriptor, or no memory");
	}
	app->spread = spread;
	return 0;
}

int app_spread_start(struct app *app, struct hf_err *err)
{
	int rc = pthread_create(&app->spread->thread, NULL, spread_main, app->spread);

	app->spread->running = rc == 0;
	return rc ? hf_err_set(err, -rc, "no thread to be had") : 0;
}

void app_spread_stop(struct app *app)
{
	struct app_spread *spread = app->spread;

	atomic_store(&spread->stop, true);
	spread_wake(spread);
	if (spread->running)
		HF_ASSERT(pthread_join(spread->thread, NULL) == 0);
	spread->running = false;
}

void app_spread_undo(struct app *app)
{
	struct app_spread *spread = app->spread;
	struct hf_list *it;

	hf_l2_free(spread->l2);
	while ((it = hf_list_first(&spread->outbox)) != NULL)
		spread_message_free(HF_CONTAINER_OF(it, struct spread_message, link));
	if (spread->state)
		hf_state_unref(spread->state);
	(void)pthread_mutex_destroy(&spread->lock);
	(void)close(spread->wake_fd);
	free(spread);
}
