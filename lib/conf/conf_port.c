/* SPDX-License-Identifier: BSD-3-Clause */
#include "hf_conf.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "conf_priv.h"

#define PORT_ADDRESS_ALLOWED "an address of a host with prefix: 192.0.2.10/24, \"2001:db8::10/64\""

/* What conf_port_load works on; `path` is the port's. */
struct port_load {
	struct hf_conf *conf;
	struct hf_conf_port *port;
	const struct conf_raw_port *raw;
	const struct conf_shape *shape;
	struct conf_errors *errors;
	char path[CONF_PATH_MAX];
};

static const uint8_t port_v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool port_is_v4(const uint8_t *ip)
{
	return memcmp(ip, port_v4_prefix, sizeof(port_v4_prefix)) == 0;
}

static bool port_bits_equal(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
	uint32_t bytes = bits / 8, rest = bits % 8;

	return memcmp(a, b, bytes) == 0 && (rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0);
}

/* Whether both are in A's network. */
static bool port_on_link(const struct hf_conf_address *a, const uint8_t *ip)
{
	bool v4 = port_is_v4(a->ip);

	if (v4 != port_is_v4(ip))
		return false;
	return port_bits_equal(a->ip, ip, a->prefix + (v4 ? 96U : 0));
}

static bool port_is_link_local6(const uint8_t *ip)
{
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

/* A unicast address that a host can have (RFC 1122 section 3.2.1.3, RFC 4291 section 2.4). */
static bool port_ip_usable(const uint8_t *ip)
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (port_is_v4(ip))
		return ip[12] != 0 && ip[12] != 127 && ip[12] < 224;
	return ip[0] != 0xff && memcmp(ip, loopback, 15) != 0;
}

static bool port_ip_parse(const char *text, uint8_t *ret_ip)
{
	uint8_t ip[16];

	if (inet_pton(AF_INET, text, ip + 12) == 1)
		memcpy(ip, port_v4_prefix, sizeof(port_v4_prefix));
	else if (inet_pton(AF_INET6, text, ip) != 1 || port_is_v4(ip))
		return false;
	if (!port_ip_usable(ip))
		return false;
	memcpy(ret_ip, ip, sizeof(ip));
	return true;
}

/* The all-zeros and all-ones hosts of an IPv4 network, but for RFC 3021's /31. */
static bool port_is_v4_edge(const struct hf_conf_address *a)
{
	uint32_t ip = 0, host;

	if (!port_is_v4(a->ip) || a->prefix >= 31)
		return false;
	for (uint32_t i = 12; i < 16; i++)
		ip = ip << 8 | a->ip[i];
	host = ip & (UINT32_MAX >> a->prefix);
	return host == 0 || host == UINT32_MAX >> a->prefix;
}

static bool port_address_parse(const char *text, struct hf_conf_address *ret_address)
{
	struct hf_conf_address a;
	char ip[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	uint64_t prefix;

	if (!slash || (size_t)(slash - text) >= sizeof(ip))
		return false;
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = '\0';
	if (!port_ip_parse(ip, a.ip) ||
		!conf_value_uint(slash + 1, port_is_v4(a.ip) ? 32 : 128, &prefix) || prefix == 0)
		return false;
	a.prefix = (uint8_t)prefix;
	if (port_is_v4_edge(&a))
		return false;
	*ret_address = a;
	return true;
}

static void port_error(
	const struct port_load *load, const char *path, const char *text, const char *allowed)
{
	char quoted[128];

	conf_error_add(load->errors, conf_shape_line(load->shape, path), path,
		conf_error_quote(text, quoted, sizeof(quoted)), "%s", allowed);
}

/* Any port's: an address that two ports have answers on neither. */
static bool port_has_address(const struct port_load *load, const uint8_t *ip)
{
	for (const struct hf_conf_port *port = load->conf->port; port <= load->port; port++)
		for (uint32_t i = 0; i < port->address_count; i++)
			if (memcmp(port->address[i].ip, ip, sizeof(port->address[i].ip)) == 0)
				return true;
	return false;
}

static void port_addresses(struct port_load *load)
{
	struct hf_conf_port *port = load->port;
	char path[CONF_PATH_MAX + 32], list[CONF_PATH_MAX + 16];

	(void)snprintf(list, sizeof(list), "%s.addresses", load->path);
	if (conf_shape_line(load->shape, list) == 0)
		conf_error_add(load->errors, conf_shape_line(load->shape, load->path), list,
			"nothing", "1 to %d addresses", HF_CONF_ADDRESSES_MAX);
	for (uint32_t i = 0; i < load->raw->addresses_count; i++) {
		const char *text = load->raw->addresses[i];
		struct hf_conf_address address;

		(void)snprintf(path, sizeof(path), "%s[%u]", list, i);
		if (!port_address_parse(text, &address))
			port_error(load, path, text, PORT_ADDRESS_ALLOWED);
		else if (port_has_address(load, address.ip))
			port_error(load, path, text, "each address once, on one port");
		else
			port->address[port->address_count++] = address;
	}
}

static bool port_gateway_reachable(const struct port_load *load, const uint8_t *ip)
{
	if (!port_is_v4(ip) && port_is_link_local6(ip))
		return true;
	for (uint32_t i = 0; i < load->port->address_count; i++)
		if (port_on_link(&load->port->address[i], ip))
			return true;
	return false;
}

static void port_gateways(struct port_load *load)
{
	char path[CONF_PATH_MAX + 32];

	for (uint32_t i = 0; i < load->raw->gateway_count; i++) {
		const char *text = load->raw->gateway[i];
		struct hf_conf_address gateway = { 0 }, *place;

		(void)snprintf(path, sizeof(path), "%s.gateway[%u]", load->path, i);
		if (!port_ip_parse(text, gateway.ip)) {
			port_error(load, path, text, "an address of a host without prefix");
			continue;
		}
		place = port_is_v4(gateway.ip) ? &load->port->gateway4 : &load->port->gateway6;
		gateway.prefix = port_is_v4(gateway.ip) ? 32 : 128;
		if (place->prefix != 0)
			port_error(load, path, text, "one IPv4 and one IPv6 gateway");
		else if (port_has_address(load, gateway.ip))
			port_error(load, path, text, "another host than this one");
		else if (!port_gateway_reachable(load, gateway.ip))
			port_error(load, path, text, "an address within a network of this port");
		else
			*place = gateway;
	}
}

/* 0000:3b:00.0 and 3b:00.0 are one device, whatever arguments follow. */
static bool port_device_same(const char *a, const char *b)
{
	size_t a_len = strcspn(a, ","), b_len = strcspn(b, ",");

	if (a_len == 12 && strncmp(a, "0000:", 5) == 0) {
		a += 5;
		a_len -= 5;
	}
	if (b_len == 12 && strncmp(b, "0000:", 5) == 0) {
		b += 5;
		b_len -= 5;
	}
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

static void port_params(struct port_load *load)
{
	for (uint32_t i = 0; i < CONF_PORT_PARAM_COUNT; i++) {
		const struct conf_param *param = &conf_port_params[i];
		const char *text = load->raw->value[i] ? load->raw->value[i] : param->def;
		char path[CONF_PATH_MAX + 32], allowed[256];

		(void)snprintf(path, sizeof(path), "%s.%s", load->path, param->key);
		(void)conf_value_allowed(param, allowed, sizeof(allowed));
		if (text && conf_value_set(param, text, load->port) != 0)
			port_error(load, path, text, allowed);
		else if (!text && conf_shape_line(load->shape, path) == 0)
			conf_error_add(load->errors, conf_shape_line(load->shape, load->path), path,
				"nothing", "%s", allowed);
	}
}

static void port_one(struct port_load *load)
{
	char path[CONF_PATH_MAX + 32];

	port_params(load);
	(void)snprintf(path, sizeof(path), "%s.device", load->path);
	for (const struct hf_conf_port *port = load->conf->port; port < load->port; port++)
		if (port->device && load->port->device &&
			port_device_same(port->device, load->port->device))
			port_error(load, path, load->port->device, "each device once");
	port_addresses(load);
	port_gateways(load);
}

void conf_port_load(struct hf_conf *conf, const struct conf_raw *raw,
	const struct conf_shape *shape, struct conf_errors *errors)
{
	if (conf_shape_line(shape, "ports") == 0)
		conf_error_add(errors, 1, "ports", "nothing",
			"1 to %d ports, each with device and addresses", HF_CONF_PORTS_MAX);
	for (uint32_t i = 0; i < raw->ports_count; i++) {
		struct port_load load = {
			.conf = conf,
			.port = &conf->port[i],
			.raw = &raw->ports[i],
			.shape = shape,
			.errors = errors,
		};

		conf->port_count = i + 1;
		(void)snprintf(load.path, sizeof(load.path), "ports[%u]", i);
		port_one(&load);
	}
}

void conf_port_print_address(const struct hf_conf_address *address, bool with_prefix, FILE *out)
{
	bool v4 = port_is_v4(address->ip);
	char text[INET6_ADDRSTRLEN];

	HF_ASSERT(inet_ntop(
		v4 ? AF_INET : AF_INET6, address->ip + (v4 ? 12 : 0), text, sizeof(text)));
	fprintf(out, "\"%s", text);
	if (with_prefix)
		fprintf(out, "/%u", address->prefix);
	fputc('"', out);
}
