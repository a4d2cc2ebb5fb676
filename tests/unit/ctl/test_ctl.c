/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_ctl.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hf_log.h"
#include "hf_stat.h"

#include "ctl_priv.h"

#define REFUSED(id, message)                                                                       \
	"{\"id\":" id ",\"ok\":false,\"error\":{\"type\":\"client_error\",\"message\":\"" message  \
	"\"}}\n"
#define VERSION_DONE "{\"id\":1,\"ok\":true,\"result\":{\"version\":\"x\"}}\n"
#define VERSION_ASK  "{\"id\":1,\"command\":\"version\"}\n"

static char test_dir[] = "/tmp/hf_ctl_test_XXXXXX", test_path[64];
static struct hf_ctl *test_ctl;
static uint32_t test_calls;
static size_t test_text_len;  /* of what "config show" answers */
static const char *test_said; /* by the stream of "drops", each time */
static uint32_t test_ended;

static void test_turn(void *arg, struct hf_ctl_stream *stream)
{
	cr_assert_eq(arg, &test_said);
	hf_ctl_stream_send(stream, test_said, strlen(test_said));
}

static void test_end(void *arg)
{
	cr_assert_eq(arg, &test_said);
	test_ended++;
}

static json_t *test_command(
	void *app, enum hf_ctl_cmd cmd, const json_t *args, bool *ret_internal, struct hf_err *err)
{
	static const struct hf_ctl_source source = { test_turn, test_end, &test_said };
	char *text;
	json_t *result = NULL;

	cr_assert_eq(app, &test_calls);
	test_calls++;
	switch (cmd) {
	case HF_CTL_VERSION:
		return json_pack("{s:s}", "version", "x");
	case HF_CTL_PURGE:
		return json_pack("{s:O?}", "url", json_object_get(args, "url"));
	case HF_CTL_CONNS:
		return json_pack("{s:O?}", "trace", json_object_get(args, "trace"));
	case HF_CTL_CONFIG_SHOW:
		text = malloc(test_text_len + 1);
		memset(text, 'x', test_text_len);
		text[test_text_len] = '\0';
		result = json_pack("{s:s}", "text", text);
		free(text);
		return result;
	case HF_CTL_DROPS:
		if (hf_ctl_stream_begin(test_ctl, &source, err) != 0)
			return NULL;
		return json_pack("{s:b}", "stream", 1);
	case HF_CTL_LCORES:
		*ret_internal = true;
		break;
	case HF_CTL_CONFIG_RELOAD:
		result = json_pack("[s, s]", "one", "two");
		break;
	default:
		break;
	}
	(void)hf_err_set(err, -1, "no \"%s\"", "luck");
	return result;
}

static int test_new(struct hf_err *err, struct hf_ctl **ret_ctl)
{
	return hf_ctl_new(test_path, 0640, "", test_command, &test_calls, err, ret_ctl);
}

static void test_setup(void)
{
	struct hf_err err = { "" };

	hf_log_level_set(HF_LOG_ERROR);
	cr_assert(hf_stat_register("test"));
	cr_assert(mkdtemp(test_dir));
	(void)snprintf(test_path, sizeof(test_path), "%s/run/s.sock", test_dir);
	cr_assert_eq(test_new(&err, &test_ctl), 0, "%s", err.text);
}

static void test_teardown(void)
{
	char parent[128];

	hf_ctl_free(test_ctl);
	(void)unlink(test_path);
	(void)snprintf(parent, sizeof(parent), "%s/run", test_dir);
	(void)rmdir(parent);
	(void)rmdir(test_dir);
}

TestSuite(ctl, .init = test_setup, .fini = test_teardown);

/* As long as the server has something to do. */
static void test_work(void)
{
	struct pollfd server = { .fd = hf_ctl_fd(test_ctl), .events = POLLIN };

	while (poll(&server, 1, 0) > 0)
		hf_ctl_work(test_ctl);
}

static int test_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", test_path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Sends all, while the server works and the answers are read. Returns those, to be freed. */
static char *test_talk(int fd, const char *bytes, size_t len)
{
	size_t room = 1 << 20, got = 0, sent = 0;
	char *answers = calloc(1, room);

	for (;;) {
		ssize_t out = sent < len ? send(fd, bytes + sent, len - sent, MSG_NOSIGNAL) : 0, in;

		sent += out > 0 ? (size_t)out : 0;
		test_work();
		if (got + 65536 >= room)
			answers = realloc(answers, room *= 2);
		in = recv(fd, answers + got, room - got - 1, 0);
		got += in > 0 ? (size_t)in : 0;
		if (in <= 0 && out <= 0)
			break;
	}
	answers[got] = '\0';
	return answers;
}

static void test_expect(const char *line, const char *answer)
{
	int fd = test_connect();
	char *got = test_talk(fd, line, strlen(line));

	cr_expect_str_eq(got, answer, "%s got %s", line, got);
	free(got);
	/* whatever it was: the loop goes on */
	got = test_talk(fd, VERSION_ASK, strlen(VERSION_ASK));
	cr_expect_str_eq(got, VERSION_DONE);
	free(got);
	(void)close(fd);
	test_work();
}

Test(ctl, a_command_is_answered_with_its_id_and_result)
{
	test_expect(VERSION_ASK, VERSION_DONE);
	test_expect("{\"id\":\"a\",\"command\":\"purge\",\"args\":{\"url\":\"/x\"}}\r\n",
		"{\"id\":\"a\",\"ok\":true,\"result\":{\"url\":\"/x\"}}\n");
	test_expect("{\"command\":\"version\",\"args\":{}}\n",
		"{\"id\":null,\"ok\":true,\"result\":{\"version\":\"x\"}}\n");
	cr_expect_eq(hf_stat_sum(HF_STAT_CTL_COMMANDS), 6);
	cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_COMMAND), 0);
	cr_expect_eq(test_ctl->client_count, 0);
}

Test(ctl, refusals_of_the_application_are_client_or_internal_errors)
{
	test_expect("{\"id\":2,\"command\":\"drain\"}\n", REFUSED("2", "no \\\"luck\\\""));
	test_expect("{\"id\":2,\"command\":\"lcores\"}\n",
		"{\"id\":2,\"ok\":false,\"error\":{\"type\":\"internal_error\",\"message\":\"no "
		"\\\"luck\\\"\"}}\n");
	test_expect("{\"id\":2,\"command\":\"config reload\"}\n",
		"{\"id\":2,\"ok\":false,\"error\":{\"type\":\"client_error\",\"message\":\"no "
		"\\\"luck\\\"\",\"errors\":[\"one\",\"two\"]}}\n");
	cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_COMMAND), 2);
	cr_expect_eq(hf_stat_sum(HF_STAT_INTERNAL_ERRORS_COMMAND), 1);
}

Test(ctl, malformed_requests_are_refused_and_never_reach_the_application)
{
	test_expect(
		"x\n", REFUSED("null", "invalid JSON: '[' or '{' expected near 'x' in column 1"));
	test_expect("[]\n", REFUSED("null", "request is not an object"));
	test_expect("{}\n", REFUSED("null", "\\\"command\\\" is missing"));
	test_expect("{\"id\":[],\"command\":\"version\"}\n",
		REFUSED("null", "\\\"id\\\" is neither a number nor a string"));
	test_expect("{\"id\":3,\"command\":1}\n", REFUSED("3", "\\\"command\\\" is not a string"));
	test_expect("{\"id\":3,\"command\":\"reboot\"}\n",
		REFUSED("3", "unknown command \\\"reboot\\\""));
	test_expect("{\"id\":3,\"comand\":\"version\"}\n",
		REFUSED("3", "unknown key \\\"comand\\\"; keys: id, command, args"));
	test_expect("{\"id\":3,\"command\":\"version\",\"args\":[]}\n",
		REFUSED("3", "\\\"args\\\" is not an object"));
	test_expect("{\"id\":3,\"id\":4}\n",
		REFUSED("null",
			"invalid JSON: duplicate object key near '\\\"id\\\"' in column 12"));
	cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_COMMAND), 9);
	cr_expect_eq(test_calls, 9, "the version asked for after each");
}

#define PURGE(args) "{\"id\":3,\"command\":\"purge\",\"args\":" args "}\n"

Test(ctl, arguments_are_those_of_the_table)
{
	test_expect("{\"id\":3,\"command\":\"cache show\"}\n",
		REFUSED("3", "cache show: argument \\\"url\\\" is missing"));
	test_expect(PURGE("{\"url\":1}"),
		REFUSED("3",
			"purge: argument \\\"url\\\" is not a string of at least one character"));
	test_expect(PURGE("{\"url\":\"/x\",\"hard\":true}"),
		REFUSED("3", "purge: unknown argument \\\"hard\\\"; arguments: "
			     "URL|--prefix=PREFIX|--tag=TAG|--all [--soft]"));
	test_expect("{\"id\":3,\"command\":\"version\",\"args\":{\"a\":\"b\"}}\n",
		REFUSED("3", "version: unknown argument \\\"a\\\"; arguments: none"));
}

Test(ctl, of_arguments_that_exclude_each_other_there_is_one)
{
	static const char *const good[] = { "{\"url\":\"/x\"}", "{\"prefix\":\"/x\"}",
		"{\"tag\":\"x\"}", "{\"all\":true}", "{\"all\":true,\"soft\":true}",
		"{\"soft\":false,\"url\":\"/x\"}", "{\"all\":false,\"url\":\"/x\"}" };
	static const char *const none[] = { "{}", "{\"soft\":true}", "{\"all\":false}" };
	static const char *const many[] = { "{\"url\":\"/x\",\"all\":true}",
		"{\"tag\":\"x\",\"prefix\":\"/x\"}",
		"{\"tag\":\"x\",\"url\":\"x\",\"all\":true,\"soft\":true}" };
	char line[256];

	for (size_t i = 0; i < HF_ARRAY_LEN(good); i++) {
		(void)snprintf(line, sizeof(line), PURGE("%s"), good[i]);
		test_expect(line, strstr(good[i], "url")
					  ? "{\"id\":3,\"ok\":true,\"result\":{\"url\":\"/x\"}}\n"
					  : "{\"id\":3,\"ok\":true,\"result\":{\"url\":null}}\n");
	}
	for (size_t i = 0; i < HF_ARRAY_LEN(none); i++) {
		(void)snprintf(line, sizeof(line), PURGE("%s"), none[i]);
		test_expect(line,
			REFUSED("3", "purge: one of \\\"url\\\", \\\"prefix\\\", \\\"tag\\\", "
				     "\\\"all\\\" is missing"));
	}
	for (size_t i = 0; i < HF_ARRAY_LEN(many); i++) {
		(void)snprintf(line, sizeof(line), PURGE("%s"), many[i]);
		test_expect(line,
			REFUSED("3", "purge: only one of \\\"url\\\", \\\"prefix\\\", \\\"tag\\\", "
				     "\\\"all\\\" is allowed"));
	}
	test_expect(PURGE("{\"all\":\"yes\"}"),
		REFUSED("3", "purge: argument \\\"all\\\" is neither true nor false"));
	test_expect(PURGE("{\"tag\":true}"),
		REFUSED("3",
			"purge: argument \\\"tag\\\" is not a string of at least one character"));
	test_expect(PURGE("{\"tag\":\"\"}"),
		REFUSED("3",
			"purge: argument \\\"tag\\\" is not a string of at least one character"));
}

Test(ctl, the_table_spells_arguments_that_the_command_line_can_read)
{
	static const struct {
		const char *key;
		bool option, flag, optional;
		uint32_t group;
	} rows[] = { { "url", false, false, false, 1 }, { "prefix", true, false, false, 1 },
		{ "all", true, true, false, 1 }, { "soft", true, true, true, 2 },
		{ "pattern", false, false, true, 3 } };
	struct hf_ctl_arg arg = { .group = 0 };
	const char *at = "URL|--prefix=PREFIX|--all [--soft] [PATTERN...]";

	for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		at = hf_ctl_arg_next(at, &arg);
		cr_assert(at, "%zu", i);
		cr_expect_str_eq(arg.key, rows[i].key);
		cr_expect_eq(arg.option, rows[i].option, "%s", arg.key);
		cr_expect_eq(arg.flag, rows[i].flag, "%s", arg.key);
		cr_expect_eq(arg.optional, rows[i].optional, "%s", arg.key);
		cr_expect_eq(arg.group, rows[i].group, "%s", arg.key);
		cr_expect_eq(arg.rest, i + 1 == HF_ARRAY_LEN(rows), "%s", arg.key);
	}
	cr_expect_null(hf_ctl_arg_next(at, &arg));
	arg.group = 0;
	cr_expect_null(hf_ctl_arg_next("", &arg));
}

Test(ctl, text_that_is_no_utf8_becomes_a_string_nevertheless)
{
	json_t *text[] = { hf_ctl_string("gr\xc3\xbc\xc3\x9f"), hf_ctl_string("cut \xc3"),
		hf_ctl_string("") };

	cr_expect_str_eq(json_string_value(text[0]), "gr\xc3\xbc\xc3\x9f");
	cr_expect_str_eq(json_string_value(text[1]), "cut ?");
	cr_expect_str_eq(json_string_value(text[2]), "");
	for (size_t i = 0; i < HF_ARRAY_LEN(text); i++)
		json_decref(text[i]);
}

Test(ctl, a_flag_is_true_or_false_or_absent)
{
	test_expect("{\"id\":1,\"command\":\"conns\"}\n",
		"{\"id\":1,\"ok\":true,\"result\":{\"trace\":null}}\n");
	test_expect("{\"id\":1,\"command\":\"conns\",\"args\":{\"trace\":true}}\n",
		"{\"id\":1,\"ok\":true,\"result\":{\"trace\":true}}\n");
	test_expect("{\"id\":1,\"command\":\"conns\",\"args\":{\"trace\":false}}\n",
		"{\"id\":1,\"ok\":true,\"result\":{\"trace\":false}}\n");
	test_expect("{\"id\":3,\"command\":\"conns\",\"args\":{\"trace\":\"yes\"}}\n",
		REFUSED("3", "conns: argument \\\"trace\\\" is neither true nor false"));
	test_expect("{\"id\":3,\"command\":\"conns\",\"args\":{\"--trace\":true}}\n",
		REFUSED("3", "conns: unknown argument \\\"--trace\\\"; arguments: [--trace]"));
}

/* ---- streams ---- */

#define STREAM_ASK  "{\"id\":\"s\",\"command\":\"drops\"}\n"
#define STREAM_DONE "{\"id\":\"s\",\"ok\":true,\"result\":{\"stream\":true}}\n"

static void test_hears(int fd, const char *ask, const char *answers)
{
	char *got = test_talk(fd, ask, strlen(ask));

	cr_expect_str_eq(got, answers, "%s", got);
	free(got);
}

Test(ctl, a_stream_goes_on_behind_its_answer_and_others_in_between)
{
	int fd = test_connect(), other = test_connect();

	hf_ctl_tick(test_ctl);
	test_hears(fd, STREAM_ASK, STREAM_DONE);
	test_said = "{\"a\":1}";
	hf_ctl_tick(test_ctl);
	hf_ctl_tick(test_ctl);
	test_hears(fd, VERSION_ASK,
		"{\"id\":\"s\",\"stream\":{\"a\":1}}\n{\"id\":\"s\",\"stream\":{\"a\":1}}"
		"\n" VERSION_DONE);
	test_hears(other, VERSION_ASK, VERSION_DONE);
	hf_ctl_tick(test_ctl);
	test_hears(other, "", "");
	cr_expect_eq(test_ended, 0);
	(void)close(fd);
	test_work();
	cr_expect_eq(test_ended, 1);
	hf_ctl_tick(test_ctl);
	cr_expect_eq(test_ended, 1);
	(void)close(other);
}

Test(ctl, a_connection_has_one_stream_and_another_connection_another)
{
	int fd = test_connect(), other = test_connect();

	test_hears(fd, STREAM_ASK, STREAM_DONE);
	test_hears(fd, STREAM_ASK, REFUSED("\"s\"", "this connection has a stream already"));
	test_hears(other, STREAM_ASK, STREAM_DONE);
	(void)close(fd);
	(void)close(other);
	test_work();
	cr_expect_eq(test_ended, 2);
}

Test(ctl, who_sends_no_more_still_hears_its_stream)
{
	int fd = test_connect();

	test_hears(fd, STREAM_ASK, STREAM_DONE);
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	test_work();
	test_said = "{}";
	hf_ctl_tick(test_ctl);
	test_hears(fd, "", "{\"id\":\"s\",\"stream\":{}}\n");
	(void)close(fd);
	test_work();
	cr_expect_eq(test_ended, 1);
}

/* Ticks until the client is cut off, at most MANY. */
static uint32_t test_ticks(uint32_t many)
{
	uint32_t ticks = 0;

	for (; ticks < many && test_ended == 0; ticks++) {
		hf_ctl_tick(test_ctl);
		test_work();
	}
	return ticks;
}

/* More than the kernel takes. */
static void test_say_much(void)
{
	static char text[CTL_OUT_MAX / 2];

	memset(text, ' ', sizeof(text));
	memcpy(text, "{}", 2);
	text[sizeof(text) - 1] = '\0';
	test_said = text;
}

Test(ctl, who_does_not_read_its_stream_is_cut_off)
{
	int fd = test_connect();
	uint32_t ticks;

	test_say_much();
	test_hears(fd, STREAM_ASK, STREAM_DONE);
	ticks = test_ticks(1000);
	cr_expect(ticks >= CTL_STUCK_TICKS && ticks < CTL_STUCK_TICKS + 5, "%u", ticks);
	cr_expect_eq(test_ended, 1);
	cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_UNREAD), 1);
	cr_expect_eq(test_ctl->client_count, 0);
	(void)close(fd);
}

Test(ctl, who_reads_slowly_is_asked_for_no_more_and_stays)
{
	int fd = test_connect();
	char bytes[4096];

	test_say_much();
	test_hears(fd, STREAM_ASK, STREAM_DONE);
	for (uint32_t i = 0; i < 100; i++) {
		cr_assert_eq(test_ticks(10), 10);
		for (uint32_t j = 0; j < 50; j++) /* as much as makes room in the kernel */
			(void)!recv(fd, bytes, sizeof(bytes), 0);
		test_work();
	}
	cr_expect_eq(test_ended, 0);
	cr_expect_leq(test_ctl->client[0].out_room, CTL_OUT_MAX);
	(void)close(fd);
	test_work();
}

Test(ctl, a_stream_ends_with_the_server)
{
	int fd = test_connect();

	test_hears(fd, STREAM_ASK, STREAM_DONE);
	hf_ctl_free(test_ctl);
	test_ctl = NULL;
	cr_expect_eq(test_ended, 1);
	(void)close(fd);
}

Test(ctl, deep_nesting_binary_and_NUL_are_refused)
{
	char line[40000];
	int fd = test_connect();
	char *got;

	memset(line, '[', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\n';
	got = test_talk(fd, line, sizeof(line));
	cr_expect(strstr(got, "invalid JSON: maximum parsing depth reached"), "%s", got);
	free(got);
	got = test_talk(fd, "\xff\xfe\0\x01{}\n", 7);
	cr_expect(strstr(got, "\"type\":\"client_error\",\"message\":\"invalid JSON: "), "%s", got);
	free(got);
	(void)close(fd);
}

Test(ctl, a_line_of_64_KiB_is_taken_and_one_byte_more_is_skipped_to_its_end)
{
	size_t len = CTL_LINE_MAX;
	char *line = malloc(3 * len);
	int fd = test_connect();
	char *got;

	memset(line, ' ', 3 * len);
	memcpy(line, VERSION_ASK, strlen(VERSION_ASK) - 1);
	line[len] = '\n';
	got = test_talk(fd, line, len + 1);
	cr_expect_str_eq(got, VERSION_DONE);
	free(got);
	line[len] = ' ';
	line[3 * len - 1] = '\n';
	got = test_talk(fd, line, 3 * len);
	cr_expect_str_eq(got, REFUSED("null", "line longer than 65536 bytes"));
	free(got);
	got = test_talk(fd, VERSION_ASK, strlen(VERSION_ASK));
	cr_expect_str_eq(got, VERSION_DONE);
	free(got);
	free(line);
	(void)close(fd);
}

Test(ctl, requests_arrive_in_any_pieces)
{
	static const char two[] = VERSION_ASK "\n" VERSION_ASK;

	for (size_t cut = 1; cut < sizeof(two) - 1; cut++) {
		int fd = test_connect();
		char *first = test_talk(fd, two, cut),
		     *rest = test_talk(fd, two + cut, sizeof(two) - 1 - cut);
		char both[256];

		(void)snprintf(both, sizeof(both), "%s%s", first, rest);
		cr_expect_str_eq(both, VERSION_DONE VERSION_DONE);
		free(first);
		free(rest);
		(void)close(fd);
		test_work();
	}
}

Test(ctl, more_commands_than_a_turn_takes_are_all_answered)
{
	size_t count = 20 * CTL_LINES_TURN, ask = strlen(VERSION_ASK), done = strlen(VERSION_DONE);
	char *lines = malloc(count * ask + 1), *got;
	int fd = test_connect();

	for (size_t i = 0; i < count; i++)
		memcpy(lines + i * ask, VERSION_ASK, ask);
	got = test_talk(fd, lines, count * ask);
	cr_expect_eq(strlen(got), count * done);
	cr_expect_eq(test_calls, count);
	free(got);
	free(lines);
	(void)close(fd);
}

Test(ctl, a_last_line_without_LF_is_answered_when_the_client_is_done_sending)
{
	int fd = test_connect();
	char buf[256];

	cr_assert(send(fd, VERSION_ASK, strlen(VERSION_ASK) - 1, 0) > 0);
	test_work();
	cr_expect_eq(recv(fd, buf, sizeof(buf), 0), -1);
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	test_work();
	cr_expect_eq(recv(fd, buf, sizeof(buf), 0), (ssize_t)strlen(VERSION_DONE));
	cr_expect_eq(recv(fd, buf, sizeof(buf), 0), 0);
	cr_expect_eq(test_ctl->client_count, 0);
	(void)close(fd);
}

Test(ctl, an_answer_of_megabytes_arrives_whole)
{
	static const char ask[] = "{\"command\":\"config show\"}\n";
	int fd = test_connect();
	char *got;

	test_text_len = 5000000;
	got = test_talk(fd, ask, sizeof(ask) - 1);
	cr_expect_eq(strlen(got),
		test_text_len + strlen("{'id':null,'ok':true,'result':{'text':''}}\n"));
	free(got);
	(void)close(fd);
}

Test(ctl, a_client_that_does_not_read_is_cut_off_and_others_are_served)
{
	static const char ask[] = "{\"command\":\"config show\"}\n";
	int fd = test_connect();

	test_text_len = 1000000;
	for (int i = 0; i < 12; i++)
		(void)!send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL);
	test_work();
	cr_expect_eq(test_ctl->client_count, 0);
	cr_expect_eq(hf_stat_sum(HF_STAT_CLIENT_ERRORS_UNREAD), 1);
	test_expect(VERSION_ASK, VERSION_DONE);
	(void)close(fd);
}

Test(ctl, the_65th_client_is_told_and_sent_away)
{
	int fd[CTL_CLIENTS_MAX + 1];
	char buf[256] = "";

	for (int i = 0; i <= CTL_CLIENTS_MAX; i++) {
		fd[i] = test_connect();
		test_work();
	}
	cr_expect_eq(test_ctl->client_count, CTL_CLIENTS_MAX);
	cr_expect_gt(recv(fd[CTL_CLIENTS_MAX], buf, sizeof(buf) - 1, 0), 0);
	cr_expect_str_eq(buf, REFUSED("null", "64 clients are connected already"));
	for (int i = 0; i <= CTL_CLIENTS_MAX; i++)
		(void)close(fd[i]);
	test_work();
	cr_expect_eq(test_ctl->client_count, 0);
	test_expect(VERSION_ASK, VERSION_DONE);
}

Test(ctl, a_second_server_finds_the_first_alive_and_leaves_it_alone)
{
	struct hf_err err = { "" };
	struct hf_ctl *second = NULL;

	cr_expect_eq(test_new(&err, &second), -EADDRINUSE);
	cr_expect(strstr(err.text, "already running"), "%s", err.text);
	cr_expect_null(second);
	test_work();
	test_expect(VERSION_ASK, VERSION_DONE);
}

Test(ctl, the_socket_of_a_dead_process_is_replaced_and_a_file_is_not)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct hf_err err = { "" };
	struct hf_ctl *second = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	hf_ctl_free(test_ctl);
	test_ctl = NULL;
	cr_expect_eq(access(test_path, F_OK), -1);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", test_path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(fd);
	cr_expect_eq(access(test_path, F_OK), 0);
	cr_assert_eq(test_new(&err, &test_ctl), 0, "%s", err.text);
	test_expect(VERSION_ASK, VERSION_DONE);
	hf_ctl_free(test_ctl);
	test_ctl = NULL;
	fd = open(test_path, O_CREAT | O_WRONLY, 0600);
	(void)close(fd);
	cr_expect_eq(test_new(&err, &second), -EEXIST);
	cr_expect_eq(access(test_path, F_OK), 0);
}

Test(ctl, a_server_does_not_remove_the_socket_of_its_successor)
{
	struct hf_err err = { "" };
	struct hf_ctl *second = NULL;

	cr_assert_eq(unlink(test_path), 0);
	cr_assert_eq(test_new(&err, &second), 0, "%s", err.text);
	hf_ctl_free(test_ctl);
	test_ctl = second;
	cr_expect_eq(access(test_path, F_OK), 0);
	test_expect(VERSION_ASK, VERSION_DONE);
}

Test(ctl, the_socket_has_its_mode_and_its_directory_was_made)
{
	struct stat st;
	char parent[128];

	cr_assert_eq(stat(test_path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0640);
	(void)snprintf(parent, sizeof(parent), "%s/run", test_dir);
	cr_assert_eq(stat(parent, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0755);
}

Test(ctl, a_path_too_long_for_a_socket_is_an_error)
{
	char path[200];
	struct hf_err err = { "" };
	struct hf_ctl *ctl = NULL;

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	cr_expect_eq(hf_ctl_new(path, 0600, "", test_command, NULL, &err, &ctl), -ENAMETOOLONG);
	cr_expect_null(ctl);
}
