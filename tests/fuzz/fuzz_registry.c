/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Messages to the registry, a line "METHOD PATH" and a body each, with a byte 0x1e behind it; the method "WAIT" lets
 * time pass. Each is answered by what was asked for or by a reason, and what is registered always fits a document.
 * Needs: registry.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf_log.h"

#include "registry_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document[] =
	"{\"schema\":1,\"version\":\"v\",\"groups\":[{\"id\":\"g\"}],\"origins\":["
	"{\"group\":\"h\",\"id\":\"d\",\"url\":\"http://d\"}],\"routes\":[]}";
static uint64_t now_us;

static uint64_t clock_us(void)
{
	return now_us;
}

static void publish(struct hf_registry *registry)
{
	struct hf_state_overlay *overlay = hf_state_overlay_new();
	struct hf_state *state = NULL;
	uint32_t count = 0;

	HF_ASSERT(hf_registry_give(registry, overlay) == 0);
	HF_ASSERT(
		hf_state_parse_with(document, sizeof(document) - 1, overlay, stderr, &state) == 0);
	hf_registry_settle(registry, state);
	HF_ASSERT(!registry->changed);
	for (size_t i = 0; i < registry->count; i++)
		count += registry->origin[i]->in_force;
	HF_ASSERT(state->group[0].origin_count + state->group[1].origin_count == 1 + count);
	hf_state_unref(state);
	hf_state_overlay_free(overlay);
}

static void check_answer(const struct hf_admin_answer *answer)
{
	json_t *json = json_loadb(answer->body ? answer->body : "", answer->len, 0, NULL);
	const json_t *error = json_object_get(json, "error");

	HF_ASSERT(answer->status == 204 ? answer->len == 0 : json != NULL);
	HF_ASSERT((answer->status >= 400) == (error != NULL));
	HF_ASSERT(!error || json_array_size(json_object_get(error, "errors")) > 0);
	HF_ASSERT(answer->status < 500);
	json_decref(json);
}

/* TEXT: METHOD PATH\nBODY, NUL behind it. */
static void say(struct hf_registry *registry, char *text, size_t len)
{
	static const char prefix[] = "/v1/origins";
	size_t line = strcspn(text, "\n");
	struct hf_admin_request request = { .method = text, .peer = "peer" };
	struct hf_admin_answer answer = { 0 };
	struct hf_admin_resource resource;
	char *path;

	if (line < len) {
		text[line] = '\0';
		request.body = (struct hf_span){ text + line + 1, len - line - 1 };
	} else {
		request.body = (struct hf_span){ "", 0 };
	}
	path = strchr(text, ' ');
	if (!path)
		return;
	*path++ = '\0';
	if (strcmp(text, "WAIT") == 0) {
		now_us += strtoull(path, NULL, 10) % 100000 * 1000000;
		publish(registry);
		return;
	}
	if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
		return; /* the listener leads no other path here */
	request.path = path;
	hf_registry_resource(registry, &resource);
	resource.answer(resource.arg, &request, &answer);
	check_answer(&answer);
	free(answer.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hf_registry *registry = hf_registry_new();
	char *text = malloc(size + 1), *at = text;

	hf_log_level_set(HF_LOG_ERROR);
	now_us = 1000000;
	registry->clock_us = clock_us;
	memcpy(text, data, size);
	text[size] = '\0';
	publish(registry);
	for (char *end = text + size; at < end;) {
		char *stop = memchr(at, 0x1e, (size_t)(end - at));

		stop = stop ? stop : end;
		*stop = '\0';
		say(registry, at, (size_t)(stop - at));
		at = stop + 1;
	}
	publish(registry);
	free(text);
	hf_registry_free(registry);
	return 0;
}
