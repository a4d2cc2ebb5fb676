/* SPDX-License-Identifier: BSD-3-Clause
 *
 * metrics_rig - an application that is healthy and ready as the test says, and a server of one script.
 */
#ifndef METRICS_RIG_H
#define METRICS_RIG_H

#include <criterion/criterion.h>

#include "metrics_priv.h"

extern struct hf_conf mr_conf; /* node "n1", nothing on */
/* metrics.listen, .statsd, .otlp */
extern char mr_listen[128], mr_statsd[128], mr_otlp[128];
#define MR_SET(array, ...) ((void)snprintf(array, sizeof(array), __VA_ARGS__))
extern const struct hf_metrics_cfg mr_cfg;
extern bool mr_healthy, mr_ready;
/* What gauges() adds. */
extern struct hf_metrics_sample mr_own[4];
extern size_t mr_own_count;

/* A port of 127.0.0.1 that nobody has. */
uint16_t mr_free_port(void);

/* A sample's index, or SIZE_MAX. */
size_t mr_find(const struct hf_metrics_snap *snap, const char *name, const char *labels);

#endif
