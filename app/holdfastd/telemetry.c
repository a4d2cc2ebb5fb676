/* SPDX-License-Identifier: BSD-3-Clause
 *
 * DPDK's telemetry: what `holdfastctl stats` and `drops` tell, for dpdk-telemetry.py and what else
 * speaks to its socket. Asked on threads of DPDK's; only sums are read, which any thread may.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_telemetry.h>

#include "app.h"
#include "hf_hist.h"

HF_STATIC_ASSERT(HF_STAT_COUNT <= RTE_TEL_MAX_DICT_ENTRIES, "each has an entry");
HF_STATIC_ASSERT(HF_DROP_COUNT <= RTE_TEL_MAX_DICT_ENTRIES, "each has an entry");

/* DPDK's names are of letters, digits and "_": of `class="absent"` the value goes behind the
 * name. */
static void telemetry_name(
	const char *name, const char *labels, char ret_text[RTE_TEL_MAX_STRING_LEN])
{
	size_t len = (size_t)snprintf(ret_text, RTE_TEL_MAX_STRING_LEN, "%s", name);
	const char *value;

	while ((value = strchr(labels, '"')) != NULL && len < RTE_TEL_MAX_STRING_LEN) {
		int value_len = (int)strcspn(value + 1, "\"");

		len += (size_t)snprintf(ret_text + len, RTE_TEL_MAX_STRING_LEN - len, "_%.*s",
			value_len, value + 1);
		labels = value + 1 + value_len + 1;
	}
}

static int telemetry_stats(const char *cmd, const char *params, struct rte_tel_data *data)
{
	int rc = rte_tel_data_start_dict(data);

	for (uint32_t i = 0; rc == 0 && i < HF_STAT_COUNT; i++) {
		const struct hf_stat_info *info = &hf_stat_infos[i];
		char name[RTE_TEL_MAX_STRING_LEN];

		telemetry_name(info->name, info->labels, name);
		rc = rte_tel_data_add_dict_u64(data, name, hf_stat_sum((enum hf_stat)i));
	}
	return rc;
}

static int telemetry_drops(const char *cmd, const char *params, struct rte_tel_data *data)
{
	int rc = rte_tel_data_start_dict(data);

	for (uint32_t i = HF_DROP_NONE + 1; rc == 0 && i < HF_DROP_COUNT; i++)
		rc = rte_tel_data_add_dict_u64(
			data, hf_drop_infos[i].name, hf_drop_sum((enum hf_drop)i));
	return rc;
}

static int telemetry_hist(enum hf_hist id, struct rte_tel_data *data)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = { { "p50", 0.5 }, { "p95", 0.95 }, { "p99", 0.99 }, { "p999", 0.999 } };
	struct hf_hist_view view;
	int rc = rte_tel_data_start_dict(data);

	hf_hist_sum(id, &view);
	rc |= rte_tel_data_add_dict_u64(data, "count", view.count);
	for (uint32_t i = 0; i < HF_ARRAY_LEN(quantiles); i++)
		rc |= rte_tel_data_add_dict_u64(
			data, quantiles[i].name, hf_hist_quantile(&view, quantiles[i].q));
	return rc | rte_tel_data_add_dict_u64(data, "max", view.max);
}

/* As they are held: nanoseconds for seconds. */
static int telemetry_hists(const char *cmd, const char *params, struct rte_tel_data *data)
{
	int rc = rte_tel_data_start_dict(data);

	for (uint32_t i = 0; rc == 0 && i < HF_HIST_COUNT; i++) {
		const struct hf_hist_info *info = &hf_hist_infos[i];
		struct rte_tel_data *one = rte_tel_data_alloc();
		char name[RTE_TEL_MAX_STRING_LEN];

		if (!one)
			return -ENOMEM;
		telemetry_name(info->name, info->labels, name);
		rc = telemetry_hist((enum hf_hist)i, one);
		rc |= rte_tel_data_add_dict_container(data, name, one, /* keep= */ 0);
	}
	return rc;
}

void app_telemetry_init(void)
{
	static const struct {
		const char *cmd, *help;
		telemetry_cb fn;
	} cmds[] = {
		{ "/holdfast/stats", "Every statistic, summed over threads. No parameters",
			telemetry_stats },
		{ "/holdfast/drops", "What arrived and was not served, by reason. No parameters",
			telemetry_drops },
		{ "/holdfast/histograms",
			"Counts and quantiles; times in nanoseconds. No parameters",
			telemetry_hists },
	};

	for (uint32_t i = 0; i < HF_ARRAY_LEN(cmds); i++)
		HF_ASSERT(rte_telemetry_register_cmd(cmds[i].cmd, cmds[i].fn, cmds[i].help) == 0);
}
