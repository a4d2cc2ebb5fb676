/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <string.h>

#include "hf_sha256.h"

#define CREDENTIAL_MAX 4096 /* as lib/serve takes */

int cli_credential(json_t *given, struct hf_err *err)
{
	const char *from = json_string_value(json_object_get(given, "sha256"));
	char text[CREDENTIAL_MAX + 2], hex[2 * HF_SHA256_LEN + 1];
	uint8_t hash[HF_SHA256_LEN];
	size_t len;

	if (!from || strcmp(from, "-") != 0)
		return 0;
	len = fread(text, 1, sizeof(text), stdin);
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len == 0 || len > CREDENTIAL_MAX || memchr(text, '\n', len))
		return hf_err_set(err, -1,
			"standard input has no credential: one line of 1 to %d bytes",
			CREDENTIAL_MAX);
	hf_sha256(text, len, hash);
	explicit_bzero(text, sizeof(text));
	hf_sha256_format(hash, hex);
	return json_object_set_new(given, "sha256", json_string(hex)) == 0
		       ? 0
		       : hf_err_set(err, -1, "no memory");
}
