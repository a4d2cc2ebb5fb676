/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Traces made from a seed: what web caches, CDNs and block caches are known to see, each alone, so
 * that what a policy is bad at shows.
 */
#include "trace.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GEN_COLD     (1ULL << 40) /* ids of objects that are no part of the popular ones */
#define GEN_SIZE_MIN 200
#define GEN_SIZE_MAX (32ULL << 20)

struct gen {
	const struct trace_spec *spec;
	struct trace_build *build;
	uint64_t random;
	double *zipf; /* cumulative, of `zipf_count` ranks */
	uint32_t zipf_count;
	double alpha; /* the number after the name's colon */
	uint64_t (*size)(struct gen *gen, uint64_t id);
};

static uint64_t gen_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t gen_random(struct gen *gen)
{
	return gen_mix(gen->random += 0x9e3779b97f4a7c15);
}

static double gen_unit(uint64_t random)
{
	return ((double)(random >> 11) + 0.5) / (double)(1ULL << 53);
}

static uint64_t gen_below(struct gen *gen, uint64_t limit)
{
	return gen_random(gen) % limit;
}

static void gen_zipf_init(struct gen *gen, uint32_t count, double alpha)
{
	double sum = 0;

	free(gen->zipf);
	gen->zipf = malloc(count * sizeof(*gen->zipf));
	gen->zipf_count = count;
	HF_ASSERT(gen->zipf != NULL && count > 0);
	for (uint32_t i = 0; i < count; i++)
		gen->zipf[i] = sum += pow(i + 1, -alpha);
}

/* A rank from 0. */
static uint32_t gen_zipf(struct gen *gen)
{
	double at = gen_unit(gen_random(gen)) * gen->zipf[gen->zipf_count - 1];
	uint32_t low = 0, high = gen->zipf_count - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (gen->zipf[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void gen_add(struct gen *gen, uint64_t id)
{
	trace_build_add(gen->build, id, gen->size(gen, id));
}

/* ---- sizes: a function of seed and id ---- */

static uint64_t gen_size_equal(struct gen *gen, uint64_t id)
{
	return gen->spec->size;
}

static uint64_t gen_size_clamp(double size)
{
	return size >= (double)GEN_SIZE_MAX ? GEN_SIZE_MAX
					    : hf_max_u64((uint64_t)size, GEN_SIZE_MIN);
}

/* Median 8 KiB, mean about 45 KiB. */
static uint64_t gen_size_lognormal(struct gen *gen, uint64_t id)
{
	double a = gen_unit(gen_mix(id * 2 + gen->spec->seed + 1));
	double b = gen_unit(gen_mix(gen_mix(id + gen->spec->seed + 7)));
	double normal = sqrt(-2 * log(a)) * cos(2 * M_PI * b);

	return gen_size_clamp(8192 * exp(1.85 * normal));
}

static uint64_t gen_size_pareto(struct gen *gen, uint64_t id)
{
	return gen_size_clamp(1000 / pow(gen_unit(gen_mix(id * 2 + gen->spec->seed + 1)), 1 / 1.1));
}

/* ---- requests ---- */

static void gen_make_zipf(struct gen *gen)
{
	gen_zipf_init(gen, gen->spec->objects, gen->alpha);
	for (uint64_t i = 0; i < gen->spec->requests; i++)
		gen_add(gen, gen_zipf(gen));
}

/* Runs of never seen ids, of a tenth of the objects each, between three times as many requests. */
static void gen_make_scan(struct gen *gen)
{
	uint64_t run = gen->spec->objects / 10 + 1, cold = GEN_COLD;

	gen_zipf_init(gen, gen->spec->objects, gen->alpha);
	for (uint64_t i = 0; i < gen->spec->requests; i++)
		gen_add(gen, i / run % 4 == 3 ? cold++ : gen_zipf(gen));
}

/* Twenty times during the trace a third of all ranks goes to new objects. */
static void gen_make_shift(struct gen *gen)
{
	uint32_t count = gen->spec->objects;
	uint64_t *ids = malloc(count * sizeof(*ids)), next = count;
	uint64_t period = gen->spec->requests / 20 + 1;

	HF_ASSERT(ids != NULL);
	gen_zipf_init(gen, count, gen->alpha);
	for (uint32_t i = 0; i < count; i++)
		ids[i] = i;
	for (uint64_t i = 0; i < gen->spec->requests; i++) {
		if (i % period == period - 1) {
			for (uint32_t j = 0; j < count; j++) {
				if (gen_below(gen, 3) == 0)
					ids[j] = next++;
			}
		}
		gen_add(gen, ids[gen_zipf(gen)]);
	}
	free(ids);
}

/* A loop over all objects, and as many requests for popular ones of another set. */
static void gen_make_loop(struct gen *gen)
{
	uint64_t at = 0;

	gen_zipf_init(gen, gen->spec->objects, gen->alpha);
	for (uint64_t i = 0; i < gen->spec->requests; i++) {
		if (gen_below(gen, 2) == 0)
			gen_add(gen, GEN_COLD + at++ % (gen->spec->objects / 4 + 1));
		else
			gen_add(gen, gen_zipf(gen));
	}
}

/* News: one request in four is for a new object, the others for what came lately, by Zipf's law of
 * how lately. */
static void gen_make_churn(struct gen *gen)
{
	uint64_t born = 0;

	gen_zipf_init(gen, gen->spec->objects, gen->alpha);
	for (uint64_t i = 0; i < gen->spec->requests; i++) {
		uint64_t back;

		if (born == 0 || gen_below(gen, 4) == 0) {
			gen_add(gen, born++);
			continue;
		}
		back = gen_zipf(gen);
		gen_add(gen, born - 1 - back % born);
	}
}

/* LRU's own: what was asked for lately is asked for again, by Zipf's law of how many others were
 * between. A Fenwick tree over time finds the n-th most recent. */
struct gen_stack {
	uint32_t *tree; /* 1 where an object's last request was */
	uint64_t *id_at;
	uint64_t len;
};

static void gen_stack_add(struct gen_stack *stack, uint64_t at, int by)
{
	for (at++; at <= stack->len; at += at & -at)
		stack->tree[at] += (uint32_t)by;
}

/* The place of the n-th one from the beginning of time, n from 1. */
static uint64_t gen_stack_find(const struct gen_stack *stack, uint64_t n)
{
	uint64_t at = 0, step = 1;

	while (step * 2 <= stack->len)
		step *= 2;
	for (; step; step /= 2) {
		if (at + step > stack->len || stack->tree[at + step] >= n)
			continue;
		at += step;
		n -= stack->tree[at];
	}
	return at;
}

static void gen_make_recency(struct gen *gen)
{
	struct gen_stack stack = { .len = gen->spec->requests };
	uint64_t alive = 0;

	stack.tree = calloc(stack.len + 1, sizeof(*stack.tree));
	stack.id_at = calloc(stack.len + 1, sizeof(*stack.id_at));
	HF_ASSERT(stack.tree && stack.id_at);
	gen_zipf_init(gen, gen->spec->objects, gen->alpha);
	for (uint64_t i = 0; i < stack.len; i++) {
		uint64_t back = gen_zipf(gen), at;

		if (back >= alive) {
			stack.id_at[i] = alive++;
		} else {
			at = gen_stack_find(&stack, alive - back);
			stack.id_at[i] = stack.id_at[at];
			gen_stack_add(&stack, at, -1);
		}
		gen_stack_add(&stack, i, 1);
		gen_add(gen, stack.id_at[i]);
	}
	free(stack.tree);
	free(stack.id_at);
}

/* A web's day: popularity that drifts, one rank at a time; one-hit wonders; news; a crawler that
 * comes again and again. */
struct gen_web {
	uint64_t cold, crawled, born, period, now;
};

/* Each rank gets a new object once in a period, each at its time. */
static uint64_t gen_web_id(const struct gen_web *web, uint64_t rank)
{
	return rank << 20 | (web->now + gen_mix(rank) % web->period) / web->period;
}

static void gen_make_web(struct gen *gen)
{
	struct gen_web web = { .period = gen->spec->requests / 4 + 1 };
	uint32_t count = gen->spec->objects;

	gen_zipf_init(gen, count, gen->alpha);
	for (; web.now < gen->spec->requests; web.now++) {
		uint64_t kind = gen_below(gen, 100);
		bool crawling = web.now / (count + 1) % 3 == 2;

		if (kind < 15) {
			gen_add(gen, GEN_COLD + web.cold++);
		} else if (kind < 30) {
			web.born += gen_below(gen, 4) == 0;
			gen_add(gen, 2 * GEN_COLD + web.born - gen_zipf(gen) % (web.born + 1));
		} else if (kind < 50 && crawling) {
			gen_add(gen, gen_web_id(&web, web.crawled++ % count));
		} else {
			gen_add(gen, gen_web_id(&web, gen_zipf(gen)));
		}
	}
}

/* Each eighth of the trace is of another kind, over ids of its own: zipf, a loop, news, a scan. */
static void gen_make_phases(struct gen *gen)
{
	uint64_t period = gen->spec->requests / 8 + 1, scanned = 0;

	gen_zipf_init(gen, gen->spec->objects, gen->alpha);
	for (uint64_t i = 0; i < gen->spec->requests; i++) {
		uint64_t phase = i / period, at = i % period;

		switch (phase % 4) {
		case 0:
			gen_add(gen, phase * GEN_COLD + gen_zipf(gen));
			break;
		case 1:
			gen_add(gen, phase * GEN_COLD + at % (gen->spec->objects / 4 + 1));
			break;
		case 2:
			gen_add(gen,
				phase * GEN_COLD + at / 4 + gen->spec->objects - gen_zipf(gen));
			break;
		default:
			gen_add(gen, 3 * GEN_COLD + scanned++);
		}
	}
}

static const char *const gen_names[] = {
	"zipf",
	"popularity by Zipf's law (alpha 0.9; zipf:0.6 for another, as with all below)",
	"scan",
	"zipf with runs of ids that never come again",
	"shift",
	"zipf; a third of the ranks goes to new objects twenty times",
	"loop",
	"half of it a loop, half zipf",
	"churn",
	"news: new objects all the time, asked for while they are new",
	"recency",
	"asked for by how lately it was asked for: LRU's best case",
	"web",
	"a mixture of the above",
	"phases",
	"zipf, a loop, news, a scan, one after the other",
	"mixed",
	"zipf, sizes log-normal: 200 B to 32 MiB, median 8 KiB",
	"pareto",
	"zipf, sizes by Pareto's law: 1000 B to 32 MiB",
	"mixed-scan",
	"scan, sizes log-normal",
	"mixed-shift",
	"shift, sizes log-normal",
	"mixed-churn",
	"churn, sizes log-normal",
	"mixed-recency",
	"recency, sizes log-normal",
	"mixed-web",
	"web, sizes log-normal",
	"mixed-phases",
	"phases, sizes log-normal",
	NULL,
};

const char *const *trace_gen_names(void)
{
	return gen_names;
}

static const struct {
	const char *name;
	void (*make)(struct gen *gen);
	uint64_t (*size)(struct gen *gen, uint64_t id);
} gen_kinds[] = {
	{ "zipf", gen_make_zipf, gen_size_equal },
	{ "scan", gen_make_scan, gen_size_equal },
	{ "shift", gen_make_shift, gen_size_equal },
	{ "loop", gen_make_loop, gen_size_equal },
	{ "churn", gen_make_churn, gen_size_equal },
	{ "recency", gen_make_recency, gen_size_equal },
	{ "web", gen_make_web, gen_size_equal },
	{ "phases", gen_make_phases, gen_size_equal },
	{ "mixed", gen_make_zipf, gen_size_lognormal },
	{ "pareto", gen_make_zipf, gen_size_pareto },
	{ "mixed-scan", gen_make_scan, gen_size_lognormal },
	{ "mixed-shift", gen_make_shift, gen_size_lognormal },
	{ "mixed-churn", gen_make_churn, gen_size_lognormal },
	{ "mixed-recency", gen_make_recency, gen_size_lognormal },
	{ "mixed-web", gen_make_web, gen_size_lognormal },
	{ "mixed-phases", gen_make_phases, gen_size_lognormal },
};

int trace_gen(const char *name, const struct trace_spec *spec, struct trace *ret_trace)
{
	size_t name_len = strcspn(name, ":");
	struct gen gen = { .spec = spec, .random = gen_mix(spec->seed), .alpha = 0.9 };
	char none[] = "", *end = none;

	if (name[name_len] == ':')
		gen.alpha = strtod(name + name_len + 1, &end);
	if (*end != '\0' || !(gen.alpha >= 0 && gen.alpha <= 5))
		return -ENOENT;
	for (size_t i = 0; i < HF_ARRAY_LEN(gen_kinds); i++) {
		if (strlen(gen_kinds[i].name) != name_len ||
			strncmp(name, gen_kinds[i].name, name_len) != 0)
			continue;
		gen.build = trace_build_new();
		gen.size = gen_kinds[i].size;
		gen_kinds[i].make(&gen);
		free(gen.zipf);
		trace_build_end(gen.build, name, ret_trace);
		return 0;
	}
	return -ENOENT;
}
