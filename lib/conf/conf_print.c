/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <string.h>

#include "conf_priv.h"

void conf_print_addresses(const struct hf_conf_port *port, FILE *out)
{
	fputc('[', out);
	for (uint32_t i = 0; i < port->address_count; i++) {
		fputs(i ? ", " : "", out);
		conf_port_print_address(&port->address[i], /* with_prefix= */ true, out);
	}
	fputs("]\n", out);
}

void conf_print_gateway(const struct hf_conf_port *port, FILE *out)
{
	fputc('[', out);
	if (port->gateway4.prefix)
		conf_port_print_address(&port->gateway4, /* with_prefix= */ false, out);
	if (port->gateway4.prefix && port->gateway6.prefix)
		fputs(", ", out);
	if (port->gateway6.prefix)
		conf_port_print_address(&port->gateway6, /* with_prefix= */ false, out);
	fputs("]\n", out);
}

void conf_print_listen(const struct hf_conf *conf, FILE *out)
{
	fputc('[', out);
	for (uint32_t i = 0; i < conf->listen_count; i++)
		fprintf(out, "%s%u", i ? ", " : "", conf->listen[i]);
	fputs("]\n", out);
}

static void print_ports(const struct hf_conf *conf, FILE *out)
{
	fputs("ports:\n", out);
	for (uint32_t i = 0; i < conf->port_count; i++) {
		for (uint32_t p = 0; p < CONF_PORT_PARAM_COUNT; p++) {
			fprintf(out, "  %s %s: ", p == 0 ? "-" : " ", conf_port_params[p].key);
			conf_value_print(&conf_port_params[p], &conf->port[i], out);
			fputc('\n', out);
		}
		fputs("    addresses: ", out);
		conf_print_addresses(&conf->port[i], out);
		fputs("    gateway: ", out);
		conf_print_gateway(&conf->port[i], out);
	}
	fputs("listen: ", out);
	conf_print_listen(conf, out);
}

void hf_conf_print(const struct hf_conf *conf, FILE *out)
{
	const char *section = "";

	for (uint32_t i = 0; i < CONF_PARAM_COUNT; i++) {
		const struct conf_param *param = &conf_params[i];

		if (strcmp(section, param->section) != 0) {
			if (!*section)
				print_ports(conf, out);
			section = param->section;
			fprintf(out, "%s:\n", section);
		}
		fprintf(out, "%s%s: ", *section ? "  " : "", param->key);
		conf_value_print(param, conf, out);
		fputc('\n', out);
	}
}
