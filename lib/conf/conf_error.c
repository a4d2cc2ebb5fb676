/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <stdlib.h>
#include <string.h>

#include "conf_priv.h"

#define CONF_ERROR_LEN 2048
#define CONF_QUOTE_LEN 80 /* as much of a value as an error shows */

const char *conf_error_quote(const char *text, char *ret_buf, size_t size)
{
	size_t n = 0;

	HF_ASSERT(size > CONF_QUOTE_LEN + 8);
	ret_buf[n++] = '"';
	for (; *text && n < CONF_QUOTE_LEN; text++) {
		unsigned char c = (unsigned char)*text;

		ret_buf[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	if (*text) {
		memcpy(ret_buf + n, "...", 3);
		n += 3;
	}
	ret_buf[n++] = '"';
	ret_buf[n] = '\0';
	return ret_buf;
}

void conf_error_add(struct conf_errors *errors, uint32_t line, const char *key, const char *found,
	const char *allowed, ...)
{
	char text[CONF_ERROR_LEN];
	int n = snprintf(text, sizeof(text), "%s: found %s; allowed: ", key, found);
	va_list args;

	HF_ASSERT(n > 0 && n < CONF_ERROR_LEN);
	va_start(args, allowed);
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n, allowed, args);
	va_end(args);
	if (errors->count == errors->room) {
		uint32_t room = errors->room ? 2 * errors->room : 16;
		struct conf_error *at = realloc(errors->at, room * sizeof(*at));

		if (!at) {
			errors->out_of_memory = true;
			return;
		}
		errors->at = at;
		errors->room = room;
	}
	errors->at[errors->count] = (struct conf_error){
		.line = line ? line : 1,
		.order = errors->count,
		.text = strdup(text),
	};
	if (!errors->at[errors->count].text)
		errors->out_of_memory = true;
	else
		errors->count++;
}

static int conf_error_compare(const void *a, const void *b)
{
	const struct conf_error *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

void conf_errors_print(struct conf_errors *errors, const char *file, FILE *out)
{
	if (errors->count > 0)
		qsort(errors->at, errors->count, sizeof(*errors->at), conf_error_compare);
	for (uint32_t i = 0; i < errors->count; i++)
		fprintf(out, "%s:%u: %s\n", file, errors->at[i].line, errors->at[i].text);
}

void conf_errors_fini(struct conf_errors *errors)
{
	for (uint32_t i = 0; i < errors->count; i++)
		free(errors->at[i].text);
	free(errors->at);
	*errors = (struct conf_errors){ 0 };
}
