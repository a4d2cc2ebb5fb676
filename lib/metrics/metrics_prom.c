/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Prometheus text format, version 0.0.4.
 */
#include <inttypes.h>
#include <string.h>

#include "metrics_priv.h"

static void prom_help(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\\\", out);
		else if (*text == '\n')
			fputs("\\n", out);
		else
			fputc(*text, out);
	}
}

static void prom_family(const struct hf_metrics_sample *sample, FILE *out)
{
	static const char *const kinds[] = {
		[HF_METRICS_COUNTER] = "counter",
		[HF_METRICS_GAUGE] = "gauge",
		[HF_METRICS_HISTOGRAM] = "histogram",
	};

	HF_ASSERT(sample->kind < HF_ARRAY_LEN(kinds));
	fprintf(out, "# HELP %s%s ", metrics_prefix(sample), sample->name);
	prom_help(sample->help, out);
	fprintf(out, "\n# TYPE %s%s %s\n", metrics_prefix(sample), sample->name,
		kinds[sample->kind]);
}

/* Name and labels, with LE behind these if it is not "". */
static void prom_title(
	const struct hf_metrics_sample *sample, const char *suffix, const char *le, FILE *out)
{
	fprintf(out, "%s%s%s", metrics_prefix(sample), sample->name, suffix);
	if (*sample->labels || *le)
		fprintf(out, "{%s%s%s}", sample->labels, *sample->labels && *le ? "," : "", le);
	fputc(' ', out);
}

static void prom_bucket(
	const struct hf_metrics_sample *sample, const char *bound, uint64_t count, FILE *out)
{
	char le[64];

	(void)snprintf(le, sizeof(le), "le=\"%s\"", bound);
	prom_title(sample, "_bucket", le, out);
	fprintf(out, "%" PRIu64 "\n", count);
}

static void prom_histogram(
	const struct hf_metrics_snap *snap, const struct hf_metrics_sample *sample, FILE *out)
{
	enum hf_hist id = (enum hf_hist)sample->count;
	const struct hf_hist_view *view = &snap->view[id];
	uint32_t divisor = hf_stat_divisor(hf_hist_infos[id].unit);

	for (uint32_t i = 0; i < hf_hist_le_count(id); i++) {
		uint64_t le = hf_hist_le(id, i);
		char bound[32];

		(void)snprintf(bound, sizeof(bound), "%.15g", (double)le / divisor);
		prom_bucket(sample, bound, hf_hist_count_le(view, le), out);
	}
	prom_bucket(sample, "+Inf", view->count, out);
	prom_title(sample, "_sum", "", out);
	fprintf(out, "%.15g\n", (double)view->sum / divisor);
	prom_title(sample, "_count", "", out);
	fprintf(out, "%" PRIu64 "\n", view->count);
}

void metrics_prom_write(const struct hf_metrics_snap *snap, FILE *out)
{
	for (size_t i = 0; i < snap->count; i++) {
		const struct hf_metrics_sample *sample = &snap->sample[i];

		if (i == 0 || strcmp(sample[-1].name, sample->name) != 0)
			prom_family(sample, out);
		switch (sample->kind) {
		case HF_METRICS_COUNTER:
			prom_title(sample, "", "", out);
			metrics_count_write(sample->count, sample->unit, out);
			fputc('\n', out);
			break;
		case HF_METRICS_GAUGE:
			prom_title(sample, "", "", out);
			fprintf(out, "%.15g\n", sample->value);
			break;
		case HF_METRICS_HISTOGRAM:
			prom_histogram(snap, sample, out);
		}
	}
}
