/* SPDX-License-Identifier: BSD-3-Clause
 *
 * StatsD over UDP, with DogStatsD's tags: counters as differences, gauges, quantiles of what a
 * histogram got since the last report.
 */
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hf_log.h"
#include "metrics_priv.h"

#define STATSD_PACKET_MAX  1432 /* Ethernet's 1500 less IP and UDP, and some tunnel around them */
#define STATSD_SOCKET_USES 6    /* then the name is looked up again */

/* ---- packets ---- */

struct statsd_batch {
	struct hf_metrics_snap *snap;
	const struct hf_metrics_snap *prev; /* NULL: nothing was sent yet */
	metrics_statsd_fn send;
	void *arg;
	size_t first; /* sample in the packet */
	size_t len;
	char packet[STATSD_PACKET_MAX];
};

/* The sample of PREV that is SNAP's i-th: at the same place but for what the application adds. */
static const struct hf_metrics_sample *statsd_before(
	const struct hf_metrics_snap *prev, const struct hf_metrics_sample *sample, size_t i)
{
	for (size_t n = 0; prev && n < prev->count; n++) {
		const struct hf_metrics_sample *was = &prev->sample[(i + n) % prev->count];

		if (strcmp(was->name, sample->name) == 0 &&
			strcmp(was->labels, sample->labels) == 0)
			return was;
	}
	return NULL;
}

/* As if what SNAP has from FIRST up to END had not been counted yet. */
static void statsd_forget(struct statsd_batch *batch, size_t end)
{
	for (size_t i = batch->first; i < end; i++) {
		struct hf_metrics_sample *sample = &batch->snap->sample[i];
		const struct hf_metrics_sample *was = statsd_before(batch->prev, sample, i);

		if (sample->kind == HF_METRICS_COUNTER)
			sample->count = was ? was->count : 0;
		else if (sample->kind == HF_METRICS_HISTOGRAM && was)
			batch->snap->view[sample->count] = batch->prev->view[was->count];
		else if (sample->kind == HF_METRICS_HISTOGRAM)
			memset(&batch->snap->view[sample->count], 0, sizeof(batch->snap->view[0]));
	}
}

/* END: the first sample that is not in the packet. */
static void statsd_flush(struct statsd_batch *batch, size_t end)
{
	if (batch->len > 0 && !batch->send(batch->arg, batch->packet, batch->len))
		statsd_forget(batch, end);
	batch->len = 0;
	batch->first = end;
}

/* All lines of a sample are in one packet. */
static void statsd_put(struct statsd_batch *batch, size_t i, const char *lines, size_t len)
{
	if (len == 0)
		return;
	if (batch->len + 1 + len > STATSD_PACKET_MAX)
		statsd_flush(batch, i);
	if (batch->len > 0)
		batch->packet[batch->len++] = '\n';
	memcpy(batch->packet + batch->len, lines, len);
	batch->len += len;
}

/* ---- lines ---- */

static void statsd_tag(const char *key, const char *value, char first, FILE *out)
{
	fprintf(out, "%c%s:", first, key);
	for (; *value; value++)
		fputc((unsigned char)*value < ' ' || strchr("|,#:@", *value) ? '_' : *value, out);
}

/* What follows the value. */
static void statsd_end(
	const struct hf_metrics_sample *sample, const char *type, const char *node, FILE *out)
{
	const char *labels = sample->labels;
	struct metrics_label label;

	fprintf(out, "|%s|", type);
	statsd_tag("node", node, '#', out);
	while (metrics_label_next(&labels, &label))
		statsd_tag(label.key, label.value, ',', out);
}

static void statsd_line(const struct hf_metrics_sample *sample, const char *suffix, double value,
	const char *type, const char *node, FILE *out)
{
	fprintf(out, "%s%s%s:%.15g", metrics_prefix(sample), sample->name, suffix, value);
	statsd_end(sample, type, node, out);
}

static void statsd_histogram(const struct hf_metrics_sample *sample, const struct hf_hist_view *now,
	const struct hf_hist_view *was, const char *node, FILE *out)
{
	static const struct {
		const char *suffix;
		double q;
	} quantiles[] = { { "_p50", 0.5 }, { "_p95", 0.95 }, { "_p99", 0.99 }, { "_p999", 0.999 } };
	double divisor = hf_stat_divisor(hf_hist_infos[sample->count].unit);
	struct hf_hist_view since = *now;

	if (was) {
		for (uint32_t i = 0; i < HF_HIST_BUCKETS; i++)
			since.bucket[i] -= was->bucket[i];
		since.count -= was->count;
		since.sum -= was->sum;
	}
	if (since.count == 0)
		return;
	statsd_line(sample, "_count", (double)since.count, "c", node, out);
	fputc('\n', out);
	statsd_line(sample, "_sum", (double)since.sum / divisor, "c", node, out);
	for (size_t i = 0; i < HF_ARRAY_LEN(quantiles); i++) {
		double value = (double)hf_hist_quantile(&since, quantiles[i].q) / divisor;

		fputc('\n', out);
		statsd_line(sample, quantiles[i].suffix, value, "g", node, out);
	}
}

static void statsd_sample(const struct statsd_batch *batch, size_t i, const char *node, FILE *out)
{
	const struct hf_metrics_sample *sample = &batch->snap->sample[i];
	const struct hf_metrics_sample *was = statsd_before(batch->prev, sample, i);

	switch (sample->kind) {
	case HF_METRICS_COUNTER:
		if (was && was->count == sample->count)
			return;
		if (!was && sample->count == 0)
			return;
		fprintf(out, "%s%s:", metrics_prefix(sample), sample->name);
		metrics_count_write(sample->count - (was ? was->count : 0), sample->unit, out);
		statsd_end(sample, "c", node, out);
		return;
	case HF_METRICS_GAUGE:
		statsd_line(sample, "", sample->value, "g", node, out);
		return;
	case HF_METRICS_HISTOGRAM:
		statsd_histogram(sample, &batch->snap->view[sample->count],
			was ? &batch->prev->view[was->count] : NULL, node, out);
	}
}

void metrics_statsd_write(struct hf_metrics_snap *snap, const struct hf_metrics_snap *prev,
	const char *node, metrics_statsd_fn send, void *arg)
{
	struct statsd_batch batch = { .snap = snap, .prev = prev, .send = send, .arg = arg };

	for (size_t i = 0; i < snap->count; i++) {
		char lines[STATSD_PACKET_MAX];
		FILE *out = fmemopen(lines, sizeof(lines), "w");
		long len;

		HF_ASSERT(out != NULL);
		statsd_sample(&batch, i, node, out);
		len = ftell(out);
		(void)fclose(out);
		HF_ASSERT(len >= 0 && (size_t)len < sizeof(lines));
		statsd_put(&batch, i, lines, (size_t)len);
	}
	statsd_flush(&batch, snap->count);
}

/* ---- the server ---- */

struct metrics_statsd {
	const struct hf_metrics_cfg *cfg;
	char host[256], port[8];
	int fd; /* -1: none */
	uint32_t uses;
	uint64_t due_us;
	bool failed;                  /* in this report */
	bool told;                    /* that the last one failed */
	struct hf_metrics_snap *prev; /* what the server knows; NULL: nothing */
};

/* Each failure is counted; told is the first of a row of reports. */
static void statsd_failed(struct metrics_statsd *statsd, const char *why)
{
	hf_stat_inc(HF_STAT_STATSD_FAILED);
	if (!statsd->told)
		hf_log(HF_LOG_WARN, "metrics", "StatsD at %s: %s", statsd->host, why);
	statsd->failed = true;
	statsd->told = true;
}

static void statsd_open(struct metrics_statsd *statsd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list = NULL;
	int rc = getaddrinfo(statsd->host, statsd->port, &hints, &list);

	if (rc != 0) {
		statsd_failed(statsd, gai_strerror(rc));
		return;
	}
	for (const struct addrinfo *at = list; at && statsd->fd < 0; at = at->ai_next) {
		int fd = socket(at->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0)
			statsd->fd = fd;
		else if (fd >= 0)
			(void)close(fd);
	}
	freeaddrinfo(list);
	statsd->uses = 0;
	if (statsd->fd < 0)
		statsd_failed(statsd, "no address of it can be reached");
}

static void statsd_close(struct metrics_statsd *statsd)
{
	if (statsd->fd >= 0)
		(void)close(statsd->fd);
	statsd->fd = -1;
}

static bool statsd_packet(void *arg, const char *packet, size_t len)
{
	struct metrics_statsd *statsd = arg;
	ssize_t sent = send(statsd->fd, packet, len, MSG_NOSIGNAL);

	if (sent < 0 && errno == ECONNREFUSED) { /* an earlier one was, and this one not tried */
		statsd_failed(statsd, strerror(errno));
		sent = send(statsd->fd, packet, len, MSG_NOSIGNAL);
	}
	if (sent != (ssize_t)len) {
		statsd_failed(statsd, strerror(errno));
		return false;
	}
	hf_stat_inc(HF_STAT_STATSD_SENT);
	return true;
}

void metrics_statsd_send(struct metrics_statsd *statsd)
{
	struct hf_metrics_snap *snap;

	statsd->failed = false;
	if (statsd->fd < 0)
		statsd_open(statsd);
	if (statsd->fd < 0)
		return;
	snap = metrics_snap_take(statsd->cfg);
	if (!snap) {
		statsd_failed(statsd, "no memory");
		return;
	}
	metrics_statsd_write(snap, statsd->prev, statsd->cfg->conf->node, statsd_packet, statsd);
	free(statsd->prev);
	statsd->prev = snap;
	statsd->told = statsd->failed;
	if (statsd->failed || ++statsd->uses == STATSD_SOCKET_USES)
		statsd_close(statsd);
}

uint64_t metrics_statsd_step(struct metrics_statsd *statsd, uint64_t now_us)
{
	if (now_us >= statsd->due_us) {
		metrics_statsd_send(statsd);
		statsd->due_us = now_us + statsd->cfg->conf->metrics.interval_ms * 1000ULL;
	}
	return statsd->due_us;
}

/* -ENOENT: there is none. */
static int statsd_target(const char *target, char *ret_host, size_t size, uint16_t *ret_port)
{
	const char *host = getenv("DD_AGENT_HOST"), *port = getenv("DD_DOGSTATSD_PORT");
	char text[300];

	if (strcmp(target, "off") == 0)
		return -ENOENT;
	if (strcmp(target, "env") != 0)
		return hf_conf_hostport(target, ret_host, size, ret_port) ? 0 : -EINVAL;
	if (!host || !*host)
		return -ENOENT;
	/* an IPv6 address needs no brackets there */
	(void)snprintf(text, sizeof(text), strchr(host, ':') ? "[%.*s]:%s" : "%.*s:%s", 255, host,
		port && *port ? port : "8125");
	return hf_conf_hostport(text, ret_host, size, ret_port) ? 0 : -EINVAL;
}

int metrics_statsd_new(const struct hf_metrics_cfg *cfg, struct metrics_statsd **ret_statsd)
{
	struct metrics_statsd made = { .cfg = cfg, .fd = -1 }, *statsd;
	uint16_t port = 0;
	int rc = statsd_target(cfg->conf->metrics.statsd, made.host, sizeof(made.host), &port);

	if (rc == -EINVAL)
		hf_log(HF_LOG_WARN, "metrics",
			"no StatsD: DD_AGENT_HOST and DD_DOGSTATSD_PORT are no host and port");
	if (rc != 0)
		return 0;
	statsd = malloc(sizeof(*statsd));
	if (!statsd)
		return -ENOMEM;
	*statsd = made;
	statsd->due_us = hf_clock_us() + cfg->conf->metrics.interval_ms * 1000ULL;
	(void)snprintf(statsd->port, sizeof(statsd->port), "%u", port);
	*ret_statsd = statsd;
	return 0;
}

void metrics_statsd_free(struct metrics_statsd *statsd)
{
	if (!statsd)
		return;
	statsd_close(statsd);
	free(statsd->prev);
	free(statsd);
}
