/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Two edges' threads over a real server: what one is told to spread, the other carries out. Purges themselves are
 * the test's.
 */
#include <errno.h>

#include <criterion/criterion.h>

#include "app.h"
#include "hf_l2_spread.h"
#include "hf_stat.h"

#include "rig_redis.h"

#define SEEN_MAX 2048

struct edge {
	struct app app;
	struct app_origin origin;
	pthread_mutex_t lock;
	char seen[SEEN_MAX][96]; /* "soft url http://..." */
	uint32_t count;
	uint32_t busy; /* so many purges are refused first */
	_Atomic int64_t walked_us;
};

static struct rig_redis redis;
static struct edge one, other;
static struct hf_conf conf; /* hf_origin_l2_limits goes by it */

/* ---- what the thread calls ---- */

int app_purge_unlink(
	struct app *app, const struct app_purge *what, uint64_t *ret_count, struct hf_err *err)
{
	struct edge *edge = HF_CONTAINER_OF(app, struct edge, app);
	const char *text = what->url ? what->url : what->prefix ? what->prefix : what->tag;
	int rc = 0;

	(void)pthread_mutex_lock(&edge->lock);
	cr_assert_lt(edge->count, SEEN_MAX);
	if (edge->busy > 0) {
		edge->busy--;
		rc = hf_err_set(err, -EBUSY, "busy");
	} else {
		(void)snprintf(edge->seen[edge->count++], sizeof(edge->seen[0]), "%s %s %s",
			what->soft ? "soft" : "hard",
			what->url      ? "url"
			: what->prefix ? "prefix"
			: what->tag    ? "tag"
				       : "all",
			text ? text : "");
	}
	(void)pthread_mutex_unlock(&edge->lock);
	*ret_count = 0;
	return rc;
}

void hf_origin_l2_before(struct hf_origin *origin, int64_t at_us)
{
	atomic_store(&((struct edge *)(void *)origin)->walked_us, at_us);
}

struct hf_l2_limits hf_origin_l2_limits(const struct hf_conf *of)
{
	return (struct hf_l2_limits){ .connect_ms = 10000,
		.read_ms = of->l2.read_timeout_ms,
		.write_ms = of->l2.read_timeout_ms,
		.keepalive_ms = 15000,
		.lifetime_ms = 300000,
		.connections = 1,
		.ca_file = "" };
}

/* ---- the edges ---- */

#define until(condition) rig_turn_until(poll(NULL, 0, 2), condition)

/* How often it carried that out. */
static uint32_t seen(struct edge *edge, const char *text)
{
	uint32_t count = 0;

	(void)pthread_mutex_lock(&edge->lock);
	for (uint32_t i = 0; i < edge->count; i++)
		count += strcmp(edge->seen[i], text) == 0;
	(void)pthread_mutex_unlock(&edge->lock);
	return count;
}

static void edge_state(struct edge *edge, const char *l2)
{
	struct hf_state *state = NULL;
	char text[1024];

	(void)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"1\",\"issued_at\":\"2026-01-01T00:00:00Z\","
		"\"origins\":[{"
		"\"group\":\"g\",\"id\":\"o\",\"url\":\"http://"
		"127.0.0.1:1\"}],\"routes\":[{\"id\":\"r\","
		"\"host\":\"*\",\"path\":\"/\",\"group\":\"g\"}]%s}",
		l2);
	cr_assert_eq(hf_state_parse(text, strlen(text), stderr, &state), 0);
	app_spread_state(&edge->app, state);
	hf_state_unref(state);
}

static void edge_on(struct edge *edge)
{
	char l2[128];

	(void)snprintf(l2, sizeof(l2),
		",\"l2\":{\"nodes\":[{\"id\":\"n\",\"url\":\"redis://127.0.0.1:%u\"}]}",
		redis.port);
	edge_state(edge, l2);
}

static void edge_begin(struct edge *edge)
{
	struct hf_err err = { "" };

	(void)pthread_mutex_init(&edge->lock, NULL);
	edge->origin.origin = (struct hf_origin *)(void *)edge;
	edge->app.origin = &edge->origin;
	edge->app.origins = 1;
	edge->app.conf = edge->app.conf_boot = &conf;
	atomic_store(&edge->walked_us, -1);
	cr_assert_eq(app_spread_boot(&edge->app, &err), 0, "%s", err.text);
	cr_assert_eq(app_spread_start(&edge->app, &err), 0, "%s", err.text);
	edge_on(edge);
	until(atomic_load(&edge->walked_us) >= 0); /* it listens */
}

static void edge_end(struct edge *edge)
{
	app_spread_stop(&edge->app);
	app_spread_undo(&edge->app);
}

static void begin(void)
{
	static char none[] = "";

	(void)hf_stat_register("test");
	conf.l2.ca_file = none;
	conf.l2.read_timeout_ms = 10000;
	rig_redis_begin(&redis, "");
	edge_begin(&one);
	edge_begin(&other);
}

static void end(void)
{
	edge_end(&one);
	edge_end(&other);
	rig_redis_end(&redis);
}

static void tell_url(const char *url)
{
	app_spread_tell(&one.app, &(struct app_purge){ .url = url });
}

/* The server hangs, and the first edge finds that soon. */
static void server_stop(void)
{
	int status;

	conf.l2.read_timeout_ms = 30;
	app_spread_conf(&one.app, &conf);
	tell_url("http://a.test/by-these-limits");
	until(seen(&other, "hard url http://a.test/by-these-limits") > 0);
	cr_assert_eq(kill(redis.pid, SIGSTOP), 0);
	cr_assert_eq(waitpid(redis.pid, &status, WUNTRACED), redis.pid);
}

static bool server_says(const char *command, const char *text)
{
	char reply[128];

	rig_redis_ask(&redis, command, reply, sizeof(reply));
	return strstr(reply, text) != NULL;
}

/* All that was told before is there. */
static void told_all(const char *last)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "hard url %s", last);
	tell_url(last);
	until(seen(&other, text) > 0);
}

TestSuite(app_spread, .init = begin, .fini = end);

Test(app_spread, what_is_purged_at_one_edge_is_purged_at_the_other_and_not_again_at_the_first)
{
	static const struct app_purge what[] = {
		{ .url = "http://a.test/\"\\\xc3\xa4" },
		{ .url = "http://a.test/", .soft = true },
		{ .prefix = "/p" },
		{ .tag = "one two", .soft = true },
		{ .soft = true },
		{ .soft = false },
	};
	static const char *const done[] = { "hard url http://a.test/\"\\\xc3\xa4",
		"soft url http://a.test/", "hard prefix /p", "soft tag one two", "soft all ",
		"hard all " };

	for (size_t i = 0; i < HF_ARRAY_LEN(what); i++)
		app_spread_tell(&one.app, &what[i]);
	told_all("http://a.test/last");
	for (size_t i = 0; i < HF_ARRAY_LEN(done); i++) {
		cr_expect_eq(seen(&other, done[i]), 1, "%s", done[i]);
		cr_expect_str_eq(other.seen[i], done[i], "in their order");
	}
	tell_url("http://a.test/more");
	app_spread_invalidated(&other.app, HF_SPAN("http://b.test/unsafe"));
	until(seen(&one, "hard url http://b.test/unsafe") == 1);
	cr_expect_eq(one.count, 1);
}

Test(app_spread, no_credential_leaves_this_edge)
{
	tell_url("http://a.test/a?access_token=s3cret");
	told_all("http://a.test/last");
	cr_expect_eq(other.count, 1);
}

Test(app_spread, a_purge_waits_for_others_that_are_under_way)
{
	other.busy = 3;
	told_all("http://a.test/a");
	cr_expect_eq(other.busy, 0);
}

Test(app_spread, what_is_no_purge_is_left)
{
	static const char *const bad[] = { "", "x", "[]", "{}", "{\\\"soft\\\":true}",
		"{\\\"from\\\":\\\"a\\\"}", "{\\\"from\\\":\\\"a\\\",\\\"soft\\\":1}",
		"{\\\"from\\\":\\\"a\\\",\\\"soft\\\":true,\\\"url\\\":1}",
		"{\\\"from\\\":\\\"a\\\",\\\"soft\\\":true,\\\"site\\\":\\\"x\\\"}",
		"{\\\"from\\\":\\\"a\\\",\\\"soft\\\":true,\\\"url\\\":\\\"x\\\",\\\"a\\\":1}",
		("{\\\"from\\\":\\\"a\\\",\\\"soft\\\":true,\\\"tag\\\":\\\"\\\",\\\"url\\\":"
		 "\\\"\\\"}"),
		"{\\\"from\\\":\\\"a\\\",\\\"from\\\":\\\"b\\\",\\\"soft\\\":true}",
		"{\\\"from\\\":\\\"a\\\",\\\"soft\\\":true} x" };
	char text[512];

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text),
			"EVAL \"return "
			"redis.call('PUBLISH',KEYS[1],redis.call('HINCRBY',KEYS[1],'n',1)..' "
			"'..ARGV[1])\" 1 holdfast:1:purges \"%s\"\r\n",
			bad[i]);
		rig_redis_do(&redis, text);
	}
	told_all("http://a.test/last");
	cr_expect_eq(other.count, 1, "%s", other.seen[0]);
}

Test(app_spread, a_gap_makes_all_stale)
{
	rig_redis_do(&redis, "HINCRBY holdfast:1:purges n 3\r\n");
	told_all("http://a.test/a");
	until(seen(&other, "soft all ") == 1);
	until(seen(&one, "soft all ") == 1); /* it does not know what it was, either */
}

Test(app_spread, a_purge_of_many_counts_for_edges_that_come_later)
{
	edge_end(&other);
	app_spread_tell(&one.app, &(struct app_purge){ .tag = "t" });
	until(server_says("HGET holdfast:1:purges walked\r\n", "$16\r\n"));
	memset(&other, 0, sizeof(other));
	edge_begin(&other);
	cr_expect_gt(atomic_load(&other.walked_us), 1600000000000000);
}

Test(app_spread, what_nobody_has_is_told_when_the_server_is_back)
{
	server_stop();
	tell_url("http://a.test/a");
	tell_url("http://a.test/b");
	(void)poll(NULL, 0, 100); /* it has failed once, most times */
	(void)kill(redis.pid, SIGCONT);
	until(seen(&other, "hard url http://a.test/a") > 0 &&
		seen(&other, "hard url http://a.test/b") > 0);
	cr_expect_eq(seen(&other, "soft all "), 0);
}

Test(app_spread, what_finds_no_room_makes_all_stale)
{
	char url[64];

	server_stop();
	for (uint32_t i = 0; i < 1000; i++) {
		(void)snprintf(url, sizeof(url), "http://a.test/%u", i);
		tell_url(url);
	}
	(void)kill(redis.pid, SIGCONT);
	for (uint32_t i = 0; i < 256; i++) {
		(void)snprintf(url, sizeof(url), "hard url http://a.test/%u", i);
		until(seen(&other, url) > 0);
	}
	until(seen(&other, "soft all ") > 0);
	cr_expect_eq(seen(&one, "soft all "), 0);
}

Test(app_spread, a_purge_that_is_too_long_to_be_told_makes_all_stale)
{
	size_t len = HF_L2_SPREAD_TEXT_MAX;
	char *url = malloc(len + 1);

	memset(url, 'a', len);
	memcpy(url, "http://a.test/", 14);
	url[len] = '\0';
	tell_url(url);
	until(seen(&other, "soft all ") == 1);
	cr_expect_eq(other.count, 1);
	free(url);
}

Test(app_spread, the_same_waits_once)
{
	server_stop();
	for (uint32_t i = 0; i < 1000; i++)
		tell_url("http://a.test/a");
	(void)kill(redis.pid, SIGCONT);
	told_all("http://a.test/last");
	cr_expect_eq(seen(&other, "soft all "), 0);
}

Test(app_spread, without_l2_nobody_is_told)
{
	edge_state(&one, "");
	until(server_says("PUBSUB NUMSUB holdfast:1:purges\r\n", ":1\r\n"));
	tell_url("http://a.test/a");
	edge_on(&one);
	until(server_says("PUBSUB NUMSUB holdfast:1:purges\r\n", ":2\r\n"));
	told_all("http://a.test/last");
	cr_expect_eq(other.count, 1);
}
