/* SPDX-License-Identifier: BSD-3-Clause
 *
 * CONNECT: what is let through, and both ways of it.
 */
#include <criterion/criterion.h>

#include <string.h>

#include "serve_rig.h"

static struct rig rig;

static void setup(void)
{
	rig_open(&rig);
	rig.conf.tunnel.allow = (struct hf_names){ 2, { "b.example:443", "[2001:db8::1]:22" } };
}

static void teardown(void)
{
	rig_close(&rig);
}

TestSuite(serve_tunnel, .init = setup, .fini = teardown);

#define CONNECT(target, fields) "CONNECT " target " HTTP/1.1\r\nHost: x\r\n" fields "\r\n"

/* The next body's text; its buffer goes back. */
static void expect_body(struct hf_xchg *xchg, const char *text, bool last)
{
	struct hf_xchg_body *body;
	void *ptr;
	int kind;

	while ((kind = rig_origin_next(&rig, &ptr)) == HF_XCHG_CREDIT)
		;
	cr_assert_eq(kind, HF_XCHG_BODY);
	body = ptr;
	cr_expect(body->xchg == xchg);
	cr_expect_eq(body->len, strlen(text));
	cr_expect(memcmp(body->data, text, body->len) == 0);
	cr_expect_eq(body->last, last);
	hf_xchg_to_worker(rig.link, HF_XCHG_BODY_DONE, body);
	rig_settle(&rig);
}

Test(serve_tunnel, what_is_not_allowed_is_403_and_closes)
{
	static const struct {
		const char *request;
		const char *status;
	} rows[] = {
		{ CONNECT("b.example:80", "") "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 403 " },
		{ CONNECT("c.example:443", ""), "HTTP/1.1 403 " },
		{ CONNECT("xb.example:443", ""), "HTTP/1.1 403 " },
		/* it has no content */
		{ CONNECT("b.example:443", "Content-Length: 1\r\n"), "HTTP/1.1 400 " },
		{ CONNECT("b.example:443", "Transfer-Encoding: chunked\r\n"), "HTTP/1.1 400 " },
	};

	for (uint32_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
		struct rig_client *client = rig_connect(&rig, i);
		void *ptr;

		rig_send(&rig, client, rows[i].request);
		cr_expect(strstr(client->out, rows[i].status), "%s", client->out);
		cr_expect(client->fin);
		cr_expect_eq(rig_origin_next(&rig, &ptr), -1);
	}
}

Test(serve_tunnel, rfc9110_9_3_6_all_that_follows_is_the_tunnels)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, CONNECT("B.Example:443", "Expect: 100-continue\r\n") "GET / early");
	xchg = rig_expect_start(&rig);
	cr_expect_eq(xchg->method, HF_HTTP_CONNECT);
	cr_expect(xchg->has_body);
	cr_expect(hf_span_eq((struct hf_span){ xchg->key.ptr, xchg->key.len },
		HF_SPAN("http://b.example:443/")));
	expect_body(xchg, "GET / early", false);
	rig_wait(&rig, 100000000); /* how long it may be silent is not for us to say */
	cr_expect_eq(client->out_len, 0);
	obj = rig_answer(&rig, xchg, HF_OBJ_LENGTH_UNKNOWN, /* stream= */ true);
	cr_expect_str_eq(client->out, "HTTP/1.1 200 OK\r\n\r\n");
	rig_send(&rig, client, "more");
	expect_body(xchg, "more", false);
	cr_assert_eq(hf_shard_fill(rig.shard, obj, "answer", 6), 6);
	rig_more(&rig, xchg);
	cr_expect_str_eq(client->out, "HTTP/1.1 200 OK\r\n\r\nanswer");
	rig_send(&rig, client, "last");
	rig_fin(&rig, client);
	expect_body(xchg, "last", false);
	expect_body(xchg, "", true);
	cr_assert_eq(hf_shard_fill(rig.shard, obj, "!", 1), 1);
	rig_more(&rig, xchg);
	cr_expect(strstr(client->out, "answer!") && !client->fin);
	hf_shard_fill_end(rig.shard, obj);
	rig_more(&rig, xchg);
	cr_expect(client->fin && !client->rst);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}

Test(serve_tunnel, one_that_breaks_off_is_reset)
{
	struct rig_client *client = rig_connect(&rig, 0);
	struct hf_xchg *xchg;
	struct hf_obj *obj;

	rig_send(&rig, client, CONNECT("[2001:db8::1]:22", ""));
	xchg = rig_expect_start(&rig);
	obj = rig_answer(&rig, xchg, HF_OBJ_LENGTH_UNKNOWN, /* stream= */ true);
	hf_shard_fill_fail(rig.shard, obj);
	rig_more(&rig, xchg);
	cr_expect(client->rst);
	rig_expect_finish(&rig, xchg);
	hf_shard_obj_unref(rig.shard, obj);
}
