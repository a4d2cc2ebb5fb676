/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hf_stat.h"

#include "log_priv.h"

/* One lcore writes at head, the control thread reads at tail. */
struct log_ring {
	_Atomic uint32_t head HF_ALIGNED(HF_CACHE_LINE);
	_Atomic uint32_t tail HF_ALIGNED(HF_CACHE_LINE);
	struct log_line line[LOG_RING_LINES] HF_ALIGNED(HF_CACHE_LINE);
};

HF_STATIC_ASSERT(sizeof(struct log_line) == 256, "a line is four cache lines");
HF_STATIC_ASSERT((LOG_RING_LINES & (LOG_RING_LINES - 1)) == 0, "indices wrap by masking");

static _Atomic int log_level = HF_LOG_INFO;
/* As long as the process: what an lcore said last is drained after it ended. */
static struct log_ring *_Atomic log_rings[LOG_RINGS_MAX];
static _Atomic uint32_t log_ring_count;
static _Thread_local struct log_ring *log_ring_own;

void hf_log_level_set(enum hf_log_level level)
{
	HF_ASSERT(level <= HF_LOG_ERROR);
	atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

enum hf_log_level hf_log_threshold(void)
{
	return (enum hf_log_level)atomic_load_explicit(&log_level, memory_order_relaxed);
}

bool log_site_admit(struct hf_log_site *site, uint64_t second, uint32_t *ret_suppressed)
{
	uint64_t was = atomic_load_explicit(&site->second, memory_order_relaxed);

	/* who changes the second also clears the count; a line too many at the turn does no harm */
	if (was != second && atomic_compare_exchange_strong_explicit(&site->second, &was, second,
				     memory_order_relaxed, memory_order_relaxed))
		atomic_store_explicit(&site->count, 0, memory_order_relaxed);
	if (atomic_load_explicit(&site->count, memory_order_relaxed) >= LOG_SITE_LINES_MAX) {
		atomic_fetch_add_explicit(&site->suppressed, 1, memory_order_relaxed);
		return false;
	}
	atomic_fetch_add_explicit(&site->count, 1, memory_order_relaxed);
	*ret_suppressed = atomic_exchange_explicit(&site->suppressed, 0, memory_order_relaxed);
	return true;
}

void log_text_clean(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		/* control characters; in UTF-8 those of C1 are 0xc2 and one of 0x80-0x9f */
		bool c1 = c == 0xc2 && (unsigned char)text[1] >= 0x80 &&
			  (unsigned char)text[1] < 0xa0;

		if (c < 0x20 || c == 0x7f || c1)
			*text = '?';
		if (c1)
			*++text = '?';
	}
}

static uint64_t log_clock_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* no system call: the vDSO */
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* One write, so that lines of several threads do not mix. */
static void log_out(uint64_t time_us, enum hf_log_level level, const char *area, const char *text)
{
	static const char *const names[] = { "DEBUG", "INFO", "WARN", "ERROR" };
	char line[LOG_TEXT_MAX + 128], stamp[32];
	time_t seconds = (time_t)(time_us / 1000000);
	struct tm tm;
	ssize_t done;
	int len;

	HF_ASSERT(level < HF_ARRAY_LEN(names) && gmtime_r(&seconds, &tm));
	HF_ASSERT(strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm) > 0);
	len = snprintf(line, sizeof(line), "%s.%03uZ %s %.32s: %s\n", stamp,
		(unsigned)(time_us / 1000 % 1000), names[level], area, text);
	HF_ASSERT(len > 0 && (size_t)len < sizeof(line));
	do {
		done = write(STDERR_FILENO, line, (size_t)len);
	} while (done < 0 && errno == EINTR);
	if (done < 0) /* a full pipe, or nobody there */
		hf_stat_inc(HF_STAT_LOG_LINES_LOST);
}

/* The text with a word about what was not said before it; cut to `size`. */
static void log_format(
	char *ret_text, size_t size, uint32_t suppressed, const char *format, va_list args)
{
	int len = vsnprintf(ret_text, size, format, args);
	char note[48] = "";
	size_t end, room;

	if (suppressed > 0)
		(void)snprintf(note, sizeof(note), " (%u like it not shown)", suppressed);
	room = size - 1 - strlen(note);
	end = len < 0 ? 0 : hf_min_size((size_t)len, size - 1);
	if (len < 0 || (size_t)len > room) {
		end = room - 3;
		memcpy(ret_text + end, "...", 3);
		end = room;
	}
	memcpy(ret_text + end, note, strlen(note) + 1);
	log_text_clean(ret_text);
}

void hf_log_write(struct hf_log_site *site, enum hf_log_level level, const char *area,
	const char *format, ...)
{
	struct log_ring *ring = log_ring_own;
	uint64_t now_us = log_clock_us();
	uint32_t suppressed, head;
	va_list args;

	HF_ASSERT(site && area && format);
	if (!log_site_admit(site, now_us / 1000000, &suppressed)) {
		hf_stat_inc(HF_STAT_LOG_LINES_LOST);
		return;
	}
	va_start(args, format);
	if (!ring) {
		char text[LOG_TEXT_MAX];

		log_format(text, sizeof(text), suppressed, format, args);
		va_end(args);
		log_out(now_us, level, area, text);
		return;
	}
	head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == LOG_RING_LINES) {
		hf_stat_inc(HF_STAT_LOG_LINES_LOST);
	} else {
		struct log_line *line = &ring->line[head & (LOG_RING_LINES - 1)];

		line->time_us = now_us;
		line->area = area;
		line->level = level;
		log_format(line->text, sizeof(line->text), suppressed, format, args);
		atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	}
	va_end(args);
}

int hf_log_ring_enter(void)
{
	struct log_ring *ring;
	uint32_t i = atomic_load(&log_ring_count);

	HF_ASSERT(!log_ring_own);
	do {
		if (i == LOG_RINGS_MAX)
			return -ENOSPC;
	} while (!atomic_compare_exchange_weak(&log_ring_count, &i, i + 1));
	ring = aligned_alloc(HF_CACHE_LINE, sizeof(*ring));
	if (!ring)
		return -ENOMEM;         /* the place stays empty, drain passes it by */
	memset(ring, 0, sizeof(*ring)); /* and touched: no page fault when an lcore logs */
	atomic_store_explicit(&log_rings[i], ring, memory_order_release);
	log_ring_own = ring;
	return 0;
}

static void log_ring_drain(struct log_ring *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

	HF_ASSERT(head - tail <= LOG_RING_LINES);
	for (; tail != head; tail++) {
		const struct log_line *line = &ring->line[tail & (LOG_RING_LINES - 1)];

		log_out(line->time_us, line->level, line->area, line->text);
		atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	}
}

void hf_log_drain(void)
{
	uint32_t count = atomic_load(&log_ring_count);

	for (uint32_t i = 0; i < count; i++) {
		struct log_ring *ring = atomic_load_explicit(&log_rings[i], memory_order_acquire);

		if (ring)
			log_ring_drain(ring);
	}
}
