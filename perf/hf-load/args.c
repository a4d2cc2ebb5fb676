/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The command line, checked in full before anything starts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum args_kind { ARG_UINT, ARG_REAL, ARG_OTHER };

struct args;
typedef int (*args_fn)(struct args *args, const char *text);

struct args {
	struct load_opts *opts;
	FILE *errors;
	const char *gateway;
	bool has_target;
};

static int args_fail(struct args *args, const char *name, const char *found, const char *allowed)
{
	(void)fprintf(args->errors, "hf-load: --%s: found %s; allowed: %s\n", name, found, allowed);
	return -EINVAL;
}

static bool args_uint(const char *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > (max - (uint64_t)(*text - '0')) / 10)
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
	}
	*ret_value = value;
	return true;
}

/* Digits and a point only: no signs, infinities, hexadecimal. */
static bool args_real(const char *text, double *ret_value)
{
	char *end;

	if (!*text || strspn(text, "0123456789.") != strlen(text))
		return false;
	*ret_value = strtod(text, &end);
	return *end == '\0' && end != text && strcmp(text, ".") != 0;
}

static bool args_ip(const char *text, struct hf_ip *ret_ip)
{
	static const struct hf_ip prefix = { .b = { [10] = 0xff, [11] = 0xff } };

	*ret_ip = prefix;
	if (inet_pton(AF_INET, text, ret_ip->b + 12) == 1)
		return true;
	return inet_pton(AF_INET6, text, ret_ip->b) == 1;
}

static int args_device(struct args *args, const char *text)
{
	if (!*text)
		return args_fail(args, "device", "nothing", "a vdev or a PCI address");
	args->opts->conf.port[0].device = (char *)(uintptr_t)text; /* read only from here on */
	args->opts->conf.port_count = 1;
	return 0;
}

static int args_address(struct args *args, const char *text)
{
	struct hf_conf_port *port = &args->opts->conf.port[0];
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	struct hf_ip ip;
	uint64_t prefix;

	if (port->address_count == HF_CONF_ADDRESSES_MAX)
		return args_fail(args, "address", "a 17th", "16");
	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return args_fail(args, "address", text, "ADDRESS/PREFIX");
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (!args_ip(address, &ip) || !args_uint(slash + 1, hf_ip_is4(&ip) ? 32 : 128, &prefix))
		return args_fail(args, "address", text, "ADDRESS/PREFIX");
	memcpy(port->address[port->address_count].ip, ip.b, 16);
	port->address[port->address_count++].prefix = (uint8_t)prefix;
	return 0;
}

static int args_target(struct args *args, const char *text)
{
	char host[INET6_ADDRSTRLEN];

	if (!hf_conf_hostport(text, host, sizeof(host), &args->opts->target_port) ||
		args->opts->target_port == 0 || !args_ip(host, &args->opts->target))
		return args_fail(args, args->opts->mode == LOAD_ORIGIN ? "origin" : "target", text,
			"ADDRESS:PORT or [ADDRESS]:PORT");
	args->has_target = true;
	return 0;
}

static int args_origin(struct args *args, const char *text)
{
	args->opts->mode = LOAD_ORIGIN;
	return args_target(args, text);
}

static int args_gateway(struct args *args, const char *text)
{
	args->gateway = text;
	return 0;
}

static int args_host(struct args *args, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > LOAD_HOST_MAX ||
		strspn(text,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") !=
			len)
		return args_fail(
			args, "host", text, "a host name, or an address, of up to 64 bytes");
	memcpy(args->opts->host, text, len + 1);
	return 0;
}

static int args_hugepages(struct args *args, const char *text)
{
	if (strcmp(text, "auto") != 0 && strcmp(text, "off") != 0)
		return args_fail(args, "hugepages", text, "auto, off");
	args->opts->conf.runtime.hugepages = strcmp(text, "auto") == 0;
	return 0;
}

/* SIZE[:WEIGHT],...; weights are in proportion. */
static int args_sizes(struct args *args, const char *text)
{
	static const char allowed[] = "SIZE[:WEIGHT],..., up to 16, sizes to 99999999";
	struct load_sizes sizes = { 0 };
	uint64_t weight[LOAD_SIZES_MAX], all = 0, sum = 0;
	char copy[512], *next = copy, *item;

	if (strlen(text) >= sizeof(copy))
		return args_fail(args, "sizes", text, allowed);
	memcpy(copy, text, strlen(text) + 1);
	while ((item = strsep(&next, ",")) != NULL) {
		char *colon = strchr(item, ':');
		uint64_t size;

		if (colon)
			*colon = '\0';
		if (sizes.count == LOAD_SIZES_MAX || !args_uint(item, 99999999, &size))
			return args_fail(args, "sizes", text, allowed);
		weight[sizes.count] = 1;
		if (colon && (!args_uint(colon + 1, 1000000, &weight[sizes.count]) ||
				     weight[sizes.count] == 0))
			return args_fail(args, "sizes", text, allowed);
		sizes.bytes[sizes.count] = (uint32_t)size;
		all += weight[sizes.count++];
	}
	for (uint32_t i = 0; i < sizes.count; i++) {
		sum += weight[i];
		sizes.below[i] = (sum << 32) / all;
	}
	args->opts->sizes = sizes;
	return 0;
}

#define UINT(name, field, least, most)                                                             \
	{                                                                                          \
		name, ARG_UINT, offsetof(struct load_opts, field),                                 \
			sizeof(((struct load_opts *)0)->field), least, most, NULL                  \
	}
#define REAL(name, field, least, most)                                                             \
	{                                                                                          \
		name, ARG_REAL, offsetof(struct load_opts, field), sizeof(double), least, most,    \
			NULL                                                                       \
	}
#define OTHER(name, fn)                                                                            \
	{                                                                                          \
		name, ARG_OTHER, 0, 0, 0, 0, fn                                                    \
	}

static const struct args_row {
	const char *name;
	enum args_kind kind;
	size_t offset, size;
	double least, most;
	args_fn fn;
} args_rows[] = {
	OTHER("device", args_device),
	OTHER("address", args_address),
	OTHER("gateway", args_gateway),
	OTHER("target", args_target),
	OTHER("origin", args_origin),
	OTHER("host", args_host),
	OTHER("hugepages", args_hugepages),
	OTHER("sizes", args_sizes),
	UINT("cpu", cpu, 0, 1023),
	UINT("keys", keys, 1, LOAD_KEYS_MAX),
	REAL("zipf", zipf, 0, 10),
	UINT("connections", connections, 1, 960000),
	UINT("pipeline", pipeline, 1, LOAD_PIPELINE),
	UINT("requests-per-connection", requests_per_connection, 0, 4294967295.0),
	REAL("rate", rate, 0, 1e9),
	REAL("duration", duration_s, 0.001, 1e6),
	REAL("warmup", warmup_s, 0, 1e6),
	REAL("timeout", timeout_s, 0.001, 1e4),
	UINT("requests", requests, 0, 1e15),
	UINT("verify", verify, 0, 4294967295.0),
	UINT("seed", seed, 0, 1e18),
};

static const char args_help[] =
	"Usage: hf-load --device DEVICE --address ADDRESS/PREFIX --target ADDRESS:PORT [options]\n"
	"       hf-load --stub --device DEVICE --address ADDRESS/PREFIX [--sizes SIZE]\n"
	"       hf-load --origin ADDRESS:PORT\n"
	"\n"
	"Asks an HTTP/1.1 cache for objects, from an lcore with a TCP of its own.\n"
	"\n"
	"  --device DEVICE     net_memif0,role=client,socket=...; net_tap0,iface=...; a PCI "
	"address\n"
	"  --address A/PREFIX  of this end; up to 16, each gives 60000 connections\n"
	"  --gateway ADDRESS   if the target is not on the link\n"
	"  --target A:PORT     whom to ask\n"
	"  --host NAME         the Host field (the target)\n"
	"  --cpu N             run there\n"
	"  --hugepages auto|off\n"
	"\n"
	"  --keys N            objects (1)\n"
	"  --zipf S            the k-th is asked for as often as 1/k^S; 0: all alike (0.99)\n"
	"  --sizes S[:W],...   their bytes, and how many of them are so large (64)\n"
	"  --verify N          look at one body of N; 0: none (64)\n"
	"  --seed N            another sequence of keys (1)\n"
	"\n"
	"  --connections N     (64)\n"
	"  --pipeline N        requests on the way on each, to 64 (1)\n"
	"  --requests-per-connection N   then it opens another; 0: keeps it (0)\n"
	"  --rate R            requests a second, whatever comes back: the open loop. Latency "
	"counts\n"
	"                      from when a request was due. 0: the next when one is answered (0)\n"
	"  --duration S        seconds that count (10)\n"
	"  --requests N        or so many requests that count (0: by time)\n"
	"  --warmup S          seconds before that (1)\n"
	"  --no-fill           do not ask for each object once before that\n"
	"  --timeout S         an answer later than this is an error (5)\n"
	"  --json FILE         the result; - is standard output\n"
	"\n"
	"  --stub              be the other end: answer without looking, to see how fast this end "
	"is\n"
	"                      (IPv4; with --verify 0 --no-fill at the client)\n"
	"  --origin A:PORT     be the origin of all these objects, over the kernel\n"
	"  --help, --version\n"
	"\n"
	"Exit: 0, 1 if any answer was missing or wrong or nothing could start, 2 for bad "
	"options.\n";

static int args_store(struct args *args, const struct args_row *row, const char *text)
{
	char *field = (char *)args->opts + row->offset, allowed[64];
	uint64_t value = 0;
	double real = 0;

	if (row->kind == ARG_OTHER)
		return row->fn(args, text);
	if (row->kind == ARG_REAL ? !args_real(text, &real) : !args_uint(text, UINT64_MAX, &value))
		real = -1;
	else if (row->kind == ARG_UINT)
		real = (double)value;
	if (real < row->least || real > row->most) {
		(void)snprintf(allowed, sizeof(allowed), "%.15g to %.15g", row->least, row->most);
		return args_fail(args, row->name, *text ? text : "nothing", allowed);
	}
	if (row->kind == ARG_REAL)
		memcpy(field, &real, sizeof(real));
	else
		memcpy(field, &value,
			row->size); /* little-endian, as every machine of DPDK's here */
	return 0;
}

/* Where packets to the target go first. */
static int args_next_hop(struct args *args)
{
	struct hf_conf_port *port = &args->opts->conf.port[0];
	struct hf_ip hop = args->opts->target;
	bool is4 = hf_ip_is4(&hop), have = false;

	if (args->gateway && (!args_ip(args->gateway, &hop) || hf_ip_is4(&hop) != is4))
		return args_fail(
			args, "gateway", args->gateway, "an address of the target's family");
	for (uint32_t i = 0; i < port->address_count; i++) {
		struct hf_ip own;

		memcpy(own.b, port->address[i].ip, 16);
		have |= hf_ip_is4(&own) == is4;
	}
	if (!have)
		return args_fail(args, "address", "none of the target's family", "at least one");
	memcpy(is4 ? port->gateway4.ip : port->gateway6.ip, hop.b, 16);
	return 0;
}

static int args_rules(struct args *args)
{
	struct load_opts *opts = args->opts;

	if (opts->mode == LOAD_ORIGIN)
		return 0;
	if (opts->conf.port_count == 0)
		return args_fail(args, "device", "none", "a vdev or a PCI address");
	if (opts->conf.port[0].address_count == 0)
		return args_fail(args, "address", "none", "at least one");
	if (opts->mode == LOAD_STUB)
		return 0;
	if (!args->has_target)
		return args_fail(args, "target", "none", "ADDRESS:PORT or [ADDRESS]:PORT");
	if (opts->connections > opts->conf.port[0].address_count * 60000)
		return args_fail(
			args, "connections", "more than 60000 an address", "more addresses");
	return args_next_hop(args);
}

static void args_default(struct load_opts *opts)
{
	*opts = (struct load_opts){
		.conf = { .workers = 1, .runtime.hugepages = true },
		.cpu = -1,
		.keys = 1,
		.zipf = 0.99,
		.sizes = { .count = 1, .bytes = { 64 }, .below = { 1ULL << 32 } },
		.connections = 64,
		.pipeline = 1,
		.duration_s = 10,
		.warmup_s = 1,
		.timeout_s = 5,
		.fill = true,
		.verify = 64,
		.seed = 1,
	};
}

enum { ARGS_JSON = 1000, ARGS_STUB, ARGS_NO_FILL, ARGS_HELP, ARGS_VERSION };

static int args_one(struct args *args, int option)
{
	switch (option) {
	case ARGS_JSON:
		args->opts->json = optarg;
		return 0;
	case ARGS_STUB:
		args->opts->mode = LOAD_STUB;
		return 0;
	case ARGS_NO_FILL:
		args->opts->fill = false;
		return 0;
	case ARGS_HELP:
		(void)fputs(args_help, stdout);
		return 1;
	case ARGS_VERSION:
		(void)puts("hf-load " HF_VERSION);
		return 1;
	case '?':
		(void)fputs("hf-load: see hf-load --help\n", args->errors);
		return -EINVAL;
	default:
		return args_store(args, &args_rows[option], optarg);
	}
}

int load_args(int argc, char **argv, FILE *errors, struct load_opts *ret_opts)
{
	struct option options[HF_ARRAY_LEN(args_rows) + 6] = { 0 };
	struct args args = { .opts = ret_opts, .errors = errors };
	uint32_t count = 0;
	int option, rc = 0;

	for (; count < HF_ARRAY_LEN(args_rows); count++)
		options[count] = (struct option){ args_rows[count].name, required_argument, NULL,
			(int)count };
	options[count++] = (struct option){ "json", required_argument, NULL, ARGS_JSON };
	options[count++] = (struct option){ "stub", no_argument, NULL, ARGS_STUB };
	options[count++] = (struct option){ "no-fill", no_argument, NULL, ARGS_NO_FILL };
	options[count++] = (struct option){ "help", no_argument, NULL, ARGS_HELP };
	options[count++] = (struct option){ "version", no_argument, NULL, ARGS_VERSION };
	args_default(ret_opts);
	optind = 0; /* anew: glibc's */
	while (rc == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
		rc = args_one(&args, option);
	if (rc == 0 && optind < argc) {
		(void)fprintf(errors, "hf-load: %s: no such argument; see hf-load --help\n",
			argv[optind]);
		rc = -EINVAL;
	}
	if (rc == 0)
		rc = args_rules(&args);
	if (rc == 0 && ret_opts->mode == LOAD_CLIENT && !ret_opts->host[0]) {
		char text[INET6_ADDRSTRLEN];
		bool is4 = hf_ip_is4(&ret_opts->target);
		const void *ip = ret_opts->target.b + (is4 ? 12 : 0);

		(void)inet_ntop(is4 ? AF_INET : AF_INET6, ip, text, sizeof(text));
		(void)snprintf(ret_opts->host, sizeof(ret_opts->host), is4 ? "%s:%u" : "[%s]:%u",
			text, ret_opts->target_port);
	}
	return rc;
}
