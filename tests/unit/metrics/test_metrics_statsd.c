/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metrics_rig.h"

#define TEST_PACKET_MAX 1432

static char test_lines[1 << 20]; /* each ends with a newline */
static uint32_t test_packets, test_fail_at;

static bool test_send(void *arg, const char *packet, size_t len)
{
	size_t had = strlen(test_lines);

	cr_assert_leq(len, TEST_PACKET_MAX);
	cr_assert(len > 0 && packet[0] != '\n' && packet[len - 1] != '\n');
	if (++test_packets == test_fail_at)
		return false;
	(void)snprintf(test_lines + had, sizeof(test_lines) - had, "%.*s\n", (int)len, packet);
	return true;
}

/* Takes a snapshot and sends what changed since PREV, which it frees. */
static struct hf_metrics_snap *test_report(struct hf_metrics_snap *prev)
{
	struct hf_metrics_snap *snap = metrics_snap_take(&mr_cfg);

	test_lines[0] = '\0';
	test_packets = 0;
	metrics_statsd_write(snap, prev, "n1", test_send, NULL);
	free(prev);
	return snap;
}

static bool test_has(const char *line)
{
	const char *at = strstr(test_lines, line);

	return at && (at == test_lines || at[-1] == '\n') && at[strlen(line)] == '\n';
}

Test(metrics_statsd, M3_counters_are_differences_and_what_did_not_change_is_not_sent)
{
	struct hf_metrics_snap *snap;

	cr_assert(hf_stat_register("test"));
	hf_stat_add(HF_STAT_HTTP_REQUESTS, 5);
	snap = test_report(NULL);
	cr_expect(test_has("holdfast_http_requests_total:5|c|#node:n1"));
	cr_expect_null(strstr(test_lines, "holdfast_ctl_commands_total"));
	hf_stat_add(HF_STAT_HTTP_REQUESTS, 2);
	snap = test_report(snap);
	cr_expect(test_has("holdfast_http_requests_total:2|c|#node:n1"));
	snap = test_report(snap);
	cr_expect_null(strstr(test_lines, "holdfast_http_requests_total"));
	free(snap);
}

Test(metrics_statsd, M3_what_could_not_be_sent_is_in_the_next_report)
{
	struct hf_metrics_snap *snap = test_report(NULL);

	cr_assert(hf_stat_register("test"));
	hf_stat_add(HF_STAT_RX_PACKETS, 7); /* stands first in the table */
	hf_hist_add(HF_HIST_RX_BURST, 7);
	test_fail_at = 1;
	snap = test_report(snap);
	cr_expect_not(test_has("holdfast_rx_packets_total:7|c|#node:n1"));
	hf_stat_add(HF_STAT_RX_PACKETS, 1);
	test_fail_at = 0;
	snap = test_report(snap);
	cr_expect(test_has("holdfast_rx_packets_total:8|c|#node:n1"));
	free(snap);
}

Test(metrics_statsd, M3_each_packet_lost_once_and_the_sums_are_right_in_the_end)
{
	for (uint32_t lost = 1; lost < 30; lost++) {
		struct hf_metrics_snap *snap = NULL;
		unsigned long sum = 0, count = 0;

		if (lost == 1)
			cr_assert(hf_stat_register("test"));
		for (uint32_t i = 0; i < HF_STAT_COUNT; i++) /* some packets full */
			hf_stat_add((enum hf_stat)i, 3);
		hf_hist_add(HF_HIST_MISS, 1000);
		for (uint32_t i = 0; i < 2; i++) {
			const char *at;

			test_fail_at = i == 0 ? lost : 0;
			snap = test_report(snap);
			at = strstr(test_lines, "holdfast_log_lines_lost_total:");
			if (at)
				sum += strtoul(strchr(at, ':') + 1, NULL, 10);
			at = strstr(test_lines, "holdfast_miss_seconds_count:");
			if (at)
				count += strtoul(strchr(at, ':') + 1, NULL, 10);
		}
		cr_expect_eq(sum, 3 * lost, "packet %u: %lu", lost, sum);
		cr_expect_eq(count, lost, "packet %u: %lu", lost, count);
		free(snap);
	}
}

Test(metrics_statsd, labels_are_tags)
{
	cr_assert(hf_stat_register("test"));
	hf_stat_add(HF_STAT_CACHE_MISS_VARY, 1);
	(void)hf_drop(HF_DROP_REQ_OVERLOAD);
	free(test_report(NULL));
	cr_expect(test_has("holdfast_cache_misses_total:1|c|#node:n1,class:vary"));
	cr_expect(test_has("holdfast_drops_total:1|c|#node:n1,layer:request,reason:req_overload"));
}

Test(metrics_statsd, what_would_end_a_tag_is_replaced)
{
	mr_own[0] = (struct hf_metrics_sample){ .name = "x",
		.unit = "",
		.help = "",
		.kind = HF_METRICS_GAUGE,
		.labels = "l=\"a|b,c#d:e@f\\ng\"",
		.value = 1 };
	mr_own_count = 1;
	free(test_report(NULL));
	cr_expect(test_has("holdfast_x:1|g|#node:n1,l:a_b_c_d_e_f_g"));
}

Test(metrics_statsd, gauges_are_sent_each_time)
{
	struct hf_metrics_snap *snap = NULL;

	cr_assert(hf_stat_register("test"));
	hf_stat_set(HF_STAT_CACHE_MISS_RATE, 125000);
	for (int i = 0; i < 2; i++) {
		snap = test_report(snap);
		cr_expect(test_has("cache_miss_rate:0.125|g|#node:n1"));
		cr_expect(test_has("holdfast_tcp_connections:0|g|#node:n1"));
	}
	free(snap);
}

Test(metrics_statsd, quantiles_are_of_what_came_since_the_last_report)
{
	struct hf_metrics_snap *snap;

	cr_assert(hf_stat_register("test"));
	hf_hist_add_many(HF_HIST_RX_BURST, 64, 1000);
	snap = test_report(NULL);
	cr_expect(test_has("holdfast_rx_burst_packets_count:1000|c|#node:n1"));
	cr_expect(test_has("holdfast_rx_burst_packets_sum:64000|c|#node:n1"));
	cr_expect(test_has("holdfast_rx_burst_packets_p50:64|g|#node:n1"));
	hf_hist_add_many(HF_HIST_RX_BURST, 1, 98);
	hf_hist_add_many(HF_HIST_RX_BURST, 30, 2);
	snap = test_report(snap);
	cr_expect(test_has("holdfast_rx_burst_packets_count:100|c|#node:n1"));
	cr_expect(test_has("holdfast_rx_burst_packets_p50:1|g|#node:n1"));
	cr_expect(test_has("holdfast_rx_burst_packets_p99:30|g|#node:n1"));
	cr_expect(test_has("holdfast_rx_burst_packets_p999:30|g|#node:n1"));
	snap = test_report(snap);
	cr_expect_null(strstr(test_lines, "holdfast_rx_burst_packets"));
	free(snap);
}

Test(metrics_statsd, the_longest_name_of_a_node_fits)
{
	struct hf_metrics_snap *snap;
	char node[64];

	cr_assert(hf_stat_register("test"));
	memset(node, 'n', 63);
	node[63] = '\0';
	for (uint32_t i = 0; i < HF_HIST_COUNT; i++)
		hf_hist_add((enum hf_hist)i, UINT64_MAX / 3);
	for (uint32_t i = 0; i < HF_STAT_COUNT; i++)
		hf_stat_add((enum hf_stat)i, UINT64_MAX / 3);
	snap = metrics_snap_take(&mr_cfg);
	metrics_statsd_write(snap, NULL, node, test_send, NULL);
	cr_expect_gt(test_packets, 5);
	free(snap);
}

/* ---- a server ---- */

static int test_server(uint16_t *ret_port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&to, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&to, &len), 0);
	*ret_port = ntohs(to.sin_port);
	return fd;
}

static void test_receive(int fd)
{
	char packet[2048];
	ssize_t len;

	test_lines[0] = '\0';
	while ((len = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
		(void)test_send(NULL, packet, (size_t)len);
}

Test(metrics_statsd, M1_nobody_is_named_then_there_is_none)
{
	struct metrics_statsd *statsd = NULL;

	(void)unsetenv("DD_AGENT_HOST");
	MR_SET(mr_statsd, "env");
	cr_assert_eq(metrics_statsd_new(&mr_cfg, &statsd), 0);
	cr_expect_null(statsd);
	(void)setenv("DD_AGENT_HOST", "127.0.0.1", 1);
	MR_SET(mr_statsd, "off");
	cr_assert_eq(metrics_statsd_new(&mr_cfg, &statsd), 0);
	cr_expect_null(statsd);
	MR_SET(mr_statsd, "env");
	(void)setenv("DD_DOGSTATSD_PORT", "99999", 1);
	cr_assert_eq(metrics_statsd_new(&mr_cfg, &statsd), 0);
	cr_expect_null(statsd);
}

Test(metrics_statsd, the_environment_names_the_server)
{
	struct metrics_statsd *statsd = NULL;
	uint16_t port;
	int fd = test_server(&port);
	char text[8];

	cr_assert(hf_stat_register("test"));
	(void)snprintf(text, sizeof(text), "%u", port);
	(void)setenv("DD_AGENT_HOST", "localhost", 1);
	(void)setenv("DD_DOGSTATSD_PORT", text, 1);
	MR_SET(mr_statsd, "env");
	cr_assert_eq(metrics_statsd_new(&mr_cfg, &statsd), 0);
	cr_assert_not_null(statsd);
	hf_stat_add(HF_STAT_TX_PACKETS, 9);
	metrics_statsd_send(statsd);
	test_receive(fd);
	cr_expect(test_has("holdfast_tx_packets_total:9|c|#node:n1"));
	cr_expect_gt(hf_stat_sum(HF_STAT_STATSD_SENT), 0);
	metrics_statsd_free(statsd);
	(void)close(fd);
}

Test(metrics_statsd, a_server_that_is_gone_is_counted_and_found_again)
{
	struct metrics_statsd *statsd = NULL;
	uint16_t port;
	int fd = test_server(&port);
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port) };

	cr_assert(hf_stat_register("test"));
	(void)close(fd);
	MR_SET(mr_statsd, "127.0.0.1:%u", port);
	cr_assert_eq(metrics_statsd_new(&mr_cfg, &statsd), 0);
	cr_assert_not_null(statsd);
	metrics_statsd_send(statsd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	metrics_statsd_send(statsd);
	test_receive(fd);
	cr_expect(test_has("holdfast_tcp_connections:0|g|#node:n1"));
	cr_expect_gt(hf_stat_sum(HF_STAT_STATSD_FAILED), 0);
	metrics_statsd_free(statsd);
	(void)close(fd);
}
