/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What an object is: its path, size and bytes, by its key alone.
 */
#include <string.h>

#include "load.h"

uint32_t load_size_of(const struct load_sizes *sizes, uint32_t key)
{
	uint32_t hash, i = 0;

	HF_ASSERT_HOT(sizes->count > 0);
	if (sizes->count == 1)
		return sizes->bytes[0];
	hash = (uint32_t)load_mix(key + 1ULL);
	while (i + 1 < sizes->count && hash >= sizes->below[i])
		i++;
	return sizes->bytes[i];
}

static uint64_t body_word(uint32_t key, uint64_t index)
{
	return load_mix(((uint64_t)key << 32 | 1) * 0x9e3779b97f4a7c15 + index);
}

/* Word by word, the first and the last in part. */
static bool body_walk(uint32_t key, uint64_t offset, uint8_t *to, const uint8_t *with, size_t len)
{
	while (len > 0) {
		uint64_t word = body_word(key, offset / 8);
		size_t skip = offset % 8, n = hf_min_size(8 - skip, len);

		if (to) {
			memcpy(to, (uint8_t *)&word + skip, n);
			to += n;
		} else {
			if (memcmp(with, (uint8_t *)&word + skip, n) != 0)
				return false;
			with += n;
		}
		offset += n;
		len -= n;
	}
	return true;
}

void load_body_fill(uint32_t key, uint64_t offset, void *ret_bytes, size_t len)
{
	(void)body_walk(key, offset, ret_bytes, NULL, len);
}

bool load_body_is(uint32_t key, uint64_t offset, const void *bytes, size_t len)
{
	return body_walk(key, offset, NULL, bytes, len);
}

void load_digits(char *ret_text, uint32_t digits, uint32_t value)
{
	static const char pairs[] = "0001020304050607080910111213141516171819"
				    "2021222324252627282930313233343536373839"
				    "4041424344454647484950515253545556575859"
				    "6061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";

	/* Two at a time: half as many divisions, each of which waits for the one before. */
	for (; digits > 1; value /= 100) {
		digits -= 2;
		memcpy(ret_text + digits, pairs + 2 * (value % 100), 2);
	}
	if (digits > 0)
		ret_text[0] = (char)('0' + value % 10);
}

static bool body_number(const char *text, uint32_t digits, uint64_t max, uint32_t *ret_value)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < digits; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	if (value > max)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

bool load_path_read(const char *path, uint32_t *ret_key, uint32_t *ret_size)
{
	size_t len = sizeof(LOAD_PATH) - 1;
	uint32_t key, size;

	if (strlen(path) != len || strncmp(path, LOAD_PATH, LOAD_KEY_AT) != 0 ||
		path[LOAD_SIZE_AT - 1] != '/' ||
		!body_number(path + LOAD_KEY_AT, LOAD_KEY_DIGITS, UINT32_MAX, &key) ||
		!body_number(path + LOAD_SIZE_AT, LOAD_SIZE_DIGITS, UINT32_MAX, &size))
		return false;
	*ret_key = key;
	*ret_size = size;
	return true;
}
