/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is told of each origin: of the first METRICS_ORIGINS_MAX, whose names fit, so that who
 * registers many does not make as many series.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "hf_metrics.h"

#define METRICS_ORIGINS_MAX 128

struct metrics_origins {
	struct hf_metrics_snap *snap;
	const struct hf_state *state;
	const struct hf_origin_load *load; /* one for each, group by group */
};

/* An origin that gets fetches as they come. */
static bool origins_is_active(
	const struct hf_state_origin *origin, const struct hf_origin_load *load)
{
	return !origin->drained && !load->unhealthy && load->ejected_us == 0;
}

/* KEY="NAME", behind what is there. False: it does not fit. */
static bool origins_label(struct hf_metrics_sample *sample, const char *key, const char *name)
{
	char *at = sample->labels + strlen(sample->labels);
	char *end = sample->labels + sizeof(sample->labels) - sizeof("\"");

	at += snprintf(at, (size_t)(end - at), "%s%s=\"", *sample->labels ? "," : "", key);
	for (; *name && at < end - 2; name++) {
		if (*name == '"' || *name == '\\')
			*at++ = '\\';
		*at++ = *name;
	}
	*at++ = '"';
	*at = '\0';
	return !*name;
}

enum origins_family { ORIGINS_IN_FLIGHT, ORIGINS_ACTIVE };

static void origins_each(const struct metrics_origins *of, enum origins_family family)
{
	static const char *const name[] = {
		[ORIGINS_IN_FLIGHT] = "origin_in_flight", [ORIGINS_ACTIVE] = "origin_active"
	};
	static const char *const help[] = {
		[ORIGINS_IN_FLIGHT] = "Fetches under way at each origin",
		[ORIGINS_ACTIVE] = "1 while an origin is neither drained nor ejected nor unhealthy"
	};
	uint32_t at = 0;

	for (uint32_t i = 0; i < of->state->group_count; i++) {
		const struct hf_state_group *group = &of->state->group[i];

		for (uint32_t j = 0; j < group->origin_count; j++, at++) {
			const struct hf_origin_load *load = &of->load[at];
			struct hf_metrics_sample sample = { .name = name[family],
				.unit = "",
				.help = help[family],
				.kind = HF_METRICS_GAUGE,
				.value = family == ORIGINS_IN_FLIGHT
						 ? load->in_flight
						 : origins_is_active(&group->origin[j], load) };

			if (at < METRICS_ORIGINS_MAX &&
				origins_label(&sample, "group", group->name) &&
				origins_label(&sample, "origin", group->origin[j].id))
				hf_metrics_add(of->snap, &sample);
		}
	}
}

/* Fetches wait for any of a group's origins. */
static void origins_queues(const struct metrics_origins *of)
{
	const struct hf_origin_load *load = of->load;

	for (uint32_t i = 0; i < hf_min_u32(of->state->group_count, METRICS_ORIGINS_MAX); i++) {
		const struct hf_state_group *group = &of->state->group[i];
		struct hf_metrics_sample sample = { .name = "origin_group_queued",
			.unit = "",
			.help = "Fetches of each group that wait for a slot",
			.kind = HF_METRICS_GAUGE,
			.value = group->origin_count ? load->queued : 0 };

		if (origins_label(&sample, "group", group->name))
			hf_metrics_add(of->snap, &sample);
		load += group->origin_count;
	}
}

static void origins_count(const struct metrics_origins *of)
{
	struct hf_metrics_sample sample = { .name = "routing_active_origins",
		.unit = "",
		.help = "Origins of all groups that are neither drained nor ejected nor unhealthy",
		.kind = HF_METRICS_GAUGE };
	const struct hf_origin_load *load = of->load;

	for (uint32_t i = 0; i < of->state->group_count; i++)
		for (uint32_t j = 0; j < of->state->group[i].origin_count; j++, load++)
			sample.value += origins_is_active(&of->state->group[i].origin[j], load);
	hf_metrics_add(of->snap, &sample);
}

void app_metrics_origins(struct app *app, struct hf_metrics_snap *snap)
{
	struct hf_state *state = hf_sync_state(app->sync);
	struct hf_err err;
	struct hf_origin_load *load = state ? app_origin_loads(app, state, &err) : NULL;
	struct metrics_origins of = { snap, state, load };

	if (load) {
		origins_count(&of);
		origins_each(&of, ORIGINS_IN_FLIGHT);
		origins_each(&of, ORIGINS_ACTIVE);
		origins_queues(&of);
	}
	free(load);
	hf_state_unref(state);
}
