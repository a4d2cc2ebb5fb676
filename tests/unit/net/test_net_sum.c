/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "hf_pkt.h"

/* RFC 1071 §4.1, as plainly as it can be written. */
static uint16_t plain_sum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	if (len & 1)
		sum += (uint32_t)data[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return __builtin_bswap16((uint16_t)sum);
}

Test(pkt_sum, equals_the_plain_sum_at_every_length_and_alignment)
{
	uint8_t data[700];

	srandom(7);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random();
	for (size_t at = 0; at < 9; at++) {
		for (size_t len = 0; len + at <= sizeof(data); len++)
			cr_assert_eq(hf_pkt_sum(0, data + at, len), plain_sum(data + at, len),
				"at %zu len %zu", at, len);
	}
}

Test(pkt_sum, of_an_ip4_header_is_that_of_its_bytes)
{
	struct hf_pkt_ip4 ip;

	srandom(8);
	for (unsigned round = 0; round < 1000; round++) {
		for (size_t i = 0; i < sizeof(ip); i++)
			((uint8_t *)&ip)[i] = (uint8_t)(round % 3 ? random() : 0xff);
		cr_assert_eq(hf_pkt_sum_ip4(&ip), plain_sum((uint8_t *)&ip, sizeof(ip)));
	}
}

Test(pkt_sum, of_the_example_in_rfc1071_section_3)
{
	static const uint8_t data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	cr_assert_eq(hf_pkt_sum(0, data, sizeof(data)), __builtin_bswap16(0xddf2));
}

/* Every carry there is: between words, between the halves, out of the last one. */
Test(pkt_sum, a_wide_sum_folds_to_that_of_its_words)
{
	static const uint64_t word[] = { 0, 1, 0xffff, 0x10000, 0xffffffff, 0x100000000,
		0xffff0000ffff0000, 0xfffffffeffffffff, 0xffffffff00000000, UINT64_MAX - 1,
		UINT64_MAX };

	for (size_t a = 0; a < sizeof(word) / sizeof(*word); a++) {
		for (size_t b = 0; b < sizeof(word) / sizeof(*word); b++) {
			uint64_t both[2] = { word[a], word[b] };
			uint16_t want = plain_sum((const uint8_t *)both, sizeof(both));

			cr_assert_eq(hf_pkt_sum_fold(hf_pkt_sum_word(word[a], word[b])), want);
			cr_assert_eq(hf_pkt_sum_fold(hf_pkt_sum_wide(word[a], &word[b], 8)), want);
		}
	}
}

Test(pkt_sum, of_all_ones_does_not_overflow)
{
	uint8_t *data = malloc(70000);

	memset(data, 0xff, 70000);
	cr_assert_eq(hf_pkt_sum(0xffff, data, 70000), 0xffff);
	free(data);
}

Test(pkt_sum, of_pieces_at_odd_places_equals_that_of_the_whole)
{
	uint8_t data[101];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (size_t a = 0; a <= sizeof(data); a++) {
		for (size_t b = a; b <= sizeof(data); b++) {
			uint64_t sum = hf_pkt_sum_wide_at(0, 0, data, a);

			sum = hf_pkt_sum_wide_at(sum, a, data + a, b - a);
			sum = hf_pkt_sum_wide_at(sum, b, data + b, sizeof(data) - b);
			cr_assert_eq(hf_pkt_sum_fold(sum), plain_sum(data, sizeof(data)), "%zu %zu",
				a, b);
		}
	}
}

Test(pkt_sum, pseudo_headers_of_rfc9293_and_rfc8200)
{
	static const uint8_t ip4[12] = { 192, 0, 2, 1, 198, 51, 100, 7, 0, 6, 0x12, 0x34 };
	uint8_t ip6[40] = { 0x20, 0x01, [15] = 9, 0xfe, 0x80, [31] = 3, 0, 1, 0x12,
		0x34, [39] = 58 };

	cr_assert_eq(hf_pkt_sum_pseudo4(ip4, ip4 + 4, 6, 0x1234), plain_sum(ip4, 12));
	cr_assert_eq(hf_pkt_sum_pseudo6(ip6, ip6 + 16, 58, 0x11234), plain_sum(ip6, 40));
}
