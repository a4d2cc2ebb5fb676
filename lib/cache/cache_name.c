/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a purge names, from the words of an operator or of a state document to those of keys and
 * fields.
 */
#include "hf_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cache_priv.h"

static const char name_scheme[] = "http://";

int hf_purge_url(const char *url, char *buf, size_t cap, struct hf_err *err)
{
	size_t host_len;
	int len;

	if (strncasecmp(url, name_scheme, sizeof(name_scheme) - 1) != 0)
		return hf_err_set(err, -EINVAL, "URL must begin with http:// and name a host");
	url += sizeof(name_scheme) - 1;
	host_len = strcspn(url, "/?");
	len = hf_http_key_build(buf, cap, HF_SPAN("http"), (struct hf_span){ url, host_len },
		(struct hf_span){ url + host_len, strlen(url + host_len) });
	if (len < 0)
		return hf_err_set(err, -EINVAL, "URL or prefix is malformed or too long");
	return len;
}

int hf_purge_prefix(const char *prefix, char *buf, size_t cap, struct hf_purge_walk *ret_walk,
	struct hf_err *err)
{
	static const char any[] = "http://any";
	bool path = *prefix == '/', has_path;
	char *url;
	int len;

	if (!path && strncasecmp(prefix, name_scheme, sizeof(name_scheme) - 1) != 0)
		return hf_err_set(err, -EINVAL,
			"prefix must begin with http:// and name a host, or be a path: /...");
	has_path = path || strpbrk(prefix + sizeof(name_scheme) - 1, "/?");
	url = malloc(sizeof(any) + strlen(prefix) + 2);
	HF_ASSERT(url != NULL);
	/* something goes on behind it: "/a/." is no "/a/" but the beginning of "/a/.b" */
	(void)stpcpy(stpcpy(stpcpy(url, path ? any : ""), prefix), has_path ? "x" : "/x");
	len = hf_purge_url(url, buf, cap, err);
	free(url);
	if (len < 0)
		return len;
	ret_walk->kind = path ? HF_PURGE_PATH : HF_PURGE_PREFIX;
	ret_walk->text = (struct hf_span){ buf, (size_t)len - 1 };
	if (path) {
		ret_walk->text.ptr += sizeof(any) - 1;
		ret_walk->text.len -= sizeof(any) - 1;
	}
	return 0;
}

/* What no field can hold is a mistake. */
int hf_purge_tag(const char *tag, struct hf_purge_walk *ret_walk, struct hf_err *err)
{
	size_t len = strlen(tag);

	if (len == 0 || len > HF_PURGE_TAG_MAX)
		return hf_err_set(
			err, -EINVAL, "tag of %zu bytes; allowed: 1 to %d", len, HF_PURGE_TAG_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)tag[i] < 0x20 || tag[i] == 0x7f)
			return hf_err_set(err, -EINVAL, "tag with a control character");
	if (tag[0] == ' ' || tag[len - 1] == ' ')
		return hf_err_set(err, -EINVAL, "tag with a blank at its beginning or end");
	ret_walk->kind = HF_PURGE_TAG;
	ret_walk->text = (struct hf_span){ tag, len };
	return 0;
}
