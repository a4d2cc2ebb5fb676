/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Input between two pages that may not be touched: at the end of the room (a byte read past it faults) and at its
 * start (a byte read before it does).
 */
#ifndef HF_TEST_GUARD_H
#define HF_TEST_GUARD_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD_PAGE 4096
#define GUARD_ROOM (16 * GUARD_PAGE)

static char *guard_room;

static inline char *guard_base(void)
{
	if (guard_room == NULL) {
		char *p = mmap(NULL, GUARD_ROOM + 2 * GUARD_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || mprotect(p, GUARD_PAGE, PROT_NONE) != 0 ||
			mprotect(p + GUARD_PAGE + GUARD_ROOM, GUARD_PAGE, PROT_NONE) != 0)
			abort();
		guard_room = p + GUARD_PAGE;
	}
	return guard_room;
}

static inline const char *guard_at_end(const void *data, size_t len)
{
	char *to = guard_base() + GUARD_ROOM - len;

	if (len > GUARD_ROOM)
		abort();
	memcpy(to, data, len);
	return to;
}

static inline const char *guard_at_start(const void *data, size_t len)
{
	if (len > GUARD_ROOM)
		abort();
	memcpy(guard_base(), data, len);
	return guard_base();
}

#endif
