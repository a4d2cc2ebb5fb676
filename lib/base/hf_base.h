/* SPDX-License-Identifier: BSD-3-Clause
 *
 * base - what every file needs: assertions, spans, errors told to an operator, small arithmetic.
 *
 * What      HF_ASSERT is always compiled in: a failed one is a bug of ours and ends the process
 *           with a dump. HF_ASSERT_HOT guards per-packet loops, in CI and debug builds only.
 *           hf_never(c) marks a branch that cannot be taken but is defended all the same.
 * Threads   any. No state but the panic hook, which boot sets once.
 * Promises  An assertion's expression is evaluated exactly once (HF_ASSERT) or not at all (HOT,
 *           off).
 */
#ifndef HF_BASE_H
#define HF_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HF_CACHE_LINE 64

#define hf_likely(x)                     __builtin_expect(!!(x), 1)
#define hf_unlikely(x)                   __builtin_expect(!!(x), 0)
#define HF_STATIC_ASSERT                 _Static_assert
#define HF_ARRAY_LEN(a)                  (sizeof(a) / sizeof((a)[0]))
#define HF_ALIGNED(n)                    __attribute__((aligned(n)))
#define HF_PRINTF(f, a)                  __attribute__((format(printf, f, a)))
#define HF_MUST_CHECK                    __attribute__((warn_unused_result))
#define HF_NOINLINE                      __attribute__((noinline)) /* seldom taken: keeps its callers small */
#define HF_NORETURN                      __attribute__((noreturn))
#define HF_CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

HF_NORETURN void hf_assert_failed(const char *what, const char *file, int line, const char *func);

#define HF_ASSERT(c)                                                                               \
	do {                                                                                       \
		if (hf_unlikely(!(c)))                                                             \
			hf_assert_failed(#c, __FILE__, __LINE__, __func__);                        \
	} while (0)

#ifdef HF_HOT_ASSERTS
#define HF_ASSERT_HOT(c) HF_ASSERT(c)
#else
#define HF_ASSERT_HOT(c) ((void)sizeof(!(c)))
#endif

/* A branch that cannot happen: asserts in CI and debug builds, is taken quietly in production. */
static inline bool hf_never(bool c)
{
	HF_ASSERT_HOT(!c);
	return hf_unlikely(c);
}

/* Bytes that somebody else owns. Not NUL-terminated. */
struct hf_span {
	const char *ptr;
	size_t len;
};

#define HF_SPAN(literal) ((struct hf_span){ (literal), sizeof(literal) - 1 })

bool hf_span_eq(struct hf_span a, struct hf_span b);
/* ASCII case-insensitive. */
bool hf_span_caseeq(struct hf_span a, struct hf_span b);

/* Short names that an operator chose, by value. */
#define HF_NAMES_MAX 32
#define HF_NAME_MAX  63
struct hf_names {
	uint32_t count;
	char name[HF_NAMES_MAX][HF_NAME_MAX + 1];
};

/* What is told to an operator: one sentence, no newline. */
struct hf_err {
	char text[512];
};

/* Sets the text; ERR may be NULL. Returns `code`, so that
 * `return hf_err_set(err, -EINVAL, ...)`. */
int hf_err_set(struct hf_err *err, int code, const char *format, ...) HF_PRINTF(3, 4);

/* Called once by a failing assertion before the process aborts; boot points it at the dumper. */
typedef void (*hf_panic_fn)(const char *what, const char *file, int line, const char *func);
void hf_panic_hook_set(hf_panic_fn hook);

/* Fills from the kernel's random source; asserts on failure. Boot, control and origin threads. */
void hf_random_fill(void *buf, size_t len);

/* CLOCK_MONOTONIC in microseconds: the time base of every `_us` in the program. Any thread. */
uint64_t hf_clock_us(void);

/* Unix time, in microseconds and in whole seconds, for what is told to others or was told by them. Not time(), whose
 * clock is a tick behind: what a peer dated a moment ago would lie in the future. Any thread. */
int64_t hf_clock_unix_us(void);
int64_t hf_clock_unix_s(void);

static inline size_t hf_min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline uint32_t hf_min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint64_t hf_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint32_t hf_max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline uint64_t hf_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The smallest power of two >= n, for 1 <= n <= 2^63. */
static inline uint64_t hf_pow2_ceil(uint64_t n)
{
	return n <= 1 ? 1 : 1ULL << (64 - __builtin_clzll(n - 1));
}

#endif
