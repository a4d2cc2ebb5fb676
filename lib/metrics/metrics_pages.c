/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the admin listener shows of us.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_priv.h"

static void pages_metrics(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	const struct hf_metrics_cfg *cfg = arg;
	struct hf_metrics_snap *snap = metrics_snap_take(cfg);
	FILE *out = snap ? open_memstream(&ret_answer->body, &ret_answer->len) : NULL;

	ret_answer->status = 500;
	if (out) {
		metrics_prom_write(snap, out);
		if (fclose(out) == 0)
			ret_answer->status = 200;
	}
	ret_answer->type = "text/plain; version=0.0.4; charset=utf-8";
	free(snap);
}

static void pages_verdict(
	bool good, const char *bad, const struct hf_err *why, struct hf_admin_answer *ret_answer)
{
	int len = good ? asprintf(&ret_answer->body, "ok\n")
		       : asprintf(&ret_answer->body, "%s: %s\n", bad, why->text);

	ret_answer->status = good ? 200 : 503;
	ret_answer->len = len < 0 ? 0 : (size_t)len;
	if (len < 0)
		ret_answer->body = NULL;
}

static void pages_healthz(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	const struct hf_metrics_cfg *cfg = arg;
	struct hf_err why = { "" };

	pages_verdict(cfg->healthy(cfg->arg, &why), "not healthy", &why, ret_answer);
}

static void pages_readyz(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	const struct hf_metrics_cfg *cfg = arg;
	struct hf_err why = { "" };

	pages_verdict(cfg->ready(cfg->arg, &why), "not ready", &why, ret_answer);
}

static void pages_dashboard(
	void *arg, const struct hf_admin_request *request, struct hf_admin_answer *ret_answer)
{
	ret_answer->body = malloc(metrics_dashboard_len);
	ret_answer->type = "text/html; charset=utf-8";
	ret_answer->status = 500;
	if (!ret_answer->body)
		return;
	memcpy(ret_answer->body, metrics_dashboard, metrics_dashboard_len);
	ret_answer->len = metrics_dashboard_len;
	ret_answer->status = 200;
}

const struct hf_admin_resource metrics_pages[HF_METRICS_RESOURCES] = {
	{ .path = "/metrics", .answer = pages_metrics },
	{ .path = "/healthz", .answer = pages_healthz },
	{ .path = "/readyz", .answer = pages_readyz },
	{ .path = "/dashboard", .answer = pages_dashboard },
};
