/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <string.h>

#include "metrics_rig.h"

static char *test_text(void)
{
	struct hf_metrics_snap *snap = metrics_snap_take(&mr_cfg);
	static char *text; /* static: or gcc takes it for what is returned */
	size_t len;
	FILE *out = open_memstream(&text, &len);

	metrics_prom_write(snap, out);
	(void)fclose(out);
	free(snap);
	return text;
}

static void test_has(const char *line)
{
	char *text = test_text();
	const char *at = strstr(text, line);
	bool has = at && (at == text || at[-1] == '\n');

	free(text);
	cr_expect(has, "no line %s", line);
}

Test(metrics_prom, M4_names_begin_with_holdfast_unless_they_stand_alone)
{
	cr_assert(hf_stat_register("test"));
	hf_stat_add(HF_STAT_HTTP_REQUESTS, 3);
	hf_stat_set(HF_STAT_CACHE_MISS_RATE, 250000); /* a ratio is held in millionths */
	test_has("# HELP holdfast_http_requests_total Requests whose head was complete\n"
		 "# TYPE holdfast_http_requests_total counter\n"
		 "holdfast_http_requests_total 3\n");
	test_has("# TYPE cache_miss_rate gauge\ncache_miss_rate 0.25\n");
	test_has("# TYPE edge_fallback_triggered gauge\nedge_fallback_triggered 0\n");
}

Test(metrics_prom, a_counter_is_written_to_its_last_digit)
{
	cr_assert(hf_stat_register("test"));
	hf_stat_add(HF_STAT_RX_BYTES, UINT64_MAX);
	test_has("holdfast_rx_bytes_total 18446744073709551615\n");
}

Test(metrics_prom, a_gauge_of_which_more_was_taken_than_given_is_0)
{
	cr_assert(hf_stat_register("test"));
	hf_stat_sub(HF_STAT_TCP_CONNS, 2);
	test_has("holdfast_tcp_connections 0\n");
}

Test(metrics_prom, drops_are_one_family_by_layer_and_reason)
{
	cr_assert(hf_stat_register("test"));
	(void)hf_drop(HF_DROP_ETH_SHORT);
	test_has("# TYPE holdfast_drops_total counter\n"
		 "holdfast_drops_total{layer=\"frame\",reason=\"eth_short\"} 1\n"
		 "holdfast_drops_total{layer=\"frame\",reason=\"eth_not_ours\"} 0\n");
}

Test(metrics_prom, a_histogram_has_buckets_that_add_up_a_sum_and_a_count)
{
	cr_assert(hf_stat_register("test"));
	hf_hist_add(HF_HIST_RX_BURST, 4);
	hf_hist_add_many(HF_HIST_RX_BURST, 5, 2);
	hf_hist_add(HF_HIST_RX_BURST, 100000); /* above every bound */
	test_has("# TYPE holdfast_rx_burst_packets histogram\n"
		 "holdfast_rx_burst_packets_bucket{le=\"1\"} 0\n"
		 "holdfast_rx_burst_packets_bucket{le=\"2\"} 0\n"
		 "holdfast_rx_burst_packets_bucket{le=\"4\"} 1\n"
		 "holdfast_rx_burst_packets_bucket{le=\"8\"} 3\n");
	test_has("holdfast_rx_burst_packets_bucket{le=\"+Inf\"} 4\n"
		 "holdfast_rx_burst_packets_sum 100014\n"
		 "holdfast_rx_burst_packets_count 4\n");
}

Test(metrics_prom, a_histogram_s_own_labels_stand_before_le_and_times_are_seconds)
{
	cr_assert(hf_stat_register("test"));
	hf_hist_add(HF_HIST_LOOP_BUSY, 1500000000);
	test_has("holdfast_loop_seconds_bucket{work=\"busy\",le=\"1.28e-07\"} 0\n");
	test_has("holdfast_loop_seconds_sum{work=\"busy\"} 1.5\n"
		 "holdfast_loop_seconds_count{work=\"busy\"} 1\n");
}

Test(metrics_prom, help_is_escaped)
{
	mr_own[0] = (struct hf_metrics_sample){
		.name = "x", .unit = "", .help = "a\\b\nc", .kind = HF_METRICS_GAUGE, .value = 0.5
	};
	mr_own_count = 1;
	test_has("# HELP holdfast_x a\\\\b\\nc\n# TYPE holdfast_x gauge\nholdfast_x 0.5\n");
}

/* The name of a sample's family: what stands before its labels, without a histogram's suffix. */
static void test_family(const char *line, const char *of, char *ret_name)
{
	size_t len = strcspn(line, "{ ");

	memcpy(ret_name, line, len);
	ret_name[len] = '\0';
	if (strncmp(ret_name, of, strlen(of)) == 0)
		ret_name[strlen(of)] = '\0';
}

Test(metrics_prom, each_family_has_one_head_and_its_samples_behind_it)
{
	char seen[300][80], family[80] = "", name[200];
	size_t count = 0;
	char *text = test_text(), *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL && *line) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			cr_assert_eq(sscanf(line + 7, "%79s", family), 1);
			for (size_t i = 0; i < count; i++)
				cr_assert_str_neq(seen[i], family);
			cr_assert_lt(count, 300);
			memcpy(seen[count++], family, sizeof(family));
		} else if (strncmp(line, "# TYPE ", 7) == 0) {
			cr_expect_eq(strncmp(line + 7, family, strlen(family)), 0);
		} else {
			test_family(line, family, name);
			cr_expect_str_eq(name, family);
		}
	}
	cr_expect_gt(count, 80);
	free(text);
}

Test(metrics_prom, labels_are_read_as_they_were_written)
{
	const char *labels = "a=\"x,y=\\\"z\\\"\",b=\"c\\\\d\\ne\",c=\"\"";
	struct metrics_label label;

	cr_assert(metrics_label_next(&labels, &label));
	cr_expect_str_eq(label.key, "a");
	cr_expect_str_eq(label.value, "x,y=\"z\"");
	cr_assert(metrics_label_next(&labels, &label));
	cr_expect_str_eq(label.key, "b");
	cr_expect_str_eq(label.value, "c\\d\ne");
	cr_assert(metrics_label_next(&labels, &label));
	cr_expect_str_eq(label.key, "c");
	cr_expect_str_empty(label.value);
	cr_expect_not(metrics_label_next(&labels, &label));
	labels = "";
	cr_expect_not(metrics_label_next(&labels, &label));
}
