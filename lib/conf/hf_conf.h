/* SPDX-License-Identifier: BSD-3-Clause
 *
 * conf - the node-local configuration file: YAML in, one immutable struct out, or every error at
 * once.
 *
 * What      hf_conf_load reads the file with libcyaml, checks each value against tbl/params.h
 *           (name, type, range, default, help: one line a key) and the rules between keys.
 * Threads   boot and control. The struct is read-only afterwards, any thread.
 * Lifetime  hf_conf_free; strings and arrays belong to the struct.
 * Promises  C1 every error of a file is reported in one run, each naming file, line, key, what was
 *           found and what is allowed.  C2 a file with an error yields no configuration at all.
 *           C3 hf_conf_print writes a file that loads to the same values.  C4 a configuration is
 *           never changed: hf_conf_merge makes another, in which no more differs than is marked so
 *           in tbl/params.h.
 */
#ifndef HF_CONF_H
#define HF_CONF_H

#include <stdio.h>

#include "hf_base.h"

#define HF_CONF_PORTS_MAX     16
#define HF_CONF_ADDRESSES_MAX 16
#define HF_CONF_LISTEN_MAX    64
#define HF_CONF_WORKERS_MAX   63 /* an object remembers its readers in a 64-bit word */

enum hf_conf_state_expired { HF_CONF_STATE_LATCH, HF_CONF_STATE_REJECT };
enum hf_conf_switch { HF_CONF_OFF, HF_CONF_ON };
enum hf_conf_idle { HF_CONF_IDLE_BUSY, HF_CONF_IDLE_ADAPTIVE };

struct hf_conf_address {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t prefix; /* within its own family: 0-32 or 0-128 */
};

struct hf_conf_port {
	char *device; /* PCI address or vdev string */
	struct hf_conf_address address[HF_CONF_ADDRESSES_MAX];
	uint32_t address_count;
	struct hf_conf_address gateway4, gateway6; /* all zero: none */
	uint16_t vlan;                             /* 0: none */
	uint16_t mtu;                              /* 0: the driver's */
};

struct hf_conf {
	char *path;
	char *node;
	uint32_t workers; /* 0: auto, all cores but one */
	enum hf_conf_idle idle;
	struct hf_conf_port port[HF_CONF_PORTS_MAX];
	uint32_t port_count;
	uint16_t listen[HF_CONF_LISTEN_MAX];
	uint32_t listen_count;
	struct {
		uint64_t memory, max_object, snapshot_max; /* bytes */
		char *snapshot;                            /* file name; "" for none */
		uint32_t default_ttl_s, negative_ttl_s, stale_while_revalidate_s, stale_if_error_s;
		struct hf_names scrub_fields, secret_parameters; /* lower case */
	} cache;
	struct {
		uint32_t connections_max; /* per worker */
		uint32_t connections_per_address;
		uint32_t header_bytes; /* request line and fields */
		uint32_t header_count;
		uint32_t uri_bytes;
		uint32_t header_timeout_ms; /* first byte to end of head */
		uint32_t idle_timeout_ms;   /* between requests */
		uint32_t body_rate;         /* bytes/s, least, either direction; 0: none */
	} http;
	struct {
		uint32_t threads;
		uint32_t max_in_flight; /* 0: off */
		enum hf_conf_switch adaptive_limit;
		uint32_t adaptive_min, adaptive_max;
		uint32_t max_queue;
		uint32_t exchanges_max; /* requests at origin threads, per worker */
		uint32_t queue_timeout_ms, connect_timeout_ms, first_byte_timeout_ms,
			between_bytes_timeout_ms, keepalive_ms, patience_ms, fallback_timeout_ms,
			total_timeout_ms;
		uint32_t retries;
		uint32_t retry_budget;   /* percent */
		uint32_t hedge_after_ms; /* 0: never */
		uint32_t resolve_interval_s;
		char *ca_file; /* "" for the system's */
	} origin;
	struct {
		struct hf_names allow; /* HOST:PORT in lower case */
		uint32_t max;          /* of one origin thread */
		uint32_t idle_timeout_ms, total_timeout_ms;
	} tunnel;
	char *bootstrap_state; /* file name; "" for none */
	struct {
		char *url; /* "" for none; no slash at the end */
		uint32_t interval_ms, timeout_ms, failures, successes, max_stale_s;
		uint64_t state_max_age_ms;
		enum hf_conf_state_expired state_expired;
		char *state_file; /* "" for none */
	} control_plane;
	struct {
		char *secret_file; /* "" for none: off */
	} registry;
	struct {
		char *secret_file, *ca_file; /* "" for none */
		uint32_t connect_timeout_ms, read_timeout_ms, write_timeout_ms, keepalive_ms,
			lifetime_ms;
		uint32_t connections;
	} l2;
	struct {
		char *socket;
		uint32_t mode; /* permission bits */
		char *group;   /* "" or unknown on this machine: unchanged */
	} ctl;
	struct {
		char *listen; /* ADDRESS:PORT; "" for none */
		char *statsd; /* HOST:PORT, "env", "off" */
		char *otlp;   /* URL, "env", "off"; no slash at the end */
		uint32_t interval_ms;
	} metrics;
	struct {
		uint32_t sample; /* of a million */
	} trace;
	struct {
		char *requests;  /* file of the request log; "" for none */
		uint32_t format; /* enum hf_reqlog_format */
	} log;
	struct {
		bool hugepages; /* auto: use them if there are any */
		uint32_t drain_timeout_ms;
		uint32_t watchdog_ms; /* an lcore whose loop stands still this long is reported */
	} runtime;
};

/* 0, or -EINVAL/-errno with every error written to `errors`, one per line:
 * FILE:LINE: KEY: found FOUND; allowed: ALLOWED */
int hf_conf_load(const char *path, FILE *errors, struct hf_conf **ret_conf) HF_MUST_CHECK;
/* The effective configuration with defaults, as YAML. */
void hf_conf_print(const struct hf_conf *conf, FILE *out);
void hf_conf_free(struct hf_conf *conf);

/* HOST:PORT or [IPv6]:PORT in its parts, without brackets; false: it is neither. */
bool hf_conf_hostport(const char *text, char *ret_host, size_t size, uint16_t *ret_port);

/* What a reload makes of RUNNING: a new configuration with FILE's values where tbl/params.h says
 * LIVE, all else as it is. -ENOMEM. */
int hf_conf_merge(const struct hf_conf *running, const struct hf_conf *file,
	struct hf_conf **ret_conf) HF_MUST_CHECK;
/* NULL: a port that there is not. */
typedef void (*hf_conf_diff_fn)(void *arg, const char *key, const char *from, const char *to);
/* Calls fn for each key whose values differ, which it gets as `config show` has them. */
void hf_conf_diff(
	const struct hf_conf *from, const struct hf_conf *to, hf_conf_diff_fn fn, void *arg);

#endif
