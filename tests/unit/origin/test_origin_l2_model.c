/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Requests, purges, changes of content, losses of L1, and faults of L2, at random from a seed. What is served is one of
 * the versions that the origin had, whole, and none from before a purge that was over when the request began.
 */
#include "origin_answer.h"
#include "rig_l2.h"

#define MODEL_URLS        6
#define MODEL_CLIENTS     4
#define MODEL_BODY        600
#define MODEL_PATIENCE_US 300000000 /* a walk yields the CPU at each step */

struct model_url {
	uint32_t version; /* of the origin, now */
	uint32_t floor;   /* when it was purged last */
	char path[16];
};

struct model_client {
	struct rig_client client;
	bool busy;
	uint32_t url, floor;
	bool german;
};

struct model {
	struct store *store;
	uint64_t seed;
	struct model_url url[MODEL_URLS];
	struct model_client client[MODEL_CLIENTS];
	uint64_t served;
};

static uint32_t model_random(struct model *model, uint32_t below)
{
	model->seed ^= model->seed << 13; /* xorshift64 */
	model->seed ^= model->seed >> 7;
	model->seed ^= model->seed << 17;
	return (uint32_t)(model->seed >> 33) % below;
}

/* Half of the URLs have variants. */
static bool model_varies(uint32_t url)
{
	return url % 2 == 1;
}

static void model_body(char body[MODEL_BODY + 1], uint32_t url, uint32_t version, bool german)
{
	char text[32];
	size_t len = (size_t)snprintf(text, sizeof(text), "%u/%u/%s;", url, version,
		model_varies(url) && german ? "de" : "en");

	for (size_t i = 0; i < MODEL_BODY; i++)
		body[i] = text[i % len];
	body[MODEL_BODY] = '\0';
}

/* ---- the origin ---- */

static void model_answer(struct model *model, struct rig_conn *conn, const char *head)
{
	uint32_t url = (uint32_t)strtoul(strstr(head, "/u") + 2, NULL, 10);
	uint32_t version = model->url[url].version;
	bool german = rig_head_has(head, "Accept-Language: de");
	char body[MODEL_BODY + 1], etag[64], text[512];

	(void)snprintf(etag, sizeof(etag), "\"%u-%u-%d\"", url, version, german);
	(void)snprintf(text, sizeof(text), "If-None-Match: %s", etag);
	if (rig_head_has(head, text)) {
		(void)snprintf(text, sizeof(text),
			"HTTP/1.1 304 Not Modified\r\nETag: %s\r\nCache-Control: "
			"max-age=3600\r\n%s\r\n",
			etag, model_varies(url) ? "Vary: Accept-Language\r\n" : "");
		rig_say(conn, text);
		return;
	}
	model_body(body, url, version, german);
	(void)snprintf(text, sizeof(text),
		"HTTP/1.1 200 OK\r\nETag: %s\r\nCache-Control: max-age=3600\r\nContent-Length: "
		"%d\r\n"
		"Surrogate-Key: tag%u\r\n%s\r\n",
		etag, MODEL_BODY, url, model_varies(url) ? "Vary: Accept-Language\r\n" : "");
	rig_say(conn, text);
	rig_say(conn, body);
}

static void model_origin(struct model *model)
{
	struct rig *rig = model->store->rig;

	for (uint32_t i = 0; i < rig->conns; i++) {
		struct rig_conn *conn = &rig->conn[i];
		char *head, *end;

		while (conn->fd >= 0 && conn->in.data &&
			(end = strstr(head = conn->in.data + conn->seen, "\r\n\r\n")) != NULL) {
			conn->seen += (size_t)(end + 4 - head);
			model_answer(model, conn, head);
		}
		if (conn->seen > 60000 && conn->seen == conn->in.len) {
			conn->in.len = 0; /* nobody counts them */
			conn->in.data[0] = '\0';
			conn->seen = 0;
		}
	}
}

/* ---- clients ---- */

static void model_check(struct model *model, struct model_client *of)
{
	const char *body = of->client.body.data;
	char whole[MODEL_BODY + 1], *at;
	uint32_t url, version;

	cr_assert(of->client.head && !of->client.fail);
	cr_assert_eq(of->client.read_len, MODEL_BODY);
	url = (uint32_t)strtoul(body, &at, 10);
	version = (uint32_t)strtoul(at + 1, NULL, 10);
	cr_assert_eq(url, of->url);
	model_body(whole, url, version, of->german);
	cr_assert(memcmp(whole, body, MODEL_BODY) == 0, "not one version, whole: %.40s", body);
	cr_assert_leq(version, model->url[url].version);
	cr_assert_geq(version, of->floor, "%u was purged when it was %u", version, of->floor);
	model->served++;
}

static void model_begin(struct model *model, struct model_client *of)
{
	of->busy = true;
	of->url = model_random(model, MODEL_URLS);
	of->german = model_random(model, 2);
	of->floor = model->url[of->url].floor;
	rig_get(model->store->rig, &of->client, model->url[of->url].path,
		of->german ? "Accept-Language: de\r\n" : "Accept-Language: en\r\n");
}

static void model_turn(struct model *model)
{
	rig_turn(model->store->rig);
	store_turn(model->store);
	model_origin(model);
	for (uint32_t i = 0; i < MODEL_CLIENTS; i++) {
		struct model_client *of = &model->client[i];

		cr_assert(!of->busy || !of->client.fail, "a request failed");
		if (!of->busy || of->client.xchg == NULL || of->client.xchg->finished ||
			!rig_client_at_end(&of->client))
			continue;
		model_check(model, of);
		rig_finish(model->store->rig, &of->client);
	}
	for (uint32_t i = 0; i < MODEL_CLIENTS; i++)
		if (model->client[i].busy && model->client[i].client.gone) {
			free(model->client[i].client.body.data);
			model->client[i].busy = false;
		}
}

/* ---- what happens ---- */

static struct hf_key model_key(struct model *model, uint32_t url, char buf[64])
{
	int len = snprintf(buf, 64, "http://a.test%s", model->url[url].path);

	return (struct hf_key){ buf, (uint32_t)len,
		hf_cache_hash(model->store->rig->cache, buf, (uint32_t)len) };
}

static void model_purge_many(struct model *model, uint32_t url)
{
	static const enum hf_purge kinds[] = { HF_PURGE_TAG, HF_PURGE_PREFIX, HF_PURGE_ALL };
	struct hf_purge_walk walk = { .kind = kinds[model_random(model, 3)],
		.soft = model_random(model, 2) };
	uint64_t give_up_us = hf_clock_us() + MODEL_PATIENCE_US, count;
	char text[64];

	if (walk.kind == HF_PURGE_TAG)
		(void)snprintf(text, sizeof(text), "tag%u", url);
	else
		(void)snprintf(text, sizeof(text), "http://a.test%s", model->url[url].path);
	if (walk.kind != HF_PURGE_ALL)
		walk.text = (struct hf_span){ text, strlen(text) };
	cr_assert(hf_origin_purge_begin(model->store->rig->origin, &walk) == 0);
	while (!hf_origin_purge_done(model->store->rig->origin, &count)) {
		model_turn(model);
		cr_assert(hf_clock_us() < give_up_us);
	}
	for (uint32_t i = 0; i < MODEL_URLS; i++)
		if (i == url || walk.kind == HF_PURGE_ALL)
			model->url[i].floor = model->url[i].version;
}

static void model_purge(struct model *model, uint32_t url)
{
	char buf[64];
	struct hf_key key = model_key(model, url, buf);

	(void)origin_purge_key(model->store->rig->origin, &key, model_random(model, 2));
	model->url[url].floor = model->url[url].version;
}

static void model_forget_l1(struct model *model, uint32_t url)
{
	static const char *const fields[] = { "Accept-Language: de\r\n",
		"Accept-Language: en\r\n" };
	struct hf_obj *obj;

	for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++)
		while ((obj = rig_lookup(model->store->rig, model->url[url].path, fields[i])) !=
			NULL)
			cr_assert(hf_shard_remove(model->store->rig->shard, obj));
}

static void model_cut(struct store *store)
{
	while (store->conns > 0)
		store_hang_up(store, store->conns - 1);
}

static void model_fault(struct model *model)
{
	struct store *store = model->store;
	uint32_t item = store->items > 0 ? model_random(model, store->items) : 0;

	store->backwards = model_random(model, 2);
	switch (model_random(model, 7)) {
	case 0:
		model_cut(store);
		break;
	case 1:
		for (uint32_t i = 0; i < store->items; i++)
			store->item[i].value.len = 0;
		break;
	case 2: {
		struct rig_buf *value = &store->item[item].value;

		if (store->items > 0 && value->len > 0)
			value->data[model_random(model, (uint32_t)value->len)] ^= 0x20;
		break;
	}
	case 3:
		store->mood = STORE_ERROR;
		break;
	case 4:
		store->mood = STORE_FULL;
		break;
	case 5:
		store->mood = STORE_SILENT;
		break;
	case 6:
		store->mood = STORE_BUSY;
		break;
	}
}

static void model_step(struct model *model)
{
	uint32_t what = model_random(model, 1000), url = model_random(model, MODEL_URLS);
	struct model_client *of = &model->client[model_random(model, MODEL_CLIENTS)];

	if (what < 4)
		model_fault(model);
	else if (what < 40)
		model->store->mood = STORE_GOOD;
	else if (what < 42)
		model_purge_many(model, url);
	else if (what < 80)
		model_purge(model, url);
	else if (what < 150)
		model->url[url].version++;
	else if (what < 500)
		model_forget_l1(model, url);
	else if (!of->busy)
		model_begin(model, of);
	else
		model_turn(model);
}

static void model_run(uint64_t seed, uint32_t steps)
{
	struct model model = { .store = store_new(""), .seed = seed };
	struct rig *rig = model.store->rig;
	uint64_t give_up_us;
	bool busy = true;

	rig->conf.l2.read_timeout_ms = 3; /* who is busy is late too */
	rig->conf.l2.write_timeout_ms = 3;
	hf_origin_conf_set(rig->origin, &rig->conf);
	for (uint32_t i = 0; i < MODEL_URLS; i++)
		(void)snprintf(model.url[i].path, sizeof(model.url[i].path), "/u%u", i);
	for (uint32_t i = 0; i < steps; i++)
		model_step(&model);
	give_up_us = hf_clock_us() + MODEL_PATIENCE_US;
	while (busy) {
		model_turn(&model);
		busy = false;
		for (uint32_t i = 0; i < MODEL_CLIENTS; i++)
			busy |= model.client[i].busy;
		cr_assert(hf_clock_us() < give_up_us, "a request without an end");
	}
	cr_log_info("seed %llu: %llu served, %llu from L2", (unsigned long long)seed,
		(unsigned long long)model.served, (unsigned long long)stat_of(HF_STAT_L2_HIT));
	cr_assert_gt(model.served, steps / 20);
	cr_assert_gt(stat_of(HF_STAT_L2_HIT), 0);
	store_free(model.store);
}

Test(origin_l2_model, nothing_is_served_from_before_a_purge_whatever_l2_does, .timeout = 1800)
{
	model_run(0x4c32, getenv("HF_LONG") ? 100000 : 2000);
}
