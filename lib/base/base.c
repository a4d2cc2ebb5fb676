/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

static hf_panic_fn base_panic_hook;

bool hf_span_eq(struct hf_span a, struct hf_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool hf_span_caseeq(struct hf_span a, struct hf_span b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

int hf_err_set(struct hf_err *err, int code, const char *format, ...)
{
	if (err) {
		va_list args;

		va_start(args, format);
		(void)vsnprintf(err->text, sizeof(err->text), format, args);
		va_end(args);
	}
	return code;
}

void hf_panic_hook_set(hf_panic_fn hook)
{
	base_panic_hook = hook;
}

void hf_assert_failed(const char *what, const char *file, int line, const char *func)
{
	hf_panic_fn hook = base_panic_hook;

	base_panic_hook = NULL; /* a dump that asserts must not dump again */
	fprintf(stderr, "panic: %s:%d: %s: assertion failed: %s\n", file, line, func, what);
	if (hook)
		hook(what, file, line, func);
	abort();
}

void hf_random_fill(void *buf, size_t len)
{
	char *at = buf;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		HF_ASSERT(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

uint64_t hf_clock_us(void)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int64_t hf_clock_unix_us(void)
{
	struct timespec now;

	HF_ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t hf_clock_unix_s(void)
{
	return hf_clock_unix_us() / 1000000;
}
