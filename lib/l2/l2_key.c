/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_l2.h"

#include <stdio.h>
#include <string.h>

#include "hf_route.h"
#include "hf_siphash.h"

/* Known to all edges, and to strangers: who makes two URLs collide makes himself misses. */
static const struct hf_sipkey key_high = { 0x686f6c6466617374ULL, 0x6c32206b65792030ULL };
static const struct hf_sipkey key_low = { 0x686f6c6466617374ULL, 0x6c32206b65792031ULL };

HF_STATIC_ASSERT(HF_L2_NAMESPACE_MAX + sizeof(":1::v:l") + 2 * 32 <= HF_L2_KEY_MAX, "room");

bool hf_l2_namespace_is_valid(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(name);

	return len > 0 && len <= HF_L2_NAMESPACE_MAX && strspn(name, allowed) == len;
}

static uint32_t key_printed(int len)
{
	HF_ASSERT(len > 0 && len < HF_L2_KEY_MAX);
	return (uint32_t)len;
}

void hf_l2_key_of(const char *name, struct hf_span url, struct hf_l2_key *ret_key)
{
	HF_ASSERT(hf_l2_namespace_is_valid(name));
	ret_key->place = hf_route_name(url);
	ret_key->len =
		key_printed(snprintf(ret_key->text, sizeof(ret_key->text), "%s:1:%016llx%016llx",
			name, (unsigned long long)hf_siphash(&key_high, url.ptr, url.len),
			(unsigned long long)hf_siphash(&key_low, url.ptr, url.len)));
}

void hf_l2_key_variant(
	const struct hf_l2_key *key, uint64_t epoch, struct hf_span vary, struct hf_l2_key *ret_key)
{
	struct hf_sipkey high = { key_high.k0 ^ epoch, key_high.k1 };
	struct hf_sipkey low = { key_low.k0 ^ epoch, key_low.k1 };

	HF_ASSERT(vary.len > 0 && ret_key != key);
	ret_key->place = key->place;
	ret_key->len =
		key_printed(snprintf(ret_key->text, sizeof(ret_key->text), "%s:v%016llx%016llx",
			key->text, (unsigned long long)hf_siphash(&high, vary.ptr, vary.len),
			(unsigned long long)hf_siphash(&low, vary.ptr, vary.len)));
}

void hf_l2_key_lease(const struct hf_l2_key *key, struct hf_l2_key *ret_key)
{
	HF_ASSERT(ret_key != key);
	ret_key->place = key->place;
	ret_key->len =
		key_printed(snprintf(ret_key->text, sizeof(ret_key->text), "%s:l", key->text));
}
