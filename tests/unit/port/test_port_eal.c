/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include "port_priv.h"

static struct hf_conf conf;
static struct hf_err err;

static void conf_one(const char *device, uint32_t workers)
{
	static char text[128];

	(void)snprintf(text, sizeof(text), "%s", device);
	memset(&conf, 0, sizeof(conf));
	conf.workers = workers;
	conf.port_count = 1;
	conf.port[0].device = text;
	cr_assert_eq(hf_port_eal_init(&conf, &err), 0, "%s", err.text);
}

Test(port_eal, main_is_lcore_0_and_workers_follow)
{
	conf_one("net_ring0", 3);
	cr_assert_eq(rte_get_main_lcore(), 0);
	cr_assert_eq(rte_lcore_count(), 4);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert(rte_lcore_is_enabled(hf_port_lcore_id(i)));
	cr_assert_not(hf_port_has_hugepages());
	hf_port_eal_fini();
}

Test(port_eal, auto_workers_leave_a_cpu_and_are_at_least_one)
{
	uint32_t n;

	n = hf_port_workers(&conf);
	cr_assert(n >= 1 && n <= HF_CONF_WORKERS_MAX);
	conf.workers = 5;
	cr_assert_eq(hf_port_workers(&conf), 5);
}

static void open_fails(const char *device, const char *with)
{
	struct hf_port *port = NULL;

	conf_one(device, 1);
	cr_assert_lt(hf_port_open(&conf, 0, &err, &port), 0);
	cr_assert_null(port, "untouched on failure");
	cr_assert_not_null(strstr(err.text, device), "names the device: %s", err.text);
	cr_assert_not_null(strstr(err.text, with), "says what to try: %s", err.text);
	cr_assert_null(strchr(err.text, '\n'), "%s", err.text);
	hf_port_eal_fini();
}

Test(port_eal, unknown_driver_is_told_with_what_to_try)
{
	open_fails("net_nonsense0", "drivers-config/README.md");
}

Test(port_eal, missing_interface_is_told_with_what_to_try)
{
	open_fails("net_af_packet0,iface=hf-none", "exists and is up");
}

Test(port_eal, pci_address_without_a_device_is_told_with_what_to_try)
{
	open_fails("0000:fe:1f.6", "scripts/bind-nic");
}

Test(port_eal, mtu_out_of_range_is_refused)
{
	struct hf_port *port = NULL;

	conf_one("net_tap0,iface=hf-mtu", 1);
	conf.port[0].mtu = 40;
	cr_assert_eq(hf_port_open(&conf, 0, &err, &port), -EINVAL, "%s", err.text);
	cr_assert_not_null(strstr(err.text, "mtu: found 40"), "%s", err.text);
	hf_port_eal_fini();
}

Test(port_eal, buffers_hold_the_largest_mtu_and_two_tags)
{
	memset(&conf, 0, sizeof(conf));
	conf.port_count = 2;
	cr_assert_eq(port_data_room(&conf), 2048 + RTE_PKTMBUF_HEADROOM);
	conf.port[1].mtu = 9000;
	cr_assert_geq(port_data_room(&conf), 9022 + RTE_PKTMBUF_HEADROOM);
	conf.port[1].mtu = 1500;
	cr_assert_eq(port_data_room(&conf), 2048 + RTE_PKTMBUF_HEADROOM);
}

Test(port_eal, memory_is_registered_once_found_and_given_back)
{
	static uint8_t memory[1 << 20] HF_ALIGNED(1 << 16);
	struct hf_port *port = NULL;
	uint64_t iova = 0;

	conf_one("net_ring0", 1);
	cr_assert_eq(hf_port_open(&conf, 0, &err, &port), 0, "%s", err.text);
	cr_assert_eq(
		hf_port_memory_register(memory, sizeof(memory), 4096, &err), 0, "%s", err.text);
	cr_assert_lt(hf_port_memory_register(memory, sizeof(memory), 4096, &err), 0);
	cr_assert_eq(hf_port_iova(memory + 5), (uint64_t)(uintptr_t)memory + 5);
	cr_assert_eq(hf_port_iova_run(memory + 5, 9000, &iova), 9000);
	hf_port_memory_unregister(memory, sizeof(memory));
	cr_assert_eq(
		hf_port_memory_register(memory, sizeof(memory), 4096, &err), 0, "%s", err.text);
	hf_port_memory_unregister(memory, sizeof(memory));
	hf_port_close(port);
	hf_port_eal_fini();
}

Test(port_eal, tap_gets_an_address_unlike_its_kernel_end_and_leaves_no_interface)
{
	struct hf_port *port = NULL;
	struct hf_port_info info;
	struct rte_ether_addr mac;
	char path[] = "/sys/class/net/hf-tap-ut";

	conf_one("net_tap0,iface=hf-tap-ut", 2);
	cr_assert_eq(hf_port_open(&conf, 0, &err, &port), 0, "%s", err.text);
	cr_assert_eq(hf_port_start(port, &err), 0, "%s", err.text);
	hf_port_info(port, &info);
	cr_assert_str_eq(info.driver, "net_tap");
	cr_assert_eq(info.queues, 1);
	cr_assert_not(info.rss);
	cr_assert_eq(info.tso_max, 0);
	cr_assert_eq(info.mtu, 1500);
	cr_assert_eq(rte_eth_macaddr_get(info.port_id, &mac), 0);
	cr_assert_neq(memcmp(mac.addr_bytes, info.mac, 6), 0);
	cr_assert_eq(info.mac[0] & 3, 2, "unicast, locally administered");
	cr_assert_eq(access(path, F_OK), 0);
	hf_port_stop(port);
	hf_port_close(port);
	cr_assert_neq(access(path, F_OK), 0);
	hf_port_eal_fini();
}
