/* SPDX-License-Identifier: BSD-3-Clause */
#include "registry_rig.h"

#include <stdlib.h>
#include <unistd.h>

static const char rr_document[] =
	"{\"schema\":1,\"version\":\"v\",\"groups\":[{\"id\":\"h\"}],\"origins\":["
	"{\"group\":\"g\",\"id\":\"d\",\"url\":\"http://d\"}],\"routes\":[]}";

struct hf_registry *rr;
uint64_t rr_now_us = 1000 * RR_S;
struct hf_state *rr_state;
struct hf_admin_answer rr_answer;
char rr_body[1 << 20];
static struct hf_state_overlay *rr_overlay;
static struct hf_admin_resource rr_resource;

static uint64_t rr_clock_us(void)
{
	return rr_now_us;
}

void rr_publish(void)
{
	struct hf_state *state = NULL;

	cr_assert_eq(hf_registry_give(rr, rr_overlay), 0);
	cr_assert_eq(hf_state_parse_with(
			     rr_document, sizeof(rr_document) - 1, rr_overlay, stderr, &state),
		0);
	hf_registry_settle(rr, state);
	hf_state_unref(rr_state);
	rr_state = state;
}

void rr_setup(void)
{
	char file[] = "/tmp/hf_registry.XXXXXX";
	int fd = mkstemp(file);

	(void)hf_stat_register("test");
	rr = hf_registry_new();
	rr_overlay = hf_state_overlay_new();
	cr_assert(fd >= 0 && rr && rr_overlay);
	rr->clock_us = rr_clock_us;
	cr_assert_eq(write(fd, RR_SECRET "\n", sizeof(RR_SECRET)), sizeof(RR_SECRET));
	(void)close(fd);
	cr_assert_eq(hf_registry_secret_set(rr, file, NULL), 0);
	(void)unlink(file);
	hf_registry_resource(rr, &rr_resource);
	rr_publish();
}

void rr_teardown(void)
{
	hf_registry_free(rr);
	hf_state_overlay_free(rr_overlay);
	hf_state_unref(rr_state);
}

const struct hf_state_origin *rr_in_force(const char *id)
{
	const struct hf_state_group *group = &rr_state->group[1];

	cr_assert_str_eq(group->name, "g");
	for (uint32_t i = 0; i < group->origin_count; i++)
		if (strcmp(group->origin[i].id, id) == 0)
			return &group->origin[i];
	return NULL;
}

unsigned rr_ask_as(
	const char *authorization, const char *method, const char *path, const char *body)
{
	struct hf_admin_request request = { .method = method,
		.path = path,
		.authorization = authorization,
		.peer = "192.0.2.1:5",
		.body = { body, strlen(body) } };

	rr_answer = (struct hf_admin_answer){ .type = "text" };
	rr_resource.head(rr_resource.arg, &request, &rr_answer);
	if (rr_answer.status == 0)
		rr_resource.answer(rr_resource.arg, &request, &rr_answer);
	(void)snprintf(rr_body, sizeof(rr_body), "%.*s", (int)rr_answer.len,
		rr_answer.body ? rr_answer.body : "");
	free(rr_answer.body);
	return rr_answer.status;
}

bool rr_is_due(void)
{
	return hf_registry_settled(rr) >= rr_answer.due;
}

const char *rr_released(const char *path)
{
	struct hf_admin_request request = { .method = "PUT", .path = path };

	rr_answer.body = strdup(rr_body);
	rr_resource.released(rr_resource.arg, &request, &rr_answer);
	(void)snprintf(rr_body, sizeof(rr_body), "%.*s", (int)rr_answer.len, rr_answer.body);
	free(rr_answer.body);
	return rr_body;
}

unsigned rr_ask(const char *method, const char *path, const char *body)
{
	return rr_ask_as("Bearer " RR_SECRET, method, path, body);
}

unsigned rr_put(const char *id, const char *url, uint32_t ttl_s)
{
	char path[1200], body[1200];

	(void)snprintf(path, sizeof(path), "/v1/origins/g/%s", id);
	(void)snprintf(body, sizeof(body), "{\"url\":\"%s\",\"ttl\":%u}", url, ttl_s);
	return rr_ask("PUT", path, body);
}
