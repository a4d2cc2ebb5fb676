/* SPDX-License-Identifier: BSD-3-Clause
 *
 * G4: windows, memory, request bodies; what is sent to an origin.
 */
#include <pthread.h>

#include "origin_answer.h"
#include "rig.h"

/* Chunks of odd sizes, so that curl cuts what it hands over in odd places. */
static void answer_chunked(struct rig_conn *conn, size_t len)
{
	char *body = rig_body(len), size[32];

	rig_say(conn, "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0, n = 1; at < len; at += n, n = n * 13 % 50021 + 1) {
		n = hf_min_size(n, len - at);
		(void)snprintf(size, sizeof(size), "%zx\r\n", n);
		rig_say(conn, size);
		rig_buf_add(&conn->out, body + at, n);
		rig_say(conn, "\r\n");
	}
	rig_say(conn, "0\r\n\r\n");
	free(body);
}

/* As far as a stream may be ahead in a cache of so much memory. */
static void window(bool chunked, size_t memory)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client client;
	size_t len = 6 << 20, before, most = 0;
	uint64_t window;

	rig_conf(rig);
	rig_up(rig, memory);
	window = hf_min_u64(HF_XCHG_WINDOW, hf_shard_object_max(rig->shard) / 8);
	before = hf_arena_used(rig->arena);
	rig_get(rig, &client, "/a", "");
	client.eager = false;
	rig_until(rig, rig_requests(rig) == 1);
	if (chunked)
		answer_chunked(&rig->conn[0], len);
	else
		rig_answer(&rig->conn[0], "Cache-Control: no-store\r\n", len);
	rig_until(rig, client.head);
	rig_until(rig, atomic_load(&client.xchg->obj->filled) == window);
	rig_settle(rig);
	cr_assert_eq(atomic_load(&client.xchg->obj->filled), window);
	for (size_t step = 1; !rig_client_at_end(&client); step = step * 7 % 60013 + 1) {
		rig_client_read(&client, step);
		rig_client_ack(rig, &client);
		rig_turn(rig);
		most = hf_arena_used(rig->arena) > most ? hf_arena_used(rig->arena) : most;
		cr_assert_leq(atomic_load(&client.xchg->obj->filled), client.read_len + window);
	}
	cr_assert_eq(client.read_len, len);
	cr_assert_eq(client.bad_at, UINT64_MAX);
	cr_assert_leq(most - before, 2 * window);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_flow, a_stream_is_at_most_a_window_ahead_of_its_reader)
{
	window(/* chunked= */ false, 64 << 20);
}

Test(origin_flow, a_chunked_stream_too)
{
	window(/* chunked= */ true, 64 << 20);
}

/* A few clients who do not read must not hold all of it. */
Test(origin_flow, a_stream_through_a_small_cache_has_a_sixteenth_of_it)
{
	window(/* chunked= */ false, 1 << 20);
}

Test(origin_flow, many_streams_are_less_ahead_each)
{
	struct rig *rig = rig_new();
	struct rig_client client[40];
	uint64_t window = hf_shard_object_max(rig->shard) / 4 / 40;
	char path[16];

	cr_assert(window > ORIGIN_SCARCE_WINDOW && window < HF_XCHG_WINDOW);
	for (uint32_t i = 0; i < 40; i++) {
		(void)snprintf(path, sizeof(path), "/%u", i);
		rig_get(rig, &client[i], path, "");
		client[i].eager = false;
	}
	rig_until(rig, rig_requests(rig) == 40);
	for (uint32_t i = 0; i < 40; i++)
		rig_answer(&rig->conn[i], "Cache-Control: no-store\r\n", 2 << 20);
	for (uint32_t i = 0; i < 40; i++) {
		rig_until(rig, client[i].head);
		rig_until(rig, atomic_load(&client[i].xchg->obj->filled) == window);
	}
	rig_settle(rig);
	for (uint32_t i = 0; i < 40; i++) {
		cr_assert_eq(atomic_load(&client[i].xchg->obj->filled), window);
		rig_end(rig, &client[i]);
	}
	rig_free(rig);
}

Test(origin_flow, a_stream_is_less_ahead_while_another_fetch_waits_for_memory)
{
	struct rig *rig = rig_new();
	struct origin_fetch other = { .state = ORIGIN_BODY };
	struct rig_client client;

	rig_get(rig, &client, "/a", "");
	client.eager = false;
	hf_list_add_tail(&rig->origin->memory, &other.memory_link);
	rig_until(rig, rig_requests(rig) == 1);
	rig_answer(&rig->conn[0], "Cache-Control: no-store\r\n", 2 << 20);
	rig_until(rig, client.head);
	rig_until(rig, atomic_load(&client.xchg->obj->filled) == ORIGIN_SCARCE_WINDOW);
	rig_settle(rig);
	cr_assert_eq(atomic_load(&client.xchg->obj->filled), ORIGIN_SCARCE_WINDOW);
	hf_list_del(&other.memory_link);
	while (!rig_client_at_end(&client)) {
		rig_client_read(&client, 50000);
		rig_client_ack(rig, &client);
		rig_turn(rig);
	}
	cr_assert_eq(client.bad_at, UINT64_MAX);
	rig_end(rig, &client);
	rig_free(rig);
}

/* A body that outgrew what is stored, with three who read it: one has all there is, one nothing. The fetch
 * is that one's if he LEADS. */
static void lag(uint64_t read, bool cut, bool leads)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client first, second, last;
	size_t len = 4 << 20;
	char *body = rig_body(len);

	rig_conf(rig);
	rig->conf.cache.max_object = 100000;
	rig_up(rig, 64 << 20);
	rig->origin->lag_us = 20000;
	if (leads)
		rig_get(rig, &last, "/a", "");
	rig_get(rig, &first, "/a", "");
	rig_get(rig, &second, "/a", "");
	if (!leads)
		rig_get(rig, &last, "/a", "");
	last.eager = second.eager = false;
	rig_until(rig, rig_requests(rig) == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\n" RIG_FRESH "\r\n");
	rig_buf_add(&rig->conn[0].out, body, len);
	rig->conn[0].close_after = true;
	rig_until(rig, last.head && first.read_len == HF_XCHG_WINDOW);
	rig_client_read(&second, read);
	rig_client_ack(rig, &second);
	rig_until(rig, atomic_load(&last.xchg->laggard));
	cr_assert(!atomic_load(&first.xchg->laggard));
	cr_assert_eq(atomic_load(&second.xchg->laggard), cut);
	rig_end(rig, &last);
	if (cut)
		rig_end(rig, &second);
	second.eager = true;
	rig_until(rig, rig_client_at_end(&first) && (cut || rig_client_at_end(&second)));
	cr_assert_eq(first.read_len, len);
	cr_assert_eq(first.bad_at, UINT64_MAX);
	rig_end(rig, &first);
	if (!cut)
		rig_end(rig, &second);
	free(body);
	rig_free(rig);
}

Test(origin_flow, who_holds_up_the_others_of_a_stream_is_cut)
{
	lag(1000, /* cut= */ true, /* leads= */ false);
}

Test(origin_flow, who_holds_up_the_others_is_cut_though_it_is_his_fetch)
{
	lag(HF_XCHG_WINDOW / 2, /* cut= */ false, /* leads= */ true);
}

Test(origin_flow, who_is_not_far_behind_is_not)
{
	lag(HF_XCHG_WINDOW / 2, /* cut= */ false, /* leads= */ false);
}

static bool all_whole(struct rig *rig, struct rig_client *client, uint32_t count)
{
	uint32_t gone = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!client[i].gone && rig_client_at_end(&client[i])) {
			cr_assert_eq(client[i].read_len, 1500000);
			cr_assert_eq(client[i].bad_at, UINT64_MAX);
			rig_end(rig, &client[i]);
		}
		cr_assert(client[i].gone || (!client[i].fail && !rig_client_cut(&client[i])));
		gone += client[i].gone;
	}
	return gone == count;
}

Test(origin_flow, storable_bodies_share_scarce_memory)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client client[8];
	char path[16];

	rig_conf(rig);
	rig_up(rig, 8 << 20);
	rig->origin->memory_wait_us = UINT32_MAX; /* none gets by because another one failed */
	for (uint32_t i = 0; i < 8; i++) {
		(void)snprintf(path, sizeof(path), "/%u", i);
		rig_get(rig, &client[i], path, "");
	}
	rig_until(rig, rig_requests(rig) == 8);
	for (uint32_t i = 0; i < 8; i++)
		rig_answer(&rig->conn[i], RIG_FRESH, 1500000);
	rig_until(rig, all_whole(rig, client, 8));
	cr_assert_leq(hf_arena_used(rig->arena), 8 << 20);
	rig_free(rig);
}

/* All memory is in objects whose readers have not finished. Returns how many readers. */
static uint32_t hoard(struct rig *rig, struct rig_client *client, uint32_t max, size_t len)
{
	char path[16];

	for (uint32_t i = 0; i < max; i++) {
		uint32_t requests = rig_requests(rig);

		(void)snprintf(path, sizeof(path), "/h%u", i);
		rig_get(rig, &client[i], path, "");
		rig_until(rig, rig_requests(rig) == requests + 1);
		rig_answer(&rig->conn[0], RIG_FRESH, len);
		rig_until(
			rig, rig_client_at_end(&client[i]) || !hf_list_empty(&rig->origin->memory));
		if (!rig_client_at_end(&client[i]))
			return i; /* the last one waits for memory */
	}
	cr_assert_fail("memory without end");
	return 0;
}

static struct rig *hoard_rig(uint64_t store_wait_us)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_conf(rig);
	rig_up(rig, 8 << 20);
	rig->origin->store_wait_us = store_wait_us;
	return rig;
}

Test(origin_flow, a_fetch_goes_on_when_memory_comes_back)
{
	struct rig *rig = hoard_rig(10000000);
	struct rig_client client[32];
	uint32_t n = hoard(rig, client, 32, 690000);

	rig_settle(rig);
	cr_assert(!rig_client_at_end(&client[n]));
	rig_end(rig, &client[0]);
	rig_end(rig, &client[1]);
	rig_until(rig, rig_client_at_end(&client[n]));
	cr_assert_eq(client[n].read_len, 690000);
	cr_assert_eq(client[n].bad_at, UINT64_MAX);
	for (uint32_t i = 2; i <= n; i++)
		rig_end(rig, &client[i]);
	rig_free(rig);
}

Test(origin_flow, a_purged_fetch_that_nobody_reads_ends_when_memory_comes_back)
{
	struct rig *rig = hoard_rig(10000000);
	struct rig_client client[32];
	uint32_t n = hoard(rig, client, 32, 640000);
	char text[256];
	struct hf_key key = client[n].xchg->key;

	cr_assert_lt(key.len, sizeof(text));
	key.ptr = memcpy(text, key.ptr, key.len);
	cr_assert_gt(atomic_load(&client[n].xchg->obj->filled), HF_XCHG_WINDOW / 2);
	rig_end(rig, &client[n]);
	cr_assert_eq(hf_origin_in_flight(rig->origin), 1, "it goes on, to be stored");
	cr_assert_eq(origin_purge_key(rig->origin, &key, /* soft= */ false), 0);
	rig_end(rig, &client[0]);
	rig_end(rig, &client[1]);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	for (uint32_t i = 2; i < n; i++)
		rig_end(rig, &client[i]);
	rig_free(rig);
}

Test(origin_flow, a_fetch_without_memory_becomes_a_stream)
{
	struct rig *rig = hoard_rig(30000);
	struct rig_client client[32];
	uint32_t n = hoard(rig, client, 32, 690000);

	/* the room it has is what its reader leaves behind, chunk by chunk */
	cr_assert_gt(client[n].read_len, 2 * HF_ARENA_CHUNK);
	rig_until(rig, rig_client_at_end(&client[n]));
	cr_assert_eq(client[n].read_len, 690000);
	cr_assert_eq(client[n].bad_at, UINT64_MAX);
	cr_assert(client[n].xchg->obj->flags & HF_OBJ_STREAM);
	for (uint32_t i = 0; i <= n; i++)
		rig_end(rig, &client[i]);
	rig_free(rig);
}

Test(origin_flow, without_memory_for_a_head_the_answer_is_503)
{
	struct rig *rig = hoard_rig(10000000);
	struct rig_client client[32], late;
	struct origin_reader *reader;
	uint32_t n = hoard(rig, client, 32, 690000);
	uint32_t requests = rig_requests(rig);
	void *block[4096];
	size_t lens[4096];
	uint32_t blocks = 0;

	/* and what the arena still has, in blocks of any size */
	for (size_t len = HF_ARENA_CHUNK; len >= 64; len -= 16)
		while (blocks < 4096 && (block[blocks] = hf_arena_alloc(rig->arena, len)) != NULL)
			lens[blocks++] = len;
	rig_get(rig, &late, "/late", "");
	rig_until(rig, rig_requests(rig) == requests + 1);
	for (uint32_t i = 1; i < rig->conns; i++)
		if (rig->conn[i].fd >= 0 && rig->conn[i].in.len > 0)
			rig_answer(&rig->conn[i], RIG_FRESH, 0);
	reader = late.xchg->origin;
	rig_until(rig, reader->fetch->state == ORIGIN_ADMIT);
	origin_flow_memory_late(rig->origin, reader->fetch);
	rig_until(rig, late.fail);
	cr_assert_eq(late.xchg->fail_status, 503);
	cr_assert_eq(late.xchg->fail_reason, HF_DROP_REQ_NO_MEMORY);
	for (uint32_t i = 0; i < blocks; i++)
		hf_arena_release(rig->arena, block[i], lens[i]);
	rig_end(rig, &late);
	for (uint32_t i = 0; i <= n; i++)
		rig_end(rig, &client[i]);
	rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
	rig_free(rig);
}

static void upload_pump(struct rig *rig, struct rig_client *client)
{
	while (client->upload_sent < client->upload_len) {
		struct hf_xchg_body *body = hf_xchg_body_get(rig->net, client->xchg);
		uint64_t left = client->upload_len - client->upload_sent;

		if (!body)
			return;
		body->len = (uint32_t)hf_min_u64(left, HF_XCHG_BODY_LEN);
		for (uint32_t i = 0; i < body->len; i++)
			body->data[i] = rig_byte(client->upload_sent + i) | 0x80;
		client->upload_sent += body->len;
		body->last = client->upload_sent == client->upload_len;
		hf_xchg_to_origin(rig->link, HF_XCHG_BODY, body);
	}
}

/* Undoes chunks in place; the length, or -1 when the last chunk is not there yet. */
static ssize_t unchunk(char *data)
{
	char *from = data, *to = data;

	for (;;) {
		char *end;
		unsigned long n = strtoul(from, &end, 16);

		if (end == from || strncmp(end, "\r\n", 2) != 0)
			return -1;
		from = end + 2;
		if (n == 0)
			return to - data;
		memmove(to, from, n);
		to += n;
		from += n + 2;
	}
}

static void upload(bool chunked)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct rig_conn *conn = &rig->conn[0];
	const char *body;
	ssize_t len = 1 << 20;

	rig_start_text(rig, &client,
		chunked ? "POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
			: "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1048576\r\n\r\n");
	client.eager = true;
	client.upload_len = 1 << 20;
	upload_pump(rig, &client);
	/* the origin thread has sent what there is, and must wait for the client */
	rig_until(rig, client.bodies_done == HF_XCHG_BODIES_MAX);
	rig_settle(rig);
	while (client.bodies_done * (uint64_t)HF_XCHG_BODY_LEN < client.upload_len) {
		upload_pump(rig, &client);
		cr_assert_leq(client.xchg->bodies_out, HF_XCHG_BODIES_MAX);
		rig_turn(rig);
	}
	rig_until(rig, rig_requests(rig) > 0);
	if (chunked)
		rig_until(rig, strstr(conn->in.data + conn->in.len - 5, "0\r\n\r\n"));
	else
		rig_until(rig, strstr(conn->in.data, "\r\n\r\n") + 4 + len <=
				       conn->in.data + conn->in.len);
	body = strstr(conn->in.data, "\r\n\r\n") + 4;
	cr_assert(rig_has((struct hf_span){ conn->in.data, (size_t)(body - conn->in.data) },
		chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: 1048576\r\n"));
	cr_assert(!rig_has(
		(struct hf_span){ conn->in.data, (size_t)(body - conn->in.data) }, "Expect"));
	if (chunked)
		len = unchunk((char *)(uintptr_t)body);
	cr_assert_eq(len, 1 << 20);
	for (ssize_t i = 0; i < len; i++)
		cr_assert((uint8_t)body[i] == (rig_byte((uint64_t)i) | 0x80), "at %zd", i);
	rig_answer(conn, "", 5);
	rig_until(rig, rig_client_at_end(&client));
	cr_assert_eq(client.read_len, 5);
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_flow, a_request_body_of_known_length_arrives_whole)
{
	upload(/* chunked= */ false);
}

Test(origin_flow, a_request_body_of_unknown_length_arrives_chunked)
{
	upload(/* chunked= */ true);
}

Test(origin_flow, an_early_answer_reaches_the_client)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_start_text(rig, &client,
		"POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1048576\r\n\r\n");
	client.upload_len = HF_XCHG_BODY_LEN; /* the client stops here and waits */
	upload_pump(rig, &client);
	rig_until(rig, client.bodies_done == 1);
	rig_say(&rig->conn[0], "HTTP/1.1 413 Large\r\nContent-Length: 3\r\n\r\nabc");
	rig_until(rig, client.head);
	cr_assert_eq(client.xchg->obj->status, 413);
	rig_until(rig, atomic_load(&client.xchg->obj->filled) == 3);
	rig_client_read(&client, SIZE_MAX);
	rig_until(rig, rig_client_at_end(&client));
	client.upload_len = 1 << 20; /* what still comes is given back */
	while (client.upload_sent < 400000) {
		upload_pump(rig, &client);
		rig_turn(rig);
	}
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_flow, a_client_that_leaves_during_its_upload_ends_it)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_start_text(rig, &client,
		"POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1048576\r\n\r\n");
	client.upload_len = 2 * HF_XCHG_BODY_LEN;
	upload_pump(rig, &client);
	rig_until(rig, rig_requests(rig) == 1);
	rig_end(rig, &client);
	cr_assert_eq(client.bodies_done, 2);
	rig_until(rig, rig->conn[0].eof);
	rig_free(rig);
}

Test(origin_flow, the_request_is_what_the_worker_wrote_and_nothing_else)
{
	struct rig *rig = rig_new();
	struct rig_client client;

	rig_start_text(rig, &client,
		"GET /a/../b//c?x=%41&[y] HTTP/1.1\r\nHost: a.test\r\nX-Empty:\r\n"
		"User-Agent: u\r\n\r\n");
	client.eager = true;
	rig_until(rig, rig_requests(rig) == 1);
	cr_assert(rig_has((struct hf_span){ rig->conn[0].in.data, rig->conn[0].in.len },
			  "GET /a/../b//c?x=%41&[y] HTTP/1.1\r\nHost: a.test\r\nX-Empty:\r\n"
			  "User-Agent: u\r\n"),
		"%s", rig->conn[0].in.data);
	cr_assert(!strstr(rig->conn[0].in.data, "Accept"));
	cr_assert(!strstr(rig->conn[0].in.data, "Content"));
	rig_answer(&rig->conn[0], RIG_FRESH, 1);
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	rig_free(rig);
}

Test(origin_flow, head_and_methods_without_body)
{
	static const struct {
		const char *request, *line, *field;
	} cases[] = {
		{ "HEAD /a HTTP/1.1\r\nHost: a.test\r\n\r\n", "HEAD /a HTTP/1.1\r\n", NULL },
		{ "DELETE /a HTTP/1.1\r\nHost: a.test\r\n\r\n", "DELETE /a HTTP/1.1\r\n", NULL },
		{ "PUT /a HTTP/1.1\r\nHost: a.test\r\n\r\n", "PUT /a HTTP/1.1\r\n",
			"Content-Length: 0\r\n" },
		{ "BREW /a HTTP/1.1\r\nHost: a.test\r\n\r\n", "BREW /a HTTP/1.1\r\n", NULL },
	};

	for (uint32_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
		struct rig *rig = rig_new();
		struct rig_client client;
		struct hf_span sent;

		rig_start_text(rig, &client, cases[i].request);
		client.eager = true;
		rig_until(rig, rig_requests(rig) == 1);
		sent = (struct hf_span){ rig->conn[0].in.data, rig->conn[0].in.len };
		cr_assert(rig_has(sent, cases[i].line), "%s", sent.ptr);
		if (cases[i].field)
			cr_assert(rig_has(sent, cases[i].field), "%s", sent.ptr);
		else
			cr_assert(!rig_has(sent, "Content-Length"), "%s", sent.ptr);
		if (i == 0)
			rig_say(&rig->conn[0], "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
		else
			rig_answer(&rig->conn[0], "", 77);
		rig_until(rig, client.head);
		cr_assert_eq(client.xchg->obj->length, 77);
		cr_assert_eq(!!(client.xchg->obj->flags & HF_OBJ_NO_BODY), i == 0);
		rig_until(rig, hf_origin_in_flight(rig->origin) == 0);
		cr_assert_eq(client.xchg->obj->length, 77);
		rig_until(rig, client.read_len == (i == 0 ? 0U : 77U));
		rig_end(rig, &client);
		rig_free(rig);
	}
}

static void *call_thread(void *arg)
{
	void **args = arg;

	return (void *)(intptr_t)hf_origin_call(args[0], args[1]);
}

static int call_while_stepping(struct rig *rig, struct hf_origin_call *call)
{
	void *args[] = { rig->origin, call };
	pthread_t thread;
	void *rc;

	hf_rcu_offline();
	cr_assert(pthread_create(&thread, NULL, call_thread, args) == 0);
	while (pthread_tryjoin_np(thread, &rc) != 0)
		hf_origin_step(rig->origin, 1);
	hf_rcu_online();
	return (int)(intptr_t)rc;
}

Test(origin_flow, control_sees_and_purges_variants)
{
	struct rig *rig = rig_new();
	struct rig_client client;
	struct hf_origin_call call = { .what = HF_ORIGIN_SHOW };
	char key[64];

	rig_get(rig, &client, "/a", "Accept-Encoding: gzip\r\n");
	rig_until(rig, rig_requests(rig) == 1);
	memcpy(key, client.xchg->key.ptr, client.xchg->key.len);
	call.key = client.xchg->key;
	call.key.ptr = key;
	cr_assert_eq(call_while_stepping(rig, &call), 0);
	cr_assert(call.in_flight);
	cr_assert_eq(call.count, 0);
	rig_answer(&rig->conn[0], RIG_FRESH "Vary: Accept-Encoding\r\n", 123);
	rig_until(rig, rig_client_at_end(&client));
	rig_end(rig, &client);
	cr_assert_eq(call_while_stepping(rig, &call), 0);
	cr_assert(!call.in_flight);
	cr_assert_eq(call.count, 1);
	cr_assert_eq(call.variant[0].length, 123);
	cr_assert_eq(call.variant[0].status, 200);
	cr_assert_leq(call.variant[0].ttl_s, 60);
	cr_assert_geq(call.variant[0].ttl_s, 50);
	cr_assert_str_eq(call.variant[0].vary, "accept-encoding=gzip");
	call.what = HF_ORIGIN_PURGE;
	cr_assert_eq(call_while_stepping(rig, &call), 0);
	cr_assert_eq(call.count, 1);
	cr_assert(!rig_lookup(rig, "/a", "Accept-Encoding: gzip\r\n"));
	rig_free(rig);
}

Test(origin_flow, a_call_to_a_thread_that_stands_still_times_out)
{
	struct rig *rig = rig_new();
	struct hf_origin_call call = { .what = HF_ORIGIN_SHOW, .key = { "k", 1, 1 } };

	cr_assert_eq(hf_origin_call(rig->origin, &call), -ETIMEDOUT);
	rig_turn(rig); /* and is not answered later */
	rig_free(rig);
}

/* What curl has of its own for each of them. */
Test(origin_flow, a_request_gets_no_field_that_the_worker_did_not_write)
{
	static const char *const methods[] = { "GET", "DELETE", "POST", "PUT" };
	static const char *const curls[] = { "User-Agent", "Accept", "Content-Type", "Expect" };
	struct rig *rig = rig_new();
	struct rig_client client;
	const char *head;
	char text[256];

	for (size_t i = 0; i < HF_ARRAY_LEN(methods); i++) {
		struct rig_conn *conn;
		struct hf_span asked;

		(void)snprintf(text, sizeof(text), "%s /a HTTP/1.1\r\nHost: a.test\r\n%s\r\n",
			methods[i], i < 2 ? "" : "Content-Length: 0\r\n");
		rig_start_text(rig, &client, text);
		client.eager = true;
		conn = rig_asked(rig, &head);
		asked = (struct hf_span){ head, (size_t)(strstr(head, "\r\n\r\n") - head) };
		for (size_t j = 0; j < HF_ARRAY_LEN(curls); j++)
			cr_expect(!rig_has(asked, curls[j]), "%s: %s", methods[i], head);
		rig_answer(conn, "Cache-Control: no-store\r\n", 1);
		rig_until(rig, rig_client_at_end(&client));
		rig_end(rig, &client);
	}
	rig_free(rig);
}

/* The socket of a connection that curl has closed unseen, for it was idle for too long, is another's then: epoll has
 * to be told of that one anew. */
Test(origin_flow, a_connection_that_takes_the_place_of_a_closed_one_is_watched)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rig_client client;
	const char *head;

	rig_conf(rig);
	rig->conf.origin.keepalive_ms = 1000;
	rig_up(rig, 64 << 20);
	for (uint32_t i = 0; i < 2; i++) {
		struct rig_conn *conn;

		rig_get(rig, &client, i ? "/b" : "/a", "");
		conn = rig_asked(rig, &head);
		rig_settle(rig); /* it waits for an answer that epoll tells of */
		rig_answer(conn, RIG_FRESH, 1);
		rig_until(rig, rig_client_at_end(&client));
		rig_end(rig, &client);
		(void)usleep(2100000); /* curl counts in seconds */
	}
	cr_expect_eq(rig->conns, 2);
	cr_expect(rig->conn[0].eof);
	rig_free(rig);
}
