/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Compares the cache's eviction with reference policies: the same requests, the same bytes.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "trace.h"

#define SIM_POLICIES_MAX 16
#define SIM_SIZES_MAX    16
#define SIM_ROWS_MAX     1024

static const struct policy *const sim_policies[] = { &policy_lru, &policy_product, &policy_sieve,
	&policy_s3fifo, &policy_arc, &policy_tinylfu, &policy_gdsf };

/* A cache's size: a part of all objects' bytes, or so many objects of the mean cost. */
struct sim_size {
	char text[16];
	double part, objects;
};

struct sim_result {
	double objects, bytes; /* that were missed, of all that was asked for */
};

struct sim_row {
	char trace[64];
	struct sim_size size;
	struct sim_result result[SIM_POLICIES_MAX];
};

struct sim {
	struct trace_spec spec;
	const struct policy *policies[SIM_POLICIES_MAX];
	uint32_t policy_count;
	struct sim_size sizes[SIM_SIZES_MAX];
	uint32_t size_count;
	struct sim_row rows[SIM_ROWS_MAX];
	uint32_t row_count;
	double limit_mean, limit_worst; /* of the product against LRU; 0: none */
};

static const char sim_usage[] =
	"usage: evict_sim [options] [TRACE...]\n"
	"  TRACE is a file of lines \"id [size]\", or libCacheSim's oracleGeneral records (*.bin,\n"
	"  *.oracleGeneral), or the name of a generated one; none: all generated ones.\n"
	"  --cache LIST     sizes of the cache: 5% of the bytes of all objects, or 30 objects of\n"
	"                   the mean cost (1%,5%,10%,20%)\n"
	"  --policies LIST  the first one is what the others are compared with (all)\n"
	"  --requests N     so many, or of a file at most so many (200000; files: all)\n"
	"  --objects N      that a generated trace makes popular (20000)\n"
	"  --object-size N  bytes of a body, where the trace does not say (1000)\n"
	"  --seed N         of generated traces (1)\n"
	"  --limits A,B     fail unless holdfast's misses are, against the first, at most A in "
	"the\n"
	"                   mean and B at worst (0.92,1.02)\n"
	"policies:";

static void sim_print_usage(FILE *file)
{
	fputs(sim_usage, file);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(sim_policies); i++)
		fprintf(file, " %s", sim_policies[i]->name);
	fputs("\ngenerated traces:\n", file);
	for (const char *const *name = trace_gen_names(); *name; name += 2)
		fprintf(file, "  %-14s %s\n", name[0], name[1]);
}

static struct sim_result sim_run_one(
	const struct policy *policy, const struct trace *trace, const struct policy_world *world)
{
	uint64_t missed = 0, bytes = 0, bytes_missed = 0;
	void *state = policy->open(world);

	for (uint64_t i = 0; i < trace->count; i++) {
		uint32_t object = trace->requests[i];
		bool hit = world->cost[object] <= world->capacity / 2 &&
			   policy->request(state, object);

		missed += !hit;
		bytes += world->cost[object];
		bytes_missed += hit ? 0 : world->cost[object];
	}
	policy->close(state);
	return (struct sim_result){ (double)missed / (double)trace->count,
		(double)bytes_missed / (double)bytes };
}

static void sim_run(struct sim *sim, const struct trace *trace)
{
	struct policy_world world = { .objects = trace->objects, .size = trace->size };
	uint64_t *cost = malloc(trace->objects * sizeof(*cost)), sum = 0;

	HF_ASSERT(cost != NULL);
	for (uint32_t i = 0; i < trace->objects; i++)
		sum += cost[i] = product_cost(trace->size[i]);
	world.cost = cost;
	for (uint32_t i = 0; i < sim->size_count && sim->row_count < SIM_ROWS_MAX; i++) {
		struct sim_row *row = &sim->rows[sim->row_count++];
		double mean = (double)sum / trace->objects;

		row->size = sim->sizes[i];
		snprintf(row->trace, sizeof(row->trace), "%s", trace->name);
		world.capacity =
			(uint64_t)(row->size.part * (double)sum + row->size.objects * mean);
		for (uint32_t j = 0; j < sim->policy_count; j++)
			row->result[j] = sim_run_one(sim->policies[j], trace, &world);
	}
	free(cost);
}

static void sim_print_head(const struct sim *sim, const char *what)
{
	printf("\n%-24s %6s", what, "cache");
	for (uint32_t j = 0; j < sim->policy_count; j++)
		printf(" %9s", sim->policies[j]->name);
	putchar('\n');
}

static double sim_value(const struct sim_row *row, uint32_t policy, bool bytes)
{
	return bytes ? row->result[policy].bytes : row->result[policy].objects;
}

/* Against the first policy's; 1 when neither missed anything. */
static double sim_ratio(const struct sim_row *row, uint32_t policy, bool bytes)
{
	double base = sim_value(row, 0, bytes);

	return base > 0 ? sim_value(row, policy, bytes) / base : 1;
}

static void sim_print(const struct sim *sim, bool bytes)
{
	sim_print_head(sim, bytes ? "byte misses" : "object misses");
	for (uint32_t i = 0; i < sim->row_count; i++) {
		printf("%-24s %6s", sim->rows[i].trace, sim->rows[i].size.text);
		for (uint32_t j = 0; j < sim->policy_count; j++)
			printf(" %9.4f", sim_value(&sim->rows[i], j, bytes));
		putchar('\n');
	}
}

static double sim_mean(const struct sim *sim, uint32_t policy, bool bytes)
{
	double sum = 0;

	for (uint32_t i = 0; i < sim->row_count; i++)
		sum += sim_ratio(&sim->rows[i], policy, bytes);
	return sum / sim->row_count;
}

static double sim_worst(const struct sim *sim, uint32_t policy, bool bytes)
{
	double worst = 0;

	for (uint32_t i = 0; i < sim->row_count; i++) {
		double ratio = sim_ratio(&sim->rows[i], policy, bytes);

		worst = ratio > worst ? ratio : worst;
	}
	return worst;
}

static void sim_print_line(const struct sim *sim, const char *what, bool bytes,
	double (*fn)(const struct sim *sim, uint32_t policy, bool bytes))
{
	printf("%-31s", what);
	for (uint32_t j = 0; j < sim->policy_count; j++)
		printf(" %9.4f", fn(sim, j, bytes));
	putchar('\n');
}

/* Object misses of each trace, the mean over its cache sizes. */
static void sim_print_ratios(const struct sim *sim)
{
	sim_print_head(sim, "object misses, of the first");
	for (uint32_t i = 0; i < sim->row_count; i += sim->size_count) {
		printf("%-31s", sim->rows[i].trace);
		for (uint32_t j = 0; j < sim->policy_count; j++) {
			double sum = 0;

			for (uint32_t k = 0; k < sim->size_count; k++)
				sum += sim_ratio(&sim->rows[i + k], j, false);
			printf(" %9.4f", sum / sim->size_count);
		}
		putchar('\n');
	}
	sim_print_line(sim, "mean", false, sim_mean);
	sim_print_line(sim, "worst", false, sim_worst);
	sim_print_line(sim, "mean of byte misses", true, sim_mean);
	sim_print_line(sim, "worst of byte misses", true, sim_worst);
}

/* ---- the command line ---- */

static bool sim_parse_cache(struct sim *sim, char *list)
{
	char *save;

	sim->size_count = 0;
	for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		struct sim_size *size = &sim->sizes[sim->size_count];
		char *end;
		double value = strtod(word, &end);

		if (sim->size_count == SIM_SIZES_MAX || !(value > 0))
			return false;
		*size = (struct sim_size){ .objects = value };
		if (strcmp(end, "%") == 0)
			*size = (struct sim_size){ .part = value / 100 };
		else if (*end != '\0')
			return false;
		snprintf(size->text, sizeof(size->text), "%s", word);
		sim->size_count++;
	}
	return sim->size_count > 0;
}

static const struct policy *sim_policy(const char *name)
{
	for (uint32_t i = 0; i < HF_ARRAY_LEN(sim_policies); i++) {
		if (strcmp(sim_policies[i]->name, name) == 0)
			return sim_policies[i];
	}
	return NULL;
}

static bool sim_parse_policies(struct sim *sim, char *list)
{
	char *save;

	sim->policy_count = 0;
	for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		const struct policy *policy = sim_policy(word);

		if (!policy || sim->policy_count == SIM_POLICIES_MAX)
			return false;
		sim->policies[sim->policy_count++] = policy;
	}
	return sim->policy_count > 0;
}

static bool sim_parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	char *end;
	uint64_t number = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0' || number == 0 || number > max)
		return false;
	*ret_number = number;
	return true;
}

static bool sim_parse_option(struct sim *sim, int option, char *arg)
{
	uint64_t number = 0;

	switch (option) {
	case 'c':
		return sim_parse_cache(sim, arg);
	case 'p':
		return sim_parse_policies(sim, arg);
	case 'r':
		return sim_parse_number(arg, UINT32_MAX, &sim->spec.requests);
	case 'o':
		if (!sim_parse_number(arg, UINT32_MAX / 2, &number))
			return false;
		sim->spec.objects = (uint32_t)number;
		return true;
	case 'b':
		return sim_parse_number(arg, 1UL << 30, &sim->spec.size);
	case 's':
		return sim_parse_number(arg, UINT64_MAX, &sim->spec.seed);
	case 'l':
		return sscanf(arg, "%lf,%lf", &sim->limit_mean, &sim->limit_worst) == 2;
	default:
		return false;
	}
}

static int sim_trace(struct sim *sim, const char *name)
{
	struct trace_spec spec = sim->spec;
	struct trace trace;
	int err;

	if (spec.requests == 0)
		spec.requests = 200000;
	err = trace_gen(name, &spec, &trace);
	if (err != 0)
		err = trace_read(name, &sim->spec, &trace);
	if (err != 0)
		return err;
	sim_run(sim, &trace);
	trace_fini(&trace);
	return 0;
}

/* Does the product hold what was asked of it? */
static bool sim_holds(const struct sim *sim)
{
	for (uint32_t j = 0; j < sim->policy_count && sim->limit_mean > 0; j++) {
		if (sim->policies[j] == &policy_product)
			return sim_mean(sim, j, false) <= sim->limit_mean &&
			       sim_worst(sim, j, false) <= sim->limit_worst;
	}
	return true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "cache", required_argument, NULL, 'c' },
		{ "policies", required_argument, NULL, 'p' },
		{ "requests", required_argument, NULL, 'r' },
		{ "objects", required_argument, NULL, 'o' },
		{ "object-size", required_argument, NULL, 'b' },
		{ "seed", required_argument, NULL, 's' },
		{ "limits", required_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' },
		{ 0 } };
	static struct sim sim = { .spec = { .objects = 20000, .seed = 1, .size = 1000 } };
	char sizes[] = "1%,5%,10%,20%";
	int option;

	(void)sim_parse_cache(&sim, sizes);
	memcpy(sim.policies, sim_policies, sizeof(sim_policies));
	sim.policy_count = HF_ARRAY_LEN(sim_policies);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			sim_print_usage(stdout);
			return 0;
		}
		if (!sim_parse_option(&sim, option, optarg)) {
			sim_print_usage(stderr);
			return 2;
		}
	}
	for (int i = optind; i < argc; i++) {
		if (sim_trace(&sim, argv[i]) != 0)
			return 1;
	}
	for (const char *const *name = trace_gen_names(); optind == argc && *name; name += 2) {
		if (sim_trace(&sim, *name) != 0)
			return 1;
	}
	sim_print(&sim, false);
	sim_print(&sim, true);
	sim_print_ratios(&sim);
	return sim_holds(&sim) ? 0 : 1;
}
