/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <errno.h>

#include "conf_test.h"

#define PORT(device, rest)   "ports: [{device: \"" device "\", " rest "}]\n"
#define ADDRESSES(addresses) PORT("net_tap0", "addresses: [" addresses "]")
#define ADDRESS_ALLOWED                                                                            \
	"; allowed: an address of a host with prefix: 192.0.2.10/24, \"2001:db8::10/64\"\n"
#define DEVICE_ALLOWED "; allowed: a PCI address (0000:3b:00.0) or a vdev (net_tap0,iface=hf0)\n"

Test(conf_port, addresses_and_gateways_of_both_families_are_taken)
{
	static const uint8_t v4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 10 };
	static const uint8_t gw4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	struct hf_conf *conf;
	const struct hf_conf_port *port;

	cr_assert_eq(test_load(PORT("0000:3b:00.0", "addresses: [192.0.2.10/24, '2001:db8::10/64'],"
						    "gateway: ['2001:db8::1', 192.0.2.1]"),
			     &conf),
		0, "%s", test_errors);
	port = &conf->port[0];
	cr_expect_eq(port->address_count, 2);
	cr_expect_arr_eq(port->address[0].ip, v4, 16);
	cr_expect_eq(port->address[0].prefix, 24);
	cr_expect_eq(port->address[1].ip[0], 0x20);
	cr_expect_eq(port->address[1].prefix, 64);
	cr_expect_arr_eq(port->gateway4.ip, gw4, 16);
	cr_expect_eq(port->gateway6.ip[15], 1);
	hf_conf_free(conf);
}

Test(conf_port, what_no_host_can_have_is_no_address)
{
	static const char *const bad[] = { "10.0.0.1", "10.0.0.1/0", "10.0.0.1/33", "10.0.0.1/",
		"10.0.0.1/8x", "10.0.0/8", "0.0.0.0/8", "127.0.0.1/8", "224.0.0.1/4",
		"255.255.255.255/32", "10.0.0.0/24", "10.0.0.255/24", "10.0.0.4/30", "::/64",
		"::1/128", "ff02::1/64", "fe80::1%eth0/64", "::ffff:10.0.0.1/120",
		"2001:db8::1/129", "/24", "" };

	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		char text[256], reason[512];

		(void)snprintf(text, sizeof(text), ADDRESSES("'%s'"), bad[i]);
		(void)snprintf(reason, sizeof(reason), "1: ports[0].addresses[0]: found \"%s\"%s",
			bad[i], ADDRESS_ALLOWED);
		test_refused(text, reason);
	}
}

Test(conf_port, the_ends_of_a_point_to_point_network_are_addresses_RFC_3021)
{
	struct hf_conf *conf;

	cr_assert_eq(
		test_load(ADDRESSES("10.0.0.0/31, 10.0.1.255/32"), &conf), 0, "%s", test_errors);
	hf_conf_free(conf);
}

Test(conf_port, an_address_stands_once_in_the_whole_file)
{
	test_refused(ADDRESSES("10.0.0.1/24, 10.0.0.1/8"),
		"1: ports[0].addresses[1]: found \"10.0.0.1/8\"; allowed: each address once, on "
		"one "
		"port\n");
	test_refused("ports:\n"
		     "- {device: net_tap0, addresses: [10.0.0.1/24]}\n"
		     "- {device: net_tap1, addresses: [10.0.0.1/24]}\n",
		"3: ports[1].addresses[0]: found \"10.0.0.1/24\"; allowed: each address once, on "
		"one "
		"port\n");
}

Test(conf_port, a_gateway_is_on_a_network_of_its_port)
{
	test_refused(PORT("net_tap0", "addresses: [192.0.2.10/24], gateway: [192.0.3.1]"),
		"1: ports[0].gateway[0]: found \"192.0.3.1\"; allowed: an address within a network "
		"of "
		"this port\n");
	test_refused(PORT("net_tap0", "addresses: [192.0.2.10/25], gateway: [192.0.2.129]"),
		"1: ports[0].gateway[0]: found \"192.0.2.129\"; allowed: an address within a "
		"network of "
		"this port\n");
	test_refused(PORT("net_tap0", "addresses: [192.0.2.10/24], gateway: ['2001:db8::1']"),
		"1: ports[0].gateway[0]: found \"2001:db8::1\"; allowed: an address within a "
		"network of "
		"this port\n");
	test_refused(PORT("net_tap0", "addresses: [192.0.2.10/24], gateway: [192.0.2.10]"),
		"1: ports[0].gateway[0]: found \"192.0.2.10\"; allowed: another host than this "
		"one\n");
	test_refused(
		PORT("net_tap0", "addresses: [192.0.2.10/24], gateway: [192.0.2.1, 192.0.2.2]"),
		"1: ports[0].gateway[1]: found \"192.0.2.2\"; allowed: one IPv4 and one IPv6 "
		"gateway\n");
	test_refused(PORT("net_tap0", "addresses: [192.0.2.10/24], gateway: [192.0.2.1/24]"),
		"1: ports[0].gateway[0]: found \"192.0.2.1/24\"; allowed: an address of a host "
		"without "
		"prefix\n");
}

Test(conf_port, a_link_local_gateway_is_on_every_link)
{
	struct hf_conf *conf;

	cr_assert_eq(
		test_load(PORT("net_tap0", "addresses: ['2001:db8::2/64'], gateway: ['fe80::1']"),
			&conf),
		0, "%s", test_errors);
	cr_expect_eq(conf->port[0].gateway6.ip[0], 0xfe);
	hf_conf_free(conf);
}

Test(conf_port, a_device_is_a_PCI_address_or_a_vdev)
{
	static const char *const good[] = { "0000:3b:00.0", "3b:00.7", "0000:3B:0a.1,x=1",
		"net_tap0,iface=hf0", "net_af_packet0,iface=v0,qpairs=1" };
	static const char *const bad[] = { "eth0", "", "0000:3b:00.8", "0000:3b:00", "net_",
		"net_tap-0", "net_tap0, iface=x", "000:3b:00.0", "crypto_null0", "3g:00.0" };

	for (size_t i = 0; i < HF_ARRAY_LEN(good); i++) {
		struct hf_conf *conf;
		char text[256];

		(void)snprintf(text, sizeof(text), PORT("%s", "addresses: [10.0.0.1/24]"), good[i]);
		cr_assert_eq(test_load(text, &conf), 0, "%s", test_errors);
		cr_expect_str_eq(conf->port[0].device, good[i]);
		hf_conf_free(conf);
	}
	for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
		char text[256], reason[256];

		(void)snprintf(text, sizeof(text), PORT("%s", "addresses: [10.0.0.1/24]"), bad[i]);
		(void)snprintf(reason, sizeof(reason), "1: ports[0].device: found \"%s\"%s", bad[i],
			DEVICE_ALLOWED);
		test_refused(text, reason);
	}
}

Test(conf_port, two_names_of_one_device_are_the_same_device)
{
	test_refused("ports:\n"
		     "- {device: '0000:3B:00.0', addresses: [10.0.0.1/24]}\n"
		     "- {device: '3b:00.0,arg=1', addresses: [10.0.1.1/24]}\n",
		"3: ports[1].device: found \"3b:00.0,arg=1\"; allowed: each device once\n");
	test_refused("ports:\n"
		     "- {device: 'net_tap0,iface=a', addresses: [10.0.0.1/24]}\n"
		     "- {device: 'net_tap0,iface=b', addresses: [10.0.1.1/24]}\n",
		"3: ports[1].device: found \"net_tap0,iface=b\"; allowed: each device once\n");
}

Test(conf_port, device_and_addresses_are_required)
{
	test_refused("ports:\n- {vlan: 5}\n",
		"2: ports[0].device: found nothing" DEVICE_ALLOWED
		"2: ports[0].addresses: found nothing; allowed: 1 to 16 addresses\n");
	test_refused(PORT("net_tap0", "addresses: []"),
		"1: ports[0].addresses: found 0 entries; allowed: 1 to 16\n");
	test_refused("ports: []\n", "1: ports: found 0 entries; allowed: 1 to 16\n");
	test_refused(
		"listen: []\n" CONF_TEST_PORTS, "1: listen: found 0 entries; allowed: 1 to 64\n");
}

Test(conf_port, limits_on_counts_and_numbers_of_a_port)
{
	char text[4096] = "ports: [{device: net_tap0, addresses: [10.0.0.1/24";

	for (int i = 2; i <= 17; i++)
		sprintf(text + strlen(text), ", 10.0.0.%d/24", i);
	strcat(text, "]}]\n");
	test_refused(text, "1: ports[0].addresses: found 17 entries; allowed: 1 to 16\n");
	test_refused(PORT("net_tap0", "addresses: [10.0.0.1/24], vlan: 4095"),
		"1: ports[0].vlan: found \"4095\"; allowed: none or 1 to 4094\n");
	test_refused(PORT("net_tap0", "addresses: [10.0.0.1/24], vlan: 0"),
		"1: ports[0].vlan: found \"0\"; allowed: none or 1 to 4094\n");
	test_refused(PORT("net_tap0", "addresses: [10.0.0.1/24], mtu: 1279"),
		"1: ports[0].mtu: found \"1279\"; allowed: auto or 1280 to 9216\n");
}

Test(conf_port, an_element_of_the_wrong_kind_hides_no_error_behind_it)
{
	test_refused("ports:\n"
		     "- 5\n"
		     "- {device: net_tap0, addresses: [[1], 10.0.0.300/8]}\n",
		"2: ports[0]: found \"5\"; allowed: a section of key: value lines\n"
		"3: ports[0].addresses[0]: found a list; allowed: one value\n"
		"3: ports[0].addresses[0]: found \"10.0.0.300/8\"" ADDRESS_ALLOWED);
}
