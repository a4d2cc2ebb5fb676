/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Commands about statistics, drops and histograms: sums over all threads.
 */
#include <fnmatch.h>

#include "app.h"
#include "hf_hist.h"

#define STAT_TITLE_MAX 128

/* A name of a family stands for all its lines. */
static bool stat_matches(const char *pattern, const char *name, const char *title)
{
	return !pattern || fnmatch(pattern, name, 0) == 0 || fnmatch(pattern, title, 0) == 0;
}

/* In UNIT: a fraction where what is held is one. */
static json_t *stat_in_unit(uint64_t held, const char *unit)
{
	uint32_t divisor = hf_stat_divisor(unit);

	return divisor == 1 ? json_integer((json_int_t)held) : json_real((double)held / divisor);
}

static json_t *stat_hist_row(enum hf_hist id, const char *title)
{
	const struct hf_hist_info *info = &hf_hist_infos[id];
	static const double quantiles[] = { 0.5, 0.95, 0.99, 0.999 };
	struct hf_hist_view view;
	json_t *row;

	hf_hist_sum(id, &view);
	row = json_pack("[s, I]", title, (json_int_t)view.count);
	for (size_t i = 0; i < HF_ARRAY_LEN(quantiles); i++)
		(void)json_array_append_new(
			row, stat_in_unit(hf_hist_quantile(&view, quantiles[i]), info->unit));
	(void)json_array_append_new(row, stat_in_unit(view.max, info->unit));
	(void)json_array_append_new(row, json_string(info->help));
	return row;
}

static json_t *stat_hists(const char *pattern)
{
	json_t *table = APP_TABLE_NEW("name", "count", "p50", "p95", "p99", "p99.9", "max", "help");

	for (uint32_t i = 0; i < HF_HIST_COUNT; i++) {
		const struct hf_hist_info *info = &hf_hist_infos[i];
		char title[STAT_TITLE_MAX];

		hf_stat_title(info->name, info->labels, title, sizeof(title));
		if (stat_matches(pattern, info->name, title))
			app_table_add(table, stat_hist_row((enum hf_hist)i, title));
	}
	return table;
}

json_t *app_command_stats(const json_t *args)
{
	json_t *table = APP_TABLE_NEW("name", "value", "help");
	const char *pattern = json_string_value(json_object_get(args, "pattern"));

	for (uint32_t i = 0; i < HF_STAT_COUNT; i++) {
		const struct hf_stat_info *info = &hf_stat_infos[i];
		char title[STAT_TITLE_MAX];

		hf_stat_title(info->name, info->labels, title, sizeof(title));
		if (stat_matches(pattern, info->name, title))
			app_table_add(table,
				json_pack("[s, o, s]", title,
					stat_in_unit(hf_stat_sum((enum hf_stat)i), info->unit),
					info->help));
	}
	(void)json_object_set_new(table, "histograms", stat_hists(pattern));
	return table;
}

json_t *app_command_drops(void)
{
	json_t *table = APP_TABLE_NEW("layer", "reason", "count", "help");

	for (uint32_t i = HF_DROP_NONE + 1; i < HF_DROP_COUNT; i++) {
		const struct hf_drop_info *info = &hf_drop_infos[i];
		uint64_t count = hf_drop_sum((enum hf_drop)i);

		if (count > 0)
			app_table_add(
				table, json_pack("[s, s, I, s]", hf_drop_layer_name(info->layer),
					       info->name, (json_int_t)count, info->help));
	}
	return table;
}

double app_hit_p99_us(void)
{
	struct hf_hist_view view;

	hf_hist_sum(HF_HIST_HIT, &view);
	return (double)hf_hist_quantile(&view, 0.99) / 1000;
}
