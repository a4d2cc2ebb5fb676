/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <criterion/criterion.h>

#include "port_priv.h"

Test(port_driver, files_of_drivers_config_are_found_by_dpdk_name)
{
	static const char *const names[][2] = { { "net_ixgbe", "ixgbe" }, { "net_ice", "ice" },
		{ "net_iavf", "ice" }, { "net_i40e", "i40e" }, { "mlx5_pci", "mlx5" },
		{ "net_ena", "ena" }, { "net_gve", "gve" }, { "net_virtio", "virtio" },
		{ "net_virtio_user", "virtio" }, { "net_vmxnet3", "vmxnet3" },
		{ "net_af_xdp", "af_xdp" }, { "net_af_packet", "af_packet" }, { "net_tap", "tap" },
		{ "net_memif", "memif" }, { "net_unheard_of", "default" } };

	for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
		cr_expect_str_eq(port_driver_find(names[i][0])->name, names[i][1]);
}

Test(port_driver, vdev_strings_name_their_driver_before_the_number)
{
	cr_assert_str_eq(port_driver_guess("net_tap0,iface=hf0")->name, "tap");
	cr_assert_str_eq(port_driver_guess("net_memif12,role=client")->name, "memif");
	cr_assert_str_eq(port_driver_guess("0000:3b:00.0")->name, "default");
	cr_assert_str_eq(port_driver_guess("")->name, "default");
}

Test(port_driver, known_quirks_are_in_the_data)
{
	cr_assert_eq(port_driver_find("net_tap")->max_queues, 1, "flows move between queues");
	cr_assert_eq(port_driver_find("net_tap")->tso, 0);
	cr_assert(port_driver_find("net_tap")->own_mac);
	cr_assert(port_driver_find("net_tap")->rx_fd);
	cr_assert_not(port_driver_find("net_memif")->rx_fd, "its interrupts are not supported");
	cr_assert_eq(port_driver_find("net_i40e")->segs_max, 8);
	cr_assert_not(port_driver_find("net_af_xdp")->multi_seg);
	cr_assert(port_driver_find("net_vmxnet3")->queues_pow2);
	cr_assert_eq(port_driver_find("net_ice")->tso, PORT_TSO_MAX);
}

Test(port_driver, pci_addresses_are_told_from_vdevs)
{
	cr_assert(port_device_is_pci("0000:3b:00.0"));
	cr_assert(port_device_is_pci("3b:00.1"));
	cr_assert(port_device_is_pci("0000:3b:00.0,mprq_en=1"));
	cr_assert_not(port_device_is_pci("net_tap0,iface=3b:00.1"));
	cr_assert_not(port_device_is_pci("0000:3b:00"));
	cr_assert_not(port_device_is_pci("0000:3b:00.0x"));
	cr_assert_not(port_device_is_pci(""));
}
