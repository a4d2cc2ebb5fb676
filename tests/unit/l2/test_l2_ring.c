/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "l2_priv.h"

#define KEYS 50000

static struct hf_l2_node nodes[HF_L2_NODES_MAX + 1];

static void named(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		(void)snprintf(nodes[i].id, sizeof(nodes[i].id), "cache-%u", i);
		nodes[i].weight = 1;
	}
}

static struct hf_l2_ring *ring_of(uint32_t count)
{
	struct hf_l2_ring *ring = NULL;
	struct hf_err err = { "" };

	cr_assert_eq(hf_l2_ring_update(NULL, nodes, count, &err, &ring), 0, "%s", err.text);
	cr_assert_not_null(ring);
	return ring;
}

static struct hf_l2_key key_of(uint32_t i)
{
	struct hf_l2_key key;
	char url[64];
	int len = snprintf(url, sizeof(url), "http://a.test/%u", i);

	hf_l2_key_of("hf", (struct hf_span){ url, (size_t)len }, &key);
	return key;
}

static const char *id_of(const struct hf_l2_ring *ring, uint32_t i)
{
	struct hf_l2_key key = key_of(i);

	return hf_l2_ring_at(ring, hf_l2_ring_node(ring, &key))->id;
}

/* One node in the middle goes: how many of KEYS move, and none that was not on it. */
static uint32_t moved(uint32_t count)
{
	struct hf_l2_ring *with = ring_of(count), *without;
	uint32_t gone = count / 2, sum = 0;
	const char *id = hf_l2_ring_at(with, gone)->id;

	memmove(&nodes[gone], &nodes[gone + 1], (count - gone - 1) * sizeof(nodes[0]));
	without = ring_of(count - 1);
	for (uint32_t i = 0; i < KEYS; i++) {
		const char *before = id_of(with, i), *after = id_of(without, i);

		if (strcmp(before, after) == 0)
			continue;
		cr_assert_str_eq(before, id);
		sum++;
	}
	hf_l2_ring_free(with);
	hf_l2_ring_free(without);
	return sum;
}

Test(l2_ring, L2_removing_one_of_n_nodes_moves_its_keys_alone_at_most_1_1_nth)
{
	static const uint32_t counts[] = { 2, 3, 10, 30 };

	for (uint32_t c = 0; c < HF_ARRAY_LEN(counts); c++) {
		uint32_t n = counts[c], sum;

		named(n);
		sum = moved(n);
		cr_expect(
			sum * n <= KEYS * 11 / 10 && sum * n >= KEYS * 9 / 10, "%u of %u", sum, n);
	}
}

Test(l2_ring, L2_adding_one_to_n_nodes_moves_keys_to_it_alone_at_most_1_1_n_plus_1th)
{
	static const uint32_t counts[] = { 1, 2, 9, 29 };

	for (uint32_t c = 0; c < HF_ARRAY_LEN(counts); c++) {
		uint32_t n = counts[c], sum = 0;
		struct hf_l2_ring *before, *after;

		named(n + 1);
		before = ring_of(n);
		after = ring_of(n + 1);
		for (uint32_t i = 0; i < KEYS; i++) {
			if (strcmp(id_of(before, i), id_of(after, i)) == 0)
				continue;
			cr_assert_str_eq(id_of(after, i), nodes[n].id);
			sum++;
		}
		cr_expect_leq(sum * (n + 1), KEYS * 11 / 10);
		hf_l2_ring_free(before);
		hf_l2_ring_free(after);
	}
}

Test(l2_ring, a_hundred_nodes_share_within_5_percent)
{
	const uint32_t keys = 400000, n = 100;
	struct hf_l2_ring *ring;
	uint32_t count[100] = { 0 };

	named(n);
	ring = ring_of(n);
	for (uint32_t i = 0; i < keys; i++) {
		struct hf_l2_key key = key_of(i);

		count[hf_l2_ring_node(ring, &key)]++;
	}
	for (uint32_t i = 0; i < n; i++)
		cr_expect(count[i] >= keys / n * 95 / 100 && count[i] <= keys / n * 105 / 100, "%u",
			count[i]);
	hf_l2_ring_free(ring);
}

Test(l2_ring, nodes_share_by_weight)
{
	struct hf_l2_ring *ring;
	uint32_t count[3] = { 0 };

	named(3);
	nodes[1].weight = 6;
	nodes[2].weight = 3;
	ring = ring_of(3);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct hf_l2_key key = key_of(i);

		count[hf_l2_ring_node(ring, &key)]++;
	}
	cr_expect(count[0] > 4700 && count[0] < 5300, "%u", count[0]);
	cr_expect(count[1] > 29500 && count[1] < 30500, "%u", count[1]);
	hf_l2_ring_free(ring);
}

Test(l2_ring, L1_the_order_of_the_list_does_not_matter)
{
	struct hf_l2_ring *one, *other;

	named(5);
	one = ring_of(5);
	for (uint32_t i = 0; i < 5; i++)
		(void)snprintf(nodes[i].id, sizeof(nodes[i].id), "cache-%u", 4 - i);
	other = ring_of(5);
	for (uint32_t i = 0; i < 1000; i++)
		cr_assert_str_eq(id_of(one, i), id_of(other, i));
	hf_l2_ring_free(one);
	hf_l2_ring_free(other);
}

/* What every edge, and every later version, has to say. */
Test(l2_ring, L1_test_vectors)
{
	static const struct {
		const char *url, *key, *variant, *node;
	} always[] = {
#include "vectors.h"
	};
	struct hf_l2_ring *ring;

	named(8);
	nodes[3].weight = 5;
	ring = ring_of(8);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(always); i++) {
		struct hf_l2_key key, variant, lease;

		hf_l2_key_of(
			"edge", (struct hf_span){ always[i].url, strlen(always[i].url) }, &key);
		hf_l2_key_variant(&key, 0x1234, HF_SPAN("accept\0+text/html\0"), &variant);
		hf_l2_key_lease(&variant, &lease);
		cr_expect_str_eq(key.text, always[i].key);
		cr_expect_str_eq(variant.text, always[i].variant);
		cr_expect(strncmp(lease.text, variant.text, variant.len) == 0 &&
			  strcmp(lease.text + variant.len, ":l") == 0);
		cr_expect(key.len == strlen(key.text) && variant.len == strlen(variant.text) &&
			  lease.len == strlen(lease.text));
		cr_expect_str_eq(
			hf_l2_ring_at(ring, hf_l2_ring_node(ring, &key))->id, always[i].node);
		cr_expect(variant.place == key.place && lease.place == key.place, "on one node");
	}
	hf_l2_ring_free(ring);
}

Test(l2_ring, variants_differ_by_values_and_by_epoch)
{
	struct hf_l2_key key = key_of(1), one, other, later;

	hf_l2_key_variant(&key, 1, HF_SPAN("a\0+b\0"), &one);
	hf_l2_key_variant(&key, 1, HF_SPAN("a\0+c\0"), &other);
	hf_l2_key_variant(&key, 2, HF_SPAN("a\0+b\0"), &later);
	cr_expect_str_neq(one.text, other.text);
	cr_expect_str_neq(one.text, later.text);
}

Test(l2_ring, an_empty_list_or_the_same_one_keeps_the_ring)
{
	struct hf_l2_ring *ring, *next = NULL;
	struct hf_l2_node first;
	struct hf_err err;

	named(3);
	ring = ring_of(3);
	cr_expect_eq(hf_l2_ring_update(ring, NULL, 0, &err, &next), 0);
	cr_expect_eq(next, ring);
	first = nodes[0];
	nodes[0] = nodes[2];
	nodes[2] = first;
	cr_expect_eq(hf_l2_ring_update(ring, nodes, 3, &err, &next), 0);
	cr_expect_eq(next, ring, "in another order");
	nodes[1].weight = 2;
	cr_expect_eq(hf_l2_ring_update(ring, nodes, 3, &err, &next), 0);
	cr_expect_neq(next, ring, "another weight");
	cr_expect_eq(hf_l2_ring_count(ring), 3);
	cr_expect_eq(hf_l2_ring_at(ring, 1)->weight, 1, "the old one stays as it was");
	hf_l2_ring_free(next);
	hf_l2_ring_free(ring);
	cr_expect_eq(hf_l2_ring_update(NULL, NULL, 0, &err, &next), 0);
	cr_expect_null(next);
}

static int update(uint32_t count)
{
	struct hf_l2_ring *ring;
	struct hf_err err = { "" };
	int rc = hf_l2_ring_update(NULL, nodes, count, &err, &ring);

	if (rc == 0)
		hf_l2_ring_free(ring);
	else
		cr_expect_neq(err.text[0], '\0');
	return rc;
}

Test(l2_ring, what_is_no_list_of_nodes_is_refused)
{
	named(HF_L2_NODES_MAX + 1);
	cr_expect_eq(update(HF_L2_NODES_MAX), 0);
	cr_expect_eq(update(HF_L2_NODES_MAX + 1), -EINVAL, "too many");
	memcpy(nodes[1].id, nodes[0].id, sizeof(nodes[0].id));
	cr_expect_eq(update(2), -EINVAL, "twice");
	memset(nodes[1].id, 'x', sizeof(nodes[1].id));
	cr_expect_eq(update(2), -EINVAL, "without an end");
	nodes[1].id[HF_NAME_MAX] = '\0';
	cr_expect_eq(update(2), 0);
	nodes[1].id[0] = '\0';
	cr_expect_eq(update(2), -EINVAL, "empty");
	named(2);
	nodes[1].weight = 0;
	cr_expect_eq(update(2), -EINVAL, "weightless");
	nodes[1].weight = HF_L2_WEIGHT_MAX + 1;
	cr_expect_eq(update(2), -EINVAL, "too heavy");
}

Test(l2_ring, a_namespace_is_short_and_plain)
{
	cr_expect(hf_l2_namespace_is_valid("hf"));
	cr_expect(hf_l2_namespace_is_valid("Prod_eu-1.2"));
	cr_expect(hf_l2_namespace_is_valid("12345678901234567890123456789012"));
	cr_expect_not(hf_l2_namespace_is_valid("123456789012345678901234567890123"));
	cr_expect_not(hf_l2_namespace_is_valid(""));
	cr_expect_not(hf_l2_namespace_is_valid("a:b"));
	cr_expect_not(hf_l2_namespace_is_valid("a b"));
	cr_expect_not(hf_l2_namespace_is_valid("a\r\n"));
}
