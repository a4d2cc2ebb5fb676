/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A snapshot: the tables of lib/stat in their order, then what the application adds.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "metrics_priv.h"

void hf_metrics_add(struct hf_metrics_snap *snap, const struct hf_metrics_sample *sample)
{
	HF_ASSERT(snap->count < METRICS_SAMPLES_MAX);
	HF_ASSERT(sample->name && sample->unit && sample->help);
	snap->sample[snap->count++] = *sample;
}

static void snap_stats(struct hf_metrics_snap *snap)
{
	for (uint32_t i = 0; i < HF_STAT_COUNT; i++) {
		const struct hf_stat_info *info = &hf_stat_infos[i];
		uint64_t sum = hf_stat_sum((enum hf_stat)i);
		struct hf_metrics_sample sample = {
			.name = info->name,
			.unit = info->unit,
			.help = hf_stat_family_help(info->name, info->help),
			.bare = info->bare,
		};

		(void)snprintf(sample.labels, sizeof(sample.labels), "%s", info->labels);
		if (info->kind == HF_STAT_COUNTER) {
			sample.kind = HF_METRICS_COUNTER;
			sample.count = sum;
		} else {
			/* read while one thread added and before another took away */
			int64_t now = (int64_t)sum > 0 ? (int64_t)sum : 0;

			sample.kind = HF_METRICS_GAUGE;
			sample.value = (double)now / hf_stat_divisor(info->unit);
		}
		hf_metrics_add(snap, &sample);
	}
}

static void snap_drops(struct hf_metrics_snap *snap)
{
	for (uint32_t i = HF_DROP_NONE + 1; i < HF_DROP_COUNT; i++) {
		const struct hf_drop_info *info = &hf_drop_infos[i];
		struct hf_metrics_sample sample = {
			.name = "drops_total",
			.unit = "",
			.help = "Frames, segments, connections and requests that were not served, "
				"by reason",
			.kind = HF_METRICS_COUNTER,
			.count = hf_drop_sum((enum hf_drop)i),
		};

		(void)snprintf(sample.labels, sizeof(sample.labels), "layer=\"%s\",reason=\"%s\"",
			hf_drop_layer_name(info->layer), info->name);
		hf_metrics_add(snap, &sample);
	}
}

static void snap_hists(struct hf_metrics_snap *snap)
{
	for (uint32_t i = 0; i < HF_HIST_COUNT; i++) {
		const struct hf_hist_info *info = &hf_hist_infos[i];
		struct hf_metrics_sample sample = {
			.name = info->name,
			.unit = info->unit,
			.help = hf_stat_family_help(info->name, info->help),
			.kind = HF_METRICS_HISTOGRAM,
			.count = i,
		};

		(void)snprintf(sample.labels, sizeof(sample.labels), "%s", info->labels);
		hf_hist_sum((enum hf_hist)i, &snap->view[i]);
		hf_metrics_add(snap, &sample);
	}
}

struct hf_metrics_snap *metrics_snap_take(const struct hf_metrics_cfg *cfg)
{
	struct hf_metrics_snap *snap = malloc(sizeof(*snap));
	struct timespec now;

	if (!snap)
		return NULL;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	snap->time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	snap->count = 0;
	snap_stats(snap);
	snap_drops(snap);
	snap_hists(snap);
	cfg->gauges(cfg->arg, snap);
	return snap;
}

const char *metrics_prefix(const struct hf_metrics_sample *sample)
{
	return sample->bare ? "" : "holdfast_";
}

void metrics_count_write(uint64_t count, const char *unit, FILE *out)
{
	uint32_t divisor = hf_stat_divisor(unit);

	if (divisor == 1)
		fprintf(out, "%" PRIu64, count);
	else
		fprintf(out, "%.9f", (double)count / divisor);
}

bool metrics_label_next(const char **labels, struct metrics_label *ret_label)
{
	const char *at = *labels + (**labels == ',');
	size_t key = strcspn(at, "="), len = 0;

	if (at[key] == '\0')
		return false;
	HF_ASSERT(key > 0 && key < sizeof(ret_label->key) && at[key + 1] == '"');
	memcpy(ret_label->key, at, key);
	ret_label->key[key] = '\0';
	for (at += key + 2; *at && *at != '"'; at++) {
		char c = *at;

		if (c == '\\' && at[1]) {
			at++;
			c = *at == 'n' ? '\n' : *at;
		}
		ret_label->value[len++] = c; /* no longer than the text it stands in */
	}
	ret_label->value[len] = '\0';
	*labels = at + (*at == '"');
	return true;
}
