/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What was freed is looked at: not in sanitizer builds.
 */
#include "hf_wipe.h"

#include <criterion/criterion.h>
#include <stdlib.h>

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
