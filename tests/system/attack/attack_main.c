/* SPDX-License-Identifier: BSD-3-Clause
 *
 * hf-attack MODE --iface X --mac M --dst IP ...: options, modes, and what they all use.
 */
#include <arpa/inet.h>
#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attack.h"

static const struct {
	const char *name, *help;
	void (*run)(struct atk *atk);
	bool hears;
} modes[] = {
#define X(name, run, hears, help) { #name, help, run, hears },
#include "tbl/modes.h"
#undef X
};

/* Each option: X(name, help, what is done with the argument). */
#define OPTIONS(X)                                                                                 \
	X(iface, "interface, the near end of the victim's wire", atk->iface = optarg)              \
	X(mac, "the victim's", main_mac(atk, optarg))                                              \
	X(dst, "the victim's IP address", atk->dst = main_ip(optarg))                              \
	X(port, "the victim's (80)", atk->port = (uint16_t)main_number(optarg))                    \
	X(src, "our first address, or of the connection meddled with", atk->src = main_ip(optarg)) \
	X(sources, "how many addresses connections come from (4096)",                              \
		atk->sources = (uint32_t)main_number(optarg))                                      \
	X(sport, "of the connection meddled with", atk->sport = (uint16_t)main_number(optarg))     \
	X(seq, "that connection's client's next", atk->seq = (uint32_t)main_number(optarg))        \
	X(ack, "that connection's server's next", atk->ack = (uint32_t)main_number(optarg))        \
	X(seconds, "how long (2)", atk->seconds = strtod(optarg, NULL))                            \
	X(count, "connections; frames of a flood, 0: until the time is over",                      \
		atk->count = main_number(optarg))                                                  \
	X(rate, "frames a second, 0: the most", atk->wire.rate = main_number(optarg))              \
	X(inflight, "handshakes at a time (128)", atk->in_flight = (uint32_t)main_number(optarg))  \
	X(requests, "pipelined, of each connection (1)",                                           \
		atk->requests = (uint32_t)main_number(optarg))                                     \
	X(path, "to ask for (/hello)", atk->path = optarg)                                         \
	X(pcap, "the capture that is replayed", atk->pcap = optarg)                                \
	X(seed, "of all that is random (1)", atk->seed = main_number(optarg))

static _Noreturn void main_usage(void)
{
	fputs("usage: hf-attack MODE --iface X --mac M --dst IP [option value]...\n\n", stderr);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		fprintf(stderr, "  %-12s %s\n", modes[i].name, modes[i].help);
	fputs("\n", stderr);
#define X(name, help, act) fprintf(stderr, "  --%-10s %s\n", #name, help);
	OPTIONS(X)
#undef X
	exit(2);
}

static uint64_t main_number(const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 0);

	if (end == text || *end)
		errx(2, "not a number: %s", text);
	return number;
}

static struct atk_ip main_ip(const char *text)
{
	struct atk_ip ip = { .len = strchr(text, ':') ? 16 : 4 };

	if (inet_pton(ip.len == 16 ? AF_INET6 : AF_INET, text, ip.b) != 1)
		errx(2, "not an IP address: %s", text);
	return ip;
}

static void main_mac(struct atk *atk, const char *text)
{
	uint8_t *mac = atk->wire.mac_it;

	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4,
		    mac + 5) != 6)
		errx(2, "not a MAC address: %s", text);
}

static void main_options(struct atk *atk, int argc, char **argv)
{
	static const struct option options[] = {
#define X(name, help, act) { #name, required_argument, NULL, 0 },
		OPTIONS(X)
#undef X
			{ 0 },
	};
	int index, got;

	while ((got = getopt_long(argc, argv, "", options, &index)) != -1) {
		const char *name = options[got == 0 ? index : 0].name;

		if (got)
			main_usage();
#define X(option, help, act)                                                                       \
	if (strcmp(name, #option) == 0)                                                            \
		act;
		OPTIONS(X)
#undef X
	}
	if (optind + 1 != argc || !atk->iface || !atk->dst.len)
		main_usage();
	atk->mode = argv[optind];
	if (!atk->src.len)
		atk->src = main_ip(atk->dst.len == 4 ? "198.18.0.1" : "2001:db8:0:18::1");
}

bool atk_done(const struct atk *atk)
{
	return now_us() >= atk->end_us;
}

uint64_t atk_random(struct atk *atk)
{
	uint64_t mixed = atk->seed += 0x9e3779b97f4a7c15; /* splitmix64 */

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
	return mixed ^ mixed >> 31;
}

struct atk_ip atk_source(const struct atk *atk, uint64_t n)
{
	struct atk_ip ip = atk->src;

	for (uint32_t at = ip.len; n && at-- > 0; n >>= 8) {
		n += ip.b[at];
		ip.b[at] = (uint8_t)n;
	}
	return ip;
}

void atk_report(const struct atk *atk, const char *format, ...)
{
	const struct atk_wire *wire = &atk->wire;
	va_list args;

	printf("{\"mode\": \"%s\", \"seconds\": %.3f, \"sent\": %" PRIu64 ", \"refused\": %" PRIu64
	       ", \"received\": %" PRIu64,
		atk->mode, (double)(now_us() - wire->start_us) / 1e6, wire->sent, wire->refused,
		wire->received);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	puts("}");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct atk atk = {
		.path = "/hello",
		.port = 80,
		.seconds = 2,
		.sources = 4096,
		.in_flight = 128,
		.requests = 1,
		.seed = 1,
	};

	main_options(&atk, argc, argv);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(modes[i].name, atk.mode) != 0)
			continue;
		wire_open(&atk.wire, atk.iface, atk.dst.len == 16, modes[i].hears);
		atk.end_us = now_us() + (uint64_t)(atk.seconds * 1e6);
		modes[i].run(&atk);
		return 0;
	}
	main_usage();
}
