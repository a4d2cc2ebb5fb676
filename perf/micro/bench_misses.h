/* SPDX-License-Identifier: BSD-3-Clause
 *
 * bench_misses - what a thread missed in caches and TLB while it was measured, where the machine counts that.
 *
 * What      Two counters of the CPU's for the calling thread, in user mode: loads that went to memory (what the
 *           kernel calls cache misses), and loads whose page was in no TLB. Many virtual machines have none, and
 *           kernel.perf_event_paranoid may forbid them: then it says so once, and figures are left out.
 */
#ifndef BENCH_MISSES_H
#define BENCH_MISSES_H

#include <errno.h>
#include <linux/perf_event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hf_base.h"

#define BENCH_MISSES 2

static _Thread_local int bench_misses_fd[BENCH_MISSES] = { -1, -1 };

static inline int bench_misses_counter(uint32_t type, uint64_t config, int group)
{
	struct perf_event_attr attr = { .type = type,
		.size = sizeof(attr),
		.config = config,
		.disabled = group < 0,
		.exclude_kernel = 1,
		.exclude_hv = 1 };

	return (int)syscall(SYS_perf_event_open, &attr, /* this thread */ 0, /* any CPU */ -1,
		group, PERF_FLAG_FD_CLOEXEC);
}

/* For the calling thread. */
static inline void bench_misses_open(void)
{
	static _Atomic bool told;
	int *fd = bench_misses_fd;

	fd[0] = bench_misses_counter(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, -1);
	if (fd[0] < 0) {
		if (!atomic_exchange(&told, true))
			(void)fprintf(stderr, "no counters of cache and TLB misses here: %s\n",
				strerror(errno));
		return;
	}
	fd[1] = bench_misses_counter(PERF_TYPE_HW_CACHE,
		PERF_COUNT_HW_CACHE_DTLB | PERF_COUNT_HW_CACHE_OP_READ << 8 |
			PERF_COUNT_HW_CACHE_RESULT_MISS << 16,
		fd[0]);
}

static inline void bench_misses_order(unsigned long order)
{
	if (bench_misses_fd[0] >= 0)
		(void)ioctl(bench_misses_fd[0], order, PERF_IOC_FLAG_GROUP);
}

static inline void bench_misses_reset(void)
{
	bench_misses_order(PERF_EVENT_IOC_RESET);
}

static inline void bench_misses_begin(void)
{
	bench_misses_order(PERF_EVENT_IOC_ENABLE);
}

static inline void bench_misses_end(void)
{
	bench_misses_order(PERF_EVENT_IOC_DISABLE);
}

/* Since the last reset, while it was on; below 0 what is not counted. */
static inline void bench_misses_read(double ret_misses[BENCH_MISSES])
{
	for (uint32_t i = 0; i < BENCH_MISSES; i++) {
		uint64_t count;

		ret_misses[i] = -1;
		if (bench_misses_fd[i] >= 0 &&
			read(bench_misses_fd[i], &count, sizeof(count)) == sizeof(count))
			ret_misses[i] = (double)count;
	}
}

/* ", 3.12 cache and 1.05 TLB misses", an operation; nothing where there are no counters. */
static inline void bench_misses_tell(const double misses[BENCH_MISSES], double ops)
{
	static const char *const what[BENCH_MISSES] = { "cache", "TLB" };

	for (uint32_t i = 0; i < BENCH_MISSES; i++) {
		if (misses[i] >= 0)
			printf(", %.2f %s misses", misses[i] / ops, what[i]);
	}
}

#endif
