/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_pool.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

struct line {
	char bytes[64];
};

Test(pool, gives_count_elements_and_then_none)
{
	struct hf_pool pool;
	void *elems[10];

	cr_assert_eq(hf_pool_init(&pool, 24, 10), 0);
	for (int i = 0; i < 10; i++) {
		cr_expect_eq(hf_pool_free_count(&pool), 10u - (uint32_t)i);
		elems[i] = hf_pool_get(&pool);
		cr_assert_not_null(elems[i]);
		memset(elems[i], i, 24);
	}
	cr_expect_null(hf_pool_get(&pool));
	for (int i = 0; i < 10; i++) {
		for (int j = 0; j < 24; j++)
			cr_expect_eq(((char *)elems[i])[j], i);
		hf_pool_put(&pool, elems[i]);
	}
	cr_expect_eq(pool.used, 0);
	hf_pool_fini(&pool);
}

Test(pool, an_element_put_is_the_next_one_got)
{
	struct hf_pool pool;
	void *a, *b;

	cr_assert_eq(hf_pool_init(&pool, 100, 4), 0);
	a = hf_pool_get(&pool);
	b = hf_pool_get(&pool);
	hf_pool_put(&pool, a);
	cr_expect_eq(hf_pool_get(&pool), a);
	hf_pool_put(&pool, b);
	hf_pool_put(&pool, a);
	cr_expect_eq(hf_pool_get(&pool), a);
	cr_expect_eq(hf_pool_get(&pool), b);
	hf_pool_fini(&pool);
}

Test(pool, elements_of_whole_cache_lines_are_aligned)
{
	struct hf_pool pool;

	cr_assert_eq(hf_pool_init(&pool, sizeof(struct line), 5), 0);
	for (int i = 0; i < 5; i++)
		cr_expect_eq((uintptr_t)hf_pool_get(&pool) % 64, 0);
	hf_pool_fini(&pool);
}

Test(pool, index_and_element_lead_to_each_other)
{
	struct hf_pool pool;

	cr_assert_eq(hf_pool_init(&pool, 40, 7), 0);
	for (uint32_t i = 0; i < 7; i++) {
		void *elem = hf_pool_get(&pool);

		cr_expect_eq(hf_pool_index(&pool, elem), i);
		cr_expect_eq(hf_pool_at(&pool, i), elem);
	}
	hf_pool_fini(&pool);
}

Test(pool, fini_of_a_zeroed_pool_is_fine)
{
	struct hf_pool pool = { 0 };

	hf_pool_fini(&pool);
	cr_expect_null(pool.memory);
}

#ifdef HF_SANITIZED
Test(pool, use_after_put_is_reported_by_asan)
{
	struct hf_pool pool;
	void *elem;

	cr_assert_eq(hf_pool_init(&pool, 64, 2), 0);
	elem = hf_pool_get(&pool);
	cr_expect_not(__asan_address_is_poisoned(elem));
	hf_pool_put(&pool, elem);
	cr_expect(__asan_address_is_poisoned((char *)elem + 32));
	hf_pool_fini(&pool);
}
#endif
