/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the origin threads know of the nodes of L2.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

static json_t *l2_row(const struct hf_l2_node_status *status, uint32_t thread)
{
	char url[sizeof(status->at.host) + 32];
	bool is6 = strchr(status->at.host, ':');

	(void)snprintf(url, sizeof(url), "%s://%s%s%s:%u", status->at.tls ? "rediss" : "redis",
		is6 ? "[" : "", status->at.host, is6 ? "]" : "", status->at.port);
	return json_pack("[s, s, i, i, s, s, i, i, I, I]", status->at.id, url,
		(int)status->at.weight, (int)thread, status->in_ring ? "in" : "joining",
		hf_l2_breaker_name(status->breaker), (int)status->connections,
		(int)status->in_flight, (json_int_t)status->commands, (json_int_t)status->failures);
}

json_t *app_command_l2_status(struct app *app, bool *ret_internal, struct hf_err *err)
{
	static struct hf_l2_node_status node[2 * HF_L2_NODES_MAX]; /* in the ring, and joining it */
	json_t *table = APP_TABLE_NEW("node", "url", "weight", "thread", "ring", "breaker",
		"connections", "in_flight", "commands", "failures");

	for (uint32_t i = 0; i < app->origins; i++) {
		struct hf_origin_call call = {
			.what = HF_ORIGIN_L2, .l2 = node, .l2_cap = HF_ARRAY_LEN(node)
		};

		if (hf_origin_call(app->origin[i].origin, &call) != 0) {
			*ret_internal = true;
			(void)hf_err_set(err, -ETIMEDOUT, "origin thread %u does not answer", i);
			json_decref(table);
			return NULL;
		}
		HF_ASSERT(call.count <= HF_ARRAY_LEN(node));
		for (uint32_t j = 0; j < call.count; j++)
			app_table_add(table, l2_row(&node[j], i));
	}
	return table;
}
