/* SPDX-License-Identifier: BSD-3-Clause
 *
 * tcp_sim [--seeds N] [--seed K] [-v]: N worlds from K on, or K alone; -v prints its packets.
 */
#include "tcp_sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hf_stat.h"

#ifdef HF_SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

#define SEEDS_DEFAULT 200

struct sim_args {
	uint64_t first, count;
	bool verbose;
};

/* Which seed it was, when a sanitizer or a signal ends the process. */
static void sim_died(void)
{
	char text[64];
	int len = snprintf(
		text, sizeof(text), "seed %" PRIu64 ": the process died\n", sim_world_seed());

	(void)!write(STDERR_FILENO, text, (size_t)len);
}

static void sim_signal(int number)
{
	sim_died();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static void sim_hooks(void)
{
	hf_panic_hook_set(sim_world_panic);
#ifdef HF_SANITIZED
	__sanitizer_set_death_callback(sim_died);
#else
	(void)signal(SIGSEGV, sim_signal);
	(void)signal(SIGBUS, sim_signal);
#endif
	(void)signal(SIGABRT, sim_signal);
	(void)signal(SIGTERM, sim_signal); /* as a runner's time limit */
}

static bool sim_args_parse(int argc, char **argv, struct sim_args *ret_args)
{
	struct sim_args args = { .first = 1 };

	for (int i = 1; i < argc; i++) {
		bool more = i + 1 < argc;

		if (strcmp(argv[i], "-v") == 0) {
			args.verbose = true;
		} else if (strcmp(argv[i], "--seeds") == 0 && more) {
			args.count = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--seed") == 0 && more) {
			args.first = strtoull(argv[++i], NULL, 10);
			args.count = args.count ? args.count : 1;
		} else {
			return false;
		}
	}
	args.count = args.count ? args.count : SEEDS_DEFAULT;
	*ret_args = args;
	return true;
}

int main(int argc, char **argv)
{
	uint64_t failures = 0, segments = 0, bytes = 0;
	struct sim_args args;

	if (!sim_args_parse(argc, argv, &args)) {
		fprintf(stderr, "usage: %s [--seeds N] [--seed K] [-v]\n", argv[0]);
		return 2;
	}
	(void)hf_stat_register("sim");
	sim_hooks();
	for (uint64_t i = 0; i < args.count; i++)
		failures += !sim_world_run(args.first + i, args.verbose, &segments, &bytes);
	printf("%" PRIu64 " seeds, %" PRIu64 " segments, %" PRIu64 " bytes, %" PRIu64 " failures\n",
		args.count, segments, bytes, failures);
	return failures ? 1 : 0;
}
