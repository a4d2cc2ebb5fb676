/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a worker does for a request before it sends: parse the head, build the key, hash it, look the
 * object up. Nanoseconds an operation, the median of rounds, over keys in random order.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hf_arena.h"
#include "hf_cache.h"
#include "hf_http.h"

#define OPS 200000

enum stage { PARSE, KEY, HASH, LOOKUP, STAGES };

static const char *const stage_names[STAGES] = { "parse", "key", "hash", "lookup" };

struct bench {
	struct hf_arena *arena;
	struct hf_cache *cache;
	uint32_t objects;
	uint64_t random;
};

static uint64_t bench_random(struct bench *bench)
{
	bench->random = bench->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return bench->random >> 33;
}

static int bench_key(struct bench *bench, uint32_t i, char *buf, size_t cap)
{
	(void)bench;
	return snprintf(buf, cap, "http://bench.example/objects/%08u.html", i);
}

static void bench_fill(struct bench *bench)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
	struct hf_shard *shard = hf_cache_shard(bench->cache, 0);

	for (uint32_t i = 0; i < bench->objects; i++) {
		char key[64];
		int len = bench_key(bench, i, key, sizeof(key));
		struct hf_obj_spec spec = { .key = { key, (uint32_t)len,
						    hf_cache_hash(
							    bench->cache, key, (uint32_t)len) },
			.head = { head, sizeof(head) - 1 },
			.length = 64,
			.status = 200 };
		struct hf_obj *obj = hf_shard_obj_new(shard, &spec);
		char body[64] = "";

		HF_ASSERT(obj != NULL);
		HF_ASSERT(hf_shard_fill(shard, obj, body, sizeof(body)) == sizeof(body));
		hf_shard_fill_end(shard, obj);
		hf_shard_publish(shard, obj);
		hf_shard_obj_unref(shard, obj);
	}
}

static uint64_t bench_ns(void)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* One round: each stage over all operations, so that the clock is read seldom. */
static void bench_round(struct bench *bench, uint64_t ret_ns[STAGES])
{
	static struct hf_http_req req;
	static struct hf_key keys[OPS];
	static char text[OPS][64], head[512];
	const struct hf_http_limits limits = { 16384, 8192, 100 };
	struct hf_http_fault fault;
	enum hf_lookup verdict;
	uint64_t begin_ns;
	int head_len = snprintf(head, sizeof(head),
		"GET /objects/00000001.html HTTP/1.1\r\nHost: bench.example\r\n"
		"User-Agent: bench/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n");

	begin_ns = bench_ns();
	for (uint32_t i = 0; i < OPS; i++)
		HF_ASSERT(hf_http_req_parse(head, (size_t)head_len, &limits, &req, &fault) ==
			  HF_PARSE_DONE);
	ret_ns[PARSE] = bench_ns() - begin_ns;
	begin_ns = bench_ns();
	for (uint32_t i = 0; i < OPS; i++)
		HF_ASSERT(hf_http_key_build(
				  text[0], 64, req.scheme, req.authority, req.path_query) > 0);
	ret_ns[KEY] = bench_ns() - begin_ns;
	for (uint32_t i = 0; i < OPS; i++) {
		keys[i].ptr = text[i];
		keys[i].len = (uint32_t)bench_key(
			bench, (uint32_t)(bench_random(bench) % bench->objects), text[i], 64);
	}
	begin_ns = bench_ns();
	for (uint32_t i = 0; i < OPS; i++)
		keys[i].hash = hf_cache_hash(bench->cache, keys[i].ptr, keys[i].len);
	ret_ns[HASH] = bench_ns() - begin_ns;
	begin_ns = bench_ns();
	for (uint32_t i = 0; i < OPS; i++)
		HF_ASSERT(hf_cache_lookup(bench->cache, &keys[i], &req, &verdict) != NULL);
	ret_ns[LOOKUP] = bench_ns() - begin_ns;
}

static int bench_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void bench_run(struct bench *bench, uint32_t rounds)
{
	uint64_t(*ns)[STAGES] = calloc(rounds, sizeof(*ns));
	uint64_t *column = calloc(rounds, sizeof(*column));

	HF_ASSERT(ns && column);
	for (uint32_t r = 0; r < rounds; r++)
		bench_round(bench, ns[r]);
	printf("objects %u, medians of %u rounds of %u operations\n", bench->objects, rounds, OPS);
	for (uint32_t s = 0; s < STAGES; s++) {
		for (uint32_t r = 0; r < rounds; r++)
			column[r] = ns[r][s];
		qsort(column, rounds, sizeof(*column), bench_order);
		printf("%-8s %6.1f ns\n", stage_names[s], (double)column[rounds / 2] / OPS);
	}
	free(ns);
	free(column);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "objects", required_argument, NULL, 'o' },
		{ "rounds", required_argument, NULL, 'r' }, { 0 } };
	struct bench bench = { .objects = 100000, .random = 1 };
	struct hf_cache_cfg cfg = { .shards = 1, .workers = 1, .leases_max = 16 };
	uint32_t rounds = 5;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'o')
			bench.objects = (uint32_t)strtoul(optarg, NULL, 10);
		else if (option == 'r')
			rounds = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (bench.objects == 0 || rounds == 0) {
		fprintf(stderr, "usage: bench_cache_lookup [--objects N] [--rounds N], N > 0\n");
		return 2;
	}
	HF_ASSERT(hf_arena_new((size_t)bench.objects * 2048 + (64 << 20), false, NULL,
			  &bench.arena) == 0);
	cfg.arena = bench.arena;
	HF_ASSERT(hf_cache_new(&cfg, NULL, &bench.cache) == 0);
	bench_fill(&bench);
	bench_run(&bench, rounds);
	hf_cache_free(bench.cache);
	hf_arena_free(bench.arena);
	return 0;
}
