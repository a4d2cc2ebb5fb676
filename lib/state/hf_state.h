/* SPDX-License-Identifier: BSD-3-Clause
 *
 * state - the document that says which origins there are and which requests go to them.
 *
 * What      JSON {schema:1, version, issued_at, origins:[], routes:[], ...} -> an immutable
 *           snapshot.
 *             groups:   {"id":"demo", "max_in_flight":64}: may be without origins, until some
 *                       register (lib/registry)
 *                       "health":{"path":"/up", "interval":10, "timeout":2}: its origins are asked
 *                       for that
 *                       "balance":"least_loaded", "hash" or "prefix_affinity", with it
 *                       "affinity":{"by":"path" or "body", "alpha":1.0, "cap":65536, "ttl":300}
 *             origins:  {"group":"demo", "id":"o1", "url":"http://127.0.0.1:8080", "weight":1}
 *             policies: {"id":"static", "default_ttl":60, "stale_if_error":600}: what the node's
 *                       configuration says otherwise, for the routes that name it
 *             routes:   {"id":"default", "host":"*", "path":"/", "group":"demo", "policy":"static"}
 *                       "store_secret_query":true: URLs with a token-like parameter may be stored,
 *                       too
 *                       "auth":"api": only who that flow allows
 *             auth_flows: {"id":"api", "credential":{"in":"header", "name":"authorization"},
 *                       "cache":"agent_api_key", "service":{"group":"authz", "path":"/check"}};
 *                       README.md has all
 *             auth_revoked: ["9f86d0...", ...]: SHA-256 of credentials that nobody is allowed with
 *             purges:   {"id":"p7", "prefix":"/img/", "soft":true}: what lib/sync has carried out,
 *                       once
 *           A route's host is exact, "*.suffix" or "*"; the most specific host wins, then the
 *           longest path prefix (whole segments), then the first.
 * Threads   parse: boot, sync, control. ref, lookup: any, on a snapshot they hold; unref: any but
 *           lcores.
 * Lifetime  parse gives one reference; the last unref frees.
 * Promises  S1 a document with any error is refused whole, with every reason (JSON path, found,
 *           allowed).  S2 unknown fields are ignored and counted.
 * Limits    8 MiB, depth 16, 4096 origins, routes, groups, 1024 policies, 1024 purges, 128 nodes of
 *           L2, strings 1 KiB, the version and ids of purges 127 bytes, what a purge names 8 KiB,
 *           2^20 prefixes of all groups, 256 flows, 4096 revoked credentials.
 */
#ifndef HF_STATE_H
#define HF_STATE_H

#include <stdatomic.h>
#include <stdio.h>

#include "hf_auth.h"
#include "hf_base.h"

#define HF_STATE_VERSION_MAX 127
#define HF_STATE_URL_MAX     1024

/* Whose word an origin is. */
enum hf_state_from { HF_STATE_DOCUMENT, HF_STATE_OPERATOR, HF_STATE_REGISTRY };

struct hf_state_origin {
	char *id;
	char *url;       /* "http://host:port", no trailing slash, no path */
	uint32_t weight; /* 1-100 */
	enum hf_state_from from;
	/* another one: another origin, though of the same id; 0: not registered */
	uint64_t generation;
	bool drained; /* by the operator: no new fetches */
};

/* Each of its origins is asked for PATH, by every origin thread. */
struct hf_state_health {
	char *path; /* NULL: they are not */
	uint32_t interval_s, timeout_s;
};

enum hf_state_balance { HF_STATE_LEAST_LOADED, HF_STATE_HASH, HF_STATE_PREFIX_AFFINITY };

/* What prefixes are of, and lib/route's parameters. */
struct hf_state_affinity {
	bool by_body;
	double alpha;
	uint32_t cap, ttl_s; /* ttl: 0, for ever */
};

struct hf_state_group {
	char *name;
	enum hf_state_balance balance;
	struct hf_state_affinity affinity;
	struct hf_state_health health;
	struct hf_state_origin *origin;
	uint32_t origin_count;  /* 0: of one that stands in groups */
	uint32_t max_in_flight; /* fetches at each of its origins; 0: no limit */
};

#define HF_STATE_SECONDS_NONE UINT32_MAX
#define HF_STATE_BYTES_NONE   UINT64_MAX

/* As in the cache section of the configuration; NONE: as there. */
struct hf_state_policy {
	char *id;
	uint32_t default_ttl_s, negative_ttl_s, stale_while_revalidate_s, stale_if_error_s;
	uint64_t max_object; /* bytes */
};

/* Of url, prefix and tag at most one; none: everything. */
struct hf_state_purge {
	char *id, *url, *prefix, *tag;
	bool soft;
};

enum hf_state_credential { HF_STATE_HEADER, HF_STATE_COOKIE, HF_STATE_QUERY, HF_STATE_MTLS };
/* What of a protected route may be stored: what its response says is for all (RFC 9111 §3.5, as
 * with Authorization), nothing, or what any response may be. */
enum hf_state_share { HF_STATE_SHARE_EXPLICIT, HF_STATE_SHARE_NONE, HF_STATE_SHARE_ANY };

#define HF_STATE_TELL_METHOD 1U
#define HF_STATE_TELL_HOST   2U
#define HF_STATE_TELL_PATH   4U
#define HF_STATE_TELL_QUERY  8U

#define HF_STATE_NAMES_MAX 8
struct hf_state_names {
	uint32_t count;
	char name[HF_STATE_NAMES_MAX][65];
};

struct hf_state_net {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint32_t bits;
};

/* Who may have what a route has: whom GROUP says yes to. What it is told is what its decision is
 * kept under. */
struct hf_state_flow {
	char *id;
	uint64_t digest; /* of all that is said of it; never 0 */
	enum hf_state_credential in;
	char *name;                                   /* of the field, cookie or parameter */
	struct hf_state_net from[HF_STATE_NAMES_MAX]; /* MTLS: the field counts from there only */
	uint32_t from_count;
	enum hf_auth_cache cache;
	const struct hf_state_group *group;
	char *path, *method;
	char *send_as;                 /* the field that the service gets the credential in */
	unsigned tell;                 /* HF_STATE_TELL_* */
	struct hf_state_names headers; /* of the request, that it is told too */
	uint32_t timeout_ms, ttl_s, negative_ttl_s;
	/* an allow of this age counts in fallback, when it gives no answer; 0: none */
	uint32_t fallback_ttl_s;
	uint16_t error_status;
	struct hf_state_names add;    /* of an allow, to the origin: in the place of the client's */
	struct hf_state_names remove; /* of the request, before it goes to the origin */
	char *challenge;              /* WWW-Authenticate of 401 without one */
	enum hf_state_share share;
};

struct hf_state_route {
	char *id;
	char *host; /* lower case, without port */
	char *path;
	const struct hf_state_group *group;
	const struct hf_state_policy *policy; /* NULL: none */
	const struct hf_state_flow *flow;     /* NULL: anybody may */
	bool store_secret_query; /* what is asked for with a token-like parameter too */
};

#define HF_STATE_L2_NODES_MAX 128
#define HF_STATE_L2_NAME_MAX  32

/* A node of the second tier, and where it is. */
struct hf_state_l2_node {
	char id[HF_NAME_MAX + 1];
	char host[256]; /* a name or an address, without brackets */
	uint16_t port;
	bool tls;
	uint32_t weight; /* 1-100 */
};

/* What all edges that share a second tier must agree on. */
struct hf_state_l2 {
	bool on;                             /* the document has it */
	bool write_around;                   /* what it took is not stored in L1 as well */
	char name[HF_STATE_L2_NAME_MAX + 1]; /* that its keys begin with */
	uint32_t l1_ttl_s;
	uint32_t lease_ms;            /* 0: none */
	uint32_t value_max, zstd_min; /* bytes; zstd_min: 0, nothing is compressed */
	struct hf_state_l2_node *node;
	uint32_t node_count; /* 0: those before */
};

struct hf_state {
	char *version;
	struct hf_state_group *group;
	uint32_t group_count;
	struct hf_state_route *route;
	uint32_t route_count;
	struct hf_state_policy *policy;
	uint32_t policy_count;
	struct hf_state_purge *purge;
	uint32_t purge_count;
	struct hf_state_flow *flow;
	uint32_t flow_count;
	uint8_t (*revoked)[HF_SHA256_LEN];
	uint32_t revoked_count;
	struct hf_state_l2 l2;
	uint32_t unknown_fields;
	_Atomic uint32_t refs;
};

struct hf_state_overlay;

const char *hf_state_balance_name(enum hf_state_balance balance);
/* 0, or -EINVAL with every reason on `errors`, one per line: PATH: found FOUND; allowed: ALLOWED */
int hf_state_parse(
	const char *text, size_t len, FILE *errors, struct hf_state **ret_state) HF_MUST_CHECK;
/* The same with the operator's changes, or NULL; they make no good document a bad one. */
int hf_state_parse_with(const char *text, size_t len, const struct hf_state_overlay *overlay,
	FILE *errors, struct hf_state **ret_state) HF_MUST_CHECK;
/* The text of a file, to be freed; of one that is too long as much as makes hf_state_parse refuse
 * it. 0 or -errno. */
int hf_state_read(const char *file, char **ret_text, size_t *ret_len) HF_MUST_CHECK;
/* The same from a file, its name before each reason. */
int hf_state_load(const char *file, FILE *errors, struct hf_state **ret_state) HF_MUST_CHECK;
/* Returns STATE. */
struct hf_state *hf_state_ref(struct hf_state *state);
/* NULL is nothing. */
void hf_state_unref(struct hf_state *state);
/* The route of a request, or NULL. HOST may have a port. */
const struct hf_state_route *hf_state_route_lookup(
	const struct hf_state *state, struct hf_span host, struct hf_span path);
/* The same; TARGET may have a query. */
const struct hf_state_route *hf_state_route_of_key(
	const struct hf_state *state, struct hf_span host, struct hf_span target);

/* HASH: of a credential. */
bool hf_state_is_revoked(const struct hf_state *state, const uint8_t hash[HF_SHA256_LEN]);
/* May this address say who its clients are? IPv4 as ::ffff:a.b.c.d. */
bool hf_state_flow_trusts(const struct hf_state_flow *flow, const uint8_t ip[16]);

#endif
