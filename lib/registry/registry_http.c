/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The resource /v1/origins: a request to a message, what comes of it to an answer.
 *
 *      head -> secret; path, method -> table -> 200, 201, 204
 *           \-> refused: every reason in the answer, the first in the log
 */
#include "hf_registry.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hf_hist.h"
#include "hf_log.h"
#include "hf_stat.h"
#include "registry_priv.h"

#define HTTP_PATH     "/v1/origins"
#define HTTP_NAME_MAX 1024 /* of a group, of an id: as in a document */

enum http_what { HTTP_UNKNOWN, HTTP_LIST, HTTP_SHOW, HTTP_REGISTER, HTTP_DEREGISTER };

static const char *const http_types[] = { [HTTP_UNKNOWN] = "unknown",
	[HTTP_LIST] = "list",
	[HTTP_SHOW] = "show",
	[HTTP_REGISTER] = "register",
	[HTTP_DEREGISTER] = "deregister" };

struct http_message {
	enum http_what what;
	char group[HTTP_NAME_MAX + 1], id[HTTP_NAME_MAX + 1];
};

/* ---- what is asked ---- */

static int http_hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* A segment of a path, unescaped (RFC 3986 §2.1). */
static bool http_name(const char *text, size_t len, char ret_name[HTTP_NAME_MAX + 1])
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			if (i + 2 >= len || !isxdigit((unsigned char)text[i + 1]) ||
				!isxdigit((unsigned char)text[i + 2]))
				return false;
			c = (char)(http_hex(text[i + 1]) * 16 + http_hex(text[i + 2]));
			i += 2;
		}
		if (!isgraph((unsigned char)c) || out == HTTP_NAME_MAX)
			return false;
		ret_name[out++] = c;
	}
	ret_name[out] = '\0';
	return out > 0;
}

/* Of /GROUP/ID, which stands behind HTTP_PATH. 0, 400, 404. */
static unsigned http_names(const char *rest, struct http_message *ret_message, FILE *errors)
{
	const char *slash = *rest ? strchr(rest + 1, '/') : NULL;

	if (!slash || strchr(slash + 1, '/')) {
		fprintf(errors, "path: found another number of segments; allowed: " HTTP_PATH
				" or " HTTP_PATH "/GROUP/ID\n");
		return 404;
	}
	if (http_name(rest + 1, (size_t)(slash - rest) - 1, ret_message->group) &&
		http_name(slash + 1, strlen(slash + 1), ret_message->id))
		return 0;
	fprintf(errors,
		"path: found no name; allowed: " HTTP_PATH
		"/GROUP/ID, each of 1 to %d characters of ASCII without spaces, or escapes of "
		"them\n",
		HTTP_NAME_MAX);
	return 400;
}

static enum http_what http_of_method(const char *method, bool one)
{
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
		return one ? HTTP_SHOW : HTTP_LIST;
	if (one && strcmp(method, "PUT") == 0)
		return HTTP_REGISTER;
	if (one && strcmp(method, "DELETE") == 0)
		return HTTP_DEREGISTER;
	return HTTP_UNKNOWN;
}

/* 0, 400, 404, 405, 413. */
static unsigned http_read(const struct hf_admin_request *request, struct http_message *ret_message,
	struct hf_admin_answer *answer, FILE *errors)
{
	const char *rest = request->path + sizeof(HTTP_PATH) - 1;
	bool one = *rest && strcmp(rest, "/") != 0;
	unsigned status = one ? http_names(rest, ret_message, errors) : 0;

	if (status != 0)
		return status;
	ret_message->what = http_of_method(request->method, one);
	if (ret_message->what == HTTP_UNKNOWN) {
		answer->field = "Allow";
		answer->value = one ? "GET, HEAD, PUT, DELETE" : "GET, HEAD";
		fprintf(errors, "method: found another one; allowed: %s\n", answer->value);
		return 405;
	}
	if (request->has_query) {
		fprintf(errors, "path: found a query; allowed: none\n");
		return 400;
	}
	if (request->too_large) {
		fprintf(errors, "body: found a larger one; allowed: at most %d bytes\n",
			REGISTRY_BODY_MAX);
		return 413;
	}
	if (ret_message->what == HTTP_REGISTER || request->body.len == 0)
		return 0;
	fprintf(errors, "body: found %zu bytes; allowed: none\n", request->body.len);
	return 400;
}

/* ---- what is answered ---- */

static void http_body(struct hf_admin_answer *answer, json_t *json)
{
	answer->type = "application/json";
	answer->body = json ? json_dumps(json, JSON_COMPACT) : NULL;
	answer->len = answer->body ? strlen(answer->body) : 0;
	json_decref(json);
}

/* Lines of ASCII, each a reason. */
static json_t *http_reasons(char *text)
{
	json_t *list = json_array();

	for (char *c = text; *c; c++)
		if ((unsigned char)*c >= 0x7f)
			*c = '?';
	for (char *line = strtok_r(text, "\n", &text); line; line = strtok_r(NULL, "\n", &text))
		(void)json_array_append_new(list, json_string(line));
	return list;
}

/* Counted and told; TEXT: the reasons. */
static void http_refuse(const struct hf_admin_request *request, enum http_what what, char *text,
	struct hf_admin_answer *answer)
{
	json_t *reasons = http_reasons(text);
	const char *reason = json_string_value(json_array_get(reasons, 0));
	const char *type = answer->status < 500    ? "client_error"
			   : answer->status == 503 ? "unavailable"
						   : "internal_error";

	if (!reason)
		reason = "no memory left for it";
	if (answer->status == 500) {
		hf_stat_inc(HF_STAT_INTERNAL_ERRORS_REGISTRY);
		hf_log(HF_LOG_ERROR, "registry",
			"error_type=%s message_type=%s peer=%s reason=\"%s\"", type,
			http_types[what], request->peer, reason);
	} else if (answer->status < 500) {
		hf_stat_inc(HF_STAT_CLIENT_ERRORS_REGISTRY);
		hf_log(HF_LOG_WARN, "registry",
			"error_type=%s message_type=%s peer=%s reason=\"%s\"", type,
			http_types[what], request->peer, reason);
	} else {
		answer->field = "Retry-After";
		answer->value = "1";
	}
	http_body(answer, json_pack("{s:{s:s, s:s, s:o}}", "error", "type", type, "message", reason,
				  "errors", reasons));
}

static void http_carry_out(struct hf_registry *registry, const struct hf_admin_request *request,
	const struct http_message *message, struct hf_admin_answer *answer, FILE *errors)
{
	uint64_t now_us = registry->clock_us();
	json_t *json = NULL;

	switch (message->what) {
	case HTTP_UNKNOWN:
		HF_ASSERT(!"http_read has refused it");
		break;
	case HTTP_LIST:
		answer->status = registry_list(registry, now_us, &json);
		break;
	case HTTP_SHOW:
		answer->status =
			registry_show(registry, message->group, message->id, now_us, errors, &json);
		break;
	case HTTP_REGISTER:
		answer->status = registry_put(registry, message->group, message->id, request->body,
			now_us, errors, &json, &answer->due);
		break;
	case HTTP_DEREGISTER:
		answer->status = registry_delete(
			registry, message->group, message->id, now_us, errors, &answer->due);
	}
	if (answer->status == 200 || answer->status == 201)
		http_body(answer, json);
}

static void http_answer(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	struct hf_registry *registry = arg;
	uint64_t begin_us = hf_clock_us();
	struct http_message message = { .what = HTTP_UNKNOWN };
	char *text = NULL;
	size_t len = 0;
	FILE *errors = open_memstream(&text, &len);

	HF_ASSERT(errors);
	ret_answer->status = http_read(request, &message, ret_answer, errors);
	if (ret_answer->status == 0)
		http_carry_out(registry, request, &message, ret_answer, errors);
	(void)fclose(errors);
	HF_ASSERT(text);
	if (ret_answer->status >= 400)
		http_refuse(request, message.what, text, ret_answer);
	free(text);
	hf_hist_add(HF_HIST_REGISTRY, (hf_clock_us() - begin_us) * 1000);
}

/* What was registered is in force: it is told as it is now, if it is there still. */
static void http_released(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *answer)
{
	struct hf_registry *registry = arg;
	const char *rest = request->path + sizeof(HTTP_PATH) - 1;
	struct http_message message;
	char *text = NULL;
	json_t *json = NULL;
	size_t len = 0;
	FILE *errors = open_memstream(&text, &len);

	HF_ASSERT(errors && http_names(rest, &message, errors) == 0);
	if (answer->body && registry_show(registry, message.group, message.id, registry->clock_us(),
				    errors, &json) == 200) {
		free(answer->body);
		http_body(answer, json);
	}
	(void)fclose(errors);
	free(text);
}

/* Strangers send no body. */
static void http_head(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	char *text = NULL;
	size_t len = 0;
	FILE *errors = open_memstream(&text, &len);

	HF_ASSERT(errors);
	ret_answer->status = registry_secret_refuses(arg, request->authorization, errors);
	(void)fclose(errors);
	HF_ASSERT(text);
	if (ret_answer->status == 401) {
		ret_answer->field = "WWW-Authenticate";
		ret_answer->value = "Bearer";
	}
	if (ret_answer->status != 0)
		http_refuse(request, HTTP_UNKNOWN, text, ret_answer);
	free(text);
}

void hf_registry_resource(struct hf_registry *registry, struct hf_admin_resource *ret_resource)
{
	*ret_resource = (struct hf_admin_resource){
		.path = HTTP_PATH,
		.below = true,
		.any_method = true,
		.body_max = REGISTRY_BODY_MAX,
		.head = http_head,
		.answer = http_answer,
		.released = http_released,
		.arg = registry,
	};
}
