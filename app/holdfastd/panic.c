/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is left behind when a bug of ours ends the process: who, where, and what was going on.
 */
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "app.h"
#include "hf_stat.h"

static const struct app *panic_app;

static void panic_counters(const struct hf_stat_block *block)
{
	for (uint32_t i = 0; i < HF_STAT_COUNT; i++) {
		uint64_t value = atomic_load_explicit(&block->stat[i], memory_order_relaxed);

		if (value)
			fprintf(stderr, "  %s %s %llu\n", hf_stat_infos[i].name,
				hf_stat_infos[i].labels, (unsigned long long)value);
	}
}

static void panic_dump(void)
{
	void *frames[64];
	uint64_t now_us = hf_clock_us();

	fprintf(stderr, "holdfastd " HF_VERSION ", up %llu s, in thread %s; its counters:\n",
		(unsigned long long)(now_us - panic_app->started_us) / 1000000,
		hf_stat_own->thread);
	panic_counters(hf_stat_own);
	for (uint32_t i = 0; panic_app->worker && i < panic_app->workers; i++)
		fprintf(stderr, "worker %u: last turn %lld us ago, %u connections\n", i,
			(long long)(now_us - atomic_load(&panic_app->worker[i].beat_us)),
			atomic_load(&panic_app->worker[i].conns_open));
	backtrace_symbols_fd(frames, backtrace(frames, HF_ARRAY_LEN(frames)), STDERR_FILENO);
}

static void panic_assert(const char *what, const char *file, int line, const char *func)
{
	(void)what;
	(void)file;
	(void)line;
	(void)func;
	panic_dump();
}

static void panic_signal(int number)
{
	fprintf(stderr, "panic: signal %d\n", number);
	panic_dump();
	(void)raise(number); /* SA_RESETHAND: now with its default, a core dump */
}

void app_panic_init(const struct app *app)
{
	panic_app = app;
	hf_panic_hook_set(panic_assert);
#ifndef HF_SANITIZED
	struct sigaction action = { .sa_handler = panic_signal, .sa_flags = (int)SA_RESETHAND };
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };

	for (size_t i = 0; i < HF_ARRAY_LEN(fatal); i++)
		(void)sigaction(fatal[i], &action, NULL);
#else
	(void)panic_signal; /* the sanitizer reports these better */
#endif
}
