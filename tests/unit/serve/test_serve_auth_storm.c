/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A seeded storm around protected routes: requests, answers of the service that come late or not at all, revocations,
 * expiries, purges, evictions, fallback and other states, on a clock of the test's. At each hit, and at each START,
 * the test's own record of what was decided must say yes. HF_SEED=N replays one seed, HF_LONG=1 takes more.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_fallback.h"
#include "hf_siphash.h"
#include "serve_rig.h"

#define S          1000000ULL
#define CLIENTS    6
#define KEYS       6
#define FLOWS      3
#define STEPS      400
#define TTL_S      5
#define NEGATIVE_S 2
#define FALLBACK_S 12

/* What the service has said of a key to a flow; none is revoked. */
struct record {
	bool known, allow;
	uint64_t at_us;
};

struct question {
	struct hf_xchg *xchg;
	uint64_t epoch, at_us;
	uint32_t flow, key, revoked;
};

struct storm {
	uint64_t seed, draws;
	uint32_t flow; /* of the state in force; FLOWS: nothing is protected */
	uint32_t mode;
	struct record record[FLOWS][KEYS];
	uint32_t revoked[KEYS]; /* how often */
	bool truth[KEYS];
	struct question question[CLIENTS * 4];
	uint32_t questions;
	uint32_t asked[CLIENTS]; /* the key that the client's request has; KEYS: none */
	bool waits[CLIENTS];
	bool failed[KEYS]; /* the last question about it was */
	uint32_t hits, starts, denied, errors, stood_in;
};

static struct rig rig;
static struct hf_state *states[FLOWS + 1];
static struct storm storm;

static uint32_t draw(uint32_t below)
{
	static const struct hf_sipkey key = { 1, 2 };
	uint64_t at[2] = { storm.seed, storm.draws++ };

	return (uint32_t)(hf_siphash(&key, at, sizeof(at)) % below);
}

/* A flow for each; what differs makes them different ones. */
static void make_states(void)
{
	for (uint32_t i = 0; i <= FLOWS; i++) {
		char text[1024];

		(void)snprintf(text, sizeof(text),
			"{\"schema\":1,\"version\":\"1\",\"origins\":[{\"group\":\"g\",\"id\":"
			"\"o\","
			"\"url\":\"http://a:1\"}],\"auth_flows\":[{\"id\":\"f%u\",\"cache\":"
			"\"auth_gateway\",\"service\":{\"group\":\"g\"},\"share\":\"%s\",\"ttl\":%"
			"d,"
			"\"negative_ttl\":%d,\"on_error\":{\"fallback_ttl\":%d},\"credential\":{"
			"\"in\":"
			"\"header\",\"name\":\"x-key\"}}],\"routes\":[{\"id\":\"r\",\"host\":\"*\","
			"\"path\":\"/\",\"group\":\"g\"%s}]}",
			i, i == 1 ? "explicit" : "any", TTL_S, NEGATIVE_S, FALLBACK_S,
			i == FLOWS ? ""
			: i == 0   ? ",\"auth\":\"f0\""
			: i == 1   ? ",\"auth\":\"f1\""
				   : ",\"auth\":\"f2\"");
		cr_assert_eq(hf_state_parse(text, strlen(text), stderr, &states[i]), 0);
	}
}

/* May this key have what is protected, by all that the test knows? */
static bool is_allowed(uint32_t key)
{
	const struct record *record;
	uint64_t age_us;

	if (storm.flow == FLOWS)
		return true;
	if (key == KEYS)
		return false;
	record = &storm.record[storm.flow][key];
	age_us = rig.now_us - record->at_us;
	if (!record->known || !record->allow)
		return false;
	if (age_us <= TTL_S * S)
		return true;
	if (!(storm.mode & HF_MODE_FALLBACK) || age_us > FALLBACK_S * S || !storm.failed[key])
		return false;
	storm.stood_in++;
	return true;
}

/* "x-key: kN" among the lines. */
static uint32_t key_of(struct hf_span lines)
{
	const char *at = memmem(lines.ptr, lines.len, "x-key: k", 8);

	return at ? (uint32_t)(at[8] - '0') : KEYS;
}

static void take_question(struct hf_xchg *xchg)
{
	struct question *question = &storm.question[storm.questions++];

	cr_assert_leq(storm.questions, HF_ARRAY_LEN(storm.question));
	*question = (struct question){ .xchg = xchg,
		.at_us = rig.now_us,
		.key = key_of(xchg->lines),
		.flow = (uint32_t)(xchg->ask.flow->id[1] - '0'),
		.epoch = hf_auth_epoch(rig.auth, HF_AUTH_AUTH_GATEWAY) };
	cr_assert_lt(question->key, KEYS);
	question->revoked = storm.revoked[question->key];
}

/* What the worker has posted in this step. */
static void take_messages(void)
{
	void *ptr;
	int kind;

	while ((kind = rig_origin_next(&rig, &ptr)) >= 0) {
		struct hf_xchg *xchg = ptr;

		if (kind == HF_XCHG_ASK) {
			take_question(xchg);
		} else if (kind == HF_XCHG_START) {
			storm.starts++;
			cr_assert(is_allowed(key_of(xchg->lines)), "seed %lu: START of k%u",
				(unsigned long)storm.seed, key_of(xchg->lines));
			xchg->fail_status = 502;
			xchg->fail_reason = HF_DROP_REQ_ORIGIN_FAILED;
			hf_xchg_to_worker(rig.link, HF_XCHG_FAIL, xchg);
			rig_settle(&rig);
		} else if (kind == HF_XCHG_FINISH) {
			hf_xchg_to_worker(rig.link, HF_XCHG_GONE, xchg);
			rig_settle(&rig);
		}
	}
}

static bool begins(const struct rig_client *client, const char *text)
{
	return strncmp(client->out, text, strlen(text)) == 0;
}

/* What clients got in this step, before anything else changes. */
static void look_at_clients(void)
{
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct rig_client *client = &rig.client[i];

		if (!storm.waits[i] || client->out_len == 0)
			continue;
		storm.waits[i] = false;
		if (begins(client, "HTTP/1.1 200 ")) {
			storm.hits++;
			cr_assert(is_allowed(storm.asked[i]), "seed %lu: k%u got %s",
				(unsigned long)storm.seed, storm.asked[i], client->out);
		} else {
			storm.denied += begins(client, "HTTP/1.1 403 ");
			storm.errors += begins(client, "HTTP/1.1 503 ");
			cr_assert_null(strstr(client->out, "xxxxx"));
		}
	}
}

static void settle(void)
{
	take_messages();
	look_at_clients();
}

static void send_request(uint32_t i)
{
	struct rig_client *client = &rig.client[i];
	char text[128], key[32] = "";

	if (storm.waits[i])
		return;
	if (client->port && client->fin && !client->rst)
		rig_reset(&rig, client);
	if (!client->port || client->rst)
		client = rig_connect(&rig, i);
	client->out_len = 0;
	client->out[0] = '\0';
	storm.asked[i] = draw(KEYS + 1);
	storm.waits[i] = true;
	if (storm.asked[i] < KEYS)
		(void)snprintf(key, sizeof(key), "x-key: k%u\r\n", storm.asked[i]);
	(void)snprintf(text, sizeof(text), "GET /%c HTTP/1.1\r\nHost: a.example\r\n%s\r\n",
		'a' + (int)draw(2), key);
	rig_send(&rig, client, text);
	settle();
}

/* The service answers one of those that it was asked, or does not. */
static void answer_question(void)
{
	uint32_t at = storm.questions ? draw(storm.questions) : 0;
	struct question question = storm.question[at];
	struct hf_xchg *xchg = question.xchg;
	bool fails = draw(4) == 0, allow = storm.truth[question.key];
	struct hf_auth_decision decision = { .allow = allow,
		.status = allow ? 200 : 403,
		.decided_us = question.at_us,
		.ttl_us = (allow ? TTL_S : NEGATIVE_S) * S };
	uint8_t who[HF_SHA256_LEN];

	if (storm.questions == 0)
		return;
	storm.question[at] = storm.question[--storm.questions];
	hf_sha256(xchg->ask.credential.ptr, xchg->ask.credential.len, who);
	if (!fails && hf_auth_put(rig.auth, HF_AUTH_AUTH_GATEWAY, &xchg->ask.id, who,
			      question.epoch, &decision)) {
		cr_assert_eq(question.revoked, storm.revoked[question.key]);
		storm.record[question.flow][question.key] =
			(struct record){ true, allow, question.at_us };
	}
	storm.failed[question.key] = fails;
	xchg->ask.failed = fails;
	hf_state_unref(xchg->ask.state);
	hf_xchg_to_worker(rig.link, HF_XCHG_GONE, xchg);
	rig_settle(&rig);
	settle();
}

static void forget(uint32_t key)
{
	for (uint32_t flow = 0; flow < FLOWS; flow++)
		storm.record[flow][key].known = false;
	storm.revoked[key]++;
}

static void revoke(void)
{
	uint32_t key = draw(KEYS + 1);
	uint8_t who[HF_SHA256_LEN];
	char text[4];

	(void)snprintf(text, sizeof(text), "k%u", key);
	hf_sha256(text, 2, who);
	(void)hf_auth_revoke(rig.auth, HF_AUTH_AUTH_GATEWAY, key == KEYS ? NULL : who);
	for (uint32_t i = 0; i < KEYS; i++)
		if (key == KEYS || key == i)
			forget(i);
}

static void change_state(void)
{
	storm.flow = draw(4) == 0 ? FLOWS : draw(FLOWS);
	hf_serve_state_set(rig.serve, states[storm.flow]);
}

static void store(void)
{
	(void)rig_store(&rig, draw(2) ? "http://a.example/a" : "http://a.example/b", 5 + draw(100),
		1 + draw(100));
}

static void purge(void)
{
	struct hf_key key = { .ptr = "http://a.example/a", .len = 18 };

	key.hash = hf_cache_hash(rig.cache, key.ptr, key.len);
	(void)hf_shard_purge(rig.shard, &key, draw(2));
}

static void leave(uint32_t i)
{
	struct rig_client *client = &rig.client[i];

	if (!client->port || client->rst || client->fin)
		return;
	rig_reset(&rig, client);
	storm.waits[i] = false;
	settle();
}

static void step(void)
{
	switch (draw(24)) {
	case 0:
		revoke();
		break;
	case 1:
		storm.truth[draw(KEYS)] = draw(4) != 0;
		break;
	case 2:
		change_state();
		break;
	case 3:
		storm.mode = draw(2) ? HF_MODE_FALLBACK : 0;
		hf_serve_mode_set(rig.serve, storm.mode);
		break;
	case 4:
		store();
		break;
	case 5:
		purge();
		break;
	case 6:
		leave(draw(CLIENTS));
		break;
	case 7:
		(void)hf_auth_reclaim_step(rig.auth);
		break;
	case 8:
	case 9:
		rig.now_us += draw(2 * TTL_S * S);
		break;
	case 10:
		rig.now_us += draw(S);
		break;
	default:
		if (draw(2))
			send_request(draw(CLIENTS));
		else
			answer_question();
	}
}

static void run(uint64_t seed, struct storm *sum)
{
	memset(&storm, 0, sizeof(storm));
	storm.seed = seed;
	rig_open(&rig);
	for (uint32_t i = 0; i < KEYS; i++)
		storm.truth[i] = draw(4) != 0;
	hf_serve_state_set(rig.serve, states[0]);
	for (uint32_t i = 0; i < STEPS; i++)
		step();
	while (storm.questions > 0) /* each request has its answer in the end */
		answer_question();
	for (uint32_t i = 0; i < CLIENTS; i++)
		cr_assert_not(storm.waits[i], "seed %lu: client %u waits", (unsigned long)seed, i);
	rig_close(&rig);
	sum->hits += storm.hits;
	sum->starts += storm.starts;
	sum->denied += storm.denied;
	sum->errors += storm.errors;
	sum->stood_in += storm.stood_in;
}

Test(serve_auth_storm, nobody_gets_what_is_protected_without_an_allow)
{
	const char *one = getenv("HF_SEED");
	uint64_t seed = one ? strtoull(one, NULL, 10) : 1;
	uint64_t end = one ? seed + 1 : getenv("HF_LONG") ? 2000 : 60;
	struct storm sum = { 0 };

	(void)hf_stat_register("test");
	make_states();
	for (; seed < end; seed++)
		run(seed, &sum);
	printf("hits %u, starts %u, denied %u, errors %u, stood in %u\n", sum.hits, sum.starts,
		sum.denied, sum.errors, sum.stood_in);
	/* it is a storm, and each of this happens */
	cr_assert(one || (sum.hits > 100 && sum.starts > 100 && sum.denied > 100 &&
				 sum.errors > 10 && sum.stood_in > 10));
	for (uint32_t i = 0; i <= FLOWS; i++)
		hf_state_unref(states[i]);
}
