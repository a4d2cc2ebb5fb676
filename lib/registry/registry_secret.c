/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Who may speak: who has the secret (RFC 6750 §2.1).
 */
#include "hf_registry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hf_file.h"
#include "hf_wipe.h"
#include "registry_priv.h"

static bool secret_is_good(const char *text, size_t len)
{
	if (len < REGISTRY_SECRET_MIN || len > REGISTRY_SECRET_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)text[i]))
			return false;
	return true;
}

/* Zeros: it is off. */
static int secret_load(const char *file, struct registry_secret *ret_secret, struct hf_err *err)
{
	char line[REGISTRY_SECRET_MAX + 3] = "";
	int rc = *file ? hf_file_first_line(file, line, sizeof(line)) : 0;
	size_t len = strlen(line);

	*ret_secret = (struct registry_secret){ 0 };
	if (rc != 0)
		return hf_err_set(err, rc, "registry.secret_file %s: %s", file, strerror(-rc));
	if (!*file || secret_is_good(line, len)) {
		ret_secret->len = (uint32_t)len;
		memcpy(ret_secret->text, line, len);
	} else {
		rc = hf_err_set(err, -EINVAL,
			"registry.secret_file %s: its first line must be of 16 to 256 visible "
			"ASCII characters",
			file);
	}
	hf_wipe(line, sizeof(line));
	return rc;
}

int hf_registry_secret_check(const char *file, struct hf_err *err)
{
	struct registry_secret secret;
	int rc = secret_load(file, &secret, err);

	hf_wipe(&secret, sizeof(secret));
	return rc;
}

int hf_registry_secret_set(struct hf_registry *registry, const char *file, struct hf_err *err)
{
	struct registry_secret secret;
	int rc = secret_load(file, &secret, err);

	if (rc != 0)
		return rc;
	(void)pthread_mutex_lock(&registry->lock);
	registry->secret = secret;
	(void)pthread_mutex_unlock(&registry->lock);
	hf_wipe(&secret, sizeof(secret));
	return 0;
}

/* All of both, whatever they are; no zero is within either. */
static bool secret_is_same(const struct registry_secret *a, const struct registry_secret *b)
{
	volatile uint32_t different = 0;

	for (size_t i = 0; i < REGISTRY_SECRET_MAX; i++)
		different |= (uint32_t)(a->text[i] ^ b->text[i]);
	return different == 0;
}

static void secret_given(const char *authorization, struct registry_secret *ret_given)
{
	static const char scheme[] = "Bearer ";
	size_t len;

	*ret_given = (struct registry_secret){ 0 };
	if (!authorization || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return;
	authorization += sizeof(scheme) - 1;
	authorization += strspn(authorization, " ");
	len = strlen(authorization);
	if (len > REGISTRY_SECRET_MAX)
		return;
	ret_given->len = (uint32_t)len;
	memcpy(ret_given->text, authorization, len);
}

unsigned registry_secret_refuses(
	struct hf_registry *registry, const char *authorization, FILE *errors)
{
	struct registry_secret given, secret;
	unsigned status = 0;

	secret_given(authorization, &given);
	(void)pthread_mutex_lock(&registry->lock);
	secret = registry->secret;
	(void)pthread_mutex_unlock(&registry->lock);
	if (secret.len == 0) {
		fprintf(errors, "registry.secret_file: found none: the registry is off; allowed: a "
				"file\n");
		status = 403;
	} else if (!secret_is_same(&given, &secret)) {
		fprintf(errors,
			"Authorization: found %s; allowed: Bearer and the registry's "
			"secret\n",
			authorization ? "another one" : "none");
		status = 401;
	}
	hf_wipe(&given, sizeof(given));
	hf_wipe(&secret, sizeof(secret));
	return status;
}
