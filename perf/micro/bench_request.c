/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a worker does for a hit between TCP in and TCP out: parse the head, build the key, hash it, look the
 * object up, judge its freshness, write the answer's head. Keys in random order, of as many objects as asked for.
 * Beside them what a line costs of the memory where these objects are, at random too, when the next one is known only
 * then: by this a lookup among more objects may be slower for each line that it reads, and no more.
 */
#include <string.h>

#include "bench.h"
#include "hf_arena.h"
#include "hf_cache.h"
#include "hf_http.h"
#include "hf_resp.h"

#define OPS 200000

struct bench {
	uint32_t objects;
	struct hf_arena *arena;
	struct hf_cache *cache;
	uint64_t random, sum;
	const void *base; /* of the memory that holds objects */
	uint64_t lines;
	struct hf_http_req req;
	struct hf_cache_req facts;
	struct hf_key key[OPS];
	const struct hf_obj *obj[OPS];
	char text[OPS][64];
};

static const char bench_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
				 "Cache-Control: max-age=3600\r\n"
				 "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

static uint32_t bench_key(uint32_t i, char *buf, size_t cap)
{
	return (uint32_t)snprintf(buf, cap, "http://bench.example/objects/%08u.html", i);
}

static void bench_fill(struct bench *bench)
{
	struct hf_shard *shard = hf_cache_shard(bench->cache, 0);

	for (uint32_t i = 0; i < bench->objects; i++) {
		char key[64], body[64] = "";
		uint32_t len = bench_key(i, key, sizeof(key));
		struct hf_obj_spec spec = { .key = { key, len,
						    hf_cache_hash(bench->cache, key, len) },
			.head = { bench_head, sizeof(bench_head) - 1 },
			.length = sizeof(body),
			.life = { .lifetime_s = 3600 },
			.status = 200 };
		struct hf_obj *obj = hf_shard_obj_new(shard, &spec);

		HF_ASSERT(obj != NULL);
		HF_ASSERT(hf_shard_fill(shard, obj, body, sizeof(body)) == sizeof(body));
		hf_shard_fill_end(shard, obj);
		hf_shard_publish(shard, obj);
		hf_shard_obj_unref(shard, obj);
	}
}

static void bench_parse(void *ctx, uint32_t ops)
{
	static const char head[] =
		"GET /objects/00000001.html HTTP/1.1\r\nHost: bench.example\r\n"
		"User-Agent: bench/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n";
	const struct hf_http_limits limits = { 16384, 8192, 100 };
	struct bench *bench = ctx;
	struct hf_http_fault fault;

	for (uint32_t i = 0; i < ops; i++)
		HF_ASSERT(hf_http_req_parse(head, sizeof(head) - 1, &limits, &bench->req, &fault) ==
			  HF_PARSE_DONE);
}

static void bench_build_key(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;
	const struct hf_http_req *req = &bench->req;

	for (uint32_t i = 0; i < ops; i++)
		HF_ASSERT(hf_http_key_build(bench->text[0], 64, req->scheme, req->authority,
				  req->path_query) > 0);
}

static void bench_keys(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;

	for (uint32_t i = 0; i < ops; i++) {
		uint32_t which = bench_random(&bench->random, bench->objects);

		bench->key[i].ptr = bench->text[i];
		bench->key[i].len = bench_key(which, bench->text[i], sizeof(bench->text[i]));
	}
}

static void bench_hash(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;

	for (uint32_t i = 0; i < ops; i++)
		bench->key[i].hash =
			hf_cache_hash(bench->cache, bench->key[i].ptr, bench->key[i].len);
}

static void bench_lookup(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;
	enum hf_lookup verdict;

	for (uint32_t i = 0; i < ops; i++) {
		bench->obj[i] =
			hf_cache_lookup(bench->cache, &bench->key[i], &bench->req, &verdict);
		HF_ASSERT(bench->obj[i] != NULL);
	}
}

static void bench_line(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;
	const uint8_t *base = bench->base;
	uint64_t state = bench->random;

	for (uint32_t i = 0; i < ops; i++) {
		uint64_t at;

		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		at = (uint64_t)((unsigned __int128)state * bench->lines >> 64) * HF_CACHE_LINE;
		state += base[at]; /* so the next one waits for it */
	}
	bench->random = state;
}

static void bench_rules(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;

	for (uint32_t i = 0; i < ops; i++) {
		hf_cache_req_init(&bench->req, &bench->facts);
		HF_ASSERT(hf_cache_req_allows(&bench->facts));
	}
}

/* Of one object, so that it is the rules that count and not the way to it. */
static void bench_fresh(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;

	for (uint32_t i = 0; i < ops; i++)
		HF_ASSERT(
			hf_obj_use(bench->obj[0], &bench->facts.cc, 1000000) == HF_CACHE_USE_FRESH);
}

static void bench_answer(void *ctx, uint32_t ops)
{
	struct bench *bench = ctx;
	struct hf_resp_head head = { .minor = 1,
		.keep_alive = true,
		.stored = { bench_head, sizeof(bench_head) - 1 },
		.framing = HF_RESP_BODY_LENGTH,
		.content_length = 64,
		.cache_status = "hit" };
	char buf[1024];

	for (uint32_t i = 0; i < ops; i++) {
		head.age_s = i & 1023;
		bench->sum += hf_resp_head_build(buf, sizeof(buf), &head);
	}
}

int main(int argc, char **argv)
{
	static struct bench bench = { .objects = 1000000, .random = 1 };
	const struct bench_stage stages[] = { { "parse", OPS, bench_parse, NULL },
		{ "key", OPS, bench_build_key, NULL }, { "hash", OPS, bench_hash, bench_keys },
		{ "lookup", OPS, bench_lookup, NULL },
		{ "a line of memory", OPS, bench_line, NULL }, { "rules", OPS, bench_rules, NULL },
		{ "freshness", OPS, bench_fresh, NULL }, { "head", OPS, bench_answer, NULL } };
	uint32_t rounds = 5, hugepages = 0;
	size_t region, page;
	void *base;
	const struct bench_option options[] = { { "objects", &bench.objects, 1, 16000000 },
		{ "rounds", &rounds, 1, BENCH_ROUNDS_MAX }, { "hugepages", &hugepages, 0, 1 } };
	struct hf_cache_cfg cfg = { .shards = 1, .workers = 1, .leases_max = 16 };

	bench_options(argc, argv, options, HF_ARRAY_LEN(options));
	HF_ASSERT(hf_arena_new((size_t)bench.objects * 1024 + (64 << 20), hugepages, NULL,
			  &bench.arena) == 0);
	cfg.arena = bench.arena;
	HF_ASSERT(hf_cache_new(&cfg, NULL, &bench.cache) == 0);
	bench_fill(&bench);
	hf_arena_region(bench.arena, &base, &region, &page); /* it hands out from its beginning */
	bench.base = region > 0 ? base : bench.text; /* in sanitizer builds there is no region */
	bench.lines =
		(region > 0 ? hf_arena_used(bench.arena) : sizeof(bench.text)) / HF_CACHE_LINE;
	bench_run(stages, HF_ARRAY_LEN(stages), &bench, rounds);
	hf_cache_free(bench.cache);
	hf_arena_free(bench.arena);
	return bench.sum == 0;
}
