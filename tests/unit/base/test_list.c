/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_list.h"

#include <criterion/criterion.h>

struct item {
	int value;
	struct hf_list link;
};

static int first_value(const struct hf_list *list)
{
	return HF_CONTAINER_OF(hf_list_first(list), struct item, link)->value;
}

static int as_number(const struct hf_list *list)
{
	const struct hf_list *it;
	int number = 0;

	hf_list_for_each (it, list)
		number = number * 10 + HF_CONTAINER_OF(it, const struct item, link)->value;
	return number;
}

Test(list, keeps_the_order_of_both_ends)
{
	struct hf_list list;
	struct item items[4] = { { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 } };

	hf_list_init(&list);
	cr_expect(hf_list_empty(&list));
	cr_expect_null(hf_list_first(&list));
	hf_list_add_tail(&list, &items[1].link);
	hf_list_add_tail(&list, &items[2].link);
	hf_list_add_head(&list, &items[0].link);
	hf_list_add_between(&items[3].link, list.prev, &list);
	cr_expect_eq(as_number(&list), 1234);
	cr_expect_eq(first_value(&list), 1);
}

Test(list, a_deleted_link_knows_that_it_is_on_no_list)
{
	struct hf_list list;
	struct item items[3] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };

	hf_list_init(&list);
	for (int i = 0; i < 3; i++)
		hf_list_add_tail(&list, &items[i].link);
	hf_list_del(&items[1].link);
	cr_expect(hf_list_empty(&items[1].link));
	cr_expect_not(hf_list_empty(&items[0].link));
	cr_expect_eq(as_number(&list), 13);
	hf_list_del(&items[1].link); /* again: harmless */
	hf_list_add_head(&list, &items[1].link);
	cr_expect_eq(as_number(&list), 213);
}

Test(list, the_safe_walk_may_delete_what_it_stands_on)
{
	struct hf_list list, *it, *after;
	struct item items[5];

	hf_list_init(&list);
	for (int i = 0; i < 5; i++) {
		items[i].value = i + 1;
		hf_list_add_tail(&list, &items[i].link);
	}
	hf_list_for_each_safe (it, after, &list) {
		if (HF_CONTAINER_OF(it, struct item, link)->value % 2)
			hf_list_del(it);
	}
	cr_expect_eq(as_number(&list), 24);
	hf_list_for_each_safe (it, after, &list)
		hf_list_del(it);
	cr_expect(hf_list_empty(&list));
}
