/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool mr_healthy = true, mr_ready = true;
struct hf_metrics_sample mr_own[4];
size_t mr_own_count;

static char mr_node[] = "n1";
char mr_listen[128], mr_statsd[128] = "off", mr_otlp[128] = "off";
struct hf_conf mr_conf = {
	.node = mr_node,
	.metrics = { .listen = mr_listen,
		.statsd = mr_statsd,
		.otlp = mr_otlp,
		.interval_ms = 10000 },
};

static void mr_gauges(void *arg, struct hf_metrics_snap *snap)
{
	for (size_t i = 0; i < mr_own_count; i++)
		hf_metrics_add(snap, &mr_own[i]);
}

static bool mr_says(bool good, struct hf_err *why)
{
	if (!good)
		(void)hf_err_set(why, 0, "the test says so");
	return good;
}

static bool mr_on_healthy(void *arg, struct hf_err *why)
{
	return mr_says(mr_healthy, why);
}

static bool mr_on_ready(void *arg, struct hf_err *why)
{
	return mr_says(mr_ready, why);
}

const struct hf_metrics_cfg mr_cfg = {
	.conf = &mr_conf, .gauges = mr_gauges, .healthy = mr_on_healthy, .ready = mr_on_ready
};

uint16_t mr_free_port(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&to, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&to, &len), 0);
	(void)close(fd);
	return ntohs(to.sin_port);
}

size_t mr_find(const struct hf_metrics_snap *snap, const char *name, const char *labels)
{
	for (size_t i = 0; i < snap->count; i++)
		if (strcmp(snap->sample[i].name, name) == 0 &&
			strcmp(snap->sample[i].labels, labels) == 0)
			return i;
	return SIZE_MAX;
}
