/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_port.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "port_priv.h"

static const struct port_driver drivers[] = {
#include "port_drivers.inc"
};

static const struct port_driver driver_default = {
	.name = "default",
	.rx_desc = PORT_DESC_DEFAULT,
	.tx_desc = PORT_DESC_DEFAULT,
	.max_queues = HF_CONF_WORKERS_MAX,
	.tso = 0,
	.multi_seg = true,
	.tx_csum = true,
	.rss_fields = PORT_RSS_IP | PORT_RSS_TCP,
	.segs_max = 8,
	.tso_segs_max = 8,
};

const struct port_driver *port_driver_find(const char *dpdk_name)
{
	HF_ASSERT(dpdk_name);
	for (size_t i = 0; i < HF_ARRAY_LEN(drivers); i++) {
		const struct port_driver *driver = &drivers[i];

		HF_ASSERT(driver->rx_desc <= PORT_DESC_MAX && driver->tx_desc <= PORT_DESC_MAX);
		for (size_t k = 0; k < HF_ARRAY_LEN(driver->driver) && driver->driver[k]; k++) {
			if (strcmp(driver->driver[k], dpdk_name) == 0)
				return driver;
		}
	}
	return &driver_default;
}

const struct port_driver *port_driver_guess(const char *device)
{
	char name[32];
	size_t len = strcspn(device, ",");

	while (len > 0 && isdigit((unsigned char)device[len - 1]))
		len--;
	if (len >= sizeof(name))
		return &driver_default;
	memcpy(name, device, len);
	name[len] = '\0';
	return port_driver_find(name);
}

bool port_device_is_pci(const char *device)
{
	unsigned int domain, bus, slot, function;
	int end = 0;
	size_t len = strcspn(device, ",");

	if (sscanf(device, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) == 4 &&
		(size_t)end == len)
		return true;
	return sscanf(device, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) == 3 &&
	       (size_t)end == len;
}
