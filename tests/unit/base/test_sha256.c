/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

static void expect(const char *data, size_t len, const char *hex)
{
	uint8_t hash[HF_SHA256_LEN];
	char text[2 * HF_SHA256_LEN + 1];

	hf_sha256(data, len, hash);
	hf_sha256_format(hash, text);
	cr_expect_str_eq(text, hex);
}

Test(sha256, gives_the_hashes_of_FIPS_180)
{
	char *million = malloc(1000000);

	memset(million, 'a', 1000000);
	expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	expect(million, 1000000,
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	/* each length around the end of a block */
	expect(million, 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
	expect(million, 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
	free(million);
}

Test(sha256, reads_what_it_writes_and_nothing_else)
{
	static const char good[] =
		"BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	uint8_t hash[HF_SHA256_LEN], abc[HF_SHA256_LEN];
	char bad[sizeof(good) + 1];

	hf_sha256("abc", 3, abc);
	cr_assert(hf_sha256_parse(good, hash));
	cr_expect(memcmp(hash, abc, sizeof(abc)) == 0);
	strcpy(bad, good);
	bad[10] = 'g';
	cr_expect_not(hf_sha256_parse(bad, hash));
	bad[10] = '\0';
	cr_expect_not(hf_sha256_parse(bad, hash));
	(void)snprintf(bad, sizeof(bad), "%s0", good);
	cr_expect_not(hf_sha256_parse(bad, hash));
	cr_expect_not(hf_sha256_parse("", hash));
	cr_expect(memcmp(hash, abc, sizeof(abc)) == 0);
}
