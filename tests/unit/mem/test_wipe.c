/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What was freed is looked at: not in sanitizer builds.
 */
#include "hf_wipe.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "hf_arena.h"
#include "hf_pool.h"

#ifdef HF_SANITIZED
#define FREED_TEST .disabled = true
#else
#define FREED_TEST .disabled = false
#endif

/* The address again, of which the compiler does not know that it was freed. */
static const volatile char *after(uintptr_t address)
{
	__asm__ volatile("" : "+r"(address));
	return (const volatile char *)address;
}

static char *block_of(char c, size_t len)
{
	char *block = malloc(len);

	cr_assert_not_null(block);
	memset(block, c, len);
	return block;
}

/* Bytes of it that are C still; an allocator may write its own into what is free. */
static size_t left(uintptr_t address, char c, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += after(address)[i] == c;
	return count;
}

Test(wipe, nothing_is_left_of_a_block_that_was_freed, FREED_TEST)
{
	uintptr_t at = (uintptr_t)block_of('S', 5000);

	cr_expect_eq(left(at, 'S', 5000), 5000);
	hf_wipe_free((void *)at);
	cr_expect_eq(left(at, 'S', 5000), 0);
	hf_wipe_free(NULL);
}

Test(wipe, realloc_leaves_no_copy_where_the_block_was, FREED_TEST)
{
	uintptr_t at = (uintptr_t)block_of('S', 1000);
	char *moved = hf_wipe_realloc((void *)at, 100000);

	cr_assert_not_null(moved);
	cr_expect_neq((uintptr_t)moved, at);
	cr_expect_eq(left(at, 'S', 1000), 0);
	cr_expect_eq(left((uintptr_t)moved, 'S', 1000), 1000);
	hf_wipe_free(moved);
}

Test(wipe, realloc_keeps_what_fits)
{
	char *block = hf_wipe_realloc(NULL, 100);

	cr_assert_not_null(block);
	memset(block, 'k', 100);
	cr_expect_eq(hf_wipe_realloc(block, 10), block);
	cr_expect_eq(hf_wipe_realloc(block, 100), block);
	cr_expect_eq(left((uintptr_t)block, 'k', 100), 100);
	hf_wipe_free(block);
}

/* Would the kernel leave it out of a core dump? ("dd" in proc(5), smaps) */
static bool not_dumped(const void *at)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	unsigned long begin, end;
	bool inside = false, found = false;
	char line[512];

	cr_assert_not_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			inside = (uintptr_t)at >= begin && (uintptr_t)at < end;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, " dd") != NULL;
	}
	(void)fclose(maps);
	return found;
}

Test(wipe, what_clients_got_is_in_no_core_dump)
{
	struct hf_pool open, secret;
	struct hf_arena *arena;
	size_t len, page;
	void *base;

	cr_assert_eq(hf_pool_init(&open, 4096, 4), 0);
	cr_assert_eq(hf_pool_init(&secret, 4096, 4), 0);
	hf_pool_no_dump(&secret);
	cr_expect(not_dumped(hf_pool_at(&secret, 0)));
	cr_expect(not_dumped((char *)hf_pool_at(&secret, 3) + 4095));
	cr_expect_not(not_dumped(hf_pool_at(&open, 0)));
	cr_assert_eq(hf_arena_new(1 << 20, false, NULL, &arena), 0);
	hf_arena_region(arena, &base, &len, &page);
	cr_expect(len == 0 || not_dumped((char *)base + len - 1), "A4");
	hf_arena_free(arena);
	hf_pool_fini(&open);
	hf_pool_fini(&secret);
}

Test(wipe, only_whole_pages_are_left_out)
{
	struct hf_pool pool;

	cr_assert_eq(hf_pool_init(&pool, 4096, 3), 0);
	hf_no_dump((char *)hf_pool_at(&pool, 0) + 1, 2 * 4096UL);
	cr_expect_not(not_dumped(hf_pool_at(&pool, 0)));
	cr_expect(not_dumped(hf_pool_at(&pool, 1)));
	cr_expect_not(not_dumped(hf_pool_at(&pool, 2)));
	hf_no_dump((char *)hf_pool_at(&pool, 0) + 1, 100);
	cr_expect_not(not_dumped(hf_pool_at(&pool, 0)));
	hf_pool_fini(&pool);
}
