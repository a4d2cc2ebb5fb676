/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_state_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hf_file.h"
#include "hf_siphash.h"
#include "state_priv.h"

#define FILE_LINE_MAX 128
#define FILE_LINE     "{\"holdfast_state\":1,\"length\":%zu,\"checksum\":\"%016llx\"}\n"

/* Against damage, not against forgers: the key is no secret. */
static unsigned long long file_checksum(const char *text, size_t len)
{
	static const struct hf_sipkey key = { 0x686f6c6466617374, 1 };

	return hf_siphash(&key, text, len);
}

int hf_state_file_save(const char *name, const char *text, size_t len, struct hf_err *err)
{
	char line[FILE_LINE_MAX];
	int line_len = snprintf(line, sizeof(line), FILE_LINE, len, file_checksum(text, len));
	struct hf_file file;
	int rc;

	HF_ASSERT(len <= STATE_TEXT_MAX && line_len > 0 && line_len < FILE_LINE_MAX);
	hf_file_begin(&file, name);
	hf_file_write(&file, line, (size_t)line_len);
	hf_file_write(&file, text, len);
	rc = hf_file_end(&file);
	return rc ? hf_err_set(err, rc, "%s: cannot be written: %s", name, strerror(-rc)) : 0;
}

/* The first line with its end, and a zero; then the text. False: they do not belong together. */
static bool file_is_whole(char *all, size_t all_len, size_t *ret_head_len)
{
	unsigned long long checksum;
	size_t len;
	char *end = memchr(all, '\n', hf_min_size(all_len, FILE_LINE_MAX));
	char line[FILE_LINE_MAX];

	if (!end || sscanf(all, FILE_LINE, &len, &checksum) != 2)
		return false;
	*ret_head_len = (size_t)(end + 1 - all);
	/* as it would be written: nothing else in the line goes unnoticed */
	if ((size_t)snprintf(line, sizeof(line), FILE_LINE, len, checksum) != *ret_head_len ||
		memcmp(line, all, *ret_head_len) != 0)
		return false;
	return len == all_len - *ret_head_len && checksum == file_checksum(end + 1, len);
}

static int file_read(const char *file, char **ret_all, size_t *ret_len)
{
	static const size_t max = STATE_TEXT_MAX + FILE_LINE_MAX;
	FILE *in = fopen(file, "re");
	char *all = in ? malloc(max + 1) : NULL;
	int rc = in ? -ENOMEM : -errno;

	if (all) {
		size_t len = fread(all, 1, max, in);

		rc = ferror(in) ? -EIO : 0;
		all[len] = '\0';
		*ret_len = len;
	}
	if (in)
		(void)fclose(in);
	if (rc)
		free(all);
	else
		*ret_all = all;
	return rc;
}

static int file_set_aside(const char *file, struct hf_err *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s.corrupt", file) >= PATH_MAX || rename(file, path) != 0)
		return hf_err_set(err, -EBADMSG, "%s: damaged", file);
	return hf_err_set(err, -EBADMSG, "%s: damaged; kept as %s", file, path);
}

int hf_state_file_load(const char *file, char **ret_text, size_t *ret_len, struct hf_err *err)
{
	char *all = NULL;
	size_t all_len = 0, head_len = 0;
	int rc = file_read(file, &all, &all_len);

	if (rc == -ENOENT)
		return rc;
	if (rc)
		return hf_err_set(err, rc, "%s: cannot be read: %s", file, strerror(-rc));
	if (!file_is_whole(all, all_len, &head_len)) {
		free(all);
		return file_set_aside(file, err);
	}
	*ret_len = all_len - head_len;
	memmove(all, all + head_len, *ret_len + 1);
	*ret_text = all;
	return 0;
}
