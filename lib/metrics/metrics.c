/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_metrics.h"

#include <errno.h>
#include <stdlib.h>

#include "metrics_priv.h"

struct hf_metrics {
	struct hf_metrics_cfg cfg;
	struct metrics_push *push;
};

int hf_metrics_new(
	const struct hf_metrics_cfg *cfg, struct hf_err *err, struct hf_metrics **ret_metrics)
{
	struct hf_metrics *metrics = calloc(1, sizeof(*metrics));
	int rc;

	HF_ASSERT(cfg->conf && cfg->gauges && cfg->healthy && cfg->ready);
	if (!metrics)
		return hf_err_set(err, -ENOMEM, "metrics: no memory");
	metrics->cfg = *cfg;
	rc = metrics_push_new(&metrics->cfg, err, &metrics->push);
	if (rc) {
		hf_metrics_free(metrics);
		return rc;
	}
	*ret_metrics = metrics;
	return 0;
}

void hf_metrics_free(struct hf_metrics *metrics)
{
	if (!metrics)
		return;
	metrics_push_free(metrics->push);
	free(metrics);
}

void hf_metrics_resources(
	struct hf_metrics *metrics, struct hf_admin_resource ret_resource[HF_METRICS_RESOURCES])
{
	for (size_t i = 0; i < HF_METRICS_RESOURCES; i++) {
		ret_resource[i] = metrics_pages[i];
		ret_resource[i].arg = &metrics->cfg;
	}
}
