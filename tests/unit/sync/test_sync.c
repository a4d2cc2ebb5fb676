/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hf_hist.h"
#include "hf_sync.h"
#include "sync_peer.h"
#include "sync_priv.h"

static struct {
	struct hf_conf conf;
	struct hf_sync *sync;
	struct hf_registry *registry;
	struct peer *peer;
	_Atomic uint32_t mode;
	char dir[64], file[128], bootstrap[128], url[64];
	char in_force[64]; /* version that was applied last */
	uint32_t applied;
	char purged[256]; /* ids of purges that were carried out, a blank behind each */
	bool purges_fail;
	_Atomic uint32_t purges;
	uint32_t origins; /* in force */
} t;

static void apply(void *arg, struct hf_state *state)
{
	(void)arg;
	(void)snprintf(t.in_force, sizeof(t.in_force), "%s", state->version);
	t.applied++;
	t.origins = 0;
	for (uint32_t i = 0; i < state->group_count; i++)
		t.origins += state->group[i].origin_count;
}

static int purge(void *arg, const struct hf_state_purge *what)
{
	size_t len = strlen(t.purged);

	(void)arg;
	if (t.purges_fail)
		return -EBUSY;
	(void)snprintf(t.purged + len, sizeof(t.purged) - len, "%s ", what->id);
	t.purges++;
	return 0;
}

static void setup(void)
{
	(void)hf_stat_register("test");
	(void)snprintf(t.dir, sizeof(t.dir), "%s", "/tmp/hf_sync.XXXXXX");
	cr_assert_not_null(mkdtemp(t.dir));
	(void)snprintf(t.file, sizeof(t.file), "%s/state.json", t.dir);
	(void)snprintf(t.bootstrap, sizeof(t.bootstrap), "%s/bootstrap.json", t.dir);
	t.peer = peer_new();
	(void)snprintf(t.url, sizeof(t.url), "http://127.0.0.1:%u/base", peer_port(t.peer));
	t.conf.node = (char *)(uintptr_t) "edge-1";
	t.conf.bootstrap_state = (char *)(uintptr_t) "";
	t.conf.control_plane.url = t.url;
	t.conf.control_plane.state_file = t.file;
	t.conf.control_plane.interval_ms = 20;
	t.conf.control_plane.timeout_ms = 10000;
	t.conf.control_plane.failures = 3;
	t.conf.control_plane.successes = 2;
	t.conf.control_plane.state_max_age_ms = 30000;
}

static void open_sync(void)
{
	struct hf_sync_cfg cfg = { .conf = &t.conf,
		.apply = apply,
		.purge = purge,
		.mode = &t.mode,
		.registry = t.registry };
	struct hf_err err = { "" };

	cr_assert_eq(hf_sync_new(&cfg, &err, &t.sync), 0, "%s", err.text);
}

static void teardown(void)
{
	char path[160];

	hf_sync_free(t.sync);
	peer_free(t.peer);
	(void)unlink(t.file);
	(void)unlink(t.bootstrap);
	(void)snprintf(path, sizeof(path), "%s.corrupt", t.file);
	(void)unlink(path);
	cr_expect_eq(rmdir(t.dir), 0, "something is left in %s", t.dir);
}

TestSuite(sync, .init = setup, .fini = teardown);

/* With purges of everything, by their ids: "a b". */
static const char *document_with(const char *version, const char *purges)
{
	static char text[1024];
	size_t len = (size_t)snprintf(text, sizeof(text),
		"{\"schema\":1,\"version\":\"%s\",\"origins\":[{\"group\":\"g\",\"id\":\"o\","
		"\"url\":\"http://127.0.0.1:1\"}],\"routes\":[{\"id\":\"r\",\"host\":\"*\","
		"\"path\":\"/\",\"group\":\"g\"}],\"purges\":[",
		version);

	for (const char *at = purges, *comma = ""; *at; at += *at == ' ', comma = ",") {
		int id = (int)strcspn(at, " ");

		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%s{\"id\":\"%.*s\",\"all\":true}", comma, id, at);
		at += id;
	}
	(void)snprintf(text + len, sizeof(text) - len, "]}");
	return text;
}

static const char *document(const char *version)
{
	return document_with(version, "");
}

static void say(const char *status, const char *fields, const char *body)
{
	char answer[4096];

	(void)snprintf(answer, sizeof(answer), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s",
		status, fields, strlen(body), body);
	peer_says(t.peer, answer);
}

static void say_state_with(const char *version, const char *purges)
{
	char fields[128];

	(void)snprintf(fields, sizeof(fields), "ETag: \"%s\"\r\n", version);
	say("200 OK", fields, document_with(version, purges));
	say("204 No Content", "", ""); /* to the acknowledgement */
}

static void say_state(const char *version)
{
	say_state_with(version, "");
}

static void say_times(const char *status, int times)
{
	for (; times > 0; times--)
		say(status, "", "");
}

static void ask(int times)
{
	for (; times > 0; times--) {
		sync_ask(t.sync);
		sync_settle(t.sync, UINT64_MAX);
	}
}

static struct hf_sync_info info(void)
{
	struct hf_sync_info i;

	hf_sync_info(t.sync, &i);
	return i;
}

static void *run(void *arg)
{
	hf_sync_run(arg);
	return NULL;
}

static void expect_asked(uint32_t i, const char *begins, const char *contains)
{
	const char *asked = peer_asked(t.peer, i);

	cr_assert_not_null(asked, "request %u", i);
	cr_expect(strncmp(asked, begins, strlen(begins)) == 0, "request %u: %s", i, asked);
	cr_expect(strstr(asked, contains), "request %u without %s: %s", i, contains, asked);
}

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");

	cr_assert_not_null(out);
	(void)fputs(text, out);
	(void)fclose(out);
}

Test(sync, a_new_state_is_applied_kept_and_acknowledged)
{
	open_sync();
	say_state("v1");
	ask(1);
	cr_expect_str_eq(t.in_force, "v1");
	expect_asked(0, "GET /base/v1/nodes/edge-1/state HTTP/1.1\r\n", "\r\n");
	cr_expect_null(strstr(peer_asked(t.peer, 0), "If-None-Match"));
	expect_asked(1, "POST /base/v1/nodes/edge-1/ack HTTP/1.1\r\n",
		"{\"version\":\"v1\",\"status\":\"applied\",\"errors\":[]}");
	cr_expect_eq(access(t.file, F_OK), 0);
	cr_expect_str_eq(info().last, "new state");
	cr_expect_geq(info().good_age_ms, 0);
}

Test(sync, what_is_unchanged_is_asked_for_by_its_etag_and_not_applied_again)
{
	open_sync();
	say_state("v1");
	say("304 Not Modified", "", "");
	say("200 OK", "", document("v1"));
	ask(3);
	expect_asked(2, "GET ", "If-None-Match: \"v1\"\r\n");
	cr_expect_eq(t.applied, 1);
	cr_expect_str_eq(info().last, "unchanged");
	cr_expect_eq(peer_asked_count(t.peer), 4, "no second acknowledgement");
}

Test(sync, without_an_etag_the_version_is_one)
{
	open_sync();
	say("200 OK", "", document("v7"));
	say("204 No Content", "", "");
	ask(2);
	expect_asked(2, "GET ", "If-None-Match: \"v7\"\r\n");
}

Test(sync, Y1_a_bad_document_changes_nothing_and_every_reason_is_told)
{
	open_sync();
	say_state("v1");
	say("200 OK", "ETag: \"v2\"\r\n",
		"{\"schema\":2,\"version\":\"v2\",\"origins\":[],\"routes\":7}");
	say("204 No Content", "", "");
	say("304 Not Modified", "", "");
	ask(3);
	cr_expect_eq(t.applied, 1);
	cr_expect_str_eq(t.in_force, "v1");
	expect_asked(3, "POST ",
		"{\"version\":\"v2\",\"status\":\"rejected\",\"errors\":["
		"\"$.schema: found 2; allowed: 1\",\"$.routes: found 7; allowed: an array\"]}");
	expect_asked(4, "GET ", "If-None-Match: \"v2\"\r\n");
	cr_expect_str_eq(info().last, "refused", "304 says that the bad one is still the one");
	cr_expect_eq(peer_asked_count(t.peer), 5);
}

Test(sync, an_acknowledgement_that_is_not_taken_is_sent_again)
{
	open_sync();
	say("200 OK", "ETag: \"v1\"\r\n", document("v1"));
	say("503 Busy", "", "");
	say("304 Not Modified", "", "");
	say("200 OK", "", "");
	say("304 Not Modified", "", "");
	ask(3);
	expect_asked(3, "POST ", "\"applied\"");
	cr_expect_eq(peer_asked_count(t.peer), 5);
	cr_expect_eq(hf_stat_sum(HF_STAT_SYNC_ACKS_FAILED), 1);
}

Test(sync, failures_in_a_row_begin_fallback_and_successes_end_it)
{
	struct hf_hist_view answered;

	open_sync();
	say_times("500 Oops", 2);
	ask(2);
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, 0);
	say_times("503 Oops", 2);
	ask(1);
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, HF_MODE_FALLBACK);
	cr_expect_eq(hf_stat_sum(HF_STAT_FALLBACK_ACTIVATIONS), 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_FALLBACK_TRIGGERED), 1);
	ask(1);
	say_state("v1");
	ask(1);
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, HF_MODE_FALLBACK);
	say("304 Not Modified", "", "");
	ask(1);
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_FALLBACK_TRIGGERED), 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_SYNC_FAILED_5XX), 4);
	cr_expect_eq(hf_stat_sum(HF_STAT_SYNC_POLLS), 6);
	hf_hist_sum(HF_HIST_SYNC, &answered);
	cr_expect_eq(answered.count, 6);
}

Test(sync, bad_documents_and_refusals_begin_no_fallback)
{
	open_sync();
	for (int i = 0; i < 4; i++) {
		say("200 OK", "", "no JSON");
		say("204 No Content", "", "");
		say("404 Not Found", "", "");
		ask(2);
	}
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, 0);
	cr_expect_str_eq(info().fallback, "normal");
}

Test(sync, each_kind_of_failure_is_counted)
{
	open_sync();
	peer_says(t.peer, PEER_CLOSE);
	peer_says(t.peer, "garbage\r\n\r\n");
	peer_says(t.peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
	peer_says(t.peer, PEER_HANG);
	ask(2);
	t.conf.control_plane.timeout_ms = 50;
	ask(2);
	cr_expect_eq(hf_stat_sum(HF_STAT_SYNC_FAILED_RESET), 2);
	cr_expect_eq(hf_stat_sum(HF_STAT_SYNC_FAILED_TIMEOUT), 2, "a body that stops, no answer");
	(void)snprintf(t.url, sizeof(t.url), "%s", "http://127.0.0.1:1");
	ask(1);
	cr_expect_eq(hf_stat_sum(HF_STAT_SYNC_FAILED_REFUSED), 1);
	(void)snprintf(t.url, sizeof(t.url), "%s", "http://no-such-host.invalid");
	t.conf.control_plane.timeout_ms = 10000;
	ask(1);
	cr_expect_eq(hf_stat_sum(HF_STAT_SYNC_FAILED_DNS), 1);
	(void)snprintf(t.url, sizeof(t.url), "https://127.0.0.1:%u", peer_port(t.peer));
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, HF_MODE_FALLBACK);
}

Test(sync, a_document_that_is_too_large_is_refused)
{
	char fields[64];
	char *big = malloc(SYNC_DOCUMENT_MAX + 200);
	size_t head;

	open_sync();
	(void)snprintf(
		fields, sizeof(fields), "Content-Length: %lu\r\n\r\n", SYNC_DOCUMENT_MAX + 1);
	head = (size_t)sprintf(big, "HTTP/1.1 200 OK\r\n%s", fields);
	memset(big + head, ' ', SYNC_DOCUMENT_MAX + 1);
	big[head + SYNC_DOCUMENT_MAX + 1] = '\0';
	peer_says(t.peer, big);
	free(big);
	ask(1);
	expect_asked(1, "POST ", "allowed: at most 8388608 bytes");
	cr_expect_eq(hf_stat_sum(HF_STAT_STATE_REJECTED), 1);
}

Test(sync, the_last_five_are_kept_and_can_be_returned_to)
{
	static const char *const versions[] = { "v1", "v2", "v3", "v4", "v5", "v6" };
	struct hf_err err = { "" };
	char *text;

	open_sync();
	for (size_t i = 0; i < HF_ARRAY_LEN(versions); i++)
		say_state(versions[i]);
	ask(6);
	cr_expect_eq(info().version_count, 5);
	cr_expect_str_eq(info().version[0].version, "v6");
	cr_expect_str_eq(info().version[4].version, "v2");
	cr_expect_eq(info().version[0].current, true);
	cr_expect_eq(hf_sync_rollback(t.sync, "v1", &err), -ENOENT);
	cr_expect_str_eq(err.text, "version \"v1\" is not among the last 5");
	cr_expect_eq(hf_sync_rollback(t.sync, "v4", &err), 0);
	cr_expect_str_eq(t.in_force, "v4");
	cr_expect_eq(info().version[2].current, true);
	text = hf_sync_document(t.sync);
	cr_expect_not_null(strstr(text, "\"v4\""));
	free(text);
}

Test(sync, Y3_what_was_rolled_back_stays_away_until_there_is_something_new)
{
	struct hf_err err;

	open_sync();
	say_state("v1");
	say_state("v2");
	ask(2);
	cr_expect_eq(hf_sync_rollback(t.sync, "v1", &err), 0);
	say("304 Not Modified", "", "");
	say("200 OK", "ETag: \"v2\"\r\n", document("v2"));
	ask(2);
	cr_expect_str_eq(t.in_force, "v1");
	say_state("v3");
	ask(1);
	cr_expect_str_eq(t.in_force, "v3");
}

Test(sync, boot_asks_the_control_plane_first)
{
	open_sync();
	write_file(t.bootstrap, document("boot"));
	t.conf.bootstrap_state = t.bootstrap;
	say_state("v1");
	hf_sync_boot(t.sync);
	cr_expect_str_eq(t.in_force, "v1");
	cr_expect_eq(t.mode, 0);
}

Test(sync, when_it_is_silent_the_file_then_the_bootstrap_state)
{
	open_sync();
	say_state("v1");
	ask(1);
	hf_sync_free(t.sync);
	t.in_force[0] = '\0';
	(void)snprintf(t.url, sizeof(t.url), "%s", "http://127.0.0.1:1");
	write_file(t.bootstrap, document("boot"));
	t.conf.bootstrap_state = t.bootstrap;
	open_sync();
	hf_sync_boot(t.sync);
	cr_expect_str_eq(t.in_force, "v1");
	cr_expect_str_eq(info().version[0].source, "the state file");
	cr_expect_eq(t.mode, HF_MODE_EXPIRED, "nobody knows how old it is");
	hf_sync_free(t.sync);
	write_file(t.file, "damaged");
	open_sync();
	hf_sync_boot(t.sync);
	cr_expect_str_eq(t.in_force, "boot");
	cr_expect_eq(hf_stat_sum(HF_STAT_STATE_FILE_ERRORS), 1);
}

Test(sync, with_the_state_of_the_file_an_unchanged_one_is_good)
{
	open_sync();
	say_state("v1");
	ask(1);
	hf_sync_free(t.sync);
	open_sync();
	peer_says(t.peer, PEER_CLOSE);
	say("304 Not Modified", "", "");
	hf_sync_boot(t.sync);
	cr_expect_str_eq(info().version[0].source, "the state file");
	ask(1);
	expect_asked(3, "GET ", "If-None-Match: \"v1\"\r\n");
	cr_expect_eq(t.mode & HF_MODE_EXPIRED, 0);
}

Test(sync, without_a_control_plane_the_bootstrap_state_never_expires)
{
	t.conf.control_plane.url = (char *)(uintptr_t) "";
	write_file(t.bootstrap, document("boot"));
	t.conf.bootstrap_state = t.bootstrap;
	open_sync();
	hf_sync_boot(t.sync);
	cr_expect_str_eq(t.in_force, "boot");
	cr_expect_eq(t.mode, 0);
	cr_expect_neq(access(t.file, F_OK), 0, "nothing to keep");
	cr_expect_eq(peer_asked_count(t.peer), 0);
}

Test(sync, the_operator_holds_fallback)
{
	open_sync();
	hf_sync_hold(t.sync, HF_FALLBACK_ON);
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, HF_MODE_FALLBACK);
	say_state("v1");
	say("304 Not Modified", "", "");
	ask(2);
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, HF_MODE_FALLBACK);
	hf_sync_hold(t.sync, HF_FALLBACK_OFF);
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, 0);
	say_times("500 Oops", 4);
	ask(3);
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, 0);
	hf_sync_hold(t.sync, HF_FALLBACK_AUTO);
	cr_expect_str_eq(info().fallback, "normal");
	hf_sync_hold(t.sync, HF_FALLBACK_ON);
	hf_sync_hold(t.sync, HF_FALLBACK_AUTO);
	cr_expect_str_eq(info().fallback, "fallback", "until the control plane answers");
}

Test(sync, without_a_control_plane_the_operator_alone_ends_fallback)
{
	t.conf.control_plane.url = (char *)(uintptr_t) "";
	open_sync();
	hf_sync_hold(t.sync, HF_FALLBACK_ON);
	hf_sync_hold(t.sync, HF_FALLBACK_AUTO);
	cr_expect_str_eq(info().fallback, "normal");
	cr_expect_eq(t.mode & HF_MODE_FALLBACK, 0);
}

Test(sync, Y4_a_purge_is_carried_out_once_by_its_id)
{
	struct hf_err err;

	open_sync();
	say_state_with("v1", "a b");
	say_state_with("v2", "b c");
	say_state("v3");
	say_state_with("v4", "c a d");
	ask(4);
	cr_expect_str_eq(t.purged, "a b c d ");
	cr_expect_eq(hf_sync_rollback(t.sync, "v1", &err), 0);
	sync_settle(t.sync, UINT64_MAX);
	cr_expect_str_eq(t.purged, "a b c d ");
	cr_expect_eq(hf_stat_sum(HF_STAT_STATE_PURGES), 4);
}

Test(sync, between_two_of_many_purges_the_control_plane_is_asked)
{
	open_sync();
	say_state_with("v1", "a b c");
	sync_ask(t.sync);
	sync_settle(t.sync, 0);
	cr_expect_str_eq(t.purged, "a ");
	sync_settle(t.sync, 0);
	cr_expect_eq(peer_asked_count(t.peer), 1, "not acknowledged yet");
	sync_settle(t.sync, 0);
	cr_expect_str_eq(t.purged, "a b c ");
	expect_asked(1, "POST ", "\"applied\"");
}

Test(sync, no_document_leaves_the_history_before_its_purges_are_carried_out)
{
	static const char *const versions[] = { "v1", "v2", "v3", "v4", "v5" };

	open_sync();
	for (size_t i = 0; i < HF_ARRAY_LEN(versions); i++) {
		char fields[32];

		(void)snprintf(fields, sizeof(fields), "ETag: \"%s\"\r\n", versions[i]);
		say("200 OK", fields, document_with(versions[i], i == 0 ? "a b c d e f g" : ""));
		sync_ask(t.sync);
		sync_settle(t.sync, 0);
	}
	cr_expect_str_eq(t.purged, "a b c d e f g ");
}

Test(sync, Y4_it_is_acknowledged_behind_its_purges)
{
	open_sync();
	t.purges_fail = true;
	say("200 OK", "ETag: \"v1\"\r\n", document_with("v1", "a"));
	say("200 OK", "ETag: \"v2\"\r\n", document_with("v2", "b"));
	ask(2);
	cr_expect_str_eq(t.in_force, "v2", "its routes need not wait");
	cr_expect_eq(peer_asked_count(t.peer), 2);
	t.purges_fail = false;
	say("304 Not Modified", "", "");
	ask(1);
	cr_expect_str_eq(t.purged, "a b ", "those of an earlier document too");
	expect_asked(3, "POST ", "{\"version\":\"v2\",\"status\":\"applied\"");
}

Test(sync, Y4_an_expired_state_stays_so_until_its_purges_are_carried_out)
{
	write_file(t.bootstrap, document("boot"));
	t.conf.bootstrap_state = t.bootstrap;
	open_sync();
	peer_says(t.peer, PEER_CLOSE);
	hf_sync_boot(t.sync);
	cr_assert_eq(t.mode & HF_MODE_EXPIRED, HF_MODE_EXPIRED);
	t.purges_fail = true;
	say("200 OK", "ETag: \"v1\"\r\n", document_with("v1", "a"));
	say("304 Not Modified", "", "");
	ask(2);
	cr_expect_eq(t.mode & HF_MODE_EXPIRED, HF_MODE_EXPIRED);
	t.purges_fail = false;
	say("304 Not Modified", "", "");
	ask(1);
	say("304 Not Modified", "", "");
	ask(1);
	cr_expect_eq(t.mode & HF_MODE_EXPIRED, 0);
}

Test(sync, Y4_after_a_start_all_of_them_are_carried_out_by_the_thread)
{
	pthread_t thread;

	t.conf.control_plane.url = (char *)(uintptr_t) "";
	write_file(t.bootstrap, document_with("boot", "a b"));
	t.conf.bootstrap_state = t.bootstrap;
	open_sync();
	hf_sync_boot(t.sync);
	cr_expect_str_empty(t.purged, "origin threads do not run yet");
	cr_assert_eq(pthread_create(&thread, NULL, run, t.sync), 0);
	while (t.purges < 2)
		(void)usleep(1000);
	hf_sync_stop(t.sync);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_expect_str_eq(t.purged, "a b ");
}

static int origin_change(enum hf_state_change change, const char *origin)
{
	FILE *errors = fopen("/dev/null", "we");
	int rc = hf_sync_origin_change(t.sync, change, "g", origin, errors);

	(void)fclose(errors);
	return rc;
}

Test(sync, the_operator_s_origins_are_in_force_with_every_state)
{
	struct hf_state *state;
	struct hf_err err;

	open_sync();
	cr_expect_eq(origin_change(HF_STATE_ADD, "http://new"), -EINVAL, "there is no state");
	cr_expect_null(hf_sync_state(t.sync));
	say_state("v1");
	say_state("v2");
	ask(1);
	cr_expect_eq(origin_change(HF_STATE_ADD, "http://new"), 0);
	cr_expect_eq(t.applied, 2);
	cr_expect_eq(t.origins, 2);
	cr_expect_eq(origin_change(HF_STATE_ADD, "ftp://new"), -EINVAL);
	cr_expect_eq(t.applied, 2);
	ask(1);
	cr_expect_eq(t.origins, 2);
	cr_expect_eq(hf_sync_rollback(t.sync, "v1", &err), 0);
	state = hf_sync_state(t.sync);
	cr_expect_str_eq(state->version, "v1");
	cr_expect_eq(state->group[0].origin_count, 2);
	hf_state_unref(state);
	cr_expect_eq(info().version[0].origins, 1, "the history tells of documents");
	cr_expect_eq(origin_change(HF_STATE_REMOVE, "http://new"), 0);
	cr_expect_eq(t.origins, 1);
}

/* PUT of an origin, as the admin listener hands it over. */
static void registers(const char *id, unsigned status)
{
	struct hf_admin_resource resource;
	struct hf_admin_answer answer = { 0 };
	char path[64], body[64];
	struct hf_admin_request request = { .method = "PUT", .path = path, .peer = "" };

	(void)snprintf(path, sizeof(path), "/v1/origins/g/%s", id);
	request.body.ptr = body;
	request.body.len = (size_t)snprintf(body, sizeof(body), "{\"url\":\"http://%s\"}", id);
	hf_registry_resource(t.registry, &resource);
	resource.answer(resource.arg, &request, &answer);
	cr_expect_eq(answer.status, status, "%s: %u", id, answer.status);
	free(answer.body);
}

Test(sync, Y5_a_tick_builds_one_state_of_all_that_registered)
{
	char id[16];

	t.registry = hf_registry_new();
	open_sync();
	hf_sync_tick(t.sync, hf_clock_us());
	registers("early", 503);
	say_state("v1");
	ask(1);
	cr_expect_eq(t.applied, 1);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(id, sizeof(id), "r%d", i);
		registers(id, 201);
	}
	cr_expect_eq(t.origins, 1);
	hf_sync_tick(t.sync, hf_clock_us());
	cr_expect_eq(t.applied, 2);
	cr_expect_eq(t.origins, 1001);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(id, sizeof(id), "r%d", i);
		registers(id, 200);
	}
	hf_sync_tick(t.sync, hf_clock_us());
	cr_expect_eq(t.applied, 2, "renewed");
	say_state("v2");
	ask(1);
	cr_expect_eq(t.origins, 1001, "with every state");
	hf_sync_tick(t.sync, hf_clock_us() + 60 * 1000000ULL);
	cr_expect_eq(t.applied, 4);
	cr_expect_eq(t.origins, 1, "expired");
	cr_expect_eq(info().version[0].origins, 1, "the history tells of documents");
	hf_registry_free(t.registry);
}

Test(sync, Y5_the_first_change_takes_effect_at_once_and_those_after_it_together)
{
	uint64_t now_us = hf_clock_us();

	t.registry = hf_registry_new();
	open_sync();
	say_state("v1");
	ask(1);
	registers("a", 201);
	cr_expect_eq(hf_sync_tick(t.sync, now_us), UINT64_MAX);
	cr_expect_eq(t.origins, 2);
	registers("b", 201);
	registers("c", 201);
	cr_expect_geq(hf_sync_tick(t.sync, now_us + SYNC_TICK_US - 1), now_us + SYNC_TICK_US);
	cr_expect_eq(t.origins, 2);
	cr_expect_eq(hf_sync_tick(t.sync, now_us + 10 * SYNC_TICK_US), UINT64_MAX);
	cr_expect_eq(t.origins, 4);
	cr_expect_eq(t.applied, 3);
	hf_registry_free(t.registry);
}

Test(sync, the_thread_asks_each_interval_and_stops_when_told)
{
	pthread_t thread;

	open_sync();
	cr_assert_eq(pthread_create(&thread, NULL, run, t.sync), 0);
	while (peer_asked_count(t.peer) < 4)
		(void)usleep(1000);
	hf_sync_stop(t.sync);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(sync, a_thread_that_waits_for_an_answer_stops_too)
{
	pthread_t thread;

	open_sync();
	peer_says(t.peer, PEER_HANG);
	cr_assert_eq(pthread_create(&thread, NULL, run, t.sync), 0);
	while (peer_asked_count(t.peer) < 1)
		(void)usleep(1000);
	hf_sync_stop(t.sync);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(sync, asked_now_it_does_not_wait_for_the_interval)
{
	pthread_t thread;

	t.conf.control_plane.interval_ms = 86400000;
	open_sync();
	cr_assert_eq(pthread_create(&thread, NULL, run, t.sync), 0);
	hf_sync_now(t.sync);
	while (peer_asked_count(t.peer) < 1)
		(void)usleep(1000);
	hf_sync_stop(t.sync);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(sync, a_state_without_good_answers_expires)
{
	pthread_t thread;

	t.conf.control_plane.state_max_age_ms = 100;
	t.conf.control_plane.interval_ms = 86400000;
	open_sync();
	say_state("v1");
	ask(1);
	cr_expect_eq(t.mode & HF_MODE_EXPIRED, 0);
	cr_assert_eq(pthread_create(&thread, NULL, run, t.sync), 0);
	while (!(t.mode & HF_MODE_EXPIRED))
		(void)usleep(1000);
	hf_sync_stop(t.sync);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

/* In force is NEXT; the one before is written over once it is said to be done with. */
static void reload(struct hf_conf *before, struct hf_conf *next, uint32_t interval_ms)
{
	*next = *before;
	next->control_plane.interval_ms = interval_ms;
	hf_sync_conf_set(t.sync, next);
	while (!hf_sync_conf_is(t.sync, next))
		(void)usleep(1000);
	memset(before, 0xff, sizeof(*before));
}

Test(sync, a_new_configuration_is_taken_while_it_sleeps_and_while_it_asks)
{
	struct hf_conf second, third;
	pthread_t thread;

	t.conf.control_plane.interval_ms = 86400000;
	t.conf.control_plane.timeout_ms = 86400000;
	open_sync();
	peer_says(t.peer, PEER_HANG);
	cr_assert_eq(pthread_create(&thread, NULL, run, t.sync), 0);
	reload(&t.conf, &second, 1);
	while (peer_asked_count(t.peer) < 1) /* it hangs for a day */
		(void)usleep(1000);
	reload(&second, &third, 20);
	hf_sync_stop(t.sync);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_expect_eq(info().version_count, 0);
}
