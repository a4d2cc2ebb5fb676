/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Bodies that break off, and the parts that are put together.
 */
#include "origin_answer.h"
#include "rig.h"

#define TAG_A  "ETag: \"a\"\r\n"
#define LENGTH 100000

static struct rig *resume_rig(void)
{
	struct rig *rig = rig_new();

	rig->origin->resume_pause_us = 0;
	return rig;
}

/* The bytes of the pattern from `from` to `to`. */
static void say_bytes(struct rig_conn *conn, size_t from, size_t to)
{
	char *body = rig_body(to);

	rig_buf_add(&conn->out, body + from, to - from);
	free(body);
}

/* A 200 of which only so many bytes come. */
static void say_cut(struct rig *rig, struct rig_client *client, const char *fields, size_t got)
{
	const char *asked;
	struct rig_conn *conn = rig_asked(rig, &asked);
	char head[512];

	(void)snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n",
		LENGTH, fields);
	rig_say(conn, head);
	say_bytes(conn, 0, got);
	rig_until(rig, client->head && client->read_len == got);
	rig_conn_close(conn);
}

static void cut_at(struct rig *rig, struct rig_client *client, const char *path, size_t got)
{
	rig_get(rig, client, path, "");
	say_cut(rig, client, RIG_FRESH TAG_A, got);
}

static struct rig_conn *asked_from(struct rig *rig, size_t from, const char *tag)
{
	const char *head;
	struct rig_conn *conn = rig_asked(rig, &head);
	char line[128];

	(void)snprintf(line, sizeof(line), "\r\nRange: bytes=%zu-\r\n", from);
	cr_assert(rig_head_has(head, line), "%s", head);
	(void)snprintf(line, sizeof(line), "\r\nIf-Range: %s\r\n", tag);
	cr_assert(rig_head_has(head, line), "%s", head);
	cr_assert(!rig_head_has(head, "If-None-Match"));
	return conn;
}

static void say_part(struct rig_conn *conn, const char *fields, size_t from, size_t to)
{
	char head[512];

	(void)snprintf(head, sizeof(head),
		"HTTP/1.1 206 Partial Content\r\nContent-Length: %zu\r\n"
		"Content-Range: bytes %zu-%d/%d\r\n%s\r\n",
		LENGTH - from, from, LENGTH - 1, LENGTH, fields);
	rig_say(conn, head);
	say_bytes(conn, from, to);
}

static bool stored_has(struct rig *rig, const char *path, const char *text)
{
	struct hf_obj *obj = rig_lookup(rig, path, "");

	return obj && rig_has((struct hf_span){ obj->head, obj->head_len }, text);
}

/* Another client gets the whole, and the origin is not asked. */
static void expect_hit(struct rig *rig, const char *path)
{
	uint32_t asked = rig_requests(rig);
	struct rig_client client;

	cr_assert(rig_lookup(rig, path, ""));
	rig_get(rig, &client, path, "");
	rig_expect_body(rig, &client, LENGTH);
	rig_end(rig, &client);
	cr_assert_eq(rig_requests(rig), asked);
}

Test(origin_resume, rfc9111_3_4_the_rest_is_asked_for_and_is_one_with_what_came)
{
	static const size_t at[] = { 0, 1, 4095, 50000, LENGTH - 1 };
	struct rig *rig = resume_rig();

	for (size_t i = 0; i < HF_ARRAY_LEN(at); i++) {
		struct rig_client client;
		char path[32];

		(void)snprintf(path, sizeof(path), "/%zu", i);
		cut_at(rig, &client, path, at[i]);
		say_part(asked_from(rig, at[i], "\"a\""), TAG_A, at[i], LENGTH);
		rig_expect_body(rig, &client, LENGTH);
		rig_end(rig, &client);
		expect_hit(rig, path);
		cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_RESUMES), i + 1);
	}
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_ERRORS), 0);
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, rfc9111_3_3_three_times_and_what_is_not_whole_then_is_not_kept)
{
	static const size_t at[] = { 10, 20, 20, 5000 };
	struct rig *rig = resume_rig();
	struct rig_client client;

	cut_at(rig, &client, "/a", at[0]);
	for (size_t i = 0; i < 3; i++) {
		struct rig_conn *conn = asked_from(rig, at[i], "\"a\"");

		say_part(conn, TAG_A, at[i], at[i + 1]);
		conn->close_after = true;
		rig_until(rig, client.read_len == at[i + 1]);
	}
	rig_until(rig, rig_client_cut(&client));
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_RESUMES), ORIGIN_RESUMES_MAX);
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_ERRORS), 1);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_end_all(rig, &client, 1);
}

/* What is said instead of the rest from 10 on: the readers are cut, and nothing is stored. */
static void expect_refused(struct rig *rig, const char *answer)
{
	struct rig_client client;
	struct rig_conn *conn;
	char path[32];

	(void)snprintf(path, sizeof(path), "/%u", rig_requests(rig));
	rig_get(rig, &client, path, "");
	say_cut(rig, &client, RIG_FRESH TAG_A "Content-Type: a/b\r\n", 10);
	conn = asked_from(rig, 10, "\"a\"");
	rig_say(conn, answer);
	say_bytes(conn, 10, LENGTH);
	rig_until(rig, rig_client_cut(&client));
	rig_conn_close(conn);
	cr_expect_eq(client.read_len, 10, "%s", answer);
	cr_expect(!rig_lookup(rig, path, ""), "%s", answer);
	rig_end(rig, &client);
}

static void expect_all_refused(const char *const *answers, uint32_t count)
{
	struct rig *rig = resume_rig();

	for (uint32_t i = 0; i < count; i++)
		expect_refused(rig, answers[i]);
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 2 * count, "asked once more each");
	rig_end_all(rig, NULL, 0);
}

#define PART(length, range, fields)                                                                \
	"HTTP/1.1 206 Partial\r\nContent-Length: " length "\r\nContent-Range: " range              \
	"\r\n" fields "\r\n"

Test(origin_resume, rfc9110_14_4_a_part_is_exactly_what_is_missing)
{
	static const char *const bad[] = {
		PART("99990", "bytes 10-99999/*", TAG_A),
		PART("99990", "bytes 10-99999/100001", TAG_A),
		PART("99990", "bytes 10-99999/99999", TAG_A),
		PART("99990", "bytes */100000", TAG_A),
		PART("99991", "bytes 9-99999/100000", TAG_A),
		PART("99990", "bytes 9-99999/100000", TAG_A),
		PART("99989", "bytes 11-99999/100000", TAG_A),
		PART("100000", "bytes 0-99999/100000", TAG_A),
		PART("99989", "bytes 10-99998/100000", TAG_A),
		PART("99990", "bytes 10-99998/100000", TAG_A),
		PART("1", "bytes 10-10/100000", TAG_A),
		PART("99990", "bytes 99999-10/100000", TAG_A),
		PART("99990", "bytes 10-100000/100000", TAG_A),
		PART("99990", "bytes 18446744073709551626-99999/100000", TAG_A),
		PART("99990", "bytes 10-18446744073709651615/100000", TAG_A),
		PART("99990", "bytes 10-99999/18446744073709651616", TAG_A),
		PART("99990", "octets 10-99999/100000", TAG_A),
		PART("99990", "bytes=10-99999/100000", TAG_A),
		PART("99990", "bytes 10-99999/100000, bytes 10-99999/100000", TAG_A),
		PART("99990", "bytes 10-99999/100000",
			TAG_A "Content-Range: bytes 10-99999/100000\r\n"),
		PART("99990", "", TAG_A),
		"HTTP/1.1 206 Partial\r\nContent-Length: 99990\r\n" TAG_A "\r\n",
		/* the length of what comes is another, or is not told */
		PART("99989", "bytes 10-99999/100000", TAG_A),
		PART("99991", "bytes 10-99999/100000", TAG_A),
		"HTTP/1.1 206 Partial\r\nContent-Range: bytes 10-99999/100000\r\n" TAG_A "\r\n",
		"HTTP/1.1 206 Partial\r\nContent-Range: bytes 10-99999/100000\r\n" TAG_A
		"Transfer-Encoding: chunked\r\n\r\n18696\r\n",
		PART("99990", "bytes 10-99999/100000",
			TAG_A "Transfer-Encoding: chunked\r\n") "18696\r\n",
	};

	expect_all_refused(bad, HF_ARRAY_LEN(bad));
}

Test(origin_resume, rfc9110_15_3_7_3_parts_share_a_strong_validator)
{
	static const char *const bad[] = {
		PART("99990", "bytes 10-99999/100000", ""),
		PART("99990", "bytes 10-99999/100000", "ETag: \"b\"\r\n"),
		PART("99990", "bytes 10-99999/100000", "ETag: W/\"a\"\r\n"),
		PART("99990", "bytes 10-99999/100000", "ETag: a\r\n"),
		PART("99990", "bytes 10-99999/100000", "ETag: \"A\"\r\n"),
		PART("99990", "bytes 10-99999/100000", TAG_A TAG_A),
		PART("99990", "bytes 10-99999/100000", TAG_A "Content-Encoding: gzip\r\n"),
		PART("99990", "bytes 10-99999/100000",
			TAG_A "Content-Type: multipart/byteranges; boundary=x\r\n"),
	};

	expect_all_refused(bad, HF_ARRAY_LEN(bad));
}

Test(origin_resume, rfc9110_13_1_5_any_other_answer_ends_it)
{
	static const char *const bad[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n" TAG_A "\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99990\r\n"
		"Content-Range: bytes 10-99999/100000\r\n" TAG_A "\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99990\r\nETag: \"b\"\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\n" TAG_A "\r\n",
		"HTTP/1.1 404 No\r\nContent-Length: 99990\r\n" TAG_A "\r\n",
		"HTTP/1.1 416 No\r\nContent-Length: 0\r\nContent-Range: bytes */100000\r\n\r\n",
		"HTTP/1.1 206 Partial\r\nX: a\rb\r\n\r\n",
		"HTTP/1.1 206 Partial\r\nContent-Length: 99990\r\nContent-Length: 9\r\n" TAG_A
		"\r\n",
	};

	expect_all_refused(bad, HF_ARRAY_LEN(bad));
}

/* Its readers are cut at once. */
static void expect_status_not_asked(struct rig *rig, const char *status, const char *head)
{
	static uint32_t count;
	uint32_t asked = rig_requests(rig);
	struct rig_client client;
	struct rig_conn *conn;
	const char *seen;
	char path[32];

	(void)snprintf(path, sizeof(path), "/%u", count++);
	rig_get(rig, &client, path, "");
	conn = rig_asked(rig, &seen);
	rig_say(conn, status);
	rig_say(conn, "\r\n" RIG_FRESH);
	rig_say(conn, head);
	rig_until(rig, client.read_len == 3);
	rig_conn_close(conn);
	rig_until(rig, rig_client_cut(&client));
	rig_settle(rig);
	cr_expect_eq(rig_requests(rig), asked + 1, "%s", head);
	cr_expect(!rig_lookup(rig, path, ""), "%s", head);
	rig_end(rig, &client);
}

static void expect_not_asked(struct rig *rig, const char *head)
{
	expect_status_not_asked(rig, "HTTP/1.1 200 OK", head);
}

Test(origin_resume, rfc9110_15_3_7_3_a_part_is_of_a_200)
{
	struct rig *rig = resume_rig();

	expect_status_not_asked(rig, "HTTP/1.1 404 No", "Content-Length: 9\r\n" TAG_A "\r\nabc");
	expect_status_not_asked(rig, "HTTP/1.1 203 Hm", "Content-Length: 9\r\n" TAG_A "\r\nabc");
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, rfc9111_3_4_without_strong_validator_or_length_nothing_is_asked_for)
{
	struct rig *rig = resume_rig();

	expect_not_asked(rig, "Content-Length: 9\r\n\r\nabc");
	expect_not_asked(rig, "Content-Length: 9\r\nETag: W/\"a\"\r\n\r\nabc");
	expect_not_asked(rig, "Content-Length: 9\r\nETag: a\r\n\r\nabc");
	expect_not_asked(rig, "Content-Length: 9\r\n" TAG_A TAG_A "\r\nabc");
	expect_not_asked(rig, "Content-Length: 9\r\n" TAG_A "Accept-Ranges: none\r\n\r\nabc");
	expect_not_asked(rig, "Transfer-Encoding: chunked\r\n" TAG_A "\r\n9\r\nabc");
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, what_is_not_stored_is_not_asked_for_again)
{
	struct rig *rig = resume_rig();

	expect_not_asked(rig, "Cache-Control: private\r\nContent-Length: 9\r\n" TAG_A "\r\nabc");
	expect_not_asked(rig, "Cache-Control: no-store\r\nContent-Length: 9\r\n" TAG_A "\r\nabc");
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, no_answer_a_late_one_and_5xx_are_tries)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client client;
	struct rig_conn *conn;

	rig_conf(rig);
	rig_up(rig, 64 << 20);
	rig->origin->resume_pause_us = 0;
	cut_at(rig, &client, "/a", 10);
	rig_say(asked_from(rig, 10, "\"a\""),
		"HTTP/1.1 503 Later\r\nContent-Length: 5\r\n" TAG_A "\r\nlater");
	rig->conf.origin.first_byte_timeout_ms = 30;
	(void)asked_from(rig, 10, "\"a\""); /* and says nothing */
	rig->conf.origin.first_byte_timeout_ms = 10000;
	conn = asked_from(rig, 10, "\"a\"");
	say_part(conn, TAG_A, 10, LENGTH);
	rig_expect_body(rig, &client, LENGTH);
	rig_end(rig, &client);
	expect_hit(rig, "/a");
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_FAILED_5XX), 1);
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_FAILED_TIMEOUT), 1);
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_FAILED_RESET), 1);
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, a_body_that_stands_still_is_asked_for_again)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_conf(rig);
	rig->conf.origin.between_bytes_timeout_ms = 30;
	rig_up(rig, 64 << 20);
	rig->origin->resume_pause_us = 0;
	rig_get(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	rig_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n" RIG_FRESH TAG_A "\r\n");
	say_bytes(conn, 0, 500);
	conn = asked_from(rig, 500, "\"a\"");
	rig->conf.origin.between_bytes_timeout_ms = 10000;
	cr_assert(rig->conn[0].eof, "the first one was cut");
	say_part(conn, TAG_A, 500, LENGTH);
	rig_expect_body(rig, &client, LENGTH);
	rig_end(rig, &client);
	expect_hit(rig, "/a");
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, refused_three_times_is_the_end)
{
	struct rig *rig = resume_rig();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_get(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	(void)close(rig->listener);
	rig->listener = -1;
	rig_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n" RIG_FRESH TAG_A "\r\nabc");
	conn->close_after = true;
	rig_until(rig, rig_client_cut(&client));
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_FAILED_REFUSED), ORIGIN_RESUMES_MAX);
	rig_end_all(rig, &client, 1);
}

Test(origin_resume, interim_answers_before_a_part_are_nobodys)
{
	struct rig *rig = resume_rig();
	struct rig_client client;
	struct rig_conn *conn;

	cut_at(rig, &client, "/a", 10);
	conn = asked_from(rig, 10, "\"a\"");
	say_part(conn, TAG_A "X-One: 1\r\n", 10, 20);
	conn->close_after = true;
	conn = asked_from(rig, 20, "\"a\"");
	rig_say(conn, "HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n");
	say_part(conn, TAG_A, 20, LENGTH);
	rig_expect_body(rig, &client, LENGTH);
	cr_assert_eq(client.xchg->interim_len, 0);
	rig_end(rig, &client);
	expect_hit(rig, "/a");
	cr_assert(stored_has(rig, "/a", "X-One: 1") && !stored_has(rig, "/a", "Link"));
	rig_end_all(rig, NULL, 0);
}

/* ---- who waits for it ---- */

Test(origin_resume, whoever_comes_meanwhile_reads_along)
{
	struct rig *rig = resume_rig();
	struct rig_client client[3];
	struct rig_conn *conn;

	cut_at(rig, &client[0], "/a", 10);
	conn = asked_from(rig, 10, "\"a\"");
	rig_get(rig, &client[1], "/a", "");
	rig_until(rig, client[1].read_len == 10);
	say_part(conn, TAG_A, 10, 5000);
	rig_until(rig, client[1].read_len == 5000);
	rig_get(rig, &client[2], "/a", "");
	say_bytes(conn, 5000, LENGTH);
	for (uint32_t i = 0; i < 3; i++)
		rig_expect_body(rig, &client[i], LENGTH);
	cr_assert_eq(rig_requests(rig), 2);
	rig_end_all(rig, client, 3);
}

/* What its leader asked is asked again, though it is gone. */
static void expect_without_leader(bool others)
{
	struct rig *rig = resume_rig();
	struct rig_client client[2];
	struct rig_conn *conn;
	const char *head;

	rig_get(rig, &client[0], "/a", "X-Lead: 1\r\nAccept: x/y\r\n");
	conn = rig_asked(rig, &head);
	rig_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n" RIG_FRESH TAG_A
		      "Vary: Accept\r\n\r\n");
	say_bytes(conn, 0, 10);
	rig_until(rig, client[0].read_len == 10);
	if (others) {
		rig_get(rig, &client[1], "/a", "Accept: x/y\r\n");
		rig_until(rig, client[1].read_len == 10);
	}
	rig_end(rig, &client[0]);
	rig_conn_close(conn);
	conn = rig_asked(rig, &head);
	cr_assert(rig_head_has(head, "\r\nX-Lead: 1\r\n") &&
		  rig_head_has(head, "\r\nAccept: x/y\r\n"));
	cr_assert_eq(strncmp(head, "GET /a HTTP/1.1\r\n", 17), 0);
	say_part(conn, TAG_A, 10, LENGTH);
	if (others) {
		rig_expect_body(rig, &client[1], LENGTH);
		rig_end(rig, &client[1]);
	}
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_assert(rig_lookup(rig, "/a", "Accept: x/y\r\n"));
	cr_assert(!rig_lookup(rig, "/a", "Accept: z\r\n"));
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, without_its_leader_for_the_others)
{
	expect_without_leader(true);
}

Test(origin_resume, without_any_reader_for_the_cache)
{
	expect_without_leader(false);
}

Test(origin_resume, a_refresh_that_nobody_waits_for)
{
	struct rig *rig = resume_rig();
	struct rig_client client;
	struct rig_conn *conn;
	const char *head;

	rig_store(rig, "/a", RIG_FRESH "ETag: \"old\"\r\n", 100, 100);
	rig_refresh(rig, &client, "/a", "");
	conn = rig_asked(rig, &head);
	cr_assert(rig_head_has(head, "If-None-Match: \"old\""));
	rig_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n" RIG_FRESH TAG_A "\r\n");
	say_bytes(conn, 0, 10);
	rig_until(rig, client.gone);
	rig_settle(rig);
	rig_conn_close(conn);
	say_part(asked_from(rig, 10, "\"a\""), TAG_A, 10, LENGTH);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	expect_hit(rig, "/a");
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, what_ends_while_it_pauses_leaves_nothing)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig->origin->resume_pause_us = 1000000000;
	cut_at(rig, &client, "/a", 10);
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 1);
	cr_assert_eq(hf_origin_in_flight(rig->origin), 0);
	cr_assert(!rig_client_cut(&client));
	rig_end(rig, &client);
	cr_assert(!hf_list_empty(&rig->origin->all));
	rig_free(rig);
}

/* The timer of the one that is to be resumed is due. */
static void due_now(struct rig *rig)
{
	struct hf_list *it;

	hf_list_for_each (it, &rig->origin->all) {
		struct origin_fetch *fetch = HF_CONTAINER_OF(it, struct origin_fetch, all_link);

		if (fetch->state == ORIGIN_RESUME)
			hf_timer_set(rig->origin->wheel, &fetch->timer, hf_clock_us());
	}
}

/* One slot: a body broke off, and the fetch of another has the slot when the pause is over. */
static struct rig *paused_rig(
	struct rig_client client[2], uint32_t max_queue, struct rig_conn **ret_other)
{
	struct rig *rig = rig_new();
	const char *head;

	rig->conf.origin.max_in_flight = 1;
	rig->conf.origin.max_queue = max_queue;
	rig->origin->resume_pause_us = 1000000000;
	cut_at(rig, &client[0], "/a", 10);
	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_IN_FLIGHT) == 0);
	rig_get(rig, &client[1], "/b", "");
	*ret_other = rig_asked(rig, &head);
	cr_assert(strncmp(head, "GET /b ", 7) == 0);
	cr_assert_eq(hf_stat_sum(HF_STAT_ORIGIN_IN_FLIGHT), 1);
	due_now(rig);
	return rig;
}

Test(origin_resume, in_the_pause_the_slot_is_anothers_and_then_it_waits_for_one)
{
	struct rig_client client[2];
	struct rig_conn *other;
	struct rig *rig = paused_rig(client, 1, &other);

	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_QUEUED) == 1);
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 2, "the rest waits for the slot");
	rig_answer(other, RIG_FRESH, 10);
	say_part(asked_from(rig, 10, "\"a\""), TAG_A, 10, LENGTH);
	rig_expect_body(rig, &client[0], LENGTH);
	rig_expect_body(rig, &client[1], 10);
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_FETCH_SUCCESS), 2, "a rest is no fetch");
	cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 0);
	rig_end_all(rig, client, 2);
}

Test(origin_resume, what_waits_for_the_slot_keeps_to_its_state_and_origin)
{
	struct rig_client client[2];
	struct rig_conn *other;
	struct rig *rig = paused_rig(client, 1, &other);

	rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_QUEUED) == 1);
	rig_state_text(rig, "{\"schema\":1,\"version\":\"2\",\"origins\":[],\"routes\":[]}");
	rig_settle(rig);
	rig_answer(other, RIG_FRESH, 10);
	say_part(asked_from(rig, 10, "\"a\""), TAG_A, 10, LENGTH);
	rig_expect_body(rig, &client[0], LENGTH);
	rig_end_all(rig, client, 2);
}

Test(origin_resume, without_a_slot_in_time_or_a_place_in_the_queue_its_readers_are_cut)
{
	for (uint32_t max_queue = 0; max_queue < 2; max_queue++) {
		struct rig_client client[2];
		struct rig_conn *other;
		struct rig *rig = paused_rig(client, max_queue, &other);

		if (max_queue > 0) {
			rig_until(rig, hf_stat_sum(HF_STAT_ORIGIN_QUEUED) == 1);
			due_now(rig);
		}
		rig_until(rig, rig_client_cut(&client[0]));
		cr_expect_eq(hf_stat_sum(HF_STAT_ORIGIN_QUEUED), 0);
		cr_expect(!rig_lookup(rig, "/a", ""));
		rig_answer(other, RIG_FRESH, 10);
		rig_expect_body(rig, &client[1], 10);
		rig_end_all(rig, client, 2);
	}
}

Test(origin_resume, a_rest_has_the_time_of_a_head_however_long_the_body_took)
{
	struct rig *rig = resume_rig();
	struct rig_client client;

	cut_at(rig, &client, "/a", 10);
	HF_CONTAINER_OF(hf_list_first(&rig->origin->all), struct origin_fetch, all_link)
		->deadline_us = 1; /* long ago */
	say_part(asked_from(rig, 10, "\"a\""), TAG_A, 10, LENGTH);
	rig_expect_body(rig, &client, LENGTH);
	rig_end_all(rig, &client, 1);
}

/* ---- the parts' heads ---- */

Test(origin_resume, rfc9111_3_4_what_the_parts_say_is_stored)
{
	struct rig *rig = resume_rig();
	struct rig_client client;
	struct rig_conn *conn;

	rig_get(rig, &client, "/a", "");
	say_cut(rig, &client, RIG_FRESH TAG_A "X-Old: 1\r\nX-Same: 1\r\n", 10);
	conn = asked_from(rig, 10, "\"a\"");
	say_part(conn, TAG_A "X-One: 1\r\nX-Two: 1\r\nCache-Control: max-age=1000\r\n", 10, 20);
	conn->close_after = true;
	say_part(asked_from(rig, 20, "\"a\""), TAG_A "X-Two: 2\r\nX-Old: 2\r\n", 20, LENGTH);
	rig_expect_body(rig, &client, LENGTH);
	cr_assert(rig_has(rig_head_of(&client), "X-Old: 1"));
	rig_end(rig, &client);
	expect_hit(rig, "/a");
	cr_assert(stored_has(rig, "/a", "HTTP/1.1 200"));
	cr_assert(stored_has(rig, "/a", "max-age=1000") && !stored_has(rig, "/a", "max-age=60\r"));
	cr_assert(stored_has(rig, "/a", "X-One: 1") && stored_has(rig, "/a", "X-Same: 1"));
	cr_assert(stored_has(rig, "/a", "X-Two: 2") && !stored_has(rig, "/a", "X-Two: 1"));
	cr_assert(stored_has(rig, "/a", "X-Old: 2") && !stored_has(rig, "/a", "X-Old: 1"));
	cr_assert(!stored_has(rig, "/a", "Content-Range"));
	cr_assert_eq(rig_lookup(rig, "/a", "")->life.lifetime_s, 1000);
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, rfc9111_3_4_a_part_that_may_not_be_stored_or_shared)
{
	static const char *const fields[] = { TAG_A "Cache-Control: no-store\r\n",
		TAG_A "Cache-Control: private\r\n", TAG_A "Vary: *\r\n", TAG_A "Vary: Accept\r\n" };
	struct rig *rig = resume_rig();

	for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++) {
		struct rig_client client, other;
		struct rig_conn *conn;
		const char *head;
		char path[32];

		(void)snprintf(path, sizeof(path), "/%zu", i);
		cut_at(rig, &client, path, 10);
		conn = asked_from(rig, 10, "\"a\"");
		say_part(conn, fields[i], 10, 5000);
		rig_until(rig, client.read_len == 5000);
		say_bytes(conn, 5000, LENGTH);
		rig_expect_body(rig, &client, LENGTH);
		rig_end(rig, &client);
		rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
		cr_expect(!rig_lookup(rig, path, ""), "%s", fields[i]);
		rig_get(rig, &other, path, "");
		rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
		rig_expect_body(rig, &other, 10);
		rig_end(rig, &other);
	}
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, after_a_part_that_may_not_be_shared_nobody_joins)
{
	struct rig *rig = resume_rig();
	struct rig_client client, other;
	struct rig_conn *conn;
	const char *head;

	cut_at(rig, &client, "/a", 10);
	conn = asked_from(rig, 10, "\"a\"");
	say_part(conn, TAG_A "Cache-Control: private\r\n", 10, 5000);
	rig_until(rig, client.read_len == 5000);
	rig_get(rig, &other, "/a", "");
	rig_answer(rig_asked(rig, &head), RIG_FRESH, 10);
	rig_expect_body(rig, &other, 10);
	rig_end(rig, &other);
	say_bytes(conn, 5000, LENGTH);
	rig_expect_body(rig, &client, LENGTH);
	rig_end_all(rig, &client, 1);
}

Test(origin_resume, a_part_s_cookies_are_not_stored)
{
	struct rig *rig = resume_rig();
	struct rig_client client;

	rig_get(rig, &client, "/a", "");
	say_cut(rig, &client, "Cache-Control: public, max-age=60\r\n" TAG_A, 10);
	say_part(asked_from(rig, 10, "\"a\""), TAG_A "Set-Cookie: secret=1\r\n", 10, LENGTH);
	rig_expect_body(rig, &client, LENGTH);
	rig_end(rig, &client);
	expect_hit(rig, "/a");
	cr_assert(!stored_has(rig, "/a", "secret"));
	rig_end_all(rig, NULL, 0);
}

/* ---- purges (G3) ---- */

Test(origin_resume, g3_what_is_purged_meanwhile_is_only_for_those_who_wait)
{
	struct rig *rig = resume_rig();
	struct rig_client client;
	struct rig_conn *conn;

	cut_at(rig, &client, "/a", 10);
	conn = asked_from(rig, 10, "\"a\"");
	(void)origin_purge_key(rig->origin, &client.xchg->key, false);
	say_part(conn, TAG_A, 10, LENGTH);
	rig_expect_body(rig, &client, LENGTH);
	rig_end(rig, &client);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, g3_what_is_purged_while_nobody_reads_it_ends_with_its_next_bytes)
{
	struct rig *rig = resume_rig();
	struct rig_client client;
	struct rig_conn *conn;
	struct hf_key key;
	char text[256];

	cut_at(rig, &client, "/a", 10);
	conn = asked_from(rig, 10, "\"a\"");
	key = client.xchg->key;
	memcpy(text, key.ptr, key.len);
	key.ptr = text;
	rig_end(rig, &client);
	cr_assert_eq(hf_origin_in_flight(rig->origin), 1);
	(void)origin_purge_key(rig->origin, &key, false);
	say_part(conn, TAG_A, 10, 5000);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	rig_settle(rig);
	cr_assert_eq(rig_requests(rig), 2);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_end_all(rig, NULL, 0);
}

Test(origin_resume, g3_a_tag_of_a_part_that_was_purged_meanwhile_counts)
{
	const struct hf_purge_walk walk = { .kind = HF_PURGE_TAG, .text = { "t", 1 } };
	struct rig *rig = resume_rig();
	struct rig_client client, other;
	struct rig_conn *conn;
	const char *head;
	uint64_t count;

	cut_at(rig, &client, "/a", 10);
	conn = asked_from(rig, 10, "\"a\"");
	cr_assert_eq(hf_origin_purge_begin(rig->origin, &walk), 0);
	rig_until(rig, hf_origin_purge_done(rig->origin, &count));
	say_part(conn, TAG_A "Cache-Tag: t\r\n", 10, 5000);
	rig_until(rig, client.read_len == 5000);
	rig_get(rig, &other, "/a", "");
	rig_answer(rig_asked(rig, &head), "Cache-Control: no-store\r\n", 10);
	rig_expect_body(rig, &other, 10);
	rig_end(rig, &other);
	say_bytes(conn, 5000, LENGTH);
	rig_expect_body(rig, &client, LENGTH);
	cr_assert(!rig_lookup(rig, "/a", ""));
	rig_end_all(rig, &client, 1);
}
