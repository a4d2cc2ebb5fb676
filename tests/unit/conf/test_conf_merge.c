/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <errno.h>
#include <sys/stat.h>

#include "conf_test.h"

static char test_told[8192];

static void test_tell(void *arg, const char *key, const char *from, const char *to)
{
	size_t len = strlen(test_told);

	(void)arg;
	(void)snprintf(test_told + len, sizeof(test_told) - len, "%s: %s -> %s\n", key,
		from ? from : "-", to ? to : "-");
}

/* The differences as text, a line each. */
static const char *test_diff(const struct hf_conf *from, const struct hf_conf *to)
{
	test_told[0] = '\0';
	hf_conf_diff(from, to, test_tell, NULL);
	return test_told;
}

static struct hf_conf *test_conf(const char *text)
{
	struct hf_conf *conf = NULL;

	cr_assert_eq(test_load(text, &conf), 0, "%s", test_errors);
	return conf;
}

Test(conf_merge, C4_live_values_are_the_files_and_the_rest_stays)
{
	struct hf_conf *running = test_conf(CONF_TEST_PORTS);
	struct hf_conf *file =
		test_conf("ports: [{device: \"net_tap1\", addresses: [10.0.0.3/24]}]\n"
			  "node: other\n"
			  "cache: {default_ttl: 7s, memory: 2GiB}\n"
			  "origin: {connect_timeout: 1s, threads: 2}\n"
			  "control_plane: {on_state_expired: reject}\n"
			  "log: {requests: /r, format: combined}\n");
	struct hf_conf *merged = NULL;

	cr_assert_eq(hf_conf_merge(running, file, &merged), 0);
	cr_expect_str_eq(test_diff(running, merged),
		"cache.default_ttl: 0s -> 7s\n"
		"origin.connect_timeout: 3s -> 1s\n"
		"control_plane.on_state_expired: latch -> reject\n"
		"log.requests: \"\" -> \"/r\"\n"
		"log.format: json -> combined\n");
	cr_expect_str_eq(test_diff(merged, file), "node: \"edge-1\" -> \"other\"\n"
						  "cache.memory: 1GiB -> 2GiB\n"
						  "origin.threads: 1 -> 2\n"
						  "ports[0].device: \"net_tap0\" -> \"net_tap1\"\n"
						  "ports[0].addresses: [\"10.0.0.2/24\"] -> "
						  "[\"10.0.0.3/24\"]\n");
	/* nothing of it is the others': they go first */
	hf_conf_free(running);
	hf_conf_free(file);
	cr_expect_str_eq(merged->node, "edge-1");
	cr_expect_str_eq(merged->log.requests, "/r");
	cr_expect_str_eq(merged->port[0].device, "net_tap0");
	hf_conf_free(merged);
}

/* Every key is named, so that a new one is decided on. */
Test(conf_merge, live_are_these_keys)
{
	static const char live[] =
		"cache.max_object cache.snapshot_max cache.default_ttl cache.negative_ttl "
		"cache.stale_while_revalidate cache.stale_if_error "
		"cache.scrub_fields cache.secret_parameters "
		"http.connections_per_address http.header_count http.uri_bytes http.header_timeout "
		"http.idle_timeout http.body_rate "
		"origin.max_in_flight origin.adaptive_limit origin.adaptive_min "
		"origin.adaptive_max origin.max_queue origin.queue_timeout origin.connect_timeout "
		"origin.first_byte_timeout origin.between_bytes_timeout origin.keepalive "
		"origin.patience origin.total_timeout origin.retries origin.retry_budget "
		"origin.fallback_timeout origin.hedge_after origin.resolve_interval "
		"origin.ca_file "
		"tunnel.allow tunnel.max tunnel.idle_timeout tunnel.total_timeout "
		"control_plane.interval control_plane.timeout control_plane.failures "
		"control_plane.successes control_plane.max_stale control_plane.state_max_age "
		"control_plane.on_state_expired registry.secret_file l2.secret_file "
		"l2.connect_timeout "
		"l2.read_timeout l2.write_timeout l2.keepalive l2.lifetime l2.connections "
		"log.requests log.format "
		"runtime.drain_timeout runtime.watchdog trace.sample ";
	char found[sizeof(live) + 1024] = "";

	for (uint32_t i = 0; i < CONF_PARAM_COUNT; i++)
		if (conf_params[i].when == CONF_LIVE)
			(void)sprintf(found + strlen(found), "%s.%s ", conf_params[i].section,
				conf_params[i].key);
	cr_expect_str_eq(found, live);
}

Test(conf_merge, what_needs_another_key_that_stays_stays_too)
{
	struct hf_conf *running = test_conf(CONF_TEST_PORTS);
	struct hf_conf *file =
		test_conf(CONF_TEST_PORTS "cache: {memory: 8GiB, max_object: 1GiB}\n"
					  "http: {header_bytes: 64KiB, uri_bytes: 32KiB}\n");
	struct hf_conf *merged = NULL;

	cr_assert_eq(hf_conf_merge(running, file, &merged), 0);
	cr_expect_str_eq(test_diff(running, merged), "");
	cr_expect_str_eq(test_diff(merged, file), "cache.memory: 1GiB -> 8GiB\n"
						  "cache.max_object: 64MiB -> 1GiB\n"
						  "http.header_bytes: 16KiB -> 64KiB\n"
						  "http.uri_bytes: 8KiB -> 32KiB\n");
	hf_conf_free(running);
	hf_conf_free(file);
	hf_conf_free(merged);
}

Test(conf_merge, ports_that_come_and_go_are_told)
{
	struct hf_conf *one = test_conf(CONF_TEST_PORTS "listen: [80, 8080]\n");
	struct hf_conf *two = test_conf(
		"ports: [{device: \"net_tap0\", addresses: [10.0.0.2/24]},\n"
		"        {device: \"net_tap1\", addresses: [10.0.1.2/24], gateway: [10.0.1.1]}]\n");

	cr_expect_str_eq(test_diff(one, one), "");
	cr_expect_str_eq(test_diff(one, two), "listen: [80, 8080] -> [80]\n"
					      "ports[1].device: - -> \"net_tap1\"\n"
					      "ports[1].vlan: - -> none\n"
					      "ports[1].mtu: - -> auto\n"
					      "ports[1].addresses: - -> [\"10.0.1.2/24\"]\n"
					      "ports[1].gateway: - -> [\"10.0.1.1\"]\n");
	cr_expect(strstr(test_diff(two, one), "ports[1].device: \"net_tap1\" -> -\n"));
	hf_conf_free(one);
	hf_conf_free(two);
}

Test(conf_merge, what_is_no_regular_file_is_refused_at_once)
{
	char dir[] = "/tmp/hf_conf_test_XXXXXX", path[64], text[256] = "";
	struct hf_conf *conf = NULL;
	FILE *errors = fmemopen(text, sizeof(text), "w");

	cr_assert(errors && mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/pipe", dir);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(hf_conf_load(path, errors, &conf), -EINVAL); /* nobody will ever write to it */
	cr_expect_null(conf);
	(void)fclose(errors);
	cr_expect(strstr(text, "allowed: a readable, regular file"), "%s", text);
	(void)unlink(path);
	(void)rmdir(dir);
}
