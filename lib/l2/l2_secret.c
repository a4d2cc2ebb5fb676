/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What connections begin with: one secret for all nodes and threads.
 */
#include "hf_l2_client.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "hf_file.h"
#include "hf_wipe.h"

#include "l2_client.h"

static pthread_mutex_t secret_lock = PTHREAD_MUTEX_INITIALIZER;
static char secret_text[L2_SECRET_MAX + 1]; /* "": none */

/* One or two words. */
static bool secret_is_good(const char *line)
{
	size_t len = strlen(line), spaces = 0;

	if (len == 0 || len > L2_SECRET_MAX || line[0] == ' ' || line[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < len; i++) {
		spaces += line[i] == ' ';
		if (line[i] != ' ' && !isgraph((unsigned char)line[i]))
			return false;
	}
	return spaces <= 1;
}

int hf_l2_secret_set(const char *file, struct hf_err *err)
{
	char line[L2_SECRET_MAX + 3] = "";
	int rc = *file ? hf_file_first_line(file, line, sizeof(line)) : 0;

	if (rc != 0)
		return hf_err_set(err, rc, "l2.secret_file %s: %s", file, strerror(-rc));
	if (*file && !secret_is_good(line)) {
		hf_wipe(line, sizeof(line));
		return hf_err_set(err, -EINVAL,
			"l2.secret_file %s: its first line must be [USER ]PASSWORD, at most %d "
			"visible ASCII characters",
			file, L2_SECRET_MAX);
	}
	(void)pthread_mutex_lock(&secret_lock);
	memcpy(secret_text, line, sizeof(secret_text));
	(void)pthread_mutex_unlock(&secret_lock);
	hf_wipe(line, sizeof(line));
	return 0;
}

uint32_t l2_secret_args(char buf[L2_SECRET_MAX + 1], struct hf_span arg[3])
{
	char *space;

	(void)pthread_mutex_lock(&secret_lock);
	memcpy(buf, secret_text, sizeof(secret_text));
	(void)pthread_mutex_unlock(&secret_lock);
	if (!*buf)
		return 0;
	space = strchr(buf, ' ');
	arg[0] = HF_SPAN("AUTH");
	if (!space) {
		arg[1] = (struct hf_span){ buf, strlen(buf) };
		return 2;
	}
	arg[1] = (struct hf_span){ buf, (size_t)(space - buf) };
	arg[2] = (struct hf_span){ space + 1, strlen(space + 1) };
	return 3;
}
