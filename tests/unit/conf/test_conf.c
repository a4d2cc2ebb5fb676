/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <errno.h>

#include "conf_test.h"

static char *test_print(const struct hf_conf *conf)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	hf_conf_print(conf, out);
	(void)fclose(out);
	return text;
}

Test(conf, ports_is_the_only_required_key_and_defaults_are_the_contract)
{
	struct hf_conf *conf;

	cr_assert_eq(test_load(CONF_TEST_PORTS, &conf), 0, "%s", test_errors);
	cr_expect_str_empty(test_errors);
	cr_expect_str_eq(conf->node, "edge-1");
	cr_expect_eq(conf->workers, 0);
	cr_expect_eq(conf->idle, HF_CONF_IDLE_ADAPTIVE);
	cr_expect_eq(conf->port_count, 1);
	cr_expect_eq(conf->port[0].vlan, 0);
	cr_expect_eq(conf->port[0].mtu, 0);
	cr_expect_eq(conf->listen_count, 1);
	cr_expect_eq(conf->listen[0], 80);
	cr_expect_eq(conf->cache.memory, 1ULL << 30);
	cr_expect_eq(conf->cache.max_object, 64ULL << 20);
	cr_expect_eq(conf->cache.default_ttl_s, 0);
	cr_expect_eq(conf->cache.negative_ttl_s, 5);
	cr_expect_eq(conf->http.connections_max, 65536);
	cr_expect_eq(conf->http.header_bytes, 16384);
	cr_expect_eq(conf->http.header_timeout_ms, 10000);
	cr_expect_eq(conf->http.body_rate, 240);
	cr_expect_eq(conf->origin.threads, 1);
	cr_expect_eq(conf->origin.max_queue, 1024);
	cr_expect_eq(conf->origin.queue_timeout_ms, 2000);
	cr_expect_eq(conf->origin.keepalive_ms, 60000);
	cr_expect_str_empty(conf->bootstrap_state);
	cr_expect_str_eq(conf->ctl.socket, "/run/holdfast/holdfast.sock");
	cr_expect_eq(conf->ctl.mode, 0660);
	cr_expect_str_eq(conf->ctl.group, "holdfast");
	cr_expect(conf->runtime.hugepages);
	cr_expect_eq(conf->runtime.drain_timeout_ms, 30000);
	cr_expect_eq(conf->runtime.watchdog_ms, 2000);
	hf_conf_free(conf);
}

Test(conf, C1_every_error_of_a_file_is_told_at_once_in_its_order)
{
	struct hf_conf *conf = NULL;

	cr_assert_eq(test_load("node: \"edge 1\"\n"
			       "workers: 64\n"
			       "listen: [80, 443, 80, 0]\n"
			       "cache:\n"
			       "  memory: 1GB\n"
			       "  max_objekt: 3MiB\n"
			       "  default_ttl: [1s]\n"
			       "origin: 5\n"
			       "runtime: {hugepages: on}\n"
			       "node: b\n"
			       "auth: {flows: x}\n",
			     &conf),
		-EINVAL);
	cr_expect_null(conf);
	cr_expect_str_eq(test_errors,
		"1: node: found \"edge 1\"; allowed: 1-63 of letters, digits, '.', '_', '-'\n"
		"1: ports: found nothing; allowed: 1 to 16 ports, each with device and addresses\n"
		"2: workers: found \"64\"; allowed: auto or 1 to 63\n"
		"3: listen[2]: found \"80\"; allowed: each port once\n"
		"3: listen[3]: found \"0\"; allowed: 1 to 65535\n"
		"5: cache.memory: found \"1GB\"; allowed: 1MiB to 65536GiB, in B, KiB, MiB, GiB\n"
		"6: cache.max_objekt: found an unknown key; allowed: the keys memory, max_object, "
		"snapshot, snapshot_max, default_ttl, negative_ttl, stale_while_revalidate, "
		"stale_if_error, scrub_fields, secret_parameters\n"
		"7: cache.default_ttl: found a list; allowed: one value\n"
		"8: origin: found \"5\"; allowed: a section of key: value lines\n"
		"9: runtime.hugepages: found \"on\"; allowed: off|auto\n"
		"10: node: found it a second time; allowed: each key once\n"
		"11: auth: found a section; allowed: nothing, it is not supported by this "
		"version\n");
}

Test(conf, rules_between_keys_are_told_beside_errors_of_other_keys)
{
	struct hf_conf *conf = NULL;

	cr_assert_eq(test_load(CONF_TEST_PORTS "nod: x\n"
					       "cache: {memory: 64MiB, max_object: 33MiB}\n"
					       "http: {uri_bytes: 17KiB}\n",
			     &conf),
		-EINVAL);
	cr_expect(strstr(test_errors, "2: nod: found an unknown key; allowed: the keys node, "));
	cr_expect(strstr(test_errors,
		"3: cache.max_object: found 33MiB; allowed: at most half of cache.memory\n"));
	cr_expect(strstr(test_errors,
		"4: http.uri_bytes: found 17KiB; allowed: at most http.header_bytes\n"));
}

Test(conf, the_default_of_max_object_fits_a_small_cache)
{
	struct hf_conf *conf;

	cr_assert_eq(test_load(CONF_TEST_PORTS "cache: {memory: 64MiB}\n", &conf), 0);
	cr_expect_eq(conf->cache.max_object, 16ULL << 20);
	hf_conf_free(conf);
	cr_assert_eq(
		test_load(CONF_TEST_PORTS "cache: {memory: 64MiB, max_object: 32MiB}\n", &conf), 0);
	cr_expect_eq(conf->cache.max_object, 32ULL << 20);
	hf_conf_free(conf);
}

Test(conf, C3_what_print_writes_loads_to_the_same_values)
{
	struct hf_conf *conf;
	char *first, *second;

	cr_assert_eq(test_load("node: a.b-c_9\nworkers: 3\nidle: busy\n"
			       "ports:\n"
			       "- device: 3b:00.0,arg=\"x\\y\"\n"
			       "  addresses: [192.0.2.10/24, '2001:db8::10/64']\n"
			       "  gateway: ['fe80::1', 192.0.2.1]\n"
			       "  vlan: 7\n  mtu: 9000\n"
			       "- {device: net_memif0, addresses: ['2001:db8:1::1/128']}\n"
			       "listen: [80, 8080]\n"
			       "bootstrap_state: '/tmp/a \"b\" \\ c: #d'\n"
			       "cache: {memory: 1000000KiB, default_ttl: 90s, stale_if_error: 2h}\n"
			       "http: {header_timeout: 1500ms, idle_timeout: 61s, body_rate: 0}\n"
			       "origin: {queue_timeout: 0, max_in_flight: 100}\n"
			       "ctl: {mode: 600, group: ''}\n"
			       "runtime: {hugepages: off}\n",
			     &conf),
		0, "%s", test_errors);
	cr_expect_eq(conf->ctl.mode, 0600);
	cr_expect_not(conf->runtime.hugepages);
	cr_expect_str_eq(conf->bootstrap_state, "/tmp/a \"b\" \\ c: #d");
	first = test_print(conf);
	hf_conf_free(conf);
	cr_assert_eq(test_load(first, &conf), 0, "%s of\n%s", test_errors, first);
	cr_expect_eq(conf->port[0].mtu, 9000);
	cr_expect_eq(conf->http.header_timeout_ms, 1500);
	cr_expect_eq(conf->cache.memory, 1000000ULL << 10);
	second = test_print(conf);
	cr_expect_str_eq(first, second);
	hf_conf_free(conf);
	free(first);
	free(second);
}

Test(conf, limits_that_are_negative_or_no_number_are_errors)
{
	static const char *const found[] = { "-1", "none", "1.5", "1e3", "0x10", "1000001" };
	char text[256], reason[128];

	for (size_t i = 0; i < HF_ARRAY_LEN(found); i++) {
		(void)snprintf(text, sizeof(text), CONF_TEST_PORTS "origin: {max_in_flight: %s}\n",
			found[i]);
		(void)snprintf(reason, sizeof(reason),
			"2: origin.max_in_flight: found \"%s\"; allowed: 0 to 1000000\n", found[i]);
		test_refused(text, reason);
	}
}

Test(conf, what_is_no_YAML_is_told_with_its_line)
{
	test_refused("node: a\nworkers: [1\n",
		"3: syntax: found did not find expected ',' or ']'; allowed: one YAML document in "
		"UTF-8\n");
	test_refused("node: \xff\n",
		"1: syntax: found invalid leading UTF-8 octet; allowed: one YAML document in "
		"UTF-8\n");
	test_refused(CONF_TEST_PORTS "---\nnode: b\n",
		"3: file: found a second document; allowed: one\n");
	test_refused(CONF_TEST_PORTS "---\n[",
		"4: syntax: found did not find expected node content; "
		"allowed: one YAML document in UTF-8\n");
}

Test(conf, an_empty_file_lacks_ports)
{
	static const char *const texts[] = { "", "# only this\n", "{}\n", "---\n" };

	for (size_t i = 0; i < HF_ARRAY_LEN(texts) - 1; i++)
		test_refused(texts[i], "1: ports: found nothing; allowed: 1 to 16 ports, each with "
				       "device and addresses\n");
}

Test(conf, aliases_and_odd_keys_are_refused_not_followed)
{
	test_refused(CONF_TEST_PORTS "cache: &c {memory: 1GiB}\nhttp: *c\n",
		"2: http: found an alias; allowed: values written out\n");
	test_refused(CONF_TEST_PORTS "cache: {[a]: b}\n",
		"2: cache: found a key that is no word; allowed: key: value\n");
	test_refused(
		"ports: &p [*p]\n", "1: ports[0]: found an alias; allowed: values written out\n");
	test_refused(
		CONF_TEST_PORTS "node: \"a\\0b\"\n", "2: node: found \"a\"; allowed: one value\n");
}

Test(conf, errors_show_no_control_characters_and_not_all_of_a_long_value)
{
	char text[4096] = CONF_TEST_PORTS "node: \"\\e[31m";

	memset(text + strlen(text), 'x', 2000);
	strcat(text, "\"\n");
	cr_assert_eq(test_load(text, &(struct hf_conf *){ NULL }), -EINVAL);
	cr_expect(strstr(test_errors, "2: node: found \"?[31mxxx"));
	cr_expect_lt(strlen(test_errors), 200);
}

Test(conf, a_file_that_cannot_be_read_is_an_error_of_its_own)
{
	struct hf_conf *conf = NULL;
	char *big = malloc(CONF_FILE_MAX + 2), buf[512] = "";
	FILE *errors = fmemopen(buf, sizeof(buf), "w");

	cr_expect_eq(hf_conf_load("/nonexistent/x.yaml", errors, &conf), -ENOENT);
	cr_expect_eq(hf_conf_load("/", errors, &conf), -EISDIR);
	(void)fclose(errors);
	cr_expect(strstr(buf, "/nonexistent/x.yaml:1: file: found No such file or directory; "));
	memset(big, '#', CONF_FILE_MAX + 2);
	cr_expect_eq(test_load_bytes(big, CONF_FILE_MAX + 2, &conf), -EFBIG);
	cr_expect_null(conf);
	free(big);
}

Test(conf, lists_of_a_hundred_thousand_entries_are_refused_at_once)
{
	size_t count = 100000;
	char *text = malloc(count * 8 + 16), *at = text;

	at += sprintf(at, "ports:\n");
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "- {a}\n");
	cr_assert_eq(test_load(text, &(struct hf_conf *){ NULL }), -EINVAL);
	cr_expect(strstr(test_errors, "2: ports: found 100000 entries; allowed: 1 to 16\n"));
	free(text);
}
